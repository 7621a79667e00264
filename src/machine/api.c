// SPDX-License-Identifier: MIT
/* Registers, MSRs, memory and statistics of the public API. */
#include "machine/machine.h"
#include "mmu/memtype.h"
#include "mmu/walk.h"

#include <stdlib.h>
#include <string.h>

const char *svmemu_status_text(enum svmemu_status s)
{
    static const char *const texts[] = {
#define STATUS(name, text) text,
#include <svmemu/status.def>
#undef STATUS
    };
    return (unsigned)s < ARRAY_LEN(texts) ? texts[s] : "unknown status";
}

/* ---- registers: one table ---- */
struct reg {
    const char *name;
    u16 off;
    u8 width;
};
#define R(n, f) { n, offsetof(struct cpu_state, f), sizeof(((struct cpu_state *)0)->f) }
#define SEG(n, i) R(n ".sel", seg[i].sel), R(n ".base", seg[i].base), R(n ".limit", seg[i].limit), R(n ".attr", seg[i].attr)
static const struct reg regs[] = {
    R("rax", gpr[RAX]), R("rcx", gpr[RCX]), R("rdx", gpr[RDX]), R("rbx", gpr[RBX]), R("rsp", gpr[RSP]), R("rbp", gpr[RBP]),
    R("rsi", gpr[RSI]), R("rdi", gpr[RDI]), R("r8", gpr[R8]), R("r9", gpr[R9]), R("r10", gpr[R10]), R("r11", gpr[R11]),
    R("r12", gpr[R12]), R("r13", gpr[R13]), R("r14", gpr[R14]), R("r15", gpr[R15]), R("rip", rip), R("rflags", rflags),
    R("cr0", cr0), R("cr2", cr2), R("cr3", cr3), R("cr4", cr4), R("cr8", cr8), R("dr0", dr[0]), R("dr1", dr[1]), R("dr2", dr[2]),
    R("dr3", dr[3]), R("dr6", dr6), R("dr7", dr7), R("efer", efer), R("cpl", cpl), SEG("es", SEG_ES), SEG("cs", SEG_CS),
    SEG("ss", SEG_SS), SEG("ds", SEG_DS), SEG("fs", SEG_FS), SEG("gs", SEG_GS), SEG("ldtr", SEG_LDTR), SEG("tr", SEG_TR),
    R("gdtr.base", gdtr.base), R("gdtr.limit", gdtr.limit), R("idtr.base", idtr.base), R("idtr.limit", idtr.limit),
    R("activity", activity), R("gif", gif),
};

const char *svmemu_reg_name(unsigned id)
{
    return id < ARRAY_LEN(regs) ? regs[id].name : NULL;
}

int svmemu_reg_find(const char *name)
{
    for (unsigned i = 0; name && i < ARRAY_LEN(regs); i++)
        if (!strcmp(regs[i].name, name))
            return (int)i;
    return -1;
}

static enum svmemu_status check_reg(struct svmemu *m, unsigned vcpu, unsigned id)
{
    if (vcpu >= m->vcpus)
        return machine_fail(m, SVMEMU_ARGUMENT, "vCPU %u: the machine has %u", vcpu, m->vcpus);
    if (id >= ARRAY_LEN(regs))
        return machine_fail(m, SVMEMU_NAME, "register %u does not exist", id);
    return SVMEMU_OK;
}

enum svmemu_status svmemu_reg_read_id(struct svmemu *m, unsigned vcpu, unsigned id, uint64_t *value)
{
    enum svmemu_status s = check_reg(m, vcpu, id);
    if (s != SVMEMU_OK)
        return s;
    struct vcpu *c = m->cpu[vcpu];
    const struct reg *r = &regs[id];
    if (r->off == offsetof(struct cpu_state, rflags))
        *value = cpu_rflags(c);
    else if (r->off == offsetof(struct cpu_state, cr8) && !c->v_intr_masking && !c->avic)
        *value = lapic_get_tpr(&m->lapic[vcpu]) >> 4;
    else
        *value = load_le((const u8 *)&c->st + r->off, r->width);
    return SVMEMU_OK;
}

