// SPDX-License-Identifier: MIT
/* Interrupts for the guest: events injected by EVENTINJ on VMRUN, and a virtual interrupt by V_IRQ that waits until the
 * guest's IF and TPR let it in [APM2 15.20, 15.21]. */
#include "svm.h"

struct gate {
    u16 offset_low, selector;
    u8 ist, type;
    u16 offset_mid;
    u32 offset_high, reserved;
} __attribute__((packed));

static struct vmcb vmcb PAGE_ALIGNED;
static u8 guest_stack[4096] PAGE_ALIGNED;
static struct gate idt[256];

/* RBX gathers what happened: a hexadecimal digit for each event. R8 would be lost: only RBX..RBP are switched. */
__asm__(".globl guest_code, on_30, on_31, on_gp, on_nmi\n"
        "guest_code:\n"
        "    cli\n"
        "    vmmcall\n"             /* 1: the host injects 30h */
        "    vmmcall\n"             /* 2: the host injects #GP with error code 18h */
        "    vmmcall\n"             /* 3: the host injects an NMI */
        "    vmmcall\n"             /* 4: the host sets V_IRQ, vector 31h, while IF is 0 */
        "    shl $4, %rbx\n"        /* nothing arrived yet */
        "    sti\n"
        "    nop\n"                 /* interrupt shadow ends here */
        "    vmmcall\n"             /* 5 */
        "on_30: shl $4, %rbx\n"
        "    or $1, %rbx\n"
        "    iretq\n"
        "on_31: shl $4, %rbx\n"
        "    or $4, %rbx\n"
        "    iretq\n"
        "on_gp: shl $4, %rbx\n"
        "    or $2, %rbx\n"
        "    pop %rbp\n"
        "    iretq\n"
        "on_nmi: shl $4, %rbx\n"
        "    or $3, %rbx\n"
        "    iretq\n");
void guest_code(void);
void on_30(void);
void on_31(void);
void on_gp(void);
void on_nmi(void);

static void set_gate(unsigned vector, void (*handler)(void))
{
    u64 a = (uintptr_t)handler;

    idt[vector] = (struct gate){ (u16)a, 0x08, 0, 0x8e, (u16)(a >> 16), (u32)(a >> 32), 0 };
}

static void next(struct guest_regs *regs)
{
    vmcb.rip += 3;
    svm_run(&vmcb, regs);
    print_exit(&vmcb);
    print_field("  events so far", regs->rbx);
}

void guest_main(void)
{
    struct guest_regs regs = { 0 };

    svm_enable();
    set_gate(0x30, on_30);
    set_gate(0x31, on_31);
    set_gate(13, on_gp);
    set_gate(2, on_nmi);
    vmcb_init(&vmcb);
    vmcb.idtr = (struct vmcb_seg){ 0, 0, sizeof(idt) - 1, phys(idt) };
    vmcb.rip = (uintptr_t)guest_code - 3;
    vmcb.rsp = (uintptr_t)guest_stack + sizeof(guest_stack) - 8;

    next(&regs);
    vmcb.event_inj = EVENT_VALID | EVENT_INTR | 0x30; /* arrives whatever the guest's IF says */
    next(&regs);
    check(regs.rbx == 0x1, "the interrupt was taken with IF clear");
    check(!(vmcb.event_inj & EVENT_VALID), "EVENTINJ's valid bit is clear after #VMEXIT");

    vmcb.event_inj = 0x18ull << 32 | EVENT_VALID | EVENT_EXCEPTION | EVENT_ERROR_CODE | 13;
    next(&regs);
    check(regs.rbx == 0x12 && regs.rbp == 0x18, "#GP was taken with its error code on the stack");

    vmcb.event_inj = EVENT_VALID | EVENT_NMI | 2;
    next(&regs);
    check(regs.rbx == 0x123, "the NMI was taken");

    vmcb.vintr = 0x31ull << 32 | 0xfull << 16 | V_IRQ | V_INTR_MASKING;
    vmcb.event_inj = 0;
    next(&regs);
    check(regs.rbx == 0x12304, "the virtual interrupt waited for STI and its shadow");
    check(!(vmcb.vintr & V_IRQ), "V_IRQ is clear: the guest took it");

    vmcb.rip = (uintptr_t)guest_code - 3;
    vmcb.intercept_misc1 |= INTERCEPT_VINTR;
    vmcb.vintr |= V_IRQ;
    vmcb.rflags |= 1 << 9;
    next(&regs);
    check(vmcb.exit_code == EXIT_VINTR && regs.rbx == 0x12304, "intercepted, it leaves instead of being taken");
}
