// SPDX-License-Identifier: MIT
#include "dev/hpet.h"

#include "base/bits.h"

enum { GENERAL_ENABLE = 1, GENERAL_LEGACY = 2 };
enum { T_LEVEL = 1 << 1, T_ENABLE = 1 << 2, T_PERIODIC = 1 << 3, T_CAN_PERIODIC = 1 << 4, T_CAN_64 = 1 << 5, T_SET = 1 << 6, T_32 = 1 << 8 };
#define T_WRITABLE 0x3F4Eu /* level, enable, periodic, accumulator set, 32-bit, route; no message delivery */
enum { REG_ID = 0x00, REG_CONFIG = 0x10, REG_STATUS = 0x20, REG_COUNT = 0xF0, REG_TIMER = 0x100 };
#define PERIOD_FS (1000000000000000ull / HPET_HZ)
/* Matches further away than this are looked at again on the way: times stay inside of 64 bits. */
#define FAR_COUNTS (1ull << 40)

static u64 count_at(const struct hpet *h, u64 ticks)
{
    if (!(h->s.config & GENERAL_ENABLE) || ticks < h->s.base_ticks)
        return h->s.count;
    return h->s.count + clock_ticks_to(h->clock, ticks - h->s.base_ticks, HPET_HZ);
}

static u64 timer_mask(const struct hpet_timer *t) { return t->config & T_32 ? 0xFFFFFFFF : ~0ull; }

/* Counts from `seen` to the next match, less one. */
static u64 distance(const struct hpet *h, const struct hpet_timer *t)
{
    return (t->compare - h->s.seen - 1) & timer_mask(t);
}

static void drive(struct hpet *h, unsigned i, bool level)
{
    if (i < 2 && (h->s.config & GENERAL_LEGACY))
        h->out.legacy_irq(h->out.ctx, i ? 8 : 0, level);
    else if (HPET_ROUTES >> (h->s.timer[i].config >> 9 & 31) & 1)
        h->out.pin(h->out.ctx, h->s.timer[i].config >> 9 & 31, level);
}

static void matched(struct hpet *h, unsigned i)
{
    struct hpet_timer *t = &h->s.timer[i];
    if (t->config & T_LEVEL) {
        h->s.status |= 1ull << i;
        if (t->config & T_ENABLE)
            drive(h, i, true);
    } else if (t->config & T_ENABLE) {
        drive(h, i, true);
        drive(h, i, false);
    }
}

/* Handles all matches up to the counter's present value: several periods that were missed make one interrupt. */
static void catch_up(struct hpet *h)
{
    u64 now = count_at(h, h->clock->now), passed = now - h->s.seen;
    if (!(h->s.config & GENERAL_ENABLE) || !passed)
        return;
    for (unsigned i = 0; i < HPET_TIMERS; i++) {
        struct hpet_timer *t = &h->s.timer[i];
        u64 d = distance(h, t);
        if (passed - 1 < d)
            continue;
        if ((t->config & T_PERIODIC) && t->period)
            t->compare = (t->compare + t->period * ((passed - 1 - d) / t->period + 1)) & timer_mask(t);
        matched(h, i);
    }
    h->s.seen = now;
}

static void rearm(struct hpet *h)
{
    u64 least = ~0ull;
    for (unsigned i = 0; i < HPET_TIMERS && (h->s.config & GENERAL_ENABLE); i++) {
        const struct hpet_timer *t = &h->s.timer[i];
        u64 d = distance(h, t);
        if ((t->config & T_ENABLE) && d < least)
            least = d;
    }
    if (least == ~0ull) {
        clock_disarm(h->clock, &h->event);
        return;
    }
    least = least < FAR_COUNTS ? least : FAR_COUNTS;
    clock_arm(h->clock, &h->event, h->s.base_ticks + clock_ticks_from(h->clock, h->s.seen - h->s.count + least + 1, HPET_HZ));
}

static void event_fire(void *ctx)
{
    catch_up(ctx);
    rearm(ctx);
}

static u64 read_register(struct hpet *h, u64 reg)
{
    switch (reg) {
    case REG_ID: return PERIOD_FS << 32 | HPET_ID;
    case REG_CONFIG: return h->s.config;
    case REG_STATUS: return h->s.status;
    case REG_COUNT: return count_at(h, clock_show(h->clock, h->clock->now));
    default: break;
    }
    if (reg < REG_TIMER || reg >= REG_TIMER + 0x20 * HPET_TIMERS)
        return 0;
    const struct hpet_timer *t = &h->s.timer[(reg - REG_TIMER) / 0x20];
    switch (reg & 0x1F) {
    case 0x00: return t->config | T_CAN_PERIODIC | T_CAN_64 | (u64)HPET_ROUTES << 32;
    case 0x08: return t->compare;
    default: return 0;
    }
}

