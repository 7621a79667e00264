// SPDX-License-Identifier: MIT
#include "apic/pic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <string.h>

struct fixture {
    struct bus *bus;
    struct pic pic;
    bool out;
};

static void on_out(void *ctx, unsigned n, bool level) { (void)n; *(bool *)ctx = level; }

static void setup(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->bus = bus_create(40);
    assert_true(pic_init(&f->pic, f->bus, (struct irq_line){ on_out, &f->out, 0 }));
    pic_bios_defaults(&f->pic);
    port_write(f->bus, 0x21, 1, 0, 0);
    port_write(f->bus, 0xA1, 1, 0, 0);
}

static void eoi(struct fixture *f, bool slave)
{
    if (slave)
        port_write(f->bus, 0xA0, 1, 0x20, 0);
    port_write(f->bus, 0x20, 1, 0x20, 0);
}

static void priorities(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    pic_set_irq(&f.pic, 4, true);
    assert_true(f.out);
    assert_int_equal(pic_ack(&f.pic), 0x0C);
    assert_false(f.out);
    pic_set_irq(&f.pic, 5, true);
    assert_false(f.out);
    pic_set_irq(&f.pic, 8, true); /* the cascade is input 2: higher */
    assert_true(f.out);
    assert_int_equal(pic_ack(&f.pic), 0x70);
    eoi(&f, true);
    assert_false(f.out);
    eoi(&f, false);
    assert_int_equal(pic_ack(&f.pic), 0x0D);
    eoi(&f, false);
    assert_false(f.out); /* edges are gone */
    pic_set_irq(&f.pic, 4, true);
    assert_false(f.out);
    bus_destroy(f.bus);
}

static void spurious_and_mask(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    assert_int_equal(pic_ack(&f.pic), 0x0F);
    pic_set_irq(&f.pic, 12, true);
    assert_true(f.out);
    pic_set_irq(&f.pic, 12, false);
    assert_false(f.out);
    port_write(f.bus, 0x21, 1, 0x10, 0);
    pic_set_irq(&f.pic, 4, true);
    assert_false(f.out);
    assert_int_equal(port_read(f.bus, 0x20, 1, 0), 0x10);
    port_write(f.bus, 0x21, 1, 0, 0);
    assert_true(f.out);
    port_write(f.bus, 0x20, 1, 0x0C, 0); /* poll */
    assert_int_equal(port_read(f.bus, 0x20, 1, 0), 0x84);
    port_write(f.bus, 0x20, 1, 0x0B, 0);
    assert_int_equal(port_read(f.bus, 0x20, 1, 0), 0x10);
    bus_destroy(f.bus);
}

static void level_and_rotation(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    port_write(f.bus, 0x4D0, 2, 0xFFFF, 0);
    assert_int_equal(port_read(f.bus, 0x4D0, 2, 0), 0xDEF8);
    pic_set_irq(&f.pic, 11, true);
    assert_int_equal(pic_ack(&f.pic), 0x73);
    eoi(&f, true);
    assert_true(f.out); /* still asserted */
    assert_int_equal(pic_ack(&f.pic), 0x73);
    pic_set_irq(&f.pic, 11, false);
    eoi(&f, true);
    assert_false(f.out);
    port_write(f.bus, 0x4D0, 1, 0, 0);
    pic_set_irq(&f.pic, 0, true);
    assert_int_equal(pic_ack(&f.pic), 8);
    port_write(f.bus, 0x20, 1, 0xA0, 0); /* EOI and rotate: 0 is now lowest */
    pic_set_irq(&f.pic, 0, false);
    pic_set_irq(&f.pic, 0, true);
    pic_set_irq(&f.pic, 7, true);
    assert_int_equal(pic_ack(&f.pic), 0x0F);
    bus_destroy(f.bus);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(priorities), cmocka_unit_test(spurious_and_mask),
                                        cmocka_unit_test(level_and_rotation) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
