// SPDX-License-Identifier: MIT
/* Control and debug registers, MSRs, CPUID, time, interrupt flag, TLB, protection keys. [APM3 chapter 4; APM2 15.8, 15.9] */
#include "cpu/internal.h"
#include "isa/isa.h"
#include "svm/svm.h"

static bool gp0(struct vcpu *c)
{
    return cpu_raise_err(c, EXC_GP, 0);
}

/* EXITINFO1 of a MOV to or from CRn, DRn with decode assists. */
static u64 mov_info(const struct vcpu *c, unsigned gpr, u64 flag)
{
    return cpu_has(c, FEAT_DECODEASSISTS) ? flag | gpr : 0;
}

/* ---- control registers ---- */

/* LOCK MOV CR0 is CR8: the decoder has already said so. */
static bool cr_number(struct vcpu *c, const struct insn *in, unsigned i, unsigned *n)
{
    *n = in->op[i].reg;
    if (*n != 0 && *n != 2 && *n != 3 && *n != 4 && *n != 8)
        return cpu_raise(c, EXC_UD);
    return c->st.cpl == 0 || gp0(c);
}

INSN(0F, 20, _, MRM, mov_from_cr, Ry Cd, F64, _, body:CR_READ, cr, gen)
SYS(mov_from_cr)
{
    unsigned n, reg = in->op[0].reg;
    u64 v;
    if (!cr_number(c, in, 1, &n))
        return false;
    if (cpu_icpt(c, ICPT_CR_READ(n)))
        return cpu_exit(c, VMEXIT_CR0_READ + n, mov_info(c, reg, BIT(63)), 0);
    switch (n) {
    case 0: v = c->st.cr0; break;
    case 2: v = c->st.cr2; break;
    case 3: v = c->st.cr3; break;
    case 4: v = c->st.cr4; break;
    default: v = cr8_read(c); break;
    }
    gpr_set(c, reg, cpu_code64(c) ? 8 : 4, v);
    return true;
}

INSN(0F, 22, _, MRM, mov_to_cr, Cd Ry, F64 END, _, body:CR_WRITE, cr, gen)
SYS(mov_to_cr)
{
    unsigned n, reg = in->op[1].reg;
    if (!cr_number(c, in, 0, &n))
        return false;
    u64 v = zext(c->st.gpr[reg], cpu_code64(c) ? 8 : 4);
    if (!cr_check(c, n, v))
        return false;
    if (cpu_icpt(c, ICPT_CR_WRITE(n)))
        return cpu_exit(c, VMEXIT_CR0_WRITE + n, mov_info(c, reg, BIT(63)), 0);
    if (n == 0 && cpu_icpt(c, ICPT_CR0_SEL_WRITE) && svm_cr0_selective(c->st.cr0, v))
        return cpu_exit(c, VMEXIT_CR0_SEL_WRITE, mov_info(c, reg, BIT(63)), 0);
    return cr_write(c, n, v);
}

INSN(0F, 01, _, /4, smsw, Ev, UMIP, _, body:CR_READ, cr, gen)
SYS(smsw)
{
    if (cpu_icpt(c, ICPT_CR_READ(0)))
        return cpu_exit(c, VMEXIT_CR0_READ, 0, 0);
    if (in->op[0].kind == OPK_MEM)
        return mem_write(c, in->seg, op_ea(c, in), 2, c->st.cr0);
    gpr_set(c, in->op[0].reg, in->osz, c->st.cr0);
    return true;
}

INSN(0F, 01, _, /6, lmsw, Ew, CPL0 END RO, _, body:CR0_SEL_WRITE, cr, gen)
SYS(lmsw)
{
    u64 v;
    if (cpu_icpt(c, ICPT_CR_WRITE(0)))
        return cpu_exit(c, VMEXIT_CR0_WRITE, 0, 0);
    if (cpu_icpt(c, ICPT_CR0_SEL_WRITE)) /* LMSW: whatever it changes */
        return cpu_exit(c, VMEXIT_CR0_SEL_WRITE, 0, 0);
    if (!op_read(c, in, 0, &v))
        return false;
    /* PE can be set, never cleared. */
    return cr_write(c, 0, (c->st.cr0 & ~0xEull) | (v & 0xF));
}

