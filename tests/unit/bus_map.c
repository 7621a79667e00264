// SPDX-License-Identifier: MIT
/* Regions, aliases, ROM, widths of device accesses, ports, page flags, memory that is only reserved. */
#include "base/bits.h"
#include "bus/bus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct device {
    u8 reg[64];
    unsigned calls, widest, narrowest;
    u64 last_off;
    bool misaligned;
};

static void note(struct device *d, u64 off, unsigned width)
{
    d->calls++;
    d->last_off = off;
    if (width > d->widest)
        d->widest = width;
    if (!d->narrowest || width < d->narrowest)
        d->narrowest = width;
    d->misaligned |= off % width != 0 || off + width > sizeof(d->reg);
}

static u64 dev_read(void *ctx, u64 off, unsigned width, int cpu)
{
    struct device *d = ctx;
    u64 v = 0;

    (void)cpu;
    note(d, off, width);
    if (off + width <= sizeof(d->reg))
        memcpy(&v, d->reg + off, width);
    return v;
}

static void dev_write(void *ctx, u64 off, unsigned width, u64 value, int cpu)
{
    struct device *d = ctx;

    (void)cpu;
    note(d, off, width);
    if (off + width <= sizeof(d->reg))
        memcpy(d->reg + off, &value, width);
}

static struct phys_view view_of(struct bus *b)
{
    return (struct phys_view){ .bus = b, .cpu = -1, .apic_page = ~0ull, .a20_mask = ~0ull };
}

static void test_ram_rom_alias(void **state)
{
    struct bus *b = bus_create(40);
    struct phys_view v = view_of(b);
    struct phys_page p, q;
    static const u8 rom[4] = { 1, 2, 3, 4 };

    (void)state;
    assert_true(bus_add_ram(b, 0, 64ull << 30, "ram")); /* reserved, not committed */
    assert_true(bus_add_rom(b, 0xF0000, 0x10000, rom, 4, "bios"));
    assert_true(bus_add_alias(b, 0xFFF0000000ull, 0x10000, "bios", 0));
    assert_false(bus_add_alias(b, 0, 0x11000, "bios", 0));
    assert_false(bus_add_ram(b, BIT(40) - 0x1000, 0x2000, "beyond"));
    assert_false(bus_add_ram(b, 0x800, 0x1000, "unaligned"));
    assert_int_equal(bus_ram_size(b), 64ull << 30);
    phys_write_le(&v, (struct spa){ (63ull << 30) + 5 }, 8, 0x1122334455667788ull);
    assert_true(phys_read_le(&v, (struct spa){ (63ull << 30) + 5 }, 8) == 0x1122334455667788ull);
    phys_write_le(&v, (struct spa){ 0xF0000 }, 4, 0);
    assert_int_equal(phys_read_le(&v, (struct spa){ 0xF0000 }, 4), 0x04030201);
    assert_int_equal(phys_read_le(&v, (struct spa){ 0xFFF0000001ull }, 1), 2);
    assert_true(phys_lookup(&v, (struct spa){ 0xF0123 }, &p));
    assert_true(phys_lookup(&v, (struct spa){ 0xFFF0000456ull }, &q));
    assert_int_equal(p.bpn, q.bpn);
    assert_int_equal(p.flags, PGF_ROM);
    assert_ptr_equal(bus_bpn_host(b, p.bpn), p.host);
    /* Across RAM's end of the shadowed part, byte-exact. */
    phys_write_le(&v, (struct spa){ 0xEFFFC }, 8, 0xAABBCCDDEEFF0011ull);
    assert_true(phys_read_le(&v, (struct spa){ 0xEFFFC }, 8) == 0x04030201EEFF0011ull);
    assert_true(bus_remove(b, 0xF0000, "bios"));
    assert_false(bus_remove(b, 0xF0000, "bios"));
    assert_int_equal(phys_read_le(&v, (struct spa){ 0xF0000 }, 4), 0);
    assert_int_equal(phys_read_le(&v, (struct spa){ 0xFFF0000000ull }, 4), 0x04030201);
    /* A20. */
    phys_write_le(&v, (struct spa){ 0x10 }, 1, 0x5A);
    v.a20_mask = ~BIT(20);
    assert_int_equal(phys_read_le(&v, (struct spa){ 0x100010 }, 1), 0x5A);
    /* Holes. */
    assert_true(phys_read_le(&v, (struct spa){ 100ull << 30 }, 8) == ~0ull);
    phys_write_le(&v, (struct spa){ ~7ull }, 8, 1);
    phys_write_le(&v, (struct spa){ ~3ull }, 8, 1);
    bus_destroy(b);
}

