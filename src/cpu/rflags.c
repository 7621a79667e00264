// SPDX-License-Identifier: MIT
/* RFLAGS as a whole: the lazy arithmetic flags joined with the others. */
#include "cpu/internal.h"

u64 cpu_rflags(const struct vcpu *c)
{
    return (c->st.rflags & FL_ALL & ~(u64)FL_ARITH) | flags_get(&c->fl) | FL_ONE;
}

void cpu_set_rflags(struct vcpu *c, u64 v)
{
    u64 old = c->st.rflags;
    c->st.rflags = (v & FL_ALL) | FL_ONE;
    flags_set(&c->fl, v);
    u64 changed = (old ^ c->st.rflags) & FL_ALL;
    if (changed & FL_VM)
        cpu_update_mode(c);
    else if (changed & FL_AC)
        cpu_update_mmu(c); /* SMAP override and alignment checking are part of the translation context */
    if (changed & FL_TF)
        c->attn |= ATTN_MODE; /* another flavour of block */
    if (changed & (FL_IF | FL_TF | FL_VIF | FL_VIP))
        c->attn |= ATTN_EVENT;
}

void cpu_sync(struct vcpu *c)
{
    c->st.rflags = cpu_rflags(c);
    if (c->fold)
        c->fold(c);
}
