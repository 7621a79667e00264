// SPDX-License-Identifier: MIT
/* bits: 32 64 */
/* run: --cpu max */
/* Nested paging as instructions meet it: which of them ask for a write, accesses and instructions on two pages, descriptors, dirty bits of
 * translations that are in the TLB already, instruction bytes, guest-physical addresses that mean something else to the host [APM2 15.25]. */
#include "vm.h"

static struct vm vm;
static u8 *second; /* the page behind the data page, and its nested entry's address */

static u64 second_gpa(void)
{
    return vm.data_gpa + PAGE_SIZE;
}

static void set_up(enum format guest, enum format host)
{
    vm_init(&vm, guest, host);
    vm_events(&vm);
    second = pages_take();
    map(&vm.nested, second_gpa(), phys(second), E_ALL, 1);
    if (guest != FMT_NONE)
        map(&vm.guest, vm.data_va + PAGE_SIZE, second_gpa(), E_ALL, 1);
}

static void leaf(u64 gpa, u64 clear, u64 set)
{
    u64 e = entry_get(&vm.nested, gpa, 1);
    entry_set(&vm.nested, gpa, 1, (e & ~clear) | set);
}

/* Code and a VMMCALL behind it, with a pointer to the data in RAX, RCX = 0, stack in place. */
static u64 run(const char *code, unsigned count, u64 rax)
{
    vm.vmcb->rax = rax;
    vm.vmcb->rsp = vm.stack_va;
    vm.vmcb->rflags = 2;
    vm.vmcb->cr2 = 0x77;
    vm.regs.rcx = vm.regs.rdx = vm.regs.rbx = 0;
    vm.regs.rsi = vm.regs.rdi = (uintptr_t)rax;
    memcpy(vm.code + 0x80 + count, "\x0f\x01\xd9", 3);
    return vm_run_code(&vm, 0x80, code, count);
}

static void expect_npf(const char *what, u64 info1, u64 gpa)
{
    expect(what, vm.vmcb->exit_code, EXIT_NPF);
    expect(what, vm.vmcb->exit_info1, NPF_FINAL | PF_U | info1);
    expect(what, vm.vmcb->exit_info2, gpa);
    expect(what, vm.vmcb->rip, vm.code_va + 0x80);
    expect(what, vm.vmcb->rflags, 2);
    expect(what, vm.vmcb->rax, vm.data_va + DATA_OFFSET);
    expect(what, vm.vmcb->rsp, vm.stack_va);
    expect(what, vm.vmcb->cr2, 0x77);
}

/* ---- what asks for a write ---- */

static const struct {
    const char *what;
    bool write;
    u8 count;
    char code[8];
} instructions[] = {
    { "MOV from memory", false, 2, "\x8b\x08" },      { "MOV to memory", true, 2, "\x89\x08" },
    { "ADD from memory", false, 2, "\x03\x08" },      { "ADD to memory", true, 2, "\x01\x08" },
    { "CMP", false, 2, "\x39\x08" },                  { "TEST", false, 2, "\x85\x08" },
    { "INC", true, 2, "\xff\x00" },                   { "NOT", true, 2, "\xf7\x10" },
    { "SHL", true, 2, "\xd1\x20" },                   { "XCHG", true, 2, "\x87\x08" },
    { "CMPXCHG", true, 3, "\x0f\xb1\x08" },           { "LOCK XADD", true, 4, "\xf0\x0f\xc1\x08" },
    { "CMPXCHG8B", true, 3, "\x0f\xc7\x08" },         { "BT", false, 4, "\x0f\xba\x20\x03" },
    { "BTS", true, 4, "\x0f\xba\x28\x03" },           { "SETZ", true, 3, "\x0f\x94\x00" },
    { "PUSH from memory", false, 2, "\xff\x30" },     { "POP to memory", true, 2, "\x8f\x00" },
    { "MOVZX", false, 3, "\x0f\xb6\x08" },            { "SGDT", true, 3, "\x0f\x01\x00" },
    { "CLFLUSH", false, 3, "\x0f\xae\x38" },          { "LODSD", false, 1, "\xad" },
    { "STOSD", true, 1, "\xab" },                     { "LODSB", false, 1, "\xac" },
    { "SCASD", false, 1, "\xaf" },                    { "CMPSD", false, 1, "\xa7" },
    { "ADC to memory", true, 2, "\x11\x08" },         { "IMUL from memory", false, 3, "\x0f\xaf\x08" },
    { "STR to memory", true, 3, "\x0f\x00\x08" },     { "SMSW to memory", true, 3, "\x0f\x01\x20" },
};

