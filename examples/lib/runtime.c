// SPDX-License-Identifier: MIT
#include "guest.h"

enum {
    COM1 = 0x3f8, COM1_LCR = COM1 + 3, COM1_LSR = COM1 + 5,
    LCR_8N1 = 3, LCR_DLAB = 0x80, LSR_THR_EMPTY = 0x20,
    EXIT_PORT = 0xf4,
};

static unsigned failures;

static void put(char c)
{
    while (!(inb(COM1_LSR) & LSR_THR_EMPTY))
        ;
    outb(COM1, (u8)c);
}

void print(const char *text)
{
    while (*text)
        put(*text++);
}

void print_hex(u64 value)
{
    int shift = 60;

    while (shift && !(value >> shift))
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        put("0123456789abcdef"[value >> shift & 15]);
}

/* No 64-bit division: a 32-bit guest has no library for it. */
void print_dec(u64 value)
{
    char digits[21];
    unsigned n = 0;

    do {
        u64 quotient = 0, rest = 0;
        for (int bit = 63; bit >= 0; bit--) {
            rest = rest << 1 | (value >> bit & 1);
            quotient <<= 1;
            if (rest >= 10) {
                rest -= 10;
                quotient |= 1;
            }
        }
        digits[n++] = (char)('0' + rest);
        value = quotient;
    } while (value);
    while (n)
        put(digits[--n]);
}

void print_field(const char *what, u64 value)
{
    print(what);
    print(": ");
    print_hex(value);
    print("\n");
}

_Noreturn void guest_exit(enum guest_result result)
{
    outl(EXIT_PORT, result);
    for (;;)
        __asm__ volatile("cli; hlt");
}

void check(bool ok, const char *what)
{
    print(ok ? "ok: " : "FAILED: ");
    print(what);
    print("\n");
    if (!ok)
        failures++;
}

void *memset(void *dest, int byte, size_t count)
{
    void *d = dest;
    __asm__ volatile("rep stosb" : "+D"(d), "+c"(count) : "a"(byte) : "memory");
    return dest;
}

void *memcpy(void *dest, const void *src, size_t count)
{
    void *d = dest;
    __asm__ volatile("rep movsb" : "+D"(d), "+S"(src), "+c"(count) : : "memory");
    return dest;
}

/* 115200 baud, 8 bits: out of reset a UART sends five. */
static void serial_init(void)
{
    outb(COM1_LCR, LCR_DLAB | LCR_8N1);
    outb(COM1, 1);
    outb(COM1 + 1, 0);
    outb(COM1_LCR, LCR_8N1);
}

_Noreturn void guest_start(void)
{
    serial_init();
    guest_main();
    print(failures ? "RESULT: FAIL\n" : "RESULT: PASS\n");
    guest_exit(failures ? GUEST_FAIL : GUEST_PASS);
}
