// SPDX-License-Identifier: MIT
#include "apic/lapic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <string.h>

enum { HZ = 1000000000 };

struct fixture {
    struct clock clock;
    struct apic_bus bus;
    struct lapic l[4];
    bool intr[4];
    int nmi[4], init[4], sipi[4], eoi;
};

static void on_intr(void *ctx, int cpu, bool level) { ((struct fixture *)ctx)->intr[cpu] = level; }
static void on_nmi(void *ctx, int cpu) { ((struct fixture *)ctx)->nmi[cpu]++; }
static void on_init(void *ctx, int cpu) { ((struct fixture *)ctx)->init[cpu]++; }
static void on_sipi(void *ctx, int cpu, u8 v) { ((struct fixture *)ctx)->sipi[cpu] = 0x100 | v; }
static int on_pic(void *ctx) { (void)ctx; return 0x77; }
static void on_eoi(void *ctx, u8 v) { ((struct fixture *)ctx)->eoi = v; }

static void setup(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    clock_init(&f->clock, HZ, HZ);
    struct apic_out out = { f, on_intr, on_nmi, NULL, on_init, on_sipi, on_pic, on_eoi, NULL };
    assert_true(apic_bus_init(&f->bus, 4, &out));
    for (int i = 0; i < 4; i++) {
        struct lapic_cfg cfg = { .id = (u32)i, .bsp = !i, .x2apic = true, .tsc_deadline = true, .ext_space = true,
                                 .maxphys = 48, .timer_hz = 100000000 };
        lapic_init(&f->l[i], &f->bus, i, &f->clock, &cfg);
        lapic_reg_write(&f->l[i], 0xF0, 0x1FF);
    }
}

static void run_to(struct fixture *f, u64 ns)
{
    f->clock.now = ns * TICKS_PER_CYCLE;
    clock_run_due(&f->clock);
}

static void reset_values(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    lapic_reset(&f.l[0]);
    assert_int_equal(f.l[0].s.base, 0xFEE00900);
    assert_int_equal(f.l[1].s.base, 0xFEE00800);
    assert_int_equal(lapic_reg_read(&f.l[0], 0x30), 0x80050010);
    assert_int_equal(lapic_reg_read(&f.l[0], 0xF0), 0xFF);
    assert_int_equal(lapic_reg_read(&f.l[0], 0x320), 0x10000);
    assert_int_equal(lapic_reg_read(&f.l[3], 0x20), 0x03000000);
    apic_bus_fini(&f.bus);
}

static void priority(void **state)
{
    struct fixture f;
    struct lapic *l = &f.l[0];
    (void)state;
    setup(&f);
    lapic_set_tpr(l, 0x30);
    apic_bus_deliver(&f.bus, 0, false, false, APIC_FIXED, 0x3F, false);
    assert_false(f.intr[0]);
    lapic_set_tpr(l, 0x2F);
    assert_true(f.intr[0]);
    assert_int_equal(lapic_ack(l), 0x3F);
    assert_int_equal(lapic_ppr(l), 0x30);
    assert_false(f.intr[0]);
    apic_bus_deliver(&f.bus, 0, false, false, APIC_FIXED, 0x30, true);
    assert_false(f.intr[0]); /* same class */
    apic_bus_deliver(&f.bus, 0, false, false, APIC_FIXED, 0x40, false);
    assert_int_equal(lapic_ack(l), 0x40);
    lapic_reg_write(l, 0xB0, 0);
    lapic_reg_write(l, 0xB0, 0);
    assert_int_equal(f.eoi, 0);
    assert_int_equal(lapic_ack(l), 0x30);
    lapic_reg_write(l, 0xB0, 0);
    assert_int_equal(f.eoi, 0x30); /* level-triggered: told */
    assert_int_equal(lapic_ack(l), 0xFF); /* spurious, no ISR bit */
    assert_int_equal(lapic_ppr(l), 0x2F);
    apic_bus_fini(&f.bus);
}

