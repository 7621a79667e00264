// SPDX-License-Identifier: MIT
/* Small guest files of every kind, built by hand from the specifications, for the loaders' tests. */
#ifndef LOADER_FILES_H
#define LOADER_FILES_H

#include <svmemu/svmemu.h>

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { MIB = 1 << 20 };

static inline uint64_t get(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;
    while (n--)
        v = v << 8 | p[n];
    return v;
}

static inline void put(uint8_t *p, unsigned n, uint64_t v)
{
    for (unsigned i = 0; i < n; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static inline struct svmemu *new_machine(unsigned mib)
{
    struct svmemu_config cfg = { .memory = (uint64_t)mib * MIB, .flags = SVMEMU_PC };
    struct svmemu *m;
    assert_int_equal(svmemu_create(&cfg, &m), SVMEMU_OK);
    return m;
}

static inline uint64_t reg(struct svmemu *m, const char *name)
{
    uint64_t v = 0;
    assert_int_equal(svmemu_reg_read(m, 0, name, &v), SVMEMU_OK);
    return v;
}

/* ---- ELF32 with one segment: headers, then `extra` (a Multiboot header), then code ---- */
struct elf_file {
    Elf32_Ehdr eh;
    Elf32_Phdr ph;
    uint32_t pad;      /* to a multiple of 8 */
    uint8_t extra[256];
    uint8_t code[64];
};
_Static_assert(offsetof(struct elf_file, extra) % 8 == 0, "Multiboot 2 headers stand at multiples of 8");

static inline struct elf_file elf_file(uint32_t pa, uint32_t va, uint32_t entry)
{
    struct elf_file f = { .code = { 0xFA, 0xF4 } }; /* CLI; HLT */
    memcpy(f.eh.e_ident, ELFMAG, SELFMAG);
    f.eh.e_ident[EI_CLASS] = ELFCLASS32;
    f.eh.e_ident[EI_DATA] = ELFDATA2LSB;
    f.eh.e_ident[EI_VERSION] = EV_CURRENT;
    f.eh.e_type = ET_EXEC;
    f.eh.e_machine = EM_386;
    f.eh.e_version = EV_CURRENT;
    f.eh.e_entry = entry;
    f.eh.e_phoff = sizeof(f.eh);
    f.eh.e_ehsize = sizeof(f.eh);
    f.eh.e_phentsize = sizeof(f.ph);
    f.eh.e_phnum = 1;
    f.ph = (Elf32_Phdr){ .p_type = PT_LOAD, .p_offset = offsetof(struct elf_file, code), .p_paddr = pa, .p_vaddr = va,
                         .p_filesz = sizeof(f.code), .p_memsz = 0x3000 };
    return f;
}

static inline void multiboot1(struct elf_file *f, uint32_t flags)
{
    put(f->extra, 4, 0x1BADB002);
    put(f->extra + 4, 4, flags);
    put(f->extra + 8, 4, 0u - 0x1BADB002 - flags);
}

/* A Multiboot 2 header; `tags` are 32-bit words, each tag padded to 8 bytes by the caller; the end tag is added. */
static inline void multiboot2(struct elf_file *f, const uint32_t *tags, unsigned words)
{
    uint32_t len = 16 + 4 * words + 8;
    uint8_t *p = f->extra;
    assert_true(len <= sizeof(f->extra));
    put(p, 4, 0xE85250D6);
    put(p + 4, 4, 0);
    put(p + 8, 4, len);
    put(p + 12, 4, 0u - 0xE85250D6 - len);
    for (unsigned i = 0; i < words; i++)
        put(p + 16 + 4 * i, 4, tags[i]);
    put(p + 16 + 4 * words, 4, 0);
    put(p + 16 + 4 * words + 4, 4, 8);
}

/* ---- a bzImage of protocol 2.15: one setup sector behind the boot sector, then protected-mode code ---- */
enum { BZ_SETUP = 1024, BZ_CODE = 0x400, BZ_SIZE = BZ_SETUP + BZ_CODE, BZ_REAL_ENTRY = 0x26C };

static inline void bzimage_file(uint8_t *b)
{
    memset(b, 0, BZ_SIZE);
    b[0x1F1] = 1;                       /* setup_sects */
    put(b + 0x1F4, 4, BZ_CODE / 16);    /* syssize */
    put(b + 0x1FE, 2, 0xAA55);
    b[0x200] = 0xEB;                    /* jump behind the header */
    b[0x201] = BZ_REAL_ENTRY - 0x202;
    memcpy(b + 0x202, "HdrS", 4);
    put(b + 0x206, 2, 0x20F);
    b[0x211] = 1;                       /* LOADED_HIGH */
    put(b + 0x214, 4, 0x100000);        /* code32_start */
    put(b + 0x22C, 4, 0x7FFFFFFF);      /* initrd_addr_max */
    put(b + 0x230, 4, 0x200000);        /* kernel_alignment */
    b[0x234] = 1;                       /* relocatable */
    put(b + 0x236, 2, 1);               /* xloadflags: a 64-bit entry */
    put(b + 0x238, 4, 63);              /* cmdline_size */
    put(b + 0x258, 8, 0x400000);        /* pref_address */
    put(b + 0x260, 4, 0x100000);        /* init_size */
    b[BZ_REAL_ENTRY] = 0xF4;            /* HLT at each entry */
    b[BZ_SETUP] = 0xF4;
    b[BZ_SETUP + 0x200] = 0xF4;
}

/* A file with `len` bytes of `c` that is removed by the caller. */
static inline void temp_file(char *path, int c, size_t len)
{
    uint8_t *p = malloc(len + 1);
    assert_non_null(p);
    memset(p, c, len);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, p, len), (ssize_t)len);
    close(fd);
    free(p);
}

#endif
