// SPDX-License-Identifier: MIT
/* VMRUN: host save, the VMCB with its clean bits, controls, guest state, checks, TLB_CONTROL, EVENTINJ. [APM2 15.5, 15.15, 15.20]
 *
 * The world switch goes through the memory of the VMCB and of the host save area, as on silicon: the host state is written to the page at
 * VM_HSAVE_PA in the VMCB's save layout and read back from there, so overlapping or damaged areas have their effect. */
#include "svm/avic.h"
#include "svm/world.h"

/* ---- VMRUN ---- */
static void save_host(struct vcpu *c, bool lbr)
{
    struct page p;
    page_open(c, c->st.vm_hsave_pa & ~(u64)PAGE_MASK, SLOT_HSAVE, &p);
    page_writable(c, &p, SLOT_HSAVE);
    store_common(c, p.v, get_rflags(c, &c->svm->host_flags) & ~(u64)FL_RF, c->next_rip);
    if (lbr)
        store_lbr(&c->st, p.v);
    page_close(c, &p, offsetof(union vmcb, es_sel), offsetof(union vmcb, spec_ctrl));
}

static void load_control(struct vcpu *c, const union vmcb *v)
{
    struct svm_cpu *s = c->svm;
    const struct svm_profile *has = &s->has;
    u64 np_ctl = v->np_ctl & has->np_ctl;
    u32 int_ctl = v->int_ctl & has->int_ctl;
    c->icpt[0] = v->icpt_cr;
    c->icpt[1] = v->icpt_dr;
    c->icpt[2] = v->icpt_exc;
    c->icpt[3] = v->icpt_misc1;
    c->icpt[4] = v->icpt_misc2 & has->icpt_misc2;
    c->icpt[5] = v->icpt_misc3 & has->icpt_misc3;
    s->iopm = v->iopm_base & ~(u64)PAGE_MASK;
    s->msrpm = v->msrpm_base & ~(u64)PAGE_MASK;
    s->int_ctl = v->int_ctl;
    s->int_vector = v->int_vector;
    s->vgif = int_ctl & INT_CTL_V_GIF_ENABLE;
    s->vnmi = int_ctl & INT_CTL_V_NMI_ENABLE;
    s->virt_ext = v->virt_ext & has->virt_ext;
    s->pause_reload = s->pause_count = v->pause_count;
    s->pause_thresh = has->pause_thresh ? v->pause_thresh : 0;
    s->pause_last = c->ticks;
    s->bus_lock_count = v->bus_lock_count;
    s->invlpgb = !has->invlpgb_ctl || (np_ctl & NP_CTL_INVLPGB);
    s->delivering = 0;
    s->injecting = false;
    s->host_pat = c->st.pat;
    s->host_spec_ctrl = c->st.spec_ctrl;
    c->tsc_guest_offset = v->tsc_offset;
    c->v_intr_masking = v->int_ctl & INT_CTL_V_INTR_MASKING;
    c->host_if = c->st.rflags & FL_IF;
    c->np = np_ctl & NP_CTL_NP;
    c->nest.asid = v->asid;
    c->nest.gmet = np_ctl & NP_CTL_GMET;
    c->nest.rogpt = np_ctl & NP_CTL_ROGPT;
    c->nest.pml = (np_ctl & (NP_CTL_PML | NP_CTL_NP)) == (NP_CTL_PML | NP_CTL_NP);
    if (UNLIKELY(c->nest.pml)) {
        c->mmu.pml_base = v->pml_base & VMCB_PAGE_POINTER;
        c->mmu.pml_index = v->pml_index;
    }
    c->nest.ncr3 = v->n_cr3;
    c->nest.hcr0 = c->st.cr0;
    c->nest.hcr4 = c->st.cr4;
    c->nest.hefer = c->st.efer;
    c->nest.hpat = c->st.pat;
    c->st.shadow = v->int_state & 1;
    c->st.shadow_ss = false;
    c->st.cr8 = v->int_ctl & 0xF;
    if (UNLIKELY(v->int_ctl & INT_CTL_AVIC))
        svm_avic_enter(c, v);
}

