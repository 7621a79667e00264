// SPDX-License-Identifier: MIT
/* 8254 by its data sheet: modes, reading, and a second 8254 that is stepped clock by clock as the data sheet tells it. */
#include "dev/pit.h"

#include "base/bits.h"
#include "dev_fixture.h"

struct fixture {
    struct board b;
    struct pit pit;
    struct wire irq0;
};

static void setup(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    board_init(&f->b);
    assert_true(pit_init(&f->pit, f->b.bus, &f->b.clock, WIRE(&f->irq0)));
    f->irq0.rises = 0;
}

/* To the start of PIT clock n. */
static void run_to(struct fixture *f, u64 n) { board_run_to(&f->b, clock_ticks_from(&f->b.clock, n * 11, 13125000)); }
static void out8(struct fixture *f, u16 port, u8 v) { board_out(&f->b, port, 1, v); }
static u8 in8(struct fixture *f, u16 port) { return (u8)board_in(&f->b, port, 1); }

static void program(struct fixture *f, unsigned ch, unsigned mode, u16 count)
{
    out8(f, 0x43, (u8)(ch << 6 | 0x30 | mode << 1));
    out8(f, (u16)(0x40 + ch), (u8)count);
    out8(f, (u16)(0x40 + ch), (u8)(count >> 8));
}

static u16 latched(struct fixture *f, unsigned ch)
{
    out8(f, 0x43, (u8)(ch << 6));
    u8 low = in8(f, (u16)(0x40 + ch));
    return (u16)(low | in8(f, (u16)(0x40 + ch)) << 8);
}

/* The clock after the write loads the count and does not count: the end comes N + 1 clocks after the write. */
static void mode0(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    out8(&f, 0x43, 0x30);
    assert_false(f.irq0.level);
    out8(&f, 0x40, 100);
    out8(&f, 0x40, 0);
    run_to(&f, 100);
    assert_false(f.irq0.level);
    out8(&f, 0x43, 0x00);
    run_to(&f, 101);
    assert_true(f.irq0.level);
    assert_int_equal(in8(&f, 0x40), 1); /* latched a clock ago */
    assert_int_equal(in8(&f, 0x40), 0);
    run_to(&f, 102);
    assert_int_equal(in8(&f, 0x40), 0xFF);
    assert_int_equal(in8(&f, 0x40), 0xFF);
    assert_int_equal(f.irq0.rises, 1);
    out8(&f, 0x40, 10); /* the first byte of a new count: low at once, and it stands still */
    assert_false(f.irq0.level);
    u16 stands = latched(&f, 0);
    run_to(&f, 1000);
    assert_int_equal(latched(&f, 0), stands);
    out8(&f, 0x40, 0);
    run_to(&f, 1010);
    assert_false(f.irq0.level);
    run_to(&f, 1011);
    assert_true(f.irq0.level);
    board_fini(&f.b);
}

static void rates(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    program(&f, 0, 2, 10);
    run_to(&f, 95);
    assert_int_equal(f.irq0.rises, 9);
    out8(&f, 0x43, 0xE2); /* status of channel 0: OUT high, rw 3, mode 2 */
    assert_int_equal(in8(&f, 0x40), 0xB4);
    out8(&f, 0x40, 20); /* new count from the end of this period */
    out8(&f, 0x40, 0);
    out8(&f, 0x43, 0xE2);
    assert_int_equal(in8(&f, 0x40), 0xF4); /* null count */
    run_to(&f, 101);
    assert_int_equal(f.irq0.rises, 10);
    out8(&f, 0x43, 0xE2);
    assert_int_equal(in8(&f, 0x40), 0xB4);
    run_to(&f, 120);
    assert_int_equal(f.irq0.rises, 10);
    run_to(&f, 121);
    assert_int_equal(f.irq0.rises, 11);
    program(&f, 0, 3, 11); /* square wave, high for the longer half */
    unsigned before = f.irq0.rises;
    run_to(&f, 127);
    assert_true(f.irq0.level);
    run_to(&f, 128);
    assert_false(f.irq0.level);
    run_to(&f, 132);
    assert_false(f.irq0.level);
    run_to(&f, 133);
    assert_true(f.irq0.level);
    assert_int_equal(f.irq0.rises, before + 1);
    board_fini(&f.b);
}

