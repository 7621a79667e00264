// SPDX-License-Identifier: MIT
/* The decoder against Capstone and Zydis: (a) every row, in encodings made from the row, (b) random byte strings in all three modes.
 *
 * A result is right when Capstone agrees on validity, length and mnemonic, or, where Capstone lacks or misnames an encoding, when Zydis
 * (configured for AMD's branches) agrees. What neither confirms must stand in tests/golden/decoder_differences.txt, one per line:
 *   MODE MAP/OPCODE KIND reason     MODE 16 32 64 *; MAP/OPCODE (+lock with that prefix), or isa:SET (Zydis's ISA set); KIND: ours (only we accept), theirs (both oracles
 *                                   accept), length, name
 * SVMEMU_DECODER_COUNT sets the number of random strings, SVMEMU_DECODER_SEED the seed. Rows without an oracle are printed and counted. */
#include "decoder/insn.h"
#include "base/ids.h"
#include "decoder/rows.h"

#include <Zydis/Zydis.h>
#include <capstone/capstone.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

enum { MAX_DIFFS = 512, PROBE = 24 };
struct difference {
    char mode[4], where[24], kind[12];
    unsigned used;
};
struct verdict {
    bool ok;
    unsigned len;
    char name[32];
    const char *isa; /* Zydis's ISA set */
};
static struct fixture {
    csh cs[3];
    cs_insn *ci[3];
    ZydisDecoder zy[3];
    u64 features[FEAT_WORDS];
    struct difference diff[MAX_DIFFS], shown[MAX_DIFFS];
    unsigned shown_count, diff_count, unexpected;
    u64 seed, rng;
    unsigned by_capstone, by_zydis, by_list, names_capstone, names_zydis;
} fx;

static u64 next_random(void) /* splitmix64 */
{
    u64 z = fx.rng += 0x9E3779B97F4A7C15ull;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ z >> 27) * 0x94D049BB133111EBull;
    return z ^ z >> 31;
}

static void load_differences(void)
{
    FILE *f = fopen(SVMEMU_SOURCE_DIR "/tests/golden/decoder_differences.txt", "r");
    assert_non_null(f);
    char line[512];
    while (fgets(line, sizeof(line), f)) {
        struct difference *d = &fx.diff[fx.diff_count];
        if (line[0] == '#' || line[0] == '\n')
            continue;
        assert_true(fx.diff_count < MAX_DIFFS);
        assert_int_equal(sscanf(line, "%3s %23s %11s", d->mode, d->where, d->kind), 3);
        fx.diff_count++;
    }
    fclose(f);
}

