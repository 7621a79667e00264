// SPDX-License-Identifier: MIT
/* VMCBs and world switches of the public API. */
#include "machine/machine.h"

#include <string.h>

/* ---- fields ---- */
const char *svmemu_vmcb_field(unsigned i)
{
    return i < vmcb_field_count ? vmcb_fields[i].name : NULL;
}

static enum svmemu_status vmcb_page(struct svmemu *m, u64 pa, union vmcb *v)
{
    if (pa & PAGE_MASK)
        return machine_fail(m, SVMEMU_ARGUMENT, "VMCB address %llXh is not page-aligned", (unsigned long long)pa);
    struct phys_page page;
    if (pa >> m->model->maxphys || !phys_lookup(&m->view, (struct spa){ pa }, &page)) /* a device is not to be touched */
        return machine_fail(m, SVMEMU_UNMAPPED, "VMCB address %llXh has no memory", (unsigned long long)pa);
    return svmemu_mem_read(m, pa, v->raw, PAGE_SIZE);
}

enum svmemu_status svmemu_vmcb_read(struct svmemu *m, uint64_t vmcb, const char *field, uint64_t *value)
{
    union vmcb v;
    const struct vmcb_field *f = field ? vmcb_field_find(field) : NULL;
    if (!f)
        return machine_no_name(m, "VMCB field", field);
    enum svmemu_status s = vmcb_page(m, vmcb, &v);
    if (s == SVMEMU_OK)
        *value = vmcb_field_get(&v, f);
    return s;
}

enum svmemu_status svmemu_vmcb_write(struct svmemu *m, uint64_t vmcb, const char *field, uint64_t value)
{
    union vmcb v;
    const struct vmcb_field *f = field ? vmcb_field_find(field) : NULL;
    if (!f)
        return machine_no_name(m, "VMCB field", field);
    unsigned n = f->hi - f->lo + 1u;
    if (n < 64 && value >> n)
        return machine_fail(m, SVMEMU_ARGUMENT, "VMCB field %s has only %u bits", field, n);
    enum svmemu_status s = vmcb_page(m, vmcb, &v);
    if (s != SVMEMU_OK)
        return s;
    vmcb_field_set(&v, f, value);
    return svmemu_mem_write(m, vmcb + f->offset, v.raw + f->offset, f->width);
}

enum svmemu_status svmemu_vmcb_print(struct svmemu *m, uint64_t vmcb, bool all, char *buf, size_t size, size_t *len)
{
    union vmcb v;
    enum svmemu_status s = vmcb_page(m, vmcb, &v);
    if (s != SVMEMU_OK)
        return s;
    size_t n = vmcb_print(&v, all, buf, size);
    if (len)
        *len = n;
    return SVMEMU_OK;
}

static struct svmemu_field field_of(const struct vmcb_field *f)
{
    return (struct svmemu_field){
        .name = f->name, .section = f->section, .offset = f->offset, .width = f->width, .hi = f->hi, .lo = f->lo, .part = f->part,
        .clean = f->part || f->group == VMCB_GROUP_NEVER ? -1 : f->group, .loaded = f->loaded == VMCB_MOVE_YES || f->loaded == VMCB_MOVE_COND,
        .stored = f->stored == VMCB_MOVE_YES || f->stored == VMCB_MOVE_COND, .vmload = f->loaded == VMCB_MOVE_VMLOAD,
    };
}

bool svmemu_vmcb_field_at(unsigned i, struct svmemu_field *out)
{
    if (i >= vmcb_field_count)
        return false;
    *out = field_of(&vmcb_fields[i]);
    return true;
}

/* ---- printing and comparing; a caller's bytes need not be aligned ---- */
size_t svmemu_vmcb_text(const void *vmcb, bool all, char *buf, size_t size)
{
    union vmcb v;
    memcpy(&v, vmcb, sizeof v);
    return vmcb_print(&v, all, buf, size);
}

size_t svmemu_vmcb_field_text(const void *vmcb, const char *field, char *buf, size_t size)
{
    union vmcb v;
    const struct vmcb_field *f = field ? vmcb_field_find(field) : NULL;
    if (size)
        buf[0] = 0;
    if (!f)
        return 0;
    memcpy(&v, vmcb, sizeof v);
    return vmcb_print_field(&v, f, buf, size);
}

struct differ {
    void (*f)(void *ctx, const struct svmemu_field *field, uint64_t va, uint64_t vb);
    void *ctx;
};

