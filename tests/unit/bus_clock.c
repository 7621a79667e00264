// SPDX-License-Identifier: MIT
/* Order of events, re-arming, and exact conversions of time. */
#include "bus/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct clock c;
    char log[64];
    unsigned n;
};
struct ev {
    struct clock_event e;
    struct fixture *f;
    char name;
    u64 period;
};

static void fire(void *ctx)
{
    struct ev *v = ctx;

    v->f->log[v->f->n++ % 63] = v->name;
    if (v->period != ~0ull)
        clock_arm(&v->f->c, &v->e, v->e.when + v->period);
}

static void setup(struct fixture *f, struct ev *v, unsigned n)
{
    memset(f, 0, sizeof(*f));
    clock_init(&f->c, 3000000000ull, 2000000000ull);
    for (unsigned i = 0; i < n; i++)
        v[i] = (struct ev){ .e = { .fire = fire, .ctx = &v[i] }, .f = f, .name = (char)('a' + i), .period = ~0ull };
}

static void test_order(void **state)
{
    struct fixture f;
    struct ev v[4];

    (void)state;
    setup(&f, v, 4);
    clock_arm(&f.c, &v[0].e, 50);
    clock_arm(&f.c, &v[1].e, 10);
    clock_arm(&f.c, &v[2].e, 50);
    clock_arm(&f.c, &v[3].e, 20);
    clock_arm(&f.c, &v[0].e, 50); /* again: now behind c */
    clock_disarm(&f.c, &v[3].e);
    clock_disarm(&f.c, &v[3].e);
    assert_int_equal(clock_next(&f.c), 10);
    f.c.now = 49;
    clock_run_due(&f.c);
    assert_string_equal(f.log, "b");
    f.c.now = 50;
    clock_run_due(&f.c);
    assert_string_equal(f.log, "bca");
    assert_true(clock_next(&f.c) == ~0ull);
    v[0].period = 10;
    v[1].period = 15;
    clock_arm(&f.c, &v[0].e, 60);
    clock_arm(&f.c, &v[1].e, 60);
    f.c.now = 90;
    clock_run_due(&f.c); /* a60 b60 a70 b75 a80 then b90 (armed first) a90 */
    assert_string_equal(f.log, "bcaabababa");
    /* One that re-arms for the same time fires once a turn. */
    setup(&f, v, 1);
    v[0].period = 0;
    clock_arm(&f.c, &v[0].e, 5);
    f.c.now = 9;
    clock_run_due(&f.c);
    assert_string_equal(f.log, "a");
    clock_run_due(&f.c);
    assert_string_equal(f.log, "aa");
}

static void on_shorten(void *ctx, u64 when)
{
    *(u64 *)ctx = when;
}

static void test_shorten(void **state)
{
    struct fixture f;
    struct ev v[1];
    u64 when = 0;

    (void)state;
    setup(&f, v, 1);
    f.c.limit = 100;
    f.c.shorten = on_shorten;
    f.c.shorten_ctx = &when;
    clock_arm(&f.c, &v[0].e, 100);
    assert_int_equal(when, 0);
    clock_arm(&f.c, &v[0].e, 99);
    assert_int_equal(when, 99);
}

static void test_rates(void **state)
{
    static const u64 rates[] = { 1, 1193182, 3579545, 32768, 2000000000ull, 192000000000ull };
    struct fixture f;

    (void)state;
    setup(&f, NULL, 0);
    for (unsigned i = 0; i < ARRAY_LEN(rates); i++) {
        for (u64 n = 0; n < 2000; n++) {
            u64 count = n * n * 977, t = clock_ticks_from(&f.c, count, rates[i]);
            if (t == ~0ull)
                break; /* saturated */
            assert_true(clock_ticks_to(&f.c, t, rates[i]) >= count);
            if (t)
                assert_true(clock_ticks_to(&f.c, t - 1, rates[i]) < count);
        }
    }
    assert_true(clock_ticks_to(&f.c, ~0ull, 1193182) == (u64)((u128)~0ull * 1193182 / ((u128)3000000000ull * 64)));
    assert_true(clock_ticks_from(&f.c, ~0ull, 1) == ~0ull);
    assert_true(clock_ticks_from(&f.c, 1, 0) == ~0ull);
    f.c.now = 3000000000ull * 64;
    assert_int_equal(clock_tsc(&f.c), 2000000000ull);
    f.c.now = 5;
    assert_int_equal(clock_tsc(&f.c), 2000000000ull); /* never back */
}

/* A processor that runs behind another within their round reads a TSC that moves: two reads never agree, and the lead that this makes
 * has a bound. Found by KVM, whose APIC timer gives "remaining modulo period": 0 when no time at all has passed. */
static void tsc_moves_behind(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, NULL, 0);
    f.c.now = 20000 * 64;
    u64 last = clock_tsc(&f.c), ahead;
    f.c.now = 100 * 64;
    for (unsigned i = 0; i < 1000; i++) {
        u64 t = clock_tsc(&f.c);
        assert_true(t > last && (t - last <= 2 || t == clock_ticks_to(&f.c, f.c.now, f.c.tsc_hz)));
        last = t;
        f.c.now += 36 * 64; /* what a read costs, at the least */
    }
    /* Time has passed the first processor's: the lead is gone. */
    assert_int_equal(last, clock_ticks_to(&f.c, f.c.now - 36 * 64, f.c.tsc_hz));
    f.c.now = 0;
    for (unsigned i = 0; i < 1000000; i++)
        last = clock_tsc(&f.c);
    ahead = clock_ticks_to(&f.c, 64ull << 17, f.c.tsc_hz);
    assert_true(last < ahead);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tsc_moves_behind),
        cmocka_unit_test(test_order), cmocka_unit_test(test_shorten), cmocka_unit_test(test_rates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
