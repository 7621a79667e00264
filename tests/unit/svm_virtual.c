// SPDX-License-Identifier: MIT
/* Features of later generations in running guests: virtual NMI and GIF, pause filter, idle HLT, bus lock threshold, LBR virtualization,
 * TSC ratio, SPEC_CTRL, INVLPGB, MCOMMIT. */
#include "svm_events.h"

static void vnmi(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, "max", 1);
    w.v->icpt_misc1 |= 2;
    w.v->int_ctl = INT_CTL_V_NMI_ENABLE | INT_CTL_V_NMI;
    CODE(&w, GUEST, "\x90\x90\xF4");
    again(&w, 50);
    assert_int_equal(w.v->exitcode, VMEXIT_HLT);
    assert_int_equal(w.v->rip, GHAND + 32); /* before the first NOP */
    assert_int_equal(w.v->int_ctl, INT_CTL_V_NMI_ENABLE | INT_CTL_V_NMI_MASK);
    /* masked: it waits, whatever the guest does but IRET */
    w.v->int_ctl |= INT_CTL_V_NMI;
    w.v->rip = GUEST;
    again(&w, 50);
    assert_int_equal(w.v->rip, GUEST + 2);
    assert_int_equal(w.v->int_ctl, INT_CTL_V_NMI_ENABLE | INT_CTL_V_NMI_MASK | INT_CTL_V_NMI);
    /* IRET out of the first takes the second at once */
    CODE(&w, GHAND + 32, "\x41\x80\xF9\x02\x74\x01\xCF\xF4"); /* INC ECX; CMP CL, 2; JE +1; IRET; HLT */
    w.v->int_ctl = INT_CTL_V_NMI_ENABLE | INT_CTL_V_NMI;
    w.v->rip = GUEST;
    w.v->rsp = GSTACK;
    w.c->st.gpr[RCX] = 0;
    again(&w, 3);
    w.c->svm->int_ctl |= INT_CTL_V_NMI; /* another one while the first is in its handler */
    run(&w, 50);
    assert_int_equal(w.c->st.gpr[RCX], 2);
    assert_int_equal(w.v->rip, GHAND + 32 + 7);
    /* a shadow holds it for one instruction */
    CODE(&w, GHAND + 32, "\xF4");
    w.v->int_ctl = INT_CTL_V_NMI_ENABLE | INT_CTL_V_NMI;
    w.v->int_state = 1;
    w.v->rip = GUEST;
    w.v->rsp = GSTACK;
    again(&w, 50);
    u32 pushed;
    svmemu_mem_read(w.m, GSTACK - 12, &pushed, 4);
    assert_int_equal(pushed, GUEST + 1);
    /* an injected NMI sets the mask */
    w.v->int_ctl = INT_CTL_V_NMI_ENABLE;
    w.v->eventinj = INJ_V | 2 << 8;
    w.v->rip = GUEST;
    again(&w, 50);
    assert_int_equal(w.v->int_ctl, INT_CTL_V_NMI_ENABLE | INT_CTL_V_NMI_MASK);
    world_close(&w);
}

/* The exit comes while the NMI is being delivered: mask 0, the NMI in EXITINTINFO. */
static void vnmi_interrupted(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, "max", 1);
    w.v->icpt_misc1 |= 2;
    w.v->icpt_exc = 1u << EXC_GP;
    w.v->idtr_limit = 7;
    w.v->int_ctl = INT_CTL_V_NMI_ENABLE | INT_CTL_V_NMI;
    again(&w, 50);
    assert_int_equal(w.v->exitcode, VMEXIT_EXCP0 + EXC_GP);
    assert_int_equal(w.v->exitintinfo, INJ_V | 0x202);
    assert_int_equal(w.v->int_ctl, INT_CTL_V_NMI_ENABLE);
    world_close(&w);
}

static void no_vnmi(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, "zen3", 1);
    w.v->int_ctl = INT_CTL_V_NMI_ENABLE | INT_CTL_V_NMI;
    CODE(&w, GUEST, "\x90\xF4");
    again(&w, 50);
    assert_int_equal(w.v->rip, GUEST + 1);
    assert_int_equal(w.v->int_ctl, INT_CTL_V_NMI_ENABLE | INT_CTL_V_NMI); /* not the processor's bits */
    world_close(&w);
}

