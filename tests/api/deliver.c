// SPDX-License-Identifier: MIT
/* Faults while an event goes through the IDT of 32-bit code: the EXT bit of their error codes, and the RIP they push. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <svmemu/svmemu.h>

enum { GDT = 0x1000, IDT = 0x2000, TSS = 0x3000, CODE = 0x4000, HANDLER = 0x5000, STACK = 0x8000 };
enum { SEL_CONFORMING = 0x08, SEL_KERNEL = 0x10, SEL_USER = 0x1B, SEL_USER_DATA = 0x23, SEL_TSS = 0x28, SEL_BEYOND = 0x100 };

static void put(struct svmemu *m, uint64_t at, const void *p, size_t n)
{
    assert_int_equal(svmemu_mem_write(m, at, p, n), SVMEMU_OK);
}

static void put64(struct svmemu *m, uint64_t at, uint64_t v)
{
    put(m, at, &v, 8);
}

static void gate(struct svmemu *m, unsigned vector, uint16_t sel, uint32_t off, unsigned attr)
{
    put64(m, IDT + 8 * vector, (off & 0xFFFF) | (uint64_t)sel << 16 | (uint64_t)attr << 40 | (uint64_t)(off >> 16) << 48);
}

static void set(struct svmemu *m, const char *name, uint64_t v)
{
    assert_int_equal(svmemu_reg_write(m, 0, name, v), SVMEMU_OK);
}

/* A user program at CODE whose kernel stack is bad; the handlers of #TS and #NP run at the user's privilege, so that they can be seen. */
static struct svmemu *user(const uint8_t *code, size_t len)
{
    static const uint64_t gdt[] = {
        0, 0x00CF9E000000FFFF, 0x00CF9A000000FFFF, 0x00CFFA000000FFFF, 0x00CFF2000000FFFF, 0x0000890030000067,
    };
    struct svmemu_config cfg = { .memory = 1 << 20 };
    struct svmemu *m;
    assert_int_equal(svmemu_create(&cfg, &m), SVMEMU_OK);
    assert_int_equal(svmemu_set_mode(m, 0, 32, 0), SVMEMU_OK);
    put(m, GDT, gdt, sizeof(gdt));
    put64(m, TSS + 4, STACK - 0x1000);
    put64(m, TSS + 8, SEL_BEYOND);
    put(m, CODE, code, len);
    gate(m, 10, SEL_CONFORMING, HANDLER, 0x8E);
    gate(m, 11, SEL_CONFORMING, HANDLER, 0x8E);
    set(m, "gdtr.base", GDT), set(m, "gdtr.limit", sizeof(gdt) - 1);
    set(m, "idtr.base", IDT), set(m, "idtr.limit", 0x7FF);
    set(m, "tr.sel", SEL_TSS), set(m, "tr.base", TSS), set(m, "tr.limit", 0x67), set(m, "tr.attr", 0x8B);
    set(m, "cs.sel", SEL_USER), set(m, "cs.attr", 0xCFB);
    set(m, "ss.sel", SEL_USER_DATA), set(m, "ss.attr", 0xCF3);
    set(m, "cpl", 3), set(m, "rip", CODE), set(m, "rsp", STACK);
    return m;
}

static void handler_sees(struct svmemu *m, uint32_t error, uint32_t eip)
{
    struct svmemu_stop stop;
    uint32_t frame[2];
    uint64_t rip, rsp;
    assert_int_equal(svmemu_run(m, 1, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
    svmemu_reg_read(m, 0, "rip", &rip);
    svmemu_reg_read(m, 0, "rsp", &rsp);
    assert_int_equal(rip, HANDLER);
    assert_int_equal(svmemu_mem_read(m, rsp, frame, sizeof(frame)), SVMEMU_OK);
    assert_int_equal(frame[0], error);
    assert_int_equal(frame[1], eip);
    svmemu_destroy(m);
}

static void bad_stack_of_fault(void **state)
{
    static const uint8_t ud2[] = { 0x0F, 0x0B };
    struct svmemu *m = user(ud2, sizeof(ud2));
    (void)state;
    gate(m, 6, SEL_KERNEL, HANDLER + 0x100, 0x8E);
    handler_sees(m, SEL_BEYOND | 1, CODE); /* not the program's doing: EXT */
}

static void bad_stack_of_int(void **state)
{
    static const uint8_t int30[] = { 0xCD, 0x30 };
    struct svmemu *m = user(int30, sizeof(int30));
    (void)state;
    gate(m, 0x30, SEL_KERNEL, HANDLER + 0x100, 0xEE);
    handler_sees(m, SEL_BEYOND, CODE);
}

static void task_gate_to_absent_tss(void **state)
{
    static const uint8_t int30[] = { 0xCD, 0x30 };
    struct svmemu *m = user(int30, sizeof(int30));
    (void)state;
    put64(m, GDT + SEL_TSS, 0x0000090030000067); /* available, not present */
    gate(m, 0x30, SEL_TSS, 0, 0xE5);
    handler_sees(m, SEL_TSS, CODE);
}

static void task_switch_fails_before_commit(void **state)
{
    static const uint8_t int30[] = { 0xCD, 0x30 };
    struct svmemu *m = user(int30, sizeof(int30));
    (void)state;
    put64(m, GDT + SEL_TSS, 0x0000890030000010); /* limit below 67h */
    gate(m, 0x30, SEL_TSS, 0, 0xE5);
    handler_sees(m, SEL_TSS, CODE); /* RIP is the INT, which has not happened */
}

/* A shutdown names every exception that led to it, with its error code. */
static void shutdown_names_its_chain(void **state)
{
    static const uint8_t ud2[] = { 0x0F, 0x0B };
    struct svmemu *m = user(ud2, sizeof(ud2));
    struct svmemu_stop stop;
    (void)state;
    set(m, "idtr.limit", 0x37); /* ends at #UD's gate, which is empty: #GP, and there #DF has none either */
    assert_int_equal(svmemu_run(m, SVMEMU_NO_LIMIT, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
    assert_int_equal(stop.reason, SVMEMU_STOP_SHUTDOWN);
    assert_non_null(strstr(stop.text, "after exceptions #UD -> #GP(0x33) -> #GP(0x6b) -> #DF -> #GP(0x43) -> shutdown"));
    svmemu_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_stack_of_fault), cmocka_unit_test(bad_stack_of_int), cmocka_unit_test(task_gate_to_absent_tss),
        cmocka_unit_test(task_switch_fails_before_commit), cmocka_unit_test(shutdown_names_its_chain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
