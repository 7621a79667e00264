// SPDX-License-Identifier: MIT
/* The intercept matrix: every cell of tests/data/intercept_cells.txt on a processor before nRIP save and nested paging, one with nested paging
 * only, and three with decode assists, with the intercept set and clear. Expectations come from tests/data, which were written from the manual;
 * both tables are compared with the implementation's lists of ids, both ways. The coverage table is printed. */
#define _POSIX_C_SOURCE 200809L /* strtok_r */
#include "svm_guest.h"
#include "table.h"

static const char *const profiles[] = {"k8", "barcelona", "zen1", "zen3", "max"};
enum { MAX_ROWS = 256, MAX_CELLS = 1024, CELL_COLUMNS = 10 };

/* A line of intercepts.csv. */
struct row {
    i64 code;
    char *name, *word, *bit, *rip, *nrip, *bytes, *order, *feature, *reason;
    unsigned cells, ran, other; /* cells; runs that left by this code; runs that did not */
};
static struct row rows[MAX_ROWS];
static unsigned nrows;

/* A line of intercept_cells.txt. */
struct cell {
    unsigned line;
    char *name, *mode, *form, *bytes, *setup, *set, *clear, *info1, *info2, *feature;
};
static struct cell cells[MAX_CELLS];
static unsigned ncells, failures;
static char *texts[2];

static void load_rows(char *text)
{
    unsigned n = 0;
    char *f[13];
    for (char *line = table_row(&text, &n); (line = table_row(&text, &n));) { /* after the names of the columns */
        assert_int_equal(table_columns(line, ',', f, 13), 13);
        assert_true(nrows < MAX_ROWS);
        rows[nrows++] = (struct row){.code = *f[0] == '-' ? strtoll(f[0], NULL, 10) : strtoll(f[0], NULL, 16), .name = f[1], .word = f[2],
                                     .bit = f[3], .rip = f[7], .nrip = f[8], .bytes = f[9], .order = f[10], .feature = f[11], .reason = f[12]};
    }
}

static void load_cells(char *text)
{
    unsigned n = 0;
    char *f[CELL_COLUMNS];
    for (char *line; (line = table_row(&text, &n));) {
        table_columns(line, '|', f, CELL_COLUMNS);
        assert_true(ncells < MAX_CELLS);
        cells[ncells++] = (struct cell){n, f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7], f[8], f[9]};
    }
}

static struct row *row_find(const char *name)
{
    for (unsigned i = 0; i < nrows; i++)
        if (!strcmp(rows[i].name, name))
            return &rows[i];
    return NULL;
}

/* ---- one run of one cell ---- */

struct run {
    struct lab *l;
    const struct cell *cell;
    struct row *row;
    bool set;
    unsigned reg, len; /* register of an expanded line; length of the instruction */
    u8 code[16];
};

