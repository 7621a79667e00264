// SPDX-License-Identifier: MIT
/* The architectural TLB as a guest sees it (stale entries, flushes), and the fast tables: same results without. */
#include "base/bits.h"
#include "mmu/walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct rig {
    struct bus *bus;
    struct phys_view view;
    struct mmu m;
    u8 *ram;
};

enum { P = 1, W = 2, U = 4, A = 32, D = 64, PS = 128, G = 256, RAM = 0x800000 };
#define PWU (P | W | U)

static void rig_init(struct rig *r, unsigned entries)
{
    struct phys_page p;

    r->bus = bus_create(40);
    r->view = (struct phys_view){ .bus = r->bus, .apic_page = ~0ull, .a20_mask = ~0ull };
    assert_true(bus_add_ram(r->bus, 0, RAM, "ram"));
    assert_true(phys_lookup(&r->view, (struct spa){ 0 }, &p));
    r->ram = p.host;
    assert_true(mmu_init(&r->m, &r->view, entries));
    r->m.r.maxphys = 40;
    r->m.r.has_1g = true;
}

static void rig_free(struct rig *r)
{
    mmu_free(&r->m);
    bus_destroy(r->bus);
}

static void put(struct rig *r, u64 pa, u64 v) { store_le(r->ram + pa, 8, v); }

/* Long mode; PML4 at 1000h; linear 0..2 MiB by the page table at 4000h, 2..4 MiB one large page. */
static void paging_on(struct rig *r)
{
    put(r, 0x1000, 0x2000 | PWU);
    put(r, 0x2000, 0x3000 | PWU);
    put(r, 0x3000, 0x4000 | PWU);
    put(r, 0x3008, 0x200000 | PWU | PS);
    for (u64 i = 0; i < 512; i++)
        put(r, 0x4000 + 8 * i, (i + 0x100) << 12 | PWU);
    r->m.r.cr0 = BIT(31) | BIT(16) | 1;
    r->m.r.cr3 = 0x1000;
    r->m.r.cr4 = CR4_BIT_PAE | CR4_BIT_PGE;
    r->m.r.efer = BIT(10) | BIT(8) | BIT(11);
    mmu_context(&r->m);
}

/* One access as exec makes it: the fast slot, else the slow path. ~0: page fault, with the error code in *err. */
static u64 access_at(struct rig *r, u64 lin, unsigned acc, u64 *err)
{
    const struct xlat *x = mmu_fast_slot(&r->m, lin);
    struct mmu_xl xl;
    struct mmu_fault f;

    *err = 0;
    if (!acc_fetch(acc) && !(acc & ACC_SYS) && (acc_write(acc) ? x->wtag : x->rtag) == (lin & ~0xFFFull)) {
        u8 *host = (u8 *)(uintptr_t)(lin + x->addend);
        assert_true(host >= r->ram && host < r->ram + RAM);
        assert_ptr_equal(bus_bpn_host(r->bus, x->bpn), host - (lin & 0xFFF));
        if (acc_write(acc))
            assert_int_equal(page_flags_get(r->bus, x->bpn), 0);
        return (u64)(host - r->ram);
    }
    if (!mmu_translate(&r->m, (struct gva){ lin }, acc, &xl, &f)) {
        *err = f.err | (u64)f.kind << 48;
        return ~0ull;
    }
    return xl.spa.v;
}

static u64 at(struct rig *r, u64 lin, unsigned acc)
{
    u64 err;
    return access_at(r, lin, acc, &err);
}

