// SPDX-License-Identifier: MIT
/* Port input and output. Order: permission (#GP), intercept, memory, port. [APM3 IN, OUT, INS, OUTS; APM2 15.10] */
#include "cpu/internal.h"
#include "isa/isa.h"
#include "svm/svm.h"

static bool port_allowed(struct vcpu *c, const struct svm_io *io)
{
    if (!io_check(c, io->port, io->width))
        return false;
    if (cpu_icpt(c, ICPT_IOIO_PROT) && svm_io_intercepted(c, io->port, io->width))
        return svm_io_exit(c, io);
    return true;
}

static u16 port_operand(const struct vcpu *c, const struct insn *in, unsigned i)
{
    return in->op[i].kind == OPK_IMM ? (u8)in->imm : (u16)c->st.gpr[RDX];
}

INSN(ONE, E4, _, _, in, AL Ib, END, _, body:IOIO_PROT, io, gen)
INSN(ONE, E5, _, _, in, eAX Ib, END, _, body:IOIO_PROT, io, gen)
INSN(ONE, EC, _, _, in, AL DX, END, _, body:IOIO_PROT, io, gen)
INSN(ONE, ED, _, _, in, eAX DX, END, _, body:IOIO_PROT, io, gen)
SYS(in)
{
    struct svm_io io = {.port = port_operand(c, in, 1), .width = in->op[0].size, .asz = in->asz, .in = true};
    if (!port_allowed(c, &io))
        return false;
    gpr_set(c, RAX, io.width, io_read(c, io.port, io.width));
    return true;
}

INSN(ONE, E6, _, _, out, Ib AL, END, _, body:IOIO_PROT, io, gen)
INSN(ONE, E7, _, _, out, Ib eAX, END, _, body:IOIO_PROT, io, gen)
INSN(ONE, EE, _, _, out, DX AL, END, _, body:IOIO_PROT, io, gen)
INSN(ONE, EF, _, _, out, DX eAX, END, _, body:IOIO_PROT, io, gen)
SYS(out)
{
    struct svm_io io = {.port = port_operand(c, in, 0), .width = in->op[1].size, .asz = in->asz};
    if (!port_allowed(c, &io))
        return false;
    io_write(c, io.port, io.width, zext(c->st.gpr[RAX], io.width));
    return true;
}

static bool ins_once(struct vcpu *c, const struct insn *in, const struct svm_io *io)
{
    u64 at = zext(c->st.gpr[RDI], in->asz);
    /* The port is read only when the store cannot fault. */
    if (!port_allowed(c, io) || !mem_probe_write(c, SEG_ES, at, io->width))
        return false;
    return mem_write(c, SEG_ES, at, io->width, io_read(c, io->port, io->width));
}

static bool outs_once(struct vcpu *c, const struct insn *in, const struct svm_io *io)
{
    u64 v;
    if (!port_allowed(c, io) || !mem_read(c, in->seg, zext(c->st.gpr[RSI], in->asz), io->width, &v))
        return false;
    io_write(c, io->port, io->width, v);
    return true;
}

/* One iteration, or as many as rCX says; leaves between iterations when time is up or an event waits, to be restarted. */
static bool repeat(struct vcpu *c, const struct insn *in, unsigned reg, const struct svm_io *io,
                   bool (*once)(struct vcpu *, const struct insn *, const struct svm_io *))
{
    u64 step = c->st.rflags & FL_DF ? -(u64)io->width : io->width;
    if (!io->rep) {
        if (!once(c, in, io))
            return false;
        gpr_set(c, reg, in->asz, c->st.gpr[reg] + step);
        return true;
    }
    while (zext(c->st.gpr[RCX], in->asz)) {
        if (!once(c, in, io))
            return false;
        gpr_set(c, reg, in->asz, c->st.gpr[reg] + step);
        gpr_set(c, RCX, in->asz, c->st.gpr[RCX] - 1);
        cpu_charge(c, 100 * TICKS_PER_CYCLE);
        if (zext(c->st.gpr[RCX], in->asz) && cpu_rep_leave(c, 0))
            return true;
    }
    return true;
}

static struct svm_io string_io(const struct vcpu *c, const struct insn *in, unsigned width, bool input)
{
    return (struct svm_io){.port = (u16)c->st.gpr[RDX], .width = (u8)width, .asz = in->asz, .in = input, .str = true,
                           .rep = in->pfx & (PFX_REP | PFX_REPNE), .seg = input ? SEG_ES : in->seg};
}

INSN(ONE, 6C, _, _, ins, Yb DX, REP END, _, body:IOIO_PROT, io, gen)
INSN(ONE, 6D, _, _, ins, Yz DX, REP END, _, body:IOIO_PROT, io, gen)
SYS(ins)
{
    struct svm_io io = string_io(c, in, in->op[0].size, true);
    return repeat(c, in, RDI, &io, ins_once);
}

INSN(ONE, 6E, _, _, outs, DX Xb, REP END, _, body:IOIO_PROT, io, gen)
INSN(ONE, 6F, _, _, outs, DX Xz, REP END, _, body:IOIO_PROT, io, gen)
SYS(outs)
{
    struct svm_io io = string_io(c, in, in->op[1].size, false);
    return repeat(c, in, RSI, &io, outs_once);
}
