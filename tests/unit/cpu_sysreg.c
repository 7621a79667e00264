// SPDX-License-Identifier: MIT
/* Control registers, EFER, MSRs, CPUID and profiles, SYSCALL and SYSRET, the register table. */
#include "cpu_fixture.h"
#include "cpu/regs.h"

bool sys_syscall(struct vcpu *c, const struct insn *in);
bool sys_sysret(struct vcpu *c, const struct insn *in);

static void bad_cr(struct fix *f, unsigned n, u64 v)
{
    assert_false(cr_write(&f->c, n, v));
    expect_fault(f, EXC_GP, 0);
}

static void bad_wrmsr(struct fix *f, u32 msr, u64 v)
{
    assert_false(msr_write(&f->c, msr, v));
    expect_fault(f, EXC_GP, 0);
}

static u64 rd(struct fix *f, u32 msr)
{
    u64 v = 0;
    assert_true(msr_read(&f->c, msr, &v));
    return v;
}

static void control_registers(void **state)
{
    struct fix *f = fix_new("zen3");
    (void)state;
    fix_protected(f, 0);
    bad_cr(f, 0, CR0_PG);                 /* PG without PE */
    bad_cr(f, 0, CR0_PE | CR0_NW);        /* NW without CD */
    bad_cr(f, 0, BIT(32) | CR0_PE);
    assert_true(cr_write(&f->c, 0, CR0_PE | 0x40));
    assert_int_equal(f->c.st.cr0, CR0_PE | CR0_ET);
    bad_cr(f, 4, CR4_CET);
    bad_cr(f, 4, BIT(40));
    bad_cr(f, 4, CR4_PCIDE);              /* only in long mode */
    assert_true(cr_write(&f->c, 4, CR4_PSE | CR4_SMEP | CR4_OSXSAVE));
    bad_cr(f, 8, 0x10);
    assert_true(cr_write(&f->c, 8, 5));
    assert_int_equal(cr8_read(&f->c), 5);
    fix_free(f);
}

static void long_mode(void **state)
{
    struct fix *f = fix_new("zen3");
    (void)state;
    fix_protected(f, 0);
    put(f, 0x10000, 8, 0x11007);
    put(f, 0x11000, 8, 0x12007);
    put(f, 0x12000, 8, 0x87);
    assert_true(msr_write(&f->c, 0xC0000080, EFER_LME));
    bad_cr(f, 0, CR0_PE | CR0_PG);        /* without PAE */
    assert_true(cr_write(&f->c, 4, CR4_PAE));
    assert_true(cr_write(&f->c, 3, 0x10000));
    assert_true(cr_write(&f->c, 0, CR0_PE | CR0_PG));
    assert_true(cpu_long(&f->c));
    bad_wrmsr(f, 0xC0000080, 0);          /* LME with PG on */
    bad_cr(f, 4, 0);                      /* PAE with LMA on */
    bad_cr(f, 3, BIT(50));
    assert_true(cr_write(&f->c, 4, CR4_PAE | CR4_PCIDE));
    bad_cr(f, 0, CR0_PE);                 /* PG off with PCIDE */
    assert_true(cr_write(&f->c, 3, BIT(63) | 0x10000));
    assert_int_equal(f->c.st.cr3, 0x10000);
    assert_true(cr_write(&f->c, 4, CR4_PAE));
    assert_true(cr_write(&f->c, 0, CR0_PE));
    assert_false(cpu_long(&f->c));
    fix_free(f);
}

static void pae_pdptes(void **state)
{
    struct fix *f = fix_new("zen3");
    (void)state;
    fix_protected(f, 0);
    put(f, 0x10000, 8, 0x11001);
    put(f, 0x10008, 8, 0x11003); /* reserved bit */
    assert_true(cr_write(&f->c, 4, CR4_PAE));
    assert_true(cr_write(&f->c, 3, 0x10000));
    bad_cr(f, 0, CR0_PE | CR0_PG);
    put(f, 0x10008, 8, 0);
    put(f, 0x11000, 8, 0x87);
    assert_true(cr_write(&f->c, 0, CR0_PE | CR0_PG));
    assert_false(cpu_long(&f->c));
    fix_free(f);
}

