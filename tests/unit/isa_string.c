// SPDX-License-Identifier: MIT
/* REP string instructions over pages: bulk spans leave what single elements leave; faults and the budget stop them at exact registers. */
#include "cpu_fixture.h"
#include "exec/exec.h"

static void run_bytes(struct fix *f, const char *bytes, unsigned len, bool *ok)
{
    u64 all[FEAT_WORDS];
    struct insn in;
    memset(all, 0xFF, sizeof all);
    assert_int_equal(decode_insn((const u8 *)bytes, len, MODE_32, all, &in), DEC_OK);
    f->c.st.rip = 0x3000;
    f->c.next_rip = 0x3000 + in.len;
    f->c.rep_unfinished = false;
    f->c.ev.kind = EV_NONE;
    *ok = exec_insn_generic(&f->c, &in);
}

static void fill(struct fix *f)
{
    for (unsigned i = 0x20000; i < 0x30000; i++)
        put(f, i, 1, i * 7 + (i >> 8));
}

static void test_overlap(void **state)
{
    (void)state;
    static const char *const code[] = { "\xF3\xA4", "\xF3\x66\xA5", "\xF3\xA5" };
    static u8 want[0x10000], got[0x10000];
    u64 seed = 1;
    for (unsigned t = 0; t < 300; t++) {
        struct fix *f = fix_new("zen3");
        fix_protected(f, 0);
        fill(f);
        phys_read(&f->c.view, (struct spa){ 0x20000 }, want, sizeof want);
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        unsigned k = t % 3, w = 1u << k, n = seed >> 33 & 0x7FF;
        bool down = seed >> 60 & 1, ok;
        u32 si = 0x8000 + (seed >> 20 & 0xFFF), di = si + (seed >> 50 & 31) - 16;
        for (unsigned i = 0; i < n; i++) {
            i32 at = down ? -(i32)(i * w) : (i32)(i * w);
            store_le(want + (i32)di + at, w, load_le(want + (i32)si + at, w));
        }
        f->c.st.gpr[RSI] = 0x20000 + si;
        f->c.st.gpr[RDI] = 0x20000 + di;
        f->c.st.gpr[RCX] = n;
        cpu_set_rflags(&f->c, down ? FL_DF : 0);
        run_bytes(f, code[k], (unsigned)strlen(code[k]), &ok);
        assert_true(ok && !f->c.rep_unfinished);
        phys_read(&f->c.view, (struct spa){ 0x20000 }, got, sizeof got);
        assert_memory_equal(want, got, sizeof got);
        assert_int_equal(f->c.st.gpr[RCX], 0);
        assert_int_equal(f->c.st.gpr[RSI], (u32)(0x20000 + si + (down ? -(n * w) : n * w)));
        fix_free(f);
    }
}

/* The segment limit ends in the middle: the elements below it are done. */
static void test_limit(void **state)
{
    (void)state;
    struct fix *f = fix_new("zen3");
    bool ok;
    fix_protected(f, 0);
    f->c.st.seg[SEG_ES].limit = 0x24FFF + 0x10;
    f->c.st.gpr[RDI] = 0x24000;
    f->c.st.gpr[RCX] = 0x1000;
    f->c.st.gpr[RAX] = 0xAB;
    run_bytes(f, "\xF3\xAB", 2, &ok);
    assert_false(ok);
    expect_fault(f, EXC_GP, 0);
    assert_int_equal(f->c.st.gpr[RDI], 0x25010);
    assert_int_equal(f->c.st.gpr[RCX], 0x1000 - 0x1010 / 4);
    assert_int_equal(get(f, 0x2500C, 4), 0xAB);
    assert_int_equal(get(f, 0x25010, 4), 0);
    fix_free(f);
}

/* A small budget: the instruction is left and re-entered until done, at the same elements whatever the spans. */
static void test_budget(void **state)
{
    (void)state;
    struct fix *f = fix_new("zen3");
    unsigned entries = 0;
    bool ok;
    fix_protected(f, 0);
    f->c.st.gpr[RDI] = 0x20F00;
    f->c.st.gpr[RCX] = 1000;
    do {
        u64 before = f->c.st.gpr[RCX];
        f->c.budget = (i64)(64 * 10) << 24;
        run_bytes(f, "\xF3\xAA", 2, &ok);
        assert_true(ok);
        if (f->c.rep_unfinished) {
            assert_int_equal(before - f->c.st.gpr[RCX], 11);
            assert_int_equal(f->c.next_rip, 0x3000);
        }
    } while (f->c.rep_unfinished && ++entries < 1000);
    assert_int_equal(f->c.st.gpr[RCX], 0);
    assert_int_equal(f->c.st.gpr[RDI], 0x20F00 + 1000);
    assert_int_equal(entries, 90);
    fix_free(f);
}

/* 16-bit addresses wrap between elements. */
static void test_wrap(void **state)
{
    (void)state;
    struct fix *f = fix_new("zen3");
    bool ok;
    fix_protected(f, 0);
    f->c.st.gpr[RDI] = 0x5FFFE;
    f->c.st.gpr[RCX] = 4;
    f->c.st.gpr[RAX] = 0x77;
    run_bytes(f, "\xF3\x67\xAA", 3, &ok);
    assert_true(ok);
    assert_int_equal(f->c.st.gpr[RDI], 0x50002);
    assert_int_equal(get(f, 0xFFFF, 1), 0x77);
    assert_int_equal(get(f, 0, 2), 0x7777);
    fix_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_overlap), cmocka_unit_test(test_limit), cmocka_unit_test(test_budget),
                                        cmocka_unit_test(test_wrap) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
