// SPDX-License-Identifier: MIT
/* The clocks of a PC against each other: TSC, HPET, PM timer, PIT, RTC and local APIC timer, as counters and by their interrupts, from a
 * microsecond to ten minutes, on two processors. The interrupts come through the I/O APIC and, once more, through the 8259 and LINT0. */
/* run: --vcpus 2 --cpu max */
#include "host.h"

enum { V_PIT = 0x30, V_RTC, V_HPET, V_HPET1, V_APIC, V_SCI, V_PIC = 0x40 };
enum { PIN_PIT = 2, PIN_RTC = 8, PIN_SCI = 9, PIN_HPET = 20, PIN_HPET1 = 21 };
#define HPET 0xfed00000ull
#define IOAPIC 0xfec00000ull
enum { PM_BASE = 0x600, PM_TIMER = 0x608, PM_HZ = 3579545 };
enum { RTC_A = 10, RTC_B = 11, RTC_C = 12, UIP = 0x80, RTC_24 = 2, PIE = 0x40, AIE = 0x20, UIE = 0x10 };

static u64 rdtsc(void)
{
    u32 lo, hi;
    __asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi));
    return (u64)hi << 32 | lo;
}

static u32 inl(u16 port)
{
    u32 v;
    __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

static void outw(u16 port, u16 v) { __asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port)); }

static volatile u64 *hpet(unsigned reg) { return (volatile u64 *)(uintptr_t)(HPET + reg); }
static u64 hpet_ns(void) { return *hpet(0xf0) * (*hpet(0) >> 32) / 1000000; }

static void ioapic_route(unsigned pin, u32 low)
{
    volatile u32 *io = (volatile u32 *)(uintptr_t)IOAPIC;
    io[0] = 0x11 + 2 * pin;
    io[4] = apic_id() << 24;
    io[0] = 0x10 + 2 * pin;
    io[4] = low;
}

static u8 rtc_read(u8 i)
{
    outb(0x70, i);
    return inb(0x71);
}

static void rtc_write(u8 i, u8 v)
{
    outb(0x70, i);
    outb(0x71, v);
}

static void pit_program(unsigned ch, unsigned mode, u16 count)
{
    outb(0x43, (u8)(ch << 6 | 0x30 | mode << 1));
    outb((u16)(0x40 + ch), (u8)count);
    outb((u16)(0x40 + ch), (u8)(count >> 8));
}

static u16 pit_count(unsigned ch)
{
    outb(0x43, (u8)(ch << 6));
    u16 low = inb((u16)(0x40 + ch));
    return (u16)(low | inb((u16)(0x40 + ch)) << 8);
}

/* ---- waiting ---- */

static u32 seen(u8 vector) { return host_seen[0].count[vector]; }

static void none(void) {}
static void rtc_ack(void) { rtc_read(RTC_C); }

/* Until `n` more interrupts have come; `each` says what the device wants to hear after one. */
static void await(u8 vector, u32 n, void (*each)(void))
{
    for (u32 from = seen(vector), got = 0; got < n;) {
        __asm__ volatile("sti; hlt; cli" : : : "memory");
        for (; got < seen(vector) - from; got++)
            each();
    }
}

/* Sleeps with the second timer of the HPET. */
static void sleep_ns(u64 ns)
{
    *hpet(0x128) = *hpet(0xf0) + ns * 1000000 / (*hpet(0) >> 32);
    *hpet(0x120) = PIN_HPET1 << 9 | 4;
    await(V_HPET1, 1, none);
    *hpet(0x120) = 0;
}

static u64 apart(u64 a, u64 b) { return a > b ? a - b : b - a; }

static void agree(const char *what, u64 got, u64 want, u64 slack)
{
    bool ok = apart(got, want) <= slack;
    check(ok, what);
    if (!ok) {
        print("  ");
        print_dec(got), print(" ns, expected "), print_dec(want), print(", within "), print_dec(slack), print("\n");
    }
}

/* ---- the counters ---- */

struct sample {
    u64 tsc, hpet_ns;
    u32 pm, apic;
    u16 pit;
};

static void take(struct sample *s)
{
    s->pit = pit_count(2);
    s->pm = inl(PM_TIMER);
    s->apic = apic_read(0x390);
    s->hpet_ns = hpet_ns();
    s->tsc = rdtsc();
}

static u64 tsc_hz, apic_hz;
static u64 tsc_ns(u64 ticks) { return ticks / tsc_hz * 1000000000 + ticks % tsc_hz * 1000000000 / tsc_hz; }

/* Reading them takes time, the same each time. */
enum { SLACK = 3000 };

