// SPDX-License-Identifier: MIT
#include "thread.h"
#include <linux/futex.h>
#include <linux/sched.h>
#include <linux/signal.h>

/* clone with the new stack in RSI: there wait the argument and the body. */
i64 thread_clone(u64 flags, void *stack, u32 *parent_tid, u32 *child_tid);
void thread_restore_signal(void);
__asm__(".text\n"
        "thread_clone: mov $56, %eax\n mov %rcx, %r10\n syscall\n test %rax, %rax\n jz 1f\n ret\n"
        "1: xor %ebp, %ebp\n pop %rdi\n pop %rax\n call *%rax\n xor %edi, %edi\n mov $60, %eax\n syscall\n ud2\n"
        "thread_restore_signal: mov $15, %eax\n syscall\n");

int thread_start(void (*body)(void *argument), void *argument, void *top, u32 *tid)
{
    u64 *stack = (u64 *)top - 2;

    stack[0] = (u64)argument;
    stack[1] = (u64)body;
    return thread_clone(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_PARENT_SETTID |
                            CLONE_CHILD_CLEARTID,
                        stack, tid, tid) > 0;
}

void thread_join(u32 *tid)
{
    u32 thread;

    while ((thread = __atomic_load_n(tid, __ATOMIC_SEQ_CST)) != 0)
        sys6(__NR_futex, (u64)tid, FUTEX_WAIT, thread, 0, 0, 0);
}

int catch_signal(int number, void (*handler)(int number, void *info, void *context), u64 flags)
{
    struct sigaction action = {
        .sa_handler = (__sighandler_t)(void *)handler,
        .sa_flags = flags | SA_SIGINFO | SA_RESTORER,
        .sa_restorer = thread_restore_signal,
    };

    return sys6(__NR_rt_sigaction, (u64)number, (u64)&action, 0, sizeof(action.sa_mask), 0, 0) == 0;
}
