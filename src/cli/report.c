// SPDX-License-Identifier: MIT
/* What is printed at the end: statistics as text or JSON, the screen; names of addresses. */
#include "cli/cli.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

struct row {
    const char *name;
    uint64_t value;
};

static size_t rows_of(const struct svmemu_stats *s, struct row *out)
{
    const struct row rows[] = {
        { "instructions", s->insns }, { "cycles", s->cycles }, { "vmruns", s->vmruns }, { "vmexits", s->vmexits },
        { "interrupts", s->interrupts }, { "tlb_hits", s->tlb_hits }, { "tlb_misses", s->tlb_misses }, { "tlb_flushes", s->tlb_flushes },
        { "fast_fills", s->fast_fills }, { "blocks", s->blocks }, { "block_drops", s->block_drops }, { "block_entries", s->block_entries },
        { "single_steps", s->single_steps },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        out[i] = rows[i];
    return sizeof(rows) / sizeof(rows[0]);
}

static void stats_json(struct svmemu *m, const struct svmemu_stats *s, double seconds, FILE *f)
{
    struct row rows[32];
    size_t n = rows_of(s, rows);
    uint64_t code, count;
    const char *name;
    char key[32];
    json_t *root = json_object(), *exits = json_object(), *exc = json_object();
    for (size_t i = 0; i < n; i++)
        json_object_set_new(root, rows[i].name, json_integer((json_int_t)rows[i].value));
    json_object_set_new(root, "seconds", json_real(seconds));
    json_object_set_new(root, "mips", json_real(seconds > 0 ? (double)s->insns / seconds / 1e6 : 0));
    for (unsigned i = 0; svmemu_exit_stat(m, i, &code, &name, &count); i++) {
        if (!count)
            continue;
        snprintf(key, sizeof(key), "%03" PRIX64 "h", code);
        json_object_set_new(exits, name ? name : key, json_integer((json_int_t)count));
    }
    for (unsigned v = 0; v < 32; v++) {
        if (!s->exceptions[v])
            continue;
        snprintf(key, sizeof(key), "%u", v);
        json_object_set_new(exc, key, json_integer((json_int_t)s->exceptions[v]));
    }
    json_object_set_new(root, "exits", exits);
    json_object_set_new(root, "exceptions", exc);
    char *text = json_dumps(root, JSON_INDENT(2));
    if (text)
        fprintf(f, "%s\n", text);
    free(text);
    json_decref(root);
}

void report_stats(struct svmemu *m, double seconds, enum stats_mode mode, FILE *f)
{
    struct svmemu_stats s;
    struct row rows[32];
    uint64_t code, count;
    const char *name;
    svmemu_stats(m, &s);
    if (mode == STATS_JSON) {
        stats_json(m, &s, seconds, f);
        return;
    }
    size_t n = rows_of(&s, rows);
    for (size_t i = 0; i < n; i++)
        fprintf(f, "%-16s %15" PRIu64 "\n", rows[i].name, rows[i].value);
    fprintf(f, "%-16s %15.3f\n%-16s %15.1f\n", "seconds", seconds, "MIPS", seconds > 0 ? (double)s.insns / seconds / 1e6 : 0);
    for (unsigned v = 0; v < 32; v++)
        if (s.exceptions[v])
            fprintf(f, "exception %-6u %15" PRIu64 "\n", v, s.exceptions[v]);
    for (unsigned i = 0; svmemu_exit_stat(m, i, &code, &name, &count); i++)
        if (count)
            fprintf(f, "exit %03" PRIX64 "h %-20s %15" PRIu64 "\n", code & 0xFFFFFF, name ? name : "", count);
}

bool report_stats_file(struct svmemu *m, double seconds, enum stats_mode mode, const char *path)
{
    FILE *f = path ? fopen(path, "w") : stderr;
    if (f)
        report_stats(m, seconds, mode, f);
    bool ok = f && !ferror(f);
    if (f && f != stderr && fclose(f))
        ok = false;
    if (!ok && path)
        fprintf(stderr, "svmemu: %s: the counts cannot be written there\n", path);
    return ok;
}

bool report_screen(struct svmemu *m, const char *path)
{
    size_t len = 0;
    svmemu_screen_text(m, NULL, 0, &len);
    char *text = malloc(len + 1);
    FILE *f = *path ? fopen(path, "w") : stdout;
    bool ok = text && f && svmemu_screen_text(m, text, len + 1, NULL) == SVMEMU_OK && fwrite(text, 1, len, f) == len;
    if (f && f != stdout && fclose(f))
        ok = false;
    if (!ok && *path)
        fprintf(stderr, "svmemu: %s: the screen cannot be written there\n", path);
    free(text);
    return ok;
}

const char *symbol_text(const struct svmemu *m, uint64_t linear, char buf[SYMBOL_TEXT])
{
    uint64_t off = 0;
    const char *name = svmemu_symbol(m, linear, &off);
    buf[0] = 0;
    if (name && off)
        snprintf(buf, SYMBOL_TEXT, " <%.80s+%" PRIX64 "h>", name, off);
    else if (name)
        snprintf(buf, SYMBOL_TEXT, " <%.80s>", name);
    return buf;
}
