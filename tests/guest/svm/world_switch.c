// SPDX-License-Identifier: MIT
/* bits: 64 */
/* run: --cpu max */
/* also: k8 barcelona zen3 */
/* VMRUN and #VMEXIT: faults of VMRUN itself, which registers go to the guest and come back, which are shared, how bases
 * are extended, what a refused VMCB leaves behind [APM2 15.5, 15.6]. */
#include "host.h"

enum {
    UD = 6,
    GP = 13,
    MSR_STAR_ = 0xc0000081,
    MSR_SFMASK_ = 0xc0000084,
    MSR_FS_BASE = 0xc0000100,
    MSR_KERNEL_GS = 0xc0000102,
    MSR_SYSENTER_EIP = 0x176,
    EFER_SCE_BIT = 1,
    CR4_DE = 1 << 3
};
#define VMMCALL "\x0f\x01\xd9"
static struct vm vm;

static u64 get_cr2(void)
{
    u64 v;
    __asm__ volatile("mov %%cr2, %0" : "=r"(v));
    return v;
}
static void set_cr2(u64 v)
{
    __asm__ volatile("mov %0, %%cr2" : : "r"(v));
}
static u64 get_dr0(void)
{
    u64 v;
    __asm__ volatile("mov %%dr0, %0" : "=r"(v));
    return v;
}
static void set_dr0(u64 v)
{
    __asm__ volatile("mov %0, %%dr0" : : "r"(v));
}
static u64 get_dr7(void)
{
    u64 v;
    __asm__ volatile("mov %%dr7, %0" : "=r"(v));
    return v;
}
static void set_dr7(u64 v)
{
    __asm__ volatile("mov %0, %%dr7" : : "r"(v));
}
static u64 get_dr6(void)
{
    u64 v;
    __asm__ volatile("mov %%dr6, %0" : "=r"(v));
    return v;
}
static u64 get_rflags(void)
{
    u64 v;
    __asm__ volatile("pushf; pop %0" : "=r"(v));
    return v;
}

static void begin(const char *what)
{
    section(what, NULL, NULL, NULL);
    vm_init(&vm, FMT_4, cpu_svm_feature(FEATURE_NP) ? FMT_4 : FMT_NONE);
    vm_events(&vm);
    vm.vmcb->intercept_exceptions = 0;
}

/* ---- VMRUN's own faults ---- */

static int vmrun_at(u64 address)
{
    return try_vmrun((const struct vmcb *)(uintptr_t)address);
}

static void faults(void)
{
    u64 efer = rdmsr(MSR_EFER);

    begin("faults of VMRUN");
    expect("not page-aligned", (u64)vmrun_at(phys(vm.vmcb) + 8), GP);
    expect("a byte before the next page", (u64)vmrun_at(phys(vm.vmcb) + 0xfff), GP);
    expect("beyond physical memory", (u64)vmrun_at(1ull << cpu_phys_bits()), GP);
    expect("not canonical", (u64)vmrun_at(1ull << 63), GP);
    wrmsr(MSR_EFER, efer & ~(u64)EFER_SVME);
    expect("EFER.SVME 0", (u64)vmrun_at(phys(vm.vmcb)), UD);
    expect("before the address is looked at", (u64)vmrun_at(phys(vm.vmcb) + 8), UD);
    wrmsr(MSR_EFER, efer);
    section_end();
}

/* ---- registers ---- */

