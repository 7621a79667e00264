// SPDX-License-Identifier: MIT
/* Private to the bus folder: the port space, and how an access is cut for a device. */
#ifndef SVMEMU_BUS_PORTS_H
#define SVMEMU_BUS_PORTS_H

#include "bus/bus.h"

struct ports;
struct ports *ports_create(void);
void ports_destroy(struct ports *p);
/* Later ranges shadow earlier ones, port by port. */
bool ports_add(struct ports *p, u16 first, unsigned count, const struct mmio_ops *ops, void *ctx);
/* Earlier ranges and all that come later shadow this one. */
bool ports_add_under(struct ports *p, u16 first, unsigned count, const struct mmio_ops *ops, void *ctx);
bool ports_remove(struct ports *p, u16 first, const struct mmio_ops *ops, void *ctx);
u64 ports_read(struct ports *p, u16 port, unsigned width, int cpu);
void ports_write(struct ports *p, u16 port, unsigned width, u64 value, int cpu);

struct mmio_piece {
    u64 off;        /* what the device is asked for */
    unsigned width;
    unsigned shift; /* of the wanted bytes inside it, in bits */
};
/* Returns how many bytes of the access this piece serves (1, 2, 4 or 8). */
unsigned mmio_piece(const struct mmio_ops *ops, u64 off, u64 left, struct mmio_piece *p);

#endif
