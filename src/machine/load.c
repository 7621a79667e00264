// SPDX-License-Identifier: MIT
/* Finds out what a guest file is and starts the right loader. */
#define _GNU_SOURCE 1 /* madvise */
#include "machine/load.h"

#include "machine/fw_items.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define FILE_MAX (4ull << 30)
#define HUGE_PAGE ((size_t)2 << 20)

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
    return LOAD_FAIL(l, SVMEMU_TOO_LARGE, "%s needs memory %llXh-%llXh, but the machine has %llu MiB; give it more (--memory)", what,
                     ull(pa),
                     ull(pa + len), ull((l->m->low_ram + l->m->high_ram) >> 20));
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

enum svmemu_status area_text(struct loader *l, const char *a, const char *b, u64 *pa)
{
    size_t n = strlen(a) + (b ? strlen(b) + 1 : 0) + 1;
    char *text = malloc(n);
    if (!text)
        return SVMEMU_MEMORY;
    snprintf(text, n, "%s%s%s", a, b ? " " : "", b ? b : "");
    enum svmemu_status s = area_put(l, text, n, 1, "a command line", pa);
    free(text);
    return s;
}

enum svmemu_status image_clear(struct loader *l, u64 low, u64 high, const char *what)
{
    if (low < LOADER_STACK && high > LOADER_AREA)
        return LOAD_FAIL(l, SVMEMU_OVERLAP, "%s at %llXh-%llXh overlaps the loader's area %llXh-%llXh; link it at 100000h or above", what,
                         ull(low), ull(high), ull(LOADER_AREA), ull(LOADER_STACK));
    if (low < FIRMWARE_END && high > FIRMWARE_START)
        return LOAD_FAIL(l, SVMEMU_OVERLAP, "%s at %llXh-%llXh overlaps firmware memory %llXh-%llXh; link it at 100000h or above", what,
                         ull(low), ull(high), ull(FIRMWARE_START),
                         ull(FIRMWARE_END));
    return SVMEMU_OK;
}

unsigned memory_map(const struct svmemu *m, struct map_entry *out, unsigned max)
{
    const struct map_entry all[] = {
        { 0, 0x9FC00, MAP_RAM },
        { 0x9FC00, 0x400, MAP_RESERVED },
        { 0xA0000, 0x60000, MAP_RESERVED },
        { 0x100000, m->low_ram > 0x100000 ? m->low_ram - 0x100000 : 0, MAP_RAM },
        { PCI_ECAM_SPA, m->pc ? PCI_ECAM_SIZE : 0, MAP_RESERVED },
        { 0xFEE00000, 0x1000, MAP_RESERVED },
        { HIGH_RAM_BASE, m->high_ram, MAP_RAM },
    };
    unsigned n = 0;
    for (unsigned i = 0; i < ARRAY_LEN(all) && n < max; i++)
        if (all[i].size)
            out[n++] = all[i];
    return n;
}

u8 *blob_room(u8 *p, size_t used, size_t cap)
{
    if (cap < 2 * HUGE_PAGE)
        return realloc(p, cap);
    cap = (cap + HUGE_PAGE - 1) & ~(size_t)(HUGE_PAGE - 1);
    u8 *q = aligned_alloc(HUGE_PAGE, cap);
    if (!q)
        return NULL;
    (void)madvise(q, cap, MADV_HUGEPAGE);
    if (used)
        memcpy(q, p, used);
    free(p);
    return q;
}

/* Bytes to read it into at once, one more so that its end is seen; a pipe's are not known. */
static size_t size_hint(FILE *f)
{
    struct stat st;
    if (fstat(fileno(f), &st) || !S_ISREG(st.st_mode) || st.st_size < 0 || (u64)st.st_size >= FILE_MAX)
        return 1 << 20;
    return (size_t)st.st_size + 1;
}

