// SPDX-License-Identifier: MIT
/* AVIC beyond single register accesses (those stand in tests/data/intercept_cells.txt): which interrupt is delivered when, what VMRUN looks
 * at, how the page is found, widths and repeated accesses, doorbells between two processors. [APM2 15.29] */
#define _POSIX_C_SOURCE 200809L /* strtok_r */
#include "svm_guest.h"

static const char *const profiles[] = {"zen1", "max"};

/* As in the matrix: the guest's APIC at 50000h, backing page B000h, logical ids C000h, physical ids D000h. */
#define AVIC                                                                                                           \
    "np_ctl=1 avic_enable avic_apic_bar=50000 avic_backing_page=B000 avic_logical_table=C000 avic_physical_table=D003 mem8:D000=C00000000000B000 "
enum { PAGE = 0xB000, HANDLER_55 = HANDLERS + 0x55 * HANDLER_SIZE };

static u8 isr_bit(struct lab *l, u8 v) { return lab_get(l, PAGE + 0x100 + (v >> 5) * 16u, 4) >> (v & 31) & 1; }
static u8 irr_bit(struct lab *l, u8 v) { return lab_get(l, PAGE + 0x200 + (v >> 5) * 16u, 4) >> (v & 31) & 1; }

static void go(struct lab *l, const char *code, size_t n, const char *words)
{
    lab_mode(l, "64");
    lab_write(l, CODE, code, n);
    if (!lab_words(l, words, 0))
        fail_msg("%s", l->error);
    lab_run(l);
    assert_true(l->exited);
}
#define GO(l, code, words) go(l, code, sizeof(code) - 1, words)
#define ENDS "\x0F\x01\xD9" /* vmmcall */

/* ---- which interrupt, when ---- */

static const struct {
    const char *what, *words;
    unsigned vec; /* delivered before the first instruction; 0: none */
    u8 ppr;       /* in the page afterwards */
} requests[] = {
    {"one", "mem4:B220=200000 rflags+=200", 0x55, 0x50},
    {"IF clear", "mem4:B220=200000", 0, 0},
    {"interrupt shadow: behind the first instruction", "mem4:B220=200000 rflags+=200 int_state=1", 0, 0x00},
    {"the highest of three", "mem4:B220=200002 mem4:B270=10000000 rflags+=200", 0xFC, 0xF0},
    {"vectors below 16 do not exist", "mem4:B200=8000 rflags+=200", 0, 0},
    {"class equal to V_TPR", "mem4:B220=200000 v_tpr=5 rflags+=200", 0, 0x50},
    {"class above V_TPR", "mem4:B220=200000 v_tpr=4 rflags+=200", 0x55, 0x50},
    {"the page's TPR does not decide", "mem4:B220=200000 mem4:B080=F0 rflags+=200", 0x55, 0x50},
    {"class equal to the one in service", "mem4:B220=200000 mem4:B120=10000 rflags+=200", 0, 0x50},
    {"class above the one in service", "mem4:B220=200000 mem4:B120=1 rflags+=200", 0x55, 0x50},
    {"V_IRQ and V_INTR_VECTOR are ignored", "v_irq v_ign_tpr int_vector=77 rflags+=200", 0, 0},
    {"host interrupts off do not matter", "mem4:B220=200000 rflags+=200 v_intr_masking", 0x55, 0x50},
};

static void priorities(void **state)
{
    (void)state;
    for (unsigned p = 0; p < ARRAY_LEN(profiles); p++) {
        struct lab l;
        lab_create(&l, profiles[p], false);
        for (unsigned i = 0; i < ARRAY_LEN(requests); i++) {
            char words[512];
            unsigned vec = requests[i].vec;
            snprintf(words, sizeof words, AVIC "%s", requests[i].words);
            GO(&l, ENDS, words);
            if (l.out.exitcode != VMEXIT_VMMCALL || l.out.rip != (vec ? HANDLERS + vec * HANDLER_SIZE : CODE) ||
                lab_get(&l, PAGE + 0xA0, 4) != requests[i].ppr)
                fail_msg("%s, %s: exit %llx rip %llx ppr %llx", profiles[p], requests[i].what, (unsigned long long)l.out.exitcode,
                         (unsigned long long)l.out.rip, (unsigned long long)lab_get(&l, PAGE + 0xA0, 4));
            if (vec) {
                assert_int_equal(irr_bit(&l, (u8)vec), 0);
                assert_int_equal(isr_bit(&l, (u8)vec), 1);
            }
        }
        lab_destroy(&l);
    }
}

