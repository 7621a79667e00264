// SPDX-License-Identifier: MIT
/* Segment loads, far transfers, call gates and returns. */
#include "cpu_fixture.h"

static void data_segments(void **state)
{
    struct fix *f = fix_new("zen3");
    (void)state;
    fix_protected(f, 0);
    assert_true(seg_load(&f->c, SEG_DS, DATA3));
    assert_int_equal(f->c.st.seg[SEG_DS].limit, 0xFFFFFFFF);
    assert_int_equal(f->c.st.seg[SEG_DS].attr, 0xCF3);
    assert_int_equal(get(f, GDT + (DATA3 & ~7) + 5, 1), 0xF3); /* accessed bit written back */
    assert_true(seg_load(&f->c, SEG_ES, 0));
    assert_int_equal(f->c.st.seg[SEG_ES].attr & ATTR_P, 0);
    assert_false(seg_load(&f->c, SEG_SS, 0));
    expect_fault(f, EXC_GP, 0);
    assert_false(seg_load(&f->c, SEG_SS, DATA3));
    expect_fault(f, EXC_GP, DATA3 & ~3u);
    assert_false(seg_load(&f->c, SEG_DS, NOTP));
    expect_fault(f, EXC_NP, NOTP);
    assert_false(seg_load(&f->c, SEG_SS, NOTP));
    expect_fault(f, EXC_SS, NOTP);
    assert_false(seg_load(&f->c, SEG_DS, 0x100));
    expect_fault(f, EXC_GP, 0x100);
    assert_false(seg_load(&f->c, SEG_DS, 0x0C)); /* no LDT */
    f->c.ev.kind = EV_NONE;
    assert_false(seg_load(&f->c, SEG_DS, TSSA));
    expect_fault(f, EXC_GP, TSSA);
    f->c.st.cpl = 3;
    assert_false(seg_load(&f->c, SEG_DS, DATA0));
    expect_fault(f, EXC_GP, DATA0);
    assert_true(seg_load(&f->c, SEG_DS, CONF)); /* conforming, readable code: any CPL */
    fix_free(f);
}

static void real_and_v86(void **state)
{
    struct fix *f = fix_new("zen3");
    (void)state;
    assert_true(seg_load(&f->c, SEG_DS, 0x1234));
    assert_int_equal(f->c.st.seg[SEG_DS].base, 0x12340);
    assert_true(far_jump(&f->c, 0x50, 0x123, 2));
    assert_int_equal(f->c.st.seg[SEG_CS].base, 0x500);
    assert_int_equal(f->c.next_rip, 0x123);
    f->c.st.gpr[RSP] = 0x8000;
    f->c.next_rip = 0x777;
    assert_true(far_call(&f->c, 0x60, 0x10, 2));
    assert_int_equal(get(f, 0x7FFC, 4), 0x500777 & 0xFFFFFFFF);
    assert_true(far_ret(&f->c, 2, 4));
    assert_int_equal(f->c.next_rip, 0x777);
    assert_int_equal(f->c.st.gpr[RSP], 0x8004);
    fix_free(f);
}

static void direct_jumps(void **state)
{
    struct fix *f = fix_new("zen3");
    (void)state;
    fix_protected(f, 0);
    assert_true(far_jump(&f->c, CODE0, 0x4444, 4));
    assert_int_equal(f->c.next_rip, 0x4444);
    assert_false(far_jump(&f->c, 0, 0, 4));
    expect_fault(f, EXC_GP, 0);
    assert_false(far_jump(&f->c, CODE3, 0, 4));
    expect_fault(f, EXC_GP, CODE3 & ~3u);
    assert_false(far_jump(&f->c, DATA0, 0, 4));
    expect_fault(f, EXC_GP, DATA0);
    fix_protected(f, 3);
    assert_true(far_jump(&f->c, CONF, 0x10, 4));
    assert_int_equal(f->c.st.cpl, 3);
    assert_int_equal(f->c.st.seg[SEG_CS].sel, CONF | 3);
    fix_free(f);
}

