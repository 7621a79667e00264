// SPDX-License-Identifier: MIT
/* Delivery of what a body or the decision point recorded in vcpu.ev: intercepts, double faults, IDT, #VMEXIT [APM2 8.1-8.9, 15.7, 15.12]. */
#include "cpu/internal.h"
#include "exec/private.h"
#include "svm/svm.h"
#include <stdio.h>

/* ---- classes of exceptions and double faults [APM2 8.2.9] ---- */

enum fault_class { BENIGN, CONTRIBUTORY, PAGE_FAULT };

static enum fault_class class_of(unsigned vec)
{
    switch (vec) {
    case EXC_DE: case EXC_TS: case EXC_NP: case EXC_SS: case EXC_GP: case EXC_CP: case EXC_VC: case EXC_SX: return CONTRIBUTORY;
    case EXC_PF: return PAGE_FAULT;
    default: return BENIGN;
    }
}

static bool makes_double_fault(unsigned first, unsigned second)
{
    enum fault_class a = class_of(first), b = class_of(second);
    return (a == CONTRIBUTORY && b == CONTRIBUTORY) || (a == PAGE_FAULT && b != BENIGN);
}

static bool is_exception(const struct event *ev)
{
    return ev->kind == EV_FAULT || ev->kind == EV_TRAP;
}

/* ---- pushing frames ---- */

struct frame {
    struct vcpu *c;
    u64 base, rsp, mask; /* stack segment base, pointer, pointer mask */
    unsigned width, acc;
    u8 *host; /* of the place of the value pushed last, where the whole frame is plain memory */
};

static u64 frame_lin(const struct frame *f, u64 rsp)
{
    u64 lin = f->base + (rsp & f->mask);
    return f->width == 8 ? lin : (u32)lin;
}

/* Probes the room for n values, so that nothing is written if any push would fault. */
static bool frame_probe(struct frame *f, unsigned n, const struct seg *ss, u32 ext, bool outer, u16 sel)
{
    u64 low = (f->rsp - (u64)n * f->width) & f->mask;
    if (f->width == 8) {
        if (!cpu_canonical(f->c, low) || !cpu_canonical(f->c, f->rsp - 1))
            return cpu_raise_err(f->c, EXC_SS, (outer ? sel & 0xFFFCu : 0) | ext);
    } else {
        u64 high = low + (u64)n * f->width - 1;
        bool down = (ss->attr & 0xC) == 4;
        u64 top = ss->attr & ATTR_DB ? 0xFFFFFFFF : 0xFFFF;
        if (down ? low <= ss->limit || high > top : high > ss->limit || high > f->mask)
            return cpu_raise_err(f->c, EXC_SS, (outer ? sel & 0xFFFCu : 0) | ext);
    }
    u8 *host = lin_view(f->c, frame_lin(f, low), n * f->width, ACC_W | f->acc);
    f->host = host ? host + n * f->width : NULL;
    return host || lin_probe(f->c, frame_lin(f, low), n * f->width, ACC_W | f->acc);
}

static bool frame_push(struct frame *f, u64 v)
{
    f->rsp = (f->rsp & ~f->mask) | ((f->rsp - f->width) & f->mask);
    if (f->host) {
        f->host -= f->width;
        store_le(f->host, f->width, v);
        return true;
    }
    return lin_write(f->c, frame_lin(f, f->rsp), f->width, ACC_W | f->acc, v);
}

static u64 pushed_flags(const struct vcpu *c, const struct event *ev)
{
    u64 fl = cpu_rflags(c);
    if (ev->kind == EV_FAULT)
        fl |= FL_RF; /* so that the restarted instruction does not hit its breakpoint again */
    return fl;
}

static u64 return_rip(const struct vcpu *c, const struct event *ev)
{
    return ev->kind == EV_TRAP || ev->kind == EV_SOFT ? c->next_rip : c->st.rip;
}

/* ---- real mode and virtual-8086 redirection: the IVT ---- */

