// SPDX-License-Identifier: MIT
/* The page-table walker: registers and physical memory in, translation or fault out. It keeps no state, so that tests
 * hand it fake memory that records every access. The nested walker is the same walker standing in as the other's
 * physical memory. */
#ifndef SVMEMU_MMU_WALK_H
#define SVMEMU_MMU_WALK_H

#include "mmu/mmu.h"

enum {
    CR0_BIT_PE = 1u << 0, CR0_BIT_WP = 1u << 16, CR0_BIT_CD = 1u << 30, CR0_BIT_PG = 1u << 31,
    CR4_BIT_PSE = 1 << 4, CR4_BIT_PAE = 1 << 5, CR4_BIT_PGE = 1 << 7, CR4_BIT_LA57 = 1 << 12, CR4_BIT_PCIDE = 1 << 17,
    CR4_BIT_SMEP = 1 << 20, CR4_BIT_SMAP = 1 << 21, CR4_BIT_PKE = 1 << 22,
    EFER_BIT_LMA = 1 << 10, EFER_BIT_NXE = 1 << 11,
};
/* Error code of #PF; EXITINFO1 of a nested page fault has the same low bits. [APM2 8.4.2] [APM2 15.25.6] */
enum { PFE_P = 1, PFE_W = 2, PFE_U = 4, PFE_RSV = 8, PFE_ID = 16, PFE_PK = 32 };
#define NPF_FINAL (1ull << 32)
#define NPF_TABLE (1ull << 33)

/* Internal kind of access: no permission check, no A/D update (debugger's view). */
#define WALK_PEEK 0x100u

/* Raw rights of a translation, accumulated over all levels; kept in the TLB and judged at every use. */
enum {
    TR_W = 1 << 0, TR_U = 1 << 1, TR_NX = 1 << 2, TR_G = 1 << 3, TR_D = 1 << 4, /* D: guest's and nested leaf */
    TR_NW = 1 << 5, TR_NU = 1 << 6, TR_NNX = 1 << 7, /* of the nested tables */
};

/* Memory that holds the tables. Both are physical accesses of 4 or 8 bytes, aligned; false: *f is filled (nested). */
struct walk_mem {
    void *ctx;
    bool (*read)(void *ctx, u64 pa, unsigned width, u64 *v, struct mmu_fault *f);
    /* Atomically old -> new; *done = false when the entry changed meanwhile and the walk must start again. */
    bool (*cmpxchg)(void *ctx, u64 pa, unsigned width, u64 old, u64 new_value, bool *done, struct mmu_fault *f);
    /* With r.pml: the dirty bit of the nested page of `gpa` will be set (may it?) or has been. */
    bool (*dirty)(void *ctx, u64 gpa, bool done, struct mmu_fault *f);
    /* To be fast, both or neither: ways through long-mode tables, and the host address of an entry in plain memory, NULL where there is none. */
    struct walk_cache *ways;
    const u8 *(*host)(void *ctx, u64 pa);
};

struct walk_cache; /* mmu/walk_upper.h */
struct walk_result {
    u64 pa;          /* of the byte asked for */
    u8 shift;        /* log2 of the page's size: the smaller of guest and nested */
    u8 guest_shift;  /* of the guest's page */
    u8 rights;       /* TR_* */
    u8 pk;           /* protection key */
    u8 memtype;      /* by PAT, nested combination applied */
    u32 refs;        /* memory references made, also when the walk failed */
};

/* Translate lin for acc, updating A and D as the access needs. pdpte: the four cached ones of legacy PAE (unused when
 * nested). */
bool walk(const struct mmu_regs *r, const u64 *pdpte, const struct walk_mem *mem, u64 lin, unsigned acc,
          struct walk_result *out, struct mmu_fault *f);
/* Nested walk of one guest-physical address as a final access. */
bool walk_gpa(const struct mmu_regs *r, const struct walk_mem *mem, u64 gpa, unsigned acc, struct walk_result *out,
              struct mmu_fault *f);

/* Today's verdict on raw rights: 0 allowed, else the error code bits P (and PK) that the guest level would report;
 * WALK_DENY_NESTED when only the nested level refuses. */
#define WALK_DENY_NESTED 0x80000000u
u32 walk_deny(const struct mmu_regs *r, unsigned acc, unsigned rights, unsigned pk);

/* Reserved bits of a legacy PAE page-directory-pointer entry. */
u64 walk_pdpte_reserved(unsigned maxphys);

static inline bool acc_write(unsigned acc) { return (acc & ACC_KIND) == ACC_W || (acc & ACC_PROBE); }
static inline bool acc_fetch(unsigned acc) { return (acc & ACC_KIND) == ACC_X; }

#endif