static void sequences(void **state)
{
    (void)state;
    for (unsigned p = 0; p < ARRAY_LEN(profiles); p++) {
        struct lab l;
        lab_create(&l, profiles[p], false);
        /* sti; nop; vmmcall: the shadow of STI, then before VMMCALL */
        GO(&l, "\xFB\x90" ENDS, AVIC "mem4:B220=200000");
        assert_int_equal(l.out.rip, HANDLER_55);
        assert_int_equal(lab_get(&l, l.out.rsp, 8), CODE + 2);
        /* mov cr8, rax lowers the threshold: delivered behind it */
        GO(&l, "\x44\x0F\x22\xC0" ENDS, AVIC "mem4:B220=200000 v_tpr=9 rax=4 rflags+=200");
        assert_int_equal(l.out.rip, HANDLER_55);
        assert_int_equal(lab_get(&l, l.out.rsp, 8), CODE + 4);
        /* and raises it: no longer */
        GO(&l, "\x44\x0F\x22\xC0\xFB\x90\x90" ENDS, AVIC "mem4:B220=200000 rax=5");
        assert_int_equal(l.out.rip, CODE + 7);
        assert_int_equal(lab_get(&l, PAGE + 0x80, 4), 0x50);
        /* mov [EOI], eax ends 60h; 55h waits behind it */
        GO(&l, "\x89\x04\x25\xB0\x00\x05\x00" ENDS, AVIC "mem4:B220=200000 mem4:B130=1 rflags+=200");
        assert_int_equal(l.out.rip, HANDLER_55);
        assert_int_equal(isr_bit(&l, 0x60), 0);
        /* EOI with nothing in service */
        GO(&l, "\x89\x04\x25\xB0\x00\x05\x00" ENDS, AVIC);
        assert_int_equal(l.out.rip, CODE + 7);
        /* hlt: a request that is there wakes at once */
        GO(&l, "\xFB\xF4" ENDS, AVIC "mem4:B220=200000");
        assert_int_equal(l.out.rip, HANDLER_55);
        assert_int_equal(lab_get(&l, l.out.rsp, 8), CODE + 2);
        /* the VINTR intercept sees it when it would be taken; the request stays */
        GO(&l, "\x90" ENDS, AVIC "mem4:B220=200000 rflags+=200 icpt_misc1=10");
        assert_int_equal(l.out.exitcode, VMEXIT_VINTR);
        assert_int_equal(irr_bit(&l, 0x55), 1);
        /* an injected event comes first, whatever IRR holds */
        GO(&l, ENDS, AVIC "mem4:B220=200000 rflags+=200 eventinj=80000020");
        assert_int_equal(l.out.rip, HANDLERS + 0x20 * HANDLER_SIZE);
        assert_int_equal(irr_bit(&l, 0x55), 1);
        /* a fault while it is delivered: EXITINTINFO has it, IRR no longer */
        GO(&l, ENDS, AVIC "mem4:B220=200000 rflags+=200 mem1:2555=6E");
        assert_int_equal(l.out.exitcode, VMEXIT_EXCP0 + EXC_NP);
        assert_int_equal(l.out.exitintinfo, INJ_V | 0x055);
        assert_int_equal(isr_bit(&l, 0x55), 1);
        /* virtual GIF holds it */
        GO(&l, "\x90" ENDS, AVIC "mem4:B220=200000 rflags+=200 v_gif_enable");
        assert_int_equal(l.out.rip, CODE + 1);
        GO(&l, "\x90" ENDS, AVIC "mem4:B220=200000 rflags+=200 v_gif_enable v_gif");
        assert_int_equal(l.out.rip, HANDLER_55);
        lab_destroy(&l);
    }
}

/* ---- the page ---- */

