// SPDX-License-Identifier: MIT
#define _GNU_SOURCE 1
#include "dev/acpi.h"

#include "base/bits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <string.h>

#include <stdio.h>
#include <stdlib.h>

static u8 sum(const u8 *p, size_t n)
{
    u8 s = 0;
    while (n--)
        s = (u8)(s + *p++);
    return s;
}

/* Whether a table names a device by EISA ID: "PNP" in three letters of five bits, and the number [ACPI 19.6.36]. */
static bool names_device(const u8 *table, const char number[2])
{
    const u8 id[4] = { 0x41, 0xD0, (u8)number[0], (u8)number[1] };

    for (size_t i = 0; i + 4 <= load_le(table + 4, 4); i++)
        if (memcmp(table + i, id, 4) == 0)
            return true;
    return false;
}

static void tables(void **state)
{
    static const unsigned counts[] = { 1, 4, 300, 4096 };
    (void)state;
    for (unsigned k = 0; k < ARRAY_LEN(counts); k++) {
        struct acpi_cfg cfg = { .load_spa = 0xE0000, .cpus = counts[k], .pic = true, .ioapic = k & 1,
                                .hpet_spa = k & 1 ? 0xFED00000 : 0, .mcfg_spa = k & 1 ? 0xE0000000 : 0 };
        size_t size = acpi_size(&cfg), rsdp_len, n;
        u8 *b = malloc(size);
        n = acpi_build(&cfg, b, size, &rsdp_len);
        assert_true(n > 0 && n <= size);
        assert_int_equal(sum(b, 20), 0);
        assert_int_equal(sum(b, rsdp_len), 0);
        const u8 *rsdt = b + load_le(b + 16, 4) - cfg.load_spa, *xsdt = b + load_le(b + 24, 8) - cfg.load_spa;
        unsigned entries = (unsigned)(load_le(xsdt + 4, 4) - 36) / 8;
        assert_int_equal(entries, k & 1 ? 4 : 2);
        assert_int_equal(sum(rsdt, load_le(rsdt + 4, 4)), 0);
        assert_int_equal(sum(xsdt, load_le(xsdt + 4, 4)), 0);
        for (unsigned i = 0; i < entries; i++) {
            const u8 *t = b + load_le(xsdt + 36 + 8 * i, 8) - cfg.load_spa;
            assert_int_equal(load_le(rsdt + 36 + 4 * i, 4), load_le(xsdt + 36 + 8 * i, 8));
            assert_int_equal(sum(t, load_le(t + 4, 4)), 0);
        }
        const u8 *fadt = b + load_le(xsdt + 36, 8) - cfg.load_spa;
        assert_memory_equal(fadt, "FACP", 4);
        assert_int_equal(load_le(fadt + 4, 4), 244);
        assert_int_equal(load_le(fadt + 76, 4), 0x608);
        assert_int_equal(load_le(fadt + 212, 8), 0x608);
        assert_int_equal(load_le(fadt + 80, 4), 0x60C); /* GPE0 block and its length */
        assert_int_equal(fadt[92], 4);
        assert_int_equal(load_le(fadt + 224, 8), 0x60C);
        const u8 *dsdt = b + load_le(fadt + 140, 8) - cfg.load_spa;
        assert_int_equal(sum(dsdt, load_le(dsdt + 4, 4)), 0);
        assert_true(names_device(dsdt, "\x03\x03") && names_device(dsdt, "\x0F\x13")); /* both ports of the keyboard controller */
        assert_false(names_device(dsdt, "\x0F\x12"));
        assert_int_equal(load_le(fadt + 132, 8) % 64, 0);
        assert_int_equal(acpi_build(&cfg, b, n - 1, NULL), 0);
        free(b);
    }
}

