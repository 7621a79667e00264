// SPDX-License-Identifier: MIT
/* The PC's odd ports: 61h, 80h, 92h, E9h, F4h (exit port), 8900h. */
#ifndef SVMEMU_DEV_SYSPORT_H
#define SVMEMU_DEV_SYSPORT_H

#include "bus/bus.h"
#include "bus/clock.h"
#include "dev/pit.h"

struct sysport_state {
    u8 port61;           /* writable bits 0-3 */
    u8 port92, port80;
    u8 shutdown_match;   /* characters of "Shutdown" seen at 8900h */
};

struct sysport_out {
    void *ctx;
    void (*set_a20)(void *ctx, bool enabled);
    void (*reset)(void *ctx);                      /* 92h */
    void (*exit_value)(void *ctx, u32 value);      /* F4h: status is (value << 1) | 1 */
    void (*power_off)(void *ctx);                  /* "Shutdown" at 8900h */
    void (*debug_char)(void *ctx, u8 c);           /* E9h */
    void (*post_code)(void *ctx, u8 code);         /* 80h */
};

struct sysport_cfg {
    bool debug_port;     /* E9h and 8900h exist */
    bool firmware_debug; /* 402h exists and prints as E9h does */
};

struct sysport {
    struct sysport_state s;
    struct clock *clock;
    struct pit *pit;
    struct sysport_out out;
    bool has_exit;
};

bool sysport_init(struct sysport *d, struct bus *b, struct clock *c, struct pit *pit, const struct sysport_cfg *cfg,
                  const struct sysport_out *out);
/* The exit port F4h; further calls do nothing. */
bool sysport_plug_exit(struct sysport *d, struct bus *b);
void sysport_reset(struct sysport *d);
void sysport_note_a20(struct sysport *d, bool enabled); /* the 8042 changed A20 */

#endif
