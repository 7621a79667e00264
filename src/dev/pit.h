// SPDX-License-Identifier: MIT
/* 8254 interval timer, ports 40h-43h, 105/88 MHz (1.193181818). Counters are computed when looked at. */
#ifndef SVMEMU_DEV_PIT_H
#define SVMEMU_DEV_PIT_H

#include "bus/bus.h"
#include "bus/clock.h"

struct pit_channel {
    u8 mode, rw;             /* mode 0-5; rw 1 LSB, 2 MSB, 3 LSB then MSB */
    bool bcd, gate;
    bool null_count;         /* a count was written that is not loaded yet */
    bool running;            /* the counter was loaded and counts (or is suspended by gate in `held`) */
    bool armed;              /* modes 1, 5: a count is there, waiting for a trigger */
    bool suspended;          /* gate low in modes 0, 2, 3, 4: counter stands still */
    u32 reload;              /* 1-65536 (10000 in BCD), 0 before the first count */
    u32 next_reload;         /* modes 2, 3: taken after take_at clocks; 0: none */
    u32 take_at;
    u32 held;                /* counter clocks gone by before `start` (resume after a gate pause) */
    u64 start;               /* PIT clock number at which the current count was loaded */
    bool write_high, read_high;
    u8 write_low;
    bool count_latched, status_latched, latch_high;
    u16 latch;
    u8 status;
    bool out;                /* level last told to the line */
    u64 rises;               /* rising edges of OUT since the count was loaded, as last told */
};

struct pit {
    struct pit_channel ch[3];
    struct clock *clock;
    struct clock_event event; /* next edge of channel 0's OUT */
    struct irq_line irq0;
};

bool pit_init(struct pit *p, struct bus *b, struct clock *c, struct irq_line irq0);
void pit_reset(struct pit *p);
void pit_bios_defaults(struct pit *p);                  /* channel 0: mode 3, 65536: 18.2 Hz */
void pit_set_gate(struct pit *p, unsigned ch, bool level);
bool pit_out(struct pit *p, unsigned ch);               /* OUT pin now */

#endif
