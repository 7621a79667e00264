// SPDX-License-Identifier: MIT
/* Where #DB comes: TF at HLT, REP OUTS, SYSCALL and SYSRET, data breakpoints of instructions that fault. And where code ends: at the limit of CS and at
 * the canonical range, whatever stands or does not stand behind. [APM2 13.1.4, 4.12, 5.3.1] */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <svmemu/svmemu.h>

enum { CODE = 0x1000, HANDLER = 0x2000, STACK = 0x8000, TABLES = 0x10000, TF = 0x102 };

static char told[512];

static void on_insn(void *ctx, const struct svmemu_attempt *a)
{
    size_t n = strlen(told);
    (void)ctx;
    snprintf(told + n, sizeof(told) - n, "%llx ", (unsigned long long)a->rip);
}

static void on_event(void *ctx, const struct svmemu_event *e)
{
    size_t n = strlen(told);
    (void)ctx;
    snprintf(told + n, sizeof(told) - n, "[%s] ", e->text);
}

static void set(struct svmemu *m, const char *name, uint64_t value)
{
    assert_int_equal(svmemu_reg_write(m, 0, name, value), SVMEMU_OK);
}

static struct svmemu *machine(unsigned bits, uint64_t at, const void *code, size_t len)
{
    struct svmemu_config c = { .memory = 4 << 20 };
    const uint8_t iret = 0xCF;
    struct svmemu *m;
    assert_int_equal(svmemu_create(&c, &m), SVMEMU_OK);
    for (unsigned v = 0; v < 32; v++) { /* of real mode; in the others there is no IDT, and the first event is told of all the same */
        const uint16_t entry[2] = { (uint16_t)(HANDLER + v), 0 };
        svmemu_mem_write(m, v * 4, entry, 4);
        svmemu_mem_write(m, HANDLER + v, &iret, 1);
    }
    svmemu_mem_write(m, at, code, len);
    assert_int_equal(svmemu_set_mode(m, 0, bits, TABLES), SVMEMU_OK);
    set(m, "rsp", STACK);
    set(m, "rip", at);
    told[0] = 0;
    svmemu_hook_insn(m, on_insn, NULL);
    svmemu_hook_event(m, on_event, NULL);
    return m;
}

