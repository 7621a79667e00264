// SPDX-License-Identifier: MIT
/* Page-table walks in every format. [APM2 5.2-5.6] [APM2 15.25] */
#include "mmu/walk.h"

#include "base/bits.h"
#include "mmu/memtype.h"
#include "mmu/walk_upper.h"

/* One stage: guest tables, or nested tables in the format of the host's mode at VMRUN. */
struct stage {
    u64 root, cr0, cr4, efer, pat;
    const u64 *pdpte;     /* NULL: the four entries are read from memory */
    const struct mmu_regs *r;
    bool nested;          /* this stage translates guest-physical addresses */
    u64 reserved;         /* in every entry of 8 bytes but a legacy PDPTE: stage_reserved() */
};

/* A table entry's format at one level. */
struct level {
    u8 shift, index_bits, width;
    bool large;           /* bit 7 may make it a page */
    bool pdpt;            /* legacy PAE top: no rights, no A */
    u64 reserved;         /* in every entry */
    u64 reserved_large;   /* in one that maps a page, besides */
};

enum { E_P = 1, E_W = 2, E_U = 4, E_PWT = 8, E_PCD = 16, E_A = 32, E_D = 64, E_PS = 128, E_G = 256 };
#define E_NX BIT(63)
#define WALK_TRIES 8

static u64 above_maxphys(unsigned maxphys)
{
    return maxphys >= 52 ? 0 : bits(~0ull, 51, maxphys) << maxphys;
}

u64 walk_pdpte_reserved(unsigned maxphys)
{
    return bits(~0ull, 63, 52) << 52 | above_maxphys(maxphys) | 0x1E6;
}

static bool nx_on(const struct stage *s)
{
    return (s->efer & EFER_BIT_NXE) && (s->cr4 & CR4_BIT_PAE);
}

static u64 stage_reserved(const struct stage *s)
{
    return above_maxphys(s->r->maxphys) | (nx_on(s) ? 0 : E_NX);
}

static unsigned top_level(const struct stage *s)
{
    if (s->efer & EFER_BIT_LMA)
        return s->cr4 & CR4_BIT_LA57 ? 5 : 4;
    return s->cr4 & CR4_BIT_PAE ? 3 : 2;
}

/* Levels 1 and 2 of legacy PAE are those of long mode but for the bits above the address. [APM2 5.2.3] [APM2 5.3] */
static inline struct level long_format(const struct stage *s, unsigned n)
{
    struct level l = { .width = 8, .index_bits = 9, .shift = (u8)(12 + 9 * (n - 1)), .reserved = s->reserved };

    if (n == 2) {
        l.large = true;
        l.reserved_large = 0x1FE000;
    } else if (n == 3) {
        l.large = s->r->has_1g;
        l.reserved_large = 0x3FFFE000;
        if (!l.large)
            l.reserved |= E_PS;
    } else if (n > 3) {
        l.reserved |= E_PS;
    }
    return l;
}

/* 32-bit and legacy PAE. [APM2 5.2] [APM2 5.2.3] */
static struct level legacy_format(const struct stage *s, unsigned n)
{
    struct level l = { .width = 8, .index_bits = 9, .shift = (u8)(12 + 9 * (n - 1)) };
    unsigned maxphys = s->r->maxphys;

    if (!(s->cr4 & CR4_BIT_PAE)) {
        l.width = 4;
        l.index_bits = 10;
        l.shift = n == 2 ? 22 : 12;
        l.large = n == 2 && (s->cr4 & CR4_BIT_PSE);
        /* PSE-36: bits 20:13 are address bits 39:32, those that the processor lacks and bit 21 are reserved. */
        l.reserved_large = BIT(21) | (maxphys < 40 ? (above_maxphys(maxphys) & 0xFF00000000ull) >> 19 : 0);
        return l;
    }
    if (n == 3) {
        l.pdpt = true;
        l.index_bits = 2;
        l.reserved = walk_pdpte_reserved(maxphys);
        return l;
    }
    l = long_format(s, n);
    l.reserved |= bits(~0ull, 62, 52) << 52;
    return l;
}

