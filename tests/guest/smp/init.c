// SPDX-License-Identifier: MIT
/* Starts the checks and ends the machine. Arguments (behind -- on the kernel's command line): cpus=N, xen. As any other
 * process than the first it neither mounts, reads the kernel's log nor powers off: so it runs on the host too. */
#include "smp.h"
#include <linux/sched.h>

u32 cpus = 1;
int as_init, under_xen;
static u32 failures;

static union stack {
    struct worker worker;
    u8 bytes[STACK_SIZE];
} stacks[MAX_CPUS + 1] __attribute__((aligned(STACK_SIZE))); /* the last one is the main thread's */

/* Enters start() on the main thread's stack, so that self() holds for it too. */
__asm__(".text\n.globl _start\n_start: xor %ebp, %ebp\n mov %rsp, %rdi\n mov main_stack(%rip), %rsp\n call start\n ud2\n");
void *const main_stack = stacks + MAX_CPUS + 1;

void check(int ok, const char *what)
{
    struct line l = { .len = 0 };

    put(&l, ok ? "smp: ok: " : "smp: FAILED: ");
    put(&l, what);
    put_end(&l);
    failures += !ok;
}

void check_between(int ok, const char *what)
{
    struct line l = { .len = 0 };

    put(&l, "between CPUs: ");
    put(&l, what);
    l.text[l.len] = 0;
    if (cpus > 1)
        check(ok, l.text);
}

int want(int ok, const char *what, u64 value)
{
    struct line l = { .len = 0 };

    if (ok)
        return 1;
    put(&l, "smp: CPU ");
    put_number(&l, current_cpu(), 10);
    put(&l, ": ");
    put(&l, what);
    put(&l, ": 0x");
    put_number(&l, value, 16);
    put_end(&l);
    return 0;
}

struct worker *worker(u32 cpu)
{
    return &stacks[cpu].worker;
}

struct worker *self(void)
{
    return (struct worker *)((u64)__builtin_frame_address(0) & -(u64)STACK_SIZE);
}

u32 current_cpu(void)
{
    u32 cpu = ~0u;

    sys3(__NR_getcpu, (u64)&cpu, 0, 0);
    return cpu;
}

int bind(u32 cpu)
{
    u64 mask[MAX_CPUS / 64] = { 0 };

    mask[cpu / 64] |= 1ul << cpu % 64;
    return want(sys3(__NR_sched_setaffinity, 0, sizeof(mask), (u64)mask) == 0, "sched_setaffinity", cpu) &&
        want(current_cpu() == cpu, "this should be CPU", cpu);
}

u64 tsc(void)
{
    u32 low, high;

    __asm__ volatile("lfence\n rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (u64)high << 32 | low;
}

i64 now(int clock_id)
{
    i64 time[2] = { 0 };

    sys3(__NR_clock_gettime, (u64)clock_id, (u64)time, 0);
    return time[0] * 1000000000 + time[1];
}

/* Long enough for any of these waits, whoever else has work on the CPUs. */
int spin_until(volatile u32 *word, u32 value)
{
    u64 begin = tsc();

    while (*word != value) {
        __builtin_ia32_pause();
        if (tsc() - begin > 8000000000)
            return want(0, "waited too long for", value);
    }
    return 1;
}

static u32 arrived;
static volatile u32 barrier_round;

int spin_barrier(void)
{
    u32 round = barrier_round;

    if (__atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST) == cpus) {
        arrived = 0;
        barrier_round = round + 1;
        return 1;
    }
    return spin_until(&barrier_round, round + 1);
}

static void run_worker(void *argument)
{
    struct worker *w = argument;

    w->ok = bind(w->cpu) && spin_barrier() && w->body(w);
}

int each_cpu(int (*body)(struct worker *))
{
    int ok = 1;

    arrived = 0;
    for (u32 i = 0; i < cpus; i++) {
        *worker(i) = (struct worker){ .cpu = i, .body = body };
        ok &= want(thread_start(run_worker, worker(i), stacks + i + 1, &worker(i)->tid), "clone", i);
    }
    for (u32 i = 0; i < cpus; i++) {
        thread_join(&worker(i)->tid);
        ok &= worker(i)->ok;
    }
    return ok;
}

