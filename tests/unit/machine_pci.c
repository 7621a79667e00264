// SPDX-License-Identifier: MIT
/* PCI functions of the caller's own in a whole machine: what a guest finds, BARs over everything else, pin, MSI and MSI-X up to the local APIC
 * [PCI 3.0 6.2.5, 6.8]. */
#include "machine/machine.h"

#include "base/bits.h"
#include "dev/pci_msi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { DEVICE = 5, MSI = 0x50, MSIX = 0x70, TABLE = 0xF1000000, RAM = 8 << 20 };

struct card {
    u8 fill;
    unsigned reads, writes, resets, written;
};

static u64 card_read(void *ctx, u64 off, unsigned width, int cpu)
{
    struct card *c = ctx;
    (void)off, (void)cpu;
    c->reads++;
    return width_mask(width) & (0x0101010101010101ull * c->fill);
}
static void card_write(void *ctx, u64 off, unsigned width, u64 v, int cpu)
{
    (void)off, (void)width, (void)v, (void)cpu;
    ((struct card *)ctx)->writes++;
}
static void card_written(void *ctx, unsigned reg, unsigned width)
{
    struct card *c = ctx;
    c->written++;
    c->resets += reg == 0 && width == 256;
}

static struct svmemu *create(void)
{
    const struct svmemu_config cfg = { .memory = RAM, .vcpus = 2, .flags = SVMEMU_PC };
    struct svmemu *m;
    assert_int_equal(svmemu_create(&cfg, &m), SVMEMU_OK);
    for (unsigned i = 0; i < 2; i++)
        lapic_reg_write(&m->lapic[i], 0xF0, 0x1FF);
    return m;
}

static struct svmemu_pci_config describe(struct card *c)
{
    const struct svmemu_mmio ops = { card_read, card_write, 1, 8 };
    return (struct svmemu_pci_config){
        .device = DEVICE, .vendor = 0x1234, .id = 0x11E8, .subvendor = 0xAAAA, .subsystem = 0xBBBB, .class_code = 0xFF0000, .revision = 0x10,
        .pin = 1, .msi = 4, .msix = 70, .msix_bar = 4, .ctx = c, .written = card_written,
        .bar = { { .size = 0x1000, .ops = ops, .ctx = c }, { .size = 32, .io = true, .ops = ops, .ctx = c },
                 { .size = 1 << 20, .wide = true, .ops = ops, .ctx = c } },
    };
}

/* The usual card in a new machine. */
static struct svmemu_pci *plug(struct svmemu **m, struct card *c)
{
    const struct svmemu_pci_config cfg = describe(c);
    struct svmemu_pci *f;
    *m = create();
    assert_int_equal(svmemu_pci_add(*m, &cfg, &f), SVMEMU_OK);
    return f;
}

static u32 get(struct svmemu *m, unsigned reg, unsigned width)
{
    port_write(m->bus, 0xCF8, 4, 0x80000000u | DEVICE << 11 | (reg & 0xFC), 0);
    return (u32)port_read(m->bus, (u16)(0xCFC + (reg & 3)), width, 0);
}
static void set(struct svmemu *m, unsigned reg, unsigned width, u32 v)
{
    port_write(m->bus, 0xCF8, 4, 0x80000000u | DEVICE << 11 | (reg & 0xFC), 0);
    port_write(m->bus, (u16)(0xCFC + (reg & 3)), width, v, 0);
}
static u32 mem(struct svmemu *m, u64 spa) { return (u32)phys_read_le(&m->cpu[0]->view, (struct spa){ spa }, 4); }
static void set_mem(struct svmemu *m, u64 spa, u32 v) { phys_write_le(&m->cpu[0]->view, (struct spa){ spa }, 4, v); }

