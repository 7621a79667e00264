// SPDX-License-Identifier: MIT
#include "dev/i440fx.h"

#include "base/bits.h"

enum { PAM_READ = 1, PAM_WRITE = 2, PAM_BOTH = 3 };
#define MODE_NONE 0xFF /* nothing applied yet */

static u64 rom_read(const struct i440fx *h, u32 spa, unsigned width)
{
    u64 v = 0;
    for (unsigned i = 0; i < width; i++) {
        u32 from_end = SHADOW_END - (spa + i);
        v |= (u64)(h->rom && from_end <= h->rom_size ? h->rom[h->rom_size - from_end] : 0xFF) << 8 * i;
    }
    return v;
}

static u64 overlay_read(void *ctx, u64 off, unsigned width, int cpu)
{
    const struct shadow_segment *s = ctx;
    (void)cpu;
    return rom_read(s->owner, s->spa + (u32)off, width);
}

/* Reads come from ROM while writes already go to RAM: how firmware copies itself. */
static void overlay_write(void *ctx, u64 off, unsigned width, u64 value, int cpu)
{
    const struct shadow_segment *s = ctx;
    u32 at = s->spa + (u32)off, in = at & PAGE_MASK;
    const struct shadow_page *p = &s->owner->page[(at - SHADOW_START) >> PAGE_SHIFT];
    (void)cpu;
    if ((s->mode & PAM_WRITE) && page_before_write(s->owner->bus, p->bpn, in, width))
        store_le(p->host + in, width, value);
}

static const struct mmio_ops overlay_ops = { overlay_read, overlay_write, 1, 8 };

/* Code runs faster from ROM pages than through a device; the part of the segment that the image reaches is an alias of it. */
static void add_rom(struct i440fx *h, const struct shadow_segment *s)
{
    u32 reach = SHADOW_END - s->spa;
    if (h->rom && reach <= h->rom_size)
        bus_add_alias(h->bus, s->spa, s->size, "firmware", h->rom_size - reach);
    else
        bus_add_mmio(h->bus, s->spa, s->size, &overlay_ops, (void *)(uintptr_t)s, "shadow");
}

static void apply(struct i440fx *h, struct shadow_segment *s, u8 mode)
{
    if (mode == s->mode)
        return;
    if (s->mode != MODE_NONE && !(s->mode & PAM_READ) && !bus_remove(h->bus, s->spa, "shadow"))
        bus_remove(h->bus, s->spa, "firmware");
    for (u32 a = s->spa; a < s->spa + s->size; a += PAGE_SIZE) {
        u32 bpn = h->page[(a - SHADOW_START) >> PAGE_SHIFT].bpn;
        if (mode == PAM_READ)
            page_flags_set(h->bus, bpn, PGF_ROM);
        else
            page_flags_clear(h->bus, bpn, PGF_ROM);
    }
    s->mode = mode;
    if (mode == 0)
        add_rom(h, s);
    else if (mode == PAM_WRITE)
        bus_add_mmio(h->bus, s->spa, s->size, &overlay_ops, s, "shadow");
}

static void written(void *ctx, unsigned first, unsigned len)
{
    struct i440fx *h = ctx;
    if (first + len <= I440FX_PAM0 || first >= I440FX_PAM0 + I440FX_PAM_REGISTERS)
        return;
    for (unsigned i = 0; i < ARRAY_LEN(h->segment); i++) { /* 59h has one field, its high one; the others two */
        u8 reg = h->f.s.config[I440FX_PAM0 + (i + 1) / 2];
        apply(h, &h->segment[i], (i & 1 ? reg : reg >> 4) & PAM_BOTH);
    }
}

void i440fx_set_rom(struct i440fx *h, const void *rom, u32 size)
{
    h->rom = rom;
    h->rom_size = size;
    for (unsigned i = 0; i < I440FX_PAM_REGISTERS; i++)
        h->f.reset[I440FX_PAM0 + i] = rom ? 0 : i ? 0x33 : 0x30;
}

bool i440fx_init(struct i440fx *h, struct pci_bus *p, struct bus *b)
{
    const struct phys_view v = { .bus = b, .cpu = -1, .apic_page = ~0ull, .a20_mask = ~0ull };
    memset(h, 0, sizeof(*h));
    h->bus = b;
    for (u32 i = 0; i < SHADOW_PAGES; i++) {
        struct phys_page page;
        if (!phys_lookup(&v, (struct spa){ SHADOW_START + i * PAGE_SIZE }, &page))
            return false;
        h->page[i] = (struct shadow_page){ page.host, page.bpn };
    }
    for (u32 i = 0; i < ARRAY_LEN(h->segment); i++)
        h->segment[i] = (struct shadow_segment){
            .owner = h, .spa = i ? SHADOW_START + (i - 1) * 0x4000u : 0xF0000u, .size = i ? 0x4000u : 0x10000u, .mode = MODE_NONE,
        };
    pci_describe(&h->f, 0x8086, 0x1237, 0x060000, 2);
    pci_register(&h->f, PCI_COMMAND, 2, PCI_CMD_MEMORY | PCI_CMD_MASTER, 0x100); /* both hard-wired; SERR# */
    pci_register(&h->f, PCI_STATUS, 2, 0x0280, 0);
    pci_register(&h->f, PCI_SUBVENDOR, 2, 0x1AF4, 0);
    pci_register(&h->f, PCI_SUBSYSTEM, 2, 0x1100, 0);
    for (unsigned i = 0; i < I440FX_PAM_REGISTERS; i++)
        pci_register(&h->f, I440FX_PAM0 + i, 1, 0, i ? 0x33 : 0x30);
    pci_register(&h->f, 0x72, 1, 2, 0x7F); /* SMRAM: the window's place is fixed; SMM finds its RAM elsewhere */
    i440fx_set_rom(h, NULL, 0);
    h->f.written = written;
    h->f.ctx = h;
    pci_add(p, &h->f, PCI_DEVFN(0, 0));
    written(h, 0, PCI_CONFIG_SIZE);
    return true;
}
