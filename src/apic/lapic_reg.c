// SPDX-License-Identifier: MIT
/* The registers: memory-mapped, and as MSRs in x2APIC mode. [APM2 16.3, 16.7, 16.11] */
#include "apic/private.h"

#define MSR_APIC_BASE 0x1Bu
#define MSR_TSC_DEADLINE 0x6E0u

static u32 lvt_writable(unsigned i)
{
    if (i == LVT_TIMER)
        return 0x700FF;
    if (i == LVT_LINT0 || i == LVT_LINT1)
        return 0x1A7FF;
    return i == LVT_ERROR ? 0x100FF : 0x107FF;
}

static void write_lvt(struct lapic *l, unsigned i, u32 v)
{
    v &= lvt_writable(i);
    if (!(l->s.svr & SVR_ENABLE))
        v |= LVT_MASKED;
    if (i == LVT_TIMER) {
        lapic_write_lvt_timer(l, v);
        return;
    }
    l->s.lvt[i] = v | (l->s.lvt[i] & LVT_REMOTE_IRR & -(u32)((v & LVT_LEVEL) != 0));
    if ((i == LVT_LINT0 || i == LVT_LINT1) && (v & LVT_LEVEL))
        lapic_set_lint(l, i - LVT_LINT0, l->s.lint[i - LVT_LINT0]); /* a level that stands is seen when unmasked */
    lapic_update(l);
}

static void write_svr(struct lapic *l, u32 v)
{
    l->s.svr = v & 0x3FF;
    for (unsigned i = 0; i < LVT_COUNT && !(v & SVR_ENABLE); i++)
        l->s.lvt[i] |= LVT_MASKED;
    for (unsigned i = 0; i < APIC_EILVT_COUNT && !(v & SVR_ENABLE); i++)
        l->s.eilvt[i] |= LVT_MASKED;
    lapic_update(l);
}

static u32 version(const struct lapic *l) { return (l->cfg.ext_space ? 1u << 31 : 0) | (LVT_COUNT - 1) << 16 | 0x10; }

static bool ext_read(const struct lapic *l, unsigned off, u32 *v)
{
    if (!l->cfg.ext_space)
        return false;
    if (off == R_EXT_FEATURE)
        *v = APIC_EILVT_COUNT << 16 | 3; /* IER and SEOI capable */
    else if (off == R_EXT_CTL)
        *v = l->s.ext_ctl;
    else if (off >= R_IER && off < R_IER + 0x80)
        *v = l->s.ier[(off - R_IER) >> 4];
    else if (off >= R_EILVT && off < R_EILVT + 0x10 * APIC_EILVT_COUNT)
        *v = l->s.eilvt[(off - R_EILVT) >> 4];
    else if (off == R_SEOI)
        *v = 0;
    else
        return false;
    return true;
}

/* false: no such register. */
static bool reg_get(struct lapic *l, unsigned off, u32 *v)
{
    const struct lapic_state *s = &l->s;
    *v = 0;
    if (off >= R_ISR && off < R_IRR + 0x80) {
        const u32 *r = off < R_TMR ? s->isr : off < R_IRR ? s->tmr : s->irr;
        *v = r[off >> 4 & 7];
        return true;
    }
    if (off >= R_LVT && off < R_LVT + 0x10 * LVT_COUNT) {
        *v = s->lvt[(off - R_LVT) >> 4];
        return true;
    }
    switch (off) {
    case R_ID: *v = x2_mode(l) ? s->id : s->id << 24; return true;
    case R_VER: *v = version(l); return true;
    case R_TPR: *v = s->tpr; return true;
    case R_APR: *v = lapic_apr(l); return true;
    case R_PPR: *v = lapic_ppr(l); return true;
    case R_EOI: return true;
    case R_RRD: *v = s->remote_read; return true;
    case R_LDR: *v = x2_mode(l) ? x2_ldr(l) : s->ldr; return true;
    case R_DFR: *v = s->dfr; return true;
    case R_SVR: *v = s->svr; return true;
    case R_ESR: *v = s->esr; return true;
    case R_ICR_LO: *v = s->icr_lo; return true;
    case R_ICR_HI: *v = s->icr_hi; return true;
    case R_INITIAL: *v = s->initial; return true;
    case R_CURRENT: *v = lapic_timer_count(l); return true;
    case R_DCR: *v = s->dcr; return true;
    default: return ext_read(l, off, v);
    }
}

