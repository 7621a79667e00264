// SPDX-License-Identifier: MIT
/* Disassembly through Capstone. */
#ifndef SVMEMU_CLI_DISASM_H
#define SVMEMU_CLI_DISASM_H

#include "cli/cli.h"

struct disasm;
struct disasm_text {
    char mnemonic[32], operands[160];
};

/* NULL: not possible; why stands on `err`. */
struct disasm *disasm_open(FILE *err);
void disasm_close(struct disasm *d);
/* One instruction of code of 16, 32 or 64 bits at rip. Its length; 0: not known. */
size_t disassemble(struct disasm *d, unsigned bits, const uint8_t *code, size_t n, uint64_t rip, struct disasm_text *out);

#endif
