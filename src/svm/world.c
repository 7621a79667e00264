// SPDX-License-Identifier: MIT
/* The world switch: VMRUN, #VMEXIT, VMLOAD and VMSAVE. [APM2 15.5, 15.6]
 *
 * Everything goes through the memory of the VMCB and of the host save area, as on silicon: the host state is written to
 * the page at VM_HSAVE_PA in the VMCB's save layout and read back from there, so overlapping or damaged areas have
 * their effect. Every VMRUN loads all fields, which the clean bits permit [APM2 15.15]; a cache would be keyed by pa
 * and filled by the group column of vmcb.def. */
#include "svm/svm.h"

#include "cpu/internal.h"

#include <stdlib.h>

enum { SLOT_VMCB, SLOT_HSAVE };

/* Bits of the intercept words that are never active: 010h bits 15 and up (write traps of SEV-ES guests), 014h beyond
 * TLBSYNC (bus lock threshold and idle HLT are not offered by any profile). */
#define ICPT_WORD4_ACTIVE 0x00007FFFu
#define ICPT_WORD5_ACTIVE 0x0000001Fu

struct svm_cpu *svm_alloc(void)
{
    return calloc(1, sizeof(struct svm_cpu));
}

void svm_free(struct svm_cpu *s)
{
    free(s);
}

/* ---- pages ---- */
struct page {
    union vmcb *v;
    u64 pa;
    u32 bpn;
    u8 flags;
    bool direct, drop;
};

static COLD void page_bounce(struct vcpu *c, struct page *p, unsigned slot)
{
    phys_read(&c->view, (struct spa){p->pa}, c->svm->bounce[slot].raw, PAGE_SIZE);
    p->v = &c->svm->bounce[slot];
    p->direct = false;
}

static inline void page_open(struct vcpu *c, u64 pa, unsigned slot, struct page *p)
{
    struct phys_page pp;
    p->pa = pa;
    p->direct = true;
    p->drop = false;
    if (LIKELY(phys_lookup(&c->view, (struct spa){pa}, &pp) && pp.host)) {
        p->v = (union vmcb *)(void *)pp.host;
        p->bpn = pp.bpn;
        p->flags = pp.flags;
        return;
    }
    page_bounce(c, p, slot);
}

/* Before the first store to a page: the page's flags are honoured once for all of them. */
static inline void page_writable(struct vcpu *c, struct page *p, unsigned slot)
{
    if (LIKELY(p->direct && !p->flags))
        return;
    if (p->direct && !page_before_write(c->view.bus, p->bpn, 0, PAGE_SIZE)) {
        page_bounce(c, p, slot); /* ROM: the stores go to the copy and are lost */
        p->drop = true;
    }
}

static inline void page_close(struct vcpu *c, const struct page *p, unsigned from, unsigned to)
{
    if (UNLIKELY(!p->direct && !p->drop))
        phys_write(&c->view, (struct spa){p->pa + from}, p->v->raw + from, to - from);
}

/* ---- segments ---- */
#define STORE_SEG(v, n, s)                                                                                             \
    do {                                                                                                               \
        (v)->n##_sel = (s)->sel;                                                                                       \
        (v)->n##_attr = (s)->attr;                                                                                     \
        (v)->n##_limit = (s)->limit;                                                                                   \
        (v)->n##_base = (s)->base;                                                                                     \
    } while (0)