static void ipis(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    lapic_reg_write(&f.l[0], 0x300, 0xC4500); /* INIT to all but self */
    assert_int_equal(f.init[0], 0);
    assert_int_equal(f.init[3], 1);
    lapic_reg_write(&f.l[0], 0x300, 0xC8500); /* de-assert: nothing */
    assert_int_equal(f.init[3], 1);
    lapic_reg_write(&f.l[0], 0x300, 0xC4600);
    assert_int_equal(f.sipi[1], 0x100);
    lapic_reg_write(&f.l[0], 0x310, 2u << 24);
    lapic_reg_write(&f.l[0], 0x300, 0x400);
    assert_int_equal(f.nmi[2], 1);
    assert_int_equal(f.nmi[1], 0);
    lapic_reg_write(&f.l[0], 0x300, 0x40055); /* self */
    assert_true(f.intr[0]);
    /* logical, flat: CPUs 1 and 3 */
    for (unsigned i = 0; i < 4; i++)
        lapic_reg_write(&f.l[i], 0xD0, 1u << (24 + i));
    lapic_reg_write(&f.l[0], 0x310, 0xAu << 24);
    lapic_reg_write(&f.l[0], 0x300, 0x860);
    assert_true(f.intr[1] && f.intr[3]);
    assert_false(f.intr[2]);
    /* lowest priority of 2 and 3: 3 has the higher TPR */
    lapic_set_tpr(&f.l[3], 0x80);
    lapic_reg_write(&f.l[0], 0x310, 0xCu << 24);
    lapic_reg_write(&f.l[0], 0x300, 0x961);
    assert_int_equal(lapic_pending(&f.l[2]), 0x61);
    /* cluster model */
    lapic_reg_write(&f.l[1], 0xE0, 0x0FFFFFFF);
    lapic_reg_write(&f.l[1], 0xD0, 0x21000000);
    assert_int_equal(apic_bus_deliver(&f.bus, 0x21, true, false, APIC_NMI, 0, false), 2); /* l[0] flat bit 0 also */
    /* illegal vector */
    lapic_reg_write(&f.l[0], 0x300, 0x4000F);
    lapic_reg_write(&f.l[0], 0x280, 0);
    assert_int_equal(lapic_reg_read(&f.l[0], 0x280), 0x20);
    apic_bus_fini(&f.bus);
}

/* The timer's interrupt comes at `when`, not a tick before. */
static void expires(struct fixture *f, u64 when, int vector)
{
    run_to(f, when - 1);
    assert_false(f->intr[0]);
    run_to(f, when);
    assert_int_equal(lapic_ack(&f->l[0]), vector);
    lapic_reg_write(&f->l[0], 0xB0, 0);
}

static void timer_modes(void **state)
{
    struct fixture f;
    struct lapic *l = &f.l[0];
    (void)state;
    setup(&f);
    lapic_reg_write(l, 0x3E0, 0xB); /* by 1: 10 ns */
    lapic_reg_write(l, 0x320, 0x41);
    lapic_reg_write(l, 0x380, 100);
    run_to(&f, 999);
    assert_false(f.intr[0]);
    assert_int_equal(lapic_reg_read(l, 0x390), 1);
    run_to(&f, 1000);
    assert_int_equal(lapic_ack(l), 0x41);
    lapic_reg_write(l, 0xB0, 0);
    assert_int_equal(lapic_reg_read(l, 0x390), 0);
    run_to(&f, 5000);
    assert_false(f.intr[0]);
    lapic_reg_write(l, 0x320, 0x20041); /* periodic */
    lapic_reg_write(l, 0x380, 100);
    run_to(&f, 6000);
    assert_int_equal(lapic_ack(l), 0x41);
    lapic_reg_write(l, 0xB0, 0);
    run_to(&f, 6999);
    assert_false(f.intr[0]);
    run_to(&f, 900000000);
    assert_true(f.intr[0]);
    assert_int_equal(lapic_ack(l), 0x41);
    lapic_reg_write(l, 0xB0, 0);
    lapic_reg_write(l, 0x320, 0x40042); /* TSC deadline */
    assert_int_equal(lapic_msr_write(l, 0x6E0, 900001000), 1);
    expires(&f, 900001000, 0x42);
    lapic_set_tsc_offset(l, 0 - 900001000ull); /* the guest sets its TSC back to 0 */
    assert_int_equal(lapic_msr_write(l, 0x6E0, 5000), 1);
    expires(&f, 900006000, 0x42);
    assert_int_equal(lapic_msr_write(l, 0x6E0, ~0ull), 1); /* never */
    run_to(&f, 1900000000);
    assert_false(f.intr[0]);
    lapic_set_tsc_offset(l, 0ull - 1); /* moved again: the deadline is still ahead */
    run_to(&f, 1900001000);
    assert_false(f.intr[0]);
    apic_bus_fini(&f.bus);
}

