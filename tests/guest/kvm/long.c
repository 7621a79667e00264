// SPDX-License-Identifier: MIT
/* The VM's guest, third part: long mode on one vCPU without interrupt controllers. Each check is an I/O exit to the monitor. */
#include "long.h"

static struct {
    u16 offset_low, selector, type, offset_middle;
    u32 offset_high, zero;
} idt[256];
extern u8 tss64[256], gdt[];

static volatile struct {
    u32 interrupts, nmis, calls;
    u64 code, address;  /* of the last exception */
    u64 fix, skip;      /* what the page-fault handler writes into the entry; else how many bytes it skips */
} seen;

void set_gate(u32 vector, void *handler, u32 ring)
{
    u64 at = (u64)handler;

    idt[vector].offset_low = (u16)at;
    idt[vector].offset_middle = (u16)(at >> 16);
    idt[vector].selector = SEL_CODE64;
    idt[vector].type = (u16)(0x8e00 | ring << 13);
}

HANDLER on_invalid_opcode(struct frame *f)
{
    seen.code = 6;
    f->rip += 2; /* UD2 */
}

HANDLER on_protection(struct frame *f, u64 code)
{
    seen.code = code;
    f->rip += seen.skip;
}

HANDLER on_page_fault(struct frame *f, u64 code)
{
    u64 address;

    __asm__ volatile("mov %%cr2, %0" : "=r"(address));
    seen.code = code;
    seen.address = address;
    if (seen.fix)
        window((u32)(address >> 12 & 511), seen.fix);
    else
        f->rip = *(u64 *)f->rsp; /* a call to where nothing may be executed: return from it */
    if (!seen.fix)
        f->rsp += 8;
}

HANDLER on_interrupt(struct frame *f)
{
    (void)f;
    seen.interrupts++;
}

HANDLER on_nmi(struct frame *f)
{
    (void)f;
    seen.nmis++;
}

/* Ring 3: SYSCALL with 1 in RDI returns, with 2 ends ring 3. */
void user_code(void), syscall_entry(void), enter_user(void *code, void *stack);
__asm__(".text\n"
        "user_code: mov $1, %edi\n syscall\n mov $2, %edi\n syscall\n"
        "syscall_entry: cmp $1, %edi\n jne 1f\n"
        "incl " "syscalls" "\n sysretq\n"
        "1: mov kernel_stack, %rsp\n ret\n"
        "enter_user: mov %rsp, kernel_stack\n"
        "push $0x23\n push %rsi\n push $2\n push $0x2b\n push %rdi\n iretq\n"
        ".data\n.balign 8\nkernel_stack: .quad 0\nsyscalls: .long 0\n.text\n");
extern volatile u32 syscalls;

static void test_io(void)
{
    static char text[] = "hello from long mode\n";
    u8 stream[16] = { 0 };
    u32 a, b, c, d, n = 0;
    void *p = text;
    u64 count = sizeof(text) - 1;

    __asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(CPUID_LEAF), "c"(0));
    check(b == CPUID_EBX && c == CPUID_ECX && d == CPUID_EDX, "long mode: CPUID gives what the monitor set");
    out32(PORT_DATA, 0x13579bdf);
    check(in32(PORT_DATA) == ~0x13579bdfu, "long mode: port");
    __asm__ volatile("rep outsb" : "+S"(p), "+c"(count) : "d"(PORT_CONSOLE) : "memory");
    check(p == text + sizeof(text) - 1 && count == 0, "long mode: REP OUTS");
    p = stream;
    count = sizeof(stream);
    __asm__ volatile("rep insb" : "+D"(p), "+c"(count) : "d"(PORT_STREAM) : "memory");
    while (n < sizeof(stream) && stream[n] == n + 1)
        n++;
    check(n == sizeof(stream), "long mode: REP INS");
}

static void test_mmio(void)
{
    volatile u8 *mmio = (u8 *)MMIO_HIGH;
    u64 copied;

    *(volatile u64 *)(mmio + 0x10) = 0x0123456789abcdef;
    check(*(volatile u64 *)(mmio + 0x10) == ~0x0123456789abcdeful, "long mode: MMIO of 8 bytes");
    *(volatile u32 *)(mmio + 0x20) = 0x89abcdef;
    check(*(volatile u32 *)(mmio + 0x20) == ~0x89abcdefu, "long mode: MMIO of 4 bytes");
    *(volatile u16 *)(mmio + 0x30) = 0x55aa;
    check(*(volatile u16 *)(mmio + 0x30) == 0xaa55, "long mode: MMIO of 2 bytes");
    mmio[0x38] = 0xf0;
    check((u32)mmio[0x38] == 0x0f, "long mode: MMIO of 1 byte");
    __asm__ volatile("mov %1, %%rsi; lea %0, %%rdi; movsq" : "=m"(copied) : "r"(mmio + 0x10) : "rsi", "rdi", "memory");
    check(copied == ~0x0123456789abcdeful, "long mode: MOVS from MMIO to memory");
}

