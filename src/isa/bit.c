// SPDX-License-Identifier: MIT
/* Bit tests, scans and counts; double shifts. */
#include "isa/isa.h"

enum bit_op { BIT_TEST, BIT_SET, BIT_RESET, BIT_COMPLEMENT };

static inline u64 bit_apply(enum bit_op op, u64 v, u64 mask)
{
    return op == BIT_SET ? v | mask : op == BIT_RESET ? v & ~mask : v ^ mask;
}

/* Register offset form. */
static bool bit_reg(struct vcpu *c, const struct insn *in, enum bit_op op)
{
    unsigned w = in->op[0].size;
    u64 off = gpr_get(c, in->op[1].reg, in->op[1].size), mask = 1ull << (off & (8 * w - 1)), v;
    if (in->op[0].kind == OPK_GPR) {
        v = gpr_get(c, in->op[0].reg, w);
        if (op != BIT_TEST)
            gpr_set(c, in->op[0].reg, w, bit_apply(op, v, mask));
    } else {
        u64 ea = op_bit_ea(c, in, off);
        if (op == BIT_TEST ? !mem_read(c, in->seg, ea, w, &v) : !mem_rmw_begin(c, in->seg, ea, w, &v))
            return false;
        if (op != BIT_TEST && !mem_write(c, in->seg, ea, w, bit_apply(op, v, mask)))
            return false;
    }
    flags_set_cf(&c->fl, v & mask);
    return true;
}

/* Immediate offset form: inside the operand. */
static inline u64 bit_imm(struct flags *f, unsigned width, u64 a, u64 b, enum bit_op op)
{
    u64 mask = 1ull << (b & (8 * width - 1));
    flags_set_cf(f, a & mask);
    return bit_apply(op, a, mask);
}

INSN(0F, A3, _, MRM, bt, Ev Gv, RO, w:C u:OSAP, _, bit, gen)
SYS(bt)
{
    return bit_reg(c, in, BIT_TEST);
}

INSN(0F, AB, _, MRM, bts, Ev Gv, LOCK, w:C u:OSAP, _, bit, gen)
SYS(bts)
{
    return bit_reg(c, in, BIT_SET);
}

INSN(0F, B3, _, MRM, btr, Ev Gv, LOCK, w:C u:OSAP, _, bit, gen)
SYS(btr)
{
    return bit_reg(c, in, BIT_RESET);
}

INSN(0F, BB, _, MRM, btc, Ev Gv, LOCK, w:C u:OSAP, _, bit, gen)
SYS(btc)
{
    return bit_reg(c, in, BIT_COMPLEMENT);
}

INSN(0F, BA, _, /4, bt_imm, Ev Ib, RO, w:C u:OSAP, _, bit, gen)
TST(bt_imm)
{
    flags_set_cf(f, a >> (b & (8 * width - 1)) & 1);
}

INSN(0F, BA, _, /5, bts_imm, Ev Ib, LOCK, w:C u:OSAP, _, bit, gen)
ALU(bts_imm)
{
    return bit_imm(f, width, a, b, BIT_SET);
}

INSN(0F, BA, _, /6, btr_imm, Ev Ib, LOCK, w:C u:OSAP, _, bit, gen)
ALU(btr_imm)
{
    return bit_imm(f, width, a, b, BIT_RESET);
}

INSN(0F, BA, _, /7, btc_imm, Ev Ib, LOCK, w:C u:OSAP, _, bit, gen)
ALU(btc_imm)
{
    return bit_imm(f, width, a, b, BIT_COMPLEMENT);
}

/* A zero source leaves the destination, all 64 bits of it, as it was (AMD). */
static bool scan(struct vcpu *c, const struct insn *in, bool reverse)
{
    u64 v;
    if (!op_read(c, in, 1, &v))
        return false;
    u64 r = !v ? 0 : reverse ? 63 - (u64)__builtin_clzll(v) : (u64)__builtin_ctzll(v);
    if (v)
        gpr_set(c, in->op[0].reg, in->op[0].size, r);
    /* Undefined flags as on AMD: PF from the result, the rest 0. */
    flags_put(&c->fl, (v ? 0 : FL_ZF) | (__builtin_parity((u8)r) ? 0 : FL_PF), FL_ARITH);
    return true;
}

