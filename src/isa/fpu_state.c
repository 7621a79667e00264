// SPDX-License-Identifier: MIT
/* State management of x87, MMX and SSE: what kernels use without computing. [APM1 6, APM2 11, APM3/4/5] */
#include "cpu/internal.h"
#include "isa/isa.h"

enum { FSW_IE = 1, FSW_SF = 1 << 6, FSW_ES = 1 << 7, FSW_C1 = 1 << 9, FSW_TOP = 7 << 11, FSW_B = 1 << 15 };
enum { XSTATE_X87 = 1, XSTATE_SSE = 2, XSAVE_LEGACY = 512, XSAVE_HEADER = 64, MXCSR_INIT = 0x1F80 };

static unsigned top(const struct fpu_state *f)
{
    return f->fsw >> 11 & 7;
}

/* Exceptions that are pending and not masked make ES and B. */
static void update_es(struct fpu_state *f)
{
    bool es = f->fsw & ~f->fcw & 0x3F;
    f->fsw = (u16)((f->fsw & ~(FSW_ES | FSW_B)) | (es ? FSW_ES | FSW_B : 0));
}

static bool x87_usable(struct vcpu *c)
{
    return !(c->st.cr0 & (CR0_EM | CR0_TS)) || cpu_raise(c, EXC_NM);
}

/* Waiting instructions report a pending error first; with CR0.NE clear it is the interrupt controller's business. */
static bool x87_wait(struct vcpu *c)
{
    if ((c->st.fpu.fsw & FSW_ES) && (c->st.cr0 & CR0_NE))
        return cpu_raise(c, EXC_MF);
    return true;
}

static bool sse_usable(struct vcpu *c)
{
    if ((c->st.cr0 & CR0_EM) || !(c->st.cr4 & CR4_OSFXSR))
        return cpu_raise(c, EXC_UD);
    return !(c->st.cr0 & CR0_TS) || cpu_raise(c, EXC_NM);
}

static void fpu_init(struct fpu_state *f)
{
    f->fcw = 0x37F;
    f->fsw = 0;
    f->ftw = 0;
    f->fop = 0;
    f->fip = f->fdp = 0;
    f->fcs = f->fds = 0;
}

INSN(ONE, DB, _, =E3, fninit, _, FPU, _, _, fpu, gen)
SYS(fninit)
{
    (void)in;
    if (!x87_usable(c))
        return false;
    fpu_init(&c->st.fpu);
    return true;
}

INSN(ONE, DB, _, =E2, fnclex, _, FPU, _, _, fpu, gen)
SYS(fnclex)
{
    (void)in;
    if (!x87_usable(c))
        return false;
    c->st.fpu.fsw &= 0x7F00;
    return true;
}

INSN(ONE, D9, _, /7m, fnstcw, Mw, FPU, _, _, fpu, gen)
SYS(fnstcw) { return x87_usable(c) && op_write(c, in, 0, c->st.fpu.fcw); }

INSN(ONE, DD, _, /7m, fnstsw, Mw, FPU, _, _, fpu, gen)
SYS(fnstsw) { return x87_usable(c) && op_write(c, in, 0, c->st.fpu.fsw); }

INSN(ONE, DF, _, =E0, fnstsw_ax, AX, FPU, _, _, fpu, gen)
SYS(fnstsw_ax)
{
    (void)in;
    if (!x87_usable(c))
        return false;
    gpr_set(c, RAX, 2, c->st.fpu.fsw);
    return true;
}

INSN(ONE, D9, _, /5m, fldcw, Mw, FPU RO, _, _, fpu, gen)
SYS(fldcw)
{
    u64 v;
    if (!x87_usable(c) || !x87_wait(c) || !op_read(c, in, 0, &v))
        return false;
    c->st.fpu.fcw = (u16)((v & 0x1F3F) | 0x40);
    update_es(&c->st.fpu);
    return true;
}

INSN(ONE, DD, _, /0r, ffree, STi, FPU, _, _, fpu, gen)
SYS(ffree)
{
    if (!x87_usable(c) || !x87_wait(c))
        return false;
    struct fpu_state *f = &c->st.fpu;
    f->ftw &= (u8)~(1u << ((top(f) + (in->modrm & 7)) & 7));
    return true;
}