static void test_exceptions(void)
{
    volatile u32 *page;
    u32 low, high;

    seen.code = 0;
    __asm__ volatile("ud2" ::: "memory");
    check(seen.code == 6, "exception: UD2");
    seen.skip = 2;
    seen.code = ~0ul;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(0x40000fff) : "memory");
    check(seen.code == 0, "exception: RDMSR of a register that is not there");
    __asm__ volatile("mov %w0, %%fs" : : "r"(0x7f8) : "memory");
    check(seen.code == 0x7f8, "exception: a selector outside the GDT");

    page = window(0, 0);
    seen.fix = 0x120003;
    *page = 0xcafe;
    check(seen.code == 2 && seen.address == WINDOW && *(volatile u32 *)0x120000 == 0xcafe, "page fault: a store to no page");
    check((window_table[0] & 0x60) == 0x60, "page table: accessed and dirty are set");
    page = window(1, 0x121001);
    seen.fix = 0x121003;
    page[3] = 7;
    check(seen.code == 3 && seen.address == WINDOW + 0x100c && page[3] == 7, "page fault: a store to a read-only page");
    page = window(2, 0x122003 | 1ul << 63);
    *page = 0xc3;
    seen.fix = 0;
    ((void (*)(void))(u64)page)();
    check(seen.code == 0x11 && seen.address == WINDOW + 0x2000, "page fault: code in a no-execute page");
    page = window(2, 0x122003);
    ((void (*)(void))(u64)page)();
    check(1, "page table: and it runs when the bit is clear");
    page = window(3, 0x123009 | 1ul << 51);
    seen.fix = 0x123003;
    page[0] = 1;
    check(seen.code == 0xb, "page fault: a reserved bit");
}

static void test_paging(void)
{
    u32 sum = 0;

    for (u32 i = 0; i < 256; i++)
        *window(i, 0x200003 + (u64)i * 4096) = i;
    for (u32 i = 0; i < 256; i++)
        sum += *window(i, 0x200003 + (u64)(255 - i) * 4096) == 255 - i;
    check(sum == 256, "page table: 256 pages, mapped and mapped again");
    request(REQ_LOG_START);
    for (u32 i = 0; i < 10; i++)
        *(volatile u32 *)(0x180000 + (u64)i * 0x3000) = i;
    check(request(REQ_LOG_COUNT) == 10, "dirty log: 10 pages were written");
    check(request(REQ_LOG_COUNT) == 0, "dirty log: no more");
}

static void test_events(void)
{
    seen.interrupts = 0;
    request(REQ_INTERRUPT);
    for (volatile u32 i = 0; i < 1000; i++)
        ;
    check(seen.interrupts == 0, "interrupt: held back by IF");
    enable_interrupts();
    check(seen.interrupts == 1, "interrupt: comes after STI");
    disable_interrupts();
    halt();
    check(seen.interrupts == 2, "interrupt: ends HLT");
    __asm__ volatile("mov %0, %%cr8" : : "r"(15ul));
    request(REQ_NMI);
    check(seen.nmis == 1, "NMI: comes with IF clear");
    request(REQ_NMI);
    check(seen.nmis == 2, "NMI: comes again after IRET");
    __asm__ volatile("mov %0, %%cr8" : : "r"(0ul));
    out32(PORT_REQUEST, REQ_STEP);
    __asm__ volatile("nop; nop; nop; nop; nop; nop; nop; nop" ::: "memory");
    check(in32(PORT_RESULT) == STEPS, "debug: the monitor single-steps");
}

static void test_user(void)
{
    u8 *stack = (u8 *)(WINDOW + 0x200000 - 16);

    for (u32 i = 0; i < 8; i++)
        window(8 + i, (8 + i) * 4096ul + 7); /* the image, again, for ring 3 */
    window(511, 0x1ff007);
    write_msr(0xc0000081, (u64)0x1b << 48 | (u64)SEL_CODE32 << 32);
    write_msr(0xc0000082, (u64)syscall_entry);
    write_msr(0xc0000084, 0x200);
    enter_user((void *)(WINDOW + (u64)user_code), stack);
    check(syscalls == 1, "ring 3: SYSCALL and SYSRET");
}

void test_modes(void)
{
    u64 before, after;

    set_gate(2, on_nmi, 0);
    set_gate(6, on_invalid_opcode, 0);
    set_gate(13, on_protection, 0);
    set_gate(14, on_page_fault, 0);
    set_gate(VECTOR_INJECTED, on_interrupt, 0);
    before = __builtin_ia32_rdtsc();
    test_io();
    test_mmio();
    test_exceptions();
    test_paging();
    test_events();
    test_user();
    after = __builtin_ia32_rdtsc();
    check(after > before, "long mode: the TSC goes on");
    request(REQ_DONE);
}

/* Called on each vCPU with its number, on a stack of its own, interrupts off. */
void main64(u32 index)
{
    struct __attribute__((packed)) {
        u16 limit;
        u64 base;
    } table = { sizeof(idt) - 1, (u64)idt };
    u16 selector = (u16)(SEL_TSS64 + index * 16);

    __asm__ volatile("lidt %0; ltr %1" : : "m"(table), "r"(selector) : "memory");
    if (*(volatile u32 *)KIND_ADDR == KIND_MODES)
        test_modes();
    else
        test_chips(index);
}
