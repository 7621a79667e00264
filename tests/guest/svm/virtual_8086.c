// SPDX-License-Identifier: MIT
/* bits: 64 */
/* run: --cpu max */
/* also: k8 barcelona */
/* A guest in virtual-8086 mode, entered by VMRUN and by its own IRET: segments, what IOPL and the permission map refuse
 * before and after the intercepts, INT n through gates and (VME) through the real-mode table, events into and out of
 * the mode [APM2 8.9, 12.2.4, 15.5.1, 15.20]. */
#include "vm.h"

enum { RFLAGS_IF = 1 << 9, IOPL3 = 3 << 12, RFLAGS_VM = 1 << 17, RFLAGS_VIF = 1 << 19, CR4_VME = 1 };
enum {
    UD = 6,
    GP = 13,
    PF = 14,
    TYPE_INTR = 0,
    TYPE_INTN = 4 << 8,
    EXIT_SWINT = 0x75,
    EXIT_PUSHF = 0x70,
    EXIT_POPF = 0x71,
    EXIT_IRET = 0x74
};
/* Linear addresses of the mode's pages; the same numbers by 16 are the selectors. */
enum {
    IVT = 0,
    DATA = 0x7000,
    CODE = 0x8000,
    STACK = 0x9000,
    SP = 0x800,
    TSS = 0x100,
    BITMAP = TSS + 0x68,
    IOMAP = 0x88,
    TSS_LIMIT = IOMAP + 16
};

__asm__(".code16\n"
        "v86_code:\n"
        "v_memory: movw $0x1234, 0x10; addw $0x1111, 0x10; movw 0x10, %bx; pushw $0x55; popw %cx; movw $0x123, %ax; "
        "movw %ax, %fs; movw %ax, %es; vmmcall\n"
        "v_flags: sti; pushf; popw %bx; cli; pushf; popw %cx; pushw $0x3002; popf; vmmcall\n"
        "v_far: lcall $0x880, $(f_target - f_base); movw %cs, %cx; vmmcall\n"
        "v_int: xorw %bx, %bx; int $0x33; movw %bx, %cx; vmmcall\n"
        "v_int_only: int $0x33; vmmcall\n"
        "v_cli: cli; vmmcall\n"
        "v_sti: sti; vmmcall\n"
        "v_pushf: pushf; vmmcall\n"
        "v_pushfl: pushfl; vmmcall\n"
        "v_popf: popf; vmmcall\n"
        "v_iret: iret; vmmcall\n"
        "v_hlt: hlt; vmmcall\n"
        "v_cr0: movl %cr0, %ecx; vmmcall\n"
        "v_lidt: lidt 0x60; vmmcall\n"
        "v_invd: invd; vmmcall\n"
        "v_sldt: sldt %cx; vmmcall\n"
        "v_vmrun: .byte 0x0f, 0x01, 0xd8; vmmcall\n"
        "v_stgi: .byte 0x0f, 0x01, 0xdc; vmmcall\n"
        "v_in_free: in $0x40, %al; vmmcall\n"
        "v_in_barred: in $0x41, %al; vmmcall\n"
        "v_in_beyond: in %dx, %al; vmmcall\n"
        "v_read: movw 0x10, %bx; vmmcall\n"
        "v_nop: nop; vmmcall\n"
        "v_handler: movw $0x3333, %bx; iret\n"
        "   .skip 0x800 - (. - v86_code)\n"
        "f_base: .skip 0x10\n"
        "f_target: movw %cs, %bx; lret\n"
        "v86_end:\n"
        ".code64\n");
extern const u8 v86_code[], v86_end[], v_memory[], v_flags[], v_far[], v_int[], v_int_only[], v_cli[], v_sti[],
    v_pushf[], v_pushfl[], v_popf[], v_iret[], v_hlt[], v_cr0[], v_lidt[], v_invd[], v_sldt[], v_vmrun[], v_stgi[],
    v_in_free[], v_in_barred[], v_in_beyond[], v_read[], v_nop[], v_handler[];

static struct vm vm;
static u8 *ivt, *data, *code, *stack;

