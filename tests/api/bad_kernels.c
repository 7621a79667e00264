// SPDX-License-Identifier: MIT
/* Kernels that lie: bzImage headers, PVH notes, compressed payloads, Multiboot addresses, modules. Each is refused with its status and
 * words that say what is wrong; every way of cutting or flipping bytes ends in some status, never in a crash. */
#define _GNU_SOURCE 1 /* mkstemp, ftruncate */
#include <svmemu/svmemu.h>

#include <elf.h>
#include <lz4.h>
#include <lzma.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <cmocka.h>

enum { RAM = 16 << 20, BASE = 0x200000, SETUP = 512 * 5, IMAGE_MAX = 1 << 16 };

static struct svmemu *machine(void)
{
    struct svmemu_config cfg = { .memory = RAM, .flags = SVMEMU_PC };
    struct svmemu *m;
    assert_int_equal(svmemu_create(&cfg, &m), SVMEMU_OK);
    return m;
}

static void try(const void *data, size_t len, const struct svmemu_load *load, enum svmemu_status want, const char *words)
{
    struct svmemu *m = machine();
    enum svmemu_status got = svmemu_load_memory(m, "test.img", data, len, load);
    if (got != want || (words && !strstr(svmemu_last_error(m), words)))
        fail_msg("wanted \"%s\" with \"%s\", got \"%s\": \"%s\"", svmemu_status_text(want), words ? words : "",
                 svmemu_status_text(got), svmemu_last_error(m));
    svmemu_destroy(m);
}

/* Any status will do, but a failure has words. */
static void survives(struct svmemu *m, const void *data, size_t len)
{
    if (svmemu_load_memory(m, "test.img", data, len, NULL) != SVMEMU_OK)
        assert_true(svmemu_last_error(m)[0] != 0);
}

/* A PVH kernel: CLI, HLT and Xen's note. */
struct kernel {
    Elf64_Ehdr eh;
    Elf64_Phdr ph[2];
    struct {
        uint32_t namesz, descsz, type;
        char name[4];
        uint64_t entry;
    } note;
    uint8_t code[16];
    uint8_t filler[8192];
};

static void kernel(struct kernel *k)
{
    uint32_t s = 12345;
    memset(k, 0, sizeof(*k));
    memcpy(k->eh.e_ident, ELFMAG, SELFMAG);
    k->eh.e_ident[EI_CLASS] = ELFCLASS64;
    k->eh.e_ident[EI_DATA] = ELFDATA2LSB;
    k->eh.e_ident[EI_VERSION] = EV_CURRENT;
    k->eh.e_type = ET_EXEC;
    k->eh.e_machine = EM_X86_64;
    k->eh.e_version = EV_CURRENT;
    k->eh.e_entry = BASE;
    k->eh.e_phoff = sizeof(k->eh);
    k->eh.e_ehsize = sizeof(k->eh);
    k->eh.e_phentsize = sizeof(k->ph[0]);
    k->eh.e_phnum = 2;
    k->ph[0] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_offset = offsetof(struct kernel, code), .p_paddr = BASE, .p_filesz = 16, .p_memsz = 4096 };
    k->ph[1] = (Elf64_Phdr){ .p_type = PT_NOTE, .p_offset = offsetof(struct kernel, note), .p_filesz = sizeof(k->note), .p_align = 4 };
    k->note.namesz = 4;
    k->note.descsz = 8;
    k->note.type = 18;
    memcpy(k->note.name, "Xen", 4);
    k->note.entry = BASE;
    k->code[0] = 0xFA;
    k->code[1] = 0xF4;
    for (unsigned i = 0; i < sizeof(k->filler); i++) { /* half of it does not compress */
        s = s * 1664525 + 1013904223;
        k->filler[i] = i & 1 ? 0 : (uint8_t)(s >> 24);
    }
}

enum method { GZIP, XZ, LZ4, ZSTD, METHODS };
static const char *const method_name[METHODS] = { "gzip", "xz", "LZ4", "zstd" };

static void put32(uint8_t *p, uint64_t v)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

