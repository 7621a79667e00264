// SPDX-License-Identifier: MIT
/* bits: 64 */
/* run: --cpu max */
/* also: k8 barcelona zen1 zen3 */
/* What later generations added to SVM, each where CPUID shows it, and its absence where it does not: nRIP save, VMCB
 * clean bits, pause filter, LBR and SPEC_CTRL virtualization, TSC ratio, virtual GIF, VMLOAD and VMSAVE, virtual NMI,
 * page modification log, bus lock threshold, idle HLT, and the intercepts of later instructions
 * [APM2 15.7.1, 15.14.4, 15.14.5, 15.15, 15.21.10, 15.23, 15.25.15, 15.30.5, 15.33, 15.37]. */
#include "vm.h"

enum {
    F_LBR = 1,
    F_TSC_RATIO = 4,
    F_CLEAN = 5,
    F_PAUSE = 10,
    F_PAUSE_THRESHOLD = 12,
    F_VMSAVE = 15,
    F_VGIF = 16,
    F_SPEC_CTRL = 20,
    F_VNMI = 25,
    F_BUS_LOCK = 29,
    F_IDLE_HLT = 30
};
enum {
    UD = 6,
    NMI = 2,
    RFLAGS_IF = 1 << 9,
    EFER_MCOMMIT = 1 << 17,
    CR4_OSXSAVE = 1 << 18,
    V_GIF = 1 << 9,
    V_GIF_ENABLE = 1 << 25,
    V_NMI = 1 << 11,
    V_NMI_MASK = 1 << 12,
    V_NMI_ENABLE = 1 << 26,
    V_IGN_TPR = 1 << 20
};
enum {
    EXIT_PAUSE = 0x77,
    EXIT_VMSAVE = 0x83,
    EXIT_STGI = 0x84,
    EXIT_XSETBV = 0x8d,
    EXIT_RDPRU = 0x8e,
    EXIT_MCOMMIT = 0xa3,
    EXIT_BUSLOCK = 0xa5,
    EXIT_IDLE_HLT = 0xa6,
    EXIT_PML_FULL = 0x407,
    NP_PML = 1 << 11
};
enum {
    MSR_DEBUGCTL = 0x1d9,
    MSR_BR_FROM = 0x1db,
    MSR_SPEC_CTRL = 0x48,
    MSR_TSC_RATIO = 0xc0000104,
    MSR_KERNEL_GS_BASE = 0xc0000102
};
/* Fields by their offsets in the VMCB. */
enum {
    PAUSE_THRESHOLD = 0x3c,
    PAUSE_COUNT = 0x3e,
    BUS_LOCK_COUNT = 0x120,
    PML_BASE = 0x1c8,
    PML_INDEX = 0x1d0,
    SAVED_KERNEL_GS = 0x620,
    DEBUGCTL = 0x670,
    BR_FROM = 0x678,
    BR_TO = 0x680,
    SPEC_CTRL = 0x6e0
};
#define VMMCALL "\x0f\x01\xd9"
static struct vm vm;
static struct vmcb second PAGE_ALIGNED;

static u64 field(unsigned offset, unsigned width)
{
    u64 v = 0;
    memcpy(&v, (u8 *)vm.vmcb + offset, width);
    return v;
}

static void set_field(unsigned offset, unsigned width, u64 v)
{
    memcpy((u8 *)vm.vmcb + offset, &v, width);
}

static bool has(unsigned feature)
{
    return cpu_svm_feature(feature);
}

static void set_up(void)
{
    vm_init(&vm, FMT_4, has(FEATURE_NP) ? FMT_4 : FMT_NONE);
    vm_events(&vm);
    vm.vmcb->intercept_exceptions = 0;
    vm.vmcb->vintr = 0;
}

static void begin(const char *what)
{
    section(what, NULL, NULL, NULL);
    set_up();
}

/* ---- nRIP, clean bits ---- */

