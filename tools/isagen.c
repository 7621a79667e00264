// SPDX-License-Identifier: MIT
/* isagen OUTDIR src/isa/FILE.c...: copies the INSN rows (src/isa/isa.h) out of the family files into tables.
 *
 * Strict: a row it cannot read, a row without a body, two rows that match the same bytes are errors with file and line. Of two rows
 * that overlap, one must be the special case of the other (narrower prefix, mode, ModRM, W, L or B); the special case is tried first.
 * Unknown names of features, intercepts and timing classes are found by the compiler, at the row's own line (#line). */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "../src/decoder/rows.h"

enum { MAX_ROWS = 8192, MAX_BODIES = 4096, COLUMNS = 11 };
enum { KIND_NONE, KIND_ALU, KIND_ALUC, KIND_TST, KIND_UN, KIND_SYS, KIND_COUNT };
static const char *const kind_macro[] = { "", "ALU", "ALUC", "TST", "UN", "SYS" };
static const char *const kind_lower[] = { "", "alu", "aluc", "tst", "un", "sys" };

/* What a row matches, one set for each thing that is looked at. */
struct match {
    uint8_t modes, prefixes, w, l, b;
    uint8_t modrm[32];
};
struct row {
    const char *file;
    unsigned line, order;
    char *col[COLUMNS];
    unsigned map, opcode, opcodes, prefix, modrm, nops, opnd[4], kind, number;
    char limits[512], feature[64], icpt[64];
    unsigned fl[3];
    bool calc;
    struct match m;
};
struct body {
    const char *file;
    char name[64];
    unsigned kind, line;
    bool stamped;
};

static struct row rows[MAX_ROWS];
static struct body bodies[MAX_BODIES];
static unsigned row_count, body_count, errors;

static const struct { const char *text; unsigned am; } opnds[] = {
#define OPND(id, text, am, size) { text, AM_##am },
#include "../src/decoder/operand.def"
#undef OPND
};
static const char *const map_names[] = { "ONE", "0F", "0F38", "0F3A", "3DNOW", "VEX1", "VEX2", "VEX3" };
static const char *const prefix_names[] = { "_", "NP", "66", "F3", "F2" };
static const char *const limit_names[] = {
    "LOCK", "CPL0", "NO64", "O64", "PM", "D64", "F64", "END", "BRANCH", "CALC", "REP", "W0", "W1", "L0", "L1", "NO66", "FPU", "MMX", "SSE",
    "AVX", "IOPL", "NOFAULT", "B0", "RO", "SVME", "SKINIT", "UMIP", "TSD",
};

__attribute__((format(printf, 3, 4))) static void error_at(const char *file, unsigned line, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "%s:%u: error: ", file, line);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    if (++errors > 40) {
        fprintf(stderr, "isagen: too many errors\n");
        exit(1);
    }
}

static int lookup(const char *const *names, unsigned n, const char *word)
{
    for (unsigned i = 0; i < n; i++)
        if (strcmp(names[i], word) == 0)
            return (int)i;
    return -1;
}
#define LOOKUP(names, word) lookup(names, sizeof(names) / sizeof((names)[0]), word)

static bool is_name(const char *s)
{
    if (!*s)
        return false;
    for (; *s; s++)
        if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') || *s == '_'))
            return false;
    return true;
}

/* Splits the text between the parentheses into trimmed columns; false with a message when there are not exactly COLUMNS. */
static bool split_columns(struct row *r, const char *line)
{
    const char *open = strchr(line, '('), *close = strrchr(line, ')');
    if (!close) {
        error_at(r->file, r->line, "a row must end on its own line with ')'");
        return false;
    }
    const char *after = close + 1 + strspn(close + 1, " \t");
    if (*after && *after != '\n' && *after != '\r' && strncmp(after, "/*", 2) != 0 && strncmp(after, "//", 2) != 0) {
        error_at(r->file, r->line, "text after the row: %s", after);
        return false;
    }
    size_t len = (size_t)(close - open - 1);
    char *text = calloc(1, len + 1); /* lives as long as the row: to the end of the run */
    if (!text) {
        error_at(r->file, r->line, "out of memory");
        return false;
    }
    memcpy(text, open + 1, len);
    unsigned n = 0;
    for (char *p = text;;) {
        p += strspn(p, " \t");
        char *comma = strchr(p, ',');
        if (n < COLUMNS)
            r->col[n] = p;
        n++;
        char *end = comma ? comma : p + strlen(p);
        while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
            end--;
        char *next = comma ? comma + 1 : NULL;
        *end = 0;
        if (!next)
            break;
        p = next;
    }
    if (n != COLUMNS)
        error_at(r->file, r->line, "%u columns instead of %d (map, opcode, prefix, modrm, name, operands, limits, flags, intercept, timing, "
                 "stamp; words inside a column are separated by spaces)", n, COLUMNS);
    return n == COLUMNS;
}

