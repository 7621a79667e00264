// SPDX-License-Identifier: MIT
/* The VM's guest, first part: real mode. The image starts here, at IMAGE_BASE, for the first vCPU and for the one that a
 * start-up IPI wakes. Under npt=0 KVM runs this with CR0.PG set and CR0.PE clear: paged real mode. */
#include "guest.h"
#include "macros.h"

    .section .text.start, "ax"
    .code16
    .globl start
start:
    cli
    ljmp $0, $1f
1:  xor %eax, %eax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss
    mov $1, %ecx
    lock xadd %ecx, processors  /* ECX: which vCPU we are */
    mov %cx, %di
    shl $10, %di
    mov $0x6000, %esp
    sub %edi, %esp
    cmpb $KIND_MODES, KIND_ADDR
    jne protected_mode

    mov $CPUID_LEAF, %eax
    xor %ecx, %ecx
    cpuid
    cmp $CPUID_EBX, %ebx
    CHECK "real mode: CPUID gives what the monitor set"

    mov $0x12345678, %eax
    mov $PORT_DATA, %dx
    out %eax, %dx
    in %dx, %eax
    cmp $~0x12345678, %eax
    CHECK "real mode: 32-bit port"
    mov $0x5a, %al
    mov $PORT_DATA, %dx
    out %al, %dx
    in %dx, %al
    cmp $0xa5, %al
    CHECK "real mode: 8-bit port"
    mov $greeting, %si
    mov $greeting_end - greeting, %cx
    mov $PORT_CONSOLE, %dx
    cld
    rep outsb

    mov $MMIO_LOW >> 4, %ax
    mov %ax, %fs
    movw $0x1234, %fs:8
    mov %fs:8, %ax
    cmp $0xedcb, %ax
    CHECK "real mode: MMIO"

    /* Interrupts through the vector table at 0. */
    movl $real_interrupt, VECTOR_INJECTED * 4
    movl $real_interrupt, 0x31 * 4
    movl $real_divide, 0
    int $0x31
    cmpl $1, real_count
    CHECK "real mode: INT n"
    xor %ax, %ax
    mov $7, %cl
    div %ah                     /* the handler goes on at the next instruction */
    cmp $9, %cl
    CHECK "real mode: divide error"
    REQUEST REQ_INTERRUPT
    mov $1000, %cx
1:  loop 1b
    cmpl $1, real_count
    CHECK "real mode: an interrupt is held back by IF"
    sti
    nop
    nop
    cmpl $2, real_count
    CHECK "real mode: and comes after STI"
    hlt                         /* the monitor answers with an interrupt */
    cli
    cmpl $3, real_count
    CHECK "real mode: HLT ends with an interrupt"
    jmp protected_mode

real_interrupt:
    incl %cs:real_count
    iret
real_divide:
    mov $9, %cl
    push %bp
    mov %sp, %bp
    addw $2, 2(%bp)
    pop %bp
    iret

    .data
    .globl processors
processors: .long 0
real_count: .long 0
greeting: .ascii "hello from real mode\n"
greeting_end:
