// SPDX-License-Identifier: MIT
/* 8259A pair. Rules from Intel's data sheet 231468; ELCR as in the PIIX. */
#include "apic/pic.h"

#include "base/bits.h"

/* Priority of input n, 0 highest. */
static unsigned prio(const struct pic_chip *c, unsigned n) { return (n - c->lowest - 1) & 7; }

static int best(const struct pic_chip *c, u8 set)
{
    for (unsigned p = 0; p < 8; p++) {
        unsigned n = (c->lowest + 1 + p) & 7;
        if (set >> n & 1)
            return (int)n;
    }
    return -1;
}

/* The input this chip would interrupt with, or -1. */
static int request(const struct pic_chip *c, bool master)
{
    u8 isr = c->isr;
    int n = best(c, c->irr & (u8)~c->imr);
    if (n < 0 || c->icw_step)
        return -1;
    if (c->special_mask)
        return isr & ~c->imr & 1 << n ? -1 : n;
    /* Special fully nested mode: the slave may interrupt again through its own input in service. */
    if (c->nested && master && n == 2)
        isr &= (u8)~(1 << 2);
    int in_service = best(c, isr);
    return in_service >= 0 && prio(c, (unsigned)in_service) <= prio(c, (unsigned)n) ? -1 : n;
}

static void set_input(struct pic_chip *c, unsigned n, bool level)
{
    u8 bit = (u8)(1u << n);
    bool level_triggered = c->level_mode || (c->elcr & bit);
    if (level && (level_triggered || !(c->lines & bit)))
        c->irr |= bit;
    if (!level)
        c->irr &= (u8)~bit; /* an input that falls before INTA gives a spurious interrupt */
    c->lines = level ? c->lines | bit : c->lines & (u8)~bit;
}

static void update(struct pic *p)
{
    set_input(&p->chip[0], 2, request(&p->chip[1], false) >= 0);
    bool level = request(&p->chip[0], true) >= 0;
    if (level != p->int_level) {
        p->int_level = level;
        irq_set(&p->out, level);
    }
}

void pic_set_irq(void *pic, unsigned irq, bool level)
{
    struct pic *p = pic;
    if (irq > 15 || irq == 2)
        return;
    set_input(&p->chip[irq >> 3], irq & 7, level);
    update(p);
}

static void take(struct pic_chip *c, unsigned n)
{
    u8 bit = (u8)(1u << n);
    if (!((c->level_mode || (c->elcr & bit)) && (c->lines & bit)))
        c->irr &= (u8)~bit;
    if (!c->auto_eoi)
        c->isr |= bit;
    else if (c->rotate_aeoi)
        c->lowest = (u8)n;
}

int pic_ack(struct pic *p)
{
    struct pic_chip *m = &p->chip[0], *s = &p->chip[1];
    int n = request(m, true), vector;
    if (n < 0)
        return m->base | 7;
    if (n == 2) {
        int k = request(s, false);
        take(m, 2);
        m->irr &= (u8)~(1u << 2);
        m->lines &= (u8)~(1u << 2); /* the slave drops INT during INTA and may raise it again */
        vector = s->base | (k < 0 ? 7 : k);
        if (k >= 0)
            take(s, (unsigned)k);
    } else {
        take(m, (unsigned)n);
        vector = m->base | n;
    }
    /* INT drops during INTA: whatever is still there makes a new edge. */
    p->int_level = false;
    irq_set(&p->out, false);
    update(p);
    return vector;
}

static void write_icw1(struct pic_chip *c, u8 v)
{
    u8 elcr = c->elcr, lines = c->lines;
    *c = (struct pic_chip){ .elcr = elcr, .lines = lines, .lowest = 7, .icw_step = 2, .base = c->base,
                            .icw4_needed = v & 1, .single = v & 2, .level_mode = v & 8 };
    /* The edge detectors are reset: an edge input must rise again, a level input counts at once. */
    c->irr = c->level_mode ? lines : lines & elcr;
}

static void write_ocw2(struct pic_chip *c, u8 v)
{
    int n = v >> 6 & 1 ? v & 7 : best(c, c->special_mask ? c->isr & (u8)~c->imr : c->isr);
    switch (v >> 5) {
    case 0: c->rotate_aeoi = false; break;
    case 4: c->rotate_aeoi = true; break;
    case 2: break;
    case 6: c->lowest = v & 7; break;
    default: /* 1, 3: EOI; 5, 7: EOI and rotate */
        if (n < 0)
            break;
        c->isr &= (u8)~(1u << n);
        if (v & 0x80)
            c->lowest = (u8)n;
        break;
    }
}

