// SPDX-License-Identifier: MIT
/* What svmemu tells a hypervisor's author: a sentence for each kind of #VMEXIT, the list of checks that a VMCB violates, the printed VMCB and the
 * difference of two. Texts are exact; bit layouts are those of the manual. [APM2 15.7-15.14, 15.25.6, 15.29.9] */
#include <svmemu/svmemu.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BIT(n) (1ull << (n))
#define V BIT(31)
#define EV BIT(11)

static void expect(struct svmemu_switch s, const char *want)
{
    char buf[512], part[512];
    size_t n = svmemu_explain(&s, buf, sizeof(buf));
    assert_string_equal(buf, want);
    assert_int_equal(n, strlen(want));
    assert_int_equal(svmemu_explain(&s, NULL, 0), n);
    for (size_t size = 1; size <= n; size += 7) { /* the contract of snprintf */
        memset(part, 'x', sizeof(part));
        assert_int_equal(svmemu_explain(&s, part, size), n);
        assert_int_equal(part[size - 1], 0);
        assert_int_equal(strncmp(part, want, size - 1), 0);
        assert_int_equal(part[size], 'x');
    }
}
#define EXIT(text, ...) expect((struct svmemu_switch){ .assists = true, __VA_ARGS__ }, text)
#define PLAIN(text, ...) expect((struct svmemu_switch){ __VA_ARGS__ }, text)

static void registers(void **state)
{
    (void)state;
    EXIT("MOV from CR3 to RBX", .code = 0x03, .info1 = BIT(63) | 3);
    EXIT("MOV to CR0 from R15", .code = 0x10, .info1 = BIT(63) | 15);
    EXIT("MOV to CR8 from RAX", .code = 0x18, .info1 = BIT(63));
    EXIT("SMSW (reads CR0)", .code = 0x00);
    EXIT("LMSW or CLTS (writes CR0)", .code = 0x10);
    EXIT("LMSW, which changes more than TS and MP", .code = 0x65);
    EXIT("MOV to CR0 from RCX, which changes more than TS and MP", .code = 0x65, .info1 = BIT(63) | 1);
    PLAIN("read of CR0 by MOV or SMSW", .code = 0x00);
    PLAIN("write of CR0 by MOV, LMSW or CLTS", .code = 0x10);
    PLAIN("write of CR0 by MOV or LMSW, which changes more than TS and MP", .code = 0x65);
    PLAIN("MOV from CR2", .code = 0x02);
    PLAIN("MOV to CR4", .code = 0x14);
    EXIT("MOV to DR7 from RDX", .code = 0x37, .info1 = 2);
    EXIT("MOV from DR6 to R8", .code = 0x26, .info1 = 8);
    PLAIN("MOV from DR0", .code = 0x20);
    EXIT("CR4 written (trap), new value 0x20", .code = 0x94, .info1 = 0x20);
    EXIT("EFER written (trap), new value 0xd01", .code = 0x8F, .info1 = 0xD01);
}

static void exceptions(void **state)
{
    (void)state;
    EXIT("#UD", .code = 0x46);
    EXIT("#DB", .code = 0x41);
    EXIT("exception 15", .code = 0x4F);
    EXIT("#DF with error code 0", .code = 0x48);
    EXIT("#GP with error code 0", .code = 0x4D);
    EXIT("#GP with error code 0x28 (selector 28h of the GDT)", .code = 0x4D, .info1 = 0x28);
    EXIT("#NP with error code 0x2d (selector 28h of the LDT, while an event was delivered)", .code = 0x4B, .info1 = 0x2D);
    EXIT("#SS with error code 0x402 (gate of vector 128)", .code = 0x4C, .info1 = 0x402);
    EXIT("#TS with error code 0x30 (selector 30h of the GDT)", .code = 0x4A, .info1 = 0x30);
    EXIT("#AC with error code 0", .code = 0x51);
    EXIT("#SX with error code 0x1", .code = 0x5E, .info1 = 1);
    EXIT("#PF: user write of linear address 0xdead, page not present (error code 0x6); CR2 is not written", .code = 0x4E, .info1 = 6,
         .info2 = 0xDEAD);
    EXIT("#PF: supervisor fetch of linear address 0x1000, not permitted (error code 0x11); CR2 is not written", .code = 0x4E, .info1 = 0x11,
         .info2 = 0x1000);
    EXIT("#PF: supervisor read of linear address 0x8, reserved bit set in an entry (error code 0x9); CR2 is not written", .code = 0x4E,
         .info1 = 9, .info2 = 8);
    EXIT("#PF: user read of linear address 0, not permitted, protection key, shadow stack (error code 0x65); CR2 is not written",
         .code = 0x4E, .info1 = 0x65);
}

static void io(void **state)
{
    (void)state;
    EXIT("IN of 1 byte from port 71h; the next instruction is at 0x1002", .code = 0x7B, .info1 = 0x71u << 16 | BIT(4) | 1, .info2 = 0x1002);
    EXIT("OUT of 4 bytes to port CF8h; the next instruction is at 0x1001", .code = 0x7B, .info1 = 0xCF8ull << 16 | BIT(6) | BIT(9),
         .info2 = 0x1001);
    EXIT("REP OUTS of 1 byte to port 3F8h, memory in FS, 64-bit addresses; the next instruction is at 0x5", .code = 0x7B,
         .info1 = 0x3F8ull << 16 | BIT(2) | BIT(3) | BIT(4) | BIT(9) | 4 << 10, .info2 = 5);
    EXIT("INS of 2 bytes from port 1F0h, memory in ES, 32-bit addresses; the next instruction is at 0x5", .code = 0x7B,
         .info1 = 0x1F0ull << 16 | BIT(0) | BIT(2) | BIT(5) | BIT(8), .info2 = 5);
    PLAIN("OUTS of 2 bytes to port FFFFh, 16-bit addresses; the next instruction is at 0x5", .code = 0x7B,
          .info1 = 0xFFFFull << 16 | BIT(2) | BIT(5) | BIT(7), .info2 = 5);
    EXIT("SMI from outside the processor", .code = 0x62, .info1 = 1);
    EXIT("SMI from inside the processor", .code = 0x62);
    EXIT("SMI from outside the processor, a redirected machine check", .code = 0x62, .info1 = 3);
    EXIT("SMI from inside the processor, asserted during OUT of 1 byte to port B2h at rIP 0x1234", .code = 0x62,
         .info1 = 0xB2ull << 48 | BIT(33) | BIT(36), .info2 = 0x1234);
    EXIT("SMI from inside the processor, asserted during REP INS of 2 bytes from port 60h, memory in ES, 32-bit addresses at rIP 0x1234",
         .code = 0x62, .info1 = 0x60ull << 48 | BIT(32) | BIT(33) | BIT(34) | BIT(35) | BIT(37) | BIT(40), .info2 = 0x1234);
}

static void nested(void **state)
{
    (void)state;
    EXIT("nested page fault: user read of guest-physical address 0x5123, nested page not present, final address (error code 0x100000004)",
         .code = 0x400, .info1 = BIT(32) | 4, .info2 = 0x5123);
    EXIT("nested page fault: user write of guest-physical address 0x5123, not permitted by the nested tables, final address "
         "(error code 0x100000007)", .code = 0x400, .info1 = BIT(32) | 7, .info2 = 0x5123);
    EXIT("nested page fault: user fetch of guest-physical address 0x5000, reserved bit set in a nested entry, final address "
         "(error code 0x10000001d)", .code = 0x400, .info1 = BIT(32) | 0x1D, .info2 = 0x5000);
    EXIT("nested page fault: user write of guest-physical address 0x8, nested page not present, entry of a guest page table "
         "(error code 0x200000006)", .code = 0x400, .info1 = BIT(33) | 6, .info2 = 8);
    EXIT("nested page fault: supervisor write of guest-physical address 0, not permitted by the nested tables, final address, protection key, "
         "shadow stack, RMP check failed, encrypted access, page size differs from the RMP's, VMPL permission, supervisor shadow stack page, "
         "not restartable (error code 0x8000003d80000063)", .code = 0x400,
         .info1 = BIT(63) | BIT(37) | BIT(36) | BIT(35) | BIT(34) | BIT(32) | BIT(31) | 0x63);
    EXIT("page modification log full", .code = 0x407);
}

