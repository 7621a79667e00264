// SPDX-License-Identifier: MIT
/* Local APICs and the bus between them [APM2 16]. A local APIC never sees a CPU: what it wants of one goes through
 * struct apic_out. All times are virtual. */
#ifndef SVMEMU_APIC_LAPIC_H
#define SVMEMU_APIC_LAPIC_H

#include "bus/bus.h"
#include "bus/clock.h"

#define APIC_BASE_BSP (1ull << 8)
#define APIC_BASE_EXTD (1ull << 10)
#define APIC_BASE_EN (1ull << 11)
#define APIC_DEFAULT_SPA 0xFEE00000ull
#define APIC_MSI_SPA 0xFEE00000ull /* 1 MiB: where a write by a device is an interrupt message */

enum apic_mode { APIC_FIXED, APIC_LOWEST, APIC_SMI, APIC_REMOTE_READ, APIC_NMI, APIC_INIT, APIC_SIPI, APIC_EXTINT };
enum apic_lvt { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_COUNT };
#define APIC_EILVT_COUNT 4

/* What local APICs ask of the machine. Every member may be NULL. */
struct apic_out {
    void *ctx;
    void (*set_intr)(void *ctx, int cpu, bool level); /* only on change */
    void (*nmi)(void *ctx, int cpu);
    void (*smi)(void *ctx, int cpu);
    void (*init)(void *ctx, int cpu);                 /* lapic_init_reset() is for when the CPU takes it */
    void (*sipi)(void *ctx, int cpu, u8 vector);      /* the CPU ignores it unless it waits for one */
    int (*pic_ack)(void *ctx);                        /* vector of the 8259 behind LINT0 */
    void (*eoi)(void *ctx, u8 vector);                /* EOI of a level-triggered vector: I/O APICs look at it */
    void (*base_changed)(void *ctx, int cpu);         /* lapic_mmio_page() has a new value */
};

struct lapic_cfg {
    u32 id;             /* initial APIC id */
    bool bsp;
    bool x2apic;        /* offered by CPUID: EXTD may be set */
    bool tsc_deadline;  /* offered by CPUID */
    bool ext_space;     /* AMD's extended register space 400h-53Fh */
    unsigned maxphys;   /* physical address bits, for APIC_BASE */
    u64 timer_hz;       /* rate of the timer before its divider; 0: 100 MHz */
};

struct lapic_state {
    u64 base;                 /* MSR 1Bh */
    u32 id;                   /* xAPIC id in bits 31:24 of register 20h is id & FFh */
    u8 tpr;
    u32 ldr, dfr, svr, esr, esr_pending;
    u32 isr[8], tmr[8], irr[8], ier[8];
    u32 icr_lo, icr_hi;
    u32 lvt[LVT_COUNT], eilvt[APIC_EILVT_COUNT];
    u32 dcr, initial, remote_read, ext_ctl;
    u64 timer_start;          /* ticks at which the count was loaded */
    u64 timer_fired;          /* periods already delivered */
    u64 deadline;             /* TSC deadline, 0: none */
    u64 tsc_offset;           /* guest TSC = clock TSC + this; kept current by lapic_set_tsc_offset() */
    bool lint[2];             /* pin levels */
    bool extint;              /* an ExtINT message came: the next acknowledge goes to the 8259 */
    bool intr;                /* what set_intr was last told */
};

struct apic_bus;
struct lapic {
    struct lapic_state s;
    struct lapic_cfg cfg;
    struct clock *clock;
    struct apic_bus *bus;
    struct clock_event timer;
    int cpu;                  /* index of the vCPU */
};

struct apic_bus {
    struct lapic **cpus;      /* owned array of borrowed pointers */
    int count;
    struct apic_out out;
};

bool apic_bus_init(struct apic_bus *b, int cpus, const struct apic_out *out); /* false: out of memory */
void apic_bus_fini(struct apic_bus *b);

/* Registers l as vCPU `cpu` of the bus and resets it. */
void lapic_init(struct lapic *l, struct apic_bus *b, int cpu, struct clock *c, const struct lapic_cfg *cfg);
void lapic_reset(struct lapic *l);      /* power-on or RESET# */
void lapic_init_reset(struct lapic *l); /* INIT: keeps APIC_BASE and the id [APM2 14.1.3] */
/* What a PC's firmware leaves: APIC software-enabled, LINT0 ExtINT (BSP only), LINT1 NMI. */
void lapic_virtual_wire(struct lapic *l);

/* CPU side. */
static inline bool lapic_has_intr(const struct lapic *l) { return l->s.intr; }
int lapic_pending(const struct lapic *l);        /* own deliverable vector (above PPR), or -1 */
int lapic_ack(struct lapic *l);                  /* take the interrupt: own vector, the PIC's, or the spurious one */
u8 lapic_get_tpr(const struct lapic *l);
void lapic_set_tpr(struct lapic *l, u8 tpr);     /* CR8 is tpr >> 4 */
u8 lapic_ppr(const struct lapic *l);
void lapic_set_tsc_offset(struct lapic *l, u64 offset);

/* MSRs 1Bh, 6E0h, 800h-8FFh. Reads: 1 done, 0 not mine, -1 #GP; writes the same. */
bool lapic_owns_msr(u32 msr);
int lapic_msr_read(struct lapic *l, u32 msr, u64 *v);
int lapic_msr_write(struct lapic *l, u32 msr, u64 v);
bool lapic_set_base(struct lapic *l, u64 v);     /* false: #GP */
u64 lapic_mmio_page(const struct lapic *l);      /* spa of the register page, ~0 when it is not mapped */

/* The register page; ctx is the struct lapic. Page offsets 0-FFFh. */
extern const struct mmio_ops lapic_mmio_ops;
u32 lapic_reg_read(struct lapic *l, unsigned off);            /* off a multiple of 16 */
void lapic_reg_write(struct lapic *l, unsigned off, u32 v);

/* Pins and messages. */
void lapic_set_lint(struct lapic *l, unsigned pin, bool level);
void apic_bus_set_intr(struct apic_bus *b, bool level);       /* the 8259's INT: LINT0 of every local APIC */
void apic_bus_nmi(struct apic_bus *b);                        /* NMI pin: a pulse on LINT1 of every local APIC */
void lapic_local_event(struct lapic *l, enum apic_lvt which); /* performance counter, thermal */
bool lapic_extended_event(struct lapic *l, unsigned n);       /* by entry n of the extended LVT; false: there is no such entry */
/* A message from an I/O APIC, MSI or IPI. dest: 8-bit ids (FFh broadcast) unless wide. Returns how many accepted. */
int apic_bus_deliver(struct apic_bus *b, u32 dest, bool logical, bool wide, enum apic_mode mode, u8 vector, bool level_triggered);
/* A write of `data` by a device to APIC_MSI_SPA and up; 0: nobody took it. */
int apic_bus_msi(struct apic_bus *b, u64 spa, u32 data);

#endif
