// SPDX-License-Identifier: MIT
/* Timers of each kind on all CPUs at once, busy and idle. Times are of the guest's own clock. */
#include "smp.h"
#include <linux/signal.h>
#include <linux/time.h>
#include <linux/timerfd.h>

enum { MS = 1000000, PERIOD = 2 * MS, EXPIRIES = 5, EINTR_ = 4 };

/* Nothing is late on a machine that does nothing else. */
static int elapsed(i64 begin, i64 least, i64 most)
{
    i64 ns = now(CLOCK_MONOTONIC) - begin;

    return want(ns >= least && (ns < most || !as_init), "it took ns", (u64)ns);
}

static int sleep_some(struct worker *w)
{
    i64 pause[2] = { 0, 5 * MS }, begin = now(CLOCK_MONOTONIC);

    (void)w;
    return want(sys3(__NR_nanosleep, (u64)pause, 0, 0) == 0, "nanosleep", 0) && elapsed(begin, 5 * MS, 6 * MS);
}

static int wait_in_poll(struct worker *w)
{
    i64 limit[2] = { 0, 3 * MS }, begin = now(CLOCK_MONOTONIC);

    (void)w;
    return want(sys6(__NR_ppoll, 0, 0, (u64)limit, 0, 8, 0) == 0, "ppoll", 0) && elapsed(begin, 3 * MS, 4 * MS);
}

static int start_timer(struct worker *w, int *timer)
{
    struct sigevent event = { .sigev_signo = SIGUSR2, .sigev_notify = SIGEV_THREAD_ID };
    struct itimerspec period = { { 0, PERIOD }, { 0, PERIOD } };

    event._sigev_un._tid = (int)w->tid;
    return want(sys3(__NR_timer_create, CLOCK_MONOTONIC, (u64)&event, (u64)timer) == 0, "timer_create", 0) &&
        want(sys6(__NR_timer_settime, (u64)*timer, 0, (u64)&period, 0, 0, 0) == 0, "timer_settime", 0);
}

/* The timer interrupts a busy CPU. */
static int timer_while_busy(struct worker *w)
{
    i64 begin = now(CLOCK_MONOTONIC);
    int timer, ok = start_timer(w, &timer);

    while (ok && w->signals < EXPIRIES && now(CLOCK_MONOTONIC) - begin < 1000 * MS)
        __builtin_ia32_pause();
    ok = ok && elapsed(begin, EXPIRIES * PERIOD, EXPIRIES * PERIOD + MS) && want(w->code == SI_TIMER, "code", (u64)w->code) &&
        want(w->signal_cpu == w->cpu, "on CPU", w->signal_cpu);
    sys3(__NR_timer_delete, (u64)timer, 0, 0);
    return ok;
}

/* The timer wakes an idle one. */
static int timer_while_idle(struct worker *w)
{
    u64 usr2 = 1ul << (SIGUSR2 - 1);
    i64 limit[2] = { 1, 0 }, begin = now(CLOCK_MONOTONIC);
    int timer, ok;

    sys6(__NR_rt_sigprocmask, SIG_BLOCK, (u64)&usr2, 0, 8, 0, 0);
    ok = start_timer(w, &timer);
    for (u32 i = 0; ok && i < EXPIRIES; i++)
        ok = want(sys6(__NR_rt_sigtimedwait, (u64)&usr2, 0, (u64)limit, 8, 0, 0) == SIGUSR2, "rt_sigtimedwait", i);
    ok = ok && elapsed(begin, EXPIRIES * PERIOD, EXPIRIES * PERIOD + MS);
    sys3(__NR_timer_delete, (u64)timer, 0, 0);
    return ok;
}

static int read_timerfd(struct worker *w)
{
    struct itimerspec period = { { 0, PERIOD }, { 0, PERIOD } };
    i64 fd = sys3(__NR_timerfd_create, CLOCK_MONOTONIC, 0, 0), begin = now(CLOCK_MONOTONIC);
    u64 expired = 0, n = 0;
    int ok = want(sys6(__NR_timerfd_settime, (u64)fd, 0, (u64)&period, 0, 0, 0) == 0, "timerfd_settime", w->cpu);

    for (; ok && expired < EXPIRIES; expired += n)
        ok = want(sys3(__NR_read, (u64)fd, (u64)&n, 8) == 8, "read", expired);
    ok = ok && elapsed(begin, (i64)expired * PERIOD, (i64)expired * PERIOD + MS);
    sys3(__NR_close, (u64)fd, 0, 0);
    return ok;
}

static int set_process_timer(int which, i64 us, i64 again_us)
{
    struct itimerval value = { { 0, again_us }, { 0, us } };

    return want(sys3(__NR_setitimer, (u64)which, (u64)&value, 0) == 0, "setitimer", (u64)which);
}

/* The timers of a process, each in a child of its own: real time; */
static int count_real_time(struct worker *w)
{
    i64 begin = now(CLOCK_MONOTONIC);
    int ok = set_process_timer(ITIMER_REAL, 3000, 3000);

    while (ok && w->signals < 5) /* a signal that comes before the call is made up for by the next */
        ok = want(sys3(__NR_pause, 0, 0, 0) == -EINTR_, "pause", 0);
    return ok && want(w->signal == SIGALRM, "signal", (u64)w->signal) && elapsed(begin, 15 * MS, 19 * MS);
}

/* its own time in user mode, then in the kernel too; Linux counts it in ticks of 4 ms; */
static int count_own_time(struct worker *w)
{
    if (!set_process_timer(ITIMER_VIRTUAL, 8000, 0) || !spin_until(&w->signals, 1) ||
        !want(w->signal == SIGVTALRM, "signal", (u64)w->signal) || !set_process_timer(ITIMER_PROF, 8000, 0))
        return 0;
    while (w->signals < 2)
        sys3(__NR_getppid, 0, 0, 0);
    return want(w->signal == SIGPROF, "signal", (u64)w->signal) &&
        want(now(CLOCK_PROCESS_CPUTIME_ID) >= 10 * MS, "its own time is ns", (u64)now(CLOCK_PROCESS_CPUTIME_ID));
}

/* and the alarm. */
static int wait_for_alarm(struct worker *w)
{
    i64 begin = now(CLOCK_MONOTONIC);

    sys3(__NR_alarm, 1, 0, 0);
    sys3(__NR_pause, 0, 0, 0);
    return want(w->signal == SIGALRM && w->signals == 1, "signals", w->signals) && elapsed(begin, 1000 * MS, 1001 * MS);
}

static int run_in_child(struct worker *w, int (*body)(struct worker *))
{
    w->signals = 0;
    return want(wait_status(fork_child(body), 0) == 1 << 8, "the child", 0);
}

static int timers_of_a_process(struct worker *w)
{
    return run_in_child(w, count_real_time) && run_in_child(w, count_own_time) && run_in_child(w, wait_for_alarm);
}

void check_timers(void)
{
    check(each_cpu(sleep_some), "nanosleep on each CPU");
    check(each_cpu(wait_in_poll), "poll ends in time");
    check(each_cpu(timer_while_busy), "a timer interrupts each CPU at work");
    check(each_cpu(timer_while_idle), "a timer wakes each CPU");
    check(each_cpu(read_timerfd), "a timer read from a file");
    check(catch_noting(SIGALRM, 0) && catch_noting(SIGVTALRM, 0) && catch_noting(SIGPROF, 0) && each_cpu(timers_of_a_process),
          "a process's timers on each CPU");
}
