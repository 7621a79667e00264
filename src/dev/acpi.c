// SPDX-License-Identifier: MIT
/* ACPI tables [ACPI 6.4 chapter 5]: RSDP, FACS, DSDT, FADT, MADT, HPET, MCFG, RSDT, XSDT. */
#include "dev/acpi.h"

#include "base/bits.h"
#include "dev/hpet.h"
#include "dev/pmtimer.h"
#include "gen/dsdt.inc"

#define HEADER 36u
#define RSDP_LEN 36u

struct out {
    u8 *buf;
    size_t size, at;
    u64 load;
    bool full;
    const char *broken;
    struct acpi_link *link;
};

static void put(struct out *o, unsigned width, u64 v)
{
    if (o->full || o->size - o->at < width) {
        o->full = true;
        return;
    }
    store_le(o->buf + o->at, width, v);
    o->at += width;
}

static void put_bytes(struct out *o, const void *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        put(o, 1, ((const u8 *)p)[i]);
}

/* An address that moves with the tables. */
static void put_pointer(struct out *o, unsigned width, u64 v)
{
    struct acpi_link *l = o->link;
    if (l && l->pointers < ARRAY_LEN(l->pointer)) {
        l->pointer[l->pointers].at = (u32)o->at;
        l->pointer[l->pointers++].width = (u8)width;
    }
    put(o, width, v);
}

static void align(struct out *o, unsigned a)
{
    while (!o->full && o->at % a)
        put(o, 1, 0);
}

static bool is_broken(const struct out *o, const char *signature)
{
    return o->broken && !memcmp(o->broken, signature, 4);
}

static void set_checksum(struct out *o, size_t start, size_t len, size_t where, const char *signature)
{
    struct acpi_link *l = o->link;
    bool broken = is_broken(o, signature);
    u8 sum = 0;
    if (o->full)
        return;
    o->buf[start + where] = 0;
    for (size_t i = 0; i < len; i++)
        sum = (u8)(sum + o->buf[start + i]);
    o->buf[start + where] = (u8)-(sum + broken);
    if (l && !broken && l->sums < ARRAY_LEN(l->sum)) {
        l->sum[l->sums].at = (u32)(start + where);
        l->sum[l->sums].start = (u32)start;
        l->sum[l->sums++].len = (u32)len;
    }
}

static size_t table_begin(struct out *o, const char *signature, u8 revision)
{
    align(o, 16);
    size_t start = o->at;
    put_bytes(o, signature, 4);
    put(o, 4, 0); /* length */
    put(o, 1, revision);
    put(o, 1, 0); /* checksum */
    put_bytes(o, "SVMEMUSVMEMUPC", 14);
    put(o, 4, 1);
    put_bytes(o, "SVME", 4);
    put(o, 4, 1);
    return start;
}

static u64 table_end(struct out *o, size_t start)
{
    if (!o->full) {
        store_le(o->buf + start + 4, 4, o->at - start);
        set_checksum(o, start, o->at - start, 9, (const char *)o->buf + start);
    }
    return o->load + start;
}

static u64 build_facs(struct out *o)
{
    align(o, 64);
    size_t start = o->at;
    put_bytes(o, "FACS", 4);
    put(o, 4, 64);
    for (unsigned i = 8; i < 64; i++)
        put(o, 1, i == 32); /* version 1 */
    return o->load + start;
}

/* Compiled from dsdt.asl by iasl, with its header. */
static u64 build_dsdt(struct out *o)
{
    align(o, 16);
    size_t start = o->at;
    put_bytes(o, dsdt_aml_code, sizeof(dsdt_aml_code));
    set_checksum(o, start, sizeof(dsdt_aml_code), 9, "DSDT");
    return o->load + start;
}

/* Generic address structure: I/O ports. */
static void put_gas(struct out *o, u8 bits_wide, u8 access, u64 port)
{
    put(o, 1, 1);
    put(o, 1, bits_wide);
    put(o, 1, 0);
    put(o, 1, access);
    put(o, 8, port);
}

static void put_zero(struct out *o, unsigned n)
{
    while (n--)
        put(o, 1, 0);
}

enum { /* FADT flags; without PWR_BUTTON and SLP_BUTTON both buttons are fixed hardware */
    FADT_WBINVD = 1 << 0, FADT_PROC_C1 = 1 << 2, FADT_FIX_RTC = 1 << 6, /* no RTC_STS */ FADT_TMR_32 = 1 << 8, FADT_RESET_REG = 1 << 10,
};
enum { BOOT_LEGACY_DEVICES = 1 << 0, BOOT_8042 = 1 << 1, BOOT_NO_VGA = 1 << 2 };

