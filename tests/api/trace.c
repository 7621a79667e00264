// SPDX-License-Identifier: MIT
/* Hooks on instructions and events: what they tell, in which order, that they change nothing; counts and places of stops; texts of instructions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <svmemu/svmemu.h>

enum { CODE = 0x1000, STACK = 0x8000, HANDLER = 0x2000 };

struct log {
    struct svmemu *m;
    char text[2048];
    unsigned stop_at; /* RIP at which the hook asks to stop; 0: nowhere */
};

__attribute__((format(printf, 2, 3))) static void add(struct log *l, const char *fmt, ...)
{
    size_t n = strlen(l->text);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(l->text + n, sizeof(l->text) - n, fmt, ap);
    va_end(ap);
}

static uint64_t reg(struct svmemu *m, const char *name)
{
    uint64_t v = 0;
    assert_int_equal(svmemu_reg_read(m, 0, name, &v), SVMEMU_OK);
    return v;
}

static void on_insn(void *ctx, const struct svmemu_attempt *a)
{
    struct log *l = ctx;
    assert_int_equal(a->rip, reg(l->m, "rip"));
    assert_int_equal(a->linear, a->rip); /* all segments are flat here */
    add(l, "%d:%x ", a->vcpu, (unsigned)a->rip);
    if (l->stop_at && a->rip == l->stop_at)
        svmemu_request_stop(l->m);
}

static void on_event(void *ctx, const struct svmemu_event *e)
{
    struct log *l = ctx;
    assert_int_equal(e->rip, reg(l->m, "rip"));
    add(l, "[%s, sp %x] ", e->text, (unsigned)reg(l->m, "rsp"));
}

/* Real mode, bare machine; every vector's handler is an IRET at HANDLER + vector. */
static struct svmemu *machine(const void *code, size_t len)
{
    struct svmemu_config c = { .memory = 4 << 20 };
    struct svmemu *m;
    const uint8_t iret = 0xCF;
    assert_int_equal(svmemu_create(&c, &m), SVMEMU_OK);
    assert_int_equal(svmemu_set_mode(m, 0, 16, 0), SVMEMU_OK);
    for (unsigned v = 0; v < 256; v++) {
        const uint16_t entry[2] = { (uint16_t)(HANDLER + v), 0 };
        svmemu_mem_write(m, v * 4, entry, 4);
        svmemu_mem_write(m, HANDLER + v, &iret, 1);
    }
    svmemu_mem_write(m, CODE, code, len);
    svmemu_reg_write(m, 0, "rip", CODE);
    svmemu_reg_write(m, 0, "rsp", STACK);
    return m;
}

static void watch(struct log *l, struct svmemu *m)
{
    *l = (struct log){ .m = m };
    svmemu_hook_insn(m, on_insn, l);
    svmemu_hook_event(m, on_event, l);
}

