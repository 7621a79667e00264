// SPDX-License-Identifier: MIT
/** @file
 * Machines: creating, mapping, loading, running, counting.
 *
 * A machine is one handle; machines share nothing, and one thread at a time may use one (svmemu_request_stop() excepted).
 * Callbacks may call anything that does not run, reset or destroy the machine. No pointer may be NULL where nothing else is said. */
#ifndef SVMEMU_MACHINE_H
#define SVMEMU_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <svmemu/status.h>

#ifdef __cplusplus
extern "C" {
#endif

struct svmemu; /**< A machine. */

/** A record of the diagnostics channel. Strings live until the callback returns. */
struct svmemu_diag {
    const char *id;      /**< stable name such as "cpu.triple_fault" */
    int severity;        /**< 0 information, 1 warning, 2 error */
    int vcpu;            /**< -1: the machine */
    uint64_t rip, insns;
    const char *section; /**< manual section or NULL */
    const char *text;
};

/** Flags of svmemu_config. */
enum {
    SVMEMU_PC = 1 << 0,        /**< PC platform: 8259, 8254, RTC, UART, 8042, PCI, HPET, ACPI */
    SVMEMU_EXIT_PORT = 1 << 1, /**< with SVMEMU_PC: port F4h ends the run with a status, as QEMU's isa-debug-exit */
    SVMEMU_FIRMWARE_DEBUG = 1 << 2, /**< with SVMEMU_PC: port 402h prints characters as E9h does; SeaBIOS writes its log there */
    SVMEMU_TEST_DEVICE = 1 << 4, /**< with SVMEMU_PC: exit port, scratch latch E0h-E3h, page flush E4h, interrupt lines at 2000h-2017h and
                               * I/O RAM at FF000000h-FF00FFFFh, as test programs for QEMU expect */
    SVMEMU_TEST_DEVICE_AUTO = 1 << 5, /**< the same from the moment when a Multiboot guest is loaded */
    SVMEMU_NO_SERIAL = 1 << 6, /**< with SVMEMU_PC: no serial port at all */
    SVMEMU_SMBIOS_3 = 1 << 3,  /**< with SVMEMU_PC: a firmware gets the SMBIOS entry point of version 3.0 instead of 2.1 */
};

/** How to build a machine. Zero-initialise, then set what matters; zero means the default. */
struct svmemu_config {
    uint64_t memory;   /**< RAM bytes, a multiple of 4096; default 128 MiB; 0 with no_memory */
    bool no_memory;    /**< no RAM at all: map your own with svmemu_map_ram() */
    unsigned vcpus;    /**< 1 to 512, default 1; more than 255 only on profiles with x2APIC */
    const char *cpu;   /**< profile, default "zen3" */
    unsigned flags;    /**< SVMEMU_PC and others of this enum */
    const char *broken_acpi; /**< signature of an ACPI table to get a wrong checksum: RSDP, RSDT, XSDT, FACP, APIC, HPET, MCFG or
                              * DSDT; NULL: none. Others: SVMEMU_NAME. For tests of what guests do then */
    unsigned serial_ports; /**< bit n: COMn+1 exists; 0: COM1 alone */
    uint64_t seed;     /**< of RDRAND and RDSEED */
    int64_t epoch;     /**< RTC's start, seconds since 1970; default 2024-01-01 */
    void *ctx;         /**< first argument of the callbacks */
    void (*serial)(void *ctx, uint8_t byte); /**< the guest sent a byte through COM1; see svmemu_serial_connect() */
    void (*debug)(void *ctx, uint8_t byte);  /**< ... through port E9h */
    void (*diag)(void *ctx, const struct svmemu_diag *d);
    /* For tests of the library: same results, other paths. */
    bool blocks_off, generic_only, fast_off;
};

/** Creates a machine after RESET. A configuration that is refused is explained to config->diag as "machine.config". */
SVMEMU_API enum svmemu_status svmemu_create(const struct svmemu_config *config, struct svmemu **out);
SVMEMU_API void svmemu_destroy(struct svmemu *m);
/** One line that says more than the status of the last call that failed; "" if none. */
SVMEMU_API const char *svmemu_last_error(const struct svmemu *m);
/** RESET of processors and devices; memory is kept. */
SVMEMU_API void svmemu_reset(struct svmemu *m);

/** Profiles by number from 0; NULL after the last. */
SVMEMU_API const char *svmemu_profile_name(unsigned i);
SVMEMU_API const char *svmemu_profile_text(unsigned i);
/** Calls f for each feature the real part has and svmemu does not show: every bit of CPUID's feature words, by its name or as
 * "CPUID 8000_0008h EBX bit 5" (valid during the call). */
SVMEMU_API void svmemu_profile_missing(unsigned i, void (*f)(void *ctx, const char *name, const char *text), void *ctx);

/** @name Address space. Addresses and sizes of memory and registers are multiples of 4096. A range shadows what was mapped before it,
 * the machine's own memory and devices too, so that a harness can stand in for a device; there is no unmapping. RAM and ROM count to
 * 1 TiB together (SVMEMU_MEMORY beyond). The structures of handlers are copied; data of a ROM too. */
/**@{*/
SVMEMU_API enum svmemu_status svmemu_map_ram(struct svmemu *m, uint64_t address, uint64_t size);
SVMEMU_API enum svmemu_status svmemu_map_rom(struct svmemu *m, uint64_t address, uint64_t size, const void *data, size_t len);
/** A device's registers; width is 1, 2, 4 or 8, offset relative to the region; vcpu -1: an access by the API. */
struct svmemu_mmio {
    uint64_t (*read)(void *ctx, uint64_t offset, unsigned width, int vcpu);
    void (*write)(void *ctx, uint64_t offset, unsigned width, uint64_t value, int vcpu);
    unsigned min_width, max_width; /**< 0: any */
};
SVMEMU_API enum svmemu_status svmemu_map_mmio(struct svmemu *m, uint64_t address, uint64_t size, const struct svmemu_mmio *ops,
                                              void *ctx);
SVMEMU_API enum svmemu_status svmemu_map_ports(struct svmemu *m, uint16_t first, unsigned count, const struct svmemu_mmio *ops,
                                               void *ctx);
/**@}*/

/** @name Loading. Sets registers of vCPU 0 for the kind's entry state; see svmemu(1). */
/**@{*/
/** A module: an initrd, or what a Multiboot loader hands over. */
struct svmemu_module {
    const char *path;
    const char *args; /**< NULL: none */
};
/** How a guest that can be started in several ways is started. */
enum svmemu_entry {
    SVMEMU_ENTRY_AUTO,    /**< the first that fits: for a bzImage PVH, else the boot protocol; for others in the order below */
    SVMEMU_ENTRY_MULTIBOOT,
    SVMEMU_ENTRY_MULTIBOOT2,
    SVMEMU_ENTRY_PVH,
    SVMEMU_ENTRY_LINUX64, /**< boot protocol, 64-bit entry */
    SVMEMU_ENTRY_LINUX32, /**< boot protocol, 32-bit entry */
    SVMEMU_ENTRY_LINUX16, /**< boot protocol, the real-mode setup code */
    SVMEMU_ENTRY_ELF,     /**< the plain ELF entry state */
};
/** An item of the Linux boot protocol's list of setup data. The caller's until the load returns. */
struct svmemu_setup_data {
    uint32_t type; /**< SETUP_xxx of the boot protocol, such as 9 for a seed of the random number generator */
    const void *data;
    size_t len;
};
/** How to load a guest. Zero is the default of everything. */
struct svmemu_load {
    const char *cmdline;                 /**< NULL: none */
    const struct svmemu_module *modules; /**< an initrd is the first; by the Linux boot protocol all of them are one initrd, joined */
    unsigned module_count;               /**< up to 64 */
    enum svmemu_entry entry;
    const struct svmemu_setup_data *setup_data; /**< only by the Linux boot protocol */
    unsigned setup_data_count;
};
/** Linux bzImage, Multiboot 1 and 2, PVH, or plain ELF; any of them compressed by gzip, xz, zstd or LZ4. */
SVMEMU_API enum svmemu_status svmemu_load_file(struct svmemu *m, const char *path, const struct svmemu_load *load);
/** The same from memory; `name` is for messages and command lines. */
SVMEMU_API enum svmemu_status svmemu_load_memory(struct svmemu *m, const char *name, const void *data, size_t len,
                                                 const struct svmemu_load *load);
/** The symbol that holds a linear address, from the guest's ELF or svmemu_load_symbols(); NULL: none. *offset (may be NULL) is the
 * distance from its beginning. The string lives until the next load. */
SVMEMU_API const char *svmemu_symbol(const struct svmemu *m, uint64_t linear, uint64_t *offset);
/** Adds the symbols of an ELF file, such as the unstripped twin of a kernel; kept until the machine is destroyed. They come first. */
SVMEMU_API enum svmemu_status svmemu_load_symbols(struct svmemu *m, const char *path);
/** A firmware image of 64 KiB to 16 MiB, a multiple of 64 KiB (PC only): it stands below 4 GiB, its end below 1 MiB too. The machine
 * is reset and starts at the reset vector; so does every later svmemu_reset(). Only once in a machine's life. */
SVMEMU_API enum svmemu_status svmemu_load_firmware(struct svmemu *m, const char *path);
/** A file for the guest in QEMU's fw_cfg device (PC only). The bytes are copied. A name has 1 to 55 characters; users' names begin
 * with "opt/". A file of the same name is replaced, be it one of the machine's own. At most 64 files. */
SVMEMU_API enum svmemu_status svmemu_fw_cfg_file(struct svmemu *m, const char *name, const void *data, size_t len);
/** A file of zeros, at most 16 MiB, that the guest may write by DMA: a way back from it. QEMU's own of this kind are for kernels too: one
 * that finds etc/vmcoreinfo (28 bytes) leaves there where its crash information is. */
SVMEMU_API enum svmemu_status svmemu_fw_cfg_writable(struct svmemu *m, const char *name, size_t size);
/** Copies at most `size` bytes of a file as it is now; *len (may be NULL) is its whole length. SVMEMU_NAME: there is no such file. */
SVMEMU_API enum svmemu_status svmemu_fw_cfg_read(struct svmemu *m, const char *name, void *buf, size_t size, size_t *len);
/** The same as svmemu_fw_cfg_file() with the contents of a host file. */
SVMEMU_API enum svmemu_status svmemu_fw_cfg_file_from(struct svmemu *m, const char *name, const char *path);
/** A bzImage, its command line and at most one module (the initrd) for a boot ROM that a firmware starts: QEMU's linuxboot_dma.bin,
 * given as fw_cfg file "genroms/linuxboot_dma.bin", say (PC only). */
SVMEMU_API enum svmemu_status svmemu_fw_cfg_kernel(struct svmemu *m, const char *path, const struct svmemu_load *load);
/**@}*/

/** @name Running */
/**@{*/
enum svmemu_stop_reason {
    SVMEMU_STOP_LIMIT_INSNS,
    SVMEMU_STOP_LIMIT_CYCLES,
    SVMEMU_STOP_EXIT,          /**< port F4h; value */
    SVMEMU_STOP_POWER_OFF,
    SVMEMU_STOP_RESET,         /**< the guest asked for a reset: svmemu_reset(), load again, or give up */
    SVMEMU_STOP_SHUTDOWN,      /**< triple fault */
    SVMEMU_STOP_HALTED,        /**< all vCPUs halted and nothing can wake them; running on lets some time pass, no instruction */
    SVMEMU_STOP_UNIMPLEMENTED, /**< instruction not built yet; the diagnostic names its bytes */
    SVMEMU_STOP_REQUEST,       /**< svmemu_request_stop() */
    SVMEMU_STOP_INTERNAL,
};
/** Why a run ended, and where. */
struct svmemu_stop {
    enum svmemu_stop_reason reason;
    int vcpu;          /**< that caused it, or whose turn it was */
    uint32_t value;    /**< written to port F4h */
    uint64_t rip;      /**< of that vCPU */
    uint64_t insns, cycles; /**< machine totals since creation */
    char text[256];    /**< one line for humans */
};
SVMEMU_API const char *svmemu_stop_name(enum svmemu_stop_reason r);

#define SVMEMU_NO_LIMIT UINT64_MAX
/** Runs until a limit on further instructions (exact, over all vCPUs) or cycles, or another stop.
 * run(a) then run(b) is the same as run(a + b), a and b being instructions; a limit of cycles ends with the instruction that reaches it. What counts is an attempt: an instruction that faults or is intercepted counts, one that is
 * not built does not. That the machine is halted for ever is found when its time goes on, not by the call whose last instruction is the HLT. */
SVMEMU_API enum svmemu_status svmemu_run(struct svmemu *m, uint64_t insns, uint64_t cycles, struct svmemu_stop *stop);
/** svmemu_run() of one instruction: an attempt of the vCPU whose turn it is (stop->vcpu), which goes to the next if it sleeps. An interrupt or
 * other event that is due is taken first, so that after the step the first instruction of its handler is done; svmemu/trace.h shows both. */
SVMEMU_API enum svmemu_status svmemu_step(struct svmemu *m, struct svmemu_stop *stop);
/** The vCPU whose turn it is. */
SVMEMU_API unsigned svmemu_turn(const struct svmemu *m);
/** From any thread or signal handler: the running or next svmemu_run() stops soon; asked for by a hook, behind the running instruction. */
SVMEMU_API void svmemu_request_stop(struct svmemu *m);
/**@}*/

/** @name From outside */
/**@{*/
/** Level of a legacy interrupt line 0-15 (PC only). After RESET the local APIC's LINT0 is masked, as on silicon; loading a guest
 * leaves it as firmware does, open for the 8259. Without a load the guest opens it, or turns the local APIC off. */
SVMEMU_API enum svmemu_status svmemu_irq(struct svmemu *m, unsigned line, bool level);
/** An interrupt message, as a PCI function writes it: address FEE00000h to FEEFFFFCh in steps of 4 [PCI 3.0 6.8.1].
 * accepted (may be NULL): how many local APICs took it. SVMEMU_ARGUMENT: no such address. */
SVMEMU_API enum svmemu_status svmemu_msi(struct svmemu *m, uint64_t address, uint32_t data, unsigned *accepted);
/** Buttons of the case; pressing one is an ACPI event that the guest may act on or not. */
enum svmemu_button { SVMEMU_BUTTON_POWER, SVMEMU_BUTTON_SLEEP };
SVMEMU_API enum svmemu_status svmemu_button(struct svmemu *m, enum svmemu_button button);
/** General-purpose event 0 to 15 of ACPI's GPE0 block (PC only): sets its status bit, and with its enable bit the SCI. */
SVMEMU_API enum svmemu_status svmemu_gpe(struct svmemu *m, unsigned event);
/** What a processor's local APIC can be interrupted by from inside. svmemu has no thermal sensor, performance counters or IBS that do so
 * by themselves; hypervisors program the entries all the same. */
enum svmemu_local {
    SVMEMU_LOCAL_THERMAL, SVMEMU_LOCAL_PERFORMANCE,
    SVMEMU_LOCAL_EXTENDED, /**< and the three after it: entries 0 to 3 of AMD's extended LVT (500h-530h), where the profile has it */
};
/** One event of that kind: the entry's vector, NMI or SMI if it is not masked. SVMEMU_ARGUMENT: no such vCPU or entry. */
SVMEMU_API enum svmemu_status svmemu_local_interrupt(struct svmemu *m, unsigned vcpu, unsigned source);
SVMEMU_API enum svmemu_status svmemu_nmi(struct svmemu *m, unsigned vcpu);
/** What a machine check leaves in MCi_STATUS, MCi_ADDR and MCi_MISC of its bank. */
struct svmemu_mce {
    uint64_t status, address, misc;
};
/** Writes the bank's registers and makes #MC pending; MCG_STATUS is set when the vCPU takes it: at the next instruction boundary with GIF
 * set. Without CR4.MCE, or with MCG_STATUS.MCIP still set, that is a shutdown, as on silicon; a guest's intercepts apply.
 * SVMEMU_ARGUMENT: no such vCPU or bank. Not while another thread runs the machine. */
SVMEMU_API enum svmemu_status svmemu_machine_check(struct svmemu *m, unsigned vcpu, unsigned bank, const struct svmemu_mce *error);
/** What is connected to a serial port. Each function may be NULL; all are called while the machine runs, at points of virtual time. */
struct svmemu_serial {
    void *ctx;                              /**< their first argument */
    void (*output)(void *ctx, uint8_t byte); /**< the guest sent a byte */
    void (*set_break)(void *ctx, bool on);  /**< the guest began or ended a break */
    void (*hungry)(void *ctx);              /**< the last byte given so far has reached the receiver: what is given now follows it without
                                             * a gap, so that the guest sees the same in every run */
};
/** Connects port 0 to 3 (COM1 to COM4); the structure is copied. NULL: nothing. Ports are created by config.serial_ports. */
SVMEMU_API enum svmemu_status svmemu_serial_connect(struct svmemu *m, unsigned port, const struct svmemu_serial *end);
/** Input for a port: bytes wait in a queue of 4096 and reach the receiver one character's time apart, as the guest's divisor says, while
 * its FIFO has room. *taken says how many fitted. May be called from the callbacks above. A run is reproducible if this is called
 * at points of virtual time: between calls of svmemu_run() with limits, or from callbacks. */
SVMEMU_API enum svmemu_status svmemu_serial_send(struct svmemu *m, unsigned port, const void *data, size_t len, size_t *taken);
/** A break on the line, in the order of the bytes. SVMEMU_BUSY: the queue is full. */
SVMEMU_API enum svmemu_status svmemu_serial_send_break(struct svmemu *m, unsigned port);
/** svmemu_serial_send() to COM1. */
SVMEMU_API enum svmemu_status svmemu_serial_input(struct svmemu *m, const void *data, size_t len, size_t *taken);
/**@}*/

/** The VGA text page (B8000h) as UTF-8 lines without trailing spaces, in the geometry that the BIOS data area names, else 80 x 25. *len is
 * the length of all of it, without the terminating zero, also where `size` is too small for it. */
SVMEMU_API enum svmemu_status svmemu_screen_text(struct svmemu *m, char *buf, size_t size, size_t *len);

/** Counts since creation, over all vCPUs. Those of the TLB and below depend on the engine too. */
struct svmemu_stats {
    uint64_t insns, cycles, vmruns, vmexits, interrupts, exceptions[32];
    uint64_t tlb_hits, tlb_misses, tlb_flushes, fast_fills;
    uint64_t blocks, block_drops, block_entries, single_steps;
};
SVMEMU_API void svmemu_stats(const struct svmemu *m, struct svmemu_stats *out);
/** XXH3 hash of all registers, local times and RAM: equal runs of any build or engine give equal values. */
SVMEMU_API uint64_t svmemu_state_hash(const struct svmemu *m);
/** Exit statistics: slot i from 0; false after the last. */
SVMEMU_API bool svmemu_exit_stat(const struct svmemu *m, unsigned i, uint64_t *code, const char **name, uint64_t *count);

#ifdef __cplusplus
}
#endif
#endif
