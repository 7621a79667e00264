// SPDX-License-Identifier: MIT
/* Signals: faults of each kind, from CPU to CPU, held back, on a stack of their own. */
#include "smp.h"
#include <linux/signal.h>
#include <asm/sigcontext.h>
#include <asm/ucontext.h>

enum { ROUNDS = 5, EAGAIN_ = 11, FLAGS = 0xcd7 /* OF DF SF ZF AF PF CF */, ALT_STACK = 16384 };

static void note(int number, void *info, void *context)
{
    siginfo_t *i = info;
    struct worker *w = self();

    (void)context;
    w->signal = number;
    w->code = i->si_code;
    w->sender = i->si_pid;
    w->address = (u64)i->si_addr;
    w->signal_cpu = current_cpu();
    w->signals++;
}

static void note_and_skip(int number, void *info, void *context)
{
    struct ucontext *c = context;

    note(number, info, context);
    c->uc_mcontext.rip += 2;
}

int catch_noting(int number, u64 flags)
{
    return want(catch_signal(number, note, flags), "rt_sigaction", (u64)number);
}

int catch_faults(void)
{
    return catch_signal(SIGSEGV, note_and_skip, 0) && catch_signal(SIGFPE, note_and_skip, 0) &&
        catch_signal(SIGILL, note_and_skip, 0);
}

static int noted(struct worker *w, int signal, int code)
{
    return w->signals == 1 && w->signal == signal && w->code == code;
}

int write_faults(volatile u8 *at, u8 value, int signal, int code)
{
    struct worker *w = self();

    w->signals = 0;
    __asm__ volatile("movb %b0, (%1)" : : "c"(value), "D"(at) : "memory");
    return noted(w, signal, code) && w->address == (u64)at;
}

int read_faults(volatile u8 *at, int signal, int code)
{
    struct worker *w = self();
    u8 value;

    w->signals = 0;
    __asm__ volatile("movb (%1), %b0" : "=c"(value) : "D"(at) : "memory");
    return noted(w, signal, code) && w->address == (u64)at;
}

static int fault_each_kind(struct worker *w)
{
    u32 eax = 1, edx = 0;

    w->signals = 0;
    __asm__ volatile("div %%ecx" : "+a"(eax), "+d"(edx) : "c"(0) : "memory");
    int ok = want(noted(w, SIGFPE, FPE_INTDIV), "#DE", (u64)w->signal);
    w->signals = 0;
    __asm__ volatile("ud2" : : : "memory");
    ok &= want(noted(w, SIGILL, ILL_ILLOPN), "#UD", (u64)w->signal);
    w->signals = 0;
    __asm__ volatile("cli\n nop" : : : "memory");
    ok &= want(noted(w, SIGSEGV, SI_KERNEL), "#GP", (u64)w->signal);
    w->signals = 0;
    __asm__ volatile("int3" : : : "memory");
    ok &= want(noted(w, SIGTRAP, SI_KERNEL), "#BP", (u64)w->signal);
    return ok & want(read_faults((u8 *)8, SIGSEGV, SEGV_MAPERR), "#PF", (u64)w->signal);
}

/* TF set by POPF traps behind each instruction, up to the POPF that clears it. */
static int step_instructions(struct worker *w)
{
    w->signals = 0;
    __asm__ volatile("pushf\n orl $0x100, (%%rsp)\n popf\n nop\n pushf\n andl $~0x100, (%%rsp)\n popf"
                     :
                     :
                     : "memory", "cc");
    return want(w->signals == 4, "traps", w->signals) &&
        want(w->signal == SIGTRAP && w->code == TRAP_TRACE, "code", (u64)w->code);
}

