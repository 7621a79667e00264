// SPDX-License-Identifier: MIT
/* 8042 [IBM PC AT Technical Reference, keyboard controller]. It answers at once: the input buffer is never full. */
#include "dev/kbc.h"

#include "base/bits.h"

enum { ST_OBF = 1, ST_SYS = 4, ST_CMD = 8, ST_UNLOCKED = 0x10, ST_AUX = 0x20 };
enum { CB_IRQ1 = 1, CB_IRQ12 = 2, CB_SYS = 4, CB_NO_KBD = 0x10, CB_NO_AUX = 0x20, CB_XLATE = 0x40 };
enum { OUT_RESET = 1, OUT_A20 = 2 };

static void update(struct kbc *k)
{
    bool obf = k->s.status & ST_OBF, aux = k->s.status & ST_AUX;
    bool irq1 = obf && !aux && (k->s.command_byte & CB_IRQ1), irq12 = obf && aux && (k->s.command_byte & CB_IRQ12);
    if (irq1 != k->s.irq1)
        irq_set(&k->irq1, k->s.irq1 = irq1);
    if (irq12 != k->s.irq12)
        irq_set(&k->irq12, k->s.irq12 = irq12);
}

static void put(struct kbc *k, u8 v, bool aux)
{
    k->s.data = v;
    k->s.status = (u8)((k->s.status & ~ST_AUX) | ST_OBF | (aux ? ST_AUX : 0));
}

/* Moves the next keyboard byte to a free output buffer. */
static void refill(struct kbc *k)
{
    if ((k->s.status & ST_OBF) || !k->s.fifo_count || (k->s.command_byte & CB_NO_KBD))
        return;
    put(k, k->s.fifo[k->s.fifo_head], false);
    k->s.fifo_head = (k->s.fifo_head + 1) % sizeof(k->s.fifo);
    k->s.fifo_count--;
}

static bool kbd_send(struct kbc *k, u8 v)
{
    if (k->s.fifo_count == sizeof(k->s.fifo))
        return false;
    k->s.fifo[(k->s.fifo_head + k->s.fifo_count++) % sizeof(k->s.fifo)] = v;
    return true;
}

static void write_out_port(struct kbc *k, u8 v)
{
    u8 changed = v ^ k->s.out_port;
    k->s.out_port = v | OUT_RESET;
    if ((changed & OUT_A20) && k->out.set_a20)
        k->out.set_a20(k->out.ctx, v & OUT_A20);
    if (!(v & OUT_RESET) && k->out.reset)
        k->out.reset(k->out.ctx);
}

static void command(struct kbc *k, u8 v)
{
    struct kbc_state *s = &k->s;
    s->pending = 0;
    if (v >= 0x20 && v < 0x40) {
        put(k, v == 0x20 ? s->command_byte : s->ram[v & 0x1F], false);
        return;
    }
    if ((v >= 0x60 && v < 0x80) || (v >= 0xD1 && v <= 0xD4)) {
        s->pending = v;
        return;
    }
    if (v >= 0xF0) { /* pulse the output bits that are 0; bit 0 is the CPU's reset */
        if (!(v & 1) && k->out.reset)
            k->out.reset(k->out.ctx);
        return;
    }
    switch (v) {
    case 0xA7: s->command_byte |= CB_NO_AUX; break;
    case 0xA8: s->command_byte &= (u8)~CB_NO_AUX; break;
    case 0xA9: case 0xAB: put(k, 0, false); break; /* interface tests: good */
    case 0xAA:
        s->status |= ST_SYS;
        put(k, 0x55, false);
        break;
    case 0xAD: s->command_byte |= CB_NO_KBD; break;
    case 0xAE: s->command_byte &= (u8)~CB_NO_KBD; break;
    case 0xC0: put(k, 0x80, false); break; /* keyboard not locked */
    case 0xD0: put(k, (u8)(s->out_port | (s->status & ST_OBF ? 0x10 : 0)), false); break;
    case 0xDD: write_out_port(k, s->out_port & (u8)~OUT_A20); break;
    case 0xDF: write_out_port(k, s->out_port | OUT_A20); break;
    default: break;
    }
}

