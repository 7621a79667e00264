// SPDX-License-Identifier: MIT
/* Four processors use the devices at once, by every kind of instruction that reaches them: IN and OUT, REP INS and OUTS, loads and stores of every
 * width and alignment, locked ones, string moves between devices and memory, with interrupts arriving all the time. */
/* run: --vcpus 4 --cpu max */
#include "host.h"

enum { CPUS = 4, STEPS = 4000, VECTORS = 0x30 };
#define HPET 0xfed00000ull
#define IOAPIC 0xfec00000ull
#define IO_RAM 0xff000000ull /* the test device's 64 KiB; its last page holds what is checked */
#define COUNTER (IO_RAM + 0xf000)
#define OWN(cpu) (IO_RAM + 0xf100 + 0x100 * (u64)(cpu))

struct rng {
    u64 s;
};
static volatile u64 sum[CPUS];
static u8 buffer[CPUS][4096] PAGE_ALIGNED;

static u64 next(struct rng *r)
{
    r->s ^= r->s << 13, r->s ^= r->s >> 7, r->s ^= r->s << 17;
    return r->s;
}

static u64 load(u64 at, unsigned width)
{
    switch (width) {
    case 1: return *(volatile u8 *)(uintptr_t)at;
    case 2: return *(volatile u16 *)(uintptr_t)at;
    case 4: return *(volatile u32 *)(uintptr_t)at;
    default: return *(volatile u64 *)(uintptr_t)at;
    }
}

static void store(u64 at, unsigned width, u64 v)
{
    switch (width) {
    case 1: *(volatile u8 *)(uintptr_t)at = (u8)v; break;
    case 2: *(volatile u16 *)(uintptr_t)at = (u16)v; break;
    case 4: *(volatile u32 *)(uintptr_t)at = (u32)v; break;
    default: *(volatile u64 *)(uintptr_t)at = v; break;
    }
}

static u64 port_in(u16 port, unsigned width)
{
    u32 v = 0;
    if (width == 1)
        __asm__ volatile("inb %w1, %b0" : "+a"(v) : "d"(port));
    else if (width == 2)
        __asm__ volatile("inw %w1, %w0" : "+a"(v) : "d"(port));
    else
        __asm__ volatile("inl %w1, %k0" : "+a"(v) : "d"(port));
    return v;
}

static void port_out(u16 port, unsigned width, u32 v)
{
    if (width == 1)
        __asm__ volatile("outb %b0, %w1" : : "a"(v), "d"(port));
    else if (width == 2)
        __asm__ volatile("outw %w0, %w1" : : "a"(v), "d"(port));
    else
        __asm__ volatile("outl %k0, %w1" : : "a"(v), "d"(port));
}

/* Nothing here ends the run: no reset, no power-off, no A20. */
static u64 ports(struct rng *r)
{
    static const u16 quiet[] = { 0x40, 0x42, 0x43, 0x70, 0x71, 0x80, 0xe0, 0xe1, 0x3fa, 0x2000, 0x2005, 0x2013, 0x510, 0x511 };
    static const u16 any[] = { 0x20, 0x40, 0x60, 0x70, 0x92, 0xa0, 0xe0, 0x3f8, 0x4d0, 0x510, 0x600, 0xcf8, 0x2000, 0x8900, 0xffff };
    u64 v = next(r);
    unsigned width = 1u << (v & 3) % 3;
    if (v & 8)
        return port_in((u16)(any[(v >> 8) % (sizeof(any) / sizeof(any[0]))] + (v >> 16 & 7)), width);
    u16 port = quiet[(v >> 8) % (sizeof(quiet) / sizeof(quiet[0]))];
    port_out(port, port >= 0xe0 && port < 0xe4 ? width : 1, (u32)(v >> 32));
    return 0;
}

static u64 memory(struct rng *r)
{
    static const u64 any[] = { HPET, HPET + 0xf0, HPET + 0x100, IOAPIC, IOAPIC + 0x10, APIC_BASE + 0x20, APIC_BASE + 0x80, APIC_BASE + 0x300,
                               IO_RAM, IO_RAM + 0xff9, 0xe0000000, 0xe0008060, 0xf0000000, 0xb8000 };
    u64 v = next(r), at = any[(v >> 8) % (sizeof(any) / sizeof(any[0]))] + (v >> 16 & 15);
    unsigned width = 1u << (v & 3);
    if (v & 0x10)
        return load(at, width);
    store(v & 0x20 ? IO_RAM + (v >> 20 & 0x7fff) : HPET + 0x100 + (v >> 20 & 0x38), v & 0x20 ? width : 8, v >> 32 & 0x3ffff);
    return 0;
}

/* Interrupts of the timers and of one processor to another: fixed, vectors that have a handler. */
static u64 interrupts(struct rng *r)
{
    u64 v = next(r);
    u32 vector = VECTORS + (v >> 8) % 0xc0;
    volatile u32 *io = (volatile u32 *)(uintptr_t)IOAPIC;
    switch (v & 7) {
    case 0: case 1: apic_send((v >> 16) % CPUS, ICR_FIXED | vector); break;
    case 2: apic_write(APIC_ICR, ICR_FIXED | (u32)(1 + (v >> 16) % 3) << 18 | vector); break;
    case 3: apic_write(APIC_TIMER_DIVIDE, v >> 16 & 0xb); break;
    case 4: apic_write(APIC_LVT_TIMER, vector | (u32)(v >> 16 & 1) << 17); break;
    case 5: apic_write(APIC_TIMER_COUNT, 500 + (u32)(v >> 16 & 0xfff)); break;
    case 6: /* select and window belong together only by chance: another processor selects too */
        io[0] = 0x10 + 2 * (u32)((v >> 16) % 24);
        io[4] = vector | (u32)(v >> 24 & 0x2000); /* edges only: a level that stays would leave no time */
        break;
    default: return apic_read(0x390) + apic_read(0x320);
    }
    return 0;
}

