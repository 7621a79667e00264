// SPDX-License-Identifier: MIT
/* 8259A pair by its data sheet (Intel 231468) and the PIIX's ELCR. */
#include "apic/pic.h"

#include "dev_fixture.h"

struct fixture {
    struct board b;
    struct pic pic;
    struct wire out;
};

enum { MASTER = 0x20, SLAVE = 0xA0, EOI = 0x20, ROTATE_EOI = 0xA0, SET_PRIORITY = 0xC0, READ_IRR = 0x0A, READ_ISR = 0x0B, POLL = 0x0C };

static void out8(struct fixture *f, u16 port, u8 v) { board_out(&f->b, port, 1, v); }
static u8 in8(struct fixture *f, u16 port) { return (u8)board_in(&f->b, port, 1); }
static void irq(struct fixture *f, unsigned n, bool level) { pic_set_irq(&f->pic, n, level); }
static void pulse(struct fixture *f, unsigned n) { irq(f, n, false), irq(f, n, true); }

static void initialise(struct fixture *f, u8 icw1, u8 master4, u8 slave4)
{
    out8(f, MASTER, icw1);
    out8(f, MASTER + 1, 0x08);
    out8(f, MASTER + 1, 0x04);
    out8(f, MASTER + 1, master4);
    out8(f, SLAVE, icw1);
    out8(f, SLAVE + 1, 0x70);
    out8(f, SLAVE + 1, 0x02);
    out8(f, SLAVE + 1, slave4);
}

static int setup(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    memset(f, 0, sizeof(*f));
    board_init(&f->b);
    assert_true(pic_init(&f->pic, f->b.bus, WIRE(&f->out)));
    initialise(f, 0x11, 1, 1);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    board_fini(&((struct fixture *)*state)->b);
    return 0;
}

static u8 isr(struct fixture *f, u16 chip)
{
    out8(f, chip, READ_ISR);
    return in8(f, chip);
}

static void eoi(struct fixture *f, bool slave)
{
    if (slave)
        out8(f, SLAVE, EOI);
    out8(f, MASTER, EOI);
}

static void bios_defaults(void **state)
{
    struct fixture *f = *state;
    pic_reset(&f->pic);
    assert_int_equal(in8(f, MASTER + 1), 0xFF);
    pic_bios_defaults(&f->pic);
    assert_int_equal(in8(f, MASTER + 1), 0xB8);
    assert_int_equal(in8(f, SLAVE + 1), 0x8F);
    irq(f, 0, true);
    assert_int_equal(pic_ack(&f->pic), 8);
}

static void priorities(void **state)
{
    struct fixture *f = *state;
    irq(f, 4, true);
    assert_true(f->out.level);
    assert_int_equal(pic_ack(&f->pic), 0x0C);
    assert_false(f->out.level);
    irq(f, 5, true);
    assert_false(f->out.level);
    irq(f, 8, true); /* the cascade is input 2: higher */
    assert_true(f->out.level);
    assert_int_equal(pic_ack(&f->pic), 0x70);
    eoi(f, true);
    assert_false(f->out.level);
    eoi(f, false);
    assert_int_equal(pic_ack(&f->pic), 0x0D);
    eoi(f, false);
    assert_false(f->out.level); /* edges are gone */
    irq(f, 4, true);
    assert_false(f->out.level);
    irq(f, 2, true); /* the cascade is no input */
    assert_false(f->out.level);
}

static void spurious_and_mask(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(pic_ack(&f->pic), 0x0F);
    assert_int_equal(isr(f, MASTER), 0);
    irq(f, 12, true);
    assert_true(f->out.level);
    irq(f, 12, false);
    assert_false(f->out.level);
    out8(f, MASTER + 1, 0x10);
    irq(f, 4, true);
    assert_false(f->out.level);
    out8(f, MASTER, READ_IRR);
    assert_int_equal(in8(f, MASTER), 0x10);
    out8(f, MASTER + 1, 0);
    assert_true(f->out.level);
    out8(f, MASTER, POLL);
    assert_int_equal(in8(f, MASTER), 0x84);
    assert_int_equal(isr(f, MASTER), 0x10);
    out8(f, MASTER, POLL);
    assert_int_equal(in8(f, MASTER) & 0x80, 0);
    out8(f, SLAVE + 1, 0x02); /* the slave's mask holds back what is behind the cascade */
    out8(f, MASTER, EOI);
    irq(f, 9, true);
    assert_false(f->out.level);
    out8(f, SLAVE + 1, 0);
    assert_true(f->out.level);
    out8(f, SLAVE, POLL); /* the slave polled alone: the master's bit goes with its request */
    assert_int_equal(in8(f, SLAVE), 0x81);
    assert_false(f->out.level);
}

