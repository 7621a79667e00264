// SPDX-License-Identifier: MIT
/* --trace: each instruction, disassembled, with the registers it changed, and the events between them. */
#include "cli/disasm.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_REGS = 128 };

struct tracer {
    struct svmemu *m;
    struct disasm *dis;
    unsigned nregs;
    int rip;
    int vcpu;             /* whose registers `before` has; -1: nobody's */
    uint64_t before[MAX_REGS], at, insns; /* RIP and count of the instruction printed last */
};

static void print_changes(struct tracer *t)
{
    bool any = false;
    for (unsigned i = 0; t->vcpu >= 0 && i < t->nregs; i++) {
        uint64_t v = 0;
        if ((int)i == t->rip || svmemu_reg_read_id(t->m, (unsigned)t->vcpu, i, &v) != SVMEMU_OK || v == t->before[i])
            continue;
        printf("%s%s=%" PRIx64, any ? " " : "      ", svmemu_reg_name(i), v);
        any = true;
    }
    if (any)
        putchar('\n');
    t->vcpu = -1;
}

static void keep_registers(struct tracer *t, int vcpu)
{
    t->vcpu = vcpu;
    for (unsigned i = 0; i < t->nregs; i++)
        svmemu_reg_read_id(t->m, (unsigned)vcpu, i, &t->before[i]);
}

static void print_code(struct tracer *t, const struct svmemu_attempt *a)
{
    uint8_t code[15];
    size_t n = sizeof(code), len;
    struct disasm_text text;
    char symbol[SYMBOL_TEXT];
    while (n && svmemu_virt_read(t->m, (unsigned)a->vcpu, a->linear, code, n) != SVMEMU_OK)
        n--;
    printf("%d %016" PRIx64 "  ", a->vcpu, a->rip);
    len = disassemble(t->dis, t->m, a->bits, code, n, a->rip, &text);
    for (size_t i = 0; i < 10 || i < len; i++) {
        if (i < len)
            printf("%02x", code[i]);
        else
            fputs("  ", stdout);
    }
    printf("  %s%s%s\n", text.text, *symbol_text(t->m, a->linear, symbol) ? "  ;" : "", symbol);
}

static void on_insn(void *ctx, const struct svmemu_attempt *a)
{
    struct tracer *t = ctx;
    if (t->vcpu == a->vcpu && t->insns == a->insns && t->at == a->rip)
        return; /* a REP goes on */
    print_changes(t);
    print_code(t, a);
    keep_registers(t, a->vcpu);
    t->at = a->rip;
    t->insns = a->insns;
}

static void on_event(void *ctx, const struct svmemu_event *e)
{
    struct tracer *t = ctx;
    print_changes(t);
    printf("%d -> %s%s\n", e->vcpu, e->text, e->injected ? ", injected" : "");
    keep_registers(t, e->vcpu);
    t->insns = UINT64_MAX; /* what follows is another instruction, or the same once more */
}

struct tracer *tracer_create(struct svmemu *m)
{
    struct tracer *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->m = m;
    t->vcpu = -1;
    t->dis = disasm_open(stderr);
    if (!t->dis) {
        free(t);
        return NULL;
    }
    while (t->nregs < MAX_REGS && svmemu_reg_name(t->nregs))
        t->nregs++;
    t->rip = svmemu_reg_find("rip");
    svmemu_hook_insn(m, on_insn, t);
    svmemu_hook_event(m, on_event, t);
    return t;
}

void tracer_end(struct tracer *t)
{
    print_changes(t);
}

void tracer_destroy(struct tracer *t)
{
    if (!t)
        return;
    svmemu_hook_insn(t->m, NULL, NULL);
    svmemu_hook_event(t->m, NULL, NULL);
    disasm_close(t->dis);
    free(t);
}
