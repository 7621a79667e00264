// SPDX-License-Identifier: MIT
/* Signals and the timeout, without signal handlers: they are blocked everywhere and awaited by one thread. */
#include "cli/cli.h"

#include <errno.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void *watch_main(void *arg)
{
    struct watch *w = arg;
    double end = now() + w->timeout;
    while (!atomic_load(&w->done)) {
        double left = w->timeout > 0 ? end - now() : 3600;
        if (left <= 0) {
            atomic_store(&w->fired, SIGALRM);
            svmemu_request_stop(w->m);
            break;
        }
        if (left > 3600)
            left = 3600;
        struct timespec t = { .tv_sec = (time_t)left, .tv_nsec = (long)((left - (double)(time_t)left) * 1e9) };
        int sig = sigtimedwait(&w->signals, NULL, &t);
        if (sig > 0 && !atomic_load(&w->done)) {
            atomic_store(&w->fired, sig);
            svmemu_request_stop(w->m);
        }
    }
    return NULL;
}

bool watch_start(struct watch *w, struct svmemu *m, double timeout)
{
    w->m = m;
    w->timeout = timeout;
    atomic_init(&w->fired, 0);
    atomic_init(&w->done, false);
    sigemptyset(&w->signals);
    sigaddset(&w->signals, SIGINT);
    sigaddset(&w->signals, SIGTERM);
    return !pthread_sigmask(SIG_BLOCK, &w->signals, NULL) && !pthread_create(&w->thread, NULL, watch_main, w);
}

void watch_stop(struct watch *w)
{
    atomic_store(&w->done, true);
    pthread_kill(w->thread, SIGTERM); /* blocked there, so it only ends the wait */
    pthread_join(w->thread, NULL);
    pthread_sigmask(SIG_UNBLOCK, &w->signals, NULL);
}
