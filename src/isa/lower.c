// SPDX-License-Identifier: MIT
/* Lowering: from a decoded instruction to the ops of a block. What has no stamped form becomes one op_generic. */
#include "exec/private.h"

#include <stdlib.h>

#if !SVMEMU_STAMP_FULL

/* Debug, sanitizer, coverage and fuzz builds: generic handlers only. */
u16 *lower_classes(void)
{
    return calloc(isa_row_count, sizeof(u16));
}

unsigned lower_insn(struct exec *e, const struct vcpu *c, const struct insn *in, u32 mode, struct op *out, bool last, bool record,
                    unsigned page_off)
{
    (void)e, (void)c, (void)mode, (void)record, (void)page_off;
    return lower_generic(in, out, last);
}

void lower_liveness(const struct exec *e, const struct insn *run, unsigned n, u32 mode, bool *record)
{
    (void)e, (void)run, (void)mode;
    for (unsigned i = 0; i < n; i++)
        record[i] = true;
}

#else

#include "isa/stamped_reg.h"

/* Class in the high byte, index into the class's table in the low byte. */
enum {
    LC_NONE, LC_ALU, LC_TST, LC_UN, LC_SHIFT, LC_MOV, LC_MOVZX, LC_MOVSX, LC_LEA, LC_PUSH, LC_POP, LC_JMP, LC_CALL, LC_RET, LC_JCC,
    LC_SETCC, LC_CMOV, LC_NOP, LC_IMUL,
};
#define LC(cls, idx) ((u16)((cls) << 8 | (idx)))

static const struct {
    const char *name;
    u16 cls;
} names[] = {
    { "add", LC(LC_ALU, 0) }, { "or", LC(LC_ALU, 1) }, { "and", LC(LC_ALU, 2) }, { "sub", LC(LC_ALU, 3) }, { "xor", LC(LC_ALU, 4) },
    { "adc", LC(LC_ALU, 5) }, { "sbb", LC(LC_ALU, 6) }, { "cmp", LC(LC_TST, 0) }, { "test", LC(LC_TST, 1) },
    { "inc", LC(LC_UN, 0) }, { "dec", LC(LC_UN, 1) }, { "neg", LC(LC_UN, 2) }, { "not", LC(LC_UN, 3) },
    { "shl", LC(LC_SHIFT, 0) }, { "shr", LC(LC_SHIFT, 1) }, { "sar", LC(LC_SHIFT, 2) }, { "rol", LC(LC_SHIFT, 3) }, { "ror", LC(LC_SHIFT, 4) },
    { "mov", LC(LC_MOV, 0) }, { "movzx", LC(LC_MOVZX, 0) }, { "movsx", LC(LC_MOVSX, 0) }, { "movsxd", LC(LC_MOVSX, 0) },
    { "lea", LC(LC_LEA, 0) }, { "push", LC(LC_PUSH, 0) }, { "pop", LC(LC_POP, 0) }, { "jmp", LC(LC_JMP, 0) }, { "call", LC(LC_CALL, 0) },
    { "ret", LC(LC_RET, 0) }, { "jcc", LC(LC_JCC, 0) }, { "setcc", LC(LC_SETCC, 0) }, { "cmovcc", LC(LC_CMOV, 0) }, { "nop", LC(LC_NOP, 0) },
    { "imul", LC(LC_IMUL, 0) },
};

u16 *lower_classes(void)
{
    u16 *t = calloc(isa_row_count, sizeof *t);
    for (unsigned r = 0; t && r < isa_row_count; r++)
        for (unsigned i = 0; i < ARRAY_LEN(names); i++)
            if (!strcmp(isa_rows[r].name, names[i].name))
                t[r] = names[i].cls;
    return t;
}

static unsigned lg(unsigned width)
{
    return width == 1 ? 0 : width == 2 ? 1 : width == 4 ? 2 : 3;
}

