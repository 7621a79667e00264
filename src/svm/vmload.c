// SPDX-License-Identifier: MIT
/* VMLOAD and VMSAVE, also in their virtual form. [APM2 15.5.2, 15.33.1] */
#include "svm/world.h"

/* In a guest with virtual VMLOAD/VMSAVE the address is guest-physical. False: an exit is recorded. [APM2 15.33.1] */
static bool resolve(struct vcpu *c, u64 *pa, bool write, u64 code)
{
    struct mmu_xl xl;
    struct mmu_fault f;
    if (LIKELY(!c->guest || !(c->svm->virt_ext & VIRT_EXT_VMLOAD)))
        return true;
    if (!c->np || !(c->nest.hefer & EFER_LMA))
        return cpu_exit(c, code, 0, 0);
    if (!mmu_translate_gpa(&c->mmu, (struct gpa){*pa}, write ? ACC_W : ACC_R, &xl, &f))
        return cpu_raise_pf(c, &f);
    *pa = xl.spa.v & ~(u64)PAGE_MASK;
    return true;
}

#define VMLOAD_MSRS(X) X(star) X(lstar) X(cstar) X(sfmask) X(sysenter_cs) X(sysenter_esp) X(sysenter_eip)

bool svm_vmload(struct vcpu *c, u64 pa)
{
    struct cpu_state *st = &c->st;
    unsigned top = top_bit(c);
    struct page p;
    if (!resolve(c, &pa, false, VMEXIT_VMLOAD))
        return false;
    page_open(c, pa, SLOT_VMCB, &p);
    LOAD_SEG(p.v, fs, &st->seg[SEG_FS], top);
    LOAD_SEG(p.v, gs, &st->seg[SEG_GS], top);
    LOAD_SEG(p.v, ldtr, &st->seg[SEG_LDTR], top);
    LOAD_SEG(p.v, tr, &st->seg[SEG_TR], top);
    st->seg[SEG_TR].attr |= ATTR_P; /* P of TR is not looked at */
    st->kernel_gs_base = sext_bit(p.v->kernel_gs_base, top);
#define X(m) st->m = p.v->m;
    VMLOAD_MSRS(X)
#undef X
    return true;
}

bool svm_vmsave(struct vcpu *c, u64 pa)
{
    const struct cpu_state *st = &c->st;
    struct page p;
    if (!resolve(c, &pa, true, VMEXIT_VMSAVE))
        return false;
    page_open(c, pa, SLOT_VMCB, &p);
    page_writable(c, &p, SLOT_VMCB);
    STORE_SEG(p.v, fs, &st->seg[SEG_FS]);
    STORE_SEG(p.v, gs, &st->seg[SEG_GS]);
    STORE_SEG(p.v, ldtr, &st->seg[SEG_LDTR]);
    STORE_SEG(p.v, tr, &st->seg[SEG_TR]);
    p.v->kernel_gs_base = st->kernel_gs_base;
#define X(m) p.v->m = st->m;
    VMLOAD_MSRS(X)
#undef X
    page_close(c, &p, offsetof(union vmcb, fs_sel), offsetof(union vmcb, gdtr_limit) - 4);
    page_close(c, &p, offsetof(union vmcb, ldtr_sel), offsetof(union vmcb, ldtr_sel) + 16);
    page_close(c, &p, offsetof(union vmcb, tr_sel), offsetof(union vmcb, tr_sel) + 16);
    page_close(c, &p, offsetof(union vmcb, star), offsetof(union vmcb, cr2));
    return true;
}