static void base_modes(void **state)
{
    struct fixture f;
    struct lapic *l = &f.l[1];
    u64 v;
    (void)state;
    setup(&f);
    assert_int_equal(lapic_msr_read(l, 0x802, &v), -1);
    assert_int_equal(lapic_msr_write(l, 0x1B, 0xFEE00400), -1);
    assert_int_equal(lapic_msr_write(l, 0x1B, 0xFEE00C00), 1);
    assert_true(lapic_mmio_page(l) == ~0ull);
    assert_int_equal(lapic_msr_read(l, 0x802, &v), 1);
    assert_int_equal(v, 1);
    assert_int_equal(lapic_msr_read(l, 0x80D, &v), 1);
    assert_int_equal(v, 2);
    assert_int_equal(lapic_msr_read(l, 0x80E, &v), -1);
    assert_int_equal(lapic_msr_write(l, 0x80B, 1), -1);
    assert_int_equal(lapic_msr_write(l, 0x83F, 0x50), 1);
    assert_int_equal(lapic_ack(l), 0x50);
    assert_int_equal(lapic_msr_write(l, 0x830, 2ull << 32 | 0x400), 1);
    assert_int_equal(f.nmi[2], 1);
    assert_int_equal(lapic_msr_write(l, 0x1B, 0xFEE00800), -1);
    assert_int_equal(lapic_msr_write(l, 0x1B, 0xFEE00000), 1);
    assert_int_equal(lapic_msr_write(l, 0x1B, 0xFEE00C00), -1);
    assert_int_equal(lapic_msr_write(l, 0x1B, 0x123000800), 1);
    assert_true(lapic_mmio_page(l) == 0x123000000);
    assert_int_equal(lapic_msr_write(l, 0x1B, 1ull << 50), -1);
    assert_int_equal(lapic_msr_read(l, 0x7FF, &v), 0);
    apic_bus_fini(&f.bus);
}

static void extint(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    apic_bus_set_intr(&f.bus, true);
    assert_false(f.intr[0]);
    lapic_virtual_wire(&f.l[0]);
    assert_true(f.intr[0]);
    assert_false(f.intr[1]);
    assert_int_equal(lapic_ack(&f.l[0]), 0x77);
    apic_bus_set_intr(&f.bus, false);
    assert_false(f.intr[0]);
    apic_bus_nmi(&f.bus);
    assert_int_equal(f.nmi[0], 1);
    assert_int_equal(f.nmi[1], 0);
    apic_bus_fini(&f.bus);
}

static void hammer(void **state)
{
    struct fixture f;
    u64 r = 88172645463325252ull, v;
    (void)state;
    setup(&f);
    for (unsigned i = 0; i < 200000; i++) {
        r ^= r << 13, r ^= r >> 7, r ^= r << 17;
        struct lapic *l = &f.l[r & 3];
        unsigned width = 1u << (r >> 2 & 3), off = (r >> 8 & 0xFFF) & ~(width - 1);
        switch (r >> 4 & 7) {
        case 0: lapic_mmio_ops.read(l, off, width, 0); break;
        case 1: lapic_msr_read(l, 0x800 + (off & 0xFF), &v); break;
        case 2: lapic_msr_write(l, 0x800 + (off & 0xFF), r >> 20); break;
        case 3: lapic_ack(l); break;
        case 4: f.clock.now += r >> 40; clock_run_due(&f.clock); break;
        case 5: lapic_set_lint(l, off & 1, width & 1); break;
        case 6: lapic_msr_write(l, off & 1 ? 0x1B : 0x6E0, r >> 20 & 0xFEE00FFF); break;
        default: lapic_mmio_ops.write(l, off & ~15u, 4, r >> 20, 0); break;
        }
        assert_int_equal(f.intr[l->cpu], lapic_has_intr(l));
    }
    apic_bus_fini(&f.bus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reset_values), cmocka_unit_test(priority), cmocka_unit_test(ipis), cmocka_unit_test(timer_modes),
        cmocka_unit_test(base_modes), cmocka_unit_test(extint), cmocka_unit_test(hammer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
