// SPDX-License-Identifier: MIT
#include "vm.h"

/* ---- checks ---- */

static const char *title[4];
static unsigned checks, failed;

static void print_title(void)
{
    static const char *const before[] = { "", " ", ", ", " " };
    for (unsigned i = 0; i < 4; i++) {
        if (title[i]) {
            print(before[i]);
            print(title[i]);
        }
    }
}

void section(const char *a, const char *b, const char *c, const char *d)
{
    title[0] = a;
    title[1] = b;
    title[2] = c;
    title[3] = d;
    checks = failed = 0;
}

bool expect(const char *what, u64 got, u64 want)
{
    checks++;
    if (got == want)
        return true;
    failed++;
    print("  ");
    print_title();
    print(": ");
    print(what);
    print(": got ");
    print_hex(got);
    print(", not ");
    print_hex(want);
    print("\n");
    return false;
}

void section_end(void)
{
    print_title();
    print(": ");
    print_dec(checks);
    print(" checks\n");
    if (failed || !checks)
        check(false, title[0]);
}

/* ---- what the processor has ---- */

bool cpu_has_la57(void)
{
    u32 r[4];
    cpuid(0, 0, r);
    if (r[0] < 7)
        return false;
    cpuid(7, 0, r);
    return r[2] >> 16 & 1;
}

bool cpu_svm_feature(unsigned bit)
{
    u32 r[4];
    cpuid(0x8000000a, 0, r);
    return r[3] >> bit & 1;
}

unsigned cpu_phys_bits(void)
{
    u32 r[4];
    cpuid(0x80000008, 0, r);
    return r[0] & 0xff;
}

/* ---- a guest ---- */

enum { CODE_VA = 0x400000, AT_READ = 0, AT_WRITE = 0x10, AT_FETCH = 0x20 };
#define LOW_DATA 0xc0345000ull
static struct vmcb vmcb PAGE_ALIGNED;

const char *const access_name[ACCESSES] = { "read", "write", "fetch" };

/* The same bytes in 32- and 64-bit code. */
static void write_code(u8 *code, u8 *data)
{
    memcpy(code + AT_READ, "\x8b\x08\x0f\x01\xd9", 5);  /* mov ecx, [rax]; vmmcall */
    memcpy(code + AT_WRITE, "\x89\x08\x0f\x01\xd9", 5); /* mov [rax], ecx; vmmcall */
    memcpy(code + AT_FETCH, "\xff\xe0", 2);             /* jmp rax */
    memcpy(data + FETCH_OFFSET, "\x0f\x01\xd9", 3);
}

static void choose_addresses(struct vm *vm)
{
    bool far = vm->nested.format >= FMT_4 && vm->format >= FMT_PAE; /* both can say addresses beyond 4 GiB */

    vm->data_gpa = vm->nested.format == FMT_NONE ? phys(vm->data) : far ? 1ull << 39 | LOW_DATA : LOW_DATA;
    vm->code_va = vm->format == FMT_NONE ? phys(vm->code) + vm->guest.offset : CODE_VA;
    vm->data_va = vm->format == FMT_NONE ? vm->data_gpa
                : vm->format == FMT_5   ? 1ull << 48 | 1ull << 39 | LOW_DATA
                : vm->format == FMT_4   ? 1ull << 39 | LOW_DATA
                                        : LOW_DATA;
    if (vm->format == FMT_PSE) /* one page of 4 MiB */
        vm->data_va = (LOW_DATA & ~0x3fffffull) | (vm->data_gpa & 0x3fffff);
}

static void set_mode(struct vm *vm)
{
    struct vmcb *v = vm->vmcb;
    bool lm = vm->format >= FMT_4;

    v->cs = vmcb_flat(0x08, lm ? 0xa9b : 0xc9b);
    v->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_WP | (vm->format == FMT_NONE ? 0 : CR0_PG);
    v->cr4 = (vm->format == FMT_PSE ? CR4_PSE : 0) | (vm->format >= FMT_PAE ? CR4_PAE : 0) | (vm->format == FMT_5 ? CR4_LA57 : 0);
    v->efer = EFER_SVME | (lm ? EFER_LME | EFER_LMA : 0) | (format_has_nx(vm->format) ? EFER_NXE : 0);
    v->cr3 = vm->guest.root;
}

