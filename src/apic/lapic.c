// SPDX-License-Identifier: MIT
/* Local APIC registers, timer and interrupt acceptance [APM2 16]. */
#include "apic/lapic.h"

#include "base/bits.h"

enum {
    R_ID = 0x20, R_VER = 0x30, R_TPR = 0x80, R_APR = 0x90, R_PPR = 0xA0, R_EOI = 0xB0, R_RRD = 0xC0, R_LDR = 0xD0,
    R_DFR = 0xE0, R_SVR = 0xF0, R_ISR = 0x100, R_TMR = 0x180, R_IRR = 0x200, R_ESR = 0x280, R_ICR_LO = 0x300,
    R_ICR_HI = 0x310, R_LVT = 0x320, R_INITIAL = 0x380, R_CURRENT = 0x390, R_DCR = 0x3E0,
    R_EXT_FEATURE = 0x400, R_EXT_CTL = 0x410, R_SEOI = 0x420, R_IER = 0x480, R_EILVT = 0x500,
    X2_SELF_IPI = 0x3F0,
};
enum { ESR_SEND_ILLEGAL = 1 << 5, ESR_RECV_ILLEGAL = 1 << 6, ESR_ILLEGAL_REG = 1 << 7, ESR_SEND_ACCEPT = 1 << 2 };
#define LVT_MASKED (1u << 16)
#define LVT_LEVEL (1u << 15)
#define LVT_REMOTE_IRR (1u << 14)
#define LVT_LOW (1u << 13)
#define LVT_PENDING (1u << 12)
#define SVR_ENABLE (1u << 8)
#define ICR_PENDING (1u << 12)
#define TIMER_MODE(lvt) ((lvt) >> 17 & 3)
enum { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_DEADLINE };
#define MSR_APIC_BASE 0x1Bu
#define MSR_TSC_DEADLINE 0x6E0u

static bool hw_enabled(const struct lapic *l) { return l->s.base & APIC_BASE_EN; }
static bool x2_mode(const struct lapic *l) { return hw_enabled(l) && (l->s.base & APIC_BASE_EXTD); }
static bool sw_enabled(const struct lapic *l) { return hw_enabled(l) && (l->s.svr & SVR_ENABLE); }

static bool vec_get(const u32 *r, unsigned v) { return r[v >> 5] >> (v & 31) & 1; }
static void vec_set(u32 *r, unsigned v, bool on)
{
    if (on)
        r[v >> 5] |= 1u << (v & 31);
    else
        r[v >> 5] &= ~(1u << (v & 31));
}

static int vec_highest(const u32 *r, const u32 *mask)
{
    for (int i = 7; i >= 0; i--) {
        u32 w = mask ? r[i] & mask[i] : r[i];
        if (w)
            return i * 32 + 31 - __builtin_clz(w);
    }
    return -1;
}

/* ---- priority and the INTR output ---- */

u8 lapic_ppr(const struct lapic *l)
{
    int isr = vec_highest(l->s.isr, l->s.ier);
    u8 in_service = isr < 0 ? 0 : (u8)(isr & 0xF0);
    return (l->s.tpr & 0xF0) >= in_service ? l->s.tpr : in_service;
}

int lapic_pending(const struct lapic *l)
{
    if (!hw_enabled(l))
        return -1;
    int v = vec_highest(l->s.irr, l->s.ier);
    return v >= 0 && (v & 0xF0) > (lapic_ppr(l) & 0xF0) ? v : -1;
}

/* With the APIC disabled by its base MSR, LINT0 is the CPU's INTR pin [APM2 16.3.1]. */
static bool extint_pending(const struct lapic *l)
{
    u32 lvt = l->s.lvt[LVT_LINT0];
    if (!l->s.lint[0])
        return false;
    return !hw_enabled(l) || (!(lvt & LVT_MASKED) && (lvt >> 8 & 7) == APIC_EXTINT);
}

static void update(struct lapic *l)
{
    bool level = lapic_pending(l) >= 0 || extint_pending(l);
    if (level == l->s.intr)
        return;
    l->s.intr = level;
    if (l->bus->out.set_intr)
        l->bus->out.set_intr(l->bus->out.ctx, l->cpu, level);
}

static void lvt_deliver(struct lapic *l, u32 lvt, bool level_capable);