static void next_rip(void)
{
    begin("nRIP save");
    vm.vmcb->intercept_misc1 |= INTERCEPT_CPUID;
    vm.vmcb->next_rip = 0x5a5a;
    expect("CPUID with a prefix", RUN_CODE(&vm, "\x66\x0f\xa2" VMMCALL), EXIT_CPUID);
    expect("nRIP", vm.vmcb->next_rip, has(FEATURE_NRIPS) ? vm.code_va + 0x83 : 0x5a5a);
    section_end();
}

/* CPUID; MOV RCX, CR2: an intercept, and a register of another group. */
#define LOOK "\x0f\xa2\x0f\x20\xd1" VMMCALL
enum { CLEAN_I = 1 << 0, CLEAN_CR2 = 1 << 9, CLEAN_ALL = 0x1fff };

static void clean_bits(void)
{
    bool cached = has(F_CLEAN);

    begin("clean bits");
    vm.vmcb->cr2 = 0x1111;
    expect("the first run", RUN_CODE(&vm, LOOK), EXIT_VMMCALL);
    expect("CR2", vm.regs.rcx, 0x1111);
    vm.vmcb->intercept_misc1 |= INTERCEPT_CPUID;
    vm.vmcb->cr2 = 0x2222;
    vm.vmcb->clean = CLEAN_ALL & ~(u32)CLEAN_CR2; /* a lie about the intercepts */
    expect("an intercept that is not told", RUN_CODE(&vm, LOOK), cached ? EXIT_VMMCALL : EXIT_CPUID);
    if (cached)
        expect("a group that is not clean", vm.regs.rcx, 0x2222);
    vm.vmcb->clean = CLEAN_ALL & ~(u32)CLEAN_I;
    expect("told", RUN_CODE(&vm, LOOK), EXIT_CPUID);
    vm.vmcb->intercept_misc1 &= ~(u32)INTERCEPT_CPUID;
    vm.vmcb->cr2 = 0x3333;
    vm.vmcb->clean = CLEAN_ALL & ~(u32)CLEAN_I;
    expect("CR2 that is not told", RUN_CODE(&vm, LOOK), EXIT_VMMCALL);
    expect("CR2", vm.regs.rcx, cached ? 0x2222 : 0x3333);
    expect("is written back as it was used", vm.vmcb->cr2, cached ? 0x2222 : 0x3333);
    second = *vm.vmcb;
    second.cr2 = 0x4444;
    second.clean = CLEAN_ALL;
    second.rip = vm.code_va + 0x80;
    svm_run(&second, &vm.regs); /* another address: nothing of it is cached */
    expect("another VMCB", second.exit_code, EXIT_VMMCALL);
    expect("its CR2", vm.regs.rcx, 0x4444);
    section_end();
}

/* ---- PAUSE ---- */

/* xor ecx, ecx; 1: pause; inc ecx; cmp ecx, 9; jne 1b; vmmcall */
#define PAUSES "\x31\xc9\xf3\x90\xff\xc1\x83\xf9\x09\x75\xf7" VMMCALL
/* The same with mov edx, 400; 2: dec edx; jnz 2b between. */
#define FAR_PAUSES "\x31\xc9\xf3\x90\xff\xc1\xba\x90\x01\x00\x00\xff\xca\x75\xfc\x83\xf9\x09\x75\xee" VMMCALL

static void pause_filter(void)
{
    begin("pause filter");
    vm.vmcb->intercept_misc1 |= 1u << 23;
    expect("count 0", RUN_CODE(&vm, PAUSES), EXIT_PAUSE);
    expect("the first one", vm.regs.rcx, 0);
    set_field(PAUSE_COUNT, 2, 4);
    expect("count 4", RUN_CODE(&vm, PAUSES), EXIT_PAUSE);
    expect("four pass", vm.regs.rcx, has(F_PAUSE) ? 4 : 0);
    expect("the count is not written back", field(PAUSE_COUNT, 2), 4);
    set_field(PAUSE_THRESHOLD, 2, 200);
    expect("far apart", RUN_CODE(&vm, FAR_PAUSES), has(F_PAUSE_THRESHOLD) ? EXIT_VMMCALL : EXIT_PAUSE);
    expect("near", RUN_CODE(&vm, PAUSES), EXIT_PAUSE);
    set_field(PAUSE_THRESHOLD, 2, 0);
    expect("threshold 0", RUN_CODE(&vm, FAR_PAUSES), EXIT_PAUSE);
    section_end();
}

