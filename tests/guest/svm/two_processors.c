// SPDX-License-Identifier: MIT
/* bits: 64 */
/* run: --cpu max --vcpus 2 */
/* Rules that need a second processor: INIT, SIPI, NMI and interrupts sent to one that runs a guest, a VMCB and tables changed under it, one
 * ASID on two processors, and flushes, which reach no further than the processor that makes them [APM2 15.13, 15.16, 15.21.8, 15.28]. */
#include "host.h"

enum { OTHER = 1, VECTOR = 0x51, EXIT_NMI = 0x61, EXIT_INIT = 0x63, OLD = 0x01d01d, NEW = 0x2e32e3 };
static struct vm vm;                   /* the second processor's guest */
static struct vmcb own_vmcb PAGE_ALIGNED; /* the first's, on the same tables */
static u8 *flag_page, *new_page;
enum { FLAG_VA = 0x700000 };

/* The guest shows that it runs by counting at FLAG_VA, and ends when the word behind is set:
 * 1: inc dword [rbx]; cmp dword [rbx+4], 0; je 1b; vmmcall */
#define SPIN "\xff\x03\x83\x7b\x04\x00\x74\xf8\x0f\x01\xd9"
/* The same, and then mov ecx, [rax]; vmmcall */
#define SPIN_AND_READ "\xff\x03\x83\x7b\x04\x00\x74\xf8\x8b\x08\x0f\x01\xd9"

static volatile u32 *flags(void)
{
    return (volatile u32 *)(void *)flag_page;
}

static void set_up(void)
{
    vm_init(&vm, FMT_4, FMT_4);
    vm_events(&vm);
    flag_page = pages_take();
    new_page = pages_take();
    map(&vm.guest, FLAG_VA, phys(flag_page) + GPA_OFFSET, E_ALL, 1);
    *(u32 *)(void *)(vm.data + DATA_OFFSET) = OLD;
    *(u32 *)(void *)(new_page + DATA_OFFSET) = NEW;
    vm.vmcb->intercept_exceptions = 0;
    vm.vmcb->exit_code = 0x1234;
    vm.regs.rbx = FLAG_VA;
    host_events_reset();
}

static void run_guest(void)
{
    svm_run(vm.vmcb, &vm.regs);
}

static void wait_for_guest(void)
{
    u32 before = flags()[0];
    while (flags()[0] - before < 3)
        __asm__ volatile("pause" : : : "memory");
}

/* The second processor enters the guest; returns when it counts. */
static void start_guest(const char *code, unsigned count)
{
    memcpy(vm.code + 0x80, code, count);
    vm.vmcb->rip = vm.code_va + 0x80;
    flags()[1] = 0;
    smp_run(OTHER, run_guest);
    wait_for_guest();
}
#define START_GUEST(code) start_guest(code, sizeof(code) - 1)

static void end_guest(void)
{
    flags()[1] = 1;
    smp_wait(OTHER);
}

static void inside_loop(void)
{
    u64 at = vm.vmcb->rip - vm.code_va - 0x80;
    expect("rIP is in the loop", at == 0 || at == 2 || at == 6, true);
}

/* ---- events ---- */

static void interrupts_sent(void)
{
    section("sent to a guest", NULL, NULL, NULL);
    set_up();
    vm.vmcb->intercept_misc1 |= INTERCEPT_NMI;
    START_GUEST(SPIN);
    apic_send(OTHER, ICR_NMI);
    smp_wait(OTHER);
    expect("NMI, intercepted", vm.vmcb->exit_code, EXIT_NMI);
    inside_loop();
    expect("and taken by that host", host_seen[OTHER].count[VECTOR_NMI], 1);
    expect("not by this one", host_seen[0].count[VECTOR_NMI], 0);

    set_up();
    START_GUEST(SPIN);
    apic_send(OTHER, ICR_FIXED | VECTOR);
    wait_for_guest();
    expect("interrupt, guest IF 0", vm.vmcb->exit_code, 0x1234);
    end_guest();
    expect("interrupt, guest IF 0", vm.vmcb->exit_code, EXIT_VMMCALL);
    vm.vmcb->rflags |= RFLAGS_IF;
    vm.vmcb->intercept_misc1 |= INTERCEPT_INTR;
    smp_run(OTHER, run_guest);
    smp_wait(OTHER);
    expect("guest IF 1, intercepted", vm.vmcb->exit_code, EXIT_INTR);
    vm.vmcb->intercept_misc1 &= ~(u32)INTERCEPT_INTR;
    smp_run(OTHER, run_guest);
    smp_wait(OTHER);
    expect("guest IF 1, taken", (u64)vm_vector(&vm), VECTOR);
    section_end();
}

