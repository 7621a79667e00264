// SPDX-License-Identifier: MIT
/* Far JMP, CALL, RET and IRET: direct, through call gates, to other tasks, in all modes. [APM2 4.11, APM3 CALL, RET, IRET] */
#include "cpu/internal.h"

static bool fail(struct vcpu *c, u8 vec, u16 sel)
{
    return cpu_raise_err(c, vec, sel_err(sel));
}

static bool real_jump(struct vcpu *c, u16 sel, u64 off)
{
    if (off > c->st.seg[SEG_CS].limit)
        return cpu_raise_err(c, EXC_GP, 0);
    seg_load_real(c, SEG_CS, sel);
    c->next_rip = off;
    c->attn |= ATTN_MODE;
    return true;
}

bool task_gate(struct vcpu *c, u16 tss_sel, unsigned how, bool has_err, u32 err)
{
    struct desc d;
    u64 lin;
    u8 vec = how == TASK_IRET ? EXC_TS : EXC_GP;
    if ((tss_sel & 4) || sel_null(tss_sel)) /* the GDT only, and not its first place */
        return fail(c, vec, tss_sel);
    if (!desc_read(c, tss_sel, &d, &lin, vec))
        return false;
    unsigned type = desc_type(d) & ~2u;
    bool busy = desc_type(d) & 2;
    if ((d.hi & DESC_S) || (type != SYS_TSS16 && type != SYS_TSS) || busy != (how == TASK_IRET))
        return fail(c, vec, tss_sel);
    if (!(d.hi & DESC_P))
        return fail(c, EXC_NP, tss_sel);
    return task_switch(c, tss_sel, d, how, has_err, err);
}

/* System descriptor as a JMP or CALL target: TSS, task gate, call gate. Returns true in *gate when it is a call gate. */
static bool system_target(struct vcpu *c, u16 sel, struct desc d, unsigned how, bool *gate)
{
    unsigned type = desc_type(d);
    *gate = type == SYS_CALL || (type == SYS_CALL16 && !cpu_long(c));
    bool task = !cpu_long(c) && (type == SYS_TSS || type == SYS_TSS16 || type == SYS_TASK_GATE);
    if (!*gate && !task)
        return fail(c, EXC_GP, sel);
    if (desc_dpl(d) < c->st.cpl || desc_dpl(d) < (sel & 3u))
        return fail(c, EXC_GP, sel);
    if (!(d.hi & DESC_P))
        return fail(c, EXC_NP, sel);
    if (*gate)
        return true;
    return task_gate(c, type == SYS_TASK_GATE ? (u16)(d.lo >> 16) : sel, how, false, 0);
}

struct gate_target {
    struct seg cs;
    u64 off;
    unsigned width; /* of pushes: 2, 4, 8 */
    unsigned params;
    struct desc d;
};

/* Follows a call gate to its code segment. */
static bool gate_target(struct vcpu *c, u16 sel, struct desc g, u64 lin, bool jump, struct gate_target *t)
{
    struct desc up = {0, 0};
    u64 code_lin;
    if (cpu_long(c) && !desc_read_upper(c, sel, lin, &up, EXC_GP))
        return false;
    u16 cs = (u16)(g.lo >> 16);
    t->width = cpu_long(c) ? 8 : desc_type(g) == SYS_CALL ? 4 : 2;
    t->off = (g.lo & 0xFFFF) | (t->width > 2 ? g.hi & 0xFFFF0000u : 0) | (u64)up.lo << 32;
    t->params = cpu_long(c) ? 0 : g.hi & 31;
    if (sel_null(cs))
        return cpu_raise_err(c, EXC_GP, 0);
    if (!desc_read(c, cs, &t->d, &code_lin, EXC_GP))
        return false;
    unsigned dpl = desc_dpl(t->d), cpl = c->st.cpl;
    bool ok = desc_is_code(t->d) && dpl <= cpl;
    if (ok && jump && !desc_conforming(t->d))
        ok = dpl == cpl;
    if (ok && cpu_long(c))
        ok = (t->d.hi & DESC_L) && !(t->d.hi & DESC_D); /* long-mode gates lead to 64-bit code only [APM2 4.8.4] */
    if (!ok)
        return fail(c, EXC_GP, cs);
    if (!(t->d.hi & DESC_P))
        return fail(c, EXC_NP, cs);
    if (!desc_set_accessed(c, code_lin, &t->d))
        return false;
    seg_unpack(&t->cs, cs, t->d, 0);
    return true;
}

