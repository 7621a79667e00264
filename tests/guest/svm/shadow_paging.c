// SPDX-License-Identifier: MIT
/* bits: 64 */
/* run: --cpu max */
/* Shadow paging with all that it needs: #PF, CR0 and CR3 and INVLPG intercepted, the guest's faults reflected with CR2 and error code, A and
 * D kept for the guest; and what a guest sees of a hypervisor that forgets a flush [APM2 15.16, 15.25.1]. */
#include "vm.h"

enum { VECTOR_PF = 14 };
static struct vm vm;
static struct tables shadow;
static u64 guest_cr3, guest_cr0;
static unsigned filled, reflected, dropped, again;
static u8 *other_page;
static bool forget; /* the hypervisor's mistake: no flush */

static unsigned leaf_level(u64 va)
{
    return vm.format == FMT_PSE && entry_get(&vm.guest, va, 2) & E_PS ? 2 : 1;
}

/* What the processor would do in the guest's tables: the error code, or 0 with *frame, *rights, A and D set. */
static u64 guest_walk(u64 va, u64 error, u64 *frame, u64 *rights)
{
    unsigned leaf = 1;
    u64 e = 0;

    *rights = E_ALL;
    for (unsigned l = format_levels(vm.format); l >= leaf; l--) {
        e = entry_get(&vm.guest, va, l);
        if (!(e & E_P))
            return (error & ~(u64)PF_P) | (1ull << 63);
        if (l == leaf_level(va))
            leaf = l;
        if (vm.format == FMT_PAE && l == 3)
            continue;
        *rights &= e;
        if (!(error & PF_W && l == leaf && !(e & E_W)))
            entry_set(&vm.guest, va, l, e | E_A | (error & PF_W && l == leaf ? E_D : 0));
        e = entry_get(&vm.guest, va, l);
    }
    if (error & PF_W && !(*rights & E_W))
        return error | PF_P | (1ull << 63);
    *frame = (e & 0x000ffffffffff000ull & ~(leaf == 2 ? 0x3ff000ull : 0)) + (leaf == 2 ? va & 0x3ff000 : 0);
    if (!(e & E_D))
        *rights &= ~(u64)E_W; /* the first write must come to us */
    return 0;
}

static void page_fault(void)
{
    u64 va = vm.vmcb->exit_info2, frame, rights, error = guest_walk(va, vm.vmcb->exit_info1, &frame, &rights);

    if (!error) {
        map(&shadow, va & ~0xfffull, frame, rights, 1);
        filled++;
        if (vm.vmcb->exit_int_info & EVENT_VALID) { /* the fault broke off a delivery: it must be made again */
            vm.vmcb->event_inj = vm.vmcb->exit_int_info;
            again++;
        }
        return;
    }
    vm.vmcb->cr2 = va;
    vm.vmcb->event_inj = (error & 0xffffffff) << 32 | EVENT_VALID | EVENT_EXCEPTION | EVENT_ERROR_CODE | VECTOR_PF;
    reflected++;
}

static void drop(u64 va)
{
    for (unsigned l = format_levels(shadow.format); l > 1; l--) {
        if (!(entry_get(&shadow, va, l) & E_P))
            return;
    }
    entry_set(&shadow, va, 1, 0);
    if (!forget)
        __asm__ volatile("invlpga" : : "a"(va), "c"(1) : "memory");
    dropped++;
}

