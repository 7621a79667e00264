// SPDX-License-Identifier: MIT
#include "dev/pci.h"

#include "base/bits.h"

#include <stdio.h>

#define ADDRESS_ENABLE 0x80000000u
/* Kernels on AMD processors of family 10h and later use bits 27:24 as bits 11:8 of the register. */
#define ADDRESS_BITS 0x8FFFFFFCu

static unsigned address_register(u32 a, u64 off)
{
    return (a >> 16 & 0xF00) + (a & 0xFC) + (unsigned)(off & 3);
}

/* ---- BARs ---- */

static void bar_name(const struct pci_function *f, unsigned i, char *out, size_t size)
{
    snprintf(out, size, "pci 00:%02x.%x bar %u", f->devfn >> 3u, f->devfn & 7u, i);
}

/* Where the registers say that the BAR is; false: it is not decoded. */
static bool bar_place(const struct pci_function *f, const struct pci_bar *bar, u64 *at)
{
    if (!bar->size || !(f->s.config[bar->enable_reg] & bar->enable_mask))
        return false;
    *at = load_le(f->s.config + bar->reg, bar->wide ? 8 : 4) & ~(bar->size - 1);
    return !bar->io || (*at && *at + bar->size <= 0x10000);
}

static void unmap(struct pci_function *f, unsigned i)
{
    struct pci_bar *bar = &f->bar[i];
    char name[32];
    if (!bar->mapped)
        return;
    bar_name(f, i, name, sizeof(name));
    if (bar->io)
        bus_remove_ports(f->bus->bus, (u16)bar->at, bar->ops, bar->ctx);
    else
        bus_remove(f->bus->bus, bar->at, name);
    bar->mapped = false;
}

/* Addresses beyond the processor's physical address width are refused by the bus: nobody can reach them. */
static void map(struct pci_function *f, unsigned i)
{
    struct pci_bar *bar = &f->bar[i];
    char name[32];
    u64 at;
    if (!bar_place(f, bar, &at))
        return;
    bar_name(f, i, name, sizeof(name));
    bar->at = at;
    bar->mapped = bar->io ? bus_add_ports_under(f->bus->bus, (u16)at, (unsigned)bar->size, bar->ops, bar->ctx)
                          : bus_add_mmio_under(f->bus->bus, at, bar->size, bar->ops, bar->ctx, name);
}

static bool moved(const struct pci_function *f)
{
    for (unsigned i = 0; i < PCI_BARS; i++) {
        u64 at = 0;
        bool there = bar_place(f, &f->bar[i], &at);
        if (there != f->bar[i].mapped || (there && at != f->bar[i].at))
            return true;
    }
    return false;
}

/* All are mapped anew, in order, so that overlaps are decided by number and not by history. */
static void remap(struct pci_bus *p)
{
    bool any = false;
    for (unsigned d = 0; d < ARRAY_LEN(p->fn); d++)
        any |= p->fn[d] && moved(p->fn[d]);
    if (!any)
        return;
    for (unsigned d = 0; d < ARRAY_LEN(p->fn); d++)
        for (unsigned i = 0; p->fn[d] && i < PCI_BARS; i++)
            unmap(p->fn[d], i);
    for (unsigned d = 0; d < ARRAY_LEN(p->fn); d++)
        for (unsigned i = 0; p->fn[d] && i < PCI_BARS; i++)
            map(p->fn[d], i);
}

/* ---- interrupts ---- */

static bool intx_level(const struct pci_function *f)
{
    return f->s.intx && !(load_le(f->s.config + PCI_COMMAND, 2) & PCI_CMD_NO_INTX);
}

/* Pin A of device 1 is PIRQ A, of device 2 PIRQ B and so on, as boards with this chipset are wired. */
static unsigned pirq_of(const struct pci_function *f)
{
    return (f->devfn / 8u + f->reset[PCI_PIN] + 2u) & 3;
}

