// SPDX-License-Identifier: MIT
/* SYSCALL, SYSRET, SYSENTER, SYSEXIT as AMD has them. [APM2 6.1, APM3] */
#include "cpu/internal.h"
#include "isa/isa.h"

/* Flat segments that these instructions make without reading a descriptor. */
static struct seg flat_code(u16 sel, unsigned dpl, bool l)
{
    return (struct seg){.limit = 0xFFFFFFFF, .sel = sel,
                        .attr = (u16)(ATTR_P | ATTR_S | ATTR_G | 0xB | dpl << 5 | (l ? ATTR_L : ATTR_DB))};
}

static struct seg flat_stack(u16 sel, unsigned dpl)
{
    return (struct seg){.limit = 0xFFFFFFFF, .sel = sel, .attr = (u16)(ATTR_P | ATTR_S | ATTR_G | ATTR_DB | 3 | dpl << 5)};
}

/* Every mode: what is not long mode is entered as protected mode's legacy form. */
/* The TF that counts is the one behind these: masked, it lets no #DB through to a kernel whose stack is not set up; loaded, it gives one
 * before the first instruction of the program. [APM3 SYSCALL, SYSRET] */
static bool trap_by_new_tf(struct vcpu *c)
{
    c->new_tf = true;
    if (c->st.rflags & FL_TF) {
        cpu_step_trap(c);
        c->attn |= ATTN_EVENT;
    }
    return true;
}

INSN(0F, 05, _, _, syscall, _, END F:SYSCALL, _, _, syscall, gen)
SYS(syscall)
{
    (void)in;
    u64 star = c->st.star, fl = cpu_rflags(c), target;
    if (!(c->st.efer & EFER_SCE))
        return cpu_raise(c, EXC_UD);
    u16 sel = (u16)(star >> 32 & 0xFFFC);
    bool lm = cpu_long(c);
    if (lm) {
        c->st.gpr[RCX] = c->next_rip;
        c->st.gpr[R11] = fl & ~(u64)FL_RF;
        target = cpu_code64(c) ? c->st.lstar : c->st.cstar;
        fl &= ~(c->st.sfmask | FL_RF);
    } else {
        c->st.gpr[RCX] = (u32)c->next_rip;
        target = (u32)star;
        fl &= ~(u64)(FL_IF | FL_VM | FL_RF);
    }
    c->st.seg[SEG_SS] = flat_stack((u16)(sel + 8), 0);
    cs_commit(c, flat_code(sel, 0, lm), 0);
    cpu_set_rflags(c, fl);
    c->next_rip = target;
    return trap_by_new_tf(c);
}

INSN(0F, 07, _, _, sysret, _, END F:SYSCALL, _, _, syscall, gen)
SYS(sysret)
{
    u16 base = (u16)(c->st.star >> 48);
    if (!(c->st.efer & EFER_SCE))
        return cpu_raise(c, EXC_UD);
    if (c->st.cpl || !cpu_protected(c))
        return cpu_raise_err(c, EXC_GP, 0);
    bool from64 = cpu_code64(c), to64 = from64 && in->osz == 8;
    u64 target = to64 ? c->st.gpr[RCX] : (u32)c->st.gpr[RCX];
    u64 fl = from64 ? c->st.gpr[R11] & FL_ALL & ~(u64)(FL_RF | FL_VM) : cpu_rflags(c) | FL_IF;
    /* Only the selector of SS changes: base, limit and attributes stay what they were (AMD). */
    c->st.seg[SEG_SS].sel = (u16)(base + 8);
    cs_commit(c, flat_code((u16)((to64 ? base + 16 : base) | 3), 3, to64), 3);
    cpu_set_rflags(c, fl);
    c->next_rip = target;
    return trap_by_new_tf(c);
}

INSN(0F, 34, _, _, sysenter, _, END F:SEP, _, _, syscall, gen)
SYS(sysenter)
{
    (void)in;
    u16 sel = (u16)(c->st.sysenter_cs & 0xFFFC);
    if (cpu_long(c)) /* AMD: legacy mode only */
        return cpu_raise(c, EXC_UD);
    if (!cpu_pe(c) || !sel)
        return cpu_raise_err(c, EXC_GP, 0);
    cpu_set_rflags(c, cpu_rflags(c) & ~(u64)(FL_VM | FL_IF | FL_RF));
    c->st.seg[SEG_SS] = flat_stack((u16)(sel + 8), 0);
    cs_commit(c, flat_code(sel, 0, false), 0);
    c->st.gpr[RSP] = (u32)c->st.sysenter_esp;
    c->next_rip = (u32)c->st.sysenter_eip;
    return true;
}

INSN(0F, 35, _, _, sysexit, _, END F:SEP, _, _, syscall, gen)
SYS(sysexit)
{
    (void)in;
    u16 sel = (u16)(c->st.sysenter_cs & 0xFFFC);
    if (cpu_long(c))
        return cpu_raise(c, EXC_UD);
    if (!cpu_protected(c) || !sel || c->st.cpl != 0)
        return cpu_raise_err(c, EXC_GP, 0);
    c->st.seg[SEG_SS] = flat_stack((u16)((sel + 24) | 3), 3);
    cs_commit(c, flat_code((u16)((sel + 16) | 3), 3, false), 3);
    c->st.gpr[RSP] = (u32)c->st.gpr[RCX];
    c->next_rip = (u32)c->st.gpr[RDX];
    return true;
}
