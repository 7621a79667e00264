// SPDX-License-Identifier: MIT
/* VMCB clean bits: what is cached, by which bit it is loaded again, and what is never cached [APM2 15.15]. The groups are written out
 * here by hand and not taken from vmcb.def. */
#include "svm_fixture.h"

enum { I, IOPM_, ASID, TPR, NP, CRX, DRX, DT, SEG, CR2, LBR, ALWAYS = 32 };

/* One field and a value that keeps the VMCB valid; `seen` reads what the processor works with after VMRUN. */
struct cell {
    const char *name;
    unsigned bit;
    void (*set)(union vmcb *v, u64 x);
    u64 (*seen)(struct vcpu *c);
    u64 old, new;
};
#define CELL(name, bit, place, look, old, new)                                                                         \
    static void set_##name(union vmcb *v, u64 x) { v->place = x; }                                                     \
    static u64 see_##name(struct vcpu *c) { return (u64)(look); }
#define CELLS(X)                                                                                                       \
    X(icpt_exc, I, icpt_exc, c->icpt[2], 1, 0x4000)                                                                    \
    X(icpt_cr, I, icpt_cr, c->icpt[0], 8, 16)                                                                          \
    X(tsc_offset, I, tsc_offset, c->tsc_guest_offset, 5, 6)                                                            \
    X(pause_count, I, pause_count, c->svm->pause_count, 7, 9)                                                          \
    X(iopm, IOPM_, iopm_base, c->svm->iopm, 0x12000, 0x20000)                                                          \
    X(msrpm, IOPM_, msrpm_base, c->svm->msrpm, 0x15000, 0x24000)                                                       \
    X(asid, ASID, asid, c->nest.asid, 5, 6)                                                                            \
    X(int_ctl, TPR, int_ctl, c->svm->int_ctl, 3, 1 << 20)                                                              \
    X(int_vector, TPR, int_vector, c->svm->int_vector, 0x30, 0x31)                                                     \
    X(n_cr3, NP, n_cr3, c->nest.ncr3, 0x40000, 0x50000)                                                                \
    X(cr0, CRX, cr0, c->st.cr0, CR0_PE | CR0_ET, CR0_PE | CR0_ET | CR0_WP)                                             \
    X(cr3, CRX, cr3, c->st.cr3, 0x1000, 0x2000)                                                                        \
    X(cr4, CRX, cr4, c->st.cr4, CR4_PAE, CR4_PGE)                                                                      \
    X(efer, CRX, efer, c->st.efer, EFER_SVME, EFER_SVME | EFER_NXE)                                                    \
    X(dr6, DRX, dr6, c->st.dr6, 0xFFFF0FF1, 0xFFFF0FF2)                                                                \
    X(dr7, DRX, dr7, c->st.dr7, 0x401, 0x404)                                                                          \
    X(gdtr_base, DT, gdtr_base, c->st.gdtr.base, 0x100, 0x200)                                                         \
    X(idtr_limit, DT, idtr_limit, c->st.idtr.limit, 0x7F, 0xFF)                                                        \
    X(es_sel, SEG, es_sel, c->st.seg[SEG_ES].sel, 8, 16)                                                               \
    X(cs_base, SEG, cs_base, c->st.seg[SEG_CS].base, 0, 0x30)                                                          \
    X(ss_limit, SEG, ss_limit, c->st.seg[SEG_SS].limit, 0xFFFF, 0xFFFFF)                                               \
    X(ds_attr, SEG, ds_attr, c->st.seg[SEG_DS].attr, 0x93, 0x97)                                                       \
    X(cpl, SEG, cpl, c->st.cpl, 0, 3)                                                                                  \
    X(cr2, CR2, cr2, c->st.cr2, 0x11, 0x22)                                                                            \
    X(virt_ext, LBR, virt_ext, c->svm->virt_ext, 1, 3)                                                                 \
    X(br_from, LBR, br_from, c->st.br_from, 0x11, 0x22)                                                                \
    X(int_state, ALWAYS, int_state, c->st.shadow, 0, 1)                                                                \
    X(rflags, ALWAYS, rflags, cpu_rflags(c), 2, 3)                                                                     \
    X(rip, ALWAYS, rip, c->st.rip, 0x100, 0x200)                                                                       \
    X(rsp, ALWAYS, rsp, c->st.gpr[RSP], 0x100, 0x200)                                                                  \
    X(rax, ALWAYS, rax, c->st.gpr[RAX], 0x100, 0x200)                                                                  \
    X(eventinj, ALWAYS, eventinj, c->svm->injecting, 0, 0x80000020)
CELLS(CELL)
static const struct cell cells[] = {
#define ROW(name, bit, place, look, old, new) {#name, bit, set_##name, see_##name, old, new},
    CELLS(ROW)
#undef ROW
};

