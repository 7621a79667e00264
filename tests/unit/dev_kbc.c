// SPDX-License-Identifier: MIT
/* 8042 and its keyboard as the AT technical reference describes them. */
#include "dev/kbc.h"

#include "dev_fixture.h"

enum { OBF = 1, SYS = 4, CMD = 8, AUX = 0x20 };

struct fixture {
    struct board b;
    struct kbc kbc;
    struct wire irq1, irq12;
    bool a20;
    int resets;
};

static void on_a20(void *ctx, bool on) { ((struct fixture *)ctx)->a20 = on; }
static void on_reset(void *ctx) { ((struct fixture *)ctx)->resets++; }

static int setup(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    memset(f, 0, sizeof(*f));
    board_init(&f->b);
    f->a20 = true;
    const struct kbc_out out = { f, on_a20, on_reset };
    assert_true(kbc_init(&f->kbc, f->b.bus, WIRE(&f->irq1), WIRE(&f->irq12), &out));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    board_fini(&((struct fixture *)*state)->b);
    return 0;
}

static void command(struct fixture *f, u8 v) { board_out(&f->b, 0x64, 1, v); }
static void data(struct fixture *f, u8 v) { board_out(&f->b, 0x60, 1, v); }
static u8 status(struct fixture *f) { return (u8)board_in(&f->b, 0x64, 1); }

/* The next byte, which must be there. */
static u8 get(struct fixture *f)
{
    assert_true(status(f) & OBF);
    return (u8)board_in(&f->b, 0x60, 1);
}

static u8 ask(struct fixture *f, u8 v)
{
    command(f, v);
    return get(f);
}

static void controller(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(status(f) & (OBF | SYS), SYS);
    assert_int_equal(ask(f, 0xAA), 0x55);
    assert_int_equal(status(f) & (OBF | CMD), CMD);
    assert_int_equal(ask(f, 0xAB), 0);
    assert_int_equal(ask(f, 0xA9), 0);
    command(f, 0x60);
    data(f, 0x61);
    assert_int_equal(status(f) & (SYS | CMD), 0); /* the system flag is the command byte's */
    assert_int_equal(ask(f, 0x20), 0x61);
    for (unsigned i = 1; i < 32; i++) { /* its memory */
        command(f, (u8)(0x60 + i));
        data(f, (u8)(i * 5));
    }
    for (unsigned i = 1; i < 32; i++)
        assert_int_equal(ask(f, (u8)(0x20 + i)), i * 5);
    assert_int_equal(ask(f, 0x20), 0x61);
    command(f, 0xA8);
    assert_int_equal(ask(f, 0x20) & 0x20, 0);
    command(f, 0xA7);
    assert_int_equal(ask(f, 0x20) & 0x20, 0x20);
    command(f, 0xD2); /* as if the keyboard had sent it */
    data(f, 0x5A);
    assert_true(f->irq1.level && !f->irq12.level && !(status(f) & AUX));
    assert_int_equal(get(f), 0x5A);
    assert_false(f->irq1.level);
    command(f, 0x60);
    data(f, 0x03);
    command(f, 0xD3); /* as if the mouse had */
    data(f, 0xA5);
    assert_true(f->irq12.level && !f->irq1.level && (status(f) & AUX));
    assert_int_equal(get(f), 0xA5);
    assert_false(f->irq12.level);
    assert_int_equal(status(f) & (AUX | OBF), 0);
    command(f, 0xD4); /* nobody is at the auxiliary port */
    data(f, 0xFF);
    assert_int_equal(status(f) & OBF, 0);
}

static void a20_and_reset(void **state)
{
    struct fixture *f = *state;
    command(f, 0xD1);
    data(f, 0xDD);
    assert_false(f->a20);
    assert_int_equal(ask(f, 0xD0) & 3, 1);
    command(f, 0xDF);
    assert_true(f->a20);
    assert_int_equal(ask(f, 0xD0) & 3, 3);
    command(f, 0xDD);
    assert_false(f->a20);
    kbc_note_a20(&f->kbc, true); /* port 92h did it */
    assert_int_equal(ask(f, 0xD0) & 2, 2);
    assert_int_equal(f->resets, 0);
    command(f, 0xFF); /* pulses no line */
    command(f, 0xFD);
    assert_int_equal(f->resets, 0);
    command(f, 0xFE);
    assert_int_equal(f->resets, 1);
    command(f, 0xF0);
    assert_int_equal(f->resets, 2);
    command(f, 0xD1);
    data(f, 0xFE); /* by the output port */
    assert_int_equal(f->resets, 3);
}

