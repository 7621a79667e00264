// SPDX-License-Identifier: MIT
#include "dev/pci_msi.h"

#include "base/bits.h"

#include <stdlib.h>

#define CAP_POINTER 0x34u
#define STATUS_CAPABILITIES 0x10u
enum { CAP_MSI = 0x05, CAP_MSIX = 0x11, MSI_AT = 0x50, MSIX_AT = 0x70 };
/* MSI with 64-bit address and mask bits: offsets in the capability, bits of message control [PCI 3.0 6.8.1]. */
enum { MSI_CONTROL = 2, MSI_ADDRESS = 4, MSI_DATA = 12, MSI_MASK = 16, MSI_PENDING = 20 };
enum { MSI_ENABLE = 1, MSI_64 = 1 << 7, MSI_MASKABLE = 1 << 8 };
/* MSI-X [PCI 3.0 6.8.2]. */
enum { MSIX_CONTROL = 2, MSIX_TABLE = 4, MSIX_PBA = 8, MSIX_FUNCTION_MASK = 1 << 14, MSIX_ENABLE = 1 << 15, VECTOR_MASKED = 1 };

static u16 control(const struct pci_messages *g, u8 cap, unsigned off)
{
    return cap ? (u16)load_le(g->f->s.config + cap + off, 2) : 0;
}
static bool msi_on(const struct pci_messages *g) { return control(g, g->msi, MSI_CONTROL) & MSI_ENABLE; }
static bool msix_on(const struct pci_messages *g) { return control(g, g->msix, MSIX_CONTROL) & MSIX_ENABLE; }
static u32 table_bytes(const struct pci_messages *g) { return g->entries * MSIX_ENTRY; }

/* ---- MSI ---- */

/* How many vectors the guest has granted: the function uses the low bits of the data for its own. */
static unsigned msi_granted(const struct pci_messages *g)
{
    unsigned c = control(g, g->msi, MSI_CONTROL), log = c >> 4 & 7, capable = c >> 1 & 7;
    return 1u << (log < capable ? log : capable);
}

static void msi_send(struct pci_messages *g, unsigned vector)
{
    const u8 *cap = g->f->s.config + g->msi;
    unsigned n = msi_granted(g);
    pci_send_msi(g->f, load_le(cap + MSI_ADDRESS, 8), (u32)(load_le(cap + MSI_DATA, 2) & ~(u64)(n - 1)) | (vector & (n - 1)));
}

/* Sends what is pending and no longer masked; the pending bits are the guest's to see. */
static void msi_flush(struct pci_messages *g)
{
    u8 *cap = g->f->s.config + g->msi;
    u32 due = msi_on(g) ? g->msi_pending & ~(u32)load_le(cap + MSI_MASK, 4) : 0;
    g->msi_pending &= ~due;
    for (unsigned v = 0; due; v++, due >>= 1)
        if (due & 1)
            msi_send(g, v);
    store_le(cap + MSI_PENDING, 4, g->msi_pending);
}

/* ---- MSI-X ---- */

static void msix_try(struct pci_messages *g, unsigned v)
{
    const u8 *entry = g->table + v * MSIX_ENTRY;
    u64 bit = 1ull << (v & 63);
    bool masked = (control(g, g->msix, MSIX_CONTROL) & MSIX_FUNCTION_MASK) || (entry[12] & VECTOR_MASKED);
    if (!(g->pending[v / 64] & bit) || !msix_on(g) || masked)
        return;
    g->pending[v / 64] &= ~bit;
    pci_send_msi(g->f, load_le(entry, 8) & ~3ull, (u32)load_le(entry + 8, 4));
}

static u32 pba_at(const struct pci_messages *g) { return (table_bytes(g) + 7) & ~7u; }

static u64 msix_read(void *ctx, u64 off, unsigned width, int cpu)
{
    const struct pci_messages *g = ctx;
    u32 pba = pba_at(g), words = (g->entries + 63) / 64;
    (void)cpu;
    if (off + width <= table_bytes(g))
        return load_le(g->table + off, width);
    if (off >= pba && off + width <= pba + 8 * words)
        return zext(g->pending[(off - pba) / 8] >> 8 * (off & 7), width);
    return 0;
}

/* Of the last word of an entry only the mask bit exists. */
static void msix_write(void *ctx, u64 off, unsigned width, u64 value, int cpu)
{
    struct pci_messages *g = ctx;
    (void)cpu;
    if (off + width > table_bytes(g))
        return;
    store_le(g->table + off, width, value);
    unsigned v = (unsigned)(off / MSIX_ENTRY);
    u8 *entry = g->table + v * MSIX_ENTRY;
    store_le(entry + 12, 4, entry[12] & VECTOR_MASKED);
    msix_try(g, v);
}