/* A 32-bit integer in 80-bit form. */
static void int_to_ext(i32 v, u8 out[16])
{
    u64 mant = v < 0 ? (u64)-(i64)v : (u64)v;
    u16 se = v < 0 ? 0x8000 : 0;
    memset(out, 0, 16);
    if (mant) {
        unsigned shift = (unsigned)__builtin_clzll(mant);
        mant <<= shift;
        se |= (u16)(16383 + 63 - shift);
    }
    store_le(out, 8, mant);
    store_le(out + 8, 2, se);
}

/* Kernels use FILD to clear the exception pointers. */
INSN(ONE, DB, _, /0m, fild, Md, FPU RO, _, _, fpu, gen)
SYS(fild)
{
    static const u8 indefinite[16] = {0, 0, 0, 0, 0, 0, 0, 0xC0, 0xFF, 0xFF};
    struct fpu_state *f = &c->st.fpu;
    u64 v;
    if (!x87_usable(c) || !x87_wait(c) || !op_read(c, in, 0, &v))
        return false;
    unsigned t = (top(f) - 1) & 7;
    bool overflow = f->ftw >> t & 1;
    f->fop = (u16)(0x300 | in->modrm);
    f->fip = c->st.rip;
    f->fcs = c->st.seg[SEG_CS].sel;
    f->fdp = op_ea(c, in);
    f->fds = c->st.seg[in->seg].sel;
    f->fsw &= (u16)~FSW_C1;
    if (overflow) {
        f->fsw |= FSW_IE | FSW_SF | FSW_C1;
        update_es(f);
        if (!(f->fcw & FSW_IE))
            return true; /* unmasked: the register stack stays */
    }
    memmove(f->st[1], f->st[0], sizeof f->st - sizeof f->st[0]);
    f->fsw = (u16)((f->fsw & ~FSW_TOP) | t << 11);
    f->ftw |= (u8)(1u << t);
    if (overflow)
        memcpy(f->st[0], indefinite, sizeof indefinite);
    else
        int_to_ext((i32)v, f->st[0]);
    return true;
}

INSN(ONE, 9B, _, _, wait, _, _, _, _, fpu, gen)
SYS(wait)
{
    (void)in;
    if ((c->st.cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS))
        return cpu_raise(c, EXC_NM);
    return x87_wait(c);
}

INSN(0F, 77, NP, _, emms, _, MMX F:MMX, _, _, fpu, gen)
SYS(emms)
{
    (void)in;
    if (c->st.cr0 & CR0_EM)
        return cpu_raise(c, EXC_UD);
    if (c->st.cr0 & CR0_TS)
        return cpu_raise(c, EXC_NM);
    if (!x87_wait(c))
        return false;
    /* All registers empty and TOP 0 (as Zen 5 has it); the image is in stack order, so it turns. */
    struct fpu_state *f = &c->st.fpu, old = *f;
    for (unsigned i = 0; i < 8; i++)
        memcpy(f->st[i], old.st[(i - top(&old)) & 7], sizeof f->st[i]);
    f->ftw = 0;
    f->fsw &= (u16)~FSW_TOP;
    return true;
}

/* ---- MXCSR ---- */

static u32 mxcsr_mask(const struct vcpu *c)
{
    return cpu_has(c, FEAT_MISALIGNSSE) ? 0x2FFFF : 0xFFFF;
}

INSN(0F, AE, NP, /2m, ldmxcsr, Md, F:SSE SSE RO, _, _, vec, gen)
SYS(ldmxcsr)
{
    u64 v;
    if (!sse_usable(c) || !op_read(c, in, 0, &v))
        return false;
    if (v & ~mxcsr_mask(c))
        return cpu_raise_err(c, EXC_GP, 0);
    c->st.fpu.mxcsr = (u32)v;
    return true;
}

INSN(0F, AE, NP, /3m, stmxcsr, Md, F:SSE SSE, _, _, vec, gen)
SYS(stmxcsr) { return sse_usable(c) && op_write(c, in, 0, c->st.fpu.mxcsr); }

/* ---- the 512-byte image ---- */

static unsigned xmm_count(const struct vcpu *c)
{
    return cpu_code64(c) ? 16 : 8;
}

