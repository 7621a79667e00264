// SPDX-License-Identifier: MIT
/* 3DNow! and its extensions [APM5].
 * Decoded to length and operands; computing is not built: such an instruction stops with a diagnostic. */
#include "isa/isa.h"

/* The opcode byte stands where an immediate would, after the operands */
INSN(3DNOW, 0C, _, MRM, pi2fw, Pq Qq, CALC MMX F:3DNOWEXT, _, _, vec, gen)
INSN(3DNOW, 0D, _, MRM, pi2fd, Pq Qq, CALC MMX F:3DNOW, _, _, vec, gen)
INSN(3DNOW, 1C, _, MRM, pf2iw, Pq Qq, CALC MMX F:3DNOWEXT, _, _, vec, gen)
INSN(3DNOW, 1D, _, MRM, pf2id, Pq Qq, CALC MMX F:3DNOW, _, _, vec, gen)
INSN(3DNOW, 8A, _, MRM, pfnacc, Pq Qq, CALC MMX F:3DNOWEXT, _, _, vec, gen)
INSN(3DNOW, 8E, _, MRM, pfpnacc, Pq Qq, CALC MMX F:3DNOWEXT, _, _, vec, gen)
INSN(3DNOW, 90, _, MRM, pfcmpge, Pq Qq, CALC MMX F:3DNOW, _, _, vec, gen)
INSN(3DNOW, 94, _, MRM, pfmin, Pq Qq, CALC MMX F:3DNOW, _, _, vec, gen)
INSN(3DNOW, 96, _, MRM, pfrcp, Pq Qq, CALC MMX F:3DNOW, _, _, vec, gen)
INSN(3DNOW, 97, _, MRM, pfrsqrt, Pq Qq, CALC MMX F:3DNOW, _, _, vec, gen)
INSN(3DNOW, 9A, _, MRM, pfsub, Pq Qq, CALC MMX F:3DNOW, _, _, vec, gen)
INSN(3DNOW, 9E, _, MRM, pfadd, Pq Qq, CALC MMX F:3DNOW, _, _, vec, gen)
INSN(3DNOW, A0, _, MRM, pfcmpgt, Pq Qq, CALC MMX F:3DNOW, _, _, vec, gen)
INSN(3DNOW, A4, _, MRM, pfmax, Pq Qq, CALC MMX F:3DNOW, _, _, vec, gen)
INSN(3DNOW, A6, _, MRM, pfrcpit1, Pq Qq, CALC MMX F:3DNOW, _, _, vec, gen)
INSN(3DNOW, A7, _, MRM, pfrsqit1, Pq Qq, CALC MMX F:3DNOW, _, _, vec, gen)
INSN(3DNOW, AA, _, MRM, pfsubr, Pq Qq, CALC MMX F:3DNOW, _, _, vec, gen)
INSN(3DNOW, AE, _, MRM, pfacc, Pq Qq, CALC MMX F:3DNOW, _, _, vec, gen)
INSN(3DNOW, B0, _, MRM, pfcmpeq, Pq Qq, CALC MMX F:3DNOW, _, _, vec, gen)
INSN(3DNOW, B4, _, MRM, pfmul, Pq Qq, CALC MMX F:3DNOW, _, _, vec, gen)
INSN(3DNOW, B6, _, MRM, pfrcpit2, Pq Qq, CALC MMX F:3DNOW, _, _, vec, gen)
INSN(3DNOW, B7, _, MRM, pmulhrw, Pq Qq, CALC MMX F:3DNOW, _, _, vec, gen)
INSN(3DNOW, BB, _, MRM, pswapd, Pq Qq, CALC MMX F:3DNOWEXT, _, _, vec, gen)
INSN(3DNOW, BF, _, MRM, pavgusb, Pq Qq, CALC MMX F:3DNOW, _, _, vec, gen)
INSN(0F, 0E, _, _, femms, _, CALC MMX F:3DNOW, _, _, vec, gen)
