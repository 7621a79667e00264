// SPDX-License-Identifier: MIT
/* System calls and console output for the first processes of the Linux tests: static programs without a library, integer
 * instructions only. Needs -ffreestanding -mgeneral-regs-only. */
#ifndef TESTS_GUEST_LIB_SYS_H
#define TESTS_GUEST_LIB_SYS_H

#include <linux/reboot.h>
#include <linux/unistd.h>

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef long i64;

static inline i64 sys6(i64 n, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
    register u64 r10 __asm__("r10") = d;
    register u64 r8 __asm__("r8") = e;
    register u64 r9 __asm__("r9") = f;
    i64 result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static inline i64 sys3(i64 n, u64 a, u64 b, u64 c)
{
    return sys6(n, a, b, c, 0, 0, 0);
}

static inline u64 length(const char *s)
{
    u64 n = 0;
    while (s[n])
        n++;
    return n;
}

/* A line under construction: several threads may print, and a line goes out by one write. */
struct line {
    char text[256];
    u64 len;
};

static inline void put(struct line *l, const char *s)
{
    for (; *s && l->len < sizeof(l->text) - 1; s++)
        l->text[l->len++] = *s;
}

static inline void put_number(struct line *l, u64 n, u32 base)
{
    char digits[32];
    u32 at = sizeof(digits) - 1;

    digits[at] = 0;
    do {
        digits[--at] = "0123456789abcdef"[n % base];
        n /= base;
    } while (n);
    put(l, digits + at);
}

static inline void put_end(struct line *l)
{
    l->text[l->len++] = '\n';
    sys3(__NR_write, 1, (u64)l->text, l->len);
    l->len = 0;
}

static inline void print(const char *s)
{
    sys3(__NR_write, 1, (u64)s, length(s));
}

/* Waits until the UART has sent everything, then powers off; when that returns, dies, which the kernel reports. */
static inline void power_off(void)
{
    sys3(__NR_ioctl, 1, 0x5409 /* TCSBRK */, 1);
    sys6(__NR_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_POWER_OFF, 0, 0, 0);
    for (;;)
        sys3(__NR_exit, 1, 0, 0);
}
#endif
