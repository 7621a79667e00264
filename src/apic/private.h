// SPDX-License-Identifier: MIT
/* Shared by the files of the local APIC: register offsets, their bits, and steps that cross the chapter's sections. */
#ifndef SVMEMU_APIC_PRIVATE_H
#define SVMEMU_APIC_PRIVATE_H

#include "apic/lapic.h"
#include "base/bits.h"

enum {
    R_ID = 0x20, R_VER = 0x30, R_TPR = 0x80, R_APR = 0x90, R_PPR = 0xA0, R_EOI = 0xB0, R_RRD = 0xC0, R_LDR = 0xD0,
    R_DFR = 0xE0, R_SVR = 0xF0, R_ISR = 0x100, R_TMR = 0x180, R_IRR = 0x200, R_ESR = 0x280, R_ICR_LO = 0x300,
    R_ICR_HI = 0x310, R_LVT = 0x320, R_INITIAL = 0x380, R_CURRENT = 0x390, R_DCR = 0x3E0,
    R_EXT_FEATURE = 0x400, R_EXT_CTL = 0x410, R_SEOI = 0x420, R_IER = 0x480, R_EILVT = 0x500,
    X2_SELF_IPI = 0x3F0,
};
/* Error status [APM2 16.4.6]. */
enum { ESR_SEND_ACCEPT = 1 << 2, ESR_SEND_ILLEGAL = 1 << 5, ESR_RECV_ILLEGAL = 1 << 6, ESR_ILLEGAL_REG = 1 << 7 };
#define LVT_MASKED (1u << 16)
#define LVT_LEVEL (1u << 15)
#define LVT_REMOTE_IRR (1u << 14)
#define LVT_LOW (1u << 13)
#define LVT_PENDING (1u << 12)
#define SVR_ENABLE (1u << 8)
#define SVR_FOCUS_OFF (1u << 9)
#define ICR_PENDING (1u << 12)
#define TIMER_MODE(lvt) ((lvt) >> 17 & 3)
enum { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_DEADLINE };

static inline bool hw_enabled(const struct lapic *l) { return l->s.base & APIC_BASE_EN; }
static inline bool x2_mode(const struct lapic *l) { return hw_enabled(l) && (l->s.base & APIC_BASE_EXTD); }
static inline bool sw_enabled(const struct lapic *l) { return hw_enabled(l) && (l->s.svr & SVR_ENABLE); }
/* In x2APIC mode the logical id follows from the id: cluster in the high half, one bit for each of 16 members [APM2 16.14]. */
static inline u32 x2_ldr(const struct lapic *l) { return (l->s.id >> 4) << 16 | 1u << (l->s.id & 15); }

static inline bool vec_get(const u32 *r, unsigned v) { return r[v >> 5] >> (v & 31) & 1; }
static inline void vec_set(u32 *r, unsigned v, bool on)
{
    if (on)
        r[v >> 5] |= 1u << (v & 31);
    else
        r[v >> 5] &= ~(1u << (v & 31));
}

/* lapic.c */
int lapic_vec_highest(const u32 *r, const u32 *mask); /* -1: none; mask may be NULL */
u8 lapic_apr(const struct lapic *l);
void lapic_update(struct lapic *l);                   /* the INTR output follows IRR, ISR, TPR and the pins */
void lapic_error(struct lapic *l, u32 bit);
bool lapic_accept(struct lapic *l, enum apic_mode mode, u8 vector, bool level_triggered); /* false: not accepted */
void lapic_eoi(struct lapic *l, int vector);          /* vector not in service, or -1: nothing */
/* lapic_timer.c */
u32 lapic_timer_count(const struct lapic *l);
void lapic_timer_start(struct lapic *l);
void lapic_timer_arm(struct lapic *l);
void lapic_timer_fire(void *lapic);
void lapic_write_lvt_timer(struct lapic *l, u32 v);
void lapic_write_dcr(struct lapic *l, u32 v);
/* lapic_ipi.c */
void lapic_send_ipi(struct lapic *l);

#endif