static void writers(void)
{
    for (unsigned i = 0; i < sizeof(instructions) / sizeof(instructions[0]); i++) {
        u64 rax = vm.data_va + DATA_OFFSET, gpa = vm.data_gpa + DATA_OFFSET, w = instructions[i].write ? PF_W : 0;
        leaf(vm.data_gpa, E_P, 0);
        run(instructions[i].code, instructions[i].count, rax);
        expect_npf(instructions[i].what, w, gpa);
        leaf(vm.data_gpa, E_W, E_P);
        run(instructions[i].code, instructions[i].count, rax);
        if (w)
            expect_npf(instructions[i].what, PF_P | PF_W, gpa);
        else
            expect(instructions[i].what, vm.vmcb->exit_code == EXIT_NPF, false);
        leaf(vm.data_gpa, 0, E_W);
        memset(vm.data + DATA_OFFSET, 0, 16);
    }
}

/* ---- two pages ---- */

static void two_pages(void)
{
    const u64 at = vm.data_va + 0xffe;

    vm.data[0xffe] = vm.data[0xfff] = 0x11;
    second[0] = second[1] = 0x22;
    leaf(second_gpa(), E_P, 0);
    run("\x8b\x08", 2, at);
    expect("read", vm.vmcb->exit_code, EXIT_NPF);
    expect("read", vm.vmcb->exit_info1, NPF_FINAL | PF_U);
    expect("its second page", vm.vmcb->exit_info2, second_gpa());
    run("\xff\x00", 2, at);
    expect("INC", vm.vmcb->exit_info1, NPF_FINAL | PF_U | PF_W);
    expect("its second page", vm.vmcb->exit_info2, second_gpa());
    run("\x89\x08", 2, at);
    expect("write", vm.vmcb->exit_info1, NPF_FINAL | PF_U | PF_W);
    expect("its second page", vm.vmcb->exit_info2, second_gpa());
    expect("the first page is as it was", vm.data[0xffe], 0x11);
    leaf(second_gpa(), E_W, E_P);
    run("\x89\x08", 2, at);
    expect("write to read-only", vm.vmcb->exit_info1, NPF_FINAL | PF_U | PF_W | PF_P);
    expect("the first page is as it was", vm.data[0xffe], 0x11);
    leaf(vm.data_gpa, E_P, 0);
    run("\x8b\x08", 2, at);
    expect("both: the first is found first", vm.vmcb->exit_info2, vm.data_gpa + 0xffe);
    leaf(vm.data_gpa, 0, E_P);
    run("\x8b\x08", 2, at);
    expect("read", vm.vmcb->exit_code, EXIT_VMMCALL);
    expect("read", (u32)vm.regs.rcx, 0x22221111);
    leaf(second_gpa(), 0, E_W);

    /* An instruction on two pages: mov ecx, imm32 with its last two bytes on the second. */
    memcpy(vm.data + 0xffd, "\xb9\x78\x56", 3);
    memcpy(second, "\x34\x12\x0f\x01\xd9", 5);
    leaf(second_gpa(), E_P, 0);
    run("\xff\xe0", 2, vm.data_va + 0xffd);
    expect("fetch", vm.vmcb->exit_code, EXIT_NPF);
    expect("fetch", vm.vmcb->exit_info1, NPF_FINAL | PF_U | (format_has_nx(vm.nested.format) ? PF_ID : 0));
    expect("the second page's first byte", vm.vmcb->exit_info2, second_gpa());
    expect("rIP is the instruction's first", vm.vmcb->rip, vm.data_va + 0xffd);
    expect("no bytes with a fetch", vm.vmcb->reserved_0d0[0], 0);
    leaf(second_gpa(), 0, E_P);
    svm_run(vm.vmcb, &vm.regs);
    expect("goes on", (u32)vm.regs.rcx, 0x12345678);

    /* Instruction bytes end where the code does. */
    memcpy(vm.data + 0xffe, "\x8b\x0b", 2); /* mov ecx, [rbx] at the end of the page */
    leaf(second_gpa(), E_P, 0);
    vm.vmcb->rip = vm.data_va + 0xffe;
    vm.regs.rbx = (uintptr_t)(vm.data_va + PAGE_SIZE);
    svm_run(vm.vmcb, &vm.regs);
    if (vm.data_va >> 32 == 0 || sizeof(void *) == 8) {
        expect("the page behind", vm.vmcb->exit_info2, second_gpa());
        expect("two bytes", vm.vmcb->reserved_0d0[0], 2);
        expect("the first", vm.vmcb->reserved_0d0[1], 0x8b);
    }
    leaf(second_gpa(), 0, E_P);
}

/* ---- dirty bits ---- */