static struct vmcb_seg real_seg(u32 linear)
{
    return (struct vmcb_seg){(u16)(linear >> 4), 0xf3, 0xffff, linear};
}

static u8 *page_at(u32 linear)
{
    u8 *page = pages_take();
    map(&vm.guest, linear, phys(page) + vm.guest.offset, E_ALL, 1);
    return page;
}

static u16 offset(const u8 *label)
{
    return (u16)(label - v86_code);
}

/* Ports 0-7Fh but 41h are free, no vector is redirected. */
static void task_state(void)
{
    u16 map_at = IOMAP;
    memset(vm.system + BITMAP, 0xff, 32);
    memset(vm.system + TSS + IOMAP, 0, 17);
    memcpy(vm.system + TSS + 0x66, &map_at, 2);
    vm.system[TSS + IOMAP + 0x41 / 8] = 1 << (0x41 & 7);
    vm.vmcb->tr.limit = TSS_LIMIT;
    __asm__ volatile("vmload" : : "a"(vm.vmcb) : "memory");
}

static void set_up(enum format f, enum format nested)
{
    vm_init(&vm, f, nested);
    vm_events(&vm);
    ivt = page_at(IVT);
    data = page_at(DATA);
    code = page_at(CODE);
    stack = page_at(STACK);
    for (u64 p = pages_first(); nested && p < pages_end(); p += PAGE_SIZE)
        map(&vm.nested, p + GPA_OFFSET, p, E_ALL, 1);
    memcpy(code, v86_code, (size_t)(v86_end - v86_code));
    *(u32 *)(void *)(ivt + 4 * 0x33) = (u32)CODE >> 4 << 16 | offset(v_handler);
    task_state();
    vm.vmcb->intercept_exceptions = 0;
    vm.vmcb->tlb_control = TLB_FLUSH_ALL;
}

static void enter(const u8 *label, u32 rflags)
{
    struct vmcb *v = vm.vmcb;
    v->cs = real_seg(CODE);
    v->ds = v->es = real_seg(DATA);
    v->ss = real_seg(STACK);
    v->cpl = 0; /* has no say */
    v->rflags = 2 | RFLAGS_VM | rflags;
    v->rsp = SP;
    v->rip = offset(label);
}

static u64 run(const u8 *label, u32 rflags)
{
    enter(label, rflags);
    svm_run(vm.vmcb, &vm.regs);
    return vm.vmcb->exit_code;
}

static void works(const char *what, const u8 *label, u32 rflags)
{
    expect(what, run(label, rflags), EXIT_VMMCALL);
    expect(what, vm.vmcb->rflags & RFLAGS_VM, RFLAGS_VM);
    expect(what, vm.vmcb->cpl, 3);
    expect(what, vm.vmcb->cs.base, CODE);
}

/* ---- instructions ---- */

static void instructions(void)
{
    works("memory", v_memory, 0);
    expect("MOV, ADD", (u16)vm.regs.rbx, 0x2345);
    expect("stored", *(u16 *)(void *)(data + 0x10), 0x2345);
    expect("PUSH and POP", (u16)vm.regs.rcx, 0x55);
    expect("ES selector", vm.vmcb->es.selector, 0x123);
    expect("ES base", vm.vmcb->es.base, 0x1230);
    expect("ES limit", vm.vmcb->es.limit, 0xffff);
    works("far call", v_far, 0);
    expect("CS inside", (u16)vm.regs.rbx, 0x880);
    expect("CS after", (u16)vm.regs.rcx, 0x800);
    works("STI, CLI, PUSHF, POPF at IOPL 3", v_flags, IOPL3);
    expect("IF set", vm.regs.rbx & (RFLAGS_IF | IOPL3), RFLAGS_IF | IOPL3);
    expect("IF clear", vm.regs.rcx & (RFLAGS_IF | IOPL3), IOPL3);
    works("IN of a free port", v_in_free, 0);
}