static void msrs(void **state)
{
    struct fix *f = fix_new("zen3");
    u64 v;
    (void)state;
    assert_false(msr_read(&f->c, 0x12345, &v));
    expect_fault(f, EXC_GP, 0);
    bad_wrmsr(f, 0x12345, 0);
    assert_true(rd(f, 0x277) == 0x0007040600070406ull);
    bad_wrmsr(f, 0x277, 2);
    bad_wrmsr(f, 0x277, 8);
    assert_int_equal(rd(f, 0xFE), 0x508);
    bad_wrmsr(f, 0xFE, 0);
    bad_wrmsr(f, 0x200, 0x100);
    bad_wrmsr(f, 0x200, 2);
    assert_true(msr_write(&f->c, 0x20F, 0xFFFFC0000800));
    assert_true(rd(f, 0x20F) == 0xFFFFC0000800);
    bad_wrmsr(f, 0x20F, BIT(48));
    assert_true(msr_write(&f->c, 0x26F, 0x0606060606060606));
    bad_wrmsr(f, 0x26F, 0x1E1E1E1E1E1E1E1E); /* RdMem/WrMem only with SYSCFG */
    assert_true(msr_write(&f->c, 0xC0010010, 1 << 19));
    assert_true(msr_write(&f->c, 0x26F, 0x1E1E1E1E1E1E1E1E));
    assert_true(rd(f, 0x26F) == 0x1E1E1E1E1E1E1E1E);
    bad_wrmsr(f, 0xC0000082, BIT(47));
    bad_wrmsr(f, 0xC0000101, BIT(63));
    assert_true(msr_write(&f->c, 0xC0000101, ~0ull));
    assert_true(f->c.st.seg[SEG_GS].base == ~0ull);
    assert_true(msr_write(&f->c, 0x10, 1000));
    assert_int_equal(rd(f, 0x10), 1000);
    f->clock.now += 64 * 500;
    assert_int_equal(rd(f, 0x10), 1500);
    f->c.guest = true; /* ratio 2.0 and an offset */
    f->c.st.tsc_ratio = 2ull << 32;
    f->c.tsc_guest_offset = 7;
    assert_int_equal(cpu_tsc(&f->c), 3007);
    f->c.guest = false;
    bad_wrmsr(f, 0x401, 1); /* MCi_STATUS takes only zero */
    assert_true(msr_write(&f->c, 0x400, ~0ull));
    for (u32 m = 0; m < 0x2000; m++) /* every number answers or faults, none crashes */
        for (unsigned k = 0; k < 3; k++) {
            static const u32 base[3] = {0, 0xC0000000, 0xC0010000};
            if (msr_read(&f->c, base[k] + m, &v))
                msr_write(&f->c, base[k] + m, v);
        }
    fix_free(f);
}

/* Xen writes XSS wherever CPUID shows XSAVES, and asks for the masks of CPUID's feature words by the family. */
static void msrs_of_later_parts(void **state)
{
    struct fix *f = fix_new("zen3");
    u32 w[4];
    (void)state;
    assert_true(msr_write(&f->c, 0xDA0, 0));
    assert_int_equal(rd(f, 0xDA0), 0);
    bad_wrmsr(f, 0xDA0, 1);        /* x87 is no supervisor state */
    bad_wrmsr(f, 0xDA0, 1 << 11);  /* CET_U: not shown */
    bad_wrmsr(f, 0xDA0, BIT(63));
    cpuid_query(&f->c, 7, 0, w);
    assert_true(w[1] != 0);
    assert_true(rd(f, 0xC0011002) == ((u64)w[0] << 32 | w[1]));
    assert_true(msr_write(&f->c, 0xC0011002, rd(f, 0xC0011002)));
    fix_free(f);
    f = fix_new("barcelona");
    bad_wrmsr(f, 0xDA0, 0);
    bad_wrmsr(f, 0xC0011002, 0);
    fix_free(f);
}

/* Performance counters that do not count: plain storage. Family 15h and later have six pairs, the first four of which stand at the old numbers
 * too; programs for those parts go by the family and touch all. Not shown by CPUID. */
static void performance_msrs(void **state)
{
    static const char *const names[] = {"k8", "barcelona", "zen1", "zen3", "max"};
    enum { CTL = 0xC0010000, CTR = 0xC0010004, EXT = 0xC0010200 };
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        struct fix *f = fix_new(names[i]);
        bool six = i >= 2;
        u32 w[4];
        u64 v;
        for (u32 n = 0; n < 4; n++) {
            assert_true(rd(f, CTL + n) == 0 && rd(f, CTR + n) == 0);
            assert_true(msr_write(&f->c, CTL + n, 0x0000030000530076ull + n));
            assert_true(rd(f, CTL + n) == 0x0000030000530076ull + n);
            assert_true(msr_write(&f->c, CTR + n, ~0ull - n)); /* 48 bits, the others read as zero */
            assert_true(rd(f, CTR + n) == 0xFFFFFFFFFFFFull - n);
        }
        for (u32 n = 0; n < 12; n++) {
            if (!six) {
                assert_false(msr_read(&f->c, EXT + n, &v));
                expect_fault(f, EXC_GP, 0);
                bad_wrmsr(f, EXT + n, 0);
                continue;
            }
            if (n < 8)
                assert_true(rd(f, EXT + n) == rd(f, (n & 1 ? CTR : CTL) + n / 2));
            else
                assert_true(rd(f, EXT + n) == 0);
            assert_true(msr_write(&f->c, EXT + n, ~0x1234ull - n));
            assert_true(rd(f, EXT + n) == ((~0x1234ull - n) & (n & 1 ? 0xFFFFFFFFFFFFull : ~0ull)));
            if (n < 8)
                assert_true(rd(f, EXT + n) == rd(f, (n & 1 ? CTR : CTL) + n / 2));
        }
        assert_false(msr_read(&f->c, EXT + 12, &v));
        expect_fault(f, EXC_GP, 0);
        f->clock.now += 1000000;
        f->c.insns += 1000;
        assert_true(rd(f, CTR) == (six ? 0xFFFFFFFFEDCAull : 0xFFFFFFFFFFFFull)); /* none counts */
        cpuid_query(&f->c, 0x80000001, 0, w);
        assert_int_equal(w[2] & 0x11800000, 0); /* PerfCtrExtCore, PerfCtrExtNB, PerfCtrExtLLC */
        fix_free(f);
    }
}

