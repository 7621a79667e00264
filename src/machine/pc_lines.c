// SPDX-License-Identifier: MIT
/* The PC's interrupt lines: who drives which, and which controllers see them. Levels of several drivers are or-ed. */
#include "machine/machine.h"

static bool isa_level(const struct pc *p, unsigned n)
{
    bool replaced = p->hpet_legacy && (n == 0 || n == 8);
    u32 levels = replaced ? p->line[LINE_HPET_LEGACY] : p->line[LINE_ISA] | p->line[LINE_PIRQ];
    return (levels | p->line[LINE_TEST]) >> n & 1;
}

/* Pin 0 is the 8259's output; the timer's line 0 is pin 2, as the MADT's override says. */
static bool pin_level(const struct pc *p, unsigned pin)
{
    if ((p->line[LINE_PCI] | p->line[LINE_HPET_PIN]) >> pin & 1)
        return true;
    if (pin >= 16)
        return p->line[LINE_TEST] >> pin & 1;
    return isa_level(p, pin) || (pin == 2 && isa_level(p, 0));
}

static void changed(struct pc *p, unsigned n)
{
    unsigned pin = n ? n : 2;
    if (n < 16)
        pic_set_irq(&p->pic, n, isa_level(p, n));
    ioapic_set_pin(&p->ioapic, pin, pin_level(p, pin));
}

void pc_line_set(struct pc *p, enum line_driver d, unsigned n, bool level)
{
    p->line[d] = level ? p->line[d] | 1u << n : p->line[d] & ~(1u << n);
    changed(p, n);
}

void pc_isa_irq(void *ctx, unsigned n, bool level) { pc_line_set(ctx, LINE_ISA, n, level); }
void pc_routed_irq(void *ctx, unsigned n, bool level) { pc_line_set(ctx, LINE_PIRQ, n, level); }
void pc_hpet_irq(void *ctx, unsigned n, bool level) { pc_line_set(ctx, LINE_HPET_LEGACY, n, level); }
void pc_hpet_pin(void *ctx, unsigned n, bool level) { pc_line_set(ctx, LINE_HPET_PIN, n, level); }
void pc_test_line(void *ctx, unsigned n, bool level) { pc_line_set(ctx, LINE_TEST, n, level); }

/* COM1 and COM3 share line 4, COM2 and COM4 line 3. */
void pc_com_irq(void *ctx, unsigned port, bool level)
{
    struct pc *p = ctx;
    p->com_levels = (u8)(level ? p->com_levels | 1u << port : p->com_levels & ~(1u << port));
    pc_line_set(p, LINE_ISA, port & 1 ? 3 : 4, p->com_levels & (port & 1 ? 0xA : 5));
}

void pc_hpet_legacy(void *ctx, bool on)
{
    struct pc *p = ctx;
    p->hpet_legacy = on;
    changed(p, 0);
    changed(p, 8);
}

/* PIRQ A-D are pins 16-19 of the I/O APIC and, where the router says so, an ISA line. */
void pc_pirq(void *ctx, unsigned n, bool level)
{
    struct pc *p = ctx;
    pc_line_set(p, LINE_PCI, 16 + n, level);
    piix_set_pirq(&p->piix, n, level);
}

static void pic_int(void *ctx, unsigned n, bool level)
{
    struct svmemu *m = ctx;
    (void)n;
    apic_bus_set_intr(&m->apics, level);
    if (m->pc)
        ioapic_set_pin(&m->pc->ioapic, 0, level); /* the 8259 is also behind the I/O APIC, for virtual wire mode through it */
}

struct irq_line pc_pic_output(struct svmemu *m) { return (struct irq_line){ .set = pic_int, .ctx = m }; }

int pc_pic_ack(void *ctx)
{
    struct svmemu *m = ctx;
    return m->pc ? pic_ack(&m->pc->pic) : -1;
}

void pc_apic_eoi(void *ctx, u8 vector)
{
    struct svmemu *m = ctx;
    if (m->pc)
        ioapic_eoi(&m->pc->ioapic, vector);
}

enum svmemu_status svmemu_irq(struct svmemu *m, unsigned line, bool level)
{
    if (!m->pc)
        return machine_fail(m, SVMEMU_UNSUPPORTED, "this machine has no interrupt controller with legacy lines");
    if (line > 15)
        return machine_fail(m, SVMEMU_ARGUMENT, "interrupt line %u: there are 0 to 15", line);
    pc_isa_irq(m->pc, line, level);
    return SVMEMU_OK;
}
