// SPDX-License-Identifier: MIT
/* Messages to local APICs by the manual's rules: ICR of every kind and shorthand, logical modes, lowest priority, x2APIC ids above 255,
 * MSI, error status, local vector table, AMD's extended registers. [APM2 16.3-16.7, 16.13-16.15] [PCI 3.0 6.8.1] */
#include "apic/lapic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <string.h>

enum { CPUS = 6, BIG = 300 }; /* the last one has id 300 */
enum { ICR = 0x300, ICR_HI = 0x310, ESR = 0x280, SELF = 1 << 18, ALL = 2 << 18, OTHERS = 3 << 18, LOGICAL = 1 << 11, LEVEL = 3 << 14 };

struct fixture {
    struct clock clock;
    struct apic_bus bus;
    struct lapic l[CPUS];
    int nmi[CPUS], smi[CPUS], init[CPUS], sipi[CPUS], eoi;
};

static void on_nmi(void *ctx, int cpu) { ((struct fixture *)ctx)->nmi[cpu]++; }
static void on_smi(void *ctx, int cpu) { ((struct fixture *)ctx)->smi[cpu]++; }
static void on_init(void *ctx, int cpu) { ((struct fixture *)ctx)->init[cpu]++; }
static void on_sipi(void *ctx, int cpu, u8 v) { ((struct fixture *)ctx)->sipi[cpu] = 0x100 | v; }
static void on_eoi(void *ctx, u8 v) { ((struct fixture *)ctx)->eoi = v; }

static int setup(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    memset(f, 0, sizeof(*f));
    clock_init(&f->clock, 1000000000, 1000000000);
    const struct apic_out out = { .ctx = f, .nmi = on_nmi, .smi = on_smi, .init = on_init, .sipi = on_sipi, .eoi = on_eoi };
    assert_true(apic_bus_init(&f->bus, CPUS, &out));
    for (int i = 0; i < CPUS; i++) {
        const struct lapic_cfg cfg = { .id = i == CPUS - 1 ? BIG : (u32)i, .bsp = !i, .x2apic = true, .ext_space = true, .maxphys = 48 };
        lapic_init(&f->l[i], &f->bus, i, &f->clock, &cfg);
        lapic_reg_write(&f->l[i], 0xF0, 0x1FF);
        lapic_reg_write(&f->l[i], 0xD0, i < 5 ? 1u << (24 + i) : 0);
    }
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    apic_bus_fini(&((struct fixture *)*state)->bus);
    return 0;
}

static void ipi(struct fixture *f, int from, u8 dest, u32 low)
{
    lapic_reg_write(&f->l[from], ICR_HI, (u32)dest << 24);
    lapic_reg_write(&f->l[from], ICR, low);
}

static void x2_ipi(struct fixture *f, int from, u32 dest, u32 low)
{
    assert_int_equal(lapic_msr_write(&f->l[from], 0x830, (u64)dest << 32 | low), 1);
}

static void all_x2(struct fixture *f)
{
    for (int i = 0; i < CPUS; i++)
        assert_int_equal(lapic_msr_write(&f->l[i], 0x1B, 0xFEE00C00 | (i ? 0 : 0x100)), 1);
}

/* Which CPUs have the vector requested, as a bit mask; the requests are withdrawn. */
static unsigned who(struct fixture *f, u8 v)
{
    unsigned m = 0;
    for (int i = 0; i < CPUS; i++) {
        m |= (f->l[i].s.irr[v >> 5] >> (v & 31) & 1) << i;
        f->l[i].s.irr[v >> 5] &= ~(1u << (v & 31));
    }
    return m;
}

static unsigned hits(int *count)
{
    unsigned m = 0;
    for (int i = 0; i < CPUS; i++) {
        m |= (unsigned)(count[i] != 0) << i;
        count[i] = 0;
    }
    return m;
}

static u32 esr(struct lapic *l)
{
    lapic_reg_write(l, ESR, 0xFFFFFFFF); /* any write latches what was noted since the last one */
    return lapic_reg_read(l, ESR);
}