/* ---- last branches, SPEC_CTRL, TSC ---- */

static void last_branch(void)
{
    begin("LBR virtualization");
    if (has(F_LBR)) {
        u64 from = rdmsr(MSR_BR_FROM);
        vm.vmcb->lbr_ctl = 1;
        set_field(DEBUGCTL, 8, 1);
        set_field(BR_FROM, 8, 0x77);
        expect("a jump", RUN_CODE(&vm, "\x90\xeb\x02\x90\x90" VMMCALL), EXIT_VMMCALL); /* nop; jmp +2 */
        expect("from", field(BR_FROM, 8), vm.code_va + 0x81);
        expect("to", field(BR_TO, 8), vm.code_va + 0x85);
        expect("the host's DEBUGCTL", rdmsr(MSR_DEBUGCTL), 0);
        expect("the host's record", rdmsr(MSR_BR_FROM), from);
        set_field(DEBUGCTL, 8, 0);
        set_field(BR_FROM, 8, 0x77);
        expect("not recording", RUN_CODE(&vm, "\x90\xeb\x02\x90\x90" VMMCALL), EXIT_VMMCALL);
        expect("from", field(BR_FROM, 8), 0x77);
    } else {
        vm.vmcb->lbr_ctl = 1;
        set_field(DEBUGCTL, 8, 1);
        set_field(BR_FROM, 8, 0x77);
        expect("a jump", RUN_CODE(&vm, "\x90\xeb\x02\x90\x90" VMMCALL), EXIT_VMMCALL);
        expect("no such feature", field(BR_FROM, 8), 0x77);
    }
    section_end();
}

static void spec_ctrl(void)
{
    if (!has(F_SPEC_CTRL))
        return;
    begin("SPEC_CTRL virtualization");
    wrmsr(MSR_SPEC_CTRL, 0);
    set_field(SPEC_CTRL, 8, 1);
    vm.regs.rcx = MSR_SPEC_CTRL;
    expect("RDMSR", RUN_CODE(&vm, "\x0f\x32" VMMCALL), EXIT_VMMCALL);
    expect("the guest's", (u32)vm.vmcb->rax, 1);
    vm.regs.rcx = MSR_SPEC_CTRL;
    vm.vmcb->rax = 4;
    expect("WRMSR", RUN_CODE(&vm, "\x31\xd2\x0f\x30" VMMCALL), EXIT_VMMCALL);
    expect("is stored", field(SPEC_CTRL, 8), 4);
    expect("the host's", rdmsr(MSR_SPEC_CTRL), 0);
    section_end();
}

static u64 rdtsc(void)
{
    u32 lo, hi;
    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
    return (u64)hi << 32 | lo;
}

static u64 guest_tsc(void)
{
    expect("RDTSC", RUN_CODE(&vm, "\x0f\x31" VMMCALL), EXIT_VMMCALL);
    return vm.regs.rdx << 32 | (u32)vm.vmcb->rax;
}

static void tsc(void)
{
    u64 before, seen;

    begin("TSC");
    vm.vmcb->tsc_offset = 1000000;
    before = rdtsc();
    seen = guest_tsc();
    expect("offset", seen >= before + 1000000 && seen <= rdtsc() + 1000000, true);
    if (has(F_TSC_RATIO)) {
        wrmsr(MSR_TSC_RATIO, 3ull << 31); /* 1.5 */
        before = rdtsc();
        seen = guest_tsc();
        expect("ratio, then offset", seen >= before + before / 2 + 1000000 && seen <= rdtsc() / 2 * 3 + 3 + 1000000,
               true);
        wrmsr(MSR_TSC_RATIO, 1ull << 32);
    }
    section_end();
}