/* Vectors requested of a local APIC, the highest first, then taken away; -1: none. */
static int requested(struct svmemu *m, unsigned cpu)
{
    for (int i = 7; i >= 0; i--)
        if (m->lapic[cpu].s.irr[i]) {
            int v = 32 * i + 31 - __builtin_clz(m->lapic[cpu].s.irr[i]);
            m->lapic[cpu].s.irr[i] &= ~(1u << (v & 31));
            return v;
        }
    return -1;
}

static void found(void **state)
{
    struct svmemu *m = create();
    struct card c = { .fill = 0xC1 };
    struct svmemu_pci_config cfg = describe(&c);
    struct svmemu_pci *f, *g;
    (void)state;
    assert_int_equal(get(m, 0, 4), 0xFFFFFFFF);
    assert_int_equal(svmemu_pci_add(m, &cfg, &f), SVMEMU_OK);
    assert_int_equal(get(m, 0, 4), 0x11E81234);
    assert_int_equal(get(m, 8, 4), 0xFF000010);
    assert_int_equal(get(m, 0x2C, 4), 0xBBBBAAAA);
    assert_int_equal(get(m, 0x3C, 2), 0x0100);
    assert_int_equal(get(m, 0x0E, 1), 0);
    /* the list of capabilities ends, and has both */
    unsigned seen = 0, n = 0;
    assert_int_equal(get(m, 6, 1) & 0x10, 0x10);
    for (u32 at = get(m, 0x34, 1); at; at = get(m, at + 1, 1)) {
        assert_true(n++ < 8 && at >= 0x40 && !(at & 3));
        seen |= get(m, at, 1) == 5 ? 1 : get(m, at, 1) == 0x11 ? 2 : 4;
    }
    assert_int_equal(seen, 3);
    assert_int_equal(get(m, MSI + 2, 2), 0x0184);  /* four messages, 64-bit, with masks */
    assert_int_equal(get(m, MSIX + 2, 2), 69);
    assert_int_equal(get(m, MSIX + 4, 4), 4);      /* table: BAR 4, offset 0 */
    assert_int_equal(get(m, MSIX + 8, 4), 0x460 | 4);
    set(m, 0x20, 4, 0xFFFFFFFF);
    assert_int_equal(get(m, 0x20, 4), 0xFFFFF000);
    set(m, 0x18, 4, 0xFFFFFFFF), set(m, 0x1C, 4, 0xFFFFFFFF);
    assert_int_equal(get(m, 0x18, 4), 0xFFF00004);
    assert_int_equal(get(m, 0x1C, 4), 0xFFFFFFFF);
    assert_int_equal(svmemu_pci_config_read(f, 0x2C, 2), 0xAAAA);
    assert_int_equal(svmemu_pci_config_read(f, 0xFE, 4), 0xFFFFFFFF);
    assert_int_equal(svmemu_pci_config_read(f, 0, 3), 0xFFFFFFFF);
    assert_int_equal(c.written, 3);
    svmemu_reset(m);
    assert_int_equal(c.resets, 1);
    assert_int_equal(get(m, 0x20, 4), 0);
    /* a second function makes the first say so */
    cfg.function = 3;
    assert_int_equal(svmemu_pci_add(m, &cfg, &g), SVMEMU_OK);
    assert_int_equal(get(m, 0x0E, 1), 0x80);
    svmemu_destroy(m);
}

