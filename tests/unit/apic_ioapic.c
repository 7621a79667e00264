// SPDX-License-Identifier: MIT
/* The I/O APIC by the rules of its data sheet [82093AA]: indirect registers, redirection entries, edge and level, remote IRR, EOI,
 * destinations; and beside the 8259 with its own ELCR on the same lines. */
#include "apic/ioapic.h"
#include "apic/pic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <string.h>

enum { CPUS = 4 };
#define BASE 0xFEC00000ull

struct fixture {
    struct clock clock;
    struct apic_bus apics;
    struct lapic l[CPUS];
    struct ioapic io;
    struct bus *bus;
    struct phys_view view;
    int nmi[CPUS], smi[CPUS], init[CPUS], acks;
};

static void on_nmi(void *ctx, int cpu) { ((struct fixture *)ctx)->nmi[cpu]++; }
static void on_smi(void *ctx, int cpu) { ((struct fixture *)ctx)->smi[cpu]++; }
static void on_init(void *ctx, int cpu) { ((struct fixture *)ctx)->init[cpu]++; }
static int on_ack(void *ctx) { ((struct fixture *)ctx)->acks++; return 0x22; }
static void on_eoi(void *ctx, u8 vector) { ioapic_eoi(&((struct fixture *)ctx)->io, vector); }

static int setup(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    memset(f, 0, sizeof(*f));
    clock_init(&f->clock, 1000000000, 1000000000);
    struct apic_out out = { .ctx = f, .nmi = on_nmi, .smi = on_smi, .init = on_init, .pic_ack = on_ack, .eoi = on_eoi };
    assert_true(apic_bus_init(&f->apics, CPUS, &out));
    for (int i = 0; i < CPUS; i++) {
        const struct lapic_cfg cfg = { .id = (u32)i, .bsp = !i, .x2apic = true, .maxphys = 48 };
        lapic_init(&f->l[i], &f->apics, i, &f->clock, &cfg);
        lapic_reg_write(&f->l[i], 0xF0, 0x1FF);
        lapic_reg_write(&f->l[i], 0xD0, 1u << (24 + i));
    }
    f->bus = bus_create(40);
    assert_non_null(f->bus);
    f->view = (struct phys_view){ .bus = f->bus, .cpu = -1, .apic_page = ~0ull, .a20_mask = ~0ull };
    assert_true(ioapic_init(&f->io, f->bus, &f->apics, BASE, 9));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    bus_destroy(f->bus);
    apic_bus_fini(&f->apics);
    return 0;
}

static u32 rd(struct fixture *f, u8 index)
{
    phys_write_le(&f->view, (struct spa){ BASE }, 4, index);
    return (u32)phys_read_le(&f->view, (struct spa){ BASE + 0x10 }, 4);
}

static void wr(struct fixture *f, u8 index, u32 v)
{
    phys_write_le(&f->view, (struct spa){ BASE }, 4, index);
    phys_write_le(&f->view, (struct spa){ BASE + 0x10 }, 4, v);
}

static void entry(struct fixture *f, unsigned pin, u8 dest, u32 low)
{
    wr(f, (u8)(0x11 + 2 * pin), (u32)dest << 24);
    wr(f, (u8)(0x10 + 2 * pin), low);
}

static bool irr(const struct fixture *f, int cpu, u8 vector) { return f->l[cpu].s.irr[vector >> 5] >> (vector & 31) & 1; }

/* The CPU takes its highest interrupt; the vector. */
static int take(struct fixture *f, int cpu) { return lapic_ack(&f->l[cpu]); }
static void eoi(struct fixture *f, int cpu) { lapic_reg_write(&f->l[cpu], 0xB0, 0); }

static void pulse(struct fixture *f, unsigned pin)
{
    ioapic_set_pin(&f->io, pin, true);
    ioapic_set_pin(&f->io, pin, false);
}

