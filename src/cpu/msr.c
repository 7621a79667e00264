// SPDX-License-Identifier: MIT
/* Model-specific registers: the table of msr.def and the accessors of those that are more than a stored word. */
#include "cpu/cpuid.h"
#include "cpu/internal.h"

enum { GP, IGN };
enum { RO = 1, WO = 2, RW = 3 };
#define ALL (~0ull)

struct msr_row {
    u32 first;
    u16 count;
    u8 access, other, gen;
    u16 feature;
    u64 field; /* offset in cpu_state, slot of cfg_msr, or constant */
    u64 writable;
    void (*get)(struct vcpu *c, const struct msr_row *r, unsigned n, u64 *v);
    bool (*set)(struct vcpu *c, const struct msr_row *r, unsigned n, u64 v); /* false: #GP */
};

#define GETTER(name) static void msr_get_##name(struct vcpu *c, const struct msr_row *r, unsigned n, u64 *v)
#define SETTER(name) static bool msr_set_##name(struct vcpu *c, const struct msr_row *r, unsigned n, u64 v)
#define UNUSED_ARGS (void)c, (void)r, (void)n

static u64 *field_of(struct vcpu *c, const struct msr_row *r, unsigned n)
{
    return (u64 *)(void *)((char *)&c->st + r->field) + n;
}

GETTER(FIELD) { *v = *field_of(c, r, n); }
SETTER(FIELD)
{
    *field_of(c, r, n) = v;
    return true;
}
GETTER(CFG) { *v = c->st.cfg_msr[r->field + n]; }
SETTER(CFG)
{
    c->st.cfg_msr[r->field + n] = v;
    return true;
}
GETTER(CONST)
{
    (void)c, (void)n;
    *v = r->field;
}
SETTER(CONST)
{
    UNUSED_ARGS;
    (void)v;
    return false;
}

/* ---- time ---- */

/* TSC without the guest's ratio and offset. */
static u64 raw_tsc(struct vcpu *c)
{
    if (c->fold)
        c->fold(c);
    return (c->clock ? clock_tsc(c->clock) : 0) + c->st.tsc_offset;
}

static u64 guest_scale(const struct vcpu *c, u64 v)
{
    if (!c->guest || !cpu_has(c, FEAT_TSCRATEMSR))
        return v;
    return (u64)((u128)v * c->st.tsc_ratio >> 32); /* 8.32 fixed point [APM2 15.30.5] */
}

u64 cpu_tsc(struct vcpu *c)
{
    return guest_scale(c, raw_tsc(c)) + (c->guest ? c->tsc_guest_offset : 0);
}

GETTER(tsc)
{
    (void)r, (void)n;
    *v = cpu_tsc(c);
}
SETTER(tsc) /* the physical TSC, in a guest too [APM2 15.30.5] */
{
    (void)r, (void)n;
    c->st.tsc_offset += v - raw_tsc(c);
    if (c->ops && c->ops->tsc_moved)
        c->ops->tsc_moved(c->ops->ctx, c->index);
    return true;
}

/* MPERF counts at the TSC's rate and APERF at the core's. Halted time is counted too (the clock does not tell it apart). */
static u64 core_clock(struct vcpu *c)
{
    if (c->fold)
        c->fold(c);
    return c->clock ? c->clock->now / TICKS_PER_CYCLE : 0;
}

GETTER(mperf)
{
    (void)r, (void)n;
    *v = guest_scale(c, raw_tsc(c) - c->st.tsc_offset + c->st.mperf_base);
}
SETTER(mperf)
{
    (void)r, (void)n;
    c->st.mperf_base = v - (raw_tsc(c) - c->st.tsc_offset);
    return true;
}
GETTER(aperf)
{
    (void)r, (void)n;
    *v = core_clock(c) + c->st.aperf_base;
}
SETTER(aperf)
{
    (void)r, (void)n;
    c->st.aperf_base = v - core_clock(c);
    return true;
}
GETTER(irperf)
{
    (void)r, (void)n;
    if (c->fold)
        c->fold(c);
    *v = c->insns;
}

/* ---- identity ---- */

