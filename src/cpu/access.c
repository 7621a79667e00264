// SPDX-License-Identifier: MIT
/* Checked accesses to memory, operands and the stack: segment rules, canonical form, alignment, translation of every page before the
 * first byte moves, page flags, MMIO, data breakpoints. The stamped handlers go round this file only where the fast translation cache
 * hits, which implies that none of it has anything to say. */
#include "cpu/vcpu.h"

/* A run of bytes inside one page. */
struct piece {
    struct mmu_xl xl;
    unsigned len;
};

/* Linear addresses are 32 bits wide outside long mode. */
static u64 lin_cut(const struct vcpu *c, u64 lin)
{
    return cpu_long(c) ? lin : (u32)lin;
}

/* ---- segments ---- */

/* Limit check in 64-bit mode, EFER.LMSLE [APM2 4.12.2]: at CPL > 0, DS, ES, FS and SS end at FFFFFFFF_00000000h + limit. */
static bool lmsle_ok(const struct vcpu *c, unsigned seg, u64 last)
{
    if (LIKELY(!(c->st.efer & EFER_LMSLE)) || c->st.cpl == 0 || seg == SEG_CS || seg == SEG_GS)
        return true;
    return last <= (0xFFFFFFFF00000000ull | c->st.seg[seg].limit);
}

static bool limit_ok(const struct seg *s, u64 off, unsigned len)
{
    u64 last = off + len - 1;
    if ((s->attr & 0xC) == 4) /* expand-down data: the limit is the last invalid offset */
        return off > s->limit && last <= (s->attr & ATTR_DB ? 0xFFFFFFFFu : 0xFFFFu);
    return last <= s->limit;
}

/* [APM2 4.12]: 0, or the vector to raise. */
static u8 seg_check(const struct vcpu *c, unsigned seg, u64 off, unsigned len, unsigned acc, u64 *lin)
{
    const struct seg *s = &c->st.seg[seg];
    u8 vec = seg == SEG_SS ? EXC_SS : EXC_GP;
    if (cpu_code64(c)) {
        u64 a = seg == SEG_FS || seg == SEG_GS ? off + s->base : off;
        *lin = a;
        return cpu_canonical(c, a) && cpu_canonical(c, a + len - 1) && lmsle_ok(c, seg, a + len - 1) ? 0 : vec;
    }
    if (cpu_protected(c)) {
        if (!(s->attr & ATTR_P))
            return vec;
        bool code = s->attr & 8, bit_rw = s->attr & 2;
        if ((acc & ACC_KIND) == ACC_W ? code || !bit_rw : code && !bit_rw)
            return vec;
    }
    *lin = (u32)(s->base + off);
    return limit_ok(s, off, len) ? 0 : vec;
}

bool seg_linear(struct vcpu *c, unsigned seg, u64 off, unsigned len, unsigned acc, u64 *lin)
{
    u8 vec = seg_check(c, seg, off, len, acc, lin);
    return LIKELY(!vec) || cpu_raise_err(c, vec, 0);
}

/* ---- alignment and data breakpoints; both keep the fast table of the context empty (mmu_looks) ---- */

static bool align_bad(const struct vcpu *c, u64 lin, unsigned width)
{
    return (lin & (width - 1)) && mmu_align_checked(&c->mmu);
}

/* [APM2 13.1.4]: any overlap of the access with an enabled DR's naturally aligned range is reported after the instruction; GIF = 0 drops it
 * [APM2 15.17]. */
static COLD void watch(struct vcpu *c, u64 lin, unsigned len, bool write)
{
    static const u8 lens[4] = { 1, 2, 8, 4 };
    for (unsigned i = 0; c->st.gif && i < 4; i++) {
        unsigned ctl = (unsigned)(c->st.dr7 >> (16 + 4 * i)) & 15, rw = ctl & 3, n = lens[ctl >> 2];
        u64 first = c->st.dr[i] & ~(u64)(n - 1);
        if (!(c->st.dr7 >> (2 * i) & 3) || !(rw == 3 || (rw == 1 && write)))
            continue;
        if (lin < first + n && first < lin + len) {
            c->trap_dr6 |= 1ull << i;
            c->pending |= PEND_TRAP;
            c->attn |= ATTN_EVENT;
        }
    }
}

