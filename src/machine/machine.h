// SPDX-License-Identifier: MIT
/* What a machine is made of; private to src/machine. */
#ifndef SVMEMU_MACHINE_MACHINE_H
#define SVMEMU_MACHINE_MACHINE_H

#include <stdatomic.h>

#include "apic/lapic.h"
#include "apic/ioapic.h"
#include "apic/pic.h"
#include "cpu/cpuid.h"
#include "dev/fwcfg.h"
#include "dev/hpet.h"
#include "dev/i440fx.h"
#include "dev/kbc.h"
#include "dev/pci.h"
#include "dev/piix.h"
#include "dev/pit.h"
#include "dev/pmtimer.h"
#include "dev/rtc.h"
#include "dev/sysport.h"
#include "dev/testdev.h"
#include "dev/uart.h"
#include "exec/exec.h"
#include "machine/symbols.h"
#include "svm/svm.h"
#include <svmemu/svmemu.h>

enum { MACHINE_MAX_VCPUS = EXEC_MAX_VCPUS, XAPIC_MAX_VCPUS = 255 /* id FFh is all of them */ };
#define LOW_RAM_END 0xE0000000ull /* the 3.5 GiB mark: RAM beyond it continues at 4 GiB */
#define HIGH_RAM_BASE 0x100000000ull

#define IOAPIC_ID(m) ((u8)((m)->vcpus & 0xF)) /* the register has four bits */

/* ISA devices, PCI's router to ISA lines, PCI at the I/O APIC, the HPET instead of PIT and RTC and at the I/O APIC, the test device. */
enum line_driver { LINE_ISA, LINE_PIRQ, LINE_PCI, LINE_HPET_LEGACY, LINE_HPET_PIN, LINE_TEST, LINE_DRIVERS };
enum { COM_PORTS = 4 };

struct pc {
    struct pic pic;
    struct ioapic ioapic;
    struct pit pit;
    struct rtc rtc;
    struct uart uart[COM_PORTS]; /* those of pc.com exist */
    u8 com;
    struct svmemu_serial com_end[COM_PORTS]; /* what is connected */
    struct kbc kbc;
    struct pmtimer pm;
    struct sysport sys;
    struct pci_bus pci;
    struct i440fx host;
    struct piix piix;
    struct hpet hpet;
    struct fwcfg fwcfg;
    struct testdev test;
    u32 line[LINE_DRIVERS]; /* levels of the interrupt lines, by who drives them */
    u8 com_levels;    /* bit n: COMn+1 asks for its line */
    bool hpet_legacy; /* the HPET has the lines of PIT and RTC */
};

struct svmemu_pci;
struct user_range { /* ops of a caller's region; the bus keeps pointers to it */
    struct user_range *next;
    struct mmio_ops ops;
};

struct svmemu {
    struct svmemu_config cfg;
    struct bus *bus;
    struct clock clock;
    struct diag diag;
    struct exec *exec;
    struct phys_view view;      /* the machine's own: DMA and API */
    const struct cpu_model *model;
    char broken_acpi[5];        /* signature of the table with a wrong checksum, or "" */
    u64 features[FEAT_WORDS];
    u64 low_ram, high_ram;      /* bytes below 3.5 GiB and above 4 GiB */
    unsigned vcpus;
    struct vcpu **cpu;
    struct lapic *lapic;
    struct apic_bus apics;
    struct machine_cpu_ops ops;
    struct pc *pc;              /* NULL without the PC platform */
    struct user_range *ranges;
    struct svmemu_pci *pci;     /* functions of the caller's own */
    /* Turns: machine state, so that run(a), run(b) equals run(a + b). */
    unsigned turn;              /* vCPU whose turn it is; == vcpus: the round is over */
    u64 round_start, round_end; /* ticks */
    unsigned halted;            /* vCPUs of this round that found nothing to do */
    u64 insns;                  /* of all vCPUs */
    bool leap;                  /* the round goes on to the next event because every vCPU sleeps */
    u64 idle_insns;             /* insns when the last round ended with all vCPUs halted and only pending events left; ~0: it did not */
    bool running;
    bool stop_set;
    struct svmemu_stop stop;    /* what a device asked for while a vCPU ran */
    atomic_bool stop_request;
    void (*on_switch)(void *ctx, const struct svmemu_switch *s);
    void *on_switch_ctx;
    void (*on_insn)(void *ctx, const struct svmemu_attempt *a);
    void *on_insn_ctx;
    void (*on_event)(void *ctx, const struct svmemu_event *e);
    void *on_event_ctx;
    struct symbols *symbols;      /* of the guest's ELF */
    struct symbols *user_symbols; /* svmemu_load_symbols() */
    char last_diag[256];        /* text of the last error record, for the stop's text */
    char error[512];
};

/* Records an error text and returns the status. */
enum svmemu_status machine_no_name(struct svmemu *m, const char *what, const char *name); /* SVMEMU_NAME */
enum svmemu_status machine_fail(struct svmemu *m, enum svmemu_status s, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A device asks for the run to end after the running instruction. The first asker wins. */
void machine_stop(struct svmemu *m, enum svmemu_stop_reason r, u32 value, const char *text);
/* A hook of the caller's has returned: if it asked for the machine to stop, that is after the running instruction. */
void machine_hook_done(struct svmemu *m, struct vcpu *c);
void machine_set_a20(struct svmemu *m, bool on);
/* After a change of a vCPU's registers from outside. */
void machine_cpu_changed(struct vcpu *c);

/* pc.c */
bool pc_create(struct svmemu *m);
void pc_reset(struct svmemu *m);
void pc_destroy(struct svmemu *m);
/* Multiboot guests get the test device by default. */
bool pc_plug_test_device(struct svmemu *m);
/* pc_lines.c; ctx is the struct pc unless it says otherwise */
void pc_line_set(struct pc *p, enum line_driver d, unsigned n, bool level);
void pc_isa_irq(void *ctx, unsigned n, bool level);
void pc_routed_irq(void *ctx, unsigned n, bool level);
void pc_hpet_irq(void *ctx, unsigned n, bool level);
void pc_hpet_pin(void *ctx, unsigned pin, bool level);
void pc_hpet_legacy(void *ctx, bool on);
void pc_test_line(void *ctx, unsigned n, bool level);
void pc_com_irq(void *ctx, unsigned port, bool level);
void pc_pirq(void *ctx, unsigned n, bool level);
struct irq_line pc_pic_output(struct svmemu *m);
int pc_pic_ack(void *m);
void pc_apic_eoi(void *m, u8 vector);
/* pci.c */
void pci_functions_free(struct svmemu *m);
/* api.c: both handlers are there, widths are possible */
enum svmemu_status machine_check_ops(struct svmemu *m, const struct svmemu_mmio *o);
/* serial.c */
bool serial_create(struct svmemu *m);

/* firmware.c: what a PC BIOS leaves in memory and devices [docs: entry states]. */
enum svmemu_status firmware_setup(struct svmemu *m);
/* bios.c: INT 15h and the memory map that it answers with */
void bios_put_memory_service(struct svmemu *m);

#endif
