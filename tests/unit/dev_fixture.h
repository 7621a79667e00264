// SPDX-License-Identifier: MIT
/* What the tests of devices share: a bus and a clock whose cycle is a nanosecond, accesses, lines that count their edges, random numbers. */
#ifndef TESTS_DEV_FIXTURE_H
#define TESTS_DEV_FIXTURE_H

#include "base/bits.h"
#include "bus/bus.h"
#include "bus/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <string.h>

enum { BOARD_HZ = 1000000000 };

struct board {
    struct bus *bus;
    struct phys_view view;
    struct clock clock;
};

static inline void board_init(struct board *b)
{
    b->bus = bus_create(40);
    b->view = (struct phys_view){ .bus = b->bus, .cpu = -1, .apic_page = ~0ull, .a20_mask = ~0ull };
    clock_init(&b->clock, BOARD_HZ, BOARD_HZ);
}

static inline void board_fini(struct board *b) { bus_destroy(b->bus); }

/* Event by event, as the machine moves time. */
static inline void board_run_to(struct board *b, u64 ticks)
{
    for (u64 e; (e = clock_next(&b->clock)) <= ticks;) {
        b->clock.now = e > b->clock.now ? e : b->clock.now;
        clock_run_due(&b->clock);
    }
    b->clock.now = ticks;
}

static inline void board_run_to_ns(struct board *b, u64 ns) { board_run_to(b, ns * TICKS_PER_CYCLE); }
/* All at once: events are late, as behind a long instruction. */
static inline void board_jump(struct board *b, u64 ticks)
{
    b->clock.now += ticks;
    clock_run_due(&b->clock);
}

static inline u64 board_in(struct board *b, u16 port, unsigned width) { return port_read(b->bus, port, width, 0); }
static inline void board_out(struct board *b, u16 port, unsigned width, u64 v) { port_write(b->bus, port, width, v, 0); }
static inline u64 board_rd(struct board *b, u64 spa, unsigned width) { return phys_read_le(&b->view, (struct spa){ spa }, width); }
static inline void board_wr(struct board *b, u64 spa, unsigned width, u64 v) { phys_write_le(&b->view, (struct spa){ spa }, width, v); }

/* A line that a device drives. */
struct wire {
    bool level;
    unsigned rises;
};

static inline void wire_set(void *ctx, unsigned n, bool level)
{
    struct wire *w = ctx;
    (void)n;
    w->rises += level && !w->level;
    w->level = level;
}

#define WIRE(w) ((struct irq_line){ wire_set, (w), 0 })

#define RANDOM_SEED 88172645463325252ull
static inline u64 random_next(u64 *r)
{
    *r ^= *r << 13, *r ^= *r >> 7, *r ^= *r << 17;
    return *r;
}

/* Random accesses to `ports` ports from `first`, time moving by steps of every size: what devices owe to any guest is to survive it. */
static inline void board_hammer(struct board *b, const u16 *first, unsigned count, unsigned ports, unsigned accesses, void (*also)(void *ctx, u64 r),
                                void *ctx)
{
    u64 r = RANDOM_SEED;
    for (unsigned i = 0; i < accesses; i++) {
        random_next(&r);
        unsigned width = 1u << (r & 3) % 3;
        u16 port = (u16)(first[(r >> 4 & 0xFF) % count] + (r >> 12 & 0xFF) % ports);
        if (r & 4)
            board_out(b, port, width, zext(r >> 20, width));
        else
            board_in(b, port, width);
        if (also)
            also(ctx, r);
        board_jump(b, r >> (r & 8 ? 36 : 50));
    }
}

#endif