/* A translation that a read brought in knows no D: the first write walks again, in both levels. */
static void dirty(void)
{
    const u64 both = E_A | E_D;

    vm.vmcb->tlb_control = TLB_FLUSH_ALL;
    leaf(vm.data_gpa, both, 0);
    if (vm.format != FMT_NONE)
        entry_set(&vm.guest, vm.data_va, 1, vm.data_gpa | E_ALL);
    probe_works(&vm, "read", READ);
    vm.vmcb->tlb_control = TLB_KEEP;
    probe_works(&vm, "read", READ);
    expect("nested", entry_get(&vm.nested, vm.data_gpa, 1) & both, E_A);
    probe_works(&vm, "write", WRITE);
    expect("nested", entry_get(&vm.nested, vm.data_gpa, 1) & both, both);
    if (vm.format != FMT_NONE)
        expect("guest", entry_get(&vm.guest, vm.data_va, 1) & both, both);
    leaf(vm.data_gpa, both, 0); /* the host forgets the flush */
    probe_works(&vm, "write", WRITE);
    expect("no walk, no bit", entry_get(&vm.nested, vm.data_gpa, 1) & both, 0);
    vm.vmcb->tlb_control = TLB_FLUSH_ASID;
    probe_works(&vm, "write", WRITE);
    expect("a walk, both bits", entry_get(&vm.nested, vm.data_gpa, 1) & both, both);
    leaf(vm.data_gpa, both, 0);
    vm.vmcb->tlb_control = TLB_FLUSH_ASID;
    probe_works(&vm, "read", READ);
    expect("D of the guest's entry alone does not make the nested one's", entry_get(&vm.nested, vm.data_gpa, 1) & both, E_A);
    vm.vmcb->tlb_control = TLB_FLUSH_ALL;
}

/* ---- descriptors ---- */

/* Loading a segment sets its descriptor's accessed bit: a write, by the processor, to a page that may be refused. */
static void descriptors(void)
{
    u64 gpa = phys(vm.system) + GPA_OFFSET;

    vm.system[0x15] &= 0xfe; /* data descriptor at 10h, not accessed */
    vm.vmcb->rax = 0x10;
    leaf(gpa, E_W, 0);
    vm_run_code(&vm, 0x80, "\x8e\xd8\x0f\x01\xd9", 5); /* mov ds, eax; vmmcall */
    expect("accessed bit, read-only", vm.vmcb->exit_code, EXIT_NPF);
    expect("accessed bit, read-only", vm.vmcb->exit_info1, NPF_FINAL | PF_U | PF_W | PF_P);
    expect("within the descriptor", vm.vmcb->exit_info2 & ~7ull, gpa + 0x10);
    vm.system[0x15] |= 1;
    svm_run(vm.vmcb, &vm.regs);
    expect("set already", vm.vmcb->exit_code, EXIT_VMMCALL);
    vm.system[0x15] &= 0xfe;
    leaf(gpa, 0, E_W);
    vm_run_code(&vm, 0x80, "\x8e\xd8\x0f\x01\xd9", 5);
    expect("sets it", vm.system[0x15] & 1, 1);
    leaf(gpa, E_P, 0);
    vm_run_code(&vm, 0x80, "\x8e\xd8\x0f\x01\xd9", 5);
    expect("not there", vm.vmcb->exit_code, EXIT_NPF);
    expect("not there: a read, and a user's", vm.vmcb->exit_info1, NPF_FINAL | PF_U);
    expect("not there", vm.vmcb->exit_info2, gpa + 0x10);
    leaf(gpa, 0, E_P);
}

/* ---- task switches ---- */