static void avic(void **state)
{
    (void)state;
    EXIT("AVIC could not complete an interprocessor interrupt: a target is not running, table index 5 (ICR 0x50000000040fd)", .code = 0x401,
         .info1 = 0x50000000040FD, .info2 = 1ull << 32 | 5);
    EXIT("AVIC could not complete an interprocessor interrupt: type or trigger mode that AVIC does not send (ICR 0x4500)", .code = 0x401,
         .info1 = 0x4500, .info2 = 5);
    EXIT("AVIC could not complete an interprocessor interrupt: vector below 16 (ICR 0x5)", .code = 0x401, .info1 = 5, .info2 = 4ull << 32);
    EXIT("AVIC could not complete an interprocessor interrupt: reason 9 (ICR 0)", .code = 0x401, .info2 = 9ull << 32);
    EXIT("write of virtual APIC register 0B0h (EOI), which AVIC does not accelerate, vector 49 in service", .code = 0x402,
         .info1 = BIT(32) | 0xB0, .info2 = 49);
    EXIT("read of virtual APIC register 390h (timer current count), which AVIC does not accelerate", .code = 0x402, .info1 = 0x390);
    EXIT("write of virtual APIC register 220h (IRR), which AVIC does not accelerate", .code = 0x402, .info1 = BIT(32) | 0x220);
    EXIT("read of virtual APIC register 600h, which AVIC does not accelerate", .code = 0x402, .info1 = 0x600);
}

static void instructions(void **state)
{
    (void)state;
    EXIT("RDMSR of EFER (C0000080h)", .code = 0x7C, .rcx = 0xC0000080);
    EXIT("WRMSR of LSTAR (C0000082h), value 0x123456789abcdef0", .code = 0x7C, .info1 = 1, .rcx = 0xFFFFFFFFC0000082, .rax = 0x9ABCDEF0,
         .rdx = 0x12345678);
    EXIT("RDMSR of MTRR_PHYS3 (00000203h)", .code = 0x7C, .rcx = 0x203);
    EXIT("RDMSR of MSR 12345678h", .code = 0x7C, .rcx = 0x12345678);
    EXIT("task switch to TSS selector 28h by a far JMP", .code = 0x7D, .info1 = 0x28, .info2 = BIT(38));
    EXIT("task switch to TSS selector 28h by IRET", .code = 0x7D, .info1 = 0x28, .info2 = BIT(36));
    EXIT("task switch to TSS selector 30h by a far CALL", .code = 0x7D, .info1 = 0x30);
    EXIT("task switch to TSS selector 30h by an event through a task gate, error code 0x10 to be pushed, RF set in the outgoing TSS; this "
         "broke off the delivery of #GP with error code 0x10 (selector 10h of the GDT)", .code = 0x7D, .info1 = 0x30,
         .info2 = BIT(44) | BIT(48) | 0x10, .intinfo = V | EV | 0x30D | 0x10ull << 32);
    EXIT("INT 80h", .code = 0x75, .info1 = 0x80);
    PLAIN("INT n", .code = 0x75);
    EXIT("INVLPG of linear address 0x7000", .code = 0x79, .info1 = 0x7000);
    PLAIN("INVLPG", .code = 0x79);
    EXIT("INVLPGA of linear address 0x7000 in ASID 5", .code = 0x7A, .rax = 0x7000, .rcx = 5);
    EXIT("INVPCID of type 2, descriptor at linear address 0x9000", .code = 0xA2, .info1 = 0x9000, .info2 = 2);
    EXIT("CPUID of leaf 0x80000001, subleaf 0x1", .code = 0x72, .rax = 0x80000001, .rcx = 1);
    EXIT("XSETBV of XCR0, value 0x7", .code = 0x8D, .rax = 7);
    EXIT("RDPMC of counter 0x2", .code = 0x6F, .rcx = 2);
    EXIT("RDPRU of register 0x1", .code = 0x8E, .rcx = 1);
    EXIT("VMRUN of the VMCB at 0x5000", .code = 0x80, .rax = 0x5000);
    EXIT("VMLOAD of the VMCB at 0x5000", .code = 0x82, .rax = 0x5000);
    EXIT("VMMCALL with rAX 0x1, rCX 0x2, rDX 0x3", .code = 0x81, .rax = 1, .rcx = 2, .rdx = 3);
    EXIT("SKINIT of the block at 0x10000", .code = 0x86, .rax = 0x12345);
    EXIT("HLT", .code = 0x78);
    EXIT("physical interrupt", .code = 0x60);
    EXIT("virtual interrupt about to be taken", .code = 0x64);
    EXIT("exit code 0x1234, which the manual does not define", .code = 0x1234);
    EXIT("", .entry = true, .code = 0x78);
}

