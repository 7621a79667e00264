// SPDX-License-Identifier: MIT
/* Secure virtual machine: world switch, intercept maps, virtual interrupts, VMLOAD and kin.
 *
 * Who calls what: instruction bodies (isa) call svm_vmrun, svm_vmload..., the map tests and svm_io_exit; exec calls
 * svm_vmexit when ev.kind is EV_VMEXIT, keeps `delivering` while an event goes through the IDT (clearing `injecting`
 * then), and asks the vintr/vnmi helpers at the decision point.
 *
 * Rules for exec around a world switch (c->guest differs before and after a body, or svm_vmrun returned false):
 *  - the instruction's own end-of-instruction work (clearing RF and the shadow, single-step trap by the TF it started
 * with) is not done: RFLAGS, st.shadow and PEND_TRAP already are those of the new side [APM2 15.5.1, 15.6]. */
#ifndef SVMEMU_SVM_SVM_H
#define SVMEMU_SVM_SVM_H

#include "cpu/vcpu.h"
#include "svm/vmcb.h"

/* One world switch for tracing; svm_record_text makes a line of it. */
struct svm_record {
    bool entry; /* VMRUN, else #VMEXIT */
    bool np;
    int vcpu;
    u64 insns, vmcb_pa;
    u64 code, info1, info2, intinfo, nrip; /* #VMEXIT */
    u64 eventinj;                          /* VMRUN */
    u32 asid, tlb_control;
    u64 rip, rax, rcx, rdx, rsp; /* the guest's */
    bool assists;                /* #VMEXIT: decode assists, so that EXITINFO1 tells more */
    u64 violated;                /* #VMEXIT(INVALID): bit n: svm_checks[n] */
};
struct svm_hooks {
    void *ctx;
    void (*on_vmrun)(void *ctx, struct vcpu *c,
                     const struct svm_record *r); /* after the checks passed, before the first guest instruction */
    void (*on_vmexit)(void *ctx, struct vcpu *c, const struct svm_record *r); /* after the switch */
};

/* Exit statistics: codes 0..FFh, 400h..40Fh, and one slot for all others (INVALID). */
enum { SVM_STAT_NPF = 256, SVM_STAT_OTHER = 272, SVM_STAT_N = 273 };

/* The checks that the last failed VMRUN or #VMEXIT violated, for whoever explains it. */
struct svm_failed {
    u64 violated;  /* bit n: svm_checks[n] */
    u64 value[64]; /* of that check's field, of those that are violated */
};

/* AVIC of the running guest [APM2 15.29]; all zero without. vcpu.avic says whether it is on. */
struct svm_avic {
    bool x2;
    u64 page, logical, physical; /* backing page, the two tables */
    u32 max_index;               /* of the physical table */
    struct vmexit trap;          /* with PEND_XTRAP */
};

/* What the processor has, asked once. */
struct svm_profile {
    bool ready, nrips, decode, clean, bus_lock, spec_ctrl, pause_thresh, invlpgb_ctl;
    u32 icpt_misc2, icpt_misc3, int_ctl; /* bits that act */
    u64 np_ctl, virt_ext;
    u64 efer_legal, cr4_legal;
    u32 sev_asids; /* those of SEV guests are 1 to this */
};

/* The fields that the checks look at, as they were when a VMCB, or a host save area, passed: equal ones pass again. What RARE rows say is
 * never remembered. */
#define SVM_CHECKED_HOST(X) X(cs_attr) X(efer) X(cr4) X(cr3) X(cr0)
#define SVM_CHECKED_GUEST(X)                                                                                                                \
    SVM_CHECKED_HOST(X) X(icpt_misc2) X(asid) X(tlb_control) X(iopm_base) X(msrpm_base) X(np_ctl) X(n_cr3) X(g_pat) X(dr6) X(dr7)
#define SVM_PASSED 8
struct svm_passed {
    bool valid;
    u64 hcr0, hefer; /* the host's, for a guest */
#define X(field) u64 field;
    SVM_CHECKED_GUEST(X)
#undef X
};

#define SVM_NOT_CACHED (~0ull) /* no page starts here */
/* The last #VMEXITs, for reports: number n of a vCPU (as stat_vmexit counts, from 1) is at n % SVM_PAST. */
#define SVM_PAST 16u
struct svm_past {
    u64 code, info1, info2, rip;
};

