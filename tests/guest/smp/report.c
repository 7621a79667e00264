// SPDX-License-Identifier: MIT
/* What the kernel has counted and what it has to say. */
#include "smp.h"

enum { TIMER, RESCHEDULE, CALL, SHOOT_DOWN, KINDS, LOG_READ_ALL = 3, LOG_SIZE = 10, LEVEL_WARNING = 4 };

/* A row of /proc/interrupts begins with its label, or ends with a device's name and a CPU's number. */
static const struct {
    const char *label, *xen;
} kinds[KINDS] = { { "LOC:", "timer" }, { "RES:", "resched" }, { "CAL:", "callfunc" }, { "TLB:", 0 } };
/* What a sound machine never raises. */
static const char *const silent[] = { "SPU:", "THR:", "DFR:", "MCE:", "ERR:", "MIS:" };

static char text[1 << 20];

static const char *label_of(const char *line)
{
    while (*line == ' ')
        line++;
    return line;
}

static const char *last_word(const char *line)
{
    const char *word = line;

    for (; *line && *line != '\n'; line++)
        if (*line == ' ')
            word = line + 1;
    return word;
}

/* Adds a row's columns; ERR and MIS have one for all CPUs. */
static u64 add_row(const char *line, u64 sum[MAX_CPUS])
{
    u64 all = 0;

    while (*line++ != ':')
        ;
    for (u32 i = 0; i < cpus; i++) {
        u64 n = number_at(&line);
        if (sum)
            sum[i] += n;
        all += n;
    }
    return all;
}

static void count(u64 sums[KINDS][MAX_CPUS])
{
    read_file("/proc/interrupts", text, sizeof(text));
    for (const char *line = next_line(text); *line; line = next_line(line))
        for (u32 k = 0; k < KINDS; k++)
            if (begins(label_of(line), kinds[k].label) || (under_xen && kinds[k].xen && begins(last_word(line), kinds[k].xen)))
                add_row(line, sums[k]);
}

/* The sum of the row with this label or last word; none is 0. */
static u64 row(const char *name)
{
    for (const char *line = next_line(text); *line; line = next_line(line))
        if (begins(label_of(line), name) || begins(last_word(line), name))
            return add_row(line, 0);
    return 0;
}

static u64 before[KINDS][MAX_CPUS], after[KINDS][MAX_CPUS];

static int grew(u32 kind, u64 least)
{
    int ok = 1;

    for (u32 i = 0; i < cpus; i++)
        ok &= want(after[kind][i] - before[kind][i] >= least, kinds[kind].label, i << 24 | (after[kind][i] - before[kind][i]));
    return ok;
}

static int none_of_the_silent(void)
{
    int ok = 1;

    for (u32 i = 0; i < sizeof(silent) / sizeof(*silent); i++)
        ok &= want(row(silent[i]) == 0, silent[i], row(silent[i]));
    return ok;
}

void begin_counts(void)
{
    count(before);
}

void check_counts(void)
{
    count(after);
    check(grew(TIMER, 20), "timer interrupts on each CPU");
    if (cpus > 1) {
        check_between(grew(RESCHEDULE, 5), "reschedule interrupts on each CPU");
        check_between(grew(CALL, 1), "function call interrupts on each CPU");
    }
    if (under_xen) /* Xen shoots down itself */
        return;
    if (cpus > 1)
        check_between(grew(SHOOT_DOWN, 1), "TLB shoot-down interrupts on each CPU");
    if (as_init)
        check(want(row("ttyS0") > 0, "ttyS0", 0), "interrupts of the serial port");
    check(none_of_the_silent(), "no spurious, error or machine check interrupts");
}

/* Any of these in a line of any level is a complaint about the machine. */
static const char *const complaints[] = {
    "warning:", "bug:", "oops", "call trace", "lockup", " stall", "unstable", "skew", "warp", "nobody cared", "hung",
    "took too long", "interrupt took", "timekeeping", "not responding", "stuck", "mismatch", "unchecked msr",
    "general protection", "segfault", "trap ", "failed", "error", "bogus", "spurious", "unhandled", "firmware bug",
};

/* In Xen's dom0: Xen 4.17 shows an HWCR without TscFreqSel and keeps the PM timer and the HPET for itself; the others are messages
 * without a level, which makes them warnings. Bare machines have none. */
static const char *const expected_under_xen[] = {
    "tsc doesn't count with p0 frequency!", "pm-timer failed consistency check", "hpet_acpi_add: no address or irqs in _crs",
    "installing xen timer for cpu", "spinlock event irq", "grant table initialized",
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 32) : c;
}

/* Whether a line that ends at END has the text in it; a capital letter of the line matches a small one. */
static int has(const char *line, const char *end, const char *what)
{
    for (; line < end; line++) {
        u64 i = 0;
        while (what[i] && line + i < end && lower(line[i]) == what[i])
            i++;
        if (!what[i])
            return 1;
    }
    return 0;
}

static int has_any(const char *line, const char *end, const char *const *list, u64 n)
{
    for (u64 i = 0; i < n; i++)
        if (has(line, end, list[i]))
            return 1;
    return 0;
}

/* A line of the log: <facility and level>, the text. */
static int complains(const char *line)
{
    const char *end = next_line(line);
    struct line l = { .len = 0 };

    line++;
    u64 level = number_at(&line) & 7;
    if (level > LEVEL_WARNING && !has_any(line, end, complaints, sizeof(complaints) / sizeof(*complaints)))
        return 0;
    if (under_xen && has_any(line, end, expected_under_xen, sizeof(expected_under_xen) / sizeof(*expected_under_xen)))
        return 0;
    put(&l, "smp: complaint of level ");
    put_number(&l, level, 10);
    put(&l, ": ");
    line++; /* > */
    while (line < end && l.len < sizeof(l.text) - 1)
        l.text[l.len++] = *line++;
    l.len--; /* the end of the line */
    put_end(&l);
    return 1;
}

void check_log(void)
{
    i64 size = sys3(__NR_syslog, LOG_SIZE, 0, 0), n = sys3(__NR_syslog, LOG_READ_ALL, (u64)text, sizeof(text) - 1);
    u32 found = 0;

    text[n > 0 ? n : 0] = 0;
    check(n > 0 && n < size && has(text, next_line(text), "linux version"), "the kernel's log is whole");
    for (const char *line = text; *line; line = next_line(line))
        found += complains(line);
    check(found == 0, "no complaint in the kernel's log");
}
