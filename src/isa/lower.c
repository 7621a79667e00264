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

unsigned lower_insn(struct exec *e, const struct insn *in, u32 mode, struct op *out, bool last, const struct lower_plan *plan, unsigned page_off)
{
    (void)e, (void)mode, (void)plan, (void)page_off;
    return lower_generic(in, out, last);
}

#else

#include "isa/lower.h"
#include "isa/stamped.h"

/* One copy of the per-register handlers. */
static const struct copy {
    const struct stamped_alu *alu;
    const struct stamped_mem *mem;
    const struct stamped_three *three;
    const struct stamped_branch *branch;
} copies[STAMP_COPIES] = {
    { &stamped_alu, &stamped_mem, &stamped_three, &stamped_branch },
    { &stamped_alu_b, &stamped_mem_b, &stamped_three_b, &stamped_branch_b },
    { &stamped_alu_c, &stamped_mem_c, &stamped_three_c, &stamped_branch_c },
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
    for (unsigned r = 0; t && r < isa_row_count; r++) {
        const char *name = isa_rows[r].name;
        if (r && !strcmp(name, isa_rows[r - 1].name)) { /* rows of a mnemonic stand together */
            t[r] = t[r - 1];
            continue;
        }
        for (unsigned i = 0; i < ARRAY_LEN(names); i++)
            if (name[0] == names[i].name[0] && !strcmp(name, names[i].name))
                t[r] = names[i].cls;
    }
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

_Static_assert(offsetof(struct cpu_state, seg) + SEG_GS * sizeof(struct seg) + offsetof(struct seg, base) <= 255, "bases fit a byte");
static u8 base_of_seg(unsigned seg)
{
    return (u8)(offsetof(struct cpu_state, seg) + seg * sizeof(struct seg) + offsetof(struct seg, base));
}

/* base + index * scale + displacement into the temporary, which then is the base. */
static void through_tmp(const struct copy *set, struct op **at, struct op *o, bool a32)
{
    bool regs = o->base < 16 * 8 && o->r1 < 16 * 8;
    op_fn *fn = a32 ? agu32 : regs ? set->mem->agu[o->base / 8][o->r1 / 8] : agu;
    *(*at)++ = (struct op){ .fn = fn, .base = o->base, .r1 = o->r1, .aux = o->aux, .disp = o->disp };
    o->base = GPR_TMP * 8;
    o->r1 = GPR_ZERO * 8;
    o->aux = 0;
    o->disp = 0;
}

/* Fills base, r1 (index), aux (scale) and disp of an op with a memory operand. False: not possible, use op_generic. */
static bool lower_indexed(const struct copy *set, const struct insn *in, u32 mode, unsigned page_off, struct op **at, struct op *o)
{
    bool m64 = (mode & 3) == MODE_64, seg = in->seg == SEG_FS || in->seg == SEG_GS;
    i64 disp = in->riprel ? (i64)(page_off + in->len) + (i64)in->disp : (i64)in->disp;
    if (in->asz == 2 || (!m64 && in->asz != 4) || disp != (i32)disp || (seg && (!m64 || in->asz == 4)) || (in->seg == SEG_CS && !m64))
        return false;
    if (in->riprel && (seg || in->asz != 8))
        return false;
    o->base = (u8)((in->riprel ? GPR_PAGE : in->base) * 8);
    o->r1 = (u8)(in->index * 8);
    o->aux = in->index == GPR_NONE ? 0 : in->scale;
    o->disp = (i32)disp;
    if (in->asz == 4 || (seg && in->base != GPR_NONE && in->index != GPR_NONE))
        through_tmp(set, at, o, in->asz == 4);
    if (seg) { /* the place that is free takes the base register, or the temporary */
        if (o->r1 == GPR_ZERO * 8)
            o->r1 = o->base;
        o->base = base_of_seg(in->seg);
    }
    return true;
}

/* The same for handlers without an index (base and disp only), or for either kind. */
static bool lower_address(const struct copy *set, const struct insn *in, u32 mode, unsigned page_off, struct op **at, struct op *o)
{
    if (!lower_indexed(set, in, mode, page_off, at, o))
        return false;
    if (o->r1 != GPR_ZERO * 8)
        through_tmp(set, at, o, false);
    return true;
}
static bool lower_memory(const struct copy *set, const struct insn *in, u32 mode, unsigned page_off, bool indexed, struct op **at, struct op *o)
{
    return indexed ? lower_indexed(set, in, mode, page_off, at, o) : lower_address(set, in, mode, page_off, at, o);
}

/* Base register and displacement only. */
static bool plain_address(const struct op *o)
{
    return o->base < 16 * 8 && o->r1 == GPR_ZERO * 8;
}

/* Finds the form of a two-operand instruction and fills the op's operands. */
static bool lower_forms(const struct copy *set, const struct insn *in, u32 mode, unsigned page_off, bool indexed, struct op **at, struct op *o, enum form *form)
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
        return s->kind == OPK_MEM && lower_memory(set, in, mode, page_off, indexed, at, o);
    }
    indexed = indexed && in->op[1].kind == OPK_GPR && isa_rows[in->row].kind == KIND_SYS; /* a move's store */
    if (d->kind != OPK_MEM || !lower_memory(set, in, mode, page_off, indexed, at, o))
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