static void write_even(struct pic_chip *c, u8 v)
{
    if (v & 0x10) {
        write_icw1(c, v);
    } else if (v & 8) {
        if (v & 0x40)
            c->special_mask = v & 0x20;
        c->poll = v & 4;
        if (v & 2)
            c->read_isr = v & 1;
    } else {
        write_ocw2(c, v);
    }
}

static void write_odd(struct pic_chip *c, u8 v)
{
    switch (c->icw_step) {
    case 2:
        c->base = v & 0xF8;
        c->icw_step = c->single ? (c->icw4_needed ? 4 : 0) : 3;
        break;
    case 3:
        c->cascade = v;
        c->icw_step = c->icw4_needed ? 4 : 0;
        break;
    case 4:
        c->auto_eoi = v & 2;
        c->nested = v & 0x10;
        c->icw_step = 0;
        break;
    default: c->imr = v; break;
    }
}

/* Poll: the read is the INTA [8259A, "The Poll Command"]. */
static u8 poll(struct pic *p, unsigned i)
{
    struct pic_chip *c = &p->chip[i];
    int n = request(c, i == 0);
    c->poll = false;
    if (n < 0)
        return 0;
    take(c, (unsigned)n);
    update(p);
    return (u8)(0x80 | n);
}

static u64 port_in(struct pic *p, unsigned i, u64 off)
{
    const struct pic_chip *c = &p->chip[i];
    if (c->poll)
        return poll(p, i);
    return off & 1 ? c->imr : c->read_isr ? c->isr : c->irr;
}

static void port_out(struct pic *p, unsigned i, u64 off, u64 v)
{
    if (off & 1)
        write_odd(&p->chip[i], (u8)v);
    else
        write_even(&p->chip[i], (u8)v);
    update(p);
}

static u64 master_read(void *ctx, u64 off, unsigned width, int cpu)
{
    (void)width, (void)cpu;
    return port_in(ctx, 0, off);
}

static u64 slave_read(void *ctx, u64 off, unsigned width, int cpu)
{
    (void)width, (void)cpu;
    return port_in(ctx, 1, off);
}

static void master_write(void *ctx, u64 off, unsigned width, u64 v, int cpu)
{
    (void)width, (void)cpu;
    port_out(ctx, 0, off, v);
}

static void slave_write(void *ctx, u64 off, unsigned width, u64 v, int cpu)
{
    (void)width, (void)cpu;
    port_out(ctx, 1, off, v);
}

static u64 elcr_read(void *ctx, u64 off, unsigned width, int cpu)
{
    (void)width, (void)cpu;
    return ((struct pic *)ctx)->chip[off & 1].elcr;
}

/* Timer, keyboard, cascade, RTC and FPU inputs cannot be level-triggered. */
static void elcr_write(void *ctx, u64 off, unsigned width, u64 v, int cpu)
{
    struct pic *p = ctx;
    struct pic_chip *c = &p->chip[off & 1];
    (void)width, (void)cpu;
    c->elcr = (u8)v & (off & 1 ? 0xDE : 0xF8);
    c->irr |= c->lines & c->elcr;
    update(p);
}

static const struct mmio_ops master_ops = { master_read, master_write, 1, 1 };
static const struct mmio_ops slave_ops = { slave_read, slave_write, 1, 1 };
static const struct mmio_ops elcr_ops = { elcr_read, elcr_write, 1, 1 };

void pic_reset(struct pic *p)
{
    for (unsigned i = 0; i < 2; i++)
        p->chip[i] = (struct pic_chip){ .lines = p->chip[i].lines, .lowest = 7, .imr = 0xFF };
    update(p);
}

void pic_bios_defaults(struct pic *p)
{
    static const u8 icw[2][4] = { { 0x11, 0x08, 0x04, 0x01 }, { 0x11, 0x70, 0x02, 0x01 } };
    for (unsigned i = 0; i < 2; i++) {
        port_out(p, i, 0, icw[i][0]);
        for (unsigned k = 1; k < 4; k++)
            port_out(p, i, 1, icw[i][k]);
    }
    port_out(p, 0, 1, 0xB8); /* timer, keyboard, cascade, diskette */
    port_out(p, 1, 1, 0x8F); /* mouse, FPU, disks */
}

bool pic_init(struct pic *p, struct bus *b, struct irq_line out)
{
    *p = (struct pic){ .out = out };
    pic_reset(p);
    return bus_add_ports(b, 0x20, 2, &master_ops, p, "pic1") && bus_add_ports(b, 0xA0, 2, &slave_ops, p, "pic2") &&
           bus_add_ports(b, 0x4D0, 2, &elcr_ops, p, "elcr");
}
