// SPDX-License-Identifier: MIT
/* A case for VMRUN made of bytes, run through the public API; shared by the libFuzzer target and by the random test.
 *
 * A host in 64-bit code copies a valid VMCB into place, applies a few overrides, runs the guest, and does so up to 16 times. The bytes
 * choose guest mode, intercepts, where the VMCB, the host save area and the tables lie, the overrides (by field, or raw bytes) and the
 * guest's code; missing bytes are zero. Nothing survives from one case to the next: RESET, and all RAM is written again. */
#ifndef SVMEMU_TESTS_VMRUN_CASE_H
#define SVMEMU_TESTS_VMRUN_CASE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <svmemu/svmemu.h>

enum {
    CASE_RAM = 256 << 10,
    CASE_PT = 0x1000, /* PML4, PDPT, PD, PT; 32-bit directory and table behind them, PAE pointers last */
    CASE_HOST = 0x9000, CASE_VMCB = 0xA000, CASE_HSAVE = 0xB000, CASE_IOPM = 0xC000, CASE_MSRPM = 0xF000,
    CASE_SCRIPT = 0x11000, CASE_AVIC = 0x14000, CASE_CODE = 0x18000, CASE_STACK = 0x1B000, CASE_VALID = 0x1C000, CASE_OTHER = 0x1E000,
    CASE_RUNS = 16, CASE_CODE_MAX = 128, CASE_HEADER = 16, CASE_BYTES = 1024, CASE_FIELDS = 512, CASE_CODES = 0x500,
    CASE_ROM = 0x10000000, CASE_MMIO = 0x20000000,
};

/* A VMCB field as the API shows it, found by writing ones: the aligned 8 bytes it lies in and its bits there. */
struct case_field {
    const char *name;
    uint16_t at;
    uint64_t mask;
};

struct vmrun_case {
    struct svmemu *m;
    unsigned nfields;
    struct case_field field[CASE_FIELDS];
    uint8_t ram[CASE_RAM];
    uint8_t valid[16][4096]; /* case_valid() by mode, without and with nested paging */
    /* of the running case */
    bool inside, executed;
    uint64_t entry_insns;
    /* totals */
    uint64_t cases, with_guest, vmruns, entries, codes[CASE_CODES], invalid, other, stops[16];
};

struct case_bytes {
    const uint8_t *p;
    size_t n;
};

static inline uint64_t case_take(struct case_bytes *b, unsigned bytes)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes && b->n; i++, b->p++, b->n--)
        v |= (uint64_t)*b->p << 8 * i;
    return v;
}

static inline void case_put(uint8_t *ram, uint32_t at, unsigned bytes, uint64_t v)
{
    for (unsigned i = 0; i < bytes; i++)
        ram[at + i] = (uint8_t)(v >> 8 * i);
}

static inline uint64_t case_get(const uint8_t *ram, uint32_t at)
{
    uint64_t v = 0;
    for (unsigned i = 8; i-- > 0;)
        v = v << 8 | ram[at + i];
    return v;
}

/* Did the guest complete an instruction since its VMRUN? Two attempts: the first neither faulted out nor was intercepted. */
static inline void case_leave(struct vmrun_case *t, uint64_t insns)
{
    t->executed |= t->inside && insns - t->entry_insns >= 2;
    t->inside = false;
}

static inline void case_switch(void *ctx, const struct svmemu_switch *s)
{
    struct vmrun_case *t = ctx;
    if (s->vcpu)
        return;
    if (s->entry) {
        t->entries++;
        t->inside = true;
        t->entry_insns = s->insns;
        return;
    }
    case_leave(t, s->insns);
    if (s->code < CASE_CODES)
        t->codes[s->code]++;
    else if (s->code == UINT64_MAX)
        t->invalid++;
    else
        t->other++;
}

static inline uint64_t case_mmio_read(void *ctx, uint64_t offset, unsigned width, int vcpu)
{
    (void)ctx, (void)width, (void)vcpu;
    return offset * 0x0101010101010101u;
}

static inline void case_mmio_write(void *ctx, uint64_t offset, unsigned width, uint64_t value, int vcpu)
{
    (void)ctx, (void)offset, (void)width, (void)value, (void)vcpu;
}

