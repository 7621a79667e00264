// SPDX-License-Identifier: MIT
/* Ends as its command line says: one word for each way in which a run can end. */
#include "cmdline.h"

void guest_main(void)
{
    static const u8 no_idt[10];
    print("ends\n");
    if (cmdline_is("exit"))
        outl(0xF4, 5);
    if (cmdline_is("off")) /* SLP_EN, and the SLP_TYP that \_S5 names, into PM1_CNT */
        __asm__ volatile("outw %0, %1" : : "a"((u16)(1 << 13 | 5 << 10)), "d"((u16)0x604));
    if (cmdline_is("soft-off")) /* SUS_TYP 0 of the PIIX4, which guests have built in */
        __asm__ volatile("outw %0, %1" : : "a"((u16)0x2000), "d"((u16)0x604));
    if (cmdline_is("reset"))
        outb(0xCF9, 6);
    if (cmdline_is("shutdown"))
        __asm__ volatile("lidt %0; ud2" : : "m"(no_idt));
    if (cmdline_is("unbuilt"))
        __asm__ volatile("fldpi");
    if (cmdline_is("halt"))
        __asm__ volatile("cli; hlt");
    for (;;)
        __asm__ volatile("pause");
}