static void test_stale_page(void **state)
{
    struct rig r;

    (void)state;
    rig_init(&r, 0);
    assert_int_equal(at(&r, 0x5123, ACC_W), 0x5123); /* no paging: identity */
    assert_int_equal(r.m.walk_count, 0);
    paging_on(&r);
    assert_int_equal(at(&r, 0x5123, ACC_R), 0x105123);
    put(&r, 0x4028, 0x180000 | PWU);
    assert_int_equal(at(&r, 0x5123, ACC_R), 0x105123); /* stale */
    r.m.r.cr3 = 0x7000;                                /* a register change alone flushes nothing */
    mmu_context(&r.m);
    assert_int_equal(at(&r, 0x5123, ACC_R), 0x105123);
    assert_true(at(&r, 0x6123, ACC_R) == ~0ull);
    r.m.r.cr3 = 0x1000;
    mmu_context(&r.m);
    mmu_flush_page(&r.m, 0, (struct gva){ 0x6000 });
    assert_int_equal(at(&r, 0x5123, ACC_R), 0x105123);
    u64 gen = r.m.fetch_gen;
    at(&r, 0x5123, ACC_X);
    mmu_flush_page(&r.m, 0, (struct gva){ 0x5FFF });
    assert_true(r.m.fetch_gen != gen);
    assert_int_equal(at(&r, 0x5123, ACC_R), 0x180123);
    /* A write through an entry whose D is not known walks again, and so sees the new table. */
    put(&r, 0x4028, 0x190000 | PWU);
    assert_int_equal(at(&r, 0x5123, ACC_R), 0x180123);
    assert_int_equal(at(&r, 0x5123, ACC_W), 0x190123);
    assert_int_equal(at(&r, 0x5123, ACC_R), 0x190123);
    assert_true(load_le(r.ram + 0x4028, 8) == (0x190000 | PWU | A | D));
    /* An entry that denies is walked again: an upgrade needs no flush. */
    put(&r, 0x4030, 0x106000 | P | W);
    r.m.r.cpl = 3;
    mmu_context(&r.m);
    assert_true(at(&r, 0x6000, ACC_R) == ~0ull);
    put(&r, 0x4030, 0x106000 | PWU);
    assert_int_equal(at(&r, 0x6000, ACC_R), 0x106000);
    /* And a denied access drops it: what is not present now is not readable any more. */
    put(&r, 0x4030, 0x106000 | P | U);
    mmu_flush_page(&r.m, 0, (struct gva){ 0x6000 });
    assert_int_equal(at(&r, 0x6000, ACC_R), 0x106000);
    put(&r, 0x4030, 0);
    assert_int_equal(at(&r, 0x6000, ACC_R), 0x106000);
    assert_true(at(&r, 0x6000, ACC_W) == ~0ull);
    assert_true(at(&r, 0x6000, ACC_R) == ~0ull);
    rig_free(&r);
}

static void test_large(void **state)
{
    struct rig r;

    (void)state;
    rig_init(&r, 0);
    paging_on(&r);
    assert_int_equal(at(&r, 0x200123, ACC_R), 0x200123);
    assert_int_equal(at(&r, 0x3FF123, ACC_R), 0x3FF123);
    assert_int_equal(r.m.walk_count, 1);
    put(&r, 0x3008, 0x400000 | PWU | PS);
    assert_int_equal(at(&r, 0x3FF123, ACC_R), 0x3FF123);
    mmu_flush_page(&r.m, 0, (struct gva){ 0x234567 });
    assert_int_equal(at(&r, 0x3FF123, ACC_R), 0x5FF123);
    /* 4 MiB pages of 32-bit paging: any address drops both halves. */
    r.m.r.efer = 0;
    r.m.r.cr4 = CR4_BIT_PSE;
    r.m.r.cr3 = 0x6000;
    mmu_flush_all(&r.m);
    store_le(r.ram + 0x6000, 4, 0x000000 | PWU | PS);
    assert_int_equal(at(&r, 0x1123, ACC_R), 0x1123);
    assert_int_equal(at(&r, 0x201123, ACC_R), 0x201123);
    store_le(r.ram + 0x6000, 4, 0x400000 | PWU | PS);
    assert_int_equal(at(&r, 0x201123, ACC_R), 0x201123);
    mmu_flush_page(&r.m, 0, (struct gva){ 0x1000 });
    assert_int_equal(at(&r, 0x201123, ACC_R), 0x601123);
    assert_int_equal(at(&r, 0x1123, ACC_R), 0x401123);
    rig_free(&r);
}

