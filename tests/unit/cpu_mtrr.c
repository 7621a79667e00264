// SPDX-License-Identifier: MIT
/* The MTRRs' types: fixed, variable and overlapping ranges, the default type, memory above 4 GiB. [APM2 7.7] */
#include "cpu_fixture.h"
#include "mmu/memtype.h"

enum { DEF_TYPE = 0x2FF, FIX64K = 0x250, FIX16K_A0 = 0x259, FIX4K_C0 = 0x268, FIX4K_F8 = 0x26F, SYSCFG = 0xC0010010, TOP_MEM2 = 0xC001001D };

static void wr(struct fix *f, u32 msr, u64 v)
{
    assert_true(msr_write(&f->c, msr, v));
}

static void range(struct fix *f, unsigned i, u64 base, u64 size, u8 type)
{
    wr(f, 0x200 + 2 * i, base | type);
    wr(f, 0x201 + 2 * i, ((BIT(f->c.model->maxphys) - 1) & ~(size - 1)) | 0x800);
}

static void type_is(struct fix *f, u64 spa, u8 type)
{
    u8 got = cpu_mtrr_type(&f->c, spa);
    if (got != type)
        fail_msg("type of %llXh: %u, expected %u", (unsigned long long)spa, got, type);
}

static void disabled(void **state)
{
    struct fix *f = fix_new("zen3");
    (void)state;
    wr(f, DEF_TYPE, 0x400 | MEMTYPE_WB); /* FE without E */
    wr(f, FIX64K, 0x0606060606060606);
    range(f, 0, 0, 1 << 20, MEMTYPE_WB);
    type_is(f, 0, MEMTYPE_UC);
    type_is(f, 1 << 24, MEMTYPE_UC);
    fix_free(f);
}

static void fixed(void **state)
{
    struct fix *f = fix_new("zen3");
    (void)state;
    wr(f, FIX64K, 0x0004000000000506); /* 00000h WP.. byte 0 WB, byte 1 WP, byte 6 WT */
    wr(f, FIX16K_A0, 0x0100000000000000); /* BC000h-BFFFFh WC */
    wr(f, FIX4K_C0, 0x0000000000000500); /* C1000h WP */
    wr(f, FIX4K_F8, 0x0600000000000000); /* FF000h WB */
    wr(f, DEF_TYPE, 0x800 | MEMTYPE_WT);
    type_is(f, 0, MEMTYPE_WT); /* FE clear */
    wr(f, DEF_TYPE, 0xC00 | MEMTYPE_WT);
    range(f, 0, 0, 1 << 20, MEMTYPE_WB); /* fixed ranges win */
    type_is(f, 0, MEMTYPE_WB);
    type_is(f, 0xFFFF, MEMTYPE_WB);
    type_is(f, 0x10000, MEMTYPE_WP);
    type_is(f, 0x20000, MEMTYPE_UC);
    type_is(f, 0x6FFFF, MEMTYPE_WT);
    type_is(f, 0xBBFFF, MEMTYPE_UC);
    type_is(f, 0xBC000, MEMTYPE_WC);
    type_is(f, 0xC0FFF, MEMTYPE_UC);
    type_is(f, 0xC1000, MEMTYPE_WP);
    type_is(f, 0xFEFFF, MEMTYPE_UC);
    type_is(f, 0xFFFFF, MEMTYPE_WB);
    type_is(f, 0x100000, MEMTYPE_WT);
    fix_free(f);
}

static void variable(void **state)
{
    struct fix *f = fix_new("zen3");
    (void)state;
    wr(f, DEF_TYPE, 0x800 | MEMTYPE_UC);
    range(f, 0, 0, 1ull << 31, MEMTYPE_WB);
    range(f, 3, 0x40000000, 0x1000, MEMTYPE_UC);
    range(f, 5, 0x50000000, 0x100000, MEMTYPE_WT);
    range(f, 6, 0x60000000, 0x100000, MEMTYPE_WP);
    range(f, 7, 0x70000000, 0x100000, MEMTYPE_WB);
    type_is(f, 0x3FFFFFFF, MEMTYPE_WB);
    type_is(f, 0x40000FFF, MEMTYPE_UC);
    type_is(f, 0x40001000, MEMTYPE_WB);
    type_is(f, 0x50000000, MEMTYPE_WT);
    type_is(f, 0x60000000, MEMTYPE_UC); /* WP over WB: undefined, the strongest */
    type_is(f, 0x70000000, MEMTYPE_WB);
    type_is(f, 0x80000000, MEMTYPE_UC);
    wr(f, 0x207, f->c.st.mtrr_mask[3] & ~0x800ull);
    type_is(f, 0x40000000, MEMTYPE_WB); /* not valid any more */
    fix_free(f);
}

static void above_4g(void **state)
{
    struct fix *f = fix_new("zen3");
    (void)state;
    wr(f, DEF_TYPE, 0x800 | MEMTYPE_UC);
    wr(f, TOP_MEM2, 6ull << 30);
    type_is(f, 5ull << 30, MEMTYPE_UC);
    wr(f, SYSCFG, 1 << 21);
    type_is(f, 5ull << 30, MEMTYPE_UC);
    wr(f, SYSCFG, 1 << 21 | 1 << 22);
    type_is(f, (4ull << 30) - 1, MEMTYPE_UC);
    type_is(f, 4ull << 30, MEMTYPE_WB);
    type_is(f, (6ull << 30) - 1, MEMTYPE_WB);
    type_is(f, 6ull << 30, MEMTYPE_UC);
    range(f, 0, 5ull << 30, 1ull << 30, MEMTYPE_WC); /* a range wins over the default */
    type_is(f, 5ull << 30, MEMTYPE_WC);
    fix_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(disabled),
        cmocka_unit_test(fixed),
        cmocka_unit_test(variable),
        cmocka_unit_test(above_4g),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
