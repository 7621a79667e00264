// SPDX-License-Identifier: MIT
/* What a guest finds when it starts: Multiboot 1 with a virtual entry, Multiboot 2 and the Linux boot protocol, from their documents. */
#define _GNU_SOURCE 1 /* mkstemp */
#include "loader_files.h"

static void load(struct svmemu *m, const void *data, size_t len, const struct svmemu_load *o)
{
    if (svmemu_load_memory(m, "kernel", data, len, o) != SVMEMU_OK)
        fail_msg("%s", svmemu_last_error(m));
}

static void refused(const void *data, size_t len, const struct svmemu_load *o, enum svmemu_status want, const char *words)
{
    struct svmemu *m = new_machine(16);
    enum svmemu_status got = svmemu_load_memory(m, "kernel", data, len, o);
    if (got != want || !strstr(svmemu_last_error(m), words))
        fail_msg("wanted \"%s\" with \"%s\", got \"%s\": \"%s\"", svmemu_status_text(want), words, svmemu_status_text(got),
                 svmemu_last_error(m));
    svmemu_destroy(m);
}

/* ---- Multiboot 1 ---- */
static void test_virtual_entry(void **state)
{
    struct elf_file f = elf_file(0x200000, 0xC0200000, 0xC0200000);
    struct svmemu *m = new_machine(16);
    (void)state;
    multiboot1(&f, 3);
    load(m, &f, sizeof(f), NULL);
    assert_int_equal(reg(m, "rip"), 0x200000);
    assert_int_equal(reg(m, "rax"), 0x2BADB002);
    f.eh.e_entry = 0xC0202FFF; /* the segment's last byte, in its BSS */
    load(m, &f, sizeof(f), NULL);
    assert_int_equal(reg(m, "rip"), 0x202FFF);
    f.eh.e_entry = 0x200002;   /* physical */
    load(m, &f, sizeof(f), NULL);
    assert_int_equal(reg(m, "rip"), 0x200002);
    f.eh.e_entry = 0xC0203000;
    refused(&f, sizeof(f), NULL, SVMEMU_FORMAT, "entry C0203000h is outside of what was loaded");
    f.eh.e_entry = 0x1FFFFF;
    refused(&f, sizeof(f), NULL, SVMEMU_FORMAT, "entry 1FFFFFh");
    memset(f.extra, 0, sizeof(f.extra)); /* a plain ELF has the same rule */
    f.eh.e_entry = 0xC0200001;
    load(m, &f, sizeof(f), NULL);
    assert_int_equal(reg(m, "rip"), 0x200001);
    svmemu_destroy(m);
}

static void text_at(struct svmemu *m, uint64_t pa, const char *want)
{
    char got[128];
    assert_true(strlen(want) < sizeof(got));
    assert_int_equal(svmemu_mem_read(m, pa, got, strlen(want) + 1), SVMEMU_OK);
    assert_string_equal(got, want);
}

static void bytes_at(struct svmemu *m, uint64_t pa, uint8_t c, size_t len)
{
    uint8_t *p = malloc(len);
    assert_non_null(p);
    assert_int_equal(svmemu_mem_read(m, pa, p, len), SVMEMU_OK);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(p[i], c);
    free(p);
}

/* The memory map of a PC with 16 MiB, as all three formats give it: entries of `size` bytes with base, length and type. */
static void check_map(const uint8_t *p, unsigned n, unsigned size)
{
    uint64_t ram = 0;
    assert_true(n >= 3);
    assert_int_equal(get(p, 8), 0);
    for (unsigned i = 0; i < n; i++, p += size) {
        uint64_t base = get(p, 8), len = get(p + 8, 8), type = get(p + 16, 4);
        assert_true(len > 0 && base + len > base);
        assert_true(i + 1 == n || base + len <= get(p + size, 8));
        assert_true(type == 1 || type == 2);
        assert_true(type == 2 || base + len <= 16 * MIB);
        if (type == 1)
            ram += len;
    }
    assert_int_equal(ram, 15 * MIB + 0x9FC00);
}

struct modules {
    char a[32], b[32];
    struct svmemu_module list[2];
};

static void modules_new(struct modules *w)
{
    strcpy(w->a, "/tmp/svmemu_mod_XXXXXX");
    strcpy(w->b, "/tmp/svmemu_mod_XXXXXX");
    temp_file(w->a, 'a', 5001);
    temp_file(w->b, 'b', 4096);
    w->list[0] = (struct svmemu_module){ .path = w->a, .args = "one two" };
    w->list[1] = (struct svmemu_module){ .path = w->b };
}

