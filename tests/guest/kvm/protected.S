// SPDX-License-Identifier: MIT
/* The VM's guest, second part: 32-bit protected mode, first without paging, then with 4-MiB and 4-KiB pages, a ring 3 and a
 * second task; then on to long mode. */
#include "guest.h"
#include "macros.h"

#define WINDOW 0x40000000    /* linear addresses that `table32` maps; its first page is 0 */
#define PAGE_A 0x110000
#define PAGE_B 0x111000

    .text
    .code16
    .globl protected_mode
protected_mode:
    lgdtl gdt_pointer
    mov %cr0, %eax
    or $1, %eax
    mov %eax, %cr0
    ljmpl $SEL_CODE32, $1f
    .code32
1:  mov $SEL_DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    cmpb $KIND_MODES, KIND_ADDR
    jne long_mode

    lidtl idt32_pointer
    movl $0x6000, tss32 + 4     /* ESP0, SS0 */
    movl $SEL_DATA, tss32 + 8
    mov $SEL_TSS32, %eax
    ltr %ax
    mov $0x87654321, %eax
    mov $PORT_DATA, %edx
    out %eax, %dx
    in %dx, %eax
    cmp $~0x87654321, %eax
    CHECK "protected mode: port"
    movl $0x11223344, MMIO_HIGH
    mov MMIO_HIGH, %eax
    cmp $~0x11223344, %eax
    CHECK "protected mode: MMIO"

    mov %cr4, %eax
    or $0x10, %eax              /* PSE */
    mov %eax, %cr4
    mov $directory32, %eax
    mov %eax, %cr3
    mov %cr0, %eax
    or $0x80010000, %eax        /* PG, WP */
    mov %eax, %cr0
    jmp 1f
1:  mov $directory32, %eax
    mov %cr3, %ebx
    cmp %eax, %ebx
    CHECK "protected mode: paging is on"

    movl $PAGE_A + 3, table32
    movl $PAGE_B + 3, table32 + 4
    movl $0xaaaa0001, WINDOW
    movl $0xbbbb0002, WINDOW + 0x1000
    mov PAGE_A, %eax
    mov PAGE_B, %ebx
    xor %ebx, %eax
    cmp $0xaaaa0001 ^ 0xbbbb0002, %eax
    CHECK "paging: stores through 4-KiB pages arrive"
    mov table32, %eax
    and $0xfff, %eax
    cmp $0x63, %eax
    CHECK "paging: accessed and dirty are set"
    movl $PAGE_B + 3, table32
    invlpg WINDOW
    cmpl $0xbbbb0002, WINDOW
    CHECK "paging: a page moves by a store to its entry and INVLPG"
    orl $0x40000000, MMIO_HIGH + 4  /* a read and a write */
    mov MMIO_HIGH + 4, %eax
    xor $0xffffffff, %eax
    test $0x40000000, %eax
    setnz %al
    cmp $1, %al
    CHECK "paging: MMIO, read-modify-write"

    movl $PAGE_A + 1, table32 + 8
    mov WINDOW + 0x2000, %eax
    cmp $0xaaaa0001, %eax
    CHECK "paging: a read-only page reads"
    movl $PAGE_A + 3, fault_fix
    movl $0xaaaa0003, WINDOW + 0x2000
    cmpl $3, fault_code
    CHECK "page fault: a store to a read-only page has code 3"
    cmpl $WINDOW + 0x2000, fault_address
    CHECK "page fault: CR2"
    cmpl $0xaaaa0003, PAGE_A
    CHECK "page fault: the store is made after the handler gave the right"
    mov WINDOW + 0x3000, %eax
    cmpl $0, fault_code
    CHECK "page fault: a read of a page not present has code 0"

    /* Ring 3 in the image's own pages, mapped again with the user bit. */
    mov $IMAGE_BASE + 7, %eax
1:  mov %eax, %ecx
    shr $12, %ecx
    mov %eax, table32(, %ecx, 4)
    add $0x1000, %eax
    cmp $0x10000, %eax
    jb 1b
    movl $PAGE_A + 7, fault_fix
    movl $PAGE_A + 3, table32 + 16
    pushl $SEL_USER_DATA
    pushl $WINDOW + 0x4ff0
    pushl $2
    pushl $SEL_USER_CODE32
    pushl $WINDOW + user32
    iret
user32:
    mov %cs, %ecx
    mov $SEL_USER_DATA, %eax
    mov %eax, %ds
    mov WINDOW + 0x4000, %ebx
    int $0x40
