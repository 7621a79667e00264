// SPDX-License-Identifier: MIT
/* What the decoder says of one instruction, and what a row of the instruction table says.
 *
 * Rows are written in src/isa/<family>.c as INSN(...) lines right above their semantics; tools/isagen.c
 * copies them out at build time (see docs/ADDING_AN_INSTRUCTION.md for the columns). The decoder is pure:
 * bytes and a mode in, `struct insn` or a reason out. */
#ifndef SVMEMU_DECODER_INSN_H
#define SVMEMU_DECODER_INSN_H

#include "base/types.h"

enum { INSN_MAX_LEN = 15 };

/* Segment numbers as in the ModRM/segment encoding; the VMCB uses the same order. */
enum seg_id { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_COUNT6, SEG_LDTR = 6, SEG_TR = 7, SEG_N = 8 };

enum gpr_id { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15,
              GPR_TMP = 16,  /* slot 16: address temporary of exec, never guest-visible */
              GPR_ZERO = 17, /* slot 17: always zero (no base register) */
              GPR_PAGE = 18, /* slot 18: RIP of byte 0 of the running block's page, the base of RIP-relative addresses */
              GPR_NONE = 17 };
/* In struct operand an 8-bit register without REX may be AH, CH, DH, BH. */
enum { REG8_AH = 16, REG8_CH, REG8_DH, REG8_BH };

/* Decoding mode: the code segment's default size. */
enum dec_mode { MODE_16, MODE_32, MODE_64 };

/* Operand of a decoded instruction. */
enum opnd_kind {
    OPK_NONE,
    OPK_GPR,  /* reg: 0..15, or REG8_AH.. when size is 1 */
    OPK_MEM,  /* the ModRM (or moffs) memory operand: seg, base, index, scale, disp of the insn */
    OPK_IMM,  /* imm of the insn, already extended to the operand size as the encoding says */
    OPK_IMM2, /* imm2 of the insn (ENTER's level, EXTRQ/INSERTQ) */
    OPK_REL,  /* imm = signed displacement from the next instruction */
    OPK_FAR,  /* imm = offset, imm2 = selector */
    OPK_SREG, OPK_CR, OPK_DR,
    OPK_STR_SRC, /* seg:rSI of a string instruction (overridable segment) */
    OPK_STR_DST, /* ES:rDI */
    OPK_XLAT,    /* seg:rBX+AL */
    OPK_ST, OPK_MMX, OPK_XMM, OPK_YMM,
    OPK_CONST,   /* reg = the constant (1 of the shifts) */
};

struct operand {
    u8 kind; /* enum opnd_kind */
    u8 reg;
    u8 size; /* bytes accessed: 1, 2, 4, 8, 10, 16, 32...; 0 for LEA-like uses and variable-size state */
};

/* Prefix bits in insn.pfx. */
enum {
    PFX_LOCK = 1 << 0,
    PFX_REP = 1 << 1,   /* F3 was the last of F2/F3 */
    PFX_REPNE = 1 << 2, /* F2 */
    PFX_66 = 1 << 3,
    PFX_67 = 1 << 4,
    PFX_REX = 1 << 5,
    PFX_REXW = 1 << 6,
    PFX_VEX = 1 << 7,
};

/* 48 bytes: one stands beside each op of a block. */
struct insn {
    u64 imm;        /* immediate or relative displacement, sign- or zero-extended as the row says */
    i64 disp;       /* displacement or moffs; RIP-relative: already relative to the NEXT instruction, with riprel set */
    u16 row;        /* index into isa_rows[] */
    u16 imm2;
    u8 len;         /* 1..15 */
    u8 pfx;         /* PFX_* */
    u8 osz;         /* effective operand size in bytes 2, 4, 8 (after D64/F64 rules) */
    u8 asz;         /* effective address size in bytes 2, 4, 8 */
    u8 seg;         /* effective segment of the memory or string-source operand */
    u8 seg_ovr;     /* 1 when a segment override prefix chose `seg` (and counted) */
    u8 base, index; /* gpr_id or GPR_NONE */
    u8 scale;       /* shift 0..3 */
    u8 riprel;
    u8 modrm;       /* raw ModRM byte, 0 if none */
    u8 nops;
    struct operand op[4];
    u8 vex_l;       /* VEX.L */
    u8 opcode;      /* last opcode byte */
};

/* Why bytes are no instruction. */
enum dec_status {
    DEC_OK,
    DEC_SHORT,   /* more bytes are needed than were given (fetch the next page, or fault there) */
    DEC_UD,      /* #UD: no such encoding in this mode, bad LOCK, register form of a memory-only row... */
    DEC_TOOLONG, /* more than 15 bytes: #GP(0) */
};

