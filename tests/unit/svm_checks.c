// SPDX-License-Identifier: MIT
/* The check matrix: each rule of tests/data/consistency.csv violated alone, on a fresh processor and after a valid VMCB, and each two that can be at once, from a valid VMCB, on five
 * processors, with exactly the explanation that the table states. Expectations come from tests/data, written from the manual; ids are
 * compared with the implementation's both ways, and the coverage is printed. unit.svm_valid shows that
 * valid VMCBs do not fail. */
#define _POSIX_C_SOURCE 200809L /* strtok_r */
#include "svm_host.h"
#include "table.h"

enum { MAX_ROWS = 128, MAX_LINES = 256, MAX_WORDS = 16, MAX_IDS = 24 };

/* A line of consistency.csv. */
struct row {
    char *f[9]; /* row, id, field, offset, section, feature, result, rule, note */
    unsigned lines, alone, pairs;
};
enum { ROW, ID, FIELD_, OFFSET, SECTION, FEATURE, RESULT, RULE, NOTE };
static struct row rows[MAX_ROWS];
static unsigned nrows;

/* A word: a field, and the bits of it that the line wants. */
struct word { char text[64], key[40]; u64 mask, value; };
/* A line of consistency_cells.txt; id[0..nids) of an `invalid` or `shutdown` outcome. */
struct line {
    unsigned at, nwords, nids;
    char *row, *modes, *outcome, *features, *id[MAX_IDS];
    struct word word[MAX_WORDS];
};
static struct line lines[MAX_LINES];
static unsigned nlines, failures, pairs_run, pairs_contradict;
static char *texts[2];

static void load_rows(char *text)
{
    unsigned n = 0;
    for (char *line; (line = table_row(&text, &n));) {
        if (!strncmp(line, "row,", 4))
            continue;
        assert_true(nrows < MAX_ROWS);
        if (table_columns(line, ',', rows[nrows++].f, 9) != 9)
            fail_msg("consistency.csv:%u: nine columns are wanted", n);
    }
}

/* "cr0+=20000000": key cr0, wants those bits set. A part of a field counts as its own key, and the cells name whole fields. */
static void parse_word(struct word *w, const char *text)
{
    const char *eq = strchr(text, '=');
    assert_true(strlen(text) < sizeof w->text && eq);
    snprintf(w->text, sizeof w->text, "%s", text);
    bool op = eq[-1] == '+' || eq[-1] == '-';
    snprintf(w->key, sizeof w->key, "%.*s", (int)(eq - text - op), text);
    u64 v = strtoull(eq + 1, NULL, 16);
    bool top = strchr(eq, 'P'); /* differs by processor: all of the field */
    w->mask = op && !top ? v : op ? 0xFFF0000000000000 : ~0ull;
    w->value = eq[-1] == '-' ? 0 : v;
    if (strcmp(w->key, "host") == 0 || strcmp(w->key, "insn") == 0 || strcmp(w->key, "code") == 0)
        for (w->value = 0, eq++; *eq; eq++)
            w->value = w->value * 31 + (u8)*eq;
}

static void load_lines(char *text)
{
    unsigned n = 0;
    for (char *row; (row = table_row(&text, &n));) {
        struct line *l = &lines[nlines];
        char *part[5], *save = NULL;
        table_columns(row, '|', part, 5);
        assert_true(nlines < MAX_LINES);
        *l = (struct line){.at = n, .row = part[0], .modes = part[1], .outcome = part[3], .features = part[4]};
        for (char *w = strtok_r(part[2], " ", &save); w; w = strtok_r(NULL, " ", &save)) {
            assert_true(l->nwords < MAX_WORDS);
            parse_word(&l->word[l->nwords++], w);
        }
        if (!strncmp(l->outcome, "invalid", 7) || !strncmp(l->outcome, "shutdown", 8)) {
            save = NULL;
            strtok_r(l->outcome, " ", &save);
            for (char *id = strtok_r(NULL, " ", &save); id; id = strtok_r(NULL, " ", &save)) {
                assert_true(l->nids < MAX_IDS);
                l->id[l->nids++] = id;
            }
        }
        nlines++;
    }
}

