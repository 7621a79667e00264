// SPDX-License-Identifier: MIT
/* Random instruction streams over random memory in every mode, in hosts and in SVM guests, on five engines at once: none may crash, and
 * registers, memory and time must be the same on all. The last engine runs instruction by instruction and notes which rows of the
 * instruction table completed; a second test gives each row its own tries, so that every row completes at least once or stands in
 * tests/data/rows_not_reached.txt with the reason; a third runs each row in real mode and in paged real mode. SVMEMU_RANDOM_INSNS: how many instructions are attempted; SVMEMU_RANDOM_SEED. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu/internal.h"
#include "decoder/rows.h"
#include "machine/machine.h"
#include "mmu/tlb.h"

enum { FULL, GENERIC, NO_FAST, NO_BLOCKS, STEP, ENGINES };
static const char *const engine_names[ENGINES] = { "full", "generic", "without fast translations", "without blocks", "in single steps" };
/* A REP cut by the cycle limit gives back its start-up, so that the limit may leave up to LATE_CYCLES. */
enum { CASE_INSNS = 200, CASE_CYCLES = 100000, LATE_CYCLES = 64, ROW_TRIES = 4000 };
/* Where things lie; what is not named is data. */
enum {
    RAM = 0x40000, PML4 = 0x1000, PDPT = 0x2020 /* of a legacy PAE guest, in the page of the long-mode one */, GDT = 0x5000, TSS = 0x5800,
    IDT = 0x6000, CODE = 0x8000, CODE_LEN = 0x4000, STACK0 = 0xD000, STACK = 0xE000, DATA = 0x10000, XAREA = 0x1A000 /* a compacted XSAVE area in its initial state */, VMCB = 0x20000, HSAVE = 0x21000, IOPM = 0x22000, MSRPM = 0x25000, NPML4 = 0x28000, HOST = 0x2C000,
};
enum { CODE0 = 0x08, DATA0 = 0x10, CODE64 = 0x18, CODE3 = 0x23, DATA3 = 0x2B, CODE64_3 = 0x33, TSS_SEL = 0x38, CODE16 = 0x48, DATA16 = 0x50,
       LDT_SEL = 0x58, TSS_FREE = 0x68 };
enum kind { REAL, PM16, PM32, USER32, LONG, USER64, COMPAT, V86, GUEST_REAL, GUEST32, GUEST64, KINDS };

static u64 rng;

static u64 rnd(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng * 0x2545F4914F6CDD1Dull;
}
static u64 pick(u64 n) { return (rnd() >> 20) % n; }

/* ---- memory of a case, the same for each engine ---- */

static u8 image[RAM];

static void put(u64 at, unsigned width, u64 v) { store_le(image + at, width, v); }

static u64 segment(u32 limit, unsigned access, unsigned flags) { return (limit & 0xFFFF) | (u64)access << 40 | (u64)(limit >> 16) << 48 | (u64)flags << 52; }

/* Identity maps of RAM; of the nested ones some pages are missing or read-only. */
static void put_tables(u64 at, bool holes)
{
    for (unsigned i = 0; i < 3; i++)
        put(at + i * 0x1000, 8, (at + (i + 1) * 0x1000) | 7);
    for (u64 i = 0; i < RAM >> 12; i++)
        put(at + 0x3000 + 8 * i, 8, i << 12 | (holes && pick(16) == 0 ? pick(8) : 7));
    if (at == PML4)
        put(PDPT, 8, (at + 0x2000) | 1);
}

static u64 code_at(void) { return CODE + pick(CODE_LEN - 32); }

static void put_vectors(enum kind k)
{
    bool l = k == LONG || k == USER64 || k == COMPAT || k == GUEST64;
    for (unsigned v = 0; v < 256; v++) {
        put(4 * v, 4, code_at()); /* real mode */
        u64 to = code_at();
        put(IDT + (l ? 16 : 8) * v, 8, (to & 0xFFFF) | (u64)(l ? CODE64 : CODE0) << 16 | 0xEE00ull << 32);
        if (l)
            put(IDT + 16 * v + 8, 8, 0);
    }
}

static void put_descriptors(enum kind k)
{
    bool l = k == LONG || k == USER64 || k == COMPAT || k == GUEST64;
    put(GDT + CODE0, 8, segment(0xFFFFF, 0x9B, 0xC));
    put(GDT + DATA0, 8, segment(0xFFFFF, 0x93, 0xC));
    put(GDT + CODE64, 8, segment(0, 0x9B, 2));
    put(GDT + (CODE3 & ~3), 8, segment(0xFFFFF, 0xFB, 0xC));
    put(GDT + (DATA3 & ~3), 8, segment(0xFFFFF, 0xF3, 0xC));
    put(GDT + (CODE64_3 & ~3), 8, segment(0, 0xFB, 2));
    put(GDT + TSS_SEL, 8, segment(0x2FF, 0x8B, 0) | (u64)TSS << 16);
    put(GDT + TSS_SEL + 8, 8, 0);
    put(GDT + CODE16, 8, segment(0xFFFF, 0x9B, 0));
    put(GDT + DATA16, 8, segment(0xFFFF, 0x93, 0));
    put(GDT + LDT_SEL, 8, segment(0xFF, 0x82, 0) | (u64)GDT << 16);
    put(GDT + LDT_SEL + 8, 8, 0);
    put(GDT + TSS_FREE, 8, segment(0x2FF, 0x89, 0) | (u64)(TSS + 0x400) << 16);
    put(GDT + TSS_FREE + 8, 8, 0);
    for (u64 t = TSS; t <= TSS + 0x400; t += 0x400) {
        put(t + 4, 8, l ? STACK0 : (u64)DATA0 << 32 | STACK0);
        put(t + 0x66, 2, 0x68); /* every port allowed */
        memset(image + t + 0x68, 0, 0x98);
    }
}

