// SPDX-License-Identifier: MIT
/* The world switch on a vCPU with a real bus and MMU; bit maps, virtual interrupts, injection, VMLOAD and VMSAVE. */
#include "svm_fixture.h"

static void round_trip(void **state)
{
    (void)state;
    struct vcpu *c = &g->c;
    c->st.cr2 = 0x1111;
    assert_true(svm_vmrun(c, VMCB));
    assert_int_equal(g->nids, 0);
    assert_true(c->guest && c->st.gif && c->st.shadow);
    assert_int_equal(c->st.rip, 0x1234);
    assert_int_equal(c->next_rip, 0x1234);
    assert_int_equal(c->st.cpl, 3);
    assert_int_equal(cpu_rflags(c), 2 | FL_CF | FL_IF);
    assert_int_equal(c->st.seg[SEG_CS].attr, ATTR_DB | ATTR_P | ATTR_S | ATTR_DPL | 0xB); /* the CPL's */
    assert_int_equal(c->st.seg[SEG_DS].base, 0xFFFF800000000000ull);
    assert_int_equal(c->st.gdtr.limit, 0xFFFF);
    assert_int_equal(c->st.cr0, CR0_PE | CR0_ET);
    assert_int_equal(c->st.cr2, 0xC2);
    assert_int_equal(c->st.dr6, 0xFFFF0FF0);
    assert_int_equal(c->st.dr7, 0x455);
    assert_int_equal(c->st.cr8, 5);
    assert_int_equal(c->tsc_guest_offset, 77);
    assert_int_equal(c->mmu.r.asid, 5);
    assert_true(cpu_icpt(c, ICPT_VMMCALL));
    assert_false(cpu_icpt(c, ICPT_HLT));
    /* host state in the save layout */
    assert_int_equal(g->h->rip, 0x9003);
    assert_int_equal(g->h->rax, VMCB);
    assert_int_equal(g->h->cr3, 0x100000);
    assert_int_equal(g->h->rflags, FL_ONE | FL_ZF); /* RF is not saved */

    c->st.gpr[RAX] = 0xBB;
    c->st.gpr[RBX] = 0xB0B;
    c->st.shadow = false;
    c->st.cr2 = 0xC3;
    c->next_rip = 0x1237;
    do_exit(VMEXIT_VMMCALL);
    assert_false(c->guest || c->st.gif || c->st.shadow);
    assert_int_equal(g->v->exitcode, VMEXIT_VMMCALL);
    assert_int_equal(g->v->exitinfo1, 11);
    assert_int_equal(g->v->exitinfo2, 22);
    assert_int_equal(g->v->exitintinfo, 0);
    assert_int_equal(g->v->nrip, 0x1237);
    assert_int_equal(g->v->rip, 0x1234);
    assert_int_equal(g->v->rax, 0xBB);
    assert_int_equal(g->v->cr2, 0xC3);
    assert_int_equal(g->v->int_state, 0);
    assert_int_equal(g->v->int_ctl, 5);
    assert_int_equal(g->v->ds_base, 0xFFFF800000000000ull);
    assert_int_equal(g->v->rflags, 2 | FL_CF | FL_IF);
    assert_int_equal(g->v->cpl, 3);
    assert_int_equal(c->st.rip, 0x9003);
    assert_int_equal(c->st.gpr[RAX], VMCB);
    assert_int_equal(c->st.gpr[RSP], 0x7000);
    assert_int_equal(c->st.gpr[RBX], 0xB0B);
    assert_int_equal(c->st.cr2, 0xC3);
    assert_int_equal(c->st.dr7, 0x400);
    assert_int_equal(c->st.cpl, 0);
    assert_int_equal(cpu_rflags(c), FL_ONE | FL_ZF);
    assert_int_equal(c->mmu.r.asid, 0);
    assert_false(cpu_icpt(c, ICPT_VMMCALL));
    assert_int_equal(c->svm->exits[VMEXIT_VMMCALL], 1);
    assert_int_equal(c->pending, 0);
}

static void invalid_exits(void **state)
{
    (void)state;
    struct vcpu *c = &g->c;
    g->v->asid = 0;
    g->v->cr0 |= 1ull << 32;
    g->v->eventinj = INJ_V | 0x30D;
    assert_true(svm_vmrun(c, VMCB));
    assert_false(c->guest || c->st.gif);
    assert_int_equal(g->v->exitcode, ~0ull);
    assert_int_equal(g->v->nrip, 0);
    assert_int_equal(g->v->eventinj, 0);
    assert_int_equal(c->st.rip, 0x9003);
    assert_int_equal(g->nids, 2);
    assert_string_equal(g->ids[0], "vmrun.check.asid_zero");
    assert_string_equal(g->ids[1], "vmrun.check.cr0_high");
}

