// SPDX-License-Identifier: MIT
/* SMBIOS structures of the machine and the two kinds of entry point [DMTF DSP0134 3.0]. */
#ifndef SVMEMU_DEV_SMBIOS_H
#define SVMEMU_DEV_SMBIOS_H

#include "base/types.h"

#define SMBIOS_ANCHOR_21 31u /* "_SM_": below 1 MiB, 16-byte aligned */
#define SMBIOS_ANCHOR_30 24u /* "_SM3_" */

struct smbios_cfg {
    unsigned cpus;        /* 1 or more, in one package */
    u64 low_ram, high_ram; /* bytes from 0 and from 4 GiB */
    const char *vendor, *model; /* of the processor */
    u32 signature, features;    /* CPUID 1 EAX and EDX */
    u32 mhz;
};

struct smbios {
    u8 table[2048];
    unsigned len, count, longest; /* bytes, structures, bytes of the longest one */
};

void smbios_build(const struct smbios_cfg *cfg, struct smbios *out);
void smbios_anchor_21(const struct smbios *s, u32 table_spa, u8 out[SMBIOS_ANCHOR_21]);
void smbios_anchor_30(const struct smbios *s, u64 table_spa, u8 out[SMBIOS_ANCHOR_30]);

#endif
