// SPDX-License-Identifier: MIT
/* Ties the walker, the architectural TLB and the fast tables together. */
#include "mmu/mmu.h"

#include "base/bits.h"
#include "mmu/fast.h"
#include "mmu/memtype.h"
#include "mmu/tlb.h"
#include "mmu/walk.h"
#include "mmu/walk_upper.h"

#include <stdlib.h>
#include <string.h>

bool mmu_init(struct mmu *m, struct phys_view *view, unsigned tlb_entries)
{
    memset(m, 0, sizeof(*m));
    m->view = view;
    m->r.maxphys = 40;
    m->tlb = tlb_create(tlb_entries);
    m->pool = fast_create();
    m->ways = calloc(1, sizeof(*m->ways));
    if (!m->tlb || !m->pool || !m->ways) {
        mmu_free(m);
        return false;
    }
    mmu_context(m);
    return true;
}

void mmu_free(struct mmu *m)
{
    tlb_destroy(m->tlb);
    fast_destroy(m->pool);
    free(m->ways);
    m->ways = NULL;
    m->tlb = NULL;
    m->pool = NULL;
    m->fast = NULL;
}

/* ---- contexts ---- */

static inline bool translated(const struct mmu *m)
{
    return (m->r.cr0 & CR0_BIT_PG) || m->r.nested;
}

static inline u16 current_pcid(const struct mmu_regs *r)
{
    return (r->cr4 & CR4_BIT_PCIDE) && (r->efer & EFER_BIT_LMA) ? r->cr3 & 0xFFF : 0;
}

/* The current table may have been emptied or exchanged: show it. */
static void show(struct mmu *m)
{
    const struct fast_table *t = m->pool->cur;

    m->fast = m->pool->cur->e;
    m->fetch_gen = t->gen;
    m->ctx_id = (u32)t->gen;
}

/* Bits of registers keep their order: what decides in each is cut out and moved to where the others leave room. */
static inline u64 key_rest(const struct mmu *m, u16 pcid)
{
    const struct mmu_regs *r = &m->r;
    u64 cr4 = r->cr4 & (CR4_BIT_PSE | CR4_BIT_PAE | CR4_BIT_LA57 | CR4_BIT_SMEP | CR4_BIT_PKE);
    u64 k = FAST_KEY_VALID | (r->asid & FAST_KEY_ASID) | (u64)pcid << 16;

    k |= (r->efer & (EFER_BIT_LMA | EFER_BIT_NXE)) << 20; /* bits 30, 31 */
    k |= cr4 << 32;                                      /* 36, 37, 44, 52, 54 */
    k |= (r->cr0 & (CR0_BIT_WP | CR0_BIT_PG)) << 24;     /* 40, 55 */
    k |= (u64)r->nested << 41 | (u64)(r->nested & r->gmet) << 42 | (u64)m->slow_all << 43 | (u64)m->fast_off << 45;
    return k;
}

/* The part of the key that a change of ring leaves alone stands in m->key_rest. */
static inline u64 key_ring(const struct mmu *m)
{
    bool user = m->r.cpl == 3;
    return (u64)user << 28 | (u64)(!user && (m->r.cr4 & CR4_BIT_SMAP) && !m->r.ac) << 29 | (u64)mmu_align_checked(m) << 46;
}

static inline __attribute__((always_inline)) void select_table(struct mmu *m)
{
    struct fast_key k;

    k.w[0] = m->key_rest | key_ring(m);
    k.w[1] = tlb_epoch(m->tlb);
    k.w[2] = m->r.cr4 & CR4_BIT_PKE ? m->r.pkru : 0;
    k.w[3] = m->view->apic_page ^ (m->view->a20_mask == ~0ull); /* bit 0 of the page's address is free */
    fast_select(m->pool, &k);
    show(m);
}

void mmu_ring(struct mmu *m)
{
    select_table(m);
}