static void modules_free(struct modules *w)
{
    unlink(w->a);
    unlink(w->b);
}

static void test_multiboot1_modules(void **state)
{
    struct elf_file f = elf_file(0x200000, 0x200000, 0x200000);
    struct svmemu *m = new_machine(16);
    uint8_t info[120], list[32];
    struct modules w;
    char want[64];
    (void)state;
    modules_new(&w);
    multiboot1(&f, 3);
    load(m, &f, sizeof(f), &(struct svmemu_load){ .cmdline = "x=1", .modules = w.list, .module_count = 2 });
    assert_int_equal(svmemu_mem_read(m, reg(m, "rbx"), info, sizeof(info)), SVMEMU_OK);
    assert_int_equal(get(info, 4) & 0x4D, 0x4D); /* memory, command line, modules, map */
    text_at(m, get(info + 16, 4), "kernel x=1");
    assert_int_equal(get(info + 20, 4), 2);
    assert_int_equal(svmemu_mem_read(m, get(info + 24, 4), list, sizeof(list)), SVMEMU_OK);
    assert_true(get(list, 4) >= 0x203000 && !(get(list, 4) & 4095));
    assert_int_equal(get(list + 4, 4) - get(list, 4), 5001);
    bytes_at(m, get(list, 4), 'a', 5001);
    snprintf(want, sizeof(want), "%s one two", w.a);
    text_at(m, get(list + 8, 4), want);
    assert_true(get(list + 16, 4) >= get(list + 4, 4) && !(get(list + 16, 4) & 4095));
    bytes_at(m, get(list + 16, 4), 'b', 4096);
    text_at(m, get(list + 24, 4), w.b);
    modules_free(&w);
    svmemu_destroy(m);
}

/* ---- Multiboot 2 ---- */

/* The n-th tag of a type in the information structure; NULL: there is none. */
static const uint8_t *mb2_tag(const uint8_t *info, uint32_t type, unsigned n)
{
    for (uint32_t at = 8; at < get(info, 4); at += ((uint32_t)get(info + at + 4, 4) + 7) & ~7u) {
        assert_true(get(info + at + 4, 4) >= 8 && at + get(info + at + 4, 4) <= get(info, 4));
        if (get(info + at, 4) == type && n-- == 0)
            return info + at;
        if (get(info + at, 4) == 0)
            assert_int_equal(at + 8, get(info, 4)); /* the end tag is the last */
    }
    return NULL;
}

static const uint8_t *mb2_need(const uint8_t *info, uint32_t type, unsigned n)
{
    const uint8_t *t = mb2_tag(info, type, n);
    if (!t)
        fail_msg("no tag %u", type);
    return t;
}

static void mb2_info(struct svmemu *m, uint8_t *info)
{
    uint64_t at = reg(m, "rbx");
    assert_int_equal(reg(m, "rax"), 0x36D76289);
    assert_int_equal(at & 7, 0);
    assert_int_equal(svmemu_mem_read(m, at, info, 8), SVMEMU_OK);
    assert_true(get(info, 4) >= 16 && get(info, 4) <= 4096);
    assert_int_equal(svmemu_mem_read(m, at, info, get(info, 4)), SVMEMU_OK);
}

