// SPDX-License-Identifier: MIT
/* Loads, stores, addresses, extensions, conditional moves and the stack, stamped for each register number. */
#include "isa/stamped.h"

#if SVMEMU_STAMP_FULL

#define SVMEMU_STAMPING 1
#include "isa/arith.c"
#include "isa/logic.c"
#include "isa/shift.c"
#include "isa/stamp.h"

/* Base + displacement, no index. */
static inline u64 ea_plain(const struct vcpu *c, const struct op *op, unsigned base)
{
    return c->st.gpr[base] + (u64)(i64)op->disp;
}

/* Plain addresses: data register by base register. */
#define LD_PAIR(w, d, s)                                    \
    HANDLER(load_##w##_##d##_##s)                           \
    {                                                       \
        u64 lin = ea_plain(c, op, s);                       \
        FAST_RD(lin, w);                                    \
        reg_wr(c, (d) * 8, w, host_rd(lin + e->addend, w)); \
        GO(op + 1);                                         \
    }                                                       \
    HANDLER(store_##w##_##d##_##s)                          \
    {                                                       \
        u64 lin = ea_plain(c, op, s);                       \
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
#define LEA_PAIR(w, d, s)                                                                                                              \
    HANDLER(lea_##w##_##d##_##s) { reg_wr(c, (d) * 8, w, ea_plain(c, op, s)); GO(op + 1); }                                            \
    HANDLER(lea2_##w##_##d##_##s) { reg_wr(c, (d) * 8, w, ea_plain(c, op, s) + (c->st.gpr[s] << op->aux)); GO(op + 1); }               \
    HANDLER(leas_##w##_##d##_##s) { reg_wr(c, (d) * 8, w, (c->st.gpr[s] << op->aux) + (u64)(i64)op->disp); GO(op + 1); }               \
    HANDLER(leax_##w##_##d##_##s) { reg_wr(c, (d) * 8, w, ea_plain(c, op, s) + (off_rd(c, op->r1) << op->aux)); GO(op + 1); }
#define LEA_ROW(w, d) REG_S(LEA_PAIR, w, d) HANDLER(leag_##w##_##d) { reg_wr(c, (d) * 8, w, ea_x(c, op)); GO(op + 1); }
#define LEA_ALL(w) REG_D(LEA_ROW, w)
LEA_ALL(4) LEA_ALL(8)
#define AGU_PAIR(d, s)                                                                                              \
    HANDLER(agu_##d##_##s) { c->st.gpr[GPR_TMP] = ea_plain(c, op, d) + (c->st.gpr[s] << op->aux); GO(op + 1); }     \
    HANDLER(zx8_##d##_##s)                                                                                          \
    {                                                                                                               \
        u64 lin = ea_plain(c, op, s);                                                                               \
        FAST_RD(lin, 1);                                                                                            \
        c->st.gpr[d] = host_rd(lin + e->addend, 1);                                                                 \
        GO(op + 1);                                                                                                 \
    }
#define AGU_ROW(_, d) REG_S(AGU_PAIR, d)
REG_D(AGU_ROW, _)
#define EA_NAME(k, d, s) k##_##d##_##s,
#define EA_NAMES(k, d) { REG_S(EA_NAME, k, d) },

/* Indexed addresses: data register by index, the base from the op; or both from the op. */
static inline u64 ea_index(const struct vcpu *c, const struct op *op, unsigned index)
{
    return ea_of(c, op) + (c->st.gpr[index] << op->aux);
}
#define LDX_BOTH(n, EA, w, d, ...)                          \
    HANDLER(ld##n)                                          \
    {                                                       \
        u64 lin = EA(c, op, ##__VA_ARGS__);                 \
        FAST_RD(lin, w);                                    \
        reg_wr(c, (d) * 8, w, host_rd(lin + e->addend, w)); \
        GO(op + 1);                                         \
    }                                                       \
    HANDLER(st##n)                                          \
    {                                                       \
        u64 lin = EA(c, op, ##__VA_ARGS__);                 \
        FAST_WR(lin, w);                                    \
        host_wr(lin + e->addend, w, reg_rd(c, (d) * 8, w)); \
        GO(op + 1);                                         \
    }
#define LDX_PAIR(w, d, s) LDX_BOTH(x_##w##_##d##_##s, ea_index, w, d, s)
#define LDX_ROW(w, d) REG_S(LDX_PAIR, w, d) LDX_BOTH(g_##w##_##d, ea_x, w, d)
#define LDX_ALL(w) REG_D(LDX_ROW, w)
LDX_ALL(4) LDX_ALL(8)
#define LDX_NAME(k, w, d) k##_##w##_##d,
#define LDX_TAB(k) { { REG_D(LDX_NAME, k, 4) }, { REG_D(LDX_NAME, k, 8) } }

#define STI_ONE(w, b)                              \
    HANDLER(sti_##w##_##b)                         \
    {                                              \
        u64 lin = ea_plain(c, op, b);              \
        FAST_WR(lin, w);                           \
        host_wr(lin + e->addend, w, op->imm);      \
        GO(op + 1);                                \
    }
REG_D(STI_ONE, 1) REG_D(STI_ONE, 4) REG_D(STI_ONE, 8)

/* Extensions from a register in the op and from memory. */
#define EXT_REG(name, X, s, to, d, r) \
    HANDLER(name##_r_##s##_##to##_##d##_##r) { reg_wr(c, (d) * 8, to, X(reg_rd(c, (r) * 8, s), s)); GO(op + 1); }
#define EXT_ONE(name, X, s, to, d)                                                                       \
    REG_S(EXT_REG, name, X, s, to, d)                                                                    \
    HANDLER(name##_h_##s##_##to##_##d) { reg_wr(c, (d) * 8, to, X(reg_rd(c, op->r1, s), s)); GO(op + 1); } \
    HANDLER(name##_m_##s##_##to##_##d)                                                                   \
    {                                                                                                    \
        u64 lin = ea_of(c, op);                                                                          \
        FAST_RD(lin, s);                                                                                 \
        reg_wr(c, (d) * 8, to, X(host_rd(lin + e->addend, s), s));                                       \
        GO(op + 1);                                                                                      \
    }
#define EXT_LIST(X) X(zx, zext, 1, 8) X(zx, zext, 2, 8) X(sx, sext, 1, 4) X(sx, sext, 1, 8) X(sx, sext, 2, 4) X(sx, sext, 2, 8) X(sx, sext, 4, 8)
#define EXT_STAMP(name, X, s, to) REG_D(EXT_ONE, name, X, s, to)
EXT_LIST(EXT_STAMP)
#define EXT_NAME(name, f, s, to, d) name##_##f##_##s##_##to##_##d,
#define EXT_R_NAME(name, s, to, d, r) name##_r_##s##_##to##_##d##_##r,
#define EXT_R_NAMES(name, s, to, d) { REG_S(EXT_R_NAME, name, s, to, d) },
#define EXT_R(name, X, s, to) { REG_D(EXT_R_NAMES, name, s, to) },
#define EXT_H(name, X, s, to) { REG_D(EXT_NAME, name, h, s, to) },
#define EXT_M(name, X, s, to) { REG_D(EXT_NAME, name, m, s, to) },

/* CMOVcc without a branch: guests use it where they could not predict. */
#define CMOV_ONE(w, cc, d)                                                            \
    HANDLER(cmov_##w##_##cc##_##d)                                                    \
    {                                                                                 \
        u64 a_ = reg_rd(c, (d) * 8, w), b_ = reg_rd(c, op->r1, w);                    \
        reg_wr(c, (d) * 8, w, flags_cond(&c->fl, cc) ? b_ : a_);                      \
        GO(op + 1);                                                                   \
    }
#define CMOV_CC(w, cc) REG_D(CMOV_ONE, w, cc)
CC_LIST(CMOV_CC, 4) CC_LIST(CMOV_CC, 8)
#define CMOV_NAME(w, cc, d) cmov_##w##_##cc##_##d,
#define CMOV_NAMES(w, cc) { REG_D(CMOV_NAME, w, cc) },

#define SETR_ONE(cc, d) HANDLER(setr_##cc##_##d) { reg_wr(c, (d) * 8, 1, flags_cond(&c->fl, cc)); GO(op + 1); }
#define SETR_CC(_, cc) REG_D(SETR_ONE, cc)
CC_LIST(SETR_CC, _)
#define SETR_NAME(cc, d) setr_##cc##_##d,
#define SETR_NAMES(_, cc) { REG_D(SETR_NAME, cc) },

/* The stack, 64-bit. */
#define STACK_ONE(_, d)                                   \
    HANDLER(push_##d)                                     \
    {                                                     \
        u64 lin = c->st.gpr[RSP] - 8;                     \
        FAST_WR(lin, 8);                                  \
        host_wr(lin + e->addend, 8, c->st.gpr[d]);        \
        c->st.gpr[RSP] = lin;                             \
        GO(op + 1);                                       \
    }                                                     \
    HANDLER(pop_##d)                                      \
    {                                                     \
        u64 lin = c->st.gpr[RSP];                         \
        FAST_RD(lin, 8);                                  \
        u64 v = host_rd(lin + e->addend, 8);              \
        c->st.gpr[RSP] = lin + 8;                         \
        c->st.gpr[d] = v;                                 \
        GO(op + 1);                                       \
    }
REG_D(STACK_ONE, _)
#define STACK_NAME(k, d) k##_##d,

/* Two moves, pushes or pops in one. Registers from the ops: lower.c takes moves that nobody waits for. */
#define MOV2(v, w)                                                       \
    HANDLER(mov2_##v##_##w)                                              \
    {                                                                    \
        reg_wr(c, op[0].r0, v, reg_rd(c, op[0].r1, v));                  \
        reg_wr(c, op[1].r0, w, reg_rd(c, op[1].r1, w));                  \
        GO(op + 2);                                                      \
    }
MOV2(4, 4) MOV2(4, 8) MOV2(8, 4) MOV2(8, 8)

HANDLER(push2)
{
    u64 lin = c->st.gpr[RSP] - 16;
    FAST_WR(lin, 16);
    host_wr(lin + 8 + e->addend, 8, off_rd(c, op[0].r0));
    host_wr(lin + e->addend, 8, off_rd(c, op[1].r0));
    c->st.gpr[RSP] = lin;
    GO(op + 2);
}

HANDLER(pop2)
{
    u64 lin = c->st.gpr[RSP];
    FAST_RD(lin, 16);
    u64 a = host_rd(lin + e->addend, 8), b = host_rd(lin + 8 + e->addend, 8);
    reg_wr(c, op[0].r0, 8, a);
    reg_wr(c, op[1].r0, 8, b);
    c->st.gpr[RSP] = lin + 16;
    GO(op + 2);
}

const struct stamped_mem stamped_mem = {
    .ld = LD_TAB(load),
    .st = LD_TAB(store),
    .lea = LD_TAB(lea),
    .lea2 = LD_TAB(lea2),
    .leas = LD_TAB(leas),
    .leax = LD_TAB(leax),
    .leag = LDX_TAB(leag),
    .agu = { REG_D(EA_NAMES, agu) },
    .zx8 = { REG_D(EA_NAMES, zx8) },
    .ldx = LD_TAB(ldx),
    .stx = LD_TAB(stx),
    .ldg = LDX_TAB(ldg),
    .stg = LDX_TAB(stg),
    .sti = { { REG_D(LDX_NAME, sti, 1) }, { REG_D(LDX_NAME, sti, 4) }, { REG_D(LDX_NAME, sti, 8) } },
    .extr = { EXT_LIST(EXT_R) },
    .exth = { EXT_LIST(EXT_H) },
    .extm = { EXT_LIST(EXT_M) },
    .cmov = { { CC_LIST(CMOV_NAMES, 4) }, { CC_LIST(CMOV_NAMES, 8) } },
    .set = { CC_LIST(SETR_NAMES, _) },
    .push = { REG_D(STACK_NAME, push) },
    .pop = { REG_D(STACK_NAME, pop) },
    .pair = { mov2_4_4, mov2_4_8, mov2_8_4, mov2_8_8, push2, pop2 },
};

#endif
