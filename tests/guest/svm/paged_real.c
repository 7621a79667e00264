// SPDX-License-Identifier: MIT
/* bits: 64 */
/* run: --cpu max */
/* also: k8 barcelona */
/* Paged real mode (CR0.PG = 1, PE = 0): real-mode instructions on pages, their faults, what stays refused, with shadow tables of each
 * legacy format and with nested paging [APM2 15.19]. */
#include "vm.h"

/* The guest's first megabyte, page by page: linear addresses. 6000h and A000h are there in some tests only. */
enum { IVT = 0, EXTRA = 0x6000, DATA = 0x7000, CODE = 0x8000, STACK = 0x9000, MISSING = 0xa000, HIGH = 0x100000, SP = 0x800 };
enum { INTN = 4 << 8, EXCEPTION = 3 << 8, EXIT_EXCP_DE = 0x40, EXIT_EXCP_GP = 0x4d };

__asm__(".code16\n"
        "real_code:\n"
        "r_memory: movw $0x1234, 0x10; addw $0x1111, 0x10; movw 0x10, %bx; xchgb %bl, 0x10; lock incw 0x12; movw 0x12, %cx; vmmcall\n"
        "r_stack: movw $0x77, %ax; pushw %ax; popw %bx; pusha; popa; enter $4, $0; leave; pushw $0x55; popw %cx; pushl $0x12345678; popl %edx; vmmcall\n"
        "r_string: movw $8, %cx; xorw %si, %si; movw $0x20, %di; rep movsb; movw $8, %cx; xorw %si, %si; movw $0x20, %di; repe cmpsb\n"
        "   setz %bl; movb $0x40, %al; movw $3, %cx; rep stosb; lodsb; vmmcall\n"
        "r_far: lcall $0x880, $(f_target - f_base); movw %cs, %cx; vmmcall\n"
        "r_int: xorw %bx, %bx; int $0x33; movw %bx, %cx; vmmcall\n"
        "v_33: movw $0x3333, %bx; iret\n"
        "v_0: movw $0xd0, %bx; vmmcall\n"
        "r_segment: movw $0x123, %ax; movw %ax, %fs; movw %fs, %bx; movw %ax, %gs; lesw 0x40, %di; movw %es, %cx; vmmcall\n"
        "r_wide: movl $0x50, %ebx; movl $0x89abcdef, (%ebx); movl 0x50, %ecx; vmmcall\n"
        "r_high: movw $0xffff, %ax; movw %ax, %ds; movb $0x5a, 0x18; vmmcall\n"
        "r_flags: sti; cli; pushf; popw %bx; stc; movw $5, %cx; xorw %dx, %dx; 1: incw %dx; loop 1b; vmmcall\n"
        "r_tables: lidt 0x60; sidt 0x68; lgdt 0x60; sgdt 0x70; movw 0x68, %bx; movw 0x70, %cx; vmmcall\n"
        "r_smsw: smsw %bx; movl %cr0, %ecx; vmmcall\n"
        "r_read: movw 0x10, %bx; vmmcall\n"
        "r_write: movw %bx, 0x10; vmmcall\n"
        "r_push: pushw %bx; vmmcall\n"
        "r_jump: ljmp $0x600, $0x30\n"
        "r_divide: xorw %bx, %bx; divw %bx; vmmcall\n"
        "r_cross: movw 0xfff, %bx; vmmcall\n"
        "r_limit: movw 0xffff, %bx; vmmcall\n"
        "r_cr0: movl %ebx, %cr0\n"
        "r_nop: nop; vmmcall\n"
        "r_lmsw: lmsw %bx; nop; vmmcall\n"
        "r_int_only: int $0x33; vmmcall\n"
        "r_rep: rep movsb; vmmcall\n"
        "   .balign 16\n"
        "   .skip 0x800 - (. - real_code)\n"
        "f_base: .skip 0x10\n"
        "f_target: movw %cs, %bx; lret\n"
        "real_end:\n"
        ".code64\n");
extern const u8 real_code[], real_end[], r_memory[], r_stack[], r_string[], r_far[], r_int[], r_segment[], r_wide[], r_high[], r_flags[],
    r_tables[], r_smsw[], r_read[], r_write[], r_push[], r_jump[], r_divide[], r_cross[], r_limit[], r_cr0[], r_lmsw[], r_int_only[], r_rep[],
    r_nop[], v_33[], v_0[];

static struct vmcb vmcb PAGE_ALIGNED;
static struct guest_regs regs;
static struct tables guest, nested;
static u8 *ivt, *data, *code, *stack, *high, *spare;

static struct vmcb_seg real_seg(u32 linear, u16 attrib)
{
    return (struct vmcb_seg){ (u16)(linear >> 4), attrib, 0xffff, linear };
}

static u8 *page_at(u32 linear)
{
    u8 *page = pages_take();
    map(&guest, linear, phys(page) + guest.offset, E_ALL, 1);
    return page;
}

static void vector(unsigned n, const u8 *handler)
{
    *(u16 *)(void *)(ivt + 4 * n) = (u16)(handler - real_code);
    *(u16 *)(void *)(ivt + 4 * n + 2) = CODE >> 4;
}

static void set_up(enum format f, enum format nested_format)
{
    pages_reset();
    vmcb_init(&vmcb);
    regs = (struct guest_regs){ 0 };
    tables_init(&nested, nested_format, 0);
    tables_init(&guest, f, nested_format ? GPA_OFFSET : 0);
    ivt = page_at(IVT);
    data = page_at(DATA);
    code = page_at(CODE);
    stack = page_at(STACK);
    high = page_at(HIGH);
    spare = pages_take();
    memcpy(code, real_code, (size_t)(real_end - real_code));
    vector(0x33, v_33);
    vector(0, v_0);
    if (nested_format) {
        for (u64 p = pages_first(); p < pages_end(); p += PAGE_SIZE)
            map(&nested, p + GPA_OFFSET, p, E_ALL, 1);
        vmcb.nested_ctl = NESTED_PAGING;
        vmcb.nested_cr3 = nested.root;
    }
    vmcb.cs = real_seg(CODE, 0x9b);
    vmcb.ds = vmcb.es = real_seg(DATA, 0x93);
    vmcb.ss = real_seg(STACK, 0x93);
    vmcb.idtr = (struct vmcb_seg){ 0, 0, 0x3ff, 0 };
    vmcb.gdtr = (struct vmcb_seg){ 0 };
    vmcb.cr0 = CR0_PG | CR0_WP | CR0_ET;
    vmcb.cr3 = guest.root;
    vmcb.cr4 = f == FMT_PAE ? CR4_PAE : f == FMT_PSE ? CR4_PSE : 0;
    vmcb.efer = EFER_SVME | (f == FMT_PAE ? EFER_NXE : 0);
    vmcb.intercept_exceptions = ~0u;
    vmcb.tlb_control = TLB_FLUSH_ALL;
    vmcb.rsp = SP;
}

static u64 run(const u8 *label)
{
    vmcb.rip = (u64)(label - real_code);
    vmcb.cs = real_seg(CODE, 0x9b);
    vmcb.cr2 = 0x77;
    svm_run(&vmcb, &regs);
    return vmcb.exit_code;
}

static void works(const char *what, const u8 *label)
{
    expect(what, run(label), EXIT_VMMCALL);
}

/* ---- instructions ---- */

