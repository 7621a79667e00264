// SPDX-License-Identifier: MIT
/* The VMCB page as a union of its fields, and what the field table gives: look-up, access, printing, difference. */
#ifndef SVMEMU_SVM_VMCB_H
#define SVMEMU_SVM_VMCB_H

#include "base/bits.h"
#include "base/ids.h"

/* Bits of VMCB_CLEAN [APM2 15.15]. NEVER: no clean bit covers the field. */
enum vmcb_group {
    VMCB_GROUP_I,
    VMCB_GROUP_IOPM,
    VMCB_GROUP_ASID,
    VMCB_GROUP_TPR,
    VMCB_GROUP_NP,
    VMCB_GROUP_CRX,
    VMCB_GROUP_DRX,
    VMCB_GROUP_DT,
    VMCB_GROUP_SEG,
    VMCB_GROUP_CR2,
    VMCB_GROUP_LBR,
    VMCB_GROUP_AVIC,
    VMCB_GROUP_CET,
    VMCB_GROUP_NEVER,
};
#define VMCB_GROUPS ((1u << VMCB_GROUP_NEVER) - 1)
enum vmcb_move { VMCB_MOVE_NO, VMCB_MOVE_YES, VMCB_MOVE_COND, VMCB_MOVE_VMLOAD };

struct vmcb_u15 {
    u8 b[15];
};
#define VMCB_TYPE_1  u8
#define VMCB_TYPE_2  u16
#define VMCB_TYPE_4  u32
#define VMCB_TYPE_8  u64
#define VMCB_TYPE_15 struct vmcb_u15

/* Each field is a member at its own offset of a 4-KiB page; no padding is typed by hand. */
union vmcb {
    u8 raw[PAGE_SIZE];
#define FIELD(off, width, name, ...)                                                                                   \
    struct __attribute__((packed)) {                                                                                   \
        u8 skip_##name[off];                                                                                           \
        VMCB_TYPE_##width name;                                                                                        \
    };
#include "svm/vmcb.def"
#undef FIELD
};
#define FIELD(off, width, name, ...)                                                                                   \
    _Static_assert(offsetof(union vmcb, name) == (off) && sizeof(((union vmcb *)0)->name) == (width), #name);
#include "svm/vmcb.def"
#undef FIELD
_Static_assert(sizeof(union vmcb) == PAGE_SIZE, "a VMCB is one page");

/* Bits of int_ctl, np_ctl, virt_ext and of EVENTINJ and EXITINTINFO. */
enum {
    INT_CTL_V_IRQ = 1 << 8,
    INT_CTL_V_GIF = 1 << 9,
    INT_CTL_V_NMI = 1 << 11,
    INT_CTL_V_NMI_MASK = 1 << 12,
    INT_CTL_V_IGN_TPR = 1 << 20,
    INT_CTL_V_INTR_MASKING = 1 << 24,
    INT_CTL_V_GIF_ENABLE = 1 << 25,
    INT_CTL_V_NMI_ENABLE = 1 << 26,
    INT_CTL_X2AVIC = 1 << 30
};
#define INT_CTL_AVIC (1u << 31)
#define VMCB_PAGE_POINTER 0x000FFFFFFFFFF000ull /* bits 51:12 of a pointer to a page */
enum { NP_CTL_NP = 1 << 0, NP_CTL_SEV = 1 << 1, NP_CTL_SEV_ES = 1 << 2, NP_CTL_GMET = 1 << 3, NP_CTL_SSS = 1 << 4, NP_CTL_ROGPT = 1 << 6, NP_CTL_INVLPGB = 1 << 7, NP_CTL_PML = 1 << 11 };
enum { VIRT_EXT_LBR = 1 << 0, VIRT_EXT_VMLOAD = 1 << 1 };
#define INJ_V  (1ull << 31)
#define INJ_EV (1ull << 11)
enum { INJ_INTR = 0, INJ_NMI = 2, INJ_EXC = 3, INJ_SOFT = 4 };
enum { TLB_NOTHING = 0, TLB_FLUSH_ALL = 1, TLB_FLUSH_ASID = 3, TLB_FLUSH_ASID_NONGLOBAL = 7 };

/* A field or a named part of one. */
struct vmcb_field {
    const char *name;
    const char *section;
    u16 offset;
    u8 width;  /* bytes of the field that holds it */
    u8 hi, lo; /* bits; a whole field has lo 0 and hi 8 * width - 1 (the 15 instruction bytes: 119) */
    u8 group, loaded, stored;
    u16 feature; /* enum feat_id */
    bool part;
};
extern const struct vmcb_field vmcb_fields[];
extern const unsigned vmcb_field_count;

const struct vmcb_field *vmcb_field_find(const char *name);          /* NULL: no such field */
u64 vmcb_field_get(const union vmcb *v, const struct vmcb_field *f); /* of longer fields the first 8 bytes */
void vmcb_field_set(union vmcb *v, const struct vmcb_field *f, u64 value);
/* "offset name=value  (parts)" without a newline; length as snprintf. */
size_t vmcb_print_field(const union vmcb *v, const struct vmcb_field *f, char *buf, size_t size);
/* Such lines of all fields (or those not zero); returns the length needed as snprintf does. */
size_t vmcb_print(const union vmcb *v, bool all, char *buf, size_t size);
/* Calls f for each whole field that differs; returns how many do. */
unsigned vmcb_diff(const union vmcb *a, const union vmcb *b,
                   void (*f)(void *ctx, const struct vmcb_field *field, u64 va, u64 vb), void *ctx);

#endif
