// SPDX-License-Identifier: MIT
/* Near jumps, time charged by instructions, and port access. */
#include "cpu/internal.h"

bool cpu_jump(struct vcpu *c, u64 target, unsigned osz)
{
    target = zext(target, osz);
    bool ok = cpu_code64(c) ? cpu_canonical(c, target) : target <= c->st.seg[SEG_CS].limit;
    if (UNLIKELY(!ok))
        return cpu_raise_err(c, EXC_GP, 0);
    c->next_rip = target;
    return true;
}

/* budget holds (ticks left << 24) | instructions done, see exec/exec.h */
void cpu_charge(struct vcpu *c, u64 ticks)
{
    c->budget -= (i64)(ticks << 24);
}

void cpu_charge_class(struct vcpu *c, enum timing_class id)
{
    if (c->cost)
        cpu_charge(c, c->cost[id]);
}

/* The TSS's I/O permission map [APM2 12.2.4]. */
static bool io_map_allows(struct vcpu *c, u16 port, unsigned width, bool *ok)
{
    const struct seg *tr = &c->st.seg[SEG_TR];
    u64 map, v;
    *ok = false;
    if (!(tr->attr & 8) || tr->limit < 0x67) /* only 32- and 64-bit TSSs have a map */
        return true;
    if (!lin_read(c, tr->base + 0x66, 2, ACC_R | ACC_SYS, &map))
        return false;
    map += port / 8;
    if (map + 1 > tr->limit)
        return true;
    if (!lin_read(c, tr->base + map, 2, ACC_R | ACC_SYS, &v))
        return false;
    *ok = !(v >> (port & 7) & ((1u << width) - 1));
    return true;
}

bool io_check(struct vcpu *c, u16 port, unsigned width)
{
    bool ok = true;
    if (cpu_pe(c) && (cpu_vm86(c) || c->st.cpl > cpu_iopl(c)) && !io_map_allows(c, port, width, &ok))
        return false;
    return ok || cpu_raise_err(c, EXC_GP, 0);
}

/* I/O breakpoints trap after the access [APM2 13.1.4]; GIF = 0 drops them. */
static void io_breakpoints(struct vcpu *c, u16 port, unsigned width)
{
    if (LIKELY(!(c->st.dr7 & 0xFF)) || !(c->st.cr4 & CR4_DE) || !c->st.gif)
        return;
    for (unsigned i = 0; i < 4; i++) {
        unsigned rw = c->st.dr7 >> (16 + 4 * i) & 3, len = (c->st.dr7 >> (18 + 4 * i) & 3) + 1;
        u64 first = c->st.dr[i] & ~(u64)(len - 1);
        if (rw == 2 && (c->st.dr7 >> (2 * i) & 3) && port + width > first && port < first + len) {
            c->trap_dr6 |= BIT(i);
            c->pending |= PEND_TRAP;
        }
    }
}

/* Devices ask for the time, so it is folded first. */
u64 io_read(struct vcpu *c, u16 port, unsigned width)
{
    if (c->fold)
        c->fold(c);
    io_breakpoints(c, port, width);
    return port_read(c->view.bus, port, width, c->index);
}

void io_write(struct vcpu *c, u16 port, unsigned width, u64 v)
{
    if (c->fold)
        c->fold(c);
    io_breakpoints(c, port, width);
    port_write(c->view.bus, port, width, v, c->index);
}
