// SPDX-License-Identifier: MIT
/* Rules of the decoder that a comparison with disassemblers does not show: AMD's special cases, features, truncation, operands. */
#include "decoder/insn.h"
#include "base/ids.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static enum dec_status dec(enum dec_mode mode, const char *hex, struct insn *in)
{
    u64 features[FEAT_WORDS];
    memset(features, 0xFF, sizeof(features));
    u8 b[32];
    unsigned n = 0, v;
    for (const char *p = hex; sscanf(p, "%2x", &v) == 1; p += 2 + strspn(p + 2, " "))
        b[n++] = (u8)v;
    return decode_insn(b, n, mode, features, in);
}

static void test_validity(void **state)
{
    (void)state;
    static const struct { enum dec_mode mode; const char *hex; enum dec_status st; unsigned len; } cases[] = {
        { MODE_64, "90", DEC_OK, 1 },
        { MODE_64, "66 66 66 66 66 66 66 66 66 66 66 66 66 66 90", DEC_OK, 15 },
        { MODE_64, "66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 90", DEC_TOOLONG, 15 },
        { MODE_64, "66 66 66 66 66 66 66 66 66 66 66 66 66 66 01 c0", DEC_TOOLONG, 15 },
        { MODE_64, "48 b8 01 02 03 04 05 06 07", DEC_SHORT, 2 },
        { MODE_64, "e9 00 00 00 00", DEC_OK, 5 },
        { MODE_64, "66 e9 00 00", DEC_OK, 4 },      /* AMD honours 66h on near branches */
        { MODE_64, "f0 01 c0", DEC_UD, 3 },         /* LOCK with a register destination */
        { MODE_64, "f0 01 00", DEC_OK, 3 },
        { MODE_64, "f0 89 00", DEC_UD, 3 },         /* LOCK MOV */
        { MODE_64, "f0 0f 20 c0", DEC_OK, 4 },      /* LOCK MOV EAX, CR0 = CR8 */
        { MODE_64, "0f 20 c8", DEC_UD, 3 },         /* CR1 */
        { MODE_64, "8e c8", DEC_UD, 2 },            /* MOV CS */
        { MODE_64, "62 00", DEC_UD, 1 },
        { MODE_32, "62 00", DEC_OK, 2 },
        { MODE_32, "62 c0", DEC_UD, 2 },
        { MODE_64, "8d c0", DEC_UD, 2 },            /* LEA with a register */
        { MODE_32, "c4 00", DEC_OK, 2 },            /* LES */
        { MODE_32, "c5 f8 77", DEC_OK, 3 },         /* VZEROUPPER */
        { MODE_64, "66 c5 f8 77", DEC_UD, 3 },
        { MODE_64, "48 c5 f8 77", DEC_UD, 3 },
        { MODE_64, "c5 f0 77", DEC_UD, 3 },         /* vvvv in use */
        { MODE_64, "8f e8 78 00 00", DEC_UD, 2 },   /* XOP */
        { MODE_64, "27", DEC_UD, 1 },
        { MODE_64, "0f 01 d8", DEC_OK, 3 },         /* VMRUN */
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct insn in;
        enum dec_status st = dec(cases[i].mode, cases[i].hex, &in);
        if (st != cases[i].st || in.len != cases[i].len)
            fail_msg("%s: status %d length %u", cases[i].hex, st, in.len);
    }
}

static void test_prefixes(void **state)
{
    (void)state;
    struct insn in;
    assert_int_equal(dec(MODE_64, "48 66 89 c8", &in), DEC_OK); /* REX not directly before the opcode is lost */
    assert_int_equal(in.osz, 2);
    assert_int_equal(dec(MODE_64, "64 3e 8b 00", &in), DEC_OK); /* DS does not cancel FS in 64-bit mode */
    assert_int_equal(in.seg, SEG_FS);
    assert_int_equal(dec(MODE_32, "64 3e 8b 00", &in), DEC_OK);
    assert_int_equal(in.seg, SEG_DS);
    assert_int_equal(dec(MODE_32, "8b 45 08", &in), DEC_OK); /* EBP: stack segment */
    assert_int_equal(in.seg, SEG_SS);
    assert_int_equal(in.disp, 8);
    assert_int_equal(dec(MODE_64, "f3 f2 a4", &in), DEC_OK);
    assert_int_equal(in.pfx & (PFX_REP | PFX_REPNE), PFX_REPNE);
    assert_int_equal(dec(MODE_64, "88 e0", &in), DEC_OK);
    assert_int_equal(in.op[1].reg, REG8_AH);
    assert_int_equal(dec(MODE_64, "40 88 e0", &in), DEC_OK);
    assert_int_equal(in.op[1].reg, RSP);
    assert_int_equal(dec(MODE_64, "f0 0f 20 c0", &in), DEC_OK);
    assert_int_equal(in.op[1].reg, 8);
}