void mmu_context(struct mmu *m)
{
    u16 pcid = current_pcid(&m->r);

    tlb_select(m->tlb, m->r.asid, pcid);
    m->key_rest = key_rest(m, pcid);
    select_table(m);
}

/* ---- physical memory for walks ---- */

static bool table_read(void *ctx, u64 pa, unsigned width, u64 *v, struct mmu_fault *f)
{
    const struct mmu *m = ctx;

    (void)f;
    *v = phys_read_le(m->view, (struct spa){ pa }, width);
    return true;
}

/* vCPUs take turns on one host thread: reading, comparing and writing is atomic. */
static bool table_cmpxchg(void *ctx, u64 pa, unsigned width, u64 old, u64 new_value, bool *done, struct mmu_fault *f)
{
    const struct mmu *m = ctx;

    (void)f;
    *done = phys_read_le(m->view, (struct spa){ pa }, width) == old;
    if (*done)
        phys_write_le(m->view, (struct spa){ pa }, width, new_value);
    return true;
}

static const u8 *table_host(void *ctx, u64 pa)
{
    const struct mmu *m = ctx;
    struct phys_page p;

    return phys_lookup(m->view, (struct spa){ pa }, &p) ? p.host + (pa & PAGE_MASK) : NULL;
}

/* The log is full when the index is none of its entries: then nothing is set or written. [APM2 15.25.15] */
static bool log_dirty(void *ctx, u64 gpa, bool done, struct mmu_fault *f)
{
    struct mmu *m = ctx;

    if (m->pml_index >= MMU_PML_ENTRIES) {
        *f = (struct mmu_fault){ .kind = MMU_PML, .addr = gpa };
        return false;
    }
    if (done)
        phys_write_le(m->view, (struct spa){ m->pml_base + 8u * m->pml_index-- }, 8, gpa & ~(u64)PAGE_MASK);
    return true;
}

/* With the A20 line masked, addresses are not where the remembered ways have them. */
static inline struct walk_mem memory_of_tables(struct mmu *m)
{
    struct walk_cache *ways = LIKELY(m->view->a20_mask == ~0ull) ? m->ways : NULL;

    return (struct walk_mem){ m, table_read, table_cmpxchg, log_dirty, ways, table_host };
}

/* A debugger must not disturb devices: tables outside memory read as not present. */
static bool table_peek(void *ctx, u64 pa, unsigned width, u64 *v, struct mmu_fault *f)
{
    const struct mmu *m = ctx;
    struct phys_page p;

    (void)f;
    *v = phys_lookup(m->view, (struct spa){ pa }, &p) ? load_le(p.host + (pa & PAGE_MASK), width) : 0;
    return true;
}

/* ---- translation ---- */

static void drop_copies(struct mmu *m, u32 asid, u64 lin, unsigned shift, unsigned used)
{
    if (!used)
        return;
    if (shift > PAGE_SHIFT) {
        fast_retire_asid(m->pool, asid);
    } else {
        if (used & TLB_COPIED)
            fast_clear_page(m->pool, asid, lin);
        if (used & TLB_FETCHED)
            fast_new_gen(m->pool, asid);
    }
    show(m);
}

/* Fills *out for the byte at spa; true when it lies in memory. */
static inline bool place(const struct mmu *m, u64 spa, u8 memtype, struct mmu_xl *out)
{
    struct phys_page p;

    out->spa.v = spa & m->view->a20_mask;
    bool memory = phys_lookup(m->view, out->spa, &p);
    out->host = memory ? p.host + (spa & PAGE_MASK) : NULL;
    out->bpn = p.bpn;
    out->page_flags = p.flags;
    out->memtype = memory ? memtype : memtype_mtrr(memtype, MEMTYPE_UC);
    return memory;
}

static inline bool may_copy(const struct mmu *m, unsigned acc)
{
    return !m->fast_off && !mmu_looks(m) && !acc_fetch(acc) && !((acc & ACC_SYS) && m->r.cpl == 3);
}