static void page(void **state)
{
    (void)state;
    for (unsigned off = 0; off < 2; off++) { /* blocks on and off */
        struct lab l;
        lab_create(&l, "max", off);
        /* nested tables map 0-1FFFFFh by one large page: APIC_BAR is found in it, its neighbours are memory */
        GO(&l, "\x8B\x04\x25\x00\xF0\x04\x00\x8B\x0C\x25\x30\x00\x05\x00\x8B\x14\x25\x00\x10\x05\x00" ENDS,
           AVIC "mem8:112000=87 mem4:4F000=1111 mem4:B030=2222 mem4:50030=3333 mem4:51000=4444");
        assert_int_equal(l.out.exitcode, VMEXIT_VMMCALL);
        assert_int_equal(l.gpr[RAX], 0x1111);
        assert_int_equal(l.gpr[RCX], 0x2222);
        assert_int_equal(l.gpr[RDX], 0x4444);
        /* not present in the nested tables: NPF, though the address there would not be used */
        GO(&l, "\x8B\x04\x25\x30\x00\x05\x00" ENDS, AVIC "mem8:113280=0");
        assert_int_equal(l.out.exitcode, VMEXIT_NPF);
        assert_int_equal(l.out.exitinfo2, 0x50030);
        /* the guest's own tables lead elsewhere than its linear address */
        GO(&l, "\x8B\x04\x25\x30\x60\x00\x00" ENDS, AVIC "mem8:23030=50007 mem4:B030=77");
        assert_int_equal(l.gpr[RAX], 0x77);
        /* another guest-physical page that nested tables lead to the backing page is memory */
        GO(&l, "\x8B\x04\x25\x90\x60\x00\x00\x89\x04\x25\xF0\x60\x00\x00" ENDS, AVIC "mem8:113030=B007 mem4:B090=88");
        assert_int_equal(l.out.exitcode, VMEXIT_VMMCALL);
        assert_int_equal(lab_get(&l, PAGE + 0xF0, 4), 0x88);
        /* without AVIC_ENABLE, and on a processor without AVIC, it is memory too */
        GO(&l, "\x8B\x04\x25\x90\x00\x05\x00" ENDS, "np_ctl=1 avic_apic_bar=50000 avic_backing_page=B000 mem4:50090=99");
        assert_int_equal(l.gpr[RAX], 0x99);
        lab_destroy(&l);
        lab_create(&l, "zen3", off);
        GO(&l, "\x8B\x04\x25\x90\x00\x05\x00" ENDS, AVIC "mem4:50090=AA");
        assert_int_equal(l.gpr[RAX], 0xAA);
        assert_int_equal(l.out.int_ctl >> 31, 1);
        lab_destroy(&l);
    }
}

/* The same VMCB again, some fields changed, without the flushes that go with a new mode of the host. */
static void again(struct lab *l, const char *words)
{
    if (!lab_words(l, words, 0))
        fail_msg("%s", l->error);
    l->c->st.rip = HOST_CODE;
    l->c->st.activity = ACT_RUN;
    lab_run(l);
    assert_true(l->exited);
}

/* A translation made for one backing page serves the next VMCB with the same ASID until it is flushed, as the manual warns. */
static void stale(void **state)
{
    struct lab l;
    (void)state;
    lab_create(&l, "max", false);
    GO(&l, "\x8B\x04\x25\x30\x00\x05\x00" ENDS, AVIC "mem4:B030=1 mem4:E030=2 mem4:50030=3");
    assert_int_equal(l.gpr[RAX], 1);
    again(&l, "avic_backing_page=E000 tlb_control=0");
    assert_int_equal(l.gpr[RAX], 1);
    again(&l, "tlb_control=3");
    assert_int_equal(l.gpr[RAX], 2);
    again(&l, "avic_enable=0 tlb_control=0"); /* plain memory, where the translation leads */
    assert_int_equal(l.gpr[RAX], 2);
    again(&l, "tlb_control=3");
    assert_int_equal(l.gpr[RAX], 3);
    again(&l, "avic_enable=1 tlb_control=0"); /* the other way round: not yet the APIC */
    assert_int_equal(l.gpr[RAX], 3);
    lab_destroy(&l);
}

