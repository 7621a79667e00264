// SPDX-License-Identifier: MIT
/* bits: 64 */
/* run: --cpu max --vcpus 2 */
/* also: k8 barcelona zen3 */
/* VM_CR and the SVM lock: which bits can be written, SVMDIS against EFER.SVME, LOCK with and without a key, what INIT
 * leaves, and the register in a guest's hands [APM2 15.4, 15.30.1, 15.30.4, 15.31]. */
#include "host.h"

enum { OTHER = 1, VECTOR_UD = 6, VECTOR_GP = 13, FREE_BITS = 7, DPD = 1 };
#define KEY 0x123456789abcdef0ull
static struct vm vm;
static volatile u64 seen_vm_cr, write_vm_cr;

static void set_svme(bool on)
{
    u64 efer = rdmsr(MSR_EFER);
    wrmsr(MSR_EFER, on ? efer | EFER_SVME : efer & ~(u64)EFER_SVME);
}

static int try_svme(void)
{
    return try_wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
}

/* WRMSR succeeds and the register reads so. */
static void writes(const char *what, u64 value, u64 reads)
{
    expect(what, (u64)try_wrmsr(MSR_VM_CR, value), (u64)-1);
    expect(what, rdmsr(MSR_VM_CR), reads);
}

static void refuses(const char *what, u64 value)
{
    u64 before = rdmsr(MSR_VM_CR);
    expect(what, (u64)try_wrmsr(MSR_VM_CR, value), VECTOR_GP);
    expect(what, rdmsr(MSR_VM_CR), before);
}

static void bits(void)
{
    section("VM_CR", "bits", NULL, NULL);
    expect("after RESET", rdmsr(MSR_VM_CR), 0);
    for (unsigned b = 5; b < 64; b++)
        refuses("a reserved bit", 1ull << b);
    for (unsigned v = 1; v <= FREE_BITS; v++)
        writes("DPD, R_INIT, DIS_A20M", v, v);
    writes("all clear", 0, 0);
    section_end();
}

/* Whether SVM is there, as CPUID says it, does not depend on VM_CR. */
static void cpuid_says_svm(void)
{
    u32 r[4], same[4];
    cpuid(0x80000001, 0, r);
    expect("CPUID 8000_0001h.ECX[SVM]", r[2] >> 2 & 1, 1);
    cpuid(0x8000000a, 0, r);
    writes("all clear", 0, 0);
    cpuid(0x8000000a, 0, same);
    expect("CPUID 8000_000Ah.EDX", r[3], same[3]);
    expect("CPUID 8000_000Ah.EBX", r[1], same[1]);
}

static void svmdis(void)
{
    section("VM_CR", "SVMDIS", NULL, NULL);
    set_svme(true);
    refuses("set while EFER.SVME is", VM_CR_SVMDIS);
    refuses("with others", VM_CR_SVMDIS | FREE_BITS);
    set_svme(false);
    writes("set while EFER.SVME is clear", VM_CR_SVMDIS, VM_CR_SVMDIS);
    expect("EFER.SVME", (u64)try_svme(), VECTOR_GP);
    expect("EFER", rdmsr(MSR_EFER) & EFER_SVME, 0);
    expect("EFER without it", (u64)try_wrmsr(MSR_EFER, rdmsr(MSR_EFER) ^ EFER_SCE), (u64)-1);
    expect("VMRUN", (u64)try_vmrun(vm.vmcb), VECTOR_UD);
    cpuid_says_svm();
    expect("EFER.SVME once SVMDIS is clear", (u64)try_svme(), (u64)-1);
    section_end();
}

/* LOCK set with `with`: it and SVMDIS keep their values, the other bits do not. */
static void locked_bits(u64 with)
{
    u64 kept = VM_CR_LOCK | with;
    writes("locked", kept, kept);
    writes("clearing both is ignored", 0, kept);
    writes("the free bits can be written", FREE_BITS, kept | FREE_BITS);
    writes("and cleared", kept, kept);
    if (with)
        expect("EFER.SVME", (u64)try_svme(), VECTOR_GP);
    else
        writes("setting SVMDIS is ignored", kept | VM_CR_SVMDIS, kept);
}

static void unlock(u64 key, u64 reads, const char *what)
{
    expect(what, (u64)try_wrmsr(MSR_SVM_KEY, key), (u64)-1);
    expect(what, rdmsr(MSR_VM_CR), reads);
    expect("SVM_KEY reads", try_rdmsr(MSR_SVM_KEY), 0);
}