static void shorthands(void **state)
{
    struct fixture *f = *state;
    ipi(f, 2, 0, SELF | 0x40);
    assert_int_equal(who(f, 0x40), 0x04);
    ipi(f, 2, 0, ALL | 0x41);
    assert_int_equal(who(f, 0x41), 0x3F);
    ipi(f, 2, 0, OTHERS | 0x42);
    assert_int_equal(who(f, 0x42), 0x3B);
    ipi(f, 2, 0, OTHERS | 0x400);
    assert_int_equal(hits(f->nmi), 0x3B);
    ipi(f, 2, 0, OTHERS | 0x200);
    assert_int_equal(hits(f->smi), 0x3B);
    ipi(f, 2, 0, OTHERS | LEVEL | 0x500);
    assert_int_equal(hits(f->init), 0x3B);
    ipi(f, 2, 0, OTHERS | 0x8500); /* level de-assert */
    assert_int_equal(hits(f->init), 0);
    ipi(f, 2, 0, OTHERS | 0x699);
    for (int i = 0; i < CPUS; i++)
        assert_int_equal(f->sipi[i], i == 2 ? 0 : 0x199);
    ipi(f, 2, 0, SELF | 0x400); /* self has fixed interrupts only */
    ipi(f, 2, 0, SELF | 0x200);
    assert_int_equal(hits(f->nmi) | hits(f->smi), 0);
    assert_int_equal(lapic_reg_read(&f->l[2], ICR) & 1 << 12, 0); /* never pending */
}

static void physical(void **state)
{
    struct fixture *f = *state;
    ipi(f, 0, 3, 0x50);
    assert_int_equal(who(f, 0x50), 0x08);
    ipi(f, 0, 0xFF, 0x51);
    assert_int_equal(who(f, 0x51), 0x3F);
    ipi(f, 0, BIG & 0xFF, 0x52); /* eight bits do not name id 300 */
    assert_int_equal(who(f, 0x52), 0);
    assert_int_equal(esr(&f->l[0]), 0x04); /* sent, and nobody accepted */
    lapic_reg_write(&f->l[4], 0xF0, 0x0FF);
    ipi(f, 0, 4, 0x53); /* software-disabled: no fixed interrupts */
    assert_int_equal(who(f, 0x53), 0);
    assert_int_equal(esr(&f->l[0]), 0x04);
    ipi(f, 0, 4, 0x400); /* but NMI, INIT and SIPI */
    ipi(f, 0, 4, LEVEL | 0x500);
    ipi(f, 0, 4, 0x612);
    assert_int_equal(hits(f->nmi), 0x10);
    assert_int_equal(hits(f->init), 0x10);
    assert_int_equal(f->sipi[4], 0x112);
    assert_int_equal(esr(&f->l[0]), 0);
    ipi(f, 0, 1, LEVEL | 0x54); /* a level-triggered message: its EOI is broadcast */
    assert_int_equal(lapic_ack(&f->l[1]), 0x54);
    lapic_reg_write(&f->l[1], 0xB0, 0);
    assert_int_equal(f->eoi, 0x54);
}

static void logical(void **state)
{
    struct fixture *f = *state;
    ipi(f, 0, 0x0A, LOGICAL | 0x60);
    assert_int_equal(who(f, 0x60), 0x0A);
    ipi(f, 0, 0xFF, LOGICAL | 0x61);
    assert_int_equal(who(f, 0x61), 0x3F);
    for (int i = 0; i < CPUS; i++) { /* clusters of two: 0, 1, 2 */
        lapic_reg_write(&f->l[i], 0xE0, 0);
        lapic_reg_write(&f->l[i], 0xD0, (u32)((i >> 1) << 4 | 1 << (i & 1)) << 24);
    }
    assert_int_equal(lapic_reg_read(&f->l[0], 0xE0), 0x0FFFFFFF); /* only the model can be written */
    ipi(f, 0, 0x13, LOGICAL | 0x62);
    assert_int_equal(who(f, 0x62), 0x0C);
    ipi(f, 0, 0x21, LOGICAL | 0x63);
    assert_int_equal(who(f, 0x63), 0x10);
    ipi(f, 0, 0xF2, LOGICAL | 0x64); /* cluster 15: all of them */
    assert_int_equal(who(f, 0x64), 0x2A);
    ipi(f, 0, 0x31, LOGICAL | 0x65);
    assert_int_equal(who(f, 0x65), 0);
}

