// SPDX-License-Identifier: MIT
/* PVH boot: hvm_start_info version 1 and the 32-bit entry state. */
#include "machine/load.h"

#define START_MAGIC 0x336EC578u

static enum svmemu_status put_info(struct loader *l, const struct elf_image *img, u64 *pa)
{
    u8 info[56] = { 0 }, list[32 * MODULES_MAX] = { 0 }, map[8 * 24] = { 0 };
    struct map_entry e[8];
    struct placed placed[MODULES_MAX];
    unsigned n = memory_map(l->m, e, ARRAY_LEN(e)), mods = l->opt->module_count;
    const char *cmdline = l->opt->cmdline ? l->opt->cmdline : "";
    u64 text = 0, list_pa = 0, map_pa = 0;
    for (unsigned i = 0; i < n; i++) {
        store_le(map + 24 * i, 8, e[i].base);
        store_le(map + 24 * i + 8, 8, e[i].size);
        store_le(map + 24 * i + 16, 4, e[i].type);
    }
    /* Modules go to the top of low RAM: a kernel relocates and grows upwards from where it stands. */
    enum svmemu_status s = modules_put_down(l, img->high < 0x100000 ? 0x100000 : img->high, l->m->low_ram, placed);
    for (unsigned i = 0; s == SVMEMU_OK && i < mods; i++) {
        store_le(list + 32 * i, 8, placed[i].pa);
        store_le(list + 32 * i + 8, 8, placed[i].size);
        store_le(list + 32 * i + 16, 8, placed[i].text);
    }
    if (s == SVMEMU_OK)
        s = area_put(l, cmdline, strlen(cmdline) + 1, 1, "the command line", &text);
    if (s == SVMEMU_OK)
        s = area_put(l, list, 32 * (size_t)mods, 8, "the module list", &list_pa);
    if (s == SVMEMU_OK)
        s = area_put(l, map, 24 * (size_t)n, 8, "the memory map", &map_pa);
    if (s != SVMEMU_OK)
        return s;
    store_le(info, 4, START_MAGIC);
    store_le(info + 4, 4, 1);
    store_le(info + 12, 4, mods);
    store_le(info + 16, 8, mods ? list_pa : 0);
    store_le(info + 24, 8, text);
    store_le(info + 32, 8, l->m->pc ? 0xE0000 : 0); /* RSDP: firmware.c */
    store_le(info + 40, 8, map_pa);
    store_le(info + 48, 4, n);
    return area_put(l, info, sizeof(info), 8, "the start information", pa);
}

enum svmemu_status pvh_start(struct loader *l, const struct elf_image *img)
{
    u64 info = 0;
    if (img->pvh_entry >> 32)
        return LOAD_FAIL(l, SVMEMU_FORMAT, "PVH entry %llXh is not below 4 GiB", ull(img->pvh_entry));
    if (img->pvh_entry < img->low || img->pvh_entry >= img->high)
        return LOAD_FAIL(l, SVMEMU_FORMAT, "PVH entry %llXh is outside of what was loaded (%llXh-%llXh)", ull(img->pvh_entry),
                         ull(img->low), ull(img->high));
    l->low = img->low;
    l->high = img->high;
    enum svmemu_status s = put_info(l, img, &info);
    if (s != SVMEMU_OK)
        return s;
    struct cpu_state *st = &l->m->cpu[0]->st;
    svmemu_set_mode(l->m, 0, 32, 0);
    st->seg[SEG_TR] = (struct seg){ .limit = 0x67, .attr = ATTR_P | 11 };
    memset(st->gpr, 0, sizeof(st->gpr));
    st->gpr[RBX] = info;
    st->rip = img->pvh_entry;
    machine_cpu_changed(l->m->cpu[0]);
    return SVMEMU_OK;
}