static struct row *row_of_id(const char *id, const char *number)
{
    for (unsigned i = 0; i < nrows; i++)
        if (!strcmp(rows[i].f[ID], id) && (!number || !strcmp(rows[i].f[ROW], number)))
            return &rows[i];
    return NULL;
}

/* ---- one run ---- */

struct run {
    struct try t;
    const struct line *a, *b; /* b: NULL, or the second of a pair */
};

static void complain(const struct run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void complain(const struct run *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    printf("consistency_cells.txt:%u", r->a->at);
    if (r->b)
        printf(" with %u", r->b->at);
    printf(" on %s, guest %s: ", r->t.l->profile, r->t.mode);
    vprintf(fmt, ap);
    printf("\n");
    va_end(ap);
    for (unsigned i = 0; i < nsaid; i++)
        printf("    %s: %s\n", said[i].id, said[i].text);
    failures++;
}

static unsigned hex_bytes(const char *s, u8 *out)
{
    unsigned n = 0, v;
    for (; sscanf(s, "%2x", &v) == 1; s += 2)
        out[n++] = (u8)v;
    return n;
}

static u64 value_of(const struct run *r, const char *s)
{
    return *s == 'P' ? (1ull << r->t.maxphys) - (s[1] == '-' ? strtoull(s + 2, NULL, 16) : 0) : strtoull(s, NULL, 16);
}

static u64 changed(u64 old, const char *eq, u64 v)
{
    return eq[-1] == '+' ? old | v : eq[-1] == '-' ? old & ~v : v;
}

static void apply_word(struct run *r, const struct word *w)
{
    struct lab *l = r->t.l;
    const char *eq = strchr(w->text, '=');
    u8 code[16];
    u64 v = value_of(r, eq + 1);
    const struct vmcb_field *f = vmcb_field_find(w->key);
    if (!strcmp(w->key, "host")) {
        host_mode(l, eq + 1);
    } else if (!strcmp(w->key, "insn")) {
        unsigned n = hex_bytes(eq + 1, code);
        code[n++] = 0xF4;
        lab_write(l, HOST_CODE, code, n);
    } else if (!strcmp(w->key, "code")) {
        unsigned n = hex_bytes(eq + 1, code);
        lab_write(l, CODE, code, n);
        lab_write(l, CODE + n, "\x0F\x01\xD9", 3);
    } else if (!strcmp(w->key, "h.rax")) {
        r->t.rax = v;
    } else if (!strcmp(w->key, "h.cpl")) {
        l->c->st.cpl = (u8)v;
        l->c->st.seg[SEG_SS].attr |= (u16)(v << 5);
        l->c->st.seg[SEG_CS].attr |= (u16)(v << 5);
        l->c->st.seg[SEG_CS].sel = (u16)(8 | v);
    } else if (!strncmp(w->key, "h.", 2)) {
        struct cpu_state *st = &l->c->st;
        const struct { const char *name; u64 *reg; } list[] = {{"efer", &st->efer}, {"hsave", &st->vm_hsave_pa}, {"syscfg", &st->syscfg},
                                                               {"hwcr", &st->hwcr}, {"u_cet", &st->u_cet}};
        unsigned i = 0;
        while (i < ARRAY_LEN(list) && strcmp(list[i].name, w->key + 2) != 0)
            i++;
        if (i == ARRAY_LEN(list))
            fail_msg("consistency_cells.txt:%u: no register %s", r->a->at, w->key);
        *list[i].reg = changed(*list[i].reg, eq, v);
    } else if (!strncmp(w->key, "mem", 3)) {
        lab_put(l, strtoull(strchr(w->key, ':') + 1, NULL, 16), 8, v);
    } else if (f) {
        vmcb_field_set(&l->in, f, changed(vmcb_field_get(&l->in, f), eq, v));
    } else {
        fail_msg("consistency_cells.txt:%u: no such word: %s", r->a->at, w->text);
    }
}

static void run(struct run *r)
{
    if (r->t.primed && cpu_has(r->t.l->c, FEAT_LM)) { /* a valid VMCB passes first, in the same place; its host is a 64-bit one */
        r->t.primed = false;
        prepare(&r->t);
        go(&r->t);
        if (!r->t.l->exited || r->t.l->out.exitcode != VMEXIT_VMMCALL)
            complain(r, "the valid VMCB gives exit %llx", (unsigned long long)r->t.l->out.exitcode);
        settle(r->t.l);
        r->t.primed = true;
    }
    prepare(&r->t);
    for (unsigned k = 0; k < 2; k++) /* the host's mode first: it sets what the other words change */
        for (const struct line *x = r->a; x; x = x == r->a ? r->b : NULL)
            for (unsigned i = 0; i < x->nwords; i++)
                if (!strcmp(x->word[i].key, "host") == !k)
                    apply_word(r, &x->word[i]);
    go(&r->t);
}

/* ---- what is expected of it ---- */

static bool wants(const struct line *x, const char *id)
{
    for (unsigned i = 0; x && i < x->nids; i++)
        if (!strcmp(x->id[i], id))
            return true;
    return false;
}

/* The list of explanations is the one expected, each with the field, the offset, the value and the section that the table states. */
static void explained(struct run *r, const char *prefix)
{
    unsigned expected = 0;
    for (unsigned i = 0; i < nrows; i++)
        expected += row_of_id(rows[i].f[ID], NULL) == &rows[i] && (wants(r->a, rows[i].f[ID]) || wants(r->b, rows[i].f[ID]));
    unsigned seen = 0;
    for (unsigned i = 0; i < nsaid; i++) {
        const char *id = said[i].id + strlen(prefix);
        char where[128];
        if (strncmp(said[i].id, prefix, strlen(prefix)) != 0)
            continue;
        seen++;
        struct row *row = row_of_id(id, r->a->row);
        row = row ? row : r->b ? row_of_id(id, r->b->row) : NULL;
        row = row ? row : row_of_id(id, NULL);
        if (!row || (!wants(r->a, id) && !wants(r->b, id))) {
            complain(r, "%s is not violated", id);
            continue;
        }
        const struct vmcb_field *f = vmcb_field_find(row->f[FIELD_]);
        assert_non_null(f);
        int n = snprintf(where, sizeof where, "(%s at %sh = ", row->f[FIELD_], row->f[OFFSET]);
        if (r->t.rax == VMCB && prefix[2] == 'r')
            snprintf(where + n, sizeof where - (size_t)n, "%#llx", (unsigned long long)vmcb_field_get(&r->t.l->in, f));
        if (!strstr(said[i].text, where))
            complain(r, "%s does not name %s", id, where);
        const char *section = prefix[2] == 'r' ? row->f[SECTION] : "15.6";
        if (strncmp(said[i].section, "APM2 ", 5) || strcmp(said[i].section + 5, section))
            complain(r, "%s names section %s, not %s", id, said[i].section, section);
        if (r->b)
            row->pairs++;
        else
            row->alone++;
    }
    if (seen != expected)
        complain(r, "%u explanations, not %u", seen, expected);
}

static void fields_after(struct run *r, char *words)
{
    char *save = NULL;
    for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        char *eq = strchr(w, '=');
        assert_non_null(eq);
        *eq = 0;
        const struct vmcb_field *f = vmcb_field_find(w);
        assert_non_null(f);
        u64 got = vmcb_field_get(&r->t.l->out, f), want = strtoull(eq + 1, NULL, 16);
        if (got != want)
            complain(r, "%s is %llx, not %llx", w, (unsigned long long)got, (unsigned long long)want);
    }
}

