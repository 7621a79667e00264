// SPDX-License-Identifier: MIT
/* Code that writes over code it has run, and comes back to it through an instruction that ends a block: the old block is not entered again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#include <svmemu/svmemu.h>

enum { CODE = 0x8000, ENGINES = 3 };

/* Runs the code from CODE + entry on each engine; EBX is 10 before. */
static void expect_ebx(const uint8_t *code, size_t size, unsigned entry, uint64_t want)
{
    for (unsigned engine = 0; engine < ENGINES; engine++) {
        struct svmemu_config c = { .memory = 1 << 20, .generic_only = engine == 1, .blocks_off = engine == 2 };
        struct svmemu *m;
        struct svmemu_stop stop;
        uint64_t rbx;
        assert_int_equal(svmemu_create(&c, &m), SVMEMU_OK);
        assert_int_equal(svmemu_mem_write(m, CODE, code, size), SVMEMU_OK);
        assert_int_equal(svmemu_set_mode(m, 0, 32, 0), SVMEMU_OK);
        svmemu_reg_write(m, 0, "rbx", 10);
        svmemu_reg_write(m, 0, "rip", CODE + entry);
        assert_int_equal(svmemu_run(m, 100, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
        assert_int_equal(stop.reason, SVMEMU_STOP_HALTED);
        assert_int_equal(svmemu_reg_read(m, 0, "rbx", &rbx), SVMEMU_OK);
        assert_int_equal(rbx, want);
        svmemu_destroy(m);
    }
}

static void test_dropped(void **state)
{
    static const uint8_t code[] = {
        0xB9, 3, 0, 0, 0,                          /* mov ecx, 3 */
        0xFA,                                      /* 1: cli */
        0x43,                                      /* inc ebx, later dec ebx */
        0xC6, 0x05, 0x06, 0x80, 0x00, 0x00, 0x4B,  /* mov byte [8006h], 4Bh: dec ebx */
        0x49, 0x75, 0xF4,                          /* dec ecx; jnz 1b */
        0xF4,                                      /* hlt */
    };
    (void)state;
    expect_ebx(code, sizeof(code), 0, 10 + 1 - 1 - 1);
}

/* What is overwritten lies before the place where its block was entered: a jump led there. */
static void test_jump(void **state)
{
    static const uint8_t code[] = {
        0x43,                                      /* 1: inc ebx, dec ebx in turn */
        0x80, 0x35, 0x00, 0x80, 0x00, 0x00, 0x08,  /* xor byte [8000h], 8 */
        0x49, 0x75, 0x06,                          /* dec ecx; jnz 2f */
        0xF4,                                      /* hlt */
        0xB9, 3, 0, 0, 0,                          /* mov ecx, 3: here it begins */
        0xF8, 0xEB, 0xEC,                          /* 2: clc; jmp 1b */
    };
    (void)state;
    expect_ebx(code, sizeof(code), 12, 10 + 1 - 1 + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_dropped), cmocka_unit_test(test_jump) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
