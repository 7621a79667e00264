// SPDX-License-Identifier: MIT
/* Assembly in any mode: reports a check by ZF. Destroys EAX and EDX. */
.macro CHECK text
    sete %al
    movzbl %al, %edx
    add $PORT_CHECK, %edx
    mov $9f, %eax
    out %eax, %dx
    .pushsection .rodata
9:  .asciz "\text"
    .popsection
.endm

.macro REQUEST number
    mov $\number, %eax
    mov $PORT_REQUEST, %edx
    out %eax, %dx
.endm
