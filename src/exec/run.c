// SPDX-License-Identifier: MIT
/* The outer loop: slices, the decision point between instructions, entering blocks, running single instructions. */
#include "exec/private.h"
#include "mmu/memtype.h"
#include "svm/svm.h"
#include "timing/cost.h"

/* Slices are bounded so that the packed instruction count cannot overflow its 24 bits, one of them the sign. */
#define SLICE_MAX_TICKS ((1ull << 22) * TIMING_MIN_TICKS)

/* A slice that is overdrawn stays so: a debt forgotten here would come back as time when a REP takes back its start-up cost. */
void exec_fold(struct vcpu *c)
{
    struct exec_cpu *x = c->exec;
    i64 now = c->budget;
    /* the count is signed: a REP that goes on later takes back what an access to a device has folded already */
    i64 insns = (i64)((u64)now << (64 - BUDGET_SHIFT)) >> (64 - BUDGET_SHIFT), left = (now - insns) >> BUDGET_SHIFT;
    c->ticks += (u64)(x->slice_ticks - left);
    c->insns += (u64)insns;
    x->slice_ticks = left;
    c->budget = now - insns;
    c->clock->now = c->ticks;
}

static void begin_slice(struct vcpu *c, u64 ticks, u64 deadline)
{
    c->exec->slice_ticks = (i64)ticks;
    c->budget = (i64)(ticks << BUDGET_SHIFT);
    c->slack = (i64)(deadline - ticks);
}

static void wake(struct vcpu *c)
{
    if (c->st.activity == ACT_MWAIT)
        c->st.monitor_addr = ~0ull;
    if (c->st.activity == ACT_HLT || c->st.activity == ACT_MWAIT)
        c->st.activity = ACT_RUN;
}

static void do_event_exit(struct vcpu *c, u64 code)
{
    cpu_exit_event(c, code, 0, 0);
    exec_deliver(c);
}

static bool take_init(struct vcpu *c)
{
    if (!c->st.gif)
        return false;
    if (cpu_icpt(c, ICPT_INIT)) {
        wake(c);
        do_event_exit(c, VMEXIT_INIT);
        return true;
    }
    c->pending &= ~(unsigned)PEND_INIT;
    if (c->st.vm_cr & 2) { /* R_INIT: #SX, error code 1 [APM2 15.28] */
        wake(c);
        cpu_raise_err(c, EXC_SX, 1);
        exec_deliver(c);
        return true;
    }
    tell_kind(c, EV_INIT);
    bool bsp = c->st.apic_base & 0x100;
    svm_reset(c);
    cpu_reset(c, true);
    if (c->ops && c->ops->init_taken)
        c->ops->init_taken(c->ops->ctx, c->index);
    c->st.activity = bsp ? ACT_RUN : ACT_WAIT_SIPI;
    c->attn |= ATTN_MODE;
    return true;
}

static bool take_sipi(struct vcpu *c)
{
    c->pending &= ~(unsigned)PEND_SIPI;
    if (c->st.activity != ACT_WAIT_SIPI)
        return false;
    tell_event(c, &(struct event){ .kind = EV_SIPI, .vec = c->sipi_vector });
    c->st.activity = ACT_RUN;
    seg_load_real(c, SEG_CS, (u16)(c->sipi_vector << 8));
    c->st.rip = 0;
    cpu_update_mode(c);
    return true;
}

/* MOV SS and POP SS hold a debug trap over the next instruction, as they hold interrupts and NMIs [APM2 8.5]. */
static bool take_trap(struct vcpu *c)
{
    if (c->st.shadow_ss)
        return false;
    wake(c);
    c->pending &= ~(unsigned)PEND_TRAP;
    c->ev = (struct event){ .kind = EV_TRAP, .vec = EXC_DB, .dr6 = c->trap_dr6 };
    c->trap_dr6 = 0;
    c->next_rip = c->st.rip;
    exec_deliver(c);
    return true;
}

