// SPDX-License-Identifier: MIT
/* RFLAGS bits and the lazy arithmetic flags.
 *
 * The six arithmetic flags are not kept as bits but as two words from which each is one or two host
 * instructions away, without knowing which instruction wrote them:
 *   res  the result sign-extended to 64 bits: ZF = res == 0, SF = bit 63 (^ aux bit 0), PF = parity of bits 7:0 (^ aux bit 1)
 *   aux  bit 63 = CF, bit 62 = CF ^ OF, bit 3 = AF, bit 0 = SF inversion, bit 1 = PF inversion; all else 0
 * For an addition of any width the carry-out vector shifted to the top is aux, so producers stay cheap.
 * The inversions exist only so that POPF and friends can make combinations no result has. */
#ifndef SVMEMU_CPU_FLAGS_H
#define SVMEMU_CPU_FLAGS_H

#include "base/bits.h"

enum {
    FL_CF = 1 << 0, FL_ONE = 1 << 1, FL_PF = 1 << 2, FL_AF = 1 << 4, FL_ZF = 1 << 6, FL_SF = 1 << 7,
    FL_TF = 1 << 8, FL_IF = 1 << 9, FL_DF = 1 << 10, FL_OF = 1 << 11, FL_IOPL = 3 << 12, FL_NT = 1 << 14,
    FL_RF = 1 << 16, FL_VM = 1 << 17, FL_AC = 1 << 18, FL_VIF = 1 << 19, FL_VIP = 1 << 20, FL_ID = 1 << 21,
    FL_ARITH = FL_CF | FL_PF | FL_AF | FL_ZF | FL_SF | FL_OF,
    FL_ALL = FL_ARITH | FL_TF | FL_IF | FL_DF | FL_IOPL | FL_NT | FL_RF | FL_VM | FL_AC | FL_VIF | FL_VIP | FL_ID,
};

struct flags {
    u64 res, aux;
};

#define AUX_CF (1ull << 63)
#define AUX_COF (1ull << 62)
#define AUX_AF 8ull
#define AUX_SD 1ull
#define AUX_PD 2ull
#define AUX_CARRIES (AUX_CF | AUX_COF | AUX_AF)

static inline bool flag_cf(const struct flags *f) { return f->aux >> 63; }
static inline bool flag_zf(const struct flags *f) { return f->res == 0; }
static inline bool flag_sf(const struct flags *f) { return (f->res >> 63) ^ (f->aux & 1); }
static inline bool flag_of(const struct flags *f) { return (f->aux + AUX_COF) >> 63; }
static inline bool flag_af(const struct flags *f) { return f->aux >> 3 & 1; }
static inline bool flag_pf(const struct flags *f)
{
    return !__builtin_parity((u8)f->res) ^ (f->aux >> 1 & 1);
}

/* Condition code 0..15 as in Jcc/SETcc/CMOVcc. With a constant cc this folds to a few instructions. */
static inline bool flags_cond(const struct flags *f, unsigned cc)
{
    bool r;
    switch (cc >> 1) {
    case 0: r = flag_of(f); break;
    case 1: r = flag_cf(f); break;
    case 2: r = flag_zf(f); break;
    case 3: r = (int)flag_cf(f) | (int)flag_zf(f); break;
    case 4: r = flag_sf(f); break;
    case 5: r = flag_pf(f); break;
    case 6: r = flag_sf(f) ^ flag_of(f); break;
    default: r = (flag_sf(f) ^ flag_of(f)) | (int)flag_zf(f); break;
    }
    return r ^ (cc & 1);
}

/* The six flags as RFLAGS bits. */
static inline u64 flags_get(const struct flags *f)
{
    return (u64)flag_cf(f) | (u64)flag_pf(f) << 2 | (u64)flag_af(f) << 4 | (u64)flag_zf(f) << 6 |
           (u64)flag_sf(f) << 7 | (u64)flag_of(f) << 11;
}

/* Set all six from RFLAGS bits. */
static inline void flags_set(struct flags *f, u64 fl)
{
    bool cf = fl & FL_CF, of = fl & FL_OF, sf = fl & FL_SF, pf = fl & FL_PF, zf = fl & FL_ZF;
    /* res 0 has even parity and no sign; res 4 | sign has odd parity. */
    f->res = zf ? 0 : 4;
    bool pf_base = zf;
    f->aux = (u64)cf << 63 | (u64)(cf ^ of) << 62 | (fl & FL_AF ? AUX_AF : 0) | (u64)sf | (u64)(pf ^ pf_base) << 1;
}

/* Replace only the flags in `mask`. */
static inline void flags_put(struct flags *f, u64 fl, u64 mask)
{
    flags_set(f, (flags_get(f) & ~mask) | (fl & mask));
}

/* The producers below take f == NULL (a constant) to record nothing. a, b and r may have garbage above the width. */
static inline void flags_add(struct flags *f, unsigned width, u64 a, u64 b, u64 r)
{
    if (!f)
        return;
    u64 cv = (a & b) | ((a | b) & ~r);
    f->res = sext(r, width);
    f->aux = ((cv << (64 - 8 * width)) & (AUX_CF | AUX_COF)) | (cv & AUX_AF);
}

static inline void flags_sub(struct flags *f, unsigned width, u64 a, u64 b, u64 r)
{
    if (!f)
        return;
    u64 bv = (~a & b) | ((~a | b) & r);
    f->res = sext(r, width);
    f->aux = ((bv << (64 - 8 * width)) & (AUX_CF | AUX_COF)) | (bv & AUX_AF);
}

static inline void flags_logic(struct flags *f, unsigned width, u64 r)
{
    if (!f)
        return;
    f->res = sext(r, width);
    f->aux = 0;
}

/* Result flags from r, the rest as given. */
static inline void flags_explicit(struct flags *f, unsigned width, u64 r, bool cf, bool of, bool af)
{
    if (!f)
        return;
    f->res = sext(r, width);
    f->aux = (u64)cf << 63 | (u64)(cf ^ of) << 62 | (af ? AUX_AF : 0);
}

/* Change only CF, or only CF and OF (rotates, BT, STC...). */
static inline void flags_set_cf(struct flags *f, bool cf)
{
    if (!f)
        return;
    bool of = flag_of(f);
    f->aux = (f->aux & ~(AUX_CF | AUX_COF)) | (u64)cf << 63 | (u64)(cf ^ of) << 62;
}

static inline void flags_set_cf_of(struct flags *f, bool cf, bool of)
{
    if (!f)
        return;
    f->aux = (f->aux & ~(AUX_CF | AUX_COF)) | (u64)cf << 63 | (u64)(cf ^ of) << 62;
}

#endif
