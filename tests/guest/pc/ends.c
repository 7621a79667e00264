// SPDX-License-Identifier: MIT
/* Ends as its command line says: one word for each way in which a run can end. */
#include "guest.h"

static char cmdline[64]; /* from fw_cfg */

static void read_cmdline(void)
{
    __asm__ volatile("outw %0, %1" : : "a"((u16)0x15), "d"((u16)0x510));
    for (unsigned i = 0; i < sizeof(cmdline) - 1; i++)
        cmdline[i] = (char)inb(0x511);
}

static bool is(const char *word)
{
    unsigned n = 0;
    while (word[n] && cmdline[n] == word[n])
        n++;
    return !word[n];
}

void guest_main(void)
{
    static const u8 no_idt[10];
    read_cmdline();
    print("ends\n");
    if (is("exit"))
        outl(0xF4, 5);
    if (is("off")) /* SLP_EN, and the SLP_TYP that \_S5 names, into PM1_CNT */
        __asm__ volatile("outw %0, %1" : : "a"((u16)(1 << 13 | 5 << 10)), "d"((u16)0x604));
    if (is("reset"))
        outb(0xCF9, 6);
    if (is("shutdown"))
        __asm__ volatile("lidt %0; ud2" : : "m"(no_idt));
    if (is("unbuilt"))
        __asm__ volatile("fldpi");
    if (is("halt"))
        __asm__ volatile("cli; hlt");
    for (;;)
        __asm__ volatile("pause");
}
