// SPDX-License-Identifier: MIT
/* Random accesses of every width and alignment to every port and device register, from several vCPUs while they run and take interrupts;
 * timers at their limits.
 * What must hold: nothing outside the machine is touched (sanitizers), RAM that no DMA was aimed at keeps its contents, unclaimed addresses
 * read all ones, runs come to their limits, and the same seed gives the same values, memory and time.
 * SVMEMU_RANDOM_ACCESSES and SVMEMU_RANDOM_SEED choose length and seed. */
#include "machine/machine.h"

#include "base/bits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>

#define VCPUS 4u
#define CODE 0x7000u
#define HANDLER 0x7100u
#define IDT 0x5000u
#define GDT 0x5800u
#define GUARD 0x800000u
#define GUARD_SIZE 0x10000u
#define DMA_PAGE 0x9000u
#define DMA_TARGET 0xA000u

struct rng {
    u64 s;
};

static u64 next(struct rng *r)
{
    r->s ^= r->s << 13, r->s ^= r->s >> 7, r->s ^= r->s << 17;
    return r->s;
}

static u64 environment(const char *name, u64 otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 0) : otherwise;
}

/* Interrupt controllers as firmware leaves them, nothing masked: else hardly a device could be heard. */
static void let_interrupts_through(struct svmemu *m)
{
    for (unsigned i = 0; i < m->vcpus; i++)
        lapic_virtual_wire(&m->lapic[i]);
    pic_bios_defaults(&m->pc->pic);
    pit_bios_defaults(&m->pc->pit);
    port_write(m->bus, 0x21, 1, 0, 0);
    port_write(m->bus, 0xA1, 1, 0, 0);
}

/* Every vCPU counts in a loop, flat 32-bit mode; all but the last take interrupts, which the handler counts and ends. */
static void place_code(struct svmemu *m)
{
    static const u8 loop[] = { 0x40, 0xEB, 0xFD };
    static const u8 handler[] = { 0x47 /* inc %edi */, 0xC7, 5, 0xB0, 0, 0xE0, 0xFE, 0, 0, 0, 0 /* movl $0, 0xFEE000B0 */, 0x50, 0xB0, 0x20,
                                  0xE6, 0x20, 0xE6, 0xA0, 0x58 /* EOI to both 8259s */, 0xCF };
    static const u64 gdt[] = { 0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF };
    u8 gate[8];
    store_le(gate, 8, (HANDLER & 0xFFFF) | 8u << 16 | 0x8E00ull << 32);
    for (unsigned v = 0; v < 256; v++)
        svmemu_mem_write(m, IDT + 8 * v, gate, sizeof(gate));
    svmemu_mem_write(m, GDT, gdt, sizeof(gdt));
    svmemu_mem_write(m, CODE, loop, sizeof(loop));
    svmemu_mem_write(m, HANDLER, handler, sizeof(handler));
    for (unsigned i = 0; i < m->vcpus; i++) {
        svmemu_set_mode(m, i, 32, 0);
        svmemu_reg_write(m, i, "rip", CODE);
        svmemu_reg_write(m, i, "gdtr.base", GDT);
        svmemu_reg_write(m, i, "gdtr.limit", sizeof(gdt) - 1);
        svmemu_reg_write(m, i, "idtr.base", IDT);
        svmemu_reg_write(m, i, "idtr.limit", 0x7FF);
        svmemu_reg_write(m, i, "rsp", 0x6000 + 0x400 * i);
        svmemu_reg_write(m, i, "rflags", i < VCPUS - 1 ? 0x202 : 2);
        svmemu_reg_write(m, i, "rdi", 0);
    }
}

static struct svmemu *create(void)
{
    const struct svmemu_config cfg = {
        .memory = 16 << 20, .vcpus = VCPUS, .serial_ports = 0xF,
        .flags = SVMEMU_PC | SVMEMU_EXIT_PORT | SVMEMU_TEST_DEVICE | SVMEMU_FIRMWARE_DEBUG,
    };
    struct svmemu *m;
    assert_int_equal(svmemu_create(&cfg, &m), SVMEMU_OK);
    place_code(m);
    return m;
}

