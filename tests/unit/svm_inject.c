// SPDX-License-Identifier: MIT
/* Event injection [APM2 15.20], EXITINTINFO [15.7.2], double faults [8.2.9] and shutdown while an event is delivered. Each line of the tables is one
 * VMRUN on every processor; vector N's handler is a VMMCALL, so that its address and the pushed frame show the delivery. */
#define _POSIX_C_SOURCE 200809L /* strtok_r */
#include "svm_guest.h"

static const char *const profiles[] = {"k8", "barcelona", "zen1", "zen3", "max"};
static unsigned failures;
static const char *what;

static void want(const struct lab *l, const char *name, u64 got, u64 wanted)
{
    if (got == wanted)
        return;
    printf("%s, %s, \"%s\": %s is %llx, not %llx\n", l->profile, l->mode, what, name, (unsigned long long)got, (unsigned long long)wanted);
    failures++;
}

/* ---- what is injected, and what is pushed ---- */

enum { RIP0 = CODE, NEXT = CODE + 5 }; /* VMCB RIP and nRIP */
enum push { PUSH_NONE, PUSH_RIP, PUSH_NRIP };

static const struct {
    const char *mode, *what, *state;
    u64 inj;        /* EVENTINJ without V */
    u64 exit;       /* VMMCALL: delivered; else the exit */
    unsigned vec;   /* delivered to */
    enum push push; /* return address; nRIP becomes RIP where nRIP save is missing */
    bool err;       /* an error code is pushed */
    u64 info1, intinfo;
} injections[] = {
    /* types, in each mode */
    {"64", "interrupt", "", 0x020, VMEXIT_VMMCALL, 0x20, PUSH_RIP, false, 0, 0},
    {"64", "NMI: the vector field is ignored", "", 0x2FF, VMEXIT_VMMCALL, 2, PUSH_RIP, false, 0, 0},
    {"64", "#GP with its error code", "", 0x30D | INJ_EV | 0x18ull << 32, VMEXIT_VMMCALL, 13, PUSH_RIP, true, 0, 0},
    {"64", "#GP without EV: no error code", "", 0x30D, VMEXIT_VMMCALL, 13, PUSH_RIP, false, 0, 0},
    {"64", "#UD with EV: obeyed", "", 0x306 | INJ_EV | 7ull << 32, VMEXIT_VMMCALL, 6, PUSH_RIP, true, 0, 0},
    {"64", "#DB", "", 0x301, VMEXIT_VMMCALL, 1, PUSH_RIP, false, 0, 0},
    {"64", "INT3", "", 0x303, VMEXIT_VMMCALL, 3, PUSH_NRIP, false, 0, 0},
    {"64", "INT 80h", "", 0x480, VMEXIT_VMMCALL, 0x80, PUSH_NRIP, false, 0, 0},
    {"64", "INT 13: no exception", "", 0x40D, VMEXIT_VMMCALL, 13, PUSH_NRIP, false, 0, 0},
    {"32", "interrupt", "", 0x020, VMEXIT_VMMCALL, 0x20, PUSH_RIP, false, 0, 0},
    {"32", "#PF with its error code", "", 0x30E | INJ_EV | 2ull << 32, VMEXIT_VMMCALL, 14, PUSH_RIP, true, 0, 0},
    {"32", "INTO", "", 0x304, VMEXIT_VMMCALL, 4, PUSH_NRIP, false, 0, 0},
    {"32", "BOUND", "", 0x305, VMEXIT_VMMCALL, 5, PUSH_RIP, false, 0, 0},
    {"32", "INT 80h", "", 0x480, VMEXIT_VMMCALL, 0x80, PUSH_NRIP, false, 0, 0},
    {"real", "interrupt", "", 0x020, VMEXIT_VMMCALL, 0x20, PUSH_RIP, false, 0, 0},
    {"real", "#GP: real mode pushes no error code", "", 0x30D | INJ_EV, VMEXIT_VMMCALL, 13, PUSH_RIP, false, 0, 0},
    {"real", "INT 10h", "", 0x410, VMEXIT_VMMCALL, 0x10, PUSH_NRIP, false, 0, 0},
    {"real", "INT3", "", 0x303, VMEXIT_VMMCALL, 3, PUSH_NRIP, false, 0, 0},
    {"v86", "interrupt, to CPL 0", "", 0x020, VMEXIT_VMMCALL, 0x20, PUSH_RIP, false, 0, 0},
    {"v86", "INT 20h with IOPL 3", "rflags+=3000", 0x420, VMEXIT_VMMCALL, 0x20, PUSH_NRIP, false, 0, 0},
    {"v86", "INT 20h with VME, redirected to the IVT", "cr4+=1 mem2:9066=88", 0x420, VMEXIT_VMMCALL, 0x20, PUSH_NONE, false, 0, 0},
    {"v86", "INT 20h with VME, IOPL 0, not redirected", "cr4+=1 mem2:9066=88 mem1:906C=1", 0x420, 0x4D, 0, PUSH_NONE, false, 0, INJ_V | 0x420},
    {"v86", "INT 20h with IOPL 0: as the instruction", "", 0x420, 0x4D, 0, PUSH_NONE, false, 0, INJ_V | 0x420},
    /* taken whatever would hold a real one */
    {"64", "interrupt with IF clear and a shadow", "int_state=1", 0x020, VMEXIT_VMMCALL, 0x20, PUSH_RIP, false, 0, 0},
    {"64", "interrupt below V_TPR", "v_tpr=F v_intr_masking", 0x020, VMEXIT_VMMCALL, 0x20, PUSH_RIP, false, 0, 0},
    {"64", "before a pending NMI", "nmi icpt_misc1=0 icpt_exc=0", 0x020, VMEXIT_VMMCALL, 2, PUSH_NONE, false, 0, 0},
    {"64", "before the trap of TF", "rflags+=100", 0x020, VMEXIT_VMMCALL, 0x20, PUSH_RIP, false, 0, 0},
    /* intercepts do not see the event itself; all exceptions are intercepted here */
    {"64", "interrupt with its intercept", "icpt_misc1=1", 0x020, VMEXIT_VMMCALL, 0x20, PUSH_RIP, false, 0, 0},
    {"64", "NMI with its intercept", "icpt_misc1=2", 0x202, VMEXIT_VMMCALL, 2, PUSH_RIP, false, 0, 0},
    {"64", "INT 80h with its intercept", "icpt_misc1=200000", 0x480, VMEXIT_VMMCALL, 0x80, PUSH_NRIP, false, 0, 0},
    /* gate DPL 0 against CPL 3: only for what software raises */
    {"64", "interrupt at CPL 3, DPL 0", "cpl=3 mem1:2205=8E", 0x020, VMEXIT_VMMCALL, 0x20, PUSH_NONE, false, 0, 0},
    {"64", "NMI at CPL 3, DPL 0", "cpl=3 mem1:2025=8E", 0x202, VMEXIT_VMMCALL, 2, PUSH_NONE, false, 0, 0},
    {"64", "#UD at CPL 3, DPL 0", "cpl=3 mem1:2065=8E", 0x306, VMEXIT_VMMCALL, 6, PUSH_NONE, false, 0, 0},
    {"64", "#DB at CPL 3, DPL 0", "cpl=3 mem1:2015=8E", 0x301, VMEXIT_VMMCALL, 1, PUSH_NONE, false, 0, 0},
    {"64", "INT3 at CPL 3, DPL 0", "cpl=3 mem1:2035=8E", 0x303, 0x4D, 0, PUSH_NONE, false, 0x1A, INJ_V | 0x303},
    {"64", "INT 80h at CPL 3, DPL 0", "cpl=3 mem1:2805=8E", 0x480, 0x4D, 0, PUSH_NONE, false, 0x402, INJ_V | 0x480},
    /* faults while it is delivered: EXT tells who asked for the event */
    {"64", "interrupt, gate not present", "mem1:2205=6E", 0x020, 0x4B, 0, PUSH_NONE, false, 0x103, INJ_V | 0x020},
    {"64", "interrupt beyond the IDT", "idtr_limit=FF", 0x020, 0x4D, 0, PUSH_NONE, false, 0x103, INJ_V | 0x020},
    {"64", "interrupt, IDT in the hole", "idtr_base=60000", 0x020, 0x4E, 0, PUSH_NONE, false, 0, INJ_V | 0x020},
    {"64", "interrupt, stack in the hole", "rsp=60800", 0x020, 0x4E, 0, PUSH_NONE, false, 2, INJ_V | 0x020},
    {"64", "NMI, gate not present", "mem1:2025=6E", 0x2FF, 0x4B, 0, PUSH_NONE, false, 0x13, INJ_V | 0x202},
    {"64", "#GP, gate not present: the second is seen before both combine", "mem1:20D5=6E", 0x30D | INJ_EV | 8ull << 32, 0x4B, 0, PUSH_NONE, false,
     0x6B, INJ_V | INJ_EV | 0x30D | 8ull << 32},
    {"64", "INT 80h, gate not present", "mem1:2805=6E", 0x480, 0x4B, 0, PUSH_NONE, false, 0x402, INJ_V | 0x480},
    {"32", "interrupt through a task gate", "mem8:2100=E50000300000 icpt_misc1=20000000", 0x020, VMEXIT_TASK_SWITCH, 0, PUSH_NONE, false, 0x30,
     INJ_V | 0x020},
    {"real", "interrupt beyond the IVT", "idtr_limit=7F", 0x020, 0x4D, 0, PUSH_NONE, false, 0x102, INJ_V | 0x020},
    /* not an event at all: VMRUN fails */
    {"64", "type 1", "", 0x120, ~0ull, 0, PUSH_NONE, false, 0, 0},
    {"64", "type 5", "", 0x520, ~0ull, 0, PUSH_NONE, false, 0, 0},
    {"64", "type 6", "", 0x620, ~0ull, 0, PUSH_NONE, false, 0, 0},
    {"64", "type 7", "", 0x720, ~0ull, 0, PUSH_NONE, false, 0, 0},
    {"64", "exception 2", "", 0x302, ~0ull, 0, PUSH_NONE, false, 0, 0},
    {"64", "exception 32", "", 0x320, ~0ull, 0, PUSH_NONE, false, 0, 0},
    {"64", "#BR in 64-bit mode", "", 0x305, ~0ull, 0, PUSH_NONE, false, 0, 0},
    {"64", "#OF in 64-bit mode", "", 0x304, ~0ull, 0, PUSH_NONE, false, 0, 0},
};