static void pae_pdptes(void **state)
{
    (void)state;
    g->v->cr0 = CR0_PE | CR0_PG;
    g->v->cr4 = CR4_PAE;
    g->v->cr3 = 0x20020;
    phys_write_le(&g->c.view, (struct spa){0x20028}, 8, 0x21001 | 2);
    svm_vmrun(&g->c, VMCB);
    assert_string_equal(g->ids[0], "vmrun.check.pdpte");
    phys_write_le(&g->c.view, (struct spa){0x20028}, 8, 0x21001);
    assert_true(svm_vmrun(&g->c, VMCB));
    assert_true(g->c.guest);
    assert_int_equal(g->c.mmu.pdpte[1], 0x21001);
}

static void injection(void **state)
{
    (void)state;
    struct vcpu *c = &g->c;
    static const struct {
        u64 inj;
        u8 kind, vec;
        u64 next;
    } cases[] = {
        {0x020, EV_INTR, 0x20, 0x1234},
        {0x2FF, EV_NMI, 2, 0x1234},
        {0x30D | INJ_EV | 8ull << 32, EV_FAULT, 13, 0x1234},
        {0x303, EV_TRAP, 3, 0x1240},
        {0x480, EV_SOFT, 0x80, 0x1240},
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        g->v->eventinj = INJ_V | cases[i].inj;
        g->v->nrip = 0x1240;
        assert_false(svm_vmrun(c, VMCB));
        assert_true(c->svm->injecting);
        assert_int_equal(c->ev.kind, cases[i].kind);
        assert_int_equal(c->ev.vec, cases[i].vec);
        assert_int_equal(c->next_rip, cases[i].next);
        assert_int_equal(c->st.rip, 0x1234);
        c->svm->delivering = svm_intinfo(&c->ev); /* interrupted by an exit: the event comes back in EXITINTINFO */
        do_exit(VMEXIT_NPF);
        u64 want = cases[i].kind == EV_NMI ? INJ_V | 0x202 : INJ_V | cases[i].inj;
        assert_int_equal(g->v->exitintinfo, want);
        assert_int_equal(g->v->eventinj, 0);
        c->next_rip = 0x9003;
    }
}

static void io_map(void **state)
{
    (void)state;
    struct vcpu *c = &g->c;
    g->v->icpt_misc1 = 1u << 27 | 1u << 28;
    phys_write_le(&c->view, (struct spa){IOPM + 0x3F8 / 8}, 1, 0x80); /* port 3FFh */
    phys_write_le(&c->view, (struct spa){IOPM + 0x2000}, 1, 4);       /* bit 10002h */
    assert_true(svm_vmrun(c, VMCB));
    assert_true(svm_io_intercepted(c, 0x3FF, 1));
    assert_false(svm_io_intercepted(c, 0x400, 4));
    assert_false(svm_io_intercepted(c, 0x3FB, 4));
    assert_true(svm_io_intercepted(c, 0x3FC, 4));
    assert_true(svm_io_intercepted(c, 0x3FE, 2));
    assert_true(svm_io_intercepted(c, 0xFFFF, 4));
    assert_false(svm_io_intercepted(c, 0xFFFF, 2));
    assert_false(svm_io_intercepted(c, 0xFFFE, 4));
    c->next_rip = 0x1236;
    assert_false(
        svm_io_exit(c, &(struct svm_io){.port = 0x3F8, .width = 2, .asz = 4, .str = true, .rep = true, .seg = SEG_FS}));
    assert_int_equal(c->vx.info1, 0x3F8u << 16 | 4u << 10 | 1u << 8 | 1u << 5 | 0xC);
    assert_int_equal(c->vx.info2, 0x1236);
}

static void msr_map(void **state)
{
    (void)state;
    struct vcpu *c = &g->c;
    g->v->icpt_misc1 = 1u << 28;
    phys_write_le(&c->view, (struct spa){MSRPM + 0x174 / 4}, 1, 1);                /* read of 174h */
    phys_write_le(&c->view, (struct spa){MSRPM + 0x800 + 0x7FF}, 1, 0x80);         /* write of C0001FFFh */
    phys_write_le(&c->view, (struct spa){MSRPM + 0x1000 + 0x117 / 4}, 1, 2u << 6); /* write of C0010117h */
    assert_true(svm_vmrun(c, VMCB));
    assert_true(svm_msr_intercepted(c, 0x174, false));
    assert_false(svm_msr_intercepted(c, 0x174, true));
    assert_true(svm_msr_intercepted(c, 0xC0001FFF, true));
    assert_false(svm_msr_intercepted(c, 0xC0001FFF, false));
    assert_true(svm_msr_intercepted(c, 0xC0010117, true));
    assert_false(svm_msr_intercepted(c, 0xC0010117, false));
    assert_true(svm_msr_intercepted(c, 0x2000, false)); /* outside: always */
    assert_true(svm_msr_intercepted(c, 0xC0002000, true));
    assert_true(svm_msr_intercepted(c, 0xFFFFFFFF, true));
}

