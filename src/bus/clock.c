// SPDX-License-Identifier: MIT
/* Virtual time: one list of events sorted by time, and exact conversions between ticks and other rates. */
#include "bus/clock.h"

#include <string.h>

void clock_init(struct clock *c, u64 core_hz, u64 tsc_hz)
{
    memset(c, 0, sizeof(*c));
    c->core_hz = core_hz ? core_hz : 1;
    c->tsc_hz = tsc_hz ? tsc_hz : 1;
}

void clock_disarm(struct clock *c, struct clock_event *e)
{
    if (!e->armed)
        return;
    for (struct clock_event **p = &c->head; *p; p = &(*p)->next) {
        if (*p == e) {
            *p = e->next;
            break;
        }
    }
    e->armed = false;
    e->next = NULL;
}

void clock_arm(struct clock *c, struct clock_event *e, u64 when)
{
    struct clock_event **p = &c->head;

    clock_disarm(c, e);
    /* Behind all events of the same time: equal times fire in the order of arming. */
    while (*p && (*p)->when <= when)
        p = &(*p)->next;
    e->when = when;
    e->seq = c->seq++;
    e->armed = true;
    e->next = *p;
    *p = e;
    if (c->shorten && when < c->limit)
        c->shorten(c->shorten_ctx, when);
}

u64 clock_next(const struct clock *c)
{
    return c->head ? c->head->when : ~0ull;
}

void clock_run_due(struct clock *c)
{
    u32 first_new = c->seq;
    u64 reached = 0;
    bool any = false;

    for (;;) {
        struct clock_event *e = c->head;
        /* An event that a handler armed for the time just reached or earlier waits for the next turn, so that one that
         * always re-arms itself for "now" cannot hold the machine here. */
        while (e && any && (i32)(e->seq - first_new) >= 0 && e->when <= reached)
            e = e->next;
        if (!e || e->when > c->now)
            return;
        if (!any || e->when > reached) {
            reached = e->when;
            first_new = c->seq;
        }
        any = true;
        clock_disarm(c, e);
        e->fire(e->ctx);
    }
}

u64 clock_ticks_to(const struct clock *c, u64 ticks, u64 hz)
{
    if (hz == c->core_hz)
        return ticks / TICKS_PER_CYCLE;
    u128 r = (u128)ticks * hz / ((u128)c->core_hz * TICKS_PER_CYCLE);
    return r > ~0ull ? ~0ull : (u64)r;
}

u64 clock_ticks_from(const struct clock *c, u64 count, u64 hz)
{
    u128 unit = (u128)c->core_hz * TICKS_PER_CYCLE;

    if (!hz)
        return ~0ull;
    /* count * unit fits 128 bits as long as the core clock is below 2^58 Hz. */
    u128 r = ((u128)count * unit + hz - 1) / hz;
    return r > ~0ull ? ~0ull : (u64)r;
}

u64 clock_show(struct clock *c, u64 ticks)
{
    if (ticks > c->shown)
        c->shown = ticks;
    return c->shown;
}

/* How far the TSC shown may run ahead of a processor's own time, in ticks: some rounds. */
#define LEAD_MAX (64ull << 16)

u64 clock_tsc(struct clock *c)
{
    /* A processor whose turn comes after another's reads what that one was shown, and a count more each time: the TSC never stands still.
     * [APM3 RDTSC] A read costs many counts, so this lead dies away. */
    if (c->now < c->shown && c->shown - c->now < LEAD_MAX)
        c->shown += clock_ticks_from(c, 1, c->tsc_hz);
    return clock_ticks_to(c, clock_show(c, c->now), c->tsc_hz);
}