static bool direct_target(struct vcpu *c, u16 sel, struct desc d, u64 lin, struct seg *cs)
{
    if (!code_check_direct(c, sel, d) || !desc_set_accessed(c, lin, &d))
        return false;
    seg_unpack(cs, sel, d, 0);
    return true;
}

bool far_jump(struct vcpu *c, u16 sel, u64 off, unsigned osz)
{
    struct desc d;
    struct seg cs;
    u64 lin;
    bool gate;
    off = zext(off, osz);
    if (!cpu_protected(c))
        return real_jump(c, sel, off);
    if (sel_null(sel))
        return cpu_raise_err(c, EXC_GP, 0);
    if (!desc_read(c, sel, &d, &lin, EXC_GP))
        return false;
    if (d.hi & DESC_S) {
        if (!direct_target(c, sel, d, lin, &cs))
            return false;
    } else {
        struct gate_target t;
        if (!system_target(c, sel, d, TASK_JMP, &gate))
            return false;
        if (!gate)
            return true;
        if (!gate_target(c, sel, d, lin, true, &t))
            return false;
        cs = t.cs;
        off = t.off;
    }
    if (!code_check_offset(c, &cs, off))
        return false;
    cs_commit(c, cs, c->st.cpl);
    c->next_rip = off;
    return true;
}

/* Pushes of a call: probes first, so that nothing is written when the second push faults. */
static bool push_all(struct vcpu *c, u64 *rsp, unsigned width, const u64 *v, unsigned n)
{
    u64 start = *rsp, low = start - (u64)n * width, probe;
    unsigned aw = cpu_stack_width(c);
    if (aw < 8 && zext(start, aw) < (u64)n * width && zext(start, aw) != 0) {
        /* The frame wraps around the top of the stack segment: go push by push. */
    } else {
        probe = zext(low, aw);
        if (!mem_probe_write(c, SEG_SS, probe, n * width))
            return false;
    }
    for (unsigned i = 0; i < n; i++)
        if (!stack_push_at(c, rsp, width, v[i]))
            return false;
    return true;
}

static bool call_same(struct vcpu *c, struct seg cs, u64 off, unsigned width)
{
    u64 rsp = c->st.gpr[RSP];
    u64 frame[2] = {c->st.seg[SEG_CS].sel, c->next_rip};
    /* In long mode stack width is that of the code the transfer comes from; the target's offset is checked before the commit. */
    if (!code_check_offset(c, &cs, off) || !push_all(c, &rsp, width, frame, 2))
        return false;
    stack_commit(c, rsp);
    cs_commit(c, cs, c->st.cpl);
    c->next_rip = off;
    return true;
}

