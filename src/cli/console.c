// SPDX-License-Identifier: MIT
/* The serial console: raw terminal with an escape key, or any other standard input as it comes. */
#include "cli/cli.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#define ESCAPE 1 /* Ctrl-A */

void console_open(struct console *c, struct serial *serial)
{
    *c = (struct console){ .serial = serial };
    if (!serial || !isatty(0) || tcgetattr(0, &c->saved))
        return;
    struct termios t = c->saved;
    t.c_iflag &= ~(tcflag_t)(ICRNL | IXON);
    t.c_lflag &= ~(tcflag_t)(ICANON | ECHO | (serial->raw ? ISIG : 0)); /* else Ctrl-C stops svmemu */
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    c->raw = !tcsetattr(0, TCSANOW, &t);
}

void console_close(struct console *c)
{
    if (c->raw)
        tcsetattr(0, TCSANOW, &c->saved);
    c->raw = false;
}

/* The byte for the guest, or -1. */
static int filter(struct console *c, unsigned char b)
{
    if (!c->raw)
        return b;
    if (!c->escaped) {
        c->escaped = b == ESCAPE;
        return c->escaped ? -1 : b;
    }
    c->escaped = false;
    switch (b) {
    case 'x': c->quit = true; return -1;
    case 's': c->stats = true; return -1;
    case 'c': return 3;
    case 'b': svmemu_serial_send_break(c->serial->m, c->serial->port); return -1;
    case 'a': case ESCAPE: return ESCAPE;
    default:
        fputs("\r\nCtrl-A x: end   Ctrl-A s: statistics   Ctrl-A c: send Ctrl-C   Ctrl-A b: send a break   Ctrl-A a: send Ctrl-A\r\n", stderr);
        return -1;
    }
}

void console_poll(struct console *c)
{
    unsigned char buf[64];
    struct pollfd p = { .fd = 0, .events = POLLIN };
    if (!c->serial || c->eof || poll(&p, 1, 0) <= 0)
        return;
    ssize_t n = read(0, buf, sizeof(buf));
    if (n <= 0) {
        c->eof = true;
        return;
    }
    for (ssize_t i = 0; i < n; i++) {
        int b = filter(c, buf[i]);
        unsigned char byte = (unsigned char)b;
        if (b >= 0)
            svmemu_serial_send(c->serial->m, c->serial->port, &byte, 1, NULL);
    }
}