/* Runs the guest and does what it must not do itself, until it calls. MOV is from or to RAX. */
static void run(void)
{
    struct vmcb *v = vm.vmcb;

    for (;;) {
        svm_run(v, &vm.regs);
        v->tlb_control = TLB_KEEP;
        switch (v->exit_code) {
        case EXIT_EXCP_PF:
            page_fault();
            break;
        case EXIT_CR3_READ:
            v->rax = guest_cr3;
            v->rip = v->next_rip;
            break;
        case EXIT_CR3_WRITE:
            expect("decode assist of MOV CR3: RAX", v->exit_info1, 1ull << 63 | 0);
            guest_cr3 = vm.guest.root = v->rax;
            tables_init(&shadow, vm.format, 0);
            v->cr3 = shadow.root;
            v->tlb_control = forget ? TLB_KEEP : TLB_FLUSH_ASID;
            v->rip = v->next_rip;
            break;
        case EXIT_CR0_READ:
            v->rax = guest_cr0;
            v->rip = v->next_rip;
            break;
        case EXIT_CR0_WRITE:
            guest_cr0 = v->rax;
            v->rip = v->next_rip;
            break;
        case EXIT_INVLPG:
            drop(v->exit_info1);
            v->rip = v->next_rip;
            break;
        default:
            return;
        }
    }
}

static void set_up(enum format f)
{
    vm_init(&vm, f, FMT_NONE);
    vm_events(&vm);
    other_page = pages_take();
    *(u32 *)(void *)(vm.data + DATA_OFFSET) = 0xaaaa;
    *(u32 *)(void *)(other_page + DATA_OFFSET) = 0xbbbb;
    tables_init(&shadow, f, 0);
    guest_cr3 = vm.guest.root;
    guest_cr0 = vm.vmcb->cr0;
    vm.vmcb->cr3 = shadow.root;
    vm.vmcb->intercept_cr = 1u << 0 | 1u << 3 | 1u << 16 | 1u << 19;
    vm.vmcb->intercept_misc1 |= INTERCEPT_INVLPG;
    vm.vmcb->intercept_exceptions = 1u << VECTOR_PF;
    filled = reflected = dropped = again = 0;
    forget = false;
}

static void go(const char *what, unsigned at, u64 rax)
{
    vm.vmcb->rip = vm.code_va + at;
    vm.vmcb->rax = rax;
    vm.vmcb->rsp = vm.stack_va;
    run();
    expect(what, vm.vmcb->exit_code, EXIT_VMMCALL);
}

static u32 reads(const char *what)
{
    go(what, 0, vm.data_va + DATA_OFFSET);
    return (u32)vm.regs.rcx;
}

/* Faults fill the shadow; A and D of the guest's entries follow its accesses. */
static void filling(enum format f)
{
    unsigned leaf = f == FMT_PSE ? 2 : 1;

    set_up(f);
    expect("value", reads("read"), 0xaaaa);
    expect("filled: code and data", filled, 2);
    expect("A, not D", entry_get(&vm.guest, vm.data_va, leaf) & (E_A | E_D), E_A);
    expect("again", reads("read"), 0xaaaa);
    expect("no fault", filled, 2);
    vm.regs.rcx = 0x1234;
    go("write", 0x10, vm.data_va + DATA_OFFSET);
    expect("a fault for D", filled, 3);
    expect("A and D", entry_get(&vm.guest, vm.data_va, leaf) & (E_A | E_D), E_A | E_D);
    expect("stored", *(u32 *)(void *)(vm.data + DATA_OFFSET), 0x1234);
    go("write", 0x10, vm.data_va + DATA_OFFSET);
    expect("no fault", filled, 3);
    expect("nothing reflected", reflected, 0);
}

