// SPDX-License-Identifier: MIT
/* What all local APICs share: their list and the wires to their pins. */
#include "apic/lapic.h"

#include <stdlib.h>

bool apic_bus_init(struct apic_bus *b, int cpus, const struct apic_out *out)
{
    b->cpus = calloc(cpus > 0 ? (size_t)cpus : 1, sizeof(*b->cpus));
    b->count = cpus;
    b->out = *out;
    return b->cpus != NULL;
}

void apic_bus_fini(struct apic_bus *b)
{
    free(b->cpus);
    b->cpus = NULL;
    b->count = 0;
}

void apic_bus_set_intr(struct apic_bus *b, bool level)
{
    for (int i = 0; i < b->count; i++)
        if (b->cpus[i])
            lapic_set_lint(b->cpus[i], 0, level);
}

void apic_bus_nmi(struct apic_bus *b)
{
    for (int i = 0; i < b->count; i++) {
        if (!b->cpus[i])
            continue;
        lapic_set_lint(b->cpus[i], 1, true);
        lapic_set_lint(b->cpus[i], 1, false);
    }
}
