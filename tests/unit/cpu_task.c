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

/* What the new task's selectors may not be: the fault is the new task's, with everything saved and TR loaded [APM2 12.3.4]. */
static void bad_selectors(void **state)
{
    enum { SPARE = 0x98, BEYOND = 0x100, AT_ES = 0x48, AT_CS = 0x4C, AT_SS = 0x50, AT_DS = 0x54, AT_FS = 0x58, AT_GS = 0x5C, AT_LDT = 0x60 };
    static const struct { u16 at, sel; u8 spare_access, vec; u16 err; const char *why; } row[] = {
        { AT_LDT, LDTS | 4, 0, EXC_TS, LDTS | 4, "an LDT in the LDT" },
        { AT_LDT, DATA0, 0, EXC_TS, DATA0, "a data segment as LDT" },
        { AT_LDT, SPARE, 0x02, EXC_TS, SPARE, "an absent LDT" },
        { AT_LDT, BEYOND, 0, EXC_TS, BEYOND, "an LDT beyond the GDT" },
        { AT_CS, 0, 0, EXC_TS, 0, "null CS" },
        { AT_CS, DATA0, 0, EXC_TS, DATA0, "data as code" },
        { AT_CS, BEYOND, 0, EXC_TS, BEYOND, "CS beyond the GDT" },
        { AT_CS, CODE0 | 3, 0, EXC_TS, CODE0, "RPL 3 for DPL 0" },
        { AT_CS, CODE3 & ~3, 0, EXC_TS, CODE3 & ~3, "RPL 0 for DPL 3" },
        { AT_CS, SPARE, 0xFE, EXC_TS, SPARE, "conforming code of less privilege" },
        { AT_CS, SPARE, 0x1A, EXC_NP, SPARE, "absent code" },
        { AT_CS, CODE0 | 4, 0, EXC_TS, CODE0 | 4, "code in an LDT that is not there" },
        { AT_SS, 0, 0, EXC_TS, 0, "null SS" },
        { AT_SS, CODE0, 0, EXC_TS, CODE0, "code as stack" },
        { AT_SS, DATA0 | 3, 0, EXC_TS, DATA0, "RPL other than CPL" },
        { AT_SS, DATA3, 0, EXC_TS, DATA3 & ~3, "a stack of another privilege" },
        { AT_SS, SPARE, 0x90, EXC_TS, SPARE, "a stack that cannot be written" },
        { AT_SS, SPARE, 0x12, EXC_SS, SPARE, "an absent stack" },
        { AT_ES, SPARE, 0x98, EXC_TS, SPARE, "code that cannot be read as data" },
        { AT_DS, SPARE, 0x12, EXC_NP, SPARE, "absent data" },
        { AT_FS, TSSA, 0, EXC_TS, TSSA, "a system segment as data" },
        { AT_GS, BEYOND, 0, EXC_TS, BEYOND, "GS beyond the GDT" },
    };
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(row); i++) {
        struct fix *f = fix_new("zen3");
        fix_protected(f, 0);
        tss32(f, TSS_B, 0x7000, CODE0, DATA0, 0xB000, 2);
        put(f, TSS_B + row[i].at, 2, row[i].sel);
        gdt_set(f, SPARE, desc_make(0, 0xFFFFF, row[i].spare_access, 0xC));
        if (far_jump(&f->c, TSSB, 0, 4) || f->c.ev.vec != row[i].vec || f->c.ev.err != row[i].err)
            fail_msg("%s: vector %u, error code %x", row[i].why, f->c.ev.vec, (unsigned)f->c.ev.err);
        expect_fault(f, row[i].vec, row[i].err);
        assert_int_equal(f->c.st.seg[SEG_TR].sel, TSSB);
        assert_int_equal(f->c.st.rip, 0x7000);
        assert_int_equal(get(f, TSS_A + 0x20, 4), 0x3005);
        fix_free(f);
    }
}

/* CPL 3 comes from the new CS; data segments are checked for it. An EIP outside CS is the new task's #GP. */
static void privilege_and_limit(void **state)
{
    struct fix *f = fix_new("zen3");
    (void)state;
    fix_protected(f, 0);
    tss32(f, TSS_B, 0x7000, CODE3, DATA3, 0xB000, 2);
    put(f, TSS_B + 0x48, 2, DATA0);
    assert_false(far_jump(&f->c, TSSB, 0, 4));
    expect_fault(f, EXC_TS, DATA0);
    assert_int_equal(f->c.st.cpl, 3);
    fix_free(f);
    f = fix_new("zen3");
    fix_protected(f, 0);
    gdt_set(f, CONF, desc_make(0, 0x6FFF, 0x9E, 0x4));
    tss32(f, TSS_B, 0x7000, CONF, DATA0, 0xB000, 2);
    assert_false(far_jump(&f->c, TSSB, 0, 4));
    expect_fault(f, EXC_GP, 0);
    put(f, GDT + TSSB + 5, 1, 0x89);
    fix_free(f);
}

