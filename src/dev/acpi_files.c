// SPDX-License-Identifier: MIT
/* ACPI tables for a firmware that places them itself: two fw_cfg files and the loader's script for them. The script's format is
 * that of QEMU's hw/acpi/bios-linker-loader: records of 128 bytes, little-endian, names of 56 bytes. */
#include "dev/acpi.h"

#include "base/bits.h"

#include <stdlib.h>

#define RECORD 128u
#define NAME 56u
enum { ALLOCATE = 1, ADD_POINTER = 2, ADD_CHECKSUM = 3 };
enum { ZONE_HIGH = 1, ZONE_FSEG = 2 };
#define TABLES_START 64u /* the RSDP, at the buffer's start, is a file of its own */

static u8 *record(struct acpi_files *f, u32 command)
{
    u8 *r = f->loader + f->loader_len;
    f->loader_len += RECORD;
    store_le(r, 4, command);
    return r + 4;
}

static void put_name(u8 *p, const char *name)
{
    memcpy(p, name, strlen(name)); /* the rest is zero */
}

static void allocate(struct acpi_files *f, const char *name, u32 align, u8 zone)
{
    u8 *p = record(f, ALLOCATE);
    put_name(p, name);
    store_le(p + NAME, 4, align);
    p[NAME + 4] = zone;
}

static const char *file_of(u32 at) { return at < TABLES_START ? ACPI_FILE_RSDP : ACPI_FILE_TABLES; }

static void write_script(struct acpi_files *f, const struct acpi_link *l)
{
    allocate(f, ACPI_FILE_TABLES, 64, ZONE_HIGH);
    allocate(f, ACPI_FILE_RSDP, 16, ZONE_FSEG);
    for (unsigned i = 0; i < l->pointers; i++) {
        u8 *p = record(f, ADD_POINTER);
        put_name(p, file_of(l->pointer[i].at));
        put_name(p + NAME, ACPI_FILE_TABLES);
        store_le(p + 2 * NAME, 4, l->pointer[i].at);
        p[2 * NAME + 4] = l->pointer[i].width;
    }
    for (unsigned i = 0; i < l->sums; i++) {
        u8 *p = record(f, ADD_CHECKSUM);
        put_name(p, file_of(l->sum[i].at));
        store_le(p + NAME, 4, l->sum[i].at);
        store_le(p + NAME + 4, 4, l->sum[i].start);
        store_le(p + NAME + 8, 4, l->sum[i].len);
    }
}

bool acpi_files_build(const struct acpi_cfg *cfg, struct acpi_files *out)
{
    struct acpi_link link;
    struct acpi_cfg c = *cfg;
    size_t size = acpi_size(cfg);
    c.load_spa = 0;
    c.link = &link;
    *out = (struct acpi_files){ .rsdp = malloc(TABLES_START), .tables = calloc(1, size) };
    size_t n = out->rsdp && out->tables ? acpi_build(&c, out->tables, size, &out->rsdp_len) : 0;
    if (n)
        out->loader = calloc(2 + link.pointers + link.sums, RECORD);
    if (!out->loader) {
        acpi_files_free(out);
        return false;
    }
    out->tables_len = n;
    memcpy(out->rsdp, out->tables, out->rsdp_len);
    memset(out->tables, 0, TABLES_START); /* else somebody finds a second one */
    write_script(out, &link);
    return true;
}

void acpi_files_free(struct acpi_files *f)
{
    free(f->rsdp);
    free(f->tables);
    free(f->loader);
    *f = (struct acpi_files){ 0 };
}
