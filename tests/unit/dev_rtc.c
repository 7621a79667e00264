// SPDX-License-Identifier: MIT
/* MC146818 by its data sheet. */
#include "dev/rtc.h"

#include "dev_fixture.h"

enum { A = 0xA, B = 0xB, C = 0xC, D = 0xD, UIP = 0x80, SET = 0x80, PIE = 0x40, AIE = 0x20, UIE = 0x10, BINARY = 4, H24 = 2 };

struct fixture {
    struct board b;
    struct rtc rtc;
    struct wire irq8;
};

static int setup(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    memset(f, 0, sizeof(*f));
    board_init(&f->b);
    assert_true(rtc_init(&f->rtc, f->b.bus, &f->b.clock, WIRE(&f->irq8), 951782399)); /* 2000-02-28 23:59:59 */
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    board_fini(&((struct fixture *)*state)->b);
    return 0;
}

static void run_to(struct fixture *f, u64 us) { board_run_to_ns(&f->b, us * 1000); }

static u8 get(struct fixture *f, u8 i)
{
    board_out(&f->b, 0x70, 1, i);
    return (u8)board_in(&f->b, 0x71, 1);
}

static void set(struct fixture *f, u8 i, u8 v)
{
    board_out(&f->b, 0x70, 1, i);
    board_out(&f->b, 0x71, 1, v);
}

static void set_time(struct fixture *f, u8 hour, u8 minute, u8 second)
{
    u8 b = get(f, B);
    set(f, B, b | SET);
    set(f, 4, hour);
    set(f, 2, minute);
    set(f, 0, second);
    set(f, B, b & (u8)~SET);
}

static void registers(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(get(f, D), 0x80); /* the battery is good */
    set(f, D, 0);
    assert_int_equal(get(f, D), 0x80);
    set(f, C, 0xFF); /* read-only */
    assert_int_equal(get(f, C), 0);
    set(f, A, 0xFF);
    assert_int_equal(get(f, A), 0x7F); /* UIP is not written */
    set(f, A, 0x26);
    assert_int_equal(board_in(&f->b, 0x70, 1), 0xFF); /* the index is write-only */
    for (unsigned i = 0xE; i < 0x80; i++)
        if (i != RTC_CENTURY)
            set(f, (u8)i, (u8)(i * 3 + 1));
    for (unsigned i = 0xE; i < 0x80; i++)
        if (i != RTC_CENTURY)
            assert_int_equal(get(f, (u8)(i | 0x80)), (u8)(i * 3 + 1)); /* bit 7 masks NMIs */
    board_out(&f->b, 0x70, 2, 0x5511); /* index and data at once */
    assert_int_equal(get(f, 0x11), 0x55);
    rtc_set_memory(&f->rtc, 256 << 20, 1ull << 30, 4);
    assert_int_equal(get(f, 0x17) | get(f, 0x18) << 8, 0xFFFF);
    assert_int_equal(get(f, 0x34) | get(f, 0x35) << 8, 240 << 4);
    assert_int_equal(get(f, 0x5C), 0x40);
    assert_int_equal(get(f, 0x5F), 3);
}

