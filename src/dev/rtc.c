// SPDX-License-Identifier: MIT
/* MC146818 [Motorola data sheet]. Time registers are computed from virtual time; flags are caught up when looked at. */
#include "dev/rtc.h"

#include "base/bits.h"

enum { SEC, SEC_ALARM, MIN, MIN_ALARM, HOUR, HOUR_ALARM, WDAY, MDAY, MONTH, YEAR, REG_A, REG_B, REG_C, REG_D };
enum { A_UIP = 0x80, B_SET = 0x80, B_PIE = 0x40, B_AIE = 0x20, B_UIE = 0x10, B_DM = 4, B_24 = 2 };
enum { C_IRQF = 0x80, C_PF = 0x40, C_AF = 0x20, C_UF = 0x10 };
#define DAY_SECONDS 86400
/* Update-in-progress is seen 244 us before an update that takes 1984 us [MC146818, "Update Cycle"]. */
#define UIP_HZ 1000000u
#define UIP_MICROSECONDS 2228u

static u8 encode(const struct rtc *r, unsigned v) { return (u8)(r->s.ram[REG_B] & B_DM ? v : v / 10 % 10 << 4 | v % 10); }
static unsigned decode(const struct rtc *r, u8 v) { return r->s.ram[REG_B] & B_DM ? v : (v >> 4) * 10u + (v & 15); }

static u8 encode_hour(const struct rtc *r, unsigned h)
{
    if (r->s.ram[REG_B] & B_24)
        return encode(r, h);
    return encode(r, h % 12 ? h % 12 : 12) | (h >= 12 ? 0x80 : 0);
}

static unsigned decode_hour(const struct rtc *r, u8 v)
{
    if (r->s.ram[REG_B] & B_24)
        return decode(r, v);
    return decode(r, v & 0x7F) % 12 + (v & 0x80 ? 12 : 0);
}

/* Days since 1970-01-01 of a proleptic Gregorian date, and back (March-based years of 400-year eras). */
static i64 days_from_date(i64 y, unsigned m, unsigned d)
{
    y -= m <= 2;
    i64 era = (y >= 0 ? y : y - 399) / 400;
    unsigned yoe = (unsigned)(y - era * 400), doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
    return era * 146097 + (i64)(yoe * 365 + yoe / 4 - yoe / 100 + doy) - 719468;
}

