// SPDX-License-Identifier: MIT
/* The execution engine: block cache, threaded ops, event decision and delivery.
 *
 * Counting. vcpu.budget packs (ticks left << 24) | instructions done in this slice. A block is entered only if its whole static cost
 * fits, else its instructions run one by one; an instruction runs if and only if ticks are left before it. So where a slice ends
 * depends on instructions and costs only, never on where blocks begin. */
#ifndef SVMEMU_EXEC_EXEC_H
#define SVMEMU_EXEC_EXEC_H

#include "cpu/vcpu.h"

struct exec;

#define EXEC_MAX_VCPUS 512

struct exec_config {
    unsigned arena_ops;   /* 0: default 256 Ki */
    bool blocks_off;      /* testing: every instruction is fetched, decoded and run alone */
    bool generic_only;    /* testing: no stamped handlers */
};

enum exec_stop {
    EXEC_SLICE,     /* until_ticks reached */
    EXEC_LIMIT,     /* max_insns reached */
    EXEC_HALTED,    /* HLT/MWAIT/wait-for-SIPI and nothing pending */
    EXEC_SHUTDOWN,  /* triple fault (diagnostic emitted) or guest SHUTDOWN state */
    EXEC_STOP,      /* EV_STOP: vcpu.stop_reason */
    EXEC_YIELD,     /* PAUSE/stop request: give others a turn */
};

struct exec *exec_create(struct bus *bus, struct clock *clock, const struct exec_config *cfg);
void exec_destroy(struct exec *e);
bool exec_add_vcpu(struct exec *e, struct vcpu *c);

/* Runs one vCPU until its local time reaches until_ticks, max_insns more instructions were attempted, or it stops.
 * On return c->ticks, c->insns, RIP and flags are folded. */
enum exec_stop exec_run_vcpu(struct exec *e, struct vcpu *c, u64 until_ticks, u64 max_insns);

/* Who is told of what comes, before anything of it has changed the vCPU's state; NULL: nobody. Flags, RIP, insns and ticks are folded. While
 * there is an insn hook every instruction runs by itself: slower, with the same results. Takes effect at once, also from a hook; every
 * vCPU has been added. */
struct exec_hooks {
    void *ctx;
    void (*insn)(void *ctx, struct vcpu *c);  /* before each attempt at the instruction at RIP; a REP that was left is announced again */
    void (*event)(void *ctx, struct vcpu *c, const struct event *ev); /* EV_VMEXIT: c->vx says which */
};
void exec_set_hooks(struct exec *e, const struct exec_hooks *hooks);

/* Drops every block and link (mapping changes, tests). */
void exec_flush(struct exec *e);

struct exec_stats { u64 blocks, block_drops, flushes, steps, entries, ops; };
void exec_get_stats(const struct exec *e, struct exec_stats *out);

/* Runs one decoded instruction through its row's generic body with st.rip and next_rip set by the caller. False: c->ev says why. */
bool exec_insn_generic(struct vcpu *c, const struct insn *in);

/* Every vCPU of the machine that c belongs to; of a bare vCPU (tests) just c. */
void exec_each_vcpu(struct vcpu *c, void (*f)(struct vcpu *c, const void *arg), const void *arg);

/* Folds budget of the running slice into ticks/insns (device accesses need the local time). */
void exec_fold(struct vcpu *c);

#endif