/* Return address and error code on the stack of the handler. */
static void frame(struct lab *l, bool err, u64 rip)
{
    unsigned w = !strcmp(l->mode, "64") ? 8 : !strcmp(l->mode, "real") ? 2 : 4;
    u64 sp = l->out.rsp;
    if (err) {
        want(l, "error code", lab_get(l, sp, w), (u32)(l->in.eventinj >> 32));
        sp += w;
    }
    want(l, "return address", lab_get(l, sp, w), rip);
    unsigned cells = w == 8 ? 5 : 3;
    if (strcmp(l->mode, "v86"))
        want(l, "stack", sp + cells * w, STACK);
}

static void injection(void **state)
{
    (void)state;
    failures = 0;
    for (unsigned p = 0; p < ARRAY_LEN(profiles); p++) {
        struct lab l;
        lab_create(&l, profiles[p], false);
        bool nrips = lab_has(&l, "NRIPS");
        for (unsigned i = 0; i < ARRAY_LEN(injections); i++) {
            what = injections[i].what;
            lab_mode(&l, injections[i].mode);
            lab_write(&l, CODE, "\x0F\x0B", 2);
            l.in.eventinj = INJ_V | injections[i].inj;
            l.in.nrip = NEXT;
            l.in.cr2 = 0x77;
            if (!lab_words(&l, injections[i].state, 0))
                fail_msg("%s", l.error);
            lab_run(&l);
            want(&l, "exited", l.exited, true);
            want(&l, "exit code", l.out.exitcode, injections[i].exit);
            want(&l, "exitintinfo", l.out.exitintinfo, injections[i].intinfo);
            want(&l, "eventinj", l.out.eventinj, 0);
            want(&l, "cr2", l.out.cr2, 0x77); /* an injected #PF leaves CR2 to the VMCB, an intercepted one too */
            if (injections[i].exit != VMEXIT_VMMCALL) {
                want(&l, "exitinfo1", l.out.exitinfo1, injections[i].info1);
                want(&l, "rip", l.out.rip, RIP0);
                continue;
            }
            want(&l, "handler", l.out.rip, HANDLERS + injections[i].vec * HANDLER_SIZE);
            if (injections[i].push != PUSH_NONE)
                frame(&l, injections[i].err, injections[i].push == PUSH_NRIP && nrips ? NEXT : RIP0);
        }
        lab_destroy(&l);
    }
    assert_int_equal(failures, 0);
}