static void delivery(void **state)
{
    (void)state;
    EXIT("#PF: supervisor write of linear address 0x10, page not present (error code 0x2); CR2 is not written; this broke off the delivery of "
         "interrupt vector 30h", .code = 0x4E, .info1 = 2, .info2 = 0x10, .intinfo = V | 0x30);
    EXIT("shutdown (triple fault); this broke off the delivery of #DF with error code 0", .code = 0x7F, .intinfo = V | EV | 0x308);
    EXIT("#NP with error code 0x6a (gate of vector 13); this broke off the delivery of an NMI", .code = 0x4B, .info1 = 0x6A,
         .intinfo = V | 0x202);
    EXIT("#UD; this broke off the delivery of INT 80h", .code = 0x46, .intinfo = V | 0x480);
    EXIT("#UD; this broke off the delivery of an event of type 5, vector 10h", .code = 0x46, .intinfo = V | 0x510);
    EXIT("#UD", .code = 0x46, .intinfo = 0x480); /* V is clear */
}

/* Every code that has a name has a sentence, whatever the fields hold. */
static void every_code(void **state)
{
    (void)state;
    unsigned named = 0;
    for (uint64_t code = 0; code < 0x500; code++) {
        char buf[1024];
        struct svmemu_switch s = { .code = code, .info1 = UINT64_MAX, .info2 = UINT64_MAX, .intinfo = UINT64_MAX, .assists = code & 1 };
        size_t n = svmemu_explain(&s, buf, sizeof(buf));
        assert_true(n > 2 && n < sizeof(buf));
        assert_int_equal(strstr(buf, "does not define") != NULL, svmemu_exit_name(code) == NULL);
        named += svmemu_exit_name(code) != NULL;
    }
    assert_int_equal(named, 0xA7 + 6);
}

/* ---- VMCBs ---- */

static void put(uint8_t *v, unsigned at, unsigned width, uint64_t x)
{
    for (unsigned i = 0; i < width; i++)
        v[at + i] = (uint8_t)(x >> 8 * i);
}