static inline bool case_find_fields(struct vmrun_case *t)
{
    uint8_t page[4096];
    for (unsigned i = 0; svmemu_vmcb_field(i) && t->nfields < CASE_FIELDS; i++) {
        struct case_field *f = &t->field[t->nfields];
        unsigned at = 0;
        memset(page, 0, sizeof(page));
        f->name = svmemu_vmcb_field(i);
        uint64_t ones = UINT64_MAX;
        if (svmemu_mem_write(t->m, CASE_VMCB, page, sizeof(page)))
            return false;
        while (ones && svmemu_vmcb_write(t->m, CASE_VMCB, f->name, ones)) /* refused: wider than the field */
            ones >>= 1;
        if (!ones || svmemu_mem_read(t->m, CASE_VMCB, page, sizeof(page)))
            return false;
        while (at < sizeof(page) && !page[at])
            at++;
        f->at = (uint16_t)(at & ~7u);
        if (at < sizeof(page) && (f->mask = case_get(page, f->at)) != 0)
            t->nfields++;
    }
    return t->nfields > 100;
}

/* Identity maps: 64-bit (RAM by 4 KiB, then 1 GiB pages to 512 GiB), 32-bit and PAE. */
static inline void case_tables(uint8_t *ram)
{
    case_put(ram, CASE_PT, 8, CASE_PT + 0x1007);
    case_put(ram, CASE_PT + 0x1000, 8, CASE_PT + 0x2007);
    for (uint64_t i = 1; i < 512; i++)
        case_put(ram, CASE_PT + 0x1000 + 8 * (uint32_t)i, 8, i << 30 | 0x87);
    case_put(ram, CASE_PT + 0x2000, 8, CASE_PT + 0x3007);
    case_put(ram, CASE_PT + 0x4000, 4, CASE_PT + 0x5007);
    for (uint32_t i = 0; i < CASE_RAM >> 12; i++) {
        case_put(ram, CASE_PT + 0x3000 + 8 * i, 8, i << 12 | 7);
        case_put(ram, CASE_PT + 0x5000 + 4 * i, 4, i << 12 | 7);
    }
    case_put(ram, CASE_PT + 0x6000, 8, CASE_PT + 0x2001);
}

/* Addresses at which a table is worth placing. */
static inline uint64_t case_place(unsigned i)
{
    static const uint64_t at[] = { CASE_HSAVE, CASE_VMCB, CASE_IOPM, CASE_MSRPM, CASE_AVIC, CASE_PT, CASE_PT + 0x3000, CASE_CODE, CASE_HOST,
                                   0, CASE_RAM - 0x1000, CASE_RAM, CASE_RAM - 0x2000, CASE_ROM, CASE_MMIO, 0xFEE00000, 0xFEC00000,
                                   0xFFFFF000, 0x7FFFFFF000, (1ull << 48) - 0x1000, (1ull << 48) - 0x2000, (1ull << 48) - 0x3000, 1ull << 48,
                                   0xFFFFFFFFFF000, ~0xFFFull, CASE_VALID, CASE_SCRIPT };
    return at[i % (sizeof(at) / sizeof(at[0]))];
}

static inline void case_set(struct vmrun_case *t, uint8_t *page, const char *name, uint64_t v)
{
    for (unsigned i = 0; i < t->nfields; i++)
        if (!strcmp(t->field[i].name, name)) {
            const struct case_field *f = &t->field[i];
            unsigned shift = (unsigned)__builtin_ctzll(f->mask);
            case_put(page, f->at, 8, (case_get(page, f->at) & ~f->mask) | (v << shift & f->mask));
            return;
        }
    fprintf(stderr, "no VMCB field %s\n", name);
    abort();
}

static inline void case_segment(struct vmrun_case *t, uint8_t *page, const char *seg, unsigned sel, unsigned attr, uint32_t limit)
{
    char name[16];
    snprintf(name, sizeof(name), "%s_sel", seg);
    case_set(t, page, name, sel);
    snprintf(name, sizeof(name), "%s_attr", seg);
    case_set(t, page, name, attr);
    snprintf(name, sizeof(name), "%s_limit", seg);
    case_set(t, page, name, limit);
}

enum { CASE_LONG, CASE_LONG_32, CASE_FLAT, CASE_PAGED_32, CASE_PAE, CASE_REAL, CASE_PAGED_REAL, CASE_V86, CASE_MODES };

