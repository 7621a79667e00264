// SPDX-License-Identifier: MIT
/* Control registers, EFER, and what follows from a change of mode. [APM2 3.1, 14.6] */
#include "cpu/cpuid.h"
#include "cpu/internal.h"

void cpu_update_mmu(struct vcpu *c)
{
    struct mmu_regs *r = &c->mmu.r;
    bool nested = c->guest && c->np;
    r->cr0 = c->st.cr0;
    r->cr3 = c->st.cr3;
    r->cr4 = c->st.cr4;
    r->efer = c->st.efer;
    r->pat = c->st.pat;
    r->pkru = c->st.pkru;
    r->cpl = c->st.cpl;
    r->ac = c->st.rflags & FL_AC;
    r->maxphys = c->model ? c->model->maxphys : 48;
    r->has_1g = cpu_has(c, FEAT_PAGE1GB);
    r->asid = c->guest ? c->nest.asid : 0;
    r->nested = nested;
    if (nested) {
        r->ncr3 = c->nest.ncr3;
        r->hcr0 = c->nest.hcr0;
        r->hcr4 = c->nest.hcr4;
        r->hefer = c->nest.hefer;
        r->hpat = c->nest.hpat;
        r->gmet = c->nest.gmet;
        r->rogpt = c->nest.rogpt;
        r->pml = c->nest.pml;
        r->avic = c->nest.avic;
        if (UNLIKELY(r->avic)) {
            r->avic_bar = c->nest.avic_bar;
            r->avic_page = c->nest.avic_page;
        }
    } else { /* of the rest these are looked at without a look at `nested` */
        r->hcr0 = 0;
        r->gmet = r->avic = false;
    }
    c->mmu.slow_all = c->st.dr7 & 0xFF;
    mmu_context(&c->mmu);
}

void cpu_update_a20(struct vcpu *c)
{
    c->view.a20_mask = c->a20_masked && !(c->st.vm_cr & 4) ? ~BIT(20) : ~0ull;
    mmu_purge_derived(&c->mmu);
    cpu_update_mode(c);
}

void cpu_update_mode(struct vcpu *c)
{
    cpu_update_mmu(c);
    c->attn |= ATTN_MODE;
}

void cpu_set_cpl(struct vcpu *c, unsigned cpl)
{
    if (c->st.cpl == cpl)
        return;
    c->st.cpl = (u8)cpl;
    cpu_update_mode(c);
}

static bool gp(struct vcpu *c)
{
    return cpu_raise_err(c, EXC_GP, 0);
}

u64 cr4_valid(const struct vcpu *c)
{
    static const struct { u16 feat; u32 bits; } by_feature[] = {
        {FEAT_VME, CR4_VME | CR4_PVI}, {FEAT_TSC, CR4_TSD}, {FEAT_DE, CR4_DE}, {FEAT_PSE, CR4_PSE}, {FEAT_PAE, CR4_PAE},
        {FEAT_MCE, CR4_MCE}, {FEAT_PGE, CR4_PGE}, {FEAT_FXSR, CR4_OSFXSR}, {FEAT_SSE, CR4_OSXMMEXCPT}, {FEAT_UMIP, CR4_UMIP},
        {FEAT_LA57, CR4_LA57}, {FEAT_FSGSBASE, CR4_FSGSBASE}, {FEAT_PCID, CR4_PCIDE}, {FEAT_XSAVE, CR4_OSXSAVE},
        {FEAT_SMEP, CR4_SMEP}, {FEAT_SMAP, CR4_SMAP}, {FEAT_PKU, CR4_PKE}, {FEAT_CETSS, CR4_CET},
    };
    u64 m = CR4_PCE;
    for (unsigned i = 0; i < ARRAY_LEN(by_feature); i++)
        if (cpu_has(c, by_feature[i].feat))
            m |= by_feature[i].bits;
    return m;
}

u64 efer_valid(const struct vcpu *c)
{
    static const struct { u16 feat; u32 bits; } by_feature[] = {
        {FEAT_SYSCALL, EFER_SCE}, {FEAT_LM, EFER_LME | EFER_LMA}, {FEAT_NX, EFER_NXE}, {FEAT_FFXSR, EFER_FFXSR},
        {FEAT_MCOMMIT, EFER_MCOMMIT}, {FEAT_INTWBINVD, EFER_INTWB}, {FEAT_UAI, EFER_UAIE}, {FEAT_AUTOIBRS, EFER_AIBRSE},
    };
    u64 m = 0;
    for (unsigned i = 0; i < ARRAY_LEN(by_feature); i++)
        if (cpu_has(c, by_feature[i].feat))
            m |= by_feature[i].bits;
    if (cpu_has(c, FEAT_SVM) && !(c->st.vm_cr & 0x10))
        m |= EFER_SVME;
    if (cpu_has(c, FEAT_LM) && !cpu_has(c, FEAT_LMSLEUNSUPP))
        m |= EFER_LMSLE;
    if (c->model && c->model->gen >= GEN_BULLDOZER)
        m |= EFER_TCE;
    return m;
}

/* Legacy PAE paging keeps four entries of the top level in the processor [APM2 5.2.3]. */
static bool pae_legacy(u64 cr0, u64 cr4, u64 efer)
{
    return (cr0 & CR0_PG) && (cr4 & CR4_PAE) && !(efer & EFER_LMA);
}

static bool load_pdptes(struct vcpu *c, u64 cr3)
{
    if (c->guest && c->np)
        return true; /* nested: read on each walk [APM2 15.25.10] */
    return mmu_load_pdptes(&c->mmu, cr3) || gp(c);
}

/* Bits software may write; the others read as zero, ET as one. */
#define CR0_KNOWN (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)