static void update_pirq(struct pci_bus *p, unsigned pirq)
{
    bool level = false;
    for (unsigned d = 0; d < ARRAY_LEN(p->fn); d++)
        if (p->fn[d] && p->fn[d]->reset[PCI_PIN] && pirq_of(p->fn[d]) == pirq)
            level |= intx_level(p->fn[d]);
    if (p->out.intx)
        p->out.intx(p->out.ctx, pirq, level);
}

void pci_set_intx(struct pci_function *f, bool level)
{
    if (f->s.intx == level || !f->reset[PCI_PIN])
        return;
    f->s.intx = level;
    f->s.config[PCI_STATUS] = (u8)((f->s.config[PCI_STATUS] & ~PCI_STATUS_INTX) | (level ? PCI_STATUS_INTX : 0));
    update_pirq(f->bus, pirq_of(f));
}

void pci_send_msi(struct pci_function *f, u64 address, u32 data)
{
    if ((f->s.config[PCI_COMMAND] & PCI_CMD_MASTER) && f->bus->out.msi)
        f->bus->out.msi(f->bus->out.ctx, address, data);
}

/* ---- configuration space ---- */

static struct pci_function *function_at(const struct pci_bus *p, unsigned busno, unsigned devfn)
{
    return busno || devfn > 0xFF ? NULL : p->fn[devfn];
}

/* An access that nobody claims ends in a master abort: all ones. */
u32 pci_config_read(const struct pci_bus *p, unsigned busno, unsigned devfn, unsigned reg, unsigned width)
{
    const struct pci_function *f = function_at(p, busno, devfn);
    if (!f || reg + width > PCI_CONFIG_SIZE)
        return (u32)width_mask(width);
    return (u32)load_le(f->s.config + reg, width);
}

void pci_config_write(struct pci_bus *p, unsigned busno, unsigned devfn, unsigned reg, unsigned width, u32 value)
{
    struct pci_function *f = function_at(p, busno, devfn);
    if (!f || reg + width > PCI_CONFIG_SIZE)
        return;
    for (unsigned i = 0; i < width; i++) {
        u8 v = (u8)(value >> 8 * i), *byte = &f->s.config[reg + i];
        *byte = (u8)((*byte & ~f->writable[reg + i]) | (v & f->writable[reg + i]));
        *byte &= (u8)~(v & f->clears[reg + i]);
    }
    remap(p);
    if (reg <= PCI_COMMAND + 1 && f->reset[PCI_PIN])
        update_pirq(p, pirq_of(f));
    if (f->written)
        f->written(f->ctx, reg, width);
}

/* CF8h is a register only for doublewords; CF9h, inside of it, is the reset control register for bytes. */
static u64 port_in(void *ctx, u64 off, unsigned width, int cpu)
{
    struct pci_bus *p = ctx;
    u32 a = p->s.address;
    (void)cpu;
    if (off >= 4 && (a & ADDRESS_ENABLE))
        return pci_config_read(p, a >> 16 & 0xFF, a >> 8 & 0xFF, address_register(a, off), width);
    if (off == 0 && width == 4)
        return a;
    return off == 1 && width == 1 ? p->s.cf9 : width_mask(width);
}

static void port_out(void *ctx, u64 off, unsigned width, u64 value, int cpu)
{
    struct pci_bus *p = ctx;
    u32 a = p->s.address;
    (void)cpu;
    if (off >= 4 && (a & ADDRESS_ENABLE))
        pci_config_write(p, a >> 16 & 0xFF, a >> 8 & 0xFF, address_register(a, off), width, (u32)value);
    else if (off == 0 && width == 4)
        p->s.address = (u32)value & ADDRESS_BITS;
    else if (off == 1 && width == 1) {
        bool rising = (value & 4) && !(p->s.cf9 & 4);
        p->s.cf9 = (u8)value & 2; /* RST_CPU reads back 0: the reset has happened */
        if (rising && p->out.reset)
            p->out.reset(p->out.ctx, value & 2);
    }
}