static const struct mmio_ops msix_ops = { msix_read, msix_write, 4, 8 };

/* ---- the function ---- */

/* A function that sends messages does not use its pin [PCI 3.0 6.8.1.3, 6.8.2]. */
static void update_pin(struct pci_messages *g) { pci_set_intx(g->f, g->pin && !msi_on(g) && !msix_on(g)); }

static void reset(struct pci_messages *g)
{
    g->msi_pending = 0;
    g->pin = false;
    for (unsigned v = 0; v < g->entries; v++) {
        memset(g->table + v * MSIX_ENTRY, 0, MSIX_ENTRY);
        g->table[v * MSIX_ENTRY + 12] = VECTOR_MASKED;
        g->pending[v / 64] = 0;
    }
}

void pci_messages_written(struct pci_messages *g, unsigned first, unsigned len)
{
    if (first == 0 && len == PCI_CONFIG_SIZE)
        reset(g);
    if (g->msi)
        msi_flush(g);
    for (unsigned v = 0; v < g->entries; v++)
        msix_try(g, v);
    update_pin(g);
}

void pci_messages_set(struct pci_messages *g, unsigned vector, bool level)
{
    g->pin = level;
    update_pin(g);
    if (!level)
        return;
    if (msix_on(g) && vector < g->entries) {
        g->pending[vector / 64] |= 1ull << (vector & 63);
        msix_try(g, vector);
    } else if (msi_on(g)) {
        g->msi_pending |= 1u << (vector & (msi_granted(g) - 1));
        msi_flush(g);
    }
}

/* Each capability is linked in front of those before. */
static void add_capability(struct pci_function *f, u8 at, u8 id)
{
    pci_register(f, at, 1, id, 0);
    pci_register(f, at + 1u, 1, f->reset[CAP_POINTER], 0);
    pci_register(f, CAP_POINTER, 1, at, 0);
    pci_register(f, PCI_STATUS, 1, f->reset[PCI_STATUS] | STATUS_CAPABILITIES, 0);
}

static void describe_msi(struct pci_messages *g, unsigned vectors)
{
    struct pci_function *f = g->f;
    g->msi = MSI_AT;
    add_capability(f, MSI_AT, CAP_MSI);
    pci_register(f, MSI_AT + MSI_CONTROL, 2, MSI_MASKABLE | MSI_64 | (u32)__builtin_ctz(vectors) << 1, 0x71);
    pci_register(f, MSI_AT + MSI_ADDRESS, 4, 0, 0xFFFFFFFC);
    pci_register(f, MSI_AT + MSI_ADDRESS + 4, 4, 0, 0xFFFFFFFF);
    pci_register(f, MSI_AT + MSI_DATA, 2, 0, 0xFFFF);
    pci_register(f, MSI_AT + MSI_MASK, 4, 0, vectors == MSI_MAX ? ~0u : (1u << vectors) - 1);
    pci_register(f, MSI_AT + MSI_PENDING, 4, 0, 0);
}

static bool describe_msix(struct pci_messages *g, unsigned entries, unsigned bar)
{
    u64 size = PAGE_SIZE;
    g->table = calloc(entries, MSIX_ENTRY);
    g->pending = calloc((entries + 63) / 64, sizeof(u64));
    if (!g->table || !g->pending)
        return false;
    g->entries = entries;
    while (size < pba_at(g) + (entries + 63) / 64 * 8)
        size *= 2;
    g->msix = MSIX_AT;
    add_capability(g->f, MSIX_AT, CAP_MSIX);
    pci_register(g->f, MSIX_AT + MSIX_CONTROL, 2, entries - 1, MSIX_FUNCTION_MASK | MSIX_ENABLE);
    pci_register(g->f, MSIX_AT + MSIX_TABLE, 4, bar, 0);
    pci_register(g->f, MSIX_AT + MSIX_PBA, 4, pba_at(g) | bar, 0);
    pci_describe_bar(g->f, bar, size, false, false, &msix_ops, g);
    return true;
}

bool pci_messages_init(struct pci_messages *g, struct pci_function *f, unsigned vectors, unsigned entries, unsigned bar)
{
    *g = (struct pci_messages){ .f = f };
    if (vectors)
        describe_msi(g, vectors);
    if (entries && !describe_msix(g, entries, bar)) {
        pci_messages_fini(g);
        return false;
    }
    reset(g);
    return true;
}

void pci_messages_fini(struct pci_messages *g)
{
    free(g->table);
    free(g->pending);
    g->table = NULL;
    g->pending = NULL;
    g->entries = 0;
}