/* Through a gate to an inner ring. */
static bool call_inner(struct vcpu *c, const struct gate_target *t)
{
    unsigned cpl = desc_dpl(t->d), n = 0;
    struct seg ss = {.sel = 0}, old_ss = c->st.seg[SEG_SS], old_cs = c->st.seg[SEG_CS];
    u64 frame[4 + 32], rsp, v, old_rsp = c->st.gpr[RSP];
    u8 old_cpl = c->st.cpl;
    u16 sel;
    if (!tss_stack(c, cpl, &sel, &rsp))
        return false;
    if (!cpu_long(c)) {
        if (sel_null(sel))
            return fail(c, EXC_TS, 0);
        if (!stack_seg_check(c, sel, cpl, EXC_TS, &ss))
            return false;
    } else {
        ss = (struct seg){.sel = sel};
    }
    if (!code_check_offset(c, &t->cs, t->off))
        return false;
    frame[n++] = old_ss.sel;
    frame[n++] = old_rsp;
    for (unsigned i = t->params; i-- > 0;) {
        if (!mem_read(c, SEG_SS, zext(old_rsp + (u64)i * t->width, cpu_stack_width(c)), t->width, &v))
            return false;
        frame[n++] = v;
    }
    frame[n++] = old_cs.sel;
    frame[n++] = c->next_rip;
    /* The frame is written with the new privilege on the new stack; everything is put back if that faults. */
    c->st.seg[SEG_SS] = ss;
    cs_commit(c, t->cs, cpl);
    if (!push_all(c, &rsp, t->width, frame, n)) {
        if (c->ev.kind == EV_FAULT && c->ev.vec == EXC_SS && !cpu_long(c))
            c->ev.err = sel_err(sel);
        c->st.seg[SEG_SS] = old_ss;
        cs_commit(c, old_cs, old_cpl);
        c->st.seg[SEG_CS].sel = old_cs.sel;
        return false;
    }
    stack_commit(c, rsp);
    c->next_rip = t->off;
    return true;
}

static bool real_call(struct vcpu *c, u16 sel, u64 off, unsigned osz)
{
    u64 rsp = c->st.gpr[RSP];
    u64 frame[2] = {c->st.seg[SEG_CS].sel, c->next_rip};
    if (off > c->st.seg[SEG_CS].limit)
        return cpu_raise_err(c, EXC_GP, 0);
    if (!push_all(c, &rsp, osz, frame, 2))
        return false;
    stack_commit(c, rsp);
    return real_jump(c, sel, off);
}

bool far_call(struct vcpu *c, u16 sel, u64 off, unsigned osz)
{
    struct desc d;
    struct seg cs;
    struct gate_target t;
    u64 lin;
    bool gate;
    off = zext(off, osz);
    if (!cpu_protected(c))
        return real_call(c, sel, off, osz);
    if (sel_null(sel))
        return cpu_raise_err(c, EXC_GP, 0);
    if (!desc_read(c, sel, &d, &lin, EXC_GP))
        return false;
    if (d.hi & DESC_S)
        return direct_target(c, sel, d, lin, &cs) && call_same(c, cs, off, osz);
    if (!system_target(c, sel, d, TASK_CALL, &gate))
        return false;
    if (!gate)
        return true;
    if (!gate_target(c, sel, d, lin, false, &t))
        return false;
    if (desc_conforming(t.d) || desc_dpl(t.d) == c->st.cpl)
        return call_same(c, t.cs, t.off, t.width);
    return call_inner(c, &t);
}

/* The code segment a RET or IRET goes back to. */
static bool return_target(struct vcpu *c, u16 sel, struct seg *cs)
{
    struct desc d;
    u64 lin;
    unsigned rpl = sel & 3;
    if (sel_null(sel))
        return cpu_raise_err(c, EXC_GP, 0);
    if (rpl < c->st.cpl)
        return fail(c, EXC_GP, sel);
    if (!desc_read(c, sel, &d, &lin, EXC_GP))
        return false;
    bool ok = desc_is_code(d) && (desc_conforming(d) ? desc_dpl(d) <= rpl : desc_dpl(d) == rpl);
    if (ok && cpu_long(c) && (d.hi & DESC_L) && (d.hi & DESC_D))
        ok = false;
    if (!ok)
        return fail(c, EXC_GP, sel);
    if (!(d.hi & DESC_P))
        return fail(c, EXC_NP, sel);
    if (!desc_set_accessed(c, lin, &d))
        return false;
    seg_unpack(cs, sel, d, 0);
    return true;
}