/* Legacy PAE paging keeps four entries of the top level in the processor; a written register reads them, good ones, as MOV CR3 does
 * [APM2 5.2.3]. */
static void reload_pointers(struct vcpu *c, size_t off)
{
    const struct cpu_state *s = &c->st;
    bool paging = off == offsetof(struct cpu_state, cr0) || off == offsetof(struct cpu_state, cr3) ||
                  off == offsetof(struct cpu_state, cr4) || off == offsetof(struct cpu_state, efer);
    if (paging && (s->cr0 & CR0_PG) && (s->cr4 & CR4_PAE) && !(s->efer & EFER_LMA) && !(c->guest && c->np))
        mmu_load_pdptes(&c->mmu, s->cr3);
}

enum svmemu_status svmemu_reg_write_id(struct svmemu *m, unsigned vcpu, unsigned id, uint64_t value)
{
    enum svmemu_status s = check_reg(m, vcpu, id);
    if (s != SVMEMU_OK)
        return s;
    struct vcpu *c = m->cpu[vcpu];
    const struct reg *r = &regs[id];
    if (value & ~width_mask(r->width))
        return machine_fail(m, SVMEMU_ARGUMENT, "%s has only %u bits", r->name, 8u * r->width);
    if (r->off == offsetof(struct cpu_state, cpl) && value > 3)
        return machine_fail(m, SVMEMU_ARGUMENT, "CPL %llu", (unsigned long long)value);
    if (r->off == offsetof(struct cpu_state, activity) && value > ACT_SHUTDOWN)
        return machine_fail(m, SVMEMU_ARGUMENT, "activity %llu", (unsigned long long)value);
    if (r->off == offsetof(struct cpu_state, gif) && value > 1)
        return machine_fail(m, SVMEMU_ARGUMENT, "GIF is one bit");
    if (r->off == offsetof(struct cpu_state, rflags))
        cpu_set_rflags(c, value);
    else if (r->off == offsetof(struct cpu_state, cr8) && !c->v_intr_masking && !c->avic)
        lapic_set_tpr(&m->lapic[vcpu], (u8)(value << 4));
    else
        store_le((u8 *)&c->st + r->off, r->width, value);
    reload_pointers(c, r->off);
    machine_cpu_changed(c);
    return SVMEMU_OK;
}

enum svmemu_status machine_no_name(struct svmemu *m, const char *what, const char *name)
{
    return machine_fail(m, SVMEMU_NAME, "there is no %s \"%s\"", what, name ? name : "(null)");
}

enum svmemu_status svmemu_reg_read(struct svmemu *m, unsigned vcpu, const char *name, uint64_t *value)
{
    int id = svmemu_reg_find(name);
    return id < 0 ? machine_no_name(m, "register", name) : svmemu_reg_read_id(m, vcpu, (unsigned)id, value);
}

enum svmemu_status svmemu_reg_write(struct svmemu *m, unsigned vcpu, const char *name, uint64_t value)
{
    int id = svmemu_reg_find(name);
    return id < 0 ? machine_no_name(m, "register", name) : svmemu_reg_write_id(m, vcpu, (unsigned)id, value);
}

