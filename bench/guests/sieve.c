// SPDX-License-Identifier: MIT
/* Sieve of Eratosthenes: strided byte stores. */
#include "bench.h"

enum { LIMIT = 4000000, ROUNDS = 12 };
static u8 composite[LIMIT];

void guest_main(void)
{
    u64 primes = 0;

    bench_begin("sieve");
    for (u32 round = 0; round < ROUNDS; round++) {
        for (u32 i = 0; i < LIMIT; i++)
            composite[i] = 0;
        for (u32 i = 2; i * i < LIMIT; i++) {
            if (composite[i])
                continue;
            for (u32 j = i * i; j < LIMIT; j += i)
                composite[j] = 1;
        }
        for (u32 i = 2; i < LIMIT; i++)
            primes += !composite[i];
    }
    bench_end("sieve", (u64)LIMIT * ROUNDS, "numbers", primes);
}
