// SPDX-License-Identifier: MIT
/* The field table and the loops over it. */
#include "svm/vmcb.h"

#include "svm/svm.h"
#include "svm/text.h"

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
/* Intercept bits, "icpt.HLT": those of words 3 and up by intercept.def, the three register words by number. */
#define BITS(name, field_offset, first, last, section)                                                                 \
    {name, "APM2 " section, field_offset, 4, last, first, GROUP_OF_PART, VMCB_MOVE_NO, VMCB_MOVE_NO, FEAT_NONE, true},
#define ICPT(id, word, bit, code, exit_name, section) BITS("icpt." #id, 4 * (word), bit, bit, section)
#include "svm/intercept.def"
#undef ICPT
#define ICPT_CR(n) BITS("icpt.CR" #n "_READ", 0, n, n, "15.8.1") BITS("icpt.CR" #n "_WRITE", 0, 16 + n, 16 + n, "15.8.1")
#define ICPT_DR(n) BITS("icpt.DR" #n "_READ", 4, n, n, "15.8.2") BITS("icpt.DR" #n "_WRITE", 4, 16 + n, 16 + n, "15.8.2")
#define ICPT_EX(n, name) BITS("icpt." name, 8, n, n, "15.12")
    ICPT_CR(0) ICPT_CR(2) ICPT_CR(3) ICPT_CR(4) ICPT_CR(8)
    ICPT_DR(0) ICPT_DR(1) ICPT_DR(2) ICPT_DR(3) ICPT_DR(4) ICPT_DR(5) ICPT_DR(6) ICPT_DR(7)
    ICPT_EX(0, "DE") ICPT_EX(1, "DB") ICPT_EX(3, "BP") ICPT_EX(4, "OF") ICPT_EX(5, "BR") ICPT_EX(6, "UD") ICPT_EX(7, "NM") ICPT_EX(8, "DF")
    ICPT_EX(10, "TS") ICPT_EX(11, "NP") ICPT_EX(12, "SS") ICPT_EX(13, "GP") ICPT_EX(14, "PF") ICPT_EX(16, "MF") ICPT_EX(17, "AC")
    ICPT_EX(18, "MC") ICPT_EX(19, "XF") ICPT_EX(21, "CP") ICPT_EX(28, "HV") ICPT_EX(29, "VC") ICPT_EX(30, "SX")
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

/* The named parts of a field that are not zero: a single bit by its name, wider ones as name=value. Those that are intercepts lose "icpt.". */
static void put_parts(struct text *t, const union vmcb *v, const struct vmcb_field *whole)
{
    const char *before = "  (";
    for (unsigned i = 0; i < vmcb_field_count; i++) {
        const struct vmcb_field *f = &vmcb_fields[i];
        u64 x;
        if (!f->part || f->offset != whole->offset || !(x = vmcb_field_get(v, f)))
            continue;
        const char *name = strncmp(f->name, "icpt.", 5) ? f->name : f->name + 5;
        put(t, f->hi == f->lo ? "%s%s" : "%s%s=%llX", before, name, (ull)x);
        before = " ";
    }
    if (*before == ' ' && !before[1])
        put(t, ")");
}

size_t vmcb_print_field(const union vmcb *v, const struct vmcb_field *f, char *buf, size_t size)
{
    struct text t = {buf, size, 0};
    if (size)
        buf[0] = 0;
    put(&t, "%03X %s=", f->offset, f->name);
    if (f->width <= 8)
        put(&t, "%llX", (ull)vmcb_field_get(v, f));
    else
        for (unsigned i = 0; i < f->width; i++)
            put(&t, "%02X", v->raw[f->offset + i]);
    if (f->offset == offsetof(union vmcb, exitcode) && svm_exit_name(v->exitcode))
        put(&t, "  (%s)", svm_exit_name(v->exitcode));
    else if (!f->part)
        put_parts(&t, v, f);
    return t.n;
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
        n += vmcb_print_field(v, f, n < size ? buf + n : NULL, n < size ? size - n : 0);
        if (n + 1 < size)
            buf[n] = '\n', buf[n + 1] = 0;
        n++;
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
