// SPDX-License-Identifier: MIT
/* Hardware task switch, 16- and 32-bit. [APM2 12.2-12.3]
 *
 * The outgoing task is saved with next_rip as its instruction pointer: a caller that delivers a fault through a task gate sets next_rip
 * to the faulting instruction first. Faults before the commit belong to the old task, those after it to the new one (st.rip is
 * then the new task's first instruction). */
#include "cpu/internal.h"

/* Offsets in the two TSS formats. */
struct tss_layout {
    u8 width;       /* of IP, FLAGS and general registers */
    u8 ip, flags, gpr, seg, nseg, ldt, min_limit;
    u8 seg_step;
};
static const struct tss_layout layout16 = {2, 0x0E, 0x10, 0x12, 0x22, 4, 0x2A, 0x2B, 2};
static const struct tss_layout layout32 = {4, 0x20, 0x24, 0x28, 0x48, 6, 0x60, 0x67, 4};
static const u8 seg_order[] = {SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS};

struct task {
    u64 ip, flags, gpr[8], cr3;
    u16 seg[6], ldt;
    bool trap;
};

static bool rd(struct vcpu *c, u64 lin, unsigned width, u64 *v)
{
    return lin_read(c, (u32)lin, width, ACC_R | ACC_SYS, v);
}

static bool wr(struct vcpu *c, u64 lin, unsigned width, u64 v)
{
    return lin_write(c, (u32)lin, width, ACC_W | ACC_SYS, v);
}

static bool task_read(struct vcpu *c, u64 base, const struct tss_layout *l, struct task *t)
{
    u64 v = 0;
    memset(t, 0, sizeof *t);
    if (l->width == 4) {
        if (!rd(c, base + 0x1C, 4, &t->cr3) || !rd(c, base + 0x64, 2, &v))
            return false;
        t->trap = v & 1;
    }
    if (!rd(c, base + l->ip, l->width, &t->ip) || !rd(c, base + l->flags, l->width, &t->flags))
        return false;
    for (unsigned i = 0; i < 8; i++)
        if (!rd(c, base + l->gpr + i * l->width, l->width, &t->gpr[i]))
            return false;
    for (unsigned i = 0; i < l->nseg; i++) {
        if (!rd(c, base + l->seg + i * l->seg_step, 2, &v))
            return false;
        t->seg[i] = (u16)v;
    }
    if (!rd(c, base + l->ldt, 2, &v))
        return false;
    t->ldt = (u16)v;
    return true;
}

/* Nothing here can fault: the whole range has been probed. */
static bool task_save(struct vcpu *c, const struct tss_layout *l, u64 flags)
{
    u64 base = c->st.seg[SEG_TR].base;
    if (!wr(c, base + l->ip, l->width, c->next_rip) || !wr(c, base + l->flags, l->width, flags))
        return false;
    for (unsigned i = 0; i < 8; i++)
        if (!wr(c, base + l->gpr + i * l->width, l->width, c->st.gpr[i]))
            return false;
    for (unsigned i = 0; i < l->nseg; i++)
        if (!wr(c, base + l->seg + i * l->seg_step, 2, c->st.seg[seg_order[i]].sel))
            return false;
    return true;
}

static bool load_ldt(struct vcpu *c, u16 sel)
{
    struct desc d;
    u64 lin;
    c->st.seg[SEG_LDTR] = (struct seg){.sel = sel};
    if (sel_null(sel))
        return true;
    if (sel & 4)
        return cpu_raise_err(c, EXC_TS, sel_err(sel));
    if (!desc_read(c, sel, &d, &lin, EXC_TS))
        return false;
    if ((d.hi & DESC_S) || desc_type(d) != SYS_LDT || !(d.hi & DESC_P))
        return cpu_raise_err(c, EXC_TS, sel_err(sel));
    seg_unpack(&c->st.seg[SEG_LDTR], sel, d, 0);
    return true;
}

static bool load_code(struct vcpu *c, u16 sel)
{
    struct desc d;
    u64 lin;
    unsigned rpl = sel & 3;
    if (sel_null(sel))
        return cpu_raise_err(c, EXC_TS, 0);
    if (!desc_read(c, sel, &d, &lin, EXC_TS))
        return false;
    if (!desc_is_code(d) || (desc_conforming(d) ? desc_dpl(d) > rpl : desc_dpl(d) != rpl))
        return cpu_raise_err(c, EXC_TS, sel_err(sel));
    if (!(d.hi & DESC_P))
        return cpu_raise_err(c, EXC_NP, sel_err(sel));
    if (!desc_set_accessed(c, lin, &d))
        return false;
    seg_unpack(&c->st.seg[SEG_CS], sel, d, 0);
    return true;
}

static bool load_data(struct vcpu *c, unsigned seg, u16 sel)
{
    if (seg_load(c, seg, sel))
        return true;
    if (c->ev.kind == EV_FAULT && c->ev.vec == EXC_GP)
        c->ev.vec = EXC_TS; /* same checks, another vector during a task switch */
    return false;
}