/* slot.fuse: FUSE_TEST + (test * 3 + width index) * F_COUNT + form, or FUSE_STEP + body * 2 + (8 bytes wide). */
/* A Jcc joins those; moves, pushes and pops join one of their kind: FUSE_PAIR + PAIR_*. */
enum { FUSE_TEST = 1, FUSE_STEP = FUSE_TEST + 2 * 3 * F_COUNT, FUSE_PAIR = FUSE_STEP + 2 * STEP_COUNT,
       FUSE_JOINED = FUSE_PAIR + PAIR_COUNT /* has joined the one before it */ };

static void fuse(const struct copy *set, struct op *o, unsigned how, unsigned cc)
{
    unsigned reg = o->r0 / 8, k = how - FUSE_TEST, form = k % F_COUNT, width = k / F_COUNT % 3, test = k / F_COUNT / 3;
    op_fn *fn;
    if (how >= FUSE_STEP)
        fn = set->branch->step[(how - FUSE_STEP) / 2][(how - FUSE_STEP) % 2][cc][reg];
    else if (form <= F_RI && width)
        fn = set->branch->fused_reg[form][test][width - 1][cc][reg];
    else
        fn = set->branch->fused[test][width][cc][form];
    if (fn)
        o->fn = fn;
}

static bool joins_jcc(const struct slot *s)
{
    return s->fuse && s->fuse < FUSE_PAIR;
}

/* Two in one, if the op before `out` is of the same kind. `wide`: of the moves' widths. */
static void pair(const struct copy *set, struct exec *e, struct op *out, unsigned kind, unsigned wide)
{
    unsigned before = out > e->ops ? e->slots[out - e->ops - 1].fuse : 0;
    if (before == FUSE_PAIR + kind || (kind == PAIR_MOV && before == FUSE_PAIR + PAIR_MOV + 2)) {
        out[-1].fn = set->mem->pair[before - FUSE_PAIR + wide];
        e->fuse_next = FUSE_JOINED;
    } else
        e->fuse_next = (u8)(FUSE_PAIR + kind + 2 * wide);
}

/* Behind ADD of an immediate whose flags nobody sees and a compare of that register: how counting loops end. Which of them; LOOP_COUNT: none. */
static unsigned ends_loop(const struct exec *e, u32 at)
{
    if (at < 2 || !joins_jcc(&e->slots[at - 1]))
        return LOOP_COUNT;
    unsigned k = e->slots[at - 1].fuse - FUSE_TEST, width = k / F_COUNT, form = k % F_COUNT;
    const struct op *add = &e->ops[at - 2], *cmp = &e->ops[at - 1];
    if (form > F_RI || width == 0 || width > 2 || e->slots[at - 2].fuse != FUSE_STEP + STEP_ADD * 2 + width - 1)
        return LOOP_COUNT;
    if (cmp->r0 == add->r0)
        return form == F_RR ? LOOP_RR : LOOP_RI;
    return form == F_RR && cmp->r1 == add->r0 ? LOOP_SWAPPED : LOOP_COUNT;
}

