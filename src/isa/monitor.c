// SPDX-License-Identifier: MIT
/* MONITOR, MWAIT and their user-level forms. [APM3 MONITOR, MWAIT, MONITORX, MWAITX]
 *
 * Writes to the armed line are not watched. A wait may end at any time without a cause, so where another vCPU could write, it ends by itself
 * after a short time and software looks again; a lone vCPU sleeps until an event (a write by a device then comes with its interrupt). */
#include "cpu/internal.h"
#include "isa/isa.h"

enum { SHARED_WAIT_CYCLES = 2000 };

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
    c->st.monitor_addr = xl.spa.v & ~63ull;
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
        return cpu_exit(c, VMEXIT_MWAIT, armed, 0);
    /* Without an armed line it is a NOP. With ECX[0] an interrupt wakes even while IF is clear: such a wait ends at once, which
     * the architecture allows at any time, rather than sleep through it. */
    if (!armed)
        return true;
    c->st.monitor_addr = ~0ull;
    if ((ext & 1) && !(c->st.rflags & FL_IF))
        return true;
    if (c->cpus > 1) {
        cpu_charge(c, SHARED_WAIT_CYCLES * TICKS_PER_CYCLE);
        return true;
    }
    c->st.activity = ACT_MWAIT;
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