static void svm_msrs(void **state)
{
    struct fix *f = fix_new("zen3");
    (void)state;
    bad_wrmsr(f, 0xC0010117, 0x800);
    bad_wrmsr(f, 0xC0010117, BIT(48));
    assert_true(msr_write(&f->c, 0xC0010117, 0x5000));
    assert_true(msr_write(&f->c, 0xC0000080, EFER_SVME));
    bad_wrmsr(f, 0xC0010114, 0x10);  /* SVMDIS while SVME is on */
    assert_true(msr_write(&f->c, 0xC0000080, 0));
    assert_true(msr_write(&f->c, 0xC0010118, 0x1234)); /* the key, while unlocked */
    assert_true(msr_write(&f->c, 0xC0010114, 0x18));
    bad_wrmsr(f, 0xC0000080, EFER_SVME);
    assert_true(msr_write(&f->c, 0xC0010114, 0));      /* locked: ignored */
    assert_int_equal(rd(f, 0xC0010114), 0x18);
    assert_true(msr_write(&f->c, 0xC0010118, 0x9999)); /* wrong key */
    assert_int_equal(rd(f, 0xC0010114), 0x18);
    assert_true(msr_write(&f->c, 0xC0010118, 0x1234));
    assert_int_equal(rd(f, 0xC0010114), 0x10);
    assert_int_equal(rd(f, 0xC0010118), 0);
    bad_wrmsr(f, 0xC0010114, 0x20);
    fix_free(f);
}

/* A guest's WRMSR sets the physical TSC; ratio and offset act on what it reads. [APM2 15.30.5] */
static void guest_tsc(void **state)
{
    struct fix *f = fix_new("zen3");
    (void)state;
    f->c.guest = true;
    f->c.tsc_guest_offset = 1000;
    f->c.st.tsc_ratio = 2ull << 32;
    assert_true(msr_write(&f->c, 0x10, 500));
    assert_int_equal(rd(f, 0x10), 2000);
    f->c.guest = false;
    assert_int_equal(rd(f, 0x10), 500);
    fix_free(f);
}

static void profiles(void **state)
{
    (void)state;
    assert_string_equal(cpu_model_find(NULL)->name, "zen3");
    assert_null(cpu_model_find("i486"));
    for (unsigned i = 0; cpu_model_at(i); i++) {
        struct fix *f = fix_new(cpu_model_at(i)->name);
        u32 w[4];
        cpuid_query(&f->c, 0, 0, w);
        assert_int_equal(w[1], 0x68747541);
        cpuid_query(&f->c, 1, 0, w);
        assert_int_equal(w[0], cpu_model_at(i)->signature);
        assert_int_equal(w[2] & (1u << 28 | 1u | 1u << 9 | 1u << 12 | 1u << 31), 0); /* AVX SSE3 SSSE3 FMA hypervisor */
        assert_int_equal(w[3] & 0x07000001, 0x07000001); /* SSE2 SSE FXSR FPU */
        cpuid_query(&f->c, 0x80000001, 0, w);
        assert_true(w[2] & 4); /* SVM */
        assert_true(w[3] & 1 << 29); /* long mode */
        cpuid_query(&f->c, 0x8000000A, 0, w);
        assert_int_equal(w[1], cpu_model_at(i)->asids);
        assert_int_equal(w[3] & 1, i > 0); /* NP from Barcelona on */
        cpuid_query(&f->c, 0x8000001F, 0, w);
        assert_int_equal(w[0] | w[1], 0);
        cpuid_query(&f->c, 0x12345678, 0, w);
        assert_int_equal(w[0] | w[1] | w[2] | w[3], 0);
        fix_free(f);
    }
    struct fix *f = fix_new("zen3");
    u32 w[4];
    f->c.cpus = 4;
    f->c.index = 2;
    f->c.st.cr4 = CR4_OSXSAVE;
    cpuid_query(&f->c, 1, 0, w);
    assert_int_equal(w[1] >> 16, 0x204);
    assert_true(w[2] & 1 << 27);
    assert_true(w[3] & 1 << 28);
    cpuid_query(&f->c, 0xD, 0, w);
    assert_int_equal(w[0], 3);
    assert_int_equal(w[2], 0x240);
    cpuid_query(&f->c, 0xB, 1, w);
    assert_int_equal(w[0], 2);
    assert_int_equal(w[1], 4);
    assert_int_equal(w[3], 2);
    cpuid_query(&f->c, 0x80000008, 0, w);
    assert_int_equal(w[2] & 0xFFFF, 0x2003);
    fix_free(f);
}

