// SPDX-License-Identifier: MIT
/* Shifts and rotates by a count. Counts are cut to 5 bits (6 for 64-bit operands); a cut count of 0 changes no flag. Where the manual
 * leaves OF or AF undefined, the value is what AMD processors give: OF follows the rule for a count of 1, AF is 1 [APM3 SHL, ROL, RCL].
 * Pure bodies only: exec folds them into its handlers by including this file once more. */
#include "isa/isa.h"

#ifndef SVMEMU_ISA_SHIFT_COUNT
#define SVMEMU_ISA_SHIFT_COUNT
static inline unsigned shift_count(unsigned width, u64 n)
{
    return (unsigned)n & (width == 8 ? 63 : 31);
}

/* v, zero-extended, turned left by k < its bits; forms that compilers know as one instruction. */
static inline u64 rotate_left(unsigned width, u64 v, unsigned k)
{
    if (width == 8)
        return v << k | v >> (-k & 63);
    if (width == 4)
        return (u32)v << k | (u32)v >> (-k & 31);
    return zext(v << k | v >> (8 * width - k), width);
}
#endif

INSN(ONE, C0, _, /4, shl, Eb Ib, _, w:OSZAPC u:OA r:OSZAPC, _, shift, reg)
INSN(ONE, C1, _, /4, shl, Ev Ib, _, w:OSZAPC u:OA r:OSZAPC, _, shift, reg)
INSN(ONE, D0, _, /4, shl, Eb 1, _, w:OSZAPC u:A r:OSZAPC, _, shift, reg)
INSN(ONE, D1, _, /4, shl, Ev 1, _, w:OSZAPC u:A r:OSZAPC, _, shift, reg)
INSN(ONE, D2, _, /4, shl, Eb CL, _, w:OSZAPC u:OA r:OSZAPC, _, shift, reg)
INSN(ONE, D3, _, /4, shl, Ev CL, _, w:OSZAPC u:OA r:OSZAPC, _, shift, reg)
INSN(ONE, C0, _, /6, shl, Eb Ib, _, w:OSZAPC u:OA r:OSZAPC, _, shift, gen)
INSN(ONE, C1, _, /6, shl, Ev Ib, _, w:OSZAPC u:OA r:OSZAPC, _, shift, gen)
INSN(ONE, D0, _, /6, shl, Eb 1, _, w:OSZAPC u:A r:OSZAPC, _, shift, gen)
INSN(ONE, D1, _, /6, shl, Ev 1, _, w:OSZAPC u:A r:OSZAPC, _, shift, gen)
INSN(ONE, D2, _, /6, shl, Eb CL, _, w:OSZAPC u:OA r:OSZAPC, _, shift, gen)
INSN(ONE, D3, _, /6, shl, Ev CL, _, w:OSZAPC u:OA r:OSZAPC, _, shift, gen)
ALU(shl)
{
    unsigned n = shift_count(width, b), top = 8 * width - 1;
    u64 r = a << n;
    if (!f || !n)
        return r;
    bool cf = n <= top + 1 && (a >> (top + 1 - n) & 1);
    flags_explicit(f, width, r, cf, (r >> top & 1) ^ cf, true);
    return r;
}

INSN(ONE, C0, _, /5, shr, Eb Ib, _, w:OSZAPC u:OA r:OSZAPC, _, shift, reg)
INSN(ONE, C1, _, /5, shr, Ev Ib, _, w:OSZAPC u:OA r:OSZAPC, _, shift, reg)
INSN(ONE, D0, _, /5, shr, Eb 1, _, w:OSZAPC u:A r:OSZAPC, _, shift, reg)
INSN(ONE, D1, _, /5, shr, Ev 1, _, w:OSZAPC u:A r:OSZAPC, _, shift, reg)
INSN(ONE, D2, _, /5, shr, Eb CL, _, w:OSZAPC u:OA r:OSZAPC, _, shift, reg)
INSN(ONE, D3, _, /5, shr, Ev CL, _, w:OSZAPC u:OA r:OSZAPC, _, shift, reg)
ALU(shr)
{
    unsigned n = shift_count(width, b), top = 8 * width - 1;
    u64 v = zext(a, width), r = v >> n;
    if (!f || !n)
        return r;
    flags_explicit(f, width, r, v >> (n - 1) & 1, (r >> top ^ r >> (top - 1)) & 1, true);
    return r;
}

INSN(ONE, C0, _, /7, sar, Eb Ib, _, w:OSZAPC u:OA r:OSZAPC, _, shift, reg)
INSN(ONE, C1, _, /7, sar, Ev Ib, _, w:OSZAPC u:OA r:OSZAPC, _, shift, reg)
INSN(ONE, D0, _, /7, sar, Eb 1, _, w:OSZAPC u:A r:OSZAPC, _, shift, reg)
INSN(ONE, D1, _, /7, sar, Ev 1, _, w:OSZAPC u:A r:OSZAPC, _, shift, reg)
INSN(ONE, D2, _, /7, sar, Eb CL, _, w:OSZAPC u:OA r:OSZAPC, _, shift, reg)
INSN(ONE, D3, _, /7, sar, Ev CL, _, w:OSZAPC u:OA r:OSZAPC, _, shift, reg)
ALU(sar)
{
    unsigned n = shift_count(width, b);
    i64 v = (i64)sext(a, width);
    u64 r = (u64)(v >> n);
    if (!f || !n)
        return r;
    flags_explicit(f, width, r, v >> (n - 1) & 1, false, true);
    return r;
}

