// SPDX-License-Identifier: MIT
/* Time as the cost table says: static costs by timing class, page walks by references made, world switches; the same to the tick with
 * blocks, without stamped handlers, without blocks, and in single steps. */
#include "decoder/insn.h"
#include "machine/machine.h"
#include "timing/cost.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum {
    RAM = 4 << 20, GDT = 0x5000, IDT = 0x6000, PML4 = 0x1000, CODE = 0x100000, VMCB = 0x110000, HSAVE = 0x111000, GUEST = 0x120000, DATA = 0x130000,
    STACK = 0x180000, HANDLER = 0x140000, COPIES = 40,
};
enum engine { BLOCKS, GENERIC, NO_BLOCKS, STEPS, ENGINES };

static const u32 class_ticks[TIME_COUNT] = {
#define TIMING(id, ticks, text) [TIME_##id] = ticks,
#include "timing/classes.def"
#undef TIMING
};

/* What a memory operand adds to its instruction's class: written or read and written (the first operand), or only read. */
enum { MEM_NONE, MEM_FIRST, MEM_READ };

struct sample {
    const char *name;
    unsigned class_id, mem, len, copies; /* copies 0: COPIES */
    u8 bytes[10];
};
#define S(name, id, mem, copies, ...) { name, TIME_##id, mem, sizeof((u8[]){ __VA_ARGS__ }), copies, { __VA_ARGS__ } }

/* 32-bit code that can stand behind itself. EAX = VMCB, ECX = 10h, EDX = 0, ESI = EDI = DATA unless it changes them. */
static const struct sample samples[] = {
    S("nop", nop, MEM_NONE, 0, 0x90),
    S("nop [esi]", nop, MEM_NONE, 0, 0x0F, 0x1F, 0x06),
    S("prefetcht0 [esi]", nop, MEM_NONE, 0, 0x0F, 0x18, 0x0E),
    S("add ecx, eax", alu, MEM_NONE, 0, 0x01, 0xC1),
    S("add [esi], eax", alu, MEM_FIRST, 0, 0x01, 0x06),
    S("add eax, [esi]", alu, MEM_READ, 0, 0x03, 0x06),
    S("cmp [esi], eax", alu, MEM_READ, 0, 0x39, 0x06),
    S("mov ecx, eax", mov, MEM_NONE, 0, 0x89, 0xC1),
    S("mov [esi], eax", mov, MEM_FIRST, 0, 0x89, 0x06),
    S("mov eax, [esi]", mov, MEM_READ, 0, 0x8B, 0x06),
    S("lea eax, [esi+ecx*4]", mov, MEM_NONE, 0, 0x8D, 0x04, 0x8E),
    S("push eax", store, MEM_NONE, 0, 0x50),
    S("push [esi]", store, MEM_READ, 0, 0xFF, 0x36),
    S("pop eax", load, MEM_NONE, 0, 0x58),
    S("shl ecx, 3", shift, MEM_NONE, 0, 0xC1, 0xE1, 0x03),
    S("imul eax, ecx", mul, MEM_NONE, 0, 0x0F, 0xAF, 0xC1),
    S("mul dword [esi]", mul, MEM_READ, 0, 0xF7, 0x26),
    S("div ecx", div, MEM_NONE, 1, 0xF7, 0xF1),
    S("bsf ecx, eax", bit, MEM_NONE, 0, 0x0F, 0xBC, 0xC8),
    S("bt [esi], ecx", bit, MEM_READ, 0, 0x0F, 0xA3, 0x0E),
    S("bts [esi], ecx", bit, MEM_FIRST, 0, 0x0F, 0xAB, 0x0E),
    S("jmp next", branch, MEM_NONE, 0, 0xEB, 0x00),
    S("jz next", branch, MEM_NONE, 0, 0x74, 0x00),
    S("call next", call, MEM_NONE, 0, 0xE8, 0, 0, 0, 0),
    S("movsd", string, MEM_NONE, 0, 0xA5),
    S("daa", bcd, MEM_NONE, 0, 0x27),
    S("xchg ecx, eax", alu, MEM_NONE, 0, 0x87, 0xC1),
    S("xchg [esi], eax", atomic, MEM_FIRST, 0, 0x87, 0x06),
    S("lock add [esi], eax", atomic, MEM_FIRST, 0, 0xF0, 0x01, 0x06),
    S("lock cmpxchg [esi], ecx", atomic, MEM_FIRST, 0, 0xF0, 0x0F, 0xB1, 0x0E),
    S("lahf", flags, MEM_NONE, 0, 0x9F),
    S("mov ds, edx", seg, MEM_NONE, 0, 0x8E, 0xDA),
    S("jmp 8:next", far, MEM_NONE, 1, 0xEA, 7, 0, CODE >> 16, 0, 8, 0),
    S("sysenter", syscall, MEM_NONE, 1, 0x0F, 0x34),
    S("verr dx", sys, MEM_NONE, 0, 0x0F, 0x00, 0xE2),
    S("mov ecx, cr0", cr, MEM_NONE, 0, 0x0F, 0x20, 0xC1),
    S("rdmsr", msr, MEM_NONE, 0, 0x0F, 0x32),
    S("cpuid", cpuid, MEM_NONE, 0, 0x0F, 0xA2),
    S("rdtsc", tsc, MEM_NONE, 0, 0x0F, 0x31),
    S("in al, 80h", io, MEM_NONE, 0, 0xE4, 0x80),
    S("invlpg [esi]", invlpg, MEM_NONE, 0, 0x0F, 0x01, 0x3E),
    S("wbinvd", cache, MEM_NONE, 0, 0x0F, 0x09),
    S("pause", pause, MEM_NONE, 0, 0xF3, 0x90),
    S("hlt", halt, MEM_NONE, 1, 0xF4),
    S("mfence", fence, MEM_NONE, 0, 0x0F, 0xAE, 0xF0),
    S("rdrand ecx", rand, MEM_NONE, 0, 0x0F, 0xC7, 0xF1),
    S("vmload", vmload, MEM_NONE, 0, 0x0F, 0x01, 0xDA),
    S("vmsave", vmsave, MEM_NONE, 0, 0x0F, 0x01, 0xDB),
    S("stgi", gif, MEM_NONE, 0, 0x0F, 0x01, 0xDC),
    S("fninit", fpu, MEM_NONE, 0, 0xDB, 0xE3),
    S("ldmxcsr [esi]", vec, MEM_READ, 0, 0x0F, 0xAE, 0x16),
    S("stmxcsr [esi]", vec, MEM_FIRST, 0, 0x0F, 0xAE, 0x1E),
    S("fxsave [esi]", xsave, MEM_NONE, 0, 0x0F, 0xAE, 0x06),
};

