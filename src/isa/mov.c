// SPDX-License-Identifier: MIT
/* Moves, extensions, exchanges, LEA, conditional moves and sets. */
#include "isa/isa.h"

INSN(ONE, 88, _, MRM, mov, Eb Gb, _, _, _, mov, reg)
INSN(ONE, 89, _, MRM, mov, Ev Gv, _, _, _, mov, reg)
INSN(ONE, 8A, _, MRM, mov, Gb Eb, _, _, _, mov, reg)
INSN(ONE, 8B, _, MRM, mov, Gv Ev, _, _, _, mov, reg)
INSN(ONE, A0, _, _, mov, AL Ob, _, _, _, load, gen)
INSN(ONE, A1, _, _, mov, rAX Ov, _, _, _, load, gen)
INSN(ONE, A2, _, _, mov, Ob AL, _, _, _, store, gen)
INSN(ONE, A3, _, _, mov, Ov rAX, _, _, _, store, gen)
INSN(ONE, B0+r, _, _, mov, Zb Ib, _, _, _, mov, reg)
INSN(ONE, B8+r, _, _, mov, Zv Iv, _, _, _, mov, reg)
INSN(ONE, C6, _, /0, mov, Eb Ib, _, _, _, mov, reg)
INSN(ONE, C7, _, /0, mov, Ev Iz, _, _, _, mov, reg)
SYS(mov)
{
    u64 v;
    return op_read(c, in, 1, &v) && op_write(c, in, 0, v);
}

/* Non-temporal: a plain store here. */
INSN(0F, C3, NP, MEM, movnti, My Gy, F:SSE2, _, _, store, gen)
SYS(movnti)
{
    return sys_mov(c, in);
}

INSN(0F, B6, _, MRM, movzx, Gv Eb, _, _, _, mov, reg)
INSN(0F, B7, _, MRM, movzx, Gv Ew, _, _, _, mov, reg)
SYS(movzx)
{
    return sys_mov(c, in);
}

INSN(0F, BE, _, MRM, movsx, Gv Eb, _, _, _, mov, reg)
INSN(0F, BF, _, MRM, movsx, Gv Ew, _, _, _, mov, reg)
SYS(movsx)
{
    u64 v;
    return op_read(c, in, 1, &v) && op_write(c, in, 0, sext(v, in->op[1].size));
}

/* Without REX.W a plain 32- or 16-bit move. */
INSN(ONE, 63, _, MRM, movsxd, Gv Ed, O64, _, _, mov, reg)
SYS(movsxd)
{
    return sys_movsx(c, in);
}

INSN(ONE, 8D, _, MEM, lea, Gv M, _, _, _, mov, reg)
SYS(lea)
{
    gpr_set(c, in->op[0].reg, in->op[0].size, op_ea(c, in));
    return true;
}

INSN(0F, 40+cc, _, MRM, cmovcc, Gv Ev, F:CMOV, r:OSZAPC, _, mov, reg)
SYS(cmovcc)
{
    u64 v;
    if (!op_read(c, in, 1, &v)) /* read even if not moved */
        return false;
    if (!flags_cond(&c->fl, in->opcode & 15))
        v = gpr_get(c, in->op[0].reg, in->op[0].size); /* a 32-bit destination is zero-extended all the same */
    gpr_set(c, in->op[0].reg, in->op[0].size, v);
    return true;
}

INSN(0F, 90+cc, _, MRM, setcc, Eb, _, r:OSZAPC, _, mov, reg)
SYS(setcc)
{
    return op_write(c, in, 0, flags_cond(&c->fl, in->opcode & 15));
}

INSN(0F, C8+r, _, _, bswap, Zv, _, _, _, alu, gen)
SYS(bswap)
{
    u64 v = gpr_get(c, in->op[0].reg, in->op[0].size);
    switch (in->op[0].size) {
    case 8: v = __builtin_bswap64(v); break;
    case 4: v = __builtin_bswap32((u32)v); break;
    default: v = 0; break; /* undefined in the manual; processors give 0 */
    }
    gpr_set(c, in->op[0].reg, in->op[0].size, v);
    return true;
}

INSN(0F38, F0, _, MEM, movbe, Gv Mv, F:MOVBE, _, _, load, gen)
INSN(0F38, F1, _, MEM, movbe, Mv Gv, F:MOVBE, _, _, store, gen)
SYS(movbe)
{
    u64 v;
    if (!op_read(c, in, 1, &v))
        return false;
    return op_write(c, in, 0, __builtin_bswap64(v) >> (64 - 8 * in->op[1].size));
}

/* XCHG with memory is locked with or without the prefix. 90h without REX.B is NOP: misc.c. */
INSN(ONE, 86, _, MRM, xchg, Eb Gb, LOCK, _, _, atomic, gen)
INSN(ONE, 87, _, MRM, xchg, Ev Gv, LOCK, _, _, atomic, gen)
INSN(ONE, 90+r, _, _, xchg, Zv rAX, _, _, _, alu, gen)
SYS(xchg)
{
    u64 a, b;
    if (!op_rmw(c, in, 0, &a))
        return false;
    b = gpr_get(c, in->op[1].reg, in->op[1].size);
    if (!op_write(c, in, 0, b))
        return false;
    gpr_set(c, in->op[1].reg, in->op[1].size, a);
    return true;
}