static void syscall_sysret(void **state)
{
    struct fix *f = fix_new("zen3");
    struct insn in = {.osz = 8, .asz = 8, .len = 2};
    (void)state;
    fix_long(f, 3);
    f->c.st.star = (u64)0x23 << 48 | (u64)0x10 << 32;
    f->c.st.lstar = 0xFFFFFFFF81000000ull;
    f->c.st.sfmask = FL_IF | FL_TF | FL_AC;
    cpu_set_rflags(&f->c, FL_IF | FL_CF | FL_RF);
    f->c.next_rip = 0x3002;
    assert_true(sys_syscall(&f->c, &in));
    assert_true(f->c.next_rip == 0xFFFFFFFF81000000ull);
    assert_int_equal(f->c.st.gpr[RCX], 0x3002);
    assert_int_equal(f->c.st.gpr[R11], FL_IF | FL_CF | FL_ONE);
    assert_int_equal(cpu_rflags(&f->c), FL_CF | FL_ONE);
    assert_int_equal(f->c.st.cpl, 0);
    assert_int_equal(f->c.st.seg[SEG_CS].sel, 0x10);
    assert_int_equal(f->c.st.seg[SEG_SS].sel, 0x18);
    u16 attr = f->c.st.seg[SEG_SS].attr;
    assert_true(sys_sysret(&f->c, &in));
    assert_int_equal(f->c.st.cpl, 3);
    assert_int_equal(f->c.st.seg[SEG_CS].sel, 0x33);
    assert_int_equal(f->c.st.seg[SEG_SS].sel, 0x2B);
    assert_int_equal(f->c.st.seg[SEG_SS].attr, attr); /* AMD: only the selector */
    assert_int_equal(cpu_rflags(&f->c), FL_IF | FL_CF | FL_ONE);
    assert_int_equal(f->c.next_rip, 0x3002);
    f->c.st.efer &= ~(u64)EFER_SCE;
    assert_false(sys_syscall(&f->c, &in));
    assert_int_equal(f->c.ev.vec, EXC_UD);
    fix_free(f);
}

static void io_permission(void **state)
{
    struct fix *f = fix_new("zen3");
    (void)state;
    fix_protected(f, 3);
    f->c.st.seg[SEG_TR].limit = 0x88;
    put(f, TSS_A + 0x66, 2, 0x68);
    for (unsigned i = 0; i < 0x21; i++)
        put(f, TSS_A + 0x68 + i, 1, 0);
    put(f, TSS_A + 0x68 + 0x60 / 8, 1, 0x10); /* port 64h denied */
    assert_true(io_check(&f->c, 0x60, 4));
    assert_false(io_check(&f->c, 0x61, 4));
    expect_fault(f, EXC_GP, 0);
    assert_false(io_check(&f->c, 0x100, 1)); /* the byte after the map's must be inside the limit */
    expect_fault(f, EXC_GP, 0);
    f->c.st.rflags |= FL_IOPL;
    assert_true(io_check(&f->c, 0x64, 1));
    fix_free(f);
}

static void register_table(void **state)
{
    unsigned n = 9;
    (void)state;
    assert_non_null(cpu_reg_find("rax", &n));
    assert_int_equal(n, 0);
    const struct cpu_reg *r = cpu_reg_find("mtrr_base3", &n);
    assert_non_null(r);
    assert_int_equal(n, 3);
    assert_int_equal(r->offset, offsetof(struct cpu_state, mtrr_base));
    assert_null(cpu_reg_find("mtrr_base8", &n));
    assert_null(cpu_reg_find("raxx", &n));
    assert_null(cpu_reg_find("", &n));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_registers), cmocka_unit_test(long_mode), cmocka_unit_test(pae_pdptes), cmocka_unit_test(msrs),
        cmocka_unit_test(msrs_of_later_parts), cmocka_unit_test(performance_msrs),
        cmocka_unit_test(svm_msrs), cmocka_unit_test(guest_tsc), cmocka_unit_test(profiles), cmocka_unit_test(syscall_sysret), cmocka_unit_test(io_permission),
        cmocka_unit_test(register_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
