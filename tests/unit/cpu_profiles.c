// SPDX-License-Identifier: MIT
/* What a profile hides of its real part, and `svmemu cpus --missing`: over every word of CPUID that consists of features, the bits of the
 * real part that CPUID does not show are exactly those that are listed. Only profile max shows what its part lacks, by the list below. */
#include "cpu_fixture.h"

enum { EAX, EBX, ECX, EDX };

static const struct row { u32 leaf; unsigned sub, reg, bit; const char *name; } rows[] = {
#define FEAT(id, leaf, sub, reg, bit, text) {leaf, sub, reg, bit, #id},
#include "cpu/feature.def"
#undef FEAT
};

/* Registers of numbers, addresses, names and sizes, and reserved ones: whether they are shown is no matter of features. */
#define ANY 0xFFu
static const struct { u32 leaf; unsigned sub; const char *regs; } numbers[] = {
    {0x0, ANY, "abcd"}, {0x1, 0, "ab"}, {0x5, 0, "abd"}, {0x6, 0, "bd"}, {0x7, 0, "a"}, {0xB, ANY, "abcd"}, {0xD, 0, "bc"}, {0xD, 1, "b"},
    {0xD, 2, "abcd"}, {0xD, 9, "abcd"}, {0xD, 11, "abcd"}, {0xD, 12, "abcd"}, /* sizes and places of the states that subleaf 0 and 1 list */
    {0xF, ANY, "abc"}, {0x10, 0, "acd"}, {0x10, 1, "abd"}, {0x80000000, 0, "abcd"}, {0x80000001, 0, "ab"}, {0x80000002, 0, "abcd"},
    {0x80000003, 0, "abcd"}, {0x80000004, 0, "abcd"}, {0x80000005, 0, "abcd"}, {0x80000006, 0, "abcd"}, {0x80000007, 0, "ac"},
    {0x80000008, 0, "acd"}, {0x8000000A, 0, "ab"}, {0x80000019, 0, "abcd"}, {0x8000001A, 0, "bcd"}, {0x8000001B, 0, "bcd"},
    {0x8000001D, ANY, "abcd"}, {0x8000001E, 0, "abcd"}, {0x8000001F, 0, "bcd"}, {0x80000020, 0, "acd"}, {0x80000021, 0, "bcd"},
    {0x80000022, 0, "bcd"},
};

static bool is_number(u32 leaf, unsigned sub, unsigned reg)
{
    for (unsigned i = 0; i < ARRAY_LEN(numbers); i++)
        if (numbers[i].leaf == leaf && (numbers[i].sub == sub || numbers[i].sub == ANY) && strchr(numbers[i].regs, "abcd"[reg]))
            return true;
    return false;
}

static const struct row *row_at(u32 leaf, unsigned sub, unsigned reg, unsigned bit)
{
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].leaf == leaf && rows[i].sub == sub && rows[i].reg == reg && rows[i].bit == bit)
            return &rows[i];
    return NULL;
}

/* Bits that mirror control registers, and leaf 1's in the extended leaf: shown without a row of their own. */
static bool no_row_needed(u32 leaf, unsigned reg, unsigned bit)
{
    return (leaf == 0x1 && reg == ECX && bit == 27) || (leaf == 0x7 && reg == ECX && bit == 4) ||
           (leaf == 0x80000001 && reg == EDX && (0x0183F3FFu >> bit & 1));
}

struct list {
    const struct cpu_model *m;
    u32 bits[128][4]; /* by the model's words */
    unsigned count, unnamed;
};

/* A name of feature.def, or "CPUID 8000_0008h EBX bit 5" with " subleaf 1" behind the leaf. */
static bool place_of(const char *name, struct row *r)
{
    unsigned high, low, n = 0;
    char reg[4];
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
        if (!strcmp(rows[i].name, name)) {
            *r = rows[i];
            return true;
        }
    r->sub = 0;
    if (sscanf(name, "CPUID %4x_%4xh E%1[ABCD]X bit %u%n", &high, &low, reg, &r->bit, (int *)&n) != 4 &&
        sscanf(name, "CPUID %4x_%4xh subleaf %u E%1[ABCD]X bit %u%n", &high, &low, &r->sub, reg, &r->bit, (int *)&n) != 5)
        return false;
    r->leaf = high << 16 | low;
    r->reg = (unsigned)(reg[0] - 'A');
    r->name = NULL;
    return !name[n] && r->bit < 32;
}

