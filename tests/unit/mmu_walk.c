// SPDX-License-Identifier: MIT
/* The walker in every mode on fake memory that records each access. */
#include "base/bits.h"
#include "mmu/memtype.h"
#include "mmu/walk.h"
#include "mmu/walk_upper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define FAKE_SIZE 0x20000u
#define LOG_SIZE 64

struct fake {
    u8 mem[FAKE_SIZE];
    struct { u64 pa; char kind; } log[LOG_SIZE];
    unsigned n, spoil; /* spoil: that many updates find a changed entry */
};

static void note(struct fake *k, u64 pa, char kind)
{
    if (k->n < LOG_SIZE) {
        k->log[k->n].pa = pa;
        k->log[k->n].kind = kind;
    }
    k->n++;
}

static bool fake_read(void *ctx, u64 pa, unsigned width, u64 *v, struct mmu_fault *f)
{
    struct fake *k = ctx;

    (void)f;
    note(k, pa, 'r');
    *v = pa + width <= FAKE_SIZE ? load_le(k->mem + pa, width) : ~0ull;
    return true;
}

static bool fake_cmpxchg(void *ctx, u64 pa, unsigned width, u64 old, u64 new_value, bool *done, struct mmu_fault *f)
{
    struct fake *k = ctx;

    (void)f;
    note(k, pa, 'w');
    assert_true(pa + width <= FAKE_SIZE);
    assert_true(load_le(k->mem + pa, width) == old);
    *done = !k->spoil;
    if (k->spoil)
        k->spoil--;
    else
        store_le(k->mem + pa, width, new_value);
    return true;
}

static struct fake *fake_new(void)
{
    static struct fake k; /* a test program's own */
    memset(&k, 0, sizeof(k));
    return &k;
}
static void put8(struct fake *k, u64 pa, u64 v) { store_le(k->mem + pa, 8, v); }
static void put4(struct fake *k, u64 pa, u64 v) { store_le(k->mem + pa, 4, v); }

enum { P = 1, W = 2, U = 4, A = 32, D = 64, PS = 128, G = 256 };
#define NX BIT(63)
#define PWU (P | W | U)
#define ALL (P | W | U | A)

static struct mmu_regs regs_long(void)
{
    return (struct mmu_regs){ .cr0 = BIT(31) | BIT(16) | 1, .cr3 = 0x1000, .cr4 = CR4_BIT_PAE,
                              .efer = BIT(10) | BIT(8) | BIT(11), .pat = 0x0007040600070406ull,
                              .maxphys = 40, .has_1g = true };
}

struct tried { struct walk_result w; struct mmu_fault f; bool ok; };

static struct tried try(struct fake *k, const struct mmu_regs *r, const u64 *pdpte, u64 lin, unsigned acc)
{
    struct walk_mem m = { .ctx = k, .read = fake_read, .cmpxchg = fake_cmpxchg };
    struct tried t = { .f = { 0 } };

    k->n = 0;
    t.ok = walk(r, pdpte, &m, lin, acc, &t.w, &t.f);
    if (t.ok)
        assert_int_equal(t.w.refs, k->n);
    return t;
}

static void expect_pf(struct fake *k, const struct mmu_regs *r, u64 lin, unsigned acc, u64 err)
{
    struct tried t = try(k, r, NULL, lin, acc);
    assert_false(t.ok);
    assert_int_equal(t.f.kind, MMU_PF);
    assert_int_equal(t.f.err, err);
    assert_true(t.f.addr == lin);
}

/* 4 levels for linear 0x401234 -> 0x5000. */
static void map_long(struct fake *k, u64 leaf)
{
    put8(k, 0x1000, 0x2000 | PWU);
    put8(k, 0x2000, 0x3000 | PWU);
    put8(k, 0x3000 + 2 * 8, 0x4000 | PWU);
    put8(k, 0x4000 + 8, leaf);
}

