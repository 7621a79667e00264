// SPDX-License-Identifier: MIT
/* The PC platform: legacy devices, their interrupt lines, resets. */
#include "machine/machine.h"

#include "machine/fw_items.h"

#include <stdio.h>
#include <stdlib.h>

int pc_pic_ack(void *ctx)
{
    struct svmemu *m = ctx;
    return m->pc ? pic_ack(&m->pc->pic) : -1;
}

static void pic_int(void *ctx, unsigned n, bool level)
{
    struct svmemu *m = ctx;
    (void)n;
    apic_bus_set_intr(&m->apics, level);
    if (m->pc)
        ioapic_set_pin(&m->pc->ioapic, 0, level); /* the 8259 is also behind the I/O APIC, for virtual wire mode through it */
}

/* ISA lines go to both controllers; the timer's line 0 is pin 2 of the I/O APIC, as the MADT's override says. */
static void isa_line_changed(struct pc *p, unsigned n)
{
    bool replaced = p->hpet_legacy && (n == 0 || n == 8);
    bool level = (replaced ? p->hpet_levels : p->isa_levels | p->pirq_levels) >> n & 1;
    pic_set_irq(&p->pic, n, level);
    ioapic_set_pin(&p->ioapic, n == 0 ? 2 : n, level);
}

static void set_bit(u16 *bits, unsigned n, bool on)
{
    *bits = (u16)(on ? *bits | 1u << n : *bits & ~(1u << n));
}

static void isa_irq(void *ctx, unsigned n, bool level)
{
    struct pc *p = ctx;
    set_bit(&p->isa_levels, n, level);
    isa_line_changed(p, n);
}

static void routed_irq(void *ctx, unsigned n, bool level)
{
    struct pc *p = ctx;
    set_bit(&p->pirq_levels, n, level);
    isa_line_changed(p, n);
}

static void hpet_irq(void *ctx, unsigned n, bool level)
{
    struct pc *p = ctx;
    set_bit(&p->hpet_levels, n, level);
    isa_line_changed(p, n);
}

static void hpet_pin(void *ctx, unsigned pin, bool level)
{
    ioapic_set_pin(&((struct pc *)ctx)->ioapic, pin, level);
}

static void hpet_legacy(void *ctx, bool on)
{
    struct pc *p = ctx;
    p->hpet_legacy = on;
    isa_line_changed(p, 0);
    isa_line_changed(p, 8);
}

/* PIRQ A-D are pins 16-19 of the I/O APIC and, where the router says so, an ISA line. */
static void pirq(void *ctx, unsigned n, bool level)
{
    struct svmemu *m = ctx;
    ioapic_set_pin(&m->pc->ioapic, 16 + n, level);
    piix_set_pirq(&m->pc->piix, n, level);
}

static void pci_msi(void *ctx, u64 address, u32 data)
{
    struct svmemu *m = ctx;
    if (address >> 20 == APIC_MSI_SPA >> 20)
        apic_bus_msi(&m->apics, address, data);
    else /* anywhere else it is a memory write like any other */
        phys_write_le(&m->view, (struct spa){ address & ~3ull }, 4, data);
}

void pc_apic_eoi(void *ctx, u8 vector)
{
    struct svmemu *m = ctx;
    if (m->pc)
        ioapic_eoi(&m->pc->ioapic, vector);
}

static void a20_from_kbc(void *ctx, bool on)
{
    struct svmemu *m = ctx;
    sysport_note_a20(&m->pc->sys, on);
    machine_set_a20(m, on);
}

static void a20_from_port(void *ctx, bool on)
{
    struct svmemu *m = ctx;
    kbc_note_a20(&m->pc->kbc, on);
    machine_set_a20(m, on);
}

static void reset_from_kbc(void *ctx)
{
    machine_stop(ctx, SVMEMU_STOP_RESET, 0, "reset through the keyboard controller");
}

static void reset_from_port(void *ctx)
{
    machine_stop(ctx, SVMEMU_STOP_RESET, 0, "reset through port 92h");
}

static void reset_from_chipset(void *ctx, bool hard)
{
    (void)hard; /* both kinds reset processors and devices here */
    machine_stop(ctx, SVMEMU_STOP_RESET, 0, "reset through port CF9h");
}

static void exit_value(void *ctx, u32 value)
{
    char text[64];
    snprintf(text, sizeof(text), "the guest wrote %u to the exit port F4h", (unsigned)value);
    machine_stop(ctx, SVMEMU_STOP_EXIT, value, text);
}

static void port_power_off(void *ctx)
{
    machine_stop(ctx, SVMEMU_STOP_POWER_OFF, 0, "powered off");
}

static void debug_char(void *ctx, u8 c)
{
    struct svmemu *m = ctx;
    if (m->cfg.debug)
        m->cfg.debug(m->cfg.ctx, c);
}

static void serial_out(void *ctx, u8 c)
{
    struct svmemu *m = ctx;
    if (m->cfg.serial)
        m->cfg.serial(m->cfg.ctx, c);
}