static void refused(void **state)
{
    struct svmemu *m = create(), *bare;
    struct card c = { 0 };
    const struct svmemu_pci_config good = describe(&c);
    struct svmemu_pci *f;
    const struct svmemu_config no_pc = { .memory = RAM };
    (void)state;
#define REFUSED(status, change) \
    do { \
        struct svmemu_pci_config bad = good; \
        change; \
        assert_int_equal(svmemu_pci_add(m, &bad, &f), status); \
        assert_null(f); \
    } while (0)
    REFUSED(SVMEMU_ARGUMENT, bad.device = 1);
    REFUSED(SVMEMU_ARGUMENT, bad.device = 32);
    REFUSED(SVMEMU_ARGUMENT, bad.function = 8);
    REFUSED(SVMEMU_ARGUMENT, bad.pin = 5);
    REFUSED(SVMEMU_ARGUMENT, bad.class_code = 1 << 24);
    REFUSED(SVMEMU_ARGUMENT, bad.msi = 3);
    REFUSED(SVMEMU_ARGUMENT, bad.msi = 64);
    REFUSED(SVMEMU_ARGUMENT, bad.msix = 2049);
    REFUSED(SVMEMU_ARGUMENT, bad.msix_bar = 0);
    REFUSED(SVMEMU_ARGUMENT, bad.msix_bar = 3); /* upper half of BAR 2 */
    REFUSED(SVMEMU_ARGUMENT, bad.msix_bar = 6);
    REFUSED(SVMEMU_ARGUMENT, bad.bar[0].size = 0x1800);
    REFUSED(SVMEMU_ARGUMENT, bad.bar[0].size = 8);
    REFUSED(SVMEMU_ARGUMENT, bad.bar[0].size = 1ull << 32);
    REFUSED(SVMEMU_ARGUMENT, bad.bar[1].size = 512);
    REFUSED(SVMEMU_ARGUMENT, bad.bar[1].wide = true);
    REFUSED(SVMEMU_ARGUMENT, bad.bar[3] = bad.bar[0]);
    REFUSED(SVMEMU_ARGUMENT, (bad.msix = 0, bad.bar[5] = bad.bar[2]));
    REFUSED(SVMEMU_ARGUMENT, bad.bar[0].ops.write = NULL);
    assert_int_equal(svmemu_pci_add(m, &good, &f), SVMEMU_OK);
    REFUSED(SVMEMU_OVERLAP, (void)bad);
    svmemu_destroy(m);
    assert_int_equal(svmemu_create(&no_pc, &bare), SVMEMU_OK);
    assert_int_equal(svmemu_pci_add(bare, &good, &f), SVMEMU_UNSUPPORTED);
    svmemu_destroy(bare);
}

