// SPDX-License-Identifier: MIT
#include "dev/piix.h"

#include "base/bits.h"

/* Interrupts 0-2, 8 and 13 belong to the board: routing there is reserved and has no effect. */
#define ROUTABLE 0xDEF8u

static void route(struct piix *x)
{
    u16 now = 0;
    for (unsigned i = 0; i < 4; i++) {
        u8 rc = x->isa.s.config[PIIX_PIRQRC + i];
        if ((x->pirq_levels >> i & 1) && !(rc & 0x80))
            now |= (u16)(1u << (rc & 15)) & ROUTABLE;
    }
    u16 changed = now ^ x->isa_levels;
    x->isa_levels = now;
    for (unsigned irq = 0; irq < 16; irq++)
        if (changed >> irq & 1)
            x->irq(x->irq_ctx, irq, now >> irq & 1);
}

static void written(void *ctx, unsigned first, unsigned len)
{
    if (first < PIIX_PIRQRC + 4 && first + len > PIIX_PIRQRC)
        route(ctx);
}

void piix_set_pirq(struct piix *x, unsigned pirq, bool level)
{
    x->pirq_levels = (u8)(level ? x->pirq_levels | 1u << pirq : x->pirq_levels & ~(1u << pirq));
    route(x);
}

u16 piix_pmba(const struct piix *x)
{
    const u8 *config = x->pm.s.config;
    return config[PIIX_PMREGMISC] & 1 ? (u16)(load_le(config + PIIX_PMBA, 2) & 0xFFC0) : 0;
}

void piix_set_pmba(struct piix *x, u16 port)
{
    pci_config_write(x->pm.bus, 0, x->pm.devfn, PIIX_PMBA, 4, port);
    pci_config_write(x->pm.bus, 0, x->pm.devfn, PIIX_PMREGMISC, 1, 1);
}

void piix_init(struct piix *x, struct pci_bus *p, const struct mmio_ops *pm_ops, void *pm_ctx,
               void (*irq)(void *ctx, unsigned irq, bool level), void *irq_ctx)
{
    memset(x, 0, sizeof(*x));
    x->irq = irq;
    x->irq_ctx = irq_ctx;
    pci_describe(&x->isa, 0x8086, 0x7000, 0x060100, 0);
    pci_register(&x->isa, PCI_COMMAND, 2, PCI_CMD_IO | PCI_CMD_MEMORY | PCI_CMD_MASTER, 0x8); /* hard-wired; special cycles */
    pci_register(&x->isa, PCI_STATUS, 2, 0x0200, 0);
    pci_register(&x->isa, PCI_HEADER, 1, 0x80, 0); /* more functions follow */
    pci_register(&x->isa, PCI_LINE, 1, 0, 0);
    pci_register(&x->isa, 0x4C, 4, 0x0003004D, 0xFF); /* I/O recovery, X-bus chip selects: kept, without effect */
    for (unsigned i = 0; i < 4; i++)
        pci_register(&x->isa, PIIX_PIRQRC + i, 1, 0x80, 0x8F);
    x->isa.written = written;
    x->isa.ctx = x;
    pci_add(p, &x->isa, PCI_DEVFN(1, 0));

    pci_describe(&x->pm, 0x8086, 0x7113, 0x068000, 3);
    pci_register(&x->pm, PCI_COMMAND, 2, 0, PCI_CMD_IO);
    pci_register(&x->pm, PCI_STATUS, 2, 0x0280, 0);
    pci_register(&x->pm, PCI_PIN, 1, 1, 0);
    pci_register(&x->pm, PIIX_PMBA, 4, 1, 0xFFC0);
    /* DEVACTB: a write to port B2h raises no SMI here; APMC_EN set says that firmware has nothing to install for it. */
    pci_register(&x->pm, 0x58, 4, 0x02000000, 0);
    pci_register(&x->pm, PIIX_PMREGMISC, 1, 0, 1);
    pci_register(&x->pm, 0x90, 4, 1, 0xFFF0); /* SMBus base and host configuration: kept, no SMBus behind */
    pci_register(&x->pm, 0xD2, 1, 0, 0x0F);
    x->pm.bar[6] = (struct pci_bar){ .size = 64, .io = true, .reg = PIIX_PMBA, .enable_reg = PIIX_PMREGMISC, .enable_mask = 1,
                                     .ops = pm_ops, .ctx = pm_ctx };
    pci_add(p, &x->pm, PCI_DEVFN(1, 3));
}
