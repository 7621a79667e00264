// SPDX-License-Identifier: MIT
/* PCI: configuration space by mechanism 1 (CF8h/CFCh) and memory-mapped, functions with BARs, INTx [PCI 3.0].
 *
 * A function is described once (registers, writable bits, BARs) and then works by itself. Where its BARs overlap RAM, fixed
 * devices or ports these win; among BARs the lower device and function number, then the lower BAR. So what is visible follows
 * from the registers alone, not from the order in which they were written. */
#ifndef SVMEMU_DEV_PCI_H
#define SVMEMU_DEV_PCI_H

#include "bus/bus.h"
#include "bus/clock.h"

#define PCI_CONFIG_SIZE 256u
#define PCI_BARS 7u              /* six and one that is elsewhere, such as a power management base */
#define PCI_ECAM_SPA 0xE0000000u /* 256 buses of 1 MiB */
#define PCI_ECAM_SIZE 0x10000000u
#define PCI_DEVFN(device, function) ((device) << 3 | (function))

enum { /* configuration registers */
    PCI_VENDOR = 0x00, PCI_DEVICE = 0x02, PCI_COMMAND = 0x04, PCI_STATUS = 0x06, PCI_REVISION = 0x08, PCI_CLASS = 0x09,
    PCI_HEADER = 0x0E, PCI_BAR0 = 0x10, PCI_SUBVENDOR = 0x2C, PCI_SUBSYSTEM = 0x2E, PCI_LINE = 0x3C, PCI_PIN = 0x3D,
};
enum { PCI_CMD_IO = 1 << 0, PCI_CMD_MEMORY = 1 << 1, PCI_CMD_MASTER = 1 << 2, PCI_CMD_NO_INTX = 1 << 10 };
#define PCI_STATUS_INTX (1u << 3)

struct pci_bar {
    u64 size;                   /* a power of two; 0: none */
    bool io, wide;              /* wide: 64-bit memory, takes two registers */
    u8 reg;                     /* configuration register */
    u8 enable_reg, enable_mask; /* decoded only while this bit is set */
    const struct mmio_ops *ops;
    void *ctx;
    bool mapped;                /* derived from the registers */
    u64 at;
};

struct pci_state {
    u8 config[PCI_CONFIG_SIZE];
    bool intx;                  /* what the function asks for, before the command register's mask */
};

struct pci_bus;
struct pci_function {
    struct pci_state s;
    u8 reset[PCI_CONFIG_SIZE];    /* values after reset */
    u8 writable[PCI_CONFIG_SIZE]; /* bits that a write changes */
    u8 clears[PCI_CONFIG_SIZE];   /* bits that writing one clears */
    struct pci_bar bar[PCI_BARS];
    void (*written)(void *ctx, unsigned first, unsigned len); /* after a write; may be NULL */
    void *ctx;
    u8 devfn;
    struct pci_bus *bus;
};

struct pci_out {
    void *ctx;
    void (*intx)(void *ctx, unsigned pirq, bool level);   /* PIRQ A-D: 0-3, all functions together */
    void (*msi)(void *ctx, u64 address, u32 data);        /* a memory write that is an interrupt message */
    void (*reset)(void *ctx, bool hard);                  /* CF9h */
};

struct pci_bus_state {
    u32 address; /* CF8h */
    u8 cf9;
};

struct pci_bus {
    struct pci_bus_state s;
    struct pci_function *fn[256]; /* bus 0 by devfn */
    struct bus *bus;
    struct pci_out out;
};

bool pci_init(struct pci_bus *p, struct bus *b, const struct pci_out *out);
void pci_reset(struct pci_bus *p);

/* Describing a function: ids and class, then BARs and further registers, then pci_add(). */
void pci_describe(struct pci_function *f, u16 vendor, u16 device, u32 class_code, u8 revision);
/* Initial value and writable bits of a register of 1 to 4 bytes. */
void pci_register(struct pci_function *f, unsigned reg, unsigned width, u32 value, u32 writable);
/* BAR `i` of 0-5; a wide one takes i and i + 1. Size: a power of two, at least 16 (memory) or 4 (I/O). */
void pci_describe_bar(struct pci_function *f, unsigned i, u64 size, bool io, bool wide, const struct mmio_ops *ops, void *ctx);
void pci_add(struct pci_bus *p, struct pci_function *f, u8 devfn);

u32 pci_config_read(const struct pci_bus *p, unsigned busno, unsigned devfn, unsigned reg, unsigned width);
void pci_config_write(struct pci_bus *p, unsigned busno, unsigned devfn, unsigned reg, unsigned width, u32 value);

/* Level of the function's interrupt pin; goes to the PIRQ of its slot. */
void pci_set_intx(struct pci_function *f, bool level);
/* The message of an MSI or MSI-X entry; dropped unless the function is a bus master. */
void pci_send_msi(struct pci_function *f, u64 address, u32 data);

#endif