/* ---- virtual GIF, VMLOAD and VMSAVE, NMI ---- */

static void virtual_gif(void)
{
    if (!has(F_VGIF))
        return;
    begin("virtual GIF");
    vm.vmcb->vintr = V_GIF_ENABLE | V_GIF;
    expect("CLGI", RUN_CODE(&vm, "\x0f\x01\xdd" VMMCALL), EXIT_VMMCALL);
    expect("V_GIF", vm.vmcb->vintr & V_GIF, 0);
    vm.vmcb->vintr = V_GIF_ENABLE | V_IRQ | V_IGN_TPR | 0x55ull << 32;
    vm.vmcb->rflags = 2 | RFLAGS_IF;
    expect("a virtual interrupt is held", RUN_CODE(&vm, "\x90\x90\x0f\x01\xdc" VMMCALL), EXIT_VMMCALL);
    expect("until STGI", (u64)vm_vector(&vm), 0x55);
    expect("right behind it", vm_stack_word(&vm, 0), vm.code_va + 0x85);
    expect("V_GIF", vm.vmcb->vintr & (V_GIF | V_IRQ), V_GIF);
    vm.vmcb->intercept_misc2 |= 1u << 4;
    vm.vmcb->vintr = V_GIF_ENABLE;
    expect("the STGI intercept wins", RUN_CODE(&vm, "\x0f\x01\xdc" VMMCALL), EXIT_STGI);
    section_end();
}

static void virtual_vmsave(void)
{
    u64 saved = rdmsr(MSR_KERNEL_GS_BASE), there = 0;

    begin("virtual VMLOAD and VMSAVE");
    vm.vmcb->intercept_misc2 |= 1u << 2 | 1u << 3;
    vm.vmcb->lbr_ctl = 2;
    vm.vmcb->rax = vm.data_gpa;
    expect("the VMSAVE intercept wins", RUN_CODE(&vm, "\x0f\x01\xdb" VMMCALL), EXIT_VMSAVE);
    vm.vmcb->intercept_misc2 &= ~(u32)(1u << 2 | 1u << 3);
    if (has(F_VMSAVE)) {
        wrmsr(MSR_KERNEL_GS_BASE, 0x12345678);
        vm.vmcb->rax = vm.data_gpa;
        expect("VMSAVE", RUN_CODE(&vm, "\x0f\x01\xdb" VMMCALL), EXIT_VMMCALL);
        memcpy(&there, vm.data + SAVED_KERNEL_GS, 8);
        expect("to a guest-physical page", there, 0x12345678);
        there = 0x87654321;
        memcpy(vm.data + SAVED_KERNEL_GS, &there, 8);
        expect("VMLOAD", RUN_CODE(&vm, "\x0f\x01\xda" VMMCALL), EXIT_VMMCALL);
        expect("from there", rdmsr(MSR_KERNEL_GS_BASE), 0x87654321);
        vm.vmcb->rax = 0x7000;
        expect("a page that nested tables do not have", RUN_CODE(&vm, "\x0f\x01\xdb" VMMCALL), EXIT_NPF);
        expect("its address", vm.vmcb->exit_info2 & ~0xfffull, 0x7000);
        wrmsr(MSR_KERNEL_GS_BASE, saved);
    }
    section_end();
}

