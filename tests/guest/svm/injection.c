// SPDX-License-Identifier: MIT
/* bits: 64 */
/* run: --cpu max */
/* also: k8 barcelona */
/* Events for the guest: injection of every type, deliveries that a nested page fault or an exception breaks off, EXITINTINFO and making them
 * again, double faults, shutdown, trap flag and breakpoints at the first instruction [APM2 15.7.2, 15.12, 15.20]. */
#include "vm.h"

enum { TYPE_INTR = 0, TYPE_NMI = 2 << 8, TYPE_EXCEPTION = 3 << 8, TYPE_INTN = 4 << 8, EV = EVENT_ERROR_CODE };
enum { DB = 1, NMI = 2, BP = 3, UD = 6, DF = 8, NP = 11, GP = 13, PF = 14 };
enum { RFLAGS_TF = 1 << 8, RFLAGS_IF = 1 << 9, RFLAGS_RF = 1 << 16, NEXT_RIP = 0x40 };
static struct vm vm;

static void set_up(enum format f, enum format nested)
{
    vm_init(&vm, f, nested);
    vm_events(&vm);
    vm.vmcb->intercept_exceptions = 0;
}

/* Injects into a guest that stands before a VMMCALL. */
static u64 inject(u64 event, unsigned error)
{
    vm.vmcb->event_inj = (u64)error << 32 | EVENT_VALID | event;
    vm.vmcb->rsp = vm.stack_va;
    vm.vmcb->next_rip = vm.code_va + NEXT_RIP;
    vm.vmcb->cr2 = 0x77;
    memcpy(vm.code + 0x80, "\x0f\x01\xd9", 3);
    vm.vmcb->rip = vm.code_va + 0x80;
    svm_run(vm.vmcb, &vm.regs);
    return vm.vmcb->exit_code;
}

/* ---- every type ---- */

static const struct {
    const char *what;
    u64 event;
    u32 error;
    u8 vector;
    bool next; /* pushes nRIP */
} types[] = {
    { "interrupt", TYPE_INTR | 0x20, 0, 0x20, false },
    { "interrupt with an exception's vector", TYPE_INTR | GP, 0, GP, false },
    { "NMI, whatever the vector says", TYPE_NMI | 0xff, 0, NMI, false },
    { "#GP with its error code", TYPE_EXCEPTION | EV | GP, 0x18, GP, false },
    { "#PF", TYPE_EXCEPTION | EV | PF, 7, PF, false },
    { "#UD", TYPE_EXCEPTION | UD, 0, UD, false },
    { "#DB", TYPE_EXCEPTION | DB, 0, DB, false },
    { "#BP", TYPE_EXCEPTION | BP, 0, BP, true },
    { "INT 80h", TYPE_INTN | 0x80, 0, 0x80, true },
    { "INT 14, no page fault", TYPE_INTN | PF, 0, PF, true },
};
static const u64 refused[] = {
    1 << 8 | 0x20, 5 << 8 | 0x20, 6 << 8 | 0x20, 7 << 8 | 0x20, TYPE_EXCEPTION | NMI, TYPE_EXCEPTION | 32, TYPE_EXCEPTION | 0xff,
};

