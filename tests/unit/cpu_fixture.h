// SPDX-License-Identifier: MIT
/* A vCPU over a real bus and MMU with 1 MiB of RAM, for the cpu_*.c tests. */
#ifndef TESTS_UNIT_CPU_FIXTURE_H
#define TESTS_UNIT_CPU_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cpu/cpuid.h"
#include "cpu/internal.h"

enum { GDT = 0x1000, LDT = 0x1800, TSS_A = 0x2000, TSS_B = 0x2400, TSS_C = 0x2800, STACK0 = 0x9000, STACK3 = 0xA000 };
/* Selectors of the standard GDT */
enum { CODE0 = 0x08, DATA0 = 0x10, CODE3 = 0x1B, DATA3 = 0x23, TSSA = 0x28, TSSB = 0x38, GATE = 0x48, LDTS = 0x58, CONF = 0x60, CODE64 = 0x68,
       CODE64U = 0x73, TSSC = 0x78, NOTP = 0x80, GATE16 = 0x88, TGATE = 0x90 };

struct fix {
    struct vcpu c;
    u64 features[FEAT_WORDS];
    struct clock clock;
    struct bus *bus;
};

static inline void put(struct fix *f, u64 at, unsigned w, u64 v) { phys_write_le(&f->c.view, (struct spa){at}, w, v); }
static inline u64 get(struct fix *f, u64 at, unsigned w) { return phys_read_le(&f->c.view, (struct spa){at}, w); }

static inline u64 desc_make(u32 base, u32 limit, unsigned access, unsigned flags)
{
    return (limit & 0xFFFF) | (u64)(base & 0xFFFFFF) << 16 | (u64)access << 40 | (u64)(limit >> 16 & 15) << 48 | (u64)flags << 52 | (u64)(base >> 24) << 56;
}

static inline u64 gate_make(u16 sel, u32 off, unsigned access, unsigned params)
{
    return (off & 0xFFFF) | (u64)sel << 16 | (u64)params << 32 | (u64)access << 40 | (u64)(off >> 16) << 48;
}

static inline void gdt_set(struct fix *f, u16 sel, u64 d) { put(f, GDT + (sel & ~7u), 8, d); }

static inline void fix_segments(struct fix *f)
{
    gdt_set(f, CODE0, desc_make(0, 0xFFFFF, 0x9A, 0xC));
    gdt_set(f, DATA0, desc_make(0, 0xFFFFF, 0x92, 0xC));
    gdt_set(f, CODE3, desc_make(0, 0xFFFFF, 0xFA, 0xC));
    gdt_set(f, DATA3, desc_make(0, 0xFFFFF, 0xF2, 0xC));
    gdt_set(f, TSSA, desc_make(TSS_A, 0x67, 0x89, 0));
    gdt_set(f, TSSB, desc_make(TSS_B, 0x67, 0x89, 0));
    gdt_set(f, GATE, gate_make(CODE0, 0x5678, 0xEC, 2));
    gdt_set(f, LDTS, desc_make(LDT, 0x7F, 0x82, 0));
    gdt_set(f, CONF, desc_make(0, 0xFFFFF, 0x9E, 0xC));
    gdt_set(f, CODE64, desc_make(0, 0, 0x9A, 0x2));
    gdt_set(f, CODE64U, desc_make(0, 0, 0xFA, 0x2));
    gdt_set(f, TSSC, desc_make(TSS_C, 0x2B, 0x81, 0));
    gdt_set(f, NOTP, desc_make(0, 0xFFFFF, 0x12, 0xC));
    gdt_set(f, GATE16, gate_make(CODE0, 0x4321, 0xE4, 1));
    gdt_set(f, TGATE, gate_make(TSSB, 0, 0xE5, 0));
    f->c.st.gdtr = (struct dtr){.base = GDT, .limit = 0xFF};
}

static inline void fix_load(struct fix *f, unsigned seg, u16 sel)
{
    u64 d = get(f, GDT + (sel & ~7u), 8);
    seg_unpack(&f->c.st.seg[seg], sel, (struct desc){(u32)d, (u32)(d >> 32)}, 0);
}

/* 32-bit protected mode at the given CPL, unpaged. */
static inline void fix_protected(struct fix *f, unsigned cpl)
{
    struct cpu_state *s = &f->c.st;
    s->cr0 = CR0_PE | CR0_ET;
    s->cpl = (u8)cpl;
    fix_load(f, SEG_CS, cpl ? CODE3 : CODE0);
    for (unsigned i = 0; i < 6; i++)
        if (i != SEG_CS)
            fix_load(f, i, cpl ? DATA3 : DATA0);
    fix_load(f, SEG_TR, TSSA);
    s->seg[SEG_TR].attr |= 2;
    put(f, GDT + TSSA + 5, 1, 0x8B);
    put(f, TSS_A + 4, 4, STACK0);
    put(f, TSS_A + 8, 4, DATA0);
    s->gpr[RSP] = cpl ? STACK3 : STACK0;
    s->rip = 0x3000;
    f->c.next_rip = 0x3005;
    cpu_update_mode(&f->c);
}

/* 64-bit mode: 4 MiB identity mapped by 2-MiB user pages. */
static inline void fix_long(struct fix *f, unsigned cpl)
{
    fix_protected(f, cpl);
    put(f, 0x10000, 8, 0x11007);
    put(f, 0x11000, 8, 0x12007);
    put(f, 0x12000, 8, 0x87);
    put(f, 0x12008, 8, 0x200087);
    f->c.st.cr3 = 0x10000;
    f->c.st.cr4 = CR4_PAE;
    f->c.st.efer = EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE;
    f->c.st.cr0 |= CR0_PG;
    fix_load(f, SEG_CS, cpl ? CODE64U : CODE64);
    cpu_update_mode(&f->c);
}

static inline struct fix *fix_new(const char *model)
{
    struct fix *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->bus = bus_create(48);
    assert_non_null(f->bus);
    assert_true(bus_add_ram(f->bus, 0, 1 << 20, "ram"));
    clock_init(&f->clock, 2000000000, 2000000000);
    f->c.view = (struct phys_view){.bus = f->bus, .cpu = 0, .apic_page = ~0ull, .a20_mask = ~0ull};
    f->c.model = cpu_model_find(model);
    assert_non_null(f->c.model);
    cpu_model_features(f->c.model, f->features);
    f->c.features = f->features;
    f->c.clock = &f->clock;
    assert_true(mmu_init(&f->c.mmu, &f->c.view, 0));
    f->c.budget = (i64)1 << 60;
    cpu_reset(&f->c, false);
    fix_segments(f);
    return f;
}

static inline void fix_free(struct fix *f)
{
    mmu_free(&f->c.mmu);
    bus_destroy(f->bus);
    free(f);
}

static inline void expect_fault(struct fix *f, u8 vec, u32 err)
{
    assert_int_equal(f->c.ev.kind, EV_FAULT);
    assert_int_equal(f->c.ev.vec, vec);
    assert_true(f->c.ev.has_err);
    assert_int_equal(f->c.ev.err, err);
    f->c.ev.kind = EV_NONE;
}

#endif
