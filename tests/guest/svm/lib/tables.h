// SPDX-License-Identifier: MIT
/* Page tables in every format, for guests and as nested tables [APM2 5.2, 5.3, 15.25]. */
#ifndef SVM_TESTS_TABLES_H
#define SVM_TESTS_TABLES_H

#include "guest.h"

/* FMT_PSE differs from FMT_32 in that CR4.PSE lets level 2 map 4 MiB. */
enum format { FMT_NONE, FMT_32, FMT_PSE, FMT_PAE, FMT_4, FMT_5, FORMATS };
enum { E_P = 1, E_W = 2, E_U = 4, E_PWT = 8, E_PCD = 16, E_A = 0x20, E_D = 0x40, E_PS = 0x80, E_G = 0x100, E_ALL = 7 };
#define E_NX (1ull << 63)
#define E_RESERVED (1ull << 51) /* beyond the physical addresses of every profile */

struct tables {
    enum format format;
    u64 root;   /* what goes into CR3 or nCR3 */
    u64 offset; /* what the tables' user adds to our addresses: guest-physical minus ours; 0 for nested tables */
};

const char *format_name(enum format f);
unsigned format_levels(enum format f);
unsigned format_width(enum format f);
bool format_has_nx(enum format f);

/* Zeroed pages that live until the next pages_reset(). */
void *pages_take(void);
void pages_reset(void);
/* Where they lie, for those who map them all. */
u64 pages_first(void);
u64 pages_end(void);

void tables_init(struct tables *t, enum format format, u64 offset);
/* Maps the page of this level (1: 4 KiB) at va; upper levels get every right. */
void map(struct tables *t, u64 va, u64 pa, u64 flags, unsigned level);
/* The entry of one level that translates va: our address of it, its value. The levels above must be present. */
u64 entry_at(const struct tables *t, u64 va, unsigned level);
u64 entry_get(const struct tables *t, u64 va, unsigned level);
void entry_set(const struct tables *t, u64 va, unsigned level, u64 value);

#endif
