// SPDX-License-Identifier: MIT
/* The SVM instructions: operands; faults and most intercepts are the guard's, the work is in src/svm. [APM3 VMRUN..., facts in APM2 15.5-15.17, 15.31] */
#include "svm/svm.h"
#include "cpu/internal.h"
#include "isa/isa.h"

/* rAX cut to the address size: page-aligned and within the physical address space. */
static bool vmcb_address(struct vcpu *c, const struct insn *in, u64 *pa)
{
    *pa = zext(c->st.gpr[RAX], in->asz);
    return (!(*pa & PAGE_MASK) && phys_fits(c, *pa)) || cpu_raise_err(c, EXC_GP, 0);
}

INSN(0F, 01, _, =D8, vmrun, _, SVME PM CPL0 END F:SVM, _, body:VMRUN, vmrun, gen)
SYS(vmrun)
{
    u64 pa;
    if (!vmcb_address(c, in, &pa))
        return false;
    if (cpu_icpt(c, ICPT_VMRUN))
        return cpu_exit(c, VMEXIT_VMRUN, 0, 0);
    return svm_vmrun(c, pa);
}

INSN(0F, 01, _, =D9, vmmcall, _, END F:SVM, _, VMMCALL, vmmcall, gen)
SYS(vmmcall)
{
    (void)in;
    return cpu_raise(c, EXC_UD);
}

/* Outside SMM it is undefined, but the guard's intercept comes before that. [APM2 15.9] */
INSN(0F, AA, _, _, rsm, _, END, _, RSM, sys, gen)
SYS(rsm)
{
    (void)in;
    return cpu_raise(c, EXC_UD);
}

INSN(0F, 01, _, =DA, vmload, _, SVME PM CPL0 END F:SVM, _, body:VMLOAD, vmload, gen)
SYS(vmload)
{
    u64 pa;
    if (!vmcb_address(c, in, &pa))
        return false;
    if (cpu_icpt(c, ICPT_VMLOAD))
        return cpu_exit(c, VMEXIT_VMLOAD, 0, 0);
    return svm_vmload(c, pa);
}

INSN(0F, 01, _, =DB, vmsave, _, SVME PM CPL0 END F:SVM, _, body:VMSAVE, vmsave, gen)
SYS(vmsave)
{
    u64 pa;
    if (!vmcb_address(c, in, &pa))
        return false;
    if (cpu_icpt(c, ICPT_VMSAVE))
        return cpu_exit(c, VMEXIT_VMSAVE, 0, 0);
    return svm_vmsave(c, pa);
}

INSN(0F, 01, _, =DC, stgi, _, SVME SKINIT PM CPL0 END F:SVM, _, STGI, gif, gen)
SYS(stgi)
{
    (void)in;
    svm_stgi(c);
    return true;
}

INSN(0F, 01, _, =DD, clgi, _, SVME PM CPL0 END F:SVM, _, CLGI, gif, gen)
SYS(clgi)
{
    (void)in;
    svm_clgi(c);
    return true;
}

/* Secure launch itself is not built and no profile shows it: what is left are its faults and its intercept. */
INSN(0F, 01, _, =DE, skinit, _, SVME SKINIT PM CPL0 END F:SVM, _, SKINIT, sys, gen)
SYS(skinit)
{
    (void)in;
    return cpu_raise(c, EXC_UD);
}

INSN(0F, 01, _, =DF, invlpga, _, SVME PM CPL0 END F:SVM, _, INVLPGA, invlpg, gen)
SYS(invlpga)
{
    svm_invlpga(c, zext(c->st.gpr[RAX], in->asz), (u32)c->st.gpr[RCX]);
    return true;
}
