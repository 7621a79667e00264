// SPDX-License-Identifier: MIT
/* Creating and wiring machines: RAM, clock, vCPUs, local APICs, devices. */
#include "machine/machine.h"

#include "dev/acpi.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum svmemu_status machine_fail(struct svmemu *m, enum svmemu_status s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(m->error, sizeof(m->error), fmt, ap);
    va_end(ap);
    return s;
}

const char *svmemu_last_error(const struct svmemu *m)
{
    return m ? m->error : "";
}

static void diag_sink(void *ctx, const struct diag_record *r)
{
    struct svmemu *m = ctx;
    if (r->severity == DIAG_ERROR)
        snprintf(m->last_diag, sizeof(m->last_diag), "%s", r->text);
    if (!m->cfg.diag)
        return;
    struct svmemu_diag d = {
        .id = r->id, .severity = (int)r->severity, .vcpu = r->vcpu, .rip = r->rip, .insns = r->insns, .section = r->section, .text = r->text,
    };
    m->cfg.diag(m->cfg.ctx, &d);
}

/* ---- what vCPUs ask of their local APIC ---- */
static u8 op_get_tpr(void *ctx, int cpu)
{
    struct svmemu *m = ctx;
    return lapic_get_tpr(&m->lapic[cpu]);
}

static void op_set_tpr(void *ctx, int cpu, u8 tpr)
{
    struct svmemu *m = ctx;
    lapic_set_tpr(&m->lapic[cpu], tpr);
}

static int op_ack(void *ctx, int cpu)
{
    struct svmemu *m = ctx;
    return lapic_ack(&m->lapic[cpu]);
}

/* The timer asks for the time, so it is folded before its registers are looked at, as for any device. */
static struct lapic *lapic_now(struct svmemu *m, int cpu, u32 msr)
{
    struct vcpu *c = m->cpu[cpu];
    if (lapic_owns_msr(msr) && c->fold)
        c->fold(c);
    return &m->lapic[cpu];
}

static bool op_msr_read(void *ctx, int cpu, u32 msr, u64 *v)
{
    return lapic_msr_read(lapic_now(ctx, cpu, msr), msr, v) > 0;
}

static int op_msr_write(void *ctx, int cpu, u32 msr, u64 v)
{
    return lapic_msr_write(lapic_now(ctx, cpu, msr), msr, v);
}

static void op_tsc_moved(void *ctx, int cpu)
{
    struct svmemu *m = ctx;
    lapic_set_tsc_offset(&m->lapic[cpu], m->cpu[cpu]->st.tsc_offset);
}

/* Not when it is sent: GIF may hold it, an intercept or VM_CR.R_INIT turn it into something else [APM2 15.28]. */
static void op_avic_doorbell(void *ctx, u32 apic_id)
{
    struct svmemu *m = ctx;
    for (unsigned i = 0; i < m->vcpus; i++)
        if (m->lapic[i].s.id == apic_id)
            svm_avic_doorbell(m->cpu[i]);
}

static void op_init_taken(void *ctx, int cpu)
{
    struct svmemu *m = ctx;
    lapic_init_reset(&m->lapic[cpu]);
}

static void apic_base_changed(void *ctx, int cpu)
{
    struct svmemu *m = ctx;
    struct vcpu *c = m->cpu[cpu];
    if (!c)
        return;
    c->view.apic_page = lapic_mmio_page(&m->lapic[cpu]);
    c->st.apic_base = m->lapic[cpu].s.base;
    mmu_purge_derived(&c->mmu);
}

/* ---- what local APICs ask of vCPUs ---- */
static void pend(struct svmemu *m, int cpu, u32 bit, bool on)
{
    struct vcpu *c = m->cpu[cpu];
    if (!c)
        return;
    if (on)
        c->pending |= bit;
    else
        c->pending &= ~bit;
}

static void apic_intr(void *ctx, int cpu, bool level)
{
    pend(ctx, cpu, PEND_INTR, level);
}

static void apic_nmi(void *ctx, int cpu)
{
    pend(ctx, cpu, PEND_NMI, true);
}

static void apic_smi(void *ctx, int cpu)
{
    pend(ctx, cpu, PEND_SMI, true);
}

static void apic_init(void *ctx, int cpu)
{
    pend(ctx, cpu, PEND_INIT, true);
}

static void apic_sipi(void *ctx, int cpu, u8 vector)
{
    struct svmemu *m = ctx;
    struct vcpu *c = m->cpu[cpu];
    if (!c || (c->st.activity != ACT_WAIT_SIPI && !(c->pending & PEND_INIT)))
        return;
    c->sipi_vector = vector;
    c->pending |= PEND_SIPI;
}

/* ---- bus hooks are exec's; A20 and stops ---- */
void machine_set_a20(struct svmemu *m, bool on)
{
    for (unsigned i = 0; i < m->vcpus; i++) {
        m->cpu[i]->a20_masked = !on;
        cpu_update_a20(m->cpu[i]);
    }
}