static bool take_nmi(struct vcpu *c)
{
    if (!c->st.gif || c->st.nmi_blocked || c->st.shadow_ss)
        return false;
    wake(c);
    if (cpu_icpt(c, ICPT_NMI)) {
        do_event_exit(c, VMEXIT_NMI);
        return true;
    }
    c->pending &= ~(unsigned)PEND_NMI;
    c->st.nmi_blocked = true;
    c->ev = (struct event){ .kind = EV_NMI, .vec = EXC_NMI };
    exec_deliver(c);
    return true;
}

static bool take_vnmi(struct vcpu *c) /* [APM2 15.21.10] */
{
    if (!c->st.gif || c->st.shadow || !svm_vnmi_due(c))
        return false;
    wake(c);
    svm_vnmi_take(c);
    c->ev = (struct event){ .kind = EV_NMI, .vec = EXC_NMI };
    exec_deliver(c);
    return true;
}

/* Held while GIF is clear. A second one before software cleared MCIP, or one without CR4.MCE, is a shutdown. [APM2 9.3.2, 15.17] */
static bool take_mc(struct vcpu *c)
{
    if (!c->st.gif)
        return false;
    wake(c);
    c->pending &= ~(unsigned)PEND_MC;
    bool again = c->st.mcg_status & MCG_MCIP, always = svm_mc_always_exits(c);
    c->st.mcg_status |= MCG_MCIP | MCG_RIPV;
    if (always) {
        do_event_exit(c, VMEXIT_EXCP0 + EXC_MC);
    } else if (again || !(c->st.cr4 & CR4_MCE)) {
        c->exec->nchain = 0;
        exec_shutdown(c);
    } else {
        cpu_raise(c, EXC_MC);
        exec_deliver(c);
    }
    return true;
}

static bool take_intr(struct vcpu *c)
{
    if (!c->st.gif || c->st.shadow)
        return false;
    if (!intr_enabled(c)) {
        if (c->st.activity == ACT_MWAIT && c->st.mwait_masked)
            wake(c);
        return false;
    }
    wake(c);
    if (cpu_icpt(c, ICPT_INTR)) {
        do_event_exit(c, VMEXIT_INTR);
        return true;
    }
    int vec = c->ops->ack_intr(c->ops->ctx, c->index);
    if (vec < 0)
        return false;
    c->stat_irqs++;
    c->ev = (struct event){ .kind = EV_INTR, .vec = (u8)vec };
    exec_deliver(c);
    return true;
}

static bool take_vintr(struct vcpu *c)
{
    int vec;
    if (!c->guest || !c->st.gif || c->st.shadow || !(c->st.rflags & FL_IF) || !svm_vintr_due(c))
        return false;
    wake(c);
    if (cpu_icpt(c, ICPT_VINTR)) {
        do_event_exit(c, VMEXIT_VINTR);
        return true;
    }
    vec = svm_vintr_take(c);
    c->ev = (struct event){ .kind = EV_INTR, .vec = (u8)vec };
    exec_deliver(c);
    return true;
}

/* Trap-like exits belong to the instruction that has just completed, before anything else at this boundary [APM2 15.29.9]. */
static bool take_xtrap(struct vcpu *c)
{
    c->pending &= ~(unsigned)PEND_XTRAP;
    c->vx = c->svm->avic.trap;
    c->ev = (struct event){ .kind = EV_VMEXIT };
    exec_deliver(c);
    return true;
}

static bool take_smi(struct vcpu *c)
{
    if (!c->st.gif)
        return false;
    wake(c);
    if (cpu_icpt(c, ICPT_SMI) && !(c->st.hwcr & 1)) {
        cpu_exit_event(c, VMEXIT_SMI, 1, 0); /* SMISRC: external, the only kind there is [APM2 15.13.3] */
        exec_deliver(c);
        return true;
    }
    c->pending &= ~(unsigned)PEND_SMI;
    diag_emit(c->diag, DIAG_ERROR, "smm.unimplemented", c->index, c->st.rip, c->insns, "APM2 10",
              "an SMI arrived and nothing intercepts it: system-management mode is not built yet");
    cpu_stop(c, 2);
    return true;
}

