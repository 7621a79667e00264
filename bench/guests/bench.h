// SPDX-License-Identifier: MIT
/* Benchmark guests print "BEGIN name", do a known amount of work, and print "END name work unit checksum". The runner
 * times the process and subtracts that of `null`, the same program without work. */
#ifndef BENCH_H
#define BENCH_H

#include "svm.h"

static inline void bench_begin(const char *name)
{
    print("BEGIN ");
    print(name);
    print("\n");
}

static inline void bench_end(const char *name, u64 work, const char *unit, u64 checksum)
{
    print("END ");
    print(name);
    print(" ");
    print_dec(work);
    print(" ");
    print(unit);
    print(" ");
    print_hex(checksum);
    print("\n");
}

/* A plain generator for reproducible data. */
static inline u64 next_random(u64 *state)
{
    u64 x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

#endif