static bool fail(const struct stage *s, struct mmu_fault *f, u64 addr, unsigned acc, u64 err)
{
    bool user = s->nested ? !s->r->gmet || s->r->cpl == 3 : s->r->cpl == 3 && !(acc & ACC_SYS);

    if (acc_write(acc))
        err |= PFE_W;
    if (user)
        err |= PFE_U;
    if (acc_fetch(acc) && (nx_on(s) || (s->cr4 & CR4_BIT_SMEP)))
        err |= PFE_ID;
    f->kind = s->nested ? MMU_NPF : MMU_PF;
    f->err = err;
    f->addr = addr;
    return false;
}

/* The guest level. [APM2 5.6] */
static u32 deny_guest(const struct mmu_regs *r, unsigned acc, unsigned rights, unsigned pk)
{
    bool user = r->cpl == 3 && !(acc & ACC_SYS), write = acc_write(acc), deny = false;

    if (user && !(rights & TR_U))
        deny = true;
    if (acc_fetch(acc)) {
        if ((rights & TR_NX) && (r->efer & EFER_BIT_NXE))
            deny = true;
        if (!user && (rights & TR_U) && (r->cr4 & CR4_BIT_SMEP))
            deny = true;
        return deny ? PFE_P : 0;
    }
    if (write && !(rights & TR_W) && (user || (r->cr0 & CR0_BIT_WP)))
        deny = true;
    if (!user && (rights & TR_U) && (r->cr4 & CR4_BIT_SMAP) && ((acc & ACC_SYS) || !r->ac))
        deny = true;
    if ((rights & TR_U) && (r->cr4 & CR4_BIT_PKE) && (r->efer & EFER_BIT_LMA)) {
        u32 key = r->pkru >> (2 * pk) & 3;
        if ((key & 1) || ((key & 2) && write && (user || (r->cr0 & CR0_BIT_WP))))
            return PFE_P | PFE_PK;
    }
    return deny ? PFE_P : 0;
}

/* Nested tables: every access is a user one and CR0.WP does not exist. GMET turns U/S into a rule for fetches.
 * [APM2 15.25.5] */
static bool deny_nested(const struct mmu_regs *r, unsigned acc, unsigned rights)
{
    if (acc_fetch(acc)) {
        if (rights & TR_NNX)
            return true;
        if (r->gmet)
            return (rights & TR_NU) && (r->cpl != 3 || (acc & ACC_SYS));
    }
    if (acc_write(acc) && !(rights & TR_NW))
        return true;
    return !r->gmet && !(rights & TR_NU);
}

u32 walk_deny(const struct mmu_regs *r, unsigned acc, unsigned rights, unsigned pk)
{
    if (r->cr0 & CR0_BIT_PG) {
        u32 e = deny_guest(r, acc, rights, pk);
        if (e)
            return e;
    }
    return r->nested && deny_nested(r, acc, rights) ? WALK_DENY_NESTED : 0;
}

static u32 stage_deny(const struct stage *s, unsigned acc, unsigned rights, unsigned pk)
{
    if (!s->nested)
        return deny_guest(s->r, acc, rights, pk);
    unsigned n = (rights & TR_W ? TR_NW : 0u) | (rights & TR_U ? TR_NU : 0u) | (rights & TR_NX ? TR_NNX : 0u);
    return deny_nested(s->r, acc, n) ? PFE_P : 0;
}

static void finish_page(const struct stage *s, const struct level *l, u64 addr, u64 e, bool large,
                        struct walk_result *o)
{
    u64 base = l->width == 4 ? e & 0xFFFFF000 : e & 0x000FFFFFFFFFF000ull;
    unsigned pat_bit = large ? e >> 12 & 1 : e >> 7 & 1;

