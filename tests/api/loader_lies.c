// SPDX-License-Identifier: MIT
/* Guest files that lie or are cut off: each field on its own gives a status and words that name what and where; and files of every kind
 * with random bytes changed, cut or grown end in some status with words, or run a few instructions, and never in a crash. */
#define _GNU_SOURCE 1 /* mkstemp */
#include "loader_files.h"

static void refused(const void *data, size_t len, const struct svmemu_load *o, enum svmemu_status want, const char *words)
{
    struct svmemu *m = new_machine(16);
    uint8_t *exact = malloc(len); /* so that a sanitizer sees every byte read behind it */
    assert_non_null(exact);
    memcpy(exact, data, len);
    enum svmemu_status got = svmemu_load_memory(m, "kernel", exact, len, o);
    if (got != want || !strstr(svmemu_last_error(m), words))
        fail_msg("wanted \"%s\" with \"%s\", got \"%s\": \"%s\"", svmemu_status_text(want), words, svmemu_status_text(got),
                 svmemu_last_error(m));
    free(exact);
    svmemu_destroy(m);
}

struct lie {
    unsigned at, width;
    uint64_t value;
    enum svmemu_status status;
    const char *words;
};

static const struct lie linux_lies[] = {
    { 0x206, 2, 0x201, SVMEMU_UNSUPPORTED, "boot protocol 2.01; 2.02 and later" },
    { 0x206, 2, 0x300, SVMEMU_UNSUPPORTED, "boot protocol 3.00" },
    { 0x201, 1, 0x10, SVMEMU_FORMAT, "setup header ends at 212h" },
    { 0x201, 1, 0xFF, SVMEMU_FORMAT, "setup header ends at 301h" },
    { 0x211, 1, 0, SVMEMU_UNSUPPORTED, "a zImage" },
    { 0x1F1, 1, 0, SVMEMU_FORMAT, "setup code of 2560 bytes takes all of the file" },
    { 0x1F1, 1, 200, SVMEMU_FORMAT, "setup code of 102912 bytes" },
    { 0x1F4, 4, BZ_CODE / 16 + 1, SVMEMU_FORMAT, "says 1040 bytes of kernel, the file has 1024" },
    { 0x1F4, 4, 0xFFFFFFFF, SVMEMU_FORMAT, "it was cut off" },
    { 0x214, 4, 0, SVMEMU_OK, "" },                                    /* relocatable: does not matter */
    { 0x230, 4, 0, SVMEMU_FORMAT, "alignment 0h" },
    { 0x230, 4, 0x300000, SVMEMU_FORMAT, "alignment 300000h" },
    { 0x258, 8, 0x410000, SVMEMU_FORMAT, "does not fit its address 410000h" },
    { 0x258, 8, 0xFFFFFFFFFFE00000, SVMEMU_FORMAT, "to run at FFFFFFFFFFE00000h" },
    { 0x258, 8, 0x100000000, SVMEMU_FORMAT, "to run at 100000000h" },
    { 0x258, 8, 0x1000000, SVMEMU_TOO_LARGE, "needs memory up to 1100000h" },
    { 0x260, 4, 0xFFFFFFFF, SVMEMU_TOO_LARGE, "needs memory up to 1003FFFFFh" },
    { 0x260, 4, 0, SVMEMU_OK, "" },
    { 0x22C, 4, 0x100000, SVMEMU_TOO_LARGE, "does not fit between the kernel's end 500000h and 100001h" },
    { 0x22C, 4, 0, SVMEMU_TOO_LARGE, "the initrd" },
    { 0x238, 4, 4, SVMEMU_TOO_LARGE, "the command line has 5 characters; this kernel takes 4" },
    { 0x238, 4, 5, SVMEMU_OK, "" },
    { 0x250, 8, ~0ull, SVMEMU_OK, "" },                                /* setup_data is ours to fill in */
    { 0x24C, 4, 0xFFFFFFF0, SVMEMU_FORMAT, "beyond the end of the file" }, /* a payload is looked for when no entry is chosen */
};