/* The ports of the machine after reset, by the documents of its devices. */
static const struct { u16 first, last; } claimed[] = {
    { 0x20, 0x21 }, { 0x40, 0x43 }, { 0x60, 0x61 }, { 0x64, 0x64 }, { 0x70, 0x71 }, { 0x80, 0x80 }, { 0x92, 0x92 }, { 0xA0, 0xA1 },
    { 0xE0, 0xE7 }, { 0xE9, 0xE9 }, { 0xF4, 0xF7 }, { 0x2E8, 0x2EF }, { 0x2F8, 0x2FF }, { 0x3E8, 0x3EF }, { 0x3F8, 0x3FF }, { 0x402, 0x402 },
    { 0x4D0, 0x4D1 }, { 0x510, 0x511 }, { 0x514, 0x51B }, { 0xCF8, 0xCFF }, { 0x2000, 0x2017 }, { 0x8900, 0x8900 },
};
static const u64 regions[] = { 0xE0000000, 0xE0008000, 0xEFFFF000, 0xFEC00000, 0xFED00000, 0xFEE00000, 0xFF000000, 0xFF00F000, 0xF0000000,
                               0xA0000, 0xFFFFF000, 0x1000000, 0xFFFFFFF000ull };

static bool is_claimed(u32 port)
{
    for (unsigned i = 0; i < ARRAY_LEN(claimed); i++)
        if (port >= claimed[i].first && port <= claimed[i].last)
            return true;
    return false;
}

/* All ports, each width: what nobody claims reads all ones, byte for byte, beside what somebody does. */
static void unclaimed_reads_ones(void **state)
{
    struct svmemu *m = create();
    (void)state;
    for (u32 port = 0; port < 0x10000; port++)
        for (unsigned width = 1; width <= 4; width *= 2) {
            u64 v = port_read(m->bus, (u16)port, width, (int)(port % VCPUS));
            assert_int_equal(v & ~width_mask(width), 0);
            for (unsigned i = 0; i < width; i++)
                if (!is_claimed(port + i) && (v >> 8 * i & 0xFF) != 0xFF)
                    fail_msg("port %Xh, %u bytes: %llX", port, width, (unsigned long long)v);
        }
    static const u64 holes[] = { 0x1000000, 0xC0000000, 0xF0000000, 0xFEC01000, 0xFED01000, 0xFF010000, 0x100000000, 0xFFFFFFFFF000ull, ~7ull };
    for (unsigned i = 0; i < ARRAY_LEN(holes); i++)
        for (unsigned off = 0; off < 8; off++)
            for (unsigned width = 1; width <= 8 && holes[i] + off + width - 1 >= holes[i]; width *= 2) {
                u64 v = 0;
                phys_read(&m->cpu[i % VCPUS]->view, (struct spa){ holes[i] + off }, &v, width);
                if (v != width_mask(width))
                    fail_msg("%llXh, %u bytes: %llX", (unsigned long long)holes[i] + off, width, (unsigned long long)v);
            }
    svmemu_destroy(m);
}

static u16 random_port(struct rng *r)
{
    u64 v = next(r);
    if (v & 7) {
        const unsigned i = (unsigned)(v >> 8) % ARRAY_LEN(claimed);
        u16 first = (u16)(claimed[i].first - 3), span = (u16)(claimed[i].last - first + 4);
        return (u16)(first + (v >> 16) % span);
    }
    return (u16)(v >> 16);
}

/* A DMA operation whose target is RAM set aside for it, a device, or nothing. The guard page is not among them. */
static void random_dma(struct svmemu *m, struct rng *r)
{
    u64 v = next(r);
    static const u64 targets[] = { DMA_TARGET, DMA_TARGET + 0xFF1, 0xFEE00000, 0xFEC00000, 0xF0000000, 0xFFFFFFFFFFFFFFF0ull, 0xE0000000 };
    u32 length = (u32)(v >> 8) & 0xFFF;
    u8 access[16];
    store_le(access, 4, __builtin_bswap32((u32)((v >> 40) << 16 | (v & 0x1F))));
    store_le(access + 4, 4, __builtin_bswap32(length));
    store_le(access + 8, 8, __builtin_bswap64(targets[(v >> 32) % ARRAY_LEN(targets)]));
    phys_write(&m->view, (struct spa){ DMA_PAGE }, access, sizeof(access));
    port_write(m->bus, 0x514, 4, 0, 0);
    port_write(m->bus, 0x518, 4, __builtin_bswap32(DMA_PAGE), 0);
}

