// SPDX-License-Identifier: MIT
/* MONITOR, MWAIT and their user-level forms. [APM3 MONITOR, MWAIT, MONITORX, MWAITX]
 *
 * The armed line's page is flagged, so that every write to it comes by the bus, whose hook (exec) disarms and wakes. A wait may end without
 * a cause: one for a line without memory behind it, which nothing could watch, ends at once. */
#include "cpu/internal.h"
#include "isa/isa.h"

static bool watch_line(struct vcpu *c)
{
    struct phys_page p;
    if (!phys_lookup(&c->view, (struct spa){ c->st.monitor_addr }, &p) || !p.host)
        return false;
    page_flags_set(c->view.bus, p.bpn, PGF_MONITOR);
    return true;
}

static bool monitor(struct vcpu *c, const struct insn *in)
{
    struct mmu_xl xl;
    struct mmu_fault f;
    u64 lin, off = zext(c->st.gpr[RAX], in->asz);
    if (c->st.gpr[RCX] & 0xFFFFFFFF) /* no extension is defined */
        return cpu_raise_err(c, EXC_GP, 0);
    if (!seg_linear(c, in->seg, off, 1, ACC_R, &lin))
        return false;
    if (!mmu_translate(&c->mmu, (struct gva){lin}, ACC_R, &xl, &f))
        return cpu_raise_pf(c, &f);
    if (cpu_icpt(c, ICPT_MONITOR)) /* after all exceptions */
        return cpu_exit(c, VMEXIT_MONITOR, 0, 0);
    c->st.monitor_addr = xl.spa.v & ~(u64)(MONITOR_LINE - 1);
    watch_line(c);
    return true;
}

static bool mwait(struct vcpu *c, u32 allowed)
{
    bool armed = c->st.monitor_addr != ~0ull;
    u32 ext = (u32)c->st.gpr[RCX];
    if (ext & ~allowed)
        return cpu_raise_err(c, EXC_GP, 0);
    if (armed && cpu_icpt(c, ICPT_MWAIT_CONDITIONAL))
        return cpu_exit(c, VMEXIT_MWAIT_CONDITIONAL, 0, 0);
    if (cpu_icpt(c, ICPT_MWAIT))
        return cpu_exit(c, VMEXIT_MWAIT, 0, 0);
    if (!armed) /* or written meanwhile: a NOP */
        return true;
    if (!watch_line(c)) {
        c->st.monitor_addr = ~0ull;
        return true;
    }
    c->st.activity = ACT_MWAIT;
    c->st.mwait_masked = ext & 1;
    c->attn |= ATTN_EVENT;
    return true;
}

/* AMD: #UD, not #GP, above CPL 0. */
INSN(0F, 01, NP, =C8, monitor, _, F:MONITOR, _, body:MONITOR, sys, gen)
SYS(monitor) { return c->st.cpl ? cpu_raise(c, EXC_UD) : monitor(c, in); }
INSN(0F, 01, NP, =C9, mwait, _, END F:MONITOR, _, body:MWAIT, halt, gen)
SYS(mwait)
{
    (void)in;
    return c->st.cpl ? cpu_raise(c, EXC_UD) : mwait(c, 1);
}
INSN(0F, 01, NP, =FA, monitorx, _, F:MONITORX, _, body:MONITOR, sys, gen)
SYS(monitorx) { return monitor(c, in); }
/* ECX[1] asks for a timeout in EBX TSC ticks: treated as elapsed at once when nothing else would wake. */
INSN(0F, 01, NP, =FB, mwaitx, _, END F:MONITORX, _, body:MWAIT, halt, gen)
SYS(mwaitx)
{
    (void)in;
    if ((c->st.gpr[RCX] & 2) && !cpu_icpt(c, ICPT_MWAIT) && !cpu_icpt(c, ICPT_MWAIT_CONDITIONAL) && !((u32)c->st.gpr[RCX] & ~3u)) {
        c->st.monitor_addr = ~0ull;
        cpu_charge(c, (u64)(u32)c->st.gpr[RBX] > 0xFFFF ? 0xFFFFull * TICKS_PER_CYCLE : (u32)c->st.gpr[RBX] * (u64)TICKS_PER_CYCLE);
        return true;
    }
    return mwait(c, 3);
}