/* Lowest arbitration priority: the largest class of TPR, ISR and IRR; the focus processor first. */
static void lowest(void **state)
{
    struct fixture *f = *state;
    static const u8 tpr[CPUS] = { 0x50, 0x40, 0x30, 0x20, 0x60, 0x70 };
    for (int i = 0; i < CPUS; i++)
        lapic_set_tpr(&f->l[i], tpr[i]);
    ipi(f, 0, 0x1F, LOGICAL | 0x180);
    assert_int_equal(lapic_reg_read(&f->l[3], 0x90), 0x80); /* APR: the request counts */
    assert_int_equal(lapic_reg_read(&f->l[3], 0xA0), 0x20); /* PPR: it does not */
    ipi(f, 0, 0x1F, LOGICAL | 0x181);
    assert_int_equal(who(f, 0x81), 0x04);
    ipi(f, 0, 0x1F, LOGICAL | 0x180);
    assert_int_equal(who(f, 0x80), 0x08); /* the focus has it pending already */
    ipi(f, 3, 0, OTHERS | 0x182);
    assert_int_equal(who(f, 0x82), 0x04);
    ipi(f, 2, 0, OTHERS | 0x183);
    assert_int_equal(who(f, 0x83), 0x08);
    for (int i = 0; i < CPUS; i++) /* equal: the first */
        lapic_set_tpr(&f->l[i], 0);
    ipi(f, 2, 0x1C, LOGICAL | 0x184);
    assert_int_equal(who(f, 0x84), 0x04);
}

static void remote_read(void **state)
{
    struct fixture *f = *state;
    lapic_set_tpr(&f->l[3], 0x5A);
    ipi(f, 0, 3, 0x300 | 0x08);
    assert_int_equal(lapic_reg_read(&f->l[0], ICR) >> 16 & 3, 2);
    assert_int_equal(lapic_reg_read(&f->l[0], 0xC0), 0x5A);
    ipi(f, 0, 99, 0x300 | 0x08);
    assert_int_equal(lapic_reg_read(&f->l[0], ICR) >> 16 & 3, 0); /* invalid */
}

static void x2apic(void **state)
{
    struct fixture *f = *state;
    u64 v;
    ipi(f, 0, 0xFF, 0x70); /* the id of 300 reads as its low byte in xAPIC mode */
    who(f, 0x70);
    assert_int_equal(lapic_reg_read(&f->l[5], 0x20), (u32)(BIG & 0xFF) << 24);
    all_x2(f);
    assert_int_equal(lapic_msr_read(&f->l[5], 0x802, &v), 1);
    assert_int_equal(v, BIG);
    assert_int_equal(lapic_msr_read(&f->l[5], 0x80D, &v), 1);
    assert_int_equal(v, 0x121000); /* 300 = 18 * 16 + 12 */
    x2_ipi(f, 0, BIG, 0x71);
    assert_int_equal(who(f, 0x71), 0x20);
    x2_ipi(f, 0, BIG, LEVEL | 0x500);
    x2_ipi(f, 0, BIG, 0x608);
    assert_int_equal(hits(f->init), 0x20);
    assert_int_equal(f->sipi[5], 0x108);
    x2_ipi(f, 0, 0xFFFFFFFF, 0x72);
    assert_int_equal(who(f, 0x72), 0x3F);
    x2_ipi(f, 0, 0xFF, 0x73); /* not all any more: an id that nobody has */
    assert_int_equal(who(f, 0x73), 0);
    x2_ipi(f, 0, 0x0000000A, LOGICAL | 0x74); /* cluster 0, members 1 and 3 */
    assert_int_equal(who(f, 0x74), 0x0A);
    x2_ipi(f, 0, 0x00121000, LOGICAL | 0x75);
    assert_int_equal(who(f, 0x75), 0x20);
    x2_ipi(f, 0, 0x00120FFF, LOGICAL | 0x76);
    assert_int_equal(who(f, 0x76), 0);
    lapic_set_tpr(&f->l[1], 0x30);
    x2_ipi(f, 0, 0x0000000A, LOGICAL | 0x177); /* lowest priority */
    assert_int_equal(who(f, 0x77), 0x08);
    x2_ipi(f, 4, 0, OTHERS | 0x78);
    assert_int_equal(who(f, 0x78), 0x2F);
    assert_int_equal(lapic_msr_read(&f->l[4], 0x830, &v), 1);
    assert_int_equal(v, OTHERS | 0x78);
    assert_int_equal(lapic_msr_write(&f->l[4], 0x83F, 0x79), 1); /* SELF_IPI */
    assert_int_equal(who(f, 0x79), 0x10);
    assert_int_equal(lapic_msr_read(&f->l[4], 0x83F, &v), -1); /* write-only */
    assert_int_equal(lapic_msr_write(&f->l[4], 0x83F, 0x100), -1);
    assert_int_equal(lapic_msr_write(&f->l[4], 0x831, 0), -1); /* ICR high is part of 830h */
    assert_int_equal(lapic_msr_write(&f->l[4], 0x830, 1u << 20), -1);
    assert_int_equal(lapic_msr_write(&f->l[4], 0x802, 1), -1);
    assert_int_equal(lapic_msr_write(&f->l[4], 0x80D, 1), -1);
    assert_int_equal(lapic_msr_write(&f->l[4], 0x828, 1), -1); /* ESR takes zero only */
    /* Messages of I/O APICs and MSI have eight bits, whatever the mode: 300 is out of their reach, FFh is all. */
    assert_int_equal(apic_bus_deliver(&f->bus, BIG & 0xFF, false, false, APIC_FIXED, 0x7A, false), 0);
    assert_int_equal(apic_bus_deliver(&f->bus, 0xFF, false, false, APIC_FIXED, 0x7A, false), CPUS);
    assert_int_equal(who(f, 0x7A), 0x3F);
    assert_int_equal(apic_bus_deliver(&f->bus, 0x06, true, false, APIC_FIXED, 0x7B, false), 2); /* cluster 0 */
    assert_int_equal(who(f, 0x7B), 0x06);
}

