// SPDX-License-Identifier: MIT
/* Intercepts that need more than one bit (I/O and MSR maps, pause filter), virtual interrupts, and the small SVM
 * instructions. */
#include "svm/world.h"

bool svm_io_intercepted(struct vcpu *c, u16 port, unsigned width)
{
    if (!cpu_icpt(c, ICPT_IOIO_PROT))
        return false;
    /* Bits of all bytes are ORed; the map has 64K + 3 bits, so an access at FFFFh runs into the third page.
     * [APM2 15.10.1] */
    u64 map = phys_read_le(&c->view, (struct spa){c->svm->iopm + port / 8}, 2);
    return map >> (port & 7) & ((1u << width) - 1);
}

bool svm_io_exit(struct vcpu *c, const struct svm_io *io)
{
    unsigned width = io->width > 4 ? 4 : io->width;
    u64 info = (u64)io->in | (u64)io->str << 2 | (u64)io->rep << 3 | (u64)width << 4 | (u64)io->port << 16;
    info |= (u64)(io->asz == 2) << 7 | (u64)(io->asz == 4) << 8 | (u64)(io->asz == 8) << 9;
    if (io->str && !io->in && cpu_has(c, FEAT_DECODEASSISTS))
        info |= (u64)(io->seg & 7) << 10;
    /* EXITINFO2 is the RIP after the instruction, with or without nRIP save. [APM2 15.10.2] */
    return cpu_exit(c, VMEXIT_IOIO, info, c->next_rip);
}

bool svm_msr_intercepted(struct vcpu *c, u32 msr, bool write)
{
    static const struct {
        u32 first, map;
    } range[] = {{0, 0}, {0xC0000000u, 0x800}, {0xC0010000u, 0x1000}};
    if (!cpu_icpt(c, ICPT_MSR_PROT))
        return false;
    for (unsigned i = 0; i < ARRAY_LEN(range); i++) {
        u32 n = msr - range[i].first;
        if (n < 0x2000) {
            u64 byte = phys_read_le(&c->view, (struct spa){c->svm->msrpm + range[i].map + n / 4}, 1);
            return byte >> ((n & 3) * 2 + write) & 1;
        }
    }
    return true; /* outside the map: always [APM2 15.11] */
}

bool svm_pause_intercepted(struct vcpu *c)
{
    struct svm_cpu *s = c->svm;
    if (!cpu_icpt(c, ICPT_PAUSE))
        return false;
    if (!cpu_has(c, FEAT_PAUSEFILTER))
        return true;
    if (c->fold)
        c->fold(c); /* the threshold needs today's time */
    if (s->pause_thresh && (c->ticks - s->pause_last) / TICKS_PER_CYCLE > s->pause_thresh) {
        s->pause_count = s->pause_reload;
        s->pause_last = c->ticks;
        return false;
    }
    s->pause_last = c->ticks;
    if (s->pause_count == 0)
        return true;
    s->pause_count--;
    return false;
}

bool svm_bus_lock_exits(struct vcpu *c)
{
    if (c->svm->bus_lock_count == 0)
        return true;
    c->svm->bus_lock_count--;
    return false;
}

bool svm_idle(const struct vcpu *c)
{
    if (c->avic)
        return svm_avic_candidate(c) < 0 && !(c->svm->vnmi && (c->svm->int_ctl & INT_CTL_V_NMI));
    return !(c->svm->int_ctl & (INT_CTL_V_IRQ | (c->svm->vnmi ? INT_CTL_V_NMI : 0)));
}

bool svm_mc_always_exits(const struct vcpu *c)
{
    return c->guest && !(c->st.cr4 & CR4_MCE) && cpu_has(c, FEAT_HOSTMCEOVERRIDE) && (c->nest.hcr4 & CR4_MCE);
}

/* ---- virtual interrupts [APM2 15.21] ---- */
bool svm_vintr_due(const struct vcpu *c)
{
    const struct svm_cpu *s = c->svm;
    if (!c->guest || (s->vgif && !(s->int_ctl & INT_CTL_V_GIF)))
        return false;
    if (UNLIKELY(c->avic != NULL))
        return svm_avic_candidate(c) >= 0;
    if (!(s->int_ctl & INT_CTL_V_IRQ))
        return false;
    return (s->int_ctl & INT_CTL_V_IGN_TPR) || (s->int_ctl >> 16 & 15) > (c->st.cr8 & 15);
}

u8 svm_vintr_take(struct vcpu *c)
{
    if (UNLIKELY(c->avic != NULL))
        return svm_avic_take(c);
    c->svm->int_ctl &= ~(u32)INT_CTL_V_IRQ;
    c->pending &= ~(u32)PEND_VINTR;
    return c->svm->int_vector;
}

bool svm_vnmi_due(const struct vcpu *c)
{
    const struct svm_cpu *s = c->svm;
    if (!c->guest || !s->vnmi || (s->vgif && !(s->int_ctl & INT_CTL_V_GIF)))
        return false;
    return (s->int_ctl & (INT_CTL_V_NMI | INT_CTL_V_NMI_MASK)) == INT_CTL_V_NMI;
}

void svm_virtual_nmi_pending(struct vcpu *c)
{
    const struct svm_cpu *s = c->svm;
    if (s->vnmi && (s->int_ctl & (INT_CTL_V_NMI | INT_CTL_V_NMI_MASK)) == INT_CTL_V_NMI)
        c->pending |= PEND_VNMI;
}

void svm_vnmi_take(struct vcpu *c)
{
    c->pending &= ~(u32)PEND_VNMI;
    c->svm->int_ctl = (c->svm->int_ctl & ~(u32)INT_CTL_V_NMI) | INT_CTL_V_NMI_MASK;
}

bool svm_iret_unblocks(struct vcpu *c)
{
    if (!c->guest || !c->svm->vnmi)
        return true;
    c->svm->int_ctl &= ~(u32)INT_CTL_V_NMI_MASK;
    svm_virtual_nmi_pending(c);
    c->attn |= ATTN_EVENT;
    return false;
}

/* ---- STGI, CLGI, INVLPGA ---- */
static void set_gif(struct vcpu *c, bool on)
{
    if (c->guest && c->svm->vgif)
        c->svm->int_ctl = on ? c->svm->int_ctl | INT_CTL_V_GIF : c->svm->int_ctl & ~(u32)INT_CTL_V_GIF;
    else
        c->st.gif = on;
    c->attn |= ATTN_EVENT;
}

void svm_stgi(struct vcpu *c)
{
    set_gif(c, true);
}

void svm_clgi(struct vcpu *c)
{
    set_gif(c, false);
}

void svm_invlpga(struct vcpu *c, u64 lin, u32 asid)
{
    mmu_flush_page(&c->mmu, asid, (struct gva){lin});
}

/* ---- events under delivery [APM2 15.7.2] ---- */
u64 svm_intinfo(const struct event *e)
{
    unsigned type = e->kind == EV_INTR   ? INJ_INTR
                    : e->kind == EV_NMI  ? INJ_NMI
                    : e->kind == EV_SOFT ? INJ_SOFT
                                         : INJ_EXC;
    u64 v = INJ_V | (u64)type << 8 | e->vec;
    return e->has_err ? v | INJ_EV | (u64)e->err << 32 : v;
}
