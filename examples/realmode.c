// SPDX-License-Identifier: MIT
/* A real-mode guest under paging: VMRUN accepts CR0.PE = 0 with PG = 1, which no other way into real mode does. The
 * guest's first megabyte is wherever the host's tables put it [APM2 15.19, paged real mode]. */
#include "svm.h"

enum { PRESENT = 1, WRITABLE = 2, USER = 4, CR0_PE = 1, CR0_PG = 1u << 31, CR0_ET = 16, CR4_PAE = 1 << 5 };

static struct vmcb vmcb PAGE_ALIGNED;
static u64 pdpt[512] PAGE_ALIGNED, pd[512] PAGE_ALIGNED, pt[512] PAGE_ALIGNED;
static u8 image[2 * PAGE_SIZE] PAGE_ALIGNED; /* the guest's 7000h and 8000h */

/* 16-bit code at 0800:0000. It writes a string through ES = 0700 and asks for a look by VMMCALL. */
__asm__(".globl real_code, real_code_end\n"
        ".code16\n"
        "real_code:\n"
        "    mov $0x700, %ax\n"
        "    mov %ax, %es\n"
        "    xor %di, %di\n"
        "    mov $(message - real_code), %si\n"
        "    mov $5, %cx\n"
        "    rep movsb %cs:(%si), %es:(%di)\n"
        "    smsw %ax\n"
        "    int $0x21\n"
        "    vmmcall\n"
        "message: .ascii \"real!\"\n"
        "handler: mov $0x21, %bl\n"
        "    iret\n"
        "real_code_end:\n"
        ".globl real_handler\n"
        ".set real_handler, handler - real_code\n"
        ".code64\n");
extern const u8 real_code[], real_code_end[];
extern const u8 real_handler[];

static struct vmcb_seg real_seg(u16 selector, u16 attrib)
{
    return (struct vmcb_seg){ selector, attrib, 0xffff, (u64)selector << 4 };
}

void guest_main(void)
{
    struct guest_regs regs = { 0 };
    static u8 low[PAGE_SIZE] PAGE_ALIGNED; /* the guest's page 0: interrupt vectors */

    svm_enable();
    /* PAE tables: guest linear 0, 7000h and 8000h are pages of ours, stack at 9000h shares the last one. */
    pdpt[0] = phys(pd) | PRESENT;
    pd[0] = phys(pt) | PRESENT | WRITABLE | USER;
    pt[0] = phys(low) | PRESENT | WRITABLE | USER;
    pt[7] = phys(image) | PRESENT | WRITABLE | USER;
    pt[8] = phys(image + PAGE_SIZE) | PRESENT | WRITABLE | USER;
    memcpy(image + PAGE_SIZE, real_code, (size_t)(real_code_end - real_code));
    *(u16 *)(void *)(low + 4 * 0x21) = (u16)(uintptr_t)real_handler;
    *(u16 *)(void *)(low + 4 * 0x21 + 2) = 0x800;

    vmcb_init(&vmcb);
    vmcb.cs = real_seg(0x800, 0x9b);
    vmcb.ds = vmcb.es = vmcb.ss = vmcb.fs = vmcb.gs = real_seg(0x800, 0x93);
    vmcb.gdtr = (struct vmcb_seg){ 0, 0, 0, 0 };
    vmcb.idtr = (struct vmcb_seg){ 0, 0, 0x3ff, 0 };
    vmcb.cr0 = CR0_PG | CR0_ET;
    vmcb.cr3 = phys(pdpt);
    vmcb.cr4 = CR4_PAE;
    vmcb.efer = EFER_SVME;
    vmcb.intercept_exceptions = ~0u;
    vmcb.rip = 0;
    vmcb.rsp = 0x1000;

    svm_run(&vmcb, &regs);
    print_exit(&vmcb);
    print_field("  CS", vmcb.cs.selector);
    print_field("  CR0", vmcb.cr0);
    check(vmcb.exit_code == EXIT_VMMCALL, "real-mode code ran under paging");
    check(!(vmcb.rax & CR0_PE), "SMSW shows protection off");
    check(vmcb.es.base == 0x7000, "loading ES set its base to selector * 16");
    check(image[0] == 'r' && image[4] == '!', "its string is in the page mapped at 7000h");
    check((regs.rbx & 0xff) == 0x21, "INT 21h went through the vector at 0:84h");
}
