// SPDX-License-Identifier: MIT
#include "dev/pit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <string.h>

struct fixture {
    struct bus *bus;
    struct clock clock;
    struct pit pit;
    bool line;
    unsigned rises;
};

static void on_irq(void *ctx, unsigned n, bool level)
{
    struct fixture *f = ctx;
    (void)n;
    f->rises += level && !f->line;
    f->line = level;
}

static void setup(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->bus = bus_create(40);
    clock_init(&f->clock, 1000000000, 1000000000);
    assert_true(pit_init(&f->pit, f->bus, &f->clock, (struct irq_line){ on_irq, f, 0 }));
    f->rises = 0;
}

/* To the start of PIT clock n. */
static void run_to(struct fixture *f, u64 n)
{
    u64 t = clock_ticks_from(&f->clock, n * 11, 13125000), e;
    while ((e = clock_next(&f->clock)) <= t) {
        f->clock.now = e;
        clock_run_due(&f->clock);
    }
    f->clock.now = t;
}

static void out8(struct fixture *f, u16 port, u8 v) { port_write(f->bus, port, 1, v, 0); }
static u8 in8(struct fixture *f, u16 port) { return (u8)port_read(f->bus, port, 1, 0); }

static void mode0(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    out8(&f, 0x43, 0x30);
    assert_false(f.line);
    out8(&f, 0x40, 100);
    out8(&f, 0x40, 0);
    run_to(&f, 99);
    assert_false(f.line);
    out8(&f, 0x43, 0x00);
    run_to(&f, 100);
    assert_true(f.line);
    assert_int_equal(in8(&f, 0x40), 1); /* latched at 99 */
    assert_int_equal(in8(&f, 0x40), 0);
    run_to(&f, 101);
    assert_int_equal(in8(&f, 0x40), 0xFF);
    assert_int_equal(in8(&f, 0x40), 0xFF);
    assert_int_equal(f.rises, 1);
    bus_destroy(f.bus);
}

static void rates(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    out8(&f, 0x43, 0x34);
    out8(&f, 0x40, 10);
    out8(&f, 0x40, 0);
    run_to(&f, 95);
    assert_int_equal(f.rises, 9);
    out8(&f, 0x43, 0xE2); /* status of channel 0: OUT high, rw 3, mode 2 */
    assert_int_equal(in8(&f, 0x40), 0xB4);
    out8(&f, 0x40, 20); /* new count from the end of this period */
    out8(&f, 0x40, 0);
    run_to(&f, 100);
    assert_int_equal(f.rises, 10);
    run_to(&f, 119);
    assert_int_equal(f.rises, 10);
    run_to(&f, 120);
    assert_int_equal(f.rises, 11);
    out8(&f, 0x43, 0x36); /* square wave */
    out8(&f, 0x40, 10);
    out8(&f, 0x40, 0);
    unsigned before = f.rises;
    run_to(&f, 124);
    assert_true(f.line);
    run_to(&f, 125);
    assert_false(f.line);
    run_to(&f, 130);
    assert_int_equal(f.rises, before + 1);
    bus_destroy(f.bus);
}

/* A late look over many periods still shows an edge. */
static void late(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    pit_bios_defaults(&f.pit);
    f.rises = 0;
    f.clock.now = clock_ticks_from(&f.clock, 65536ull * 11 * 50 + 22, 13125000);
    clock_run_due(&f.clock);
    assert_int_equal(f.rises, 1);
    bus_destroy(f.bus);
}

static void gate2_and_bcd(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    out8(&f, 0x43, 0xB1); /* channel 2, mode 0, BCD */
    out8(&f, 0x42, 0x00);
    out8(&f, 0x42, 0x10); /* 1000 */
    run_to(&f, 500);
    assert_false(pit_out(&f.pit, 2));
    pit_set_gate(&f.pit, 2, true);
    run_to(&f, 501);
    assert_int_equal(in8(&f, 0x42), 0x99);
    assert_int_equal(in8(&f, 0x42), 0x09);
    run_to(&f, 1499);
    assert_false(pit_out(&f.pit, 2));
    run_to(&f, 1500);
    assert_true(pit_out(&f.pit, 2));
    out8(&f, 0x43, 0xB2); /* one-shot: starts by the gate */
    out8(&f, 0x42, 5);
    out8(&f, 0x42, 0);
    run_to(&f, 1600);
    assert_true(pit_out(&f.pit, 2));
    pit_set_gate(&f.pit, 2, false);
    pit_set_gate(&f.pit, 2, true);
    assert_false(pit_out(&f.pit, 2));
    run_to(&f, 1605);
    assert_true(pit_out(&f.pit, 2));
    bus_destroy(f.bus);
}

static void hammer(void **state)
{
    struct fixture f;
    u64 r = 88172645463325252ull;
    (void)state;
    setup(&f);
    for (unsigned i = 0; i < 200000; i++) {
        r ^= r << 13, r ^= r >> 7, r ^= r << 17;
        unsigned width = 1u << (r & 3) % 3;
        u16 port = (u16)(0x40 + (r >> 4 & 3));
        if (r & 0x100)
            port_write(f.bus, port, width, r >> 20, 0);
        else
            port_read(f.bus, port, width, 0);
        if (r & 0x200)
            pit_set_gate(&f.pit, r >> 10 & 1 ? 2 : 1, r >> 11 & 1);
        f.clock.now += r >> (r & 0x1000 ? 36 : 50);
        clock_run_due(&f.clock);
    }
    bus_destroy(f.bus);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(mode0), cmocka_unit_test(rates), cmocka_unit_test(late),
                                        cmocka_unit_test(gate2_and_bcd), cmocka_unit_test(hammer) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
