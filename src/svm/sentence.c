// SPDX-License-Identifier: MIT
/* One sentence for each #VMEXIT: what the guest did and what the exit fields say of it. [APM2 15.7-15.14, 15.25.6, 15.29.9, appendix C] */
#include "svm/svm.h"

#include "svm/text.h"

static const char *const gpr_names[16] = {"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
                                          "R8",  "R9",  "R10", "R11", "R12", "R13", "R14", "R15"};

/* ---- control and debug registers [APM2 15.8] ---- */
static void cr_access(struct text *t, const struct svm_record *r)
{
    unsigned n = r->code == VMEXIT_CR0_SEL_WRITE ? 0 : r->code & 15;
    bool write = r->code == VMEXIT_CR0_SEL_WRITE || r->code >= VMEXIT_CR0_WRITE;
    const char *why = r->code == VMEXIT_CR0_SEL_WRITE ? ", which changes more than TS and MP" : "";
    if (r->assists && r->info1 >> 63)
        put(t, write ? "MOV to CR%u from %s%s" : "MOV from CR%u to %s%s", n, gpr_names[r->info1 & 15], why);
    else if (n || (r->assists && !write))
        put(t, n ? "%s CR%u%s" : "SMSW (reads CR0)", write ? "MOV to" : "MOV from", n, why);
    else if (!write)
        put(t, "read of CR0 by MOV or SMSW");
    else if (r->code == VMEXIT_CR0_SEL_WRITE)
        put(t, r->assists ? "LMSW%s" : "write of CR0 by MOV or LMSW%s", why);
    else
        put(t, r->assists ? "LMSW or CLTS (writes CR0)" : "write of CR0 by MOV, LMSW or CLTS");
}

static void dr_access(struct text *t, const struct svm_record *r)
{
    bool write = r->code >= VMEXIT_DR0_WRITE;
    put(t, write ? "MOV to DR%u" : "MOV from DR%u", (unsigned)r->code & 15);
    if (r->assists)
        put(t, write ? " from %s" : " to %s", gpr_names[r->info1 & 15]);
}

/* ---- exceptions [APM2 8.2, 15.12] ---- */
static void exc_name(struct text *t, unsigned vec)
{
    char other[16];
    put(t, "%s", cpu_exc_name(vec, other, sizeof other));
}

static bool selector_error(unsigned vec)
{
    return vec == EXC_TS || vec == EXC_NP || vec == EXC_SS || vec == EXC_GP;
}

static void exc_error(struct text *t, unsigned vec, u32 e)
{
    put(t, " with error code %#x", e);
    if (!selector_error(vec) || !e)
        return;
    if (e & 2)
        put(t, " (gate of vector %u", e >> 3 & 0xFF);
    else
        put(t, " (selector %02Xh of the %s", e & 0xFFF8, e & 4 ? "LDT" : "GDT");
    put(t, e & 1 ? ", while an event was delivered)" : ")");
}

static const char *access_kind(u64 e)
{
    return e >> 4 & 1 ? "fetch" : e >> 1 & 1 ? "write" : "read";
}

static void page_fault(struct text *t, const struct svm_record *r)
{
    u64 e = r->info1;
    put(t, "#PF: %s %s of linear address %#llx, ", e >> 2 & 1 ? "user" : "supervisor", access_kind(e), (ull)r->info2);
    put(t, !(e & 1) ? "page not present" : e >> 3 & 1 ? "reserved bit set in an entry" : "not permitted");
    put(t, "%s%s", e >> 5 & 1 ? ", protection key" : "", e >> 6 & 1 ? ", shadow stack" : "");
    put(t, " (error code %#llx); CR2 is not written", (ull)e);
}

static void exception(struct text *t, const struct svm_record *r)
{
    static const u32 with_error =
        1u << EXC_TS | 1u << EXC_NP | 1u << EXC_SS | 1u << EXC_GP | 1u << EXC_AC | 1u << EXC_SX | 1u << EXC_CP | 1u << EXC_DF;
    unsigned vec = (unsigned)(r->code - VMEXIT_EXCP0);
    if (vec == EXC_PF) {
        page_fault(t, r);
        return;
    }
    exc_name(t, vec);
    if (with_error >> vec & 1)
        exc_error(t, vec, (u32)r->info1);
}

