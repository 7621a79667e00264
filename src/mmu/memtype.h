// SPDX-License-Identifier: MIT
/* Memory types: PAT, the combination of guest and host PAT, and the MTRRs' say. [APM2 7.8] [APM2 15.25.8] */
#ifndef SVMEMU_MMU_MEMTYPE_H
#define SVMEMU_MMU_MEMTYPE_H

#include "base/types.h"

/* PAT and MTRR encodings, and two results that no register can ask for. */
enum memtype {
    MEMTYPE_UC = 0, MEMTYPE_WC = 1, MEMTYPE_WT = 4, MEMTYPE_WP = 5, MEMTYPE_WB = 6, MEMTYPE_UCM = 7, /* UC- */
    MEMTYPE_CD = 8,       /* cache disabled */
    MEMTYPE_WCP = 9,      /* WC+: write combining that probes caches */
};

u8 pat_type(u64 pat, unsigned index);
u8 memtype_nested(u8 guest, u8 host);
u8 memtype_mtrr(u8 pat, u8 mtrr);

#endif
