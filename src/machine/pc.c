// SPDX-License-Identifier: MIT
/* The PC platform: its devices, wired; resets. */
#include "machine/machine.h"

#include "machine/fw_items.h"

#include <stdio.h>
#include <stdlib.h>

static void pci_msi(void *ctx, u64 address, u32 data)
{
    struct svmemu *m = ctx;
    struct phys_page page;
    if (address >> 20 == APIC_MSI_SPA >> 20)
        apic_bus_msi(&m->apics, address, data);
    else if (phys_lookup(&m->view, (struct spa){ address }, &page) && page.host) /* devices might answer by a message */
        phys_write_le(&m->view, (struct spa){ address & ~3ull }, 4, data);
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

static void pci_intx(void *ctx, unsigned n, bool level)
{
    pc_pirq(((struct svmemu *)ctx)->pc, n, level);
}

static void test_line(void *ctx, unsigned n, bool level)
{
    pc_test_line(((struct svmemu *)ctx)->pc, n, level);
}

/* Decoded code and translations of the page go; they come back as they were, so nobody but a host's profiler sees it. */
static void test_flush(void *ctx, u32 address)
{
    struct svmemu *m = ctx;
    struct phys_page page;
    if (phys_lookup(&m->view, (struct spa){ address }, &page) && page.host)
        page_before_write(m->bus, page.bpn, 0, PAGE_SIZE);
    for (unsigned i = 0; i < m->vcpus; i++)
        mmu_purge_derived(&m->cpu[i]->mmu);
}

bool pc_plug_test_device(struct svmemu *m)
{
    const struct testdev_out out = { .ctx = m, .line = test_line, .flush = test_flush };
    return testdev_plug(&m->pc->test, m->bus, &out) && sysport_plug_exit(&m->pc->sys, m->bus);
}

bool pc_create(struct svmemu *m)
{
    struct pc *p = calloc(1, sizeof(*p));
    const struct kbc_out kout = { .ctx = m, .set_a20 = a20_from_kbc, .reset = reset_from_kbc };
    const struct sysport_out sout = {
        .ctx = m, .set_a20 = a20_from_port, .reset = reset_from_port, .exit_value = exit_value, .power_off = port_power_off,
        .debug_char = debug_char,
    };
    const struct sysport_cfg scfg = { .debug_port = true, .firmware_debug = m->cfg.flags & SVMEMU_FIRMWARE_DEBUG };
    const struct hpet_out hout = { .ctx = p, .pin = pc_hpet_pin, .legacy_irq = pc_hpet_irq, .legacy_mode = pc_hpet_legacy };
    const struct pci_out pout = { .ctx = m, .intx = pci_intx, .msi = pci_msi, .reset = reset_from_chipset };
    if (!p)
        return false;
    m->pc = p;
#define IRQ(line) ((struct irq_line){ .set = pc_isa_irq, .ctx = p, .n = (line) })
    if (!pic_init(&p->pic, m->bus, pc_pic_output(m)) ||
        !ioapic_init(&p->ioapic, m->bus, &m->apics, IOAPIC_DEFAULT_SPA, IOAPIC_ID(m)) ||
        !pit_init(&p->pit, m->bus, &m->clock, IRQ(0)) || !rtc_init(&p->rtc, m->bus, &m->clock, IRQ(8), m->cfg.epoch) ||
        !kbc_init(&p->kbc, m->bus, IRQ(1), IRQ(12), &kout) ||
        !sysport_init(&p->sys, m->bus, &m->clock, &p->pit, &scfg, &sout) || !pci_init(&p->pci, m->bus, &pout) ||
        !i440fx_init(&p->host, &p->pci, m->bus) || !hpet_init(&p->hpet, m->bus, &m->clock, &hout))
        return false;
    pmtimer_init(&p->pm, &m->clock, IRQ(PM_SCI_IRQ), port_power_off, m);
    piix_init(&p->piix, &p->pci, &pmtimer_ops, &p->pm, pc_routed_irq, p);
#undef IRQ
    rtc_set_memory(&p->rtc, m->low_ram, m->high_ram, m->vcpus);
    if (m->cfg.flags & SVMEMU_EXIT_PORT && !sysport_plug_exit(&p->sys, m->bus))
        return false;
    if (m->cfg.flags & SVMEMU_TEST_DEVICE && !pc_plug_test_device(m))
        return false;
    return serial_create(m) && fw_items_create(m);
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
    for (unsigned i = 0; i < COM_PORTS; i++)
        if (p->com >> i & 1)
            uart_reset(&p->uart[i]);
    kbc_reset(&p->kbc);
    pmtimer_reset(&p->pm);
    sysport_reset(&p->sys);
    pci_reset(&p->pci);
    hpet_reset(&p->hpet);
    fwcfg_reset(&p->fwcfg);
    if (p->test.present)
        testdev_reset(&p->test);
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

enum svmemu_status svmemu_gpe(struct svmemu *m, unsigned event)
{
    if (!m->pc)
        return machine_fail(m, SVMEMU_UNSUPPORTED, "this machine has no power management");
    if (event > 15)
        return machine_fail(m, SVMEMU_ARGUMENT, "general-purpose event %u: there are 0 to 15", event);
    pmtimer_gpe(&m->pc->pm, event);
    return SVMEMU_OK;
}
