// SPDX-License-Identifier: MIT
/* Segment registers, descriptor tables and their checks. [APM3 chapter 4] */
#include "cpu/internal.h"
#include "isa/isa.h"

static bool put_shadow(struct vcpu *c, unsigned seg)
{
    if (seg == SEG_SS) {
        c->st.shadow = c->st.shadow_ss = true;
        c->attn |= ATTN_EVENT;
    }
    return true;
}

/* Register destinations take the operand size, memory always 16 bits. */
static bool store16(struct vcpu *c, const struct insn *in, u64 v)
{
    if (in->op[0].kind == OPK_MEM)
        return mem_write(c, in->seg, op_ea(c, in), 2, v);
    gpr_set(c, in->op[0].reg, in->osz, v);
    return true;
}

INSN(ONE, 8C, _, MRM, mov_from_sreg, Ev Sw, _, _, _, mov, gen)
SYS(mov_from_sreg)
{
    if (in->op[1].reg > SEG_GS)
        return cpu_raise(c, EXC_UD);
    return store16(c, in, c->st.seg[in->op[1].reg].sel);
}

INSN(ONE, 8E, _, MRM, mov_to_sreg, Sw Ew, END, _, _, seg, gen)
SYS(mov_to_sreg)
{
    unsigned seg = in->op[0].reg;
    u64 sel;
    if (seg > SEG_GS || seg == SEG_CS)
        return cpu_raise(c, EXC_UD);
    return op_read(c, in, 1, &sel) && seg_load(c, seg, (u16)sel) && put_shadow(c, seg);
}

INSN(ONE, 06, _, _, push_sreg, ES, NO64, _, _, store, gen)
INSN(ONE, 0E, _, _, push_sreg, CS, NO64, _, _, store, gen)
INSN(ONE, 16, _, _, push_sreg, SS, NO64, _, _, store, gen)
INSN(ONE, 1E, _, _, push_sreg, DS, NO64, _, _, store, gen)
INSN(0F, A0, _, _, push_sreg, FS, D64, _, _, store, gen)
INSN(0F, A8, _, _, push_sreg, GS, D64, _, _, store, gen)
SYS(push_sreg)
{
    return stack_push(c, in->osz, c->st.seg[in->op[0].reg].sel);
}

INSN(ONE, 07, _, _, pop_sreg, ES, NO64 END, _, _, seg, gen)
INSN(ONE, 17, _, _, pop_sreg, SS, NO64 END, _, _, seg, gen)
INSN(ONE, 1F, _, _, pop_sreg, DS, NO64 END, _, _, seg, gen)
INSN(0F, A1, _, _, pop_sreg, FS, D64 END, _, _, seg, gen)
INSN(0F, A9, _, _, pop_sreg, GS, D64 END, _, _, seg, gen)
SYS(pop_sreg)
{
    unsigned seg = in->op[0].reg, old_width = cpu_stack_width(c);
    u64 rsp = c->st.gpr[RSP], sel;
    if (!stack_pop_at(c, &rsp, in->osz, &sel) || !seg_load(c, seg, (u16)sel))
        return false;
    gpr_set(c, RSP, old_width, rsp); /* by the size of the stack that was popped */
    return put_shadow(c, seg);
}

/* LES, LDS, LSS, LFS, LGS; the offset has 32 bits at most (AMD). */
static bool load_far(struct vcpu *c, const struct insn *in, unsigned seg)
{
    unsigned w = in->osz > 4 ? 4 : in->osz;
    u8 buf[6];
    if (!mem_read_buf(c, in->seg, op_ea(c, in), buf, w + 2) || !seg_load(c, seg, (u16)load_le(buf + w, 2)))
        return false;
    gpr_set(c, in->op[0].reg, w, load_le(buf, w));
    return true;
}

