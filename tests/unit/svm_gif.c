// SPDX-License-Identifier: MIT
/* The global interrupt flag: every cell of tests/data/gif_cells.txt, in the host and in guests, each event with and
 * without its intercept, on the first processor with SVM, on Zen 3 and on `max`; and address line 20, which GIF does
 * not touch [APM2 15.17, 15.30.1]. */
#define _POSIX_C_SOURCE 200809L /* strtok_r */
#include "svm_events.h"
#include "table.h"

enum {
    TESTED = 3,
    AFTER = 16,
    STGI_END = AFTER + 3,
    END = STGI_END + 1
}; /* offsets in the code: CLGI, the instruction, NOPs, STGI, NOP, HLT */
enum { COLUMNS = 14, HOST_CODE = 0x1800 };
enum place {
    HOST_CLGI = 5,
    IN_HOST,
    IN_GUEST,
    IN_GUEST_ICPT,
    GUEST_CLGI,
    GUEST_CLGI_ICPT,
    GUEST_VGIF,
    GUEST_VGIF_ICPT,
    THEN
};
static const char *const place_name[] = {
    [HOST_CLGI] = "host CLGI", "host", "guest", "guest, icpt", "CLGI", "CLGI, icpt", "vGIF", "vGIF, icpt", "then"};

struct cell {
    struct world *w;
    const char *profile;
    unsigned line;
    enum place place;
    char *f[COLUMNS];
    u64 code; /* where the code lies */
    unsigned cells;
};
static unsigned failures;

static void complain(const struct cell *k, const char *got, const char *wanted)
{
    printf("gif_cells.txt:%u: %s, %s, %s (%s): %s, not %s\n", k->line, k->profile, place_name[k->place], k->f[0],
           k->f[1], got, wanted);
    failures++;
}

static bool in_guest(enum place p)
{
    return p >= IN_GUEST && p < THEN;
}

static bool icpt_on(enum place p)
{
    return p == IN_GUEST_ICPT || p == GUEST_CLGI_ICPT || p == GUEST_VGIF_ICPT;
}

/* ---- the words of the first column ---- */

static void set_dr7(struct cell *k, u64 v)
{
    if (in_guest(k->place))
        k->w->v->dr7 = 0x400 | v;
    else
        k->w->c->st.dr7 = 0x400 | v;
}

/* What must stand before VMRUN. */
static void prepare_word(struct cell *k, const char *name, u64 v)
{
    struct vcpu *c = k->w->c;
    bool guest = in_guest(k->place);
    if (!strcmp(name, "hwcr"))
        c->st.hwcr |= v;
    else if (!strcmp(name, "vm_cr"))
        c->st.vm_cr |= v;
    else if (!strcmp(name, "mce") || !strcmp(name, "de")) {
        u64 bit = *name == 'm' ? CR4_MCE : CR4_DE;
        c->st.cr4 |= bit;
        k->w->v->cr4 |= bit;
    } else if (!strcmp(name, "dr0"))
        c->st.dr[0] = v ? v : k->code + TESTED;
    else if (!strcmp(name, "dr7"))
        set_dr7(k, v);
    else if (!strcmp(name, "virq") && guest) {
        k->w->v->int_ctl |= INT_CTL_V_IGN_TPR;
        k->w->v->int_vector = (u32)v;
    } else if (!strcmp(name, "vnmi"))
        k->w->v->int_ctl |= INT_CTL_V_NMI_ENABLE;
}

/* What comes when the processor stands before the instruction. */
static void raise_word(struct cell *k, const char *name, u64 v)
{
    struct vcpu *c = k->w->c;
    if (!strcmp(name, "intr"))
        apic_bus_deliver(&k->w->m->apics, 0, false, false, APIC_FIXED, (u8)v, false);
    else if (!strcmp(name, "nmi"))
        c->pending |= PEND_NMI;
    else if (!strcmp(name, "smi"))
        c->pending |= PEND_SMI;
    else if (!strcmp(name, "init"))
        c->pending |= PEND_INIT;
    else if (!strcmp(name, "mc"))
        c->pending |= PEND_MC;
    else if (!strcmp(name, "virq"))
        c->svm->int_ctl |= INT_CTL_V_IRQ, c->pending |= PEND_VINTR;
    else if (!strcmp(name, "vnmi"))
        c->svm->int_ctl |= INT_CTL_V_NMI, c->pending |= PEND_VNMI;
    else if (!strcmp(name, "tf"))
        cpu_set_rflags(c, cpu_rflags(c) | FL_TF);
}

static void words(struct cell *k, void (*f)(struct cell *k, const char *name, u64 v))
{
    char copy[128], *save = NULL;
    snprintf(copy, sizeof copy, "%s", k->f[0]);
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        char *eq = strchr(word, '=');
        if (eq)
            *eq = 0;
        f(k, word, eq ? strtoull(eq + 1, NULL, 16) : 0);
    }
    machine_cpu_changed(k->w->c);
}

