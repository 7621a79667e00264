// SPDX-License-Identifier: MIT
/* The field table and the loops over it. */
#include "svm/vmcb.h"

#include <stdio.h>

enum { GROUP_OF_PART = VMCB_GROUP_NEVER };

const struct vmcb_field vmcb_fields[] = {
#define FIELD(off, width, name, group, loaded, stored, feature, section)                                               \
    {#name,                                                                                                            \
     "APM2 " section,                                                                                                  \
     off,                                                                                                              \
     width,                                                                                                            \
     8 * (width)-1,                                                                                                    \
     0,                                                                                                                \
     VMCB_GROUP_##group,                                                                                               \
     VMCB_MOVE_##loaded,                                                                                               \
     VMCB_MOVE_##stored,                                                                                               \
     FEAT_##feature,                                                                                                   \
     false},
#include "svm/vmcb.def"
#undef FIELD
/* A part moves as its field does; its own columns are the ones that add something. */
#define PART(field, hi, lo, name, feature, section)                                                                    \
    {#name,                                                                                                            \
     "APM2 " section,                                                                                                  \
     offsetof(union vmcb, field),                                                                                      \
     sizeof(((union vmcb *)0)->field),                                                                                 \
     hi,                                                                                                               \
     lo,                                                                                                               \
     GROUP_OF_PART,                                                                                                    \
     VMCB_MOVE_NO,                                                                                                     \
     VMCB_MOVE_NO,                                                                                                     \
     FEAT_##feature,                                                                                                   \
     true},
#include "svm/vmcb.def"
#undef PART
};
const unsigned vmcb_field_count = ARRAY_LEN(vmcb_fields);

const struct vmcb_field *vmcb_field_find(const char *name)
{
    for (unsigned i = 0; i < vmcb_field_count; i++)
        if (!strcmp(vmcb_fields[i].name, name))
            return &vmcb_fields[i];
    return NULL;
}

u64 vmcb_field_get(const union vmcb *v, const struct vmcb_field *f)
{
    unsigned width = f->width > 8 ? 8 : f->width;
    unsigned hi = f->hi > 63 ? 63 : f->hi;
    return bits(load_le(v->raw + f->offset, width), hi, f->lo);
}

void vmcb_field_set(union vmcb *v, const struct vmcb_field *f, u64 value)
{
    unsigned width = f->width > 8 ? 8 : f->width;
    unsigned hi = f->hi > 63 ? 63 : f->hi;
    u64 mask = (~0ull >> (63 - (hi - f->lo))) << f->lo;
    u64 old = load_le(v->raw + f->offset, width);
    store_le(v->raw + f->offset, width, (old & ~mask) | (value << f->lo & mask));
}

static size_t print_one(const union vmcb *v, const struct vmcb_field *f, char *buf, size_t size)
{
    if (f->width <= 8)
        return (size_t)snprintf(buf, size, "%03X %s=%llX\n", f->offset, f->name,
                                (unsigned long long)vmcb_field_get(v, f));
    size_t n = (size_t)snprintf(buf, size, "%03X %s=", f->offset, f->name);
    for (unsigned i = 0; i < f->width; i++)
        n += (size_t)snprintf(n < size ? buf + n : NULL, n < size ? size - n : 0, "%02X", v->raw[f->offset + i]);
    n += (size_t)snprintf(n < size ? buf + n : NULL, n < size ? size - n : 0, "\n");
    return n;
}

static bool field_is_zero(const union vmcb *v, const struct vmcb_field *f)
{
    for (unsigned i = 0; i < f->width; i++)
        if (v->raw[f->offset + i])
            return false;
    return true;
}

size_t vmcb_print(const union vmcb *v, bool all, char *buf, size_t size)
{
    size_t n = 0;
    if (size)
        buf[0] = 0;
    for (unsigned i = 0; i < vmcb_field_count; i++) {
        const struct vmcb_field *f = &vmcb_fields[i];
        if (f->part || (!all && field_is_zero(v, f)))
            continue;
        n += print_one(v, f, n < size ? buf + n : NULL, n < size ? size - n : 0);
    }
    return n;
}

unsigned vmcb_diff(const union vmcb *a, const union vmcb *b,
                   void (*f)(void *ctx, const struct vmcb_field *field, u64 va, u64 vb), void *ctx)
{
    unsigned n = 0;
    for (unsigned i = 0; i < vmcb_field_count; i++) {
        const struct vmcb_field *d = &vmcb_fields[i];
        if (d->part || !memcmp(a->raw + d->offset, b->raw + d->offset, d->width))
            continue;
        n++;
        if (f)
            f(ctx, d, vmcb_field_get(a, d), vmcb_field_get(b, d));
    }
    return n;
}
