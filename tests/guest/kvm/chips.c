// SPDX-License-Identifier: MIT
/* The VM's guest with KVM's interrupt controllers: local and I/O APIC, and with two vCPUs start-up, IPIs, locks and a TLB
 * shoot-down. The first vCPU makes the checks; the second does what it is asked. */
#include "long.h"

enum {
    APIC = 0xfee00000, APIC_ID = 0x20, APIC_EOI = 0xb0, APIC_SVR = 0xf0, APIC_IRR = 0x200, APIC_ICR = 0x300, APIC_ICR_HIGH = 0x310,
    APIC_LVT_TIMER = 0x320, APIC_TIMER_COUNT = 0x380, APIC_TIMER_NOW = 0x390, APIC_TIMER_DIVIDE = 0x3e0,
    IOAPIC = 0xfec00000,
    VECTOR_EDGE = 0x50, VECTOR_LEVEL = 0x51, VECTOR_TIMER = 0x52, VECTOR_PING = 0x60, VECTOR_PONG = 0x61, VECTOR_SHOOT = 0x62,
    ROUNDS = 50, ADDS = 1000,
};

static volatile u32 edges, levels, timers, nmis, pings, pongs, shots, second_up, adding, added, locked, seen_by_second;
static volatile u32 shared, guarded;

static u32 apic_read(u32 reg)
{
    return *(volatile u32 *)(u64)(APIC + reg);
}

static void apic_write(u32 reg, u32 value)
{
    *(volatile u32 *)(u64)(APIC + reg) = value;
}

static void route(u32 pin, u32 low)
{
    volatile u32 *select = (volatile u32 *)IOAPIC, *data = (volatile u32 *)(IOAPIC + 0x10ul);

    *select = 0x11 + pin * 2;
    *data = 0;
    *select = 0x10 + pin * 2;
    *data = low;
}

static u32 routed(u32 pin)
{
    *(volatile u32 *)IOAPIC = 0x10 + pin * 2;
    return *(volatile u32 *)(IOAPIC + 0x10ul);
}

static void send(u32 to, u32 command)
{
    apic_write(APIC_ICR_HIGH, to << 24);
    apic_write(APIC_ICR, command);
}

/* Waits without HLT, for a bounded time. */
static int wait_for(const volatile u32 *what, u32 value)
{
    for (u32 i = 0; i < 20000000; i++) {
        if (*what == value)
            return 1;
        __asm__ volatile("pause");
    }
    return 0;
}

HANDLER on_edge(struct frame *f)
{
    (void)f;
    edges++;
    apic_write(APIC_EOI, 0);
}

HANDLER on_level(struct frame *f)
{
    (void)f;
    levels++;
    out32(PORT_REQUEST, REQ_LOWER); /* the device drops its line when it is served */
    apic_write(APIC_EOI, 0);
}

HANDLER on_timer(struct frame *f)
{
    (void)f;
    timers++;
    apic_write(APIC_EOI, 0);
}

HANDLER on_nmi(struct frame *f)
{
    (void)f;
    nmis++;
}

HANDLER on_ping(struct frame *f)
{
    (void)f;
    pings++;
    apic_write(APIC_EOI, 0);
    send(0, VECTOR_PONG);
}

HANDLER on_pong(struct frame *f)
{
    (void)f;
    pongs++;
    apic_write(APIC_EOI, 0);
}

HANDLER on_shoot(struct frame *f)
{
    (void)f;
    invalidate((void *)WINDOW);
    apic_write(APIC_EOI, 0);
    shots++;
}

