// SPDX-License-Identifier: MIT
/* A machine whose host does one VMRUN and stops at a HLT behind it, for the tables of tests/data: memory map, guest modes, and the words by
 * which a table's line changes the state ("rax=5 rflags+=200 iopm:3F8"). */
#ifndef TESTS_UNIT_SVM_GUEST_H
#define TESTS_UNIT_SVM_GUEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu/internal.h"
#include "machine/machine.h"

/* Guest memory is the first MiB, its page tables map all of it but HOLE; RDONLY is read-only. Linear is physical. */
enum { GDT = 0x1000, IDT = 0x2000, CODE = 0x4000, DATA = 0x5000, STACK = 0x8000, STACK0 = 0x8800, TSS = 0x9000, TSS_B = 0x9400,
       HANDLERS = 0xA000, TABLES = 0x20000, HOLE = 0x60000, RDONLY = 0x61000,
       HOST_CODE = 0x100000, HOST_TABLES = 0x101000, VMCB = 0x108000, HSAVE = 0x109000, IOPM = 0x10A000, MSRPM = 0x10D000, NPT = 0x110000,
       RAM = 0x200000 };
enum { SENTINEL_LEN = 3, HANDLER_SIZE = 16 };

struct lab {
    struct svmemu *m;
    struct vcpu *c;
    const char *profile, *mode;
    union vmcb in, out;       /* before VMRUN; after #VMEXIT */
    u64 gpr[16];              /* the guest's before VMRUN */
    struct svmemu_stop stop;
    bool exited;
    char error[160];          /* a word of the table that is not understood */
};

static inline void lab_write(struct lab *l, u64 at, const void *p, size_t n)
{
    assert_int_equal(svmemu_mem_write(l->m, at, p, n), SVMEMU_OK);
}

static inline void lab_put(struct lab *l, u64 at, unsigned width, u64 v)
{
    lab_write(l, at, &v, width);
}

static inline u64 lab_get(struct lab *l, u64 at, unsigned width)
{
    u64 v = 0;
    assert_int_equal(svmemu_mem_read(l->m, at, &v, width), SVMEMU_OK);
    return v;
}

static inline u64 desc_make(u32 base, u32 limit, unsigned access, unsigned flags)
{
    return (limit & 0xFFFF) | (u64)(base & 0xFFFFFF) << 16 | (u64)access << 40 | (u64)(limit >> 16 & 15) << 48 | (u64)flags << 52 |
           (u64)(base >> 24) << 56;
}

static inline void lab_create(struct lab *l, const char *profile, bool blocks_off)
{
    struct svmemu_config cfg = {.memory = RAM, .cpu = profile, .blocks_off = blocks_off};
    *l = (struct lab){.profile = profile};
    assert_int_equal(svmemu_create(&cfg, &l->m), SVMEMU_OK);
    l->c = l->m->cpu[0];
    lab_put(l, HOST_TABLES, 8, HOST_TABLES + 0x1003);
    lab_put(l, HOST_TABLES + 0x1000, 8, HOST_TABLES + 0x2003);
    lab_put(l, HOST_TABLES + 0x2000, 8, 0x83);
    lab_write(l, HOST_CODE, "\x0F\x01\xD8\xF4", 4); /* vmrun; hlt */
}

static inline void lab_destroy(struct lab *l)
{
    svmemu_destroy(l->m);
}

static inline bool lab_has(const struct lab *l, const char *feature)
{
    for (unsigned i = FEAT_NONE; i < FEAT_COUNT; i++)
        if (!strcmp(cpu_feature_name(i), feature))
            return cpu_has(l->c, i);
    return false; /* a feature that no profile has */
}

/* ---- guest memory and registers of a mode ---- */

