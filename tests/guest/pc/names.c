// SPDX-License-Identifier: MIT
/* Instructions that disassemblers lack or call by other names, for the trace; with "old" those that an old processor takes for others.
 * Then #UD, whose handler's frame is the end: a shutdown. */
#include "cmdline.h"

static u8 line[64] __attribute__((aligned(64)));

void guest_main(void)
{
    static const u8 no_idt[10];
    u32 eax = 0, ecx = 0, edx = 0;
    if (cmdline_is("old")) {
        __asm__ volatile("tzcnt %%edx, %%eax; lzcnt %%edx, %%eax" : "=a"(eax) : "d"(5));
    } else {
        __asm__ volatile(".globl names; names: clzero" : : "a"(line) : "memory");
        __asm__ volatile(".byte 0x0F, 0x01, 0xFD" : "=a"(eax), "=d"(edx) : "c"(ecx)); /* rdpru */
        __asm__ volatile("wbnoinvd");
        __asm__ volatile(".byte 0xF3, 0x0F, 0xC7, 0xF8" : : : "rax"); /* rdpid rax */
        __asm__ volatile("monitorx" : : "a"(line), "c"(ecx), "d"(edx));
        __asm__ volatile(".byte 0x0F, 0x01, 0xFE" : : "a"(0), "c"(0), "d"(0)); /* invlpgb */
        __asm__ volatile(".byte 0x0F, 0x01, 0xFF"); /* tlbsync */
    }
    __asm__ volatile("lidt %0; ud2" : : "m"(no_idt));
}