static void note(void *ctx, const char *name, const char *text)
{
    struct list *l = ctx;
    struct row r;
    assert_non_null(name);
    assert_true(text && *text);
    if (!place_of(name, &r))
        fail_msg("\"%s\" names no bit", name);
    if (!r.name) {
        l->unnamed++;
        if (row_at(r.leaf, r.sub, r.reg, r.bit))
            fail_msg("%s has a name", name);
    }
    for (unsigned i = 0; i < l->m->nwords; i++)
        if (l->m->words[i].leaf == r.leaf && l->m->words[i].sub == r.sub) {
            if (l->bits[i][r.reg] >> r.bit & 1)
                fail_msg("%s: %s is listed twice", l->m->name, name);
            l->bits[i][r.reg] |= 1u << r.bit;
            l->count++;
            return;
        }
    fail_msg("%s: %s is listed, and the part does not have that leaf", l->m->name, name);
}

static bool is_added(const char *const *added, u32 leaf, unsigned sub, unsigned reg, unsigned bit)
{
    const struct row *r = row_at(leaf, sub, reg, bit);
    for (; r && *added; added++)
        if (!strcmp(*added, r->name))
            return true;
    return false;
}

/* Compares the listing of one model with CPUID as a vCPU sees it that has everything a vCPU's state can turn on. */
static unsigned compare(const struct cpu_model *m, const char *const *added, struct list *l)
{
    struct fix *f = fix_new("zen3");
    unsigned bad = 0, extra = 0;
    *l = (struct list){.m = m};
    assert_true(m->nwords <= ARRAY_LEN(l->bits));
    cpu_model_missing(m, note, l);
    f->c.model = m;
    cpu_model_features(m, f->features);
    f->c.cpus = 2;
    for (unsigned i = 0; i < m->nwords; i++) {
        const struct cpuid_words *w = &m->words[i];
        u32 shown[4];
        f->c.st.cr4 = 0; /* what was on where the words were read */
        if (w->leaf == 1 && (w->reg[ECX] >> 27 & 1))
            f->c.st.cr4 = CR4_OSXSAVE;
        if (w->leaf == 7 && (w->reg[ECX] >> 4 & 1))
            f->c.st.cr4 = CR4_PKE;
        cpuid_query(&f->c, w->leaf, w->sub, shown);
        for (unsigned reg = 0; reg < 4; reg++)
            for (unsigned bit = 0; bit < 32; bit++) {
                bool real = w->reg[reg] >> bit & 1, show = shown[reg] >> bit & 1, listed = l->bits[i][reg] >> bit & 1;
                const struct row *r = row_at(w->leaf, w->sub, reg, bit);
                const char *what = NULL;
                if (is_number(w->leaf, w->sub, reg)) {
                    what = listed || r ? "is called a feature" : NULL;
                } else {
                    if (show && !real && is_added(added, w->leaf, w->sub, reg, bit))
                        extra++;
                    else if (show && !real)
                        what = "is shown, and the real part lacks it";
                    if (real && !show && !listed)
                        what = "is hidden, and not listed";
                    if (listed && (show || !real))
                        what = show ? "is listed, and shown" : "is listed, and the real part lacks it";
                    if (show && !r && !no_row_needed(w->leaf, reg, bit))
                        what = "is shown without a row in feature.def";
                }
                if (what)
                    print_message("%s: %X/%u E%cX bit %u (%s) %s\n", m->name, w->leaf, w->sub, "ABCD"[reg], bit, r ? r->name : "no name", what);
                bad += what != NULL;
            }
    }
    for (; *added; added++, extra--)
        ;
    assert_int_equal(extra, 0); /* all that the profile adds is seen */
    fix_free(f);
    return bad;
}

