// SPDX-License-Identifier: MIT
/* Private to the decoder: the byte cursor, sizes, ModRM and operands. */
#ifndef SVMEMU_DECODER_MODRM_H
#define SVMEMU_DECODER_MODRM_H

#include "decoder/table.h"

struct cursor {
    const u8 *p;
    unsigned avail, pos; /* avail is at most INSN_MAX_LEN */
    struct insn *in;
    enum dec_mode mode;
    enum dec_status status; /* why a function returned false */
    i8 seg_ovr;             /* -1: none */
    u8 rex;                 /* REX or the VEX bits in REX's places: W 8, R 4, X 2, B 1 */
    u8 mp;                  /* MP_NP..MP_F2: effective mandatory prefix */
    u8 map;
    u8 vvvv;
    bool vvvv_used; /* the raw field is not 1111b: #UD where no operand uses it */
    bool has_modrm, has_imm, has_is4;
    u8 is4;
};

static inline bool cur_fail(struct cursor *c, enum dec_status why)
{
    c->status = why;
    return false;
}

static inline bool cur_peek(struct cursor *c, u8 *b)
{
    if (c->pos >= c->avail)
        return cur_fail(c, c->avail == INSN_MAX_LEN ? DEC_TOOLONG : DEC_SHORT);
    *b = c->p[c->pos];
    return true;
}

static inline bool cur_u8(struct cursor *c, u8 *b)
{
    if (!cur_peek(c, b))
        return false;
    c->pos++;
    return true;
}

/* Little-endian immediate or displacement of `width` bytes, zero-extended. */
bool cur_le(struct cursor *c, unsigned width, u64 *v);

/* Effective operand and address size from mode, prefixes and the row's LIM_*. */
void dec_effective_size(struct cursor *c, u32 limits);

/* SIB and displacement of the ModRM byte already read; mod_ignored takes mod as 3. */
bool dec_modrm(struct cursor *c, bool mod_ignored);

/* Operand `i` of the instruction, reading its immediate if it is one. */
bool dec_operand(struct cursor *c, const struct opnd_desc *d, unsigned i);

#endif
