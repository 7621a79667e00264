// SPDX-License-Identifier: MIT
/* Where walks went lately. A walk reads its tables one after the other, each read waiting for the one before; a host that remembers which
 * entries the last walk of the same 2 MiB read and what they said reads them again all at once. What memory says now decides: nothing is
 * kept that a guest could see, and nothing need be flushed when it changes its tables, only when memory moves on the host. */
#ifndef SVMEMU_MMU_WALK_UPPER_H
#define SVMEMU_MMU_WALK_UPPER_H

#include "base/bits.h"
#include "base/types.h"

#include <string.h>

enum { WALK_UPPERS = 64, WALK_UPPER_LEVELS = 4 };

/* The entries above the last level on the way to 2 MiB, all present, used before and naming a table. */
struct walk_upper {
    u64 key, region;                 /* of the tables (0: none), address >> 21 */
    u64 table;                       /* of the last level */
    const u8 *last;                  /* the same on the host */
    unsigned levels;
    u8 narrowed;                     /* rights that the entries take away */
    const u8 *at[WALK_UPPER_LEVELS]; /* on the host */
    u64 value[WALK_UPPER_LEVELS];
};
struct walk_cache {
    bool used; /* since it was emptied */
    struct walk_upper e[WALK_UPPERS];
};

static inline struct walk_upper *walk_upper_slot(struct walk_cache *c, u64 key, u64 region)
{
    return &c->e[(region ^ region >> 6 ^ key >> PAGE_SHIFT) % WALK_UPPERS];
}

static inline void walk_upper_empty(struct walk_cache *c)
{
    if (c->used)
        memset(c, 0, sizeof(*c));
}

/* The way to the region if every entry still says what it said; NULL: walk. */
static inline const struct walk_upper *walk_upper_find(struct walk_cache *c, u64 key, u64 region)
{
    const struct walk_upper *u = walk_upper_slot(c, key, region);
    u64 changed = 0;

    if (u->key != key || u->region != region)
        return NULL;
    for (unsigned i = 0; i < u->levels; i++)
        changed |= load_le(u->at[i], 8) ^ u->value[i];
    return changed ? NULL : u;
}

#endif
