// SPDX-License-Identifier: MIT
/* Symbol tables of ELF files, for messages. A broken one is no reason to refuse a guest: what cannot be read is left out. */
#include "machine/load.h"

#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>

/* One symbol; false: it names no place in memory. A symbol without a size reaches to the next one, at most to its section's end. */
static bool read_symbol(Elf *e, const GElf_Sym *y, size_t names_len, struct symbol *out)
{
    unsigned type = GELF_ST_TYPE(y->st_info), bind = GELF_ST_BIND(y->st_info);
    GElf_Shdr sh;
    if ((type != STT_FUNC && type != STT_OBJECT && type != STT_NOTYPE) || y->st_shndx == SHN_UNDEF || y->st_shndx >= SHN_LORESERVE ||
        !y->st_name || y->st_name >= names_len)
        return false;
    *out = (struct symbol){ .value = y->st_value, .end = y->st_value + y->st_size, .name = (u32)y->st_name, .sized = y->st_size };
    out->rank = (u8)((type == STT_FUNC ? 4 : type == STT_OBJECT ? 2 : 0) + (bind != STB_LOCAL));
    Elf_Scn *scn = elf_getscn(e, y->st_shndx);
    if (!y->st_size && scn && gelf_getshdr(scn, &sh) && y->st_value - sh.sh_addr < sh.sh_size)
        out->end = sh.sh_addr + sh.sh_size;
    return out->end > out->value;
}

/* Symbols without a size end where the next begins. */
static void end_at_next(struct symbols *s)
{
    u64 next = ~0ull;
    for (size_t i = s->count; i-- > 0;) {
        struct symbol *y = &s->list[i];
        if (i + 1 < s->count && y[1].value > y->value)
            next = y[1].value;
        if (!y->sized && y->end > next)
            y->end = next;
    }
}

static struct symbols *read_table(Elf *e, Elf_Scn *scn, const GElf_Shdr *sh)
{
    Elf_Data *table = elf_getdata(scn, NULL);
    Elf_Scn *strings = elf_getscn(e, sh->sh_link);
    Elf_Data *text = strings ? elf_rawdata(strings, NULL) : NULL;
    size_t n = table && sh->sh_entsize ? table->d_size / sh->sh_entsize : 0, count = 0;
    GElf_Sym y;
    if (!n || n > INT32_MAX || !text || !text->d_buf || !text->d_size)
        return NULL;
    struct symbol *list = calloc(n, sizeof(*list));
    char *names = malloc(text->d_size + 1);
    for (size_t i = 0; list && names && i < n; i++)
        if (gelf_getsym(table, (int)i, &y))
            count += read_symbol(e, &y, text->d_size, &list[count]);
    struct symbols *s = NULL;
    if (names) {
        memcpy(names, text->d_buf, text->d_size);
        names[text->d_size] = 0;
        s = count ? symbols_new(list, count, names) : NULL;
    }
    if (!s) {
        free(list);
        free(names);
        return NULL;
    }
    end_at_next(s);
    return s;
}

struct symbols *elf_symbols(Elf *e)
{
    GElf_Shdr sh;
    for (unsigned type = SHT_SYMTAB;; type = SHT_DYNSYM) {
        for (Elf_Scn *scn = elf_nextscn(e, NULL); scn; scn = elf_nextscn(e, scn)) {
            struct symbols *s = gelf_getshdr(scn, &sh) && sh.sh_type == type ? read_table(e, scn, &sh) : NULL;
            if (s)
                return s;
        }
        if (type == SHT_DYNSYM)
            return NULL;
    }
}

static struct symbols *blob_symbols(const struct blob *b)
{
    Elf *e = b->size >= EI_NIDENT && elf_version(EV_CURRENT) != EV_NONE ? elf_memory((char *)b->data, b->size) : NULL;
    struct symbols *s = e && elf_kind(e) == ELF_K_ELF ? elf_symbols(e) : NULL;
    if (e)
        elf_end(e);
    return s;
}

void keep_symbols(struct svmemu *m, const struct blob *b)
{
    struct symbols **end = &m->symbols;
    while (*end)
        end = &(*end)->next;
    *end = blob_symbols(b);
}

enum svmemu_status svmemu_load_symbols(struct svmemu *m, const char *path)
{
    struct blob b;
    enum svmemu_status r = read_file(m, path, &b);
    if (r != SVMEMU_OK)
        return r;
    struct symbols *s = blob_symbols(&b);
    free(b.data);
    if (!s)
        return machine_fail(m, SVMEMU_FORMAT, "%.200s: no ELF file with a symbol table", path);
    s->next = m->user_symbols;
    m->user_symbols = s;
    return SVMEMU_OK;
}
