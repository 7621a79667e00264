// SPDX-License-Identifier: MIT
/* I/O APIC: 24 pins, edge and level, remote IRR, EOI by broadcast or by its EOI register [82093AA; version 20h]. */
#ifndef SVMEMU_APIC_IOAPIC_H
#define SVMEMU_APIC_IOAPIC_H

#include "apic/lapic.h"

#define IOAPIC_PINS 24
#define IOAPIC_DEFAULT_SPA 0xFEC00000ull

struct ioapic_state {
    u64 rte[IOAPIC_PINS]; /* redirection table entries, as read */
    u32 lines;            /* pin levels, after polarity has been left out: 1 = asserted */
    u8 id, select;
};
struct ioapic {
    struct ioapic_state s;
    struct apic_bus *bus;
};

bool ioapic_init(struct ioapic *io, struct bus *b, struct apic_bus *apics, u64 spa, u8 id); /* false: no room on the bus */
void ioapic_reset(struct ioapic *io);
void ioapic_set_pin(struct ioapic *io, unsigned pin, bool level);
/* A local APIC ended level-triggered `vector`. */
void ioapic_eoi(struct ioapic *io, u8 vector);

#endif
