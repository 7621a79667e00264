// SPDX-License-Identifier: MIT
#include "dev/acpi.h"

#include "base/bits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <string.h>

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
                                .hpet_spa = k & 1 ? 0xFED00000 : 0 };
        size_t size = acpi_size(&cfg), rsdp_len, n;
        u8 *b = malloc(size);
        n = acpi_build(&cfg, b, size, &rsdp_len);
        assert_true(n > 0 && n <= size);
        assert_int_equal(sum(b, 20), 0);
        assert_int_equal(sum(b, rsdp_len), 0);
        const u8 *rsdt = b + load_le(b + 16, 4) - cfg.load_spa, *xsdt = b + load_le(b + 24, 8) - cfg.load_spa;
        unsigned entries = (unsigned)(load_le(xsdt + 4, 4) - 36) / 8;
        assert_int_equal(entries, k & 1 ? 3 : 2);
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
        const u8 *dsdt = b + load_le(fadt + 140, 8) - cfg.load_spa;
        assert_int_equal(sum(dsdt, load_le(dsdt + 4, 4)), 0);
        assert_int_equal(load_le(fadt + 132, 8) % 64, 0);
        assert_int_equal(acpi_build(&cfg, b, n - 1, NULL), 0);
        free(b);
    }
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
    const struct CMUnitTest tests[] = { cmocka_unit_test(tables), cmocka_unit_test(refused) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
