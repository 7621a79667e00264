// SPDX-License-Identifier: MIT
/* Hardware task switches between 32- and 16-bit tasks. */
#include "cpu_fixture.h"

static void tss32(struct fix *f, u64 at, u32 eip, u16 cs, u16 ss, u32 esp, u32 flags)
{
    for (unsigned i = 0; i < 0x68; i += 4)
        put(f, at + i, 4, 0);
    put(f, at + 0x20, 4, eip);
    put(f, at + 0x24, 4, flags);
    put(f, at + 0x28, 4, 0xAAAA0001);
    put(f, at + 0x38, 4, esp);
    const u16 seg[6] = {ss, cs, ss, ss, ss, ss};
    for (unsigned i = 0; i < 6; i++)
        put(f, at + 0x48 + 4 * i, 2, seg[i]);
}

static unsigned type_of(struct fix *f, u16 sel)
{
    return get(f, GDT + (sel & ~7u) + 5, 1) & 15;
}

static void jump_call_return(void **state)
{
    struct fix *f = fix_new("zen3");
    (void)state;
    fix_protected(f, 0);
    tss32(f, TSS_B, 0x7000, CODE3, DATA3, 0xB000, FL_IF | 2);
    f->c.st.gpr[RAX] = 0x55;
    f->c.next_rip = 0x3002;
    f->c.st.dr7 = 0x4FF;
    assert_true(far_call(&f->c, TSSB, 0, 4));
    assert_int_equal(f->c.next_rip, 0x7000);
    assert_int_equal(f->c.st.cpl, 3);
    assert_int_equal(f->c.st.gpr[RAX], 0xAAAA0001);
    assert_int_equal(f->c.st.gpr[RSP], 0xB000);
    assert_int_equal(cpu_rflags(&f->c), FL_IF | FL_NT | 2);
    assert_int_equal(f->c.st.seg[SEG_TR].sel, TSSB);
    assert_int_equal(get(f, TSS_B, 2), TSSA);       /* back link */
    assert_int_equal(get(f, TSS_A + 0x20, 4), 0x3002);
    assert_int_equal(get(f, TSS_A + 0x28, 4), 0x55);
    assert_int_equal(type_of(f, TSSA), SYS_TSS_BUSY);
    assert_int_equal(type_of(f, TSSB), SYS_TSS_BUSY);
    assert_true(f->c.st.cr0 & CR0_TS);
    assert_int_equal(f->c.st.dr7, 0x4AA);
    f->c.next_rip = 0x7001;
    assert_true(cpu_iret(&f->c, 4));
    assert_int_equal(f->c.next_rip, 0x3002);
    assert_int_equal(f->c.st.gpr[RAX], 0x55);
    assert_int_equal(f->c.st.cpl, 0);
    assert_int_equal(type_of(f, TSSB), SYS_TSS);
    assert_int_equal(get(f, TSS_B + 0x24, 4) & FL_NT, 0);
    assert_true(far_jump(&f->c, TSSB, 0, 4));
    assert_int_equal(type_of(f, TSSA), SYS_TSS);
    assert_int_equal(type_of(f, TSSB), SYS_TSS_BUSY);
    assert_int_equal(cpu_rflags(&f->c) & FL_NT, 0);
    assert_false(far_jump(&f->c, TSSB, 0, 4)); /* CPL 3 now, and busy */
    f->c.ev.kind = EV_NONE;
    fix_free(f);
}

static void task_gate_16(void **state)
{
    struct fix *f = fix_new("zen3");
    (void)state;
    fix_protected(f, 0);
    for (unsigned i = 0; i < 0x2C; i += 2)
        put(f, TSS_C + i, 2, 0);
    put(f, TSS_C + 0x0E, 2, 0x1111);
    put(f, TSS_C + 0x10, 2, 2);
    put(f, TSS_C + 0x1A, 2, 0x8000);
    const u16 seg[4] = {DATA0, CODE0, DATA0, DATA0};
    for (unsigned i = 0; i < 4; i++)
        put(f, TSS_C + 0x22 + 2 * i, 2, seg[i]);
    gdt_set(f, TGATE, gate_make(TSSC, 0, 0xE5, 0));
    f->c.st.gpr[RBX] = 0xFFFF1234;
    assert_true(far_jump(&f->c, TGATE, 0, 4));
    assert_int_equal(f->c.next_rip, 0x1111);
    assert_int_equal(f->c.st.gpr[RBX] & 0xFFFF, 0);
    assert_int_equal(f->c.st.gpr[RSP] & 0xFFFF, 0x8000);
    assert_int_equal(get(f, TSS_A + 0x34, 4), 0xFFFF1234);
    fix_free(f);
}

static void faults(void **state)
{
    struct fix *f = fix_new("zen3");
    (void)state;
    fix_protected(f, 0);
    gdt_set(f, TSSB, desc_make(TSS_B, 0x66, 0x89, 0)); /* one byte short */
    assert_false(far_jump(&f->c, TSSB, 0, 4));
    expect_fault(f, EXC_TS, TSSB);
    assert_int_equal(f->c.st.seg[SEG_TR].sel, TSSA);
    gdt_set(f, TSSB, desc_make(TSS_B, 0x67, 0x09, 0));
    assert_false(far_jump(&f->c, TSSB, 0, 4));
    expect_fault(f, EXC_NP, TSSB);
    gdt_set(f, TSSB, desc_make(TSS_B, 0x67, 0x89, 0));
    tss32(f, TSS_B, 0x7000, CODE0, DATA3, 0xB000, 2); /* SS of another privilege: the new task's #TS */
    assert_false(far_jump(&f->c, TSSB, 0, 4));
    expect_fault(f, EXC_TS, DATA3 & ~3u);
    assert_int_equal(f->c.st.seg[SEG_TR].sel, TSSB);
    assert_int_equal(f->c.st.rip, 0x7000);
    fix_free(f);
}

static void intercept_and_trap(void **state)
{
    struct fix *f = fix_new("zen3");
    (void)state;
    fix_protected(f, 0);
    tss32(f, TSS_B, 0x7000, CODE0, DATA0, 0xB000, FL_IF | 2);
    f->c.icpt[ICPT_TASK_SWITCH >> 5] |= 1u << (ICPT_TASK_SWITCH & 31);
    assert_false(far_jump(&f->c, TSSB, 0, 4));
    assert_int_equal(f->c.ev.kind, EV_VMEXIT);
    assert_int_equal(f->c.vx.code, VMEXIT_TASK_SWITCH);
    assert_int_equal(f->c.vx.info1, TSSB);
    assert_true(f->c.vx.info2 == BIT(38));
    assert_int_equal(type_of(f, TSSB), SYS_TSS); /* nothing has changed */
    f->c.icpt[ICPT_TASK_SWITCH >> 5] = 0;
    put(f, TSS_B + 0x64, 2, 1); /* T */
    assert_true(task_gate(&f->c, TSSB, TASK_INT, true, 0x77));
    assert_int_equal(f->c.trap_dr6, 0x8000);
    assert_true(f->c.pending & PEND_TRAP);
    assert_int_equal(get(f, 0xB000 - 4, 4), 0x77);
    fix_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jump_call_return), cmocka_unit_test(task_gate_16), cmocka_unit_test(faults), cmocka_unit_test(intercept_and_trap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