static void complain(const struct run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void complain(const struct run *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    printf("intercept_cells.txt:%u: %s, %s \"%s\" reg %u, %s: ", r->cell->line, r->l->profile, r->cell->mode, r->cell->form, r->reg,
           r->set ? "set" : "clear");
    vprintf(fmt, ap);
    printf("\n");
    va_end(ap);
    failures++;
}

static void want(const struct run *r, const char *what, u64 got, u64 wanted)
{
    if (got != wanted)
        complain(r, "%s is %llx, not %llx", what, (unsigned long long)got, (unsigned long long)wanted);
}

/* "1F 20 C0"; a leading '*' puts the register into modrm.rm and REX.B of a three-byte form behind an optional REX. */
static void assemble(struct run *r)
{
    const char *s = r->cell->bytes;
    bool star = *s == '*';
    u8 b[16];
    unsigned n = 0;
    char *end;
    for (s += star; *s; s = end) {
        unsigned long v = strtoul(s, &end, 16);
        if (end == s)
            break;
        b[n++] = (u8)v;
    }
    if (star) {
        bool rex = (b[0] & 0xF0) == 0x40;
        unsigned prefix = rex ? b[0] : 0;
        prefix |= r->reg & 8 ? 0x41 : 0;
        if (!rex && prefix) {
            memmove(b + 1, b, n++);
            b[0] = (u8)prefix;
        } else if (rex) {
            b[0] = (u8)prefix;
        }
        b[n - 1] |= r->reg & 7;
    }
    memcpy(r->code, b, n);
    r->len = n;
}

static u64 info_wanted(const struct run *r, const char *s, bool *known)
{
    u64 v;
    *known = *s && strcmp(s, "-");
    if (!*known)
        return 0;
    if (!strncmp(s, "DA:", 3)) {
        if (!lab_has(r->l, "DECODEASSISTS"))
            return 0;
        s += 3;
    }
    v = strtoull(s, NULL, 16);
    return strstr(s, "+r") ? v + r->reg : v;
}

/* Exit code of an exception by its mnemonic. */
static i64 exception_code(const char *s)
{
    static const struct { char name[4]; u8 vec; } list[] = {{"#DE", 0}, {"#DB", 1}, {"#BP", 3}, {"#OF", 4}, {"#BR", 5}, {"#UD", 6}, {"#NM", 7},
        {"#DF", 8}, {"#TS", 10}, {"#NP", 11}, {"#SS", 12}, {"#GP", 13}, {"#PF", 14}, {"#MF", 16}, {"#AC", 17}, {"#MC", 18}, {"#XF", 19}, {"#SX", 30}};
    for (unsigned i = 0; i < ARRAY_LEN(list); i++)
        if (!strncmp(s, list[i].name, 3))
            return 0x40 + list[i].vec;
    return -100;
}

static u64 field_value(const struct run *r, const char *name, bool *ok)
{
    int g = !strcmp(name, "r") ? (int)r->reg : gpr_find(name);
    const struct vmcb_field *f = vmcb_field_find(name);
    *ok = true;
    if (g >= 0)
        return r->l->gpr[g];
    if (!strncmp(name, "mem", 3)) {
        char *end;
        unsigned width = (unsigned)strtoul(name + 3, &end, 10);
        return lab_get(r->l, strtoull(end + 1, NULL, 16), width);
    }
    if (!strcmp(name, "xcr0"))
        return r->l->c->st.fpu.xcr0;
    if (!strcmp(name, "pending"))
        return r->l->c->pending;
    *ok = f != NULL;
    return f ? vmcb_field_get(&r->l->out, f) : 0;
}

/* Nothing of the guest may have changed before a fault or a fault-like exit. */
static void unchanged(const struct run *r, const u64 *gpr, const char *but)
{
    const union vmcb *a = &r->l->in, *b = &r->l->out;
    for (unsigned i = 0; i < 16; i++)
        if (gpr[i] != r->l->gpr[i])
            complain(r, "register %u changed from %llx to %llx", i, (unsigned long long)gpr[i], (unsigned long long)r->l->gpr[i]);
    want(r, "cr0", b->cr0, a->cr0);
    want(r, "cr2", b->cr2, a->cr2);
    want(r, "cr3", b->cr3, a->cr3);
    want(r, "cr4", b->cr4, a->cr4);
    want(r, "efer", b->efer, a->efer);
    if (!strstr(but, "rflags="))
        want(r, "rflags", b->rflags, a->rflags);
    want(r, "cs_sel", b->cs_sel, a->cs_sel);
    want(r, "gdtr_base", b->gdtr_base, a->gdtr_base);
    want(r, "idtr_limit", b->idtr_limit, a->idtr_limit);
}

static void check_exit(const struct run *r, i64 code, const struct row *row, const char *checks, u64 rip)
{
    const union vmcb *v = &r->l->out;
    if ((i64)v->exitcode != code) {
        complain(r, "exit %llx (info1 %llx, rip %llx), not %llx", (unsigned long long)v->exitcode, (unsigned long long)v->exitinfo1,
                 (unsigned long long)v->rip, (unsigned long long)code);
        return;
    }
    if (!strstr(checks, "rip=") && strcmp(row->rip, "undefined"))
        want(r, "rip", v->rip, rip);
    if (!strstr(checks, "exitintinfo="))
        want(r, "exitintinfo", v->exitintinfo, 0);
    if (!strstr(checks, "nrip="))
        want(r, "nrip", v->nrip, !lab_has(r->l, "NRIPS") ? 0x5A5A : strcmp(row->nrip, "next") ? 0 : code == VMEXIT_VMMCALL && rip != CODE ? rip + 3 : v->rip + r->len);
    if (lab_has(r->l, "DECODEASSISTS") && !strstr(checks, "insn_len=")) {
        bool data = !strcmp(row->bytes, "data");
        want(r, "insn_len", v->insn_len, data ? 15 : 0);
        if (data && memcmp(v->insn_bytes.b, r->code, r->len))
            complain(r, "instruction bytes differ");
    }
    want(r, "eventinj", v->eventinj, 0);
}

static void check_words(const struct run *r, char *words)
{
    char *save = NULL;
    for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        char *eq = strchr(w, '='), name[64];
        bool ok;
        assert_non_null(eq);
        snprintf(name, sizeof name, "%.*s", (int)(eq - w), w);
        u64 got = field_value(r, name, &ok);
        if (!ok)
            complain(r, "no such word: %s", name);
        else if (!strncmp(name, "nrip", 4) && !lab_has(r->l, "NRIPS"))
            continue;
        else if (!strncmp(name, "insn_len", 8) && !lab_has(r->l, "DECODEASSISTS"))
            continue;
        else
            want(r, name, got, strtoull(eq + 1, NULL, 16));
    }
}