/* Spins until a signal has come and returns what differs then in the registers and flags. */
static u64 spin_with_registers(struct worker *w)
{
    u64 seed = 0x1234567800000000 + w->cpu, flags, differs;

    __asm__ volatile("push %%rbp\n"
                     "lea 1(%%rax), %%rbx\n lea 2(%%rax), %%rdx\n lea 3(%%rax), %%rdi\n lea 4(%%rax), %%rbp\n"
                     "lea 5(%%rax), %%r8\n lea 6(%%rax), %%r9\n lea 7(%%rax), %%r10\n lea 8(%%rax), %%r11\n"
                     "lea 9(%%rax), %%r12\n lea 10(%%rax), %%r13\n lea 11(%%rax), %%r14\n lea 12(%%rax), %%r15\n"
                     "push %[flags_in]\n popf\n"
                     "1: pause\n mov (%%rsi), %%ecx\n jrcxz 1b\n"
                     "pushf\n pop %%rcx\n cld\n"
                     "dec %%rbx\n xor %%rax, %%rbx\n inc %%rax\n"
                     ".irp r, rdx, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15\n"
                     "dec %%\\r\n xor %%rax, %%\\r\n or %%\\r, %%rbx\n inc %%rax\n .endr\n"
                     "pop %%rbp"
                     : "+a"(seed), "=&b"(differs), "=&c"(flags)
                     : "S"(&w->signals), [flags_in] "i"(FLAGS)
                     : "rdx", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
    return differs | ((flags & FLAGS) ^ FLAGS) | (seed ^ (0x1234567800000000 + w->cpu + 12));
}

static int signal_next(struct worker *w)
{
    struct worker *next = worker((w->cpu + 1) % cpus);
    u64 process = (u64)sys3(__NR_getpid, 0, 0, 0);

    for (u32 i = 0; i < ROUNDS; i++) {
        if (w->cpu == 0 && !want(sys3(__NR_tgkill, process, next->tid, SIGUSR1) == 0, "tgkill", i))
            return 0;
        u64 differs = spin_with_registers(w);
        if (!want(differs == 0, "registers after a signal", differs) ||
            !want(noted(w, SIGUSR1, SI_TKILL), "signals", w->signals) ||
            !want(w->sender == (int)process && w->signal_cpu == w->cpu, "it was handled on CPU", w->signal_cpu))
            return 0;
        w->signals = 0;
        if (w->cpu != 0 && !want(sys3(__NR_tgkill, process, next->tid, SIGUSR1) == 0, "tgkill", i))
            return 0;
    }
    return 1;
}

/* A signal with a value, queued while it is blocked: taken by rt_sigtimedwait once, by its handler the second time. */
static int hold_back(struct worker *w)
{
    u64 usr2 = 1ul << (SIGUSR2 - 1), pending = 0, process = (u64)sys3(__NR_getpid, 0, 0, 0);
    i64 limit[2] = { 0, 1000000 };
    siginfo_t info = { .si_signo = SIGUSR2 }, taken = { 0 };
    int ok;

    info.si_code = SI_QUEUE;
    info.si_ptr = (void *)(u64)(1000 + w->cpu);
    sys6(__NR_rt_sigprocmask, SIG_BLOCK, (u64)&usr2, 0, 8, 0, 0);
    sys6(__NR_rt_tgsigqueueinfo, process, w->tid, SIGUSR2, (u64)&info, 0, 0);
    sys3(__NR_rt_sigpending, (u64)&pending, 8, 0);
    ok = want(w->signals == 0 && (pending & usr2), "pending", pending) &&
        want(sys6(__NR_rt_sigtimedwait, (u64)&usr2, (u64)&taken, (u64)limit, 8, 0, 0) == SIGUSR2, "rt_sigtimedwait", 0) &&
        want(taken.si_code == SI_QUEUE && (u64)taken.si_ptr == 1000 + w->cpu, "the value", (u64)taken.si_ptr) &&
        want(sys6(__NR_rt_sigtimedwait, (u64)&usr2, (u64)&taken, (u64)limit, 8, 0, 0) == -EAGAIN_, "a second one", 0);
    sys6(__NR_rt_tgsigqueueinfo, process, w->tid, SIGUSR2, (u64)&info, 0, 0);
    ok &= want(w->signals == 0, "signals while blocked", w->signals);
    sys6(__NR_rt_sigprocmask, SIG_UNBLOCK, (u64)&usr2, 0, 8, 0, 0);
    return ok & want(noted(w, SIGUSR2, SI_QUEUE), "signals when unblocked", w->signals);
}

static void note_stack(int number, void *info, void *context)
{
    note(number, info, context);
    self()->value = (u64)__builtin_frame_address(0);
}

/* The other stack lies in the same block as the thread's own, where self() finds the worker. */
static int on_other_stack(struct worker *w)
{
    stack_t other = { .ss_sp = (u8 *)w + PAGE, .ss_size = ALT_STACK };
    u64 low = (u64)w + PAGE;

    return want(sys3(__NR_sigaltstack, (u64)&other, 0, 0) == 0, "sigaltstack", 0) &&
        want(sys3(__NR_tgkill, (u64)sys3(__NR_getpid, 0, 0, 0), w->tid, SIGUSR1) == 0, "tgkill", 0) &&
        want(noted(w, SIGUSR1, SI_TKILL), "signals", w->signals) &&
        want(w->value > low && w->value < low + ALT_STACK, "the handler's stack", w->value);
}

void check_signals(void)
{
    check(catch_noting(SIGTRAP, 0) && catch_noting(SIGUSR1, 0) && catch_noting(SIGUSR2, 0), "handlers of signals");
    check(each_cpu(fault_each_kind), "faults of each kind become signals on each CPU");
    check(each_cpu(step_instructions), "single steps on each CPU");
    check(each_cpu(signal_next), "signals go from CPU to CPU and leave the registers alone");
    check(each_cpu(hold_back), "signals with a value, held back");
    check(catch_signal(SIGUSR1, note_stack, SA_ONSTACK) && each_cpu(on_other_stack), "a handler on a stack of its own");
}
