// SPDX-License-Identifier: MIT
/* HPET by its specification 1.0a, and all clocks of the machine compared with each other. */
#include "dev/hpet.h"

#include "base/bits.h"
#include "dev/pit.h"
#include "dev/pmtimer.h"
#include "dev/rtc.h"

#include "dev_fixture.h"

#define TICKS_40NS (40 * TICKS_PER_CYCLE) /* one count */

struct fixture {
    struct board b;
    struct hpet hpet;
    struct wire pin[32], legacy_irq[16];
    bool legacy;
};

static void on_pin(void *ctx, unsigned n, bool level) { wire_set(&((struct fixture *)ctx)->pin[n], n, level); }
static void on_legacy(void *ctx, unsigned n, bool level) { wire_set(&((struct fixture *)ctx)->legacy_irq[n], n, level); }
static void on_mode(void *ctx, bool on) { ((struct fixture *)ctx)->legacy = on; }

static void setup(struct fixture *f)
{
    const struct hpet_out out = { f, on_pin, on_legacy, on_mode };
    memset(f, 0, sizeof(*f));
    board_init(&f->b);
    assert_true(hpet_init(&f->hpet, f->b.bus, &f->b.clock, &out));
}

static u64 rd(struct fixture *f, unsigned reg, unsigned width) { return board_rd(&f->b, HPET_SPA + reg, width); }
static void wr(struct fixture *f, unsigned reg, unsigned width, u64 v) { board_wr(&f->b, HPET_SPA + reg, width, v); }
static void pass(struct fixture *f, u64 counts) { board_run_to(&f->b, f->b.clock.now + counts * TICKS_40NS); }

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
    board_fini(&f.b);
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
    assert_int_equal(f.pin[21].rises, 0);
    pass(&f, 1);
    assert_int_equal(f.pin[21].rises, 1);
    pass(&f, 1u << 20);
    assert_int_equal(f.pin[21].rises, 1);
    wr(&f, 0x128, 8, 5); /* the past: not before the counter has gone round */
    pass(&f, 1u << 20);
    assert_int_equal(f.pin[21].rises, 1);
    wr(&f, 0x120, 4, 22 << 9 | 1 << 8 | 4 | 2); /* level, 32-bit: goes round within 172 s */
    wr(&f, 0x128, 4, 10);
    pass(&f, 1ull << 32);
    assert_int_equal(f.pin[22].rises, 1);
    assert_int_equal(rd(&f, 0x20, 4), 2);
    assert_true(f.pin[22].level);
    wr(&f, 0x20, 4, 1);
    assert_true(f.pin[22].level);
    wr(&f, 0x20, 4, 2);
    assert_false(f.pin[22].level);
    assert_int_equal(rd(&f, 0x20, 4), 0);
    board_fini(&f.b);
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
    assert_int_equal(f.pin[20].rises, 0);
    pass(&f, 1);
    assert_int_equal(f.pin[20].rises, 1);
    pass(&f, 249);
    assert_int_equal(f.pin[20].rises, 1);
    pass(&f, 1 + 250 * 9);
    assert_int_equal(f.pin[20].rises, 11);
    assert_int_equal(rd(&f, 0x108, 8), 1000 + 250 * 11);
    f.b.clock.now += 250 * 5 * TICKS_40NS; /* five periods unseen: one interrupt, the phase stays */
    rd(&f, 0x20, 4);
    assert_int_equal(f.pin[20].rises, 12);
    assert_int_equal(rd(&f, 0x108, 8), 1000 + 250 * 16);
    wr(&f, 0x108, 8, 0); /* a period of nothing is no endless loop */
    pass(&f, 1u << 20);
    wr(&f, 0x108, 8, ~0ull);
    pass(&f, 1u << 20);
    board_fini(&f.b);
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
    assert_int_equal(f.legacy_irq[0].rises, 1);
    assert_int_equal(f.legacy_irq[8].rises, 1);
    assert_int_equal(f.pin[23].rises, 0);
    wr(&f, 0x10, 4, 1);
    assert_false(f.legacy);
    wr(&f, 0x108, 8, 200);
    pass(&f, 200);
    assert_int_equal(f.pin[23].rises, 1);
    wr(&f, 0x10, 4, 3);
    hpet_reset(&f.hpet);
    assert_false(f.legacy);
    board_fini(&f.b);
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
    assert_true(pit_init(&pit, f.b.bus, &f.b.clock, (struct irq_line){ 0 }));
    assert_true(rtc_init(&rtc, f.b.bus, &f.b.clock, (struct irq_line){ 0 }, 1704067200));
    pmtimer_init(&pm, &f.b.clock, (struct irq_line){ 0 }, NULL, NULL);
    assert_true(bus_add_ports(f.b.bus, PM_PORT, PM_WINDOW, &pmtimer_ops, &pm, "pm"));
    port_write(f.b.bus, 0x43, 1, 0x34, 0); /* mode 2, 65536: the count is 65536 less the periods gone */
    port_write(f.b.bus, 0x40, 1, 0, 0);
    port_write(f.b.bus, 0x40, 1, 0, 0);
    wr(&f, 0x10, 4, 1);
    for (unsigned ms = 0; ms <= 20000; ms += 7) {
        f.b.clock.now = ms * (u64)(BOARD_HZ / 1000) * TICKS_PER_CYCLE;
        clock_run_due(&f.b.clock);
        u64 hpet = rd(&f, 0xF0, 8), acpi = port_read(f.b.bus, PM_PORT + 8, 4, 0), tsc = clock_tsc(&f.b.clock);
        port_write(f.b.bus, 0x43, 1, 0, 0);
        u64 low = port_read(f.b.bus, 0x40, 1, 0), high = port_read(f.b.bus, 0x40, 1, 0), pit_count = low | high << 8;
        port_write(f.b.bus, 0x70, 1, 0, 0);
        u64 sec = port_read(f.b.bus, 0x71, 1, 0);
        assert_int_equal(hpet, ms * 25000ull);
        assert_int_equal(tsc, ms * 1000000ull);
        assert_int_equal(acpi, ms * 3579545ull / 1000);
        assert_int_equal((sec >> 4) * 10 + (sec & 15), ms / 1000 % 60);
        /* a twelfth of 315/22 MHz, four colour carriers; loading may take a period */
        u64 periods = ms * 105000ull / 88, gone = (0x10000 - pit_count) & 0xFFFF, late = (periods - gone) & 0xFFFF;
        assert_true(late <= 1 || late == 0xFFFF);
    }
    board_fini(&f.b);
}