static void test_long_ad(void **state)
{
    struct fake *k = fake_new();
    struct mmu_regs r = regs_long();

    (void)state;
    map_long(k, 0x5000 | PWU);
    struct tried t = try(k, &r, NULL, 0x401234, ACC_R);
    assert_true(t.ok && t.w.pa == 0x5234 && t.w.shift == 12);
    assert_int_equal(k->n, 8); /* read, A, four times */
    assert_true(k->log[0].pa == 0x1000 && k->log[7].pa == 0x4008 && k->log[7].kind == 'w');
    assert_int_equal(load_le(k->mem + 0x4008, 8), 0x5000 | ALL);
    assert_false(t.w.rights & TR_D);
    t = try(k, &r, NULL, 0x401234, ACC_R);
    assert_int_equal(k->n, 4);
    t = try(k, &r, NULL, 0x401234, ACC_W);
    assert_int_equal(k->n, 5);
    assert_true(t.w.rights & TR_D);
    assert_int_equal(load_le(k->mem + 0x4008, 8), 0x5000 | ALL | D);
    /* Another writer: the walk starts again; it gives up after a while. */
    put8(k, 0x4008, 0x5000 | PWU);
    k->spoil = 2;
    assert_true(try(k, &r, NULL, 0x401234, ACC_R).ok);
    put8(k, 0x4008, 0x5000 | PWU);
    k->spoil = 1000;
    assert_false(try(k, &r, NULL, 0x401234, ACC_R).ok);
    k->spoil = 0;
    /* A peek changes nothing and ignores rights. */
    put8(k, 0x4008, 0x5000 | P | NX);
    t = try(k, &r, NULL, 0x401234, ACC_W | WALK_PEEK);
    assert_true(t.ok && k->n == 4);
}

static void test_long_faults(void **state)
{
    struct fake *k = fake_new();
    struct mmu_regs r = regs_long();

    (void)state;
    expect_pf(k, &r, 0x401234, ACC_R, 0);
    expect_pf(k, &r, 0x401234, ACC_W, PFE_W);
    expect_pf(k, &r, 0x401234, ACC_X, PFE_ID);
    r.cpl = 3;
    expect_pf(k, &r, 0x401234, ACC_X, PFE_ID | PFE_U);
    expect_pf(k, &r, 0x401234, ACC_R | ACC_SYS, 0);
    map_long(k, 0x5000 | P | W);
    expect_pf(k, &r, 0x401234, ACC_R, PFE_P | PFE_U);
    assert_true(try(k, &r, NULL, 0x401234, ACC_R | ACC_SYS).ok);
    map_long(k, 0x5000 | P | U);
    expect_pf(k, &r, 0x401234, ACC_W, PFE_P | PFE_U | PFE_W);
    expect_pf(k, &r, 0x401234, ACC_R | ACC_PROBE, PFE_P | PFE_U | PFE_W);
    r.cpl = 0;
    expect_pf(k, &r, 0x401234, ACC_W, PFE_P | PFE_W);
    r.cr0 &= ~BIT(16);
    assert_true(try(k, &r, NULL, 0x401234, ACC_W).ok);
    /* NX, NXE */
    map_long(k, 0x5000 | PWU | NX);
    expect_pf(k, &r, 0x401234, ACC_X, PFE_P | PFE_ID);
    r.efer &= ~BIT(11);
    expect_pf(k, &r, 0x401234, ACC_X, PFE_P | PFE_RSV);
    expect_pf(k, &r, 0x401234, ACC_R, PFE_P | PFE_RSV);
    map_long(k, 0);
    expect_pf(k, &r, 0x401234, ACC_X, 0); /* no NX, no SMEP: no I/D bit */
    r.cr4 |= CR4_BIT_SMEP;
    expect_pf(k, &r, 0x401234, ACC_X, PFE_ID);
    map_long(k, 0x5000 | PWU);
    expect_pf(k, &r, 0x401234, ACC_X, PFE_P | PFE_ID);
    r.cpl = 3;
    assert_true(try(k, &r, NULL, 0x401234, ACC_X).ok);
    /* SMAP */
    r.cr4 |= CR4_BIT_SMAP;
    assert_true(try(k, &r, NULL, 0x401234, ACC_R).ok);
    expect_pf(k, &r, 0x401234, ACC_R | ACC_SYS, PFE_P);
    r.cpl = 0;
    expect_pf(k, &r, 0x401234, ACC_R, PFE_P);
    r.ac = true;
    assert_true(try(k, &r, NULL, 0x401234, ACC_R).ok);
    expect_pf(k, &r, 0x401234, ACC_R | ACC_SYS, PFE_P);
}