/* Outcomes: exit, NAME of another code, #GP(error), #PF(error,address), next, vec:N, halt, shutdown, reset, stop. */
static void check(struct run *r, const char *outcome, const u64 *gpr)
{
    struct lab *l = r->l;
    char copy[256], *words, *kind = copy;
    snprintf(copy, sizeof copy, "%s", outcome);
    words = strchr(copy, ' ');
    if (words)
        *words++ = 0;
    else
        words = copy + strlen(copy);
    static const struct { const char *name; enum svmemu_stop_reason why; } stops[] = {
        {"halt", SVMEMU_STOP_HALTED}, {"shutdown", SVMEMU_STOP_SHUTDOWN}, {"reset", SVMEMU_STOP_LIMIT_INSNS}, {"stop", SVMEMU_STOP_UNIMPLEMENTED}};
    for (unsigned i = 0; i < ARRAY_LEN(stops); i++)
        if (!strcmp(kind, stops[i].name)) {
            if (l->exited || l->stop.reason != stops[i].why)
                complain(r, "%s instead of %s (exit %llx)", svmemu_stop_name(l->stop.reason), kind, (unsigned long long)l->out.exitcode);
            return;
        }
    if (!l->exited) {
        complain(r, "no #VMEXIT: %s %s", svmemu_stop_name(l->stop.reason), l->stop.text);
        return;
    }
    if (!strcmp(kind, "next")) {
        check_exit(r, VMEXIT_VMMCALL, row_find("VMMCALL"), words, CODE + r->len);
    } else if (!strncmp(kind, "vec:", 4)) {
        check_exit(r, VMEXIT_VMMCALL, row_find("VMMCALL"), words, HANDLERS + strtoull(kind + 4, NULL, 16) * HANDLER_SIZE);
    } else if (*kind == '#') {
        i64 code = exception_code(kind);
        char *err = strchr(kind, '('), *addr = strchr(kind, ',');
        struct row *row = NULL;
        for (unsigned i = 0; i < nrows; i++)
            if (rows[i].code == code)
                row = &rows[i];
        assert_non_null(row);
        check_exit(r, code, row, words, CODE);
        want(r, "error code", l->out.exitinfo1, err ? strtoull(err + 1, NULL, 16) : 0);
        want(r, "address", l->out.exitinfo2, addr ? strtoull(addr + 1, NULL, 16) : 0);
        if (!strstr(words, "rip="))
            unchanged(r, gpr, words);
    } else {
        bool own = !strcmp(kind, "exit"), known;
        struct row *row = own ? r->row : row_find(kind);
        if (!row) {
            complain(r, "no such outcome: %s", kind);
            return;
        }
        check_exit(r, row->code, row, words, CODE);
        if (own) {
            u64 v = info_wanted(r, r->cell->info1, &known);
            if (known)
                want(r, "exitinfo1", l->out.exitinfo1, v);
            v = info_wanted(r, r->cell->info2, &known);
            if (known)
                want(r, "exitinfo2", l->out.exitinfo2, v);
        }
        if (!strcmp(row->rip, "insn") && !strstr(words, "rip="))
            unchanged(r, gpr, words);
    }
    check_words(r, words);
}

