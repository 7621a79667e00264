// SPDX-License-Identifier: MIT
/* Builds the ACPI tables of the machine into a buffer. */
#ifndef SVMEMU_DEV_ACPI_H
#define SVMEMU_DEV_ACPI_H

#include "base/types.h"

/* Where a firmware that moves the tables must put addresses and checksums; offsets are in the buffer. */
struct acpi_link {
    struct { u32 at; u8 width; } pointer[24];
    struct { u32 at, start, len; } sum[12];
    unsigned pointers, sums;
};

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
    u16 pm_port;          /* of the power management registers, 0: PM_PORT */
    const char *broken;   /* signature of the table with a wrong checksum: "RSDP", "FACP", ...; NULL: none */
    struct acpi_link *link; /* filled in; NULL: not wanted */
};

/* Returns the bytes used, or 0 when `size` is too small or cfg makes no sense. The RSDP is at offset 0. The first
 * *rsdp_len bytes may be copied elsewhere (the E0000h segment) alone. */
size_t acpi_build(const struct acpi_cfg *cfg, void *buf, size_t size, size_t *rsdp_len);
/* An upper bound of the bytes acpi_build needs. */
size_t acpi_size(const struct acpi_cfg *cfg);
/* Is there a table of this signature whose checksum can be broken? */
bool acpi_can_break(const char *signature);

/* The tables as fw_cfg hands them to a firmware [QEMU, bios-linker-loader]: two files with offsets for pointers, and a script that
 * allocates room for them, relocates the pointers and sets the checksums. */
#define ACPI_FILE_RSDP "etc/acpi/rsdp"
#define ACPI_FILE_TABLES "etc/acpi/tables"
#define ACPI_FILE_LOADER "etc/table-loader"
struct acpi_files {
    u8 *rsdp, *tables, *loader; /* owned by the caller after success */
    size_t rsdp_len, tables_len, loader_len;
};
bool acpi_files_build(const struct acpi_cfg *cfg, struct acpi_files *out);
void acpi_files_free(struct acpi_files *f);

#endif