static void test_mmio_widths(void **state)
{
    static const unsigned limits[][2] = { { 0, 0 }, { 1, 1 }, { 1, 4 }, { 4, 4 }, { 2, 8 }, { 8, 8 } };

    (void)state;
    for (unsigned k = 0; k < ARRAY_LEN(limits); k++) {
        struct mmio_ops ops = { dev_read, dev_write, limits[k][0], limits[k][1] };
        struct bus *b = bus_create(36);
        struct phys_view v = view_of(b);
        struct device d = { .calls = 0 };
        assert_true(bus_add_ram(b, 0, 0x10000, "ram"));
        assert_true(bus_add_mmio(b, 0x1FC0, sizeof(d.reg), &ops, &d, "dev"));
        for (unsigned len = 1; len <= 8; len++) {
            for (unsigned off = 0; off < 80; off++) {
                u8 want[8], got[8];
                for (unsigned i = 0; i < sizeof(d.reg); i++)
                    d.reg[i] = (u8)(i * 7 + len);
                for (unsigned i = 0; i < len; i++) {
                    u64 a = 0x1FB8 + off + i;
                    phys_write_le(&v, (struct spa){ 0x1FB8 }, 8, 0x8182838485868788ull);
                    phys_write_le(&v, (struct spa){ 0x2000 }, 8, 0x9192939495969798ull);
                    phys_read(&v, (struct spa){ a }, &want[i], 1);
                    if (a >= 0x1FC0 && a < 0x2000)
                        assert_int_equal(want[i], d.reg[a - 0x1FC0]);
                }
                phys_read(&v, (struct spa){ 0x1FB8 + off }, got, len);
                assert_memory_equal(want, got, len);
                if (limits[k][0] <= 1) { /* no widening: other bytes stay */
                    memset(got, 0x33, len);
                    phys_write(&v, (struct spa){ 0x1FB8 + off }, got, len);
                    for (unsigned i = 0; i < sizeof(d.reg); i++) {
                        bool hit = 0x1FC0 + i >= 0x1FB8 + off && 0x1FC0 + i < 0x1FB8 + off + len;
                        assert_int_equal(d.reg[i], hit ? 0x33 : (u8)(i * 7 + len));
                    }
                }
            }
        }
        assert_false(d.misaligned);
        if (limits[k][1])
            assert_true(d.widest <= limits[k][1] && d.narrowest >= limits[k][0]);
        struct phys_page p;
        assert_false(phys_lookup(&v, (struct spa){ 0x1000 }, &p)); /* partly a device */
        assert_null(p.host);
        bus_destroy(b);
    }
}