static void run_cell(struct run *r)
{
    struct lab *l = r->l;
    u64 gpr[16];
    assemble(r);
    lab_mode(l, r->cell->mode);
    lab_write(l, CODE, r->code, r->len);
    lab_write(l, CODE + r->len, "\x0F\x01\xD9\xF4", 4);
    if (!lab_words(l, r->cell->setup, r->reg)) {
        complain(r, "%s", l->error);
        return;
    }
    if (*r->row->bit != '-') {
        u32 word = load_le(l->in.raw + 4 * (unsigned)atoi(r->row->word), 4), bit = 1u << atoi(r->row->bit);
        store_le(l->in.raw + 4 * (unsigned)atoi(r->row->word), 4, r->set ? word | bit : word & ~bit);
    }
    memcpy(gpr, l->gpr, sizeof gpr);
    lab_run(l);
    const char *outcome = r->set ? r->cell->set : r->cell->clear;
    check(r, outcome, gpr);
    if (r->set && !strncmp(outcome, "exit", 4))
        r->row->ran++;
    else
        r->row->other++;
}

static bool wanted_here(const struct lab *l, const struct cell *c, const struct row *row)
{
    char copy[64], *save = NULL;
    if (strcmp(row->feature, "SVM") && !lab_has(l, row->feature))
        return false;
    snprintf(copy, sizeof copy, "%s", c->feature);
    for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
        if (*w == '!' ? lab_has(l, w + 1) : !lab_has(l, w))
            return false;
    return true;
}

static void every_cell(void **state)
{
    (void)state;
    failures = 0;
    for (unsigned p = 0; p < 2 * ARRAY_LEN(profiles); p++) { /* by blocks, and an instruction at a time */
        struct lab l;
        lab_create(&l, profiles[p / 2], p & 1);
        for (unsigned i = 0; i < ncells; i++) {
            const struct cell *c = &cells[i];
            struct row *row = row_find(c->name);
            if (!row)
                fail_msg("intercept_cells.txt:%u: no intercept %s", c->line, c->name);
            if (!wanted_here(&l, c, row))
                continue;
            row->cells++;
            for (unsigned reg = 0; reg < (*c->bytes == '*' ? 16u : 1u); reg++)
                for (unsigned set = 0; set < 2; set++)
                    run_cell(&(struct run){.l = &l, .cell = c, .row = row, .set = set, .reg = reg});
        }
        lab_destroy(&l);
    }
    assert_int_equal(failures, 0);
}

/* ---- the lists of ids ---- */

