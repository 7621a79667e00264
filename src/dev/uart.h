// SPDX-License-Identifier: MIT
/* 16550A serial port. Transmits at once; receives from the host through uart_input() and uart_input_break(). */
#ifndef SVMEMU_DEV_UART_H
#define SVMEMU_DEV_UART_H

#include "bus/bus.h"
#include "bus/clock.h"

#define UART_FIFO 16u
#define UART_HOST_QUEUE 4096u
#define UART_BREAK 0x100u

struct uart_state {
    u8 ier, fcr, lcr, mcr, msr, scr, lsr_errors; /* lsr_errors: OE, FE and BI until LSR is read */
    u16 divisor;
    u16 rx[UART_FIFO];  /* bytes, and UART_BREAK until they are the next to be read */
    u8 rx_head, rx_count;
    bool thre_pending;  /* THRE interrupt source, cleared by reading IIR or writing THR */
    bool timeout;       /* character timeout: bytes below the trigger level for four character times */
    bool line;
    u64 rx_when;        /* ticks of the last byte that came in or was read */
};

/* The other end of the line; each may be NULL. */
struct uart_out {
    void *ctx;
    void (*output)(void *ctx, u8 byte);
    void (*set_break)(void *ctx, bool on);
    void (*hungry)(void *ctx); /* the last queued byte has gone into the receiver */
};

struct uart {
    struct uart_state s;
    u16 queue[UART_HOST_QUEUE]; /* bytes and breaks from the host that have not reached the receiver yet */
    unsigned q_head, q_count;
    struct clock *clock;
    struct clock_event rx_event;
    struct irq_line irq;
    struct uart_out out;
};

bool uart_init(struct uart *u, struct bus *b, struct clock *c, u16 port, struct irq_line irq);
void uart_reset(struct uart *u);
void uart_connect(struct uart *u, const struct uart_out *out);
/* Queues input; returns how many bytes fitted. They arrive paced by virtual time, so give them at reproducible points. */
size_t uart_input(struct uart *u, const void *data, size_t len);
bool uart_input_break(struct uart *u); /* false: the queue is full */

#endif
