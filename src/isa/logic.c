// SPDX-License-Identifier: MIT
/* OR AND XOR TEST NOT. Pure bodies only: exec folds them into its handlers by including this file once more. */
#include "isa/isa.h"

INSN(ONE, 08, _, MRM, or, Eb Gb, LOCK, w:OSZAPC u:A, _, alu, reg)
INSN(ONE, 09, _, MRM, or, Ev Gv, LOCK, w:OSZAPC u:A, _, alu, reg)
INSN(ONE, 0A, _, MRM, or, Gb Eb, _, w:OSZAPC u:A, _, alu, reg)
INSN(ONE, 0B, _, MRM, or, Gv Ev, _, w:OSZAPC u:A, _, alu, reg)
INSN(ONE, 0C, _, _, or, AL Ib, _, w:OSZAPC u:A, _, alu, reg)
INSN(ONE, 0D, _, _, or, rAX Iz, _, w:OSZAPC u:A, _, alu, reg)
INSN(ONE, 80, _, /1, or, Eb Ib, LOCK, w:OSZAPC u:A, _, alu, reg)
INSN(ONE, 81, _, /1, or, Ev Iz, LOCK, w:OSZAPC u:A, _, alu, reg)
INSN(ONE, 82, _, /1, or, Eb Ib, LOCK NO64, w:OSZAPC u:A, _, alu, gen)
INSN(ONE, 83, _, /1, or, Ev Ibs, LOCK, w:OSZAPC u:A, _, alu, reg)
ALU(or)
{
    flags_logic(f, width, a | b);
    return a | b;
}

INSN(ONE, 20, _, MRM, and, Eb Gb, LOCK, w:OSZAPC u:A, _, alu, reg)
INSN(ONE, 21, _, MRM, and, Ev Gv, LOCK, w:OSZAPC u:A, _, alu, reg)
INSN(ONE, 22, _, MRM, and, Gb Eb, _, w:OSZAPC u:A, _, alu, reg)
INSN(ONE, 23, _, MRM, and, Gv Ev, _, w:OSZAPC u:A, _, alu, reg)
INSN(ONE, 24, _, _, and, AL Ib, _, w:OSZAPC u:A, _, alu, reg)
INSN(ONE, 25, _, _, and, rAX Iz, _, w:OSZAPC u:A, _, alu, reg)
INSN(ONE, 80, _, /4, and, Eb Ib, LOCK, w:OSZAPC u:A, _, alu, reg)
INSN(ONE, 81, _, /4, and, Ev Iz, LOCK, w:OSZAPC u:A, _, alu, reg)
INSN(ONE, 82, _, /4, and, Eb Ib, LOCK NO64, w:OSZAPC u:A, _, alu, gen)
INSN(ONE, 83, _, /4, and, Ev Ibs, LOCK, w:OSZAPC u:A, _, alu, reg)
ALU(and)
{
    flags_logic(f, width, a & b);
    return a & b;
}

INSN(ONE, 30, _, MRM, xor, Eb Gb, LOCK, w:OSZAPC u:A, _, alu, reg)
INSN(ONE, 31, _, MRM, xor, Ev Gv, LOCK, w:OSZAPC u:A, _, alu, reg)
INSN(ONE, 32, _, MRM, xor, Gb Eb, _, w:OSZAPC u:A, _, alu, reg)
INSN(ONE, 33, _, MRM, xor, Gv Ev, _, w:OSZAPC u:A, _, alu, reg)
INSN(ONE, 34, _, _, xor, AL Ib, _, w:OSZAPC u:A, _, alu, reg)
INSN(ONE, 35, _, _, xor, rAX Iz, _, w:OSZAPC u:A, _, alu, reg)
INSN(ONE, 80, _, /6, xor, Eb Ib, LOCK, w:OSZAPC u:A, _, alu, reg)
INSN(ONE, 81, _, /6, xor, Ev Iz, LOCK, w:OSZAPC u:A, _, alu, reg)
INSN(ONE, 82, _, /6, xor, Eb Ib, LOCK NO64, w:OSZAPC u:A, _, alu, gen)
INSN(ONE, 83, _, /6, xor, Ev Ibs, LOCK, w:OSZAPC u:A, _, alu, reg)
ALU(xor)
{
    flags_logic(f, width, a ^ b);
    return a ^ b;
}

INSN(ONE, 84, _, MRM, test, Eb Gb, _, w:OSZAPC u:A, _, alu, reg)
INSN(ONE, 85, _, MRM, test, Ev Gv, _, w:OSZAPC u:A, _, alu, reg)
INSN(ONE, A8, _, _, test, AL Ib, _, w:OSZAPC u:A, _, alu, reg)
INSN(ONE, A9, _, _, test, rAX Iz, _, w:OSZAPC u:A, _, alu, reg)
INSN(ONE, F6, _, /0, test, Eb Ib, _, w:OSZAPC u:A, _, alu, reg)
INSN(ONE, F6, _, /1, test, Eb Ib, _, w:OSZAPC u:A, _, alu, gen)
INSN(ONE, F7, _, /0, test, Ev Iz, _, w:OSZAPC u:A, _, alu, reg)
INSN(ONE, F7, _, /1, test, Ev Iz, _, w:OSZAPC u:A, _, alu, gen)
TST(test)
{
    flags_logic(f, width, a & b);
}

INSN(ONE, F6, _, /2, not, Eb, LOCK, _, _, alu, reg)
INSN(ONE, F7, _, /2, not, Ev, LOCK, _, _, alu, reg)
UN(not)
{
    (void)f;
    (void)width;
    return ~a;
}