static unsigned lower_branch(const struct copy *set, struct exec *e, unsigned cls, const struct insn *in, u32 mode, struct op *out,
                             unsigned page_off)
{
    bool m64 = (mode & 3) == MODE_64;
    i64 disp;
    if (cls == LC_RET) {
        if (!m64 || in->nops || in->osz != 8)
            return 0;
        *out = (struct op){ .fn = set->branch->ret_near };
        return 1;
    }
    if (in->op[0].kind == OPK_GPR && m64 && in->op[0].size == 8 && cls != LC_JCC) {
        op_fn *fn = cls == LC_JMP ? set->branch->jmp_r : set->branch->call_r;
        *out = (struct op){ .fn = fn, .imm = page_off + in->len, .r0 = reg_off(&in->op[0]) };
        return 1;
    }
    if (in->op[0].kind == OPK_MEM && m64 && in->op[0].size == 8 && in->osz == 8 && cls != LC_JCC) {
        op_fn *fn = cls == LC_JMP ? set->branch->jmp_m : set->branch->call_m;
        struct op o = { .fn = fn, .imm = page_off + in->len }, *at = out;
        if (!lower_address(set, in, mode, page_off, &at, &o))
            return 0;
        *at++ = o;
        return (unsigned)(at - out);
    }
    if (in->op[0].kind != OPK_REL || !near_target(in, mode, page_off, &disp))
        return 0;
    if (cls == LC_JMP) {
        out[0] = (struct op){ .fn = (u64)disp < PAGE_SIZE ? set->branch->jmp_link : set->branch->jmp_out };
        out[1] = link_slot(disp);
        return 2;
    }
    if (cls == LC_CALL) {
        if (!m64)
            return 0;
        op_fn *fn = (u64)disp < PAGE_SIZE ? set->branch->call_link : set->branch->call_out;
        out[0] = (struct op){ .fn = fn, .imm = page_off + in->len };
        out[1] = link_slot(disp);
        return 2;
    }
    unsigned cc = in->opcode & 15;
    out[0] = (struct op){ .fn = set->branch->jcc[cc] };
    out[1] = link_slot(disp);
    out[2] = link_slot((i64)page_off + in->len);
    /* Fuse with a compare right before it: only its function changes, so a fault there enters the plain ops. */
    u32 at = (u32)(out - e->ops);
    if (at && joins_jcc(&e->slots[at - 1]))
        fuse(set, &e->ops[at - 1], e->slots[at - 1].fuse, cc);
    unsigned loop = ends_loop(e, at);
    if (loop != LOOP_COUNT)
        e->ops[at - 2].fn = set->branch->loop[loop][(e->slots[at - 1].fuse - FUSE_TEST) / F_COUNT - 1][cc][e->ops[at - 2].r0 / 8];
    return 3;
}

/* The same on a copy of another register. */
static op_fn *stamped_three_of(const struct copy *set, struct op *o, unsigned idx, unsigned w, enum form form, const struct lower_plan *plan)
{
    unsigned k = w == 8, d = o->r0 / 8, s = plan->from;
    if (form == F_RR) {
        if (plan->newer != s) { /* the other one by a constant offset */
            s = o->r1 / 8;
            o->r1 = (u8)(plan->from * 8);
            idx = idx == ALU_SUB ? THREE_BUS : idx;
        }
        return set->three->rr[idx][k][d][s];
    }
    if (idx != ALU_ADD && idx != ALU_SUB)
        return set->three->ri[idx][k][d][s];
    o->disp = (i32)(idx == ALU_SUB ? 0 - o->imm : o->imm);
    return set->mem->lea[k][d][s];
}

/* A handler for these very registers, where there is one. */
static op_fn *stamped(const struct copy *set, struct op *o, unsigned cls, unsigned idx, unsigned w, enum form form, const struct lower_plan *plan)
{
    unsigned k = w == 8, d = o->r0 / 8;
    bool record = plan->record;
    if (form <= F_RI && cls == LC_ALU && plan->from != d)
        return stamped_three_of(set, o, idx, w, form, plan);
    if (cls == LC_TST && w != 2 && form <= F_RI && !(o->r0 & 7))
        return (form == F_RI ? set->alu->tsti : set->alu->tstr)[idx][w == 1 ? 0 : 1 + k][d];
    if (cls == LC_MOV && form == F_MI && w != 2 && plain_address(o))
        return set->mem->sti[w == 1 ? 0 : 1 + k][o->base / 8];
    if (w < 4 || cls == LC_TST || (cls == LC_ALU && idx >= ALU_ADC))
        return NULL;
    unsigned which = cls == LC_MOV ? ALU_MOV : idx;
    switch (form) {
    case F_RR: return set->alu->rr[which][record][k][d][o->r1 / 8];
    case F_RI: return set->alu->ri[which][record][k][d];
    case F_RM:
        if (cls == LC_ALU)
            return set->alu->rm[o->r1 != GPR_ZERO * 8][idx][record][k][d];
        if (plain_address(o))
            return set->mem->ld[k][d][o->base / 8];
        return o->r1 < 16 * 8 ? set->mem->ldx[k][d][o->r1 / 8] : set->mem->ldg[k][d];
    case F_MR:
        if (cls == LC_ALU)
            return NULL;
        if (plain_address(o))
            return set->mem->st[k][d][o->base / 8];
        return o->r1 < 16 * 8 ? set->mem->stx[k][d][o->r1 / 8] : set->mem->stg[k][d];
    default: return NULL;
    }
}