static void look(struct vcpu *c, u64 lin, unsigned len, bool write)
{
    if (UNLIKELY(c->st.dr7 & 0xFF))
        watch(c, lin, len, write);
}

/* ---- pieces ---- */

static bool avic_page_on(const struct vcpu *c)
{
    return c->avic && c->nest.avic;
}

/* A page that was the guest's virtual APIC when it was translated. It still is, or the stale translation leads to plain memory. */
static COLD bool virtual_apic(struct vcpu *c, unsigned acc, struct mmu_xl *xl)
{
    struct phys_page p;
    if (avic_page_on(c))
        return c->avic->touch(c, (unsigned)(xl->spa.v & PAGE_MASK), (acc & ACC_KIND) == ACC_W);
    xl->spa.v &= ~MMU_SPA_AVIC;
    if (phys_lookup(&c->view, xl->spa, &p)) {
        xl->host = p.host + (xl->spa.v & PAGE_MASK);
        xl->bpn = p.bpn;
        xl->page_flags = p.flags;
    }
    return true;
}

static bool xlate(struct vcpu *c, u64 lin, unsigned acc, struct mmu_xl *xl)
{
    struct mmu_fault f;
    if (UNLIKELY(!mmu_translate(&c->mmu, (struct gva){ lin }, acc, xl, &f)))
        return cpu_raise_pf(c, &f);
    return LIKELY(xl->host != NULL) || !(xl->spa.v & MMU_SPA_AVIC) || virtual_apic(c, acc, xl);
}

/* Translates [lin, lin + len), len at most a page: one or two pieces, 0 when a fault was recorded. */
static unsigned map_range(struct vcpu *c, u64 lin, unsigned len, unsigned acc, struct piece p[2])
{
    unsigned room = PAGE_SIZE - (unsigned)(lin & PAGE_MASK);
    if (!xlate(c, lin, acc, &p[0].xl))
        return 0;
    p[0].len = len;
    if (LIKELY(len <= room))
        return 1;
    p[0].len = room;
    p[1].len = len - room;
    u64 next = cpu_code64(c) || (acc & ACC_SYS) ? lin_cut(c, lin + room) : (u32)(lin + room);
    return xlate(c, next, acc, &p[1].xl) ? 2 : 0;
}

static bool simple_width(unsigned len)
{
    return len <= 8 && (len & (len - 1)) == 0;
}

/* Devices ask for the time, so it is folded before they are looked at; what the access itself takes passes after that. */
static void device_time(struct vcpu *c, u64 spa)
{
    if (c->fold)
        c->fold(c);
    if (!(spa & MMU_SPA_AVIC) && (spa & ~(u64)PAGE_MASK) != c->view.apic_page)
        cpu_charge_class(c, TIME_mmio);
}

static void piece_read(struct vcpu *c, const struct piece *p, u8 *to)
{
    struct spa at = { p->xl.spa.v & ~MMU_SPA_AVIC };
    if (LIKELY(p->xl.host != NULL))
        memcpy(to, p->xl.host, p->len);
    else if (device_time(c, p->xl.spa.v), simple_width(p->len)) /* a device sees one access of the full width */
        store_le(to, p->len, phys_read_le(&c->view, at, p->len));
    else
        phys_read(&c->view, at, to, p->len);
}

static COLD void piece_to_device(struct vcpu *c, const struct piece *p, const u8 *from)
{
    device_time(c, p->xl.spa.v);
    if (UNLIKELY(p->xl.spa.v & MMU_SPA_AVIC))
        c->avic->write(c, p->xl.spa.v & ~MMU_SPA_AVIC, from, p->len);
    else if (simple_width(p->len))
        phys_write_le(&c->view, p->xl.spa, p->len, load_le(from, p->len));
    else
        phys_write(&c->view, p->xl.spa, from, p->len);
}