enum svmemu_status svmemu_set_mode(struct svmemu *m, unsigned vcpu, unsigned bits_, uint64_t cr3)
{
    if (vcpu >= m->vcpus || (bits_ != 16 && bits_ != 32 && bits_ != 64))
        return machine_fail(m, SVMEMU_ARGUMENT, "mode %u of vCPU %u", bits_, vcpu);
    struct vcpu *c = m->cpu[vcpu];
    struct cpu_state *s = &c->st;
    bool real = bits_ == 16, l = bits_ == 64;
    u16 code = ATTR_P | ATTR_S | 0xB, data = ATTR_P | ATTR_S | 3;
    for (unsigned i = 0; i < SEG_COUNT6; i++)
        s->seg[i] = (struct seg){
            .sel = (u16)(real ? 0 : i == SEG_CS ? 8 : 16), .limit = real ? 0xFFFF : 0xFFFFFFFF,
            .attr = real ? data : (u16)((i == SEG_CS ? code : data) | ATTR_G | (l && i == SEG_CS ? ATTR_L : ATTR_DB)),
        };
    s->cr0 = CR0_ET | (real ? 0 : CR0_PE) | (l ? CR0_PG : 0);
    s->cr3 = cr3;
    s->cr4 = l ? CR4_PAE : 0;
    s->efer = (s->efer & EFER_SVME) | (l ? EFER_LME | EFER_LMA | EFER_NXE : 0);
    s->cpl = 0;
    s->activity = ACT_RUN;
    if (real)
        s->idtr = (struct dtr){ .limit = 0x3FF };
    cpu_set_rflags(c, FL_ONE);
    mmu_flush_all(&c->mmu);
    machine_cpu_changed(c);
    return SVMEMU_OK;
}

/* ---- MSRs ---- */
enum svmemu_status svmemu_msr_read(struct svmemu *m, unsigned vcpu, uint32_t msr, uint64_t *value)
{
    if (vcpu >= m->vcpus)
        return machine_fail(m, SVMEMU_ARGUMENT, "vCPU %u: the machine has %u", vcpu, m->vcpus);
    struct vcpu *c = m->cpu[vcpu];
    if (msr_read(c, msr, value))
        return SVMEMU_OK;
    c->ev = (struct event){ .kind = EV_NONE };
    return machine_fail(m, SVMEMU_NAME, "reading MSR %08Xh raises #GP", (unsigned)msr);
}

enum svmemu_status svmemu_msr_write(struct svmemu *m, unsigned vcpu, uint32_t msr, uint64_t value)
{
    if (vcpu >= m->vcpus)
        return machine_fail(m, SVMEMU_ARGUMENT, "vCPU %u: the machine has %u", vcpu, m->vcpus);
    struct vcpu *c = m->cpu[vcpu];
    if (msr_write(c, msr, value)) {
        machine_cpu_changed(c);
        return SVMEMU_OK;
    }
    c->ev = (struct event){ .kind = EV_NONE };
    return machine_fail(m, SVMEMU_NAME, "writing %llXh to MSR %08Xh raises #GP", (unsigned long long)value, (unsigned)msr);
}

/* ---- memory ---- */
static enum svmemu_status check_phys(struct svmemu *m, u64 address, size_t len)
{
    if (len && (address + len - 1 < address || (address + len - 1) >> m->model->maxphys))
        return machine_fail(m, SVMEMU_ARGUMENT, "%zu bytes at %llXh are beyond the %u physical address bits", len,
                            (unsigned long long)address, m->model->maxphys);
    return SVMEMU_OK;
}

enum svmemu_status svmemu_mem_read(struct svmemu *m, uint64_t address, void *buf, size_t len)
{
    enum svmemu_status s = check_phys(m, address, len);
    if (s == SVMEMU_OK)
        phys_read(&m->view, (struct spa){ address }, buf, len);
    return s;
}

enum svmemu_status svmemu_mem_write(struct svmemu *m, uint64_t address, const void *buf, size_t len)
{
    enum svmemu_status s = check_phys(m, address, len);
    if (s == SVMEMU_OK)
        phys_write(&m->view, (struct spa){ address }, buf, len);
    return s;
}