static void test_long_pku(void **state)
{
    struct fake *k = fake_new();
    struct mmu_regs r = regs_long();

    (void)state;
    map_long(k, 0x5000 | PWU | 5ull << 59);
    r.cr4 |= CR4_BIT_PKE;
    r.cpl = 3;
    assert_true(try(k, &r, NULL, 0x401234, ACC_W).ok);
    r.pkru = 2u << 10;
    assert_true(try(k, &r, NULL, 0x401234, ACC_R).ok);
    expect_pf(k, &r, 0x401234, ACC_W, PFE_P | PFE_W | PFE_U | PFE_PK);
    r.cpl = 0;
    r.cr0 &= ~BIT(16);
    assert_true(try(k, &r, NULL, 0x401234, ACC_W).ok);
    r.pkru = 1u << 10;
    expect_pf(k, &r, 0x401234, ACC_R, PFE_P | PFE_PK);
    assert_true(try(k, &r, NULL, 0x401234, ACC_X).ok);
    map_long(k, 0x5000 | P | W | 5ull << 59); /* supervisor page: keys do not count */
    assert_true(try(k, &r, NULL, 0x401234, ACC_R).ok);
}

static void test_long_reserved(void **state)
{
    static const struct { u64 at, bits; bool bad; } cases[] = {
        { 0x1000, PS, true }, { 0x1000, G, true }, { 0x2000, G, true }, { 0x3010, G, false }, { 0x4008, PS, false },
        { 0x1000, BIT(40), true }, { 0x2000, BIT(51), true }, { 0x3010, BIT(45), true }, { 0x4008, BIT(40), true },
        { 0x4008, BIT(52), false }, { 0x1000, BIT(62), false }, { 0x4008, G, false },
        { 0x3010, PS | BIT(13), true }, { 0x3010, PS | BIT(20), true }, { 0x2000, PS | BIT(29), true },
    };
    struct mmu_regs r = regs_long();

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct fake *k = fake_new();
        map_long(k, 0x5000 | PWU);
        put8(k, cases[i].at, load_le(k->mem + cases[i].at, 8) | cases[i].bits);
        if (cases[i].bad)
            expect_pf(k, &r, 0x401234, ACC_R, PFE_P | PFE_RSV);
        else
            assert_true(try(k, &r, NULL, 0x401234, ACC_R).ok);
    }
    /* Large pages. */
    struct fake *k = fake_new();
    map_long(k, 0);
    put8(k, 0x3010, 0xC0600000 | PWU | PS | BIT(12));
    struct tried t = try(k, &r, NULL, 0x5FFFFF, ACC_R);
    assert_true(t.ok && t.w.pa == 0xC07FFFFF && t.w.shift == 21);
    put8(k, 0x2000, 0x1C0000000ull | PWU | PS);
    t = try(k, &r, NULL, 0x5FFFFF, ACC_R);
    assert_true(t.ok && t.w.pa == 0x1C05FFFFFull && t.w.shift == 30);
    r.has_1g = false;
    expect_pf(k, &r, 0x5FFFFF, ACC_R, PFE_P | PFE_RSV);
    /* Five levels: linear bit 48 selects in the top table. */
    r = regs_long();
    r.cr4 |= CR4_BIT_LA57;
    r.cr3 = 0x6000;
    map_long(k, 0x5000 | PWU);
    put8(k, 0x2000, 0x3000 | PWU);
    put8(k, 0x3010, 0x4000 | PWU);
    put8(k, 0x6008, 0x1000 | PWU);
    t = try(k, &r, NULL, BIT(48) | 0x401234, ACC_R);
    assert_true(t.ok && t.w.pa == 0x5234 && t.w.refs == 10);
    expect_pf(k, &r, 0x401234, ACC_R, 0);
}