void vm_init(struct vm *vm, enum format guest, enum format nested)
{
    vm->vmcb = &vmcb;
    vm->format = guest;
    vm->regs = (struct guest_regs){ 0 };
    pages_reset();
    vmcb_init(&vmcb);
    vm->code = pages_take();
    vm->data = pages_take();
    write_code(vm->code, vm->data);
    tables_init(&vm->nested, nested, 0);
    tables_init(&vm->guest, guest, nested == FMT_NONE ? 0 : GPA_OFFSET);
    choose_addresses(vm);
    if (guest != FMT_NONE) {
        map(&vm->guest, vm->code_va, phys(vm->code) + vm->guest.offset, E_ALL, 1);
        if (guest == FMT_PSE)
            map(&vm->guest, vm->data_va, vm->data_gpa & ~0x3fffffull, E_ALL, 2);
        else
            map(&vm->guest, vm->data_va, vm->data_gpa, E_ALL, 1);
    }
    if (nested != FMT_NONE) {
        map(&vm->nested, vm->data_gpa, phys(vm->data), E_ALL, 1);
        for (u64 p = pages_first(); p < pages_end(); p += PAGE_SIZE)
            map(&vm->nested, p + GPA_OFFSET, p, E_ALL, 1);
        vmcb.nested_ctl = NESTED_PAGING;
        vmcb.nested_cr3 = vm->nested.root;
    }
    vmcb.intercept_exceptions = ~0u;
    vmcb.tlb_control = TLB_FLUSH_ALL;
    set_mode(vm);
}

/* ---- one access ---- */

u64 access_rip(const struct vm *vm, enum access a)
{
    static const u8 at[ACCESSES] = { AT_READ, AT_WRITE, AT_FETCH };
    return vm->code_va + at[a];
}

u64 access_va(const struct vm *vm, enum access a)
{
    return vm->data_va + (a == FETCH ? FETCH_OFFSET : DATA_OFFSET);
}

u64 access_gpa(const struct vm *vm, enum access a)
{
    return vm->data_gpa + (a == FETCH ? FETCH_OFFSET : DATA_OFFSET);
}

u64 probe(struct vm *vm, enum access a)
{
    vm->vmcb->rip = access_rip(vm, a);
    vm->vmcb->rax = access_va(vm, a);
    vm->vmcb->cr2 = 0x77; /* neither kind of page fault exit touches it */
    svm_run(vm->vmcb, &vm->regs);
    return vm->vmcb->exit_code;
}

void probe_works(struct vm *vm, const char *what, enum access a)
{
    static u32 value;
    volatile u32 *data = (volatile u32 *)(void *)(vm->data + DATA_OFFSET);

    if (a == READ)
        *data = ++value;
    else
        vm->regs.rcx = ++value;
    if (!expect(what, probe(vm, a), EXIT_VMMCALL)) {
        print_field("  EXITINFO1", vm->vmcb->exit_info1);
        print_field("  EXITINFO2", vm->vmcb->exit_info2);
        return;
    }
    if (a == FETCH)
        expect(what, vm->vmcb->rip, access_va(vm, a));
    else
        expect(what, a == READ ? (u32)vm->regs.rcx : *data, value);
}

/* What both kinds of page fault exits have in common: rIP is the instruction, CR2 is not touched, no nRIP; the bytes of the
 * instruction come with data accesses only [APM2 15.8.4]. */
static void probe_common(struct vm *vm, const char *what, u64 rip, bool bytes)
{
    const struct vmcb *v = vm->vmcb;

    expect(what, v->rip, rip);
    expect(what, v->cr2, 0x77);
    expect(what, v->exit_int_info, 0);
    if (cpu_svm_feature(FEATURE_NRIPS))
        expect(what, v->next_rip, 0);
    if (!cpu_svm_feature(FEATURE_DECODE_ASSISTS))
        return;
    expect(what, v->reserved_0d0[0], bytes ? 15 : 0);
    for (unsigned i = 0; bytes && i < 5; i++)
        expect(what, v->reserved_0d0[1 + i], vm->code[(rip & 0xfff) + i]);
}

void probe_npf(struct vm *vm, const char *what, enum access a, u64 info1, u64 gpa)
{
    bool at_start = info1 & NPF_WALK && vm->format != FMT_NONE && gpa == entry_at(&vm->guest, vm->code_va, format_levels(vm->format)) + vm->guest.offset;

    if (!expect(what, probe(vm, a), EXIT_NPF))
        return;
    expect(what, vm->vmcb->exit_info1, info1);
    expect(what, vm->vmcb->exit_info2, gpa);
    /* A fault at the table root comes from the fetch of the instruction itself. */
    probe_common(vm, what, a == FETCH && !at_start ? access_va(vm, a) : access_rip(vm, a), a != FETCH && !at_start);
}

void probe_pf(struct vm *vm, const char *what, enum access a, u64 error)
{
    if (!expect(what, probe(vm, a), EXIT_EXCP_PF))
        return;
    expect(what, vm->vmcb->exit_info1, error);
    expect(what, vm->vmcb->exit_info2, access_va(vm, a));
    probe_common(vm, what, a == FETCH ? access_va(vm, a) : access_rip(vm, a), a != FETCH);
}
