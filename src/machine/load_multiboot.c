// SPDX-License-Identifier: MIT
/* Multiboot 1. Section numbers are of the Multiboot Specification 0.6.96. */
#include "machine/load.h"

#define MB_MAGIC 0x1BADB002u
#define MB_EAX 0x2BADB002u
enum { MB_PAGE_ALIGN = 1, MB_MEMORY = 2, MB_VIDEO = 4, MB_ADDRESSES = 1 << 16 };

/* 3.1.1: within the first 8 KiB, 4-byte aligned, magic + flags + checksum = 0. */
bool multiboot_find(const struct blob *b, size_t *off)
{
    size_t end = b->size < 8192 ? b->size : 8192;
    for (size_t i = 0; i + 12 <= end; i += 4) {
        u32 magic = (u32)load_le(b->data + i, 4), flags = (u32)load_le(b->data + i + 4, 4), sum = (u32)load_le(b->data + i + 8, 4);
        if (magic == MB_MAGIC && magic + flags + sum == 0) {
            *off = i;
            return true;
        }
    }
    return false;
}

enum svmemu_status multiboot_by_addresses(struct loader *l, size_t h, const struct mb_addresses *a)
{
    u64 load = a->load, bss_end = a->bss_end;
    if (load > a->header || a->header - load > h)
        return LOAD_FAIL(l, SVMEMU_FORMAT, "Multiboot load address %llXh does not fit header address %llXh", ull(load),
                         ull(a->header));
    size_t from = h - (size_t)(a->header - load);
    u64 len = a->load_end ? a->load_end - load : l->file.size - from;
    if ((a->load_end && a->load_end < load) || len > l->file.size - from)
        return LOAD_FAIL(l, SVMEMU_FORMAT, "Multiboot load end %llXh does not fit load address %llXh and the file (%zu bytes)",
                         ull(a->load_end), ull(load), l->file.size);
    u64 end = bss_end > load + len ? bss_end : load + len;
    l->low = load;
    l->high = load + len;
    l->entry = a->entry;
    enum svmemu_status s = image_clear(l, load, end, "the kernel");
    if (s == SVMEMU_OK)
        s = ram_put(l, load, l->file.data + from, len, "the kernel");
    if (s == SVMEMU_OK && bss_end > l->high) {
        s = ram_zero(l, l->high, bss_end - l->high, "the kernel's BSS");
        l->high = bss_end;
    }
    if (s == SVMEMU_OK && (l->entry < l->low || l->entry >= l->high))
        s = LOAD_FAIL(l, SVMEMU_FORMAT, "entry %llXh is outside of what was loaded (%llXh-%llXh)", ull(l->entry),
                      ull(l->low), ull(l->high));
    if (s == SVMEMU_OK)
        keep_symbols(l->m, &l->file); /* such a file may be an ELF all the same */
    return s;
}

static enum svmemu_status load_kernel(struct loader *l, size_t h)
{
    u32 flags = (u32)load_le(l->file.data + h + 4, 4);
    struct elf_image img;
    if (flags & 0xFFFF & ~(u32)(MB_PAGE_ALIGN | MB_MEMORY | MB_VIDEO)) /* 3.1.2: unknown requirements */
        return LOAD_FAIL(l, SVMEMU_UNSUPPORTED, "the Multiboot header requires unknown features (flags %Xh)", (unsigned)flags);
    if (flags & MB_ADDRESSES) { /* 3.1.3: the header's own address fields replace ELF */
        const u8 *d = l->file.data + h;
        if (h + 32 > l->file.size)
            return LOAD_FAIL(l, SVMEMU_FORMAT, "the Multiboot header is cut off");
        return multiboot_by_addresses(l, h, &(struct mb_addresses){ .header = load_le(d + 12, 4), .load = load_le(d + 16, 4),
                                             .load_end = load_le(d + 20, 4), .bss_end = load_le(d + 24, 4), .entry = load_le(d + 28, 4) });
    }
    enum svmemu_status s = elf_load_image(l, true, 0, &img);
    if (s == SVMEMU_OK)
        s = elf_check_entry(l, &img);
    if (s == SVMEMU_OK)
        s = elf_load_image(l, false, 0, &img);
    if (s == SVMEMU_OK && img.entry >> 32)
        s = LOAD_FAIL(l, SVMEMU_FORMAT, "entry %llXh is not below 4 GiB", ull(img.entry));
    l->low = img.low;
    l->high = img.high;
    l->entry = img.entry;
    return s;
}

/* 3.3: the information structure. */
static enum svmemu_status put_info(struct loader *l, u64 *pa)
{
    u8 info[120] = { 0 }, map[8 * 24], list[16 * MODULES_MAX] = { 0 };
    struct placed placed[MODULES_MAX];
    struct map_entry e[8];
    unsigned n = memory_map(l->m, e, ARRAY_LEN(e)), mods = l->opt->module_count;
    u64 text = 0, list_pa = 0, map_pa = 0, name = 0;
    enum svmemu_status s;
    for (unsigned i = 0; i < n; i++) {
        store_le(map + 24 * i, 4, 20);
        store_le(map + 24 * i + 4, 8, e[i].base);
        store_le(map + 24 * i + 12, 8, e[i].size);
        store_le(map + 24 * i + 20, 4, e[i].type);
    }
    s = modules_put_up(l, placed);
    for (unsigned i = 0; s == SVMEMU_OK && i < mods; i++) {
        store_le(list + 16 * i, 4, placed[i].pa);
        store_le(list + 16 * i + 4, 4, placed[i].pa + placed[i].size);
        store_le(list + 16 * i + 8, 4, placed[i].text);
    }
    if (s == SVMEMU_OK)
        s = area_text(l, l->name, l->opt->cmdline, &text);
    if (s == SVMEMU_OK)
        s = area_text(l, "svmemu", NULL, &name);
    if (s == SVMEMU_OK)
        s = area_put(l, list, 16 * (size_t)mods, 16, "the module list", &list_pa);
    if (s == SVMEMU_OK)
        s = area_put(l, map, 24 * (size_t)n, 8, "the memory map", &map_pa);
    if (s != SVMEMU_OK)
        return s;
    store_le(info, 4, 1 | 4 | 8 | 0x40 | 0x200); /* memory, command line, modules, map, loader's name */
    store_le(info + 4, 4, 639);
    store_le(info + 8, 4, (l->m->low_ram - 0x100000) >> 10);
    store_le(info + 16, 4, text);
    store_le(info + 20, 4, mods);
    store_le(info + 24, 4, list_pa);
    store_le(info + 44, 4, 24 * n);
    store_le(info + 48, 4, map_pa);
    store_le(info + 64, 4, name);
    return area_put(l, info, sizeof(info), 8, "the Multiboot information", pa);
}

enum svmemu_status multiboot_load(struct loader *l, size_t header)
{
    u64 info = 0;
    enum svmemu_status s = load_kernel(l, header);
    if (s == SVMEMU_OK)
        s = put_info(l, &info);
    if (s != SVMEMU_OK)
        return s;
    struct cpu_state *st = &l->m->cpu[0]->st;
    svmemu_set_mode(l->m, 0, 32, 0); /* 3.2 */
    memset(st->gpr, 0, sizeof(st->gpr));
    st->gpr[RAX] = MB_EAX;
    st->gpr[RBX] = info;
    st->rip = l->entry;
    machine_cpu_changed(l->m->cpu[0]);
    return SVMEMU_OK;
}
