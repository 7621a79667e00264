// SPDX-License-Identifier: MIT
/* What stamped handlers are made of: registers by byte offset, fast loads and stores, links. One body per instruction: the handlers call
 * the very bodies of arith.c, logic.c and shift.c; whatever is not plain (a miss, a flagged page, a page crossing, a fault) tail-calls
 * op_generic, which runs the same row with checked accessors. */
#ifndef SVMEMU_ISA_STAMP_H
#define SVMEMU_ISA_STAMP_H

#include "exec/private.h"

#if SVMEMU_DISPATCH_TAIL
/* The empty asm keeps gcc from computing the next op twice: add and jump through memory, two instructions. */
#define GO(op_) do { const struct op *n_ = (op_); __asm__("" : "+r"(n_)); return n_->fn(c, n_, fast); } while (0)
#else
#define GO(op_) do { (void)fast; return (op_); } while (0)
#endif
#define HANDLER(name) static const struct op *name(struct vcpu *c, const struct op *op, const struct xlat *fast)
#define HANDLER_(name) const struct op *name(struct vcpu *c, const struct op *op, const struct xlat *fast) /* named outside its file */
#define SLOW() return op_generic(c, op, fast)

typedef u16 __attribute__((may_alias, aligned(1))) u16a; /* guests may misalign */
typedef u32 __attribute__((may_alias, aligned(1))) u32a;
typedef u64 __attribute__((may_alias, aligned(1))) u64a;


/* Guest registers are read and written as 64 bits whatever the operand's width: the host forwards a value from its last store at once
 * only if load and store are alike (a byte load of a 64-bit store costs 8 cycles instead of 1.5 on Zen 5). The empty asm keeps compilers
 * from narrowing. Odd offsets are AH to BH. */
static inline u64 reg_whole(const u8 *p)
{
    u64 v = *(const u64a *)p;
    __asm__("" : "+r"(v));
    return v;
}

static inline u64 reg_rd(const struct vcpu *c, unsigned off, unsigned w)
{
    const u8 *p = (const u8 *)c + off;
    switch (w) {
    case 1: return (u8)(reg_whole((const u8 *)c + (off & ~7u)) >> (off & 7) * 8);
    case 2: return (u16)reg_whole(p);
    case 4: return *(const u32a *)p;
    default: return *(const u64a *)p;
    }
}

static inline void reg_wr(struct vcpu *c, unsigned off, unsigned w, u64 v)
{
    unsigned at = w == 1 ? (off & 7) * 8 : 0;
    u8 *p = (u8 *)c + (w == 1 ? off & ~7u : off);
    u64 mask = zext(~0ull, w) << at;
    *(u64a *)p = w < 4 ? (reg_whole(p) & ~mask) | (v << at & mask) : w == 4 ? (u32)v : v;
}

static inline u64 off_rd(const struct vcpu *c, unsigned off)
{
    return *(const u64a *)((const u8 *)c + off);
}

/* base + displacement, and with index * scale; base and index are any u64 in the first 256 bytes of the vCPU. */
static inline u64 ea_of(const struct vcpu *c, const struct op *op)
{
    return off_rd(c, op->base) + (u64)(i64)op->disp;
}
static inline u64 ea_x(const struct vcpu *c, const struct op *op)
{
    return ea_of(c, op) + (off_rd(c, op->r1) << op->aux);
}

static inline u64 host_rd(u64 p, unsigned w)
{
    switch (w) {
    case 1: return *(const u8 *)p;
    case 2: return *(const u16a *)p;
    case 4: return *(const u32a *)p;
    default: return *(const u64a *)p;
    }
}

static inline void host_wr(u64 p, unsigned w, u64 v)
{
    switch (w) {
    case 1: *(u8 *)p = (u8)v; break;
    case 2: *(u16a *)p = (u16)v; break;
    case 4: *(u32a *)p = (u32)v; break;
    default: *(u64a *)p = v; break;
    }
}

static inline const struct xlat *xl_of(const struct xlat *fast, u64 lin)
{
    return &fast[lin >> PAGE_SHIFT & (FAST_SIZE - 1)];
}

/* One compare covers the page and crossing it. */
static inline bool hit_rd(const struct xlat *e, u64 lin, unsigned w)
{
    return LIKELY(((lin + w - 1) & ~(u64)PAGE_MASK) == e->rtag);
}
static inline bool hit_wr(const struct xlat *e, u64 lin, unsigned w)
{
    return LIKELY(((lin + w - 1) & ~(u64)PAGE_MASK) == e->wtag);
}

/* Declares `e`, the entry that answers for the access at lin; leaves by the slow path when there is none. */
#define FAST_RD(lin_, w_)                            \
    const struct xlat *e = xl_of(fast, lin_);        \
    if (!hit_rd(e, lin_, w_))                        \
    SLOW()
#define FAST_WR(lin_, w_)                            \
    const struct xlat *e = xl_of(fast, lin_);        \
    if (!hit_wr(e, lin_, w_))                        \
    SLOW()

/* Lists over register numbers and condition codes. */
#define REG_D(X, ...) X(__VA_ARGS__, 0) X(__VA_ARGS__, 1) X(__VA_ARGS__, 2) X(__VA_ARGS__, 3) X(__VA_ARGS__, 4) X(__VA_ARGS__, 5) \
    X(__VA_ARGS__, 6) X(__VA_ARGS__, 7) X(__VA_ARGS__, 8) X(__VA_ARGS__, 9) X(__VA_ARGS__, 10) X(__VA_ARGS__, 11)                 \
    X(__VA_ARGS__, 12) X(__VA_ARGS__, 13) X(__VA_ARGS__, 14) X(__VA_ARGS__, 15)
#define REG_S(X, ...) X(__VA_ARGS__, 0) X(__VA_ARGS__, 1) X(__VA_ARGS__, 2) X(__VA_ARGS__, 3) X(__VA_ARGS__, 4) X(__VA_ARGS__, 5) \
    X(__VA_ARGS__, 6) X(__VA_ARGS__, 7) X(__VA_ARGS__, 8) X(__VA_ARGS__, 9) X(__VA_ARGS__, 10) X(__VA_ARGS__, 11)                 \
    X(__VA_ARGS__, 12) X(__VA_ARGS__, 13) X(__VA_ARGS__, 14) X(__VA_ARGS__, 15)
#define CC_LIST(X, ...) X(__VA_ARGS__, 0) X(__VA_ARGS__, 1) X(__VA_ARGS__, 2) X(__VA_ARGS__, 3) X(__VA_ARGS__, 4) X(__VA_ARGS__, 5) \
    X(__VA_ARGS__, 6) X(__VA_ARGS__, 7) X(__VA_ARGS__, 8) X(__VA_ARGS__, 9) X(__VA_ARGS__, 10) X(__VA_ARGS__, 11)                   \
    X(__VA_ARGS__, 12) X(__VA_ARGS__, 13) X(__VA_ARGS__, 14) X(__VA_ARGS__, 15)

/* Enter the successor a link slot names. */
#define FOLLOW(slot_) do {                                   \
        const struct op *s_ = (slot_);                       \
        i64 left_ = c->budget - s_->charge;                  \
        if (UNLIKELY(left_ < 0))                             \
            return op_link_slow(c, s_, fast);                \
        c->budget = left_;                                   \
        GO(s_->link);                                        \
    } while (0)

#endif
