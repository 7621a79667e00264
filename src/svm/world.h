// SPDX-License-Identifier: MIT
/* Steps that VMRUN, #VMEXIT, VMLOAD and VMSAVE share: pages of physical memory seen as VMCBs, and what moves both ways. Of svm only. */
#ifndef SVMEMU_SVM_WORLD_H
#define SVMEMU_SVM_WORLD_H

#include "svm/svm.h"

#include "cpu/internal.h"

enum { SLOT_VMCB, SLOT_HSAVE };

/* ---- pages ---- */
struct page {
    union vmcb *v;
    u64 pa;
    u32 bpn;
    u8 flags;
    bool direct, drop;
};

void page_bounce(struct vcpu *c, struct page *p, unsigned slot); /* works on a copy from here on */

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
/* A segment is four words in another order: selector and attributes, limit, base in a VMCB; base, limit, selector and attributes in struct
 * seg. */
_Static_assert(sizeof(struct seg) == 16 && offsetof(struct seg, limit) == 8 && offsetof(struct seg, sel) == 12, "load_seg, store_seg");
typedef u32 seg_words __attribute__((vector_size(16)));

static inline void load_seg(struct seg *to, const void *from)
{
    seg_words w;
    memcpy(&w, from, sizeof w);
    w = __builtin_shufflevector(w, w, 2, 3, 1, 0) & (seg_words){~0u, ~0u, ~0u, 0x0FFFFFFF}; /* attributes are 12 bits wide */
    memcpy(to, &w, sizeof w);
}

static inline void store_seg(void *to, const struct seg *from)
{
    seg_words w;
    memcpy(&w, from, sizeof w);
    w = __builtin_shufflevector(w, w, 3, 2, 0, 1);
    memcpy(to, &w, sizeof w);
}
#define STORE_SEG(v, n, s) store_seg((v)->raw + offsetof(union vmcb, n##_sel), s)

/* Bases are made canonical by the linear address size the processor has, not the current mode's. [APM2 15.5.1] */
static inline unsigned top_bit(const struct vcpu *c)
{
    return cpu_has(c, FEAT_LA57) ? 56 : 47;
}

static inline void load_seg_canonical(struct seg *s, const void *from, unsigned top)
{
    load_seg(s, from);
    s->base = sext_bit(s->base, top);
}
#define LOAD_SEG(v, n, s, top) load_seg_canonical(s, (v)->raw + offsetof(union vmcb, n##_sel), top)

static inline void load_segs(struct vcpu *c, const union vmcb *v)
{
    struct cpu_state *st = &c->st;
    unsigned top = top_bit(c);
    load_seg(&st->seg[SEG_ES], v->raw + offsetof(union vmcb, es_sel));
    load_seg(&st->seg[SEG_CS], v->raw + offsetof(union vmcb, cs_sel));
    load_seg(&st->seg[SEG_SS], v->raw + offsetof(union vmcb, ss_sel));
    load_seg(&st->seg[SEG_DS], v->raw + offsetof(union vmcb, ds_sel));
    if (UNLIKELY((v->es_base | v->cs_base | v->ss_base | v->ds_base) >> top))
        for (unsigned i = SEG_ES; i <= SEG_DS; i++)
            st->seg[i].base = sext_bit(st->seg[i].base, top);
    st->gdtr.base = sext_bit(v->gdtr_base, top);
    st->gdtr.limit = (u16)v->gdtr_limit;
    st->idtr.base = sext_bit(v->idtr_base, top);
    st->idtr.limit = (u16)v->idtr_limit;
}

/* What both sides keep in the save layout: the part that clean bits cover, and the rest. */
static inline __attribute__((always_inline)) void store_grouped(const struct vcpu *c, union vmcb *v)
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
}

static inline void store_common(const struct vcpu *c, union vmcb *v, u64 rflags, u64 rip)
{
    const struct cpu_state *st = &c->st;
    store_grouped(c, v);
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

/* RFLAGS where the translation context is made anew anyhow. What comes back is mostly what went out: its lazy form is kept with it. */
static inline u64 get_rflags(struct vcpu *c, struct svm_kept_flags *k)
{
    u64 v = cpu_rflags(c);
    k->arith = v & FL_ARITH;
    k->fl = c->fl;
    return v;
}

static inline void put_rflags(struct vcpu *c, const struct svm_kept_flags *k, u64 v)
{
    c->st.rflags = (v & FL_ALL) | FL_ONE;
    if (LIKELY((v & FL_ARITH) == k->arith))
        c->fl = k->fl;
    else
        flags_set(&c->fl, v);
}

/* ---- checks that need no second look: see struct svm_passed ---- */
static inline struct svm_passed *svm_passed_guest(struct svm_cpu *s) { return &s->passed_guest[s->vmcb_pa >> PAGE_SHIFT & (SVM_PASSED - 1)]; }

static inline bool passes_as_host(const struct svm_passed *p, const union vmcb *v)
{
    u64 differs = !p->valid;
#define X(field) differs |= p->field ^ v->field;
    SVM_CHECKED_HOST(X)
#undef X
    return !differs;
}

static inline bool passes_as_guest(const struct svm_passed *p, const union vmcb *v, u64 hcr0, u64 hefer)
{
    u64 differs = (u64)!p->valid | (p->hcr0 ^ hcr0) | (p->hefer ^ hefer) | (v->int_ctl & SVM_RARE_INT_CTL) | v->s_cet | (v->eventinj & INJ_V);
#define X(field) differs |= p->field ^ v->field;
    SVM_CHECKED_GUEST(X)
#undef X
    return !differs;
}

void svm_learn_profile(struct vcpu *c);
void svm_check_input(struct vcpu *c, struct svm_check_in *in);
void svm_leave_guest(struct vcpu *c);
void svm_virtual_nmi_pending(struct vcpu *c); /* V_NMI that nothing masks asks for the decision point */

#endif