static void virtual_nmi(void)
{
    if (!has(F_VNMI))
        return;
    begin("virtual NMI");
    vm.vmcb->intercept_misc1 |= INTERCEPT_NMI;
    vm.vmcb->vintr = V_NMI_ENABLE | V_NMI;
    expect("is taken", RUN_CODE(&vm, "\x90" VMMCALL), EXIT_VMMCALL);
    expect("at once", (u64)vm_vector(&vm), NMI);
    expect("and blocks the next", vm.vmcb->vintr & (V_NMI | V_NMI_MASK), V_NMI_MASK);
    vm.vmcb->vintr |= V_NMI;
    expect("which waits", RUN_CODE(&vm, "\x90" VMMCALL), EXIT_VMMCALL);
    expect("behind the NOP", vm.vmcb->rip, vm.code_va + 0x81);
    /* push ss; push rsp; pushf; push cs; push 90h of this page: iretq to the VMMCALL there, or to the NMI before it */
    vm.vmcb->rax = vm.code_va + 0xa0;
    memcpy(vm.code + 0xa0, VMMCALL, 3);
    expect("until IRET", RUN_CODE(&vm, "\x8c\xd1\x51\x54\x9c\x8c\xc9\x51\x50\x48\xcf"), EXIT_VMMCALL);
    expect("the second", (u64)vm_vector(&vm), NMI);
    expect("V_NMI", vm.vmcb->vintr & (V_NMI | V_NMI_MASK), V_NMI_MASK);
    vm.vmcb->intercept_misc1 &= ~(u32)INTERCEPT_NMI;
    expect("needs the NMI intercept", RUN_CODE(&vm, "\x90" VMMCALL), EXIT_INVALID);
    section_end();
}

/* ---- page modification log ---- */

/* The data page's dirty bit is cleared and forgotten; the guest accesses it. */
static u64 after_clean(enum access a)
{
    entry_set(&vm.nested, vm.data_gpa, 1, entry_get(&vm.nested, vm.data_gpa, 1) & ~(u64)E_D);
    vm.vmcb->tlb_control = TLB_FLUSH_ALL;
    return probe(&vm, a);
}

static void modification_log(void)
{
    u32 r[4];
    u64 *log;

    cpuid(0x8000000a, 0, r);
    if (!(r[2] >> 4 & 1))
        return;
    begin("page modification log");
    log = pages_take();
    probe_works(&vm, "a write makes the tables and the page dirty", WRITE);
    vm.vmcb->nested_ctl |= NP_PML;
    set_field(PML_BASE, 8, phys(log));
    set_field(PML_INDEX, 2, 511);
    expect("a write", after_clean(WRITE), EXIT_VMMCALL);
    expect("is logged by its page", log[511], vm.data_gpa & ~0xfffull);
    expect("and nothing else", log[510], 0);
    expect("index", field(PML_INDEX, 2), 510);
    expect("D", entry_get(&vm.nested, vm.data_gpa, 1) & E_D, E_D);
    expect("a write to a dirty page", probe(&vm, WRITE), EXIT_VMMCALL);
    expect("a read", after_clean(READ), EXIT_VMMCALL);
    expect("are not", field(PML_INDEX, 2), 510);
    set_field(PML_INDEX, 2, 0xffff);
    vm.data[DATA_OFFSET] = 0x11;
    vm.regs.rcx = 0x22;
    expect("the log is full", after_clean(WRITE), EXIT_PML_FULL);
    expect("before the write", vm.data[DATA_OFFSET], 0x11);
    expect("at the instruction", vm.vmcb->rip, access_rip(&vm, WRITE));
    expect("D", entry_get(&vm.nested, vm.data_gpa, 1) & E_D, 0);
    expect("index", field(PML_INDEX, 2), 0xffff);
    set_field(PML_INDEX, 2, 0);
    expect("emptied", probe(&vm, WRITE), EXIT_VMMCALL);
    expect("the last entry", log[0], vm.data_gpa & ~0xfffull);
    expect("index", field(PML_INDEX, 2), 0xffff);
    expect("the write", vm.data[DATA_OFFSET], 0x22);
    section_end();
}

/* ---- bus locks, HLT, instructions ---- */