struct svm_cpu {
    u64 vmcb_pa; /* of the running guest */
    u32 int_ctl; /* latched V_ fields; V_TPR is st.cr8 */
    u8 int_vector;
    u64 iopm, msrpm; /* page-aligned */
    u64 virt_ext;    /* latched VMCB 0B8h with unsupported bits clear */
    bool vgif, vnmi; /* enabled in the running guest */
    u64 delivering;  /* EXITINTINFO of the event exec is delivering through the IDT now, 0: none. Cleared by exec on
                        success */
    bool injecting; /* the event in c->ev comes from EVENTINJ: no intercept test of itself, IDT gate DPL tested for soft
                       ones */
    u32 pause_count; /* internal pause filter counter */
    u16 pause_reload, pause_thresh;
    u64 pause_last; /* c->ticks of the last PAUSE */
    u32 bus_lock_count;
    struct svm_avic avic;
    bool invlpgb; /* the guest may use INVLPGB and TLBSYNC */
    u64 host_pat, host_spec_ctrl;
    struct svm_kept_flags {
        u64 arith; /* of RFLAGS */
        struct flags fl;
    } guest_flags, host_flags; /* as they were stored */
    struct svm_profile has;
    struct svm_passed passed_guest[SVM_PASSED], passed_host; /* by the VMCB's page number */
    u64 exits[SVM_STAT_N];
    struct svm_past past[SVM_PAST];
    struct svm_hooks hooks;
    struct svm_failed failed[2]; /* of the guest, by VMRUN; of the host, by #VMEXIT */
    u64 cached_pa;    /* of the VMCB whose copy `cache` is, or SVM_NOT_CACHED [APM2 15.15] */
    union vmcb cache; /* fields of clean groups as the processor last loaded or stored them */
    union vmcb bounce[2];
};

struct svm_cpu *svm_alloc(void); /* NULL: out of memory. The owner stores it in vcpu.svm */
void svm_free(struct svm_cpu *s);
void svm_reset(struct vcpu *c); /* RESET and INIT: leaves guest mode without a trace */

/* VMRUN after its fault checks and its intercept. c->next_rip is the host's return address.
 * true: continue at c->next_rip (== st.rip), in the guest, or in the host after #VMEXIT(INVALID) (or shut down:
 * st.activity). false: in the guest with an EVENTINJ event in c->ev to be delivered first; EV_SOFT and EV_TRAP push
 * c->next_rip, others st.rip; afterwards nothing is left of next_rip (the handler's RIP replaces it). */
bool svm_vmrun(struct vcpu *c, u64 pa);
/* #VMEXIT from c->vx. st.rip and st.gpr must be what the guest shall see; next_rip the next sequential RIP if
 * vx.nrip_valid. Afterwards c->ev is EV_NONE and the host continues at st.rip == next_rip. */
void svm_vmexit(struct vcpu *c);

/* VMLOAD and VMSAVE after fault checks and intercept; handles the virtual forms. false: an event is recorded. */
bool svm_vmload(struct vcpu *c, u64 pa);
bool svm_vmsave(struct vcpu *c, u64 pa);
void svm_stgi(struct vcpu *c);
void svm_clgi(struct vcpu *c);
void svm_invlpga(struct vcpu *c, u64 lin, u32 asid);

/* Intercepts that need more than a bit. */
bool svm_io_intercepted(struct vcpu *c, u16 port, unsigned width);
struct svm_io {
    u16 port;
    u8 width, asz; /* bytes; a 64-bit operand size counts as 4 */
    bool in, str, rep;
    u8 seg; /* effective segment of OUTS; else SEG_ES */
};
bool svm_io_exit(struct vcpu *c, const struct svm_io *io); /* returns false as cpu_exit does */
bool svm_msr_intercepted(struct vcpu *c, u32 msr, bool write);
bool svm_pause_intercepted(struct vcpu *c); /* counts; true: #VMEXIT(PAUSE) */
bool svm_bus_lock_exits(struct vcpu *c);    /* with the intercept on: counts a bus lock; true: #VMEXIT(BUSLOCK) instead */
bool svm_idle(const struct vcpu *c);        /* neither a virtual interrupt nor a virtual NMI is pending */
bool svm_mc_always_exits(const struct vcpu *c); /* a guest without CR4.MCE under a host with HOST_MCE_OVERRIDE */
static inline bool svm_exception_intercept(const struct vcpu *c, unsigned vec)
{
    return c->icpt[2] >> (vec & 31) & 1;
}
/* CR0 selective write: does the change count? [APM2 15.8.1] */
static inline bool svm_cr0_selective(u64 old_cr0, u64 new_cr0)
{
    return (old_cr0 ^ new_cr0) & ~(u64)(CR0_TS | CR0_MP);
}