/* Priority at an instruction boundary, highest first [APM2 8.5]: the first row whose event is due and not held wins.
 * One look at what is pending. True when something was taken (state changed); c->ev may hold EV_STOP. */
static bool decide(struct vcpu *c)
{
    static const struct {
        u32 bit;
        bool (*take)(struct vcpu *c);
        bool waiting; /* may be taken while waiting for SIPI */
    } order[] = {
        { PEND_XTRAP, take_xtrap, false }, { PEND_MC, take_mc, false }, { PEND_INIT, take_init, true }, { PEND_SIPI, take_sipi, true }, { PEND_SMI, take_smi, false },
        { PEND_TRAP, take_trap, false }, { PEND_NMI, take_nmi, false }, { PEND_VNMI, take_vnmi, false },
        { PEND_INTR, take_intr, false }, { PEND_VINTR, take_vintr, false },
    };
    for (unsigned i = 0; i < ARRAY_LEN(order); i++)
        if ((c->pending & order[i].bit) && (order[i].waiting || c->st.activity != ACT_WAIT_SIPI) && order[i].take(c))
            return true;
    return false;
}

/* Bytes from RIP on that are code at all: up to the limit of CS, or to the end of the canonical range. What lies beyond is not fetched; an
 * instruction that wants more is #GP. [APM2 4.12, 5.3.1] */
static unsigned code_room(const struct vcpu *c, u64 lin)
{
    u64 left = cpu_code64(c) ? (lin >> 63 ? 0 : BIT(c->st.cr4 & CR4_LA57 ? 56 : 47)) - lin - 1 : c->st.seg[SEG_CS].limit - c->st.rip;
    return left < INSN_MAX_LEN ? (unsigned)left + 1 : INSN_MAX_LEN;
}

static enum dec_status fetch_decode(struct vcpu *c, struct insn *in, struct mmu_fault *f, bool *faulted)
{
    u64 lin = cpu_code_lin(c, c->st.rip);
    unsigned have = 0, room, max = code_room(c, lin);
    struct mmu_xl xl;
    *faulted = false;
    for (;;) {
        if (!mmu_translate(&c->mmu, (struct gva){ lin + have }, ACC_X, &xl, f)) {
            if (c->exec->fetch_refs)
                c->mmu.walk_refs = c->exec->fetch_refs;
            *faulted = true;
            return DEC_SHORT;
        }
        room = PAGE_SIZE - ((lin + have) & PAGE_MASK);
        if (room > max - have)
            room = max - have;
        if (xl.host)
            memcpy(c->cur_bytes + have, xl.host, room);
        else /* fetches from pages without host memory go byte-wise over the bus */
            phys_read(&c->view, xl.spa, c->cur_bytes + have, room);
        have += room;
        enum dec_status s = decode_insn(c->cur_bytes, have, cpu_mode(c), c->features, in);
        if (s != DEC_SHORT || have >= max)
            return s;
    }
}

/* Instruction breakpoints [APM2 13.1.1.5]; a match is a fault before the instruction. */
static bool insn_breakpoint(struct vcpu *c)
{
    u64 hit = 0, lin = cpu_code_lin(c, c->st.rip);
    if (!(c->st.dr7 & 0xFF) || (c->st.rflags & FL_RF) || !c->st.gif || c->st.shadow_ss)
        return false;
    for (unsigned i = 0; i < 4; i++)
        if ((c->st.dr7 >> (2 * i) & 3) && !(c->st.dr7 >> (16 + 4 * i) & 3) && c->st.dr[i] == lin)
            hit |= 1u << i;
    if (!hit)
        return false;
    cpu_raise_db_fault(c, hit);
    return true;
}

/* Branches taken, for DEBUGCTL.LBR and BTF. A conditional one to the next instruction counts as not taken. */
static bool branched(const struct vcpu *c, const struct insn *in, u64 next)
{
    bool always = in->op[0].kind == OPK_REL && (in->opcode == 0xE8 || in->opcode == 0xE9 || in->opcode == 0xEB); /* CALL, JMP */
    return c->next_rip != next || always;
}

