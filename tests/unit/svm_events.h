// SPDX-License-Identifier: MIT
/* Small guests on a whole machine: a 32-bit host at HOST whose first instruction is VMRUN, a 32-bit guest at GUEST, both unpaged and flat,
 * each with an IDT whose vector n goes to its handler page + 16 n; handlers are HLT unless a test writes others. */
#ifndef TESTS_UNIT_SVM_EVENTS_H
#define TESTS_UNIT_SVM_EVENTS_H

#include "machine/machine.h"
#include "svm/svm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { HOST = 0x1000, GUEST = 0x2000, VMCB = 0x3000, HSAVE = 0x4000, GDT = 0x5000, HIDT = 0x6000, GIDT = 0x7000, HHAND = 0x8000,
       GHAND = 0x9000, HSTACK = 0xB000, GSTACK = 0xC000, DATA = 0xD000, IOPM = 0x10000, MSRPM = 0x14000 };

struct world {
    struct svmemu *m;
    struct vcpu *c;
    union vmcb *v;
    char id[64]; /* of the last error diagnostic */
};

static inline void note(void *ctx, const struct svmemu_diag *d)
{
    struct world *w = ctx;
    if (d->severity == 2)
        snprintf(w->id, sizeof w->id, "%s", d->id);
}

static inline void put(struct world *w, u64 at, const void *p, size_t n)
{
    assert_int_equal(svmemu_mem_write(w->m, at, p, n), SVMEMU_OK);
}

static inline void idt(struct world *w, u64 table, u64 handlers)
{
    for (unsigned i = 0; i < 256; i++) {
        u64 to = handlers + 16 * i, gate = (to & 0xFFFF) | 8ull << 16 | 0x8Eull << 40 | (to >> 16) << 48;
        put(w, table + 8 * i, &gate, 8);
        put(w, to, "\xF4", 1);
    }
}

static inline void flat(struct cpu_state *st)
{
    st->seg[SEG_CS] = (struct seg){0, 0xFFFFFFFF, 8, ATTR_P | ATTR_S | ATTR_DB | ATTR_G | 0xB};
    for (unsigned i = 0; i < SEG_N; i++)
        if (i == SEG_ES || i == SEG_SS || i == SEG_DS)
            st->seg[i] = (struct seg){0, 0xFFFFFFFF, 16, ATTR_P | ATTR_S | ATTR_DB | ATTR_G | 3};
}

static inline void world_open(struct world *w, const char *cpu, unsigned vcpus)
{
    static const u64 gdt[] = {0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF};
    memset(w, 0, sizeof *w);
    struct svmemu_config cfg = {.memory = 2 << 20, .cpu = cpu, .vcpus = vcpus, .ctx = w, .diag = note};
    assert_int_equal(svmemu_create(&cfg, &w->m), SVMEMU_OK);
    struct phys_page p;
    assert_true(phys_lookup(&w->m->view, (struct spa){VMCB}, &p));
    w->v = (union vmcb *)(void *)p.host;
    w->c = w->m->cpu[0];
    struct cpu_state *st = &w->c->st;
    put(w, GDT, gdt, sizeof gdt);
    idt(w, HIDT, HHAND);
    idt(w, GIDT, GHAND);
    put(w, HOST, "\x0F\x01\xD8\xF4", 4); /* VMRUN; HLT */
    flat(st);
    st->cr0 = CR0_PE | CR0_ET;
    st->efer = EFER_SVME;
    st->vm_hsave_pa = HSAVE;
    st->gdtr = (struct dtr){GDT, 23};
    st->idtr = (struct dtr){HIDT, 0x7FF};
    st->gpr[RSP] = HSTACK;
    st->gpr[RAX] = VMCB;
    st->rip = HOST;
    st->cpl = 0;
    cpu_update_mode(w->c);
    union vmcb *v = w->v;
    v->icpt_misc1 = 1u << 24;  /* HLT */
    v->icpt_misc2 = 1;
    v->asid = 1;
    v->iopm_base = IOPM;
    v->msrpm_base = MSRPM;
    v->cr0 = CR0_PE;
    v->efer = EFER_SVME;
    v->cs_sel = 8;
    v->cs_attr = 0xC9B;
    v->cs_limit = v->ss_limit = v->ds_limit = v->es_limit = 0xFFFFFFFF;
    v->ss_sel = v->ds_sel = v->es_sel = 16;
    v->ss_attr = v->ds_attr = v->es_attr = 0xC93;
    v->gdtr_base = GDT;
    v->gdtr_limit = 23;
    v->idtr_base = GIDT;
    v->idtr_limit = 0x7FF;
    v->rip = GUEST;
    v->rsp = GSTACK;
    v->rflags = 2;
    v->dr6 = 0xFFFF0FF0;
    v->dr7 = 0x400;
}

static inline void world_close(struct world *w)
{
    svmemu_destroy(w->m);
}

static inline void run(struct world *w, u64 insns)
{
    struct svmemu_stop stop;
    assert_int_equal(svmemu_run(w->m, insns, 100000, &stop), SVMEMU_OK);
}

/* The next VMRUN, from the start, until the host's HLT or `insns`. */
static inline void again(struct world *w, u64 insns)
{
    w->c->st.activity = ACT_RUN;
    w->c->st.rip = HOST;
    w->c->st.gif = true;
    w->c->st.gpr[RAX] = VMCB;
    run(w, insns);
}

#define CODE(w, at, bytes) put(w, at, bytes, sizeof(bytes) - 1)

#endif
