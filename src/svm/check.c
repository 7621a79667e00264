// SPDX-License-Identifier: MIT
/* The consistency checks of VMRUN and #VMEXIT, generated from check.def. */
#include "svm/svm.h"

enum {
#define CHECK(id, ...) CHECK_##id,
#include "svm/check.def"
#undef CHECK
    CHECK_COUNT
};
_Static_assert(CHECK_COUNT <= 64, "the violated checks fit one word");

const struct svm_check_row svm_checks[] = {
#define CHECK(id, field, cond, text, section)                                                                          \
    {#id, #field, text, "APM2 " section, offsetof(union vmcb, field), sizeof(((union vmcb *)0)->field)},
#include "svm/check.def"
#undef CHECK
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

/* Inlined into its two users, so that the host's rows cost nothing for the others. */
static inline __attribute__((always_inline)) u64 evaluate(const union vmcb *v, const struct svm_check_in *in)
{
    u64 w = 0, inj = v->eventinj;
    bool np = (v->np_ctl & NP_CTL_NP) && has(in, FEAT_NP);
    bool avic = (v->int_ctl & INT_CTL_AVIC) && has(in, FEAT_AVIC);
    bool lme_pg = (v->efer & EFER_LME) && (v->cr0 & CR0_PG);
    bool guest64 = lme_pg && (v->cs_attr & ATTR_L);
    bool inj_exc = (inj & INJ_V) && (inj >> 8 & 7) == INJ_EXC;
#define CHECK(id, field, cond, ...) w |= (u64)((cond) != 0) << CHECK_##id;
#include "svm/check.def"
#undef CHECK
    return w;
}

u64 svm_check(const union vmcb *v, const struct svm_check_in *in)
{
    return evaluate(v, in);
}

u64 svm_check_host(const union vmcb *hsave, const struct svm_check_in *in)
{
    /* The rows that speak of fields the host save area has; CR0.PE is forced, not checked. [APM2 15.6] */
    static const u64 rows = 1ull << CHECK_efer_mbz | 1ull << CHECK_lme_pae | 1ull << CHECK_cs_l_d |
                            1ull << CHECK_cr0_cd_nw | 1ull << CHECK_cr0_high | 1ull << CHECK_cr3_mbz |
                            1ull << CHECK_cr4_mbz | 1ull << CHECK_cet_wp | 1ull << CHECK_pdpte;
    return evaluate(hsave, in) & rows;
}

COLD void svm_explain(struct vcpu *c, const union vmcb *v, u64 violated, const char *prefix)
{
    if (c->fold)
        c->fold(c);
    for (unsigned i = 0; i < svm_check_count; i++) {
        if (!(violated >> i & 1))
            continue;
        const struct svm_check_row *r = &svm_checks[i];
        char id[64];
        size_t n = strlen(prefix), m = strlen(r->id);
        if (n + m >= sizeof id)
            continue;
        memcpy(id, prefix, n);
        memcpy(id + n, r->id, m + 1);
        diag_emit(c->diag, DIAG_ERROR, id, c->index, c->st.rip, c->insns, r->section, "%s (%s at %03Xh = %#llx)",
                  r->text, r->field, r->offset, (unsigned long long)load_le(v->raw + r->offset, r->width));
    }
}
