// SPDX-License-Identifier: MIT
/* How a family file is written: INSN rows (they compile to nothing; tools/isagen.c reads them) above bodies.
 *
 * INSN(map, opcode, prefix, modrm, name, operands, limits, flags, intercept, timing, stamp)
 *   map       ONE 0F 0F38 0F3A 3DNOW | VEX1 (VEX map 0F) VEX2 (0F38) VEX3 (0F3A)
 *   opcode    hex byte; 50+r: eight opcodes, register in bits 2:0; 70+cc: sixteen condition codes (body reads in->opcode & 15)
 *   prefix    _ (66/F2/F3 are not part of the opcode) | NP (none of them may be there) | 66 | F3 | F2
 *   modrm     _ none | MRM any | MEM | REG | /0../7 | /0m../7m memory only | /0r../7r register only | =D8 this very ModRM byte
 *   name      body and mnemonic: mnemonic is the part before the first '_'
 *   operands  up to four of the manuals' letters: Eb Ew Ed Eq Ev Ey Gb Gw Gd Gv Gy Gz M Mb Mw Md Mq Mv My Mp Ms Mo(16) Rd Rv Ry Ib Iw Iz Iv Ibs(sign-extended) Jb Jz
 *             Ap Ob Ov Zb Zv Zq (register in the opcode) Sw Cd Dd AL CL DX AX eAX(z) rAX(v) 1 Xb Xv Xz Yb Yv Yz By (VEX.vvvv) ES CS SS DS FS GS ST0 STi
 *             and for vectors Px Qx Nx Vx Wx Ux Hx Lx with a size b w d q o(16) y(32) x(by VEX.L); or _
 *   limits    _ or LOCK CPL0 SVME SKINIT UMIP TSD NO64 O64 PM D64 F64 END BRANCH CALC REP W0 W1 L0 L1 NO66 FPU MMX SSE AVX NOFAULT, B0 (REX.B clear: NOP 90 against XCHG 90+r), RO (first
 *             operand only read, for the cost), and a feature F:BMI1
 *             (a row with NP/66/F3/F2, a narrower modrm, NO64/O64, W, L or B0 may be a special case of another row: it is tried first; words in a column
 *             are separated by spaces; all operand words: src/decoder/operand.def, where Ma is BOUND's pair, Mt 10 bytes, Mvsib a gather,
 *             Rx/Nx/Ux register only; a row with Cd or Dd ignores modrm.mod)
 *   flags     _ or any of w:OSZAPC (written) u:.. (undefined) r:.. (read), D for DF
 *   intercept _ or the name in svm/intercept.def, tested by exec's guard behind the limits; body:NAME where the body tests it (CR_READ, CR_WRITE,
 *             DR_READ, DR_WRITE: the register's number is added)
 *   timing    class of timing/classes.def
 *   stamp     gen | width | reg
 * One row a line. Rows with the same name share one body. */
#ifndef SVMEMU_ISA_ISA_H
#define SVMEMU_ISA_ISA_H

#include "cpu/vcpu.h"

#define INSN(...)

#ifdef SVMEMU_STAMPING /* lower.c includes the pure families once more, to fold the bodies into handlers */
#define ALU(n) static inline u64 alu_##n(struct flags *f, unsigned width, u64 a, u64 b)
#define ALUC(n) static inline u64 aluc_##n(struct flags *f, unsigned width, u64 a, u64 b, unsigned cf)
#define TST(n) static inline void tst_##n(struct flags *f, unsigned width, u64 a, u64 b)
#define UN(n) static inline u64 un_##n(struct flags *f, unsigned width, u64 a)
#else
/* Pure bodies: values in, value out (garbage above the width allowed both ways); f == NULL: record no flags. */
#define ALU(n) u64 alu_##n(struct flags *f, unsigned width, u64 a, u64 b); \
    inline u64 alu_##n(struct flags *f, unsigned width, u64 a, u64 b)
#define ALUC(n) u64 aluc_##n(struct flags *f, unsigned width, u64 a, u64 b, unsigned cf); \
    inline u64 aluc_##n(struct flags *f, unsigned width, u64 a, u64 b, unsigned cf)
#define TST(n) void tst_##n(struct flags *f, unsigned width, u64 a, u64 b); \
    inline void tst_##n(struct flags *f, unsigned width, u64 a, u64 b)
#define UN(n) u64 un_##n(struct flags *f, unsigned width, u64 a); \
    inline u64 un_##n(struct flags *f, unsigned width, u64 a)
#endif
/* Bodies that work on the vCPU; false means an event is recorded there (cpu_raise...). st.rip is the instruction, next_rip the one after. */
#define SYS(n) bool sys_##n(struct vcpu *c, const struct insn *in); \
    bool sys_##n(struct vcpu *c, const struct insn *in)

#endif