/* ---- instructions of other shapes ---- */

static void shapes(void **state)
{
    (void)state;
    for (unsigned off = 0; off < 2; off++) {
        struct lab l;
        lab_create(&l, "max", off);
        /* lock or dword [SVR], eax: reads, writes, then one exit behind it */
        GO(&l, "\xF0\x09\x04\x25\xF0\x00\x05\x00" ENDS, AVIC "rax=100 mem4:B0F0=FF");
        assert_int_equal(l.out.exitcode, VMEXIT_AVIC_NOACCEL);
        assert_int_equal(l.out.exitinfo1, 0x1000000F0);
        assert_int_equal(l.out.rip, CODE + 8);
        assert_int_equal(lab_get(&l, PAGE + 0xF0, 4), 0x1FF);
        /* xchg with IRR: a write, so a fault before anything */
        GO(&l, "\x87\x04\x25\x00\x02\x05\x00" ENDS, AVIC "rax=5 mem4:B200=0");
        assert_int_equal(l.out.exitcode, VMEXIT_AVIC_NOACCEL);
        assert_int_equal(l.out.exitinfo1, 0x100000200);
        assert_int_equal(l.out.rip, CODE);
        assert_int_equal(l.gpr[RAX], 5);
        /* rep stosd over 0E0h and up: leaves behind the first element, which is done */
        GO(&l, "\xF3\xAB" ENDS, AVIC "rax=7 rcx=3 rdi=500E0");
        assert_int_equal(l.out.exitcode, VMEXIT_AVIC_NOACCEL);
        assert_int_equal(l.out.exitinfo1, 0x1000000E0);
        assert_int_equal(l.out.rip, CODE);
        assert_int_equal(l.gpr[RCX], 2);
        assert_int_equal(l.gpr[RDI], 0x500E4);
        /* rep movsd out of the page: reads as memory does, stops before current count */
        GO(&l, "\xF3\xA5" ENDS, AVIC "rcx=8 rsi=50380 rdi=5000 mem4:B380=1234");
        assert_int_equal(l.out.exitcode, VMEXIT_AVIC_NOACCEL);
        assert_int_equal(l.out.exitinfo1, 0x390);
        assert_int_equal(l.gpr[RCX], 4);
        assert_int_equal(lab_get(&l, DATA, 4), 0x1234);
        /* push to TPR: 8 bytes, the register takes the low four */
        GO(&l, "\x50" ENDS, AVIC "rax=60 rsp=50088");
        assert_int_equal(l.out.exitcode, VMEXIT_VMMCALL);
        assert_int_equal(l.out.int_ctl & 0xF, 6);
        /* a byte of TPR: undefined by the manual; stores, and has no other effect */
        GO(&l, "\x88\x04\x25\x80\x00\x05\x00" ENDS, AVIC "rax=60");
        assert_int_equal(l.out.exitcode, VMEXIT_VMMCALL);
        assert_int_equal(l.out.int_ctl & 0xF, 0);
        assert_int_equal(lab_get(&l, PAGE + 0x80, 4), 0x60);
        /* across the page's end: the part in it is a reserved register */
        GO(&l, "\x89\x04\x25\xFE\xFF\x04\x00" ENDS, AVIC "rax=11223344"); /* 4FFFE: two bytes of memory, two of offset 0 */
        assert_int_equal(l.out.exitcode, VMEXIT_VMMCALL);
        assert_int_equal(lab_get(&l, PAGE, 2), 0x1122);
        GO(&l, "\x89\x04\x25\xFE\x0F\x05\x00" ENDS, AVIC "rax=11223344 mem4:51000=0");
        assert_int_equal(l.out.exitcode, VMEXIT_AVIC_NOACCEL);
        assert_int_equal(l.out.exitinfo1, 0x100000FF0);
        assert_int_equal(lab_get(&l, 0x51000, 4), 0);
        /* a trap-like exit comes before an NMI that is pending */
        GO(&l, "\x89\x04\x25\xF0\x00\x05\x00" ENDS, AVIC "rax=1FF nmi nmiblocked icpt_misc1=2");
        assert_int_equal(l.out.exitcode, VMEXIT_AVIC_NOACCEL);
        lab_destroy(&l);
    }
}

