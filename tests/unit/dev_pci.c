// SPDX-License-Identifier: MIT
/* PCI as its data sheets say: probing, BARs that move and overlap, PAM, interrupt routing, messages. */
#include "dev/pci.h"
#include "dev/i440fx.h"
#include "dev/piix.h"

#include "base/bits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <string.h>

struct fixture {
    struct bus *bus;
    struct phys_view view;
    struct pci_bus pci;
    struct i440fx host;
    struct piix piix;
    struct pci_function card[2];
    unsigned isa;      /* levels of ISA lines from the router */
    unsigned pirq;     /* levels of PIRQs */
    unsigned messages, resets;
    u64 msi_address;
    u32 msi_data;
    u8 reg[2];         /* one register of each card */
};

static void on_isa(void *ctx, unsigned n, bool level)
{
    struct fixture *f = ctx;
    f->isa = level ? f->isa | 1u << n : f->isa & ~(1u << n);
}

static void on_pirq(void *ctx, unsigned n, bool level)
{
    struct fixture *f = ctx;
    f->pirq = level ? f->pirq | 1u << n : f->pirq & ~(1u << n);
    piix_set_pirq(&f->piix, n, level);
}

static void on_msi(void *ctx, u64 address, u32 data)
{
    struct fixture *f = ctx;
    f->messages++;
    f->msi_address = address;
    f->msi_data = data;
}

static void on_reset(void *ctx, bool hard) { ((struct fixture *)ctx)->resets += hard ? 1 : 100; }

/* Card registers: the card's own byte everywhere. */
static u64 card_read(void *ctx, u64 off, unsigned width, int cpu)
{
    (void)off, (void)cpu;
    return width_mask(width) & (0x0101010101010101ull * *(u8 *)ctx);
}
static void card_write(void *ctx, u64 off, unsigned width, u64 value, int cpu)
{
    (void)off, (void)width, (void)cpu;
    *(u8 *)ctx = (u8)value;
}
static const struct mmio_ops card_ops = { card_read, card_write, 1, 8 };

static u64 pm_read(void *ctx, u64 off, unsigned width, int cpu) { (void)ctx, (void)width, (void)cpu; return off; }
static const struct mmio_ops pm_ops = { pm_read, NULL, 1, 4 };

static void setup(struct fixture *f)
{
    const struct pci_out out = { .ctx = f, .intx = on_pirq, .msi = on_msi, .reset = on_reset };
    memset(f, 0, sizeof(*f));
    f->bus = bus_create(40);
    f->view = (struct phys_view){ .bus = f->bus, .cpu = -1, .apic_page = ~0ull, .a20_mask = ~0ull };
    assert_true(bus_add_ram(f->bus, 0, 4 << 20, "ram"));
    assert_true(pci_init(&f->pci, f->bus, &out));
    assert_true(i440fx_init(&f->host, &f->pci, f->bus));
    piix_init(&f->piix, &f->pci, &pm_ops, f, on_isa, f);
    for (unsigned i = 0; i < 2; i++) {
        f->reg[i] = (u8)(0xA0 + i);
        pci_describe(&f->card[i], 0x1234, (u16)(0x5670 + i), 0xFF0000, 1);
        pci_register(&f->card[i], PCI_PIN, 1, i + 1, 0);
        pci_describe_bar(&f->card[i], 0, 0x1000, false, false, &card_ops, &f->reg[i]);
        pci_describe_bar(&f->card[i], 1, 32, true, false, &card_ops, &f->reg[i]);
        pci_describe_bar(&f->card[i], 2, 0x4000, false, true, &card_ops, &f->reg[i]);
        pci_add(&f->pci, &f->card[i], PCI_DEVFN(3 + i, 0));
    }
    pci_reset(&f->pci);
}

static u32 config(struct fixture *f, unsigned dev, unsigned fn, unsigned reg, unsigned width)
{
    port_write(f->bus, 0xCF8, 4, 0x80000000u | dev << 11 | fn << 8 | (reg & 0xFC), 0);
    return (u32)port_read(f->bus, (u16)(0xCFC + (reg & 3)), width, 0);
}

static void set(struct fixture *f, unsigned dev, unsigned fn, unsigned reg, unsigned width, u32 v)
{
    port_write(f->bus, 0xCF8, 4, 0x80000000u | dev << 11 | fn << 8 | (reg & 0xFC), 0);
    port_write(f->bus, (u16)(0xCFC + (reg & 3)), width, v, 0);
}

static u32 mem(struct fixture *f, u64 pa) { return (u32)phys_read_le(&f->view, (struct spa){ pa }, 4); }
static void set_mem(struct fixture *f, u64 pa, u32 v) { phys_write_le(&f->view, (struct spa){ pa }, 4, v); }

