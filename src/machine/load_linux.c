// SPDX-License-Identifier: MIT
/* The Linux/x86 boot protocol, for bzImages of version 2.02 and later ("boot.rst" of the kernel's documentation has the fields' names).
 * The protected-mode part goes to where the kernel wants to run, the initrd to the top of low RAM. Three entries:
 *   linux64  long mode, first 4 GiB mapped to themselves, at the code's start + 200h; rSI = boot_params
 *   linux32  protected mode, paging off, at the code's start; eSI = boot_params
 *   linux16  real mode, the file's own setup code at 1000h:0, which asks the BIOS for memory and enters protected mode */
#include "machine/load.h"

#include <stdlib.h>

#define HDR 0x1F1u
#define HDR_END_MAX 0x290u
#define SETUP_SPA 0x10000u
#define SETUP_MAX 0x8000u
#define SETUP_STACK 0xE000u
#define ENTRY64 0x200u
#define RSDP_SPA 0xE0000u
#define E820_MAX 128u
enum { H_SETUP_SECTS = 0x1F1, H_SYSSIZE = 0x1F4, H_JUMP = 0x201, H_VERSION = 0x206, H_LOADER = 0x210, H_LOADFLAGS = 0x211, H_CODE32 = 0x214,
       H_RAMDISK = 0x218, H_RAMDISK_SIZE = 0x21C, H_HEAP_END = 0x224, H_CMDLINE = 0x228, H_INITRD_MAX = 0x22C, H_ALIGN = 0x230,
       H_RELOCATABLE = 0x234, H_XLOADFLAGS = 0x236, H_CMDLINE_SIZE = 0x238, H_SETUP_DATA = 0x250, H_PREF = 0x258, H_INIT_SIZE = 0x260 };
enum { BP_RSDP = 0x70, BP_ALT_MEM = 0x1E0, BP_E820_COUNT = 0x1E8, BP_E820 = 0x2D0, BP_SIZE = 0x1000 };
enum { LOADED_HIGH = 1, CAN_USE_HEAP = 0x80, XLF_KERNEL_64 = 1 };

struct linux {
    unsigned version;
    size_t setup_size, header_end;
    const u8 *code;
    u64 code_len;
    u64 load, end;        /* protected-mode code, and all that the kernel uses before it knows the memory map */
    u64 initrd_max, cmdline_max;
    u32 xloadflags;
    u64 params, cmdline, initrd, initrd_size, setup_data;
};

static unsigned ver(const struct linux *k)
{
    return k->version & 255;
}

static enum svmemu_status check_header(struct loader *l, struct linux *k)
{
    static const struct {
        unsigned version, end; /* from that version on the header has that many bytes at least */
    } sizes[] = { { 0x202, 0x22C }, { 0x203, 0x230 }, { 0x205, 0x235 }, { 0x206, 0x23C }, { 0x207, 0x248 }, { 0x208, 0x250 },
                  { 0x209, 0x258 }, { 0x20A, 0x264 }, { 0x20B, 0x268 }, { 0x20F, 0x26C } };
    const u8 *d = l->file.data;
    unsigned need = 0;
    k->version = (unsigned)load_le(d + H_VERSION, 2);
    k->setup_size = (d[H_SETUP_SECTS] ? d[H_SETUP_SECTS] + 1u : 5u) * 512;
    k->header_end = 0x202u + d[H_JUMP];
    if (k->version < 0x202 || k->version >> 8 != 2)
        return LOAD_FAIL(l, SVMEMU_UNSUPPORTED, "boot protocol %u.%02u; 2.02 and later are known", k->version >> 8, k->version & 255);
    for (unsigned i = 0; i < ARRAY_LEN(sizes); i++)
        if (k->version >= sizes[i].version)
            need = sizes[i].end;
    if (k->header_end < need || k->header_end > HDR_END_MAX || k->header_end > l->file.size)
        return LOAD_FAIL(l, SVMEMU_FORMAT, "the setup header ends at %zXh; protocol 2.%02u needs %Xh, %Xh are possible, the file has %zXh",
                         k->header_end, ver(k), need, HDR_END_MAX, l->file.size);
    if (!(d[H_LOADFLAGS] & LOADED_HIGH))
        return LOAD_FAIL(l, SVMEMU_UNSUPPORTED, "a zImage, which is loaded below 640 KiB; make a bzImage of the kernel");
    if (k->setup_size >= l->file.size)
        return LOAD_FAIL(l, SVMEMU_FORMAT, "the setup code of %zu bytes takes all of the file (%zu bytes); it was cut off", k->setup_size,
                         l->file.size);
    u64 says = load_le(d + H_SYSSIZE, k->version >= 0x204 ? 4 : 2) * 16;
    k->code = d + k->setup_size;
    k->code_len = l->file.size - k->setup_size;
    if (says >= k->code_len + 16)
        return LOAD_FAIL(l, SVMEMU_FORMAT, "the header says %llu bytes of kernel, the file has %llu after its setup code; it was cut off",
                         ull(says), ull(k->code_len));
    return SVMEMU_OK;
}

