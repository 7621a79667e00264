// SPDX-License-Identifier: MIT
/* struct cpu_state: everything of a processor that a guest can observe, as plain data without host pointers. Tables (regs.def) describe it
 * for snapshots, printing, diff and the API. */
#ifndef SVMEMU_CPU_STATE_H
#define SVMEMU_CPU_STATE_H

#include "cpu/flags.h"
#include "decoder/insn.h"

/* Segment attributes in the VMCB's form: bits 7:0 = descriptor bits 47:40 (type, S, DPL, P), 11:8 = descriptor bits 55:52 (AVL, L, D/B, G). */
enum {
    ATTR_TYPE = 0xF, ATTR_S = 1 << 4, ATTR_DPL = 3 << 5, ATTR_P = 1 << 7,
    ATTR_AVL = 1 << 8, ATTR_L = 1 << 9, ATTR_DB = 1 << 10, ATTR_G = 1 << 11,
};
struct seg {
    u64 base;
    u32 limit; /* bytes, already scaled */
    u16 sel;
    u16 attr;  /* P = 0: unusable (null) */
};
struct dtr {
    u64 base;
    u16 limit;
};

/* CR0 */
enum { CR0_PE = 1 << 0, CR0_MP = 1 << 1, CR0_EM = 1 << 2, CR0_TS = 1 << 3, CR0_ET = 1 << 4, CR0_NE = 1 << 5, CR0_WP = 1 << 16,
       CR0_AM = 1 << 18, CR0_NW = 1 << 29, CR0_CD = 1 << 30 };
#define CR0_PG (1u << 31)
/* CR4 */
enum { CR4_VME = 1 << 0, CR4_PVI = 1 << 1, CR4_TSD = 1 << 2, CR4_DE = 1 << 3, CR4_PSE = 1 << 4, CR4_PAE = 1 << 5, CR4_MCE = 1 << 6,
       CR4_PGE = 1 << 7, CR4_PCE = 1 << 8, CR4_OSFXSR = 1 << 9, CR4_OSXMMEXCPT = 1 << 10, CR4_UMIP = 1 << 11, CR4_LA57 = 1 << 12,
       CR4_FSGSBASE = 1 << 16, CR4_PCIDE = 1 << 17, CR4_OSXSAVE = 1 << 18, CR4_SMEP = 1 << 20, CR4_SMAP = 1 << 21, CR4_PKE = 1 << 22,
       CR4_CET = 1 << 23 };
/* EFER */
enum { EFER_SCE = 1 << 0, EFER_LME = 1 << 8, EFER_LMA = 1 << 10, EFER_NXE = 1 << 11, EFER_SVME = 1 << 12, EFER_LMSLE = 1 << 13,
       EFER_FFXSR = 1 << 14, EFER_TCE = 1 << 15, EFER_MCOMMIT = 1 << 17, EFER_INTWB = 1 << 18, EFER_UAIE = 1 << 20, EFER_AIBRSE = 1 << 21 };
/* DEBUGCTL */
enum { DEBUGCTL_LBR = 1 << 0, DEBUGCTL_BTF = 1 << 1 };
/* MCG_STATUS */
enum { MCG_RIPV = 1 << 0, MCG_MCIP = 1 << 2 };
/* Exceptions */
enum { EXC_DE = 0, EXC_DB = 1, EXC_NMI = 2, EXC_BP = 3, EXC_OF = 4, EXC_BR = 5, EXC_UD = 6, EXC_NM = 7, EXC_DF = 8, EXC_TS = 10,
       EXC_NP = 11, EXC_SS = 12, EXC_GP = 13, EXC_PF = 14, EXC_MF = 16, EXC_AC = 17, EXC_MC = 18, EXC_XF = 19, EXC_CP = 21, EXC_HV = 28,
       EXC_VC = 29, EXC_SX = 30 };

struct fpu_state {
    u16 fcw, fsw, fop;
    u8 ftw;          /* abridged: bit set = not empty, physical register order as in FXSAVE */
    u64 fip, fdp;
    u16 fcs, fds;
    u8 st[8][16];    /* 80-bit registers in stack order ST0.. as FXSAVE stores them */
    u8 vec[32][64];  /* ZMM-sized; XMM is the low 16 bytes */
    u32 mxcsr;
    u64 xcr0, xss;
};

/* Activity of a vCPU. */
enum { ACT_RUN, ACT_HLT, ACT_MWAIT, ACT_WAIT_SIPI, ACT_SHUTDOWN };

#define MONITOR_LINE 64 /* bytes, as CPUID Fn0000_0005 says */

#define MCE_BANKS 8

struct cpu_state {
    u64 gpr[19];         /* 16 = GPR_TMP, 17 = GPR_ZERO, 18 = GPR_PAGE: exec's scratch, not guest state */
    u64 rip;
    u64 rflags;          /* arithmetic bits valid only after cpu_sync(); see vcpu.fl. Use cpu_rflags()/cpu_set_rflags() */
    struct seg seg[SEG_N];
    struct dtr gdtr, idtr;
    u64 cr0, cr2, cr3, cr4, cr8 /* V_TPR image in guest mode; else lives in the APIC */;
    u64 dr[4], dr6, dr7;
    u64 efer;
    u8 cpl;
    u8 activity;         /* ACT_* */
    bool shadow;         /* interrupt shadow: STI / MOV SS just executed */
    bool shadow_ss;      /* ... by MOV SS / POP SS: debug traps are held too */
    bool nmi_blocked;
    bool gif;
    bool in_smm;
    /* MSRs */
    u64 star, lstar, cstar, sfmask, kernel_gs_base;
    u64 sysenter_cs, sysenter_esp, sysenter_eip;
    u64 pat, tsc_adjust_ticks /* TSC = clock TSC + tsc_offset */, tsc_offset, tsc_aux, apic_base;
    u64 mtrr_def_type, mtrr_fix[11], mtrr_base[8], mtrr_mask[8];
    u64 syscfg, hwcr, top_mem, top_mem2, iorr_base[2], iorr_mask[2];
    u64 vm_cr, vm_hsave_pa, svm_key, tsc_ratio, ignne, smm_ctl, smm_key;
    u64 debugctl, br_from, br_to, last_excp_from, last_excp_to;
    u64 u_cet;           /* only with CETSS, which no profile shows yet */
    u64 spec_ctrl, mperf_base, aperf_base;
    u64 perf_ctl[6], perf_ctr[6];
    u64 mcg_status, mcg_ctl, mce_bank[MCE_BANKS][4];
    u64 cfg_msr[48];     /* MSRs that are stored and read back without an effect here; slots named in msr.def */
    u64 dr_mask[4];      /* breakpoint address masks, MSRs C0011027h, C0011019h-C001101Bh */
    u32 pkru;
    u64 smbase;
    u64 monitor_addr;    /* armed MONITOR address (spa line), ~0 = none */
    bool mwait_masked;   /* ACT_MWAIT also ends on an interrupt that is masked (ECX[0]) */
    u64 rng;             /* RDRAND/RDSEED generator state, seeded by the machine */
    struct fpu_state fpu;
};

#endif
