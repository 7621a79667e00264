// SPDX-License-Identifier: MIT
/* libFuzzer target: VMRUN with any VMCB, tables anywhere, any guest code (vmrun_case.h). At the end it prints a histogram of exit codes,
 * and fails when fewer than half of the cases completed a guest instruction. A failing input is saved by libFuzzer; to see it again:
 *   build/fuzz/fuzz_vmrun FILE */
#include "vmrun_case.h"

#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

static struct vmrun_case t;

static void report(void)
{
    case_report(&t, stderr);
    if (t.cases >= 10000 && 2 * t.with_guest < t.cases) {
        fprintf(stderr, "fewer than half of the cases ran a guest instruction\n");
        _exit(1);
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    if (!case_init(&t, "max"))
        abort();
    atexit(report);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!case_run(&t, data, size))
        abort();
    return 0;
}

/* Mostly a fresh case, or one part of the input changed with its structure kept; sometimes bytes, as libFuzzer likes. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    uint64_t s = seed * 0x9E3779B97F4A7C15u + 1;
    uint8_t fresh[CASE_BYTES];
    if (max < CASE_BYTES || case_random(&s) % 4 == 0)
        return LLVMFuzzerMutate(data, size, max);
    if (size < CASE_HEADER || case_random(&s) % 2) {
        size = case_generate(fresh, &s, 1 + (unsigned)(case_random(&s) % 4));
        memcpy(data, fresh, size);
        return size;
    }
    switch (case_random(&s) % 3) {
    case 0: data[case_random(&s) % 3] = (uint8_t)case_random(&s); break;     /* mode, intercepts, runs */
    case 1: data[6 + case_random(&s) % (size - 6)] ^= (uint8_t)(1u << case_random(&s) % 8); break;
    default: case_piece(data + size - 4, case_random(&s)); break;            /* guest code is last */
    }
    return size;
}
