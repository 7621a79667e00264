// SPDX-License-Identifier: MIT
#include "dev/uart.h"

#include "dev_fixture.h"

struct fixture {
    struct board b;
    struct uart u;
    struct wire irq;
    char out[64];
    unsigned n;
};

static void on_out(void *ctx, u8 c)
{
    struct fixture *f = ctx;
    f->out[f->n++ % sizeof(f->out)] = (char)c;
}

static void setup(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    board_init(&f->b);
    assert_true(uart_init(&f->u, f->b.bus, &f->b.clock, 0x3F8, WIRE(&f->irq)));
    uart_connect(&f->u, &(struct uart_out){ .ctx = f, .output = on_out });
}

static void out8(struct fixture *f, unsigned reg, u8 v) { board_out(&f->b, (u16)(0x3F8 + reg), 1, v); }
static u8 in8(struct fixture *f, unsigned reg) { return (u8)board_in(&f->b, (u16)(0x3F8 + reg), 1); }
static void pass_us(struct fixture *f, u64 us) { board_run_to(&f->b, f->b.clock.now + us * 1000 * TICKS_PER_CYCLE); }
static void pass_ms(struct fixture *f, unsigned ms) { pass_us(f, ms * 1000u); }

static void transmit(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    assert_int_equal(in8(&f, 5), 0x60);
    out8(&f, 0, 'A');
    assert_int_equal(f.out[0], 'A');
    out8(&f, 4, 8);
    out8(&f, 1, 2);
    assert_true(f.irq.level);
    assert_int_equal(in8(&f, 2), 2);
    assert_false(f.irq.level);
    assert_int_equal(in8(&f, 2), 1);
    out8(&f, 0, 'B');
    assert_true(f.irq.level);
    out8(&f, 4, 0); /* OUT2 gates the line */
    assert_false(f.irq.level);
    out8(&f, 3, 0x83);
    out8(&f, 0, 1);
    out8(&f, 1, 0);
    assert_int_equal(in8(&f, 0), 1);
    out8(&f, 3, 3);
    assert_int_equal(f.n, 2);
    out8(&f, 7, 0x5A);
    assert_int_equal(in8(&f, 7), 0x5A);
    board_fini(&f.b);
}

static void receive(void **state)
{
    struct fixture f;
    char text[20] = "0123456789abcdefghi";
    (void)state;
    setup(&f);
    out8(&f, 2, 0x81); /* FIFO, trigger 8 */
    out8(&f, 4, 8);
    out8(&f, 1, 1);
    assert_int_equal(uart_input(&f.u, text, 7), 7);
    pass_ms(&f, 7);
    assert_false(f.irq.level);
    pass_ms(&f, 10);
    assert_true(f.irq.level);
    assert_int_equal(in8(&f, 2), 0xCC); /* character timeout */
    for (unsigned i = 0; i < 7; i++)
        assert_int_equal(in8(&f, 0), text[i]);
    assert_false(f.irq.level);
    assert_int_equal(in8(&f, 5), 0x60);
    uart_input(&f.u, text, 19);
    pass_ms(&f, 100);
    assert_int_equal(in8(&f, 2), 0xC4);
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(in8(&f, 0), text[i]);
    pass_ms(&f, 100);
    for (unsigned i = 16; i < 19; i++)
        assert_int_equal(in8(&f, 0), text[i]); /* the host's queue waits: no overrun */
    assert_int_equal(in8(&f, 5), 0x60);
    board_fini(&f.b);
}

static void loopback(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    out8(&f, 3, 3);
    out8(&f, 4, 0x1A);
    assert_int_equal(in8(&f, 6) & 0xF0, 0x90);
    out8(&f, 0, 0xAE);
    assert_int_equal(in8(&f, 5), 0x61);
    assert_int_equal(in8(&f, 0), 0xAE);
    out8(&f, 0, 1);
    out8(&f, 0, 2);
    assert_int_equal(in8(&f, 5), 0x63); /* overrun without FIFO */
    assert_int_equal(in8(&f, 5), 0x61);
    assert_int_equal(f.n, 0);
    board_fini(&f.b);
}

/* Break and framing error show with their byte at the head of the FIFO, bit 7 while an error is anywhere in it [16550D, line status]. */
static void breaks_come_in(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    out8(&f, 2, 1);
    out8(&f, 4, 8);
    out8(&f, 1, 4); /* line status interrupt alone */
    uart_input(&f.u, "a", 1);
    assert_true(uart_input_break(&f.u));
    uart_input(&f.u, "b", 1);
    pass_ms(&f, 100);
    assert_false(f.irq.level);                  /* not at the head yet */
    assert_int_equal(in8(&f, 5), 0xE1);
    assert_int_equal(in8(&f, 0), 'a');
    assert_true(f.irq.level);
    assert_int_equal(in8(&f, 2), 0xC6);
    assert_int_equal(in8(&f, 5), 0xF9);    /* BI, FE, DR */
    assert_false(f.irq.level);
    assert_int_equal(in8(&f, 5), 0x61);    /* reading it clears */
    assert_int_equal(in8(&f, 0), 0);       /* one zero stands for the break */
    assert_int_equal(in8(&f, 0), 'b');
    assert_int_equal(in8(&f, 5), 0x60);
    out8(&f, 2, 0);                        /* without FIFOs: the same, but no bit 7 */
    uart_input_break(&f.u);
    pass_ms(&f, 10);
    assert_true(f.irq.level);
    assert_int_equal(in8(&f, 5), 0x79);
    assert_int_equal(in8(&f, 0), 0);
    out8(&f, 2, 1);
    uart_input_break(&f.u);
    pass_ms(&f, 10);
    out8(&f, 2, 3);                        /* clearing the FIFO takes a hidden one along, not what has shown */
    assert_int_equal(in8(&f, 5), 0xF8);
    assert_int_equal(in8(&f, 5), 0x60);
    board_fini(&f.b);
}

