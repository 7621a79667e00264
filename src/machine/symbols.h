// SPDX-License-Identifier: MIT
/* Names of addresses, from ELF symbol tables; only for messages. */
#ifndef SVMEMU_MACHINE_SYMBOLS_H
#define SVMEMU_MACHINE_SYMBOLS_H

#include "base/types.h"

#include <stddef.h>

struct symbol {
    u64 value, end; /* the addresses that it names */
    u32 name;       /* offset in `names` */
    u8 rank;        /* of several at one address the highest is shown */
    bool sized;     /* its own size says where it ends */
};

struct symbols {
    struct symbols *next;
    size_t count;
    struct symbol *list; /* by address, then rank */
    char *names;
};

/* Owns list and names; NULL where memory is short. */
struct symbols *symbols_new(struct symbol *list, size_t count, char *names);
void symbols_free(struct symbols *s); /* and all behind it */
const char *symbols_find(const struct symbols *s, u64 address, u64 *offset);

#endif