static void registers(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(rd(f, 0x01), 0x00170020); /* 24 entries, version 20h: with an EOI register */
    assert_int_equal(rd(f, 0x00), 0x09000000);
    wr(f, 0x00, 0xFFFFFFFF);
    assert_int_equal(rd(f, 0x00), 0x0F000000); /* 27:24 */
    assert_int_equal(rd(f, 0x02), 0x0F000000); /* the arbitration id follows it */
    wr(f, 0x01, 0);
    wr(f, 0x02, 0);
    assert_int_equal(rd(f, 0x01), 0x00170020);
    assert_int_equal(rd(f, 0x02), 0x0F000000);
    for (unsigned pin = 0; pin < 24; pin++) {
        assert_int_equal(rd(f, (u8)(0x10 + 2 * pin)), 0x10000); /* masked after reset */
        assert_int_equal(rd(f, (u8)(0x11 + 2 * pin)), 0);
    }
    wr(f, 0x10 + 2 * 5, 0xFFFFFFFF);
    wr(f, 0x11 + 2 * 5, 0xFFFFFFFF);
    assert_int_equal(rd(f, 0x10 + 2 * 5), 0x1AFFF); /* status and remote IRR are read-only, 31:17 reserved */
    assert_int_equal(rd(f, 0x11 + 2 * 5), 0xFF000000);
    assert_int_equal(rd(f, 0x10 + 2 * 24), 0); /* no such pin */
    wr(f, 0x10 + 2 * 24, 0x30);
    phys_write_le(&f->view, (struct spa){ BASE }, 4, 0xFFFFFF01); /* the select register has 8 bits */
    assert_int_equal(phys_read_le(&f->view, (struct spa){ BASE }, 4), 1);
    ioapic_reset(&f->io);
    assert_int_equal(rd(f, 0x10 + 2 * 5), 0x10000);
}

static void every_pin_edge(void **state)
{
    struct fixture *f = *state;
    for (unsigned pin = 0; pin < 24; pin++) {
        entry(f, pin, 2, 0x40 + pin);
        ioapic_set_pin(&f->io, pin, true);
        assert_int_equal(take(f, 2), 0x40 + pin);
        assert_int_equal(rd(f, (u8)(0x10 + 2 * pin)), 0x40 + pin); /* no remote IRR on an edge */
        eoi(f, 2);
        assert_false(lapic_has_intr(&f->l[2])); /* a level that stands is no new edge */
        ioapic_set_pin(&f->io, pin, true);
        assert_false(lapic_has_intr(&f->l[2]));
        ioapic_set_pin(&f->io, pin, false);
        pulse(f, pin);
        assert_int_equal(take(f, 2), 0x40 + pin);
        eoi(f, 2);
    }
    ioapic_set_pin(&f->io, 24, true); /* beyond the last: nothing */
    for (int i = 0; i < CPUS; i++)
        assert_false(lapic_has_intr(&f->l[i]));
}

/* An edge on a masked pin is neither delivered nor held. */
static void masked_edge_is_lost(void **state)
{
    struct fixture *f = *state;
    entry(f, 7, 0, 0x10055);
    ioapic_set_pin(&f->io, 7, true);
    wr(f, 0x10 + 14, 0x55);
    assert_false(lapic_has_intr(&f->l[0]));
    ioapic_set_pin(&f->io, 7, false);
    ioapic_set_pin(&f->io, 7, true);
    assert_int_equal(take(f, 0), 0x55);
}

