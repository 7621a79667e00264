// SPDX-License-Identifier: MIT
/** @file
 * PCI functions of the caller's own: configuration space, BARs, and interrupts by pin, MSI or MSI-X. */
#ifndef SVMEMU_PCI_H
#define SVMEMU_PCI_H

#include <svmemu/machine.h>

#ifdef __cplusplus
extern "C" {
#endif

struct svmemu_pci; /**< A function; it lives as long as its machine. */

struct svmemu_pci_bar {
    uint64_t size;          /**< a power of two from 16 (memory) or from 4 to 256 (io); 0: no such BAR */
    bool io;                /**< ports instead of memory */
    bool wide;              /**< 64-bit memory: takes the next BAR's register too */
    struct svmemu_mmio ops; /**< offsets are relative to the BAR */
    void *ctx;
};

/** Zero-initialise, then set what matters. */
struct svmemu_pci_config {
    unsigned device, function;     /**< on bus 0: 2 to 31 (0 and 1 are the board's), 0 to 7 */
    uint16_t vendor, id, subvendor, subsystem;
    uint32_t class_code;           /**< 24 bits: class, subclass, programming interface */
    uint8_t revision;
    unsigned pin;                  /**< 0: no interrupt pin; 1 to 4: INTA to INTD */
    unsigned msi;                  /**< messages by MSI: 0 (no such capability), 1, 2, 4, 8, 16 or 32 */
    unsigned msix;                 /**< entries of MSI-X: 0 (no such capability) to 2048 */
    unsigned msix_bar;             /**< the BAR of MSI-X's table, which must not be used otherwise */
    struct svmemu_pci_bar bar[6];
    void *ctx;                     /**< first argument of `written` */
    /** A write to configuration space, or (0, 256) a reset; may be NULL. */
    void (*written)(void *ctx, unsigned reg, unsigned width);
};

/** Adds a function (PC only). BARs lie below RAM, ROM and the board's devices, whatever addresses the guest gives them.
 * SVMEMU_OVERLAP: that place is taken. A guest that finds function 1 or higher asks for function 0 first. */
SVMEMU_API enum svmemu_status svmemu_pci_add(struct svmemu *m, const struct svmemu_pci_config *config, struct svmemu_pci **out);
/** Level of an interrupt of the function: with MSI-X or MSI switched on by the guest, true sends message `vector` once unless it is
 * masked (then it becomes pending); else it is the level of the pin. Messages need the command register's bus master bit. */
SVMEMU_API void svmemu_pci_interrupt(struct svmemu_pci *f, unsigned vector, bool level);
/** Configuration space as the device sees it; width 1, 2 or 4, inside of 256 bytes, else all ones. */
SVMEMU_API uint32_t svmemu_pci_config_read(const struct svmemu_pci *f, unsigned reg, unsigned width);

#ifdef __cplusplus
}
#endif
#endif