static void counters(void)
{
    struct sample a, b;

    outb(0x61, (u8)((inb(0x61) & ~2) | 1));
    pit_program(2, 2, 0);
    apic_write(APIC_TIMER_DIVIDE, 0xb);
    apic_write(APIC_LVT_TIMER, 0x10000);
    apic_write(APIC_TIMER_COUNT, 0xffffffff);
    take(&a);
    sleep_ns(1000000000);
    take(&b);
    u64 second = b.hpet_ns - a.hpet_ns;
    tsc_hz = (b.tsc - a.tsc) * 1000000000 / second; /* no overflow below 18 GHz */
    apic_hz = (u64)(a.apic - b.apic) * 1000000000 / second;
    agree("PM timer, a second", (u64)(b.pm - a.pm) * 1000000000 / PM_HZ, second, SLACK);

    static const u32 spans[] = { 5000, 100000, 1000000, 20000000, 50000000 };
    for (unsigned i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
        if (!(i % 3))
            apic_write(APIC_TIMER_COUNT, 0xffffffff);
        take(&a);
        sleep_ns(spans[i]);
        take(&b);
        u64 ns = b.hpet_ns - a.hpet_ns;
        print("window of "), print_dec(spans[i]), print(" ns\n");
        check(ns >= spans[i] && ns < spans[i] + 40000, "HPET timer woke in time");
        agree("TSC", tsc_ns(b.tsc - a.tsc), ns, SLACK);
        agree("PM timer", (u64)(b.pm - a.pm) * 1000000000 / PM_HZ, ns, SLACK);
        agree("local APIC timer", (u64)(a.apic - b.apic) * 1000000000 / apic_hz, ns, SLACK);
        agree("PIT", (u64)(u16)(a.pit - b.pit) * 88000 / 105, ns, SLACK);
    }
}

/* ---- the interrupts ---- */

/* `n` periods of something that interrupts, by HPET and TSC. */
static void rate(const char *what, u8 vector, u32 n, u64 period_ns_times_n, void (*each)(void))
{
    await(vector, 1, each);
    u64 from = hpet_ns(), tsc = rdtsc();
    await(vector, n, each);
    u64 ns = hpet_ns() - from;
    tsc = rdtsc() - tsc;
    agree(what, ns, period_ns_times_n, SLACK);
    agree("  and by the TSC", tsc_ns(tsc), period_ns_times_n, SLACK);
}

static void pit_rates(void)
{
    pit_program(0, 2, 11932);
    ioapic_route(PIN_PIT, V_PIT);
    rate("PIT mode 2, ten interrupts of 11932 counts", V_PIT, 10, 11932ull * 10 * 88000 / 105, none);
    pit_program(0, 3, 1193);
    rate("PIT mode 3, a hundred of 1193", V_PIT, 100, 1193ull * 100 * 88000 / 105, none);
    ioapic_route(PIN_PIT, 0x10000);
    /* the same line through the 8259s, which end their interrupts themselves */
    static const u8 words[] = { 0x11, V_PIC, 4, 3 };
    outb(0x20, words[0]);
    for (unsigned i = 1; i < 4; i++)
        outb(0x21, words[i]);
    outb(0x21, 0xfe);
    apic_write(0x350, 0x700);
    pit_program(0, 2, 11932);
    rate("PIT through the 8259 and LINT0", V_PIC, 10, 11932ull * 10 * 88000 / 105, none);
    outb(0x21, 0xff);
    apic_write(0x350, 0x10000);
    u64 from = hpet_ns();
    ioapic_route(PIN_PIT, V_PIT);
    pit_program(0, 0, 59659);
    u32 before = seen(V_PIT);
    await(V_PIT, 1, none);
    agree("PIT mode 0, 59659 counts once", hpet_ns() - from, 59660ull * 88000 / 105, SLACK + 20000);
    sleep_ns(200000000);
    check(seen(V_PIT) == before + 1, "and never again");
    ioapic_route(PIN_PIT, 0x10000);
}