void machine_stop(struct svmemu *m, enum svmemu_stop_reason r, u32 value, const char *text)
{
    if (m->stop_set)
        return;
    m->stop_set = true;
    m->stop.reason = r;
    m->stop.value = value;
    snprintf(m->stop.text, sizeof(m->stop.text), "%s", text);
    if (m->turn < m->vcpus)
        m->cpu[m->turn]->pending |= PEND_STOP;
}

static void shorten(void *ctx, u64 when)
{
    struct svmemu *m = ctx;
    if (when >= m->round_end)
        return;
    m->round_end = when;
    m->clock.limit = when;
    if (m->turn < m->vcpus)
        m->cpu[m->turn]->pending |= PEND_STOP;
}

void machine_cpu_changed(struct vcpu *c)
{
    c->next_rip = c->st.rip;
    cpu_update_mode(c);
    c->attn |= ATTN_MODE | ATTN_EVENT;
}

/* ---- creation ---- */
static bool feature(const struct svmemu *m, unsigned feat)
{
    return m->features[feat >> 6] >> (feat & 63) & 1;
}

static bool create_vcpu(struct svmemu *m, unsigned i)
{
    struct vcpu *c = calloc(1, sizeof(*c));
    if (!c)
        return false;
    m->cpu[i] = c;
    c->index = (int)i;
    c->cpus = m->vcpus;
    c->model = m->model;
    c->features = m->features;
    c->clock = &m->clock;
    c->diag = &m->diag;
    c->ops = &m->ops;
    c->view = (struct phys_view){
        .bus = m->bus, .cpu = (int)i, .apic_page = ~0ull, .apic_ops = &lapic_mmio_ops, .apic_ctx = &m->lapic[i], .a20_mask = ~0ull,
    };
    c->st.rng = (m->cfg.seed ^ 0x9E3779B97F4A7C15ull) + i * 0xBF58476D1CE4E5B9ull;
    if (!mmu_init(&c->mmu, &c->view, 0))
        return false;
    c->mmu.fast_off = m->cfg.fast_off;
    c->svm = svm_alloc();
    return c->svm && exec_add_vcpu(m->exec, c);
}

static void reset_vcpu(struct svmemu *m, unsigned i)
{
    struct vcpu *c = m->cpu[i];
    c->pending = 0;
    svm_reset(c);
    cpu_reset(c, false);
    c->st.apic_base = m->lapic[i].s.base;
    c->view.apic_page = lapic_mmio_page(&m->lapic[i]);
    op_tsc_moved(m, (int)i);
}

void svmemu_reset(struct svmemu *m)
{
    for (unsigned i = 0; i < m->vcpus; i++)
        lapic_reset(&m->lapic[i]);
    for (unsigned i = 0; i < m->vcpus; i++)
        reset_vcpu(m, i);
    if (m->pc)
        pc_reset(m);
    machine_set_a20(m, true);
    m->stop_set = false;
    /* the next run begins a round, where the vCPU that came furthest stands, not at the end of the round that was cut */
    m->turn = m->vcpus;
    m->round_end = m->round_start;
    for (unsigned i = 0; i < m->vcpus; i++)
        if (m->cpu[i]->ticks > m->round_end)
            m->round_end = m->cpu[i]->ticks;
    m->round_start = m->round_end;
    m->halted = 0;
}

static bool create_parts(struct svmemu *m)
{
    const struct apic_out out = {
        .ctx = m, .set_intr = apic_intr, .nmi = apic_nmi, .smi = apic_smi, .init = apic_init, .sipi = apic_sipi,
        .pic_ack = m->cfg.flags & SVMEMU_PC ? pc_pic_ack : NULL, .base_changed = apic_base_changed,
        .eoi = m->cfg.flags & SVMEMU_PC ? pc_apic_eoi : NULL,
    };
    const struct exec_config xc = { .blocks_off = m->cfg.blocks_off, .generic_only = m->cfg.generic_only };
    m->ops = (struct machine_cpu_ops){
        .ctx = m, .get_tpr = op_get_tpr, .set_tpr = op_set_tpr, .ack_intr = op_ack, .msr_read = op_msr_read,
        .msr_write = op_msr_write, .apic_base_changed = apic_base_changed, .init_taken = op_init_taken, .avic_doorbell = op_avic_doorbell,
        .tsc_moved = op_tsc_moved,
    };
    m->bus = bus_create(m->model->maxphys);
    m->cpu = calloc(m->vcpus, sizeof(struct vcpu *));
    m->lapic = calloc(m->vcpus, sizeof(*m->lapic));
    if (!m->bus || !m->cpu || !m->lapic || !apic_bus_init(&m->apics, (int)m->vcpus, &out))
        return false;
    m->view = (struct phys_view){ .bus = m->bus, .cpu = -1, .apic_page = ~0ull, .a20_mask = ~0ull };
    clock_init(&m->clock, m->model->core_hz, m->model->tsc_hz);
    m->clock.shorten = shorten;
    m->clock.shorten_ctx = m;
    m->exec = exec_create(m->bus, &m->clock, &xc);
    if (!m->exec || (m->low_ram && !bus_add_ram(m->bus, 0, m->low_ram, "ram")) ||
        (m->high_ram && !bus_add_ram(m->bus, HIGH_RAM_BASE, m->high_ram, "ram-high")))
        return false;
    for (unsigned i = 0; i < m->vcpus; i++) {
        const struct lapic_cfg lc = {
            .id = i, .bsp = i == 0, .x2apic = feature(m, FEAT_X2APIC), .ext_space = feature(m, FEAT_EXTAPIC),
            .tsc_deadline = feature(m, FEAT_TSCDEADLINE), .maxphys = m->model->maxphys,
        };
        lapic_init(&m->lapic[i], &m->apics, (int)i, &m->clock, &lc);
        if (!create_vcpu(m, i))
            return false;
    }
    return !(m->cfg.flags & SVMEMU_PC) || pc_create(m);
}

