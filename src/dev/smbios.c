// SPDX-License-Identifier: MIT
#include "dev/smbios.h"

#include "base/bits.h"

enum { HANDLE_BIOS = 0x0000, HANDLE_SYSTEM = 0x0100, HANDLE_CHASSIS = 0x0300, HANDLE_CPU = 0x0400, HANDLE_ARRAY = 0x1000,
       HANDLE_MEMORY = 0x1100, HANDLE_RANGE = 0x1300, HANDLE_BOOT = 0x2000, HANDLE_END = 0x7F00 };
#define NO_HANDLE 0xFFFFu
#define NO_ERROR_HANDLE 0xFFFEu

/* A structure being written: a formatted area of `len` bytes, then its strings. */
struct record {
    struct smbios *out;
    unsigned start;
    u8 strings;
};

static struct record begin(struct smbios *s, u8 type, u8 len, u16 handle)
{
    struct record r = { .out = s, .start = s->len };
    u8 *p = s->table + s->len;
    memset(p, 0, len);
    p[0] = type;
    p[1] = len;
    store_le(p + 2, 2, handle);
    s->len += len;
    return r;
}

static void set(struct record *r, unsigned at, unsigned width, u64 v)
{
    store_le(r->out->table + r->start + at, width, v);
}

/* Appends a string; the byte at `at` holds its number. Strings are short and ours, but a processor's name may have padding. */
static void set_string(struct record *r, unsigned at, const char *text)
{
    struct smbios *s = r->out;
    while (*text == ' ')
        text++;
    size_t n = strlen(text);
    if (!n)
        return;
    if (n > 63)
        n = 63;
    memcpy(s->table + s->len, text, n);
    s->table[s->len + n] = 0;
    s->len += (unsigned)n + 1;
    set(r, at, 1, ++r->strings);
}

static void end(struct record *r)
{
    struct smbios *s = r->out;
    unsigned zeros = r->strings ? 1 : 2; /* the set of strings ends with an empty one, and is never quite empty */
    memset(s->table + s->len, 0, zeros);
    s->len += zeros;
    s->count++;
    if (s->len - r->start > s->longest)
        s->longest = s->len - r->start;
}

static void put_bios(struct smbios *s)
{
    struct record r = begin(s, 0, 24, HANDLE_BIOS);
    set_string(&r, 4, "svmemu");
    set_string(&r, 5, "1");
    set(&r, 6, 2, 0xF000);            /* segment */
    set_string(&r, 8, "01/01/2024");
    set(&r, 10, 8, 1u << 3);          /* BIOS characteristics are not supported */
    set(&r, 18, 2, 0x1401);           /* ACPI; a virtual machine, content as in 3.1.2.3 */
    set(&r, 20, 4, 0xFFFF0000u | 1);  /* release 1.0; no embedded controller */
    end(&r);
}

static void put_system(struct smbios *s)
{
    struct record r = begin(s, 1, 27, HANDLE_SYSTEM);
    set_string(&r, 4, "svmemu");
    set_string(&r, 5, "PC");
    set_string(&r, 6, "1");
    set(&r, 24, 1, 6); /* woken by the power switch; the UUID is absent: zero */
    end(&r);
}

static void put_chassis(struct smbios *s)
{
    struct record r = begin(s, 3, 22, HANDLE_CHASSIS);
    set_string(&r, 4, "svmemu");
    set(&r, 5, 1, 1);      /* other */
    set(&r, 9, 4, 0x02030303); /* boot-up, power and thermal state safe; security unknown */
    end(&r);
}

static void put_processor(struct smbios *s, const struct smbios_cfg *c)
{
    struct record r = begin(s, 4, 42, HANDLE_CPU);
    u8 count = (u8)(c->cpus < 255 ? c->cpus : 255);
    set_string(&r, 4, "CPU 0");
    set(&r, 5, 1, 3);            /* central processor */
    set(&r, 6, 1, 1);            /* family: other */
    set_string(&r, 7, c->vendor);
    set(&r, 8, 4, c->signature);
    set(&r, 12, 4, c->features);
    set_string(&r, 16, c->model);
    set(&r, 20, 2, c->mhz);      /* at most */
    set(&r, 22, 2, c->mhz);      /* now */
    set(&r, 24, 1, 0x41);        /* socket populated, enabled */
    set(&r, 25, 1, 1);           /* upgrade: other */
    set(&r, 26, 2, NO_HANDLE);   /* caches are not described */
    set(&r, 28, 2, NO_HANDLE);
    set(&r, 30, 2, NO_HANDLE);
    set(&r, 35, 1, count);       /* cores, enabled ones, threads */
    set(&r, 36, 1, count);
    set(&r, 37, 1, count);
    set(&r, 38, 2, 1u << 2);     /* 64 bits */
    set(&r, 40, 2, 1);
    end(&r);
}