/* A late look over many periods still shows an edge. */
static void late(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    pit_bios_defaults(&f.pit);
    f.irq0.rises = 0;
    board_jump(&f.b, clock_ticks_from(&f.b.clock, 65536ull * 11 * 50 + 33, 13125000));
    assert_int_equal(f.irq0.rises, 1);
    board_fini(&f.b);
}

static void gate2_and_bcd(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    out8(&f, 0x43, 0xB1); /* channel 2, mode 0, BCD */
    out8(&f, 0x42, 0x00);
    out8(&f, 0x42, 0x10); /* 1000 */
    run_to(&f, 500);
    assert_false(pit_out(&f.pit, 2));
    pit_set_gate(&f.pit, 2, true);
    run_to(&f, 501);
    assert_int_equal(in8(&f, 0x42), 0x99);
    assert_int_equal(in8(&f, 0x42), 0x09);
    run_to(&f, 1499);
    assert_false(pit_out(&f.pit, 2));
    run_to(&f, 1500);
    assert_true(pit_out(&f.pit, 2));
    program(&f, 2, 1, 5); /* one-shot: starts by the gate */
    run_to(&f, 1600);
    assert_true(pit_out(&f.pit, 2));
    pit_set_gate(&f.pit, 2, false);
    pit_set_gate(&f.pit, 2, true);
    run_to(&f, 1601);
    assert_false(pit_out(&f.pit, 2));
    run_to(&f, 1605);
    assert_false(pit_out(&f.pit, 2));
    run_to(&f, 1606);
    assert_true(pit_out(&f.pit, 2));
    board_fini(&f.b);
}

/* Byte order of reads and writes, latches that are kept until they are read, read-back of several channels [8254, "Read Operations"]. */
static void reading(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    program(&f, 0, 2, 0x1234);
    program(&f, 1, 0, 0x5678);
    run_to(&f, 0x11);
    out8(&f, 0x43, 0x00);
    run_to(&f, 0x21);
    out8(&f, 0x43, 0x00); /* latched already: ignored */
    assert_int_equal(in8(&f, 0x40), 0x24);
    out8(&f, 0x43, 0x40); /* another channel between the two bytes */
    assert_int_equal(in8(&f, 0x41), 0x58);
    assert_int_equal(in8(&f, 0x40), 0x12);
    assert_int_equal(in8(&f, 0x41), 0x56);
    out8(&f, 0x43, 0xC6); /* count and status of 0 and 1: the status comes first */
    run_to(&f, 0x100);
    out8(&f, 0x43, 0xC6); /* ignored */
    assert_int_equal(in8(&f, 0x41), 0x30);
    assert_int_equal(in8(&f, 0x41), 0x58);
    assert_int_equal(in8(&f, 0x41), 0x56);
    assert_int_equal(in8(&f, 0x40), 0xB4);
    assert_int_equal(in8(&f, 0x40), 0x14);
    assert_int_equal(in8(&f, 0x40), 0x12);
    out8(&f, 0x43, 0x54); /* channel 1: LSB only, the other is zero */
    out8(&f, 0x41, 0x80);
    run_to(&f, 0x111);
    assert_int_equal(in8(&f, 0x41), 0x70);
    assert_int_equal(in8(&f, 0x41), 0x70);
    out8(&f, 0x43, 0x64); /* MSB only */
    out8(&f, 0x41, 0x02);
    run_to(&f, 0x113);
    assert_int_equal(in8(&f, 0x41), 0x01);
    out8(&f, 0x43, 0x40);
    assert_int_equal(in8(&f, 0x41), 0x01);
    assert_int_equal(in8(&f, 0x43), 0xFF); /* the control word cannot be read */
    program(&f, 1, 6, 100); /* modes 6 and 7 are 2 and 3 */
    program(&f, 2, 7, 100);
    pit_set_gate(&f.pit, 2, true);
    u64 from = 0x113;
    run_to(&f, from + 100);
    assert_false(pit_out(&f.pit, 1));
    assert_false(pit_out(&f.pit, 2));
    run_to(&f, from + 101);
    assert_true(pit_out(&f.pit, 1) && pit_out(&f.pit, 2));
    board_fini(&f.b);
}