GETTER(patch_level)
{
    (void)r, (void)n;
    *v = c->model->patch_level;
}
SETTER(patch_loader) /* a patch is accepted and changes nothing */
{
    UNUSED_ARGS;
    return cpu_canonical(c, v);
}
GETTER(cpu_name)
{
    u32 w[4];
    (void)r;
    cpuid_query(c, 0x80000002 + n / 2, 0, w);
    *v = w[n % 2 * 2] | (u64)w[n % 2 * 2 + 1] << 32;
}
SETTER(cpu_name) /* firmware's business: ignored */
{
    UNUSED_ARGS;
    (void)v;
    return true;
}
GETTER(cpuid_override)
{
    u32 w[4];
    (void)r;
    cpuid_query(c, n ? 0x80000001 : 1, 0, w);
    *v = w[3] | (u64)w[2] << 32;
}
GETTER(cpuid_7_override)
{
    u32 w[4];
    (void)r, (void)n;
    cpuid_query(c, 7, 0, w);
    *v = w[1] | (u64)w[0] << 32;
}
SETTER(cpuid_override) /* ignored: a profile's features are fixed */
{
    UNUSED_ARGS;
    (void)v;
    return true;
}
GETTER(pstate_def) /* one P-state is valid, at the profile's frequency: fid = MHz / 25, divisor 1 */
{
    (void)r;
    *v = n ? 0 : BIT(63) | 8 << 8 | (c->model->core_hz / 25000000 & 0xFF);
}
SETTER(pstate_def)
{
    UNUSED_ARGS;
    (void)v;
    return true;
}

/* ---- memory types ---- */

static bool mem_type_ok(u64 t)
{
    return t < 7 && t != 2 && t != 3;
}

static bool flush_all(struct vcpu *c)
{
    mmu_flush_all(&c->mmu); /* MTRRs and IORRs affect every ASID [APM2 15.16] */
    return true;
}

static u64 phys_high(const struct vcpu *c)
{
    return ~0ull << c->model->maxphys;
}

GETTER(mtrr_phys)
{
    (void)r;
    *v = n & 1 ? c->st.mtrr_mask[n / 2] : c->st.mtrr_base[n / 2];
}
SETTER(mtrr_phys)
{
    (void)r;
    if (v & phys_high(c))
        return false;
    if (n & 1) {
        if (v & 0x7FF)
            return false;
        c->st.mtrr_mask[n / 2] = v;
    } else {
        if ((v & 0xF00) || !mem_type_ok(v & 0xFF))
            return false;
        c->st.mtrr_base[n / 2] = v;
    }
    return flush_all(c);
}

static unsigned fix_index(const struct msr_row *r, unsigned n)
{
    return r->first == 0x250 ? 0 : r->first == 0x258 ? 1 + n : 3 + n;
}

enum { SYSCFG_FIX_DRAM = 1 << 18, SYSCFG_FIX_MOD = 1 << 19 };

GETTER(mtrr_fix)
{
    *v = c->st.mtrr_fix[fix_index(r, n)];
    if (!(c->st.syscfg & SYSCFG_FIX_MOD))
        *v &= 0x0707070707070707ull;
}
SETTER(mtrr_fix)
{
    u64 *f = &c->st.mtrr_fix[fix_index(r, n)];
    bool mod = c->st.syscfg & SYSCFG_FIX_MOD;
    for (unsigned i = 0; i < 64; i += 8) {
        u64 b = v >> i & 0xFF;
        if ((b & (mod ? 0xE0u : 0xF8u)) || !mem_type_ok(b & 7))
            return false;
    }
    *f = mod ? v : v | (*f & 0x1818181818181818ull); /* RdMem and WrMem are hidden and kept */
    return flush_all(c);
}
SETTER(mtrr_def_type)
{
    if (!mem_type_ok(v & 0xFF))
        return false;
    *field_of(c, r, n) = v;
    return flush_all(c);
}
SETTER(pat)
{
    for (unsigned i = 0; i < 64; i += 8) {
        u64 t = v >> i & 0xFF;
        if (t > 7 || t == 2 || t == 3)
            return false;
    }
    *field_of(c, r, n) = v;
    cpu_update_mmu(c);
    return true;
}
SETTER(syscfg)
{
    *field_of(c, r, n) = v;
    return flush_all(c);
}
GETTER(iorr)
{
    (void)r;
    *v = n & 1 ? c->st.iorr_mask[n / 2] : c->st.iorr_base[n / 2];
}
SETTER(iorr)
{
    (void)r;
    if ((v & phys_high(c)) || (v & (n & 1 ? 0x7FFu : 0xFE7u)))
        return false;
    *(n & 1 ? &c->st.iorr_mask[n / 2] : &c->st.iorr_base[n / 2]) = v;
    return flush_all(c);
}
static bool set_top(struct vcpu *c, u64 *f, u64 v)
{
    if (v & (phys_high(c) | 0x7FFFFF))
        return false;
    *f = v;
    return flush_all(c);
}
SETTER(top_mem)
{
    (void)r, (void)n;
    return set_top(c, &c->st.top_mem, v);
}
SETTER(top_mem2)
{
    (void)r, (void)n;
    return set_top(c, &c->st.top_mem2, v);
}

