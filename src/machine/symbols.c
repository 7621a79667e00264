// SPDX-License-Identifier: MIT
#include "machine/symbols.h"

#include <stdlib.h>

#define LOOK_BACK 16u /* symbols that end before the address may stand between it and the one that holds it */

static int by_address(const void *a, const void *b)
{
    const struct symbol *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    return x->name < y->name ? -1 : x->name > y->name;
}

struct symbols *symbols_new(struct symbol *list, size_t count, char *names)
{
    struct symbols *s = malloc(sizeof(*s));
    if (!s)
        return NULL;
    qsort(list, count, sizeof(*list), by_address);
    *s = (struct symbols){ .list = list, .count = count, .names = names };
    return s;
}

void symbols_free(struct symbols *s)
{
    while (s) {
        struct symbols *next = s->next;
        free(s->list);
        free(s->names);
        free(s);
        s = next;
    }
}

const char *symbols_find(const struct symbols *s, u64 address, u64 *offset)
{
    for (; s; s = s->next) {
        size_t low = 0, high = s->count;
        while (low < high) { /* the first behind the address */
            size_t mid = low + (high - low) / 2;
            if (s->list[mid].value <= address)
                low = mid + 1;
            else
                high = mid;
        }
        for (unsigned back = 0; low > 0 && back < LOOK_BACK; back++) {
            const struct symbol *y = &s->list[--low];
            if (address - y->value >= y->end - y->value)
                continue;
            *offset = address - y->value;
            return s->names + y->name;
        }
    }
    return NULL;
}
