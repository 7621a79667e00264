// SPDX-License-Identifier: MIT
/* The clocks of all CPUs agree, with each other and from CPU to CPU; what the kernel says each CPU's time was spent on. */
#include "smp.h"
#include <linux/auxvec.h>
#include <linux/elf.h>
#include <linux/time.h>

enum { READINGS = 200, MS = 1000000, BUSY_MS = 60, IDLE_MS = 300, TICK_MS = 10 /* of /proc/stat */ };

typedef i64 clock_function(int clock_id, i64 *time);
static clock_function *vdso;

static int same(const char *a, const char *b)
{
    return begins(a, b) && length(a) == length(b);
}

static const Elf64_Dyn *dynamic_section(const u8 *base)
{
    const Elf64_Phdr *ph = (const Elf64_Phdr *)(base + ((const Elf64_Ehdr *)base)->e_phoff);

    while (ph->p_type != PT_DYNAMIC)
        ph++;
    return (const Elf64_Dyn *)(base + ph->p_offset);
}

/* clock_gettime in the kernel's shared object, which reads the TSC in user mode. */
static clock_function *find_vdso(const u64 *auxiliary)
{
    const Elf64_Sym *symbols = 0;
    const char *strings = 0;

    while (auxiliary[0] && auxiliary[0] != AT_SYSINFO_EHDR)
        auxiliary += 2;
    const u8 *base = (const u8 *)auxiliary[1];
    if (!auxiliary[0])
        return 0;
    for (const Elf64_Dyn *d = dynamic_section(base); d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_SYMTAB)
            symbols = (const Elf64_Sym *)(base + d->d_un.d_ptr);
        else if (d->d_tag == DT_STRTAB)
            strings = (const char *)base + d->d_un.d_ptr;
    }
    for (const Elf64_Sym *s = symbols; (const char *)s < strings; s++) /* the strings follow the symbols */
        if (same(strings + s->st_name, "__vdso_clock_gettime"))
            return (clock_function *)(u64)(base + s->st_value);
    return 0;
}

static i64 vdso_now(void)
{
    i64 time[2] = { 0 };

    return want(vdso(CLOCK_MONOTONIC, time) == 0, "clock_gettime", 0) ? time[0] * 1000000000 + time[1] : 0;
}

static u32 next_ticket;
static volatile u32 served;
static u64 last_tsc;
static i64 last_ns;

/* Each reading is made after another CPU's and must not be before it. The kernel's clock and the one in user mode alternate. */
static int read_in_order(struct worker *w)
{
    for (u32 i = 0; i < READINGS; i++) {
        u32 ticket = __atomic_fetch_add(&next_ticket, 1, __ATOMIC_SEQ_CST);
        if (!spin_until(&served, ticket))
            return 0;
        u64 t = tsc();
        i64 ns = i % 2 ? now(CLOCK_MONOTONIC) : vdso_now();
        int ok = want(t >= last_tsc, "the TSC went back by", last_tsc - t) &
            want(ns >= last_ns, "the clock went back by ns", (u64)(last_ns - ns));
        last_tsc = t;
        last_ns = ns;
        __atomic_store_n(&served, ticket + 1, __ATOMIC_SEQ_CST);
        if (!ok)
            return 0;
    }
    return want(last_ns > 0, "no clock", w->cpu);
}

static void sleep_ms(i64 ms)
{
    i64 pause[2] = { ms / 1000, ms % 1000 * MS };

    sys3(__NR_nanosleep, (u64)pause, 0, 0);
}

/* The TSC's frequency in kHz by the clock that Linux does not adjust, over time at work and asleep. */
static int measure(struct worker *w)
{
    i64 ns = now(CLOCK_MONOTONIC_RAW), real = now(CLOCK_REALTIME), mono = now(CLOCK_MONOTONIC);
    u64 begin = tsc();

    while (now(CLOCK_MONOTONIC_RAW) - ns < 5 * MS)
        ;
    sleep_ms(20);
    w->value = (tsc() - begin) * 1000000 / (u64)(now(CLOCK_MONOTONIC_RAW) - ns);
    real = now(CLOCK_REALTIME) - real;
    mono = now(CLOCK_MONOTONIC) - mono;
    return want(real - mono < MS && mono - real < MS, "the time of day differs by ns", (u64)(real - mono));
}

