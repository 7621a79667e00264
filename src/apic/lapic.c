// SPDX-License-Identifier: MIT
/* A local APIC's state: priorities, acceptance, pins, end of interrupt, life. [APM2 16.3, 16.4, 16.6] */
#include "apic/private.h"

#define LVT_MODES (1u << APIC_FIXED | 1u << APIC_SMI | 1u << APIC_NMI | 1u << APIC_INIT)

int lapic_vec_highest(const u32 *r, const u32 *mask)
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
    int isr = lapic_vec_highest(l->s.isr, l->s.ier);
    u8 in_service = isr < 0 ? 0 : (u8)(isr & 0xF0);
    return (l->s.tpr & 0xF0) >= in_service ? l->s.tpr : in_service;
}

/* Priority by which lowest-priority messages choose [APM2 16.6.2]. */
u8 lapic_apr(const struct lapic *l)
{
    int isr = lapic_vec_highest(l->s.isr, l->s.ier), irr = lapic_vec_highest(l->s.irr, l->s.ier);
    u8 tpr = l->s.tpr & 0xF0, in_service = isr < 0 ? 0 : isr & 0xF0, waiting = irr < 0 ? 0 : irr & 0xF0;
    if (tpr >= waiting && tpr >= in_service && (tpr > in_service || !in_service))
        return l->s.tpr;
    return in_service > waiting ? in_service : waiting;
}

int lapic_pending(const struct lapic *l)
{
    if (!hw_enabled(l))
        return -1;
    int v = lapic_vec_highest(l->s.irr, l->s.ier);
    return v >= 0 && (v & 0xF0) > (lapic_ppr(l) & 0xF0) ? v : -1;
}

/* With the APIC disabled by its base MSR, LINT0 is the CPU's INTR pin [APM2 16.3.1]. */
static bool extint_pending(const struct lapic *l)
{
    u32 lvt = l->s.lvt[LVT_LINT0];
    if (l->s.extint)
        return true;
    if (!l->s.lint[0])
        return false;
    return !hw_enabled(l) || (!(lvt & LVT_MASKED) && (lvt >> 8 & 7) == APIC_EXTINT);
}

void lapic_update(struct lapic *l)
{
    bool level = lapic_pending(l) >= 0 || extint_pending(l);
    if (level == l->s.intr)
        return;
    l->s.intr = level;
    if (l->bus->out.set_intr)
        l->bus->out.set_intr(l->bus->out.ctx, l->cpu, level);
}

static void lvt_deliver(struct lapic *l, u32 lvt, bool level_capable);

void lapic_error(struct lapic *l, u32 bit)
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
static bool accept_fixed(struct lapic *l, u8 vector, bool level_triggered)
{
    if (vector < 16) {
        lapic_error(l, ESR_RECV_ILLEGAL);
        return false;
    }
    vec_set(l->s.irr, vector, true);
    vec_set(l->s.tmr, vector, level_triggered);
    lapic_update(l);
    return true;
}

bool lapic_accept(struct lapic *l, enum apic_mode mode, u8 vector, bool level_triggered)
{
    const struct apic_out *o = &l->bus->out;
    switch (mode) {
    case APIC_FIXED:
    case APIC_LOWEST:
        if (!sw_enabled(l))
            return false;
        return accept_fixed(l, vector, level_triggered);
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
    case APIC_EXTINT: /* by message, an I/O APIC's virtual wire; from LINT0 it is the pin's level that counts */
        if (!sw_enabled(l))
            return false;
        l->s.extint = true;
        lapic_update(l);
        return true;
    case APIC_REMOTE_READ:
        break;
    }
    return false;
}

/* Only fixed, SMI, NMI and INIT have a meaning here. */
static void lvt_deliver(struct lapic *l, u32 lvt, bool level_capable)
{
    if ((lvt & LVT_MASKED) || !(LVT_MODES >> (lvt >> 8 & 7) & 1))
        return;
    lapic_accept(l, (enum apic_mode)(lvt >> 8 & 7), (u8)lvt, level_capable && (lvt & LVT_LEVEL) != 0);
}

void lapic_local_event(struct lapic *l, enum apic_lvt which)
{
    if (sw_enabled(l))
        lvt_deliver(l, l->s.lvt[which], false);
}

bool lapic_extended_event(struct lapic *l, unsigned n)
{
    if (!l->cfg.ext_space || n >= APIC_EILVT_COUNT)
        return false;
    if (sw_enabled(l))
        lvt_deliver(l, l->s.eilvt[n], false);
    return true;
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
        lapic_update(l);
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
    lapic_update(l);
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

/* ---- end of interrupt ---- */

void lapic_eoi(struct lapic *l, int vector)
{
    if (vector < 0 || !vec_get(l->s.isr, (unsigned)vector))
        return;
    vec_set(l->s.isr, (unsigned)vector, false);
    if (vec_get(l->s.tmr, (unsigned)vector)) {
        eoi_lint(l, (u8)vector);
        if (l->bus->out.eoi)
            l->bus->out.eoi(l->bus->out.ctx, (u8)vector);
    }
    lapic_update(l);
}

/* ---- CPU side and life ---- */

u8 lapic_get_tpr(const struct lapic *l) { return l->s.tpr; }

void lapic_set_tpr(struct lapic *l, u8 tpr)
{
    l->s.tpr = tpr;
    lapic_update(l);
}

int lapic_ack(struct lapic *l)
{
    int v = lapic_pending(l);
    if (v >= 0) {
        vec_set(l->s.irr, (unsigned)v, false);
        vec_set(l->s.isr, (unsigned)v, true);
        lapic_update(l);
        return v;
    }
    if (extint_pending(l) && l->bus->out.pic_ack) {
        l->s.extint = false;
        v = l->bus->out.pic_ack(l->bus->out.ctx);
        lapic_update(l);
        return v;
    }
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
    lapic_update(l);
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
    l->timer = (struct clock_event){ .fire = lapic_timer_fire, .ctx = l, .name = "lapic" };
    b->cpus[cpu] = l;
    lapic_reset(l);
}
