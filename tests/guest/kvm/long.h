// SPDX-License-Identifier: MIT
/* The VM's guest in long mode: what its two C files share. */
#ifndef TESTS_GUEST_KVM_LONG_H
#define TESTS_GUEST_KVM_LONG_H

#include "guest.h"

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

/* The stack frame of an interrupt; the compiler makes the rest of the handler. [APM2 8.9.3] */
struct frame {
    u64 rip, cs, rflags, rsp, ss;
};
#define HANDLER __attribute__((interrupt)) static void

static inline void out32(u16 port, u32 value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "d"(port) : "memory");
}

static inline u32 in32(u16 port)
{
    u32 value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "d"(port) : "memory");
    return value;
}

static inline void check(int ok, const char *what)
{
    out32((u16)(PORT_CHECK + !!ok), (u32)(u64)what);
}

static inline u32 request(u32 number)
{
    out32(PORT_REQUEST, number);
    return in32(PORT_RESULT);
}

static inline void write_msr(u32 msr, u64 value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

static inline void invalidate(const volatile void *address)
{
    __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

static inline void enable_interrupts(void)
{
    __asm__ volatile("sti; nop" ::: "memory");
}

static inline void disable_interrupts(void)
{
    __asm__ volatile("cli" ::: "memory");
}

static inline void halt(void) /* as one: nothing comes between STI and HLT */
{
    __asm__ volatile("sti; hlt; cli" ::: "memory");
}

/* A page of the linear addresses from 7000_0000_0000h; ENTRY is its page-table entry. */
#define WINDOW 0x700000000000ul
extern volatile u64 window_table[512];
static inline volatile u32 *window(u32 page, u64 entry)
{
    volatile u32 *at = (volatile u32 *)(WINDOW + (u64)page * 4096);
    window_table[page] = entry;
    invalidate(at);
    return at;
}

/* Installs HANDLER in the interrupt table; both vCPUs use the one table. */
void set_gate(u32 vector, void *handler, u32 ring);
void test_modes(void);      /* long.c */
void test_chips(u32 index); /* chips.c */
#endif
