// SPDX-License-Identifier: MIT
/* Broadcast invalidation: INVLPGB reaches the TLBs of all processors at once; TLBSYNC has nothing to wait for. [APM3 INVLPGB, TLBSYNC] */
#include "cpu/internal.h"
#include "exec/exec.h"
#include "isa/isa.h"
#include "svm/svm.h"

/* rAX */
enum { VA_VALID = 1 << 0, PCID_VALID = 1 << 1, ASID_VALID = 1 << 2, GLOBAL = 1 << 3, NESTED = 1 << 5, RESERVED = 0xFC0 };

struct request {
    u64 lin, stride;
    u32 asid;
    int pcid; /* -1: any */
    unsigned pages;
    bool one_asid, by_page, globals;
};

/* Exactly what is named, since a hypervisor that names too little must see it; without an ASID, and for a PCID and all that is global without
 * a page, more than was asked for, which is always permitted. */
static void invalidate(struct vcpu *c, const void *arg)
{
    const struct request *r = arg;
    if (!r->one_asid)
        mmu_flush_all(&c->mmu);
    else if (r->by_page)
        for (unsigned i = 0; i < r->pages; i++)
            mmu_flush_page_kinds(&c->mmu, r->asid, r->pcid, r->globals, (struct gva){r->lin + i * r->stride});
    else if (r->globals)
        mmu_flush_asid(&c->mmu, r->asid);
    else if (r->pcid >= 0)
        mmu_flush_pcid(&c->mmu, r->asid, (u16)r->pcid);
    else
        mmu_flush_asid_nonglobal(&c->mmu, r->asid);
    c->attn |= ATTN_MODE;
}

/* In a guest: #UD unless the VMCB allows it, where the processor has that control [APM2 15.9]. */
static bool usable(struct vcpu *c)
{
    return !c->guest || c->svm->invlpgb || cpu_raise(c, EXC_UD);
}

INSN(0F, 01, NP, =FE, invlpgb, _, CPL0 END F:INVLPGB, _, body:INVLPGB, invlpg, gen)
SYS(invlpgb)
{
    u64 a = zext(c->st.gpr[RAX], in->asz);
    u32 n = (u32)c->st.gpr[RCX], who = (u32)c->st.gpr[RDX], words[4];
    if (!usable(c))
        return false;
    if (cpu_icpt(c, ICPT_INVLPGB)) /* of the #GPs that for CPL comes first */
        return cpu_exit(c, VMEXIT_INVLPGB, 0, 0);
    /* A guest speaks of its own ASID only and has no nested translations to name. */
    bool nested = a & NESTED, illegal = c->guest && (nested || ((a & ASID_VALID) && (u16)who));
    if (illegal && cpu_icpt(c, ICPT_INVLPGB_ILLEGAL))
        return cpu_exit(c, VMEXIT_INVLPGB_ILLEGAL, 0, 0);
    cpuid_query(c, 0x80000008, 0, words); /* EDX[15:0]: most pages beyond the first */
    bool reserved = (a & RESERVED) || (nested && !cpu_has(c, FEAT_INVLPGBNESTED)) || (who & 0xF0000000u) || (n & 0x7FFF0000u);
    if (illegal || reserved || (n & 0xFFFF) > (words[3] & 0xFFFF) || !cpu_pe(c))
        return cpu_raise_err(c, EXC_GP, 0);
    struct request r = {
        .lin = a & ~(u64)PAGE_MASK,
        .stride = n >> 31 ? 2u << 20 : PAGE_SIZE,
        .asid = c->guest ? c->mmu.r.asid : (u16)who,
        .pcid = a & PCID_VALID ? (int)(who >> 16 & 0xFFF) : -1,
        .pages = (n & 0xFFFF) + 1,
        .globals = nested || (a & GLOBAL),
        .one_asid = c->guest || (a & ASID_VALID),
        .by_page = (a & VA_VALID) && !nested, /* entries are guest-virtual to system-physical: no nested one is found by its page */
    };
    exec_each_vcpu(c, invalidate, &r);
    return true;
}

INSN(0F, 01, NP, =FF, tlbsync, _, CPL0 END F:INVLPGB, _, body:TLBSYNC, invlpg, gen)
SYS(tlbsync)
{
    (void)in;
    if (!usable(c))
        return false;
    return !cpu_icpt(c, ICPT_TLBSYNC) || cpu_exit(c, VMEXIT_TLBSYNC, 0, 0);
}

/* All stores are done when they retire and none ever fails: CF says so. [APM3 MCOMMIT] */
INSN(0F, 01, F3, =FA, mcommit, _, F:MCOMMIT, w:OSZAPC, body:MCOMMIT, cache, gen)
SYS(mcommit)
{
    (void)in;
    if (!(c->st.efer & EFER_MCOMMIT))
        return cpu_raise(c, EXC_UD);
    if (cpu_icpt(c, ICPT_MCOMMIT))
        return cpu_exit(c, VMEXIT_MCOMMIT, 0, 0);
    flags_set(&c->fl, FL_CF);
    return true;
}