static bool deliver_ivt(struct vcpu *c, const struct event *ev, u64 table, u64 flags)
{
    u64 off, sel;
    unsigned acc = table ? ACC_R : ACC_R | ACC_SYS;
    if (!lin_read(c, table + ev->vec * 4u, 2, acc, &off) || !lin_read(c, table + ev->vec * 4u + 2, 2, acc, &sel))
        return false;
    u64 rsp = c->st.gpr[RSP];
    if (!stack_push_at(c, &rsp, 2, flags) || !stack_push_at(c, &rsp, 2, c->st.seg[SEG_CS].sel) ||
        !stack_push_at(c, &rsp, 2, return_rip(c, ev)))
        return false;
    stack_commit(c, rsp);
    seg_load_real(c, SEG_CS, (u16)sel);
    c->st.rip = off;
    cpu_update_mode(c);
    return true;
}

static bool deliver_real(struct vcpu *c, const struct event *ev)
{
    if (ev->vec * 4u + 3 > c->st.idtr.limit)
        return cpu_raise_err(c, EXC_GP, ev->vec * 8u + 2);
    if (!deliver_ivt(c, ev, c->st.idtr.base, cpu_rflags(c) & 0xFFFF))
        return false;
    cpu_set_rflags(c, cpu_rflags(c) & ~(u64)(FL_IF | FL_TF | FL_AC | FL_RF));
    return true;
}

/* INT n in virtual-8086 mode with CR4.VME: the TSS's redirection bitmap [APM2 8.9.4]. 1 delivered, 0 not redirected, -1 fault. */
static int vme_redirect(struct vcpu *c, const struct event *ev)
{
    u64 map, byte;
    const struct seg *tr = &c->st.seg[SEG_TR];
    if (ev->kind != EV_SOFT || !cpu_vm86(c) || !(c->st.cr4 & CR4_VME))
        return 0;
    if (!lin_read(c, tr->base + 0x66, 2, ACC_R | ACC_SYS, &map))
        return -1;
    map = map + ev->vec / 8u - 32;
    if (map > tr->limit || !lin_read(c, tr->base + map, 1, ACC_R | ACC_SYS, &byte))
        return map > tr->limit ? 0 : -1;
    if (byte >> (ev->vec & 7) & 1)
        return 0;
    u64 fl = cpu_rflags(c), img = fl & 0xFFFF;
    bool virt = cpu_iopl(c) < 3;
    if (virt) /* IF is VIF, IOPL shows as 3 */
        img = (img & ~(u64)FL_IF) | (fl & FL_VIF ? FL_IF : 0) | FL_IOPL;
    if (!deliver_ivt(c, ev, 0, img))
        return -1;
    fl &= ~(u64)(FL_TF | FL_RF | FL_NT);
    cpu_set_rflags(c, virt ? fl & ~(u64)FL_VIF : fl & ~(u64)FL_IF);
    return 1;
}

/* ---- protected and long mode: the IDT ---- */

struct gate {
    u16 sel;
    u8 type, ist;
    u64 off;
    bool trap;
};

static u32 idt_err(const struct event *ev)
{
    return ev->vec * 8u + 2 + (ev->kind == EV_SOFT || (ev->kind == EV_TRAP && ev->vec != EXC_DB) ? 0 : 1);
}

