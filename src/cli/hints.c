// SPDX-License-Identifier: MIT
/* For --explain: what the processor accepts without a word and a hypervisor hardly meant. Each is said once a vCPU. Looking changes nothing. */
#include "cli/cli.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MSR_VM_HSAVE_PA 0xC0010117u
#define MAP_PAGE 4096u
enum { HINT_HSAVE = 1, HINT_IOPM = 2, HINT_MSRPM = 4, HINT_ASID = 8 };
enum { ASIDS = 64, FLUSH_NOTHING = 0, FLUSH_ALL = 1 }; /* ASIDs that are watched; TLB_CONTROL */

struct cpu_hints {
    unsigned given;   /* of the enum above */
    uint64_t address; /* of the VMCB that `vmcb` shows */
    bool known;
    uint8_t vmcb[SVMEMU_VMCB_SIZE]; /* as #VMEXIT left it in memory: what a processor that keeps VMCBs has kept */
    bool stale_given[SVMEMU_VMCB_SIZE]; /* by offset */
    uint64_t n_cr3[ASIDS]; /* with which an ASID ran last since all was flushed; 0: not at all */
};

struct hints {
    struct svmemu *m;
    struct cpu_hints cpu[];
};

struct hints *hints_create(struct svmemu *m, unsigned vcpus)
{
    struct hints *h = calloc(1, sizeof(*h) + vcpus * sizeof(h->cpu[0]));
    if (h)
        h->m = m;
    return h;
}

void hints_destroy(struct hints *h)
{
    free(h);
}

static uint64_t field(struct hints *h, const struct svmemu_switch *s, const char *name)
{
    uint64_t v = 0;
    svmemu_vmcb_read(h->m, s->vmcb, name, &v);
    return v;
}

/* The VMCB functions tell whether a page is memory without touching devices. */
static bool memory_at(struct hints *h, uint64_t base, unsigned pages)
{
    uint64_t v;
    for (unsigned i = 0; i < pages; i++)
        if (svmemu_vmcb_read(h->m, (base & ~(uint64_t)(MAP_PAGE - 1)) + i * MAP_PAGE, "asid", &v) != SVMEMU_OK)
            return false;
    return true;
}

static bool first(struct hints *h, const struct svmemu_switch *s, unsigned hint)
{
    bool before = h->cpu[s->vcpu].given & hint;
    h->cpu[s->vcpu].given |= hint;
    return !before;
}

static void save_area(struct hints *h, const struct svmemu_switch *s)
{
    uint64_t hsave;
    if (svmemu_msr_read(h->m, (unsigned)s->vcpu, MSR_VM_HSAVE_PA, &hsave) == SVMEMU_OK && !hsave && first(h, s, HINT_HSAVE))
        fprintf(stderr, "[%d] hint: VM_HSAVE_PA is 0: VMRUN saves the host's state over the page at address 0; write the address of a page "
                        "of its own to MSR C0010117h [APM2 15.30.4]\n", s->vcpu);
}

static void map(struct hints *h, const struct svmemu_switch *s, unsigned hint, const char *intercept, const char *name, unsigned pages)
{
    uint64_t base = field(h, s, name);
    if (field(h, s, intercept) && !memory_at(h, base, pages) && first(h, s, hint))
        fprintf(stderr, "[%d] hint: %s = %#" PRIx64 ": there is not memory for all %u KiB of the map, what is missing reads as ones and "
                        "intercepts [APM2 %s]\n", s->vcpu, name, base, pages * 4, hint == HINT_IOPM ? "15.10.1" : "15.11");
}

struct comparison {
    struct cpu_hints *cpu;
    const struct svmemu_switch *s;
    uint64_t clean;
};

static void stale(void *ctx, const struct svmemu_field *f, uint64_t kept, uint64_t now)
{
    struct comparison *c = ctx;
    if (f->clean < 0 || !(c->clean >> f->clean & 1) || c->cpu->stale_given[f->offset])
        return;
    c->cpu->stale_given[f->offset] = true;
    fprintf(stderr, "[%d] hint: %s at %03Xh was changed from %#" PRIx64 " to %#" PRIx64 " since the last #VMEXIT, but bit %d of VMCB_CLEAN (0C0h) "
                    "is set: the processor may go on with the old value; clear the bit [APM2 15.15]\n", c->s->vcpu, f->name, f->offset, kept,
            now, f->clean);
}

/* A VMCB that another one came between is not looked at: processors may have forgotten it. */
static void clean_bits(struct hints *h, const struct svmemu_switch *s)
{
    struct cpu_hints *cpu = &h->cpu[s->vcpu];
    struct comparison c = { cpu, s, field(h, s, "clean") };
    uint8_t now[SVMEMU_VMCB_SIZE];
    if (c.clean && cpu->known && cpu->address == s->vmcb && svmemu_mem_read(h->m, s->vmcb, now, sizeof(now)) == SVMEMU_OK)
        svmemu_vmcb_diff(cpu->vmcb, now, stale, &c);
}

/* The TLB knows ASIDs, not tables. */
static void nested_tables(struct hints *h, const struct svmemu_switch *s)
{
    struct cpu_hints *cpu = &h->cpu[s->vcpu];
    uint64_t control = field(h, s, "tlb_control"), now = field(h, s, "n_cr3");
    if (control == FLUSH_ALL)
        memset(cpu->n_cr3, 0, sizeof(cpu->n_cr3));
    if (!field(h, s, "np_enable") || s->asid >= ASIDS)
        return;
    uint64_t before = cpu->n_cr3[s->asid];
    cpu->n_cr3[s->asid] = now;
    if (control == FLUSH_NOTHING && before && before != now && first(h, s, HINT_ASID))
        fprintf(stderr, "[%d] hint: ASID %u ran with n_cr3 %#" PRIx64 " and now has %#" PRIx64 " without a flush by TLB_CONTROL (05Ch): "
                        "translations by the old tables may still be used, unless INVLPGA or INVLPGB removed them [APM2 15.16]\n", s->vcpu,
                s->asid, before, now);
}

void hints_switch(struct hints *h, const struct svmemu_switch *s)
{
    struct cpu_hints *cpu = &h->cpu[s->vcpu];
    if (s->entry) {
        save_area(h, s);
        map(h, s, HINT_IOPM, "icpt.IOIO_PROT", "iopm_base", 3);
        map(h, s, HINT_MSRPM, "icpt.MSR_PROT", "msrpm_base", 2);
        nested_tables(h, s);
        clean_bits(h, s);
        return;
    }
    cpu->address = s->vmcb;
    cpu->known = !s->check_count && svmemu_mem_read(h->m, s->vmcb, cpu->vmcb, sizeof(cpu->vmcb)) == SVMEMU_OK;
}
