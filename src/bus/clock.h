// SPDX-License-Identifier: MIT
/* Virtual time and the one event list of a machine. Time counts ticks of 1/64 core cycle. */
#ifndef SVMEMU_BUS_CLOCK_H
#define SVMEMU_BUS_CLOCK_H

#include "base/types.h"

#define TICKS_PER_CYCLE 64u

struct clock_event {
    u64 when;                   /* absolute ticks, valid while armed */
    void (*fire)(void *ctx);
    void *ctx;
    const char *name;
    u32 seq;                    /* order of arming among equal times */
    bool armed;
    struct clock_event *next;   /* private */
};

struct clock {
    u64 now;                    /* ticks; while a vCPU runs, its local time at its last sync */
    u64 core_hz, tsc_hz;
    u64 shown;                  /* largest clock value shown to any vCPU, in ticks: reads never go below it */
    struct clock_event *head;   /* sorted by (when, seq) */
    u32 seq;
    /* Called when an event is armed earlier than `limit` (the running slice's end): exec shortens the slice. */
    u64 limit;
    void (*shorten)(void *ctx, u64 when);
    void *shorten_ctx;
};

void clock_init(struct clock *c, u64 core_hz, u64 tsc_hz);
void clock_arm(struct clock *c, struct clock_event *e, u64 when);    /* re-arms if armed; a past time fires at the next turn */
void clock_disarm(struct clock *c, struct clock_event *e);
u64 clock_next(const struct clock *c);                               /* ~0 when none */
void clock_run_due(struct clock *c);                                 /* fires every event with when <= now, in order */

/* Exact conversions between ticks and a device rate (floor; 128-bit inside). */
u64 clock_ticks_to(const struct clock *c, u64 ticks, u64 hz);        /* device periods elapsed at time `ticks` */
u64 clock_ticks_from(const struct clock *c, u64 count, u64 hz);      /* smallest time at which `count` periods have elapsed */
u64 clock_show(struct clock *c, u64 ticks);                          /* monotone over all vCPUs: max(shown, ticks), remembered */
u64 clock_tsc(struct clock *c);                                      /* TSC count at clock_show(now), each time another */

/* An interrupt or signal line. */
struct irq_line {
    void (*set)(void *ctx, unsigned n, bool level);
    void *ctx;
    unsigned n;
};
static inline void irq_set(const struct irq_line *l, bool level)
{
    if (l->set)
        l->set(l->ctx, l->n, level);
}

#endif