static void piece_write(struct vcpu *c, const struct piece *p, const u8 *from)
{
    if (LIKELY(p->xl.host != NULL)) {
        if (!p->xl.page_flags || page_before_write(c->view.bus, p->xl.bpn, (unsigned)(p->xl.spa.v & PAGE_MASK), p->len))
            memcpy(p->xl.host, from, p->len);
    } else {
        piece_to_device(c, p, from);
    }
}

static bool read_bytes(struct vcpu *c, u64 lin, unsigned len, unsigned acc, u8 *to)
{
    struct piece p[2];
    unsigned n = map_range(c, lin, len, acc, p);
    if (!n)
        return false;
    piece_read(c, &p[0], to);
    if (n == 2)
        piece_read(c, &p[1], to + p[0].len);
    return true;
}

static bool write_bytes(struct vcpu *c, u64 lin, unsigned len, unsigned acc, const u8 *from)
{
    struct piece p[2];
    unsigned n = map_range(c, lin, len, acc, p);
    if (!n)
        return false;
    piece_write(c, &p[0], from);
    if (n == 2)
        piece_write(c, &p[1], from + p[0].len);
    return true;
}

/* The fast table of the context holds what plain accesses of the current privilege may do. */
static u8 *fast_read(const struct vcpu *c, u64 lin, unsigned width)
{
    const struct xlat *e = mmu_fast_slot(&c->mmu, lin);
    return ((lin + width - 1) & ~(u64)PAGE_MASK) == e->rtag ? (u8 *)(uintptr_t)(lin + e->addend) : NULL;
}

static u8 *fast_write(const struct vcpu *c, u64 lin, unsigned width)
{
    const struct xlat *e = mmu_fast_slot(&c->mmu, lin);
    return ((lin + width - 1) & ~(u64)PAGE_MASK) == e->wtag ? (u8 *)(uintptr_t)(lin + e->addend) : NULL;
}

/* ---- by linear address ---- */

/* Whether the table of the current context answers for this access: an implicit supervisor access at CPL 3, or one that AC must not
 * relieve of SMAP, has other permissions. */
static bool context_serves(const struct vcpu *c, unsigned acc)
{
    return !(acc & ACC_SYS) || (c->st.cpl < 3 && !((c->st.cr4 & CR4_SMAP) && (c->st.rflags & FL_AC)));
}

u8 *lin_view(const struct vcpu *c, u64 lin, unsigned len, unsigned acc)
{
    if (!context_serves(c, acc))
        return NULL;
    return (acc & ACC_KIND) == ACC_W ? fast_write(c, lin, len) : fast_read(c, lin, len);
}

bool lin_read(struct vcpu *c, u64 lin, unsigned width, unsigned acc, u64 *v)
{
    const u8 *host = lin_view(c, lin, width, acc);
    if (host) {
        *v = load_le(host, width);
        return true;
    }
    u8 b[8] = { 0 };
    if (!read_bytes(c, lin_cut(c, lin), width, acc, b))
        return false;
    *v = load_le(b, 8);
    return true;
}

bool lin_write(struct vcpu *c, u64 lin, unsigned width, unsigned acc, u64 v)
{
    u8 *host = lin_view(c, lin, width, acc);
    if (host) {
        store_le(host, width, v);
        return true;
    }
    u8 b[8];
    store_le(b, 8, v);
    return write_bytes(c, lin_cut(c, lin), width, acc, b);
}

bool lin_probe(struct vcpu *c, u64 lin, unsigned len, unsigned acc)
{
    unsigned a = (acc & ACC_KIND) == ACC_W ? acc | ACC_PROBE : acc;
    if (lin_view(c, lin, len, acc))
        return true;
    for (u64 done = 0; done < len;) {
        struct mmu_xl xl;
        u64 at = cpu_code64(c) || (acc & ACC_SYS) ? lin_cut(c, lin + done) : (u32)(lin + done);
        if (!xlate(c, at, a, &xl))
            return false;
        done += PAGE_SIZE - (at & PAGE_MASK);
    }
    return true;
}

