// SPDX-License-Identifier: MIT
#include "timing/cost.h"

#include "base/types.h"

static const struct {
    u32 ticks;
    const char *text;
} classes[TIME_COUNT] = {
#define TIMING(id, ticks, text) [TIME_##id] = { ticks, text },
#include "timing/classes.def"
#undef TIMING
};

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

u32 timing_insn_ticks(const struct insn *in)
{
    unsigned id = class_of(in);
    u32 t = classes[id].ticks;
    bool addressed = id == TIME_invlpg || id == TIME_cache; /* the operand names memory, nothing moves */
    for (unsigned i = 0; i < in->nops && !addressed; i++)
        if (in->op[i].kind == OPK_MEM && in->op[i].size)
            t += classes[i == 0 ? TIME_store : TIME_load].ticks - 16;
    return t < TIMING_MIN_TICKS ? TIMING_MIN_TICKS : t;
}

const char *timing_class_text(unsigned class_id)
{
    return class_id < TIME_COUNT ? classes[class_id].text : "?";
}
