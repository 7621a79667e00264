// SPDX-License-Identifier: MIT
/* Sizes, ModRM and SIB, operands. [APM3 1.2.1, 1.3, 1.4, 1.5] */
#include "decoder/modrm.h"
#include "base/bits.h"

bool cur_le(struct cursor *c, unsigned width, u64 *v)
{
    if (c->pos + width > c->avail)
        return cur_fail(c, c->avail == INSN_MAX_LEN ? DEC_TOOLONG : DEC_SHORT);
    *v = load_le(c->p + c->pos, width);
    c->pos += width;
    return true;
}

void dec_effective_size(struct cursor *c, u32 limits)
{
    struct insn *in = c->in;
    bool p66 = (in->pfx & PFX_66) && !(limits & LIM_NO66), p67 = in->pfx & PFX_67;
    if (c->mode == MODE_64) {
        in->asz = p67 ? 4 : 8;
        if ((c->rex & 8) || (limits & LIM_F64))
            in->osz = 8;
        else
            in->osz = p66 ? 2 : limits & LIM_D64 ? 8 : 4;
    } else {
        in->asz = (c->mode == MODE_32) != p67 ? 4 : 2;
        in->osz = (c->mode == MODE_32) != p66 ? 4 : 2;
        if ((limits & LIM_NO66) && c->mode == MODE_16)
            in->osz = 2;
    }
}

static void choose_segment(struct cursor *c, unsigned dflt)
{
    c->in->seg = (u8)(c->seg_ovr >= 0 ? (unsigned)c->seg_ovr : dflt);
    c->in->seg_ovr = c->seg_ovr >= 0;
}

static bool read_disp(struct cursor *c, unsigned width)
{
    u64 v;
    if (!cur_le(c, width, &v))
        return false;
    c->in->disp = (i64)sext(v, width);
    return true;
}

/* 16-bit addressing. [APM3 table A-33] */
static bool modrm16(struct cursor *c, unsigned mod, unsigned rm)
{
    static const u8 base[] = { RBX, RBX, RBP, RBP, GPR_NONE, GPR_NONE, RBP, RBX };
    static const u8 index[] = { RSI, RDI, RSI, RDI, RSI, RDI, GPR_NONE, GPR_NONE };
    struct insn *in = c->in;
    in->base = base[rm];
    in->index = index[rm];
    if (mod == 0 && rm == 6) {
        in->base = GPR_NONE;
        choose_segment(c, SEG_DS);
        return read_disp(c, 2);
    }
    if (in->base == GPR_NONE) { /* SI or DI alone is a base */
        in->base = in->index;
        in->index = GPR_NONE;
    }
    choose_segment(c, in->base == RBP ? SEG_SS : SEG_DS);
    return mod == 0 || read_disp(c, mod);
}

static bool read_sib(struct cursor *c, unsigned mod, bool *disp32)
{
    struct insn *in = c->in;
    u8 sib;
    if (!cur_u8(c, &sib))
        return false;
    unsigned index = (sib >> 3 & 7) | (c->rex & 2 ? 8 : 0);
    c->in->scale = sib >> 6;
    in->index = index == RSP ? GPR_NONE : (u8)index;
    if ((sib & 7) == 5 && mod == 0)
        *disp32 = true;
    else
        in->base = (u8)((sib & 7) | (c->rex & 1 ? 8 : 0));
    return true;
}

static bool modrm32(struct cursor *c, unsigned mod, unsigned rm)
{
    struct insn *in = c->in;
    bool disp32 = mod == 2;
    if (rm == 4) {
        if (!read_sib(c, mod, &disp32))
            return false;
    } else if (rm == 5 && mod == 0) {
        disp32 = true;
        in->riprel = c->mode == MODE_64;
    } else {
        in->base = (u8)(rm | (c->rex & 1 ? 8 : 0));
    }
    choose_segment(c, in->base == RSP || in->base == RBP ? SEG_SS : SEG_DS);
    if (disp32)
        return read_disp(c, 4);
    return mod != 1 || read_disp(c, 1);
}

bool dec_modrm(struct cursor *c, bool mod_ignored)
{
    unsigned mod = c->in->modrm >> 6, rm = c->in->modrm & 7;
    if (mod == 3 || mod_ignored)
        return true;
    return c->in->asz == 2 ? modrm16(c, mod, rm) : modrm32(c, mod, rm);
}