/* ---- by segment and offset ---- */

bool mem_read(struct vcpu *c, unsigned seg, u64 off, unsigned width, u64 *v)
{
    u64 lin;
    if (!seg_linear(c, seg, off, width, ACC_R, &lin))
        return false;
    const u8 *host = fast_read(c, lin, width);
    if (LIKELY(host != NULL)) {
        *v = load_le(host, width);
        return true;
    }
    if (align_bad(c, lin, width))
        return cpu_raise_err(c, EXC_AC, 0);
    u8 b[8] = { 0 };
    if (!read_bytes(c, lin, width, ACC_R, b))
        return false;
    look(c, lin, width, false);
    *v = load_le(b, 8);
    return true;
}

bool mem_write(struct vcpu *c, unsigned seg, u64 off, unsigned width, u64 v)
{
    u64 lin;
    if (!seg_linear(c, seg, off, width, ACC_W, &lin))
        return false;
    u8 *host = fast_write(c, lin, width);
    if (LIKELY(host != NULL)) {
        store_le(host, width, v);
        return true;
    }
    if (align_bad(c, lin, width))
        return cpu_raise_err(c, EXC_AC, 0);
    u8 b[8];
    store_le(b, 8, v);
    if (!write_bytes(c, lin, width, ACC_W, b))
        return false;
    look(c, lin, width, true);
    return true;
}

bool mem_rmw_begin(struct vcpu *c, unsigned seg, u64 off, unsigned width, u64 *v)
{
    u64 lin;
    if (!seg_linear(c, seg, off, width, ACC_W, &lin))
        return false;
    const u8 *host = fast_write(c, lin, width);
    if (LIKELY(host != NULL)) {
        *v = load_le(host, width);
        return true;
    }
    if (align_bad(c, lin, width))
        return cpu_raise_err(c, EXC_AC, 0);
    u8 b[8] = { 0 };
    if (!read_bytes(c, lin, width, ACC_W, b))
        return false;
    look(c, lin, width, false);
    *v = load_le(b, 8);
    return true;
}

bool mem_read_buf(struct vcpu *c, unsigned seg, u64 off, void *buf, unsigned len)
{
    u64 lin;
    if (!seg_linear(c, seg, off, len, ACC_R, &lin) || !lin_probe(c, lin, len, ACC_R))
        return false;
    u8 *to = buf;
    for (unsigned done = 0; done < len; done += PAGE_SIZE)
        if (!read_bytes(c, lin + done, len - done < PAGE_SIZE ? len - done : PAGE_SIZE, ACC_R, to + done))
            return false;
    look(c, lin, len, false);
    return true;
}

bool mem_write_buf(struct vcpu *c, unsigned seg, u64 off, const void *buf, unsigned len)
{
    u64 lin;
    if (!seg_linear(c, seg, off, len, ACC_W, &lin) || !lin_probe(c, lin, len, ACC_W))
        return false;
    const u8 *from = buf;
    for (unsigned done = 0; done < len; done += PAGE_SIZE)
        if (!write_bytes(c, lin + done, len - done < PAGE_SIZE ? len - done : PAGE_SIZE, ACC_W, from + done))
            return false;
    look(c, lin, len, true);
    return true;
}

bool mem_probe_write(struct vcpu *c, unsigned seg, u64 off, unsigned len)
{
    u64 lin;
    return seg_linear(c, seg, off, len, ACC_W, &lin) && lin_probe(c, lin, len, ACC_W);
}

u8 *mem_span(struct vcpu *c, unsigned seg, u64 off, unsigned width, bool down, unsigned acc, u64 *count)
{
    u64 lin, n = *count;
    if (mmu_looks(&c->mmu) || seg_check(c, seg, off, width, acc, &lin))
        return NULL;
    unsigned in_page = (unsigned)(lin & PAGE_MASK);
    if (in_page + width > PAGE_SIZE)
        return NULL;
    u64 room = down ? in_page / width + 1 : (PAGE_SIZE - in_page) / width;
    if (n > room)
        n = room;
    u64 low = down ? off - (n - 1) * width : off, low_lin;
    if (seg_check(c, seg, low, (unsigned)(n * width), acc, &low_lin))
        return NULL; /* a limit ends inside: element by element up to it */
    struct mmu_xl xl;
    struct mmu_fault f;
    if (!mmu_translate(&c->mmu, (struct gva){ lin }, acc, &xl, &f) || !xl.host || ((acc & ACC_KIND) == ACC_W && xl.page_flags))
        return NULL;
    *count = n;
    return xl.host;
}

