// SPDX-License-Identifier: MIT
/* System-physical address space: regions, their flat view, backing stores, page flags and exact accesses.
 *
 * A backing store is host memory (RAM or ROM) with consecutive backing page numbers; regions map parts of stores or
 * devices to addresses. Later regions shadow earlier ones. The flat view is the sorted list of what is visible. */
#define _GNU_SOURCE 1
#include "base/bits.h"
#include "bus/ports.h"

#include <stdlib.h>
#include <sys/mman.h>

#define MAX_BPN (1u << 28) /* 1 TiB of backing pages: bounds the reserved array of flags */
#define LOOKUP_SIZE 1024u
#define NAME_LEN 32

struct store {
    char name[NAME_LEN];
    u8 *host;
    u64 size;
    u32 first;
    bool rom;
};

struct region {
    char name[NAME_LEN];
    u64 spa, size;
    int store;                  /* -1: device */
    u64 off;                    /* into the store */
    const struct mmio_ops *ops;
    void *ctx;
    bool alias;
};

struct flat { /* a visible piece of one region */
    u64 start, last;
    u32 region;
};

struct lookup { /* page + 1, so that zero is empty */
    u64 key;
    u8 *host;
    u32 bpn;
};

struct bus {
    u64 last_spa;               /* highest address */
    struct store *stores;
    struct region *regions;     /* in order of mapping */
    struct flat *flat;
    u32 n_stores, n_regions, n_flat;
    u32 next_bpn;
    u8 *flags;
    struct bus_hooks hooks;
    struct ports *ports;
    struct lookup cache[LOOKUP_SIZE];
    bool cached;                /* something is in the cache */
};

/* A huge page commits and clears 2 MiB for one touched byte: well spent on the memory of a kernel (7 % of a boot's time), too much for a
 * test's. What is loaded low, tables and small guests, is touched thinly too. */
enum { HUGE_PAGES_FROM = 64 << 20, HUGE_PAGES_ABOVE = 2 << 20 };

static void *reserve(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        return NULL;
    (void)madvise(p, size, MADV_NOHUGEPAGE);
    return p;
}

static u8 *reserve_store(size_t size)
{
    u8 *p = reserve(size);

    if (p && size >= HUGE_PAGES_FROM)
        (void)madvise(p + HUGE_PAGES_ABOVE, size - HUGE_PAGES_ABOVE, MADV_HUGEPAGE);
    return p;
}

struct bus *bus_create(unsigned maxphys_bits)
{
    struct bus *b = calloc(1, sizeof(*b));

    if (!b)
        return NULL;
    b->last_spa = maxphys_bits >= 64 ? ~0ull : BIT(maxphys_bits) - 1;
    b->flags = reserve(MAX_BPN);
    b->ports = ports_create();
    if (!b->flags || !b->ports) {
        bus_destroy(b);
        return NULL;
    }
    return b;
}

void bus_destroy(struct bus *b)
{
    if (!b)
        return;
    for (u32 i = 0; i < b->n_stores; i++)
        munmap(b->stores[i].host, b->stores[i].size);
    if (b->flags)
        munmap(b->flags, MAX_BPN);
    ports_destroy(b->ports);
    free(b->stores);
    free(b->regions);
    free(b->flat);
    free(b);
}

void bus_set_hooks(struct bus *b, const struct bus_hooks *h)
{
    b->hooks = *h;
}

/* ---- flat view ---- */

static int cmp_u64(const void *a, const void *b)
{
    u64 x = *(const u64 *)a, y = *(const u64 *)b;
    return (x > y) - (x < y);
}

/* The last mapped region that covers `at`, or -1. */
static int visible_at(const struct bus *b, u64 at)
{
    for (u32 i = b->n_regions; i-- > 0;) {
        const struct region *r = &b->regions[i];
        if (at >= r->spa && at - r->spa < r->size)
            return (int)i;
    }
    return -1;
}

