// SPDX-License-Identifier: MIT
#include "svm.h"

static u8 host_save[PAGE_SIZE] PAGE_ALIGNED;

void svm_enable(void)
{
    u32 r[4];

    cpuid(0x80000001, 0, r);
    if (!(r[2] & 1 << 2)) {
        print("FAILED: this CPU has no SVM\n");
        guest_exit(GUEST_FAIL);
    }
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
    wrmsr(MSR_VM_HSAVE_PA, phys(host_save));
}

struct vmcb_seg vmcb_flat(u16 selector, u16 attrib)
{
    return (struct vmcb_seg){ selector, attrib, 0xffffffff, 0 };
}

static struct vmcb_seg table(const void *descriptor)
{
    struct {
        u16 limit;
        uintptr_t base;
    } __attribute__((packed)) const *d = descriptor;

    return (struct vmcb_seg){ 0, 0, d->limit, d->base };
}

void vmcb_init(struct vmcb *vmcb)
{
    u8 gdtr[10], idtr[10];

    memset(vmcb, 0, sizeof(*vmcb));
    __asm__ volatile("sgdt %0; sidt %1" : "=m"(gdtr), "=m"(idtr));
    vmcb->intercept_misc1 = INTERCEPT_SHUTDOWN;
    vmcb->intercept_misc2 = INTERCEPT_VMRUN | INTERCEPT_VMMCALL; /* without the first VMRUN refuses the guest */
    vmcb->guest_asid = 1;
    vmcb->cs = vmcb_flat(0x08, sizeof(void *) == 8 ? 0xa9b : 0xc9b);
    vmcb->ds = vmcb->es = vmcb->fs = vmcb->gs = vmcb->ss = vmcb_flat(0x10, 0xc93);
    vmcb->gdtr = table(gdtr);
    vmcb->idtr = table(idtr);
    vmcb->tr = (struct vmcb_seg){ 0, 0x8b, 0xffff, 0 };
    vmcb->ldtr = (struct vmcb_seg){ 0, 0x82, 0, 0 };
    vmcb->cr0 = read_cr0();
    vmcb->cr3 = read_cr3();
    vmcb->cr4 = read_cr4();
    vmcb->efer = rdmsr(MSR_EFER);
    vmcb->dr6 = 0xffff0ff0;
    vmcb->dr7 = 0x400;
    vmcb->rflags = 2;
    vmcb->g_pat = 0x0007040600070406;
}

/* CLGI keeps interrupts away from the switch; VMRUN sets GIF for the guest, #VMEXIT clears it. VMLOAD and VMSAVE
 * are left out: host and guest share FS, GS, TR and the system-call MSRs in these examples. */
#ifdef __x86_64__
__asm__(".globl svm_switch\n"
        "svm_switch:\n"
        "    push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "    push %rsi\n"
        "    mov %rdi, %rax\n"
        "    mov (%rsi), %rbx; mov 8(%rsi), %rcx; mov 16(%rsi), %rdx\n"
        "    mov 32(%rsi), %rdi; mov 40(%rsi), %rbp; mov 24(%rsi), %rsi\n"
        "    clgi\n"
        "    vmrun %rax\n"
        "    stgi\n"
        "    xchg %rsi, (%rsp)\n"
        "    mov %rbx, (%rsi); mov %rcx, 8(%rsi); mov %rdx, 16(%rsi)\n"
        "    mov %rdi, 32(%rsi); mov %rbp, 40(%rsi)\n"
        "    pop %rax\n"
        "    mov %rax, 24(%rsi)\n"
        "    pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "    ret\n");
#else
__asm__(".globl svm_switch\n"
        "svm_switch:\n"
        "    push %ebx; push %ebp; push %esi; push %edi\n"
        "    mov 20(%esp), %eax\n"
        "    mov 24(%esp), %esi\n"
        "    push %esi\n"
        "    mov (%esi), %ebx; mov 4(%esi), %ecx; mov 8(%esi), %edx\n"
        "    mov 16(%esi), %edi; mov 20(%esi), %ebp; mov 12(%esi), %esi\n"
        "    clgi\n"
        "    vmrun %eax\n"
        "    stgi\n"
        "    xchg %esi, (%esp)\n"
        "    mov %ebx, (%esi); mov %ecx, 4(%esi); mov %edx, 8(%esi)\n"
        "    mov %edi, 16(%esi); mov %ebp, 20(%esi)\n"
        "    pop %eax\n"
        "    mov %eax, 12(%esi)\n"
        "    pop %edi; pop %esi; pop %ebp; pop %ebx\n"
        "    ret\n");
#endif
void svm_switch(uintptr_t vmcb_pa, struct guest_regs *regs);

void svm_run(struct vmcb *vmcb, struct guest_regs *regs)
{
    svm_switch((uintptr_t)phys(vmcb), regs);
}

const char *svm_exit_name(u64 code)
{
    static const struct {
        u64 code;
        const char *name;
    } names[] = {
        { EXIT_CR0_READ, "CR0 read" },   { EXIT_CR3_READ, "CR3 read" },   { EXIT_CR0_WRITE, "CR0 write" },
        { EXIT_CR3_WRITE, "CR3 write" }, { EXIT_EXCP_UD, "#UD" },         { EXIT_EXCP_PF, "#PF" },
        { EXIT_INTR, "INTR" },           { EXIT_VINTR, "VINTR" },         { EXIT_CPUID, "CPUID" },
        { EXIT_HLT, "HLT" },             { EXIT_INVLPG, "INVLPG" },       { EXIT_IOIO, "IOIO" },
        { EXIT_MSR, "MSR" },             { EXIT_SHUTDOWN, "SHUTDOWN" },   { EXIT_VMMCALL, "VMMCALL" },
        { EXIT_NPF, "NPF" },             { ~0ull, "INVALID" },
    };

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].code == code)
            return names[i].name;
    }
    return "unexpected";
}

void print_exit(const struct vmcb *vmcb)
{
    print("#VMEXIT ");
    print(svm_exit_name(vmcb->exit_code));
    print(" (code ");
    print_hex(vmcb->exit_code);
    print(")\n");
}
