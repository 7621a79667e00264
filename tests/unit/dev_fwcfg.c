// SPDX-License-Identifier: MIT
/* fw_cfg as QEMU's specification of it says, written from that text. */
#include "dev/fwcfg.h"

#include "base/bits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

struct fixture {
    struct bus *bus;
    struct phys_view view;
    struct fwcfg f;
    unsigned mmio; /* accesses of the device at 200000h */
};

static u64 mmio_rd(void *ctx, u64 off, unsigned width, int cpu)
{
    (void)off, (void)width, (void)cpu;
    ++*(unsigned *)ctx;
    return 0;
}
static void mmio_wr(void *ctx, u64 off, unsigned width, u64 v, int cpu)
{
    (void)off, (void)width, (void)v, (void)cpu;
    ++*(unsigned *)ctx;
}
static const struct mmio_ops mmio_ops = { mmio_rd, mmio_wr, 0, 0 };

static void setup(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->bus = bus_create(40);
    assert_true(bus_add_ram(f->bus, 0, 0x100000, "ram") && bus_add_ram(f->bus, 0x180000000, 0x1000, "high") &&
                bus_add_mmio(f->bus, 0x200000, 0x1000, &mmio_ops, &f->mmio, "device"));
    f->view = (struct phys_view){ .bus = f->bus, .cpu = -1, .apic_page = ~0ull, .a20_mask = ~0ull };
    assert_true(fwcfg_init(&f->f, f->bus, &f->view));
}

static void finish(struct fixture *f)
{
    fwcfg_fini(&f->f);
    bus_destroy(f->bus);
}

static void out(struct fixture *f, u16 port, unsigned width, u32 v) { port_write(f->bus, port, width, v, 0); }
static u32 in(struct fixture *f, u16 port, unsigned width) { return (u32)port_read(f->bus, port, width, 0); }

static void read_item(struct fixture *f, u16 key, void *buf, size_t n)
{
    out(f, 0x510, 2, key);
    for (size_t i = 0; i < n; i++)
        ((u8 *)buf)[i] = (u8)in(f, 0x511, 1);
}

static u64 be(const u8 *p, unsigned n)
{
    u64 v = 0;
    while (n--)
        v = v << 8 | *p++;
    return v;
}

static void ports(void **state)
{
    struct fixture f;
    u8 b[8];
    (void)state;
    setup(&f);
    read_item(&f, 0, b, 6);
    assert_memory_equal(b, "QEMU\0\0", 6); /* past the end: zeros */
    read_item(&f, 1, b, 4);
    assert_int_equal(load_le(b, 4), 3);    /* both interfaces */
    read_item(&f, 0x3FFF, b, 8);
    assert_memory_equal(b, "\0\0\0\0\0\0\0\0", 8);
    read_item(&f, 0xFFFF, b, 4);
    assert_memory_equal(b, "\0\0\0\0", 4);
    read_item(&f, 0x4000, b, 4);           /* bit 14 does not change the item */
    assert_memory_equal(b, "QEMU", 4);
    assert_true(fwcfg_put_le(&f.f, FWCFG_CPUS, 2, 0x1234) && fwcfg_put_le(&f.f, FWCFG_CPUS, 2, 0x5678));
    read_item(&f, 5, b, 3);
    assert_memory_equal(b, "\x78\x56\0", 3); /* replaced, little-endian */
    out(&f, 0x510, 2, 0);
    assert_int_equal(in(&f, 0x511, 1), 'Q');
    out(&f, 0x511, 1, 'x');                /* data is read-only, and bytes do not reach the selector */
    out(&f, 0x510, 1, 1);
    assert_int_equal(in(&f, 0x511, 1), 'E');
    out(&f, 0x510, 2, 0);
    assert_int_equal(in(&f, 0x511, 1), 'Q');
    out(&f, 0x510, 2, 0);
    assert_int_equal(in(&f, 0x510, 2) >> 8, 'Q'); /* the data port is the selector's upper byte */
    assert_int_equal(in(&f, 0x512, 2), 0xFFFF);
    assert_int_equal(in(&f, 0x51C, 4), 0xFFFFFFFF);
    finish(&f);
}

