// SPDX-License-Identifier: MIT
/* Interrupts of the local APIC's timer, each armed by the one before, to a processor that waits in HLT. */
#include "bench.h"

enum { APIC = 0xFEE00000, SVR = 0xF0, LVT_TIMER = 0x320, COUNT = 0x380, DIVIDE = 0x3E0, VECTOR = 0x40, TICKS = 100 };

static struct gate idt[256];
volatile u64 timer_fired;

__asm__(".globl on_timer\n"
        "on_timer:\n"
        "    push %rax\n"
        "    incq timer_fired\n"
        "    mov $0xFEE00000, %eax\n"
        "    movl $100, 0x380(%rax)\n" /* COUNT: one shot of TICKS */
        "    movl $0, 0xB0(%rax)\n"    /* EOI */
        "    pop %rax\n"
        "    iretq\n");
void on_timer(void);

static void apic_write(u32 reg, u32 value)
{
    *(volatile u32 *)(uintptr_t)(APIC + reg) = value;
}

void guest_main(void)
{
    enum { TIMES = 100000 };

    bench_begin("timer");
    idt_load(idt, VECTOR, on_timer);
    outb(0x21, 0xFF); /* the 8259s stay silent */
    outb(0xA1, 0xFF);
    apic_write(SVR, 0x1FF);
    apic_write(DIVIDE, 0xB); /* by 1 */
    apic_write(LVT_TIMER, VECTOR);
    apic_write(COUNT, TICKS);
    while (timer_fired < TIMES)
        __asm__ volatile("sti; hlt; cli" : : : "memory");
    apic_write(LVT_TIMER, 0x10000);
    bench_end("timer", TIMES, "interrupts", TIMES);
}
