// SPDX-License-Identifier: MIT
/* System instructions decoded and run one by one: known results, intercepts, and random operands in every mode without a crash. */
#include "cpu_fixture.h"
#include "exec/exec.h"
#include "svm/svm.h"

static struct fix *machine(void)
{
    struct fix *f = fix_new("max");
    f->c.svm = svm_alloc();
    assert_non_null(f->c.svm);
    return f;
}

static void done(struct fix *f)
{
    svm_free(f->c.svm);
    fix_free(f);
}

/* Decodes and runs; false leaves the event in c.ev. */
static bool run(struct fix *f, const char *bytes, unsigned len)
{
    struct insn in;
    f->c.ev.kind = EV_NONE;
    assert_int_equal(decode_insn((const u8 *)bytes, len, cpu_mode(&f->c), f->features, &in), DEC_OK);
    assert_int_equal(in.len, len);
    f->c.next_rip = f->c.st.rip + in.len;
    return exec_insn_generic(&f->c, &in);
}
#define RUN(f, s) run(f, s, sizeof s - 1)

static void expect_exit(struct fix *f, u64 code, u64 info1)
{
    assert_int_equal(f->c.ev.kind, EV_VMEXIT);
    assert_true(f->c.vx.code == code);
    assert_true(f->c.vx.info1 == info1);
    f->c.ev.kind = EV_NONE;
}

static void set_icpt(struct fix *f, unsigned id)
{
    memset(f->c.icpt, 0, sizeof f->c.icpt);
    f->c.icpt[id >> 5] = 1u << (id & 31);
}

static void moves(void **state)
{
    struct fix *f = machine();
    (void)state;
    fix_long(f, 0);
    assert_true(RUN(f, "\x0f\x20\xc0")); /* mov rax, cr0 */
    assert_true(f->c.st.gpr[RAX] == f->c.st.cr0);
    assert_true(RUN(f, "\x44\x0f\x20\xc3")); /* mov rbx, cr8 */
    f->c.st.gpr[RBX] = 9;
    assert_true(RUN(f, "\xf0\x0f\x22\xc3")); /* lock mov cr0, rbx = mov cr8, rbx */
    assert_int_equal(cr8_read(&f->c), 9);
    f->c.st.gpr[RBX] = 0xFFFFFFFF;
    assert_true(RUN(f, "\x0f\x23\xfb")); /* mov dr7, rbx */
    assert_int_equal(f->c.st.dr7, 0xFFFF27FF);
    assert_false(RUN(f, "\x0f\x21\xf8")); /* GD */
    assert_int_equal(f->c.ev.vec, EXC_DB);
    assert_true(f->c.ev.dr6 == BIT(13));
    f->c.st.dr7 = 0x400;
    assert_true(RUN(f, "\x8c\xd8")); /* mov eax, ds */
    assert_int_equal(f->c.st.gpr[RAX], DATA0);
    f->c.st.gpr[RAX] = DATA0;
    assert_true(RUN(f, "\x8e\xd0")); /* mov ss, eax */
    assert_true(f->c.st.shadow_ss);
    f->c.st.gpr[RBX] = 0x4000;
    assert_true(RUN(f, "\x0f\x01\x03")); /* sgdt [rbx] */
    assert_int_equal(get(f, 0x4000, 2), 0xFF);
    assert_int_equal(get(f, 0x4002, 8), GDT);
    f->c.st.gpr[RAX] = DATA0;
    assert_true(RUN(f, "\x0f\x02\xd8")); /* lar ebx, eax */
    assert_true(flag_zf(&f->c.fl));
    assert_int_equal(f->c.st.gpr[RBX], 0xCF9300);
    f->c.st.gpr[RAX] = 0x7FF8;
    assert_true(RUN(f, "\x0f\x02\xd8"));
    assert_false(flag_zf(&f->c.fl));
    f->c.st.rip = 0x3000;
    assert_true(RUN(f, "\xe8\x10\x00\x00\x00")); /* call */
    assert_int_equal(f->c.next_rip, 0x3015);
    assert_int_equal(get(f, f->c.st.gpr[RSP], 8), 0x3005);
    assert_true(RUN(f, "\xc3"));
    assert_int_equal(f->c.next_rip, 0x3005);
    done(f);
}