static void parse_opcode(struct row *r)
{
    char *end;
    r->opcode = (unsigned)strtoul(r->col[1], &end, 16);
    r->opcodes = 1;
    if (strcmp(end, "+r") == 0)
        r->opcodes = 8;
    else if (strcmp(end, "+cc") == 0)
        r->opcodes = 16;
    else if (*end || end != r->col[1] + 2)
        error_at(r->file, r->line, "opcode '%s' is not two hex digits, XX+r or XX+cc", r->col[1]);
    if (r->opcode > 255 || r->opcode % r->opcodes)
        error_at(r->file, r->line, "opcode '%s' is out of range or not aligned", r->col[1]);
}

static void parse_modrm(struct row *r)
{
    const char *s = r->col[3];
    static const char *const words[] = { "_", "MRM", "MEM", "REG" };
    int i = LOOKUP(words, s);
    if (i >= 0) {
        r->modrm = (unsigned)i;
    } else if (s[0] == '/' && s[1] >= '0' && s[1] <= '7' && (!s[2] || ((s[2] == 'm' || s[2] == 'r') && !s[3]))) {
        r->modrm = (s[2] == 'm' ? MRM_DIGIT_MEM : s[2] == 'r' ? MRM_DIGIT_REG : MRM_DIGIT) + (unsigned)(s[1] - '0');
    } else if (s[0] == '=') {
        char *end;
        r->modrm = (unsigned)strtoul(s + 1, &end, 16);
        if (*end || end != s + 3 || r->modrm < MRM_EXACT || r->modrm > 0xFF)
            error_at(r->file, r->line, "modrm '%s': an exact ModRM byte is =C0 to =FF", s);
    } else {
        error_at(r->file, r->line, "modrm '%s' is none of _ MRM MEM REG /n /nm /nr =XX", s);
    }
}

/* Operands that are only memory or only a register narrow the ModRM form, so that rows need not say it twice. */
static void narrow_modrm(struct row *r, unsigned am)
{
    bool mem = am == AM_M || am == AM_VSIB, reg = am == AM_R || am == AM_N || am == AM_U;
    if (am == AM_CR || am == AM_DR) {
        r->modrm = MRM_IGN;
    } else if (r->modrm == MRM_IGN) {
        return;
    } else if ((mem && (r->modrm == MRM_REG || r->modrm >= MRM_DIGIT_REG)) ||
               (reg && (r->modrm == MRM_MEM || r->modrm >> 4 == MRM_DIGIT_MEM >> 4))) {
        error_at(r->file, r->line, "operands '%s' contradict modrm '%s'", r->col[5], r->col[3]);
    } else if ((mem || reg) && r->modrm == MRM_ANY) {
        r->modrm = mem ? MRM_MEM : MRM_REG;
    } else if ((mem || reg) && r->modrm >> 4 == MRM_DIGIT >> 4) {
        r->modrm += (mem ? MRM_DIGIT_MEM : MRM_DIGIT_REG) - MRM_DIGIT;
    }
}

static void parse_operands(struct row *r)
{
    char buf[256];
    snprintf(buf, sizeof(buf), "%s", r->col[5]);
    bool vvvv = false;
    for (char *w = strtok(buf, " \t"); w; w = strtok(NULL, " \t")) {
        unsigned i = 0;
        while (i < OPND_COUNT && strcmp(opnds[i].text, w) != 0)
            i++;
        if (i == OPND_COUNT) {
            error_at(r->file, r->line, "unknown operand '%s' (src/decoder/operand.def lists them)", w);
            continue;
        }
        if (i == OPND_none)
            continue;
        if (r->nops == 4) {
            error_at(r->file, r->line, "more than four operands");
            return;
        }
        unsigned am = opnds[i].am;
        bool needs_modrm = am == AM_E || am == AM_G || am == AM_M || am == AM_VSIB || am == AM_R || am == AM_SREG || am == AM_CR ||
                           am == AM_DR || am == AM_STI || (am >= AM_P && am <= AM_U);
        if (needs_modrm && r->modrm == MRM_NONE)
            error_at(r->file, r->line, "operand '%s' needs a modrm column", w);
        if (am == AM_Z && r->opcodes != 8)
            error_at(r->file, r->line, "operand '%s' needs an opcode XX+r", w);
        vvvv |= am == AM_B || am == AM_H;
        r->opnd[r->nops++] = i;
        narrow_modrm(r, am);
    }
    if (r->map >= MAP_VEX1 && !vvvv)
        strcat(r->limits, "|LIM_VEXNDD");
    else if (r->map < MAP_VEX1 && vvvv)
        error_at(r->file, r->line, "VEX.vvvv operand in a row without VEX");
}

