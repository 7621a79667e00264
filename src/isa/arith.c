// SPDX-License-Identifier: MIT
/* ADD ADC SUB SBB CMP INC DEC NEG and IMUL of two and three operands. Pure bodies only: exec folds them into its handlers by including this file once more. */
#include "isa/isa.h"

INSN(ONE, 00, _, MRM, add, Eb Gb, LOCK, w:OSZAPC, _, alu, reg)
INSN(ONE, 01, _, MRM, add, Ev Gv, LOCK, w:OSZAPC, _, alu, reg)
INSN(ONE, 02, _, MRM, add, Gb Eb, _, w:OSZAPC, _, alu, reg)
INSN(ONE, 03, _, MRM, add, Gv Ev, _, w:OSZAPC, _, alu, reg)
INSN(ONE, 04, _, _, add, AL Ib, _, w:OSZAPC, _, alu, reg)
INSN(ONE, 05, _, _, add, rAX Iz, _, w:OSZAPC, _, alu, reg)
INSN(ONE, 80, _, /0, add, Eb Ib, LOCK, w:OSZAPC, _, alu, reg)
INSN(ONE, 81, _, /0, add, Ev Iz, LOCK, w:OSZAPC, _, alu, reg)
INSN(ONE, 82, _, /0, add, Eb Ib, LOCK NO64, w:OSZAPC, _, alu, gen)
INSN(ONE, 83, _, /0, add, Ev Ibs, LOCK, w:OSZAPC, _, alu, reg)
ALU(add)
{
    u64 r = a + b;
    flags_add(f, width, a, b, r);
    return r;
}

INSN(ONE, 10, _, MRM, adc, Eb Gb, LOCK, w:OSZAPC r:C, _, alu, reg)
INSN(ONE, 11, _, MRM, adc, Ev Gv, LOCK, w:OSZAPC r:C, _, alu, reg)
INSN(ONE, 12, _, MRM, adc, Gb Eb, _, w:OSZAPC r:C, _, alu, reg)
INSN(ONE, 13, _, MRM, adc, Gv Ev, _, w:OSZAPC r:C, _, alu, reg)
INSN(ONE, 14, _, _, adc, AL Ib, _, w:OSZAPC r:C, _, alu, reg)
INSN(ONE, 15, _, _, adc, rAX Iz, _, w:OSZAPC r:C, _, alu, reg)
INSN(ONE, 80, _, /2, adc, Eb Ib, LOCK, w:OSZAPC r:C, _, alu, reg)
INSN(ONE, 81, _, /2, adc, Ev Iz, LOCK, w:OSZAPC r:C, _, alu, reg)
INSN(ONE, 82, _, /2, adc, Eb Ib, LOCK NO64, w:OSZAPC r:C, _, alu, gen)
INSN(ONE, 83, _, /2, adc, Ev Ibs, LOCK, w:OSZAPC r:C, _, alu, reg)
ALUC(adc)
{
    u64 r = a + b + cf;
    flags_add(f, width, a, b, r);
    return r;
}

INSN(ONE, 28, _, MRM, sub, Eb Gb, LOCK, w:OSZAPC, _, alu, reg)
INSN(ONE, 29, _, MRM, sub, Ev Gv, LOCK, w:OSZAPC, _, alu, reg)
INSN(ONE, 2A, _, MRM, sub, Gb Eb, _, w:OSZAPC, _, alu, reg)
INSN(ONE, 2B, _, MRM, sub, Gv Ev, _, w:OSZAPC, _, alu, reg)
INSN(ONE, 2C, _, _, sub, AL Ib, _, w:OSZAPC, _, alu, reg)
INSN(ONE, 2D, _, _, sub, rAX Iz, _, w:OSZAPC, _, alu, reg)
INSN(ONE, 80, _, /5, sub, Eb Ib, LOCK, w:OSZAPC, _, alu, reg)
INSN(ONE, 81, _, /5, sub, Ev Iz, LOCK, w:OSZAPC, _, alu, reg)
INSN(ONE, 82, _, /5, sub, Eb Ib, LOCK NO64, w:OSZAPC, _, alu, gen)
INSN(ONE, 83, _, /5, sub, Ev Ibs, LOCK, w:OSZAPC, _, alu, reg)
ALU(sub)
{
    u64 r = a - b;
    flags_sub(f, width, a, b, r);
    return r;
}