/* ---- operands ---- */

u64 op_ea(const struct vcpu *c, const struct insn *in)
{
    u64 a = (u64)in->disp + (in->base < 16 ? c->st.gpr[in->base] : 0);
    if (in->index < 16)
        a += c->st.gpr[in->index] << in->scale;
    if (in->riprel)
        a += c->st.rip + in->len;
    return zext(a, in->asz);
}

u64 op_bit_ea(const struct vcpu *c, const struct insn *in, u64 off)
{
    unsigned w = in->op[0].size, lg = w == 8 ? 6 : w == 4 ? 5 : 4;
    u64 units = (u64)((i64)sext(off, w) >> lg);
    return zext(op_ea(c, in) + units * w, in->asz);
}

bool op_read(struct vcpu *c, const struct insn *in, unsigned i, u64 *v)
{
    const struct operand *o = &in->op[i];
    switch (o->kind) {
    case OPK_GPR: *v = gpr_get(c, o->reg, o->size); return true;
    case OPK_MEM: return mem_read(c, in->seg, op_ea(c, in), o->size, v);
    case OPK_IMM2: *v = in->imm2; return true;
    case OPK_CONST: *v = o->reg; return true;
    case OPK_SREG: *v = c->st.seg[o->reg].sel; return true;
    default: *v = in->imm; return true;
    }
}

bool op_write(struct vcpu *c, const struct insn *in, unsigned i, u64 v)
{
    const struct operand *o = &in->op[i];
    if (o->kind == OPK_MEM)
        return mem_write(c, in->seg, op_ea(c, in), o->size, v);
    gpr_set(c, o->reg, o->size, v);
    return true;
}

bool op_rmw(struct vcpu *c, const struct insn *in, unsigned i, u64 *v)
{
    const struct operand *o = &in->op[i];
    if (o->kind == OPK_MEM)
        return mem_rmw_begin(c, in->seg, op_ea(c, in), o->size, v);
    return op_read(c, in, i, v);
}

/* ---- stack ---- */

bool stack_push_at(struct vcpu *c, u64 *rsp, unsigned width, u64 v)
{
    u64 at = zext(*rsp - width, cpu_stack_width(c));
    if (!mem_write(c, SEG_SS, at, width, v))
        return false;
    *rsp = at;
    return true;
}

bool stack_pop_at(struct vcpu *c, u64 *rsp, unsigned width, u64 *v)
{
    unsigned sw = cpu_stack_width(c);
    if (!mem_read(c, SEG_SS, zext(*rsp, sw), width, v))
        return false;
    *rsp = zext(*rsp + width, sw);
    return true;
}

const u8 *stack_view(const struct vcpu *c, u64 rsp, unsigned len)
{
    u64 lin;
    return cpu_code64(c) && !seg_check(c, SEG_SS, rsp, len, ACC_R, &lin) ? fast_read(c, lin, len) : NULL;
}

void stack_commit(struct vcpu *c, u64 rsp)
{
    gpr_set(c, RSP, cpu_stack_width(c), rsp);
}

bool stack_push(struct vcpu *c, unsigned width, u64 v)
{
    u64 rsp = c->st.gpr[RSP];
    if (!stack_push_at(c, &rsp, width, v))
        return false;
    stack_commit(c, rsp);
    return true;
}

bool stack_pop(struct vcpu *c, unsigned width, u64 *v)
{
    u64 rsp = c->st.gpr[RSP];
    if (!stack_pop_at(c, &rsp, width, v))
        return false;
    stack_commit(c, rsp);
    return true;
}