/* Every address of mechanism 1; only what exists answers. */
static void probing(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    assert_int_equal(config(&f, 0, 0, 0, 4), 0x12378086);
    assert_int_equal(config(&f, 0, 0, 0x2C, 4), 0x11001AF4);
    assert_int_equal(config(&f, 0, 0, 0x0B, 1), 6); /* bridge */
    assert_int_equal(config(&f, 1, 0, 0, 4), 0x70008086);
    assert_int_equal(config(&f, 1, 0, 0x0E, 1), 0x80);
    assert_int_equal(config(&f, 1, 0, 0x0A, 2), 0x0601);
    assert_int_equal(config(&f, 1, 3, 0, 4), 0x71138086);
    assert_int_equal(config(&f, 1, 3, 0x02, 2), 0x7113);
    unsigned found = 0;
    for (unsigned busno = 0; busno < 256; busno++)
        for (unsigned devfn = 0; devfn < 256; devfn++) {
            port_write(f.bus, 0xCF8, 4, 0x80000000u | busno << 16 | devfn << 8, 0);
            u32 v = (u32)port_read(f.bus, 0xCFC, 4, 0);
            found += v != ~0u;
            assert_true(v == ~0u || busno == 0);
            assert_int_equal(mem(&f, PCI_ECAM_SPA + ((u64)busno << 20 | devfn << 12)), v);
        }
    assert_int_equal(found, 5);
    assert_int_equal(config(&f, 31, 7, 0x3C, 1), 0xFF);
    assert_int_equal(config(&f, 31, 7, 0x3C, 2), 0xFFFF);
    set(&f, 31, 7, 4, 4, 0);
    port_write(f.bus, 0xCF8, 4, 0x00000000, 0); /* not enabled */
    assert_int_equal(port_read(f.bus, 0xCFC, 4, 0), 0xFFFFFFFF);
    port_write(f.bus, 0xCF8, 4, 0x81000000, 0);
    assert_int_equal(port_read(f.bus, 0xCFC, 4, 0), 0xFFFFFFFF);
    assert_int_equal(mem(&f, PCI_ECAM_SPA + 0x100), 0xFFFFFFFF); /* no extended configuration space */
    bus_destroy(f.bus);
}

static void address_port(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    port_write(f.bus, 0xCF8, 4, 0xFFFFFFFF, 0);
    assert_int_equal(port_read(f.bus, 0xCF8, 4, 0), 0x8FFFFFFC);
    port_write(f.bus, 0xCFB, 1, 1, 0); /* bytes and words are no accesses to the register */
    port_write(f.bus, 0xCF8, 2, 0x1234, 0);
    assert_int_equal(port_read(f.bus, 0xCF8, 4, 0), 0x8FFFFFFC);
    assert_int_equal(port_read(f.bus, 0xCF8, 1, 0), 0xFF);
    port_write(f.bus, 0xCF9, 1, 2, 0);
    assert_int_equal(f.resets, 0);
    assert_int_equal(port_read(f.bus, 0xCF9, 1, 0), 2);
    port_write(f.bus, 0xCF9, 1, 6, 0);
    assert_int_equal(f.resets, 1);
    port_write(f.bus, 0xCF9, 1, 0, 0);
    port_write(f.bus, 0xCF9, 1, 4, 0);
    assert_int_equal(f.resets, 101);
    bus_destroy(f.bus);
}

static void sizing_and_moving(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    static const u32 size[4] = { 0xFFFFF000, 0xFFFFFFE1, 0xFFFFC004, 0xFFFFFFFF };
    for (unsigned i = 0; i < 4; i++) {
        set(&f, 3, 0, 0x10 + 4 * i, 4, 0xFFFFFFFF);
        assert_int_equal(config(&f, 3, 0, 0x10 + 4 * i, 4), size[i]);
    }
    set(&f, 3, 0, 0x20, 4, 0xFFFFFFFF);
    assert_int_equal(config(&f, 3, 0, 0x20, 4), 0); /* not there */
    set(&f, 3, 0, 0, 4, 0);
    assert_int_equal(config(&f, 3, 0, 0, 4), 0x56701234); /* read-only */
    set(&f, 3, 0, 0x10, 4, 0xF0000000);
    set(&f, 3, 0, 0x14, 4, 0xC000);
    assert_int_equal(mem(&f, 0xF0000000), 0xFFFFFFFF); /* not enabled */
    assert_int_equal(port_read(f.bus, 0xC000, 1, 0), 0xFF);
    set(&f, 3, 0, 4, 2, 3);
    assert_int_equal(mem(&f, 0xF0000000), 0xA0A0A0A0);
    assert_int_equal(port_read(f.bus, 0xC01F, 1, 0), 0xA0);
    assert_int_equal(port_read(f.bus, 0xC020, 1, 0), 0xFF);
    set_mem(&f, 0xF0000004, 0x55);
    assert_int_equal(f.reg[0], 0x55);
    set(&f, 3, 0, 0x12, 2, 0xF100);
    assert_int_equal(mem(&f, 0xF0000000), 0xFFFFFFFF);
    assert_int_equal(mem(&f, 0xF1000FFC), 0x55555555);
    set(&f, 3, 0, 0x18, 4, 0);
    set(&f, 3, 0, 0x1C, 4, 0x10);
    assert_int_equal(mem(&f, 0x1000003FFCull), 0x55555555);
    set(&f, 3, 0, 0x1C, 4, 0x10000); /* beyond 40 address bits: nobody can reach it, nothing breaks */
    assert_int_equal(mem(&f, 0x1000003FFCull), 0xFFFFFFFF);
    pci_reset(&f.pci);
    assert_int_equal(mem(&f, 0xF1000FFC), 0xFFFFFFFF);
    assert_int_equal(port_read(f.bus, 0xC01F, 1, 0), 0xFF);
    bus_destroy(f.bus);
}

