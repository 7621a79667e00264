// SPDX-License-Identifier: MIT
/* What a PC BIOS leaves behind: interrupt vectors, BIOS data area, ACPI and SMBIOS tables, interrupt controllers, timer, MTRRs. */
#include "machine/fw_items.h"

#include <stdlib.h>

#define ACPI_SPA 0xE0000u
#define ACPI_SPACE 0x10000u
#define STUB_IRET 0x0100u /* offsets in segment F000h */
#define STUB_CARRY 0x0110u
#define ANCHOR_21_SPA 0xF0200u /* SMBIOS is searched at F0000h-FFFFFh in steps of 16 */
#define ANCHOR_30_SPA 0xF0220u
#define SMBIOS_SPA 0xF0240u

static void put(struct svmemu *m, u64 pa, const void *data, size_t len)
{
    phys_write(&m->view, (struct spa){ pa }, data, len);
}

static void put_le(struct svmemu *m, u64 pa, unsigned width, u64 v)
{
    phys_write_le(&m->view, (struct spa){ pa }, width, v);
}

static void put_vectors(struct svmemu *m)
{
    static const u8 iret[] = { 0xCF };
    /* push bp; mov bp, sp; or word [bp + 6], 1; pop bp; iret: a BIOS service that fails sets the caller's carry */
    static const u8 carry[] = { 0x55, 0x89, 0xE5, 0x83, 0x4E, 0x06, 0x01, 0x5D, 0xCF };
    put(m, 0xF0000 + STUB_IRET, iret, sizeof(iret));
    put(m, 0xF0000 + STUB_CARRY, carry, sizeof(carry));
    for (unsigned v = 0; v < 256; v++)
        put_le(m, 4 * v, 4, 0xF0000000u | (v >= 0x10 && v <= 0x1A ? STUB_CARRY : STUB_IRET));
}

static void put_bda(struct svmemu *m)
{
    put_le(m, 0x400, 2, 0x3F8);  /* COM1 */
    put_le(m, 0x40E, 2, 0x9FC0); /* EBDA segment */
    put_le(m, 0x410, 2, 0x0200); /* equipment: one serial port */
    put_le(m, 0x413, 2, 639);    /* KiB of base memory */
    put_le(m, 0x9FC00, 1, 1);    /* EBDA length in KiB */
}

static enum svmemu_status put_acpi(struct svmemu *m)
{
    struct acpi_cfg cfg = acpi_describe(m);
    size_t rsdp;
    cfg.load_spa = ACPI_SPA;
    size_t size = acpi_size(&cfg);
    if (size > ACPI_SPACE)
        size = ACPI_SPACE;
    u8 *buf = calloc(1, size);
    if (!buf)
        return SVMEMU_MEMORY;
    size_t n = acpi_build(&cfg, buf, size, &rsdp);
    if (n)
        put(m, ACPI_SPA, buf, n);
    free(buf);
    return n ? SVMEMU_OK : machine_fail(m, SVMEMU_TOO_LARGE, "the ACPI tables do not fit E0000h-EFFFFh");
}

static void put_smbios(struct svmemu *m)
{
    u8 anchor[32];
    struct smbios s;
    smbios_describe(m, &s);
    put(m, SMBIOS_SPA, s.table, s.len);
    smbios_anchor_21(&s, SMBIOS_SPA, anchor);
    put(m, ANCHOR_21_SPA, anchor, SMBIOS_ANCHOR_21);
    smbios_anchor_30(&s, SMBIOS_SPA, anchor);
    put(m, ANCHOR_30_SPA, anchor, SMBIOS_ANCHOR_30);
}

/* All memory write-back but the VGA window and the top of the first 4 GiB, where devices live. */
static void set_mtrrs(struct vcpu *c, unsigned maxphys)
{
    struct cpu_state *s = &c->st;
    s->mtrr_def_type = 0xC06;
    for (unsigned i = 0; i < ARRAY_LEN(s->mtrr_fix); i++)
        s->mtrr_fix[i] = i == 2 ? 0 : 0x0606060606060606ull; /* register 2 is A0000h-BFFFFh */
    s->mtrr_base[0] = LOW_RAM_END;
    s->mtrr_mask[0] = ((1ull << maxphys) - (512ull << 20)) | 0x800;
}

enum svmemu_status firmware_setup(struct svmemu *m)
{
    for (unsigned i = 0; i < m->vcpus; i++) {
        struct vcpu *c = m->cpu[i];
        set_mtrrs(c, m->model->maxphys);
        c->st.cr0 &= ~(u64)(CR0_CD | CR0_NW);
        machine_cpu_changed(c);
        if (m->pc)
            lapic_virtual_wire(&m->lapic[i]);
        if (m->pc && m->vcpus > XAPIC_MAX_VCPUS) /* ids that only x2APIC mode can name: firmware hands over in it */
            lapic_set_base(&m->lapic[i], m->lapic[i].s.base | APIC_BASE_EXTD);
    }
    if (!m->pc)
        return SVMEMU_OK;
    put_vectors(m);
    put_bda(m);
    bios_put_memory_service(m);
    pic_bios_defaults(&m->pc->pic);
    pit_bios_defaults(&m->pc->pit);
    piix_set_pmba(&m->pc->piix, PM_PORT);
    put_smbios(m);
    return put_acpi(m);
}