/* ---- one cell ---- */

static void write_code(struct cell *k)
{
    u8 code[END + 1];
    bool clgi = k->place == HOST_CLGI || k->place >= GUEST_CLGI;
    unsigned n = TESTED;
    memset(code, 0x90, sizeof code);
    memcpy(code, clgi ? "\x0F\x01\xDD" : "\x0F\x1F\x00", 3);
    for (char *s = k->f[1], *end; *s; s = end) {
        code[n++] = (u8)strtoul(s, &end, 16);
        assert_true(end > s && n < AFTER);
        while (*end == ' ')
            end++;
    }
    memcpy(code + AFTER, "\x0F\x01\xDC", 3);
    code[END] = 0xF4;
    put(k->w, k->code, code, sizeof code);
    put(k->w, HOST + 3, "\x90\x0F\x01\xDC\x90\xF4", 6); /* behind VMRUN: NOP; STGI; NOP; HLT */
}

static void start(struct cell *k)
{
    struct world *w = k->w;
    bool guest = in_guest(k->place);
    lapic_reset(&w->m->lapic[0]);
    lapic_virtual_wire(&w->m->lapic[0]);
    k->code = guest ? GUEST : HOST_CODE;
    write_code(k);
    w->v->rflags = FL_ONE | FL_IF;
    w->v->tlb_control = 1;
    if (icpt_on(k->place)) {
        unsigned word = (unsigned)atoi(k->f[3]), bit = (unsigned)atoi(strchr(k->f[3], '.') + 1);
        store_le(w->v->raw + 4 * word, 4, load_le(w->v->raw + 4 * word, 4) | 1u << bit);
    }
    if (k->place >= GUEST_VGIF)
        w->v->int_ctl |= INT_CTL_V_GIF_ENABLE | INT_CTL_V_GIF;
    words(k, prepare_word);
    cpu_set_rflags(w->c, FL_ONE | FL_IF);
    w->c->st.rip = guest ? HOST : HOST_CODE;
    machine_cpu_changed(w->c);
}

/* A step of one instruction; false when the machine has stopped for good. */
static bool one(struct cell *k, struct svmemu_stop *stop)
{
    assert_int_equal(svmemu_run(k->w->m, 1, 100000, stop), SVMEMU_OK);
    return stop->reason == SVMEMU_STOP_LIMIT_INSNS;
}

static bool inside(const struct cell *k)
{
    const struct vcpu *c = k->w->c;
    return c->guest == in_guest(k->place) && c->st.rip >= k->code && c->st.rip <= k->code + END;
}

/* "vec:N" and the address it returns to, whoever's handler stands at `at`. */
static bool vector_of(struct cell *k, u64 at, u64 handlers, u64 rsp, char *text, size_t n, u64 *from)
{
    if (at < handlers || at >= handlers + 0x1000 || (at & 15) > 1)
        return false;
    unsigned vec = (unsigned)(at - handlers) / 16;
    u32 eip;
    svmemu_mem_read(k->w->m, rsp + (vec == EXC_SX ? 4 : 0), &eip, 4);
    *from = eip;
    snprintf(text, n, "vec:%X", vec);
    return true;
}

static void outcome(struct cell *k, const struct svmemu_stop *stop, char *text, size_t n, u64 *from)
{
    struct world *w = k->w;
    struct vcpu *c = w->c;
    *from = 0;
    if (stop->reason == SVMEMU_STOP_UNIMPLEMENTED)
        snprintf(text, n, strcmp(w->id, "smm.unimplemented") ? "stop, but %s" : "stop", w->id);
    else if (stop->reason == SVMEMU_STOP_SHUTDOWN)
        snprintf(text, n, "shutdown");
    else if (!(c->st.cr0 & CR0_PE) && !(c->st.efer & EFER_SVME))
        snprintf(text, n, "reset");
    else if (in_guest(k->place) && !c->guest) {
        *from = w->v->rip;
        if (w->v->exitcode != VMEXIT_HLT)
            snprintf(text, n, "exit:%llX", (unsigned long long)w->v->exitcode);
        else if (!vector_of(k, w->v->rip, GHAND, w->v->rsp, text, n, from))
            snprintf(text, n, "none");
    } else if (!vector_of(k, c->st.rip, HHAND, c->st.gpr[RSP], text, n, from))
        snprintf(text, n, "none");
}