static int setup(void **state)
{
    (void)state;
    static const cs_mode modes[] = { CS_MODE_16, CS_MODE_32, CS_MODE_64 };
    static const ZydisMachineMode machine[] = { ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_MACHINE_MODE_LONG_64 };
    static const ZydisStackWidth width[] = { ZYDIS_STACK_WIDTH_16, ZYDIS_STACK_WIDTH_32, ZYDIS_STACK_WIDTH_64 };
    for (unsigned m = 0; m < 3; m++) {
        if (cs_open(CS_ARCH_X86, modes[m], &fx.cs[m]) != CS_ERR_OK)
            return -1;
        fx.ci[m] = cs_malloc(fx.cs[m]);
        ZydisDecoderInit(&fx.zy[m], machine[m], width[m]);
        ZydisDecoderEnableMode(&fx.zy[m], ZYDIS_DECODER_MODE_AMD_BRANCHES, ZYAN_TRUE);
        ZydisDecoderEnableMode(&fx.zy[m], ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
        ZydisDecoderEnableMode(&fx.zy[m], ZYDIS_DECODER_MODE_WBNOINVD, ZYAN_TRUE);
        ZydisDecoderEnableMode(&fx.zy[m], ZYDIS_DECODER_MODE_KNC, ZYAN_FALSE);
    }
    memset(fx.features, 0xFF, sizeof(fx.features));
    const char *seed = getenv("SVMEMU_DECODER_SEED");
    fx.rng = fx.seed = seed ? strtoull(seed, NULL, 0) : 1;
    load_differences();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (unsigned m = 0; m < 3; m++) {
        cs_free(fx.ci[m], 1);
        cs_close(&fx.cs[m]);
    }
    return 0;
}

static struct verdict ask_capstone(enum dec_mode mode, const u8 *bytes, size_t n)
{
    struct verdict v = { 0 };
    u64 addr = 0x1000;
    v.ok = cs_disasm_iter(fx.cs[mode], &bytes, &n, &addr, fx.ci[mode]);
    if (v.ok) {
        v.len = fx.ci[mode]->size;
        const char *name = fx.ci[mode]->mnemonic, *space = strrchr(name, ' ');
        snprintf(v.name, sizeof(v.name), "%s", space ? space + 1 : name); /* without "rep", "lock" */
    }
    return v;
}

static struct verdict ask_zydis(enum dec_mode mode, const u8 *bytes, size_t n)
{
    ZydisDecodedInstruction zi;
    struct verdict v = { .ok = ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&fx.zy[mode], NULL, bytes, n, &zi)) };
    if (v.ok && (zi.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX || zi.encoding == ZYDIS_INSTRUCTION_ENCODING_MVEX ||
                 zi.encoding == ZYDIS_INSTRUCTION_ENCODING_XOP))
        v.ok = false; /* #UD on the processors modelled: no AVX-512, XOP is gone with Zen */
    if (v.ok) {
        v.len = zi.length;
        snprintf(v.name, sizeof(v.name), "%s", ZydisMnemonicGetString(zi.mnemonic));
        v.isa = ZydisISASetGetString(zi.meta.isa_set);
    }
    return v;
}

/* Mnemonics that differ by convention only. Both sides are reduced: size suffixes and synonyms of the same encoding. */
static bool same_name(const struct insn *in, const char *theirs)
{
    static const char *const cc[16] = { "o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g" };
    const struct isa_row *r = &isa_rows[in->row];
    char ours[48];
    size_t len = strcspn(r->name, "_");
    bool family = (r->map == MAP_ONE && r->opcode == 0x70) || (r->map == MAP_0F && (r->opcode == 0x40 || r->opcode == 0x80 || r->opcode == 0x90));
    if (family)
        snprintf(ours, sizeof(ours), "%.*s%s", (int)len - 2, r->name, cc[in->opcode & 15]);
    else
        snprintf(ours, sizeof(ours), "%.*s", (int)len, r->name);
    len = strlen(ours);
    if (strcasecmp(ours, theirs) == 0)
        return true;
    /* one row of ours, several names of theirs */
    static const char *const synonyms[][2] = {
        { "callf", "lcall" }, { "callf", "call" }, { "jmpf", "ljmp" }, { "jmpf", "jmp" }, { "retf", "ret" }, { "fstp", "fstpnce" },
        { "fneni", "feni8087_nop" }, { "fndisi", "fdisi8087_nop" }, { "fnsetpm", "fsetpm287_nop" }, { "cbw", "cwde" }, { "cbw", "cdqe" },
        { "cwd", "cdq" }, { "cwd", "cqo" }, { "jrcxz", "jcxz" }, { "jrcxz", "jecxz" }, { "prefetch", "prefetchwt1" },
        { "prefetch", "prefetchw" }, { "xlat", "xlatb" }, { "prefetchw", "prefetch" },
    };
    for (unsigned i = 0; i < ARRAY_LEN(synonyms); i++)
        if (strcasecmp(ours, synonyms[i][0]) == 0 && strcasecmp(theirs, synonyms[i][1]) == 0)
            return true;
    /* our name may leave a size or form suffix away: movs/movsb, pushf/pushfq, ret/retf stays apart */
    static const char *const suffixes[] = { "b", "w", "d", "q", "64", "al", "aw", "fq", "fd", "xtq", "8b", "16b" };
    if (strncasecmp(ours, theirs, len) == 0)
        for (unsigned i = 0; i < ARRAY_LEN(suffixes); i++)
            if (strcasecmp(theirs + len, suffixes[i]) == 0)
                return true;
    return false;
}

