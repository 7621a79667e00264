// SPDX-License-Identifier: MIT
/* The machine's descriptions of itself, and its fw_cfg items. */
#ifndef SVMEMU_MACHINE_FW_ITEMS_H
#define SVMEMU_MACHINE_FW_ITEMS_H

#include "base/bits.h"
#include "dev/acpi.h"
#include "dev/smbios.h"
#include "machine/machine.h"

bool fw_items_create(struct svmemu *m);
enum svmemu_status fw_items_cmdline(struct svmemu *m, const char *cmdline);
void smbios_describe(struct svmemu *m, struct smbios *out);
struct acpi_cfg acpi_describe(const struct svmemu *m);

#endif