enum svmemu_status read_file(struct svmemu *m, const char *path, struct blob *out)
{
    FILE *f = fopen(path, "rb");
    *out = (struct blob){ 0 };
    if (!f)
        return machine_fail(m, SVMEMU_FILE, "%.200s: %s", path, strerror(errno));
    size_t cap = size_hint(f);
    u8 *p = blob_room(NULL, 0, cap);
    while (p) {
        size_t n = fread(p + out->size, 1, cap - out->size, f);
        out->size += n;
        if (out->size < cap || cap >= FILE_MAX)
            break;
        cap *= 2;
        u8 *q = blob_room(p, out->size, cap);
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
static const char *entry_name(enum svmemu_entry e)
{
    static const char *const names[] = {
        [SVMEMU_ENTRY_AUTO] = "auto", [SVMEMU_ENTRY_MULTIBOOT] = "multiboot", [SVMEMU_ENTRY_MULTIBOOT2] = "multiboot2",
        [SVMEMU_ENTRY_PVH] = "pvh", [SVMEMU_ENTRY_LINUX64] = "linux64", [SVMEMU_ENTRY_LINUX32] = "linux32",
        [SVMEMU_ENTRY_LINUX16] = "linux16", [SVMEMU_ENTRY_ELF] = "elf",
    };
    return (unsigned)e < ARRAY_LEN(names) ? names[e] : "?";
}

static enum svmemu_status no_entry(struct loader *l, const char *kind)
{
    return LOAD_FAIL(l, SVMEMU_FORMAT, "%s has no entry \"%s\"; choose another (--entry) or leave the choice to the loader", kind,
                     entry_name(l->opt->entry));
}

/* Multiboot guests may be test programs that look for their device. */
static enum svmemu_status multiboot_device(struct loader *l)
{
    if (!l->m->pc || !(l->m->cfg.flags & SVMEMU_TEST_DEVICE_AUTO) || pc_plug_test_device(l->m))
        return SVMEMU_OK;
    return LOAD_FAIL(l, SVMEMU_MEMORY, "no room for the test device");
}

/* Anything but a bzImage: Multiboot before Multiboot 2 before PVH before plain ELF. */
static enum svmemu_status load_known(struct loader *l)
{
    enum svmemu_entry want = l->opt->entry;
    bool any = want == SVMEMU_ENTRY_AUTO;
    struct elf_image img;
    size_t header;
    enum svmemu_status s;
    if (l->opt->setup_data_count)
        return LOAD_FAIL(l, SVMEMU_ARGUMENT, "only a Linux kernel that starts by its boot protocol takes setup data");
    if ((any || want == SVMEMU_ENTRY_MULTIBOOT) && multiboot_find(&l->file, &header))
        return (s = multiboot_device(l)) != SVMEMU_OK ? s : multiboot_load(l, header);
    if ((any || want == SVMEMU_ENTRY_MULTIBOOT2) && multiboot2_find(&l->file, &header))
        return (s = multiboot_device(l)) != SVMEMU_OK ? s : multiboot2_load(l, header);
    s = elf_load_image(l, true, 0, &img);
    if (s != SVMEMU_OK)
        return s;
    bool pvh = img.has_pvh && want != SVMEMU_ENTRY_ELF;
    if ((!any && want != SVMEMU_ENTRY_PVH && want != SVMEMU_ENTRY_ELF) || (want == SVMEMU_ENTRY_PVH && !img.has_pvh))
        return no_entry(l, "the ELF");
    if (!pvh && l->opt->module_count)
        return LOAD_FAIL(l, SVMEMU_FORMAT, "a plain ELF takes no modules; only Multiboot and PVH guests do");
    s = elf_load_image(l, false, 0, &img);
    if (s != SVMEMU_OK)
        return s;
    return pvh ? pvh_start(l, &img) : elf_plain_start(l, &img);
}

/* A Linux bzImage: through PVH where the kernel inside has that entry, which saves the guest the unpacking; else by the boot protocol. */
static enum svmemu_status load_bzimage(struct loader *l)
{
    enum svmemu_entry want = l->opt->entry;
    struct blob image = l->file, kernel = { 0 };
    struct elf_image img = { 0 };
    enum svmemu_status s;
    if (want == SVMEMU_ENTRY_MULTIBOOT || want == SVMEMU_ENTRY_MULTIBOOT2 || want == SVMEMU_ENTRY_ELF)
        return no_entry(l, "a bzImage");
    if (want == SVMEMU_ENTRY_PVH && l->opt->setup_data_count)
        return LOAD_FAIL(l, SVMEMU_ARGUMENT, "PVH has no setup data; start the kernel by the boot protocol (--entry linux64)");
    if (want != SVMEMU_ENTRY_PVH && (want != SVMEMU_ENTRY_AUTO || !bzimage_known(&image) || l->opt->setup_data_count))
        return linux_load(l, want);
    s = bzimage_unpack(l, &kernel);
    if (s != SVMEMU_OK)
        return s;
    l->file = kernel;
    s = elf_load_image(l, true, 0, &img);
    if (s == SVMEMU_OK && !img.has_pvh) {
        l->file = image;
        s = want == SVMEMU_ENTRY_AUTO ? linux_load(l, want)
                                      : LOAD_FAIL(l, SVMEMU_UNSUPPORTED, "the Linux kernel inside has no PVH entry note; build it with "
                                                                         "CONFIG_PVH or start it by the boot protocol (--entry linux64)");
    } else if (s == SVMEMU_OK) {
        s = elf_load_image(l, false, 0, &img);
        if (s == SVMEMU_OK)
            s = pvh_start(l, &img);
    }
    free(kernel.data);
    return s;
}

static enum svmemu_status check_options(struct svmemu *m, const struct svmemu_load *o)
{
    if ((unsigned)o->entry > SVMEMU_ENTRY_ELF)
        return machine_fail(m, SVMEMU_ARGUMENT, "entry %d does not exist", (int)o->entry);
    if (o->module_count && !o->modules)
        return machine_fail(m, SVMEMU_ARGUMENT, "no modules");
    if (o->module_count > MODULES_MAX)
        return machine_fail(m, SVMEMU_ARGUMENT, "%u modules; at most %u are possible", o->module_count, MODULES_MAX);
    for (unsigned i = 0; i < o->module_count; i++)
        if (!o->modules[i].path)
            return machine_fail(m, SVMEMU_ARGUMENT, "module %u has no path", i);
    if (o->setup_data_count && !o->setup_data)
        return machine_fail(m, SVMEMU_ARGUMENT, "no setup data");
    for (unsigned i = 0; i < o->setup_data_count; i++)
        if (!o->setup_data[i].data && o->setup_data[i].len)
            return machine_fail(m, SVMEMU_ARGUMENT, "setup data %u has no data", i);
    if (m->low_ram < 0x100000)
        return machine_fail(m, SVMEMU_TOO_LARGE, "loading a guest needs at least 1 MiB of memory from address 0");
    return SVMEMU_OK;
}

enum svmemu_status svmemu_load_memory(struct svmemu *m, const char *name, const void *data, size_t len, const struct svmemu_load *load)
{
    static const struct svmemu_load none;
    struct loader l = { .m = m, .name = name ? name : "guest", .opt = load ? load : &none, .area = LOADER_AREA };
    struct blob owned = { 0 };
    if (!data && len)
        return machine_fail(m, SVMEMU_ARGUMENT, "no data");
    enum svmemu_status s = check_options(m, l.opt);
    if (s != SVMEMU_OK)
        return s;
    symbols_free(m->symbols);
    m->symbols = NULL;
    l.file = (struct blob){ (u8 *)(uintptr_t)data, len };
    if (!bzimage_is(&l.file) && unpack_known(l.file.data, len)) {
        s = unpack(&l, l.file.data, len, UNPACK_MAX, &owned);
        if (s != SVMEMU_OK)
            return s;
        l.file = owned;
    }
    s = firmware_setup(m);
    if (s == SVMEMU_OK && m->pc)
        s = fw_items_cmdline(m, l.opt->cmdline);
    if (s == SVMEMU_OK)
        s = bzimage_is(&l.file) ? load_bzimage(&l) : load_known(&l);
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

enum svmemu_status svmemu_load_symbols(struct svmemu *m, const char *path)
{
    return machine_fail(m, SVMEMU_UNSUPPORTED, "%.100s: this libsvmemu was built without loaders", path);
}
#endif

const char *svmemu_symbol(const struct svmemu *m, uint64_t linear, uint64_t *offset)
{
    u64 off = 0;
    const char *name = symbols_find(m->user_symbols, linear, &off);
    if (!name)
        name = symbols_find(m->symbols, linear, &off);
    if (offset)
        *offset = off;
    return name;
}

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
