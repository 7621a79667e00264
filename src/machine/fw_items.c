// SPDX-License-Identifier: MIT
/* What the machine tells through fw_cfg: counts, memory, ACPI and SMBIOS tables, a kernel for a boot ROM, the user's files. */
#include "machine/fw_items.h"

#include "machine/load.h"

#include <stdlib.h>

#define E820_ENTRY 20u
#define FW_WRITABLE_MAX (16u << 20)

void smbios_describe(struct svmemu *m, struct smbios *out)
{
    char vendor[13] = "", model[49] = "";
    u32 r[4], one[4];
    cpuid_query(m->cpu[0], 0, 0, r);
    store_le(vendor, 4, r[1]);
    store_le(vendor + 4, 4, r[3]);
    store_le(vendor + 8, 4, r[2]);
    cpuid_query(m->cpu[0], 1, 0, one);
    for (unsigned i = 0; i < 3; i++) {
        cpuid_query(m->cpu[0], 0x80000002u + i, 0, r);
        for (unsigned k = 0; k < 4; k++)
            store_le(model + 16 * i + 4 * k, 4, r[k]);
    }
    const struct smbios_cfg cfg = {
        .cpus = m->vcpus, .low_ram = m->low_ram, .high_ram = m->high_ram, .vendor = vendor, .model = model, .signature = one[0],
        .features = one[3], .mhz = (u32)(m->model->core_hz / 1000000),
    };
    smbios_build(&cfg, out);
}

struct acpi_cfg acpi_describe(const struct svmemu *m)
{
    return (struct acpi_cfg){
        .cpus = m->vcpus, .pic = true, .ioapic = true, .ioapic_id = IOAPIC_ID(m), .hpet_spa = HPET_SPA, .mcfg_spa = PCI_ECAM_SPA,
        .pm_port = piix_pmba(&m->pc->piix), .broken = m->broken_acpi[0] ? m->broken_acpi : NULL,
    };
}

/* The tables name the ports where the firmware has put power management by the time it reads them. */
static void acpi_selected(void *ctx)
{
    struct svmemu *m = ctx;
    const struct acpi_cfg cfg = acpi_describe(m);
    struct fwcfg_item *it = fwcfg_file(&m->pc->fwcfg, ACPI_FILE_TABLES);
    struct acpi_files f;
    if (!it || !acpi_files_build(&cfg, &f))
        return;
    if (it->size == f.tables_len)
        memcpy(it->data, f.tables, f.tables_len);
    acpi_files_free(&f);
}

static bool put_acpi(struct svmemu *m)
{
    struct fwcfg *c = &m->pc->fwcfg;
    const struct acpi_cfg cfg = acpi_describe(m);
    struct acpi_files f;
    if (!acpi_files_build(&cfg, &f))
        return false;
    bool ok = fwcfg_put_file(c, ACPI_FILE_RSDP, f.rsdp, f.rsdp_len) && fwcfg_put_file(c, ACPI_FILE_TABLES, f.tables, f.tables_len) &&
              fwcfg_put_file(c, ACPI_FILE_LOADER, f.loader, f.loader_len);
    if (ok) {
        fwcfg_file(c, ACPI_FILE_TABLES)->selected = acpi_selected;
        fwcfg_file(c, ACPI_FILE_TABLES)->ctx = m;
    }
    acpi_files_free(&f);
    return ok;
}

/* The firmware places the structures, so the anchor's address is zero. */
static bool put_smbios(struct svmemu *m)
{
    struct fwcfg *c = &m->pc->fwcfg;
    struct smbios s;
    u8 anchor[32];
    bool v3 = m->cfg.flags & SVMEMU_SMBIOS_3;
    smbios_describe(m, &s);
    if (v3)
        smbios_anchor_30(&s, 0, anchor);
    else
        smbios_anchor_21(&s, 0, anchor);
    return fwcfg_put_file(c, "etc/smbios/smbios-tables", s.table, s.len) &&
           fwcfg_put_file(c, "etc/smbios/smbios-anchor", anchor, v3 ? SMBIOS_ANCHOR_30 : SMBIOS_ANCHOR_21);
}

static bool put_e820(struct svmemu *m)
{
    const struct map_entry all[] = {
        { 0, m->low_ram, MAP_RAM }, { HIGH_RAM_BASE, m->high_ram, MAP_RAM }, { PCI_ECAM_SPA, PCI_ECAM_SIZE, MAP_RESERVED },
    };
    u8 out[ARRAY_LEN(all) * E820_ENTRY];
    size_t n = 0;
    for (unsigned i = 0; i < ARRAY_LEN(all); i++) {
        if (!all[i].size)
            continue;
        store_le(out + n, 8, all[i].base);
        store_le(out + n + 8, 8, all[i].size);
        store_le(out + n + 16, 4, all[i].type);
        n += E820_ENTRY;
    }
    return fwcfg_put_file(&m->pc->fwcfg, "etc/e820", out, n);
}

