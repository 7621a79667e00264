// SPDX-License-Identifier: MIT
/* svm's part of a vCPU: creation, reset, leaving guest mode, and small steps that both halves of the world switch use. */
#include "svm/avic.h"
#include "svm/world.h"

#include <stdlib.h>

struct svm_cpu *svm_alloc(void)
{
    struct svm_cpu *s = calloc(1, sizeof *s);
    if (s)
        s->cached_pa = SVM_NOT_CACHED;
    return s;
}

void svm_free(struct svm_cpu *s)
{
    free(s);
}

void page_bounce(struct vcpu *c, struct page *p, unsigned slot)
{
    phys_read(&c->view, (struct spa){p->pa}, c->svm->bounce[slot].raw, PAGE_SIZE);
    p->v = &c->svm->bounce[slot];
    p->direct = false;
}

void svm_check_input(struct vcpu *c, struct svm_check_in *in)
{
    struct svm_cpu *s = c->svm;
    if (UNLIKELY(!s->masks_ready)) {
        s->efer_legal = efer_valid(c) | EFER_SVME;
        s->cr4_legal = cr4_valid(c);
        u32 sev[4];
        cpuid_query(c, 0x8000001F, 0, sev);
        s->sev_asids = sev[2];
        s->masks_ready = true;
    }
    in->features = c->features;
    in->hcr0 = c->nest.hcr0;
    in->hcr4 = c->nest.hcr4;
    in->hefer = c->nest.hefer;
    in->efer_legal = s->efer_legal;
    in->cr4_legal = s->cr4_legal;
    in->maxphys = c->mmu.r.maxphys;
    in->sev_asids = s->sev_asids;
    in->st = &c->st;
    in->pdpte_bad = false;
}

/* Out of guest mode: intercepts, virtual interrupts, ASID, offset, nesting. */
void svm_leave_guest(struct vcpu *c)
{
    struct svm_cpu *s = c->svm;
    memset(c->icpt, 0, sizeof c->icpt);
    c->guest = false;
    c->v_intr_masking = false;
    c->tsc_guest_offset = 0;
    c->np = false;
    c->nest.asid = 0;
    c->pending &= ~(u32)(PEND_VINTR | PEND_VNMI | PEND_TRAP | PEND_XTRAP);
    if (UNLIKELY(c->avic != NULL))
        svm_avic_leave(c);
    c->trap_dr6 = 0;
    c->st.shadow = c->st.shadow_ss = false;
    s->delivering = 0;
    s->injecting = false;
    s->int_ctl = 0;
    s->vgif = s->vnmi = false;
    c->attn |= ATTN_MODE | ATTN_EVENT;
}

void svm_reset(struct vcpu *c)
{
    if (!c->svm)
        return;
    svm_leave_guest(c);
    c->svm->virt_ext = 0;
    c->svm->cached_pa = SVM_NOT_CACHED;
}
