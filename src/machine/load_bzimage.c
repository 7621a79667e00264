// SPDX-License-Identifier: MIT
/* Finds the compressed vmlinux inside a Linux bzImage (boot protocol 2.08 and later). */
#include "machine/load.h"

#include <stdlib.h>

bool bzimage_is(const struct blob *b)
{
    return b->size >= 0x250 && load_le(b->data + 0x1FE, 2) == 0xAA55 && !memcmp(b->data + 0x202, "HdrS", 4);
}

/* Where the payload is; false: nowhere in the file, or the protocol is too old to say. */
static bool payload(const struct blob *b, u64 *at, u64 *len)
{
    const u8 *d = b->data;
    u64 setup = d[0x1F1] ? d[0x1F1] : 4;
    *at = (setup + 1) * 512 + load_le(d + 0x248, 4);
    *len = load_le(d + 0x24C, 4);
    return load_le(d + 0x206, 2) >= 0x208 && *len && *at + *len <= b->size;
}

/* A payload that is announced but cut off is known too: bzimage_unpack() then says so. */
bool bzimage_known(const struct blob *b)
{
    u64 at, len;
    if (payload(b, &at, &len))
        return unpack_known(b->data + at, len);
    return load_le(b->data + 0x206, 2) >= 0x208 && len;
}

enum svmemu_status bzimage_unpack(struct loader *l, struct blob *out)
{
    const u8 *d = l->file.data;
    unsigned version = (unsigned)load_le(d + 0x206, 2);
    u64 at, len;
    *out = (struct blob){ 0 };
    if (version < 0x208)
        return LOAD_FAIL(l, SVMEMU_UNSUPPORTED,
                         "boot protocol %u.%02u has no payload fields (PVH needs 2.08); start it by the boot protocol (--entry linux32)",
                         version >> 8, version & 255);
    if (!payload(&l->file, &at, &len))
        return LOAD_FAIL(l, SVMEMU_FORMAT,
                         "the compressed kernel (%llu bytes at %llu) is empty or lies beyond the end of the file (%zu bytes); "
                         "it was cut off",
                         ull(len), ull(at), l->file.size);
    d += at;
    if (!unpack_known(d, len))
        return LOAD_FAIL(l, SVMEMU_UNSUPPORTED, "the kernel is compressed in an unknown way (magic %08Xh); let it unpack itself "
                         "(--entry linux64)",
                         len >= 4 ? (unsigned)load_le(d, 4) : 0u);
    enum svmemu_status s = unpack(l, d, len, UNPACK_MAX, out);
    if (s == SVMEMU_OK && (len < 4 || load_le(d + len - 4, 4) != out->size)) { /* Linux ends every payload in it */
        s = LOAD_FAIL(l, SVMEMU_FORMAT, "the compressed kernel says that it unpacks to %llu bytes, but there are %zu",
                      len < 4 ? 0ull : ull(load_le(d + len - 4, 4)), out->size);
        free(out->data);
        *out = (struct blob){ 0 };
    }
    return s;
}
