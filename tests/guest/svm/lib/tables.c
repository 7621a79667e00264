// SPDX-License-Identifier: MIT
#include "tables.h"

#define ADDRESS 0x000ffffffffff000ull
enum { POOL_PAGES = 96 };

static const struct {
    const char *name;
    u8 levels, width, bits; /* entry width in bytes, index bits */
} formats[FORMATS] = {
    { "no paging", 0, 0, 0 }, { "32-bit", 2, 4, 10 }, { "PSE", 2, 4, 10 }, { "PAE", 3, 8, 9 }, { "4-level", 4, 8, 9 }, { "5-level", 5, 8, 9 },
};
static u8 pool[POOL_PAGES][PAGE_SIZE] PAGE_ALIGNED;
static unsigned used;

const char *format_name(enum format f)
{
    return formats[f].name;
}

unsigned format_levels(enum format f)
{
    return formats[f].levels;
}

unsigned format_width(enum format f)
{
    return formats[f].width;
}

bool format_has_nx(enum format f)
{
    return f >= FMT_PAE;
}

void *pages_take(void)
{
    if (used == POOL_PAGES) {
        check(false, "the pool has a page left");
        guest_exit(GUEST_FAIL);
    }
    return memset(pool[used++], 0, PAGE_SIZE);
}

void pages_reset(void)
{
    used = 0;
}

u64 pages_first(void)
{
    return phys(pool);
}

u64 pages_end(void)
{
    return phys(pool[POOL_PAGES - 1]) + PAGE_SIZE;
}

void tables_init(struct tables *t, enum format format, u64 offset)
{
    t->format = format;
    t->offset = offset;
    t->root = format == FMT_NONE ? 0 : phys(pages_take()) + offset;
}

static u64 entry_in(const struct tables *t, u64 table, u64 va, unsigned level)
{
    unsigned bits = formats[t->format].bits;
    return table - t->offset + (va >> (12 + bits * (level - 1)) & ((1u << bits) - 1)) * format_width(t->format);
}

static u64 load(const struct tables *t, u64 at)
{
    const volatile void *p = (const volatile void *)(uintptr_t)at;
    return format_width(t->format) == 4 ? *(const volatile u32 *)p : *(const volatile u64 *)p;
}

static void store(const struct tables *t, u64 at, u64 value)
{
    volatile void *p = (volatile void *)(uintptr_t)at;
    if (format_width(t->format) == 4)
        *(volatile u32 *)p = (u32)value;
    else
        *(volatile u64 *)p = value;
}

u64 entry_at(const struct tables *t, u64 va, unsigned level)
{
    u64 table = t->root;
    for (unsigned l = format_levels(t->format);; l--) {
        u64 at = entry_in(t, table, va, l);
        if (l == level)
            return at;
        table = load(t, at) & ADDRESS;
    }
}

u64 entry_get(const struct tables *t, u64 va, unsigned level)
{
    return load(t, entry_at(t, va, level));
}

void entry_set(const struct tables *t, u64 va, unsigned level, u64 value)
{
    store(t, entry_at(t, va, level), value);
}

void map(struct tables *t, u64 va, u64 pa, u64 flags, unsigned level)
{
    for (unsigned l = format_levels(t->format); l > level; l--) {
        if (!(entry_get(t, va, l) & E_P)) /* pointers of legacy PAE carry no rights */
            entry_set(t, va, l, (phys(pages_take()) + t->offset) | (t->format == FMT_PAE && l == 3 ? E_P : E_ALL));
    }
    entry_set(t, va, level, pa | flags | (level > 1 ? E_PS : 0));
}