/* A guest on the host's tables: random intercepts, half of the time nested paging. */
static void put_vmcb(enum kind k)
{
    union vmcb *v = (union vmcb *)(void *)(image + VMCB);
    memset(v, 0, sizeof *v);
    v->icpt_cr = (u32)(rnd() & rnd());
    v->icpt_dr = (u32)(rnd() & rnd());
    v->icpt_exc = (u32)(rnd() & rnd());
    v->icpt_misc1 = (u32)(rnd() & rnd());
    v->icpt_misc2 = (u32)(rnd() & rnd()) | 1;
    v->icpt_misc3 = (u32)(rnd() & rnd());
    v->iopm_base = IOPM;
    v->msrpm_base = MSRPM;
    v->asid = 1 + (u32)pick(3);
    v->tlb_control = pick(4) ? 0 : 1;
    v->int_ctl = (u32)(rnd() & 0x011F010F);
    v->int_vector = (u8)rnd();
    v->np_ctl = pick(2);
    v->n_cr3 = NPML4;
    v->g_pat = 0x0007040600070406ull;
    v->tsc_offset = rnd();
    if (pick(4) == 0) {
        u64 vector = pick(32), type = (u64[]){ 0, 2, 3, 4 }[pick(4)], has_err = pick(2), err = (u16)rnd();
        v->eventinj = INJ_V | vector | type << 8 | has_err << 11 | err << 32;
    }
    bool l = k == GUEST64, real = k == GUEST_REAL;
    v->cs_sel = real ? 0 : l ? CODE64 : CODE0;
    v->cs_attr = real ? 0x9B : l ? 0x29B : 0xC9B;
    v->ss_sel = v->ds_sel = v->es_sel = real ? 0 : DATA0;
    v->ss_attr = v->ds_attr = v->es_attr = real ? 0x93 : 0xC93;
    v->cs_limit = v->ss_limit = v->ds_limit = v->es_limit = real ? 0xFFFF : 0xFFFFFFFF;
    v->gdtr_base = GDT;
    v->gdtr_limit = 0xFF;
    v->idtr_base = real ? 0 : IDT;
    v->idtr_limit = 0xFFF;
    v->efer = EFER_SVME | (l ? EFER_LME | EFER_LMA | EFER_NXE : 0);
    v->cr0 = CR0_ET | (real ? 0 : CR0_PE) | (l || (real && pick(4) == 0) ? CR0_PG : 0);
    v->cr4 = CR4_PAE | CR4_OSFXSR;
    v->cr3 = l ? PML4 : PDPT;
    v->rflags = 2 | pick(4) * FL_TF / 3;
    v->rip = code_at();
    v->rsp = STACK;
    v->rax = DATA + pick(0x8000);
    v->dr6 = 0xFFFF0FF0;
    v->dr7 = 0x400;
}

/* vmrun; step over what ended in the #VMEXIT; again. */
static void put_host(void)
{
    static const u8 stub[] = { 0xB8, 0, 0, VMCB >> 16, 0, 0x0F, 0x01, 0xD8, 0x48, 0xFF, 0x04, 0x25, 0x78, 0x05, VMCB >> 16, 0, 0xEB, 0xEE };
    memcpy(image + HOST, stub, sizeof stub);
}

/* What far transfers, returns and loads find in memory is often sensible: addresses in the code, good selectors. */
static void put_data(enum kind k)
{
    static const u16 sels[] = { CODE0, DATA0, CODE64, CODE3, DATA3, CODE64_3, LDT_SEL, TSS_FREE, CODE16, 0 };
    unsigned w = k == LONG || k == USER64 || k == GUEST64 ? 8 : k == REAL || k == PM16 || k == V86 || k == GUEST_REAL ? 2 : 4;
    for (u64 a = DATA; a < DATA + 0x10000; a += 8) {
        bool far = pick(4);
        u64 low = far ? code_at() : rnd(), sel = far ? sels[pick(ARRAY_LEN(sels))] : 0;
        put(a, 8, low | sel << (8 * w & 63));
    }
    memset(image + XAREA, 0, 0x400);
    put(XAREA + 520, 8, 1ull << 63);
    for (u64 a = STACK - 0x400; a < STACK + 0x400; a += 5u * w) {
        u64 to = code_at(), flags = 2 | (pick(4) ? 0 : rnd() & 0x10FD5);
        const u64 frame[5] = { to, w == 8 ? CODE64 : w == 4 ? CODE0 : k == PM16 ? CODE16 : 0, flags, STACK, w == 2 ? 0 : DATA0 };
        for (unsigned i = 0; i < 5; i++)
            put(a + i * w, w, frame[i]);
    }
}