static bool ext_write(struct lapic *l, unsigned off, u32 v)
{
    if (!l->cfg.ext_space)
        return false;
    if (off == R_EXT_CTL) {
        l->s.ext_ctl = v & 3;
    } else if (off == R_SEOI) {
        if (l->s.ext_ctl & 2)
            lapic_eoi(l, (u8)v);
    } else if (off >= R_IER && off < R_IER + 0x80) {
        if (l->s.ext_ctl & 1)
            l->s.ier[(off - R_IER) >> 4] = v;
        lapic_update(l);
    } else if (off >= R_EILVT && off < R_EILVT + 0x10 * APIC_EILVT_COUNT) {
        l->s.eilvt[(off - R_EILVT) >> 4] = (v & 0x107FF) | (l->s.svr & SVR_ENABLE ? 0 : LVT_MASKED);
    } else {
        return off == R_EXT_FEATURE;
    }
    return true;
}

static bool reg_set(struct lapic *l, unsigned off, u32 v)
{
    struct lapic_state *s = &l->s;
    if (off >= R_LVT && off < R_LVT + 0x10 * LVT_COUNT) {
        write_lvt(l, (off - R_LVT) >> 4, v);
        return true;
    }
    if (off >= R_ISR && off < R_IRR + 0x80)
        return true;
    switch (off) {
    case R_ID: if (!x2_mode(l)) s->id = (s->id & ~0xFFu) | v >> 24; return true;
    case R_TPR: lapic_set_tpr(l, (u8)v); return true;
    case R_EOI: lapic_eoi(l, lapic_vec_highest(s->isr, NULL)); return true;
    case R_LDR: s->ldr = v & 0xFF000000u; return true;
    case R_DFR: s->dfr = v | 0x0FFFFFFFu; return true;
    case R_SVR: write_svr(l, v); return true;
    case R_ESR: s->esr = s->esr_pending; s->esr_pending = 0; return true;
    case R_ICR_LO: s->icr_lo = v & 0xCCFFF & ~ICR_PENDING; lapic_send_ipi(l); return true;
    case R_ICR_HI: s->icr_hi = x2_mode(l) ? v : v & 0xFF000000u; return true;
    case R_INITIAL:
        if (TIMER_MODE(s->lvt[LVT_TIMER]) != TIMER_DEADLINE) {
            s->initial = v;
            lapic_timer_start(l);
        }
        return true;
    case R_DCR: lapic_write_dcr(l, v); return true;
    case R_VER: case R_APR: case R_PPR: case R_RRD: case R_CURRENT: return true;
    default: return ext_write(l, off, v);
    }
}

u32 lapic_reg_read(struct lapic *l, unsigned off)
{
    u32 v;
    if (!reg_get(l, off & 0xFF0, &v))
        lapic_error(l, ESR_ILLEGAL_REG);
    return v;
}

void lapic_reg_write(struct lapic *l, unsigned off, u32 v)
{
    if (!reg_set(l, off & 0xFF0, v))
        lapic_error(l, ESR_ILLEGAL_REG);
}

/* Registers are 32 bits wide at 16-byte steps; the rest of each step reads zero and ignores writes. */
static u64 mmio_read(void *ctx, u64 off, unsigned width, int cpu)
{
    (void)cpu;
    unsigned byte = off & 15;
    return byte < 4 ? zext((u64)lapic_reg_read(ctx, off & 0xFF0) >> (8 * byte), width) : 0;
}

static void mmio_write(void *ctx, u64 off, unsigned width, u64 value, int cpu)
{
    (void)cpu;
    if ((off & 15) == 0 && width >= 4)
        lapic_reg_write(ctx, off & 0xFF0, (u32)value);
}

const struct mmio_ops lapic_mmio_ops = { mmio_read, mmio_write, 0, 0 };

/* ---- MSRs ---- */

u64 lapic_mmio_page(const struct lapic *l)
{
    return hw_enabled(l) && !x2_mode(l) ? l->s.base & ~(u64)PAGE_MASK : ~0ull;
}

