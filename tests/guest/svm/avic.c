// SPDX-License-Identifier: MIT
/* bits: 64 */
/* run: --cpu max --vcpus 2 */
/* AVIC and x2AVIC: two guests on two processors send each other interrupts without a #VMEXIT; where that can not be, the exit says why and
 * the hypervisor goes on from there [APM2 15.29]. */
#include "host.h"

enum { OTHER = 1, VECTOR = 0x51, PING = 0x52, ROUNDS = 1000 };
enum { AVIC_ENABLE = 31, X2AVIC_ENABLE = 30 };                            /* bits of 060h */
enum { EXIT_INCOMPLETE_IPI = 0x401, EXIT_NOACCEL = 0x402, NOT_RUNNING = 1, INVALID_TARGET = 2 };
enum { FEATURE_AVIC = 13, FEATURE_X2AVIC = 18, MSR_DOORBELL = 0xc001011b };
#define ENTRY_VALID (1ull << 63)
#define ENTRY_RUNNING (1ull << 62)
#define APIC_GPA 0xfee00000ull
#define APIC_VA 0x800000ull
#define COUNTS_VA 0x801000ull

static struct vm vm; /* tables, code and handlers of both; its VMCB is the second processor's */
static struct vmcb first_vmcb PAGE_ALIGNED;
static struct guest_regs first_regs;
static u8 *backing[2], *counts;
static u64 *physical_table;
static u32 *logical_table;

static volatile u32 *vapic(unsigned who, unsigned reg)
{
    return (volatile u32 *)(void *)(backing[who] + reg);
}

static bool in_register(unsigned who, unsigned base, unsigned vector)
{
    return *vapic(who, base + (vector >> 5) * 16) >> (vector & 31) & 1;
}
enum { ISR = 0x100, IRR = 0x200 };

static void running(unsigned who, bool on)
{
    physical_table[who] = (physical_table[who] & ~ENTRY_RUNNING) | (on ? ENTRY_RUNNING : 0);
}

static void set_up(bool x2)
{
    vm_init(&vm, FMT_4, FMT_4);
    vm_events(&vm);
    physical_table = pages_take();
    logical_table = pages_take();
    counts = pages_take();
    u8 *dummy = pages_take(); /* what the nested tables name for APIC_BAR; nothing must come there */
    for (unsigned i = 0; i < 2; i++) {
        backing[i] = pages_take();
        *vapic(i, APIC_ID) = x2 ? i : i << 24;
        *vapic(i, 0xd0) = 1u << (24 + i);
        *vapic(i, 0xe0) = 0xffffffff;
        physical_table[i] = ENTRY_VALID | phys(backing[i]) | i;
        logical_table[i] = 1u << 31 | i;
    }
    map(&vm.nested, APIC_GPA, phys(dummy), E_ALL, 1);
    map(&vm.guest, APIC_VA, APIC_GPA, E_ALL, 1);
    map(&vm.guest, COUNTS_VA, phys(counts) + GPA_OFFSET, E_ALL, 1);
    vm.vmcb->intercept_exceptions = 0;
    vm.vmcb->vintr = 1ull << AVIC_ENABLE | (x2 ? 1ull << X2AVIC_ENABLE : 0) | V_INTR_MASKING;
    vm.vmcb->avic_apic_bar = APIC_GPA;
    vm.vmcb->avic_logical_table = phys(logical_table);
    vm.vmcb->avic_physical_table = phys(physical_table) | 3;
    vm.vmcb->rflags |= RFLAGS_IF;
    vm.vmcb->exit_code = 0x1234;
    first_vmcb = *vm.vmcb;
    first_vmcb.avic_backing_page = phys(backing[0]);
    first_vmcb.rsp -= 0x400;
    vm.vmcb->avic_backing_page = phys(backing[1]);
    vm.regs = (struct guest_regs){ .rsi = APIC_VA, .rdi = COUNTS_VA + 64 };
    first_regs = (struct guest_regs){ .rsi = APIC_VA, .rdi = COUNTS_VA };
}

static void run_other(void)
{
    svm_run(vm.vmcb, &vm.regs);
}