static void check(struct run *r)
{
    struct lab *l = r->t.l;
    struct vcpu *c = l->c;
    char copy[256];
    snprintf(copy, sizeof copy, "%s", r->a->outcome);
    char *rest = strchr(copy, ' ');
    if (rest)
        *rest++ = 0;
    else
        rest = copy + strlen(copy);
    bool invalid = !strcmp(copy, "invalid"), shut = !strcmp(copy, "shutdown");
    if (*copy == '#') {
        u64 ud = c->stat_exceptions[EXC_UD] - r->t.ud, pf = c->stat_exceptions[EXC_PF] - r->t.pf;
        if (l->stop.reason != SVMEMU_STOP_SHUTDOWN || c->guest || pf || ud != !strcmp(copy, "#UD"))
            complain(r, "%s, %u times #UD, not %s", svmemu_stop_name(l->stop.reason), (unsigned)ud, copy);
    } else if (shut) {
        if (l->stop.reason != SVMEMU_STOP_SHUTDOWN || c->guest)
            complain(r, "%s, not shutdown", svmemu_stop_name(l->stop.reason));
        explained(r, "vmexit.host.");
    } else if (!l->exited) {
        complain(r, "no #VMEXIT: %s %s", svmemu_stop_name(l->stop.reason), l->stop.text);
    } else if (invalid) {
        if (c->svm->exits[SVM_STAT_OTHER] != r->t.other + 1 || (r->t.rax == VMCB && l->out.exitcode != VMEXIT_INVALID_CODE))
            complain(r, "exit %llx, not VMEXIT_INVALID", (unsigned long long)l->out.exitcode);
        if (l->out.eventinj && r->t.rax == VMCB)
            complain(r, "EVENTINJ is kept");
        if (c->st.gif)
            complain(r, "GIF is 1");
        explained(r, "vmrun.check.");
    } else {
        u64 code = !strcmp(copy, "exit") ? strtoull(rest, &rest, 16) : VMEXIT_VMMCALL;
        if (l->out.exitcode != code || nsaid)
            complain(r, "exit %llx, not %llx", (unsigned long long)l->out.exitcode, (unsigned long long)code);
        fields_after(r, rest);
    }
}