static void where_of(enum dec_mode mode, const u8 *bytes, size_t n, char *buf, size_t size)
{
    static const char *const maps[] = { "ONE", "0F", "0F38", "0F3A", "3DNOW", "VEX1", "VEX2", "VEX3" };
    unsigned i = 0, map = MAP_ONE;
    bool lock = false;
    while (i < n && (strchr("\xF0\xF2\xF3\x66\x67\x26\x2E\x36\x3E\x64\x65", bytes[i]) || (mode == MODE_64 && bytes[i] >> 4 == 4)) && bytes[i])
        lock |= bytes[i++] == 0xF0;
    if (i + 4 < n) {
        bool vex = (bytes[i] == 0xC4 || bytes[i] == 0xC5) && (mode == MODE_64 || bytes[i + 1] >= 0xC0);
        if (vex && bytes[i] == 0xC5) {
            map = MAP_VEX1;
            i += 2;
        } else if (vex) {
            map = MAP_VEX1 + ((bytes[i + 1] & 31) - 1) % 3;
            i += 3;
        } else if (bytes[i] == 0x0F) {
            map = MAP_0F;
            i++;
            if (bytes[i] == 0x38 || bytes[i] == 0x3A) {
                map = bytes[i] == 0x38 ? MAP_0F38 : MAP_0F3A;
                i++;
            } else if (bytes[i] == 0x0F) {
                snprintf(buf, size, "3DNOW");
                return;
            }
        }
    }
    snprintf(buf, size, "%s/%02X%s", maps[map], i < n ? bytes[i] : 0, lock ? "+lock" : "");
}

static bool is_listed(enum dec_mode mode, const char *where, const char *kind)
{
    static const char *const modes[] = { "16", "32", "64" };
    for (unsigned i = 0; i < fx.diff_count; i++) {
        struct difference *d = &fx.diff[i];
        if ((strcmp(d->mode, "*") == 0 || strcmp(d->mode, modes[mode]) == 0) && (strcmp(d->where, "*") == 0 || strcmp(d->where, where) == 0) &&
            strcmp(d->kind, kind) == 0) {
            d->used++;
            return true;
        }
    }
    return false;
}

static void unexpected(enum dec_mode mode, const u8 *bytes, const struct insn *in, bool ok, const char *kind, const struct verdict *c,
                       const struct verdict *z)
{
    char where[24];
    where_of(mode, bytes, PROBE, where, sizeof(where));
    char isa[24];
    snprintf(isa, sizeof(isa), "isa:%s", z->isa ? z->isa : "");
    if (is_listed(mode, where, kind) || is_listed(mode, isa, kind)) {
        fx.by_list++;
        return;
    }
    fx.unexpected++;
    unsigned seen = 0; /* the first six of each place and kind */
    while (seen < fx.shown_count && (strcmp(fx.shown[seen].where, where) != 0 || strcmp(fx.shown[seen].kind, kind) != 0))
        seen++;
    if (seen == MAX_DIFFS || fx.shown[seen].used >= 6)
        return;
    fx.shown_count += seen == fx.shown_count;
    snprintf(fx.shown[seen].where, sizeof(fx.shown[seen].where), "%s", where);
    snprintf(fx.shown[seen].kind, sizeof(fx.shown[seen].kind), "%s", kind);
    fx.shown[seen].used++;
    static const char *const modes[] = { "16", "32", "64" };
    printf("%s %s %s: ours %d/%u %s, capstone %d/%u %s, zydis %d/%u %s (%s), seed %llu, bytes", modes[mode], where, kind, ok, in->len,
           ok ? isa_rows[in->row].name : "-", c->ok, c->len, c->name, z->ok, z->len, z->name, z->isa ? z->isa : "-", (unsigned long long)fx.seed);
    for (unsigned i = 0; i < 15; i++)
        printf(" %02x", bytes[i]);
    putchar('\n');
}

