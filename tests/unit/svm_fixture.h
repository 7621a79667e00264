// SPDX-License-Identifier: MIT
/* A vCPU over a real bus and MMU with a valid VMCB, for the svm_*.c tests that call svm directly. */
#ifndef TESTS_UNIT_SVM_FIXTURE_H
#define TESTS_UNIT_SVM_FIXTURE_H

#include "cpu/cpuid.h"
#include "svm/svm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

enum { VMCB = 0x10000, HSAVE = 0x11000, IOPM = 0x12000, MSRPM = 0x15000, RAM = 0x200000 };

struct rig {
    struct vcpu c;
    struct bus *bus;
    struct clock clock;
    struct diag diag;
    u64 features[FEAT_WORDS];
    char ids[8][64];
    unsigned nids;
    union vmcb *v, *h;
};
static struct rig *g;

static inline void sink(void *ctx, const struct diag_record *r)
{
    struct rig *rig = ctx;
    if (rig->nids < 8)
        snprintf(rig->ids[rig->nids++], 64, "%s", r->id);
}

static inline union vmcb *page(u64 pa)
{
    struct phys_page p;
    assert_true(phys_lookup(&g->c.view, (struct spa){pa}, &p));
    return (union vmcb *)(void *)p.host;
}

static inline void host_state(struct cpu_state *st)
{
    st->cr0 = CR0_PE | CR0_PG | CR0_ET;
    st->cr3 = 0x100000;
    st->cr4 = CR4_PAE;
    st->efer = EFER_SVME | EFER_LME | EFER_LMA;
    st->cpl = 0;
    st->seg[SEG_CS] = (struct seg){0, 0xFFFFFFFF, 8, ATTR_P | ATTR_S | ATTR_L | 0xB};
    st->seg[SEG_SS] = st->seg[SEG_DS] = st->seg[SEG_ES] =
        (struct seg){0, 0xFFFFFFFF, 16, ATTR_P | ATTR_S | ATTR_DB | 3};
    st->gdtr = (struct dtr){0x5000, 0x7F};
    st->idtr = (struct dtr){0x6000, 0xFFF};
    st->gpr[RSP] = 0x7000;
    st->gpr[RAX] = VMCB;
    st->gif = true;
    st->vm_hsave_pa = HSAVE;
    st->pat = 0x0007040600070406;
    st->dr7 = 0x401;
}

static inline void guest_state(union vmcb *v)
{
    memset(v, 0, sizeof *v);
    v->icpt_misc2 = 3;
    v->asid = 5;
    v->iopm_base = IOPM | 0x123; /* low bits are ignored */
    v->msrpm_base = MSRPM;
    v->cr0 = CR0_PE;
    v->efer = EFER_SVME;
    v->cs_sel = 0x18;
    v->cs_attr = ATTR_DB | 0xB;
    v->cs_limit = 0xFFFFFFFF;
    v->ss_attr = v->ds_attr = v->es_attr = ATTR_P | ATTR_S | ATTR_DB | 3;
    v->ds_base = 0x0000800000000000ull;
    v->cpl = 3;
    v->rip = 0x1234;
    v->rsp = 0x8000;
    v->rax = 0xAA;
    v->rflags = 2 | FL_CF | FL_IF | 1u << 15;
    v->cr2 = 0xC2;
    v->dr6 = 0;
    v->dr7 = 0x55;
    v->gdtr_limit = 0x1FFFF;
    v->tsc_offset = 77;
    v->int_ctl = 0xF0 | 5; /* the upper half of V_TPR is not used */
    v->int_state = 1;
}

static inline int setup_model(const char *model)
{
    g = calloc(1, sizeof *g);
    struct vcpu *c = &g->c;
    g->bus = bus_create(48);
    assert_true(bus_add_ram(g->bus, 0, RAM, "ram"));
    c->view = (struct phys_view){.bus = g->bus, .cpu = 0, .apic_page = ~0ull, .a20_mask = ~0ull};
    clock_init(&g->clock, 3000000000u, 3000000000u);
    g->diag = (struct diag){sink, g};
    c->clock = &g->clock;
    c->diag = &g->diag;
    c->model = cpu_model_find(model);
    cpu_model_features(c->model, g->features);
    c->features = g->features;
    assert_true(mmu_init(&c->mmu, &c->view, 0));
    c->svm = svm_alloc();
    assert_non_null(c->svm);
    cpu_reset(c, false);
    host_state(&c->st);
    cpu_set_rflags(c, FL_ONE | FL_ZF | FL_RF);
    cpu_update_mode(c);
    c->next_rip = 0x9003;
    g->v = page(VMCB);
    g->h = page(HSAVE);
    guest_state(g->v);
    return 0;
}

static inline int setup(void **state)
{
    (void)state;
    return setup_model(NULL);
}

static inline int setup_max(void **state)
{
    (void)state;
    return setup_model("max");
}

static inline int teardown(void **state)
{
    (void)state;
    svm_free(g->c.svm);
    mmu_free(&g->c.mmu);
    bus_destroy(g->bus);
    free(g);
    return 0;
}

static inline void do_exit(u64 code)
{
    g->c.vx = (struct vmexit){.code = code, .info1 = 11, .info2 = 22, .nrip_valid = true};
    g->c.ev.kind = EV_VMEXIT;
    svm_vmexit(&g->c);
}

#endif
