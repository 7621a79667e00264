// SPDX-License-Identifier: MIT
/* Shared by the files of cpu/ and the system families of isa/: steps of segment loads, far transfers and mode changes. */
#ifndef SVMEMU_CPU_INTERNAL_H
#define SVMEMU_CPU_INTERNAL_H

#include "cpu/vcpu.h"

/* Descriptor words */
enum { DESC_A = 1 << 8, DESC_BUSY = 1 << 9, DESC_TYPE = 15 << 8, DESC_S = 1 << 12, DESC_P = 1 << 15, DESC_L = 1 << 21, DESC_D = 1 << 22 };
enum { SYS_TSS16 = 1, SYS_LDT = 2, SYS_TSS16_BUSY = 3, SYS_CALL16 = 4, SYS_TASK_GATE = 5, SYS_INT16 = 6, SYS_TRAP16 = 7,
       SYS_TSS = 9, SYS_TSS_BUSY = 11, SYS_CALL = 12, SYS_INT = 14, SYS_TRAP = 15 };
static inline unsigned desc_type(struct desc d) { return d.hi >> 8 & 15; }
static inline unsigned desc_dpl(struct desc d) { return d.hi >> 13 & 3; }
static inline bool desc_is_code(struct desc d) { return (d.hi & (DESC_S | 0x800)) == (DESC_S | 0x800); }
static inline bool desc_is_data(struct desc d) { return (d.hi & (DESC_S | 0x800)) == DESC_S; }
static inline bool desc_conforming(struct desc d) { return d.hi & 0x400; } /* of code */
static inline bool desc_writable(struct desc d) { return desc_is_data(d) && (d.hi & 0x200); }
static inline bool desc_readable(struct desc d) { return desc_is_data(d) || (desc_is_code(d) && (d.hi & 0x200)); }
static inline bool sel_null(u16 sel) { return (sel & 0xFFFC) == 0; }
static inline u32 sel_err(u16 sel) { return sel & 0xFFFCu; }

/* Recompute the MMU's registers from the vCPU's (asid, nesting, CR0...) and select the context; cpu_update_mode does this and more. */
void cpu_update_mmu(struct vcpu *c);
/* CPL := cpl without a CS load; MMU context follows. */
void cpu_set_cpl(struct vcpu *c, unsigned cpl);

/* Sets the accessed bit in memory and in *d. */
bool desc_set_accessed(struct vcpu *c, u64 lin, struct desc *d);
bool desc_set_busy(struct vcpu *c, u64 lin, bool busy);
/* Upper 8 bytes of a 16-byte system descriptor at lin + 8. */
bool desc_read_upper(struct vcpu *c, u16 sel, u64 lin, struct desc *up, u8 fault_vec);
void seg_load_null(struct vcpu *c, unsigned seg, u16 sel);
/* V86 form of all attributes for one selector. */
void seg_load_v86(struct vcpu *c, unsigned seg, u16 sel);
/* Checks of a code descriptor as target: privilege for a direct transfer to `cpl`; long-mode L/D rule; present. */
bool code_check_direct(struct vcpu *c, u16 sel, struct desc d);
/* Checks a stack selector for privilege `cpl`: loads the descriptor into *out; `vec` is the vector of type and privilege faults. */
bool stack_seg_check(struct vcpu *c, u16 sel, unsigned cpl, u8 vec, struct seg *out);
/* Target offset against limit or canonical form of the new CS: #GP(0). */
bool code_check_offset(struct vcpu *c, const struct seg *cs, u64 off);
/* SSn:RSPn of the current TSS for privilege `cpl`; long mode: *ss is the null selector. Faults #TS(TR). */
bool tss_stack(struct vcpu *c, unsigned cpl, u16 *ss, u64 *rsp);
/* Long mode IST entry n = 1..7. Faults as tss_stack. */
bool tss_ist(struct vcpu *c, unsigned n, u64 *rsp);
/* Data segments the new, lesser privilege may not keep become null. */
void seg_drop_privileged(struct vcpu *c);
/* Commits a code segment: CS, CPL (selector's RPL := cpl) and mode. */
void cs_commit(struct vcpu *c, struct seg cs, unsigned cpl);
/* A far transfer or IDT event to a task gate or TSS descriptor. */
bool task_gate(struct vcpu *c, u16 tss_sel, unsigned how, bool has_err, u32 err);
/* RFLAGS bits that IRET and POPF may change at the current privilege, for an operand size. */
u64 iret_flag_mask(const struct vcpu *c, unsigned osz);

/* The faults of a MOV to CRn that come before its intercept: all but those of the PDPTEs. */
bool cr_check(struct vcpu *c, unsigned n, u64 v);
bool efer_write(struct vcpu *c, u64 v);
/* Bits of CR4 that this processor has. */
u64 cr4_valid(const struct vcpu *c);
u64 efer_valid(const struct vcpu *c);
u64 xcr0_valid(const struct vcpu *c);
/* Core performance counters that the part has, whether or not CPUID shows them. */
unsigned cpu_perf_counters(const struct vcpu *c);
/* Task priority as CR8 shows it. */
u64 cr8_read(struct vcpu *c);
void cr8_write(struct vcpu *c, u64 v);
/* Whether rAX of VMRUN and kin, or another physical address, fits the processor. */
static inline bool phys_fits(const struct vcpu *c, u64 pa) { return pa >> c->mmu.r.maxphys == 0; }

#endif
