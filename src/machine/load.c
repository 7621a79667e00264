// SPDX-License-Identifier: MIT
/* Finds out what a guest file is and starts the right loader. */
#include "machine/load.h"

#include "machine/fw_items.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FILE_MAX (4ull << 30)

enum svmemu_status loader_fail(struct loader *l, enum svmemu_status s, const char *fmt, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return machine_fail(l->m, s, "%.100s: %s", l->name, text);
}

bool ram_has(const struct svmemu *m, u64 pa, u64 len)
{
    u64 end = pa + len;
    return end >= pa && (end <= m->low_ram || (pa >= HIGH_RAM_BASE && end <= HIGH_RAM_BASE + m->high_ram));
}

static enum svmemu_status no_ram(struct loader *l, u64 pa, u64 len, const char *what)
{
    return LOAD_FAIL(l, SVMEMU_TOO_LARGE, "%s needs memory %llXh-%llXh, but the machine has %llu MiB", what, (unsigned long long)pa,
                     (unsigned long long)(pa + len), (unsigned long long)((l->m->low_ram + l->m->high_ram) >> 20));
}

enum svmemu_status ram_put(struct loader *l, u64 pa, const void *data, u64 len, const char *what)
{
    if (!ram_has(l->m, pa, len))
        return no_ram(l, pa, len, what);
    phys_write(&l->m->view, (struct spa){ pa }, data, len);
    return SVMEMU_OK;
}

enum svmemu_status ram_zero(struct loader *l, u64 pa, u64 len, const char *what)
{
    static const u8 zero[PAGE_SIZE];
    u8 page[PAGE_SIZE];
    if (!ram_has(l->m, pa, len))
        return no_ram(l, pa, len, what);
    while (len) { /* reading first keeps untouched RAM uncommitted */
        size_t n = PAGE_SIZE - (pa & PAGE_MASK);
        if (n > len)
            n = len;
        phys_read(&l->m->view, (struct spa){ pa }, page, n);
        if (memcmp(page, zero, n) != 0)
            phys_write(&l->m->view, (struct spa){ pa }, zero, n);
        pa += n;
        len -= n;
    }
    return SVMEMU_OK;
}

enum svmemu_status area_put(struct loader *l, const void *data, size_t len, size_t align, const char *what, u64 *pa)
{
    u64 at = (l->area + align - 1) & ~(u64)(align - 1);
    if (len > LOADER_AREA_END - LOADER_AREA || at + len > LOADER_AREA_END)
        return LOAD_FAIL(l, SVMEMU_TOO_LARGE, "%s of %zu bytes does not fit the loader's 64 KiB for tables and strings", what, len);
    enum svmemu_status s = ram_put(l, at, data, len, what);
    l->area = at + len;
    *pa = at;
    return s;
}

unsigned memory_map(const struct svmemu *m, struct map_entry *out, unsigned max)
{
    const struct map_entry all[] = {
        { 0, 0x9FC00, MAP_RAM }, { 0x9FC00, 0x400, MAP_RESERVED }, { 0xA0000, 0x60000, MAP_RESERVED },
        { 0x100000, m->low_ram > 0x100000 ? m->low_ram - 0x100000 : 0, MAP_RAM }, { PCI_ECAM_SPA, m->pc ? PCI_ECAM_SIZE : 0, MAP_RESERVED }, { 0xFEE00000, 0x1000, MAP_RESERVED },
        { HIGH_RAM_BASE, m->high_ram, MAP_RAM },
    };
    unsigned n = 0;
    for (unsigned i = 0; i < ARRAY_LEN(all) && n < max; i++)
        if (all[i].size)
            out[n++] = all[i];
    return n;
}

enum svmemu_status read_file(struct svmemu *m, const char *path, struct blob *out)
{
    FILE *f = fopen(path, "rb");
    size_t cap = 1 << 20;
    *out = (struct blob){ 0 };
    if (!f)
        return machine_fail(m, SVMEMU_FILE, "%.200s: %s", path, strerror(errno));
    u8 *p = malloc(cap);
    while (p) {
        size_t n = fread(p + out->size, 1, cap - out->size, f);
        out->size += n;
        if (out->size < cap || cap >= FILE_MAX)
            break;
        cap *= 2;
        u8 *q = realloc(p, cap);
        if (!q)
            free(p);
        p = q;
    }
    bool bad = ferror(f), big = out->size >= FILE_MAX;
    int err = errno;
    fclose(f);
    if (p && !bad && !big) {
        out->data = p;
        return SVMEMU_OK;
    }
    free(p);
    if (!p)
        return machine_fail(m, SVMEMU_MEMORY, "%.200s: no host memory to read it", path);
    return machine_fail(m, SVMEMU_FILE, "%.200s: %s", path, big ? "larger than 4 GiB" : strerror(err));
}

