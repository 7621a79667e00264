// SPDX-License-Identifier: MIT
/* The small runtime that all example, test and benchmark guests share: serial output, exit, CPU access. */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

/* The value written to the test device at port F4h; the emulator ends with (value << 1) | 1. */
enum guest_result { GUEST_PASS = 0x10 /* status 33 */, GUEST_FAIL = 0x11 /* status 35 */ };

enum {
    MSR_EFER = 0xc0000080, MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SFMASK,
    MSR_VM_CR = 0xc0010114, MSR_VM_HSAVE_PA = 0xc0010117,
    EFER_SCE = 1 << 0, EFER_SVME = 1 << 12,
    PAGE_SIZE = 4096,
};

#define PAGE_ALIGNED __attribute__((aligned(4096)))

static inline void outb(u16 port, u8 value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outl(u16 port, u32 value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline u8 inb(u16 port)
{
    u8 value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline u64 rdmsr(u32 msr)
{
    u32 lo, hi;
    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return (u64)hi << 32 | lo;
}

static inline void wrmsr(u32 msr, u64 value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

static inline void cpuid(u32 leaf, u32 subleaf, u32 out[4])
{
    __asm__ volatile("cpuid" : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3]) : "a"(leaf), "c"(subleaf));
}

static inline uintptr_t read_cr0(void)
{
    uintptr_t v;
    __asm__ volatile("mov %%cr0, %0" : "=r"(v));
    return v;
}

static inline uintptr_t read_cr3(void)
{
    uintptr_t v;
    __asm__ volatile("mov %%cr3, %0" : "=r"(v));
    return v;
}

static inline uintptr_t read_cr4(void)
{
    uintptr_t v;
    __asm__ volatile("mov %%cr4, %0" : "=r"(v));
    return v;
}

static inline void write_cr3(uintptr_t v)
{
    __asm__ volatile("mov %0, %%cr3" : : "r"(v) : "memory");
}

/* A guest physical address: all guests here map memory one to one. */
static inline u64 phys(const volatile void *p)
{
    return (uintptr_t)p;
}

/* Output on COM1. Numbers: print_hex without leading zeros, print_dec unsigned. */
void print(const char *text);
void print_hex(u64 value);
void print_dec(u64 value);
/* "what: value" in hexadecimal, one line. */
void print_field(const char *what, u64 value);

/* Ends the run through the test device. */
_Noreturn void guest_exit(enum guest_result result);
/* Prints "ok" or "FAILED" with the text; a failed check makes guest_main's caller end with GUEST_FAIL. */
void check(bool ok, const char *what);

void *memset(void *dest, int byte, size_t count);
void *memcpy(void *dest, const void *src, size_t count);

/* What each guest supplies; returns when done. */
void guest_main(void);
/* Called by the boot code. */
_Noreturn void guest_start(void);

#endif
