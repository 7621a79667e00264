// SPDX-License-Identifier: MIT
/* svm's part of a vCPU: creation, reset, leaving guest mode, and small steps that both halves of the world switch use. */
#include "svm/avic.h"
#include "svm/world.h"

#include <stdlib.h>

struct svm_cpu *svm_alloc(void)
{
    struct svm_cpu *s = calloc(1, sizeof *s);
    if (s) {
        s->cached_pa = SVM_NOT_CACHED;
        flags_set(&s->guest_flags.fl, 0);
        flags_set(&s->host_flags.fl, 0);
    }
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

COLD void svm_learn_profile(struct vcpu *c)
{
    u32 sev[4];
    cpuid_query(c, 0x8000001F, 0, sev);
    memset(c->svm->passed_guest, 0, sizeof c->svm->passed_guest);
    c->svm->passed_host.valid = false;
    c->svm->has = (struct svm_profile){
        .ready = true,
        .nrips = cpu_has(c, FEAT_NRIPS),
        .decode = cpu_has(c, FEAT_DECODEASSISTS),
        .clean = cpu_has(c, FEAT_VMCBCLEAN),
        .bus_lock = cpu_has(c, FEAT_BUSLOCKTHR),
        .spec_ctrl = cpu_has(c, FEAT_SPECCTRLVIRT),
        .pause_thresh = cpu_has(c, FEAT_PAUSEFILTERTHR),
        .invlpgb_ctl = cpu_has(c, FEAT_TLBICTL),
        /* The write traps of 010h (bit 15 and up) are those of SEV-ES guests, which no profile has. */
        .icpt_misc2 = 0x00007FFF,
        .icpt_misc3 = 0x1Fu | (cpu_has(c, FEAT_BUSLOCKTHR) ? BIT(ICPT_BUSLOCK & 31) : 0) |
                      (cpu_has(c, FEAT_IDLEHLT) ? BIT(ICPT_IDLE_HLT & 31) : 0),
        .int_ctl = (cpu_has(c, FEAT_VGIF) ? INT_CTL_V_GIF_ENABLE : 0) | (cpu_has(c, FEAT_VNMI) ? INT_CTL_V_NMI_ENABLE : 0),
        .np_ctl = (cpu_has(c, FEAT_NP) ? NP_CTL_NP : 0) | (cpu_has(c, FEAT_GMET) ? NP_CTL_GMET : 0) |
                  (cpu_has(c, FEAT_ROGPT) ? NP_CTL_ROGPT : 0) | (cpu_has(c, FEAT_PML) ? NP_CTL_PML : 0) | NP_CTL_INVLPGB,
        .virt_ext = (cpu_has(c, FEAT_LBRVIRT) ? VIRT_EXT_LBR : 0) | (cpu_has(c, FEAT_VMSAVEVIRT) ? VIRT_EXT_VMLOAD : 0),
        .efer_legal = efer_valid(c) | EFER_SVME,
        .cr4_legal = cr4_valid(c),
        .sev_asids = sev[2],
    };
}

void svm_check_input(struct vcpu *c, struct svm_check_in *in)
{
    const struct svm_profile *has = &c->svm->has;
    if (UNLIKELY(!has->ready)) /* checks on demand, before any VMRUN */
        svm_learn_profile(c);
    in->features = c->features;
    in->hcr0 = c->nest.hcr0;
    in->hcr4 = c->nest.hcr4;
    in->hefer = c->nest.hefer;
    in->efer_legal = has->efer_legal;
    in->cr4_legal = has->cr4_legal;
    in->maxphys = c->mmu.r.maxphys;
    in->sev_asids = has->sev_asids;
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
