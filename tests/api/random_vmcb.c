// SPDX-License-Identifier: MIT
/* Random VMCBs: fields and bytes, tables and host save areas anywhere, another processor that writes over them. No crash, no hang, and most
 * cases run guest code. SVMEMU_RANDOM_VMRUNS sets how many VMRUNs, SVMEMU_RANDOM_SEED the seed, SVMEMU_RANDOM_CASE runs one case alone. */
#include "../fuzz/vmrun_case.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct vmrun_case t;

static void run_from(uint64_t start)
{
    uint8_t bytes[CASE_BYTES * 4];
    uint64_t s = start;
    size_t n = case_generate(bytes, &s, CASE_RUNS);
    assert_true(n <= sizeof(bytes));
    if (!case_run(&t, bytes, n))
        fail_msg("again: SVMEMU_RANDOM_CASE=%#llx build/asan-ubsan/test_api_random_vmcb", (unsigned long long)start);
}

/* The measure itself: NOP, HLT completes an instruction; an intercepted HLT alone does not; ASID 0 enters no guest. */
static void test_measure(void **state)
{
    static const uint8_t nop_hlt[] = { 0, 2, 0, 0, 0, 0, 0, 0x90, 0xF4 }, hlt[] = { 0, 2, 0, 0, 0, 0, 0, 0xF4 };
    (void)state;
    assert_true(case_init(&t, "max"));
    for (uint8_t mode = 0; mode < CASE_MODES * 2; mode++) {
        uint8_t a[sizeof(nop_hlt)], b[sizeof(hlt)];
        memcpy(a, nop_hlt, sizeof(a));
        memcpy(b, hlt, sizeof(b));
        a[0] = b[0] = mode % CASE_MODES;
        a[1] = b[1] = (uint8_t)(2 | mode / CASE_MODES);
        uint64_t halts = t.codes[0x78], guests = t.with_guest, entries = t.entries;
        assert_true(case_run(&t, a, sizeof(a)));
        assert_int_equal(t.entries, entries + 1); /* this mode's VMCB passes the checks */
        assert_int_equal(t.with_guest, guests + 1);
        assert_true(case_run(&t, b, sizeof(b)));
        assert_int_equal(t.with_guest, guests + 1);
        if (mode % CASE_MODES != CASE_V86) /* HLT at CPL 3 is #GP */
            assert_int_equal(t.codes[0x78], halts + 2);
    }
    assert_int_equal(t.invalid, 0);
    svmemu_destroy(t.m);
}

/* Inputs that the fuzzer found worth keeping, and every one that ever failed. */
static void test_corpus(void **state)
{
    DIR *d = opendir(SVMEMU_SOURCE_DIR "/tests/fuzz/corpus/vmrun");
    unsigned files = 0;
    (void)state;
    assert_non_null(d);
    assert_true(case_init(&t, "max"));
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char path[512];
        uint8_t bytes[CASE_BYTES * 4];
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", SVMEMU_SOURCE_DIR "/tests/fuzz/corpus/vmrun", e->d_name);
        FILE *f = fopen(path, "rb");
        assert_non_null(f);
        size_t n = fread(bytes, 1, sizeof(bytes), f);
        fclose(f);
        if (!case_run(&t, bytes, n))
            fail_msg("%s", path);
        files++;
    }
    closedir(d);
    assert_true(files >= 10);
    svmemu_destroy(t.m);
}

static void test_random_vmcb(void **state)
{
    const char *n = getenv("SVMEMU_RANDOM_VMRUNS"), *seed = getenv("SVMEMU_RANDOM_SEED"), *one = getenv("SVMEMU_RANDOM_CASE");
    uint64_t want = n ? strtoull(n, NULL, 0) : 1000000, s = seed ? strtoull(seed, NULL, 0) : 0x5EED;
    (void)state;
    assert_true(case_init(&t, "max"));
    if (one)
        run_from(strtoull(one, NULL, 0));
    else
        while (t.vmruns < want)
            run_from(case_random(&s));
    case_report(&t, stdout);
    if (!one)
        assert_true(2 * t.with_guest >= t.cases);
    svmemu_destroy(t.m);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_measure), cmocka_unit_test(test_corpus), cmocka_unit_test(test_random_vmcb) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