static void printed(void **state)
{
    (void)state;
    static uint8_t v[1 + SVMEMU_VMCB_SIZE]; /* unaligned on purpose */
    uint8_t *p = v + 1;
    char text[16384], small[100];
    memset(v, 0, sizeof(v));
    put(p, 0x000, 4, 0x00010008); /* CR3 read, CR0 write */
    put(p, 0x008, 4, 1u << 14);
    put(p, 0x00C, 4, 1u << 24 | 1u << 31);
    put(p, 0x010, 4, 3);
    put(p, 0x058, 4, 1);
    put(p, 0x060, 4, 0x010F0100);
    put(p, 0x070, 8, 0x400);
    put(p, 0x0A8, 8, 0x80000B0Dull | 0x10ull << 32);
    put(p, 0x0D1, 8, 0x0102030405060708);
    put(p, 0x412, 2, 0xA9B);
    put(p, 0x558, 8, 0x80000011);
    put(p, 0x4D0, 8, 0x1500);
    put(p, 0x570, 8, 0x3202);
    size_t n = svmemu_vmcb_text(p, false, text, sizeof(text));
    assert_string_equal(text, "000 icpt_cr=10008  (CR0_WRITE CR3_READ)\n"
                              "008 icpt_exc=4000  (PF)\n"
                              "00C icpt_misc1=81000000  (HLT SHUTDOWN)\n"
                              "010 icpt_misc2=3  (VMRUN VMMCALL)\n"
                              "058 asid=1\n"
                              "060 int_ctl=10F0100  (v_irq v_intr_prio=F v_intr_masking)\n"
                              "070 exitcode=400  (NPF)\n"
                              "0A8 eventinj=1080000B0D  (eventinj_vector=D eventinj_type=3 eventinj_ev eventinj_v eventinj_errorcode=10)\n"
                              "0D1 insn_bytes=080706050403020100000000000000\n"
                              "412 cs_attr=A9B  (cs_type=B cs_s cs_p cs_l cs_g)\n"
                              "4D0 efer=1500  (efer_lme efer_lma efer_svme)\n"
                              "558 cr0=80000011  (cr0_pe cr0_et cr0_pg)\n"
                              "570 rflags=3202  (rflags_if rflags_iopl=3)\n");
    assert_int_equal(n, strlen(text));
    assert_int_equal(svmemu_vmcb_text(p, false, small, sizeof(small)), n);
    assert_int_equal(strncmp(small, text, sizeof(small) - 1), 0);
    assert_int_equal(strlen(small), sizeof(small) - 1);
    assert_int_equal(svmemu_vmcb_text(p, false, NULL, 0), n);
    assert_true(svmemu_vmcb_text(p, true, text, sizeof(text)) > n);
    assert_non_null(strstr(text, "\n578 rip=0\n"));
    assert_int_equal(svmemu_vmcb_field_text(p, "cr0_pg", text, sizeof(text)), strlen("558 cr0_pg=1"));
    assert_string_equal(text, "558 cr0_pg=1");
    assert_int_equal(svmemu_vmcb_field_text(p, "nothing", text, sizeof(text)), 0);
    assert_string_equal(text, "");
}

struct seen { char text[512]; unsigned n; };

static void on_difference(void *ctx, const struct svmemu_field *f, uint64_t va, uint64_t vb)
{
    struct seen *s = ctx;
    size_t n = strlen(s->text);
    snprintf(s->text + n, sizeof(s->text) - n, "%03X %s %llX->%llX;", f->offset, f->name, (unsigned long long)va, (unsigned long long)vb);
    s->n++;
}

static void compared(void **state)
{
    (void)state;
    static uint8_t a[SVMEMU_VMCB_SIZE], b[SVMEMU_VMCB_SIZE];
    struct seen s = { "", 0 };
    memset(a, 0, sizeof(a));
    memset(b, 0, sizeof(b));
    assert_int_equal(svmemu_vmcb_diff(a, b, on_difference, &s), 0);
    put(a, 0x578, 8, 0x1000);
    put(b, 0x578, 8, 0x1003);
    put(b, 0x070, 8, 0x81);
    put(b, 0x200, 8, 1); /* no field */
    assert_int_equal(svmemu_vmcb_diff(a, b, on_difference, &s), 2);
    assert_string_equal(s.text, "070 exitcode 0->81;578 rip 1000->1003;");
    assert_int_equal(svmemu_vmcb_diff(a, b, NULL, NULL), 2);
}