/* x87 part: bytes 0-23 and 32-159. Error pointers are those of a pending exception, else zero (AMD). */
static void image_x87(const struct vcpu *c, u8 *p, bool wide)
{
    const struct fpu_state *f = &c->st.fpu;
    bool pending = f->fsw & FSW_ES;
    store_le(p, 2, f->fcw);
    store_le(p + 2, 2, f->fsw);
    store_le(p + 4, 2, f->ftw);
    store_le(p + 6, 2, pending ? f->fop : 0);
    u64 ip = pending ? f->fip : 0, dp = pending ? f->fdp : 0;
    if (wide) {
        store_le(p + 8, 8, ip);
        store_le(p + 16, 8, dp);
    } else {
        store_le(p + 8, 8, (u32)ip | (u64)(pending ? f->fcs : 0) << 32);
        store_le(p + 16, 8, (u32)dp | (u64)(pending ? f->fds : 0) << 32);
    }
    for (unsigned i = 0; i < 8; i++) {
        memset(p + 32 + 16 * i, 0, 16);
        memcpy(p + 32 + 16 * i, f->st[i], 10);
    }
}

static void image_xmm(const struct vcpu *c, u8 *p)
{
    for (unsigned i = 0; i < xmm_count(c); i++)
        memcpy(p + 160 + 16 * i, c->st.fpu.vec[i], 16);
}

static void image_mxcsr(const struct vcpu *c, u8 *p)
{
    store_le(p + 24, 4, c->st.fpu.mxcsr);
    store_le(p + 28, 4, mxcsr_mask(c));
}

static void restore_x87(struct vcpu *c, const u8 *p, bool wide)
{
    struct fpu_state *f = &c->st.fpu;
    f->fcw = (u16)((load_le(p, 2) & 0x1F3F) | 0x40);
    f->fsw = (u16)load_le(p + 2, 2);
    f->ftw = p[4];
    f->fop = (u16)(load_le(p + 6, 2) & 0x7FF);
    f->fip = load_le(p + 8, wide ? 8 : 4);
    f->fdp = load_le(p + 16, wide ? 8 : 4);
    f->fcs = wide ? 0 : (u16)load_le(p + 12, 2);
    f->fds = wide ? 0 : (u16)load_le(p + 20, 2);
    for (unsigned i = 0; i < 8; i++) {
        memset(f->st[i], 0, 16);
        memcpy(f->st[i], p + 32 + 16 * i, 10);
    }
    update_es(f);
}

static void restore_xmm(struct vcpu *c, const u8 *p)
{
    for (unsigned i = 0; i < xmm_count(c); i++)
        memcpy(c->st.fpu.vec[i], p + 160 + 16 * i, 16);
}

/* FXSAVE and FXRSTOR without the XMM registers: EFER.FFXSR at CPL 0 of 64-bit code. */
static bool fast_fxsr(const struct vcpu *c)
{
    return (c->st.efer & EFER_FFXSR) && c->st.cpl == 0 && cpu_code64(c);
}

static bool aligned(struct vcpu *c, const struct insn *in, unsigned align, u64 *off)
{
    u64 lin;
    *off = op_ea(c, in);
    if (!seg_linear(c, in->seg, *off, 1, ACC_R, &lin))
        return false;
    return !(lin & (align - 1)) || cpu_raise_err(c, EXC_GP, 0);
}

INSN(0F, AE, NP, /0m, fxsave, M, F:FXSR, _, _, xsave, gen)
SYS(fxsave)
{
    u8 p[XSAVE_LEGACY];
    u64 off;
    if (!x87_usable(c) || !aligned(c, in, 16, &off))
        return false;
    unsigned len = fast_fxsr(c) ? 160 : 160 + 16 * xmm_count(c);
    image_x87(c, p, in->pfx & PFX_REXW);
    image_mxcsr(c, p);
    image_xmm(c, p);
    return mem_probe_write(c, in->seg, off, XSAVE_LEGACY) && mem_write_buf(c, in->seg, off, p, len);
}

INSN(0F, AE, NP, /1m, fxrstor, M, F:FXSR, _, _, xsave, gen)
SYS(fxrstor)
{
    u8 p[XSAVE_LEGACY];
    u64 off;
    if (!x87_usable(c) || !aligned(c, in, 16, &off) || !mem_read_buf(c, in->seg, off, p, sizeof p))
        return false;
    u32 mxcsr = (u32)load_le(p + 24, 4);
    if (mxcsr & ~mxcsr_mask(c))
        return cpu_raise_err(c, EXC_GP, 0);
    restore_x87(c, p, in->pfx & PFX_REXW);
    c->st.fpu.mxcsr = mxcsr;
    if (!fast_fxsr(c))
        restore_xmm(c, p);
    return true;
}