static void instructions(void)
{
    works("memory operands", r_memory);
    expect("MOV, ADD, XCHG", (u16)regs.rbx, 0x2300 | 0x45);
    expect("LOCK INC", (u16)regs.rcx, 1);
    works("stack", r_stack);
    expect("PUSH and POP", (u16)regs.rbx, 0x77);
    expect("after ENTER and LEAVE", (u16)regs.rcx, 0x55);
    expect("32-bit POP", (u32)regs.rdx, 0x12345678);
    expect("SP", vmcb.rsp, SP);
    memcpy(data, "realmode", 8);
    works("strings", r_string);
    expect("REPE CMPSB", (u8)regs.rbx, 1);
    expect("MOVSB", data[0x27], 'e');
    expect("STOSB", data[0x2a], 0x40);
    works("far call", r_far);
    expect("CS inside", (u16)regs.rbx, 0x880);
    expect("CS after", (u16)regs.rcx, 0x800);
    expect("its base", vmcb.cs.base, CODE);
    works("INT and IRET", r_int);
    expect("handler", (u16)regs.rcx, 0x3333);
    *(u32 *)(void *)(data + 0x40) = 0x04560012;
    works("segment registers", r_segment);
    expect("FS", vmcb.fs.selector, 0x10); /* FS is not the VMCB's: VMRUN and #VMEXIT leave it alone */
    expect("FS as read", (u16)regs.rbx, 0x123);
    expect("LES", vmcb.es.base, 0x4560);
    expect("limit is kept", vmcb.es.limit, 0xffff);
    vmcb.es = real_seg(DATA, 0x93);
    works("32-bit operands and addresses", r_wide);
    expect("value", (u32)regs.rcx, 0x89abcdef);
    works("FFFF:0018", r_high);
    expect("is not address 8", high[8], 0x5a);
    vmcb.ds = real_seg(DATA, 0x93);
    works("flags and loops", r_flags);
    expect("LOOP", (u16)regs.rdx, 5);
    *(u16 *)(void *)(data + 0x60) = 0x3ff;
    works("LIDT, SIDT, LGDT, SGDT", r_tables);
    expect("IDT limit", (u16)regs.rbx, 0x3ff);
    works("SMSW", r_smsw);
    expect("PE is 0", regs.rbx & 1, 0);
    expect("PG is 1", regs.rcx >> 31 & 1, 1);
    expect("CPL", vmcb.cpl, 0);
}

/* ---- faults ---- */

/* One entry loses bits; what the code then does. */
struct fault {
    const char *what;
    const u8 *label;
    u32 page;
    u64 clear, exit, info1, info2, event;
};