bool pc_create(struct svmemu *m)
{
    struct pc *p = calloc(1, sizeof(*p));
    const struct kbc_out kout = { .ctx = m, .set_a20 = a20_from_kbc, .reset = reset_from_kbc };
    const struct sysport_out sout = {
        .ctx = m, .set_a20 = a20_from_port, .reset = reset_from_port, .exit_value = exit_value, .power_off = port_power_off,
        .debug_char = debug_char,
    };
    const struct sysport_cfg scfg = { .exit_port = m->cfg.flags & SVMEMU_EXIT_PORT, .debug_port = true,
                                       .firmware_debug = m->cfg.flags & SVMEMU_FIRMWARE_DEBUG };
    const struct hpet_out hout = { .ctx = p, .pin = hpet_pin, .legacy_irq = hpet_irq, .legacy_mode = hpet_legacy };
    const struct pci_out pout = { .ctx = m, .intx = pirq, .msi = pci_msi, .reset = reset_from_chipset };
    if (!p)
        return false;
    m->pc = p;
#define IRQ(line) ((struct irq_line){ .set = isa_irq, .ctx = p, .n = (line) })
    if (!pic_init(&p->pic, m->bus, (struct irq_line){ .set = pic_int, .ctx = m }) ||
        !ioapic_init(&p->ioapic, m->bus, &m->apics, IOAPIC_DEFAULT_SPA, IOAPIC_ID(m)) ||
        !pit_init(&p->pit, m->bus, &m->clock, IRQ(0)) || !rtc_init(&p->rtc, m->bus, &m->clock, IRQ(8), m->cfg.epoch) ||
        !uart_init(&p->uart, m->bus, &m->clock, 0x3F8, IRQ(4)) || !kbc_init(&p->kbc, m->bus, IRQ(1), IRQ(12), &kout) ||
        !sysport_init(&p->sys, m->bus, &m->clock, &p->pit, &scfg, &sout) || !pci_init(&p->pci, m->bus, &pout) ||
        !i440fx_init(&p->host, &p->pci, m->bus) || !hpet_init(&p->hpet, m->bus, &m->clock, &hout))
        return false;
    pmtimer_init(&p->pm, &m->clock, IRQ(PM_SCI_IRQ), port_power_off, m);
    piix_init(&p->piix, &p->pci, &pmtimer_ops, &p->pm, routed_irq, p);
#undef IRQ
    uart_set_output(&p->uart, serial_out, m);
    rtc_set_memory(&p->rtc, m->low_ram, m->high_ram, m->vcpus);
    return fw_items_create(m);
}

void pc_destroy(struct svmemu *m)
{
    if (m->pc)
        fwcfg_fini(&m->pc->fwcfg);
    free(m->pc);
}

void pc_reset(struct svmemu *m)
{
    struct pc *p = m->pc;
    pic_reset(&p->pic);
    ioapic_reset(&p->ioapic);
    pit_reset(&p->pit);
    rtc_reset(&p->rtc);
    uart_reset(&p->uart);
    kbc_reset(&p->kbc);
    pmtimer_reset(&p->pm);
    sysport_reset(&p->sys);
    pci_reset(&p->pci);
    hpet_reset(&p->hpet);
    fwcfg_reset(&p->fwcfg);
}

enum svmemu_status svmemu_irq(struct svmemu *m, unsigned line, bool level)
{
    if (!m->pc)
        return machine_fail(m, SVMEMU_UNSUPPORTED, "this machine has no interrupt controller with legacy lines");
    if (line > 15)
        return machine_fail(m, SVMEMU_ARGUMENT, "interrupt line %u: there are 0 to 15", line);
    isa_irq(m->pc, line, level);
    return SVMEMU_OK;
}

enum svmemu_status svmemu_msi(struct svmemu *m, uint64_t address, uint32_t data, unsigned *accepted)
{
    if (address >> 20 != APIC_MSI_SPA >> 20 || (address & 3))
        return machine_fail(m, SVMEMU_ARGUMENT, "message address %#llx: FEE00000h to FEEFFFFCh", (unsigned long long)address);
    int n = apic_bus_msi(&m->apics, address, data);
    if (accepted)
        *accepted = (unsigned)n;
    return SVMEMU_OK;
}

enum svmemu_status svmemu_button(struct svmemu *m, enum svmemu_button button)
{
    if (!m->pc)
        return machine_fail(m, SVMEMU_UNSUPPORTED, "this machine has no power management");
    if (button == SVMEMU_BUTTON_POWER)
        pmtimer_power_button(&m->pc->pm);
    else if (button == SVMEMU_BUTTON_SLEEP)
        pmtimer_sleep_button(&m->pc->pm);
    else
        return machine_fail(m, SVMEMU_ARGUMENT, "button %u does not exist", (unsigned)button);
    return SVMEMU_OK;
}

enum svmemu_status svmemu_serial_input(struct svmemu *m, const void *data, size_t len, size_t *taken)
{
    if (!m->pc)
        return machine_fail(m, SVMEMU_UNSUPPORTED, "this machine has no serial port");
    size_t n = uart_input(&m->pc->uart, data, len);
    if (taken)
        *taken = n;
    return SVMEMU_OK;
}
