// SPDX-License-Identifier: MIT
/* AVIC: interprocessor interrupts through the physical and logical APIC id tables. [APM2 15.29.4.3, 15.29.6, 15.29.9.1]
 *
 * All targets are looked at before the first one gets anything: an IPI that fails for an unsupported kind or an invalid target has not
 * happened, and the hypervisor does the whole of it. One that finds a target not running has set all the request bits. */
#include "svm/avic.h"

/* EXITINFO2[63:32] of AVIC_INCOMPLETE_IPI. */
enum failure { INVALID_TYPE, NOT_RUNNING, INVALID_TARGET, INVALID_PAGE, INVALID_VECTOR };

#define ENTRY_VALID (1ull << 63)
#define ENTRY_RUNNING (1ull << 62)
#define LOGICAL_VALID (1u << 31)
enum { TO_DESTINATION, TO_SELF, TO_ALL, TO_OTHERS };

struct ipi {
    struct vcpu *c;
    u64 icr;
    u8 vector;
    bool deliver; /* second pass: all targets are valid */
    int stopped;  /* index of the first target that does not run, -1: none */
};

static void fail(struct ipi *p, enum failure id, u32 index)
{
    svm_avic_trap(p->c, VMEXIT_AVIC_INCOMPLETE_IPI, p->icr, (u64)id << 32 | (index & 0xFFF));
}

static u64 entry_of(const struct ipi *p, u32 index)
{
    return phys_read_le(&p->c->view, (struct spa){ p->c->svm->avic.physical + 8 * (u64)index }, 8);
}

/* One target by its index in the physical id table; false: failed. */
static bool to_entry(struct ipi *p, u32 index, u64 entry)
{
    struct vcpu *c = p->c;
    u64 page = entry & VMCB_PAGE_POINTER;
    if (!p->deliver) {
        if (page >> c->mmu.r.maxphys) {
            fail(p, INVALID_PAGE, index);
            return false;
        }
        return true;
    }
    unsigned at = vapic_vec(VAPIC_IRR, p->vector);
    vapic_set(c, page, at, vapic_get(c, page, at) | 1u << (p->vector & 31));
    if (entry & ENTRY_RUNNING)
        c->ops->avic_doorbell(c->ops->ctx, (u32)(entry & 0xFFF));
    else if (p->stopped < 0)
        p->stopped = (int)index;
    return true;
}

static bool to_physical(struct ipi *p, u32 id)
{
    u64 entry = id <= p->c->svm->avic.max_index ? entry_of(p, id) : 0;
    if (entry & ENTRY_VALID)
        return to_entry(p, id, entry);
    fail(p, INVALID_TARGET, id);
    return false;
}

/* Every valid entry of the table: those of processors that do not exist are passed over. */
static bool to_every(struct ipi *p, u32 except)
{
    for (u32 i = 0; i <= p->c->svm->avic.max_index; i++) {
        u64 entry = entry_of(p, i);
        if (i != except && (entry & ENTRY_VALID) && !to_entry(p, i, entry))
            return false;
    }
    return true;
}

static bool to_logical_entry(struct ipi *p, u32 index)
{
    u32 e = (u32)phys_read_le(&p->c->view, (struct spa){ p->c->svm->avic.logical + 4 * (u64)index }, 4);
    u32 id = e & 0xFF;
    u64 entry = (e & LOGICAL_VALID) && id <= p->c->svm->avic.max_index ? entry_of(p, id) : 0;
    if (entry & ENTRY_VALID)
        return to_entry(p, id, entry);
    fail(p, INVALID_TARGET, index);
    return false;
}

/* Flat: an entry for each of 8 bits. Clusters: four entries each, 15 clusters. */
static bool to_logical(struct ipi *p, u8 dest)
{
    bool flat = vapic_get(p->c, p->c->svm->avic.page, VAPIC_DFR) >> 28 == 0xF;
    u32 base = flat ? 0 : (u32)(dest >> 4) * 4, bits = flat ? dest : dest & 0xFu;
    for (; bits; bits &= bits - 1)
        if (!to_logical_entry(p, base + (u32)__builtin_ctz(bits)))
            return false;
    return true;
}

/* x2APIC logical ids follow from the ids: no table. */
static bool to_x2_cluster(struct ipi *p, u32 dest)
{
    for (u32 bits = dest & 0xFFFF; bits; bits &= bits - 1)
        if (!to_physical(p, (dest >> 16) * 16 + (u32)__builtin_ctz(bits)))
            return false;
    return true;
}

static bool to_targets(struct ipi *p)
{
    const struct svm_avic *a = &p->c->svm->avic;
    unsigned to = p->icr >> 18 & 3;
    u32 id = vapic_get(p->c, a->page, VAPIC_ID), dest = (u32)(p->icr >> 32);
    if (!a->x2) {
        id >>= 24;
        dest >>= 24;
    }
    if (to == TO_OTHERS)
        return to_every(p, id);
    if (to == TO_ALL || dest == (a->x2 ? 0xFFFFFFFFu : 0xFFu))
        return to_every(p, ~0u);
    if (!(p->icr >> 11 & 1))
        return to_physical(p, dest);
    return a->x2 ? to_x2_cluster(p, dest) : to_logical(p, (u8)dest);
}

void svm_avic_send(struct vcpu *c, u64 icr)
{
    struct ipi p = { .c = c, .icr = icr, .vector = (u8)icr, .stopped = -1 };
    bool fixed = (icr >> 8 & 7) == 0, level = icr >> 15 & 1;
    if (!fixed || level) {
        fail(&p, INVALID_TYPE, 0);
    } else if (p.vector < 16) {
        fail(&p, INVALID_VECTOR, 0);
    } else if ((icr >> 18 & 3) == TO_SELF) {
        unsigned at = vapic_vec(VAPIC_IRR, p.vector);
        vapic_set(c, c->svm->avic.page, at, vapic_get(c, c->svm->avic.page, at) | 1u << (p.vector & 31));
        svm_avic_evaluate(c);
    } else if (to_targets(&p)) {
        p.deliver = true;
        to_targets(&p);
        if (p.stopped >= 0)
            fail(&p, NOT_RUNNING, (u32)p.stopped);
    }
}