static inline void lab_tables(struct lab *l, bool long_mode)
{
    static u8 zero[0x10000], handlers[0x1000];
    u64 idt[512] = {0};
    lab_write(l, 0, zero, sizeof zero);
    static const u64 flat32[] = {0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF, 0x00CFFB000000FFFF, 0x00CFF3000000FFFF};
    lab_write(l, GDT, flat32, sizeof flat32);
    if (long_mode) {
        lab_put(l, GDT + 0x08, 8, 0x00AF9B000000FFFF);
        lab_put(l, GDT + 0x18, 8, 0x00AFFB000000FFFF);
    }
    lab_put(l, GDT + 0x28, 8, desc_make(TSS, 0x7F, 0x8B, 0));
    if (!long_mode)
        lab_put(l, GDT + 0x30, 8, desc_make(TSS_B, 0x67, 0x89, 0));
    lab_put(l, TSS + 4, 8, STACK0);
    if (!long_mode)
        lab_put(l, TSS + 8, 8, 0x10);
    lab_put(l, TSS + 0x66, 2, 0x68); /* permission map of 16 bytes: ports 0-7Fh are free */
    lab_put(l, TSS + 0x68 + 16, 1, 0xFF);
    for (unsigned v = 0; v < 256; v++) {
        u64 at = HANDLERS + v * HANDLER_SIZE, g = (at & 0xFFFF) | 8ull << 16 | 0xEEull << 40 | (at >> 16) << 48;
        if (long_mode)
            idt[2 * v] = g;
        else
            idt[v] = g;
        memcpy(handlers + v * HANDLER_SIZE, "\x0F\x01\xD9", SENTINEL_LEN); /* vmmcall */
        lab_put(l, v * 4, 4, at);                                           /* IVT: 0000:at */
    }
    lab_write(l, IDT, idt, sizeof idt);
    lab_write(l, HANDLERS, handlers, sizeof handlers);
    /* page tables; 4-level and legacy PAE share the lower two */
    u64 pt[512];
    for (unsigned i = 0; i < 512; i++)
        pt[i] = i * 0x1000u == HOLE ? 0 : i * 0x1000u | (i * 0x1000u == RDONLY ? 5 : 7);
    lab_put(l, TABLES, 8, TABLES + 0x1007);
    lab_put(l, TABLES + 0x1000, 8, TABLES + 0x2007);
    lab_put(l, TABLES + 0x2000, 8, TABLES + 0x3007);
    lab_write(l, TABLES + 0x3000, pt, sizeof pt);
    /* nested tables: four levels, 4-KiB pages */
    lab_put(l, NPT, 8, NPT + 0x1007);
    lab_put(l, NPT + 0x1000, 8, NPT + 0x2007);
    lab_put(l, NPT + 0x2000, 8, NPT + 0x3007);
    for (unsigned i = 0; i < 512; i++)
        pt[i] = i * 0x1000u | 7;
    lab_write(l, NPT + 0x3000, pt, sizeof pt);
    lab_write(l, IOPM, zero, 0x3000);
    lab_write(l, MSRPM, zero, 0x2000);
}

