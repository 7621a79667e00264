// SPDX-License-Identifier: MIT
/* #UD through the IDT and IRET back, at CPL 0. */
#include "bench.h"

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

    bench_begin("exceptions");
    idt_load(idt, 6, on_ud);
    bench_end("exceptions", TIMES, "exceptions", raise(TIMES));
}
