// SPDX-License-Identifier: MIT
/* Enums generated from the .def files of higher layers so that everyone below may name them. */
#ifndef SVMEMU_BASE_IDS_H
#define SVMEMU_BASE_IDS_H

/* Intercept ids are word * 32 + bit of the VMCB's intercept words at 000h, 004h, 008h, 00Ch, 010h, 014h. */
enum icpt_id {
#define ICPT(id, word, bit, code, ...) ICPT_##id = (word) * 32 + (bit),
#include "svm/intercept.def"
#undef ICPT
};
#define ICPT_CR_READ(n) (0 * 32 + (n))
#define ICPT_CR_WRITE(n) (0 * 32 + 16 + (n))
#define ICPT_DR_READ(n) (1 * 32 + (n))
#define ICPT_DR_WRITE(n) (1 * 32 + 16 + (n))
#define ICPT_EXC(n) (2 * 32 + (n))

enum vmexit_code {
#define EXITCODE(name, code, ...) VMEXIT_##name = (code),
#include "svm/exitcode.def"
#undef EXITCODE
};
#define VMEXIT_INVALID_CODE (~0ull)

enum feat_id {
    FEAT_NONE,
#define FEAT(id, leaf, sub, reg, bit, text) FEAT_##id,
#include "cpu/feature.def"
#undef FEAT
    FEAT_COUNT
};
#define FEAT_WORDS ((FEAT_COUNT + 63) / 64)

enum timing_class {
#define TIMING(id, ticks, text) TIME_##id,
#include "timing/classes.def"
#undef TIMING
    TIME_COUNT
};

#endif