static bool load_segments(struct vcpu *c, const struct tss_layout *l, const struct task *t)
{
    static const u8 data[] = {0, 3, 4, 5}; /* ES DS FS GS in seg_order */
    struct seg ss;
    for (unsigned i = 0; i < 6; i++) /* selectors first: a fault shows the new task's */
        c->st.seg[seg_order[i]] = (struct seg){.sel = t->seg[i]};
    if (!load_ldt(c, t->ldt))
        return false;
    if (cpu_vm86(c)) {
        for (unsigned i = 0; i < 6; i++)
            seg_load_v86(c, seg_order[i], t->seg[i]);
        return true;
    }
    if (!load_code(c, t->seg[1]))
        return false;
    if (sel_null(t->seg[2]))
        return cpu_raise_err(c, EXC_TS, 0);
    if (!stack_seg_check(c, t->seg[2], c->st.cpl, EXC_TS, &ss))
        return false;
    c->st.seg[SEG_SS] = ss;
    for (unsigned i = 0; i < ARRAY_LEN(data); i++)
        if (data[i] < l->nseg && !load_data(c, seg_order[data[i]], t->seg[data[i]]))
            return false;
    return true;
}

/* The registers of the new task; from here on faults are its own. */
static bool task_load(struct vcpu *c, const struct tss_layout *l, const struct task *t, u64 flags)
{
    if (l->width == 4 && (c->st.cr0 & CR0_PG)) {
        if ((c->st.cr4 & CR4_PAE) && !(c->guest && c->np) && !mmu_load_pdptes(&c->mmu, t->cr3))
            return cpu_raise_err(c, EXC_TS, sel_err(c->st.seg[SEG_TR].sel));
        c->st.cr3 = t->cr3;
        mmu_flush_asid_nonglobal(&c->mmu, c->mmu.r.asid);
    }
    for (unsigned i = 0; i < 8; i++)
        gpr_set(c, i, l->width, t->gpr[i]);
    c->st.cr0 |= CR0_TS;
    c->st.dr7 &= ~0x155ull; /* local breakpoints end with the task */
    c->st.rip = c->next_rip = t->ip;
    c->st.cpl = flags & FL_VM ? 3 : t->seg[1] & 3;
    cpu_set_rflags(c, flags);
    c->keep_rf = true;
    cpu_update_mode(c);
    if (!load_segments(c, l, t))
        return false;
    if (t->ip > c->st.seg[SEG_CS].limit)
        return cpu_raise_err(c, EXC_GP, 0);
    return true;
}

static bool intercepted(struct vcpu *c, u16 sel, unsigned how, bool has_err, u32 err)
{
    if (!cpu_icpt(c, ICPT_TASK_SWITCH))
        return false;
    u64 info2 = (has_err ? err : 0) | (how == TASK_IRET ? BIT(36) : 0) | (how == TASK_JMP ? BIT(38) : 0) | (has_err ? BIT(44) : 0) |
                (c->st.rflags & FL_RF ? BIT(48) : 0);
    cpu_exit_event(c, VMEXIT_TASK_SWITCH, sel, info2);
    return true;
}

bool task_switch(struct vcpu *c, u16 tss_sel, struct desc d, unsigned how, bool has_err, u32 err)
{
    struct seg tr, old_tr = c->st.seg[SEG_TR];
    struct task t;
    const struct tss_layout *l = d.hi & 0x800 ? &layout32 : &layout16;
    const struct tss_layout *old_l = old_tr.attr & 8 ? &layout32 : &layout16;
    u64 new_desc = c->st.gdtr.base + (tss_sel & ~7u), old_desc = c->st.gdtr.base + (old_tr.sel & ~7u);
    u64 flags = cpu_rflags(c);

    seg_unpack(&tr, tss_sel, d, 0);
    if (tr.limit < l->min_limit)
        return cpu_raise_err(c, EXC_TS, sel_err(tss_sel));
    if (old_tr.limit < old_l->min_limit)
        return cpu_raise_err(c, EXC_TS, sel_err(old_tr.sel));
    if (intercepted(c, tss_sel, how, has_err, err))
        return false;
    if (!lin_probe(c, (u32)old_tr.base, old_l->min_limit + 1u, ACC_W | ACC_SYS) || !task_read(c, tr.base, l, &t))
        return false;
    if ((how == TASK_CALL || how == TASK_INT) && !lin_probe(c, (u32)tr.base, 2, ACC_W | ACC_SYS))
        return false;

    u64 saved = how == TASK_IRET ? flags & ~(u64)FL_NT : flags;
    if (!task_save(c, old_l, saved))
        return false;
    if ((how == TASK_JMP || how == TASK_IRET) && !desc_set_busy(c, (u32)old_desc, false))
        return false;
    if (how != TASK_IRET && !desc_set_busy(c, (u32)new_desc, true))
        return false;
    u64 new_flags = (l->width == 4 ? t.flags : t.flags & 0xFFFF) & FL_ALL;
    if (how == TASK_CALL || how == TASK_INT) {
        if (!wr(c, tr.base, 2, old_tr.sel))
            return false;
        new_flags |= FL_NT;
    }
    tr.attr |= 2; /* busy */
    c->st.seg[SEG_TR] = tr;
    if (!task_load(c, l, &t, new_flags))
        return false;
    if (has_err && !stack_push(c, l->width, err))
        return false;
    if (t.trap) {
        c->trap_dr6 |= BIT(15);
        c->pending |= PEND_TRAP;
    }
    c->attn |= ATTN_MODE | ATTN_EVENT;
    return true;
}