/* Virtual interrupts and NMIs. Exec tests guest IF, the interrupt shadow and st.gif itself. */
bool svm_vintr_due(const struct vcpu *c); /* V_IRQ and priority and vGIF */
u8 svm_vintr_take(struct vcpu *c);        /* clears V_IRQ; the vector */
bool svm_vnmi_due(const struct vcpu *c);  /* V_NMI pending, not masked, vGIF; exec tests the shadow */
void svm_vnmi_take(struct vcpu *c);
bool svm_iret_unblocks(
    struct vcpu *c); /* IRET: true when it clears the physical NMI mask (else it was the virtual one's turn) */

/* AVIC (avic.c). Only with vcpu.avic set, but the doorbell. */
void svm_avic_evaluate(struct vcpu *c);          /* PEND_VINTR by IRR, ISR and V_TPR */
int svm_avic_candidate(const struct vcpu *c);    /* the vector to deliver, or -1 */
u8 svm_avic_take(struct vcpu *c);                /* IRR to ISR; the vector */
void svm_avic_doorbell(struct vcpu *c);          /* rung at this vCPU; nothing unless it runs an AVIC guest */
/* x2APIC registers in x2AVIC mode, after the MSRPM's say: 1 done, 0 not mine, -1 an event is recorded. */
int svm_avic_msr_read(struct vcpu *c, u32 msr, u64 *v);
int svm_avic_msr_write(struct vcpu *c, u32 msr, u64 v);

/* EXITINTINFO/EVENTINJ form of an event, for svm_cpu.delivering. */
u64 svm_intinfo(const struct event *e);

/* ---- consistency checks (check.c): a pure function of a VMCB and the facts around it ---- */
struct svm_check_in {
    const u64 *features;
    u64 hcr0, hcr4, hefer; /* host's */
    u64 efer_legal, cr4_legal;
    unsigned maxphys;
    u32 sev_asids;              /* those of SEV guests are 1 to this */
    const struct cpu_state *st; /* registers that VMRUN leaves alone: SYSCFG, HWCR, U_CET */
    bool pdpte_bad; /* legacy PAE guest without nested paging: reserved bits in a present PDPTE */
};
struct svm_check_row {
    const char *id, *field, *text, *section;
    u16 offset; /* of the field */
    u8 width;
};
/* int_ctl bits that ask for RARE rows; see check.c */
#define SVM_RARE_INT_CTL (INT_CTL_V_NMI_ENABLE | INT_CTL_X2AVIC | INT_CTL_AVIC)
bool svm_check_rare(const union vmcb *v);
extern const struct svm_check_row svm_checks[];
extern const unsigned svm_check_count;
u64 svm_check(const union vmcb *v, const struct svm_check_in *in);          /* bit n set: svm_checks[n] is violated */
u64 svm_check_host(const union vmcb *hsave, const struct svm_check_in *in); /* the subset #VMEXIT applies to the host */
u64 svm_check_now(struct vcpu *c, const union vmcb *v); /* what VMRUN by c's host would find; nothing changes */
void svm_explain(struct vcpu *c, const union vmcb *v, u64 violated,
                 bool host); /* a diagnostic for each violated check, vmrun.check.ID or vmexit.host.ID; kept in svm_cpu.failed */

/* ---- explain.c ---- */
const char *svm_exit_name(u64 code); /* "HLT", "NPF", "INVALID"...; NULL: unknown */
const char *svm_exit_text(u64 code); /* what happened, as exitcode.def says it; NULL: unknown */
size_t svm_exit_sentence(const struct svm_record *r, char *buf, size_t size); /* sentence.c; length as snprintf */
size_t svm_record_text(const struct svm_record *r, char *buf,
                       size_t size); /* one line without newline; length as snprintf */
unsigned svm_stat_index(u64 code);
u64 svm_stat_code(unsigned index); /* the inverse; ~0 for the rest slot */

#endif
