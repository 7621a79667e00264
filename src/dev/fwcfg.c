// SPDX-License-Identifier: MIT
#include "dev/fwcfg.h"

#include "base/bits.h"

#include <stdlib.h>

enum { DMA_ERROR = 1, DMA_READ = 2, DMA_SKIP = 4, DMA_SELECT = 8, DMA_WRITE = 16 };
enum { FEATURE_PORTS = 1, FEATURE_DMA = 2 };
#define KEY_WRITE 0x4000u /* asked for writing in QEMU before 2.4; without effect */
#define ENTRY 64u         /* bytes of a directory entry */

static struct fwcfg_item *find(struct fwcfg *f, u16 key)
{
    for (unsigned i = 0; i < f->items; i++)
        if (f->item[i].key == key)
            return &f->item[i];
    return NULL;
}

struct fwcfg_item *fwcfg_file(struct fwcfg *f, const char *name)
{
    for (unsigned i = 0; i < f->items; i++)
        if (f->item[i].key >= FWCFG_FILE_FIRST && *name && !strcmp(f->item[i].name, name))
            return &f->item[i];
    return NULL;
}

/* ---- the guest's side ---- */
static void select_key(struct fwcfg *f, u16 key)
{
    f->s.key = key & (u16)~KEY_WRITE;
    f->s.offset = 0;
    const struct fwcfg_item *it = find(f, f->s.key);
    if (it && it->selected)
        it->selected(it->ctx);
}

/* Past the end, and from keys that do not exist, zeros come. */
static void take(struct fwcfg *f, u8 *out, size_t len)
{
    const struct fwcfg_item *it = find(f, f->s.key);
    u64 left = it && f->s.offset < it->size ? it->size - f->s.offset : 0;
    size_t n = left < len ? (size_t)left : len;
    if (n)
        memcpy(out, it->data + f->s.offset, n);
    memset(out + n, 0, len - n);
    f->s.offset += len;
}

static u64 port_rd(void *ctx, u64 off, unsigned width, int cpu)
{
    u8 v[8] = { 0xFF, 0xFF };
    (void)cpu;
    if (off + width == 2) /* else the selector alone, which cannot be read */
        take(ctx, &v[width - 1], 1);
    return load_le(v, width);
}

/* Only a 16-bit access reaches the selector: the byte port lies over its upper half. */
static void port_wr(void *ctx, u64 off, unsigned width, u64 value, int cpu)
{
    (void)cpu;
    if (off == 0 && width == 2)
        select_key(ctx, (u16)value);
}

/* DMA reaches RAM and ROM (which keeps what it has), a page at a time; never the registers of devices. */
static bool dma_copy(struct fwcfg *f, u64 spa, u8 *in, const u8 *out, size_t len)
{
    struct phys_page page;
    if ((spa & PAGE_MASK) + len > PAGE_SIZE || !phys_lookup(f->view, (struct spa){ spa }, &page) || !page.host)
        return false;
    if (in)
        phys_read(f->view, (struct spa){ spa }, in, len);
    else
        phys_write(f->view, (struct spa){ spa }, out, len);
    return true;
}

static bool dma_read(struct fwcfg *f, u64 spa, u64 len)
{
    u8 buf[PAGE_SIZE];
    while (len) {
        size_t n = PAGE_SIZE - (spa & PAGE_MASK);
        if (n > len)
            n = (size_t)len;
        take(f, buf, n);
        if (!dma_copy(f, spa, NULL, buf, n))
            return false;
        spa += n;
        len -= n;
    }
    return true;
}

/* Only as a whole: what does not fit into the item, or comes from where there is no memory, changes nothing. */
static bool dma_write(struct fwcfg *f, u64 spa, u32 len)
{
    struct fwcfg_item *it = find(f, f->s.key);
    if (!it || !it->writable || f->s.offset > it->size || len > it->size - f->s.offset)
        return false;
    u8 *in = malloc(len ? len : 1);
    bool ok = in != NULL;
    for (u32 done = 0, n; ok && done < len; done += n) {
        n = PAGE_SIZE - (u32)((spa + done) & PAGE_MASK);
        n = n < len - done ? n : len - done;
        ok = dma_copy(f, spa + done, in + done, NULL, n);
    }
    if (ok) {
        memcpy(it->data + f->s.offset, in, len);
        f->s.offset += len;
    }
    free(in);
    return ok;
}