static void write_config(struct hpet *h, u64 v)
{
    u64 old = h->s.config;
    h->s.count = count_at(h, h->clock->now); /* halting keeps the value, starting goes on from it */
    h->s.base_ticks = h->clock->now;
    h->s.seen = h->s.count;
    for (unsigned i = 0; i < 2; i++)
        if ((old ^ v) & GENERAL_LEGACY)
            drive(h, i, false);
    h->s.config = v & (GENERAL_ENABLE | GENERAL_LEGACY);
    if ((old ^ v) & GENERAL_LEGACY)
        h->out.legacy_mode(h->out.ctx, v & GENERAL_LEGACY);
}

static void write_timer_config(struct hpet *h, unsigned i, u64 v)
{
    struct hpet_timer *t = &h->s.timer[i];
    if (t->config & T_LEVEL)
        drive(h, i, false);
    t->config = v & T_WRITABLE;
    if (t->config & T_32) {
        t->compare &= 0xFFFFFFFF;
        t->period &= 0xFFFFFFFF;
    }
    if (!(t->config & T_LEVEL))
        h->s.status &= ~(1ull << i);
    else if ((t->config & T_ENABLE) && (h->s.status >> i & 1))
        drive(h, i, true);
}

/* In periodic mode the value is the period, and with VAL_SET the next match too. */
static void write_compare(struct hpet_timer *t, u64 v, u64 mask)
{
    u64 limit = timer_mask(t);
    if (t->config & T_PERIODIC)
        t->period = ((t->period & ~mask) | v) & limit;
    if (!(t->config & T_PERIODIC) || (t->config & T_SET))
        t->compare = ((t->compare & ~mask) | v) & limit;
    t->config &= ~(u64)T_SET;
}

static void write_register(struct hpet *h, u64 reg, u64 v, u64 mask)
{
    u64 merged = (read_register(h, reg) & ~mask) | v;
    unsigned i = (unsigned)(reg - REG_TIMER) / 0x20;
    switch (reg) {
    case REG_CONFIG: write_config(h, merged); return;
    case REG_STATUS:
        for (i = 0; i < HPET_TIMERS; i++)
            if (h->s.status & v & 1ull << i)
                drive(h, i, false);
        h->s.status &= ~v;
        return;
    case REG_COUNT:
        if (!(h->s.config & GENERAL_ENABLE)) /* only while halted */
            h->s.count = h->s.seen = merged;
        return;
    default: break;
    }
    if (reg < REG_TIMER || i >= HPET_TIMERS)
        return;
    if ((reg & 0x1F) == 0)
        write_timer_config(h, i, merged);
    else if ((reg & 0x1F) == 8)
        write_compare(&h->s.timer[i], v, mask);
}

static u64 mmio_read(void *ctx, u64 off, unsigned width, int cpu)
{
    struct hpet *h = ctx;
    (void)cpu;
    catch_up(h);
    rearm(h);
    return zext(read_register(h, off & ~7ull) >> 8 * (off & 4), width);
}

static void mmio_write(void *ctx, u64 off, unsigned width, u64 value, int cpu)
{
    struct hpet *h = ctx;
    unsigned shift = 8 * (off & 4);
    (void)cpu;
    catch_up(h);
    write_register(h, off & ~7ull, zext(value, width) << shift, width_mask(width) << shift);
    rearm(h);
}

static const struct mmio_ops ops = { mmio_read, mmio_write, 4, 8 };

void hpet_reset(struct hpet *h)
{
    bool legacy = h->s.config & GENERAL_LEGACY;
    for (unsigned i = 0; i < HPET_TIMERS; i++)
        if (h->s.status >> i & 1)
            drive(h, i, false);
    clock_disarm(h->clock, &h->event);
    h->s = (struct hpet_state){ 0 };
    for (unsigned i = 0; i < HPET_TIMERS; i++)
        h->s.timer[i].compare = ~0ull;
    if (legacy)
        h->out.legacy_mode(h->out.ctx, false);
}

bool hpet_init(struct hpet *h, struct bus *b, struct clock *c, const struct hpet_out *out)
{
    *h = (struct hpet){ .clock = c, .out = *out };
    h->event = (struct clock_event){ .fire = event_fire, .ctx = h, .name = "hpet" };
    hpet_reset(h);
    return bus_add_mmio(b, HPET_SPA, PAGE_SIZE, &ops, h, "hpet");
}
