// SPDX-License-Identifier: MIT
/* VMRUN from a host in any of its modes, with the diagnostics that it gives: for the tests of the consistency checks. */
#ifndef TESTS_UNIT_SVM_HOST_H
#define TESTS_UNIT_SVM_HOST_H

#include "svm_guest.h"

static const struct { const char *name; unsigned maxphys; } profiles[] = {
    {"k8", 40}, {"barcelona", 48}, {"zen1", 48}, {"zen3", 48}, {"max", 48},
};
enum { NPROFILES = ARRAY_LEN(profiles), HOST_PAE = 0x105000 };

struct said { char id[64], section[24], text[512]; };
static struct said said[64]; /* diagnostics of one run */
static unsigned nsaid;

static inline void on_diag(void *ctx, const struct svmemu_diag *d)
{
    (void)ctx;
    if (nsaid == ARRAY_LEN(said))
        return;
    snprintf(said[nsaid].id, sizeof said[0].id, "%s", d->id);
    snprintf(said[nsaid].section, sizeof said[0].section, "%s", d->section ? d->section : "");
    snprintf(said[nsaid].text, sizeof said[0].text, "%s", d->text);
    nsaid++;
}

/* One VMRUN: `rax` is its operand; exits of no code, #UD and #PF counted before it. */
struct try {
    struct lab *l;
    const char *mode; /* of the guest: see base_mode */
    unsigned maxphys;
    bool primed; /* what passed before is not forgotten */
    u64 rax, other, ud, pf;
};

/* Guests: those of lab_mode, "pae" (legacy PAE paging), "pr" (paged real mode with PAE tables); "+np": with nested paging. */
static inline void base_mode(struct lab *l, const char *mode)
{
    char name[8];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(mode, "+"), mode);
    bool pae = !strcmp(name, "pae"), pr = !strcmp(name, "pr");
    lab_mode(l, pae ? "32" : pr ? "real" : name);
    if (pae || pr) {
        l->in.cr0 |= CR0_PG;
        l->in.cr4 |= CR4_PAE;
        l->in.cr3 = TABLES + 0x1000;
        for (unsigned i = 0; i < 4; i++)
            lab_put(l, TABLES + 0x1000 + 8 * i, 8, i ? 0 : (TABLES + 0x2000) | 1);
    }
    if (strchr(mode, '+'))
        l->in.np_ctl |= NP_CTL_NP;
}

/* The host stands at HOST_CODE in one of its modes; no IDT, so that a fault is a shutdown whose first exception tells. */
static inline void host_mode(struct lab *l, const char *mode)
{
    struct vcpu *c = l->c;
    bool real = !strcmp(mode, "real"), v86 = !strcmp(mode, "v86");
    for (unsigned i = 0; i < 3; i++) /* for user code too */
        lab_put(l, HOST_TABLES + 0x1000 * i, 1, i < 2 ? 7 : 0x87);
    if (strcmp(mode, "64") != 0)
        assert_int_equal(svmemu_set_mode(l->m, 0, real ? 16 : 32, 0), SVMEMU_OK);
    c->st.rip = HOST_CODE;
    if (real || v86) {
        c->st.seg[SEG_CS].base = HOST_CODE;
        c->st.rip = 0;
    }
    if (v86) {
        cpu_set_rflags(c, FL_ONE | FL_VM);
        c->st.cpl = 3;
    }
    if (!strcmp(mode, "pae")) {
        lab_put(l, HOST_PAE, 8, (HOST_PAE + 0x1000) | 1);
        for (unsigned i = 1; i < 4; i++)
            lab_put(l, HOST_PAE + 8 * i, 8, 0);
        lab_put(l, HOST_PAE + 0x1000, 8, 0x87);
        c->st.cr3 = HOST_PAE;
        c->st.cr4 = CR4_PAE;
        c->st.cr0 |= CR0_PG;
        assert_true(mmu_load_pdptes(&c->mmu, HOST_PAE));
    }
    c->st.idtr.base = 0;
    c->st.idtr.limit = 0;
}

/* Memory, the base VMCB and the host before the words. */
static inline void prepare(struct try *t)
{
    struct lab *l = t->l;
    base_mode(l, t->mode);
    lab_write(l, HOST_CODE, "\x0F\x01\xD8\xF4", 4);
    lab_write(l, CODE, "\x0F\x01\xD9\xF4", 4);
    host_mode(l, "64");
    l->c->st.syscfg &= ~(u64)0x800000;
    l->c->st.u_cet = 0;
    t->rax = VMCB;
}

static inline void go(struct try *t)
{
    struct lab *l = t->l;
    struct vcpu *c = l->c;
    if (!l->in.rsp)
        l->in.rsp = STACK;
    memset(c->st.gpr, 0, sizeof l->gpr);
    c->st.gpr[RAX] = t->rax;
    lab_write(l, VMCB, &l->in, sizeof l->in);
    machine_cpu_changed(c);
    if (!t->primed)
        c->svm->has.ready = false; /* the features may be others, and what passed before is forgotten */
    c->svm->cached_pa = SVM_NOT_CACHED;
    t->other = c->svm->exits[SVM_STAT_OTHER];
    t->ud = c->stat_exceptions[EXC_UD];
    t->pf = c->stat_exceptions[EXC_PF];
    nsaid = 0;
    assert_int_equal(svmemu_run(l->m, 200, SVMEMU_NO_LIMIT, &l->stop), SVMEMU_OK);
    assert_int_equal(svmemu_mem_read(l->m, VMCB, &l->out, sizeof l->out), SVMEMU_OK);
    l->exited = !c->guest && l->stop.reason == SVMEMU_STOP_HALTED;
}

static inline void settle(struct lab *l)
{
    if (l->c->guest || l->c->st.activity == ACT_SHUTDOWN)
        svmemu_reset(l->m);
}

#endif