/* Where the code goes and what it needs there. */
static enum svmemu_status check_place(struct loader *l, struct linux *k, bool real)
{
    const u8 *d = l->file.data;
    bool relocatable = k->version >= 0x205 && d[H_RELOCATABLE];
    u64 align = k->version >= 0x205 ? load_le(d + H_ALIGN, 4) : 0, pref = k->version >= 0x20A ? load_le(d + H_PREF, 8) : 0;
    u64 init_size = k->version >= 0x20A ? load_le(d + H_INIT_SIZE, 4) : 0;
    k->load = load_le(d + H_CODE32, 4);
    if (relocatable && (!align || (align & (align - 1)) || (pref & (align - 1))))
        return LOAD_FAIL(l, SVMEMU_FORMAT, "the kernel's alignment %llXh is no power of two or does not fit its address %llXh",
                         ull(align), ull(pref));
    if (relocatable && !real)
        k->load = pref ? pref : (0x100000 + align - 1) & ~(align - 1);
    if (k->load < 0x100000 || pref > LOW_RAM_END || (pref && pref < 0x100000))
        return LOAD_FAIL(l, SVMEMU_FORMAT, "the kernel wants to be loaded at %llXh and to run at %llXh; 100000h to %llXh are possible",
                         ull(k->load), ull(pref), ull(LOW_RAM_END));
    u64 runs = pref > k->load ? pref : k->load, code_end = k->load + k->code_len;
    k->end = runs + init_size > code_end ? runs + init_size : code_end;
    if (k->end > l->m->low_ram)
        return LOAD_FAIL(l, SVMEMU_TOO_LARGE, "the kernel at %llXh needs memory up to %llXh to unpack itself, but the machine has "
                         "%llu MiB; give it more (--memory)", ull(k->load), ull(k->end),
                         ull(l->m->low_ram >> 20));
    k->initrd_max = k->version >= 0x203 ? load_le(d + H_INITRD_MAX, 4) : 0x37FFFFFF;
    k->cmdline_max = k->version >= 0x206 ? load_le(d + H_CMDLINE_SIZE, 4) : 255;
    k->xloadflags = k->version >= 0x20C ? (u32)load_le(d + H_XLOADFLAGS, 2) : 0;
    return SVMEMU_OK;
}

/* All modules joined, each from a multiple of four: the kernel reads archive after archive. */
static enum svmemu_status join_modules(struct loader *l, struct blob *out)
{
    *out = (struct blob){ 0 };
    for (unsigned i = 0; i < l->opt->module_count; i++) {
        const struct svmemu_module *mod = &l->opt->modules[i];
        struct blob b;
        if (mod->args && *mod->args)
            return LOAD_FAIL(l, SVMEMU_ARGUMENT, "%.100s: an initrd takes no arguments (\"%.60s\"); put them on the kernel's command line",
                             mod->path, mod->args);
        enum svmemu_status s = read_file(l->m, mod->path, &b);
        if (s != SVMEMU_OK)
            return s;
        size_t at = (out->size + 3) & ~(size_t)3;
        u8 *p = b.size ? realloc(out->data, at + b.size) : out->data;
        if (p && b.size) {
            memset(p + out->size, 0, at - out->size);
            memcpy(p + at, b.data, b.size);
            *out = (struct blob){ p, at + b.size };
        }
        free(b.data);
        if (!p && b.size)
            return LOAD_FAIL(l, SVMEMU_MEMORY, "no host memory for the initrd");
    }
    return SVMEMU_OK;
}