static void described(void **state)
{
    (void)state;
    struct svmemu_field f;
    unsigned i = 0, seen = 0;
    for (; svmemu_vmcb_field_at(i, &f); i++) {
        assert_string_equal(f.name, svmemu_vmcb_field(i));
        assert_true(f.hi >= f.lo && f.hi < 8 * f.width && f.offset + f.width <= SVMEMU_VMCB_SIZE);
        if (!strcmp(f.name, "cr3")) {
            assert_true(f.offset == 0x550 && f.width == 8 && f.hi == 63 && f.lo == 0 && !f.part && f.loaded && f.stored && !f.vmload);
            assert_int_equal(f.clean, 5);
            seen++;
        }
        if (!strcmp(f.name, "v_intr_prio")) {
            assert_true(f.offset == 0x060 && f.width == 4 && f.hi == 19 && f.lo == 16 && f.part && f.clean == -1);
            seen++;
        }
        if (!strcmp(f.name, "icpt.HLT")) {
            assert_true(f.offset == 0x00C && f.hi == 24 && f.lo == 24 && f.part);
            seen++;
        }
        if (!strcmp(f.name, "tr_base")) {
            assert_true(f.offset == 0x498 && f.vmload && !f.loaded && !f.stored);
            seen++;
        }
    }
    assert_int_equal(seen, 4);
    assert_null(svmemu_vmcb_field(i));
}

/* ---- checks, asked and seen at the exit ---- */

enum { CODE = 0x100000, VMCB = 0x110000, HSAVE = 0x111000, GUEST = 0x120000 };

static void on_check(void *ctx, const struct svmemu_check *c)
{
    struct seen *s = ctx;
    size_t n = strlen(s->text);
    snprintf(s->text + n, sizeof(s->text) - n, "%s %s %03X %llX %s;", c->id, c->field, c->offset, (unsigned long long)c->value, c->section);
    s->n++;
}

static void on_switch(void *ctx, const struct svmemu_switch *w)
{
    if (w->entry)
        return;
    char *text = ((struct seen *)ctx)->text;
    svmemu_explain(w, text, 200);
    for (unsigned i = 0; i < w->check_count; i++) {
        size_t n = strlen(text);
        snprintf(text + n, 512 - n, "|%s: %s %s %03X %llX %s", w->checks[i].id, w->checks[i].rule, w->checks[i].field, w->checks[i].offset,
                 (unsigned long long)w->checks[i].value, w->checks[i].section);
    }
}