/* Behind the #VMEXIT the host sets GIF: what was left pending comes there, and nothing else. */
static void check_then(struct cell *k)
{
    struct svmemu_stop stop;
    char got[64];
    u64 from;
    if (strncmp(k->f[IN_GUEST_ICPT], "exit", 4)) /* nothing of the kind */
        return;
    assert_false(k->w->c->st.gif);
    k->w->id[0] = 0;
    k->place = THEN;
    assert_int_equal(svmemu_run(k->w->m, 10, 100000, &stop), SVMEMU_OK);
    outcome(k, &stop, got, sizeof got, &from);
    if (strcmp(got, k->f[THEN]))
        complain(k, got, k->f[THEN]);
    else if (!strncmp(got, "vec", 3) && from != HOST + 7)
        complain(k, "elsewhere", "right behind STGI");
    k->cells++;
}

static void run_cell(struct cell *k, const char *wanted)
{
    struct world w;
    struct svmemu_stop stop = {0};
    char got[64], want[64], *at;
    u64 from;
    world_open(&w, k->profile, 1);
    k->w = &w;
    start(k);
    for (unsigned i = 0; i <= in_guest(k->place); i++)
        if (!one(k, &stop))
            fail_msg("line %u %s: %s %s", k->line, place_name[k->place], svmemu_stop_name(stop.reason), stop.text);
    assert_int_equal(w.c->st.rip, k->code + TESTED);
    words(k, raise_word);
    bool held = !strncmp(wanted, "held ", 5), go = true;
    snprintf(want, sizeof want, "%s", wanted + (held ? 5 : 0));
    at = strchr(want, '@');
    u64 behind = at ? strtoull(at + 1, NULL, 16) : strtoull(k->f[2], NULL, 16);
    if (at)
        *at = 0;
    while (go && inside(k) && w.c->st.rip != k->code + AFTER)
        go = one(k, &stop);
    if (go && inside(k) && w.c->st.rip == k->code + AFTER) {
        bool pending = w.c->pending & ~(u32)PEND_TRAP;
        if (!held && strcmp(want, "none"))
            complain(k, "held or lost", want);
        if (held != pending)
            complain(k, pending ? "pending" : "lost", wanted);
        for (unsigned i = 0; go && i < 3 && inside(k); i++) /* STGI, the instruction behind it, HLT */
            go = one(k, &stop);
    } else if (held) {
        complain(k, "not held", wanted);
    }
    for (unsigned i = 0; go && i < 2 && in_guest(k->place) && w.c->guest;
         i++) /* the HLT of the guest's handler, or that behind STGI */
        go = one(k, &stop);
    outcome(k, &stop, got, sizeof got, &from);
    if (strcmp(got, want))
        complain(k, got, wanted);
    else if ((!strncmp(got, "vec", 3) || (!strncmp(got, "exit", 4) && strcmp(got, "exit:7F"))) &&
             from != k->code + (held ? (u64)STGI_END : TESTED + behind))
        complain(k, "elsewhere", wanted);
    if (!strcmp(got, "exit:62")) { /* SMISRC: from outside, not during I/O [APM2 15.13.3] */
        assert_int_equal(w.v->exitinfo1, 1);
        assert_int_equal(w.v->exitinfo2, 0);
    }
    k->cells++;
    if (k->place == IN_GUEST_ICPT && !strcmp(got, want))
        check_then(k);
    world_close(&w);
}

static bool has(const char *profile, unsigned feat)
{
    struct world w;
    world_open(&w, profile, 1);
    bool yes = cpu_has(w.c, feat);
    world_close(&w);
    return yes;
}

static void run_line(char *line, unsigned number, const char *profile, bool vgif, bool vnmi, unsigned *cells)
{
    struct cell k = {.profile = profile, .line = number};
    assert_int_equal(table_columns(line, '|', k.f, COLUMNS), COLUMNS);
    if (!strcmp(k.f[4], "VNMI") && !vnmi)
        return;
    for (enum place p = HOST_CLGI; p < THEN; p++)
        if (strcmp(k.f[p], "-") && (vgif || p < GUEST_VGIF)) {
            k.place = p;
            run_cell(&k, k.f[p]);
        }
    *cells += k.cells;
}

static void every_cell(void **state)
{
    static const char *const profiles[] = {"k8", "barcelona", "zen1", "zen3", "max"};
    (void)state;
    for (unsigned p = 0; p < ARRAY_LEN(profiles); p++) {
        bool vgif = has(profiles[p], FEAT_VGIF), vnmi = has(profiles[p], FEAT_VNMI);
        unsigned cells = 0, line = 0;
        char *text = table_read("gif_cells.txt"), *at = text;
        for (char *row; (row = table_row(&at, &line));)
            run_line(row, line, profiles[p], vgif, vnmi, &cells);
        free(text);
        printf("%s: %u cells\n", profiles[p], cells);
        assert_true(cells > 100);
    }
    assert_int_equal(failures, 0);
}