static void put_array(struct smbios *s, u64 bytes)
{
    struct record r = begin(s, 16, 23, HANDLE_ARRAY);
    u64 kib = bytes >> 10;
    set(&r, 4, 1, 3);            /* on the system board */
    set(&r, 5, 1, 3);            /* system memory */
    set(&r, 6, 1, 3);            /* no error correction */
    set(&r, 7, 4, kib < 0x80000000u ? kib : 0x80000000u);
    set(&r, 11, 2, NO_ERROR_HANDLE);
    set(&r, 13, 2, 1);
    set(&r, 15, 8, kib < 0x80000000u ? 0 : bytes);
    end(&r);
}

static void put_memory(struct smbios *s, u64 bytes)
{
    struct record r = begin(s, 17, 40, HANDLE_MEMORY);
    u64 kib = bytes >> 10, mib = bytes >> 20;
    set(&r, 4, 2, HANDLE_ARRAY);
    set(&r, 6, 2, NO_ERROR_HANDLE);
    set(&r, 8, 2, 64);
    set(&r, 10, 2, 64);
    if (mib << 10 != kib && kib < 0x7FFF)
        set(&r, 12, 2, 0x8000 | kib);
    else
        set(&r, 12, 2, mib < 0x7FFF ? mib : 0x7FFF);
    set(&r, 14, 1, 9);           /* DIMM */
    set_string(&r, 16, "DIMM 0");
    set(&r, 18, 1, 7);           /* RAM */
    set(&r, 19, 2, 2);           /* detail: other */
    set(&r, 28, 4, mib < 0x7FFF ? 0 : mib);
    end(&r);
}

static void put_range(struct smbios *s, unsigned n, u64 start, u64 bytes)
{
    struct record r = begin(s, 19, 31, (u16)(HANDLE_RANGE + n));
    u64 last = start + bytes - 1;
    bool wide = last >> 10 >= UINT32_MAX;
    set(&r, 4, 4, wide ? UINT32_MAX : start >> 10);
    set(&r, 8, 4, wide ? UINT32_MAX : last >> 10);
    set(&r, 12, 2, HANDLE_ARRAY);
    set(&r, 14, 1, 1);
    set(&r, 15, 8, wide ? start : 0);
    set(&r, 23, 8, wide ? last : 0);
    end(&r);
}

void smbios_build(const struct smbios_cfg *cfg, struct smbios *out)
{
    struct record r;
    *out = (struct smbios){ 0 };
    put_bios(out);
    put_system(out);
    put_chassis(out);
    put_processor(out, cfg);
    put_array(out, cfg->low_ram + cfg->high_ram);
    put_memory(out, cfg->low_ram + cfg->high_ram);
    if (cfg->low_ram)
        put_range(out, 0, 0, cfg->low_ram);
    if (cfg->high_ram)
        put_range(out, 1, 1ull << 32, cfg->high_ram);
    r = begin(out, 32, 11, HANDLE_BOOT); /* no errors detected */
    end(&r);
    r = begin(out, 127, 4, HANDLE_END);
    end(&r);
}

static void set_sum(u8 *p, unsigned len, unsigned at)
{
    u8 sum = 0;
    p[at] = 0;
    for (unsigned i = 0; i < len; i++)
        sum = (u8)(sum + p[i]);
    p[at] = (u8)-sum;
}

void smbios_anchor_21(const struct smbios *s, u32 table_spa, u8 out[SMBIOS_ANCHOR_21])
{
    memset(out, 0, SMBIOS_ANCHOR_21);
    memcpy(out, "_SM_", 4);
    out[5] = SMBIOS_ANCHOR_21;
    out[6] = 2; /* 2.8 */
    out[7] = 8;
    store_le(out + 8, 2, s->longest);
    memcpy(out + 16, "_DMI_", 5);
    store_le(out + 22, 2, s->len);
    store_le(out + 24, 4, table_spa);
    store_le(out + 28, 2, s->count);
    out[30] = 0x28;
    set_sum(out + 16, 15, 5);
    set_sum(out, SMBIOS_ANCHOR_21, 4);
}

void smbios_anchor_30(const struct smbios *s, u64 table_spa, u8 out[SMBIOS_ANCHOR_30])
{
    memset(out, 0, SMBIOS_ANCHOR_30);
    memcpy(out, "_SM3_", 5);
    out[6] = SMBIOS_ANCHOR_30;
    out[7] = 3; /* 3.0.0 */
    out[10] = 1;
    store_le(out + 12, 4, s->len);
    store_le(out + 16, 8, table_spa);
    set_sum(out, SMBIOS_ANCHOR_30, 5);
}