/* A byte to the keyboard. */
static void keyboard(struct kbc *k, u8 v)
{
    struct kbc_state *s = &k->s;
    if (s->kbd_pending) {
        if (s->kbd_pending == 0xF0 && v == 0) { /* which scan code set: 2, translated to 41h */
            kbd_send(k, 0xFA);
            kbd_send(k, s->command_byte & CB_XLATE ? 0x41 : 2);
        } else {
            kbd_send(k, 0xFA);
        }
        s->kbd_pending = 0;
        return;
    }
    switch (v) {
    case 0xED: case 0xF0: case 0xF3:
        s->kbd_pending = v;
        kbd_send(k, 0xFA);
        break;
    case 0xEE: kbd_send(k, 0xEE); break;
    case 0xF2:
        kbd_send(k, 0xFA);
        kbd_send(k, 0xAB);
        kbd_send(k, s->command_byte & CB_XLATE ? 0x41 : 0x83);
        break;
    case 0xF4: case 0xF5: case 0xF6:
        s->kbd_enabled = v != 0xF5;
        kbd_send(k, 0xFA);
        break;
    case 0xFF:
        s->fifo_count = 0;
        s->kbd_enabled = true;
        kbd_send(k, 0xFA);
        kbd_send(k, 0xAA);
        break;
    default: kbd_send(k, 0xFE); break;
    }
}

static void data_write(struct kbc *k, u8 v)
{
    struct kbc_state *s = &k->s;
    u8 cmd = s->pending;
    s->pending = 0;
    if (cmd == 0x60) {
        s->command_byte = v & 0x7F;
        s->status = (u8)((s->status & ~ST_SYS) | (v & CB_SYS));
    } else if (cmd > 0x60 && cmd < 0x80) {
        s->ram[cmd & 0x1F] = v;
    } else if (cmd == 0xD1) {
        write_out_port(k, v);
    } else if (cmd == 0xD2 || cmd == 0xD3) {
        put(k, v, cmd == 0xD3);
    } else if (cmd == 0) {
        s->command_byte &= (u8)~CB_NO_KBD; /* writing to the keyboard enables its interface */
        keyboard(k, v);
    } /* D4h: no auxiliary device, no answer */
}

static u64 data_read(void *ctx, u64 off, unsigned width, int cpu)
{
    struct kbc *k = ctx;
    (void)off, (void)width, (void)cpu;
    u8 v = k->s.data;
    k->s.status &= (u8)~(ST_OBF | ST_AUX);
    update(k); /* the line falls between two bytes */
    refill(k);
    update(k);
    return v;
}

static void data_port_write(void *ctx, u64 off, unsigned width, u64 value, int cpu)
{
    struct kbc *k = ctx;
    (void)off, (void)width, (void)cpu;
    k->s.status &= (u8)~ST_CMD;
    data_write(k, (u8)value);
    refill(k);
    update(k);
}

static u64 status_read(void *ctx, u64 off, unsigned width, int cpu)
{
    (void)off, (void)width, (void)cpu;
    return ((struct kbc *)ctx)->s.status;
}

static void command_write(void *ctx, u64 off, unsigned width, u64 value, int cpu)
{
    struct kbc *k = ctx;
    (void)off, (void)width, (void)cpu;
    k->s.status |= ST_CMD;
    command(k, (u8)value);
    refill(k);
    update(k);
}

size_t kbc_scancodes(struct kbc *k, const u8 *codes, size_t len)
{
    size_t n = 0;
    while (n < len && k->s.kbd_enabled && kbd_send(k, codes[n]))
        n++;
    refill(k);
    update(k);
    return n;
}

void kbc_note_a20(struct kbc *k, bool enabled)
{
    k->s.out_port = (u8)((k->s.out_port & ~OUT_A20) | (enabled ? OUT_A20 : 0));
}

void kbc_reset(struct kbc *k)
{
    irq_set(&k->irq1, false);
    irq_set(&k->irq12, false);
    /* As firmware leaves it: tested, translating, interrupt 1 on, A20 open. */
    k->s = (struct kbc_state){ .status = ST_SYS | ST_UNLOCKED, .command_byte = CB_IRQ1 | CB_SYS | CB_NO_AUX | CB_XLATE,
                               .out_port = OUT_RESET | OUT_A20, .kbd_enabled = true };
}

static const struct mmio_ops data_ops = { data_read, data_port_write, 1, 1 };
static const struct mmio_ops command_ops = { status_read, command_write, 1, 1 };

bool kbc_init(struct kbc *k, struct bus *b, struct irq_line irq1, struct irq_line irq12, const struct kbc_out *out)
{
    *k = (struct kbc){ .irq1 = irq1, .irq12 = irq12, .out = *out };
    kbc_reset(k);
    return bus_add_ports(b, 0x60, 1, &data_ops, k, "kbc") && bus_add_ports(b, 0x64, 1, &command_ops, k, "kbc");
}
