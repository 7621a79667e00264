// SPDX-License-Identifier: MIT
/* RFLAGS.RF: an IRET that sets it lets the instruction it returns to run in spite of a breakpoint there, once. [APM2 13.1.4] */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#include <svmemu/svmemu.h>

enum { GDT = 0x5000, CODE = 0x8000, TARGET = 0x8010, STACK = 0x7000, RF = 1 << 16, ENGINES = 3 };

/* IRETD to two INCs and a jump back to the first, with an instruction breakpoint on it and no IDT. */
static enum svmemu_stop_reason run(unsigned engine, uint32_t eflags, uint64_t insns, uint64_t *rax)
{
    static const uint64_t gdt[] = { 0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF };
    static const uint8_t target[] = { 0x40, 0x40, 0xEB, 0xFC };
    const uint32_t frame[] = { TARGET, 8, eflags };
    struct svmemu_config c = { .memory = 1 << 20, .generic_only = engine == 1, .blocks_off = engine == 2 };
    struct svmemu *m;
    struct svmemu_stop stop;
    assert_int_equal(svmemu_create(&c, &m), SVMEMU_OK);
    assert_int_equal(svmemu_mem_write(m, GDT, gdt, sizeof(gdt)), SVMEMU_OK);
    assert_int_equal(svmemu_mem_write(m, CODE, "\xCF", 1), SVMEMU_OK);
    assert_int_equal(svmemu_mem_write(m, TARGET, target, sizeof(target)), SVMEMU_OK);
    assert_int_equal(svmemu_mem_write(m, STACK, frame, sizeof(frame)), SVMEMU_OK);
    assert_int_equal(svmemu_set_mode(m, 0, 32, 0), SVMEMU_OK);
    svmemu_reg_write(m, 0, "gdtr.base", GDT);
    svmemu_reg_write(m, 0, "gdtr.limit", sizeof(gdt) - 1);
    svmemu_reg_write(m, 0, "idtr.limit", 0);
    svmemu_reg_write(m, 0, "rsp", STACK);
    svmemu_reg_write(m, 0, "rax", 0);
    svmemu_reg_write(m, 0, "dr0", TARGET);
    svmemu_reg_write(m, 0, "dr7", 0x401);
    svmemu_reg_write(m, 0, "rip", CODE);
    assert_int_equal(svmemu_run(m, insns, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
    assert_int_equal(svmemu_reg_read(m, 0, "rax", rax), SVMEMU_OK);
    svmemu_destroy(m);
    return stop.reason;
}

static void test_iret(void **state)
{
    uint64_t rax;
    (void)state;
    for (unsigned e = 0; e < ENGINES; e++) {
        assert_int_equal(run(e, 2, 4, &rax), SVMEMU_STOP_SHUTDOWN); /* the breakpoint is seen: #DB finds no IDT */
        assert_int_equal(rax, 0);
        assert_int_equal(run(e, 2 | RF, 4, &rax), SVMEMU_STOP_LIMIT_INSNS); /* IRETD, INC, INC, JMP */
        assert_int_equal(rax, 2);
        assert_int_equal(run(e, 2 | RF, 6, &rax), SVMEMU_STOP_SHUTDOWN); /* and the next time it is seen again */
        assert_int_equal(rax, 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_iret) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
