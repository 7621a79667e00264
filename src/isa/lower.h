// SPDX-License-Identifier: MIT
/* What lower.c and lower_plan.c share: the classes of rows that have stamped handlers (exec.row_class), and in which modes they serve. */
#ifndef SVMEMU_ISA_LOWER_H
#define SVMEMU_ISA_LOWER_H

#include "exec/private.h"

/* Class in the high byte, index into the class's table in the low byte. */
enum {
    LC_NONE, LC_ALU, LC_TST, LC_UN, LC_SHIFT, LC_MOV, LC_MOVZX, LC_MOVSX, LC_LEA, LC_PUSH, LC_POP, LC_JMP, LC_CALL, LC_RET, LC_JCC,
    LC_SETCC, LC_CMOV, LC_NOP, LC_IMUL,
};

/* Stamped handlers take segments to be flat. */
static inline bool stampable(u32 mode)
{
    return (mode & MODEKEY_FLAT_DATA) && (mode & MODEKEY_FLAT_CS) && (mode & 3) != MODE_16;
}

#endif
