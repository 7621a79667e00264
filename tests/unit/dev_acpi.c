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

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(tables), cmocka_unit_test(refused),
                                        cmocka_unit_test(disassembled) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