static void every_type(void)
{
    bool nrips = cpu_svm_feature(FEATURE_NRIPS); /* without it the hypervisor has moved rIP itself */

    for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        bool error = types[i].event & EV;
        vm.vmcb->rflags = 2; /* IF has no say */
        inject(types[i].event, types[i].error);
        expect(types[i].what, (u64)vm_vector(&vm), types[i].vector);
        if (error)
            expect("error code", vm_stack_word(&vm, 0), types[i].error);
        expect("return address", vm_stack_word(&vm, error), vm.code_va + (types[i].next && nrips ? NEXT_RIP : 0x80));
        expect("EVENTINJ", vm.vmcb->event_inj, 0);
        expect("EXITINTINFO", vm.vmcb->exit_int_info, 0);
        expect("CR2 is the VMCB's", vm.vmcb->cr2, 0x77);
    }
    for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        expect("reserved type or vector", inject(refused[i], 0), EXIT_INVALID);
        expect("EVENTINJ", vm.vmcb->event_inj, 0);
    }
    /* The intercept of the event itself does not see it; gates of DPL 0 stop software at CPL 3 only. */
    vm.vmcb->intercept_exceptions = ~0u;
    inject(TYPE_EXCEPTION | EV | GP, 0);
    expect("#GP with its intercept", (u64)vm_vector(&vm), GP);
    vm_ring(&vm, 3);
    expect("INT 80h at CPL 3", inject(TYPE_INTN | 0x80, 0), EXIT_EXCP0 + GP);
    expect("error code", vm.vmcb->exit_info1, 0x80 * 8 + 2);
    expect("EXITINTINFO", vm.vmcb->exit_int_info, EVENT_VALID | TYPE_INTN | 0x80);
    *vm_gate(&vm, 0x80) |= 0x60;
    inject(TYPE_INTN | 0x80, 0);
    expect("INT 80h at CPL 3, DPL 3", (u64)vm_vector(&vm), 0x80);
    expect("in ring 0", vm.vmcb->cpl, 0);
    vm_ring(&vm, 3);
    inject(TYPE_INTR | 0x21, 0);
    expect("interrupt at CPL 3", (u64)vm_vector(&vm), 0x21);
    vm_ring(&vm, 0);
    vm.vmcb->intercept_exceptions = 0;
}

/* ---- broken off by a nested page fault ---- */

static u64 gpa_of(const u8 *page)
{
    return phys(page) + GPA_OFFSET;
}

/* The page is not there: NPF with the event in EXITINTINFO; then it is, and the event is injected again from there. */
static void broken_off(const char *what, const u8 *page, u64 info1, u64 gpa, u64 event, u32 error)
{
    u64 leaf = entry_get(&vm.nested, gpa_of(page), 1), want = (u64)error << 32 | EVENT_VALID | event;

    entry_set(&vm.nested, gpa_of(page), 1, leaf & ~(u64)E_P);
    vm.vmcb->tlb_control = TLB_FLUSH_ALL;
    inject(event, error);
    expect(what, vm.vmcb->exit_code, EXIT_NPF);
    expect(what, vm.vmcb->exit_info1, info1);
    expect(what, vm.vmcb->exit_info2, gpa);
    expect(what, vm.vmcb->exit_int_info, want);
    expect(what, vm.vmcb->rip, vm.code_va + 0x80);
    expect(what, vm.vmcb->rsp, vm.stack_va);
    entry_set(&vm.nested, gpa_of(page), 1, leaf);
    vm.vmcb->event_inj = vm.vmcb->exit_int_info;
    svm_run(vm.vmcb, &vm.regs);
    expect(what, (u64)vm_vector(&vm), event & 0xff);
    expect(what, vm.vmcb->exit_int_info, 0);
}

static void nested_breaks(void)
{
    unsigned gate = vm.format >= FMT_4 ? 16 : 8, word = gate / 2, frame = vm.format >= FMT_4 ? 5 : 3;
    u64 stack = gpa_of(vm.stack) + (vm.stack_va & 0xfff);

    broken_off("the IDT, interrupt", vm.idt, NPF_FINAL | PF_U, gpa_of(vm.idt) + 0x20 * gate, TYPE_INTR | 0x20, 0);
    broken_off("the IDT, NMI", vm.idt, NPF_FINAL | PF_U, gpa_of(vm.idt) + NMI * gate, TYPE_NMI | NMI, 0);
    broken_off("the IDT, #GP", vm.idt, NPF_FINAL | PF_U, gpa_of(vm.idt) + GP * gate, TYPE_EXCEPTION | EV | GP, 0x18);
    broken_off("the IDT, INT 80h", vm.idt, NPF_FINAL | PF_U, gpa_of(vm.idt) + 0x80 * gate, TYPE_INTN | 0x80, 0);
    broken_off("the GDT", vm.system, NPF_FINAL | PF_U, gpa_of(vm.system) + 0x08, TYPE_INTR | 0x20, 0);
    entry_set(&vm.nested, gpa_of(vm.stack), 1, entry_get(&vm.nested, gpa_of(vm.stack), 1) & ~(u64)E_P);
    vm.vmcb->tlb_control = TLB_FLUSH_ALL;
    expect("the stack", inject(TYPE_INTR | 0x20, 0), EXIT_NPF);
    expect("the stack", vm.vmcb->exit_info1, NPF_FINAL | PF_U | PF_W);
    expect("within the frame", vm.vmcb->exit_info2 >= stack - frame * word && vm.vmcb->exit_info2 < stack, true);
    expect("the stack", vm.vmcb->exit_int_info, EVENT_VALID | TYPE_INTR | 0x20);
    entry_set(&vm.nested, gpa_of(vm.stack), 1, phys(vm.stack) | E_ALL);
}