/* Each reset begins the devices' life anew: most of those that would come so easily do not. */
static u64 seldom_reset(struct rng *r, u16 port, u64 value)
{
    if (port <= 0x92 && port >= 0x8F && next(r) & 0xF)
        return value & ~(1ull << 8 * (0x92 - port));
    if (port <= 0xCF9 && port >= 0xCF6 && next(r) & 0xF)
        return value & ~(4ull << 8 * (0xCF9 - port));
    if (port <= 0x64 && port >= 0x61 && next(r) & 0xF)
        return value & ~(0x80ull << 8 * (0x64 - port));
    return value;
}

/* A write that an interrupt controller or the HPET understands: random ones seldom are. */
static void sensible_write(struct svmemu *m, struct rng *r, int cpu)
{
    static const u16 lapic[] = { 0x80, 0xB0, 0xD0, 0xF0, 0x300, 0x310, 0x320, 0x330, 0x340, 0x350, 0x360, 0x370, 0x380, 0x3E0, 0x410, 0x500 };
    u64 v = next(r), at = 0xFEE00000u + lapic[(v >> 8) % ARRAY_LEN(lapic)], value = v >> 32;
    const struct phys_view *view = &m->cpu[cpu]->view;
    switch (v & 3) {
    case 0: /* a pin of the I/O APIC to one of the vCPUs, or to all */
        phys_write_le(view, (struct spa){ 0xFEC00000 }, 4, 0x10 + (v >> 8) % 48);
        at = 0xFEC00010;
        value = v >> 8 & 1 ? (v & 0x10 ? 0xFF : value & 3) << 24 : value & 0xA0FF;
        break;
    case 1:
        at = 0xFED00000u + (v & 0x10 ? 0x10 : 0xF0 + (v >> 8) % 14 * 8);
        value &= 0xFFFFF;
        break;
    case 2: value = at == 0xFEE000F0u ? 0x1FF : value & 0x200FF; break;
    default: value &= at >= 0xFEE00380u ? 0xFFFF : 0xCF8FF; break;
    }
    phys_write_le(view, (struct spa){ at }, 4, value);
}

/* One access; what was read goes into the hash. */
static void random_access(struct svmemu *m, struct rng *r, u64 *hash)
{
    static const unsigned widths[] = { 1, 2, 4, 8, 3, 5, 7, 16 };
    u64 v = next(r), value = next(r), got = 0;
    int cpu = (int)(v & 3);
    bool write = v & 4;
    if ((v >> 3 & 0xFF) == 0) {
        random_dma(m, r);
    } else if ((v >> 3 & 0xF) == 1) {
        sensible_write(m, r, cpu);
    } else if (v & 0x800) {
        u16 port = random_port(r);
        unsigned width = 1u << (v >> 12 & 3) % 3;
        if (port + width > 0x518 && port <= 0x51B)
            return; /* would start DMA with memory that happens to be somewhere */
        if (write)
            port_write(m->bus, port, width, seldom_reset(r, port, zext(value, width)), cpu);
        else
            got = port_read(m->bus, port, width, cpu);
    } else {
        u8 bytes[16] = { 0 };
        unsigned width = widths[v >> 12 & 7];
        u64 spa = regions[(v >> 16) % ARRAY_LEN(regions)] + (v >> 24 & (v & 0x8000 ? 0xFFF : 0x3F0)) + (v >> 40 & (v & 0x1000 ? 15 : 0));
        if (spa + width > 0xFFFFFFFFFFull)
            spa -= 16;
        store_le(bytes, 8, value);
        store_le(bytes + 8, 8, ~value);
        if (write)
            phys_write(&m->cpu[cpu]->view, (struct spa){ spa }, bytes, width);
        else
            phys_read(&m->cpu[cpu]->view, (struct spa){ spa }, bytes, width);
        got = load_le(bytes, 8);
    }
    *hash = (*hash ^ got) * 0x100000001B3ull;
}

static void check_guard(struct svmemu *m, u64 done)
{
    static u8 page[GUARD_SIZE];
    machine_set_a20(m, true);
    svmemu_mem_read(m, GUARD, page, sizeof(page));
    for (unsigned i = 0; i < sizeof(page); i++)
        if (page[i] != (u8)(i * 31 + 7))
            fail_msg("RAM at %Xh changed before access %llu", GUARD + i, (unsigned long long)done);
}