static void vgif(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, "zen3", 1);
    /* STGI; CLGI; HLT with the virtual GIF: the real one stays set */
    CODE(&w, GUEST, "\x0F\x01\xDC\x0F\x01\xDD\x90\xF4");
    w.v->int_ctl = INT_CTL_V_GIF_ENABLE;
    again(&w, 2);
    assert_true(w.c->svm->int_ctl & INT_CTL_V_GIF);
    run(&w, 2);
    assert_false(w.c->svm->int_ctl & INT_CTL_V_GIF);
    assert_true(w.c->guest && w.c->st.gif);
    run(&w, 9);
    assert_int_equal(w.v->int_ctl, INT_CTL_V_GIF_ENABLE);
    /* V_GIF = 0 holds a virtual interrupt until STGI */
    CODE(&w, GUEST, "\x90\x90\x0F\x01\xDC\x90\xF4");
    w.v->int_ctl = INT_CTL_V_GIF_ENABLE | INT_CTL_V_IRQ | 1u << 16;
    w.v->int_vector = 0x40;
    w.v->rflags = 2 | FL_IF;
    w.v->rip = GUEST;
    again(&w, 50);
    assert_int_equal(w.v->rip, GHAND + 16 * 0x40);
    u32 pushed;
    svmemu_mem_read(w.m, GSTACK - 12, &pushed, 4);
    assert_int_equal(pushed, GUEST + 5);
    assert_int_equal(w.v->int_ctl, INT_CTL_V_GIF_ENABLE | INT_CTL_V_GIF | 1u << 16);
    /* the intercept bit wins */
    w.v->icpt_misc2 |= 1u << 4;
    w.v->int_ctl = INT_CTL_V_GIF_ENABLE;
    w.v->rip = GUEST + 2;
    again(&w, 50);
    assert_int_equal(w.v->exitcode, VMEXIT_STGI);
    /* without the feature the guest's CLGI is the real one */
    world_close(&w);
    world_open(&w, "barcelona", 1);
    CODE(&w, GUEST, "\x0F\x01\xDD\xF4");
    w.v->int_ctl = INT_CTL_V_GIF_ENABLE;
    again(&w, 2);
    assert_true(w.c->guest);
    assert_false(w.c->st.gif);
    world_close(&w);
}

/* PAUSE; INC ECX; JMP: ECX counts those that did not exit. */
static u64 pauses(const char *cpu, u16 count, u16 threshold, const char *body, size_t n)
{
    struct world w;
    world_open(&w, cpu, 1);
    put(&w, GUEST, body, n);
    w.v->icpt_misc1 |= 1u << 23;
    w.v->pause_count = count;
    w.v->pause_thresh = threshold;
    again(&w, 400);
    u64 done = w.c->guest ? ~0ull : w.c->st.gpr[RCX];
    if (!w.c->guest) {
        assert_int_equal(w.v->exitcode, VMEXIT_PAUSE);
        assert_int_equal(w.v->pause_count, count); /* not written back */
    }
    world_close(&w);
    return done;
}

static void pause_filter(void **state)
{
    static const char near_[] = "\xF3\x90\x41\xEB\xFB";
    static const char far_[] = "\xF3\x90\x41\xB8\x14\x00\x00\x00\x48\x75\xFD\xEB\xF3"; /* 20 rounds of DEC, JNZ between */
    (void)state;
    assert_int_equal(pauses("zen3", 0, 0, near_, sizeof near_ - 1), 0);
    assert_int_equal(pauses("zen3", 3, 0, near_, sizeof near_ - 1), 3);
    assert_int_equal(pauses("zen3", 3, 60000, near_, sizeof near_ - 1), 3);
    assert_int_equal(pauses("zen3", 3, 1, far_, sizeof far_ - 1), ~0ull); /* far apart: the counter starts again each time */
    assert_int_equal(pauses("zen3", 3, 60000, far_, sizeof far_ - 1), 3);
    assert_int_equal(pauses("barcelona", 3, 0, near_, sizeof near_ - 1), 0); /* no filter there: every one */
}

