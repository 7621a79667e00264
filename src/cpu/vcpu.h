// SPDX-License-Identifier: MIT
/* struct vcpu: the plain state (cpu_state, first member) plus the derived part that makes it run, and the vocabulary instruction bodies use. */
#ifndef SVMEMU_CPU_VCPU_H
#define SVMEMU_CPU_VCPU_H

#include "base/diag.h"
#include "base/ids.h"
#include "bus/clock.h"
#include "cpu/state.h"
#include "mmu/mmu.h"

/* What a body left behind when it returned false. Exactly one is pending at a time. */
enum ev_kind {
    EV_NONE,
    EV_FAULT,    /* exception, RIP = the instruction (or as cpu_raise_trap set it) */
    EV_TRAP,     /* exception after the instruction: RIP = next (#DB trap, #BP, #OF) */
    EV_SOFT,     /* INT n: vector, RIP pushed = next_rip */
    EV_INTR,     /* external interrupt (exec only) */
    EV_NMI,
    EV_VMEXIT,   /* #VMEXIT pending: vx */
    EV_STOP,     /* typed stop for the caller: stop_reason (unimplemented bytes, internal) */
    EV_INIT, EV_SIPI, EV_SHUTDOWN, /* never pending: how exec's event hook names what else can happen between two instructions */
};
struct event {
    u8 kind, vec;
    bool has_err;
    u32 err;
    u64 cr2;          /* #PF */
    u64 dr6;          /* #DB: bits to merge into DR6 */
    bool soft_priv;   /* INT1: EV_TRAP without DPL check */
    bool fetch;       /* #PF of an instruction fetch: no instruction bytes for decode assists */
};
struct vmexit {
    u64 code, info1, info2;
    bool nrip_valid;  /* instruction intercept: nRIP = next sequential RIP */
    bool bytes_valid; /* decode assist: instruction bytes wanted (data #PF, NPF) */
};

/* Bits of vcpu.pending: what the decision point must look at. Zero = nothing. */
enum {
    PEND_INTR = 1 << 0,    /* local APIC / PIC asserts INTR */
    PEND_NMI = 1 << 1,
    PEND_SMI = 1 << 2,
    PEND_INIT = 1 << 3,
    PEND_SIPI = 1 << 4,
    PEND_VINTR = 1 << 5,   /* V_IRQ set in guest mode */
    PEND_TRAP = 1 << 6,    /* #DB trap due (TF, data breakpoint): vcpu.trap_dr6 */
    PEND_STOP = 1 << 7,    /* caller asked to stop */
    PEND_MC = 1 << 8,
    PEND_XTRAP = 1 << 10,  /* a trap-like #VMEXIT of the instruction just completed (svm_cpu.avic.trap) */
    PEND_VNMI = 1 << 9,    /* V_NMI set in guest mode (svm_vnmi_due, svm_vnmi_take) */
};
/* Bits of vcpu.attn: leave the block after this instruction. */
enum { ATTN_MODE = 1 << 0, ATTN_EVENT = 1 << 1, ATTN_CODE = 1 << 2, ATTN_BUDGET = 1 << 3 };

struct vcpu;
struct machine_cpu_ops { /* upward calls, set by machine at creation */
    void *ctx;
    u8 (*get_tpr)(void *ctx, int cpu);                 /* APIC TPR 0..255 */
    void (*set_tpr)(void *ctx, int cpu, u8 tpr);
    int (*ack_intr)(void *ctx, int cpu);               /* vector, or -1: spurious/none */
    bool (*msr_read)(void *ctx, int cpu, u32 msr, u64 *v);   /* APIC_BASE side effects, x2APIC 800h-8FFh, TSC deadline; false: not mine */
    int (*msr_write)(void *ctx, int cpu, u32 msr, u64 v);    /* 1 done, 0 not mine, -1 #GP */
    void (*apic_base_changed)(void *ctx, int cpu);
    void (*avic_doorbell)(void *ctx, u32 apic_id);     /* rings at the vCPU with that physical APIC id, if there is one */
    void (*init_taken)(void *ctx, int cpu);            /* the vCPU took an INIT: its local APIC resets with it */
    void (*tsc_moved)(void *ctx, int cpu);             /* the guest wrote its TSC: tsc_offset is another */
};

