// SPDX-License-Identifier: MIT
/* Multiboot 2. Section numbers are of the Multiboot2 Specification 2.0. The machine is a BIOS PC: EFI entries and console requests are
 * passed over, a framebuffer is never set up, and no EFI tag is given. */
#include "machine/load.h"

#define MB2_MAGIC 0xE85250D6u
#define MB2_EAX 0x36D76289u
#define MB2_SEARCH 32768u /* 3.1: the header ends within that many bytes */
#define INFO_MAX 16384u
#define RSDP_SPA 0xE0000u
#define RSDP_LEN 36u
/* 3.1.3 to 3.1.13: tags of the header */
enum { T_END, T_REQUEST, T_ADDRESS, T_ENTRY, T_CONSOLE, T_FRAMEBUFFER, T_ALIGN, T_EFI_BS, T_ENTRY_EFI32, T_ENTRY_EFI64, T_RELOCATABLE };
enum { TAG_OPTIONAL = 1 };
enum { PREFER_NONE, PREFER_LOWEST, PREFER_HIGHEST };
/* 3.6: tags of the information structure */
enum { I_END, I_CMDLINE, I_LOADER, I_MODULE, I_MEMINFO, I_MAP = 6, I_RSDP_OLD = 14, I_RSDP_NEW = 15, I_BASE = 21 };

struct mb2 {
    size_t at, len;      /* the header in the file */
    bool addresses, has_entry, relocatable;
    struct mb_addresses a;
    u64 min, max, align; /* relocatable */
    u32 preference;
};

/* 3.1.1: 8-byte aligned, magic + architecture + length + checksum = 0. */
bool multiboot2_find(const struct blob *b, size_t *off)
{
    size_t end = b->size < MB2_SEARCH ? b->size : MB2_SEARCH;
    for (size_t i = 0; i + 16 <= end; i += 8) {
        u32 sum = 0;
        for (unsigned k = 0; k < 16; k += 4)
            sum += (u32)load_le(b->data + i + k, 4);
        if (load_le(b->data + i, 4) == MB2_MAGIC && sum == 0) {
            *off = i;
            return true;
        }
    }
    return false;
}

static bool info_given(u32 type)
{
    return type == I_CMDLINE || type == I_LOADER || type == I_MODULE || type == I_MEMINFO || type == I_MAP ||
           type == I_RSDP_OLD || type == I_RSDP_NEW || type == I_BASE;
}

static enum svmemu_status read_tag(struct loader *l, struct mb2 *h, const u8 *t, u32 type, bool optional, u32 size)
{
    static const u8 needs[] = { [T_REQUEST] = 8, [T_ADDRESS] = 24, [T_ENTRY] = 12, [T_RELOCATABLE] = 24 };
    if (type < ARRAY_LEN(needs) && size < needs[type])
        return LOAD_FAIL(l, SVMEMU_FORMAT, "the Multiboot 2 header's tag %u has %u bytes; %u are needed", (unsigned)type, (unsigned)size,
                         (unsigned)needs[type]);
    switch (type) {
    case T_REQUEST:
        for (u32 i = 8; i + 4 <= size && !optional; i += 4)
            if (!info_given((u32)load_le(t + i, 4)))
                return LOAD_FAIL(l, SVMEMU_UNSUPPORTED, "the kernel requires Multiboot 2 information of type %u, which a PC with a BIOS "
                                 "and no display does not have", (unsigned)load_le(t + i, 4));
        break;
    case T_ADDRESS:
        h->addresses = true;
        h->a = (struct mb_addresses){ .header = load_le(t + 8, 4), .load = load_le(t + 12, 4), .load_end = load_le(t + 16, 4),
                                      .bss_end = load_le(t + 20, 4), .entry = h->a.entry };
        break;
    case T_ENTRY:
        h->has_entry = true;
        h->a.entry = load_le(t + 8, 4);
        break;
    case T_RELOCATABLE:
        h->relocatable = true;
        h->min = load_le(t + 8, 4);
        h->max = load_le(t + 12, 4);
        h->align = load_le(t + 16, 4);
        h->preference = (u32)load_le(t + 20, 4);
        if (h->preference > PREFER_HIGHEST || (h->align & (h->align - 1)))
            return LOAD_FAIL(l, SVMEMU_FORMAT, "the Multiboot 2 header's relocation tag has alignment %llXh and preference %u; a power "
                             "of two and 0 to 2 are possible", ull(h->align), (unsigned)h->preference);
        break;
    case T_CONSOLE: case T_FRAMEBUFFER: case T_ALIGN: case T_EFI_BS: case T_ENTRY_EFI32: case T_ENTRY_EFI64:
        break; /* modules are always page-aligned */
    default:
        if (!optional)
            return LOAD_FAIL(l, SVMEMU_UNSUPPORTED, "the Multiboot 2 header requires tag %u, which is not known", (unsigned)type);
    }
    return SVMEMU_OK;
}