/* ---- what the guest does itself, broken off ---- */

static void run_broken(const char *what, const char *code, unsigned count, unsigned vector, u64 want, u64 cr2)
{
    u64 leaf = entry_get(&vm.nested, gpa_of(vm.idt), 1);
    unsigned gate = vm.format >= FMT_4 ? 16 : 8;

    entry_set(&vm.nested, gpa_of(vm.idt), 1, leaf & ~(u64)E_P);
    vm.vmcb->tlb_control = TLB_FLUSH_ALL;
    vm.vmcb->rsp = vm.stack_va;
    vm.vmcb->cr2 = 0x77;
    vm.vmcb->rax = vm.data_va;
    vm_run_code(&vm, 0x80, code, count);
    expect(what, vm.vmcb->exit_code, EXIT_NPF);
    expect(what, vm.vmcb->exit_info2, gpa_of(vm.idt) + vector * gate);
    expect(what, vm.vmcb->exit_int_info, want);
    expect(what, vm.vmcb->cr2, cr2);
    entry_set(&vm.nested, gpa_of(vm.idt), 1, leaf);
}
#define RUN_BROKEN(what, code, vector, want, cr2) run_broken(what, code, sizeof(code) - 1, vector, want, cr2)

static void guest_breaks(void)
{
    RUN_BROKEN("#UD", "\x0f\x0b", UD, EVENT_VALID | TYPE_EXCEPTION | UD, 0x77);
    RUN_BROKEN("#BP", "\xcc", BP, EVENT_VALID | TYPE_EXCEPTION | BP, 0x77);
    RUN_BROKEN("INT1", "\xf1", DB, EVENT_VALID | TYPE_EXCEPTION | DB, 0x77);
    RUN_BROKEN("INT 80h", "\xcd\x80", 0x80, EVENT_VALID | TYPE_INTN | 0x80, 0x77);
    if (vm.format != FMT_NONE) { /* CR2 is written when the fault is delivered, before its gate is read */
        u64 leaf = entry_get(&vm.guest, vm.data_va, 1);
        entry_set(&vm.guest, vm.data_va, 1, leaf & ~(u64)E_W);
        RUN_BROKEN("#PF", "\x89\x08", PF, 3ull << 32 | EVENT_VALID | TYPE_EXCEPTION | EV | PF, vm.data_va);
        entry_set(&vm.guest, vm.data_va, 1, leaf);
    }
    vm.vmcb->vintr = 0x55ull << 32 | 0xfull << 16 | V_IRQ | V_INTR_MASKING;
    vm.vmcb->rflags = 2 | RFLAGS_IF;
    RUN_BROKEN("virtual interrupt", "\x90", 0x55, EVENT_VALID | TYPE_INTR | 0x55, 0x77);
    expect("V_IRQ is clear: EXITINTINFO has it", vm.vmcb->vintr & V_IRQ, 0);
    vm.vmcb->vintr = 0;
    vm.vmcb->rflags = 2;
}

/* ---- two exceptions ---- */

