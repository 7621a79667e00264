// SPDX-License-Identifier: MIT
/* ELF files through libelf, and the entry state of plain ones:
 *   ELF32: protected mode, flat segments, paging off. ELF64: long mode, first 4 GiB mapped to themselves by 2-MiB pages, flat 64-bit CS.
 *   Both: CPL 0, interrupts off, a GDT (null, code, data), stack at 88000h, rDI = physical address of the command line. */
#include "machine/load.h"

#include <elf.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>

#define NOTE_PHYS32_ENTRY 18

/* The entry is virtual; where its segment stands in memory it stands. A physical one is taken too, if no segment claims the address. */
static void note_entry(const GElf_Phdr *p, u64 pa, struct elf_image *img)
{
    if (img->e_entry - p->p_vaddr < p->p_memsz && !img->has_entry) {
        img->has_entry = true;
        img->entry = pa + (img->e_entry - p->p_vaddr);
    }
}

static enum svmemu_status load_segment(struct loader *l, const GElf_Phdr *p, size_t idx, bool dry, u64 shift, struct elf_image *img)
{
    u64 pa = p->p_paddr + shift;
    char what[40];
    if (p->p_filesz > l->file.size || p->p_offset > l->file.size - p->p_filesz)
        return LOAD_FAIL(l, SVMEMU_FORMAT, "segment %zu: bytes %llu+%llu are beyond the end of the file (%zu bytes)", idx,
                         ull(p->p_offset), ull(p->p_filesz), l->file.size);
    if (p->p_filesz > p->p_memsz)
        return LOAD_FAIL(l, SVMEMU_FORMAT, "segment %zu: more bytes in the file (%llu) than in memory (%llu)", idx,
                         ull(p->p_filesz), ull(p->p_memsz));
    if (!p->p_memsz)
        return SVMEMU_OK;
    snprintf(what, sizeof(what), "segment %zu", idx);
    if (!ram_has(l->m, pa, p->p_memsz))
        return ram_zero(l, pa, p->p_memsz, what); /* says why */
    enum svmemu_status s = image_clear(l, pa, pa + p->p_memsz, what);
    if (s != SVMEMU_OK)
        return s;
    if (pa < img->low)
        img->low = pa;
    if (pa + p->p_memsz > img->high)
        img->high = pa + p->p_memsz;
    note_entry(p, pa, img);
    if (dry)
        return SVMEMU_OK;
    s = ram_put(l, pa, l->file.data + p->p_offset, p->p_filesz, what);
    return s != SVMEMU_OK ? s : ram_zero(l, pa + p->p_filesz, p->p_memsz - p->p_filesz, what);
}

/* Looks for Xen's note with the 32-bit entry among the notes of one segment. */
static enum svmemu_status scan_notes(struct loader *l, const GElf_Phdr *p, size_t idx, struct elf_image *img)
{
    size_t pos = 0, align = p->p_align == 8 ? 8 : 4;
    if (p->p_filesz > l->file.size || p->p_offset > l->file.size - p->p_filesz)
        return LOAD_FAIL(l, SVMEMU_FORMAT, "segment %zu: notes %llu+%llu are beyond the end of the file (%zu bytes)", idx,
                         ull(p->p_offset), ull(p->p_filesz), l->file.size);
    const u8 *d = l->file.data + p->p_offset;
    while (p->p_filesz - pos >= 12) {
        u64 namesz = load_le(d + pos, 4), descsz = load_le(d + pos + 4, 4), type = load_le(d + pos + 8, 4);
        u64 name = pos + 12, desc = (name + namesz + align - 1) & ~(u64)(align - 1);
        u64 end = (desc + descsz + align - 1) & ~(u64)(align - 1);
        bool xen = type == NOTE_PHYS32_ENTRY && namesz == 4 && p->p_filesz - name >= 4 && !memcmp(d + name, "Xen", 4);
        if (xen && ((descsz != 4 && descsz != 8) || desc + descsz > p->p_filesz))
            return LOAD_FAIL(l, SVMEMU_FORMAT, "segment %zu: the PVH note is broken (an entry of %llu bytes, %llu are left)", idx,
                             ull(descsz), ull(p->p_filesz - (desc < p->p_filesz ? desc : p->p_filesz)));
        if (desc + descsz > p->p_filesz)
            break;
        if (xen) {
            img->pvh_entry = load_le(d + desc, (unsigned)descsz);
            img->has_pvh = true;
        }
        if (end > p->p_filesz)
            break;
        pos = end;
    }
    return SVMEMU_OK;
}