static void ldt_and_v86(void **state)
{
    struct fix *f = fix_new("zen3");
    (void)state;
    fix_protected(f, 0);
    tss32(f, TSS_B, 0x7000, 0x08 | 4, DATA0, 0xB000, 2);
    put(f, TSS_B + 0x60, 2, LDTS);
    put(f, LDT + 8, 8, desc_make(0x40000, 0xFFFF, 0x9A, 0x4));
    assert_true(far_jump(&f->c, TSSB, 0, 4));
    assert_int_equal(f->c.st.seg[SEG_LDTR].sel, LDTS);
    assert_int_equal(f->c.st.seg[SEG_LDTR].base, LDT);
    assert_int_equal(f->c.st.seg[SEG_CS].base, 0x40000); /* by the new LDT */
    fix_free(f);
    f = fix_new("zen3");
    fix_protected(f, 0);
    tss32(f, TSS_B, 0x70, 0x1234, 0x4567, 0xB000, FL_VM | FL_IOPL | 2);
    put(f, TSS_B + 0x60, 2, LDTS);
    assert_true(far_jump(&f->c, TSSB, 0, 4));
    assert_int_equal(f->c.st.cpl, 3);
    assert_int_equal(f->c.st.seg[SEG_CS].base, 0x12340);
    assert_int_equal(f->c.st.seg[SEG_SS].base, 0x45670);
    assert_int_equal(f->c.st.seg[SEG_GS].limit, 0xFFFF);
    assert_int_equal(f->c.st.seg[SEG_LDTR].base, LDT); /* of use to INT through the IDT only, yet loaded */
    assert_true(cpu_rflags(&f->c) & FL_VM);
    fix_free(f);
}

/* Under PAE paging: CR3 from the TSS with its four entries; a fault on a TSS belongs to the old task, which nothing has touched. */
static void paging(void **state)
{
    enum { PDPT_A = 0x10000, PDPT_B = 0x10020, PD = 0x11000 };
    struct fix *f = fix_new("zen3");
    (void)state;
    fix_protected(f, 0);
    put(f, PDPT_A, 8, PD | 1), put(f, PDPT_B, 8, PD | 1), put(f, PD, 8, 0x83);
    f->c.st.cr3 = PDPT_A;
    f->c.st.cr4 = CR4_PAE;
    f->c.st.cr0 |= CR0_PG;
    assert_true(mmu_load_pdptes(&f->c.mmu, PDPT_A));
    cpu_update_mode(&f->c);
    tss32(f, TSS_B, 0x7000, CODE0, DATA0, 0xB000, 2);
    put(f, TSS_B + 0x1C, 4, PDPT_B);
    assert_true(far_jump(&f->c, TSSB, 0, 4));
    assert_int_equal(f->c.st.cr3, PDPT_B);

    gdt_set(f, TSSA, desc_make(0x300000, 0x67, 0x89, 0)); /* not mapped */
    f->c.next_rip = 0x7005;
    assert_false(far_jump(&f->c, TSSA, 0, 4));
    assert_int_equal(f->c.ev.vec, EXC_PF);
    assert_int_equal(f->c.ev.cr2 & ~0xFFFull, 0x300000);
    f->c.ev.kind = EV_NONE;
    assert_int_equal(f->c.st.seg[SEG_TR].sel, TSSB);
    assert_int_equal(get(f, TSS_B + 0x20, 4), 0x7000); /* not saved */
    assert_int_equal(get(f, GDT + TSSB + 5, 1) & 15, SYS_TSS_BUSY);

    gdt_set(f, TSSA, desc_make(TSS_A, 0x67, 0x89, 0));
    tss32(f, TSS_A, 0x7000, CODE0, DATA0, 0xB000, 2);
    put(f, TSS_A + 0x1C, 4, PDPT_B);
    put(f, PDPT_B + 8, 8, 0x7); /* reserved bits 1 and 2 */
    assert_false(far_jump(&f->c, TSSA, 0, 4));
    expect_fault(f, EXC_TS, TSSA);
    fix_free(f);
}

/* The outgoing TSS must hold what is saved. */
static void old_tss_too_short(void **state)
{
    struct fix *f = fix_new("zen3");
    (void)state;
    fix_protected(f, 0);
    tss32(f, TSS_B, 0x7000, CODE0, DATA0, 0xB000, 2);
    f->c.st.seg[SEG_TR].limit = 0x5F;
    assert_false(far_jump(&f->c, TSSB, 0, 4));
    expect_fault(f, EXC_TS, TSSA);
    assert_int_equal(type_of(f, TSSB), SYS_TSS);
    fix_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jump_call_return), cmocka_unit_test(task_gate_16), cmocka_unit_test(faults), cmocka_unit_test(intercept_and_trap),
        cmocka_unit_test(bad_selectors), cmocka_unit_test(privilege_and_limit), cmocka_unit_test(ldt_and_v86), cmocka_unit_test(paging),
        cmocka_unit_test(old_tss_too_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
