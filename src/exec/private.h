// SPDX-License-Identifier: MIT
/* Shared by the files of exec only. */
#ifndef SVMEMU_EXEC_PRIVATE_H
#define SVMEMU_EXEC_PRIVATE_H

#include "exec/exec.h"
#include "timing/cost.h"

struct op;
typedef const struct op *op_fn(struct vcpu *c, const struct op *op, const struct xlat *fast);

/* 24 bytes. r0, r1, base are byte offsets into the vCPU (gpr[] comes first), so AH is 1 and CL is 8. */
struct op {
    union {
        op_fn *fn;
        i64 charge; /* link slots (never run themselves): what entering the successor costs; CHARGE_UNLINKED: not known yet */
    };
    union {
        u64 imm;
        const struct op *link; /* successor of a linked branch slot; never NULL */
    };
    i32 disp;
    u8 r0, r1, base, aux;
};
_Static_assert(sizeof(struct op) == 24, "op size is part of the design");

/* Parallel to the ops: untouched while nothing goes wrong. */
struct slot {
    struct insn in;
    i64 rest;       /* packed charge of the block's instructions after this one: given back when the block is left here */
    u32 block;
    u16 page_off;   /* offset of the instruction in its page */
    u8 back;        /* slots back to the instruction's first slot */
    u8 nslots;      /* of the instruction (first slot only) */
    u8 fuse;        /* how the instruction behind it may join it: a number of lower.c's, on its last slot */
};

#define CHARGE_UNLINKED INT64_MAX
#define BLOCK_NONE 0xFFFFFFFFu
#define BLOCK_MAX_INSNS 64
#define BLOCK_MAX_JUMPS 3 /* that are followed */
#define BUDGET_SHIFT 24

struct block {
    i64 charge;         /* packed: (ticks << 24) - instructions */
    u32 first;          /* op index */
    u32 bpn;
    u32 mode;           /* mode key */
    u16 off;            /* where it is entered */
    u16 from, len;      /* bytes in the page; what lies between jumps that were followed belongs to them */
    u16 nops, ninsns;
    u32 hash_next, page_next;
    u32 link_head;      /* branch slots that point here: op index list through exec.link_next */
    bool live;
    bool quiet;         /* its first instruction does not see whether RF is set */
};

struct jump_entry {
    u64 rip;
    u64 key;            /* jump_key(): context, its generation and mode; 0: none */
    const struct op *op;
    i64 charge;         /* of the block */
    u64 page;           /* RIP of byte 0 of its page */
};
#define JUMP_BITS 12
#define FETCH_ENTRIES 16u

struct exec_cpu {
    struct exec *e;
    bool tells_insns, tells_events; /* there are such hooks: at hand, where e's are far */
    u32 fetch_refs;     /* of the walk that has just found that the fetch faults: step() walks again, which costs nothing more */
    i64 slice_ticks;    /* ticks that were left when the slice began or was folded last; negative: overdrawn */
    struct jump_entry jump[1u << JUMP_BITS];
    u32 mode;           /* current mode key */
    /* the last fetch translations: good for their page as long as the context's identity is the same */
    struct fetch_entry {
        struct mmu_xl xl;
        u64 page;
        u32 ctx;
    } fetch[FETCH_ENTRIES];
    u64 chain[8];       /* last exceptions: vec | err << 8, for the triple-fault report */
    unsigned nchain;
};

#define HANDLER_USES (1u << 14) /* with 11, handlers that shared places made SHA-256 a sixth slower in one build and not in the next */
struct exec {
    struct bus *bus;
    struct clock *clock;
    struct exec_config cfg;
    struct op *ops;
    struct slot *slots;
    u32 *link_next;       /* per op: next slot linked to the same block */
    struct block *blocks;
    u32 *hash;            /* block heads */
    u32 *page_head;       /* per bpn: list of blocks */
    u32 cap_ops, nops, cap_blocks, nblocks;
    struct vcpu *vcpu[EXEC_MAX_VCPUS];
    unsigned nvcpu;
    struct exec_stats st;
    struct exec_hooks hooks;
    u8 fuse_next;         /* lowering: slot.fuse of the op just emitted */
    u16 *row_class;       /* per row: how lower.c treats it */
    u32 *handler_use;     /* by hash of a handler: index of the op that used it last, and 1 */
};

/* block.c */
u32 block_find_or_make(struct exec *e, struct vcpu *c, const struct mmu_xl *xl, u64 rip); /* BLOCK_NONE: run one by one */
void block_drop_range(struct exec *e, u32 bpn, unsigned off, unsigned len);
u32 exec_mode_key(const struct vcpu *c);
#define MODEKEY_FLAT_CS (1u << 4)
#define MODEKEY_FLAT_DATA (1u << 5)
#define MODEKEY_64 (2u)
#define MODEKEY_ALONE (1u << 6) /* branch recording, bus lock intercept, somebody watches: every instruction by step() */