static void load_guest(struct vcpu *c, const union vmcb *v)
{
    struct cpu_state *st = &c->st;
    u64 rflags = v->rflags;
    load_segs(c, v);
    st->cr0 =
        (v->cr0 & (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)) | CR0_ET;
    st->cr2 = v->cr2;
    st->cr3 = v->cr3;
    st->cr4 = v->cr4;
    st->efer = efer_with_lma(v->efer, v->cr0);
    st->dr6 = (v->dr6 & 0xE00F) | 0xFFFF0FF0;
    st->dr7 = (v->dr7 & 0xFFFF23FF) | 0x400;
    st->rip = v->rip;
    st->gpr[RSP] = v->rsp;
    st->gpr[RAX] = v->rax;
    if (st->efer & EFER_LMA)
        rflags &= ~(u64)FL_VM; /* virtual-8086 mode does not exist in long mode; the manual names no failure */
    /* CPL is the VMCB's byte, forced where the mode defines it. [APM2 15.5.1] */
    st->cpl = !(st->cr0 & CR0_PE) ? 0 : rflags & FL_VM ? 3 : v->cpl & 3;
    /* P and S of CS are not looked at: a code segment is present. Its DPL is the CPL. */
    st->seg[SEG_CS].attr |= ATTR_P | ATTR_S;
    if ((st->cr0 & CR0_PE) && !(rflags & FL_VM))
        st->seg[SEG_CS].attr = (u16)((st->seg[SEG_CS].attr & ~ATTR_DPL) | 8 | st->cpl << 5);
    if (c->np)
        st->pat = v->g_pat;
    if (c->svm->has.spec_ctrl)
        st->spec_ctrl = v->spec_ctrl;
    if (c->svm->virt_ext & VIRT_EXT_LBR)
        load_lbr(st, v);
    put_rflags(c, &c->svm->guest_flags, rflags);
}

static void tlb_control(struct vcpu *c, unsigned what)
{
    switch (what) {
    case TLB_FLUSH_ALL:
        mmu_flush_all(&c->mmu);
        break;
    case TLB_FLUSH_ASID:
        mmu_flush_asid(&c->mmu, c->nest.asid);
        break;
    case TLB_FLUSH_ASID_NONGLOBAL:
        mmu_flush_asid_nonglobal(&c->mmu, c->nest.asid);
        break;
    default:
        break;
    }
}

/* EVENTINJ becomes the pending event. [APM2 15.20] */
static void inject(struct vcpu *c, const union vmcb *v)
{
    u64 inj = v->eventinj;
    struct event *e = &c->ev;
    *e = (struct event){.vec = (u8)inj, .has_err = inj & INJ_EV, .err = (u32)(inj >> 32), .cr2 = c->st.cr2};
    c->svm->injecting = true;
    switch (inj >> 8 & 7) {
    case INJ_INTR:
        e->kind = EV_INTR;
        break;
    case INJ_NMI:
        e->kind = EV_NMI;
        e->vec = EXC_NMI;
        if (c->svm->vnmi)
            c->svm->int_ctl |= INT_CTL_V_NMI_MASK;
        break;
    case INJ_SOFT:
        e->kind = EV_SOFT;
        break;
    default:
        e->kind = e->vec == EXC_BP || e->vec == EXC_OF ? EV_TRAP : EV_FAULT;
        break;
    }
    /* Trap-like software events push the VMCB's nRIP where the processor has it. */
    if ((e->kind == EV_SOFT || e->kind == EV_TRAP) && cpu_has(c, FEAT_NRIPS))
        c->next_rip = v->nrip;
}

