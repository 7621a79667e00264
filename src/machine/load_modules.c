// SPDX-License-Identifier: MIT
/* Modules of Multiboot and PVH guests: files at page boundaries, each with a string. */
#include "machine/load.h"

#include <stdlib.h>

static enum svmemu_status no_room(struct loader *l, const char *path, size_t size)
{
    return LOAD_FAIL(l, SVMEMU_TOO_LARGE, "module %.100s (%zu bytes) does not fit beside the kernel at %llXh-%llXh; give the machine more "
                     "memory (--memory)", path, size, ull(l->low), ull(l->high));
}

static u64 page_up(u64 pa)
{
    return (pa + PAGE_MASK) & ~(u64)PAGE_MASK;
}

enum svmemu_status modules_put_up(struct loader *l, struct placed *out)
{
    u64 at = page_up(l->high < 0x100000 ? 0x100000 : l->high), end = l->m->low_ram;
    for (unsigned i = 0; i < l->opt->module_count; i++) {
        const struct svmemu_module *mod = &l->opt->modules[i];
        struct blob b;
        enum svmemu_status s = read_file(l->m, mod->path, &b);
        if (s != SVMEMU_OK)
            return s;
        if ((at > end || b.size > end - at) && end > l->low) { /* once: from here on below the kernel */
            at = 0x100000;
            end = l->low;
        }
        s = at > end || b.size > end - at ? no_room(l, mod->path, b.size) : ram_put(l, at, b.data, b.size, mod->path);
        keep_symbols(l->m, &b);
        free(b.data);
        out[i] = (struct placed){ .pa = at, .size = b.size };
        if (s == SVMEMU_OK)
            s = area_text(l, mod->path, mod->args, &out[i].text);
        if (s != SVMEMU_OK)
            return s;
        at = page_up(at + b.size);
    }
    return SVMEMU_OK;
}

enum svmemu_status modules_put_down(struct loader *l, u64 floor, u64 top, struct placed *out)
{
    for (unsigned i = 0; i < l->opt->module_count; i++) {
        const struct svmemu_module *mod = &l->opt->modules[i];
        struct blob b;
        enum svmemu_status s = read_file(l->m, mod->path, &b);
        if (s != SVMEMU_OK)
            return s;
        u64 at = b.size < top ? (top - b.size) & ~(u64)PAGE_MASK : 0;
        s = at < floor ? no_room(l, mod->path, b.size) : ram_put(l, at, b.data, b.size, mod->path);
        keep_symbols(l->m, &b);
        free(b.data);
        out[i] = (struct placed){ .pa = at, .size = b.size };
        if (s == SVMEMU_OK)
            s = area_text(l, mod->args ? mod->args : "", NULL, &out[i].text);
        if (s != SVMEMU_OK)
            return s;
        top = at;
    }
    return SVMEMU_OK;
}
