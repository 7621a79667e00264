// SPDX-License-Identifier: MIT
/* Processes: fork, exec, wait4, memory they share, and ends by a signal. */
#include "smp.h"
#include <linux/mman.h>
#include <linux/signal.h>
#include <linux/wait.h>

enum { STATUS = 40, SHARES = 1000, STOPPED_BY_SIGSTOP = SIGSTOP << 8 | 0x7f, CONTINUED = 0xffff };

struct message {
    u32 cpu, pid, fresh;
};

static volatile u32 private_word = 1;
static u32 *shared_word;
static u32 ended; /* children of which SIGCHLD told */
static int message_pipe[MAX_CPUS][2];

i64 fork_child(int (*body)(struct worker *))
{
    i64 child = sys3(__NR_fork, 0, 0, 0);

    if (child == 0)
        sys3(__NR_exit_group, (u64)body(self()), 0, 0);
    want(child > 0, "fork", (u64)-child);
    return child;
}

int wait_status(i64 child, int options)
{
    int status = -1;
    i64 result = sys6(__NR_wait4, (u64)child, (u64)&status, (u64)options, 0, 0, 0);

    return want(result == child, "wait4", (u64)-result) ? status : -1;
}

static int expect_status(i64 child, int options, int expected)
{
    int status = wait_status(child, options);

    return want(status == expected, "a child's status", (u64)status);
}

static int child_of_fork(struct worker *w)
{
    private_word = 2; /* a page of its own by copy on write */
    for (u32 i = 0; i < SHARES; i++)
        __atomic_add_fetch(shared_word, 1, __ATOMIC_SEQ_CST);
    return current_cpu() == w->cpu && private_word == 2 ? STATUS + (int)w->cpu : 0;
}

static int fork_and_wait(struct worker *w)
{
    return expect_status(fork_child(child_of_fork), 0, (STATUS + (int)w->cpu) << 8) &&
        want(private_word == 1, "the child's word", private_word);
}

static int child_of_exec(struct worker *w)
{
    struct line cpu = { .len = 0 }, fd = { .len = 0 };
    char *argv[] = { "smp", "child", cpu.text, fd.text, 0 }, *envp[] = { 0 };

    put_number(&cpu, w->cpu, 10);
    put_number(&fd, (u64)message_pipe[w->cpu][1], 10);
    cpu.text[cpu.len] = fd.text[fd.len] = 0;
    private_word = 2;
    return (int)sys3(__NR_execve, (u64) "/proc/self/exe", (u64)argv, (u64)envp);
}

int child_main(int argc, char **argv)
{
    const char *cpu = argc == 4 ? argv[2] : "", *fd = argc == 4 ? argv[3] : "";
    struct message m = { .cpu = current_cpu(), .pid = (u32)sys3(__NR_getpid, 0, 0, 0), .fresh = private_word };

    sys3(__NR_write, number_at(&fd), (u64)&m, sizeof(m));
    return STATUS + (int)number_at(&cpu);
}

static int exec_and_wait(struct worker *w)
{
    struct message m = { 0 };
    int *pipe = message_pipe[w->cpu];

    if (!want(sys3(__NR_pipe, (u64)pipe, 0, 0) == 0, "pipe", 0))
        return 0;
    i64 child = fork_child(child_of_exec);
    int ok = expect_status(child, 0, (STATUS + (int)w->cpu) << 8) &&
        want(sys3(__NR_read, (u64)pipe[0], (u64)&m, sizeof(m)) == sizeof(m), "the new program's message", 0) &&
        want(m.cpu == w->cpu, "it ran on CPU", m.cpu) && want(m.pid == child, "its process", m.pid) &&
        want(m.fresh == 1, "its data", m.fresh);
    sys3(__NR_close, (u64)pipe[0], 0, 0);
    sys3(__NR_close, (u64)pipe[1], 0, 0);
    return ok;
}

/* Runs in user mode on the next CPU: only an interrupt there can bring a signal. */
static int child_that_spins(struct worker *w)
{
    bind((w->cpu + 1) % cpus);
    __atomic_store_n(shared_word + w->cpu, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(shared_word + w->cpu, __ATOMIC_SEQ_CST))
        __builtin_ia32_pause();
    return 0;
}

static int stop_and_kill(struct worker *w)
{
    i64 child = fork_child(child_that_spins);

    while (child > 0 && !__atomic_load_n(shared_word + w->cpu, __ATOMIC_SEQ_CST))
        sys3(__NR_sched_yield, 0, 0, 0);
    return sys3(__NR_kill, (u64)child, SIGSTOP, 0) == 0 && expect_status(child, WUNTRACED, STOPPED_BY_SIGSTOP) &&
        sys3(__NR_kill, (u64)child, SIGCONT, 0) == 0 && expect_status(child, WCONTINUED, CONTINUED) &&
        sys3(__NR_kill, (u64)child, SIGTERM, 0) == 0 && expect_status(child, 0, SIGTERM);
}

static void note_child(int number, void *info, void *context)
{
    (void)info, (void)context;
    if (number == SIGCHLD)
        __atomic_add_fetch(&ended, 1, __ATOMIC_SEQ_CST);
}

void check_processes(void)
{
    shared_word = map(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
    catch_signal(SIGCHLD, note_child, SA_RESTART);
    check(shared_word && each_cpu(fork_and_wait), "fork, copy on write and wait4 on each CPU");
    check(want(*shared_word == cpus * SHARES, "additions", *shared_word), "the children shared a page");
    check(want(ended >= 1, "SIGCHLD", ended), "SIGCHLD tells of them");
    check(each_cpu(exec_and_wait), "exec on each CPU");
    *shared_word = 0;
    check(each_cpu(stop_and_kill), "a spinning process is stopped, continued and killed");
}