static enum svmemu_status check_config(struct svmemu *m)
{
    struct svmemu_config *c = &m->cfg;
    m->model = cpu_model_find(c->cpu);
    if (!m->model)
        return machine_fail(m, SVMEMU_PROFILE, "processor profile \"%s\" is not known; \"svmemu cpus\" or svmemu_profile_name() lists them", c->cpu);
    if (!c->vcpus)
        c->vcpus = 1;
    if (!c->memory && !c->no_memory)
        c->memory = 128u << 20;
    cpu_model_features(m->model, m->features);
    unsigned most = feature(m, FEAT_X2APIC) ? MACHINE_MAX_VCPUS : XAPIC_MAX_VCPUS;
    u64 least = c->flags & SVMEMU_PC ? 2u << 20 : 0, top = 1ull << (m->model->maxphys - 1 < 40 ? m->model->maxphys - 1 : 40);
    if (c->vcpus > most)
        return machine_fail(m, SVMEMU_ARGUMENT, "%u vCPUs: 1 to %u are possible with profile %s", c->vcpus, most, m->model->name);
    if (c->no_memory ? c->memory != 0 : c->memory & PAGE_MASK || c->memory < least || c->memory > top)
        return machine_fail(m, SVMEMU_ARGUMENT, "%llu bytes of memory: a multiple of 4096 from %llu to %llu is possible, or none with no_memory",
                            (unsigned long long)c->memory, (unsigned long long)least, (unsigned long long)top);
    if (c->serial_ports > 0xF)
        return machine_fail(m, SVMEMU_ARGUMENT, "serial ports %Xh: there are four", c->serial_ports);
    if (c->broken_acpi && !acpi_can_break(c->broken_acpi))
        return machine_fail(m, SVMEMU_NAME, "ACPI table \"%s\" to break: RSDP, RSDT, XSDT, FACP, APIC, HPET, MCFG and DSDT are possible",
                            c->broken_acpi);
    if (c->broken_acpi)
        memcpy(m->broken_acpi, c->broken_acpi, 4);
    if (!c->epoch)
        c->epoch = 1704067200;
    m->vcpus = c->vcpus;
    m->low_ram = c->memory < LOW_RAM_END ? c->memory : LOW_RAM_END;
    m->high_ram = c->memory - m->low_ram;
    return SVMEMU_OK;
}

enum svmemu_status svmemu_create(const struct svmemu_config *config, struct svmemu **out)
{
    if (!config || !out)
        return SVMEMU_ARGUMENT;
    *out = NULL;
    struct svmemu *m = calloc(1, sizeof(*m));
    if (!m)
        return SVMEMU_MEMORY;
    m->cfg = *config;
    m->diag = (struct diag){ .sink = diag_sink, .ctx = m };
    atomic_init(&m->stop_request, false);
    enum svmemu_status s = check_config(m);
    if (s == SVMEMU_OK && !create_parts(m))
        s = SVMEMU_MEMORY;
    m->cfg.cpu = m->cfg.broken_acpi = NULL; /* the caller's strings */
    if (s != SVMEMU_OK) {
        if (*m->error) /* the only way to say more than the status: there will be no machine to ask */
            diag_emit(&m->diag, DIAG_ERROR, "machine.config", -1, 0, 0, NULL, "%s", m->error);
        svmemu_destroy(m);
        return s;
    }
    svmemu_reset(m);
    *out = m;
    return SVMEMU_OK;
}

void svmemu_destroy(struct svmemu *m)
{
    if (!m)
        return;
    if (m->exec)
        exec_destroy(m->exec);
    for (unsigned i = 0; m->cpu && i < m->vcpus; i++) {
        if (!m->cpu[i])
            continue;
        if (m->cpu[i]->mmu.tlb)
            mmu_free(&m->cpu[i]->mmu);
        if (m->cpu[i]->svm)
            svm_free(m->cpu[i]->svm);
        free(m->cpu[i]);
    }
    if (m->apics.cpus)
        apic_bus_fini(&m->apics);
    while (m->ranges) {
        struct user_range *r = m->ranges;
        m->ranges = r->next;
        free(r);
    }
    symbols_free(m->symbols);
    symbols_free(m->user_symbols);
    free(m->cpu);
    free(m->lapic);
    pci_functions_free(m);
    pc_destroy(m);
    if (m->bus)
        bus_destroy(m->bus);
    free(m);
}
