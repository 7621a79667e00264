// SPDX-License-Identifier: MIT
/* Pipes from each CPU to the next. */
#include "smp.h"
#include <linux/fcntl.h>
#include <linux/poll.h>
#include <linux/signal.h>

enum { STREAM = 128 << 10, CHUNK = 3000, TURNS = 50, EAGAIN_ = 11, EPIPE_ = 32 };

static int pipes[MAX_CPUS][2]; /* from the CPU to the next one */

static int source(const struct worker *w)
{
    return pipes[(w->cpu + cpus - 1) % cpus][0];
}

static int open_pipes(int flags)
{
    for (u32 i = 0; i < cpus; i++)
        if (!want(sys3(__NR_pipe2, (u64)pipes[i], (u64)flags, 0) == 0, "pipe2", i))
            return 0;
    return 1;
}

static void close_pipes(void)
{
    for (u32 i = 0; i < cpus * 2; i++)
        sys3(__NR_close, (u64)pipes[i / 2][i % 2], 0, 0);
}

static u8 stream_byte(u32 cpu, u64 at)
{
    return (u8)(at * 7 + (at >> 8) + cpu);
}

/* Writes what the pipe takes and returns what has been written by then; a full pipe is no error. */
static u64 send(struct worker *w, u64 at)
{
    u8 chunk[CHUNK];
    u64 size = STREAM - at < CHUNK ? STREAM - at : CHUNK;

    for (u64 i = 0; i < size; i++)
        chunk[i] = stream_byte(w->cpu, at + i);
    i64 n = sys3(__NR_write, (u64)pipes[w->cpu][1], (u64)chunk, size);
    want(n > 0 || n == -EAGAIN_, "write to the pipe", (u64)-n);
    return at + (n > 0 ? (u64)n : 0);
}

static u64 receive(struct worker *w, u64 at, int *ok)
{
    u8 chunk[CHUNK];
    i64 n = sys3(__NR_read, (u64)source(w), (u64)chunk, CHUNK);

    *ok &= want(n > 0 || n == -EAGAIN_, "read from the pipe", (u64)-n);
    for (i64 i = 0; i < n; i++)
        *ok &= chunk[i] == stream_byte((w->cpu + cpus - 1) % cpus, at + (u64)i);
    return at + (n > 0 ? (u64)n : 0);
}

static int stream(struct worker *w)
{
    u64 sent = 0, received = 0;
    int ok = 1;

    while (ok && received < STREAM) {
        struct pollfd poll[2] = { { .fd = source(w), .events = POLLIN },
                                  { .fd = sent < STREAM ? pipes[w->cpu][1] : -1, .events = POLLOUT } };
        i64 n = sys6(__NR_ppoll, (u64)poll, 2, 0, 0, 0, 0);

        ok &= want(n > 0, "ppoll", (u64)-n);
        if (poll[1].revents & POLLOUT)
            sent = send(w, sent);
        if (poll[0].revents & POLLIN)
            received = receive(w, received, &ok);
        ok = want(ok, "the stream differs before", received);
    }
    while (ok && sent < STREAM)
        sent = send(w, sent);
    return ok;
}

static int pass_by_pipes(struct worker *w)
{
    u32 token = 0;

    for (u32 i = 0; i < TURNS; i++) {
        if (i + w->cpu > 0 && !want(sys3(__NR_read, (u64)source(w), (u64)&token, 4) == 4, "read", i))
            return 0;
        if (!want(token == i * cpus + w->cpu, "token", token))
            return 0;
        token++;
        if (!want(sys3(__NR_write, (u64)pipes[w->cpu][1], (u64)&token, 4) == 4, "write", i))
            return 0;
    }
    return 1;
}

static int break_pipe(struct worker *w)
{
    int *pipe = pipes[w->cpu];

    sys3(__NR_close, (u64)pipe[0], 0, 0);
    i64 result = sys3(__NR_write, (u64)pipe[1], (u64) "x", 1);
    return want(result == -EPIPE_, "write", (u64)-result) && want(w->signals == 1 && w->signal == SIGPIPE, "signals", w->signals);
}

static int with_pipes(int flags, int (*body)(struct worker *))
{
    int ok = open_pipes(flags) && each_cpu(body);

    close_pipes();
    return ok;
}

void check_pipes(void)
{
    check(with_pipes(O_NONBLOCK, stream), "a stream from each CPU to the next through pipes and poll");
    check(with_pipes(0, pass_by_pipes), "a token goes round by pipes");
    check(catch_noting(SIGPIPE, 0) && with_pipes(0, break_pipe), "a pipe without a reader");
}
