// SPDX-License-Identifier: MIT
/* Hooks on instructions and events, and the text of an instruction, for the public API. */
#include "machine/machine.h"

#include <inttypes.h>
#include <stdio.h>

static void on_insn(void *ctx, struct vcpu *c)
{
    static const u8 bits[] = { [MODE_16] = 16, [MODE_32] = 32, [MODE_64] = 64 };
    struct svmemu *m = ctx;
    m->on_insn(m->on_insn_ctx, &(struct svmemu_attempt){
        .vcpu = c->index, .guest = c->guest, .bits = bits[cpu_mode(c)], .rip = c->st.rip, .linear = cpu_code_lin(c, c->st.rip), .insns = c->insns,
    });
    machine_hook_done(m, c);
}

static enum svmemu_event_kind kind_of(const struct event *ev)
{
    static const u8 kinds[] = {
        [EV_FAULT] = SVMEMU_EVENT_FAULT, [EV_TRAP] = SVMEMU_EVENT_TRAP, [EV_SOFT] = SVMEMU_EVENT_SOFTWARE, [EV_INTR] = SVMEMU_EVENT_INTERRUPT,
        [EV_NMI] = SVMEMU_EVENT_NMI, [EV_VMEXIT] = SVMEMU_EVENT_VMEXIT, [EV_INIT] = SVMEMU_EVENT_INIT, [EV_SIPI] = SVMEMU_EVENT_SIPI,
        [EV_SHUTDOWN] = SVMEMU_EVENT_SHUTDOWN,
    };
    return kinds[ev->kind];
}

static size_t exception_text(const struct svmemu_event *e, char *buf, size_t size)
{
    char name[24], error[24] = "", at[32] = "";
    if (e->has_error)
        snprintf(error, sizeof(error), "(%" PRIX32 "h)", e->error);
    if (e->vector == EXC_PF)
        snprintf(at, sizeof(at), " at %" PRIX64 "h", e->address);
    return (size_t)snprintf(buf, size, "%s%s%s", cpu_exc_name(e->vector, name, sizeof(name)), error, at);
}

static void event_text(const struct svmemu_event *e, char *buf, size_t size)
{
    const char *name = svm_exit_name(e->code);
    switch (e->kind) {
    case SVMEMU_EVENT_INTERRUPT: snprintf(buf, size, "interrupt %02Xh", e->vector); break;
    case SVMEMU_EVENT_NMI: snprintf(buf, size, "NMI"); break;
    case SVMEMU_EVENT_FAULT:
    case SVMEMU_EVENT_TRAP: exception_text(e, buf, size); break;
    case SVMEMU_EVENT_SOFTWARE: snprintf(buf, size, "INT %02Xh", e->vector); break;
    case SVMEMU_EVENT_VMEXIT:
        if (name)
            snprintf(buf, size, "#VMEXIT %s", name);
        else
            snprintf(buf, size, "#VMEXIT %" PRIX64 "h", e->code);
        break;
    case SVMEMU_EVENT_INIT: snprintf(buf, size, "INIT"); break;
    case SVMEMU_EVENT_SIPI: snprintf(buf, size, "SIPI %02Xh", e->vector); break;
    case SVMEMU_EVENT_SHUTDOWN: snprintf(buf, size, "shutdown"); break;
    }
}

static void on_event(void *ctx, struct vcpu *c, const struct event *ev)
{
    struct svmemu *m = ctx;
    char text[64];
    bool exit = ev->kind == EV_VMEXIT;
    struct svmemu_event e = {
        .kind = kind_of(ev), .vcpu = c->index, .guest = c->guest, .injected = !exit && c->svm->injecting, .vector = ev->vec,
        .has_error = ev->has_err, .error = ev->err, .address = ev->cr2, .rip = c->st.rip, .insns = c->insns, .text = text,
    };
    if (exit) {
        e.code = c->vx.code;
        e.info1 = c->vx.info1;
        e.info2 = c->vx.info2;
    }
    event_text(&e, text, sizeof(text));
    m->on_event(m->on_event_ctx, &e);
    machine_hook_done(m, c);
}

static void set_hooks(struct svmemu *m)
{
    exec_set_hooks(m->exec, &(struct exec_hooks){ .ctx = m, .insn = m->on_insn ? on_insn : NULL, .event = m->on_event ? on_event : NULL });
}

void svmemu_hook_insn(struct svmemu *m, void (*f)(void *ctx, const struct svmemu_attempt *a), void *ctx)
{
    m->on_insn = f;
    m->on_insn_ctx = ctx;
    set_hooks(m);
}

void svmemu_hook_event(struct svmemu *m, void (*f)(void *ctx, const struct svmemu_event *e), void *ctx)
{
    m->on_event = f;
    m->on_event_ctx = ctx;
    set_hooks(m);
}

size_t svmemu_insn_text(const struct svmemu *m, unsigned bits, const void *code, size_t size, unsigned *len, char *buf, size_t buf_size)
{
    u64 all[FEAT_WORDS];
    struct insn in;
    for (unsigned i = 0; i < FEAT_WORDS; i++)
        all[i] = ~0ull;
    bool ok = (bits == 16 || bits == 32 || bits == 64) &&
              decode_insn(code, size, bits == 16 ? MODE_16 : bits == 32 ? MODE_32 : MODE_64, m ? m->features : all, &in) == DEC_OK;
    if (len)
        *len = ok ? in.len : 0;
    if (buf_size)
        buf[0] = 0;
    return ok ? insn_print(&in, code, buf, buf_size) : 0;
}