static void faults(bool nx)
{
    const struct fault list[] = {
        { "read", r_read, DATA, E_P, EXIT_EXCP_PF, 0, DATA + 0x10, 0 },
        { "write", r_write, DATA, E_P, EXIT_EXCP_PF, PF_W, DATA + 0x10, 0 },
        { "write, read-only", r_write, DATA, E_W, EXIT_EXCP_PF, PF_P | PF_W, DATA + 0x10, 0 },
        { "read, read-only", r_read, DATA, E_W, EXIT_VMMCALL, 0, 0, 0 },
        { "write to a supervisor page", r_write, DATA, E_U, EXIT_VMMCALL, 0, 0, 0 },
        { "stack", r_push, STACK, E_P, EXIT_EXCP_PF, PF_W, STACK + SP - 2, 0 },
        { "INT, its vector", r_int_only, IVT, E_P, EXIT_EXCP_PF, 0, IVT + 4 * 0x33, EVENT_VALID | INTN | 0x33 },
        { "INT, its stack", r_int_only, STACK, E_P, EXIT_EXCP_PF, PF_W, STACK + SP - 2, EVENT_VALID | INTN | 0x33 },
        { "limit", r_limit, DATA, E_P, EXIT_EXCP_GP, 0, 0, 0 }, /* before the page is looked at */
        { "division by zero", r_divide, IVT, E_P, EXIT_EXCP_DE, 0, 0, 0 }, /* intercepted before its vector is read */
    };

    for (unsigned i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        const struct fault *f = &list[i];
        u64 old = entry_get(&guest, f->page, 1);
        entry_set(&guest, f->page, 1, old & ~f->clear);
        expect(f->what, run(f->label), f->exit);
        if (f->exit != EXIT_VMMCALL) {
            expect(f->what, vmcb.exit_info1, f->info1);
            expect(f->what, vmcb.exit_info2, f->info2);
            expect(f->what, vmcb.exit_int_info, f->event);
            expect(f->what, vmcb.cr2, 0x77);
            if (f->label != r_divide)
                expect(f->what, vmcb.rip, (u64)(f->label - real_code));
        }
        entry_set(&guest, f->page, 1, old);
        vmcb.rsp = SP;
    }

    /* The instruction itself, in another segment. */
    expect("fetch", run(r_jump), EXIT_EXCP_PF);
    expect("fetch", vmcb.exit_info1, nx ? PF_ID : 0);
    expect("fetch", vmcb.exit_info2, EXTRA + 0x30);
    expect("fetch, CS", vmcb.cs.base, EXTRA);
    expect("fetch, IP", vmcb.rip, 0x30);

    /* An exception that nobody intercepts and whose vector is on no page. */
    u64 old = entry_get(&guest, IVT, 1);
    vmcb.intercept_exceptions = 1u << 14;
    entry_set(&guest, IVT, 1, 0);
    expect("#DE delivered, its vector", run(r_divide), EXIT_EXCP_PF);
    expect("#DE delivered, its vector", vmcb.exit_info2, 0);
    expect("#DE delivered, its vector", vmcb.exit_int_info, EVENT_VALID | EXCEPTION | 0);
    entry_set(&guest, IVT, 1, old);
    expect("#DE delivered", run(r_divide), EXIT_VMMCALL);
    expect("#DE delivered", (u16)regs.rbx, 0xd0);
    vmcb.intercept_exceptions = ~0u;
    vmcb.rsp = SP;

    /* A word on two pages, the second missing; the first readable. */
    map(&guest, EXTRA, phys(spare) + guest.offset, E_ALL, 1);
    old = entry_get(&guest, DATA, 1);
    entry_set(&guest, DATA, 1, 0);
    vmcb.ds = real_seg(EXTRA, 0x93);
    expect("word on two pages", run(r_cross), EXIT_EXCP_PF);
    expect("the second page", vmcb.exit_info2, DATA);
    entry_set(&guest, DATA, 1, old);
    spare[0xfff] = 0x11;
    data[0] = 0x22;
    works("word on two pages", r_cross);
    expect("both bytes", (u16)regs.rbx, 0x2211);
    entry_set(&guest, EXTRA, 1, 0);
    vmcb.ds = real_seg(DATA, 0x93);

    /* REP MOVSB up to a missing page, and on when it is there. */
    vmcb.es = real_seg(STACK, 0x93);
    regs.rcx = 0x20;
    regs.rsi = 0;
    regs.rdi = 0xff8;
    expect("REP MOVSB", run(r_rep), EXIT_EXCP_PF);
    expect("error code", vmcb.exit_info1, PF_W);
    expect("address", vmcb.exit_info2, MISSING);
    expect("CX", (u16)regs.rcx, 0x18);
    expect("SI", (u16)regs.rsi, 8);
    expect("DI", (u16)regs.rdi, 0x1000);
    expect("IP", vmcb.rip, (u64)(r_rep - real_code));
    map(&guest, MISSING, phys(spare) + guest.offset, E_ALL, 1);
    svm_run(&vmcb, &regs);
    expect("goes on", vmcb.exit_code, EXIT_VMMCALL);
    expect("CX", (u16)regs.rcx, 0);
    expect("DI", (u16)regs.rdi, 0x1018);
    expect("its last byte", spare[0x17], data[0x1f]);
    entry_set(&guest, MISSING, 1, 0);
    vmcb.es = real_seg(DATA, 0x93);
}

/* Instructions that real mode does not have. */
static void undefined(void)
{
    static const struct {
        const char *what;
        u8 bytes[3];
    } list[] = {
        { "VMRUN", { 0x0f, 0x01, 0xd8 } }, { "VMLOAD", { 0x0f, 0x01, 0xda } }, { "VMSAVE", { 0x0f, 0x01, 0xdb } },
        { "STGI", { 0x0f, 0x01, 0xdc } },  { "CLGI", { 0x0f, 0x01, 0xdd } },   { "INVLPGA", { 0x0f, 0x01, 0xdf } },
        { "SLDT", { 0x0f, 0x00, 0xc0 } },  { "STR", { 0x0f, 0x00, 0xc8 } },    { "LLDT", { 0x0f, 0x00, 0xd0 } },
        { "LTR", { 0x0f, 0x00, 0xd8 } },   { "VERR", { 0x0f, 0x00, 0xe0 } },   { "LAR", { 0x0f, 0x02, 0xc0 } },
        { "LSL", { 0x0f, 0x03, 0xc0 } },   { "ARPL", { 0x63, 0xc0, 0x90 } },
    };

    for (unsigned i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        memcpy(code + (r_read - real_code), list[i].bytes, 3);
        expect(list[i].what, run(r_read), EXIT_EXCP_UD);
    }
    memcpy(code, real_code, (size_t)(real_end - real_code));
}

