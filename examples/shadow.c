// SPDX-License-Identifier: MIT
/* Shadow paging: without nested paging the guest runs on tables that the host writes. The guest believes in its own
 * CR3; each page fault is intercepted, looked up in the guest's tables, and entered into the shadow. */
#include "svm.h"

enum { PRESENT = 1, WRITABLE = 2, USER = 4, LARGE = 0x80 };
#define ADDRESS 0x000ffffffffff000ull

static const u64 guest_va = 0x7f0000001000; /* what the guest maps for itself */
static struct vmcb vmcb PAGE_ALIGNED;
static u8 guest_stack[4096] PAGE_ALIGNED;
static u64 guest_table[4][512] PAGE_ALIGNED; /* the guest's own: pml4, pdpt, pd, pt */
static u64 shadow_table[16][512] PAGE_ALIGNED;
static unsigned shadow_used;
static u64 guest_page[512] PAGE_ALIGNED;
static unsigned filled, reflected;
extern u64 boot_pml4[];

/* MOV RAX, CR3 and MOV CR3, RAX in a known register, so that the host need not decode the guest. */
__asm__(".balign 64\n" /* within one page: the number of fills is checked */
        ".globl shadow_guest\n"
        "shadow_guest:\n"
        "    mov %cr3, %rax\n"
        "    mov %rax, %rbx\n"
        "    movq $0xabcd, (%rsi)\n"
        "    mov %rax, %cr3\n"
        "    mov (%rsi), %rax\n"
        "    vmmcall\n"
        "    mov 0x1000(%rsi), %rax\n"
        "    hlt\n");
void shadow_guest(void);

static unsigned index_at(u64 va, int level)
{
    return va >> (12 + 9 * level) & 511;
}

/* The guest's translation of va, as a 4 KiB entry; 0 if it has none. */
static u64 guest_lookup(u64 va, u64 cr3)
{
    u64 *table = (u64 *)(uintptr_t)(cr3 & ADDRESS);
    u64 rights = PRESENT | WRITABLE | USER;

    for (int level = 3;; level--) {
        u64 entry = table[index_at(va, level)];
        if (!(entry & PRESENT))
            return 0;
        rights &= entry;
        if (level == 0)
            return (entry & ADDRESS) | rights;
        if (entry & LARGE) {
            u64 size = 1ull << (12 + 9 * level);
            return (((entry & ADDRESS & ~(size - 1)) + (va & (size - 1))) & ADDRESS) | rights;
        }
        table = (u64 *)(uintptr_t)(entry & ADDRESS);
    }
}

static void shadow_enter(u64 va, u64 entry)
{
    u64 *table = shadow_table[0];

    for (int level = 3; level > 0; level--) {
        u64 *slot = &table[index_at(va, level)];
        if (!*slot) {
            if (++shadow_used == 16)
                guest_exit(GUEST_FAIL);
            *slot = phys(shadow_table[shadow_used]) | PRESENT | WRITABLE | USER;
        }
        table = (u64 *)(uintptr_t)(*slot & ADDRESS);
    }
    table[index_at(va, 0)] = entry;
}

static void shadow_clear(void)
{
    memset(shadow_table, 0, sizeof(shadow_table));
    shadow_used = 0;
}

/* Runs the guest, answering page faults and CR3 accesses, until something else happens. */
static void run(struct guest_regs *regs, u64 *cr3)
{
    for (;;) {
        svm_run(&vmcb, regs);
        vmcb.tlb_control = 0;
        if (vmcb.exit_code == EXIT_EXCP_PF) {
            u64 va = vmcb.exit_info2;
            u64 entry = guest_lookup(va, *cr3);
            if (!entry) {
                reflected++;
                return;
            }
            shadow_enter(va, entry);
            filled++;
        } else if (vmcb.exit_code == EXIT_CR3_READ) {
            vmcb.rax = *cr3;
            vmcb.rip += 3;
        } else if (vmcb.exit_code == EXIT_CR3_WRITE) {
            *cr3 = vmcb.rax;
            shadow_clear();
            vmcb.tlb_control = 1;
            vmcb.rip += 3;
        } else {
            return;
        }
    }
}

void guest_main(void)
{
    struct guest_regs regs = { .rsi = (uintptr_t)guest_va };
    u64 cr3 = phys(guest_table[0]);

    svm_enable();
    /* The guest's tables: the host's first gigabytes, and one page at guest_va. */
    guest_table[0][0] = boot_pml4[0];
    guest_table[0][index_at(guest_va, 3)] = phys(guest_table[1]) | PRESENT | WRITABLE | USER;
    guest_table[1][index_at(guest_va, 2)] = phys(guest_table[2]) | PRESENT | WRITABLE | USER;
    guest_table[2][index_at(guest_va, 1)] = phys(guest_table[3]) | PRESENT | WRITABLE | USER;
    guest_table[3][index_at(guest_va, 0)] = phys(guest_page) | PRESENT | WRITABLE | USER;

    vmcb_init(&vmcb);
    vmcb.intercept_cr = 1u << 3 | 1u << (16 + 3);
    vmcb.intercept_exceptions = 1u << 14;
    vmcb.cr3 = phys(shadow_table[0]);
    vmcb.rip = (uintptr_t)shadow_guest;
    vmcb.rsp = (uintptr_t)guest_stack + sizeof(guest_stack) - 8;

    run(&regs, &cr3);
    print_exit(&vmcb);
    check(vmcb.exit_code == EXIT_VMMCALL, "the guest came to its VMMCALL");
    check(regs.rbx == phys(guest_table[0]), "it read its own CR3, not the shadow's");
    check(vmcb.rax == 0xabcd && guest_page[0] == 0xabcd, "its store reached the page its own tables name");
    print("shadow entries filled: ");
    print_dec(filled);
    print("\n");
    check(filled == 4, "code and data page, once before and once after the CR3 write");

    vmcb.rip += 3;
    run(&regs, &cr3);
    print_exit(&vmcb);
    check(vmcb.exit_code == EXIT_EXCP_PF && reflected == 1, "a fault that is the guest's own is told from the shadow's");
    check(vmcb.exit_info2 == guest_va + 0x1000, "EXITINFO2 is the faulting linear address");
}
