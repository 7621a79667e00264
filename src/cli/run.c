// SPDX-License-Identifier: MIT
/* `svmemu run`: one machine from creation to its exit status. */
#include "cli/cli.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

/* The console is looked at between pieces of this length; limits do not change what the guest does. */
#define PIECE_INSNS 5000000u
#define PIECE_CYCLES 20000000u

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void on_output(void *ctx, uint8_t byte)
{
    (void)ctx;
    putchar(byte);
    if (byte == '\n')
        fflush(stdout);
}

static void on_diag(void *ctx, const struct svmemu_diag *d)
{
    static const char *const names[] = { "note", "warning", "error" };
    struct options *o = ctx;
    snprintf(o->said, sizeof(o->said), "%s", d->text);
    if (o->explain && !strncmp(d->id, "vmrun.check.", 12))
        return; /* --explain lists them with the exit */
    fflush(stdout);
    fprintf(stderr, "svmemu: %s: %s [%s]", names[d->severity >= 0 && d->severity < 3 ? d->severity : 2], d->text, d->id);
    char symbol[SYMBOL_TEXT] = "";
    if (d->vcpu >= 0 && o->m)
        symbol_text(o->m, code_address(o->m, (unsigned)d->vcpu, d->rip), symbol);
    if (d->vcpu >= 0)
        fprintf(stderr, " vCPU %d rip %" PRIx64 "%s", d->vcpu, d->rip, symbol);
    fprintf(stderr, "%s%s\n", d->section ? " " : "", d->section ? d->section : "");
}

static int exit_status(const struct svmemu_stop *s, int signal_seen)
{
    switch (s->reason) {
    case SVMEMU_STOP_LIMIT_INSNS:
    case SVMEMU_STOP_LIMIT_CYCLES: return EXIT_LIMIT;
    case SVMEMU_STOP_EXIT: return (int)((s->value << 1 | 1) & 0xFF);
    case SVMEMU_STOP_POWER_OFF: return EXIT_POWER_OFF;
    case SVMEMU_STOP_RESET: return EXIT_RESET;
    case SVMEMU_STOP_SHUTDOWN: return EXIT_SHUTDOWN;
    case SVMEMU_STOP_HALTED: return EXIT_HALTED;
    case SVMEMU_STOP_UNIMPLEMENTED: return EXIT_UNIMPLEMENTED;
    case SVMEMU_STOP_REQUEST: return signal_seen == SIGALRM ? EXIT_TIMEOUT : EXIT_INTERRUPTED;
    case SVMEMU_STOP_INTERNAL: break;
    }
    return EXIT_INTERNAL;
}

struct session {
    struct options *o;
    struct svmemu *m;
    struct console con;
    struct serial serial[MAX_SERIAL];
    unsigned serials; /* opened; those without a machine are not there */
    struct watch watch;
    struct tracer *tracer;
    uint64_t insns, cycles; /* done, as the last stop says */
    double start;
};

static uint64_t left(uint64_t max, uint64_t done, uint64_t piece)
{
    uint64_t n = max > done ? max - done : 0;
    return n < piece ? n : piece;
}

/* Runs until a stop that is not the end of a piece. */
static enum svmemu_status run_pieces(struct session *s, struct svmemu_stop *stop)
{
    struct options *o = s->o;
    for (;;) {
        enum svmemu_status r =
            svmemu_run(s->m, left(o->max_insns, s->insns, PIECE_INSNS), left(o->max_cycles, s->cycles, PIECE_CYCLES), stop);
        if (r != SVMEMU_OK)
            return r;
        s->insns = stop->insns;
        s->cycles = stop->cycles;
        if (stop->reason != SVMEMU_STOP_LIMIT_INSNS && stop->reason != SVMEMU_STOP_LIMIT_CYCLES)
            return r;
        if (s->insns >= o->max_insns || s->cycles >= o->max_cycles)
            return r;
        fflush(stdout);
        console_poll(&s->con);
        for (unsigned i = 0; i < s->serials; i++)
            serial_poll(&s->serial[i]);
        if (s->con.stats)
            report_stats(s->m, now() - s->start, STATS_TEXT, stderr);
        s->con.stats = false;
        if (s->con.quit) {
            stop->reason = SVMEMU_STOP_REQUEST;
            snprintf(stop->text, sizeof(stop->text), "ended by Ctrl-A x");
            return r;
        }
    }
}

/* The machine knows only that somebody asked it to stop. */
static void say_who_asked(const struct session *s, struct svmemu_stop *stop)
{
    int signal_seen = atomic_load(&s->watch.fired);
    if (stop->reason != SVMEMU_STOP_REQUEST || s->con.quit)
        return;
    if (signal_seen == SIGALRM)
        snprintf(stop->text, sizeof(stop->text), "the timeout of %g seconds was reached", s->o->timeout);
    else
        snprintf(stop->text, sizeof(stop->text), "%s", signal_seen == SIGINT ? "interrupted (SIGINT)" : "terminated (SIGTERM)");
}