static void every_profile(void **state)
{
    static const char *const none[] = {NULL};
    static const char *const max[] = {"X2APIC", "TSCDEADLINE", "LA57", "FSGSNONSERIAL", "VNMI", "BUSLOCKTHR", "IDLEHLT", "AVIC", "X2AVIC", "X2AVICEXT",
                                      "EXTLVTAVIC", "ROGPT", "PML", NULL};
    static const struct { const char *model, *feature; } must[] = { /* what has been forgotten, and leaves that are hidden as a whole */
        {"k8", "FID"}, {"barcelona", "FP128"}, {"zen1", "TCE"}, {"zen1", "RDWROPCNT"}, {"zen1", "SME"}, {"zen1", "XCR0AVX"}, {"zen3", "TCE"},
        {"zen3", "MBE"}, {"zen3", "LBREXTN"}, {"zen3", "IBRSPREFERRED"}, {"zen3", "IBRSSAMEMODE"}, {"zen3", "BRS"}, {"zen3", "PREFETCHCTL"},
        {"zen3", "ENCRYPTEDMCODE"}, {"zen3", "SCALABLEMCA"}, {"zen3", "RAPL"}, {"zen3", "PERFCTRCORE"}, {"zen3", "XCR0PKRU"}, {"zen3", "XSSCETS"},
        {"zen3", "L3MONITOR"}, {"zen3", "L3CAT"}, {"zen3", "L3MBE"}, {"zen3", "VTE"},
    };
    unsigned bad = 0;
    (void)state;
    for (unsigned i = 0; cpu_model_at(i); i++) {
        struct list l;
        bad += compare(cpu_model_at(i), cpu_model_at(i)->max ? max : none, &l);
        print_message("%s: %u features of the real part are hidden\n", cpu_model_at(i)->name, l.count);
        for (unsigned k = 0; k < ARRAY_LEN(must); k++) {
            struct row r;
            bool seen = false;
            if (strcmp(must[k].model, cpu_model_at(i)->name) != 0)
                continue;
            for (unsigned w = 0; place_of(must[k].feature, &r) && w < l.m->nwords; w++)
                seen |= l.m->words[w].leaf == r.leaf && l.m->words[w].sub == r.sub && (l.bits[w][r.reg] >> r.bit & 1);
            if (!seen)
                print_message("%s: %s is not listed\n", must[k].model, must[k].feature);
            bad += !seen;
        }
    }
    assert_int_equal(bad, 0);
}

/* A part that has every bit: those that no row names are hidden too, and listed by their place. */
static void every_bit(void **state)
{
    static const char *const none[] = {NULL};
    const struct cpu_model *zen3 = cpu_model_find("zen3");
    struct cpuid_words words[96];
    struct cpu_model all = *zen3;
    struct list l;
    (void)state;
    assert_true(zen3->nwords < ARRAY_LEN(words));
    memcpy(words, zen3->words, zen3->nwords * sizeof *words);
    words[zen3->nwords] = (struct cpuid_words){.leaf = 0x80000022};
    all.words = words;
    all.nwords = zen3->nwords + 1;
    all.name = "every bit";
    for (unsigned i = 0; i < all.nwords; i++)
        for (unsigned reg = 0; reg < 4; reg++)
            if (!is_number(words[i].leaf, words[i].sub, reg))
                words[i].reg[reg] = ~0u;
    assert_int_equal(compare(&all, none, &l), 0);
    print_message("%u of all bits are hidden, %u of them without a name\n", l.count, l.unnamed);
    assert_true(l.unnamed > 100);
}

static void rows_are_distinct(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        assert_ptr_equal(row_at(rows[i].leaf, rows[i].sub, rows[i].reg, rows[i].bit), &rows[i]);
        if (is_number(rows[i].leaf, rows[i].sub, rows[i].reg))
            fail_msg("%s is a number", rows[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_profile), cmocka_unit_test(every_bit), cmocka_unit_test(rows_are_distinct),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
