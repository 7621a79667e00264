// SPDX-License-Identifier: MIT
/* MC146818 real-time clock and CMOS RAM, ports 70h-71h. The date is a start date plus virtual time. */
#ifndef SVMEMU_DEV_RTC_H
#define SVMEMU_DEV_RTC_H

#include "bus/bus.h"
#include "bus/clock.h"

#define RTC_CENTURY 0x32u

struct rtc_state {
    u8 ram[128];         /* 00h-0Dh are kept here in the guest's format but for the time, which is computed */
    u8 index;
    bool nmi_mask;       /* port 70h bit 7 */
    i64 base_seconds;    /* seconds since 1970 at base_ticks */
    u64 base_ticks;      /* clock time at which a second began */
    bool stopped;
    u64 seen_periods;    /* periods of the chosen rate since power-on that have set PF */
    i64 seen_seconds;    /* updates done so far (absolute seconds) */
};

struct rtc {
    struct rtc_state s;
    struct clock *clock;
    struct clock_event event;
    struct irq_line irq8;
};

bool rtc_init(struct rtc *r, struct bus *b, struct clock *c, struct irq_line irq8, i64 epoch_seconds);
void rtc_reset(struct rtc *r);                          /* RESET#: interrupts off, time and RAM kept */
/* Memory size bytes as a PC BIOS leaves them: base 640 KiB, extended, above 16 MiB, above 4 GiB; CPUs - 1 at 5Fh. */
void rtc_set_memory(struct rtc *r, u64 below_4g, u64 above_4g, unsigned cpus);
u8 rtc_peek(struct rtc *r, u8 index);                   /* without side effects */
void rtc_poke(struct rtc *r, u8 index, u8 value);

#endif
