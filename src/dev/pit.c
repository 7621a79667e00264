// SPDX-License-Identifier: MIT
/* 8254: counters are functions of the PIT clock number; only OUT of channel 0 needs events [Intel 8254 data sheet]. */
#include "dev/pit.h"

#include "base/bits.h"

/* 105/88 MHz is 13125000 / 11 Hz. */
#define PIT_HZ_NUM 13125000u
#define PIT_HZ_DEN 11u

static u64 pit_clock(const struct pit *p) { return clock_ticks_to(p->clock, p->clock->now, PIT_HZ_NUM) / PIT_HZ_DEN; }

static bool retriggered(const struct pit_channel *c) { return c->mode == 1 || c->mode == 5; }
static bool periodic(const struct pit_channel *c) { return c->mode == 2 || c->mode == 3; }

static u64 elapsed(const struct pit_channel *c, u64 now)
{
    u64 e = c->held;
    if (!c->suspended && now > c->start)
        e += now - c->start;
    return e;
}

/* OUT of mode 3 is high for the longer half. */
static u64 high_half(const struct pit_channel *c) { return (c->reload + 1) / 2; }

/* A new count is taken at the end of the period, in mode 3 of the half period, that was running when it was written. */
static bool takes_count(const struct pit_channel *c, u64 now)
{
    return c->running && c->next_reload && periodic(c) && elapsed(c, now) >= c->take_at;
}

static void sync_channel(struct pit_channel *c, u64 now)
{
    if (!takes_count(c, now))
        return;
    bool low_half = c->take_at < c->reload; /* of the new count */
    c->start += c->take_at - c->held;
    c->reload = c->next_reload;
    c->held = low_half ? (u32)high_half(c) : 0;
    c->next_reload = 0;
    c->null_count = false;
    c->rises = 0; /* the edge at the period's end is told by its own look: see update_line */
}

static bool channel_out(const struct pit_channel *c, u64 now)
{
    u64 e = elapsed(c, now);
    if (!c->running)
        return c->mode != 0;
    switch (c->mode) {
    case 0: return !c->write_high && e >= c->reload; /* low from the first byte of a new count on */
    case 1: return e >= c->reload;
    case 2: return c->suspended || e % c->reload != c->reload - 1;
    case 3: return c->suspended || e % c->reload < high_half(c);
    default: return e != c->reload;
    }
}

static u64 channel_rises(const struct pit_channel *c, u64 now)
{
    u64 e = elapsed(c, now);
    if (!c->running)
        return 0;
    if (periodic(c))
        return c->suspended ? c->rises : e / c->reload;
    return c->mode < 2 ? e >= c->reload : e > c->reload;
}

static u16 to_bcd(u32 v) { return (u16)((v / 1000 % 10) << 12 | (v / 100 % 10) << 8 | (v / 10 % 10) << 4 | v % 10); }
static u32 from_bcd(u16 v) { return (v >> 12) * 1000u + (v >> 8 & 15) * 100u + (v >> 4 & 15) * 10u + (v & 15); }

static u16 channel_count(const struct pit_channel *c, u64 now)
{
    u64 e = elapsed(c, now);
    u32 span = c->bcd ? 10000 : 65536, v;
    if (!c->running)
        v = c->reload;
    else if (c->mode == 2)
        v = (u32)(c->reload - e % c->reload);
    else if (c->mode == 3) /* each half counts from the even count down by two */
        v = (u32)((c->reload & ~1u) - 2 * (e % c->reload < high_half(c) ? e % c->reload : e % c->reload - high_half(c)));
    else
        v = (u32)((c->reload + span - e % span) % span);
    v %= span;
    return c->bcd ? to_bcd(v) : (u16)v;
}

/* Clock number of the next edge that the line must show, ~0 for none. Short low pulses are shown at their end. */
static u64 next_edge(const struct pit_channel *c, u64 now)
{
    u64 e = elapsed(c, now), at;
    if (!c->running || c->suspended)
        return ~0ull;
    if (c->mode == 3) {
        u64 phase = e % c->reload, half = high_half(c);
        at = e - phase + (phase < half && half < c->reload ? half : c->reload);
    } else if (c->mode == 2) {
        at = e - e % c->reload + c->reload;
    } else {
        at = c->reload + (c->mode >= 4 ? 1 : 0);
        if (e >= at)
            return ~0ull;
    }
    return (now > c->start ? now : c->start) + (at - e);
}

