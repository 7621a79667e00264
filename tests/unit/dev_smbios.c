// SPDX-License-Identifier: MIT
/* SMBIOS tables: entry points and structures by the specification's rules, and what Debian's dmidecode reads in them. */
#define _GNU_SOURCE 1
#include "dev/smbios.h"

#include "base/bits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct smbios_cfg example = {
    .cpus = 4, .low_ram = 0xE0000000, .high_ram = 0x20000000, .vendor = "AuthenticAMD", .model = "   Test Processor", .signature = 0xA20F10,
    .features = 0x178BFBFF, .mhz = 3400,
};

static u8 sum(const u8 *p, size_t n)
{
    u8 s = 0;
    while (n--)
        s = (u8)(s + *p++);
    return s;
}

static void anchors(void **state)
{
    struct smbios s;
    u8 a[31], b[24];
    (void)state;
    smbios_build(&example, &s);
    smbios_anchor_21(&s, 0xF1234, a);
    assert_memory_equal(a, "_SM_", 4);
    assert_int_equal(a[5], 31);
    assert_int_equal(sum(a, 31), 0);
    assert_memory_equal(a + 16, "_DMI_", 5);
    assert_int_equal(sum(a + 16, 15), 0);
    assert_int_equal(load_le(a + 22, 2), s.len);
    assert_int_equal(load_le(a + 24, 4), 0xF1234);
    assert_int_equal(load_le(a + 28, 2), s.count);
    smbios_anchor_30(&s, 0x123456789ABull, b);
    assert_memory_equal(b, "_SM3_", 5);
    assert_int_equal(b[6], 24);
    assert_int_equal(sum(b, 24), 0);
    assert_int_equal(b[10], 1);
    assert_int_equal(load_le(b + 12, 4), s.len);
    assert_int_equal(load_le(b + 16, 8), 0x123456789ABull);
}

/* Every structure with its strings; returns the first of `type`. */
static const u8 *walk(const struct smbios *s, u8 type)
{
    const u8 *found = NULL;
    unsigned at = 0, n = 0, longest = 0;
    u16 handles[32];
    for (u8 last = 0; last != 127; n++) {
        unsigned start = at;
        assert_true(at + 4 <= s->len && n < 32);
        last = s->table[at];
        handles[n] = (u16)load_le(s->table + at + 2, 2);
        for (unsigned i = 0; i < n; i++)
            assert_int_not_equal(handles[i], handles[n]);
        if (last == type && !found)
            found = s->table + at;
        at += s->table[at + 1];
        while (s->table[at] || s->table[at + 1])
            at++;
        at += 2;
        if (at - start > longest)
            longest = at - start;
    }
    assert_int_equal(at, s->len);
    assert_int_equal(n, s->count);
    assert_int_equal(longest, s->longest);
    return found;
}

static void structures(void **state)
{
    struct smbios_cfg cfg = example;
    struct smbios s;
    (void)state;
    smbios_build(&cfg, &s);
    static const u8 required[] = { 0, 1, 3, 4, 16, 17, 19, 32, 127 }; /* DSP0134 6.2, table 4; caches and slots there are none */
    for (unsigned i = 0; i < ARRAY_LEN(required); i++)
        assert_non_null(walk(&s, required[i]));
    const u8 *m = walk(&s, 17), *r = walk(&s, 19);
    assert_int_equal(load_le(m + 12, 2), 4096);
    assert_int_equal(load_le(r + 4, 4), 0);
    assert_int_equal(load_le(r + 8, 4), (0xE0000000u >> 10) - 1);
    cfg.low_ram = (2u << 20) + 4096;
    cfg.high_ram = 0;
    smbios_build(&cfg, &s);
    assert_int_equal(load_le(walk(&s, 17) + 12, 2), 0x8000 | 2052); /* KiB */
    cfg.low_ram = 0xE0000000;
    cfg.high_ram = (1ull << 40) - 0xE0000000;
    cfg.cpus = 300;
    smbios_build(&cfg, &s);
    assert_int_equal(load_le(walk(&s, 17) + 12, 2), 0x7FFF); /* MiB in the extended field */
    assert_int_equal(load_le(walk(&s, 17) + 28, 4), 1 << 20);
    assert_int_equal(walk(&s, 4)[35], 255);
    cfg.high_ram = 8ull << 40; /* beyond what 32 bits of KiB reach */
    smbios_build(&cfg, &s);
    r = walk(&s, 19) + 31 + 2;
    assert_int_equal(r[0], 19);
    assert_int_equal(load_le(r + 4, 4), 0xFFFFFFFF);
    assert_int_equal(load_le(r + 15, 8), 1ull << 32);
    assert_int_equal(load_le(r + 23, 8), (1ull << 32) + (8ull << 40) - 1);
    assert_int_equal(load_le(walk(&s, 16) + 7, 4), 0x80000000);
    cfg.model = "";
    cfg.vendor = "0123456789012345678901234567890123456789012345678901234567890123456789";
    smbios_build(&cfg, &s);
    assert_int_equal(walk(&s, 4)[16], 0);
}

static void read_by_dmidecode(void **state)
{
    static const char *const expected[] = {
        "SMBIOS %s present", "Vendor: svmemu", "ACPI is supported", "System is a virtual machine", "Product Name: PC", "Type: Central Processor",
        "Manufacturer: AuthenticAMD", "Version: Test Processor", "Max Speed: 3400 MHz", "Status: Populated, Enabled", "Core Count: 4",
        "ID: 10 0F A2 00 FF FB 8B 17", "Use: System Memory", "Number Of Devices: 1", "Size: 4 GB", "Form Factor: DIMM",
        "Range Size: 3584 MB", "Range Size: 512 MB", "Status: No errors detected", "End Of Table",
    };
    struct smbios s;
    u8 anchor[2][32] = { { 0 } };
    (void)state;
    smbios_build(&example, &s);
    smbios_anchor_21(&s, 32, anchor[0]);
    smbios_anchor_30(&s, 32, anchor[1]);
    for (unsigned k = 0; k < 2; k++) {
        char path[] = "/tmp/svmemu-smbios-XXXXXX", command[256], want[64], text[16384];
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, anchor[k], 32), 32);
        assert_int_equal(write(fd, s.table, s.len), (ssize_t)s.len);
        close(fd);
        snprintf(command, sizeof(command), "PATH=$PATH:/usr/sbin dmidecode --from-dump %s 2>&1", path);
        FILE *p = popen(command, "r");
        assert_non_null(p);
        size_t n = fread(text, 1, sizeof(text) - 1, p);
        text[n] = 0;
        assert_int_equal(pclose(p), 0);
        for (unsigned i = 0; i < ARRAY_LEN(expected); i++) {
            snprintf(want, sizeof(want), expected[i], k ? "3.0.0" : "2.8");
            if (!strstr(text, want)) {
                print_message("%s\nmissing: %s\n", text, want);
                fail();
            }
        }
        static const char *const wrong[] = { "Wrong", "BAD INDEX", "OUT OF SPEC", "invalid", "broken", "TRUNCATED", "structures present, but" };
        for (unsigned i = 0; i < ARRAY_LEN(wrong); i++)
            if (strstr(text, wrong[i])) {
                print_message("%s\nfound: %s\n", text, wrong[i]);
                fail();
            }
        unlink(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(anchors), cmocka_unit_test(structures), cmocka_unit_test(read_by_dmidecode) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
