// SPDX-License-Identifier: MIT
/* Stands still three calls deep without a frame pointer: only unwind data tells the way back. On the command line, "apic": the stack pointer
 * points at a device; "forged": at a stack on which one function has called itself without end. */
#include "cmdline.h"
#include "guest.h"

static volatile u64 sink;
static u64 forged[512];

__attribute__((noinline)) static void deepest(u64 stack)
{
    __asm__ volatile("xor %%ebp, %%ebp; test %0, %0; jz 1f; mov %0, %%rsp; 1: jmp 1b" : : "r"(stack) : "rbp", "memory");
}

__attribute__((noinline)) static u64 deeper(u64 stack, u64 n)
{
    volatile u64 room[5] = { n };
    deepest(stack);
    return room[sink];
}

__attribute__((noinline)) static u64 deep(u64 stack)
{
    volatile u64 room[100];
    room[sink] = deeper(stack, sink + 1);
    return room[sink] + 1;
}

void guest_main(void)
{
    for (unsigned i = 0; i < sizeof(forged) / sizeof(forged[0]); i++)
        forged[i] = (uintptr_t)deeper + 16;
    sink = deep(cmdline_is("apic") ? 0xFEE00000 : cmdline_is("forged") ? (uintptr_t)forged : 0) + 1;
}