static void on_break(void *ctx, bool on)
{
    struct fixture *f = ctx;
    f->out[f->n++ % sizeof(f->out)] = on ? '[' : ']';
}
static void on_hungry(void *ctx)
{
    struct fixture *f = ctx;
    if (f->n < 5)
        uart_input(&f->u, &"xyz"[f->n++ % 3], 1);
}

static void breaks_go_out(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    uart_connect(&f.u, &(struct uart_out){ .ctx = &f, .output = on_out, .set_break = on_break });
    out8(&f, 3, 0x03);
    out8(&f, 3, 0x43);
    out8(&f, 3, 0x43); /* goes on */
    out8(&f, 3, 0x03);
    out8(&f, 0, 'q');
    assert_memory_equal(f.out, "[]q", 3);
    assert_int_equal(f.n, 3);
    out8(&f, 4, 0x10); /* in loop-back it comes back instead */
    out8(&f, 3, 0x43);
    assert_int_equal(in8(&f, 5), 0x79);
    assert_int_equal(in8(&f, 0), 0);
    out8(&f, 3, 0x03);
    assert_int_equal(in8(&f, 5), 0x60);
    assert_int_equal(f.n, 3);
    board_fini(&f.b);
}

/* Bytes given when the queue runs empty follow one character time behind: 10 bits at 9600 baud. */
static void fed_on_demand(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    uart_connect(&f.u, &(struct uart_out){ .ctx = &f, .hungry = on_hungry });
    out8(&f, 2, 1);
    out8(&f, 3, 3);
    uart_input(&f.u, "0", 1);
    assert_int_equal(f.u.s.rx_count, 0);
    for (unsigned i = 1; i <= 6; i++) {
        u64 when = clock_next(&f.b.clock);
        assert_int_equal(when, i * clock_ticks_from(&f.b.clock, 120, 115200)); /* divisor 12 at reset */
        f.b.clock.now = when;
        clock_run_due(&f.b.clock);
        assert_int_equal(f.u.s.rx_count, i);
    }
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(in8(&f, 0), "0xyzxy"[i]);
    board_fini(&f.b);
}

struct edges {
    unsigned rises;
    bool level;
};
static void on_edge(void *ctx, unsigned n, bool level)
{
    struct edges *e = ctx;
    (void)n;
    e->rises += level && !e->level;
    e->level = level;
}

/* A driver that writes the next byte without reading IIR needs a new edge for it. */
static void transmitter_edges(void **state)
{
    struct fixture f;
    struct edges e = { 0 };
    (void)state;
    setup(&f);
    f.u.irq = (struct irq_line){ on_edge, &e, 4 };
    out8(&f, 4, 8);
    out8(&f, 1, 2);
    assert_int_equal(e.rises, 1);
    out8(&f, 0, 'a');
    out8(&f, 0, 'b');
    assert_int_equal(e.rises, 3);
    assert_true(e.level);
    in8(&f, 2);
    assert_false(e.level);
    board_fini(&f.b);
}

/* The order of interrupts, and what ends each [PC16550D, table 5]. */
static void interrupt_order(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    out8(&f, 4, 0x1B); /* loop-back: the outputs are the inputs */
    in8(&f, 6);
    out8(&f, 2, 1);
    out8(&f, 1, 0xFF);
    assert_int_equal(in8(&f, 1), 0x0F);
    out8(&f, 3, 0x43); /* a break comes back */
    out8(&f, 3, 3);
    out8(&f, 4, 0x18);
    assert_int_equal(in8(&f, 2), 0xC6); /* line status, ended by reading it */
    assert_int_equal(in8(&f, 5) & 0x1E, 0x18);
    assert_int_equal(in8(&f, 2), 0xC4); /* received data, by taking it */
    assert_int_equal(in8(&f, 0), 0);
    assert_int_equal(in8(&f, 2), 0xC2); /* transmitter empty, by reading IIR */
    assert_int_equal(in8(&f, 2), 0xC0); /* modem status, by reading it: DTR and RTS fell, so DSR and CTS did */
    assert_int_equal(in8(&f, 6), 0x83);
    assert_int_equal(in8(&f, 6), 0x80);
    assert_int_equal(in8(&f, 2), 0xC1);
    assert_false(f.irq.level); /* the pin is not driven in loop-back */
    /* each output to its input; RI tells of its trailing edge alone */
    static const struct { u8 mcr, msr; } pins[] = { { 0x10, 0x08 }, { 0x11, 0x22 }, { 0x12, 0x13 }, { 0x14, 0x41 }, { 0x10, 0x04 }, { 0x1F, 0xFB } };
    for (unsigned i = 0; i < 6; i++) {
        out8(&f, 4, pins[i].mcr);
        assert_int_equal(in8(&f, 6), pins[i].msr);
    }
    out8(&f, 1, 0);
    out8(&f, 4, 0x08);
    assert_false(f.irq.level);
    out8(&f, 1, 8); /* leaving loop-back changed them */
    assert_true(f.irq.level);
    in8(&f, 6);
    assert_false(f.irq.level);
    board_fini(&f.b);
}