static void test_operands(void **state)
{
    (void)state;
    struct insn in;
    assert_int_equal(dec(MODE_64, "8b 05 f8 ff ff ff", &in), DEC_OK);
    assert_true(in.riprel);
    assert_int_equal(in.disp, -8);
    assert_int_equal(in.base, GPR_NONE);
    assert_int_equal(dec(MODE_64, "8b 84 a3 00 01 00 00", &in), DEC_OK);
    assert_int_equal(in.base, RBX);
    assert_int_equal(in.index, GPR_NONE);
    assert_int_equal(dec(MODE_64, "42 8b 84 a3 00 01 00 00", &in), DEC_OK);
    assert_int_equal(in.index, R12);
    assert_int_equal(in.scale, 2);
    assert_int_equal(dec(MODE_64, "48 83 c0 ff", &in), DEC_OK);
    assert_true(in.imm == ~0ull);
    assert_int_equal(dec(MODE_64, "83 c0 ff", &in), DEC_OK);
    assert_true(in.imm == 0xFFFFFFFF);
    assert_int_equal(dec(MODE_64, "48 b8 01 02 03 04 05 06 07 88", &in), DEC_OK);
    assert_true(in.imm == 0x8807060504030201ull);
    assert_int_equal(dec(MODE_16, "8b 40 fe", &in), DEC_OK);
    assert_int_equal(in.base, RBX);
    assert_int_equal(in.index, RSI);
    assert_int_equal(in.disp, -2);
    assert_int_equal(dec(MODE_16, "8b 46 00", &in), DEC_OK);
    assert_int_equal(in.seg, SEG_SS);
    assert_int_equal(dec(MODE_64, "48 a1 88 77 66 55 44 33 22 11", &in), DEC_OK);
    assert_true(in.disp == 0x1122334455667788);
    assert_int_equal(dec(MODE_32, "9a 78 56 34 12 cd ab", &in), DEC_OK);
    assert_true(in.imm == 0x12345678 && in.imm2 == 0xABCD);
    assert_int_equal(dec(MODE_64, "c8 34 12 05", &in), DEC_OK);
    assert_true(in.imm == 0x1234 && in.imm2 == 5);
}

/* Rows of absent features do not match: F3 0F BD is then BSR. */
static void test_features(void **state)
{
    (void)state;
    static const u8 lzcnt[] = { 0xF3, 0x0F, 0xBD, 0xC0 }, popcnt[] = { 0xF3, 0x0F, 0xB8, 0xC0 };
    u64 none[FEAT_WORDS] = { 0 }, all[FEAT_WORDS];
    memset(all, 0xFF, sizeof(all));
    struct insn in;
    assert_int_equal(decode_insn(lzcnt, 4, MODE_64, all, &in), DEC_OK);
    assert_string_equal(isa_rows[in.row].name, "lzcnt");
    assert_int_equal(decode_insn(lzcnt, 4, MODE_64, none, &in), DEC_OK);
    assert_string_equal(isa_rows[in.row].name, "bsr");
    assert_int_equal(decode_insn(popcnt, 4, MODE_64, none, &in), DEC_UD);
}

/* Every prefix of an instruction is DEC_SHORT, never an instruction. */
static void test_short(void **state)
{
    (void)state;
    static const u8 b[] = { 0x66, 0x67, 0x48, 0x81, 0x84, 0x88, 1, 2, 3, 4, 5, 6, 7, 8 };
    u64 all[FEAT_WORDS];
    memset(all, 0xFF, sizeof(all));
    struct insn in;
    for (unsigned n = 0; n < sizeof(b); n++)
        assert_int_equal(decode_insn(b, n, MODE_64, all, &in), DEC_SHORT);
    assert_int_equal(decode_insn(b, sizeof(b), MODE_64, all, &in), DEC_OK);
    char text[80];
    insn_print(&in, b, text, sizeof(text));
    assert_string_equal(text, "add [66 67 48 81 84 88 01 02 03 04 05 06 07 08]");
    assert_true(insn_print(&in, b, text, 8) > 8);
    assert_string_equal(text, "add [66");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_validity), cmocka_unit_test(test_prefixes), cmocka_unit_test(test_operands),
                                        cmocka_unit_test(test_features), cmocka_unit_test(test_short) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