static void msi(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(apic_bus_msi(&f->bus, 0xFEE03000, 0x41), 1);
    assert_int_equal(who(f, 0x41), 0x08);
    assert_int_equal(apic_bus_msi(&f->bus, 0xFEEFF000, 0x42), CPUS);
    assert_int_equal(who(f, 0x42), 0x3F);
    assert_int_equal(apic_bus_msi(&f->bus, 0xFEE06004, 0x43), 2); /* logical */
    assert_int_equal(who(f, 0x43), 0x06);
    lapic_set_tpr(&f->l[1], 0x20);
    assert_int_equal(apic_bus_msi(&f->bus, 0xFEE0600C, 0x44), 1); /* redirection hint: one of them */
    assert_int_equal(who(f, 0x44), 0x04);
    assert_int_equal(apic_bus_msi(&f->bus, 0xFEE06004, 0x145), 1); /* lowest priority */
    assert_int_equal(who(f, 0x45), 0x04);
    assert_int_equal(apic_bus_msi(&f->bus, 0xFEE02000, 0x0400), 1);
    assert_int_equal(hits(f->nmi), 0x04);
    assert_int_equal(apic_bus_msi(&f->bus, 0xFEE02000, 0x0200), 1);
    assert_int_equal(hits(f->smi), 0x04);
    assert_int_equal(apic_bus_msi(&f->bus, 0xFEE02000, 0x0500), 1);
    assert_int_equal(hits(f->init), 0x04);
    assert_int_equal(apic_bus_msi(&f->bus, 0xFEE02000, 0x0346), 0); /* reserved modes */
    assert_int_equal(apic_bus_msi(&f->bus, 0xFEE02000, 0x0646), 0);
    assert_int_equal(f->sipi[2], 0);
    assert_int_equal(apic_bus_msi(&f->bus, 0xFEE02010, 0x46), 0); /* a remapper's format */
    assert_int_equal(apic_bus_msi(&f->bus, 0xFEF02000, 0x46), 0); /* not an interrupt address */
    assert_int_equal(apic_bus_msi(&f->bus, 0x1FEE02000, 0x46), 0);
    assert_int_equal(apic_bus_msi(&f->bus, 0xFEE02000, 0x8046), 0); /* level, de-assert */
    assert_int_equal(who(f, 0x46), 0);
    assert_int_equal(apic_bus_msi(&f->bus, 0xFEE02000, 0xC046), 1);
    assert_int_equal(f->l[2].s.tmr[2] >> 6 & 1, 1);
    assert_int_equal(apic_bus_msi(&f->bus, 0xFEE02000, 0x0F), 0); /* illegal vector: the receiver notes it */
    assert_int_equal(esr(&f->l[2]), 0x40);
}