/* Bus locks: a locked access that is split over two cache lines or not write-back memory [APM2 15.14.5]. A fault comes first. */
static COLD bool bus_lock(struct vcpu *c, const struct insn *in)
{
    const struct operand *o = NULL;
    struct mmu_xl xl;
    struct mmu_fault f;
    u64 lin;
    for (unsigned i = 0; i < in->nops; i++)
        if (in->op[i].kind == OPK_MEM)
            o = &in->op[i];
    const char *name = isa_rows[in->row].name;
    if (!o || !((in->pfx & PFX_LOCK) || !strcmp(name, "xchg")))
        return false;
    unsigned size = o->size ? o->size : 8;
    bool bit_string = name[0] == 'b' && name[1] == 't' && in->op[1].kind == OPK_GPR; /* BTS, BTR, BTC */
    u64 ea = bit_string ? op_bit_ea(c, in, gpr_get(c, in->op[1].reg, in->op[1].size)) : op_ea(c, in);
    if (!seg_linear(c, in->seg, ea, size, ACC_W, &lin) || (size == 16 && (lin & 15)) || !lin_probe(c, lin, size, ACC_W) ||
        !mmu_translate(&c->mmu, (struct gva){ lin }, ACC_W, &xl, &f)) {
        c->ev.kind = EV_NONE;
        return false;
    }
    return (lin & 63) + size > 64 || cpu_memtype(c, &xl) != MEMTYPE_WB;
}

static COLD void tell_insn(struct exec *e, struct vcpu *c)
{
    exec_fold(c);
    cpu_sync(c);
    e->hooks.insn(e->hooks.ctx, c);
}

/* Runs one instruction by itself, decoded if known: page-crossing code, MMIO code, slice ends, TF, breakpoints, interrupt shadows. */
static void step(struct exec *e, struct vcpu *c, const struct insn *known)
{
    struct insn in;
    struct mmu_fault f;
    bool faulted, tf = c->st.rflags & FL_TF, shadow = c->st.shadow, shadow_ss = c->st.shadow_ss, guest = c->guest, ok;
    u64 rip = c->st.rip, trap_dr6;
    u32 trap;
    e->st.steps++;
    if (UNLIKELY(c->exec->tells_insns))
        tell_insn(e, c);
    c->next_rip = rip;
    if (insn_breakpoint(c)) {
        c->budget -= ((i64)TIMING_MIN_TICKS << BUDGET_SHIFT) - 1; /* counts as an attempt, or a handler under its own breakpoint never ends */
        return;
    }
    enum dec_status s;
    if (cpu_code64(c) ? !cpu_canonical(c, rip) : rip > c->st.seg[SEG_CS].limit) {
        cpu_raise_err(c, EXC_GP, 0);
        s = DEC_UD;
    } else {
        if (known) {
            in = *known;
            s = DEC_OK;
        } else {
            s = fetch_decode(c, &in, &f, &faulted);
        }
        if (s == DEC_OK && !cpu_code64(c) && rip + in.len - 1 > c->st.seg[SEG_CS].limit)
            s = DEC_TOOLONG;
        if (s == DEC_SHORT && faulted) {
            cpu_raise_pf(c, &f);
            c->vx.bytes_valid = false; /* [APM2 15.8.4] */
            c->ev.fetch = true;
        } else if (s == DEC_SHORT || s == DEC_TOOLONG)
            cpu_raise_err(c, EXC_GP, 0);
        else if (s == DEC_UD)
            cpu_raise(c, EXC_UD);
    }
    charge_walks(c);
    u32 cost = s == DEC_OK ? timing_insn_ticks(&in) : TIMING_MIN_TICKS;
    c->budget -= ((i64)cost << BUDGET_SHIFT) - 1;
    if (s != DEC_OK)
        return;
    c->next_rip = rip_after(c, rip, in.len);
    c->st.shadow = c->st.shadow_ss = false;
    c->keep_rf = c->new_tf = false; /* of one that ended a block */
    trap = c->pending & PEND_TRAP;
    trap_dr6 = c->trap_dr6;
    c->cur = &in;
    if (cpu_icpt(c, ICPT_BUSLOCK) && bus_lock(c, &in) && svm_bus_lock_exits(c))
        ok = cpu_exit_event(c, VMEXIT_BUSLOCK, 0, 0);
    else
        ok = exec_insn_generic(c, &in);
    c->cur = NULL;
    charge_walks(c);
    if (!ok) {
        if (c->guest == guest) { /* the shadow still covers the instruction if it is restarted */
            c->st.shadow = shadow;
            c->st.shadow_ss = shadow_ss;
            /* Data breakpoints are traps: those of an instruction that did not complete are met again. [APM2 13.1.4] */
            c->trap_dr6 = trap_dr6;
            c->pending = (c->pending & ~(u32)PEND_TRAP) | trap;
        }
        return;
    }
    bool unfinished = c->rep_unfinished;
    if (unfinished) {
        c->rep_unfinished = false;
        c->budget += ((i64)cost << BUDGET_SHIFT) - 1;
        c->st.shadow = shadow;
    }
    c->st.rip = c->next_rip;
    if (c->guest != guest)
        return; /* a world switch: flags, shadow and traps are the new side's */
    if (c->st.rflags & FL_RF && !c->keep_rf && !unfinished)
        c->st.rflags &= ~(u64)FL_RF;
    bool taken = (c->st.debugctl & (DEBUGCTL_LBR | DEBUGCTL_BTF)) && !unfinished && branched(c, &in, rip_after(c, rip, in.len));
    if (taken && (c->st.debugctl & DEBUGCTL_LBR)) {
        c->st.br_from = rip;
        c->st.br_to = c->next_rip;
    }
    if (tf && !c->new_tf && (taken || !(c->st.debugctl & DEBUGCTL_BTF))) { /* TF as it was before the instruction [APM2 13.1.4] */
        cpu_step_trap(c);
    }
}

