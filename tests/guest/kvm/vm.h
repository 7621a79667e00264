// SPDX-License-Identifier: MIT
/* The monitor's half: one virtual machine through /dev/kvm, its exits answered. */
#ifndef TESTS_GUEST_KVM_VM_H
#define TESTS_GUEST_KVM_VM_H

#include <linux/kvm.h>
#include "../lib/sys.h"
#include "guest.h"

enum { MAX_VCPUS = 2 };

struct vcpu {
    struct vm *vm;
    u32 index;
    int fd;
    struct kvm_run *run;
    u32 thread;               /* cleared by the kernel when the thread has ended; a futex */
    u32 data;                 /* what PORT_DATA reads */
    u32 inject, steps, trapped, result;
    u8 stream;                /* the next byte of PORT_STREAM */
    u32 exits[64];            /* by KVM_EXIT_ number */
};

struct vm {
    int fd;
    u32 kind, vcpus;
    u8 *ram;
    u8 mmio[2][64];           /* MMIO_LOW, MMIO_HIGH */
    struct vcpu vcpu[MAX_VCPUS];
    u32 checks, failures;
    int done;                 /* REQ_DONE came, or a failure */
};

/* Runs a VM of KIND to its end on so many threads; false when anything failed. The guest's checks are printed as they come, each
 * with NAME before it. KVM is the descriptor of /dev/kvm. */
int vm_run(struct vm *vm, int kvm, u32 kind, u32 vcpus, const char *name);
#endif
