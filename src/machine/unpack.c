// SPDX-License-Identifier: MIT
/* Decompression through the usual libraries into a growing buffer with an upper bound. */
#include "machine/load.h"

#include <lz4.h>
#include <lzma.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#define LZ4_LEGACY_MAGIC 0x184C2102u
#define LZ4_LEGACY_BLOCK (8u << 20)
#define CHUNK (1u << 20)

struct sink {
    struct blob b;
    size_t cap;
    u64 max;
    size_t hint;        /* how much it may be */
};

/* gzip ends in the unpacked size, and so does each payload of a bzImage. It may lie: a guess, for the first allocation. */
static size_t size_hint(const u8 *d, size_t len, u64 max)
{
    u64 n = load_le(d + len - 4, 4);
    return n <= max && n / 64 < len ? (size_t)n : 0;
}

static bool grow(struct sink *s, size_t room)
{
    if (s->cap - s->b.size >= room)
        return true;
    size_t cap = s->cap ? s->cap * 2 : s->hint + LZ4_LEGACY_BLOCK;
    while (cap - s->b.size < room)
        cap *= 2;
    if (s->b.size + room > s->max + 16 * (u64)CHUNK)
        return false;
    u8 *p = blob_room(s->b.data, s->b.size, cap);
    if (!p)
        return false;
    s->b.data = p;
    s->cap = cap;
    return true;
}

enum method { M_NONE, M_GZIP, M_XZ, M_LZ4, M_ZSTD };

static enum method method_of(const u8 *d, size_t len)
{
    if (len >= 18 && d[0] == 0x1F && d[1] == 0x8B)
        return M_GZIP;
    if (len >= 6 && !memcmp(d, "\xFD" "7zXZ", 6))
        return M_XZ;
    if (len >= 8 && load_le(d, 4) == LZ4_LEGACY_MAGIC)
        return M_LZ4;
    if (len >= 8 && load_le(d, 4) == 0xFD2FB528u)
        return M_ZSTD;
    return M_NONE;
}

bool unpack_known(const u8 *data, size_t len)
{
    return method_of(data, len) != M_NONE;
}

static bool un_gzip(const u8 *d, size_t len, struct sink *s)
{
    z_stream z = { 0 };
    int r = Z_OK;
    if (len > 0xFFFFFFFFu || inflateInit2(&z, 15 + 16) != Z_OK)
        return false;
    z.next_in = (Bytef *)(uintptr_t)d;
    z.avail_in = (uInt)len;
    while (r == Z_OK && grow(s, CHUNK)) {
        z.next_out = s->b.data + s->b.size;
        z.avail_out = CHUNK;
        r = inflate(&z, Z_NO_FLUSH);
        s->b.size += CHUNK - z.avail_out;
        if (r == Z_BUF_ERROR && z.avail_out)
            break; /* the input is cut off */
    }
    inflateEnd(&z);
    return r == Z_STREAM_END;
}

static bool un_xz(const u8 *d, size_t len, struct sink *s)
{
    lzma_stream z = LZMA_STREAM_INIT;
    lzma_ret r = LZMA_OK;
    if (lzma_stream_decoder(&z, 1ull << 30, 0) != LZMA_OK)
        return false;
    z.next_in = d;
    z.avail_in = len;
    while (r == LZMA_OK && grow(s, CHUNK)) {
        z.next_out = s->b.data + s->b.size;
        z.avail_out = CHUNK;
        r = lzma_code(&z, LZMA_FINISH);
        s->b.size += CHUNK - z.avail_out;
    }
    lzma_end(&z);
    return r == LZMA_STREAM_END;
}

/* The legacy frame: magic, then blocks of a 32-bit length and that many bytes; a kernel's payload ends in its unpacked size. */
static bool un_lz4(const u8 *d, size_t len, struct sink *s)
{
    size_t pos = 4;
    while (len - pos >= 4) {
        u64 n = load_le(d + pos, 4);
        if (n == LZ4_LEGACY_MAGIC) {
            pos += 4;
            continue;
        }
        if (len - pos == 4) /* the size that Linux appends: also the sign that no block is missing */
            return s->b.size != 0 && n == s->b.size;
        if (!n || n > len - pos - 4 || n > LZ4_COMPRESSBOUND(LZ4_LEGACY_BLOCK) || !grow(s, LZ4_LEGACY_BLOCK))
            return false;
        int got = LZ4_decompress_safe((const char *)d + pos + 4, (char *)s->b.data + s->b.size, (int)n, (int)LZ4_LEGACY_BLOCK);
        if (got < 0)
            return false;
        s->b.size += (size_t)got;
        pos += 4 + n;
    }
    return s->b.size != 0 && pos == len;
}

static bool un_zstd(const u8 *d, size_t len, struct sink *s)
{
    ZSTD_DStream *z = ZSTD_createDStream();
    ZSTD_inBuffer in = { .src = d, .size = len };
    size_t r = 1;
    while (z && r && grow(s, CHUNK)) {
        ZSTD_outBuffer out = { .dst = s->b.data + s->b.size, .size = CHUNK };
        size_t before = in.pos;
        r = ZSTD_decompressStream(z, &out, &in);
        s->b.size += out.pos;
        if (ZSTD_isError(r) || (r && before == in.pos && !out.pos))
            break;
    }
    ZSTD_freeDStream(z);
    return z && !r;
}

enum svmemu_status unpack(struct loader *l, const u8 *data, size_t len, u64 max_out, struct blob *out)
{
    static const char *const names[] = { [M_NONE] = "?", [M_GZIP] = "gzip", [M_XZ] = "xz", [M_LZ4] = "LZ4", [M_ZSTD] = "zstd" };
    enum method how = method_of(data, len);
    struct sink s = { .max = max_out, .hint = how == M_NONE ? 0 : size_hint(data, len, max_out) };
    bool ok = how == M_GZIP ? un_gzip(data, len, &s) : how == M_XZ ? un_xz(data, len, &s) :
              how == M_LZ4 ? un_lz4(data, len, &s) : how == M_ZSTD && un_zstd(data, len, &s);
    *out = s.b;
    if (ok && s.b.size <= max_out)
        return SVMEMU_OK;
    free(s.b.data);
    *out = (struct blob){ 0 };
    return LOAD_FAIL(l, SVMEMU_FORMAT, "the %s data are broken, cut off or too large (%zu bytes in, stopped after %zu bytes out)", names[how],
                     len, s.b.size);
}
