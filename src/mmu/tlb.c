// SPDX-License-Identifier: MIT
/* Set-associative table. An entry has the size of its page (4 KiB, 2 MiB, 1 GiB), so INVLPG of any address inside drops
 * it at once. Where the guest's page is larger than the entry (4 MiB, or a nested page smaller than the guest's) the
 * entry is a fragment and also depends on a generation counter of that guest page; counters are shared by hash, so at
 * worst too much is dropped.
 * Flushes of whole groups only move a time forward: an entry lives when it was born after the last flush covering it.
 * Replacement depends on insertions and flushes only, never on hits. */
#define _GNU_SOURCE 1
#include "mmu/tlb.h"

#include "base/bits.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PCID_SLOTS 65536u
#define FRAG_SLOTS 4096u
#define TAG_VALID BIT(63)
#define TAG_ASID_SHIFT 47
#define TAG_SIZE_SHIFT 45

struct asid_times { u32 all, nonglobal; };

struct tlb {
    struct tlb_set *set;
    u32 sets;
    u32 now, era;     /* counts flushes, and how often that wrapped */
    u32 all;          /* time of the last flush of everything */
    u8 sizes;         /* bit n: entries of size class n were inserted since then */
    /* selected */
    u32 asid;
    u16 pcid;
    u32 min_global, min_nonglobal;
    struct asid_times *asids;
    u32 *pcids;       /* times, by hash of ASID and PCID */
    u32 fragment[FRAG_SLOTS]; /* bit 0: in use since the last flush */
    bool fragmented;          /* any of them ever was */
    u8 *next;         /* round robin, by set */
};

static const u8 size_shift[3] = { 12, 21, 30 };

static void *lazy(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        return NULL;
    (void)madvise(p, size, MADV_NOHUGEPAGE);
    return p;
}

static void forget(struct tlb *t)
{
    /* Fresh zero pages instead of writing zeros. */
    (void)madvise(t->set, t->sets * sizeof(*t->set), MADV_DONTNEED);
    (void)madvise(t->asids, TLB_ASIDS * sizeof(*t->asids), MADV_DONTNEED);
    (void)madvise(t->pcids, PCID_SLOTS * sizeof(*t->pcids), MADV_DONTNEED);
}

struct tlb *tlb_create(unsigned entries)
{
    struct tlb *t = calloc(1, sizeof(*t));
    unsigned sets = 1;

    if (!t)
        return NULL;
    if (!entries)
        entries = TLB_DEFAULT_ENTRIES;
    while (sets * TLB_WAYS < entries && sets < (1u << 20))
        sets *= 2;
    t->sets = sets;
    t->now = 1;
    t->set = lazy(sets * sizeof(*t->set));
    t->asids = lazy(TLB_ASIDS * sizeof(*t->asids));
    t->pcids = lazy(PCID_SLOTS * sizeof(*t->pcids));
    t->next = calloc(sets, 1);
    if (!t->set || !t->asids || !t->pcids || !t->next) {
        tlb_destroy(t);
        return NULL;
    }
    return t;
}

void tlb_destroy(struct tlb *t)
{
    if (!t)
        return;
    if (t->set)
        munmap(t->set, t->sets * sizeof(*t->set));
    if (t->asids)
        munmap(t->asids, TLB_ASIDS * sizeof(*t->asids));
    if (t->pcids)
        munmap(t->pcids, PCID_SLOTS * sizeof(*t->pcids));
    free(t->next);
    free(t);
}

/* ---- times ---- */

static u32 *pcid_time(struct tlb *t, u32 asid, u16 pcid)
{
    return &t->pcids[(asid * 40503u * 2 + pcid) & (PCID_SLOTS - 1)];
}

static u32 later(u32 a, u32 b)
{
    return a > b ? a : b;
}

static void times_of(struct tlb *t, u32 asid, u16 pcid, u32 *global, u32 *nonglobal)
{
    const struct asid_times *a = &t->asids[asid & (TLB_ASIDS - 1)];

    *global = later(t->all, a->all);
    *nonglobal = later(later(*global, a->nonglobal), *pcid_time(t, asid, pcid));
}