static void test_32bit(void **state)
{
    struct fake *k = fake_new();
    struct mmu_regs r = { .cr0 = BIT(31) | BIT(16) | 1, .cr3 = 0x1FFF, .maxphys = 40, .pat = 0x0007040600070406ull };

    (void)state;
    put4(k, 0x1000 + 4, 0x2000 | PWU);
    put4(k, 0x2000 + 4, 0x5000 | PWU | PS); /* PAT bit, not a size */
    struct tried t = try(k, &r, NULL, 0x401234, ACC_W);
    assert_true(t.ok && t.w.pa == 0x5234 && k->n == 4);
    assert_true(k->log[0].pa == 0x1004 && k->log[3].pa == 0x2004 && k->log[3].kind == 'w');
    assert_int_equal(load_le(k->mem + 0x2004, 4), 0x5000 | PWU | PS | A | D);
    expect_pf(k, &r, 0x801234, ACC_X, 0);
    put4(k, 0x1000 + 8, 0x00C00000 | PWU | PS | 0x12u << 13);
    put4(k, 0x0C00000 % FAKE_SIZE, 0);
    r.cr4 = CR4_BIT_PSE;
    t = try(k, &r, NULL, 0xBFFFFF, ACC_R);
    assert_true(t.ok && t.w.pa == 0x1200FFFFFFull && t.w.shift == 22);
    put4(k, 0x1000 + 8, 0x00C00000 | PWU | PS | BIT(21));
    expect_pf(k, &r, 0xBFFFFF, ACC_R, PFE_P | PFE_RSV);
    r.maxphys = 36;
    put4(k, 0x1000 + 8, 0x00C00000 | PWU | PS | BIT(17));
    expect_pf(k, &r, 0xBFFFFF, ACC_R, PFE_P | PFE_RSV);
}

static void test_pae(void **state)
{
    struct fake *k = fake_new();
    struct mmu_regs r = { .cr0 = BIT(31) | BIT(16) | 1, .cr3 = 0x1020, .cr4 = CR4_BIT_PAE, .efer = BIT(11),
                          .maxphys = 40 };
    u64 pdpte[4] = { 0, 0, 0, 0x2001 };

    (void)state;
    put8(k, 0x2000 + 511 * 8, 0x3000 | PWU);
    put8(k, 0x3000 + 511 * 8, 0x5000 | PWU | NX);
    struct tried t = try(k, &r, pdpte, 0xFFFFF123, ACC_W);
    assert_true(t.ok && t.w.pa == 0x5123 && k->n == 4 && (t.w.rights & TR_NX));
    t = try(k, &r, pdpte, 0xFFFFF123, ACC_X);
    assert_true(!t.ok && t.f.err == (PFE_P | PFE_ID));
    t = try(k, &r, pdpte, 0x1000, ACC_R);
    assert_true(!t.ok && t.f.err == 0 && k->n == 0);
    put8(k, 0x3000 + 511 * 8, 0x5000 | PWU | BIT(52));
    t = try(k, &r, pdpte, 0xFFFFF123, ACC_R);
    assert_true(!t.ok && t.f.err == (PFE_P | PFE_RSV));
    put8(k, 0x2000 + 511 * 8, 0x200000 | PWU | PS);
    t = try(k, &r, pdpte, 0xFFFFF123, ACC_R);
    assert_true(t.ok && t.w.pa == 0x3FF123 && t.w.shift == 21);
    assert_true(walk_pdpte_reserved(40) == (0xFFFFFF00000001E6ull));
}

/* Guest tables at guest-physical 1000h.., nested tables map guest-physical x to x + 10000h
 * with 4 KiB pages below 64 KiB. */
static struct mmu_regs nested_setup(struct fake *k)
{
    struct mmu_regs r = regs_long();

    r.nested = true;
    r.ncr3 = 0x8000;
    r.hcr0 = BIT(31) | 1;
    r.hcr4 = CR4_BIT_PAE;
    r.hefer = BIT(10) | BIT(11);
    r.hpat = r.pat;
    put8(k, 0x8000, 0x9000 | ALL);
    put8(k, 0x9000, 0xA000 | ALL);
    put8(k, 0xA000, 0xB000 | ALL);
    for (u64 i = 0; i < 16; i++)
        put8(k, 0xB000 + 8 * i, (0x10000 + (i << 12)) | ALL | D);
    put8(k, 0x11000, 0x2000 | ALL);
    put8(k, 0x12000, 0x3000 | ALL);
    put8(k, 0x13010, 0x4000 | ALL);
    put8(k, 0x14008, 0x5000 | ALL | D);
    return r;
}

static void expect_npf(struct fake *k, const struct mmu_regs *r, u64 lin, unsigned acc, u64 err, u64 gpa)
{
    struct tried t = try(k, r, NULL, lin, acc);
    assert_false(t.ok);
    assert_int_equal(t.f.kind, MMU_NPF);
    assert_true(t.f.err == err);
    assert_true(t.f.addr == gpa);
}

