// SPDX-License-Identifier: MIT
/* bits: 64 */
/* run: --cpu max */
/* also: k8 barcelona */
/* Interrupts between host and guest: virtual ones with priority and TPR, CR8, physical ones with V_INTR_MASKING and the host's IF, their order,
 * interrupt shadows, STI before VMRUN, NMIs and what blocks them, GIF, single steps over VMRUN [APM2 15.13, 15.17, 15.21]. */
#include "host.h"

enum { V_IGN_TPR = 1 << 20, VECTOR = 0x51, VIRTUAL = 0x61, INJECTED = 0x71, APIC_VA = 0x700000, EXIT_NMI = 0x61, EXIT_STGI = 0x84 };
#define V_PRIORITY(n) ((u64)(n) << 16)
#define V_VECTOR(n) ((u64)(n) << 32)
static struct vm vm;

/* svm_run() begins with CLGI; these do not. */
__asm__("run_after_sti:\n"
        "    push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "    mov %rdi, %rax\n"
        "    sti\n"
        "    vmrun %rax\n"
        "    stgi\n"
        "    pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "    cli\n"
        "    ret\n"
        "run_stepping:\n"
        "    push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "    mov %rdi, %rax\n"
        "    clgi\n"
        "    pushf\n"
        "    orl $0x100, (%rsp)\n"
        "    popf\n"
        "    vmrun %rax\n"
        "after_vmrun:\n"
        "    stgi\n"
        "    pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "    ret\n");
void run_after_sti(struct vmcb *vmcb);
void run_stepping(struct vmcb *vmcb);
extern const u8 after_vmrun[];

static void set_up(void)
{
    vm_init(&vm, FMT_4, FMT_NONE);
    vm_events(&vm);
    map(&vm.guest, APIC_VA, APIC_BASE, E_ALL | E_PCD, 1);
    vm.vmcb->intercept_exceptions = 0;
    host_events_reset();
}

/* ---- virtual interrupts ---- */

/* Taken if the priority is above V_TPR, or V_TPR is to be ignored. */
static void priorities(void)
{
    section("V_INTR_PRIO against V_TPR", NULL, NULL, NULL);
    set_up();
    for (unsigned prio = 0; prio < 16; prio++) {
        for (unsigned tpr = 0; tpr < 16; tpr++) {
            for (unsigned ignore = 0; ignore < 2; ignore++) {
                bool taken = ignore || prio > tpr;
                vm.vmcb->vintr = V_VECTOR(VIRTUAL) | V_PRIORITY(prio) | V_IRQ | V_INTR_MASKING | tpr | (ignore ? V_IGN_TPR : 0);
                vm.vmcb->rflags = 2 | RFLAGS_IF;
                vm.vmcb->rsp = vm.stack_va;
                RUN_CODE(&vm, "\x90\x0f\x01\xd9");
                expect("taken or not", (u64)vm_vector(&vm), taken ? VIRTUAL : (u64)-1);
                expect("V_IRQ", vm.vmcb->vintr & V_IRQ, taken ? 0 : V_IRQ);
                expect("V_TPR", vm.vmcb->vintr & 0xff, tpr);
                if (taken)
                    expect("before the first instruction", vm_stack_word(&vm, 0), vm.code_va + 0x80);
            }
        }
    }
    section_end();
}

static void virtual_request(void)
{
    vm.vmcb->vintr = V_VECTOR(VIRTUAL) | V_PRIORITY(15) | V_IRQ | V_INTR_MASKING;
    vm.vmcb->rsp = vm.stack_va;
}

static void virtual_gates(void)
{
    section("what holds a virtual interrupt", NULL, NULL, NULL);
    set_up();
    virtual_request();
    vm.vmcb->rflags = 2;
    RUN_CODE(&vm, "\x90\x90\x0f\x01\xd9");
    expect("IF clear", vm.vmcb->rip, vm.code_va + 0x82);
    expect("still there", vm.vmcb->vintr & V_IRQ, V_IRQ);
    RUN_CODE(&vm, "\xfb\x90\x90\x0f\x01\xd9"); /* sti; nop; nop; vmmcall */
    expect("STI", (u64)vm_vector(&vm), VIRTUAL);
    expect("after its shadow", vm_stack_word(&vm, 0), vm.code_va + 0x82);
    virtual_request();
    vm.vmcb->rflags = 2;
    RUN_CODE(&vm, "\xfb\xfa\x90\x0f\x01\xd9"); /* sti; cli; nop; vmmcall */
    expect("STI and CLI let nothing in", (u64)vm_vector(&vm), (u64)-1);
    virtual_request();
    vm.vmcb->rflags = 2 | RFLAGS_IF;
    vm.vmcb->interrupt_shadow = 1;
    RUN_CODE(&vm, "\x90\x90\x0f\x01\xd9");
    expect("INTERRUPT_SHADOW", vm_stack_word(&vm, 0), vm.code_va + 0x81);
    expect("is over", vm.vmcb->interrupt_shadow & 1, 0);
    virtual_request();
    vm.vmcb->interrupt_shadow = 1;
    vm.vmcb->rflags = 2 | RFLAGS_IF;
    RUN_CODE(&vm, "\x0f\x01\xd9");
    expect("an exit in the shadow", vm.vmcb->interrupt_shadow & 1, 1);
    vm.vmcb->rax = 0;
    RUN_CODE(&vm, "\x8e\xd0\x90\x90\x0f\x01\xd9"); /* mov ss, eax; nop; nop; vmmcall */
    expect("INTERRUPT_SHADOW, then MOV SS's own", vm_stack_word(&vm, 0), vm.code_va + 0x83);

    /* The shadow that the guest itself is in goes to the VMCB, with instruction intercepts and with faults. */
    vm.vmcb->vintr = V_INTR_MASKING;
    vm.vmcb->rflags = 2;
    vm.vmcb->rsp = vm.stack_va;
    RUN_CODE(&vm, "\xfb\x0f\x01\xd9"); /* sti; vmmcall */
    expect("STI; VMMCALL", vm.vmcb->interrupt_shadow & 1, 1);
    RUN_CODE(&vm, "\xfb\x90\x0f\x01\xd9");
    expect("STI; NOP; VMMCALL", vm.vmcb->interrupt_shadow & 1, 0);
    vm.vmcb->rflags = 2 | RFLAGS_IF;
    RUN_CODE(&vm, "\xfb\x0f\x01\xd9");
    expect("STI with IF set has none", vm.vmcb->interrupt_shadow & 1, 0);
    vm.vmcb->intercept_exceptions = 1u << 14;
    vm.vmcb->rflags = 2;
    vm.vmcb->rax = 0xdead000;
    expect("STI; MOV from nowhere", RUN_CODE(&vm, "\xfb\x8b\x08\x0f\x01\xd9"), EXIT_EXCP_PF);
    expect("in the shadow", vm.vmcb->interrupt_shadow & 1, 1);
    vm.vmcb->intercept_exceptions = 0;
    vm.vmcb->interrupt_shadow = 0;

    /* STI; HLT: the interrupt ends the HLT. */
    virtual_request();
    vm.vmcb->rflags = 2;
    RUN_CODE(&vm, "\xfb\xf4\x90\x0f\x01\xd9");
    expect("HLT", (u64)vm_vector(&vm), VIRTUAL);
    expect("is behind", vm_stack_word(&vm, 0), vm.code_va + 0x82);

    virtual_request();
    vm.vmcb->rflags = 2 | RFLAGS_IF;
    vm.vmcb->intercept_misc1 |= INTERCEPT_VINTR;
    expect("its intercept", RUN_CODE(&vm, "\x90\x0f\x01\xd9"), EXIT_VINTR);
    expect("leaves V_IRQ", vm.vmcb->vintr & V_IRQ, V_IRQ);
    expect("and rIP", vm.vmcb->rip, vm.code_va + 0x80);
    expect("and no EXITINTINFO", vm.vmcb->exit_int_info, 0);
    vm.vmcb->vintr |= 0xf;
    expect("no exit while TPR holds it", RUN_CODE(&vm, "\x90\x0f\x01\xd9"), EXIT_VMMCALL);
    /* mov rax, 3; mov cr8, rax: the window opens behind it */
    vm.vmcb->vintr = V_VECTOR(VIRTUAL) | V_PRIORITY(8) | V_IRQ | V_INTR_MASKING | 0xf;
    expect("TPR lowered", RUN_CODE(&vm, "\x48\xc7\xc0\x03\x00\x00\x00\x44\x0f\x22\xc0\x90\x0f\x01\xd9"), EXIT_VINTR);
    expect("at once", vm.vmcb->rip, vm.code_va + 0x8b);
    expect("V_TPR", vm.vmcb->vintr & 0xff, 3);
    section_end();
}

/* CR8 with and without V_INTR_MASKING. */
static void task_priority(void)
{
    static const char exchange[] = "\x44\x0f\x20\xc1\x44\x0f\x22\xc0\x44\x0f\x20\xc2\x0f\x01\xd9"; /* mov rcx, cr8; mov cr8, rax; mov rdx, cr8; vmmcall */

    section("CR8", NULL, NULL, NULL);
    set_up();
    apic_write(APIC_TPR, 0x40);
    vm.vmcb->vintr = V_INTR_MASKING | 7;
    vm.vmcb->rax = 9;
    RUN_CODE(&vm, exchange);
    expect("masking: reads V_TPR", vm.regs.rcx, 7);
    expect("masking: reads what it wrote", vm.regs.rdx, 9);
    expect("masking: V_TPR", vm.vmcb->vintr & 0xff, 9);
    expect("masking: not the APIC's", apic_read(APIC_TPR), 0x40);
    vm.vmcb->vintr = 7;
    vm.vmcb->rax = 9;
    RUN_CODE(&vm, exchange);
    expect("no masking: reads the APIC's", vm.regs.rcx, 4);
    expect("no masking: reads what it wrote", vm.regs.rdx, 9);
    expect("no masking: V_TPR", vm.vmcb->vintr & 0xff, 9);
    expect("no masking: the APIC's", apic_read(APIC_TPR), 0x90);
    apic_write(APIC_TPR, 0);
    section_end();
}

/* ---- physical interrupts ---- */

/* Pending for the guest: sent while nothing can take it. */
static void pending(void)
{
    clgi();
    apic_send(apic_id(), ICR_FIXED | VECTOR);
}

static const struct {
    const char *what;
    bool masking, host_if, guest_if, intercept, virtual_too;
    u64 exit;
    int vector;
} physical[] = {
    { "no masking, guest IF 0", false, true, false, true, false, EXIT_VMMCALL, -1 },
    { "no masking, guest IF 1", false, false, true, true, false, EXIT_INTR, -1 },
    { "no masking, guest IF 1, not intercepted", false, false, true, false, false, EXIT_VMMCALL, VECTOR },
    { "masking, host IF 0, guest IF 1", true, false, true, true, false, EXIT_VMMCALL, -1 },
    { "masking, host IF 1, guest IF 0", true, true, false, true, false, EXIT_INTR, -1 },
    { "masking, host IF 1, guest IF 0, not intercepted", true, true, false, false, false, EXIT_VMMCALL, VECTOR },
    { "physical before virtual", true, true, true, true, true, EXIT_INTR, -1 },
    { "physical before virtual, not intercepted", true, true, true, false, true, EXIT_VMMCALL, VECTOR },
    { "host IF 0: only the virtual one", true, false, true, true, true, EXIT_VMMCALL, VIRTUAL },
};

static void physical_interrupts(void)
{
    section("physical interrupts", NULL, NULL, NULL);
    for (unsigned i = 0; i < sizeof(physical) / sizeof(physical[0]); i++) {
        set_up();
        vm.vmcb->vintr = physical[i].masking ? V_INTR_MASKING : 0;
        if (physical[i].virtual_too)
            vm.vmcb->vintr |= V_VECTOR(VIRTUAL) | V_PRIORITY(15) | V_IRQ;
        vm.vmcb->rflags = 2 | (physical[i].guest_if ? RFLAGS_IF : 0);
        vm.vmcb->intercept_misc1 |= physical[i].intercept ? INTERCEPT_INTR : 0;
        if (physical[i].host_if)
            sti();
        pending();
        expect(physical[i].what, RUN_CODE(&vm, "\x90\x90\x0f\x01\xd9"), physical[i].exit);
        expect(physical[i].what, (u64)vm_vector(&vm), (u64)physical[i].vector);
        bool to_guest = physical[i].vector == VECTOR;
        if (physical[i].exit == EXIT_INTR) {
            expect(physical[i].what, vm.vmcb->rip, vm.code_va + 0x80);
            expect("EXITINTINFO", vm.vmcb->exit_int_info, 0);
        }
        if (physical[i].virtual_too && physical[i].vector != VIRTUAL)
            expect("V_IRQ stays", vm.vmcb->vintr & V_IRQ, V_IRQ);
        sti();
        cli();
        expect("the host gets what the guest did not", host_seen[0].count[VECTOR], to_guest ? 0 : 1);
        if (to_guest)
            apic_write(APIC_EOI, 0);
    }
    section_end();
}

static void order(void)
{
    section("order and shadows", NULL, NULL, NULL);
    set_up();
    vm.vmcb->intercept_misc1 |= INTERCEPT_INTR;
    vm.vmcb->vintr = V_INTR_MASKING;
    vm.vmcb->event_inj = EVENT_VALID | EVENT_INTR | INJECTED;
    sti();
    pending();
    expect("injection comes first", RUN_CODE(&vm, "\x90\x0f\x01\xd9"), EXIT_INTR);
    expect("the interrupt right after it", vm.vmcb->rip, vm.handlers_va + 4 * INJECTED);
    cli();
    expect("seen", host_seen[0].count[VECTOR], 1);

    set_up();
    vm.vmcb->intercept_misc1 |= INTERCEPT_INTR;
    vm.vmcb->vintr = V_INTR_MASKING;
    vm.vmcb->interrupt_shadow = 1;
    sti();
    pending();
    expect("INTERRUPT_SHADOW", RUN_CODE(&vm, "\x90\x90\x0f\x01\xd9"), EXIT_INTR);
    expect("one instruction", vm.vmcb->rip, vm.code_va + 0x81);
    cli();

    /* The host's STI shadow ends with VMRUN: the guest takes the exit at once, and the host IF that counts is 1. */
    set_up();
    vm.vmcb->intercept_misc1 |= INTERCEPT_INTR;
    vm.vmcb->vintr = V_INTR_MASKING;
    memcpy(vm.code + 0x80, "\x90\x90\x0f\x01\xd9", 5);
    vm.vmcb->rip = vm.code_va + 0x80;
    apic_send(apic_id(), ICR_FIXED | VECTOR);
    run_after_sti(vm.vmcb);
    expect("STI; VMRUN", vm.vmcb->exit_code, EXIT_INTR);
    expect("no instruction", vm.vmcb->rip, vm.code_va + 0x80);
    expect("no shadow in the guest", vm.vmcb->interrupt_shadow & 1, 0);
    expect("taken by the host after STGI", host_seen[0].count[VECTOR], 1);

    /* HLT waits for a physical interrupt: the APIC's timer. */
    set_up();
    vm.vmcb->intercept_misc1 |= INTERCEPT_INTR;
    vm.vmcb->vintr = V_INTR_MASKING;
    apic_write(APIC_TIMER_DIVIDE, 0xb);
    apic_write(APIC_LVT_TIMER, VECTOR);
    apic_write(APIC_TIMER_COUNT, 20000);
    sti();
    expect("HLT", RUN_CODE(&vm, "\xf4\x90\x0f\x01\xd9"), EXIT_INTR);
    expect("is over", vm.vmcb->rip, vm.code_va + 0x81);
    cli();
    expect("the timer's", host_seen[0].count[VECTOR], 1);
    section_end();
}

/* ---- NMI ---- */

static void pending_nmi(void)
{
    clgi();
    apic_send(apic_id(), ICR_NMI);
}

static void nmis(void)
{
    section("NMI", NULL, NULL, NULL);
    set_up();
    vm.vmcb->intercept_misc1 |= INTERCEPT_NMI;
    pending_nmi();
    expect("GIF 0 holds it", host_seen[0].count[VECTOR_NMI], 0);
    expect("its intercept", RUN_CODE(&vm, "\x90\x0f\x01\xd9"), EXIT_NMI);
    expect("rIP", vm.vmcb->rip, vm.code_va + 0x80);
    expect("the host has it after STGI", host_seen[0].count[VECTOR_NMI], 1);

    set_up();
    pending_nmi();
    RUN_CODE(&vm, "\x90\x0f\x01\xd9");
    expect("the guest takes it", (u64)vm_vector(&vm), VECTOR_NMI);
    apic_send(apic_id(), ICR_NMI);
    expect("another waits for IRET, in the host too", host_seen[0].count[VECTOR_NMI], 0);
    vm.vmcb->intercept_misc1 |= INTERCEPT_NMI;
    expect("in the handler", RUN_CODE(&vm, "\x90\x48\xcf"), EXIT_NMI); /* nop; iretq, to the NOP at 80h */
    expect("right after IRET", vm.vmcb->rip, vm.code_va + 0x80);
    expect("the host has it after STGI", host_seen[0].count[VECTOR_NMI], 1);

    set_up(); /* an injected NMI blocks nothing */
    vm.vmcb->intercept_misc1 |= INTERCEPT_NMI;
    vm.vmcb->event_inj = EVENT_VALID | EVENT_NMI;
    pending_nmi();
    expect("injected", RUN_CODE(&vm, "\x90\x0f\x01\xd9"), EXIT_NMI);
    expect("and a real one after it", vm.vmcb->rip, vm.handlers_va + 4 * VECTOR_NMI);
    expect("the host has it after STGI", host_seen[0].count[VECTOR_NMI], 1);

    set_up(); /* both: NMI first */
    vm.vmcb->intercept_misc1 |= INTERCEPT_NMI | INTERCEPT_INTR;
    vm.vmcb->rflags = 2 | RFLAGS_IF;
    pending();
    apic_send(apic_id(), ICR_NMI);
    expect("NMI before INTR", RUN_CODE(&vm, "\x90\x0f\x01\xd9"), EXIT_NMI);
    sti();
    cli();
    expect("NMI", host_seen[0].count[VECTOR_NMI], 1);
    expect("INTR", host_seen[0].count[VECTOR], 1);
    section_end();
}

/* ---- GIF ---- */

/* The guest sends itself an interrupt: mov dword [ICR], SELF | 51h */
#define SEND_SELF "\xc7\x04\x25\x00\x03\x70\x00\x51\x40\x04\x00"

static void gif(void)
{
    section("GIF", NULL, NULL, NULL);
    set_up();
    vm.vmcb->intercept_misc1 |= INTERCEPT_INTR;
    vm.vmcb->rflags = 2 | RFLAGS_IF;
    expect("a guest's own interrupt", RUN_CODE(&vm, SEND_SELF "\x90\x90\x0f\x01\xd9"), EXIT_INTR);
    sti();
    cli();
    expect("seen by the host", host_seen[0].count[VECTOR], 1);
    vm.vmcb->rflags = 2 | RFLAGS_IF;
    expect("CLGI in the guest holds it", RUN_CODE(&vm, "\x0f\x01\xdd" SEND_SELF "\x90\x90\x0f\x01\xdc\x90\x0f\x01\xd9"), EXIT_INTR);
    expect("until right after STGI", vm.vmcb->rip, vm.code_va + 0x80 + 3 + 11 + 2 + 3);
    sti();
    cli();
    expect("seen by the host", host_seen[0].count[VECTOR], 2);
    vm.vmcb->intercept_misc2 |= 1 << 4;
    expect("STGI's intercept", RUN_CODE(&vm, "\x0f\x01\xdc\x0f\x01\xd9"), EXIT_STGI);
    vm.vmcb->intercept_misc2 &= ~(1u << 4);

    /* In the host: CLGI holds interrupts and NMIs, in order of priority after STGI. */
    host_events_reset();
    clgi();
    apic_send(apic_id(), ICR_FIXED | VECTOR);
    sti();
    __asm__ volatile("nop; nop");
    expect("GIF 0, IF 1", host_seen[0].count[VECTOR], 0);
    stgi();
    __asm__ volatile("nop");
    cli();
    expect("GIF 1", host_seen[0].count[VECTOR], 1);

    /* A step over VMRUN is one step: #DB behind it, though GIF is 0. */
    set_up();
    memcpy(vm.code + 0x80, "\x90\x90\x0f\x01\xd9", 5);
    vm.vmcb->rip = vm.code_va + 0x80;
    run_stepping(vm.vmcb);
    expect("single step over VMRUN", host_seen[0].count[VECTOR_DB], 1);
    expect("trap", host_seen[0].rip, phys(after_vmrun));
    expect("DR6.BS", host_seen[0].dr6 >> 14 & 1, 1);
    expect("the guest did not step", vm.vmcb->rip, vm.code_va + 0x82);
    section_end();
}

void guest_main(void)
{
    svm_enable();
    host_events_init();
    priorities();
    virtual_gates();
    task_priority();
    physical_interrupts();
    order();
    nmis();
    gif();
}