/* Leaving the mode. Only VMRUN and RSM enter it: MOV CR0 may not keep it. */
static void leaving(void)
{
    regs.rbx = CR0_PG | CR0_WP | CR0_ET;
    expect("MOV CR0, PG without PE", run(r_cr0), EXIT_EXCP_GP);
    expect("error code", vmcb.exit_info1, 0);
    expect("CR0", vmcb.cr0, CR0_PG | CR0_WP | CR0_ET);
    regs.rbx = CR0_PG | CR0_WP | CR0_ET | CR0_PE;
    works("MOV CR0, PE", r_cr0);
    expect("CR0", vmcb.cr0, CR0_PG | CR0_WP | CR0_ET | CR0_PE);
    vmcb.cr0 &= ~(u64)CR0_PE;
    regs.rbx = 8;
    expect("LMSW without PE", run(r_lmsw), EXIT_EXCP_GP);
    expect("CR0", vmcb.cr0, CR0_PG | CR0_WP | CR0_ET);
    regs.rbx = CR0_PE;
    works("LMSW", r_lmsw);
    expect("CR0", vmcb.cr0, CR0_PG | CR0_WP | CR0_ET | CR0_PE);
    vmcb.cr0 &= ~(u64)CR0_PE;
}

/* Nested entries refuse like anywhere else. */
static void nested_faults(void)
{
    u64 gpa = phys(data) + GPA_OFFSET, old = entry_get(&nested, gpa, 1), table = entry_at(&guest, DATA, 1) + GPA_OFFSET, root;

    entry_set(&nested, gpa, 1, 0);
    expect("data", run(r_write), EXIT_NPF);
    expect("data", vmcb.exit_info1, NPF_FINAL | PF_U | PF_W);
    expect("data", vmcb.exit_info2, gpa + 0x10);
    entry_set(&nested, gpa, 1, old);
    gpa = phys(ivt) + GPA_OFFSET;
    old = entry_get(&nested, gpa, 1);
    entry_set(&nested, gpa, 1, 0);
    expect("vector", run(r_int_only), EXIT_NPF);
    expect("vector", vmcb.exit_info1, NPF_FINAL | PF_U);
    expect("vector", vmcb.exit_info2, gpa + 4 * 0x33);
    expect("vector", vmcb.exit_int_info, EVENT_VALID | INTN | 0x33);
    entry_set(&nested, gpa, 1, old);
    root = entry_get(&nested, table, 1);
    entry_set(&nested, table, 1, root & ~(u64)E_W);
    expect("table", run(r_read), EXIT_NPF);
    expect("table", vmcb.exit_info1, NPF_WALK | PF_U | PF_W | PF_P);
    entry_set(&nested, table, 1, root);
}

/* Long mode and real mode exclude each other: VMRUN refuses. */
static void refused(void)
{
    vmcb.efer |= EFER_LME;
    vmcb.cr4 |= CR4_PAE;
    expect("EFER.LME", run(r_nop), EXIT_INVALID);
    vmcb.efer &= ~(u64)EFER_LME;
}

void guest_main(void)
{
    svm_enable();
    for (unsigned n = 0; n < (cpu_svm_feature(FEATURE_NP) ? 2 : 1); n++) {
        for (enum format f = FMT_32; f <= FMT_PAE; f++) {
            section(n ? "nested" : "shadow", format_name(f), NULL, NULL);
            set_up(f, n ? FMT_4 : FMT_NONE);
            instructions();
            faults(f == FMT_PAE);
            undefined();
            leaving();
            if (n)
                nested_faults();
            refused();
            section_end();
        }
    }
}