/* The machine is loaded; runs it, rebooting as the guest asks. */
static int run_loaded(struct session *s)
{
    struct svmemu_stop stop = { 0 };
    enum svmemu_status r;
    for (;;) {
        r = run_pieces(s, &stop);
        if (r != SVMEMU_OK || stop.reason != SVMEMU_STOP_RESET || s->o->no_reboot)
            break;
        svmemu_reset(s->m); /* which is all that a firmware needs */
        if (!s->o->firmware)
            r = svmemu_load_file(s->m, s->o->guest, &s->o->load);
        if (r != SVMEMU_OK)
            break;
    }
    if (s->tracer)
        tracer_end(s->tracer);
    fflush(stdout);
    console_close(&s->con);
    if (r != SVMEMU_OK) {
        fprintf(stderr, "svmemu: %s\n", svmemu_last_error(s->m));
        return EXIT_INTERNAL;
    }
    say_who_asked(s, &stop);
    if (stop.reason != SVMEMU_STOP_EXIT && stop.reason != SVMEMU_STOP_POWER_OFF)
        report_where(s->m, &stop, s->o, stderr);
    for (unsigned i = 0; i < s->serials; i++)
        if (s->serial[i].script && script_left(s->serial[i].script))
            fprintf(stderr, "svmemu: COM%u: the script still waits at its line %u\n", i + 1, script_left(s->serial[i].script));
    bool shown = !s->o->screen || report_screen(s->m, s->o->screen);
    if (s->o->state_hash)
        fprintf(stderr, "state hash: %016llx\n", (unsigned long long)svmemu_state_hash(s->m));
    if (s->o->stats != STATS_NONE)
        shown &= report_stats_file(s->m, now() - s->start, s->o->stats, s->o->stats_file);
    return shown ? exit_status(&stop, atomic_load(&s->watch.fired)) : EXIT_USAGE;
}

/* The guest's fw_cfg files from the host's. */
static enum svmemu_status add_fw_files(const struct options *o, struct svmemu *m)
{
    enum svmemu_status r = SVMEMU_OK;
    for (unsigned i = 0; r == SVMEMU_OK && i < o->fw_files; i++)
        r = svmemu_fw_cfg_file_from(m, o->fw_file[i].name, o->fw_file[i].path);
    return r;
}

/* With a firmware the kernel goes to its boot ROM. */
static enum svmemu_status load(const struct options *o, struct svmemu *m)
{
    enum svmemu_status r = add_fw_files(o, m);
    if (r != SVMEMU_OK)
        return r;
    if (!o->firmware)
        return svmemu_load_file(m, o->guest, &o->load);
    if (o->guest)
        r = svmemu_fw_cfg_kernel(m, o->guest, &o->load);
    return r != SVMEMU_OK ? r : svmemu_load_firmware(m, o->firmware);
}

static bool open_serials(struct session *s)
{
    for (; s->serials < MAX_SERIAL; s->serials++) {
        const char *target = s->o->serial[s->serials];
        s->serial[s->serials] = (struct serial){ .fd = -1 };
        if (target && strcmp(target, "none") != 0 && !serial_open(&s->serial[s->serials], s->m, s->serials, target)) {
            serial_close(&s->serial[s->serials]);
            return false;
        }
    }
    return true;
}

static struct serial *console_port(struct session *s)
{
    for (unsigned i = 0; i < s->serials; i++)
        if (s->serial[i].console)
            return &s->serial[i];
    return NULL;
}

int run_guest(struct options *o)
{
    struct session s = { .o = o };
    int status = EXIT_USAGE;
    o->machine.debug = on_output;
    o->machine.diag = on_diag;
    o->machine.ctx = o;
    enum svmemu_status r = svmemu_create(&o->machine, &s.m);
    if (r != SVMEMU_OK) {
        fprintf(stderr, "svmemu: cannot build the machine: %s\n", svmemu_status_text(r));
        return EXIT_USAGE;
    }
    o->m = s.m;
    r = load(o, s.m);
    for (unsigned i = 0; r == SVMEMU_OK && i < o->symbol_files; i++)
        r = svmemu_load_symbols(s.m, o->symbols[i]);
    if (r != SVMEMU_OK) {
        fprintf(stderr, "svmemu: %s\n", *svmemu_last_error(s.m) ? svmemu_last_error(s.m) : svmemu_status_text(r));
        svmemu_destroy(s.m);
        return EXIT_USAGE;
    }
    struct explainer *explainer = NULL;
    if (o->trace_exits || o->explain || o->dump_vmcb)
        explainer = explainer_create(s.m, o);
    if (o->trace)
        s.tracer = tracer_create(s.m);
    if (o->trace && !s.tracer) {
        status = EXIT_INTERNAL;
    } else if (!open_serials(&s)) {
        status = EXIT_USAGE;
    } else if (watch_start(&s.watch, s.m, o->timeout)) {
        console_open(&s.con, console_port(&s));
        s.start = now();
        status = run_loaded(&s);
        watch_stop(&s.watch);
    } else {
        fputs("svmemu: cannot start a thread\n", stderr);
        status = EXIT_INTERNAL;
    }
    explainer_destroy(explainer);
    for (unsigned i = 0; i < s.serials; i++)
        if (!serial_close(&s.serial[i]))
            status = EXIT_USAGE;
    tracer_destroy(s.tracer);
    svmemu_destroy(s.m);
    return status;
}