#define LOAD_SEG(v, n, s, top)                                                                                         \
    (*(s) = (struct seg){.base = sext_bit((v)->n##_base, top),                                                         \
                         .limit = (v)->n##_limit,                                                                      \
                         .sel = (v)->n##_sel,                                                                          \
                         .attr = (v)->n##_attr & 0xFFF})

/* Bases are made canonical by the linear address size the processor has, not the current mode's. [APM2 15.5.1] */
static inline unsigned top_bit(const struct vcpu *c)
{
    return cpu_has(c, FEAT_LA57) ? 56 : 47;
}

static inline void load_segs(struct vcpu *c, const union vmcb *v)
{
    struct cpu_state *st = &c->st;
    unsigned top = top_bit(c);
    LOAD_SEG(v, es, &st->seg[SEG_ES], top);
    LOAD_SEG(v, cs, &st->seg[SEG_CS], top);
    LOAD_SEG(v, ss, &st->seg[SEG_SS], top);
    LOAD_SEG(v, ds, &st->seg[SEG_DS], top);
    st->gdtr.base = sext_bit(v->gdtr_base, top);
    st->gdtr.limit = (u16)v->gdtr_limit;
    st->idtr.base = sext_bit(v->idtr_base, top);
    st->idtr.limit = (u16)v->idtr_limit;
}

/* What both sides keep in the save layout. */
static inline void store_common(const struct vcpu *c, union vmcb *v, u64 rflags, u64 rip)
{
    const struct cpu_state *st = &c->st;
    STORE_SEG(v, es, &st->seg[SEG_ES]);
    STORE_SEG(v, cs, &st->seg[SEG_CS]);
    STORE_SEG(v, ss, &st->seg[SEG_SS]);
    STORE_SEG(v, ds, &st->seg[SEG_DS]);
    v->gdtr_base = st->gdtr.base;
    v->gdtr_limit = st->gdtr.limit;
    v->idtr_base = st->idtr.base;
    v->idtr_limit = st->idtr.limit;
    v->cpl = st->cpl;
    v->efer = st->efer;
    v->cr0 = st->cr0;
    v->cr3 = st->cr3;
    v->cr4 = st->cr4;
    v->rflags = rflags;
    v->rip = rip;
    v->rsp = st->gpr[RSP];
    v->rax = st->gpr[RAX];
}

static inline void store_lbr(const struct cpu_state *st, union vmcb *v)
{
    v->dbgctl = st->debugctl;
    v->br_from = st->br_from;
    v->br_to = st->br_to;
    v->last_excp_from = st->last_excp_from;
    v->last_excp_to = st->last_excp_to;
}

static inline void load_lbr(struct cpu_state *st, const union vmcb *v)
{
    st->debugctl = v->dbgctl & 0x3F;
    st->br_from = v->br_from;
    st->br_to = v->br_to;
    st->last_excp_from = v->last_excp_from;
    st->last_excp_to = v->last_excp_to;
}

/* LMA follows from LME and PG; no source lists a difference as a failure. */
static inline u64 efer_with_lma(u64 efer, u64 cr0)
{
    u64 e = efer & ~(u64)(EFER_LMA | 0xFE);
    return (e & EFER_LME) && (cr0 & CR0_PG) ? e | EFER_LMA : e;
}

static inline bool legacy_pae(const struct cpu_state *st)
{
    return (st->cr0 & CR0_PG) && (st->cr4 & CR4_PAE) && !(st->efer & EFER_LMA);
}

static void check_input(struct vcpu *c, struct svm_check_in *in)
{
    struct svm_cpu *s = c->svm;
    if (UNLIKELY(!s->masks_ready)) {
        s->efer_legal = efer_valid(c) | EFER_SVME;
        s->cr4_legal = cr4_valid(c);
        s->masks_ready = true;
    }
    in->features = c->features;
    in->hcr0 = c->nest.hcr0;
    in->hcr4 = c->nest.hcr4;
    in->hefer = c->nest.hefer;
    in->efer_legal = s->efer_legal;
    in->cr4_legal = s->cr4_legal;
    in->maxphys = c->mmu.r.maxphys;
    in->pdpte_bad = false;
}

/* ---- VMRUN ---- */
static void save_host(struct vcpu *c, bool lbr)
{
    struct page p;
    page_open(c, c->st.vm_hsave_pa & ~(u64)PAGE_MASK, SLOT_HSAVE, &p);
    page_writable(c, &p, SLOT_HSAVE);
    store_common(c, p.v, cpu_rflags(c) & ~(u64)FL_RF, c->next_rip);
    if (lbr)
        store_lbr(&c->st, p.v);
    page_close(c, &p, offsetof(union vmcb, es_sel), offsetof(union vmcb, spec_ctrl));
}

static void load_control(struct vcpu *c, const union vmcb *v)
{
    struct svm_cpu *s = c->svm;
    bool np = (v->np_ctl & NP_CTL_NP) && cpu_has(c, FEAT_NP);
    c->icpt[0] = v->icpt_cr;
    c->icpt[1] = v->icpt_dr;
    c->icpt[2] = v->icpt_exc;
    c->icpt[3] = v->icpt_misc1;
    c->icpt[4] = v->icpt_misc2 & ICPT_WORD4_ACTIVE;
    c->icpt[5] = v->icpt_misc3 & ICPT_WORD5_ACTIVE;
    s->iopm = v->iopm_base & ~(u64)PAGE_MASK;
    s->msrpm = v->msrpm_base & ~(u64)PAGE_MASK;
    s->int_ctl = v->int_ctl;
    s->int_vector = v->int_vector;
    s->vgif = (v->int_ctl & INT_CTL_V_GIF_ENABLE) && cpu_has(c, FEAT_VGIF);
    s->vnmi = (v->int_ctl & INT_CTL_V_NMI_ENABLE) && cpu_has(c, FEAT_VNMI);
    s->virt_ext = v->virt_ext &
                  ((cpu_has(c, FEAT_LBRVIRT) ? VIRT_EXT_LBR : 0) | (cpu_has(c, FEAT_VMSAVEVIRT) ? VIRT_EXT_VMLOAD : 0));
    s->pause_reload = s->pause_count = v->pause_count;
    s->pause_thresh = cpu_has(c, FEAT_PAUSEFILTERTHR) ? v->pause_thresh : 0;
    s->pause_last = c->ticks;
    s->delivering = 0;
    s->injecting = false;
    s->host_pat = c->st.pat;
    s->host_spec_ctrl = c->st.spec_ctrl;
    c->tsc_guest_offset = v->tsc_offset;
    c->v_intr_masking = v->int_ctl & INT_CTL_V_INTR_MASKING;
    c->host_if = c->st.rflags & FL_IF;
    c->np = np;
    c->nest.asid = v->asid;
    c->nest.gmet = (v->np_ctl & NP_CTL_GMET) && cpu_has(c, FEAT_GMET);
    c->nest.rogpt = (v->np_ctl & NP_CTL_ROGPT) && cpu_has(c, FEAT_ROGPT);
    c->nest.ncr3 = v->n_cr3;
    c->nest.hcr0 = c->st.cr0;
    c->nest.hcr4 = c->st.cr4;
    c->nest.hefer = c->st.efer;
    c->nest.hpat = c->st.pat;
    c->st.shadow = v->int_state & 1;
    c->st.shadow_ss = false;
    c->st.cr8 = v->int_ctl & 0xF;
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
    /* P and S of CS are not looked at: a code segment is present. */
    st->seg[SEG_CS].attr |= ATTR_P | ATTR_S;
    if ((st->cr0 & CR0_PE) && !(rflags & FL_VM))
        st->seg[SEG_CS].attr |= 8;
    if (c->np)
        st->pat = v->g_pat;
    if (cpu_has(c, FEAT_SPECCTRLVIRT))
        st->spec_ctrl = v->spec_ctrl;
    if (c->svm->virt_ext & VIRT_EXT_LBR)
        load_lbr(st, v);
    cpu_set_rflags(c, rflags);
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
                           .rsp = c->st.gpr[RSP]};
    c->svm->hooks.on_vmrun(c->svm->hooks.ctx, c, &r);
}

bool svm_vmrun(struct vcpu *c, u64 pa)
{
    struct svm_cpu *s = c->svm;
    struct svm_check_in in;
    struct page p;
    page_open(c, pa, SLOT_VMCB, &p);
    save_host(c, (p.v->virt_ext & VIRT_EXT_LBR) && cpu_has(c, FEAT_LBRVIRT));
    if (UNLIKELY(!p.direct))
        page_open(c, pa, SLOT_VMCB, &p); /* the host state may have landed there too */
    c->stat_vmrun++;
    s->vmcb_pa = pa;
    c->guest = true;
    load_control(c, p.v);
    load_guest(c, p.v);
    c->keep_rf = false;
    c->pending &= ~(u32)(PEND_TRAP | PEND_VINTR | PEND_VNMI);
    c->trap_dr6 = 0;
    c->next_rip = c->st.rip;
    cpu_update_mode(c);
    c->attn |= ATTN_MODE | ATTN_EVENT;
    check_input(c, &in);
    if (UNLIKELY(legacy_pae(&c->st) && !c->np))
        in.pdpte_bad = !mmu_load_pdptes(&c->mmu, c->st.cr3);
    u64 bad = svm_check(p.v, &in);
    if (UNLIKELY(bad)) {
        svm_explain(c, p.v, bad, "vmrun.check.");
        c->vx = (struct vmexit){.code = VMEXIT_INVALID_CODE};
        svm_vmexit(c);
        return true;
    }
    tlb_control(c, p.v->tlb_control);
    c->st.gif = true;
    if (s->int_ctl & INT_CTL_V_IRQ)
        c->pending |= PEND_VINTR;
    if (s->vnmi && (s->int_ctl & INT_CTL_V_NMI))
        c->pending |= PEND_VNMI;
    bool injected = p.v->eventinj & INJ_V;
    if (UNLIKELY(injected))
        inject(c, p.v);
    if (UNLIKELY(s->hooks.on_vmrun != NULL))
        hook_vmrun(c, p.v); /* last: a hook may change what p.v points to */
    return !injected;
}

/* ---- #VMEXIT ---- */
static COLD unsigned fetch_bytes(struct vcpu *c, u8 *out)
{
    unsigned n = 0;
    bool code64 = cpu_code64(c);
    for (; n < INSN_MAX_LEN; n++) {
        u64 off = c->st.rip + n, lin = c->st.seg[SEG_CS].base + off;
        struct spa spa;
        if (!code64) {
            lin = (u32)lin;
            if (off > c->st.seg[SEG_CS].limit)
                break;
        } else if (!cpu_canonical(c, lin)) {
            break;
        }
        if (!mmu_peek(&c->mmu, (struct gva){lin}, &spa))
            break;
        phys_read(&c->view, spa, out + n, 1);
    }
    return n;
}

static void store_exit(struct vcpu *c, union vmcb *v)
{
    struct svm_cpu *s = c->svm;
    u32 moved =
        0xFF | INT_CTL_V_IRQ | (s->vgif ? INT_CTL_V_GIF : 0) | (s->vnmi ? INT_CTL_V_NMI | INT_CTL_V_NMI_MASK : 0);
    if (s->vnmi && (s->delivering & INJ_V) && (s->delivering >> 8 & 7) == INJ_NMI)
        s->int_ctl &= ~(u32)INT_CTL_V_NMI_MASK; /* the NMI is in EXITINTINFO and not yet taken [APM2 15.21.10] */
    v->int_ctl = (v->int_ctl & ~moved) | (s->int_ctl & moved & ~0xFFu) | (u32)(c->st.cr8 & 0xF);
    v->int_state = (v->int_state & ~1ull) | c->st.shadow;
    v->exitcode = c->vx.code;
    v->exitinfo1 = c->vx.info1;
    v->exitinfo2 = c->vx.info2;
    v->exitintinfo = s->delivering;
    v->eventinj = 0;
    if (cpu_has(c, FEAT_NRIPS))
        v->nrip = c->vx.nrip_valid ? c->next_rip : 0;
    if (cpu_has(c, FEAT_DECODEASSISTS))
        v->insn_len = c->vx.bytes_valid ? (u8)fetch_bytes(c, v->insn_bytes.b) : 0;
}

static void store_guest(struct vcpu *c, union vmcb *v)
{
    const struct cpu_state *st = &c->st;
    store_common(c, v, cpu_rflags(c), st->rip);
    v->cr2 = st->cr2;
    v->dr6 = st->dr6;
    v->dr7 = st->dr7;
    if (c->np)
        v->g_pat = st->pat;
    if (cpu_has(c, FEAT_SPECCTRLVIRT))
        v->spec_ctrl = st->spec_ctrl;
    if (c->svm->virt_ext & VIRT_EXT_LBR)
        store_lbr(st, v);
}

/* Out of guest mode: intercepts, virtual interrupts, ASID, offset, nesting. */
static void leave_guest(struct vcpu *c)
{
    struct svm_cpu *s = c->svm;
    memset(c->icpt, 0, sizeof c->icpt);
    c->guest = false;
    c->v_intr_masking = false;
    c->tsc_guest_offset = 0;
    c->np = false;
    c->nest.asid = 0;
    c->pending &= ~(u32)(PEND_VINTR | PEND_VNMI | PEND_TRAP);
    c->trap_dr6 = 0;
    c->st.shadow = c->st.shadow_ss = false;
    s->delivering = 0;
    s->injecting = false;
    s->int_ctl = 0;
    s->vgif = s->vnmi = false;
    c->attn |= ATTN_MODE | ATTN_EVENT;
}

static void load_host(struct vcpu *c, const union vmcb *h, bool np, bool lbr)
{
    struct cpu_state *st = &c->st;
    load_segs(c, h);
    st->cr0 = h->cr0 | CR0_PE;
    st->cr3 = h->cr3;
    st->cr4 = h->cr4;
    st->efer = efer_with_lma(h->efer, h->cr0);
    st->rip = h->rip;
    st->gpr[RSP] = h->rsp;
    st->gpr[RAX] = h->rax;
    st->cpl = 0;
    st->dr7 = 0x400;
    if (np)
        st->pat = c->svm->host_pat;
    if (cpu_has(c, FEAT_SPECCTRLVIRT))
        st->spec_ctrl = c->svm->host_spec_ctrl;
    if (lbr)
        load_lbr(st, h);
    c->next_rip = st->rip;
    cpu_set_rflags(c, h->rflags & ~(u64)(FL_VM | FL_RF));
    cpu_update_mode(c);
}

static COLD void hook_vmexit(struct vcpu *c, const struct svm_record *part, const union vmcb *v)
{
    struct svm_record r = *part;
    if (c->fold)
        c->fold(c);
    r.vcpu = c->index;
    r.insns = c->insns;
    r.vmcb_pa = c->svm->vmcb_pa;
    r.code = v->exitcode;
    r.info1 = v->exitinfo1;
    r.info2 = v->exitinfo2;
    r.intinfo = v->exitintinfo;
    r.nrip = v->nrip;
    c->svm->hooks.on_vmexit(c->svm->hooks.ctx, c, &r);
}

void svm_vmexit(struct vcpu *c)
{
    struct svm_cpu *s = c->svm;
    struct svm_check_in in;
    struct page p, h;
    bool np = c->np, lbr = s->virt_ext & VIRT_EXT_LBR;
    struct svm_record rec = {.np = np,
                             .asid = c->nest.asid,
                             .rip = c->st.rip,
                             .rax = c->st.gpr[RAX],
                             .rcx = c->st.gpr[RCX],
                             .rsp = c->st.gpr[RSP]};
    c->st.gif = false;
    c->stat_vmexit++;
    cpu_charge_class(c, TIME_vmexit);
    s->exits[svm_stat_index(c->vx.code)]++;
    page_open(c, s->vmcb_pa, SLOT_VMCB, &p);
    page_writable(c, &p, SLOT_VMCB);
    store_exit(c, p.v);
    store_guest(c, p.v);
    page_close(c, &p, offsetof(union vmcb, int_ctl), 0x700);

    leave_guest(c);
    page_open(c, c->st.vm_hsave_pa & ~(u64)PAGE_MASK, SLOT_HSAVE, &h);
    load_host(c, h.v, np, lbr);
    c->st.activity = ACT_RUN;
    c->ev.kind = EV_NONE;
    c->keep_rf = false;
    check_input(c, &in);
    if (UNLIKELY(legacy_pae(&c->st)))
        in.pdpte_bad = !mmu_load_pdptes(&c->mmu, c->st.cr3);
    u64 bad = svm_check_host(h.v, &in);
    if (UNLIKELY(bad)) {
        svm_explain(c, h.v, bad, "vmexit.host.");
        c->st.activity = ACT_SHUTDOWN;
    } else if (UNLIKELY(c->st.rflags & FL_TF)) {
        c->trap_dr6 |= 1u << 14; /* single step over VMRUN: #DB after the #VMEXIT [APM2 15.6] */
        c->pending |= PEND_TRAP;
    }
    if (UNLIKELY(s->hooks.on_vmexit != NULL))
        hook_vmexit(c, &rec, p.v);
}

void svm_reset(struct vcpu *c)
{
    if (!c->svm)
        return;
    leave_guest(c);
    c->svm->virt_ext = 0;
}

/* ---- VMLOAD, VMSAVE [APM2 15.5.2] ---- */
/* In a guest with virtual VMLOAD/VMSAVE the address is guest-physical. False: an exit is recorded. [APM2 15.33.1] */
static bool resolve(struct vcpu *c, u64 *pa, bool write, u64 code)
{
    struct mmu_xl xl;
    struct mmu_fault f;
    if (LIKELY(!c->guest || !(c->svm->virt_ext & VIRT_EXT_VMLOAD)))
        return true;
    if (!c->np || !(c->nest.hefer & EFER_LMA))
        return cpu_exit(c, code, 0, 0);
    if (!mmu_translate_gpa(&c->mmu, (struct gpa){*pa}, write ? ACC_W : ACC_R, &xl, &f))
        return cpu_raise_pf(c, &f);
    *pa = xl.spa.v & ~(u64)PAGE_MASK;
    return true;
}

#define VMLOAD_MSRS(X) X(star) X(lstar) X(cstar) X(sfmask) X(sysenter_cs) X(sysenter_esp) X(sysenter_eip)

bool svm_vmload(struct vcpu *c, u64 pa)
{
    struct cpu_state *st = &c->st;
    unsigned top = top_bit(c);
    struct page p;
    if (!resolve(c, &pa, false, VMEXIT_VMLOAD))
        return false;
    page_open(c, pa, SLOT_VMCB, &p);
    LOAD_SEG(p.v, fs, &st->seg[SEG_FS], top);
    LOAD_SEG(p.v, gs, &st->seg[SEG_GS], top);
    LOAD_SEG(p.v, ldtr, &st->seg[SEG_LDTR], top);
    LOAD_SEG(p.v, tr, &st->seg[SEG_TR], top);
    st->seg[SEG_TR].attr |= ATTR_P; /* P of TR is not looked at */
    st->kernel_gs_base = sext_bit(p.v->kernel_gs_base, top);
#define X(m) st->m = p.v->m;
    VMLOAD_MSRS(X)
#undef X
    return true;
}

bool svm_vmsave(struct vcpu *c, u64 pa)
{
    const struct cpu_state *st = &c->st;
    struct page p;
    if (!resolve(c, &pa, true, VMEXIT_VMSAVE))
        return false;
    page_open(c, pa, SLOT_VMCB, &p);
    page_writable(c, &p, SLOT_VMCB);
    STORE_SEG(p.v, fs, &st->seg[SEG_FS]);
    STORE_SEG(p.v, gs, &st->seg[SEG_GS]);
    STORE_SEG(p.v, ldtr, &st->seg[SEG_LDTR]);
    STORE_SEG(p.v, tr, &st->seg[SEG_TR]);
    p.v->kernel_gs_base = st->kernel_gs_base;
#define X(m) p.v->m = st->m;
    VMLOAD_MSRS(X)
#undef X
    page_close(c, &p, offsetof(union vmcb, fs_sel), offsetof(union vmcb, gdtr_limit) - 4);
    page_close(c, &p, offsetof(union vmcb, ldtr_sel), offsetof(union vmcb, ldtr_sel) + 16);
    page_close(c, &p, offsetof(union vmcb, tr_sel), offsetof(union vmcb, tr_sel) + 16);
    page_close(c, &p, offsetof(union vmcb, star), offsetof(union vmcb, cr2));
    return true;
}