static enum svmemu_status virt(struct svmemu *m, unsigned vcpu, u64 lin, u8 *in, const u8 *out, size_t len)
{
    if (vcpu >= m->vcpus)
        return machine_fail(m, SVMEMU_ARGUMENT, "vCPU %u: the machine has %u", vcpu, m->vcpus);
    struct vcpu *c = m->cpu[vcpu];
    while (len) {
        struct spa spa;
        size_t n = PAGE_SIZE - (lin & PAGE_MASK);
        if (n > len)
            n = len;
        if (!mmu_peek(&c->mmu, (struct gva){ lin }, &spa))
            return machine_fail(m, SVMEMU_UNMAPPED, "no page is mapped at linear address %llXh", (unsigned long long)lin);
        if (in) {
            phys_read(&c->view, spa, in, n);
            in += n;
        } else {
            phys_write(&c->view, spa, out, n);
            out += n;
        }
        lin += n;
        len -= n;
    }
    return SVMEMU_OK;
}

enum svmemu_status svmemu_virt_read(struct svmemu *m, unsigned vcpu, uint64_t linear, void *buf, size_t len)
{
    return virt(m, vcpu, linear, buf, NULL, len);
}

enum svmemu_status svmemu_virt_write(struct svmemu *m, unsigned vcpu, uint64_t linear, const void *buf, size_t len)
{
    return virt(m, vcpu, linear, NULL, buf, len);
}

static const char *memtype_name(u8 t)
{
    static const char *const names[] = {
        [MEMTYPE_UC] = "UC", [MEMTYPE_WC] = "WC", [MEMTYPE_WT] = "WT", [MEMTYPE_WP] = "WP", [MEMTYPE_WB] = "WB",
        [MEMTYPE_UCM] = "UC-", [MEMTYPE_CD] = "CD", [MEMTYPE_WCP] = "WC+",
    };
    return t < ARRAY_LEN(names) && names[t] ? names[t] : "?";
}

enum svmemu_status svmemu_translate(struct svmemu *m, unsigned vcpu, uint64_t linear, struct svmemu_translation *out)
{
    struct mmu_xl xl;
    struct walk_result w;
    struct mmu_fault f = { 0 };
    if (vcpu >= m->vcpus)
        return machine_fail(m, SVMEMU_ARGUMENT, "vCPU %u: the machine has %u", vcpu, m->vcpus);
    const struct vcpu *c = m->cpu[vcpu];
    *out = (struct svmemu_translation){ .memory_type = "" };
    if (!mmu_inspect(&c->mmu, (struct gva){ linear }, &w, &xl, &f)) {
        out->fault = f.kind == MMU_NPF ? SVMEMU_FAULT_NESTED : SVMEMU_FAULT_PAGE;
        out->fault_error = f.err;
        out->fault_address = f.addr;
        return SVMEMU_OK;
    }
    out->address = xl.spa.v;
    out->page_size = c->mmu.r.nested || c->st.cr0 & CR0_PG ? BIT(w.shift) : 0;
    out->writable = (w.rights & TR_W) && (w.rights & TR_NW);
    out->user = (w.rights & TR_U) && (w.rights & TR_NU);
    out->executable = !(w.rights & (TR_NX | TR_NNX));
    out->global = w.rights & TR_G;
    out->memory = xl.host;
    out->memory_type = memtype_name(cpu_memtype(c, &xl));
    return SVMEMU_OK;
}

/* ---- mapping ---- */
static enum svmemu_status check_range(struct svmemu *m, u64 address, u64 size)
{
    if (!size || ((address | size) & PAGE_MASK) || address + size < address)
        return machine_fail(m, SVMEMU_ARGUMENT, "range %llXh+%llXh is empty, not page-aligned or wraps", (unsigned long long)address,
                            (unsigned long long)size);
    return check_phys(m, address, size);
}

static enum svmemu_status mapped(struct svmemu *m, bool ok, u64 address)
{
    return ok ? SVMEMU_OK
              : machine_fail(m, SVMEMU_MEMORY, "no memory for the range at %llXh; a machine has at most 1 TiB of RAM and ROM",
                             (unsigned long long)address);
}

