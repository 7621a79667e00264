// SPDX-License-Identifier: MIT
/* High Precision Event Timer [IA-PC HPET 1.0a]: a 64-bit counter of 25 MHz and three comparators, all periodic and one-shot. */
#ifndef SVMEMU_DEV_HPET_H
#define SVMEMU_DEV_HPET_H

#include "bus/bus.h"
#include "bus/clock.h"

#define HPET_SPA 0xFED00000u
#define HPET_HZ 25000000u
#define HPET_TIMERS 3u
#define HPET_ID 0x8086A201u      /* low half of the capabilities: revision 1, 3 timers, 64-bit, legacy replacement */
#define HPET_ROUTES 0x00F00000u  /* pins of the I/O APIC that a timer may choose */

struct hpet_timer {
    u64 config;     /* as read, without the read-only bits */
    u64 compare;
    u64 period;     /* last value written in periodic mode */
};

struct hpet_state {
    u64 config;     /* 010h */
    u64 status;     /* 020h: level-triggered timers that have fired */
    u64 count;      /* counter at base_ticks, or where it stands halted */
    u64 base_ticks;
    u64 seen;       /* counter value up to which matches have been handled */
    struct hpet_timer timer[HPET_TIMERS];
};

struct hpet_out {
    void *ctx;
    void (*pin)(void *ctx, unsigned pin, bool level);         /* of the I/O APIC */
    void (*legacy_irq)(void *ctx, unsigned irq, bool level);  /* 0 and 8, in place of PIT and RTC */
    void (*legacy_mode)(void *ctx, bool on);
};

struct hpet {
    struct hpet_state s;
    struct clock *clock;
    struct clock_event event;
    struct hpet_out out;
};

bool hpet_init(struct hpet *h, struct bus *b, struct clock *c, const struct hpet_out *out);
void hpet_reset(struct hpet *h);

#endif