/* The tables and the page may lie anywhere: beyond memory, on each other, on the VMCB. Nothing but an exit happens. */
static void anywhere(void **state)
{
    static const char *const words[] = {
        "avic_backing_page=FEE00000", "avic_backing_page=FFFFFFFF000", "avic_backing_page=108000", "avic_physical_table=FFFFF000FFF mem4:B310=FF000000",
        "avic_physical_table=B0FF", "avic_logical_table=FFFFF000 rax=855 mem4:B310=FE000000", "avic_physical_table=108FF",
        "mem8:D008=C00000FFFFFFF001 mem4:B310=1000000", "mem8:D008=C0000000FEE00001 mem4:B310=1000000", "avic_apic_bar=FFFFFFFFFF000",
        "mem8:D008=C00000000000D001 mem4:B310=FF000000",
    };
    struct lab l;
    (void)state;
    lab_create(&l, "max", false);
    for (unsigned x2 = 0; x2 < 2; x2++)
        for (unsigned i = 0; i < ARRAY_LEN(words); i++) {
            char line[512];
            snprintf(line, sizeof line, AVIC "rax=55 rcx=830 rdx=FFFFFFFF %s%s", words[i], x2 ? " x2avic_enable" : "");
            lab_mode(&l, "64");
            if (x2)
                lab_write(&l, CODE, "\x0F\x30" ENDS, 5);
            else
                lab_write(&l, CODE, "\x89\x04\x25\x00\x03\x05\x00" ENDS, 10);
            if (!lab_words(&l, line, 0))
                fail_msg("%s", l.error);
            lab_run(&l);
            assert_true(l.exited);
        }
    lab_destroy(&l);
}

/* ---- the doorbell MSR and two processors ---- */

static void doorbell_msr(void **state)
{
    (void)state;
    static const struct { const char *profile; u64 value; bool read, gp; } rows[] = {
        {"zen1", 0, false, false}, {"zen1", 0xFF, false, false}, {"zen1", 0x100, false, true}, {"zen1", 0, true, true},
        {"max", 0x12C, false, false}, {"max", 0x100000000, false, true}, {"max", 0, true, true}, {"zen3", 0, false, true},
    };
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct lab l;
        char words[128];
        lab_create(&l, rows[i].profile, false);
        snprintf(words, sizeof words, "rcx=C001011B rax=%llx rdx=%llx", (unsigned long long)(u32)rows[i].value,
                 (unsigned long long)(rows[i].value >> 32));
        if (rows[i].read)
            GO(&l, "\x0F\x32" ENDS, words);
        else
            GO(&l, "\x0F\x30" ENDS, words);
        assert_int_equal(l.out.exitcode, rows[i].gp ? VMEXIT_EXCP0 + EXC_GP : VMEXIT_VMMCALL);
        lab_destroy(&l);
    }
}

/* Processor 1 runs an AVIC guest that waits or loops with interrupts on; processor 0 sets a request and rings, in several ways. */
struct pair {
    struct svmemu *m;
    union vmcb vmcb;
};
enum { HOST0 = 0x150000, VMCB1 = 0x151000, HSAVE1 = 0x152000 };

