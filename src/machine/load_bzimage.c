// SPDX-License-Identifier: MIT
/* Finds the compressed vmlinux inside a Linux bzImage (boot protocol 2.08 and later). */
#include "machine/load.h"

#include <stdlib.h>

bool bzimage_is(const struct blob *b)
{
    return b->size >= 0x250 && load_le(b->data + 0x1FE, 2) == 0xAA55 && !memcmp(b->data + 0x202, "HdrS", 4);
}

enum svmemu_status bzimage_unpack(struct loader *l, struct blob *out)
{
    const u8 *d = l->file.data;
    unsigned version = (unsigned)load_le(d + 0x206, 2), setup = d[0x1F1] ? d[0x1F1] : 4;
    u64 base = (setup + 1u) * 512u, off, len;
    *out = (struct blob){ 0 };
    if (version < 0x208)
        return LOAD_FAIL(l, SVMEMU_UNSUPPORTED, "boot protocol %u.%02u has no payload fields (2.08 is needed)", version >> 8, version & 255);
    off = load_le(d + 0x248, 4);
    len = load_le(d + 0x24C, 4);
    if (!len || base + off + len > l->file.size)
        return LOAD_FAIL(l, SVMEMU_FORMAT, "the compressed kernel (%llu bytes at %llu) lies beyond the end of the file (%zu bytes)",
                         (unsigned long long)len, (unsigned long long)(base + off), l->file.size);
    if (!unpack_known(d + base + off, len))
        return LOAD_FAIL(l, SVMEMU_UNSUPPORTED, "the kernel is compressed in an unknown way (magic %08Xh)",
                         len >= 4 ? (unsigned)load_le(d + base + off, 4) : 0u);
    enum svmemu_status s = unpack(l, d + base + off, len, UNPACK_MAX, out);
    if (s == SVMEMU_OK && (len < 4 || load_le(d + base + off + len - 4, 4) != out->size)) { /* Linux ends every payload in it */
        s = LOAD_FAIL(l, SVMEMU_FORMAT, "the compressed kernel says that it unpacks to %llu bytes, but there are %zu",
                      len < 4 ? 0ull : (unsigned long long)load_le(d + base + off + len - 4, 4), out->size);
        free(out->data);
        *out = (struct blob){ 0 };
    }
    l->bzimage = true;
    return s;
}
