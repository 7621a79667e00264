// SPDX-License-Identifier: MIT
/* QEMU's firmware configuration device: selector 510h, data 511h, DMA address 514h [QEMU docs/specs/fw_cfg].
 * Items are bytes behind a 16-bit key; keys from 20h are files with a name in the directory. The guest writes, by DMA, those that are
 * marked so. */
#ifndef SVMEMU_DEV_FWCFG_H
#define SVMEMU_DEV_FWCFG_H

#include "bus/bus.h"

#define FWCFG_PORT 0x510u
#define FWCFG_DMA_PORT 0x514u
#define FWCFG_NAME 56u       /* a file's name with its zero */
#define FWCFG_FILES 64u
#define FWCFG_ITEMS 128u

enum {
    FWCFG_SIGNATURE = 0x00, FWCFG_ID = 0x01, FWCFG_UUID = 0x02, FWCFG_RAM_SIZE = 0x03, FWCFG_NOGRAPHIC = 0x04, FWCFG_CPUS = 0x05,
    FWCFG_KERNEL_ADDR = 0x07, FWCFG_KERNEL_SIZE = 0x08, FWCFG_INITRD_ADDR = 0x0A, FWCFG_INITRD_SIZE = 0x0B, FWCFG_BOOT_MENU = 0x0E,
    FWCFG_MAX_CPUS = 0x0F, FWCFG_KERNEL_DATA = 0x11, FWCFG_INITRD_DATA = 0x12, FWCFG_CMDLINE_ADDR = 0x13, FWCFG_CMDLINE_SIZE = 0x14,
    FWCFG_CMDLINE_DATA = 0x15, FWCFG_SETUP_ADDR = 0x16, FWCFG_SETUP_SIZE = 0x17, FWCFG_SETUP_DATA = 0x18, FWCFG_DIRECTORY = 0x19,
    FWCFG_FILE_FIRST = 0x20, FWCFG_IRQ0_OVERRIDE = 0x8002,
};

struct fwcfg_item {
    u16 key;
    u32 size;
    u8 *data;                  /* owned */
    char name[FWCFG_NAME];     /* of a file, else "" */
    bool writable;             /* for the guest; until the item is put again */
    void (*selected)(void *ctx); /* brings the contents up to date before they are read; the size stays */
    void *ctx;
};

struct fwcfg_state {
    u16 key;
    u64 offset;                /* of the next byte in the selected item */
    u32 dma_high;              /* upper half of the DMA address, until the lower one is written */
};

struct fwcfg {
    struct fwcfg_state s;
    const struct phys_view *view; /* DMA's */
    struct fwcfg_item item[FWCFG_ITEMS];
    unsigned items, files;
};

/* Signature, feature bits and an empty directory are there from the start. */
bool fwcfg_init(struct fwcfg *f, struct bus *b, const struct phys_view *view);
void fwcfg_fini(struct fwcfg *f);
void fwcfg_reset(struct fwcfg *f);
/* Copies the bytes; an item or file of the same key or name is replaced. False: no memory, or no room in the tables. */
bool fwcfg_put(struct fwcfg *f, u16 key, const void *data, size_t size);
bool fwcfg_put_le(struct fwcfg *f, u16 key, unsigned width, u64 value);
bool fwcfg_put_file(struct fwcfg *f, const char *name, const void *data, size_t size);
/* NULL: there is no such file. */
struct fwcfg_item *fwcfg_file(struct fwcfg *f, const char *name);

#endif