static unsigned operand_size(const struct cursor *c, unsigned sz)
{
    static const u8 fixed[] = { [SZ_0] = 0, [SZ_b] = 1, [SZ_w] = 2, [SZ_d] = 4, [SZ_q] = 8, [SZ_t] = 10, [SZ_o] = 16, [SZ_y32] = 32 };
    unsigned osz = c->in->osz, vec = c->in->vex_l ? 32 : 16;
    switch (sz) {
    case SZ_v: return osz;
    case SZ_y: return osz == 8 ? 8 : 4;
    case SZ_z: return osz == 8 ? 4 : osz;
    case SZ_p: return osz + 2;
    case SZ_s: return c->mode == MODE_64 ? 10 : 6;
    case SZ_a: return osz * 2;
    case SZ_x: return vec;
    case SZ_h: return vec / 2;
    case SZ_f: return vec / 4;
    case SZ_e: return vec / 8;
    default: return fixed[sz];
    }
}

static bool set_op(struct operand *o, unsigned kind, unsigned reg, unsigned size)
{
    *o = (struct operand){ .kind = (u8)kind, .reg = (u8)reg, .size = (u8)size };
    return true;
}

/* Without REX, byte registers 4..7 are AH, CH, DH, BH. */
static bool set_gpr(const struct cursor *c, struct operand *o, unsigned reg, unsigned size)
{
    if (size == 1 && reg >= 4 && reg < 8 && !(c->in->pfx & (PFX_REX | PFX_VEX)))
        reg = REG8_AH + reg - 4;
    return set_op(o, OPK_GPR, reg, size);
}

static bool set_vec(const struct cursor *c, struct operand *o, unsigned reg, unsigned sz)
{
    bool ymm = sz == SZ_y32 || (sz == SZ_x && c->in->vex_l);
    return set_op(o, ymm ? OPK_YMM : OPK_XMM, reg, operand_size(c, sz));
}

/* Immediates: the first goes to imm, the second to imm2. Each is extended to the operand's size as the letter says. */
static bool read_imm(struct cursor *c, const struct opnd_desc *d, struct operand *o)
{
    unsigned size = operand_size(c, d->size), width = size;
    if (d->am == AM_IS)
        width = 1;
    else if (d->am == AM_IZ && size == 8)
        width = 4;
    u64 v;
    if (!cur_le(c, width, &v))
        return false;
    if (d->am != AM_I)
        v = zext(sext(v, width), size);
    if (c->has_imm) {
        c->in->imm2 = (u16)v;
        return set_op(o, OPK_IMM2, 0, size);
    }
    c->has_imm = true;
    c->in->imm = v;
    return set_op(o, OPK_IMM, 0, size);
}

static bool read_far(struct cursor *c, struct operand *o)
{
    u64 sel;
    if (!cur_le(c, c->in->osz, &c->in->imm) || !cur_le(c, 2, &sel))
        return false;
    c->in->imm2 = (u16)sel;
    return set_op(o, OPK_FAR, 0, c->in->osz + 2u);
}

static bool read_moffs(struct cursor *c, struct operand *o, unsigned size)
{
    u64 v;
    if (!cur_le(c, c->in->asz, &v))
        return false;
    c->in->disp = (i64)v;
    choose_segment(c, SEG_DS);
    return set_op(o, OPK_MEM, 0, size);
}

/* Gathers: SIB required, its index is a vector register, and destination, index and mask differ. [APM4 VPGATHER] */
static bool vsib(struct cursor *c, struct operand *o, unsigned size)
{
    struct insn *in = c->in;
    if ((in->modrm & 7) != 4 || in->asz == 2)
        return cur_fail(c, DEC_UD);
    if (in->index == GPR_NONE)
        in->index = RSP; /* a vector index of 4 is a register like any other */
    unsigned dst = (in->modrm >> 3 & 7) | (c->rex & 4 ? 8 : 0);
    if (dst == in->index || dst == c->vvvv || in->index == c->vvvv)
        return cur_fail(c, DEC_UD);
    return set_op(o, OPK_MEM, 0, size);
}

