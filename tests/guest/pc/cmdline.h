// SPDX-License-Identifier: MIT
/* The words after `--` on the command line of svmemu, read from fw_cfg. */
#ifndef PC_CMDLINE_H
#define PC_CMDLINE_H

#include "guest.h"

/* Whether the command line begins with `word`. */
static inline bool cmdline_is(const char *word)
{
    __asm__ volatile("outw %0, %1" : : "a"((u16)0x15), "d"((u16)0x510)); /* select the item of command line's text, from its beginning */
    while (*word && inb(0x511) == (u8)*word)
        word++;
    return !*word;
}

#endif