/* The board's devices, RAM, ROM holes and local APICs win over a BAR, wherever the guest puts it; nothing of them changes. */
static void bars_over_all_else(void **state)
{
    static const struct { u64 spa; bool visible; } places[] = {
        { 0, false }, { 0x7000, false }, { 0xA0000, false /* RAM under the screen */ }, { 0xE0000, false }, { RAM - 0x1000, false }, { RAM, true },
        { 0xE0000000, false }, { 0xEFFFF000, false }, { 0xF0000000, true }, { 0xFEC00000, false }, { 0xFED00000, false }, { 0xFEE00000, false },
        { 0xFEE01000, true }, { 0xFFFFF000, true /* no firmware here */ },
    };
    struct svmemu *m = create();
    struct card c = { .fill = 0xC1 }, d = { .fill = 0xD2 };
    struct svmemu_pci_config cfg = describe(&c);
    struct svmemu_pci *f, *g;
    u64 t = 0;
    (void)state;
    assert_int_equal(svmemu_pci_add(m, &cfg, &f), SVMEMU_OK);
    set(m, 4, 2, 7);
    for (unsigned i = 0; i < ARRAY_LEN(places); i++) {
        static const u64 kept[] = { 0x7000, RAM - 4, 0xE0000000, 0xFEC00000, 0xFED00000, 0xFEE00030 };
        u32 before[ARRAY_LEN(kept)];
        for (unsigned k = 0; k < ARRAY_LEN(kept); k++)
            before[k] = mem(m, kept[k]);
        set(m, 0x10, 4, (u32)places[i].spa);
        c.reads = c.writes = 0;
        bool seen = mem(m, places[i].spa) == 0xC1C1C1C1;
        if (seen != places[i].visible)
            fail_msg("BAR at %llx: %svisible", (unsigned long long)places[i].spa, seen ? "" : "not ");
        if (!seen)
            mem(m, places[i].spa + 0xFFC);
        assert_int_equal(c.reads != 0, seen);
        for (unsigned k = 0; k < ARRAY_LEN(kept); k++)
            assert_int_equal(mem(m, kept[k]), before[k]);
    }
    set(m, 0x10, 4, 0xF0000000);
    /* all BARs at one place, 64-bit ones beyond all addresses, ports over the board's */
    cfg = describe(&d);
    cfg.device = DEVICE + 1;
    assert_int_equal(svmemu_pci_add(m, &cfg, &g), SVMEMU_OK);
    for (unsigned at = 0x10; at <= 0x20; at += 4)
        pci_config_write(&m->pc->pci, 0, PCI_DEVFN(DEVICE + 1, 0), at, 4, at == 0x1C ? 0 : at == 0x14 ? 0xC000 : 0xF0000000);
    pci_config_write(&m->pc->pci, 0, PCI_DEVFN(DEVICE + 1, 0), 4, 2, 7);
    assert_int_equal(mem(m, 0xF0000000), 0xC1C1C1C1);
    assert_int_equal(mem(m, 0xF0001000), 0xD2D2D2D2); /* its wide one goes on */
    set(m, 0x10, 4, 0xF2000000);
    assert_int_equal(mem(m, 0xF0000000), 0xD2D2D2D2);
    assert_int_equal(mem(m, 0xF2000000), 0xC1C1C1C1);
    set(m, 0x18, 4, 0), set(m, 0x1C, 4, 0xFFFFFFFF);
    assert_int_equal(mem(m, 0xF2000000), 0xC1C1C1C1);
    for (u32 port = 0; port < 0x10000; port += 0x20) {
        set(m, 0x14, 4, port);
        t += port_read(m->bus, 0xCFC, 4, 0); /* configuration space stays reachable */
        assert_int_equal(get(m, 0, 4), 0x11E81234);
    }
    assert_true(t != 0);
    set(m, 0x14, 4, 0x60);
    assert_int_equal(port_read(m->bus, 0x64, 1, 0) == 0xC1, 0);
    assert_int_equal(port_read(m->bus, 0x62, 1, 0), 0xC1);
    svmemu_destroy(m);
}

static void pin(void **state)
{
    struct svmemu *m;
    struct card c = { 0 };
    struct svmemu_pci *f = plug(&m, &c);
    (void)state;
    const u32 pin = 16 + (DEVICE + 3) % 4; /* device 1 pin A is PIRQ A, pin 16 */
    set_mem(m, 0xFEC00000, 0x10 + 2 * pin);
    set_mem(m, 0xFEC00010, 0x8051);
    svmemu_pci_interrupt(f, 0, true);
    assert_int_equal(requested(m, 0), 0x51);
    assert_int_equal(get(m, 6, 1) & 8, 8);
    set(m, 4, 2, PCI_CMD_NO_INTX);
    lapic_reg_write(&m->lapic[0], 0xB0, 0);
    assert_int_equal(requested(m, 0), -1);
    set(m, 4, 2, 0);
    svmemu_pci_interrupt(f, 0, false);
    assert_int_equal(get(m, 6, 1) & 8, 0);
    /* with messages on the pin is not used */
    set(m, 4, 2, PCI_CMD_MASTER);
    set(m, MSI + 2, 2, 1);
    svmemu_pci_interrupt(f, 0, true);
    assert_int_equal(get(m, 6, 1) & 8, 0);
    set(m, MSI + 2, 2, 0);
    assert_int_equal(get(m, 6, 1) & 8, 8);
    svmemu_reset(m);
    assert_int_equal(get(m, 6, 1) & 8, 0);
    svmemu_destroy(m);
}

