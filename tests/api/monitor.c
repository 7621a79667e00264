// SPDX-License-Identifier: MIT
/* MONITOR and MWAIT on two vCPUs: a write to the line ends the wait, a write beside it does not. [APM3 MONITOR, MWAIT] */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <svmemu/svmemu.h>

enum { WRITER = 0x8000, WAITER = 0x9000, LINE = 0x5040, ENGINES = 3 };

/* mov $200000, %ecx; 1: dec %ecx; jnz 1b: longer than a turn */
#define DELAY 0xB9, 0x40, 0x0D, 0x03, 0, 0x49, 0x75, 0xFD
/* movb $1, addr */
#define STORE(addr) 0xC6, 0x05, (addr) & 0xFF, (addr) >> 8, 0, 0, 1
#define HALT 0xF4
/* mov $LINE, %eax; xor %ecx, %ecx; xor %edx, %edx; monitor */
#define ARM 0xB8, LINE & 0xFF, LINE >> 8, 0, 0, 0x31, 0xC9, 0x31, 0xD2, 0x0F, 0x01, 0xC8
#define WAIT 0x0F, 0x01, 0xC9
/* mov flag, %bl: what the waiter saw when it went on */
#define LOOK(addr) 0x8A, 0x1D, (addr) & 0xFF, (addr) >> 8, 0, 0

struct outcome {
    uint64_t rbx, insns, activity;
    enum svmemu_stop_reason reason;
};

static void run(unsigned engine, const uint8_t *writer, size_t writer_len, const uint8_t *waiter, size_t waiter_len, struct outcome *out)
{
    struct svmemu_config c = { .memory = 1 << 20, .vcpus = 2, .generic_only = engine == 1, .blocks_off = engine == 2 };
    struct svmemu *m;
    struct svmemu_stop stop;
    assert_int_equal(svmemu_create(&c, &m), SVMEMU_OK);
    assert_int_equal(svmemu_mem_write(m, WRITER, writer, writer_len), SVMEMU_OK);
    assert_int_equal(svmemu_mem_write(m, WAITER, waiter, waiter_len), SVMEMU_OK);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(svmemu_set_mode(m, i, 32, 0), SVMEMU_OK);
        assert_int_equal(svmemu_reg_write(m, i, "rip", i ? WAITER : WRITER), SVMEMU_OK);
        assert_int_equal(svmemu_reg_write(m, i, "rflags", 2), SVMEMU_OK);
        assert_int_equal(svmemu_reg_write(m, i, "rbx", 0), SVMEMU_OK);
    }
    assert_int_equal(svmemu_run(m, 5000000, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
    out->reason = stop.reason;
    out->insns = stop.insns;
    assert_int_equal(svmemu_reg_read(m, 1, "rbx", &out->rbx), SVMEMU_OK);
    assert_int_equal(svmemu_reg_read(m, 1, "activity", &out->activity), SVMEMU_OK);
    svmemu_destroy(m);
}
#define RUN(e, writer, waiter, out) run(e, writer, sizeof(writer), waiter, sizeof(waiter), out)

enum { DELAY_INSNS = 1 + 2 * 200000, ACT_HLT = 1, ACT_MWAIT = 2 };

static void test_write_wakes(void **state)
{
    static const uint8_t writer[] = { DELAY, STORE(LINE - 1), STORE(LINE + 64), DELAY, STORE(LINE + 63), HALT };
    static const uint8_t waiter[] = { ARM, WAIT, LOOK(LINE + 63), HALT };
    struct outcome o;
    (void)state;
    for (unsigned e = 0; e < ENGINES; e++) {
        RUN(e, writer, waiter, &o);
        assert_int_equal(o.reason, SVMEMU_STOP_HALTED);
        assert_int_equal(o.activity, ACT_HLT);
        assert_int_equal(o.rbx, 1);                              /* not before the write to the line */
        assert_int_equal(o.insns, 2 * DELAY_INSNS + 4 + 7); /* slept, did not spin */
    }
}

static void test_write_before_wait(void **state)
{
    static const uint8_t writer[] = { DELAY, STORE(LINE + 8), HALT };
    static const uint8_t waiter[] = { ARM, DELAY, DELAY, DELAY, WAIT, LOOK(LINE + 8), HALT };
    static const uint8_t own[] = { ARM, STORE(LINE + 1), WAIT, LOOK(LINE + 1), HALT };
    struct outcome o;
    (void)state;
    for (unsigned e = 0; e < ENGINES; e++) {
        RUN(e, writer, waiter, &o);
        assert_int_equal(o.activity, ACT_HLT);
        assert_int_equal(o.rbx, 1);
        RUN(e, own, own, &o);
        assert_int_equal(o.activity, ACT_HLT);
    }
}

static void test_other_line_does_not_wake(void **state)
{
    static const uint8_t writer[] = { DELAY, STORE(LINE - 1), STORE(LINE + 64), HALT };
    static const uint8_t waiter[] = { ARM, WAIT, HALT };
    struct outcome o;
    (void)state;
    for (unsigned e = 0; e < ENGINES; e++) {
        RUN(e, writer, waiter, &o);
        assert_int_equal(o.reason, SVMEMU_STOP_HALTED);
        assert_int_equal(o.activity, ACT_MWAIT);
    }
}

/* A fixed interrupt ends a wait with ECX[0] set though IF is clear, and only such a wait. */
static void test_masked_interrupt(void **state)
{
/* movl $value, local APIC register */
#define APIC(reg, value) 0xC7, 0x05, (reg) & 0xFF, (reg) >> 8, 0xE0, 0xFE, (value) & 0xFF, (value) >> 8 & 0xFF, (value) >> 16 & 0xFF, (value) >> 24
    static const uint8_t writer[] = { DELAY, APIC(0x310, 1 << 24), APIC(0x300, 0x40), HALT };
    static const uint8_t waiter[] = { APIC(0xF0, 0x1FF), ARM, 0xB1, 1, WAIT, 0xB3, 7, HALT }; /* mov $1, %cl ... mov $7, %bl */
    static const uint8_t masked[] = { APIC(0xF0, 0x1FF), ARM, 0xB1, 0, WAIT, 0xB3, 7, HALT };
    struct outcome o;
    (void)state;
    for (unsigned e = 0; e < ENGINES; e++) {
        RUN(e, writer, waiter, &o);
        assert_int_equal(o.activity, ACT_HLT);
        assert_int_equal(o.rbx, 7);
        RUN(e, writer, masked, &o);
        assert_int_equal(o.activity, ACT_MWAIT);
        assert_int_equal(o.rbx, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_wakes),
        cmocka_unit_test(test_write_before_wait),
        cmocka_unit_test(test_other_line_does_not_wake),
        cmocka_unit_test(test_masked_interrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
