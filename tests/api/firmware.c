// SPDX-License-Identifier: MIT
/* Firmware images through the public API: where they stand, how they start, which are refused. */
#define _GNU_SOURCE 1
#include <svmemu/svmemu.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KIB64 0x10000u

static void write_image(char *path, const void *data, size_t len)
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), (ssize_t)len);
    close(fd);
}

/* At the reset vector, in real mode: exit with a byte that is read through the copy below 1 MiB. */
static void starts(void **state)
{
    static const uint8_t code[] = { 0xEA, 0x00, 0xFF, 0x00, 0xF0 };                /* jmp F000:FF00 */
    static const uint8_t low[] = { 0x2E, 0xA0, 0x34, 0x12, 0xE6, 0xF4, 0xF4 };     /* mov al, cs:[1234h]; out F4h, al; hlt */
    static uint8_t image[2 * KIB64];
    char path[] = "/tmp/svmemu-firmware-XXXXXX";
    struct svmemu_config cfg = { .memory = 4 << 20, .flags = SVMEMU_PC | SVMEMU_EXIT_PORT };
    struct svmemu_stop stop;
    struct svmemu *m;
    (void)state;
    memset(image, 0xF4, sizeof(image));
    memcpy(image + 0x1FFF0, code, sizeof(code));
    memcpy(image + 0x1FF00, low, sizeof(low));
    image[0x11234] = 0x5A;
    write_image(path, image, sizeof(image));
    assert_int_equal(svmemu_create(&cfg, &m), SVMEMU_OK);
    assert_int_equal(svmemu_load_firmware(m, path), SVMEMU_OK);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(svmemu_run(m, 1000, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
        assert_int_equal(stop.reason, SVMEMU_STOP_EXIT);
        assert_int_equal(stop.value, 0x5A);
        svmemu_reset(m);
    }
    assert_int_equal(svmemu_load_firmware(m, path), SVMEMU_ARGUMENT); /* once only */
    svmemu_destroy(m);
    unlink(path);
}

static void refused(void **state)
{
    static const uint8_t zeros[KIB64 + 1];
    static const size_t sizes[] = { 0, 1, KIB64 - 1, KIB64 + 1 };
    struct svmemu_config cfg = { .memory = 4 << 20, .flags = SVMEMU_PC };
    struct svmemu *m;
    (void)state;
    assert_int_equal(svmemu_create(&cfg, &m), SVMEMU_OK);
    assert_int_equal(svmemu_load_firmware(m, "/nonexistent/bios.bin"), SVMEMU_FILE);
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char path[] = "/tmp/svmemu-firmware-XXXXXX";
        write_image(path, zeros, sizes[i]);
        assert_int_equal(svmemu_load_firmware(m, path), SVMEMU_FORMAT);
        assert_true(*svmemu_last_error(m));
        unlink(path);
    }
    svmemu_destroy(m);
    cfg.flags = 0;
    assert_int_equal(svmemu_create(&cfg, &m), SVMEMU_OK);
    assert_int_equal(svmemu_load_firmware(m, "/dev/null"), SVMEMU_UNSUPPORTED);
    assert_int_equal(svmemu_button(m, SVMEMU_BUTTON_POWER), SVMEMU_UNSUPPORTED);
    svmemu_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(starts), cmocka_unit_test(refused) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