static bool special_reg(struct cursor *c, unsigned am, struct operand *o, unsigned reg, unsigned size, unsigned i)
{
    if (am == AM_SREG) { /* six registers; CS is not a destination */
        reg &= 7;
        if (reg > SEG_GS || (i == 0 && reg == SEG_CS))
            return cur_fail(c, DEC_UD);
        return set_op(o, OPK_SREG, reg, size);
    }
    if (am == AM_CR) { /* CR0, CR2, CR3, CR4, CR8 */
        if (reg > 8 || !(0x11Du >> reg & 1))
            return cur_fail(c, DEC_UD);
        return set_op(o, OPK_CR, reg, size);
    }
    if (reg > 7)
        return cur_fail(c, DEC_UD);
    return set_op(o, OPK_DR, reg, size);
}

bool dec_operand(struct cursor *c, const struct opnd_desc *d, unsigned i)
{
    struct insn *in = c->in;
    struct operand *o = &in->op[i];
    unsigned size = operand_size(c, d->size);
    unsigned reg = (in->modrm >> 3 & 7) | (c->rex & 4 ? 8 : 0);
    unsigned rm = (in->modrm & 7) | (c->rex & 1 ? 8 : 0);
    bool mem = in->modrm < 0xC0;
    u64 v;
    switch (d->am) {
    case AM_E: return mem ? set_op(o, OPK_MEM, 0, size) : set_gpr(c, o, rm, size);
    case AM_G: return set_gpr(c, o, reg, size);
    case AM_M: return set_op(o, OPK_MEM, 0, size);
    case AM_VSIB: return vsib(c, o, size);
    case AM_R: return set_gpr(c, o, rm, size);
    case AM_I: case AM_IZ: case AM_IS: return read_imm(c, d, o);
    case AM_J:
        if (!cur_le(c, size, &v))
            return false;
        in->imm = sext(v, size);
        return set_op(o, OPK_REL, 0, size);
    case AM_A: return read_far(c, o);
    case AM_O: return read_moffs(c, o, size);
    case AM_Z: return set_gpr(c, o, (in->opcode & 7) | (c->rex & 1 ? 8 : 0), size);
    case AM_SREG: case AM_CR: case AM_DR: return special_reg(c, d->am, o, reg, size, i);
    case AM_FIX_A: return set_op(o, OPK_GPR, RAX, size);
    case AM_FIX_C: return set_op(o, OPK_GPR, RCX, size);
    case AM_FIX_D: return set_op(o, OPK_GPR, RDX, size);
    case AM_ONE: return set_op(o, OPK_CONST, 1, size);
    case AM_X: choose_segment(c, SEG_DS); return set_op(o, OPK_STR_SRC, 0, size);
    case AM_Y: return set_op(o, OPK_STR_DST, 0, size);
    case AM_XLAT: choose_segment(c, SEG_DS); return set_op(o, OPK_XLAT, 0, size);
    case AM_B: return set_op(o, OPK_GPR, c->vvvv, size);
    case AM_FIX_ES: case AM_FIX_CS: case AM_FIX_SS: case AM_FIX_DS: case AM_FIX_FS: case AM_FIX_GS:
        return set_op(o, OPK_SREG, d->am - AM_FIX_ES, size);
    case AM_ST0: return set_op(o, OPK_ST, 0, size);
    case AM_STI: return set_op(o, OPK_ST, in->modrm & 7, size);
    case AM_P: return set_op(o, OPK_MMX, reg & 7, size);
    case AM_Q: return mem ? set_op(o, OPK_MEM, 0, size) : set_op(o, OPK_MMX, rm & 7, size);
    case AM_N: return set_op(o, OPK_MMX, rm & 7, size);
    case AM_V: return set_vec(c, o, reg, d->size);
    case AM_W: return mem ? set_op(o, OPK_MEM, 0, size) : set_vec(c, o, rm, d->size);
    case AM_U: return set_vec(c, o, rm, d->size);
    case AM_H: return set_vec(c, o, c->vvvv, d->size);
    case AM_L: { /* register in the immediate's high half; bit 7 is ignored outside 64-bit mode */
        if (!c->has_is4 && !cur_u8(c, &c->is4))
            return false;
        c->has_is4 = true;
        return set_vec(c, o, c->is4 >> 4 & (c->mode == MODE_64 ? 15 : 7), d->size);
    }
    default: return true;
    }
}
