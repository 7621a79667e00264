// SPDX-License-Identifier: MIT
/* 16550A [National PC16550D data sheet]. The transmitter is always empty: bytes leave at once. */
#include "dev/uart.h"

#include "base/bits.h"

enum { IER_RDA = 1, IER_THRE = 2, IER_RLS = 4, IER_MSI = 8 };
enum { LSR_DR = 1, LSR_OE = 2, LSR_FE = 8, LSR_BI = 0x10, LSR_THRE = 0x20, LSR_TEMT = 0x40, LSR_FIFO = 0x80 };
enum { MCR_OUT2 = 8, MCR_LOOP = 0x10 };
#define LCR_DLAB 0x80
#define LCR_BREAK 0x40
#define FCR_ENABLE 1

static unsigned fifo_size(const struct uart *u) { return u->s.fcr & FCR_ENABLE ? UART_FIFO : 1; }

static unsigned trigger(const struct uart *u)
{
    static const u8 level[4] = { 1, 4, 8, 14 };
    return u->s.fcr & FCR_ENABLE ? level[u->s.fcr >> 6] : 1;
}

/* Ticks of one character: start, data, parity and stop bits at 115200 / divisor baud. */
static u64 char_ticks(const struct uart *u)
{
    unsigned bit_count = 1 + 5 + (u->s.lcr & 3) + (u->s.lcr >> 3 & 1) + 1 + (u->s.lcr >> 2 & 1);
    u64 divisor = u->s.divisor ? u->s.divisor : 1;
    return clock_ticks_from(u->clock, bit_count * divisor, 115200);
}

/* The highest interrupt source as IIR bits 3:0. */
static u8 iir(const struct uart *u)
{
    const struct uart_state *s = &u->s;
    if ((s->ier & IER_RLS) && s->lsr_errors)
        return 6;
    if ((s->ier & IER_RDA) && s->rx_count >= trigger(u))
        return 4;
    if ((s->ier & IER_RDA) && s->timeout)
        return 0xC;
    if ((s->ier & IER_THRE) && s->thre_pending)
        return 2;
    if ((s->ier & IER_MSI) && (s->msr & 0xF))
        return 0;
    return 1;
}