/* What was found out about an instruction of a run before ops are made of it. */
struct lower_plan {
    bool silent; /* cannot fault, exit or trap, and nobody can look at RF and the flags in front of it */
    bool record; /* the flags that it writes can be observed */
    bool folded; /* a copy that a later instruction makes in passing, or a jump that was followed: it gets no op */
    bool slack;  /* a copy whose source is old and whose destination is not needed at once */
    u8 from;     /* register that it takes its destination's old value from: another one if a copy was folded */
    u8 newer;    /* of its two source registers the one that the run wrote last: lies on a chain rather than the other */
};

/* isa/lower.c and lower_plan.c (handed up by linking, like isa_bodies[]): fills ops for one instruction, returns the number of slots; 0 if it is folded */
unsigned lower_insn(struct exec *e, const struct insn *in, u32 mode, struct op *out, bool last, const struct lower_plan *plan, unsigned page_off);
u16 *lower_classes(void); /* allocated table for exec.row_class */
unsigned lower_generic(const struct insn *in, struct op *out, bool last);
void lower_plan(const struct exec *e, const struct insn *run, unsigned n, u32 mode, struct lower_plan *plan);

/* generic.c */
op_fn op_generic, op_generic_last, op_fall, op_dropped;
/* A link slot that cannot be followed at once: RIP is set, the link is made if the successor is known. */
op_fn op_link_slow;
const struct op *chain_to(struct vcpu *c, u64 rip);
struct exec *exec_of(const struct vcpu *c);

/* RIP cut to what the code segment counts in: 16-bit code below 64 KiB wraps there. */
static inline u64 rip_after(const struct vcpu *c, u64 rip, unsigned len)
{
    u64 next = rip + len;
    return cpu_code64(c) ? next : cpu_mode(c) == MODE_16 && rip <= 0xFFFF ? (u16)next : (u32)next;
}

static inline u64 jump_key(const struct vcpu *c)
{
    return (u64)c->mmu.ctx_id << 32 | c->exec->mode;
}
/* The set of two entries where rip may be; the newer one stands first. Near addresses do not meet. */
static inline struct jump_entry *jump_set(struct exec_cpu *x, u64 rip)
{
    return &x->jump[(rip ^ rip >> JUMP_BITS ^ rip >> 2 * JUMP_BITS) & ((1u << JUMP_BITS) - 2)];
}
static inline const struct jump_entry *jump_find(const struct vcpu *c, u64 rip)
{
    const struct jump_entry *j = jump_set(c->exec, rip);
    u64 key = jump_key(c);
    if (LIKELY(j->rip == rip && j->key == key))
        return j;
    j++;
    return j->rip == rip && j->key == key ? j : NULL;
}
static inline void jump_enter(struct vcpu *c, const struct block *b, const struct op *op, u64 page)
{
    u64 rip = page + b->off;
    struct jump_entry *j = jump_set(c->exec, rip);
    if (j->rip != rip)
        j[1] = j[0];
    *j = (struct jump_entry){ .rip = rip, .key = jump_key(c), .op = op, .charge = b->charge, .page = page };
}

/* Walks are charged where they happen: those of a fetch before the instruction, those of its data after it, those of an event's
 * delivery with it; never later, or engines with fewer slow paths would show other times. */
static inline void charge_walks(struct vcpu *c)
{
    if (UNLIKELY(c->mmu.walk_refs)) {
        cpu_charge(c, (u64)c->mmu.walk_refs * c->cost[TIME_walk_ref]);
        c->mmu.walk_refs = 0;
    }
}

/* Physical interrupts are let in: by the guest's IF, or by the host's under V_INTR_MASKING. [APM2 15.21.1] */
static inline bool intr_enabled(const struct vcpu *c)
{
    return c->guest && c->v_intr_masking ? c->host_if : (c->st.rflags & FL_IF) != 0;
}

/* Is there something to look at between two instructions? An interrupt that IF holds back is not: what lets it in ends the block. */
static inline bool event_due(const struct vcpu *c)
{
    if (LIKELY(!c->pending))
        return false;
    if (c->pending & ~(u32)PEND_INTR)
        return true;
    return intr_enabled(c);
}

/* deliver.c */
/* Tells the event hook. */
void exec_tell_event(struct vcpu *c, const struct event *ev);
static inline void tell_event(struct vcpu *c, const struct event *ev)
{
    if (UNLIKELY(c->exec->tells_events))
        exec_tell_event(c, ev);
}
static inline void tell_kind(struct vcpu *c, enum ev_kind kind)
{
    tell_event(c, &(struct event){ .kind = (u8)kind });
}
void exec_deliver(struct vcpu *c); /* consumes c->ev; may end in shutdown (st.activity) */
void exec_shutdown(struct vcpu *c); /* the shutdown condition: its intercept, or st.activity */

#endif
