// SPDX-License-Identifier: MIT
/* What is found out about a run of instructions before lower.c makes ops of it: which flags are seen, which copies need no op. */
#include "exec/private.h"

#if !SVMEMU_STAMP_FULL

/* Without stamped handlers nothing is made of it. */
void lower_plan(const struct exec *e, const struct insn *run, unsigned n, u32 mode, struct lower_plan *plan)
{
    (void)e, (void)run, (void)mode;
    for (unsigned i = 0; i < n; i++)
        plan[i] = (struct lower_plan){ .record = true };
}

#else

#include "isa/lower.h"
#include "isa/stamped.h"

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
static bool silent(const struct exec *e, const struct insn *run, unsigned n, unsigned i)
{
    const struct insn *in = &run[i];
    unsigned cls = e->row_class[in->row] >> 8;
    if (cls == LC_JMP)
        return i + 1 < n; /* was followed */
    if (!cls || cls == LC_PUSH || cls == LC_POP || (cls >= LC_JMP && cls <= LC_JCC) || (in->pfx & PFX_LOCK))
        return false;
    if (cls == LC_LEA || cls == LC_NOP)
        return true;
    for (unsigned k = 0; k < in->nops; k++)
        if (in->op[k].kind != OPK_GPR && in->op[k].kind != OPK_IMM && in->op[k].kind != OPK_CONST)
            return false;
    return true;
}

/* Its result depends on flags. Partial writers (INC, rotates, IMUL) only keep the others: dropped, they read nothing. */
static bool reads_flags(unsigned cls, unsigned idx)
{
    return (cls == LC_ALU && idx >= ALU_ADC) || cls == LC_SETCC || cls == LC_CMOV;
}

/* A flag write may be dropped only if nothing before the next full writer can fault, exit, trap or be stopped at. The block's end
 * counts as an observer: its successors are not looked into. */
static void plan_flags(const struct exec *e, const struct insn *run, unsigned n, struct lower_plan *plan)
{
    bool live = true;
    for (unsigned i = n; i-- > 0;) {
        unsigned cls = e->row_class[run[i].row] >> 8, idx = e->row_class[run[i].row] & 255;
        plan[i].record = live;
        plan[i].silent = silent(e, run, n, i);
        if (!plan[i].silent)
            live = true;
        else if (full_writer(cls, idx, &run[i]))
            live = reads_flags(cls, idx);
        else if (reads_flags(cls, idx))
            live = true;
    }
}

static unsigned gpr_of(const struct operand *o)
{
    return o->kind != OPK_GPR ? GPR_NONE : o->size == 1 && o->reg >= REG8_AH ? o->reg - REG8_AH : o->reg;
}

/* Bits of the registers that a silent instruction names. */
static u32 named(const struct insn *in)
{
    u32 m = 1u << in->base | 1u << in->index;
    for (unsigned i = 0; i < in->nops; i++)
        m |= 1u << gpr_of(&in->op[i]);
    return m & 0xFFFF;
}

/* Can it take the old value of its destination, of `w` bytes, from another register? That takes a three-operand handler. */
static bool takes_copy(unsigned cls, unsigned idx, const struct insn *in, unsigned w, bool record)
{
    const struct operand *d = &in->op[0], *s = &in->op[1];
    if (record || d->kind != OPK_GPR || d->size < 4 || d->size > w)
        return false;
    switch (cls) {
    case LC_ALU:
        if (idx >= ALU_ADC || (s->kind == OPK_GPR && s->reg == d->reg))
            return false;
        return s->kind == OPK_GPR || d->size == 4 || (u64)(i32)(0 - in->imm) == 0 - in->imm; /* LEA has 32 bits for it */
    case LC_SHIFT: return s->kind != OPK_GPR;
    case LC_UN: return idx != 2;
    default: return false;
    }
}

/* A copy that the next silent instruction to name its destination overwrites goes into that one. What stands between must leave the source
 * alone. A block's first instruction must have an op at once behind it. */
static void fold_copy(const struct exec *e, const struct insn *run, unsigned n, unsigned i, struct lower_plan *plan)
{
    const struct operand *d = &run[i].op[0], *s = &run[i].op[1];
    if (e->row_class[run[i].row] >> 8 != LC_MOV || d->kind != OPK_GPR || s->kind != OPK_GPR || d->size < 4 || d->reg == s->reg)
        return;
    for (unsigned j = i + 1; j < n && (i || j == 1); j++) {
        unsigned cls = e->row_class[run[j].row] >> 8, idx = e->row_class[run[j].row] & 255;
        if (!plan[j].silent)
            return;
        if (named(&run[j]) >> d->reg & 1) {
            if (run[j].op[0].kind == OPK_GPR && gpr_of(&run[j].op[0]) == d->reg && takes_copy(cls, idx, &run[j], d->size, plan[j].record)) {
                plan[i].folded = true;
                plan[j].from = s->reg;
            }
            return;
        }
        if (cls != LC_TST && gpr_of(&run[j].op[0]) == s->reg)
            return;
    }
}

/* Among so many instructions before and behind a copy its chain must have no other. */
enum { SLACK_BEFORE = 3, SLACK_BEHIND = 5 };

static bool has_slack(const struct exec *e, const struct insn *run, unsigned n, unsigned i, const struct lower_plan *plan, const unsigned *last)
{
    const struct operand *d = &run[i].op[0], *s = &run[i].op[1];
    if (e->row_class[run[i].row] >> 8 != LC_MOV || plan[i].folded || d->kind != OPK_GPR || s->kind != OPK_GPR || d->size < 4)
        return false;
    if (last[s->reg] && i + 1 - last[s->reg] <= SLACK_BEFORE)
        return false;
    for (unsigned j = i + 1; j < n && j <= i + SLACK_BEHIND; j++)
        if (named(&run[j]) >> d->reg & 1 || (plan[j].from == d->reg && !plan[j].folded))
            return false;
    return true;
}

/* Which of an instruction's two source registers was written last? And which copies nobody waits for? */
static void plan_sources(const struct exec *e, const struct insn *run, unsigned n, struct lower_plan *plan)
{
    unsigned last[GPR_NONE + 1] = { 0 };
    for (unsigned i = 0; i < n; i++) {
        unsigned lea = e->row_class[run[i].row] >> 8 == LC_LEA, d = gpr_of(&run[i].op[0]);
        unsigned a = lea ? run[i].base : plan[i].from, b = lea ? run[i].index : gpr_of(&run[i].op[1]);
        plan[i].newer = (u8)(last[a] >= last[b] ? a : b);
        plan[i].slack = has_slack(e, run, n, i, plan, last);
        if (!plan[i].folded)
            last[d] = i + 1;
    }
}

void lower_plan(const struct exec *e, const struct insn *run, unsigned n, u32 mode, struct lower_plan *plan)
{
    plan_flags(e, run, n, plan);
    for (unsigned i = 0; i < n; i++) {
        plan[i].folded = i + 1 < n && e->row_class[run[i].row] >> 8 == LC_JMP;
        plan[i].from = (u8)gpr_of(&run[i].op[0]);
    }
    for (unsigned i = 0; i < n && stampable(mode); i++)
        fold_copy(e, run, n, i, plan);
    plan_sources(e, run, n, plan);
}

#endif
