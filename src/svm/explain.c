// SPDX-License-Identifier: MIT
/* One readable line for a world switch, and the numbering of the exit statistics. */
#include "svm/svm.h"

#include "svm/text.h"

const char *svm_exit_name(u64 code)
{
    if (code == VMEXIT_INVALID_CODE)
        return "INVALID";
    if (code > 0xFFFF)
        return NULL;
    switch ((int)code) {
#define EXITCODE(name, c, text)                                                                                        \
    case (c):                                                                                                          \
        return #name;
#include "svm/exitcode.def"
#undef EXITCODE
    default:
        return NULL;
    }
}

const char *svm_exit_text(u64 code)
{
    if (code == VMEXIT_INVALID_CODE)
        return "VMRUN refused the VMCB";
    if (code > 0xFFFF)
        return NULL;
    switch ((int)code) {
#define EXITCODE(name, c, text)                                                                                        \
    case (c):                                                                                                          \
        return text;
#include "svm/exitcode.def"
#undef EXITCODE
    default:
        return NULL;
    }
}

unsigned svm_stat_index(u64 code)
{
    if (LIKELY(code < SVM_STAT_NPF))
        return (unsigned)code;
    return code - VMEXIT_NPF < SVM_STAT_OTHER - SVM_STAT_NPF ? SVM_STAT_NPF + (unsigned)(code - VMEXIT_NPF)
                                                             : SVM_STAT_OTHER;
}

u64 svm_stat_code(unsigned index)
{
    if (index < SVM_STAT_NPF)
        return index;
    return index < SVM_STAT_OTHER ? VMEXIT_NPF + (u64)(index - SVM_STAT_NPF) : ~0ull;
}

struct bit_name {
    u8 bit;
    const char *name;
};

static void put_bits(struct text *t, u64 v, const struct bit_name *b, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (v >> b[i].bit & 1)
            put(t, " %s", b[i].name);
}

static void put_intinfo(struct text *t, const char *what, u64 v)
{
    static const char *const type[8] = {"INTR", "type 1", "NMI", "exception", "INT n", "type 5", "type 6", "type 7"};
    if (!(v & INJ_V))
        return;
    put(t, ", %s %s vector %u", what, type[v >> 8 & 7], (unsigned)(v & 0xFF));
    if (v & INJ_EV)
        put(t, " error %#llx", (ull)(v >> 32));
}

static void put_io(struct text *t, const struct svm_record *r)
{
    u64 i = r->info1;
    put(t, " %s%s%s port %#llx size %u address size %u next RIP %#llx", i & 8 ? "REP " : "", i & 1 ? "IN" : "OUT",
        i & 4 ? "S" : "", (ull)(i >> 16 & 0xFFFF), (unsigned)(i >> 4 & 7),
        i & 0x80    ? 16
        : i & 0x100 ? 32
                    : 64,
        (ull)r->info2);
}

static void put_pf(struct text *t, const struct svm_record *r)
{
    static const struct bit_name pf[] = {{0, "present"}, {1, "write"}, {2, "user"},        {3, "reserved-bit"},
                                         {4, "fetch"},   {5, "key"},   {6, "shadow-stack"}};
    put(t, " address %#llx error %#llx", (ull)r->info2, (ull)r->info1);
    put_bits(t, r->info1, pf, ARRAY_LEN(pf));
}

static void put_npf(struct text *t, const struct svm_record *r)
{
    static const struct bit_name npf[] = {{0, "present"},        {1, "write"},       {2, "user"},
                                          {3, "reserved-bit"},   {4, "fetch"},       {6, "shadow-stack"},
                                          {31, "rmp"},
                                          {32, "final-address"}, {33, "guest-table"}, {34, "encrypted"},
                                          {35, "size-mismatch"}, {36, "vmpl"},        {37, "supervisor-shadow-stack"}};
    put(t, " gpa %#llx error %#llx", (ull)r->info2, (ull)r->info1);
    put_bits(t, r->info1, npf, ARRAY_LEN(npf));
}

