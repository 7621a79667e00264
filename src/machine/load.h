// SPDX-License-Identifier: MIT
/* Loaders: what they share. Everything in a guest file may lie; every size is checked before use. */
#ifndef SVMEMU_MACHINE_LOAD_H
#define SVMEMU_MACHINE_LOAD_H

#include "machine/machine.h"

struct blob {
    u8 *data;
    size_t size;
};

/* The loader's own low memory: information blocks, strings, page tables of the ELF64 entry state, GDT, stack. */
#define LOADER_AREA 0x70000ull
#define LOADER_AREA_END 0x80000ull
#define LOADER_STACK 0x88000ull /* stack of the plain ELF entry state, growing down to LOADER_AREA_END */

/* Tables of the firmware; above them linkers like to place ELF headers of programs at 1 MiB. */
#define FIRMWARE_START 0x9FC00ull
#define FIRMWARE_END 0xF1000ull
/* More than any kernel unpacks to; a small file must not take all the host's memory. */
#define UNPACK_MAX (1ull << 30)

#define FIRMWARE_IMAGE_MAX (16u << 20) /* from FF000000h: above the APICs */

struct loader {
    struct svmemu *m;
    const char *name;
    const struct svmemu_load *opt;
    struct blob file;
    u64 area;          /* next free byte of the loader area */
    u64 low, high;     /* lowest and highest + 1 address loaded */
    u64 entry;
};

struct elf_image {
    u64 entry, low, high; /* physical */
    u64 e_entry;       /* as the file says */
    u64 pvh_entry;     /* 0: no Xen note */
    bool is64, has_pvh;
    bool library;      /* a shared object without an entry */
    bool has_entry;    /* e_entry lies in a segment: `entry` is its place */
};

/* A module in memory; `text` is the address of its string. */
enum { MODULES_MAX = 64 };
struct placed {
    u64 pa, size, text;
};

/* For the format %llX of messages. */
static inline unsigned long long ull(u64 v)
{
    return v;
}

#define LOAD_FAIL(l, status, ...) loader_fail(l, status, __VA_ARGS__)
enum svmemu_status loader_fail(struct loader *l, enum svmemu_status s, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Is [pa, pa + len) RAM of the machine? */
bool ram_has(const struct svmemu *m, u64 pa, u64 len);
enum svmemu_status ram_put(struct loader *l, u64 pa, const void *data, u64 len, const char *what);
enum svmemu_status ram_zero(struct loader *l, u64 pa, u64 len, const char *what);
/* Copies into the loader area; *pa says where. */
enum svmemu_status area_put(struct loader *l, const void *data, size_t len, size_t align, const char *what, u64 *pa);
/* Puts "a b" there, or "a" where b is NULL. */
enum svmemu_status area_text(struct loader *l, const char *a, const char *b, u64 *pa);
/* realloc() to `cap` bytes, of which `used` are kept; large ones on huge pages, since faults are most of what such a buffer costs. */
u8 *blob_room(u8 *p, size_t used, size_t cap);
enum svmemu_status read_file(struct svmemu *m, const char *path, struct blob *out);

/* Memory map entries as Multiboot, PVH and E820 number them. */
enum { MAP_RAM = 1, MAP_RESERVED = 2 };
struct map_entry {
    u64 base, size;
    u32 type;
};
unsigned memory_map(const struct svmemu *m, struct map_entry *out, unsigned max);

/* Magic-led decompression into a new blob: gzip, xz, lzma, LZ4 (legacy frame), zstd. */
bool unpack_known(const u8 *data, size_t len);
enum svmemu_status unpack(struct loader *l, const u8 *data, size_t len, u64 max_out, struct blob *out);

/* load_modules.c: all modules, page-aligned: upwards from behind the kernel, or below it where there is no room (their string is
 * "path arguments"); or downwards from `top`, not below `floor` (their string is the arguments). */
enum svmemu_status modules_put_up(struct loader *l, struct placed *out);
enum svmemu_status modules_put_down(struct loader *l, u64 floor, u64 top, struct placed *out);

/* load_bzimage.c: the compressed kernel inside; `known`: is it there, in a way that unpack() knows? */
bool bzimage_is(const struct blob *b);
bool bzimage_known(const struct blob *b);
enum svmemu_status bzimage_unpack(struct loader *l, struct blob *out);
/* load_linux.c: the boot protocol, by one of its three entries; ENTRY_AUTO takes the widest that the kernel has. */
enum svmemu_status linux_load(struct loader *l, enum svmemu_entry entry);

/* Multiboot kernels by address fields instead of ELF; 0 in load_end: all of the file, in bss_end: no BSS. `h` is the header's place. */
struct mb_addresses {
    u64 header, load, load_end, bss_end, entry;
};
enum svmemu_status multiboot_by_addresses(struct loader *l, size_t h, const struct mb_addresses *a);
bool multiboot_find(const struct blob *b, size_t *off);
enum svmemu_status multiboot_load(struct loader *l, size_t header);
bool multiboot2_find(const struct blob *b, size_t *off);
enum svmemu_status multiboot2_load(struct loader *l, size_t header);
/* Is the image [low, high) clear of what loader and firmware own? */
enum svmemu_status image_clear(struct loader *l, u64 low, u64 high, const char *what);

/* Checks and copies the segments of an ELF, each `shift` bytes above its physical address; with `dry` only looks. */
enum svmemu_status elf_load_image(struct loader *l, bool dry, u64 shift, struct elf_image *img);
/* load_symbols.c: an ELF's symbol table, NULL: none that can be read. `e` is a libelf handle. */
struct Elf; /* libelf.h */
struct symbols *elf_symbols(struct Elf *e);
/* Adds the symbols of a file, if it has any, behind what is there: a module's names come after the kernel's. */
void keep_symbols(struct svmemu *m, const struct blob *b);
/* Error if e_entry lies in no segment. */
enum svmemu_status elf_check_entry(struct loader *l, const struct elf_image *img);
/* Page tables in the loader area that map the first 4 GiB to themselves by 2-MiB pages. */
enum svmemu_status identity_map(struct loader *l, u64 *cr3);
enum svmemu_status elf_plain_start(struct loader *l, const struct elf_image *img);
enum svmemu_status pvh_start(struct loader *l, const struct elf_image *img);

#endif
