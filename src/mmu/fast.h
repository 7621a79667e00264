// SPDX-License-Identifier: MIT
/* Fast translation tables, one for each recently used context, from a bounded pool. Derived: they hold only copies of
 * what the architectural TLB holds (or the identity where nothing is translated). */
#ifndef SVMEMU_MMU_FAST_H
#define SVMEMU_MMU_FAST_H

#include "mmu/mmu.h"

#define FAST_TABLES 16
#define FAST_UNUSED 0xFFFFFFFFu
#define FAST_KEY_ASID 0xFFFFull        /* bits of word 0 */
#define FAST_KEY_VALID (1ull << 63)

/* All that decides what an access may do besides the TLB's contents. */
struct fast_key { u64 w[4]; };

struct fast_table {
    struct fast_key key;
    u64 gen;           /* of fetch translations handed out in this context */
    u64 stamp;         /* least recently selected goes first */
    u32 n_live;
    bool ready;        /* entries hold FAST_EMPTY rather than zeros */
    u16 live[FAST_SIZE]; /* slots that were ever filled since the last clearing */
    struct xlat e[FAST_SIZE];
};

struct fast_pool {
    struct fast_table *table; /* FAST_TABLES */
    struct fast_table *cur, *prev;
    u64 stamp, last_gen;
    u32 asid[FAST_TABLES]; /* of each table, beside one another: the tables are large; FAST_UNUSED: it has no name */
    u8 hint[FAST_TABLES]; /* by the low bits of ASIDs: the table last searched for, so that hypervisors may have many guests */
};

struct fast_pool *fast_create(void);
void fast_destroy(struct fast_pool *p);
static inline bool fast_same(const struct fast_table *t, const struct fast_key *k)
{
    return !((t->key.w[0] ^ k->w[0]) | (t->key.w[1] ^ k->w[1]) | (t->key.w[2] ^ k->w[2]) | (t->key.w[3] ^ k->w[3]));
}

static inline void fast_make_current(struct fast_pool *p, struct fast_table *t)
{
    p->prev = p->cur;
    p->cur = t;
    t->stamp = ++p->stamp;
}

void fast_select_slow(struct fast_pool *p, const struct fast_key *k);
/* Makes the context's table the current one; O(1) for the last two contexts and for the last of each ASID. */
static inline void fast_select(struct fast_pool *p, const struct fast_key *k)
{
    if (p->cur && fast_same(p->cur, k))
        return;
    if (p->prev && fast_same(p->prev, k))
        fast_make_current(p, p->prev);
    else
        fast_select_slow(p, k);
}

void fast_fill(struct fast_pool *p, u64 lin, u8 *host, u32 bpn, bool writable);
void fast_clear_page(struct fast_pool *p, u32 asid, u64 lin);
void fast_new_gen(struct fast_pool *p, u32 asid);
void fast_retire_asid(struct fast_pool *p, u32 asid);
void fast_retire_all(struct fast_pool *p);
void fast_purge_writable(struct fast_pool *p, u32 bpn);

#endif