static void intercepts(void **state)
{
    struct fix *f = machine();
    (void)state;
    fix_long(f, 0);
    set_icpt(f, ICPT_CR_WRITE(0));
    f->c.st.gpr[RBX] = f->c.st.cr0;
    assert_false(RUN(f, "\x0f\x22\xc3"));
    expect_exit(f, VMEXIT_CR0_WRITE, BIT(63) | RBX);
    f->c.st.gpr[RBX] = BIT(40);
    assert_false(RUN(f, "\x0f\x22\xc3")); /* #GP before the intercept */
    expect_fault(f, EXC_GP, 0);
    set_icpt(f, ICPT_CR0_SEL_WRITE);
    f->c.st.gpr[RBX] = f->c.st.cr0 ^ CR0_TS;
    assert_true(RUN(f, "\x0f\x22\xc3")); /* TS alone does not count */
    f->c.st.gpr[RBX] = f->c.st.cr0 ^ CR0_WP;
    assert_false(RUN(f, "\x0f\x22\xc3"));
    expect_exit(f, VMEXIT_CR0_SEL_WRITE, BIT(63) | RBX);
    f->c.st.cr0 &= ~(u64)CR0_TS;
    set_icpt(f, ICPT_SWINT);
    assert_false(RUN(f, "\xcd\x80"));
    expect_exit(f, VMEXIT_SWINT, 0x80);
    set_icpt(f, ICPT_HLT);
    f->c.st.cpl = 3;
    assert_false(RUN(f, "\xf4")); /* CPL first */
    expect_fault(f, EXC_GP, 0);
    f->c.st.cpl = 0;
    assert_false(RUN(f, "\xf4"));
    expect_exit(f, VMEXIT_HLT, 0);
    set_icpt(f, ICPT_CPUID);
    assert_false(RUN(f, "\x0f\xa2"));
    expect_exit(f, VMEXIT_CPUID, 0);
    set_icpt(f, ICPT_INVLPG);
    f->c.st.gpr[RBX] = 0x1234567;
    assert_false(RUN(f, "\x0f\x01\x3b"));
    expect_exit(f, VMEXIT_INVLPG, 0x1234567);
    set_icpt(f, ICPT_VMMCALL);
    assert_false(RUN(f, "\x0f\x01\xd9"));
    expect_exit(f, VMEXIT_VMMCALL, 0);
    memset(f->c.icpt, 0, sizeof f->c.icpt);
    assert_false(RUN(f, "\x0f\x01\xd9"));
    assert_int_equal(f->c.ev.vec, EXC_UD);
    assert_false(RUN(f, "\x0f\x01\xd8")); /* VMRUN with SVME off */
    assert_int_equal(f->c.ev.vec, EXC_UD);
    f->c.st.efer |= EFER_SVME;
    f->c.st.gpr[RAX] = 0x5001;
    assert_false(RUN(f, "\x0f\x01\xd8"));
    expect_fault(f, EXC_GP, 0);
    done(f);
}

static void fpu_state(void **state)
{
    struct fix *f = machine();
    (void)state;
    fix_long(f, 0);
    f->c.st.cr4 |= CR4_OSFXSR | CR4_OSXSAVE;
    f->c.st.gpr[RBX] = 0x4000;
    assert_true(RUN(f, "\xdb\xe3"));
    assert_int_equal(f->c.st.fpu.fcw, 0x37F);
    put(f, 0x4000, 4, 0xFFFFFFFD);
    assert_true(RUN(f, "\xdb\x03")); /* fild dword [rbx]: -3 */
    assert_true(load_le(f->c.st.fpu.st[0], 8) == 0xC000000000000000ull);
    assert_int_equal(load_le(f->c.st.fpu.st[0] + 8, 2), 0xC000);
    assert_int_equal(f->c.st.fpu.ftw, 0x80);
    f->c.st.fpu.vec[5][3] = 0x77;
    struct fpu_state before = f->c.st.fpu;
    before.fip = before.fdp = before.fop = before.fcs = before.fds = 0; /* kept only with a pending exception */
    f->c.st.gpr[RBX] = 0x5000;
    assert_true(RUN(f, "\x48\x0f\xae\x03")); /* fxsave64 */
    memset(&f->c.st.fpu, 0xA5, offsetof(struct fpu_state, mxcsr));
    f->c.st.fpu.mxcsr = 0;
    for (unsigned i = 0; i < 32; i++)
        memcpy(f->c.st.fpu.vec[i], before.vec[i], 64);
    f->c.st.fpu.vec[5][3] = 0;
    assert_true(RUN(f, "\x48\x0f\xae\x0b")); /* fxrstor64 */
    assert_memory_equal(f->c.st.fpu.st, before.st, sizeof before.st);
    assert_int_equal(f->c.st.fpu.vec[5][3], 0x77);
    assert_int_equal(f->c.st.fpu.mxcsr, 0x1F80);
    assert_int_equal(f->c.st.fpu.fsw, before.fsw);
    f->c.st.fpu.xcr0 = 3;
    f->c.st.gpr[RAX] = 3;
    f->c.st.gpr[RDX] = 0;
    assert_true(RUN(f, "\x48\x0f\xc7\x23")); /* xsavec64 */
    assert_true(get(f, 0x5208, 8) == (BIT(63) | 3));
    f->c.st.fpu.vec[5][3] = 0;
    assert_true(RUN(f, "\x48\x0f\xae\x2b")); /* xrstor64 */
    assert_int_equal(f->c.st.fpu.vec[5][3], 0x77);
    put(f, 0x5210, 8, 1); /* reserved header bytes */
    assert_false(RUN(f, "\x48\x0f\xae\x2b"));
    expect_fault(f, EXC_GP, 0);
    f->c.st.cr0 |= CR0_TS;
    assert_false(RUN(f, "\x0f\xae\x03"));
    assert_int_equal(f->c.ev.vec, EXC_NM);
    done(f);
}

