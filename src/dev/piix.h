// SPDX-License-Identifier: MIT
/* South bridge: ISA bridge 8086:7000 with PIRQ routing (00:01.0) and power management 8086:7113 (00:01.3) [Intel 290550, 290562]. */
#ifndef SVMEMU_DEV_PIIX_H
#define SVMEMU_DEV_PIIX_H

#include "dev/pci.h"

#define PIIX_PIRQRC 0x60u /* 60h-63h: bits 3:0 the ISA interrupt, bit 7 not routed */
#define PIIX_PMBA 0x40u
#define PIIX_PMREGMISC 0x80u

struct piix {
    struct pci_function isa, pm;
    u8 pirq_levels;       /* bit n: PIRQ n is asserted */
    u16 isa_levels;       /* ISA lines driven by the router */
    void (*irq)(void *ctx, unsigned irq, bool level);
    void *irq_ctx;
};

/* `irq`: level of an ISA interrupt as driven by the router. pm_ops: the 64 ports at PMBA. */
void piix_init(struct piix *x, struct pci_bus *p, const struct mmio_ops *pm_ops, void *pm_ctx,
               void (*irq)(void *ctx, unsigned irq, bool level), void *irq_ctx);
void piix_set_pirq(struct piix *x, unsigned pirq, bool level);
/* Where firmware has put the power management registers; 0: not yet. */
u16 piix_pmba(const struct piix *x);
/* What firmware programs: power management registers at `port`. */
void piix_set_pmba(struct piix *x, u16 port);

#endif