INSN(0F, C0, _, MRM, xadd, Eb Gb, LOCK, w:OSZAPC, _, atomic, gen)
INSN(0F, C1, _, MRM, xadd, Ev Gv, LOCK, w:OSZAPC, _, atomic, gen)
SYS(xadd)
{
    unsigned w = in->op[0].size;
    u64 a, b = gpr_get(c, in->op[1].reg, w);
    if (!op_rmw(c, in, 0, &a))
        return false;
    bool mem = in->op[0].kind == OPK_MEM;
    if (mem && !op_write(c, in, 0, a + b))
        return false;
    gpr_set(c, in->op[1].reg, w, a);
    if (!mem)
        gpr_set(c, in->op[0].reg, w, a + b); /* last: the sum stays when both are the same register */
    flags_add(&c->fl, w, a, b, a + b);
    return true;
}

INSN(0F, B0, _, MRM, cmpxchg, Eb Gb, LOCK, w:OSZAPC, _, atomic, gen)
INSN(0F, B1, _, MRM, cmpxchg, Ev Gv, LOCK, w:OSZAPC, _, atomic, gen)
SYS(cmpxchg)
{
    unsigned w = in->op[0].size;
    u64 old, acc = gpr_get(c, RAX, w);
    if (!op_rmw(c, in, 0, &old))
        return false;
    bool equal = old == acc;
    /* A failing compare writes the old value back, as the processor does [APM3 CMPXCHG]. */
    if (equal || in->op[0].kind == OPK_MEM) {
        if (!op_write(c, in, 0, equal ? gpr_get(c, in->op[1].reg, w) : old))
            return false;
    }
    if (!equal)
        gpr_set(c, RAX, w, old);
    flags_sub(&c->fl, w, acc, old, acc - old);
    return true;
}

INSN(0F, C7, _, /1m, cmpxchg8b, M, W0 LOCK F:CX8, w:Z, _, atomic, gen)
SYS(cmpxchg8b)
{
    u64 ea = op_ea(c, in), old, acc = (u64)(u32)c->st.gpr[RDX] << 32 | (u32)c->st.gpr[RAX];
    if (!mem_rmw_begin(c, in->seg, ea, 8, &old))
        return false;
    bool equal = old == acc;
    if (!mem_write(c, in->seg, ea, 8, equal ? (u64)(u32)c->st.gpr[RCX] << 32 | (u32)c->st.gpr[RBX] : old))
        return false;
    if (!equal) {
        c->st.gpr[RAX] = (u32)old;
        c->st.gpr[RDX] = old >> 32;
    }
    flags_put(&c->fl, equal ? FL_ZF : 0, FL_ZF);
    return true;
}

INSN(0F, C7, _, /1m, cmpxchg16b, Mo, W1 LOCK F:CX16, w:Z, _, atomic, gen)
SYS(cmpxchg16b)
{
    u64 ea = op_ea(c, in), old[2], lin;
    if (!seg_linear(c, in->seg, ea, 16, ACC_W, &lin))
        return false;
    if (lin & 15)
        return cpu_raise_err(c, EXC_GP, 0);
    if (!mem_probe_write(c, in->seg, ea, 16) || !mem_read_buf(c, in->seg, ea, old, 16))
        return false;
    bool equal = old[0] == c->st.gpr[RAX] && old[1] == c->st.gpr[RDX];
    u64 new[2] = { equal ? c->st.gpr[RBX] : old[0], equal ? c->st.gpr[RCX] : old[1] };
    if (!mem_write_buf(c, in->seg, ea, new, 16))
        return false;
    if (!equal) {
        c->st.gpr[RAX] = old[0];
        c->st.gpr[RDX] = old[1];
    }
    flags_put(&c->fl, equal ? FL_ZF : 0, FL_ZF);
    return true;
}

/* CBW CWDE CDQE by operand size. */
INSN(ONE, 98, _, _, cbw, _, _, _, _, alu, gen)
SYS(cbw)
{
    gpr_set(c, RAX, in->osz, sext(c->st.gpr[RAX], in->osz / 2));
    return true;
}

/* CWD CDQ CQO. */
INSN(ONE, 99, _, _, cwd, _, _, _, _, alu, gen)
SYS(cwd)
{
    gpr_set(c, RDX, in->osz, (u64)((i64)sext(c->st.gpr[RAX], in->osz) >> 63));
    return true;
}

INSN(ONE, D7, _, _, xlat, XL, _, _, _, load, gen)
SYS(xlat)
{
    u64 v;
    if (!mem_read(c, in->seg, zext(c->st.gpr[RBX] + (u8)c->st.gpr[RAX], in->asz), 1, &v))
        return false;
    gpr_set(c, RAX, 1, v);
    return true;
}