/* A jump to another task: refused at its TSS, nothing has happened; allowed, it is the other task. */
static void task_switch(void)
{
    enum { THIS = 0x28, NEXT = 0x30, TSS_CR3 = 0x1c, TSS_EIP = 0x20, TSS_EFLAGS = 0x24, TSS_SEGMENTS = 0x48, JUMP_OFFSET = 0x90 };
    const u64 type = 0x890000000067; /* an available TSS of 32 bits, limit 67h */
    u64 next_va = vm.data_va + PAGE_SIZE, this_va = vm.vmcb->tr.base;
    u64 descriptors[2] = { type | 2ull << 40 | (this_va & 0xffffff) << 16 | (this_va >> 24) << 56, type | (next_va & 0xffffff) << 16 | (next_va >> 24) << 56 };
    u32 *tss = (u32 *)(void *)second;

    memcpy(vm.system + THIS, descriptors, 16);
    memset(second, 0, 0x68);
    tss[TSS_CR3 / 4] = (u32)vm.guest.root;
    tss[TSS_EIP / 4] = (u32)vm.handlers_va;
    tss[TSS_EFLAGS / 4] = 2;
    for (unsigned i = 0; i < 6; i++) /* ES CS SS DS FS GS */
        tss[TSS_SEGMENTS / 4 + i] = i == 1 ? 0x08 : 0x10;
    leaf(second_gpa(), E_P, 0);
    memcpy(vm.code + JUMP_OFFSET, "\xea\x00\x00\x00\x00\x30\x00", 7); /* ljmp 30h:0 */
    vm.vmcb->rip = vm.code_va + JUMP_OFFSET;
    vm.vmcb->tr = (struct vmcb_seg){ THIS, 0x8b, 0x67, this_va };
    __asm__ volatile("vmload" : : "a"(vm.vmcb) : "memory");
    svm_run(vm.vmcb, &vm.regs);
    expect("TSS not there", vm.vmcb->exit_code, EXIT_NPF);
    expect("TSS not there: a user's", vm.vmcb->exit_info1 & ~(u64)PF_W, NPF_FINAL | PF_U);
    expect("TSS not there", vm.vmcb->exit_info2 & ~0xfffull, second_gpa());
    expect("rIP", vm.vmcb->rip, vm.code_va + JUMP_OFFSET);
    expect("the descriptor is not busy", vm.system[NEXT + 5], 0x89);
    __asm__ volatile("vmsave" : : "a"(vm.vmcb) : "memory");
    expect("TR", vm.vmcb->tr.selector, THIS);
    leaf(second_gpa(), 0, E_P);
    svm_run(vm.vmcb, &vm.regs);
    expect("the other task", vm.vmcb->exit_code, EXIT_VMMCALL);
    expect("rIP", vm.vmcb->rip, vm.handlers_va);
    __asm__ volatile("vmsave" : : "a"(vm.vmcb) : "memory");
    expect("TR", vm.vmcb->tr.selector, NEXT);
    expect("busy", vm.system[NEXT + 5], 0x8b);
    expect("no longer busy", vm.system[THIS + 5], 0x89);
    expect("CR0.TS", vm.vmcb->cr0 >> 3 & 1, 1);
    vm.vmcb->cr0 &= ~8ull;
}

/* ---- addresses with a meaning ---- */

/* The local APIC is where the host has it. For the guest FEE00000h is an address like any other, and the APIC is wherever it is mapped. */
static void apic(void)
{
    const u64 where = 0xfee00000;

    vm_init(&vm, FMT_NONE, vm.nested.format);
    vm.data_gpa = vm.data_va = where;
    map(&vm.nested, where, phys(vm.data), E_ALL, 1);
    for (enum access a = READ; a < ACCESSES; a++)
        probe_works(&vm, "memory at the APIC's address", a);
    vm.data_gpa = vm.data_va = 0x90000000;
    map(&vm.nested, vm.data_gpa, where, E_ALL | E_PCD, 1);
    vm.vmcb->rax = vm.data_va + 0x30; /* version */
    vm.vmcb->rip = vm.code_va;
    svm_run(vm.vmcb, &vm.regs);
    expect("the APIC at another address", (u32)vm.regs.rcx, *(volatile u32 *)(uintptr_t)(where + 0x30));
}

/* A host of 32 bits has nested tables for 4 GiB; a guest's page may lie beyond. */
static void beyond(void)
{
    u64 gpa = 5ull << 32 | 0x345000;

    vm_init(&vm, FMT_PAE, vm.nested.format);
    map(&vm.guest, vm.data_va, gpa, E_ALL, 1);
    vm.data_gpa = gpa;
    probe_npf(&vm, "beyond 4 GiB", READ, NPF_FINAL | PF_U, access_gpa(&vm, READ));
    map(&vm.guest, vm.data_va, gpa, E_ALL, 1);
    entry_set(&vm.guest, vm.data_va, 2, 6ull << 32 | E_ALL);
    probe_npf(&vm, "a table beyond 4 GiB", READ, NPF_WALK | PF_U | PF_W, 6ull << 32 | (vm.data_va >> 12 & 511) * 8);
}

void guest_main(void)
{
    static const enum format guests[] = { FMT_NONE, FMT_32, FMT_PAE, FMT_4 };

    svm_enable();
    for (enum format host = FMT_32; host <= FMT_4; host++) {
        if (!host_paging(host))
            continue;
        for (unsigned i = 0; i < 4; i++) {
            section("host", format_name(host), "guest", format_name(guests[i]));
            set_up(guests[i], host);
            two_pages();
            dirty();
            descriptors();
            if (sizeof(void *) == 8 || vm.data_va >> 32 == 0) /* RSI and RDI are 32 bits in a 32-bit host */
                writers();
            if (guests[i] < FMT_4)
                task_switch();
            section_end();
        }
        section("host", format_name(host), "addresses", NULL);
        apic();
        if (host < FMT_4)
            beyond();
        section_end();
    }
}
