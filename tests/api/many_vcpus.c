// SPDX-License-Identifier: MIT
/* 300 vCPUs: INIT and start-up IPI to all, x2APIC mode, ids above 255 in RDMSR and CPUID, IPIs by 32-bit ids and by cluster. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <svmemu/svmemu.h>

enum { VCPUS = 300, BSP = 0x7000, AP = 0x8000, HANDLER = 0x9000, COUNT = 0x10000, IDS = 0x10100, MARKS = 0x11100 };

static const uint8_t bsp[] = { /* 32-bit */
    0xB9, 0x1B, 0, 0, 0, 0x0F, 0x32,                         /* mov $1Bh, %ecx; rdmsr */
    0x0D, 0x00, 0x0C, 0, 0, 0x0F, 0x30,                      /* or $C00h, %eax; wrmsr: x2APIC */
    0xB9, 0x30, 0x08, 0, 0, 0x31, 0xD2,                      /* mov $830h, %ecx; xor %edx, %edx */
    0xB8, 0x00, 0x45, 0x0C, 0, 0x0F, 0x30,                   /* INIT to all others */
    0xB8, 0x08, 0x46, 0x0C, 0, 0x0F, 0x30,                   /* SIPI, vector 8 */
    0x81, 0x3D, 0, 0, 1, 0, 0x2B, 0x01, 0, 0, 0x75, 0xF4,    /* 1: cmpl $299, COUNT; jne 1b */
    0xB9, 0xA0, 0x86, 0x01, 0, 0x49, 0x75, 0xFD,             /* a while, for the last to come to its HLT */
    0xB9, 0x30, 0x08, 0, 0,
    0xBA, 0x2B, 0x01, 0, 0, 0xB8, 0x40, 0, 0, 0, 0x0F, 0x30, /* vector 40h to id 299 */
    0xBA, 0x01, 0x80, 0x11, 0, 0xB8, 0x40, 0x08, 0, 0, 0x0F, 0x30, /* logical: cluster 17, members 0 and 15 */
    0xFA, 0xF4,
};
static const uint8_t ap[] = { /* 16-bit */
    0x66, 0xB9, 0x1B, 0, 0, 0, 0x0F, 0x32, 0x66, 0x0D, 0x00, 0x0C, 0, 0, 0x0F, 0x30,
    0x66, 0xB9, 0x02, 0x08, 0, 0, 0x0F, 0x32, 0x66, 0x89, 0xC3, /* id to %ebx */
    0x66, 0xB8, 0x0B, 0, 0, 0, 0x66, 0x31, 0xC9, 0x66, 0x53, 0x0F, 0xA2, 0x66, 0x5B, /* CPUID Bh: id in %edx */
    0xB8, 0x00, 0x10, 0x8E, 0xD8,                               /* mov $1000h, %ax; mov %ax, %ds */
    0xC1, 0xE3, 0x02, 0x66, 0x89, 0x97, 0x00, 0x01,             /* shl $2, %bx; mov %edx, 100h(%bx) */
    0x66, 0xB9, 0x0F, 0x08, 0, 0, 0x66, 0xB8, 0xFF, 0x01, 0, 0, 0x66, 0x31, 0xD2, 0x0F, 0x30, /* SVR: on */
    0xF0, 0x66, 0xFF, 0x06, 0, 0,                               /* lock incl 0 */
    0xFB, 0xF4, 0xEB, 0xFD,                                     /* sti; 1: hlt; jmp 1b */
};
static const uint8_t handler[] = {
    0x66, 0xB9, 0x02, 0x08, 0, 0, 0x0F, 0x32, 0x89, 0xC3, 0xC1, 0xE3, 0x02, 0x66, 0x89, 0x87, 0x00, 0x11, /* MARKS[id] = id */
    0x66, 0xB9, 0x0B, 0x08, 0, 0, 0x66, 0x31, 0xC0, 0x66, 0x31, 0xD2, 0x0F, 0x30, 0xCF,                   /* EOI; iret */
};