void exec_set_hooks(struct exec *e, const struct exec_hooks *hooks)
{
    e->hooks = *hooks;
    for (unsigned i = 0; i < e->nvcpu; i++) {
        e->vcpu[i]->exec->tells_insns = hooks->insn != NULL;
        e->vcpu[i]->exec->tells_events = hooks->event != NULL;
        e->vcpu[i]->attn |= ATTN_MODE;
    }
}

static void run_ops(struct vcpu *c, const struct op *op, i64 charge, u64 page)
{
    c->budget -= charge;
    c->st.gpr[GPR_PAGE] = page;
    c->exec->e->st.entries++;
#if SVMEMU_DISPATCH_TAIL
    op->fn(c, op, c->mmu.fast);
#else
    while (op)
        op = op->fn(c, op, c->mmu.fast);
#endif
}

/* Fetch translation of a linear address; the pages last used are remembered. False: it faults, step() raises it. */
static bool fetch_translate(struct vcpu *c, u64 lin, struct mmu_xl *out)
{
    u64 page = lin & ~(u64)PAGE_MASK;
    struct fetch_entry *e = &c->exec->fetch[(page >> PAGE_SHIFT ^ c->mmu.ctx_id) % FETCH_ENTRIES];
    struct mmu_fault f;
    if (e->page != page || e->ctx != c->mmu.ctx_id || !e->xl.host) {
        e->xl.host = NULL;
        if (!mmu_translate(&c->mmu, (struct gva){ page }, ACC_X, &e->xl, &f))
            return false;
        e->page = page;
        e->ctx = c->mmu.ctx_id;
    }
    *out = e->xl;
    if (out->host)
        out->host += lin & PAGE_MASK;
    return true;
}

