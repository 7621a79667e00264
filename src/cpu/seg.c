// SPDX-License-Identifier: MIT
/* Segment registers and descriptors. [APM2 4.5-4.8] */
#include "cpu/internal.h"

void seg_unpack(struct seg *s, u16 sel, struct desc d, u64 base_hi)
{
    u32 limit = (d.lo & 0xFFFF) | (d.hi & 0xF0000);
    if (d.hi & (1u << 23))
        limit = limit << 12 | 0xFFF;
    s->sel = sel;
    s->base = (d.lo >> 16) | (d.hi & 0xFF) << 16 | (d.hi & 0xFF000000u) | base_hi << 32;
    s->limit = limit;
    s->attr = (u16)((d.hi >> 8 & 0xFF) | (d.hi >> 12 & 0xF00));
}

bool desc_read(struct vcpu *c, u16 sel, struct desc *d, u64 *lin, u8 fault_vec)
{
    u64 base, limit, v;
    if (sel & 4) {
        const struct seg *ldt = &c->st.seg[SEG_LDTR];
        if (!(ldt->attr & ATTR_P))
            return cpu_raise_err(c, fault_vec, sel_err(sel));
        base = ldt->base;
        limit = ldt->limit;
    } else {
        base = c->st.gdtr.base;
        limit = c->st.gdtr.limit;
    }
    if ((u64)(sel | 7) > limit)
        return cpu_raise_err(c, fault_vec, sel_err(sel));
    *lin = base + (sel & ~7u);
    if (!cpu_long(c))
        *lin = (u32)*lin;
    if (!lin_read(c, *lin, 8, ACC_R | ACC_SYS, &v))
        return false;
    *d = (struct desc){.lo = (u32)v, .hi = (u32)(v >> 32)};
    return true;
}

bool desc_read_upper(struct vcpu *c, u16 sel, u64 lin, struct desc *up, u8 fault_vec)
{
    u64 v, limit = sel & 4 ? c->st.seg[SEG_LDTR].limit : c->st.gdtr.limit;
    if ((u64)(sel | 7) + 8 > limit)
        return cpu_raise_err(c, fault_vec, sel_err(sel));
    if (!lin_read(c, lin + 8, 8, ACC_R | ACC_SYS, &v))
        return false;
    *up = (struct desc){.lo = (u32)v, .hi = (u32)(v >> 32)};
    /* The type field of the second half must be zero, so that it cannot be used as a descriptor [APM2 4.8.3]. */
    if (up->hi & 0x1F00)
        return cpu_raise_err(c, fault_vec, sel_err(sel));
    return true;
}

bool desc_set_accessed(struct vcpu *c, u64 lin, struct desc *d)
{
    if (d->hi & DESC_A)
        return true;
    d->hi |= DESC_A;
    return lin_write(c, lin + 4, 4, ACC_W | ACC_SYS, d->hi);
}

bool desc_set_busy(struct vcpu *c, u64 lin, bool busy)
{
    u64 hi;
    if (!lin_read(c, lin + 4, 4, ACC_R | ACC_SYS, &hi))
        return false;
    hi = busy ? hi | DESC_BUSY : hi & ~(u64)DESC_BUSY;
    return lin_write(c, lin + 4, 4, ACC_W | ACC_SYS, hi);
}

void seg_load_null(struct vcpu *c, unsigned seg, u16 sel)
{
    struct seg *s = &c->st.seg[seg];
    s->sel = sel;
    s->attr = 0;
    /* Before Zen 2 a null selector left base and limit as they were. */
    if (cpu_has(c, FEAT_NULLSELCLR)) {
        s->base = 0;
        s->limit = 0;
    }
    c->attn |= ATTN_MODE;
}

void seg_load_v86(struct vcpu *c, unsigned seg, u16 sel)
{
    c->st.seg[seg] = (struct seg){.base = (u64)sel << 4, .limit = 0xFFFF, .sel = sel, .attr = ATTR_P | ATTR_DPL | ATTR_S | 3};
    c->attn |= ATTN_MODE;
}

/* Real mode keeps limit and default size ("unreal" mode) and makes the segment a writable one. */
void seg_load_real(struct vcpu *c, unsigned seg, u16 sel)
{
    if (cpu_vm86(c)) {
        seg_load_v86(c, seg, sel);
        return;
    }
    struct seg *s = &c->st.seg[seg];
    s->sel = sel;
    s->base = (u64)sel << 4;
    s->attr = (u16)((s->attr & (ATTR_DB | ATTR_G | ATTR_AVL)) | ATTR_P | ATTR_S | 3);
    if (!s->limit)
        s->limit = 0xFFFF; /* a null selector was there */
    c->attn |= ATTN_MODE;
}

bool stack_seg_check(struct vcpu *c, u16 sel, unsigned cpl, u8 vec, struct seg *out)
{
    struct desc d;
    u64 lin;
    if (!desc_read(c, sel, &d, &lin, vec))
        return false;
    if ((sel & 3) != cpl || !desc_writable(d) || desc_dpl(d) != cpl)
        return cpu_raise_err(c, vec, sel_err(sel));
    if (!(d.hi & DESC_P))
        return cpu_raise_err(c, EXC_SS, sel_err(sel));
    if (!desc_set_accessed(c, lin, &d))
        return false;
    seg_unpack(out, sel, d, 0);
    return true;
}