/* Who wins is the same in whichever order the BARs were written. */
static void overlaps(void **state)
{
    struct fixture f;
    (void)state;
    for (unsigned first = 0; first < 2; first++) {
        setup(&f);
        set(&f, 3 + first, 0, 0x10, 4, 0xF0000000);
        set(&f, 3 + first, 0, 0x14, 4, 0xC000);
        set(&f, 3 + first, 0, 4, 2, 3);
        set(&f, 4 - first, 0, 0x10, 4, 0xF0000000);
        set(&f, 4 - first, 0, 0x14, 4, 0xC000);
        set(&f, 4 - first, 0, 4, 2, 3);
        assert_int_equal(mem(&f, 0xF0000000), 0xA0A0A0A0);
        assert_int_equal(port_read(f.bus, 0xC000, 1, 0), 0xA0);
        set(&f, 3, 0, 4, 2, 0);
        assert_int_equal(mem(&f, 0xF0000000), 0xA1A1A1A1);
        assert_int_equal(port_read(f.bus, 0xC000, 1, 0), 0xA1);
        set_mem(&f, 0x200000, 0x12345678); /* RAM wins */
        set(&f, 4, 0, 0x10, 4, 0x200000);
        assert_int_equal(mem(&f, 0x200000), 0x12345678);
        set_mem(&f, 0x200000, 0x9);
        assert_int_equal(f.reg[1], 0xA1);
        set(&f, 4, 0, 0x10, 4, PCI_ECAM_SPA); /* so does configuration space, by memory and by port */
        assert_int_equal(mem(&f, PCI_ECAM_SPA), 0x12378086);
        set(&f, 4, 0, 0x14, 4, 0xCE0);
        assert_int_equal(port_read(f.bus, 0xCE0, 1, 0), 0xA1);
        assert_int_equal(config(&f, 0, 0, 0, 4), 0x12378086);
        bus_destroy(f.bus);
    }
}

static void shadow_ram(void **state)
{
    static u8 rom[0x20000];
    struct fixture f;
    (void)state;
    setup(&f);
    memset(rom, 0xEE, sizeof(rom));
    store_le(rom + 0x1FFF0, 4, 0x11223344);
    assert_int_equal(config(&f, 0, 0, 0x5A, 1), 0x33); /* no image: RAM everywhere */
    set_mem(&f, 0xFFFF0, 0xAAAA);
    assert_int_equal(mem(&f, 0xFFFF0), 0xAAAA);
    assert_true(bus_add_rom(f.bus, 0xFFFE0000, sizeof(rom), rom, sizeof(rom), "firmware"));
    i440fx_set_rom(&f.host, rom, sizeof(rom));
    pci_reset(&f.pci);
    assert_int_equal(mem(&f, 0xFFFF0), 0x11223344);
    set_mem(&f, 0xFFFF0, 1);
    assert_int_equal(mem(&f, 0xFFFF0), 0x11223344);
    assert_int_equal(mem(&f, 0xE0000), 0xEEEEEEEE);
    assert_int_equal(mem(&f, 0xC8000), 0xFFFFFFFF); /* beyond the image */
    set(&f, 0, 0, 0x59, 1, 0x20);                   /* read ROM, write RAM */
    set_mem(&f, 0xFFFF0, 0x5555);
    phys_write_le(&f.view, (struct spa){ 0xF0FFE }, 4, 0x77777777); /* across a page */
    assert_int_equal(mem(&f, 0xFFFF0), 0x11223344);
    set(&f, 0, 0, 0x59, 1, 0x10);                   /* read RAM, writes are lost */
    assert_int_equal(mem(&f, 0xFFFF0), 0x5555);
    assert_int_equal(mem(&f, 0xF0FFE), 0x77777777);
    set_mem(&f, 0xFFFF0, 2);
    assert_int_equal(mem(&f, 0xFFFF0), 0x5555);
    set(&f, 0, 0, 0x59, 1, 0xFF);
    assert_int_equal(config(&f, 0, 0, 0x59, 1), 0x30); /* the low field does not exist */
    set_mem(&f, 0xFFFF0, 3);
    assert_int_equal(mem(&f, 0xFFFF0), 3);
    /* each field rules its own 16 KiB and nothing else */
    for (unsigned field = 0; field < 12; field++) {
        for (unsigned r = 0; r < 6; r++)
            set(&f, 0, 0, 0x5A + r, 1, r == field / 2 ? (field & 1 ? 0x30u : 0x03u) : 0);
        for (unsigned s = 0; s < 12; s++) {
            u32 at = 0xC0000 + s * 0x4000;
            set_mem(&f, at, 0xC0DE + s);
            assert_true((mem(&f, at) == 0xC0DE + s) == (s == field));
            set_mem(&f, at + 0x3FFC, 0xC0DE + s);
            assert_true((mem(&f, at + 0x3FFC) == 0xC0DE + s) == (s == field));
        }
    }
    bus_destroy(f.bus);
}