static void error(struct lapic *l, u32 bit)
{
    l->s.esr_pending |= bit;
    u32 lvt = l->s.lvt[LVT_ERROR];
    /* An error LVT with an illegal vector would report itself for ever; it is recorded only. */
    if ((lvt & 0xF0) || (lvt >> 8 & 7) != APIC_FIXED)
        lvt_deliver(l, lvt, false);
    else if (!(lvt & LVT_MASKED))
        l->s.esr_pending |= ESR_RECV_ILLEGAL;
}

/* Vectors 0-15 are refused with an error [APM2 16.4.6]. */
static void accept_fixed(struct lapic *l, u8 vector, bool level_triggered)
{
    if (vector < 16) {
        error(l, ESR_RECV_ILLEGAL);
        return;
    }
    vec_set(l->s.irr, vector, true);
    vec_set(l->s.tmr, vector, level_triggered);
    update(l);
}

static bool accept(struct lapic *l, enum apic_mode mode, u8 vector, bool level_triggered)
{
    const struct apic_out *o = &l->bus->out;
    switch (mode) {
    case APIC_FIXED:
    case APIC_LOWEST:
        if (!sw_enabled(l))
            return false;
        accept_fixed(l, vector, level_triggered);
        return true;
    case APIC_SMI:
        if (o->smi)
            o->smi(o->ctx, l->cpu);
        return true;
    case APIC_NMI:
        if (o->nmi)
            o->nmi(o->ctx, l->cpu);
        return true;
    case APIC_INIT:
        if (o->init)
            o->init(o->ctx, l->cpu);
        return true;
    case APIC_SIPI:
        if (o->sipi)
            o->sipi(o->ctx, l->cpu, vector);
        return true;
    case APIC_EXTINT: /* by message: no pin behind it, so only LINT0 can bring one */
    case APIC_REMOTE_READ:
        break;
    }
    return false;
}

static void lvt_deliver(struct lapic *l, u32 lvt, bool level_capable)
{
    if (lvt & LVT_MASKED)
        return;
    accept(l, (enum apic_mode)(lvt >> 8 & 7), (u8)lvt, level_capable && (lvt & LVT_LEVEL) != 0);
}

void lapic_local_event(struct lapic *l, enum apic_lvt which)
{
    if (sw_enabled(l))
        lvt_deliver(l, l->s.lvt[which], false);
}

/* ---- pins ---- */

void lapic_set_lint(struct lapic *l, unsigned pin, bool level)
{
    const struct apic_out *o = &l->bus->out;
    bool rising = level && !l->s.lint[pin];
    l->s.lint[pin] = level;
    if (!hw_enabled(l)) {
        if (pin == 1 && rising && o->nmi)
            o->nmi(o->ctx, l->cpu);
        update(l);
        return;
    }
    u32 lvt = l->s.lvt[LVT_LINT0 + pin];
    unsigned mode = lvt >> 8 & 7;
    if (mode == APIC_FIXED && (lvt & LVT_LEVEL)) {
        if (level && !(lvt & (LVT_MASKED | LVT_REMOTE_IRR))) {
            l->s.lvt[LVT_LINT0 + pin] |= LVT_REMOTE_IRR;
            lvt_deliver(l, lvt, true);
        }
    } else if (rising && mode != APIC_EXTINT) {
        lvt_deliver(l, lvt, false);
    }
    update(l);
}

static void eoi_lint(struct lapic *l, u8 vector)
{
    for (unsigned pin = 0; pin < 2; pin++) {
        u32 *lvt = &l->s.lvt[LVT_LINT0 + pin];
        if ((*lvt & LVT_REMOTE_IRR) && (u8)*lvt == vector) {
            *lvt &= ~LVT_REMOTE_IRR;
            lapic_set_lint(l, pin, l->s.lint[pin]);
        }
    }
}

/* ---- timer ---- */

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

static u32 timer_count(const struct lapic *l)
{
    u64 gone = timer_elapsed(l);
    if (!l->s.initial || TIMER_MODE(l->s.lvt[LVT_TIMER]) == TIMER_DEADLINE)
        return 0;
    if (TIMER_MODE(l->s.lvt[LVT_TIMER]) == TIMER_PERIODIC)
        return (u32)(l->s.initial - gone % l->s.initial);
    return gone >= l->s.initial ? 0 : (u32)(l->s.initial - gone);
}