static struct svmemu *machine(enum engine e)
{
    struct svmemu_config cfg = { .memory = RAM, .generic_only = e == GENERIC, .blocks_off = e == NO_BLOCKS };
    static const u64 gdt[3] = { 0, 0x00CF9B000000FFFFull, 0x00CF93000000FFFFull };
    struct svmemu *m;
    assert_int_equal(svmemu_create(&cfg, &m), SVMEMU_OK);
    assert_int_equal(svmemu_set_mode(m, 0, 32, 0), SVMEMU_OK);
    svmemu_mem_write(m, GDT, gdt, sizeof(gdt));
    svmemu_reg_write(m, 0, "gdtr.base", GDT);
    svmemu_reg_write(m, 0, "gdtr.limit", sizeof(gdt) - 1);
    assert_int_equal(svmemu_msr_write(m, 0, 0xC0000080, 0x1000), SVMEMU_OK); /* EFER.SVME */
    assert_int_equal(svmemu_msr_write(m, 0, 0xC0010117, HSAVE), SVMEMU_OK);
    assert_int_equal(svmemu_msr_write(m, 0, 0x174, 8), SVMEMU_OK); /* SYSENTER_CS, _ESP, _EIP */
    assert_int_equal(svmemu_msr_write(m, 0, 0x175, STACK), SVMEMU_OK);
    assert_int_equal(svmemu_msr_write(m, 0, 0x176, CODE + 2), SVMEMU_OK);
    svmemu_reg_write(m, 0, "cr4", 0x200); /* OSFXSR, for STMXCSR */
    svmemu_reg_write(m, 0, "rsp", STACK);
    svmemu_reg_write(m, 0, "rip", CODE);
    svmemu_reg_write(m, 0, "rax", VMCB);
    svmemu_reg_write(m, 0, "rcx", 0x10);
    svmemu_reg_write(m, 0, "rdx", 0x10);
    svmemu_reg_write(m, 0, "rsi", DATA);
    svmemu_reg_write(m, 0, "rdi", DATA);
    return m;
}