void *map(u64 size, u64 rights, u64 flags)
{
    i64 at = sys6(__NR_mmap, 0, size, rights, flags, ~0ul, 0);

    return want(at >= 0 || at < -4095, "mmap", (u64)-at) ? (void *)at : 0;
}

u64 read_file(const char *path, char *buffer, u64 size)
{
    i64 fd = sys3(__NR_open, (u64)path, 0, 0), n = 0;
    u64 length = 0;

    while (fd >= 0 && length < size - 1 && (n = sys3(__NR_read, (u64)fd, (u64)buffer + length, size - 1 - length)) > 0)
        length += (u64)n;
    if (fd >= 0)
        sys3(__NR_close, (u64)fd, 0, 0);
    buffer[length] = 0;
    want(length > 0 && n == 0, path, (u64)(fd < 0 ? -fd : n));
    return n == 0 ? length : 0;
}

int begins(const char *line, const char *word)
{
    while (*word)
        if (*line++ != *word++)
            return 0;
    return 1;
}

u64 number_at(const char **at)
{
    u64 n = 0;

    while (**at == ' ' || **at == '\t')
        ++*at;
    while (**at >= '0' && **at <= '9')
        n = n * 10 + (u64)(*(*at)++ - '0');
    return n;
}

const char *next_line(const char *at)
{
    while (*at && *at != '\n')
        at++;
    return *at ? at + 1 : at;
}

static void mount_all(void)
{
    sys3(__NR_mkdir, (u64) "/proc", 0755, 0);
    sys3(__NR_mkdir, (u64) "/sys", 0755, 0);
    check(sys6(__NR_mount, (u64) "proc", (u64) "/proc", (u64) "proc", 0, 0, 0) == 0 &&
              sys6(__NR_mount, (u64) "sys", (u64) "/sys", (u64) "sysfs", 0, 0, 0) == 0,
          "mount proc and sysfs");
}

static void take_arguments(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *number = argv[i] + 5;

        if (begins(argv[i], "cpus="))
            cpus = (u32)number_at(&number);
        else if (begins(argv[i], "xen"))
            under_xen = 1;
    }
    if (!want(cpus >= 1 && cpus <= MAX_CPUS, "so many CPUs", cpus))
        cpus = 1;
}

static void check_all(const u64 *auxiliary)
{
    check_processors();
    if (as_init)
        check_source();
    begin_counts();
    check_locks();
    check_memory();
    check_processes();
    check_pipes();
    check_signals();
    check_timers();
    check_clocks(auxiliary);
    check_counts();
}

/* Runs the checks in a child: the kernel notes each signal of the first process, whether it is handled or not. */
static void check_in_child(const u64 *auxiliary)
{
    i64 child = sys3(__NR_fork, 0, 0, 0);
    int status = -1;

    if (child == 0) {
        check_all(auxiliary);
        sys3(__NR_exit_group, failures != 0, 0, 0);
    }
    sys6(__NR_wait4, (u64)child, (u64)&status, 0, 0, 0, 0);
    check(status == 0, "the checks ran to their end and passed");
}

/* STACK: argc, argv, 0, the environment, 0, the auxiliary vector. */
void start(u64 *stack);
void start(u64 *stack)
{
    int argc = (int)stack[0];
    char **argv = (char **)(stack + 1);
    u64 *auxiliary = stack + argc + 2;

    if (argc > 1 && begins(argv[1], "child"))
        sys3(__NR_exit_group, (u64)child_main(argc, argv), 0, 0);
    while (*auxiliary++)
        ;
    take_arguments(argc, argv);
    as_init = sys3(__NR_getpid, 0, 0, 0) == 1;
    if (as_init) {
        mount_all();
        check_in_child(auxiliary);
        check_log();
    } else {
        check_all(auxiliary);
    }
    print(failures ? "smp: RESULT: FAIL\n" : "smp: RESULT: PASS\n");
    if (as_init)
        power_off();
    sys3(__NR_exit_group, failures != 0, 0, 0);
}