/* How a Jcc behind may take the op in; 0: not at all. */
static u8 fusible(unsigned cls, unsigned idx, unsigned w, enum form form)
{
    static const u8 step[] = { [ALU_ADD] = 1 + STEP_ADD, [ALU_SUB] = 1 + STEP_SUB, [ALU_AND] = 1 + STEP_AND, [ALU_SBB] = 0 };
    if (cls == LC_TST && w != 2)
        return (u8)(FUSE_TEST + (idx * 3 + (w == 1 ? 0 : lg(w) - 1)) * F_COUNT + form);
    if (cls == LC_ALU && w >= 4 && form == F_RI && step[idx])
        return (u8)(FUSE_STEP + (step[idx] - 1) * 2 + (w == 8));
    if (cls == LC_UN && w >= 4 && idx < 2 && form == F_RI)
        return (u8)(FUSE_STEP + (idx ? STEP_DEC : STEP_INC) * 2 + (w == 8));
    return 0;
}

static unsigned lower_two(const struct copy *set, struct exec *e, unsigned cls, unsigned idx, const struct insn *in, u32 mode, struct op *out,
                          const struct lower_plan *plan, unsigned page_off)
{
    struct op o, *at = out;
    enum form form;
    unsigned w = in->op[0].size;
    if (in->nops != 2 || (in->pfx & PFX_LOCK) || in->op[1].size > 8 || !w || w > 8)
        return 0;
    bool indexed = w >= 4 && (cls == LC_MOV || (cls == LC_ALU && idx < ALU_ADC)); /* stamped handlers that take one */
    if (!lower_forms(set, in, mode, page_off, indexed, &at, &o, &form))
        return 0;
    if (cls == LC_ALU)
        o.fn = alu_tab[idx][plan->record][lg(w)][form];
    else if (cls == LC_TST)
        o.fn = tst_tab[idx][lg(w)][form];
    else
        o.fn = mov_tab[lg(w)][form];
    if (cls == LC_ALU && idx == ALU_SUB && w >= 4 && form == F_RI && !plan->record && plan->from == o.r0 / 8) {
        idx = ALU_ADD; /* one form less where nobody sees the flags */
        o.imm = 0 - o.imm;
    }
    op_fn *fn = stamped(set, &o, cls, idx, w, form, plan);
    if (fn)
        o.fn = fn;
    e->fuse_next = fusible(cls, idx, w, form);
    if (cls == LC_MOV && plan->slack)
        pair(set, e, out, PAIR_MOV, w == 8);
    *at++ = o;
    return (unsigned)(at - out);
}

static unsigned lower_extend(const struct copy *set, unsigned sgn, const struct insn *in, u32 mode, struct op *out, unsigned page_off)
{
    struct op o = { .r0 = reg_off(&in->op[0]) }, *at = out;
    unsigned s = in->op[1].size, d = in->op[0].size;
    bool mem = in->op[1].kind == OPK_MEM;
    if (!mem)
        o.r1 = reg_off(&in->op[1]);
    else if (!lower_address(set, in, mode, page_off, &at, &o))
        return 0;
    if (s > 4 || d < s)
        return 0;
    o.fn = ext_tab[sgn][lg(s)][lg(d)][mem];
    if (!o.fn)
        return 0;
    if (d >= 4 && s < d && (sgn || s < 4)) {
        static const u8 kind[2][3][2] = { { { EXT_Z8, EXT_Z8 }, { EXT_Z16, EXT_Z16 } },
                                          { { EXT_S8_4, EXT_S8_8 }, { EXT_S16_4, EXT_S16_8 }, { EXT_S32_8, EXT_S32_8 } } };
        unsigned k = kind[sgn][lg(s)][d == 8];
        o.fn = mem ? set->mem->extm[k][o.r0 / 8] : o.r1 & 7 ? set->mem->exth[k][o.r0 / 8] : set->mem->extr[k][o.r0 / 8][o.r1 / 8];
        if (mem && !sgn && s == 1 && plain_address(&o))
            o.fn = set->mem->zx8[o.r0 / 8][o.base / 8];
    }
    *at++ = o;
    return (unsigned)(at - out);
}