static void test_multiboot2(void **state)
{
    /* information wanted: memory map and module; modules aligned; console, framebuffer and EFI tags without effect */
    static const uint32_t tags[] = { 1, 16, 6, 3, 6, 8, 4, 12, 2, 0, 5, 20, 0, 0, 0, 0, 7, 8, 9, 12, 0x12345678, 0 };
    struct elf_file f = elf_file(0x200000, 0xC0200000, 0xC0200000);
    struct svmemu *m = new_machine(16);
    uint8_t info[4096];
    struct modules w;
    char want[64];
    (void)state;
    modules_new(&w);
    multiboot2(&f, tags, sizeof(tags) / 4);
    load(m, &f, sizeof(f), &(struct svmemu_load){ .cmdline = "x=1 y", .modules = w.list, .module_count = 2 });
    assert_int_equal(reg(m, "rip"), 0x200000);
    assert_int_equal(reg(m, "cr0") & 0x80000001, 1); /* protected mode, no paging */
    assert_int_equal(reg(m, "cs.limit"), 0xFFFFFFFF);
    assert_int_equal(reg(m, "rflags") & 0x20200, 0);
    mb2_info(m, info);
    assert_string_equal((const char *)mb2_need(info, 1, 0) + 8, "kernel x=1 y");
    assert_string_equal((const char *)mb2_need(info, 2, 0) + 8, "svmemu");
    const uint8_t *a = mb2_need(info, 3, 0), *b = mb2_need(info, 3, 1);
    assert_null(mb2_tag(info, 3, 2));
    snprintf(want, sizeof(want), "%s one two", w.a);
    assert_string_equal((const char *)a + 16, want);
    assert_string_equal((const char *)b + 16, w.b);
    assert_int_equal(get(a + 8, 4) & 4095, 0);
    assert_int_equal(get(b + 8, 4) & 4095, 0);
    assert_true(get(a + 8, 4) >= 0x203000 && get(b + 8, 4) >= get(a + 12, 4));
    assert_int_equal(get(a + 12, 4) - get(a + 8, 4), 5001);
    bytes_at(m, get(a + 8, 4), 'a', 5001);
    bytes_at(m, get(b + 8, 4), 'b', 4096);
    assert_int_equal(get(mb2_need(info, 4, 0) + 12, 4), 15 * 1024); /* KiB above 1 MiB */
    const uint8_t *map = mb2_need(info, 6, 0);
    assert_int_equal(get(map + 8, 4), 24);
    check_map(map + 16, (unsigned)(get(map + 4, 4) - 16) / 24, 24);
    assert_memory_equal(mb2_need(info, 14, 0) + 8, "RSD PTR ", 8);
    assert_memory_equal(mb2_need(info, 15, 0) + 8, "RSD PTR ", 8);
    for (uint32_t t = 7; t < 21; t++) /* VBE, framebuffer, network, EFI: not on this machine */
        if (t != 14 && t != 15)
            assert_null(mb2_tag(info, t, 0));
    assert_null(mb2_tag(info, 21, 0)); /* not relocatable */
    modules_free(&w);
    svmemu_destroy(m);
}

/* The relocation tag: lowest, highest and as linked; the entry moves along and the base is told. */
static void test_multiboot2_relocatable(void **state)
{
    const struct {
        uint32_t min, max, align, preference, base;
    } cases[] = {
        { 0x300000, 0xFFFFFF, 0x100000, 1, 0x300000 }, { 0x300001, 0xFFFFFF, 0x100000, 1, 0x400000 },
        { 0x300000, 0xFFFFFFFF, 0x1000, 2, 16 * MIB - 0x3000 }, { 0x300000, 0x7FFFFF, 0x100000, 2, 0x700000 },
        { 0x100000, 0xFFFFFFFF, 0x1000, 0, 0x200000 }, { 0x400000, 0xFFFFFFFF, 0x1000, 0, 0x400000 }, { 0, 0xFFFFFFFF, 0, 1, 0x100000 },
    };
    struct elf_file f = elf_file(0x200000, 0xC0200000, 0xC0200001);
    uint8_t info[4096];
    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const uint32_t tags[] = { 10, 24, cases[i].min, cases[i].max, cases[i].align, cases[i].preference };
        struct svmemu *m = new_machine(16);
        multiboot2(&f, tags, 6);
        load(m, &f, sizeof(f), NULL);
        assert_int_equal(reg(m, "rip"), cases[i].base + 1);
        bytes_at(m, cases[i].base, 0xFA, 1);
        mb2_info(m, info);
        assert_int_equal(get(mb2_need(info, 21, 0) + 8, 4), cases[i].base);
        svmemu_destroy(m);
    }
    const uint32_t nowhere[] = { 10, 24, 0x1000000, 0xFFFFFFFF, 0x1000, 1 };
    multiboot2(&f, nowhere, 6);
    refused(&f, sizeof(f), NULL, SVMEMU_TOO_LARGE, "has no place between 1000000h and FFFFFFFFh");
    const uint32_t odd[] = { 10, 24, 0x100000, 0xFFFFFFFF, 0x1001, 1 };
    multiboot2(&f, odd, 6);
    refused(&f, sizeof(f), NULL, SVMEMU_FORMAT, "alignment 1001h");
}

