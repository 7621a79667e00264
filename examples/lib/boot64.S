// SPDX-License-Identifier: MIT
/* Multiboot 1 entry: from protected mode to long mode with the first 4 GiB mapped one to one in 2 MiB pages. */
    .section .multiboot, "a"
    .align 4
    .long 0x1badb002, 0, -(0x1badb002)

    .text
    .code32
    .globl _start
_start:
    cld
    mov $stack_top, %esp
    /* One PML4 entry, four PDP entries, 2048 large pages. */
    movl $boot_pdpt + 7, boot_pml4
    mov $boot_pd + 7, %eax
    xor %ecx, %ecx
1:  mov %eax, boot_pdpt(,%ecx,8)
    add $4096, %eax
    inc %ecx
    cmp $4, %ecx
    jb 1b
    mov $0x87, %eax /* present, writable, user, large */
    xor %ecx, %ecx
2:  mov %eax, boot_pd(,%ecx,8)
    add $0x200000, %eax
    inc %ecx
    cmp $2048, %ecx
    jb 2b
    mov $boot_pml4, %eax
    mov %eax, %cr3
    mov $0x620, %eax /* PAE, OSFXSR, OSXMMEXCPT */
    mov %eax, %cr4
    mov $0xc0000080, %ecx
    rdmsr
    or $0x900, %eax /* LME, NXE */
    wrmsr
    mov %cr0, %eax
    or $0x80010001, %eax /* PG, WP, PE */
    and $~0x4, %eax      /* no EM */
    mov %eax, %cr0
    lgdt gdt_ptr
    ljmp $0x08, $3f

    .code64
3:  mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    mov $stack_top, %rsp
    call guest_start
    hlt

    .data
    .align 8
    .globl boot_gdt
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff /* 08h code, 64 bits */
    .quad 0x00cf93000000ffff /* 10h data */
    .quad 0x00cff3000000ffff /* 18h user data (STAR base for SYSRET is 10h) */
    .quad 0x00affb000000ffff /* 20h user code, 64 bits */
    .quad 0, 0               /* 28h a task-state segment, filled in by those who need one */
gdt_ptr:
    .word . - boot_gdt - 1
    .long boot_gdt, 0

    .bss
    .align 4096
    .globl boot_pml4, boot_pdpt, boot_pd
boot_pml4: .skip 4096
boot_pdpt: .skip 4096
boot_pd:   .skip 4 * 4096
    .skip 16384
stack_top:
