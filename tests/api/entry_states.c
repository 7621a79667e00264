// SPDX-License-Identifier: MIT
/* What PVH and plain ELF guests find at their first instruction: registers, tables, lists (Xen's "x86/HVM direct boot ABI"; svmemu(1), GUESTS). */
#define _DEFAULT_SOURCE 1
#include "loader_files.h"

enum { ENTRY = 0x200010, ATTR_CODE32 = 0xC9B, ATTR_DATA32 = 0xC93, ATTR_CODE64 = 0xA9B, STACK = 0x87FF0 };

static uint64_t word(struct svmemu *m, uint64_t pa, unsigned n)
{
    uint8_t b[8];
    assert_int_equal(svmemu_mem_read(m, pa, b, n), SVMEMU_OK);
    return get(b, n);
}

static void text_is(struct svmemu *m, uint64_t pa, const char *want)
{
    char got[64] = { 0 };
    assert_int_equal(svmemu_mem_read(m, pa, got, strlen(want) + 1), SVMEMU_OK);
    assert_string_equal(got, want);
}

/* Flat segments, interrupts off, nothing in the registers but what is named. */
static void registers(struct svmemu *m, uint64_t code_attr, const char *const *named)
{
    static const char *const gpr[] = { "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15" };
    static const char *const data[] = { "ds", "es", "ss", "fs", "gs" };
    char name[16];
    for (unsigned i = 0; i < 16; i++) {
        bool is = false;
        for (const char *const *n = named; *n; n++)
            is |= !strcmp(*n, gpr[i]);
        if (!is)
            assert_int_equal(reg(m, gpr[i]), 0);
    }
    assert_int_equal(reg(m, "cs.sel"), 8);
    assert_int_equal(reg(m, "cs.attr") & ~0x4ull, code_attr & ~0x4ull);
    for (unsigned i = 0; i < 5; i++) {
        snprintf(name, sizeof(name), "%s.sel", data[i]);
        assert_int_equal(reg(m, name), 0x10);
        snprintf(name, sizeof(name), "%s.base", data[i]);
        assert_int_equal(reg(m, name), 0);
        if (code_attr == ATTR_CODE64)
            continue;
        snprintf(name, sizeof(name), "%s.limit", data[i]);
        assert_int_equal(reg(m, name), 0xFFFFFFFF);
        snprintf(name, sizeof(name), "%s.attr", data[i]);
        assert_int_equal(reg(m, name), ATTR_DATA32);
    }
    assert_int_equal(reg(m, "rflags") & ~2ull, 0);
    assert_int_equal(reg(m, "cpl"), 0);
}

/* Two program headers and a note of Xen's in what is else the Multiboot header. */
static struct elf_file pvh_file(uint32_t entry)
{
    struct elf_file f = elf_file(0x200000, 0xC0200000, 0xC0200000);
    const Elf32_Phdr load = f.ph, note = { .p_type = PT_NOTE, .p_offset = offsetof(struct elf_file, extra) + 128, .p_filesz = 20, .p_memsz = 20,
                                           .p_align = 4 };
    uint8_t *n = f.extra + 128;
    memcpy(f.extra, &load, sizeof(load));
    memcpy(f.extra + sizeof(load), &note, sizeof(note));
    f.eh.e_phoff = offsetof(struct elf_file, extra);
    f.eh.e_phnum = 2;
    put(n, 4, 4);
    put(n + 4, 4, 4);
    put(n + 8, 4, 18); /* PHYS32_ENTRY */
    memcpy(n + 12, "Xen", 4);
    put(n + 16, 4, entry);
    return f;
}

