// SPDX-License-Identifier: MIT
/* System-physical address space: regions, RAM, page flags, ports.
 *
 * Every 4 KiB page of RAM or ROM has a backing page number (bpn), independent of where it is mapped; block keys and
 * page flags belong to the bpn. Region pages without host memory (MMIO, holes) have bpn BPN_NONE. */
#ifndef SVMEMU_BUS_BUS_H
#define SVMEMU_BUS_BUS_H

#include "base/types.h"

#define BPN_NONE 0xFFFFFFFFu

/* Page flags: a page may be written by the fast path only where all are zero. */
enum {
    PGF_CODE = 1 << 0,  /* decoded instructions came from it */
    PGF_ROM = 1 << 1,   /* writes are dropped */
    PGF_CLEAN = 1 << 2, /* not written since the last snapshot (write clears it) */
    PGF_MONITOR = 1 << 3, /* a vCPU's MONITOR may be armed on a line of it */
};

struct bus;
struct vcpu;

/* MMIO and port handlers. `width` is 1, 2, 4 or 8, `off` is relative to the region or port range start. Wider or
 * page-crossing accesses are split by the bus. `ctx` is the device; `cpu` is the index of the accessing vCPU (or -1: DMA/API). */
struct mmio_ops {
    u64 (*read)(void *ctx, u64 off, unsigned width, int cpu);
    void (*write)(void *ctx, u64 off, unsigned width, u64 value, int cpu);
    unsigned min_width, max_width; /* access sizes the device takes; others are split or widened by the bus (0: any) */
};

/* A per-vCPU overlay of one page (the local APIC; SMM adds more later). */
struct phys_view {
    struct bus *bus;
    int cpu;               /* vCPU index, -1 for the machine's own (DMA, API) */
    u64 apic_page;         /* page-aligned spa of the local APIC, or ~0 when disabled */
    const struct mmio_ops *apic_ops;
    void *apic_ctx;
    u64 a20_mask;          /* ~0, or ~(1<<20) when A20 is masked */
};

/* Where a system-physical page is. */
struct phys_page {
    u8 *host;  /* host address of the page's byte 0, NULL for MMIO and holes */
    u32 bpn;   /* BPN_NONE without host memory */
    u8 flags;  /* PGF_* at look-up time */
};

/* Called when something writes to a page that has flags (PGF_CODE, PGF_MONITOR); set by exec. Before the bytes change. */
struct bus_hooks {
    void *ctx;
    void (*page_written)(void *ctx, u32 bpn, unsigned off, unsigned len);
    void (*page_flagged)(void *ctx, u32 bpn); /* first flag set: purge fast-writable entries in every vCPU */
    void (*map_changed)(void *ctx);           /* regions moved: every translation copy must go */
};

struct bus *bus_create(unsigned maxphys_bits);
void bus_destroy(struct bus *b);
void bus_set_hooks(struct bus *b, const struct bus_hooks *h);

/* Regions. Later mappings of higher priority shadow earlier ones. RAM is reserved, not committed. Return false when out of memory / overlapping limits. */
bool bus_add_ram(struct bus *b, u64 spa, u64 size, const char *name);
bool bus_add_rom(struct bus *b, u64 spa, u64 size, const void *data, u64 data_size, const char *name);
/* Map again (alias) the pages that back [target_spa, +size) of RAM/ROM `name`. */
bool bus_add_alias(struct bus *b, u64 spa, u64 size, const char *name, u64 offset_in_name);
bool bus_add_mmio(struct bus *b, u64 spa, u64 size, const struct mmio_ops *ops, void *ctx, const char *name);
/* Below everything mapped so far: visible only where nothing else is. */
bool bus_add_mmio_under(struct bus *b, u64 spa, u64 size, const struct mmio_ops *ops, void *ctx, const char *name);
bool bus_remove(struct bus *b, u64 spa, const char *name);
bool bus_add_ports_under(struct bus *b, u16 first, unsigned count, const struct mmio_ops *ops, void *ctx);
bool bus_remove_ports(struct bus *b, u16 first, const struct mmio_ops *ops, void *ctx);
bool bus_add_ports(struct bus *b, u16 first, unsigned count, const struct mmio_ops *ops, void *ctx, const char *name);
u64 bus_ram_size(const struct bus *b);
/* Calls f for each region in address order (memory map printing, loaders). kind: 'r' RAM, 'o' ROM, 'm' MMIO. */
void bus_each_region(const struct bus *b, void (*f)(void *ctx, u64 spa, u64 size, char kind, const char *name), void *ctx);

/* Look-up of one page through a view: fills *out; false for MMIO/hole (out->host NULL). */
bool phys_lookup(const struct phys_view *v, struct spa spa, struct phys_page *out);

/* Byte-wise exact accesses through a view, any length, any alignment. RAM/ROM by copy (page flags honoured on write), MMIO through
 * its handler in pieces of at most 8 aligned bytes; holes read all ones and drop writes. */
void phys_read(const struct phys_view *v, struct spa spa, void *buf, size_t len);
void phys_write(const struct phys_view *v, struct spa spa, const void *buf, size_t len);
u64 phys_read_le(const struct phys_view *v, struct spa spa, unsigned width);
void phys_write_le(const struct phys_view *v, struct spa spa, unsigned width, u64 value);

/* Ports: width 1, 2, 4. Unclaimed ports read all ones. */
u64 port_read(struct bus *b, u16 port, unsigned width, int cpu);
void port_write(struct bus *b, u16 port, unsigned width, u64 value, int cpu);

/* Page flags, by backing page number. Setting a first flag calls hooks.page_flagged. */
u8 page_flags_get(const struct bus *b, u32 bpn);
void page_flags_set(struct bus *b, u32 bpn, u8 flags);
void page_flags_clear(struct bus *b, u32 bpn, u8 flags);
u32 bus_bpn_limit(const struct bus *b); /* all bpn are below this */
u8 *bus_bpn_host(const struct bus *b, u32 bpn);
/* The writer's duty before changing bytes of a flagged page: drops code, clears CLEAN; returns false when the write must be dropped (ROM). */
bool page_before_write(struct bus *b, u32 bpn, unsigned off, unsigned len);

#endif