/* ---- code ---- */

static unsigned put_modrm(const struct isa_row *r, enum dec_mode mode, u8 *b)
{
    unsigned m = r->modrm, n = 0;
    if (m == MRM_NONE)
        return 0;
    u8 mod = pick(3) ? 3 : (u8)pick(3), reg = (u8)pick(8), rm = (u8)pick(8);
    if (m >= MRM_EXACT) {
        b[n++] = (u8)m;
        return n;
    }
    if (m >= MRM_DIGIT)
        reg = m & 7;
    if (m == MRM_MEM || (m & 0xF8) == MRM_DIGIT_MEM)
        mod = (u8)pick(3);
    if (m == MRM_REG || (m & 0xF8) == MRM_DIGIT_REG)
        mod = 3;
    b[n++] = (u8)(mod << 6 | reg << 3 | rm);
    if (mod != 3 && mode != MODE_16 && rm == 4)
        b[n++] = (u8)rnd();
    return n;
}

/* One encoding of the row; 0: this try gave another one. */
static unsigned encode(unsigned row, enum dec_mode mode, const u64 *features, u8 b[16])
{
    const struct isa_row *r = &isa_rows[row];
    static const u8 escapes[MAP_COUNT][2] = { [MAP_0F] = { 0x0F }, [MAP_0F38] = { 0x0F, 0x38 }, [MAP_0F3A] = { 0x0F, 0x3A } };
    unsigned n = 0;
    struct insn in;
    for (unsigned i = 0; i < 16; i++)
        b[i] = (u8)rnd();
    if (r->map >= MAP_VEX1) {
        static const u8 pp[] = { 0, 0, 1, 2, 3 };
        b[n++] = 0xC4;
        b[n++] = (u8)(0xE0 | (r->map - MAP_VEX1 + 1));
        u64 w = r->limits & LIM_W1 ? 0x80 : r->limits & LIM_W0 ? 0 : rnd() & 0x80, vvvv = pick(2) ? rnd() & 0x78 : 0x78;
        b[n++] = (u8)(w | vvvv | pp[r->prefix]);
    } else {
        if (r->prefix == MP_66 || (r->prefix == MP_ANY && pick(5) == 0))
            b[n++] = 0x66;
        if (pick(16) == 0)
            b[n++] = 0x67;
        if (pick(16) == 0)
            b[n++] = (u8[]){ 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65 }[pick(6)];
        if ((r->limits & LIM_LOCK) && pick(4) == 0)
            b[n++] = 0xF0;
        if (r->prefix == MP_F3 || r->prefix == MP_F2 || ((r->limits & LIM_REP) && pick(2)))
            b[n++] = r->prefix == MP_F3 || (r->prefix != MP_F2 && pick(2)) ? 0xF3 : 0xF2;
        if (mode == MODE_64 && ((r->limits & LIM_W1) || pick(3) == 0)) {
            u64 w = r->limits & LIM_W1 ? 8 : r->limits & LIM_W0 ? 0 : rnd() & 8, rxb = pick(3) ? 0 : rnd() & 7;
            b[n++] = (u8)(0x40 | w | rxb);
        }
        for (unsigned i = 0; i < 2 && escapes[r->map][i]; i++)
            b[n++] = escapes[r->map][i];
    }
    b[n++] = (u8)(r->opcode | (pick(2) ? rnd() & 7 : 0));
    n += put_modrm(r, mode, b + n);
    return decode_insn(b, 15, mode, features, &in) == DEC_OK && in.row == row ? in.len : 0;
}

static bool counts(unsigned row, const u64 *features)
{
    const struct isa_row *r = &isa_rows[row];
    return r->kind != KIND_NONE && (!r->feature || (features[r->feature >> 6] >> (r->feature & 63) & 1));
}

/* One instruction of the kind that compilers compute with, on three registers: lowering makes one op of several where they stand together. */
static unsigned put_computing(enum dec_mode mode, u8 *b)
{
    static const u8 shifts[] = { 0, 1, 4, 5, 7 };
    static const u16 ones[] = { 0xFFC0, 0xFFC8, 0xF7D0, 0xF7D8 }; /* INC DEC NOT NEG */
    u8 d = (u8)pick(3), s = (u8)pick(3), rr = (u8)(0xC0 | s << 3 | d), cc = (u8)pick(16);
    unsigned n = 0;
    u64 x, y; /* drawn one after the other: operands and initialisers have no order of their own */
    if (mode == MODE_64 && pick(2))
        b[n++] = 0x48;
#define PUT(...) return memcpy(b + n, (u8[]){ __VA_ARGS__ }, sizeof((u8[]){ __VA_ARGS__ })), n + (unsigned)sizeof((u8[]){ __VA_ARGS__ })
    switch (pick(17)) {
    case 0: case 1: case 2: PUT(0x89, rr);
    case 3: case 4: case 5: PUT((u8)(pick(8) << 3 | 1), rr);
    case 6: x = pick(8), y = rnd(); PUT(0x83, (u8)(0xC0 | x << 3 | d), (u8)y);
    case 7: x = shifts[pick(5)], y = rnd(); PUT(0xC1, (u8)(0xC0 | x << 3 | d), (u8)y);
    case 8: PUT(0x85, rr);
    case 9: { u16 one = ones[pick(4)]; PUT((u8)(one >> 8), (u8)(one | d)); }
    case 10: x = pick(4), x = x << 6 | pick(3) << 3, y = rnd(), y &= -pick(2); PUT(0x8D, (u8)(0x44 | d << 3), (u8)(x | s), (u8)y);
    case 11: PUT(0x0F, (u8)(0x40 | cc), (u8)(0xC0 | d << 3 | s));
    case 12: n = 0; PUT(0x0F, (u8)(0x90 | cc), (u8)(0xC0 | d));
    case 13: case 14: n = 0; x = pick(2) << 3, y = pick(8) ? d : 4; PUT((u8)(0x50 | x | y)); /* PUSH, POP */
    case 15: n = 0; PUT(0xEB, (u8)(pick(24) - 12)); /* JMP */
    default: n = 0; PUT((u8)(0x70 | cc), (u8)pick(4));
    }
#undef PUT
}

