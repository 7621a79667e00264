// SPDX-License-Identifier: MIT
/* The decoder: prefixes, opcode maps, row matching, ModRM and operands, by the generated table. AMD's rules where vendors differ. [APM3 1] */
#include "base/ids.h"
#include "decoder/modrm.h"

const struct opnd_desc dec_opnds[] = {
#define OPND(id, text, am, size) { AM_##am, SZ_##size },
#include "decoder/operand.def"
#undef OPND
};

/* Legacy prefixes and REX, in any order; REX counts only directly before the opcode. [APM3 1.2] Leaves the opcode byte in *op. */
static bool read_prefixes(struct cursor *c, u8 *op)
{
    struct insn *in = c->in;
    for (;;) {
        u8 b;
        if (!cur_u8(c, &b))
            return false;
        if (c->mode == MODE_64 && (b & 0xF0) == 0x40) {
            c->rex = b;
            continue;
        }
        switch (b) {
        case 0xF0: in->pfx |= PFX_LOCK; break;
        case 0xF2: in->pfx = (u8)((in->pfx & ~PFX_REP) | PFX_REPNE); break;
        case 0xF3: in->pfx = (u8)((in->pfx & ~PFX_REPNE) | PFX_REP); break;
        case 0x66: in->pfx |= PFX_66; break;
        case 0x67: in->pfx |= PFX_67; break;
        case 0x26: case 0x2E: case 0x36: case 0x3E: /* ignored in 64-bit mode, where they do not cancel FS or GS [APM3 1.2.4] */
            if (c->mode != MODE_64)
                c->seg_ovr = (i8)(b >> 3 & 3);
            break;
        case 0x64: case 0x65: c->seg_ovr = (i8)(SEG_FS + (b & 1)); break;
        default:
            *op = b;
            return true;
        }
        c->rex = 0;
    }
}

/* C4/C5 after it is known that they are VEX. [APM4 1.2.1] */
static bool read_vex(struct cursor *c, u8 op)
{
    u8 b1, b2;
    if (!cur_u8(c, &b1))
        return false;
    if ((c->in->pfx & (PFX_LOCK | PFX_REP | PFX_REPNE | PFX_66)) || c->rex)
        return cur_fail(c, DEC_UD);
    if (op == 0xC5) {
        c->rex = (u8)(~b1 >> 5 & 4); /* R */
        b2 = b1 & 0x7F;
        c->map = MAP_VEX1;
    } else {
        if (!cur_u8(c, &b2))
            return false;
        c->rex = (u8)((~b1 >> 5 & 7) | (b2 >> 4 & 8));
        unsigned mmmmm = b1 & 31;
        if (mmmmm < 1 || mmmmm > 3)
            return cur_fail(c, DEC_UD);
        c->map = (u8)(MAP_VEX1 + mmmmm - 1);
    }
    c->vvvv = ~b2 >> 3 & 15;
    c->vvvv_used = c->vvvv != 0;
    if (c->mode != MODE_64) { /* R and X are 0 here (ModRM.mod was 11b), B and the top bit of vvvv are ignored */
        c->rex &= 8;
        c->vvvv &= 7;
    }
    static const u8 pp[] = { MP_NP, MP_66, MP_F3, MP_F2 };
    c->mp = pp[b2 & 3];
    c->in->vex_l = b2 >> 2 & 1;
    c->in->pfx |= PFX_VEX;
    return cur_u8(c, &c->in->opcode);
}

/* Opcode map and opcode byte. */
static bool read_opcode(struct cursor *c)
{
    u8 op, next;
    if (!read_prefixes(c, &op))
        return false;
    unsigned p = c->in->pfx;
    c->mp = p & PFX_REP ? MP_F3 : p & PFX_REPNE ? MP_F2 : p & PFX_66 ? MP_66 : MP_NP;
    if (op == 0xC4 || op == 0xC5) {
        if (c->mode == MODE_64)
            return read_vex(c, op);
        if (!cur_peek(c, &next))
            return false;
        if (next >= 0xC0)
            return read_vex(c, op);
    }
    c->map = MAP_ONE;
    if (op == 0x0F) {
        c->map = MAP_0F;
        if (!cur_u8(c, &op))
            return false;
        if (op == 0x38 || op == 0x3A) {
            c->map = op == 0x38 ? MAP_0F38 : MAP_0F3A;
            if (!cur_u8(c, &op))
                return false;
        } else if (op == 0x0F) {
            c->map = MAP_3DNOW; /* the opcode byte comes last */
        }
    }
    c->in->opcode = op;
    if (c->rex)
        c->in->pfx |= (u8)(PFX_REX | (c->rex & 8 ? PFX_REXW : 0));
    return true;
}