static void pair_start(struct pair *p, const char *guest, const char *words, const u8 *host0, size_t n)
{
    struct svmemu_config cfg = {.memory = RAM, .cpu = "max", .vcpus = 2};
    struct lab l = {.profile = "max"};
    assert_int_equal(svmemu_create(&cfg, &l.m), SVMEMU_OK);
    p->m = l.m;
    l.c = l.m->cpu[0];
    lab_put(&l, HOST_TABLES, 8, HOST_TABLES + 0x1003);
    lab_put(&l, HOST_TABLES + 0x1000, 8, HOST_TABLES + 0x2003);
    lab_put(&l, HOST_TABLES + 0x2000, 8, 0x83);
    lab_write(&l, HOST_CODE, "\x0F\x01\xD8\xF4", 4); /* processor 1: vmrun; hlt */
    lab_mode(&l, "64");
    lab_write(&l, CODE, guest, strlen(guest));
    lab_write(&l, HOST0, host0, n);
    if (!lab_words(&l, words, 0))
        fail_msg("%s", l.error);
    l.in.rsp = STACK;
    lab_write(&l, VMCB1, &l.in, sizeof l.in);
    for (unsigned i = 0; i < 2; i++) {
        struct vcpu *c = l.m->cpu[i];
        assert_int_equal(svmemu_set_mode(l.m, i, 64, HOST_TABLES), SVMEMU_OK);
        c->st.efer |= EFER_SVME;
        c->st.gif = true;
        c->st.activity = ACT_RUN;
        c->st.vm_hsave_pa = i ? HSAVE1 : HSAVE;
        c->st.rip = i ? HOST_CODE : HOST0;
        c->st.gpr[RAX] = VMCB1;
        cpu_set_rflags(c, FL_ONE);
        machine_cpu_changed(c);
    }
}

/* Whether the guest took vector 55h, whose handler is a VMMCALL. */
static bool pair_end(struct pair *p)
{
    struct svmemu_stop stop;
    assert_int_equal(svmemu_run(p->m, 600000, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
    assert_int_equal(svmemu_mem_read(p->m, VMCB1, &p->vmcb, sizeof p->vmcb), SVMEMU_OK);
    bool came = !p->m->cpu[1]->guest && p->vmcb.exitcode == VMEXIT_VMMCALL && p->vmcb.rip == HANDLER_55;
    svmemu_destroy(p->m);
    return came;
}

/* mov $60000, %ecx; 1: dec %ecx; jnz 1b: longer than processor 1 needs to come to its guest's HLT */
#define DELAY 0xB9, 0x60, 0xEA, 0, 0, 0xFF, 0xC9, 0x75, 0xFC
#define HLT_FOREVER 0xFA, 0xF4
/* movl $200000h, B220h */
#define REQUEST 0xC7, 0x04, 0x25, 0x20, 0xB2, 0, 0, 0, 0, 0x20, 0
/* mov $C001011Bh, %ecx; mov $id, %eax; xor %edx, %edx; wrmsr */
#define RING(id) 0xB9, 0x1B, 0x01, 0x01, 0xC0, 0xB8, id, 0, 0, 0, 0x31, 0xD2, 0x0F, 0x30

static void doorbell(void **state)
{
    static const u8 ring[] = {DELAY, REQUEST, RING(1), HLT_FOREVER}, silent[] = {DELAY, REQUEST, HLT_FOREVER},
                    wrong[] = {DELAY, REQUEST, RING(0), HLT_FOREVER}, early[] = {REQUEST, RING(1), HLT_FOREVER};
    static const char halts[] = "\xFB\xF4\xEB\xFD", loops[] = "\xFB\xEB\xFE", closed[] = "\xFA\xEB\xFE";
    struct pair p;
    (void)state;
    pair_start(&p, halts, AVIC, ring, sizeof ring);
    assert_true(pair_end(&p));
    pair_start(&p, loops, AVIC, ring, sizeof ring);
    assert_true(pair_end(&p));
    pair_start(&p, loops, AVIC, silent, sizeof silent); /* nothing looks at IRR by itself */
    assert_false(pair_end(&p));
    pair_start(&p, loops, AVIC, wrong, sizeof wrong);
    assert_false(pair_end(&p));
    pair_start(&p, loops, AVIC, early, sizeof early); /* rung before VMRUN: VMRUN looks */
    assert_true(pair_end(&p));
    pair_start(&p, closed, AVIC, ring, sizeof ring); /* IF clear */
    assert_false(pair_end(&p));
    pair_start(&p, loops, "np_ctl=1 mem4:B220=0", ring, sizeof ring); /* a guest without AVIC does not hear it */
    assert_false(pair_end(&p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(priorities), cmocka_unit_test(sequences), cmocka_unit_test(page), cmocka_unit_test(stale), cmocka_unit_test(shapes),
        cmocka_unit_test(anywhere), cmocka_unit_test(doorbell_msr), cmocka_unit_test(doorbell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