static void msi(void **state)
{
    struct svmemu *m;
    struct card c = { 0 };
    struct svmemu_pci *f = plug(&m, &c);
    (void)state;
    set(m, MSI + 4, 4, 0xFEE01003); /* low bits do not exist: to the second processor */
    assert_int_equal(get(m, MSI + 4, 4), 0xFEE01000);
    set(m, MSI + 12, 2, 0x4063);
    set(m, MSI + 2, 2, 0x01); /* on, one message granted */
    svmemu_pci_interrupt(f, 0, true);
    assert_int_equal(requested(m, 1), -1); /* no bus master */
    set(m, 4, 2, PCI_CMD_MASTER);
    for (unsigned granted = 0; granted < 4; granted++) { /* 1, 2, 4; more than it can is 4 */
        set(m, MSI + 2, 2, granted << 4 | 1);
        for (unsigned v = 0; v < 4; v++) {
            unsigned n = granted > 2 ? 4 : 1u << granted;
            svmemu_pci_interrupt(f, v, true);
            svmemu_pci_interrupt(f, v, false);
            assert_int_equal(requested(m, 1), (0x63 & ~(n - 1)) | (v & (n - 1)));
            assert_int_equal(requested(m, 1), -1);
        }
    }
    assert_int_equal(requested(m, 0), -1);
    set(m, MSI + 2, 2, 0x21);
    set(m, MSI + 16, 4, 0xFFFFFFFF);
    assert_int_equal(get(m, MSI + 16, 4), 0xF);
    svmemu_pci_interrupt(f, 1, true);
    svmemu_pci_interrupt(f, 1, true); /* pending once */
    svmemu_pci_interrupt(f, 3, true);
    assert_int_equal(get(m, MSI + 20, 4), 0xA);
    set(m, MSI + 20, 4, 0); /* read-only */
    assert_int_equal(requested(m, 1), -1);
    set(m, MSI + 16, 4, 0x7);
    assert_int_equal(get(m, MSI + 20, 4), 2);
    assert_int_equal(requested(m, 1), 0x63);
    set(m, MSI + 16, 4, 0);
    assert_int_equal(requested(m, 1), 0x61);
    assert_int_equal(requested(m, 1), -1);
    assert_int_equal(get(m, MSI + 20, 4), 0);
    set(m, MSI + 4, 4, 0x2000), set(m, MSI + 8, 4, 0); /* anywhere else it is a write to memory */
    svmemu_pci_interrupt(f, 2, true);
    assert_int_equal(mem(m, 0x2000), 0x4062);
    svmemu_destroy(m);
}

