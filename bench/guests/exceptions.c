// SPDX-License-Identifier: MIT
/* #UD through the IDT and IRET back, at CPL 0. */
#include "bench.h"

struct gate {
    u16 offset_low, selector;
    u8 ist, type;
    u16 offset_mid;
    u32 offset_high, reserved;
} __attribute__((packed));

static struct gate idt[256];

__asm__(".globl raise, on_ud\n"
        "raise:\n" /* u64 raise(u64 times) */
        "    xor %eax, %eax\n"
        "1:  ud2\n"
        "    dec %rdi\n"
        "    jnz 1b\n"
        "    ret\n"
        "on_ud:\n"
        "    inc %rax\n"
        "    addq $2, (%rsp)\n"
        "    iretq\n");
u64 raise(u64 times);
void on_ud(void);

void guest_main(void)
{
    enum { TIMES = 3000000 };
    u64 a = (uintptr_t)on_ud;
    struct {
        u16 limit;
        u64 base;
    } __attribute__((packed)) idtr = { sizeof(idt) - 1, phys(idt) };

    bench_begin("exceptions");
    idt[6] = (struct gate){ (u16)a, 0x08, 0, 0x8e, (u16)(a >> 16), (u32)(a >> 32), 0 };
    __asm__ volatile("lidt %0" : : "m"(idtr));
    bench_end("exceptions", TIMES, "exceptions", raise(TIMES));
}