struct vcpu;
struct avic_ops { /* what svm does at accesses to the virtual APIC of a guest with AVIC [APM2 15.29] */
    bool (*touch)(struct vcpu *c, unsigned off, bool write); /* before an access to the page; false: a fault-like exit is recorded */
    void (*write)(struct vcpu *c, u64 spa, const u8 *from, unsigned len);
    void (*cr8_written)(struct vcpu *c);
};

struct cpu_model; /* processor profile, cpu/cpuid.h */
struct exec_cpu;  /* exec's part */
struct svm_cpu;   /* svm's part: VMCB cache, latched control fields */

struct vcpu {
    struct cpu_state st;      /* first: handlers address gpr[] from the vCPU pointer */
    struct flags fl;          /* lazy arithmetic flags; st.rflags holds all others */
    i64 budget;               /* (ticks left << 24) | instructions done, see exec/exec.h */
    i64 slack;                /* ticks by which the slice's deadline lies behind the budget's end: a limit on instructions cut the budget */
    u64 next_rip;             /* RIP after the running instruction; branches overwrite it */
    u32 attn, pending;
    struct event ev;
    struct vmexit vx;
    u64 trap_dr6;
    bool rep_unfinished;      /* a REP left early at its own RIP: not counted, restarts */
    unsigned stop_reason;     /* with EV_STOP: SVMEMU_STOP_* of the public API: 1 unimplemented instruction, 2 unimplemented feature */
    u8 sipi_vector;           /* with PEND_SIPI */
    bool keep_rf;             /* the instruction just executed set RF itself (IRET): it stays for the next one */
    bool new_tf;              /* the instruction just executed is one whose TF counts as it left it (SYSCALL, SYSRET) */
    /* SVM: active intercept words of VMCB 000h, 004h, 008h, 00Ch, 010h, 014h; all zero in host mode */
    u32 icpt[6];
    bool guest;               /* in guest mode */
    bool v_intr_masking, host_if, np;
    u64 tsc_guest_offset;     /* VMCB TSC_OFFSET in guest mode */
    /* Address space of the guest, set by svm before cpu_update_mode(); asid 0 and np clear in host mode. */
    struct { u32 asid; bool gmet, rogpt, pml, avic; u64 ncr3, hcr0, hcr4, hefer, hpat, avic_bar, avic_page; } nest; /* `np` above says whether nested paging is on; G_PAT is then st.pat */
    const struct avic_ops *avic; /* the running guest has AVIC or x2AVIC; NULL: no */
    const struct insn *cur;   /* instruction being executed by the generic path (NULL: none) */
    u8 cur_bytes[16];         /* its bytes when known */
    struct mmu mmu;
    struct phys_view view;
    struct exec_cpu *exec;
    struct svm_cpu *svm;
    const struct machine_cpu_ops *ops;
    const struct cpu_model *model;
    const u64 *features;      /* bitmap by feat_id */
    const u32 *cost;          /* ticks by timing class, set by exec; NULL in tests of a bare vCPU: nothing is charged */
    struct clock *clock;
    struct diag *diag;
    int index;
    u64 insns;                /* retired + faulted + intercepted attempts, folded by cpu_sync */
    u64 ticks;                /* local time, folded by cpu_sync */
    u64 stat_vmrun, stat_vmexit, stat_exceptions[32], stat_irqs;
    void (*fold)(struct vcpu *c); /* exec_fold, set by exec: running slice's budget into ticks/insns and clock->now; NULL in tests */
    bool a20_masked;          /* the A20M signal; VM_CR.DIS_A20M decides whether it acts */
    unsigned cpus;            /* vCPUs in the machine, for CPUID topology; 0 reads as 1 */
};

