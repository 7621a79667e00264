// SPDX-License-Identifier: MIT
/* Pool of fast tables. Tables are cleared by their list of filled slots, so a context switch never costs more than the
 * fills since. */
#define _GNU_SOURCE 1
#include "mmu/fast.h"

#include "base/bits.h"

#include <stdlib.h>
#include <sys/mman.h>

#define POOL_BYTES (FAST_TABLES * sizeof(struct fast_table))
#define SLOT_LISTED 1u /* in xlat.pad */

struct fast_pool *fast_create(void)
{
    struct fast_pool *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    void *t = mmap(NULL, POOL_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (t == MAP_FAILED) {
        free(p);
        return NULL;
    }
    p->table = t;
    for (unsigned i = 0; i < FAST_TABLES; i++)
        p->asid[i] = FAST_UNUSED;
    return p;
}

void fast_destroy(struct fast_pool *p)
{
    if (!p)
        return;
    munmap(p->table, POOL_BYTES);
    free(p);
}

/* Its low half, the context's identity, is never 0, so that zeros in a jump cache belong to no context. */
static u64 new_gen(struct fast_pool *p)
{
    if (!(u32)++p->last_gen)
        p->last_gen++;
    return p->last_gen;
}

static void clear(struct fast_table *t)
{
    if (!t->ready) {
        for (unsigned i = 0; i < FAST_SIZE; i++)
            t->e[i] = (struct xlat){ .rtag = FAST_EMPTY, .wtag = FAST_EMPTY };
        t->ready = true;
    } else {
        for (unsigned i = 0; i < t->n_live; i++)
            t->e[t->live[i]] = (struct xlat){ .rtag = FAST_EMPTY, .wtag = FAST_EMPTY };
    }
    t->n_live = 0;
}

/* The context's table; the least recently selected one if it has none yet. */
COLD static struct fast_table *search(struct fast_pool *p, const struct fast_key *k)
{
    struct fast_table *old = &p->table[0];

    for (unsigned i = 0; i < FAST_TABLES; i++) {
        struct fast_table *t = &p->table[i];
        if (fast_same(t, k))
            return t;
        if (t->stamp < old->stamp)
            old = t;
    }
    clear(old);
    old->key = *k;
    old->gen = new_gen(p);
    p->asid[old - p->table] = k->w[0] & FAST_KEY_ASID;
    return old;
}

void fast_select_slow(struct fast_pool *p, const struct fast_key *k)
{
    u8 *hint = &p->hint[k->w[0] % FAST_TABLES]; /* the ASID stands lowest */
    struct fast_table *t = &p->table[*hint];

    if (!fast_same(t, k)) {
        t = search(p, k);
        *hint = (u8)(t - p->table);
    }
    fast_make_current(p, t);
}

void fast_fill(struct fast_pool *p, u64 lin, u8 *host, u32 bpn, bool writable)
{
    struct fast_table *t = p->cur;
    u64 page = lin & ~(u64)PAGE_MASK;
    unsigned slot = lin >> PAGE_SHIFT & (FAST_SIZE - 1);
    struct xlat *x = &t->e[slot];

    if (!(x->pad & SLOT_LISTED))
        t->live[t->n_live++] = (u16)slot;
    x->rtag = page;
    x->wtag = writable ? page : FAST_EMPTY;
    x->addend = (u64)(uintptr_t)host - lin;
    x->bpn = bpn;
    x->pad = SLOT_LISTED;
}

void fast_clear_page(struct fast_pool *p, u32 asid, u64 lin)
{
    u64 page = lin & ~(u64)PAGE_MASK;

    for (unsigned i = 0; i < FAST_TABLES; i++) {
        if (p->asid[i] != asid)
            continue;
        struct xlat *x = &p->table[i].e[lin >> PAGE_SHIFT & (FAST_SIZE - 1)];
        if (x->rtag == page)
            x->rtag = x->wtag = FAST_EMPTY;
    }
}

void fast_new_gen(struct fast_pool *p, u32 asid)
{
    for (unsigned i = 0; i < FAST_TABLES; i++) {
        if (p->asid[i] == asid)
            p->table[i].gen = new_gen(p);
    }
}

/* The current table is emptied at once and stays; others lose their name and are cleared when they are used again. */
static void retire(struct fast_pool *p, struct fast_table *t)
{
    if (t == p->cur) {
        clear(t);
        t->gen = new_gen(p);
    } else {
        t->key.w[0] = 0;
        t->stamp = 0;
        p->asid[t - p->table] = FAST_UNUSED;
    }
}

void fast_retire_asid(struct fast_pool *p, u32 asid)
{
    for (unsigned i = 0; i < FAST_TABLES; i++) {
        if (p->asid[i] == asid)
            retire(p, &p->table[i]);
    }
}

void fast_retire_all(struct fast_pool *p)
{
    for (unsigned i = 0; i < FAST_TABLES; i++) {
        if (p->asid[i] != FAST_UNUSED)
            retire(p, &p->table[i]);
    }
}

void fast_purge_writable(struct fast_pool *p, u32 bpn)
{
    for (unsigned i = 0; i < FAST_TABLES; i++) {
        struct fast_table *t = &p->table[i];
        if (p->asid[i] == FAST_UNUSED)
            continue;
        for (unsigned n = 0; n < t->n_live; n++) {
            struct xlat *x = &t->e[t->live[n]];
            if (x->bpn == bpn)
                x->wtag = FAST_EMPTY;
        }
    }
}
