// SPDX-License-Identifier: MIT
/* AVIC: the guest's APIC registers in the backing page, virtual interrupts out of it, doorbells. [APM2 15.29]
 *
 * Nothing is kept outside memory but the VMCB's pointers and V_TPR: the backing page is the state. Accesses arrive by two ways: in xAVIC
 * mode by the guest-physical page APIC_BAR, which the MMU marks, in x2AVIC mode by MSRs 800h-8FFh that the MSRPM lets through. */
#include "svm/avic.h"

/* ---- what a register access does [APM2 table 15-22] ---- */

enum access { ALLOW, FAULT, TRAP, ACCEL };
enum { X2_NONE, X2_R = 1, X2_W = 2, X2_RW = 3 };
struct reg {
    u16 first, last;
    u8 read, write;
    u8 x2;          /* directions that exist as MSR; the other is #GP(0) */
    u64 x2_writable; /* bits; others are #GP(0) */
};
static const struct reg regs[] = { /* ascending; what lies between them is allowed and has no meaning */
    { 0x020, 0x02F, ALLOW, TRAP, X2_R, 0 },                /* ID */
    { 0x030, 0x03F, ALLOW, FAULT, X2_R, 0 },               /* version */
    { 0x080, 0x08F, ALLOW, ACCEL, X2_RW, 0xFF },           /* TPR */
    { 0x090, 0x09F, FAULT, FAULT, X2_NONE, 0 },            /* APR */
    { 0x0A0, 0x0AF, ALLOW, FAULT, X2_R, 0 },               /* PPR */
    { 0x0B0, 0x0BF, ALLOW, ACCEL, X2_W, 0 },               /* EOI */
    { 0x0C0, 0x0CF, ALLOW, TRAP, X2_NONE, 0 },             /* remote read */
    { 0x0D0, 0x0DF, ALLOW, TRAP, X2_R, 0 },                /* LDR */
    { 0x0E0, 0x0EF, ALLOW, TRAP, X2_NONE, 0 },             /* DFR */
    { 0x0F0, 0x0FF, ALLOW, TRAP, X2_RW, 0x3FF },           /* SVR */
    { 0x100, 0x27F, ALLOW, FAULT, X2_R, 0 },               /* ISR, TMR, IRR */
    { 0x280, 0x28F, ALLOW, TRAP, X2_RW, 0 },               /* ESR */
    { 0x300, 0x30F, ALLOW, ACCEL, X2_RW, 0xFFFFFFFF000CDFFF }, /* ICR low; all of ICR as MSR */
    { 0x310, 0x31F, ALLOW, ALLOW, X2_NONE, 0 },            /* ICR high */
    { 0x320, 0x32F, ALLOW, TRAP, X2_RW, 0x310FF },         /* timer LVT: TSC-deadline mode is not virtualized */
    { 0x330, 0x34F, ALLOW, TRAP, X2_RW, 0x117FF },         /* thermal, performance LVT */
    { 0x350, 0x36F, ALLOW, TRAP, X2_RW, 0x1F7FF },         /* LINT0, LINT1 */
    { 0x370, 0x37F, ALLOW, TRAP, X2_RW, 0x110FF },         /* error LVT */
    { 0x380, 0x38F, ALLOW, TRAP, X2_RW, 0xFFFFFFFF },      /* timer initial count */
    { 0x390, 0x39F, FAULT, FAULT, X2_R, 0 },               /* timer current count */
    { 0x3E0, 0x3EF, ALLOW, TRAP, X2_RW, 0xB },             /* timer divider */
    { 0x400, 0x42F, FAULT, FAULT, X2_RW, ~0ull },          /* extended feature, control, SEOI */
    { 0x480, 0x4FF, FAULT, FAULT, X2_RW, ~0ull },          /* IER */
    { 0x500, 0x57F, FAULT, FAULT, X2_RW, ~0ull },          /* extended LVT; see reg_of() */
    { 0x580, 0xFFF, FAULT, FAULT, X2_NONE, 0 },
};
static const struct reg self_ipi = { VAPIC_SELF_IPI, 0x3FF, ALLOW, ACCEL, X2_W, 0xFF }; /* as MSR only */
static const struct reg no_reg = { 0, 0, ALLOW, ALLOW, X2_NONE, 0 };

static struct reg reg_of(const struct vcpu *c, unsigned off)
{
    for (unsigned i = 0; i < ARRAY_LEN(regs); i++) {
        if (off < regs[i].first || off > regs[i].last)
            continue;
        struct reg r = regs[i];
        if (r.first == 0x500 && cpu_has(c, FEAT_EXTLVTAVIC)) {
            r.read = ALLOW;
            r.write = TRAP;
        }
        return r;
    }
    return no_reg;
}

