// SPDX-License-Identifier: MIT
/* Threads and signal handlers for the first processes of the Linux tests, by bare system calls. */
#ifndef TESTS_GUEST_LIB_THREAD_H
#define TESTS_GUEST_LIB_THREAD_H

#include "sys.h"

/* Starts BODY(ARGUMENT) on a thread whose stack ends at TOP, a multiple of 16; the thread ends when BODY returns. *TID holds its
 * number until then. False when the kernel refuses. */
int thread_start(void (*body)(void *argument), void *argument, void *top, u32 *tid);

/* Waits until the thread whose number *TID holds has ended. */
void thread_join(u32 *tid);

/* The handler of a signal: its number, siginfo and ucontext. FLAGS are SA_*; false when the kernel refuses. */
int catch_signal(int number, void (*handler)(int number, void *info, void *context), u64 flags);
#endif