bool fw_items_create(struct svmemu *m)
{
    static const u8 no_uuid[16];
    struct fwcfg *c = &m->pc->fwcfg;
    return fwcfg_init(c, m->bus, &m->view) && fwcfg_put(c, FWCFG_UUID, no_uuid, 16) &&
           fwcfg_put_le(c, FWCFG_RAM_SIZE, 8, m->low_ram + m->high_ram) && fwcfg_put_le(c, FWCFG_NOGRAPHIC, 2, 1) &&
           fwcfg_put_le(c, FWCFG_CPUS, 2, m->vcpus) && fwcfg_put_le(c, FWCFG_MAX_CPUS, 2, m->vcpus) &&
           fwcfg_put_le(c, FWCFG_BOOT_MENU, 2, 1) && fwcfg_put_le(c, FWCFG_IRQ0_OVERRIDE, 4, 1) && put_e820(m) && put_acpi(m) &&
           put_smbios(m);
}

static enum svmemu_status stored(struct svmemu *m, bool ok)
{
    return ok ? SVMEMU_OK : machine_fail(m, SVMEMU_MEMORY, "no room for a fw_cfg item");
}

enum svmemu_status fw_items_cmdline(struct svmemu *m, const char *cmdline)
{
    struct fwcfg *c = &m->pc->fwcfg;
    size_t n = cmdline ? strlen(cmdline) + 1 : 0;
    return stored(m, fwcfg_put_le(c, FWCFG_CMDLINE_SIZE, 4, n) && fwcfg_put(c, FWCFG_CMDLINE_DATA, cmdline, n));
}

enum svmemu_status svmemu_fw_cfg_file(struct svmemu *m, const char *name, const void *data, size_t len)
{
    if (!m->pc)
        return machine_fail(m, SVMEMU_UNSUPPORTED, "fw_cfg is part of the PC platform");
    if (!name || !*name || strlen(name) >= FWCFG_NAME)
        return machine_fail(m, SVMEMU_ARGUMENT, "a fw_cfg file's name has 1 to %u characters", FWCFG_NAME - 1);
    if ((!data && len) || len > UINT32_MAX)
        return machine_fail(m, SVMEMU_ARGUMENT, "fw_cfg file %s: no data, or more than 4 GiB", name);
    return stored(m, fwcfg_put_file(&m->pc->fwcfg, name, data, len));
}

enum svmemu_status svmemu_fw_cfg_writable(struct svmemu *m, const char *name, size_t size)
{
    if (size > FW_WRITABLE_MAX)
        return machine_fail(m, SVMEMU_ARGUMENT, "fw_cfg file %.55s: at most %u bytes can be written", name ? name : "",
                            FW_WRITABLE_MAX);
    void *zeros = calloc(1, size ? size : 1);
    enum svmemu_status s = zeros ? svmemu_fw_cfg_file(m, name, zeros, size) : SVMEMU_MEMORY;
    free(zeros);
    if (s == SVMEMU_OK)
        fwcfg_file(&m->pc->fwcfg, name)->writable = true;
    return s;
}

enum svmemu_status svmemu_fw_cfg_read(struct svmemu *m, const char *name, void *buf, size_t size, size_t *len)
{
    const struct fwcfg_item *it = m->pc && name ? fwcfg_file(&m->pc->fwcfg, name) : NULL;
    if (!it)
        return machine_no_name(m, "fw_cfg file", name ? name : "");
    memcpy(buf, it->data, size < it->size ? size : it->size);
    if (len)
        *len = it->size;
    return SVMEMU_OK;
}

enum svmemu_status svmemu_fw_cfg_file_from(struct svmemu *m, const char *name, const char *path)
{
    struct blob b;
    if (!path)
        return machine_fail(m, SVMEMU_ARGUMENT, "no path");
    enum svmemu_status s = read_file(m, path, &b);
    if (s != SVMEMU_OK)
        return s;
    s = svmemu_fw_cfg_file(m, name, b.data, b.size);
    free(b.data);
    return s;
}

/* ---- a Linux kernel for a boot ROM (QEMU's linuxboot): the halves of a bzImage, and where they go ---- */
#define SETUP_ADDR 0x10000u
#define CMDLINE_ADDR 0x20000u
#define PROTECTED_ADDR 0x100000u
enum { LOADED_HIGH = 1, CAN_USE_HEAP = 0x80 };