static void date_from_days(i64 z, i64 *y, unsigned *m, unsigned *d)
{
    z += 719468;
    i64 era = (z >= 0 ? z : z - 146096) / 146097;
    unsigned doe = (unsigned)(z - era * 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    *d = doy - (153 * mp + 2) / 5 + 1;
    *m = mp < 10 ? mp + 3 : mp - 9;
    *y = (i64)yoe + era * 400 + (*m <= 2);
}

static i64 floor_div(i64 a, i64 b) { return a / b - (a % b < 0); }

static i64 now_seconds(const struct rtc *r)
{
    return r->s.base_seconds + (i64)clock_ticks_to(r->clock, r->clock->now - r->s.base_ticks, 1);
}

static void fill_time(struct rtc *r, i64 t)
{
    i64 days = floor_div(t, DAY_SECONDS), y;
    unsigned s = (unsigned)(t - days * DAY_SECONDS), m, d;
    u8 *ram = r->s.ram;
    date_from_days(days, &y, &m, &d);
    ram[SEC] = encode(r, s % 60);
    ram[MIN] = encode(r, s / 60 % 60);
    ram[HOUR] = encode_hour(r, s / 3600);
    ram[WDAY] = encode(r, (unsigned)(((days + 4) % 7 + 7) % 7) + 1); /* 1970-01-01 was a Thursday (5) */
    ram[MDAY] = encode(r, d);
    ram[MONTH] = encode(r, m);
    ram[YEAR] = encode(r, (unsigned)((y % 100 + 100) % 100));
    ram[RTC_CENTURY] = encode(r, (unsigned)(y / 100 % 100));
}

/* Fields outside their range are brought inside: what a chip does with them is undefined. */
static i64 parse_time(const struct rtc *r)
{
    const u8 *ram = r->s.ram;
    unsigned m = decode(r, ram[MONTH]), d = decode(r, ram[MDAY]);
    i64 y = (i64)decode(r, ram[RTC_CENTURY]) * 100 + decode(r, ram[YEAR]) % 100;
    m = m < 1 ? 1 : m > 12 ? 12 : m;
    d = d < 1 ? 1 : d > 31 ? 31 : d;
    return days_from_date(y, m, d) * DAY_SECONDS + (i64)(decode_hour(r, ram[HOUR]) % 24) * 3600 +
           (i64)(decode(r, ram[MIN]) % 60) * 60 + decode(r, ram[SEC]) % 60;
}

/* An alarm byte of C0h-FFh matches everything. */
static bool alarm_at(const struct rtc *r, i64 t)
{
    const u8 *ram = r->s.ram;
    unsigned s = (unsigned)(t - floor_div(t, DAY_SECONDS) * DAY_SECONDS);
    return (ram[SEC_ALARM] >= 0xC0 || decode(r, ram[SEC_ALARM]) == s % 60) &&
           (ram[MIN_ALARM] >= 0xC0 || decode(r, ram[MIN_ALARM]) == s / 60 % 60) &&
           (ram[HOUR_ALARM] >= 0xC0 || decode_hour(r, ram[HOUR_ALARM]) == s / 3600);
}

static unsigned periodic_hz(const struct rtc *r)
{
    unsigned rs = r->s.ram[REG_A] & 15;
    if (!rs || (r->s.ram[REG_A] >> 4 & 7) != 2)
        return 0;
    return 32768u >> ((rs < 3 ? rs + 7 : rs) - 1);
}

static void catch_up(struct rtc *r)
{
    unsigned hz = periodic_hz(r);
    if (hz) {
        u64 periods = clock_ticks_to(r->clock, r->clock->now, hz);
        if (periods > r->s.seen_periods)
            r->s.ram[REG_C] |= C_PF;
        r->s.seen_periods = periods;
    }
    if (r->s.stopped)
        return;
    i64 now = now_seconds(r);
    if (now <= r->s.seen_seconds)
        return;
    i64 from = now - r->s.seen_seconds > DAY_SECONDS ? now - DAY_SECONDS : r->s.seen_seconds;
    for (i64 t = from + 1; t <= now && !(r->s.ram[REG_C] & C_AF); t++)
        if (alarm_at(r, t))
            r->s.ram[REG_C] |= C_AF;
    r->s.ram[REG_C] |= C_UF;
    r->s.seen_seconds = now;
}

/* Line and next event. While the line is up nothing new can be seen, so nothing is armed. */
static void update(struct rtc *r)
{
    u8 *ram = r->s.ram, enabled = ram[REG_B] & (B_PIE | B_AIE | B_UIE);
    catch_up(r);
    bool irq = ram[REG_C] & enabled;
    ram[REG_C] = (u8)((ram[REG_C] & 0x7F) | (irq ? C_IRQF : 0));
    irq_set(&r->irq8, irq);
    u64 when = ~0ull, t;
    unsigned hz = periodic_hz(r);
    if ((enabled & B_PIE) && hz)
        when = clock_ticks_from(r->clock, r->s.seen_periods + 1, hz);
    if ((enabled & (B_AIE | B_UIE)) && !r->s.stopped) {
        t = r->s.base_ticks + clock_ticks_from(r->clock, (u64)(r->s.seen_seconds - r->s.base_seconds) + 1, 1);
        when = t < when ? t : when;
    }
    if (irq || when == ~0ull)
        clock_disarm(r->clock, &r->event);
    else
        clock_arm(r->clock, &r->event, when);
}

static void event_fire(void *ctx) { update(ctx); }

static bool updating(const struct rtc *r)
{
    if (r->s.stopped)
        return false;
    u64 us = clock_ticks_to(r->clock, r->clock->now - r->s.base_ticks, UIP_HZ) % UIP_HZ;
    return us >= UIP_HZ - UIP_MICROSECONDS;
}

static bool is_time(u8 i)
{
    return i == RTC_CENTURY || (i <= YEAR && i != SEC_ALARM && i != MIN_ALARM && i != HOUR_ALARM);
}

u8 rtc_peek(struct rtc *r, u8 index)
{
    index &= 0x7F;
    if (is_time(index) && !r->s.stopped)
        fill_time(r, now_seconds(r));
    if (index == REG_A)
        return (u8)(r->s.ram[REG_A] | (updating(r) ? A_UIP : 0));
    return index == REG_D ? 0x80 : r->s.ram[index];
}

static void set_time(struct rtc *r, u64 base_ticks)
{
    r->s.base_seconds = r->s.seen_seconds = parse_time(r);
    r->s.base_ticks = base_ticks;
}

/* SET or a divider other than 32 kHz stops the clock; the first update after a divider reset comes half a second later. */
static void control_changed(struct rtc *r, bool divider)
{
    bool stop = (r->s.ram[REG_B] & B_SET) || (r->s.ram[REG_A] >> 4 & 7) != 2;
    u64 now = r->clock->now, half = clock_ticks_from(r->clock, 1, 2);
    if (r->s.stopped && !stop)
        set_time(r, divider && now > half ? now - half : now);
    r->s.stopped = stop;
}

void rtc_poke(struct rtc *r, u8 index, u8 value)
{
    u8 *ram = r->s.ram;
    index &= 0x7F;
    catch_up(r);
    if (!r->s.stopped)
        fill_time(r, now_seconds(r));
    switch (index) {
    case REG_A:
        ram[REG_A] = value & 0x7F;
        r->s.seen_periods = periodic_hz(r) ? clock_ticks_to(r->clock, r->clock->now, periodic_hz(r)) : 0;
        control_changed(r, true);
        break;
    case REG_B:
        ram[REG_B] = value & B_SET ? value & (u8)~B_UIE : value;
        control_changed(r, false);
        break;
    case REG_C: case REG_D: break;
    default:
        ram[index] = value;
        if (is_time(index) && !r->s.stopped) { /* the phase within the second stays */
            u64 whole = clock_ticks_to(r->clock, r->clock->now - r->s.base_ticks, 1);
            set_time(r, r->s.base_ticks + clock_ticks_from(r->clock, whole, 1));
        }
        break;
    }
    update(r);
}

static u64 rtc_read(void *ctx, u64 off, unsigned width, int cpu)
{
    struct rtc *r = ctx;
    (void)width, (void)cpu;
    if (off == 0)
        return 0xFF; /* the index is write-only */
    update(r);
    u8 v = rtc_peek(r, r->s.index);
    if (r->s.index == REG_C) {
        r->s.ram[REG_C] = 0;
        update(r);
    }
    return v;
}

static void rtc_write(void *ctx, u64 off, unsigned width, u64 value, int cpu)
{
    struct rtc *r = ctx;
    (void)width, (void)cpu;
    if (off) {
        rtc_poke(r, r->s.index, (u8)value);
        return;
    }
    r->s.index = value & 0x7F;
    r->s.nmi_mask = value >> 7 & 1;
}

void rtc_set_memory(struct rtc *r, u64 below_4g, u64 above_4g, unsigned cpus)
{
    u64 ext = below_4g > 0x100000 ? (below_4g - 0x100000) >> 10 : 0;
    u64 high = below_4g > 0x1000000 ? (below_4g - 0x1000000) >> 16 : 0, top = above_4g >> 16;
    u8 *ram = r->s.ram;
    store_le(ram + 0x15, 2, 640);
    store_le(ram + 0x17, 2, ext > 0xFFFF ? 0xFFFF : ext);
    store_le(ram + 0x30, 2, ext > 0xFFFF ? 0xFFFF : ext);
    store_le(ram + 0x34, 2, high > 0xFFFF ? 0xFFFF : high);
    store_le(ram + 0x5B, 3, top > 0xFFFFFF ? 0xFFFFFF : top);
    ram[0x5F] = (u8)(cpus > 256 ? 255 : cpus - 1);
}

void rtc_reset(struct rtc *r)
{
    catch_up(r);
    r->s.ram[REG_B] &= (u8)~(B_PIE | B_AIE | B_UIE | 8);
    r->s.ram[REG_C] = 0;
    r->s.index = 0;
    r->s.nmi_mask = false;
    update(r);
}

static const struct mmio_ops rtc_ops = { rtc_read, rtc_write, 1, 1 };

bool rtc_init(struct rtc *r, struct bus *b, struct clock *c, struct irq_line irq8, i64 epoch_seconds)
{
    *r = (struct rtc){ .clock = c, .irq8 = irq8 };
    r->event = (struct clock_event){ .fire = event_fire, .ctx = r, .name = "rtc" };
    r->s.ram[REG_A] = 0x26;
    r->s.ram[REG_B] = B_24;
    r->s.base_seconds = r->s.seen_seconds = epoch_seconds;
    r->s.base_ticks = c->now;
    r->s.seen_periods = clock_ticks_to(c, c->now, periodic_hz(r));
    rtc_reset(r);
    return bus_add_ports(b, 0x70, 2, &rtc_ops, r, "rtc");
}