static void virtual_interrupt(void **state)
{
    (void)state;
    struct vcpu *c = &g->c;
    g->v->int_ctl = 5 | INT_CTL_V_IRQ | 5 << 16 | INT_CTL_V_INTR_MASKING;
    g->v->int_vector = 0x41;
    assert_true(svm_vmrun(c, VMCB));
    assert_true(c->v_intr_masking);
    assert_false(c->host_if);
    assert_true(c->pending & PEND_VINTR);
    assert_false(svm_vintr_due(c)); /* priority equals V_TPR */
    c->st.cr8 = 4;
    assert_true(svm_vintr_due(c));
    assert_int_equal(svm_vintr_take(c), 0x41);
    assert_false(svm_vintr_due(c) || (c->pending & PEND_VINTR));
    do_exit(VMEXIT_HLT);
    assert_int_equal(g->v->int_ctl, 4 | 5 << 16 | INT_CTL_V_INTR_MASKING);
    g->v->int_ctl |= INT_CTL_V_IRQ | INT_CTL_V_IGN_TPR | 15;
    assert_true(svm_vmrun(c, VMCB));
    assert_true(svm_vintr_due(c));
    do_exit(VMEXIT_VINTR);
    assert_true(g->v->int_ctl & INT_CTL_V_IRQ);
}

static void host_trap_and_shutdown(void **state)
{
    (void)state;
    struct vcpu *c = &g->c;
    cpu_set_rflags(c, FL_ONE | FL_TF);
    assert_true(svm_vmrun(c, VMCB));
    assert_int_equal(c->pending & PEND_TRAP, 0);
    do_exit(VMEXIT_HLT);
    assert_true(c->pending & PEND_TRAP);
    assert_int_equal(c->trap_dr6, 1 << 14);
    c->next_rip = 0x9003;
    assert_true(svm_vmrun(c, VMCB));
    g->h->cr4 |= 1ull << 50;
    do_exit(VMEXIT_HLT);
    assert_int_equal(c->st.activity, ACT_SHUTDOWN);
    assert_string_equal(g->ids[0], "vmexit.host.cr4_mbz");
}

static void overlap(void **state)
{
    (void)state;
    struct vcpu *c = &g->c;
    c->st.vm_hsave_pa = VMCB; /* the guest is then what the host saved */
    assert_true(svm_vmrun(c, VMCB));
    assert_true(c->guest);
    assert_int_equal(c->st.rip, 0x9003);
    assert_int_equal(c->st.cr3, 0x100000);
    do_exit(VMEXIT_HLT);
    assert_int_equal(c->st.rip, 0x9003);
}

static void no_memory(void **state)
{
    (void)state;
    struct vcpu *c = &g->c;
    c->st.vm_hsave_pa = 0x7FFFFFFFF000; /* holes read all ones: VMRUN fails and the host can not come back */
    assert_true(svm_vmrun(c, 0x7FFFFFFFE000));
    assert_false(c->guest);
    assert_int_equal(c->st.activity, ACT_SHUTDOWN);
}

static void rom_and_flagged(void **state)
{
    (void)state;
    struct vcpu *c = &g->c;
    union vmcb copy = *g->v;
    assert_true(bus_add_rom(g->bus, 0x400000, PAGE_SIZE, &copy, sizeof copy, "rom"));
    assert_true(svm_vmrun(c, 0x400000));
    assert_true(c->guest);
    assert_int_equal(c->st.rip, 0x1234);
    do_exit(VMEXIT_HLT); /* the stores are lost, the host still returns */
    assert_int_equal(c->st.rip, 0x9003);
    assert_memory_equal(page(0x400000), &copy, sizeof copy);
    /* a store to a page with flags clears CLEAN as any other write does */
    struct phys_page p;
    assert_true(phys_lookup(&c->view, (struct spa){HSAVE}, &p));
    page_flags_set(g->bus, p.bpn, PGF_CLEAN);
    c->next_rip = 0x9006;
    assert_true(svm_vmrun(c, VMCB));
    assert_int_equal(page_flags_get(g->bus, p.bpn) & PGF_CLEAN, 0);
    assert_int_equal(g->h->rip, 0x9006);
}