/* Modules go below a kernel that stands at the top of memory. */
static void test_multiboot2_modules_below(void **state)
{
    static const uint32_t tags[] = { 10, 24, 0x100000, 0xFFFFFFFF, 0x1000, 2 };
    struct elf_file f = elf_file(0x200000, 0x200000, 0x200000);
    struct svmemu *m = new_machine(16);
    uint8_t info[4096];
    struct modules w;
    (void)state;
    modules_new(&w);
    multiboot2(&f, tags, 6);
    load(m, &f, sizeof(f), &(struct svmemu_load){ .modules = w.list, .module_count = 2 });
    mb2_info(m, info);
    assert_int_equal(get(mb2_need(info, 3, 0) + 8, 4), 0x100000);
    assert_int_equal(get(mb2_need(info, 3, 1) + 8, 4), 0x102000);
    bytes_at(m, 0x100000, 'a', 5001);
    modules_free(&w);
    svmemu_destroy(m);
}

/* Address and entry tags instead of ELF; the choice between both headers. */
static void test_multiboot2_addresses(void **state)
{
    uint32_t h = (uint32_t)offsetof(struct elf_file, extra), code = (uint32_t)offsetof(struct elf_file, code);
    const uint32_t tags[] = { 2, 24, 0x300000 + h, 0xFFFFFFFF, 0, 0x310000, 3, 12, 0x300000 + code, 0 };
    struct elf_file f = elf_file(0x200000, 0x200000, 0x200000);
    struct svmemu *m = new_machine(16);
    (void)state;
    multiboot2(&f, tags, 10);
    load(m, &f, sizeof(f), NULL);
    assert_int_equal(reg(m, "rip"), 0x300000 + code);
    bytes_at(m, 0x300000 + code, 0xFA, 1);
    uint32_t no_entry[10] = { 0 };
    memcpy(no_entry, tags, 24);
    multiboot2(&f, no_entry, 6);
    refused(&f, sizeof(f), NULL, SVMEMU_FORMAT, "no entry address tag");
    f = elf_file(0x200000, 0x200000, 0x200000);
    multiboot2(&f, NULL, 0);
    put(f.extra + 64, 4, 0x1BADB002); /* both: Multiboot 1, unless one is asked for */
    put(f.extra + 72, 4, 0u - 0x1BADB002);
    load(m, &f, sizeof(f), NULL);
    assert_int_equal(reg(m, "rax"), 0x2BADB002);
    load(m, &f, sizeof(f), &(struct svmemu_load){ .entry = SVMEMU_ENTRY_MULTIBOOT2 });
    assert_int_equal(reg(m, "rax"), 0x36D76289);
    load(m, &f, sizeof(f), &(struct svmemu_load){ .entry = SVMEMU_ENTRY_ELF });
    assert_int_equal(reg(m, "rax"), 0);
    refused(&f, sizeof(f), &(struct svmemu_load){ .entry = SVMEMU_ENTRY_PVH }, SVMEMU_FORMAT, "has no entry \"pvh\"");
    refused(&f, sizeof(f), &(struct svmemu_load){ .entry = SVMEMU_ENTRY_LINUX32 }, SVMEMU_FORMAT, "has no entry \"linux32\"");
    svmemu_destroy(m);
}

/* ---- Linux ---- */
static void linux_params(struct svmemu *m, uint8_t *p)
{
    assert_int_equal(svmemu_mem_read(m, reg(m, "rsi"), p, 4096), SVMEMU_OK);
}