/* ---- one counter as the data sheet tells it, a clock at a time ---- */
struct model {
    unsigned mode, rw, span;
    bool bcd, gate, out, pending /* load with the next clock */, null, counted, half_written, strobe_due, low_half, odd;
    u32 cr, ce;
    u8 low;
};

static u32 full(u32 v, u32 span) { return v ? v : span; }

static void model_control(struct model *m, unsigned mode, unsigned rw, bool bcd)
{
    *m = (struct model){ .mode = mode, .rw = rw, .bcd = bcd, .span = bcd ? 10000 : 65536, .gate = m->gate, .out = mode != 0, .null = true };
}

static void model_count(struct model *m, u32 count)
{
    m->cr = full(count, m->span);
    m->null = true;
    m->half_written = false;
    bool hardware = m->mode == 1 || m->mode == 5, periodic = m->mode == 2 || m->mode == 3;
    if (!hardware && (!periodic || !m->counted))
        m->pending = true;
    if (m->mode == 0)
        m->out = false;
    m->counted = m->counted || !hardware;
}

static void model_byte(struct model *m, u8 v)
{
    if (m->rw == 3 && !m->half_written) {
        m->low = v;
        m->half_written = true;
        if (m->mode == 0) {
            m->out = false;
            m->pending = false;
        }
        return;
    }
    u32 raw = m->rw == 3 ? (u32)v << 8 | m->low : m->rw == 2 ? (u32)v << 8 : v;
    model_count(m, m->bcd ? (raw >> 12) * 1000 + (raw >> 8 & 15) * 100 + (raw >> 4 & 15) * 10 + (raw & 15) : raw);
}

static void model_gate(struct model *m, bool level)
{
    bool rising = level && !m->gate, periodic = m->mode == 2 || m->mode == 3;
    m->gate = level;
    if (rising && (m->mode == 1 || m->mode == 5) && m->cr)
        m->pending = true;
    if (rising && periodic && m->counted)
        m->pending = true;
    if (!level && periodic)
        m->out = true;
}

static void load_square(struct model *m, bool low_half)
{
    m->low_half = low_half;
    m->ce = m->cr & ~1u;
    m->odd = m->cr & 1;
    m->null = false;
    m->out = !low_half;
}

static void model_clock(struct model *m)
{
    if (m->pending) {
        m->pending = false;
        m->null = false;
        m->ce = m->cr;
        m->counted = m->strobe_due = true;
        if (m->mode == 3)
            load_square(m, false);
        else
            m->out = m->mode != 0 && m->mode != 1;
        return;
    }
    bool counts = m->counted && (m->gate || m->mode == 1 || m->mode == 5) && !(m->mode == 0 && m->half_written);
    if (!counts)
        return;
    if (m->mode == 3) {
        if (m->ce == (m->odd && !m->low_half ? 0 : 2))
            load_square(m, !m->low_half);
        else
            m->ce -= 2;
        return;
    }
    if (m->mode == 2 && m->ce == 1) {
        m->ce = m->cr;
        m->null = false;
        m->out = true;
        return;
    }
    m->ce = (m->ce + m->span - 1) % m->span;
    if (m->mode == 2)
        m->out = m->ce != 1;
    else if (m->mode < 2)
        m->out = m->out || !m->ce;
    else {
        m->out = !(m->strobe_due && !m->ce);
        m->strobe_due = m->strobe_due && m->ce;
    }
}