static void directory(void **state)
{
    struct fixture f;
    u8 dir[4 + 64 * 65], b[8];
    char name[80];
    (void)state;
    setup(&f);
    read_item(&f, 0x19, dir, 8);
    assert_memory_equal(dir, "\0\0\0\0\0\0\0\0", 8);
    assert_true(fwcfg_put_file(&f.f, "opt/a", "first", 5) && fwcfg_put_file(&f.f, "etc/b", "", 0) &&
                fwcfg_put_file(&f.f, "opt/a", "2nd", 3));
    read_item(&f, 0x19, dir, 4 + 128);
    assert_int_equal(be(dir, 4), 2);
    assert_int_equal(be(dir + 4, 4), 3);
    assert_int_equal(be(dir + 8, 2), 0x20);
    assert_string_equal((char *)dir + 12, "opt/a");
    assert_int_equal(be(dir + 68, 4), 0);
    assert_int_equal(be(dir + 72, 2), 0x21);
    assert_string_equal((char *)dir + 76, "etc/b");
    read_item(&f, 0x20, b, 5);
    assert_memory_equal(b, "2nd\0\0", 5);
    memset(name, 'n', sizeof(name));
    name[56] = 0;
    assert_false(fwcfg_put_file(&f.f, name, "x", 1)); /* 55 characters and the zero */
    name[55] = 0;
    assert_true(fwcfg_put_file(&f.f, name, "x", 1));
    assert_false(fwcfg_put_file(&f.f, "", "x", 1));
    for (unsigned i = 3; i < FWCFG_FILES; i++) {
        snprintf(name, sizeof(name), "f%u", i);
        assert_true(fwcfg_put_file(&f.f, name, name, 2));
    }
    assert_false(fwcfg_put_file(&f.f, "one too many", "x", 1));
    read_item(&f, 0x19, dir, 4);
    assert_int_equal(be(dir, 4), FWCFG_FILES);
    finish(&f);
}

static void put_be(u8 *p, unsigned n, u64 v)
{
    while (n--) {
        p[n] = (u8)v;
        v >>= 8;
    }
}

/* One DMA operation with the structure at `at`; returns the control field afterwards. */
static u32 dma(struct fixture *f, u64 at, u32 control, u32 len, u64 target)
{
    u8 a[16];
    put_be(a, 4, control);
    put_be(a + 4, 4, len);
    put_be(a + 8, 8, target);
    phys_write(&f->view, (struct spa){ at }, a, 16);
    if (at >> 32)
        out(f, 0x514, 4, __builtin_bswap32((u32)(at >> 32)));
    out(f, 0x518, 4, __builtin_bswap32((u32)at));
    phys_read(&f->view, (struct spa){ at }, a, 16);
    return (u32)be(a, 4);
}

