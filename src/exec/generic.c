// SPDX-License-Identifier: MIT
/* The generic handler: any row, checked accessors. It is the slow path of every stamped handler and all that debug builds run. */
#include "exec/private.h"
#include "timing/cost.h"

/* Kept apart, so that the way to a row's own body is a jump. */
static NOINLINE bool run_alu(struct vcpu *c, const struct insn *in, const struct isa_row *r, const union row_body *b)
{
    unsigned w = in->op[0].size;
    u64 x = 0, y = 0;
    if (in->nops >= 3) { /* destination is not a source: IMUL r, r/m, imm; BMI */
        if (!op_read(c, in, 1, &x) || !op_read(c, in, 2, &y))
            return false;
    } else if (r->kind == KIND_TST) {
        if (!op_read(c, in, 0, &x) || !op_read(c, in, 1, &y))
            return false;
    } else {
        if (!op_read(c, in, 1, &y) || !op_rmw(c, in, 0, &x))
            return false;
    }
    struct flags fl = c->fl;
    u64 v;
    switch (r->kind) {
    case KIND_ALU: v = b->alu(&fl, w, x, y); break;
    case KIND_ALUC: v = b->aluc(&fl, w, x, y, flag_cf(&c->fl)); break;
    default:
        b->tst(&fl, w, x, y);
        c->fl = fl;
        return true;
    }
    if (!op_write(c, in, 0, zext(v, w)))
        return false;
    c->fl = fl;
    return true;
}

static NOINLINE bool run_unary(struct vcpu *c, const struct insn *in, const union row_body *b)
{
    unsigned w = in->op[0].size;
    u64 x;
    if (!op_rmw(c, in, 0, &x))
        return false;
    struct flags fl = c->fl;
    u64 v = b->un(&fl, w, x);
    if (!op_write(c, in, 0, zext(v, w)))
        return false;
    c->fl = fl;
    return true;
}

static COLD bool stop_unimplemented(struct vcpu *c, const struct insn *in)
{
    char hex[64] = "";
    static const char digits[] = "0123456789abcdef";
    unsigned n = 0;
    u64 b = 0;
    for (unsigned i = 0; i < in->len; i++) {
        if (!lin_read(c, cpu_code_lin(c, c->st.rip + i), 1, ACC_R, &b))
            return false;
        hex[n++] = digits[b >> 4 & 15];
        hex[n++] = digits[b & 15];
        hex[n++] = ' ';
    }
    hex[n ? n - 1 : 0] = 0;
    diag_emit(c->diag, DIAG_ERROR, "insn.unimplemented", c->index, c->st.rip, c->insns, NULL,
              "computing with %s (bytes %s) at RIP %#llx is not built yet; the guest was stopped before it",
              isa_rows[in->row].name, hex, (unsigned long long)c->st.rip);
    c->budget += ((i64)timing_insn_ticks(in) << BUDGET_SHIFT) - 1; /* not attempted */
    return cpu_stop(c, 1);
}

/* The order of checks, for all that rows name: #UD, privilege, intercept; the body goes on with operands, memory last [APM2 15.7, 15.9].
 * Rows without a limit are those whose intercept comes before every exception; "body:" in a row's intercept column says that more than the bit or
 * something else comes first, and that the body tests it. The exit code of an intercept is its id. */
static bool row_guard(struct vcpu *c, const struct isa_row *r)
{
    u32 lim = r->limits;
    if ((lim & LIM_SVME) && !(c->st.efer & EFER_SVME) && !((lim & LIM_SKINIT) && cpu_has(c, FEAT_SKINIT)))
        return cpu_raise(c, EXC_UD);
    if ((lim & LIM_PM) && !cpu_protected(c))
        return cpu_raise(c, EXC_UD);
    if (c->st.cpl != 0) {
        bool gp = (lim & LIM_CPL0) || ((lim & LIM_UMIP) && (c->st.cr4 & CR4_UMIP)) || ((lim & LIM_TSD) && (c->st.cr4 & CR4_TSD) && cpu_pe(c));
        if (gp)
            return cpu_raise_err(c, EXC_GP, 0);
    }
    if ((lim & LIM_ICPT) && cpu_icpt(c, r->icpt))
        return cpu_exit(c, r->icpt, 0, 0);
    return true;
}
#define ICPT(id, word, bit, code, ...) _Static_assert(ICPT_##id == (code), #id);
#include "svm/intercept.def"
#undef ICPT