/* ---- machine check, debug, performance ---- */

GETTER(mcg_cap)
{
    (void)r, (void)n;
    *v = 0x100 | c->model->mce_banks;
}
GETTER(mc_bank)
{
    (void)r;
    *v = n / 4 < MCE_BANKS ? c->st.mce_bank[n / 4][n % 4] : 0;
}
SETTER(mc_bank)
{
    (void)r;
    if (n / 4 >= c->model->mce_banks || n / 4 >= MCE_BANKS)
        return false;
    /* STATUS takes zero only unless HWCR.McStatusWrEn; CTL and the rest take anything. */
    if (n % 4 == 1 && v && !(c->st.hwcr & 1 << 18))
        return false;
    c->st.mce_bank[n / 4][n % 4] = v;
    return true;
}
SETTER(debugctl)
{
    *field_of(c, r, n) = v;
    c->attn |= ATTN_MODE; /* BTF and LBR choose the flavour of blocks */
    return true;
}
unsigned cpu_perf_counters(const struct vcpu *c)
{
    return c->model->gen >= GEN_BULLDOZER ? 6 : 4;
}

/* Control and counter in turn; the first four pairs are those of C001_0000h and C001_0004h. */
GETTER(perf_ext)
{
    (void)r;
    *v = n & 1 ? c->st.perf_ctr[n / 2] : c->st.perf_ctl[n / 2];
}
SETTER(perf_ext)
{
    (void)r;
    if (n & 1)
        c->st.perf_ctr[n / 2] = v & 0xFFFFFFFFFFFFull;
    else
        c->st.perf_ctl[n / 2] = v;
    return true;
}
static unsigned mask_index(const struct msr_row *r, unsigned n)
{
    return r->first == 0xC0011027 ? 0 : n + 1;
}
GETTER(dr_mask) { *v = c->st.dr_mask[mask_index(r, n)]; }
SETTER(dr_mask)
{
    c->st.dr_mask[mask_index(r, n)] = v;
    cpu_update_mode(c);
    return true;
}
SETTER(spec_ctrl)
{
    u64 ok = (cpu_has(c, FEAT_IBRS) ? 1 : 0) | (cpu_has(c, FEAT_STIBP) ? 2 : 0) | (cpu_has(c, FEAT_SSBD) ? 4 : 0) |
             (cpu_has(c, FEAT_PSFD) ? 0x80 : 0);
    if (v & ~ok)
        return false;
    *field_of(c, r, n) = v;
    return true;
}
SETTER(pred_cmd)
{
    UNUSED_ARGS;
    (void)v;
    return true; /* no predictor whose contents could be seen */
}

/* ---- system calls and bases ---- */

SETTER(efer)
{
    (void)r, (void)n;
    return efer_write(c, v);
}
static bool set_canonical(struct vcpu *c, u64 *f, u64 v)
{
    if (!cpu_canonical(c, v))
        return false;
    *f = v;
    return true;
}
SETTER(lstar)
{
    return set_canonical(c, field_of(c, r, n), v);
}
SETTER(cstar)
{
    return set_canonical(c, field_of(c, r, n), v);
}
SETTER(kernel_gs_base)
{
    return set_canonical(c, field_of(c, r, n), v);
}
GETTER(seg_base)
{
    (void)n;
    *v = c->st.seg[r->first == 0xC0000100 ? SEG_FS : SEG_GS].base;
}
SETTER(seg_base)
{
    (void)n;
    return set_canonical(c, &c->st.seg[r->first == 0xC0000100 ? SEG_FS : SEG_GS].base, v);
}
SETTER(apic_base)
{
    u64 ok = (~phys_high(c) & ~0xFFFull) | 0x900 | (cpu_has(c, FEAT_X2APIC) ? 0x400 : 0);
    if (v & ~ok)
        return false;
    *field_of(c, r, n) = (v & ~0x100ull) | (c->st.apic_base & 0x100); /* BSP is read only */
    if (c->ops && c->ops->apic_base_changed)
        c->ops->apic_base_changed(c->ops->ctx, c->index);
    return flush_all(c);
}

/* ---- HWCR, SMM, SVM ---- */

