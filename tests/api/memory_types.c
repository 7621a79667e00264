// SPDX-License-Identifier: MIT
/* Memory types under nested paging: guest PAT by host PAT by MTRR, every cell of the manual's two tables, as svmemu_translate() tells them of a
 * running guest [APM2 15.25.8]. */
#include <svmemu/svmemu.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { TYPES = 6, MTRRS = 5 };
/* The order of rows and columns, and of the entries of both PATs. */
static const char *const name[TYPES] = { "UC", "UC-", "WC", "WP", "WT", "WB" };
#define PAT 0x0606060405010700ull
/* Row: the guest's type, column: the host's. */
static const char *const both[TYPES][TYPES] = {
    { "UC", "UC", "UC", "UC", "UC", "UC" },       { "UC", "UC-", "WC", "UC", "UC", "UC" },
    { "WC", "WC", "WC", "WC+", "WC+", "WC+" },    { "UC", "UC", "UC", "WP", "UC", "WP" },
    { "UC", "UC", "UC", "UC", "WT", "WT" },       { "UC", "UC", "WC", "WP", "WT", "WB" },
};
/* Row: what came of both, column: the MTRR's. */
static const struct { const char *name; uint8_t code; } mtrr[MTRRS] = { { "UC", 0 }, { "WC", 1 }, { "WP", 5 }, { "WT", 4 }, { "WB", 6 } };
static const struct { const char *name; const char *with[MTRRS]; } effective[] = {
    { "UC", { "UC", "CD", "CD", "CD", "CD" } },  { "UC-", { "UC", "WC", "CD", "CD", "CD" } }, { "WC", { "WC", "WC", "WC", "WC", "WC" } },
    { "WC+", { "WC", "WC", "WC+", "WC+", "WC+" } }, { "WP", { "UC", "CD", "WP", "CD", "WP" } }, { "WT", { "UC", "CD", "CD", "WT", "WT" } },
    { "WB", { "UC", "WC", "WP", "WT", "WB" } },
};

static const char *with_mtrr(const char *type, unsigned m)
{
    for (unsigned i = 0; i < sizeof(effective) / sizeof(effective[0]); i++)
        if (!strcmp(effective[i].name, type))
            return effective[i].with[m];
    fail_msg("no row for %s", type);
    return "";
}

enum {
    RAM = 2 << 20, HOST = 0x1000, GUEST = 0x2000, VMCB = 0x3000, HSAVE = 0x4000, HOST_TABLES = 0x10000, GUEST_TABLES = 0x14000, NESTED = 0x18000,
    DATA = 0x80000, PAGES_VA = 0x100000, PAGES_GPA = 0x140000,
};

static void put(struct svmemu *m, uint64_t at, unsigned width, uint64_t v)
{
    assert_int_equal(svmemu_mem_write(m, at, &v, width), SVMEMU_OK);
}

/* Four tables one behind the other that map the first 2 MiB by 4 KiB, one to one, of type UC. */
static void tables(struct svmemu *m, uint64_t at)
{
    for (unsigned i = 0; i < 3; i++)
        put(m, at + 0x1000 * i, 8, (at + 0x1000 * (i + 1)) | 7);
    for (uint64_t i = 0; i < 512; i++)
        put(m, at + 0x3000 + 8 * i, 8, i << 12 | 7);
}

/* PWT, PCD and PAT of a 4 KiB entry for the n-th entry of the PAT. */
static uint64_t pat_bits(unsigned n)
{
    return (n & 1) << 3 | (n & 2) << 3 | (n & 4) << 5;
}

