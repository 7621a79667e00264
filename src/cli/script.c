// SPDX-License-Identifier: MIT
/* Scripts for serial ports: lines "expect TEXT", "send TEXT" and "break", run in order; '#' begins a comment line. TEXT goes to the end of the
 * line, with \n, \r, \t, \e, \\ and \xHH. What follows an expectation happens with the very byte of output that meets it. */
#include "cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TAIL = 256, LINE = 4096 };
enum kind { EXPECT, SEND, BREAK };

struct step {
    enum kind kind;
    unsigned line;
    size_t len, sent;
    char *text;
};

struct script {
    struct serial *serial;
    struct step *step;
    size_t steps, at;
    char tail[TAIL]; /* the last bytes of output since the last expectation was met */
    size_t tail_len;
    bool busy;
};

static int hex(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *p = c ? strchr(digits, c | 0x20) : NULL;
    return p ? (int)(p - digits) : -1;
}

/* In place; -1: an escape that is not known. */
static long unescape(char *s)
{
    static const char from[] = "nrte\\", to[] = "\n\r\t\x1B\\";
    char *out = s, *begin = s;
    for (; *s; s++) {
        if (*s != '\\') {
            *out++ = *s;
            continue;
        }
        const char *p = *++s ? strchr(from, *s) : NULL;
        if (p) {
            *out++ = to[p - from];
        } else if (*s == 'x' && hex(s[1]) >= 0 && hex(s[2]) >= 0) {
            *out++ = (char)(hex(s[1]) << 4 | hex(s[2]));
            s += 2;
        } else {
            return -1;
        }
    }
    return out - begin;
}

static bool add_step(struct script *s, char *text, unsigned line)
{
    static const char *const word[] = { [EXPECT] = "expect ", [SEND] = "send ", [BREAK] = "break" };
    struct step step = { .line = line };
    text[strcspn(text, "\r\n")] = 0;
    if (!*text || *text == '#')
        return true;
    while (step.kind <= BREAK && strncmp(text, word[step.kind], strlen(word[step.kind])) != 0)
        step.kind++;
    if (step.kind > BREAK)
        return false;
    text += strlen(word[step.kind]);
    long n = unescape(text);
    if (n < 0 || (step.kind == BREAK ? n != 0 : n == 0) || (step.kind == EXPECT && n > TAIL))
        return false;
    struct step *p = realloc(s->step, (s->steps + 1) * sizeof(*p));
    if (!p)
        return false;
    s->step = p;
    step.len = (size_t)n;
    step.text = malloc(step.len + 1);
    if (!step.text)
        return false;
    memcpy(step.text, text, step.len);
    s->step[s->steps++] = step;
    return true;
}

struct script *script_open(struct serial *serial, const char *path)
{
    char text[LINE];
    FILE *f = fopen(path, "r");
    struct script *s = f ? calloc(1, sizeof(*s)) : NULL;
    if (!s) {
        fprintf(stderr, "svmemu: %s: %s\n", path, strerror(errno));
        if (f)
            fclose(f);
        return NULL;
    }
    s->serial = serial;
    for (unsigned line = 1; s && fgets(text, sizeof(text), f); line++) {
        if (strchr(text, '\n') || feof(f))
            if (add_step(s, text, line))
                continue;
        fprintf(stderr, "svmemu: %s:%u: \"expect TEXT\", \"send TEXT\" or \"break\" is wanted, TEXT with known escapes\n", path, line);
        script_close(s);
        s = NULL;
    }
    fclose(f);
    return s;
}

/* Does what can be done without more output or room. */
void script_more(struct script *s)
{
    if (s->busy) /* sending may ask for more at once */
        return;
    s->busy = true;
    while (s->at < s->steps && s->step[s->at].kind != EXPECT) {
        struct step *p = &s->step[s->at];
        size_t taken = 0;
        if (p->kind == SEND)
            svmemu_serial_send(s->serial->m, s->serial->port, p->text + p->sent, p->len - p->sent, &taken);
        p->sent += taken;
        if (p->kind == SEND ? p->sent < p->len : svmemu_serial_send_break(s->serial->m, s->serial->port) != SVMEMU_OK)
            break;
        s->at++;
    }
    s->busy = false;
}

void script_output(struct script *s, uint8_t byte)
{
    if (s->at >= s->steps || s->step[s->at].kind != EXPECT)
        return;
    const struct step *p = &s->step[s->at];
    if (s->tail_len == TAIL)
        memmove(s->tail, s->tail + 1, --s->tail_len);
    s->tail[s->tail_len++] = (char)byte;
    if (s->tail_len < p->len || memcmp(s->tail + s->tail_len - p->len, p->text, p->len) != 0)
        return;
    s->tail_len = 0;
    s->at++;
    script_more(s);
}

unsigned script_left(const struct script *s)
{
    return s->at < s->steps ? s->step[s->at].line : 0;
}

void script_close(struct script *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->steps; i++)
        free(s->step[i].text);
    free(s->step);
    free(s);
}
