// SPDX-License-Identifier: MIT
/* The first process of the Linux boot test: a static program without a library, integer instructions only. It prints its
 * checks on the console and ends the run through the test device at port F4h, or powers off if it may not. */
#include "../lib/sys.h"

static int failures;

static void check(int ok, const char *what)
{
    print(ok ? "init: ok: " : "init: FAILED: ");
    print(what);
    print("\n");
    if (!ok)
        failures++;
}

static void check_arithmetic(void)
{
    volatile u64 a = 0x123456789abcdef0, b = 0xfedcba98;
    u64 hash = 0xcbf29ce484222325;

    check(a / b * b + a % b == a, "64-bit division");
    check((i64)-7 / (i64)(b & 2 ? 2 : 3) == -2, "signed division");
    for (u64 i = 0; i < 100000; i++)
        hash = (hash ^ (i & 255)) * 0x100000001b3;
    check(hash == 0x371690f901abd145, "FNV-1a over 100000 bytes");
}

static void check_memory(void)
{
    enum { SIZE = 8 << 20 };
    u64 sum = 0;
    unsigned char *p = (unsigned char *)sys6(__NR_mmap, 0, SIZE, 3, 0x22, ~0ul, 0);

    check((i64)p > 0, "mmap of 8 MiB");
    if ((i64)p <= 0)
        return;
    for (u64 i = 0; i < SIZE; i += 4096)
        p[i] = (unsigned char)(i >> 12);
    for (u64 i = 0; i < SIZE; i += 4096)
        sum += p[i];
    check(sum == 2048 / 256 * (255 * 128), "each page keeps what was stored");
    check(sys6(__NR_munmap, (u64)p, SIZE, 0, 0, 0, 0) == 0, "munmap");
}

static void check_processes(void)
{
    int fd[2], status = -1;
    char buffer[8] = { 0 };
    volatile int shared = 1;

    check(sys6(__NR_pipe, (u64)fd, 0, 0, 0, 0, 0) == 0, "pipe");
    i64 child = sys6(__NR_fork, 0, 0, 0, 0, 0, 0);
    if (child == 0) {
        shared = 2; /* a page of its own by copy on write */
        sys6(__NR_write, (u64)fd[1], (u64) "hello", 5, 0, 0, 0);
        sys6(__NR_exit, 40 + (u64)shared, 0, 0, 0, 0, 0);
    }
    check(child > 0, "fork");
    check(sys6(__NR_read, (u64)fd[0], (u64)buffer, 5, 0, 0, 0) == 5 && buffer[0] == 'h' && buffer[4] == 'o',
          "the child's words came through the pipe");
    check(sys6(__NR_wait4, (u64)child, (u64)&status, 0, 0, 0, 0) == child && status == 42 << 8, "wait for the child");
    check(shared == 1, "copy on write kept our page");
}

static void check_clock(void)
{
    i64 a[2], b[2], pause[2] = { 0, 20000000 };

    check(sys6(__NR_clock_gettime, 1, (u64)a, 0, 0, 0, 0) == 0, "clock_gettime");
    check(sys6(__NR_nanosleep, (u64)pause, 0, 0, 0, 0, 0) == 0, "nanosleep of 20 ms");
    sys6(__NR_clock_gettime, 1, (u64)b, 0, 0, 0, 0);
    i64 ns = (b[0] - a[0]) * 1000000000 + b[1] - a[1];
    check(ns >= 20000000 && ns < 2000000000, "the clock moved by at least the sleep");
}

static void finish(void)
{
    print(failures ? "init: RESULT: FAIL\n" : "init: RESULT: PASS\n");
    sys6(__NR_ioctl, 1, 0x5409 /* TCSBRK */, 1, 0, 0, 0); /* wait until the UART has sent everything */
    if (sys6(__NR_ioperm, 0xf4, 4, 1, 0, 0, 0) == 0)
        __asm__ volatile("outl %0, %1" : : "a"(failures ? 0x11 : 0x10), "Nd"((unsigned short)0xf4));
    sys6(__NR_reboot, 0xfee1dead, 672274793, 0x4321fedc, 0, 0, 0); /* LINUX_REBOOT_CMD_POWER_OFF */
    for (;;)
        sys6(__NR_exit, 1, 0, 0, 0, 0, 0);
}

__attribute__((force_align_arg_pointer)) void _start(void)
{
    char names[6 * 65];

    print("init: started\n");
    check(sys6(__NR_getpid, 0, 0, 0, 0, 0, 0) == 1, "this is process 1");
    check(sys6(__NR_uname, (u64)names, 0, 0, 0, 0, 0) == 0 && names[0] == 'L', "uname says Linux");
    check_arithmetic();
    check_memory();
    check_processes();
    check_clock();
    finish();
}
