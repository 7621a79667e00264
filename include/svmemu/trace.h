// SPDX-License-Identifier: MIT
/** @file
 * Watching a machine instruction by instruction: what comes next, which interrupts, exceptions and #VMEXITs lie between, and the text of an
 * instruction.
 *
 * Hooks are called on the machine's thread, while it runs. They may read registers, memory and VMCBs, set hooks, and ask the machine to stop
 * (svmemu_request_stop()); they may not write registers or run it. Structures and strings they get live until they return. */
#ifndef SVMEMU_TRACE_H
#define SVMEMU_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <svmemu/status.h>

#ifdef __cplusplus
extern "C" {
#endif

struct svmemu;

/** An instruction that is about to be attempted. */
struct svmemu_attempt {
    int vcpu;
    bool guest;      /**< in guest mode */
    unsigned bits;   /**< of the code segment: 16, 32 or 64 */
    uint64_t rip;
    uint64_t linear; /**< address of the code; no page need be there */
    uint64_t insns;  /**< that this vCPU has attempted before. A REP that is left for an interrupt or at the end of its vCPU's turn does not
                      * count until it is done, and is told of again when it goes on */
};
/** Calls f before each attempt at an instruction, of every vCPU; NULL: none. As long as there is such a hook instructions run one by one, some
 * twenty times as slowly, with the same results and the same cycles. */
SVMEMU_API void svmemu_hook_insn(struct svmemu *m, void (*f)(void *ctx, const struct svmemu_attempt *a), void *ctx);

/** What happens to a vCPU between two instructions, or in the place of one. */
enum svmemu_event_kind {
    SVMEMU_EVENT_INTERRUPT, /**< external or virtual: vector */
    SVMEMU_EVENT_NMI,       /**< physical or virtual */
    SVMEMU_EVENT_FAULT,     /**< exception that restarts its instruction, or does not return: vector, error, address */
    SVMEMU_EVENT_TRAP,      /**< exception behind its instruction: \#DB, \#BP, \#OF */
    SVMEMU_EVENT_SOFTWARE,  /**< INT n */
    SVMEMU_EVENT_VMEXIT,    /**< code, info1, info2 */
    SVMEMU_EVENT_INIT,
    SVMEMU_EVENT_SIPI,      /**< vector */
    SVMEMU_EVENT_SHUTDOWN,  /**< of the processor; a guest's that is intercepted is a #VMEXIT */
};
/** One event. */
struct svmemu_event {
    enum svmemu_event_kind kind;
    int vcpu;
    bool guest;           /**< in guest mode, before a #VMEXIT too */
    bool injected;        /**< by VMRUN (EVENTINJ) */
    uint8_t vector;
    bool has_error;
    uint32_t error;       /**< error code */
    uint64_t address;     /**< \#PF: what CR2 becomes */
    uint64_t code, info1, info2; /**< EXITCODE, EXITINFO1 and EXITINFO2 */
    uint64_t rip, insns;  /**< of the vCPU, before the event */
    const char *text;     /**< "interrupt 20h", "#PF(2h) at 1000h", "#VMEXIT HLT" */
};
/** Calls f before each event changes the vCPU's registers; NULL: none. If the delivery itself faults, the fault follows. */
SVMEMU_API void svmemu_hook_event(struct svmemu *m, void (*f)(void *ctx, const struct svmemu_event *e), void *ctx);

/** The text of the instruction at the beginning of `code` by svmemu's own tables: prefixes, mnemonic and bytes, such as "clzero [0f 01 fc]".
 * Operands are not shown: for those use a disassembler, which may lack instructions of newer processors.
 * @param m what its processor's profile lacks is no instruction; NULL: all that is known
 * @param bits 16, 32 or 64
 * @param code the bytes, @p size of them
 * @param size 15 are always enough
 * @param len where its length goes; 0: these bytes are no instruction, or too few. May be NULL
 * @param buf where the text goes; may be NULL with @p buf_size 0
 * @param buf_size bytes there
 * @return as snprintf(): the text's length without the zero; the text is empty if *len is 0. Thread-safe with NULL for m. */
SVMEMU_API size_t svmemu_insn_text(const struct svmemu *m, unsigned bits, const void *code, size_t size, unsigned *len, char *buf,
                                   size_t buf_size);

#ifdef __cplusplus
}
#endif
#endif