INSN(0F, BC, _, MRM, bsf, Gv Ev, _, w:Z u:OSAPC, _, bit, gen)
SYS(bsf)
{
    return scan(c, in, false);
}

INSN(0F, BD, _, MRM, bsr, Gv Ev, _, w:Z u:OSAPC, _, bit, gen)
SYS(bsr)
{
    return scan(c, in, true);
}

/* Destination, source: the old destination is not used. */
INSN(0F, B8, F3, MRM, popcnt, Gv Ev, F:POPCNT, w:OSZAPC, _, bit, gen)
ALU(popcnt)
{
    (void)a;
    u64 v = zext(b, width), r = (u64)__builtin_popcountll(v);
    if (f)
        flags_set(f, v ? 0 : FL_ZF);
    return r;
}

/* The undefined flags as on AMD: OF stays, SF, AF and PF are 0. */
static inline u64 count_flags(struct flags *f, unsigned width, u64 v, u64 r)
{
    if (f)
        flags_put(f, (v ? 0 : FL_CF) | (r ? 0 : FL_ZF), FL_ARITH & ~FL_OF);
    (void)width;
    return r;
}

INSN(0F, BD, F3, MRM, lzcnt, Gv Ev, F:LZCNT, w:ZC u:OSAP, _, bit, gen)
ALU(lzcnt)
{
    (void)a;
    u64 v = zext(b, width);
    return count_flags(f, width, v, v ? (u64)__builtin_clzll(v) - (64 - 8 * width) : 8 * width);
}

INSN(0F, BC, F3, MRM, tzcnt, Gv Ev, F:BMI1, w:ZC u:OSAP, _, bit, gen)
ALU(tzcnt)
{
    (void)a;
    u64 v = zext(b, width);
    return count_flags(f, width, v, v ? (u64)__builtin_ctzll(v) : 8 * width);
}

/* Double shifts. 16-bit counts above 16 are undefined in the manual; AMD processors go on with the source's bits
 * once more and clear CF. */
static bool shift_double(struct vcpu *c, const struct insn *in, bool left)
{
    unsigned w = in->op[0].size, size = 8 * w;
    u64 dst, n;
    if (!op_rmw(c, in, 0, &dst) || !op_read(c, in, 2, &n))
        return false;
    u64 src = gpr_get(c, in->op[1].reg, w), r;
    n &= w == 8 ? 63 : 31;
    if (!n)
        return op_write(c, in, 0, dst);
    bool cf, last; /* last: the bit shifted out last */
    if (w == 2) { /* dst:src:dst, shifted by up to 31 */
        u64 all = left ? dst << 32 | src << 16 | src : src << 32 | src << 16 | dst;
        r = left ? (all << n) >> 32 & 0xFFFF : all >> n & 0xFFFF;
        last = left ? all << n >> 48 & 1 : all >> (n - 1) & 1;
        cf = n <= 16 && last;
    } else {
        r = left ? dst << n | src >> (size - n) : dst >> n | src << (size - n);
        cf = last = left ? dst >> (size - n) & 1 : dst >> (n - 1) & 1;
    }
    if (!op_write(c, in, 0, r))
        return false;
    /* OF as the last step of a shift by one would set it; 16 bits to the left: from first and last value. */
    bool of = !left ? (r >> (size - 1) ^ r >> (size - 2)) & 1 : w == 2 ? (r ^ dst) >> 15 & 1 : (r >> (size - 1) & 1) ^ last;
    flags_explicit(&c->fl, w, r, cf, of, true);
    return true;
}

INSN(0F, A4, _, MRM, shld, Ev Gv Ib, _, w:OSZAPC u:OA r:OSZAPC, _, shift, gen)
INSN(0F, A5, _, MRM, shld, Ev Gv CL, _, w:OSZAPC u:OA r:OSZAPC, _, shift, gen)
SYS(shld)
{
    return shift_double(c, in, true);
}

INSN(0F, AC, _, MRM, shrd, Ev Gv Ib, _, w:OSZAPC u:OA r:OSZAPC, _, shift, gen)
INSN(0F, AD, _, MRM, shrd, Ev Gv CL, _, w:OSZAPC u:OA r:OSZAPC, _, shift, gen)
SYS(shrd)
{
    return shift_double(c, in, false);
}
