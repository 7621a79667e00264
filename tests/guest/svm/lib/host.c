// SPDX-License-Identifier: MIT
/* The host's own paging modes: 32-bit and PAE in a 32-bit program, 4- and 5-level in a 64-bit one. */
#include "vm.h"

static u64 top[512] PAGE_ALIGNED;

static inline void write_cr0(uintptr_t v)
{
    __asm__ volatile("mov %0, %%cr0" : : "r"(v) : "memory");
}

static inline void write_cr4(uintptr_t v)
{
    __asm__ volatile("mov %0, %%cr4" : : "r"(v) : "memory");
}

#ifdef __x86_64__
extern u64 boot_pml4[];

/* CR4.LA57 changes only outside long mode: through a 32-bit code segment, paging off, other tables, and back [APM2 5.3.1]. */
__asm__(".globl host_switch_tables\n"
        "host_switch_tables:\n" /* EDI: CR3, ESI: CR4 */
        "    push %rbx\n"
        "    sgdt old_gdt(%rip)\n"
        "    lgdt switch_gdt_ptr(%rip)\n"
        "    lea 2f(%rip), %rax\n"
        "    push $0x18\n"
        "    push %rax\n"
        "    lretq\n"
        ".code32\n"
        "2:  mov %cr0, %eax\n"
        "    btr $31, %eax\n"
        "    mov %eax, %cr0\n"
        "    mov %esi, %cr4\n"
        "    mov %edi, %cr3\n"
        "    bts $31, %eax\n"
        "    mov %eax, %cr0\n"
        "    ljmp $0x08, $3f\n"
        ".code64\n"
        "3:  lgdt old_gdt(%rip)\n"
        "    pop %rbx\n"
        "    ret\n"
        ".data\n"
        ".balign 8\n"
        "switch_gdt: .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff\n"
        "switch_gdt_ptr: .word 31\n"
        "    .quad switch_gdt\n"
        "old_gdt: .word 0\n"
        "    .quad 0\n"
        ".text\n");
void host_switch_tables(u64 cr3, u64 cr4);

bool host_paging(enum format f)
{
    bool five = f == FMT_5;

    if ((f != FMT_4 && !five) || (five && !cpu_has_la57()))
        return false;
    top[0] = phys(boot_pml4) | E_ALL;
    host_switch_tables(phys(five ? top : boot_pml4), (read_cr4() & ~(u64)CR4_LA57) | (five ? CR4_LA57 : 0));
    return true;
}
#else
static u64 directories[4][512] PAGE_ALIGNED;

bool host_paging(enum format f)
{
    if (f != FMT_32 && f != FMT_PAE)
        return false;
    write_cr0(read_cr0() & ~CR0_PG);
    if (f == FMT_32) {
        u32 *dir = (u32 *)(void *)top;
        for (u32 i = 0; i < 1024; i++)
            dir[i] = i << 22 | E_ALL | E_PS;
    } else {
        for (u32 i = 0; i < 2048; i++)
            directories[i / 512][i % 512] = (u64)i << 21 | E_ALL | E_PS;
        for (u32 i = 0; i < 4; i++)
            top[i] = phys(directories[i]) | E_P;
    }
    write_cr4(f == FMT_32 ? CR4_PSE : CR4_PAE);
    wrmsr(MSR_EFER, (rdmsr(MSR_EFER) & ~(u64)EFER_NXE) | (f == FMT_PAE ? EFER_NXE : 0));
    write_cr3((uintptr_t)phys(top));
    write_cr0(read_cr0() | CR0_PG | CR0_WP);
    return true;
}
#endif