/* ---- address line 20 ---- */

enum { LOW = 0x800, HIGH = 0x100800, HOST_PD = 0x18000, NESTED_PD = 0x19000, NESTED_PT = 0x1A000, MOVED = 0x80000 };

static void a20_world(struct world *w)
{
    world_open(w, "zen3", 1);
    put(w, LOW, "\x11", 1);
    put(w, HIGH, "\x22", 1);
    put(w, MOVED + LOW, "\x33", 1);
    put(w, GUEST, "\xA0\x00\x08\x10\x00\xF4", 6); /* MOV AL, [HIGH]; HLT */
    put(w, HOST_CODE, "\xA0\x00\x08\x10\x00\xF4", 6);
}

static u8 host_reads(struct world *w, bool gif)
{
    w->c->st.rip = HOST_CODE;
    w->c->st.gif = gif;
    w->c->st.gpr[RAX] = 0;
    w->c->st.activity = ACT_RUN;
    machine_cpu_changed(w->c);
    run(w, 1);
    return (u8)w->c->st.gpr[RAX];
}

static u8 guest_reads(struct world *w)
{
    w->v->rip = GUEST;
    w->v->rax = 0;
    w->v->tlb_control = 1;
    again(w, 20);
    assert_int_equal(w->v->exitcode, VMEXIT_HLT);
    return (u8)w->v->rax;
}

/* Nested tables in the 32-bit format of a paging host; guest-physical 1 MiB is elsewhere. */
static void nested(struct world *w)
{
    u32 e = 0x83;
    put(w, HOST_PD, &e, 4);
    e = NESTED_PT | 7;
    put(w, NESTED_PD, &e, 4);
    for (u32 i = 0; i < 512; i++) {
        e = (i == 0x100 ? MOVED : i << 12) | 7;
        put(w, NESTED_PT + 4 * i, &e, 4);
    }
    w->c->st.cr3 = HOST_PD;
    w->c->st.cr4 |= CR4_PSE;
    w->c->st.cr0 |= CR0_PG;
    w->v->np_ctl = 1;
    w->v->n_cr3 = NESTED_PD;
    w->v->g_pat = 0x0007040600070406;
    machine_cpu_changed(w->c);
}

/* The signal acts whatever GIF is, in guests too, until VM_CR.DIS_A20M; it masks what goes to memory, never
 * guest-physical addresses. */
static void line20(void **state)
{
    struct world w;
    (void)state;
    a20_world(&w);
    for (unsigned dis = 0; dis < 2; dis++)
        for (unsigned masked = 0; masked < 2; masked++) {
            u8 wanted = masked && !dis ? 0x11 : 0x22;
            machine_set_a20(w.m, !masked);
            assert_true(msr_write(w.c, 0xC0010114, dis ? 4 : 0));
            assert_int_equal(host_reads(&w, false), wanted);
            assert_int_equal(host_reads(&w, true), wanted);
            assert_int_equal(guest_reads(&w), wanted);
        }
    /* a change while GIF is 0 acts at once: nothing is held */
    assert_true(msr_write(w.c, 0xC0010114, 0));
    w.c->st.gif = false;
    machine_set_a20(w.m, true);
    assert_int_equal(host_reads(&w, false), 0x22);
    machine_set_a20(w.m, false);
    assert_int_equal(host_reads(&w, false), 0x11);
    nested(&w);
    assert_int_equal(guest_reads(&w), 0x33);
    machine_set_a20(w.m, true);
    assert_int_equal(guest_reads(&w), 0x33);
    world_close(&w);
}

/* Whatever comes after a shutdown, held by GIF or not, the processor stays there until RESET. */
static void shutdown_stays(void **state)
{
    struct svmemu_stop stop;
    (void)state;
    for (unsigned gif = 0; gif < 2; gif++) {
        struct world w;
        world_open(&w, "zen3", 1);
        w.c->st.idtr.limit = 0;
        w.c->st.gif = gif;
        CODE(&w, HOST, "\x0F\x0B");
        assert_int_equal(svmemu_run(w.m, 10, 100000, &stop), SVMEMU_OK);
        assert_int_equal(stop.reason, SVMEMU_STOP_SHUTDOWN);
        w.c->pending |= PEND_NMI | PEND_MC;
        assert_int_equal(svmemu_run(w.m, 10, 100000, &stop), SVMEMU_OK);
        assert_int_equal(stop.reason, SVMEMU_STOP_SHUTDOWN);
        svmemu_reset(w.m);
        assert_true(w.c->st.gif); /* its reset value */
        assert_int_equal(w.c->st.activity, ACT_RUN);
        world_close(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_cell), cmocka_unit_test(line20),
                                       cmocka_unit_test(shutdown_stays)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
