// SPDX-License-Identifier: MIT
/* MOVS CMPS STOS LODS SCAS with REP, REPE, REPNE.
 *
 * rSI, rDI and rCX are exact after every element, so a fault or an event finds an instruction that restarts. Plain RAM goes by whole
 * page spans; what a span may not do (fault, MMIO, flagged pages, limits, wraps) goes element by element. A span never passes the
 * element at which the budget runs out, so where an event is taken does not depend on it. */
#include "isa/isa.h"

enum { STR_TICKS = 64 }; /* one cycle an element */

struct str {
    struct vcpu *c;
    const struct insn *in;
    unsigned w, asz, seg;
    bool down, rep;
    u32 held; /* events that were pending before and are not news */
};

static struct str str_begin(struct vcpu *c, const struct insn *in)
{
    struct str s = { .c = c, .in = in, .w = in->opcode & 1 ? in->osz : 1, .asz = in->asz, .seg = in->seg };
    s.down = c->st.rflags & FL_DF;
    s.rep = in->pfx & (PFX_REP | PFX_REPNE);
    s.held = c->st.shadow ? 0 : c->pending;
    return s;
}

static u64 str_reg(const struct str *s, unsigned reg)
{
    return zext(s->c->st.gpr[reg], s->asz);
}

static u64 str_count(const struct str *s)
{
    return s->rep ? str_reg(s, RCX) : 1;
}

static void str_add(const struct str *s, unsigned reg, u64 bytes)
{
    u64 old = s->c->st.gpr[reg];
    gpr_set(s->c, reg, s->asz, s->down ? old - bytes : old + bytes);
}

/* n elements are done: rCX, time. `src`, `dst` say which index registers move. */
static void str_step(const struct str *s, u64 n, bool src, bool dst)
{
    if (src)
        str_add(s, RSI, n * s->w);
    if (dst)
        str_add(s, RDI, n * s->w);
    if (s->rep) {
        gpr_set(s->c, RCX, s->asz, s->c->st.gpr[RCX] - n);
        cpu_charge(s->c, n * STR_TICKS);
    }
}

static bool str_yield(const struct str *s)
{
    return cpu_rep_leave(s->c, s->held);
}

/* How many elements a span may have at most: count, budget, and no wrap of an index register's address size. */
static u64 span_max(const struct str *s, u64 count, u64 off)
{
    i64 left = cpu_ticks_left(s->c);
    u64 by_time = left >= 0 ? (u64)left / STR_TICKS + 1 : 1;
    u64 n = count < by_time ? count : by_time;
    u64 top = width_mask(s->asz) - off, room = s->down ? off / s->w + 1 : top / s->w + (top % s->w == s->w - 1);
    if (n > room)
        n = room ? room : 1; /* the element that wraps goes by itself */
    return n > PAGE_SIZE ? PAGE_SIZE : n; /* a span is inside one page anyway */
}

static bool no_spans(const struct str *s)
{
    return !s->rep || (s->c->st.rflags & FL_TF);
}

/* ---- MOVS ---- */

static void copy_elements(u8 *to, const u8 *from, u64 n, unsigned w, bool down)
{
    for (u64 i = 0; i < n; i++) {
        store_le(to, w, load_le(from, w));
        to = down ? to - w : to + w;
        from = down ? from - w : from + w;
    }
}

/* Exactly what n single moves would leave: memmove unless a written element is read again later. */
static void copy_span(u8 *to, const u8 *from, u64 n, unsigned w, bool down)
{
    size_t len = n * w, back = down ? len - w : 0;
    uintptr_t t = (uintptr_t)(to - back), f = (uintptr_t)(from - back);
    bool again = down ? t < f && f < t + len : f < t && t < f + len;
    if (again)
        copy_elements(to, from, n, w, down);
    else
        memmove((u8 *)t, (const u8 *)f, len);
}

static u64 movs_span(const struct str *s, u64 count)
{
    u64 si = str_reg(s, RSI), di = str_reg(s, RDI), n = span_max(s, count, si), m = span_max(s, count, di);
    if (m < n)
        n = m;
    if (no_spans(s) || n < 2)
        return 0;
    const u8 *from = mem_span(s->c, s->seg, si, s->w, s->down, ACC_R, &n);
    u8 *to = from ? mem_span(s->c, SEG_ES, di, s->w, s->down, ACC_W, &n) : NULL;
    if (!to)
        return 0;
    copy_span(to, from, n, s->w, s->down);
    return n;
}

INSN(ONE, A4, _, _, movs, Yb Xb, REP, _, _, string, gen)
INSN(ONE, A5, _, _, movs, Yv Xv, REP, _, _, string, gen)
SYS(movs)
{
    struct str s = str_begin(c, in);
    for (u64 count; (count = str_count(&s)) != 0;) {
        u64 v, n = movs_span(&s, count);
        if (!n) {
            if (!mem_read(c, s.seg, str_reg(&s, RSI), s.w, &v) || !mem_write(c, SEG_ES, str_reg(&s, RDI), s.w, v))
                return false;
            n = 1;
        }
        str_step(&s, n, true, true);
        if (n == count || str_yield(&s))
            break;
    }
    return true;
}

/* ---- STOS, LODS ---- */

