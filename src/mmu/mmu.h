// SPDX-License-Identifier: MIT
/* Address translation: walker, architectural TLB, fast translation cache (shared/design: two structures, never mixed).
 *
 * struct mmu is embedded in the vCPU. mmu.c ties together: walk.c (pure walker on a physical-memory interface), tlb.c (container,
 * tagged by ASID, PCID, global only) and fast.c (derived per-context tables). */
#ifndef SVMEMU_MMU_MMU_H
#define SVMEMU_MMU_MMU_H

#include "bus/bus.h"

/* Kind of access. Exactly one of R, W, X; the others modify. */
enum {
    ACC_R = 0, ACC_W = 1, ACC_X = 2,
    ACC_KIND = 3,
    ACC_SYS = 4,    /* implicit supervisor access (descriptor tables, TSS, IDT): supervisor at any CPL, SMAP always applies */
    ACC_PROBE = 8,  /* no A/D update beyond what a real access would make; used for write probes: acts as a write for permission and D */
};

/* The paging registers as the MMU sees them; one function of cpu (cpu_update_mmu) recomputes them. */
struct mmu_regs {
    u64 cr0, cr3, cr4, efer, pat;
    u32 pkru;
    u8 cpl;
    bool ac;             /* RFLAGS.AC (SMAP override at CPL < 3) */
    u8 maxphys;          /* physical address bits of the profile */
    bool has_1g;         /* profile supports 1 GiB pages */
    u32 asid;            /* 0 host */
    /* nested paging (guest mode with NP_ENABLE) */
    bool nested;
    u64 ncr3, hcr0, hcr4, hefer, hpat;
    bool gmet, rogpt;
    bool pml;            /* a nested dirty bit that is set is logged, see struct mmu [APM2 15.25.15] */
    bool avic;           /* the guest-physical page avic_bar is the virtual APIC: its accesses go to avic_page [APM2 15.29.5.2] */
    u64 avic_bar, avic_page;
};

/* Marks the spa of an access to the virtual APIC: no memory is there, so that it comes to the slow path. */
#define MMU_SPA_AVIC (1ull << 62)

enum { MMU_PML_ENTRIES = 512 };

/* Why a translation failed. */
enum mmu_fault_kind {
    MMU_OK,
    MMU_PF,    /* #PF: err, addr = CR2 */
    MMU_NPF,   /* nested page fault: err = EXITINFO1, addr = guest-physical address (EXITINFO2) */
    MMU_PML,   /* a nested dirty bit cannot be set: the page modification log is full */
};
struct mmu_fault {
    u8 kind;
    u64 err, addr;
};

/* A successful translation. */
struct mmu_xl {
    struct spa spa;   /* of the byte asked for */
    u8 *host;         /* host address of the byte, NULL when not RAM/ROM */
    u32 bpn;
    u8 page_flags;    /* PGF_* */
    u8 memtype;       /* enum memtype by PAT and nested tables; of a device, with UC by MTRR taken in */
};

/* One entry of the fast translation cache, 32 bytes. Tags hold the page-aligned linear address or an impossible value (FAST_EMPTY).
 * A hit is: ((lin + size - 1) & ~0xFFF) == tag, which also refuses page crossing. host = lin + addend. */
#define FAST_BITS 9
#define FAST_SIZE (1u << FAST_BITS)
#define FAST_EMPTY 0xFFFull
struct xlat {
    u64 rtag, wtag;
    u64 addend;
    u32 bpn;
    u32 pad;
};

struct tlb;
struct fast_pool;

struct mmu {
    struct xlat *fast;          /* table of the current context: FAST_SIZE entries, never NULL */
    u64 fetch_gen;              /* changes whenever a fetch translation that was handed out may have become wrong */
    u32 ctx_id;                 /* identity of the current context (for jump caches); changes with fetch_gen too */
    struct mmu_regs r;
    struct phys_view *view;     /* this vCPU's physical view, owned by the vCPU */
    u64 key_rest;               /* what selects the fast table besides the ring, see mmu_ring() */
    struct tlb *tlb;            /* architectural TLB, owned */
    struct fast_pool *pool;     /* fast tables, owned */
    struct walk_cache *ways;    /* of walks, owned */
    u64 pdpte[4];               /* legacy PAE PDPTEs of the current address space */
    u64 pml_base;               /* the log, with r.pml: MMU_PML_ENTRIES of 8 bytes at a physical address */
    u16 pml_index;              /* of its next entry, counting down */
    bool fast_off;              /* testing: fast cache never filled */
    bool slow_all;              /* set by cpu while breakpoints are enabled; see mmu_looks(). Call mmu_context() after a change */
    /* charged by walks, taken and cleared by exec after each slow path */
    u32 walk_refs;              /* memory references made by walks since the last look */
    u32 walk_count;             /* architectural TLB misses since the last look */
    u64 stat_hits, stat_misses, stat_flushes, stat_fast_fills;
    bool evicted;               /* an architectural entry was replaced: leave the block after this instruction */
};