static void keyboard(void **state)
{
    static const struct { u8 send[2], answer[4], n; } rows[] = {
        { { 0xFF }, { 0xFA, 0xAA }, 2 },             /* reset and self-test */
        { { 0xEE }, { 0xEE }, 1 },                   /* echo */
        { { 0xF2 }, { 0xFA, 0xAB, 0x41 }, 3 },       /* who it is; 83h translated */
        { { 0xED, 7 }, { 0xFA, 0xFA }, 2 },          /* lamps */
        { { 0xF3, 0x20 }, { 0xFA, 0xFA }, 2 },       /* repeat rate */
        { { 0xF0, 2 }, { 0xFA, 0xFA }, 2 },
        { { 0xF5 }, { 0xFA }, 1 },
        { { 0xF4 }, { 0xFA }, 1 },
        { { 0xF6 }, { 0xFA }, 1 },
        { { 0x11 }, { 0xFE }, 1 },                   /* unknown: send again */
    };
    struct fixture *f = *state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unsigned before = f->irq1.rises;
        data(f, rows[i].send[0]);
        if (rows[i].send[1])
            data(f, rows[i].send[1]);
        for (unsigned k = 0; k < rows[i].n; k++) {
            assert_true(f->irq1.level);
            assert_int_equal(get(f), rows[i].answer[k]);
        }
        assert_int_equal(status(f) & OBF, 0);
        assert_false(f->irq1.level);
        assert_int_equal(f->irq1.rises - before, rows[i].n); /* an edge for each byte */
    }
    command(f, 0x60);
    data(f, 0x05); /* without translation, without interrupt 12 */
    data(f, 0xF2);
    get(f), get(f);
    assert_int_equal(get(f), 0x83);
}

/* Keys while the interface or the keyboard is off, more than its buffer holds, the interrupt off. */
static void keys(void **state)
{
    static const u8 codes[] = { 0x1E, 0x9E, 0x30, 0xB0 };
    struct fixture *f = *state;
    u8 many[40];
    assert_int_equal(kbc_scancodes(&f->kbc, codes, 4), 4);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(get(f), codes[i]);
    command(f, 0xAD);
    assert_int_equal(kbc_scancodes(&f->kbc, codes, 2), 2);
    assert_int_equal(status(f) & OBF, 0); /* waits in the keyboard */
    command(f, 0xAE);
    assert_int_equal(get(f), 0x1E);
    assert_int_equal(get(f), 0x9E);
    command(f, 0x60);
    data(f, 0x44);
    unsigned before = f->irq1.rises;
    assert_int_equal(kbc_scancodes(&f->kbc, codes, 1), 1);
    assert_int_equal(get(f), 0x1E);
    assert_int_equal(f->irq1.rises, before);
    for (unsigned i = 0; i < sizeof(many); i++)
        many[i] = (u8)(i + 1);
    size_t took = kbc_scancodes(&f->kbc, many, sizeof(many));
    assert_in_range(took, 16, 17);
    for (unsigned i = 0; i < took; i++)
        assert_int_equal(get(f), i + 1);
    assert_int_equal(status(f) & OBF, 0);
    data(f, 0xF5);
    get(f);
    assert_int_equal(kbc_scancodes(&f->kbc, codes, 4), 0);
    kbc_scancodes(&f->kbc, codes, 4);
    kbc_reset(&f->kbc);
    assert_int_equal(status(f) & OBF, 0);
    assert_false(f->irq1.level || f->irq12.level);
}

static void any_key(void *ctx, u64 r)
{
    if ((r >> 50 & 3) == 0)
        kbc_scancodes(&((struct fixture *)ctx)->kbc, (const u8 *)&r, 8);
}

static void hammer(void **state)
{
    static const u16 first[] = { 0x60, 0x64 };
    board_hammer(&((struct fixture *)*state)->b, first, 2, 1, 200000, any_key, *state);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = { T(controller), T(a20_and_reset), T(keyboard), T(keys), T(hammer) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
