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
    uart_set_output(&f->u, on_out, f);
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
        f.clock.now += r >> 40;
        clock_run_due(&f.clock);
    }
    bus_destroy(f.bus);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(transmit), cmocka_unit_test(receive), cmocka_unit_test(loopback),
                                        cmocka_unit_test(hammer) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
