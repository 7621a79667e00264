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

void svm_check_input(struct vcpu *c, struct svm_check_in *in);
void svm_leave_guest(struct vcpu *c);
void svm_virtual_nmi_pending(struct vcpu *c); /* V_NMI that nothing masks asks for the decision point */

#endif
