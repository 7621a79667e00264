// SPDX-License-Identifier: MIT
/* World switches a second. Parameters: BENCH_NAME, SWITCHES, and NESTED (nested paging), CPUID_EXITS (else VMMCALL), TOUCH
 * (pages touched on each side between switches), GUESTS (VMCBs with different ASIDs, run in turn). */
#include "bench.h"

enum { PRESENT = 1, WRITABLE = 2, USER = 4, LARGE = 0x80 };
static struct vmcb vmcb[GUESTS] PAGE_ALIGNED;
static u8 guest_stack[GUESTS][4096] PAGE_ALIGNED;
static u64 npml4[512] PAGE_ALIGNED, npdpt[512] PAGE_ALIGNED, npd[4][512] PAGE_ALIGNED;
static volatile u64 host_pages[64][512] PAGE_ALIGNED, guest_pages[64][512] PAGE_ALIGNED;

static inline void touch(volatile u64 (*pages)[512])
{
    for (u32 i = 0; i != TOUCH; i++)
        pages[i][i] += 1;
}

static void guest(void)
{
    for (u64 n = 0;; n++) {
        touch(guest_pages);
        u64 rax = n, rcx = 0;
        if (CPUID_EXITS)
            __asm__ volatile("cpuid" : "+a"(rax), "+c"(rcx) : : "rbx", "rdx", "memory");
        else
            __asm__ volatile("vmmcall" : "+a"(rax) : : "memory");
    }
}

static void build_nested_tables(void)
{
    npml4[0] = phys(npdpt) | PRESENT | WRITABLE | USER;
    for (u64 g = 0; g < 4; g++) {
        npdpt[g] = phys(npd[g]) | PRESENT | WRITABLE | USER;
        for (u64 i = 0; i < 512; i++)
            npd[g][i] = g << 30 | i << 21 | PRESENT | WRITABLE | USER | LARGE;
    }
}

void guest_main(void)
{
    struct guest_regs regs[GUESTS] = { 0 };
    u64 sum = 0;

    bench_begin(BENCH_NAME);
    svm_enable();
    build_nested_tables();
    for (u32 g = 0; g < GUESTS; g++) {
        vmcb_init(&vmcb[g]);
        vmcb[g].guest_asid = 1 + g;
        vmcb[g].intercept_misc1 |= INTERCEPT_CPUID;
        vmcb[g].nested_ctl = NESTED;
        vmcb[g].nested_cr3 = phys(npml4);
        vmcb[g].rip = (uintptr_t)guest;
        vmcb[g].rsp = (uintptr_t)guest_stack[g] + sizeof(guest_stack[g]) - 8;
    }
    for (u32 i = 0; i < SWITCHES; i++) {
        u32 g = GUESTS == 1 ? 0 : i % GUESTS;
        svm_run(&vmcb[g], &regs[g]);
        sum += vmcb[g].rax + vmcb[g].exit_code;
        vmcb[g].rip += CPUID_EXITS ? 2 : 3;
        touch(host_pages);
    }
    for (u32 i = 0; i < 64; i++)
        sum += host_pages[i][i] * 3 + guest_pages[i][i] * 5;
    bench_end(BENCH_NAME, SWITCHES, "switches", sum);
}
