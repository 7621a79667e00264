// SPDX-License-Identifier: MIT
/* Random instruction streams over random memory in 16-, 32- and 64-bit code, on three engines at once: none may crash, and registers,
 * memory and time must be the same on all. SVMEMU_RANDOM_INSNS sets how many instructions are attempted, SVMEMU_RANDOM_SEED the seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <svmemu/svmemu.h>

enum { RAM = 256 << 10, CODE = 0x8000, CODE_LEN = 0x4000, PML4 = 0x1000, CASE_INSNS = 200, CASE_CYCLES = 100000, ENGINES = 3 }; /* cycles: a REP of 2^32 elements is one instruction */

static uint64_t rnd(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

static void put64(struct svmemu *m, uint64_t at, uint64_t v)
{
    assert_int_equal(svmemu_mem_write(m, at, &v, 8), SVMEMU_OK);
}

/* Identity map of RAM by 4 KiB pages, all user and writable. */
static void tables(struct svmemu *m)
{
    put64(m, PML4, 0x2007);
    put64(m, 0x2000, 0x3007);
    put64(m, 0x3000, 0x4007);
    for (unsigned i = 0; i < RAM >> 12; i++)
        put64(m, 0x4000 + 8 * i, (uint64_t)i << 12 | 7);
}

/* Random bytes; half of the streams are made of opcodes that seldom fault, so that blocks get long. */
static void fill(uint8_t *code, uint64_t *s)
{
    static const uint8_t tame[] = { 0x01, 0x03, 0x11, 0x21, 0x29, 0x31, 0x39, 0x85, 0x89, 0x8B, 0x88, 0x8A, 0x87, 0x40, 0x4F, 0x50, 0x58,
                                    0x90, 0x98, 0xC1, 0xD1, 0xD3, 0xF7, 0x72, 0x75, 0xEB, 0x83, 0x81, 0xA4, 0xAA, 0xF5, 0x9C, 0x0F, 0xFE };
    bool calm = rnd(s) & 1;
    for (unsigned i = 0; i < CODE_LEN; i++) {
        uint64_t r = rnd(s);
        code[i] = calm && (r & 0x300) ? tame[r % sizeof(tame)] : (uint8_t)r;
        if (calm && (r & 0x1C00) == 0x400) /* register forms */
            code[i] |= 0xC0;
    }
}

static void set_up(struct svmemu *m, const uint8_t *code, uint64_t s)
{
    static const unsigned modes[] = { 16, 32, 64 };
    char name[8];
    svmemu_reset(m);
    tables(m);
    assert_int_equal(svmemu_mem_write(m, CODE, code, CODE_LEN), SVMEMU_OK);
    assert_int_equal(svmemu_set_mode(m, 0, modes[rnd(&s) % 3], PML4), SVMEMU_OK);
    for (int i = 0; svmemu_reg_name((unsigned)i) && i < 16; i++) {
        uint64_t v = rnd(&s), kind = rnd(&s) % 4;
        snprintf(name, sizeof(name), "%s", svmemu_reg_name((unsigned)i));
        svmemu_reg_write(m, 0, name, kind == 0 ? v : kind == 1 ? v & 0xFF : 0x10000 + (v & 0x1FFF8));
    }
    svmemu_reg_write(m, 0, "rsp", 0x7000);
    svmemu_reg_write(m, 0, "rip", CODE + (rnd(&s) & 0xFFF));
}

/* Names the first registers in which two machines differ, and the first byte of memory. */
static void differences(struct svmemu *a, struct svmemu *b)
{
    static uint8_t x[RAM], y[RAM];
    for (unsigned i = 0; svmemu_reg_name(i); i++) {
        uint64_t u = 0, v = 0;
        svmemu_reg_read_id(a, 0, i, &u);
        svmemu_reg_read_id(b, 0, i, &v);
        if (u != v)
            print_message("  %s %#llx, %#llx\n", svmemu_reg_name(i), (unsigned long long)u, (unsigned long long)v);
    }
    svmemu_mem_read(a, 0, x, RAM);
    svmemu_mem_read(b, 0, y, RAM);
    for (unsigned i = 0; i < RAM; i++)
        if (x[i] != y[i]) {
            print_message("  memory at %#x: %02x, %02x\n", i, x[i], y[i]);
            break;
        }
    struct svmemu_stats s, t;
    svmemu_stats(a, &s);
    svmemu_stats(b, &t);
    print_message("  instructions %llu, %llu; cycles %llu, %llu\n", (unsigned long long)s.insns, (unsigned long long)t.insns,
                  (unsigned long long)s.cycles, (unsigned long long)t.cycles);
}

static void test_random(void **state)
{
    const char *n = getenv("SVMEMU_RANDOM_INSNS"), *seed = getenv("SVMEMU_RANDOM_SEED");
    uint64_t want = n ? strtoull(n, NULL, 0) : 1000000, s = seed ? strtoull(seed, NULL, 0) : 0x5EED, done = 0, cases = 0;
    uint64_t ends[16] = { 0 };
    uint8_t *code = malloc(CODE_LEN);
    struct svmemu *m[ENGINES];
    (void)state;
    assert_non_null(code);
    for (unsigned e = 0; e < ENGINES; e++) {
        struct svmemu_config c = { .memory = RAM, .generic_only = e == 1, .blocks_off = e == 2 };
        assert_int_equal(svmemu_create(&c, &m[e]), SVMEMU_OK);
    }
    while (done < want) {
        uint64_t start = rnd(&s), hash[ENGINES];
        struct svmemu_stop stop[ENGINES];
        fill(code, &s);
        for (unsigned e = 0; e < ENGINES; e++) {
            uint64_t before;
            set_up(m[e], code, start);
            struct svmemu_stats st;
            svmemu_stats(m[e], &st);
            before = st.insns;
            assert_int_equal(svmemu_run(m[e], CASE_INSNS, CASE_CYCLES, &stop[e]), SVMEMU_OK);
            hash[e] = svmemu_state_hash(m[e]);
            svmemu_stats(m[e], &st);
            if (e == 0) {
                done += st.insns - before + (st.insns == before);
                ends[stop[e].reason & 15]++;
            }
        }
        for (unsigned e = 1; e < ENGINES; e++)
            if (hash[e] != hash[0] || stop[e].reason != stop[0].reason) {
                differences(m[0], m[e]);
                fail_msg("case %llu (start %#llx): engine %u ends with %s at %#llx, engine 0 with %s at %#llx",
                         (unsigned long long)cases, (unsigned long long)start, e, svmemu_stop_name(stop[e].reason),
                         (unsigned long long)stop[e].rip, svmemu_stop_name(stop[0].reason), (unsigned long long)stop[0].rip);
            }
        cases++;
    }
    print_message("%llu instructions attempted in %llu streams on each of %d engines\n", (unsigned long long)done, (unsigned long long)cases,
                  ENGINES);
    for (unsigned r = 0; r < 16; r++)
        if (ends[r])
            print_message("  %llu ended with: %s\n", (unsigned long long)ends[r], svmemu_stop_name((enum svmemu_stop_reason)r));
    for (unsigned e = 0; e < ENGINES; e++)
        svmemu_destroy(m[e]);
    free(code);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_random) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
