// SPDX-License-Identifier: MIT
/* Handlers stamped from the pure bodies for width, operand form and flag recording, operands by byte offset in the op: what is rare, or
 * has too many register pairs. Only for 64-bit code and flat 32-bit data; everything else runs through op_generic. */
#include "isa/stamped.h"

#if SVMEMU_STAMP_FULL

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

#define ROW5(n, rec, w) { n##_rr_##rec##w, n##_ri_##rec##w, n##_rm_##rec##w, n##_mr_##rec##w, n##_mi_##rec##w }
#define ALU_TAB(kind, n) \
    { { ROW5(n, x, 1), ROW5(n, x, 2), ROW5(n, x, 4), ROW5(n, x, 8) }, { ROW5(n, f, 1), ROW5(n, f, 2), ROW5(n, f, 4), ROW5(n, f, 8) } },
op_fn *const alu_tab[7][2][4][F_COUNT] = { ALU_LIST(ALU_TAB) };

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
op_fn *const tst_tab[2][4][F_COUNT] = {
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
op_fn *const un_tab[4][2][4][2] = { UN_LIST(UN_TAB) };

/* ---- shifts by immediate and by CL ---- */

#define STAMP_SH1(n, k, w, rec, F, COUNT)                                                                            \
    HANDLER(n##_r##k##_##rec##w) { reg_wr(c, op->r0, w, alu_##n(F, w, reg_rd(c, op->r0, w), COUNT)); GO(op + 1); }   \
    HANDLER(n##_m##k##_##rec##w)                                                                                     \
    {                                                                                                                \
        u64 lin = ea_of(c, op);                                                                                      \
        FAST_WR(lin, w);                                                                                             \
        u64 p = lin + e->addend;                                                                                     \
        host_wr(p, w, alu_##n(F, w, host_rd(p, w), COUNT));                                                          \
        GO(op + 1);                                                                                                  \
    }
#define STAMP_SH(n, w, rec, F) STAMP_SH1(n, i, w, rec, F, op->imm) STAMP_SH1(n, c, w, rec, F, (u8)c->st.gpr[RCX])
#define SH_LIST(X) X(shl) X(shr) X(sar) X(rol) X(ror)
#define SH_PAIR(n, w) STAMP_SH(n, w, f, &c->fl) STAMP_SH(n, w, x, NULL)
#define SH_W(n) W_ALL(SH_PAIR, n)
SH_LIST(SH_W)
#define SH4(n, rec, w) { { n##_ri_##rec##w, n##_rc_##rec##w }, { n##_mi_##rec##w, n##_mc_##rec##w } }
#define SH2(n, rec) { SH4(n, rec, 1), SH4(n, rec, 2), SH4(n, rec, 4), SH4(n, rec, 8) }
#define SH_TAB(n) { SH2(n, x), SH2(n, f) },
op_fn *const sh_tab[5][2][4][2][2] = { SH_LIST(SH_TAB) };

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
op_fn *const mov_tab[4][F_COUNT] = { MOV5(1), MOV5(2), MOV5(4), MOV5(8) };

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
op_fn *const ext_tab[2][3][4][2] = { EXTS(zx), EXTS(sx) };

#define STAMP_SET(_, cc) HANDLER(setcc_##cc) { reg_wr(c, op->r0, 1, flags_cond(&c->fl, cc)); GO(op + 1); }
CC_LIST(STAMP_SET, _)
#define CC_NAME(pre, cc) pre##cc,
op_fn *const setcc_tab[16] = { CC_LIST(CC_NAME, setcc_) };

/* Addresses that are more than base + index * scale + displacement go through the temporary. */
HANDLER_(agu) { c->st.gpr[GPR_TMP] = ea_x(c, op); GO(op + 1); }
HANDLER_(agu32) { c->st.gpr[GPR_TMP] = (u32)ea_x(c, op); GO(op + 1); }
HANDLER_(op_nop) { (void)c; GO(op + 1); }

HANDLER_(push_i)
{
    u64 lin = c->st.gpr[RSP] - 8;
    FAST_WR(lin, 8);
    host_wr(lin + e->addend, 8, op->imm);
    c->st.gpr[RSP] = lin;
    GO(op + 1);
}

#endif
