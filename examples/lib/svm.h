// SPDX-License-Identifier: MIT
/* What a hypervisor needs of SVM: the VMCB's layout [APM2 appendix B] and a minimal world switch. */
#ifndef GUEST_SVM_H
#define GUEST_SVM_H

#include "guest.h"

struct vmcb_seg {
    u16 selector, attrib; /* attrib: descriptor bits 40-47 in 0-7, 52-55 in 8-11 */
    u32 limit;
    u64 base;
} __attribute__((packed));

struct vmcb {
    /* Control area. */
    u32 intercept_cr;        /* 000h reads in 15:0, writes in 31:16 */
    u32 intercept_dr;        /* 004h */
    u32 intercept_exceptions; /* 008h */
    u32 intercept_misc1;     /* 00Ch: enum intercept1 */
    u32 intercept_misc2;     /* 010h: enum intercept2 */
    u32 intercept_misc3;     /* 014h */
    u8 reserved_018[0x28];
    u64 iopm_base_pa, msrpm_base_pa; /* 040h, 048h */
    u64 tsc_offset;          /* 050h */
    u32 guest_asid;          /* 058h */
    u8 tlb_control;          /* 05Ch */
    u8 reserved_05d[3];
    u64 vintr;               /* 060h: V_TPR, V_IRQ (8), priority 19:16, V_INTR_MASKING (24), vector 39:32 */
    u64 interrupt_shadow;    /* 068h */
    u64 exit_code, exit_info1, exit_info2, exit_int_info; /* 070h.. */
    u64 nested_ctl;          /* 090h: bit 0 NP_ENABLE */
    u64 avic_apic_bar, reserved_0a0; /* 098h: guest-physical */
    u64 event_inj;           /* 0A8h */
    u64 nested_cr3;          /* 0B0h */
    u64 lbr_ctl;             /* 0B8h */
    u32 clean, reserved_0c4; /* 0C0h */
    u64 next_rip;            /* 0C8h */
    u8 reserved_0d0[0x10];
    u64 avic_backing_page, reserved_0e8; /* 0E0h */
    u64 avic_logical_table;  /* 0F0h */
    u64 avic_physical_table; /* 0F8h: the largest index in 11:0 */
    u8 reserved_100[0x300];
    /* State save area, 400h. */
    struct vmcb_seg es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
    u8 reserved_4a0[0x2b];
    u8 cpl;                  /* 4CBh */
    u32 reserved_4cc;
    u64 efer;                /* 4D0h */
    u8 reserved_4d8[0x70];
    u64 cr4, cr3, cr0, dr7, dr6, rflags, rip; /* 548h.. */
    u8 reserved_580[0x58];
    u64 rsp;                 /* 5D8h */
    u8 reserved_5e0[0x18];
    u64 rax;                 /* 5F8h */
    u64 star, lstar, cstar, sfmask, kernel_gs_base, sysenter_cs, sysenter_esp, sysenter_eip, cr2; /* 600h.. */
    u8 reserved_648[0x20];
    u64 g_pat;               /* 668h */
    u8 reserved_670[0x990];
} __attribute__((packed));

_Static_assert(offsetof(struct vmcb, exit_code) == 0x70, "control area");
_Static_assert(offsetof(struct vmcb, avic_physical_table) == 0xf8, "control area");
_Static_assert(offsetof(struct vmcb, es) == 0x400, "save area");
_Static_assert(offsetof(struct vmcb, efer) == 0x4d0, "save area");
_Static_assert(offsetof(struct vmcb, cr4) == 0x548, "save area");
_Static_assert(offsetof(struct vmcb, rax) == 0x5f8, "save area");
_Static_assert(offsetof(struct vmcb, g_pat) == 0x668, "save area");
_Static_assert(sizeof(struct vmcb) == 4096, "one page");

enum intercept1 {
    INTERCEPT_INTR = 1u << 0, INTERCEPT_NMI = 1u << 1, INTERCEPT_VINTR = 1u << 4, INTERCEPT_CPUID = 1u << 18,
    INTERCEPT_HLT = 1u << 24, INTERCEPT_INVLPG = 1u << 25, INTERCEPT_IOIO = 1u << 27, INTERCEPT_MSR = 1u << 28,
    INTERCEPT_SHUTDOWN = 1u << 31,
};
enum intercept2 { INTERCEPT_VMRUN = 1u << 0, INTERCEPT_VMMCALL = 1u << 1 };
enum exit_code {
    EXIT_CR0_READ = 0x00, EXIT_CR3_READ = 0x03, EXIT_CR0_WRITE = 0x10, EXIT_CR3_WRITE = 0x13, EXIT_EXCP0 = 0x40,
    EXIT_EXCP_UD = 0x46, EXIT_EXCP_PF = 0x4e, EXIT_INTR = 0x60, EXIT_VINTR = 0x64, EXIT_CPUID = 0x72, EXIT_HLT = 0x78,
    EXIT_INVLPG = 0x79, EXIT_IOIO = 0x7b, EXIT_MSR = 0x7c, EXIT_SHUTDOWN = 0x7f, EXIT_VMMCALL = 0x81, EXIT_NPF = 0x400,
};
/* Event injection [APM2 15.20]. */
enum { EVENT_INTR = 0 << 8, EVENT_NMI = 2 << 8, EVENT_EXCEPTION = 3 << 8, EVENT_ERROR_CODE = 1 << 11 };
#define EVENT_VALID 0x80000000u

enum { NESTED_PAGING = 1, V_IRQ = 1 << 8, V_INTR_MASKING = 1 << 24 };

/* The guest's registers that the VMCB does not hold. */
struct guest_regs {
    uintptr_t rbx, rcx, rdx, rsi, rdi, rbp;
};

/* Turns SVM on (EFER.SVME, host save area); ends the run if the CPU has none. */
void svm_enable(void);
/* Gives the guest the host's own world: segments, control registers, EFER; stack and RIP to be set by the caller. */
void vmcb_init(struct vmcb *vmcb);
/* Flat segment of 0 to 4 GiB; attrib of code: 0xa9b for 64 bits, 0xc9b for 32; of data 0xc93. */
struct vmcb_seg vmcb_flat(u16 selector, u16 attrib);
/* VMRUN until the next #VMEXIT, with GIF clear around the switch and set again on return. */
void svm_run(struct vmcb *vmcb, struct guest_regs *regs);
/* Name of an exit code for messages. */
const char *svm_exit_name(u64 code);
/* "#VMEXIT VMMCALL (code 81)" */
void print_exit(const struct vmcb *vmcb);

#endif