/* Returns a hash of everything read, of registers, memory and time. */
static u64 storm(u64 seed, u64 accesses)
{
    struct svmemu *m = create();
    struct rng r = { seed };
    struct svmemu_stop stop;
    let_interrupts_through(m);
    u64 hash = 0xCBF29CE484222325ull, stops = 0, taken = 0;
    u8 guard[256];
    for (unsigned i = 0; i < GUARD_SIZE; i += 256) {
        for (unsigned k = 0; k < 256; k++)
            guard[k] = (u8)((i + k) * 31 + 7);
        svmemu_mem_write(m, GUARD + i, guard, 256);
    }
    for (u64 done = 0; done < accesses; done++) {
        random_access(m, &r, &hash);
        if (!(next(&r) & 0x1FF))
            svmemu_serial_send(m, (unsigned)(r.s >> 60) & 3, &r.s, 8, NULL);
        if (done % 64 != 63)
            continue;
        u64 insns = r.s >> 56 & 7 ? 64 : r.s >> 40 & 0x3FFF; /* now and then long enough for timers to end */
        assert_int_equal(svmemu_run(m, insns + 1, 20000 + (r.s >> 40 & 0xFFFF), &stop), SVMEMU_OK);
        for (unsigned i = 0; i < m->vcpus; i++)
            taken += m->cpu[i]->st.gpr[RDI] != 0;
        hash = (hash ^ (u64)stop.reason ^ stop.insns ^ stop.cycles) * 0x100000001B3ull;
        bool smi = stop.reason == SVMEMU_STOP_UNIMPLEMENTED && strstr(stop.text, "an SMI arrived"); /* from an ICR; the one event without its mode */
        if (stop.reason == SVMEMU_STOP_INTERNAL || (stop.reason == SVMEMU_STOP_UNIMPLEMENTED && !smi))
            fail_msg("access %llu: %s: %s", (unsigned long long)done, svmemu_stop_name(stop.reason), stop.text);
        if (stop.reason != SVMEMU_STOP_LIMIT_INSNS && stop.reason != SVMEMU_STOP_LIMIT_CYCLES && stop.reason != SVMEMU_STOP_EXIT) {
            stops++;
            svmemu_reset(m);
            place_code(m);
            let_interrupts_through(m);
        } else if (!(r.s >> 8 & 0x3F)) {
            place_code(m);
        }
        if (done % 65536 > 65000)
            check_guard(m, done);
    }
    check_guard(m, accesses);
    struct svmemu_stats st;
    svmemu_stats(m, &st);
    print_message("%llu instructions, %llu interrupts in %llu runs, %llu ends\n", (unsigned long long)st.insns, (unsigned long long)st.interrupts,
                  (unsigned long long)accesses / 64, (unsigned long long)stops);
    assert_true(accesses < 100000 || (stops > 0 && taken > 0)); /* resets, shutdowns, interrupts were among it */
    hash ^= svmemu_state_hash(m);
    svmemu_destroy(m);
    return hash;
}

static void random_accesses(void **state)
{
    u64 n = environment("SVMEMU_RANDOM_ACCESSES", 1000000), seed = environment("SVMEMU_RANDOM_SEED", 0x9E3779B97F4A7C15ull);
    (void)state;
    print_message("%llu accesses, seed %#llx\n", (unsigned long long)n, (unsigned long long)seed);
    storm(seed, n);
    assert_int_equal(storm(seed ^ 1, n / 10), storm(seed ^ 1, n / 10)); /* and once more: the same */
}

