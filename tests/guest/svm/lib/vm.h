// SPDX-License-Identifier: MIT
/* What the SVM test guests share: checks by section, the host's paging modes, and a virtual machine with one instruction to try. */
#ifndef SVM_TESTS_VM_H
#define SVM_TESTS_VM_H

#include "svm.h"
#include "tables.h"

enum { CR0_PE = 1, CR0_ET = 1 << 4, CR0_NE = 1 << 5, CR0_WP = 1 << 16, CR0_CD = 1 << 30 };
#define CR0_PG (1u << 31)
enum { CR4_PSE = 1 << 4, CR4_PAE = 1 << 5, CR4_PGE = 1 << 7, CR4_LA57 = 1 << 12, CR4_SMEP = 1 << 20, CR4_SMAP = 1 << 21 };
enum { EFER_LME = 1 << 8, EFER_LMA = 1 << 10, EFER_NXE = 1 << 11 };
/* Error codes of #PF; a nested page fault adds which of its two kinds it is [APM2 8.4.2, 15.25.6]. */
enum { PF_P = 1, PF_W = 2, PF_U = 4, PF_RSV = 8, PF_ID = 16 };
#define NPF_FINAL (1ull << 32)
#define NPF_WALK (1ull << 33)
enum { TLB_KEEP = 0, TLB_FLUSH_ALL = 1, TLB_FLUSH_ASID = 3, TLB_FLUSH_NONGLOBAL = 7 };
#define EXIT_INVALID (~0ull)

/* Checks between section() and section_end() print a line together, "a b, c d: n checks" (all but a may be NULL); a failed one says
 * what it got. */
void section(const char *a, const char *b, const char *c, const char *d);
void section_end(void);
bool expect(const char *what, u64 got, u64 want);

/* CPUID bits that tests ask for. */
bool cpu_has_la57(void);
enum { FEATURE_NP = 0, FEATURE_SVML = 2, FEATURE_NRIPS = 3, FEATURE_FLUSH_BY_ASID = 6, FEATURE_DECODE_ASSISTS = 7, FEATURE_GMET = 17, FEATURE_ROGPT = 21 };
bool cpu_svm_feature(unsigned bit); /* 8000000Ah.EDX */
unsigned cpu_phys_bits(void);

/* Puts the host into a paging mode with the first 4 GiB mapped one to one; false where this program's word size or the CPU has no such mode. */
bool host_paging(enum format f);

/* Guest-physical addresses of our memory are this much higher, so that an address that was not translated shows. */
#define GPA_OFFSET 0x10000000ull

struct vm {
    struct vmcb *vmcb;
    struct guest_regs regs;
    enum format format;
    struct tables guest, nested; /* nested.format FMT_NONE: nested paging is off and the guest's tables hold our addresses */
    u64 code_va, data_va, data_gpa;
    u8 *code, *data; /* one page each */
    u8 *system, *idt, *stack; /* after vm_events(): descriptors and task-state segment, gates, the stack */
    u64 handlers_va, stack_va, idt_va;
};
/* A guest in protected or long mode, flat, CPL 0, all rights everywhere, the processor's ASID 1. Its tables lie in memory of its own;
 * code and data differ at every level of them, and the data page also in the nested tables. Takes its memory from pages_take(). */
void vm_init(struct vm *vm, enum format guest, enum format nested);

/* Gives the guest descriptor tables, a task-state segment, a stack for each ring, and a handler for each vector that is a VMMCALL. */
void vm_events(struct vm *vm);
/* The vector whose handler's VMMCALL was the last exit; -1: another exit. */
int vm_vector(const struct vm *vm);
/* The n-th word on the guest's stack, of the guest's size. */
u64 vm_stack_word(const struct vm *vm, unsigned n);
/* Ring, with the code and stack segments that belong to it; after vm_events(). */
void vm_ring(struct vm *vm, unsigned cpl);
/* Access byte of a vector's gate. */
u8 *vm_gate(const struct vm *vm, unsigned vector);
/* Copies code to a place in the code page (80h and up are free) and runs it from there with the registers as they are; the exit code. */
u64 vm_run_code(struct vm *vm, unsigned at, const char *bytes, unsigned count);
#define RUN_CODE(vm, bytes) vm_run_code(vm, 0x80, bytes, sizeof(bytes) - 1)

enum access { READ, WRITE, FETCH, ACCESSES };
enum { DATA_OFFSET = 0x128, FETCH_OFFSET = 0x340 };
extern const char *const access_name[ACCESSES];
u64 access_va(const struct vm *vm, enum access a);
u64 access_gpa(const struct vm *vm, enum access a);
/* Where the instruction that makes the access stands. */
u64 access_rip(const struct vm *vm, enum access a);
/* The guest makes one access to its data page and then VMMCALL; the exit code. */
u64 probe(struct vm *vm, enum access a);
/* The same with what must come of it. */
void probe_works(struct vm *vm, const char *what, enum access a);
void probe_npf(struct vm *vm, const char *what, enum access a, u64 info1, u64 gpa);
void probe_pf(struct vm *vm, const char *what, enum access a, u64 error);

#endif