static struct svmemu *running_guest(uint64_t np, uint64_t guest_cr0, uint64_t host_cr0)
{
    static const uint8_t host[] = { 0x0F, 0x01, 0xD8, 0xF4 }, guest[] = { 0xEB, 0xFE }; /* vmrun rax; hlt. jmp to itself */
    static const struct { uint16_t at; uint8_t width; uint64_t v; } fields[] = {
        { 0x010, 4, 1 },      { 0x058, 4, 1 },      { 0x0B0, 8, NESTED },       { 0x402, 2, 0xC93 }, { 0x412, 2, 0xA9B },      { 0x422, 2, 0xC93 },
        { 0x432, 2, 0xC93 },  { 0x4D0, 8, 0x1500 }, { 0x548, 8, 0x20 },         { 0x550, 8, GUEST_TABLES }, { 0x560, 8, 0x400 },
        { 0x568, 8, 0xFFFF0FF0 }, { 0x570, 8, 2 },  { 0x578, 8, GUEST },        { 0x668, 8, PAT },
    };
    const struct svmemu_config cfg = { .memory = RAM, .cpu = "zen3" };
    struct svmemu *m;
    struct svmemu_stop stop;
    assert_int_equal(svmemu_create(&cfg, &m), SVMEMU_OK);
    tables(m, HOST_TABLES);
    tables(m, GUEST_TABLES);
    tables(m, NESTED);
    for (unsigned g = 0; g < TYPES; g++)
        for (unsigned h = 0; h < TYPES; h++) {
            uint64_t page = (g * TYPES + h) * 0x1000;
            put(m, GUEST_TABLES + 0x3000 + (PAGES_VA + page) / 0x1000 * 8, 8, (PAGES_GPA + page) | 7 | pat_bits(g));
            put(m, NESTED + 0x3000 + (PAGES_GPA + page) / 0x1000 * 8, 8, DATA | 7 | pat_bits(h));
        }
    svmemu_mem_write(m, HOST, host, sizeof(host));
    svmemu_mem_write(m, GUEST, guest, sizeof(guest));
    for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        put(m, VMCB + fields[i].at, fields[i].width, fields[i].v);
    put(m, VMCB + 0x90, 8, np);
    put(m, VMCB + 0x558, 8, 0x80000011 | guest_cr0);
    assert_int_equal(svmemu_set_mode(m, 0, 64, HOST_TABLES), SVMEMU_OK);
    assert_int_equal(svmemu_msr_write(m, 0, 0xC0000080, 0x1501), SVMEMU_OK);
    assert_int_equal(svmemu_msr_write(m, 0, 0xC0010117, HSAVE), SVMEMU_OK);
    assert_int_equal(svmemu_msr_write(m, 0, 0x277, PAT), SVMEMU_OK);
    assert_int_equal(svmemu_reg_write(m, 0, "cr0", 0x80000011 | host_cr0), SVMEMU_OK);
    svmemu_reg_write(m, 0, "rax", VMCB);
    svmemu_reg_write(m, 0, "rip", HOST);
    assert_int_equal(svmemu_run(m, 10, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
    assert_int_equal(stop.reason, SVMEMU_STOP_LIMIT_INSNS);
    assert_int_equal(stop.rip, GUEST);
    return m;
}

static void expect_type(struct svmemu *m, unsigned g, unsigned h, unsigned r, const char *want)
{
    struct svmemu_translation t;
    assert_int_equal(svmemu_translate(m, 0, PAGES_VA + (g * TYPES + h) * 0x1000, &t), SVMEMU_OK);
    assert_int_equal(t.fault, SVMEMU_FAULT_NONE);
    if (strcmp(t.memory_type, want))
        fail_msg("guest %s, host %s, MTRR %s: %s, not %s", name[g], name[h], mtrr[r].name, t.memory_type, want);
}

static void all_mtrrs(struct svmemu *m, const char *(*want)(unsigned g, unsigned h))
{
    for (unsigned r = 0; r < MTRRS; r++) {
        assert_int_equal(svmemu_msr_write(m, 0, 0x2FF, 0x800 | mtrr[r].code), SVMEMU_OK);
        for (unsigned g = 0; g < TYPES; g++)
            for (unsigned h = 0; h < TYPES; h++)
                expect_type(m, g, h, r, with_mtrr(want(g, h), r));
    }
    svmemu_destroy(m);
}

static const char *combined(unsigned g, unsigned h) { return both[g][h]; }
static const char *guest_alone(unsigned g, unsigned h) { (void)h; return name[g]; }
static const char *uncached(unsigned g, unsigned h) { (void)g, (void)h; return "UC"; }

static void nested(void **state)
{
    (void)state;
    all_mtrrs(running_guest(1, 0, 0), combined);
}

/* Either side's CR0.CD makes everything uncached. */
static void cache_disable(void **state)
{
    (void)state;
    all_mtrrs(running_guest(1, 1u << 30, 0), uncached);
    all_mtrrs(running_guest(1, 0, 1u << 30), uncached);
}

/* Without nested paging there is one PAT: the host's, and G_PAT is not looked at. */
static void one_pat(void **state)
{
    (void)state;
    struct svmemu *m = running_guest(0, 0, 0);
    all_mtrrs(m, guest_alone);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(nested), cmocka_unit_test(cache_disable), cmocka_unit_test(one_pat) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