static void run(struct svmemu *m, uint64_t insns, const char *beginning)
{
    struct svmemu_stop stop;
    assert_int_equal(svmemu_run(m, insns, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
    if (strncmp(told, beginning, strlen(beginning)) != 0)
        fail_msg("told \"%s\", expected \"%s\"", told, beginning);
    svmemu_destroy(m);
}

static void test_hlt(void **state)
{
    static const uint8_t code[] = { 0xF4, 0x90 };
    struct svmemu *m = machine(16, CODE, code, sizeof(code));
    (void)state;
    set(m, "rflags", TF);
    run(m, 3, "1000 [#DB] 2001 1001 ");
}

static void test_outs(void **state)
{
    static const uint8_t code[] = { 0xF3, 0x6E, 0x90 };
    struct svmemu *m = machine(16, CODE, code, sizeof(code));
    (void)state;
    set(m, "rflags", TF);
    set(m, "rcx", 3);
    set(m, "rdx", 0x500);
    run(m, 6, "1000 [#DB] 2001 1000 [#DB] 2001 1000 [#DB] 2001 1002 ");
}

/* MOVSW: the load hits the breakpoint, the store is beyond the limit. When the store is possible the breakpoint comes, once. */
static void test_data_breakpoint(void **state)
{
    static const uint8_t code[] = { 0xA5, 0x90 };
    (void)state;
    for (unsigned faults = 0; faults < 2; faults++) {
        struct svmemu *m = machine(16, CODE, code, sizeof(code));
        set(m, "rsi", 0x500);
        set(m, "rdi", faults ? 0xFFFF : 0x600);
        set(m, "dr0", 0x500);
        set(m, "dr7", 0x400 | 3 << 16 | 1);
        run(m, 3 + faults, faults ? "1000 [#GP(0h)] 200d 1000 [#GP(0h)] 200d " : "1000 [#DB] 2001 1001 ");
    }
}

static struct svmemu *long_machine(uint64_t at, const void *code, size_t len)
{
    static const uint64_t upper = (TABLES + 0x1000) | 7, low = 0x87;
    struct svmemu *m = machine(64, at, code, len);
    svmemu_mem_write(m, TABLES, &upper, 8);
    svmemu_mem_write(m, TABLES + 0x1000, &low, 8); /* the first GiB, for programs too */
    set(m, "efer", 0x501); /* with SCE */
    set(m, "idtr.limit", 0);
    assert_int_equal(svmemu_msr_write(m, 0, 0xC0000081, 0x001B000800000000), SVMEMU_OK);
    assert_int_equal(svmemu_msr_write(m, 0, 0xC0000082, 0x1800), SVMEMU_OK);
    return m;
}

static void test_syscall(void **state)
{
    static const uint8_t syscall[] = { 0x0F, 0x05, 0x90 };
    (void)state;
    for (unsigned masked = 0; masked < 2; masked++) {
        struct svmemu *m = long_machine(CODE, syscall, sizeof(syscall));
        assert_int_equal(svmemu_msr_write(m, 0, 0xC0000084, masked ? 0x100 : 0), SVMEMU_OK);
        set(m, "rflags", TF);
        run(m, 2, masked ? "1000 1800 " : "1000 [#DB] ");
    }
}

static void test_sysret(void **state)
{
    static const uint8_t sysret[] = { 0x48, 0x0F, 0x07 };
    (void)state;
    for (unsigned loads = 0; loads < 2; loads++) { /* into a program that is stepped, and out of a kernel that was */
        struct svmemu *m = long_machine(CODE, sysret, sizeof(sysret));
        set(m, "rcx", 0x1900);
        set(m, "r11", loads ? TF : 2);
        set(m, "rflags", loads ? 2 : TF);
        run(m, 2, loads ? "1000 [#DB] " : "1000 1900 ");
    }
}

/* The last byte of the canonical range, and the first half of an instruction there: #GP, and no look at what lies behind. */
static void test_canonical_end(void **state)
{
    static const uint64_t tables[] = { (TABLES + 0x2000) | 7, (TABLES + 0x3000) | 7, 0x200000 | 0x87 };
    static const uint8_t half = 0x0F;
    struct svmemu *m = machine(64, 0x3FFFFF, &half, 1);
    (void)state;
    svmemu_mem_write(m, TABLES + 255 * 8, &tables[0], 8);
    svmemu_mem_write(m, TABLES + 0x2000 + 511 * 8, &tables[1], 8);
    svmemu_mem_write(m, TABLES + 0x3000 + 511 * 8, &tables[2], 8);
    set(m, "idtr.limit", 0);
    set(m, "rip", 0x7FFFFFFFFFFF);
    run(m, 1, "7fffffffffff [#GP(0h)] ");
}

/* The limit of CS at the end of a page: #GP, not #PF for the page behind it. Below the limit it is #PF. */
static void test_limit(void **state)
{
    static const uint32_t directory = (TABLES + 0x1000) | 3, pages[] = { 3, 0x1003, 0 };
    static const uint8_t half = 0x0F;
    (void)state;
    for (unsigned below = 0; below < 2; below++) {
        struct svmemu *m = machine(32, 0x1FFF, &half, 1);
        svmemu_mem_write(m, TABLES, &directory, 4);
        svmemu_mem_write(m, TABLES + 0x1000, pages, sizeof(pages));
        set(m, "cs.limit", below ? 0x2000 : 0x1FFF);
        set(m, "idtr.limit", 0);
        set(m, "cr3", TABLES);
        set(m, "cr0", 0x80000011);
        run(m, 1, below ? "1fff [#PF(0h) at 2000h] " : "1fff [#GP(0h)] ");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hlt), cmocka_unit_test(test_outs), cmocka_unit_test(test_data_breakpoint), cmocka_unit_test(test_syscall),
        cmocka_unit_test(test_sysret), cmocka_unit_test(test_canonical_end), cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
