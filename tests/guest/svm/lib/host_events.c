// SPDX-License-Identifier: MIT
#ifdef __x86_64__
#include "host.h"

struct host_seen host_seen[4];
static u64 idt[256][2] PAGE_ALIGNED;

/* One entry of 16 bytes for each vector: an error code (the processor's or 0), the vector, and on. */
__asm__(".balign 16\n"
        "host_entries:\n"
        ".set v, 0\n"
        ".rept 256\n"
        "    .balign 16\n"
        "    .if !(v == 8 || (v >= 10 && v <= 14) || v == 17 || v == 21 || v == 29 || v == 30)\n"
        "    push $0\n"
        "    .endif\n"
        "    push $v\n"
        "    jmp host_entry\n"
        "    .set v, v + 1\n"
        ".endr\n"
        "host_entry:\n"
        "    push %rax; push %rcx; push %rdx; push %rsi; push %rdi; push %r8; push %r9; push %r10; push %r11\n"
        "    mov 72(%rsp), %rdi\n" /* vector, error code, the processor's frame */
        "    mov 80(%rsp), %rsi\n"
        "    lea 88(%rsp), %rdx\n"
        "    mov %rsp, %rax\n"
        "    push %rbx\n"
        "    mov %rax, %rbx\n"
        "    and $-16, %rsp\n"
        "    call host_event\n"
        "    lea -8(%rbx), %rsp\n"
        "    pop %rbx\n"
        "    pop %r11; pop %r10; pop %r9; pop %r8; pop %rdi; pop %rsi; pop %rdx; pop %rcx; pop %rax\n"
        "    add $16, %rsp\n"
        "    iretq\n");
extern u8 host_entries[];

/* Instructions that may fault, each with a RET behind it, to which the handler goes. */
__asm__("host_rdmsr: rdmsr; ret\n"
        "host_wrmsr: wrmsr; ret\n"
        "host_vmrun: vmrun; ret\n");
extern const u8 host_rdmsr[], host_wrmsr[], host_vmrun[];
volatile int host_fault;

static u64 behind(u64 rip)
{
    return rip == phys(host_rdmsr) || rip == phys(host_wrmsr) ? rip + 2 : rip == phys(host_vmrun) ? rip + 3 : 0;
}

u64 try_rdmsr(u32 msr)
{
    u32 lo = 0, hi = 0;
    host_fault = -1;
    __asm__ volatile("call host_rdmsr" : "+a"(lo), "+d"(hi) : "c"(msr) : "memory");
    return (u64)hi << 32 | lo;
}

int try_wrmsr(u32 msr, u64 value)
{
    host_fault = -1;
    __asm__ volatile("call host_wrmsr" : : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
    return host_fault;
}

int try_vmrun(const struct vmcb *vmcb)
{
    host_fault = -1;
    __asm__ volatile("call host_vmrun" : : "a"(phys(vmcb)) : "memory");
    return host_fault;
}

enum { FRAME_RIP, FRAME_CS, FRAME_RFLAGS };

void host_event(u64 vector, u64 error, u64 *frame);
void host_event(u64 vector, u64 error, u64 *frame)
{
    u64 rip = frame[FRAME_RIP];
    struct host_seen *seen = &host_seen[apic_id() & 3];

    seen->count[vector]++;
    seen->error = error;
    seen->rip = rip;
    if (behind(rip) && vector < 32 && vector != VECTOR_NMI) {
        host_fault = (int)vector;
        frame[FRAME_RIP] = behind(rip);
        return;
    }
    if (vector == VECTOR_DB) {
        u64 dr6;
        __asm__ volatile("mov %%dr6, %0" : "=r"(dr6));
        seen->dr6 = dr6;
        frame[FRAME_RFLAGS] &= ~(u64)RFLAGS_TF; /* one step only */
    } else if (vector >= 32) {
        apic_write(APIC_EOI, 0);
    } else if (vector != VECTOR_NMI && vector != VECTOR_SX) {
        print_field("host exception", vector);
        print_field("  at", rip);
        print_field("  error code", error);
        check(false, "the host has no exceptions");
        guest_exit(GUEST_FAIL);
    }
}

void host_events_init(void)
{
    struct {
        u16 limit;
        u64 base;
    } __attribute__((packed)) pointer = { sizeof(idt) - 1, phys(idt) };

    for (unsigned v = 0; v < 256; v++) {
        u64 at = phys(host_entries) + 16 * v;
        idt[v][0] = (at & 0xffff) | 0x08 << 16 | 0x8eull << 40 | (at >> 16 & 0xffff) << 48;
        idt[v][1] = at >> 32;
    }
    __asm__ volatile("lidt %0" : : "m"(pointer));
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
    apic_write(APIC_SVR, 0x1ff);
    apic_write(APIC_TPR, 0);
}

void host_events_reset(void)
{
    memset(host_seen, 0, sizeof(host_seen));
}

u32 apic_read(unsigned reg)
{
    return *(volatile u32 *)(uintptr_t)(APIC_BASE + reg);
}

void apic_write(unsigned reg, u32 value)
{
    *(volatile u32 *)(uintptr_t)(APIC_BASE + reg) = value;
}

unsigned apic_id(void)
{
    return apic_read(APIC_ID) >> 24;
}

void apic_send(unsigned id, u32 command)
{
    apic_write(APIC_ICR2, id << 24);
    apic_write(APIC_ICR, command | ICR_ASSERT);
}
#endif