enum svmemu_status svmemu_map_ram(struct svmemu *m, uint64_t address, uint64_t size)
{
    enum svmemu_status s = check_range(m, address, size);
    return s != SVMEMU_OK ? s : mapped(m, bus_add_ram(m->bus, address, size, "user-ram"), address);
}

enum svmemu_status svmemu_map_rom(struct svmemu *m, uint64_t address, uint64_t size, const void *data, size_t len)
{
    enum svmemu_status s = check_range(m, address, size);
    if (s == SVMEMU_OK && len > size)
        s = machine_fail(m, SVMEMU_ARGUMENT, "%zu bytes do not fit a ROM of %llu", len, (unsigned long long)size);
    return s != SVMEMU_OK ? s : mapped(m, bus_add_rom(m->bus, address, size, data, len, "user-rom"), address);
}

static struct user_range *keep_ops(struct svmemu *m, const struct svmemu_mmio *ops)
{
    struct user_range *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->ops = (struct mmio_ops){ .read = ops->read, .write = ops->write, .min_width = ops->min_width, .max_width = ops->max_width };
    r->next = m->ranges;
    m->ranges = r;
    return r;
}

enum svmemu_status machine_check_ops(struct svmemu *m, const struct svmemu_mmio *o)
{
    if (!o || !o->read || !o->write || o->min_width > 8 || o->max_width > 8 || (o->min_width & (o->min_width - 1)) ||
        (o->max_width & (o->max_width - 1)) || (o->max_width && o->min_width > o->max_width))
        return machine_fail(m, SVMEMU_ARGUMENT, "a device needs both handlers, and widths of 0, 1, 2, 4 or 8");
    return SVMEMU_OK;
}

enum svmemu_status svmemu_map_mmio(struct svmemu *m, uint64_t address, uint64_t size, const struct svmemu_mmio *ops, void *ctx)
{
    enum svmemu_status s = check_range(m, address, size);
    if (s == SVMEMU_OK)
        s = machine_check_ops(m, ops);
    if (s != SVMEMU_OK)
        return s;
    struct user_range *r = keep_ops(m, ops);
    return !r ? SVMEMU_MEMORY : mapped(m, bus_add_mmio(m->bus, address, size, &r->ops, ctx, "user-mmio"), address);
}

enum svmemu_status svmemu_map_ports(struct svmemu *m, uint16_t first, unsigned count, const struct svmemu_mmio *ops, void *ctx)
{
    enum svmemu_status s = machine_check_ops(m, ops);
    if (s == SVMEMU_OK && (!count || first + count > 0x10000))
        s = machine_fail(m, SVMEMU_ARGUMENT, "%u ports from %Xh", count, (unsigned)first);
    if (s != SVMEMU_OK)
        return s;
    struct user_range *r = keep_ops(m, ops);
    return !r ? SVMEMU_MEMORY : mapped(m, bus_add_ports(m->bus, first, count, &r->ops, ctx, "user-ports"), first);
}

enum svmemu_status svmemu_nmi(struct svmemu *m, unsigned vcpu)
{
    if (vcpu >= m->vcpus)
        return machine_fail(m, SVMEMU_ARGUMENT, "vCPU %u: the machine has %u", vcpu, m->vcpus);
    m->cpu[vcpu]->pending |= PEND_NMI;
    return SVMEMU_OK;
}

enum svmemu_status svmemu_local_interrupt(struct svmemu *m, unsigned vcpu, unsigned source)
{
    if (vcpu >= m->vcpus)
        return machine_fail(m, SVMEMU_ARGUMENT, "vCPU %u: the machine has %u", vcpu, m->vcpus);
    if (source < SVMEMU_LOCAL_EXTENDED)
        lapic_local_event(&m->lapic[vcpu], source == SVMEMU_LOCAL_THERMAL ? LVT_THERMAL : LVT_PERF);
    else if (!lapic_extended_event(&m->lapic[vcpu], source - SVMEMU_LOCAL_EXTENDED))
        return machine_fail(m, SVMEMU_ARGUMENT, "local interrupt source %u: the processor has no such entry", source);
    return SVMEMU_OK;
}