static void double_faults(void)
{
    /* #GP whose gate is not present: #NP, and both make a #DF. */
    *vm_gate(&vm, GP) &= 0x7f;
    inject(TYPE_EXCEPTION | EV | GP, 0x18);
    expect("#DF is delivered", (u64)vm_vector(&vm), DF);
    expect("its error code", vm_stack_word(&vm, 0), 0);
    vm.vmcb->intercept_exceptions = 1u << DF;
    expect("#DF is intercepted", inject(TYPE_EXCEPTION | EV | GP, 0x18), EXIT_EXCP0 + DF);
    expect("error code", vm.vmcb->exit_info1, 0);
    expect("the first of the two", vm.vmcb->exit_int_info, 0x18ull << 32 | EVENT_VALID | TYPE_EXCEPTION | EV | GP);
    vm.vmcb->intercept_exceptions = 1u << DF | 1u << NP;
    expect("the second is intercepted", inject(TYPE_EXCEPTION | EV | GP, 0x18), EXIT_EXCP0 + NP);
    expect("error code", vm.vmcb->exit_info1, GP * 8 + 2 + 1);
    expect("the first of the two", vm.vmcb->exit_int_info, 0x18ull << 32 | EVENT_VALID | TYPE_EXCEPTION | EV | GP);
    vm.vmcb->intercept_exceptions = 0;
    inject(TYPE_INTR | GP, 0);
    expect("an interrupt and #NP make no #DF", (u64)vm_vector(&vm), NP);
    *vm_gate(&vm, DF) &= 0x7f;
    expect("#DF's gate is not present", inject(TYPE_EXCEPTION | EV | GP, 0x18), EXIT_SHUTDOWN);
    set_up(vm.format, vm.nested.format);
    vm.vmcb->idtr.limit = 0;
    expect("no IDT", inject(TYPE_INTR | 0x20, 0), EXIT_SHUTDOWN);
}

/* ---- single steps and breakpoints where guest and host meet ---- */

static void first_instruction(void)
{
    set_up(vm.format, vm.nested.format);
    vm.vmcb->rflags = 2 | RFLAGS_TF;
    RUN_CODE(&vm, "\x90\x90\x0f\x01\xd9");
    expect("TF traps after the first instruction", (u64)vm_vector(&vm), DB);
    expect("return address", vm_stack_word(&vm, 0), vm.code_va + 0x81);
    expect("DR6.BS", vm.vmcb->dr6 >> 14 & 1, 1);
    vm.vmcb->rflags = 2;
    vm.vmcb->rsp = vm.stack_va;
    __asm__ volatile("mov %0, %%dr0" : : "r"(vm.code_va + 0x80)); /* VMRUN does not load DR0 */
    vm.vmcb->dr7 = 0x401;
    vm.vmcb->dr6 = 0xffff0ff0;
    RUN_CODE(&vm, "\x90\x90\x0f\x01\xd9");
    expect("breakpoint on the first instruction", (u64)vm_vector(&vm), DB);
    expect("return address", vm_stack_word(&vm, 0), vm.code_va + 0x80);
    expect("DR6.B0", vm.vmcb->dr6 & 15, 1);
    vm.vmcb->rflags = 2 | RFLAGS_RF;
    vm.vmcb->dr7 = 0x401;
    RUN_CODE(&vm, "\x90\x90\x0f\x01\xd9");
    expect("RF lets it pass", vm.vmcb->rip, vm.code_va + 0x82);
    expect("and is gone", vm.vmcb->rflags & RFLAGS_RF, 0);
    vm.vmcb->dr7 = 0x400;
    vm.vmcb->rflags = 2;
    vm.vmcb->rip = 0x800000000000ull; /* VMRUN takes it; the guest faults */
    vm.vmcb->intercept_exceptions = 1u << GP;
    svm_run(vm.vmcb, &vm.regs);
    expect("rIP that is not canonical", vm.vmcb->exit_code, EXIT_EXCP0 + GP);
}

void guest_main(void)
{
    static const struct {
        enum format guest, nested;
    } modes[] = { { FMT_NONE, FMT_4 }, { FMT_PAE, FMT_4 }, { FMT_4, FMT_4 }, { FMT_PAE, FMT_NONE }, { FMT_4, FMT_NONE } };

    svm_enable();
    for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (modes[i].nested && !cpu_svm_feature(FEATURE_NP))
            continue;
        section("guest", format_name(modes[i].guest), "paging", modes[i].nested ? "nested" : "shadow");
        set_up(modes[i].guest, modes[i].nested);
        every_type();
        if (modes[i].nested) {
            nested_breaks();
            guest_breaks();
        }
        double_faults();
        first_instruction();
        section_end();
    }
}