/* Each table goes through Debian's iasl; it must see nothing to complain about. */
static void disassembled(void **state)
{
    struct acpi_cfg cfg = { .load_spa = 0xE0000, .cpus = 300, .pic = true, .ioapic = true, .hpet_spa = 0xFED00000, .mcfg_spa = 0xE0000000 };
    size_t size = acpi_size(&cfg);
    char dir[] = "/tmp/svmemu-acpi-XXXXXX", path[64], command[512];
    u8 *b = malloc(size);
    (void)state;
    assert_true(acpi_build(&cfg, b, size, NULL) > 0);
    assert_non_null(mkdtemp(dir));
    const u8 *xsdt = b + load_le(b + 24, 8) - cfg.load_spa, *rsdt = b + load_le(b + 16, 4) - cfg.load_spa, *table[8] = { rsdt, xsdt };
    unsigned n = 2, entries = (unsigned)(load_le(xsdt + 4, 4) - 36) / 8;
    for (unsigned i = 0; i < entries; i++)
        table[n++] = b + load_le(xsdt + 36 + 8 * i, 8) - cfg.load_spa;
    table[n++] = b + load_le(table[2] + 140, 8) - cfg.load_spa;
    table[n++] = b + load_le(table[2] + 132, 8) - cfg.load_spa;
    for (unsigned i = 0; i < n; i++) {
        snprintf(path, sizeof(path), "%s/%u.aml", dir, i);
        FILE *f = fopen(path, "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(table[i], 1, load_le(table[i] + 4, 4), f), load_le(table[i] + 4, 4));
        assert_int_equal(fclose(f), 0);
        /* disassembled, then without a word of warning; AML compiles again to the same length */
        snprintf(command, sizeof(command),
                 "cd %s && iasl -d %u.aml >log 2>&1 && test -s %u.dsl && ! grep -iE 'warning|error|invalid|incorrect|unknown' log %u.dsl", dir, i, i, i);
        if (system(command)) {
            print_message("table %.4s\n", (const char *)table[i]);
            fail();
        }
    }
    snprintf(command, sizeof(command), "cd %s && iasl -we -p again %u.dsl >log 2>&1 && cmp again.aml %u.aml || { cat log; false; }", dir, n - 2, n - 2);
    assert_int_equal(system(command), 0);
    snprintf(command, sizeof(command), "rm -r %s", dir);
    assert_int_equal(system(command), 0);
    free(b);
}

static void refused(void **state)
{
    u8 b[64];
    struct acpi_cfg cfg = { .load_spa = 0xE0000 };
    (void)state;
    assert_int_equal(acpi_build(&cfg, b, sizeof(b), NULL), 0);
    cfg.cpus = 1;
    assert_int_equal(acpi_build(&cfg, b, sizeof(b), NULL), 0);
    cfg.load_spa = 0xE0001;
    assert_int_equal(acpi_build(&cfg, b, sizeof(b), NULL), 0);
}

/* A loader as firmware has one, written from the description of QEMU's commands. */
struct placed {
    u8 rsdp[64], tables[32768];
    u64 rsdp_spa, tables_spa;
    unsigned allocated;
};

static u8 *file(struct placed *p, const u8 *name, u64 *spa)
{
    bool rsdp = !strcmp((const char *)name, "etc/acpi/rsdp");
    assert_true(rsdp || !strcmp((const char *)name, "etc/acpi/tables"));
    *spa = rsdp ? p->rsdp_spa : p->tables_spa;
    return rsdp ? p->rsdp : p->tables;
}

static void run_loader(struct placed *p, const struct acpi_files *f)
{
    u64 spa, from;
    assert_true(f->rsdp_len <= sizeof(p->rsdp) && f->tables_len <= sizeof(p->tables));
    memcpy(p->rsdp, f->rsdp, f->rsdp_len);
    memcpy(p->tables, f->tables, f->tables_len);
    assert_int_equal(f->loader_len % 128, 0);
    for (const u8 *r = f->loader; r < f->loader + f->loader_len; r += 128) {
        u8 *to = file(p, r + 4, &spa);
        if (load_le(r, 4) == 1) { /* allocate */
            assert_true(load_le(r + 60, 4) >= 16 && (spa & (load_le(r + 60, 4) - 1)) == 0);
            assert_int_equal(r[64], to == p->rsdp ? 2 : 1);
            p->allocated++;
        } else if (load_le(r, 4) == 2) { /* add pointer */
            file(p, r + 60, &from);
            u64 at = load_le(r + 116, 4);
            assert_true(at + r[120] <= (to == p->rsdp ? f->rsdp_len : f->tables_len));
            store_le(to + at, r[120], load_le(to + at, r[120]) + from);
        } else { /* add checksum */
            assert_int_equal(load_le(r, 4), 3);
            u64 at = load_le(r + 60, 4), start = load_le(r + 64, 4), len = load_le(r + 68, 4);
            assert_true(start + len <= (to == p->rsdp ? f->rsdp_len : f->tables_len) && at >= start && at < start + len);
            to[at] = (u8)(to[at] - sum(to + start, len));
        }
    }
}

/* Returns how many checksums are wrong; the signature of the last wrong one in `wrong`. */
static unsigned wrong_sums(struct placed *p, char *wrong)
{
    const u8 *xsdt = p->tables + load_le(p->rsdp + 24, 8) - p->tables_spa, *rsdt = p->tables + load_le(p->rsdp + 16, 4) - p->tables_spa;
    const u8 *table[10] = { rsdt, xsdt };
    unsigned n = 2, bad = 0;
    for (unsigned i = 0; i < (load_le(xsdt + 4, 4) - 36) / 8; i++) {
        assert_int_equal(load_le(rsdt + 36 + 4 * i, 4), load_le(xsdt + 36 + 8 * i, 8));
        table[n++] = p->tables + load_le(xsdt + 36 + 8 * i, 8) - p->tables_spa;
    }
    assert_memory_equal(table[2], "FACP", 4);
    assert_memory_equal(p->tables + load_le(table[2] + 132, 8) - p->tables_spa, "FACS", 4);
    assert_int_equal(load_le(table[2] + 36, 4), load_le(table[2] + 132, 8));
    assert_int_equal(load_le(table[2] + 40, 4), load_le(table[2] + 140, 8));
    table[n++] = p->tables + load_le(table[2] + 140, 8) - p->tables_spa;
    if (sum(p->rsdp, 20) || sum(p->rsdp, 36)) {
        assert_true(sum(p->rsdp, 20) && sum(p->rsdp, 36)); /* both of them */
        memcpy(wrong, "RSDP", 4);
        bad++;
    }
    for (unsigned i = 0; i < n; i++) {
        assert_memory_equal(table[i], i == 0 ? "RSDT" : i == 1 ? "XSDT" : i == n - 1 ? "DSDT" : (const char *)table[i], 4);
        if (sum(table[i], load_le(table[i] + 4, 4))) {
            memcpy(wrong, table[i], 4);
            bad++;
        }
    }
    return bad;
}

static void files(void **state)
{
    static const char known[][5] = { "RSDP", "RSDT", "XSDT", "FACP", "APIC", "HPET", "MCFG", "DSDT" };
    struct acpi_cfg cfg = { .load_spa = 0xE0000, .cpus = 4, .pic = true, .ioapic = true, .hpet_spa = 0xFED00000, .mcfg_spa = 0xE0000000,
                            .pm_port = 0xB000 };
    struct acpi_files f;
    struct placed *p = calloc(1, sizeof(*p));
    char wrong[5] = { 0 };
    (void)state;
    p->rsdp_spa = 0xF5A10;
    p->tables_spa = 0x7FE1240;
    for (unsigned i = 0; i <= ARRAY_LEN(known); i++) {
        cfg.broken = i ? known[i - 1] : NULL;
        assert_true(acpi_files_build(&cfg, &f));
        for (size_t k = 0; k < f.tables_len; k++)
            assert_true(f.tables_len - k < 8 || memcmp(f.tables + k, "RSD PTR ", 8) != 0);
        p->allocated = 0;
        run_loader(p, &f);
        assert_int_equal(p->allocated, 2);
        assert_int_equal(wrong_sums(p, wrong), i ? 1 : 0);
        if (i)
            assert_string_equal(wrong, known[i - 1]);
        const u8 *xsdt = p->tables + load_le(p->rsdp + 24, 8) - p->tables_spa, *fadt = p->tables + load_le(xsdt + 36, 8) - p->tables_spa;
        assert_int_equal(load_le(fadt + 76, 4), 0xB008); /* where the firmware put the PM registers */
        assert_int_equal(load_le(fadt + 152, 8), 0xB000);
        assert_int_equal(load_le(fadt + 176, 8), 0xB004);
        acpi_files_free(&f);
        assert_true(!i || acpi_can_break(known[i - 1]));
    }
    assert_false(acpi_can_break("FACS")); /* has no checksum */
    assert_false(acpi_can_break("") || acpi_can_break("FACPX"));
    cfg.cpus = 0;
    assert_false(acpi_files_build(&cfg, &f));
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(tables), cmocka_unit_test(refused), cmocka_unit_test(files),
                                        cmocka_unit_test(disassembled) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
