// SPDX-License-Identifier: MIT
/* What the consistency checks must let pass: random valid VMCBs, made by the manual's rules over modes, control registers, debug registers,
 * events, paging, ASIDs and intercepts; and each single bit of EFER and CR4. */
#define _POSIX_C_SOURCE 200809L /* strtok_r of svm_guest.h */
#include "svm_host.h"

static u64 seed;

static u64 rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed * 0x2545F4914F6CDD1Dull;
}

static bool one_in(unsigned n)
{
    return rnd() % n == 0;
}

static u64 phys(unsigned maxphys)
{
    return rnd() >> (64 - maxphys);
}

/* Bits of EFER and CR4 that a processor has, by the manual's lists of features. [APM2 3.1.3, 3.1.7] */
static u64 legal_bits(const struct lab *l, bool efer)
{
    static const struct { u8 efer, bit; const char *feature; } list[] = {
        {1, 0, "SYSCALL"}, {1, 8, "LM"}, {1, 10, "LM"}, {1, 11, "NX"}, {1, 14, "FFXSR"}, {1, 17, "MCOMMIT"}, {1, 18, "INTWBINVD"},
        {1, 20, "UAI"},
        {1, 21, "AUTOIBRS"}, {0, 11, "UMIP"}, {0, 12, "LA57"}, {0, 16, "FSGSBASE"}, {0, 17, "PCID"}, {0, 18, "XSAVE"}, {0, 20, "SMEP"},
        {0, 21, "SMAP"}, {0, 22, "PKU"}, {0, 23, "CETSS"}};
    u64 m = efer ? 0xFE : 0x7FF;
    for (unsigned i = 0; i < ARRAY_LEN(list); i++)
        if (list[i].efer == efer && lab_has(l, list[i].feature))
            m |= 1ull << list[i].bit;
    if (efer && !lab_has(l, "LMSLEUNSUPP"))
        m |= 1 << 13;
    if (efer && strcmp(l->profile, "k8") && strcmp(l->profile, "barcelona"))
        m |= 1 << 15; /* TCE came with family 15h */
    return m;
}

/* Modes: 0 real or protected without paging, LME free; 1 virtual-8086; 2 legacy paging; 3 legacy PAE; 4 paged real mode; 5 paged real mode
 * with PAE tables; 6 compatibility mode; 7 64-bit mode. */
static void random_registers(struct lab *l, unsigned mode, unsigned maxphys)
{
    union vmcb *v = &l->in;
    bool pg = mode >= 2, lm = mode >= 6, pae = mode == 3 || mode == 5;
    v->efer = (rnd() & legal_bits(l, true)) | EFER_SVME;
    v->cr4 = rnd() & legal_bits(l, false);
    v->cr0 = (u32)rnd();
    v->cr0 = (v->cr0 & ~(u64)(CR0_PG | (v->cr0 & CR0_CD ? 0 : CR0_NW))) | (pg ? CR0_PG : 0);
    if (mode == 4 || mode == 5)
        v->cr0 &= ~(u64)CR0_PE;
    else if (mode)
        v->cr0 |= CR0_PE;
    if (pg)
        v->efer = lm ? v->efer | EFER_LME : v->efer & ~(u64)EFER_LME;
    if (pg)
        v->cr4 = lm || pae ? v->cr4 | CR4_PAE : v->cr4 & ~(u64)CR4_PAE;
    if (v->cr4 & CR4_CET)
        v->cr0 |= CR0_WP;
    v->cr3 = one_in(2) ? TABLES | (rnd() & 0xFFF) : phys(maxphys);
    if (pae) {
        v->cr3 = (phys(maxphys) & ~0xFFFFFFFFull) | (TABLES + 0x1000) | (rnd() & 0x1F);
        for (unsigned i = 0; i < 4; i++)
            lab_put(l, TABLES + 0x1000 + 8 * i, 8, one_in(2) ? rnd() & ~1ull : (phys(maxphys) & ~0x1E6ull) | 1);
    }
    v->rflags = mode == 1 ? rnd() | FL_VM : rnd();
    v->dr6 = (u32)rnd();
    v->dr7 = (u32)rnd();
    v->cr2 = rnd();
    v->rip = one_in(4) ? rnd() | RAM : CODE;
    v->cpl = (u8)rnd();
}

static void random_segments(struct lab *l, unsigned mode)
{
    union vmcb *v = &l->in;
    for (unsigned at = 0x400; at < 0x440; at += 8)
        store_le(v->raw + at, 8, rnd());
    for (unsigned at = 0x460; at < 0x470; at += 8)
        store_le(v->raw + at, 8, rnd());
    for (unsigned at = 0x480; at < 0x490; at += 8)
        store_le(v->raw + at, 8, rnd());
    if (one_in(2))
        v->cs_base = 0, v->cs_limit = ~0u;
    if (mode == 7)
        v->cs_attr = (u16)((v->cs_attr | ATTR_L) & ~ATTR_DB);
    if (mode == 6)
        v->cs_attr &= (u16)~ATTR_L;
    if (mode < 6 && (v->efer & EFER_LME) && one_in(2))
        v->cs_attr |= ATTR_L | ATTR_DB; /* LME without paging: no rule for L and D */
}