static void vmload_vmsave(void **state)
{
    (void)state;
    struct vcpu *c = &g->c;
    union vmcb *v = page(0x30000);
    v->fs_sel = 0x53;
    v->fs_attr = 0xF0F3;
    v->fs_limit = 7;
    v->fs_base = 0x0000900000000000ull;
    v->tr_sel = 0x40;
    v->tr_attr = 0x8B;
    v->tr_base = 0x77;
    v->kernel_gs_base = 0x800000000000ull;
    v->star = 1;
    v->lstar = 2;
    v->cstar = 3;
    v->sfmask = 4;
    v->sysenter_cs = 5;
    v->sysenter_esp = 6;
    v->sysenter_eip = 7;
    assert_true(svm_vmload(c, 0x30000));
    assert_int_equal(c->st.seg[SEG_FS].base, 0xFFFF900000000000ull);
    assert_int_equal(c->st.seg[SEG_FS].attr, 0xF3);
    assert_int_equal(c->st.kernel_gs_base, 0xFFFF800000000000ull);
    assert_int_equal(c->st.sysenter_eip, 7);
    union vmcb *w = page(0x31000);
    memset(w, 0x5A, sizeof *w);
    assert_true(svm_vmsave(c, 0x31000));
    assert_int_equal(w->tr_sel, 0x40);
    assert_int_equal(w->star, 1);
    assert_int_equal(w->sysenter_eip, 7);
    for (unsigned i = 0; i < PAGE_SIZE; i++) { /* nothing else is touched */
        bool moved = (i >= 0x440 && i < 0x460) || (i >= 0x470 && i < 0x480) || (i >= 0x490 && i < 0x4A0) ||
                     (i >= 0x600 && i < 0x640);
        if (!moved)
            assert_int_equal(w->raw[i], 0x5A);
    }
}

static unsigned hooked;
static void count(void *ctx, struct vcpu *c, const struct svm_record *r)
{
    (void)ctx;
    (void)c;
    hooked += r->entry ? 1 : 0x100;
    assert_int_equal(r->vmcb_pa, VMCB);
}

static void hooks(void **state)
{
    (void)state;
    g->c.svm->hooks = (struct svm_hooks){NULL, count, count};
    hooked = 0;
    svm_vmrun(&g->c, VMCB);
    do_exit(VMEXIT_HLT);
    assert_int_equal(hooked, 0x101);
}

static void paging_switch(void **state)
{
    (void)state;
    struct vcpu *c = &g->c;
    g->v->np_ctl = 1;
    g->v->n_cr3 = 0x40000;
    g->v->g_pat = 0x0606060606060606;
    g->v->cpl = 3;
    g->v->cr0 = 0; /* real mode: CPL 0 */
    assert_true(svm_vmrun(c, VMCB));
    assert_int_equal(c->st.cpl, 0);
    assert_true(c->mmu.r.nested);
    assert_int_equal(c->mmu.r.ncr3, 0x40000);
    assert_int_equal(c->mmu.r.hcr0 & CR0_PG, CR0_PG);
    assert_int_equal(c->mmu.r.hefer & EFER_LMA, EFER_LMA);
    assert_int_equal(c->st.pat, 0x0606060606060606);
    c->st.pat = 0x0101010101010101;
    do_exit(VMEXIT_HLT);
    assert_int_equal(g->v->g_pat, 0x0101010101010101);
    assert_int_equal(c->st.pat, 0x0007040600070406);
    assert_false(c->mmu.r.nested);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(int argc, char **argv)
{
    if (argc > 1) { /* rounds to time by hand */
        long n = atol(argv[1]);
        setup(NULL);
        for (u32 clean = 0; clean < 2; clean++) {
            g->v->clean = clean ? ~0u : 0;
            clock_t t0 = clock();
            for (long i = 0; i < n; i++) {
                g->c.next_rip = 0x9003;
                svm_vmrun(&g->c, VMCB);
                do_exit(VMEXIT_VMMCALL);
            }
            printf("%.1f ns a round, clean bits %x\n", 1e9 * (double)(clock() - t0) / CLOCKS_PER_SEC / (double)n, g->v->clean);
        }
        return teardown(NULL);
    }
    const struct CMUnitTest tests[] = {
        T(round_trip), T(invalid_exits), T(pae_pdptes),        T(injection),
        T(io_map),     T(msr_map),       T(virtual_interrupt), T(host_trap_and_shutdown),
        T(overlap),    T(no_memory),     T(rom_and_flagged),   T(vmload_vmsave),
        T(hooks),      T(paging_switch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