static void lower_lea(const struct copy *set, struct op *o, unsigned w, const struct lower_plan *plan)
{
    unsigned d = o->r0 / 8, b = o->base / 8, x = o->r1 / 8, k = w == 8;
    if (b < 16 && x == GPR_ZERO)
        o->fn = set->mem->lea[k][d][b];
    else if (b == x && x < 16)
        o->fn = set->mem->lea2[k][d][b];
    else if (b == GPR_ZERO && x < 16)
        o->fn = set->mem->leas[k][d][x];
    else if (b < 16 && !(o->aux | o->disp)) {
        o->r1 = (u8)((plan->newer == b ? x : b) * 8);
        o->fn = set->three->rr[ALU_ADD][k][d][plan->newer];
    } else
        o->fn = b < 16 && plan->newer == b ? set->mem->leax[k][d][b] : set->mem->leag[k][d];
}

/* INC, DEC, NEG, NOT of a register of 4 or 8 bytes. Where nobody sees the flags, steps are an ADD, and what works on a copy is another op. */
static op_fn *lower_step(const struct copy *set, struct op *o, unsigned idx, unsigned w, const struct lower_plan *plan)
{
    unsigned d = o->r0 / 8, k = w == 8;
    if (idx >= 2 && plan->from == d)
        return set->alu->un[idx][plan->record][k][d];
    if (plan->record)
        return set->alu->un[idx][1][k][d];
    o->imm = idx == 0 ? 1 : ~0ull;
    if (plan->from == d)
        return set->alu->ri[ALU_ADD][0][k][d];
    return stamped_three_of(set, o, idx < 2 ? ALU_ADD : ALU_XOR, w, F_RI, plan);
}

static unsigned lower_one(const struct copy *set, struct exec *e, unsigned cls, unsigned idx, const struct insn *in, u32 mode, struct op *out,
                          const struct lower_plan *plan, unsigned page_off)
{
    struct op o = { .r0 = reg_off(&in->op[0]) }, *at = out;
    unsigned w = in->op[0].size;
    bool record = plan->record, reg = in->op[0].kind == OPK_GPR, m64 = (mode & 3) == MODE_64;
    if (in->pfx & PFX_LOCK)
        return 0;
    switch (cls) {
    case LC_UN:
        if (!reg && !lower_address(set, in, mode, page_off, &at, &o))
            return 0;
        o.fn = reg && w >= 4 ? lower_step(set, &o, idx, w, plan) : un_tab[idx][record][lg(w)][!reg];
        if (reg && plan->from == o.r0 / 8)
            e->fuse_next = record || idx >= 2 ? fusible(cls, idx, w, F_RI) : fusible(LC_ALU, ALU_ADD, w, F_RI);
        break;
    case LC_SHIFT:
        if (!reg && !lower_address(set, in, mode, page_off, &at, &o))
            return 0;
        o.imm = in->op[1].kind == OPK_CONST ? in->op[1].reg : in->imm;
        bool by_cl = in->op[1].kind == OPK_GPR;
        if (reg && plan->from != o.r0 / 8)
            o.fn = set->three->sh[idx][w == 8][o.r0 / 8][plan->from];
        else
            o.fn = reg && w >= 4 ? (by_cl ? set->alu->shc : set->alu->shi)[idx][record][w == 8][o.r0 / 8] : sh_tab[idx][record][lg(w)][!reg][by_cl];
        break;
    case LC_LEA:
        if (w < 4 || in->seg == SEG_FS || in->seg == SEG_GS || !lower_indexed(set, in, mode, page_off, &at, &o))
            return 0;
        lower_lea(set, &o, w, plan);
        break;
    case LC_PUSH:
        if (!m64 || in->osz != 8 || (!reg && in->op[0].kind != OPK_IMM))
            return 0;
        o.fn = reg ? set->mem->push[o.r0 / 8] : push_i;
        o.imm = in->imm;
        if (reg && o.r0 != RSP * 8)
            pair(set, e, out, PAIR_PUSH, 0);
        break;
    case LC_POP:
        if (!m64 || in->osz != 8 || !reg)
            return 0;
        o.fn = set->mem->pop[o.r0 / 8];
        if (o.r0 != RSP * 8)
            pair(set, e, out, PAIR_POP, 0);
        break;
    case LC_SETCC:
        if (!reg)
            return 0;
        o.fn = o.r0 & 7 ? setcc_tab[in->opcode & 15] : set->mem->set[in->opcode & 15][o.r0 / 8];
        break;
    case LC_CMOV:
        if (in->op[1].kind != OPK_GPR || w < 4)
            return 0;
        o.fn = set->mem->cmov[w == 8][in->opcode & 15][o.r0 / 8];
        o.r1 = reg_off(&in->op[1]);
        break;
    case LC_NOP:
        o.fn = op_nop;
        break;
    case LC_IMUL:
        if (w < 4 || (in->nops == 3 && in->op[1].kind != OPK_GPR))
            return 0;
        o.r1 = in->op[1].kind == OPK_GPR ? reg_off(&in->op[1]) : 0;
        o.imm = in->imm;
        if (in->op[1].kind == OPK_MEM && !lower_address(set, in, mode, page_off, &at, &o))
            return 0;
        o.fn = set->alu->imul[record][w == 8][in->nops == 3 ? IMUL_RRI : in->op[1].kind == OPK_GPR ? IMUL_RR : IMUL_RM][o.r0 / 8];
        break;
    default: return 0;
    }
    *at++ = o;
    return (unsigned)(at - out);
}

