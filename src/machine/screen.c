// SPDX-License-Identifier: MIT
/* The VGA text page, which here is memory and nothing more, as UTF-8. */
#include "machine/machine.h"

#define TEXT_SPA 0xB8000u
#define TEXT_SIZE 0x8000u
#define BDA_COLUMNS 0x44Au
#define BDA_PAGE_START 0x44Eu
#define BDA_LAST_ROW 0x484u

/* Code page 437, the upper half and what the adapter shows for 00h-1Fh and 7Fh. */
static const u16 upper[128] = {
    0x00C7, 0x00FC, 0x00E9, 0x00E2, 0x00E4, 0x00E0, 0x00E5, 0x00E7, 0x00EA, 0x00EB, 0x00E8, 0x00EF, 0x00EE, 0x00EC, 0x00C4, 0x00C5,
    0x00C9, 0x00E6, 0x00C6, 0x00F4, 0x00F6, 0x00F2, 0x00FB, 0x00F9, 0x00FF, 0x00D6, 0x00DC, 0x00A2, 0x00A3, 0x00A5, 0x20A7, 0x0192,
    0x00E1, 0x00ED, 0x00F3, 0x00FA, 0x00F1, 0x00D1, 0x00AA, 0x00BA, 0x00BF, 0x2310, 0x00AC, 0x00BD, 0x00BC, 0x00A1, 0x00AB, 0x00BB,
    0x2591, 0x2592, 0x2593, 0x2502, 0x2524, 0x2561, 0x2562, 0x2556, 0x2555, 0x2563, 0x2551, 0x2557, 0x255D, 0x255C, 0x255B, 0x2510,
    0x2514, 0x2534, 0x252C, 0x251C, 0x2500, 0x253C, 0x255E, 0x255F, 0x255A, 0x2554, 0x2569, 0x2566, 0x2560, 0x2550, 0x256C, 0x2567,
    0x2568, 0x2564, 0x2565, 0x2559, 0x2558, 0x2552, 0x2553, 0x256B, 0x256A, 0x2518, 0x250C, 0x2588, 0x2584, 0x258C, 0x2590, 0x2580,
    0x03B1, 0x00DF, 0x0393, 0x03C0, 0x03A3, 0x03C3, 0x00B5, 0x03C4, 0x03A6, 0x0398, 0x03A9, 0x03B4, 0x221E, 0x03C6, 0x03B5, 0x2229,
    0x2261, 0x00B1, 0x2265, 0x2264, 0x2320, 0x2321, 0x00F7, 0x2248, 0x00B0, 0x2219, 0x00B7, 0x221A, 0x207F, 0x00B2, 0x25A0, 0x0020,
};
static const u16 lower[32] = {
    0x0020, 0x263A, 0x263B, 0x2665, 0x2666, 0x2663, 0x2660, 0x2022, 0x25D8, 0x25CB, 0x25D9, 0x2642, 0x2640, 0x266A, 0x266B, 0x263C,
    0x25BA, 0x25C4, 0x2195, 0x203C, 0x00B6, 0x00A7, 0x25AC, 0x21A8, 0x2191, 0x2193, 0x2192, 0x2190, 0x221F, 0x2194, 0x25B2, 0x25BC,
};

static u16 unicode(u8 c) { return c >= 0x80 ? upper[c - 0x80] : c < 0x20 ? lower[c] : c == 0x7F ? 0x2302 : c; }

/* What does not fit is counted, not written. */
struct text {
    char *buf;
    size_t size, len;
};

static void put(struct text *t, u8 byte)
{
    if (t->len + 1 < t->size)
        t->buf[t->len] = (char)byte;
    t->len++;
}

static void put_char(struct text *t, u16 c)
{
    if (c < 0x80) {
        put(t, (u8)c);
    } else if (c < 0x800) {
        put(t, (u8)(0xC0 | c >> 6));
        put(t, (u8)(0x80 | (c & 0x3F)));
    } else {
        put(t, (u8)(0xE0 | c >> 12));
        put(t, (u8)(0x80 | (c >> 6 & 0x3F)));
        put(t, (u8)(0x80 | (c & 0x3F)));
    }
}

/* Columns, rows and page as a video BIOS notes them; 80 x 25 at the start where there is none. */
static void geometry(struct svmemu *m, unsigned *columns, unsigned *rows, unsigned *start)
{
    u64 c = phys_read_le(&m->view, (struct spa){ BDA_COLUMNS }, 2), r = phys_read_le(&m->view, (struct spa){ BDA_LAST_ROW }, 1) + 1;
    u64 s = phys_read_le(&m->view, (struct spa){ BDA_PAGE_START }, 2);
    bool known = (c == 40 || c == 80 || c == 132) && r >= 25 && r <= 60 && s + 2 * c * r <= TEXT_SIZE;
    *columns = known ? (unsigned)c : 80;
    *rows = known ? (unsigned)r : 25;
    *start = known ? (unsigned)s : 0;
}

enum svmemu_status svmemu_screen_text(struct svmemu *m, char *buf, size_t size, size_t *len)
{
    unsigned columns, rows, start;
    u8 line[2 * 132];
    struct text t = { .buf = buf, .size = size };
    if (!buf && size)
        return machine_fail(m, SVMEMU_ARGUMENT, "no buffer");
    geometry(m, &columns, &rows, &start);
    for (unsigned y = 0; y < rows; y++) {
        unsigned n = columns;
        phys_read(&m->view, (struct spa){ TEXT_SPA + start + 2 * columns * y }, line, 2 * (size_t)columns);
        while (n && unicode(line[2 * (n - 1)]) == ' ')
            n--;
        for (unsigned x = 0; x < n; x++)
            put_char(&t, unicode(line[2 * x]));
        put(&t, '\n');
    }
    if (size)
        buf[t.len < size ? t.len : size - 1] = 0;
    if (len)
        *len = t.len;
    return SVMEMU_OK;
}
