// SPDX-License-Identifier: MIT
/* 8042 keyboard controller, ports 60h and 64h, with a keyboard that answers commands; the auxiliary port has no device. */
#ifndef SVMEMU_DEV_KBC_H
#define SVMEMU_DEV_KBC_H

#include "bus/bus.h"
#include "bus/clock.h"

struct kbc_state {
    u8 status;           /* OBF, SYS, command/data, aux flags; IBF is always 0 */
    u8 command_byte;
    u8 out_port;         /* bit 0 reset (active low), bit 1 A20 */
    u8 pending;          /* controller command that waits for its data byte, 0: none */
    u8 kbd_pending;      /* keyboard command that waits for its data byte */
    u8 ram[32];
    u8 data;             /* byte in the output buffer */
    u8 fifo[16], fifo_head, fifo_count; /* bytes behind it */
    bool kbd_enabled;
    bool irq1, irq12;
};

struct kbc_out {
    void *ctx;
    void (*set_a20)(void *ctx, bool enabled);
    void (*reset)(void *ctx);            /* pulse of the CPU reset line */
};

struct kbc {
    struct kbc_state s;
    struct irq_line irq1, irq12;
    struct kbc_out out;
};

bool kbc_init(struct kbc *k, struct bus *b, struct irq_line irq1, struct irq_line irq12, const struct kbc_out *out);
void kbc_reset(struct kbc *k);
size_t kbc_scancodes(struct kbc *k, const u8 *codes, size_t len); /* host key presses (set 1); returns how many fitted */
/* Another A20 source changed it (port 92h): keeps the output port's bit current without calling back. */
void kbc_note_a20(struct kbc *k, bool enabled);

#endif
