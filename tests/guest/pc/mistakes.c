// SPDX-License-Identifier: MIT
/* A hypervisor that makes mistakes which no processor refuses; its command line names the one: clean (an intercept is dropped but VMCB_CLEAN says
 * that intercepts are as they were), iopm and msrpm (a map where no memory is), hsave (no host save area), asid (other nested
 * tables for the same ASID without a flush), flush (the same with it), none. The guest writes port 80h twice. */
#include "cmdline.h"
#include "svm.h"

static struct vmcb vmcb PAGE_ALIGNED;
static u8 guest_stack[4096] PAGE_ALIGNED;
extern u64 boot_pml4[512];
static u64 other_pml4[512] PAGE_ALIGNED;
static u8 all_ports[3 * PAGE_SIZE] PAGE_ALIGNED;
enum { CLEAN_INTERCEPTS = 1 << 0, FLUSH_ALL = 1, NOWHERE = 0x7fff0000 };

static void guest(void)
{
    outb(0x80, 1);
    outb(0x80, 2);
    __asm__ volatile("vmmcall");
}

void guest_main(void)
{
    struct guest_regs regs = { 0 };

    svm_enable();
    memset(all_ports, 0xff, sizeof(all_ports));
    vmcb_init(&vmcb);
    vmcb.intercept_misc1 |= INTERCEPT_IOIO;
    vmcb.iopm_base_pa = phys(all_ports);
    vmcb.rip = (uintptr_t)guest;
    vmcb.rsp = (uintptr_t)guest_stack + sizeof(guest_stack) - sizeof(void *);
    if (cmdline_is("iopm"))
        vmcb.iopm_base_pa = NOWHERE;
    if (cmdline_is("msrpm")) {
        vmcb.intercept_misc1 |= INTERCEPT_MSR;
        vmcb.msrpm_base_pa = NOWHERE;
    }
    if (cmdline_is("asid") || cmdline_is("flush")) {
        memcpy(other_pml4, boot_pml4, sizeof(other_pml4));
        vmcb.nested_ctl = NESTED_PAGING;
        vmcb.nested_cr3 = phys(boot_pml4);
    }
    if (cmdline_is("hsave"))
        wrmsr(MSR_VM_HSAVE_PA, 0);
    svm_run(&vmcb, &regs);
    check(vmcb.exit_code == EXIT_IOIO, "the first output left the guest");
    vmcb.rip = vmcb.exit_info2;
    if (cmdline_is("clean")) {
        vmcb.clean = CLEAN_INTERCEPTS;
        vmcb.intercept_misc1 &= ~INTERCEPT_IOIO;
    }
    if (vmcb.nested_ctl)
        vmcb.nested_cr3 = phys(other_pml4);
    if (cmdline_is("flush"))
        vmcb.tlb_control = FLUSH_ALL;
    svm_run(&vmcb, &regs);
    check(vmcb.exit_code == EXIT_IOIO, "so did the second");
}