/* ---- which runs there are ---- */

static int feature_find(const char *name)
{
    for (unsigned i = FEAT_NONE + 1; i < FEAT_COUNT; i++)
        if (!strcmp(cpu_feature_name(i), name))
            return (int)i;
    fail_msg("no feature %s", name);
    return -1;
}

/* Is the line meant for this processor? Features to switch on or off for it are left in `on` and `off`. A feature that some
 * processor shows by itself needs no help. */
static bool meant_for(const struct lab *l, const struct line *x, u64 *on, u64 *off)
{
    char copy[96], *save = NULL;
    snprintf(copy, sizeof copy, "%s", x->features);
    for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        bool named = false;
        for (unsigned p = 0; p < NPROFILES; p++)
            named |= !strcmp(w, profiles[p].name);
        if (named) {
            if (strcmp(w, l->profile) != 0)
                return false;
        } else if (*w == '+' || *w == '-') {
            int f = feature_find(w + 1);
            if (strcmp(l->profile, "max") != 0)
                return false;
            (*w == '+' ? on : off)[f >> 6] |= 1ull << (f & 63);
        } else if (*w == '!' ? cpu_has(l->c, feature_find(w + 1)) : !cpu_has(l->c, feature_find(w))) {
            return false;
        }
    }
    return true;
}

static bool has_mode(const struct line *x, const char *mode)
{
    size_t n = strlen(mode);
    for (const char *at = x->modes; (at = strstr(at, mode)); at += n)
        if ((at == x->modes || at[-1] == ' ') && (!at[n] || at[n] == ' '))
            return true;
    return false;
}

static bool is_profile(const char *w)
{
    for (unsigned p = 0; p < NPROFILES; p++)
        if (!strncmp(w, profiles[p].name, strlen(profiles[p].name)))
            return true;
    return false;
}

/* Do two lines want the same bits otherwise, or does one forbid a feature that the other switches on, or need one that it switches off? */
static bool contradict(const struct line *a, const struct line *b, const u64 *on, const u64 *off)
{
    for (const struct line *x = a; x; x = x == a ? b : NULL)
        for (const char *w = x->features; *w; w += strcspn(w, " "), w += strspn(w, " ")) {
            char name[32];
            bool plain = *w != '!' && *w != '+' && *w != '-';
            if (*w == '+' || is_profile(w))
                continue;
            snprintf(name, sizeof name, "%.*s", (int)strcspn(w + !plain, " "), w + !plain);
            int f = feature_find(name);
            if ((plain ? off : on)[f >> 6] >> (f & 63) & 1)
                return true;
        }
    for (unsigned i = 0; i < a->nwords; i++)
        for (unsigned k = 0; k < b->nwords; k++) {
            const struct word *x = &a->word[i], *y = &b->word[k];
            if (!strcmp(x->key, y->key) && ((x->value ^ y->value) & x->mask & y->mask))
                return true;
        }
    return false;
}