/* Between two neighbouring region borders the same region is visible everywhere. */
static bool rebuild(struct bus *b)
{
    u32 n = 2 * b->n_regions, count = 0;
    u64 *edge = calloc(n + 1, sizeof(*edge));
    struct flat *flat = calloc(n + 1, sizeof(*flat));

    if (!edge || !flat) {
        free(edge);
        free(flat);
        return false;
    }
    for (u32 i = 0; i < b->n_regions; i++) {
        edge[2 * i] = b->regions[i].spa;
        edge[2 * i + 1] = b->regions[i].spa + b->regions[i].size; /* 0 at the very top, harmless: see `last` */
    }
    qsort(edge, n, sizeof(*edge), cmp_u64);
    for (u32 i = 0; i < n; i++) {
        if (i && edge[i] == edge[i - 1])
            continue;
        u64 last = ~0ull;
        for (u32 j = i + 1; j < n; j++) {
            if (edge[j] != edge[i]) {
                last = edge[j] - 1;
                break;
            }
        }
        int r = visible_at(b, edge[i]);
        if (r < 0)
            continue;
        if (count && flat[count - 1].region == (u32)r && flat[count - 1].last + 1 == edge[i])
            flat[count - 1].last = last;
        else
            flat[count++] = (struct flat){ edge[i], last, (u32)r };
    }
    free(edge);
    free(b->flat);
    b->flat = flat;
    b->n_flat = count;
    if (b->cached)
        memset(b->cache, 0, sizeof(b->cache));
    b->cached = false;
    if (b->hooks.map_changed)
        b->hooks.map_changed(b->hooks.ctx);
    return true;
}