static void set_redirect(void)
{
    wrmsr(MSR_VM_CR, rdmsr(MSR_VM_CR) | VM_CR_R_INIT);
}

/* A processor in guest mode does not listen to SIPI; INIT is intercepted, redirected or taken. */
static void init(void)
{
    section("INIT and SIPI", NULL, NULL, NULL);
    set_up();
    START_GUEST(SPIN);
    apic_send(OTHER, ICR_STARTUP | 8);
    wait_for_guest();
    end_guest();
    expect("SIPI is nothing", vm.vmcb->exit_code, EXIT_VMMCALL);

    smp_run(OTHER, set_redirect);
    smp_wait(OTHER);
    set_up();
    vm.vmcb->intercept_misc1 |= 1 << 3;
    START_GUEST(SPIN);
    apic_send(OTHER, ICR_INIT);
    smp_wait(OTHER);
    expect("INIT, intercepted", vm.vmcb->exit_code, EXIT_INIT);
    inside_loop();
    expect("stays pending: #SX in the host after STGI", host_seen[OTHER].count[VECTOR_SX], 1);
    expect("error code", host_seen[OTHER].error, 1);

    set_up();
    vm.vmcb->intercept_exceptions = 1u << VECTOR_SX;
    START_GUEST(SPIN);
    apic_send(OTHER, ICR_INIT);
    smp_wait(OTHER);
    expect("INIT, redirected in the guest", vm.vmcb->exit_code, EXIT_EXCP0 + VECTOR_SX);
    expect("error code", vm.vmcb->exit_info1, 1);
    expect("not in the host", host_seen[OTHER].count[VECTOR_SX], 0);
    set_up();
    START_GUEST(SPIN);
    apic_send(OTHER, ICR_INIT);
    smp_wait(OTHER);
    expect("INIT, redirected to the guest's handler", (u64)vm_vector(&vm), VECTOR_SX);
    expect("error code", vm_stack_word(&vm, 0), 1);
    section_end();
}

static void clear_redirect(void)
{
    wrmsr(MSR_VM_CR, rdmsr(MSR_VM_CR) & ~(u64)VM_CR_R_INIT);
}

/* Without any of that the processor is reset: no #VMEXIT, and it starts again. INIT leaves VM_CR alone. */
static void init_taken(void)
{
    section("INIT that is taken", NULL, NULL, NULL);
    smp_run(OTHER, clear_redirect);
    smp_wait(OTHER);
    set_up();
    START_GUEST(SPIN);
    smp_start(OTHER);
    expect("no #VMEXIT", vm.vmcb->exit_code, 0x1234);
    u32 count = flags()[0];
    for (unsigned i = 0; i < 1000; i++)
        __asm__ volatile("pause" : : : "memory");
    expect("the guest does not run", flags()[0], count);
    set_up();
    START_GUEST(SPIN);
    end_guest();
    expect("and may run again", vm.vmcb->exit_code, EXIT_VMMCALL);
    section_end();
}

/* ---- memory changed under a running guest ---- */

/* VMRUN has read the VMCB: writing it changes nothing for this run, and #VMEXIT writes its own fields over it. */
static void vmcb_changed(void)
{
    section("a VMCB changed under its guest", NULL, NULL, NULL);
    set_up();
    /* the loop; cpuid; mov rcx, cr0; vmmcall */
    START_GUEST("\xff\x03\x83\x7b\x04\x00\x74\xf8\x50\x53\x31\xc0\x0f\xa2\x5b\x58\x0f\x20\xc1\x0f\x01\xd9");
    vm.vmcb->intercept_misc1 |= INTERCEPT_CPUID;
    vm.vmcb->intercept_cr = 0xffffffff;
    vm.vmcb->rip = 0x1234567;
    vm.vmcb->cr3 = 0x7654000;
    vm.vmcb->cs.attrib = 0;
    vm.vmcb->guest_asid = 0;
    vm.vmcb->nested_cr3 = 0x5555000;
    vm.vmcb->event_inj = EVENT_VALID | 0x20;
    vm.vmcb->tsc_offset = 99;
    end_guest();
    expect("the guest ran by what VMRUN read", vm.vmcb->exit_code, EXIT_VMMCALL);
    expect("rIP is written", vm.vmcb->rip, vm.code_va + 0x80 + 19);
    expect("CR3 is written", vm.vmcb->cr3, vm.guest.root);
    expect("CS is written", vm.vmcb->cs.attrib, 0xa9b);
    expect("EVENTINJ is cleared", vm.vmcb->event_inj, 0);
    expect("the ASID is not written", vm.vmcb->guest_asid, 0);
    expect("nCR3 is not written", vm.vmcb->nested_cr3, 0x5555000);
    expect("intercepts are not written", vm.vmcb->intercept_cr, 0xffffffff);
    smp_run(OTHER, run_guest);
    smp_wait(OTHER);
    expect("the next VMRUN reads it all", vm.vmcb->exit_code, EXIT_INVALID);
    section_end();
}