static void test_order(void **state)
{
    /* mov al, 1; int 40h; int3; ud2 with a handler that halts for ever */
    static const uint8_t code[] = { 0xB0, 1, 0xCD, 0x40, 0xCC, 0x0F, 0x0B }, halt[] = { 0xFA, 0xF4 };
    struct svmemu *m = machine(code, sizeof(code));
    struct svmemu_stop stop;
    struct log l;
    (void)state;
    svmemu_mem_write(m, HANDLER + 6, halt, 2);
    watch(&l, m);
    assert_int_equal(svmemu_run(m, 100, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
    assert_int_equal(stop.reason, SVMEMU_STOP_HALTED);
    assert_string_equal(l.text, "0:1000 0:1002 [INT 40h, sp 8000] 0:2040 0:1004 [#BP, sp 8000] 0:2003 0:1005 [#UD, sp 8000] 0:2006 0:2007 ");
    assert_int_equal(stop.insns, 8);
    svmemu_destroy(m);
}

/* The event comes before what it interrupts, and an NMI is told of before the first instruction of its handler. */
static void test_nmi(void **state)
{
    static const uint8_t code[] = { 0x90, 0x90, 0x90 };
    struct svmemu *m = machine(code, sizeof(code));
    struct svmemu_stop stop;
    struct log l;
    (void)state;
    watch(&l, m);
    assert_int_equal(svmemu_step(m, &stop), SVMEMU_OK);
    assert_int_equal(svmemu_nmi(m, 0), SVMEMU_OK);
    assert_int_equal(svmemu_step(m, &stop), SVMEMU_OK);
    assert_int_equal(stop.rip, CODE + 1); /* back from the handler, which is one IRET */
    assert_int_equal(svmemu_step(m, &stop), SVMEMU_OK);
    assert_string_equal(l.text, "0:1000 [NMI, sp 8000] 0:2002 0:1001 ");
    svmemu_destroy(m);
}

/* A fault on the way to a fault: all of the chain is told of, and the shutdown comes with the last step. */
static void test_shutdown(void **state)
{
    static const uint8_t code[] = { 0x90, 0x0F, 0x0B };
    struct svmemu *m = machine(code, sizeof(code));
    struct svmemu_stop stop;
    struct log l;
    (void)state;
    svmemu_reg_write(m, 0, "idtr.limit", 3);
    watch(&l, m);
    assert_int_equal(svmemu_run(m, 2, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
    assert_int_equal(stop.reason, SVMEMU_STOP_SHUTDOWN);
    assert_int_equal(stop.insns, 2);
    assert_string_equal(l.text, "0:1000 0:1001 [#UD, sp 8000] [#GP(32h), sp 8000] [#DF(0h), sp 8000] [shutdown, sp 8000] ");
    svmemu_destroy(m);
}

/* Stopping from a hook: behind the instruction, at the time where it ended. */
static void test_stop(void **state)
{
    static const uint8_t code[] = { 0x90, 0x90, 0xB0, 7, 0xEB, 0xFE };
    struct svmemu *m = machine(code, sizeof(code));
    struct svmemu_stop stop, second;
    struct log l;
    (void)state;
    watch(&l, m);
    l.stop_at = CODE + 2;
    assert_int_equal(svmemu_run(m, SVMEMU_NO_LIMIT, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
    assert_int_equal(stop.reason, SVMEMU_STOP_REQUEST);
    assert_int_equal(stop.rip, CODE + 4);
    assert_int_equal(stop.insns, 3);
    assert_int_equal(reg(m, "rax") & 0xFF, 7);
    svmemu_hook_insn(m, NULL, NULL);
    assert_int_equal(svmemu_run(m, SVMEMU_NO_LIMIT, 1000, &second), SVMEMU_OK);
    assert_int_equal(second.reason, SVMEMU_STOP_LIMIT_CYCLES);
    assert_in_range(second.cycles, stop.cycles + 1000, stop.cycles + 1010);
    svmemu_destroy(m);
}

static void on_debug(void *ctx, uint8_t byte)
{
    struct svmemu **m = ctx;
    (void)byte;
    svmemu_request_stop(*m);
}

/* A request that is seen between two rounds: the time of the stop is that of the round's end, and the next limit counts from there. */
static void test_stop_between_rounds(void **state)
{
    static const uint8_t code[] = { 0xE6, 0xE9, 0xEB, 0xFE }; /* out e9h, al; jmp $ */
    struct svmemu *m;
    struct svmemu_config c = { .memory = 4 << 20, .flags = SVMEMU_PC, .debug = on_debug, .ctx = &m };
    struct svmemu_stop stop, second;
    (void)state;
    assert_int_equal(svmemu_create(&c, &m), SVMEMU_OK);
    assert_int_equal(svmemu_set_mode(m, 0, 16, 0), SVMEMU_OK);
    svmemu_mem_write(m, CODE, code, sizeof(code));
    svmemu_reg_write(m, 0, "rip", CODE);
    assert_int_equal(svmemu_run(m, SVMEMU_NO_LIMIT, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
    assert_int_equal(stop.reason, SVMEMU_STOP_REQUEST);
    assert_true(stop.insns > 1000);
    assert_true(stop.cycles > stop.insns / 2); /* a jump costs more than half a cycle */
    assert_int_equal(svmemu_run(m, SVMEMU_NO_LIMIT, 1000, &second), SVMEMU_OK);
    assert_int_equal(second.reason, SVMEMU_STOP_LIMIT_CYCLES);
    assert_in_range(second.cycles, stop.cycles + 1000, stop.cycles + 1010);
    svmemu_destroy(m);
}

/* An instruction that is not built does not count, however often it is tried; on every engine, in a block and alone. */
static void test_unbuilt(void **state)
{
    static const uint8_t code[] = { 0x90, 0x90, 0xD9, 0xFE }; /* fsin */
    (void)state;
    for (unsigned engine = 0; engine < 3; engine++) {
        struct svmemu_config c = { .memory = 4 << 20, .generic_only = engine == 1, .blocks_off = engine == 2 };
        struct svmemu_stop stop;
        struct svmemu *m;
        assert_int_equal(svmemu_create(&c, &m), SVMEMU_OK);
        assert_int_equal(svmemu_set_mode(m, 0, 32, 0), SVMEMU_OK);
        svmemu_mem_write(m, CODE, code, sizeof(code));
        svmemu_reg_write(m, 0, "rip", CODE);
        for (unsigned i = 0; i < 3; i++) {
            assert_int_equal(svmemu_run(m, 10, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
            assert_int_equal(stop.reason, SVMEMU_STOP_UNIMPLEMENTED);
            assert_int_equal(stop.rip, CODE + 2);
            assert_int_equal(stop.insns, 2);
        }
        svmemu_destroy(m);
    }
}

/* A run with hooks is the same run; the second guest fetches from pages that are not there. */
static void test_same_run(void **state)
{
    static const char *const guests[] = { SVMEMU_BINARY_DIR "/guests/inject.elf", SVMEMU_BINARY_DIR "/guests/shadow.elf" };
    (void)state;
    for (unsigned g = 0; g < sizeof(guests) / sizeof(guests[0]); g++) {
        uint64_t hash[2], cycles[2], told = 0;
        for (unsigned watched = 0; watched < 2; watched++) {
            struct svmemu_config c = { .memory = 32 << 20, .flags = SVMEMU_PC | SVMEMU_EXIT_PORT };
            struct svmemu_stop stop;
            struct svmemu *m;
            struct log l;
            assert_int_equal(svmemu_create(&c, &m), SVMEMU_OK);
            assert_int_equal(svmemu_load_file(m, guests[g], NULL), SVMEMU_OK);
            if (watched)
                watch(&l, m);
            assert_int_equal(svmemu_run(m, 50000000, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
            assert_int_equal(stop.reason, SVMEMU_STOP_EXIT);
            hash[watched] = svmemu_state_hash(m);
            cycles[watched] = stop.cycles;
            told = watched ? strlen(l.text) : 0;
            svmemu_destroy(m);
        }
        assert_true(told > 1000);
        assert_int_equal(hash[0], hash[1]);
        assert_int_equal(cycles[0], cycles[1]);
    }
}

static void test_text(void **state)
{
    static const struct {
        unsigned bits;
        uint8_t code[8];
        unsigned len;
        const char *text;
    } rows[] = {
        { 64, { 0x0F, 0x01, 0xFC }, 3, "clzero [0f 01 fc]" },
        { 64, { 0xF0, 0x48, 0x01, 0x08 }, 4, "lock add [f0 48 01 08]" },
        { 32, { 0x48, 0x90 }, 1, "dec [48]" },
        { 64, { 0x06 }, 0, "" },
        { 64, { 0x48 }, 0, "" },
        { 17, { 0x90 }, 0, "" },
    };
    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[64] = "?";
        unsigned len = 99;
        size_t n = svmemu_insn_text(NULL, rows[i].bits, rows[i].code, rows[i].code[1] ? sizeof(rows[i].code) : 1, &len, text, sizeof(text));
        assert_int_equal(len, rows[i].len);
        assert_string_equal(text, rows[i].text);
        assert_int_equal(n, strlen(rows[i].text));
        assert_int_equal(svmemu_insn_text(NULL, rows[i].bits, rows[i].code, rows[i].code[1] ? sizeof(rows[i].code) : 1, NULL, NULL, 0), n);
    }
    /* What a processor lacks is no instruction of its machine. */
    struct svmemu_config c = { .memory = 4 << 20, .cpu = "k8" };
    struct svmemu *m;
    unsigned len = 99;
    char text[64];
    assert_int_equal(svmemu_create(&c, &m), SVMEMU_OK);
    svmemu_insn_text(m, 64, rows[0].code, 3, &len, text, sizeof(text));
    assert_int_equal(len, 0);
    svmemu_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order), cmocka_unit_test(test_nmi), cmocka_unit_test(test_shutdown), cmocka_unit_test(test_stop),
        cmocka_unit_test(test_stop_between_rounds), cmocka_unit_test(test_unbuilt), cmocka_unit_test(test_same_run),
        cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