static u64 build_fadt(struct out *o, u64 facs, u64 dsdt, u64 pm)
{
    size_t start = table_begin(o, "FACP", 3);
    put_pointer(o, 4, facs);
    put_pointer(o, 4, dsdt);
    put(o, 1, 0);
    put(o, 1, 0);             /* preferred profile: unspecified */
    put(o, 2, PM_SCI_IRQ);
    put(o, 4, 0);             /* no SMI command port: always in ACPI mode */
    put_zero(o, 4);
    put(o, 4, pm);
    put(o, 4, 0);
    put(o, 4, pm + PM1_CNT);
    put(o, 4, 0);
    put(o, 4, 0);             /* no PM2 control */
    put(o, 4, pm + PM_TMR);
    put(o, 4, pm + PM_GPE0);
    put(o, 4, 0);             /* no GPE1 */
    put(o, 1, 4);             /* PM1_EVT_LEN */
    put(o, 1, 2);             /* PM1_CNT_LEN */
    put(o, 1, 0);
    put(o, 1, 4);             /* PM_TMR_LEN */
    put(o, 1, 4);             /* GPE0_BLK_LEN: 16 events */
    put_zero(o, 3);           /* GPE1_BLK_LEN, GPE1_BASE, CST_CNT */
    put(o, 2, 0xFFFF);        /* no C2 */
    put(o, 2, 0xFFFF);        /* no C3 */
    put_zero(o, 8);           /* flush size and stride, duty, day and month alarm */
    put(o, 1, 0x32);          /* century in CMOS */
    put(o, 2, BOOT_LEGACY_DEVICES | BOOT_8042 | BOOT_NO_VGA);
    put(o, 1, 0);
    put(o, 4, FADT_WBINVD | FADT_PROC_C1 | FADT_FIX_RTC | FADT_TMR_32 | FADT_RESET_REG);
    put_gas(o, 8, 1, 0xCF9);
    put(o, 1, 6);             /* reset value */
    put_zero(o, 3);
    put_pointer(o, 8, facs);
    put_pointer(o, 8, dsdt);
    put_gas(o, 32, 2, pm);
    put_zero(o, 12);
    put_gas(o, 16, 2, pm + PM1_CNT);
    put_zero(o, 12);
    put_zero(o, 12);
    put_gas(o, 32, 3, pm + PM_TMR);
    put_gas(o, 32, 1, pm + PM_GPE0);
    put_zero(o, 12);
    return table_end(o, start);
}

static u32 apic_id(const struct acpi_cfg *cfg, unsigned i) { return cfg->apic_ids ? cfg->apic_ids[i] : i; }

static void put_ioapic(struct out *o, const struct acpi_cfg *cfg)
{
    static const u8 timer[] = { 2, 10, 0, 0, 2, 0, 0, 0, 0, 0 };                  /* IRQ 0 is GSI 2 */
    static const u8 sci[] = { 2, 10, 0, PM_SCI_IRQ, PM_SCI_IRQ, 0, 0, 0, 0x0D, 0 }; /* level, active high */
    put(o, 1, 1);
    put(o, 1, 12);
    put(o, 1, cfg->ioapic_id);
    put(o, 1, 0);
    put(o, 4, cfg->ioapic_spa ? cfg->ioapic_spa : 0xFEC00000u);
    put(o, 4, 0);
    put_bytes(o, timer, sizeof(timer));
    put_bytes(o, sci, sizeof(sci));
}

static u64 build_madt(struct out *o, const struct acpi_cfg *cfg)
{
    size_t start = table_begin(o, "APIC", 3);
    bool wide = false;
    put(o, 4, cfg->lapic_spa ? cfg->lapic_spa : 0xFEE00000u);
    put(o, 4, cfg->pic);
    for (unsigned i = 0; i < cfg->cpus; i++) {
        u32 id = apic_id(cfg, i);
        if (id < 255) {
            put(o, 1, 0);
            put(o, 1, 8);
            put(o, 1, (u8)i);
            put(o, 1, id);
            put(o, 4, 1);
        } else { /* processor local x2APIC */
            wide = true;
            put(o, 1, 9);
            put(o, 1, 16);
            put(o, 2, 0);
            put(o, 4, id);
            put(o, 4, 1);
            put(o, 4, i);
        }
    }
    if (cfg->ioapic)
        put_ioapic(o, cfg);
    put_bytes(o, "\x04\x06\xFF\x00\x00\x01", 6); /* NMI at LINT1 of every processor */
    if (wide)
        put_bytes(o, "\x0A\x0C\x00\x00\xFF\xFF\xFF\xFF\x01\x00\x00\x00", 12);
    return table_end(o, start);
}

