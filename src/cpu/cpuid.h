// SPDX-License-Identifier: MIT
/* Processor profiles: which part is shown, which features of it work here, and CPUID. */
#ifndef SVMEMU_CPU_CPUID_H
#define SVMEMU_CPU_CPUID_H

#include "cpu/vcpu.h"

/* Order of AMD's generations, for MSRs and behaviour that came with one. */
enum cpu_gen { GEN_K8, GEN_K10, GEN_BULLDOZER, GEN_ZEN1, GEN_ZEN2, GEN_ZEN3, GEN_ZEN4 };

struct cpuid_words {
    u32 leaf, sub;
    u32 reg[4]; /* EAX EBX ECX EDX */
};

struct cpu_model {
    const char *name, *description;
    const struct cpuid_words *words;
    unsigned nwords;
    enum cpu_gen gen;
    bool max;            /* every feature that works is shown, whatever the part has */
    u8 maxphys;          /* physical address bits */
    u64 core_hz, tsc_hz;
    u32 asids;           /* number of ASIDs, 8000000Ah.EBX */
    u32 signature;       /* family, model, stepping as in leaf 1 EAX: also DX at reset */
    u32 patch_level;     /* microcode revision, MSR 8Bh */
    u8 mce_banks;
};

const struct cpu_model *cpu_model_find(const char *name); /* NULL: no such profile; a NULL name means the default (zen3) */
const struct cpu_model *cpu_model_at(unsigned i);         /* i = 0.., NULL at the end */

/* The features that the model has and svmemu implements, as a bitmap by feat_id (FEAT_WORDS words). */
void cpu_model_features(const struct cpu_model *m, u64 *bitmap);
/* Calls f for each feature of the real part that CPUID does not show, by leaf, register and bit. The name is that of feature.def, or the bit's
 * place; it is valid during the call. */
void cpu_model_missing(const struct cpu_model *m, void (*f)(void *ctx, const char *name, const char *text), void *ctx);
const char *cpu_feature_name(unsigned feat);

#endif
