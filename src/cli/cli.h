// SPDX-License-Identifier: MIT
/* The command line program; it uses the public API and nothing else of svmemu. */
#ifndef SVMEMU_CLI_CLI_H
#define SVMEMU_CLI_CLI_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* POSIX in strict C17: signals, clocks, terminals */
#endif
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <svmemu/svmemu.h>
#include <termios.h>

/* Exit statuses; odd ones belong to the exit port. Documented in svmemu(1). */
enum {
    EXIT_POWER_OFF = 0, EXIT_USAGE = 2, EXIT_SHUTDOWN = 4, EXIT_LIMIT = 6, EXIT_TIMEOUT = 8, EXIT_INTERRUPTED = 10, EXIT_UNIMPLEMENTED = 12,
    EXIT_INTERNAL = 14, EXIT_HALTED = 16, EXIT_RESET = 18,
};
enum dump_when { DUMP_END = 1, DUMP_INVALID = 2, DUMP_EXIT = 4 };
enum { MAX_MODULES = 64, MAX_FW_FILES = 64, MAX_SERIAL = 4, MAX_SYMBOL_FILES = 16, MAX_SETUP_DATA = 16, SETUP_DATA_LEN_MAX = 65536 };
enum stats_mode { STATS_NONE, STATS_TEXT, STATS_JSON };

struct options {
    struct svmemu_config machine;
    struct svmemu_load load;
    struct svmemu_module modules[MAX_MODULES];
    struct svmemu_setup_data setup_data[MAX_SETUP_DATA]; /* owned */
    const char *guest;   /* NULL: the firmware starts alone */
    struct { const char *name, *path; } fw_file[MAX_FW_FILES];
    unsigned fw_files;
    const char *symbols[MAX_SYMBOL_FILES];
    unsigned symbol_files;
    struct svmemu *m;    /* the machine once it is built, for symbols in messages */
    const char *firmware;
    char *cmdline;       /* --cmdline and the arguments after --, owned */
    uint64_t max_insns, max_cycles;
    double timeout;
    bool trace, trace_exits, explain, no_reboot;
    unsigned dump_vmcb; /* enum dump_when */
    const char *serial[MAX_SERIAL]; /* of COM1...; NULL or "none": the port does not exist */
    unsigned serials;
    const char *screen;  /* file to dump the screen into; "": standard output; NULL: not wanted */
    enum stats_mode stats;
    const char *stats_file; /* NULL: standard error */
    bool state_hash;
    char said[256]; /* the last diagnostic, which the stop that follows need not repeat */
};

/* options.c: false: *status is the exit status (a message was printed). */
bool options_parse(struct options *o, int argc, char **argv, int *status);
void options_free(struct options *o);
void print_help(FILE *f);

/* run.c */
int run_guest(struct options *o);

/* explain.c: prints world switches as the options ask; destroying prints what is due at the end. NULL: out of memory. */
struct explainer;
struct explainer *explainer_create(struct svmemu *m, const struct options *o);
void explainer_destroy(struct explainer *x);

/* hints.c; NULL: out of memory. Called for each world switch. */
struct hints;
struct hints *hints_create(struct svmemu *m, unsigned vcpus);
void hints_destroy(struct hints *h);
void hints_switch(struct hints *h, const struct svmemu_switch *s);

/* serial.c: what a serial port is connected to */
struct script;
struct serial {
    struct svmemu *m;
    unsigned port;
    FILE *stream;          /* of output, NULL: none */
    FILE *input;           /* given to the guest as it takes it */
    struct script *script;
    int fd;                /* a socket for both, or -1 */
    bool dead;             /* the socket failed */
    bool console, raw;     /* standard input feeds it; without Ctrl-C for svmemu */
};
/* False: a message was printed. */
bool serial_open(struct serial *s, struct svmemu *m, unsigned port, const char *target);
/* False: a file of output is not complete, and a message says so. */
bool serial_close(struct serial *s);
void serial_poll(struct serial *s);

/* script.c; NULL: a message was printed */
struct script *script_open(struct serial *serial, const char *path);
void script_close(struct script *s);
void script_output(struct script *s, uint8_t byte);
void script_more(struct script *s);
unsigned script_left(const struct script *s); /* line of the step that is waited for, 0: done */

/* console.c: standard input for one of the guest's serial ports */
struct console {
    struct serial *serial; /* NULL: nobody reads it */
    bool raw, eof, escaped, quit, stats;
    struct termios saved;
};
void console_open(struct console *c, struct serial *serial);
void console_close(struct console *c);
void console_poll(struct console *c);

/* watch.c: a thread that turns SIGINT, SIGTERM and the timeout into a stop request */
struct watch {
    pthread_t thread;
    struct svmemu *m;
    double timeout;
    sigset_t signals;
    atomic_int fired; /* 0, SIGINT, SIGTERM, or SIGALRM for the timeout */
    atomic_bool done;
};
bool watch_start(struct watch *w, struct svmemu *m, double timeout);
void watch_stop(struct watch *w);

/* trace.c */
struct tracer;
struct tracer *tracer_create(struct svmemu *m); /* NULL: there is no disassembler; it has been said why */
void tracer_destroy(struct tracer *t);
void tracer_end(struct tracer *t); /* prints what the last instruction changed */

/* report.c */
void report_stats(struct svmemu *m, double seconds, enum stats_mode mode, FILE *f);
bool report_stats_file(struct svmemu *m, double seconds, enum stats_mode mode, const char *path); /* NULL: standard error */
/* False: it could not be written, and a message says so (of standard output main.c does). */
bool report_screen(struct svmemu *m, const char *path);
enum { SYMBOL_TEXT = 128 };
/* " <name+1Ah>", or "" if no symbol is known; in buf. */
const char *symbol_text(const struct svmemu *m, uint64_t linear, char buf[SYMBOL_TEXT]);

/* where.c: where the machine stands; all of it is looked at without touching devices, page tables or TLBs */
/* Linear address of a vCPU's code at rip; 64-bit code ignores the base of CS. */
uint64_t code_address(struct svmemu *m, unsigned vcpu, uint64_t rip);
void report_where(struct svmemu *m, const struct svmemu_stop *s, const struct options *o, FILE *f);

#endif
