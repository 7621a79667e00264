// SPDX-License-Identifier: MIT
/* Formatting of diagnostic records; delivery is the sink's business. */
#include "base/diag.h"

#include <stdarg.h>
#include <stdio.h>

void diag_emit(struct diag *d, enum diag_severity sev, const char *id, int vcpu, u64 rip, u64 insns,
               const char *section, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    if (!d || !d->sink)
        return;
    va_start(ap, fmt);
    if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
        text[0] = 0;
    va_end(ap);
    struct diag_record r = {
        .id = id, .severity = sev, .vcpu = vcpu, .rip = rip, .insns = insns, .section = section, .text = text,
    };
    d->sink(d->ctx, &r);
}