/* OUT2 gates the interrupt onto the bus in a PC; in loop-back mode it is not driven. */
static void update(struct uart *u)
{
    bool level = !(iir(u) & 1) && (u->s.mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;
    if (level != u->s.line) {
        u->s.line = level;
        irq_set(&u->irq, level);
    }
}

/* Errors of a byte show when it is the next to be read. A break is a zero without its stop bit. */
static void reveal(struct uart_state *s)
{
    if (s->rx_count && (s->rx[s->rx_head] & UART_BREAK)) {
        s->lsr_errors |= LSR_BI | LSR_FE;
        s->rx[s->rx_head] = 0;
    }
}

static bool hidden_errors(const struct uart_state *s)
{
    for (unsigned i = 0; i < s->rx_count; i++)
        if (s->rx[(s->rx_head + i) % UART_FIFO] & UART_BREAK)
            return true;
    return false;
}

static void receive(struct uart *u, u16 byte)
{
    struct uart_state *s = &u->s;
    if (s->rx_count >= fifo_size(u)) {
        s->lsr_errors |= LSR_OE;
        if (!(s->fcr & FCR_ENABLE))
            s->rx[s->rx_head] = byte; /* without FIFO the new byte overwrites */
    } else {
        s->rx[(s->rx_head + s->rx_count++) % UART_FIFO] = byte;
    }
    reveal(s);
    s->timeout = false;
    s->rx_when = u->clock->now;
}

/* One event serves both the next host byte and the character timeout. */
static void arm(struct uart *u)
{
    bool input = u->q_count && u->s.rx_count < fifo_size(u) && !(u->s.mcr & MCR_LOOP);
    bool timeout = (u->s.fcr & FCR_ENABLE) && u->s.rx_count && !u->s.timeout;
    if (input)
        clock_arm(u->clock, &u->rx_event, u->s.rx_when + char_ticks(u));
    else if (timeout)
        clock_arm(u->clock, &u->rx_event, u->s.rx_when + 4 * char_ticks(u));
    else
        clock_disarm(u->clock, &u->rx_event);
}

static void rx_fire(void *ctx)
{
    struct uart *u = ctx;
    if (u->q_count && u->s.rx_count < fifo_size(u) && !(u->s.mcr & MCR_LOOP)) {
        receive(u, u->queue[u->q_head]);
        u->q_head = (u->q_head + 1) % UART_HOST_QUEUE;
        u->q_count--;
        if (!u->q_count && u->out.hungry)
            u->out.hungry(u->out.ctx);
    } else if ((u->s.fcr & FCR_ENABLE) && u->s.rx_count) {
        u->s.timeout = true;
    }
    arm(u);
    update(u);
}

static bool enqueue(struct uart *u, u16 byte)
{
    if (u->q_count == UART_HOST_QUEUE)
        return false;
    u->queue[(u->q_head + u->q_count++) % UART_HOST_QUEUE] = byte;
    return true;
}

static void input_begins(struct uart *u)
{
    if (!u->rx_event.armed && u->s.rx_when < u->clock->now)
        u->s.rx_when = u->clock->now;
    arm(u);
}

size_t uart_input(struct uart *u, const void *data, size_t len)
{
    const u8 *p = data;
    size_t n = 0;
    while (n < len && enqueue(u, p[n]))
        n++;
    input_begins(u);
    return n;
}

bool uart_input_break(struct uart *u)
{
    bool ok = enqueue(u, UART_BREAK);
    input_begins(u);
    return ok;
}

static u8 read_rbr(struct uart *u)
{
    struct uart_state *s = &u->s;
    u8 v = (u8)s->rx[s->rx_head];
    if (s->rx_count) {
        s->rx_head = (u8)((s->rx_head + 1) % UART_FIFO);
        s->rx_count--;
        reveal(s);
    }
    s->timeout = false;
    s->rx_when = u->clock->now;
    arm(u);
    return v;
}

/* In loop-back the four outputs are the four inputs. */
static u8 modem_status(const struct uart *u)
{
    u8 m = u->s.mcr;
    if (!(m & MCR_LOOP))
        return 0xB0; /* DCD, DSR, CTS: something is connected */
    return (u8)((m & 2) << 3 | (m & 1) << 5 | (m & 4) << 4 | (m & 8) << 4);
}

static void modem_changed(struct uart *u)
{
    u8 now = modem_status(u), old = u->s.msr & 0xF0, changed = now ^ old;
    u8 delta = (u8)((changed >> 4 & 0xB) | (old & ~now & 0x40) >> 4); /* RI: trailing edge only */
    u->s.msr = (u8)(now | (u->s.msr & 0xF) | delta);
}

static void write_fcr(struct uart *u, u8 v)
{
    struct uart_state *s = &u->s;
    if ((v ^ s->fcr) & FCR_ENABLE)
        v |= 6; /* changing the mode clears the FIFOs */
    if (v & 2) {
        s->rx_count = 0;
        s->timeout = false;
    }
    if (v & 4)
        s->thre_pending = true;
    s->fcr = v & FCR_ENABLE ? v & 0xC9 : 0;
}

static u64 uart_read(void *ctx, u64 off, unsigned width, int cpu)
{
    struct uart *u = ctx;
    struct uart_state *s = &u->s;
    u8 v = 0;
    (void)width, (void)cpu;
    switch (off) {
    case 0: v = s->lcr & LCR_DLAB ? (u8)s->divisor : read_rbr(u); break;
    case 1: v = s->lcr & LCR_DLAB ? (u8)(s->divisor >> 8) : s->ier; break;
    case 2:
        v = iir(u) | (s->fcr & FCR_ENABLE ? 0xC0 : 0);
        if ((v & 0xF) == 2)
            s->thre_pending = false;
        break;
    case 3: v = s->lcr; break;
    case 4: v = s->mcr; break;
    case 5:
        v = (u8)(LSR_THRE | LSR_TEMT | s->lsr_errors | (s->rx_count ? LSR_DR : 0));
        if ((s->fcr & FCR_ENABLE) && ((s->lsr_errors & (LSR_BI | LSR_FE)) || hidden_errors(s)))
            v |= LSR_FIFO;
        s->lsr_errors = 0;
        break;
    case 6:
        v = s->msr;
        s->msr &= 0xF0;
        break;
    default: v = s->scr; break;
    }
    update(u);
    return v;
}

static void write_thr(struct uart *u, u8 v)
{
    u->s.thre_pending = false; /* an edge-triggered controller must see the interrupt go and come */
    update(u);
    u->s.thre_pending = true;  /* the byte is gone already */
    if (u->s.mcr & MCR_LOOP)
        receive(u, v & (u8)(0xFF >> (3 - (u->s.lcr & 3))));
    else if (u->out.output)
        u->out.output(u->out.ctx, v);
}

/* A break loops back, or the other end hears of it. */
static void write_lcr(struct uart *u, u8 v)
{
    u8 old = u->s.lcr;
    u->s.lcr = v;
    if (!((v ^ old) & LCR_BREAK))
        return;
    if (!(u->s.mcr & MCR_LOOP)) {
        if (u->out.set_break)
            u->out.set_break(u->out.ctx, v & LCR_BREAK);
    } else if (v & LCR_BREAK) {
        receive(u, UART_BREAK);
    }
}

static void uart_write(void *ctx, u64 off, unsigned width, u64 value, int cpu)
{
    struct uart *u = ctx;
    struct uart_state *s = &u->s;
    u8 v = (u8)value;
    (void)width, (void)cpu;
    switch (off) {
    case 0:
        if (s->lcr & LCR_DLAB)
            s->divisor = (u16)((s->divisor & 0xFF00) | v);
        else
            write_thr(u, v);
        break;
    case 1:
        if (s->lcr & LCR_DLAB) {
            s->divisor = (u16)((s->divisor & 0xFF) | v << 8);
        } else {
            if ((v & IER_THRE) && !(s->ier & IER_THRE))
                s->thre_pending = true; /* enabling it with an empty THR interrupts at once */
            s->ier = v & 0xF;
        }
        break;
    case 2: write_fcr(u, v); break;
    case 3:
        write_lcr(u, v);
        break;
    case 4:
        s->mcr = v & 0x1F;
        modem_changed(u);
        break;
    case 7: s->scr = v; break;
    default: break; /* LSR and MSR are read-only */
    }
    arm(u);
    update(u);
}

void uart_reset(struct uart *u)
{
    clock_disarm(u->clock, &u->rx_event);
    irq_set(&u->irq, false);
    u->s = (struct uart_state){ .divisor = 12, .msr = 0xB0, .rx_when = u->clock->now };
    arm(u);
}

void uart_connect(struct uart *u, const struct uart_out *out)
{
    u->out = *out;
}

static const struct mmio_ops uart_ops = { uart_read, uart_write, 1, 1 };

bool uart_init(struct uart *u, struct bus *b, struct clock *c, u16 port, struct irq_line irq)
{
    memset(u, 0, sizeof(*u));
    u->clock = c;
    u->irq = irq;
    u->rx_event = (struct clock_event){ .fire = rx_fire, .ctx = u, .name = "uart" };
    uart_reset(u);
    return bus_add_ports(b, port, 8, &uart_ops, u, "uart");
}
