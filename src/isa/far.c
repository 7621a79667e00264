// SPDX-License-Identifier: MIT
/* Far control transfer and software interrupts. [APM3 JMP, CALL, RET (far), IRET, INT, INTO, INT3] */
#include "cpu/internal.h"
#include "isa/isa.h"
#include "svm/svm.h"

/* AMD has no 16:64 pointers: REX.W leaves the offset at 32 bits. */
static unsigned far_size(const struct insn *in)
{
    return in->osz > 4 ? 4 : in->osz;
}

static bool far_pointer(struct vcpu *c, const struct insn *in, u16 *sel, u64 *off)
{
    unsigned w = far_size(in);
    u8 buf[6];
    if (in->op[0].kind == OPK_FAR) {
        *sel = in->imm2;
        *off = in->imm;
        return true;
    }
    if (!mem_read_buf(c, in->seg, op_ea(c, in), buf, w + 2))
        return false;
    *off = load_le(buf, w);
    *sel = (u16)load_le(buf + w, 2);
    return true;
}

INSN(ONE, EA, _, _, jmpf, Ap, NO64 END, _, _, far, gen)
INSN(ONE, FF, _, /5m, jmpf, Mp, END RO, _, _, far, gen)
SYS(jmpf)
{
    u16 sel;
    u64 off;
    return far_pointer(c, in, &sel, &off) && far_jump(c, sel, off, far_size(in));
}

INSN(ONE, 9A, _, _, callf, Ap, NO64 END, _, _, far, gen)
INSN(ONE, FF, _, /3m, callf, Mp, END RO, _, _, far, gen)
SYS(callf)
{
    u16 sel;
    u64 off;
    return far_pointer(c, in, &sel, &off) && far_call(c, sel, off, far_size(in));
}

INSN(ONE, CB, _, _, retf, _, END, _, _, far, gen)
INSN(ONE, CA, _, _, retf, Iw, END, _, _, far, gen)
SYS(retf)
{
    return far_ret(c, in->osz, in->nops ? (u16)in->imm : 0);
}

INSN(ONE, CF, _, _, iret, _, END, w:OSZAPCD, IRET, far, gen)
SYS(iret)
{
    if (!cpu_iret(c, in->osz))
        return false;
    if (!c->svm || svm_iret_unblocks(c))
        c->st.nmi_blocked = false;
    return true;
}

INSN(ONE, CC, _, _, int3, _, END, _, _, far, gen)
SYS(int3)
{
    (void)in;
    return cpu_raise_trap(c, EXC_BP);
}

INSN(ONE, CD, _, _, int, Ib, END, _, body:SWINT, far, gen)
SYS(int)
{
    u8 vec = (u8)in->imm;
    if (cpu_icpt(c, ICPT_SWINT))
        return cpu_exit(c, VMEXIT_SWINT, cpu_has(c, FEAT_DECODEASSISTS) ? vec : 0, 0);
    if (cpu_vm86(c) && cpu_iopl(c) < 3 && !(c->st.cr4 & CR4_VME))
        return cpu_raise_err(c, EXC_GP, 0);
    return cpu_raise_soft(c, vec);
}

INSN(ONE, CE, _, _, into, _, NO64 END, r:O, _, far, gen)
SYS(into)
{
    (void)in;
    return !flag_of(&c->fl) || cpu_raise_trap(c, EXC_OF);
}

INSN(ONE, F1, _, _, int1, _, END, _, ICEBP, far, gen)
SYS(int1)
{
    (void)in;
    return cpu_raise_trap(c, EXC_DB);
}