/* A fifth bytes at random, two fifths encodings of rows, two fifths computing in a few registers: then true. */
static bool put_code(enum dec_mode mode, const u64 *features)
{
    u8 b[16];
    u64 style = pick(5);
    for (unsigned i = 0; i < CODE_LEN; i++)
        image[CODE + i] = (u8)rnd();
    for (unsigned at = 0, len; style && at < CODE_LEN - 16; at += len) {
        unsigned row = (unsigned)pick(isa_row_count);
        len = style > 2 && pick(16) ? put_computing(mode, b) : counts(row, features) ? encode(row, mode, features, b) : 0;
        memcpy(image + CODE + at, b, len);
    }
    return style > 2;
}

static bool make_image(enum kind k, enum dec_mode mode, const u64 *features)
{
    memset(image, 0, sizeof image);
    put_tables(PML4, false);
    put_tables(NPML4, true);
    put_data(k);
    put_vectors(k);
    put_descriptors(k);
    for (u64 a = IOPM; a < NPML4; a += 8)
        put(a, 8, pick(8) ? 0 : rnd());
    put_vmcb(k);
    put_host();
    return put_code(mode, features);
}

/* ---- registers of a case ---- */

static enum dec_mode mode_of(enum kind k)
{
    return k == REAL || k == PM16 || k == V86 || k == GUEST_REAL ? MODE_16 : k == LONG || k == USER64 || k == GUEST64 ? MODE_64 : MODE_32;
}

static u64 some_value(void)
{
    static const u32 msrs[] = { 0x10, 0x1B, 0x174, 0x1D9, 0x277, 0x2FF, 0xC0000080, 0xC0000081, 0xC0000082, 0xC0000100, 0xC0000102, 0xC0010015, 0xC0010117 };
    static const u16 sels[] = { CODE0, DATA0, CODE3, DATA3, LDT_SEL, TSS_FREE, CODE64, 0 };
    switch (pick(9)) {
    case 8: return XAREA;
    case 0: return rnd();
    case 1: return pick(256);
    case 2: return sels[pick(ARRAY_LEN(sels))];
    case 3: return msrs[pick(ARRAY_LEN(msrs))];
    case 4: return VMCB + 0x1000 * pick(2);
    case 5: return pick(2);
    default: return DATA + (pick(0x8000) & ~7ull);
    }
}

struct start { u64 gpr[16], rip, cr4, efer, rflags; };

/* Of streams that compute half the registers are 64 bits wide. */
static struct start make_start(enum kind k, bool computes)
{
    u64 rip = k >= GUEST_REAL ? HOST : code_at(), cr4 = rnd(), sce = pick(2) ? EFER_SCE : 0, tf = pick(8) ? 0 : FL_TF, iopl = pick(4) ? 0 : FL_IOPL;
    struct start s = { .rip = rip, .cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXSAVE | CR4_PKE | (cr4 & (CR4_FSGSBASE | CR4_VME | CR4_DE)),
                       .efer = EFER_SVME | sce, .rflags = 2 | tf | iopl };
    for (unsigned i = 0; i < 16; i++)
        s.gpr[i] = computes && pick(2) ? rnd() : some_value();
    s.gpr[RSP] = STACK - 8 * pick(16);
    if (pick(8) == 0) { /* XSETBV's register and value */
        s.gpr[RCX] = s.gpr[RDX] = 0;
        s.gpr[RAX] = 3;
    }
    return s;
}

static void load_segments(struct cpu_state *st, enum kind k)
{
    bool user = k == USER32 || k == USER64, s16 = k == PM16, real = k == REAL || k == V86;
    u16 cs = k == USER32 ? CODE3 : k == USER64 ? CODE64_3 : k == LONG || k >= GUEST_REAL ? CODE64 : s16 ? CODE16 : CODE0;
    u16 ds = real ? 0 : user ? DATA3 : s16 ? DATA16 : DATA0, dpl = user || k == V86 ? 0x60 : 0;
    for (unsigned i = 0; i < SEG_COUNT6; i++)
        st->seg[i] = (struct seg){ .sel = i == SEG_CS && !real ? cs : ds, .limit = real || s16 ? 0xFFFF : 0xFFFFFFFF,
                                   .attr = (u16)((i == SEG_CS && !real ? 0x9B : 0x93) | dpl | (real || s16 ? 0 : ATTR_G | ATTR_DB)) };
    if (cs == CODE64 || cs == CODE64_3)
        st->seg[SEG_CS].attr = (u16)((st->seg[SEG_CS].attr & ~ATTR_DB) | ATTR_L);
    st->seg[SEG_TR] = (struct seg){ .base = TSS, .limit = 0x2FF, .sel = TSS_SEL, .attr = ATTR_P | 0xB };
    st->cpl = user || k == V86 ? 3 : 0;
}

