// SPDX-License-Identifier: MIT
/* 16550A serial port. Transmits at once; receives from the host through uart_input(). */
#ifndef SVMEMU_DEV_UART_H
#define SVMEMU_DEV_UART_H

#include "bus/bus.h"
#include "bus/clock.h"

#define UART_FIFO 16u
#define UART_HOST_QUEUE 4096u

struct uart_state {
    u8 ier, fcr, lcr, mcr, msr, scr, lsr_errors; /* lsr_errors: OE and BI until LSR is read */
    u16 divisor;
    u8 rx[UART_FIFO], rx_head, rx_count;
    bool thre_pending;  /* THRE interrupt source, cleared by reading IIR or writing THR */
    bool timeout;       /* character timeout: bytes below the trigger level for four character times */
    bool line;
    u64 rx_when;        /* ticks of the last byte that came in or was read */
};

struct uart {
    struct uart_state s;
    u8 queue[UART_HOST_QUEUE]; /* bytes the host typed that have not reached the receiver yet */
    unsigned q_head, q_count;
    struct clock *clock;
    struct clock_event rx_event;
    struct irq_line irq;
    void (*output)(void *ctx, u8 byte);
    void *output_ctx;
};

bool uart_init(struct uart *u, struct bus *b, struct clock *c, u16 port, struct irq_line irq);
void uart_reset(struct uart *u);
void uart_set_output(struct uart *u, void (*output)(void *ctx, u8 byte), void *ctx);
/* Queues input; returns how many bytes fitted. They arrive paced by virtual time, so give them at reproducible points. */
size_t uart_input(struct uart *u, const void *data, size_t len);

#endif
