// SPDX-License-Identifier: MIT
/* System instructions, far transfers and state management against tests/data/system_cells.txt, written by hand from the manual: each cell is one
 * instruction in a known machine; every register of regs.def and every byte of memory that the cell does not name must stay as it was. */
#define _POSIX_C_SOURCE 200809L /* strtok_r */
#include "cpu_fixture.h"
#include "cpu/regs.h"
#include "decoder/rows.h"
#include "exec/private.h"
#include "svm/svm.h"
#include "table.h"

enum { MEMORY = 1 << 20, CODE = 0x3000, IDT = 0x4000, TSS_NOW = 0x2400, CELL_COLUMNS = 7, MAX_CELLS = 2000, MAX_VALUE = 64, MAX_PORTS = 8 };

/* A line of the file. */
struct cell {
    unsigned line;
    char *row, *mode, *form, *bytes, *state, *outcome, *features;
};

/* What a cell may say something about. */
struct picture {
    struct cpu_state st;
    u8 mem[MEMORY];
    struct { u16 port; u8 width; u32 value; } out[MAX_PORTS]; /* what was written to ports, in order */
    unsigned outs;
};

struct lab {
    const struct cell *cell;
    struct fix *f;
    struct exec *exec;
    u8 *ram;
    unsigned row;
    u32 port_value[MAX_PORTS]; /* by port 60h to 67h: what it reads */
    struct picture before, want, got;
};

static struct cell cells[MAX_CELLS];
static unsigned ncells, failures, faults;
static bool *succeeded; /* by row: an encoding */
static char *text;

