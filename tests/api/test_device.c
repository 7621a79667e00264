// SPDX-License-Identifier: MIT
/* The test device as a guest meets it: who has it, exit statuses of each width, lines through both interrupt controllers, page flush. */
#include <svmemu/svmemu.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <string.h>

#define CODE 0x200000u

/* Multiboot 1 by addresses: the header, then what the test puts at CODE. */
static struct svmemu *multiboot(unsigned flags)
{
    static const uint32_t image[] = { 0x1BADB002, 0x10000, 0u - 0x1BADB002u - 0x10000u, 0x300000, 0x300000, 0, 0, 0x300020, 0xF4FA };
    struct svmemu_config cfg = { .memory = 16 << 20, .flags = SVMEMU_PC | flags };
    struct svmemu *m;
    assert_int_equal(svmemu_create(&cfg, &m), SVMEMU_OK);
    assert_int_equal(svmemu_load_memory(m, "guest", image, sizeof(image), NULL), SVMEMU_OK);
    return m;
}

static void run(struct svmemu *m, const void *code, size_t len, struct svmemu_stop *stop)
{
    assert_int_equal(svmemu_mem_write(m, CODE, code, len), SVMEMU_OK);
    assert_int_equal(svmemu_reg_write(m, 0, "rip", CODE), SVMEMU_OK);
    assert_int_equal(svmemu_reg_write(m, 0, "activity", 0), SVMEMU_OK);
    assert_int_equal(svmemu_run(m, 1000, SVMEMU_NO_LIMIT, stop), SVMEMU_OK);
}

static uint64_t reg(struct svmemu *m, const char *name)
{
    uint64_t v = 0;
    assert_int_equal(svmemu_reg_read(m, 0, name, &v), SVMEMU_OK);
    return v;
}

static void who_has_it(void **state)
{
    /* mov eax, 11223344h; out E0h, eax; xor eax, eax; in eax, E0h; mov ebx, [FF000000h]; hlt */
    static const uint8_t code[] = { 0xB8, 0x44, 0x33, 0x22, 0x11, 0xE7, 0xE0, 0x31, 0xC0, 0xE5, 0xE0, 0x8B, 0x1D, 0, 0, 0, 0xFF, 0xF4 };
    static const struct { unsigned flags; bool there; } row[] = {
        { 0, false }, { SVMEMU_EXIT_PORT, false }, { SVMEMU_TEST_DEVICE, true }, { SVMEMU_TEST_DEVICE_AUTO, true },
        { SVMEMU_TEST_DEVICE | SVMEMU_TEST_DEVICE_AUTO | SVMEMU_EXIT_PORT, true },
    };
    struct svmemu_stop stop;
    (void)state;
    for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct svmemu *m = multiboot(row[i].flags);
        run(m, code, sizeof(code), &stop);
        assert_int_equal(stop.reason, SVMEMU_STOP_HALTED);
        assert_int_equal(reg(m, "rax"), row[i].there ? 0x11223344 : 0xFFFFFFFF);
        assert_int_equal(reg(m, "rbx"), row[i].there ? 0 : 0xFFFFFFFF);
        svmemu_destroy(m);
    }
    /* A machine without a Multiboot guest has not got it by itself. */
    struct svmemu_config cfg = { .memory = 16 << 20, .flags = SVMEMU_PC | SVMEMU_TEST_DEVICE_AUTO };
    struct svmemu *m;
    assert_int_equal(svmemu_create(&cfg, &m), SVMEMU_OK);
    svmemu_set_mode(m, 0, 32, 0);
    run(m, code, sizeof(code), &stop);
    assert_int_equal(reg(m, "rax"), 0xFFFFFFFF);
    svmemu_destroy(m);
}

