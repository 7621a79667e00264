// SPDX-License-Identifier: MIT
/* INIT resets a local APIC when the processor takes it, not when it is sent: GIF holds it, an intercept and VM_CR.R_INIT make something
 * else of it. [APM2 14.1.3, 15.17, 15.28] */
#include "machine/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { LOOP = 0x1000 };

static int setup(void **state)
{
    const struct svmemu_config cfg = { .memory = 1 << 20, .vcpus = 2 };
    static const u8 loop[] = { 0xEB, 0xFE };
    struct svmemu *m;
    assert_int_equal(svmemu_create(&cfg, &m), SVMEMU_OK);
    assert_int_equal(svmemu_mem_write(m, LOOP, loop, sizeof loop), SVMEMU_OK);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(svmemu_set_mode(m, i, 32, 0), SVMEMU_OK);
        assert_int_equal(svmemu_reg_write(m, i, "rip", LOOP), SVMEMU_OK);
        m->cpu[i]->st.rflags &= ~(u64)FL_IF;
        lapic_reg_write(&m->lapic[i], 0xF0, 0x1EE);
        lapic_reg_write(&m->lapic[i], 0xD0, 0x55000000);
        lapic_reg_write(&m->lapic[i], 0x370, 0x99);
    }
    m->cpu[1]->st.activity = ACT_RUN;
    *state = m;
    return 0;
}

static int teardown(void **state)
{
    svmemu_destroy(*state);
    return 0;
}

static void send_init(struct svmemu *m)
{
    lapic_reg_write(&m->lapic[0], 0x310, 1u << 24);
    lapic_reg_write(&m->lapic[0], 0x300, 0x4500);
}

static void run(struct svmemu *m)
{
    struct svmemu_stop stop;
    assert_int_equal(svmemu_run(m, 100000, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
    assert_int_equal(stop.reason, SVMEMU_STOP_LIMIT_INSNS);
}

static bool apic_is_reset(struct svmemu *m)
{
    struct lapic *l = &m->lapic[1];
    bool svr = lapic_reg_read(l, 0xF0) == 0xFF, ldr = lapic_reg_read(l, 0xD0) == 0, lvt = lapic_reg_read(l, 0x370) == 0x10000;
    assert_true(svr == ldr && ldr == lvt);
    return svr;
}

static void taken(void **state)
{
    struct svmemu *m = *state;
    send_init(m);
    assert_false(apic_is_reset(m)); /* sent, not yet taken */
    lapic_reg_write(&m->lapic[0], 0x300, 0x40EE); /* accepted by the old APIC, and gone with it */
    run(m);
    assert_true(apic_is_reset(m));
    assert_int_equal(m->cpu[1]->st.activity, ACT_WAIT_SIPI);
    assert_int_equal(lapic_reg_read(&m->lapic[1], 0x270), 0);
    assert_int_equal(lapic_reg_read(&m->lapic[1], 0x20), 0x01000000); /* id and base are kept */
    assert_int_equal(m->lapic[1].s.base, 0xFEE00800);
    assert_int_equal(m->cpu[1]->pending & PEND_INTR, 0);
}

static void held_by_gif(void **state)
{
    struct svmemu *m = *state;
    m->cpu[1]->st.gif = false;
    send_init(m);
    run(m);
    assert_false(apic_is_reset(m));
    assert_int_equal(m->cpu[1]->st.activity, ACT_RUN);
    assert_int_equal(m->cpu[1]->st.rip, LOOP);
    m->cpu[1]->st.gif = true;
    run(m);
    assert_true(apic_is_reset(m));
    assert_int_equal(m->cpu[1]->st.activity, ACT_WAIT_SIPI);
}

/* R_INIT: #SX instead, and the INIT is gone. An empty IDT makes the #SX a shutdown. */
static void redirected(void **state)
{
    struct svmemu *m = *state;
    struct svmemu_stop stop;
    m->cpu[1]->st.vm_cr |= 2;
    m->cpu[1]->st.idtr.limit = 0;
    send_init(m);
    assert_int_equal(svmemu_run(m, 100000, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
    assert_int_equal(stop.reason, SVMEMU_STOP_SHUTDOWN);
    assert_false(apic_is_reset(m));
    assert_int_equal(m->cpu[1]->pending & PEND_INIT, 0);
}

/* The boot processor runs again, in real mode. */
static void boot_processor(void **state)
{
    struct svmemu *m = *state;
    lapic_reg_write(&m->lapic[1], 0x310, 0);
    lapic_reg_write(&m->lapic[1], 0x300, 0x4500);
    m->cpu[1]->st.activity = ACT_WAIT_SIPI;
    struct svmemu_stop stop;
    assert_int_equal(svmemu_run(m, 1, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
    assert_int_equal(m->cpu[0]->st.activity, ACT_RUN);
    assert_int_equal(m->cpu[0]->st.cr0 & CR0_PE, 0);
    assert_int_equal(lapic_reg_read(&m->lapic[0], 0xF0), 0xFF);
}

/* What a loader's firmware leaves: xAPIC mode up to 255 processors; beyond, ids that only x2APIC mode can name, and the MADT says so. */
static void many_processors(void **state)
{
    (void)state;
    for (unsigned n = 255; n <= 300; n += 45) {
        const struct svmemu_config cfg = { .memory = 2 << 20, .vcpus = n, .cpu = "max", .flags = SVMEMU_PC };
        struct svmemu *m;
        static u8 area[0x10000];
        unsigned narrow = 0, wide = 0;
        assert_int_equal(svmemu_create(&cfg, &m), SVMEMU_OK);
        assert_int_equal(firmware_setup(m), SVMEMU_OK);
        for (unsigned i = 0; i < n; i++)
            assert_int_equal(m->lapic[i].s.base, 0xFEE00800 | (i ? 0 : 0x100) | (n > 255 ? 0x400 : 0));
        assert_int_equal(svmemu_mem_read(m, 0xE0000, area, sizeof area), SVMEMU_OK);
        u32 at = 0;
        while (at < sizeof area - 8 && memcmp(area + at, "APIC", 4))
            at += 4;
        u32 end = at + (u32)load_le(area + at + 4, 4);
        assert_true(end < sizeof area);
        for (at += 44; at < end; at += area[at + 1]) {
            if (area[at] == 0) { /* processor local APIC: 8-bit id */
                assert_int_equal(area[at + 3], narrow);
                narrow++;
            } else if (area[at] == 9) { /* processor local x2APIC: 32-bit id, processor uid */
                assert_int_equal(load_le(area + at + 4, 4), narrow + wide);
                assert_int_equal(load_le(area + at + 12, 4), narrow + wide);
                wide++;
            }
        }
        assert_int_equal(narrow, 255);
        assert_int_equal(wide, n - 255);
        svmemu_destroy(m);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = { T(taken), T(held_by_gif), T(redirected), T(boot_processor),
                                        cmocka_unit_test(many_processors) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
