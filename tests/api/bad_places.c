// SPDX-License-Identifier: MIT
/* VMCB, host save area, permission maps and nested tables at every kind of address: nothing there, a device, ROM, the last page of memory,
 * the last physical addresses, each other. What comes of it is the manual's rule or a choice named in docs/SVM.md; never a crash. */
#include <svmemu/svmemu.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum {
    RAM = 1 << 20, TABLES = 0x1000, HOST = 0x8000, GUEST = 0x9000, VMCB = 0xA000, HSAVE = 0xB000, IOPM = 0xC000, MSRPM = 0xF000, NESTED = 0x12000,
    LAST = RAM - 0x1000, HOLE = 0x30000000, ROM = 0x10000000, DEVICE = 0x20000000, DEVICE_SIZE = 0x3000, APIC = 0xFEE00000,
};
#define TOP (1ull << 48) /* physical addresses of the profile */
#define INVALID UINT64_MAX
enum { EXIT_IOIO = 0x7B, EXIT_MSR = 0x7C, EXIT_HLT = 0x78, EXIT_VMMCALL = 0x81, EXIT_NPF = 0x400, EXIT_GP = 0x4D, EXIT_PF = 0x4E };

/* 64-bit: vmrun rax; mov ebx, F00Dh; hlt. RBX says whether the host came back. */
static const uint8_t host_code[] = { 0x0F, 0x01, 0xD8, 0xBB, 0x0D, 0xF0, 0x00, 0x00, 0xF4 };
static const uint8_t vmmcall[] = { 0x0F, 0x01, 0xD9 };

/* A device that is memory and counts. */
struct device {
    uint8_t bytes[DEVICE_SIZE];
    unsigned reads, writes;
};

static uint64_t device_read(void *ctx, uint64_t at, unsigned width, int vcpu)
{
    struct device *d = ctx;
    uint64_t v = 0;
    (void)vcpu;
    d->reads++;
    memcpy(&v, d->bytes + at, width);
    return v;
}

static void device_write(void *ctx, uint64_t at, unsigned width, uint64_t value, int vcpu)
{
    struct device *d = ctx;
    (void)vcpu;
    d->writes++;
    memcpy(d->bytes + at, &value, width);
}

struct lab {
    struct svmemu *m;
    struct device device;
    char diag[400]; /* ids of what was said */
    uint64_t code;  /* of the last #VMEXIT */
    unsigned exits;
    struct svmemu_stop stop;
};

static void on_diag(void *ctx, const struct svmemu_diag *d)
{
    struct lab *l = ctx;
    if (strlen(l->diag) + strlen(d->id) + 2 < sizeof(l->diag)) {
        strcat(l->diag, d->id);
        strcat(l->diag, " ");
    }
}

static void on_switch(void *ctx, const struct svmemu_switch *s)
{
    struct lab *l = ctx;
    if (!s->entry) {
        l->exits++;
        l->code = s->code;
    }
}

static void put(struct lab *l, uint64_t at, unsigned width, uint64_t v)
{
    assert_int_equal(svmemu_mem_write(l->m, at, &v, width), SVMEMU_OK);
}

static uint64_t get(struct lab *l, uint64_t at, unsigned width)
{
    uint64_t v = 0;
    assert_int_equal(svmemu_mem_read(l->m, at, &v, width), SVMEMU_OK);
    return v;
}

/* A flat 32-bit guest without paging that every check accepts [APM2 appendix B]. */
static void write_vmcb(struct lab *l, uint64_t at)
{
    static const struct { uint16_t at; uint8_t width; uint64_t v; } fields[] = {
        { 0x010, 4, 3 },      { 0x040, 8, IOPM },       { 0x048, 8, MSRPM },       { 0x058, 4, 1 },    { 0x402, 2, 0xC93 }, { 0x404, 4, 0xFFFFFFFF },
        { 0x412, 2, 0xC9B },  { 0x414, 4, 0xFFFFFFFF }, { 0x422, 2, 0xC93 },       { 0x424, 4, 0xFFFFFFFF },
        { 0x432, 2, 0xC93 },  { 0x434, 4, 0xFFFFFFFF }, { 0x4D0, 8, 0x1000 },      { 0x558, 8, 0x11 }, { 0x560, 8, 0x400 }, { 0x568, 8, 0xFFFF0FF0 },
        { 0x570, 8, 2 },      { 0x578, 8, GUEST },      { 0x668, 8, 0x0007040600070406 },
    };
    static const uint8_t zero[0x1000];
    assert_int_equal(svmemu_mem_write(l->m, at, zero, sizeof(zero)), SVMEMU_OK);
    for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        put(l, at + fields[i].at, fields[i].width, fields[i].v);
}