#ifdef SVMEMU_LOADERS
/* l->file holds the unpacked file. */
static enum svmemu_status load_known(struct loader *l)
{
    struct elf_image img;
    size_t header;
    if (multiboot_find(&l->file, &header))
        return multiboot_load(l, header);
    enum svmemu_status s = elf_load_image(l, true, &img);
    if (s == SVMEMU_OK && !img.has_pvh && l->bzimage)
        s = LOAD_FAIL(l, SVMEMU_UNSUPPORTED, "the Linux kernel inside has no PVH entry note; build it with CONFIG_PVH");
    if (s == SVMEMU_OK && !img.has_pvh && l->opt->module_count)
        s = LOAD_FAIL(l, SVMEMU_FORMAT, "a plain ELF takes no modules; only Multiboot and PVH guests do");
    if (s == SVMEMU_OK)
        s = elf_load_image(l, false, &img);
    if (s != SVMEMU_OK)
        return s;
    return img.has_pvh ? pvh_start(l, &img) : elf_plain_start(l, &img);
}

enum svmemu_status svmemu_load_memory(struct svmemu *m, const char *name, const void *data, size_t len, const struct svmemu_load *load)
{
    static const struct svmemu_load none;
    struct loader l = { .m = m, .name = name ? name : "guest", .opt = load ? load : &none, .area = LOADER_AREA };
    struct blob owned = { 0 };
    enum svmemu_status s;
    if (!data && len)
        return machine_fail(m, SVMEMU_ARGUMENT, "no data");
    if (l.opt->module_count && !l.opt->modules)
        return machine_fail(m, SVMEMU_ARGUMENT, "no modules");
    for (unsigned i = 0; i < l.opt->module_count; i++)
        if (!l.opt->modules[i].path)
            return machine_fail(m, SVMEMU_ARGUMENT, "module %u has no path", i);
    if (m->low_ram < 0x100000)
        return machine_fail(m, SVMEMU_TOO_LARGE, "loading a guest needs at least 1 MiB of memory from address 0");
    l.file = (struct blob){ (u8 *)(uintptr_t)data, len };
    if (bzimage_is(&l.file) || unpack_known(l.file.data, len)) {
        s = bzimage_is(&l.file) ? bzimage_unpack(&l, &owned) : unpack(&l, l.file.data, len, UNPACK_MAX, &owned);
        if (s != SVMEMU_OK)
            return s;
        l.file = owned;
        if (bzimage_is(&l.file)) { /* a gzip-ed bzImage */
            struct blob inner;
            s = bzimage_unpack(&l, &inner);
            free(owned.data);
            owned = l.file = inner;
            if (s != SVMEMU_OK)
                return s;
        }
    }
    s = firmware_setup(m);
    if (s == SVMEMU_OK && m->pc)
        s = fw_items_cmdline(m, l.opt->cmdline);
    if (s == SVMEMU_OK)
        s = load_known(&l);
    free(owned.data);
    return s;
}
#else
enum svmemu_status svmemu_load_memory(struct svmemu *m, const char *name, const void *data, size_t len, const struct svmemu_load *load)
{
    (void)data;
    (void)len;
    (void)load;
    return machine_fail(m, SVMEMU_UNSUPPORTED, "%.100s: this libsvmemu was built without loaders", name ? name : "guest");
}
#endif

enum svmemu_status svmemu_load_file(struct svmemu *m, const char *path, const struct svmemu_load *load)
{
    struct blob b;
    enum svmemu_status s = read_file(m, path, &b);
    if (s != SVMEMU_OK)
        return s;
    s = svmemu_load_memory(m, path, b.data, b.size, load);
    free(b.data);
    return s;
}

enum svmemu_status svmemu_load_firmware(struct svmemu *m, const char *path)
{
    struct phys_page page;
    struct blob b;
    if (!m->pc)
        return machine_fail(m, SVMEMU_UNSUPPORTED, "firmware needs the PC platform");
    if (m->pc->host.rom)
        return machine_fail(m, SVMEMU_ARGUMENT, "the machine has a firmware image already");
    enum svmemu_status s = read_file(m, path, &b);
    if (s != SVMEMU_OK)
        return s;
    u64 spa = HIGH_RAM_BASE - b.size;
    if (!b.size || (b.size & 0xFFFF) || b.size > FIRMWARE_IMAGE_MAX)
        s = machine_fail(m, SVMEMU_FORMAT, "%.200s: %zu bytes; a firmware image has 64 KiB to 16 MiB, a multiple of 64 KiB", path, b.size);
    else if (!bus_add_rom(m->bus, spa, b.size, b.data, b.size, "firmware") || !phys_lookup(&m->view, (struct spa){ spa }, &page))
        s = machine_fail(m, SVMEMU_MEMORY, "%.200s: no room for it below 4 GiB", path);
    else
        i440fx_set_rom(&m->pc->host, page.host, (u32)b.size);
    free(b.data);
    if (s == SVMEMU_OK)
        svmemu_reset(m);
    return s;
}