/* ---- mode ---- */
static inline bool cpu_has(const struct vcpu *c, unsigned feat) { return c->features[feat >> 6] >> (feat & 63) & 1; }
static inline bool cpu_pe(const struct vcpu *c) { return c->st.cr0 & CR0_PE; }
static inline bool cpu_vm86(const struct vcpu *c) { return c->st.rflags & FL_VM; }
static inline bool cpu_protected(const struct vcpu *c) { return cpu_pe(c) && !cpu_vm86(c); } /* neither real nor V86 */
static inline bool cpu_long(const struct vcpu *c) { return c->st.efer & EFER_LMA; }
static inline bool cpu_code64(const struct vcpu *c) { return cpu_long(c) && (c->st.seg[SEG_CS].attr & ATTR_L); }
/* Linear address of code at RIP; 64-bit code ignores the base of CS [APM2 4.5.3]. */
static inline u64 cpu_code_lin(const struct vcpu *c, u64 rip)
{
    return cpu_code64(c) ? rip : (u32)(c->st.seg[SEG_CS].base + rip);
}
static inline enum dec_mode cpu_mode(const struct vcpu *c)
{
    return cpu_code64(c) ? MODE_64 : (c->st.seg[SEG_CS].attr & ATTR_DB) ? MODE_32 : MODE_16;
}
static inline unsigned cpu_iopl(const struct vcpu *c) { return c->st.rflags >> 12 & 3; }
static inline unsigned cpu_stack_width(const struct vcpu *c) /* 2, 4 or 8 */
{
    return cpu_code64(c) ? 8 : (c->st.seg[SEG_SS].attr & ATTR_DB) ? 4 : 2;
}
static inline bool cpu_canonical(const struct vcpu *c, u64 a) { return sext_bit(a, c->st.cr4 & CR4_LA57 ? 56 : 47) == a; }

/* ---- registers ---- */
u64 cpu_rflags(const struct vcpu *c);                 /* architectural RFLAGS, bit 1 set */
void cpu_set_rflags(struct vcpu *c, u64 v);           /* sets all implemented bits; updates attn/mmu context on TF, AC, VM, IF changes */
static inline u64 gpr_get(const struct vcpu *c, unsigned reg, unsigned width)
{
    if (width == 1 && reg >= REG8_AH)
        return (u8)(c->st.gpr[reg - REG8_AH] >> 8);
    return zext(c->st.gpr[reg], width);
}
static inline void gpr_set(struct vcpu *c, unsigned reg, unsigned width, u64 v)
{
    switch (width) {
    case 1:
        if (reg >= REG8_AH)
            c->st.gpr[reg - REG8_AH] = (c->st.gpr[reg - REG8_AH] & ~0xFF00ull) | (u64)(u8)v << 8;
        else
            c->st.gpr[reg] = (c->st.gpr[reg] & ~0xFFull) | (u8)v;
        break;
    case 2: c->st.gpr[reg] = (c->st.gpr[reg] & ~0xFFFFull) | (u16)v; break;
    case 4: c->st.gpr[reg] = (u32)v; break;
    default: c->st.gpr[reg] = v; break;
    }
}

/* ---- events: all return false so that a body can `return cpu_raise(...)` ---- */
bool cpu_raise(struct vcpu *c, u8 vec);                 /* without error code */
bool cpu_raise_err(struct vcpu *c, u8 vec, u32 err);
/* "#GP", "NMI", or "exception 15" written to `other` where the vector has no name [APM2 8.2]. */
const char *cpu_exc_name(unsigned vec, char *other, size_t size);
bool cpu_raise_pf(struct vcpu *c, const struct mmu_fault *f); /* #PF or nested page fault exit, from the MMU's fault */
bool cpu_raise_db_fault(struct vcpu *c, u64 dr6);
bool cpu_raise_trap(struct vcpu *c, u8 vec);            /* INT3, INTO, INT1: return address is next_rip */
bool cpu_raise_soft(struct vcpu *c, u8 vec);            /* INT n */
bool cpu_stop(struct vcpu *c, unsigned reason);         /* EV_STOP with a SVMEMU_STOP_* reason, diagnostic already written */
bool cpu_exit(struct vcpu *c, u64 code, u64 info1, u64 info2); /* #VMEXIT by an instruction intercept: rIP = instruction, nRIP filled */
bool cpu_exit_event(struct vcpu *c, u64 code, u64 info1, u64 info2); /* #VMEXIT by anything else: nRIP 0 */
/* Intercept test by id (base/ids.h, from svm/intercept.def): `if (cpu_icpt(c, ICPT_HLT)) return cpu_exit(c, VMEXIT_HLT, 0, 0);` */
static inline bool cpu_icpt(const struct vcpu *c, unsigned icpt_id) { return UNLIKELY(c->icpt[icpt_id >> 5] >> (icpt_id & 31) & 1); }

