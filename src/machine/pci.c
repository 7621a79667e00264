// SPDX-License-Identifier: MIT
/* PCI functions that the caller adds. */
#include "svmemu/pci.h"

#include "base/bits.h"
#include "dev/pci_msi.h"
#include "machine/machine.h"

#include <stdlib.h>

struct svmemu_pci {
    struct svmemu_pci *next;
    struct pci_function f;
    struct pci_messages messages;
    struct mmio_ops ops[6];
    void (*written)(void *ctx, unsigned reg, unsigned width);
    void *ctx;
};

static bool power_of_two(u64 v) { return v && !(v & (v - 1)); }

static enum svmemu_status check_bar(struct svmemu *m, const struct svmemu_pci_config *c, unsigned i)
{
    const struct svmemu_pci_bar *b = &c->bar[i];
    if (!b->size)
        return SVMEMU_OK;
    if (!power_of_two(b->size) || b->size < (b->io ? 4 : 16) || b->size > (b->io ? 256 : b->wide ? 1ull << 40 : 1ull << 31))
        return machine_fail(m, SVMEMU_ARGUMENT, "BAR %u: a size of %#llx is not possible", i, (unsigned long long)b->size);
    if (b->wide && (b->io || i == 5 || c->bar[i + 1].size))
        return machine_fail(m, SVMEMU_ARGUMENT, "BAR %u: a 64-bit memory BAR takes the next one's register", i);
    return machine_check_ops(m, &b->ops);
}

static enum svmemu_status check(struct svmemu *m, const struct svmemu_pci_config *c)
{
    if (!m->pc)
        return machine_fail(m, SVMEMU_UNSUPPORTED, "PCI is part of the PC platform");
    if (c->device < 2 || c->device > 31 || c->function > 7 || c->pin > 4 || c->class_code >> 24)
        return machine_fail(m, SVMEMU_ARGUMENT, "PCI function %u.%u: device 2 to 31, function 0 to 7, pin 0 to 4, class of 24 bits",
                            c->device, c->function);
    if (m->pc->pci.fn[PCI_DEVFN(c->device, c->function)])
        return machine_fail(m, SVMEMU_OVERLAP, "there is a PCI function %u.%u already", c->device, c->function);
    if (c->msi && (!power_of_two(c->msi) || c->msi > MSI_MAX))
        return machine_fail(m, SVMEMU_ARGUMENT, "%u messages by MSI: 1, 2, 4, 8, 16 or 32", c->msi);
    unsigned own = c->msix_bar;
    if (c->msix > MSIX_MAX || (c->msix && (own > 5 || c->bar[own].size || (own && c->bar[own - 1].wide))))
        return machine_fail(m, SVMEMU_ARGUMENT, "%u entries of MSI-X need a BAR of their own", c->msix);
    for (unsigned i = 0; i < 6; i++) {
        enum svmemu_status s = check_bar(m, c, i);
        if (s != SVMEMU_OK)
            return s;
    }
    return SVMEMU_OK;
}

static void config_written(void *ctx, unsigned first, unsigned len)
{
    struct svmemu_pci *p = ctx;
    pci_messages_written(&p->messages, first, len);
    if (p->written)
        p->written(p->ctx, first, len);
}

static void describe(struct svmemu_pci *p, const struct svmemu_pci_config *c)
{
    pci_describe(&p->f, c->vendor, c->id, c->class_code, c->revision);
    pci_register(&p->f, PCI_SUBVENDOR, 2, c->subvendor, 0);
    pci_register(&p->f, PCI_SUBSYSTEM, 2, c->subsystem, 0);
    pci_register(&p->f, PCI_PIN, 1, c->pin, 0);
    for (unsigned i = 0; i < 6; i++) {
        const struct svmemu_pci_bar *b = &c->bar[i];
        p->ops[i] = (struct mmio_ops){ b->ops.read, b->ops.write, b->ops.min_width, b->ops.max_width };
        if (b->size)
            pci_describe_bar(&p->f, i, b->size, b->io, b->wide, &p->ops[i], b->ctx);
    }
}

/* Guests look for functions 1 to 7 only where function 0 says that there may be more. */
static void say_multifunction(struct pci_bus *bus, unsigned device)
{
    struct pci_function *first = bus->fn[PCI_DEVFN(device, 0)];
    bool more = false;
    for (unsigned i = 1; i < 8; i++)
        more |= bus->fn[PCI_DEVFN(device, i)] != NULL;
    if (first && more)
        first->reset[PCI_HEADER] = first->s.config[PCI_HEADER] = 0x80;
}

enum svmemu_status svmemu_pci_add(struct svmemu *m, const struct svmemu_pci_config *c, struct svmemu_pci **out)
{
    enum svmemu_status s = check(m, c);
    *out = NULL;
    if (s != SVMEMU_OK)
        return s;
    struct svmemu_pci *p = calloc(1, sizeof(*p));
    if (!p)
        return SVMEMU_MEMORY;
    describe(p, c);
    if (!pci_messages_init(&p->messages, &p->f, c->msi, c->msix, c->msix_bar)) {
        free(p);
        return SVMEMU_MEMORY;
    }
    p->written = c->written;
    p->ctx = c->ctx;
    p->f.written = config_written;
    p->f.ctx = p;
    p->next = m->pci;
    m->pci = p;
    pci_add(&m->pc->pci, &p->f, (u8)PCI_DEVFN(c->device, c->function));
    say_multifunction(&m->pc->pci, c->device);
    *out = p;
    return SVMEMU_OK;
}

void svmemu_pci_interrupt(struct svmemu_pci *p, unsigned vector, bool level)
{
    pci_messages_set(&p->messages, vector, level);
}

uint32_t svmemu_pci_config_read(const struct svmemu_pci *p, unsigned reg, unsigned width)
{
    if ((width != 1 && width != 2 && width != 4) || reg >= PCI_CONFIG_SIZE)
        return ~0u;
    return pci_config_read(p->f.bus, 0, p->f.devfn, reg, width);
}

void pci_functions_free(struct svmemu *m)
{
    while (m->pci) {
        struct svmemu_pci *p = m->pci;
        m->pci = p->next;
        pci_messages_fini(&p->messages);
        free(p);
    }
}