static void level(void **state)
{
    struct fixture *f = *state;
    entry(f, 11, 1, 0x8061);
    ioapic_set_pin(&f->io, 11, true);
    assert_int_equal(rd(f, 0x10 + 22), 0xC061); /* accepted: remote IRR */
    assert_int_equal(take(f, 1), 0x61);
    assert_true(f->l[1].s.tmr[3] >> 1 & 1); /* the local APIC knows it is a level */
    ioapic_set_pin(&f->io, 11, false);
    ioapic_set_pin(&f->io, 11, true);
    assert_false(irr(f, 1, 0x61)); /* nothing more before the EOI */
    eoi(f, 1); /* the broadcast comes back, the level stands: again */
    assert_int_equal(take(f, 1), 0x61);
    assert_int_equal(rd(f, 0x10 + 22), 0xC061);
    ioapic_set_pin(&f->io, 11, false);
    eoi(f, 1);
    assert_int_equal(rd(f, 0x10 + 22), 0x8061);
    assert_false(lapic_has_intr(&f->l[1]));
}

/* A level that came while the pin was masked is delivered when the mask goes; masking later does not take an accepted one back. */
static void mask_and_level(void **state)
{
    struct fixture *f = *state;
    entry(f, 3, 0, 0x18071);
    ioapic_set_pin(&f->io, 3, true);
    assert_int_equal(rd(f, 0x16), 0x18071);
    assert_false(lapic_has_intr(&f->l[0]));
    wr(f, 0x16, 0x8071);
    assert_true(irr(f, 0, 0x71));
    wr(f, 0x16, 0x18071);
    assert_int_equal(rd(f, 0x16), 0x1C071);
    assert_int_equal(take(f, 0), 0x71);
    eoi(f, 0);
    assert_int_equal(rd(f, 0x16), 0x18071); /* masked: remote IRR went, nothing new */
    assert_false(lapic_has_intr(&f->l[0]));
    entry(f, 4, 0, 0x18072);
    ioapic_set_pin(&f->io, 4, true);
    ioapic_set_pin(&f->io, 4, false); /* gone before the mask went */
    wr(f, 0x18, 0x8072);
    assert_false(lapic_has_intr(&f->l[0]));
}

/* EOI goes by vector: all level pins with that vector, and only in state remote IRR. */
static void eoi_by_vector(void **state)
{
    struct fixture *f = *state;
    entry(f, 16, 0, 0x8080);
    entry(f, 17, 0, 0x8080);
    entry(f, 18, 0, 0x8090);
    for (unsigned pin = 16; pin <= 18; pin++)
        ioapic_set_pin(&f->io, pin, true);
    assert_int_equal(take(f, 0), 0x90);
    assert_int_equal(rd(f, 0x10 + 32) & 0x4000, 0x4000);
    assert_int_equal(rd(f, 0x10 + 34) & 0x4000, 0x4000);
    for (unsigned pin = 16; pin <= 18; pin++)
        ioapic_set_pin(&f->io, pin, false);
    phys_write_le(&f->view, (struct spa){ BASE + 0x40 }, 4, 0x80); /* the EOI register */
    assert_int_equal(rd(f, 0x10 + 32), 0x8080);
    assert_int_equal(rd(f, 0x10 + 34), 0x8080);
    assert_int_equal(rd(f, 0x10 + 36), 0xC090);
    wr(f, 0x10 + 36, 0x8091); /* another vector: the EOI of the old one no longer matches */
    eoi(f, 0);
    assert_int_equal(rd(f, 0x10 + 36), 0xC091);
    wr(f, 0x10 + 36, 0x0091); /* made an edge: remote IRR goes */
    wr(f, 0x10 + 36, 0x8091);
    assert_int_equal(rd(f, 0x10 + 36), 0x8091);
}