static bool pairable(const struct line *x)
{
    for (unsigned i = 0; i < x->nwords; i++)
        if (!strcmp(x->word[i].key, "h.rax"))
            return false;
    return !strncmp(x->outcome, "invalid", 7);
}

static const char *const modes[] = {"64", "32", "real", "v86", "pae", "pr", "64+np", "32+np", "pae+np"};

static void with_features(struct run *r, const u64 *on, const u64 *off)
{
    struct vcpu *c = r->t.l->c;
    const u64 *shown = c->features;
    u64 mine[FEAT_WORDS];
    for (unsigned i = 0; i < FEAT_WORDS; i++)
        mine[i] = (shown[i] | on[i]) & ~off[i];
    c->features = mine;
    run(r);
    check(r);
    c->features = shown;
    c->svm->has.ready = false;
    settle(r->t.l);
}

static void lines_alone(struct lab *l, unsigned maxphys)
{
    for (unsigned i = 0; i < nlines; i++) {
        u64 on[FEAT_WORDS] = {0}, off[FEAT_WORDS] = {0};
        if (!meant_for(l, &lines[i], on, off))
            continue;
        for (unsigned m = 0; m < ARRAY_LEN(modes); m++)
            for (unsigned primed = 0; primed < 2 && has_mode(&lines[i], modes[m]); primed++)
                with_features(&(struct run){.t = {.l = l, .mode = modes[m], .maxphys = maxphys, .primed = primed}, .a = &lines[i]}, on, off);
        for (unsigned k = 0; k < nrows; k++)
            if (!strcmp(rows[k].f[ROW], lines[i].row) && (!lines[i].nids || wants(&lines[i], rows[k].f[ID]) || !strcmp(rows[k].f[ID], "-")))
                rows[k].lines++;
    }
}

static void lines_in_pairs(struct lab *l, unsigned maxphys)
{
    for (unsigned i = 0; i < nlines; i++)
        for (unsigned k = i + 1; k < nlines; k++) {
            const struct line *a = &lines[i], *b = &lines[k];
            u64 on[FEAT_WORDS] = {0}, off[FEAT_WORDS] = {0};
            unsigned m = 0;
            if (!pairable(a) || !pairable(b) || !meant_for(l, a, on, off) || !meant_for(l, b, on, off))
                continue;
            while (m < ARRAY_LEN(modes) && !(has_mode(a, modes[m]) && has_mode(b, modes[m])))
                m++;
            if (m == ARRAY_LEN(modes))
                continue;
            if (contradict(a, b, on, off)) {
                pairs_contradict++;
                continue;
            }
            pairs_run++;
            with_features(&(struct run){.t = {.l = l, .mode = modes[m], .maxphys = maxphys}, .a = a, .b = b}, on, off);
        }
}

static void every_rule(void **state)
{
    (void)state;
    failures = 0;
    for (unsigned p = 0; p < NPROFILES; p++) {
        struct lab l;
        lab_create(&l, profiles[p].name, false);
        l.m->cfg.diag = on_diag;
        lines_alone(&l, profiles[p].maxphys);
        lines_in_pairs(&l, profiles[p].maxphys);
        lab_destroy(&l);
    }
    assert_int_equal(failures, 0);
}

/* ---- the lists of ids, and the printed table ---- */

static void ids_match(void **state)
{
    (void)state;
    for (unsigned i = 0; i < svm_check_count; i++) {
        const struct row *r = row_of_id(svm_checks[i].id, NULL);
        if (!r)
            fail_msg("check.def has %s, consistency.csv does not", svm_checks[i].id);
    }
    for (unsigned i = 0; i < nrows; i++) {
        bool found = !strcmp(rows[i].f[ID], "-");
        for (unsigned k = 0; k < svm_check_count; k++)
            found |= !strcmp(svm_checks[k].id, rows[i].f[ID]);
        if (!found)
            fail_msg("consistency.csv has %s, check.def does not", rows[i].f[ID]);
    }
    for (unsigned n = 1, i = 0; n <= 72; n++) { /* no row of the facts is left out */
        char number[8];
        snprintf(number, sizeof number, "%u", n);
        assert_true(i < nrows);
        assert_string_equal(rows[i].f[ROW], number);
        while (i < nrows && !strcmp(rows[i].f[ROW], number))
            i++;
    }
}

