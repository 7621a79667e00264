// SPDX-License-Identifier: MIT
/* The 64 Ki ports: a table from port to range. Accesses are cut into naturally aligned pieces as devices take them. */
#include "bus/ports.h"

#include "base/bits.h"

#include <stdlib.h>

struct port_range {
    u32 first, count;
    const struct mmio_ops *ops;
    void *ctx;
};

struct ports {
    struct port_range *range;
    u32 n;
    u16 map[65536]; /* range + 1, 0 unclaimed; calloc leaves untouched pages uncommitted */
};

struct ports *ports_create(void)
{
    return calloc(1, sizeof(struct ports));
}

void ports_destroy(struct ports *p)
{
    if (p)
        free(p->range);
    free(p);
}

static void show(struct ports *p, u32 i)
{
    for (u32 at = p->range[i].first; at < p->range[i].first + p->range[i].count; at++)
        p->map[at] = (u16)(i + 1);
}

/* The range before others, or one that is gone, covers what is shown again only. */
static void rebuild(struct ports *p, const struct port_range *changed)
{
    memset(p->map + changed->first, 0, changed->count * sizeof(p->map[0]));
    for (u32 i = 0; i < p->n; i++)
        show(p, i);
}

static bool add_at(struct ports *p, u32 i, u16 first, unsigned count, const struct mmio_ops *ops, void *ctx)
{
    if (!ops || !count || count > 65536u - first || p->n == 65535)
        return false;
    struct port_range *r = realloc(p->range, (p->n + 1) * sizeof(*r));
    if (!r)
        return false;
    p->range = r;
    memmove(r + i + 1, r + i, (p->n - i) * sizeof(*r));
    r[i] = (struct port_range){ first, count, ops, ctx };
    p->n++;
    return true;
}

bool ports_add(struct ports *p, u16 first, unsigned count, const struct mmio_ops *ops, void *ctx)
{
    if (!add_at(p, p->n, first, count, ops, ctx))
        return false;
    show(p, p->n - 1);
    return true;
}

bool ports_add_under(struct ports *p, u16 first, unsigned count, const struct mmio_ops *ops, void *ctx)
{
    if (!add_at(p, 0, first, count, ops, ctx))
        return false;
    rebuild(p, &p->range[0]);
    return true;
}

bool ports_remove(struct ports *p, u16 first, const struct mmio_ops *ops, void *ctx)
{
    for (u32 i = p->n; i-- > 0;) {
        struct port_range r = p->range[i];
        if (r.first != first || r.ops != ops || r.ctx != ctx)
            continue;
        p->n--;
        memmove(p->range + i, p->range + i + 1, (p->n - i) * sizeof(r));
        rebuild(p, &r);
        return true;
    }
    return false;
}

/* The range at `port` and how many of `len` bytes from there it serves without a gap. */
static const struct port_range *range_at(const struct ports *p, u32 port, unsigned len, unsigned *n)
{
    if (port > 0xFFFF || !p->map[port]) {
        *n = 1;
        return NULL;
    }
    for (*n = 1; *n < len && port + *n <= 0xFFFF && p->map[port + *n] == p->map[port]; ++*n)
        continue;
    return &p->range[p->map[port] - 1];
}

u64 ports_read(struct ports *p, u16 port, unsigned width, int cpu)
{
    u64 value = 0;

    for (unsigned done = 0; done < width;) {
        unsigned n;
        const struct port_range *r = range_at(p, (u32)port + done, width - done, &n);
        u64 v = ~0ull;
        if (r) {
            struct mmio_piece m;
            n = mmio_piece(r->ops, (u32)port + done - r->first, n, &m);
            if (r->ops->read)
                v = r->ops->read(r->ctx, m.off, m.width, cpu) >> m.shift;
        }
        value |= zext(v, n) << (8 * done);
        done += n;
    }
    return value;
}

void ports_write(struct ports *p, u16 port, unsigned width, u64 value, int cpu)
{
    for (unsigned done = 0; done < width;) {
        unsigned n;
        const struct port_range *r = range_at(p, (u32)port + done, width - done, &n);
        if (r) {
            struct mmio_piece m;
            n = mmio_piece(r->ops, (u32)port + done - r->first, n, &m);
            if (r->ops->write)
                r->ops->write(r->ctx, m.off, m.width, zext(value >> (8 * done), n) << m.shift, cpu);
        }
        done += n;
    }
}
