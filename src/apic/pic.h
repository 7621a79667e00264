// SPDX-License-Identifier: MIT
/* Two cascaded 8259A interrupt controllers with the PC's edge/level registers (ports 20h, A0h, 4D0h). */
#ifndef SVMEMU_APIC_PIC_H
#define SVMEMU_APIC_PIC_H

#include "bus/bus.h"
#include "bus/clock.h"

struct pic_chip {
    u8 irr, isr, imr;
    u8 lines;         /* levels of the eight inputs */
    u8 elcr;          /* 1: level-triggered */
    u8 lowest;        /* input of lowest priority (7 after initialisation) */
    u8 icw_step;      /* 0: operation, 2..4: next ICW */
    u8 base;          /* vector of input 0 */
    bool icw4_needed, single, level_mode; /* ICW1 */
    bool auto_eoi, rotate_aeoi, nested, special_mask, poll, read_isr;
    u8 cascade;       /* ICW3 as written */
};

struct pic {
    struct pic_chip chip[2]; /* master, slave */
    bool int_level;          /* master's INT pin as last told */
    struct irq_line out;
};

bool pic_init(struct pic *p, struct bus *b, struct irq_line out); /* false: ports could not be claimed */
void pic_reset(struct pic *p);
void pic_bios_defaults(struct pic *p);                    /* bases 08h and 70h, timer, keyboard and cascade unmasked */
void pic_set_irq(void *pic, unsigned irq, bool level);    /* fits struct irq_line; irq 0-15, 2 is the cascade and ignored */
int pic_ack(struct pic *p);                               /* INTA cycles: a vector (spurious ones included) */

#endif