/* ---- timers at zero, in the past and as far away as they go ---- */
struct timer_write {
    u64 where;      /* port, or address from 64 Ki */
    unsigned width; /* 0: the end */
    u64 value;
};
#define HPET 0xFED00000u
#define APIC 0xFEE00000u
#define HPET_ON { HPET + 0x10, 8, 1 }
static const struct timer_write timers[][8] = {
    { { 0x43, 1, 0x34 }, { 0x40, 1, 0 }, { 0x40, 1, 0 } },                                 /* PIT 0 mode 2, 65536 */
    { { 0x43, 1, 0x34 }, { 0x40, 1, 1 }, { 0x40, 1, 0 } },                                 /* 1, which mode 2 forbids */
    { { 0x43, 1, 0x36 }, { 0x40, 1, 1 }, { 0x40, 1, 0 } },                                 /* mode 3, 1 */
    { { 0x43, 1, 0x36 }, { 0x40, 1, 2 }, { 0x40, 1, 0 } },
    { { 0x43, 1, 0x30 }, { 0x40, 1, 0 }, { 0x40, 1, 0 } },                                 /* mode 0 */
    { { 0x43, 1, 0x38 }, { 0x40, 1, 1 }, { 0x40, 1, 0 } },                                 /* mode 4 */
    { { 0x43, 1, 0x35 }, { 0x40, 1, 0xFF }, { 0x40, 1, 0xFF } },                           /* BCD with digits that are none */
    { { 0x70, 1, 0xA }, { 0x71, 1, 0x21 }, { 0x70, 1, 0xB }, { 0x71, 1, 0x72 } },          /* RTC: every interrupt, rate 1 */
    { { 0x70, 1, 0xA }, { 0x71, 1, 0x2F }, { 0x70, 1, 0xB }, { 0x71, 1, 0x42 } },          /* slowest */
    { { 0x70, 1, 0xA }, { 0x71, 1, 0x20 }, { 0x70, 1, 0xB }, { 0x71, 1, 0x42 } },          /* none */
    { { HPET + 0x100, 8, 0x4C }, { HPET + 0x108, 8, 0 }, HPET_ON },                        /* HPET periodic, period 0 */
    { { HPET + 0x100, 8, 0x4C }, { HPET + 0x108, 8, 1 }, { HPET + 0x108, 8, 1 }, HPET_ON }, /* period 1 */
    { { HPET + 0x100, 8, 0x4C }, { HPET + 0x108, 8, ~0ull }, { HPET + 0x108, 8, ~0ull }, HPET_ON },
    { { HPET + 0xF0, 8, 1000 }, { HPET + 0x100, 8, 4 }, { HPET + 0x108, 8, 999 }, HPET_ON }, /* one shot, in the past */
    { { HPET + 0xF0, 8, ~0ull }, { HPET + 0x100, 8, 0x104 }, { HPET + 0x108, 8, 0 }, HPET_ON }, /* 32 bits, counter about to wrap */
    { { HPET + 0x10, 8, 3 }, { HPET + 0x100, 8, 0x4C }, { HPET + 0x108, 8, 1 } },          /* legacy replacement */
    { { APIC + 0xF0, 4, 0x1FF }, { APIC + 0x3E0, 4, 0xB }, { APIC + 0x320, 4, 0x20040 }, { APIC + 0x380, 4, 1 } }, /* APIC periodic, 1 */
    { { APIC + 0xF0, 4, 0x1FF }, { APIC + 0x3E0, 4, 0xB }, { APIC + 0x320, 4, 0x20040 }, { APIC + 0x380, 4, 0 } },
    { { APIC + 0xF0, 4, 0x1FF }, { APIC + 0x3E0, 4, 0xA }, { APIC + 0x320, 4, 0x40 }, { APIC + 0x380, 4, 0xFFFFFFFF } },
    { { 0x3FB, 1, 0x83 }, { 0x3F8, 1, 0 }, { 0x3F9, 1, 0 }, { 0x3FB, 1, 3 }, { 0x3F9, 1, 1 }, { 0x3FA, 1, 1 } }, /* UART divisor 0 */
    { { 0x3FB, 1, 0x83 }, { 0x3F8, 1, 0xFF }, { 0x3F9, 1, 0xFF }, { 0x3FB, 1, 3 }, { 0x3FA, 1, 1 } },
    { { 0x602, 2, 0x1 } },                                                                  /* PM timer's own interrupt */
};

/* The guest goes on: a period of nothing does not stop time, and none of them is out of proportion. */
static void timers_at_their_limits(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(timers); i++) {
        struct svmemu *m = create();
        struct svmemu_stop stop;
        for (unsigned c = 0; c < VCPUS; c++)
            svmemu_reg_write(m, c, "rflags", 2); /* a timer that interrupts all the time leaves no time */
        for (unsigned k = 0; k < 8 && timers[i][k].width; k++) {
            const struct timer_write *w = &timers[i][k];
            if (w->where < 0x10000)
                port_write(m->bus, (u16)w->where, w->width, w->value, 0);
            else
                phys_write_le(&m->cpu[0]->view, (struct spa){ w->where }, w->width, w->value);
        }
        svmemu_serial_input(m, "0123456789", 10, NULL);
        assert_int_equal(svmemu_run(m, SVMEMU_NO_LIMIT, 2000000, &stop), SVMEMU_OK);
        assert_int_equal(stop.reason, SVMEMU_STOP_LIMIT_CYCLES);
        assert_in_range(stop.cycles, 2000000, 2000100);
        for (unsigned c = 0; c < VCPUS; c++)
            assert_true(m->cpu[c]->insns > 1000000); /* a loop of two cheap instructions, on each of them */
        svmemu_destroy(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(unclaimed_reads_ones), cmocka_unit_test(random_accesses),
                                        cmocka_unit_test(timers_at_their_limits) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