/* The stack segment popped by a return: null only where 64-bit code of ring 0..2 is returned to. */
static bool return_stack(struct vcpu *c, u16 sel, const struct seg *cs, struct seg *ss)
{
    unsigned rpl = cs->sel & 3;
    if (!sel_null(sel))
        return stack_seg_check(c, sel, rpl, EXC_GP, ss);
    if (!cpu_long(c) || !(cs->attr & ATTR_L) || rpl == 3 || (sel & 3u) != rpl)
        return cpu_raise_err(c, EXC_GP, 0);
    *ss = (struct seg){.sel = sel};
    return true;
}

/* CS:RIP and SS:RSP of a return to code of privilege cs.rpl; nothing can fault any more. */
static void return_commit(struct vcpu *c, struct seg cs, u64 off, const struct seg *ss, u64 rsp)
{
    unsigned cpl = cs.sel & 3;
    bool outer = cpl != c->st.cpl;
    c->st.seg[SEG_SS] = *ss;
    cs_commit(c, cs, cpl);
    stack_commit(c, rsp);
    c->next_rip = off;
    if (outer)
        seg_drop_privileged(c);
}

bool far_ret(struct vcpu *c, unsigned osz, u16 pop_bytes)
{
    struct seg cs, ss;
    u64 rsp = c->st.gpr[RSP], off, sel, new_rsp, ss_sel;
    if (!stack_pop_at(c, &rsp, osz, &off) || !stack_pop_at(c, &rsp, osz, &sel))
        return false;
    if (!cpu_protected(c)) {
        if (!real_jump(c, (u16)sel, off))
            return false;
        stack_commit(c, rsp + pop_bytes);
        return true;
    }
    if (!return_target(c, (u16)sel, &cs))
        return false;
    rsp += pop_bytes;
    if ((cs.sel & 3) == c->st.cpl) {
        if (!code_check_offset(c, &cs, off))
            return false;
        stack_commit(c, rsp);
        cs_commit(c, cs, c->st.cpl);
        c->next_rip = off;
        return true;
    }
    if (!stack_pop_at(c, &rsp, osz, &new_rsp) || !stack_pop_at(c, &rsp, osz, &ss_sel))
        return false;
    if (!return_stack(c, (u16)ss_sel, &cs, &ss) || !code_check_offset(c, &cs, off))
        return false;
    return_commit(c, cs, off, &ss, new_rsp + pop_bytes);
    return true;
}

u64 iret_flag_mask(const struct vcpu *c, unsigned osz)
{
    u64 m = FL_ARITH | FL_TF | FL_DF | FL_NT;
    bool real = !cpu_pe(c);
    if (osz > 2)
        m |= FL_RF | FL_AC | FL_ID;
    if (real || c->st.cpl == 0)
        m |= FL_IOPL;
    if (real || c->st.cpl <= cpu_iopl(c))
        m |= FL_IF;
    if (!real && c->st.cpl == 0 && osz > 2)
        m |= FL_VIF | FL_VIP;
    return m;
}

static void put_rflags(struct vcpu *c, u64 v, u64 mask)
{
    u64 old = cpu_rflags(c);
    cpu_set_rflags(c, (old & ~mask) | (v & mask));
}

static bool iret_real(struct vcpu *c, unsigned osz)
{
    u64 rsp = c->st.gpr[RSP], off, sel, fl, mask = iret_flag_mask(c, osz);
    bool v86 = cpu_vm86(c), virt = false;
    if (v86 && cpu_iopl(c) < 3) {
        if (!(c->st.cr4 & CR4_VME) || osz != 2)
            return cpu_raise_err(c, EXC_GP, 0);
        virt = true;
    }
    if (!stack_pop_at(c, &rsp, osz, &off) || !stack_pop_at(c, &rsp, osz, &sel) || !stack_pop_at(c, &rsp, osz, &fl))
        return false;
    if (virt) {
        /* Virtual-8086 mode extensions: IF goes to VIF, IF and IOPL stay. [APM2 8.9] */
        if ((fl & FL_TF) || ((fl & FL_IF) && (c->st.rflags & FL_VIP)))
            return cpu_raise_err(c, EXC_GP, 0);
        fl = fl & FL_IF ? fl | FL_VIF : fl & ~(u64)FL_VIF;
        mask = (mask & ~(u64)(FL_IF | FL_IOPL)) | FL_VIF;
    }
    if (!real_jump(c, (u16)sel, off))
        return false;
    stack_commit(c, rsp);
    put_rflags(c, fl, mask);
    return true;
}

