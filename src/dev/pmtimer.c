// SPDX-License-Identifier: MIT
/* ACPI fixed hardware [ACPI 6.4 4.8.3]: PM1a status, enable and control, the PM timer, and a general-purpose event block. */
#include "dev/pmtimer.h"

#include "base/bits.h"

enum { STS_TMR = 1 << 0, STS_GBL = 1 << 5, STS_PWRBTN = 1 << 8, STS_SLPBTN = 1 << 9, STS_RTC = 1 << 10, STS_WAK = 1 << 15 };
#define STS_ALL (STS_TMR | STS_GBL | STS_PWRBTN | STS_SLPBTN | STS_RTC | STS_WAK)
#define EN_ALL (STS_TMR | STS_GBL | STS_PWRBTN | STS_SLPBTN | STS_RTC)
#define CNT_SCI_EN 1u
#define CNT_SLP_EN (1u << 13)

static u64 timer_count(struct pmtimer *p) { return clock_ticks_to(p->clock, clock_show(p->clock, p->clock->now), PM_TMR_HZ); }

/* TMR_STS is set each time bit 31 changes. */
static void update(struct pmtimer *p)
{
    u64 halves = clock_ticks_to(p->clock, p->clock->now, PM_TMR_HZ) >> 31;
    if (halves > p->s.seen_halves) {
        p->s.seen_halves = halves;
        p->s.status |= STS_TMR;
    }
    bool event = (p->s.status & p->s.enable & EN_ALL) || (p->s.gpe_status & p->s.gpe_enable);
    irq_set(&p->sci, event && (p->s.control & CNT_SCI_EN));
    if ((p->s.enable & STS_TMR) && !(p->s.status & STS_TMR))
        clock_arm(p->clock, &p->event, clock_ticks_from(p->clock, (halves + 1) << 31, PM_TMR_HZ));
    else
        clock_disarm(p->clock, &p->event);
}

static void event_fire(void *ctx) { update(ctx); }

static u64 pm_read(void *ctx, u64 off, unsigned width, int cpu)
{
    struct pmtimer *p = ctx;
    u8 image[16] = { 0 };
    (void)cpu;
    update(p);
    store_le(image, 2, p->s.status);
    store_le(image + 2, 2, p->s.enable);
    store_le(image + 4, 2, p->s.control);
    store_le(image + 8, 4, (u32)timer_count(p));
    store_le(image + 12, 2, p->s.gpe_status);
    store_le(image + 14, 2, p->s.gpe_enable);
    return off + width <= sizeof(image) ? load_le(image + off, width) : 0; /* the rest is reserved and reads zero */
}

static void write_control(struct pmtimer *p, u16 v)
{
    p->s.control = (u16)(v & 0x1C03); /* SCI_EN, BM_RLD, SLP_TYP */
    unsigned type = v >> 10 & 7;
    if ((v & CNT_SLP_EN) && (type == PM_SLP_TYP_S5 || type == PM_SLP_TYP_SOFT_OFF) && p->power_off)
        p->power_off(p->power_off_ctx);
}

/* Byte by byte, so that every width works; control acts once, after its last byte. */
static void pm_write(void *ctx, u64 off, unsigned width, u64 value, int cpu)
{
    struct pmtimer *p = ctx;
    u16 control = p->s.control;
    bool control_written = false;
    (void)cpu;
    update(p);
    for (unsigned i = 0; i < width; i++) {
        unsigned at = (unsigned)off + i, shift = 8 * (at & 1);
        u16 v = (u16)((value >> 8 * i & 0xFF) << shift), keep = (u16)~(0xFFu << shift);
        switch (at >> 1) {
        case 0: p->s.status &= (u16)~v; break;
        case 1: p->s.enable = (u16)(((p->s.enable & keep) | v) & EN_ALL); break;
        case 6: p->s.gpe_status &= (u16)~v; break;
        case 7: p->s.gpe_enable = (u16)((p->s.gpe_enable & keep) | v); break;
        case 2:
            control = (u16)((control & keep) | v);
            control_written = true;
            break;
        default: break; /* the timer is read-only */
        }
    }
    if (control_written)
        write_control(p, control);
    update(p);
}

void pmtimer_power_button(struct pmtimer *p)
{
    p->s.status |= STS_PWRBTN;
    update(p);
}

void pmtimer_sleep_button(struct pmtimer *p)
{
    p->s.status |= STS_SLPBTN;
    update(p);
}

void pmtimer_gpe(struct pmtimer *p, unsigned n)
{
    p->s.gpe_status |= (u16)(1u << (n & 15));
    update(p);
}

/* No SMI command port: the machine is in ACPI mode from the start. */
void pmtimer_reset(struct pmtimer *p)
{
    p->s = (struct pmtimer_state){ .control = CNT_SCI_EN };
    p->s.seen_halves = clock_ticks_to(p->clock, p->clock->now, PM_TMR_HZ) >> 31;
    update(p);
}

const struct mmio_ops pmtimer_ops = { pm_read, pm_write, 1, 4 };

void pmtimer_init(struct pmtimer *p, struct clock *c, struct irq_line sci, void (*power_off)(void *ctx), void *ctx)
{
    *p = (struct pmtimer){ .clock = c, .sci = sci, .power_off = power_off, .power_off_ctx = ctx };
    p->event = (struct clock_event){ .fire = event_fire, .ctx = p, .name = "pmtimer" };
    pmtimer_reset(p);
}