static void create_on(struct lab *l, const char *cpu, const void *rom)
{
    static const struct svmemu_mmio ops = { device_read, device_write, 0, 0 };
    const struct svmemu_config cfg = { .memory = RAM, .cpu = cpu, .ctx = l, .diag = on_diag };
    memset(l, 0, sizeof(*l));
    assert_int_equal(svmemu_create(&cfg, &l->m), SVMEMU_OK);
    if (rom)
        assert_int_equal(svmemu_map_rom(l->m, ROM, 0x1000, rom, 0x1000), SVMEMU_OK);
    assert_int_equal(svmemu_map_mmio(l->m, DEVICE, DEVICE_SIZE, &ops, &l->device), SVMEMU_OK);
    svmemu_hook_switch(l->m, on_switch, l);
    /* 512 GiB one to one, from 1 GiB pages but for the first two MiB: everything a user's, also as nested tables */
    put(l, TABLES, 8, (TABLES + 0x1000) | 7);
    for (uint64_t i = 0; i < 512; i++)
        put(l, TABLES + 0x1000 + 8 * i, 8, i << 30 | 0x87);
    assert_int_equal(svmemu_set_mode(l->m, 0, 64, TABLES), SVMEMU_OK);
    assert_int_equal(svmemu_msr_write(l->m, 0, 0xC0000080, 0x1501), SVMEMU_OK); /* SVME, LMA, LME, SCE */
    assert_int_equal(svmemu_msr_write(l->m, 0, 0xC0010117, HSAVE), SVMEMU_OK);
    assert_int_equal(svmemu_mem_write(l->m, HOST, host_code, sizeof(host_code)), SVMEMU_OK);
    assert_int_equal(svmemu_mem_write(l->m, GUEST, vmmcall, sizeof(vmmcall)), SVMEMU_OK);
    write_vmcb(l, VMCB);
}

static void create(struct lab *l, const void *rom)
{
    create_on(l, "zen3", rom);
}

static void run(struct lab *l, uint64_t vmcb)
{
    l->diag[0] = 0;
    l->exits = 0;
    l->code = 0;
    svmemu_reg_write(l->m, 0, "activity", 0); /* from the HLT before */
    svmemu_reg_write(l->m, 0, "rax", vmcb);
    svmemu_reg_write(l->m, 0, "rbx", 0);
    svmemu_reg_write(l->m, 0, "rip", HOST);
    svmemu_reg_write(l->m, 0, "rsp", 0x7000);
    assert_int_equal(svmemu_run(l->m, 10000, SVMEMU_NO_LIMIT, &l->stop), SVMEMU_OK);
}

/* The host is back behind its VMRUN with what it had. */
static void host_is_well(struct lab *l, uint64_t vmcb)
{
    uint64_t v = 0;
    assert_int_equal(l->stop.reason, SVMEMU_STOP_HALTED);
    svmemu_reg_read(l->m, 0, "rbx", &v);
    assert_int_equal(v, 0xF00D);
    svmemu_reg_read(l->m, 0, "rax", &v);
    assert_int_equal(v, vmcb);
    svmemu_reg_read(l->m, 0, "rsp", &v);
    assert_int_equal(v, 0x7000);
    svmemu_reg_read(l->m, 0, "cr3", &v);
    assert_int_equal(v, TABLES);
    svmemu_reg_read(l->m, 0, "gif", &v);
    assert_int_equal(v, 0);
    assert_int_equal(l->exits, 1);
}

static void expect_run(struct lab *l, uint64_t vmcb, uint64_t code)
{
    run(l, vmcb);
    host_is_well(l, vmcb);
    assert_int_equal(l->code, code);
}

/* ---- the VMCB ---- */