    if (large && l->width == 4)
        base = (e & 0xFFC00000) | bits(e, 20, 13) << 32;
    base &= ~(BIT(l->shift) - 1);
    o->pa = base | (addr & (BIT(l->shift) - 1));
    o->shift = o->guest_shift = l->shift;
    if ((e & E_G) && (s->cr4 & CR4_BIT_PGE))
        o->rights |= TR_G;
    o->pk = s->efer & EFER_BIT_LMA ? bits(e, 62, 59) : 0;
    o->memtype = pat_type(s->pat, (e & E_PWT ? 1 : 0) | (e & E_PCD ? 2 : 0) | pat_bit << 2);
}

enum step { STEP_DOWN, STEP_DONE, STEP_FAIL, STEP_AGAIN };

static enum step update(const struct walk_mem *mem, const struct level *l, u64 pa, u64 old, u64 new_value,
                        struct walk_result *o, struct mmu_fault *f)
{
    bool done = false;

    if (old == new_value)
        return STEP_DONE;
    o->refs++;
    if (!mem->cmpxchg(mem->ctx, pa, l->width, old, new_value, &done, f))
        return STEP_FAIL;
    return done ? STEP_DONE : STEP_AGAIN;
}

/* Rights are those of all entries together. */
static inline unsigned withheld(u64 e)
{
    return (e & E_W ? 0u : TR_W) | (e & E_U ? 0u : TR_U);
}
static inline void narrow_rights(struct walk_result *o, u64 e)
{
    o->rights &= (u8)~withheld(e);
}

/* An entry: present, reserved bits, rights, A and D, in this order. pa: its place; *table: its table, then the next one. */
static inline __attribute__((always_inline)) enum step take_entry(const struct stage *s, const struct walk_mem *mem, const struct level *l,
                                                                  u64 e, u64 pa, u64 addr, unsigned acc, unsigned n, u64 *table,
                                                                  struct walk_result *o, struct mmu_fault *f)
{
    enum step st;

    if (!(e & E_P)) {
        fail(s, f, addr, acc, 0);
        return STEP_FAIL;
    }
    bool large = l->large && (e & E_PS), leaf = large || n == 1;
    u64 reserved = l->reserved | (large ? l->reserved_large : 0);
    /* AMD reserves bit 8 (G of a page) in table entries of the upper levels. [APM2 5.3.3] */
    if (!leaf && n >= 3 && !l->pdpt)
        reserved |= E_G;
    if (e & reserved) {
        fail(s, f, addr, acc, PFE_P | PFE_RSV);
        return STEP_FAIL;
    }
    if (l->pdpt) {
        *table = e & 0x000FFFFFFFFFF000ull;
        return STEP_DOWN;
    }
    narrow_rights(o, e);
    if (l->width == 8 && (e & E_NX))
        o->rights |= TR_NX;
    if (!leaf) {
        *table = l->width == 4 ? e & 0xFFFFF000 : e & 0x000FFFFFFFFFF000ull;
        st = acc & WALK_PEEK ? STEP_DONE : update(mem, l, pa, e, e | E_A, o, f);
        return st == STEP_DONE ? STEP_DOWN : st;
    }
    finish_page(s, l, addr, e, large, o);
    if (acc & WALK_PEEK)
        return STEP_DONE;
    u32 deny = stage_deny(s, acc, o->rights, o->pk);
    if (deny) {
        fail(s, f, addr, acc, deny);
        return STEP_FAIL;
    }
    u64 ad = e | E_A | (acc_write(acc) ? E_D : 0u);
    if (ad & E_D)
        o->rights |= TR_D;
    bool log = UNLIKELY(s->nested && s->r->pml) && (ad & ~e & E_D);
    if (log && !mem->dirty(mem->ctx, addr, false, f))
        return STEP_FAIL;
    st = update(mem, l, pa, e, ad, o, f);
    if (log && st == STEP_DONE)
        mem->dirty(mem->ctx, addr, true, f);
    return st;
}

