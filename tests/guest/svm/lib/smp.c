// SPDX-License-Identifier: MIT
/* More processors: from SIPI to long mode on the first one's tables, then waiting for work. */
#ifdef __x86_64__
#include "host.h"

enum { TRAMPOLINE = 0x8000, MAILBOX = 0x8f00, STACK_BYTES = 8192 };
struct mailbox { /* at MAILBOX: read in real mode */
    u32 cr3;
    u64 stack;
} __attribute__((packed));

extern u64 boot_pml4[];
static u8 stacks[4][STACK_BYTES] __attribute__((aligned(16)));
static u8 host_save[4][PAGE_SIZE] PAGE_ALIGNED;
static void (*volatile job[4])(void);
static volatile bool started[4], busy[4];

__asm__(".code16\n"
        "smp_trampoline:\n"
        "    cli\n"
        "    xor %ax, %ax\n"
        "    mov %ax, %ds\n"
        "    lgdtl 0x8000 + smp_gdt_ptr - smp_trampoline\n"
        "    mov 0x8f00, %eax\n"
        "    mov %eax, %cr3\n"
        "    mov $0x620, %eax\n"
        "    mov %eax, %cr4\n"
        "    mov $0xc0000080, %ecx\n"
        "    rdmsr\n"
        "    or $0x900, %eax\n"
        "    wrmsr\n"
        "    mov $0x80010011, %eax\n"
        "    mov %eax, %cr0\n"
        "    ljmpl $0x08, $0x8000 + smp_long - smp_trampoline\n"
        ".code64\n"
        "smp_long:\n"
        "    mov $0x10, %eax\n"
        "    mov %eax, %ds\n"
        "    mov %eax, %es\n"
        "    mov %eax, %ss\n"
        "    mov 0x8f04, %rsp\n"
        "    mov $smp_main, %rax\n"
        "    jmp *%rax\n"
        "    .balign 8\n"
        "smp_gdt: .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff\n"
        "smp_gdt_ptr: .word 23\n"
        "    .long 0x8000 + smp_gdt - smp_trampoline\n"
        "smp_trampoline_end:\n");
extern const u8 smp_trampoline[], smp_trampoline_end[];

void smp_main(void);
void smp_main(void)
{
    unsigned me = apic_id() & 3;

    host_events_init();
    if (!(rdmsr(MSR_VM_CR) & VM_CR_SVMDIS))
        wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
    wrmsr(MSR_VM_HSAVE_PA, phys(host_save[me]));
    started[me] = true;
    for (;;) {
        while (!busy[me])
            __asm__ volatile("pause" : : : "memory");
        job[me]();
        busy[me] = false;
    }
}

void smp_start(unsigned id)
{
    struct mailbox *m = (struct mailbox *)(uintptr_t)MAILBOX;

    started[id] = busy[id] = false;
    memcpy((void *)(uintptr_t)TRAMPOLINE, smp_trampoline, (size_t)(smp_trampoline_end - smp_trampoline));
    m->cr3 = (u32)phys(boot_pml4);
    m->stack = phys(stacks[id]) + STACK_BYTES - 8;
    apic_send(id, ICR_INIT);
    apic_send(id, ICR_STARTUP | TRAMPOLINE >> 12);
    while (!started[id])
        __asm__ volatile("pause" : : : "memory");
}

void smp_run(unsigned id, void (*work)(void))
{
    job[id] = work;
    busy[id] = true;
}

bool smp_done(unsigned id)
{
    return !busy[id];
}

void smp_wait(unsigned id)
{
    while (busy[id])
        __asm__ volatile("pause" : : : "memory");
}
#endif
