// SPDX-License-Identifier: MIT
/* BMI1, BMI2, ADX, CRC32. VEX forms: operand 0 is written, 1 and 2 (or 1 alone) are read. */
#include "isa/isa.h"

INSN(VEX2, F2, NP, MRM, andn, Gy By Ey, L0 PM F:BMI1, w:OSZAPC u:AP, _, alu, gen)
ALU(andn)
{
    flags_logic(f, width, ~a & b);
    return ~a & b;
}

INSN(VEX2, F7, NP, MRM, bextr, Gy Ey By, L0 PM F:BMI1, w:OSZAPC u:SAP, _, alu, gen)
ALU(bextr)
{
    unsigned start = b & 255, len = b >> 8 & 255;
    u64 v = start >= 8 * width ? 0 : zext(a, width) >> start;
    u64 r = len >= 64 ? v : v & ((1ull << len) - 1);
    if (f)
        flags_set(f, FL_AF | (r ? 0 : FL_ZF) | (__builtin_parity((u8)r) ? 0 : FL_PF)); /* SF, AF, PF are undefined: so on AMD */
    return r;
}

INSN(VEX2, F3, NP, /1, blsr, By Ey, L0 PM F:BMI1, w:OSZAPC u:AP, _, alu, gen)
ALU(blsr)
{
    (void)a;
    u64 r = (b - 1) & b;
    flags_explicit(f, width, r, zext(b, width) == 0, false, false);
    return r;
}

INSN(VEX2, F3, NP, /2, blsmsk, By Ey, L0 PM F:BMI1, w:OSZAPC u:AP, _, alu, gen)
ALU(blsmsk)
{
    (void)a;
    u64 r = (b - 1) ^ b;
    flags_explicit(f, width, r, zext(b, width) == 0, false, false);
    return r;
}

INSN(VEX2, F3, NP, /3, blsi, By Ey, L0 PM F:BMI1, w:OSZAPC u:AP, _, alu, gen)
ALU(blsi)
{
    (void)a;
    u64 r = (0 - b) & b;
    flags_explicit(f, width, r, zext(b, width) != 0, false, false);
    return r;
}

INSN(VEX2, F5, NP, MRM, bzhi, Gy Ey By, L0 PM F:BMI2, w:OSZAPC u:AP, _, alu, gen)
ALU(bzhi)
{
    unsigned n = b & 255;
    u64 r = n >= 8 * width ? zext(a, width) : a & ((1ull << n) - 1);
    flags_explicit(f, width, r, n >= 8 * width, false, false);
    return r;
}

INSN(VEX2, F5, F2, MRM, pdep, Gy By Ey, L0 PM F:BMI2, _, _, bit, gen)
ALU(pdep)
{
    (void)f;
    u64 r = 0;
    for (u64 mask = zext(b, width); mask; mask &= mask - 1, a >>= 1)
        if (a & 1)
            r |= mask & (0 - mask);
    return r;
}

INSN(VEX2, F5, F3, MRM, pext, Gy By Ey, L0 PM F:BMI2, _, _, bit, gen)
ALU(pext)
{
    (void)f;
    u64 r = 0;
    unsigned k = 0;
    for (u64 mask = zext(b, width); mask; mask &= mask - 1, k++)
        if (a & mask & (0 - mask))
            r |= 1ull << k;
    return r;
}

/* rDX * source: low half to operand 1, then high half to operand 0 (which wins when they are the same). */
INSN(VEX2, F6, F2, MRM, mulx, Gy By Ey, L0 PM F:BMI2, _, _, mul, gen)
SYS(mulx)
{
    unsigned w = in->op[0].size;
    u64 v;
    if (!op_read(c, in, 2, &v))
        return false;
    u128 r = (u128)v * zext(c->st.gpr[RDX], w);
    gpr_set(c, in->op[1].reg, w, (u64)r);
    gpr_set(c, in->op[0].reg, w, (u64)(r >> (8 * w)));
    return true;
}

INSN(VEX3, F0, F2, MRM, rorx, Gy Ey Ib, L0 PM F:BMI2, _, _, shift, gen)
ALU(rorx)
{
    (void)f;
    unsigned n = (unsigned)b & (8 * width - 1);
    u64 v = zext(a, width);
    return n ? v >> n | v << (8 * width - n) : v;
}

INSN(VEX2, F7, F3, MRM, sarx, Gy Ey By, L0 PM F:BMI2, _, _, shift, gen)
ALU(sarx)
{
    (void)f;
    return (u64)((i64)sext(a, width) >> (b & (8 * width - 1)));
}

INSN(VEX2, F7, 66, MRM, shlx, Gy Ey By, L0 PM F:BMI2, _, _, shift, gen)
ALU(shlx)
{
    (void)f;
    return a << (b & (8 * width - 1));
}

INSN(VEX2, F7, F2, MRM, shrx, Gy Ey By, L0 PM F:BMI2, _, _, shift, gen)
ALU(shrx)
{
    (void)f;
    return zext(a, width) >> (b & (8 * width - 1));
}

INSN(0F38, F6, 66, MRM, adcx, Gy Ey, F:ADX, w:C r:C, _, alu, gen)
ALUC(adcx)
{
    u128 r = (u128)zext(a, width) + zext(b, width) + cf;
    flags_set_cf(f, r >> (8 * width) & 1);
    return (u64)r;
}

INSN(0F38, F6, F3, MRM, adox, Gy Ey, F:ADX, w:O r:O, _, alu, gen)
SYS(adox)
{
    unsigned w = in->op[0].size;
    u64 v;
    if (!op_read(c, in, 1, &v))
        return false;
    u128 r = (u128)gpr_get(c, in->op[0].reg, w) + v + flag_of(&c->fl);
    gpr_set(c, in->op[0].reg, w, (u64)r);
    flags_set_cf_of(&c->fl, flag_cf(&c->fl), r >> (8 * w) & 1);
    return true;
}

/* CRC-32C, polynomial 11EDC6F41h reflected; no table, eight steps a byte. */
INSN(0F38, F0, F2, MEM, crc32, Gy Eb, F:SSE42, _, _, mul, gen)
INSN(0F38, F0, F2, REG, crc32, Gy Eb, F:SSE42, _, _, mul, gen)
INSN(0F38, F1, F2, MEM, crc32, Gy Ev, F:SSE42, _, _, mul, gen)
INSN(0F38, F1, F2, REG, crc32, Gy Ev, F:SSE42, _, _, mul, gen)
SYS(crc32)
{
    u64 v;
    if (!op_read(c, in, 1, &v))
        return false;
    u32 crc = (u32)gpr_get(c, in->op[0].reg, 4);
    for (unsigned i = 0; i < in->op[1].size; i++) {
        crc ^= (u8)(v >> (8 * i));
        for (unsigned k = 0; k < 8; k++)
            crc = crc >> 1 ^ (0x82F63B78u & (0 - (crc & 1)));
    }
    gpr_set(c, in->op[0].reg, in->op[0].size, crc);
    return true;
}