INSN(0F, 06, _, _, clts, _, CPL0 END, _, body:CR_WRITE, cr, gen)
SYS(clts)
{
    (void)in;
    if (cpu_icpt(c, ICPT_CR_WRITE(0)))
        return cpu_exit(c, VMEXIT_CR0_WRITE, 0, 0);
    c->st.cr0 &= ~(u64)CR0_TS;
    cpu_update_mode(c);
    return true;
}

/* ---- debug registers ---- */

static bool dr_number(struct vcpu *c, const struct insn *in, unsigned i, unsigned *n)
{
    *n = in->op[i].reg;
    if (*n > 7 || ((*n == 4 || *n == 5) && (c->st.cr4 & CR4_DE)))
        return cpu_raise(c, EXC_UD);
    if (c->st.cpl)
        return gp0(c);
    if (c->st.dr7 & BIT(13)) /* DR7.GD */
        return cpu_raise_db_fault(c, BIT(13));
    if (*n == 4 || *n == 5)
        *n += 2;
    return true;
}

INSN(0F, 21, _, MRM, mov_from_dr, Ry Dd, F64, _, body:DR_READ, cr, gen)
SYS(mov_from_dr)
{
    unsigned n, reg = in->op[0].reg;
    if (!dr_number(c, in, 1, &n))
        return false;
    if (cpu_icpt(c, ICPT_DR_READ(n)))
        return cpu_exit(c, VMEXIT_DR0_READ + n, mov_info(c, reg, 0), 0);
    u64 v = n == 6 ? c->st.dr6 : n == 7 ? c->st.dr7 : c->st.dr[n];
    gpr_set(c, reg, cpu_code64(c) ? 8 : 4, v);
    return true;
}

INSN(0F, 23, _, MRM, mov_to_dr, Dd Ry, F64 END, _, body:DR_WRITE, cr, gen)
SYS(mov_to_dr)
{
    unsigned n, reg = in->op[1].reg;
    if (!dr_number(c, in, 0, &n))
        return false;
    u64 v = zext(c->st.gpr[reg], cpu_code64(c) ? 8 : 4);
    if (n >= 6 && v >> 32)
        return gp0(c);
    if (cpu_icpt(c, ICPT_DR_WRITE(n)))
        return cpu_exit(c, VMEXIT_DR0_WRITE + n, mov_info(c, reg, 0), 0);
    switch (n) {
    case 6: c->st.dr6 = (v & 0xE00F) | 0xFFFF0FF0; break;
    case 7: c->st.dr7 = (v & 0xFFFF23FF) | 0x400; break;
    default: c->st.dr[n] = v; break;
    }
    cpu_update_mode(c);
    return true;
}

/* ---- MSRs ---- */

INSN(0F, 32, _, _, rdmsr, _, CPL0 END F:MSR, _, body:MSR_PROT, msr, gen)
SYS(rdmsr)
{
    u32 msr = (u32)c->st.gpr[RCX];
    u64 v;
    (void)in;
    if (cpu_icpt(c, ICPT_MSR_PROT) && svm_msr_intercepted(c, msr, false))
        return cpu_exit(c, VMEXIT_MSR, 0, 0);
    int virtual = UNLIKELY(c->avic != NULL) ? svm_avic_msr_read(c, msr, &v) : 0;
    if (virtual < 0 || (!virtual && !msr_read(c, msr, &v)))
        return false;
    c->st.gpr[RAX] = (u32)v;
    c->st.gpr[RDX] = v >> 32;
    return true;
}

INSN(0F, 30, _, _, wrmsr, _, CPL0 END F:MSR, _, body:MSR_PROT, msr, gen)
SYS(wrmsr)
{
    u32 msr = (u32)c->st.gpr[RCX];
    (void)in;
    if (cpu_icpt(c, ICPT_MSR_PROT) && svm_msr_intercepted(c, msr, true))
        return cpu_exit(c, VMEXIT_MSR, 1, 0);
    u64 v = (u32)c->st.gpr[RAX] | c->st.gpr[RDX] << 32;
    int virtual = UNLIKELY(c->avic != NULL) ? svm_avic_msr_write(c, msr, v) : 0;
    return virtual ? virtual > 0 : msr_write(c, msr, v);
}

/* ---- time and counters ---- */

static void put_tsc(struct vcpu *c)
{
    u64 t = cpu_tsc(c);
    c->st.gpr[RAX] = (u32)t;
    c->st.gpr[RDX] = t >> 32;
}

INSN(0F, 31, _, _, rdtsc, _, TSD F:TSC, _, RDTSC, tsc, gen)
SYS(rdtsc)
{
    (void)in;
    put_tsc(c);
    return true;
}