/* Rows whose computing is not built still fault as the manual says before they stop. */
static COLD bool calc_guard(struct vcpu *c, const struct isa_row *r)
{
    bool ts = c->st.cr0 & CR0_TS, em = c->st.cr0 & CR0_EM;
    if (r->limits & LIM_FPU)
        return ts || em ? cpu_raise(c, EXC_NM) : true;
    if (r->limits & LIM_MMX)
        return em ? cpu_raise(c, EXC_UD) : ts ? cpu_raise(c, EXC_NM) : true;
    if (r->limits & LIM_SSE)
        return em || !(c->st.cr4 & CR4_OSFXSR) ? cpu_raise(c, EXC_UD) : ts ? cpu_raise(c, EXC_NM) : true;
    if (r->limits & LIM_AVX) {
        if (!(c->st.cr4 & CR4_OSXSAVE) || (c->st.fpu.xcr0 & 6) != 6 || !cpu_protected(c))
            return cpu_raise(c, EXC_UD);
        return ts ? cpu_raise(c, EXC_NM) : true;
    }
    return true;
}

static COLD bool run_unbuilt(struct vcpu *c, const struct insn *in)
{
    return calc_guard(c, &isa_rows[in->row]) && stop_unimplemented(c, in);
}

static inline bool run_body(struct vcpu *c, const struct insn *in)
{
    const struct isa_row *r = &isa_rows[in->row];
    const union row_body *b = &isa_bodies[in->row];
    switch (r->kind) {
    case KIND_SYS: return b->sys(c, in);
    case KIND_UN: return run_unary(c, in, b);
    case KIND_ALU:
    case KIND_ALUC:
    case KIND_TST: return run_alu(c, in, r, b);
    default: return run_unbuilt(c, in);
    }
}

static NOINLINE bool run_guarded(struct vcpu *c, const struct insn *in)
{
    return row_guard(c, &isa_rows[in->row]) && run_body(c, in);
}

bool exec_insn_generic(struct vcpu *c, const struct insn *in)
{
    return UNLIKELY(isa_rows[in->row].limits & LIM_GUARD) ? run_guarded(c, in) : run_body(c, in);
}

struct exec *exec_of(const struct vcpu *c)
{
    return c->exec->e;
}

/* Runs the instruction that `op` belongs to; true when it completed and the block may go on. The charge of what follows is given back
 * meanwhile: a REP that looks at its budget, or a device that asks for the time, must see what they would see without a block. */
static inline __attribute__((always_inline)) bool run_slot(struct vcpu *c, const struct slot *s)
{
    const struct insn *in = &s->in;
    u64 rip = c->st.gpr[GPR_PAGE] + s->page_off;
    c->st.rip = rip;
    c->next_rip = rip_after(c, rip, in->len);
    c->cur = in;
    c->budget += s->rest;
    bool ok = exec_insn_generic(c, in);
    c->cur = NULL;
    charge_walks(c);
    if (!ok)
        return false;
    if (UNLIKELY(c->rep_unfinished)) {
        c->rep_unfinished = false;
        /* counts and costs its start-up when it completes */
        c->budget += ((i64)timing_insn_ticks(in) << BUDGET_SHIFT) - 1;
        c->attn |= ATTN_BUDGET;
    }
    c->st.rip = c->next_rip;
    i64 left = c->budget - s->rest;
    if (UNLIKELY(c->attn | (left < 0) | c->mmu.evicted) || event_due(c)) {
        c->mmu.evicted = false;
        return false;
    }
    c->budget = left;
    return true;
}

