// SPDX-License-Identifier: MIT
#include "cpu/regs.h"

const struct cpu_reg cpu_regs[] = {
#define REG(name, member, bytes, group) {#name, offsetof(struct cpu_state, member), bytes, 1, REGS_##group},
#define REGS(name, member, bytes, count, group) {#name, offsetof(struct cpu_state, member), bytes, count, REGS_##group},
#include "cpu/regs.def"
#undef REG
#undef REGS
};
const unsigned cpu_reg_count = ARRAY_LEN(cpu_regs);

/* A wrong width in the table would cut a register in snapshots. */
#define REG(name, member, bytes, group) _Static_assert(sizeof(((struct cpu_state *)0)->member) == (bytes), #name);
#define REGS(name, member, bytes, count, group) _Static_assert(sizeof(((struct cpu_state *)0)->member) == (bytes) * (count), #name);
#include "cpu/regs.def"
#undef REG
#undef REGS

/* The element number after an array's name, or -1. */
static int element(const char *s, unsigned count)
{
    unsigned n = 0, digits = 0;
    for (; *s >= '0' && *s <= '9' && digits < 4; s++, digits++)
        n = n * 10 + (unsigned)(*s - '0');
    return *s || !digits || n >= count ? -1 : (int)n;
}

const struct cpu_reg *cpu_reg_find(const char *name, unsigned *index)
{
    for (unsigned i = 0; i < cpu_reg_count; i++) {
        const struct cpu_reg *r = &cpu_regs[i];
        size_t len = strlen(r->name);
        if (strncmp(r->name, name, len))
            continue;
        int n = r->count > 1 ? element(name + len, r->count) : name[len] ? -1 : 0;
        if (n < 0)
            continue;
        *index = (unsigned)n;
        return r;
    }
    return NULL;
}
