// SPDX-License-Identifier: MIT
/* The first process of the Linux tests that load every CPU: a frame for checks that run on all CPUs at once, and the checks by
 * what they exercise. */
#ifndef TESTS_GUEST_SMP_SMP_H
#define TESTS_GUEST_SMP_SMP_H

#include "../lib/sys.h"
#include "../lib/thread.h"

enum { MAX_CPUS = 64, STACK_SIZE = 65536, PAGE = 4096 };

/* A thread on one CPU, at the bottom of its own stack. */
struct worker {
    u32 cpu;
    u32 tid; /* until the thread has ended; a futex */
    int (*body)(struct worker *);
    int ok;
    volatile u32 signals; /* that came to this thread, and what the last one was */
    int signal, code, sender;
    u64 address;
    u32 signal_cpu;
    u64 value; /* what a body leaves for the main thread */
};

extern u32 cpus;      /* that the machine has */
extern int as_init;   /* the first process, with the machine to itself */
extern int under_xen; /* as a PV guest: the timers and the interrupts are Xen's */

/* Prints one check. Those that need a second CPU are left out on one. */
void check(int ok, const char *what);
void check_between(int ok, const char *what);

/* Runs BODY on every CPU at once, after all have begun; true when it was on all. */
int each_cpu(int (*body)(struct worker *));

struct worker *worker(u32 cpu);
struct worker *self(void);

/* Returns OK; when it is false, says what went wrong on this CPU. */
int want(int ok, const char *what, u64 value);

/* Binds the calling thread to a CPU and is true when it then runs there. */
int bind(u32 cpu);
u32 current_cpu(void);

/* All workers wait for each other, by spinning, without a system call. False when somebody is missing. */
int spin_barrier(void);
int spin_until(volatile u32 *word, u32 value);

u64 tsc(void);
i64 now(int clock_id); /* ns */

/* Signals that only note themselves in the worker; faults go on behind a faulting instruction of two bytes. */
int catch_noting(int number, u64 flags);
int catch_faults(void);

/* One access by an instruction of two bytes; true when it raised the signal with this code and address. */
int write_faults(volatile u8 *at, u8 value, int signal, int code);
int read_faults(volatile u8 *at, int signal, int code);

void *map(u64 size, u64 rights, u64 flags);
/* Reads a whole file of /proc or /sys into a buffer that ends with a zero; the length, or 0. */
u64 read_file(const char *path, char *buffer, u64 size);
/* Whether LINE begins with WORD; the number at a place, which moves behind it. */
int begins(const char *line, const char *word);
u64 number_at(const char **at);
const char *next_line(const char *at);

/* A child process on this CPU that ends with what BODY returns, and what wait4 reports of a child. */
i64 fork_child(int (*body)(struct worker *));
int wait_status(i64 child, int options);

/* The program's second life after exec: `smp child CPU FD`. */
int child_main(int argc, char **argv);

void check_processors(void);
void check_source(void);
void check_locks(void);
void check_memory(void);
void check_processes(void);
void check_pipes(void);
void check_signals(void);
void check_timers(void);
void check_clocks(const u64 *auxiliary);
void begin_counts(void); /* remembers /proc/interrupts and /proc/stat */
void check_counts(void);
void check_log(void);
#endif
