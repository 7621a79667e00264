// SPDX-License-Identifier: MIT
/* Recursive quicksort: calls, unpredictable branches, swaps. */
#include "bench.h"

enum { COUNT = 1000000, ROUNDS = 4 };
static u32 values[COUNT];

static void sort(u32 *first, u32 *last)
{
    while (first < last) {
        u32 pivot = first[(last - first) / 2];
        u32 *i = first, *j = last;
        while (i <= j) {
            while (*i < pivot)
                i++;
            while (*j > pivot)
                j--;
            if (i <= j) {
                u32 t = *i;
                *i++ = *j;
                *j-- = t;
            }
        }
        /* The smaller part by recursion: depth stays logarithmic. */
        if (j - first < last - i) {
            sort(first, j);
            first = i;
        } else {
            sort(i, last);
            last = j;
        }
    }
}

void guest_main(void)
{
    u64 seed = 0x2545f4914f6cdd1d, sum = 0;
    bool sorted = true;

    bench_begin("quicksort");
    for (u32 round = 0; round < ROUNDS; round++) {
        for (u32 i = 0; i < COUNT; i++)
            values[i] = (u32)next_random(&seed);
        sort(values, values + COUNT - 1);
        for (u32 i = 1; i < COUNT; i++) {
            sorted &= values[i - 1] <= values[i];
            sum = sum * 31 + values[i];
        }
    }
    check(sorted, "the values are in order");
    bench_end("quicksort", (u64)COUNT * ROUNDS, "values", sum);
}