static u8 reg_off(const struct operand *o)
{
    return o->size == 1 && o->reg >= REG8_AH ? (u8)((o->reg - REG8_AH) * 8 + 1) : (u8)(o->reg * 8);
}

/* Emits the address slots of a memory operand; the op proper then uses base + disp. False: not possible, use op_generic. */
static bool lower_address(const struct insn *in, u32 mode, unsigned page_off, struct op **at, u8 *base, i32 *disp)
{
    bool m64 = (mode & 3) == MODE_64;
    if (in->asz == 2 || (!m64 && in->asz != 4) || in->disp != (i32)in->disp)
        return false;
    if (in->seg == SEG_FS || in->seg == SEG_GS) {
        if (!m64 || in->asz == 4)
            return false;
    } else if (in->seg == SEG_CS && !m64) {
        return false;
    }
    bool seg = in->seg == SEG_FS || in->seg == SEG_GS, plain = m64 && in->asz == 8 && !seg && in->index == GPR_NONE;
    if (in->riprel) {
        if (seg || in->asz != 8)
            return false;
        *(*at)++ = (struct op){ .fn = agu_rip, .imm = (u64)(page_off + in->len + in->disp) };
        *base = GPR_TMP * 8;
        *disp = 0;
        return true;
    }
    *base = (u8)(in->base * 8);
    *disp = (i32)in->disp;
    if (plain)
        return true;
    *(*at)++ = (struct op){ .fn = in->asz == 4 ? agu32 : agu, .base = *base, .disp = *disp, .r0 = (u8)(in->index * 8), .aux = in->scale };
    if (in->asz == 8 && in->base < 16 && in->index < 16)
        (*at)[-1].fn = agu_tab[in->base][in->index];
    if (seg)
        *(*at)++ = (struct op){ .fn = agu_seg, .r0 = in->seg };
    *base = GPR_TMP * 8;
    *disp = 0;
    return true;
}

/* Finds the form of a two-operand instruction and fills the op's operands. */
static bool lower_forms(const struct insn *in, u32 mode, unsigned page_off, struct op **at, struct op *o, enum form *form)
{
    const struct operand *d = &in->op[0], *s = &in->op[1];
    *o = (struct op){ 0 };
    if (d->kind == OPK_GPR) {
        o->r0 = reg_off(d);
        if (s->kind == OPK_GPR) {
            o->r1 = reg_off(s);
            *form = F_RR;
            return true;
        }
        if (s->kind == OPK_IMM) {
            o->imm = in->imm;
            *form = F_RI;
            return true;
        }
        *form = F_RM;
        return s->kind == OPK_MEM && lower_address(in, mode, page_off, at, &o->base, &o->disp);
    }
    if (d->kind != OPK_MEM || !lower_address(in, mode, page_off, at, &o->base, &o->disp))
        return false;
    if (s->kind == OPK_GPR) {
        o->r0 = reg_off(s);
        *form = F_MR;
        return true;
    }
    o->imm = in->imm;
    *form = F_MI;
    return s->kind == OPK_IMM;
}

static struct op link_slot(i64 disp)
{
    return (struct op){ .charge = CHARGE_UNLINKED, .link = NULL, .disp = (i32)disp };
}

/* In 32-bit code a target above 4 GiB wraps; those and targets far away are left to the generic body. */
static bool near_target(const struct insn *in, u32 mode, unsigned page_off, i64 *disp)
{
    i64 d = (i64)page_off + in->len + (i64)in->imm;
    *disp = d;
    if (!(mode & MODEKEY_FLAT_CS))
        return false;
    if ((mode & 3) == MODE_64 ? in->osz != 8 : (mode & 3) != MODE_32 || in->osz != 4)
        return false;
    return d >= 0 && d < (i64)PAGE_SIZE ? true : (mode & 3) == MODE_64 && d == (i32)d;
}