static void flush_vmrun(u8 control)
{
    own_vmcb = *vm.vmcb;
    struct guest_regs regs = vm.regs;
    memcpy(vm.code + 0xf0, "\x0f\x01\xd9", 3);
    own_vmcb.rip = vm.code_va + 0xf0;
    own_vmcb.tlb_control = control;
    svm_run(&own_vmcb, &regs);
    expect("VMRUN on the first processor", own_vmcb.exit_code, EXIT_VMMCALL);
}

static void invlpga_here(void)
{
    __asm__ volatile("invlpga" : : "a"(vm.data_va), "c"(1) : "memory");
}

/* The second processor's guest has read the page once; what it reads after a flush of `how` by `where`. */
static u32 after_flush(void (*how)(void), bool there)
{
    set_up();
    vm.regs.rcx = 0;
    vm.vmcb->rax = vm.data_va + DATA_OFFSET;
    START_GUEST(SPIN_AND_READ); /* TLB_CONTROL 1: begins empty */
    end_guest();
    expect("before", (u32)vm.regs.rcx, OLD);
    vm.vmcb->tlb_control = TLB_KEEP;
    vm.vmcb->rax = vm.data_va + DATA_OFFSET;
    START_GUEST(SPIN_AND_READ);
    map(&vm.guest, vm.data_va, phys(new_page) + GPA_OFFSET, E_ALL, 1);
    if (!there && how)
        how();
    end_guest();
    expect("while it ran", (u32)vm.regs.rcx, OLD);
    if (there) {
        smp_run(OTHER, how);
        smp_wait(OTHER);
    }
    vm.vmcb->rax = vm.data_va + DATA_OFFSET;
    START_GUEST(SPIN_AND_READ);
    end_guest();
    return (u32)vm.regs.rcx;
}

static void flush_all(void) { flush_vmrun(TLB_FLUSH_ALL); }
static void flush_asid(void) { flush_vmrun(TLB_FLUSH_ASID); }

/* Each processor has its own TLB: a shootdown must be made where the entries are. */
static void shootdown(void)
{
    section("flushes and the other processor", NULL, NULL, NULL);
    expect("no flush", after_flush(NULL, false), OLD);
    expect("TLB_CONTROL 1 here", after_flush(flush_all, false), OLD);
    expect("TLB_CONTROL 3 here", after_flush(flush_asid, false), OLD);
    expect("INVLPGA here", after_flush(invlpga_here, false), OLD);
    expect("INVLPGA there", after_flush(invlpga_here, true), NEW);
    expect("TLB_CONTROL 1 there", after_flush(flush_all, true), NEW);
    expect("TLB_CONTROL 3 there", after_flush(flush_asid, true), NEW);

    /* One ASID, two processors, two translations. */
    expect("stale there", after_flush(NULL, false), OLD);
    own_vmcb = *vm.vmcb;
    struct guest_regs regs = { 0 };
    own_vmcb.rip = vm.code_va;
    own_vmcb.rax = vm.data_va + DATA_OFFSET;
    own_vmcb.tlb_control = TLB_FLUSH_ASID;
    svm_run(&own_vmcb, &regs);
    expect("new here, under the same ASID", (u32)regs.rcx, NEW);
    section_end();
}

void guest_main(void)
{
    svm_enable();
    host_events_init();
    smp_start(OTHER);
    interrupts_sent();
    init();
    init_taken();
    vmcb_changed();
    shootdown();
}