static enum svmemu_status check_overlaps(struct loader *l, Elf *e, size_t n)
{
    GElf_Phdr a, b;
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++)
            if (gelf_getphdr(e, (int)i, &a) && gelf_getphdr(e, (int)j, &b) && a.p_type == PT_LOAD && b.p_type == PT_LOAD && a.p_memsz &&
                b.p_memsz && a.p_paddr < b.p_paddr + b.p_memsz && b.p_paddr < a.p_paddr + a.p_memsz)
                return LOAD_FAIL(l, SVMEMU_FORMAT, "segments %zu and %zu overlap in memory", i, j);
    return SVMEMU_OK;
}

static enum svmemu_status load_all(struct loader *l, Elf *e, bool dry, u64 shift, struct elf_image *img)
{
    GElf_Ehdr eh;
    GElf_Phdr ph;
    size_t n;
    if (elf_kind(e) != ELF_K_ELF || !gelf_getehdr(e, &eh))
        return LOAD_FAIL(l, SVMEMU_FORMAT, "neither ELF, Multiboot, bzImage nor a compressed one of them");
    if (eh.e_ident[EI_DATA] == ELFDATA2MSB)
        return LOAD_FAIL(l, SVMEMU_FORMAT, "a big-endian ELF; x86 is little-endian");
    if (eh.e_ident[EI_DATA] != ELFDATA2LSB || (eh.e_machine != EM_386 && eh.e_machine != EM_X86_64))
        return LOAD_FAIL(l, SVMEMU_FORMAT, "not an ELF for x86 (machine %u)", eh.e_machine);
    if (eh.e_type != ET_EXEC && eh.e_type != ET_DYN)
        return LOAD_FAIL(l, SVMEMU_FORMAT, "ELF type %u is not executable; link it", eh.e_type);
    if (elf_getphdrnum(e, &n) || !n || n > 1024)
        return LOAD_FAIL(l, SVMEMU_FORMAT, "no usable program headers");
    img->is64 = eh.e_ident[EI_CLASS] == ELFCLASS64;
    img->e_entry = eh.e_entry;
    img->library = eh.e_type == ET_DYN && !eh.e_entry; /* zero: "no associated entry point"; an executable may begin there all the same */
    enum svmemu_status s = check_overlaps(l, e, n);
    for (size_t i = 0; s == SVMEMU_OK && i < n; i++) {
        if (!gelf_getphdr(e, (int)i, &ph))
            return LOAD_FAIL(l, SVMEMU_FORMAT, "program header %zu is beyond the end of the file", i);
        if (ph.p_type == PT_INTERP)
            return LOAD_FAIL(l, SVMEMU_FORMAT, "dynamically linked; a guest must be static");
        if (ph.p_type == PT_NOTE)
            s = scan_notes(l, &ph, i, img);
        else if (ph.p_type == PT_LOAD)
            s = load_segment(l, &ph, i, dry, shift, img);
    }
    if (s != SVMEMU_OK)
        return s;
    if (img->low >= img->high)
        return LOAD_FAIL(l, SVMEMU_FORMAT, "nothing to load");
    if (!img->has_entry) {
        img->entry = eh.e_entry + shift;
        img->has_entry = img->entry >= img->low && img->entry < img->high;
    }
    if (!dry) {
        symbols_free(l->m->symbols);
        l->m->symbols = elf_symbols(e);
    }
    return SVMEMU_OK;
}