/* Legal changes of mode: off to xAPIC, xAPIC to off or x2APIC, x2APIC to off [APM2 16.9]. */
bool lapic_set_base(struct lapic *l, u64 v)
{
    u64 valid = (~0ull >> (64 - l->cfg.maxphys) & ~(u64)PAGE_MASK) | APIC_BASE_BSP | APIC_BASE_EN |
                (l->cfg.x2apic ? APIC_BASE_EXTD : 0);
    u64 old_mode = l->s.base & (APIC_BASE_EN | APIC_BASE_EXTD), mode = v & (APIC_BASE_EN | APIC_BASE_EXTD);
    if ((v & ~valid) || mode == APIC_BASE_EXTD)
        return false;
    if (old_mode == (APIC_BASE_EN | APIC_BASE_EXTD) && mode == APIC_BASE_EN)
        return false;
    if (!old_mode && (mode & APIC_BASE_EXTD))
        return false;
    if (mode != old_mode && !(mode & APIC_BASE_EN))
        lapic_init_reset(l);
    if (mode != old_mode && (mode & APIC_BASE_EXTD)) {
        l->s.id = l->cfg.id; /* a write to the xAPIC id register does not survive */
        l->s.icr_hi = 0;
    }
    l->s.base = v;
    if (l->bus->out.base_changed)
        l->bus->out.base_changed(l->bus->out.ctx, l->cpu);
    lapic_update(l);
    return true;
}

bool lapic_owns_msr(u32 msr) { return msr == MSR_APIC_BASE || msr == MSR_TSC_DEADLINE || (msr >= 0x800 && msr <= 0x8FF); }

int lapic_msr_read(struct lapic *l, u32 msr, u64 *v)
{
    u32 r;
    if (msr == MSR_APIC_BASE) {
        *v = l->s.base;
        return 1;
    }
    if (msr == MSR_TSC_DEADLINE && l->cfg.tsc_deadline) {
        *v = l->s.deadline;
        return 1;
    }
    if (msr < 0x800 || msr > 0x8FF)
        return 0;
    unsigned off = (msr - 0x800) << 4;
    if (!x2_mode(l) || off == R_DFR || off == R_ICR_HI || off == R_EOI || off == R_RRD || off == R_APR ||
        !reg_get(l, off, &r))
        return -1;
    *v = off == R_ICR_LO ? (u64)l->s.icr_hi << 32 | r : r;
    return 1;
}

static bool x2_reserved(const struct lapic *l, unsigned off, u64 v)
{
    if (off >= R_LVT && off < R_LVT + 0x10 * LVT_COUNT)
        return v & ~(u64)(lvt_writable((off - R_LVT) >> 4) | LVT_PENDING | LVT_REMOTE_IRR);
    switch (off) {
    case R_TPR: return v > 0xFF;
    case R_EOI: case R_ESR: return v != 0;
    case R_SVR: return v & ~0x3FFull;
    case R_ICR_LO: return v & 0xFFF32000ull;
    case R_DCR: return v & ~0xBull;
    case X2_SELF_IPI: return v > 0xFF;
    case R_INITIAL: return v >> 32;
    default: return v >> 32 || !l->cfg.ext_space || off < R_EXT_FEATURE; /* the others are read-only */
    }
}

int lapic_msr_write(struct lapic *l, u32 msr, u64 v)
{
    if (msr == MSR_APIC_BASE)
        return lapic_set_base(l, v) ? 1 : -1;
    if (msr == MSR_TSC_DEADLINE && l->cfg.tsc_deadline) {
        if (TIMER_MODE(l->s.lvt[LVT_TIMER]) == TIMER_DEADLINE) {
            l->s.deadline = v;
            lapic_timer_arm(l);
        }
        return 1;
    }
    if (msr < 0x800 || msr > 0x8FF)
        return 0;
    unsigned off = (msr - 0x800) << 4;
    if (!x2_mode(l) || x2_reserved(l, off, v))
        return -1;
    if (off == X2_SELF_IPI) {
        if (v < 16)
            lapic_error(l, ESR_SEND_ILLEGAL);
        else
            lapic_accept(l, APIC_FIXED, (u8)v, false);
        return 1;
    }
    if (off == R_ICR_LO)
        l->s.icr_hi = (u32)(v >> 32);
    return reg_set(l, off, (u32)v) ? 1 : -1;
}
