// SPDX-License-Identifier: MIT
/* Broken guests, impossible configurations: a clear error each time, never a crash. */
#include <svmemu/svmemu.h>

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct svmemu *machine(uint64_t memory)
{
    struct svmemu_config cfg = { .memory = memory, .flags = SVMEMU_PC };
    struct svmemu *m;
    assert_int_equal(svmemu_create(&cfg, &m), SVMEMU_OK);
    return m;
}

struct file {
    Elf64_Ehdr eh;
    Elf64_Phdr ph[2];
    uint8_t code[16];
};

static struct file good(void)
{
    struct file f = { .code = { 0xFA, 0xF4 } }; /* CLI; HLT */
    memcpy(f.eh.e_ident, ELFMAG, SELFMAG);
    f.eh.e_ident[EI_CLASS] = ELFCLASS64;
    f.eh.e_ident[EI_DATA] = ELFDATA2LSB;
    f.eh.e_ident[EI_VERSION] = EV_CURRENT;
    f.eh.e_type = ET_EXEC;
    f.eh.e_machine = EM_X86_64;
    f.eh.e_version = EV_CURRENT;
    f.eh.e_entry = 0x200000;
    f.eh.e_phoff = sizeof(f.eh);
    f.eh.e_ehsize = sizeof(f.eh);
    f.eh.e_phentsize = sizeof(f.ph[0]);
    f.eh.e_phnum = 1;
    f.ph[0] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_offset = offsetof(struct file, code), .p_paddr = 0x200000, .p_filesz = 16, .p_memsz = 4096 };
    f.ph[1] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_offset = offsetof(struct file, code), .p_paddr = 0x200800, .p_filesz = 16, .p_memsz = 16 };
    return f;
}

static void refused(const struct file *f, size_t len, enum svmemu_status want, const char *words)
{
    struct svmemu *m = machine(16 << 20);
    assert_int_equal(svmemu_load_memory(m, "test.elf", f, len, NULL), want);
    assert_non_null(strstr(svmemu_last_error(m), "test.elf"));
    if (words && !strstr(svmemu_last_error(m), words))
        fail_msg("\"%s\" not in \"%s\"", words, svmemu_last_error(m));
    svmemu_destroy(m);
}

static void test_good(void **state)
{
    struct file f = good();
    struct svmemu *m = machine(16 << 20);
    struct svmemu_stop stop;
    (void)state;
    assert_int_equal(svmemu_load_memory(m, "test.elf", &f, sizeof(f), NULL), SVMEMU_OK);
    assert_int_equal(svmemu_run(m, 1000, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
    assert_int_equal(stop.reason, SVMEMU_STOP_HALTED);
    assert_int_equal(stop.insns, 2);
    svmemu_destroy(m);
}

static void test_broken(void **state)
{
    struct file f = good();
    (void)state;
    refused(&f, 8, SVMEMU_FORMAT, "too short");
    for (size_t n = 0; n < offsetof(struct file, code) + 16 && n < sizeof(f); n += 7)
        refused(&f, n, SVMEMU_FORMAT, NULL);
    f.ph[0].p_offset = ~0ull - 4;
    refused(&f, sizeof(f), SVMEMU_FORMAT, "beyond the end");
    f = good();
    f.ph[0].p_filesz = 1ull << 40;
    refused(&f, sizeof(f), SVMEMU_FORMAT, "beyond the end");
    f = good();
    f.ph[0].p_memsz = 4;
    refused(&f, sizeof(f), SVMEMU_FORMAT, "more bytes in the file");
    f = good();
    f.ph[0].p_memsz = 1ull << 40;
    refused(&f, sizeof(f), SVMEMU_TOO_LARGE, "16 MiB");
    f = good();
    f.ph[0].p_paddr = ~0ull - 100;
    refused(&f, sizeof(f), SVMEMU_TOO_LARGE, NULL);
    f = good();
    f.ph[0].p_paddr = 0x70000;
    refused(&f, sizeof(f), SVMEMU_OVERLAP, "loader");
    f = good();
    f.eh.e_phnum = 2;
    refused(&f, sizeof(f), SVMEMU_FORMAT, "overlap");
    f = good();
    f.eh.e_machine = EM_AARCH64;
    refused(&f, sizeof(f), SVMEMU_FORMAT, "not an ELF for x86 (machine 183)");
    f = good();
    f.eh.e_ident[EI_DATA] = ELFDATA2MSB; /* and nothing else: the machine would read as 3E00h */
    refused(&f, sizeof(f), SVMEMU_FORMAT, "a big-endian ELF");
    f = good();
    f.eh.e_entry = 1ull << 33;
    refused(&f, sizeof(f), SVMEMU_FORMAT, "entry");
    memset(&f, 0x1F, sizeof(f));
    ((uint8_t *)&f)[1] = 0x8B;
    refused(&f, sizeof(f), SVMEMU_FORMAT, "gzip");
}

static void test_config(void **state)
{
    struct svmemu *m;
    (void)state;
    struct svmemu_config c = { .vcpus = 513 };
    assert_int_equal(svmemu_create(&c, &m), SVMEMU_ARGUMENT);
    c = (struct svmemu_config){ .cpu = "nothing" };
    assert_int_equal(svmemu_create(&c, &m), SVMEMU_PROFILE);
    c = (struct svmemu_config){ .memory = 12345 };
    assert_int_equal(svmemu_create(&c, &m), SVMEMU_ARGUMENT);
    c = (struct svmemu_config){ .memory = 1ull << 50 };
    assert_int_equal(svmemu_create(&c, &m), SVMEMU_ARGUMENT);
    m = machine(4 << 20);
    uint64_t v;
    assert_int_equal(svmemu_reg_read(m, 1, "rax", &v), SVMEMU_ARGUMENT);
    assert_int_equal(svmemu_reg_read(m, 0, "xyz", &v), SVMEMU_NAME);
    assert_int_equal(svmemu_load_file(m, "/nonexistent", NULL), SVMEMU_FILE);
    assert_int_equal(svmemu_vmcb_read(m, 0x1001, "rip", &v), SVMEMU_ARGUMENT);
    assert_int_equal(svmemu_vmcb_read(m, 0x1000, "nothing", &v), SVMEMU_NAME);
    const uint64_t nowhere[] = { 4 << 20, 0xFEE00000, 0xFFFFFFFFFFFFF000 }; /* behind RAM, at a device, beyond what a processor can name */
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(svmemu_vmcb_read(m, nowhere[i], "rip", &v), SVMEMU_UNMAPPED);
        assert_int_equal(svmemu_vmcb_write(m, nowhere[i], "rip", 0), SVMEMU_UNMAPPED);
        assert_int_equal(svmemu_vmcb_print(m, nowhere[i], false, NULL, 0, NULL), SVMEMU_UNMAPPED);
        assert_int_equal(svmemu_vmcb_check(m, 0, nowhere[i], NULL, NULL, NULL), SVMEMU_UNMAPPED);
    }
    svmemu_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_good), cmocka_unit_test(test_broken), cmocka_unit_test(test_config) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
