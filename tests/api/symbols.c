// SPDX-License-Identifier: MIT
/* Names of addresses: which symbol holds an address, the user's files before the guest's, and tables that lie. */
#define _GNU_SOURCE 1 /* mkstemp */
#include "loader_files.h"

enum { BASE = 0x200000, SYMS = 8 };

struct file {
    struct elf_file elf;
    Elf32_Sym sym[SYMS];
    char names[64];
    Elf32_Shdr sh[4]; /* null, text, symbols, names */
};

static Elf32_Sym sym(uint32_t name, uint32_t value, uint32_t size, unsigned bind, unsigned type, uint16_t section)
{
    return (Elf32_Sym){ .st_name = name, .st_value = value, .st_size = size, .st_info = (uint8_t)ELF32_ST_INFO(bind, type),
                        .st_shndx = section };
}

/* A guest of 3000h bytes at BASE; names at 1, 7, 13, ... of six bytes each. */
static void file_new(struct file *f)
{
    memset(f, 0, sizeof(*f));
    f->elf = elf_file(BASE, BASE, BASE);
    memcpy(f->names, "\0start\0funct\0local\0label\0other\0table\0absol", 43);
    f->sym[1] = sym(1, BASE, 0x10, STB_GLOBAL, STT_FUNC, 1);
    f->sym[2] = sym(7, BASE + 0x20, 0x40, STB_GLOBAL, STT_FUNC, 1);
    f->sym[3] = sym(13, BASE + 0x30, 0, STB_LOCAL, STT_NOTYPE, 1);    /* a label within funct: reaches to the next symbol */
    f->sym[4] = sym(19, BASE + 0x100, 0, STB_GLOBAL, STT_NOTYPE, 1);  /* no size: to the section's end */
    f->sym[5] = sym(25, BASE + 0x20, 0, STB_LOCAL, STT_NOTYPE, 1);    /* at a function's address: the function is shown */
    f->sym[6] = sym(31, 0, 0x1000, STB_GLOBAL, STT_OBJECT, SHN_UNDEF);
    f->sym[7] = sym(37, BASE + 0x800, 0x1000, STB_GLOBAL, STT_NOTYPE, SHN_ABS);
    f->sh[1] = (Elf32_Shdr){ .sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC, .sh_addr = BASE, .sh_size = 0x400 };
    f->sh[2] = (Elf32_Shdr){ .sh_type = SHT_SYMTAB, .sh_offset = offsetof(struct file, sym), .sh_size = sizeof(f->sym), .sh_link = 3,
                             .sh_entsize = sizeof(f->sym[0]), .sh_addralign = 4 };
    f->sh[3] = (Elf32_Shdr){ .sh_type = SHT_STRTAB, .sh_offset = offsetof(struct file, names), .sh_size = 43, .sh_addralign = 1 };
    f->elf.eh.e_shoff = offsetof(struct file, sh);
    f->elf.eh.e_shentsize = sizeof(f->sh[0]);
    f->elf.eh.e_shnum = 4;
}

static void named(struct svmemu *m, uint64_t at, const char *name, uint64_t offset)
{
    uint64_t off = 99;
    const char *got = svmemu_symbol(m, at, &off);
    if (!name ? got != NULL : !got || strcmp(got, name) != 0 || off != offset)
        fail_msg("%llx: wanted %s+%llx, got %s+%llx", (unsigned long long)at, name ? name : "nothing", (unsigned long long)offset,
                 got ? got : "nothing", (unsigned long long)off);
}

static void test_lookup(void **state)
{
    struct svmemu *m = new_machine(16);
    struct file f;
    (void)state;
    named(m, BASE, NULL, 0);
    file_new(&f);
    assert_int_equal(svmemu_load_memory(m, "kernel", &f, sizeof(f), NULL), SVMEMU_OK);
    named(m, BASE - 1, NULL, 0);
    named(m, BASE, "start", 0);
    named(m, BASE + 0xF, "start", 0xF);
    named(m, BASE + 0x10, NULL, 0);       /* behind start, before funct */
    named(m, BASE + 0x20, "funct", 0);
    named(m, BASE + 0x2F, "funct", 0xF);
    named(m, BASE + 0x30, "local", 0);
    named(m, BASE + 0x100, "label", 0);
    named(m, BASE + 0x3FF, "label", 0x2FF);
    named(m, BASE + 0x400, NULL, 0);      /* the section's end */
    named(m, BASE + 0x800, NULL, 0);      /* absolute */
    named(m, 0, NULL, 0);
    named(m, ~0ull, NULL, 0);
    assert_string_equal(svmemu_symbol(m, BASE, NULL), "start");
    f.elf.eh.e_shnum = 0;                 /* the next guest has none */
    f.elf.eh.e_shoff = 0;
    assert_int_equal(svmemu_load_memory(m, "kernel", &f, sizeof(f), NULL), SVMEMU_OK);
    named(m, BASE, NULL, 0);
    svmemu_destroy(m);
}