user32_return:
    mov $SEL_DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov $0x6000, %esp
    cmp $SEL_USER_CODE32, %ecx
    CHECK "ring 3: entered by IRET, left by INT n"
    cmpl $5, fault_code
    CHECK "ring 3: a read of a supervisor page has code 5"
    cmp $0xaaaa0003, %ebx
    CHECK "ring 3: and is made after the handler gave the right"

    movl $task2, task2_tss + 32
    movl $0x5800, task2_tss + 56    /* ESP */
    movl $2, task2_tss + 36         /* EFLAGS */
    movl $directory32, task2_tss + 28
    movl $SEL_CODE32, task2_tss + 76
    movl $SEL_DATA, task2_tss + 72
    movl $SEL_DATA, task2_tss + 80
    movl $SEL_DATA, task2_tss + 84
    movl $directory32, tss32 + 28
    mov $0x1234, %esi
    lcall $SEL_TASK2, $0
    cmp $0x1234, %esi
    CHECK "task switch: back with the registers of the first task"
    cmpl $SEL_TASK2, task2_tr
    CHECK "task switch: TR was the second task's"

    movl $0, injected32
    REQUEST REQ_INTERRUPT
    sti
    nop
    nop
    cmpl $1, injected32
    CHECK "protected mode: injected interrupt"
    hlt
    cli
    cmpl $2, injected32
    CHECK "protected mode: HLT ends with an interrupt"
    jmp long_mode

task2:
    str %eax
    movzwl %ax, %eax
    mov %eax, task2_tr
    mov $0x9999, %esi
    iret
page_fault32:
    push %eax
    push %ecx
    mov 8(%esp), %eax
    mov %eax, %ss:fault_code
    mov %cr2, %ecx
    mov %ecx, %ss:fault_address
    shr $12, %ecx
    and $0x3ff, %ecx
    mov %ss:fault_fix, %eax
    mov %eax, %ss:table32(, %ecx, 4)
    pop %ecx
    pop %eax
    add $4, %esp
    iret
interrupt32:
    incl injected32
    iret

/* CR3 gets the tables of long mode, in which the code here has the same addresses. */
long_mode:
    mov %cr0, %eax
    and $0x7fffffff, %eax
    mov %eax, %cr0
    mov $0x620, %eax            /* PAE, OSFXSR, OSXMMEXCPT */
    mov %eax, %cr4
    mov $level4, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx
    rdmsr
    or $0x901, %eax             /* NXE, LME, SCE */
    wrmsr
    mov %cr0, %eax
    or $0x80010000, %eax
    mov %eax, %cr0
    ljmp $SEL_CODE64, $1f
    .code64
1:  mov processors, %edi
    dec %edi
    mov %edi, %eax
    inc %eax
    shl $12, %eax
    lea stacks(%rax), %rsp
    call main64
1:  cli
    hlt
    jmp 1b

    .data
    .balign 8
    .globl gdt, gdt_pointer
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff    /* SEL_CODE32 */
    .quad 0x00cf93000000ffff    /* SEL_DATA */
    .quad 0x00af9b000000ffff    /* SEL_CODE64 */
    .quad 0x00cff3000000ffff    /* SEL_USER_DATA */
    .quad 0x00affb000000ffff    /* SEL_USER_CODE64 */
    .quad 0x00cffb000000ffff    /* SEL_USER_CODE32 */
    .word 0x67, tss32, 0x8900, 0
    .word 0x67, task2_tss, 0x8900, 0
    .word 0x67, tss64, 0x8900, 0
    .quad 0
    .word 0x67, tss64 + 0x80, 0x8900, 0
    .quad 0
gdt_end:
gdt_pointer:
    .word gdt_end - gdt - 1
    .long gdt
idt32_pointer:
    .word 0x41 * 8 - 1
    .long idt32
    .balign 8
idt32: /* entries that are zero give a double fault, whose entry is zero: the VM ends */
    .fill 14, 8, 0
    .word page_fault32, SEL_CODE32, 0x8e00, 0
    .fill VECTOR_INJECTED - 15, 8, 0
    .word interrupt32, SEL_CODE32, 0x8e00, 0
    .fill 0x40 - VECTOR_INJECTED - 1, 8, 0
    .word user32_return, SEL_CODE32, 0xee00, 0
    .globl tss64
tss32: .fill 104, 1, 0
task2_tss: .fill 104, 1, 0
tss64: .fill 256, 1, 0
fault_fix: .long 0
fault_code: .long -1
fault_address: .long 0
injected32: .long 0
task2_tr: .long 0

    .balign 4096
directory32:
    .long 0x83                  /* the first 4 MiB to themselves */
    .fill 0xff, 4, 0
    .long table32 + 7
    .fill 0x340 - 0x101, 4, 0
    .long MMIO_HIGH + 0x83
    .fill 0x400 - 0x341, 4, 0
table32: .fill 4096, 1, 0
    .globl level4, window_table
level4:
    .quad level3 + 3
    .fill 0xdf, 8, 0
    .quad window_level3 + 7     /* 0000_7000_0000_0000h */
    .fill 512 - 0xe1, 8, 0
level3:
    .quad level2 + 3
    .quad 0, 0
    .quad level2_high + 3
    .fill 508, 8, 0
level2:
    .quad 0x83, 0x200083
    .fill 510, 8, 0
level2_high:
    .fill 0x80, 8, 0
    .quad MMIO_HIGH + 0x83
    .fill 0x1f6 - 0x81, 8, 0
    .quad 0xfec00083, 0xfee00083
    .fill 8, 8, 0
window_level3:
    .quad window_level2 + 7
    .fill 511, 8, 0
window_level2:
    .quad window_table + 7
    .fill 511, 8, 0
window_table: .fill 4096, 1, 0

    .bss
    .balign 4096
stacks: .skip 2 * 4096