static void complain(const struct cell *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void complain(const struct cell *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    printf("system_cells.txt:%u: %s, %s \"%s\": ", c->line, c->row, c->mode, c->form);
    vprintf(fmt, ap);
    printf("\n");
    va_end(ap);
    failures++;
}

/* ---- the file ---- */

static void load_cells(void)
{
    unsigned n = 0;
    char *at = text = table_read("system_cells.txt"), *c[CELL_COLUMNS];
    for (char *line; (line = table_row(&at, &n));) {
        table_columns(line, '|', c, CELL_COLUMNS);
        assert_true(ncells < MAX_CELLS);
        cells[ncells++] = (struct cell){ n, c[0], c[1], c[2], c[3], c[4], c[5], c[6] };
    }
}

/* ---- words: what the state sets in the machine, the outcome sets in the picture of what is wanted ---- */

/* A hexadecimal number of any length up to 64 bytes, little endian. */
static bool parse_value(const char *s, u8 *v)
{
    size_t n = strlen(s);
    memset(v, 0, MAX_VALUE);
    if (!n || n > 2 * MAX_VALUE || strspn(s, "0123456789ABCDEFabcdef") != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        char digit[2] = { s[n - 1 - i], 0 };
        v[i / 2] |= (u8)(strtoul(digit, NULL, 16) << (4 * (i & 1)));
    }
    return true;
}

/* The bytes a word names; NULL: no such name. */
static u8 *place(struct picture *p, const char *name, unsigned *width)
{
    unsigned index;
    char *end;
    const struct cpu_reg *r = cpu_reg_find(name, &index);
    u64 at;
    if (r) {
        *width = r->bytes;
        return cpu_reg_at(&p->st, r, index);
    }
    if (!strncmp(name, "mem", 3)) {
        *width = (unsigned)strtoul(name + 3, &end, 10);
        at = strtoull(end + 1, NULL, 16);
    } else if (!strncmp(name, "d:", 2)) { /* descriptor of a selector */
        *width = 8;
        at = GDT + strtoull(name + 2, NULL, 16);
    } else if (!strncmp(name, "fill:", 5)) {
        at = strtoull(name + 5, &end, 16);
        *width = (unsigned)strtoul(end + 1, NULL, 16);
    } else {
        return NULL;
    }
    return at < MEMORY && *width <= MEMORY - at ? p->mem + at : NULL;
}

static bool apply(struct lab *l, struct picture *p, const struct picture *got, const char *word)
{
    char name[64];
    const char *eq = strchr(word, '=');
    u8 v[MAX_VALUE];
    unsigned width;
    if (!eq || (size_t)(eq - word) >= sizeof name)
        return false;
    char op = eq > word && (eq[-1] == '+' || eq[-1] == '-') ? eq[-1] : '=';
    snprintf(name, sizeof name, "%.*s", (int)(eq - word - (op != '=')), word);
    bool any = got && !strcmp(eq + 1, "?");
    if (!any && !parse_value(eq + 1, v))
        return false;
    if (!strncmp(name, "port:", 5)) { /* what port 60h to 67h reads */
        l->port_value[strtoul(name + 5, NULL, 16) & 7] = (u32)load_le(v, 4);
        return !got;
    }
    if (!strncmp(name, "out", 3)) { /* outW:port */
        char *end;
        p->out[p->outs].width = (u8)strtoul(name + 3, &end, 10);
        p->out[p->outs].port = (u16)strtoul(end + 1, NULL, 16);
        p->out[p->outs].value = (u32)load_le(v, 4);
        return got && ++p->outs < MAX_PORTS;
    }
    u8 *to = place(p, name, &width);
    if (!to)
        return false;
    if (any) {
        unsigned same;
        memcpy(to, place((struct picture *)got, name, &same), width);
        return true;
    }
    if (!strncmp(name, "fill:", 5)) {
        memset(to, v[0], width);
        return true;
    }
    assert_true(width <= MAX_VALUE);
    for (unsigned i = 0; i < width; i++)
        to[i] = op == '+' ? to[i] | v[i] : op == '-' ? (u8)(to[i] & ~v[i]) : v[i];
    return true;
}

static void apply_all(struct lab *l, struct picture *p, const struct picture *got, const char *words)
{
    char *copy = strdup(words), *save = NULL;
    for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
        if (!apply(l, p, got, w))
            complain(l->cell, "no such word: %s", w);
    free(copy);
}

/* ---- the machine of a cell ---- */

static u64 read_port(void *ctx, u64 off, unsigned width, int cpu)
{
    (void)width, (void)cpu;
    return ((struct lab *)ctx)->port_value[off & 7];
}

static void write_port(void *ctx, u64 off, unsigned width, u64 value, int cpu)
{
    struct picture *p = &((struct lab *)ctx)->got;
    (void)cpu;
    if (p->outs < MAX_PORTS) {
        p->out[p->outs].port = (u16)(0x60 + off);
        p->out[p->outs].width = (u8)width;
        p->out[p->outs++].value = (u32)value;
    }
}

/* The descriptors that the head of the file lists. */
static void standard_gdt(struct fix *f, bool lm)
{
    memset(f->c.st.seg, 0, sizeof f->c.st.seg);
    static const struct { u8 sel, access, flags; u32 base, limit; } d[] = {
        { 0x08, 0x9B, 0xC, 0, 0xFFFFF }, { 0x10, 0x93, 0xC, 0, 0xFFFFF }, { 0x18, 0xFB, 0xC, 0, 0xFFFFF }, { 0x20, 0xF3, 0xC, 0, 0xFFFFF },
        { 0x28, 0x89, 0x0, 0x2000, 0x67 }, { 0x38, 0x82, 0x0, LDT, 0x7F }, { 0x48, 0x9B, 0xA, 0, 0xFFFFF }, { 0x50, 0xFB, 0xA, 0, 0xFFFFF },
        { 0x58, 0x9B, 0x0, 0, 0xFFFF }, { 0x60, 0x93, 0x0, 0, 0xFFFF }, { 0x68, 0xFB, 0x0, 0, 0xFFFF }, { 0x70, 0xF3, 0x0, 0, 0xFFFF },
        { 0x78, 0x9F, 0xC, 0, 0xFFFFF }, { 0x80, 0x13, 0xC, 0, 0xFFFFF }, { 0x88, 0x91, 0xC, 0, 0xFFFFF }, { 0x90, 0x99, 0xC, 0, 0xFFFFF },
        { 0x98, 0x92, 0xC, 0x12345678, 0xFFFFF }, { 0xB8, 0x8B, 0x0, TSS_NOW, 0xFF }, { 0xC8, 0x81, 0x0, 0x2800, 0x2B },
    };
    static const u8 zero[0x200];
    phys_write(&f->c.view, (struct spa){ GDT }, zero, sizeof zero);
    for (unsigned i = 0; i < ARRAY_LEN(d); i++)
        gdt_set(f, d[i].sel, desc_make(d[i].base, d[i].limit, d[i].access, d[i].flags));
    gdt_set(f, 0xA0, gate_make(lm ? 0x48 : 0x08, 0x5678, 0xEC, 0));
    gdt_set(f, 0xB0, gate_make(0x58, 0x4321, 0xE4, 0));
    gdt_set(f, 0xD0, gate_make(0x28, 0, 0xE5, 0));
    gdt_set(f, 0xE0, gate_make(0x08, 0x5678, 0xEE, 0));
    f->c.st.gdtr = (struct dtr){ GDT, 0xFF };
    f->c.st.idtr = (struct dtr){ IDT, 0xFFF };
    fix_load(f, SEG_TR, 0xB8);
    fix_load(f, SEG_LDTR, 0x38);
    put(f, TSS_NOW + 4, 4, STACK0);
    put(f, TSS_NOW + 8, 4, lm ? 0 : 0x10);
    put(f, TSS_NOW + 0x66, 2, 0x68);
}

static void standard_paging(struct fix *f)
{
    /* Accessed and dirty from the start, so that no walk writes. The third 2-MiB page is for the supervisor, the fourth is not there. */
    put(f, 0x10000, 8, 0x11067);
    put(f, 0x11000, 8, 0x12067);
    for (unsigned i = 0; i < 2; i++)
        put(f, 0x12000 + 8 * i, 8, i * 0x200000 + 0xE7);
    put(f, 0x12010, 8, 0xE3);
    f->c.st.cr3 = 0x10000;
    f->c.st.cr4 = CR4_PAE;
    f->c.st.efer = EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE;
    f->c.st.cr0 |= CR0_PG;
}

/* 64 c32 c16 32 16, each with /3 for CPL 3; real; v86. */
static bool set_mode(struct fix *f, const char *mode)
{
    static const struct { const char *name; u8 cs, ss; bool lm; } modes[] = {
        { "64", 0x48, 0x10, true },   { "64/3", 0x53, 0x23, true }, { "c32", 0x08, 0x10, true }, { "c32/3", 0x1B, 0x23, true }, { "c16", 0x58, 0x60, true },
        { "c16/3", 0x6B, 0x73, true }, { "32", 0x08, 0x10, false },  { "32/3", 0x1B, 0x23, false }, { "16", 0x58, 0x60, false }, { "16/3", 0x6B, 0x73, false },
    };
    struct cpu_state *s = &f->c.st;
    bool real = !strcmp(mode, "real"), v86 = !strcmp(mode, "v86");
    unsigned k = 0;
    while (k < ARRAY_LEN(modes) && strcmp(modes[k].name, mode))
        k++;
    if (!real && !v86 && k == ARRAY_LEN(modes))
        return false;
    bool lm = k < ARRAY_LEN(modes) && modes[k].lm;
    standard_gdt(f, lm);
    s->cr0 = CR0_ET | CR0_NE | (real ? 0 : CR0_PE);
    s->rflags = FL_ONE;
    if (real)
        s->idtr = (struct dtr){ 0, 0x3FF };
    if (real || v86)
        for (unsigned i = 0; i < 6; i++)
            s->seg[i] = (struct seg){ .limit = 0xFFFF, .attr = v86 ? 0xF3 : 0x93 };
    if (v86) {
        s->rflags |= FL_VM;
        s->cpl = 3;
    }
    if (k < ARRAY_LEN(modes)) {
        for (unsigned i = 0; i < 6; i++)
            fix_load(f, i, i == SEG_CS ? modes[k].cs : modes[k].ss);
        s->cpl = modes[k].cs & 3;
    }
    if (lm)
        standard_paging(f);
    for (unsigned i = 0; i < 16; i++)
        s->gpr[i] = (lm ? 0x1111111111111111ull : 0x11111111ull) * i;
    s->gpr[RAX] = lm ? 0x0FEDCBA987654321ull : 0x87654321;
    s->gpr[RSP] = 0x8000;
    s->rip = CODE;
    return true;
}

static bool set_features(struct fix *f, const char *words)
{
    char *copy = strdup(words), *save = NULL;
    bool ok = true;
    for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        unsigned i = FEAT_NONE;
        while (i < FEAT_COUNT && strcmp(cpu_feature_name(i), w + 1))
            i++;
        if (*w != '+' && *w != '-')
            continue; /* the profile */
        ok &= i < FEAT_COUNT;
        if (i < FEAT_COUNT)
            f->features[i >> 6] = *w == '+' ? f->features[i >> 6] | BIT(i & 63) : f->features[i >> 6] & ~BIT(i & 63);
    }
    free(copy);
    return ok;
}