static enum svmemu_status read_header(struct loader *l, struct mb2 *h)
{
    const u8 *d = l->file.data + h->at;
    u32 arch = (u32)load_le(d + 4, 4), len = (u32)load_le(d + 8, 4), at = 16;
    if (arch != 0)
        return LOAD_FAIL(l, SVMEMU_UNSUPPORTED, "the Multiboot 2 header is for architecture %u, not for i386 (0)", (unsigned)arch);
    if (len < 24 || len > l->file.size - h->at)
        return LOAD_FAIL(l, SVMEMU_FORMAT, "the Multiboot 2 header says that it has %u bytes, from byte %zu of a file of %zu",
                         (unsigned)len, h->at, l->file.size);
    while (at + 8 <= len) {
        u32 type = (u32)load_le(d + at, 2), flags = (u32)load_le(d + at + 2, 2), size = (u32)load_le(d + at + 4, 4);
        if (size < 8 || size > len - at)
            return LOAD_FAIL(l, SVMEMU_FORMAT, "the Multiboot 2 header's tag %u at byte %u has %u bytes, the header %u", (unsigned)type,
                             (unsigned)at, (unsigned)size, (unsigned)len);
        if (type == T_END)
            return SVMEMU_OK;
        enum svmemu_status s = read_tag(l, h, d + at, type, flags & TAG_OPTIONAL, size);
        if (s != SVMEMU_OK)
            return s;
        at += (size + 7) & ~7u;
    }
    return LOAD_FAIL(l, SVMEMU_FORMAT, "the Multiboot 2 header of %u bytes has no end tag", (unsigned)len);
}

static bool base_ok(const struct loader *l, u64 base, u64 size)
{
    return base >= 0x100000 && base + size <= l->m->low_ram;
}

/* 3.1.11: where the image goes; RAM below 1 MiB is not offered. */
static enum svmemu_status choose_base(struct loader *l, const struct mb2 *h, const struct elf_image *img, u64 *base)
{
    u64 size = img->high - img->low, align = h->align ? h->align : 1;
    u64 min = h->min < 0x100000 ? 0x100000 : h->min, max = h->max < l->m->low_ram ? h->max + 1 : l->m->low_ram;
    u64 lowest = (min + align - 1) & ~(align - 1), highest = max >= size ? (max - size) & ~(align - 1) : 0;
    bool linked = h->preference == PREFER_NONE && img->low >= min && img->high <= max && !(img->low & (align - 1));
    *base = linked ? img->low : h->preference == PREFER_HIGHEST ? highest : lowest;
    if (*base >= min && *base + size <= max && base_ok(l, *base, size))
        return SVMEMU_OK;
    return LOAD_FAIL(l, SVMEMU_TOO_LARGE, "the relocatable kernel of %llu bytes has no place between %llXh and %llXh at alignment %llXh in "
                     "%llu MiB; give the machine more memory (--memory)", ull(size), ull(h->min),
                     ull(h->max), ull(align), ull(l->m->low_ram >> 20));
}

static enum svmemu_status load_kernel(struct loader *l, const struct mb2 *h)
{
    struct elf_image img;
    u64 shift = 0, base;
    if (h->addresses && !h->has_entry)
        return LOAD_FAIL(l, SVMEMU_FORMAT, "the Multiboot 2 header has load addresses, but no entry address tag");
    if (h->addresses) {
        struct mb_addresses a = h->a;
        if (a.load == 0xFFFFFFFF) /* 3.1.5: from the beginning of the file */
            a.load = a.header - h->at;
        return multiboot_by_addresses(l, h->at, &a);
    }
    enum svmemu_status s = elf_load_image(l, true, 0, &img);
    if (s == SVMEMU_OK && h->relocatable) {
        s = choose_base(l, h, &img, &base);
        shift = base - img.low;
    }
    if (s == SVMEMU_OK)
        s = elf_load_image(l, true, shift, &img);
    if (s == SVMEMU_OK && !h->has_entry)
        s = elf_check_entry(l, &img);
    if (s == SVMEMU_OK)
        s = elf_load_image(l, false, shift, &img);
    if (s != SVMEMU_OK)
        return s;
    l->low = img.low;
    l->high = img.high;
    l->entry = h->has_entry ? h->a.entry + shift : img.entry;
    if (l->entry < l->low || l->entry >= l->high || l->entry >> 32)
        return LOAD_FAIL(l, SVMEMU_FORMAT, "entry %llXh is outside of what was loaded (%llXh-%llXh) or not below 4 GiB",
                         ull(l->entry), ull(l->low), ull(l->high));
    return SVMEMU_OK;
}

/* ---- the information structure ---- */

struct info {
    u8 b[INFO_MAX];
    u32 len;
    bool full;
};

