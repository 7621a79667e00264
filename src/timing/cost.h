// SPDX-License-Identifier: MIT
/* The first, simple cost model: a static cost for each timing class; walks and world switches are charged as they happen. */
#ifndef SVMEMU_TIMING_COST_H
#define SVMEMU_TIMING_COST_H

#include "base/ids.h"
#include "decoder/insn.h"

/* Static cost of one instruction in ticks (1/64 cycle), at least TIMING_MIN_TICKS. */
u32 timing_insn_ticks(const struct insn *in);
/* Cost in ticks by timing class, TIME_COUNT of them: for vcpu.cost, from which dynamic costs are charged. */
const u32 *timing_table(void);
const char *timing_class_text(unsigned class_id);

/* The least static cost of any instruction: bounds instructions by ticks. */
#define TIMING_MIN_TICKS 16u

#endif