/* A Multiboot kernel whose header says where it goes, instead of its ELF header. */
static void test_by_addresses(void **state)
{
    struct svmemu *m = new_machine(16);
    struct file f;
    (void)state;
    file_new(&f);
    multiboot1(&f.elf, 1 << 16);
    const uint32_t header = BASE + offsetof(struct file, elf.extra), words[] = { header, BASE, 0, 0, BASE + offsetof(struct file, elf.code) };
    for (unsigned i = 0; i < 5; i++)
        put(f.elf.extra + 12 + 4 * i, 4, words[i]);
    assert_int_equal(svmemu_load_memory(m, "kernel", &f, sizeof(f), NULL), SVMEMU_OK);
    named(m, BASE + 0x20, "funct", 0);
    svmemu_destroy(m);
}

static void write_file(char *path, const void *data, size_t len)
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), (ssize_t)len);
    close(fd);
}

static void test_files(void **state)
{
    char path[] = "/tmp/svmemu_sym_XXXXXX", bad[] = "/tmp/svmemu_sym_XXXXXX";
    struct svmemu *m = new_machine(16);
    struct file f;
    (void)state;
    file_new(&f);
    assert_int_equal(svmemu_load_memory(m, "kernel", &f, sizeof(f), NULL), SVMEMU_OK);
    memcpy(f.names + 1, "START", 5);
    f.sym[4] = sym(25, BASE + 0x100, 0, STB_GLOBAL, STT_NOTYPE, SHN_UNDEF);
    f.sym[3].st_size = 4;                 /* else it would reach to the section's end */
    write_file(path, &f, sizeof(f));
    write_file(bad, "no ELF, but long enough for one", 31);
    assert_int_equal(svmemu_load_symbols(m, "/nonexistent"), SVMEMU_FILE);
    assert_int_equal(svmemu_load_symbols(m, bad), SVMEMU_FORMAT);
    assert_non_null(strstr(svmemu_last_error(m), "no ELF file with a symbol table"));
    named(m, BASE, "start", 0);
    assert_int_equal(svmemu_load_symbols(m, path), SVMEMU_OK);
    named(m, BASE, "START", 0);
    named(m, BASE + 0x100, "label", 0);   /* only the guest has it */
    svmemu_destroy(m);
    unlink(path);
    unlink(bad);
}

/* Section headers, symbols and names changed at random: the guest is loaded all the same or refused with words, and every address can be
 * asked for. */
static void test_random(void **state)
{
    static const uint32_t extremes[] = { 0, 1, 2, 3, 16, 43, 64, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF, BASE, BASE + 0x3FFF };
    struct svmemu *m = new_machine(16);
    struct file f;
    uint32_t s = 7;
    unsigned some = 0, none = 0;
    (void)state;
    for (unsigned i = 0; i < 4000; i++) {
        size_t first = offsetof(struct file, sym), len = sizeof(f);
        file_new(&f);
        for (unsigned n = 1 + i % 4; n; n--) {
            s = s * 1664525 + 1013904223;
            size_t at = n == 4 ? offsetof(Elf32_Ehdr, e_shoff) + (s >> 8) % 20 : first + (s >> 8) % (sizeof(f) - first);
            put((uint8_t *)&f + (at & ~(size_t)3), 4, s & 0x80 ? extremes[(s >> 4) % 13] : s >> 3);
        }
        if (i % 5 == 0)
            len = first + (s >> 8) % (sizeof(f) - first);
        void *exact = malloc(len);
        assert_non_null(exact);
        memcpy(exact, &f, len);
        enum svmemu_status r = svmemu_load_memory(m, "kernel", exact, len, NULL);
        free(exact);
        assert_true(r == SVMEMU_OK || strstr(svmemu_last_error(m), "kernel: "));
        for (uint64_t at = BASE - 0x10; at < BASE + 0x500; at += 0x10) {
            uint64_t off;
            const char *name = svmemu_symbol(m, at, &off);
            if (name)
                assert_true(strlen(name) < sizeof(f));
            *(name ? &some : &none) += 1;
        }
    }
    print_message("%u addresses named, %u not\n", some, none);
    assert_true(some > 10000 && none > 10000);
    svmemu_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_lookup), cmocka_unit_test(test_by_addresses), cmocka_unit_test(test_files), cmocka_unit_test(test_random) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
