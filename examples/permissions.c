// SPDX-License-Identifier: MIT
/* The I/O permission map (a bit a port) and the MSR permission map (two bits an MSR) decide what the guest may touch
 * without leaving [APM2 15.10, 15.11]. */
#include "svm.h"

enum { MSR_FS_BASE = 0xc0000100, MSR_KERNEL_GS_BASE = 0xc0000102 };

static struct vmcb vmcb PAGE_ALIGNED;
static u8 guest_stack[4096] PAGE_ALIGNED;
static u8 iopm[3 * PAGE_SIZE] PAGE_ALIGNED;
static u8 msrpm[2 * PAGE_SIZE] PAGE_ALIGNED;

/* Fixed registers and instruction lengths, so that the host can answer without decoding. */
__asm__(".globl guest_code\n"
        "guest_code:\n"
        "    mov $0x5a, %eax\n"
        "    out %al, $0x80\n"        /* allowed */
        "    out %al, $0xe0\n"        /* intercepted: 2 bytes */
        "    mov $0x71, %edx\n"
        "    in (%dx), %ax\n"         /* touches 72h, intercepted */
        "    mov %eax, %ebx\n"
        "    mov $0xc0000102, %ecx\n"
        "    rdmsr\n"                 /* read allowed */
        "    mov $0x1111, %eax\n"
        "    xor %edx, %edx\n"
        "    wrmsr\n"                 /* write intercepted: 2 bytes */
        "    mov $0x12345678, %ecx\n"
        "    rdmsr\n"                 /* outside the map: intercepted always */
        "    vmmcall\n");
void guest_code(void);

static void deny_port(u16 port)
{
    iopm[port >> 3] |= (u8)(1 << (port & 7));
}

/* C0000000h-C0001FFFh stand at 800h, two bits each: read, write. */
static void deny_msr_write(u32 msr)
{
    u32 bit = (msr - 0xc0000000) * 2 + 1;

    msrpm[0x800 + (bit >> 3)] |= (u8)(1 << (bit & 7));
}

static void next(struct guest_regs *regs)
{
    svm_run(&vmcb, regs);
    print_exit(&vmcb);
}

void guest_main(void)
{
    struct guest_regs regs = { 0 };

    svm_enable();
    deny_port(0xe0);
    deny_port(0x72);
    deny_msr_write(MSR_KERNEL_GS_BASE);
    vmcb_init(&vmcb);
    vmcb.intercept_misc1 |= INTERCEPT_IOIO | INTERCEPT_MSR;
    vmcb.iopm_base_pa = phys(iopm);
    vmcb.msrpm_base_pa = phys(msrpm);
    vmcb.rip = (uintptr_t)guest_code;
    vmcb.rsp = (uintptr_t)guest_stack + sizeof(guest_stack) - 8;

    next(&regs);
    check(vmcb.exit_code == EXIT_IOIO && vmcb.exit_info1 >> 16 == 0xe0, "OUT to E0h left, OUT to 80h did not");
    check((vmcb.exit_info1 & 1) == 0 && (vmcb.exit_info1 & 0x70) == 0x10, "EXITINFO1: output, one byte");
    check(vmcb.exit_info2 == vmcb.rip + 2, "EXITINFO2 is the RIP behind the instruction");

    vmcb.rip = vmcb.exit_info2;
    next(&regs);
    check(vmcb.exit_code == EXIT_IOIO && vmcb.exit_info1 >> 16 == 0x71, "a word from 71h left because of 72h");
    check((vmcb.exit_info1 & 1) == 1 && (vmcb.exit_info1 & 0x70) == 0x20, "EXITINFO1: input, two bytes");

    vmcb.rax = 0xbeef;
    vmcb.rip = vmcb.exit_info2;
    next(&regs);
    check((u32)regs.rbx == 0xbeef, "the guest saw the host's answer");
    check(vmcb.exit_code == EXIT_MSR && vmcb.exit_info1 == 1, "WRMSR of KernelGSBase left, RDMSR did not");
    check((u32)regs.rcx == MSR_KERNEL_GS_BASE, "RCX names it");

    vmcb.rip += 2;
    next(&regs);
    check(vmcb.exit_code == EXIT_MSR && vmcb.exit_info1 == 0, "an MSR outside the map's ranges always leaves");

    vmcb.rip += 2;
    next(&regs);
    check(vmcb.exit_code == EXIT_VMMCALL, "the guest came to its end");
}
