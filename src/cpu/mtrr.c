// SPDX-License-Identifier: MIT
/* Memory types by the MTRRs. Asked for only where somebody wants to know: of what a guest can see, only bus locks depend on a RAM page's
 * type. [APM2 7.7] */
#include "cpu/internal.h"
#include "mmu/memtype.h"

enum {
    DEF_FIXED = 1 << 10, DEF_ENABLE = 1 << 11, /* MTRRdefType.FE, .E */
    MASK_VALID = 1 << 11,
    SYSCFG_TOM2 = 1 << 21, SYSCFG_TOM2_WB = 1 << 22,
};

/* Fixed ranges: eight of 64 KiB, sixteen of 16 KiB, sixty-four of 4 KiB, a byte each. */
static u8 fixed_type(const struct cpu_state *s, u64 spa)
{
    unsigned i = spa < 0x80000 ? (unsigned)(spa >> 16) : spa < 0xC0000 ? 8 + (unsigned)((spa - 0x80000) >> 14) : 24 + (unsigned)((spa - 0xC0000) >> 12);
    return s->mtrr_fix[i / 8] >> 8 * (i % 8) & 7;
}

/* Overlapping ranges: UC wins, WT wins over WB, anything else is undefined and UC here. [APM2 7.7.3] */
static u8 overlap(u8 a, u8 b)
{
    if (a == b)
        return a;
    return (a == MEMTYPE_WT && b == MEMTYPE_WB) || (a == MEMTYPE_WB && b == MEMTYPE_WT) ? MEMTYPE_WT : MEMTYPE_UC;
}

/* -1: no range holds the address. */
static int variable_type(const struct cpu_state *s, u64 spa)
{
    int type = -1;
    for (unsigned i = 0; i < ARRAY_LEN(s->mtrr_mask); i++) {
        u64 mask = s->mtrr_mask[i] & ~(u64)PAGE_MASK;
        if (!(s->mtrr_mask[i] & MASK_VALID) || (spa & mask) != (s->mtrr_base[i] & mask))
            continue;
        u8 t = s->mtrr_base[i] & 7;
        type = type < 0 ? t : overlap((u8)type, t);
    }
    return type;
}

u8 cpu_mtrr_type(const struct vcpu *c, u64 spa)
{
    const struct cpu_state *s = &c->st;
    if (!(s->mtrr_def_type & DEF_ENABLE))
        return MEMTYPE_UC;
    if (spa < 0x100000 && (s->mtrr_def_type & DEF_FIXED))
        return fixed_type(s, spa);
    int type = variable_type(s, spa);
    if (type >= 0)
        return (u8)type;
    /* Memory above 4 GiB is WB by default where SYSCFG says so. [APM2 7.9.2] */
    if ((s->syscfg & SYSCFG_TOM2) && (s->syscfg & SYSCFG_TOM2_WB) && spa >= BIT(32) && spa < s->top_mem2)
        return MEMTYPE_WB;
    return s->mtrr_def_type & 7;
}

/* Of devices' memory the MMU has said it already. [APM2 7.8.2] */
u8 cpu_memtype(const struct vcpu *c, const struct mmu_xl *xl)
{
    return xl->host ? memtype_mtrr(xl->memtype, cpu_mtrr_type(c, xl->spa.v)) : xl->memtype;
}