static void test_group_flushes(void **state)
{
    struct rig r;
    u64 asids[] = { 0, 5 };

    (void)state;
    rig_init(&r, 0);
    paging_on(&r);
    put(&r, 0x4000 + 8 * 7, 0x107000 | PWU | G);
    for (unsigned flush = 0; flush < 3; flush++) {
        put(&r, 0x4028, 0x105000 | PWU);
        put(&r, 0x4038, 0x107000 | PWU | G);
        mmu_flush_all(&r.m);
        for (unsigned i = 0; i < 2; i++) {
            r.m.r.asid = (u32)asids[i];
            mmu_context(&r.m);
            assert_int_equal(at(&r, 0x5000, ACC_R), 0x105000);
            assert_int_equal(at(&r, 0x7000, ACC_R), 0x107000);
        }
        put(&r, 0x4028, 0x185000 | PWU);
        put(&r, 0x4038, 0x187000 | PWU | G);
        if (flush == 0)
            mmu_flush_asid_nonglobal(&r.m, 5);
        else if (flush == 1)
            mmu_flush_asid(&r.m, 5);
        else
            mmu_flush_page(&r.m, 5, (struct gva){ 0x7000 });
        mmu_flush_asid(&r.m, 0x12345678); /* cannot exist: nothing happens */
        assert_int_equal(at(&r, 0x5000, ACC_R), flush == 2 ? 0x105000 : 0x185000);
        assert_int_equal(at(&r, 0x7000, ACC_R), flush == 0 ? 0x107000 : 0x187000);
        r.m.r.asid = 0;
        mmu_context(&r.m);
        assert_int_equal(at(&r, 0x5000, ACC_R), 0x105000);
        assert_int_equal(at(&r, 0x7000, ACC_R), 0x107000);
    }
    rig_free(&r);
}

static void set_pcid(struct rig *r, u64 pcid)
{
    r->m.r.cr3 = 0x1000 | pcid;
    mmu_context(&r->m);
}

static void test_pcid(void **state)
{
    struct rig r;

    (void)state;
    rig_init(&r, 0);
    paging_on(&r);
    r.m.r.cr4 |= CR4_BIT_PCIDE;
    put(&r, 0x4038, 0x107000 | PWU | G);
    set_pcid(&r, 1);
    assert_int_equal(at(&r, 0x5000, ACC_R), 0x105000);
    assert_int_equal(at(&r, 0x7000, ACC_R), 0x107000);
    u64 ctx = r.m.fetch_gen;
    put(&r, 0x4028, 0x185000 | PWU);
    put(&r, 0x4038, 0x187000 | PWU | G);
    set_pcid(&r, 2);
    assert_int_equal(at(&r, 0x5000, ACC_R), 0x185000);
    assert_int_equal(at(&r, 0x7000, ACC_R), 0x107000); /* global: shared */
    set_pcid(&r, 1);
    assert_true(r.m.fetch_gen == ctx); /* nothing happened: links hold */
    assert_int_equal(at(&r, 0x5000, ACC_R), 0x105000);
    mmu_flush_pcid(&r.m, 0, 2);
    assert_int_equal(at(&r, 0x5000, ACC_R), 0x105000);
    mmu_flush_page_pcid(&r.m, 0, 1, (struct gva){ 0x7000 });
    assert_int_equal(at(&r, 0x7000, ACC_R), 0x107000);
    mmu_flush_page_pcid(&r.m, 0, 1, (struct gva){ 0x5000 });
    assert_int_equal(at(&r, 0x5000, ACC_R), 0x185000);
    put(&r, 0x4028, 0x105000 | PWU);
    mmu_flush_pcid(&r.m, 0, 1);
    assert_int_equal(at(&r, 0x5000, ACC_R), 0x105000);
    rig_free(&r);
}

static void on_flag(void *ctx, u32 bpn) { mmu_purge_writable(ctx, bpn); }
static void on_map(void *ctx) { mmu_purge_derived(ctx); }

