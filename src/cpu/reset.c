// SPDX-License-Identifier: MIT
/* RESET and INIT. [APM2 14.1, table 14-1] */
#include "cpu/cpuid.h"
#include "cpu/internal.h"

static void reset_segments(struct cpu_state *s)
{
    for (unsigned i = 0; i < SEG_N; i++)
        s->seg[i] = (struct seg){.limit = 0xFFFF, .attr = ATTR_P | ATTR_S | 3};
    s->seg[SEG_CS].sel = 0xF000;
    s->seg[SEG_CS].base = 0xFFFF0000;
    s->seg[SEG_LDTR].attr = ATTR_P | SYS_LDT;
    s->seg[SEG_TR].attr = ATTR_P | SYS_TSS_BUSY;
    s->gdtr = s->idtr = (struct dtr){.limit = 0xFFFF};
}

static void reset_fpu(struct fpu_state *f)
{
    memset(f, 0, sizeof *f);
    f->fcw = 0x40;
    f->ftw = 0xFF; /* tags 5555h: all valid and zero */
    f->mxcsr = 0x1F80;
    f->xcr0 = 1;
}

static void reset_msrs(struct vcpu *c)
{
    struct cpu_state *s = &c->st;
    s->pat = 0x0007040600070406ull;
    s->apic_base = 0xFEE00800ull | (c->index == 0 ? 0x100 : 0);
    s->tsc_ratio = BIT(32);
    s->smbase = 0x30000;
    if (c->model && c->model->gen >= GEN_K10)
        s->hwcr = BIT(24); /* TscFreqSel: the TSC counts at P0's frequency */
}

void cpu_reset(struct vcpu *c, bool init)
{
    struct cpu_state *s = &c->st;
    struct cpu_state keep = *s;
    memset(s, 0, sizeof *s);
    if (init) {
        /* INIT keeps MSRs but EFER, the FPU, and CR0.CD/NW. */
        *s = keep;
        memset(s->gpr, 0, sizeof s->gpr);
        s->cr0 = CR0_ET | (keep.cr0 & (CR0_CD | CR0_NW));
        if (!(s->vm_cr & 8))
            s->vm_cr &= ~0x10ull; /* VM_CR.SVMDIS falls with INIT unless locked [APM2 15.30.1] */
        s->cr2 = s->cr3 = s->cr4 = s->cr8 = 0;
        s->efer = 0;
        s->pkru = 0;
    } else {
        s->cr0 = CR0_ET | CR0_CD | CR0_NW;
        reset_fpu(&s->fpu);
        reset_msrs(c);
        s->rng = keep.rng;
        memset(&c->mmu.pdpte, 0, sizeof c->mmu.pdpte);
    }
    reset_segments(s);
    s->rip = 0xFFF0;
    s->gpr[RDX] = c->model ? c->model->signature : 0;
    memset(s->dr, 0, sizeof s->dr);
    s->dr6 = 0xFFFF0FF0;
    s->dr7 = 0x400;
    s->gif = init ? keep.gif : true;
    s->nmi_blocked = false;
    s->in_smm = false;
    s->shadow = s->shadow_ss = false;
    s->monitor_addr = ~0ull;
    s->cpl = 0;
    /* INIT parks application processors until a start-up IPI; the boot processor runs. */
    s->activity = c->index == 0 ? ACT_RUN : ACT_WAIT_SIPI;
    s->rflags = FL_ONE;
    flags_set(&c->fl, 0);
    c->next_rip = s->rip;
    c->trap_dr6 = 0;
    c->ev = (struct event){.kind = EV_NONE};
    c->pending &= init ? ~(u32)PEND_TRAP : 0u;
    mmu_flush_all(&c->mmu);
    cpu_update_mode(c);
    c->attn |= ATTN_EVENT;
}