INSN(0F, 01, _, =F9, rdtscp, _, TSD F:RDTSCP, _, RDTSCP, tsc, gen)
SYS(rdtscp)
{
    (void)in;
    put_tsc(c);
    c->st.gpr[RCX] = (u32)c->st.tsc_aux;
    return true;
}

INSN(0F, 33, _, _, rdpmc, _, _, _, body:RDPMC, sys, gen)
SYS(rdpmc)
{
    u32 n = (u32)c->st.gpr[RCX];
    (void)in;
    if ((c->st.cpl && !(c->st.cr4 & CR4_PCE)) || n >= cpu_perf_counters(c))
        return gp0(c);
    if (cpu_icpt(c, ICPT_RDPMC))
        return cpu_exit(c, VMEXIT_RDPMC, 0, 0);
    c->st.gpr[RAX] = (u32)c->st.perf_ctr[n];
    c->st.gpr[RDX] = c->st.perf_ctr[n] >> 32;
    return true;
}

/* ECX 0: MPERF, 1: APERF; other numbers read zero. */
INSN(0F, 01, _, =FD, rdpru, _, F:RDPRU, w:OSZAPC, body:RDPRU, tsc, gen)
SYS(rdpru)
{
    u32 n = (u32)c->st.gpr[RCX];
    u64 v = 0;
    (void)in;
    if (c->st.cpl && (c->st.cr4 & CR4_TSD))
        return cpu_raise(c, EXC_UD);
    if (cpu_icpt(c, ICPT_RDPRU))
        return cpu_exit(c, VMEXIT_RDPRU, 0, 0);
    if (n < 2 && !msr_read(c, 0xE7 + n, &v))
        return false;
    c->st.gpr[RAX] = (u32)v;
    c->st.gpr[RDX] = v >> 32;
    flags_set(&c->fl, n < 2 ? FL_CF : 0);
    return true;
}

INSN(0F, C7, F3, /7r, rdpid, Ry, F64 F:RDPID, _, _, sys, gen)
SYS(rdpid)
{
    gpr_set(c, in->op[0].reg, 8, (u32)c->st.tsc_aux);
    return true;
}

INSN(0F, A2, _, _, cpuid, _, _, _, CPUID, cpuid, gen)
SYS(cpuid)
{
    u32 w[4];
    (void)in;
    cpuid_query(c, (u32)c->st.gpr[RAX], (u32)c->st.gpr[RCX], w);
    c->st.gpr[RAX] = w[0];
    c->st.gpr[RBX] = w[1];
    c->st.gpr[RCX] = w[2];
    c->st.gpr[RDX] = w[3];
    return true;
}

/* ---- interrupt flag, HLT ---- */

/* What CLI and STI act on: IF, VIF, or #GP. */
static bool if_target(struct vcpu *c, u64 *bit)
{
    *bit = FL_IF;
    if (!cpu_pe(c))
        return true;
    unsigned iopl = cpu_iopl(c);
    if (cpu_vm86(c) ? iopl == 3 : c->st.cpl <= iopl)
        return true;
    *bit = FL_VIF;
    u64 ext = cpu_vm86(c) ? CR4_VME : CR4_PVI;
    return ((c->st.cr4 & ext) && c->st.cpl == 3) || gp0(c);
}

INSN(ONE, FA, _, _, cli, _, END, _, _, flags, gen)
SYS(cli)
{
    u64 bit;
    (void)in;
    if (!if_target(c, &bit))
        return false;
    c->st.rflags &= ~bit;
    c->attn |= ATTN_EVENT;
    return true;
}

INSN(ONE, FB, _, _, sti, _, END, _, _, flags, gen)
SYS(sti)
{
    u64 bit;
    (void)in;
    if (!if_target(c, &bit))
        return false;
    if (bit == FL_VIF && (c->st.rflags & FL_VIP))
        return gp0(c);
    if (bit == FL_IF && !(c->st.rflags & FL_IF))
        c->st.shadow = true;
    c->st.rflags |= bit;
    c->attn |= ATTN_EVENT;
    return true;
}

INSN(ONE, F4, _, _, hlt, _, CPL0 END, _, HLT, halt, gen)
SYS(hlt)
{
    (void)in;
    if (cpu_icpt(c, ICPT_IDLE_HLT) && svm_idle(c))
        return cpu_exit(c, VMEXIT_IDLE_HLT, 0, 0);
    c->st.activity = ACT_HLT;
    c->attn |= ATTN_EVENT;
    return true;
}