/* Room for a tag's payload of n bytes. */
static u8 *tag(struct info *i, u32 type, u32 n)
{
    u32 at = i->len, size = 8 + n;
    i->full |= n > INFO_MAX - 64 || at + size > INFO_MAX - 64;
    if (i->full)
        return NULL;
    store_le(i->b + at, 4, type);
    store_le(i->b + at + 4, 4, size);
    i->len = (at + size + 7) & ~7u;
    return i->b + at + 8;
}

/* A tag of `head` bytes, which are returned, and the string "a b", or "a" where b is NULL. */
static u8 *tag_text(struct info *i, u32 type, u32 head, const char *a, const char *b)
{
    size_t na = strlen(a), nb = b ? strlen(b) + 1 : 0;
    i->full |= na > INFO_MAX || nb > INFO_MAX;
    u8 *p = i->full ? NULL : tag(i, type, (u32)(head + na + nb + 1));
    if (!p)
        return NULL;
    memcpy(p + head, a, na);
    if (b) {
        p[head + na] = ' ';
        memcpy(p + head + na + 1, b, nb - 1);
    }
    return p;
}

static void tag_module(struct info *i, const struct placed *at, const struct svmemu_module *mod)
{
    u8 *p = tag_text(i, I_MODULE, 8, mod->path, mod->args);
    if (p) {
        store_le(p, 4, at->pa);
        store_le(p + 4, 4, at->pa + at->size);
    }
}

static void tag_memory(struct loader *l, struct info *i)
{
    struct map_entry e[8];
    unsigned n = memory_map(l->m, e, ARRAY_LEN(e));
    u8 *p = tag(i, I_MEMINFO, 8);
    if (p) {
        store_le(p, 4, 639);
        store_le(p + 4, 4, (l->m->low_ram - 0x100000) >> 10);
    }
    p = tag(i, I_MAP, 8 + 24 * n);
    if (!p)
        return;
    store_le(p, 4, 24);
    for (unsigned k = 0; k < n; k++) {
        store_le(p + 8 + 24 * k, 8, e[k].base);
        store_le(p + 16 + 24 * k, 8, e[k].size);
        store_le(p + 24 + 24 * k, 4, e[k].type);
    }
}

static void tag_rsdp(struct loader *l, struct info *i)
{
    if (!l->m->pc)
        return;
    u8 *p = tag(i, I_RSDP_OLD, 20);
    if (p)
        phys_read(&l->m->view, (struct spa){ RSDP_SPA }, p, 20);
    p = tag(i, I_RSDP_NEW, RSDP_LEN);
    if (p)
        phys_read(&l->m->view, (struct spa){ RSDP_SPA }, p, RSDP_LEN);
}

static enum svmemu_status put_info(struct loader *l, const struct mb2 *h, u64 *pa)
{
    struct info i = { .len = 8 };
    struct placed placed[MODULES_MAX];
    enum svmemu_status s = modules_put_up(l, placed);
    if (s != SVMEMU_OK)
        return s;
    tag_text(&i, I_CMDLINE, 0, l->name, l->opt->cmdline);
    tag_text(&i, I_LOADER, 0, "svmemu", NULL);
    for (unsigned k = 0; k < l->opt->module_count; k++)
        tag_module(&i, &placed[k], &l->opt->modules[k]);
    tag_memory(l, &i);
    tag_rsdp(l, &i);
    if (h->relocatable) {
        u8 *p = tag(&i, I_BASE, 4);
        if (p)
            store_le(p, 4, l->low);
    }
    if (i.full)
        return LOAD_FAIL(l, SVMEMU_TOO_LARGE, "the command line and the modules' strings do not fit the %u bytes of Multiboot 2 "
                         "information; shorten them", INFO_MAX);
    store_le(i.b + i.len, 4, I_END);
    store_le(i.b + i.len + 4, 4, 8);
    i.len += 8;
    store_le(i.b, 4, i.len);
    return area_put(l, i.b, i.len, 8, "the Multiboot 2 information", pa);
}

enum svmemu_status multiboot2_load(struct loader *l, size_t header)
{
    struct mb2 h = { .at = header };
    u64 info = 0;
    enum svmemu_status s = read_header(l, &h);
    if (s == SVMEMU_OK)
        s = load_kernel(l, &h);
    if (s == SVMEMU_OK)
        s = put_info(l, &h, &info);
    if (s != SVMEMU_OK)
        return s;
    struct cpu_state *st = &l->m->cpu[0]->st;
    svmemu_set_mode(l->m, 0, 32, 0); /* 3.3 */
    memset(st->gpr, 0, sizeof(st->gpr));
    st->gpr[RAX] = MB2_EAX;
    st->gpr[RBX] = info;
    st->rip = l->entry;
    machine_cpu_changed(l->m->cpu[0]);
    return SVMEMU_OK;
}