static unsigned lower_stamped(const struct copy *set, struct exec *e, const struct insn *in, u32 mode, struct op *out,
                              const struct lower_plan *plan, unsigned page_off)
{
    unsigned cls = e->row_class[in->row] >> 8, idx = e->row_class[in->row] & 255;
    e->fuse_next = 0;
    switch (cls) {
    case LC_NONE: return 0;
    case LC_JMP: case LC_CALL: case LC_RET: case LC_JCC: return lower_branch(set, e, cls, in, mode, out, page_off);
    case LC_ALU: case LC_TST: case LC_MOV: return lower_two(set, e, cls, idx, in, mode, out, plan, page_off);
    case LC_MOVZX: return lower_extend(set, 0, in, mode, out, page_off);
    case LC_MOVSX: return lower_extend(set, 1, in, mode, out, page_off);
    default: return lower_one(set, e, cls, idx, in, mode, out, plan, page_off);
    }
}

/* How many ops ago was a handler used last? Blocks are made in the order in which they first run: those of a loop are neighbours. Handlers
 * that share a place in the table make each other younger, which costs a worse choice. */
#define AGE_MAX 128
static u32 *last_use(struct exec *e, op_fn *fn)
{
    u64 place = (uintptr_t)fn - (uintptr_t)op_generic; /* the same in every run */
    return &e->handler_use[place * 0x9E3779B97F4A7C15ull >> 32 & (HANDLER_USES - 1)];
}

static unsigned handler_age(struct exec *e, const struct op *at)
{
    u32 last = *last_use(e, at->fn), now = (u32)(at - e->ops);
    return last && now >= last && now - last < AGE_MAX ? now - last + 1 : AGE_MAX + 1;
}

/* The op of an instruction whose handler there are copies of: a Jcc's is the compare that took it in, a pair's the first one. */
static const struct op *varied_op(const struct exec *e, const struct insn *in, const struct op *out, unsigned n)
{
    unsigned cls = e->row_class[in->row] >> 8;
    u32 at = (u32)(out - e->ops);
    if (cls == LC_JCC)
        return ends_loop(e, at) != LOOP_COUNT ? out - 2 : at && joins_jcc(&e->slots[at - 1]) ? out - 1 : out;
    if (e->fuse_next == FUSE_JOINED)
        return out - 1;
    return cls >= LC_JMP && cls < LC_JCC ? out : out + n - 1;
}

unsigned lower_insn(struct exec *e, const struct insn *in, u32 mode, struct op *out, bool last, const struct lower_plan *plan, unsigned page_off)
{
    unsigned n = 0, tried = 0, best = 0, best_age = 0;
    e->fuse_next = 0;
    if (!stampable(mode))
        return lower_generic(in, out, last);
    if (plan->folded)
        return 0;
    for (unsigned k = 0; k < STAMP_COPIES && best_age <= AGE_MAX; k++) {
        tried = k;
        n = lower_stamped(&copies[k], e, in, mode, out, plan, page_off);
        if (!n) {
            e->fuse_next = 0;
            return lower_generic(in, out, last);
        }
        unsigned age = handler_age(e, varied_op(e, in, out, n));
        if (age > best_age) {
            best_age = age;
            best = k;
        }
    }
    if (best != tried)
        n = lower_stamped(&copies[best], e, in, mode, out, plan, page_off);
    const struct op *used = varied_op(e, in, out, n);
    *last_use(e, used->fn) = (u32)(used - e->ops) + 1;
    return n;
}

#endif