static const struct flat *flat_find(const struct bus *b, u64 at)
{
    u32 lo = 0, hi = b->n_flat;

    while (lo < hi) {
        u32 mid = (lo + hi) / 2;
        if (b->flat[mid].last < at)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < b->n_flat && b->flat[lo].start <= at ? &b->flat[lo] : NULL;
}

static void set_name(char *dst, const char *name)
{
    size_t n = name ? strnlen(name, NAME_LEN - 1) : 0;

    if (n)
        memcpy(dst, name, n);
    dst[n] = 0;
}

static bool add_region_at(struct bus *b, u32 i, const struct region *r, const char *name)
{
    if (!r->size || r->spa > b->last_spa || r->size - 1 > b->last_spa - r->spa)
        return false;
    struct region *n = realloc(b->regions, (b->n_regions + 1) * sizeof(*n));
    if (!n)
        return false;
    b->regions = n;
    memmove(n + i + 1, n + i, (b->n_regions - i) * sizeof(*n));
    n[i] = *r;
    set_name(n[i].name, name);
    b->n_regions++;
    if (rebuild(b))
        return true;
    b->n_regions--;
    memmove(n + i, n + i + 1, (b->n_regions - i) * sizeof(*n));
    return false;
}

static bool add_region(struct bus *b, const struct region *r, const char *name)
{
    return add_region_at(b, b->n_regions, r, name);
}

/* ---- mapping ---- */

static int add_store(struct bus *b, u64 size, bool rom, const char *name)
{
    u64 pages = size >> PAGE_SHIFT;

    if (!size || (size & PAGE_MASK) || pages > MAX_BPN - b->next_bpn)
        return -1;
    struct store *s = realloc(b->stores, (b->n_stores + 1) * sizeof(*s));
    if (!s)
        return -1;
    b->stores = s;
    s += b->n_stores;
    s->host = reserve_store(size);
    if (!s->host)
        return -1;
    set_name(s->name, name);
    s->size = size;
    s->first = b->next_bpn;
    s->rom = rom;
    if (rom)
        memset(b->flags + s->first, PGF_ROM, pages);
    b->next_bpn += (u32)pages;
    return (int)b->n_stores++;
}

static bool add_backed(struct bus *b, u64 spa, u64 size, bool rom, const void *data, u64 len, const char *name)
{
    if (spa & PAGE_MASK || len > size || !size || spa > b->last_spa || size - 1 > b->last_spa - spa)
        return false;
    int s = add_store(b, size, rom, name);
    if (s < 0)
        return false;
    if (len)
        memcpy(b->stores[s].host, data, len);
    struct region r = { .spa = spa, .size = size, .store = s };
    if (add_region(b, &r, name))
        return true;
    b->n_stores--;
    b->next_bpn = b->stores[s].first;
    memset(b->flags + b->next_bpn, 0, size >> PAGE_SHIFT);
    munmap(b->stores[s].host, size);
    return false;
}

bool bus_add_ram(struct bus *b, u64 spa, u64 size, const char *name)
{
    return add_backed(b, spa, size, false, NULL, 0, name);
}

bool bus_add_rom(struct bus *b, u64 spa, u64 size, const void *data, u64 data_size, const char *name)
{
    return add_backed(b, spa, size, true, data, data_size, name);
}

bool bus_add_alias(struct bus *b, u64 spa, u64 size, const char *name, u64 offset_in_name)
{
    if ((spa | size | offset_in_name) & PAGE_MASK)
        return false;
    for (u32 i = 0; i < b->n_stores; i++) {
        const struct store *s = &b->stores[i];
        if (strncmp(s->name, name, NAME_LEN - 1))
            continue;
        if (offset_in_name > s->size || size > s->size - offset_in_name)
            return false;
        struct region r = { .spa = spa, .size = size, .store = (int)i, .off = offset_in_name, .alias = true };
        return add_region(b, &r, name);
    }
    return false;
}

bool bus_add_mmio(struct bus *b, u64 spa, u64 size, const struct mmio_ops *ops, void *ctx, const char *name)
{
    struct region r = { .spa = spa, .size = size, .store = -1, .ops = ops, .ctx = ctx };
    return ops && add_region(b, &r, name);
}

bool bus_add_mmio_under(struct bus *b, u64 spa, u64 size, const struct mmio_ops *ops, void *ctx, const char *name)
{
    struct region r = { .spa = spa, .size = size, .store = -1, .ops = ops, .ctx = ctx };
    return ops && add_region_at(b, 0, &r, name);
}

/* The store stays until the bus goes: an alias may still show it, and its page numbers are never used again. */
bool bus_remove(struct bus *b, u64 spa, const char *name)
{
    for (u32 i = b->n_regions; i-- > 0;) {
        struct region gone = b->regions[i];
        if (gone.spa != spa || strncmp(gone.name, name, NAME_LEN - 1))
            continue;
        b->n_regions--;
        memmove(&b->regions[i], &b->regions[i + 1], (b->n_regions - i) * sizeof(gone));
        if (rebuild(b))
            return true;
        memmove(&b->regions[i + 1], &b->regions[i], (b->n_regions - i) * sizeof(gone));
        b->regions[i] = gone;
        b->n_regions++;
        return false;
    }
    return false;
}

u64 bus_ram_size(const struct bus *b)
{
    u64 sum = 0;

    for (u32 i = 0; i < b->n_regions; i++) {
        const struct region *r = &b->regions[i];
        if (r->store >= 0 && !r->alias && !b->stores[r->store].rom)
            sum += r->size;
    }
    return sum;
}

void bus_each_region(const struct bus *b, void (*f)(void *ctx, u64 spa, u64 size, char kind, const char *name),
                     void *ctx)
{
    for (u32 i = 0; i < b->n_flat; i++) {
        const struct flat *s = &b->flat[i];
        const struct region *r = &b->regions[s->region];
        f(ctx, s->start, s->last - s->start + 1, r->store < 0 ? 'm' : b->stores[r->store].rom ? 'o' : 'r', r->name);
    }
}

/* ---- pages ---- */

static COLD bool lookup_slow(const struct phys_view *v, u64 page, struct phys_page *out)
{
    struct bus *b = v->bus;
    const struct flat *s = flat_find(b, page);

    *out = (struct phys_page){ .host = NULL, .bpn = BPN_NONE };
    if (!s || s->start > page || s->last - page < PAGE_MASK)
        return false; /* a page only partly covered is left to byte-wise accesses */
    const struct region *r = &b->regions[s->region];
    if (r->store < 0)
        return false;
    const struct store *st = &b->stores[r->store];
    u64 off = page - r->spa + r->off;
    out->host = st->host + off;
    out->bpn = st->first + (u32)(off >> PAGE_SHIFT);
    out->flags = b->flags[out->bpn];
    b->cached = true;
    b->cache[page >> PAGE_SHIFT & (LOOKUP_SIZE - 1)] = (struct lookup){ page + 1, out->host, out->bpn };
    return true;
}

/* Where the page was found last time; NULL: it must be searched for. */
static inline const struct lookup *known(const struct phys_view *v, u64 page)
{
    const struct lookup *l = &v->bus->cache[page >> PAGE_SHIFT & (LOOKUP_SIZE - 1)];

    return LIKELY(page != v->apic_page && l->key == page + 1) ? l : NULL;
}

bool phys_lookup(const struct phys_view *v, struct spa spa, struct phys_page *out)
{
    u64 page = spa.v & v->a20_mask & ~(u64)PAGE_MASK;
    const struct lookup *l = known(v, page);

    if (LIKELY(l != NULL)) {
        out->host = l->host;
        out->bpn = l->bpn;
        out->flags = v->bus->flags[l->bpn];
        return true;
    }
    if (page == v->apic_page) {
        *out = (struct phys_page){ .host = NULL, .bpn = BPN_NONE };
        return false;
    }
    return lookup_slow(v, page, out);
}

u8 page_flags_get(const struct bus *b, u32 bpn)
{
    return bpn < b->next_bpn ? b->flags[bpn] : 0;
}

void page_flags_set(struct bus *b, u32 bpn, u8 flags)
{
    if (bpn >= b->next_bpn || !flags)
        return;
    u8 old = b->flags[bpn];
    b->flags[bpn] = old | flags;
    if (!old && b->hooks.page_flagged)
        b->hooks.page_flagged(b->hooks.ctx, bpn);
}

void page_flags_clear(struct bus *b, u32 bpn, u8 flags)
{
    if (bpn < b->next_bpn)
        b->flags[bpn] &= (u8)~flags;
}

u32 bus_bpn_limit(const struct bus *b)
{
    return b->next_bpn;
}

u8 *bus_bpn_host(const struct bus *b, u32 bpn)
{
    u32 lo = 0, hi = b->n_stores;

    if (bpn >= b->next_bpn)
        return NULL;
    while (hi - lo > 1) {
        u32 mid = (lo + hi) / 2;
        if (b->stores[mid].first <= bpn)
            lo = mid;
        else
            hi = mid;
    }
    return b->stores[lo].host + ((u64)(bpn - b->stores[lo].first) << PAGE_SHIFT);
}

bool page_before_write(struct bus *b, u32 bpn, unsigned off, unsigned len)
{
    u8 f = page_flags_get(b, bpn);

    if (LIKELY(!f))
        return true;
    if (f & PGF_ROM)
        return false;
    if (f & (PGF_CODE | PGF_MONITOR) && b->hooks.page_written)
        b->hooks.page_written(b->hooks.ctx, bpn, off, len);
    b->flags[bpn] &= (u8)~PGF_CLEAN;
    return true;
}

/* ---- exact accesses ---- */

/* One naturally aligned piece of a device access at `off`, at most `left` bytes, as wide as the device takes. A piece
 * narrower than the device's smallest width is widened: on a read the rest is thrown away, on a write it is zero. */
unsigned mmio_piece(const struct mmio_ops *ops, u64 off, u64 left, struct mmio_piece *p)
{
    unsigned max = ops->max_width ? ops->max_width : 8, min = ops->min_width ? ops->min_width : 1, w = 8;

    while (w > max || w > left || off & (w - 1))
        w >>= 1;
    p->width = w < min ? min : w;
    p->off = off & ~(u64)(p->width - 1);
    p->shift = 8 * (unsigned)(off - p->off);
    return w;
}

static unsigned device_read(const struct mmio_ops *ops, void *ctx, u64 off, u8 *buf, u64 left, int cpu)
{
    struct mmio_piece p;
    unsigned w = mmio_piece(ops, off, left, &p);
    u64 v = ops->read ? ops->read(ctx, p.off, p.width, cpu) >> p.shift : ~0ull;

    store_le(buf, w, v);
    return w;
}

static unsigned device_write(const struct mmio_ops *ops, void *ctx, u64 off, const u8 *buf, u64 left, int cpu)
{
    struct mmio_piece p;
    unsigned w = mmio_piece(ops, off, left, &p);

    if (ops->write)
        ops->write(ctx, p.off, p.width, load_le(buf, w) << p.shift, cpu);
    return w;
}

/* Where the bytes at `at` are: the region (NULL: hole or the view's own page) and how many follow in one piece. */
static const struct region *piece_at(const struct phys_view *v, u64 at, u64 len, u64 *n)
{
    const struct bus *b = v->bus;
    const struct flat *s = flat_find(b, at);
    u64 left = PAGE_SIZE - (at & PAGE_MASK);

    if (left > len)
        left = len;
    if (!s) {
        /* A hole: up to the next region, but no further than the page. */
        for (u32 i = 0; i < b->n_flat; i++) {
            if (b->flat[i].start > at) {
                if (b->flat[i].start - at < left)
                    left = b->flat[i].start - at;
                break;
            }
        }
        *n = left;
        return NULL;
    }
    if (s->last - at < left - 1)
        left = s->last - at + 1;
    *n = left;
    return &b->regions[s->region];
}

static bool in_apic(const struct phys_view *v, u64 at)
{
    return (at & ~(u64)PAGE_MASK) == v->apic_page && v->apic_ops;
}

static u64 left_in_page(u64 at, u64 len)
{
    u64 left = PAGE_SIZE - (at & PAGE_MASK);
    return left < len ? left : len;
}

static u64 read_piece(const struct phys_view *v, u64 at, u8 *buf, u64 len)
{
    u64 n;

    if (in_apic(v, at))
        return device_read(v->apic_ops, v->apic_ctx, at & PAGE_MASK, buf, left_in_page(at, len), v->cpu);
    const struct region *r = piece_at(v, at, len, &n);
    if (!r) {
        memset(buf, 0xFF, n);
        return n;
    }
    if (r->store < 0)
        return device_read(r->ops, r->ctx, at - r->spa, buf, n, v->cpu);
    memcpy(buf, v->bus->stores[r->store].host + r->off + (at - r->spa), n);
    return n;
}

static u64 write_piece(const struct phys_view *v, u64 at, const u8 *buf, u64 len)
{
    u64 n;

    if (in_apic(v, at))
        return device_write(v->apic_ops, v->apic_ctx, at & PAGE_MASK, buf, left_in_page(at, len), v->cpu);
    const struct region *r = piece_at(v, at, len, &n);
    if (!r)
        return n;
    if (r->store < 0)
        return device_write(r->ops, r->ctx, at - r->spa, buf, n, v->cpu);
    u64 off = r->off + (at - r->spa);
    const struct store *s = &v->bus->stores[r->store];
    u8 *host = s->host;
    if (page_before_write(v->bus, s->first + (u32)(off >> PAGE_SHIFT), off & PAGE_MASK, (unsigned)n))
        memcpy(host + off, buf, n);
    return n;
}

void phys_read(const struct phys_view *v, struct spa spa, void *buf, size_t len)
{
    u8 *p = buf;

    for (u64 at = spa.v; len;) {
        u64 n = read_piece(v, at & v->a20_mask, p, left_in_page(at, len));
        at += n;
        p += n;
        len -= n;
    }
}

void phys_write(const struct phys_view *v, struct spa spa, const void *buf, size_t len)
{
    const u8 *p = buf;

    for (u64 at = spa.v; len;) {
        u64 n = write_piece(v, at & v->a20_mask, p, left_in_page(at, len));
        at += n;
        p += n;
        len -= n;
    }
}

u64 phys_read_le(const struct phys_view *v, struct spa spa, unsigned width)
{
    const struct lookup *l = known(v, spa.v & v->a20_mask & ~(u64)PAGE_MASK);
    unsigned off = spa.v & PAGE_MASK;
    u64 value = 0;

    if (LIKELY(l && off + width <= PAGE_SIZE))
        return load_le(l->host + off, width);
    phys_read(v, spa, &value, width);
    return value;
}

void phys_write_le(const struct phys_view *v, struct spa spa, unsigned width, u64 value)
{
    struct phys_page p;
    unsigned off = spa.v & PAGE_MASK;

    if (LIKELY(off + width <= PAGE_SIZE && phys_lookup(v, spa, &p))) {
        if (LIKELY(!p.flags) || page_before_write(v->bus, p.bpn, off, width))
            store_le(p.host + off, width, value);
        return;
    }
    phys_write(v, spa, &value, width);
}

/* ---- ports ---- */

bool bus_add_ports_under(struct bus *b, u16 first, unsigned count, const struct mmio_ops *ops, void *ctx)
{
    return ports_add_under(b->ports, first, count, ops, ctx);
}

bool bus_remove_ports(struct bus *b, u16 first, const struct mmio_ops *ops, void *ctx)
{
    return ports_remove(b->ports, first, ops, ctx);
}

bool bus_add_ports(struct bus *b, u16 first, unsigned count, const struct mmio_ops *ops, void *ctx, const char *name)
{
    (void)name;
    return ports_add(b->ports, first, count, ops, ctx);
}

u64 port_read(struct bus *b, u16 port, unsigned width, int cpu)
{
    return ports_read(b->ports, port, width, cpu);
}

void port_write(struct bus *b, u16 port, unsigned width, u64 value, int cpu)
{
    ports_write(b->ports, port, width, value, cpu);
}