static bool finish(struct mmu *m, struct tlb_entry *e, unsigned shift, u64 lin, unsigned acc, struct mmu_xl *out)
{
    bool memory = place(m, e->spa | (lin & (BIT(shift) - 1)), e->memtype, out);

    if (acc_fetch(acc)) {
        e->used |= TLB_FETCHED;
    } else if (memory && may_copy(m, acc)) {
        bool writable = !out->page_flags && (e->rights & TR_D) &&
                        (acc_write(acc) || !walk_deny(&m->r, ACC_W, e->rights, e->pk));
        fast_fill(m->pool, lin, out->host, out->bpn, writable);
        e->used |= TLB_COPIED;
        m->stat_fast_fills++;
    }
    return true;
}

/* The new walk allows at least what the old entry did, in the same place: copies stay right. */
static bool only_widened(const struct tlb_ref *old, const struct walk_result *w)
{
    const struct tlb_entry *e = old->e;
    unsigned inverse = TR_NX | TR_NNX | TR_NU; /* NU forbids under GMET and is always set elsewhere */
    unsigned before = e->rights ^ inverse, after = w->rights ^ inverse;
    unsigned page_shift = w->shift >= 30 ? 30 : w->shift >= 21 ? 21 : 12;
    u64 base = w->pa & ~(BIT(old->shift) - 1);

    return page_shift == old->shift && base == e->spa && w->pk == e->pk && !(before & ~after) &&
           !((before ^ after) & TR_G) && (w->guest_shift > page_shift ? w->guest_shift : 0) == e->guest_shift;
}

static bool translate_walk(struct mmu *m, u64 lin, unsigned acc, const struct tlb_ref *old, struct mmu_xl *out,
                                struct mmu_fault *f)
{
    struct walk_mem mem = memory_of_tables(m);
    struct walk_result w;
    struct tlb_victim v;
    bool ok = walk(&m->r, m->pdpte, &mem, lin, acc, &w, f);

    m->walk_count++;
    m->walk_refs += w.refs;
    m->stat_misses++;
    if (ok && old && only_widened(old, &w)) {
        old->e->rights = w.rights;
        old->e->memtype = w.memtype & 15;
        return finish(m, old->e, old->shift, lin, acc, out);
    }
    if (old) {
        unsigned used = old->e->used;
        tlb_drop(old);
        drop_copies(m, m->r.asid & FAST_KEY_ASID, lin, old->shift, used);
    }
    if (!ok)
        return false;
    struct tlb_entry *e = tlb_insert(m->tlb, lin, &w, &v);
    if (UNLIKELY(v.alive)) {
        m->evicted = true;
        drop_copies(m, v.asid, v.lin, v.shift, v.used);
    }
    return finish(m, e, w.shift >= 30 ? 30 : w.shift >= 21 ? 21 : 12, lin, acc, out);
}

static bool translate_identity(struct mmu *m, u64 lin, unsigned acc, struct mmu_xl *out)
{
    if (place(m, lin, MEMTYPE_WB, out) && may_copy(m, acc)) {
        fast_fill(m->pool, lin, out->host, out->bpn, !out->page_flags);
        m->stat_fast_fills++;
    }
    return true;
}

bool mmu_translate(struct mmu *m, struct gva lin, unsigned acc, struct mmu_xl *out, struct mmu_fault *f)
{
    struct tlb_ref ref;

    if (!translated(m))
        return translate_identity(m, lin.v, acc, out);
    if (UNLIKELY(!tlb_lookup(m->tlb, lin.v, &ref)))
        return translate_walk(m, lin.v, acc, NULL, out, f);
    /* An entry that denies is walked again, and only the walk faults; so is one whose dirty bit is not known. */
    if (UNLIKELY(walk_deny(&m->r, acc, ref.e->rights, ref.e->pk) || (acc_write(acc) && !(ref.e->rights & TR_D))))
        return translate_walk(m, lin.v, acc, &ref, out, f);
    m->stat_hits++;
    return finish(m, ref.e, ref.shift, lin.v, acc, out);
}