static void lock_with_key(void)
{
    section("SVM lock", "with a key", NULL, NULL);
    set_svme(false);
    expect("the key", (u64)try_wrmsr(MSR_SVM_KEY, KEY + 1), (u64)-1);
    expect("another, while unlocked", (u64)try_wrmsr(MSR_SVM_KEY, KEY), (u64)-1);
    locked_bits(VM_CR_SVMDIS);
    unlock(KEY + 1, VM_CR_LOCK | VM_CR_SVMDIS, "the key before");
    unlock(0, VM_CR_LOCK | VM_CR_SVMDIS, "zero");
    unlock(KEY << 1, VM_CR_LOCK | VM_CR_SVMDIS, "a wrong key");
    unlock(KEY & 0xffffffff, VM_CR_LOCK | VM_CR_SVMDIS, "half of the key");
    unlock(KEY, VM_CR_SVMDIS, "the key");
    expect("EFER.SVME still", (u64)try_svme(), VECTOR_GP);
    writes("unlocked", 0, 0);
    expect("EFER.SVME at last", (u64)try_svme(), (u64)-1);

    writes("locked with SVM on", VM_CR_LOCK, VM_CR_LOCK);
    refuses("SVMDIS while EFER.SVME is set: #GP, locked or not", VM_CR_LOCK | VM_CR_SVMDIS);
    set_svme(false);
    locked_bits(0);
    expect("EFER.SVME", (u64)try_svme(), (u64)-1);
    unlock(KEY, 0, "the same key again");
    section_end();
}

static void read_vm_cr(void)
{
    seen_vm_cr = rdmsr(MSR_VM_CR);
}
static void lock_there(void)
{
    set_svme(false);
    if (cpu_svm_feature(FEATURE_SVML))
        wrmsr(MSR_SVM_KEY, KEY);
    wrmsr(MSR_VM_CR, write_vm_cr);
}
static void open_there(void)
{
    wrmsr(MSR_SVM_KEY, KEY);
}

static u64 on_other(void (*work)(void))
{
    smp_run(OTHER, work);
    smp_wait(OTHER);
    smp_run(OTHER, read_vm_cr);
    smp_wait(OTHER);
    return seen_vm_cr;
}

static u64 after_init(u64 value)
{
    write_vm_cr = value;
    expect("before INIT", on_other(lock_there), value);
    smp_start(OTHER);
    return on_other(read_vm_cr);
}

/* INIT clears SVMDIS where nothing is locked; LOCK, the key and the other bits stay. */
static void init(void)
{
    section("VM_CR", "INIT", NULL, NULL);
    smp_start(OTHER);
    expect("after RESET", on_other(read_vm_cr), 0);
    expect("each processor has its own", after_init(0), 0);
    expect("SVMDIS", after_init(VM_CR_SVMDIS | VM_CR_DIS_A20M), VM_CR_DIS_A20M);
    expect("LOCK and SVMDIS", after_init(VM_CR_LOCK | VM_CR_SVMDIS | DPD), VM_CR_LOCK | VM_CR_SVMDIS | DPD);
    if (cpu_svm_feature(FEATURE_SVML))
        expect("the key is kept", on_other(open_there), VM_CR_SVMDIS | DPD);
    section_end();
}

/* A guest without the MSR intercept works on the processor's own register, and cannot disable what it runs on. */
static void guest(void)
{
    section("VM_CR", "in a guest", NULL, NULL);
    vm_init(&vm, FMT_4, FMT_NONE);
    vm_events(&vm);
    vm.regs.rcx = MSR_VM_CR;
    vm.vmcb->rax = VM_CR_DIS_A20M;
    expect("WRMSR, not intercepted", RUN_CODE(&vm, "\x31\xd2\x0f\x30\x0f\x01\xd9"), EXIT_VMMCALL);
    expect("the same register", rdmsr(MSR_VM_CR), VM_CR_DIS_A20M);
    vm.vmcb->rax = VM_CR_SVMDIS;
    expect("SVMDIS", RUN_CODE(&vm, "\x31\xd2\x0f\x30\x0f\x01\xd9"), EXIT_EXCP0 + VECTOR_GP);
    expect("unchanged", rdmsr(MSR_VM_CR), VM_CR_DIS_A20M);
    wrmsr(MSR_VM_CR, 0);
    section_end();
}

/* Last, for nothing opens these locks. Processors without the feature have no SVM_KEY; a key of zero opens nothing. */
static void lock_for_good(void)
{
    section("SVM lock", "without a key", NULL, NULL);
    bool key = cpu_svm_feature(FEATURE_SVML);
    set_svme(false);
    expect("WRMSR of SVM_KEY", (u64)try_wrmsr(MSR_SVM_KEY, 0), key ? (u64)-1 : VECTOR_GP);
    try_rdmsr(MSR_SVM_KEY);
    expect("RDMSR of SVM_KEY", (u64)host_fault, key ? (u64)-1 : VECTOR_GP);
    locked_bits(0);
    if (key) {
        unlock(0, VM_CR_LOCK, "zero");
        unlock(KEY, VM_CR_LOCK, "a key that was not set while it was unlocked");
        unlock(KEY, VM_CR_LOCK, "again");
    }
    expect("EFER.SVME", (u64)try_svme(), (u64)-1);
    section_end();
}

void guest_main(void)
{
    svm_enable();
    host_events_init();
    vm_init(&vm, FMT_4, FMT_NONE);
    bits();
    svmdis();
    if (cpu_svm_feature(FEATURE_SVML))
        lock_with_key();
    init();
    guest();
    lock_for_good();
}
