// SPDX-License-Identifier: MIT
/* SYSCALL from 64-bit user code and SYSRET back. */
#include "bench.h"

/* RBX: calls left; R12: calls seen by the kernel; R15: the stack to return on. */
__asm__(".globl run_user, kernel_entry\n"
        "run_user:\n" /* u64 run_user(u64 calls, void *user_stack) */
        "    push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "    mov %rsp, %r15\n"
        "    mov %rdi, %rbx\n"
        "    xor %r12d, %r12d\n"
        "    mov %rsi, %rsp\n"
        "    lea user_code(%rip), %rcx\n"
        "    mov $2, %r11d\n"
        "    sysretq\n"
        "user_code:\n"
        "    syscall\n"
        "    dec %rbx\n"
        "    jnz user_code\n"
        "    mov $-1, %rax\n"
        "    syscall\n"
        "kernel_entry:\n"
        "    cmp $-1, %rax\n"
        "    je 1f\n"
        "    lea 1(%r12), %rax\n"
        "    mov %rax, %r12\n"
        "    sysretq\n"
        "1:  mov %r15, %rsp\n"
        "    mov %r12, %rax\n"
        "    pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "    ret\n");
u64 run_user(u64 calls, void *user_stack);
void kernel_entry(void);

void guest_main(void)
{
    enum { CALLS = 10000000 };
    static u8 stack[4096] PAGE_ALIGNED;

    bench_begin("syscalls");
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE);
    wrmsr(MSR_STAR, 0x0013000800000000);
    wrmsr(MSR_LSTAR, (uintptr_t)kernel_entry);
    wrmsr(MSR_SFMASK, 0x300);
    bench_end("syscalls", CALLS, "calls", run_user(CALLS, stack + sizeof(stack)));
}