INSN(ONE, C4, _, MEM, les, Gv Mp, NO64 END, _, _, seg, gen)
SYS(les) { return load_far(c, in, SEG_ES); }
INSN(ONE, C5, _, MEM, lds, Gv Mp, NO64 END, _, _, seg, gen)
SYS(lds) { return load_far(c, in, SEG_DS); }
INSN(0F, B2, _, MEM, lss, Gv Mp, END, _, _, seg, gen)
SYS(lss) { return load_far(c, in, SEG_SS); }
INSN(0F, B4, _, MEM, lfs, Gv Mp, END, _, _, seg, gen)
SYS(lfs) { return load_far(c, in, SEG_FS); }
INSN(0F, B5, _, MEM, lgs, Gv Mp, END, _, _, seg, gen)
SYS(lgs) { return load_far(c, in, SEG_GS); }

/* ---- LAR, LSL, VERR, VERW, ARPL: answers in ZF, no faults but those of memory ---- */

static void set_zf(struct vcpu *c, bool zf)
{
    flags_put(&c->fl, zf ? FL_ZF : 0, FL_ZF);
}

/* A descriptor the caller may look at: *ok; false only for a fault of the table's memory. */
static bool visible(struct vcpu *c, u16 sel, struct desc *d, bool *ok)
{
    u64 lin;
    *ok = false;
    if (sel_null(sel))
        return true;
    if (!desc_read(c, sel, d, &lin, EXC_GP))
        return c->ev.kind == EV_FAULT && c->ev.vec == EXC_GP; /* beyond the table: not visible */
    unsigned worst = (sel & 3u) > c->st.cpl ? sel & 3u : c->st.cpl;
    *ok = (desc_is_code(*d) && desc_conforming(*d)) || worst <= desc_dpl(*d);
    if (!(d->hi & DESC_S) && cpu_long(c) && *ok && (desc_type(*d) == SYS_LDT || (desc_type(*d) | 2) == SYS_TSS_BUSY || desc_type(*d) == SYS_CALL)) {
        struct desc up;
        if (!desc_read_upper(c, sel, lin, &up, EXC_GP)) {
            *ok = false;
            return c->ev.kind == EV_FAULT && c->ev.vec == EXC_GP;
        }
    }
    return true;
}

static bool type_in(struct desc d, u32 types)
{
    return (d.hi & DESC_S) || (types >> desc_type(d) & 1);
}

INSN(0F, 02, _, MRM, lar, Gv Ew, PM, w:Z, _, sys, gen)
SYS(lar)
{
    struct desc d;
    u64 sel;
    bool ok;
    /* 1-5, 9, B, C in legacy mode; LDT, 64-bit TSS and call gate in long mode */
    u32 types = cpu_long(c) ? 0x1A04 : 0x1A3E;
    if (!op_read(c, in, 1, &sel) || !visible(c, (u16)sel, &d, &ok))
        return false;
    c->ev.kind = EV_NONE;
    ok = ok && type_in(d, types);
    if (ok)
        gpr_set(c, in->op[0].reg, in->osz, d.hi & 0x00FFFF00u);
    set_zf(c, ok);
    return true;
}

INSN(0F, 03, _, MRM, lsl, Gv Ew, PM, w:Z, _, sys, gen)
SYS(lsl)
{
    struct desc d;
    struct seg s;
    u64 sel;
    bool ok;
    u32 types = cpu_long(c) ? 0x0A04 : 0x0A0E;
    if (!op_read(c, in, 1, &sel) || !visible(c, (u16)sel, &d, &ok))
        return false;
    c->ev.kind = EV_NONE;
    ok = ok && type_in(d, types);
    if (ok) {
        seg_unpack(&s, (u16)sel, d, 0);
        gpr_set(c, in->op[0].reg, in->osz, s.limit);
    }
    set_zf(c, ok);
    return true;
}

INSN(0F, 00, _, /4, verr, Ew, PM RO, w:Z, _, sys, gen)
SYS(verr)
{
    struct desc d;
    u64 sel;
    bool ok;
    if (!op_read(c, in, 0, &sel) || !visible(c, (u16)sel, &d, &ok))
        return false;
    c->ev.kind = EV_NONE;
    set_zf(c, ok && desc_readable(d));
    return true;
}

