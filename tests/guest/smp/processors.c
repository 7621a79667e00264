// SPDX-License-Identifier: MIT
/* Which CPUs there are, and that they share memory as the architecture says. */
#include "smp.h"
#include <linux/futex.h>

enum { ADDITIONS = 2000, ROUNDS = 20, TURNS = 100, SECTIONS = 100 };

static u32 locked, exchanged, guarded, mutex, token;
static volatile u32 turn;

static u32 apic_id(void)
{
    u32 eax = 1, ebx, ecx = 0, edx;

    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return ebx >> 24;
}

static int identify(struct worker *w)
{
    w->value = apic_id();
    return want(current_cpu() == w->cpu, "moved to another CPU", w->cpu);
}

static int distinct_ids(void)
{
    for (u32 i = 0; i < cpus; i++)
        for (u32 j = 0; j < i; j++)
            if (!want(worker(i)->value != worker(j)->value, "two CPUs have APIC ID", worker(i)->value))
                return 0;
    return 1;
}

static u32 affinity(void)
{
    u64 mask[16] = { 0 };
    u32 n = 0;

    sys3(__NR_sched_getaffinity, 0, sizeof(mask), (u64)mask);
    for (u32 i = 0; i < 1024; i++)
        n += mask[i / 64] >> i % 64 & 1;
    return n;
}

void check_processors(void)
{
    check(want(affinity() == cpus, "CPUs online", affinity()), "all CPUs are online");
    check(each_cpu(identify), "a thread on each CPU");
    if (!under_xen) /* a vCPU of Xen's has no CPU of its own */
        check_between(distinct_ids(), "CPUID reports different APIC IDs");
}

static int add(struct worker *w)
{
    (void)w;
    for (u32 i = 0; i < ADDITIONS; i++) {
        u32 old = __atomic_load_n(&exchanged, __ATOMIC_RELAXED);

        __atomic_add_fetch(&locked, 1, __ATOMIC_SEQ_CST);
        while (!__atomic_compare_exchange_n(&exchanged, &old, old + 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            ;
    }
    return 1;
}

/* Each waits for its predecessor's store. */
static int pass_by_stores(struct worker *w)
{
    for (u32 i = 0; i < ROUNDS; i++) {
        if (!spin_until(&turn, i * cpus + w->cpu))
            return 0;
        turn++;
    }
    return 1;
}

static int futex(u32 *word, int op, u32 value, const void *timeout)
{
    return (int)sys6(__NR_futex, (u64)word, (u64)op, value, (u64)timeout, 0, 0);
}

static int pass_by_futex(struct worker *w)
{
    for (u32 i = 0; i < TURNS; i++) {
        u32 seen, mine = i * cpus + w->cpu;

        while ((seen = __atomic_load_n(&token, __ATOMIC_SEQ_CST)) != mine)
            futex(&token, FUTEX_WAIT_PRIVATE, seen, 0);
        __atomic_store_n(&token, mine + 1, __ATOMIC_SEQ_CST);
        futex(&token, FUTEX_WAKE_PRIVATE, MAX_CPUS, 0);
    }
    return 1;
}

/* 0 free, 1 held, 2 held and somebody may be asleep. */
static void lock(void)
{
    u32 seen = 0;

    if (__atomic_compare_exchange_n(&mutex, &seen, 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        return;
    while (__atomic_exchange_n(&mutex, 2, __ATOMIC_SEQ_CST) != 0)
        futex(&mutex, FUTEX_WAIT_PRIVATE, 2, 0);
}

static void unlock(void)
{
    if (__atomic_exchange_n(&mutex, 0, __ATOMIC_SEQ_CST) == 2)
        futex(&mutex, FUTEX_WAKE_PRIVATE, 1, 0);
}

/* A section that only the lock makes whole. */
static void step_guarded(u32 i)
{
    u32 seen = *(volatile u32 *)&guarded;

    if (i % 8 == 0)
        sys3(__NR_sched_yield, 0, 0, 0);
    *(volatile u32 *)&guarded = seen + 1;
}

static int step_under_mutex(struct worker *w)
{
    (void)w;
    for (u32 i = 0; i < SECTIONS; i++) {
        lock();
        step_guarded(i);
        unlock();
    }
    return 1;
}

/* The kernel's own locks, which lend the waiters' priority. The word holds the owner's thread number. */
static int step_under_pi(struct worker *w)
{
    for (u32 i = 0; i < SECTIONS; i++) {
        u32 owner = 0, me = (u32)sys3(__NR_gettid, 0, 0, 0);

        if (!__atomic_compare_exchange_n(&mutex, &owner, me, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) &&
            !want(futex(&mutex, FUTEX_LOCK_PI_PRIVATE, 0, 0) == 0, "FUTEX_LOCK_PI", w->cpu))
            return 0;
        step_guarded(i);
        owner = me;
        if (!__atomic_compare_exchange_n(&mutex, &owner, 0, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) &&
            !want(futex(&mutex, FUTEX_UNLOCK_PI_PRIVATE, 0, 0) == 0, "FUTEX_UNLOCK_PI", w->cpu))
            return 0;
    }
    return 1;
}

static int guard(int (*body)(struct worker *))
{
    guarded = mutex = 0;
    return each_cpu(body) && want(guarded == cpus * SECTIONS, "sections", guarded) && want(mutex == 0, "lock", mutex);
}

static int time_out(struct worker *w)
{
    static u32 word = 7;
    i64 limit[2] = { 0, 3000000 }, begin = now(1);
    int result = futex(&word, FUTEX_WAIT_PRIVATE, 7, limit);
    i64 ns = now(1) - begin;

    (void)w;
    return want(result == -110 /* ETIMEDOUT */, "FUTEX_WAIT", (u64)-result) && want(ns >= 3000000, "it waited for ns", (u64)ns) &&
        want(futex(&word, FUTEX_WAIT_PRIVATE, 8, 0) == -11 /* EAGAIN */, "FUTEX_WAIT for another value", 0);
}

void check_locks(void)
{
    check(each_cpu(add) && want(locked == cpus * ADDITIONS, "sum", locked) &&
              want(exchanged == cpus * ADDITIONS, "sum", exchanged),
          "locked additions and exchanges lose nothing");
    check_between(each_cpu(pass_by_stores) && want(turn == cpus * ROUNDS, "turns", turn), "a token goes round by stores alone");
    check_between(each_cpu(pass_by_futex) && want(token == cpus * TURNS, "turns", token), "a token goes round by futexes");
    check(guard(step_under_mutex), "a mutex by futexes");
    check(guard(step_under_pi), "a mutex that lends priority");
    check(each_cpu(time_out), "a futex wait on each CPU ends in time");
}
