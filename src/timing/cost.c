// SPDX-License-Identifier: MIT
#include "timing/cost.h"

#include "base/types.h"

static const u32 class_ticks[TIME_COUNT] = {
#define TIMING(id, ticks, text) [TIME_##id] = (ticks),
#include "timing/classes.def"
#undef TIMING
};
static const char *const class_texts[TIME_COUNT] = {
#define TIMING(id, ticks, text) [TIME_##id] = (text),
#include "timing/classes.def"
#undef TIMING
};

const u32 *timing_table(void)
{
    return class_ticks;
}

/* A row's class, but for what a row cannot know: LOCK makes any row atomic, and the atomic rows lock nothing on registers. */
static unsigned class_of(const struct insn *in)
{
    unsigned id = isa_rows[in->row].timing;
    if (in->pfx & PFX_LOCK)
        return TIME_atomic;
    if (id != TIME_atomic)
        return id;
    for (unsigned i = 0; i < in->nops; i++)
        if (in->op[i].kind == OPK_MEM)
            return id;
    return TIME_alu;
}

/* What a memory operand adds; the class's own cost covers the least that any instruction takes. */
static u32 operand_ticks(const struct insn *in, unsigned i)
{
    const struct isa_row *r = &isa_rows[in->row];
    bool written = i == 0 && r->kind != KIND_TST && !(r->limits & LIM_RO);
    return class_ticks[written ? TIME_store : TIME_load] - TIMING_MIN_TICKS;
}

u32 timing_insn_ticks(const struct insn *in)
{
    unsigned id = class_of(in);
    u32 t = class_ticks[id];
    bool addressed = id == TIME_invlpg || id == TIME_cache || id == TIME_nop; /* the operand names memory, nothing moves */
    for (unsigned i = 0; i < in->nops && !addressed; i++)
        if (in->op[i].kind == OPK_MEM && in->op[i].size)
            t += operand_ticks(in, i);
    return t < TIMING_MIN_TICKS ? TIMING_MIN_TICKS : t;
}

const char *timing_class_text(unsigned class_id)
{
    return class_id < TIME_COUNT ? class_texts[class_id] : "?";
}
