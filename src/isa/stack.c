// SPDX-License-Identifier: MIT
/* PUSH POP PUSHA POPA PUSHF POPF ENTER LEAVE. Pushes and pops of segment registers: segment.c. */
#include "isa/isa.h"

INSN(ONE, 50+r, _, _, push, Zv, D64, _, _, store, reg)
INSN(ONE, 68, _, _, push, Iz, D64, _, _, store, reg)
INSN(ONE, 6A, _, _, push, Ibs, D64, _, _, store, reg)
INSN(ONE, FF, _, /6, push, Ev, D64 RO, _, _, store, reg)
SYS(push)
{
    u64 v;
    return op_read(c, in, 0, &v) && stack_push(c, in->osz, v);
}

INSN(ONE, 58+r, _, _, pop, Zv, D64, _, _, load, reg)
INSN(ONE, 8F, _, /0, pop, Ev, D64, _, _, load, reg)
SYS(pop)
{
    u64 v, old = c->st.gpr[RSP], rsp = old;
    if (!stack_pop_at(c, &rsp, in->osz, &v))
        return false;
    stack_commit(c, rsp); /* an address in rSP, and POP rSP, see the new value */
    if (op_write(c, in, 0, v))
        return true;
    c->st.gpr[RSP] = old;
    return false;
}

/* The pushes are probed as a whole first, so that nothing is written when one faults. */
static bool probe_pushes(struct vcpu *c, unsigned width, unsigned n)
{
    u64 sw = cpu_stack_width(c), rsp = zext(c->st.gpr[RSP], (unsigned)sw), low = zext(rsp - (u64)width * n, (unsigned)sw);
    if (low < rsp || rsp == 0)
        return mem_probe_write(c, SEG_SS, low, width * n);
    for (unsigned i = 1; i <= n; i++) /* wraps: slot by slot */
        if (!mem_probe_write(c, SEG_SS, zext(rsp - (u64)width * i, (unsigned)sw), width))
            return false;
    return true;
}

INSN(ONE, 60, _, _, pusha, _, NO64, _, _, store, gen)
SYS(pusha)
{
    u64 rsp = c->st.gpr[RSP];
    if (!probe_pushes(c, in->osz, 8))
        return false;
    for (unsigned r = RAX; r <= RDI; r++)
        if (!stack_push_at(c, &rsp, in->osz, c->st.gpr[r])) /* rSP as before the first push */
            return false;
    stack_commit(c, rsp);
    return true;
}

INSN(ONE, 61, _, _, popa, _, NO64, _, _, load, gen)
SYS(popa)
{
    u64 rsp = c->st.gpr[RSP], v[8];
    for (unsigned i = 0; i < 8; i++)
        if (!stack_pop_at(c, &rsp, in->osz, &v[i]))
            return false;
    for (unsigned i = 0; i < 8; i++)
        if (7 - i != RSP)
            gpr_set(c, 7 - i, in->osz, v[i]);
    stack_commit(c, rsp);
    return true;
}

/* [APM3 PUSHF] [APM2 8.7]: in V86 with IOPL < 3, VME shows VIF in IF's place and IOPL 3, for 16-bit operands only. */
INSN(ONE, 9C, _, _, pushf, _, D64, r:OSZAPC, PUSHF, flags, gen)
SYS(pushf)
{
    u64 v = cpu_rflags(c) & ~(u64)(FL_VM | FL_RF);
    if (cpu_vm86(c) && cpu_iopl(c) < 3) {
        if (!(c->st.cr4 & CR4_VME) || in->osz != 2)
            return cpu_raise_err(c, EXC_GP, 0);
        v = (v & ~(u64)FL_IF) | FL_IOPL | (v & FL_VIF ? FL_IF : 0);
    }
    return stack_push(c, in->osz, v);
}

static bool popf_vme(struct vcpu *c)
{
    u64 v, rsp = c->st.gpr[RSP], old = cpu_rflags(c);
    if (!stack_pop_at(c, &rsp, 2, &v))
        return false;
    if ((v & FL_TF) || ((v & FL_IF) && (old & FL_VIP)))
        return cpu_raise_err(c, EXC_GP, 0);
    u64 mask = (FL_ARITH | FL_TF | FL_DF | FL_NT) & 0xFFFF;
    stack_commit(c, rsp);
    cpu_set_rflags(c, (old & ~(mask | FL_RF | FL_VIF)) | (v & mask) | (v & FL_IF ? FL_VIF : 0));
    return true;
}

/* [APM3 POPF]: IOPL changes at CPL 0 only, IF at CPL <= IOPL; VM, VIF and VIP stay, RF is cleared. */
INSN(ONE, 9D, _, _, popf, _, D64 END, w:OSZAPCD, POPF, flags, gen)
SYS(popf)
{
    if (cpu_vm86(c) && cpu_iopl(c) < 3) {
        if (!(c->st.cr4 & CR4_VME) || in->osz != 2)
            return cpu_raise_err(c, EXC_GP, 0);
        return popf_vme(c);
    }
    u64 v, rsp = c->st.gpr[RSP], old = cpu_rflags(c);
    if (!stack_pop_at(c, &rsp, in->osz, &v))
        return false;
    u64 mask = FL_ARITH | FL_TF | FL_DF | FL_NT;
    if (in->osz != 2)
        mask |= FL_AC | FL_ID;
    if (c->st.cpl == 0 || !cpu_pe(c))
        mask |= FL_IOPL;
    if (c->st.cpl <= cpu_iopl(c) || !cpu_pe(c))
        mask |= FL_IF;
    stack_commit(c, rsp);
    cpu_set_rflags(c, (old & ~(mask | FL_RF)) | (v & mask));
    return true;
}

/* [APM3 ENTER]. The frame's last byte is probed for writing, as the processor does, before anything changes. */
INSN(ONE, C8, _, _, enter, Iw Ib, D64, _, _, string, gen)
SYS(enter)
{
    unsigned w = in->osz, sw = cpu_stack_width(c), level = in->imm2 & 31;
    u64 rsp = c->st.gpr[RSP], rbp = c->st.gpr[RBP], v;
    if (!probe_pushes(c, w, level ? level + 1 : 1) || !stack_push_at(c, &rsp, w, rbp))
        return false;
    u64 frame = rsp;
    for (unsigned i = 1; i < level; i++) {
        rbp -= w;
        if (!mem_read(c, SEG_SS, zext(rbp, sw), w, &v) || !stack_push_at(c, &rsp, w, v))
            return false;
    }
    if (level && !stack_push_at(c, &rsp, w, frame))
        return false;
    rsp = zext(rsp - (u16)in->imm, sw);
    if (!mem_probe_write(c, SEG_SS, rsp, w))
        return false;
    gpr_set(c, RBP, w, frame);
    stack_commit(c, rsp);
    return true;
}

INSN(ONE, C9, _, _, leave, _, D64, _, _, load, gen)
SYS(leave)
{
    u64 v, rsp = zext(c->st.gpr[RBP], cpu_stack_width(c));
    if (!stack_pop_at(c, &rsp, in->osz, &v))
        return false;
    stack_commit(c, rsp);
    gpr_set(c, RBP, in->osz, v);
    return true;
}