static u64 build_hpet(struct out *o, u64 spa)
{
    size_t start = table_begin(o, "HPET", 1);
    put(o, 4, HPET_ID);
    put(o, 1, 0);
    put(o, 1, 64);
    put(o, 1, 0);
    put(o, 1, 0);
    put(o, 8, spa);
    put(o, 1, 0);
    put(o, 2, HPET_HZ / 100000); /* shortest period without lost interrupts: 10 us */
    put(o, 1, 0);
    return table_end(o, start);
}

/* Memory-mapped configuration space: all buses of segment 0 [PCI FW 3.0 4.1.2]. */
static u64 build_mcfg(struct out *o, u64 spa)
{
    size_t start = table_begin(o, "MCFG", 1);
    put_zero(o, 8);
    put(o, 8, spa);
    put(o, 2, 0);
    put(o, 1, 0);
    put(o, 1, 0xFF);
    put_zero(o, 4);
    return table_end(o, start);
}

static void build_rsdp(struct out *o, u64 rsdt, u64 xsdt)
{
    struct out r = { .buf = o->buf, .size = RSDP_LEN, .broken = o->broken, .link = o->link };
    if (o->full)
        return;
    put_bytes(&r, "RSD PTR ", 8);
    put(&r, 1, 0);
    put_bytes(&r, "SVMEMU", 6);
    put(&r, 1, 2);
    put_pointer(&r, 4, rsdt);
    put(&r, 4, RSDP_LEN);
    put_pointer(&r, 8, xsdt);
    put(&r, 4, 0);
    set_checksum(&r, 0, 20, 8, "RSDP");
    set_checksum(&r, 0, RSDP_LEN, 32, "RSDP");
}

bool acpi_can_break(const char *signature)
{
    static const char known[][5] = { "RSDP", "RSDT", "XSDT", "FACP", "APIC", "HPET", "MCFG", "DSDT" };
    for (unsigned i = 0; i < ARRAY_LEN(known); i++)
        if (!strcmp(signature, known[i]))
            return true;
    return false;
}

size_t acpi_size(const struct acpi_cfg *cfg)
{
    return 1024 + sizeof(dsdt_aml_code) + (size_t)cfg->cpus * 16;
}

size_t acpi_build(const struct acpi_cfg *cfg, void *buf, size_t size, size_t *rsdp_len)
{
    struct out o = { .buf = buf, .size = size, .load = cfg->load_spa, .broken = cfg->broken, .link = cfg->link };
    u64 tables[4];
    unsigned n = 0;
    if (!cfg->cpus || cfg->cpus > 4096 || cfg->load_spa % 64 || cfg->load_spa + size > 1ull << 32)
        return 0;
    if (cfg->link)
        cfg->link->pointers = cfg->link->sums = 0;
    put_zero(&o, RSDP_LEN);
    u64 facs = build_facs(&o);
    u64 dsdt = build_dsdt(&o);
    tables[n++] = build_fadt(&o, facs, dsdt, cfg->pm_port ? cfg->pm_port : PM_PORT);
    tables[n++] = build_madt(&o, cfg);
    if (cfg->hpet_spa)
        tables[n++] = build_hpet(&o, cfg->hpet_spa);
    if (cfg->mcfg_spa)
        tables[n++] = build_mcfg(&o, cfg->mcfg_spa);
    size_t start = table_begin(&o, "RSDT", 1);
    for (unsigned i = 0; i < n; i++)
        put_pointer(&o, 4, tables[i]);
    u64 rsdt = table_end(&o, start);
    start = table_begin(&o, "XSDT", 1);
    for (unsigned i = 0; i < n; i++)
        put_pointer(&o, 8, tables[i]);
    u64 xsdt = table_end(&o, start);
    build_rsdp(&o, rsdt, xsdt);
    if (rsdp_len)
        *rsdp_len = RSDP_LEN;
    return o.full ? 0 : o.at;
}
