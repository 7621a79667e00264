// SPDX-License-Identifier: MIT
/* Private to the decoder: the generated table as the matcher sees it. */
#ifndef SVMEMU_DECODER_TABLE_H
#define SVMEMU_DECODER_TABLE_H

#include "decoder/insn.h"
#include "decoder/rows.h"

struct row_run {
    u16 first, count;
};

/* The rows of one opcode byte in the order in which they are tried. */
const u16 *dec_rows(unsigned map, unsigned opcode, unsigned *count);

/* What an operand letter means, by OPND_*. */
struct opnd_desc {
    u8 am, size; /* AM_*, SZ_* */
};
extern const struct opnd_desc dec_opnds[];

#endif
