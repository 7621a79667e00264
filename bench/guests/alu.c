// SPDX-License-Identifier: MIT
/* Register arithmetic: shifts, adds, multiplies and a branch that depends on data. */
#include "bench.h"

void guest_main(void)
{
    enum { ROUNDS = 150000000 };
    u64 a = 1, b = 2, c = 0x9e3779b97f4a7c15;

    bench_begin("alu");
    for (u32 i = 0; i < ROUNDS; i++) {
        a += b ^ (c >> 7);
        b = (b << 13 | b >> 51) * 5 + i;
        if (a & 64)
            c -= a;
        else
            c ^= b + 0x55;
    }
    bench_end("alu", ROUNDS, "rounds", a ^ b ^ c);
}