static void exits(void **state)
{
    static const uint8_t byte[] = { 0xB8, 0x85, 0x84, 0x83, 0x82, 0xE6, 0xF4 }, word[] = { 0xB8, 0x85, 0x84, 0x83, 0x82, 0x66, 0xE7, 0xF4 },
                         dword[] = { 0xB8, 0x85, 0x84, 0x83, 0x82, 0xE7, 0xF4 };
    struct svmemu *m = multiboot(SVMEMU_TEST_DEVICE_AUTO);
    struct svmemu_stop stop;
    (void)state;
    run(m, byte, sizeof(byte), &stop);
    assert_int_equal(stop.reason, SVMEMU_STOP_EXIT);
    assert_int_equal(stop.value, 0x85);
    run(m, word, sizeof(word), &stop);
    assert_int_equal(stop.reason, SVMEMU_STOP_EXIT);
    assert_int_equal(stop.value, 0x8485);
    run(m, dword, sizeof(dword), &stop);
    assert_int_equal(stop.reason, SVMEMU_STOP_EXIT);
    assert_int_equal(stop.value, 0x82838485);
    svmemu_destroy(m);
}

/* Line 5 reaches the 8259's request register; line 20 the I/O APIC and through it the local APIC. */
static void lines(void **state)
{
    static const uint8_t pic[] = {
        0xB0, 0x0A, 0xE6, 0x20,                                     /* OCW3: read IRR */
        0x66, 0xBA, 0x05, 0x20, 0xB0, 0x01, 0xEE,                   /* mov dx, 2005h; mov al, 1; out dx, al */
        0xE4, 0x20, 0x88, 0xC3,                                     /* in al, 20h; mov bl, al */
        0xB0, 0x00, 0xEE, 0xE4, 0x20, 0x88, 0xC1, 0xF4,             /* low again; mov cl, IRR; hlt */
    };
    static const uint8_t apic[] = {
        0xB8, 0x38, 0, 0, 0, 0xA3, 0, 0, 0xC0, 0xFE,                /* redirection entry 20: select 38h */
        0xB8, 0x61, 0, 0, 0, 0xA3, 0x10, 0, 0xC0, 0xFE,             /* vector 61h, fixed, edge, to APIC 0 */
        0xB8, 0x39, 0, 0, 0, 0xA3, 0, 0, 0xC0, 0xFE, 0x31, 0xC0, 0xA3, 0x10, 0, 0xC0, 0xFE,
        0xA1, 0x30, 0x02, 0xE0, 0xFE, 0x89, 0xC3,                   /* IRR 60h-7Fh before */
        0xBA, 0x14, 0x20, 0, 0, 0xB0, 0x01, 0xEE,                   /* line 20 */
        0xA1, 0x30, 0x02, 0xE0, 0xFE, 0x89, 0xC1, 0xF4,             /* and after */
    };
    struct svmemu *m = multiboot(SVMEMU_TEST_DEVICE_AUTO);
    struct svmemu_stop stop;
    (void)state;
    run(m, pic, sizeof(pic), &stop);
    assert_int_equal(reg(m, "rbx") & 0x20, 0x20);
    assert_int_equal(reg(m, "rcx") & 0x20, 0);
    run(m, apic, sizeof(apic), &stop);
    assert_int_equal(reg(m, "rbx"), 0);
    assert_int_equal(reg(m, "rcx"), 2);
    svmemu_destroy(m);
}

/* Flushing the page that is being executed, and pages that are not there, changes nothing for the guest. */
static void flush(void **state)
{
    static const uint8_t code[] = {
        0xB9, 100, 0, 0, 0, 0x31, 0xDB,                   /* mov ecx, 100; xor ebx, ebx */
        0xB8, 0x00, 0x00, 0x20, 0x00, 0xE7, 0xE4,         /* again: mov eax, CODE; out E4h, eax */
        0xB8, 0x00, 0x00, 0x00, 0xFE, 0xE7, 0xE4,         /* a hole */
        0x31, 0xC0, 0xE7, 0xE4, 0x43, 0xE2, 0xEB, 0xF4,   /* page 0; inc ebx; loop again; hlt */
    };
    struct svmemu *m = multiboot(SVMEMU_TEST_DEVICE_AUTO);
    struct svmemu_stop stop;
    (void)state;
    run(m, code, sizeof(code), &stop);
    assert_int_equal(stop.reason, SVMEMU_STOP_HALTED);
    assert_int_equal(reg(m, "rbx"), 100);
    svmemu_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(who_has_it), cmocka_unit_test(exits), cmocka_unit_test(lines), cmocka_unit_test(flush) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