static bool read_gate(struct vcpu *c, const struct event *ev, struct gate *g)
{
    bool lm = cpu_long(c);
    unsigned size = lm ? 16 : 8;
    u64 lo, hi = 0, at = c->st.idtr.base + (u64)ev->vec * size;
    u32 err = idt_err(ev);
    if ((u64)ev->vec * size + size - 1 > c->st.idtr.limit)
        return cpu_raise_err(c, EXC_GP, err);
    const u8 *host = lm ? lin_view(c, at, 16, ACC_R | ACC_SYS) : NULL;
    if (host) {
        lo = load_le(host, 8);
        hi = load_le(host + 8, 8);
    } else if (!lin_read(c, at, 8, ACC_R | ACC_SYS, &lo) || (lm && !lin_read(c, at + 8, 8, ACC_R | ACC_SYS, &hi))) {
        return false;
    }
    unsigned attr = lo >> 40 & 0xFF;
    g->sel = (u16)(lo >> 16);
    g->type = attr & 0x1F;
    g->ist = lo >> 32 & 7;
    g->trap = g->type & 1;
    g->off = (lo & 0xFFFF) | (lo >> 48 & 0xFFFF) << 16 | (lm ? hi << 32 : 0);
    bool ok = g->type == 14 || g->type == 15 || (!lm && (g->type == 5 || g->type == 6 || g->type == 7));
    if (!ok)
        return cpu_raise_err(c, EXC_GP, err);
    bool soft = ev->kind == EV_SOFT || (ev->kind == EV_TRAP && ev->vec != EXC_DB && !ev->soft_priv);
    if (soft && (attr >> 5 & 3) < c->st.cpl)
        return cpu_raise_err(c, EXC_GP, err);
    if (!(attr & 0x80))
        return cpu_raise_err(c, EXC_NP, err);
    return true;
}

/* Errors of a step of the delivery: EXT says that the program did not ask for the event [APM2 8.4.1]. */
static bool with_ext(struct vcpu *c, u32 ext, bool ok)
{
    if (!ok && c->ev.kind == EV_FAULT && c->ev.vec >= EXC_TS && c->ev.vec <= EXC_GP)
        c->ev.err |= ext;
    return ok;
}

static bool deliver_task_gate(struct vcpu *c, const struct event *ev, const struct gate *g)
{
    u64 rf = c->st.rflags & FL_RF;
    u16 old = c->st.seg[SEG_TR].sel;
    if (ev->kind != EV_SOFT && ev->kind != EV_TRAP)
        c->next_rip = c->st.rip; /* the outgoing task restarts the instruction */
    if (ev->kind == EV_FAULT)
        c->st.rflags |= FL_RF; /* in the outgoing TSS, as in a pushed image */
    bool ok = with_ext(c, idt_err(ev) & 1, task_gate(c, g->sel, TASK_INT, ev->has_err, ev->err));
    if (!ok && c->st.seg[SEG_TR].sel == old)
        c->st.rflags = (c->st.rflags & ~(u64)FL_RF) | rf;
    return ok;
}

/* The stack of a more privileged level from the TSS, or an IST stack. */
static bool inner_stack(struct vcpu *c, const struct gate *g, unsigned dpl, struct seg *ss, u64 *rsp)
{
    u16 sel;
    if (cpu_long(c)) {
        *ss = (struct seg){ .sel = (u16)dpl };
        return g->ist ? tss_ist(c, g->ist, rsp) : tss_stack(c, dpl, &sel, rsp);
    }
    if (!tss_stack(c, dpl, &sel, rsp))
        return false;
    return sel_null(sel) ? cpu_raise_err(c, EXC_TS, 0) : stack_seg_check(c, sel, dpl, EXC_TS, ss);
}

static void null_data_segments(struct vcpu *c)
{
    static const u8 which[] = { SEG_GS, SEG_FS, SEG_DS, SEG_ES };
    for (unsigned i = 0; i < 4; i++)
        c->st.seg[which[i]] = (struct seg){ 0 };
}

static bool push_frame(struct vcpu *c, const struct event *ev, struct frame *f, bool outer, bool v86)
{
    static const u8 order[] = { SEG_GS, SEG_FS, SEG_DS, SEG_ES };
    bool ok = true;
    for (unsigned i = 0; v86 && i < 4; i++)
        ok = ok && frame_push(f, c->st.seg[order[i]].sel);
    if (outer || f->width == 8) {
        ok = ok && frame_push(f, c->st.seg[SEG_SS].sel);
        ok = ok && frame_push(f, c->st.gpr[RSP]);
    }
    ok = ok && frame_push(f, pushed_flags(c, ev)) && frame_push(f, c->st.seg[SEG_CS].sel) && frame_push(f, return_rip(c, ev));
    if (ev->has_err)
        ok = ok && frame_push(f, ev->err);
    return ok;
}

