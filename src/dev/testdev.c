// SPDX-License-Identifier: MIT
#include "dev/testdev.h"

#include "base/bits.h"

static u64 latch_read(void *ctx, u64 off, unsigned width, int cpu)
{
    struct testdev *d = ctx;
    (void)cpu;
    return load_le(d->s.latch + off, width);
}

static void latch_write(void *ctx, u64 off, unsigned width, u64 value, int cpu)
{
    struct testdev *d = ctx;
    (void)cpu;
    store_le(d->s.latch + (off & 3), width > 4 ? 4 : width, value); /* the bus keeps to 1, 2 and 4 inside the four ports */
}

static u64 nothing_read(void *ctx, u64 off, unsigned width, int cpu)
{
    (void)ctx, (void)off, (void)cpu;
    return width_mask(width);
}

static void flush_write(void *ctx, u64 off, unsigned width, u64 value, int cpu)
{
    struct testdev *d = ctx;
    (void)cpu;
    if (off == 0 && width == 4 && d->out.flush)
        d->out.flush(d->out.ctx, (u32)value & ~PAGE_MASK);
}

static void line_write(void *ctx, u64 off, unsigned width, u64 value, int cpu)
{
    struct testdev *d = ctx;
    bool level = value & 0xFF;
    (void)width, (void)cpu;
    d->s.lines = (u32)(level ? d->s.lines | 1u << off : d->s.lines & ~(1u << off));
    if (d->out.line)
        d->out.line(d->out.ctx, (unsigned)off, level);
}

static u64 ram_read(void *ctx, u64 off, unsigned width, int cpu)
{
    struct testdev *d = ctx;
    (void)cpu;
    return load_le(d->s.ram + off, width);
}

static void ram_write(void *ctx, u64 off, unsigned width, u64 value, int cpu)
{
    struct testdev *d = ctx;
    (void)cpu;
    store_le(d->s.ram + off, width, value);
}

static const struct mmio_ops latch_ops = { latch_read, latch_write, 1, 4 };
static const struct mmio_ops flush_ops = { nothing_read, flush_write, 1, 4 };
static const struct mmio_ops line_ops = { nothing_read, line_write, 1, 1 };
static const struct mmio_ops ram_ops = { ram_read, ram_write, 1, 8 };

void testdev_reset(struct testdev *d)
{
    u32 lines = d->s.lines;
    d->s = (struct testdev_state){ 0 };
    for (unsigned n = 0; n < TESTDEV_LINES; n++)
        if ((lines >> n & 1) && d->out.line)
            d->out.line(d->out.ctx, n, false);
}

bool testdev_plug(struct testdev *d, struct bus *b, const struct testdev_out *out)
{
    if (d->present)
        return true;
    d->out = *out;
    d->present = bus_add_ports(b, 0xE0, 4, &latch_ops, d, "test latch") && bus_add_ports(b, 0xE4, 4, &flush_ops, d, "page flush") &&
                 bus_add_ports(b, 0x2000, TESTDEV_LINES, &line_ops, d, "test interrupts") &&
                 bus_add_mmio_under(b, TESTDEV_RAM_SPA, TESTDEV_RAM_SIZE, &ram_ops, d, "I/O RAM");
    return d->present;
}