/* ---- I/O [APM2 15.10.2], and SMI during I/O [APM2 15.13.3] ---- */
/* `i` in the layout of IOIO's EXITINFO1; the segment stands apart. */
static void io_access(struct text *t, u64 i, unsigned port, unsigned seg, bool seg_known)
{
    static const char *const seg_names[8] = {"ES", "CS", "SS", "DS", "FS", "GS", "segment 6", "segment 7"};
    unsigned size = i >> 4 & 7;
    bool in = i & 1, str = i >> 2 & 1;
    put(t, "%s%s%s of %u byte%s %s port %Xh", i >> 3 & 1 ? "REP " : "", in ? "IN" : "OUT", str ? "S" : "", size, size == 1 ? "" : "s",
        in ? "from" : "to", port);
    if (!str)
        return;
    if (in || seg_known)
        put(t, ", memory in %s", in ? "ES" : seg_names[seg & 7]);
    if (i >> 7 & 7)
        put(t, ", %u-bit addresses", i >> 7 & 1 ? 16 : i >> 8 & 1 ? 32 : 64);
}

static void ioio(struct text *t, const struct svm_record *r)
{
    io_access(t, r->info1, (unsigned)(r->info1 >> 16 & 0xFFFF), (unsigned)(r->info1 >> 10 & 7), r->assists);
    put(t, "; the next instruction is at %#llx", (ull)r->info2);
}

static void smi(struct text *t, const struct svm_record *r)
{
    put(t, "SMI from %s the processor%s", r->info1 & 1 ? "outside" : "inside", r->info1 & 2 ? ", a redirected machine check" : "");
    if (!(r->info1 >> 33 & 1))
        return;
    put(t, ", asserted during ");
    io_access(t, (r->info1 >> 32 & 0x3FC) | (r->info1 >> 32 & 1), (unsigned)(r->info1 >> 48), (unsigned)(r->info1 >> 10 & 7), true);
    put(t, " at rIP %#llx", (ull)r->info2);
}

/* ---- MSRs [APM2 15.11] ---- */
static void msr(struct text *t, const struct svm_record *r)
{
    unsigned index;
    const char *name = msr_name((u32)r->rcx, &index);
    put(t, "%s ", r->info1 & 1 ? "WRMSR" : "RDMSR");
    if (name && index != ~0u)
        put(t, "of %s%u (%08Xh)", name, index, (unsigned)r->rcx);
    else if (name)
        put(t, "of %s (%08Xh)", name, (unsigned)r->rcx);
    else
        put(t, "of MSR %08Xh", (unsigned)r->rcx);
    if (r->info1 & 1)
        put(t, ", value %#llx", (ull)((r->rdx << 32) | (u32)r->rax));
}

/* ---- task switches [APM2 15.14.1] ---- */
static void switch_task(struct text *t, const struct svm_record *r)
{
    put(t, "task switch to TSS selector %02Xh by %s", (unsigned)r->info1 & 0xFFFF,
        r->info2 >> 36 & 1   ? "IRET"
        : r->info2 >> 38 & 1 ? "a far JMP"
        : r->intinfo & INJ_V ? "an event through a task gate"
                             : "a far CALL");
    if (r->info2 >> 44 & 1)
        put(t, ", error code %#x to be pushed", (unsigned)r->info2);
    if (r->info2 >> 48 & 1)
        put(t, ", RF set in the outgoing TSS");
}

/* ---- nested paging [APM2 15.25.6] ---- */
static void nested_fault(struct text *t, const struct svm_record *r)
{
    static const struct { u8 bit; const char *text; } more[] = {
        {5, "protection key"}, {6, "shadow stack"}, {31, "RMP check failed"}, {34, "encrypted access"}, {35, "page size differs from the RMP's"},
        {36, "VMPL permission"}, {37, "supervisor shadow stack page"}, {63, "not restartable"}};
    u64 e = r->info1;
    put(t, "nested page fault: %s %s of guest-physical address %#llx, ", e >> 2 & 1 ? "user" : "supervisor", access_kind(e), (ull)r->info2);
    put(t, !(e & 1) ? "nested page not present" : e >> 3 & 1 ? "reserved bit set in a nested entry" : "not permitted by the nested tables");
    put(t, "%s%s", e >> 32 & 1 ? ", final address" : "", e >> 33 & 1 ? ", entry of a guest page table" : "");
    for (unsigned i = 0; i < ARRAY_LEN(more); i++)
        if (e >> more[i].bit & 1)
            put(t, ", %s", more[i].text);
    put(t, " (error code %#llx)", (ull)e);
}

