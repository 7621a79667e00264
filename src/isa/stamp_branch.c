// SPDX-License-Identifier: MIT
/* Control transfers, and compares or steps fused with the Jcc behind them. The slot after a branch op is its taken link, the one behind
 * that (Jcc) the not-taken link. */
#include "isa/stamped.h"

#if SVMEMU_STAMP_FULL

#define SVMEMU_STAMPING 1
#include "isa/arith.c"
#include "isa/logic.c"
#include "isa/shift.c"
#include "isa/stamp.h"

HANDLER(jmp_link)
{
    FOLLOW(op + 1);
}

HANDLER(call_link)
{
    u64 lin = c->st.gpr[RSP] - 8;
    const struct xlat *e = xl_of(fast, lin);
    if (!hit_wr(e, lin, 8))
        return op_generic_last(c, op, fast);
    host_wr(lin + e->addend, 8, c->st.gpr[GPR_PAGE] + op->imm);
    c->st.gpr[RSP] = lin;
    FOLLOW(op + 1);
}

/* Indirect: through the jump cache. The first entry of a set is looked at here, the rest out of line. */
static COLD __attribute__((noinline)) const struct op *jump_slow(struct vcpu *c, u64 rip)
{
    const struct op *op = chain_to(c, rip);
    if (!op)
        c->st.rip = rip;
    return op;
}

/* The second entry of the set. */
static __attribute__((noinline)) const struct op *jump_second(struct vcpu *c, u64 rip, const struct xlat *fast)
{
    const struct jump_entry *j = jump_set(c->exec, rip) + 1;
    i64 left = c->budget - j->charge;
    if (UNLIKELY(j->rip != rip || j->key != jump_key(c) || left < 0)) {
        const struct op *op = jump_slow(c, rip);
        if (!op)
            return NULL;
        fast = c->mmu.fast;
        GO(op);
    }
    c->budget = left;
    c->st.gpr[GPR_PAGE] = j->page;
    GO(j->op);
}

static inline const struct op *jump_to(struct vcpu *c, u64 rip, const struct xlat *fast)
{
    const struct jump_entry *j = jump_set(c->exec, rip);
    i64 left = c->budget - j->charge;
    if (UNLIKELY(j->rip != rip || j->key != jump_key(c) || left < 0))
        return jump_second(c, rip, fast);
    c->budget = left;
    c->st.gpr[GPR_PAGE] = j->page;
    GO(j->op);
}

/* Near transfers: what faults is left to the generic body, before anything has changed. */
static inline const struct op *jump_near(struct vcpu *c, const struct op *op, const struct xlat *fast, u64 rip)
{
    if (UNLIKELY(sext_bit(rip, 47) != rip))
        return op_generic_last(c, op, fast);
    return jump_to(c, rip, fast);
}

static inline const struct op *call_near(struct vcpu *c, const struct op *op, const struct xlat *fast, u64 rip)
{
    u64 lin = c->st.gpr[RSP] - 8;
    const struct xlat *e = xl_of(fast, lin);
    if (!hit_wr(e, lin, 8) || UNLIKELY(sext_bit(rip, 47) != rip))
        return op_generic_last(c, op, fast);
    host_wr(lin + e->addend, 8, c->st.gpr[GPR_PAGE] + op->imm);
    c->st.gpr[RSP] = lin;
    return jump_to(c, rip, fast);
}

/* Direct, to another page. */
static inline u64 out_of_page(const struct vcpu *c, const struct op *op)
{
    return c->st.gpr[GPR_PAGE] + (u64)(i64)op[1].disp;
}

HANDLER(jmp_out) { return jump_near(c, op, fast, out_of_page(c, op)); }
HANDLER(call_out) { return call_near(c, op, fast, out_of_page(c, op)); }
HANDLER(jmp_r) { return jump_near(c, op, fast, reg_rd(c, op->r0, 8)); }
HANDLER(call_r) { return call_near(c, op, fast, reg_rd(c, op->r0, 8)); }