static void modes(void **state)
{
    struct fixture *f = *state;
    entry(f, 5, 3, 0x8400); /* NMI, SMI and INIT are edges even where the entry says level */
    ioapic_set_pin(&f->io, 5, true);
    ioapic_set_pin(&f->io, 5, true);
    assert_int_equal(f->nmi[3], 1);
    assert_int_equal(rd(f, 0x1A), 0x8400);
    entry(f, 6, 1, 0x200);
    pulse(f, 6);
    assert_int_equal(f->smi[1], 1);
    entry(f, 7, 2, 0x500);
    pulse(f, 7);
    assert_int_equal(f->init[2], 1);
    entry(f, 8, 0, 0x331); /* reserved modes */
    pulse(f, 8);
    entry(f, 8, 0, 0x631);
    pulse(f, 8);
    assert_false(lapic_has_intr(&f->l[0]));
    entry(f, 0, 0, 0x700); /* ExtINT: virtual wire mode through the I/O APIC */
    ioapic_set_pin(&f->io, 0, true);
    assert_true(lapic_has_intr(&f->l[0]));
    assert_int_equal(take(f, 0), 0x22); /* the 8259's vector */
    assert_int_equal(f->acks, 1);
    assert_false(lapic_has_intr(&f->l[0]));
    entry(f, 9, 0, 0x00F); /* vectors below 10h are not accepted */
    pulse(f, 9);
    assert_false(lapic_has_intr(&f->l[0]));
    lapic_reg_write(&f->l[0], 0x280, 0);
    assert_int_equal(lapic_reg_read(&f->l[0], 0x280), 0x40);
}

static void destinations(void **state)
{
    struct fixture *f = *state;
    entry(f, 1, 0xFF, 0x41); /* physical, all */
    pulse(f, 1);
    for (int i = 0; i < CPUS; i++)
        assert_int_equal(take(f, i), 0x41);
    entry(f, 1, 0x0A, 0x842); /* logical, flat: 1 and 3 */
    pulse(f, 1);
    assert_true(!irr(f, 0, 0x42) && irr(f, 1, 0x42) && !irr(f, 2, 0x42) && irr(f, 3, 0x42));
    entry(f, 1, 9, 0x43); /* nobody has that id */
    pulse(f, 1);
    for (int i = 0; i < CPUS; i++)
        assert_false(irr(f, i, 0x43));
    for (int i = 0; i < CPUS; i++) { /* clusters 0 and 1 of two each */
        lapic_reg_write(&f->l[i], 0xE0, 0x0FFFFFFF);
        lapic_reg_write(&f->l[i], 0xD0, (u32)((i >> 1) << 4 | 1 << (i & 1)) << 24);
    }
    entry(f, 1, 0x12, 0x844); /* cluster 1, second member */
    pulse(f, 1);
    assert_true(!irr(f, 0, 0x44) && !irr(f, 1, 0x44) && !irr(f, 2, 0x44) && irr(f, 3, 0x44));
    entry(f, 1, 0xF1, 0x845); /* all clusters, first members */
    pulse(f, 1);
    assert_true(irr(f, 0, 0x45) && !irr(f, 1, 0x45) && irr(f, 2, 0x45) && !irr(f, 3, 0x45));
}

static void lowest_priority(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < CPUS; i++)
        lapic_set_tpr(&f->l[i], (u8)(i == 2 ? 0x10 : 0x30 + 0x10 * i));
    entry(f, 20, 0x0F, 0x8953); /* logical, level, lowest priority */
    ioapic_set_pin(&f->io, 20, true);
    assert_true(!irr(f, 0, 0x53) && !irr(f, 1, 0x53) && irr(f, 2, 0x53) && !irr(f, 3, 0x53));
    assert_int_equal(rd(f, 0x10 + 40), 0xC953);
    assert_int_equal(take(f, 2), 0x53); /* in service: its priority is 50h now */
    entry(f, 21, 0x0F, 0x954);
    pulse(f, 21);
    assert_true(irr(f, 0, 0x54));
    entry(f, 22, 0x0F, 0x953); /* the one that has the vector in service is the focus */
    pulse(f, 22);
    assert_true(irr(f, 2, 0x53));
    lapic_reg_write(&f->l[2], 0xF0, 0x3FF); /* focus checking off: by priority */
    lapic_reg_write(&f->l[1], 0xF0, 0x0FF); /* software-disabled ones do not take part */
    pulse(f, 22);
    assert_true(irr(f, 0, 0x53)); /* 0 and 2 are at 50h, 3 at 60h: the first */
    assert_false(irr(f, 1, 0x53));
}

