// SPDX-License-Identifier: MIT
/* COM1 to COM4 and what is connected to them. */
#include "machine/machine.h"

static void output(void *ctx, u8 byte)
{
    const struct svmemu_serial *e = ctx;
    if (e->output)
        e->output(e->ctx, byte);
}

static void set_break(void *ctx, bool on)
{
    const struct svmemu_serial *e = ctx;
    if (e->set_break)
        e->set_break(e->ctx, on);
}

static void hungry(void *ctx)
{
    const struct svmemu_serial *e = ctx;
    if (e->hungry)
        e->hungry(e->ctx);
}

bool serial_create(struct svmemu *m)
{
    static const u16 base[COM_PORTS] = { 0x3F8, 0x2F8, 0x3E8, 0x2E8 };
    struct pc *p = m->pc;
    p->com = m->cfg.flags & SVMEMU_NO_SERIAL ? 0 : m->cfg.serial_ports ? m->cfg.serial_ports & 0xF : 1;
    for (unsigned i = 0; i < COM_PORTS; i++) {
        if (!(p->com >> i & 1))
            continue;
        if (!uart_init(&p->uart[i], m->bus, &m->clock, base[i], (struct irq_line){ .set = pc_com_irq, .ctx = p, .n = i }))
            return false;
        uart_connect(&p->uart[i], &(struct uart_out){ .ctx = &p->com_end[i], .output = output, .set_break = set_break, .hungry = hungry });
    }
    p->com_end[0] = (struct svmemu_serial){ .ctx = m->cfg.ctx, .output = m->cfg.serial };
    return true;
}

static enum svmemu_status check_port(struct svmemu *m, unsigned port)
{
    if (!m->pc || port >= COM_PORTS || !(m->pc->com >> port & 1))
        return machine_fail(m, SVMEMU_UNSUPPORTED, "this machine has no serial port COM%u", port + 1);
    return SVMEMU_OK;
}

enum svmemu_status svmemu_serial_connect(struct svmemu *m, unsigned port, const struct svmemu_serial *end)
{
    enum svmemu_status s = check_port(m, port);
    if (s == SVMEMU_OK)
        m->pc->com_end[port] = end ? *end : (struct svmemu_serial){ 0 };
    return s;
}

enum svmemu_status svmemu_serial_send(struct svmemu *m, unsigned port, const void *data, size_t len, size_t *taken)
{
    enum svmemu_status s = check_port(m, port);
    if (s != SVMEMU_OK)
        return s;
    if (!data && len)
        return machine_fail(m, SVMEMU_ARGUMENT, "no data");
    size_t n = uart_input(&m->pc->uart[port], data, len);
    if (taken)
        *taken = n;
    return SVMEMU_OK;
}

enum svmemu_status svmemu_serial_send_break(struct svmemu *m, unsigned port)
{
    enum svmemu_status s = check_port(m, port);
    if (s == SVMEMU_OK && !uart_input_break(&m->pc->uart[port]))
        s = machine_fail(m, SVMEMU_BUSY, "COM%u: the input queue is full", port + 1);
    return s;
}

enum svmemu_status svmemu_serial_input(struct svmemu *m, const void *data, size_t len, size_t *taken)
{
    return svmemu_serial_send(m, 0, data, len, taken);
}
