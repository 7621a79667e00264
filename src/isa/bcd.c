// SPDX-License-Identifier: MIT
/* Decimal adjustment, outside 64-bit mode only. [APM3 AAA..DAS] */
#include "isa/isa.h"

/* AL and the flags of old -> v; the flags the manual leaves undefined are those of the last addition or subtraction inside (AMD). */
static bool bcd_al(struct vcpu *c, u64 old, u64 v, bool sub, bool cf, bool af)
{
    bool of = (sub ? old & ~v : ~old & v) >> 7 & 1;
    gpr_set(c, RAX, 1, v);
    flags_explicit(&c->fl, 1, v, cf, of, af);
    return true;
}

static bool ascii_adjust(struct vcpu *c, bool sub)
{
    u64 ax = (u16)c->st.gpr[RAX];
    bool fix = (ax & 15) > 9 || flag_af(&c->fl);
    u64 n = fix ? 6 : 0;
    bcd_al(c, ax, sub ? ax - n : ax + n, sub, fix, fix);
    if (fix)
        ax = sub ? ax - 0x106 : ax + 0x106;
    gpr_set(c, RAX, 2, ax & 0xFF0F);
    return true;
}

INSN(ONE, 37, _, _, aaa, _, NO64, w:OSZAPC u:OSZP r:A, _, bcd, gen)
SYS(aaa)
{
    (void)in;
    return ascii_adjust(c, false);
}

INSN(ONE, 3F, _, _, aas, _, NO64, w:OSZAPC u:OSZP r:A, _, bcd, gen)
SYS(aas)
{
    (void)in;
    return ascii_adjust(c, true);
}

static bool decimal_adjust(struct vcpu *c, bool sub)
{
    u8 al = (u8)c->st.gpr[RAX], old = al;
    bool cf = flag_cf(&c->fl), af = (al & 15) > 9 || flag_af(&c->fl), high = old > 0x99 || cf, out = high;
    if (af) {
        if (sub)
            out |= al < 6;
        al = sub ? (u8)(al - 6) : (u8)(al + 6);
    }
    if (high)
        al = sub ? (u8)(al - 0x60) : (u8)(al + 0x60);
    return bcd_al(c, old, al, sub, out, af);
}

INSN(ONE, 27, _, _, daa, _, NO64, w:OSZAPC u:O r:AC, _, bcd, gen)
SYS(daa)
{
    (void)in;
    return decimal_adjust(c, false);
}

INSN(ONE, 2F, _, _, das, _, NO64, w:OSZAPC u:O r:AC, _, bcd, gen)
SYS(das)
{
    (void)in;
    return decimal_adjust(c, true);
}

INSN(ONE, D4, _, _, aam, Ib, NO64, w:OSZAPC u:OAC, _, bcd, gen)
SYS(aam)
{
    u8 al = (u8)c->st.gpr[RAX], base = (u8)in->imm;
    if (!base)
        return cpu_raise(c, EXC_DE);
    gpr_set(c, RAX, 2, (u64)(al / base) << 8);
    return bcd_al(c, 0, al % base, true, false, false);
}

INSN(ONE, D5, _, _, aad, Ib, NO64, w:OSZAPC u:OAC, _, bcd, gen)
SYS(aad)
{
    u64 al = (u8)c->st.gpr[RAX], add = (c->st.gpr[RAX] >> 8 & 0xFF) * (u8)in->imm;
    gpr_set(c, RAX, 2, (u8)(al + add));
    flags_add(&c->fl, 1, al, add, al + add); /* OF, AF and CF, undefined, too (AMD) */
    return true;
}

INSN(ONE, D6, _, _, salc, _, NO64, r:C, _, alu, gen)
SYS(salc)
{
    (void)in;
    gpr_set(c, RAX, 1, flag_cf(&c->fl) ? 0xFF : 0);
    return true;
}