static void dma_interface(void **state)
{
    struct fixture f;
    u8 big[10000], got[12000], rom[4096] = { 7 };
    (void)state;
    setup(&f);
    for (unsigned i = 0; i < sizeof(big); i++)
        big[i] = (u8)(i * 7 + i / 256);
    assert_true(fwcfg_put_file(&f.f, "opt/big", big, sizeof(big)) && bus_add_rom(f.bus, 0x300000, 4096, rom, 4096, "rom"));
    assert_int_equal(in(&f, 0x514, 4), 0x554D4551); /* "QEMU" in memory order */
    assert_int_equal(in(&f, 0x518, 4), 0x47464320);
    assert_int_equal(in(&f, 0x51A, 1), 'F');
    /* select and read across pages, past the item's end */
    memset(got, 0xAA, sizeof(got));
    phys_write(&f.view, (struct spa){ 0x4FF0 }, got, sizeof(got));
    assert_int_equal(dma(&f, 0x8000 + 0xFF8, 0x20 << 16 | 8 | 2, 11000, 0xA0FF3), 0); /* the structure crosses a page too */
    phys_read(&f.view, (struct spa){ 0xA0FF3 }, got, 11000);
    assert_memory_equal(got, big, sizeof(big));
    for (unsigned i = 10000; i < 11000; i++)
        assert_int_equal(got[i], 0);
    /* skip and the two interfaces share the offset */
    assert_int_equal(dma(&f, 0x1000, 0x20 << 16 | 8 | 4, 100, 0), 0);
    assert_int_equal(in(&f, 0x511, 1), big[100]);
    assert_int_equal(dma(&f, 0x1000, 2, 2, 0x2000), 0);
    phys_read(&f.view, (struct spa){ 0x2000 }, got, 2);
    assert_memory_equal(got, big + 101, 2);
    assert_int_equal(dma(&f, 0x1000, 4, 0xFFFFFFFF, 0), 0); /* far past the end */
    assert_int_equal(in(&f, 0x511, 1), 0);
    /* read wins over write and skip; a write alone is refused */
    assert_int_equal(dma(&f, 0x1000, 0x20 << 16 | 8 | 4 | 2 | 16, 1, 0x2000), 0);
    assert_int_equal(in(&f, 0x511, 1), big[1]);
    assert_int_equal(dma(&f, 0x1000, 0x20 << 16 | 8 | 16, 4, 0x2000), 1);
    assert_int_equal(dma(&f, 0x1000, 0, 4, 0x2000), 0); /* nothing to do */
    assert_int_equal(dma(&f, 0x180000010, 0x20 << 16 | 8 | 2, 1, 0x2000), 0); /* structure above 4 GiB */
    assert_int_equal(dma(&f, 0x1000, 4, 0, 0), 0);                             /* the upper half is zero again */
    finish(&f);
}

/* A write goes to a writable file and fits, or changes nothing. */
static void dma_writes(void **state)
{
    struct fixture f;
    u8 big[9000], got[9000], zeros[9000] = { 0 };
    enum { SELECT = 0x20 << 16 | 8, WRITE = 16 };
    (void)state;
    setup(&f);
    for (unsigned i = 0; i < sizeof(big); i++)
        big[i] = (u8)(i * 13 + i / 256);
    assert_true(fwcfg_put_file(&f.f, "opt/result", zeros, sizeof(zeros)) && fwcfg_put_file(&f.f, "opt/fixed", "abcd", 4));
    phys_write(&f.view, (struct spa){ 0xA0FF3 }, big, sizeof(big));
    assert_int_equal(dma(&f, 0x1000, SELECT | WRITE, 16, 0xA0FF3), 1); /* not writable yet */
    fwcfg_file(&f.f, "opt/result")->writable = true;
    static const struct { u32 len; u64 from; } refused[] = { { 9001, 0xA0FF3 }, { 0xFFFFFFFF, 0xA0FF3 }, { 8, 0x200000 }, { 8, 0xFFFFC },
                                                             { 8, ~0ull }, { 9000, 0xFF000 } };
    for (unsigned i = 0; i < ARRAY_LEN(refused); i++)
        assert_int_equal(dma(&f, 0x1000, SELECT | WRITE, refused[i].len, refused[i].from), 1);
    assert_int_equal(f.mmio, 0);
    assert_memory_equal(fwcfg_file(&f.f, "opt/result")->data, zeros, sizeof(zeros));
    assert_int_equal(dma(&f, 0x1000, SELECT | WRITE, 9000, 0xA0FF3), 0);
    read_item(&f, 0x20, got, sizeof(got));
    assert_memory_equal(got, big, sizeof(big));
    assert_int_equal(dma(&f, 0x1000, WRITE, 1, 0xA0FF3), 1);               /* at the end */
    assert_int_equal(dma(&f, 0x1000, WRITE, 0, 0xA0FF3), 0);
    assert_int_equal(dma(&f, 0x1000, SELECT | 4, 8990, 0), 0);             /* skip, then write the rest in two pieces */
    assert_int_equal(dma(&f, 0x1000, WRITE, 4, 0xA0FF3), 0);
    assert_int_equal(dma(&f, 0x1000, WRITE, 6, 0xA0FF3 + 4), 0);
    read_item(&f, 0x20, got, sizeof(got));
    assert_memory_equal(got, big, 8990);
    assert_memory_equal(got + 8990, big, 10);
    assert_int_equal(dma(&f, 0x1000, SELECT | 4, 0xFFFFFFFF, 0), 0);
    assert_int_equal(dma(&f, 0x1000, WRITE, 1, 0xA0FF3), 1);               /* far past the end */
    assert_int_equal(dma(&f, 0x1000, 0x21 << 16 | 8 | WRITE, 4, 0xA0FF3), 1);
    assert_int_equal(dma(&f, 0x1000, 0x3F << 16 | 8 | WRITE, 0, 0xA0FF3), 1); /* no such item */
    assert_true(fwcfg_put_file(&f.f, "opt/result", zeros, 10)); /* put again: read-only */
    assert_int_equal(dma(&f, 0x1000, SELECT | WRITE, 4, 0xA0FF3), 1);
    finish(&f);
}