/* Modes: "64", "32" (protected, not paged), "v86", "real". */
static inline void lab_mode(struct lab *l, const char *mode)
{
    union vmcb *v = &l->in;
    bool lm = !strcmp(mode, "64"), real = !strcmp(mode, "real"), v86 = !strcmp(mode, "v86");
    l->c->st.mtrr_def_type = 0x806; /* all memory is write-back, as firmware leaves it */
    assert_true(lm || real || v86 || !strcmp(mode, "32"));
    l->mode = mode;
    lab_tables(l, lm);
    memset(v, 0, sizeof *v);
    memset(l->gpr, 0, sizeof l->gpr);
    l->gpr[RSP] = STACK;
    v->icpt_misc2 = 3;
    v->icpt_exc = 0xFFFFFFFF;
    v->asid = 1;
    v->tlb_control = TLB_FLUSH_ALL;
    v->iopm_base = IOPM;
    v->msrpm_base = MSRPM;
    v->n_cr3 = NPT;
    v->g_pat = 0x0007040600070406;
    v->nrip = 0x5A5A;
    v->efer = EFER_SVME | (lm ? EFER_LME | EFER_LMA | EFER_NXE : 0);
    v->cr0 = CR0_ET | (real ? 0 : CR0_PE) | (lm ? CR0_PG : 0);
    v->cr3 = TABLES;
    v->cr4 = lm ? CR4_PAE : 0;
    v->rflags = FL_ONE | (v86 ? FL_VM : 0);
    v->dr6 = 0xFFFF0FF0;
    v->dr7 = 0x400;
    v->rip = CODE;
    v->cpl = v86 ? 3 : 0;
    v->gdtr_base = GDT, v->gdtr_limit = 0xFF;
    v->idtr_base = real ? 0 : IDT, v->idtr_limit = real ? 0x3FF : lm ? 0xFFF : 0x7FF;
    u16 data = real || v86 ? (v86 ? 0xF3 : 0x93) : 0xC93;
    u32 limit = real || v86 ? 0xFFFF : 0xFFFFFFFF;
    v->cs_sel = real || v86 ? 0 : 8;
    v->cs_attr = real ? 0x9B : v86 ? 0xF3 : lm ? 0xA9B : 0xC9B;
    v->ss_sel = v->ds_sel = v->es_sel = real || v86 ? 0 : 0x10;
    v->ss_attr = v->ds_attr = v->es_attr = data;
    v->cs_limit = v->ss_limit = v->ds_limit = v->es_limit = limit;
    struct vcpu *c = l->c;
    assert_int_equal(svmemu_set_mode(l->m, 0, 64, HOST_TABLES), SVMEMU_OK);
    c->st.efer |= EFER_SVME;
    c->st.vm_hsave_pa = HSAVE;
    c->st.rip = HOST_CODE;
    c->st.gif = false; /* what a line makes pending waits for the guest */
    c->st.nmi_blocked = false;
    c->st.vm_cr = 0;
    c->st.hwcr = 0;
    c->st.mcg_status = 0;
    c->st.monitor_addr = ~0ull;
    c->st.fpu.xcr0 = 1;
    c->st.kernel_gs_base = 0;
    memset(c->st.dr, 0, sizeof c->st.dr);
    c->pending = 0;
    c->ev.kind = EV_NONE;
    c->st.seg[SEG_TR] = (struct seg){.sel = 0x28, .base = TSS, .limit = 0x7F, .attr = 0x8B};
    c->st.seg[SEG_LDTR] = (struct seg){0};
    c->st.seg[SEG_FS] = c->st.seg[SEG_GS] = (struct seg){.sel = v->ds_sel, .limit = limit, .attr = data};
    lapic_reset(&l->m->lapic[0]);
    lapic_virtual_wire(&l->m->lapic[0]);
}

/* ---- the words of a line ---- */

