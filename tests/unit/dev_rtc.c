// SPDX-License-Identifier: MIT
#include "dev/rtc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <string.h>

enum { HZ = 1000000000 };

struct fixture {
    struct bus *bus;
    struct clock clock;
    struct rtc rtc;
    bool line;
};

static void on_irq(void *ctx, unsigned n, bool level) { (void)n; *(bool *)ctx = level; }

static void setup(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->bus = bus_create(40);
    clock_init(&f->clock, HZ, HZ);
    assert_true(rtc_init(&f->rtc, f->bus, &f->clock, (struct irq_line){ on_irq, &f->line, 8 }, 951782399)); /* 2000-02-28 23:59:59 */
}

static void run_to(struct fixture *f, u64 us)
{
    f->clock.now = us * 1000 * TICKS_PER_CYCLE;
    clock_run_due(&f->clock);
}

static u8 get(struct fixture *f, u8 i)
{
    port_write(f->bus, 0x70, 1, i, 0);
    return (u8)port_read(f->bus, 0x71, 1, 0);
}

static void set(struct fixture *f, u8 i, u8 v)
{
    port_write(f->bus, 0x70, 1, i, 0);
    port_write(f->bus, 0x71, 1, v, 0);
}

static void calendar(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    assert_int_equal(get(&f, 4), 0x23);
    assert_int_equal(get(&f, 7), 0x28);
    run_to(&f, 999999);
    assert_int_equal(get(&f, 0), 0x59);
    run_to(&f, 1000000);
    assert_int_equal(get(&f, 0), 0);
    assert_int_equal(get(&f, 7), 0x29);
    assert_int_equal(get(&f, 8), 2);
    assert_int_equal(get(&f, 9), 0);
    assert_int_equal(get(&f, 0x32), 0x20);
    assert_int_equal(get(&f, 6), 3); /* Tuesday */
    set(&f, 0xB, 0x04); /* binary, 12 hours */
    assert_int_equal(get(&f, 4), 12);
    set(&f, 4, 0x80 | 11);
    assert_int_equal(get(&f, 4), 0x80 | 11);
    set(&f, 0xB, 0x02);
    assert_int_equal(get(&f, 4), 0x23);
    bus_destroy(f.bus);
}

static void update_in_progress(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    run_to(&f, 997771);
    assert_int_equal(get(&f, 0xA), 0x26);
    run_to(&f, 997773);
    assert_int_equal(get(&f, 0xA), 0xA6);
    run_to(&f, 1000000);
    assert_int_equal(get(&f, 0xA), 0x26);
    set(&f, 0xB, 0x82);
    run_to(&f, 1999000);
    assert_int_equal(get(&f, 0xA), 0x26);
    assert_int_equal(get(&f, 0), 0);
    set(&f, 0, 0x30);
    set(&f, 0xB, 0x02);
    run_to(&f, 2999000);
    assert_int_equal(get(&f, 0), 0x31);
    bus_destroy(f.bus);
}

static void interrupts(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    get(&f, 0xC);
    set(&f, 0xB, 0x42);
    run_to(&f, 976);
    assert_false(f.line);
    run_to(&f, 977);
    assert_true(f.line);
    assert_int_equal(get(&f, 0xC), 0xC0);
    assert_false(f.line);
    set(&f, 1, 2);
    set(&f, 3, 0xFF);
    set(&f, 5, 0xC0);
    set(&f, 0xB, 0x22);
    run_to(&f, 2999999);
    assert_false(f.line);
    run_to(&f, 3000000);
    assert_true(f.line);
    assert_int_equal(get(&f, 0xC), 0xF0);
    assert_int_equal(get(&f, 0xC), 0);
    set(&f, 0xB, 0x12);
    run_to(&f, 4000000);
    assert_true(f.line);
    rtc_reset(&f.rtc);
    assert_false(f.line);
    bus_destroy(f.bus);
}

static void memory_and_hammer(void **state)
{
    struct fixture f;
    u64 r = 88172645463325252ull;
    (void)state;
    setup(&f);
    rtc_set_memory(&f.rtc, 256 << 20, 1ull << 30, 4);
    assert_int_equal(get(&f, 0x17) | get(&f, 0x18) << 8, 0xFFFF);
    assert_int_equal(get(&f, 0x34) | get(&f, 0x35) << 8, 240 << 4);
    assert_int_equal(get(&f, 0x5C), 0x40);
    assert_int_equal(get(&f, 0x5F), 3);
    for (unsigned i = 0; i < 100000; i++) {
        r ^= r << 13, r ^= r >> 7, r ^= r << 17;
        if (r & 1)
            set(&f, r >> 4 & (r & 8 ? 0xF : 0x7F), (u8)(r >> 20));
        else
            port_read(f.bus, (u16)(0x70 + (r >> 4 & 1)), 1u << (r >> 5 & 1), 0);
        f.clock.now += r >> (r & 0x100 ? 30 : 45);
        clock_run_due(&f.clock);
    }
    bus_destroy(f.bus);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(calendar), cmocka_unit_test(update_in_progress),
                                        cmocka_unit_test(interrupts), cmocka_unit_test(memory_and_hammer) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
