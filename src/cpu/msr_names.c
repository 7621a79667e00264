// SPDX-License-Identifier: MIT
/* The names of model-specific registers, for explanations. A table of its own, as the other is one of functions. */
#include "cpu/vcpu.h"

static const struct {
    u32 first, count;
    const char *name;
} names[] = {
#define MSR(first, count, name, ...) {first, count, #name},
#include "cpu/msr.def"
#undef MSR
};

const char *msr_name(u32 msr, unsigned *index)
{
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (msr - names[i].first < names[i].count) {
            *index = names[i].count > 1 ? msr - names[i].first : ~0u;
            return names[i].name;
        }
    return NULL;
}