static inline int gpr_find(const char *s)
{
    static const char *const name[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"};
    for (int i = 0; i < 16; i++)
        if (!strcmp(s, name[i]))
            return i;
    return -1;
}

/* What is not a field of the VMCB: a register that VMRUN leaves alone, something pending, a bit of a map, memory. */
static inline bool lab_special(struct lab *l, const char *name, u64 v)
{
    struct vcpu *c = l->c;
    if (!strncmp(name, "mem", 3)) { /* mem8:5000=1234 is written as mem8:5000=..., width in bytes */
        char *end;
        unsigned width = (unsigned)strtoul(name + 3, &end, 10);
        lab_put(l, strtoull(end + 1, NULL, 16), width, v);
    } else if (!strncmp(name, "iopm:", 5)) {
        u64 bit = strtoull(name + 5, NULL, 16), at = IOPM + bit / 8;
        lab_put(l, at, 1, lab_get(l, at, 1) | 1ull << (bit & 7));
    } else if (!strncmp(name, "msrpm:", 6)) { /* bit number of the map */
        u64 bit = strtoull(name + 6, NULL, 16), at = MSRPM + bit / 8;
        lab_put(l, at, 1, lab_get(l, at, 1) | 1ull << (bit & 7));
    } else if (!strncmp(name, "dr", 2) && name[2] >= '0' && name[2] <= '3' && !name[3]) {
        c->st.dr[name[2] - '0'] = v;
    } else if (!strcmp(name, "vm_cr")) {
        c->st.vm_cr = v;
    } else if (!strcmp(name, "hwcr")) {
        c->st.hwcr = v;
    } else if (!strcmp(name, "xcr0")) {
        c->st.fpu.xcr0 = v;
    } else if (!strcmp(name, "mtrr_def")) {
        c->st.mtrr_def_type = v;
    } else if (!strcmp(name, "monitor")) {
        c->st.monitor_addr = v;
    } else if (!strcmp(name, "ldtr")) {
        c->st.seg[SEG_LDTR].sel = (u16)v;
    } else if (!strcmp(name, "trlimit")) {
        c->st.seg[SEG_TR].limit = (u32)v;
    } else if (!strcmp(name, "fsbase")) {
        c->st.seg[SEG_FS].base = v;
    } else if (!strcmp(name, "hostif")) {
        cpu_set_rflags(c, FL_ONE | FL_IF);
    } else if (!strcmp(name, "intr")) {
        apic_bus_deliver(&l->m->apics, 0, false, false, APIC_FIXED, (u8)v, false);
    } else if (!strcmp(name, "nmi")) {
        c->pending |= PEND_NMI;
    } else if (!strcmp(name, "nmiblocked")) {
        c->st.nmi_blocked = true;
    } else if (!strcmp(name, "smi")) {
        c->pending |= PEND_SMI;
    } else if (!strcmp(name, "init")) {
        c->pending |= PEND_INIT;
    } else if (!strcmp(name, "mc")) {
        c->st.mcg_status = 0; /* software has done with the one before */
        c->pending |= PEND_MC;
    } else if (!strcmp(name, "cpl")) {
        l->in.cpl = (u8)v;
        if (v == 3) {
            l->in.cs_attr |= 0x60, l->in.ss_attr |= 0x60, l->in.ds_attr |= 0x60, l->in.es_attr |= 0x60;
            l->in.cs_sel = 0x1B, l->in.ss_sel = l->in.ds_sel = l->in.es_sel = 0x23;
        }
    } else {
        return false;
    }
    return true;
}

/* One word: name, name=hex, name+=hex (sets bits), name-=hex (clears them). `r` is the register of an expanded line. */
static inline bool lab_word(struct lab *l, char *word, unsigned r)
{
    char *eq = strchr(word, '='), op = 0;
    u64 v = eq ? strtoull(eq + 1, NULL, 16) : 1;
    if (eq) {
        *eq = 0;
        if (eq[-1] == '+' || eq[-1] == '-') {
            op = eq[-1];
            eq[-1] = 0;
        }
    }
    int g = !strcmp(word, "r") ? (int)r : gpr_find(word);
    const struct vmcb_field *f = vmcb_field_find(word);
    if (g >= 0) {
        l->gpr[g] = v;
    } else if (lab_special(l, word, v)) {
        return true;
    } else if (f) {
        u64 old = vmcb_field_get(&l->in, f);
        vmcb_field_set(&l->in, f, op == '+' ? old | v : op == '-' ? old & ~v : v);
    } else {
        snprintf(l->error, sizeof l->error, "no such word: %s", word);
        return false;
    }
    return true;
}

static inline bool lab_words(struct lab *l, const char *words, unsigned r)
{
    char copy[512], *save = NULL;
    snprintf(copy, sizeof copy, "%s", words);
    for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
        if (!lab_word(l, w, r))
            return false;
    return true;
}

/* VMRUN, and on until the host's HLT, or until the guest waits or is shut down. */
static inline void lab_run(struct lab *l)
{
    struct vcpu *c = l->c;
    l->in.rax = l->gpr[RAX];
    l->in.rsp = l->gpr[RSP];
    memcpy(c->st.gpr, l->gpr, sizeof l->gpr);
    c->st.gpr[RAX] = VMCB;
    lab_write(l, VMCB, &l->in, sizeof l->in);
    machine_cpu_changed(c);
    assert_int_equal(svmemu_run(l->m, 200, SVMEMU_NO_LIMIT, &l->stop), SVMEMU_OK);
    assert_int_equal(svmemu_mem_read(l->m, VMCB, &l->out, sizeof l->out), SVMEMU_OK);
    l->exited = !c->guest && c->st.rip == HOST_CODE + 4;
    memcpy(l->gpr, c->st.gpr, sizeof l->gpr); /* the guest's, but for rAX and rSP */
    l->gpr[RAX] = l->out.rax;
    l->gpr[RSP] = l->out.rsp;
    if (c->guest || c->st.activity == ACT_SHUTDOWN || c->st.activity == ACT_WAIT_SIPI)
        svmemu_reset(l->m);
}

#endif