static bool iret_to_v86(struct vcpu *c, u64 rsp, u64 off, u16 cs, u64 fl)
{
    static const u8 order[] = {SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    u64 new_rsp, sel[ARRAY_LEN(order)];
    if (!stack_pop_at(c, &rsp, 4, &new_rsp))
        return false;
    for (unsigned i = 0; i < ARRAY_LEN(order); i++)
        if (!stack_pop_at(c, &rsp, 4, &sel[i]))
            return false;
    for (unsigned i = 0; i < ARRAY_LEN(order); i++)
        seg_load_v86(c, order[i], (u16)sel[i]);
    seg_load_v86(c, SEG_CS, cs);
    c->st.cpl = 3;
    cpu_set_rflags(c, fl);
    cpu_update_mode(c);
    c->st.gpr[RSP] = (u32)new_rsp;
    c->next_rip = off & 0xFFFF; /* cut, not checked [APM3 IRET] */
    return true;
}

static bool iret_task(struct vcpu *c)
{
    u64 link;
    if (!lin_read(c, c->st.seg[SEG_TR].base, 2, ACC_R | ACC_SYS, &link))
        return false;
    return task_gate(c, (u16)link, TASK_IRET, false, 0);
}

/* The next value of IRET's frame: from its bytes where they can be seen at once, so that popping cannot fault. */
static inline bool iret_pop(struct vcpu *c, const u8 **frame, u64 *rsp, unsigned osz, u64 *v)
{
    if (!*frame)
        return stack_pop_at(c, rsp, osz, v);
    *v = load_le(*frame, osz);
    *frame += osz;
    return true;
}

static bool iret_protected(struct vcpu *c, unsigned osz)
{
    struct seg cs, ss = c->st.seg[SEG_SS];
    u64 rsp = c->st.gpr[RSP], off, sel, fl, new_rsp, ss_sel, mask;
    if (c->st.rflags & FL_NT)
        return cpu_long(c) ? cpu_raise_err(c, EXC_GP, 0) : iret_task(c);
    const u8 *frame = stack_view(c, rsp, 5 * osz); /* 64-bit code pops all five and takes RSP from them */
    if (!iret_pop(c, &frame, &rsp, osz, &off) || !iret_pop(c, &frame, &rsp, osz, &sel) || !iret_pop(c, &frame, &rsp, osz, &fl))
        return false;
    if ((fl & FL_VM) && osz == 4 && c->st.cpl == 0 && !cpu_long(c))
        return iret_to_v86(c, rsp, off, (u16)sel, fl);
    if (!return_target(c, (u16)sel, &cs))
        return false;
    if (cpu_code64(c) || (cs.sel & 3) != c->st.cpl) {
        if (!iret_pop(c, &frame, &rsp, osz, &new_rsp) || !iret_pop(c, &frame, &rsp, osz, &ss_sel))
            return false;
        if (!return_stack(c, (u16)ss_sel, &cs, &ss))
            return false;
        rsp = new_rsp;
    }
    if (!code_check_offset(c, &cs, off))
        return false;
    mask = iret_flag_mask(c, osz); /* by the privilege before the return */
    return_commit(c, cs, off, &ss, rsp);
    put_rflags(c, fl, mask);
    return true;
}

/* The NMI mask is the caller's: a guest may have a virtual one. */
bool cpu_iret(struct vcpu *c, unsigned osz)
{
    bool ok = cpu_protected(c) ? iret_protected(c, osz) : iret_real(c, osz);
    if (ok) {
        c->attn |= ATTN_EVENT | ATTN_MODE;
        c->keep_rf = true; /* RF is for the instruction returned to [APM2 13.1.4] */
    }
    return ok;
}
