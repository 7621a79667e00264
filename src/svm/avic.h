// SPDX-License-Identifier: MIT
/* Advanced virtual interrupt controller: what its two files share and what the world switch calls. Of svm only. [APM2 15.29] */
#ifndef SVMEMU_SVM_AVIC_H
#define SVMEMU_SVM_AVIC_H

#include "svm/svm.h"

/* Offsets in the virtual APIC backing page: the APIC's own. */
enum {
    VAPIC_ID = 0x20, VAPIC_TPR = 0x80, VAPIC_PPR = 0xA0, VAPIC_EOI = 0xB0, VAPIC_LDR = 0xD0, VAPIC_DFR = 0xE0, VAPIC_ISR = 0x100,
    VAPIC_TMR = 0x180, VAPIC_IRR = 0x200, VAPIC_ICR = 0x300, VAPIC_ICR_HI = 0x310, VAPIC_SELF_IPI = 0x3F0,
};

void svm_avic_enter(struct vcpu *c, const union vmcb *v); /* AVIC_ENABLE is set; takes effect if the processor has AVIC */
void svm_avic_leave(struct vcpu *c);

/* Requests a trap-like exit: the running instruction completes first. */
void svm_avic_trap(struct vcpu *c, u64 code, u64 info1, u64 info2);
/* An ICR write has been stored: delivers it, or asks for AVIC_INCOMPLETE_IPI. */
void svm_avic_send(struct vcpu *c, u64 icr);

static inline u32 vapic_get(const struct vcpu *c, u64 page, unsigned off)
{
    return (u32)phys_read_le(&c->view, (struct spa){ page + off }, 4);
}
static inline void vapic_set(const struct vcpu *c, u64 page, unsigned off, u32 v)
{
    phys_write_le(&c->view, (struct spa){ page + off }, 4, v);
}
static inline unsigned vapic_vec(unsigned base, unsigned vector) { return base + (vector >> 5) * 16; } /* its word of ISR, TMR, IRR */

#endif