static void both_ways(void)
{
    u64 cr0 = read_cr0(), cr3 = read_cr3(), cr4 = read_cr4(), efer = rdmsr(MSR_EFER);
    struct {
        u16 limit;
        u64 base;
    } __attribute__((packed)) gdt[2], idt[2];

    begin("registers of each side");
    __asm__ volatile("sgdt %0; sidt %1" : "=m"(gdt[0]), "=m"(idt[0]));
    vm.vmcb->efer ^= EFER_SCE_BIT;
    vm.vmcb->cr4 ^= CR4_DE;
    vm.vmcb->rflags = 2 | 1; /* CF */
    vm.vmcb->rax = 0xabc;
    vm.regs.rcx = 0;
    u64 rflags = get_rflags();
    /* mov rbx, cr4; mov ecx, EFER; rdmsr; vmmcall */
    expect("runs", RUN_CODE(&vm, "\x0f\x20\xe3\xb9\x80\x00\x00\xc0\x0f\x32" VMMCALL), EXIT_VMMCALL);
    expect("the guest's CR4", vm.regs.rbx, vm.vmcb->cr4);
    expect("the guest's EFER", (u32)vm.vmcb->rax, vm.vmcb->efer);
    expect("its flags are saved", vm.vmcb->rflags, 2 | 1);
    expect("CR0", read_cr0(), cr0);
    expect("CR3", read_cr3(), cr3);
    expect("CR4", read_cr4(), cr4);
    expect("EFER", rdmsr(MSR_EFER), efer);
    expect("RFLAGS", get_rflags() & 0xfffffffffffff72aull,
           rflags & 0xfffffffffffff72aull); /* but for those of arithmetic */
    __asm__ volatile("sgdt %0; sidt %1" : "=m"(gdt[1]), "=m"(idt[1]));
    expect("GDTR", gdt[1].base + gdt[1].limit, gdt[0].base + gdt[0].limit);
    expect("IDTR", idt[1].base + idt[1].limit, idt[0].base + idt[0].limit);
    expect("the guest's GDTR", vm.vmcb->gdtr.base != gdt[0].base, true);
    section_end();
}

/* Loaded by VMRUN and not restored by #VMEXIT: CR2, DR6. Neither: DR0-DR3, MSRs and FS, GS that only VMLOAD moves. */
static void shared(void)
{
    u64 star = rdmsr(MSR_STAR_);

    begin("registers of both");
    set_cr2(0x111);
    set_dr0(0x222);
    vm.vmcb->cr2 = 0x333;
    vm.vmcb->dr6 = 0xffff0ff1;
    vm.vmcb->dr7 = 0x400;
    set_dr7(0x455); /* breakpoints on; nothing touches 222h */
    wrmsr(MSR_STAR_, 0x444);
    wrmsr(MSR_KERNEL_GS, 0x555);
    wrmsr(MSR_FS_BASE, 0x666);
    wrmsr(MSR_SYSENTER_EIP, 0x777);
    /* mov rbx, cr2; mov rcx, dr0; mov rdx, dr7; vmmcall */
    expect("runs", RUN_CODE(&vm, "\x0f\x20\xd3\x0f\x21\xc1\x0f\x21\xfa" VMMCALL), EXIT_VMMCALL);
    expect("CR2 is the VMCB's", vm.regs.rbx, 0x333);
    expect("DR0 is the host's", vm.regs.rcx, 0x222);
    expect("DR7 is the VMCB's", vm.regs.rdx, 0x400);
    expect("CR2 stays", get_cr2(), 0x333);
    expect("DR6 stays", get_dr6(), 0xffff0ff1);
    expect("DR7 is disabled", get_dr7(), 0x400);
    /* mov ecx, STAR; rdmsr; mov ebx, eax; mov eax, 88h; xor edx, edx; wrmsr; mov rax, 999h; mov dr0, rax; mov cr2, rax;
     * vmmcall */
    expect(
        "runs",
        RUN_CODE(&vm,
                 "\xb9\x81\x00\x00\xc0\x0f\x32\x89\xc3\xb8\x88\x00\x00\x00\x31\xd2\x0f\x30\x48\xc7\xc0\x99\x09\x00\x00"
                 "\x0f\x23\xc0\x0f\x22\xd0" VMMCALL),
        EXIT_VMMCALL);
    expect("STAR was the host's", (u32)vm.regs.rbx, 0x444);
    expect("and is the guest's", rdmsr(MSR_STAR_), 0x88);
    expect("DR0", get_dr0(), 0x999);
    expect("CR2", get_cr2(), 0x999);
    expect("saved CR2", vm.vmcb->cr2, 0x999);
    expect("STAR of the VMCB", vm.vmcb->star, 0);
    __asm__ volatile("vmsave" : : "a"(vm.vmcb) : "memory");
    expect("until VMSAVE", vm.vmcb->star, 0x88);
    expect("KernelGSBase", vm.vmcb->kernel_gs_base, 0x555);
    expect("FS", vm.vmcb->fs.base, 0x666);
    expect("SYSENTER_EIP", vm.vmcb->sysenter_eip, 0x777);
    vm.vmcb->star = 0x1234;
    __asm__ volatile("vmload" : : "a"(vm.vmcb) : "memory");
    expect("VMLOAD", rdmsr(MSR_STAR_), 0x1234);
    wrmsr(MSR_STAR_, star);
    wrmsr(MSR_FS_BASE, 0);
    set_dr0(0);
    section_end();
}