/* ICW1 [8259A, "Initialization Command Words"]: edge detectors, mask, priorities, special mask and the status read are reset; ISR too. */
static void initialisation(void **state)
{
    struct fixture *f = *state;
    irq(f, 3, true);
    assert_int_equal(pic_ack(&f->pic), 0x0B);
    out8(f, MASTER, READ_ISR);
    out8(f, MASTER + 1, 0x55);
    out8(f, MASTER, SET_PRIORITY | 4);
    irq(f, 5, true);
    initialise(f, 0x11, 1, 1);
    assert_int_equal(in8(f, MASTER + 1), 0);
    assert_int_equal(in8(f, MASTER), 0); /* IRR again: 5 must rise anew */
    assert_int_equal(isr(f, MASTER), 0);
    pulse(f, 7);
    pulse(f, 5);
    assert_int_equal(pic_ack(&f->pic), 0x0D); /* 0 is the highest again */
    out8(f, MASTER, 0x11); /* no interrupts until all words are there */
    pulse(f, 0);
    assert_false(f->out.level);
    out8(f, MASTER + 1, 0x27); /* low bits of the vector come from the input */
    assert_false(f->out.level);
    out8(f, MASTER + 1, 0x04);
    assert_false(f->out.level);
    out8(f, MASTER + 1, 0x01);
    assert_true(f->out.level);
    assert_int_equal(pic_ack(&f->pic), 0x20);
    out8(f, MASTER, 0x10); /* without ICW4: ready after ICW3 */
    out8(f, MASTER + 1, 0x30);
    out8(f, MASTER + 1, 0x04);
    pulse(f, 1);
    assert_int_equal(pic_ack(&f->pic), 0x31);
    out8(f, MASTER, 0x12); /* single: neither ICW3 nor ICW4 */
    out8(f, MASTER + 1, 0x40);
    pulse(f, 1);
    assert_int_equal(pic_ack(&f->pic), 0x41);
}

static void level_triggered(void **state)
{
    struct fixture *f = *state;
    board_out(&f->b, 0x4D0, 2, 0xFFFF);
    assert_int_equal(board_in(&f->b, 0x4D0, 2), 0xDEF8);
    irq(f, 11, true);
    assert_int_equal(pic_ack(&f->pic), 0x73);
    eoi(f, true);
    assert_true(f->out.level); /* still asserted */
    assert_int_equal(pic_ack(&f->pic), 0x73);
    irq(f, 11, false);
    eoi(f, true);
    assert_false(f->out.level);
    board_out(&f->b, 0x4D0, 2, 0);
    initialise(f, 0x19, 1, 1); /* LTIM: every input */
    irq(f, 0, true);
    assert_int_equal(pic_ack(&f->pic), 8);
    eoi(f, false);
    assert_int_equal(pic_ack(&f->pic), 8);
    irq(f, 0, false);
    eoi(f, false);
    assert_false(f->out.level);
}

/* A request that is gone when the slave is asked: its own spurious vector, nothing in its ISR; the master's bit is set all the same. */
static void spurious_slave(void **state)
{
    struct fixture *f = *state;
    irq(f, 10, true);
    f->pic.chip[1].irr = 0; /* falls between the two INTA cycles */
    assert_int_equal(pic_ack(&f->pic), 0x77);
    assert_int_equal(isr(f, SLAVE), 0);
    assert_int_equal(isr(f, MASTER), 4);
}

static void rotation(void **state)
{
    struct fixture *f = *state;
    irq(f, 0, true);
    assert_int_equal(pic_ack(&f->pic), 8);
    out8(f, MASTER, ROTATE_EOI); /* 0 is now lowest */
    pulse(f, 0);
    pulse(f, 7);
    assert_int_equal(pic_ack(&f->pic), 0x0F);
    out8(f, MASTER, 0x60 | 7); /* specific EOI */
    assert_int_equal(isr(f, MASTER), 0);
    out8(f, MASTER, SET_PRIORITY | 4); /* 5 is the highest */
    pulse(f, 3);
    pulse(f, 6);
    assert_int_equal(pic_ack(&f->pic), 0x0E);
    pulse(f, 5);
    assert_int_equal(pic_ack(&f->pic), 0x0D);
    out8(f, MASTER, 0xE0 | 6); /* specific EOI of the lower one: 6 becomes the lowest, 7 the highest */
    assert_int_equal(isr(f, MASTER), 0x20);
    assert_int_equal(pic_ack(&f->pic), 8); /* so 0 is above 5, which is in service */
    assert_int_equal(isr(f, MASTER), 0x21);
    out8(f, MASTER, EOI);
    assert_int_equal(isr(f, MASTER), 0x20);
}