static void on_difference(void *ctx, const struct vmcb_field *field, u64 va, u64 vb)
{
    const struct differ *d = ctx;
    struct svmemu_field f = field_of(field);
    if (d->f)
        d->f(d->ctx, &f, va, vb);
}

unsigned svmemu_vmcb_diff(const void *a, const void *b, void (*f)(void *ctx, const struct svmemu_field *field, uint64_t va, uint64_t vb),
                          void *ctx)
{
    union vmcb va, vb;
    struct differ d = { f, ctx };
    memcpy(&va, a, sizeof va);
    memcpy(&vb, b, sizeof vb);
    return vmcb_diff(&va, &vb, on_difference, &d);
}

/* ---- checks ---- */
static struct svmemu_check check_of(unsigned i, u64 value)
{
    const struct svm_check_row *r = &svm_checks[i];
    return (struct svmemu_check){
        .id = r->id, .field = r->field, .offset = r->offset, .value = value, .rule = r->text, .section = r->section,
    };
}

bool svmemu_check_at(unsigned i, struct svmemu_check *out)
{
    if (i >= svm_check_count)
        return false;
    *out = check_of(i, 0);
    return true;
}

enum svmemu_status svmemu_vmcb_check(struct svmemu *m, unsigned vcpu, uint64_t vmcb, void (*f)(void *ctx, const struct svmemu_check *check),
                                     void *ctx, unsigned *count)
{
    union vmcb v;
    unsigned n = 0;
    if (vcpu >= m->vcpus)
        return machine_fail(m, SVMEMU_ARGUMENT, "vCPU %u: the machine has %u", vcpu, m->vcpus);
    enum svmemu_status s = vmcb_page(m, vmcb, &v);
    if (s != SVMEMU_OK)
        return s;
    u64 bad = svm_check_now(m->cpu[vcpu], &v);
    for (unsigned i = 0; i < svm_check_count; i++) {
        if (!(bad >> i & 1))
            continue;
        struct svmemu_check k = check_of(i, load_le(v.raw + svm_checks[i].offset, svm_checks[i].width));
        n++;
        if (f)
            f(ctx, &k);
    }
    if (count)
        *count = n;
    return SVMEMU_OK;
}

/* ---- world switches ---- */
const char *svmemu_exit_name(uint64_t code)
{
    return svm_exit_name(code);
}

size_t svmemu_explain(const struct svmemu_switch *s, char *buf, size_t size)
{
    if (size)
        buf[0] = 0;
    if (s->entry)
        return 0;
    struct svm_record r = {
        .code = s->code, .info1 = s->info1, .info2 = s->info2, .intinfo = s->intinfo, .rax = s->rax, .rcx = s->rcx, .rdx = s->rdx,
        .assists = s->assists,
    };
    for (unsigned i = 0; i < s->check_count; i++)
        for (unsigned k = 0; k < svm_check_count; k++)
            if (!strcmp(s->checks[i].id, svm_checks[k].id))
                r.violated |= BIT(k);
    return svm_exit_sentence(&r, buf, size);
}

static void on_switch(void *ctx, struct vcpu *c, const struct svm_record *r)
{
    struct svmemu *m = ctx;
    struct svmemu_check checks[64];
    unsigned n = 0;
    char text[512];
    if (!m->on_switch)
        return;
    for (unsigned i = 0; i < svm_check_count; i++)
        if (r->violated >> i & 1)
            checks[n++] = check_of(i, c->svm->failed[0].value[i]);
    svm_record_text(r, text, sizeof(text));
    struct svmemu_switch s = {
        .entry = r->entry, .vcpu = r->vcpu, .insns = r->insns, .vmcb = r->vmcb_pa, .code = r->code, .info1 = r->info1, .info2 = r->info2,
        .intinfo = r->intinfo, .nrip = r->nrip, .eventinj = r->eventinj, .asid = r->asid, .rip = r->rip, .rax = r->rax, .rcx = r->rcx,
        .rsp = r->rsp, .text = text, .rdx = r->rdx, .assists = r->assists, .checks = n ? checks : NULL, .check_count = n,
    };
    m->on_switch(m->on_switch_ctx, &s);
    machine_hook_done(m, c);
}

void svmemu_hook_switch(struct svmemu *m, void (*f)(void *ctx, const struct svmemu_switch *s), void *ctx)
{
    m->on_switch = f;
    m->on_switch_ctx = ctx;
    for (unsigned i = 0; i < m->vcpus; i++)
        m->cpu[i]->svm->hooks = (struct svm_hooks){ .ctx = m, .on_vmrun = f ? on_switch : NULL, .on_vmexit = f ? on_switch : NULL };
}
