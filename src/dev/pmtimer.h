// SPDX-License-Identifier: MIT
/* ACPI fixed hardware in one window of 64 ports: PM1a event block +0, control block +4, PM timer +8 (3.579545 MHz, 32 bits),
 * general-purpose events +0Ch. The window is where PMBA of the power management function says; firmware puts it at 600h. */
#ifndef SVMEMU_DEV_PMTIMER_H
#define SVMEMU_DEV_PMTIMER_H

#include "bus/bus.h"
#include "bus/clock.h"

#define PM_PORT 0x600u
#define PM1_CNT 4u /* in the window, which starts with the event block */
#define PM_TMR 8u
#define PM_GPE0 12u
#define PM_WINDOW 64u
#define PM_TMR_HZ 3579545u
#define PM_SLP_TYP_S5 5u            /* what \_S5 of the DSDT says */
#define PM_SLP_TYP_SOFT_OFF 0u      /* PIIX4's own code, which small guests have built in (2000h to port 604h) */
#define PM_SCI_IRQ 9u

struct pmtimer_state {
    u16 status, enable, control;
    u16 gpe_status, gpe_enable;
    u64 seen_halves;     /* half periods of the timer (bit 31 changes) that have been turned into TMR_STS */
};

struct pmtimer {
    struct pmtimer_state s;
    struct clock *clock;
    struct clock_event event;
    struct irq_line sci;
    void (*power_off)(void *ctx);
    void *power_off_ctx;
};

extern const struct mmio_ops pmtimer_ops; /* PM_WINDOW ports */

void pmtimer_init(struct pmtimer *p, struct clock *c, struct irq_line sci, void (*power_off)(void *ctx), void *ctx);
void pmtimer_reset(struct pmtimer *p);
void pmtimer_power_button(struct pmtimer *p);
void pmtimer_sleep_button(struct pmtimer *p);
void pmtimer_gpe(struct pmtimer *p, unsigned n); /* general-purpose event 0-15 */

#endif