static u64 rnd(u64 *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

/* Nothing a guest does may crash or read the host: system opcodes with random operands, registers and tables. */
static void random_operands(void **state)
{
    static const u8 one[] = {0xCB, 0xCA, 0xCF, 0xCC, 0xCD, 0xF1, 0x8E, 0x8C, 0x1F, 0x17, 0xC4, 0xC5, 0x63, 0xEA, 0x9A, 0xFF, 0xFF, 0x6C, 0x6E, 0xE4, 0xEF,
                             0xFA, 0xFB, 0xDB, 0xD9, 0x9B};
    static const u8 two[] = {0x00, 0x01, 0x01, 0x01, 0x02, 0x03, 0x05, 0x06, 0x07, 0x20, 0x21, 0x22, 0x23, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0xA1, 0xA2,
                             0xAE, 0xAE, 0xB2, 0xB4, 0xC7};
    u64 s = 88172645463325252ull;
    unsigned ran = 0, ok = 0;
    (void)state;
    for (unsigned round = 0; round < 400; round++) {
        struct fix *f = machine();
        unsigned mode = round % 5;
        if (mode == 1 || mode == 2)
            fix_protected(f, mode == 1 ? 0 : 3);
        if (mode >= 3)
            fix_long(f, mode == 3 ? 0 : 3);
        f->c.st.efer |= round & 8 ? EFER_SVME : 0;
        f->c.st.cr4 |= CR4_OSFXSR | CR4_OSXSAVE | CR4_FSGSBASE;
        for (unsigned i = 0; i < 64; i++)
            put(f, GDT + 8 * (rnd(&s) & 31) + (rnd(&s) & 7), 1, rnd(&s));
        for (unsigned n = 0; n < 100; n++) {
            u8 b[16];
            struct insn in;
            unsigned k = 0;
            for (unsigned i = 0; i < 16; i++)
                b[i] = (u8)rnd(&s);
            if (rnd(&s) & 1)
                b[k++] = rnd(&s) & 1 ? 0x66 : 0x48;
            if (rnd(&s) & 1) {
                b[k++] = 0x0F;
                b[k] = two[rnd(&s) % sizeof two];
            } else {
                b[k] = one[rnd(&s) % sizeof one];
            }
            for (unsigned i = 0; i < 16; i++)
                f->c.st.gpr[i] = rnd(&s) & (rnd(&s) & 1 ? 0xFFFFF : rnd(&s) & 1 ? 0xF8 : ~0ull);
            if (decode_insn(b, 15, cpu_mode(&f->c), f->features, &in) != DEC_OK || !isa_rows[in.row].kind)
                continue;
            f->c.st.rip = 0x3000;
            f->c.next_rip = 0x3000 + in.len;
            f->c.ev.kind = EV_NONE;
            ran++;
            bool good = exec_insn_generic(&f->c, &in);
            assert_true(good || f->c.ev.kind != EV_NONE);
            ok += good;
            f->c.pending = f->c.attn = 0;
            f->c.budget = (i64)1 << 60;
        }
        done(f);
    }
    print_message("%u instructions run, %u completed\n", ran, ok);
    assert_true(ok > 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves), cmocka_unit_test(intercepts), cmocka_unit_test(fpu_state), cmocka_unit_test(random_operands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