static void test_pvh(void **state)
{
    static const char *const named[] = { "rbx", NULL };
    struct elf_file f = pvh_file(ENTRY);
    char first[] = "/tmp/svmemu-entry-XXXXXX", second[] = "/tmp/svmemu-entry-XXXXXX";
    (void)state;
    temp_file(first, 'a', 5000);
    temp_file(second, 'b', 1);
    const struct svmemu_module modules[] = { { first, NULL }, { second, "with words" } };
    const struct svmemu_load load = { .cmdline = "console=ttyS0 quiet", .modules = modules, .module_count = 2 };
    struct svmemu *m = new_machine(16);
    assert_int_equal(svmemu_load_memory(m, "kernel", &f, sizeof(f), &load), SVMEMU_OK);
    assert_int_equal(reg(m, "rip"), ENTRY);
    registers(m, ATTR_CODE32, named);
    assert_int_equal(reg(m, "cs.limit"), 0xFFFFFFFF);
    assert_int_equal(reg(m, "cr0") & 0x80000001, 1);
    assert_int_equal(reg(m, "cr4"), 0);
    assert_int_equal(reg(m, "efer"), 0);
    assert_int_equal(reg(m, "tr.limit"), 0x67);
    assert_int_equal(reg(m, "tr.base"), 0);
    const uint64_t info = reg(m, "rbx");
    assert_int_equal(word(m, info, 4), 0x336EC578);
    assert_int_equal(word(m, info + 4, 4), 1);  /* version */
    assert_int_equal(word(m, info + 8, 4), 0);  /* flags */
    assert_int_equal(word(m, info + 12, 4), 2); /* modules */
    const uint64_t list = word(m, info + 16, 8);
    text_is(m, word(m, info + 24, 8), "console=ttyS0 quiet");
    static const unsigned size[] = { 5000, 1 };
    for (unsigned i = 0; i < 2; i++) {
        uint64_t at = word(m, list + 32 * i, 8);
        assert_true(at >= 0x203000 && at % 4096 == 0 && at + size[i] <= 16 * MIB);
        assert_int_equal(word(m, list + 32 * i + 8, 8), size[i]);
        assert_int_equal(word(m, at, 1), i ? 'b' : 'a');
        assert_int_equal(word(m, at + size[i] - 1, 1), i ? 'b' : 'a');
        assert_int_equal(word(m, list + 32 * i + 24, 8), 0); /* reserved */
    }
    assert_int_equal(word(m, list + 16, 8) ? word(m, word(m, list + 16, 8), 1) : 0, 0);
    text_is(m, word(m, list + 32 + 16, 8), "with words");
    assert_memory_equal("RSD PTR ", (uint64_t[]){ word(m, word(m, info + 32, 8), 8) }, 8);
    /* the memory map: in order, without overlaps, all of RAM once */
    const uint64_t map = word(m, info + 40, 8), n = word(m, info + 48, 4);
    uint64_t end = 0, ram = 0, reserved = 0;
    assert_true(n >= 2 && n < 32);
    for (unsigned i = 0; i < n; i++) {
        uint64_t base = word(m, map + 24 * i, 8), len = word(m, map + 24 * i + 8, 8), type = word(m, map + 24 * i + 16, 4);
        assert_true(base >= end && len && (type == 1 || type == 2));
        assert_int_equal(word(m, map + 24 * i + 20, 4), 0);
        end = base + len;
        ram += type == 1 ? len : 0;
        reserved += type == 2 && end <= 16 * MIB ? len : 0;
    }
    assert_int_equal(ram, 0x9FC00 + 15 * MIB); /* but for the extended BIOS data area, the hole and the tables below 1 MiB */
    assert_true(reserved > 0);
    svmemu_destroy(m);
    unlink(first);
    unlink(second);
}

static void test_pvh_refused(void **state)
{
    static const uint32_t outside[] = { 0, 0x1FFFFF, 0x203000, 0xC0200000, 0xFFFFFFFF };
    (void)state;
    for (unsigned i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
        struct elf_file f = pvh_file(outside[i]);
        struct svmemu *m = new_machine(16);
        assert_int_equal(svmemu_load_memory(m, "kernel", &f, sizeof(f), &(struct svmemu_load){ .entry = SVMEMU_ENTRY_PVH }), SVMEMU_FORMAT);
        assert_non_null(strstr(svmemu_last_error(m), "PVH entry"));
        svmemu_destroy(m);
    }
    struct elf_file f = pvh_file(ENTRY);
    put(f.extra + 128 + 8, 4, 17); /* another note: a plain ELF */
    struct svmemu *m = new_machine(16);
    assert_int_equal(svmemu_load_memory(m, "kernel", &f, sizeof(f), NULL), SVMEMU_OK);
    assert_int_equal(reg(m, "rip"), 0x200000);
    assert_int_equal(reg(m, "rbx"), 0);
    svmemu_destroy(m);
}