static void idle_hlt(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, "max", 1);
    CODE(&w, GUEST, "\xF4");
    w.v->icpt_misc1 = 0;
    w.v->icpt_misc3 = 1u << 6;
    again(&w, 50);
    assert_int_equal(w.v->exitcode, 0xA6);
    assert_int_equal(w.v->rip, GUEST);
    w.v->int_ctl = INT_CTL_V_IRQ; /* pending, though not deliverable: the processor waits in the guest */
    again(&w, 50);
    assert_true(w.c->guest);
    assert_int_equal(w.c->st.activity, ACT_HLT);
    world_close(&w);
    world_open(&w, "max", 1); /* the HLT intercept wins */
    CODE(&w, GUEST, "\xF4");
    w.v->icpt_misc3 = 1u << 6;
    again(&w, 50);
    assert_int_equal(w.v->exitcode, VMEXIT_HLT);
    world_close(&w);
    world_open(&w, "zen3", 1);
    CODE(&w, GUEST, "\xF4");
    w.v->icpt_misc1 = 0;
    w.v->icpt_misc3 = 1u << 6;
    again(&w, 50);
    assert_true(w.c->guest);
    world_close(&w);
}

static void bus_lock(void **state)
{
    /* LOCK INC [DATA+3Eh] is split; LOCK INC [DATA] and INC [DATA+3Eh] are not bus locks; XCHG locks by itself */
    static const char code[] = "\xF0\xFF\x05\x3E\xD0\x00\x00\xF0\xFF\x05\x00\xD0\x00\x00\xFF\x05\x3E\xD0\x00\x00"
                               "\x87\x05\x7E\xD0\x00\x00\xF0\xFF\x05\xBE\xD0\x00\x00\xF4";
    struct world w;
    (void)state;
    world_open(&w, "max", 1);
    /* write-back memory, or every lock would be one */
    w.c->st.mtrr_def_type = 0x806;
    cpu_update_mode(w.c);
    put(&w, GUEST, code, sizeof code - 1);
    w.v->icpt_misc3 = 1u << 5;
    w.v->bus_lock_count = 2;
    again(&w, 50);
    assert_int_equal(w.v->exitcode, 0xA5);
    assert_int_equal(w.v->rip, GUEST + 26);
    assert_int_equal(w.v->nrip, 0);
    assert_int_equal(w.v->bus_lock_count, 0);
    u32 x;
    svmemu_mem_read(w.m, DATA + 0xBE, &x, 4);
    assert_int_equal(x, 0); /* before the access */
    svmemu_mem_read(w.m, DATA + 0x3E, &x, 4);
    assert_int_equal(x, 2);
    w.v->bus_lock_count = 5;
    again(&w, 50);
    assert_int_equal(w.v->exitcode, VMEXIT_HLT);
    assert_int_equal(w.v->bus_lock_count, 4);
    world_close(&w);
}

static void lbr(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, "zen3", 1);
    /* 0: JMP +2; 4: CALL +1; 9: HLT; A: JZ taken +1 ... ; last: UD2 */
    CODE(&w, GUEST, "\xEB\x02\x90\x90\xE8\x01\x00\x00\x00\xF4\x31\xC0\x74\x01\x90\x75\x01\x0F\x0B");
    w.c->st.debugctl = 0;
    w.c->st.br_from = 0x111;
    w.v->virt_ext = 1;
    w.v->dbgctl = 1;
    again(&w, 2); /* VMRUN, JMP */
    assert_int_equal(w.c->st.br_from, GUEST);
    assert_int_equal(w.c->st.br_to, GUEST + 4);
    run(&w, 1);
    assert_int_equal(w.c->st.br_from, GUEST + 4);
    assert_int_equal(w.c->st.br_to, GUEST + 10);
    run(&w, 50); /* XOR; JZ taken; JNZ not taken; UD2 -> handler's HLT */
    assert_int_equal(w.v->exitcode, VMEXIT_HLT);
    assert_int_equal(w.v->rip, GHAND + 16 * 6);
    assert_int_equal(w.v->last_excp_from, GUEST + 12);
    assert_int_equal(w.v->last_excp_to, GUEST + 15);
    assert_int_equal(w.v->br_from, GUEST + 17);
    assert_int_equal(w.v->br_to, GHAND + 16 * 6);
    assert_int_equal(w.v->dbgctl, 1);
    assert_int_equal(w.c->st.br_from, 0x111); /* the host's are back */
    assert_int_equal(w.c->st.debugctl, 0);
    /* a #DB turns recording off and does not record itself */
    w.v->rip = GUEST;
    w.v->rsp = GSTACK;
    w.v->rflags = 2 | FL_TF;
    again(&w, 50);
    assert_int_equal(w.v->rip, GHAND + 16);
    assert_int_equal(w.v->dbgctl, 0);
    assert_int_equal(w.v->br_from, GUEST);
    /* without virtualization the guest records into the host's registers and VMRUN loads none */
    w.v->virt_ext = 0;
    w.v->br_from = 0x222;
    w.v->rflags = 2;
    w.v->rip = GUEST;
    w.v->rsp = GSTACK;
    w.c->st.debugctl = 1;
    again(&w, 2);
    assert_int_equal(w.c->st.br_from, GUEST);
    run(&w, 50);
    assert_int_equal(w.v->br_from, 0x222);
    assert_int_equal(w.c->st.debugctl, 1);
    world_close(&w);
}