static uint32_t word(struct svmemu *m, uint64_t at)
{
    uint32_t v = 0;
    assert_int_equal(svmemu_mem_read(m, at, &v, sizeof v), SVMEMU_OK);
    return v;
}

static void test_300(void **state)
{
    const struct svmemu_config c = { .memory = 1 << 20, .vcpus = VCPUS, .cpu = "max" };
    const uint32_t vector = 0x09000000; /* 0900:0000 */
    struct svmemu *m;
    struct svmemu_stop stop;
    (void)state;
    assert_int_equal(svmemu_create(&c, &m), SVMEMU_OK);
    assert_int_equal(svmemu_mem_write(m, BSP, bsp, sizeof bsp), SVMEMU_OK);
    assert_int_equal(svmemu_mem_write(m, AP, ap, sizeof ap), SVMEMU_OK);
    assert_int_equal(svmemu_mem_write(m, HANDLER, handler, sizeof handler), SVMEMU_OK);
    assert_int_equal(svmemu_mem_write(m, 4 * 0x40, &vector, sizeof vector), SVMEMU_OK);
    assert_int_equal(svmemu_set_mode(m, 0, 32, 0), SVMEMU_OK);
    assert_int_equal(svmemu_reg_write(m, 0, "rip", BSP), SVMEMU_OK);
    assert_int_equal(svmemu_run(m, 2000000, 20000000, &stop), SVMEMU_OK);
    assert_int_equal(word(m, COUNT), VCPUS - 1);
    for (unsigned i = 1; i < VCPUS; i++) {
        assert_int_equal(word(m, IDS + 4 * i), i);
        assert_int_equal(word(m, MARKS + 4 * i), i == 299 || i == 272 || i == 287 ? i : 0);
    }
    svmemu_destroy(m);
}

static void test_limits(void **state)
{
    struct svmemu_config c = { .memory = 1 << 20, .vcpus = 256, .cpu = "zen3" };
    struct svmemu *m;
    (void)state;
    assert_int_equal(svmemu_create(&c, &m), SVMEMU_ARGUMENT); /* no x2APIC: ids end at 254 */
    c.cpu = "max";
    c.vcpus = 513;
    assert_int_equal(svmemu_create(&c, &m), SVMEMU_ARGUMENT);
    c.vcpus = 512;
    assert_int_equal(svmemu_create(&c, &m), SVMEMU_OK);
    svmemu_destroy(m);
}

/* An interrupt message from outside reaches the local APIC; a bad address is the caller's error. */
static void test_msi(void **state)
{
    const struct svmemu_config c = { .memory = 2 << 20, .vcpus = 2 };
    struct svmemu *m;
    uint64_t activity;
    unsigned n = 9;
    (void)state;
    assert_int_equal(svmemu_create(&c, &m), SVMEMU_OK);
    assert_int_equal(svmemu_msi(m, 0xFED00000, 0x40, &n), SVMEMU_ARGUMENT);
    assert_int_equal(svmemu_msi(m, 0xFEE01002, 0x40, &n), SVMEMU_ARGUMENT);
    assert_int_equal(n, 9);
    assert_int_equal(svmemu_msi(m, 0xFEE01000, 0x40, &n), SVMEMU_OK); /* after reset the APIC is software-disabled */
    assert_int_equal(n, 0);
    assert_int_equal(svmemu_msi(m, 0xFEEFF000, 0x400, &n), SVMEMU_OK); /* NMI to all */
    assert_int_equal(n, 2);
    assert_int_equal(svmemu_reg_read(m, 1, "activity", &activity), SVMEMU_OK);
    assert_int_equal(activity, 3); /* still waits for its SIPI */
    svmemu_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_300), cmocka_unit_test(test_limits), cmocka_unit_test(test_msi) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