void tlb_select(struct tlb *t, u32 asid, u16 pcid)
{
    t->asid = asid & (TLB_ASIDS - 1);
    t->pcid = pcid;
    times_of(t, t->asid, pcid, &t->min_global, &t->min_nonglobal);
}

u64 tlb_epoch(const struct tlb *t)
{
    return (u64)t->era << 32 | t->min_nonglobal;
}

/* A flush happens at the current time and ends it: what is born from now on is later. */
static u32 tick(struct tlb *t)
{
    if (UNLIKELY(t->now == ~0u - 1)) {
        /* Times ran out: start again, empty, in the next era. */
        forget(t);
        t->era++;
        memset(t->fragment, 0, sizeof(t->fragment));
        t->now = 1;
        t->all = 1;
        t->sizes = 0;
    }
    return t->now++;
}

void tlb_flush_all(struct tlb *t)
{
    t->all = tick(t);
    t->sizes = 0;
    tlb_select(t, t->asid, t->pcid);
}

void tlb_flush_asid(struct tlb *t, u32 asid, bool globals)
{
    asid &= TLB_ASIDS - 1; /* as tlb_select() */
    u32 now = tick(t);
    if (globals)
        t->asids[asid].all = now;
    t->asids[asid].nonglobal = now;
    tlb_select(t, t->asid, t->pcid);
}

void tlb_flush_pcid(struct tlb *t, u32 asid, u16 pcid)
{
    if (asid >= TLB_ASIDS)
        return;
    u32 now = tick(t);
    *pcid_time(t, asid, pcid) = now;
    tlb_select(t, t->asid, t->pcid);
}

/* ---- entries ---- */

static u64 make_tag(u32 asid, u64 lin, unsigned size)
{
    u64 page = lin >> size_shift[size] & (BIT(45) - 1);
    return TAG_VALID | (u64)asid << TAG_ASID_SHIFT | (u64)size << TAG_SIZE_SHIFT | page;
}

static u32 set_index(const struct tlb *t, u64 tag)
{
    u64 h = tag ^ tag >> 13 ^ (tag >> TAG_SIZE_SHIFT) * 0x9E5;
    return (u32)h & (t->sets - 1);
}

static u32 *fragment_slot(struct tlb *t, u32 asid, u64 lin, unsigned guest_shift)
{
    u64 h = (lin >> guest_shift) * 0x9E3779B97F4A7C15ull + asid * 0x85EBCA6Bull + guest_shift;
    return &t->fragment[(h >> 20 ^ h) & (FRAG_SLOTS - 1)];
}

static bool lives(struct tlb *t, u64 lin, const struct tlb_entry *e, u32 asid)
{
    u32 global, nonglobal;

    times_of(t, asid, e->pcid, &global, &nonglobal);
    if (e->born <= (e->rights & TR_G ? global : nonglobal))
        return false;
    return !e->guest_shift || *fragment_slot(t, asid, lin, e->guest_shift) == e->fragment;
}

static inline bool usable(struct tlb *t, u64 lin, const struct tlb_entry *e)
{
    if (e->rights & TR_G ? e->born <= t->min_global : e->born <= t->min_nonglobal || e->pcid != t->pcid)
        return false;
    return !e->guest_shift || *fragment_slot(t, t->asid, lin, e->guest_shift) == e->fragment;
}

bool tlb_lookup(struct tlb *t, u64 lin, struct tlb_ref *ref)
{
    for (unsigned size = 0; size < 3; size++) {
        if (!(t->sizes >> size & 1))
            continue;
        u64 tag = make_tag(t->asid, lin, size);
        struct tlb_set *s = &t->set[set_index(t, tag)];
        for (unsigned w = 0; w < TLB_WAYS; w++) {
            if (LIKELY(s->tag[w] != tag) || !usable(t, lin, &s->e[w]))
                continue;
            *ref = (struct tlb_ref){ &s->e[w], &s->tag[w], size_shift[size] };
            return true;
        }
    }
    return false;
}