static void dma_refused(void **state)
{
    static const u64 bad[] = { 0x200000, 0x100000, 0xFFFFFFFFFFFFFFFFull, 0x8000000000000000ull, 0x10000000000ull };
    struct fixture f;
    u8 page[4096];
    (void)state;
    setup(&f);
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(dma(&f, 0x1000, 8 | 2, 4, bad[i]), 1);
        assert_int_equal(dma(&f, 0x1000, 8 | 2, 0, bad[i]), 0); /* no byte touches it */
        out(&f, 0x514, 4, __builtin_bswap32((u32)(bad[i] >> 32))); /* the structure itself nowhere */
        out(&f, 0x518, 4, __builtin_bswap32((u32)bad[i]));
    }
    assert_int_equal(f.mmio, 0);
    assert_int_equal(dma(&f, 0x1000, 8 | 2, 0xFFFFFFFF, 0xFF000), 1); /* runs off the end of RAM */
    phys_read(&f.view, (struct spa){ 0xFF000 }, page, 8);
    assert_memory_equal(page, "QEMU\0\0\0\0", 8);
    /* narrow writes do not start anything */
    memset(page, 0xEE, 16);
    phys_write(&f.view, (struct spa){ 0 }, page, 16);
    out(&f, 0x518, 1, 0);
    out(&f, 0x518, 2, 0);
    out(&f, 0x51A, 2, 0);
    phys_read(&f.view, (struct spa){ 0 }, page, 4);
    assert_int_equal(load_le(page, 4), 0xEEEEEEEE);
    finish(&f);
}

static void note(void *ctx) { ++*(int *)ctx; }

static void fresh_contents(void **state)
{
    struct fixture f;
    int n = 0;
    (void)state;
    setup(&f);
    assert_true(fwcfg_put_file(&f.f, "etc/x", "ab", 2));
    fwcfg_file(&f.f, "etc/x")->selected = note;
    fwcfg_file(&f.f, "etc/x")->ctx = &n;
    assert_null(fwcfg_file(&f.f, "etc/y"));
    assert_null(fwcfg_file(&f.f, ""));
    out(&f, 0x510, 2, 0x20);
    in(&f, 0x511, 1);
    assert_int_equal(n, 1);
    dma(&f, 0x1000, 0x20 << 16 | 8, 0, 0);
    assert_int_equal(n, 2);
    assert_true(fwcfg_put_file(&f.f, "etc/x", "c", 1)); /* other contents: they need no refreshing */
    out(&f, 0x510, 2, 0x20);
    assert_int_equal(n, 2);
    fwcfg_reset(&f.f);
    assert_int_equal(in(&f, 0x511, 1), 'Q'); /* key 0 is selected */
    finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(ports), cmocka_unit_test(directory), cmocka_unit_test(dma_interface), cmocka_unit_test(dma_writes),
                                        cmocka_unit_test(dma_refused), cmocka_unit_test(fresh_contents) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
