// SPDX-License-Identifier: MIT
/* The local APIC's timer: one-shot, periodic, TSC deadline. [APM2 16.4.1] */
#include "apic/private.h"

static unsigned timer_divider(const struct lapic *l)
{
    unsigned code = (l->s.dcr & 3) | (l->s.dcr >> 1 & 4);
    return code == 7 ? 1 : 2u << code;
}

static u64 timer_elapsed(const struct lapic *l)
{
    u64 t = l->clock->now - l->s.timer_start;
    return l->clock->now < l->s.timer_start ? 0 : clock_ticks_to(l->clock, t, l->cfg.timer_hz) / timer_divider(l);
}

u32 lapic_timer_count(const struct lapic *l)
{
    u64 gone = timer_elapsed(l);
    if (!l->s.initial || TIMER_MODE(l->s.lvt[LVT_TIMER]) == TIMER_DEADLINE)
        return 0;
    if (TIMER_MODE(l->s.lvt[LVT_TIMER]) == TIMER_PERIODIC)
        return (u32)(l->s.initial - gone % l->s.initial);
    return gone >= l->s.initial ? 0 : (u32)(l->s.initial - gone);
}

/* When the guest's TSC, which may lie behind the clock's, reaches the deadline. */
static u64 deadline_time(const struct lapic *l)
{
    u64 clock = clock_ticks_to(l->clock, l->clock->now, l->clock->tsc_hz), guest = clock + l->s.tsc_offset;
    if (l->s.deadline <= guest)
        return l->clock->now;
    u64 left = l->s.deadline - guest;
    return left > ~0ull - clock ? ~0ull : clock_ticks_from(l->clock, clock + left, l->clock->tsc_hz);
}

/* Arms the clock event for the next expiry that can be seen; expiries while masked are lost. */
void lapic_timer_arm(struct lapic *l)
{
    u32 lvt = l->s.lvt[LVT_TIMER];
    clock_disarm(l->clock, &l->timer);
    if (TIMER_MODE(lvt) == TIMER_DEADLINE) {
        if (l->s.deadline)
            clock_arm(l->clock, &l->timer, deadline_time(l));
        return;
    }
    if (!l->s.initial)
        return;
    u64 next = l->s.timer_fired + 1;
    if (TIMER_MODE(lvt) != TIMER_PERIODIC && l->s.timer_fired)
        return;
    clock_arm(l->clock, &l->timer,
              l->s.timer_start + clock_ticks_from(l->clock, next * l->s.initial * timer_divider(l), l->cfg.timer_hz));
}

/* A jump of the clock over many periods gives one interrupt, as the IRR bit would. */
void lapic_timer_fire(void *ctx)
{
    struct lapic *l = ctx;
    if (TIMER_MODE(l->s.lvt[LVT_TIMER]) == TIMER_DEADLINE)
        l->s.deadline = 0;
    else
        l->s.timer_fired = timer_elapsed(l) / l->s.initial;
    lapic_timer_arm(l);
    lapic_local_event(l, LVT_TIMER);
}

void lapic_timer_start(struct lapic *l)
{
    l->s.timer_start = l->clock->now;
    l->s.timer_fired = 0;
    lapic_timer_arm(l);
}

/* A new divider keeps the current count. */
void lapic_write_dcr(struct lapic *l, u32 v)
{
    u64 gone = timer_elapsed(l);
    l->s.dcr = v & 0xB;
    u64 back = clock_ticks_from(l->clock, gone * timer_divider(l), l->cfg.timer_hz);
    if (!l->s.initial || back > l->clock->now)
        return;
    l->s.timer_start = l->clock->now - back;
    lapic_timer_arm(l);
}

void lapic_write_lvt_timer(struct lapic *l, u32 v)
{
    u32 old = l->s.lvt[LVT_TIMER];
    if (TIMER_MODE(v) == 3 || (TIMER_MODE(v) == TIMER_DEADLINE && !l->cfg.tsc_deadline))
        v &= ~(3u << 17);
    l->s.lvt[LVT_TIMER] = v;
    if (TIMER_MODE(old) == TIMER_MODE(v))
        return;
    if (TIMER_MODE(v) == TIMER_DEADLINE || TIMER_MODE(old) == TIMER_DEADLINE) {
        l->s.deadline = 0; /* changing to or from deadline mode disarms the timer */
        l->s.initial = 0;
    } else if (l->s.initial) {
        u64 gone = timer_elapsed(l);
        l->s.timer_fired = TIMER_MODE(v) == TIMER_PERIODIC ? gone / l->s.initial : gone >= l->s.initial;
    }
    lapic_timer_arm(l);
}

void lapic_set_tsc_offset(struct lapic *l, u64 offset)
{
    l->s.tsc_offset = offset;
    if (l->s.deadline)
        lapic_timer_arm(l);
}