static void ids_match(void **state)
{
    (void)state;
    static const struct { const char *id; unsigned word, bit; u64 code; } icpt[] = {
#define ICPT(id, word, bit, code, ...) {#id, word, bit, code},
#include "svm/intercept.def"
#undef ICPT
    };
    static const struct { const char *name; u64 code; } codes[] = {
#define EXITCODE(name, code, ...) {#name, code},
#include "svm/exitcode.def"
#undef EXITCODE
    };
    for (unsigned i = 0; i < ARRAY_LEN(codes); i++) {
        const struct row *r = row_find(codes[i].name);
        if (!r || (u64)r->code != codes[i].code)
            fail_msg("exitcode.def has %s, intercepts.csv does not", codes[i].name);
    }
    for (unsigned i = 0; i < ARRAY_LEN(icpt); i++) {
        bool found = false;
        for (unsigned k = 0; k < nrows; k++)
            found |= rows[k].code == (i64)icpt[i].code && *rows[k].bit != '-' && (unsigned)atoi(rows[k].word) == icpt[i].word &&
                     (unsigned)atoi(rows[k].bit) == icpt[i].bit;
        if (!found)
            fail_msg("intercept.def has %s at bit %u of word %u, intercepts.csv does not", icpt[i].id, icpt[i].bit, icpt[i].word);
    }
    for (unsigned k = 0; k < nrows; k++) {
        bool code = rows[k].code < 0, bit = *rows[k].bit == '-' || atoi(rows[k].word) < 3 || (rows[k].code >= 0x90 && rows[k].code <= 0x9F);
        for (unsigned i = 0; i < ARRAY_LEN(codes); i++)
            code |= (u64)rows[k].code == codes[i].code && !strcmp(codes[i].name, rows[k].name);
        for (unsigned i = 0; i < ARRAY_LEN(icpt); i++)
            bit |= (u64)rows[k].code == icpt[i].code;
        if (!code || !bit)
            fail_msg("intercepts.csv has %s, %s does not", rows[k].name, code ? "intercept.def" : "exitcode.def");
    }
    /* control, debug and exception words by the macros of base/ids.h: the bit number is the offset from the first code of the word */
    for (unsigned k = 0; k < nrows; k++)
        if (*rows[k].bit != '-' && atoi(rows[k].word) < 3)
            assert_int_equal(rows[k].code, atoi(rows[k].word) * 32 + atoi(rows[k].bit));
}

static bool shown_somewhere(const char *feature)
{
    bool any = !strcmp(feature, "SVM");
    for (unsigned p = 0; p < ARRAY_LEN(profiles) && !any; p++) {
        struct lab l;
        lab_create(&l, profiles[p], false);
        any = lab_has(&l, feature);
        lab_destroy(&l);
    }
    return any;
}

/* No row is empty without one of the accepted reasons, or while a processor shows the feature that it belongs to. */
static void coverage(void **state)
{
    static const char *const accepted[] = {"cannot occur on silicon", "SEV", "needs SMM, SKINIT or x87"};
    unsigned empty = 0;
    (void)state;
    printf("code  name                  cells  exits  others  reason if it is never seen\n");
    for (unsigned k = 0; k < nrows; k++) {
        const struct row *r = &rows[k];
        bool ok = r->ran > 0;
        const char *reason = r->reason;
        for (unsigned i = 0; i < ARRAY_LEN(accepted) && !ok; i++)
            ok = !strcmp(reason, accepted[i]);
        if (!ok && !shown_somewhere(r->feature))
            ok = true, reason = "no processor shows its feature";
        if (r->code >= 0)
            printf("%3llXh  ", (unsigned long long)r->code);
        else
            printf("%4lld  ", (long long)r->code);
        printf("%-20s %6u %6u  %6u  %s%s\n", r->name, r->cells, r->ran, r->other, reason, ok ? "" : "<-- EMPTY");
        empty += !ok;
    }
    assert_int_equal(empty, 0);
}

int main(void)
{
    texts[0] = table_read("intercepts.csv");
    texts[1] = table_read("intercept_cells.txt");
    load_rows(texts[0]);
    load_cells(texts[1]);
    const struct CMUnitTest tests[] = {cmocka_unit_test(ids_match), cmocka_unit_test(every_cell), cmocka_unit_test(coverage)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(texts[0]);
    free(texts[1]);
    return failed;
}
