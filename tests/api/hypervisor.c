// SPDX-License-Identifier: MIT
/* Testing a short hypervisor routine: the harness builds the machine, the VMCB and the guest, runs the routine exactly, looks at the exit.
 * Also: cutting a run into pieces changes nothing. */
#include <svmemu/svmemu.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { CODE = 0x100000, VMCB = 0x110000, HSAVE = 0x111000, GUEST = 0x120000 };

/* The routine under test, 32-bit: run the guest whose VMCB is in EAX, then say so in EBX. */
static const uint8_t routine[] = {
    0x0F, 0x01, 0xD8,             /* vmrun */
    0xBB, 0x0D, 0xF0, 0x00, 0x00, /* mov ebx, 0xF00D */
    0xFA, 0xF4,                   /* cli; hlt */
};
static const uint8_t guest[] = { 0xB8, 0x34, 0x12, 0x00, 0x00, 0x0F, 0x01, 0xD9 }; /* mov eax, 0x1234; vmmcall */

struct seen {
    unsigned entries, exits;
    uint64_t code;
};

static void on_switch(void *ctx, const struct svmemu_switch *s)
{
    struct seen *seen = ctx;
    assert_int_equal(s->vmcb, VMCB);
    assert_true(s->text[0] != 0);
    *(s->entry ? &seen->entries : &seen->exits) += 1;
    seen->code = s->code;
}

static void set(struct svmemu *m, const char *field, uint64_t value)
{
    if (svmemu_vmcb_write(m, VMCB, field, value) != SVMEMU_OK)
        fail_msg("%s: %s", field, svmemu_last_error(m));
}

static struct svmemu *machine(void)
{
    const struct svmemu_config cfg = { .memory = 4 << 20 };
    struct svmemu *m;
    assert_int_equal(svmemu_create(&cfg, &m), SVMEMU_OK);
    assert_int_equal(svmemu_set_mode(m, 0, 32, 0), SVMEMU_OK);
    assert_int_equal(svmemu_mem_write(m, CODE, routine, sizeof(routine)), SVMEMU_OK);
    assert_int_equal(svmemu_reg_write(m, 0, "rip", CODE), SVMEMU_OK);
    return m;
}

static void test_vmrun(void **state)
{
    struct svmemu *m = machine();
    struct svmemu_stop stop;
    struct seen seen = { 0 };
    uint64_t v = 0;
    (void)state;
    assert_int_equal(svmemu_msr_write(m, 0, 0xC0000080, 0x1000), SVMEMU_OK); /* EFER.SVME */
    assert_int_equal(svmemu_msr_write(m, 0, 0xC0010117, HSAVE), SVMEMU_OK);
    svmemu_mem_write(m, GUEST, guest, sizeof(guest));
    for (unsigned i = 0; i < 4; i++) { /* flat 32-bit segments: sel, attributes, limit at the state save area's start */
        const uint16_t attr = i == 1 ? 0xC9B : 0xC93;
        const uint32_t limit = 0xFFFFFFFF;
        svmemu_mem_write(m, VMCB + 0x400 + 16 * i + 2, &attr, 2);
        svmemu_mem_write(m, VMCB + 0x400 + 16 * i + 4, &limit, 4);
    }
    const uint32_t asid = 1, words[2] = { 0, 1u | 2u }; /* intercept words 00Ch and 010h: VMRUN and VMMCALL */
    svmemu_mem_write(m, VMCB + 0x58, &asid, 4);
    svmemu_mem_write(m, VMCB + 0x0C, words, 8);
    const uint64_t cr0 = 0x11, efer = 0x1000, flags = 2;
    svmemu_mem_write(m, VMCB + 0x558, &cr0, 8);
    svmemu_mem_write(m, VMCB + 0x4D0, &efer, 8);
    svmemu_mem_write(m, VMCB + 0x570, &flags, 8);
    set(m, "rip", GUEST);
    svmemu_reg_write(m, 0, "rax", VMCB);
    svmemu_hook_switch(m, on_switch, &seen);
    assert_int_equal(svmemu_run(m, 1000, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
    assert_int_equal(stop.reason, SVMEMU_STOP_HALTED);
    assert_int_equal(stop.insns, 6);
    assert_int_equal(seen.entries, 1);
    assert_int_equal(seen.exits, 1);
    assert_int_equal(seen.code, 0x81);
    assert_string_equal(svmemu_exit_name(seen.code), "VMMCALL");
    assert_int_equal(svmemu_vmcb_read(m, VMCB, "rax", &v), SVMEMU_OK);
    assert_int_equal(v, 0x1234);
    assert_int_equal(svmemu_reg_read(m, 0, "rbx", &v), SVMEMU_OK);
    assert_int_equal(v, 0xF00D);
    svmemu_destroy(m);
}

/* inc eax; add ecx, eax; jmp back: cut at every length, the state and the time are the same. */
static void test_pieces(void **state)
{
    static const uint8_t loop[] = { 0x40, 0x01, 0xC1, 0xEB, 0xFB };
    uint64_t want[3] = { 0 };
    (void)state;
    for (unsigned piece = 1000; piece; piece = piece == 1000 ? 7 : piece - 1) {
        struct svmemu *m = machine();
        struct svmemu_stop stop = { 0 };
        uint64_t ecx = 0, rip = 0;
        svmemu_mem_write(m, CODE, loop, sizeof(loop));
        while (stop.insns < 1000)
            assert_int_equal(svmemu_run(m, piece < 1000 - stop.insns ? piece : 1000 - stop.insns, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
        svmemu_reg_read(m, 0, "rcx", &ecx);
        svmemu_reg_read(m, 0, "rip", &rip);
        assert_int_equal(stop.insns, 1000);
        if (piece == 1000) {
            want[0] = ecx;
            want[1] = rip;
            want[2] = stop.cycles;
        }
        assert_int_equal(ecx, want[0]);
        assert_int_equal(rip, want[1]);
        assert_int_equal(stop.cycles, want[2]);
        svmemu_destroy(m);
    }
}

/* A reset costs no time: the next limit on cycles begins where the machine stood. */
static void test_reset_keeps_time(void **state)
{
    static const uint8_t loop[] = { 0x40, 0xEB, 0xFD }; /* inc eax; jmp back */
    struct svmemu *m = machine();
    struct svmemu_stop first, second;
    (void)state;
    svmemu_mem_write(m, CODE, loop, sizeof(loop));
    assert_int_equal(svmemu_run(m, SVMEMU_NO_LIMIT, 1000, &first), SVMEMU_OK);
    svmemu_reset(m);
    assert_int_equal(svmemu_set_mode(m, 0, 32, 0), SVMEMU_OK);
    assert_int_equal(svmemu_reg_write(m, 0, "rip", CODE), SVMEMU_OK);
    assert_int_equal(svmemu_run(m, SVMEMU_NO_LIMIT, 1000, &second), SVMEMU_OK);
    assert_int_equal(second.reason, SVMEMU_STOP_LIMIT_CYCLES);
    assert_true(second.insns - first.insns >= first.insns - 2);
    assert_true(second.cycles <= first.cycles + 1002);
    svmemu_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_vmrun), cmocka_unit_test(test_pieces),
                                        cmocka_unit_test(test_reset_keeps_time) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