static void test_apic(void)
{
    u32 before;

    __asm__ volatile("outb %b0, $0x21; outb %b0, $0xa1" : : "a"(0xff)); /* the 8259s see the same lines: mask them */
    check(apic_read(APIC_ID) >> 24 == 0, "APIC: the first vCPU's ID is 0");
    route(4, VECTOR_EDGE);
    request(REQ_PULSE);
    check(edges == 0, "I/O APIC: an edge waits for IF");
    enable_interrupts();
    check(edges == 1, "I/O APIC: and is taken after STI");
    route(5, VECTOR_LEVEL | 1 << 15);
    request(REQ_RAISE);
    check(levels == 1, "I/O APIC: a level is taken once if the handler drops the line");
    check((routed(5) & 1 << 14) == 0, "I/O APIC: remote IRR is clear after the EOI");
    __asm__ volatile("mov %0, %%cr8" : : "r"(6ul));
    request(REQ_PULSE);
    check(edges == 1 && (apic_read(APIC_IRR + 0x20) >> (VECTOR_EDGE & 31) & 1) == 1, "CR8: holds back a lower priority");
    __asm__ volatile("mov %0, %%cr8" : : "r"(0ul));
    check(edges == 2, "CR8: and lets it come");

    apic_write(APIC_TIMER_DIVIDE, 0xb);
    apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
    disable_interrupts();
    apic_write(APIC_TIMER_COUNT, 2000000);
    before = apic_read(APIC_TIMER_NOW);
    halt();
    check(before > 0, "APIC timer: one shot begins");
    check(timers == 1, "APIC timer: and its interrupt ends HLT");
    check(apic_read(APIC_TIMER_NOW) == 0, "APIC timer: and it stays at 0");
    apic_write(APIC_LVT_TIMER, VECTOR_TIMER | 1 << 17);
    apic_write(APIC_TIMER_COUNT, 2000000);
    while (timers < 6)
        halt();
    apic_write(APIC_TIMER_COUNT, 0);
    check(timers == 6, "APIC timer: periodic");
    enable_interrupts();
    send(0, VECTOR_PONG | 1 << 18); /* to itself */
    check(wait_for(&pongs, 1), "APIC: an IPI to itself");
    pongs = 0;
}

static void add_together(void)
{
    adding++;
    for (u32 i = 0; i < ADDS; i++) {
        __asm__ volatile("lock incl %0" : "+m"(shared));
        while (__atomic_exchange_n(&locked, 1, __ATOMIC_ACQUIRE))
            __asm__ volatile("pause");
        guarded = guarded + 1;
        __atomic_store_n(&locked, 0, __ATOMIC_RELEASE);
    }
    __asm__ volatile("lock incl %0" : "+m"(added));
}

static void test_two(void)
{
    volatile u32 *page = window(0, 0x120003);

    *(volatile u32 *)0x120000 = 0x1111;
    *(volatile u32 *)0x121000 = 0x2222;
    send(1, 0x4500);                    /* INIT */
    send(1, 0x4600 | IMAGE_BASE >> 12); /* start-up */
    send(1, 0x4600 | IMAGE_BASE >> 12);
    check(wait_for(&second_up, 1), "two vCPUs: INIT and start-up IPI bring up the second");
    add_together();
    check(wait_for(&added, 2) && shared == 2 * ADDS, "two vCPUs: LOCK INC of both");
    check(guarded == 2 * ADDS, "two vCPUs: a spin lock");
    for (u32 i = 0; i < ROUNDS; i++) {
        send(1, VECTOR_PING);
        if (!wait_for(&pongs, i + 1))
            break;
    }
    check(pings == ROUNDS && pongs == ROUNDS, "two vCPUs: 50 IPIs wake the second from HLT, each with its answer");
    check(seen_by_second == 0x1111, "two vCPUs: the second saw the page");
    window(0, 0x121003);
    send(1, VECTOR_SHOOT);
    check(wait_for(&shots, 1) && *page == 0x2222, "two vCPUs: TLB shoot-down");
    send(1, VECTOR_PING);
    check(wait_for(&seen_by_second, 0x2222), "two vCPUs: and the second sees the other page");
    send(1, 0x4400); /* NMI */
    check(wait_for(&nmis, 1), "two vCPUs: NMI to the second");
}

static void serve(void)
{
    second_up = 1;
    add_together();
    for (;;) {
        seen_by_second = *(volatile u32 *)WINDOW;
        halt();
    }
}

void test_chips(u32 index)
{
    apic_write(APIC_SVR, 0x1ff);
    if (index) {
        serve();
        return;
    }
    set_gate(2, on_nmi, 0);
    set_gate(VECTOR_EDGE, on_edge, 0);
    set_gate(VECTOR_LEVEL, on_level, 0);
    set_gate(VECTOR_TIMER, on_timer, 0);
    set_gate(VECTOR_PING, on_ping, 0);
    set_gate(VECTOR_PONG, on_pong, 0);
    set_gate(VECTOR_SHOOT, on_shoot, 0);
    test_apic();
    if (*(volatile u32 *)VCPUS_ADDR > 1)
        test_two();
    request(REQ_DONE);
}