static void put_task(struct text *t, const struct svm_record *r)
{
    put(t, " to TSS %#llx by %s", (ull)(r->info1 & 0xFFFF),
        r->info2 >> 36 & 1   ? "IRET"
        : r->info2 >> 38 & 1 ? "JMP"
        : r->intinfo & INJ_V ? "event"
                             : "CALL");
    if (r->info2 >> 44 & 1)
        put(t, " error %#llx", (ull)(r->info2 & 0xFFFFFFFF));
}

static void put_info(struct text *t, const struct svm_record *r)
{
    static const char *const gpr[16] = {"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
                                        "R8",  "R9",  "R10", "R11", "R12", "R13", "R14", "R15"};
    static const u32 with_error = 1u << EXC_TS | 1u << EXC_NP | 1u << EXC_SS | 1u << EXC_GP | 1u << EXC_AC |
                                  1u << EXC_SX | 1u << EXC_CP | 1u << EXC_DF;
    u64 code = r->code;
    if (code <= VMEXIT_CR15_WRITE || code == VMEXIT_CR0_SEL_WRITE) {
        if (r->info1 >> 63)
            put(t, " MOV with %s", gpr[r->info1 & 15]);
    } else if (code <= VMEXIT_DR15_WRITE) {
        put(t, " MOV with %s", gpr[r->info1 & 15]);
    } else if (code == VMEXIT_EXCP0 + EXC_PF) {
        put_pf(t, r);
    } else if (code <= VMEXIT_EXCP31) {
        if (with_error >> (code - VMEXIT_EXCP0) & 1)
            put(t, " error %#llx", (ull)r->info1);
    } else if (code == VMEXIT_IOIO) {
        put_io(t, r);
    } else if (code == VMEXIT_MSR) {
        put(t, " %s %#llx", r->info1 & 1 ? "WRMSR" : "RDMSR", (ull)(u32)r->rcx);
    } else if (code == VMEXIT_NPF) {
        put_npf(t, r);
    } else if (code == VMEXIT_TASK_SWITCH) {
        put_task(t, r);
    } else if (code == VMEXIT_SWINT) {
        put(t, " vector %u", (unsigned)(r->info1 & 0xFF));
    } else if (code == VMEXIT_INVLPG) {
        put(t, " address %#llx", (ull)r->info1);
    } else if (code == VMEXIT_INVPCID) {
        put(t, " descriptor %#llx type %llu", (ull)r->info1, (ull)r->info2);
    }
}

static void put_exit(struct text *t, const struct svm_record *r)
{
    char other[16];
    const char *name = svm_exit_name(r->code);
    put(t, "#VMEXIT ");
    if (name)
        put(t, "%s", name);
    else
        put(t, "code %#llx", (ull)r->code);
    if (r->code >= VMEXIT_EXCP0 && r->code <= VMEXIT_EXCP31)
        put(t, " (%s)", cpu_exc_name((unsigned)(r->code - VMEXIT_EXCP0), other, sizeof other));
    put_info(t, r);
    put(t, ", rip %#llx", (ull)r->rip);
    if (r->nrip)
        put(t, " nrip %#llx", (ull)r->nrip);
    put_intinfo(t, "while delivering", r->intinfo);
}

size_t svm_record_text(const struct svm_record *r, char *buf, size_t size)
{
    struct text t = {buf, size, 0};
    if (size)
        buf[0] = 0;
    put(&t, "cpu%d %llu: ", r->vcpu, (ull)r->insns);
    if (r->entry) {
        put(&t, "VMRUN vmcb %#llx asid %u%s, rip %#llx rsp %#llx rax %#llx", (ull)r->vmcb_pa, r->asid,
            r->np ? " nested" : "", (ull)r->rip, (ull)r->rsp, (ull)r->rax);
        if (r->tlb_control)
            put(&t, ", tlb_control %u", r->tlb_control);
        put_intinfo(&t, "injecting", r->eventinj);
    } else {
        put_exit(&t, r);
    }
    return t.n;
}