static void calendar(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(get(f, 4), 0x23);
    assert_int_equal(get(f, 7), 0x28);
    run_to(f, 999999);
    assert_int_equal(get(f, 0), 0x59);
    run_to(f, 1000000);
    assert_int_equal(get(f, 0), 0);
    assert_int_equal(get(f, 7), 0x29);
    assert_int_equal(get(f, 8), 2);
    assert_int_equal(get(f, 9), 0);
    assert_int_equal(get(f, 0x32), 0x20);
    assert_int_equal(get(f, 6), 3); /* Tuesday */
    set(f, B, BINARY); /* 12 hours */
    assert_int_equal(get(f, 4), 12);
    set(f, 4, 0x80 | 11);
    assert_int_equal(get(f, 4), 0x80 | 11);
    set(f, B, H24);
    assert_int_equal(get(f, 4), 0x23);
    /* all hours in all four forms */
    for (unsigned h = 0; h < 24; h++) {
        static const u8 form[] = { H24, 0, BINARY | H24, BINARY };
        unsigned h12 = h % 12 ? h % 12 : 12, pm = h >= 12 ? 0x80 : 0;
        const unsigned want[] = { h / 10 << 4 | h % 10, pm | h12 / 10 << 4 | h12 % 10, h, pm | h12 };
        set(f, B, BINARY | H24);
        set(f, 4, (u8)h);
        for (unsigned i = 0; i < 4; i++) {
            set(f, B, form[i]);
            assert_int_equal(get(f, 4), want[i]);
        }
    }
    /* the last second of a century */
    set(f, B, H24 | SET);
    static const u8 last[][2] = { { 0x32, 0x20 }, { 9, 0x99 }, { 8, 0x12 }, { 7, 0x31 }, { 4, 0x23 }, { 2, 0x59 }, { 0, 0x59 } };
    for (unsigned i = 0; i < 7; i++)
        set(f, last[i][0], last[i][1]);
    set(f, B, H24);
    run_to(f, 2100000);
    static const u8 first[][2] = { { 0x32, 0x21 }, { 9, 0 }, { 8, 1 }, { 7, 1 }, { 6, 6 /* Friday */ }, { 4, 0 }, { 2, 0 }, { 0, 0 } };
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(get(f, first[i][0]), first[i][1]);
}

/* UIP is set 244 us before an update, which takes 1984 us; SET and a stopped divider hold updates back. */
static void update_in_progress(void **state)
{
    struct fixture *f = *state;
    run_to(f, 997771);
    assert_int_equal(get(f, A), 0x26);
    run_to(f, 997773);
    assert_int_equal(get(f, A), UIP | 0x26);
    run_to(f, 1000000);
    assert_int_equal(get(f, A), 0x26);
    set(f, B, SET | H24);
    run_to(f, 1999000);
    assert_int_equal(get(f, A), 0x26);
    assert_int_equal(get(f, 0), 0);
    set(f, 0, 0x30);
    set(f, B, H24);
    run_to(f, 2999000);
    assert_int_equal(get(f, 0), 0x31);
    set(f, A, 0x76); /* divider reset */
    run_to(f, 5000000);
    assert_int_equal(get(f, 0), 0x31);
    set(f, A, 0x26); /* the first update half a second later */
    run_to(f, 5499999);
    assert_int_equal(get(f, 0), 0x31);
    run_to(f, 5500000);
    assert_int_equal(get(f, 0), 0x32);
}

static void interrupts(void **state)
{
    struct fixture *f = *state;
    get(f, C);
    set(f, B, PIE | H24);
    run_to(f, 976);
    assert_false(f->irq8.level);
    run_to(f, 977);
    assert_true(f->irq8.level);
    assert_int_equal(get(f, C), 0xC0);
    assert_false(f->irq8.level);
    set(f, 1, 2);
    set(f, 3, 0xFF);
    set(f, 5, 0xC0);
    set(f, B, AIE | H24);
    run_to(f, 2999999);
    assert_false(f->irq8.level);
    run_to(f, 3000000);
    assert_true(f->irq8.level);
    assert_int_equal(get(f, C), 0xF0);
    assert_int_equal(get(f, C), 0);
    set(f, B, UIE | H24);
    run_to(f, 4000000);
    assert_true(f->irq8.level);
    set(f, B, SET | UIE | H24); /* SET clears UIE */
    assert_int_equal(get(f, B), SET | H24);
    assert_false(f->irq8.level);
    set(f, B, PIE | AIE | UIE | H24);
    run_to(f, 5000000);
    assert_true(f->irq8.level);
    rtc_reset(&f->rtc); /* RESET#: enables and flags go, time and memory stay */
    assert_false(f->irq8.level);
    assert_int_equal(get(f, B), H24);
    assert_int_equal(get(f, C), 0);
}