/* One level of the legacy formats. */
static enum step legacy_level(const struct stage *s, const struct walk_mem *mem, u64 addr, unsigned acc, unsigned n, u64 *table,
                              struct walk_result *o, struct mmu_fault *f)
{
    struct level l = legacy_format(s, n);
    u64 index = addr >> l.shift & (BIT(l.index_bits) - 1), pa = *table + index * l.width, e;

    if (l.pdpt && s->pdpte) {
        e = s->pdpte[index];
    } else {
        o->refs++;
        if (!mem->read(mem->ctx, pa, l.width, &e, f))
            return STEP_FAIL;
    }
    return take_entry(s, mem, &l, e, pa, addr, acc, n, table, o, f);
}

static u64 long_place(u64 table, u64 addr, unsigned n)
{
    return table + (addr >> (12 + 9 * (n - 1)) & 511) * 8;
}

/* Most upper entries name a table, were used before and restrict nothing that needs a look. */
static bool plain_upper(const struct stage *s, u64 e)
{
    return (e & (E_P | E_A | E_PS | E_G | E_NX | s->reserved)) == (E_P | E_A);
}

/* One level of the long-mode format, its entry read. */
static inline enum step long_level(const struct stage *s, const struct walk_mem *mem, u64 e, u64 addr, unsigned acc, unsigned n, u64 *table,
                                   struct walk_result *o, struct mmu_fault *f)
{
    u64 pa = long_place(*table, addr, n);

    o->refs++;
    if (n > 1 && plain_upper(s, e)) {
        narrow_rights(o, e);
        *table = e & 0x000FFFFFFFFFF000ull;
        return STEP_DOWN;
    }
    struct level l = long_format(s, n);
    return take_entry(s, mem, &l, e, pa, addr, acc, n, table, o, f);
}

/* What decides about plain upper entries besides the address: where they begin and how many there are. */
static u64 way_key(const struct stage *s, unsigned top)
{
    return (s->root & 0x000FFFFFFFFFF000ull) | (top == 5 ? 2 : 0) | 1;
}

/* Remembers the way that a walk has taken from the root to the table of the last level, if all of it is plain and in plain memory. */
static NOINLINE void keep_way(const struct stage *s, const struct walk_mem *mem, u64 addr, unsigned top)
{
    u64 key = way_key(s, top), table = s->root & 0x000FFFFFFFFFF000ull;
    struct walk_upper *slot = walk_upper_slot(mem->ways, key, addr >> 21), u = { .key = key, .region = addr >> 21 };

    for (unsigned n = top; n > 1; n--, u.levels++) {
        u64 pa = long_place(table, addr, n), e;
        u.at[u.levels] = mem->host(mem->ctx, pa);
        if (!u.at[u.levels])
            return;
        u.value[u.levels] = e = load_le(u.at[u.levels], 8);
        if (!plain_upper(s, e))
            return;
        u.narrowed |= (u8)withheld(e);
        table = e & 0x000FFFFFFFFFF000ull;
    }
    u.table = table;
    u.last = mem->host(mem->ctx, table);
    if (!u.last)
        return;
    *slot = u;
    mem->ways->used = true;
}

/* One try at the tables of long mode. */
static inline enum step long_walk(const struct stage *s, const struct walk_mem *mem, u64 addr, unsigned acc, unsigned top,
                                  struct walk_result *o, struct mmu_fault *f)
{
    u64 table = s->root & 0x000FFFFFFFFFF000ull, e;
    const struct walk_upper *way = mem->ways ? walk_upper_find(mem->ways, way_key(s, top), addr >> 21) : NULL;
    enum step st = STEP_DOWN;
    unsigned n;

    if (way) {
        o->rights &= (u8)~way->narrowed;
        o->refs += way->levels;
        table = way->table;
        return long_level(s, mem, load_le(way->last + long_place(0, addr, 1), 8), addr, acc, 1, &table, o, f);
    }
    for (n = top; st == STEP_DOWN; n--) {
        if (!mem->read(mem->ctx, long_place(table, addr, n), 8, &e, f)) {
            o->refs++;
            return STEP_FAIL;
        }
        st = long_level(s, mem, e, addr, acc, n, &table, o, f);
    }
    if (!n && st == STEP_DONE && mem->ways)
        keep_way(s, mem, addr, top);
    return st;
}

