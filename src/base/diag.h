// SPDX-License-Identifier: MIT
/* The diagnostics channel: one stream of structured records a machine's user receives. The core never prints. */
#ifndef SVMEMU_BASE_DIAG_H
#define SVMEMU_BASE_DIAG_H

#include "base/types.h"

enum diag_severity { DIAG_INFO, DIAG_WARN, DIAG_ERROR };
struct diag_record {
    const char *id;       /* stable, e.g. "vmrun.check.asid_zero", "cpu.triple_fault", "insn.unimplemented" */
    enum diag_severity severity;
    int vcpu;             /* -1: machine */
    u64 rip, insns;
    const char *section;  /* manual section, "APM2 15.5.1", or NULL */
    const char *text;
};
struct diag {
    void (*sink)(void *ctx, const struct diag_record *r); /* may be NULL */
    void *ctx;
};
/* printf-like; text up to 1 KiB. */
void diag_emit(struct diag *d, enum diag_severity sev, const char *id, int vcpu, u64 rip, u64 insns, const char *section, const char *fmt, ...)
    __attribute__((format(printf, 8, 9)));

#endif
