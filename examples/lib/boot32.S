// SPDX-License-Identifier: MIT
/* Multiboot 1 entry of a 32-bit guest: protected mode, flat segments, no paging. */
    .section .multiboot, "a"
    .align 4
    .long 0x1badb002, 0, -(0x1badb002)

    .text
    .globl _start
_start:
    mov $stack_top, %esp
    lgdt gdt_ptr
    ljmp $0x08, $1f
1:  mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    cld
    call guest_start
    hlt

    .data
    .align 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff /* 08h code, 32 bits */
    .quad 0x00cf93000000ffff /* 10h data */
gdt_ptr:
    .word . - gdt - 1
    .long gdt

    .bss
    .align 16
    .skip 16384
stack_top:
