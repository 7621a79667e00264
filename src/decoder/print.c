// SPDX-License-Identifier: MIT
/* Text of an instruction from its row alone: prefixes, mnemonic and raw bytes. For traces where no disassembler knows it. */
#include "decoder/table.h"

#include <stdio.h>
#include <string.h>

static const char *const cc_names[16] = { "o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g" };

/* The mnemonic is the name up to '_'; rows of sixteen condition codes end in "cc", which stands for the condition. */
static int mnemonic_length(const struct isa_row *r, bool *cc)
{
    int len = (int)strcspn(r->name, "_");
    bool family = (r->map == MAP_ONE && r->opcode == 0x70) || (r->map == MAP_0F && (r->opcode == 0x40 || r->opcode == 0x80 || r->opcode == 0x90));
    *cc = family && len > 2 && r->name[len - 1] == 'c' && r->name[len - 2] == 'c';
    return *cc ? len - 2 : len;
}

size_t insn_print(const struct insn *in, const u8 *bytes, char *buf, size_t size)
{
    const struct isa_row *r = &isa_rows[in->row];
    bool cc;
    int len = mnemonic_length(r, &cc);
    const char *rep = !(r->limits & LIM_REP) ? "" : in->pfx & PFX_REP ? "rep " : in->pfx & PFX_REPNE ? "repne " : "";
    int n = snprintf(buf, size, "%s%s%.*s%s [", in->pfx & PFX_LOCK ? "lock " : "", rep, len, r->name, cc ? cc_names[in->opcode & 15] : "");
    for (unsigned i = 0; i < in->len && n >= 0; i++) {
        size_t at = (size_t)n < size ? (size_t)n : size;
        n += snprintf(size ? buf + at : buf, size - at, "%s%02x", i ? " " : "", bytes[i]);
    }
    size_t at = (size_t)n < size ? (size_t)n : size;
    n += snprintf(size ? buf + at : buf, size - at, "]");
    return (size_t)n;
}
