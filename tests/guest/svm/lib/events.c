// SPDX-License-Identifier: MIT
/* A guest that can take interrupts and exceptions. */
#include "vm.h"

enum { SYSTEM_VA = 0x600000, GDT = 0, TSS = 0x100, TSS_LIMIT = 0x67, STACK_TOP = 0xf00, INNER_TOP = 0x700, HANDLER_SIZE = 4 };

/* A page of the guest at the next address after `va`. */
static u8 *guest_page(struct vm *vm, u64 *va)
{
    u8 *page = pages_take();

    *va = vm->format == FMT_NONE ? phys(page) + vm->guest.offset : *va + PAGE_SIZE;
    if (vm->format != FMT_NONE)
        map(&vm->guest, *va, phys(page) + vm->guest.offset, E_ALL, 1);
    return page;
}

static void put(void *p, unsigned width, u64 value)
{
    memcpy(p, &value, width);
}

static void gates(struct vm *vm, bool lm)
{
    for (unsigned v = 0; v < 256; v++) {
        u64 at = vm->handlers_va + v * HANDLER_SIZE;
        u8 *gate = vm->idt + v * (lm ? 16 : 8);
        put(gate, 8, (at & 0xffff) | 0x08 << 16 | 0x8eull << 40 | (at >> 16 & 0xffff) << 48);
        if (lm)
            put(gate + 8, 8, at >> 32);
    }
}

void vm_events(struct vm *vm)
{
    bool lm = vm->format >= FMT_4;
    u64 va = SYSTEM_VA, system_va, stack_va;
    u8 *handlers;

    vm->system = guest_page(vm, &va);
    system_va = va;
    vm->idt = guest_page(vm, &va);
    vm->idt_va = va;
    handlers = guest_page(vm, &va);
    vm->handlers_va = va;
    vm->stack = guest_page(vm, &va);
    stack_va = va;
    vm->stack_va = stack_va + STACK_TOP;
    for (unsigned v = 0; v < 256; v++)
        memcpy(handlers + v * HANDLER_SIZE, "\x0f\x01\xd9\x90", HANDLER_SIZE);
    gates(vm, lm);
    put(vm->system + GDT + 0x08, 8, lm ? 0x00af9b000000ffff : 0x00cf9b000000ffff);
    put(vm->system + GDT + 0x10, 8, 0x00cf93000000ffff);
    put(vm->system + GDT + 0x18, 8, 0x00cff3000000ffff);
    put(vm->system + GDT + 0x20, 8, lm ? 0x00affb000000ffff : 0x00cffb000000ffff);
    put(vm->system + TSS + 4, 8, stack_va + INNER_TOP);
    if (!lm)
        put(vm->system + TSS + 8, 2, 0x10); /* SS0 */
    vm->vmcb->gdtr = (struct vmcb_seg){ 0, 0, 0xff, system_va };
    vm->vmcb->idtr = (struct vmcb_seg){ 0, 0, lm ? 0xfff : 0x7ff, vm->idt_va };
    vm->vmcb->tr = (struct vmcb_seg){ 0x28, 0x8b, TSS_LIMIT, system_va + TSS };
    __asm__ volatile("vmload" : : "a"(vm->vmcb) : "memory"); /* VMRUN does not load TR */
    vm->vmcb->rsp = vm->stack_va;
}

int vm_vector(const struct vm *vm)
{
    u64 at = vm->vmcb->rip - vm->handlers_va;
    return vm->vmcb->exit_code == EXIT_VMMCALL && at < 256 * HANDLER_SIZE && !(at % HANDLER_SIZE) ? (int)(at / HANDLER_SIZE) : -1;
}

u64 vm_stack_word(const struct vm *vm, unsigned n)
{
    unsigned width = vm->format >= FMT_4 ? 8 : 4;
    u64 value = 0, at = vm->vmcb->rsp - (vm->stack_va - STACK_TOP) + n * width;

    memcpy(&value, vm->stack + (at & 0xfff), width);
    return value;
}

void vm_ring(struct vm *vm, unsigned cpl)
{
    struct vmcb *v = vm->vmcb;

    v->cpl = (u8)cpl;
    v->cs.selector = cpl == 3 ? 0x23 : 0x08;
    v->ss.selector = cpl == 3 ? 0x1b : 0x10;
    v->cs.attrib = (u16)((v->cs.attrib & ~0x60) | cpl << 5);
    v->ss.attrib = (u16)((v->ss.attrib & ~0x60) | cpl << 5);
}

u8 *vm_gate(const struct vm *vm, unsigned vector)
{
    return vm->idt + vector * (vm->format >= FMT_4 ? 16 : 8) + 5;
}

u64 vm_run_code(struct vm *vm, unsigned at, const char *bytes, unsigned count)
{
    memcpy(vm->code + at, bytes, count);
    vm->vmcb->rip = vm->code_va + at;
    svm_run(vm->vmcb, &vm->regs);
    return vm->vmcb->exit_code;
}