/* Compresses as Linux does: all but gzip, which has it already, end in the unpacked size. */
static size_t pack(enum method how, const void *in, size_t len, uint8_t *out, size_t room)
{
    size_t n = 0;
    if (how == GZIP) {
        z_stream z = { 0 };
        assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
        z.next_in = (Bytef *)(uintptr_t)in;
        z.avail_in = (uInt)len;
        z.next_out = out;
        z.avail_out = (uInt)room;
        assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
        n = room - z.avail_out;
        deflateEnd(&z);
        return n;
    }
    if (how == XZ) {
        assert_int_equal(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC32, NULL, in, len, out, &n, room - 4), LZMA_OK);
    } else if (how == LZ4) {
        int got = LZ4_compress_default(in, (char *)out + 8, (int)len, (int)room - 12);
        assert_true(got > 0);
        put32(out, 0x184C2102);
        put32(out + 4, (uint64_t)got);
        n = 8 + (size_t)got;
    } else {
        n = ZSTD_compress(out, room - 4, in, len, 1);
        assert_false(ZSTD_isError(n));
    }
    put32(out + n, len);
    return n + 4;
}

/* A bzImage of boot protocol 2.15 around a payload; returns its size. */
static size_t bzimage(uint8_t *out, const void *payload, size_t len)
{
    memset(out, 0, SETUP);
    out[0x1F1] = SETUP / 512 - 1;
    out[0x1FE] = 0x55;
    out[0x1FF] = 0xAA;
    memcpy(out + 0x202, "HdrS", 4);
    out[0x206] = 15;
    out[0x207] = 2;
    put32(out + 0x248, 16);
    put32(out + 0x24C, len);
    memset(out + SETUP, 0xCC, 16);
    memcpy(out + SETUP + 16, payload, len);
    return SETUP + 16 + len;
}

struct work {
    struct kernel k;
    uint8_t packed[IMAGE_MAX / 2], image[IMAGE_MAX];
    size_t packed_len, len;
};

static void build(struct work *w, enum method how)
{
    kernel(&w->k);
    w->packed_len = pack(how, &w->k, sizeof(w->k), w->packed, sizeof(w->packed));
    w->len = bzimage(w->image, w->packed, w->packed_len);
}

/* The input in a block of just its size, so that a sanitizer sees every byte read behind it. */
static void survives_exactly(struct svmemu *m, const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, data, len);
    survives(m, copy, len);
    free(copy);
}

