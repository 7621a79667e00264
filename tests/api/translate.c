// SPDX-License-Identifier: MIT
/* svmemu_translate(): tables, rights, memory types by PAT and MTRRs, faults; no trace left. [APM2 5, 7.8] */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <svmemu/svmemu.h>

enum { PML4 = 0x10000, PDPT = 0x11000, PD = 0x12000, PT = 0x13000, P = 1, W = 2, U = 4, PWT = 8, PCD = 16, PS = 0x80, G = 0x100 };
#define NX (1ull << 63)

static void entry(struct svmemu *m, uint64_t at, uint64_t value)
{
    assert_int_equal(svmemu_mem_write(m, at, &value, 8), SVMEMU_OK);
}

static void is(struct svmemu *m, uint64_t linear, uint64_t address, uint64_t size, const char *rights, const char *type)
{
    struct svmemu_translation t;
    char got[5];
    assert_int_equal(svmemu_translate(m, 0, linear, &t), SVMEMU_OK);
    snprintf(got, sizeof(got), "%s%s%s%s", t.writable ? "w" : "", t.user ? "u" : "", t.executable ? "x" : "", t.global ? "g" : "");
    if (t.fault || t.address != address || t.page_size != size || strcmp(got, rights) || strcmp(t.memory_type, type))
        fail_msg("%#llx: %#llx, size %#llx, rights %s, type %s, fault %d", (unsigned long long)linear, (unsigned long long)t.address,
                 (unsigned long long)t.page_size, got, t.memory_type, (int)t.fault);
}

static void test_translate(void **state)
{
    struct svmemu_config c = { .memory = 8 << 20 };
    struct svmemu *m;
    struct svmemu_translation t;
    uint64_t e;
    (void)state;
    assert_int_equal(svmemu_create(&c, &m), SVMEMU_OK);
    assert_int_equal(svmemu_set_mode(m, 0, 32, 0), SVMEMU_OK);
    assert_int_equal(svmemu_msr_write(m, 0, 0x2FF, 0x806), SVMEMU_OK); /* default WB */
    is(m, 0x123456, 0x123456, 0, "wux", "WB");
    entry(m, PML4, PDPT | P | W | U);
    entry(m, PDPT, PD | P | W | U);
    entry(m, PDPT + 8, P | W | U | PS | G | NX);
    entry(m, PD, PT | P | W | U);
    entry(m, PD + 8, 0x200000 | P | W | PS | PWT);
    entry(m, PD + 16, 0xFEC00000 | P | W | PS);
    entry(m, PT, 0x5000 | P | U);
    entry(m, PT + 8, 0x6000 | P | W | PCD | PWT);
    assert_int_equal(svmemu_set_mode(m, 0, 64, PML4), SVMEMU_OK);
    is(m, 0x123, 0x5123, 0x1000, "ux", "WB");
    is(m, 0x1FFF, 0x6FFF, 0x1000, "wx", "CD"); /* UC by PAT, WB by MTRR */
    is(m, 0x345678, 0x345678, 0x200000, "wx", "WT");
    is(m, 0x40001234, 0x1234, 0x40000000, "wu", "WB");
    assert_int_equal(svmemu_reg_write(m, 0, "cr4", 0xA0), SVMEMU_OK); /* PGE: now G means something */
    is(m, 0x40001234, 0x1234, 0x40000000, "wug", "WB");
    is(m, 0x400000, 0xFEC00000, 0x200000, "wx", "UC");
    assert_int_equal(svmemu_msr_write(m, 0, 0x2FF, 0), SVMEMU_OK); /* MTRRs off: all memory is UC */
    is(m, 0x123, 0x5123, 0x1000, "ux", "UC");
    is(m, 0x345678, 0x345678, 0x200000, "wx", "UC");
    assert_int_equal(svmemu_translate(m, 0, 0x2000, &t), SVMEMU_OK);
    assert_int_equal(t.fault, SVMEMU_FAULT_PAGE);
    assert_int_equal(t.fault_address, 0x2000);
    assert_int_equal(t.fault_error & 1, 0);
    assert_string_equal(t.memory_type, "");
    assert_int_equal(svmemu_mem_read(m, PT, &e, 8), SVMEMU_OK);
    assert_int_equal(e, 0x5000 | P | U); /* no accessed bit */
    assert_int_equal(svmemu_translate(m, 1, 0, &t), SVMEMU_ARGUMENT);
    svmemu_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_translate) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
