// SPDX-License-Identifier: MIT
#include "dev/uart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <string.h>

struct fixture {
    struct bus *bus;
    struct clock clock;
    struct uart u;
    bool line;
    char out[64];
    unsigned n;
};

static void on_irq(void *ctx, unsigned n, bool level) { (void)n; *(bool *)ctx = level; }
static void on_out(void *ctx, u8 c)
{
    struct fixture *f = ctx;
    f->out[f->n++ % sizeof(f->out)] = (char)c;
}

static void setup(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->bus = bus_create(40);
    clock_init(&f->clock, 1000000000, 1000000000);
    assert_true(uart_init(&f->u, f->bus, &f->clock, 0x3F8, (struct irq_line){ on_irq, &f->line, 4 }));
    uart_connect(&f->u, &(struct uart_out){ .ctx = f, .output = on_out });
}

static void out8(struct fixture *f, unsigned reg, u8 v) { port_write(f->bus, (u16)(0x3F8 + reg), 1, v, 0); }
static u8 in8(struct fixture *f, unsigned reg) { return (u8)port_read(f->bus, (u16)(0x3F8 + reg), 1, 0); }

static void pass_ms(struct fixture *f, unsigned ms)
{
    u64 t = f->clock.now + (u64)ms * 1000000 * TICKS_PER_CYCLE, e;
    while ((e = clock_next(&f->clock)) <= t) {
        f->clock.now = e;
        clock_run_due(&f->clock);
    }
    f->clock.now = t;
}

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
    assert_true(f.line);
    assert_int_equal(in8(&f, 2), 2);
    assert_false(f.line);
    assert_int_equal(in8(&f, 2), 1);
    out8(&f, 0, 'B');
    assert_true(f.line);
    out8(&f, 4, 0); /* OUT2 gates the line */
    assert_false(f.line);
    out8(&f, 3, 0x83);
    out8(&f, 0, 1);
    out8(&f, 1, 0);
    assert_int_equal(in8(&f, 0), 1);
    out8(&f, 3, 3);
    assert_int_equal(f.n, 2);
    out8(&f, 7, 0x5A);
    assert_int_equal(in8(&f, 7), 0x5A);
    bus_destroy(f.bus);
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
    assert_false(f.line);
    pass_ms(&f, 10);
    assert_true(f.line);
    assert_int_equal(in8(&f, 2), 0xCC); /* character timeout */
    for (unsigned i = 0; i < 7; i++)
        assert_int_equal(in8(&f, 0), text[i]);
    assert_false(f.line);
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
    bus_destroy(f.bus);
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
    bus_destroy(f.bus);
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
    assert_false(f.line);                  /* not at the head yet */
    assert_int_equal(in8(&f, 5), 0xE1);
    assert_int_equal(in8(&f, 0), 'a');
    assert_true(f.line);
    assert_int_equal(in8(&f, 2), 0xC6);
    assert_int_equal(in8(&f, 5), 0xF9);    /* BI, FE, DR */
    assert_false(f.line);
    assert_int_equal(in8(&f, 5), 0x61);    /* reading it clears */
    assert_int_equal(in8(&f, 0), 0);       /* one zero stands for the break */
    assert_int_equal(in8(&f, 0), 'b');
    assert_int_equal(in8(&f, 5), 0x60);
    out8(&f, 2, 0);                        /* without FIFOs: the same, but no bit 7 */
    uart_input_break(&f.u);
    pass_ms(&f, 10);
    assert_true(f.line);
    assert_int_equal(in8(&f, 5), 0x79);
    assert_int_equal(in8(&f, 0), 0);
    out8(&f, 2, 1);
    uart_input_break(&f.u);
    pass_ms(&f, 10);
    out8(&f, 2, 3);                        /* clearing the FIFO takes a hidden one along, not what has shown */
    assert_int_equal(in8(&f, 5), 0xF8);
    assert_int_equal(in8(&f, 5), 0x60);
    bus_destroy(f.bus);
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
    bus_destroy(f.bus);
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
        u64 when = clock_next(&f.clock);
        assert_int_equal(when, i * clock_ticks_from(&f.clock, 120, 115200)); /* divisor 12 at reset */
        f.clock.now = when;
        clock_run_due(&f.clock);
        assert_int_equal(f.u.s.rx_count, i);
    }
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(in8(&f, 0), "0xyzxy"[i]);
    bus_destroy(f.bus);
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
    bus_destroy(f.bus);
}

static void hammer(void **state)
{
    struct fixture f;
    u64 r = 88172645463325252ull;
    (void)state;
    setup(&f);
    for (unsigned i = 0; i < 200000; i++) {
        r ^= r << 13, r ^= r >> 7, r ^= r << 17;
        unsigned width = 1u << (r & 3) % 3;
        if (r & 0x100)
            port_write(f.bus, (u16)(0x3F8 + (r >> 4 & 7)), width, r >> 20, 0);
        else
            port_read(f.bus, (u16)(0x3F8 + (r >> 4 & 7)), width, 0);
        if (!(r & 0xE00))
            uart_input(&f.u, &r, 8);
        if (!(r & 0xF000))
            uart_input_break(&f.u);
        f.clock.now += r >> 40;
        clock_run_due(&f.clock);
    }
    bus_destroy(f.bus);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(transmit), cmocka_unit_test(receive), cmocka_unit_test(loopback), cmocka_unit_test(breaks_come_in),
                                        cmocka_unit_test(breaks_go_out), cmocka_unit_test(fed_on_demand), cmocka_unit_test(transmitter_edges),
                                        cmocka_unit_test(hammer) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
