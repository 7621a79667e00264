// SPDX-License-Identifier: MIT
/* CPUID: words of a real part, less what svmemu does not implement, plus what depends on the vCPU. [APM3 appendix E] */
#include "cpu/cpuid.h"
#include "cpu/internal.h"

#include <stdio.h>

enum { REG_EAX, REG_EBX, REG_ECX, REG_EDX };

struct feature {
    u32 leaf;
    u8 sub, reg, bit;
    const char *name, *text;
};
static const struct feature features[FEAT_COUNT] = {
#define FEAT(id, leaf_, sub_, reg_, bit_, text_) [FEAT_##id] = {leaf_, sub_, REG_##reg_, bit_, #id, text_},
#include "cpu/feature.def"
#undef FEAT
};

/* What works. Extensions that compute with vectors beyond SSE2 are not built yet, nor are CET, IBS and SEV. */
static const u16 implemented[] = {
    FEAT_FPU, FEAT_VME, FEAT_DE, FEAT_PSE, FEAT_TSC, FEAT_MSR, FEAT_PAE, FEAT_MCE, FEAT_CX8, FEAT_APIC, FEAT_SEP, FEAT_MTRR, FEAT_PGE,
    FEAT_MCA, FEAT_CMOV, FEAT_PAT, FEAT_PSE36, FEAT_CLFSH, FEAT_MMX, FEAT_FXSR, FEAT_SSE, FEAT_SSE2, FEAT_HTT,
    FEAT_MONITOR, FEAT_CX16, FEAT_PCID, FEAT_X2APIC, FEAT_TSCDEADLINE, FEAT_MOVBE, FEAT_POPCNT, FEAT_XSAVE, FEAT_RDRAND,
    FEAT_MWAITEXT, FEAT_MWAITIBE, FEAT_ARAT, FEAT_EFFFREQ,
    FEAT_FSGSBASE, FEAT_BMI1, FEAT_SMEP, FEAT_BMI2, FEAT_ERMS, FEAT_INVPCID, FEAT_RDSEED, FEAT_ADX, FEAT_SMAP, FEAT_CLFLUSHOPT,
    FEAT_CLWB,
    FEAT_UMIP, FEAT_PKU, FEAT_LA57, FEAT_RDPID, FEAT_FSRM,
    FEAT_XCR0X87, FEAT_XCR0SSE, FEAT_XSAVEOPT, FEAT_XSAVEC, FEAT_XGETBV1, FEAT_XSAVES,
    FEAT_LAHF64, FEAT_CMPLEGACY, FEAT_SVM, FEAT_EXTAPIC, FEAT_ALTMOVCR8, FEAT_LZCNT, FEAT_3DNOWPREFETCH, FEAT_OSVW,
    FEAT_TOPOEXT, FEAT_MONITORX,
    FEAT_SYSCALL, FEAT_NX, FEAT_MMXEXT, FEAT_FFXSR, FEAT_PAGE1GB, FEAT_RDTSCP, FEAT_LM,
    FEAT_TSCINVARIANT, FEAT_EFFFREQRO,
    FEAT_CLZERO, FEAT_INSTRETCNT, FEAT_RSTRFPERRPTRS, FEAT_RDPRU, FEAT_WBNOINVD, FEAT_IBPB, FEAT_INTWBINVD, FEAT_IBRS, FEAT_STIBP,
    FEAT_STIBPALWAYS, FEAT_LMSLEUNSUPP, FEAT_SSBD, FEAT_PSFD,
    FEAT_NP, FEAT_LBRVIRT, FEAT_SVML, FEAT_NRIPS, FEAT_TSCRATEMSR, FEAT_VMCBCLEAN, FEAT_FLUSHBYASID, FEAT_DECODEASSISTS,
    FEAT_PAUSEFILTER, FEAT_PAUSEFILTERTHR, FEAT_VMSAVEVIRT, FEAT_VGIF, FEAT_SPECCTRLVIRT, FEAT_HOSTMCEOVERRIDE, FEAT_TLBICTL, FEAT_VNMI,
    FEAT_SVMEADDRCHK, FEAT_AVIC, FEAT_X2AVIC, FEAT_X2AVICEXT, FEAT_EXTLVTAVIC, FEAT_BUSLOCKTHR, FEAT_IDLEHLT, FEAT_INVLPGB,
    FEAT_INVLPGBNESTED, FEAT_MCOMMIT, FEAT_PML,
    FEAT_GMET, FEAT_ROGPT, FEAT_NONESTEDDBP, FEAT_FSGSNONSERIAL, FEAT_LFENCESERIAL, FEAT_NULLSELCLR,
};
/* What `max` has beyond Zen 3. */
static const u16 max_extra[] = {FEAT_X2APIC, FEAT_TSCDEADLINE, FEAT_LA57, FEAT_FSGSNONSERIAL, FEAT_VNMI, FEAT_BUSLOCKTHR,
                                FEAT_IDLEHLT, FEAT_AVIC, FEAT_X2AVIC, FEAT_X2AVICEXT, FEAT_EXTLVTAVIC, FEAT_ROGPT, FEAT_PML};