static enum svmemu_status put_initrd(struct loader *l, struct linux *k)
{
    struct blob b;
    enum svmemu_status s = join_modules(l, &b);
    u64 top = k->initrd_max < l->m->low_ram ? k->initrd_max + 1 : l->m->low_ram;
    if (s == SVMEMU_OK && b.size) {
        k->initrd = b.size < top ? (top - b.size) & ~(u64)PAGE_MASK : 0;
        k->initrd_size = b.size;
        if (k->initrd < k->end)
            s = LOAD_FAIL(l, SVMEMU_TOO_LARGE, "the initrd %.100s of %zu bytes does not fit between the kernel's end %llXh and %llXh; "
                          "give the machine more memory (--memory)", l->opt->modules[0].path, b.size, ull(k->end),
                          ull(top));
        else
            s = ram_put(l, k->initrd, b.data, b.size, "the initrd");
    }
    free(b.data);
    return s;
}

/* The list of setup data, in the order given: link, type, length, bytes. */
static enum svmemu_status put_setup_data(struct loader *l, struct linux *k)
{
    if (l->opt->setup_data_count && k->version < 0x209)
        return LOAD_FAIL(l, SVMEMU_UNSUPPORTED, "boot protocol 2.%02u has no setup data; 2.09 is needed", ver(k));
    for (unsigned i = l->opt->setup_data_count; i-- > 0;) {
        const struct svmemu_setup_data *sd = &l->opt->setup_data[i];
        u8 *p = sd->len < LOADER_AREA_END - LOADER_AREA ? calloc(1, 16 + sd->len) : NULL;
        if (!p)
            return LOAD_FAIL(l, SVMEMU_TOO_LARGE, "setup data %u of %zu bytes; less than 64 KiB are possible for all", i, sd->len);
        store_le(p, 8, k->setup_data);
        store_le(p + 8, 4, sd->type);
        store_le(p + 12, 4, sd->len);
        if (sd->len)
            memcpy(p + 16, sd->data, sd->len);
        enum svmemu_status s = area_put(l, p, 16 + sd->len, 16, "setup data", &k->setup_data);
        free(p);
        if (s != SVMEMU_OK)
            return s;
    }
    return SVMEMU_OK;
}

static enum svmemu_status put_cmdline(struct loader *l, struct linux *k)
{
    const char *text = l->opt->cmdline ? l->opt->cmdline : "";
    if (strlen(text) > k->cmdline_max)
        return LOAD_FAIL(l, SVMEMU_TOO_LARGE, "the command line has %zu characters; this kernel takes %llu at most", strlen(text),
                         ull(k->cmdline_max));
    return area_put(l, text, strlen(text) + 1, 16, "the command line", &k->cmdline);
}

/* The fields of the header that the loader fills in; `h` is where the header's page begins. */
static void fill_header(const struct linux *k, u8 *h)
{
    h[H_LOADER] = 0xFF; /* a loader without a number */
    h[H_LOADFLAGS] &= (u8)~CAN_USE_HEAP;
    store_le(h + H_CODE32, 4, k->load);
    store_le(h + H_RAMDISK, 4, k->initrd);
    store_le(h + H_RAMDISK_SIZE, 4, k->initrd_size);
    store_le(h + H_CMDLINE, 4, k->cmdline);
    if (k->version >= 0x209)
        store_le(h + H_SETUP_DATA, 8, k->setup_data);
}

static enum svmemu_status put_params(struct loader *l, struct linux *k)
{
    u8 p[BP_SIZE] = { 0 };
    struct map_entry e[E820_MAX];
    unsigned n = memory_map(l->m, e, ARRAY_LEN(e));
    memcpy(p + HDR, l->file.data + HDR, k->header_end - HDR);
    fill_header(k, p);
    store_le(p + BP_ALT_MEM, 4, (l->m->low_ram - 0x100000) >> 10);
    if (k->version >= 0x20E && l->m->pc)
        store_le(p + BP_RSDP, 8, RSDP_SPA);
    p[BP_E820_COUNT] = (u8)n;
    for (unsigned i = 0; i < n; i++) {
        store_le(p + BP_E820 + 20 * i, 8, e[i].base);
        store_le(p + BP_E820 + 20 * i + 8, 8, e[i].size);
        store_le(p + BP_E820 + 20 * i + 16, 4, e[i].type);
    }
    return area_put(l, p, sizeof(p), PAGE_SIZE, "boot_params", &k->params);
}

