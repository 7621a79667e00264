// SPDX-License-Identifier: MIT
/* Recording of events: what an instruction body leaves behind when it returns false. */
#include "cpu/vcpu.h"
#include <stdio.h>

static bool record(struct vcpu *c, struct event ev)
{
    c->ev = ev;
    return false;
}

bool cpu_raise(struct vcpu *c, u8 vec)
{
    return record(c, (struct event){.kind = EV_FAULT, .vec = vec});
}

bool cpu_raise_err(struct vcpu *c, u8 vec, u32 err)
{
    return record(c, (struct event){.kind = EV_FAULT, .vec = vec, .has_err = true, .err = err});
}

bool cpu_raise_pf(struct vcpu *c, const struct mmu_fault *f)
{
    if (UNLIKELY(f->kind == MMU_PML)) {
        cpu_exit_event(c, VMEXIT_PML_FULL, 0, 0);
        return false;
    }
    if (f->kind == MMU_NPF) {
        cpu_exit_event(c, VMEXIT_NPF, f->err, f->addr);
        /* Instruction bytes come with data accesses only [APM2 15.8.4]; bit 4 is a code read. */
        c->vx.bytes_valid = !(f->err & 0x10);
        return false;
    }
    return record(c, (struct event){.kind = EV_FAULT, .vec = EXC_PF, .has_err = true, .err = (u32)f->err, .cr2 = f->addr});
}

bool cpu_raise_db_fault(struct vcpu *c, u64 dr6)
{
    return record(c, (struct event){.kind = EV_FAULT, .vec = EXC_DB, .dr6 = dr6});
}

bool cpu_raise_trap(struct vcpu *c, u8 vec)
{
    return record(c, (struct event){.kind = EV_TRAP, .vec = vec, .soft_priv = vec == EXC_DB});
}

bool cpu_raise_soft(struct vcpu *c, u8 vec)
{
    return record(c, (struct event){.kind = EV_SOFT, .vec = vec});
}

bool cpu_stop(struct vcpu *c, unsigned reason)
{
    return record(c, (struct event){.kind = EV_STOP, .err = reason});
}

bool cpu_exit(struct vcpu *c, u64 code, u64 info1, u64 info2)
{
    c->vx = (struct vmexit){.code = code, .info1 = info1, .info2 = info2, .nrip_valid = true};
    return record(c, (struct event){.kind = EV_VMEXIT});
}

bool cpu_exit_event(struct vcpu *c, u64 code, u64 info1, u64 info2)
{
    c->vx = (struct vmexit){.code = code, .info1 = info1, .info2 = info2};
    return record(c, (struct event){.kind = EV_VMEXIT});
}

const char *cpu_exc_name(unsigned vec, char *other, size_t size)
{
    static const char *const names[32] = {
        [EXC_DE] = "#DE", [EXC_DB] = "#DB", [EXC_NMI] = "NMI", [EXC_BP] = "#BP", [EXC_OF] = "#OF", [EXC_BR] = "#BR", [EXC_UD] = "#UD",
        [EXC_NM] = "#NM", [EXC_DF] = "#DF", [EXC_TS] = "#TS", [EXC_NP] = "#NP", [EXC_SS] = "#SS",  [EXC_GP] = "#GP", [EXC_PF] = "#PF",
        [EXC_MF] = "#MF", [EXC_AC] = "#AC", [EXC_MC] = "#MC", [EXC_XF] = "#XF", [EXC_CP] = "#CP",  [EXC_HV] = "#HV", [EXC_VC] = "#VC",
        [EXC_SX] = "#SX",
    };
    if (vec < 32 && names[vec])
        return names[vec];
    snprintf(other, size, "exception %u", vec);
    return other;
}
