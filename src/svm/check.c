// SPDX-License-Identifier: MIT
/* The consistency checks of VMRUN and #VMEXIT, generated from check.def. */
#include "mmu/walk.h"
#include "svm/world.h"

#include <stdio.h>

enum {
#define CHECK(id, ...) CHECK_##id,
#define RARE(id, ...)  CHECK_##id,
#include "svm/check.def"
#undef CHECK
#undef RARE
    CHECK_COUNT
};
enum { SYSCFG_MEM_ENCRYPTION = 1 << 23 };
_Static_assert(CHECK_COUNT <= 64, "the violated checks fit one word");

const struct svm_check_row svm_checks[] = {
#define CHECK(id, field, cond, text, section)                                                                          \
    {#id, #field, text, "APM2 " section, offsetof(union vmcb, field), sizeof(((union vmcb *)0)->field)},
#define RARE CHECK
#include "svm/check.def"
#undef CHECK
#undef RARE
};
const unsigned svm_check_count = ARRAY_LEN(svm_checks);

static inline bool has(const struct svm_check_in *in, unsigned feat)
{
    return in->features[feat >> 6] >> (feat & 63) & 1;
}

/* Does [base, base + last], base without its low 12 bits, reach beyond the last physical address? The first term
 * keeps the sum from wrapping. */
static inline bool beyond(u64 base, u64 last, const struct svm_check_in *in)
{
    base &= ~(u64)PAGE_MASK;
    return base >> in->maxphys || (base + last) >> in->maxphys;
}

static inline bool tlb_control_ok(const union vmcb *v, const struct svm_check_in *in)
{
    unsigned t = v->tlb_control;
    return t <= TLB_FLUSH_ALL || ((t == TLB_FLUSH_ASID || t == TLB_FLUSH_ASID_NONGLOBAL) && has(in, FEAT_FLUSHBYASID));
}

/* Eight types of 0, 1, 4, 5, 6, 7; the upper five bits of each byte are zero. [APM2 7.8.1] */
static inline bool pat_ok(u64 pat)
{
    u64 two = pat & 0x0202020202020202ull, four = pat & 0x0404040404040404ull;
    return !(pat & 0xF8F8F8F8F8F8F8F8ull) && !(two & ~(four >> 1));
}

static inline unsigned avic_max_index(const struct svm_check_in *in, bool x2avic)
{
    return !x2avic ? 255 : has(in, FEAT_X2AVICEXT) ? 0xFFF : 511;
}

/* Tables without an NX bit cannot mark shadow stacks: then the bit is ignored. [APM2 15.25.14] */
static inline bool shadow_stack_host(const struct svm_check_in *in)
{
    return (in->hefer & EFER_NXE) && ((in->hefer & EFER_LMA) || (in->hcr4 & CR4_PAE));
}

/* Does EVENTINJ hold what an SEV-ES guest can not be given: INT n, #BP or #OF? */
static inline bool inj_soft(u64 inj)
{
    unsigned type = inj >> 8 & 7;
    return (inj & INJ_V) && (type == INJ_SOFT || (type == INJ_EXC && ((u8)inj == EXC_BP || (u8)inj == EXC_OF)));
}

/* Does the VMCB ask for a feature whose rules are RARE rows? Whether the processor has it is asked there. */
bool svm_check_rare(const union vmcb *v)
{
    return (v->np_ctl & (NP_CTL_SSS | NP_CTL_SEV | NP_CTL_SEV_ES)) || (v->int_ctl & SVM_RARE_INT_CTL) || (v->cr4 & CR4_CET) || v->s_cet;
}

static inline __attribute__((always_inline)) u64 evaluate_rare(const union vmcb *v, const struct svm_check_in *in)
{
    u64 w = 0, inj = v->eventinj;
    bool np = (v->np_ctl & NP_CTL_NP) && has(in, FEAT_NP);
    bool avic = (v->int_ctl & INT_CTL_AVIC) && has(in, FEAT_AVIC);
    bool x2avic = (v->int_ctl & INT_CTL_X2AVIC) && has(in, FEAT_X2AVIC);
    bool sev = (v->np_ctl & NP_CTL_SEV) && has(in, FEAT_SEV) && (in->st->syscfg & SYSCFG_MEM_ENCRYPTION);
    bool sev_es = sev && (v->np_ctl & NP_CTL_SEV_ES) && has(in, FEAT_SEVES);
    bool cet = (v->cr4 & CR4_CET) && (in->cr4_legal & CR4_CET);
#define CHECK(...)
#define RARE(id, field, cond, ...) w |= (u64)((cond) != 0) << CHECK_##id;
#include "svm/check.def"
#undef CHECK
#undef RARE
    return w;
}

/* Inlined into its two users, so that the host's rows cost nothing for the others. */
static inline __attribute__((always_inline)) u64 evaluate(const union vmcb *v, const struct svm_check_in *in)
{
    u64 w = 0, inj = v->eventinj;
    bool np = (v->np_ctl & NP_CTL_NP) && has(in, FEAT_NP);
    bool lme_pg = (v->efer & EFER_LME) && (v->cr0 & CR0_PG);
    bool guest64 = lme_pg && (v->cs_attr & ATTR_L);
    bool inj_exc = (inj & INJ_V) && (inj >> 8 & 7) == INJ_EXC;
#define CHECK(id, field, cond, ...) w |= (u64)((cond) != 0) << CHECK_##id;
#define RARE(...)
#include "svm/check.def"
#undef CHECK
#undef RARE
    return UNLIKELY(svm_check_rare(v)) ? w | evaluate_rare(v, in) : w;
}

u64 svm_check(const union vmcb *v, const struct svm_check_in *in)
{
    return evaluate(v, in);
}

u64 svm_check_host(const union vmcb *hsave, const struct svm_check_in *in)
{
    /* The rows that speak of fields the host save area has; CR0.PE is forced, not checked. [APM2 15.6] */
    static const u64 rows = 1ull << CHECK_efer_mbz | 1ull << CHECK_efer_no_lm | 1ull << CHECK_lme_pae | 1ull << CHECK_cs_l_d |
                            1ull << CHECK_cr0_cd_nw | 1ull << CHECK_cr0_high | 1ull << CHECK_cr3_mbz |
                            1ull << CHECK_cr4_mbz | 1ull << CHECK_cet_wp | 1ull << CHECK_pdpte;
    return evaluate(hsave, in) & rows;
}

/* The entries that a check of the table can not name, as it is told only that there is one. */
static void pdpte_text(struct vcpu *c, u64 cr3, char *buf, size_t size)
{
    u64 reserved = walk_pdpte_reserved(c->mmu.r.maxphys);
    size_t n = 0;
    buf[0] = 0;
    for (unsigned i = 0; i < 4; i++) {
        u64 at = (cr3 & 0xFFFFFFE0) + 8 * i, e = phys_read_le(&c->view, (struct spa){at}, 8);
        if ((e & 1) && (e & reserved) && n < size)
            n += (size_t)snprintf(buf + n, size - n, ", PDPTE %u at %#llx = %#llx", i, (unsigned long long)at, (unsigned long long)e);
    }
}

static bool pdptes_bad(struct vcpu *c, u64 cr3)
{
    u64 reserved = walk_pdpte_reserved(c->mmu.r.maxphys);
    for (unsigned i = 0; i < 4; i++) {
        u64 e = phys_read_le(&c->view, (struct spa){(cr3 & 0xFFFFFFE0) + 8 * i}, 8);
        if ((e & 1) && (e & reserved))
            return true;
    }
    return false;
}

u64 svm_check_now(struct vcpu *c, const union vmcb *v)
{
    struct svm_check_in in;
    svm_check_input(c, &in);
    if (!c->guest) {
        in.hcr0 = c->st.cr0;
        in.hcr4 = c->st.cr4;
        in.hefer = c->st.efer;
    }
    bool pae = (v->cr0 & CR0_PG) && (v->cr4 & CR4_PAE) && !(v->efer & EFER_LME), np = (v->np_ctl & NP_CTL_NP) && cpu_has(c, FEAT_NP);
    in.pdpte_bad = pae && !np && pdptes_bad(c, v->cr3);
    return svm_check(v, &in);
}

COLD void svm_explain(struct vcpu *c, const union vmcb *v, u64 violated, bool host)
{
    struct svm_failed *f = &c->svm->failed[host];
    if (c->fold)
        c->fold(c);
    f->violated = violated;
    for (unsigned i = 0; i < svm_check_count; i++) {
        if (!(violated >> i & 1))
            continue;
        const struct svm_check_row *r = &svm_checks[i];
        char id[64], more[160] = "";
        f->value[i] = load_le(v->raw + r->offset, r->width);
        if (i == CHECK_pdpte)
            pdpte_text(c, v->cr3, more, sizeof more);
        snprintf(id, sizeof id, "%s%s", host ? "vmexit.host." : "vmrun.check.", r->id);
        diag_emit(c->diag, DIAG_ERROR, id, c->index, c->st.rip, c->insns, host ? "APM2 15.6" : r->section, "%s (%s at %03Xh = %#llx%s)", r->text, r->field,
                  r->offset, (unsigned long long)f->value[i], more);
    }
}