static void rtc_rates(void)
{
    ioapic_route(PIN_RTC, V_RTC);
    rtc_read(RTC_C);
    rtc_write(RTC_B, RTC_24 | PIE);
    rtc_write(RTC_A, 0x26);
    rate("RTC, 256 interrupts at 1024 Hz", V_RTC, 256, 250000000, rtc_ack);
    rtc_write(RTC_A, 0x2f);
    rate("RTC, 3 at 2 Hz", V_RTC, 3, 1500000000, rtc_ack);
    rtc_write(RTC_A, 0x26);
    rtc_write(RTC_B, RTC_24 | UIE);
    rtc_read(RTC_C);
    rate("RTC, 3 updates", V_RTC, 3, 3000000000, rtc_ack);
    /* right after an update: time moves and is in progress at its end only */
    await(V_RTC, 1, rtc_ack);
    u64 update = hpet_ns();
    rtc_write(RTC_B, RTC_24);
    u8 before = rtc_read(0);
    check(!(rtc_read(RTC_A) & UIP), "no update in progress after one");
    sleep_ns(990000000);
    check(!(rtc_read(RTC_A) & UIP) && rtc_read(0) == before, "nor 10 ms before the next");
    while (!(rtc_read(RTC_A) & UIP))
        continue;
    u64 begun = hpet_ns();
    while (rtc_read(RTC_A) & UIP)
        continue;
    u64 ended = hpet_ns();
    agree("update in progress, from", begun - update, 1000000000 - 2228000, SLACK);
    agree("to", ended - update, 1000000000, SLACK);
    check(rtc_read(0) != before, "and the second has changed");
    rtc_read(RTC_C);
    static const u8 alarm[] = { 5, 3, 1 };
    for (unsigned i = 0; i < 3; i++)
        rtc_write(alarm[i], 0xff);
    rtc_write(RTC_B, RTC_24 | AIE);
    rate("RTC, an alarm each second", V_RTC, 2, 2000000000, rtc_ack);
    rtc_write(RTC_B, RTC_24);
    ioapic_route(PIN_RTC, 0x10000);
}

static void hpet_rates(void)
{
    u64 counts = 1000000ull * 1000000 / (*hpet(0) >> 32);

    ioapic_route(PIN_HPET, V_HPET);
    *hpet(0x100) = PIN_HPET << 9 | 1 << 6 | 8 | 4;
    *hpet(0x108) = *hpet(0xf0) + counts;
    *hpet(0x108) = counts;
    rate("HPET periodic, a hundred of a millisecond", V_HPET, 100, 100000000, none);
    *hpet(0x100) = 0;
    *hpet(0x10) = 3; /* legacy replacement: lines 0 and 8 are timers 0 and 1, PIT and RTC are cut off */
    ioapic_route(PIN_PIT, V_PIT);
    pit_program(0, 2, 1000);
    *hpet(0x100) = 1 << 6 | 8 | 4;
    *hpet(0x108) = *hpet(0xf0) + 2 * counts;
    *hpet(0x108) = 2 * counts;
    rate("HPET in the PIT's place, twenty of two milliseconds", V_PIT, 20, 40000000, none);
    *hpet(0x100) = 0;
    ioapic_route(PIN_PIT, 0x10000);
    *hpet(0x10) = 1;
}

static void apic_rates(void)
{
    u32 r[4];

    static const u32 divisors[][2] = { { 1, 0xb }, { 2, 0 }, { 16, 3 }, { 32, 8 }, { 128, 0xa } }; /* and their codes */
    for (unsigned i = 0; i < sizeof(divisors) / sizeof(divisors[0]); i++) {
        u32 divide = divisors[i][0], count = (u32)(apic_hz / divide / 1000);
        apic_write(APIC_TIMER_DIVIDE, divisors[i][1]);
        apic_write(APIC_LVT_TIMER, 1 << 17 | V_APIC);
        apic_write(APIC_TIMER_COUNT, count);
        print("divided by "), print_dec(divide), print("\n");
        rate("local APIC periodic, fifty of a millisecond", V_APIC, 50, (u64)count * divide * 50 * 1000000000 / apic_hz, none);
    }
    apic_write(APIC_LVT_TIMER, V_APIC);
    u64 from = hpet_ns();
    apic_write(APIC_TIMER_DIVIDE, 0xb);
    apic_write(APIC_TIMER_COUNT, (u32)(apic_hz / 100));
    u32 before = seen(V_APIC);
    await(V_APIC, 1, none);
    agree("local APIC one-shot", hpet_ns() - from, 10000000, SLACK);
    check(!apic_read(0x390), "its count stays at zero");
    sleep_ns(50000000);
    check(seen(V_APIC) == before + 1, "and there was one interrupt");
    cpuid(1, 0, r);
    if (!(r[2] >> 24 & 1)) {
        print("no TSC deadline on this processor\n");
        return;
    }
    apic_write(APIC_LVT_TIMER, 2 << 17 | V_APIC);
    from = hpet_ns();
    u64 due = rdtsc() + tsc_hz / 50;
    wrmsr(0x6e0, due);
    check(rdmsr(0x6e0) == due, "the TSC deadline reads back");
    await(V_APIC, 1, none);
    agree("TSC deadline in 20 ms", hpet_ns() - from, 20000000, SLACK);
    check(rdmsr(0x6e0) == 0, "and is gone");
    check(rdtsc() >= due, "not before the TSC was there");
    from = hpet_ns();
    wrmsr(0x6e0, 1); /* in the past: at once */
    await(V_APIC, 1, none);
    agree("a deadline in the past", hpet_ns() - from, 0, SLACK);
    wrmsr(0x6e0, ~0ull);
    wrmsr(0x6e0, 0);
    before = seen(V_APIC);
    sleep_ns(10000000);
    check(seen(V_APIC) == before, "a deadline that is taken back");
    wrmsr(0x6e0, rdtsc() + tsc_hz); /* it is a value of the TSC, not a time: a TSC that is set beyond it is there */
    from = hpet_ns();
    wrmsr(0x10, rdtsc() + 2 * tsc_hz);
    await(V_APIC, 1, none);
    agree("a TSC set beyond its deadline", hpet_ns() - from, 0, SLACK);
    wrmsr(0x10, rdtsc() - 2 * tsc_hz);
    apic_write(APIC_LVT_TIMER, 0x10000);
}