static u64 tag_lin(u64 tag)
{
    unsigned size = tag >> TAG_SIZE_SHIFT & 3;
    return sext_bit((tag & (BIT(45) - 1)) << size_shift[size], 56);
}

static u32 tag_asid(u64 tag)
{
    return tag >> TAG_ASID_SHIFT & (TLB_ASIDS - 1);
}

/* A free way, else one whose entry a flush has killed, else the next in turn. */
static unsigned choose_way(struct tlb *t, u32 index, struct tlb_victim *v)
{
    struct tlb_set *s = &t->set[index];
    unsigned first = t->next[index], w;

    for (w = 0; w < TLB_WAYS; w++) {
        if (!s->tag[w])
            return w;
    }
    for (unsigned i = 0; i < TLB_WAYS; i++) {
        w = (first + i) % TLB_WAYS;
        if (!lives(t, tag_lin(s->tag[w]), &s->e[w], tag_asid(s->tag[w])))
            return w;
    }
    t->next[index] = (u8)((first + 1) % TLB_WAYS);
    v->alive = true;
    v->used = s->e[first].used;
    v->shift = size_shift[s->tag[first] >> TAG_SIZE_SHIFT & 3];
    v->asid = tag_asid(s->tag[first]);
    v->lin = tag_lin(s->tag[first]);
    return first;
}

struct tlb_entry *tlb_insert(struct tlb *t, u64 lin, const struct walk_result *r, struct tlb_victim *v)
{
    unsigned size = r->shift >= 30 ? 2 : r->shift >= 21 ? 1 : 0;
    u64 tag = make_tag(t->asid, lin, size);
    u32 index = set_index(t, tag);

    *v = (struct tlb_victim){ 0 };
    t->sizes |= (u8)(1u << size);
    unsigned w = choose_way(t, index, v);
    struct tlb_entry *e = &t->set[index].e[w];
    *e = (struct tlb_entry){
        .spa = r->pa & ~(BIT(size_shift[size]) - 1), .born = t->now, .pcid = t->pcid, .rights = r->rights,
        .pk = r->pk & 15, .memtype = r->memtype & 15,
    };
    if (r->guest_shift > size_shift[size]) {
        u32 *f = fragment_slot(t, t->asid, lin, r->guest_shift);
        *f |= 1;
        t->fragmented = true;
        e->guest_shift = r->guest_shift;
        e->fragment = *f;
    }
    t->set[index].tag[w] = tag;
    return e;
}

void tlb_drop(const struct tlb_ref *ref)
{
    *ref->tag = 0;
}

static void drop_matching(struct tlb *t, u32 asid, int pcid, bool globals, u64 lin, unsigned size, struct tlb_dropped *d)
{
    u64 tag = make_tag(asid, lin, size);
    struct tlb_set *s = &t->set[set_index(t, tag)];

    for (unsigned w = 0; w < TLB_WAYS; w++) {
        struct tlb_entry *e = &s->e[w];
        if (s->tag[w] != tag || (e->rights & TR_G ? !globals : pcid >= 0 && e->pcid != pcid))
            continue;
        s->tag[w] = 0;
        d->any = true;
        d->large |= size > 0;
        d->used |= e->used;
    }
}

struct tlb_dropped tlb_flush_page(struct tlb *t, u32 asid, int pcid, bool globals, u64 lin)
{
    static const u8 guest_sizes[] = { 21, 22, 30 };
    struct tlb_dropped d = { 0 };

    if (asid >= TLB_ASIDS)
        return d;
    for (unsigned size = 0; size < 3; size++) {
        if (t->sizes >> size & 1)
            drop_matching(t, asid, pcid, globals, lin, size, &d);
    }
    for (unsigned i = 0; t->fragmented && i < ARRAY_LEN(guest_sizes); i++) {
        u32 *f = fragment_slot(t, asid, lin, guest_sizes[i]);
        if (*f & 1) {
            *f = (*f | 1) + 1; /* next even value: unused, and unlike every entry's */
            d.fragments = true;
        }
    }
    return d;
}