/* The same in the legacy formats. */
static enum step legacy_walk(const struct stage *s, const struct walk_mem *mem, u64 addr, unsigned acc, unsigned top,
                             struct walk_result *o, struct mmu_fault *f)
{
    u64 table = top == 2 ? s->root & 0xFFFFF000 : s->root & 0xFFFFFFE0;
    enum step st = STEP_DOWN;

    for (unsigned n = top; st == STEP_DOWN; n--)
        st = legacy_level(s, mem, addr, acc, n, &table, o, f);
    return st;
}

static bool walk_stage(const struct stage *s, const struct walk_mem *mem, u64 addr, unsigned acc,
                       struct walk_result *o, struct mmu_fault *f)
{
    unsigned top = top_level(s);
    u32 refs = 0;

    /* A nested table reaches only so far; what lies beyond is not mapped. */
    if (s->nested && addr >> (top == 2 || top == 3 ? 32 : 12 + 9 * top)) {
        o->refs = 0;
        return fail(s, f, addr, acc, 0);
    }
    for (unsigned tries = 0; tries < WALK_TRIES; tries++) {
        *o = (struct walk_result){ .rights = TR_W | TR_U, .refs = refs };
        enum step st = top > 3 ? long_walk(s, mem, addr, acc, top, o, f) : legacy_walk(s, mem, addr, acc, top, o, f);
        if (st == STEP_DONE)
            return true;
        if (st == STEP_FAIL)
            return false;
        refs = o->refs;
    }
    /* Another writer changed the entry each time: report it as not present, the access is simply made again. */
    return fail(s, f, addr, acc, 0);
}

/* ---- nested: the guest's physical memory is itself translated ---- */

struct nested_mem {
    const struct mmu_regs *r;
    const struct walk_mem *mem;
    u32 refs;
    bool peek;
};

bool walk_gpa(const struct mmu_regs *r, const struct walk_mem *mem, u64 gpa, unsigned acc, struct walk_result *o,
              struct mmu_fault *f)
{
    struct stage s = {
        .root = r->ncr3, .cr0 = r->hcr0, .cr4 = r->hcr4, .efer = r->hefer, .pat = r->hpat, .r = r, .nested = true,
    };

    s.reserved = stage_reserved(&s);

    if (!(r->hcr0 & CR0_BIT_PG)) { /* VMRUN refuses this; an embedder's odd registers must still be harmless */
        *o = (struct walk_result){ .pa = gpa, .shift = 12, .guest_shift = 12, .rights = TR_W | TR_U | TR_D,
                                   .memtype = MEMTYPE_WB };
        return true;
    }
    if (walk_stage(&s, mem, gpa, acc, o, f))
        return true;
    f->err |= NPF_FINAL;
    return false;
}

/* The place of a guest table entry: a user data write, or what the access is under ROGPT. [APM2 15.25.5] */
static bool table_place(struct nested_mem *n, u64 gpa, bool write, u64 *pa, struct mmu_fault *f)
{
    struct walk_result o;
    unsigned acc = (write || !n->r->rogpt ? ACC_W : ACC_R) | (n->peek ? WALK_PEEK : 0u);
    bool ok = walk_gpa(n->r, n->mem, gpa, acc, &o, f);

    n->refs += o.refs;
    if (!ok)
        f->err = (f->err & ~NPF_FINAL) | NPF_TABLE | PFE_U; /* user also under GMET */
    else
        *pa = o.pa;
    return ok;
}

static bool nested_read(void *ctx, u64 gpa, unsigned width, u64 *v, struct mmu_fault *f)
{
    struct nested_mem *n = ctx;
    u64 pa;

    return table_place(n, gpa, false, &pa, f) && n->mem->read(n->mem->ctx, pa, width, v, f);
}