static void automatic_eoi(void **state)
{
    struct fixture *f = *state;
    initialise(f, 0x11, 3, 3);
    pulse(f, 3);
    assert_int_equal(pic_ack(&f->pic), 0x0B);
    assert_int_equal(isr(f, MASTER), 0);
    pulse(f, 12);
    assert_int_equal(pic_ack(&f->pic), 0x74);
    assert_int_equal(isr(f, SLAVE) | isr(f, MASTER), 0);
    out8(f, MASTER, 0x80); /* rotate in automatic EOI mode */
    pulse(f, 3);
    assert_int_equal(pic_ack(&f->pic), 0x0B);
    pulse(f, 3);
    pulse(f, 4);
    assert_int_equal(pic_ack(&f->pic), 0x0C); /* 3 went to the end */
    out8(f, MASTER, 0x00);
    assert_int_equal(pic_ack(&f->pic), 0x0B);
    pulse(f, 4);
    pulse(f, 5);
    assert_int_equal(pic_ack(&f->pic), 0x0D); /* 4 is still the lowest */
}

/* Special mask mode: whatever is not masked may interrupt, a masked input in service does not hold others back. */
static void special_mask(void **state)
{
    struct fixture *f = *state;
    pulse(f, 1);
    assert_int_equal(pic_ack(&f->pic), 9);
    pulse(f, 6);
    assert_false(f->out.level);
    out8(f, MASTER, 0x68);
    out8(f, MASTER + 1, 0x02);
    assert_true(f->out.level);
    assert_int_equal(pic_ack(&f->pic), 0x0E);
    pulse(f, 6);
    assert_false(f->out.level); /* itself in service and not masked */
    out8(f, MASTER, EOI); /* not the masked one */
    assert_int_equal(isr(f, MASTER), 2);
    out8(f, MASTER, 0x08); /* ESMM clear: stays as it is */
    assert_int_equal(pic_ack(&f->pic), 0x0E);
    out8(f, MASTER, EOI);
    out8(f, MASTER, 0x48); /* off again */
    pulse(f, 6);
    assert_false(f->out.level);
}

/* Special fully nested mode: a higher input of the slave gets through while the slave is in service; else it waits for the master's EOI. */
static void special_fully_nested(void **state)
{
    struct fixture *f = *state;
    for (unsigned nested = 0; nested < 2; nested++) {
        initialise(f, 0x11, nested ? 0x11 : 1, 1);
        irq(f, 9, false);
        irq(f, 12, false);
        pulse(f, 12);
        assert_int_equal(pic_ack(&f->pic), 0x74);
        pulse(f, 9);
        assert_int_equal(f->out.level, nested);
        if (nested)
            assert_int_equal(pic_ack(&f->pic), 0x71);
    }
    out8(f, SLAVE, EOI); /* the guest asks the slave whether something is left before it ends the master's */
    assert_int_equal(isr(f, SLAVE), 0x10);
    out8(f, SLAVE, EOI);
    assert_int_equal(isr(f, SLAVE), 0);
    out8(f, MASTER, EOI);
    assert_int_equal(isr(f, MASTER), 0);
}

static void any_line(void *ctx, u64 r)
{
    struct fixture *f = ctx;
    irq(f, r >> 40 & 15, r >> 44 & 1);
    if (f->out.level && (r >> 45 & 1))
        assert_in_range(pic_ack(&f->pic), 0, 255);
    assert_int_equal(f->out.level, f->pic.int_level);
}

static void hammer(void **state)
{
    static const u16 first[] = { 0x20, 0xA0, 0x4D0 };
    board_hammer(&((struct fixture *)*state)->b, first, 3, 2, 200000, any_line, *state);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(bios_defaults), T(priorities), T(spurious_and_mask), T(initialisation), T(level_triggered), T(spurious_slave), T(rotation),
        T(automatic_eoi), T(special_mask), T(special_fully_nested), T(hammer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