static void fill_span(u8 *to, u64 n, unsigned w, bool down, u64 v)
{
    u8 *low = down ? to - (n - 1) * w : to;
    if (w == 1 || zext(v, w) == 0) {
        memset(low, (u8)v, n * w);
        return;
    }
    for (u64 i = 0; i < n; i++)
        store_le(low + i * w, w, v);
}

static u64 stos_span(const struct str *s, u64 count)
{
    u64 di = str_reg(s, RDI), n = span_max(s, count, di);
    if (no_spans(s) || n < 2)
        return 0;
    u8 *to = mem_span(s->c, SEG_ES, di, s->w, s->down, ACC_W, &n);
    if (!to)
        return 0;
    fill_span(to, n, s->w, s->down, s->c->st.gpr[RAX]);
    return n;
}

INSN(ONE, AA, _, _, stos, Yb AL, REP, _, _, string, gen)
INSN(ONE, AB, _, _, stos, Yv rAX, REP, _, _, string, gen)
SYS(stos)
{
    struct str s = str_begin(c, in);
    for (u64 count; (count = str_count(&s)) != 0;) {
        u64 n = stos_span(&s, count);
        if (!n) {
            if (!mem_write(c, SEG_ES, str_reg(&s, RDI), s.w, gpr_get(c, RAX, s.w)))
                return false;
            n = 1;
        }
        str_step(&s, n, false, true);
        if (n == count || str_yield(&s))
            break;
    }
    return true;
}

INSN(ONE, AC, _, _, lods, AL Xb, REP, _, _, string, gen)
INSN(ONE, AD, _, _, lods, rAX Xv, REP, _, _, string, gen)
SYS(lods)
{
    struct str s = str_begin(c, in);
    for (u64 count; (count = str_count(&s)) != 0;) {
        u64 v;
        if (!mem_read(c, s.seg, str_reg(&s, RSI), s.w, &v))
            return false;
        gpr_set(c, RAX, s.w, v);
        str_step(&s, 1, true, false);
        if (count == 1 || str_yield(&s))
            break;
    }
    return true;
}

/* ---- CMPS, SCAS: F3 goes on while equal, F2 while different ---- */

/* Compares up to n elements of two spans (b == NULL: against acc); returns how many were looked at, the last pair in x, y. */
static u64 compare_span(const struct str *s, const u8 *a, const u8 *b, u64 n, u64 acc, u64 *x, u64 *y)
{
    bool want = s->in->pfx & PFX_REP;
    i64 step = s->down ? -(i64)s->w : (i64)s->w;
    u64 i = 0;
    do {
        u64 second = load_le(a + (i64)i * step, s->w);
        *x = b ? load_le(b + (i64)i * step, s->w) : acc;
        *y = second;
        i++;
    } while (i < n && (*x == *y) == want);
    return i;
}

/* The flags of the last comparison are current after each element, so an event in between saves them. */
static bool compare_done(const struct str *s, u64 x, u64 y, u64 n, u64 count)
{
    flags_sub(&s->c->fl, s->w, x, y, x - y);
    return !s->rep || n == count || (x == y) != (bool)(s->in->pfx & PFX_REP);
}

INSN(ONE, A6, _, _, cmps, Xb Yb, REP, w:OSZAPC r:OSZAPC, _, string, gen)
INSN(ONE, A7, _, _, cmps, Xv Yv, REP, w:OSZAPC r:OSZAPC, _, string, gen)
SYS(cmps)
{
    struct str s = str_begin(c, in);
    for (u64 count; (count = str_count(&s)) != 0;) {
        u64 si = str_reg(&s, RSI), di = str_reg(&s, RDI), n = span_max(&s, count, si), m = span_max(&s, count, di), x, y;
        n = m < n ? m : n;
        const u8 *a = no_spans(&s) ? NULL : mem_span(c, s.seg, si, s.w, s.down, ACC_R, &n);
        const u8 *b = a ? mem_span(c, SEG_ES, di, s.w, s.down, ACC_R, &n) : NULL;
        if (b) {
            n = compare_span(&s, b, a, n, 0, &x, &y);
        } else {
            n = 1;
            if (!mem_read(c, s.seg, si, s.w, &x) || !mem_read(c, SEG_ES, di, s.w, &y))
                return false;
        }
        str_step(&s, n, true, true);
        if (compare_done(&s, x, y, n, count) || str_yield(&s))
            break;
    }
    return true;
}

INSN(ONE, AE, _, _, scas, AL Yb, REP, w:OSZAPC r:OSZAPC, _, string, gen)
INSN(ONE, AF, _, _, scas, rAX Yv, REP, w:OSZAPC r:OSZAPC, _, string, gen)
SYS(scas)
{
    struct str s = str_begin(c, in);
    u64 acc = gpr_get(c, RAX, s.w);
    for (u64 count; (count = str_count(&s)) != 0;) {
        u64 di = str_reg(&s, RDI), n = span_max(&s, count, di), x = acc, y;
        const u8 *a = no_spans(&s) ? NULL : mem_span(c, SEG_ES, di, s.w, s.down, ACC_R, &n);
        if (a) {
            n = compare_span(&s, a, NULL, n, acc, &x, &y);
        } else {
            n = 1;
            if (!mem_read(c, SEG_ES, di, s.w, &y))
                return false;
        }
        str_step(&s, n, false, true);
        if (compare_done(&s, x, y, n, count) || str_yield(&s))
            break;
    }
    return true;
}