static inline const struct slot *slot_of(const struct exec *e, const struct op *op)
{
    const struct slot *s = &e->slots[op - e->ops];
    return s - s->back;
}

#if SVMEMU_DISPATCH_TAIL
#define NEXT(c, op) return (op)->fn((c), (op), (c)->mmu.fast)
#else
#define NEXT(c, op) return (op)
#endif

const struct op *op_generic(struct vcpu *c, const struct op *op, const struct xlat *fast)
{
    (void)fast;
    struct exec *e = exec_of(c);
    const struct slot *s = slot_of(e, op);
    if (!run_slot(c, s))
        return NULL;
    op = &e->ops[s - e->slots] + s->nslots;
    NEXT(c, op);
}

/* The last instruction of a block when it has no stamped form: goes on through the jump cache. */
const struct op *op_generic_last(struct vcpu *c, const struct op *op, const struct xlat *fast)
{
    (void)fast;
    struct exec *e = exec_of(c);
    const struct slot *s = slot_of(e, op);
    bool end = isa_rows[s->in.row].limits & LIM_END;
    if (!run_slot(c, s) || end)
        return NULL;
    op = chain_to(c, c->st.rip);
    if (!op)
        return NULL;
    NEXT(c, op);
}

/* Block ended by length or at the page's end: into the next one through the link slot behind. */
const struct op *op_fall(struct vcpu *c, const struct op *op, const struct xlat *fast)
{
    const struct op *slot = op + 1;
    i64 left = c->budget - slot->charge;
    if (UNLIKELY(left < 0))
        return op_link_slow(c, slot, fast);
    c->budget = left;
    op = slot->link;
    NEXT(c, op);
}

/* A taken link, not the one of a fall-through or of an untaken Jcc. */
static bool is_taken(const struct slot *s)
{
    return s->back == 1 && s->nslots > 1;
}

const struct op *op_link_slow(struct vcpu *c, const struct op *slot, const struct xlat *fast)
{
    struct exec *e = exec_of(c);
    u64 rip = c->st.gpr[GPR_PAGE] + (u64)(i64)slot->disp;
    if ((c->exec->mode & 3) != MODE_64)
        rip = (u32)rip;
    else if (UNLIKELY(!cpu_canonical(c, rip)) && is_taken(&e->slots[slot - e->ops]))
        return op_generic_last(c, slot - 1, fast); /* the Jcc faults, not its target */
    c->st.rip = rip;
    const struct op *op = chain_to(c, rip);
    if (!op)
        return NULL;
    struct block *b = &e->blocks[e->slots[op - e->ops].block];
    if (slot->charge == CHARGE_UNLINKED && (u32)slot->disp < PAGE_SIZE && b->live) {
        struct op *w = &e->ops[slot - e->ops];
        u32 s = (u32)(slot - e->ops);
        w->link = op;
        w->charge = b->charge;
        e->link_next[s] = b->link_head;
        b->link_head = s + 1;
    }
    NEXT(c, op);
}

/* Jump cache: where execution goes on at rip in the current context; NULL leaves to the outer loop, RIP set. */
const struct op *chain_to(struct vcpu *c, u64 rip)
{
    const struct jump_entry *j = jump_find(c, rip);
    if (!j || c->budget < j->charge)
        return NULL;
    c->budget -= j->charge;
    c->st.gpr[GPR_PAGE] = j->page;
    return j->op;
}

/* Stands in a dropped block's first op, so that the jump cache need not be searched when a block is dropped. */
const struct op *op_dropped(struct vcpu *c, const struct op *op, const struct xlat *fast)
{
    (void)fast;
    struct exec *e = exec_of(c);
    const struct slot *s = &e->slots[op - e->ops];
    c->budget += e->blocks[s->block].charge;
    c->st.rip = c->st.gpr[GPR_PAGE] + s->page_off;
    return NULL;
}
