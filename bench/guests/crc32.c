// SPDX-License-Identifier: MIT
/* CRC-32 with a table: dependent loads. */
#include "bench.h"

enum { SIZE = 1 << 20, ROUNDS = 60 };
static u8 data[SIZE];
static u32 table[256];

void guest_main(void)
{
    u64 seed = 88172645463325252ull;
    u32 crc = ~0u;

    bench_begin("crc32");
    for (u32 i = 0; i < 256; i++) {
        u32 c = i;
        for (int k = 0; k < 8; k++)
            c = c & 1 ? 0xedb88320 ^ c >> 1 : c >> 1;
        table[i] = c;
    }
    for (u32 i = 0; i < SIZE; i++)
        data[i] = (u8)next_random(&seed);
    for (u32 round = 0; round < ROUNDS; round++) {
        for (u32 i = 0; i < SIZE; i++)
            crc = table[(crc ^ data[i]) & 255] ^ crc >> 8;
    }
    bench_end("crc32", (u64)SIZE * ROUNDS, "bytes", ~crc);
}
