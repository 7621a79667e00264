// SPDX-License-Identifier: MIT
/* Stands still three calls deep, each with a frame pointer, after two #VMEXITs. The command line says where the
 * frame pointer points instead: "apic" and "hole" are no memory, "loop" is itself. */
#include "cmdline.h"
#include "svm.h"

void inner(void);
void middle(void);
void outer(uintptr_t frame);

/* outer(frame): frame 0 leaves rBP as it should be. */
__asm__(".text\n"
        ".type outer,@function\nouter: push %rbp; mov %rsp,%rbp; mov %rdi,%rbx; call middle; pop %rbp; ret\n.size outer,.-outer\n"
        ".type middle,@function\nmiddle: push %rbp; mov %rsp,%rbp; call inner; pop %rbp; ret\n.size middle,.-middle\n"
        ".type inner,@function\ninner: push %rbp; mov %rsp,%rbp; test %rbx,%rbx; jz 1f; mov %rbx,%rbp\n1: jmp 1b\n.size inner,.-inner\n"
        ".globl inner,middle,outer\n");

static struct vmcb vmcb PAGE_ALIGNED;
static u8 guest_stack[4096] PAGE_ALIGNED;
static u64 self;

__attribute__((noinline)) static void nested_guest(void)
{
    __asm__ volatile("vmmcall");
    for (;;)
        __asm__ volatile("hlt");
}

void guest_main(void)
{
    struct guest_regs regs = { 0 };
    svm_enable();
    vmcb_init(&vmcb);
    vmcb.intercept_misc1 |= INTERCEPT_HLT;
    vmcb.rip = (uintptr_t)nested_guest;
    vmcb.rsp = (uintptr_t)guest_stack + sizeof(guest_stack) - sizeof(void *);
    svm_run(&vmcb, &regs);
    vmcb.rip += 3;
    svm_run(&vmcb, &regs);
    print("stuck\n");
    self = (uintptr_t)&self;
    outer(cmdline_is("apic") ? 0xFEE00000 : cmdline_is("hole") ? 0xFD000000 : cmdline_is("loop") ? (uintptr_t)&self : 0);
}