static u64 access_info(unsigned off, bool write)
{
    return (off & 0xFF0) | (u64)write << 32;
}

void svm_avic_trap(struct vcpu *c, u64 code, u64 info1, u64 info2)
{
    c->svm->avic.trap = (struct vmexit){ .code = code, .info1 = info1, .info2 = info2 };
    c->pending |= PEND_XTRAP;
    c->attn |= ATTN_EVENT;
}

/* ---- virtual interrupts ---- */

/* Highest vector of a 256-bit register, -1: none. */
static int highest(const struct vcpu *c, unsigned base)
{
    for (int i = 7; i >= 0; i--) {
        u32 w = vapic_get(c, c->svm->avic.page, base + (unsigned)i * 16);
        if (w)
            return i * 32 + 31 - __builtin_clz(w);
    }
    return -1;
}

static void change(const struct vcpu *c, unsigned base, unsigned vector, bool on)
{
    unsigned at = vapic_vec(base, vector);
    u32 w = vapic_get(c, c->svm->avic.page, at), bit = 1u << (vector & 31);
    vapic_set(c, c->svm->avic.page, at, on ? w | bit : w & ~bit);
}

/* V_TPR decides, not the page's TPR, which guest accesses keep equal to it. PPR is kept current for the guest to read. */
static u8 ppr_of(const struct vcpu *c)
{
    int isr = highest(c, VAPIC_ISR);
    u8 in_service = isr < 0 ? 0 : (u8)(isr & 0xF0), tpr = (u8)(c->st.cr8 << 4);
    return tpr >= in_service ? tpr : in_service;
}

/* Is there a request above the processor's priority? The vector, or -1. */
static int candidate(const struct vcpu *c, u8 ppr)
{
    int irr = highest(c, VAPIC_IRR);
    return irr >= 16 && (irr & 0xF0) > (ppr & 0xF0) ? irr : -1;
}

void svm_avic_evaluate(struct vcpu *c)
{
    u8 ppr = ppr_of(c);
    vapic_set(c, c->svm->avic.page, VAPIC_PPR, ppr);
    if (candidate(c, ppr) >= 0) {
        c->pending |= PEND_VINTR;
        c->attn |= ATTN_EVENT;
    } else {
        c->pending &= ~(u32)PEND_VINTR;
    }
}

int svm_avic_candidate(const struct vcpu *c)
{
    return candidate(c, ppr_of(c));
}

u8 svm_avic_take(struct vcpu *c)
{
    int v = svm_avic_candidate(c);
    change(c, VAPIC_IRR, (unsigned)v, false);
    change(c, VAPIC_ISR, (unsigned)v, true);
    svm_avic_evaluate(c);
    return (u8)v;
}

/* A doorbell reaches a core that runs no AVIC guest: nothing; its next VMRUN looks by itself. */
void svm_avic_doorbell(struct vcpu *c)
{
    if (c->guest && c->avic)
        svm_avic_evaluate(c);
}

/* ---- accelerated writes ---- */

static void write_tpr(struct vcpu *c, u8 v)
{
    c->st.cr8 = v >> 4;
    svm_avic_evaluate(c);
}

/* MOV CR8 writes the page's TPR too [APM2 15.29.2]. */
static void cr8_written(struct vcpu *c)
{
    vapic_set(c, c->svm->avic.page, VAPIC_TPR, (u32)(c->st.cr8 & 15) << 4);
    svm_avic_evaluate(c);
}

/* The end of a level-triggered interrupt is the hypervisor's: the bit stays in service for it. */
static void write_eoi(struct vcpu *c)
{
    int v = highest(c, VAPIC_ISR);
    if (v < 0)
        return;
    if (vapic_get(c, c->svm->avic.page, vapic_vec(VAPIC_TMR, (unsigned)v)) >> (v & 31) & 1) {
        svm_avic_trap(c, VMEXIT_AVIC_NOACCEL, access_info(VAPIC_EOI, true), (u64)v);
        return;
    }
    change(c, VAPIC_ISR, (unsigned)v, false);
    svm_avic_evaluate(c);
}

static void accelerate(struct vcpu *c, unsigned off, u64 v)
{
    switch (off) {
    case VAPIC_TPR: write_tpr(c, (u8)v); break;
    case VAPIC_EOI: write_eoi(c); break;
    case VAPIC_ICR: svm_avic_send(c, v); break;
    default: /* SELF_IPI: as an ICR write with that shorthand */
        svm_avic_send(c, (u8)v | 1u << 18);
        break;
    }
}

/* ---- xAVIC: the page APIC_BAR ---- */

