// SPDX-License-Identifier: MIT
/* What a guest reads through fw_cfg and finds in memory, by real guest code: every byte it is told comes from INS at port 511h. */
#define _GNU_SOURCE 1
#include <svmemu/svmemu.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CODE 0x7000u
#define BUFFER 0x100000u

static struct svmemu *create(unsigned vcpus, uint64_t memory, unsigned flags, const char *broken)
{
    struct svmemu_config cfg = { .memory = memory, .vcpus = vcpus, .flags = SVMEMU_PC | SVMEMU_EXIT_PORT | flags, .broken_acpi = broken };
    struct svmemu *m;
    assert_int_equal(svmemu_create(&cfg, &m), SVMEMU_OK);
    return m;
}

/* Selects an item and reads `len` bytes of it into host memory, by guest code in 32-bit mode. */
static void read_item(struct svmemu *m, uint16_t key, void *buf, uint32_t len)
{
    static const uint8_t code[] = { 0x66, 0xEF, 0x42, 0xF3, 0x6C, 0xE6, 0xF4 }; /* out dx, ax; inc edx; rep insb; out F4h, al */
    struct svmemu_stop stop;
    assert_int_equal(svmemu_mem_write(m, CODE, code, sizeof(code)), SVMEMU_OK);
    assert_int_equal(svmemu_set_mode(m, 0, 32, 0), SVMEMU_OK);
    svmemu_reg_write(m, 0, "rip", CODE);
    svmemu_reg_write(m, 0, "rdx", 0x510);
    svmemu_reg_write(m, 0, "rax", key);
    svmemu_reg_write(m, 0, "rcx", len);
    svmemu_reg_write(m, 0, "rdi", BUFFER);
    assert_int_equal(svmemu_run(m, len + 100, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
    assert_int_equal(stop.reason, SVMEMU_STOP_EXIT);
    assert_int_equal(svmemu_mem_read(m, BUFFER, buf, len), SVMEMU_OK);
}

static uint64_t number(struct svmemu *m, uint16_t key, unsigned width)
{
    uint64_t v = 0;
    read_item(m, key, &v, width);
    return v;
}

static uint64_t be(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;
    while (n--)
        v = v << 8 | *p++;
    return v;
}

/* The key of a file and its size, from the directory; 0: not there. */
static uint16_t find(struct svmemu *m, const char *name, uint32_t *size)
{
    uint8_t dir[4 + 64 * 64];
    read_item(m, 0x19, dir, sizeof(dir));
    for (unsigned i = 0; i < be(dir, 4); i++) {
        const uint8_t *e = dir + 4 + 64 * i;
        if (!strcmp((const char *)e + 8, name)) {
            *size = (uint32_t)be(e, 4);
            return (uint16_t)be(e + 4, 2);
        }
    }
    return 0;
}

static void numbers(void **state)
{
    struct svmemu *m = create(3, 5ull << 30, 0, NULL);
    uint8_t sig[6], map[64];
    uint32_t size;
    (void)state;
    read_item(m, 0, sig, 6);
    assert_memory_equal(sig, "QEMU\0\0", 6);
    assert_int_equal(number(m, 1, 4), 3);
    assert_int_equal(number(m, 3, 8), 5ull << 30);
    assert_int_equal(number(m, 5, 2), 3);
    assert_int_equal(number(m, 0x0F, 2), 3);
    assert_int_equal(number(m, 0x8002, 4), 1);
    assert_int_equal(number(m, 0x77, 8), 0); /* nothing there */
    uint16_t key = find(m, "etc/e820", &size);
    assert_true(key >= 0x20);
    assert_int_equal(size, 60);
    read_item(m, key, map, 64);
    static const uint64_t expected[3][3] = { { 0, 0xE0000000, 1 }, { 0x100000000, 0x60000000, 1 }, { 0xE0000000, 0x10000000, 2 } };
    for (unsigned i = 0; i < 3; i++) {
        uint64_t base, len;
        uint32_t type;
        memcpy(&base, map + 20 * i, 8);
        memcpy(&len, map + 20 * i + 8, 8);
        memcpy(&type, map + 20 * i + 16, 4);
        assert_int_equal(base, expected[i][0]);
        assert_int_equal(len, expected[i][1]);
        assert_int_equal(type, expected[i][2]);
    }
    assert_int_equal(find(m, "opt/nobody/put/it/there", &size), 0);
    svmemu_destroy(m);
}

static void user_files(void **state)
{
    struct svmemu *m = create(1, 4 << 20, 0, NULL);
    char path[] = "/tmp/svmemu-fwcfg-XXXXXX", text[16], name[64];
    uint32_t size;
    int fd = mkstemp(path);
    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "from a file", 11), 11);
    close(fd);
    assert_int_equal(svmemu_fw_cfg_file(m, "opt/org.example/a", "hello", 5), SVMEMU_OK);
    assert_int_equal(svmemu_fw_cfg_file_from(m, "opt/org.example/b", path), SVMEMU_OK);
    uint16_t key = find(m, "opt/org.example/a", &size);
    assert_int_equal(size, 5);
    read_item(m, key, text, 6);
    assert_memory_equal(text, "hello", 6);
    key = find(m, "opt/org.example/b", &size);
    assert_int_equal(size, 11);
    read_item(m, key, text, 11);
    assert_memory_equal(text, "from a file", 11);
    assert_int_equal(svmemu_fw_cfg_file(m, "opt/org.example/a", "", 0), SVMEMU_OK);
    assert_true(find(m, "opt/org.example/a", &size) && size == 0);
    char back[8] = "........";
    size_t len;
    assert_int_equal(svmemu_fw_cfg_writable(m, "etc/vmcoreinfo", 28), SVMEMU_OK);
    assert_true(find(m, "etc/vmcoreinfo", &size) && size == 28);
    assert_int_equal(svmemu_fw_cfg_read(m, "etc/vmcoreinfo", back, 4, &len), SVMEMU_OK);
    assert_memory_equal(back, "\0\0\0\0....", 8);
    assert_int_equal(len, 28);
    assert_int_equal(svmemu_fw_cfg_read(m, "opt/org.example/b", back, 8, NULL), SVMEMU_OK);
    assert_memory_equal(back, "from a f", 8);
    assert_int_equal(svmemu_fw_cfg_read(m, "opt/none", back, 8, &len), SVMEMU_NAME);
    assert_int_equal(svmemu_fw_cfg_read(m, NULL, back, 8, &len), SVMEMU_NAME);
    assert_int_equal(svmemu_fw_cfg_writable(m, "", 1), SVMEMU_ARGUMENT);
    assert_int_equal(svmemu_fw_cfg_writable(m, "opt/huge", (16 << 20) + 1), SVMEMU_ARGUMENT);
    svmemu_reset(m); /* files stay */
    assert_true(find(m, "opt/org.example/b", &size) && size == 11);
    assert_int_equal(svmemu_fw_cfg_file(m, NULL, "", 0), SVMEMU_ARGUMENT);
    assert_int_equal(svmemu_fw_cfg_file(m, "", "", 0), SVMEMU_ARGUMENT);
    assert_int_equal(svmemu_fw_cfg_file(m, "x", NULL, 1), SVMEMU_ARGUMENT);
    memset(name, 'x', sizeof(name));
    name[56] = 0;
    assert_int_equal(svmemu_fw_cfg_file(m, name, "", 0), SVMEMU_ARGUMENT);
    assert_int_equal(svmemu_fw_cfg_file_from(m, "x", "/nonexistent/file"), SVMEMU_FILE);
    unlink(path);
    enum svmemu_status s = SVMEMU_OK;
    unsigned n = 0;
    while (n < 100 && s == SVMEMU_OK) {
        snprintf(name, sizeof(name), "opt/many/%u", n++);
        s = svmemu_fw_cfg_file(m, name, name, 3);
    }
    assert_int_equal(s, SVMEMU_MEMORY);
    assert_true(n > 32 && n < 65);
    svmemu_destroy(m);
    struct svmemu_config bare = { .memory = 4 << 20 };
    assert_int_equal(svmemu_create(&bare, &m), SVMEMU_OK);
    assert_int_equal(svmemu_fw_cfg_file(m, "x", "", 0), SVMEMU_UNSUPPORTED);
    assert_int_equal(svmemu_fw_cfg_kernel(m, "/dev/null", NULL), SVMEMU_UNSUPPORTED);
    svmemu_destroy(m);
}