static bool lab_create(struct lab *l)
{
    static const struct mmio_ops ops = { .read = read_port, .write = write_port };
    static const struct exec_config small = { .arena_ops = 4096 };
    char profile[16] = "max";
    struct phys_page pg;
    if (*l->cell->features && *l->cell->features != '+' && *l->cell->features != '-')
        sscanf(l->cell->features, "%15s", profile);
    l->f = fix_new(profile);
    l->f->c.svm = svm_alloc();
    assert_non_null(l->f->c.svm);
    assert_true(bus_add_ports(l->f->bus, 0x60, 8, &ops, l, "ports"));
    assert_true(phys_lookup(&l->f->c.view, (struct spa){ 0 }, &pg));
    l->ram = pg.host;
    l->exec = exec_create(l->f->bus, &l->f->clock, &small);
    assert_non_null(l->exec);
    assert_true(exec_add_vcpu(l->exec, &l->f->c));
    l->f->c.fold = NULL; /* time stands still */
    if (!set_mode(l->f, l->cell->mode) || !set_features(l->f, l->cell->features)) {
        complain(l->cell, "no such mode or feature");
        return false;
    }
    return true;
}

static void lab_destroy(struct lab *l)
{
    exec_destroy(l->exec);
    svm_free(l->f->c.svm);
    fix_free(l->f);
}