/* The handler's frame: everything that VM changed, and the data segments empty [APM2 8.9.3]. */
static void frame(const char *what, unsigned vector, bool error, u32 code_error, u64 rip, u32 rflags)
{
    expect(what, (u64)vm_vector(&vm), vector);
    if (error)
        expect(what, vm_stack_word(&vm, 0), code_error);
    expect(what, vm_stack_word(&vm, error), rip);
    expect(what, vm_stack_word(&vm, error + 1) & 0xffff, CODE >> 4);
    expect(what, vm_stack_word(&vm, error + 2) & (RFLAGS_VM | RFLAGS_IF | IOPL3), RFLAGS_VM | rflags);
    expect(what, vm_stack_word(&vm, error + 3), SP);
    expect(what, vm_stack_word(&vm, error + 4) & 0xffff, STACK >> 4);
    expect(what, vm_stack_word(&vm, error + 5) & 0xffff, DATA >> 4);
    expect(what, vm_stack_word(&vm, error + 6) & 0xffff, DATA >> 4);
    expect(what, vm.vmcb->rflags & (RFLAGS_VM | RFLAGS_IF), 0);
    expect(what, vm.vmcb->cpl, 0);
    expect(what, vm.vmcb->ds.selector, 0);
    expect(what, vm.vmcb->es.selector, 0);
    expect(what, vm.vmcb->cs.selector, 0x08);
    expect(what, vm.vmcb->ss.selector, 0x10);
}

static void faults_at(const char *what, const u8 *label, u32 rflags, unsigned vector)
{
    run(label, rflags);
    frame(what, vector, vector == GP, 0, offset(label), rflags);
}

static void refused(void)
{
    static const struct {
        const char *what;
        const u8 *label;
        unsigned vector;
    } always[] =
        {
            {"HLT", v_hlt, GP},
            {"MOV from CR0", v_cr0, GP},
            {"LIDT", v_lidt, GP},
            {"INVD", v_invd, GP},
            {"IN of a barred port", v_in_barred, GP},
            {"IN of a port beyond the map", v_in_beyond, GP},
            {"SLDT", v_sldt, UD},
            {"VMRUN", v_vmrun, UD},
            {"STGI", v_stgi, UD},
        },
      below3[] = {
          {"CLI", v_cli, GP},   {"STI", v_sti, GP},   {"PUSHF", v_pushf, GP},    {"32-bit PUSHF", v_pushfl, GP},
          {"POPF", v_popf, GP}, {"IRET", v_iret, GP}, {"INT n", v_int_only, GP},
      };
    vm.regs.rdx = 0x3f8;
    for (unsigned i = 0; i < sizeof(always) / sizeof(always[0]); i++) {
        faults_at(always[i].what, always[i].label, 0, always[i].vector);
        faults_at(always[i].what, always[i].label, IOPL3, always[i].vector);
    }
    for (unsigned i = 0; i < sizeof(below3) / sizeof(below3[0]); i++)
        faults_at(below3[i].what, below3[i].label, 2 << 12, below3[i].vector);

    /* Intercepts before IOPL is looked at, but after CPL and the permission map [APM2 15.9, 15.10]. */
    u32 misc1 = vm.vmcb->intercept_misc1;
    vm.vmcb->intercept_misc1 |= 1u << 16 | 1u << 17 | 1u << 20 | 1u << 21 | INTERCEPT_HLT;
    expect("PUSHF intercepted", run(v_pushf, 0), EXIT_PUSHF);
    expect("POPF intercepted", run(v_popf, 0), EXIT_POPF);
    expect("IRET intercepted", run(v_iret, 0), EXIT_IRET);
    expect("INT n intercepted", run(v_int_only, 0), EXIT_SWINT);
    expect("where it stands", vm.vmcb->rip, offset(v_int_only));
    if (cpu_svm_feature(FEATURE_DECODE_ASSISTS))
        expect("its vector", vm.vmcb->exit_info1, 0x33);
    faults_at("HLT with its intercept", v_hlt, IOPL3, GP);
    vm.vmcb->intercept_misc1 = misc1 | INTERCEPT_IOIO;
    memset((void *)(uintptr_t)(vm.vmcb->iopm_base_pa), 0xff, 3 * PAGE_SIZE);
    expect("IN of a free port intercepted", run(v_in_free, 0), EXIT_IOIO);
    expect("the port", vm.vmcb->exit_info1 >> 16, 0x40);
    faults_at("IN of a barred port with its intercept", v_in_barred, 0, GP);
    memset((void *)(uintptr_t)(vm.vmcb->iopm_base_pa), 0, 3 * PAGE_SIZE);
    vm.vmcb->intercept_misc1 = misc1;
}