/* ---- clean bits [APM2 15.15] ---- */
/* Fields of no group are read by every VMRUN, those of a group whose bit in `dirty` is set too; the others keep their cached value. */
static inline __attribute__((always_inline)) void load_fields(union vmcb *d, const union vmcb *v, u32 dirty)
{
#define FIELD(off, width, name, group, loaded, ...)                                                                    \
    if ((VMCB_MOVE_##loaded == VMCB_MOVE_YES || VMCB_MOVE_##loaded == VMCB_MOVE_COND) &&                               \
        (VMCB_GROUP_##group == VMCB_GROUP_NEVER || (dirty >> VMCB_GROUP_##group & 1)))                                 \
        d->name = v->name;
#include "svm/vmcb.def"
#undef FIELD
}

/* All of them, in few wide moves, with what lies between. */
#define VMCB_SPANS(X)                                                                                                  \
    X(0x000, 0x018) X(0x03C, 0x06C) X(0x090, 0x0D0) X(0x0E0, 0x110) X(0x120, 0x128) X(0x1C8, 0x1D8) X(0x400, 0x440)    \
    X(0x460, 0x490) X(0x4C8, 0x4D8) X(0x548, 0x580) X(0x5D8, 0x600) X(0x640, 0x648) X(0x668, 0x698) X(0x6E0, 0x6E8)
static inline void load_whole(union vmcb *d, const union vmcb *v)
{
#define COPY(from, to) memcpy(d->raw + (from), v->raw + (from), (to) - (from));
    VMCB_SPANS(COPY)
#undef COPY
}

/* The state VMRUN works with: the cached copy brought up to date as far as the clean bits demand. They hold for the VMCB whose copy is
 * cached, known by its physical address; any other is loaded whole, and so is everything on processors without the feature. */
static const union vmcb *merge(struct vcpu *c, const union vmcb *v, u64 pa)
{
    struct svm_cpu *s = c->svm;
    u32 dirty = pa == s->cached_pa && s->has.clean ? ~v->clean : ~0u;
    s->cached_pa = pa;
    if (dirty == ~0u)
        load_whole(&s->cache, v);
    else if ((dirty & VMCB_GROUPS) == 0)
        load_fields(&s->cache, v, 0);
    else
        load_fields(&s->cache, v, dirty);
    return &s->cache;
}

static COLD void hook_vmrun(struct vcpu *c, const union vmcb *v)
{
    if (c->fold)
        c->fold(c);
    struct svm_record r = {.entry = true,
                           .np = c->np,
                           .vcpu = c->index,
                           .insns = c->insns,
                           .vmcb_pa = c->svm->vmcb_pa,
                           .eventinj = v->eventinj,
                           .asid = v->asid,
                           .tlb_control = v->tlb_control,
                           .rip = c->st.rip,
                           .rax = c->st.gpr[RAX],
                           .rcx = c->st.gpr[RCX],
                           .rdx = c->st.gpr[RDX],
                           .rsp = c->st.gpr[RSP]};
    c->svm->hooks.on_vmrun(c->svm->hooks.ctx, c, &r);
}

static COLD u64 check_guest(struct vcpu *c, const union vmcb *v, bool pdptes)
{
    struct svm_passed *p = svm_passed_guest(c->svm);
    struct svm_check_in in;
    svm_check_input(c, &in);
    if (pdptes)
        in.pdpte_bad = !mmu_load_pdptes(&c->mmu, c->st.cr3);
    u64 bad = svm_check(v, &in);
    if (!bad && !svm_check_rare(v)) {
        *p = (struct svm_passed){
            .valid = true,
            .hcr0 = c->nest.hcr0,
            .hefer = c->nest.hefer,
#define X(field) .field = v->field,
            SVM_CHECKED_GUEST(X)
#undef X
        };
    }
    return bad;
}

bool svm_vmrun(struct vcpu *c, u64 pa)
{
    struct svm_cpu *s = c->svm;
    struct page p;
    if (UNLIKELY(!s->has.ready))
        svm_learn_profile(c);
    page_open(c, pa, SLOT_VMCB, &p);
    save_host(c, (p.v->virt_ext | s->cache.virt_ext) & s->has.virt_ext & VIRT_EXT_LBR);
    if (UNLIKELY(!p.direct))
        page_open(c, pa, SLOT_VMCB, &p); /* the host state may have landed there too */
    const union vmcb *v = merge(c, p.v, pa);
    c->stat_vmrun++;
    s->vmcb_pa = pa;
    c->guest = true;
    load_control(c, v);
    load_guest(c, v);
    c->keep_rf = false;
    c->pending &= ~(u32)(PEND_TRAP | PEND_VINTR | PEND_VNMI);
    c->trap_dr6 = 0;
    c->next_rip = c->st.rip;
    cpu_update_mode(c);
    c->attn |= ATTN_MODE | ATTN_EVENT;
    bool pdptes = legacy_pae(&c->st) && !c->np;
    u64 bad = 0;
    if (UNLIKELY(pdptes || !passes_as_guest(svm_passed_guest(s), v, c->nest.hcr0, c->nest.hefer)))
        bad = check_guest(c, v, pdptes);
    if (UNLIKELY(bad)) {
        svm_explain(c, v, bad, false);
        c->vx = (struct vmexit){.code = VMEXIT_INVALID_CODE};
        svm_vmexit(c);
        return true;
    }
    tlb_control(c, v->tlb_control);
    c->st.gif = true;
    if (UNLIKELY(c->avic != NULL))
        svm_avic_evaluate(c); /* V_IRQ and its kin are ignored [APM2 15.29.4.1] */
    else if (s->int_ctl & INT_CTL_V_IRQ)
        c->pending |= PEND_VINTR;
    svm_virtual_nmi_pending(c);
    bool injected = v->eventinj & INJ_V;
    if (UNLIKELY(injected))
        inject(c, v);
    if (UNLIKELY(s->hooks.on_vmrun != NULL))
        hook_vmrun(c, v);
    return !injected;
}