/* ---- one cell ---- */

static unsigned assemble(const char *s, u8 *b)
{
    unsigned n = 0;
    char *end;
    for (; *s && n < 15; s = end) {
        b[n] = (u8)strtoul(s, &end, 16);
        if (end == s)
            break;
        n++;
    }
    return n;
}

/* Runs the instruction; true when it completed. A #UD of the decoder becomes an event as in exec. */
static bool execute(struct lab *l, const u8 *b, unsigned len)
{
    struct vcpu *c = &l->f->c;
    struct insn in;
    c->ev.kind = EV_NONE;
    enum dec_status st = decode_insn(b, len, cpu_mode(c), l->f->features, &in);
    if (st == DEC_UD)
        return cpu_raise(c, EXC_UD);
    if (st != DEC_OK || in.len != len || strcmp(isa_rows[in.row].name, l->cell->row)) {
        complain(l->cell, "the bytes are not this instruction");
        return cpu_raise(c, EXC_UD);
    }
    l->row = in.row;
    c->next_rip = c->st.rip + len;
    c->budget = (i64)1 << 60;
    c->cur = &in;
    bool ok = exec_insn_generic(c, &in);
    c->cur = NULL;
    if (ok && c->rep_unfinished)
        complain(l->cell, "not finished");
    if (ok)
        c->st.rip = c->next_rip;
    return ok;
}

static void describe(const struct event *ev, bool ok, char *s, size_t n)
{
    static const char *const names[] = { "DE", "DB", "NMI", "BP", "OF", "BR", "UD", "NM", "DF", "9", "TS", "NP", "SS", "GP", "PF", "15", "MF", "AC", "MC", "XF" };
    if (ok)
        snprintf(s, n, "ok");
    else if (ev->kind == EV_FAULT && ev->vec == EXC_PF)
        snprintf(s, n, "#PF(%X,%llX)", ev->err, (unsigned long long)ev->cr2);
    else if (ev->kind == EV_FAULT && ev->vec == EXC_DB)
        snprintf(s, n, "#DB(%llX)", (unsigned long long)ev->dr6);
    else if (ev->kind == EV_FAULT && ev->has_err)
        snprintf(s, n, "#%s(%X)", names[ev->vec % 20], ev->err);
    else if (ev->kind == EV_FAULT)
        snprintf(s, n, "#%s", names[ev->vec % 20]);
    else
        snprintf(s, n, ev->kind == EV_SOFT || ev->kind == EV_TRAP ? "deliver" : "event kind %u", ev->kind);
}

static void compare(const struct lab *l)
{
    const struct cell *c = l->cell;
    for (unsigned i = 0; i < cpu_reg_count; i++)
        for (unsigned k = 0; k < cpu_regs[i].count; k++) {
            const struct cpu_reg *r = &cpu_regs[i];
            const u8 *got = (const u8 *)&l->got.st + r->offset + r->bytes * k, *want = (const u8 *)&l->want.st + r->offset + r->bytes * k;
            if (!memcmp(got, want, r->bytes))
                continue;
            unsigned w = r->bytes < 8 ? r->bytes : 8, at = r->bytes > 8 && !memcmp(got, want, 8) ? 8 : 0;
            complain(c, "%s%.0u is %llX, not %llX", r->name, r->count > 1 ? k : 0, (unsigned long long)load_le(got + at, w), (unsigned long long)load_le(want + at, w));
        }
    for (unsigned i = 0, shown = 0; i < MEMORY && shown < 4; i++)
        if (l->got.mem[i] != l->want.mem[i]) {
            complain(c, "byte %Xh is %02X, not %02X", i, l->got.mem[i], l->want.mem[i]);
            shown++;
        }
    if (l->got.outs != l->want.outs)
        complain(c, "%u port writes, not %u", l->got.outs, l->want.outs);
    else
        for (unsigned i = 0; i < l->got.outs; i++)
            if (l->got.out[i].port != l->want.out[i].port || l->got.out[i].width != l->want.out[i].width || l->got.out[i].value != l->want.out[i].value)
                complain(c, "port write %u is %u bytes %X to %X", i, l->got.out[i].width, l->got.out[i].value, l->got.out[i].port);
}