static void parse_limits(struct row *r)
{
    char buf[256];
    r->m.modes = 7;
    r->m.w = r->m.l = r->m.b = 3;
    snprintf(buf, sizeof(buf), "%s", r->col[6]);
    for (char *w = strtok(buf, " \t|"); w; w = strtok(NULL, " \t|")) {
        if (strcmp(w, "_") == 0)
            continue;
        if (strncmp(w, "F:", 2) == 0) {
            if (!is_name(w + 2) || r->feature[0])
                error_at(r->file, r->line, "bad or second feature '%s'", w);
            else
                snprintf(r->feature, sizeof(r->feature), "%s", w + 2);
            continue;
        }
        if (LOOKUP(limit_names, w) < 0) {
            error_at(r->file, r->line, "unknown limit '%s'", w);
            continue;
        }
        strcat(strcat(r->limits, "|LIM_"), w);
        if (strcmp(w, "NO64") == 0)
            r->m.modes &= 3;
        else if (strcmp(w, "O64") == 0)
            r->m.modes &= 4;
        else if (w[1] && !w[2] && (w[1] == '0' || w[1] == '1') && strchr("WLB", w[0]))
            *(w[0] == 'W' ? &r->m.w : w[0] == 'L' ? &r->m.l : &r->m.b) &= w[1] == '0' ? 1 : 2;
        else if (strcmp(w, "CALC") == 0)
            r->calc = true;
    }
}

static void parse_flags(struct row *r)
{
    char buf[256];
    snprintf(buf, sizeof(buf), "%s", r->col[7]);
    for (char *w = strtok(buf, " \t"); w; w = strtok(NULL, " \t")) {
        if (strcmp(w, "_") == 0)
            continue;
        const char *which = "wur", *k = w[0] && w[1] == ':' ? strchr(which, w[0]) : NULL;
        if (!k || !w[2]) {
            error_at(r->file, r->line, "flags '%s' are not w:, u: or r: and letters of OSZAPCD", w);
            continue;
        }
        for (const char *p = w + 2; *p; p++) {
            static const char letters[] = "CPAZSDO";
            static const unsigned char bit[] = { 0, 2, 4, 6, 7, 10, 11 };
            const char *l = strchr(letters, *p);
            if (l)
                r->fl[k - which] |= 1u << bit[l - letters];
            else
                error_at(r->file, r->line, "unknown flag letter '%c' in '%s'", *p, w);
        }
    }
}

static void parse_names(struct row *r)
{
    static const char *const stamps[] = { "gen", "width", "reg" };
    if (!is_name(r->col[4]))
        error_at(r->file, r->line, "name '%s' is not a C name", r->col[4]);
    if (!is_name(r->col[9]))
        error_at(r->file, r->line, "timing '%s' is not a name", r->col[9]);
    if (LOOKUP(stamps, r->col[10]) < 0)
        error_at(r->file, r->line, "stamp '%s' is none of gen, width, reg", r->col[10]);
    static const char *const families[] = { "CR_READ", "CR_WRITE", "DR_READ", "DR_WRITE" };
    const char *i = r->col[8];
    bool body = strncmp(i, "body:", 5) == 0;
    if (body)
        i += 5;
    else if (strcmp(i, "_") != 0)
        strcat(r->limits, "|LIM_ICPT");
    if (strcmp(i, "_") == 0)
        strcpy(r->icpt, "0");
    else if (!is_name(i))
        error_at(r->file, r->line, "intercept '%s' is not a name", i);
    else /* for the families the register number is added where it is tested */
        snprintf(r->icpt, sizeof(r->icpt), LOOKUP(families, i) >= 0 ? "ICPT_%s(0)" : "ICPT_%s", i);
}