/* A VMCB that every check accepts, for a guest at CASE_CODE. */
static inline void case_valid(struct vmrun_case *t, uint8_t *page, unsigned mode, bool np)
{
    static const char *const data[] = { "es", "ss", "ds", "fs", "gs" };
    static const uint32_t cr0[CASE_MODES] = { 0x80000011, 0x80000011, 0x11, 0x80000011, 0x80000011, 0x10, 0x80000010, 0x80000011 };
    bool real = mode >= CASE_REAL, lm = mode <= CASE_LONG_32;
    uint32_t limit = real ? 0xFFFF : 0xFFFFFFFF;
    case_set(t, page, "icpt_misc2", 1);
    case_set(t, page, "asid", 1);
    case_set(t, page, "iopm_base", CASE_IOPM);
    case_set(t, page, "msrpm_base", CASE_MSRPM);
    case_set(t, page, "efer", lm ? 0x1500 : 0x1000);
    case_set(t, page, "cr0", cr0[mode]);
    case_set(t, page, "cr4", lm || mode == CASE_PAE ? 0x20 : 0);
    case_set(t, page, "cr3", lm ? CASE_PT : mode == CASE_PAE ? CASE_PT + 0x6000 : CASE_PT + 0x4000);
    case_set(t, page, "dr6", 0xFFFF0FF0);
    case_set(t, page, "dr7", 0x400);
    case_set(t, page, "g_pat", 0x0007040600070406);
    case_set(t, page, "rflags", mode == CASE_V86 ? 0x20002 : 2);
    case_set(t, page, "cpl", mode == CASE_V86 ? 3 : 0);
    case_set(t, page, "rsp", real ? 0xFF0 : CASE_STACK + 0xFF0);
    case_set(t, page, "rip", real ? 0 : CASE_CODE);
    case_set(t, page, "np_enable", np);
    case_set(t, page, "n_cr3", CASE_PT);
    case_segment(t, page, "cs", real ? CASE_CODE >> 4 : 8, mode == CASE_LONG ? 0x29B : real ? 0x9B : 0xC9B, limit);
    case_set(t, page, "cs_base", real ? CASE_CODE : 0);
    for (unsigned i = 0; i < 5; i++)
        case_segment(t, page, data[i], real ? CASE_STACK >> 4 : 16, real ? 0x93 : 0xC93, limit);
    if (real) {
        case_set(t, page, "es_base", CASE_STACK);
        case_set(t, page, "ss_base", CASE_STACK);
        case_set(t, page, "ds_base", CASE_STACK);
    }
    case_segment(t, page, "tr", 24, 0x8B, 0x67);
    case_segment(t, page, "ldtr", 0, 0x82, 0);
    case_set(t, page, "gdtr_limit", 0x1F);
    case_set(t, page, "idtr_limit", mode == CASE_REAL || mode == CASE_PAGED_REAL ? 0x3FF : 0);
}

/* A virtual APIC for the guest: APIC_BAR is the page that RBX points to, backing page and tables at CASE_AVIC, four entries of which one runs. */
static inline void case_avic(struct vmrun_case *t, uint8_t *page, bool x2)
{
    case_set(t, page, "avic_enable", 1);
    case_set(t, page, "x2avic_enable", x2);
    case_set(t, page, "avic_apic_bar", CASE_VMCB);
    case_set(t, page, "avic_backing_page", CASE_AVIC);
    case_set(t, page, "avic_logical_table", CASE_AVIC + 0x1000);
    case_set(t, page, "avic_physical_table", CASE_AVIC + 0x2003);
    for (uint32_t i = 0; i < 4; i++) {
        case_put(t->ram, CASE_AVIC + 0x1000 + 4 * i, 4, 1u << 31 | i);
        case_put(t->ram, CASE_AVIC + 0x2000 + 8 * i, 8, (i == 0 ? 3ull << 62 : 1ull << 63) | (CASE_AVIC + (i & 1) * 0x3000) | i);
    }
}

static inline bool case_init(struct vmrun_case *t, const char *cpu)
{
    static const struct svmemu_mmio ops = { case_mmio_read, case_mmio_write, 0, 0 };
    struct svmemu_config c = { .memory = CASE_RAM, .cpu = cpu, .vcpus = 2 };
    uint8_t rom[4096];
    memset(t, 0, sizeof(*t));
    memset(rom, 0x5A, sizeof(rom));
    if (svmemu_create(&c, &t->m) || svmemu_map_rom(t->m, CASE_ROM, sizeof(rom), rom, sizeof(rom)) ||
        svmemu_map_mmio(t->m, CASE_MMIO, 4096, &ops, NULL))
        return false;
    svmemu_hook_switch(t->m, case_switch, t);
    if (!case_find_fields(t))
        return false;
    for (unsigned i = 0; i < 2 * CASE_MODES; i++)
        case_valid(t, t->valid[i], i / 2, i % 2);
    return true;
}

