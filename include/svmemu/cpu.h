// SPDX-License-Identifier: MIT
/** @file
 * Registers, MSRs and memory of a machine. */
#ifndef SVMEMU_CPU_H
#define SVMEMU_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <svmemu/status.h>

#ifdef __cplusplus
extern "C" {
#endif

struct svmemu;

/** Registers have ids from 0; svmemu_reg_name() is NULL after the last. Names: rax..r15 rip rflags cr0 cr2 cr3 cr4 cr8 dr0..dr3
 * dr6 dr7 efer cpl, and for each of es cs ss ds fs gs ldtr tr: NAME.sel NAME.base NAME.limit NAME.attr, gdtr.base gdtr.limit
 * idtr.base idtr.limit, activity gif. attr has the VMCB's form. Writing cr0, cr3, cr4 or efer under legacy PAE paging reads the four
 * top-level entries from memory, good ones, as MOV CR3 does; the TLB stays as it is. */
SVMEMU_API const char *svmemu_reg_name(unsigned id);
SVMEMU_API int svmemu_reg_find(const char *name); /**< -1: none */
SVMEMU_API enum svmemu_status svmemu_reg_read_id(struct svmemu *m, unsigned vcpu, unsigned id, uint64_t *value);
SVMEMU_API enum svmemu_status svmemu_reg_write_id(struct svmemu *m, unsigned vcpu, unsigned id, uint64_t value);
SVMEMU_API enum svmemu_status svmemu_reg_read(struct svmemu *m, unsigned vcpu, const char *name, uint64_t *value);
SVMEMU_API enum svmemu_status svmemu_reg_write(struct svmemu *m, unsigned vcpu, const char *name, uint64_t value);

/** Puts a vCPU into a flat mode with interrupts off: bits is 16 (real), 32 (paging off) or 64 (paging as CR3 says, which must be
 * set up by the caller). */
SVMEMU_API enum svmemu_status svmemu_set_mode(struct svmemu *m, unsigned vcpu, unsigned bits, uint64_t cr3);

/** As RDMSR and WRMSR at CPL 0 do; SVMEMU_NAME where they would raise #GP. */
SVMEMU_API enum svmemu_status svmemu_msr_read(struct svmemu *m, unsigned vcpu, uint32_t msr, uint64_t *value);
SVMEMU_API enum svmemu_status svmemu_msr_write(struct svmemu *m, unsigned vcpu, uint32_t msr, uint64_t value);

/** System-physical memory, as devices see it; registers of devices are touched. */
SVMEMU_API enum svmemu_status svmemu_mem_read(struct svmemu *m, uint64_t address, void *buf, size_t len);
SVMEMU_API enum svmemu_status svmemu_mem_write(struct svmemu *m, uint64_t address, const void *buf, size_t len);
/** Linear addresses of a vCPU in its present mode, without a trace in page tables or TLB; SVMEMU_UNMAPPED where no page is. */
SVMEMU_API enum svmemu_status svmemu_virt_read(struct svmemu *m, unsigned vcpu, uint64_t linear, void *buf, size_t len);
SVMEMU_API enum svmemu_status svmemu_virt_write(struct svmemu *m, unsigned vcpu, uint64_t linear, const void *buf, size_t len);

/** Why there is no translation. */
enum svmemu_fault {
    SVMEMU_FAULT_NONE,
    SVMEMU_FAULT_PAGE,   /**< \#PF: error code and CR2 */
    SVMEMU_FAULT_NESTED, /**< nested page fault: EXITINFO1 and EXITINFO2 */
};

/** What svmemu_translate() found. */
struct svmemu_translation {
    enum svmemu_fault fault;
    uint64_t fault_error;    /**< as pushed, or as EXITINFO1 would have it */
    uint64_t fault_address;  /**< CR2, or the guest-physical address */
    uint64_t address;        /**< system-physical; 0 with a fault */
    uint64_t page_size;      /**< bytes: the smaller of the guest's and the nested page; 0 without paging */
    bool writable, user, executable; /**< by every level of both walks, before CR0.WP, SMEP, SMAP and keys have their say */
    bool global;
    bool memory;             /**< RAM or ROM is there, not a device or nothing */
    const char *memory_type; /**< static: UC, UC-, WC, WC+, WT, WP, WB or CD: page tables, PAT and MTRRs combined [APM2 7.8.5]; "" with a fault */
};

/** Translates a linear address by the tables of the vCPU's present mode, nested tables included, without permission checks and without a trace
 * in page tables or TLB (nor does it look there: a stale TLB entry does not show). Segment bases are not added. Call it between runs or from
 * a hook of this machine, on its thread.
 * @return SVMEMU_OK, also when no page is mapped, which `out` tells; SVMEMU_ARGUMENT for a vCPU there is not. */
SVMEMU_API enum svmemu_status svmemu_translate(struct svmemu *m, unsigned vcpu, uint64_t linear, struct svmemu_translation *out);

#ifdef __cplusplus
}
#endif
#endif
