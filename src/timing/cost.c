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

u32 timing_insn_ticks(const struct insn *in)
{
    u32 t = classes[isa_rows[in->row].timing].ticks;
    for (unsigned i = 0; i < in->nops; i++)
        if (in->op[i].kind == OPK_MEM && in->op[i].size)
            t += classes[i == 0 ? TIME_store : TIME_load].ticks - 16;
    return t < TIMING_MIN_TICKS ? TIMING_MIN_TICKS : t;
}

const char *timing_class_text(unsigned class_id)
{
    return class_id < TIME_COUNT ? classes[class_id].text : "?";
}