static void interrupts(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    assert_int_equal(config(&f, 1, 0, 0x60, 4), 0x80808080);
    pci_set_intx(&f.card[0], true); /* device 3 pin A: PIRQ C */
    assert_int_equal(f.pirq, 4);
    assert_int_equal(f.isa, 0);
    assert_int_equal(config(&f, 3, 0, 6, 1) & 8, 8);
    set(&f, 1, 0, 0x62, 1, 11);
    assert_int_equal(f.isa, 1 << 11);
    set(&f, 1, 0, 0x62, 1, 10);
    assert_int_equal(f.isa, 1 << 10);
    set(&f, 1, 0, 0x62, 1, 2); /* the cascade cannot be chosen */
    assert_int_equal(f.isa, 0);
    set(&f, 1, 0, 0x62, 1, 10);
    pci_set_intx(&f.card[1], true); /* device 4 pin B: PIRQ A */
    assert_int_equal(f.pirq, 5);
    set(&f, 1, 0, 0x60, 1, 10);     /* shared line */
    pci_set_intx(&f.card[0], false);
    assert_int_equal(f.isa, 1 << 10);
    assert_int_equal(f.pirq, 1);
    set(&f, 4, 0, 4, 2, PCI_CMD_NO_INTX);
    assert_int_equal(f.pirq | f.isa, 0);
    assert_int_equal(config(&f, 4, 0, 6, 1) & 8, 8); /* the status bit shows it all the same [PCI 3.0 6.2.3] */
    set(&f, 4, 0, 4, 2, 0);
    assert_int_equal(f.isa, 1 << 10);
    pci_reset(&f.pci);
    assert_int_equal(f.pirq | f.isa, 0);

    pci_send_msi(&f.card[0], 0xFEE00000, 0x4041);
    assert_int_equal(f.messages, 0); /* no bus master */
    set(&f, 3, 0, 4, 2, PCI_CMD_MASTER);
    pci_send_msi(&f.card[0], 0xFEE01000, 0x4041);
    assert_int_equal(f.messages, 1);
    assert_int_equal(f.msi_address, 0xFEE01000);
    assert_int_equal(f.msi_data, 0x4041);
    bus_destroy(f.bus);
}

static void power_management_base(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    assert_int_equal(config(&f, 1, 3, 0x40, 4), 1);
    set(&f, 1, 3, 0x40, 4, 0xB02F);
    assert_int_equal(config(&f, 1, 3, 0x40, 4), 0xB001);
    assert_int_equal(port_read(f.bus, 0xB008, 1, 0), 0xFF);
    set(&f, 1, 3, 0x80, 1, 0xFF);
    assert_int_equal(config(&f, 1, 3, 0x80, 1), 1);
    assert_int_equal(port_read(f.bus, 0xB008, 1, 0), 8);
    assert_int_equal(port_read(f.bus, 0xB040, 1, 0), 0xFF);
    piix_set_pmba(&f.piix, 0x600);
    assert_int_equal(port_read(f.bus, 0xB008, 1, 0), 0xFF);
    assert_int_equal(port_read(f.bus, 0x608, 1, 0), 8);
    bus_destroy(f.bus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(probing), cmocka_unit_test(address_port), cmocka_unit_test(sizing_and_moving), cmocka_unit_test(overlaps),
        cmocka_unit_test(shadow_ram), cmocka_unit_test(interrupts), cmocka_unit_test(power_management_base),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
