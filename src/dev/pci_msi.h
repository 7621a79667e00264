// SPDX-License-Identifier: MIT
/* Interrupts of a PCI function: its pin, MSI or MSI-X, whichever the guest has switched on [PCI 3.0 6.8]. */
#ifndef SVMEMU_DEV_PCI_MSI_H
#define SVMEMU_DEV_PCI_MSI_H

#include "dev/pci.h"

#define MSI_MAX 32u
#define MSIX_MAX 2048u
#define MSIX_ENTRY 16u

struct pci_messages {
    struct pci_function *f;
    u8 msi, msix;       /* configuration registers of the capabilities; 0: none */
    unsigned entries;   /* of MSI-X */
    u8 *table;          /* MSI-X: entries of address, data, vector control; owned, as is `pending` */
    u64 *pending;       /* one bit for each entry */
    u32 msi_pending;
    bool pin;           /* level that the function asks for while both are off */
};

/* After pci_describe(). `vectors` of MSI: 0 (none), 1, 2, 4 to 32; entries of MSI-X: 0 to 2048, in memory BAR `bar`, which is the
 * table's alone. False: no memory. */
bool pci_messages_init(struct pci_messages *g, struct pci_function *f, unsigned vectors, unsigned entries, unsigned bar);
void pci_messages_fini(struct pci_messages *g);
/* Of the function's `written`: masks and enables may have changed. */
void pci_messages_written(struct pci_messages *g, unsigned first, unsigned len);
/* Level of interrupt `vector`. Messages are edges: one is sent when the level is true. With a pin only, `vector` has no meaning. */
void pci_messages_set(struct pci_messages *g, unsigned vector, bool level);

#endif