static void test_flagged_pages(void **state)
{
    struct rig r;
    struct bus_hooks h = { .page_flagged = on_flag, .map_changed = on_map };

    (void)state;
    rig_init(&r, 0);
    h.ctx = &r.m;
    bus_set_hooks(r.bus, &h);
    paging_on(&r);
    at(&r, 0x5000, ACC_W);
    at(&r, 0x6000, ACC_R);
    assert_true(mmu_fast_slot(&r.m, 0x5000)->wtag == 0x5000);
    assert_true(mmu_fast_slot(&r.m, 0x6000)->rtag == 0x6000);
    assert_true(mmu_fast_slot(&r.m, 0x6000)->wtag == FAST_EMPTY); /* D not set */
    page_flags_set(r.bus, 0x105, PGF_CODE);
    assert_true(mmu_fast_slot(&r.m, 0x5000)->wtag == FAST_EMPTY);
    assert_true(mmu_fast_slot(&r.m, 0x5000)->rtag == 0x5000);
    at(&r, 0x5000, ACC_W);
    assert_true(mmu_fast_slot(&r.m, 0x5000)->wtag == FAST_EMPTY);
    u64 gen = r.m.fetch_gen;
    assert_true(bus_add_rom(r.bus, 0x105000, 0x1000, NULL, 0, "rom"));
    assert_true(r.m.fetch_gen != gen);
    assert_true(mmu_fast_slot(&r.m, 0x5000)->rtag == FAST_EMPTY);
    r.view.apic_page = 0x106000;
    mmu_context(&r.m);
    struct mmu_xl xl;
    struct mmu_fault f;
    assert_true(mmu_translate(&r.m, (struct gva){ 0x6010 }, ACC_R, &xl, &f));
    assert_null(xl.host);
    assert_true(mmu_fast_slot(&r.m, 0x6000)->rtag == FAST_EMPTY);
    struct spa s;
    assert_true(mmu_peek(&r.m, (struct gva){ 0x8123 }, &s) && s.v == 0x108123);
    assert_false(mmu_peek(&r.m, (struct gva){ BIT(40) }, &s));
    rig_free(&r);
}

static u64 rnd(u64 *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s * 0x2545F4914F6CDD1Dull >> 16;
}

/* The same random operation on one rig; all choices come from n. */
static u64 random_step(struct rig *r, u64 n, u64 *err)
{
    struct mmu_regs *g = &r->m.r;
    u64 a = n >> 8, lin = (a % 700) << 12 | (a >> 10 & 0xFFF);

    *err = 0;
    switch (n % 64) {
    case 0: mmu_flush_page(&r->m, a & 3, (struct gva){ a % 700 << 12 }); break;
    case 1: mmu_flush_page_pcid(&r->m, g->asid, a & 1, (struct gva){ a % 700 << 12 }); break;
    case 2: if ((a & 7) == 0) mmu_flush_asid_nonglobal(&r->m, a >> 3 & 3); break;
    case 3: if ((a & 7) == 0) mmu_flush_asid(&r->m, a >> 3 & 3); break;
    case 4: if ((a & 31) == 0) mmu_flush_all(&r->m); break;
    case 5: if ((a & 7) == 0) mmu_flush_pcid(&r->m, g->asid, a >> 3 & 1); break;
    case 6: g->cpl = a & 1 ? 3 : 0; break;
    case 7: g->asid = a & 3; break;
    case 8: g->cr3 = 0x1000 | (g->cr4 & CR4_BIT_PCIDE ? a & 1 : 0); break;
    case 9: g->cr0 ^= BIT(16); break;
    case 10: g->cr4 ^= a & 1 ? CR4_BIT_SMAP : CR4_BIT_SMEP; break;
    case 11: g->ac = a & 1; break;
    case 12: g->cr4 |= CR4_BIT_PKE; g->pkru = (u32)(a & 0xF); break;
    case 13: put(r, 0x3008, (a >> 20 & 3) % 3 << 21 | P | (a & 0x146) | PS); break;
    case 14: g->nested = !g->nested && g->asid; break;
    case 15: page_flags_set(r->bus, 0x100 + a % 64, PGF_CODE); break;
    case 16: page_flags_clear(r->bus, 0x100 + a % 64, PGF_CODE); break;
    case 17: g->cr0 = (a & 15) == 0 ? g->cr0 & ~BIT(31) : g->cr0 | BIT(31); break;
    case 18: case 19: case 20: case 21:
        put(r, 0x4000 + 8 * (a % 512), (0x100 + (a >> 12) % 64) << 12 | (a >> 20 & 0x166) | (a >> 32 & 7 ? P : 0) |
                (a >> 40 & 1) << 59 | (u64)((a >> 41 & 3) == 0) << 63);
        break;
    case 22: put(r, 0x9000 + 8 * (16 + a % 496), (a >> 10 & 511) << 12 | (a >> 20 & 0x7F) | P | U); break;
    default:
        if (n >> 50 & 7)
            return access_at(r, lin, (unsigned)(n >> 53 & 1), err);
        return access_at(r, lin, (n >> 53 & 1 ? ACC_SYS : 0u) | (n >> 54 & 1 ? ACC_X : ACC_R), err);
    }
    mmu_context(&r->m);
    return 0;
}