INSN(ONE, 18, _, MRM, sbb, Eb Gb, LOCK, w:OSZAPC r:C, _, alu, reg)
INSN(ONE, 19, _, MRM, sbb, Ev Gv, LOCK, w:OSZAPC r:C, _, alu, reg)
INSN(ONE, 1A, _, MRM, sbb, Gb Eb, _, w:OSZAPC r:C, _, alu, reg)
INSN(ONE, 1B, _, MRM, sbb, Gv Ev, _, w:OSZAPC r:C, _, alu, reg)
INSN(ONE, 1C, _, _, sbb, AL Ib, _, w:OSZAPC r:C, _, alu, reg)
INSN(ONE, 1D, _, _, sbb, rAX Iz, _, w:OSZAPC r:C, _, alu, reg)
INSN(ONE, 80, _, /3, sbb, Eb Ib, LOCK, w:OSZAPC r:C, _, alu, reg)
INSN(ONE, 81, _, /3, sbb, Ev Iz, LOCK, w:OSZAPC r:C, _, alu, reg)
INSN(ONE, 82, _, /3, sbb, Eb Ib, LOCK NO64, w:OSZAPC r:C, _, alu, gen)
INSN(ONE, 83, _, /3, sbb, Ev Ibs, LOCK, w:OSZAPC r:C, _, alu, reg)
ALUC(sbb)
{
    u64 r = a - b - cf;
    flags_sub(f, width, a, b, r);
    return r;
}

INSN(ONE, 38, _, MRM, cmp, Eb Gb, _, w:OSZAPC, _, alu, reg)
INSN(ONE, 39, _, MRM, cmp, Ev Gv, _, w:OSZAPC, _, alu, reg)
INSN(ONE, 3A, _, MRM, cmp, Gb Eb, _, w:OSZAPC, _, alu, reg)
INSN(ONE, 3B, _, MRM, cmp, Gv Ev, _, w:OSZAPC, _, alu, reg)
INSN(ONE, 3C, _, _, cmp, AL Ib, _, w:OSZAPC, _, alu, reg)
INSN(ONE, 3D, _, _, cmp, rAX Iz, _, w:OSZAPC, _, alu, reg)
INSN(ONE, 80, _, /7, cmp, Eb Ib, _, w:OSZAPC, _, alu, reg)
INSN(ONE, 81, _, /7, cmp, Ev Iz, _, w:OSZAPC, _, alu, reg)
INSN(ONE, 82, _, /7, cmp, Eb Ib, NO64, w:OSZAPC, _, alu, gen)
INSN(ONE, 83, _, /7, cmp, Ev Ibs, _, w:OSZAPC, _, alu, reg)
TST(cmp)
{
    flags_sub(f, width, a, b, a - b);
}

/* CF stays. */
INSN(ONE, FE, _, /0, inc, Eb, LOCK, w:OSZAP, _, alu, reg)
INSN(ONE, FF, _, /0, inc, Ev, LOCK, w:OSZAP, _, alu, reg)
INSN(ONE, 40+r, _, _, inc, Zv, NO64, w:OSZAP, _, alu, reg)
UN(inc)
{
    u64 r = a + 1;
    if (f) {
        bool cf = flag_cf(f);
        flags_add(f, width, a, 1, r);
        flags_set_cf(f, cf);
    }
    return r;
}

/* CF stays. */
INSN(ONE, FE, _, /1, dec, Eb, LOCK, w:OSZAP, _, alu, reg)
INSN(ONE, FF, _, /1, dec, Ev, LOCK, w:OSZAP, _, alu, reg)
INSN(ONE, 48+r, _, _, dec, Zv, NO64, w:OSZAP, _, alu, reg)
UN(dec)
{
    u64 r = a - 1;
    if (f) {
        bool cf = flag_cf(f);
        flags_sub(f, width, a, 1, r);
        flags_set_cf(f, cf);
    }
    return r;
}

INSN(ONE, F6, _, /3, neg, Eb, LOCK, w:OSZAPC, _, alu, reg)
INSN(ONE, F7, _, /3, neg, Ev, LOCK, w:OSZAPC, _, alu, reg)
UN(neg)
{
    flags_sub(f, width, 0, a, 0 - a);
    return 0 - a;
}

/* CF and OF say whether the upper half matters; of the undefined ones AMD leaves ZF, SF, AF and PF as they were. */
INSN(0F, AF, _, MRM, imul, Gv Ev, _, w:OC u:SZAP, _, mul, reg)
INSN(ONE, 69, _, MRM, imul, Gv Ev Iz, _, w:OC u:SZAP, _, mul, reg)
INSN(ONE, 6B, _, MRM, imul, Gv Ev Ibs, _, w:OC u:SZAP, _, mul, reg)
ALU(imul)
{
    i128 r = (i128)(i64)sext(a, width) * (i64)sext(b, width);
    bool over = r != (i64)sext((u64)r, width);
    flags_set_cf_of(f, over, over);
    return (u64)r;
}