static void vmcb_places(void **state)
{
    static struct lab l;
    static uint8_t rom[0x1000], after[0x1000];
    (void)state;
    create(&l, NULL);
    svmemu_mem_read(l.m, VMCB, rom, sizeof(rom));
    svmemu_destroy(l.m);
    create(&l, rom);

    expect_run(&l, VMCB, EXIT_VMMCALL);
    expect_run(&l, HOLE, INVALID); /* ones */
    assert_non_null(strstr(l.diag, "vmrun.check.cr0_high"));
    expect_run(&l, TOP - 0x1000, INVALID);
    expect_run(&l, APIC, INVALID); /* registers, no intercept of VMRUN among them */
    assert_non_null(strstr(l.diag, "vmrun.check."));

    write_vmcb(&l, LAST);
    expect_run(&l, LAST, EXIT_VMMCALL);
    assert_int_equal(get(&l, LAST + 0x70, 8), EXIT_VMMCALL);

    expect_run(&l, ROM, EXIT_VMMCALL); /* what #VMEXIT writes is lost */
    svmemu_mem_read(l.m, ROM, after, sizeof(after));
    assert_memory_equal(after, rom, sizeof(rom));

    memcpy(l.device.bytes, rom, sizeof(rom));
    expect_run(&l, DEVICE, EXIT_VMMCALL); /* a device gets them */
    assert_int_equal(l.device.bytes[0x70], EXIT_VMMCALL);
    assert_true(l.device.reads && l.device.writes);

    /* VMRUN itself: addresses that are none */
    run(&l, TOP);
    assert_int_equal(l.exits, 0);
    assert_int_equal(l.stop.reason, SVMEMU_STOP_SHUTDOWN); /* #GP, and the host has no IDT */
    svmemu_destroy(l.m);
    create(&l, rom);
    run(&l, VMCB + 8);
    assert_int_equal(l.exits, 0);
    assert_int_equal(l.stop.reason, SVMEMU_STOP_SHUTDOWN);
    svmemu_destroy(l.m);
}

/* ---- the host save area ---- */

static void hsave(struct lab *l, uint64_t at)
{
    assert_int_equal(svmemu_msr_write(l->m, 0, 0xC0010117, at), SVMEMU_OK);
}

static void dead_host(const void *rom, uint64_t at)
{
    static struct lab l;
    create(&l, rom);
    hsave(&l, at);
    run(&l, VMCB);
    assert_int_equal(l.exits, 1);
    assert_int_equal(l.code, EXIT_VMMCALL); /* the guest ran */
    assert_int_equal(l.stop.reason, SVMEMU_STOP_SHUTDOWN);
    assert_non_null(strstr(l.diag, "vmexit.host."));
    svmemu_destroy(l.m);
}

static void hsave_places(void **state)
{
    static struct lab l;
    static uint8_t rom[0x1000];
    uint64_t v = 0;
    (void)state;
    memset(rom, 0x5A, sizeof(rom));
    dead_host(rom, HOLE);         /* what was saved is lost; ones are no host */
    dead_host(rom, ROM);          /* nor is 5Ah */
    dead_host(rom, TOP - 0x1000);
    dead_host(rom, APIC);

    create(&l, NULL);
    hsave(&l, LAST);
    expect_run(&l, VMCB, EXIT_VMMCALL);
    hsave(&l, DEVICE);
    expect_run(&l, VMCB, EXIT_VMMCALL);
    assert_true(l.device.writes && l.device.reads);
    hsave(&l, 0); /* page 0 is memory like any other */
    expect_run(&l, VMCB, EXIT_VMMCALL);
    assert_int_equal(svmemu_msr_write(l.m, 0, 0xC0010117, TOP), SVMEMU_NAME); /* #GP */
    assert_int_equal(svmemu_msr_write(l.m, 0, 0xC0010117, HSAVE + 8), SVMEMU_NAME);

    /* A host image in ROM: that host is where #VMEXIT goes, whoever was saved. */
    hsave(&l, HSAVE);
    expect_run(&l, VMCB, EXIT_VMMCALL);
    svmemu_mem_read(l.m, HSAVE, rom, sizeof(rom));
    svmemu_destroy(l.m);
    uint64_t other = HOST + 0x100;
    memcpy(rom + 0x578, &other, 8);
    create(&l, rom);
    put(&l, other, 8, 0xF40000BEEFBBull); /* mov ebx, BEEFh; hlt */
    hsave(&l, ROM);
    run(&l, VMCB);
    assert_int_equal(l.code, EXIT_VMMCALL);
    assert_int_equal(l.stop.reason, SVMEMU_STOP_HALTED);
    svmemu_reg_read(l.m, 0, "rbx", &v);
    assert_int_equal(v, 0xBEEF);
    svmemu_destroy(l.m);
}