static void random_setup(struct rig *r, bool fast)
{
    rig_init(r, 64); /* few entries: evictions */
    paging_on(r);
    r->m.fast_off = !fast;
    /* nested tables at 6000h: 2 MiB by 4 KiB pages, the rest large */
    put(r, 0x6000, 0x7000 | PWU);
    put(r, 0x7000, 0x8000 | PWU);
    put(r, 0x8000, 0x9000 | PWU);
    for (u64 i = 1; i < 4; i++)
        put(r, 0x8000 + 8 * i, i << 21 | PWU | PS);
    for (u64 i = 0; i < 512; i++)
        put(r, 0x9000 + 8 * i, i << 12 | PWU);
    r->m.r.ncr3 = 0x6000;
    r->m.r.hcr0 = BIT(31) | 1;
    r->m.r.hcr4 = CR4_BIT_PAE;
    r->m.r.hefer = BIT(10) | BIT(11);
    r->m.r.cr4 |= CR4_BIT_PCIDE;
    mmu_context(&r->m);
}

static void test_fast_is_invisible(void **state)
{
    (void)state;
    for (u64 seed = 1; seed <= 8; seed++) {
        struct rig fast, slow;
        struct bus_hooks h = { .page_flagged = on_flag, .map_changed = on_map };
        u64 s = seed * 0x9E3779B97F4A7C15ull, hits = 0, faults = 0;
        random_setup(&fast, true);
        random_setup(&slow, false);
        h.ctx = &fast.m;
        bus_set_hooks(fast.bus, &h);
        for (unsigned i = 0; i < 60000; i++) {
            u64 n = rnd(&s) << 20 ^ rnd(&s), e1, e2, before = fast.m.stat_hits + fast.m.walk_count;
            u64 a1 = random_step(&fast, n, &e1), a2 = random_step(&slow, n, &e2);
            if (a1 != a2 || e1 != e2)
                fail_msg("seed %llu step %u: %llx/%llx against %llx/%llx", (unsigned long long)seed, i,
                         (unsigned long long)a1, (unsigned long long)e1, (unsigned long long)a2,
                         (unsigned long long)e2);
            hits += n % 64 > 22 && before == fast.m.stat_hits + fast.m.walk_count;
            faults += a1 == ~0ull;
        }
        assert_int_equal(fast.m.walk_count, slow.m.walk_count);
        assert_int_equal(fast.m.walk_refs, slow.m.walk_refs);
        assert_memory_equal(fast.ram, slow.ram, 0x10000);
        assert_true(hits > 1000 && faults > 1000);
        rig_free(&fast);
        rig_free(&slow);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stale_page), cmocka_unit_test(test_large), cmocka_unit_test(test_group_flushes),
        cmocka_unit_test(test_pcid), cmocka_unit_test(test_flagged_pages), cmocka_unit_test(test_fast_is_invisible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