static bool deliver_idt(struct vcpu *c, const struct event *ev)
{
    struct gate g = { 0 };
    struct desc d;
    u64 dlin, rsp = c->st.gpr[RSP];
    bool lm = cpu_long(c), v86 = cpu_vm86(c);
    u32 ext = idt_err(ev) & 1;
    if (!read_gate(c, ev, &g))
        return false;
    if (g.type == SYS_TASK_GATE)
        return deliver_task_gate(c, ev, &g);
    if (sel_null(g.sel))
        return cpu_raise_err(c, EXC_GP, ext);
    if (!with_ext(c, ext, desc_read(c, g.sel, &d, &dlin, EXC_GP)))
        return false;
    if (!desc_is_code(d) || desc_dpl(d) > c->st.cpl || (lm && (d.hi & (DESC_L | DESC_D)) != DESC_L))
        return cpu_raise_err(c, EXC_GP, sel_err(g.sel) | ext);
    if (!(d.hi & DESC_P))
        return cpu_raise_err(c, EXC_NP, sel_err(g.sel) | ext);
    unsigned new_cpl = desc_conforming(d) ? c->st.cpl : desc_dpl(d);
    bool inner = new_cpl < c->st.cpl;
    if (v86 && new_cpl != 0)
        return cpu_raise_err(c, EXC_GP, sel_err(g.sel) | ext);
    struct seg ss = c->st.seg[SEG_SS];
    bool switched = inner || (lm && g.ist);
    if (switched && !with_ext(c, ext, inner_stack(c, &g, new_cpl, &ss, &rsp)))
        return false;
    if (!inner)
        ss = c->st.seg[SEG_SS];
    struct frame f = { .c = c, .rsp = rsp, .width = lm ? 8 : g.type >= 14 ? 4 : 2, .acc = new_cpl < 3 ? ACC_SYS : 0 };
    f.mask = lm ? ~0ull : ss.attr & ATTR_DB ? 0xFFFFFFFF : 0xFFFF;
    f.base = lm ? 0 : ss.base;
    if (lm)
        f.rsp &= ~15ull;
    unsigned n = 3 + (ev->has_err ? 1 : 0) + (inner || lm ? 2 : 0) + (v86 ? 4 : 0);
    if (!frame_probe(&f, n, &ss, ext, inner, ss.sel))
        return false;
    struct seg cs;
    seg_unpack(&cs, g.sel, d, 0);
    cs.attr |= 1; /* accessed, as the descriptor will be */
    u64 target = g.type >= SYS_INT ? g.off : g.off & 0xFFFF;
    if (!with_ext(c, ext, code_check_offset(c, &cs, target)) || !desc_set_accessed(c, dlin, &d))
        return false;
    if (!push_frame(c, ev, &f, inner, v86))
        return false; /* cannot happen after the probe */
    if (inner)
        c->st.seg[SEG_SS] = ss;
    gpr_set(c, RSP, lm ? 8 : ss.attr & ATTR_DB ? 4 : 2, f.rsp);
    u64 fl = cpu_rflags(c) & ~(u64)(FL_TF | FL_NT | FL_RF | FL_VM);
    if (!g.trap)
        fl &= ~(u64)FL_IF;
    if (v86)
        null_data_segments(c);
    c->st.rip = target;
    cpu_set_rflags(c, fl);
    cs_commit(c, cs, new_cpl);
    return true;
}

/* ---- the whole way of one event ---- */

COLD void exec_tell_event(struct vcpu *c, const struct event *ev)
{
    const struct exec_hooks *h = &c->exec->e->hooks;
    exec_fold(c);
    cpu_sync(c);
    h->event(h->ctx, c, ev);
}