/* One override: two bytes say where and how, eight the value. Returns the offset of the 8 bytes that changed. */
static inline unsigned case_override(struct vmrun_case *t, uint8_t *page, struct case_bytes *b)
{
    unsigned sel = (unsigned)case_take(b, 2), kind = sel >> 12;
    uint64_t v = case_take(b, 8);
    struct case_field raw = { NULL, (uint16_t)((sel & 0xFFF) * 8 % 0x680), UINT64_MAX };
    const struct case_field *f = kind == 15 ? &raw : &t->field[(sel & 0xFFF) % t->nfields];
    uint64_t old = case_get(page, f->at), bits;
    unsigned shift = (unsigned)__builtin_ctzll(f->mask);
    switch (kind) {
    case 0: bits = case_place((unsigned)v) << shift; break;
    case 1: bits = 0; break;
    case 2: bits = UINT64_MAX; break;
    case 3: bits = (case_place((unsigned)v) + (v >> 8 & 0x1FFF)) << shift; break;
    case 4: case 5: case 6: case 7: case 8: bits = old ^ 1ull << (shift + v % (64 - shift)); break; /* one bit of it */
    default: bits = v << shift; break;
    }
    case_put(page, f->at, 8, (old & ~f->mask) | (bits & f->mask));
    return f->at;
}

/* The script of one run: {offset + 8, 8 bytes}..., 0; then 1 (more) or 0 (end). The host pops it. */
static inline uint32_t case_script(struct vmrun_case *t, uint32_t at, const uint8_t *valid, struct case_bytes *b, bool more)
{
    uint8_t page[4096];
    unsigned n = (unsigned)case_take(b, 1) % 5;
    memcpy(page, valid, sizeof(page));
    while (n-- > 0) {
        unsigned off = case_override(t, page, b);
        case_put(t->ram, at, 8, off + 8);
        case_put(t->ram, at + 8, 8, case_get(page, off));
        at += 16;
    }
    case_put(t->ram, at, 8, 0);
    case_put(t->ram, at + 8, 8, more);
    return at + 16;
}

/* copy: mov esi, VALID; mov rbx, place; mov rdi, rbx; mov ecx, D0h; rep movsq
 * next: pop rcx; jrcxz go; pop rdx; mov [rbx+rcx-8], rdx; jmp next
 * go:   vmrun rax; pop rcx; jrcxz end; jmp copy
 * end:  hlt */
static inline void case_host(uint8_t *ram, uint64_t place)
{
    static const uint8_t code[] = { 0xBE, 0, 0, 0, 0, 0x48, 0xBB, 0, 0, 0, 0, 0, 0, 0, 0, 0x48, 0x89, 0xDF, 0xB9, 0xD0, 0, 0, 0, 0xF3, 0x48, 0xA5,
                                    0x59, 0xE3, 8, 0x5A, 0x48, 0x89, 0x54, 0x0B, 0xF8, 0xEB, 0xF5,
                                    0x0F, 0x01, 0xD8, 0x59, 0xE3, 2, 0xEB, 0xD3, 0xF4 };
    memcpy(ram + CASE_HOST, code, sizeof(code));
    case_put(ram, CASE_HOST + 1, 4, CASE_VALID);
    case_put(ram, CASE_HOST + 7, 8, place);
}

/* Another processor that writes the bytes of the script over a page for ever: mov rsi, rcx; lodsq; mov [rbx], rax; add bl, 8; loop... */
static inline void case_other(struct vmrun_case *t, uint64_t page)
{
    static const uint8_t code[] = { 0xBE, 0, 0, 0, 0, 0xB9, 0, 1, 0, 0, 0x48, 0xAD, 0x48, 0x89, 0x04, 0x0B, 0x83, 0xC3, 0x08, 0xE2, 0xF5, 0xEB, 0xE9 };
    memcpy(t->ram + CASE_OTHER, code, sizeof(code));
    case_put(t->ram, CASE_OTHER + 1, 4, CASE_SCRIPT);
    svmemu_set_mode(t->m, 1, 64, CASE_PT);
    svmemu_reg_write(t->m, 1, "activity", 0);
    svmemu_reg_write(t->m, 1, "rbx", page);
    svmemu_reg_write(t->m, 1, "rip", CASE_OTHER);
}

static inline void case_must(enum svmemu_status s, const char *what)
{
    if (s == SVMEMU_OK)
        return;
    fprintf(stderr, "vmrun case: %s: %s\n", what, svmemu_status_text(s));
    abort();
}