static void set_up(struct svmemu *m, enum kind k, const struct start *s)
{
    struct vcpu *c = m->cpu[0];
    struct cpu_state *st = &c->st;
    bool l = k == LONG || k == USER64 || k == COMPAT || k >= GUEST_REAL;
    svmemu_reset(m);
    assert_int_equal(svmemu_mem_write(m, 0, image, RAM), SVMEMU_OK);
    load_segments(st, k);
    st->cr0 = CR0_ET | (s->gpr[1] & 1 ? CR0_AM : 0) | (k == REAL ? 0 : CR0_PE) | (l ? CR0_PG : 0);
    st->cr3 = l ? PML4 : 0x2000;
    st->cr4 = s->cr4;
    st->efer = s->efer | (l ? EFER_LME | EFER_LMA | EFER_NXE : 0) | (cpu_has(c, FEAT_MCOMMIT) ? EFER_MCOMMIT : 0);
    st->gdtr = (struct dtr){ .base = GDT, .limit = 0xFF };
    st->idtr = (struct dtr){ .base = k == REAL ? 0 : IDT, .limit = 0xFFF };
    st->vm_hsave_pa = HSAVE;
    st->sysenter_cs = CODE0;
    st->sysenter_eip = st->lstar = st->cstar = CODE + 0x100;
    st->sysenter_esp = STACK;
    st->star = (u64)CODE3 << 48 | (u64)CODE0 << 32;
    memcpy(st->gpr, s->gpr, sizeof s->gpr);
    st->rip = s->rip;
    st->activity = ACT_RUN;
    cpu_set_rflags(c, s->rflags | (k == V86 ? FL_VM : 0));
    mmu_flush_all(&c->mmu);
    machine_cpu_changed(c);
}

/* ---- running ---- */

struct ran { struct svmemu_stop stop; u64 insns, hash; bool late; /* ended by its time */ };

static u64 events(const struct vcpu *c)
{
    u64 n = c->stat_vmexit + c->stat_irqs;
    for (unsigned i = 0; i < 32; i++)
        n += c->stat_exceptions[i];
    return n;
}

/* The TLB still holds another place for this address than the tables name. */
static bool stale(struct vcpu *c, u64 lin, u64 spa)
{
    struct tlb_ref ref;
    return tlb_lookup(c->mmu.tlb, lin, &ref) && (ref.e->spa | (lin & (BIT(ref.shift) - 1))) != spa;
}

/* The row that stands at RIP, without a trace in the machine; isa_row_count: none, or not known. */
static unsigned row_at_rip(struct svmemu *m)
{
    struct vcpu *c = m->cpu[0];
    u8 b[15];
    unsigned n = 0;
    struct insn in;
    for (; n < sizeof b; n++) {
        struct spa spa;
        u64 lin = cpu_code_lin(c, c->st.rip + n);
        if (!mmu_peek(&c->mmu, (struct gva){ lin }, &spa) || spa.v >= RAM || stale(c, lin, spa.v))
            break;
        phys_read(&m->view, spa, b + n, 1);
    }
    return n && decode_insn(b, n, cpu_mode(c), m->features, &in) == DEC_OK ? in.row : isa_row_count;
}

/* One instruction; counts its row when it completed. With an event pending it may be a handler's first one instead. */
static bool step_noting(struct svmemu *m, u64 cycles, u32 *reached, struct svmemu_stop *stop)
{
    struct vcpu *c = m->cpu[0];
    unsigned row = c->st.activity == ACT_RUN && !c->pending ? row_at_rip(m) : isa_row_count;
    u64 before = events(c), insns = c->insns;
    assert_int_equal(svmemu_run(m, 1, cycles, stop), SVMEMU_OK);
    bool completed = row < isa_row_count && events(c) == before && c->insns == insns + 1 &&
                     (stop->reason == SVMEMU_STOP_LIMIT_INSNS || stop->reason == SVMEMU_STOP_LIMIT_CYCLES);
    if (completed)
        reached[row]++;
    return completed;
}

static void run_case(struct svmemu *m, unsigned engine, u32 *reached, struct ran *r)
{
    struct vcpu *c = m->cpu[0];
    u64 from = c->insns, start = c->ticks;
    if (engine != STEP) {
        assert_int_equal(svmemu_run(m, CASE_INSNS, CASE_CYCLES, &r->stop), SVMEMU_OK);
    } else {
        do
            step_noting(m, CASE_CYCLES, reached, &r->stop); /* a REP of 2^32 elements is one instruction: it ends by its cycles */
        while (r->stop.reason == SVMEMU_STOP_LIMIT_INSNS && c->insns - from < CASE_INSNS && c->ticks - start < CASE_CYCLES * TICKS_PER_CYCLE);
    }
    r->late = c->ticks - start + LATE_CYCLES * TICKS_PER_CYCLE >= CASE_CYCLES * TICKS_PER_CYCLE;
    r->insns = c->insns - from;
    r->hash = svmemu_state_hash(m);
}