/* One instruction or one run of blocks. A block is entered only if its whole cost fits. */
static void advance(struct exec *e, struct vcpu *c)
{
    struct mmu_xl xl;
    u32 id = BLOCK_NONE;
    if (c->attn & ATTN_MODE || c->exec->mode == 0)
        c->exec->mode = exec_mode_key(c);
    c->attn = 0;
    bool alone = (c->exec->mode & MODEKEY_ALONE) || (c->st.rflags & FL_TF) || (c->st.dr7 & 0xFF);
    bool single = c->st.shadow || (c->st.rflags & FL_RF); /* both go after the one instruction */
    if (!(alone | single)) {
        const struct jump_entry *j = jump_find(c, c->st.rip);
        if (j && j->op->fn != op_dropped && j->charge >> BUDGET_SHIFT < c->budget >> BUDGET_SHIFT) {
            run_ops(c, j->op, j->charge, j->page);
            return;
        }
    }
    if (!alone) {
        u64 lin = cpu_code_lin(c, c->st.rip);
        if ((cpu_code64(c) ? cpu_canonical(c, lin) : c->st.rip <= c->st.seg[SEG_CS].limit) &&
            fetch_translate(c, lin, &xl))
            id = block_find_or_make(e, c, &xl, c->st.rip);
        else {
            c->exec->fetch_refs = c->mmu.walk_refs;
            c->mmu.walk_refs = 0;
        }
        charge_walks(c);
    }
    if (id == BLOCK_NONE) {
        step(e, c, NULL);
        c->exec->fetch_refs = 0;
        return;
    }
    const struct block *b = &e->blocks[id];
    if (single && b->quiet && !c->st.shadow) {
        c->st.rflags &= ~(u64)FL_RF;
        single = false;
    }
    if (single || b->charge >> BUDGET_SHIFT >= c->budget >> BUDGET_SHIFT) {
        step(e, c, &e->slots[b->first].in);
        return;
    }
    u64 page = c->st.rip - b->off;
    if (c->exec->mode & MODEKEY_FLAT_CS) /* else limit and wrap are checked at entry */
        jump_enter(c, b, &e->ops[b->first], page);
    run_ops(c, &e->ops[b->first], b->charge, page);
}

static bool halted(const struct vcpu *c)
{
    return c->st.activity != ACT_RUN;
}

enum exec_stop exec_run_vcpu(struct exec *e, struct vcpu *c, u64 until_ticks, u64 max_insns)
{
    u64 first = c->insns;
    enum exec_stop why;
    c->attn |= ATTN_MODE;
    begin_slice(c, 0, 0);
    for (;;) {
        exec_fold(c);
        u64 done = c->insns - first;
        why = EXEC_LIMIT;
        if (done >= max_insns)
            break;
        why = EXEC_SLICE;
        if (c->ticks >= until_ticks)
            break;
        if (c->pending & PEND_STOP) {
            c->pending &= ~(unsigned)PEND_STOP;
            why = EXEC_YIELD;
            break;
        }
        u64 room = until_ticks - c->ticks, cap = max_insns - done;
        cap = cap > SLICE_MAX_TICKS / TIMING_MIN_TICKS ? SLICE_MAX_TICKS : cap * TIMING_MIN_TICKS;
        begin_slice(c, room < cap ? room : cap, room);
        if (c->st.activity == ACT_SHUTDOWN) {
            why = EXEC_SHUTDOWN;
            break;
        }
        if (UNLIKELY(c->pending)) {
            bool took = decide(c);
            if (c->ev.kind == EV_STOP) {
                why = EXEC_STOP;
                break;
            }
            if (took)
                continue;
        }
        why = EXEC_HALTED;
        if (halted(c))
            break;
        do {
            advance(e, c);
            if (c->ev.kind == EV_STOP)
                break;
            if (c->ev.kind)
                exec_deliver(c);
        } while (!event_due(c) && !halted(c) && c->budget >> BUDGET_SHIFT > 0);
        if (c->ev.kind == EV_STOP) {
            why = EXEC_STOP;
            break;
        }
    }
    if (why == EXEC_STOP)
        c->stop_reason = c->ev.err;
    c->ev.kind = EV_NONE;
    exec_fold(c);
    cpu_sync(c);
    return why;
}