/* Runs one case; false: it ended in a way that no guest may cause. */
static inline bool case_run(struct vmrun_case *t, const uint8_t *data, size_t size)
{
    static const char *const words[] = { "icpt_cr", "icpt_dr", "icpt_misc1", "icpt_misc2", "icpt_misc3" };
    struct case_bytes b = { data, size };
    uint8_t *valid = t->ram + CASE_VALID;
    unsigned mode = (unsigned)case_take(&b, 1), flags = (unsigned)case_take(&b, 1), runs = (unsigned)case_take(&b, 1) % CASE_RUNS + 1;
    unsigned vmcb = (unsigned)case_take(&b, 1), hsave = (unsigned)case_take(&b, 1), other = (unsigned)case_take(&b, 1);
    uint32_t at = CASE_SCRIPT;
    struct svmemu_stop stop;
    struct svmemu_stats before, after;
    memset(t->ram, 0, sizeof(t->ram));
    svmemu_reset(t->m);
    case_tables(t->ram);
    memcpy(valid, t->valid[mode % CASE_MODES * 2 + (flags & 1)], sizeof(t->valid[0]));
    if ((flags & 1) && (mode >> 3 & 3) == 3)
        case_avic(t, valid, mode >> 5 & 1);
    /* the exits that end a guest in a readable way: HLT, SHUTDOWN, CPUID; or SHUTDOWN alone; sometimes none */
    case_set(t, valid, "icpt_misc1", flags & 2 ? 0x81040000 : (flags & 0x60) == 0x60 ? 0 : 0x80000000);
    if (flags & 0x80) /* every intercept but those of exceptions and of physical events */
        for (unsigned i = 0; i < 5; i++)
            case_set(t, valid, words[i], i == 2 ? 0xFFFFFFD0 : UINT32_MAX);
    if (flags & 4)
        case_set(t, valid, "icpt_exc", (uint32_t)case_take(&b, 4));
    memset(t->ram + CASE_MSRPM, flags & 8 ? 0xFF : 0, 0x2000);
    memset(t->ram + CASE_IOPM, flags & 16 ? 0xFF : 0, 0x3000);
    uint64_t vmcb_at = vmcb < 200 ? (uint64_t)CASE_VMCB : case_place(vmcb - 200);
    for (unsigned i = 0; i < runs; i++)
        at = case_script(t, at, valid, &b, i + 1 < runs);
    memset(t->ram + CASE_CODE, 0xF4, 0x1000); /* HLT behind the guest's code; real mode's vectors lead to an IRET */
    t->ram[CASE_CODE + 0x800] = 0xCF;
    for (uint32_t i = 0; i < 256; i++)
        case_put(t->ram, 4 * i, 4, (uint32_t)CASE_CODE << 12 | 0x800);
    memcpy(t->ram + CASE_CODE, b.p, b.n < CASE_CODE_MAX ? b.n : CASE_CODE_MAX);
    case_host(t->ram, vmcb_at < 1ull << 39 ? vmcb_at : (uint64_t)CASE_VMCB);
    case_must(svmemu_set_mode(t->m, 0, 64, CASE_PT), "mode");
    if (other >= 200)
        case_other(t, case_place(other - 200));
    case_must(svmemu_mem_write(t->m, 0, t->ram, sizeof(t->ram)), "memory");
    case_must(svmemu_msr_write(t->m, 0, 0xC0000080, 0x1500), "EFER");
    uint64_t save = hsave < 200 ? (uint64_t)CASE_HSAVE : case_place(hsave - 200);
    if (svmemu_msr_write(t->m, 0, 0xC0010117, save)) /* refused beyond physical memory */
        case_must(svmemu_msr_write(t->m, 0, 0xC0010117, CASE_HSAVE), "HSAVE");
    svmemu_reg_write(t->m, 0, "rax", vmcb_at);
    svmemu_reg_write(t->m, 0, "rsp", CASE_SCRIPT);
    svmemu_reg_write(t->m, 0, "rip", CASE_HOST);
    t->inside = t->executed = false;
    svmemu_stats(t->m, &before);
    case_must(svmemu_run(t->m, 60 * runs, 50000 * runs, &stop), "run");
    svmemu_stats(t->m, &after);
    if (t->inside) /* still there at the end: the other processor's instructions are not counted as the guest's */
        t->executed |= other < 200 && after.insns - before.insns >= 40;
    t->cases++;
    t->with_guest += t->executed;
    t->vmruns += after.vmruns - before.vmruns;
    t->stops[stop.reason & 15]++;
    return stop.reason != SVMEMU_STOP_INTERNAL;
}

