// SPDX-License-Identifier: MIT
/* The smallest hypervisor: one VMRUN, one #VMEXIT. The same text built as a 32-bit host is `hello`, as a 64-bit host
 * `hello64`. */
#include "svm.h"

static struct vmcb vmcb PAGE_ALIGNED;
static u8 guest_stack[4096] PAGE_ALIGNED;
static const char greeting[] = "guest: hello from the other side of VMRUN\n";

static void guest(void)
{
    print(greeting);
    __asm__ volatile("vmmcall" : : "a"(42));
    for (;;)
        __asm__ volatile("hlt");
}

void guest_main(void)
{
    struct guest_regs regs = { 0 };

    print(sizeof(void *) == 8 ? "host: 64-bit hypervisor\n" : "host: 32-bit hypervisor\n");
    svm_enable();
    vmcb_init(&vmcb);
    vmcb.intercept_misc1 |= INTERCEPT_HLT;
    vmcb.rip = (uintptr_t)guest;
    vmcb.rsp = (uintptr_t)guest_stack + sizeof(guest_stack) - sizeof(void *);
    print("host: VMRUN\n");
    svm_run(&vmcb, &regs);
    print("host: ");
    print_exit(&vmcb);
    check(vmcb.exit_code == EXIT_VMMCALL, "the guest left by VMMCALL");
    check((u32)vmcb.rax == 42, "RAX came back in the VMCB");

    /* VMMCALL is three bytes; the guest goes on behind it and halts. */
    vmcb.rip += 3;
    svm_run(&vmcb, &regs);
    print("host: ");
    print_exit(&vmcb);
    check(vmcb.exit_code == EXIT_HLT, "resumed, the guest halted");
}
