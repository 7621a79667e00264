// SPDX-License-Identifier: MIT
/* The architectural TLB: a container of translations, tagged by ASID, PCID and global only. What the guest can observe
 * of stale entries is decided here; permissions are judged by the user of an entry. */
#ifndef SVMEMU_MMU_TLB_H
#define SVMEMU_MMU_TLB_H

#include "mmu/walk.h"

#define TLB_WAYS 8
#define TLB_DEFAULT_ENTRIES 65536u
#define TLB_ASIDS 65536u /* higher numbers are cut to 16 bits; a page flush of one does nothing */

struct tlb_entry {
    u64 spa;       /* base of the page of the entry's size */
    u32 born;      /* time of insertion, in flushes; dead when a flush that covers it came later */
    u32 fragment;  /* generation of the guest page of which this is a part */
    u16 pcid;
    u8 rights;     /* TR_* */
    u8 pk : 4, memtype : 4;
    u8 guest_shift; /* when larger than the entry's own size, it is a part of that page; else 0 */
    u8 used;        /* TLB_FETCHED: handed out for fetching; TLB_COPIED: may have copies in fast tables */
    u8 pad[2];
};
enum { TLB_FETCHED = 1, TLB_COPIED = 2 };

struct tlb_set {
    u64 tag[TLB_WAYS]; /* 0 free */
    struct tlb_entry e[TLB_WAYS];
};

struct tlb;
/* entries is rounded to a power of two of at least one set. */
struct tlb *tlb_create(unsigned entries);
void tlb_destroy(struct tlb *t);

/* The ASID and PCID that look-ups and insertions use from now on. */
void tlb_select(struct tlb *t, u32 asid, u16 pcid);
/* Changes whenever a flush covers non-global entries of the selected ASID and PCID. */
u64 tlb_epoch(const struct tlb *t);

struct tlb_ref { struct tlb_entry *e; u64 *tag; u8 shift; };
bool tlb_lookup(struct tlb *t, u64 lin, struct tlb_ref *ref);

/* What an insertion threw out, if it was alive. */
struct tlb_victim { bool alive; u8 used, shift; u32 asid; u64 lin; };
struct tlb_entry *tlb_insert(struct tlb *t, u64 lin, const struct walk_result *w, struct tlb_victim *v);
void tlb_drop(const struct tlb_ref *ref);

/* Flushes. Page flushes report what kinds of copies may exist elsewhere. */
void tlb_flush_all(struct tlb *t);
void tlb_flush_asid(struct tlb *t, u32 asid, bool globals);
void tlb_flush_pcid(struct tlb *t, u32 asid, u16 pcid);
struct tlb_dropped {
    bool any;      /* an entry was dropped */
    bool large;    /* it was larger than 4 KiB */
    bool fragments; /* parts of a larger page were, perhaps of any ASID */
    u8 used;
};
/* Non-global entries of one PCID, or of any with pcid < 0; global ones if `globals`. */
struct tlb_dropped tlb_flush_page(struct tlb *t, u32 asid, int pcid, bool globals, u64 lin);

#endif
