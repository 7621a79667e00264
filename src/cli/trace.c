// SPDX-License-Identifier: MIT
/* --trace: one instruction at a time, disassembled by Capstone, with the registers it changed. */
#include "cli/cli.h"

#include <capstone/capstone.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_REGS = 128 };

struct tracer {
    struct svmemu *m;
    csh cs[3]; /* 16, 32, 64 bits */
    unsigned nregs;
    int rip, cs_base, cs_attr, efer;
    uint64_t before[MAX_REGS];
};

struct tracer *tracer_create(struct svmemu *m)
{
    static const cs_mode modes[3] = { CS_MODE_16, CS_MODE_32, CS_MODE_64 };
    struct tracer *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->m = m;
    while (t->nregs < MAX_REGS && svmemu_reg_name(t->nregs))
        t->nregs++;
    t->rip = svmemu_reg_find("rip");
    t->cs_base = svmemu_reg_find("cs.base");
    t->cs_attr = svmemu_reg_find("cs.attr");
    t->efer = svmemu_reg_find("efer");
    for (unsigned i = 0; i < 3; i++) {
        if (cs_open(CS_ARCH_X86, modes[i], &t->cs[i]) != CS_ERR_OK) {
            tracer_destroy(t);
            return NULL;
        }
    }
    return t;
}

void tracer_destroy(struct tracer *t)
{
    if (!t)
        return;
    for (unsigned i = 0; i < 3; i++)
        if (t->cs[i])
            cs_close(&t->cs[i]);
    free(t);
}

static void disassemble(struct tracer *t, unsigned vcpu)
{
    uint8_t code[15];
    const uint64_t *r = t->before;
    uint64_t rip = r[t->rip], lin = r[t->cs_base] + rip, attr = r[t->cs_attr];
    unsigned mode = (r[t->efer] & 0x400) && (attr & 0x200) ? 2 : attr & 0x400 ? 1 : 0;
    size_t n = sizeof(code);
    cs_insn *in = NULL;
    if (mode != 2)
        lin = (uint32_t)lin;
    while (n && svmemu_virt_read(t->m, vcpu, lin, code, n) != SVMEMU_OK)
        n--;
    printf("%u %016" PRIx64 "  ", vcpu, rip);
    size_t got = n ? cs_disasm(t->cs[mode], code, n, rip, 1, &in) : 0;
    size_t len = got ? in[0].size : n < 4 ? n : 4;
    for (size_t i = 0; i < 10 || i < len; i++) {
        if (i < len)
            printf("%02x", code[i]);
        else
            fputs("  ", stdout);
    }
    char symbol[SYMBOL_TEXT];
    if (got)
        printf("  %s %s%s%s\n", in[0].mnemonic, in[0].op_str, *symbol_text(t->m, lin, symbol) ? "  ;" : "", symbol);
    else
        printf("  %s\n", n ? "(not known to the disassembler)" : "(no page mapped)");
    if (got)
        cs_free(in, got);
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
    disassemble(t, vcpu);
    enum svmemu_status s = svmemu_step(t->m, stop);
    print_changes(t, vcpu);
    return s;
}
