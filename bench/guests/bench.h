// SPDX-License-Identifier: MIT
/* Benchmark guests print "BEGIN name", do a known amount of work, and print "END name work unit checksum". The runner
 * times the process and subtracts that of `null`, the same program without work. */
#ifndef BENCH_H
#define BENCH_H

#include "svm.h"

static inline void bench_begin(const char *name)
{
    print("BEGIN ");
    print(name);
    print("\n");
}

static inline void bench_end(const char *name, u64 work, const char *unit, u64 checksum)
{
    print("END ");
    print(name);
    print(" ");
    print_dec(work);
    print(" ");
    print(unit);
    print(" ");
    print_hex(checksum);
    print("\n");
}

/* An IDT with one interrupt gate, loaded. */
struct gate {
    u16 offset_low, selector;
    u8 ist, type;
    u16 offset_mid;
    u32 offset_high, reserved;
} __attribute__((packed));

static inline void idt_load(struct gate idt[256], unsigned vector, void (*handler)(void))
{
    u64 a = (uintptr_t)handler;
    struct {
        u16 limit;
        u64 base;
    } __attribute__((packed)) idtr = { 256 * sizeof(idt[0]) - 1, phys(idt) };
    idt[vector] = (struct gate){ (u16)a, 0x08, 0, 0x8e, (u16)(a >> 16), (u32)(a >> 32), 0 };
    __asm__ volatile("lidt %0" : : "m"(idtr), "m"(*idt));
}

/* A plain generator for reproducible data. */
static inline u64 next_random(u64 *state)
{
    u64 x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

#endif