/* ---- XSAVE and kin: x87 and SSE are the only components ---- */

static bool xsave_usable(struct vcpu *c, const struct insn *in, u64 *off)
{
    if (!(c->st.cr4 & CR4_OSXSAVE))
        return cpu_raise(c, EXC_UD);
    if (c->st.cr0 & CR0_TS)
        return cpu_raise(c, EXC_NM);
    return aligned(c, in, 64, off);
}

static u64 requested(const struct vcpu *c)
{
    return ((u32)c->st.gpr[RAX] | c->st.gpr[RDX] << 32) & c->st.fpu.xcr0;
}

/* XINUSE: components that differ from their initial state. XSAVE and XSAVEOPT, which write MXCSR by itself, do not count it as SSE;
 * the compacted forms and XGETBV do (so does Zen 5). */
static u64 in_use(const struct vcpu *c, bool with_mxcsr)
{
    const struct fpu_state *f = &c->st.fpu;
    u64 used = 0;
    u8 any = 0;
    if (f->fcw != 0x37F || f->fsw || f->ftw || f->fop || f->fip || f->fdp)
        used |= XSTATE_X87;
    for (unsigned i = 0; i < 8; i++)
        for (unsigned k = 0; k < 10; k++)
            any |= f->st[i][k];
    if (any)
        used |= XSTATE_X87;
    any = with_mxcsr && f->mxcsr != MXCSR_INIT;
    for (unsigned i = 0; i < xmm_count(c); i++)
        for (unsigned k = 0; k < 16; k++)
            any |= f->vec[i][k];
    return any ? used | XSTATE_SSE : used;
}

enum xsave_form { XS_PLAIN, XS_OPT, XS_COMPACT };

static bool xsave(struct vcpu *c, const struct insn *in, enum xsave_form form)
{
    u8 p[XSAVE_LEGACY] = {0}, header[XSAVE_HEADER] = {0};
    u64 off, rfbm = requested(c), old, used = in_use(c, form == XS_COMPACT), write;
    if (!xsave_usable(c, in, &off) || !mem_probe_write(c, in->seg, off, XSAVE_LEGACY + XSAVE_HEADER) ||
        !mem_read(c, in->seg, off + XSAVE_LEGACY, 8, &old))
        return false;
    write = form == XS_PLAIN ? rfbm : rfbm & used;
    bool mxcsr = form == XS_COMPACT ? write & XSTATE_SSE : rfbm & XSTATE_SSE;
    if (form == XS_COMPACT) {
        store_le(header, 8, rfbm & used);
        store_le(header + 8, 8, rfbm | BIT(63));
    } else {
        store_le(header, 8, (old & ~rfbm) | (rfbm & used));
    }
    image_x87(c, p, in->pfx & PFX_REXW);
    image_mxcsr(c, p);
    image_xmm(c, p);
    bool ok = true;
    if (write & XSTATE_X87)
        ok = mem_write_buf(c, in->seg, off, p, 24) && mem_write_buf(c, in->seg, off + 32, p + 32, 128);
    if (ok && mxcsr)
        ok = mem_write_buf(c, in->seg, off + 24, p + 24, 8);
    if (ok && (write & XSTATE_SSE))
        ok = mem_write_buf(c, in->seg, off + 160, p + 160, 16 * xmm_count(c));
    return ok && mem_write_buf(c, in->seg, off + XSAVE_LEGACY, header, form == XS_COMPACT ? XSAVE_HEADER : 8);
}

/* The header's rules; *state is XSTATE_BV. */
static bool header_ok(const struct vcpu *c, const u8 *h, bool compact_allowed, bool *compact, u64 *state)
{
    u64 comp = load_le(h + 8, 8), rest = 0;
    *state = load_le(h, 8);
    *compact = comp >> 63;
    for (unsigned i = 16; i < XSAVE_HEADER; i++)
        rest |= h[i];
    if (!*compact)
        return !comp && !load_le(h + 16, 8) && !(*state & ~c->st.fpu.xcr0);
    comp &= ~BIT(63);
    return compact_allowed && !rest && !(comp & ~c->st.fpu.xcr0) && !(*state & ~comp);
}

