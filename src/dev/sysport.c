// SPDX-License-Identifier: MIT
/* Ports that belong to no chip of their own. */
#include "dev/sysport.h"

#include "base/bits.h"

/* Port 61h bit 4 toggles with the refresh request, every 15.085 us; bit 5 is OUT of PIT channel 2. */
#define REFRESH_HZ 66288u

static u64 p61_read(void *ctx, u64 off, unsigned width, int cpu)
{
    struct sysport *d = ctx;
    (void)off, (void)width, (void)cpu;
    u64 refresh = clock_ticks_to(d->clock, d->clock->now, REFRESH_HZ) & 1;
    return d->s.port61 | refresh << 4 | (u64)pit_out(d->pit, 2) << 5;
}

static void p61_write(void *ctx, u64 off, unsigned width, u64 value, int cpu)
{
    struct sysport *d = ctx;
    (void)off, (void)width, (void)cpu;
    d->s.port61 = value & 0xF;
    pit_set_gate(d->pit, 2, value & 1);
}

static u64 p80_read(void *ctx, u64 off, unsigned width, int cpu)
{
    (void)off, (void)width, (void)cpu;
    return ((struct sysport *)ctx)->s.port80;
}

static void p80_write(void *ctx, u64 off, unsigned width, u64 value, int cpu)
{
    struct sysport *d = ctx;
    (void)off, (void)width, (void)cpu;
    d->s.port80 = (u8)value;
    if (d->out.post_code)
        d->out.post_code(d->out.ctx, (u8)value);
}

static u64 p92_read(void *ctx, u64 off, unsigned width, int cpu)
{
    (void)off, (void)width, (void)cpu;
    return ((struct sysport *)ctx)->s.port92;
}

static void p92_write(void *ctx, u64 off, unsigned width, u64 value, int cpu)
{
    struct sysport *d = ctx;
    u8 old = d->s.port92, v = (u8)value;
    (void)off, (void)width, (void)cpu;
    d->s.port92 = v & (u8)~1;
    if (((v ^ old) & 2) && d->out.set_a20)
        d->out.set_a20(d->out.ctx, v & 2);
    if ((v & 1) && d->out.reset)
        d->out.reset(d->out.ctx);
}

void sysport_note_a20(struct sysport *d, bool enabled) { d->s.port92 = (u8)((d->s.port92 & ~2) | (enabled ? 2 : 0)); }

static u64 e9_read(void *ctx, u64 off, unsigned width, int cpu)
{
    (void)ctx, (void)off, (void)width, (void)cpu;
    return 0xE9; /* says that the port exists */
}

static void e9_write(void *ctx, u64 off, unsigned width, u64 value, int cpu)
{
    struct sysport *d = ctx;
    (void)off, (void)width, (void)cpu;
    if (d->out.debug_char)
        d->out.debug_char(d->out.ctx, (u8)value);
}

static u64 shutdown_read(void *ctx, u64 off, unsigned width, int cpu)
{
    (void)ctx, (void)off, (void)width, (void)cpu;
    return 0xFF;
}

static void shutdown_write(void *ctx, u64 off, unsigned width, u64 value, int cpu)
{
    static const char word[] = "Shutdown";
    struct sysport *d = ctx;
    (void)off, (void)width, (void)cpu;
    if ((char)value == word[d->s.shutdown_match])
        d->s.shutdown_match++;
    else
        d->s.shutdown_match = (char)value == word[0];
    if (d->s.shutdown_match < sizeof(word) - 1)
        return;
    d->s.shutdown_match = 0;
    if (d->out.power_off)
        d->out.power_off(d->out.ctx);
}

static u64 exit_read(void *ctx, u64 off, unsigned width, int cpu)
{
    (void)ctx, (void)off, (void)cpu;
    return width_mask(width);
}

static void exit_write(void *ctx, u64 off, unsigned width, u64 value, int cpu)
{
    struct sysport *d = ctx;
    (void)width, (void)cpu;
    if (off == 0 && d->out.exit_value)
        d->out.exit_value(d->out.ctx, (u32)value);
}

static const struct mmio_ops p61_ops = { p61_read, p61_write, 1, 1 };
static const struct mmio_ops p80_ops = { p80_read, p80_write, 1, 1 };
static const struct mmio_ops p92_ops = { p92_read, p92_write, 1, 1 };
static const struct mmio_ops e9_ops = { e9_read, e9_write, 1, 1 };
static const struct mmio_ops shutdown_ops = { shutdown_read, shutdown_write, 1, 1 };
static const struct mmio_ops exit_ops = { exit_read, exit_write, 1, 4 };

void sysport_reset(struct sysport *d)
{
    d->s = (struct sysport_state){ .port92 = 2 };
    pit_set_gate(d->pit, 2, false);
}

bool sysport_init(struct sysport *d, struct bus *b, struct clock *c, struct pit *pit, const struct sysport_cfg *cfg,
                  const struct sysport_out *out)
{
    *d = (struct sysport){ .clock = c, .pit = pit, .out = *out };
    sysport_reset(d);
    bool ok = bus_add_ports(b, 0x61, 1, &p61_ops, d, "port 61h") && bus_add_ports(b, 0x80, 1, &p80_ops, d, "port 80h") &&
              bus_add_ports(b, 0x92, 1, &p92_ops, d, "port 92h");
    if (cfg->debug_port)
        ok = ok && bus_add_ports(b, 0xE9, 1, &e9_ops, d, "port E9h") &&
             bus_add_ports(b, 0x8900, 1, &shutdown_ops, d, "shutdown");
    if (cfg->firmware_debug)
        ok = ok && bus_add_ports(b, 0x402, 1, &e9_ops, d, "port 402h");
    return ok;
}

bool sysport_plug_exit(struct sysport *d, struct bus *b)
{
    d->has_exit = d->has_exit || bus_add_ports(b, 0xF4, 4, &exit_ops, d, "exit port");
    return d->has_exit;
}