/* A plain injected NMI does not block the next one; a real one does. */
static void nmi_is_not_blocked(void **state)
{
    struct lab l;
    (void)state;
    lab_create(&l, "zen3", false);
    what = "NMI after an injected one";
    failures = 0;
    lab_mode(&l, "64");
    lab_write(&l, HANDLERS + 2 * HANDLER_SIZE, "\x90\x0F\x01\xD9", 4);
    l.in.eventinj = INJ_V | 0x202;
    assert_true(lab_words(&l, "nmi icpt_misc1=2", 0));
    lab_run(&l);
    want(&l, "exit code", l.out.exitcode, VMEXIT_NMI);
    want(&l, "rip", l.out.rip, HANDLERS + 2 * HANDLER_SIZE);
    what = "NMI after a delivered one";
    lab_mode(&l, "64");
    lab_write(&l, HANDLERS + 2 * HANDLER_SIZE, "\x90\x0F\x01\xD9", 4);
    l.c->st.nmi_blocked = true;
    assert_true(lab_words(&l, "nmi icpt_misc1=2", 0));
    l.in.rip = HANDLERS + 2 * HANDLER_SIZE;
    lab_run(&l);
    want(&l, "exit code", l.out.exitcode, VMEXIT_VMMCALL);
    lab_destroy(&l);
    assert_int_equal(failures, 0);
}

