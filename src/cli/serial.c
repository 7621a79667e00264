// SPDX-License-Identifier: MIT
/* What --serial connects: the console, files, sockets or nothing, with input from a file or a script. Input from files and scripts is given
 * in callbacks of the port, at points of virtual time, so that such runs are reproducible; that from terminals, pipes and sockets is not. */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static bool failed(const char *what, const char *why)
{
    fprintf(stderr, "svmemu: --serial %s: %s\n", what, why);
    return false;
}

/* ---- output ---- */
/* A peer that does not read for a second loses what it does not take, rather than stop the run. */
static void to_socket(struct serial *s, uint8_t byte)
{
    struct pollfd p = { .fd = s->fd, .events = POLLOUT };
    if (s->dead || send(s->fd, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1)
        return;
    if ((errno == EAGAIN || errno == EWOULDBLOCK) && poll(&p, 1, 1000) > 0 && send(s->fd, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1)
        return;
    s->dead = true;
    fprintf(stderr, "svmemu: COM%u: the socket takes no more output\n", s->port + 1);
}

static void on_output(void *ctx, uint8_t byte)
{
    struct serial *s = ctx;
    if (s->stream) {
        putc(byte, s->stream);
        if (byte == '\n')
            fflush(s->stream);
    } else if (s->fd >= 0) {
        to_socket(s, byte);
    }
    if (s->script)
        script_output(s->script, byte);
}

/* ---- input ---- */
static void on_hungry(void *ctx)
{
    struct serial *s = ctx;
    char buf[1024];
    if (s->script)
        script_more(s->script);
    if (!s->input)
        return;
    size_t n = fread(buf, 1, sizeof(buf), s->input); /* fits: the queue is empty */
    svmemu_serial_send(s->m, s->port, buf, n, NULL);
}

void serial_poll(struct serial *s)
{
    char buf[1024];
    if (s->fd < 0 || s->dead)
        return;
    ssize_t n = recv(s->fd, buf, sizeof(buf), MSG_DONTWAIT);
    if (n > 0)
        svmemu_serial_send(s->m, s->port, buf, (size_t)n, NULL);
}

/* ---- targets ---- */
static bool open_unix(struct serial *s, const char *path)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof(a.sun_path))
        return failed(path, "the path is too long for a socket");
    strcpy(a.sun_path, path);
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return (s->fd >= 0 && !connect(s->fd, (struct sockaddr *)&a, sizeof(a))) || failed(path, strerror(errno));
}

static bool open_tcp(struct serial *s, char *target)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    struct addrinfo *list = NULL;
    char *colon = strrchr(target, ':');
    if (!colon || colon == target || !colon[1])
        return failed(target, "HOST:PORT is wanted");
    *colon = 0;
    int r = getaddrinfo(target, colon + 1, &hints, &list);
    *colon = ':';
    if (r)
        return failed(target, gai_strerror(r));
    for (struct addrinfo *a = list; a && s->fd < 0; a = a->ai_next) {
        s->fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (s->fd >= 0 && connect(s->fd, a->ai_addr, a->ai_addrlen)) {
            close(s->fd);
            s->fd = -1;
        }
    }
    freeaddrinfo(list);
    return s->fd >= 0 || failed(target, strerror(errno));
}

/* Standard input that is a regular file is as reproducible as input=FILE. */
static void standard_input(struct serial *s)
{
    struct stat st;
    if (!s->input && !s->script && !fstat(0, &st) && S_ISREG(st.st_mode))
        s->input = stdin;
    s->console = !s->input && !s->script;
}

static bool open_target(struct serial *s, char *target)
{
    if (!strcmp(target, "stdio") || !strcmp(target, "raw")) {
        s->stream = stdout;
        s->raw = target[0] == 'r';
        standard_input(s);
        return true;
    }
    if (!strncmp(target, "file:", 5)) {
        s->stream = fopen(target + 5, "wb");
        return s->stream || failed(target, strerror(errno));
    }
    if (!strncmp(target, "unix:", 5))
        return open_unix(s, target + 5);
    if (!strncmp(target, "tcp:", 4))
        return open_tcp(s, target + 4);
    return !strcmp(target, "null") || failed(target, "only stdio, raw, null, none, file:, unix: and tcp: are known");
}

/* ",input=FILE" or ",script=FILE" at the end. */
static bool open_source(struct serial *s, char *text)
{
    char *input = strstr(text, ",input="), *script = strstr(text, ",script=");
    if (input) {
        *input = 0;
        s->input = fopen(input + 7, "rb");
        return s->input || failed(input + 7, strerror(errno));
    }
    if (script) {
        *script = 0;
        s->script = script_open(s, script + 8);
        return s->script;
    }
    return true;
}

bool serial_open(struct serial *s, struct svmemu *m, unsigned port, const char *target)
{
    char *text = strdup(target);
    *s = (struct serial){ .m = m, .port = port, .fd = -1 };
    bool ok = text && open_source(s, text) && open_target(s, text);
    free(text);
    if (!ok)
        return false;
    const struct svmemu_serial end = { .ctx = s, .output = on_output, .hungry = on_hungry };
    if (svmemu_serial_connect(m, port, &end) != SVMEMU_OK)
        return failed(target, svmemu_last_error(m));
    on_hungry(s); /* the first bytes; the rest follows as they are taken */
    return !s->input || !ferror(s->input) || failed(target, "its input cannot be read");
}

/* Of standard output main.c says it. */
static bool close_output(struct serial *s)
{
    if (!s->stream || s->stream == stdout)
        return true;
    bool lost = ferror(s->stream);
    if (!fclose(s->stream) && !lost)
        return true;
    fprintf(stderr, "svmemu: COM%u: not all of the output could be written to its file\n", s->port + 1);
    return false;
}

bool serial_close(struct serial *s)
{
    bool complete = close_output(s);
    if (s->input && s->input != stdin)
        fclose(s->input);
    if (s->fd >= 0)
        close(s->fd);
    script_close(s->script);
    s->fd = -1;
    s->stream = s->input = NULL;
    s->script = NULL;
    return complete;
}