/* DEBUGCTL.BTF: TF traps after taken branches only. */
static void branch_step(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, "zen3", 1);
    CODE(&w, GUEST, "\x90\x90\xEB\x01\x90\xF4");
    w.v->virt_ext = 1;
    w.v->dbgctl = 2;
    w.v->rflags = 2 | FL_TF;
    again(&w, 50);
    assert_int_equal(w.v->rip, GHAND + 16);
    u32 pushed;
    svmemu_mem_read(w.m, GSTACK - 12, &pushed, 4);
    assert_int_equal(pushed, GUEST + 5);
    assert_int_equal(w.v->dr6 & 0x4000, 0x4000);
    assert_int_equal(w.v->dbgctl, 0);
    world_close(&w);
}

static void tsc_ratio(void **state)
{
    struct world w;
    u64 host, guest, mperf;
    (void)state;
    world_open(&w, "zen3", 1);
    assert_int_not_equal(svmemu_msr_write(w.m, 0, 0xC0000104, 1ull << 40), SVMEMU_OK); /* 63:40 */
    assert_int_equal(svmemu_msr_write(w.m, 0, 0xC0000104, 0x180000000ull), SVMEMU_OK); /* 1.5 */
    CODE(&w, GUEST, "\x90\xF4");
    w.v->tsc_offset = 1000;
    w.c->st.tsc_offset = 1ull << 40;
    again(&w, 2);
    assert_true(w.c->guest);
    guest = cpu_tsc(w.c);
    msr_read(w.c, 0xE7, &mperf);
    w.c->guest = false;
    host = cpu_tsc(w.c);
    assert_int_equal(guest, host + host / 2 + 1000);
    assert_int_equal(mperf, (host - (1ull << 40)) * 3 / 2);
    world_close(&w);
}

static void spec_ctrl(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, "zen3", 1);
    CODE(&w, GUEST, "\xB9\x48\x00\x00\x00\x0F\x32\x89\xC3\xB8\x04\x00\x00\x00\x0F\x30\xF4"); /* RDMSR 48h to EBX; WRMSR 4 */
    w.c->st.spec_ctrl = 1;
    w.v->spec_ctrl = 2;
    again(&w, 50);
    assert_int_equal(w.c->st.gpr[RBX], 2);
    assert_int_equal(w.v->spec_ctrl, 4);
    assert_int_equal(w.c->st.spec_ctrl, 1);
    world_close(&w);
    world_open(&w, "zen1", 1); /* no such field: the register is shared */
    w.c->st.spec_ctrl = 1;
    w.v->spec_ctrl = 2;
    CODE(&w, GUEST, "\xF4");
    again(&w, 50);
    assert_int_equal(w.v->spec_ctrl, 2);
    assert_int_equal(w.c->st.spec_ctrl, 1);
    world_close(&w);
}