/* The PM timer's own interrupt comes whenever bit 31 changes: every ten minutes. Between two of them all else counts on. */
static void ten_minutes(void)
{
    ioapic_route(PIN_SCI, V_SCI);
    outw(PM_BASE, 0xffff);
    outw(PM_BASE + 2, 1);
    await(V_SCI, 1, none);
    outw(PM_BASE, 1);
    u64 from = hpet_ns(), tsc = rdtsc();
    check(inl(PM_TIMER) << 1 < 1000, "bit 31 has just changed");
    await(V_SCI, 1, none);
    u64 want = (1ull << 31) * 1000000000 / PM_HZ, ns = hpet_ns() - from;
    tsc = rdtsc() - tsc;
    agree("PM timer, half a turn", ns, want, SLACK);
    agree("  and by the TSC", tsc_ns(tsc), want, want / 1000000 + SLACK); /* tsc_hz was measured to a part in a million */
    outw(PM_BASE + 2, 0);
    outw(PM_BASE, 0xffff);
    ioapic_route(PIN_SCI, 0x10000);
}

/* ---- another processor ---- */

static volatile u64 other_tsc, other_ns;
static void look(void)
{
    other_ns = hpet_ns();
    other_tsc = rdtsc();
}

static void two_processors(void)
{
    bool forward = true;
    u64 ns = 0, tsc = 0;

    smp_start(1);
    for (unsigned i = 0; i < 50; i++) {
        smp_run(1, look);
        smp_wait(1);
        forward = forward && other_ns >= ns && other_tsc > tsc;
        ns = hpet_ns();
        tsc = rdtsc();
        forward = forward && ns >= other_ns && tsc > other_tsc;
    }
    check(forward, "no clock goes back from one processor to the other");
    agree("TSC of the other by the HPET", tsc_ns(tsc - other_tsc), ns - other_ns, 5000);
}

/* The local APIC's timer by its MSRs; interrupts stay off and are looked for in the IRR. The last test: there is no way back. */
static void x2apic(void)
{
    u32 r[4];
    enum { IRR1 = 0x821, LVT = 0x832, INITIAL = 0x838, CURRENT = 0x839, DIVIDE = 0x83e };

    cpuid(1, 0, r);
    if (!(r[2] >> 21 & 1)) {
        print("no x2APIC on this processor\n");
        return;
    }
    apic_write(APIC_LVT_TIMER, 0x10000);
    wrmsr(0x1b, rdmsr(0x1b) | 0xc00);
    wrmsr(DIVIDE, 0xb);
    wrmsr(LVT, 0x10000);
    for (u64 wait = 1000; wait <= 100000; wait *= 100) {
        u64 from = hpet_ns();
        wrmsr(INITIAL, 0xffffffff);
        while (hpet_ns() - from < wait)
            continue;
        u64 count = rdmsr(CURRENT), ns = hpet_ns() - from;
        agree("x2APIC count", (0xffffffff - count) * 1000000000 / apic_hz, ns, SLACK);
    }
    u64 tsc = rdtsc(), first = rdmsr(CURRENT); /* with nothing between the two reads that asks for the time */
    for (unsigned i = 0; i < 10000; i++)
        __asm__ volatile("");
    first -= rdmsr(CURRENT);
    agree("x2APIC count over a loop", first * 1000000000 / apic_hz, tsc_ns(rdtsc() - tsc), 1000);
    wrmsr(LVT, V_APIC);
    u64 from = hpet_ns();
    wrmsr(INITIAL, apic_hz / 1000);
    while (!(rdmsr(IRR1) >> (V_APIC - 32) & 1))
        continue;
    agree("x2APIC one-shot", hpet_ns() - from, 1000000, SLACK);
}

void guest_main(void)
{
    host_events_init();
    outb(0x43, 0x30); /* the BIOS's timer interrupt stops */
    *hpet(0x10) = 0;
    *hpet(0x10) = 1;
    ioapic_route(PIN_HPET1, V_HPET1);
    counters();
    pit_rates();
    rtc_rates();
    hpet_rates();
    apic_rates();
    ten_minutes();
    two_processors(); /* from here on a HLT no longer leaps: the other one waits in a loop */
    x2apic();
}