static void checked(void **state)
{
    (void)state;
    const struct svmemu_config cfg = { .memory = 4 << 20 };
    struct svmemu *m;
    struct svmemu_stop stop;
    struct seen s = { "", 0 }, exit = { "", 0 };
    unsigned count = 9;
    uint64_t hash;
    static const struct { const char *name; uint64_t value; } fields[] = {
        { "icpt.VMRUN", 1 }, { "icpt.VMMCALL", 1 }, { "asid", 1 }, { "efer_svme", 1 }, { "cr0_pe", 1 }, { "rip", GUEST }, { "cs_attr", 0xC9B },
        { "cs_limit", 0xFFFFFFFF }, { "rflags", 2 }, { "dr7", 0x400 } };
    assert_int_equal(svmemu_create(&cfg, &m), SVMEMU_OK);
    assert_int_equal(svmemu_set_mode(m, 0, 32, 0), SVMEMU_OK);
    assert_int_equal(svmemu_mem_write(m, CODE, "\x0F\x01\xD8\xF4", 4), SVMEMU_OK);
    assert_int_equal(svmemu_mem_write(m, GUEST, "\x0F\x01\xD9", 3), SVMEMU_OK);
    for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        assert_int_equal(svmemu_vmcb_write(m, VMCB, fields[i].name, fields[i].value), SVMEMU_OK);
    assert_int_equal(svmemu_msr_write(m, 0, 0xC0000080, 0x1000), SVMEMU_OK);
    assert_int_equal(svmemu_msr_write(m, 0, 0xC0010117, HSAVE), SVMEMU_OK);
    assert_int_equal(svmemu_vmcb_check(m, 0, VMCB, on_check, &s, &count), SVMEMU_OK);
    assert_int_equal(count, 0);
    assert_int_equal(svmemu_vmcb_write(m, VMCB, "asid", 0), SVMEMU_OK);
    assert_int_equal(svmemu_vmcb_write(m, VMCB, "cr0", 0x20000001), SVMEMU_OK);
    assert_int_equal(svmemu_vmcb_write(m, VMCB, "np_enable", 1), SVMEMU_OK); /* the host does not page */
    assert_int_equal(svmemu_vmcb_write(m, VMCB, "g_pat", 0x0007040600070406), SVMEMU_OK);
    hash = svmemu_state_hash(m);
    assert_int_equal(svmemu_vmcb_check(m, 0, VMCB, on_check, &s, &count), SVMEMU_OK);
    assert_int_equal(count, 3);
    assert_int_equal(s.n, 3);
    assert_string_equal(s.text, "asid_zero asid 058 0 APM2 15.5.1;np_host_paging np_ctl 090 1 APM2 15.25.3;cr0_cd_nw cr0 558 20000001 APM2 15.5.1;");
    assert_int_equal(svmemu_state_hash(m), hash);
    assert_int_equal(svmemu_vmcb_check(m, 0, VMCB, NULL, NULL, NULL), SVMEMU_OK);
    assert_int_equal(svmemu_vmcb_check(m, 1, VMCB, NULL, NULL, NULL), SVMEMU_ARGUMENT);
    assert_int_equal(svmemu_vmcb_check(m, 0, VMCB + 8, NULL, NULL, NULL), SVMEMU_ARGUMENT);
    /* a legacy PAE guest with a bad pointer */
    assert_int_equal(svmemu_vmcb_write(m, VMCB, "asid", 1), SVMEMU_OK);
    assert_int_equal(svmemu_vmcb_write(m, VMCB, "np_enable", 0), SVMEMU_OK);
    assert_int_equal(svmemu_vmcb_write(m, VMCB, "cr0", 0x80000001), SVMEMU_OK);
    assert_int_equal(svmemu_vmcb_write(m, VMCB, "cr4_pae", 1), SVMEMU_OK);
    assert_int_equal(svmemu_vmcb_write(m, VMCB, "cr3", 0x130000), SVMEMU_OK);
    assert_int_equal(svmemu_mem_write(m, 0x130008, "\x03", 1), SVMEMU_OK);
    s = (struct seen){ "", 0 };
    assert_int_equal(svmemu_vmcb_check(m, 0, VMCB, on_check, &s, &count), SVMEMU_OK);
    assert_string_equal(s.text, "pdpte cr3 550 130000 APM2 15.5.1;");
    /* and what the hook sees of the failing VMRUN */
    svmemu_hook_switch(m, on_switch, &exit);
    assert_int_equal(svmemu_reg_write(m, 0, "rip", CODE), SVMEMU_OK);
    assert_int_equal(svmemu_reg_write(m, 0, "rax", VMCB), SVMEMU_OK);
    assert_int_equal(svmemu_run(m, 10, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
    assert_string_equal(exit.text, "VMRUN refused the VMCB, 1 check: pdpte|pdpte: a present PDPTE that CR3 points to has reserved bits set cr3 550 130000 "
                                   "APM2 15.5.1");
    struct svmemu_check c;
    unsigned n = 0;
    while (svmemu_check_at(n, &c))
        n++;
    assert_true(n > 30);
    svmemu_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registers), cmocka_unit_test(exceptions), cmocka_unit_test(io), cmocka_unit_test(nested), cmocka_unit_test(avic),
        cmocka_unit_test(instructions), cmocka_unit_test(delivery), cmocka_unit_test(every_code), cmocka_unit_test(printed),
        cmocka_unit_test(compared), cmocka_unit_test(described), cmocka_unit_test(checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