static void mcommit(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, "zen3", 1);
    CODE(&w, GUEST, "\xF3\x0F\x01\xFA\xF4");
    again(&w, 50);
    assert_int_equal(w.v->rip, GHAND + 16 * 6); /* #UD without EFER.MCOMMIT */
    w.v->efer |= EFER_MCOMMIT;
    w.v->rip = GUEST;
    again(&w, 50);
    assert_int_equal(w.v->rip, GUEST + 4);
    assert_true(w.v->rflags & FL_CF);
    w.v->icpt_misc3 = 1u << 3;
    w.v->rip = GUEST;
    again(&w, 50);
    assert_int_equal(w.v->exitcode, 0xA3);
    world_close(&w);
}

static void invlpgb_guest(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, "zen3", 1);
    CODE(&w, GUEST, "\x0F\x01\xFE\x0F\x01\xFF\xF4"); /* INVLPGB; TLBSYNC; HLT */
    w.c->st.gpr[RCX] = w.c->st.gpr[RDX] = 0;
    w.v->rax = 1;
    again(&w, 50);
    assert_int_equal(w.v->rip, GHAND + 16 * 6); /* #UD: not enabled */
    w.v->np_ctl = 1u << 7;
    w.v->rip = GUEST;
    w.v->rax = 1;
    again(&w, 50);
    assert_int_equal(w.v->rip, GUEST + 6);
    w.v->icpt_misc3 = 1u << 4;
    w.v->rip = GUEST;
    again(&w, 50);
    assert_int_equal(w.v->exitcode, 0xA4);
    w.v->icpt_misc3 = 2; /* INVLPGB_ILLEGAL: another ASID is none of the guest's business */
    w.v->rip = GUEST;
    w.v->rax = 4;
    w.c->st.gpr[RDX] = 2;
    again(&w, 50);
    assert_int_equal(w.v->exitcode, 0xA1);
    w.v->icpt_misc3 = 0;
    w.v->rax = 4;
    again(&w, 50);
    assert_int_equal(w.v->rip, GHAND + 16 * 13);
    w.v->icpt_misc3 = 1;
    w.v->rip = GUEST;
    again(&w, 50);
    assert_int_equal(w.v->exitcode, 0xA0);
    world_close(&w);
}

/* A host vCPU's INVLPGB drops the translation that another vCPU holds, of the ASID and page named and of no other. */
static void invlpgb_broadcast(void **state)
{
    struct world w;
    struct mmu_xl xl;
    struct mmu_fault f;
    (void)state;
    world_open(&w, "zen3", 2);
    struct vcpu *b = w.m->cpu[1];
    u32 pd = 0x100000 | 3, pte[3] = {0x20003, 0x21003, 0};
    put(&w, 0x1F000, &pd, 4);
    put(&w, 0x100000, pte, sizeof pte);
    b->st.cr0 = CR0_PE | CR0_PG | CR0_ET;
    b->st.cr3 = 0x1F000;
    cpu_update_mode(b);
    for (u64 a = 0; a < 0x2000; a += 0x1000)
        assert_true(mmu_translate(&b->mmu, (struct gva){a}, ACC_R, &xl, &f));
    pte[0] += 0x10000, pte[1] += 0x10000;
    put(&w, 0x100000, pte, sizeof pte);
    assert_true(mmu_translate(&b->mmu, (struct gva){0}, ACC_R, &xl, &f));
    assert_int_equal(xl.spa.v, 0x20000); /* stale, as on silicon */
    CODE(&w, HOST, "\x0F\x01\xFE\xF4");
    w.c->st.gpr[RAX] = 5; /* page 0, ASID valid */
    w.c->st.gpr[RCX] = 0;
    w.c->st.gpr[RDX] = 1; /* another ASID */
    run(&w, 1);
    assert_true(mmu_translate(&b->mmu, (struct gva){0}, ACC_R, &xl, &f));
    assert_int_equal(xl.spa.v, 0x20000);
    w.c->st.rip = HOST;
    w.c->st.gpr[RDX] = 0;
    run(&w, 1);
    assert_true(mmu_translate(&b->mmu, (struct gva){0}, ACC_R, &xl, &f));
    assert_int_equal(xl.spa.v, 0x30000);
    assert_true(mmu_translate(&b->mmu, (struct gva){0x1000}, ACC_R, &xl, &f));
    assert_int_equal(xl.spa.v, 0x21000);
    w.c->st.rip = HOST;
    w.c->st.gpr[RCX] = 1; /* two pages */
    run(&w, 1);
    assert_true(mmu_translate(&b->mmu, (struct gva){0x1000}, ACC_R, &xl, &f));
    assert_int_equal(xl.spa.v, 0x31000);
    world_close(&w);
}

