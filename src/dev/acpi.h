// SPDX-License-Identifier: MIT
/* Builds the ACPI tables of the machine into a buffer. */
#ifndef SVMEMU_DEV_ACPI_H
#define SVMEMU_DEV_ACPI_H

#include "base/types.h"

struct acpi_cfg {
    u64 load_spa;         /* where the buffer will stand, below 4 GiB, 64-byte aligned */
    unsigned cpus;        /* 1-4096 */
    const u32 *apic_ids;  /* NULL: 0, 1, 2, ... */
    u64 lapic_spa;        /* 0: FEE00000h */
    bool pic;             /* two 8259s exist */
    bool ioapic;
    u8 ioapic_id;
    u32 ioapic_spa;       /* 0: FEC00000h */
    u64 hpet_spa;         /* 0: no HPET */
    u64 mcfg_spa;         /* 0: no memory-mapped PCI configuration space */
};

/* Returns the bytes used, or 0 when `size` is too small or cfg makes no sense. The RSDP is at offset 0. The first
 * *rsdp_len bytes may be copied elsewhere (the E0000h segment) alone. */
size_t acpi_build(const struct acpi_cfg *cfg, void *buf, size_t size, size_t *rsdp_len);
/* An upper bound of the bytes acpi_build needs. */
size_t acpi_size(const struct acpi_cfg *cfg);

#endif