bool mmu_init(struct mmu *m, struct phys_view *view, unsigned tlb_entries /* 0: default 64 Ki */);
void mmu_free(struct mmu *m);

/* Alignment checking is a matter of user code; kernels set AC for SMAP and must not pay for it. [APM2 8.2.17] */
static inline bool mmu_align_checked(const struct mmu *m) { return m->r.cpl == 3 && m->r.ac && (m->r.cr0 >> 18 & 1); }
/* Every data access must be looked at: the context's fast table stays empty. */
static inline bool mmu_looks(const struct mmu *m) { return m->slow_all || mmu_align_checked(m); }

/* The slot of the current table where a translation of lin would be. */
static inline struct xlat *mmu_fast_slot(const struct mmu *m, u64 lin) { return &m->fast[lin >> PAGE_SHIFT & (FAST_SIZE - 1)]; }

/* After any change of m->r: selects the fast table of the new context (O(1), bounded pool). Does NOT flush the architectural TLB. */
void mmu_context(struct mmu *m);
/* The same after a change of m->r.cpl and m->r.ac only. */
void mmu_ring(struct mmu *m);

/* Translate one byte's address (access must not cross a page). Looks in the architectural TLB, walks on a miss (updating A/D), applies today's
 * permissions; on failure fills *f. Enters the fast cache when allowed (RAM, no flags for writes, not ACC_SYS at CPL 3). */
bool mmu_translate(struct mmu *m, struct gva lin, unsigned acc, struct mmu_xl *out, struct mmu_fault *f);

/* Guest-physical to system-physical for VMM-level helpers (virtual VMLOAD): nested walk of one address. */
bool mmu_translate_gpa(struct mmu *m, struct gpa gpa, unsigned acc, struct mmu_xl *out, struct mmu_fault *f);

/* Translation without permission checks or any side effect (debugger, API, trace): no A/D, no TLB fill. w has the page's rights and size. */
struct walk_result;
bool mmu_inspect(const struct mmu *m, struct gva lin, struct walk_result *w, struct mmu_xl *out, struct mmu_fault *f);
bool mmu_peek(const struct mmu *m, struct gva lin, struct spa *out);

/* Legacy PAE: load the four PDPTEs from CR3 (not when nested); false when a present one has reserved bits set (pdpte[] untouched). */
bool mmu_load_pdptes(struct mmu *m, u64 cr3);

/* Flushes, named by what the instruction or event needs. All also drop the copies in the fast cache. */
void mmu_flush_asid_nonglobal(struct mmu *m, u32 asid);  /* MOV CR3 without PCID, TLB_CONTROL 7 */
void mmu_flush_asid(struct mmu *m, u32 asid);            /* globals too: CR4.PGE..., TLB_CONTROL 3 */
void mmu_flush_all(struct mmu *m);                       /* TLB_CONTROL 1, SMI, MTRR writes */
void mmu_flush_pcid(struct mmu *m, u32 asid, u16 pcid);  /* non-global of one PCID */
void mmu_flush_page(struct mmu *m, u32 asid, struct gva lin);              /* INVLPG, INVLPGA: any PCID of the page incl. global */
void mmu_flush_page_pcid(struct mmu *m, u32 asid, u16 pcid, struct gva lin); /* INVPCID type 0: not global */
void mmu_flush_page_kinds(struct mmu *m, u32 asid, int pcid, bool globals, struct gva lin); /* INVLPGB; pcid < 0: any */

/* Bus hooks' side: purge fast-writable copies of one backing page / everything derived. */
void mmu_purge_writable(struct mmu *m, u32 bpn);
void mmu_purge_derived(struct mmu *m);

#endif
