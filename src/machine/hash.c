// SPDX-License-Identifier: MIT
/* The state hash: a loop over the register table, so that padding and derived state never count. */
#include "machine/machine.h"

#include "cpu/regs.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static void hash_vcpu(XXH3_state_t *h, struct vcpu *c)
{
    cpu_sync(c);
    for (unsigned i = 0; i < cpu_reg_count; i++)
        XXH3_64bits_update(h, cpu_reg_at(&c->st, &cpu_regs[i], 0), (size_t)cpu_regs[i].bytes * cpu_regs[i].count);
    XXH3_64bits_update(h, &c->ticks, sizeof(c->ticks));
    XXH3_64bits_update(h, &c->insns, sizeof(c->insns));
}

uint64_t svmemu_state_hash(const struct svmemu *m)
{
    XXH3_state_t h;
    XXH3_64bits_reset(&h);
    for (unsigned i = 0; i < m->vcpus; i++)
        hash_vcpu(&h, m->cpu[i]);
    for (u32 bpn = 0; bpn < bus_bpn_limit(m->bus); bpn++) {
        const u8 *page = bus_bpn_host(m->bus, bpn);
        if (page)
            XXH3_64bits_update(&h, page, PAGE_SIZE);
    }
    return XXH3_64bits_digest(&h);
}
