// SPDX-License-Identifier: MIT
/* Register forms stamped once more for each pair of register numbers: with constant offsets the host forwards a guest register from its
 * last store without waiting for it. From the same bodies; 32- and 64-bit. Included by lower.c only. */
#ifndef SVMEMU_ISA_STAMPED_REG_H
#define SVMEMU_ISA_STAMPED_REG_H

#include "isa/stamped.h"

#define REG_D(X, ...) X(__VA_ARGS__, 0) X(__VA_ARGS__, 1) X(__VA_ARGS__, 2) X(__VA_ARGS__, 3) X(__VA_ARGS__, 4) X(__VA_ARGS__, 5) \
    X(__VA_ARGS__, 6) X(__VA_ARGS__, 7) X(__VA_ARGS__, 8) X(__VA_ARGS__, 9) X(__VA_ARGS__, 10) X(__VA_ARGS__, 11)                 \
    X(__VA_ARGS__, 12) X(__VA_ARGS__, 13) X(__VA_ARGS__, 14) X(__VA_ARGS__, 15)
#define REG_S(X, ...) X(__VA_ARGS__, 0) X(__VA_ARGS__, 1) X(__VA_ARGS__, 2) X(__VA_ARGS__, 3) X(__VA_ARGS__, 4) X(__VA_ARGS__, 5) \
    X(__VA_ARGS__, 6) X(__VA_ARGS__, 7) X(__VA_ARGS__, 8) X(__VA_ARGS__, 9) X(__VA_ARGS__, 10) X(__VA_ARGS__, 11)                 \
    X(__VA_ARGS__, 12) X(__VA_ARGS__, 13) X(__VA_ARGS__, 14) X(__VA_ARGS__, 15)

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
enum { RR_MOV = 5 };
static op_fn *const rr_tab[6][2][2][16][16] = {
    { RR_TAB(add, x), RR_TAB(add, f) }, { RR_TAB(or, x), RR_TAB(or, f) }, { RR_TAB(and, x), RR_TAB(and, f) },
    { RR_TAB(sub, x), RR_TAB(sub, f) }, { RR_TAB(xor, x), RR_TAB(xor, f) }, { RR_TAB(copy, x), RR_TAB(copy, x) },
};

/* Register and immediate, one register: arithmetic and shifts. */
#define RI_ONE(n, rec, F, w, d)                                               \
    HANDLER(n##_ri_##rec##w##_##d)                                            \
    {                                                                         \
        reg_wr(c, (d) * 8, w, alu_##n(F, w, reg_rd(c, (d) * 8, w), op->imm)); \
        GO(op + 1);                                                           \
    }
#define RI_ALL(n) REG_D(RI_ONE, n, x, NULL, 4) REG_D(RI_ONE, n, x, NULL, 8)
#define RI_REC(n) REG_D(RI_ONE, n, f, &c->fl, 4) REG_D(RI_ONE, n, f, &c->fl, 8)
#define RI_NAME(n, rec, w, d) n##_ri_##rec##w##_##d,
#define RI_TAB(n, rec) { { REG_D(RI_NAME, n, rec, 4) }, { REG_D(RI_NAME, n, rec, 8) } }
#define RI_BOTH(n) RI_ALL(n) RI_REC(n)
#define RI_TABS(n) { RI_TAB(n, x), RI_TAB(n, f) }
RI_BOTH(add) RI_BOTH(or) RI_BOTH(and) RI_BOTH(sub) RI_BOTH(xor) RI_ALL(copy)
RI_BOTH(shl) RI_BOTH(shr) RI_BOTH(sar) RI_BOTH(rol) RI_BOTH(ror)
static op_fn *const ri_tab[6][2][2][16] = {
    RI_TABS(add), RI_TABS(or), RI_TABS(and), RI_TABS(sub), RI_TABS(xor), { RI_TAB(copy, x), RI_TAB(copy, x) },
};
static op_fn *const shi_tab[5][2][2][16] = { RI_TABS(shl), RI_TABS(shr), RI_TABS(sar), RI_TABS(rol), RI_TABS(ror) };

/* Addresses: LEA of base + displacement, and base + index into the temporary. */
#define EA_PAIR(d, s)                                                                                                          \
    HANDLER(lea8_##d##_##s) { c->st.gpr[d] = c->st.gpr[s] + (u64)(i64)op->disp; GO(op + 1); }                                  \
    HANDLER(agu_##d##_##s) { c->st.gpr[GPR_TMP] = c->st.gpr[d] + (u64)(i64)op->disp + (c->st.gpr[s] << op->aux); GO(op + 1); } \
    HANDLER(zx8_##d##_##s)                                                                                                     \
    {                                                                                                                          \
        u64 lin = c->st.gpr[s] + (u64)(i64)op->disp;                                                                           \
        FAST_RD(lin, 1);                                                                                                       \
        c->st.gpr[d] = host_rd(lin + e->addend, 1);                                                                            \
        GO(op + 1);                                                                                                            \
    }
#define EA_ROW(_, d) REG_S(EA_PAIR, d)
REG_D(EA_ROW, _)
#define EA_NAME(k, d, s) k##_##d##_##s,
#define EA_NAMES(k, d) { REG_S(EA_NAME, k, d) },
static op_fn *const lea_tab[16][16] = { REG_D(EA_NAMES, lea8) };
static op_fn *const agu_tab[16][16] = { REG_D(EA_NAMES, agu) };
static op_fn *const zx8_tab[16][16] = { REG_D(EA_NAMES, zx8) };

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
static op_fn *const jri_tab[2][2][2][16][16] = { /* [immediate][test][64-bit][cc][register] */
    { { JRI_TAB(rr, cmp, 4), JRI_TAB(rr, cmp, 8) }, { JRI_TAB(rr, test, 4), JRI_TAB(rr, test, 8) } },
    { { JRI_TAB(ri, cmp, 4), JRI_TAB(ri, cmp, 8) }, { JRI_TAB(ri, test, 4), JRI_TAB(ri, test, 8) } },
};

/* Loads and stores: data register by base register. */
#define LD_PAIR(w, d, s)                                    \
    HANDLER(load_##w##_##d##_##s)                           \
    {                                                       \
        u64 lin = c->st.gpr[s] + (u64)(i64)op->disp;        \
        FAST_RD(lin, w);                                    \
        reg_wr(c, (d) * 8, w, host_rd(lin + e->addend, w)); \
        GO(op + 1);                                         \
    }                                                       \
    HANDLER(store_##w##_##d##_##s)                          \
    {                                                       \
        u64 lin = c->st.gpr[s] + (u64)(i64)op->disp;        \
        FAST_WR(lin, w);                                    \
        host_wr(lin + e->addend, w, reg_rd(c, (d) * 8, w)); \
        GO(op + 1);                                         \
    }
#define LD_ROW(w, d) REG_S(LD_PAIR, w, d)
#define LD_ALL(w) REG_D(LD_ROW, w)
LD_ALL(4) LD_ALL(8)
#define LD_NAME(k, w, d, s) k##_##w##_##d##_##s,
#define LD_NAMES(k, w, d) { REG_S(LD_NAME, k, w, d) },
#define LD_TAB(k) { { REG_D(LD_NAMES, k, 4) }, { REG_D(LD_NAMES, k, 8) } }
static op_fn *const ld_tab[2][16][16] = LD_TAB(load);
static op_fn *const st_tab[2][16][16] = LD_TAB(store);

#endif