/* The second guest counts at its own place until an interrupt comes: 1: inc dword [rdi]; jmp 1b */
static void start_other(void)
{
    volatile u32 *count = (volatile u32 *)(void *)(counts + 64);
    memcpy(vm.code + 0x180, "\xff\x07\xeb\xfc", 4);
    vm.vmcb->rip = vm.code_va + 0x180;
    running(1, true);
    smp_run(OTHER, run_other);
    for (u32 before = *count; *count - before < 3;)
        __asm__ volatile("pause" : : : "memory");
}

static void wait_other(void)
{
    smp_wait(OTHER);
    running(1, false);
}

static u64 run_first(const char *code, unsigned n)
{
    memcpy(vm.code + 0x80, code, n);
    first_vmcb.rip = vm.code_va + 0x80;
    running(0, true);
    svm_run(&first_vmcb, &first_regs);
    running(0, false);
    return first_vmcb.exit_code;
}
#define RUN_FIRST(code) run_first(code, sizeof(code) - 1)
/* mov [rsi+310h], ecx; mov [rsi+300h], edx; vmmcall */
#define SEND "\x89\x8e\x10\x03\x00\x00\x89\x96\x00\x03\x00\x00\x0f\x01\xd9"
enum { SEND_LEN = 12 };

static void one_ipi(const char *what, u32 dest, u32 command)
{
    set_up(false);
    start_other();
    first_regs.rcx = dest;
    first_regs.rdx = command | VECTOR;
    expect(what, RUN_FIRST(SEND), EXIT_VMMCALL);
    wait_other();
    expect(what, (u64)vm_vector(&vm), VECTOR);
    expect("IRR", in_register(1, IRR, VECTOR), false);
    expect("ISR", in_register(1, ISR, VECTOR), true);
    expect("PPR", *vapic(1, 0xa0), VECTOR & 0xf0);
    expect("no interrupt of the host", host_seen[OTHER].count[VECTOR] + host_seen[0].count[VECTOR], 0);
}

static void ipis(void)
{
    section("to a running guest", NULL, NULL, NULL);
    one_ipi("physical", 1u << 24, 0);
    one_ipi("logical, flat", 2u << 24, 1 << 11);
    one_ipi("all but self", 0, 3 << 18);
    section_end();
}

/* The target is not running: the request is set and the hypervisor is told to run it; VMRUN looks. */
static void not_running(void)
{
    section("to one that waits", NULL, NULL, NULL);
    set_up(false);
    first_regs.rcx = 1u << 24;
    first_regs.rdx = VECTOR;
    expect("exit", RUN_FIRST(SEND), EXIT_INCOMPLETE_IPI);
    expect("ICR", first_vmcb.exit_info1, 1ull << 56 | VECTOR);
    expect("not running, index 1", first_vmcb.exit_info2, (u64)NOT_RUNNING << 32 | 1);
    expect("behind the write", first_vmcb.rip, vm.code_va + 0x80 + SEND_LEN);
    expect("IRR", in_register(1, IRR, VECTOR), true);
    memcpy(vm.code + 0x180, "\x0f\x01\xd9", 3);
    vm.vmcb->rip = vm.code_va + 0x180;
    smp_run(OTHER, run_other);
    smp_wait(OTHER);
    expect("taken before the first instruction", (u64)vm_vector(&vm), VECTOR);
    expect("return address", vm_stack_word(&vm, 0), vm.code_va + 0x180);

    set_up(false);
    first_regs.rcx = 2u << 24;
    first_regs.rdx = VECTOR;
    expect("exit", RUN_FIRST(SEND), EXIT_INCOMPLETE_IPI);
    expect("no such target", first_vmcb.exit_info2, (u64)INVALID_TARGET << 32 | 2);
    section_end();
}

/* The hypervisor posts an interrupt itself: IRR and the doorbell. */
static void posted(void)
{
    section("posted by the host", NULL, NULL, NULL);
    set_up(false);
    start_other();
    *vapic(1, IRR + (VECTOR >> 5) * 16) |= 1u << (VECTOR & 31);
    for (unsigned i = 0; i < 1000; i++)
        __asm__ volatile("pause" : : : "memory");
    expect("nobody looks without a doorbell", smp_done(OTHER), false);
    wrmsr(MSR_DOORBELL, OTHER);
    wait_other();
    expect("doorbell", (u64)vm_vector(&vm), VECTOR);
    section_end();
}

