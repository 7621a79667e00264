// SPDX-License-Identifier: MIT
/* Serial ports and the screen through the public API. */
#include <svmemu/svmemu.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <string.h>

#define CODE 0x7000u

struct end {
    struct svmemu *m;
    char out[64];
    unsigned n, breaks, hungry;
};

static void on_output(void *ctx, uint8_t byte)
{
    struct end *e = ctx;
    e->out[e->n++ % sizeof(e->out)] = (char)byte;
}
static void on_break(void *ctx, bool on) { ((struct end *)ctx)->breaks += on ? 1 : 16; }
static void on_hungry(void *ctx)
{
    struct end *e = ctx;
    if (e->hungry++ == 0)
        svmemu_serial_send(e->m, 1, "2", 1, NULL);
}

static struct svmemu *create(unsigned ports, unsigned flags)
{
    struct svmemu_config cfg = { .memory = 4 << 20, .flags = SVMEMU_PC | flags, .serial_ports = ports };
    struct svmemu *m;
    assert_int_equal(svmemu_create(&cfg, &m), SVMEMU_OK);
    return m;
}

static void run(struct svmemu *m, const void *code, size_t len)
{
    struct svmemu_stop stop;
    assert_int_equal(svmemu_mem_write(m, CODE, code, len), SVMEMU_OK);
    assert_int_equal(svmemu_set_mode(m, 0, 32, 0), SVMEMU_OK);
    svmemu_reg_write(m, 0, "rip", CODE);
    assert_int_equal(svmemu_run(m, 1000000, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
    assert_int_equal(stop.reason, SVMEMU_STOP_HALTED);
}

static uint64_t reg(struct svmemu *m, const char *name)
{
    uint64_t v = 0;
    svmemu_reg_read(m, 0, name, &v);
    return v;
}

static void ports(void **state)
{
    static const uint16_t base[4] = { 0x3F8, 0x2F8, 0x3E8, 0x2E8 };
    (void)state;
    for (unsigned mask = 0; mask < 16; mask++) {
        struct svmemu *m = create(mask, mask ? 0 : SVMEMU_NO_SERIAL);
        for (unsigned i = 0; i < 4; i++) {
            struct end e = { 0 };
            const struct svmemu_serial s = { .ctx = &e, .output = on_output };
            bool there = mask >> i & 1;
            uint8_t code[] = { 0x66, 0xBA, (uint8_t)base[i], (uint8_t)(base[i] >> 8), 0xB0, 'A', 0xEE, /* mov dx, base; out dx, 'A' */
                               0x80, 0xC2, 0x05, 0xEC, 0xF4 };                                          /* add dl, 5; in al, dx; hlt */
            assert_int_equal(svmemu_serial_connect(m, i, &s), there ? SVMEMU_OK : SVMEMU_UNSUPPORTED);
            assert_int_equal(svmemu_serial_send(m, i, "", 0, NULL), there ? SVMEMU_OK : SVMEMU_UNSUPPORTED);
            assert_int_equal(svmemu_serial_send_break(m, i), there ? SVMEMU_OK : SVMEMU_UNSUPPORTED);
            run(m, code, sizeof(code));
            assert_int_equal(e.n, there);
            assert_int_equal(reg(m, "rax") & 0xFF, there ? 0x60 : 0xFF);
        }
        assert_int_equal(svmemu_serial_connect(m, 4, NULL), SVMEMU_UNSUPPORTED);
        svmemu_destroy(m);
    }
    struct svmemu_config cfg = { .flags = SVMEMU_PC, .serial_ports = 0x10 };
    struct svmemu *m;
    assert_int_equal(svmemu_create(&cfg, &m), SVMEMU_ARGUMENT);
    m = create(0, 0); /* COM1 alone */
    assert_int_equal(svmemu_serial_connect(m, 0, NULL), SVMEMU_OK);
    assert_int_equal(svmemu_serial_connect(m, 1, NULL), SVMEMU_UNSUPPORTED);
    assert_int_equal(svmemu_serial_send(m, 0, NULL, 1, NULL), SVMEMU_ARGUMENT);
    svmemu_destroy(m);
}

/* Waits for two bytes on COM2 (DR by polling), sends a break, halts. */
static void both_ways(void **state)
{
    static const uint8_t code[] = {
        0x31, 0xDB, 0xB9, 2, 0, 0, 0,                         /* xor ebx, ebx; mov ecx, 2 */
        0x66, 0xBA, 0xFD, 0x02, 0xEC, 0xA8, 0x01, 0x74, 0xFB, /* wait: in al, 2FDh; test al, 1; jz */
        0xB2, 0xF8, 0xEC, 0xC1, 0xE3, 0x08, 0x88, 0xC3,       /* in al, 2F8h; shl ebx, 8; mov bl, al */
        0xE2, 0xED,                                           /* loop */
        0xB2, 0xFB, 0xB0, 0x43, 0xEE, 0xB0, 0x03, 0xEE, 0xF4, /* LCR: break on, off */
    };
    struct end e = { .m = create(3, 0) };
    const struct svmemu_serial s = { .ctx = &e, .output = on_output, .set_break = on_break, .hungry = on_hungry };
    size_t taken = 0;
    (void)state;
    assert_int_equal(svmemu_serial_connect(e.m, 1, &s), SVMEMU_OK);
    assert_int_equal(svmemu_serial_send(e.m, 1, "1", 1, &taken), SVMEMU_OK);
    assert_int_equal(taken, 1);
    run(e.m, code, sizeof(code));
    assert_int_equal(reg(e.m, "rbx"), '1' << 8 | '2');
    assert_int_equal(e.breaks, 17);
    assert_int_equal(e.hungry, 2);
    static const char big[5000];
    assert_int_equal(svmemu_serial_send(e.m, 1, big, sizeof(big), &taken), SVMEMU_OK);
    assert_int_equal(taken, 4096);
    assert_int_equal(svmemu_serial_send_break(e.m, 1), SVMEMU_BUSY);
    svmemu_destroy(e.m);
}

static void screen(void **state)
{
    struct svmemu *m = create(0, 0);
    uint8_t cell[2] = { 'H', 7 };
    char text[4096];
    size_t len = 0, all = 0;
    (void)state;
    assert_int_equal(svmemu_screen_text(m, text, sizeof(text), &len), SVMEMU_OK);
    assert_int_equal(len, 25); /* 25 empty lines */
    svmemu_mem_write(m, 0xB8000 + 2, cell, 2);
    cell[0] = 0xDB; /* full block: U+2588 */
    svmemu_mem_write(m, 0xB8000 + 2 * 79, cell, 2);
    cell[0] = 0x81; /* u with diaeresis: U+00FC */
    svmemu_mem_write(m, 0xB8000 + 2 * 80 * 24, cell, 2);
    assert_int_equal(svmemu_screen_text(m, text, sizeof(text), &len), SVMEMU_OK);
    assert_int_equal(strlen(text), len);
    assert_memory_equal(text, " H", 2);
    assert_memory_equal(text + 79, "\xE2\x96\x88\n\n", 5);
    assert_string_equal(text + len - 4, "\n\xC3\xBC\n");
    for (size_t size = 0; size <= len + 1; size++) { /* never beyond the buffer */
        char copy[256];
        memset(copy, '#', sizeof(copy));
        assert_int_equal(svmemu_screen_text(m, size ? copy : NULL, size, &all), SVMEMU_OK);
        assert_int_equal(all, len);
        assert_int_equal(copy[size], '#');
        if (size)
            assert_int_equal(strlen(copy), size - 1);
    }
    assert_int_equal(svmemu_screen_text(m, NULL, 1, NULL), SVMEMU_ARGUMENT);
    /* a BIOS's 40 columns and another page */
    static const uint8_t columns[2] = { 40, 0 }, start[2] = { 0, 8 }, last = 24;
    svmemu_mem_write(m, 0x44A, columns, 2);
    svmemu_mem_write(m, 0x44E, start, 2);
    svmemu_mem_write(m, 0x484, &last, 1);
    svmemu_mem_write(m, 0xB8800 + 2 * 40, "x\7", 2);
    assert_int_equal(svmemu_screen_text(m, text, sizeof(text), &len), SVMEMU_OK);
    assert_memory_equal(text, "\nx\n\n", 4);
    static const uint8_t lie[2] = { 0xFF, 0xFF };
    svmemu_mem_write(m, 0x44E, lie, 2); /* beyond the adapter's memory: not believed */
    assert_int_equal(svmemu_screen_text(m, text, sizeof(text), &len), SVMEMU_OK);
    assert_memory_equal(text, " H", 2);
    svmemu_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(ports), cmocka_unit_test(both_ways), cmocka_unit_test(screen) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