static void differences(struct svmemu *a, struct svmemu *b)
{
    static u8 x[RAM], y[RAM];
    for (unsigned i = 0; svmemu_reg_name(i); i++) {
        uint64_t u = 0, v = 0;
        svmemu_reg_read_id(a, 0, i, &u);
        svmemu_reg_read_id(b, 0, i, &v);
        if (u != v)
            print_message("  %s %#llx, %#llx\n", svmemu_reg_name(i), (unsigned long long)u, (unsigned long long)v);
    }
    svmemu_mem_read(a, 0, x, RAM);
    svmemu_mem_read(b, 0, y, RAM);
    for (unsigned i = 0; i < RAM; i++)
        if (x[i] != y[i]) {
            print_message("  memory at %#x: %02x, %02x\n", i, x[i], y[i]);
            break;
        }
    print_message("  instructions %llu, %llu; ticks %llu, %llu\n", (unsigned long long)a->cpu[0]->insns, (unsigned long long)b->cpu[0]->insns,
                  (unsigned long long)a->cpu[0]->ticks, (unsigned long long)b->cpu[0]->ticks);
}

static u32 *reached;
static struct svmemu *machines[ENGINES];

static int group_setup(void **state)
{
    const char *seed = getenv("SVMEMU_RANDOM_SEED");
    (void)state;
    rng = seed ? strtoull(seed, NULL, 0) : 0x5EED;
    reached = calloc(isa_row_count, sizeof *reached);
    for (unsigned e = 0; e < ENGINES; e++) {
        struct svmemu_config c = { .memory = RAM, .cpu = "max", .generic_only = e == GENERIC, .fast_off = e == NO_FAST, .blocks_off = e == NO_BLOCKS };
        if (!reached || svmemu_create(&c, &machines[e]) != SVMEMU_OK)
            return -1;
    }
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    for (unsigned e = 0; e < ENGINES; e++)
        svmemu_destroy(machines[e]);
    free(reached);
    return 0;
}

/* Ticks, counts and the random number generator go on over cases: after a case that the step engine ended elsewhere, all stand alike again. */
static void machines_in_step(enum kind k, const struct start *s)
{
    u64 last = 0;
    for (unsigned e = 0; e < ENGINES; e++) {
        set_up(machines[e], k, s);
        last = machines[e]->cpu[0]->ticks > last ? machines[e]->cpu[0]->ticks : last;
    }
    for (unsigned e = 0; e < ENGINES; e++) {
        struct vcpu *c = machines[e]->cpu[0];
        c->ticks = last;
        c->insns = machines[0]->cpu[0]->insns;
        c->st.rng = machines[0]->cpu[0]->st.rng;
    }
}

/* After how many instructions engine e first differs from the full one, and how they then differ. */
static void first_difference(enum kind k, const struct start *s, unsigned e)
{
    for (u64 n = 1; n <= CASE_INSNS; n++) {
        struct svmemu_stop stop;
        machines_in_step(k, s);
        assert_int_equal(svmemu_run(machines[FULL], n, CASE_CYCLES, &stop), SVMEMU_OK);
        for (u64 i = 0; i < (e == STEP ? n : 1); i++)
            assert_int_equal(svmemu_run(machines[e], e == STEP ? 1 : n, CASE_CYCLES, &stop), SVMEMU_OK);
        if (svmemu_state_hash(machines[FULL]) != svmemu_state_hash(machines[e])) {
            print_message("first difference after %llu instructions:\n", (unsigned long long)n);
            differences(machines[FULL], machines[e]);
            machines_in_step(k, s);
            for (u64 i = 0; i < n; i++) { /* the way there */
                unsigned row = row_at_rip(machines[STEP]);
                const struct vcpu *c = machines[STEP]->cpu[0];
                print_message("  %llx:%llx %s, rcx %llx, flags %llx, ticks %llu\n", (unsigned long long)c->st.seg[SEG_CS].base, (unsigned long long)c->st.rip,
                              row < isa_row_count ? isa_rows[row].name : "?", (unsigned long long)c->st.gpr[RCX], (unsigned long long)cpu_rflags(c),
                              (unsigned long long)c->ticks);
                svmemu_run(machines[STEP], 1, CASE_CYCLES, &stop);
            }
            return;
        }
    }
}

/* One number of all streams' ends, for scripts/test.sh, which compares it between compilers, dispatchers and sets of handlers. */
static void write_hash(u64 hash)
{
    const char *name = getenv("SVMEMU_RANDOM_HASH");
    print_message("hash over the streams' ends: %016llx\n", (unsigned long long)hash);
    if (!name)
        return;
    FILE *f = fopen(name, "w");
    assert_non_null(f);
    fprintf(f, "%016llx\n", (unsigned long long)hash);
    assert_int_equal(fclose(f), 0);
}

