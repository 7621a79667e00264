// SPDX-License-Identifier: MIT
/* A machine whose only event is the timer that its processor sets anew each time it wakes goes on; one that nothing can wake ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <svmemu/svmemu.h>

enum { CODE = 0x7000, HANDLER = 0x9000, VECTOR = 0x40, WAKES = 20, ENGINES = 3 };

/* mov $msr, %ecx; mov $value, %eax; xor %edx, %edx; wrmsr in 16-bit code */
#define WRMSR(msr, value) \
    0x66, 0xB9, (msr) & 0xFF, (msr) >> 8, 0, 0, 0x66, 0xB8, (value) & 0xFF, (value) >> 8, 0, 0, 0x66, 0x31, 0xD2, 0x0F, 0x30

static const uint8_t code[] = {
    0x66, 0xB9, 0x1B, 0, 0, 0, 0x0F, 0x32, 0x66, 0x0D, 0x00, 0x0C, 0, 0, 0x0F, 0x30, /* x2APIC mode */
    WRMSR(0x80F, 0x1FF),                       /* on */
    WRMSR(0x83E, 0xB), WRMSR(0x832, VECTOR),   /* timer: undivided, one shot */
    0xFB,                                      /* sti */
    WRMSR(0x838, 1000), 0xF4,                  /* 1: count from 1000; hlt */
    0x83, 0xFB, WAKES, 0x75, 0xE9,             /* cmp $WAKES, %bx; jne 1b */
    0xF4,                                      /* with interrupts on, and nothing that could raise one */
};
static const uint8_t handler[] = { 0x43, WRMSR(0x80B, 0), 0xCF }; /* inc %bx; EOI; iret */

static void load(struct svmemu *m, unsigned i)
{
    assert_int_equal(svmemu_set_mode(m, i, 16, 0), SVMEMU_OK);
    assert_int_equal(svmemu_reg_write(m, i, "rip", CODE), SVMEMU_OK);
    assert_int_equal(svmemu_reg_write(m, i, "rsp", 0x6000 + 0x100 * i), SVMEMU_OK);
    assert_int_equal(svmemu_reg_write(m, i, "rflags", 2), SVMEMU_OK);
    assert_int_equal(svmemu_reg_write(m, i, "rbx", 0), SVMEMU_OK);
}

static void test_own_timer(void **state)
{
    static const uint8_t vector[4] = { HANDLER & 0xFF, HANDLER >> 8 };
    (void)state;
    for (unsigned e = 0; e < 2 * ENGINES; e++) {
        struct svmemu_config c = { .memory = 1 << 20, .vcpus = 1 + e / ENGINES, .cpu = "max", .generic_only = e % ENGINES == 1,
                                   .blocks_off = e % ENGINES == 2 };
        struct svmemu *m;
        struct svmemu_stop stop;
        uint64_t wakes;

        assert_int_equal(svmemu_create(&c, &m), SVMEMU_OK);
        assert_int_equal(svmemu_mem_write(m, CODE, code, sizeof code), SVMEMU_OK);
        assert_int_equal(svmemu_mem_write(m, HANDLER, handler, sizeof handler), SVMEMU_OK);
        assert_int_equal(svmemu_mem_write(m, 4 * VECTOR, vector, sizeof vector), SVMEMU_OK);
        for (unsigned i = 0; i < c.vcpus; i++)
            load(m, i);
        assert_int_equal(svmemu_run(m, 100000, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
        assert_int_equal(stop.reason, SVMEMU_STOP_HALTED);
        for (unsigned i = 0; i < c.vcpus; i++) {
            assert_int_equal(svmemu_reg_read(m, i, "rbx", &wakes), SVMEMU_OK);
            assert_int_equal(wakes, WAKES);
        }
        svmemu_destroy(m);
    }
}

/* All vCPUs sleep until an event that is a second away; one is woken from outside long before. It runs then and there, the others sleep on. */
static void test_woken_from_outside(void **state)
{
    /* The RTC's update interrupt is the one event; masked in both controllers it wakes nobody. sti; 1: hlt; inc %bx; jmp 1b */
    static const uint8_t halt[] = { 0xB0, 0x0B, 0xE6, 0x70, 0xB0, 0x12, 0xE6, 0x71, 0xFB, 0xF4, 0x43, 0xEB, 0xFC };
    static const uint8_t handler_nmi[] = { 0x0F, 0x31, 0x66, 0x89, 0xC6, 0x66, 0x89, 0xD7, 0xCF }; /* rdtsc to ESI and EDI; iret */
    static const uint8_t vector[4] = { HANDLER & 0xFF, HANDLER >> 8 };
    const struct svmemu_config c = { .memory = 4 << 20, .vcpus = 3, .cpu = "max", .flags = SVMEMU_PC };
    struct svmemu *m;
    struct svmemu_stop stop;
    uint64_t low, high, wakes, from;
    (void)state;
    assert_int_equal(svmemu_create(&c, &m), SVMEMU_OK);
    assert_int_equal(svmemu_mem_write(m, CODE, halt, sizeof halt), SVMEMU_OK);
    assert_int_equal(svmemu_mem_write(m, HANDLER, handler_nmi, sizeof handler_nmi), SVMEMU_OK);
    assert_int_equal(svmemu_mem_write(m, 4 * 2, vector, sizeof vector), SVMEMU_OK);
    for (unsigned i = 0; i < c.vcpus; i++)
        load(m, i);
    for (unsigned k = 0; k < 4; k++) {
        assert_int_equal(svmemu_run(m, SVMEMU_NO_LIMIT, 100000000, &stop), SVMEMU_OK);
        assert_int_equal(stop.reason, SVMEMU_STOP_LIMIT_CYCLES);
        from = stop.cycles;
        assert_int_equal(svmemu_nmi(m, 1 + k % 2), SVMEMU_OK);
        assert_int_equal(svmemu_run(m, SVMEMU_NO_LIMIT, 50000, &stop), SVMEMU_OK);
        assert_int_equal(stop.reason, SVMEMU_STOP_LIMIT_CYCLES);
        for (unsigned i = 0; i < c.vcpus; i++) {
            assert_int_equal(svmemu_reg_read(m, i, "rbx", &wakes), SVMEMU_OK);
            assert_int_equal(wakes, i ? (k + 3 - i) / 2 : 0);
        }
        assert_int_equal(svmemu_reg_read(m, 1 + k % 2, "rsi", &low), SVMEMU_OK);
        assert_int_equal(svmemu_reg_read(m, 1 + k % 2, "rdi", &high), SVMEMU_OK);
        assert_in_range(high << 32 | low, from, from + 1000); /* of this profile the TSC counts cycles */
    }
    svmemu_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_own_timer), cmocka_unit_test(test_woken_from_outside) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