static bool put_ac(struct vcpu *c, bool ac)
{
    c->st.rflags = ac ? c->st.rflags | FL_AC : c->st.rflags & ~(u64)FL_AC;
    cpu_update_mode(c);
    return true;
}

INSN(0F, 01, NP, =CA, clac, _, END F:SMAP, _, _, flags, gen)
SYS(clac)
{
    (void)in;
    return c->st.cpl ? cpu_raise(c, EXC_UD) : put_ac(c, false);
}
INSN(0F, 01, NP, =CB, stac, _, END F:SMAP, _, _, flags, gen)
SYS(stac)
{
    (void)in;
    return c->st.cpl ? cpu_raise(c, EXC_UD) : put_ac(c, true);
}

/* ---- TLB ---- */

INSN(0F, 01, _, /7m, invlpg, Mb, CPL0 END, _, body:INVLPG, invlpg, gen)
SYS(invlpg)
{
    u64 off = op_ea(c, in);
    /* An address, not an access: no limit or canonical check. In 64-bit mode only FS and GS have bases. */
    bool based = !cpu_code64(c) || in->seg == SEG_FS || in->seg == SEG_GS;
    u64 lin = (based ? c->st.seg[in->seg].base : 0) + off;
    if (!cpu_code64(c))
        lin = (u32)lin;
    if (cpu_icpt(c, ICPT_INVLPG))
        return cpu_exit(c, VMEXIT_INVLPG, cpu_has(c, FEAT_DECODEASSISTS) ? lin : 0, 0);
    if (cpu_canonical(c, lin))
        mmu_flush_page(&c->mmu, c->mmu.r.asid, (struct gva){lin});
    c->attn |= ATTN_MODE;
    return true;
}

INSN(0F38, 82, 66, MEM, invpcid, Gy Mo, CPL0 F64 END F:INVPCID, _, body:INVPCID, invlpg, gen)
SYS(invpcid)
{
    u64 type = zext(c->st.gpr[in->op[0].reg], cpu_code64(c) ? 8 : 4), off = op_ea(c, in), lin;
    u8 buf[16];
    u32 asid = c->mmu.r.asid;
    if (cpu_icpt(c, ICPT_INVPCID)) {
        lin = c->st.seg[in->seg].base * (!cpu_code64(c) || in->seg >= SEG_FS) + off;
        if (!cpu_code64(c))
            lin = (u32)lin;
        return cpu_exit(c, VMEXIT_INVPCID, lin, type);
    }
    if (type > 3)
        return gp0(c);
    if (!mem_read_buf(c, in->seg, off, buf, sizeof buf))
        return false;
    u64 pcid = load_le(buf, 8), addr = load_le(buf + 8, 8);
    if (pcid >> 12 || (type < 2 && pcid && !(c->st.cr4 & CR4_PCIDE)) || (type == 0 && !cpu_canonical(c, addr)))
        return gp0(c);
    switch (type) {
    case 0: mmu_flush_page_pcid(&c->mmu, asid, (u16)pcid, (struct gva){addr}); break;
    case 1: mmu_flush_pcid(&c->mmu, asid, (u16)pcid); break;
    case 2: mmu_flush_asid(&c->mmu, asid); break;
    default: mmu_flush_asid_nonglobal(&c->mmu, asid); break;
    }
    c->attn |= ATTN_MODE;
    return true;
}

/* ---- protection keys ---- */

static bool pkru_check(struct vcpu *c)
{
    if (!(c->st.cr4 & CR4_PKE))
        return cpu_raise(c, EXC_UD);
    return !(u32)c->st.gpr[RCX] || gp0(c);
}

INSN(0F, 01, NP, =EE, rdpkru, _, F:PKU, _, _, sys, gen)
SYS(rdpkru)
{
    (void)in;
    if (!pkru_check(c))
        return false;
    c->st.gpr[RAX] = c->st.pkru;
    c->st.gpr[RDX] = 0;
    return true;
}

INSN(0F, 01, NP, =EF, wrpkru, _, END F:PKU, _, _, sys, gen)
SYS(wrpkru)
{
    (void)in;
    if (!pkru_check(c))
        return false;
    if ((u32)c->st.gpr[RDX])
        return gp0(c);
    c->st.pkru = (u32)c->st.gpr[RAX];
    cpu_update_mode(c);
    return true;
}