static bool check_cr0(struct vcpu *c, u64 v)
{
    u64 changed = c->st.cr0 ^ v;
    if (v >> 32 || ((v & CR0_PG) && !(v & CR0_PE)) || ((v & CR0_NW) && !(v & CR0_CD)))
        return gp(c);
    if (!(changed & CR0_PG))
        return true;
    if (v & CR0_PG) /* long-mode consistency checks [APM2 14.6.1] */
        return !(c->st.efer & EFER_LME) || ((c->st.cr4 & CR4_PAE) && !(c->st.seg[SEG_CS].attr & ATTR_L)) || gp(c);
    return (!cpu_code64(c) && !(c->st.cr4 & CR4_PCIDE)) || gp(c);
}

static bool write_cr0(struct vcpu *c, u64 v)
{
    u64 old = c->st.cr0, efer = c->st.efer;
    v = (v & CR0_KNOWN) | CR0_ET;
    u64 changed = old ^ v;
    if (changed & CR0_PG)
        efer = (v & CR0_PG) && (efer & EFER_LME) ? efer | EFER_LMA : efer & ~(u64)EFER_LMA;
    if (pae_legacy(v, c->st.cr4, efer) && (changed & (CR0_PG | CR0_CD | CR0_NW)) && !load_pdptes(c, c->st.cr3))
        return false;
    c->st.cr0 = v;
    c->st.efer = efer;
    if (!(v & CR0_PE) && (old & CR0_PE))
        c->st.cpl = 0;
    if (changed & CR0_PG)
        mmu_flush_asid(&c->mmu, c->mmu.r.asid);
    cpu_update_mode(c);
    return true;
}

static bool check_cr3(struct vcpu *c, u64 v)
{
    if (c->st.cr4 & CR4_PCIDE)
        v &= ~BIT(63); /* asks to keep the translations */
    return !cpu_long(c) || v >> c->mmu.r.maxphys == 0 || gp(c);
}

static bool write_cr3(struct vcpu *c, u64 v)
{
    bool pcide = c->st.cr4 & CR4_PCIDE, keep = pcide && v >> 63;
    v = cpu_long(c) ? v & (pcide ? ~BIT(63) : ~0ull) : (u32)v;
    if (pae_legacy(c->st.cr0, c->st.cr4, c->st.efer) && !load_pdptes(c, v))
        return false;
    c->st.cr3 = v;
    if (!pcide)
        mmu_flush_asid_nonglobal(&c->mmu, c->mmu.r.asid);
    else if (!keep)
        mmu_flush_pcid(&c->mmu, c->mmu.r.asid, v & 0xFFF);
    cpu_update_mode(c);
    return true;
}

static bool check_cr4(struct vcpu *c, u64 v)
{
    u64 changed = c->st.cr4 ^ v;
    if (v & ~cr4_valid(c))
        return gp(c);
    if (cpu_long(c) && (changed & (CR4_PAE | CR4_LA57)))
        return gp(c);
    if ((changed & v & CR4_PCIDE) && (!cpu_long(c) || (c->st.cr3 & 0xFFF)))
        return gp(c);
    return !(v & CR4_CET) || (c->st.cr0 & CR0_WP) || gp(c);
}

static bool write_cr4(struct vcpu *c, u64 v)
{
    u64 old = c->st.cr4, changed = old ^ v;
    if ((changed & (CR4_PAE | CR4_PGE | CR4_PSE)) && pae_legacy(c->st.cr0, v, c->st.efer) && !load_pdptes(c, c->st.cr3))
        return false;
    c->st.cr4 = v;
    if ((changed & (CR4_PAE | CR4_PGE | CR4_PSE)) || (changed & old & CR4_PCIDE))
        mmu_flush_asid(&c->mmu, c->mmu.r.asid);
    cpu_update_mode(c);
    return true;
}

u64 cr8_read(struct vcpu *c)
{
    if (c->guest && (c->v_intr_masking || c->avic))
        return c->st.cr8;
    return c->ops && c->ops->get_tpr ? c->ops->get_tpr(c->ops->ctx, c->index) >> 4 : c->st.cr8;
}

void cr8_write(struct vcpu *c, u64 v)
{
    /* Without V_INTR_MASKING a guest's write changes both the APIC's TPR and V_TPR [APM2 15.21.2]. */
    if (!(c->guest && (c->v_intr_masking || c->avic)) && c->ops && c->ops->set_tpr)
        c->ops->set_tpr(c->ops->ctx, c->index, (u8)(v << 4));
    c->st.cr8 = v;
    if (UNLIKELY(c->avic != NULL))
        c->avic->cr8_written(c);
    c->attn |= ATTN_EVENT;
}

bool cr_check(struct vcpu *c, unsigned n, u64 v)
{
    switch (n) {
    case 0: return check_cr0(c, v);
    case 2: return true;
    case 3: return check_cr3(c, v);
    case 4: return check_cr4(c, v);
    case 8: return v >> 4 == 0 || gp(c);
    default: return cpu_raise(c, EXC_UD);
    }
}

bool cr_write(struct vcpu *c, unsigned n, u64 v)
{
    if (!cr_check(c, n, v))
        return false;
    switch (n) {
    case 0: return write_cr0(c, v);
    case 2: c->st.cr2 = v; return true;
    case 3: return write_cr3(c, v);
    case 4: return write_cr4(c, v);
    default: cr8_write(c, v); return true;
    }
}

bool efer_write(struct vcpu *c, u64 v)
{
    u64 old = c->st.efer;
    if (v & ~efer_valid(c))
        return gp(c);
    if (((old ^ v) & EFER_LME) && (c->st.cr0 & CR0_PG))
        return gp(c);
    c->st.efer = (v & ~(u64)EFER_LMA) | (old & EFER_LMA); /* LMA is the processor's */
    cpu_update_mode(c);
    return true;
}