INSN(ONE, C0, _, /0, rol, Eb Ib, _, w:OC u:O r:OC, _, shift, width)
INSN(ONE, C1, _, /0, rol, Ev Ib, _, w:OC u:O r:OC, _, shift, width)
INSN(ONE, D0, _, /0, rol, Eb 1, _, w:OC r:OC, _, shift, width)
INSN(ONE, D1, _, /0, rol, Ev 1, _, w:OC r:OC, _, shift, width)
INSN(ONE, D2, _, /0, rol, Eb CL, _, w:OC u:O r:OC, _, shift, width)
INSN(ONE, D3, _, /0, rol, Ev CL, _, w:OC u:O r:OC, _, shift, width)
ALU(rol)
{
    unsigned n = shift_count(width, b), size = 8 * width;
    u64 r = rotate_left(width, zext(a, width), n & (size - 1));
    if (f && n)
        flags_set_cf_of(f, r & 1, (r >> (size - 1) ^ r) & 1);
    return r;
}

INSN(ONE, C0, _, /1, ror, Eb Ib, _, w:OC u:O r:OC, _, shift, width)
INSN(ONE, C1, _, /1, ror, Ev Ib, _, w:OC u:O r:OC, _, shift, width)
INSN(ONE, D0, _, /1, ror, Eb 1, _, w:OC r:OC, _, shift, width)
INSN(ONE, D1, _, /1, ror, Ev 1, _, w:OC r:OC, _, shift, width)
INSN(ONE, D2, _, /1, ror, Eb CL, _, w:OC u:O r:OC, _, shift, width)
INSN(ONE, D3, _, /1, ror, Ev CL, _, w:OC u:O r:OC, _, shift, width)
ALU(ror)
{
    unsigned n = shift_count(width, b), size = 8 * width;
    u64 r = rotate_left(width, zext(a, width), -n & (size - 1));
    if (f && n)
        flags_set_cf_of(f, r >> (size - 1) & 1, (r >> (size - 1) ^ r >> (size - 2)) & 1);
    return r;
}

INSN(ONE, C0, _, /2, rcl, Eb Ib, _, w:OC u:O r:OC, _, shift, gen)
INSN(ONE, C1, _, /2, rcl, Ev Ib, _, w:OC u:O r:OC, _, shift, gen)
INSN(ONE, D0, _, /2, rcl, Eb 1, _, w:OC r:OC, _, shift, gen)
INSN(ONE, D1, _, /2, rcl, Ev 1, _, w:OC r:OC, _, shift, gen)
INSN(ONE, D2, _, /2, rcl, Eb CL, _, w:OC u:O r:OC, _, shift, gen)
INSN(ONE, D3, _, /2, rcl, Ev CL, _, w:OC u:O r:OC, _, shift, gen)
/* Rotates of size + 1 bits: CF is the bit above the top. */
ALUC(rcl)
{
    unsigned n = shift_count(width, b), size = 8 * width, k = n % (size + 1);
    if (!n)
        return a;
    u128 v = (u128)cf << size | zext(a, width), all = ((u128)1 << (size + 1)) - 1;
    v = (v << k | v >> (size + 1 - k)) & all;
    bool out = v >> size & 1;
    flags_set_cf_of(f, out, (v >> (size - 1) & 1) ^ out);
    return (u64)v;
}

INSN(ONE, C0, _, /3, rcr, Eb Ib, _, w:OC u:O r:OC, _, shift, gen)
INSN(ONE, C1, _, /3, rcr, Ev Ib, _, w:OC u:O r:OC, _, shift, gen)
INSN(ONE, D0, _, /3, rcr, Eb 1, _, w:OC r:OC, _, shift, gen)
INSN(ONE, D1, _, /3, rcr, Ev 1, _, w:OC r:OC, _, shift, gen)
INSN(ONE, D2, _, /3, rcr, Eb CL, _, w:OC u:O r:OC, _, shift, gen)
INSN(ONE, D3, _, /3, rcr, Ev CL, _, w:OC u:O r:OC, _, shift, gen)
ALUC(rcr)
{
    unsigned n = shift_count(width, b), size = 8 * width, k = n % (size + 1);
    if (!n)
        return a;
    u128 v = (u128)cf << size | zext(a, width), all = ((u128)1 << (size + 1)) - 1;
    v = (v >> k | v << (size + 1 - k)) & all;
    flags_set_cf_of(f, v >> size & 1, (v >> (size - 1) ^ v >> (size - 2)) & 1);
    return (u64)v;
}
