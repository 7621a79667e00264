// SPDX-License-Identifier: MIT
/* Nested paging: guest-physical memory is what the host's nested tables say. One page is left out, so the guest's first
 * touch ends in a nested page fault; the host maps it to another place and the guest goes on, none the wiser. */
#include "svm.h"

enum { PRESENT = 1, WRITABLE = 2, USER = 4, LARGE = 0x80 };
static const u64 window = 0x40000000ull; /* guest-physical 1 GiB: not mapped at first */

static struct vmcb vmcb PAGE_ALIGNED;
static u8 guest_stack[4096] PAGE_ALIGNED;
static u64 npml4[512] PAGE_ALIGNED, npdpt[512] PAGE_ALIGNED, npd[512] PAGE_ALIGNED;
static u64 window_pd[512] PAGE_ALIGNED, window_pt[512] PAGE_ALIGNED;
static u64 backing[512] PAGE_ALIGNED;

/* The first gigabyte one to one; nested accesses are user accesses, so every level has U set [APM2 15.25.6]. */
static void build_nested_tables(void)
{
    npml4[0] = phys(npdpt) | PRESENT | WRITABLE | USER;
    npdpt[0] = phys(npd) | PRESENT | WRITABLE | USER;
    for (u64 i = 0; i < 512; i++)
        npd[i] = i << 21 | PRESENT | WRITABLE | USER | LARGE;
    npdpt[1] = phys(window_pd) | PRESENT | WRITABLE | USER;
    window_pd[0] = phys(window_pt) | PRESENT | WRITABLE | USER;
}

static void guest(void)
{
    volatile u64 *p = (volatile u64 *)(uintptr_t)(window + 0x18);

    *p = 0x1234;
    __asm__ volatile("vmmcall" : : "a"(*p + 1));
    *p = 0x5678; /* by then the page is read-only */
    __asm__ volatile("vmmcall" : : "a"(*p));
}

void guest_main(void)
{
    struct guest_regs regs = { 0 };

    svm_enable();
    build_nested_tables();
    vmcb_init(&vmcb);
    vmcb.nested_ctl = NESTED_PAGING;
    vmcb.nested_cr3 = phys(npml4);
    vmcb.rip = (uintptr_t)guest;
    vmcb.rsp = (uintptr_t)guest_stack + sizeof(guest_stack) - 8;

    svm_run(&vmcb, &regs);
    print_exit(&vmcb);
    print_field("  error code", (u32)vmcb.exit_info1);
    print_field("  guest-physical address", vmcb.exit_info2);
    check(vmcb.exit_code == EXIT_NPF, "a write to an unmapped page is a nested page fault");
    check((vmcb.exit_info1 & 7) == (WRITABLE | USER), "error code: write, user, not present");
    check(vmcb.exit_info2 == window + 0x18, "EXITINFO2 is the guest-physical address");

    window_pt[0] = phys(backing) | PRESENT | WRITABLE | USER;
    svm_run(&vmcb, &regs);
    print_exit(&vmcb);
    check(vmcb.exit_code == EXIT_VMMCALL && vmcb.rax == 0x1235, "the guest went on with the page mapped");
    check(backing[3] == 0x1234, "its store is in the page behind");
    check((window_pt[0] & 0x60) == 0x60, "accessed and dirty bits are set in the nested table");

    window_pt[0] = phys(backing) | PRESENT | USER;
    vmcb.tlb_control = 1; /* the entry lost a right: flush */
    vmcb.rip += 3;
    svm_run(&vmcb, &regs);
    vmcb.tlb_control = 0;
    print_exit(&vmcb);
    check(vmcb.exit_code == EXIT_NPF && (vmcb.exit_info1 & 7) == 7, "a write to a read-only page: present, write, user");
    window_pt[0] |= WRITABLE;
    svm_run(&vmcb, &regs);
    print_exit(&vmcb);
    check(vmcb.exit_code == EXIT_VMMCALL && backing[3] == 0x5678, "and allowed again, it completes");
}
