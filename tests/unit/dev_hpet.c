// SPDX-License-Identifier: MIT
/* HPET by its specification 1.0a, and all clocks of the machine compared with each other. */
#include "dev/hpet.h"

#include "base/bits.h"
#include "dev/pit.h"
#include "dev/pmtimer.h"
#include "dev/rtc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <string.h>

#define CORE_HZ 1000000000ull
#define TICKS_40NS (40 * TICKS_PER_CYCLE) /* one count */

struct fixture {
    struct bus *bus;
    struct phys_view view;
    struct clock clock;
    struct hpet hpet;
    unsigned rises[32], legacy_rises[16];
    bool level[32], legacy;
};

static void on_pin(void *ctx, unsigned n, bool level)
{
    struct fixture *f = ctx;
    f->rises[n] += level && !f->level[n];
    f->level[n] = level;
}
static void on_legacy(void *ctx, unsigned n, bool level) { ((struct fixture *)ctx)->legacy_rises[n] += level; }
static void on_mode(void *ctx, bool on) { ((struct fixture *)ctx)->legacy = on; }

static void setup(struct fixture *f)
{
    const struct hpet_out out = { f, on_pin, on_legacy, on_mode };
    memset(f, 0, sizeof(*f));
    f->bus = bus_create(40);
    f->view = (struct phys_view){ .bus = f->bus, .cpu = -1, .apic_page = ~0ull, .a20_mask = ~0ull };
    clock_init(&f->clock, CORE_HZ, CORE_HZ);
    assert_true(hpet_init(&f->hpet, f->bus, &f->clock, &out));
}

static u64 rd(struct fixture *f, unsigned reg, unsigned width) { return phys_read_le(&f->view, (struct spa){ HPET_SPA + reg }, width); }
static void wr(struct fixture *f, unsigned reg, unsigned width, u64 v) { phys_write_le(&f->view, (struct spa){ HPET_SPA + reg }, width, v); }

/* Moves time by counts, event by event as the machine does. */
static void pass(struct fixture *f, u64 counts)
{
    u64 end = f->clock.now + counts * TICKS_40NS;
    while (clock_next(&f->clock) <= end) {
        f->clock.now = clock_next(&f->clock);
        clock_run_due(&f->clock);
    }
    f->clock.now = end;
}

static void registers(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    assert_int_equal(rd(&f, 4, 4), 40000000); /* femtoseconds */
    assert_int_equal(rd(&f, 0, 4), 0x8086A201);
    assert_int_equal(rd(&f, 0x100, 8), 0x00F0000000000030ull);
    assert_int_equal(rd(&f, 0x160, 8), 0); /* no fourth timer */
    wr(&f, 0xF0, 8, 0x123456789ull);
    pass(&f, 10);
    assert_int_equal(rd(&f, 0xF0, 8), 0x123456789ull);
    wr(&f, 0x10, 4, 1);
    pass(&f, 10);
    assert_int_equal(rd(&f, 0xF0, 8), 0x123456793ull);
    assert_int_equal(rd(&f, 0xF4, 4), 1);
    wr(&f, 0xF0, 8, 0); /* running: ignored */
    assert_int_equal(rd(&f, 0xF0, 8), 0x123456793ull);
    wr(&f, 0x10, 4, 0);
    pass(&f, 1000);
    assert_int_equal(rd(&f, 0xF0, 8), 0x123456793ull);
    wr(&f, 0x10, 4, 1);
    pass(&f, 1);
    assert_int_equal(rd(&f, 0xF0, 8), 0x123456794ull);
    bus_destroy(f.bus);
}

static void one_shot(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    wr(&f, 0x120, 4, 21 << 9 | 4);
    wr(&f, 0x128, 8, 100);
    wr(&f, 0x10, 4, 1);
    pass(&f, 99);
    assert_int_equal(f.rises[21], 0);
    pass(&f, 1);
    assert_int_equal(f.rises[21], 1);
    pass(&f, 1u << 20);
    assert_int_equal(f.rises[21], 1);
    wr(&f, 0x128, 8, 5); /* the past: not before the counter has gone round */
    pass(&f, 1u << 20);
    assert_int_equal(f.rises[21], 1);
    wr(&f, 0x120, 4, 22 << 9 | 1 << 8 | 4 | 2); /* level, 32-bit: goes round within 172 s */
    wr(&f, 0x128, 4, 10);
    pass(&f, 1ull << 32);
    assert_int_equal(f.rises[22], 1);
    assert_int_equal(rd(&f, 0x20, 4), 2);
    assert_true(f.level[22]);
    wr(&f, 0x20, 4, 1);
    assert_true(f.level[22]);
    wr(&f, 0x20, 4, 2);
    assert_false(f.level[22]);
    assert_int_equal(rd(&f, 0x20, 4), 0);
    bus_destroy(f.bus);
}