enum svmemu_status elf_load_image(struct loader *l, bool dry, u64 shift, struct elf_image *img)
{
    *img = (struct elf_image){ .low = ~0ull };
    if (l->file.size < EI_NIDENT || elf_version(EV_CURRENT) == EV_NONE)
        return LOAD_FAIL(l, SVMEMU_FORMAT, "too short for a guest (%zu bytes)", l->file.size);
    Elf *e = elf_memory((char *)l->file.data, l->file.size);
    if (!e)
        return LOAD_FAIL(l, SVMEMU_FORMAT, "libelf: %s", elf_errmsg(-1));
    enum svmemu_status s = load_all(l, e, dry, shift, img);
    elf_end(e);
    return s;
}

enum svmemu_status elf_check_entry(struct loader *l, const struct elf_image *img)
{
    if (img->library)
        return LOAD_FAIL(l, SVMEMU_FORMAT, "a shared library: it has no entry point");
    if (img->has_entry)
        return SVMEMU_OK;
    return LOAD_FAIL(l, SVMEMU_FORMAT,
                     "entry %llXh is outside of what was loaded: it is no segment's virtual address and not in %llXh-%llXh; check the "
                     "linker script's ENTRY", ull(img->e_entry), ull(img->low), ull(img->high));
}

enum svmemu_status identity_map(struct loader *l, u64 *cr3)
{
    u64 table[6][512] = { { 0 } }, at = 0;
    enum svmemu_status s;
    l->area = (l->area + PAGE_SIZE - 1) & ~(u64)PAGE_MASK;
    table[0][0] = (l->area + PAGE_SIZE) | 3;
    for (u64 i = 0; i < 4; i++) {
        table[1][i] = (l->area + (2 + i) * PAGE_SIZE) | 3;
        for (u64 j = 0; j < 512; j++)
            table[2 + i][j] = (i << 30 | j << 21) | 0x83;
    }
    s = area_put(l, table, sizeof(table), PAGE_SIZE, "page tables", &at);
    *cr3 = at;
    return s;
}

enum svmemu_status elf_plain_start(struct loader *l, const struct elf_image *img)
{
    const u64 gdt[3] = { 0, img->is64 ? 0x00AF9B000000FFFFull : 0x00CF9B000000FFFFull, 0x00CF93000000FFFFull };
    const char *cmdline = l->opt->cmdline ? l->opt->cmdline : "";
    struct cpu_state *s = &l->m->cpu[0]->st;
    u64 gdt_pa = 0, text = 0, cr3 = 0;
    enum svmemu_status r = elf_check_entry(l, img);
    if (r == SVMEMU_OK)
        r = area_put(l, gdt, sizeof(gdt), 8, "descriptor table", &gdt_pa);
    if (r == SVMEMU_OK)
        r = area_put(l, cmdline, strlen(cmdline) + 1, 1, "command line", &text);
    if (r == SVMEMU_OK && img->is64)
        r = identity_map(l, &cr3);
    if (r != SVMEMU_OK)
        return r;
    if (img->entry >> 32)
        return LOAD_FAIL(l, SVMEMU_FORMAT, "entry %llXh is beyond the first 4 GiB that the entry state maps", ull(img->entry));
    svmemu_set_mode(l->m, 0, img->is64 ? 64 : 32, cr3);
    s->gdtr = (struct dtr){ .base = gdt_pa, .limit = sizeof(gdt) - 1 };
    memset(s->gpr, 0, sizeof(s->gpr));
    s->gpr[RSP] = LOADER_STACK - 16;
    s->gpr[RDI] = text;
    s->rip = img->entry;
    machine_cpu_changed(l->m->cpu[0]);
    return SVMEMU_OK;
}