static unsigned lower_branch(struct exec *e, unsigned cls, const struct insn *in, u32 mode, struct op *out, unsigned page_off)
{
    bool m64 = (mode & 3) == MODE_64;
    i64 disp;
    if (cls == LC_RET) {
        if (!m64 || in->nops || in->osz != 8)
            return 0;
        *out = (struct op){ .fn = ret_near };
        return 1;
    }
    if (in->op[0].kind == OPK_GPR && m64 && in->op[0].size == 8 && cls != LC_JCC) {
        *out = (struct op){ .fn = cls == LC_JMP ? jmp_r : call_r, .imm = page_off + in->len, .r0 = reg_off(&in->op[0]) };
        return 1;
    }
    if (in->op[0].kind == OPK_MEM && m64 && in->op[0].size == 8 && in->osz == 8 && cls != LC_JCC) {
        struct op o = { .fn = cls == LC_JMP ? jmp_m : call_m, .imm = page_off + in->len }, *at = out;
        if (!lower_address(in, mode, page_off, &at, &o.base, &o.disp))
            return 0;
        *at++ = o;
        return (unsigned)(at - out);
    }
    if (in->op[0].kind != OPK_REL || !near_target(in, mode, page_off, &disp))
        return 0;
    if (cls == LC_JMP) {
        out[0] = (struct op){ .fn = jmp_link };
        out[1] = link_slot(disp);
        return 2;
    }
    if (cls == LC_CALL) {
        if (!m64)
            return 0;
        out[0] = (struct op){ .fn = call_link, .imm = page_off + in->len };
        out[1] = link_slot(disp);
        return 2;
    }
    unsigned cc = in->opcode & 15;
    out[0] = (struct op){ .fn = jcc_tab[cc] };
    out[1] = link_slot(disp);
    out[2] = link_slot((i64)page_off + in->len);
    /* Fuse with a compare right before it: only its function changes, so a fault there enters the plain ops. */
    u32 at = (u32)(out - e->ops);
    if (at && e->slots[at - 1].fuse) {
        unsigned k = e->slots[at - 1].fuse - 1u; /* (test * 3 + width index) * F_COUNT + form */
        unsigned form = k % F_COUNT, width = k / F_COUNT % 3, test = k / F_COUNT / 3;
        e->ops[at - 1].fn = form <= F_RI && width ? jri_tab[form][test][width - 1][cc][e->ops[at - 1].r0 / 8]
                                                  : fuse_tab[test][width][cc][form];
    }
    return 3;
}

/* A handler for these very registers, where there is one. */
static void stamp_registers(struct op *o, unsigned cls, unsigned idx, unsigned w, enum form form, bool record)
{
    unsigned k = w == 8, which = cls == LC_MOV ? RR_MOV : idx;
    if (w < 4 || cls == LC_TST || which > RR_MOV || (cls == LC_ALU && idx >= 5))
        return;
    if (form == F_RR)
        o->fn = rr_tab[which][record][k][o->r0 / 8][o->r1 / 8];
    else if (form == F_RI)
        o->fn = ri_tab[which][record][k][o->r0 / 8];
    else if (cls == LC_MOV && form != F_MI && o->base < 16 * 8)
        o->fn = (form == F_RM ? ld_tab : st_tab)[k][o->r0 / 8][o->base / 8];
}

static unsigned lower_two(struct exec *e, unsigned cls, unsigned idx, const struct insn *in, u32 mode, struct op *out, bool record,
                          unsigned page_off)
{
    struct op o, *at = out;
    enum form form;
    unsigned w = in->op[0].size;
    if (in->nops != 2 || (in->pfx & PFX_LOCK) || in->op[1].size > 8 || !w || w > 8)
        return 0;
    if (!lower_forms(in, mode, page_off, &at, &o, &form))
        return 0;
    if (cls == LC_ALU)
        o.fn = alu_tab[idx][record][lg(w)][form];
    else if (cls == LC_TST)
        o.fn = tst_tab[idx][lg(w)][form];
    else
        o.fn = mov_tab[lg(w)][form];
    stamp_registers(&o, cls, idx, w, form, record);
    if (cls == LC_TST && w != 2)
        e->fuse_next = (u8)(1 + (idx * 3 + (w == 1 ? 0 : lg(w) - 1)) * F_COUNT + form);
    *at++ = o;
    return (unsigned)(at - out);
}