/* True when some oracle confirms the result. */
static bool compare(enum dec_mode mode, const u8 *bytes, bool names)
{
    struct insn in;
    bool ok = decode_insn(bytes, PROBE, mode, fx.features, &in) == DEC_OK;
    struct verdict c = ask_capstone(mode, bytes, PROBE), z = { 0 };
    if (ok == c.ok && (!ok || (in.len == c.len && (!names || same_name(&in, c.name))))) {
        fx.by_capstone++;
        return true;
    }
    z = ask_zydis(mode, bytes, PROBE);
    if (ok == z.ok && (!ok || (in.len == z.len && (!names || same_name(&in, z.name))))) {
        fx.by_zydis++;
        return true;
    }
    const char *kind = ok && !c.ok && !z.ok ? "ours" : !ok ? "theirs" : in.len != (z.ok ? z.len : c.len) ? "length" : "name";
    unexpected(mode, bytes, &in, ok, kind, &c, &z);
    return false;
}

/* One encoding of a row: prefixes, REX or VEX, opcode, ModRM from random bits; the rest random. */
static void synthesise(const struct isa_row *r, enum dec_mode mode, unsigned opcode, u8 *b)
{
    unsigned n = 0;
    u64 rnd = next_random();
    for (unsigned i = 0; i < PROBE; i++)
        b[i] = (u8)next_random();
    unsigned w = r->limits & LIM_W1 ? 1 : r->limits & LIM_W0 ? 0 : rnd & 1;
    u8 mod = (u8)next_random();
    if (r->modrm >= MRM_EXACT)
        mod = r->modrm;
    else if (r->modrm & 0xF0)
        mod = (u8)((mod & 0xC7) | (r->modrm & 7) << 3);
    if (r->modrm == MRM_MEM || r->modrm >> 4 == MRM_DIGIT_MEM >> 4 || r->modrm == MRM_IGN)
        mod = mod >= 0xC0 ? mod & 0x7F : mod;
    if (r->modrm == MRM_REG || r->modrm >> 4 == MRM_DIGIT_REG >> 4 || r->modrm == MRM_IGN || (r->map >= MAP_VEX1 && mode != MODE_64))
        mod |= r->modrm == MRM_MEM ? 0 : 0xC0;
    if (r->map >= MAP_VEX1) {
        static const u8 pp[] = { 0, 0, 1, 2, 3 };
        unsigned l = r->limits & LIM_L1 ? 1 : r->limits & LIM_L0 ? 0 : rnd >> 1 & 1;
        unsigned v = r->limits & LIM_VEXNDD ? 15 : rnd >> 4 & 15;
        b[n++] = 0xC4;
        b[n++] = (u8)((rnd >> 8 & 0xE0) | (r->map - MAP_VEX1 + 1));
        b[n++] = (u8)(w << 7 | v << 3 | l << 2 | pp[r->prefix]);
        if (mode != MODE_64)
            b[1] |= 0xE0, b[2] |= 0x40;
    } else {
        static const u8 legacy[] = { 0, 0, 0x66, 0xF3, 0xF2 };
        if (r->prefix > MP_NP)
            b[n++] = legacy[r->prefix];
        else if (r->prefix == MP_ANY && (rnd >> 3 & 3) == 0)
            b[n++] = 0x66;
        if ((rnd >> 5 & 3) == 0)
            b[n++] = 0x67;
        if (mode == MODE_64 && (w || (rnd >> 7 & 1)))
            b[n++] = (u8)(0x40 | w << 3 | (r->limits & LIM_B0 ? 0 : rnd >> 9 & 5) | (rnd >> 9 & 2));
        if (r->map != MAP_ONE)
            b[n++] = 0x0F;
        if (r->map == MAP_0F38 || r->map == MAP_0F3A || r->map == MAP_3DNOW)
            b[n++] = r->map == MAP_0F38 ? 0x38 : r->map == MAP_0F3A ? 0x3A : 0x0F;
    }
    if (r->map == MAP_3DNOW) {
        b[n++] = mod | 0xC0;
        b[n] = (u8)opcode;
        return;
    }
    b[n++] = (u8)opcode;
    if (r->modrm != MRM_NONE)
        b[n] = mod;
}