static bool modrm_matches(unsigned want, unsigned modrm)
{
    if (want >= MRM_EXACT)
        return modrm == want;
    switch (want & 0xF0) {
    case MRM_DIGIT: return (modrm >> 3 & 7) == (want & 7);
    case MRM_DIGIT_MEM: return (modrm >> 3 & 7) == (want & 7) && modrm < 0xC0;
    case MRM_DIGIT_REG: return (modrm >> 3 & 7) == (want & 7) && modrm >= 0xC0;
    default: return want == MRM_MEM ? modrm < 0xC0 : want == MRM_REG ? modrm >= 0xC0 : true;
    }
}

static bool row_matches(const struct cursor *c, const struct isa_row *r, const u64 *features)
{
    u32 lim = r->limits;
    if (r->prefix != MP_ANY && r->prefix != c->mp)
        return false;
    if ((lim & (LIM_W0 | LIM_W1)) && !(lim & (c->rex & 8 ? LIM_W1 : LIM_W0)))
        return false;
    if ((lim & (LIM_L0 | LIM_L1)) && !(lim & (c->in->vex_l ? LIM_L1 : LIM_L0)))
        return false;
    if ((lim & LIM_B0) && (c->rex & 1))
        return false;
    if (r->feature && !(features[r->feature >> 6] >> (r->feature & 63) & 1))
        return false;
    return r->modrm == MRM_NONE || modrm_matches(r->modrm, c->in->modrm);
}

/* Finds the row; reads the ModRM byte when the opcode has one (3DNow!: also its operands, as the opcode byte follows them). */
static bool find_row(struct cursor *c, const u64 *features)
{
    struct insn *in = c->in;
    unsigned count, map = c->map;
    if (map == MAP_3DNOW) {
        if (!cur_u8(c, &in->modrm))
            return false;
        c->has_modrm = true;
        dec_effective_size(c, 0);
        if (!dec_modrm(c, false) || !cur_u8(c, &in->opcode))
            return false;
    }
    const u16 *list = dec_rows(map, in->opcode, &count);
    for (unsigned i = 0; i < count; i++) {
        const struct isa_row *r = &isa_rows[list[i]];
        if (r->limits & (c->mode == MODE_64 ? LIM_NO64 : LIM_O64))
            continue; /* before a ModRM byte is asked for that may lie beyond the page */
        if (r->modrm != MRM_NONE && !c->has_modrm) {
            if (!cur_u8(c, &in->modrm))
                return false;
            c->has_modrm = true;
        }
        if (row_matches(c, r, features)) {
            in->row = list[i];
            return true;
        }
    }
    return cur_fail(c, DEC_UD);
}

/* LOCK needs a row that allows it and a memory destination; AMD's LOCK MOV CR0 is MOV CR8. [APM3 1.2.5, MOV CRn] */
static bool check_lock(struct cursor *c, const struct isa_row *r, const u64 *features)
{
    struct insn *in = c->in;
    if (!(in->pfx & PFX_LOCK) || ((r->limits & LIM_LOCK) && in->op[0].kind == OPK_MEM))
        return true;
    for (unsigned i = 0; i < in->nops; i++) {
        if (in->op[i].kind == OPK_CR && in->op[i].reg == 0 && (features[FEAT_ALTMOVCR8 >> 6] >> (FEAT_ALTMOVCR8 & 63) & 1)) {
            in->op[i].reg = 8;
            return true;
        }
    }
    return cur_fail(c, DEC_UD);
}

static bool decode(struct cursor *c, const u64 *features)
{
    struct insn *in = c->in;
    if (!read_opcode(c) || !find_row(c, features))
        return false;
    const struct isa_row *r = &isa_rows[in->row];
    if ((r->limits & LIM_VEXNDD) && c->vvvv_used)
        return cur_fail(c, DEC_UD);
    dec_effective_size(c, r->limits);
    if (c->seg_ovr >= 0) /* also where the address is no operand: MONITOR, CLZERO */
        in->seg = (u8)c->seg_ovr;
    if (c->has_modrm && c->map != MAP_3DNOW && !dec_modrm(c, r->modrm == MRM_IGN))
        return false;
    for (unsigned i = 0; i < r->nops; i++)
        if (!dec_operand(c, &dec_opnds[r->opnd[i]], i))
            return false;
    in->nops = r->nops;
    return check_lock(c, r, features);
}

enum dec_status decode_insn(const u8 *bytes, size_t avail, enum dec_mode mode, const u64 *features, struct insn *out)
{
    struct cursor c = { .p = bytes, .avail = avail < INSN_MAX_LEN ? (unsigned)avail : INSN_MAX_LEN, .in = out, .mode = mode, .seg_ovr = -1 };
    *out = (struct insn){ .base = GPR_NONE, .index = GPR_NONE, .seg = SEG_DS };
    bool ok = decode(&c, features);
    out->len = (u8)c.pos;
    return ok ? DEC_OK : c.status;
}
