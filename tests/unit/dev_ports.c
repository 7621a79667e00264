// SPDX-License-Identifier: MIT
/* The small port devices together, as they stand in the machine: 8042, odd ports, ACPI registers. */
#include "dev/kbc.h"
#include "dev/pmtimer.h"
#include "dev/sysport.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <string.h>

struct fixture {
    struct bus *bus;
    struct clock clock;
    struct pit pit;
    struct kbc kbc;
    struct sysport sys;
    struct pmtimer pm;
    bool irq1, sci, a20;
    int resets, off;
    u32 exit_value;
};

static void on_irq(void *ctx, unsigned n, bool level) { (void)n; *(bool *)ctx = level; }
static void on_a20(void *ctx, bool on) { ((struct fixture *)ctx)->a20 = on; }
static void on_kbc_reset(void *ctx) { ((struct fixture *)ctx)->resets++; }
static void on_reset(void *ctx) { ((struct fixture *)ctx)->resets++; }
static void on_exit_value(void *ctx, u32 v) { ((struct fixture *)ctx)->exit_value = v; }
static void on_off(void *ctx) { ((struct fixture *)ctx)->off++; }

static void setup(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->bus = bus_create(40);
    f->a20 = true;
    clock_init(&f->clock, 1000000000, 1000000000);
    struct kbc_out ko = { f, on_a20, on_kbc_reset };
    struct sysport_out so = { .ctx = f, .set_a20 = on_a20, .reset = on_reset, .exit_value = on_exit_value, .power_off = on_off };
    struct sysport_cfg cfg = { .debug_port = true, .firmware_debug = true };
    assert_true(pit_init(&f->pit, f->bus, &f->clock, (struct irq_line){ 0 }));
    assert_true(kbc_init(&f->kbc, f->bus, (struct irq_line){ on_irq, &f->irq1, 1 }, (struct irq_line){ 0 }, &ko));
    assert_true(sysport_init(&f->sys, f->bus, &f->clock, &f->pit, &cfg, &so) && sysport_plug_exit(&f->sys, f->bus) && sysport_plug_exit(&f->sys, f->bus));
    pmtimer_init(&f->pm, &f->clock, (struct irq_line){ on_irq, &f->sci, 9 }, on_off, f);
    assert_true(bus_add_ports(f->bus, PM_PORT, PM_WINDOW, &pmtimer_ops, &f->pm, "pm"));
}

static void out(struct fixture *f, u16 port, unsigned width, u32 v) { port_write(f->bus, port, width, v, 0); }
static u32 in(struct fixture *f, u16 port, unsigned width) { return (u32)port_read(f->bus, port, width, 0); }

static void keyboard_controller(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    out(&f, 0x64, 1, 0xAA);
    assert_int_equal(in(&f, 0x64, 1) & 1, 1);
    assert_int_equal(in(&f, 0x60, 1), 0x55);
    assert_int_equal(in(&f, 0x64, 1) & 1, 0);
    out(&f, 0x60, 1, 0xFF);
    assert_true(f.irq1);
    assert_int_equal(in(&f, 0x60, 1), 0xFA);
    assert_int_equal(in(&f, 0x60, 1), 0xAA);
    assert_false(f.irq1);
    out(&f, 0x64, 1, 0xD1);
    out(&f, 0x60, 1, 0xDD);
    assert_false(f.a20);
    out(&f, 0x64, 1, 0xDF);
    assert_true(f.a20);
    assert_int_equal(f.resets, 0);
    out(&f, 0x64, 1, 0xFE);
    assert_int_equal(f.resets, 1);
    bus_destroy(f.bus);
}

static void odd_ports(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    out(&f, 0x92, 1, 0);
    assert_false(f.a20);
    out(&f, 0x92, 1, 3);
    assert_true(f.a20);
    assert_int_equal(f.resets, 1);
    out(&f, 0xF4, 4, 0x12345);
    assert_int_equal(f.exit_value, 0x12345);
    for (const char *p = "ShutShutdown"; *p; p++)
        out(&f, 0x8900, 1, (u8)*p);
    assert_int_equal(f.off, 1);
    assert_int_equal(in(&f, 0xE9, 1), 0xE9);
    assert_int_equal(in(&f, 0x402, 1), 0xE9);
    assert_int_equal(in(&f, 0x61, 1), 0x20); /* OUT 2 high */
    f.clock.now = 16000 * TICKS_PER_CYCLE;
    assert_int_equal(in(&f, 0x61, 1), 0x30); /* refresh */
    bus_destroy(f.bus);
}

static void power_management(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    f.clock.now = 1000000000ull * TICKS_PER_CYCLE;
    assert_int_equal(in(&f, 0x608, 4), 3579545);
    assert_int_equal(in(&f, 0x60A, 1), 3579545 >> 16 & 0xFF);
    out(&f, 0x602, 2, 0x101);
    assert_false(f.sci);
    pmtimer_power_button(&f.pm);
    assert_true(f.sci);
    out(&f, 0x600, 2, 0x100);
    assert_false(f.sci);
    f.clock.now = clock_ticks_from(&f.clock, 1ull << 31, PM_TMR_HZ);
    clock_run_due(&f.clock);
    assert_true(f.sci);
    out(&f, 0x600, 2, 0xFFFF);
    assert_false(f.sci);
    pmtimer_sleep_button(&f.pm);
    assert_int_equal(in(&f, 0x600, 2), 0x200);
    assert_false(f.sci);
    out(&f, 0x602, 2, 0x200);
    assert_true(f.sci);
    out(&f, 0x600, 2, 0x200);
    assert_false(f.sci);
    pmtimer_gpe(&f.pm, 9);
    out(&f, 0x60E, 2, 0xFDFF);
    assert_false(f.sci);
    assert_int_equal(in(&f, 0x60C, 2), 0x200);
    out(&f, 0x60F, 1, 2);
    assert_true(f.sci);
    out(&f, 0x604, 2, 0); /* SCI_EN off */
    assert_false(f.sci);
    out(&f, 0x604, 2, 1);
    assert_true(f.sci);
    out(&f, 0x60D, 1, 2);
    assert_false(f.sci);
    assert_int_equal(in(&f, 0x610, 4), 0);
    out(&f, 0x604, 2, 0x2000);
    assert_int_equal(f.off, 0);
    out(&f, 0x604, 2, 0x3401);
    assert_int_equal(f.off, 1);
    bus_destroy(f.bus);
}

static void hammer(void **state)
{
    static const u16 base[] = { 0x60, 0x61, 0x64, 0x80, 0x92, 0xCF8, 0xE0, 0xF4, 0x600, 0x608, 0x8900, 0x2000 };
    struct fixture f;
    u64 r = 88172645463325252ull;
    (void)state;
    setup(&f);
    for (unsigned i = 0; i < 200000; i++) {
        r ^= r << 13, r ^= r >> 7, r ^= r << 17;
        unsigned width = 1u << (r & 3) % 3;
        u16 port = (u16)(base[(r >> 4) % ARRAY_LEN(base)] + (r >> 12 & 7));
        if (r & 0x10000)
            out(&f, port, width, (u32)(r >> 20));
        else
            in(&f, port, width);
        f.clock.now += r >> 36;
        clock_run_due(&f.clock);
    }
    bus_destroy(f.bus);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(keyboard_controller), cmocka_unit_test(odd_ports),
                                        cmocka_unit_test(power_management), cmocka_unit_test(hammer) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
