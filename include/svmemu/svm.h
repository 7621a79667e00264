// SPDX-License-Identifier: MIT
/** @file
 * VMCBs and world switches: fields by name, printing, comparing, checking, and what each #VMEXIT means.
 *
 * Texts go into the caller's buffer by the contract of snprintf: at most `size` bytes are written, the last a zero (none if size is 0; buf may
 * then be NULL), and the length of the whole text without the zero is returned. Strings in structures live as long as the library, unless said
 * otherwise. Functions without a machine may be called from any thread; the others as svmemu/machine.h says. */
#ifndef SVMEMU_SVM_H
#define SVMEMU_SVM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <svmemu/status.h>

#ifdef __cplusplus
extern "C" {
#endif

struct svmemu;

/** Bytes of a VMCB. */
#define SVMEMU_VMCB_SIZE 4096

/** @name Fields */
/**@{*/
/** A field of the VMCB, or a named part of one ("v_irq", "cr0_pg", "cs_dpl", "icpt.HLT"). */
struct svmemu_field {
    const char *name;
    const char *section; /**< of the manual: "APM2 15.21" */
    unsigned offset;     /**< bytes from the start of the VMCB to the field that holds it */
    unsigned width;      /**< bytes of that field: 1, 2, 4 or 8; 15 for the instruction bytes */
    unsigned hi, lo;     /**< its bits in that field */
    bool part;           /**< a part, not a whole field */
    int clean;           /**< bit of VMCB_CLEAN that covers the field; -1: none, or a part */
    bool loaded, stored; /**< by VMRUN, by #VMEXIT, if need be only with the feature switched on; false for parts */
    bool vmload;         /**< moved by VMLOAD and VMSAVE */
};
/** Names by number from 0; NULL after the last. */
SVMEMU_API const char *svmemu_vmcb_field(unsigned i);
/** All about field i; false after the last. */
SVMEMU_API bool svmemu_vmcb_field_at(unsigned i, struct svmemu_field *out);
/** A field by name of the VMCB at a physical address; of the instruction bytes the first eight.
 * @return SVMEMU_NAME: no such field; SVMEMU_ARGUMENT: the address is not page-aligned; SVMEMU_UNMAPPED: no memory there. */
SVMEMU_API enum svmemu_status svmemu_vmcb_read(struct svmemu *m, uint64_t vmcb, const char *field, uint64_t *value);
/** As svmemu_vmcb_read(); also SVMEMU_ARGUMENT if the value has more bits than the field. */
SVMEMU_API enum svmemu_status svmemu_vmcb_write(struct svmemu *m, uint64_t vmcb, const char *field, uint64_t value);
/**@}*/

/** @name Printing and comparing. `vmcb` points to SVMEMU_VMCB_SIZE bytes, at any alignment. */
/**@{*/
/** A line "060 int_ctl=1000100  (v_irq v_intr_masking)" for each whole field, or each that is not zero: offset and value in hexadecimal, and
 * the parts that are not zero. */
SVMEMU_API size_t svmemu_vmcb_text(const void *vmcb, bool all, char *buf, size_t size);
/** The line of one field or part, without a newline. */
SVMEMU_API size_t svmemu_vmcb_field_text(const void *vmcb, const char *field, char *buf, size_t size);
/** Calls f for each whole field that differs, in order of offsets, with both values (of the instruction bytes the first eight); NULL: only
 * counts. Returns how many differ. */
SVMEMU_API unsigned svmemu_vmcb_diff(const void *a, const void *b,
                                     void (*f)(void *ctx, const struct svmemu_field *field, uint64_t va, uint64_t vb), void *ctx);
/** svmemu_vmcb_text() of the VMCB at a physical address; *len (may be NULL) is the length without the zero. */
SVMEMU_API enum svmemu_status svmemu_vmcb_print(struct svmemu *m, uint64_t vmcb, bool all, char *buf, size_t size, size_t *len);
/**@}*/

/** @name Consistency checks of VMRUN */
/**@{*/
/** A check that a VMCB violates. */
struct svmemu_check {
    const char *id;      /**< stable, "asid_zero"; docs/SVM.md lists them */
    const char *field;   /**< the field that is named for it */
    unsigned offset;     /**< of the field */
    uint64_t value;      /**< of the field, as VMRUN saw it */
    const char *rule;    /**< what must hold or does not */
    const char *section; /**< "APM2 15.5.1" */
};
/** The checks by number from 0, with value 0; false after the last. */
SVMEMU_API bool svmemu_check_at(unsigned i, struct svmemu_check *out);
/** What VMRUN of the VMCB at this address by this vCPU would refuse now, clean bits aside: calls f (NULL: none) for each violated check and
 * stores their number (may be NULL). Nothing of the machine changes. A vCPU that runs a guest is asked as its host.
 * @return SVMEMU_ARGUMENT: no such vCPU, or the address is not page-aligned; SVMEMU_UNMAPPED: no memory there. */
SVMEMU_API enum svmemu_status svmemu_vmcb_check(struct svmemu *m, unsigned vcpu, uint64_t vmcb,
                                                void (*f)(void *ctx, const struct svmemu_check *check), void *ctx, unsigned *count);
/**@}*/

/** @name World switches */
/**@{*/
/** The name of an exit code, "HLT", or NULL. */
SVMEMU_API const char *svmemu_exit_name(uint64_t code);

/** One world switch. */
struct svmemu_switch {
    bool entry;           /**< VMRUN; else #VMEXIT */
    int vcpu;
    uint64_t insns, vmcb; /**< machine's view: instructions of the vCPU, physical address */
    uint64_t code, info1, info2, intinfo, nrip; /**< #VMEXIT */
    uint64_t eventinj;    /**< VMRUN */
    uint32_t asid;
    uint64_t rip, rax, rcx, rsp; /**< the guest's */
    const char *text;     /**< one compact line; lives until the callback returns */
    uint64_t rdx;         /**< the guest's */
    bool assists;         /**< the processor has decode assists: info1 of register accesses, INT n and INVLPG is valid */
    const struct svmemu_check *checks; /**< #VMEXIT(INVALID): why; until the callback returns */
    unsigned check_count;
};
/** Calls f after each VMRUN that passed its checks and each #VMEXIT; NULL: none. */
SVMEMU_API void svmemu_hook_switch(struct svmemu *m, void (*f)(void *ctx, const struct svmemu_switch *s), void *ctx);
/** What a #VMEXIT means, in one sentence: "REP OUTS of 1 byte to port 3F8h, memory in DS, 64-bit addresses; the next instruction is at 0x1002".
 * A structure filled from a VMCB of one's own does as well: code, info1, info2, intinfo, assists, and rax, rcx and rdx for the instructions
 * that take operands there. Of a VMRUN ("entry") the text is empty. */
SVMEMU_API size_t svmemu_explain(const struct svmemu_switch *s, char *buf, size_t size);
/**@}*/

/** A #VMEXIT of the past. */
struct svmemu_past_exit {
    uint64_t code, info1, info2; /**< EXITCODE, EXITINFO1 and EXITINFO2 as the exit had them */
    uint64_t rip;                /**< of the guest */
};
/** The last #VMEXITs of a vCPU, newest first from i = 0; false after the last that is remembered (16 at most). */
SVMEMU_API bool svmemu_past_exit(const struct svmemu *m, unsigned vcpu, unsigned i, struct svmemu_past_exit *out);

#ifdef __cplusplus
}
#endif
#endif