static void errors(void **state)
{
    struct fixture *f = *state;
    struct lapic *l = &f->l[0];
    lapic_reg_write(l, 0x370, 0xE1); /* error LVT */
    ipi(f, 0, 1, 0x0F);
    assert_int_equal(lapic_reg_read(l, ESR), 0); /* latched by a write only */
    assert_int_equal(lapic_ack(l), 0xE1);
    assert_int_equal(esr(l), 0x20); /* sent an illegal vector */
    assert_int_equal(lapic_reg_read(l, ESR), 0x20);
    assert_int_equal(esr(l), 0);
    ipi(f, 0, 0, OTHERS | 0x100); /* lowest priority too */
    assert_int_equal(esr(l), 0x20);
    assert_int_equal(esr(&f->l[1]), 0);
    ipi(f, 0, 0, OTHERS | 0x403); /* an NMI's vector does not matter */
    assert_int_equal(esr(l), 0);
    lapic_reg_read(l, 0x40);
    assert_int_equal(esr(l), 0x80);
    lapic_reg_write(l, 0x3F0, 1); /* exists in x2APIC mode only */
    assert_int_equal(esr(l), 0x80);
    lapic_reg_read(l, 0x540);
    lapic_reg_read(l, 0xFF0);
    assert_int_equal(esr(l), 0x80);
    lapic_reg_write(l, 0x320, 0x05); /* the timer with an illegal vector */
    lapic_reg_write(l, 0x380, 1);
    f->clock.now = 1000000000ull * TICKS_PER_CYCLE;
    clock_run_due(&f->clock);
    assert_int_equal(esr(l), 0x40);
    lapic_reg_write(l, 0x370, 0x03); /* an error LVT that is in error: ends */
    ipi(f, 0, 1, 0x01);
    assert_int_equal(esr(l), 0x60);
    lapic_reg_write(l, 0x370, 0x104E2); /* masked, and mode is not writable */
    assert_int_equal(lapic_reg_read(l, 0x370), 0x100E2);
    all_x2(f);
    assert_int_equal(lapic_msr_write(l, 0x83F, 0x0F), 1); /* SELF_IPI with an illegal vector */
    u64 v;
    assert_int_equal(lapic_msr_write(l, 0x828, 0), 1);
    assert_int_equal(lapic_msr_read(l, 0x828, &v), 1);
    assert_int_equal(v, 0x20);
    assert_int_equal(lapic_msr_read(l, 0x804, &v), -1); /* #GP, and no error noted */
    assert_int_equal(lapic_msr_write(l, 0x828, 0), 1);
    assert_int_equal(lapic_msr_read(l, 0x828, &v), 1);
    assert_int_equal(v, 0);
}

static void local_vectors(void **state)
{
    struct fixture *f = *state;
    struct lapic *l = &f->l[0];
    static const struct { u16 reg; u8 lvt; } rows[] = { { 0x330, LVT_THERMAL }, { 0x340, LVT_PERF } };
    for (unsigned i = 0; i < 2; i++) {
        lapic_reg_write(l, rows[i].reg, 0xFFFFFFFF);
        assert_int_equal(lapic_reg_read(l, rows[i].reg), 0x107FF);
        lapic_local_event(l, rows[i].lvt); /* masked */
        lapic_reg_write(l, rows[i].reg, 0x91);
        lapic_local_event(l, rows[i].lvt);
        assert_int_equal(lapic_ack(l), 0x91);
        lapic_reg_write(l, 0xB0, 0);
        lapic_reg_write(l, rows[i].reg, 0x491);
        lapic_local_event(l, rows[i].lvt);
        assert_int_equal(hits(f->nmi), 1);
        lapic_reg_write(l, rows[i].reg, 0x291);
        lapic_local_event(l, rows[i].lvt);
        assert_int_equal(hits(f->smi), 1);
        lapic_reg_write(l, rows[i].reg, 0x691); /* reserved: nothing */
        lapic_local_event(l, rows[i].lvt);
        assert_int_equal(f->sipi[0], 0);
    }
    lapic_reg_write(l, 0xF0, 0xEF); /* software disable masks all entries and keeps them masked */
    assert_int_equal(lapic_reg_read(l, 0x340), 0x10691);
    lapic_reg_write(l, 0x340, 0x92);
    assert_int_equal(lapic_reg_read(l, 0x340), 0x10092);
    lapic_reg_write(l, 0xF0, 0x1EF);
    assert_int_equal(lapic_reg_read(l, 0x340), 0x10092);
    assert_int_equal(lapic_ack(l), 0xEF); /* nothing there: the spurious vector, whatever its low bits */
    assert_int_equal(lapic_reg_read(l, 0x170), 0);
    lapic_reg_write(l, 0xF0, 0x10F);
    assert_int_equal(lapic_ack(l), 0x0F);
}

