// SPDX-License-Identifier: MIT
/* Back traces by unwind data (.eh_frame, .debug_frame) of the files given by --symbols. */
#ifndef SVMEMU_CLI_UNWIND_H
#define SVMEMU_CLI_UNWIND_H

#include <stdbool.h>
#include <stdint.h>

struct unwind_cpu {
    void *ctx;
    unsigned bits;                                           /* 32 or 64 */
    uint64_t (*reg)(void *ctx, const char *name);
    bool (*peek)(void *ctx, uint64_t linear, uint64_t *value); /* a word of memory of that size; false: none is there */
};

/* Calls f for each caller, the innermost first, with its return address, until there is no more unwind data. Returns how many; 0
 * also where libdw is not installed or no file knows the address. */
unsigned unwind(const char *const *files, unsigned count, const struct unwind_cpu *cpu, void (*f)(void *ctx, uint64_t back),
                unsigned most);

#endif
