// SPDX-License-Identifier: MIT
/* What isa_native.c and its 32-bit helper share: a batch of cases in shared memory, and where things lie in the region. */
#ifndef TESTS_NATIVE_LEGACY_H
#define TESTS_NATIVE_LEGACY_H

/* One 64-KiB region holds scratch memory, the instruction and the registers; in 32- and 16-bit code it is the base of every segment. */
enum { REGION = 0x20000000, SPAN = 0x10000, SCRATCH = 0x4000, SCRATCH_LEN = 0x1000, CODE = 0x8100, CODE_LEN = 64, CODE_EXIT = 32, CTX = 0xC000 };
enum { LDT_CODE32 = 0x07, LDT_CODE16 = 0x0F, LDT_DATA = 0x17 };

/* In: mode, bytes, registers, flags, scratch, branch. Out: registers, flags, scratch, sig, branch. The layout is the same in 32- and 64-bit
 * programs. */
struct native_case {
    unsigned mode, len; /* enum dec_mode */
    unsigned char bytes[16];
    __UINT64_TYPE__ gpr[16], flags;
    unsigned sig;       /* the signal that the instruction raised, 0: none */
    unsigned branch;    /* in: not 0: INT3s surround the instruction; out: where control went, from the instruction */
    unsigned char scratch[SCRATCH_LEN];
};
_Static_assert(sizeof(struct native_case) == 168 + SCRATCH_LEN, "no padding that compilers may choose");

enum { NATIVE_BATCH = 128, NATIVE_FD = 3 };
/* One byte through the helper's standard input asks for cases 0..cases-1, one through its standard output answers; the first says it is up. */
struct native_batch {
    unsigned cases, pad;
    struct native_case c[NATIVE_BATCH];
};

#endif