static void test_linux_flat(void **state)
{
    static const enum svmemu_entry entries[] = { SVMEMU_ENTRY_AUTO, SVMEMU_ENTRY_LINUX64, SVMEMU_ENTRY_LINUX32 };
    static const uint8_t seed[] = { 1, 2, 3 };
    const struct svmemu_setup_data data[] = { { 9, seed, 3 }, { 0x1234, NULL, 0 } };
    uint8_t image[BZ_SIZE], p[4096], sd[19], next[16];
    struct svmemu_stop stop;
    struct modules w;
    (void)state;
    modules_new(&w);
    w.list[0].args = NULL;
    bzimage_file(image);
    for (unsigned i = 0; i < 3; i++) {
        struct svmemu *m = new_machine(16);
        bool is64 = entries[i] != SVMEMU_ENTRY_LINUX32;
        load(m, image, sizeof(image), &(struct svmemu_load){ .cmdline = "console=ttyS0", .modules = w.list, .module_count = 2,
             .entry = entries[i], .setup_data = data, .setup_data_count = 2 });
        assert_int_equal(reg(m, "rip"), is64 ? 0x400200 : 0x400000); /* pref_address */
        assert_int_equal(reg(m, "cs.sel"), 0x10);
        assert_int_equal(reg(m, "ds.sel"), 0x18);
        assert_int_equal(reg(m, "ss.sel"), 0x18);
        assert_int_equal(reg(m, "rflags") & 0x200, 0);
        assert_int_equal(reg(m, "efer") >> 10 & 1, is64);
        assert_int_equal(reg(m, "cr0") >> 31 & 1, is64);
        assert_int_equal(reg(m, "rbp") | reg(m, "rdi") | reg(m, "rbx"), 0);
        linux_params(m, p);
        assert_memory_equal(p + 0x202, "HdrS", 4);
        assert_int_equal(p[0x1EF], 0); /* sentinel */
        assert_int_equal(p[0x210], 0xFF);
        assert_int_equal(p[0x211] & 0x81, 1); /* high, no heap */
        text_at(m, get(p + 0x228, 4), "console=ttyS0");
        assert_int_equal(get(p + 0x70, 8), 0xE0000); /* RSDP */
        check_map(p + 0x2D0, p[0x1E8], 20);
        /* both modules, the second from a multiple of four, at the top of memory */
        uint64_t rd = get(p + 0x218, 4), rd_len = get(p + 0x21C, 4);
        assert_int_equal(rd_len, 5004 + 4096);
        assert_true(!(rd & 4095) && rd + rd_len <= 16 * MIB && rd + rd_len + 4096 > 16 * MIB);
        bytes_at(m, rd, 'a', 5001);
        bytes_at(m, rd + 5001, 0, 3);
        bytes_at(m, rd + 5004, 'b', 4096);
        assert_int_equal(svmemu_mem_read(m, get(p + 0x250, 8), sd, sizeof(sd)), SVMEMU_OK);
        assert_int_equal(get(sd + 8, 4), 9);
        assert_int_equal(get(sd + 12, 4), 3);
        assert_memory_equal(sd + 16, seed, 3);
        assert_int_equal(svmemu_mem_read(m, get(sd, 8), next, sizeof(next)), SVMEMU_OK);
        assert_int_equal(get(next, 8), 0);
        assert_int_equal(get(next + 8, 8), 0x1234);
        assert_int_equal(svmemu_run(m, 10, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK); /* the entry's HLT */
        assert_int_equal(stop.reason, SVMEMU_STOP_HALTED);
        assert_int_equal(stop.insns, 1);
        svmemu_destroy(m);
    }
    modules_free(&w);
}

/* The file's own setup code: registers of the 16-bit protocol, the fields it reads from its segment, the code at 1 MiB. */
static void test_linux_real(void **state)
{
    uint8_t image[BZ_SIZE], h[0x300];
    struct svmemu *m = new_machine(16);
    (void)state;
    bzimage_file(image);
    load(m, image, sizeof(image), &(struct svmemu_load){ .cmdline = "quiet", .entry = SVMEMU_ENTRY_LINUX16 });
    uint64_t base = reg(m, "ds.base");
    assert_int_equal(reg(m, "cr0") & 1, 0);
    assert_int_equal(reg(m, "cs.sel"), reg(m, "ds.sel") + 0x20);
    assert_int_equal(reg(m, "cs.base"), base + 0x200);
    assert_int_equal(reg(m, "rip"), 0);
    assert_true(reg(m, "es.sel") == reg(m, "ds.sel") && reg(m, "ss.sel") == reg(m, "ds.sel") && reg(m, "fs.sel") == reg(m, "ds.sel"));
    assert_int_equal(svmemu_mem_read(m, base, h, sizeof(h)), SVMEMU_OK);
    assert_int_equal(h[0x211] & 0x81, 0x81); /* loaded high, can use heap */
    assert_int_equal(get(h + 0x224, 2), reg(m, "rsp") - 0x200);
    assert_true(get(h + 0x224, 2) >= 1024);
    assert_int_equal(get(h + 0x214, 4), 0x100000);
    text_at(m, get(h + 0x228, 4), "quiet");
    bytes_at(m, 0x100000, 0xF4, 1);
    svmemu_destroy(m);
}

/* INT 15h as setup code uses it: all E820h entries into 2000h:0, then E801h and 88h. */
static void test_bios_memory(void **state)
{
    static const uint8_t code[] = {
        0x68, 0x00, 0x20, 0x07,             /* push 2000h; pop es */
        0x31, 0xFF,                         /* xor di, di */
        0x66, 0x31, 0xDB,                   /* xor ebx, ebx */
        0x66, 0xB8, 0x20, 0xE8, 0xFF, 0x00, /* next: mov eax, FFE820h (only AX counts) */
        0x66, 0xBA, 0x50, 0x41, 0x4D, 0x53, /* mov edx, "SMAP" */
        0x66, 0xB9, 0x18, 0x00, 0x00, 0x00, /* mov ecx, 24 */
        0xF9,                               /* stc */
        0xCD, 0x15,                         /* int 15h */
        0x72, 0x08,                         /* jc end */
        0x83, 0xC7, 0x14,                   /* add di, 20 */
        0x66, 0x85, 0xDB,                   /* test ebx, ebx */
        0x75, 0xE1,                         /* jnz next */
        0xF4,                               /* end: hlt */
        0xB8, 0x01, 0xE8, 0xCD, 0x15, 0xF4, /* E801h; hlt */
        0xB8, 0x00, 0x88, 0xCD, 0x15, 0xF4, /* 88h; hlt */
        0xB8, 0x01, 0x24, 0xCD, 0x15, 0xF4, /* something else; hlt */
    };
    uint8_t image[BZ_SIZE], map[20 * 16];
    struct svmemu_stop stop;
    struct svmemu *m = new_machine(32);
    (void)state;
    bzimage_file(image);
    memcpy(image + BZ_REAL_ENTRY, code, sizeof(code));
    load(m, image, sizeof(image), &(struct svmemu_load){ .entry = SVMEMU_ENTRY_LINUX16 });
    assert_int_equal(svmemu_run(m, 2000, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
    assert_int_equal(stop.reason, SVMEMU_STOP_HALTED);
    assert_int_equal(reg(m, "rflags") & 1, 0);
    assert_int_equal(reg(m, "rbx"), 0);
    assert_int_equal(reg(m, "rax"), 0x534D4150);
    assert_int_equal(reg(m, "rcx"), 20);
    unsigned n = (unsigned)reg(m, "rdi") / 20;
    assert_true(n >= 3 && n <= 16);
    assert_int_equal(svmemu_mem_read(m, 0x20000, map, sizeof(map)), SVMEMU_OK);
    load(m, image, sizeof(image), &(struct svmemu_load){ .entry = SVMEMU_ENTRY_LINUX32 });
    uint8_t p[4096];
    linux_params(m, p);
    assert_int_equal(p[0x1E8], n); /* the same map as boot_params has */
    assert_memory_equal(p + 0x2D0, map, 20 * n);
    load(m, image, sizeof(image), &(struct svmemu_load){ .entry = SVMEMU_ENTRY_LINUX16 });
    for (unsigned call = 0; call < 4; call++) {
        assert_int_equal(svmemu_run(m, 2000, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
        if (call == 1) {
            assert_int_equal(reg(m, "rax") & 0xFFFF, 15 * 1024); /* KiB between 1 and 16 MiB */
            assert_int_equal(reg(m, "rbx") & 0xFFFF, 16 * 16);   /* 64-KiB blocks above */
            assert_int_equal(reg(m, "rcx") & 0xFFFF, 15 * 1024);
            assert_int_equal(reg(m, "rdx") & 0xFFFF, 16 * 16);
        } else if (call == 2) {
            assert_int_equal(reg(m, "rax") & 0xFFFF, 31 * 1024);
        }
        assert_int_equal(reg(m, "rflags") & 1, call == 3);
        assert_int_equal(svmemu_reg_write(m, 0, "activity", 0), SVMEMU_OK); /* past the HLT */
    }
    svmemu_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_virtual_entry), cmocka_unit_test(test_multiboot1_modules), cmocka_unit_test(test_multiboot2),
        cmocka_unit_test(test_multiboot2_relocatable), cmocka_unit_test(test_multiboot2_modules_below),
        cmocka_unit_test(test_multiboot2_addresses), cmocka_unit_test(test_linux_flat), cmocka_unit_test(test_linux_real),
        cmocka_unit_test(test_bios_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