static void test_nested_order(void **state)
{
    struct fake *k = fake_new();
    struct mmu_regs r = nested_setup(k);
    static const u64 nested_then_guest[] = {
        0x8000, 0x9000, 0xA000, 0xB008, 0x11000, 0x8000, 0x9000, 0xA000, 0xB010, 0x12000,
        0x8000, 0x9000, 0xA000, 0xB018, 0x13010, 0x8000, 0x9000, 0xA000, 0xB020, 0x14008,
        0x8000, 0x9000, 0xA000, 0xB028,
    };

    (void)state;
    struct tried t = try(k, &r, NULL, 0x401234, ACC_R);
    assert_true(t.ok && t.w.pa == 0x15234 && t.w.shift == 12 && k->n == 24);
    for (unsigned i = 0; i < 24; i++)
        assert_true(k->log[i].pa == nested_then_guest[i] && k->log[i].kind == 'r');
    /* Reads of guest tables are nested writes: D of the table's page. */
    put8(k, 0xB008, 0x11000 | PWU);
    put8(k, 0xB028, 0x15000 | PWU);
    t = try(k, &r, NULL, 0x401234, ACC_R);
    assert_true(t.ok && !(t.w.rights & TR_D));
    assert_int_equal(load_le(k->mem + 0xB008, 8), 0x11000 | ALL | D);
    assert_int_equal(load_le(k->mem + 0xB028, 8), 0x15000 | ALL);
    r.rogpt = true;
    put8(k, 0xB008, 0x11000 | P | U);
    assert_true(try(k, &r, NULL, 0x401234, ACC_R).ok);
    assert_int_equal(load_le(k->mem + 0xB008, 8), 0x11000 | P | U | A);
    put8(k, 0x11000, 0x2000 | PWU); /* A to be set: now it is a write */
    expect_npf(k, &r, 0x401234, ACC_R, NPF_TABLE | 7, 0x1000);
}

static void test_nested_faults(void **state)
{
    struct fake *k = fake_new();
    struct mmu_regs r = nested_setup(k);
    u64 final = NPF_FINAL, table = NPF_TABLE;

    (void)state;
    put8(k, 0xB028, 0);
    expect_npf(k, &r, 0x401234, ACC_R, final | 4, 0x5234);
    expect_npf(k, &r, 0x401234, ACC_W, final | 6, 0x5234);
    expect_npf(k, &r, 0x401234, ACC_X, final | 0x14, 0x5234);
    put8(k, 0xB028, 0x15000 | P | U);
    expect_npf(k, &r, 0x401234, ACC_W, final | 7, 0x5234);
    r.cr0 &= ~BIT(16);
    expect_npf(k, &r, 0x401234, ACC_W, final | 7, 0x5234); /* no WP in nested tables */
    put8(k, 0xB028, 0x15000 | P | W);
    expect_npf(k, &r, 0x401234, ACC_R, final | 5, 0x5234);
    put8(k, 0xB028, 0x15000 | PWU | NX);
    expect_npf(k, &r, 0x401234, ACC_X, final | 0x15, 0x5234);
    put8(k, 0xB028, 0x15000 | PWU | BIT(45));
    expect_npf(k, &r, 0x401234, ACC_R, final | 0xD, 0x5234);
    expect_npf(k, &r, 0x401234, ACC_X, final | 0x1D, 0x5234);
    /* Tables. */
    put8(k, 0xB018, 0x13000 | P | U);
    expect_npf(k, &r, 0x401234, ACC_X, table | 7, 0x3010);
    put8(k, 0xB018, 0);
    expect_npf(k, &r, 0x401234, ACC_R, table | 6, 0x3010);
    put8(k, 0xB018, 0x13000 | PWU | BIT(45));
    expect_npf(k, &r, 0x401234, ACC_R, table | 0xF, 0x3010);
    /* A guest fault of the final page beats its nested one, a nested one of a table beats lower guest faults. */
    put8(k, 0xB018, 0x13000 | PWU);
    put8(k, 0x14008, 0x5000 | P | W);
    r.cpl = 3;
    expect_pf(k, &r, 0x401234, ACC_R, PFE_P | PFE_U);
    put8(k, 0x12000, 0);
    put8(k, 0xB010, 0);
    expect_npf(k, &r, 0x401234, ACC_R, table | 6, 0x2000);
    put8(k, 0xB010, 0x12000 | PWU);
    expect_pf(k, &r, 0x401234, ACC_R, PFE_U);
    /* Beyond what the nested table reaches. */
    r.cr0 = 1;
    expect_npf(k, &r, BIT(48), ACC_R, final | 4, BIT(48));
}