static enum svmemu_status start_flat(struct loader *l, struct linux *k, bool is64)
{
    /* CS is 10h and the others are 18h */
    const u64 gdt[4] = { 0, 0, is64 ? 0x00AF9B000000FFFFull : 0x00CF9B000000FFFFull, 0x00CF93000000FFFFull };
    struct cpu_state *st = &l->m->cpu[0]->st;
    u64 gdt_pa = 0, cr3 = 0;
    enum svmemu_status s = put_params(l, k);
    if (s == SVMEMU_OK)
        s = area_put(l, gdt, sizeof(gdt), 8, "descriptor table", &gdt_pa);
    if (s == SVMEMU_OK && is64)
        s = identity_map(l, &cr3);
    if (s != SVMEMU_OK)
        return s;
    svmemu_set_mode(l->m, 0, is64 ? 64 : 32, cr3);
    for (unsigned i = 0; i < SEG_COUNT6; i++)
        st->seg[i].sel = i == SEG_CS ? 0x10 : 0x18;
    st->gdtr = (struct dtr){ .base = gdt_pa, .limit = sizeof(gdt) - 1 };
    memset(st->gpr, 0, sizeof(st->gpr));
    st->gpr[RSI] = k->params;
    st->gpr[RSP] = LOADER_STACK - 16;
    st->rip = k->load + (is64 ? ENTRY64 : 0);
    return SVMEMU_OK;
}

static enum svmemu_status start_real(struct loader *l, struct linux *k)
{
    struct cpu_state *st = &l->m->cpu[0]->st;
    if (k->setup_size > SETUP_MAX)
        return LOAD_FAIL(l, SVMEMU_UNSUPPORTED, "the setup code has %zu bytes; %u are possible", k->setup_size, SETUP_MAX);
    u8 *setup = malloc(k->setup_size);
    if (!setup)
        return SVMEMU_MEMORY;
    memcpy(setup, l->file.data, k->setup_size);
    fill_header(k, setup);
    setup[H_LOADFLAGS] |= CAN_USE_HEAP;
    store_le(setup + H_HEAP_END, 2, SETUP_STACK - 0x200); /* boot.rst: 200h bytes below the stack's top */
    enum svmemu_status s = ram_put(l, SETUP_SPA, setup, k->setup_size, "the setup code");
    free(setup);
    if (s != SVMEMU_OK)
        return s;
    svmemu_set_mode(l->m, 0, 16, 0);
    for (unsigned i = 0; i < SEG_COUNT6; i++) {
        st->seg[i].base = SETUP_SPA + (i == SEG_CS ? 0x200 : 0);
        st->seg[i].sel = (u16)(st->seg[i].base >> 4);
    }
    memset(st->gpr, 0, sizeof(st->gpr));
    st->gpr[RSP] = SETUP_STACK;
    st->rip = 0;
    return SVMEMU_OK;
}

enum svmemu_status linux_load(struct loader *l, enum svmemu_entry entry)
{
    struct linux k = { 0 };
    enum svmemu_status s = check_header(l, &k);
    if (s == SVMEMU_OK)
        s = check_place(l, &k, entry == SVMEMU_ENTRY_LINUX16);
    if (s != SVMEMU_OK)
        return s;
    bool has64 = k.xloadflags & XLF_KERNEL_64;
    if (entry == SVMEMU_ENTRY_AUTO)
        entry = has64 ? SVMEMU_ENTRY_LINUX64 : SVMEMU_ENTRY_LINUX32;
    if (entry == SVMEMU_ENTRY_LINUX64 && (!has64 || k.code_len <= ENTRY64))
        return LOAD_FAIL(l, SVMEMU_UNSUPPORTED, "the kernel has no 64-bit entry (xloadflags %Xh); start it by --entry linux32",
                         (unsigned)k.xloadflags);
    s = put_cmdline(l, &k);
    if (s == SVMEMU_OK)
        s = put_setup_data(l, &k);
    if (s == SVMEMU_OK)
        s = put_initrd(l, &k);
    if (s == SVMEMU_OK)
        s = ram_put(l, k.load, k.code, k.code_len, "the kernel");
    if (s == SVMEMU_OK)
        s = entry == SVMEMU_ENTRY_LINUX16 ? start_real(l, &k) : start_flat(l, &k, entry == SVMEMU_ENTRY_LINUX64);
    if (s == SVMEMU_OK)
        machine_cpu_changed(l->m->cpu[0]);
    return s;
}
