// SPDX-License-Identifier: MIT
/* Host bridge 8086:1237 with the PAM registers 59h-5Fh that place RAM or ROM at C0000h-FFFFFh [Intel 290549, 3.2.17]. */
#ifndef SVMEMU_DEV_I440FX_H
#define SVMEMU_DEV_I440FX_H

#include "dev/pci.h"

#define I440FX_PAM0 0x59u
#define I440FX_PAM_REGISTERS 7u
#define SHADOW_START 0xC0000u
#define SHADOW_END 0x100000u
#define SHADOW_PAGES ((SHADOW_END - SHADOW_START) / PAGE_SIZE)

struct shadow_page {      /* a page of RAM under the ROM */
    u8 *host;
    u32 bpn;
};

struct i440fx {
    struct pci_function f;
    struct bus *bus;
    struct shadow_page page[SHADOW_PAGES];
    struct shadow_segment { /* 13 pieces that PAM switches: F0000h first, then C0000h, C4000h ... */
        struct i440fx *owner;
        u32 spa, size;
        u8 mode;          /* PAM bits as last applied: 1 reads go to RAM, 2 writes go to RAM */
    } segment[13];
    const u8 *rom;        /* what stands at the end of the first MiB while RAM is off; NULL: nothing */
    u32 rom_size;
};

/* RAM must be mapped at C0000h-FFFFFh before, and nothing over it. Without i440fx_set_rom() PAM is RAM after reset: the
 * machine stands as firmware leaves it. */
bool i440fx_init(struct i440fx *h, struct pci_bus *p, struct bus *b);
/* The firmware image, owned by the caller; its end is visible below 1 MiB. Takes effect at the next reset. */
void i440fx_set_rom(struct i440fx *h, const void *rom, u32 size);

#endif