static void test_nested_modes(void **state)
{
    struct fake *k = fake_new();
    struct mmu_regs r = nested_setup(k);

    (void)state;
    r.cr0 = 1; /* no guest paging: identity, still nested */
    struct tried t = try(k, &r, NULL, 0x5678, ACC_W);
    assert_true(t.ok && t.w.pa == 0x15678 && k->n == 4 && t.w.shift == t.w.guest_shift);
    /* 32-bit host: two levels, a 4 MiB page; the guest's PAE directory pointers come from memory, reserved bits at
     * use. */
    r.cr0 = BIT(31) | 1;
    r.cr4 = CR4_BIT_PAE;
    r.efer = 0;
    r.cr3 = 0x1020;
    r.hcr4 = CR4_BIT_PSE;
    r.hefer = 0;
    put4(k, 0x8000, 0 | ALL | D | PS);
    put8(k, 0x1020, 0x2001);
    put8(k, 0x2000, 0x3000 | PWU);
    put8(k, 0x3008, 0x5000 | PWU);
    u64 unused[4] = { 0 };
    t = try(k, &r, unused, 0x1234, ACC_R);
    assert_true(t.ok && t.w.pa == 0x5234 && t.w.shift == 12 && t.w.guest_shift == 12);
    put8(k, 0x1020, 0x2007);
    t = try(k, &r, unused, 0x1234, ACC_R);
    assert_true(!t.ok && t.f.kind == MMU_PF && t.f.err == (PFE_P | PFE_RSV));
    /* GMET: U/S=1 pages are executable for user mode only; data does not care. */
    k = fake_new();
    r = nested_setup(k);
    r.gmet = true;
    assert_true(try(k, &r, NULL, 0x401234, ACC_R).ok);
    assert_false(try(k, &r, NULL, 0x401234, ACC_X).ok);
    r.cpl = 3;
    assert_true(try(k, &r, NULL, 0x401234, ACC_X).ok);
    r.cpl = 0;
    put8(k, 0xB028, 0x15000 | P | W | A);
    assert_true(try(k, &r, NULL, 0x401234, ACC_X).ok);
}

static void test_memtype(void **state)
{
    struct fake *k = fake_new();
    struct mmu_regs r = regs_long();

    (void)state;
    r.pat = 0x0001050600070406ull; /* entry 4 WB, 5 WP, 6 WC, 7 UC */
    map_long(k, 0x5000 | PWU | PS | 8); /* PAT, PWT: entry 5 */
    assert_int_equal(try(k, &r, NULL, 0x401234, ACC_R).w.memtype, MEMTYPE_WP);
    put8(k, 0x3010, 0x600000 | PWU | PS | BIT(12) | 16); /* PAT, PCD: entry 6 */
    assert_int_equal(try(k, &r, NULL, 0x401234, ACC_R).w.memtype, MEMTYPE_WC);
    r.cr0 |= BIT(30);
    assert_int_equal(try(k, &r, NULL, 0x401234, ACC_R).w.memtype, MEMTYPE_UC);
    assert_int_equal(memtype_nested(MEMTYPE_WB, MEMTYPE_WT), MEMTYPE_WT);
    assert_int_equal(memtype_nested(MEMTYPE_WC, MEMTYPE_WB), MEMTYPE_WCP);
    assert_int_equal(memtype_mtrr(MEMTYPE_UCM, MEMTYPE_WC), MEMTYPE_WC);
    assert_int_equal(memtype_mtrr(MEMTYPE_WP, MEMTYPE_WT), MEMTYPE_CD);
    assert_int_equal(memtype_mtrr(MEMTYPE_WB, MEMTYPE_UC), MEMTYPE_UC);
}

/* Remembered ways change nothing: random tables whose entries change between walks, with and without, in two memories that must stay equal. */
enum { TABLES = 12, SPACES = 4 }; /* tables from 1000h on; roots among them */

static const u8 *fake_host(void *ctx, u64 pa)
{
    struct fake *k = ctx;
    return pa < 0x1000 + TABLES * 0x1000 ? k->mem + pa : NULL; /* what lies above is no plain memory */
}

static u64 rnd(u64 *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    return *seed ^= *seed << 17;
}

