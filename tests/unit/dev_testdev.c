// SPDX-License-Identifier: MIT
/* QEMU's test device, each register at its place and width. */
#include "dev/testdev.h"

#include "base/bits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <string.h>

struct fixture {
    struct bus *bus;
    struct phys_view view;
    struct testdev d;
    u32 lines, flushed;
    unsigned line_calls, flushes;
};

static void on_line(void *ctx, unsigned n, bool level)
{
    struct fixture *f = ctx;
    f->lines = level ? f->lines | 1u << n : f->lines & ~(1u << n);
    f->line_calls++;
}
static void on_flush(void *ctx, u32 address)
{
    struct fixture *f = ctx;
    f->flushed = address;
    f->flushes++;
}

static void setup(struct fixture *f)
{
    const struct testdev_out out = { f, on_line, on_flush };
    memset(f, 0, sizeof(*f));
    f->bus = bus_create(40);
    f->view = (struct phys_view){ .bus = f->bus, .cpu = -1, .apic_page = ~0ull, .a20_mask = ~0ull };
    assert_true(testdev_plug(&f->d, f->bus, &out));
    assert_true(testdev_plug(&f->d, f->bus, &out)); /* once is enough */
}

static void out(struct fixture *f, u16 port, unsigned width, u32 v) { port_write(f->bus, port, width, v, 0); }
static u32 in(struct fixture *f, u16 port, unsigned width) { return (u32)port_read(f->bus, port, width, 0); }

static void latch(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    out(&f, 0xE0, 4, 0x12345678);
    assert_int_equal(in(&f, 0xE0, 4), 0x12345678);
    assert_int_equal(in(&f, 0xE0, 2), 0x5678);
    assert_int_equal(in(&f, 0xE0, 1), 0x78);
    assert_int_equal(in(&f, 0xE1, 1), 0x56);
    assert_int_equal(in(&f, 0xE2, 2), 0x1234);
    out(&f, 0xE3, 1, 0xAB);
    out(&f, 0xE1, 2, 0xCDEF); /* unaligned */
    assert_int_equal(in(&f, 0xE0, 4), 0xABCDEF78);
    assert_int_equal(in(&f, 0xE3, 4), 0xFFFFFFAB); /* off its end there is nothing to read */
    assert_int_equal(in(&f, 0xDF, 1), 0xFF);
    testdev_reset(&f.d);
    assert_int_equal(in(&f, 0xE0, 4), 0);
    bus_destroy(f.bus);
}

static void flush(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    out(&f, 0xE4, 4, 0x12345FFF);
    assert_int_equal(f.flushed, 0x12345000);
    assert_int_equal(f.flushes, 1);
    out(&f, 0xE4, 1, 1);
    out(&f, 0xE4, 2, 1);
    out(&f, 0xE6, 2, 1);
    out(&f, 0xE8, 4, 1);
    assert_int_equal(f.flushes, 1);
    out(&f, 0xE4, 4, 0xFFFFFFFF);
    assert_int_equal(f.flushed, 0xFFFFF000);
    bus_destroy(f.bus);
}

static void lines(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    for (unsigned n = 0; n < 24; n++) {
        out(&f, (u16)(0x2000 + n), 1, 1);
        assert_int_equal(f.lines, 1u << n);
        out(&f, (u16)(0x2000 + n), 1, 0x80); /* any bit counts */
        assert_int_equal(f.lines, 1u << n);
        out(&f, (u16)(0x2000 + n), 1, 0);
        assert_int_equal(f.lines, 0);
    }
    unsigned calls = f.line_calls;
    out(&f, 0x2018, 1, 1);
    out(&f, 0x1FFF, 1, 1);
    assert_int_equal(f.line_calls, calls);
    out(&f, 0x2005, 1, 1);
    out(&f, 0x2017, 1, 1);
    testdev_reset(&f.d);
    assert_int_equal(f.lines, 0); /* and nobody is left waiting */
    bus_destroy(f.bus);
}

static void io_ram(void **state)
{
    struct fixture f;
    u8 b[24];
    (void)state;
    setup(&f);
    for (unsigned width = 1; width <= 8; width *= 2)
        for (unsigned off = 0; off < 8; off++) {
            phys_write_le(&f.view, (struct spa){ 0xFF000000 + off }, 8, 0x1111111111111111ull);
            phys_write_le(&f.view, (struct spa){ 0xFF000000 + off }, width, 0xA1B2C3D4E5F60718ull);
            assert_int_equal(phys_read_le(&f.view, (struct spa){ 0xFF000000 + off }, width), zext(0xA1B2C3D4E5F60718ull, width));
            assert_int_equal(phys_read_le(&f.view, (struct spa){ 0xFF000000 + off + width }, 1), width == 8 ? f.d.s.ram[off + 8] : 0x11);
        }
    for (unsigned i = 0; i < sizeof(b); i++)
        b[i] = (u8)(i + 1);
    phys_write(&f.view, (struct spa){ 0xFF00FFF3 }, b, sizeof(b)); /* over its end */
    memset(b, 0, sizeof(b));
    phys_read(&f.view, (struct spa){ 0xFF00FFF3 }, b, sizeof(b));
    for (unsigned i = 0; i < sizeof(b); i++)
        assert_int_equal(b[i], i < 13 ? i + 1 : 0xFF);
    testdev_reset(&f.d);
    assert_int_equal(phys_read_le(&f.view, (struct spa){ 0xFF00FFF8 }, 8), 0);
    bus_destroy(f.bus);
}

/* A firmware image that reaches down to FF000000h stays visible. */
static void under_firmware(void **state)
{
    struct fixture f = { 0 };
    const struct testdev_out none = { 0 };
    u8 rom[4096] = { 0x5A };
    (void)state;
    f.bus = bus_create(40);
    f.view = (struct phys_view){ .bus = f.bus, .cpu = -1, .apic_page = ~0ull, .a20_mask = ~0ull };
    assert_true(bus_add_rom(f.bus, 0xFF000000, 4096, rom, sizeof(rom), "firmware") && testdev_plug(&f.d, f.bus, &none));
    phys_write_le(&f.view, (struct spa){ 0xFF000000 }, 1, 1);
    assert_int_equal(phys_read_le(&f.view, (struct spa){ 0xFF000000 }, 1), 0x5A);
    phys_write_le(&f.view, (struct spa){ 0xFF001000 }, 1, 1);
    assert_int_equal(phys_read_le(&f.view, (struct spa){ 0xFF001000 }, 1), 1);
    out(&f, 0x2000, 1, 1); /* nobody listens */
    out(&f, 0xE4, 4, 0);
    testdev_reset(&f.d);
    bus_destroy(f.bus);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(latch), cmocka_unit_test(flush), cmocka_unit_test(lines), cmocka_unit_test(io_ram),
                                        cmocka_unit_test(under_firmware) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