static int frequencies_agree(void)
{
    u64 first = worker(0)->value;

    for (u32 i = 0; i < cpus; i++)
        if (!want(worker(i)->value * 100 >= first * 99 && worker(i)->value * 99 <= first * 100, "kHz", worker(i)->value))
            return 0;
    return want(first > 100000, "kHz", first);
}

struct spent { /* in ticks */
    u64 user, idle;
};

static int read_spent(struct spent spent[MAX_CPUS])
{
    static char text[65536];
    u32 found = 0;

    read_file("/proc/stat", text, sizeof(text));
    for (const char *line = text; *line; line = next_line(line)) {
        const char *at = line + 3;
        if (!begins(line, "cpu") || *at < '0' || *at > '9')
            continue;
        u64 cpu = number_at(&at), field[4];
        for (u32 i = 0; i < 4; i++)
            field[i] = number_at(&at);
        if (cpu < MAX_CPUS)
            spent[cpu] = (struct spent){ field[0], field[3] };
        found++;
    }
    return want(found == cpus, "CPUs in /proc/stat", found);
}

static u64 busy_tsc;

static int work_in_user_mode(struct worker *w)
{
    u64 begin = tsc();

    (void)w;
    while (tsc() - begin < busy_tsc)
        __builtin_ia32_pause();
    return 1;
}

static int check_spent(void)
{
    static struct spent before[MAX_CPUS], busy[MAX_CPUS], idle[MAX_CPUS];
    int ok = read_spent(before);

    busy_tsc = worker(0)->value * BUSY_MS;
    ok &= each_cpu(work_in_user_mode) && read_spent(busy);
    sleep_ms(IDLE_MS);
    ok &= read_spent(idle);
    for (u32 i = 0; i < cpus; i++) {
        u64 user = busy[i].user - before[i].user, rest = idle[i].idle - busy[i].idle;
        ok &= want(user + 3 >= BUSY_MS / TICK_MS && user <= BUSY_MS / TICK_MS + 3, "ticks in user mode", user);
        ok &= want(rest + 3 >= IDLE_MS / TICK_MS && rest <= IDLE_MS / TICK_MS + 3, "ticks idle", rest);
    }
    return ok;
}

/* Linux calibrates the TSC for a second after boot, and has no fine timers before. */
void check_source(void)
{
    static char name[64];
    i64 until[2] = { 1, 900 * MS };

    sys6(__NR_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, (u64)until, 0, 0, 0);
    read_file("/sys/devices/system/clocksource/clocksource0/current_clocksource", name, sizeof(name));
    check(want(begins(name, "tsc\n"), name, 0), "the clock source is the TSC");
}

static int check_calendar(void)
{
    static char text[64];
    const char *at = text;
    i64 seconds = now(CLOCK_REALTIME) / 1000000000;

    read_file("/sys/class/rtc/rtc0/since_epoch", text, sizeof(text));
    i64 rtc = (i64)number_at(&at);
    return want(rtc >= seconds - 1 && rtc <= seconds + 1, "the calendar clock differs by s", (u64)(rtc - seconds));
}

void check_clocks(const u64 *auxiliary)
{
    vdso = find_vdso(auxiliary);
    check(vdso && each_cpu(read_in_order), "the clocks never go back from CPU to CPU");
    check(each_cpu(measure) && frequencies_agree(), "the TSCs run alike, and with the time of day");
    if (!as_init)
        return;
    check(check_spent(), "the kernel's account of busy and idle time");
    sleep_ms(2000); /* the clock's watchdog looks twice a second, on another CPU each time */
    check_source();
    if (!under_xen)
        check(check_calendar(), "the calendar clock keeps time");
}