static void gate_and_return(void **state)
{
    struct fix *f = fix_new("zen3");
    (void)state;
    fix_protected(f, 3);
    put(f, STACK3, 4, 0x11111111);
    put(f, STACK3 + 4, 4, 0x22222222);
    f->c.next_rip = 0x3007;
    assert_true(far_call(&f->c, GATE, 0xDEAD, 4));
    assert_int_equal(f->c.st.cpl, 0);
    assert_int_equal(f->c.st.seg[SEG_CS].sel, CODE0);
    assert_int_equal(f->c.st.seg[SEG_SS].sel, DATA0);
    assert_int_equal(f->c.next_rip, 0x5678);
    u64 sp = f->c.st.gpr[RSP];
    assert_int_equal(sp, STACK0 - 24);
    assert_int_equal(get(f, sp, 4), 0x3007);
    assert_int_equal(get(f, sp + 4, 4), CODE3);
    assert_int_equal(get(f, sp + 8, 4), 0x11111111);
    assert_int_equal(get(f, sp + 12, 4), 0x22222222);
    assert_int_equal(get(f, sp + 16, 4), STACK3);
    assert_int_equal(get(f, sp + 20, 4), DATA3);
    fix_load(f, SEG_DS, DATA0); /* a segment that ring 3 must not keep */
    assert_true(far_ret(&f->c, 4, 8));
    assert_int_equal(f->c.st.cpl, 3);
    assert_int_equal(f->c.st.gpr[RSP], STACK3 + 8);
    assert_int_equal(f->c.next_rip, 0x3007);
    assert_int_equal(f->c.st.seg[SEG_DS].sel, 0);
    assert_int_equal(f->c.st.seg[SEG_ES].sel, DATA3);
    fix_free(f);
}

static void gate_faults(void **state)
{
    struct fix *f = fix_new("zen3");
    (void)state;
    fix_protected(f, 3);
    gdt_set(f, GATE, gate_make(CODE0, 0x5678, 0x8C, 0)); /* DPL 0 */
    assert_false(far_call(&f->c, GATE, 0, 4));
    expect_fault(f, EXC_GP, GATE);
    gdt_set(f, GATE, gate_make(CODE0, 0x5678, 0x6C, 0)); /* not present */
    assert_false(far_call(&f->c, GATE, 0, 4));
    expect_fault(f, EXC_NP, GATE);
    gdt_set(f, GATE, gate_make(CODE0, 0x5678, 0xEC, 0));
    put(f, TSS_A + 8, 4, DATA3); /* wrong privilege of the new stack */
    assert_false(far_call(&f->c, GATE, 0, 4));
    expect_fault(f, EXC_TS, DATA3 & ~3u);
    assert_int_equal(f->c.st.cpl, 3);
    assert_false(far_jump(&f->c, GATE, 0, 4)); /* JMP does not change privilege */
    expect_fault(f, EXC_GP, CODE0);
    fix_free(f);
}

static void long_gate(void **state)
{
    struct fix *f = fix_new("zen3");
    (void)state;
    fix_long(f, 3);
    gdt_set(f, GATE, gate_make(CODE64, 0x5678, 0xEC, 0));
    put(f, GDT + GATE + 8, 8, 0);
    put(f, TSS_A + 4, 8, STACK0);
    f->c.next_rip = 0x300A;
    assert_true(far_call(&f->c, GATE, 0, 4));
    u64 sp = f->c.st.gpr[RSP];
    assert_int_equal(sp, STACK0 - 32);
    assert_int_equal(get(f, sp, 8), 0x300A);
    assert_int_equal(get(f, sp + 8, 8), CODE64U);
    assert_int_equal(get(f, sp + 16, 8), STACK3);
    assert_int_equal(f->c.st.seg[SEG_SS].sel, 0);
    assert_int_equal(f->c.st.seg[SEG_SS].attr & ATTR_P, 0);
    assert_true(far_ret(&f->c, 8, 0));
    assert_int_equal(f->c.st.cpl, 3);
    assert_int_equal(f->c.st.seg[SEG_SS].sel, DATA3);
    fix_free(f);
}