static void test_streams(void **state)
{
    const char *n = getenv("SVMEMU_RANDOM_INSNS");
    u64 want = n ? strtoull(n, NULL, 0) : 1000000, done = 0, cases = 0, ends[16] = { 0 }, kinds[KINDS] = { 0 }, hash = 0;
    (void)state;
    while (done < want) {
        enum kind k = (enum kind)pick(KINDS);
        struct ran ran[ENGINES] = { 0 };
        u64 seed = rng;
        bool computes = make_image(k, mode_of(k), machines[0]->features);
        struct start s = make_start(k, computes);
        for (unsigned e = 0; e < ENGINES; e++) {
            set_up(machines[e], k, &s);
            run_case(machines[e], e, reached, &ran[e]);
            if (e == STEP && (ran[0].late || ran[e].late)) /* single steps do not stop at the very tick */
                machines_in_step(k, &s);
            else if (ran[e].hash != ran[0].hash || ran[e].stop.reason != ran[0].stop.reason) {
                first_difference(k, &s, e);
                fail_msg("case %llu (seed %#llx, kind %d): %s ends with %s at %#llx, full with %s at %#llx", (unsigned long long)cases,
                         (unsigned long long)seed, (int)k, engine_names[e], svmemu_stop_name(ran[e].stop.reason),
                         (unsigned long long)ran[e].stop.rip, svmemu_stop_name(ran[0].stop.reason), (unsigned long long)ran[0].stop.rip);
            }
        }
        done += ran[0].insns + (ran[0].insns == 0);
        kinds[k] += ran[0].insns;
        ends[ran[0].stop.reason & 15]++;
        hash = (hash ^ ran[0].hash) * 0x100000001B3;
        cases++;
    }
    write_hash(hash);
    print_message("%llu instructions attempted in %llu streams on each of %d engines\n", (unsigned long long)done, (unsigned long long)cases, ENGINES);
    for (unsigned r = 0; r < 16; r++)
        if (ends[r])
            print_message("  %llu ended with: %s\n", (unsigned long long)ends[r], svmemu_stop_name((enum svmemu_stop_reason)r));
    for (unsigned k = 0; k < KINDS; k++) {
        static const char *const names[KINDS] = { "real", "protected 16", "protected 32", "user 32", "long", "user 64", "compatibility", "virtual-8086",
                                                  "guest, real", "guest, 32", "guest, 64" };
        print_message("  %llu in streams that began in mode: %s\n", (unsigned long long)kinds[k], names[k]);
        assert_true(want < 100000 || kinds[k] > 1000);
    }
}

/* ---- every row ---- */

static bool listed(const char *file, const char *key)
{
    char line[256];
    FILE *f = fopen(file, "r");
    bool found = false;
    assert_non_null(f);
    while (!found && fgets(line, sizeof line, f))
        found = line[0] != '#' && !strncmp(line, key, strlen(key)) && line[strlen(key)] == ' ';
    fclose(f);
    return found;
}

static bool try_row(unsigned row)
{
    enum kind k = (enum kind)pick(GUEST_REAL); /* the host kinds */
    u8 b[16];
    struct svmemu_stop stop;
    unsigned len = encode(row, mode_of(k), machines[STEP]->features, b);
    if (!len)
        return false;
    struct start s = make_start(k, false);
    memcpy(image + s.rip, b, len);
    s.rflags &= ~(u64)FL_TF;
    set_up(machines[STEP], k, &s);
    return step_noting(machines[STEP], CASE_CYCLES, reached, &stop);
}

static void test_every_row(void **state)
{
    static const char file[] = SVMEMU_SOURCE_DIR "/tests/data/rows_not_reached.txt";
    unsigned by_streams = 0, total = 0, hidden = 0, bad = 0;
    (void)state;
    for (unsigned row = 0; row < isa_row_count; row++) {
        const struct isa_row *r = &isa_rows[row];
        if (r->kind == KIND_NONE)
            continue;
        if (!counts(row, machines[STEP]->features)) {
            hidden++;
            continue;
        }
        total++;
        by_streams += reached[row] != 0;
        for (unsigned i = 0; i < ROW_TRIES && !reached[row]; i++) {
            if (i % 64 == 0)
                make_image((enum kind)pick(GUEST_REAL), MODE_32, machines[STEP]->features);
            try_row(row);
        }
        char key[64];
        snprintf(key, sizeof key, "%s %02X", r->name, r->opcode);
        bool excused = listed(file, key);
        if (excused == (reached[row] != 0)) {
            print_message("%s: %s\n", key, excused ? "completes, but stands in tests/data/rows_not_reached.txt" : "never completed");
            bad++;
        }
    }
    print_message("%u rows: %u completed in the streams, the others in tries of their own but for those listed; %u hidden by the profile\n", total,
                  by_streams, hidden);
    assert_int_equal(bad, 0);
}

/* ---- paged real mode: like real mode, on pages that are all there [APM2 15.19] ---- */

/* The tables, where no segment of the guest's reaches. */
enum { PAGED_TRIES = 24, REAL_TOP = 0x110 /* pages of 1 MiB + 64 KiB */, REAL_PDPT = NPML4 + 0x1000, REAL_PD = NPML4 + 0x2000, REAL_PT = NPML4 + 0x3000 };