static void bus_lock(void)
{
    begin("bus lock threshold");
    vm.vmcb->intercept_misc3 = 1u << 5;
    set_field(BUS_LOCK_COUNT, 4, 1);
    memset(vm.data, 0, PAGE_SIZE);
    vm.vmcb->rax = vm.data_va + 0x3e;
    /* lock inc dword [rax], twice, over two cache lines */
    u64 exit = RUN_CODE(&vm, "\xf0\xff\x00\xf0\xff\x00" VMMCALL);
    if (has(F_BUS_LOCK)) {
        expect("the second exits", exit, EXIT_BUSLOCK);
        expect("before it", vm.vmcb->rip, vm.code_va + 0x83);
        expect("count", field(BUS_LOCK_COUNT, 4), 0);
    } else {
        expect("no such feature", exit, EXIT_VMMCALL);
        expect("count", field(BUS_LOCK_COUNT, 4), 1);
    }
    expect("memory", vm.data[0x3e], has(F_BUS_LOCK) ? 1 : 2);
    vm.vmcb->rax = vm.data_va + 0x40;
    expect("a lock inside a line", RUN_CODE(&vm, "\xf0\xff\x00" VMMCALL), EXIT_VMMCALL);
    section_end();
}

static void idle_hlt(void)
{
    if (!has(F_IDLE_HLT))
        return;
    begin("idle HLT");
    vm.vmcb->intercept_misc1 &= ~(u32)INTERCEPT_HLT;
    vm.vmcb->intercept_misc3 = 1u << 6;
    vm.vmcb->rflags = 2 | RFLAGS_IF;
    expect("nothing pending", RUN_CODE(&vm, "\xf4" VMMCALL), EXIT_IDLE_HLT);
    vm.vmcb->rflags = 2;
    vm.vmcb->vintr = V_IRQ | V_IGN_TPR | 0x55ull << 32;
    expect("a virtual interrupt pending", RUN_CODE(&vm, "\xfb\xf4" VMMCALL), EXIT_VMMCALL);
    expect("is taken", (u64)vm_vector(&vm), 0x55);
    expect("behind HLT", vm_stack_word(&vm, 0), vm.code_va + 0x82);
    vm.vmcb->intercept_misc1 |= INTERCEPT_HLT;
    vm.vmcb->vintr = 0;
    expect("the HLT intercept wins", RUN_CODE(&vm, "\xf4" VMMCALL), EXIT_HLT);
    section_end();
}

static void later_instructions(void)
{
    u32 r[4];

    begin("later instructions");
    vm.vmcb->intercept_misc2 |= 1u << 13 | 1u << 14;
    vm.vmcb->intercept_misc3 = 1u << 3;
    vm.vmcb->intercept_exceptions = 1u << UD;
    cpuid(1, 0, r);
    if (r[2] >> 26 & 1) {
        vm.vmcb->cr4 |= CR4_OSXSAVE;
        vm.vmcb->rax = 0; /* x87 off: #GP, if it came so far */
        expect("XSETBV", RUN_CODE(&vm, "\x31\xc9\x31\xd2\x0f\x01\xd1" VMMCALL), EXIT_XSETBV);
    } else {
        expect("XSETBV", RUN_CODE(&vm, "\x31\xc9\x31\xd2\x0f\x01\xd1" VMMCALL), EXIT_EXCP_UD);
    }
    cpuid(0x80000008, 0, r);
    expect("RDPRU", RUN_CODE(&vm, "\x0f\x01\xfd" VMMCALL), r[1] >> 4 & 1 ? EXIT_RDPRU : EXIT_EXCP_UD);
    expect("MCOMMIT without EFER.MCOMMIT", RUN_CODE(&vm, "\xf3\x0f\x01\xfa" VMMCALL), EXIT_EXCP_UD);
    if (r[1] >> 8 & 1) {
        vm.vmcb->efer |= EFER_MCOMMIT;
        expect("MCOMMIT", RUN_CODE(&vm, "\xf3\x0f\x01\xfa" VMMCALL), EXIT_MCOMMIT);
    }
    section_end();
}

void guest_main(void)
{
    svm_enable();
    next_rip();
    clean_bits();
    pause_filter();
    last_branch();
    spec_ctrl();
    tsc();
    virtual_gif();
    virtual_vmsave();
    virtual_nmi();
    modification_log();
    bus_lock();
    idle_hlt();
    later_instructions();
}
