// SPDX-License-Identifier: MIT
/* The small port devices together, as they stand in the machine: odd ports, ACPI registers. */
#include "dev/pmtimer.h"
#include "dev/sysport.h"

#include "base/bits.h"
#include "dev_fixture.h"

struct fixture {
    struct board b;
    struct pit pit;
    struct sysport sys;
    struct pmtimer pm;
    struct wire sci;
    bool a20;
    int resets, off, debug;
    u8 post;
    u32 exit_value;
};

static void on_a20(void *ctx, bool on) { ((struct fixture *)ctx)->a20 = on; }
static void on_reset(void *ctx) { ((struct fixture *)ctx)->resets++; }
static void on_exit_value(void *ctx, u32 v) { ((struct fixture *)ctx)->exit_value = v; }
static void on_off(void *ctx) { ((struct fixture *)ctx)->off++; }
static void on_post(void *ctx, u8 v) { ((struct fixture *)ctx)->post = v; }
static void on_debug(void *ctx, u8 v) { ((struct fixture *)ctx)->debug += v; }

static void setup(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    board_init(&f->b);
    f->a20 = true;
    struct sysport_out so = { .ctx = f, .set_a20 = on_a20, .reset = on_reset, .exit_value = on_exit_value, .power_off = on_off,
                              .post_code = on_post, .debug_char = on_debug };
    struct sysport_cfg cfg = { .debug_port = true, .firmware_debug = true };
    assert_true(pit_init(&f->pit, f->b.bus, &f->b.clock, (struct irq_line){ 0 }));
    assert_true(sysport_init(&f->sys, f->b.bus, &f->b.clock, &f->pit, &cfg, &so));
    assert_true(sysport_plug_exit(&f->sys, f->b.bus) && sysport_plug_exit(&f->sys, f->b.bus));
    pmtimer_init(&f->pm, &f->b.clock, WIRE(&f->sci), on_off, f);
    assert_true(bus_add_ports(f->b.bus, PM_PORT, PM_WINDOW, &pmtimer_ops, &f->pm, "pm"));
}

static void out(struct fixture *f, u16 port, unsigned width, u32 v) { board_out(&f->b, port, width, v); }
static u32 in(struct fixture *f, u16 port, unsigned width) { return (u32)board_in(&f->b, port, width); }

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
    out(&f, 0xE9, 1, 'A');
    out(&f, 0x402, 1, 'B');
    assert_int_equal(f.debug, 'A' + 'B');
    out(&f, 0x80, 1, 0x5C);
    assert_int_equal(f.post, 0x5C);
    assert_int_equal(in(&f, 0x80, 1), 0x5C);
    assert_int_equal(in(&f, 0x61, 1), 0x20); /* OUT 2 high */
    f.b.clock.now = 16000 * TICKS_PER_CYCLE;
    assert_int_equal(in(&f, 0x61, 1), 0x30); /* refresh */
    out(&f, 0x43, 1, 0xB0); /* channel 2 in mode 0: its gate is bit 0, its output bit 5 */
    out(&f, 0x42, 1, 10);
    out(&f, 0x42, 1, 0);
    board_run_to_ns(&f.b, 1000000);
    assert_int_equal(in(&f, 0x61, 1) & 0x2F, 0);
    out(&f, 0x61, 1, 0xFD);
    assert_int_equal(in(&f, 0x61, 1) & 0x2F, 0x0D);
    board_run_to_ns(&f.b, 1010000);
    assert_int_equal(in(&f, 0x61, 1) & 0x2F, 0x2D);
    sysport_reset(&f.sys);
    assert_int_equal(in(&f, 0x92, 1), 2);
    assert_int_equal(in(&f, 0x61, 1) & 0xF, 0);
    board_fini(&f.b);
}

static void power_management(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    f.b.clock.now = 1000000000ull * TICKS_PER_CYCLE;
    assert_int_equal(in(&f, 0x608, 4), 3579545);
    assert_int_equal(in(&f, 0x60A, 1), 3579545 >> 16 & 0xFF);
    out(&f, 0x602, 2, 0x101);
    assert_false(f.sci.level);
    pmtimer_power_button(&f.pm);
    assert_true(f.sci.level);
    out(&f, 0x600, 2, 0x100);
    assert_false(f.sci.level);
    f.b.clock.now = clock_ticks_from(&f.b.clock, 1ull << 31, PM_TMR_HZ);
    clock_run_due(&f.b.clock);
    assert_true(f.sci.level);
    out(&f, 0x600, 2, 0xFFFF);
    assert_false(f.sci.level);
    pmtimer_sleep_button(&f.pm);
    assert_int_equal(in(&f, 0x600, 2), 0x200);
    assert_false(f.sci.level);
    out(&f, 0x602, 2, 0x200);
    assert_true(f.sci.level);
    out(&f, 0x600, 2, 0x200);
    assert_false(f.sci.level);
    pmtimer_gpe(&f.pm, 9);
    out(&f, 0x60E, 2, 0xFDFF);
    assert_false(f.sci.level);
    assert_int_equal(in(&f, 0x60C, 2), 0x200);
    out(&f, 0x60F, 1, 2);
    assert_true(f.sci.level);
    out(&f, 0x604, 2, 0); /* SCI_EN off */
    assert_false(f.sci.level);
    out(&f, 0x604, 2, 1);
    assert_true(f.sci.level);
    out(&f, 0x60D, 1, 2);
    assert_false(f.sci.level);
    assert_int_equal(in(&f, 0x610, 4), 0);
    out(&f, 0x604, 2, 0x2400); /* neither what \_S5 says nor soft-off */
    assert_int_equal(f.off, 0);
    out(&f, 0x604, 2, 0x3401);
    assert_int_equal(f.off, 1);
    out(&f, 0x604, 2, 0x2000); /* SUS_TYP 0 of the PIIX4 */
    assert_int_equal(f.off, 2);
    board_fini(&f.b);
}

static void hammer(void **state)
{
    static const u16 base[] = { 0x61, 0x80, 0x92, 0xCF8, 0xE0, 0xF4, 0x600, 0x608, 0x8900, 0x2000 };
    struct fixture f;
    (void)state;
    setup(&f);
    board_hammer(&f.b, base, ARRAY_LEN(base), 8, 200000, NULL, NULL);
    board_fini(&f.b);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(odd_ports), cmocka_unit_test(power_management), cmocka_unit_test(hammer) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
