// SPDX-License-Identifier: MIT
/* What a caller does to a machine from outside: maps it together, reads and writes registers, MSRs and memory, raises lines; what is refused
 * and what is said then; and registers that no machine has, which the caller may write and must survive. */
#include <svmemu/svmemu.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
#include <string.h>

enum { CODE = 0x4000, PML4 = 0x10000, PDPT = 0x11000, PD = 0x12000, PT = 0x13000, PAGE = 0x1000 };

static struct svmemu *machine(const struct svmemu_config *cfg)
{
    struct svmemu *m;
    assert_int_equal(svmemu_create(cfg, &m), SVMEMU_OK);
    assert_string_equal(svmemu_last_error(m), "");
    return m;
}

static uint64_t reg(struct svmemu *m, const char *name)
{
    uint64_t v = 0;
    assert_int_equal(svmemu_reg_read(m, 0, name, &v), SVMEMU_OK);
    return v;
}

static void set(struct svmemu *m, const char *name, uint64_t v)
{
    assert_int_equal(svmemu_reg_write(m, 0, name, v), SVMEMU_OK);
}

static enum svmemu_stop_reason run(struct svmemu *m, uint64_t insns)
{
    struct svmemu_stop stop;
    assert_int_equal(svmemu_run(m, insns, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
    return stop.reason;
}

/* The status, and a message that names what was wrong. */
#define refused(m, got, want, names) refused_at(m, got, want, names, __LINE__)
static void refused_at(struct svmemu *m, enum svmemu_status got, enum svmemu_status want, const char *names, int line)
{
    if (got != want)
        fail_msg("line %d: %s", line, svmemu_status_text(got));
    if (!strstr(svmemu_last_error(m), names))
        fail_msg("line %d: \"%s\" does not name \"%s\"", line, svmemu_last_error(m), names);
    assert_string_not_equal(svmemu_status_text(got), "unknown status");
}

/* ---- a machine mapped together by its caller ---- */
struct latch {
    uint64_t value, offset;
    unsigned width, reads, writes;
    int vcpu;
};

static uint64_t latch_read(void *ctx, uint64_t offset, unsigned width, int vcpu)
{
    struct latch *l = ctx;
    l->reads++, l->offset = offset, l->width = width, l->vcpu = vcpu;
    return l->value;
}

static void latch_write(void *ctx, uint64_t offset, unsigned width, uint64_t value, int vcpu)
{
    struct latch *l = ctx;
    l->writes++, l->offset = offset, l->width = width, l->vcpu = vcpu;
    l->value = value;
}

static const struct svmemu_mmio latch_ops = { .read = latch_read, .write = latch_write };

static void maps(void **state)
{
    /* in eax, 50h; mov [2004h], eax; mov [9008h], ax; mov byte [5000h], 1 (ROM); mov bl, [5000h]; out 53h, al; hlt */
    static const uint8_t rom[] = { 0xE5, 0x50, 0xA3, 0x04, 0x20, 0, 0, 0x66, 0xA3, 0x08, 0x90, 0, 0, 0xC6, 0x05, 0, 0x50, 0, 0, 1,
                                   0x8A, 0x1D, 0, 0x50, 0, 0, 0xE6, 0x53, 0xF4 };
    struct svmemu_config cfg = { .no_memory = true };
    struct svmemu *m = machine(&cfg);
    struct latch port = { .value = 0x12345678 }, mmio = { 0 }, above = { 0 };
    uint32_t v = 0;
    (void)state;
    assert_int_equal(svmemu_map_ram(m, 0x2000, PAGE), SVMEMU_OK);
    assert_int_equal(svmemu_map_rom(m, 0x5000, PAGE, rom, sizeof(rom)), SVMEMU_OK);
    assert_int_equal(svmemu_map_mmio(m, 0x9000, PAGE, &latch_ops, &mmio), SVMEMU_OK);
    assert_int_equal(svmemu_map_ports(m, 0x50, 4, &latch_ops, &port), SVMEMU_OK);
    refused(m, svmemu_map_ram(m, 1ull << 40, (1ull << 40) + PAGE), SVMEMU_MEMORY, "1 TiB");
    assert_int_equal(svmemu_set_mode(m, 0, 32, 0), SVMEMU_OK);
    set(m, "rip", 0x5000);
    assert_int_equal(run(m, 100), SVMEMU_STOP_HALTED);
    assert_int_equal(svmemu_mem_read(m, 0x2004, &v, 4), SVMEMU_OK);
    assert_int_equal(v, 0x12345678);
    assert_true(mmio.writes == 1 && mmio.offset == 8 && mmio.width == 2 && mmio.value == 0x5678 && mmio.vcpu == 0);
    assert_int_equal(reg(m, "rbx") & 0xFF, rom[0]); /* the write to ROM was dropped */
    assert_true(port.reads == 1 && port.writes == 1 && port.offset == 3 && port.width == 1 && port.value == 0x78);
    assert_int_equal(svmemu_map_ports(m, 0x53, 1, &latch_ops, &above), SVMEMU_OK); /* ports shadow those mapped before */
    set(m, "rip", 0x501A), set(m, "activity", 0);
    assert_int_equal(run(m, 100), SVMEMU_STOP_HALTED);
    assert_true(port.writes == 1 && above.writes == 1 && above.offset == 0);
    assert_int_equal(svmemu_map_mmio(m, 0x2000, PAGE, &latch_ops, &above), SVMEMU_OK); /* over RAM */
    set(m, "rip", 0x5000), set(m, "activity", 0);
    assert_int_equal(run(m, 100), SVMEMU_STOP_HALTED);
    assert_true(above.offset == 0 && above.writes == 3 && mmio.writes == 2);
    assert_int_equal(svmemu_mem_read(m, 0x9010, &v, 4), SVMEMU_OK); /* the caller touches the device too */
    assert_true(mmio.reads >= 1 && mmio.vcpu == -1);
    svmemu_destroy(m);
}

static void bad_maps(void **state)
{
    static const struct svmemu_mmio bad[] = {
        { .write = latch_write }, { .read = latch_read }, { latch_read, latch_write, 3, 4 }, { latch_read, latch_write, 1, 16 },
        { latch_read, latch_write, 8, 4 }, { latch_read, latch_write, 0, 5 },
    };
    struct svmemu_config cfg = { .memory = 16 * PAGE };
    struct svmemu *m = machine(&cfg);
    (void)state;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        refused(m, svmemu_map_mmio(m, 0x100000, PAGE, &bad[i], NULL), SVMEMU_ARGUMENT, "widths");
        refused(m, svmemu_map_ports(m, 0x50, 1, &bad[i], NULL), SVMEMU_ARGUMENT, "widths");
    }
    refused(m, svmemu_map_mmio(m, 0x100000, PAGE, NULL, NULL), SVMEMU_ARGUMENT, "handlers");
    refused(m, svmemu_map_ram(m, 0x100000, 0), SVMEMU_ARGUMENT, "empty");
    refused(m, svmemu_map_ram(m, 0x100800, PAGE), SVMEMU_ARGUMENT, "100800h");
    refused(m, svmemu_map_ram(m, 0x100000, 0x800), SVMEMU_ARGUMENT, "aligned");
    refused(m, svmemu_map_ram(m, 0 - (uint64_t)PAGE, 2 * PAGE), SVMEMU_ARGUMENT, "wraps");
    refused(m, svmemu_map_ram(m, 1ull << 48, PAGE), SVMEMU_ARGUMENT, "48 physical address bits");
    refused(m, svmemu_map_rom(m, 0x100000, PAGE, "", PAGE + 1), SVMEMU_ARGUMENT, "4097 bytes");
    refused(m, svmemu_map_ports(m, 0xFFFF, 2, &latch_ops, NULL), SVMEMU_ARGUMENT, "FFFFh");
    refused(m, svmemu_map_ports(m, 0, 0, &latch_ops, NULL), SVMEMU_ARGUMENT, "0 ports");
    svmemu_destroy(m);
}

/* ---- registers and MSRs ---- */
/* Each register takes a value and gives it back; where not every bit exists, those that do. */
static void every_register(void **state)
{
    struct svmemu_config cfg = { .memory = 1 << 20 };
    struct svmemu *m = machine(&cfg);
    unsigned n = 0;
    (void)state;
    for (const char *name; (name = svmemu_reg_name(n)); n++) {
        static const uint64_t values[] = { 0x123456789ABCDEF0, 0x12345678, 0x1234, 0x12, 1 };
        uint64_t v = 0, want = 0;
        unsigned k = 0;
        assert_int_equal(svmemu_reg_find(name), n);
        while (k < 5 && svmemu_reg_write_id(m, 0, n, want = values[k]) != SVMEMU_OK)
            k++;
        assert_true(k < 5);
        if (!strcmp(name, "rflags"))
            want = 0x3C5ED2; /* bit 1 is always set, 3, 5, 15 and those above 21 never [APM2 3.1.6] */
        if (!strcmp(name, "cr8"))
            want = 0; /* four bits */
        assert_int_equal(svmemu_reg_read_id(m, 0, n, &v), SVMEMU_OK);
        if (v != want)
            fail_msg("%s: wrote %llx, read %llx", name, (unsigned long long)want, (unsigned long long)v);
        svmemu_reg_write_id(m, 0, n, 0);
    }
    assert_true(n > 60);
    uint64_t v;
    refused(m, svmemu_reg_read_id(m, 0, n, &v), SVMEMU_NAME, "does not exist");
    refused(m, svmemu_reg_write_id(m, 1, 0, 0), SVMEMU_ARGUMENT, "vCPU 1");
    refused(m, svmemu_reg_read(m, 0, "zax", &v), SVMEMU_NAME, "zax");
    refused(m, svmemu_reg_write(m, 0, NULL, 0), SVMEMU_NAME, "null");
    refused(m, svmemu_reg_write(m, 0, "cs.sel", 0x10000), SVMEMU_ARGUMENT, "16 bits");
    refused(m, svmemu_reg_write(m, 0, "cpl", 4), SVMEMU_ARGUMENT, "CPL 4");
    refused(m, svmemu_reg_write(m, 0, "gif", 2), SVMEMU_ARGUMENT, "GIF");
    refused(m, svmemu_reg_write(m, 0, "activity", 200), SVMEMU_ARGUMENT, "activity 200");
    refused(m, svmemu_set_mode(m, 0, 48, 0), SVMEMU_ARGUMENT, "mode 48");
    refused(m, svmemu_set_mode(m, 9, 32, 0), SVMEMU_ARGUMENT, "vCPU 9");
    svmemu_destroy(m);
}

static void msrs(void **state)
{
    struct svmemu_config cfg = { .memory = 1 << 20 };
    struct svmemu *m = machine(&cfg);
    uint64_t v = 0;
    (void)state;
    assert_int_equal(svmemu_msr_write(m, 0, 0xC0000082, 0xFFFF800000001000), SVMEMU_OK); /* LSTAR */
    assert_int_equal(svmemu_msr_read(m, 0, 0xC0000082, &v), SVMEMU_OK);
    assert_int_equal(v, 0xFFFF800000001000);
    refused(m, svmemu_msr_write(m, 0, 0xC0000082, 0x8000000000000000), SVMEMU_NAME, "C0000082h");
    refused(m, svmemu_msr_read(m, 0, 0xDEAD, &v), SVMEMU_NAME, "0000DEADh");
    refused(m, svmemu_msr_read(m, 1, 0x10, &v), SVMEMU_ARGUMENT, "vCPU 1");
    refused(m, svmemu_msr_write(m, 1, 0x10, 0), SVMEMU_ARGUMENT, "vCPU 1");
    /* What was refused has left nothing behind: no exception waits. */
    assert_int_equal(svmemu_mem_write(m, CODE, "\x90\xF4", 2), SVMEMU_OK);
    svmemu_set_mode(m, 0, 32, 0);
    set(m, "rip", CODE);
    assert_int_equal(run(m, 10), SVMEMU_STOP_HALTED);
    assert_int_equal(reg(m, "rip"), CODE + 2);
    svmemu_destroy(m);
}

/* ---- linear memory ---- */
static void put64(struct svmemu *m, uint64_t at, uint64_t v)
{
    assert_int_equal(svmemu_mem_write(m, at, &v, 8), SVMEMU_OK);
}

/* Two neighbouring linear pages lie apart in memory, the third is missing. */
static void linear_memory(void **state)
{
    struct svmemu_config cfg = { .memory = 1 << 20 };
    struct svmemu *m = machine(&cfg);
    char text[] = "crosses a page", got[sizeof(text)] = "";
    (void)state;
    put64(m, PML4, PDPT | 3), put64(m, PDPT, PD | 3), put64(m, PD, PT | 3);
    put64(m, PT + 8 * 0x40, 0x30000 | 3), put64(m, PT + 8 * 0x41, 0x20000 | 1);
    assert_int_equal(svmemu_set_mode(m, 0, 64, PML4), SVMEMU_OK);
    assert_int_equal(svmemu_virt_write(m, 0, 0x40FF8, text, sizeof(text)), SVMEMU_OK); /* a debugger writes read-only pages too */
    assert_int_equal(svmemu_virt_read(m, 0, 0x40FF8, got, sizeof(got)), SVMEMU_OK);
    assert_string_equal(got, text);
    assert_int_equal(svmemu_mem_read(m, 0x20000, got, 6), SVMEMU_OK);
    assert_memory_equal(got, text + 8, 6);
    uint64_t pte = 0;
    svmemu_mem_read(m, PT + 8 * 0x40, &pte, 8);
    assert_int_equal(pte, 0x30000 | 3); /* neither A nor D */
    refused(m, svmemu_virt_read(m, 0, 0x41FFC, got, 8), SVMEMU_UNMAPPED, "42000h");
    refused(m, svmemu_virt_write(m, 0, 0x7FFFFFFFF000, got, 8), SVMEMU_UNMAPPED, "7FFFFFFFF000h");
    refused(m, svmemu_virt_read(m, 3, 0x40000, got, 8), SVMEMU_ARGUMENT, "vCPU 3");
    refused(m, svmemu_mem_read(m, 1ull << 48, got, 1), SVMEMU_ARGUMENT, "1000000000000h");
    refused(m, svmemu_mem_write(m, UINT64_MAX, got, 2), SVMEMU_ARGUMENT, "2 bytes");
    assert_int_equal(svmemu_mem_write(m, (1ull << 48) - 1, got, 1), SVMEMU_OK); /* nothing there: dropped */
    svmemu_destroy(m);
}

/* ---- lines ---- */
/* A halted real-mode guest with line 5 unmasked is woken by it, and the handler leaves its mark. */
static void legacy_line(void **state)
{
    /* mov al, 11h; out 20h, al; mov al, 20h; out 21h, al; mov al, 4; out 21h, al; mov al, 1; out 21h, al; mov al, DFh; out 21h, al;
     * sti; hlt; hlt */
    static const uint8_t code[] = { 0xB0, 0x11, 0xE6, 0x20, 0xB0, 0x20, 0xE6, 0x21, 0xB0, 4, 0xE6, 0x21, 0xB0, 1, 0xE6, 0x21, 0xB0, 0xDF,
                                    0xE6, 0x21, 0xFB, 0xF4, 0xF4 };
    static const uint8_t handler[] = { 0xBB, 0x34, 0x12, 0xF4 }; /* mov bx, 1234h; hlt */
    static const uint16_t vector[] = { 0x5000, 0 };
    struct svmemu_config cfg = { .memory = 2 << 20, .flags = SVMEMU_PC }, bare = { .memory = 1 << 20 };
    struct svmemu *m = machine(&cfg);
    (void)state;
    svmemu_mem_write(m, CODE, code, sizeof(code));
    svmemu_mem_write(m, 0x5000, handler, sizeof(handler));
    svmemu_mem_write(m, 0x25 * 4, vector, sizeof(vector));
    svmemu_set_mode(m, 0, 16, 0);
    assert_int_equal(svmemu_msr_write(m, 0, 0x1B, 0xFEE00100), SVMEMU_OK); /* local APIC off: the 8259 is the processor's INTR pin */
    set(m, "rip", CODE), set(m, "rsp", 0x8000);
    assert_int_equal(run(m, 100), SVMEMU_STOP_HALTED);
    refused(m, svmemu_irq(m, 16, true), SVMEMU_ARGUMENT, "line 16");
    assert_int_equal(svmemu_irq(m, 4, true), SVMEMU_OK); /* masked */
    assert_int_equal(run(m, 100), SVMEMU_STOP_HALTED);
    assert_int_equal(reg(m, "rbx"), 0);
    assert_int_equal(svmemu_irq(m, 5, true), SVMEMU_OK);
    assert_int_equal(run(m, 100), SVMEMU_STOP_HALTED);
    assert_int_equal(reg(m, "rbx"), 0x1234);
    svmemu_destroy(m);
    m = machine(&bare);
    refused(m, svmemu_irq(m, 5, true), SVMEMU_UNSUPPORTED, "legacy lines");
    refused(m, svmemu_nmi(m, 1), SVMEMU_ARGUMENT, "vCPU 1");
    svmemu_destroy(m);
}

/* ---- profiles ---- */
static void count_missing(void *ctx, const char *name, const char *text)
{
    assert_non_null(name);
    assert_non_null(text);
    ++*(unsigned *)ctx;
}

static void profiles(void **state)
{
    static const char *const names[] = { "k8", "barcelona", "zen1", "zen3", "max" };
    unsigned found = 0, i = 0;
    (void)state;
    for (const char *name; (name = svmemu_profile_name(i)); i++) {
        struct svmemu_config cfg = { .memory = 1 << 20, .cpu = name };
        unsigned missing = 0;
        assert_true(strlen(svmemu_profile_text(i)) > 10);
        svmemu_profile_missing(i, count_missing, &missing);
        assert_true(missing > 0); /* each real part has SSE3 or later, which is not computed yet */
        svmemu_destroy(machine(&cfg));
        for (unsigned k = 0; k < 5; k++)
            found |= !strcmp(name, names[k]) ? 1u << k : 0;
    }
    assert_int_equal(found, 31);
    assert_null(svmemu_profile_text(i));
    svmemu_profile_missing(i, count_missing, NULL); /* calls nothing */
}

/* ---- registers that no machine has ---- */
static uint64_t random64(uint64_t *s)
{
    *s ^= *s << 13, *s ^= *s >> 7, *s ^= *s << 17;
    return *s;
}

/* Any register may be written with anything that it is wide enough for. The machine then does something, each time the same, and stops
 * where it is told to. */
static uint64_t wild_run(uint64_t seed)
{
    struct svmemu_config cfg = { .memory = 1 << 20, .cpu = "max" };
    struct svmemu *m = machine(&cfg);
    uint64_t s = seed;
    for (unsigned at = 0; at < 1 << 20; at += 8)
        put64(m, at, random64(&s) & (random64(&s) % 3 ? 0xFFFFF027 : ~0ull)); /* page tables and descriptors, now and then */
    for (unsigned round = 0; round < 40; round++) {
        if (round % 4 == 0)
            svmemu_set_mode(m, 0, 16u << random64(&s) % 3, random64(&s) & 0xFF000);
        for (unsigned i = 0; svmemu_reg_name(i); i++) {
            uint64_t v = random64(&s), old;
            if (v % 4)
                continue;
            v = random64(&s);
            svmemu_reg_read_id(m, 0, i, &old);
            if (svmemu_reg_write_id(m, 0, i, v % 2 ? v : old ^ 1ull << (v >> 8) % 64) != SVMEMU_OK)
                svmemu_reg_write_id(m, 0, i, (v >> 16) & 0xFF);
        }
        set(m, "rip", random64(&s) & 0xFFFFF);
        set(m, "activity", 0);
        struct svmemu_stop stop;
        assert_int_equal(svmemu_run(m, 200, 100000, &stop), SVMEMU_OK);
        assert_string_not_equal(svmemu_stop_name(stop.reason), "unknown");
    }
    uint64_t hash = svmemu_state_hash(m);
    svmemu_destroy(m);
    return hash;
}

static void registers_that_no_machine_has(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        uint64_t hash = wild_run(seed * 0x9E3779B97F4A7C15);
        if (seed % 10 == 0)
            assert_int_equal(wild_run(seed * 0x9E3779B97F4A7C15), hash);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps), cmocka_unit_test(bad_maps), cmocka_unit_test(every_register), cmocka_unit_test(msrs),
        cmocka_unit_test(linear_memory), cmocka_unit_test(legacy_line), cmocka_unit_test(profiles),
        cmocka_unit_test(registers_that_no_machine_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