static u16 model_bits(const struct model *m)
{
    u32 v = m->ce % m->span;
    return (u16)(m->bcd ? v / 1000 << 12 | v / 100 % 10 << 8 | v / 10 % 10 << 4 | v % 10 : v);
}

/* Random programs on channel 2; counter, OUT and null count after every clock. */
static void clock_by_clock(void **state)
{
    struct fixture f;
    struct model m = { 0 };
    u64 r = RANDOM_SEED, mismatches = 0, checked[6] = { 0 };
    (void)state;
    setup(&f);
    pit_set_gate(&f.pit, 2, false);
    out8(&f, 0x43, 0xB0);
    model_control(&m, 0, 3, false);
    for (u64 n = 1; n < 400000; n++) {
        random_next(&r);
        if (r % 1024 == 0) {
            unsigned mode = (unsigned)(r >> 16) % 6, rw = 1 + (unsigned)(r >> 20) % 3;
            bool bcd = r >> 24 & 1;
            out8(&f, 0x43, (u8)(0x80 | rw << 4 | mode << 1 | bcd));
            model_control(&m, mode, rw, bcd);
        }
        if ((r >> 32) % 128 == 0) {
            u8 v = (u8)(m.half_written ? (r >> 50) % 32 ? 0 : r >> 44 : r >> 40);
            v = m.bcd ? (u8)((v >> 4) % 10 << 4 | v % 10) : v;
            if ((m.mode == 2 || m.mode == 3) && v < 2)
                v = 4; /* a count of 1 is illegal there */
            out8(&f, 0x42, v);
            model_byte(&m, v);
        }
        if ((r >> 42) % 64 == 0) {
            pit_set_gate(&f.pit, 2, r >> 60 & 1);
            model_gate(&m, r >> 60 & 1);
        }
        model_clock(&m);
        run_to(&f, n);
        bool out = pit_out(&f.pit, 2);
        out8(&f, 0x43, 0xC8);
        u8 status = in8(&f, 0x42);
        u16 count = in8(&f, 0x42), want = model_bits(&m);
        if (m.rw == 3)
            count |= (u16)(in8(&f, 0x42) << 8);
        else
            want = m.rw == 2 ? want >> 8 : want & 0xFF;
        if (!m.counted)
            want = count; /* undefined before the first count */
        checked[m.mode] += m.counted;
        if (out != m.out || (status >> 7) != m.out || (status >> 6 & 1) != m.null || count != want) {
            print_message("clock %llu mode %u rw %u bcd %d gate %d cr %u: OUT %d, %d, null %d, %d, count %X, %X\n", (unsigned long long)n, m.mode,
                          m.rw, m.bcd, m.gate, m.cr, out, m.out, status >> 6 & 1, m.null, count, want);
            if (++mismatches == 20)
                break;
        }
    }
    assert_int_equal(mismatches, 0);
    for (unsigned i = 0; i < 6; i++)
        assert_true(checked[i] > 10000);
    board_fini(&f.b);
}

static void any_gate(void *ctx, u64 r)
{
    if (r & 0x40000)
        pit_set_gate(ctx, r >> 19 & 1 ? 2 : 1, r >> 20 & 1);
}

static void hammer(void **state)
{
    static const u16 first[] = { 0x40 };
    struct fixture f;
    (void)state;
    setup(&f);
    board_hammer(&f.b, first, 1, 4, 200000, any_gate, &f.pit);
    board_fini(&f.b);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(mode0), cmocka_unit_test(rates), cmocka_unit_test(late), cmocka_unit_test(gate2_and_bcd),
                                        cmocka_unit_test(reading), cmocka_unit_test(clock_by_clock), cmocka_unit_test(hammer) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
