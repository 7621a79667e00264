// SPDX-License-Identifier: MIT
/* RFLAGS.RF: an IRET that sets it lets the instruction it returns to run in spite of a breakpoint there, once. [APM2 13.1.4] */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#include <svmemu/svmemu.h>

enum { GDT = 0x5000, IDT = 0x6000, CODE = 0x8000, TARGET = 0x8010, HANDLER = 0x8020, STACK = 0x7000, RF = 1 << 16, ENGINES = 3 };

/* About to run an IRETD to `target` with these flags, in flat 32-bit code. */
static struct svmemu *prepare(unsigned engine, uint32_t eflags, const void *target, size_t size)
{
    static const uint64_t gdt[] = { 0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF };
    const uint32_t frame[] = { TARGET, 8, eflags };
    struct svmemu_config c = { .memory = 1 << 20, .generic_only = engine == 1, .blocks_off = engine == 2 };
    struct svmemu *m;
    assert_int_equal(svmemu_create(&c, &m), SVMEMU_OK);
    assert_int_equal(svmemu_mem_write(m, GDT, gdt, sizeof(gdt)), SVMEMU_OK);
    assert_int_equal(svmemu_mem_write(m, CODE, "\xCF", 1), SVMEMU_OK);
    assert_int_equal(svmemu_mem_write(m, TARGET, target, size), SVMEMU_OK);
    assert_int_equal(svmemu_mem_write(m, STACK, frame, sizeof(frame)), SVMEMU_OK);
    assert_int_equal(svmemu_set_mode(m, 0, 32, 0), SVMEMU_OK);
    svmemu_reg_write(m, 0, "gdtr.base", GDT);
    svmemu_reg_write(m, 0, "gdtr.limit", sizeof(gdt) - 1);
    svmemu_reg_write(m, 0, "rsp", STACK);
    svmemu_reg_write(m, 0, "rax", 0);
    svmemu_reg_write(m, 0, "rip", CODE);
    return m;
}

/* Two INCs and a jump back to the first, with an instruction breakpoint on it and no IDT. */
static enum svmemu_stop_reason run(unsigned engine, uint32_t eflags, uint64_t insns, uint64_t *rax)
{
    static const uint8_t target[] = { 0x40, 0x40, 0xEB, 0xFC };
    struct svmemu *m = prepare(engine, eflags, target, sizeof(target));
    struct svmemu_stop stop;
    svmemu_reg_write(m, 0, "idtr.limit", 0);
    svmemu_reg_write(m, 0, "dr0", TARGET);
    svmemu_reg_write(m, 0, "dr7", 0x401);
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

/* The flags that `target`, which ends in a trap or fault, leaves on its handler's stack after an IRETD that set RF. */
static uint32_t pushed(unsigned engine, const void *target, size_t size)
{
    static const uint64_t gate = 0x00008E0000080000 | HANDLER;
    struct svmemu *m = prepare(engine, 2 | RF, target, size);
    struct svmemu_stop stop;
    uint64_t rsp;
    uint32_t flags;
    for (unsigned vec = 0; vec < 16; vec++)
        assert_int_equal(svmemu_mem_write(m, IDT + vec * sizeof(gate), &gate, sizeof(gate)), SVMEMU_OK);
    assert_int_equal(svmemu_mem_write(m, HANDLER, "\xF4", 1), SVMEMU_OK);
    svmemu_reg_write(m, 0, "idtr.base", IDT);
    svmemu_reg_write(m, 0, "idtr.limit", 16 * sizeof(gate) - 1);
    assert_int_equal(svmemu_run(m, 100000, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
    assert_int_equal(stop.reason, SVMEMU_STOP_HALTED);
    assert_int_equal(svmemu_reg_read(m, 0, "rsp", &rsp), SVMEMU_OK);
    assert_int_equal(svmemu_mem_read(m, rsp + 8, &flags, sizeof(flags)), SVMEMU_OK);
    svmemu_destroy(m);
    return flags;
}

/* RF goes with the first instruction that completes, whatever it is, and a fault pushes it set. */
static void test_first_instruction(void **state)
{
    static const struct {
        uint8_t code[8];
        bool rf;
    } cell[] = {
        { { 0x40, 0xCC }, false },                   /* INC EAX; INT3, a trap */
        { { 0x40, 0x0F, 0x0B }, true },              /* INC EAX; UD2, a fault */
        { { 0x0F, 0x0B }, true },                    /* UD2 */
        { { 0x89, 0x04, 0x24, 0xCC }, false },       /* MOV [ESP], EAX; INT3 */
        { { 0x90, 0x90, 0xEB, 0x00, 0xCC }, false }, /* NOP; NOP; JMP; INT3 */
    };
    (void)state;
    for (unsigned e = 0; e < ENGINES; e++)
        for (unsigned i = 0; i < sizeof(cell) / sizeof(cell[0]); i++)
            assert_int_equal(pushed(e, cell[i].code, sizeof(cell[i].code)) & RF, cell[i].rf ? RF : 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_iret), cmocka_unit_test(test_first_instruction) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