/* ---- a fault while each kind of event is delivered [APM2 15.7.2] ---- */

static const struct {
    const char *what, *state, *code;
    u64 exit, info1, intinfo;
} deliveries[] = {
    {"interrupt", "intr=41 rflags+=200 mem1:2415=6E", "\x90", 0x4B, 0x20B, INJ_V | 0x041},
    {"virtual interrupt", "v_irq v_ign_tpr int_vector=55 rflags+=200 mem1:2555=6E", "\x90", 0x4B, 0x2AB, INJ_V | 0x055},
    {"NMI", "nmi mem1:2025=6E", "\x90", 0x4B, 0x13, INJ_V | 0x202},
    {"#UD", "icpt_exc+=0 mem1:2065=6E", "\x0F\x0B", 0x46, 0, 0}, /* intercepted before it is delivered */
    {"#UD not intercepted", "icpt_exc=800 mem1:2065=6E", "\x0F\x0B", 0x4B, 0x33, INJ_V | 0x306},
    {"#DE not intercepted", "icpt_exc=800 mem1:2005=6E", "\xF7\xF1", 0x4B, 3, INJ_V | 0x300},
    {"#PF not intercepted", "icpt_exc=800 mem1:20E5=6E rcx=60000", "\x8B\x01", 0x4B, 0x73, INJ_V | INJ_EV | 0x30E},
    {"INT 80h", "mem1:2805=6E", "\xCD\x80", 0x4B, 0x402, INJ_V | 0x480},
    {"INT3 not intercepted", "icpt_exc=800 mem1:2035=6E", "\xCC", 0x4B, 0x1A, INJ_V | 0x303},
    {"INT1", "mem1:2015=6E", "\xF1", 0x4B, 0xB, INJ_V | 0x301},
    {"single step", "icpt_exc=800 mem1:2015=6E rflags+=100", "\x90", 0x4B, 0xB, INJ_V | 0x301},
    {"interrupt, #PF on the stack", "intr=41 rflags+=200 rsp=60800", "\x90", 0x4E, 2, INJ_V | 0x041},
};

static void exitintinfo(void **state)
{
    (void)state;
    failures = 0;
    for (unsigned p = 0; p < ARRAY_LEN(profiles); p++) {
        struct lab l;
        lab_create(&l, profiles[p], false);
        for (unsigned i = 0; i < ARRAY_LEN(deliveries); i++) {
            what = deliveries[i].what;
            lab_mode(&l, "64");
            lab_write(&l, CODE, deliveries[i].code, 2);
            if (!lab_words(&l, deliveries[i].state, 0))
                fail_msg("%s", l.error);
            lab_run(&l);
            want(&l, "exit code", l.out.exitcode, deliveries[i].exit);
            want(&l, "exitinfo1", l.out.exitinfo1, deliveries[i].info1);
            want(&l, "exitintinfo", l.out.exitintinfo, deliveries[i].intinfo);
            want(&l, "v_irq", l.out.int_ctl >> 8 & 1, 0); /* taken already: what has to be done again is in EXITINTINFO */
            want(&l, "nrip", l.out.nrip, lab_has(&l, "NRIPS") ? 0 : 0x5A5A);
        }
        lab_destroy(&l);
    }
    assert_int_equal(failures, 0);
}

/* ---- double faults [APM2 8.2.9, table 8-5] ---- */