static void test_elf32(void **state)
{
    static const char *const named[] = { "rsp", "rdi", NULL };
    struct elf_file f = elf_file(0x200000, 0x200000, 0x200001);
    struct svmemu *m = new_machine(16);
    (void)state;
    memset(f.code, 0xF4, sizeof(f.code));
    assert_int_equal(svmemu_load_memory(m, "program", &f, sizeof(f), &(struct svmemu_load){ .cmdline = "one two" }), SVMEMU_OK);
    registers(m, ATTR_CODE32, named);
    assert_int_equal(reg(m, "rip"), 0x200001);
    assert_int_equal(reg(m, "rsp"), STACK);
    text_is(m, reg(m, "rdi"), "one two");
    assert_int_equal(reg(m, "cr0") & 0x80000001, 1);
    assert_int_equal(reg(m, "efer"), 0);
    /* the descriptors are there: a program may load its segments again */
    assert_int_equal(word(m, reg(m, "gdtr.base") + 8, 8) & 0x00F0FF00FFFFFFFF, 0x00C09B000000FFFF);
    assert_int_equal(word(m, reg(m, "gdtr.base") + 16, 8) & 0x00F0FF00FFFFFFFF, 0x00C093000000FFFF);
    assert_in_range(word(m, 0x203000 - 1, 1), 0, 0); /* .bss */
    assert_int_equal(word(m, 0x200000 + sizeof(f.code) - 1, 1), 0xF4);
    svmemu_destroy(m);
}

/* The same code in an ELF64, linked in the upper half. */
static void test_elf64(void **state)
{
    static const char *const named[] = { "rsp", "rdi", NULL };
    struct {
        Elf64_Ehdr eh;
        Elf64_Phdr ph;
        uint8_t code[64];
    } f = { .code = { 0x90, 0x48, 0xFF, 0xC0, 0xF4 } }; /* NOP; INC RAX; HLT */
    struct svmemu_translation t;
    struct svmemu_stop stop;
    struct svmemu *m = new_machine(16);
    (void)state;
    f.eh = (Elf64_Ehdr){ .e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = EV_CURRENT, .e_entry = 0xFFFFFFFF80200001, .e_phoff = sizeof(f.eh),
                         .e_ehsize = sizeof(f.eh), .e_phentsize = sizeof(f.ph), .e_phnum = 1 };
    memcpy(f.eh.e_ident, (const unsigned char[]){ 0x7F, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT }, 7);
    f.ph = (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = sizeof(f.eh) + sizeof(f.ph), .p_paddr = 0x200000,
                         .p_vaddr = 0xFFFFFFFF80200000, .p_filesz = sizeof(f.code), .p_memsz = 0x1000 };
    assert_int_equal(svmemu_load_memory(m, "program", &f, sizeof(f), &(struct svmemu_load){ .cmdline = "sixty-four" }), SVMEMU_OK);
    registers(m, ATTR_CODE64, named);
    assert_int_equal(reg(m, "rip"), 0x200001); /* the physical address */
    assert_int_equal(reg(m, "rsp"), STACK);
    text_is(m, reg(m, "rdi"), "sixty-four");
    assert_int_equal(reg(m, "efer") & 0xD00, 0xD00); /* LME, LMA, NXE */
    assert_int_equal(reg(m, "cr0") & 0x80000001, 0x80000001);
    assert_int_equal(reg(m, "cr4") & 0x20, 0x20);
    for (uint64_t a = 0; a < 1ull << 32; a += 1 << 21) { /* the first 4 GiB to themselves, by 2-MiB pages, writable */
        assert_int_equal(svmemu_translate(m, 0, a + 0x1234, &t), SVMEMU_OK);
        assert_true(!t.fault && t.address == a + 0x1234 && t.page_size == 1 << 21 && t.writable);
    }
    assert_int_equal(svmemu_translate(m, 0, 1ull << 32, &t), SVMEMU_OK);
    assert_true(t.fault);
    assert_int_equal(svmemu_run(m, 10, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
    assert_int_equal(stop.reason, SVMEMU_STOP_HALTED);
    assert_int_equal(stop.insns, 2);
    assert_int_equal(reg(m, "rax"), 1);
    svmemu_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_pvh), cmocka_unit_test(test_pvh_refused), cmocka_unit_test(test_elf32),
                                        cmocka_unit_test(test_elf64) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