static bool load_ss(struct vcpu *c, u16 sel)
{
    struct seg s;
    if (sel_null(sel)) {
        if (!cpu_code64(c) || c->st.cpl == 3 || (sel & 3) != c->st.cpl)
            return cpu_raise_err(c, EXC_GP, 0);
        seg_load_null(c, SEG_SS, sel);
        return true;
    }
    if (!stack_seg_check(c, sel, c->st.cpl, EXC_GP, &s))
        return false;
    c->st.seg[SEG_SS] = s;
    c->attn |= ATTN_MODE;
    return true;
}

bool seg_load(struct vcpu *c, unsigned seg, u16 sel)
{
    struct desc d;
    u64 lin;
    if (!cpu_protected(c)) {
        seg_load_real(c, seg, sel);
        return true;
    }
    if (seg == SEG_SS)
        return load_ss(c, sel);
    if (sel_null(sel)) {
        seg_load_null(c, seg, sel);
        return true;
    }
    if (!desc_read(c, sel, &d, &lin, EXC_GP))
        return false;
    if (!desc_readable(d))
        return cpu_raise_err(c, EXC_GP, sel_err(sel));
    if (desc_is_data(d) || !desc_conforming(d)) {
        unsigned rpl = sel & 3, worst = rpl > c->st.cpl ? rpl : c->st.cpl;
        if (worst > desc_dpl(d))
            return cpu_raise_err(c, EXC_GP, sel_err(sel));
    }
    if (!(d.hi & DESC_P))
        return cpu_raise_err(c, EXC_NP, sel_err(sel));
    if (!desc_set_accessed(c, lin, &d))
        return false;
    seg_unpack(&c->st.seg[seg], sel, d, 0);
    c->attn |= ATTN_MODE;
    return true;
}

void seg_drop_privileged(struct vcpu *c)
{
    static const u8 data[] = {SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    for (unsigned i = 0; i < ARRAY_LEN(data); i++) {
        const struct seg *s = &c->st.seg[data[i]];
        bool conforming = (s->attr & (ATTR_S | 0xC)) == (ATTR_S | 0xC);
        if ((s->attr & ATTR_P) && !conforming && (unsigned)(s->attr >> 5 & 3) < c->st.cpl)
            seg_load_null(c, data[i], 0);
    }
}

bool code_check_direct(struct vcpu *c, u16 sel, struct desc d)
{
    unsigned dpl = desc_dpl(d), cpl = c->st.cpl;
    bool ok = desc_is_code(d);
    if (ok)
        ok = desc_conforming(d) ? dpl <= cpl : dpl == cpl && (sel & 3u) <= cpl;
    if (ok && cpu_long(c) && (d.hi & DESC_L) && (d.hi & DESC_D))
        ok = false;
    if (!ok)
        return cpu_raise_err(c, EXC_GP, sel_err(sel));
    if (!(d.hi & DESC_P))
        return cpu_raise_err(c, EXC_NP, sel_err(sel));
    return true;
}

bool code_check_offset(struct vcpu *c, const struct seg *cs, u64 off)
{
    bool ok = cpu_long(c) && (cs->attr & ATTR_L) ? cpu_canonical(c, off) : off <= cs->limit;
    return ok || cpu_raise_err(c, EXC_GP, 0);
}

void cs_commit(struct vcpu *c, struct seg cs, unsigned cpl)
{
    cs.sel = (u16)((cs.sel & ~3u) | cpl);
    c->st.seg[SEG_CS] = cs;
    c->st.cpl = (u8)cpl;
    if (c->mmu.r.cpl != cpl) { /* all else that decides translations is as it was */
        c->mmu.r.cpl = (u8)cpl;
        mmu_ring(&c->mmu);
    }
    c->attn |= ATTN_MODE;
}

bool tss_ist(struct vcpu *c, unsigned n, u64 *rsp)
{
    const struct seg *tr = &c->st.seg[SEG_TR];
    unsigned off = 36 + 8 * (n - 1);
    if (off + 7 > tr->limit)
        return cpu_raise_err(c, EXC_TS, sel_err(tr->sel));
    if (!lin_read(c, tr->base + off, 8, ACC_R | ACC_SYS, rsp))
        return false;
    return cpu_canonical(c, *rsp) || cpu_raise_err(c, EXC_SS, 0);
}

bool tss_stack(struct vcpu *c, unsigned cpl, u16 *ss, u64 *rsp)
{
    const struct seg *tr = &c->st.seg[SEG_TR];
    u64 v;
    bool wide = tr->attr & 8;
    unsigned off = cpu_long(c) || wide ? 4 + 8 * cpl : 2 + 4 * cpl;
    unsigned len = cpu_long(c) ? 8 : wide ? 6 : 4;
    if (off + len - 1 > tr->limit)
        return cpu_raise_err(c, EXC_TS, sel_err(tr->sel));
    if (cpu_long(c)) {
        *ss = (u16)cpl;
        if (!lin_read(c, tr->base + off, 8, ACC_R | ACC_SYS, rsp))
            return false;
        return cpu_canonical(c, *rsp) || cpu_raise_err(c, EXC_SS, 0);
    }
    unsigned w = wide ? 4 : 2;
    if (!lin_read(c, (u32)(tr->base + off), w, ACC_R | ACC_SYS, rsp) || !lin_read(c, (u32)(tr->base + off + w), 2, ACC_R | ACC_SYS, &v))
        return false;
    *ss = (u16)v;
    return true;
}