/* ---- memory, by segment and offset (limit, canonical, alignment, permission checks; faults recorded; false on fault) ---- */
bool mem_read(struct vcpu *c, unsigned seg, u64 off, unsigned width, u64 *v);
bool mem_write(struct vcpu *c, unsigned seg, u64 off, unsigned width, u64 v);
bool mem_rmw_begin(struct vcpu *c, unsigned seg, u64 off, unsigned width, u64 *v); /* reads, having checked for writing; follow with mem_write to the same place */
bool mem_read_buf(struct vcpu *c, unsigned seg, u64 off, void *buf, unsigned len);
bool mem_write_buf(struct vcpu *c, unsigned seg, u64 off, const void *buf, unsigned len); /* probes all pages first */
bool mem_probe_write(struct vcpu *c, unsigned seg, u64 off, unsigned len);
/* by linear address; acc is ACC_R/ACC_W | ACC_SYS. No segment checks. */
bool lin_read(struct vcpu *c, u64 lin, unsigned width, unsigned acc, u64 *v);
bool lin_write(struct vcpu *c, u64 lin, unsigned width, unsigned acc, u64 v);
bool lin_probe(struct vcpu *c, u64 lin, unsigned len, unsigned acc);
/* Host address of bytes in one page that such an access may touch and that nobody watches; NULL: go the way above. */
u8 *lin_view(const struct vcpu *c, u64 lin, unsigned len, unsigned acc);
/* segment:offset -> linear with checks only; *lin valid when true */
bool seg_linear(struct vcpu *c, unsigned seg, u64 off, unsigned len, unsigned acc, u64 *lin);
/* Bulk string operations: host address of the element at seg:off when it and up to *count - 1 elements after it (before it: down) can be
 * moved without anything that needs a look (fault, MMIO, flags, breakpoints); *count is cut to the page. NULL: one element at a time. */
u8 *mem_span(struct vcpu *c, unsigned seg, u64 off, unsigned width, bool down, unsigned acc, u64 *count);

/* ---- operands of the running instruction ---- */
u64 op_ea(const struct vcpu *c, const struct insn *in);             /* effective offset of the memory operand, cut to the address size */
/* The element of a bit string in memory that a register's offset names: it reaches beyond the operand, both ways [APM3 BT]. */
u64 op_bit_ea(const struct vcpu *c, const struct insn *in, u64 off);
bool op_read(struct vcpu *c, const struct insn *in, unsigned i, u64 *v);   /* zero-extended to the operand's size */
bool op_write(struct vcpu *c, const struct insn *in, unsigned i, u64 v);   /* 32-bit GPR writes zero the upper half */
bool op_rmw(struct vcpu *c, const struct insn *in, unsigned i, u64 *v);    /* op_read, but faults as a write */

/* ---- stack: width 2, 4, 8; address width by SS.B / 64-bit ---- */
bool stack_push(struct vcpu *c, unsigned width, u64 v);
bool stack_pop(struct vcpu *c, unsigned width, u64 *v);
/* Multi-step forms work on a local copy of RSP and commit at the end (rule: an instruction commits after its last fault). */
bool stack_push_at(struct vcpu *c, u64 *rsp, unsigned width, u64 v);
bool stack_pop_at(struct vcpu *c, u64 *rsp, unsigned width, u64 *v);
const u8 *stack_view(const struct vcpu *c, u64 rsp, unsigned len); /* like lin_view(), for reading what is popped; in 64-bit code only */
void stack_commit(struct vcpu *c, u64 rsp); /* writes RSP/ESP/SP by the stack's address width */

/* ---- control ---- */
bool cpu_jump(struct vcpu *c, u64 target, unsigned osz); /* near: cut to osz, limit/canonical check (#GP), sets next_rip */
void cpu_update_mode(struct vcpu *c);   /* after CR0/CR4/EFER/CS/CPL/VM/asid changes: MMU context, attn |= ATTN_MODE */
void cpu_update_a20(struct vcpu *c);    /* the A20M signal or VM_CR.DIS_A20M changed [APM2 15.30.1] */
void cpu_sync(struct vcpu *c);          /* folds lazy flags and counts into st; call before looking from outside exec */
/* Between two elements of a REP: ticks to the slice's deadline. A limit on instructions does not count, or it would change where the REP is
 * left and, if it overwrites its own bytes, what it does. */
static inline i64 cpu_ticks_left(const struct vcpu *c) { return (c->budget >> 24) + c->slack; }
/* Leave a REP between two elements: time is up, an event waits that is none of `held`, or it is single-stepped? The instruction then stays the
 * next one. */