static void test_linux_header(void **state)
{
    char initrd[] = "/tmp/svmemu_rd_XXXXXX";
    uint8_t image[BZ_SIZE];
    const struct svmemu_module mod = { .path = initrd };
    const struct svmemu_load o = { .cmdline = "quiet", .modules = &mod, .module_count = 1 };
    (void)state;
    temp_file(initrd, 'i', 1000);
    for (unsigned i = 0; i < sizeof(linux_lies) / sizeof(linux_lies[0]); i++) {
        const struct lie *t = &linux_lies[i];
        bzimage_file(image);
        put(image + t->at, t->width, t->value);
        refused(image, sizeof(image), &o, t->status, t->words);
    }
    bzimage_file(image);
    image[0x234] = 0; /* not relocatable: code32_start counts */
    put(image + 0x214, 4, 0x90000);
    refused(image, sizeof(image), &o, SVMEMU_FORMAT, "wants to be loaded at 90000h");
    put(image + 0x214, 4, 0xFFFFF000);
    refused(image, sizeof(image), &o, SVMEMU_TOO_LARGE, "at FFFFF000h needs memory");
    bzimage_file(image);
    put(image + 0x236, 2, 0);
    refused(image, sizeof(image), &(struct svmemu_load){ .entry = SVMEMU_ENTRY_LINUX64 }, SVMEMU_UNSUPPORTED, "no 64-bit entry");
    refused(image, sizeof(image), &(struct svmemu_load){ .entry = SVMEMU_ENTRY_MULTIBOOT2 }, SVMEMU_FORMAT, "no entry \"multiboot2\"");
    bzimage_file(image);
    put(image + 0x1F4, 4, 0);
    refused(image, BZ_SETUP + 0x200, &(struct svmemu_load){ .entry = SVMEMU_ENTRY_LINUX64 }, SVMEMU_UNSUPPORTED, "no 64-bit entry");
    refused(image, BZ_SETUP, NULL, SVMEMU_FORMAT, "takes all of the file");
    bzimage_file(image);
    for (size_t n = 0x250; n < BZ_SIZE - 15; n += 13) /* cut anywhere */
        refused(image, n, &o, SVMEMU_FORMAT, "kernel: ");
    unlink(initrd);
}

static void test_linux_options(void **state)
{
    char initrd[] = "/tmp/svmemu_rd_XXXXXX";
    uint8_t image[BZ_SIZE], big[30000] = { 0 };
    struct svmemu_module mod[2] = { { .path = initrd }, { .path = initrd } };
    struct svmemu_setup_data sd[2] = { { 1, big, sizeof(big) }, { 1, big, sizeof(big) } };
    (void)state;
    bzimage_file(image);
    temp_file(initrd, 'i', 11 * MIB);
    struct svmemu_load o = { .modules = mod, .module_count = 1 };
    refused(image, sizeof(image), &o, SVMEMU_OK, "");
    o.module_count = 2; /* together more than there is room */
    refused(image, sizeof(image), &o, SVMEMU_TOO_LARGE, "of 23068672 bytes does not fit between");
    mod[1].args = "x";
    refused(image, sizeof(image), &o, SVMEMU_ARGUMENT, "an initrd takes no arguments");
    mod[1].path = "/nonexistent/initrd";
    mod[1].args = NULL;
    refused(image, sizeof(image), &o, SVMEMU_FILE, "/nonexistent/initrd");
    o = (struct svmemu_load){ .setup_data = sd, .setup_data_count = 1 };
    refused(image, sizeof(image), &o, SVMEMU_OK, "");
    o.setup_data_count = 2;
    refused(image, sizeof(image), &o, SVMEMU_TOO_LARGE, "64 KiB");
    sd[0].len = ~(size_t)0 - 4;
    o.setup_data_count = 1;
    refused(image, sizeof(image), &o, SVMEMU_TOO_LARGE, "setup data 0 of");
    sd[0].data = NULL;
    refused(image, sizeof(image), &o, SVMEMU_ARGUMENT, "setup data 0 has no data");
    o.setup_data = NULL;
    refused(image, sizeof(image), &o, SVMEMU_ARGUMENT, "no setup data");
    sd[0] = (struct svmemu_setup_data){ 9, big, 8 };
    o = (struct svmemu_load){ .setup_data = sd, .setup_data_count = 1 };
    put(image + 0x206, 2, 0x208);
    refused(image, sizeof(image), &o, SVMEMU_UNSUPPORTED, "2.08 has no setup data");
    o.entry = SVMEMU_ENTRY_PVH;
    refused(image, sizeof(image), &o, SVMEMU_ARGUMENT, "PVH has no setup data");
    struct elf_file f = elf_file(0x200000, 0x200000, 0x200000);
    o.entry = SVMEMU_ENTRY_AUTO;
    refused(&f, sizeof(f), &o, SVMEMU_ARGUMENT, "setup data");
    o = (struct svmemu_load){ .entry = (enum svmemu_entry)77 };
    refused(&f, sizeof(f), &o, SVMEMU_ARGUMENT, "entry 77");
    unlink(initrd);
}