/* The FADT of etc/acpi/tables names the ports where the guest has put the PIIX4's power management registers. */
static void acpi_follows_pmba(void **state)
{
    static const uint8_t code[] = { 0xB8, 0x40, 0x0B, 0x00, 0x80, 0x66, 0xBA, 0xF8, 0x0C, 0xEF, /* mov eax, 80000B40h; mov dx, CF8h; out dx, eax */
                                    0xB8, 0x01, 0xB0, 0x00, 0x00, 0xB2, 0xFC, 0xEF,             /* mov eax, B001h; mov dl, FCh; out dx, eax */
                                    0xB8, 0x80, 0x0B, 0x00, 0x80, 0xB2, 0xF8, 0xEF,             /* 80h: */
                                    0xB0, 0x01, 0xB2, 0xFC, 0xEE, 0xE6, 0xF4 };                 /* enable; out F4h, al */
    struct svmemu *m = create(1, 4 << 20, 0, NULL);
    struct svmemu_stop stop;
    uint32_t size, port;
    (void)state;
    uint16_t key = find(m, "etc/acpi/tables", &size);
    assert_true(key && size < 16384);
    uint8_t *t = malloc(size);
    for (unsigned k = 0; k < 2; k++) {
        read_item(m, key, t, size);
        unsigned at = 0;
        while (at + 4 < size && memcmp(t + at, "FACP", 4) != 0)
            at += 4;
        memcpy(&port, t + at + 76, 4);
        assert_int_equal(port, k ? 0xB008 : 0x608);
        assert_int_equal(svmemu_mem_write(m, CODE, code, sizeof(code)), SVMEMU_OK);
        svmemu_reg_write(m, 0, "rip", CODE);
        assert_int_equal(svmemu_run(m, 100, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
        assert_int_equal(stop.reason, SVMEMU_STOP_EXIT);
    }
    free(t);
    svmemu_destroy(m);
}

static uint8_t sum(const uint8_t *p, size_t n)
{
    uint8_t s = 0;
    while (n--)
        s = (uint8_t)(s + *p++);
    return s;
}

static struct svmemu *boot_hlt(const char *broken)
{
    /* Multiboot 1 by addresses: header, then CLI; HLT */
    static const uint32_t image[] = { 0x1BADB002, 0x10000, 0u - 0x1BADB002u - 0x10000u, 0x200000, 0x200000, 0, 0, 0x200020, 0xF4FA };
    static const struct svmemu_load load = { .cmdline = "one two" };
    struct svmemu *m = create(2, 16 << 20, 0, broken);
    assert_int_equal(svmemu_load_memory(m, "kernel", image, sizeof(image), &load), SVMEMU_OK);
    return m;
}

/* A direct boot has the tables in memory, as a BIOS leaves them. */
static void direct_boot(void **state)
{
    struct svmemu *m = boot_hlt(NULL);
    uint8_t seg[0x10000], text[16];
    uint32_t at;
    uint16_t len, count;
    (void)state;
    assert_int_equal(svmemu_mem_read(m, 0xF0000, seg, sizeof(seg)), SVMEMU_OK);
    unsigned found = 0;
    for (unsigned i = 0; i < sizeof(seg); i += 16) {
        if (!memcmp(seg + i, "_SM_", 4)) {
            found |= 1;
            assert_int_equal(sum(seg + i, 31), 0);
            memcpy(&at, seg + i + 24, 4);
            memcpy(&len, seg + i + 22, 2);
            memcpy(&count, seg + i + 28, 2);
            assert_true(at >= 0xF0000 && at + len <= 0xF1000);
            assert_int_equal(seg[at - 0xF0000], 0);         /* type 0 first */
            assert_memory_equal(seg + at + len - 0xF0000 - 6, "\x7F\x04", 2); /* type 127 last, without strings */
        } else if (!memcmp(seg + i, "_SM3_", 5)) {
            found |= 2;
            assert_int_equal(sum(seg + i, 24), 0);
        }
    }
    assert_int_equal(found, 3);
    assert_int_equal(count, 9); /* BIOS, system, chassis, processor, array, device, range, boot, end */
    assert_int_equal(number(m, 0x14, 4), 8); /* the command line with its zero */
    read_item(m, 0x15, text, 8);
    assert_memory_equal(text, "one two", 8);
    svmemu_destroy(m);
}

/* Each table's checksum can be wrong, and only that one. */
static void broken_checksums(void **state)
{
    static const char *const names[] = { NULL, "RSDP", "RSDT", "XSDT", "FACP", "APIC", "HPET", "MCFG", "DSDT" };
    (void)state;
    for (unsigned k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
        struct svmemu *m = boot_hlt(names[k]);
        uint8_t seg[0x10000];
        char wrong[64] = "";
        assert_int_equal(svmemu_mem_read(m, 0xE0000, seg, sizeof(seg)), SVMEMU_OK);
        assert_memory_equal(seg, "RSD PTR ", 8);
        if (sum(seg, 20))
            strcat(wrong, "RSDP");
        assert_int_equal(!sum(seg, 20), !sum(seg, 36));
        for (unsigned i = 64; i < 8192; i += 16) {
            uint32_t len;
            memcpy(&len, seg + i + 4, 4);
            for (unsigned n = 2; n < 9; n++) {
                if (memcmp(seg + i, names[n], 4) || len > 8192)
                    continue;
                if (sum(seg + i, len))
                    strcat(wrong, names[n]);
            }
        }
        assert_string_equal(wrong, names[k] ? names[k] : "");
        svmemu_destroy(m);
    }
    struct svmemu_config cfg = { .flags = SVMEMU_PC, .broken_acpi = "FACS" };
    struct svmemu *m;
    assert_int_equal(svmemu_create(&cfg, &m), SVMEMU_NAME);
}

static void kernel_refused(void **state)
{
    struct svmemu *m = create(1, 4 << 20, 0, NULL);
    uint8_t image[0x4000] = { 0 };
    struct svmemu_module initrd = { .path = "/nonexistent/initrd" };
    struct svmemu_load load = { .modules = &initrd, .module_count = 1 };
    (void)state;
    for (unsigned k = 0; k < 5; k++) {
        static const enum svmemu_status expected[] = { SVMEMU_FORMAT, SVMEMU_FORMAT, SVMEMU_FORMAT, SVMEMU_FORMAT, SVMEMU_OK };
        char path[] = "/tmp/svmemu-kernel-XXXXXX";
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        memcpy(image + 0x202, "HdrS", 4);
        image[0x206] = 0x0F;
        image[0x207] = k == 1 ? 1 : 2;   /* protocol 1.15 */
        image[0x211] = k == 2 ? 0 : 1;   /* not loaded high */
        image[0x1F1] = k == 3 ? 31 : 4;  /* set-up sectors beyond the end */
        memset(image + 0x22C, 0xFF, 4);
        assert_true(write(fd, image, k == 0 ? 0x250 : sizeof(image)) > 0); /* cut off */
        close(fd);
        assert_int_equal(svmemu_fw_cfg_kernel(m, path, NULL), expected[k]);
        assert_int_equal(svmemu_fw_cfg_kernel(m, path, &load), SVMEMU_FILE);
        unlink(path);
    }
    /* the last one is there: set-up part, the rest, and their places */
    assert_int_equal(number(m, 0x17, 4), 5 * 512);
    assert_int_equal(number(m, 0x16, 4), 0x10000);
    assert_int_equal(number(m, 0x08, 4), sizeof(image) - 5 * 512);
    assert_int_equal(number(m, 0x07, 4), 0x100000);
    read_item(m, 0x18, image, 0x260);
    assert_int_equal(image[0x210], 0xB0);
    assert_memory_equal(image + 0x228, "\0\0\2\0", 4); /* the command line at 20000h */
    assert_int_equal(number(m, 0x0B, 4), 0);
    assert_int_equal(svmemu_fw_cfg_kernel(m, "/nonexistent/kernel", NULL), SVMEMU_FILE);
    assert_int_equal(svmemu_fw_cfg_kernel(m, NULL, NULL), SVMEMU_ARGUMENT);
    load.module_count = 2;
    assert_int_equal(svmemu_fw_cfg_kernel(m, "/dev/null", &load), SVMEMU_ARGUMENT);
    svmemu_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers), cmocka_unit_test(user_files), cmocka_unit_test(acpi_follows_pmba), cmocka_unit_test(direct_boot),
        cmocka_unit_test(broken_checksums), cmocka_unit_test(kernel_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
