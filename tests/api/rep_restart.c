// SPDX-License-Identifier: MIT
/* REP and limits. A REP that overwrites its own bytes: left between two elements, it is fetched again and may be another instruction. Where it is left
 * depends on time alone, so a run cut at any cycle ends the same on every engine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#include <svmemu/svmemu.h>

enum { CODE = 0x8000, REP = CODE + 12, ENGINES = 3, LIMIT = 1000 };

static struct svmemu *machine(unsigned engine)
{
    /* mov ecx, 40h; mov edi, REP - 20h; mov al, 90h; rep stosb; then what is left of: cpuid (eight times), 16 x inc ebx, hlt */
    static const uint8_t code[] = {
        0xB9, 0x40, 0, 0, 0, 0xBF, (REP - 0x20) & 0xFF, (REP - 0x20) >> 8, 0, 0, 0xB0, 0x90, 0xF3, 0xAA,
        0x0F, 0xA2, 0x0F, 0xA2, 0x0F, 0xA2, 0x0F, 0xA2, 0x0F, 0xA2, 0x0F, 0xA2, 0x0F, 0xA2, 0x0F, 0xA2,
        0x43, 0x43, 0x43, 0x43, 0x43, 0x43, 0x43, 0x43, 0x43, 0x43, 0x43, 0x43, 0x43, 0x43, 0x43, 0x43, 0xF4,
    };
    struct svmemu_config c = { .memory = 1 << 20, .generic_only = engine == 1, .blocks_off = engine == 2 };
    struct svmemu *m;
    assert_int_equal(svmemu_create(&c, &m), SVMEMU_OK);
    assert_int_equal(svmemu_mem_write(m, CODE, code, sizeof(code)), SVMEMU_OK);
    assert_int_equal(svmemu_set_mode(m, 0, 32, 0), SVMEMU_OK);
    assert_int_equal(svmemu_reg_write(m, 0, "rip", CODE), SVMEMU_OK);
    return m;
}

static void test_cut_anywhere(void **state)
{
    unsigned kinds = 0; /* bit 0: ended with ECX 0, bit 1: the REP was no REP any more when it was fetched again */
    (void)state;
    for (uint64_t limit = 1; limit < LIMIT; limit += limit < 800 ? 13 : 1) {
        uint64_t hash[ENGINES], rcx = 0;
        for (unsigned e = 0; e < ENGINES; e++) {
            struct svmemu *m = machine(e);
            struct svmemu_stop stop;
            assert_int_equal(svmemu_run(m, SVMEMU_NO_LIMIT, limit, &stop), SVMEMU_OK);
            assert_int_equal(svmemu_run(m, 200, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
            assert_int_equal(stop.reason, SVMEMU_STOP_HALTED);
            assert_int_equal(svmemu_reg_read(m, 0, "rcx", &rcx), SVMEMU_OK);
            hash[e] = svmemu_state_hash(m);
            svmemu_destroy(m);
        }
        kinds |= rcx ? 2 : 1;
        for (unsigned e = 1; e < ENGINES; e++)
            if (hash[e] != hash[0])
                fail_msg("cut after %llu cycles: engine %u differs", (unsigned long long)limit, e);
    }
    assert_int_equal(kinds, 3);
}

/* Elements that go to no memory fold the slice's time one by one: the limit must still hold. */
static void test_limit_over_devices(void **state)
{
    static const uint8_t code[] = { 0xB9, 0xFF, 0xFF, 0xFF, 0xFF, 0xBF, 0, 0, 0, 0x40, 0xF3, 0xAA }; /* 2^32 - 1 elements at 1 GiB */
    (void)state;
    for (unsigned e = 0; e < ENGINES; e++) {
        struct svmemu *m = machine(e);
        struct svmemu_stop stop;
        uint64_t rcx;
        assert_int_equal(svmemu_mem_write(m, CODE, code, sizeof(code)), SVMEMU_OK);
        for (unsigned i = 1; i <= 3; i++) {
            assert_int_equal(svmemu_run(m, SVMEMU_NO_LIMIT, 10000000, &stop), SVMEMU_OK);
            assert_int_equal(stop.reason, SVMEMU_STOP_LIMIT_CYCLES);
            assert_in_range(stop.cycles, 10000000 * i, 10001001 * i);
        }
        assert_int_equal(svmemu_reg_read(m, 0, "rcx", &rcx), SVMEMU_OK);
        assert_in_range(0xFFFFFFFF - rcx, 29960, 29975); /* 1001 cycles an element: one and the way to the bus */
        svmemu_destroy(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_cut_anywhere), cmocka_unit_test(test_limit_over_devices) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