static unsigned lower_extend(unsigned sgn, const struct insn *in, u32 mode, struct op *out, unsigned page_off)
{
    struct op o = { .r0 = reg_off(&in->op[0]) }, *at = out;
    unsigned s = in->op[1].size, d = in->op[0].size;
    bool mem = in->op[1].kind == OPK_MEM;
    if (!mem)
        o.r1 = reg_off(&in->op[1]);
    else if (!lower_address(in, mode, page_off, &at, &o.base, &o.disp))
        return 0;
    if (s > 4 || d < s)
        return 0;
    o.fn = ext_tab[sgn][lg(s)][lg(d)][mem];
    if (!o.fn)
        return 0;
    if (mem && !sgn && s == 1 && d >= 4 && o.base < 16 * 8)
        o.fn = zx8_tab[o.r0 / 8][o.base / 8];
    *at++ = o;
    return (unsigned)(at - out);
}

static unsigned lower_one(unsigned cls, unsigned idx, const struct insn *in, u32 mode, struct op *out, bool record, unsigned page_off)
{
    struct op o = { .r0 = reg_off(&in->op[0]) }, *at = out;
    unsigned w = in->op[0].size;
    bool reg = in->op[0].kind == OPK_GPR, m64 = (mode & 3) == MODE_64;
    if (in->pfx & PFX_LOCK)
        return 0;
    switch (cls) {
    case LC_UN:
        if (!reg && !lower_address(in, mode, page_off, &at, &o.base, &o.disp))
            return 0;
        o.fn = un_tab[idx][record][lg(w)][!reg];
        break;
    case LC_SHIFT:
        if (!reg)
            return 0;
        o.fn = sh_tab[idx][record][lg(w)][in->op[1].kind == OPK_GPR];
        o.imm = in->op[1].kind == OPK_CONST ? in->op[1].reg : in->imm;
        if (w >= 4 && in->op[1].kind != OPK_GPR)
            o.fn = shi_tab[idx][record][w == 8][o.r0 / 8];
        break;
    case LC_LEA:
        if (w < 4 || in->seg == SEG_FS || in->seg == SEG_GS || !lower_address(in, mode, page_off, &at, &o.base, &o.disp))
            return 0;
        o.fn = w == 4 ? lea_4 : o.base < 16 * 8 ? lea_tab[o.r0 / 8][o.base / 8] : lea_8;
        break;
    case LC_PUSH:
        if (!m64 || in->osz != 8 || (!reg && in->op[0].kind != OPK_IMM))
            return 0;
        o.fn = reg ? push_r : push_i;
        o.imm = in->imm;
        if (!reg)
            o.r0 = 0;
        break;
    case LC_POP:
        if (!m64 || in->osz != 8 || !reg)
            return 0;
        o.fn = pop_r;
        break;
    case LC_SETCC:
        if (!reg)
            return 0;
        o.fn = setcc_tab[in->opcode & 15];
        break;
    case LC_CMOV:
        if (in->op[1].kind != OPK_GPR || w < 4)
            return 0;
        o.fn = cmov_tab[w == 8][in->opcode & 15];
        o.r1 = reg_off(&in->op[1]);
        break;
    case LC_NOP:
        o.fn = fence_op;
        break;
    case LC_IMUL:
        if (w < 4 || (in->nops == 3 && in->op[1].kind != OPK_GPR))
            return 0;
        o.r1 = in->op[1].kind == OPK_GPR ? reg_off(&in->op[1]) : 0;
        o.imm = in->imm;
        if (in->op[1].kind == OPK_MEM && !lower_address(in, mode, page_off, &at, &o.base, &o.disp))
            return 0;
        o.fn = imul_tab[record][w == 8][in->nops == 3 ? IMUL_RRI : in->op[1].kind == OPK_GPR ? IMUL_RR : IMUL_RM];
        break;
    default: return 0;
    }
    *at++ = o;
    return (unsigned)(at - out);
}