static bool xrstor(struct vcpu *c, const struct insn *in, bool supervisor)
{
    u8 p[XSAVE_LEGACY + XSAVE_HEADER];
    u64 off, rfbm = requested(c), state;
    bool compact;
    if (!xsave_usable(c, in, &off) || !mem_read_buf(c, in->seg, off, p, sizeof p))
        return false;
    bool ok = header_ok(c, p + XSAVE_LEGACY, cpu_has(c, FEAT_XSAVEC), &compact, &state) && (compact || !supervisor);
    u32 mxcsr = (u32)load_le(p + 24, 4);
    bool load_mxcsr = compact ? rfbm & state & XSTATE_SSE : rfbm & XSTATE_SSE;
    if (!ok || (load_mxcsr && (mxcsr & ~mxcsr_mask(c))))
        return cpu_raise_err(c, EXC_GP, 0);
    if (rfbm & XSTATE_X87) {
        if (state & XSTATE_X87) {
            restore_x87(c, p, in->pfx & PFX_REXW);
        } else {
            fpu_init(&c->st.fpu);
            memset(c->st.fpu.st, 0, sizeof c->st.fpu.st);
        }
    }
    if (load_mxcsr)
        c->st.fpu.mxcsr = mxcsr;
    else if (rfbm & XSTATE_SSE)
        c->st.fpu.mxcsr = MXCSR_INIT;
    if (rfbm & XSTATE_SSE) {
        if (!(state & XSTATE_SSE))
            memset(p + 160, 0, 256);
        restore_xmm(c, p);
    }
    return true;
}

INSN(0F, AE, NP, /4m, xsave, M, F:XSAVE, _, _, xsave, gen)
SYS(xsave) { return xsave(c, in, XS_PLAIN); }
INSN(0F, AE, NP, /6m, xsaveopt, M, F:XSAVEOPT, _, _, xsave, gen)
SYS(xsaveopt) { return xsave(c, in, XS_OPT); }
INSN(0F, C7, NP, /4m, xsavec, M, F:XSAVEC, _, _, xsave, gen)
SYS(xsavec) { return xsave(c, in, XS_COMPACT); }
INSN(0F, AE, NP, /5m, xrstor, M, F:XSAVE, _, _, xsave, gen)
SYS(xrstor) { return xrstor(c, in, false); }
INSN(0F, C7, NP, /5m, xsaves, M, CPL0 F:XSAVES, _, _, xsave, gen)
SYS(xsaves) { return xsave(c, in, XS_COMPACT); }
INSN(0F, C7, NP, /3m, xrstors, M, CPL0 F:XSAVES, _, _, xsave, gen)
SYS(xrstors) { return xrstor(c, in, true); }

/* ---- XCR0 and XINUSE ---- */

INSN(0F, 01, NP, =D0, xgetbv, _, F:XSAVE, _, _, sys, gen)
SYS(xgetbv)
{
    u32 n = (u32)c->st.gpr[RCX];
    (void)in;
    if (!(c->st.cr4 & CR4_OSXSAVE))
        return cpu_raise(c, EXC_UD);
    if (n > 1 || (n == 1 && !cpu_has(c, FEAT_XGETBV1)))
        return cpu_raise_err(c, EXC_GP, 0);
    u64 v = c->st.fpu.xcr0 & (n ? in_use(c, true) : ~0ull);
    c->st.gpr[RAX] = (u32)v;
    c->st.gpr[RDX] = v >> 32;
    return true;
}

INSN(0F, 01, NP, =D1, xsetbv, _, END F:XSAVE, _, body:XSETBV, sys, gen)
SYS(xsetbv)
{
    u64 v = (u32)c->st.gpr[RAX] | c->st.gpr[RDX] << 32;
    (void)in;
    if (!(c->st.cr4 & CR4_OSXSAVE))
        return cpu_raise(c, EXC_UD);
    if (cpu_icpt(c, ICPT_XSETBV)) /* before its #GP */
        return cpu_exit(c, VMEXIT_XSETBV, 0, 0);
    if (c->st.cpl || (u32)c->st.gpr[RCX] || !(v & 1) || (v & ~xcr0_valid(c)) || ((v & 4) && !(v & 2)))
        return cpu_raise_err(c, EXC_GP, 0);
    c->st.fpu.xcr0 = v;
    cpu_update_mode(c);
    return true;
}