/* ---- software interrupts ---- */

static void software_interrupts(void)
{
    u8 *gate = vm_gate(&vm, 0x33), was = *gate;

    run(v_int_only, IOPL3);
    frame("INT n, gate of DPL 0", GP, true, 0x33 * 8 + 2, offset(v_int_only), IOPL3);
    *gate |= 0x60;
    run(v_int_only, IOPL3);
    frame("INT n, gate of DPL 3", 0x33, false, 0, offset(v_int_only) + 2u, IOPL3);
    vm.vmcb->cr4 |= CR4_VME;
    run(v_int_only, IOPL3);
    frame("VME, not redirected", 0x33, false, 0, offset(v_int_only) + 2u, IOPL3);
    faults_at("VME, not redirected, IOPL 0", v_int_only, 0, GP);
    vm.system[BITMAP + 0x33 / 8] &= (u8) ~(1 << (0x33 & 7));
    works("VME, redirected, IOPL 3", v_int, IOPL3);
    expect("its handler", (u16)vm.regs.rcx, 0x3333);
    works("VME, redirected, IOPL 0", v_int, RFLAGS_VIF);
    expect("its handler", (u16)vm.regs.rcx, 0x3333);
    expect("IRET brought VIF back", vm.vmcb->rflags & RFLAGS_VIF, RFLAGS_VIF);
    expect("IF is untouched", vm.vmcb->rflags & RFLAGS_IF, 0);
    works("CLI at IOPL 0", v_cli, RFLAGS_VIF | RFLAGS_IF);
    expect("clears VIF", vm.vmcb->rflags & (RFLAGS_VIF | RFLAGS_IF), RFLAGS_IF);
    works("STI at IOPL 0", v_sti, 0);
    expect("sets VIF", vm.vmcb->rflags & (RFLAGS_VIF | RFLAGS_IF), RFLAGS_VIF);
    works("PUSHF at IOPL 0", v_pushf, RFLAGS_VIF);
    expect("VIF as IF, IOPL 3", *(u16 *)(void *)(stack + SP - 2) & (RFLAGS_IF | IOPL3), RFLAGS_IF | IOPL3);
    faults_at("32-bit PUSHF at IOPL 0", v_pushfl, 0, GP);
    vm.system[BITMAP + 0x33 / 8] = 0xff;
    vm.vmcb->cr4 &= ~(u64)CR4_VME;
    *gate = was;
}

/* ---- events ---- */

static void inject(u64 event, u32 rflags)
{
    enter(v_nop, rflags);
    vm.vmcb->next_rip = vm.vmcb->rip;
    vm.vmcb->event_inj = EVENT_VALID | event;
    svm_run(vm.vmcb, &vm.regs);
}