static void fill_match(struct row *r)
{
    r->m.prefixes = r->prefix == MP_ANY ? 15 : (uint8_t)(1u << (r->prefix - 1));
    for (unsigned b = 0; b < 256; b++) {
        unsigned digit = b >> 3 & 7, kind = r->modrm & 0xF0;
        bool reg = b >= 0xC0, ok = true;
        if (r->modrm >= MRM_EXACT)
            ok = b == r->modrm;
        else if (kind)
            ok = digit == (r->modrm & 7) && (kind == MRM_DIGIT || (kind == MRM_DIGIT_REG) == reg);
        else if (r->modrm == MRM_MEM || r->modrm == MRM_REG)
            ok = reg == (r->modrm == MRM_REG);
        if (ok)
            r->m.modrm[b / 8] |= (uint8_t)(1u << (b % 8));
    }
}

static void parse_row(const char *file, unsigned line, const char *text)
{
    if (row_count == MAX_ROWS) {
        error_at(file, line, "more than %d rows: raise MAX_ROWS", MAX_ROWS);
        exit(1);
    }
    struct row *r = &rows[row_count];
    memset(r, 0, sizeof(*r));
    r->file = file;
    r->line = line;
    r->order = row_count;
    if (!split_columns(r, text))
        return;
    int map = LOOKUP(map_names, r->col[0]), prefix = LOOKUP(prefix_names, r->col[2]);
    if (map < 0)
        error_at(file, line, "map '%s' is none of ONE 0F 0F38 0F3A 3DNOW VEX1 VEX2 VEX3", r->col[0]);
    if (prefix < 0)
        error_at(file, line, "prefix '%s' is none of _ NP 66 F3 F2", r->col[2]);
    r->map = map < 0 ? 0 : (unsigned)map;
    r->prefix = prefix < 0 ? 0 : (unsigned)prefix;
    parse_opcode(r);
    parse_modrm(r);
    parse_limits(r);
    parse_operands(r);
    parse_flags(r);
    parse_names(r);
    fill_match(r);
    row_count++;
}

/* A line that begins with one of the body macros. */
static void parse_body(const char *file, unsigned line, const char *text)
{
    for (unsigned k = KIND_ALU; k < KIND_COUNT; k++) {
        size_t n = strlen(kind_macro[k]);
        if (strncmp(text, kind_macro[k], n) != 0 || text[n] != '(')
            continue;
        size_t len = strcspn(text + n + 1, ")");
        struct body *b = &bodies[body_count];
        if (body_count == MAX_BODIES || len >= sizeof(b->name)) {
            error_at(file, line, "too many bodies or a too long name");
            exit(1);
        }
        *b = (struct body){ .file = file, .kind = k, .line = line };
        memcpy(b->name, text + n + 1, len);
        if (!is_name(b->name))
            error_at(file, line, "body name '%s' is not a C name", b->name);
        for (unsigned i = 0; i < body_count; i++)
            if (strcmp(bodies[i].name, b->name) == 0)
                error_at(file, line, "second body '%s', first at %s:%u", b->name, bodies[i].file, bodies[i].line);
        body_count++;
    }
}

static void read_file(const char *file)
{
    FILE *f = fopen(file, "r");
    if (!f) {
        error_at(file, 0, "%s", strerror(errno));
        return;
    }
    char text[4096];
    for (unsigned line = 1; fgets(text, sizeof(text), f); line++) {
        const char *p = text + strspn(text, " \t");
        if (strncmp(p, "INSN(", 5) == 0)
            parse_row(file, line, p);
        else
            parse_body(file, line, text);
    }
    fclose(f);
}

static bool bits_meet(const uint8_t *a, const uint8_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (a[i] & b[i])
            return true;
    return false;
}

static bool bits_within(const uint8_t *a, const uint8_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (a[i] & ~b[i])
            return false;
    return true;
}

static bool match_meet(const struct match *a, const struct match *b)
{
    return (a->modes & b->modes) && (a->prefixes & b->prefixes) && (a->w & b->w) && (a->l & b->l) && (a->b & b->b) &&
           bits_meet(a->modrm, b->modrm, 32);
}

static bool match_within(const struct match *a, const struct match *b)
{
    return bits_within(&a->modes, &b->modes, 1) && bits_within(&a->prefixes, &b->prefixes, 1) && bits_within(&a->w, &b->w, 1) &&
           bits_within(&a->l, &b->l, 1) && bits_within(&a->b, &b->b, 1) && bits_within(a->modrm, b->modrm, 32);
}

