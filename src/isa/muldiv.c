// SPDX-License-Identifier: MIT
/* MUL DIV IDIV and the one-operand IMUL. */
#include "isa/isa.h"

/* rDX:rAX, or AX for bytes. */
static void set_wide(struct vcpu *c, unsigned w, u64 lo, u64 hi)
{
    if (w == 1) {
        gpr_set(c, RAX, 2, (lo & 0xFF) | hi << 8);
        return;
    }
    gpr_set(c, RAX, w, lo);
    gpr_set(c, RDX, w, hi);
}

/* CF and OF say whether the upper half matters; of the undefined ones AMD leaves ZF, SF, AF and PF as they were. */
static bool mul_done(struct vcpu *c, unsigned w, u128 r, bool over)
{
    set_wide(c, w, zext((u64)r, w), zext((u64)(r >> (8 * w)), w));
    flags_set_cf_of(&c->fl, over, over);
    return true;
}

INSN(ONE, F6, _, /4, mul, Eb, RO, w:OC u:SZAP, _, mul, gen)
INSN(ONE, F7, _, /4, mul, Ev, RO, w:OC u:SZAP, _, mul, gen)
SYS(mul)
{
    unsigned w = in->op[0].size;
    u64 v;
    if (!op_read(c, in, 0, &v))
        return false;
    u128 r = (u128)v * zext(c->st.gpr[RAX], w);
    return mul_done(c, w, r, r >> (8 * w) != 0);
}

INSN(ONE, F6, _, /5, imul_wide, Eb, RO, w:OC u:SZAP, _, mul, gen)
INSN(ONE, F7, _, /5, imul_wide, Ev, RO, w:OC u:SZAP, _, mul, gen)
SYS(imul_wide)
{
    unsigned w = in->op[0].size;
    u64 v;
    if (!op_read(c, in, 0, &v))
        return false;
    i128 r = (i128)(i64)sext(v, w) * (i64)sext(c->st.gpr[RAX], w);
    return mul_done(c, w, (u128)r, r != (i64)sext((u64)r, w));
}

/* The flags are undefined: AMD processors keep CF and OF, set AF and clear the rest. */
static void div_flags(struct vcpu *c)
{
    flags_put(&c->fl, FL_AF, FL_AF | FL_ZF | FL_SF | FL_PF);
}

INSN(ONE, F6, _, /6, div, Eb, RO, u:OSZAPC, _, div, gen)
INSN(ONE, F7, _, /6, div, Ev, RO, u:OSZAPC, _, div, gen)
SYS(div)
{
    unsigned w = in->op[0].size;
    u64 v;
    if (!op_read(c, in, 0, &v))
        return false;
    u128 n = w == 1 ? (u16)c->st.gpr[RAX] : (u128)zext(c->st.gpr[RDX], w) << (8 * w) | zext(c->st.gpr[RAX], w);
    if (v == 0 || n / v > width_mask(w))
        return cpu_raise(c, EXC_DE);
    set_wide(c, w, (u64)(n / v), (u64)(n % v));
    div_flags(c);
    return true;
}

INSN(ONE, F6, _, /7, idiv, Eb, RO, u:OSZAPC, _, div, gen)
INSN(ONE, F7, _, /7, idiv, Ev, RO, u:OSZAPC, _, div, gen)
SYS(idiv)
{
    unsigned w = in->op[0].size;
    u64 v;
    if (!op_read(c, in, 0, &v))
        return false;
    i128 n = w == 1 ? (i64)sext(c->st.gpr[RAX], 2) : (i128)((u128)(i128)(i64)sext(c->st.gpr[RDX], w) << (8 * w) | zext(c->st.gpr[RAX], w));
    i128 d = (i64)sext(v, w), min = (i128)((u128)1 << 127);
    if (d == 0 || (d == -1 && n == min))
        return cpu_raise(c, EXC_DE);
    i128 q = n / d;
    if (q != (i64)sext((u64)q, w))
        return cpu_raise(c, EXC_DE);
    set_wide(c, w, zext((u64)q, w), zext((u64)(n % d), w));
    div_flags(c);
    return true;
}
