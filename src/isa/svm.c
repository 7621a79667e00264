// SPDX-License-Identifier: MIT
/* The SVM instructions: fault checks and intercepts; the work is in src/svm. [APM3 VMRUN..., facts in APM2 15.5-15.17, 15.31] */
#include "svm/svm.h"
#include "cpu/internal.h"
#include "isa/isa.h"

/* #UD unless SVM is on and the mode is protected, then #GP(0) for CPL. */
static bool svm_usable(struct vcpu *c, bool skinit_too)
{
    bool on = (c->st.efer & EFER_SVME) || (skinit_too && cpu_has(c, FEAT_SKINIT));
    if (!on || !cpu_protected(c))
        return cpu_raise(c, EXC_UD);
    return c->st.cpl == 0 || cpu_raise_err(c, EXC_GP, 0);
}

/* rAX cut to the address size: page-aligned and within the physical address space. */
static bool vmcb_address(struct vcpu *c, const struct insn *in, u64 *pa)
{
    *pa = zext(c->st.gpr[RAX], in->asz);
    return (!(*pa & PAGE_MASK) && phys_fits(c, *pa)) || cpu_raise_err(c, EXC_GP, 0);
}

INSN(0F, 01, _, =D8, vmrun, _, END F:SVM, _, VMRUN, vmrun, gen)
SYS(vmrun)
{
    u64 pa;
    if (!svm_usable(c, false) || !vmcb_address(c, in, &pa))
        return false;
    if (cpu_icpt(c, ICPT_VMRUN))
        return cpu_exit(c, VMEXIT_VMRUN, 0, 0);
    return svm_vmrun(c, pa);
}

INSN(0F, 01, _, =D9, vmmcall, _, END F:SVM, _, VMMCALL, vmmcall, gen)
SYS(vmmcall)
{
    (void)in;
    if (cpu_icpt(c, ICPT_VMMCALL)) /* any CPL and mode, before everything */
        return cpu_exit(c, VMEXIT_VMMCALL, 0, 0);
    return cpu_raise(c, EXC_UD);
}

/* Outside SMM it is undefined, but the intercept comes before that. [APM2 15.9] */
INSN(0F, AA, _, _, rsm, _, END, _, RSM, sys, gen)
SYS(rsm)
{
    (void)in;
    if (cpu_icpt(c, ICPT_RSM))
        return cpu_exit(c, VMEXIT_RSM, 0, 0);
    return cpu_raise(c, EXC_UD);
}

INSN(0F, 01, _, =DA, vmload, _, END F:SVM, _, VMLOAD, vmload, gen)
SYS(vmload)
{
    u64 pa;
    if (!svm_usable(c, false) || !vmcb_address(c, in, &pa))
        return false;
    if (cpu_icpt(c, ICPT_VMLOAD))
        return cpu_exit(c, VMEXIT_VMLOAD, 0, 0);
    return svm_vmload(c, pa);
}

INSN(0F, 01, _, =DB, vmsave, _, END F:SVM, _, VMSAVE, vmsave, gen)
SYS(vmsave)
{
    u64 pa;
    if (!svm_usable(c, false) || !vmcb_address(c, in, &pa))
        return false;
    if (cpu_icpt(c, ICPT_VMSAVE))
        return cpu_exit(c, VMEXIT_VMSAVE, 0, 0);
    return svm_vmsave(c, pa);
}

INSN(0F, 01, _, =DC, stgi, _, END F:SVM, _, STGI, gif, gen)
SYS(stgi)
{
    (void)in;
    if (!svm_usable(c, true))
        return false;
    if (cpu_icpt(c, ICPT_STGI))
        return cpu_exit(c, VMEXIT_STGI, 0, 0);
    svm_stgi(c);
    return true;
}

INSN(0F, 01, _, =DD, clgi, _, END F:SVM, _, CLGI, gif, gen)
SYS(clgi)
{
    (void)in;
    if (!svm_usable(c, false))
        return false;
    if (cpu_icpt(c, ICPT_CLGI))
        return cpu_exit(c, VMEXIT_CLGI, 0, 0);
    svm_clgi(c);
    return true;
}

/* Secure launch itself is not built and no profile shows it: what is left are its faults and its intercept. */
INSN(0F, 01, _, =DE, skinit, _, END F:SVM, _, SKINIT, sys, gen)
SYS(skinit)
{
    (void)in;
    if (!svm_usable(c, true))
        return false;
    if (cpu_icpt(c, ICPT_SKINIT))
        return cpu_exit(c, VMEXIT_SKINIT, 0, 0);
    return cpu_raise(c, EXC_UD);
}

INSN(0F, 01, _, =DF, invlpga, _, END F:SVM, _, INVLPGA, invlpg, gen)
SYS(invlpga)
{
    if (!svm_usable(c, false))
        return false;
    if (cpu_icpt(c, ICPT_INVLPGA))
        return cpu_exit(c, VMEXIT_INVLPGA, 0, 0);
    svm_invlpga(c, zext(c->st.gpr[RAX], in->asz), (u32)c->st.gpr[RCX]);
    return true;
}
