// SPDX-License-Identifier: MIT
/* --trace: one instruction at a time, disassembled, with the registers it changed. */
#include "cli/disasm.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_REGS = 128 };

struct tracer {
    struct svmemu *m;
    struct disasm *dis;
    unsigned nregs;
    int rip, cs_base, cs_attr, efer;
    uint64_t before[MAX_REGS];
};

struct tracer *tracer_create(struct svmemu *m)
{
    struct tracer *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->m = m;
    t->dis = disasm_open(stderr);
    if (!t->dis) {
        free(t);
        return NULL;
    }
    while (t->nregs < MAX_REGS && svmemu_reg_name(t->nregs))
        t->nregs++;
    t->rip = svmemu_reg_find("rip");
    t->cs_base = svmemu_reg_find("cs.base");
    t->cs_attr = svmemu_reg_find("cs.attr");
    t->efer = svmemu_reg_find("efer");
    return t;
}

void tracer_destroy(struct tracer *t)
{
    if (!t)
        return;
    disasm_close(t->dis);
    free(t);
}

static void print_code(struct tracer *t, unsigned vcpu)
{
    uint8_t code[15];
    const uint64_t *r = t->before;
    uint64_t rip = r[t->rip], lin = r[t->cs_base] + rip, attr = r[t->cs_attr];
    unsigned bits = (r[t->efer] & 0x400) && (attr & 0x200) ? 64 : attr & 0x400 ? 32 : 16;
    size_t n = sizeof(code);
    struct disasm_text text;
    lin = bits == 64 ? rip : (uint32_t)lin;
    while (n && svmemu_virt_read(t->m, vcpu, lin, code, n) != SVMEMU_OK)
        n--;
    printf("%u %016" PRIx64 "  ", vcpu, rip);
    size_t got = disassemble(t->dis, bits, code, n, rip, &text), len = got ? got : n < 4 ? n : 4;
    for (size_t i = 0; i < 10 || i < len; i++) {
        if (i < len)
            printf("%02x", code[i]);
        else
            fputs("  ", stdout);
    }
    char symbol[SYMBOL_TEXT];
    if (got)
        printf("  %s %s%s%s\n", text.mnemonic, text.operands, *symbol_text(t->m, lin, symbol) ? "  ;" : "", symbol);
    else
        printf("  %s\n", n ? "(not known to the disassembler)" : "(no page mapped)");
}

static void print_changes(struct tracer *t, unsigned vcpu)
{
    bool any = false;
    for (unsigned i = 0; i < t->nregs; i++) {
        uint64_t v = 0;
        if ((int)i == t->rip || svmemu_reg_read_id(t->m, vcpu, i, &v) != SVMEMU_OK || v == t->before[i])
            continue;
        printf("%s%s=%" PRIx64, any ? " " : "      ", svmemu_reg_name(i), v);
        any = true;
    }
    if (any)
        putchar('\n');
}

enum svmemu_status tracer_step(struct tracer *t, struct svmemu_stop *stop)
{
    unsigned vcpu = svmemu_turn(t->m);
    for (unsigned i = 0; i < t->nregs; i++)
        svmemu_reg_read_id(t->m, vcpu, i, &t->before[i]);
    print_code(t, vcpu);
    enum svmemu_status s = svmemu_step(t->m, stop);
    print_changes(t, vcpu);
    return s;
}