static bool deliver_one(struct vcpu *c, const struct event *ev)
{
    if (!cpu_pe(c))
        return deliver_real(c, ev);
    int r = vme_redirect(c, ev);
    if (r)
        return r > 0;
    if (ev->kind == EV_SOFT && cpu_vm86(c) && cpu_iopl(c) < 3)
        return cpu_raise_err(c, EXC_GP, 0); /* INT n that VME does not redirect, and an injected one without VME [APM2 8.9.4] */
    return deliver_idt(c, ev);
}

static void note_chain(struct vcpu *c, const struct event *ev)
{
    struct exec_cpu *x = c->exec;
    if (is_exception(ev))
        x->chain[x->nchain++ & 7] = ev->vec | (u64)ev->err << 8;
}

/* One exception of the chain as "#GP(0x10)"; the error code only where it says something. */
static size_t put_chained(char *text, size_t size, u64 link, bool follows)
{
    char name[16], err[16] = "";
    unsigned vec = link & 0xFF;
    if (link >> 8)
        snprintf(err, sizeof err, "(%#x)", (unsigned)(link >> 8));
    return (size_t)snprintf(text, size, "%s%s%s", follows ? " -> " : "", cpu_exc_name(vec, name, sizeof name), err);
}

static COLD void note_double_fault(struct vcpu *c, unsigned first)
{
    struct exec_cpu *x = c->exec;
    unsigned second = x->chain[(x->nchain - 1) & 7] & 0xFF;
    char one[16], two[16];
    x->chain[x->nchain++ & 7] = EXC_DF;
    diag_emit(c->diag, DIAG_WARN, "cpu.double_fault", c->index, c->st.rip, c->insns, "APM2 8.2.9",
              "double fault: %s while delivering %s", cpu_exc_name(second, two, sizeof two), cpu_exc_name(first, one, sizeof one));
}

/* The #VMEXIT that c->vx says. */
static void leave_guest(struct vcpu *c)
{
    tell_kind(c, EV_VMEXIT);
    svm_vmexit(c);
}

COLD void exec_shutdown(struct vcpu *c)
{
    struct exec_cpu *x = c->exec;
    if (cpu_icpt(c, ICPT_SHUTDOWN)) {
        cpu_exit_event(c, VMEXIT_SHUTDOWN, 0, 0);
        leave_guest(c);
        return;
    }
    tell_kind(c, EV_SHUTDOWN);
    char text[240] = ""; /* eight times "exception 255(0xffffffff) -> " at most */
    size_t at = 0;
    for (unsigned i = x->nchain > 8 ? x->nchain - 8 : 0; i < x->nchain; i++)
        at += put_chained(text + at, sizeof text - at, x->chain[i & 7], at > 0);
    diag_emit(c->diag, DIAG_ERROR, "cpu.triple_fault", c->index, c->st.rip, c->insns, "APM2 8.2.9",
              "shutdown at CS:RIP %04x:%#llx, CPL %u, CR2 %#llx, CR3 %#llx after exceptions %s -> shutdown%s",
              c->st.seg[SEG_CS].sel, (unsigned long long)c->st.rip, c->st.cpl, (unsigned long long)c->st.cr2,
              (unsigned long long)c->st.cr3, text, c->guest ? " (in a guest)" : "");
    c->st.activity = ACT_SHUTDOWN;
}

static void apply_side_effects(struct vcpu *c, const struct event *ev)
{
    if (!is_exception(ev))
        return;
    if (ev->vec == EXC_PF && !c->svm->injecting)
        c->st.cr2 = ev->cr2;
    if (ev->vec < 32)
        c->stat_exceptions[ev->vec]++;
}