/* Registers made of feature bits. Shown are those of the vCPU's features and of the real part's bits `keep`; `mirror` are bits that adjust()
 * sets from control registers. What else the real part has is hidden, whether or not feature.def has a row for it, and so it is missing. */
struct feature_reg {
    u32 leaf;
    u8 sub, reg;
    u32 keep, mirror;
};
static const struct feature_reg feature_regs[] = {
    {0x1, 0, REG_ECX, 0, 1u << 27 /* OSXSAVE */}, {0x1, 0, REG_EDX, 0, 0}, {0x5, 0, REG_ECX, 0, 0}, {0x6, 0, REG_EAX, 0, 0}, {0x6, 0, REG_ECX, 0, 0},
    {0x7, 0, REG_EBX, 0, 0}, {0x7, 0, REG_ECX, 0, 1u << 4 /* OSPKE */}, {0x7, 0, REG_EDX, 0, 0},
    {0xD, 0, REG_EAX, 0, 0}, {0xD, 0, REG_EDX, 0, 0}, {0xD, 1, REG_EAX, 0, 0}, {0xD, 1, REG_ECX, 0, 0}, {0xD, 1, REG_EDX, 0, 0},
    {0xF, 0, REG_EDX, 0, 0}, {0xF, 1, REG_EDX, 0, 0}, {0x10, 0, REG_EBX, 0, 0}, {0x10, 1, REG_ECX, 0, 0},
    {0x80000001, 0, REG_ECX, 0, 0}, {0x80000001, 0, REG_EDX, 0x0183F3FF /* copies of leaf 1 */, 0},
    {0x80000007, 0, REG_EBX, 0, 0}, {0x80000007, 0, REG_EDX, 0, 0}, {0x80000008, 0, REG_EBX, 0, 0}, {0x8000000A, 0, REG_ECX, 0, 0},
    {0x8000000A, 0, REG_EDX, 0, 0}, {0x8000001A, 0, REG_EAX, 0, 0}, {0x8000001B, 0, REG_EAX, 0, 0}, {0x8000001F, 0, REG_EAX, 0, 0},
    {0x80000020, 0, REG_EBX, 0, 0}, {0x80000021, 0, REG_EAX, 0, 0}, {0x80000022, 0, REG_EAX, 0, 0},
};
/* Leaves that describe something as a whole: gone with their feature. */
static const struct { u32 leaf; u16 feat; } leaf_of_feature[] = {
    {0x5, FEAT_MONITOR}, {0xD, FEAT_XSAVE}, {0xF, FEAT_PQM}, {0x10, FEAT_PQE}, {0x8000000A, FEAT_SVM}, {0x8000001B, FEAT_IBS},
    {0x8000001C, FEAT_LWP}, {0x8000001D, FEAT_TOPOEXT}, {0x8000001E, FEAT_TOPOEXT}, {0x8000001F, FEAT_SME}, {0x80000020, FEAT_PQE},
};