static u64 ecam_read(void *ctx, u64 off, unsigned width, int cpu)
{
    (void)cpu;
    return pci_config_read(ctx, (unsigned)(off >> 20), off >> 12 & 0xFF, off & 0xFFF, width);
}

static void ecam_write(void *ctx, u64 off, unsigned width, u64 value, int cpu)
{
    (void)cpu;
    pci_config_write(ctx, (unsigned)(off >> 20), off >> 12 & 0xFF, off & 0xFFF, width, (u32)value);
}

static const struct mmio_ops port_ops = { port_in, port_out, 1, 4 };
static const struct mmio_ops ecam_ops = { ecam_read, ecam_write, 1, 4 };

/* ---- functions ---- */

void pci_register(struct pci_function *f, unsigned reg, unsigned width, u32 value, u32 writable)
{
    store_le(f->reset + reg, width, value);
    store_le(f->writable + reg, width, writable);
}

void pci_describe(struct pci_function *f, u16 vendor, u16 device, u32 class_code, u8 revision)
{
    *f = (struct pci_function){ 0 };
    pci_register(f, PCI_VENDOR, 2, vendor, 0);
    pci_register(f, PCI_DEVICE, 2, device, 0);
    pci_register(f, PCI_COMMAND, 2, 0, PCI_CMD_IO | PCI_CMD_MEMORY | PCI_CMD_MASTER | PCI_CMD_NO_INTX);
    pci_register(f, PCI_CLASS, 3, class_code, 0);
    pci_register(f, PCI_REVISION, 1, revision, 0);
    pci_register(f, PCI_LINE, 1, 0, 0xFF);
    store_le(f->clears + PCI_STATUS, 2, 0xF900); /* error bits */
}

void pci_describe_bar(struct pci_function *f, unsigned i, u64 size, bool io, bool wide, const struct mmio_ops *ops, void *ctx)
{
    u8 reg = (u8)(PCI_BAR0 + 4 * i);
    u64 mask = ~(size - 1);
    f->bar[i] = (struct pci_bar){
        .size = size, .io = io, .wide = wide, .reg = reg, .enable_reg = PCI_COMMAND, .enable_mask = io ? PCI_CMD_IO : PCI_CMD_MEMORY,
        .ops = ops, .ctx = ctx,
    };
    pci_register(f, reg, 4, io ? 1 : wide ? 4 : 0, (u32)mask);
    if (wide)
        pci_register(f, reg + 4u, 4, 0, (u32)(mask >> 32));
}

void pci_add(struct pci_bus *p, struct pci_function *f, u8 devfn)
{
    f->bus = p;
    f->devfn = devfn;
    memcpy(f->s.config, f->reset, sizeof(f->reset));
    p->fn[devfn] = f;
}

void pci_reset(struct pci_bus *p)
{
    p->s = (struct pci_bus_state){ 0 };
    for (unsigned d = 0; d < ARRAY_LEN(p->fn); d++) {
        struct pci_function *f = p->fn[d];
        if (!f)
            continue;
        memcpy(f->s.config, f->reset, sizeof(f->reset));
        f->s.intx = false;
    }
    remap(p);
    for (unsigned d = 0; d < ARRAY_LEN(p->fn); d++)
        if (p->fn[d] && p->fn[d]->written)
            p->fn[d]->written(p->fn[d]->ctx, 0, PCI_CONFIG_SIZE);
    for (unsigned i = 0; i < 4; i++)
        update_pirq(p, i);
}

bool pci_init(struct pci_bus *p, struct bus *b, const struct pci_out *out)
{
    *p = (struct pci_bus){ .bus = b, .out = *out };
    return bus_add_ports(b, 0xCF8, 8, &port_ops, p, "pci") &&
           bus_add_mmio(b, PCI_ECAM_SPA, PCI_ECAM_SIZE, &ecam_ops, p, "pci configuration");
}