/* Splits the kernel and fills in what a loader of the boot protocol tells it [Linux, Documentation/arch/x86/boot]. */
static enum svmemu_status put_kernel(struct svmemu *m, const char *name, struct blob *k, u32 initrd_addr, u32 initrd_size)
{
    struct fwcfg *c = &m->pc->fwcfg;
    if (k->size < 0x260 || memcmp(k->data + 0x202, "HdrS", 4) != 0 || load_le(k->data + 0x206, 2) < 0x203 || !(k->data[0x211] & LOADED_HIGH))
        return machine_fail(m, SVMEMU_FORMAT, "%.100s: a boot ROM takes a bzImage of boot protocol 2.03 or later", name);
    size_t setup = ((k->data[0x1F1] ? k->data[0x1F1] : 4u) + 1u) * 512u;
    if (setup >= k->size || setup > CMDLINE_ADDR - SETUP_ADDR || k->size > UINT32_MAX)
        return machine_fail(m, SVMEMU_FORMAT, "%.100s: a set-up part of %zu bytes does not fit the file or its place", name, setup);
    k->data[0x210] = 0xB0; /* the loader is known as QEMU's */
    k->data[0x211] |= CAN_USE_HEAP;
    store_le(k->data + 0x218, 4, initrd_addr);
    store_le(k->data + 0x21C, 4, initrd_size);
    store_le(k->data + 0x224, 2, CMDLINE_ADDR - SETUP_ADDR - 0x200);
    store_le(k->data + 0x228, 4, CMDLINE_ADDR);
    return stored(m, fwcfg_put_le(c, FWCFG_SETUP_ADDR, 4, SETUP_ADDR) && fwcfg_put_le(c, FWCFG_SETUP_SIZE, 4, setup) &&
                     fwcfg_put(c, FWCFG_SETUP_DATA, k->data, setup) && fwcfg_put_le(c, FWCFG_KERNEL_ADDR, 4, PROTECTED_ADDR) &&
                     fwcfg_put_le(c, FWCFG_KERNEL_SIZE, 4, k->size - setup) && fwcfg_put(c, FWCFG_KERNEL_DATA, k->data + setup, k->size - setup) &&
                     fwcfg_put_le(c, FWCFG_CMDLINE_ADDR, 4, CMDLINE_ADDR) && fwcfg_put_le(c, FWCFG_INITRD_ADDR, 4, initrd_addr) &&
                     fwcfg_put_le(c, FWCFG_INITRD_SIZE, 4, initrd_size));
}

enum svmemu_status svmemu_fw_cfg_kernel(struct svmemu *m, const char *path, const struct svmemu_load *load)
{
    static const struct svmemu_load none;
    struct blob kernel = { 0 }, initrd = { 0 };
    const struct svmemu_load *l = load ? load : &none;
    if (!m->pc)
        return machine_fail(m, SVMEMU_UNSUPPORTED, "fw_cfg is part of the PC platform");
    if (!path || l->module_count > 1 || (l->module_count && (!l->modules || !l->modules[0].path)))
        return machine_fail(m, SVMEMU_ARGUMENT, "a boot ROM takes a kernel and at most an initrd");
    enum svmemu_status s = read_file(m, path, &kernel);
    if (s == SVMEMU_OK && l->module_count)
        s = read_file(m, l->modules[0].path, &initrd);
    /* As high as the kernel says, with room above it for what firmware keeps at the top of memory. */
    u64 top = kernel.size >= 0x230 ? load_le(kernel.data + 0x22C, 4) + 1 : 0, ram = m->low_ram - (1u << 20);
    u64 at = (top < ram ? top : ram) - initrd.size;
    if (s == SVMEMU_OK && initrd.size && (initrd.size > m->low_ram / 2 || at >> 32))
        s = machine_fail(m, SVMEMU_TOO_LARGE, "%.100s: an initrd of %zu bytes does not fit", l->modules[0].path, initrd.size);
    if (s == SVMEMU_OK)
        s = put_kernel(m, path, &kernel, initrd.size ? (u32)at & ~PAGE_MASK : 0, (u32)initrd.size);
    if (s == SVMEMU_OK)
        s = stored(m, fwcfg_put(&m->pc->fwcfg, FWCFG_INITRD_DATA, initrd.data, initrd.size));
    if (s == SVMEMU_OK)
        s = fw_items_cmdline(m, l->cmdline ? l->cmdline : "");
    free(kernel.data);
    free(initrd.data);
    return s;
}
