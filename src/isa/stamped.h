// SPDX-License-Identifier: MIT
/* The tables of stamped handlers by which lower.c finds them; index orders are those of lower.c's classes. Handlers with operands read
 * from the op (stamp_any.c) come in every width; those stamped per register number (stamp_alu.c, stamp_mem.c, stamp_three.c,
 * stamp_branch.c) for 4 and 8 bytes, index 0 and 1. A NULL entry: there is none. Memory operands are base + displacement unless
 * "indexed". */
#ifndef SVMEMU_ISA_STAMPED_H
#define SVMEMU_ISA_STAMPED_H

#include "exec/private.h"

enum form { F_RR, F_RI, F_RM, F_MR, F_MI, F_COUNT };
enum { IMUL_RR, IMUL_RRI, IMUL_RM };
enum { ALU_ADD, ALU_OR, ALU_AND, ALU_SUB, ALU_XOR, ALU_MOV, ALU_ADC = 5, ALU_SBB }; /* ADC and SBB have no per-register forms */
enum { EXT_Z8, EXT_Z16, EXT_S8_4, EXT_S8_8, EXT_S16_4, EXT_S16_8, EXT_S32_8, EXT_COUNT };
/* ADD OR AND SUB XOR, then SUB the other way round; ADD and SUB of an immediate are LEA's. */
enum { THREE_BUS = 5, THREE_COUNT };
enum { LOOP_RR, LOOP_RI, LOOP_SWAPPED, LOOP_COUNT }; /* the sum with a register, with an immediate, a register with the sum */
enum { PAIR_MOV, PAIR_PUSH = PAIR_MOV + 4, PAIR_POP, PAIR_COUNT }; /* moves: + 2 if the first is of 8 bytes, + 1 if the second is */
enum { STEP_ADD, STEP_SUB, STEP_AND, STEP_INC, STEP_DEC, STEP_COUNT };

/* stamp_any.c */
extern op_fn *const alu_tab[7][2][4][F_COUNT]; /* [body][recorded][log2 width][form] */
extern op_fn *const tst_tab[2][4][F_COUNT];
extern op_fn *const un_tab[4][2][4][2];        /* last: memory */
extern op_fn *const sh_tab[5][2][4][2][2];     /* [..][memory][by CL] */
extern op_fn *const mov_tab[4][F_COUNT];
extern op_fn *const ext_tab[2][3][4][2];       /* [signed][log2 source][log2 destination][memory] */
extern op_fn *const setcc_tab[16];
extern op_fn push_i, op_nop, agu, agu32;

/* Stamped per register number. The object files of these tables are linked STAMP_COPIES times (cmake/library.cmake): a processor predicts an
 * indirect jump with one target in one cycle and one with several in three, so lower.c gives the uses of a handler in a loop different
 * copies of it. */
#define STAMP_COPIES 3

/* stamp_alu.c: [body][recorded][64-bit] ... [register] */
struct stamped_alu {
    op_fn *rr[6][2][2][16][16];   /* destination, source; body 5 is MOV */
    op_fn *ri[6][2][2][16];
    op_fn *rm[2][5][2][2][16];    /* [indexed] ... */
    op_fn *shi[5][2][2][16], *shc[5][2][2][16];
    op_fn *un[4][2][2][16];
    op_fn *imul[2][2][3][16];     /* [recorded][64-bit][form] */
    op_fn *tsti[2][3][16], *tstr[2][3][16]; /* [test][width 1, 4, 8] against an immediate, a register */
};

/* stamp_mem.c */
struct stamped_mem {
    op_fn *ld[2][16][16], *st[2][16][16]; /* [64-bit][data][base] */
    op_fn *ldx[2][16][16], *stx[2][16][16]; /* indexed: [64-bit][data][index], the base from the op */
    op_fn *ldg[2][16], *stg[2][16];       /* index and base from the op */
    op_fn *sti[3][16];                    /* [width 1, 4, 8][base]: an immediate */
    op_fn *zx8[16][16];                   /* [destination][base] */
    op_fn *extm[EXT_COUNT][16], *extr[EXT_COUNT][16][16]; /* [kind][destination]; of a register: [source], AH to BH from the op */
    op_fn *exth[EXT_COUNT][16];
    /* Addresses: [64-bit][destination][base]; the same register as base and index; an index only; base and, from the op, an index; all from
     * the op. */
    op_fn *lea[2][16][16], *lea2[2][16][16], *leas[2][16][16], *leax[2][16][16], *leag[2][16];
    op_fn *agu[16][16];                   /* base + index into the temporary */
    op_fn *cmov[2][16][16], *set[16][16]; /* ... [cc][destination] */
    op_fn *push[16], *pop[16];
    op_fn *pair[PAIR_COUNT];              /* two in one, all registers from the ops */
};

/* stamp_three.c: [body][64-bit][destination][source], the other operand from the op */
struct stamped_three {
    op_fn *rr[THREE_COUNT][2][16][16], *ri[5][2][16][16], *sh[5][2][16][16];
};

/* stamp_branch.c */
struct stamped_branch {
    op_fn *jmp_link, *jmp_out, *call_link, *call_out, *ret_near, *jmp_r, *call_r, *jmp_m, *call_m;
    op_fn *jcc[16];
    op_fn *fused[2][3][16][F_COUNT];         /* [test][width 1, 4, 8][cc][form] */
    op_fn *fused_reg[2][2][2][16][16];       /* [immediate][test][64-bit][cc][register] */
    op_fn *step[STEP_COUNT][2][16][16];      /* [body][64-bit][cc][register], immediate */
    op_fn *loop[LOOP_COUNT][2][16][16];      /* [compare][64-bit][cc][register]: ADD of an immediate, compare, Jcc */
};

extern const struct stamped_alu stamped_alu, stamped_alu_b, stamped_alu_c;
extern const struct stamped_mem stamped_mem, stamped_mem_b, stamped_mem_c;
extern const struct stamped_three stamped_three, stamped_three_b, stamped_three_c;
extern const struct stamped_branch stamped_branch, stamped_branch_b, stamped_branch_c;

#endif