/* Runs n instructions; the ticks they took. */
static u64 run(struct svmemu *m, enum engine e, u64 n)
{
    struct svmemu_stop stop;
    u64 from = m->cpu[0]->ticks, insns = m->cpu[0]->insns;
    if (e == STEPS)
        for (u64 i = 0; i < n; i++)
            assert_int_equal(svmemu_step(m, &stop), SVMEMU_OK);
    else
        assert_int_equal(svmemu_run(m, n, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
    assert_int_equal(stop.reason, SVMEMU_STOP_LIMIT_INSNS);
    assert_int_equal(m->cpu[0]->insns - insns, n);
    assert_int_equal(stop.cycles, m->cpu[0]->ticks / TICKS_PER_CYCLE);
    return m->cpu[0]->ticks - from;
}

static u64 exceptions(const struct svmemu *m)
{
    struct svmemu_stats st;
    u64 n = 0;
    svmemu_stats(m, &st);
    for (unsigned i = 0; i < ARRAY_LEN(st.exceptions); i++)
        n += st.exceptions[i];
    return n;
}

static void test_classes(void **state)
{
    bool seen[TIME_COUNT] = { [TIME_none] = true,
                              [TIME_walk_ref] = true, [TIME_event] = true, [TIME_mmio] = true, /* see test_walks, test_events, test_devices */
                              [TIME_vmrun] = true, [TIME_vmexit] = true, [TIME_vmmcall] = true }; /* see test_world_switch */
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(samples); i++) {
        const struct sample *s = &samples[i];
        u64 n = s->copies ? s->copies : COPIES;
        u32 each = class_ticks[s->class_id] + (s->mem == MEM_FIRST ? class_ticks[TIME_store] - 16 : 0) +
                   (s->mem == MEM_READ ? class_ticks[TIME_load] - 16 : 0);
        seen[s->class_id] = true;
        for (enum engine e = 0; e < ENGINES; e++) {
            struct svmemu *m = machine(e);
            struct insn in;
            assert_int_equal(decode_insn(s->bytes, s->len, MODE_32, m->features, &in), DEC_OK);
            if (timing_insn_ticks(&in) != each)
                fail_msg("%s: timing_insn_ticks says %u, its class and operands %u", s->name, timing_insn_ticks(&in), each);
            for (u64 k = 0; k < n; k++)
                svmemu_mem_write(m, CODE + k * s->len, s->bytes, s->len);
            if (s->class_id == TIME_div)
                svmemu_reg_write(m, 0, "rdx", 0);
            u64 took = run(m, e, n);
            if (took != n * each)
                fail_msg("%s on engine %d: %llu times took %llu ticks, not %llu", s->name, (int)e, (unsigned long long)n,
                         (unsigned long long)took, (unsigned long long)(n * each));
            assert_int_equal(exceptions(m), 0);
            svmemu_destroy(m);
        }
    }
    for (unsigned c = 0; c < TIME_COUNT; c++)
        if (!seen[c])
            fail_msg("class \"%s\" has no sample", timing_class_text(c));
}

/* REP: the start-up once, a cycle for each element, cut anywhere. */
static void test_rep(void **state)
{
    static const u8 code[] = { 0xF3, 0xA5, 0x90 }; /* rep movsd; nop */
    (void)state;
    for (enum engine e = 0; e < ENGINES; e++) {
        struct svmemu *m = machine(e);
        svmemu_mem_write(m, CODE, code, sizeof(code));
        svmemu_reg_write(m, 0, "rcx", 1000);
        svmemu_reg_write(m, 0, "rdi", DATA + 0x8000);
        assert_int_equal(run(m, e, 2), class_ticks[TIME_string] + 1000 * TICKS_PER_CYCLE + class_ticks[TIME_nop]);
        svmemu_destroy(m);
    }
}

/* What leaves the processor takes its time, each access of a REP too; the local APIC and RAM are near. */
static void test_devices(void **state)
{
    static const u8 code[] = {
        0x8B, 0x06, 0x89, 0x06,             /* mov eax, [rsi]; mov [rsi], eax */
        0xF3, 0xA5, 0x90,                   /* rep movsd; nop */
    };
    const u64 pair = 2 * class_ticks[TIME_mov] + class_ticks[TIME_load] - 16 + class_ticks[TIME_store] - 16;
    const u64 rep = class_ticks[TIME_string] + 4 * TICKS_PER_CYCLE + class_ticks[TIME_nop], mmio = class_ticks[TIME_mmio];
    const struct {
        u64 spa, each;
    } places[] = { { DATA, 0 }, { 0xFEE000F0, 0 }, { 0xD0000000 /* nothing */, mmio } };
    (void)state;
    assert_true(mmio >= 100 * TICKS_PER_CYCLE);
    for (unsigned i = 0; i < ARRAY_LEN(places); i++)
        for (enum engine e = 0; e < ENGINES; e++) {
            struct svmemu *m = machine(e);
            svmemu_mem_write(m, CODE, code, sizeof(code));
            svmemu_reg_write(m, 0, "rsi", places[i].spa);
            assert_int_equal(run(m, e, 2), pair + 2 * places[i].each);
            svmemu_reg_write(m, 0, "rcx", 4);
            svmemu_reg_write(m, 0, "rdi", DATA + 0x8000);
            assert_int_equal(run(m, e, 2), rep + 4 * places[i].each);
            svmemu_destroy(m);
        }
}

static void put64(struct svmemu *m, u64 at, u64 v)
{
    assert_int_equal(svmemu_mem_write(m, at, &v, 8), SVMEMU_OK);
}

/* The first 2 MiB by 4-KiB pages, the next 2 MiB by one large page; all accessed and dirty already. */
static void long_mode(struct svmemu *m)
{
    put64(m, PML4, 0x2027);
    put64(m, 0x2000, 0x3027);
    put64(m, 0x3000, 0x4027);
    put64(m, 0x3008, 0x2000E7);
    for (u64 i = 0; i < 512; i++)
        put64(m, 0x4000 + 8 * i, i << 12 | 0x67);
    assert_int_equal(svmemu_set_mode(m, 0, 64, PML4), SVMEMU_OK);
}

static void test_walks(void **state)
{
    static const u8 load[] = { 0x8B, 0x06 }; /* mov eax, [rsi] */
    const u64 cost = class_ticks[TIME_mov] + class_ticks[TIME_load] - 16;
    (void)state;
    for (enum engine e = 0; e < ENGINES; e++) {
        struct svmemu *m = machine(e);
        long_mode(m);
        for (unsigned i = 0; i < 32; i++)
            svmemu_mem_write(m, CODE + 2 * i, load, 2);
        svmemu_reg_write(m, 0, "rsi", DATA);
        assert_int_equal(run(m, e, 1), cost + (4 + 4) * class_ticks[TIME_walk_ref]); /* its own page and the data's */
        assert_int_equal(run(m, e, 1), cost);
        svmemu_reg_write(m, 0, "rsi", DATA + 0x1000);
        assert_int_equal(run(m, e, 3), 3 * cost + 4 * class_ticks[TIME_walk_ref]);
        svmemu_reg_write(m, 0, "rsi", 0x300000); /* 2-MiB page: one level less */
        assert_int_equal(run(m, e, 1), cost + 3 * class_ticks[TIME_walk_ref]);
        svmemu_reg_write(m, 0, "rsi", 0x3F0000);
        assert_int_equal(run(m, e, 2), 2 * cost);
        svmemu_reg_write(m, 0, "rsi", DATA + 0x1FFE); /* across a page's end: only the second page is new */
        assert_int_equal(run(m, e, 2), 2 * cost + 4 * class_ticks[TIME_walk_ref]);
        assert_int_equal(m->cpu[0]->mmu.walk_refs, 0);
        svmemu_destroy(m);
    }
}

/* A flat guest at GUEST, ASID 1, that exits by VMMCALL: 32-bit without paging, or 64-bit on the host's tables. */
static void make_vmcb(struct svmemu *m, bool bits64)
{
    for (unsigned i = 0; i < 4; i++) {
        const u16 attr = i != 1 ? 0xC93 : bits64 ? 0x29B : 0xC9B;
        const u32 limit = 0xFFFFFFFF;
        svmemu_mem_write(m, VMCB + 0x400 + 16 * i + 2, &attr, 2);
        svmemu_mem_write(m, VMCB + 0x400 + 16 * i + 4, &limit, 4);
    }
    const u32 asid = 1, words[2] = { 0, 1u | 2u }; /* intercept VMRUN and VMMCALL */
    svmemu_mem_write(m, VMCB + 0x58, &asid, 4);
    svmemu_mem_write(m, VMCB + 0x0C, words, 8);
    put64(m, VMCB + 0x4D0, bits64 ? 0x1500 : 0x1000); /* EFER: SVME, LME, LMA */
    put64(m, VMCB + 0x548, bits64 ? 0x20 : 0);        /* CR4.PAE */
    put64(m, VMCB + 0x550, bits64 ? PML4 : 0);        /* CR3 */
    put64(m, VMCB + 0x558, bits64 ? 0x80010011 : 0x11); /* CR0 */
    put64(m, VMCB + 0x570, 2);                        /* RFLAGS */
    put64(m, VMCB + 0x578, GUEST);                    /* RIP */
    put64(m, VMCB + 0x668, 0x0007040600070406);       /* G_PAT */
}

static void test_world_switch(void **state)
{
    static const u8 host[] = { 0x0F, 0x01, 0xD8, 0x90, 0xEB, 0xFA };           /* again: vmrun; nop; jmp again */
    static const u8 guest[] = { 0x0F, 0x01, 0xD9, 0x90, 0x90, 0x0F, 0x01, 0xD9 }; /* vmmcall; nop; nop; vmmcall */
    const u32 no_asid = 0;
    (void)state;
    for (enum engine e = 0; e < ENGINES; e++) {
        struct svmemu *m = machine(e);
        svmemu_mem_write(m, CODE, host, sizeof(host));
        svmemu_mem_write(m, GUEST, guest, sizeof(guest));
        make_vmcb(m, false);
        const u64 trip = class_ticks[TIME_vmrun] + class_ticks[TIME_vmmcall] + class_ticks[TIME_vmexit];
        assert_int_equal(run(m, e, 2), trip);
        assert_int_equal(m->cpu[0]->stat_vmexit, 1);
        put64(m, VMCB + 0x578, GUEST + 3);
        /* nop, jmp, then a trip with two more instructions in the guest */
        assert_int_equal(run(m, e, 6), class_ticks[TIME_nop] + class_ticks[TIME_branch] + trip + 2 * class_ticks[TIME_nop]);
        assert_int_equal(m->cpu[0]->stat_vmexit, 2);
        /* a VMRUN that fails its checks makes both halves */
        svmemu_mem_write(m, VMCB + 0x58, &no_asid, 4);
        assert_int_equal(run(m, e, 3), class_ticks[TIME_nop] + class_ticks[TIME_branch] + class_ticks[TIME_vmrun] +
                                           class_ticks[TIME_vmexit]);
        assert_int_equal(m->cpu[0]->stat_vmexit, 3);
        assert_int_equal(exceptions(m), 0);
        svmemu_destroy(m);
    }
}

/* Two-dimensional walks: 4 x 4 + 4 + 4 references for 4-KiB pages on both sides, 3 x 4 + 3 + 3 where both map 2 MiB but the tables
 * themselves lie in 4-KiB pages. */
static void test_nested_walks(void **state)
{
    static const u8 host[] = { 0x0F, 0x01, 0xD8 };
    static const u8 load[] = { 0x8B, 0x06 }; /* mov eax, [rsi] */
    const u64 cost = class_ticks[TIME_mov] + class_ticks[TIME_load] - 16, ref = class_ticks[TIME_walk_ref];
    (void)state;
    for (enum engine e = 0; e < ENGINES; e++) {
        struct svmemu *m = machine(e);
        long_mode(m);
        svmemu_mem_write(m, CODE, host, sizeof(host));
        for (unsigned i = 0; i < 16; i++)
            svmemu_mem_write(m, GUEST + 2 * i, load, 2);
        make_vmcb(m, true);
        put64(m, VMCB + 0x90, 1);    /* NP_ENABLE */
        put64(m, VMCB + 0xB0, PML4); /* nCR3: the same tables serve as nested ones */
        svmemu_reg_write(m, 0, "rsi", DATA);
        assert_int_equal(run(m, e, 1), class_ticks[TIME_vmrun] + 4 * ref); /* the host's own fetch */
        assert_int_equal(m->cpu[0]->guest, true);
        assert_int_equal(run(m, e, 1), cost + (24 + 24) * ref);
        assert_int_equal(run(m, e, 1), cost);
        svmemu_reg_write(m, 0, "rsi", DATA + 0x1000);
        assert_int_equal(run(m, e, 2), 2 * cost + 24 * ref);
        svmemu_reg_write(m, 0, "rsi", 0x300000);
        assert_int_equal(run(m, e, 1), cost + 18 * ref);
        svmemu_destroy(m);
    }
}

/* Events through the IDT: interrupts from outside, software interrupts, faults; the frame's own walks are charged besides. */
static void test_events(void **state)
{
    static const u8 code[] = { 0x90, 0xCD, 0x20, 0x0F, 0x0B }; /* nop; int 20h; ud2 */
    static const u8 handler[] = { 0x90, 0xCF };                /* nop; iretd */
    static const unsigned vectors[] = { 2, 6, 0x20 };
    const u64 nop = class_ticks[TIME_nop], far = class_ticks[TIME_far], event = class_ticks[TIME_event];
    (void)state;
    for (enum engine e = 0; e < ENGINES; e++) {
        struct svmemu *m = machine(e);
        svmemu_mem_write(m, CODE, code, sizeof(code));
        svmemu_mem_write(m, HANDLER, handler, sizeof(handler));
        svmemu_reg_write(m, 0, "idtr.base", IDT);
        svmemu_reg_write(m, 0, "idtr.limit", 0x7FF);
        for (unsigned i = 0; i < ARRAY_LEN(vectors); i++)
            put64(m, IDT + 8 * vectors[i], (u64)(HANDLER >> 16) << 48 | 0x8E0000080000ull | (HANDLER & 0xFFFF));
        assert_int_equal(svmemu_nmi(m, 0), SVMEMU_OK);
        assert_int_equal(run(m, e, 1), event + nop); /* in the handler */
        assert_int_equal(run(m, e, 2), far + nop);   /* back, the first instruction */
        assert_int_equal(run(m, e, 1), far + event); /* INT n */
        assert_int_equal(run(m, e, 2), nop + far);
        assert_int_equal(exceptions(m), 0);
        assert_int_equal(run(m, e, 1), nop + event); /* UD2 is of class nop: an attempt costs what it would, then the delivery */
        assert_int_equal(exceptions(m), 1);
        svmemu_destroy(m);
    }
}

/* A loop of everything: memory, calls, divisions, strings, a page fault's worth of walks, flags; the same ticks whatever runs it. */
static void test_engines(void **state)
{
    static const u8 code[] = {
        0x8B, 0x06,                         /* again: mov eax, [rsi] */
        0x01, 0xC1, 0x89, 0x4E, 0x04,       /* add ecx, eax; mov [rsi+4], ecx */
        0x48, 0x81, 0xC6, 0x40, 0x02, 0, 0, /* add rsi, 240h */
        0x81, 0xE6, 0xFF, 0xFF, 0x17, 0,    /* and esi, 17FFFFh */
        0x81, 0xCE, 0, 0, 0x13, 0,          /* or esi, 130000h */
        0x0F, 0xAF, 0xC1, 0xD1, 0xE8,       /* imul eax, ecx; shr eax, 1 */
        0xF0, 0x0F, 0xC1, 0x06,             /* lock xadd [rsi], eax */
        0x50, 0x58, 0x9C, 0x9D, 0x0F, 0xA2, /* push rax; pop rax; pushfq; popfq; cpuid */
        0x31, 0xC9, 0xEB, 0xD3,             /* xor ecx, ecx; jmp again */
    };
    u64 want[8] = { 0 };
    (void)state;
    for (enum engine e = 0; e < ENGINES; e++) {
        struct svmemu *m = machine(e);
        long_mode(m);
        svmemu_mem_write(m, CODE, code, sizeof(code));
        for (unsigned i = 0; i < ARRAY_LEN(want); i++) {
            u64 took = run(m, e, 1 + 331 * i);
            if (e == 0)
                want[i] = took;
            assert_int_equal(took, want[i]);
        }
        svmemu_destroy(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes), cmocka_unit_test(test_rep), cmocka_unit_test(test_devices),
        cmocka_unit_test(test_walks), cmocka_unit_test(test_world_switch),
        cmocka_unit_test(test_nested_walks), cmocka_unit_test(test_events), cmocka_unit_test(test_engines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