static void extended_space(void **state)
{
    struct fixture *f = *state;
    struct lapic *l = &f->l[0];
    assert_int_equal(lapic_reg_read(l, 0x30) >> 31, 1);
    assert_int_equal(lapic_reg_read(l, 0x400), 0x40003); /* four extended LVT entries, SEOI, IER */
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(lapic_reg_read(l, 0x480 + 0x10 * i), 0xFFFFFFFF);
    lapic_reg_write(l, 0x480 + 0x20, 0); /* not enabled: no effect */
    assert_int_equal(lapic_reg_read(l, 0x4A0), 0xFFFFFFFF);
    lapic_reg_write(l, 0x410, 0xFFFFFFFF);
    assert_int_equal(lapic_reg_read(l, 0x410), 3);
    ipi(f, 0, 0, 0x45);
    ipi(f, 0, 0, 0x85);
    lapic_reg_write(l, 0x480 + 0x40, ~0x20u); /* vector 85h off */
    assert_int_equal(lapic_pending(l), 0x45);
    lapic_reg_write(l, 0x480 + 0x40, ~0u);
    assert_int_equal(lapic_pending(l), 0x85);
    assert_int_equal(lapic_ack(l), 0x85);
    ipi(f, 0, 0, 0xA5);
    assert_int_equal(lapic_ack(l), 0xA5);
    lapic_reg_write(l, 0x420, 0x85); /* specific EOI: not the highest */
    assert_int_equal(lapic_reg_read(l, 0x140), 0);
    assert_int_equal(lapic_reg_read(l, 0x150), 0x20);
    lapic_reg_write(l, 0x420, 0x33); /* not in service: nothing */
    assert_int_equal(lapic_reg_read(l, 0x150), 0x20);
    lapic_reg_write(l, 0xB0, 0);
    assert_int_equal(lapic_ack(l), 0x45);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(lapic_reg_read(l, 0x500 + 0x10 * i), 0x10000);
        lapic_reg_write(l, 0x500 + 0x10 * i, 0xFFFFFFFF);
        assert_int_equal(lapic_reg_read(l, 0x500 + 0x10 * i), 0x107FF);
    }
    for (unsigned i = 0; i < 4; i++) { /* each by its own vector, or as an NMI; not while masked */
        assert_true(lapic_extended_event(l, i));
        lapic_reg_write(l, 0x500 + 0x10 * i, 0x91 + 0x10 * i);
        assert_true(lapic_extended_event(l, i));
        assert_int_equal(lapic_ack(l), 0x91 + 0x10 * i);
        lapic_reg_write(l, 0xB0, 0);
        lapic_reg_write(l, 0x500 + 0x10 * i, 0x400);
        assert_int_equal(hits(f->nmi), 0);
        assert_true(lapic_extended_event(l, i));
        assert_int_equal(hits(f->nmi), 1);
    }
    assert_false(lapic_extended_event(l, 4));
    lapic_reg_write(l, 0xF0, 0xFF); /* software disable masks these entries too */
    assert_int_equal(lapic_reg_read(l, 0x520), 0x10400);
    lapic_reg_write(l, 0x520, 0x95);
    lapic_reg_write(l, 0xF0, 0x1FF);
    assert_true(lapic_extended_event(l, 2));
    assert_true(who(f, 0x95) == 0 && !hits(f->nmi));
    struct lapic plain;
    const struct lapic_cfg cfg = { .id = 1, .maxphys = 40 };
    lapic_init(&plain, &f->bus, 1, &f->clock, &cfg);
    assert_int_equal(lapic_reg_read(&plain, 0x30) >> 31, 0);
    assert_int_equal(lapic_reg_read(&plain, 0x400), 0);
    assert_int_equal(esr(&plain), 0x80);
    assert_false(lapic_extended_event(&plain, 0));
    assert_int_equal(lapic_set_base(&plain, 0xFEE00C00), 0); /* no x2APIC */
    f->bus.cpus[1] = &f->l[1];
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(shorthands), T(physical), T(logical), T(lowest), T(remote_read), T(x2apic), T(msi), T(errors), T(local_vectors),
        T(extended_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
