// SPDX-License-Identifier: MIT
/* REP MOVSB and STOSB over large areas, and byte-wise string loops. */
#include "bench.h"

enum { SIZE = 1 << 20, COPIES = 40, ROUNDS = 300 };
static u8 from[SIZE], to[SIZE];

static u32 length(const volatile u8 *s)
{
    u32 n = 0;
    while (s[n])
        n++;
    return n;
}

void guest_main(void)
{
    u64 sum = 0;

    bench_begin("strings");
    for (u32 i = 0; i < SIZE; i++)
        from[i] = (u8)(i % 250 + 1);
    for (u32 i = 0; i < COPIES; i++) {
        memset(to, (int)i, SIZE);
        memcpy(to + i, from, SIZE - i);
        sum += to[i * 1000] + to[SIZE - 1];
    }
    to[100000] = 0;
    for (u32 i = 0; i < ROUNDS; i++)
        sum += length(to + i);
    bench_end("strings", (u64)COPIES * 2 * SIZE, "bytes", sum);
}
