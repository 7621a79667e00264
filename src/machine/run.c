// SPDX-License-Identifier: MIT
/* Turns and stops. A round gives each vCPU time up to min(slice, next event); the clock's events fire between rounds. Limits and stops
 * cut a turn but never reorder: whose turn it is and the round's end are machine state. */
#include "machine/machine.h"

#include <stdio.h>

/* One vCPU: long enough that the outer loop costs nothing, short enough that a stop request takes effect within milliseconds. */
#define SLICE_ALONE (1ull << 26)
#define SLICE_SHARED (20000ull * TICKS_PER_CYCLE)

const char *svmemu_stop_name(enum svmemu_stop_reason r)
{
    static const char *const names[] = {
        [SVMEMU_STOP_LIMIT_INSNS] = "instruction limit", [SVMEMU_STOP_LIMIT_CYCLES] = "cycle limit", [SVMEMU_STOP_EXIT] = "exit port",
        [SVMEMU_STOP_POWER_OFF] = "power off", [SVMEMU_STOP_RESET] = "reset", [SVMEMU_STOP_SHUTDOWN] = "shutdown",
        [SVMEMU_STOP_HALTED] = "halted", [SVMEMU_STOP_UNIMPLEMENTED] = "unimplemented", [SVMEMU_STOP_REQUEST] = "stop request",
        [SVMEMU_STOP_INTERNAL] = "internal error",
    };
    return (unsigned)r < ARRAY_LEN(names) ? names[r] : "unknown";
}

void svmemu_request_stop(struct svmemu *m)
{
    atomic_store_explicit(&m->stop_request, true, memory_order_relaxed);
}

void machine_hook_done(struct svmemu *m, struct vcpu *c)
{
    if (atomic_load_explicit(&m->stop_request, memory_order_relaxed))
        c->pending |= PEND_STOP;
}

unsigned svmemu_turn(const struct svmemu *m)
{
    return m->turn < m->vcpus ? m->turn : 0;
}

static bool round_over(const struct svmemu *m)
{
    return m->turn >= m->vcpus;
}

static u64 machine_ticks(const struct svmemu *m)
{
    if (round_over(m))
        return m->round_end > m->round_start ? m->round_end : m->round_start;
    return m->cpu[m->turn]->ticks > m->round_start ? m->cpu[m->turn]->ticks : m->round_start;
}

static void ask(struct svmemu *m, enum svmemu_stop_reason r, const char *text)
{
    machine_stop(m, r, 0, text);
}

/* HLT with interrupts or GIF off, or waiting for a start-up IPI that nobody is left to send: nothing inside the machine can wake it. */
static bool dead(const struct vcpu *c)
{
    bool held = !c->st.gif && !c->guest; /* and no other processor can set this one's GIF [APM2 15.17] */
    bool masked = !(c->st.rflags & FL_IF) && !(c->st.activity == ACT_MWAIT && c->st.mwait_masked);
    if ((c->pending & (PEND_NMI | PEND_INIT | PEND_SIPI | PEND_SMI | PEND_MC)) && !held)
        return false;
    return c->st.activity == ACT_WAIT_SIPI || c->st.activity == ACT_SHUTDOWN ||
           ((c->st.activity == ACT_HLT || c->st.activity == ACT_MWAIT) && !c->guest && (held || masked));
}

static bool all_dead(const struct svmemu *m)
{
    for (unsigned i = 0; i < m->vcpus; i++)
        if (!dead(m->cpu[i]))
            return false;
    return true;
}

static bool all_asleep(const struct svmemu *m)
{
    for (unsigned i = 0; i < m->vcpus; i++)
        if (m->cpu[i]->st.activity == ACT_RUN || m->cpu[i]->pending)
            return false;
    return true;
}

/* Somebody was woken from outside in the middle of a leap: the round ends here for all, wherever in it they stood. */
static void end_leap(struct svmemu *m)
{
    u64 now = machine_ticks(m);
    for (unsigned i = 0; i < m->vcpus; i++)
        m->cpu[i]->ticks = now;
    m->round_start = m->round_end = now;
    m->leap = false;
}

/* Ends a round: time moves to its end, events fire, the next round begins. */
static void next_round(struct svmemu *m)
{
    u64 next;
    bool idle = m->halted == m->vcpus;
    m->clock.now = m->round_end > m->round_start ? m->round_end : m->round_start;
    m->turn = m->vcpus; /* nobody runs: events must not look for a slice to shorten */
    clock_run_due(&m->clock);
    next = clock_next(&m->clock);
    if (idle && (all_dead(m) || next == ~0ull)) {
        bool woken = false;
        for (unsigned i = 0; i < m->vcpus; i++)
            woken |= m->cpu[i]->st.activity == ACT_RUN || (!dead(m->cpu[i]) && m->cpu[i]->pending);
        /* What is still pending after a round that began with it and in which nobody moved is held: a virtual interrupt with IF
         * clear, say. */
        if (!woken || m->idle_insns == m->insns)
            ask(m, SVMEMU_STOP_HALTED, "every vCPU is halted and nothing can wake it");
        m->idle_insns = woken ? m->insns : ~0ull;
    } else {
        m->idle_insns = ~0ull;
    }
    m->round_start = m->clock.now;
    u64 end = m->clock.now + (m->vcpus == 1 ? SLICE_ALONE : SLICE_SHARED);
    m->leap = idle && next != ~0ull && all_asleep(m); /* nobody moves before that: as many rounds in one */
    if (m->leap)
        end = next;
    m->round_end = next < end ? (next > m->clock.now ? next : m->clock.now + 1) : end;
    m->clock.limit = m->round_end;
    m->halted = 0;
    m->turn = 0;
}