#define CPUID_WORDS(model, leaf, sub, a, b, c, d) {leaf, sub, {a, b, c, d}},
static const struct cpuid_words all_words[] = {
#include "cpu/profiles.def"
};
#undef CPUID_WORDS
/* Rows of one model follow each other: count them by name. */
enum {
    COUNT_ALL = ARRAY_LEN(all_words),
#define CPUID_WORDS(model, ...) +IS_##model
#define IS_k8 1
#define IS_barcelona 0
#define IS_zen1 0
#define IS_zen3 0
    COUNT_k8 = 0
#include "cpu/profiles.def"
    ,
#undef IS_k8
#undef IS_barcelona
#define IS_k8 0
#define IS_barcelona 1
    COUNT_barcelona = 0
#include "cpu/profiles.def"
    ,
#undef IS_barcelona
#undef IS_zen1
#define IS_barcelona 0
#define IS_zen1 1
    COUNT_zen1 = 0
#include "cpu/profiles.def"
    ,
    COUNT_zen3 = COUNT_ALL - COUNT_k8 - COUNT_barcelona - COUNT_zen1,
};
#undef CPUID_WORDS

#define MHZ 1000000ull
static const struct cpu_model models[] = {
    {"k8", "K8 rev F2, Opteron 2210 HE: the first SVM silicon", all_words, COUNT_k8, GEN_K8, false, 40, 1800 * MHZ, 1800 * MHZ, 64,
     0x00040F12, 0x00000062, 5},
    {"barcelona", "K10 Barcelona, Opteron 2344 HE: the first with nested paging", all_words + COUNT_k8, COUNT_barcelona, GEN_K10, false, 48,
     1700 * MHZ, 1700 * MHZ, 64, 0x00100F2A, 0x01000065, 6},
    {"zen1", "Zen 1, Ryzen 7 1800X", all_words + COUNT_k8 + COUNT_barcelona, COUNT_zen1, GEN_ZEN1, false, 48, 3600 * MHZ, 3600 * MHZ, 32768,
     0x00800F11, 0x08001138, MCE_BANKS},
    {"zen3", "Zen 3, EPYC 7713", all_words + COUNT_k8 + COUNT_barcelona + COUNT_zen1, COUNT_zen3, GEN_ZEN3, false, 48, 2000 * MHZ, 2000 * MHZ, 32768,
     0x00A00F11, 0x0A001173, MCE_BANKS},
    {"max", "Zen 3 and every feature that works", all_words + COUNT_k8 + COUNT_barcelona + COUNT_zen1, COUNT_zen3, GEN_ZEN4, true, 48, 2000 * MHZ,
     2000 * MHZ, 32768, 0x00A00F11, 0x0A001173, MCE_BANKS},
};

const struct cpu_model *cpu_model_at(unsigned i)
{
    return i < ARRAY_LEN(models) ? &models[i] : NULL;
}

const struct cpu_model *cpu_model_find(const char *name)
{
    if (!name)
        name = "zen3";
    for (unsigned i = 0; i < ARRAY_LEN(models); i++)
        if (!strcmp(models[i].name, name))
            return &models[i];
    return NULL;
}

const char *cpu_feature_name(unsigned feat)
{
    return feat > FEAT_NONE && feat < FEAT_COUNT ? features[feat].name : "none";
}

static const struct cpuid_words *words_find(const struct cpu_model *m, u32 leaf, u32 sub)
{
    for (unsigned i = 0; i < m->nwords; i++)
        if (m->words[i].leaf == leaf && m->words[i].sub == sub)
            return &m->words[i];
    return NULL;
}

/* Whether a bit of feature.def is set in the words of the real part. */
static bool real_part_has(const struct cpu_model *m, unsigned feat)
{
    const struct feature *f = &features[feat];
    const struct cpuid_words *w = words_find(m, f->leaf, f->sub);
    return w && (w->reg[f->reg] >> f->bit & 1);
}