static void update_line(struct pit *p)
{
    struct pit_channel *c = &p->ch[0];
    u64 now = pit_clock(p);
    bool ended = takes_count(c, now) && c->take_at == c->reload;
    sync_channel(c, now);
    bool out = channel_out(c, now);
    u64 rises = channel_rises(c, now);
    if (out && c->out && (rises != c->rises || ended))
        irq_set(&p->irq0, false);
    if (out != c->out || rises != c->rises || ended)
        irq_set(&p->irq0, out);
    c->rises = rises;
    c->out = out;
    u64 edge = next_edge(c, now);
    if (edge == ~0ull)
        clock_disarm(p->clock, &p->event);
    else
        clock_arm(p->clock, &p->event, clock_ticks_from(p->clock, edge * PIT_HZ_DEN, PIT_HZ_NUM));
}

static void event_fire(void *ctx) { update_line(ctx); }

/* Counters are loaded by the clock that follows the write or the trigger: N + 1 clocks to the end. */
static void load(struct pit_channel *c, u32 count, u64 now)
{
    c->reload = count;
    c->next_reload = 0;
    c->null_count = false;
    c->start = now + 1;
    c->held = 0;
    c->rises = 0;
    c->running = true;
    c->suspended = !c->gate && !retriggered(c);
}

static void write_count(struct pit_channel *c, u16 raw, u64 now)
{
    u32 count = c->bcd ? from_bcd(raw) : raw;
    if (!count)
        count = c->bcd ? 10000 : 65536;
    if (periodic(c) && count == 1)
        count = 2; /* 1 is illegal in modes 2 and 3 */
    if (retriggered(c)) {
        c->armed = true;
        c->next_reload = count;
        c->null_count = true;
        if (!c->running)
            c->reload = count;
    } else if (periodic(c) && c->running) {
        u64 e = elapsed(c, now) % c->reload;
        if (!c->suspended && now > c->start) { /* the running period starts here */
            c->start = now;
            c->held = (u32)e;
            c->rises = 0;
        }
        c->take_at = c->mode == 3 && e < high_half(c) && high_half(c) < c->reload ? (u32)high_half(c) : c->reload;
        c->next_reload = count;
        c->null_count = true;
    } else {
        load(c, count, now);
    }
}

static void write_data(struct pit_channel *c, u8 v, u64 now)
{
    switch (c->rw) {
    case 1: write_count(c, v, now); break;
    case 2: write_count(c, (u16)(v << 8), now); break;
    default:
        if (!c->write_high) {
            c->write_low = v;
            c->write_high = true;
            if (c->mode == 0) { /* the first byte stops the count */
                c->held = (u32)elapsed(c, now);
                c->suspended = true;
            }
        } else {
            c->write_high = false;
            write_count(c, (u16)(v << 8 | c->write_low), now);
        }
        break;
    }
}

static void latch_count(struct pit_channel *c, u64 now)
{
    if (c->count_latched)
        return;
    c->latch = channel_count(c, now);
    c->count_latched = true;
    c->latch_high = c->rw == 2;
}

static bool loading(const struct pit_channel *c, u64 now) { return c->running && now < c->start; }

static void write_control(struct pit *p, u8 v, u64 now)
{
    if (v >> 6 == 3) { /* read-back */
        for (unsigned i = 0; i < 3; i++) {
            struct pit_channel *c = &p->ch[i];
            if (!(v >> (i + 1) & 1))
                continue;
            if (!(v & 0x20))
                latch_count(c, now);
            if (!(v & 0x10) && !c->status_latched) {
                c->status = (u8)(channel_out(c, now) << 7 | (c->null_count || loading(c, now)) << 6 | c->rw << 4 | c->mode << 1 |
                                 c->bcd);
                c->status_latched = true;
            }
        }
        return;
    }
    struct pit_channel *c = &p->ch[v >> 6];
    if (!(v & 0x30)) {
        latch_count(c, now);
        return;
    }
    bool gate = c->gate, out = c->out;
    unsigned mode = v >> 1 & 7;
    *c = (struct pit_channel){ .gate = gate, .out = out, .rw = v >> 4 & 3, .bcd = v & 1, .null_count = true,
                               .mode = (u8)(mode > 5 ? mode & 3 : mode) };
}