INSN(0F, 00, _, /5, verw, Ew, PM RO, w:Z, _, sys, gen)
SYS(verw)
{
    struct desc d;
    u64 sel;
    bool ok;
    if (!op_read(c, in, 0, &sel) || !visible(c, (u16)sel, &d, &ok))
        return false;
    c->ev.kind = EV_NONE;
    set_zf(c, ok && desc_writable(d));
    return true;
}

INSN(ONE, 63, _, MRM, arpl, Ew Gw, NO64 PM, w:Z, _, sys, gen)
SYS(arpl)
{
    u64 dst, src;
    if (!op_read(c, in, 1, &src) || !op_rmw(c, in, 0, &dst))
        return false;
    bool lower = (dst & 3) < (src & 3);
    if (lower && !op_write(c, in, 0, (dst & ~3ull) | (src & 3)))
        return false;
    set_zf(c, lower);
    return true;
}

/* ---- descriptor-table registers: the guard has tested privilege and intercept; memory comes last ---- */

static bool store_dtr(struct vcpu *c, const struct insn *in, const struct dtr *t)
{
    u8 buf[10];
    store_le(buf, 2, t->limit);
    store_le(buf + 2, 8, t->base);
    return mem_write_buf(c, in->seg, op_ea(c, in), buf, cpu_code64(c) ? 10 : 6);
}

static bool load_dtr(struct vcpu *c, const struct insn *in, struct dtr *t)
{
    u8 buf[10] = {0};
    if (!mem_read_buf(c, in->seg, op_ea(c, in), buf, cpu_code64(c) ? 10 : 6))
        return false;
    u64 base = load_le(buf + 2, cpu_code64(c) ? 8 : 4);
    if (cpu_code64(c) && !cpu_canonical(c, base))
        return cpu_raise_err(c, EXC_GP, 0);
    if (!cpu_code64(c) && in->osz == 2)
        base &= 0xFFFFFF; /* the 80286 form */
    *t = (struct dtr){.base = base, .limit = (u16)load_le(buf, 2)};
    return true;
}

INSN(0F, 01, _, /0m, sgdt, Ms, UMIP, _, GDTR_READ, sys, gen)
SYS(sgdt) { return store_dtr(c, in, &c->st.gdtr); }
INSN(0F, 01, _, /1m, sidt, Ms, UMIP, _, IDTR_READ, sys, gen)
SYS(sidt) { return store_dtr(c, in, &c->st.idtr); }
INSN(0F, 01, _, /2m, lgdt, Ms, CPL0 RO, _, GDTR_WRITE, sys, gen)
SYS(lgdt) { return load_dtr(c, in, &c->st.gdtr); }
INSN(0F, 01, _, /3m, lidt, Ms, CPL0 RO, _, IDTR_WRITE, sys, gen)
SYS(lidt) { return load_dtr(c, in, &c->st.idtr); }

INSN(0F, 00, _, /0, sldt, Ev, PM UMIP, _, LDTR_READ, sys, gen)
SYS(sldt) { return store16(c, in, c->st.seg[SEG_LDTR].sel); }
INSN(0F, 00, _, /1, str, Ev, PM UMIP, _, TR_READ, sys, gen)
SYS(str) { return store16(c, in, c->st.seg[SEG_TR].sel); }

/* Reads an LDT or TSS descriptor of the GDT for LLDT and LTR, 16 bytes in long mode. */
static bool system_desc(struct vcpu *c, u16 sel, struct desc *d, struct desc *up, u64 *lin)
{
    *up = (struct desc){0, 0};
    if (sel & 4)
        return cpu_raise_err(c, EXC_GP, sel_err(sel));
    return desc_read(c, sel, d, lin, EXC_GP) && (!cpu_long(c) || desc_read_upper(c, sel, *lin, up, EXC_GP));
}

static bool system_base_ok(struct vcpu *c, u16 sel, const struct seg *s)
{
    return !cpu_long(c) || cpu_canonical(c, s->base) || cpu_raise_err(c, EXC_GP, sel_err(sel));
}