void cpu_model_features(const struct cpu_model *m, u64 *bitmap)
{
    memset(bitmap, 0, FEAT_WORDS * sizeof *bitmap);
    for (unsigned i = 0; i < ARRAY_LEN(implemented); i++)
        if (real_part_has(m, implemented[i]))
            bitmap[implemented[i] >> 6] |= BIT(implemented[i] & 63);
    if (m->max)
        for (unsigned i = 0; i < ARRAY_LEN(max_extra); i++)
            bitmap[max_extra[i] >> 6] |= BIT(max_extra[i] & 63);
}

static unsigned feature_at(const struct feature_reg *r, unsigned bit)
{
    for (unsigned i = FEAT_NONE + 1; i < FEAT_COUNT; i++)
        if (features[i].leaf == r->leaf && features[i].sub == r->sub && features[i].reg == r->reg && features[i].bit == bit)
            return i;
    return FEAT_NONE;
}

/* A feature register as a processor with these features shows it. */
static u32 shown_word(const struct feature_reg *r, u32 real, const u64 *bitmap)
{
    u32 v = real & r->keep;
    for (unsigned i = FEAT_NONE + 1; i < FEAT_COUNT; i++) {
        const struct feature *f = &features[i];
        if (f->leaf == r->leaf && f->sub == r->sub && f->reg == r->reg && (bitmap[i >> 6] >> (i & 63) & 1))
            v |= 1u << f->bit;
    }
    return v;
}

void cpu_model_missing(const struct cpu_model *m, void (*f)(void *ctx, const char *name, const char *text), void *ctx)
{
    u64 bitmap[FEAT_WORDS];
    cpu_model_features(m, bitmap);
    for (unsigned i = 0; i < ARRAY_LEN(feature_regs); i++) {
        const struct feature_reg *r = &feature_regs[i];
        const struct cpuid_words *w = words_find(m, r->leaf, r->sub);
        u32 hidden = w ? w->reg[r->reg] & ~shown_word(r, w->reg[r->reg], bitmap) & ~r->mirror : 0;
        for (unsigned bit = 0; bit < 32; bit++) {
            char place[48], sub[16] = "";
            unsigned feat = feature_at(r, bit);
            if (!(hidden >> bit & 1))
                continue;
            if (r->sub)
                snprintf(sub, sizeof sub, " subleaf %u", r->sub);
            snprintf(place, sizeof place, "CPUID %04X_%04Xh%s E%cX bit %u", r->leaf >> 16, r->leaf & 0xFFFF, sub, "ABCD"[r->reg],
                     bit);
            f(ctx, feat ? features[feat].name : place, feat ? features[feat].text : "no name is known");
        }
    }
}

/* ---- the instruction ---- */

static unsigned cpu_count(const struct vcpu *c)
{
    return c->cpus ? c->cpus : 1;
}

/* Fields of 8 bits that count processors; leaf Bh has the whole number. */
static unsigned count_8(const struct vcpu *c)
{
    return cpu_count(c) > 255 ? 255 : cpu_count(c);
}

static unsigned id_bits(const struct vcpu *c)
{
    unsigned n = 0;
    while (1u << n < cpu_count(c))
        n++;
    return n;
}

static void mask_features(const struct vcpu *c, u32 leaf, u32 sub, u32 out[4])
{
    for (unsigned i = 0; i < ARRAY_LEN(feature_regs); i++)
        if (feature_regs[i].leaf == leaf && feature_regs[i].sub == sub)
            out[feature_regs[i].reg] = shown_word(&feature_regs[i], out[feature_regs[i].reg], c->features);
}