/* Trigger levels, clearing, and what changing the mode does [PC16550D, FIFO control register]. */
static void fifo_control(void **state)
{
    static const u8 levels[] = { 1, 4, 8, 14 };
    struct fixture f;
    (void)state;
    setup(&f);
    out8(&f, 4, 8);
    out8(&f, 1, 1);
    out8(&f, 3, 3);
    for (unsigned i = 0; i < 4; i++) {
        out8(&f, 2, (u8)(1 | i << 6));
        for (unsigned k = 1; k <= 16; k++) {
            uart_input(&f.u, "x", 1);
            pass_us(&f, 1100); /* ten bits at 9600 */
            assert_int_equal(f.irq.level, k >= levels[i]);
        }
        assert_int_equal(in8(&f, 5) & 0x83, 1);
        for (unsigned k = 15; k > levels[i]; k--)
            in8(&f, 0);
        assert_true(f.irq.level);
        in8(&f, 0), in8(&f, 0);
        assert_false(f.irq.level);
        out8(&f, 2, (u8)(3 | i << 6)); /* the receiver's bytes go */
        assert_int_equal(in8(&f, 5), 0x60);
    }
    uart_input(&f.u, "ab", 2);
    pass_ms(&f, 3);
    out8(&f, 2, 0); /* so they do when the mode changes; other bits count only with FCR bit 0 */
    assert_int_equal(in8(&f, 5), 0x60);
    assert_int_equal(in8(&f, 2) & 0xC0, 0);
    out8(&f, 2, 0xC0);
    uart_input(&f.u, "c", 1);
    pass_ms(&f, 2);
    assert_true(f.irq.level);
    board_fini(&f.b);
}

/* A character takes its start, data, parity and stop bits; the timeout comes four of them after the last one. */
static void character_times(void **state)
{
    static const struct { u8 lcr; u16 divisor; unsigned bits; } rows[] = { { 3, 12, 10 }, { 0, 1, 7 }, { 0x1F, 96, 12 }, { 0x0B, 0, 11 } };
    struct fixture f;
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        u64 ns = 1000000000ull * rows[i].bits * (rows[i].divisor ? rows[i].divisor : 1) / 115200;
        setup(&f);
        out8(&f, 3, 0x80);
        out8(&f, 0, (u8)rows[i].divisor);
        out8(&f, 1, 0);
        out8(&f, 3, rows[i].lcr);
        out8(&f, 2, 0xC1);
        out8(&f, 4, 8);
        out8(&f, 1, 1);
        uart_input(&f.u, "12", 2);
        const u64 at[] = { ns, 2 * ns, 6 * ns };
        for (unsigned k = 0; k < 3; k++) {
            board_run_to_ns(&f.b, at[k] - 10);
            assert_int_equal(f.u.s.rx_count, k);
            assert_false(f.irq.level);
            board_run_to_ns(&f.b, at[k] + 10);
            assert_int_equal(f.u.s.rx_count, k < 2 ? k + 1 : 2);
        }
        assert_true(f.irq.level);
        assert_int_equal(in8(&f, 2), 0xCC);
        in8(&f, 0); /* one byte left: another four */
        assert_false(f.irq.level);
        board_run_to_ns(&f.b, 10 * ns + 20);
        assert_true(f.irq.level);
        board_fini(&f.b);
    }
}

static void any_input(void *ctx, u64 r)
{
    struct fixture *f = ctx;
    if (!(r >> 40 & 7))
        uart_input(&f->u, &r, 8);
    if (!(r >> 44 & 15))
        uart_input_break(&f->u);
}

static void hammer(void **state)
{
    static const u16 first[] = { 0x3F8 };
    struct fixture f;
    (void)state;
    setup(&f);
    board_hammer(&f.b, first, 1, 8, 200000, any_input, &f);
    board_fini(&f.b);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(transmit), cmocka_unit_test(receive), cmocka_unit_test(loopback), cmocka_unit_test(breaks_come_in),
                                        cmocka_unit_test(breaks_go_out), cmocka_unit_test(fed_on_demand), cmocka_unit_test(transmitter_edges),
                                        cmocka_unit_test(interrupt_order), cmocka_unit_test(fifo_control),
                                        cmocka_unit_test(character_times), cmocka_unit_test(hammer) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
