// SPDX-License-Identifier: MIT
/* #VMEXIT: exit information, guest state, the host again. [APM2 15.6] */
#include "svm/world.h"

static COLD unsigned fetch_bytes(struct vcpu *c, u8 *out)
{
    unsigned n = 0;
    bool code64 = cpu_code64(c);
    for (; n < INSN_MAX_LEN; n++) {
        u64 off = c->st.rip + n, lin = cpu_code_lin(c, off);
        struct spa spa;
        if (code64 ? !cpu_canonical(c, lin) : off > c->st.seg[SEG_CS].limit)
            break;
        if (!mmu_peek(&c->mmu, (struct gva){lin}, &spa))
            break;
        phys_read(&c->view, spa, out + n, 1);
    }
    return n;
}

static void store_exit(struct vcpu *c, union vmcb *v)
{
    struct svm_cpu *s = c->svm;
    if (s->vnmi && (s->delivering & INJ_V) && (s->delivering >> 8 & 7) == INJ_NMI)
        s->int_ctl &= ~(u32)INT_CTL_V_NMI_MASK; /* the NMI is in EXITINTINFO and not yet taken [APM2 15.21.10] */
    v->int_state = (v->int_state & ~1ull) | c->st.shadow;
    v->exitcode = c->vx.code;
    v->exitinfo1 = c->vx.info1;
    v->exitinfo2 = c->vx.info2;
    v->exitintinfo = s->delivering;
    if (s->has.bus_lock)
        v->bus_lock_count = s->bus_lock_count;
    if (UNLIKELY(c->nest.pml))
        v->pml_index = c->mmu.pml_index;
    v->eventinj = 0;
    if (s->has.nrips)
        v->nrip = c->vx.nrip_valid ? c->next_rip : 0;
    if (s->has.decode)
        v->insn_len = c->vx.bytes_valid ? (u8)fetch_bytes(c, v->insn_bytes.b) : 0;
}

/* The bits of the V_ word that the processor changes; the others are as software left them, in memory and in the cached copy. */
static inline void store_int_ctl(const struct vcpu *c, union vmcb *v)
{
    const struct svm_cpu *s = c->svm;
    u32 moved =
        0xFF | INT_CTL_V_IRQ | (s->vgif ? INT_CTL_V_GIF : 0) | (s->vnmi ? INT_CTL_V_NMI | INT_CTL_V_NMI_MASK : 0);
    v->int_ctl = (v->int_ctl & ~moved) | (s->int_ctl & moved & ~0xFFu) | (u32)(c->st.cr8 & 0xF);
}

/* The guest's state that clean bits cover. */
static inline __attribute__((always_inline)) void store_guest_grouped(const struct vcpu *c, union vmcb *v)
{
    const struct cpu_state *st = &c->st;
    store_grouped(c, v);
    store_int_ctl(c, v);
    v->cr2 = st->cr2;
    v->dr6 = st->dr6;
    v->dr7 = st->dr7;
    if (c->np)
        v->g_pat = st->pat;
    if (UNLIKELY(c->svm->virt_ext & VIRT_EXT_LBR))
        store_lbr(st, v);
}

static inline void store_guest(struct vcpu *c, union vmcb *v)
{
    const struct cpu_state *st = &c->st;
    store_guest_grouped(c, v);
    v->rflags = get_rflags(c, &c->svm->guest_flags);
    v->rip = st->rip;
    v->rsp = st->gpr[RSP];
    v->rax = st->gpr[RAX];
    if (c->svm->has.spec_ctrl)
        v->spec_ctrl = st->spec_ctrl;
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
    if (c->svm->has.spec_ctrl)
        st->spec_ctrl = c->svm->host_spec_ctrl;
    if (lbr)
        load_lbr(st, h);
    c->next_rip = st->rip;
    put_rflags(c, &c->svm->host_flags, h->rflags & ~(u64)(FL_VM | FL_RF));
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
    r.nrip = cpu_has(c, FEAT_NRIPS) ? v->nrip : 0;
    r.rdx = c->st.gpr[RDX];
    r.assists = cpu_has(c, FEAT_DECODEASSISTS);
    if (r.code == VMEXIT_INVALID_CODE)
        r.violated = c->svm->failed[0].violated;
    c->svm->hooks.on_vmexit(c->svm->hooks.ctx, c, &r);
}

static COLD u64 check_host(struct vcpu *c, const union vmcb *h, bool pdptes)
{
    struct svm_passed *p = &c->svm->passed_host;
    struct svm_check_in in;
    svm_check_input(c, &in);
    if (pdptes)
        in.pdpte_bad = !mmu_load_pdptes(&c->mmu, c->st.cr3);
    u64 bad = svm_check_host(h, &in);
    if (!bad && !(h->cr4 & CR4_CET)) {
        *p = (struct svm_passed){
            .valid = true,
#define X(field) .field = h->field,
            SVM_CHECKED_HOST(X)
#undef X
        };
    }
    return bad;
}

void svm_vmexit(struct vcpu *c)
{
    struct svm_cpu *s = c->svm;
    struct page p, h;
    bool np = c->np, lbr = s->virt_ext & VIRT_EXT_LBR;
    struct svm_record rec;
    if (UNLIKELY(s->hooks.on_vmexit != NULL)) /* while the registers are the guest's */
        rec = (struct svm_record){.np = np,
                                  .asid = c->nest.asid,
                                  .rip = c->st.rip,
                                  .rax = c->st.gpr[RAX],
                                  .rcx = c->st.gpr[RCX],
                                  .rsp = c->st.gpr[RSP]};
    c->st.gif = false;
    c->stat_vmexit++;
    cpu_charge_class(c, TIME_vmexit);
    s->exits[svm_stat_index(c->vx.code)]++;
    s->past[c->stat_vmexit % SVM_PAST] = (struct svm_past){ c->vx.code, c->vx.info1, c->vx.info2, c->st.rip };
    page_open(c, s->vmcb_pa, SLOT_VMCB, &p);
    page_writable(c, &p, SLOT_VMCB);
    store_exit(c, p.v);
    store_guest(c, p.v);
    page_close(c, &p, offsetof(union vmcb, int_ctl), 0x700);
    /* The cached copy follows what is stored; after VMEXIT_INVALID none is kept and the next VMRUN loads everything. [APM2 15.15] */
    store_guest_grouped(c, &s->cache);
    s->cached_pa = UNLIKELY(c->vx.code == VMEXIT_INVALID_CODE) ? SVM_NOT_CACHED : s->vmcb_pa;

    svm_leave_guest(c);
    page_open(c, c->st.vm_hsave_pa & ~(u64)PAGE_MASK, SLOT_HSAVE, &h);
    load_host(c, h.v, np, lbr);
    c->st.activity = ACT_RUN;
    c->ev.kind = EV_NONE;
    c->keep_rf = false;
    bool pdptes = legacy_pae(&c->st);
    u64 bad = 0;
    if (UNLIKELY(pdptes || !passes_as_host(&s->passed_host, h.v)))
        bad = check_host(c, h.v, pdptes);
    if (UNLIKELY(bad)) {
        svm_explain(c, h.v, bad, true);
        c->st.activity = ACT_SHUTDOWN;
    } else if (UNLIKELY(c->st.rflags & FL_TF)) {
        c->trap_dr6 |= 1u << 14; /* single step over VMRUN: #DB after the #VMEXIT [APM2 15.6] */
        c->pending |= PEND_TRAP;
    }
    if (UNLIKELY(s->hooks.on_vmexit != NULL))
        hook_vmexit(c, &rec, p.v);
}