enum { HWCR_SMMLOCK = 1, VM_CR_LOCK = 1 << 3, VM_CR_SVMDIS = 1 << 4 };

SETTER(hwcr)
{
    *field_of(c, r, n) = v | (c->st.hwcr & HWCR_SMMLOCK);
    return true;
}
SETTER(smm_base)
{
    if (c->st.hwcr & HWCR_SMMLOCK)
        return false;
    *field_of(c, r, n) = v;
    return true;
}
SETTER(smm_cfg)
{
    if (c->st.hwcr & HWCR_SMMLOCK)
        return false;
    return msr_set_CFG(c, r, n, v);
}
SETTER(smm_ctl)
{
    if (c->st.hwcr & HWCR_SMMLOCK)
        return false;
    *field_of(c, r, n) = v;
    return true;
}
SETTER(vm_cr) /* [APM2 15.30.1] */
{
    u64 old = c->st.vm_cr, fixed = old & VM_CR_LOCK ? VM_CR_LOCK | VM_CR_SVMDIS : 0;
    if (!(old & VM_CR_SVMDIS) && (v & VM_CR_SVMDIS) && (c->st.efer & EFER_SVME))
        return false;
    *field_of(c, r, n) = (v & ~fixed) | (old & fixed);
    cpu_update_a20(c);
    return true;
}
SETTER(vm_hsave_pa)
{
    if ((v & PAGE_MASK) || (v & phys_high(c)))
        return false;
    *field_of(c, r, n) = v;
    return true;
}
/* A key set while unlocked opens the lock later; zero never does [APM2 15.31.1]. */
static bool key_write(u64 *key, u64 *locked, u64 lock, u64 v)
{
    if (!(*locked & lock))
        *key = v;
    else if (v && v == *key)
        *locked &= ~lock;
    return true;
}
SETTER(avic_doorbell) /* physical APIC id: 8 bits, 32 where x2AVIC is [APM2 15.29.9.2] */
{
    (void)r, (void)n;
    if (v > 0xFF && !cpu_has(c, FEAT_X2AVIC))
        return false;
    if (c->ops && c->ops->avic_doorbell)
        c->ops->avic_doorbell(c->ops->ctx, (u32)v);
    return true;
}
SETTER(svm_key)
{
    (void)r, (void)n;
    return key_write(&c->st.svm_key, &c->st.vm_cr, VM_CR_LOCK, v);
}
SETTER(smm_key)
{
    (void)r, (void)n;
    return key_write(&c->st.smm_key, &c->st.hwcr, HWCR_SMMLOCK, v);
}

/* ---- the table ---- */

#define FEAT__ FEAT_NONE
#define OFF(member) offsetof(struct cpu_state, member)

static const struct msr_row rows[] = {
#define MSR(first, count, name, access, getter, setter, field, writable, other, generation, feat) \
    {first, count, access, other, GEN_##generation, FEAT_##feat, field, writable, msr_get_##getter, msr_set_##setter},
#include "cpu/msr.def"
#undef MSR
};

static const struct msr_row *find(const struct vcpu *c, u32 msr)
{
    size_t lo = 0, hi = ARRAY_LEN(rows);
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (rows[mid].first + rows[mid].count <= msr)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == ARRAY_LEN(rows) || msr < rows[lo].first)
        return NULL;
    const struct msr_row *r = &rows[lo];
    if (c->model->gen < r->gen || (r->feature != FEAT_NONE && !cpu_has(c, r->feature)))
        return NULL;
    return r;
}

bool msr_read(struct vcpu *c, u32 msr, u64 *v)
{
    if (c->ops && c->ops->msr_read && c->ops->msr_read(c->ops->ctx, c->index, msr, v))
        return true;
    const struct msr_row *r = find(c, msr);
    if (!r || !(r->access & RO))
        return cpu_raise_err(c, EXC_GP, 0);
    r->get(c, r, msr - r->first, v);
    return true;
}

bool msr_write(struct vcpu *c, u32 msr, u64 v)
{
    if (c->ops && c->ops->msr_write) {
        int done = c->ops->msr_write(c->ops->ctx, c->index, msr, v);
        if (done)
            return done > 0 || cpu_raise_err(c, EXC_GP, 0);
    }
    const struct msr_row *r = find(c, msr);
    if (!r || !(r->access & WO) || (r->other == GP && (v & ~r->writable)))
        return cpu_raise_err(c, EXC_GP, 0);
    if (!r->set(c, r, msr - r->first, v & r->writable))
        return cpu_raise_err(c, EXC_GP, 0);
    return true;
}