static u64 locked(struct rng *r)
{
    u64 v = next(r), at = IO_RAM + (v >> 20 & 0x7fff), got = v >> 40;
    switch (v & 7) {
    case 0: __asm__ volatile("lock xaddl %k0, %1" : "+r"(got), "+m"(*(u32 *)(uintptr_t)at)); return got;
    case 1: __asm__ volatile("xchgq %0, %1" : "+r"(got), "+m"(*(u64 *)(uintptr_t)at)); return got;
    case 2: __asm__ volatile("lock orb %b0, %1" : "+q"(got), "+m"(*(u8 *)(uintptr_t)at)); return 0;
    case 3: __asm__ volatile("lock btsw %w0, %1" : "+r"(got), "+m"(*(u16 *)(uintptr_t)(at & ~1ull)) : : "cc"); return got;
    case 4: {
        u64 old = load(at & ~7ull, 8);
        __asm__ volatile("lock cmpxchgq %2, %1" : "+a"(old), "+m"(*(u64 *)(uintptr_t)(at & ~7ull)) : "r"(got));
        return old;
    }
    case 5: __asm__ volatile("lock incl %0" : "+m"(*(u32 *)(uintptr_t)(HPET + 0x108)) : : "cc"); return 0;
    default: __asm__ volatile("incq %0; negw %0" : "+m"(*(u64 *)(uintptr_t)at) : : "cc"); return 0;
    }
}

static u64 strings(struct rng *r, unsigned me)
{
    u64 v = next(r), count = v >> 8 & 0x3f;
    void *to = buffer[me] + (v >> 16 & 0x7ff);
    const void *from = (const void *)(uintptr_t)(IO_RAM + (v >> 32 & 0x7fff));
    void *device = (void *)(uintptr_t)(IO_RAM + (v >> 48 & 0x7fff));
    u64 n = count;
    u16 port = v & 8 ? 0x511 : 0xe0;
    switch (v & 7) {
    case 0: __asm__ volatile("rep insb" : "+D"(to), "+c"(n) : "d"(port) : "memory"); break;
    case 1: __asm__ volatile("rep insl" : "+D"(to), "+c"(n) : "d"(0xe0) : "memory"); break;
    case 2: __asm__ volatile("rep outsb" : "+S"(from), "+c"(n) : "d"(0x80) : "memory"); break;
    case 3: __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory"); break;
    case 4: __asm__ volatile("rep movsq" : "+D"(device), "+S"(from), "+c"(n) : : "memory"); break;
    case 5: __asm__ volatile("std; rep movsw; cld" : "+D"(device), "+S"(to), "+c"(n) : : "memory"); break;
    case 6: __asm__ volatile("rep stosl" : "+D"(device), "+c"(n) : "a"((u32)v) : "memory"); break;
    default: __asm__ volatile("repe cmpsb" : "+D"(device), "+S"(to), "+c"(n) : : "memory", "cc"); break;
    }
    return n + buffer[me][v >> 16 & 0x7ff];
}

/* What is this processor's alone keeps its value, what all of them count is complete. */
static u64 checked(unsigned me, unsigned i)
{
    u64 one = 1;
    bool kept = load(OWN(me), 8) == i;
    store(OWN(me), 8, i + 1);
    __asm__ volatile("lock xaddq %0, %1" : "+r"(one), "+m"(*(u64 *)(uintptr_t)COUNTER));
    return kept ? one : 0x8000000000000000ull;
}

static volatile bool lost[CPUS];

static void work(void)
{
    unsigned me = apic_id() & 3;
    struct rng r = { 0x9e3779b97f4a7c15ull * (me + 1) };
    u64 s = 0;
    sti();
    for (unsigned i = 0; i < STEPS; i++) {
        u64 c = checked(me, i), got = 0;
        lost[me] = lost[me] || c >> 63;
        switch (next(&r) % 5) {
        case 0: got = ports(&r); break;
        case 1: got = memory(&r); break;
        case 2: got = interrupts(&r); break;
        case 3: got = locked(&r); break;
        default: got = strings(&r, me); break;
        }
        s = (s ^ got ^ c) * 0x100000001b3ull;
    }
    cli();
    sum[me] = s;
}

void guest_main(void)
{
    u32 taken = 0;
    host_events_init();
    *(volatile u64 *)(uintptr_t)(HPET + 0x10) = 1;
    for (unsigned i = 1; i < CPUS; i++)
        smp_start(i);
    for (unsigned i = 0; i < CPUS; i++)
        store(OWN(i), 8, 0);
    store(COUNTER, 8, 0);
    for (unsigned i = 1; i < CPUS; i++)
        smp_run(i, work);
    work();
    for (unsigned i = 1; i < CPUS; i++)
        smp_wait(i);
    for (unsigned i = 0; i < CPUS; i++) {
        print_field("sum", sum[i]);
        check(!lost[i], "its own word kept its value");
        for (unsigned v = VECTORS; v < 256; v++)
            taken += host_seen[i].count[v];
    }
    print_field("interrupts", taken);
    check(taken > 100, "interrupts arrived");
    check(load(COUNTER, 8) == CPUS * STEPS, "every locked addition counted");
}
