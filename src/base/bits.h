// SPDX-License-Identifier: MIT
/* Small pure functions on integers. Widths are in bytes (1, 2, 4, 8) everywhere in svmemu. */
#ifndef SVMEMU_BASE_BITS_H
#define SVMEMU_BASE_BITS_H

#include "base/types.h"
#include <string.h>

#define BIT(n) (1ull << (n))

/* All ones in the low `width` bytes. */
static inline u64 width_mask(unsigned width)
{
    return ~0ull >> (64 - 8 * width);
}

/* Zero- or sign-extend the low `width` bytes of v. */
static inline u64 zext(u64 v, unsigned width)
{
    return v & width_mask(width);
}

static inline u64 sext(u64 v, unsigned width)
{
    unsigned s = 64 - 8 * width;
    return (u64)((i64)(v << s) >> s);
}

/* Sign-extend from bit `top` (the highest bit kept). */
static inline u64 sext_bit(u64 v, unsigned top)
{
    unsigned s = 63 - top;
    return (u64)((i64)(v << s) >> s);
}

static inline u64 bits(u64 v, unsigned hi, unsigned lo)
{
    return (v >> lo) & (~0ull >> (63 - (hi - lo)));
}

/* Little-endian loads and stores of 1, 2, 4 or 8 bytes at any alignment (hosts are little-endian). */
static inline u64 load_le(const void *p, unsigned width)
{
    u64 v = 0;
    switch (width) {
    case 1: return *(const u8 *)p;
    case 2: { u16 t; memcpy(&t, p, 2); return t; }
    case 4: { u32 t; memcpy(&t, p, 4); return t; }
    case 8: memcpy(&v, p, 8); return v;
    default: memcpy(&v, p, width); return v;
    }
}

static inline void store_le(void *p, unsigned width, u64 v)
{
    switch (width) {
    case 1: *(u8 *)p = (u8)v; break;
    case 2: { u16 t = (u16)v; memcpy(p, &t, 2); break; }
    case 4: { u32 t = (u32)v; memcpy(p, &t, 4); break; }
    case 8: memcpy(p, &v, 8); break;
    default: memcpy(p, &v, width); break;
    }
}

#endif