static void test_good(void **state)
{
    struct work *w = *state;
    struct svmemu_stop stop;
    for (enum method how = 0; how < METHODS; how++) {
        build(w, how);
        for (int whole = 0; whole < 2; whole++) {
            struct svmemu *m = machine();
            enum svmemu_status s = svmemu_load_memory(m, "test.img", whole ? w->image : w->packed, whole ? w->len : w->packed_len, NULL);
            if (s != SVMEMU_OK)
                fail_msg("%s: %s", method_name[how], svmemu_last_error(m));
            assert_int_equal(svmemu_run(m, 1000, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
            assert_int_equal(stop.reason, SVMEMU_STOP_HALTED);
            assert_int_equal(stop.insns, 2);
            svmemu_destroy(m);
        }
    }
}

static void test_bzimage(void **state)
{
    struct work *w = *state;
    static const struct svmemu_load pvh = { .entry = SVMEMU_ENTRY_PVH };
    build(w, GZIP);
    try(w->image, w->len - 1, &pvh, SVMEMU_FORMAT, "beyond the end of the file");
    try(w->image, 0x250, &pvh, SVMEMU_FORMAT, "beyond the end of the file");
    try(w->image, 0x24F, NULL, SVMEMU_FORMAT, "neither ELF");
    put32(w->image + 0x248, 0xFFFFFFF0);
    try(w->image, w->len, &pvh, SVMEMU_FORMAT, "beyond the end of the file");
    build(w, GZIP);
    put32(w->image + 0x24C, 0xFFFFFFFF);
    try(w->image, w->len, &pvh, SVMEMU_FORMAT, "beyond the end of the file");
    put32(w->image + 0x24C, 0);
    try(w->image, w->len, &pvh, SVMEMU_FORMAT, "is empty or");
    put32(w->image + 0x24C, 3);
    try(w->image, w->len, &pvh, SVMEMU_UNSUPPORTED, "unknown way");
    build(w, GZIP);
    w->image[0x1F1] = 255;
    try(w->image, w->len, &pvh, SVMEMU_FORMAT, "beyond the end of the file");
    build(w, GZIP);
    w->image[0x206] = 7;
    try(w->image, w->len, &pvh, SVMEMU_UNSUPPORTED, "2.07");
    build(w, GZIP);
    w->image[SETUP + 16] = 0;
    try(w->image, w->len, &pvh, SVMEMU_UNSUPPORTED, "unknown way");
    /* unpacks to something else than a kernel */
    w->packed_len = pack(GZIP, "not a kernel, but long enough to be looked at", 45, w->packed, sizeof(w->packed));
    w->len = bzimage(w->image, w->packed, w->packed_len);
    try(w->image, w->len, &pvh, SVMEMU_FORMAT, "neither ELF");
    w->packed_len = pack(GZIP, "", 0, w->packed, sizeof(w->packed));
    w->len = bzimage(w->image, w->packed, w->packed_len);
    try(w->image, w->len, &pvh, SVMEMU_FORMAT, "too short");
}

static void test_payload(void **state)
{
    struct work *w = *state;
    for (enum method how = 0; how < METHODS; how++) {
        build(w, how);
        for (size_t cut = 1; cut < w->packed_len; cut += cut < 16 ? 1 : 97) { /* the header agrees with what is left */
            w->len = bzimage(w->image, w->packed, w->packed_len - cut);
            struct svmemu *m = machine();
            enum svmemu_status s = svmemu_load_memory(m, "test.img", w->image, w->len, NULL);
            if (s != SVMEMU_FORMAT && s != SVMEMU_UNSUPPORTED)
                fail_msg("%s cut by %zu bytes: %s", method_name[how], cut, svmemu_last_error(m));
            svmemu_destroy(m);
        }
        w->len = bzimage(w->image, w->packed, w->packed_len - w->packed_len / 2);
        try(w->image, w->len, NULL, SVMEMU_FORMAT, method_name[how]);
        for (int by = -1; by < 2; by += 2) { /* a size that lies */
            build(w, how);
            put32(w->image + w->len - 4, sizeof(w->k) + (uint64_t)by);
            try(w->image, w->len, NULL, SVMEMU_FORMAT, how == GZIP || how == LZ4 ? method_name[how] : "says that it unpacks to");
        }
        build(w, how);
        if (how == LZ4) { /* blocks of impossible length */
            static const uint32_t lengths[] = { 0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF };
            for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
                put32(w->image + SETUP + 16 + 4, lengths[i]);
                try(w->image, w->len, NULL, SVMEMU_FORMAT, "LZ4");
            }
        }
    }
}

/* Every byte of a small bzImage's header and compressed data flipped, every length. */
static void test_flips(void **state)
{
    struct work *w = *state;
    struct svmemu *m = machine();
    for (enum method how = 0; how < METHODS; how++) {
        build(w, how);
        size_t p = SETUP + 16;
        for (size_t i = 0x1F0; i < w->len; i += i >= p + 40 && i + 24 < w->len ? 211 : i == 0x250 ? p - i : 1) {
            w->image[i] ^= 0xFF;
            survives_exactly(m, w->image, w->len);
            w->image[i] ^= 0xFF;
        }
        for (size_t n = 0; n < w->packed_len; n += n < 32 ? 1 : 301)
            survives_exactly(m, w->packed, n);
    }
    kernel(&w->k);
    size_t head = offsetof(struct kernel, filler);
    for (size_t i = 0; i < head; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            ((uint8_t *)&w->k)[i] ^= (uint8_t)(1u << bit);
            survives_exactly(m, (uint8_t *)&w->k, head);
            ((uint8_t *)&w->k)[i] ^= (uint8_t)(1u << bit);
        }
    svmemu_destroy(m);
}

static void test_note(void **state)
{
    struct work *w = *state;
    struct kernel *k = &w->k;
    static const struct svmemu_module module = { .path = "/dev/null" };
    const struct svmemu_load load = { .modules = &module, .module_count = 1 };
    kernel(k);
    k->note.entry = 1ull << 32;
    try(k, sizeof(*k), NULL, SVMEMU_FORMAT, "not below 4 GiB");
    k->note.entry = BASE - 1;
    try(k, sizeof(*k), NULL, SVMEMU_FORMAT, "outside of what was loaded");
    k->note.entry = BASE + 4096;
    try(k, sizeof(*k), NULL, SVMEMU_FORMAT, "outside of what was loaded");
    kernel(k);
    k->ph[1].p_offset = ~0ull - 8;
    try(k, sizeof(*k), NULL, SVMEMU_FORMAT, "notes");
    kernel(k);
    k->ph[1].p_filesz = 1ull << 40;
    try(k, sizeof(*k), NULL, SVMEMU_FORMAT, "notes");
    kernel(k);
    k->ph[1].p_filesz = 18; /* cut within the entry */
    try(k, sizeof(*k), NULL, SVMEMU_FORMAT, "PVH note is broken");
    kernel(k);
    k->note.descsz = 0xFFFFFFFF;
    try(k, sizeof(*k), NULL, SVMEMU_FORMAT, "PVH note is broken");
    k->note.descsz = 2;
    try(k, sizeof(*k), NULL, SVMEMU_FORMAT, "PVH note is broken");
    kernel(k);
    k->note.namesz = 0xFFFFFFFF; /* somebody else's, and broken: not looked at; the file is a plain ELF */
    try(k, sizeof(*k), NULL, SVMEMU_OK, NULL);
    kernel(k);
    k->note.type = 1;
    try(k, sizeof(*k), &load, SVMEMU_FORMAT, "takes no modules");
    w->packed_len = pack(XZ, k, sizeof(*k), w->packed, sizeof(w->packed));
    w->len = bzimage(w->image, w->packed, w->packed_len);
    try(w->image, w->len, &(struct svmemu_load){ .entry = SVMEMU_ENTRY_PVH }, SVMEMU_UNSUPPORTED, "CONFIG_PVH");
}

/* A Multiboot kernel by addresses: header at the file's start, code behind. */
struct multiboot {
    uint32_t magic, flags, checksum, header, load, load_end, bss_end, entry;
    uint8_t code[32];
};

static struct multiboot multiboot(void)
{
    struct multiboot b = { .magic = 0x1BADB002, .flags = 1 << 16, .header = BASE, .load = BASE, .load_end = BASE + sizeof(b),
                           .bss_end = BASE + 4096, .entry = BASE + 32, .code = { 0xFA, 0xF4 } };
    b.checksum = 0u - b.magic - b.flags;
    return b;
}

static void test_multiboot(void **state)
{
    struct multiboot b = multiboot();
    (void)state;
    try(&b, sizeof(b), NULL, SVMEMU_OK, NULL);
    try(&b, 31, NULL, SVMEMU_FORMAT, "cut off");
    try(&b, sizeof(b) - 1, NULL, SVMEMU_FORMAT, "load end");
    b.load = BASE + 4;
    try(&b, sizeof(b), NULL, SVMEMU_FORMAT, "does not fit header address");
    b.load = BASE - 4; /* before the file's first byte */
    try(&b, sizeof(b), NULL, SVMEMU_FORMAT, "does not fit header address");
    b = multiboot();
    b.load_end = BASE - 1;
    try(&b, sizeof(b), NULL, SVMEMU_FORMAT, "load end");
    b.load_end = 0xFFFFFFFF;
    try(&b, sizeof(b), NULL, SVMEMU_FORMAT, "load end");
    b = multiboot();
    b.bss_end = 0xFFFFFFFF;
    try(&b, sizeof(b), NULL, SVMEMU_TOO_LARGE, "BSS");
    b = multiboot();
    b.header = b.load = 0xFFFFFFE0;
    b.load_end = b.bss_end = 0;
    try(&b, sizeof(b), NULL, SVMEMU_TOO_LARGE, "the kernel needs memory");
    b.header = b.load = RAM - 16;
    try(&b, sizeof(b), NULL, SVMEMU_TOO_LARGE, "16 MiB");
    b.header = b.load = 0x70000;
    try(&b, sizeof(b), NULL, SVMEMU_OVERLAP, "loader");
    b.header = b.load = 0x10000;
    b.bss_end = 0x71000; /* only its BSS reaches there */
    try(&b, sizeof(b), NULL, SVMEMU_OVERLAP, "loader");
    b.header = b.load = 0xE0000;
    try(&b, sizeof(b), NULL, SVMEMU_OVERLAP, "firmware");
    b = multiboot();
    b.entry = 0xC0100000;
    try(&b, sizeof(b), NULL, SVMEMU_FORMAT, "entry");
    b = multiboot();
    b.flags |= 8;
    b.checksum = 0u - b.magic - b.flags;
    try(&b, sizeof(b), NULL, SVMEMU_UNSUPPORTED, "unknown features");
    b.flags = 0;
    b.checksum = 0u - b.magic;
    try(&b, sizeof(b), NULL, SVMEMU_FORMAT, NULL); /* by its ELF header, which it does not have */
    b = multiboot();
    struct svmemu *m = machine();
    for (unsigned i = 0; i < sizeof(b); i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            ((uint8_t *)&b)[i] ^= (uint8_t)(1u << bit);
            survives_exactly(m, (uint8_t *)&b, sizeof(b));
            ((uint8_t *)&b)[i] ^= (uint8_t)(1u << bit);
        }
    svmemu_destroy(m);
}

/* Modules: missing, a directory, without a path, larger than memory (a sparse file), too many, long arguments. */
static void test_modules(void **state)
{
    struct work *w = *state;
    struct multiboot b = multiboot();
    char big[] = "/tmp/svmemu_module_XXXXXX";
    struct svmemu_module many[65], one = { .path = "/nonexistent/initrd" };
    struct svmemu_load load = { .modules = &one, .module_count = 1 };
    int fd = mkstemp(big);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, RAM + 4096), 0);
    close(fd);
    kernel(&w->k);
    const struct {
        const void *data;
        size_t len;
    } guest[] = { { &w->k, sizeof(w->k) }, { &b, sizeof(b) } };
    for (unsigned i = 0; i < 2; i++) {
        const void *data = guest[i].data;
        size_t len = guest[i].len;
        one = (struct svmemu_module){ .path = "/nonexistent/initrd" };
        load = (struct svmemu_load){ .modules = &one, .module_count = 1 };
        try(data, len, &load, SVMEMU_FILE, "/nonexistent/initrd: No such file");
        one.path = "/";
        try(data, len, &load, SVMEMU_FILE, "Is a directory");
        one.path = NULL;
        try(data, len, &load, SVMEMU_ARGUMENT, "module 0 has no path");
        load.modules = NULL;
        try(data, len, &load, SVMEMU_ARGUMENT, "no modules");
        load.modules = &one;
        one.path = big;
        try(data, len, &load, SVMEMU_TOO_LARGE, big);
        char *args = malloc(70000);
        assert_non_null(args);
        memset(args, 'a', 69999);
        args[69999] = 0;
        one = (struct svmemu_module){ .path = "/dev/null", .args = args };
        try(data, len, &load, SVMEMU_TOO_LARGE, "64 KiB");
        one.args = "x";
        try(data, len, &load, SVMEMU_OK, NULL);
        load = (struct svmemu_load){ .cmdline = args };
        try(data, len, &load, SVMEMU_TOO_LARGE, "command line");
        free(args);
        for (unsigned j = 0; j < 65; j++)
            many[j] = (struct svmemu_module){ .path = "/dev/null" };
        load = (struct svmemu_load){ .modules = many, .module_count = 65 };
        try(data, len, &load, SVMEMU_ARGUMENT, "at most 64");
        load.module_count = 64;
        try(data, len, &load, SVMEMU_OK, NULL);
    }
    unlink(big);
}

static int set_up(void **state)
{
    *state = malloc(sizeof(struct work));
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good), cmocka_unit_test(test_bzimage), cmocka_unit_test(test_payload), cmocka_unit_test(test_flips),
        cmocka_unit_test(test_note), cmocka_unit_test(test_multiboot), cmocka_unit_test(test_modules),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
