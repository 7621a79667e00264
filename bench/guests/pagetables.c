// SPDX-License-Identifier: MIT
/* Page-table-heavy: change an entry, INVLPG, touch the page; now and then reload CR3. */
#include "bench.h"

enum { PAGES = 256, ROUNDS = 12000, PRESENT = 1, WRITABLE = 2 };
static u64 pdpt[512] PAGE_ALIGNED, pd[512] PAGE_ALIGNED, pt[512] PAGE_ALIGNED;
static u64 frames[8][512] PAGE_ALIGNED;
extern u64 boot_pml4[];

void guest_main(void)
{
    const u64 base = 0x100000000000; /* 16 TiB: an entry of its own in the root */
    u64 sum = 0;

    bench_begin("pagetables");
    boot_pml4[base >> 39 & 511] = phys(pdpt) | PRESENT | WRITABLE;
    pdpt[0] = phys(pd) | PRESENT | WRITABLE;
    pd[0] = phys(pt) | PRESENT | WRITABLE;
    for (u64 round = 0; round < ROUNDS; round++) {
        for (u64 i = 0; i < PAGES; i++) {
            volatile u64 *p = (volatile u64 *)(uintptr_t)(base + i * PAGE_SIZE);
            pt[i] = phys(frames[(i + round) & 7]) | PRESENT | WRITABLE;
            __asm__ volatile("invlpg (%0)" : : "r"(p) : "memory");
            *p += i;
        }
        if (!(round & 7))
            write_cr3(read_cr3());
    }
    for (u64 i = 0; i < 8; i++)
        sum = sum * 31 + frames[i][0];
    bench_end("pagetables", (u64)PAGES * ROUNDS, "remaps", sum);
}