static bool touch(struct vcpu *c, unsigned off, bool write)
{
    struct reg r = reg_of(c, off);
    if ((write ? r.write : r.read) != FAULT)
        return true;
    return cpu_exit_event(c, VMEXIT_AVIC_NOACCEL, access_info(off, write), 0);
}

/* The write goes to the place the translation named: a stale one is another vCPU's page, as the manual warns [APM2 15.29.5.2].
 * Only aligned accesses of a register have an effect; the manual leaves others undefined, they only store. */
static void page_write(struct vcpu *c, u64 spa, const u8 *from, unsigned len)
{
    unsigned off = spa & PAGE_MASK;
    struct reg r = reg_of(c, off);
    bool whole = (off & 15) == 0 && len >= 4;
    phys_write(&c->view, (struct spa){ spa }, from, len);
    if (r.write == TRAP) {
        svm_avic_trap(c, VMEXIT_AVIC_NOACCEL, access_info(off, true), 0);
    } else if (r.write == ACCEL && whole) {
        u32 v = (u32)load_le(from, 4);
        if (off == VAPIC_ICR) { /* delivery status never shows as pending */
            v &= ~(1u << 12);
            vapic_set(c, spa & ~(u64)PAGE_MASK, off, v);
            accelerate(c, off, (u64)vapic_get(c, spa & ~(u64)PAGE_MASK, VAPIC_ICR_HI) << 32 | v);
        } else {
            accelerate(c, off, v);
        }
    }
}

/* ---- x2AVIC: MSRs [APM2 15.29.10] ---- */

static bool x2_mine(const struct vcpu *c, u32 msr)
{
    return c->svm->avic.x2 && msr >> 8 == 8;
}

static struct reg x2_reg(const struct vcpu *c, unsigned off)
{
    return off == VAPIC_SELF_IPI ? self_ipi : reg_of(c, off);
}

int svm_avic_msr_read(struct vcpu *c, u32 msr, u64 *v)
{
    unsigned off = (msr & 0xFF) << 4;
    if (!x2_mine(c, msr))
        return 0;
    struct reg r = x2_reg(c, off);
    if (!(r.x2 & X2_R))
        return cpu_raise_err(c, EXC_GP, 0) ? 1 : -1;
    if (r.read == FAULT)
        return cpu_exit_event(c, VMEXIT_AVIC_NOACCEL, access_info(off, false), 0) ? 1 : -1;
    *v = vapic_get(c, c->svm->avic.page, off);
    if (off == VAPIC_ICR)
        *v |= (u64)vapic_get(c, c->svm->avic.page, VAPIC_ICR_HI) << 32;
    return 1;
}

int svm_avic_msr_write(struct vcpu *c, u32 msr, u64 v)
{
    unsigned off = (msr & 0xFF) << 4;
    if (!x2_mine(c, msr))
        return 0;
    struct reg r = x2_reg(c, off);
    if (!(r.x2 & X2_W) || (v & ~r.x2_writable))
        return cpu_raise_err(c, EXC_GP, 0) ? 1 : -1;
    if (r.write == FAULT)
        return cpu_exit_event(c, VMEXIT_AVIC_NOACCEL, access_info(off, true), 0) ? 1 : -1;
    if (off == VAPIC_ICR) {
        v &= ~(1ull << 12);
        vapic_set(c, c->svm->avic.page, VAPIC_ICR_HI, (u32)(v >> 32));
    }
    vapic_set(c, c->svm->avic.page, off, (u32)v);
    if (r.write == TRAP)
        svm_avic_trap(c, VMEXIT_AVIC_NOACCEL, access_info(off, true), 0);
    else
        accelerate(c, off, v);
    return 1;
}

/* ---- life ---- */

static const struct avic_ops ops = { .touch = touch, .write = page_write, .cr8_written = cr8_written };

void svm_avic_enter(struct vcpu *c, const union vmcb *v)
{
    struct svm_avic *a = &c->svm->avic;
    if (!cpu_has(c, FEAT_AVIC))
        return;
    *a = (struct svm_avic){
        .x2 = (v->int_ctl & INT_CTL_X2AVIC) && cpu_has(c, FEAT_X2AVIC),
        .page = v->avic_backing_page & VMCB_PAGE_POINTER,
        .logical = v->avic_logical_table & VMCB_PAGE_POINTER,
        .physical = v->avic_physical_table & VMCB_PAGE_POINTER,
        .max_index = v->avic_physical_table & 0xFFF,
    };
    c->avic = &ops;
    c->nest.avic = !a->x2;
    c->nest.avic_bar = v->avic_apic_bar & VMCB_PAGE_POINTER;
    c->nest.avic_page = a->page;
}

void svm_avic_leave(struct vcpu *c)
{
    c->avic = NULL;
    c->nest.avic = false;
    c->svm->avic = (struct svm_avic){ 0 };
}
