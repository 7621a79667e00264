// SPDX-License-Identifier: MIT
/* Disassembly through Capstone. */
#ifndef SVMEMU_CLI_DISASM_H
#define SVMEMU_CLI_DISASM_H

#include "cli/cli.h"

struct disasm;
struct disasm_text {
    char text[200];
};

/* NULL: not possible; why stands on `err`. */
struct disasm *disasm_open(FILE *err);
void disasm_close(struct disasm *d);
/* One instruction of code of 16, 32 or 64 bits at rip: by Capstone, or by svmemu's own table where that knows better. The number of bytes to
 * show: its length, or what there is of code that is no instruction, which the text says. */
size_t disassemble(struct disasm *d, const struct svmemu *m, unsigned bits, const uint8_t *code, size_t n, uint64_t rip, struct disasm_text *out);

#endif
