// SPDX-License-Identifier: MIT
/* What the VM's guest and its monitor (init.c, vm.c) agree on. Included by C and by assembly. */
#ifndef TESTS_GUEST_KVM_GUEST_H
#define TESTS_GUEST_KVM_GUEST_H

#define IMAGE_BASE 0x8000 /* where the image is loaded and started in real mode; also what a start-up IPI names */
#define KIND_ADDR 0x7000  /* the monitor writes one of these here */
#define KIND_MODES 0      /* one vCPU, no interrupt controllers: real, protected and long mode */
#define KIND_CHIPS 1      /* KVM's interrupt controllers; vCPUs as CPUID's APIC... */
#define VCPUS_ADDR 0x7004 /* ... number stands here */

#define LOW_RAM 0xa0000   /* RAM from 0 to here ... */
#define HIGH_RAM 0x100000 /* ... and from here ... */
#define RAM_END 0x400000  /* ... to here. What lies elsewhere is the monitor's: MMIO. */
#define MMIO_LOW 0xa0000  /* a register in reach of real mode */
#define MMIO_HIGH 0xd0000000

/* Ports. Whatever is written to PORT_DATA or an MMIO register reads back complemented. */
#define PORT_CONSOLE 0xe9
#define PORT_CHECK 0x200 /* + 1: the check named by the string at this address has passed, + 0: failed */
#define PORT_DATA 0x210
#define PORT_STREAM 0x220 /* reads 1, 2, 3, ... */
#define PORT_REQUEST 0x230
#define PORT_RESULT 0x240 /* the answer to the last request */

/* Requests */
#define REQ_DONE 1
#define REQ_INTERRUPT 2 /* inject VECTOR_INJECTED as soon as the guest can take it */
#define REQ_NMI 3
#define REQ_STEP 4      /* single-step the next STEPS instructions; the result is how many traps came */
#define REQ_LOG_START 5 /* write-protect the high RAM */
#define REQ_LOG_COUNT 6 /* the result is the number of pages written since */
#define REQ_PULSE 7     /* raise and lower GSI 4 */
#define REQ_RAISE 8     /* GSI 5, level-triggered */
#define REQ_LOWER 9

#define STEPS 5
#define VECTOR_INJECTED 0x30

#define CPUID_LEAF 0x40000100 /* its EBX, ECX, EDX are the words below */
#define CPUID_EBX 0x6d767673
#define CPUID_ECX 0x69207565
#define CPUID_EDX 0x6564736e

/* 32-bit and 64-bit selectors */
#define SEL_CODE32 0x08
#define SEL_DATA 0x10
#define SEL_CODE64 0x18
#define SEL_USER_DATA 0x23
#define SEL_USER_CODE64 0x2b
#define SEL_USER_CODE32 0x33
#define SEL_TSS32 0x38
#define SEL_TASK2 0x40
#define SEL_TSS64 0x48
#endif