/* Flags are set whether or not they are enabled; enabling one that stands raises the line [MC146818, "Register C"]. */
static void flags_without_enables(void **state)
{
    struct fixture *f = *state;
    run_to(f, 1500000);
    assert_false(f->irq8.level);
    set(f, B, UIE | H24);
    assert_true(f->irq8.level);
    assert_int_equal(get(f, C), 0xF0); /* all three: midnight is what the alarm bytes, zero, say */
}

/* All sixteen rates by the data sheet's table (32.768 kHz time base), counted over a second. */
static void rates(void **state)
{
    static const unsigned hz[16] = { 0, 256, 128, 8192, 4096, 2048, 1024, 512, 256, 128, 64, 32, 16, 8, 4, 2 };
    struct fixture *f = *state;
    u64 at = 0;
    set(f, 1, 0x77); /* no alarm */
    for (unsigned rs = 0; rs < 16; rs++) {
        set(f, A, (u8)(0x20 | rs));
        set(f, B, H24);
        get(f, C);
        set(f, B, PIE | H24);
        unsigned before = f->irq8.rises;
        for (u64 end = at + 1000000; at < end;) {
            at += 50;
            run_to(f, at);
            if (f->irq8.level)
                assert_int_equal(get(f, C) & 0xC0, 0xC0);
        }
        assert_int_equal(f->irq8.rises - before, hz[rs]);
    }
}

/* An alarm byte of C0h-FFh matches everything; the others in the form that register B says. */
static void alarms(void **state)
{
    static const struct { u8 b, hour, minute, second, alarm[3]; unsigned seconds; } rows[] = {
        { H24, 0x12, 0x34, 0x50, { 0x12, 0x34, 0x59 }, 9 },
        { H24, 0x12, 0x34, 0x50, { 0x12, 0x35, 0x00 }, 10 },
        { H24, 0x12, 0x34, 0x50, { 0xFF, 0xFF, 0xFF }, 1 },
        { H24, 0x12, 0x34, 0x50, { 0xC0, 0xC1, 0x05 }, 15 },
        { H24, 0x23, 0x59, 0x59, { 0x00, 0xFF, 0xFF }, 1 },
        { H24 | BINARY, 13, 59, 58, { 14, 0, 3 }, 5 },
        { 0, 0x91, 0x59, 0x58, { 0x12, 0x00, 0x01 }, 3 },            /* 11 p.m. to midnight, which is 12 a.m. */
        { 0, 0x11, 0x59, 0x58, { 0x92, 0x00, 0x00 }, 2 },            /* 11 a.m. to noon, 12 p.m. */
        { BINARY, 0x80 | 11, 59, 58, { 12, 0, 4 }, 6 },
    };
    struct fixture *f = *state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        set(f, B, rows[i].b);
        for (unsigned k = 0; k < 3; k++)
            set(f, (u8)(5 - 2 * k), rows[i].alarm[k]);
        u64 from = f->b.clock.now;
        set_time(f, rows[i].hour, rows[i].minute, rows[i].second);
        get(f, C);
        set(f, B, rows[i].b | AIE);
        board_run_to(&f->b, from + (rows[i].seconds * 1000000000ull - 1) * TICKS_PER_CYCLE);
        assert_false(f->irq8.level);
        board_run_to(&f->b, from + rows[i].seconds * 1000000000ull * TICKS_PER_CYCLE);
        assert_true(f->irq8.level);
        assert_int_equal(get(f, C) & 0xA0, 0xA0);
    }
}

static void hammer(void **state)
{
    struct fixture *f = *state;
    u64 r = RANDOM_SEED;
    for (unsigned i = 0; i < 100000; i++) {
        random_next(&r);
        if (r & 1)
            set(f, r >> 4 & (r & 8 ? 0xF : 0x7F), (u8)(r >> 20));
        else
            board_in(&f->b, (u16)(0x70 + (r >> 4 & 1)), 1u << (r >> 5 & 1));
        board_jump(&f->b, r >> (r & 0x100 ? 30 : 45));
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(registers), T(calendar), T(update_in_progress), T(interrupts), T(flags_without_enables), T(rates), T(alarms), T(hammer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
