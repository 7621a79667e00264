// SPDX-License-Identifier: MIT
/* Three-operand forms: a copy and the instruction that computes with it (MOV d, s; op d, x), which two-operand code is full of, in one
 * handler. The flags are not recorded: lower.c makes these only where nobody sees them. */
#include "isa/stamped.h"

#if SVMEMU_STAMP_FULL

#define SVMEMU_STAMPING 1
#include "isa/arith.c"
#include "isa/logic.c"
#include "isa/shift.c"
#include "isa/stamp.h"

#define alu_bus(f, w, a, b) alu_sub(f, w, b, a) /* SUB the other way round */

/* d = s op B; d and s by constant offsets. */
#define THREE_ONE(n, form, B, w, d, s)                                            \
    HANDLER(n##_3##form##_##w##_##d##_##s)                                        \
    {                                                                             \
        reg_wr(c, (d) * 8, w, alu_##n(NULL, w, reg_rd(c, (s) * 8, w), B(w)));     \
        GO(op + 1);                                                               \
    }
#define B_IMM(w) op->imm
#define B_R1(w) reg_rd(c, op->r1, w)
#define THREE_ROW(n, form, B, w, d) REG_S(THREE_ONE, n, form, B, w, d)
#define THREE(n, form, B) REG_D(THREE_ROW, n, form, B, 4) REG_D(THREE_ROW, n, form, B, 8)
THREE(add, rr, B_R1) THREE(or, rr, B_R1) THREE(and, rr, B_R1) THREE(sub, rr, B_R1) THREE(xor, rr, B_R1) THREE(bus, rr, B_R1)
THREE(or, ri, B_IMM) THREE(and, ri, B_IMM) THREE(xor, ri, B_IMM)
THREE(shl, ri, B_IMM) THREE(shr, ri, B_IMM) THREE(sar, ri, B_IMM) THREE(rol, ri, B_IMM) THREE(ror, ri, B_IMM)
#define THREE_NAME(n, form, w, d, s) n##_3##form##_##w##_##d##_##s,
#define THREE_NAMES(n, form, w, d) { REG_S(THREE_NAME, n, form, w, d) },
#define THREE_TAB(n, form) { { REG_D(THREE_NAMES, n, form, 4) }, { REG_D(THREE_NAMES, n, form, 8) } }

const struct stamped_three stamped_three = {
    .rr = { THREE_TAB(add, rr), THREE_TAB(or, rr), THREE_TAB(and, rr), THREE_TAB(sub, rr), THREE_TAB(xor, rr), THREE_TAB(bus, rr) },
    .ri = { [ALU_OR] = THREE_TAB(or, ri), [ALU_AND] = THREE_TAB(and, ri), [ALU_XOR] = THREE_TAB(xor, ri) },
    .sh = { THREE_TAB(shl, ri), THREE_TAB(shr, ri), THREE_TAB(sar, ri), THREE_TAB(rol, ri), THREE_TAB(ror, ri) },
};

#endif