static void prepare(struct lab *l, const u8 *b, unsigned len)
{
    struct vcpu *c = &l->f->c;
    phys_write(&c->view, (struct spa){ CODE }, b, len);
    l->before.st = c->st;
    memcpy(l->before.mem, l->ram, MEMORY);
    l->before.outs = 0;
    apply_all(l, &l->before, NULL, l->cell->state);
    u64 fl = l->before.st.rflags;
    l->before.st.rflags = c->st.rflags;
    c->st = l->before.st;
    memcpy(l->ram, l->before.mem, MEMORY);
    cpu_set_rflags(c, fl);
    cpu_update_mode(c);
    c->st.rflags = cpu_rflags(c);
    l->before.st = c->st;
}

static void run_cell(const struct cell *cell)
{
    static struct lab l; /* megabytes: not for the stack */
    char what[32], outcome[32];
    u8 b[16];
    unsigned len = assemble(cell->bytes, b);
    memset(&l, 0, offsetof(struct lab, before));
    l.cell = cell;
    if (lab_create(&l)) {
        struct vcpu *c = &l.f->c;
        prepare(&l, b, len);
        l.got.outs = 0;
        bool ok = execute(&l, b, len);
        describe(&c->ev, ok, what, sizeof what);
        if (!strcmp(what, "deliver"))
            exec_deliver(c);
        c->st.rflags = cpu_rflags(c);
        l.got.st = c->st;
        memcpy(l.got.mem, l.ram, MEMORY);
        memcpy(&l.want, &l.before, sizeof l.want);
        outcome[0] = 0;
        sscanf(cell->outcome, "%31s", outcome);
        if (ok)
            l.want.st.rip += len;
        apply_all(&l, &l.want, &l.got, cell->outcome + strlen(outcome));
        if (strcmp(what, outcome))
            complain(cell, "%s, not %s", what, outcome);
        else
            compare(&l);
        if (*outcome == '#')
            faults++;
        else
            succeeded[l.row] = true;
    }
    lab_destroy(&l);
}

static void every_cell(void **state)
{
    (void)state;
    failures = 0;
    for (unsigned i = 0; i < ncells; i++)
        run_cell(&cells[i]);
    assert_int_equal(failures, 0);
    assert_true(ncells > 0);
}

/* Each encoding of each instruction that the file names succeeds in some cell, unless raising #UD is all that it does. */
static void every_row_succeeds(void **state)
{
    static const char only_fault[] = " rsm skinit vmmcall ";
    unsigned rows = 0, bad = 0;
    (void)state;
    for (unsigned i = 0; i < ncells; i++) {
        char key[64];
        unsigned k = 0, found = 0;
        while (strcmp(cells[k].row, cells[i].row))
            k++;
        snprintf(key, sizeof key, " %s ", cells[i].row);
        for (unsigned r = 0; k == i && r < isa_row_count; r++)
            if (isa_rows[r].kind != KIND_NONE && !strcmp(isa_rows[r].name, cells[i].row)) {
                found++;
                if (!succeeded[r] && !strstr(only_fault, key)) {
                    print_message("system_cells.txt: no cell in which %s (opcode %02X) succeeds\n", cells[i].row, isa_rows[r].opcode);
                    bad++;
                }
            }
        if (k == i && !found)
            fail_msg("system_cells.txt:%u: no instruction %s", cells[i].line, cells[i].row);
        rows += found;
    }
    print_message("%u cells of %u rows, %u of them faults\n", ncells, rows, faults);
    assert_int_equal(bad, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_cell), cmocka_unit_test(every_row_succeeds) };
    load_cells();
    succeeded = calloc(isa_row_count, sizeof *succeeded);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    free(succeeded);
    free(text);
    return rc;
}
