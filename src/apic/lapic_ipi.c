// SPDX-License-Identifier: MIT
/* Messages to local APICs: destinations, lowest priority, the ICR, what I/O APICs and PCI functions send.
 * [APM2 16.5, 16.6.1, 16.6.2, 16.13, 16.14] */
#include "apic/private.h"

#define ALL_NARROW 0xFFu
#define ALL_WIDE 0xFFFFFFFFu

/* ---- destinations ---- */

/* xAPIC logical ids: flat, or clusters of four of which number 15 is all [APM2 16.6.1]. */
static bool matches_ldr(const struct lapic *l, u8 dest)
{
    u8 mine = (u8)(l->s.ldr >> 24);
    if (l->s.dfr >> 28 == 0xF)
        return mine & dest;
    return (dest >> 4 == 0xF || dest >> 4 == mine >> 4) && (mine & dest & 0xF);
}

/* A narrow destination has 8 bits and cannot name an id above 254, in whatever mode its owner is. */
static bool matches(const struct lapic *l, u32 dest, bool logical, bool wide)
{
    if (dest == (wide ? ALL_WIDE : ALL_NARROW))
        return true;
    if (!logical)
        return dest == l->s.id; /* INIT, SIPI and NMI reach a CPU by its id even when its APIC is off */
    if (!hw_enabled(l))
        return false;
    if (x2_mode(l)) {
        u32 ldr = x2_ldr(l);
        return dest >> 16 == ldr >> 16 && (dest & ldr & 0xFFFF);
    }
    return matches_ldr(l, (u8)dest);
}

/* An APIC that has the vector pending or in service is the focus and takes it again, unless SVR.FCC says not to look [APM2 16.6.2]. */
static bool is_focus(const struct lapic *l, u8 vector)
{
    return !(l->s.svr & SVR_FOCUS_OFF) && (vec_get(l->s.irr, vector) || vec_get(l->s.isr, vector));
}

/* The focus, or the one with the lowest arbitration priority; among equals the lowest index. */
static int deliver_lowest(struct apic_bus *b, const struct lapic *except, u32 dest, bool logical, bool wide, u8 vector, bool level)
{
    struct lapic *best = NULL;
    for (int i = 0; i < b->count; i++) {
        struct lapic *l = b->cpus[i];
        if (!l || l == except || !sw_enabled(l) || !matches(l, dest, logical, wide))
            continue;
        if (is_focus(l, vector)) {
            best = l;
            break;
        }
        if (!best || lapic_apr(l) < lapic_apr(best))
            best = l;
    }
    return best && lapic_accept(best, APIC_FIXED, vector, level);
}

int apic_bus_deliver(struct apic_bus *b, u32 dest, bool logical, bool wide, enum apic_mode mode, u8 vector,
                     bool level_triggered)
{
    int n = 0;
    if (mode == APIC_LOWEST)
        return deliver_lowest(b, NULL, dest, logical, wide, vector, level_triggered);
    for (int i = 0; i < b->count; i++)
        if (b->cpus[i] && matches(b->cpus[i], dest, logical, wide))
            n += lapic_accept(b->cpus[i], mode, vector, level_triggered);
    return n;
}

/* Messages from PCI functions [PCI 3.0 6.8.1]. Address: 19:12 destination, 3 redirection hint, 2 logical, 4 the format of an interrupt
 * remapper, which there is none of. Data: 15 level-triggered, 14 assert, 10:8 mode, 7:0 vector. */
int apic_bus_msi(struct apic_bus *b, u64 spa, u32 data)
{
    enum apic_mode mode = (enum apic_mode)(data >> 8 & 7);
    bool level = data >> 15 & 1, logical = spa >> 2 & 1, hint = spa >> 3 & 1;
    if (spa >> 20 != APIC_MSI_SPA >> 20 || (spa >> 4 & 1))
        return 0;
    if ((level && !(data >> 14 & 1)) || mode == APIC_REMOTE_READ || mode == APIC_SIPI)
        return 0; /* de-assertions have no receiver, the two modes are reserved */
    if (mode == APIC_FIXED && hint)
        mode = APIC_LOWEST;
    return apic_bus_deliver(b, (u8)(spa >> 12), logical, false, mode, (u8)data, level);
}

/* ---- the interrupt command register ---- */

static void remote_read(struct lapic *l, u32 dest, bool wide, unsigned reg)
{
    l->s.icr_lo &= ~(3u << 16);
    for (int i = 0; i < l->bus->count; i++) {
        struct lapic *t = l->bus->cpus[i];
        if (t && hw_enabled(t) && matches(t, dest, false, wide)) {
            l->s.remote_read = lapic_reg_read(t, reg << 4);
            l->s.icr_lo |= 2u << 16; /* delivered */
            return;
        }
    }
}

enum shorthand { TO_DESTINATION, TO_SELF, TO_ALL, TO_OTHERS };

static void send_to_many(struct lapic *l, enum shorthand to, enum apic_mode mode, u8 vector, bool level)
{
    const struct lapic *except = to == TO_OTHERS ? l : NULL;
    if (mode == APIC_LOWEST) {
        deliver_lowest(l->bus, except, ALL_NARROW, false, false, vector, level);
        return;
    }
    for (int i = 0; i < l->bus->count; i++)
        if (l->bus->cpus[i] && l->bus->cpus[i] != except)
            lapic_accept(l->bus->cpus[i], mode, vector, level);
}

void lapic_send_ipi(struct lapic *l)
{
    u32 lo = l->s.icr_lo;
    enum apic_mode mode = (enum apic_mode)(lo >> 8 & 7);
    enum shorthand to = (enum shorthand)(lo >> 18 & 3);
    bool wide = x2_mode(l), level = lo >> 15 & 1, addressed = mode == APIC_FIXED || mode == APIC_LOWEST;
    u32 dest = wide ? l->s.icr_hi : l->s.icr_hi >> 24;
    u8 vector = (u8)lo;

    if (mode == APIC_INIT && level && !(lo & 1u << 14))
        return; /* INIT level de-assert: no effect [APM2 16.5] */
    if (addressed && vector < 16) {
        lapic_error(l, ESR_SEND_ILLEGAL);
        return;
    }
    if (mode == APIC_REMOTE_READ) {
        if (to == TO_DESTINATION)
            remote_read(l, dest, wide, vector & 0x3F);
        return;
    }
    if (mode == APIC_EXTINT)
        return; /* reserved as a message from here */
    level = level && addressed; /* sets the receiver's TMR bit */
    if (to == TO_DESTINATION) {
        int n = apic_bus_deliver(l->bus, dest, lo >> 11 & 1, wide, mode, vector, level);
        if (!n && dest != (wide ? ALL_WIDE : ALL_NARROW))
            lapic_error(l, ESR_SEND_ACCEPT);
    } else if (to == TO_SELF) {
        if (mode == APIC_FIXED) /* the only mode that this shorthand has */
            lapic_accept(l, APIC_FIXED, vector, level);
    } else {
        send_to_many(l, to, mode, vector, level);
    }
}
