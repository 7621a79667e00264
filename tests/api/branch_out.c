// SPDX-License-Identifier: MIT
/* Near branches to addresses that are not canonical fault at the branch, with nothing done; running on into one faults there.
 * [APM2 1.1.3, 8.2.14] */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <svmemu/svmemu.h>

enum { PML4 = 0x10000, PDPT = 0x11000, PD = 0x12000, SIZE = 2 << 20, STACK = 0x8000, ENGINES = 3 };
#define TOP 0x0000800000000000ull /* the first address that is not canonical */
#define STACK_TOP (TOP - SIZE + STACK)

struct branch {
    const char *name;
    uint8_t at; /* of the branch in the code */
    uint8_t len;
    uint8_t code[16];
    bool next; /* the fault is at the next instruction: TOP itself */
};

/* The code ends at TOP; displacements of 1000h lead out. */
static const struct branch branches[] = {
    { "jmp rel32", 1, 6, { 0x90, 0xE9, 0, 0x10, 0, 0 }, false },
    { "jmp rel8", 1, 3, { 0x90, 0xEB, 0x10 }, false },
    { "jz rel32, taken", 2, 8, { 0x31, 0xC0, 0x0F, 0x84, 0, 0x10, 0, 0 }, false },
    { "jz rel8, taken, fused", 3, 5, { 0x48, 0x39, 0xC0, 0x74, 0x10 }, false },
    { "dec and jnz, fused", 3, 5, { 0x48, 0xFF, 0xC9, 0x75, 0x10 }, false },
    { "call rel32", 1, 6, { 0x90, 0xE8, 0, 0x10, 0, 0 }, false },
    { "call rax", 10, 12, { 0x48, 0xB8, 0, 0, 0, 0, 0, 0x80, 0, 0, 0xFF, 0xD0 }, false },
    { "jmp rax", 10, 12, { 0x48, 0xB8, 0, 0, 0, 0, 0, 0x80, 0, 0, 0xFF, 0xE0 }, false },
    { "ret", 1, 2, { 0x90, 0xC3 }, false },
    { "loop", 1, 3, { 0x90, 0xE2, 0x10 }, false },
    { "jnz rel8, not taken", 3, 5, { 0x48, 0x39, 0xC0, 0x75, 0xF9 }, true },
    { "nop", 0, 1, { 0x90 }, true },
};

static struct svmemu *machine(unsigned engine)
{
    struct svmemu_config c = { .memory = 4 << 20, .generic_only = engine == 1, .blocks_off = engine == 2 };
    const uint64_t low = PDPT | 3, mid = PD | 3, page = 0x83, bad = TOP;
    struct svmemu *m;
    assert_int_equal(svmemu_create(&c, &m), SVMEMU_OK);
    assert_int_equal(svmemu_mem_write(m, PML4 + 255 * 8, &low, 8), SVMEMU_OK);
    assert_int_equal(svmemu_mem_write(m, PDPT + 511 * 8, &mid, 8), SVMEMU_OK);
    assert_int_equal(svmemu_mem_write(m, PD + 511 * 8, &page, 8), SVMEMU_OK);
    assert_int_equal(svmemu_mem_write(m, STACK, &bad, 8), SVMEMU_OK);
    assert_int_equal(svmemu_set_mode(m, 0, 64, PML4), SVMEMU_OK);
    svmemu_reg_write(m, 0, "idtr.limit", 0);
    svmemu_reg_write(m, 0, "rsp", STACK_TOP);
    svmemu_reg_write(m, 0, "rcx", 9);
    return m;
}

static void test_branches(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof(branches) / sizeof(branches[0]); i++) {
        for (unsigned e = 0; e < ENGINES; e++) {
            const struct branch *b = &branches[i];
            struct svmemu *m = machine(e);
            struct svmemu_stop stop;
            uint64_t rip, rsp, below;
            assert_int_equal(svmemu_mem_write(m, SIZE - b->len, b->code, b->len), SVMEMU_OK);
            svmemu_reg_write(m, 0, "rip", TOP - b->len);
            assert_int_equal(svmemu_run(m, 100, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
            svmemu_reg_read(m, 0, "rip", &rip);
            svmemu_reg_read(m, 0, "rsp", &rsp);
            assert_int_equal(svmemu_mem_read(m, STACK - 8, &below, 8), SVMEMU_OK);
            if (stop.reason != SVMEMU_STOP_SHUTDOWN || rip != (b->next ? TOP : TOP - b->len + b->at) || rsp != STACK_TOP || below)
                fail_msg("%s, engine %u: %s at %#llx, RSP %#llx", b->name, e, svmemu_stop_name(stop.reason), (unsigned long long)rip,
                         (unsigned long long)rsp);
            svmemu_destroy(m);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_branches) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