/* How many combinations a row matches: a special case always has fewer. */
static unsigned long match_size(const struct match *m)
{
    unsigned long n = 0;
    for (unsigned i = 0; i < 32; i++)
        n += (unsigned)__builtin_popcount(m->modrm[i]);
    return n * (unsigned)__builtin_popcount(m->modes) * (unsigned)__builtin_popcount(m->prefixes) *
           (unsigned)__builtin_popcount(m->w) * (unsigned)__builtin_popcount(m->l) * (unsigned)__builtin_popcount(m->b);
}

static int compare_rows(const void *pa, const void *pb)
{
    const struct row *a = pa, *b = pb;
    if (a->map != b->map)
        return a->map < b->map ? -1 : 1;
    if (a->opcode != b->opcode)
        return a->opcode < b->opcode ? -1 : 1;
    unsigned long sa = match_size(&a->m), sb = match_size(&b->m);
    if (sa != sb)
        return sa < sb ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

static bool row_has_opcode(const struct row *r, unsigned opcode)
{
    return opcode - r->opcode < r->opcodes;
}

static void check_overlaps(void)
{
    for (unsigned i = 0; i < row_count; i++) {
        for (unsigned j = i + 1; j < row_count; j++) {
            const struct row *a = &rows[i], *b = &rows[j];
            if (a->map != b->map || !(row_has_opcode(a, b->opcode) || row_has_opcode(b, a->opcode)))
                continue;
            if ((a->modrm == MRM_NONE) != (b->modrm == MRM_NONE) && match_meet(&a->m, &b->m))
                error_at(b->file, b->line, "%s has %sa ModRM byte but %s (%s:%u) matches the same bytes", b->col[4],
                         b->modrm ? "" : "not ", a->col[4], a->file, a->line);
            if (!match_meet(&a->m, &b->m))
                continue;
            bool ab = match_within(&a->m, &b->m), ba = match_within(&b->m, &a->m);
            if (ab == ba)
                error_at(b->file, b->line, "row %s overlaps row %s at %s:%u and neither is a special case of the other", b->col[4],
                         a->col[4], a->file, a->line);
        }
    }
}

static struct body *find_body(const struct row *r)
{
    for (unsigned i = 0; i < body_count; i++)
        if (strcmp(bodies[i].name, r->col[4]) == 0)
            return &bodies[i];
    return NULL;
}

static void check_bodies(void)
{
    for (unsigned i = 0; i < row_count; i++) {
        struct row *r = &rows[i];
        for (unsigned j = 0; j < i; j++)
            r->number += strcmp(rows[j].col[4], r->col[4]) == 0;
        if (r->calc)
            continue;
        struct body *b = find_body(r);
        if (!b) {
            error_at(r->file, r->line, "row '%s' has no body: write ALU(%s), ALUC, TST, UN or SYS at the start of a line, or give it the limit CALC",
                     r->col[4], r->col[4]);
            continue;
        }
        r->kind = b->kind;
        b->stamped |= strcmp(r->col[10], "gen") != 0;
    }
    for (unsigned i = 0; i < body_count; i++) {
        bool used = false;
        for (unsigned j = 0; j < row_count && !used; j++)
            used = strcmp(rows[j].col[4], bodies[i].name) == 0 && !rows[j].calc;
        if (!used)
            error_at(bodies[i].file, bodies[i].line, "body '%s' has no row", bodies[i].name);
    }
}

static FILE *create(const char *dir, const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/gen/%s", dir, name);
    FILE *f = fopen(path, "w");
    if (!f) {
        fprintf(stderr, "isagen: %s: %s\n", path, strerror(errno));
        exit(1);
    }
    fprintf(f, "/* Written by tools/isagen.c from src/isa. */\n");
    return f;
}

static bool close_file(FILE *f)
{
    bool ok = !ferror(f);
    return fclose(f) == 0 && ok;
}

static bool write_rows(const char *dir)
{
    static const char *const stamp_upper[] = { "GEN", "WIDTH", "REG" };
    static const char *const stamps[] = { "gen", "width", "reg" };
    FILE *f = create(dir, "isa_rows.inc");
    for (unsigned i = 0; i < row_count; i++) {
        const struct row *r = &rows[i];
        fprintf(f, "#line %u \"%s\"\n", r->line, r->file);
        fprintf(f, "{ .name = \"%s\", .limits = 0%s, .fl_write = %u, .fl_undef = %u, .fl_read = %u, .map = %u, .opcode = 0x%02X, ", r->col[4],
                r->limits, r->fl[0], r->fl[1], r->fl[2], r->map, r->opcode);
        fprintf(f, ".prefix = %u, .modrm = 0x%02X, .nops = %u, .opnd = { %u, %u, %u, %u }, .icpt = %s, ", r->prefix, r->modrm, r->nops,
                r->opnd[0], r->opnd[1], r->opnd[2], r->opnd[3], r->icpt);
        fprintf(f, ".feature = FEAT_%s, .timing = TIME_%s, .stamp = STAMP_%s, .kind = %u },\n", r->feature[0] ? r->feature : "NONE",
                r->col[9], stamp_upper[LOOKUP(stamps, r->col[10])], r->kind);
    }
    return close_file(f);
}

/* row_runs[map][opcode] = { first, count } into row_list[]: rows in the order in which they are tried. */
static bool write_index(const char *dir)
{
    FILE *f = create(dir, "isa_index.inc");
    static unsigned first[MAP_COUNT * 256], count[MAP_COUNT * 256];
    unsigned n = 0;
    fprintf(f, "static const u16 row_list[] = {\n");
    for (unsigned cell = 0; cell < MAP_COUNT * 256; cell++) {
        unsigned list[256];
        first[cell] = n;
        for (unsigned i = 0; i < row_count && count[cell] < 256; i++)
            if (rows[i].map == cell / 256 && row_has_opcode(&rows[i], cell % 256))
                list[count[cell]++] = i;
        for (unsigned a = 1; a < count[cell]; a++) /* rows of several opcodes are not in order yet */
            for (unsigned b = a; b > 0 && match_size(&rows[list[b]].m) < match_size(&rows[list[b - 1]].m); b--) {
                unsigned t = list[b];
                list[b] = list[b - 1];
                list[b - 1] = t;
            }
        for (unsigned a = 0; a < count[cell]; a++)
            fprintf(f, "%u,", list[a]);
        n += count[cell];
        if (count[cell])
            fputc('\n', f);
    }
    fprintf(f, "0};\nstatic const struct row_run row_runs[%d] = {\n", MAP_COUNT * 256);
    for (unsigned cell = 0; cell < MAP_COUNT * 256; cell++)
        fprintf(f, "{%u,%u},%s", first[cell], count[cell], cell % 16 == 15 ? "\n" : "");
    fprintf(f, "};\n");
    return close_file(f);
}

static bool write_bodies(const char *dir)
{
    FILE *f = create(dir, "isa_bodies.inc");
    for (unsigned i = 0; i < body_count; i++)
        fprintf(f, "%s_fn %s_%s;\n", kind_lower[bodies[i].kind], kind_lower[bodies[i].kind], bodies[i].name);
    fprintf(f, "const union row_body isa_bodies[] = {\n");
    for (unsigned i = 0; i < row_count; i++) {
        if (rows[i].kind == KIND_NONE)
            fprintf(f, "{ .sys = NULL },\n");
        else
            fprintf(f, "{ .%s = %s_%s },\n", kind_lower[rows[i].kind], kind_lower[rows[i].kind], rows[i].col[4]);
    }
    fprintf(f, "};\n");
    bool ok = close_file(f);
    f = create(dir, "isa_stamps.inc");
    for (unsigned i = 0; i < body_count; i++)
        if (bodies[i].stamped)
            fprintf(f, "STAMP_%s(%s)\n", kind_macro[bodies[i].kind], bodies[i].name);
    return close_file(f) && ok;
}

static bool write_names(const char *dir)
{
    FILE *f = create(dir, "isa_names.inc");
    fprintf(f, "enum row_id {\n");
    for (unsigned i = 0; i < row_count; i++) {
        if (rows[i].number)
            fprintf(f, "ROW_%s_%u = %u,\n", rows[i].col[4], rows[i].number + 1, i);
        else
            fprintf(f, "ROW_%s = %u,\n", rows[i].col[4], i);
    }
    fprintf(f, "ROW_COUNT = %u\n};\n", row_count);
    return close_file(f);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: isagen OUTDIR FILE.c...\n");
        return 1;
    }
    for (int i = 2; i < argc; i++)
        read_file(argv[i]);
    char gen[4096];
    snprintf(gen, sizeof(gen), "%s/gen", argv[1]);
    mkdir(gen, 0777); /* if it cannot be made, the first create() says so */
    qsort(rows, row_count, sizeof(rows[0]), compare_rows);
    check_overlaps();
    check_bodies();
    if (errors)
        return 1;
    if (!write_rows(argv[1]) || !write_index(argv[1]) || !write_bodies(argv[1]) || !write_names(argv[1])) {
        fprintf(stderr, "isagen: could not write into %s/gen\n", argv[1]);
        return 1;
    }
    return 0;
}