HANDLER(jmp_m)
{
    u64 at = ea_of(c, op);
    const struct xlat *e = xl_of(fast, at);
    if (!hit_rd(e, at, 8))
        return op_generic_last(c, op, fast);
    return jump_near(c, op, fast, host_rd(at + e->addend, 8));
}

HANDLER(call_m)
{
    u64 at = ea_of(c, op);
    const struct xlat *e = xl_of(fast, at);
    if (!hit_rd(e, at, 8))
        return op_generic_last(c, op, fast);
    return call_near(c, op, fast, host_rd(at + e->addend, 8));
}

HANDLER(ret_near)
{
    u64 lin = c->st.gpr[RSP];
    const struct xlat *e = xl_of(fast, lin);
    if (!hit_rd(e, lin, 8))
        return op_generic_last(c, op, fast);
    u64 rip = host_rd(lin + e->addend, 8);
    if (UNLIKELY(sext_bit(rip, 47) != rip))
        return op_generic_last(c, op, fast);
    c->st.gpr[RSP] = lin + 8;
    return jump_to(c, rip, fast);
}

#define STAMP_JCC(_, cc)            \
    HANDLER(jcc_##cc)               \
    {                               \
        if (flags_cond(&c->fl, cc)) \
            FOLLOW(op + 1);         \
        FOLLOW(op + 2);             \
    }
CC_LIST(STAMP_JCC, _)
#define CC_NAME(pre, cc) pre##cc,

/* ---- compare or test fused with the Jcc behind it: op is the compare, op + 1 the plain Jcc, op + 2 and op + 3 its links ---- */

static inline bool cond_cmp(unsigned cc, unsigned w, u64 a, u64 b)
{
    u64 ua = zext(a, w), ub = zext(b, w);
    i64 sa = (i64)sext(a, w), sb = (i64)sext(b, w);
    struct flags f;
    switch (cc) {
    case 2: return ua < ub;
    case 3: return ua >= ub;
    case 4: return ua == ub;
    case 5: return ua != ub;
    case 6: return ua <= ub;
    case 7: return ua > ub;
    case 12: return sa < sb;
    case 13: return sa >= sb;
    case 14: return sa <= sb;
    case 15: return sa > sb;
    default:
        flags_sub(&f, w, a, b, a - b);
        return flags_cond(&f, cc);
    }
}

static inline bool cond_test(unsigned cc, unsigned w, u64 a, u64 b)
{
    struct flags f;
    flags_logic(&f, w, a & b);
    return flags_cond(&f, cc);
}

#define FUSED(n, w, cc, form, A, B, PRE) \
    HANDLER(j_##n##_##form##_##w##_##cc) \
    {                                    \
        PRE                              \
        u64 a_ = (A), b_ = (B);          \
        tst_##n(&c->fl, w, a_, b_);      \
        if (cond_##n(cc, w, a_, b_))     \
            FOLLOW(op + 2);              \
        FOLLOW(op + 3);                  \
    }
#define FUSE_LOAD(w)        \
    u64 lin = ea_of(c, op); \
    FAST_RD(lin, w);
#define FUSE_REG(n, w, cc)                                            \
    FUSED(n, w, cc, rr, reg_rd(c, op->r0, w), reg_rd(c, op->r1, w), ) \
    FUSED(n, w, cc, ri, reg_rd(c, op->r0, w), op->imm, )
#define FUSE_MEM(n, w, cc)                                                               \
    FUSED(n, w, cc, rm, reg_rd(c, op->r0, w), host_rd(lin + e->addend, w), FUSE_LOAD(w)) \
    FUSED(n, w, cc, mr, host_rd(lin + e->addend, w), reg_rd(c, op->r0, w), FUSE_LOAD(w)) \
    FUSED(n, w, cc, mi, host_rd(lin + e->addend, w), op->imm, FUSE_LOAD(w))
#define FUSE_ALL(n) CC_LIST(FUSE_REG, n, 1) CC_LIST(FUSE_MEM, n, 1) CC_LIST(FUSE_MEM, n, 4) CC_LIST(FUSE_MEM, n, 8)
FUSE_ALL(cmp) FUSE_ALL(test)
/* Register forms of 4 and 8 bytes are stamped for each register below. */
#define FUSE_ROW1(n, w, cc) \
    { j_##n##_rr_##w##_##cc, j_##n##_ri_##w##_##cc, j_##n##_rm_##w##_##cc, j_##n##_mr_##w##_##cc, j_##n##_mi_##w##_##cc },
#define FUSE_ROW(n, w, cc) { NULL, NULL, j_##n##_rm_##w##_##cc, j_##n##_mr_##w##_##cc, j_##n##_mi_##w##_##cc },
#define FUSE_TAB(n) { { CC_LIST(FUSE_ROW1, n, 1) }, { CC_LIST(FUSE_ROW, n, 4) }, { CC_LIST(FUSE_ROW, n, 8) } }

/* Compare or test a register with an immediate or itself, fused with the Jcc behind. */
#define JRI_ONE(n, w, cc, d)                                       \
    HANDLER(j_##n##_ri_##w##_##cc##_##d)                           \
    {                                                              \
        u64 a_ = reg_rd(c, (d) * 8, w), b_ = op->imm;              \
        tst_##n(&c->fl, w, a_, b_);                                \
        if (cond_##n(cc, w, a_, b_))                               \
            FOLLOW(op + 2);                                        \
        FOLLOW(op + 3);                                            \
    }                                                              \
    HANDLER(j_##n##_rr_##w##_##cc##_##d)                           \
    {                                                              \
        u64 a_ = reg_rd(c, (d) * 8, w), b_ = reg_rd(c, op->r1, w); \
        tst_##n(&c->fl, w, a_, b_);                                \
        if (cond_##n(cc, w, a_, b_))                               \
            FOLLOW(op + 2);                                        \
        FOLLOW(op + 3);                                            \
    }
#define JRI_CC(n, w, cc) REG_D(JRI_ONE, n, w, cc)
#define JRI_ALL(n, w) CC_LIST(JRI_CC, n, w)
JRI_ALL(cmp, 4) JRI_ALL(cmp, 8) JRI_ALL(test, 4) JRI_ALL(test, 8)
#define JRI_NAME(form, n, w, cc, d) j_##n##_##form##_##w##_##cc##_##d,
#define JRI_NAMES(form, n, w, cc) { REG_D(JRI_NAME, form, n, w, cc) },
#define JRI_TAB(form, n, w) { CC_LIST(JRI_NAMES, form, n, w) }

/* ADD, SUB, AND with an immediate, INC and DEC, fused with the Jcc behind: how loops end. Only the conditions met in practice. */
#define CALL_alu(n, f, w, a, b) alu_##n(f, w, a, b)
#define CALL_un(n, f, w, a, b) un_##n(f, w, a)
#define STEP_ONE(kind, n, w, cc, d)                                      \
    HANDLER(s_##n##_##w##_##cc##_##d)                                    \
    {                                                                    \
        struct flags f_ = c->fl;                                         \
        u64 r_ = CALL_##kind(n, &f_, w, reg_rd(c, (d) * 8, w), op->imm); \
        reg_wr(c, (d) * 8, w, r_);                                       \
        c->fl = f_;                                                      \
        if (flags_cond(&f_, cc))                                         \
            FOLLOW(op + 2);                                              \
        FOLLOW(op + 3);                                                  \
    }
#define STEP_CC(kind, n, cc) REG_D(STEP_ONE, kind, n, 4, cc) REG_D(STEP_ONE, kind, n, 8, cc)
#define STEP_EQ(kind, n) STEP_CC(kind, n, 4) STEP_CC(kind, n, 5) STEP_CC(kind, n, 8) STEP_CC(kind, n, 9)
#define STEP_CF(kind, n) STEP_EQ(kind, n) STEP_CC(kind, n, 2) STEP_CC(kind, n, 3)
STEP_CF(alu, add) STEP_CF(alu, sub) STEP_EQ(alu, and) STEP_EQ(un, inc) STEP_EQ(un, dec)
/* How counting loops end: ADD of an immediate, a compare of the sum, and the Jcc behind them. op + 1 is the
 * compare, op + 2 the plain Jcc, op + 3 and op + 4 its links. */
#define LOOP_ONE(form, A, B, w, cc, d)                                       \
    HANDLER(l_##form##_##w##_##cc##_##d)                                     \
    {                                                                        \
        u64 sum_ = alu_add(NULL, w, reg_rd(c, (d) * 8, w), op->imm);         \
        reg_wr(c, (d) * 8, w, sum_);                                         \
        u64 a_ = A, b_ = B;                                                  \
        tst_cmp(&c->fl, w, a_, b_);                                          \
        if (cond_cmp(cc, w, a_, b_))                                         \
            FOLLOW(op + 3);                                                  \
        FOLLOW(op + 4);                                                      \
    }
#define LOOP_FORMS(w, cc, d)                                                 \
    LOOP_ONE(rr, sum_, reg_rd(c, op[1].r1, w), w, cc, d)                     \
    LOOP_ONE(ri, sum_, op[1].imm, w, cc, d)                                  \
    LOOP_ONE(swapped, reg_rd(c, op[1].r0, w), sum_, w, cc, d)
#define LOOP_CC(w, cc) REG_D(LOOP_FORMS, w, cc)
CC_LIST(LOOP_CC, 4) CC_LIST(LOOP_CC, 8)
#define LOOP_NAME(form, w, cc, d) l_##form##_##w##_##cc##_##d,
#define LOOP_NAMES(form, w, cc) { REG_D(LOOP_NAME, form, w, cc) },
#define LOOP_TAB(form) { { CC_LIST(LOOP_NAMES, form, 4) }, { CC_LIST(LOOP_NAMES, form, 8) } }

#define STEP_NAME(n, w, cc, d) s_##n##_##w##_##cc##_##d,
#define STEP_AT(n, w, cc) [cc] = { REG_D(STEP_NAME, n, w, cc) }
#define EQ_TAB(n, w) STEP_AT(n, w, 4), STEP_AT(n, w, 5), STEP_AT(n, w, 8), STEP_AT(n, w, 9)
#define CF_TAB(n, w) EQ_TAB(n, w), STEP_AT(n, w, 2), STEP_AT(n, w, 3)

const struct stamped_branch stamped_branch = {
    .jcc = { CC_LIST(CC_NAME, jcc_) },
    .fused = { FUSE_TAB(cmp), FUSE_TAB(test) },
    .fused_reg = { /* [immediate][test][64-bit][cc][register] */
    { { JRI_TAB(rr, cmp, 4), JRI_TAB(rr, cmp, 8) }, { JRI_TAB(rr, test, 4), JRI_TAB(rr, test, 8) } },
    { { JRI_TAB(ri, cmp, 4), JRI_TAB(ri, cmp, 8) }, { JRI_TAB(ri, test, 4), JRI_TAB(ri, test, 8) } },
},
    .step = {
    { { CF_TAB(add, 4) }, { CF_TAB(add, 8) } }, { { CF_TAB(sub, 4) }, { CF_TAB(sub, 8) } }, { { EQ_TAB(and, 4) }, { EQ_TAB(and, 8) } },
    { { EQ_TAB(inc, 4) }, { EQ_TAB(inc, 8) } }, { { EQ_TAB(dec, 4) }, { EQ_TAB(dec, 8) } },
},
    .loop = { LOOP_TAB(rr), LOOP_TAB(ri), LOOP_TAB(swapped) },
    .jmp_link = jmp_link, .jmp_out = jmp_out, .call_link = call_link, .call_out = call_out, .ret_near = ret_near, .jmp_r = jmp_r, .call_r = call_r, .jmp_m = jmp_m, .call_m = call_m,
};

#endif
