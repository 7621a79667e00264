// SPDX-License-Identifier: MIT
/* --trace-exits, --explain and --dump-vmcb: what a hypervisor author wants to see of world switches, on standard error. */
#include "cli/cli.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What a vCPU's last VMCB was, and its bytes at VMRUN. */
struct last {
    uint64_t address;
    bool known;
    uint8_t at_vmrun[SVMEMU_VMCB_SIZE];
};

struct explainer {
    struct svmemu *m;
    const struct options *o;
    struct hints *hints; /* with --explain, NULL else */
    unsigned vcpus;
    struct last last[];
};

static void print_check(const struct svmemu_check *c)
{
    fprintf(stderr, "    %s: %s; %s at %03Xh = %#" PRIx64 " [%s]\n", c->id, c->rule, c->field, c->offset, c->value, c->section);
}

static void explain(struct svmemu *m, const struct svmemu_switch *s)
{
    char text[512], symbol[SYMBOL_TEXT];
    const char *name = svmemu_exit_name(s->code);
    svmemu_explain(s, text, sizeof(text));
    fprintf(stderr, "[%d] %s", s->vcpu, name ? name : "exit");
    if (!s->check_count)
        fprintf(stderr, " (%" PRIX64 "h)", s->code);
    fprintf(stderr, " at rip %#" PRIx64 "%s: %s\n", s->rip, symbol_text(m, s->rip, symbol), text);
    for (unsigned i = 0; i < s->check_count; i++)
        print_check(&s->checks[i]);
}

static void print_lines(const char *text)
{
    for (const char *end; *text; text = end + 1) {
        end = strchr(text, '\n');
        fprintf(stderr, "    %.*s\n", (int)(end - text), text);
    }
}

static void dump(struct explainer *x, unsigned vcpu, uint64_t address, const char *when)
{
    size_t len = 0;
    if (svmemu_vmcb_print(x->m, address, false, NULL, 0, &len) != SVMEMU_OK)
        return;
    char *text = malloc(len + 1);
    fprintf(stderr, "VMCB %#" PRIx64 " of vCPU %u %s:\n", address, vcpu, when);
    if (text && svmemu_vmcb_print(x->m, address, false, text, len + 1, NULL) == SVMEMU_OK)
        print_lines(text);
    if (!len)
        fputs("    (zero)\n", stderr);
    free(text);
}

struct both { const uint8_t *before, *after; };

static void print_difference(void *ctx, const struct svmemu_field *f, uint64_t before, uint64_t after)
{
    const struct both *b = ctx;
    char text[512], old[64];
    (void)after;
    svmemu_vmcb_field_text(b->after, f->name, text, sizeof(text));
    snprintf(old, sizeof(old), "%" PRIX64, before);
    if (f->width > sizeof(before) && before) { /* the instruction bytes stand in the order of memory */
        char whole[128];
        svmemu_vmcb_field_text(b->before, f->name, whole, sizeof(whole));
        snprintf(old, sizeof(old), "%.32s", strchr(whole, '=') + 1);
    }
    fprintf(stderr, "    %s, was %s\n", text, old);
}

static void difference(struct explainer *x, const struct svmemu_switch *s)
{
    uint8_t now[SVMEMU_VMCB_SIZE];
    struct last *l = &x->last[s->vcpu];
    struct both b = { l->at_vmrun, now };
    if (!l->known || l->address != s->vmcb || svmemu_mem_read(x->m, s->vmcb, now, sizeof(now)) != SVMEMU_OK)
        return;
    fprintf(stderr, "VMCB %#" PRIx64 " of vCPU %d, changed since VMRUN:\n", s->vmcb, s->vcpu);
    svmemu_vmcb_diff(l->at_vmrun, now, print_difference, &b);
}

static void on_switch(void *ctx, const struct svmemu_switch *s)
{
    struct explainer *x = ctx;
    struct last *l = &x->last[s->vcpu];
    char symbol[SYMBOL_TEXT];
    fflush(stdout);
    if (x->o->trace_exits)
        fprintf(stderr, "%s%s\n", s->text, symbol_text(x->m, s->rip, symbol)); /* begins with the vCPU */
    if (!s->entry && x->o->explain)
        explain(x->m, s);
    if (x->hints)
        hints_switch(x->hints, s);
    if (!s->entry && (x->o->dump_vmcb & DUMP_INVALID) && s->check_count)
        dump(x, (unsigned)s->vcpu, s->vmcb, "that VMRUN refused");
    if (!s->entry && (x->o->dump_vmcb & DUMP_EXIT) && !s->check_count)
        difference(x, s);
    l->address = s->vmcb;
    l->known = !(x->o->dump_vmcb & DUMP_EXIT) || !s->entry || svmemu_mem_read(x->m, s->vmcb, l->at_vmrun, sizeof(l->at_vmrun)) == SVMEMU_OK;
}

struct explainer *explainer_create(struct svmemu *m, const struct options *o)
{
    unsigned vcpus = o->machine.vcpus ? o->machine.vcpus : 1;
    struct explainer *x = calloc(1, sizeof(*x) + vcpus * sizeof(x->last[0]));
    if (!x)
        return NULL;
    x->m = m;
    x->o = o;
    x->vcpus = vcpus;
    x->hints = o->explain ? hints_create(m, vcpus) : NULL;
    svmemu_hook_switch(m, on_switch, x);
    return x;
}

void explainer_destroy(struct explainer *x)
{
    if (x && (x->o->dump_vmcb & DUMP_END))
        for (unsigned i = 0; i < x->vcpus; i++)
            if (x->last[i].known)
                dump(x, i, x->last[i].address, "at the end");
    if (x)
        hints_destroy(x->hints);
    free(x);
}
