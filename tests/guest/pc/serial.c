// SPDX-License-Identifier: MIT
/* A little terminal server: what COM1 receives goes to every serial port, capitals on COM2, and onto the screen; 'q' ends. It says how many
 * ports there are and where breaks come in, sends one itself for '!', and counts the cycles between bytes for '?'. */
#include "guest.h"

static const u16 com[4] = { 0x3F8, 0x2F8, 0x3E8, 0x2E8 };
static bool there[4];

static void put(unsigned port, char c)
{
    while (!(inb((u16)(com[port] + 5)) & 0x20))
        continue;
    outb(com[port], (u8)c);
}

static void say(const char *text)
{
    for (unsigned i = 0; i < 4; i++)
        for (const char *p = text; there[i] && *p; p++)
            put(i, *p);
}

static void draw(unsigned x, unsigned y, char c)
{
    ((volatile u16 *)0xB8000)[80 * y + x] = (u16)(0x0700 | (u8)c);
}

static void setup(unsigned port)
{
    outb((u16)(com[port] + 7), 0x5A);
    there[port] = inb((u16)(com[port] + 7)) == 0x5A;
    outb((u16)(com[port] + 3), 0x83);
    outb(com[port], 1);
    outb((u16)(com[port] + 1), 0);
    outb((u16)(com[port] + 3), 3);
    outb((u16)(com[port] + 2), 7);
}

static u64 cycles(void)
{
    u32 lo, hi;
    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return (u64)hi << 32 | lo;
}

void guest_main(void)
{
    unsigned x = 0, n = 0;
    u64 last = 0, now = 0;
    for (unsigned i = 0; i < 4; i++)
        setup(i);
    say("ports:");
    for (unsigned i = 0; i < 4; i++)
        if (there[i]) {
            char name[] = " COM1";
            name[4] = (char)('1' + i);
            say(name);
        }
    say("\nready\n");
    for (const char *p = "screen \xB3"; *p; p++)
        draw(x++, 0, *p);
    x = 0;
    for (;;) {
        u8 lsr = inb(0x3F8 + 5);
        if (!(lsr & 1))
            continue;
        char c = (char)inb(0x3F8);
        last = now;
        now = cycles();
        if (lsr & 0x10) {
            say("<break>\n");
            continue;
        }
        if (c == 'q')
            break;
        if (c == '!') {
            outb(0x3F8 + 3, 0x43);
            outb(0x3F8 + 3, 3);
            continue;
        }
        if (c == '?') {
            print_field("bytes", n);
            print_field("cycles after the last", now - last);
            continue;
        }
        n++;
        put(0, c);
        if (there[1])
            put(1, c >= 'a' && c <= 'z' ? (char)(c - 32) : c);
        for (unsigned i = 2; i < 4; i++)
            if (there[i])
                put(i, c);
        if (c >= ' ')
            draw(x++ % 80, 24, c);
    }
    say("bye\n");
}