static void random_controls(struct lab *l, unsigned mode, unsigned maxphys)
{
    static const u8 types[] = {0, 1, 4, 5, 6, 7}, flushes[] = {0, 1, 3, 7};
    union vmcb *v = &l->in;
    bool np = lab_has(l, "NP");
    for (unsigned at = 0; at < 0x18; at += 4)
        store_le(v->raw + at, 4, (u32)rnd());
    v->icpt_exc = ~0u;
    v->icpt_misc1 |= 1u << 31 | 1 << 24; /* shutdown, HLT */
    v->icpt_misc2 |= 1 | 2;
    v->pause_count = (u16)rnd();
    v->iopm_base = rnd() % ((1ull << maxphys) - 0x2FFF);
    v->msrpm_base = rnd() % ((1ull << maxphys) - 0x1FFF);
    v->tsc_offset = rnd();
    v->asid = (u32)rnd() | 1u << (rnd() & 31);
    v->tlb_control = flushes[rnd() % (lab_has(l, "FLUSHBYASID") ? 4 : 2)];
    v->int_ctl = (u32)rnd() & ~(u32)((lab_has(l, "AVIC") ? INT_CTL_AVIC : 0) | (lab_has(l, "X2AVIC") ? INT_CTL_X2AVIC : 0));
    if (lab_has(l, "VNMI") && (v->int_ctl & INT_CTL_V_NMI_ENABLE))
        v->icpt_misc1 |= 2;
    v->int_state = rnd();
    v->np_ctl = rnd();
    if (lab_has(l, "SSSCHECK"))
        v->np_ctl &= ~(u64)NP_CTL_SSS;
    v->virt_ext = rnd();
    v->clean = one_in(2) ? 0 : (u32)rnd();
    v->nrip = rnd();
    v->n_cr3 = one_in(2) ? NPT : np && (v->np_ctl & 1) ? phys(maxphys) : rnd();
    v->g_pat = rnd();
    for (unsigned i = 0; i < 8 && np && (v->np_ctl & 1); i++)
        v->raw[offsetof(union vmcb, g_pat) + i] = types[rnd() % ARRAY_LEN(types)];
    if (mode == 3 || mode == 5)
        v->np_ctl &= ~1ull;
    unsigned type = one_in(4) ? 0 : one_in(3) ? 2 : one_in(2) ? 4 : 3, vector = (unsigned)rnd() & 0xFF;
    if (type == 3)
        vector = (vector & 31) == 2 ? 3 : vector & 31;
    if (type == 3 && mode == 7 && (vector == 4 || vector == 5))
        vector = 6;
    v->eventinj = (rnd() & 0xFFFFFFFF7FFFF800) | type << 8 | vector;
    if (one_in(2))
        v->eventinj |= INJ_V;
    else
        v->eventinj ^= rnd() & 0x7FFFFFFF;
}

static void random_valid(void **state)
{
    (void)state;
    unsigned bad = 0, runs = 0, entered = 0;
    for (unsigned p = 0; p < NPROFILES; p++) {
        struct lab l;
        lab_create(&l, profiles[p].name, false);
        l.m->cfg.diag = on_diag;
        for (unsigned i = 0; i < 4000; i++, runs++) {
            unsigned mode = i % 8, maxphys = profiles[p].maxphys;
                        struct try t = {.l = &l, .mode = "64", .maxphys = maxphys};
            u64 first = seed = 0x9E3779B97F4A7C15ull * (p * 100000 + i + 1);
            prepare(&t);
            random_registers(&l, mode, maxphys);
            random_segments(&l, mode);
            random_controls(&l, mode, maxphys);
            go(&t);
            entered += l.out.exitcode != VMEXIT_INVALID_CODE;
            for (unsigned k = 0; k < nsaid; k++)
                if (!strncmp(said[k].id, "vmrun.check.", 12)) {
                    printf("%s, seed %llx, mode %u: %s %s\n", l.profile, (unsigned long long)first, mode, said[k].id, said[k].text);
                    bad++;
                }
            settle(&l);
        }
        lab_destroy(&l);
    }
    printf("%u random valid VMCBs, %u refused\n", runs, runs - entered);
    assert_int_equal(bad, 0);
    assert_int_equal(entered, runs);
}

/* Each bit alone: refused, with that one explanation, unless the processor has it. */
static void single_bits(void **state)
{
    (void)state;
    for (unsigned p = 0; p < NPROFILES; p++) {
        struct lab l;
        lab_create(&l, profiles[p].name, false);
        l.m->cfg.diag = on_diag;
        for (unsigned i = 0; i < 128; i++) {
            struct try t = {.l = &l, .mode = "64", .maxphys = profiles[p].maxphys};
            bool efer = i < 64, legal = legal_bits(&l, efer) >> (i & 63) & 1;
            prepare(&t);
            if (efer)
                l.in.efer |= 1ull << i;
            else
                l.in.cr4 |= 1ull << (i & 63), l.in.cr0 |= CR0_WP;
            go(&t);
            if (efer && i == 12)
                legal = true;
            if (nsaid != !legal || (nsaid && strcmp(said[0].id, efer ? "vmrun.check.efer_mbz" : "vmrun.check.cr4_mbz")))
                fail_msg("%s: bit %u of %s: %u explanations, first %s", l.profile, i & 63, efer ? "EFER" : "CR4", nsaid,
                         nsaid ? said[0].id : "");
            assert_int_equal(l.out.exitcode == VMEXIT_INVALID_CODE, !legal);
            settle(&l);
        }
        lab_destroy(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_valid), cmocka_unit_test(single_bits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