static void coverage(void **state)
{
    (void)state;
    unsigned empty = 0;
    printf("row  check              result     cells   alone  in pairs  rule\n");
    for (unsigned i = 0; i < nrows; i++) {
        struct row *r = &rows[i];
        bool none = !strncmp(r->f[NOTE], "no cell: ", 9), check_row = strcmp(r->f[ID], "-") != 0;
        bool bad = none ? r->lines > 0 : !r->lines || (check_row && !r->alone);
        if (check_row && !strcmp(r->f[RESULT], "INVALID") && !r->pairs)
            bad = true;
        if (!check_row && !none && !strcmp(r->f[RESULT], "INVALID"))
            bad = true; /* a rule that fails VMRUN is a check */
        printf("%3s  %-18s %-10s %5u %7u %9u  %s%s%s%s\n", r->f[ROW], r->f[ID], r->f[RESULT], r->lines, r->alone, r->pairs, r->f[RULE],
               *r->f[NOTE] ? " -- " : "", r->f[NOTE], bad ? " <-- NOT SHOWN" : "");
        empty += bad;
    }
    printf("%u pairs run; %u more contradict each other\n", pairs_run, pairs_contradict);
    assert_int_equal(empty, 0);
}

/* Features that the tables say no processor shows: the day one does, `no cell` and + must go. */
static void not_shown(void **state)
{
    (void)state;
    for (unsigned p = 0; p < NPROFILES; p++) {
        struct lab l;
        lab_create(&l, profiles[p].name, false);
        for (unsigned i = 0; i < nrows; i++)
            if (strstr(rows[i].f[NOTE], "no processor") && strcmp(rows[i].f[FEATURE], "SVM") != 0)
                assert_false(cpu_has(l.c, feature_find(rows[i].f[FEATURE])));
        for (unsigned i = 0; i < nlines; i++)
            for (const char *w = strchr(lines[i].features, '+'); w; w = strchr(w + 1, '+')) {
                char name[32];
                snprintf(name, sizeof name, "%.*s", (int)strcspn(w + 1, " "), w + 1);
                if (cpu_has(l.c, feature_find(name)))
                    fail_msg("consistency_cells.txt:%u: %s shows %s by itself now", lines[i].at, l.profile, name);
            }
        lab_destroy(&l);
    }
}

/* A clean bit hides what is in memory from the checks; without it the violation is seen. [APM2 15.15] */
static void merged_state(void **state)
{
    (void)state;
    struct lab l;
    struct line none = {.outcome = (char *)"runs"};
    struct run r = {.t = {.l = &l, .mode = "64", .maxphys = 48}, .a = &none};
    lab_create(&l, "zen3", false);
    l.m->cfg.diag = on_diag;
    for (unsigned clean = 0; clean < 2; clean++) {
        run(&r);
        assert_int_equal(l.out.exitcode, VMEXIT_VMMCALL);
        lab_put(&l, VMCB + offsetof(union vmcb, cr0), 8, 0x1FFFFFFFFull);
        lab_put(&l, VMCB + offsetof(union vmcb, clean), 4, clean ? 1u << VMCB_GROUP_CRX : 0);
        l.c->st.rip = HOST_CODE;
        l.c->st.gpr[RAX] = VMCB;
        l.c->st.activity = ACT_RUN;
        machine_cpu_changed(l.c);
        assert_int_equal(svmemu_run(l.m, 20, SVMEMU_NO_LIMIT, &l.stop), SVMEMU_OK);
        assert_int_equal(lab_get(&l, VMCB + offsetof(union vmcb, exitcode), 8), clean ? VMEXIT_VMMCALL : VMEXIT_INVALID_CODE);
    }
    lab_destroy(&l);
}

int main(void)
{
    texts[0] = table_read("consistency.csv");
    texts[1] = table_read("consistency_cells.txt");
    load_rows(texts[0]);
    load_lines(texts[1]);
    const struct CMUnitTest tests[] = {cmocka_unit_test(ids_match), cmocka_unit_test(every_rule), cmocka_unit_test(coverage),
                                       cmocka_unit_test(not_shown), cmocka_unit_test(merged_state)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(texts[0]);
    free(texts[1]);
    return failed;
}