/* A guest that nobody looks at, in real mode at `rip`; tables of all that it can address, with A and D set. */
static void real_guest(u64 rip)
{
    union vmcb *v = (union vmcb *)(void *)(image + VMCB);
    v->icpt_cr = v->icpt_dr = v->icpt_exc = v->icpt_misc1 = v->icpt_misc3 = v->int_ctl = 0;
    v->icpt_misc2 = 1;
    v->np_ctl = v->eventinj = v->tsc_offset = 0;
    v->cr0 = CR0_ET;
    v->rflags = 2;
    v->rip = rip;
    v->cr3 = REAL_PDPT;
    for (u64 i = 0; i < REAL_TOP; i++)
        put(REAL_PT + 8 * i, 8, i << 12 | 0x67);
    put(REAL_PD, 8, REAL_PT | 0x67);
    put(REAL_PDPT, 8, REAL_PD | 1);
}

/* What tells the two modes apart by right: CR0.PG where it is read or must not stay without PE, PDPTEs loaded with CR3, EFER.LME, which PG
 * protects, and time, which walks take. guest.svm.paged_real has these. */
static bool tells(const struct isa_row *r, const struct start *s)
{
    static const char *const names[] = { "rdtsc", "rdtscp", "rdpru", "wrmsr", "smsw", "lmsw", "mov_from_cr", "mov_to_cr" };
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (!strcmp(r->name, names[i]))
            return true;
    return !strcmp(r->name, "rdmsr") && (u32)s->gpr[RCX] == 0x10;
}

/* Through VMRUN to behind the instruction. */
static enum svmemu_stop_reason real_run(struct svmemu *m, const struct start *s, bool paged)
{
    struct svmemu_stop stop;
    put(VMCB + offsetof(union vmcb, cr0), 8, CR0_ET | (paged ? CR0_PG : 0));
    set_up(m, GUEST_REAL, s);
    m->cpu[0]->st.seg[SEG_FS] = m->cpu[0]->st.seg[SEG_GS] = (struct seg){ .limit = 0xFFFF, .attr = 0x93 };
    machine_cpu_changed(m->cpu[0]);
    assert_int_equal(svmemu_run(m, 3, CASE_CYCLES, &stop), SVMEMU_OK);
    return stop.reason;
}

static bool same_world(struct svmemu *plain, struct svmemu *paged)
{
    static u8 x[RAM], y[RAM];
    for (unsigned i = 0; svmemu_reg_name(i); i++) {
        uint64_t u = 0, v = 0;
        svmemu_reg_read_id(plain, 0, i, &u);
        svmemu_reg_read_id(paged, 0, i, &v);
        if (u != v && (strcmp(svmemu_reg_name(i), "cr0") || (u ^ v) != CR0_PG))
            return false;
    }
    svmemu_mem_read(plain, 0, x, RAM);
    svmemu_mem_read(paged, 0, y, RAM);
    memset(x + VMCB + offsetof(union vmcb, cr0), 0, 8);
    memset(y + VMCB + offsetof(union vmcb, cr0), 0, 8);
    return !memcmp(x, y, RAM);
}

/* True when it completed, without an exception; `bad` counts where the modes differ. */
static bool try_paged(unsigned row, unsigned turn, unsigned *runs, unsigned *bad)
{
    struct svmemu *plain = machines[turn & 1 ? FULL : GENERIC], *paged = machines[turn & 1 ? GENERIC : FULL];
    u8 b[16];
    unsigned len = encode(row, MODE_16, plain->features, b);
    struct start s = make_start(GUEST_REAL, false);
    if (!len || tells(&isa_rows[row], &s))
        return false;
    u64 rip = code_at();
    real_guest(rip);
    memcpy(image + rip, b, len);
    u64 rng_before = plain->cpu[0]->st.rng, seen = events(plain->cpu[0]);
    paged->cpu[0]->st.rng = rng_before;
    enum svmemu_stop_reason why[2] = { real_run(plain, &s, false), real_run(paged, &s, true) };
    ++*runs;
    if (why[0] == SVMEMU_STOP_LIMIT_CYCLES || why[1] == SVMEMU_STOP_LIMIT_CYCLES)
        return false;
    if (why[0] != why[1] || !same_world(plain, paged)) {
        print_message("%s %02X: %s in real mode, %s in paged real mode\n", isa_rows[row].name, isa_rows[row].opcode, svmemu_stop_name(why[0]),
                      svmemu_stop_name(why[1]));
        differences(plain, paged);
        ++*bad;
    }
    return why[0] == SVMEMU_STOP_LIMIT_INSNS && events(plain->cpu[0]) == seen;
}

static void test_paged_real(void **state)
{
    unsigned total = 0, completed = 0, runs = 0, bad = 0;
    (void)state;
    for (unsigned row = 0; row < isa_row_count && bad < 10; row++) {
        bool done = false;
        if (isa_rows[row].kind == KIND_NONE || !counts(row, machines[FULL]->features))
            continue;
        make_image(GUEST_REAL, MODE_16, machines[FULL]->features);
        for (unsigned i = 0; i < PAGED_TRIES && bad < 10; i++)
            done |= try_paged(row, i, &runs, &bad);
        completed += done;
        total++;
    }
    print_message("%u runs of %u rows in real and in paged real mode, the same in both; %u rows complete there\n", runs, total, completed);
    assert_int_equal(bad, 0);
    assert_true(completed > 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_streams), cmocka_unit_test(test_every_row), cmocka_unit_test(test_paged_real) };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