/* Row limits (column 7 of INSN). */
enum {
    LIM_LOCK = 1 << 0,   /* LOCK allowed with a memory destination; every other LOCK is #UD */
    LIM_CPL0 = 1 << 1,   /* CPL must be 0, else #GP(0) */
    LIM_NO64 = 1 << 2,   /* #UD in 64-bit mode */
    LIM_O64 = 1 << 3,    /* only in 64-bit mode */
    LIM_PM = 1 << 4,     /* #UD in real and virtual-8086 mode */
    LIM_D64 = 1 << 5,    /* operand size defaults to 64 in 64-bit mode (66h gives 16) */
    LIM_F64 = 1 << 6,    /* operand size is 64 in 64-bit mode whatever the prefixes (near branches: AMD honours 66h, see D64) */
    LIM_END = 1 << 7,    /* ends the block: next instruction is entered through a fetch look-up */
    LIM_BRANCH = 1 << 8, /* near control transfer: ends the block, target by imm/operand */
    LIM_CALC = 1 << 9,   /* computing x87/MMX/SSE/AVX: decoded, stops with a diagnostic if executed */
    LIM_REP = 1 << 10,   /* F3/F2 are REP prefixes here */
    LIM_W0 = 1 << 11, LIM_W1 = 1 << 12, /* row matches only with REX.W/VEX.W clear / set */
    LIM_L0 = 1 << 13, LIM_L1 = 1 << 14, /* VEX.L */
    LIM_NO66 = 1 << 15,  /* 66h ignored / not part of the size */
    LIM_FPU = 1 << 16,   /* x87: #NM if CR0.EM|TS (WAIT: MP&TS) */
    LIM_MMX = 1 << 17,   /* #UD if EM, #NM if TS */
    LIM_SSE = 1 << 18,   /* #UD if EM or !OSFXSR, #NM if TS */
    LIM_AVX = 1 << 19,   /* #UD unless OSXSAVE and XCR0[2:1]=3, PE and !VM; #NM if TS */
    LIM_IOPL = 1 << 20,  /* documentation only: the body checks IOPL */
    LIM_NOFAULT = 1 << 21, /* register forms can not fault, exit or trap (lets flag writes before it be dropped) */
    LIM_VEXNDD = 1 << 22, /* VEX.vvvv must be 1111 unless an operand uses it: set automatically by isagen when unused */
    LIM_B0 = 1 << 23,    /* row matches only with REX.B clear (90: NOP, else XCHG) */
    LIM_RO = 1 << 24,    /* for the cost: the first operand is only read (PUSH, DIV, BT...); TST rows need not say so */
    LIM_SVME = 1 << 25,  /* #UD unless EFER.SVME */
    LIM_SKINIT = 1 << 26, /* ... or the processor has SKINIT */
    LIM_UMIP = 1 << 27,  /* #GP(0) above CPL 0 with CR4.UMIP */
    LIM_TSD = 1 << 28,   /* #GP(0) above CPL 0 with CR4.TSD, in protected and virtual-8086 mode */
    LIM_ICPT = 1 << 29,  /* the guard tests the row's intercept: set by isagen unless the column says body: */
    LIM_GUARD = LIM_PM | LIM_CPL0 | LIM_SVME | LIM_UMIP | LIM_TSD | LIM_ICPT,
};

enum insn_kind { KIND_NONE, KIND_ALU, KIND_ALUC, KIND_TST, KIND_UN, KIND_SYS };
enum insn_stamp { STAMP_GEN, STAMP_WIDTH, STAMP_REG };

/* RFLAGS masks use the architectural bit positions. */
struct isa_row {
    const char *name; /* body name; the mnemonic is the part before '_' */
    u32 limits;       /* LIM_* */
    u16 fl_write, fl_undef, fl_read; /* arithmetic flags: CF 0, PF 2, AF 4, ZF 6, SF 7, OF 11; DF 10 */
    u8 map, opcode, prefix, modrm; /* as matched, for messages and tests */
    u8 nops;
    u8 opnd[4];       /* operand template, private to the decoder */
    u8 icpt;          /* enum icpt_id, 0 = none */
    u8 feature;       /* enum feat_id, 0 = none */
    u8 timing;        /* enum timing_class */
    u8 stamp;         /* enum insn_stamp */
    u8 kind;          /* enum insn_kind */
};

extern const struct isa_row isa_rows[];
extern const unsigned isa_row_count;

/* Decode one instruction. `avail` bytes may be read at `bytes`. `has_feature` tells for a feat_id whether the
 * processor profile has it (a bitmap, bit n = feature n); rows of absent features do not match.
 * Pure and thread-safe. On DEC_UD, out->len is the number of bytes looked at. */
enum dec_status decode_insn(const u8 *bytes, size_t avail, enum dec_mode mode, const u64 *features, struct insn *out);

/* Writes the mnemonic and raw bytes (fallback where Capstone is absent or wrong). */
size_t insn_print(const struct insn *in, const u8 *bytes, char *buf, size_t size);

#endif