/* What is an ELF and loads, but has nowhere to begin. */
static void test_shared_library(void **state)
{
    (void)state;
    struct elf_file f = elf_file(0, 0, 0);
    f.eh.e_type = ET_DYN;
    refused(&f, sizeof(f), NULL, SVMEMU_FORMAT, "a shared library: it has no entry point");
    f.eh.e_type = ET_EXEC; /* linked to address 0, where the code is */
    refused(&f, sizeof(f), NULL, SVMEMU_OK, "");
    f = elf_file(0x200000, 0x200000, 0x200000);
    f.eh.e_type = ET_DYN; /* a position-independent executable */
    refused(&f, sizeof(f), NULL, SVMEMU_OK, "");
}

static const struct lie mb2_lies[] = { /* over a header with one tag, { 4, 12, 2 } at 16 */
    { 4, 4, 4, SVMEMU_UNSUPPORTED, "architecture 4" },
    { 8, 4, 16, SVMEMU_FORMAT, "says that it has 16 bytes" },
    { 8, 4, 0xFFFFFFF8, SVMEMU_FORMAT, "says that it has 4294967288 bytes" },
    { 8, 4, 32, SVMEMU_FORMAT, "has no end tag" },
    { 20, 4, 7, SVMEMU_FORMAT, "tag 4 at byte 16 has 7 bytes" },
    { 20, 4, 0xFFFFFFFF, SVMEMU_FORMAT, "tag 4 at byte 16 has 4294967295 bytes" },
    { 16, 4, 99, SVMEMU_UNSUPPORTED, "requires tag 99" },
    { 16, 4, 99 | 1 << 16, SVMEMU_OK, "" },                            /* optional */
    { 16, 4, 1, SVMEMU_OK, "" },                                       /* a request for type 2 */
    { 24, 4, 8, SVMEMU_OK, "" },
    { 16, 4, 2, SVMEMU_FORMAT, "tag 2 has 12 bytes; 24 are needed" },
    { 16, 4, 10, SVMEMU_FORMAT, "tag 10 has 12 bytes; 24 are needed" },
    { 16, 4, 3, SVMEMU_FORMAT, "entry 2h is outside of what was loaded" },
};

static void mb2_resum(struct elf_file *f)
{
    put(f->extra + 12, 4, 0u - (uint32_t)get(f->extra, 4) - (uint32_t)get(f->extra + 4, 4) - (uint32_t)get(f->extra + 8, 4));
}

static void test_multiboot2(void **state)
{
    static const uint32_t tag[] = { 4, 12, 2, 0 }, request[] = { 1, 12, 8, 0 };
    struct elf_file f;
    char *args = malloc(40000);
    (void)state;
    assert_non_null(args);
    for (unsigned i = 0; i < sizeof(mb2_lies) / sizeof(mb2_lies[0]); i++) {
        const struct lie *t = &mb2_lies[i];
        f = elf_file(0x200000, 0x200000, 0x200000);
        multiboot2(&f, tag, 4);
        put(f.extra + t->at, t->width, t->value);
        mb2_resum(&f);
        refused(&f, sizeof(f), NULL, t->status, t->words);
    }
    f = elf_file(0x200000, 0x200000, 0x200000);
    multiboot2(&f, request, 4);
    refused(&f, sizeof(f), NULL, SVMEMU_UNSUPPORTED, "requires Multiboot 2 information of type 8");
    multiboot2(&f, tag, 4);
    refused(&f, offsetof(struct elf_file, extra) + 20, NULL, SVMEMU_FORMAT, "says that it has 40 bytes");
    f.ph.p_paddr = 0x70000;
    refused(&f, sizeof(f), NULL, SVMEMU_OVERLAP, "loader's area 70000h-88000h; link it at 100000h");
    f.ph.p_paddr = 0xE0000;
    refused(&f, sizeof(f), NULL, SVMEMU_OVERLAP, "firmware memory");
    f = elf_file(0x200000, 0x200000, 0x200000);
    multiboot2(&f, tag, 4);
    memset(args, 'a', 39999);
    args[39999] = 0;
    refused(&f, sizeof(f), &(struct svmemu_load){ .cmdline = args }, SVMEMU_TOO_LARGE, "shorten them");
    free(args);
}