static void test_rows(void **state)
{
    (void)state;
    unsigned missing = 0, never = 0;
    for (unsigned i = 0; i < isa_row_count; i++) {
        const struct isa_row *r = &isa_rows[i];
        unsigned good = 0, reached = 0;
        for (unsigned t = 0; t < 240; t++) {
            enum dec_mode mode = (enum dec_mode)(t % 3);
            if (r->limits & (mode == MODE_64 ? LIM_NO64 : LIM_O64) || ((r->limits & LIM_W1) && mode != MODE_64 && r->map < MAP_VEX1))
                continue;
            u8 b[PROBE];
            struct insn in;
            synthesise(r, mode, r->opcode, b);
            if (decode_insn(b, PROBE, mode, fx.features, &in) != DEC_OK || in.row != i)
                continue; /* another row or an invalid operand: the random test compares those */
            reached++;
            good += compare(mode, b, true);
        }
        never += reached == 0;
        missing += reached && !good;
        if (!reached)
            printf("row never reached: %s map %u opcode %02X\n", r->name, r->map, r->opcode);
        else if (!good)
            printf("row without an oracle: %s map %u opcode %02X\n", r->name, r->map, r->opcode);
    }
    printf("%u rows, %u without an oracle, %u never reached; confirmed by Capstone %u, by Zydis %u, listed %u\n", isa_row_count, missing,
           never, fx.by_capstone, fx.by_zydis, fx.by_list);
    assert_int_equal(fx.unexpected, 0);
    assert_int_equal(never, 0);
}

static void test_random(void **state)
{
    (void)state;
    const char *env = getenv("SVMEMU_DECODER_COUNT");
    u64 count = env ? strtoull(env, NULL, 0) : 3000000;
    fx.by_capstone = fx.by_zydis = fx.by_list = fx.unexpected = 0;
    for (u64 i = 0; i < count; i++) {
        u64 b[PROBE / 8];
        for (unsigned j = 0; j < PROBE / 8; j++)
            b[j] = next_random();
        u8 *p = (u8 *)b;
        unsigned shape = p[PROBE - 1]; /* most random strings are one-byte opcodes: bring the other maps in */
        if (shape < 80)
            p[shape % 3] = 0x0F;
        else if (shape < 100)
            p[0] = 0xC4, p[1] = (u8)((p[1] & 0xE0) | (1 + shape % 3));
        else if (shape < 120)
            p[0] = 0x0F, p[1] = shape & 1 ? 0x38 : 0x3A;
        compare((enum dec_mode)(i % 3), p, false);
    }
    printf("%llu random strings: confirmed by Capstone %u, by Zydis %u, listed %u, unexpected %u\n", (unsigned long long)count, fx.by_capstone,
           fx.by_zydis, fx.by_list, fx.unexpected);
    for (unsigned i = 0; i < fx.diff_count; i++)
        if (!fx.diff[i].used)
            printf("not needed in this run: %s %s %s\n", fx.diff[i].mode, fx.diff[i].where, fx.diff[i].kind);
    assert_int_equal(fx.unexpected, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows), cmocka_unit_test(test_random) };
    return cmocka_run_group_tests(tests, setup, teardown);
}
