// SPDX-License-Identifier: MIT
/* Near control transfer. 66h gives a 16-bit target in 64-bit mode too (AMD). [APM3 JMP, Jcc, CALL, RET, LOOP] */
#include "cpu/internal.h"
#include "isa/isa.h"

static bool near_target(struct vcpu *c, const struct insn *in, u64 *target)
{
    if (in->op[0].kind == OPK_REL) {
        *target = c->next_rip + in->imm;
        return true;
    }
    return op_read(c, in, 0, target);
}

INSN(ONE, 70+cc, _, _, jcc, Jb, D64 BRANCH, r:OSZPC, _, branch, gen)
INSN(0F, 80+cc, _, _, jcc, Jz, D64 BRANCH, r:OSZPC, _, branch, gen)
SYS(jcc)
{
    return !flags_cond(&c->fl, in->opcode & 15) || cpu_jump(c, c->next_rip + in->imm, in->osz);
}

INSN(ONE, E9, _, _, jmp, Jz, D64 BRANCH, _, _, branch, gen)
INSN(ONE, EB, _, _, jmp, Jb, D64 BRANCH, _, _, branch, gen)
INSN(ONE, FF, _, /4, jmp, Ev, D64 BRANCH RO, _, _, branch, gen)
SYS(jmp)
{
    u64 target;
    return near_target(c, in, &target) && cpu_jump(c, target, in->osz);
}

INSN(ONE, E8, _, _, call, Jz, D64 BRANCH, _, _, call, gen)
INSN(ONE, FF, _, /2, call, Ev, D64 BRANCH RO, _, _, call, gen)
SYS(call)
{
    u64 target, ret = c->next_rip;
    return near_target(c, in, &target) && cpu_jump(c, target, in->osz) && stack_push(c, in->osz, ret);
}

INSN(ONE, C3, _, _, ret, _, D64 BRANCH, _, _, call, gen)
INSN(ONE, C2, _, _, ret, Iw, D64 BRANCH, _, _, call, gen)
SYS(ret)
{
    u64 rsp = c->st.gpr[RSP], target;
    if (!stack_pop_at(c, &rsp, in->osz, &target) || !cpu_jump(c, target, in->osz))
        return false;
    stack_commit(c, rsp + (in->nops ? (u16)in->imm : 0));
    return true;
}

/* rCX counts in the address size and changes only if the jump does not fault. */
static bool loop_if(struct vcpu *c, const struct insn *in, bool cond)
{
    u64 n = zext(c->st.gpr[RCX] - 1, in->asz);
    if (n && cond && !cpu_jump(c, c->next_rip + in->imm, in->osz))
        return false;
    gpr_set(c, RCX, in->asz, n);
    return true;
}

INSN(ONE, E0, _, _, loopne, Jb, D64 BRANCH, r:Z, _, branch, gen)
SYS(loopne)
{
    return loop_if(c, in, !flag_zf(&c->fl));
}

INSN(ONE, E1, _, _, loope, Jb, D64 BRANCH, r:Z, _, branch, gen)
SYS(loope)
{
    return loop_if(c, in, flag_zf(&c->fl));
}

INSN(ONE, E2, _, _, loop, Jb, D64 BRANCH, _, _, branch, gen)
SYS(loop)
{
    return loop_if(c, in, true);
}

/* JCXZ, JECXZ, JRCXZ by address size */
INSN(ONE, E3, _, _, jrcxz, Jb, D64 BRANCH, _, _, branch, gen)
SYS(jrcxz)
{
    return zext(c->st.gpr[RCX], in->asz) || cpu_jump(c, c->next_rip + in->imm, in->osz);
}
