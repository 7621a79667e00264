// SPDX-License-Identifier: MIT
/* What comes from outside reaches a vCPU's local APIC by the way that the guest has programmed: buttons and general-purpose events as SCI through
 * the I/O APIC and the 8259, local sources through the LVT and its extension. */
#include "machine/machine.h"

#include "base/bits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { LAPIC = 0xFEE00000, IOAPIC = 0xFEC00000, PM_STATUS = 0x600, PM_ENABLE = 0x602, GPE_STATUS = 0x60C, GPE_ENABLE = 0x60E };

static struct svmemu *create(unsigned vcpus)
{
    const struct svmemu_config cfg = { .memory = 4 << 20, .vcpus = vcpus, .flags = SVMEMU_PC };
    struct svmemu *m;
    assert_int_equal(svmemu_create(&cfg, &m), SVMEMU_OK);
    piix_set_pmba(&m->pc->piix, PM_PORT); /* as firmware does */
    for (unsigned i = 0; i < vcpus; i++)
        lapic_reg_write(&m->lapic[i], 0xF0, 0x1FF);
    return m;
}

static void apic(struct svmemu *m, unsigned cpu, unsigned reg, u32 v) { phys_write_le(&m->cpu[cpu]->view, (struct spa){ LAPIC + reg }, 4, v); }

static void route(struct svmemu *m, unsigned pin, u32 low, u32 high)
{
    const struct { u32 select, value; } w[] = { { 0x11 + 2 * pin, high }, { 0x10 + 2 * pin, low } };
    for (unsigned i = 0; i < 2; i++) {
        phys_write_le(&m->view, (struct spa){ IOAPIC }, 4, w[i].select);
        phys_write_le(&m->view, (struct spa){ IOAPIC + 0x10 }, 4, w[i].value);
    }
}

/* The vector that a vCPU would take now, taken and ended; -1: none. */
static int taken(struct svmemu *m, unsigned cpu)
{
    if (!(m->cpu[cpu]->pending & PEND_INTR))
        return -1;
    int v = m->ops.ack_intr(m, (int)cpu);
    apic(m, cpu, 0xB0, 0);
    return v;
}

static void out(struct svmemu *m, u16 port, u16 v) { port_write(m->bus, port, 2, v, 0); }
static u16 in(struct svmemu *m, u16 port) { return (u16)port_read(m->bus, port, 2, 0); }

/* Level-triggered SCI: again and again until the status bit is cleared, then never. */
static void buttons(void **state)
{
    static const struct { enum svmemu_button button; u16 bit; } rows[] = { { SVMEMU_BUTTON_POWER, 1 << 8 }, { SVMEMU_BUTTON_SLEEP, 1 << 9 } };
    struct svmemu *m = create(2);
    (void)state;
    route(m, 9, 0x8059, 1u << 24); /* level, active high, to the second vCPU */
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(svmemu_button(m, rows[i].button), SVMEMU_OK);
        assert_int_equal(in(m, PM_STATUS), rows[i].bit);
        assert_int_equal(taken(m, 1), -1); /* not enabled */
        out(m, PM_ENABLE, rows[i].bit);
        assert_int_equal(taken(m, 0), -1);
        assert_int_equal(taken(m, 1), 0x59);
        assert_int_equal(taken(m, 1), 0x59);
        out(m, PM_STATUS, 0xFFFF & ~rows[i].bit); /* the others' bits do not clear it */
        assert_int_equal(in(m, PM_STATUS), rows[i].bit);
        assert_int_equal(taken(m, 1), 0x59);
        out(m, PM_STATUS, rows[i].bit);
        taken(m, 1); /* what was requested before the line fell */
        assert_int_equal(taken(m, 1), -1);
        assert_int_equal(in(m, PM_STATUS), 0);
    }
    assert_int_equal(svmemu_button(m, 2), SVMEMU_ARGUMENT);
    svmemu_destroy(m);
}

/* The same by the 8259, line 9, level-triggered by ELCR. */
static void button_by_8259(void **state)
{
    static const struct { u16 port; u8 v; } words[] = { { 0x20, 0x11 }, { 0x21, 0x20 }, { 0x21, 4 }, { 0x21, 3 }, { 0xA0, 0x11 }, { 0xA1, 0x28 },
                                                        { 0xA1, 2 }, { 0xA1, 3 }, { 0x21, 0 }, { 0xA1, 0 }, { 0x4D1, 2 } };
    struct svmemu *m = create(1);
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(words); i++)
        port_write(m->bus, words[i].port, 1, words[i].v, 0);
    apic(m, 0, 0x350, 0x700); /* LINT0: ExtINT */
    out(m, PM_ENABLE, 1 << 8);
    assert_int_equal(taken(m, 0), -1);
    svmemu_button(m, SVMEMU_BUTTON_POWER);
    assert_int_equal(taken(m, 0), 0x29);
    assert_int_equal(taken(m, 0), 0x29);
    out(m, PM_STATUS, 1 << 8);
    assert_int_equal(taken(m, 0), -1);
    svmemu_destroy(m);
}

static void general_purpose_events(void **state)
{
    struct svmemu *m = create(1);
    (void)state;
    route(m, 9, 0x8061, 0);
    for (unsigned n = 0; n < 16; n++) {
        assert_int_equal(svmemu_gpe(m, n), SVMEMU_OK);
        assert_int_equal(in(m, GPE_STATUS), 1u << n);
        assert_int_equal(taken(m, 0), -1);
        out(m, GPE_ENABLE, (u16)(1u << n));
        assert_int_equal(taken(m, 0), 0x61);
        out(m, GPE_STATUS, (u16)(1u << n));
        taken(m, 0);
        assert_int_equal(taken(m, 0), -1);
        out(m, GPE_ENABLE, 0);
    }
    assert_int_equal(svmemu_gpe(m, 16), SVMEMU_ARGUMENT);
    svmemu_destroy(m);
}

static void local_sources(void **state)
{
    static const u16 entry[] = { 0x330, 0x340, 0x500, 0x510, 0x520, 0x530 }; /* by enum svmemu_local */
    struct svmemu *m = create(2);
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(entry); i++) {
        assert_int_equal(svmemu_local_interrupt(m, 1, i), SVMEMU_OK); /* masked after reset */
        assert_int_equal(taken(m, 1), -1);
        apic(m, 1, entry[i], 0x71 + i);
        assert_int_equal(svmemu_local_interrupt(m, 1, i), SVMEMU_OK);
        assert_int_equal(taken(m, 0), -1);
        assert_int_equal(taken(m, 1), 0x71 + (int)i);
        apic(m, 1, entry[i], 0x400);
        assert_int_equal(svmemu_local_interrupt(m, 1, i), SVMEMU_OK);
        assert_true(m->cpu[1]->pending & PEND_NMI);
        m->cpu[1]->pending &= ~(unsigned)PEND_NMI;
        apic(m, 1, entry[i], 0x10000);
    }
    assert_int_equal(svmemu_local_interrupt(m, 1, ARRAY_LEN(entry)), SVMEMU_ARGUMENT);
    assert_int_equal(svmemu_local_interrupt(m, 2, 0), SVMEMU_ARGUMENT);
    svmemu_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(buttons), cmocka_unit_test(button_by_8259), cmocka_unit_test(general_purpose_events),
                                        cmocka_unit_test(local_sources) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