/* The guest's own faults reach its handler with error code and CR2. */
static void reflecting(enum format f)
{
    unsigned leaf = f == FMT_PSE ? 2 : 1;
    u64 good;

    set_up(f);
    good = entry_get(&vm.guest, vm.data_va, leaf);
    entry_set(&vm.guest, vm.data_va, leaf, 0);
    go("read of nothing", 0, vm.data_va + DATA_OFFSET);
    expect("its handler", (u64)vm_vector(&vm), VECTOR_PF);
    expect("error code", vm_stack_word(&vm, 0), 0);
    expect("return address", vm_stack_word(&vm, 1), vm.code_va);
    expect("broken off by the pages of IDT, GDT and stack", again, 3);
    memcpy(vm.code + 0x80, "\x0f\x20\xd0\x0f\x01\xd9", 6); /* mov rax, cr2; vmmcall */
    go("reads CR2", 0x80, 0);
    expect("CR2", vm.vmcb->rax, vm.data_va + DATA_OFFSET);
    entry_set(&vm.guest, vm.data_va, leaf, good & ~(u64)E_W);
    expect("read-only can be read", reads("read"), 0xaaaa);
    go("write to read-only", 0x10, vm.data_va + DATA_OFFSET);
    expect("its handler", (u64)vm_vector(&vm), VECTOR_PF);
    expect("error code", vm_stack_word(&vm, 0), PF_P | PF_W);
    expect("no D", entry_get(&vm.guest, vm.data_va, leaf) & E_D, 0);
    expect("reflected", reflected, 2);
}

/* INVLPG and MOV CR3, rightly done and forgotten. */
static void flushing(enum format f)
{
    struct tables first, second;

    if (f == FMT_PSE)
        return;
    for (unsigned wrong = 0; wrong < 2; wrong++) {
        set_up(f);
        forget = wrong;
        expect("before", reads("read"), 0xaaaa);
        map(&vm.guest, vm.data_va, phys(other_page), E_ALL, 1);
        expect("no INVLPG yet", reads("read"), 0xaaaa);
        memcpy(vm.code + 0x80, "\x0f\x01\x38\x0f\x01\xd9", 6); /* invlpg [rax]; vmmcall */
        go("INVLPG", 0x80, vm.data_va + 0x7ff);
        expect("seen by the host", dropped, 1);
        expect("after INVLPG", reads("read"), wrong ? 0xaaaa : 0xbbbb);

        /* A second address space of the guest. */
        set_up(f);
        forget = wrong;
        expect("first space", reads("read"), 0xaaaa);
        first = second = vm.guest;
        tables_init(&second, f, 0);
        map(&second, vm.code_va, phys(vm.code), E_ALL, 1);
        map(&second, vm.data_va, phys(other_page), E_ALL, 1);
        memcpy(vm.code + 0x80, "\x0f\x22\xd8\x0f\x20\xd8\x0f\x01\xd9", 9); /* mov cr3, rax; mov rax, cr3; vmmcall */
        go("MOV CR3", 0x80, second.root);
        expect("CR3 reads as written", vm.vmcb->rax, second.root);
        expect("and is ours in truth", vm.vmcb->cr3, shadow.root);
        expect("second space", reads("read"), wrong ? 0xaaaa : 0xbbbb);
        go("MOV CR3", 0x80, first.root);
        expect("first space again", reads("read"), 0xaaaa);
    }
}

/* CR0 as the guest believes it to be. */
static void control_registers(enum format f)
{
    set_up(f);
    memcpy(vm.code + 0x80, "\x0f\x20\xc0\x0f\x01\xd9", 6); /* mov rax, cr0; vmmcall */
    memcpy(vm.code + 0x90, "\x0f\x22\xc0\x0f\x01\xd9", 6); /* mov cr0, rax; vmmcall */
    go("read CR0", 0x80, 0);
    expect("CR0", vm.vmcb->rax, guest_cr0);
    go("write CR0", 0x90, guest_cr0 & ~(u64)CR0_WP);
    go("read CR0", 0x80, 0);
    expect("WP is gone for the guest", vm.vmcb->rax & CR0_WP, 0);
    expect("and stays in truth", vm.vmcb->cr0 & CR0_WP, CR0_WP);
}

void guest_main(void)
{
    svm_enable();
    for (enum format f = FMT_32; f < FORMATS; f++) {
        if (f == FMT_5 && !cpu_has_la57()) /* the host's mode does not matter to shadow tables: it has four levels */
            continue;
        section("guest", format_name(f), NULL, NULL);
        filling(f);
        reflecting(f);
        flushing(f);
        control_registers(f);
        section_end();
    }
}