unsigned lower_insn(struct exec *e, const struct vcpu *c, const struct insn *in, u32 mode, struct op *out, bool last, bool record,
                    unsigned page_off)
{
    unsigned cls = e->row_class[in->row] >> 8, idx = e->row_class[in->row] & 255, n = 0;
    (void)c;
    e->fuse_next = 0;
    bool flat = (mode & MODEKEY_FLAT_DATA) && (mode & MODEKEY_FLAT_CS) && (mode & 3) != MODE_16;
    if (cls && flat) {
        switch (cls) {
        case LC_JMP: case LC_CALL: case LC_RET: case LC_JCC: n = lower_branch(e, cls, in, mode, out, page_off); break;
        case LC_ALU: case LC_TST: case LC_MOV: n = lower_two(e, cls, idx, in, mode, out, record, page_off); break;
        case LC_MOVZX: n = lower_extend(0, in, mode, out, page_off); break;
        case LC_MOVSX: n = lower_extend(1, in, mode, out, page_off); break;
        default: n = lower_one(cls, idx, in, mode, out, record, page_off); break;
        }
    }
    if (!n)
        e->fuse_next = 0;
    return n ? n : lower_generic(in, out, last);
}

/* Writes all six flags, always, when it completes. A shift does unless its count may be zero. */
static bool full_writer(unsigned cls, unsigned idx, const struct insn *in)
{
    if (cls == LC_SHIFT && idx < 3) {
        unsigned mask = in->op[0].size == 8 ? 63 : 31;
        u64 n = in->op[1].kind == OPK_CONST ? in->op[1].reg : in->imm;
        return in->op[1].kind != OPK_GPR && (n & mask) != 0 && (n & mask) < 8u * in->op[0].size;
    }
    return cls == LC_ALU || cls == LC_TST || (cls == LC_UN && idx == 2);
}

/* Register-only and cannot fault, exit or trap: nobody can look at the flags in front of it. */
static bool silent(unsigned cls, const struct insn *in)
{
    if (!cls || cls == LC_PUSH || cls == LC_POP || (cls >= LC_JMP && cls <= LC_JCC) || (in->pfx & PFX_LOCK))
        return false;
    if (cls == LC_LEA || cls == LC_NOP)
        return true;
    for (unsigned i = 0; i < in->nops; i++)
        if (in->op[i].kind != OPK_GPR && in->op[i].kind != OPK_IMM && in->op[i].kind != OPK_CONST)
            return false;
    return true;
}

/* Its result depends on flags. Partial writers (INC, rotates, IMUL) only keep the others: dropped, they read nothing. */
static bool reads_flags(unsigned cls, unsigned idx)
{
    return (cls == LC_ALU && idx >= 5) || cls == LC_SETCC || cls == LC_CMOV;
}

/* A flag write may be dropped only if nothing before the next full writer can fault, exit, trap or be stopped at. The block's end
 * counts as an observer: its successors are not looked into. */
void lower_liveness(const struct exec *e, const struct insn *run, unsigned n, u32 mode, bool *record)
{
    bool live = true;
    (void)mode;
    for (unsigned i = n; i-- > 0;) {
        unsigned cls = e->row_class[run[i].row] >> 8, idx = e->row_class[run[i].row] & 255;
        record[i] = live;
        if (!silent(cls, &run[i]))
            live = true;
        else if (full_writer(cls, idx, &run[i]))
            live = reads_flags(cls, idx);
        else if (reads_flags(cls, idx))
            live = true;
    }
}

#endif
