// SPDX-License-Identifier: MIT
/* The host as a small kernel: interrupts and exceptions counted by vector, its local APIC. 64-bit programs only. */
#ifndef SVM_TESTS_HOST_H
#define SVM_TESTS_HOST_H

#include "vm.h"

enum { VECTOR_DB = 1, VECTOR_NMI = 2, VECTOR_SX = 30 };
enum { RFLAGS_TF = 1 << 8, RFLAGS_IF = 1 << 9, RFLAGS_RF = 1 << 16 };
enum { VM_CR_R_INIT = 1 << 1, VM_CR_DIS_A20M = 1 << 2, VM_CR_LOCK = 1 << 3, VM_CR_SVMDIS = 1 << 4, MSR_SVM_KEY = 0xc0010118 };
/* Local APIC registers, as offsets from its page. */
enum { APIC_ID = 0x20, APIC_TPR = 0x80, APIC_EOI = 0xb0, APIC_SVR = 0xf0, APIC_IRR = 0x200, APIC_ICR = 0x300, APIC_ICR2 = 0x310,
       APIC_LVT_TIMER = 0x320, APIC_TIMER_COUNT = 0x380, APIC_TIMER_DIVIDE = 0x3e0 };
enum { ICR_FIXED = 0, ICR_NMI = 4 << 8, ICR_INIT = 5 << 8, ICR_STARTUP = 6 << 8, ICR_ASSERT = 1 << 14, ICR_SELF = 1 << 18 };
#define APIC_BASE 0xfee00000ull

/* What arrived since host_events_reset(); one set for each processor's APIC id. */
struct host_seen {
    volatile u32 count[256];
    volatile u64 rip, error, dr6; /* of the last one */
};
extern struct host_seen host_seen[4];

/* The IDT of this processor, its APIC on, the 8259s masked. Exceptions other than #DB, NMI and #SX, and those of try_*(), end the run
 * as failed. Interrupts are off. */
void host_events_init(void);
void host_events_reset(void);

/* RDMSR, WRMSR and VMRUN that may fault; host_fault is the vector then, -1 where there was none. */
extern volatile int host_fault;
u64 try_rdmsr(u32 msr);
int try_wrmsr(u32 msr, u64 value);
int try_vmrun(const struct vmcb *vmcb);

u32 apic_read(unsigned reg);
void apic_write(unsigned reg, u32 value);
unsigned apic_id(void);
/* Interrupt command to one APIC id: ICR_* with a vector. */
void apic_send(unsigned id, u32 command);

static inline void sti(void) { __asm__ volatile("sti; nop" : : : "memory"); }
static inline void cli(void) { __asm__ volatile("cli" : : : "memory"); }
static inline void clgi(void) { __asm__ volatile("clgi" : : : "memory"); }
static inline void stgi(void) { __asm__ volatile("stgi" : : : "memory"); }

/* ---- more processors: lib/smp.c ---- */

/* Starts the processor with this APIC id; it waits for work. */
void smp_start(unsigned id);
/* Lets it run `work` and returns at once; smp_wait() waits until it is done. */
void smp_run(unsigned id, void (*work)(void));
void smp_wait(unsigned id);
bool smp_done(unsigned id);

#endif