static void exception_exit(struct vcpu *c, const struct event *ev)
{
    u64 info1 = ev->has_err ? ev->err : 0, info2 = ev->vec == EXC_PF ? ev->cr2 : 0;
    cpu_exit_event(c, VMEXIT_EXCP0 + ev->vec, info1, info2);
    c->vx.nrip_valid = ev->vec == EXC_BP || ev->vec == EXC_OF || ev->vec == EXC_BR;
    c->vx.bytes_valid = ev->vec == EXC_PF && !ev->fetch;
}

/* The exception intercept comes before the event is combined with one under delivery [APM2 15.12]. */
static bool exception_exits(struct vcpu *c, const struct event *ev)
{
    if (!is_exception(ev) || ev->soft_priv)
        return false;
    if (ev->vec == EXC_DB) {
        c->st.dr6 = (c->st.dr6 & ~0xFull) | ev->dr6;
        c->st.dr7 &= ~(u64)(1u << 13); /* GD; a #VMEXIT saves what the handler would see [APM2 15.12.2] */
    }
    if (ev->vec >= 32 || !cpu_icpt(c, ICPT_EXC(ev->vec)))
        return false;
    exception_exit(c, ev);
    return true;
}

/* An exception or interrupt is a branch too; the branch before it moves to LASTEXCP. A #DB ends recording and branch stepping instead.
 * [APM2 13.1.6] */
static void record_event(struct vcpu *c, const struct event *ev, u64 from)
{
    struct cpu_state *st = &c->st;
    if (is_exception(ev) && ev->vec == EXC_DB) {
        st->debugctl &= ~(u64)(DEBUGCTL_LBR | DEBUGCTL_BTF);
        return;
    }
    if (!(st->debugctl & DEBUGCTL_LBR))
        return;
    st->last_excp_from = st->br_from;
    st->last_excp_to = st->br_to;
    st->br_from = from;
    st->br_to = st->rip;
}

void exec_deliver(struct vcpu *c)
{
    struct event first = { .kind = EV_NONE }; /* under delivery */
    bool injected = c->svm->injecting;
    c->exec->nchain = 0;
    c->attn |= ATTN_MODE;
    for (;;) {
        struct event ev = c->ev;
        c->ev.kind = EV_NONE;
        if (ev.kind == EV_NONE)
            break;
        if (ev.kind == EV_STOP) {
            c->ev = ev;
            return;
        }
        if (ev.kind == EV_VMEXIT) {
            leave_guest(c);
            first.kind = EV_NONE;
            injected = false;
            continue; /* a host #DB or shutdown may follow */
        }
        note_chain(c, &ev);
        if (!injected && exception_exits(c, &ev)) {
            c->ev.kind = EV_NONE;
            leave_guest(c);
            first.kind = EV_NONE;
            continue;
        }
        if (first.kind != EV_NONE && is_exception(&first) && is_exception(&ev)) {
            if (first.vec == EXC_DF && class_of(ev.vec) != BENIGN) {
                exec_shutdown(c);
                first.kind = EV_NONE;
                continue;
            }
            if (makes_double_fault(first.vec, ev.vec)) {
                apply_side_effects(c, &ev);
                ev = (struct event){ .kind = EV_FAULT, .vec = EXC_DF, .has_err = true };
                note_double_fault(c, first.vec);
                if (cpu_icpt(c, ICPT_EXC(EXC_DF))) {
                    exception_exit(c, &ev);
                    leave_guest(c);
                    first.kind = EV_NONE;
                    continue;
                }
            }
        }
        tell_event(c, &ev);
        apply_side_effects(c, &ev);
        c->svm->delivering = c->guest ? svm_intinfo(&ev) : 0;
        c->svm->injecting = false;
        injected = false;
        first = ev;
        u64 from = c->st.rip;
        if (deliver_one(c, &ev)) {
            if (UNLIKELY(c->st.debugctl & (DEBUGCTL_LBR | DEBUGCTL_BTF)))
                record_event(c, &ev, from);
            c->st.shadow = c->st.shadow_ss = false;
            c->svm->delivering = 0;
            cpu_charge_class(c, TIME_event);
            break;
        }
    }
    charge_walks(c);
}