/* Bases are extended from the highest bit of a linear address; rIP is taken as it is. */
static void canonical(void)
{
    u64 bit = cpu_has_la57() ? 56 : 47, bad = 1ull << bit;

    begin("addresses that are not canonical");
    vm.vmcb->ds.base = bad | 0x1000;
    expect("DS base", RUN_CODE(&vm, VMMCALL), EXIT_VMMCALL);
    expect("is extended", vm.vmcb->ds.base, ~(bad - 1) | 0x1000);
    vm.vmcb->ds.base = 0;
    vm.vmcb->fs.base = bad | 0x2000;
    __asm__ volatile("vmload" : : "a"(vm.vmcb) : "memory");
    expect("FS base by VMLOAD", rdmsr(MSR_FS_BASE), ~(bad - 1) | 0x2000);
    wrmsr(MSR_FS_BASE, 0);
    vm.vmcb->intercept_exceptions = 1u << GP;
    vm.vmcb->rip = 1ull << 62;
    svm_run(vm.vmcb, &vm.regs);
    expect("rIP", vm.vmcb->exit_code, EXIT_EXCP0 + GP);
    expect("saved", vm.vmcb->rip, 1ull << 62);
    section_end();
}

/* ---- VMCBs that are refused ---- */

static void refused(const char *what)
{
    u64 cr0 = read_cr0(), cr3 = read_cr3(), cr4 = read_cr4(), efer = rdmsr(MSR_EFER);

    vm.vmcb->event_inj = EVENT_VALID | 0x20;
    vm.vmcb->rip = vm.code_va + 0x80;
    vm.vmcb->exit_code = 0;
    svm_run(vm.vmcb, &vm.regs);
    expect(what, vm.vmcb->exit_code, EXIT_INVALID);
    expect("no event", vm.vmcb->event_inj, 0);
    expect("nothing ran", vm.vmcb->rip, vm.code_va + 0x80);
    expect("CR0", read_cr0(), cr0);
    expect("CR3", read_cr3(), cr3);
    expect("CR4", read_cr4(), cr4);
    expect("EFER", rdmsr(MSR_EFER), efer);
}

static void invalid(void)
{
    u64 old;

    begin("VMCBs that are refused");
#define REFUSED(field, value)                                                                                          \
    old = vm.vmcb->field;                                                                                              \
    vm.vmcb->field = value;                                                                                            \
    refused(#field);                                                                                                   \
    vm.vmcb->field = old
    REFUSED(guest_asid, 0);
    REFUSED(intercept_misc2, 2);
    REFUSED(efer, vm.vmcb->efer & ~(u64)EFER_SVME);
    REFUSED(efer, vm.vmcb->efer | 1ull << 40);
    REFUSED(cr0, vm.vmcb->cr0 | 1ull << 32);
    REFUSED(cr0, (vm.vmcb->cr0 & ~(u64)CR0_PE));
    REFUSED(cr0, (vm.vmcb->cr0 & ~(u64)CR0_CD) | 1u << 29);
    REFUSED(cr3, 1ull << cpu_phys_bits());
    REFUSED(cr4, vm.vmcb->cr4 & ~(u64)CR4_PAE);
    REFUSED(cr4, vm.vmcb->cr4 | 1ull << 31);
    REFUSED(dr6, 1ull << 32);
    REFUSED(dr7, 1ull << 32);
    REFUSED(cs.attrib, vm.vmcb->cs.attrib | 1u << 10); /* L and D */
    REFUSED(msrpm_base_pa, (1ull << cpu_phys_bits()) - 0x1000);
    vm.vmcb->rip = vm.code_va + 0x80;
    memcpy(vm.code + 0x80, VMMCALL, 3);
    svm_run(vm.vmcb, &vm.regs);
    expect("and one that is not", vm.vmcb->exit_code, EXIT_VMMCALL);
    section_end();
}

void guest_main(void)
{
    svm_enable();
    host_events_init();
    faults();
    both_ways();
    shared();
    canonical();
    invalid();
}
