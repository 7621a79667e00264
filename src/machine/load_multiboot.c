// SPDX-License-Identifier: MIT
/* Multiboot 1. Section numbers are of the Multiboot Specification 0.6.96. */
#include "machine/load.h"

#include <stdio.h>
#include <stdlib.h>

#define MB_MAGIC 0x1BADB002u
#define MB_EAX 0x2BADB002u
enum { MB_PAGE_ALIGN = 1, MB_MEMORY = 2, MB_VIDEO = 4, MB_ADDRESSES = 1 << 16 };
#define MB_MODULES_MAX 64u

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

/* 3.1.3: the header's own address fields replace ELF. */
static enum svmemu_status load_by_addresses(struct loader *l, size_t h)
{
    if (h + 32 > l->file.size)
        return LOAD_FAIL(l, SVMEMU_FORMAT, "the Multiboot header is cut off");
    u64 header = load_le(l->file.data + h + 12, 4), load = load_le(l->file.data + h + 16, 4);
    u64 load_end = load_le(l->file.data + h + 20, 4), bss_end = load_le(l->file.data + h + 24, 4);
    if (load > header || header - load > h)
        return LOAD_FAIL(l, SVMEMU_FORMAT, "Multiboot load address %llXh does not fit header address %llXh", (unsigned long long)load,
                         (unsigned long long)header);
    size_t from = h - (size_t)(header - load);
    u64 len = load_end ? load_end - load : l->file.size - from;
    if ((load_end && load_end < load) || len > l->file.size - from)
        return LOAD_FAIL(l, SVMEMU_FORMAT, "Multiboot load end %llXh does not fit load address %llXh and the file (%zu bytes)",
                         (unsigned long long)load_end, (unsigned long long)load, l->file.size);
    u64 end = bss_end > load + len ? bss_end : load + len;
    l->low = load;
    l->high = load + len;
    l->entry = load_le(l->file.data + h + 28, 4);
    if (load < LOADER_STACK && end > LOADER_AREA)
        return LOAD_FAIL(l, SVMEMU_OVERLAP, "the kernel at %llXh-%llXh overlaps the loader's area %llXh-%llXh", (unsigned long long)load,
                         (unsigned long long)end, (unsigned long long)LOADER_AREA, (unsigned long long)LOADER_STACK);
    if (load < FIRMWARE_END && end > FIRMWARE_START)
        return LOAD_FAIL(l, SVMEMU_OVERLAP, "the kernel at %llXh-%llXh overlaps firmware memory 9FC00h-F0FFFh", (unsigned long long)load,
                         (unsigned long long)end);
    enum svmemu_status s = ram_put(l, load, l->file.data + from, len, "the kernel");
    if (s == SVMEMU_OK && bss_end > l->high) {
        s = ram_zero(l, l->high, bss_end - l->high, "the kernel's BSS");
        l->high = bss_end;
    }
    return s;
}

static enum svmemu_status load_kernel(struct loader *l, size_t h)
{
    u32 flags = (u32)load_le(l->file.data + h + 4, 4);
    struct elf_image img;
    if (flags & 0xFFFF & ~(u32)(MB_PAGE_ALIGN | MB_MEMORY | MB_VIDEO)) /* 3.1.2: unknown requirements */
        return LOAD_FAIL(l, SVMEMU_UNSUPPORTED, "the Multiboot header requires unknown features (flags %Xh)", (unsigned)flags);
    if (flags & MB_ADDRESSES)
        return load_by_addresses(l, h);
    enum svmemu_status s = elf_load_image(l, true, &img);
    if (s == SVMEMU_OK)
        s = elf_load_image(l, false, &img);
    if (s == SVMEMU_OK && img.entry >> 32)
        s = LOAD_FAIL(l, SVMEMU_FORMAT, "entry %llXh is not below 4 GiB", (unsigned long long)img.entry);
    l->low = img.low;
    l->high = img.high;
    l->entry = img.entry;
    return s;
}

static enum svmemu_status put_string(struct loader *l, const char *a, const char *b, u64 *pa)
{
    char *text = NULL;
    size_t n = strlen(a) + (b ? strlen(b) + 1 : 0) + 1;
    text = malloc(n);
    if (!text)
        return SVMEMU_MEMORY;
    snprintf(text, n, "%s%s%s", a, b ? " " : "", b ? b : "");
    enum svmemu_status s = area_put(l, text, n, 1, "a command line", pa);
    free(text);
    return s;
}

static enum svmemu_status put_modules(struct loader *l, u32 *list, unsigned n)
{
    u64 at = (l->high + PAGE_MASK) & ~(u64)PAGE_MASK, text = 0;
    if (at < 0x100000)
        at = 0x100000;
    for (unsigned i = 0; i < n; i++) {
        const struct svmemu_module *mod = &l->opt->modules[i];
        struct blob b;
        enum svmemu_status s = read_file(l->m, mod->path, &b);
        if (s == SVMEMU_OK)
            s = at + b.size > LOW_RAM_END ? LOAD_FAIL(l, SVMEMU_TOO_LARGE, "module %.100s does not fit", mod->path)
                                          : ram_put(l, at, b.data, b.size, mod->path);
        if (s == SVMEMU_OK)
            s = put_string(l, mod->path, mod->args, &text);
        list[4 * i] = (u32)at;
        list[4 * i + 1] = (u32)(at + b.size);
        list[4 * i + 2] = (u32)text;
        list[4 * i + 3] = 0;
        at = (at + b.size + PAGE_MASK) & ~(u64)PAGE_MASK;
        free(b.data);
        if (s != SVMEMU_OK)
            return s;
    }
    return SVMEMU_OK;
}

/* 3.3: the information structure. */
static enum svmemu_status put_info(struct loader *l, u64 *pa)
{
    u8 info[120] = { 0 }, map[8 * 24];
    u32 list[4 * MB_MODULES_MAX];
    struct map_entry e[8];
    unsigned n = memory_map(l->m, e, ARRAY_LEN(e)), mods = l->opt->module_count;
    u64 text = 0, list_pa = 0, map_pa = 0, name = 0;
    enum svmemu_status s;
    if (mods > MB_MODULES_MAX)
        return LOAD_FAIL(l, SVMEMU_ARGUMENT, "%u modules; at most %u are possible", mods, MB_MODULES_MAX);
    for (unsigned i = 0; i < n; i++) {
        store_le(map + 24 * i, 4, 20);
        store_le(map + 24 * i + 4, 8, e[i].base);
        store_le(map + 24 * i + 12, 8, e[i].size);
        store_le(map + 24 * i + 20, 4, e[i].type);
    }
    s = put_modules(l, list, mods);
    if (s == SVMEMU_OK)
        s = put_string(l, l->name, l->opt->cmdline, &text);
    if (s == SVMEMU_OK)
        s = put_string(l, "svmemu", NULL, &name);
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
    if (s == SVMEMU_OK && (l->entry < l->low || l->entry >= l->high))
        s = LOAD_FAIL(l, SVMEMU_FORMAT, "entry %llXh is outside of what was loaded (%llXh-%llXh)", (unsigned long long)l->entry,
                      (unsigned long long)l->low, (unsigned long long)l->high);
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