/* Mostly a good entry that names some table, seldom anything else. */
static u64 random_entry(u64 *seed)
{
    u64 r = rnd(seed), e = ALL | (0x1000 + (r % (TABLES + 1)) * 0x1000);
    switch (r >> 8 & 31) {
    case 0: return e & ~(u64)P;
    case 1: return e & ~(u64)A;
    case 2: return e & ~(u64)W;
    case 3: return e & ~(u64)U;
    case 4: return e | NX;
    case 5: return e | PS;
    case 6: return e | G;
    case 7: return e | BIT(45);
    default: return e;
    }
}

static bool same_result(const struct tried *a, const struct tried *b)
{
    if (a->ok != b->ok || a->w.refs != b->w.refs)
        return false;
    return a->ok ? a->w.pa == b->w.pa && a->w.shift == b->w.shift && a->w.rights == b->w.rights && a->w.pk == b->w.pk &&
                       a->w.memtype == b->w.memtype
                 : a->f.kind == b->f.kind && a->f.err == b->f.err && a->f.addr == b->f.addr;
}

static void test_ways(void **state)
{
    static struct fake with, without;
    static struct walk_cache ways;
    struct mmu_regs r = regs_long();
    u64 seed = 0x5EED;
    unsigned found = 0, ok = 0;

    (void)state;
    struct walk_mem fast = { .ctx = &with, .read = fake_read, .cmpxchg = fake_cmpxchg, .ways = &ways, .host = fake_host };
    struct walk_mem slow = { .ctx = &without, .read = fake_read, .cmpxchg = fake_cmpxchg };
    for (u64 at = 0x1000; at < 0x1000 + TABLES * 0x1000; at += 8)
        put8(&with, at, random_entry(&seed));
    memcpy(&without, &with, sizeof(with));
    for (unsigned i = 0; i < 300000; i++) {
        struct tried a = { .f = { 0 } }, b = { .f = { 0 } };
        u64 x = rnd(&seed), lin = 0;
        if (!(x & 3)) { /* software or another processor writes an entry, often one of those that walks use */
            u64 at = 0x1000 + (x >> 8) % TABLES * 0x1000 + (x >> 16 & 1) * 8, e = random_entry(&seed);
            put8(&with, at, e);
            put8(&without, at, e);
        }
        r.cr3 = 0x1000 + (x >> 20) % SPACES * 0x1000;
        r.cr4 = CR4_BIT_PAE | (x >> 24 & 7 ? 0 : CR4_BIT_LA57);
        r.efer = BIT(10) | BIT(8) | (x >> 27 & 7 ? BIT(11) : 0);
        r.cpl = x >> 30 & 1 ? 3 : 0;
        r.nested = !(x >> 31 & 3);
        r.ncr3 = 0x1000 + (x >> 33) % SPACES * 0x1000;
        r.hcr0 = BIT(31) | 1;
        r.hcr4 = CR4_BIT_PAE;
        r.hefer = BIT(10) | BIT(8) | BIT(11);
        for (unsigned level = 0; level < 5; level++) /* two places in each table, so that ways meet and part */
            lin |= (x >> (40 + level) & 1) << (12 + 9 * level);
        lin = sext_bit(lin & (r.cr4 & CR4_BIT_LA57 ? ~0ull : BIT(48) - 1), 56);
        unsigned acc = x >> 48 & 1 ? ACC_W : x >> 49 & 1 ? ACC_X : ACC_R;
        found += walk_upper_find(&ways, (r.cr3 & ~0xFFFull) | (r.cr4 & CR4_BIT_LA57 ? 2 : 0) | 1, lin >> 21) != NULL;
        with.n = without.n = 0;
        a.ok = walk(&r, NULL, &fast, lin, acc, &a.w, &a.f);
        b.ok = walk(&r, NULL, &slow, lin, acc, &b.w, &b.f);
        ok += a.ok;
        assert_true(same_result(&a, &b));
        assert_memory_equal(with.mem, without.mem, 0x1000 + TABLES * 0x1000);
    }
    assert_true(found > 10000 && ok > 10000);
    print_message("%u walks of 300000 went to their ends, %u times the way was known\n", ok, found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_long_ad), cmocka_unit_test(test_long_faults), cmocka_unit_test(test_long_pku),
        cmocka_unit_test(test_long_reserved), cmocka_unit_test(test_32bit), cmocka_unit_test(test_pae),
        cmocka_unit_test(test_nested_order), cmocka_unit_test(test_nested_faults), cmocka_unit_test(test_nested_modes),
        cmocka_unit_test(test_memtype), cmocka_unit_test(test_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