INSN(0F, 00, _, /2, lldt, Ew, PM CPL0 RO, _, LDTR_WRITE, seg, gen)
SYS(lldt)
{
    struct desc d, up;
    struct seg s;
    u64 v, lin;
    if (!op_read(c, in, 0, &v))
        return false;
    u16 sel = (u16)v;
    if (sel_null(sel)) {
        seg_load_null(c, SEG_LDTR, sel);
        return true;
    }
    if (!system_desc(c, sel, &d, &up, &lin))
        return false;
    if ((d.hi & DESC_S) || desc_type(d) != SYS_LDT)
        return cpu_raise_err(c, EXC_GP, sel_err(sel));
    if (!(d.hi & DESC_P))
        return cpu_raise_err(c, EXC_NP, sel_err(sel));
    seg_unpack(&s, sel, d, up.lo);
    if (!system_base_ok(c, sel, &s))
        return false;
    c->st.seg[SEG_LDTR] = s;
    return true;
}

INSN(0F, 00, _, /3, ltr, Ew, PM CPL0 RO, _, TR_WRITE, seg, gen)
SYS(ltr)
{
    struct desc d, up;
    struct seg s;
    u64 v, lin;
    if (!op_read(c, in, 0, &v))
        return false;
    u16 sel = (u16)v;
    if (sel_null(sel))
        return cpu_raise_err(c, EXC_GP, 0);
    if (!system_desc(c, sel, &d, &up, &lin))
        return false;
    bool ok = !(d.hi & DESC_S) && (desc_type(d) == SYS_TSS || (desc_type(d) == SYS_TSS16 && !cpu_long(c)));
    if (!ok)
        return cpu_raise_err(c, EXC_GP, sel_err(sel));
    if (!(d.hi & DESC_P))
        return cpu_raise_err(c, EXC_NP, sel_err(sel));
    seg_unpack(&s, sel, d, up.lo);
    if (!system_base_ok(c, sel, &s) || !desc_set_busy(c, lin, true))
        return false;
    s.attr |= 2;
    c->st.seg[SEG_TR] = s;
    return true;
}

/* ---- bases ---- */

static bool fsgs_check(struct vcpu *c)
{
    return (c->st.cr4 & CR4_FSGSBASE) || cpu_raise(c, EXC_UD);
}

static bool read_base(struct vcpu *c, const struct insn *in, unsigned seg)
{
    return fsgs_check(c) && op_write(c, in, 0, c->st.seg[seg].base);
}

static bool write_base(struct vcpu *c, const struct insn *in, unsigned seg)
{
    u64 v;
    if (!fsgs_check(c) || !op_read(c, in, 0, &v))
        return false;
    if (!cpu_canonical(c, v))
        return cpu_raise_err(c, EXC_GP, 0);
    c->st.seg[seg].base = v;
    return true;
}

INSN(0F, AE, F3, /0r, rdfsbase, Ry, O64 F:FSGSBASE, _, _, mov, gen)
SYS(rdfsbase) { return read_base(c, in, SEG_FS); }
INSN(0F, AE, F3, /1r, rdgsbase, Ry, O64 F:FSGSBASE, _, _, mov, gen)
SYS(rdgsbase) { return read_base(c, in, SEG_GS); }
INSN(0F, AE, F3, /2r, wrfsbase, Ry, O64 F:FSGSBASE, _, _, sys, gen)
SYS(wrfsbase) { return write_base(c, in, SEG_FS); }
INSN(0F, AE, F3, /3r, wrgsbase, Ry, O64 F:FSGSBASE, _, _, sys, gen)
SYS(wrgsbase) { return write_base(c, in, SEG_GS); }

INSN(0F, 01, _, =F8, swapgs, _, O64 CPL0, _, _, sys, gen)
SYS(swapgs)
{
    (void)in;
    u64 t = c->st.kernel_gs_base;
    c->st.kernel_gs_base = c->st.seg[SEG_GS].base;
    c->st.seg[SEG_GS].base = t;
    return true;
}