/* The access structure: control, length, address, all big-endian. */
static void dma_run(struct fwcfg *f, u64 at)
{
    u8 access[16];
    size_t first = PAGE_SIZE - (at & PAGE_MASK) < 16 ? PAGE_SIZE - (at & PAGE_MASK) : 16;
    if (!dma_copy(f, at, access, NULL, first) || (first < 16 && !dma_copy(f, at + first, access + first, NULL, 16 - first)))
        return;
    u32 control = __builtin_bswap32((u32)load_le(access, 4)), len = __builtin_bswap32((u32)load_le(access + 4, 4));
    u64 target = __builtin_bswap64(load_le(access + 8, 8));
    bool ok = true;
    if (control & DMA_SELECT)
        select_key(f, (u16)(control >> 16));
    if (control & DMA_READ)
        ok = dma_read(f, target, len);
    else if (control & DMA_WRITE)
        ok = dma_write(f, target, len);
    else if (control & DMA_SKIP)
        f->s.offset += len;
    store_le(access, 4, __builtin_bswap32(ok ? 0 : DMA_ERROR));
    phys_write(f->view, (struct spa){ at }, access, 4);
}

static u64 dma_rd(void *ctx, u64 off, unsigned width, int cpu)
{
    static const char text[] = "QEMU CFG";
    (void)ctx, (void)cpu;
    return load_le(text + off, width);
}

static void dma_wr(void *ctx, u64 off, unsigned width, u64 value, int cpu)
{
    struct fwcfg *f = ctx;
    u32 v = __builtin_bswap32((u32)value);
    (void)cpu;
    if (width != 4)
        return;
    if (off == 0) {
        f->s.dma_high = v;
        return;
    }
    u64 at = (u64)f->s.dma_high << 32 | v;
    f->s.dma_high = 0;
    dma_run(f, at);
}

static const struct mmio_ops port_ops = { port_rd, port_wr, 1, 2 };
static const struct mmio_ops dma_ops = { dma_rd, dma_wr, 1, 4 };

/* ---- the host's side ---- */
static bool set(struct fwcfg_item *it, const void *data, size_t size)
{
    if (size > UINT32_MAX)
        return false;
    u8 *copy = malloc(size ? size : 1);
    if (!copy)
        return false;
    if (size)
        memcpy(copy, data, size);
    free(it->data);
    it->data = copy;
    it->size = (u32)size;
    it->selected = NULL;
    it->writable = false;
    return true;
}

bool fwcfg_put(struct fwcfg *f, u16 key, const void *data, size_t size)
{
    struct fwcfg_item *it = find(f, key);
    if (it)
        return set(it, data, size);
    if (f->items == FWCFG_ITEMS)
        return false;
    it = &f->item[f->items];
    *it = (struct fwcfg_item){ .key = key };
    if (!set(it, data, size))
        return false;
    f->items++;
    return true;
}

bool fwcfg_put_le(struct fwcfg *f, u16 key, unsigned width, u64 value)
{
    u8 bytes[8];
    store_le(bytes, 8, value);
    return fwcfg_put(f, key, bytes, width);
}

static void put_be(u8 *p, unsigned width, u64 v)
{
    for (unsigned i = 0; i < width; i++)
        p[i] = (u8)(v >> 8 * (width - 1 - i));
}

static bool put_directory(struct fwcfg *f)
{
    u8 dir[4 + ENTRY * FWCFG_FILES] = { 0 };
    size_t at = 4;
    for (unsigned i = 0; i < f->items; i++) {
        const struct fwcfg_item *it = &f->item[i];
        if (!*it->name)
            continue;
        put_be(dir + at, 4, it->size);
        put_be(dir + at + 4, 2, it->key);
        memcpy(dir + at + 8, it->name, FWCFG_NAME);
        at += ENTRY;
    }
    put_be(dir, 4, f->files);
    return fwcfg_put(f, FWCFG_DIRECTORY, dir, at);
}

bool fwcfg_put_file(struct fwcfg *f, const char *name, const void *data, size_t size)
{
    struct fwcfg_item *it = fwcfg_file(f, name);
    size_t n = strlen(name);
    if (!n || n >= FWCFG_NAME)
        return false;
    if (!it) {
        u16 key = (u16)(FWCFG_FILE_FIRST + f->files);
        if (f->files == FWCFG_FILES || !fwcfg_put(f, key, data, size))
            return false;
        it = find(f, key);
        memcpy(it->name, name, n + 1);
        f->files++;
    } else if (!set(it, data, size)) {
        return false;
    }
    return put_directory(f);
}

void fwcfg_reset(struct fwcfg *f)
{
    f->s = (struct fwcfg_state){ 0 };
}

bool fwcfg_init(struct fwcfg *f, struct bus *b, const struct phys_view *view)
{
    memset(f, 0, sizeof(*f));
    f->view = view;
    return fwcfg_put(f, FWCFG_SIGNATURE, "QEMU", 4) && fwcfg_put_le(f, FWCFG_ID, 4, FEATURE_PORTS | FEATURE_DMA) && put_directory(f) &&
           bus_add_ports(b, FWCFG_PORT, 2, &port_ops, f, "fw_cfg") && bus_add_ports(b, FWCFG_DMA_PORT, 8, &dma_ops, f, "fw_cfg DMA");
}

void fwcfg_fini(struct fwcfg *f)
{
    for (unsigned i = 0; i < f->items; i++)
        free(f->item[i].data);
    f->items = f->files = 0;
}