/* What INVLPGB names by global and PCID, from entries of three kinds on the page named: what it must drop, and what a processor keeps. */
static void invlpgb_kinds(void **state)
{
    enum { VA = 1, PCID = 2, ASID = 4, GLOBAL = 8, NONE = 0, OURS = 1, OTHERS = 2, GLOBALS = 4, NEXT = 8, ALL = 15 };
    static const struct { unsigned rax, drops; } row[] = {
        { VA | ASID, OURS | OTHERS },
        { VA | ASID | GLOBAL, OURS | OTHERS | GLOBALS },
        { VA | ASID | PCID, OURS },
        { VA | ASID | PCID | GLOBAL, OURS | GLOBALS },
        { ASID, OURS | OTHERS | NEXT },
        { ASID | GLOBAL, ALL },
        { ASID | PCID, OURS | NEXT },
    };
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(row); i++) {
        struct world w;
        struct mmu_xl xl;
        struct mmu_fault f;
        unsigned dropped = 0;
        world_open(&w, "zen3", 2);
        struct vcpu *b = w.m->cpu[1];
        /* Page 0 by PCIDs 5 and 6; page 1000h by PCID 5; page 2000h is global and named in a run of its own. */
        static const struct { u16 pcid; u64 lin; unsigned kind; } entry[] = { { 5, 0, OURS }, { 6, 0, OTHERS }, { 5, 0x2000, GLOBALS }, { 5, 0x1000, NEXT } };
        for (unsigned pass = 0; pass < 3; pass++) { /* fill; INVLPGB of page 0, then of page 2000h; look */
            u64 at = pass == 2 ? 0x40000 : 0x20000, tables[2] = { 0x100000 | 7, 0x101000 | 7 };
            u64 pte[3] = { at | 7, (at + 0x1000) | 7, (at + 0x2000) | 0x107 };
            put(&w, 0x1F000, &tables[0], 8), put(&w, 0x100000, &tables[1], 8);
            u64 pd = 0x102000 | 7;
            put(&w, 0x101000, &pd, 8), put(&w, 0x102000, pte, sizeof pte);
            if (pass == 1) {
                for (unsigned page = 0; page <= 0x2000; page += 0x2000) {
                    CODE(&w, HOST, "\x0F\x01\xFE\xF4");
                    w.c->st.rip = HOST;
                    w.c->st.gpr[RAX] = row[i].rax | (row[i].rax & VA ? page : 0);
                    w.c->st.gpr[RCX] = 0;
                    w.c->st.gpr[RDX] = 5 << 16;
                    run(&w, 1);
                }
                continue;
            }
            for (unsigned k = 0; k < ARRAY_LEN(entry); k++) {
                b->st.cr0 = CR0_PE | CR0_PG | CR0_ET | CR0_WP;
                b->st.efer = EFER_LME | EFER_LMA;
                b->st.cr4 = CR4_PAE | CR4_PGE | CR4_PCIDE;
                b->st.cr3 = 0x1F000 | entry[k].pcid;
                cpu_update_mode(b);
                assert_true(mmu_translate(&b->mmu, (struct gva){entry[k].lin}, ACC_R, &xl, &f));
                if (xl.spa.v >> 16 == 4)
                    dropped |= entry[k].kind;
            }
        }
        if (dropped != row[i].drops)
            fail_msg("rAX %x: dropped %x, expected %x", row[i].rax, dropped, row[i].drops);
        world_close(&w);
    }
}

#define T(f) cmocka_unit_test(f)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(vnmi), T(vnmi_interrupted), T(no_vnmi), T(vgif), T(pause_filter), T(idle_hlt), T(bus_lock), T(lbr), T(branch_step), T(tsc_ratio),
        T(spec_ctrl), T(mcommit), T(invlpgb_guest), T(invlpgb_broadcast), T(invlpgb_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