/* ---- AVIC [APM2 15.29.9] ---- */
static void avic_ipi(struct text *t, const struct svm_record *r)
{
    static const char *const why[] = {"type or trigger mode that AVIC does not send", "a target is not running", "invalid target in the tables",
                                      "bad backing page pointer", "vector below 16", "not accelerated"};
    unsigned id = (unsigned)(r->info2 >> 32);
    put(t, "AVIC could not complete an interprocessor interrupt: ");
    if (id < ARRAY_LEN(why))
        put(t, "%s", why[id]);
    else
        put(t, "reason %u", id);
    if (id >= 1 && id <= 3)
        put(t, ", table index %u", (unsigned)r->info2 & 0xFFF);
    put(t, " (ICR %#llx)", (ull)r->info1);
}

static void avic_register(struct text *t, const struct svm_record *r)
{
    static const struct { u16 first, last; const char *name; } regs[] = {
        {0x20, 0x20, "ID"},       {0x30, 0x30, "version"},  {0x80, 0x80, "TPR"},   {0x90, 0x90, "APR"},          {0xA0, 0xA0, "PPR"},
        {0xB0, 0xB0, "EOI"},      {0xC0, 0xC0, "remote read"}, {0xD0, 0xD0, "LDR"}, {0xE0, 0xE0, "DFR"},         {0xF0, 0xF0, "SVR"},
        {0x100, 0x170, "ISR"},    {0x180, 0x1F0, "TMR"},    {0x200, 0x270, "IRR"}, {0x280, 0x280, "ESR"},        {0x300, 0x300, "ICR low"},
        {0x310, 0x310, "ICR high"}, {0x320, 0x320, "LVT timer"}, {0x330, 0x330, "LVT thermal"}, {0x340, 0x340, "LVT performance"},
        {0x350, 0x350, "LVT LINT0"}, {0x360, 0x360, "LVT LINT1"}, {0x370, 0x370, "LVT error"}, {0x380, 0x380, "timer initial count"},
        {0x390, 0x390, "timer current count"}, {0x3E0, 0x3E0, "timer divide"}, {0x400, 0x400, "extended feature"},
        {0x410, 0x410, "extended control"}, {0x420, 0x420, "SEOI"}, {0x480, 0x4F0, "IER"}, {0x500, 0x570, "extended LVT"}};
    unsigned at = (unsigned)r->info1 & 0xFF0;
    bool write = r->info1 >> 32 & 1;
    put(t, "%s virtual APIC register %03Xh", write ? "write of" : "read of", at);
    for (unsigned i = 0; i < ARRAY_LEN(regs); i++)
        if (at >= regs[i].first && at <= regs[i].last)
            put(t, " (%s)", regs[i].name);
    put(t, ", which AVIC does not accelerate");
    if (write && at == 0xB0)
        put(t, ", vector %u in service", (unsigned)r->info2 & 0xFF);
}

/* ---- the rest ---- */
static void put_event(struct text *t, u64 e)
{
    unsigned vec = (unsigned)e & 0xFF;
    switch (e >> 8 & 7) {
    case INJ_INTR: put(t, "interrupt vector %02Xh", vec); break;
    case INJ_NMI: put(t, "an NMI"); break;
    case INJ_EXC: exc_name(t, vec); break;
    case INJ_SOFT: put(t, "INT %02Xh", vec); break;
    default: put(t, "an event of type %u, vector %02Xh", (unsigned)(e >> 8 & 7), vec); break;
    }
    if (e & INJ_EV)
        exc_error(t, vec, (u32)(e >> 32));
}

static void invalid(struct text *t, const struct svm_record *r)
{
    unsigned n = 0;
    for (unsigned i = 0; i < 64; i++)
        n += r->violated >> i & 1;
    put(t, "VMRUN refused the VMCB");
    for (unsigned i = 0, k = 0; i < svm_check_count; i++)
        if (r->violated >> i & 1)
            put(t, "%s%s", k++ ? ", " : n == 1 ? ", 1 check: " : ", checks: ", svm_checks[i].id);
}