/* Pieces of guest code that seldom fault in any mode. */
static inline size_t case_piece(uint8_t *out, uint64_t r)
{
    static const char *const piece[] = { "\x90", "\x40\x90", "\x01\xC0", "\x89\xD8", "\x0F\xA2", "\xF4", "\x50\x58", "\xEC", "\xEE", "\x0F\x32",
                                         "\x0F\x30", "\xCC", "\xCD\x20", "\x0F\x01\xD9", "\x0F\x20\xC0", "\x0F\x22\xC0", "\x0F\x23\xC0", "\xFB",
                                         "\xFA", "\x9C\x9D", "\x0F\x31", "\xF3\x90", "\x0F\x09", "\x0F\x01\xDC", "\x0F\x01\xDD", "\xCF",
                                         "\x0F\x22\xD8", "\x0F\x22\xE0", "\x0F\x06", "\xF3\xAA", "\xF3\x6C", "\x6E", "\x0F\x01\xDF", "\x0F\x01\xDA",
                                         "\x0F\x01\xDB", "\x0F\x01\xD8", "\x0F\x0B", "\xF7\xF0", "\x0F\x01\xF0", "\x0F\x33" };
    size_t count = sizeof(piece) / sizeof(piece[0]), at = r % (count + 3), off = at == count ? 0x300 : r >> 8 & (r >> 24 & 1 ? 0x3F0 : 0xFF0);
    if (at >= count) { /* mov [rbx + disp32], eax, or the reverse: the virtual APIC, if there is one; first its ICR */
        const uint8_t access[] = { at == count + 1 ? 0x8B : 0x89, 0x83, (uint8_t)off, (uint8_t)(off >> 8), 0, 0 };
        memcpy(out, access, sizeof access);
        return sizeof access;
    }
    const char *p = piece[at];
    size_t n = strlen(p);
    memcpy(out, p, n);
    return n;
}

static inline uint64_t case_random(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

/* A case from a seed: a valid start, few overrides, tame first instructions. Returns its length. */
static inline size_t case_generate(uint8_t *out, uint64_t *s, unsigned runs)
{
    size_t n = 0;
    out[n++] = (uint8_t)case_random(s);
    out[n++] = (uint8_t)(case_random(s) & (case_random(s) % 2 ? 0xFB : 0x7B));
    out[n++] = (uint8_t)(runs - 1);
    for (unsigned i = 0; i < 3; i++) /* places: mostly the usual ones */
        out[n++] = (uint8_t)(case_random(s) % 8 ? 0 : 200 + case_random(s) % 56);
    for (unsigned i = 0; i < runs; i++) {
        unsigned k = case_random(s) % 2 ? 0 : 1 + (unsigned)(case_random(s) % 4);
        out[n++] = (uint8_t)k;
        while (k-- > 0)
            for (unsigned j = 0; j < 10; j++)
                out[n++] = (uint8_t)case_random(s);
    }
    out[n++] = 0x90;
    for (unsigned i = 0; i < 24; i++)
        if (case_random(s) % 8)
            n += case_piece(out + n, case_random(s));
        else
            out[n++] = (uint8_t)case_random(s);
    return n;
}

static inline void case_report(const struct vmrun_case *t, FILE *f)
{
    fprintf(f, "%llu cases, %llu with a completed guest instruction (%.1f %%), %llu VMRUNs, %llu entries, %llu INVALID, %llu other codes\n",
            (unsigned long long)t->cases, (unsigned long long)t->with_guest, 100.0 * (double)t->with_guest / (double)(t->cases ? t->cases : 1),
            (unsigned long long)t->vmruns, (unsigned long long)t->entries, (unsigned long long)t->invalid, (unsigned long long)t->other);
    for (unsigned i = 0; i < 16; i++)
        if (t->stops[i])
            fprintf(f, "  ended with %s: %llu\n", svmemu_stop_name((enum svmemu_stop_reason)i), (unsigned long long)t->stops[i]);
    for (unsigned i = 0; i < CASE_CODES; i++)
        if (t->codes[i])
            fprintf(f, "  %03Xh %s: %llu\n", i, svmemu_exit_name(i) ? svmemu_exit_name(i) : "?", (unsigned long long)t->codes[i]);
}

#endif