static void events(void)
{
    u8 *gate = vm_gate(&vm, 0x33), was = *gate;
    u64 vintr = vm.vmcb->vintr;

    inject(TYPE_INTR | 0x20, 0);
    frame("interrupt", 0x20, false, 0, offset(v_nop), 0);
    *gate |= 0x60;
    inject(TYPE_INTN | 0x33, IOPL3);
    frame("INT n injected, IOPL 3", 0x33, false, 0, offset(v_nop), IOPL3);
    inject(TYPE_INTN | 0x33, 0);
    frame("INT n injected, IOPL 0", GP, true, 0, offset(v_nop), 0);
    vm.vmcb->cr4 |= CR4_VME;
    vm.system[BITMAP + 0x33 / 8] &= (u8) ~(1 << (0x33 & 7));
    inject(TYPE_INTN | 0x33, 0);
    expect("INT n injected, redirected", vm.vmcb->exit_code, EXIT_VMMCALL);
    expect("in the mode", vm.vmcb->rflags & RFLAGS_VM, RFLAGS_VM);
    expect("by way of its handler", (u16)vm.regs.rbx, 0x3333);
    vm.system[BITMAP + 0x33 / 8] = 0xff;
    vm.vmcb->cr4 &= ~(u64)CR4_VME;
    *gate = was;

    enter(v_nop, RFLAGS_IF);
    vm.vmcb->vintr = V_IRQ | 1ull << 20 | 0x51ull << 32;
    svm_run(vm.vmcb, &vm.regs);
    frame("virtual interrupt", 0x51, false, 0, offset(v_nop), RFLAGS_IF);
    enter(v_nop, 0);
    vm.vmcb->vintr = V_IRQ | 1ull << 20 | 0x51ull << 32;
    svm_run(vm.vmcb, &vm.regs);
    expect("virtual interrupt, IF 0", vm.vmcb->rip, offset(v_nop) + 1u);
    vm.vmcb->vintr = vintr;

    /* A page of the supervisor; error code of a user's read. */
    u64 leaf = entry_get(&vm.guest, DATA, 1);
    entry_set(&vm.guest, DATA, 1, leaf & ~(u64)E_U);
    vm.regs.rbx = 0x7777;
    run(v_read, 0);
    frame("#PF", PF, true, PF_P | PF_U, offset(v_read), 0);
    vm.vmcb->intercept_exceptions = 1u << PF;
    expect("#PF intercepted", run(v_read, 0), EXIT_EXCP_PF);
    expect("error code", vm.vmcb->exit_info1, PF_P | PF_U);
    expect("address", vm.vmcb->exit_info2, DATA + 0x10);
    vm.vmcb->intercept_exceptions = 0;
    entry_set(&vm.guest, DATA, 1, leaf);
}

static void nested_faults(void)
{
    u64 gpa = phys(data) + GPA_OFFSET, leaf = entry_get(&vm.nested, gpa, 1);

    entry_set(&vm.nested, gpa, 1, 0);
    expect("data", run(v_read, 0), EXIT_NPF);
    expect("data", vm.vmcb->exit_info1, NPF_FINAL | PF_U);
    expect("data", vm.vmcb->exit_info2, gpa + 0x10);
    expect("VM", vm.vmcb->rflags & RFLAGS_VM, RFLAGS_VM);
    entry_set(&vm.nested, gpa, 1, leaf);
}

/* The guest's own way in: IRET in ring 0 with VM in the image, and back by a fault. */
static void by_iret(void)
{
    struct vmcb *v = vm.vmcb;
    u32 image[9] = {offset(v_nop), CODE >> 4, 2 | RFLAGS_VM, SP, STACK >> 4, DATA >> 4, DATA >> 4, 0, 0};
    u64 at = vm.stack_va - sizeof(image);

    memcpy(vm.stack + (at & 0xfff), image, sizeof(image));
    v->cs = vmcb_flat(0x08, 0xc9b);
    v->ss = v->ds = v->es = vmcb_flat(0x10, 0xc93);
    v->cpl = 0;
    v->rflags = 2;
    v->rsp = at;
    expect("IRET", RUN_CODE(&vm, "\xcf"), EXIT_VMMCALL);
    expect("rIP", v->rip, offset(v_nop) + 1u);
    expect("VM", v->rflags & RFLAGS_VM, RFLAGS_VM);
    expect("CPL", v->cpl, 3);
    expect("CS base", v->cs.base, CODE);
    expect("SS base", v->ss.base, STACK);
    expect("DS base", v->ds.base, DATA);
    expect("SP", v->rsp, SP);
    v->rip = offset(v_cli); /* goes on from the exit */
    svm_run(v, &vm.regs);
    frame("CLI then", GP, true, 0, offset(v_cli), 0);
}

void guest_main(void)
{
    svm_enable();
    for (unsigned n = 0; n < (cpu_svm_feature(FEATURE_NP) ? 2 : 1); n++) {
        for (enum format f = FMT_32; f <= FMT_PAE; f++) {
            section(n ? "nested" : "shadow", format_name(f), NULL, NULL);
            set_up(f, n ? FMT_4 : FMT_NONE);
            instructions();
            refused();
            software_interrupts();
            events();
            by_iret();
            if (n)
                nested_faults();
            section_end();
        }
    }
}