static void shut_down(struct svmemu *m)
{
    machine_stop(m, SVMEMU_STOP_SHUTDOWN, 0, m->last_diag[0] ? m->last_diag : "shutdown");
}

/* One vCPU's turn, or the part of it the limits allow. */
static void take_turn(struct svmemu *m, u64 *insns_left, u64 tick_limit)
{
    struct vcpu *c = m->cpu[m->turn];
    u64 before = c->insns, until = m->round_end < tick_limit ? m->round_end : tick_limit;
    if (c->ticks < m->round_start) /* slept */
        c->ticks = m->round_start;
    m->clock.now = c->ticks;
    enum exec_stop why = exec_run_vcpu(m->exec, c, until, *insns_left);
    u64 done = c->insns - before;
    m->insns += done;
    *insns_left -= done < *insns_left ? done : *insns_left;
    switch (why) {
    case EXEC_SLICE:
        if (c->ticks >= m->round_end)
            m->turn++;
        break;
    case EXEC_HALTED:
        if (c->ticks < until)
            m->clock.now = c->ticks = until;
        if (until < m->round_end)
            break;
        m->halted++;
        m->turn++;
        break;
    case EXEC_SHUTDOWN:
        shut_down(m);
        break;
    case EXEC_STOP:
        machine_stop(m, c->stop_reason == 1 || c->stop_reason == 2 ? SVMEMU_STOP_UNIMPLEMENTED : SVMEMU_STOP_INTERNAL, 0,
                     m->last_diag[0] ? m->last_diag : "stopped");
        c->pending &= ~(unsigned)PEND_STOP;
        break;
    case EXEC_LIMIT:
    case EXEC_YIELD:
        break;
    }
}

static void fill_stop(struct svmemu *m, struct svmemu_stop *stop, enum svmemu_stop_reason r, const char *text)
{
    if (m->stop_set) {
        *stop = m->stop;
        m->stop_set = false;
    } else {
        *stop = (struct svmemu_stop){ .reason = r };
        snprintf(stop->text, sizeof(stop->text), "%s", text);
    }
    unsigned i = svmemu_turn(m);
    m->cpu[i]->pending &= ~(unsigned)PEND_STOP;
    stop->vcpu = (int)i;
    stop->rip = m->cpu[i]->st.rip;
    stop->insns = m->insns;
    stop->cycles = machine_ticks(m) / TICKS_PER_CYCLE;
}

enum svmemu_status svmemu_run(struct svmemu *m, uint64_t insns, uint64_t cycles, struct svmemu_stop *stop)
{
    struct svmemu_stop local;
    u64 start = machine_ticks(m), limit = ~0ull;
    if (m->running)
        return machine_fail(m, SVMEMU_BUSY, "svmemu_run() was called from a callback of a running machine");
    if (cycles < (~0ull - start) / TICKS_PER_CYCLE)
        limit = start + cycles * TICKS_PER_CYCLE;
    if (!stop)
        stop = &local;
    if (m->leap && m->turn < m->vcpus && !all_asleep(m))
        end_leap(m);
    m->running = true;
    for (;;) {
        if (m->stop_set) {
            fill_stop(m, stop, SVMEMU_STOP_INTERNAL, "");
            break;
        }
        if (atomic_exchange_explicit(&m->stop_request, false, memory_order_relaxed)) {
            fill_stop(m, stop, SVMEMU_STOP_REQUEST, "stopped from outside");
            break;
        }
        if (!insns && !round_over(m) && m->cpu[m->turn]->st.activity == ACT_SHUTDOWN) {
            shut_down(m); /* by the last of them */
            continue;
        }
        if (!insns) {
            fill_stop(m, stop, SVMEMU_STOP_LIMIT_INSNS, "the instruction limit was reached");
            break;
        }
        if (machine_ticks(m) >= limit && (!round_over(m) || !cycles)) { /* what is due at that time has come */
            fill_stop(m, stop, SVMEMU_STOP_LIMIT_CYCLES, "the cycle limit was reached");
            break;
        }
        if (round_over(m) || m->round_end <= m->round_start)
            next_round(m);
        else
            take_turn(m, &insns, limit);
    }
    m->running = false;
    return SVMEMU_OK;
}

enum svmemu_status svmemu_step(struct svmemu *m, struct svmemu_stop *stop)
{
    return svmemu_run(m, 1, SVMEMU_NO_LIMIT, stop);
}