static void iret_forms(void **state)
{
    struct fix *f = fix_new("zen3");
    (void)state;
    /* to ring 3 in legacy mode; IOPL may change at CPL 0 */
    fix_protected(f, 0);
    u64 sp = STACK0 - 20;
    f->c.st.gpr[RSP] = sp;
    put(f, sp, 4, 0x1234);
    put(f, sp + 4, 4, CODE3);
    put(f, sp + 8, 4, FL_IF | 0x3000 | FL_CF);
    put(f, sp + 12, 4, STACK3);
    put(f, sp + 16, 4, DATA3);
    assert_true(cpu_iret(&f->c, 4));
    assert_int_equal(f->c.st.cpl, 3);
    assert_int_equal(cpu_rflags(&f->c), FL_IF | 0x3000 | FL_CF | FL_ONE);
    assert_int_equal(f->c.st.gpr[RSP], STACK3);
    /* to virtual-8086 mode */
    cpu_set_rflags(&f->c, 0);
    fix_protected(f, 0);
    sp = STACK0 - 36;
    f->c.st.gpr[RSP] = sp;
    const u32 frame[9] = {0x10, 0x50, FL_VM | FL_IF, 0x8000, 0x60, 0x70, 0x80, 0x90, 0xA0};
    for (unsigned i = 0; i < 9; i++)
        put(f, sp + 4 * i, 4, frame[i]);
    assert_true(cpu_iret(&f->c, 4));
    assert_true(cpu_vm86(&f->c));
    assert_int_equal(f->c.st.cpl, 3);
    assert_int_equal(f->c.st.seg[SEG_CS].base, 0x500);
    assert_int_equal(f->c.st.seg[SEG_SS].base, 0x600);
    assert_int_equal(f->c.st.seg[SEG_GS].base, 0xA00);
    /* IRET in V86 with IOPL 0 */
    assert_false(cpu_iret(&f->c, 2));
    expect_fault(f, EXC_GP, 0);
    f->c.st.cr4 |= CR4_VME;
    f->c.st.gpr[RSP] = 0x100;
    put(f, 0x700, 2, 0x22);
    put(f, 0x702, 2, 0x51);
    put(f, 0x704, 2, FL_IF | FL_ZF);
    assert_true(cpu_iret(&f->c, 2));
    assert_int_equal(f->c.next_rip, 0x22);
    assert_true(cpu_rflags(&f->c) & FL_VIF);
    assert_true(cpu_rflags(&f->c) & FL_ZF);
    fix_free(f);
    /* 64-bit mode always pops SS:RSP, a null SS is allowed for ring 0 */
    f = fix_new("zen3");
    fix_long(f, 0);
    sp = STACK0 - 40;
    f->c.st.gpr[RSP] = sp;
    put(f, sp, 8, 0x4000);
    put(f, sp + 8, 8, CODE64);
    put(f, sp + 16, 8, 2);
    put(f, sp + 24, 8, 0x8888);
    put(f, sp + 32, 8, 0);
    assert_true(cpu_iret(&f->c, 8));
    assert_int_equal(f->c.st.gpr[RSP], 0x8888);
    assert_int_equal(f->c.next_rip, 0x4000);
    f->c.st.rflags |= FL_NT;
    assert_false(cpu_iret(&f->c, 8));
    expect_fault(f, EXC_GP, 0);
    fix_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_segments), cmocka_unit_test(real_and_v86), cmocka_unit_test(direct_jumps), cmocka_unit_test(gate_and_return),
        cmocka_unit_test(gate_faults), cmocka_unit_test(long_gate), cmocka_unit_test(iret_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
