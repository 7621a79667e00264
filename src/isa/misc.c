// SPDX-License-Identifier: MIT
/* Flag instructions, NOP and the hint space, PAUSE, UD0..UD2, BOUND, RDRAND, RDSEED. */
#include "isa/isa.h"
#include "svm/svm.h"

INSN(ONE, 90, _, _, nop, _, B0, _, _, nop, gen)
INSN(0F, 18, _, MRM, nop, Ev, _, _, _, nop, gen)
INSN(0F, 19, _, MRM, nop, Ev, _, _, _, nop, gen)
INSN(0F, 1A, _, MRM, nop, Ev, _, _, _, nop, gen)
INSN(0F, 1B, _, MRM, nop, Ev, _, _, _, nop, gen)
INSN(0F, 1C, _, MRM, nop, Ev, _, _, _, nop, gen)
INSN(0F, 1D, _, MRM, nop, Ev, _, _, _, nop, gen)
INSN(0F, 1E, _, MRM, nop, Ev, _, _, _, nop, gen)
INSN(0F, 1F, _, MRM, nop, Ev, _, _, _, nop, gen)
SYS(nop)
{
    (void)c;
    (void)in;
    return true;
}

INSN(ONE, 90, F3, _, pause, _, B0, _, body:PAUSE, pause, gen)
SYS(pause)
{
    (void)in;
    if (cpu_icpt(c, ICPT_PAUSE) && svm_pause_intercepted(c))
        return cpu_exit(c, VMEXIT_PAUSE, 0, 0);
    return true;
}

INSN(0F, FF, _, _, ud0, _, _, _, _, nop, gen)
SYS(ud0)
{
    (void)in;
    return cpu_raise(c, EXC_UD);
}

INSN(0F, B9, _, MRM, ud1, Gv Ev, _, _, _, nop, gen)
SYS(ud1)
{
    (void)in;
    return cpu_raise(c, EXC_UD);
}

INSN(0F, 0B, _, _, ud2, _, _, _, _, nop, gen)
SYS(ud2)
{
    (void)in;
    return cpu_raise(c, EXC_UD);
}

INSN(ONE, 9E, _, _, sahf, _, NO64, w:SZAPC, _, flags, gen)
INSN(ONE, 9E, _, _, sahf, _, O64 F:LAHF64, w:SZAPC, _, flags, gen)
SYS(sahf)
{
    (void)in;
    flags_put(&c->fl, c->st.gpr[RAX] >> 8 & 0xFF, FL_SF | FL_ZF | FL_AF | FL_PF | FL_CF);
    return true;
}

INSN(ONE, 9F, _, _, lahf, _, NO64, r:SZAPC, _, flags, gen)
INSN(ONE, 9F, _, _, lahf, _, O64 F:LAHF64, r:SZAPC, _, flags, gen)
SYS(lahf)
{
    (void)in;
    gpr_set(c, REG8_AH, 1, (flags_get(&c->fl) & 0xFF) | FL_ONE);
    return true;
}

INSN(ONE, F5, _, _, cmc, _, _, w:C r:C, _, alu, gen)
SYS(cmc)
{
    (void)in;
    flags_set_cf(&c->fl, !flag_cf(&c->fl));
    return true;
}

INSN(ONE, F8, _, _, clc, _, _, w:C, _, alu, gen)
SYS(clc)
{
    (void)in;
    flags_set_cf(&c->fl, false);
    return true;
}

INSN(ONE, F9, _, _, stc, _, _, w:C, _, alu, gen)
SYS(stc)
{
    (void)in;
    flags_set_cf(&c->fl, true);
    return true;
}

INSN(ONE, FC, _, _, cld, _, _, w:D, _, flags, gen)
SYS(cld)
{
    (void)in;
    c->st.rflags &= ~(u64)FL_DF;
    return true;
}

INSN(ONE, FD, _, _, std, _, _, w:D, _, flags, gen)
SYS(std)
{
    (void)in;
    c->st.rflags |= FL_DF;
    return true;
}

/* Signed index against a pair in memory; both bounds are read first. */
INSN(ONE, 62, _, MEM, bound, Gv Ma, NO64, _, _, alu, gen)
SYS(bound)
{
    unsigned w = in->op[0].size;
    u64 ea = op_ea(c, in), lo, hi;
    if (!mem_read(c, in->seg, ea, w, &lo) || !mem_read(c, in->seg, zext(ea + w, in->asz), w, &hi))
        return false;
    i64 v = (i64)sext(gpr_get(c, in->op[0].reg, w), w);
    if (v < (i64)sext(lo, w) || v > (i64)sext(hi, w))
        return cpu_raise(c, EXC_BR);
    return true;
}

/* SplitMix64 over the vCPU's generator state, which the machine seeds: the same seed gives the same run. */
static bool random_to(struct vcpu *c, const struct insn *in)
{
    u64 z = c->st.rng += 0x9E3779B97F4A7C15ull;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ z >> 27) * 0x94D049BB133111EBull;
    gpr_set(c, in->op[0].reg, in->op[0].size, z ^ z >> 31);
    flags_set(&c->fl, FL_CF);
    return true;
}

INSN(0F, C7, _, /6r, rdrand, Rv, F:RDRAND, w:OSZAPC, _, rand, gen)
SYS(rdrand)
{
    return random_to(c, in);
}

INSN(0F, C7, _, /7r, rdseed, Rv, F:RDSEED, w:OSZAPC, _, rand, gen)
SYS(rdseed)
{
    return random_to(c, in);
}