static void test_ports(void **state)
{
    struct mmio_ops byte = { dev_read, dev_write, 1, 1 }, any = { dev_read, dev_write, 0, 0 };
    struct bus *b = bus_create(36);
    struct device d1 = { .reg = { 0x11, 0x22 } }, d2 = { .reg = { 0xAA, 0xBB, 0xCC, 0xDD } };

    (void)state;
    assert_true(bus_add_ports(b, 0x60, 2, &byte, &d1, "one"));
    assert_true(bus_add_ports(b, 0x64, 4, &any, &d2, "two"));
    assert_false(bus_add_ports(b, 0xFFFF, 2, &any, &d2, "over"));
    assert_int_equal(port_read(b, 0x60, 4, 0), 0xFFFF2211);
    assert_int_equal(port_read(b, 0x64, 4, 0), 0xDDCCBBAA);
    assert_int_equal(d2.calls, 1);
    assert_int_equal(port_read(b, 0x62, 4, 0), 0xBBAAFFFF);
    assert_int_equal(port_read(b, 0x67, 2, 0), 0xFFDD);
    assert_int_equal(port_read(b, 0xFFFF, 4, 0), 0xFFFFFFFF);
    port_write(b, 0x61, 4, 0x44332255, 0);
    assert_int_equal(d1.reg[1], 0x55);
    assert_int_equal(d2.reg[0], 0x44);
    for (unsigned p = 0; p < 65536; p += 3)
        port_write(b, (u16)p, 4, p, 0);
    bus_destroy(b);
}

struct seen { unsigned code, flagged, map; u32 bpn; };
static void on_code(void *ctx, u32 bpn, unsigned off, unsigned len)
{
    (void)off;
    (void)len;
    ((struct seen *)ctx)->code++;
    ((struct seen *)ctx)->bpn = bpn;
}
static void on_flag(void *ctx, u32 bpn) { ((struct seen *)ctx)->flagged++; (void)bpn; }
static void on_map(void *ctx) { ((struct seen *)ctx)->map++; }

static void test_flags(void **state)
{
    struct bus *b = bus_create(36);
    struct phys_view v = view_of(b);
    struct seen s = { 0 };
    struct bus_hooks h = { &s, on_code, on_flag, on_map };
    struct phys_page p;

    (void)state;
    bus_set_hooks(b, &h);
    assert_true(bus_add_ram(b, 0, 0x10000, "ram"));
    assert_int_equal(s.map, 1);
    assert_true(phys_lookup(&v, (struct spa){ 0x3000 }, &p));
    page_flags_set(b, p.bpn, PGF_CLEAN);
    page_flags_set(b, p.bpn, PGF_CODE);
    assert_int_equal(s.flagged, 1);
    u8 buf[0x3000] = { 0 };
    phys_write(&v, (struct spa){ 0x2800 }, buf, sizeof(buf));
    assert_int_equal(s.code, 1);
    assert_int_equal(s.bpn, p.bpn);
    assert_int_equal(page_flags_get(b, p.bpn), PGF_CODE);
    page_flags_clear(b, p.bpn, PGF_CODE);
    phys_write_le(&v, (struct spa){ 0x3000 }, 8, 1);
    assert_int_equal(s.code, 1);
    assert_int_equal(page_flags_get(b, BPN_NONE), 0);
    page_flags_set(b, BPN_NONE, PGF_CODE);
    bus_destroy(b);
}

static void test_apic_overlay(void **state)
{
    struct mmio_ops ops = { dev_read, dev_write, 4, 4 };
    struct bus *b = bus_create(36);
    struct device d = { .reg = { 9 } };
    struct phys_view v = view_of(b), other = v;
    struct phys_page p;

    (void)state;
    assert_true(bus_add_ram(b, 0, 0x10000, "ram"));
    v.apic_page = 0x4000;
    v.apic_ops = &ops;
    v.apic_ctx = &d;
    assert_false(phys_lookup(&v, (struct spa){ 0x4000 }, &p));
    assert_true(phys_lookup(&other, (struct spa){ 0x4000 }, &p));
    assert_int_equal(phys_read_le(&v, (struct spa){ 0x4000 }, 1), 9);
    assert_int_equal(phys_read_le(&other, (struct spa){ 0x4000 }, 1), 0);
    bus_destroy(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ram_rom_alias), cmocka_unit_test(test_mmio_widths), cmocka_unit_test(test_ports),
        cmocka_unit_test(test_flags), cmocka_unit_test(test_apic_overlay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