enum svmemu_status svmemu_machine_check(struct svmemu *m, unsigned vcpu, unsigned bank, const struct svmemu_mce *e)
{
    if (vcpu >= m->vcpus)
        return machine_fail(m, SVMEMU_ARGUMENT, "vCPU %u: the machine has %u", vcpu, m->vcpus);
    struct vcpu *c = m->cpu[vcpu];
    if (!e || bank >= c->model->mce_banks || bank >= MCE_BANKS)
        return machine_fail(m, SVMEMU_ARGUMENT, "machine check bank %u: the processor has %u", bank, c->model->mce_banks);
    c->st.mce_bank[bank][1] = e->status;
    c->st.mce_bank[bank][2] = e->address;
    c->st.mce_bank[bank][3] = e->misc;
    c->pending |= PEND_MC;
    return SVMEMU_OK;
}

/* ---- statistics ---- */
void svmemu_stats(const struct svmemu *m, struct svmemu_stats *o)
{
    struct exec_stats x;
    *o = (struct svmemu_stats){ .insns = m->insns, .cycles = m->clock.now / TICKS_PER_CYCLE };
    for (unsigned i = 0; i < m->vcpus; i++) {
        const struct vcpu *c = m->cpu[i];
        if (c->ticks / TICKS_PER_CYCLE > o->cycles)
            o->cycles = c->ticks / TICKS_PER_CYCLE;
        o->vmruns += c->stat_vmrun;
        o->vmexits += c->stat_vmexit;
        o->interrupts += c->stat_irqs;
        for (unsigned v = 0; v < 32; v++)
            o->exceptions[v] += c->stat_exceptions[v];
        o->tlb_hits += c->mmu.stat_hits;
        o->tlb_misses += c->mmu.stat_misses;
        o->tlb_flushes += c->mmu.stat_flushes;
        o->fast_fills += c->mmu.stat_fast_fills;
    }
    exec_get_stats(m->exec, &x);
    o->blocks = x.blocks;
    o->block_drops = x.block_drops;
    o->block_entries = x.entries;
    o->single_steps = x.steps;
}

bool svmemu_exit_stat(const struct svmemu *m, unsigned i, uint64_t *code, const char **name, uint64_t *count)
{
    if (i >= SVM_STAT_N)
        return false;
    *code = svm_stat_code(i);
    *name = i == SVM_STAT_OTHER ? "other" : svm_exit_name(*code);
    *count = 0;
    for (unsigned c = 0; c < m->vcpus; c++)
        *count += m->cpu[c]->svm->exits[i];
    return true;
}

bool svmemu_past_exit(const struct svmemu *m, unsigned vcpu, unsigned i, struct svmemu_past_exit *out)
{
    if (vcpu >= m->vcpus || i >= SVM_PAST || i >= m->cpu[vcpu]->stat_vmexit)
        return false;
    const struct svm_past *p = &m->cpu[vcpu]->svm->past[(m->cpu[vcpu]->stat_vmexit - i) % SVM_PAST];
    *out = (struct svmemu_past_exit){ .code = p->code, .info1 = p->info1, .info2 = p->info2, .rip = p->rip };
    return true;
}

/* ---- profiles ---- */
const char *svmemu_profile_name(unsigned i)
{
    const struct cpu_model *p = cpu_model_at(i);
    return p ? p->name : NULL;
}

const char *svmemu_profile_text(unsigned i)
{
    const struct cpu_model *p = cpu_model_at(i);
    return p ? p->description : NULL;
}

void svmemu_profile_missing(unsigned i, void (*f)(void *ctx, const char *name, const char *text), void *ctx)
{
    const struct cpu_model *p = cpu_model_at(i);
    if (p && f)
        cpu_model_missing(p, f, ctx);
}
