// SPDX-License-Identifier: MIT
/* INT 15h: what setup code started in real mode asks a BIOS for, the size of memory (E820h, E801h, 88h). All else fails with carry. */
#include "machine/load.h"

#define BIOS_SEGMENT_SPA 0xF0000u
#define SERVICE 0x0120u   /* offsets in segment F000h, between the stubs and the SMBIOS anchors of firmware.c */
#define E820_TABLE 0x0040u
#define E820_ENTRY 20u

/* Places in the code below that depend on the machine. */
enum { AT_E801_LOW = 0x19, AT_E801_HIGH = 0x1C, AT_88 = 0x25, AT_COUNT_1 = 0x3B, AT_TABLE = 0x48, AT_COUNT_2 = 0x61 };

static const u8 code[] = {
    0x3D, 0x20, 0xE8,                         /* 00     cmp ax, E820h */
    0x74, 0x24,                               /* 03     je e820 */
    0x3D, 0x01, 0xE8,                         /* 05     cmp ax, E801h */
    0x74, 0x0E,                               /* 08     je e801 */
    0x80, 0xFC, 0x88,                         /* 0A     cmp ah, 88h */
    0x74, 0x15,                               /* 0D     je f88 */
    0x55,                                     /* 0F bad: push bp */
    0x89, 0xE5,                               /* 10     mov bp, sp */
    0x80, 0x4E, 0x06, 0x01,                   /* 12     or byte [bp + 6], 1: carry in the caller's flags */
    0x5D,                                     /* 16     pop bp */
    0xCF,                                     /* 17     iret */
    0xB8, 0, 0,                               /* 18 e801: mov ax, KiB from 1 to 16 MiB */
    0xBB, 0, 0,                               /* 1B     mov bx, 64-KiB blocks above 16 MiB */
    0x89, 0xC1,                               /* 1E     mov cx, ax */
    0x89, 0xDA,                               /* 20     mov dx, bx */
    0xEB, 0x43,                               /* 22     jmp ok */
    0xB8, 0, 0,                               /* 24 f88: mov ax, KiB above 1 MiB */
    0xEB, 0x3E,                               /* 27     jmp ok */
    0x66, 0x81, 0xFA, 0x50, 0x41, 0x4D, 0x53, /* 29 e820: cmp edx, "SMAP" */
    0x75, 0xDD,                               /* 30     jne bad */
    0x66, 0x83, 0xF9, E820_ENTRY,             /* 32     cmp ecx, 20: room for an entry */
    0x72, 0xD7,                               /* 36     jb bad */
    0x66, 0x83, 0xFB, 0,                      /* 38     cmp ebx, number of entries */
    0x73, 0xD1,                               /* 3C     jae bad */
    0x1E, 0x56, 0x57,                         /* 3E     push ds, si, di */
    0x0E, 0x1F,                               /* 41     push cs; pop ds */
    0x6B, 0xF3, E820_ENTRY,                   /* 43     imul si, bx, 20 */
    0x81, 0xC6, 0, 0,                         /* 46     add si, table */
    0xB9, E820_ENTRY / 2, 0,                  /* 4A     mov cx, 10 */
    0xFC,                                     /* 4D     cld */
    0xF3, 0xA5,                               /* 4E     rep movsw */
    0x5F, 0x5E, 0x1F,                         /* 50     pop di, si, ds */
    0x66, 0x89, 0xD0,                         /* 53     mov eax, edx */
    0x66, 0xB9, E820_ENTRY, 0, 0, 0,          /* 56     mov ecx, 20 */
    0x66, 0x43,                               /* 5C     inc ebx */
    0x66, 0x83, 0xFB, 0,                      /* 5E     cmp ebx, number of entries */
    0x72, 0x03,                               /* 62     jb ok */
    0x66, 0x31, 0xDB,                         /* 64     xor ebx, ebx: that was the last */
    0x55,                                     /* 67 ok: push bp */
    0x89, 0xE5,                               /* 68     mov bp, sp */
    0x80, 0x66, 0x06, 0xFE,                   /* 6A     and byte [bp + 6], FEh: no carry */
    0x5D,                                     /* 6E     pop bp */
    0xCF,                                     /* 6F     iret */
};
_Static_assert(sizeof(code) == 0x70 && SERVICE + sizeof(code) <= 0x200, "the offsets above; SMBIOS begins at 200h");
_Static_assert(E820_TABLE + 8 * E820_ENTRY <= 0x100, "the stubs begin at 100h");

static u64 at_most(u64 v, u64 max)
{
    return v < max ? v : max;
}

void bios_put_memory_service(struct svmemu *m)
{
    struct map_entry e[8];
    unsigned n = memory_map(m, e, ARRAY_LEN(e));
    u64 above_1m = m->low_ram > 0x100000 ? m->low_ram - 0x100000 : 0, above_16m = m->low_ram > 0x1000000 ? m->low_ram - 0x1000000 : 0;
    u8 service[sizeof(code)], table[8 * E820_ENTRY];
    memcpy(service, code, sizeof(code));
    store_le(service + AT_E801_LOW, 2, at_most(above_1m >> 10, 15 << 10));
    store_le(service + AT_E801_HIGH, 2, at_most(above_16m >> 16, 0xFFFF));
    store_le(service + AT_88, 2, at_most(above_1m >> 10, 0xFC00)); /* as BIOSes do: not more than 63 MiB */
    store_le(service + AT_TABLE, 2, E820_TABLE);
    service[AT_COUNT_1] = service[AT_COUNT_2] = (u8)n;
    for (unsigned i = 0; i < n; i++) {
        store_le(table + E820_ENTRY * i, 8, e[i].base);
        store_le(table + E820_ENTRY * i + 8, 8, e[i].size);
        store_le(table + E820_ENTRY * i + 16, 4, e[i].type);
    }
    phys_write(&m->view, (struct spa){ BIOS_SEGMENT_SPA + SERVICE }, service, sizeof(service));
    phys_write(&m->view, (struct spa){ BIOS_SEGMENT_SPA + E820_TABLE }, table, (u64)n * E820_ENTRY);
    phys_write_le(&m->view, (struct spa){ 4 * 0x15 }, 4, BIOS_SEGMENT_SPA << 12 | SERVICE);
}