/* Save area and VMCB in one page. They have one layout, so the host that VMRUN saves is the guest that it loads: the host goes on as its
 * own guest, and what that guest leaves at #VMEXIT is the host. */
static void hsave_is_vmcb(void **state)
{
    static struct lab l;
    uint64_t v = 0;
    (void)state;
    create(&l, NULL);
    put(&l, VMCB + 0x0C, 4, 1u << 24); /* HLT */
    hsave(&l, VMCB);
    run(&l, VMCB);
    assert_int_equal(l.exits, 1);
    assert_int_equal(l.code, EXIT_HLT);
    assert_int_equal(l.stop.reason, SVMEMU_STOP_HALTED);
    svmemu_reg_read(l.m, 0, "rbx", &v);
    assert_int_equal(v, 0xF00D);
    assert_int_equal(get(&l, VMCB + 0x578, 8), HOST + sizeof(host_code) - 1); /* rIP of the HLT: the host makes it again */
    svmemu_destroy(l.m);
}

/* ---- permission maps ---- */

static void guest_code(struct lab *l, const void *code, size_t n)
{
    assert_int_equal(svmemu_mem_write(l->m, GUEST, code, n), SVMEMU_OK);
}

/* mov dx, port; in al, dx; vmmcall */
static uint64_t port_exit(struct lab *l, uint64_t iopm, uint16_t port)
{
    uint8_t code[] = { 0x66, 0xBA, (uint8_t)port, (uint8_t)(port >> 8), 0xEC, 0x0F, 0x01, 0xD9 };
    guest_code(l, code, sizeof(code));
    write_vmcb(l, VMCB);
    put(l, VMCB + 0x0C, 4, 1u << 27);
    put(l, VMCB + 0x40, 8, iopm);
    run(l, VMCB);
    host_is_well(l, VMCB);
    return l->code;
}

/* mov ecx, msr; rdmsr; vmmcall */
static uint64_t msr_exit(struct lab *l, uint64_t msrpm, uint32_t msr)
{
    uint8_t code[] = { 0xB9, 0, 0, 0, 0, 0x0F, 0x32, 0x0F, 0x01, 0xD9 };
    memcpy(code + 1, &msr, 4);
    guest_code(l, code, sizeof(code));
    write_vmcb(l, VMCB);
    put(l, VMCB + 0x0C, 4, 1u << 28);
    put(l, VMCB + 0x48, 8, msrpm);
    run(l, VMCB);
    host_is_well(l, VMCB);
    return l->code;
}

static void map_places(void **state)
{
    enum { EFER = 0xC0000080, TSC = 0x10 };
    static struct lab l;
    static uint8_t rom[0x1000];
    (void)state;
    rom[0x80 / 8] = 1; /* port 80h; as an MSR map: reads of MSR 40h */
    create(&l, rom);
    assert_int_equal(port_exit(&l, IOPM, 0x80), EXIT_VMMCALL);
    assert_int_equal(msr_exit(&l, MSRPM, EFER), EXIT_VMMCALL);

    static const uint64_t nothing[] = { HOLE, TOP - 0x3000 };
    for (unsigned i = 0; i < 2; i++) { /* ones: everything is intercepted */
        assert_int_equal(port_exit(&l, nothing[i], 0), EXIT_IOIO);
        assert_int_equal(port_exit(&l, nothing[i], 0xFFFF), EXIT_IOIO);
        assert_int_equal(msr_exit(&l, nothing[i], EFER), EXIT_MSR);
    }
    assert_int_equal(msr_exit(&l, TOP - 0x2000, EFER), EXIT_MSR);
    assert_int_equal(port_exit(&l, TOP - 0x2000, 0), INVALID); /* the maps' ends count */
    assert_int_equal(msr_exit(&l, TOP - 0x1000, EFER), INVALID);
    assert_int_equal(port_exit(&l, UINT64_MAX, 0), INVALID);
    assert_int_equal(msr_exit(&l, UINT64_MAX, EFER), INVALID);

    assert_int_equal(port_exit(&l, ROM, 0x80), EXIT_IOIO);
    assert_int_equal(port_exit(&l, ROM + 0xABC, 0x80), EXIT_IOIO); /* low bits of the base do not count */
    assert_int_equal(port_exit(&l, ROM, 0x81), EXIT_VMMCALL);
    assert_int_equal(port_exit(&l, ROM, 0x8000), EXIT_IOIO); /* the second page is a hole */
    assert_int_equal(msr_exit(&l, ROM, 0xC0010117), EXIT_MSR);
    assert_int_equal(msr_exit(&l, ROM, TSC), EXIT_VMMCALL);

    assert_int_equal(port_exit(&l, LAST, 0x80), EXIT_VMMCALL); /* one page of memory, two of nothing */
    assert_int_equal(port_exit(&l, LAST, 0x8000), EXIT_IOIO);
    assert_int_equal(msr_exit(&l, LAST, EFER), EXIT_VMMCALL);
    assert_int_equal(msr_exit(&l, LAST, 0xC0010117), EXIT_MSR);

    l.device.bytes[0x80 / 8] = 1;
    l.device.reads = 0;
    assert_int_equal(port_exit(&l, DEVICE, 0x80), EXIT_IOIO);
    assert_int_equal(port_exit(&l, DEVICE, 0x88), EXIT_VMMCALL);
    assert_true(l.device.reads > 0); /* a device is asked each time */
    l.device.bytes[0x80 / 8] = 0;
    assert_int_equal(port_exit(&l, DEVICE, 0x80), EXIT_VMMCALL);

    /* The VMCB as a map: its ASID, 1, stands at 58h. */
    assert_int_equal(port_exit(&l, VMCB, 0x58 * 8), EXIT_IOIO);
    assert_int_equal(port_exit(&l, VMCB, 0x58 * 8 + 1), EXIT_VMMCALL);
    assert_int_equal(msr_exit(&l, VMCB, 0x58 * 4), EXIT_MSR);
    port_exit(&l, APIC, 0x80); /* whatever the registers say, the host is well */
    svmemu_destroy(l.m);
}

/* ---- tables ---- */

static uint64_t nested_exit(struct lab *l, uint64_t ncr3)
{
    guest_code(l, vmmcall, sizeof(vmmcall));
    write_vmcb(l, VMCB);
    put(l, VMCB + 0x90, 8, 1);
    put(l, VMCB + 0xB0, 8, ncr3);
    put(l, VMCB + 0x5C, 1, 1); /* flush: the test changes tables */
    run(l, VMCB);
    host_is_well(l, VMCB);
    return l->code;
}

static void table_places(void **state)
{
    static struct lab l;
    static uint8_t rom[0x1000];
    uint64_t entry = (TABLES + 0x1000) | 7, v;
    (void)state;
    memcpy(rom, &entry, 8);
    create(&l, rom);
    assert_int_equal(nested_exit(&l, TABLES), EXIT_VMMCALL);
    assert_int_equal(nested_exit(&l, HOLE), EXIT_NPF); /* ones: reserved bits */
    assert_int_equal(get(&l, VMCB + 0x78, 8), 0x10000000Dull); /* user, reserved, present; no NX, so no I/D */
    assert_int_equal(get(&l, VMCB + 0x80, 8), GUEST);
    assert_int_equal(nested_exit(&l, TOP - 0x1000), EXIT_NPF);
    assert_int_equal(nested_exit(&l, TOP), INVALID);

    assert_int_equal(nested_exit(&l, ROM), EXIT_VMMCALL); /* A is lost, nobody minds */
    v = get(&l, ROM, 8);
    assert_int_equal(v, entry);
    memcpy(l.device.bytes, &entry, 8);
    assert_int_equal(nested_exit(&l, DEVICE), EXIT_VMMCALL);
    assert_int_equal(l.device.bytes[0], 0x27); /* A is written to the device */
    put(&l, LAST, 8, entry);
    assert_int_equal(nested_exit(&l, LAST), EXIT_VMMCALL);
    assert_int_equal(get(&l, LAST, 1), 0x27);

    /* The VMCB's first word, the CR intercepts, as the root entry. */
    assert_int_equal(nested_exit(&l, VMCB), EXIT_NPF);
    assert_int_equal(get(&l, VMCB + 0x78, 8), 0x100000004ull);

    /* The guest's own tables in a hole: its fault, as ones make a large page with a reserved bit; pointers of legacy PAE there: no VMRUN. */
    write_vmcb(&l, VMCB);
    put(&l, VMCB + 0x558, 8, 0x80000011);
    put(&l, VMCB + 0x550, 8, HOLE);
    put(&l, VMCB + 0x548, 8, 0x10);
    put(&l, VMCB + 0x08, 4, 1u << 14);
    put(&l, VMCB + 0x5C, 1, 1);
    expect_run(&l, VMCB, EXIT_PF);
    write_vmcb(&l, VMCB);
    put(&l, VMCB + 0x558, 8, 0x80000011);
    put(&l, VMCB + 0x550, 8, HOLE);
    put(&l, VMCB + 0x548, 8, 0x20);
    expect_run(&l, VMCB, INVALID);
    assert_non_null(strstr(l.diag, "vmrun.check.pdpte"));
    svmemu_destroy(l.m);
}

