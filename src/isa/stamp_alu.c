// SPDX-License-Identifier: MIT
/* Arithmetic stamped once more for each register number: with constant offsets the host forwards a guest register from its last store
 * without waiting for it. From the same bodies; 32- and 64-bit. */
#include "isa/stamped.h"

#if SVMEMU_STAMP_FULL

#define SVMEMU_STAMPING 1
#include "isa/arith.c"
#include "isa/logic.c"
#include "isa/shift.c"
#include "isa/stamp.h"

#define alu_copy(f, w, a, b) (b) /* MOV as a body of the same shape */

#define RR_PAIR(n, rec, F, w, d, s)                                                         \
    HANDLER(n##_rr_##rec##w##_##d##_##s)                                                    \
    {                                                                                       \
        reg_wr(c, (d) * 8, w, alu_##n(F, w, reg_rd(c, (d) * 8, w), reg_rd(c, (s) * 8, w))); \
        GO(op + 1);                                                                         \
    }
#define RR_ROW(n, rec, F, w, d) REG_S(RR_PAIR, n, rec, F, w, d)
#define RR_ALL(n) REG_D(RR_ROW, n, x, NULL, 4) REG_D(RR_ROW, n, x, NULL, 8)
#define RR_REC(n) REG_D(RR_ROW, n, f, &c->fl, 4) REG_D(RR_ROW, n, f, &c->fl, 8)
#define RR_NAME(n, rec, w, d, s) n##_rr_##rec##w##_##d##_##s,
#define RR_NAMES(n, rec, w, d) { REG_S(RR_NAME, n, rec, w, d) },
#define RR_TAB(n, rec) { { REG_D(RR_NAMES, n, rec, 4) }, { REG_D(RR_NAMES, n, rec, 8) } }
RR_ALL(copy) RR_ALL(add) RR_ALL(or) RR_ALL(and) RR_ALL(sub) RR_ALL(xor)
RR_REC(add) RR_REC(or) RR_REC(and) RR_REC(sub) RR_REC(xor)
/* [as alu_tab: add or and sub xor, then MOV][recorded][64-bit][destination][source] */

/* One register, the rest from the op: immediate, count, memory. */
#define R1_ONE(n, form, PRE, B, rec, F, w, d)                       \
    HANDLER(n##_##form##_##rec##w##_##d)                            \
    {                                                               \
        PRE(w)                                                      \
        reg_wr(c, (d) * 8, w, alu_##n(F, w, reg_rd(c, (d) * 8, w), B(w))); \
        GO(op + 1);                                                 \
    }
#define R1_ALL(n, form, PRE, B, rec, F) REG_D(R1_ONE, n, form, PRE, B, rec, F, 4) REG_D(R1_ONE, n, form, PRE, B, rec, F, 8)
#define R1_BOTH(n, form, PRE, B) R1_ALL(n, form, PRE, B, x, NULL) R1_ALL(n, form, PRE, B, f, &c->fl)
#define R1_NAME(n, form, rec, w, d) n##_##form##_##rec##w##_##d,
#define R1_TAB(n, form, rec) { { REG_D(R1_NAME, n, form, rec, 4) }, { REG_D(R1_NAME, n, form, rec, 8) } }
#define R1_TABS(n, form) { R1_TAB(n, form, x), R1_TAB(n, form, f) }
#define PRE_NONE(w)
#define PRE_LOAD(w) u64 lin = ea_of(c, op); FAST_RD(lin, w);
#define PRE_LOADX(w) u64 lin = ea_x(c, op); FAST_RD(lin, w);
#define B_IMM(w) op->imm
#define B_CL(w) (u8)c->st.gpr[RCX]
#define B_MEM(w) host_rd(lin + e->addend, w)
#define B_R1(w) reg_rd(c, op->r1, w)
#define STAMP_RI(n) R1_BOTH(n, ri, PRE_NONE, B_IMM)
#define STAMP_RC(n) R1_BOTH(n, rc, PRE_NONE, B_CL)
#define STAMP_RM(n) R1_BOTH(n, rm, PRE_LOAD, B_MEM)
#define STAMP_RMX(n) R1_BOTH(n, rmx, PRE_LOADX, B_MEM)
STAMP_RI(add) STAMP_RI(or) STAMP_RI(and) STAMP_RI(sub) STAMP_RI(xor) R1_ALL(copy, ri, PRE_NONE, B_IMM, x, NULL)
STAMP_RM(add) STAMP_RM(or) STAMP_RM(and) STAMP_RM(sub) STAMP_RM(xor)
STAMP_RMX(add) STAMP_RMX(or) STAMP_RMX(and) STAMP_RMX(sub) STAMP_RMX(xor)
STAMP_RI(shl) STAMP_RI(shr) STAMP_RI(sar) STAMP_RI(rol) STAMP_RI(ror)
STAMP_RC(shl) STAMP_RC(shr) STAMP_RC(sar) STAMP_RC(rol) STAMP_RC(ror)
STAMP_RM(imul) R1_BOTH(imul, rr, PRE_NONE, B_R1)

/* IMUL of three operands: the destination is no source. */
#define RRI_ONE(rec, F, w, d) \
    HANDLER(imul_rri_##rec##w##_##d) { reg_wr(c, (d) * 8, w, alu_imul(F, w, reg_rd(c, op->r1, w), op->imm)); GO(op + 1); }
REG_D(RRI_ONE, x, NULL, 4) REG_D(RRI_ONE, x, NULL, 8) REG_D(RRI_ONE, f, &c->fl, 4) REG_D(RRI_ONE, f, &c->fl, 8)
#define IMUL3(rec, w) { { REG_D(R1_NAME, imul, rr, rec, w) }, { REG_D(R1_NAME, imul, rri, rec, w) }, { REG_D(R1_NAME, imul, rm, rec, w) } }

#define UNR_ONE(n, rec, F, w, d) \
    HANDLER(n##_r_##rec##w##_##d) { reg_wr(c, (d) * 8, w, un_##n(F, w, reg_rd(c, (d) * 8, w))); GO(op + 1); }
#define UNR(n) REG_D(UNR_ONE, n, x, NULL, 4) REG_D(UNR_ONE, n, x, NULL, 8) REG_D(UNR_ONE, n, f, &c->fl, 4) REG_D(UNR_ONE, n, f, &c->fl, 8)
UNR(inc) UNR(dec) UNR(neg) UNR(not)

/* Compares that are not fused: the flags go on to SETcc, CMOVcc or another block. */
#define TSTR_ONE(n, w, d)                                                                                      \
    HANDLER(n##_ri_##w##_##d) { tst_##n(&c->fl, w, reg_rd(c, (d) * 8, w), op->imm); GO(op + 1); }              \
    HANDLER(n##_rr_##w##_##d) { tst_##n(&c->fl, w, reg_rd(c, (d) * 8, w), reg_rd(c, op->r1, w)); GO(op + 1); }
#define TSTR(n) REG_D(TSTR_ONE, n, 1) REG_D(TSTR_ONE, n, 4) REG_D(TSTR_ONE, n, 8)
TSTR(cmp) TSTR(test)
#define TSTR_NAME(n, form, w, d) n##_##form##_##w##_##d,
#define TSTR_TAB(n, form) { { REG_D(TSTR_NAME, n, form, 1) }, { REG_D(TSTR_NAME, n, form, 4) }, { REG_D(TSTR_NAME, n, form, 8) } }

const struct stamped_alu stamped_alu = {
    .rr = {
    { RR_TAB(add, x), RR_TAB(add, f) }, { RR_TAB(or, x), RR_TAB(or, f) }, { RR_TAB(and, x), RR_TAB(and, f) },
    { RR_TAB(sub, x), RR_TAB(sub, f) }, { RR_TAB(xor, x), RR_TAB(xor, f) }, { RR_TAB(copy, x), RR_TAB(copy, x) },
},
    .ri = {
    R1_TABS(add, ri), R1_TABS(or, ri), R1_TABS(and, ri), R1_TABS(sub, ri), R1_TABS(xor, ri), { R1_TAB(copy, ri, x), R1_TAB(copy, ri, x) },
},
    .rm = {
    { R1_TABS(add, rm), R1_TABS(or, rm), R1_TABS(and, rm), R1_TABS(sub, rm), R1_TABS(xor, rm) },
    { R1_TABS(add, rmx), R1_TABS(or, rmx), R1_TABS(and, rmx), R1_TABS(sub, rmx), R1_TABS(xor, rmx) },
},
    .shi = { R1_TABS(shl, ri), R1_TABS(shr, ri), R1_TABS(sar, ri), R1_TABS(rol, ri), R1_TABS(ror, ri) },
    .shc = { R1_TABS(shl, rc), R1_TABS(shr, rc), R1_TABS(sar, rc), R1_TABS(rol, rc), R1_TABS(ror, rc) },
    .imul = { { IMUL3(x, 4), IMUL3(x, 8) }, { IMUL3(f, 4), IMUL3(f, 8) } },
    .un = { R1_TABS(inc, r), R1_TABS(dec, r), R1_TABS(neg, r), R1_TABS(not, r) },
    .tsti = { TSTR_TAB(cmp, ri), TSTR_TAB(test, ri) },
    .tstr = { TSTR_TAB(cmp, rr), TSTR_TAB(test, rr) },
};

#endif