bool mmu_translate_gpa(struct mmu *m, struct gpa gpa, unsigned acc, struct mmu_xl *out, struct mmu_fault *f)
{
    struct walk_mem mem = memory_of_tables(m);
    struct walk_result w = { .pa = gpa.v, .memtype = MEMTYPE_WB };

    if (m->r.nested) {
        bool ok = walk_gpa(&m->r, &mem, gpa.v, acc, &w, f);
        m->walk_refs += w.refs;
        m->walk_count++;
        if (!ok)
            return false;
    }
    place(m, w.pa, w.memtype, out);
    return true;
}

bool mmu_inspect(const struct mmu *m, struct gva lin, struct walk_result *w, struct mmu_xl *out, struct mmu_fault *f)
{
    /* The walker only reads through this, as WALK_PEEK promises; the cast takes const away for the common signature. */
    struct walk_mem mem = { .ctx = (void *)(uintptr_t)m, .read = table_peek };

    if (!walk(&m->r, m->pdpte, &mem, lin.v, ACC_R | ACC_SYS | WALK_PEEK, w, f))
        return false;
    w->pa &= ~MMU_SPA_AVIC;
    place(m, w->pa, w->memtype, out);
    return true;
}

bool mmu_peek(const struct mmu *m, struct gva lin, struct spa *out)
{
    struct walk_result w;
    struct mmu_fault f;
    struct mmu_xl xl;

    if (!mmu_inspect(m, lin, &w, &xl, &f))
        return false;
    *out = xl.spa;
    return true;
}

bool mmu_load_pdptes(struct mmu *m, u64 cr3)
{
    u64 e[4], reserved = walk_pdpte_reserved(m->r.maxphys);

    for (unsigned i = 0; i < 4; i++) {
        e[i] = phys_read_le(m->view, (struct spa){ (cr3 & 0xFFFFFFE0) + 8 * i }, 8);
        if ((e[i] & 1) && (e[i] & reserved))
            return false;
    }
    memcpy(m->pdpte, e, sizeof(e));
    return true;
}

/* ---- flushes: groups change the epoch and with it the context; pages clear their copies ---- */

void mmu_flush_asid_nonglobal(struct mmu *m, u32 asid)
{
    tlb_flush_asid(m->tlb, asid, false);
    m->stat_flushes++;
    mmu_context(m);
}

void mmu_flush_asid(struct mmu *m, u32 asid)
{
    tlb_flush_asid(m->tlb, asid, true);
    m->stat_flushes++;
    mmu_context(m);
}

void mmu_flush_all(struct mmu *m)
{
    tlb_flush_all(m->tlb);
    m->stat_flushes++;
    mmu_context(m);
}

void mmu_flush_pcid(struct mmu *m, u32 asid, u16 pcid)
{
    tlb_flush_pcid(m->tlb, asid, pcid);
    m->stat_flushes++;
    mmu_context(m);
}

void mmu_flush_page_kinds(struct mmu *m, u32 asid, int pcid, bool globals, struct gva lin)
{
    struct tlb_dropped d = tlb_flush_page(m->tlb, asid, pcid, globals, lin.v);

    m->stat_flushes++;
    if (d.fragments) {
        fast_retire_all(m->pool);
        show(m);
    } else if (d.any) {
        drop_copies(m, asid, lin.v, d.large ? 21 : PAGE_SHIFT, d.used);
    }
}

void mmu_flush_page(struct mmu *m, u32 asid, struct gva lin)
{
    mmu_flush_page_kinds(m, asid, -1, true, lin);
}

void mmu_flush_page_pcid(struct mmu *m, u32 asid, u16 pcid, struct gva lin)
{
    mmu_flush_page_kinds(m, asid, pcid, false, lin);
}

void mmu_purge_writable(struct mmu *m, u32 bpn)
{
    fast_purge_writable(m->pool, bpn);
}

void mmu_purge_derived(struct mmu *m)
{
    walk_upper_empty(m->ways);
    fast_retire_all(m->pool);
    show(m);
}