/* ---- VMLOAD and VMSAVE ---- */

static void load_and_save(void **state)
{
    static const uint64_t places[] = { HOLE, ROM, DEVICE, APIC, LAST, TOP - 0x1000, 0 };
    static uint8_t rom[0x1000], before[0x1000];
    static struct lab l;
    uint64_t v = 0;
    (void)state;
    memset(rom, 0x5A, sizeof(rom));
    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        create(&l, rom);
        memset(l.device.bytes, 0x33, sizeof(l.device.bytes));
        /* vmsave rax; vmload rax; hlt */
        put(&l, HOST, 8, 0xF4DA010FDB010Full);
        svmemu_reg_write(l.m, 0, "fs.base", 0x123456);
        svmemu_reg_write(l.m, 0, "kernel_gs_base", 0x777);
        memcpy(before, l.device.bytes, sizeof(before));
        run(&l, places[i]);
        assert_int_equal(l.stop.reason, SVMEMU_STOP_HALTED);
        svmemu_reg_read(l.m, 0, "fs.base", &v);
        if (places[i] == HOLE || places[i] == TOP - 0x1000)
            assert_int_equal(v, UINT64_MAX);
        else if (places[i] == ROM)
            assert_int_equal(v, 0x5A5A5A5A5A5Aull); /* made canonical: bit 47 is 0 */
        else if (places[i] != APIC)
            assert_int_equal(v, 0x123456);
        if (places[i] == DEVICE) { /* only its own fields are written */
            assert_memory_equal(l.device.bytes, before, 0x440);
            assert_memory_equal(l.device.bytes + 0x4A0, before + 0x4A0, 0x160);
            assert_memory_equal(l.device.bytes + 0x640, before + 0x640, 0x9C0);
        }
        svmemu_destroy(l.m);
    }
}

/* ---- AVIC's pages ---- */

/* Backing page and both id tables at each place, met by an IPI to APIC id 1 and by reads and writes of registers. */
static void avic_places(void **state)
{
    static const uint64_t places[] = { 0x20000, HOLE, ROM, DEVICE, APIC, LAST, VMCB, HSAVE, TABLES, GUEST, TOP - 0x1000 };
    enum { PLACES = sizeof(places) / sizeof(places[0]), INCOMPLETE_IPI = 0x401, NOACCEL = 0x402 };
    /* mov dword [FEE00310h], 1000000h; mov dword [FEE00300h], 51h; mov eax, [FEE00080h]; mov [FEE00080h], eax; mov [FEE000B0h], eax; vmmcall */
    static const uint8_t code[] = { 0xC7, 0x05, 0x10, 0x03, 0xE0, 0xFE, 0, 0, 0, 1, 0xC7, 0x05, 0, 0x03, 0xE0, 0xFE, 0x51, 0, 0, 0,
                                    0xA1, 0x80, 0, 0xE0, 0xFE, 0xA3, 0x80, 0, 0xE0, 0xFE, 0xA3, 0xB0, 0, 0xE0, 0xFE, 0x0F, 0x01, 0xD9 };
    static uint8_t rom[0x1000];
    static struct lab l;
    unsigned seen[5] = { 0 };
    (void)state;
    create_on(&l, "max", rom);
    for (unsigned i = 0; i < PLACES * PLACES; i++) {
        uint64_t backing = places[i % PLACES], physical = places[i / PLACES], logical = places[(i + 3) % PLACES];
        /* What the run before has left in shared pages goes. */
        svmemu_destroy(l.m);
        create_on(&l, "max", rom);
        guest_code(&l, code, sizeof(code));
        put(&l, VMCB + 0x90, 8, 1);
        put(&l, VMCB + 0xB0, 8, TABLES);
        put(&l, VMCB + 0x63, 1, 0x80); /* AVIC_ENABLE */
        put(&l, VMCB + 0x98, 8, APIC);
        put(&l, VMCB + 0xE0, 8, backing);
        put(&l, VMCB + 0xF0, 8, logical);
        put(&l, VMCB + 0xF8, 8, physical | 1);
        put(&l, VMCB + 0x0C, 4, 1u << 31); /* shutdown */
        run(&l, VMCB);
        if (backing == HSAVE || backing == TABLES || backing == VMCB) { /* the guest may have written over its host: that host's fault */
            assert_int_not_equal(l.stop.reason, SVMEMU_STOP_INTERNAL);
            continue;
        }
        host_is_well(&l, VMCB);
        seen[l.code == INCOMPLETE_IPI ? 0 : l.code == NOACCEL ? 1 : l.code == EXIT_VMMCALL ? 2 : l.code == EXIT_NPF ? 3 : 4]++;
        if (physical == 0x20000 && backing == LAST) { /* zeros: no such id; the page keeps what was written */
            assert_int_equal(l.code, INCOMPLETE_IPI);
            assert_int_equal(get(&l, VMCB + 0x78, 8), 0x0100000000000051ull);
            assert_int_equal(get(&l, VMCB + 0x80, 8), 0x200000001ull); /* invalid target, index 1 */
            assert_int_equal(get(&l, LAST + 0x300, 4), 0x51);
        }
    }
    svmemu_destroy(l.m);
    assert_true(seen[0] > 0);
    assert_int_equal(seen[4], 0);
}

/* ---- a host with legacy PAE paging ---- */

/* #VMEXIT reads the host's four pointers again: what the guest has put there counts, and a bad one is a shutdown [APM2 15.6]. */
static void pae_host(void **state)
{
    enum { POINTERS = 0x13000, DIRECTORY = 0x14000 };
    /* mov dword [POINTERS + 8], value; vmmcall */
    uint8_t guest[] = { 0xC7, 0x05, 0x08, 0x30, 0x01, 0x00, 0, 0, 0, 0, 0x0F, 0x01, 0xD9 };
    /* vmrun eax; mov ebx, [40009000h]; cmp bl, C7h; jne hlt; mov ebx, F00Dh; hlt */
    static const uint8_t host[] = { 0x0F, 0x01, 0xD8, 0x8B, 0x1D, 0x00, 0x90, 0x00, 0x40, 0x80, 0xFB, 0xC7, 0x75, 0x05, 0xBB, 0x0D, 0xF0, 0x00, 0x00, 0xF4 };
    (void)state;
    for (unsigned bad = 0; bad < 2; bad++) {
        static struct lab l;
        uint32_t pointer = DIRECTORY | 1 | (bad ? 2 : 0); /* W is reserved in a pointer */
        uint64_t v = 0;
        create(&l, NULL);
        put(&l, POINTERS, 8, DIRECTORY | 1);
        put(&l, DIRECTORY, 8, 0x83);
        memcpy(guest + 6, &pointer, 4);
        guest_code(&l, guest, sizeof(guest));
        assert_int_equal(svmemu_set_mode(l.m, 0, 32, 0), SVMEMU_OK);
        assert_int_equal(svmemu_msr_write(l.m, 0, 0xC0000080, 0x1000), SVMEMU_OK);
        assert_int_equal(svmemu_reg_write(l.m, 0, "cr4", 0x20), SVMEMU_OK);
        assert_int_equal(svmemu_reg_write(l.m, 0, "cr3", POINTERS), SVMEMU_OK);
        assert_int_equal(svmemu_reg_write(l.m, 0, "cr0", 0x80000011), SVMEMU_OK);
        assert_int_equal(svmemu_mem_write(l.m, HOST, host, sizeof(host)), SVMEMU_OK);
        run(&l, VMCB);
        assert_int_equal(l.code, EXIT_VMMCALL);
        if (bad) {
            assert_int_equal(l.stop.reason, SVMEMU_STOP_SHUTDOWN);
            assert_non_null(strstr(l.diag, "vmexit.host.pdpte"));
        } else {
            assert_int_equal(l.stop.reason, SVMEMU_STOP_HALTED);
            svmemu_reg_read(l.m, 0, "rbx", &v);
            assert_int_equal(v, 0xF00D); /* 40009000h is the guest's code */
        }
        svmemu_destroy(l.m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(vmcb_places), cmocka_unit_test(hsave_places), cmocka_unit_test(hsave_is_vmcb),
                                        cmocka_unit_test(map_places), cmocka_unit_test(table_places), cmocka_unit_test(load_and_save),
                                        cmocka_unit_test(avic_places), cmocka_unit_test(pae_host) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
