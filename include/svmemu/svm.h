// SPDX-License-Identifier: MIT
/** @file VMCBs and world switches. */
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

/** VMCB fields by number from 0; NULL after the last. */
SVMEMU_API const char *svmemu_vmcb_field(unsigned i);
/** A field by name of the VMCB at a physical address. */
SVMEMU_API enum svmemu_status svmemu_vmcb_read(struct svmemu *m, uint64_t vmcb, const char *field, uint64_t *value);
SVMEMU_API enum svmemu_status svmemu_vmcb_write(struct svmemu *m, uint64_t vmcb, const char *field, uint64_t value);
/** "offset name=value" lines, all or those not zero; *len is the length without the terminating zero. */
SVMEMU_API enum svmemu_status svmemu_vmcb_print(struct svmemu *m, uint64_t vmcb, bool all, char *buf, size_t size, size_t *len);
/** The name of an exit code, or NULL. */
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
    const char *text;     /**< one readable line */
};
/** Calls f after each VMRUN that passed its checks and each #VMEXIT; NULL: none. */
SVMEMU_API void svmemu_hook_switch(struct svmemu *m, void (*f)(void *ctx, const struct svmemu_switch *s), void *ctx);

#ifdef __cplusplus
}
#endif
#endif