static u8 read_data(struct pit_channel *c, u64 now)
{
    if (c->status_latched) {
        c->status_latched = false;
        return c->status;
    }
    if (c->count_latched) {
        u8 v = (u8)(c->latch_high ? c->latch >> 8 : c->latch);
        if (c->rw == 3 && !c->latch_high)
            c->latch_high = true;
        else
            c->count_latched = false;
        return v;
    }
    u16 v = channel_count(c, now);
    if (c->rw == 2)
        return (u8)(v >> 8);
    if (c->rw == 3) {
        c->read_high = !c->read_high;
        return (u8)(c->read_high ? v : v >> 8);
    }
    return (u8)v;
}

static u64 pit_read(void *ctx, u64 off, unsigned width, int cpu)
{
    struct pit *p = ctx;
    (void)width, (void)cpu;
    if (off > 2)
        return 0xFF;
    u64 now = pit_clock(p);
    if (off == 0)
        update_line(p); /* never lose an edge to a lazy reload */
    sync_channel(&p->ch[off], now);
    return read_data(&p->ch[off], now);
}

static void pit_write(void *ctx, u64 off, unsigned width, u64 value, int cpu)
{
    struct pit *p = ctx;
    (void)width, (void)cpu;
    u64 now = pit_clock(p);
    update_line(p);
    for (unsigned i = 1; i < 3; i++)
        sync_channel(&p->ch[i], now);
    if (off > 2)
        write_control(p, (u8)value, now);
    else
        write_data(&p->ch[off], (u8)value, now);
    update_line(p);
}

void pit_set_gate(struct pit *p, unsigned ch, bool level)
{
    struct pit_channel *c = &p->ch[ch];
    u64 now = pit_clock(p);
    if (level == c->gate)
        return;
    sync_channel(c, now);
    c->gate = level;
    if (retriggered(c)) {
        if (level && c->armed)
            load(c, c->next_reload ? c->next_reload : c->reload, now);
    } else if (c->running && level) {
        if (periodic(c)) {
            load(c, c->next_reload ? c->next_reload : c->reload, now);
        } else {
            c->start = now > c->start ? now : c->start;
            c->suspended = c->mode == 0 && c->write_high; /* between the bytes of a count it stands still */
        }
    } else if (c->running) {
        u64 e = elapsed(c, now), span = c->bcd ? 10000 : 65536; /* after the count has run out only its remainder matters */
        c->held = (u32)(periodic(c) ? e % c->reload : e > 2 * span ? 2 * span + e % span : e);
        c->suspended = true;
    }
    if (ch == 0)
        update_line(p);
}

bool pit_out(struct pit *p, unsigned ch)
{
    u64 now = pit_clock(p);
    if (ch == 0)
        update_line(p);
    sync_channel(&p->ch[ch], now);
    return channel_out(&p->ch[ch], now);
}

void pit_reset(struct pit *p)
{
    clock_disarm(p->clock, &p->event);
    for (unsigned i = 0; i < 3; i++)
        p->ch[i] = (struct pit_channel){ .gate = i < 2, .rw = 3, .mode = 3, .reload = 65536, .out = i == 0 };
    irq_set(&p->irq0, true);
}

void pit_bios_defaults(struct pit *p)
{
    pit_write(p, 3, 1, 0x36, -1);
    pit_write(p, 0, 1, 0, -1);
    pit_write(p, 0, 1, 0, -1);
}

static const struct mmio_ops pit_ops = { pit_read, pit_write, 1, 1 };

bool pit_init(struct pit *p, struct bus *b, struct clock *c, struct irq_line irq0)
{
    *p = (struct pit){ .clock = c, .irq0 = irq0 };
    p->event = (struct clock_event){ .fire = event_fire, .ctx = p, .name = "pit" };
    pit_reset(p);
    return bus_add_ports(b, 0x40, 4, &pit_ops, p, "pit");
}