static void msix(void **state)
{
    struct svmemu *m;
    struct card c = { 0 };
    struct svmemu_pci *f = plug(&m, &c);
    (void)state;
    set(m, 0x20, 4, TABLE);
    set(m, 4, 2, PCI_CMD_MEMORY | PCI_CMD_MASTER);
    const u32 pba = TABLE + (get(m, MSIX + 8, 4) & ~7u);
    for (unsigned v = 0; v < 70; v++) {
        assert_int_equal(mem(m, TABLE + 16 * v + 12), 1); /* masked after reset */
        set_mem(m, TABLE + 16 * v, 0xFEE00000 | (v & 1) << 12);
        set_mem(m, TABLE + 16 * v + 8, 0x40 + v);
        set_mem(m, TABLE + 16 * v + 12, 0xFFFFFFFE);
        assert_int_equal(mem(m, TABLE + 16 * v + 12), 0);
    }
    set(m, MSIX + 2, 2, 0x8000 | 5); /* the size is read-only */
    assert_int_equal(get(m, MSIX + 2, 2), 0x8000 | 69);
    for (unsigned v = 0; v < 70; v++) {
        svmemu_pci_interrupt(f, v, true);
        assert_int_equal(requested(m, v & 1), 0x40 + (int)v);
        assert_int_equal(requested(m, ~v & 1), -1);
    }
    svmemu_pci_interrupt(f, 70, true); /* no such entry */
    assert_true(requested(m, 0) == -1 && requested(m, 1) == -1);
    set_mem(m, TABLE + 16 * 66 + 12, 1); /* one masked */
    svmemu_pci_interrupt(f, 66, true);
    svmemu_pci_interrupt(f, 65, true);
    assert_int_equal(requested(m, 1), 0x40 + 65);
    assert_int_equal(requested(m, 0), -1);
    assert_int_equal(mem(m, pba), 0);
    assert_int_equal(mem(m, pba + 8), 1 << 2);
    set_mem(m, pba + 8, 0); /* read-only */
    set_mem(m, TABLE + 16 * 66 + 8, 0x99); /* changed while masked, then sent as it is now */
    set_mem(m, TABLE + 16 * 66 + 12, 0);
    assert_int_equal(requested(m, 0), 0x99);
    assert_int_equal(mem(m, pba + 8), 0);
    set(m, MSIX + 2, 2, 0xC000); /* the whole function masked */
    svmemu_pci_interrupt(f, 0, true);
    svmemu_pci_interrupt(f, 69, true);
    assert_true(requested(m, 0) == -1 && requested(m, 1) == -1);
    assert_int_equal(mem(m, pba), 1);
    set(m, MSIX + 2, 2, 0x8000);
    assert_int_equal(requested(m, 0), 0x40);
    assert_int_equal(requested(m, 1), 0x40 + 69);
    set_mem(m, TABLE + 32, TABLE + 16 + 8); /* into its own table: dropped, as at any device; memory is written */
    svmemu_pci_interrupt(f, 2, true);
    assert_int_equal(mem(m, TABLE + 16 + 8), 0x41);
    set_mem(m, TABLE + 32, 0x3004);
    svmemu_pci_interrupt(f, 2, true);
    assert_int_equal(mem(m, 0x3004), 0x42);
    svmemu_reset(m);
    set(m, 0x20, 4, TABLE);
    set(m, 4, 2, PCI_CMD_MEMORY);
    assert_int_equal(mem(m, TABLE + 12), 1);
    svmemu_destroy(m);
}

/* Any access to configuration space, table and BARs, with interrupts of the device between them. */
static void hammer(void **state)
{
    struct svmemu *m = create();
    struct card c = { .fill = 0x77 };
    struct svmemu_pci_config cfg = describe(&c);
    struct svmemu_pci *f[2];
    u64 r = 88172645463325252ull;
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        cfg.device = DEVICE + i;
        cfg.msix = i ? 2048 : 1;
        assert_int_equal(svmemu_pci_add(m, &cfg, &f[i]), SVMEMU_OK);
    }
    for (unsigned i = 0; i < 100000; i++) {
        r ^= r << 13, r ^= r >> 7, r ^= r << 17;
        unsigned width = 1u << (r & 3) % 3, reg = r >> 8 & 0xFF & ~(width - 1);
        u32 v = r & 0x80000000 ? (u32)(r >> 32) : TABLE + (u32)(r >> 40 & 0x3000);
        switch (r >> 2 & 7) {
        case 0: svmemu_pci_interrupt(f[r >> 5 & 1], (unsigned)(r >> 20), r >> 6 & 1); break;
        case 1: phys_write_le(&m->view, (struct spa){ TABLE + (r >> 20 & 0xFFFF) }, 1u << (r & 3), r); break;
        case 2: phys_read_le(&m->view, (struct spa){ TABLE + (r >> 20 & 0xFFFF) }, 1u << (r & 3)); break;
        case 3: pci_config_read(&m->pc->pci, 0, PCI_DEVFN(DEVICE + (r >> 5 & 1), 0), reg, width); break;
        case 4: if ((r >> 50) % 64 == 0) pci_reset(&m->pc->pci); break;
        default: pci_config_write(&m->pc->pci, 0, PCI_DEVFN(DEVICE + (r >> 5 & 1), 0), reg, width, v); break;
        }
    }
    svmemu_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(found), cmocka_unit_test(refused), cmocka_unit_test(bars_over_all_else), cmocka_unit_test(pin),
                                        cmocka_unit_test(msi), cmocka_unit_test(msix), cmocka_unit_test(hammer) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