/* Arms the clock event for the next expiry that can be seen; expiries while masked are lost. */
static void timer_arm(struct lapic *l)
{
    u32 lvt = l->s.lvt[LVT_TIMER];
    clock_disarm(l->clock, &l->timer);
    if (TIMER_MODE(lvt) == TIMER_DEADLINE) {
        if (l->s.deadline)
            clock_arm(l->clock, &l->timer, l->s.deadline <= l->s.tsc_offset ? l->clock->now
                      : clock_ticks_from(l->clock, l->s.deadline - l->s.tsc_offset, l->clock->tsc_hz));
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
static void timer_fire(void *ctx)
{
    struct lapic *l = ctx;
    if (TIMER_MODE(l->s.lvt[LVT_TIMER]) == TIMER_DEADLINE)
        l->s.deadline = 0;
    else
        l->s.timer_fired = timer_elapsed(l) / l->s.initial;
    timer_arm(l);
    lapic_local_event(l, LVT_TIMER);
}

static void timer_start(struct lapic *l)
{
    l->s.timer_start = l->clock->now;
    l->s.timer_fired = 0;
    timer_arm(l);
}

/* A new divider keeps the current count. */
static void write_dcr(struct lapic *l, u32 v)
{
    u64 gone = timer_elapsed(l);
    l->s.dcr = v & 0xB;
    u64 back = clock_ticks_from(l->clock, gone * timer_divider(l), l->cfg.timer_hz);
    if (!l->s.initial || back > l->clock->now)
        return;
    l->s.timer_start = l->clock->now - back;
    timer_arm(l);
}

static void write_lvt_timer(struct lapic *l, u32 v)
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
    timer_arm(l);
}

void lapic_set_tsc_offset(struct lapic *l, u64 offset)
{
    l->s.tsc_offset = offset;
    if (l->s.deadline)
        timer_arm(l);
}

/* ---- end of interrupt, ICR ---- */

static void end_of_interrupt(struct lapic *l, int vector)
{
    if (vector < 0 || !vec_get(l->s.isr, (unsigned)vector))
        return;
    vec_set(l->s.isr, (unsigned)vector, false);
    if (vec_get(l->s.tmr, (unsigned)vector)) {
        eoi_lint(l, (u8)vector);
        if (l->bus->out.eoi)
            l->bus->out.eoi(l->bus->out.ctx, (u8)vector);
    }
    update(l);
}

static bool matches(const struct lapic *l, u32 dest, bool logical, bool wide)
{
    if (dest == (wide ? 0xFFFFFFFFu : 0xFFu))
        return true;
    if (!hw_enabled(l))
        return !logical && dest == l->s.id; /* INIT, SIPI, NMI still reach the CPU by its id */
    if (!logical)
        return dest == (x2_mode(l) ? l->s.id : l->s.id & (wide ? 0xFFFFFFFFu : 0xFFu));
    if (x2_mode(l)) { /* cluster in the high half, one bit per member */
        u32 ldr = (l->s.id >> 4) << 16 | 1u << (l->s.id & 15);
        return wide ? dest >> 16 == ldr >> 16 && (dest & ldr & 0xFFFF) : (ldr >> 16) == 0 && (dest & ldr);
    }
    u8 mine = (u8)(l->s.ldr >> 24), d = (u8)dest;
    if (l->s.dfr >> 28 == 0xF)
        return mine & d;
    return (d >> 4 == 0xF || d >> 4 == mine >> 4) && (mine & d & 0xF);
}

/* The one with the lowest processor priority takes it; among equals the lowest index. */
static int deliver_lowest(struct apic_bus *b, u32 dest, bool logical, bool wide, u8 vector, bool level)
{
    struct lapic *best = NULL;
    for (int i = 0; i < b->count; i++) {
        struct lapic *l = b->cpus[i];
        if (l && sw_enabled(l) && matches(l, dest, logical, wide) && (!best || lapic_ppr(l) < lapic_ppr(best)))
            best = l;
    }
    return best && accept(best, APIC_FIXED, vector, level);
}

int apic_bus_deliver(struct apic_bus *b, u32 dest, bool logical, bool wide, enum apic_mode mode, u8 vector,
                     bool level_triggered)
{
    int n = 0;
    if (mode == APIC_LOWEST)
        return deliver_lowest(b, dest, logical, wide, vector, level_triggered);
    for (int i = 0; i < b->count; i++)
        if (b->cpus[i] && matches(b->cpus[i], dest, logical, wide))
            n += accept(b->cpus[i], mode, vector, level_triggered);
    return n;
}

int apic_bus_msi(struct apic_bus *b, u64 spa, u32 data)
{
    return apic_bus_deliver(b, (u8)(spa >> 12), spa >> 2 & 1, false, (enum apic_mode)(data >> 8 & 7), (u8)data,
                            data >> 15 & 1);
}

static void remote_read(struct lapic *l, u32 dest, bool wide, unsigned reg)
{
    l->s.icr_lo &= ~(3u << 16);
    for (int i = 0; i < l->bus->count; i++) {
        struct lapic *t = l->bus->cpus[i];
        if (t && hw_enabled(t) && matches(t, dest, false, wide)) {
            l->s.remote_read = lapic_reg_read(t, reg << 4);
            l->s.icr_lo |= 2u << 16; /* delivered */
            return;
        }
    }
}

static void send_ipi(struct lapic *l)
{
    u32 lo = l->s.icr_lo, mode = lo >> 8 & 7, shorthand = lo >> 18 & 3;
    bool wide = x2_mode(l), level = lo >> 15 & 1;
    u32 dest = wide ? l->s.icr_hi : l->s.icr_hi >> 24;
    u8 vector = (u8)lo;

    if (mode == APIC_INIT && level && !(lo & 1u << 14))
        return; /* INIT level de-assert: no effect [APM2 16.5] */
    if ((mode == APIC_FIXED || mode == APIC_LOWEST) && vector < 16) {
        error(l, ESR_SEND_ILLEGAL);
        return;
    }
    if (mode == APIC_REMOTE_READ) {
        if (!shorthand)
            remote_read(l, dest, wide, vector & 0x3F);
        return;
    }
    if (shorthand == 0) {
        apic_bus_deliver(l->bus, dest, lo >> 11 & 1, wide, (enum apic_mode)mode, vector, false);
    } else if (shorthand == 1) {
        if (mode == APIC_FIXED)
            accept(l, APIC_FIXED, vector, false);
    } else if (mode == APIC_LOWEST && shorthand == 2) {
        deliver_lowest(l->bus, wide ? 0xFFFFFFFFu : 0xFFu, false, wide, vector, false);
    } else {
        for (int i = 0; i < l->bus->count; i++)
            if (l->bus->cpus[i] && (shorthand == 2 || l->bus->cpus[i] != l))
                accept(l->bus->cpus[i], mode == APIC_LOWEST ? APIC_FIXED : (enum apic_mode)mode, vector, false);
    }
}

/* ---- registers ---- */

static u32 lvt_writable(unsigned i)
{
    if (i == LVT_TIMER)
        return 0x700FF;
    if (i == LVT_LINT0 || i == LVT_LINT1)
        return 0x1A7FF;
    return i == LVT_ERROR ? 0x100FF : 0x107FF;
}

static void write_lvt(struct lapic *l, unsigned i, u32 v)
{
    v &= lvt_writable(i);
    if (!(l->s.svr & SVR_ENABLE))
        v |= LVT_MASKED;
    if (i == LVT_TIMER) {
        write_lvt_timer(l, v);
        return;
    }
    l->s.lvt[i] = v | (l->s.lvt[i] & LVT_REMOTE_IRR & -(u32)((v & LVT_LEVEL) != 0));
    if ((i == LVT_LINT0 || i == LVT_LINT1) && (v & LVT_LEVEL))
        lapic_set_lint(l, i - LVT_LINT0, l->s.lint[i - LVT_LINT0]); /* a level that stands is seen when unmasked */
    update(l);
}

static void write_svr(struct lapic *l, u32 v)
{
    l->s.svr = v & 0x3FF;
    if (!(v & SVR_ENABLE))
        for (unsigned i = 0; i < LVT_COUNT; i++)
            l->s.lvt[i] |= LVT_MASKED;
    update(l);
}

static u32 version(const struct lapic *l) { return (l->cfg.ext_space ? 1u << 31 : 0) | (LVT_COUNT - 1) << 16 | 0x10; }

static bool ext_read(const struct lapic *l, unsigned off, u32 *v)
{
    if (!l->cfg.ext_space)
        return false;
    if (off == R_EXT_FEATURE)
        *v = APIC_EILVT_COUNT << 16 | 3; /* IER and SEOI capable */
    else if (off == R_EXT_CTL)
        *v = l->s.ext_ctl;
    else if (off >= R_IER && off < R_IER + 0x80)
        *v = l->s.ier[(off - R_IER) >> 4];
    else if (off >= R_EILVT && off < R_EILVT + 0x10 * APIC_EILVT_COUNT)
        *v = l->s.eilvt[(off - R_EILVT) >> 4];
    else if (off == R_SEOI)
        *v = 0;
    else
        return false;
    return true;
}

/* false: no such register. */
static bool reg_get(struct lapic *l, unsigned off, u32 *v)
{
    const struct lapic_state *s = &l->s;
    *v = 0;
    if (off >= R_ISR && off < R_IRR + 0x80) {
        const u32 *r = off < R_TMR ? s->isr : off < R_IRR ? s->tmr : s->irr;
        *v = r[off >> 4 & 7];
        return true;
    }
    if (off >= R_LVT && off < R_LVT + 0x10 * LVT_COUNT) {
        *v = s->lvt[(off - R_LVT) >> 4];
        return true;
    }
    switch (off) {
    case R_ID: *v = x2_mode(l) ? s->id : s->id << 24; return true;
    case R_VER: *v = version(l); return true;
    case R_TPR: *v = s->tpr; return true;
    case R_APR: case R_PPR: *v = lapic_ppr(l); return true;
    case R_EOI: return true;
    case R_RRD: *v = s->remote_read; return true;
    case R_LDR: *v = x2_mode(l) ? (s->id >> 4) << 16 | 1u << (s->id & 15) : s->ldr; return true;
    case R_DFR: *v = s->dfr; return true;
    case R_SVR: *v = s->svr; return true;
    case R_ESR: *v = s->esr; return true;
    case R_ICR_LO: *v = s->icr_lo; return true;
    case R_ICR_HI: *v = s->icr_hi; return true;
    case R_INITIAL: *v = s->initial; return true;
    case R_CURRENT: *v = timer_count(l); return true;
    case R_DCR: *v = s->dcr; return true;
    default: return ext_read(l, off, v);
    }
}

static bool ext_write(struct lapic *l, unsigned off, u32 v)
{
    if (!l->cfg.ext_space)
        return false;
    if (off == R_EXT_CTL) {
        l->s.ext_ctl = v & 3;
    } else if (off == R_SEOI) {
        if (l->s.ext_ctl & 2)
            end_of_interrupt(l, (u8)v);
    } else if (off >= R_IER && off < R_IER + 0x80) {
        if (l->s.ext_ctl & 1)
            l->s.ier[(off - R_IER) >> 4] = v;
        update(l);
    } else if (off >= R_EILVT && off < R_EILVT + 0x10 * APIC_EILVT_COUNT) {
        l->s.eilvt[(off - R_EILVT) >> 4] = v & 0x107FF;
    } else {
        return off == R_EXT_FEATURE;
    }
    return true;
}

static bool reg_set(struct lapic *l, unsigned off, u32 v)
{
    struct lapic_state *s = &l->s;
    if (off >= R_LVT && off < R_LVT + 0x10 * LVT_COUNT) {
        write_lvt(l, (off - R_LVT) >> 4, v);
        return true;
    }
    if (off >= R_ISR && off < R_IRR + 0x80)
        return true;
    switch (off) {
    case R_ID: if (!x2_mode(l)) s->id = (s->id & ~0xFFu) | v >> 24; return true;
    case R_TPR: lapic_set_tpr(l, (u8)v); return true;
    case R_EOI: end_of_interrupt(l, vec_highest(s->isr, NULL)); return true;
    case R_LDR: s->ldr = v & 0xFF000000u; return true;
    case R_DFR: s->dfr = v | 0x0FFFFFFFu; return true;
    case R_SVR: write_svr(l, v); return true;
    case R_ESR: s->esr = s->esr_pending; s->esr_pending = 0; return true;
    case R_ICR_LO: s->icr_lo = v & 0xCCFFF & ~ICR_PENDING; send_ipi(l); return true;
    case R_ICR_HI: s->icr_hi = x2_mode(l) ? v : v & 0xFF000000u; return true;
    case R_INITIAL:
        if (TIMER_MODE(s->lvt[LVT_TIMER]) != TIMER_DEADLINE) {
            s->initial = v;
            timer_start(l);
        }
        return true;
    case R_DCR: write_dcr(l, v); return true;
    case R_VER: case R_APR: case R_PPR: case R_RRD: case R_CURRENT: return true;
    default: return ext_write(l, off, v);
    }
}

u32 lapic_reg_read(struct lapic *l, unsigned off)
{
    u32 v;
    if (!reg_get(l, off & 0xFF0, &v))
        error(l, ESR_ILLEGAL_REG);
    return v;
}

void lapic_reg_write(struct lapic *l, unsigned off, u32 v)
{
    if (!reg_set(l, off & 0xFF0, v))
        error(l, ESR_ILLEGAL_REG);
}

/* Registers are 32 bits wide at 16-byte steps; the rest of each step reads zero and ignores writes. */
static u64 mmio_read(void *ctx, u64 off, unsigned width, int cpu)
{
    (void)cpu;
    unsigned byte = off & 15;
    return byte < 4 ? zext((u64)lapic_reg_read(ctx, off & 0xFF0) >> (8 * byte), width) : 0;
}

static void mmio_write(void *ctx, u64 off, unsigned width, u64 value, int cpu)
{
    (void)cpu;
    if ((off & 15) == 0 && width >= 4)
        lapic_reg_write(ctx, off & 0xFF0, (u32)value);
}

const struct mmio_ops lapic_mmio_ops = { mmio_read, mmio_write, 0, 0 };

/* ---- MSRs ---- */

u64 lapic_mmio_page(const struct lapic *l)
{
    return hw_enabled(l) && !x2_mode(l) ? l->s.base & ~(u64)PAGE_MASK : ~0ull;
}

/* Legal changes of mode: off to xAPIC, xAPIC to off or x2APIC, x2APIC to off [APM2 16.9]. */
bool lapic_set_base(struct lapic *l, u64 v)
{
    u64 valid = (~0ull >> (64 - l->cfg.maxphys) & ~(u64)PAGE_MASK) | APIC_BASE_BSP | APIC_BASE_EN |
                (l->cfg.x2apic ? APIC_BASE_EXTD : 0);
    u64 old_mode = l->s.base & (APIC_BASE_EN | APIC_BASE_EXTD), mode = v & (APIC_BASE_EN | APIC_BASE_EXTD);
    if ((v & ~valid) || mode == APIC_BASE_EXTD)
        return false;
    if (old_mode == (APIC_BASE_EN | APIC_BASE_EXTD) && mode == APIC_BASE_EN)
        return false;
    if (!old_mode && (mode & APIC_BASE_EXTD))
        return false;
    if (mode != old_mode && !(mode & APIC_BASE_EN))
        lapic_init_reset(l);
    if (mode != old_mode && (mode & APIC_BASE_EXTD)) {
        l->s.id = l->cfg.id; /* a write to the xAPIC id register does not survive */
        l->s.icr_hi = 0;
    }
    l->s.base = v;
    if (l->bus->out.base_changed)
        l->bus->out.base_changed(l->bus->out.ctx, l->cpu);
    update(l);
    return true;
}

int lapic_msr_read(struct lapic *l, u32 msr, u64 *v)
{
    u32 r;
    if (msr == MSR_APIC_BASE) {
        *v = l->s.base;
        return 1;
    }
    if (msr == MSR_TSC_DEADLINE && l->cfg.tsc_deadline) {
        *v = l->s.deadline;
        return 1;
    }
    if (msr < 0x800 || msr > 0x8FF)
        return 0;
    unsigned off = (msr - 0x800) << 4;
    if (!x2_mode(l) || off == R_DFR || off == R_ICR_HI || off == R_EOI || off == R_RRD || off == R_APR ||
        !reg_get(l, off, &r))
        return -1;
    *v = off == R_ICR_LO ? (u64)l->s.icr_hi << 32 | r : r;
    return 1;
}

static bool x2_reserved(const struct lapic *l, unsigned off, u64 v)
{
    if (off >= R_LVT && off < R_LVT + 0x10 * LVT_COUNT)
        return v & ~(u64)(lvt_writable((off - R_LVT) >> 4) | LVT_PENDING | LVT_REMOTE_IRR);
    switch (off) {
    case R_TPR: return v > 0xFF;
    case R_EOI: case R_ESR: return v != 0;
    case R_SVR: return v & ~0x3FFull;
    case R_ICR_LO: return v & 0xFFF32000ull;
    case R_DCR: return v & ~0xBull;
    case X2_SELF_IPI: return v > 0xFF;
    case R_INITIAL: return v >> 32;
    default: return v >> 32 || !l->cfg.ext_space || off < R_EXT_FEATURE; /* the others are read-only */
    }
}

int lapic_msr_write(struct lapic *l, u32 msr, u64 v)
{
    if (msr == MSR_APIC_BASE)
        return lapic_set_base(l, v) ? 1 : -1;
    if (msr == MSR_TSC_DEADLINE && l->cfg.tsc_deadline) {
        if (TIMER_MODE(l->s.lvt[LVT_TIMER]) == TIMER_DEADLINE) {
            l->s.deadline = v;
            timer_arm(l);
        }
        return 1;
    }
    if (msr < 0x800 || msr > 0x8FF)
        return 0;
    unsigned off = (msr - 0x800) << 4;
    if (!x2_mode(l) || x2_reserved(l, off, v))
        return -1;
    if (off == X2_SELF_IPI) {
        if (v < 16)
            error(l, ESR_SEND_ILLEGAL);
        else
            accept(l, APIC_FIXED, (u8)v, false);
        return 1;
    }
    if (off == R_ICR_LO)
        l->s.icr_hi = (u32)(v >> 32);
    return reg_set(l, off, (u32)v) ? 1 : -1;
}

/* ---- CPU side and life ---- */

u8 lapic_get_tpr(const struct lapic *l) { return l->s.tpr; }

void lapic_set_tpr(struct lapic *l, u8 tpr)
{
    l->s.tpr = tpr;
    update(l);
}

int lapic_ack(struct lapic *l)
{
    int v = lapic_pending(l);
    if (v >= 0) {
        vec_set(l->s.irr, (unsigned)v, false);
        vec_set(l->s.isr, (unsigned)v, true);
        update(l);
        return v;
    }
    if (extint_pending(l) && l->bus->out.pic_ack)
        return l->bus->out.pic_ack(l->bus->out.ctx);
    return (u8)l->s.svr; /* spurious: no ISR bit [APM2 16.6.6] */
}

void lapic_init_reset(struct lapic *l)
{
    struct lapic_state *s = &l->s, old = *s;
    clock_disarm(l->clock, &l->timer);
    memset(s, 0, sizeof(*s));
    s->base = old.base;
    s->id = old.id;
    s->lint[0] = old.lint[0];
    s->lint[1] = old.lint[1];
    s->tsc_offset = old.tsc_offset;
    s->intr = old.intr;
    s->dfr = 0xFFFFFFFFu;
    s->svr = 0xFF;
    memset(s->ier, 0xFF, sizeof(s->ier));
    for (unsigned i = 0; i < LVT_COUNT; i++)
        s->lvt[i] = LVT_MASKED;
    for (unsigned i = 0; i < APIC_EILVT_COUNT; i++)
        s->eilvt[i] = LVT_MASKED;
    update(l);
}

void lapic_reset(struct lapic *l)
{
    l->s.base = APIC_DEFAULT_SPA | APIC_BASE_EN | (l->cfg.bsp ? APIC_BASE_BSP : 0);
    l->s.id = l->cfg.id;
    lapic_init_reset(l);
    if (l->bus->out.base_changed)
        l->bus->out.base_changed(l->bus->out.ctx, l->cpu);
}

void lapic_virtual_wire(struct lapic *l)
{
    lapic_reg_write(l, R_SVR, SVR_ENABLE | 0xFF);
    lapic_reg_write(l, R_LVT + 0x10 * LVT_LINT0, l->cfg.bsp ? APIC_EXTINT << 8 : LVT_MASKED);
    lapic_reg_write(l, R_LVT + 0x10 * LVT_LINT1, APIC_NMI << 8);
}

void lapic_init(struct lapic *l, struct apic_bus *b, int cpu, struct clock *c, const struct lapic_cfg *cfg)
{
    memset(l, 0, sizeof(*l));
    l->cfg = *cfg;
    if (!l->cfg.timer_hz)
        l->cfg.timer_hz = 100000000;
    if (l->cfg.maxphys < 32 || l->cfg.maxphys > 52)
        l->cfg.maxphys = 48;
    l->clock = c;
    l->bus = b;
    l->cpu = cpu;
    l->timer = (struct clock_event){ .fire = timer_fire, .ctx = l, .name = "lapic" };
    b->cpus[cpu] = l;
    lapic_reset(l);
}