static bool nested_cmpxchg(void *ctx, u64 gpa, unsigned width, u64 old, u64 new_value, bool *done, struct mmu_fault *f)
{
    struct nested_mem *n = ctx;
    u64 pa;

    return table_place(n, gpa, true, &pa, f) && n->mem->cmpxchg(n->mem->ctx, pa, width, old, new_value, done, f);
}

/* The page around guest-physical `gpa` contains APIC_BAR. The nested tables have decided about rights; the address they name is not used. */
static COLD void to_virtual_apic(const struct mmu_regs *r, u64 gpa, struct walk_result *o)
{
    o->shift = PAGE_SHIFT;
    if ((gpa ^ r->avic_bar) >> PAGE_SHIFT == 0)
        o->pa = MMU_SPA_AVIC | r->avic_page | (gpa & PAGE_MASK);
}

static bool walk_nested(const struct mmu_regs *r, const struct stage *guest, const struct walk_mem *mem, u64 lin,
                        unsigned acc, struct walk_result *o, struct mmu_fault *f)
{
    struct nested_mem n = { .r = r, .mem = mem, .peek = acc & WALK_PEEK };
    struct walk_mem through = { .ctx = &n, .read = nested_read, .cmpxchg = nested_cmpxchg };
    struct walk_result g = { .pa = lin, .shift = 63, .rights = TR_W | TR_U | TR_D, .memtype = MEMTYPE_WB }, h;

    if ((r->cr0 & CR0_BIT_PG) && !walk_stage(guest, &through, lin, acc, &g, f)) {
        o->refs = g.refs + n.refs;
        return false;
    }
    bool ok = walk_gpa(r, mem, g.pa, acc, &h, f);
    o->refs = g.refs + n.refs + h.refs;
    if (!ok)
        return false;
    o->pa = h.pa;
    o->shift = g.shift < h.shift ? g.shift : h.shift;
    o->guest_shift = r->cr0 & CR0_BIT_PG ? g.shift : o->shift;
    o->rights = (u8)((g.rights & h.rights & TR_D) | (g.rights & (TR_W | TR_U | TR_NX | TR_G)));
    o->rights |= (u8)((h.rights & TR_W ? TR_NW : 0) | (h.rights & TR_U ? TR_NU : 0) | (h.rights & TR_NX ? TR_NNX : 0));
    o->pk = g.pk;
    if (UNLIKELY(r->avic) && ((g.pa ^ r->avic_bar) >> o->shift) == 0)
        to_virtual_apic(r, g.pa, o);
    bool cd = (r->cr0 | r->hcr0) & CR0_BIT_CD;
    o->memtype = cd ? MEMTYPE_UC : memtype_nested(g.memtype, h.memtype);
    return true;
}

bool walk(const struct mmu_regs *r, const u64 *pdpte, const struct walk_mem *mem, u64 lin, unsigned acc,
          struct walk_result *o, struct mmu_fault *f)
{
    struct stage guest = {
        .root = r->cr3, .cr0 = r->cr0, .cr4 = r->cr4, .efer = r->efer, .pat = r->pat, .r = r,
        /* Under nested paging the guest's four entries are fetched on every walk. [APM2 15.25.10] */
        .pdpte = r->nested ? NULL : pdpte,
    };

    guest.reserved = stage_reserved(&guest);
    *o = (struct walk_result){ 0 };
    if (r->nested)
        return walk_nested(r, &guest, mem, lin, acc, o, f);
    if (!(r->cr0 & CR0_BIT_PG)) {
        *o = (struct walk_result){ .pa = lin, .shift = 12, .guest_shift = 12, .memtype = r->cr0 & CR0_BIT_CD ? MEMTYPE_UC : MEMTYPE_WB,
                                   .rights = TR_W | TR_U | TR_D | TR_NW | TR_NU };
        return true;
    }
    if (!walk_stage(&guest, mem, lin, acc, o, f))
        return false;
    o->rights |= TR_NW | TR_NU;
    if (r->cr0 & CR0_BIT_CD)
        o->memtype = MEMTYPE_UC;
    return true;
}