static void periodic(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    wr(&f, 0x100, 4, 20 << 9 | 1 << 6 | 8 | 4);
    wr(&f, 0x108, 8, 1000); /* next match, by VAL_SET ... */
    wr(&f, 0x108, 8, 250);  /* ... and the period */
    assert_int_equal(rd(&f, 0x100, 4) & 1 << 6, 0);
    wr(&f, 0x10, 4, 1);
    pass(&f, 999);
    assert_int_equal(f.rises[20], 0);
    pass(&f, 1);
    assert_int_equal(f.rises[20], 1);
    pass(&f, 249);
    assert_int_equal(f.rises[20], 1);
    pass(&f, 1 + 250 * 9);
    assert_int_equal(f.rises[20], 11);
    assert_int_equal(rd(&f, 0x108, 8), 1000 + 250 * 11);
    f.clock.now += 250 * 5 * TICKS_40NS; /* five periods unseen: one interrupt, the phase stays */
    rd(&f, 0x20, 4);
    assert_int_equal(f.rises[20], 12);
    assert_int_equal(rd(&f, 0x108, 8), 1000 + 250 * 16);
    wr(&f, 0x108, 8, 0); /* a period of nothing is no endless loop */
    pass(&f, 1u << 20);
    wr(&f, 0x108, 8, ~0ull);
    pass(&f, 1u << 20);
    bus_destroy(f.bus);
}

static void legacy(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    wr(&f, 0x10, 4, 3);
    assert_true(f.legacy);
    for (unsigned i = 0; i < 2; i++) {
        wr(&f, 0x100 + 0x20 * i, 4, 23 << 9 | 4);
        wr(&f, 0x108 + 0x20 * i, 8, 100 + i);
    }
    pass(&f, 101);
    assert_int_equal(f.legacy_rises[0], 1);
    assert_int_equal(f.legacy_rises[8], 1);
    assert_int_equal(f.rises[23], 0);
    wr(&f, 0x10, 4, 1);
    assert_false(f.legacy);
    wr(&f, 0x108, 8, 200);
    pass(&f, 200);
    assert_int_equal(f.rises[23], 1);
    wr(&f, 0x10, 4, 3);
    hpet_reset(&f.hpet);
    assert_false(f.legacy);
    bus_destroy(f.bus);
}

/* One second by each clock: equal but for the rounding of one period each. */
static void clocks_agree(void **state)
{
    struct fixture f;
    struct pit pit;
    struct rtc rtc;
    struct pmtimer pm;
    (void)state;
    setup(&f);
    assert_true(pit_init(&pit, f.bus, &f.clock, (struct irq_line){ 0 }));
    assert_true(rtc_init(&rtc, f.bus, &f.clock, (struct irq_line){ 0 }, 1704067200));
    pmtimer_init(&pm, &f.clock, (struct irq_line){ 0 }, NULL, NULL);
    assert_true(bus_add_ports(f.bus, PM_PORT, PM_WINDOW, &pmtimer_ops, &pm, "pm"));
    port_write(f.bus, 0x43, 1, 0x34, 0); /* mode 2, 65536: the count is 65536 less the periods gone */
    port_write(f.bus, 0x40, 1, 0, 0);
    port_write(f.bus, 0x40, 1, 0, 0);
    wr(&f, 0x10, 4, 1);
    for (unsigned ms = 0; ms <= 20000; ms += 7) {
        f.clock.now = ms * (CORE_HZ / 1000) * TICKS_PER_CYCLE;
        clock_run_due(&f.clock);
        u64 hpet = rd(&f, 0xF0, 8), acpi = port_read(f.bus, PM_PORT + 8, 4, 0), tsc = clock_tsc(&f.clock);
        port_write(f.bus, 0x43, 1, 0, 0);
        u64 low = port_read(f.bus, 0x40, 1, 0), high = port_read(f.bus, 0x40, 1, 0), pit_count = low | high << 8;
        port_write(f.bus, 0x70, 1, 0, 0);
        u64 sec = port_read(f.bus, 0x71, 1, 0);
        assert_int_equal(hpet, ms * 25000ull);
        assert_int_equal(tsc, ms * 1000000ull);
        assert_int_equal(acpi, ms * 3579545ull / 1000);
        assert_int_equal((sec >> 4) * 10 + (sec & 15), ms / 1000 % 60);
        /* a twelfth of 315/22 MHz, four colour carriers; loading may take a period */
        u64 periods = ms * 105000ull / 88, gone = (0x10000 - pit_count) & 0xFFFF, late = (periods - gone) & 0xFFFF;
        assert_true(late <= 1 || late == 0xFFFF);
    }
    bus_destroy(f.bus);
}

static void hammer(void **state)
{
    struct fixture f;
    u64 r = 88172645463325252ull;
    (void)state;
    setup(&f);
    for (unsigned i = 0; i < 100000; i++) {
        r ^= r << 13, r ^= r >> 7, r ^= r << 17;
        unsigned reg = (unsigned)(r >> 8) % 0x180, width = 1u << (r & 3);
        if (r & 0x40)
            wr(&f, reg, width, r & 0x80 ? r >> 20 : r >> 44);
        else
            rd(&f, reg, width);
        f.clock.now += r & 0x1000 ? r >> 30 : r >> 50;
        clock_run_due(&f.clock);
        assert_true(!f.clock.head || f.clock.head->when > f.clock.now);
    }
    bus_destroy(f.bus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registers), cmocka_unit_test(one_shot), cmocka_unit_test(periodic), cmocka_unit_test(legacy),
        cmocka_unit_test(clocks_agree), cmocka_unit_test(hammer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