/* Rules of the registers one by one [IA-PC HPET 1.0a, 2.3]. */
static void rules(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    wr(&f, 0, 8, ~0ull); /* read-only */
    assert_int_equal(rd(&f, 0, 4), 0x8086A201);
    wr(&f, 0x10, 8, ~0ull);
    assert_int_equal(rd(&f, 0x10, 8), 3);
    wr(&f, 0x10, 8, 0);
    wr(&f, 0xF4, 4, 0x12345678); /* the counter by halves, while it stands */
    wr(&f, 0xF0, 4, 0x9ABCDEF0);
    assert_int_equal(rd(&f, 0xF0, 8), 0x123456789ABCDEF0ull);
    wr(&f, 0xF0, 8, 0);
    wr(&f, 0x100, 8, ~0ull); /* no message delivery, capabilities stay, a route that is none is kept and leads nowhere */
    assert_int_equal(rd(&f, 0x100, 8), 0x00F0000000000030ull | 0x3F4E);
    wr(&f, 0x100, 4, 0 << 9 | 4);
    wr(&f, 0x108, 8, 10);
    wr(&f, 0x120, 4, 22 << 9 | 2); /* level, interrupt off: the status bit is set all the same, the line is not */
    wr(&f, 0x128, 8, 20);
    wr(&f, 0x140, 4, 23 << 9 | 6);
    wr(&f, 0x148, 8, 30);
    wr(&f, 0x10, 4, 1);
    pass(&f, 35);
    for (unsigned i = 0; i < 32; i++)
        assert_int_equal(f.pin[i].rises, i == 23);
    assert_int_equal(rd(&f, 0x20, 8), 6);
    wr(&f, 0x120, 4, 22 << 9 | 6); /* switched on with its status set */
    assert_true(f.pin[22].level);
    wr(&f, 0x20, 8, 1); /* only ones clear, only their own bits */
    assert_int_equal(rd(&f, 0x20, 8), 6);
    wr(&f, 0x20, 8, 2);
    assert_false(f.pin[22].level);
    assert_true(f.pin[23].level);
    wr(&f, 0x140, 4, 23 << 9 | 2); /* switched off: the line falls, the status stays */
    assert_false(f.pin[23].level);
    assert_int_equal(rd(&f, 0x20, 8), 4);
    wr(&f, 0x140, 4, 23 << 9); /* edge: no status bit */
    assert_int_equal(rd(&f, 0x20, 8), 0);
    wr(&f, 0x10, 4, 0); /* a halted counter passes no match */
    wr(&f, 0x140, 4, 23 << 9 | 4);
    wr(&f, 0x148, 8, rd(&f, 0xF0, 8) + 5);
    pass(&f, 100);
    assert_int_equal(f.pin[23].rises, 1);
    wr(&f, 0x10, 4, 1);
    pass(&f, 5);
    assert_int_equal(f.pin[23].rises, 2);
    /* a 32-bit timer matches whenever the low half does and wraps its comparator */
    wr(&f, 0x10, 4, 0);
    wr(&f, 0xF0, 8, 0x7FFFFFF00ull);
    wr(&f, 0x140, 4, 23 << 9 | 1 << 8 | 1 << 6 | 8 | 4);
    wr(&f, 0x148, 8, 0x5FFFFFF80ull);
    wr(&f, 0x148, 8, 0x100);
    assert_int_equal(rd(&f, 0x148, 8), 0xFFFFFF80);
    wr(&f, 0x10, 4, 1);
    pass(&f, 0x80 + 0x100);
    assert_int_equal(f.pin[23].rises, 4);
    assert_int_equal(rd(&f, 0x148, 8), 0x180);
    hpet_reset(&f.hpet);
    assert_int_equal(rd(&f, 0x10, 8) | rd(&f, 0xF0, 8), 0);
    assert_int_equal(rd(&f, 0x108, 8), ~0ull);
    board_fini(&f.b);
}

static void hammer(void **state)
{
    struct fixture f;
    u64 r = RANDOM_SEED;
    (void)state;
    setup(&f);
    for (unsigned i = 0; i < 100000; i++) {
        random_next(&r);
        unsigned reg = (unsigned)(r >> 8) % 0x180, width = 1u << (r & 3);
        if (r & 0x40)
            wr(&f, reg, width, r & 0x80 ? r >> 20 : r >> 44);
        else
            rd(&f, reg, width);
        board_jump(&f.b, r & 0x1000 ? r >> 30 : r >> 50);
        assert_true(!f.b.clock.head || f.b.clock.head->when > f.b.clock.now);
    }
    board_fini(&f.b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registers), cmocka_unit_test(one_shot), cmocka_unit_test(periodic), cmocka_unit_test(legacy), cmocka_unit_test(rules),
        cmocka_unit_test(clocks_agree), cmocka_unit_test(hammer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
