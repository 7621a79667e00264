// SPDX-License-Identifier: MIT
/* Cache control, prefetch and fences. There is no cache to be seen, so what remains are faults, intercepts and CLZERO's stores. */
#include "cpu/internal.h"
#include "isa/isa.h"

INSN(0F, 08, _, _, invd, _, CPL0 END, _, INVD, cache, gen)
SYS(invd) { return (void)c, (void)in, true; }

INSN(0F, 09, _, _, wbinvd, _, CPL0 END, _, WBINVD, cache, gen)
SYS(wbinvd) { return (void)c, (void)in, true; }

INSN(0F, 09, F3, _, wbnoinvd, _, CPL0 END F:WBNOINVD, _, WBINVD, cache, gen)
SYS(wbnoinvd) { return (void)c, (void)in, true; }

/* A line flush faults as a one-byte read. */
static bool flush_line(struct vcpu *c, const struct insn *in)
{
    u64 lin;
    return seg_linear(c, in->seg, op_ea(c, in), 1, ACC_R, &lin) && lin_probe(c, lin, 1, ACC_R);
}

INSN(0F, AE, NP, /7m, clflush, Mb, F:CLFSH, _, _, cache, gen)
SYS(clflush) { return flush_line(c, in); }
INSN(0F, AE, 66, /7m, clflushopt, Mb, F:CLFLUSHOPT, _, _, cache, gen)
SYS(clflushopt) { return flush_line(c, in); }
INSN(0F, AE, 66, /6m, clwb, Mb, F:CLWB, _, _, cache, gen)
SYS(clwb) { return flush_line(c, in); }

/* Zeroes the 64-byte line that rAX points into. */
INSN(0F, 01, _, =FC, clzero, _, F:CLZERO, _, _, cache, gen)
SYS(clzero)
{
    static const u8 zero[64];
    return mem_write_buf(c, in->seg, zext(c->st.gpr[RAX], in->asz) & ~63ull, zero, sizeof zero);
}

INSN(0F, 18, _, /0m, prefetchnta, Mb, _, _, _, nop, gen)
SYS(prefetchnta) { return (void)c, (void)in, true; }
INSN(0F, 18, _, /1m, prefetcht0, Mb, _, _, _, nop, gen)
SYS(prefetcht0) { return (void)c, (void)in, true; }
INSN(0F, 18, _, /2m, prefetcht1, Mb, _, _, _, nop, gen)
SYS(prefetcht1) { return (void)c, (void)in, true; }
INSN(0F, 18, _, /3m, prefetcht2, Mb, _, _, _, nop, gen)
SYS(prefetcht2) { return (void)c, (void)in, true; }

/* 0F 0D: every /digit with memory is a prefetch; only 1 and 3 prefetch for writing. */
INSN(0F, 0D, _, /0m, prefetch, Mb, _, _, _, nop, gen)
INSN(0F, 0D, _, /2m, prefetch, Mb, _, _, _, nop, gen)
INSN(0F, 0D, _, /4m, prefetch, Mb, _, _, _, nop, gen)
INSN(0F, 0D, _, /5m, prefetch, Mb, _, _, _, nop, gen)
INSN(0F, 0D, _, /6m, prefetch, Mb, _, _, _, nop, gen)
INSN(0F, 0D, _, /7m, prefetch, Mb, _, _, _, nop, gen)
SYS(prefetch) { return (void)c, (void)in, true; }
INSN(0F, 0D, _, /1m, prefetchw, Mb, _, _, _, nop, gen)
INSN(0F, 0D, _, /3m, prefetchw, Mb, _, _, _, nop, gen)
SYS(prefetchw) { return (void)c, (void)in, true; }

/* Execution is in order: nothing to wait for. */
INSN(0F, AE, NP, /5r, lfence, _, F:SSE2, _, _, fence, gen)
SYS(lfence) { return (void)c, (void)in, true; }
INSN(0F, AE, NP, /6r, mfence, _, F:SSE2, _, _, fence, gen)
SYS(mfence) { return (void)c, (void)in, true; }
INSN(0F, AE, NP, /7r, sfence, _, F:SSE, _, _, fence, gen)
SYS(sfence) { return (void)c, (void)in, true; }