/* Instructions whose operands are registers that are at hand. */
static bool by_registers(struct text *t, const struct svm_record *r)
{
    u32 ecx = (u32)r->rcx;
    u64 edx_eax = r->rdx << 32 | (u32)r->rax;
    switch (r->code) {
    case VMEXIT_CPUID: put(t, "CPUID of leaf %#x, subleaf %#x", (u32)r->rax, ecx); return true;
    case VMEXIT_RDPMC: put(t, "RDPMC of counter %#x", ecx); return true;
    case VMEXIT_RDPRU: put(t, "RDPRU of register %#x", ecx); return true;
    case VMEXIT_XSETBV: put(t, "XSETBV of XCR%u, value %#llx", ecx, (ull)edx_eax); return true;
    case VMEXIT_INVLPGA: put(t, "INVLPGA of linear address %#llx in ASID %u", (ull)r->rax, ecx); return true;
    case VMEXIT_VMMCALL: put(t, "VMMCALL with rAX %#llx, rCX %#llx, rDX %#llx", (ull)r->rax, (ull)r->rcx, (ull)r->rdx); return true;
    case VMEXIT_VMRUN:
    case VMEXIT_VMLOAD:
    case VMEXIT_VMSAVE: put(t, "%s of the VMCB at %#llx", svm_exit_name(r->code), (ull)r->rax); return true;
    case VMEXIT_SKINIT: put(t, "SKINIT of the block at %#x", (u32)r->rax & 0xFFFF0000); return true;
    case VMEXIT_INVLPGB:
    case VMEXIT_INVLPGB_ILLEGAL: put(t, "%s, rAX %#llx, ECX %#x, EDX %#x", svm_exit_text(r->code), (ull)r->rax, ecx, (u32)r->rdx); return true;
    default: return false;
    }
}

static bool by_fields(struct text *t, const struct svm_record *r)
{
    switch (r->code) {
    case VMEXIT_CR0_SEL_WRITE: cr_access(t, r); return true;
    case VMEXIT_SMI: smi(t, r); return true;
    case VMEXIT_IOIO: ioio(t, r); return true;
    case VMEXIT_MSR: msr(t, r); return true;
    case VMEXIT_TASK_SWITCH: switch_task(t, r); return true;
    case VMEXIT_NPF: nested_fault(t, r); return true;
    case VMEXIT_AVIC_INCOMPLETE_IPI: avic_ipi(t, r); return true;
    case VMEXIT_AVIC_NOACCEL: avic_register(t, r); return true;
    case VMEXIT_SWINT: put(t, r->assists ? "INT %02Xh" : "INT n", (unsigned)r->info1 & 0xFF); return true;
    case VMEXIT_INVLPG: put(t, r->assists ? "INVLPG of linear address %#llx" : "INVLPG", (ull)r->info1); return true;
    case VMEXIT_INVPCID: put(t, "INVPCID of type %llu, descriptor at linear address %#llx", (ull)r->info2, (ull)r->info1); return true;
    case VMEXIT_INVALID_CODE: invalid(t, r); return true;
    default: break;
    }
    if (r->code <= VMEXIT_CR15_WRITE)
        cr_access(t, r);
    else if (r->code <= VMEXIT_DR15_WRITE)
        dr_access(t, r);
    else if (r->code <= VMEXIT_EXCP31)
        exception(t, r);
    else if (r->code >= VMEXIT_EFER_WRITE_TRAP && r->code <= VMEXIT_CR15_WRITE_TRAP)
        put(t, "%s, new value %#llx", svm_exit_text(r->code), (ull)r->info1);
    else
        return false;
    return true;
}

size_t svm_exit_sentence(const struct svm_record *r, char *buf, size_t size)
{
    struct text t = {buf, size, 0};
    const char *text = svm_exit_text(r->code);
    if (size)
        buf[0] = 0;
    if (!by_fields(&t, r) && !by_registers(&t, r)) {
        if (text)
            put(&t, "%s", text);
        else
            put(&t, "exit code %#llx, which the manual does not define", (ull)r->code);
    }
    if ((r->intinfo & INJ_V) && r->code != VMEXIT_INVALID_CODE) {
        put(&t, "; this broke off the delivery of ");
        put_event(&t, r->intinfo);
    }
    return t.n;
}