/* The first exception is injected; its gate makes the second: not present (#NP), selector 0 (#GP), IDT in the hole (#PF). */
static void double_faults(void **state)
{
    enum { BENIGN, CONTRIBUTORY, PAGE };
    static const struct { u8 vec, kind; } first[] = {
        {0, CONTRIBUTORY}, {1, BENIGN}, {6, BENIGN}, {7, BENIGN}, {10, CONTRIBUTORY}, {11, CONTRIBUTORY}, {12, CONTRIBUTORY},
        {13, CONTRIBUTORY}, {14, PAGE}, {16, BENIGN}, {17, BENIGN}, {18, BENIGN}, {19, BENIGN}};
    static const struct { const char *how; u8 vec, kind; } second[] = {{"not present", 11, CONTRIBUTORY}, {"no selector", 13, CONTRIBUTORY}, {"hole", 14, PAGE}};
    struct lab l;
    (void)state;
    failures = 0;
    lab_create(&l, "zen3", false);
    for (unsigned i = 0; i < ARRAY_LEN(first); i++)
        for (unsigned k = 0; k < ARRAY_LEN(second); k++)
            for (unsigned icpt = 0; icpt < 3; icpt++) { /* nothing but the second, #DF and shutdown; #DF and shutdown; the second too */
                bool df = (first[i].kind == CONTRIBUTORY && second[k].kind == CONTRIBUTORY) || first[i].kind == PAGE;
                bool second_icpt = icpt == 2;
                char text[64];
                snprintf(text, sizeof text, "vector %u, then %u, %s", first[i].vec, second[k].vec, icpt == 0 ? "#DF" : icpt == 1 ? "shutdown" : "second");
                what = text;
                lab_mode(&l, "64");
                u64 inj = INJ_V | 0x300 | first[i].vec;
                l.in.eventinj = inj;
                l.in.icpt_exc = (icpt == 0 ? 1u << 8 : 0) | (second_icpt ? 1u << second[k].vec : 0);
                l.in.icpt_misc1 = 1u << 31;
                if (k == 0)
                    lab_put(&l, IDT + first[i].vec * 16u + 5, 1, 0x6E);
                else if (k == 1)
                    lab_put(&l, IDT + first[i].vec * 16u + 2, 2, 0);
                else
                    l.in.idtr_base = HOLE;
                lab_run(&l);
                if (second_icpt) {
                    want(&l, "exit", l.out.exitcode, 0x40u + second[k].vec);
                    want(&l, "exitintinfo", l.out.exitintinfo, inj);
                } else if (k == 2 && icpt == 1) { /* nothing at all can be delivered */
                    want(&l, "exit", l.out.exitcode, VMEXIT_SHUTDOWN);
                } else if (df && icpt == 0) { /* before EXITINTINFO holds the #DF */
                    want(&l, "exit", l.out.exitcode, 0x48);
                    want(&l, "exitinfo1", l.out.exitinfo1, 0);
                    want(&l, "exitintinfo", l.out.exitintinfo, inj);
                } else if (df) { /* delivered: its gate is good */
                    want(&l, "exit", l.out.exitcode, VMEXIT_VMMCALL);
                    want(&l, "handler", l.out.rip, HANDLERS + 8 * HANDLER_SIZE);
                } else if (k != 2 && first[i].vec != second[k].vec) { /* the second alone */
                    want(&l, "exit", l.out.exitcode, VMEXIT_VMMCALL);
                    want(&l, "handler", l.out.rip, HANDLERS + second[k].vec * (unsigned)HANDLER_SIZE);
                }
            }
    lab_destroy(&l);
    assert_int_equal(failures, 0);
}

/* A real NMI whose delivery breaks off has been recognised: it is in EXITINTINFO, and the next one is blocked. [APM2 15.7.2] */
static void nmi_broken_off(void **state)
{
    struct lab l;
    (void)state;
    lab_create(&l, "zen3", false);
    what = "NMI without an IDT";
    failures = 0;
    lab_mode(&l, "64");
    l.in.idtr_base = HOLE;
    l.in.icpt_misc1 = 0;
    l.c->pending |= PEND_NMI;
    lab_run(&l);
    want(&l, "exit", l.out.exitcode, 0x4E);
    want(&l, "exitintinfo", l.out.exitintinfo, INJ_V | 0x202);
    want(&l, "NMI pending", l.c->pending & PEND_NMI, 0);
    want(&l, "NMIs blocked", l.c->st.nmi_blocked, true);
    lab_destroy(&l);
    assert_int_equal(failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(injection), cmocka_unit_test(nmi_is_not_blocked), cmocka_unit_test(exitintinfo),
                                       cmocka_unit_test(double_faults), cmocka_unit_test(nmi_broken_off)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