/* Files with changes at random. The seed is fixed; a failing case is found again by running the test. */
static uint32_t rnd(uint32_t *s)
{
    *s = *s * 1664525 + 1013904223;
    return *s >> 8;
}

static size_t sample(unsigned kind, uint8_t *out)
{
    static const uint32_t reloc[] = { 10, 24, 0x300000, 0xFFFFFF, 0x1000, 2, 1, 12, 6, 0 };
    struct elf_file f = elf_file(0x200000, 0xC0200000, 0xC0200000);
    if (kind >= 3) {
        bzimage_file(out);
        return BZ_SIZE;
    }
    if (kind == 0)
        multiboot1(&f, 3);
    else if (kind == 1)
        multiboot2(&f, reloc, 10);
    memcpy(out, &f, sizeof(f));
    return sizeof(f);
}

static void change(uint32_t *s, unsigned kind, uint8_t *b, size_t *len)
{
    static const uint32_t extremes[] = { 0, 1, 7, 8, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFF000, 0x100000,
                                         0x70000, 0xA0000, 0x1000000 };
    size_t first = kind >= 3 ? 0x1F0 : 0, span = kind >= 3 ? 0x80 : sizeof(struct elf_file);
    for (unsigned n = 1 + rnd(s) % 4; n; n--) {
        size_t at = first + rnd(s) % span;
        if (rnd(s) & 1)
            b[at] = (uint8_t)rnd(s);
        else
            put(b + (at & ~(size_t)3), 4, extremes[rnd(s) % (sizeof(extremes) / sizeof(extremes[0]))]);
    }
    if (rnd(s) % 4 == 0)
        *len = rnd(s) % (*len + 1);
    if (kind == 1 && *len == sizeof(struct elf_file)) { /* keep it a Multiboot 2 file */
        put(b + offsetof(struct elf_file, extra), 4, 0xE85250D6);
        mb2_resum((struct elf_file *)(void *)b);
    }
}

static void test_random(void **state)
{
    enum { CASES = 6000 };
    _Alignas(8) uint8_t image[BZ_SIZE];
    char initrd[] = "/tmp/svmemu_rd_XXXXXX";
    const struct svmemu_module mod = { .path = initrd };
    struct svmemu *m = new_machine(16);
    uint32_t s = 20231;
    unsigned started = 0, words = 0;
    (void)state;
    temp_file(initrd, 'i', 1000);
    for (unsigned i = 0; i < CASES; i++) {
        unsigned kind = i % 6; /* Multiboot, Multiboot 2, ELF, and bzImage by each entry */
        const struct svmemu_load o = { .cmdline = "quiet", .modules = &mod, .module_count = kind != 2,
            .entry = kind < 3 ? SVMEMU_ENTRY_AUTO : (enum svmemu_entry)(SVMEMU_ENTRY_LINUX64 + kind - 3) };
        size_t len = sample(kind, image);
        change(&s, kind, image, &len);
        uint8_t *exact = malloc(len ? len : 1);
        assert_non_null(exact);
        memcpy(exact, image, len);
        struct svmemu_stop stop;
        svmemu_reset(m);
        if (svmemu_load_memory(m, "kernel", exact, len, &o) != SVMEMU_OK) {
            assert_non_null(strstr(svmemu_last_error(m), "kernel: "));
            words++;
        } else {
            assert_int_equal(svmemu_run(m, 20, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
            started++;
        }
        free(exact);
    }
    print_message("%u started, %u refused\n", started, words);
    assert_int_equal(started + words, CASES);
    assert_true(started > CASES / 10 && words > CASES / 10);
    unlink(initrd);
    svmemu_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linux_header), cmocka_unit_test(test_linux_options), cmocka_unit_test(test_multiboot2),
        cmocka_unit_test(test_shared_library), cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
