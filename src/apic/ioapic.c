// SPDX-License-Identifier: MIT
#include "apic/ioapic.h"

#include <string.h>

enum {
    RTE_VECTOR = 0xFF, RTE_LOGICAL = 1 << 11, RTE_STATUS = 1 << 12, RTE_REMOTE_IRR = 1 << 14, RTE_LEVEL = 1 << 15,
    RTE_MASKED = 1 << 16,
    RTE_WRITABLE_LO = 0x1AFFF, /* all but delivery status and remote IRR */
};
enum { REG_SELECT = 0x00, REG_WINDOW = 0x10, REG_EOI = 0x40 };
enum { IDX_ID = 0, IDX_VERSION = 1, IDX_ARBITRATION = 2, IDX_RTE = 0x10 };

/* SMI, NMI, INIT and ExtINT are edge-triggered whatever the entry says [82093AA 3.2.4]. */
static bool is_level(u64 rte)
{
    unsigned mode = rte >> 8 & 7;
    return (rte & RTE_LEVEL) && (mode == APIC_FIXED || mode == APIC_LOWEST);
}

static void send(struct ioapic *io, unsigned pin)
{
    u64 *rte = &io->s.rte[pin];
    bool level = is_level(*rte);
    enum apic_mode mode = (enum apic_mode)(*rte >> 8 & 7);
    if ((*rte & RTE_MASKED) || (level && (*rte & RTE_REMOTE_IRR)) || mode == APIC_REMOTE_READ || mode == APIC_SIPI)
        return; /* the two modes are reserved */
    int n = apic_bus_deliver(io->bus, (u32)(*rte >> 56), *rte & RTE_LOGICAL, false, mode, (u8)*rte, level);
    if (level && n) /* else nobody will end it: the next look at the pin tries again */
        *rte |= RTE_REMOTE_IRR;
}

void ioapic_set_pin(struct ioapic *io, unsigned pin, bool level)
{
    if (pin >= IOAPIC_PINS)
        return;
    u32 bit = 1u << pin;
    bool rising = level && !(io->s.lines & bit);
    io->s.lines = level ? io->s.lines | bit : io->s.lines & ~bit;
    if (level && (rising || is_level(io->s.rte[pin])))
        send(io, pin);
}

void ioapic_eoi(struct ioapic *io, u8 vector)
{
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        u64 *rte = &io->s.rte[pin];
        if (!(*rte & RTE_LEVEL) || (u8)*rte != vector || !(*rte & RTE_REMOTE_IRR))
            continue;
        *rte &= ~(u64)RTE_REMOTE_IRR;
        if (io->s.lines >> pin & 1) /* still asserted: again */
            send(io, pin);
    }
}

static u32 reg_read(const struct ioapic *io)
{
    unsigned i = io->s.select;
    switch (i) {
    case IDX_ID: return (u32)io->s.id << 24;
    case IDX_VERSION: return 0x20 | (IOAPIC_PINS - 1) << 16;
    case IDX_ARBITRATION: return (u32)io->s.id << 24;
    default: break;
    }
    if (i < IDX_RTE || i >= IDX_RTE + 2 * IOAPIC_PINS)
        return 0;
    u64 rte = io->s.rte[(i - IDX_RTE) / 2];
    return i & 1 ? (u32)(rte >> 32) : (u32)rte;
}

static void rte_write(struct ioapic *io, unsigned pin, bool high, u32 v)
{
    u64 *rte = &io->s.rte[pin];
    if (high) {
        *rte = (*rte & 0xFFFFFFFF) | (u64)(v & 0xFF000000) << 32;
        return;
    }
    *rte = (*rte & ~(u64)RTE_WRITABLE_LO) | (v & RTE_WRITABLE_LO);
    if (!is_level(*rte)) /* turning a pin to edge clears a stuck remote IRR; kernels rely on it */
        *rte &= ~(u64)RTE_REMOTE_IRR;
    else if (io->s.lines >> pin & 1)
        send(io, pin);
}

static void reg_write(struct ioapic *io, u32 v)
{
    unsigned i = io->s.select;
    if (i == IDX_ID)
        io->s.id = v >> 24 & 0xF;
    else if (i >= IDX_RTE && i < IDX_RTE + 2 * IOAPIC_PINS)
        rte_write(io, (i - IDX_RTE) / 2, i & 1, v);
}

static u64 mmio_read(void *ctx, u64 off, unsigned width, int cpu)
{
    struct ioapic *io = ctx;
    (void)width, (void)cpu;
    switch (off) {
    case REG_SELECT: return io->s.select;
    case REG_WINDOW: return reg_read(io);
    default: return 0;
    }
}

static void mmio_write(void *ctx, u64 off, unsigned width, u64 value, int cpu)
{
    struct ioapic *io = ctx;
    (void)width, (void)cpu;
    switch (off) {
    case REG_SELECT: io->s.select = (u8)value; break;
    case REG_WINDOW: reg_write(io, (u32)value); break;
    case REG_EOI: ioapic_eoi(io, (u8)value); break;
    default: break;
    }
}

static const struct mmio_ops ops = { mmio_read, mmio_write, 4, 4 };

void ioapic_reset(struct ioapic *io)
{
    u32 lines = io->s.lines;
    u8 id = io->s.id;
    io->s = (struct ioapic_state){ .lines = lines, .id = id };
    for (unsigned i = 0; i < IOAPIC_PINS; i++)
        io->s.rte[i] = RTE_MASKED;
}

bool ioapic_init(struct ioapic *io, struct bus *b, struct apic_bus *apics, u64 spa, u8 id)
{
    memset(io, 0, sizeof(*io));
    io->bus = apics;
    io->s.id = id;
    ioapic_reset(io);
    return bus_add_mmio(b, spa, PAGE_SIZE, &ops, io, "ioapic");
}