static inline bool cpu_rep_leave(struct vcpu *c, u32 held)
{
    if (LIKELY(cpu_ticks_left(c) >= 0 && !(c->pending & ~held) && !(c->st.rflags & FL_TF)))
        return false;
    c->next_rip = c->st.rip;
    c->attn |= ATTN_BUDGET;
    c->rep_unfinished = true;
    return true;
}
/* #DB behind the instruction that has just been executed, by TF. */
static inline void cpu_step_trap(struct vcpu *c)
{
    c->trap_dr6 |= 1u << 14; /* BS */
    c->pending |= PEND_TRAP;
}
void cpu_charge(struct vcpu *c, u64 ticks); /* dynamic cost of the running instruction */
void cpu_charge_class(struct vcpu *c, enum timing_class id); /* cost of what no instruction row names: #VMEXIT, event delivery */
void cpu_reset(struct vcpu *c, bool init);  /* RESET (false) or INIT (true) */

/* ---- segments (cpu/seg.c) ---- */
struct desc { u32 lo, hi; };
void seg_unpack(struct seg *s, u16 sel, struct desc d, u64 base_hi);
bool seg_load(struct vcpu *c, unsigned seg, u16 sel);   /* MOV/POP Sreg, LDS...: all checks; real/V86 mode too */
void seg_load_real(struct vcpu *c, unsigned seg, u16 sel);
bool desc_read(struct vcpu *c, u16 sel, struct desc *d, u64 *lin, u8 fault_vec); /* GDT/LDT by selector; faults with fault_vec(sel & ~3) */
bool far_jump(struct vcpu *c, u16 sel, u64 off, unsigned osz);
bool far_call(struct vcpu *c, u16 sel, u64 off, unsigned osz);
bool far_ret(struct vcpu *c, unsigned osz, u16 pop_bytes);
bool cpu_iret(struct vcpu *c, unsigned osz);
enum { TASK_JMP, TASK_CALL, TASK_IRET, TASK_INT };
bool task_switch(struct vcpu *c, u16 tss_sel, struct desc d, unsigned how, bool has_err, u32 err); /* cpu/task.c */

/* ---- control registers, MSRs, CPUID ---- */
bool cr_write(struct vcpu *c, unsigned n, u64 v);       /* CR0, 2, 3, 4, 8 with all checks, flushes and mode changes; no intercepts */
u8 cpu_mtrr_type(const struct vcpu *c, u64 spa);      /* enum memtype, before the PAT's say */
u8 cpu_memtype(const struct vcpu *c, const struct mmu_xl *xl); /* of a translation: page tables and, for memory, MTRRs */
/* Its name in msr.def, NULL: none; *index is its number in a row of several, else ~0. */
const char *msr_name(u32 msr, unsigned *index);
bool msr_read(struct vcpu *c, u32 msr, u64 *v);         /* false: #GP raised; no intercepts, no CPL check */
bool msr_write(struct vcpu *c, u32 msr, u64 v);
void cpuid_query(struct vcpu *c, u32 leaf, u32 sub, u32 out[4]);
u64 cpu_tsc(struct vcpu *c);                            /* as RDTSC shows it: guest ratio and offset applied */

/* ---- ports: intercept (IOPM) is the isa's business; these check IOPL/TSS bitmap (#GP) and do the access ---- */
bool io_check(struct vcpu *c, u16 port, unsigned width);
u64 io_read(struct vcpu *c, u16 port, unsigned width);
void io_write(struct vcpu *c, u16 port, unsigned width, u64 v);

/* ---- instruction bodies: struct of one row's semantics, table generated by isagen, handed to exec at creation ---- */
typedef u64 alu_fn(struct flags *f, unsigned width, u64 a, u64 b);
typedef u64 aluc_fn(struct flags *f, unsigned width, u64 a, u64 b, unsigned cf);
typedef void tst_fn(struct flags *f, unsigned width, u64 a, u64 b);
typedef u64 un_fn(struct flags *f, unsigned width, u64 a);
typedef bool sys_fn(struct vcpu *c, const struct insn *in);
union row_body { alu_fn *alu; aluc_fn *aluc; tst_fn *tst; un_fn *un; sys_fn *sys; };
extern const union row_body isa_bodies[];

#endif