/* Nobody accepts: no remote IRR that nobody could end; delivered when somebody can. */
static void nobody_accepts(void **state)
{
    struct fixture *f = *state;
    lapic_reg_write(&f->l[0], 0xF0, 0x0FF);
    entry(f, 10, 0, 0x80A0);
    ioapic_set_pin(&f->io, 10, true);
    assert_int_equal(rd(f, 0x24), 0x80A0);
    lapic_reg_write(&f->l[0], 0xF0, 0x1FF);
    ioapic_set_pin(&f->io, 10, true);
    assert_int_equal(rd(f, 0x24), 0xC0A0);
    assert_int_equal(take(f, 0), 0xA0);
}

static void pic_line(void *ctx, unsigned n, bool level)
{
    (void)n;
    *(bool *)ctx = level;
}

/* ELCR is the 8259's: the same line is an edge there and a level here, or the reverse. */
static void elcr_is_the_pics(void **state)
{
    struct fixture *f = *state;
    struct pic pic;
    bool intr = false;
    assert_true(pic_init(&pic, f->bus, (struct irq_line){ .set = pic_line, .ctx = &intr }));
    pic_reset(&pic);
    pic_bios_defaults(&pic);
    port_write(f->bus, 0x21, 1, 0x00, 0);
    for (int to_level = 0; to_level < 2; to_level++) {
        port_write(f->bus, 0x4D0, 1, to_level ? 0x20 : 0, 0); /* IRQ 5 */
        entry(f, 5, 0, to_level ? 0x55 : 0x8055);
        pic_set_irq(&pic, 5, true);
        ioapic_set_pin(&f->io, 5, true);
        assert_true(intr);
        assert_int_equal(pic_ack(&pic), 0x0D);
        assert_int_equal(take(f, 0), 0x55);
        port_write(f->bus, 0x20, 1, 0x20, 0); /* EOI to both; the line still stands */
        eoi(f, 0);
        assert_int_equal(intr, to_level);
        assert_int_equal(irr(f, 0, 0x55), !to_level);
        pic_set_irq(&pic, 5, false);
        ioapic_set_pin(&f->io, 5, false);
        if (!to_level) {
            assert_int_equal(take(f, 0), 0x55);
            eoi(f, 0);
        }
        assert_false(intr);
        assert_false(lapic_has_intr(&f->l[0]));
    }
}

static void any_access(void **state)
{
    struct fixture *f = *state;
    u64 r = 88172645463325252ull;
    for (unsigned i = 0; i < 200000; i++) {
        r ^= r << 13, r ^= r >> 7, r ^= r << 17;
        unsigned width = 1u << (r & 3);
        struct spa at = { BASE + ((r >> 8) & 0xFFF & ~(u64)(width - 1)) };
        switch (r >> 4 & 7) {
        case 0: phys_read_le(&f->view, at, width); break;
        case 1: phys_write_le(&f->view, at, width, r >> 16); break;
        case 2: ioapic_set_pin(&f->io, r >> 20 & 31, r >> 30 & 1); break;
        case 3: ioapic_eoi(&f->io, (u8)(r >> 20)); break;
        case 4: lapic_ack(&f->l[r >> 20 & 3]); break;
        case 5: eoi(f, r >> 20 & 3); break;
        default: wr(f, (u8)(r >> 20), (u32)(r >> 32)); break;
        }
        assert_int_equal(rd(f, 0x01), 0x00170020);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(registers), T(every_pin_edge), T(masked_edge_is_lost), T(level), T(mask_and_level), T(eoi_by_vector), T(modes),
        T(destinations), T(lowest_priority), T(nobody_accepts), T(elcr_is_the_pics), T(any_access),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
