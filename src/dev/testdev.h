// SPDX-License-Identifier: MIT
/* What test programs for QEMU expect of its `pc-testdev`: a scratch latch at E0h-E3h, page flush at E4h, interrupt lines at 2000h-2017h,
 * 64 KiB of I/O RAM at FF000000h. (The exit port F4h is sysport's, the "Shutdown" port 8900h too.) */
#ifndef SVMEMU_DEV_TESTDEV_H
#define SVMEMU_DEV_TESTDEV_H

#include "bus/bus.h"

#define TESTDEV_LINES 24u
#define TESTDEV_RAM_SPA 0xFF000000u
#define TESTDEV_RAM_SIZE 0x10000u

struct testdev_state {
    u8 latch[8]; /* E0h-E3h; as wide as the widest access that a compiler sees */
    u32 lines;                  /* levels as written */
    u8 ram[TESTDEV_RAM_SIZE];
};

struct testdev_out {
    void *ctx;
    void (*line)(void *ctx, unsigned n, bool level);
    void (*flush)(void *ctx, u32 address); /* whatever is derived from the page at this physical address goes */
};

struct testdev {
    struct testdev_state s;
    struct testdev_out out;
    bool present;
};

/* Puts the device, which is all zeros, into the machine; further calls do nothing. It stands under what is there already, so that firmware keeps its place. */
bool testdev_plug(struct testdev *d, struct bus *b, const struct testdev_out *out);
void testdev_reset(struct testdev *d);

#endif