/* Runs once with the old value, changes memory behind the processor's back, and runs again with `clean`. */
static u64 second_run(const struct cell *k, u32 clean)
{
    struct vcpu *c = &g->c;
    guest_state(g->v);
    g->v->np_ctl = 1;
    g->v->n_cr3 = 0x40000;
    g->v->g_pat = 0x0606060606060606;
    g->v->virt_ext = 1;
    k->set(g->v, k->old);
    c->next_rip = 0x9003;
    svm_vmrun(c, VMCB);
    assert_true(c->guest);
    c->st.shadow = false;
    do_exit(VMEXIT_HLT);
    k->set(g->v, k->new);
    g->v->clean = clean;
    c->next_rip = 0x9003;
    svm_vmrun(c, VMCB);
    assert_true(c->guest);
    u64 seen = k->seen(c);
    do_exit(VMEXIT_HLT);
    return seen;
}

static u64 want(const struct cell *k, u64 v)
{
    return k->bit == ALWAYS && !strcmp(k->name, "eventinj") ? v != 0 : v;
}

/* Every bit alone clean, and every bit alone dirty: stale exactly where its own bit is set. */
static void groups(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(cells); i++) {
        const struct cell *k = &cells[i];
        for (unsigned bit = 0; bit <= LBR; bit++) {
            bool mine = bit == k->bit;
            if (second_run(k, 1u << bit) != want(k, mine ? k->old : k->new))
                fail_msg("%s with only bit %u clean", k->name, bit);
            if (second_run(k, ~(1u << bit)) != want(k, mine || k->bit == ALWAYS ? k->new : k->old))
                fail_msg("%s with only bit %u dirty", k->name, bit);
        }
    }
}

static void another_vmcb(void **state)
{
    (void)state;
    struct vcpu *c = &g->c;
    union vmcb *other = page(0x30000);
    svm_vmrun(c, VMCB);
    do_exit(VMEXIT_HLT);
    *other = *g->v;
    other->clean = ~0u;
    other->cr2 = 0x77;
    c->next_rip = 0x9003;
    svm_vmrun(c, 0x30000); /* other address: all of it is loaded */
    assert_int_equal(c->st.cr2, 0x77);
    do_exit(VMEXIT_HLT);
    g->v->clean = ~0u;
    g->v->cr2 = 0x78;
    c->next_rip = 0x9003;
    svm_vmrun(c, VMCB); /* only the last one is cached */
    assert_int_equal(c->st.cr2, 0x78);
}

/* #VMEXIT updates the cached copy: the guest's own changes are not lost, whatever memory says afterwards. */
static void exit_updates(void **state)
{
    (void)state;
    struct vcpu *c = &g->c;
    svm_vmrun(c, VMCB);
    c->st.cr2 = 0xABC;
    c->st.cr8 = 9;
    c->st.seg[SEG_DS].base = 0x1230;
    do_exit(VMEXIT_HLT);
    assert_int_equal(g->v->cr2, 0xABC);
    g->v->cr2 = g->v->ds_base = 0;
    g->v->int_ctl = 0;
    g->v->clean = ~0u;
    c->next_rip = 0x9003;
    svm_vmrun(c, VMCB);
    assert_int_equal(c->st.cr2, 0xABC);
    assert_int_equal(c->st.cr8, 9);
    assert_int_equal(c->st.seg[SEG_DS].base, 0x1230);
}

/* The checks see the merged state: stale good values hide bad memory, and a failed VMRUN leaves nothing cached. */
static void checks(void **state)
{
    (void)state;
    struct vcpu *c = &g->c;
    svm_vmrun(c, VMCB);
    do_exit(VMEXIT_HLT);
    g->v->asid = 0;
    g->v->clean = 1u << ASID;
    c->next_rip = 0x9003;
    svm_vmrun(c, VMCB);
    assert_true(c->guest);
    assert_int_equal(c->nest.asid, 5);
    do_exit(VMEXIT_HLT);
    g->v->clean = 0;
    c->next_rip = 0x9003;
    svm_vmrun(c, VMCB);
    assert_false(c->guest);
    assert_int_equal(g->v->exitcode, ~0ull);
    g->v->asid = 8;
    g->v->clean = ~0u;
    c->next_rip = 0x9003;
    svm_vmrun(c, VMCB);
    assert_int_equal(c->nest.asid, 8);
}

static void no_feature(void **state)
{
    (void)state;
    const struct cell *k = &cells[0];
    assert_int_equal(second_run(k, ~0u), k->new);
}

static void reset_forgets(void **state)
{
    (void)state;
    struct vcpu *c = &g->c;
    svm_vmrun(c, VMCB);
    do_exit(VMEXIT_HLT);
    svm_reset(c);
    g->v->cr2 = 0x99;
    g->v->clean = ~0u;
    c->next_rip = 0x9003;
    svm_vmrun(c, VMCB);
    assert_int_equal(c->st.cr2, 0x99);
}

static int setup_k10(void **state)
{
    (void)state;
    return setup_model("barcelona");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(groups, setup_max, teardown), T(another_vmcb), T(exit_updates), T(checks),
        cmocka_unit_test_setup_teardown(no_feature, setup_k10, teardown), T(reset_forgets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