static void leaf_1(const struct vcpu *c, u32 out[4])
{
    out[1] = (out[1] & 0xFFFF) | count_8(c) << 16 | (u32)c->index << 24; /* initial APIC id: its low 8 bits */
    if (c->st.cr4 & CR4_OSXSAVE)
        out[2] |= 1u << 27;
    if (cpu_count(c) == 1)
        out[3] &= ~(1u << 28); /* HTT: more than one logical processor */
    if (!(c->st.apic_base & 0x800))
        out[3] &= ~(1u << 9);
}

/* Sizes of the XSAVE areas. Only x87 and SSE state is shown. */
static void leaf_d(const struct vcpu *c, u32 sub, u32 out[4])
{
    u32 feat = out[0];
    memset(out, 0, 4 * sizeof *out);
    if (sub == 0) {
        out[0] = (u32)xcr0_valid(c);
        out[1] = out[2] = 0x240;
    } else if (sub == 1) {
        out[0] = feat;
        out[1] = 0x240;
    }
}

static void leaf_topology(const struct vcpu *c, u32 sub, u32 out[4])
{
    out[0] = sub == 1 ? id_bits(c) : 0;
    out[1] = sub == 0 ? 1 : sub == 1 ? cpu_count(c) : 0;
    out[2] = (sub & 0xFF) | (sub < 2 ? (sub + 1) << 8 : 0);
    out[3] = (u32)c->index;
}

static void adjust(const struct vcpu *c, u32 leaf, u32 sub, u32 out[4])
{
    switch (leaf) {
    case 0x1: leaf_1(c, out); break;
    case 0x6: out[1] = out[3] = 0; break;
    case 0x7:
        if (sub == 0)
            out[0] = 0;
        if (sub == 0 && (c->st.cr4 & CR4_PKE))
            out[2] |= 1u << 4;
        break;
    case 0xB: leaf_topology(c, sub, out); break;
    case 0xD: leaf_d(c, sub, out); break;
    case 0x80000001:
        if (cpu_count(c) == 1)
            out[2] &= ~2u;
        if (!(c->st.apic_base & 0x800))
            out[3] &= ~(1u << 9);
        break;
    case 0x80000008:
        if (cpu_has(c, FEAT_LA57))
            out[0] = (out[0] & ~0xFF00u) | 57 << 8;
        out[2] = (out[2] & 0x30000) | (c->model->gen > GEN_K8 ? id_bits(c) << 12 : 0) | (count_8(c) - 1);
        break;
    case 0x8000000A: out[1] = c->model->asids; break;
    case 0x8000001D: /* the last level is shared by all, the others are private */
        out[0] = (out[0] & ~(0xFFFu << 14)) | (sub == 3 ? (cpu_count(c) - 1) << 14 : 0);
        break;
    case 0x8000001E:
        out[0] = (u32)c->index;
        out[1] = (u32)c->index & 0xFF;
        out[2] = out[3] = 0;
        break;
    default: break;
    }
}

static bool has_subleaves(u32 leaf)
{
    return leaf == 0x7 || leaf == 0xB || leaf == 0xD || leaf == 0xF || leaf == 0x10 || leaf == 0x8000001D;
}

void cpuid_query(struct vcpu *c, u32 leaf, u32 sub, u32 out[4])
{
    memset(out, 0, 4 * sizeof *out);
    if (!has_subleaves(leaf))
        sub = 0;
    const struct cpuid_words *w = words_find(c->model, leaf, sub);
    if (!w && !(leaf == 0xB && words_find(c->model, leaf, 0)))
        return; /* AMD: reserved and absent leaves are zero */
    for (unsigned i = 0; i < ARRAY_LEN(leaf_of_feature); i++)
        if (leaf_of_feature[i].leaf == leaf && !cpu_has(c, leaf_of_feature[i].feat))
            return;
    if (w)
        memcpy(out, w->reg, sizeof w->reg);
    mask_features(c, leaf, sub, out);
    adjust(c, leaf, sub, out);
}

u64 xcr0_valid(const struct vcpu *c)
{
    return (cpu_has(c, FEAT_XCR0X87) ? 1 : 0) | (cpu_has(c, FEAT_XCR0SSE) ? 2 : 0);
}