/* Handler of PING: lock inc dword [rdi]; EOI; if count < ebp, answer by ICR; iretq */
#define HANDLER                                                                                                        \
    "\xf0\xff\x07\xc7\x86\xb0\x00\x00\x00\x00\x00\x00\x00\x39\x2f\x73\x0c\x89\x8e\x10\x03\x00\x00\x89\x96\x00\x03\x00\x00\x48\xcf"
/* 1: cli; cmp dword [rdi], 1000; jae 2f; sti; hlt; jmp 1b; 2: vmmcall */
#define WAIT "\xfa\x81\x3f\xe8\x03\x00\x00\x73\x04\xfb\xf4\xeb\xf3\x0f\x01\xd9"

static void ping_pong(void)
{
    section("a thousand rounds without an exit", NULL, NULL, NULL);
    set_up(false);
    u8 *gate = vm_gate(&vm, PING) - 5;
    u64 at = vm.code_va + 0x200;
    memcpy(vm.code + 0x200, HANDLER, sizeof(HANDLER) - 1);
    gate[0] = (u8)at, gate[1] = (u8)(at >> 8), gate[6] = (u8)(at >> 16), gate[7] = (u8)(at >> 24);
    memcpy(vm.code + 0x180, WAIT, sizeof(WAIT) - 1);
    vm.vmcb->rip = vm.code_va + 0x180;
    vm.regs.rcx = 0;
    vm.regs.rdx = first_regs.rdx = PING;
    vm.regs.rbp = 0x7fffffff; /* always answers */
    first_regs.rcx = 1u << 24;
    first_regs.rbp = ROUNDS;
    running(0, true), running(1, true);
    smp_run(OTHER, run_other);
    /* the first one sends, then waits like the other */
    expect("first", RUN_FIRST("\x89\x8e\x10\x03\x00\x00\x89\x96\x00\x03\x00\x00" WAIT), EXIT_VMMCALL);
    wait_other();
    expect("second", vm.vmcb->exit_code, EXIT_VMMCALL);
    expect("rounds", *(u32 *)(void *)counts, ROUNDS);
    expect("rounds", *(u32 *)(void *)(counts + 64), ROUNDS);
    for (unsigned i = 0; i < 2; i++)
        expect("nothing left", in_register(i, ISR, PING) || in_register(i, IRR, PING), false);
    section_end();
}

/* wrmsr; vmmcall */
#define WRMSR "\x0f\x30\x0f\x01\xd9"

static void x2avic(void)
{
    section("x2AVIC", NULL, NULL, NULL);
    set_up(true);
    start_other();
    first_regs.rcx = 0x830;
    first_regs.rdx = 1;
    first_vmcb.rax = VECTOR;
    expect("ICR by MSR", RUN_FIRST(WRMSR), EXIT_VMMCALL);
    wait_other();
    expect("taken", (u64)vm_vector(&vm), VECTOR);

    set_up(true);
    start_other();
    first_regs.rcx = 0x830;
    first_regs.rdx = 2; /* cluster 0, member 1 */
    first_vmcb.rax = 1 << 11 | VECTOR;
    expect("logical", RUN_FIRST(WRMSR), EXIT_VMMCALL);
    wait_other();
    expect("taken", (u64)vm_vector(&vm), VECTOR);

    set_up(true);
    first_regs.rcx = 0x83f; /* SELF_IPI */
    first_regs.rdx = 0;
    first_vmcb.rax = VECTOR;
    expect("self", RUN_FIRST(WRMSR), EXIT_VMMCALL);
    expect("taken behind the instruction", first_vmcb.rip, vm.handlers_va + VECTOR * 4);
    first_vmcb.rflags &= ~(u64)RFLAGS_IF;
    first_regs.rcx = 0x80f;
    first_vmcb.rax = 0x1ff;
    expect("SVR", RUN_FIRST(WRMSR), EXIT_NOACCEL);
    expect("written", *vapic(0, APIC_SVR), 0x1ff);
    section_end();
}

void guest_main(void)
{
    svm_enable();
    host_events_init();
    smp_start(OTHER);
    section("CPUID", NULL, NULL, NULL);
    bool has = expect("AVIC", cpu_svm_feature(FEATURE_AVIC), true) & expect("x2AVIC", cpu_svm_feature(FEATURE_X2AVIC), true);
    section_end();
    if (!has)
        return;
    ipis();
    not_running();
    posted();
    ping_pong();
    x2avic();
}
