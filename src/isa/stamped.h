// SPDX-License-Identifier: MIT
/* Handlers stamped from the pure bodies for width, operand form and flag recording, and the tables by which lower.c finds them.
 * Included by lower.c only. Only for 64-bit code and flat 32-bit data; everything else runs through op_generic. */
#ifndef SVMEMU_ISA_STAMPED_H
#define SVMEMU_ISA_STAMPED_H

#define SVMEMU_STAMPING 1
#include "isa/arith.c"
#include "isa/logic.c"
#include "isa/shift.c"
#include "isa/stamp.h"

#define W_ALL(X, ...) X(__VA_ARGS__, 1) X(__VA_ARGS__, 2) X(__VA_ARGS__, 4) X(__VA_ARGS__, 8)

/* ---- two operands: reg,reg  reg,imm  reg,mem  mem,reg  mem,imm ---- */

#define CALL_alu(n, f, w, a, b) alu_##n(f, w, a, b)
#define CALL_aluc(n, f, w, a, b) aluc_##n(f, w, a, b, flag_cf(&c->fl))

#define STAMP_ALU2(kind, n, w, rec, F)                                                                 \
    HANDLER(n##_rr_##rec##w)                                                                           \
    {                                                                                                  \
        reg_wr(c, op->r0, w, CALL_##kind(n, F, w, reg_rd(c, op->r0, w), reg_rd(c, op->r1, w)));        \
        GO(op + 1);                                                                                    \
    }                                                                                                  \
    HANDLER(n##_ri_##rec##w)                                                                           \
    {                                                                                                  \
        reg_wr(c, op->r0, w, CALL_##kind(n, F, w, reg_rd(c, op->r0, w), op->imm));                     \
        GO(op + 1);                                                                                    \
    }                                                                                                  \
    HANDLER(n##_rm_##rec##w)                                                                           \
    {                                                                                                  \
        u64 lin = ea_of(c, op);                                                                        \
        FAST_RD(lin, w);                                                                               \
        reg_wr(c, op->r0, w, CALL_##kind(n, F, w, reg_rd(c, op->r0, w), host_rd(lin + e->addend, w))); \
        GO(op + 1);                                                                                    \
    }                                                                                                  \
    HANDLER(n##_mr_##rec##w)                                                                           \
    {                                                                                                  \
        u64 lin = ea_of(c, op);                                                                        \
        FAST_WR(lin, w);                                                                               \
        u64 p = lin + e->addend;                                                                       \
        host_wr(p, w, CALL_##kind(n, F, w, host_rd(p, w), reg_rd(c, op->r0, w)));                      \
        GO(op + 1);                                                                                    \
    }                                                                                                  \
    HANDLER(n##_mi_##rec##w)                                                                           \
    {                                                                                                  \
        u64 lin = ea_of(c, op);                                                                        \
        FAST_WR(lin, w);                                                                               \
        u64 p = lin + e->addend;                                                                       \
        host_wr(p, w, CALL_##kind(n, F, w, host_rd(p, w), op->imm));                                   \
        GO(op + 1);                                                                                    \
    }

#define ALU_PAIR(kind, n, w) STAMP_ALU2(kind, n, w, f, &c->fl) STAMP_ALU2(kind, n, w, x, NULL)
#define ALU_LIST(X) X(alu, add) X(alu, or) X(alu, and) X(alu, sub) X(alu, xor) X(aluc, adc) X(aluc, sbb)
#define ALU_W(kind, n) W_ALL(ALU_PAIR, kind, n)
ALU_LIST(ALU_W)

enum form { F_RR, F_RI, F_RM, F_MR, F_MI, F_COUNT };
#define ROW5(n, rec, w) { n##_rr_##rec##w, n##_ri_##rec##w, n##_rm_##rec##w, n##_mr_##rec##w, n##_mi_##rec##w }
#define ALU_TAB(kind, n) \
    { { ROW5(n, x, 1), ROW5(n, x, 2), ROW5(n, x, 4), ROW5(n, x, 8) }, { ROW5(n, f, 1), ROW5(n, f, 2), ROW5(n, f, 4), ROW5(n, f, 8) } },
static op_fn *const alu_tab[][2][4][F_COUNT] = { ALU_LIST(ALU_TAB) };

/* ---- compare and test: no result ---- */

#define STAMP_TST2(n, w)                                                                                \
    HANDLER(n##_rr_##w) { tst_##n(&c->fl, w, reg_rd(c, op->r0, w), reg_rd(c, op->r1, w)); GO(op + 1); } \
    HANDLER(n##_ri_##w) { tst_##n(&c->fl, w, reg_rd(c, op->r0, w), op->imm); GO(op + 1); }              \
    HANDLER(n##_rm_##w)                                                                                 \
    {                                                                                                   \
        u64 lin = ea_of(c, op);                                                                         \
        FAST_RD(lin, w);                                                                                \
        tst_##n(&c->fl, w, reg_rd(c, op->r0, w), host_rd(lin + e->addend, w));                          \
        GO(op + 1);                                                                                     \
    }                                                                                                   \
    HANDLER(n##_mr_##w)                                                                                 \
    {                                                                                                   \
        u64 lin = ea_of(c, op);                                                                         \
        FAST_RD(lin, w);                                                                                \
        tst_##n(&c->fl, w, host_rd(lin + e->addend, w), reg_rd(c, op->r0, w));                          \
        GO(op + 1);                                                                                     \
    }                                                                                                   \
    HANDLER(n##_mi_##w)                                                                                 \
    {                                                                                                   \
        u64 lin = ea_of(c, op);                                                                         \
        FAST_RD(lin, w);                                                                                \
        tst_##n(&c->fl, w, host_rd(lin + e->addend, w), op->imm);                                       \
        GO(op + 1);                                                                                     \
    }
STAMP_TST2(cmp, 1) STAMP_TST2(cmp, 2) STAMP_TST2(cmp, 4) STAMP_TST2(cmp, 8)
STAMP_TST2(test, 1) STAMP_TST2(test, 2) STAMP_TST2(test, 4) STAMP_TST2(test, 8)
#define TST5(n, w) { n##_rr_##w, n##_ri_##w, n##_rm_##w, n##_mr_##w, n##_mi_##w }
static op_fn *const tst_tab[][4][F_COUNT] = {
    { TST5(cmp, 1), TST5(cmp, 2), TST5(cmp, 4), TST5(cmp, 8) },
    { TST5(test, 1), TST5(test, 2), TST5(test, 4), TST5(test, 8) },
};

/* ---- one operand ---- */

#define STAMP_UN1(n, w, rec, F)                                                                       \
    HANDLER(n##_r_##rec##w) { reg_wr(c, op->r0, w, un_##n(F, w, reg_rd(c, op->r0, w))); GO(op + 1); } \
    HANDLER(n##_m_##rec##w)                                                                           \
    {                                                                                                 \
        u64 lin = ea_of(c, op);                                                                       \
        FAST_WR(lin, w);                                                                              \
        u64 p = lin + e->addend;                                                                      \
        host_wr(p, w, un_##n(F, w, host_rd(p, w)));                                                   \
        GO(op + 1);                                                                                   \
    }
#define UN_PAIR(n, w) STAMP_UN1(n, w, f, &c->fl) STAMP_UN1(n, w, x, NULL)
#define UN_LIST(X) X(inc) X(dec) X(neg) X(not)
#define UN_W(n) W_ALL(UN_PAIR, n)
UN_LIST(UN_W)
#define UN2(n, rec) { { n##_r_##rec##1, n##_m_##rec##1 }, { n##_r_##rec##2, n##_m_##rec##2 }, \
                      { n##_r_##rec##4, n##_m_##rec##4 }, { n##_r_##rec##8, n##_m_##rec##8 } }
#define UN_TAB(n) { UN2(n, x), UN2(n, f) },
static op_fn *const un_tab[][2][4][2] = { UN_LIST(UN_TAB) };

/* ---- shifts of registers: by immediate, by CL ---- */

#define STAMP_SH(n, w, rec, F)                                                                                  \
    HANDLER(n##_i_##rec##w) { reg_wr(c, op->r0, w, alu_##n(F, w, reg_rd(c, op->r0, w), op->imm)); GO(op + 1); } \
    HANDLER(n##_c_##rec##w) { reg_wr(c, op->r0, w, alu_##n(F, w, reg_rd(c, op->r0, w), (u8)c->st.gpr[RCX])); GO(op + 1); }
#define SH_LIST(X) X(shl) X(shr) X(sar) X(rol) X(ror)
#define SH_PAIR(n, w) STAMP_SH(n, w, f, &c->fl) STAMP_SH(n, w, x, NULL)
#define SH_W(n) W_ALL(SH_PAIR, n)
SH_LIST(SH_W)
#define SH2(n, rec) { { n##_i_##rec##1, n##_c_##rec##1 }, { n##_i_##rec##2, n##_c_##rec##2 }, \
                      { n##_i_##rec##4, n##_c_##rec##4 }, { n##_i_##rec##8, n##_c_##rec##8 } }
#define SH_TAB(n) { SH2(n, x), SH2(n, f) },
static op_fn *const sh_tab[][2][4][2] = { SH_LIST(SH_TAB) };

/* ---- signed multiply into a register; the body stands in muldiv.c and is called, not folded ---- */

u64 alu_imul(struct flags *f, unsigned width, u64 a, u64 b);
#define STAMP_IMUL(w, rec, F)                                                                                                   \
    HANDLER(imul_rr_##rec##w) { reg_wr(c, op->r0, w, alu_imul(F, w, reg_rd(c, op->r0, w), reg_rd(c, op->r1, w))); GO(op + 1); } \
    HANDLER(imul_rri_##rec##w) { reg_wr(c, op->r0, w, alu_imul(F, w, reg_rd(c, op->r1, w), op->imm)); GO(op + 1); }             \
    HANDLER(imul_rm_##rec##w)                                                                                                   \
    {                                                                                                                           \
        u64 lin = ea_of(c, op);                                                                                                 \
        FAST_RD(lin, w);                                                                                                        \
        reg_wr(c, op->r0, w, alu_imul(F, w, reg_rd(c, op->r0, w), host_rd(lin + e->addend, w)));                                \
        GO(op + 1);                                                                                                             \
    }
STAMP_IMUL(4, f, &c->fl) STAMP_IMUL(8, f, &c->fl) STAMP_IMUL(4, x, NULL) STAMP_IMUL(8, x, NULL)
enum { IMUL_RR, IMUL_RRI, IMUL_RM };
static op_fn *const imul_tab[2][2][3] = {
    { { imul_rr_x4, imul_rri_x4, imul_rm_x4 }, { imul_rr_x8, imul_rri_x8, imul_rm_x8 } },
    { { imul_rr_f4, imul_rri_f4, imul_rm_f4 }, { imul_rr_f8, imul_rri_f8, imul_rm_f8 } },
};

/* ---- moves ---- */

#define STAMP_MOV(w)                                                                \
    HANDLER(mov_rr_##w) { reg_wr(c, op->r0, w, reg_rd(c, op->r1, w)); GO(op + 1); } \
    HANDLER(mov_ri_##w) { reg_wr(c, op->r0, w, op->imm); GO(op + 1); }              \
    HANDLER(mov_rm_##w)                                                             \
    {                                                                               \
        u64 lin = ea_of(c, op);                                                     \
        FAST_RD(lin, w);                                                            \
        reg_wr(c, op->r0, w, host_rd(lin + e->addend, w));                          \
        GO(op + 1);                                                                 \
    }                                                                               \
    HANDLER(mov_mr_##w)                                                             \
    {                                                                               \
        u64 lin = ea_of(c, op);                                                     \
        FAST_WR(lin, w);                                                            \
        host_wr(lin + e->addend, w, reg_rd(c, op->r0, w));                          \
        GO(op + 1);                                                                 \
    }                                                                               \
    HANDLER(mov_mi_##w)                                                             \
    {                                                                               \
        u64 lin = ea_of(c, op);                                                     \
        FAST_WR(lin, w);                                                            \
        host_wr(lin + e->addend, w, op->imm);                                       \
        GO(op + 1);                                                                 \
    }
STAMP_MOV(1) STAMP_MOV(2) STAMP_MOV(4) STAMP_MOV(8)
#define MOV5(w) { mov_rr_##w, mov_ri_##w, mov_rm_##w, mov_mr_##w, mov_mi_##w }
static op_fn *const mov_tab[4][F_COUNT] = { MOV5(1), MOV5(2), MOV5(4), MOV5(8) };

#define STAMP_EXT(name, X, s, d)                                                               \
    HANDLER(name##_r_##s##d) { reg_wr(c, op->r0, d, X(reg_rd(c, op->r1, s), s)); GO(op + 1); } \
    HANDLER(name##_m_##s##d)                                                                   \
    {                                                                                          \
        u64 lin = ea_of(c, op);                                                                \
        FAST_RD(lin, s);                                                                       \
        reg_wr(c, op->r0, d, X(host_rd(lin + e->addend, s), s));                               \
        GO(op + 1);                                                                            \
    }
#define EXT_ALL(name, X) STAMP_EXT(name, X, 1, 2) STAMP_EXT(name, X, 1, 4) STAMP_EXT(name, X, 1, 8) \
    STAMP_EXT(name, X, 2, 2) STAMP_EXT(name, X, 2, 4) STAMP_EXT(name, X, 2, 8) STAMP_EXT(name, X, 4, 4) STAMP_EXT(name, X, 4, 8)
EXT_ALL(zx, zext) EXT_ALL(sx, sext)
/* [signed][log2 source][log2 destination][memory] */
#define EXT2(n, s, d) { n##_r_##s##d, n##_m_##s##d }
#define EXTS(n) { { { 0 }, EXT2(n, 1, 2), EXT2(n, 1, 4), EXT2(n, 1, 8) }, { { 0 }, EXT2(n, 2, 2), EXT2(n, 2, 4), EXT2(n, 2, 8) }, \
                  { { 0 }, { 0 }, EXT2(n, 4, 4), EXT2(n, 4, 8) } }
static op_fn *const ext_tab[2][3][4][2] = { EXTS(zx), EXTS(sx) };

HANDLER(lea_8) { reg_wr(c, op->r0, 8, ea_of(c, op)); GO(op + 1); }
HANDLER(lea_4) { reg_wr(c, op->r0, 4, ea_of(c, op)); GO(op + 1); }
/* Addresses that are not base + displacement go through the temporary: base + index * scale + disp [+ segment base]. */
HANDLER(agu) { c->st.gpr[GPR_TMP] = ea_of(c, op) + (*(const u64a *)((const u8 *)c + op->r0) << op->aux); GO(op + 1); }
HANDLER(agu32) { c->st.gpr[GPR_TMP] = (u32)(ea_of(c, op) + (*(const u64a *)((const u8 *)c + op->r0) << op->aux)); GO(op + 1); }
HANDLER(agu_rip) { c->st.gpr[GPR_TMP] = c->ip_page + op->imm; GO(op + 1); }
HANDLER(agu_seg) { c->st.gpr[GPR_TMP] += c->st.seg[op->r0].base; GO(op + 1); }
HANDLER(fence_op) { (void)c; GO(op + 1); }

/* ---- stack, 64-bit ---- */

HANDLER(push_r)
{
    u64 lin = c->st.gpr[RSP] - 8;
    FAST_WR(lin, 8);
    host_wr(lin + e->addend, 8, reg_rd(c, op->r0, 8));
    c->st.gpr[RSP] = lin;
    GO(op + 1);
}

HANDLER(push_i)
{
    u64 lin = c->st.gpr[RSP] - 8;
    FAST_WR(lin, 8);
    host_wr(lin + e->addend, 8, op->imm);
    c->st.gpr[RSP] = lin;
    GO(op + 1);
}

HANDLER(pop_r)
{
    u64 lin = c->st.gpr[RSP];
    FAST_RD(lin, 8);
    u64 v = host_rd(lin + e->addend, 8);
    c->st.gpr[RSP] = lin + 8;
    reg_wr(c, op->r0, 8, v);
    GO(op + 1);
}

/* ---- control transfers. The slot after a branch op is its taken link, the one behind that (Jcc) the not-taken link ---- */

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
    host_wr(lin + e->addend, 8, c->ip_page + op->imm);
    c->st.gpr[RSP] = lin;
    FOLLOW(op + 1);
}

static inline const struct op *jump_to(struct vcpu *c, u64 rip, const struct xlat *fast)
{
    const struct op *op = chain_to(c, rip);
    if (!op) {
        c->st.rip = rip;
        return NULL;
    }
    GO(op);
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

HANDLER(jmp_r)
{
    u64 rip = reg_rd(c, op->r0, 8);
    if (UNLIKELY(sext_bit(rip, 47) != rip))
        return op_generic_last(c, op, fast);
    return jump_to(c, rip, fast);
}

HANDLER(jmp_m)
{
    u64 lin = ea_of(c, op);
    const struct xlat *e = xl_of(fast, lin);
    if (!hit_rd(e, lin, 8))
        return op_generic_last(c, op, fast);
    u64 rip = host_rd(lin + e->addend, 8);
    if (UNLIKELY(sext_bit(rip, 47) != rip))
        return op_generic_last(c, op, fast);
    return jump_to(c, rip, fast);
}

HANDLER(call_m)
{
    u64 at = ea_of(c, op), lin = c->st.gpr[RSP] - 8;
    const struct xlat *e = xl_of(fast, lin), *t = xl_of(fast, at);
    if (!hit_wr(e, lin, 8) || !hit_rd(t, at, 8))
        return op_generic_last(c, op, fast);
    u64 rip = host_rd(at + t->addend, 8);
    if (UNLIKELY(sext_bit(rip, 47) != rip))
        return op_generic_last(c, op, fast);
    host_wr(lin + e->addend, 8, c->ip_page + op->imm);
    c->st.gpr[RSP] = lin;
    return jump_to(c, rip, fast);
}

HANDLER(call_r)
{
    u64 lin = c->st.gpr[RSP] - 8, rip = reg_rd(c, op->r0, 8);
    const struct xlat *e = xl_of(fast, lin);
    if (!hit_wr(e, lin, 8) || UNLIKELY(sext_bit(rip, 47) != rip))
        return op_generic_last(c, op, fast);
    host_wr(lin + e->addend, 8, c->ip_page + op->imm);
    c->st.gpr[RSP] = lin;
    return jump_to(c, rip, fast);
}

#define CC_LIST(X, ...) X(__VA_ARGS__, 0) X(__VA_ARGS__, 1) X(__VA_ARGS__, 2) X(__VA_ARGS__, 3) X(__VA_ARGS__, 4) X(__VA_ARGS__, 5) \
    X(__VA_ARGS__, 6) X(__VA_ARGS__, 7) X(__VA_ARGS__, 8) X(__VA_ARGS__, 9) X(__VA_ARGS__, 10) X(__VA_ARGS__, 11)                   \
    X(__VA_ARGS__, 12) X(__VA_ARGS__, 13) X(__VA_ARGS__, 14) X(__VA_ARGS__, 15)

#define STAMP_CC(_, cc)                                                                               \
    HANDLER(jcc_##cc)                                                                                 \
    {                                                                                                 \
        if (flags_cond(&c->fl, cc))                                                                   \
            FOLLOW(op + 1);                                                                           \
        FOLLOW(op + 2);                                                                               \
    }                                                                                                 \
    HANDLER(setcc_##cc) { reg_wr(c, op->r0, 1, flags_cond(&c->fl, cc)); GO(op + 1); }                 \
    HANDLER(cmov4_##cc)                                                                               \
    {                                                                                                 \
        u64 pick_ = 0 - (u64)flags_cond(&c->fl, cc);                                                  \
        u64 old_ = reg_rd(c, op->r0, 4);                                                              \
        reg_wr(c, op->r0, 4, old_ ^ ((old_ ^ reg_rd(c, op->r1, 4)) & pick_));                         \
        GO(op + 1);                                                                                   \
    }                                                                                                 \
    HANDLER(cmov8_##cc)                                                                               \
    {                                                                                                 \
        u64 pick_ = 0 - (u64)flags_cond(&c->fl, cc); /* guests use it where they could not predict */ \
        u64 old_ = reg_rd(c, op->r0, 8);                                                              \
        reg_wr(c, op->r0, 8, old_ ^ ((old_ ^ reg_rd(c, op->r1, 8)) & pick_));                         \
        GO(op + 1);                                                                                   \
    }
CC_LIST(STAMP_CC, _)
#define CC_NAME(pre, cc) pre##cc,
static op_fn *const jcc_tab[16] = { CC_LIST(CC_NAME, jcc_) };
static op_fn *const setcc_tab[16] = { CC_LIST(CC_NAME, setcc_) };
static op_fn *const cmov_tab[2][16] = { { CC_LIST(CC_NAME, cmov4_) }, { CC_LIST(CC_NAME, cmov8_) } };

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
/* Register forms of 4 and 8 bytes are stamped for each register: jri_tab of stamped_reg.h. */
#define FUSE_ROW1(n, w, cc) \
    { j_##n##_rr_##w##_##cc, j_##n##_ri_##w##_##cc, j_##n##_rm_##w##_##cc, j_##n##_mr_##w##_##cc, j_##n##_mi_##w##_##cc },
#define FUSE_ROW(n, w, cc) { NULL, NULL, j_##n##_rm_##w##_##cc, j_##n##_mr_##w##_##cc, j_##n##_mi_##w##_##cc },
#define FUSE_TAB(n) { { CC_LIST(FUSE_ROW1, n, 1) }, { CC_LIST(FUSE_ROW, n, 4) }, { CC_LIST(FUSE_ROW, n, 8) } }
static op_fn *const fuse_tab[2][3][16][F_COUNT] = { FUSE_TAB(cmp), FUSE_TAB(test) };

#endif
