// SPDX-License-Identifier: MIT
/* The registers of struct cpu_state as a table (regs.def). */
#ifndef SVMEMU_CPU_REGS_H
#define SVMEMU_CPU_REGS_H

#include "cpu/state.h"

enum cpu_reg_group { REGS_GPR, REGS_SEG, REGS_CONTROL, REGS_STATUS, REGS_MSR, REGS_FPU };
struct cpu_reg {
    const char *name;
    u32 offset;   /* in struct cpu_state */
    u16 bytes;    /* of one element */
    u16 count;    /* elements; more than one: name0, name1... */
    u8 group;     /* enum cpu_reg_group */
};
extern const struct cpu_reg cpu_regs[];
extern const unsigned cpu_reg_count;

/* By name, with its number for an array ("mtrr_base3"): *index is the element. NULL: no such register. */
const struct cpu_reg *cpu_reg_find(const char *name, unsigned *index);
static inline void *cpu_reg_at(struct cpu_state *s, const struct cpu_reg *r, unsigned index)
{
    return (char *)s + r->offset + (size_t)r->bytes * index;
}

#endif
