// SPDX-License-Identifier: MIT
/* The 32-bit helper of tests/unit/isa_native.c: runs single instructions in 32- and 16-bit code segments of its LDT. A process of its own,
 * since not every x86-64 kernel runs 32-bit code; where it does not, qemu-i386 runs this very file. Freestanding: no 32-bit libc needed. */
#include "legacy.h"

enum { NR_EXIT = 1, NR_READ = 3, NR_WRITE = 4, NR_MODIFY_LDT = 123, NR_RT_SIGRETURN = 173, NR_RT_SIGACTION = 174, NR_SIGALTSTACK = 186,
       NR_MMAP2 = 192 };

/* At REGION + CTX; the assembly below knows the offsets. */
struct ctx {
    unsigned gpr[8], flags;
    unsigned host_esp, host_ss; /* far pointers, for LSS and JMP */
    unsigned far_off, far_sel;
};
#define CTX_AT(off) "0xC000+" #off

static struct ctx *const ctx = (struct ctx *)(REGION + CTX);
static unsigned char *const region = (unsigned char *)REGION;
static volatile int sig_seen, branch;
static volatile unsigned landing;
static unsigned char signal_stack[65536];

static long call6(long nr, long a, long b, long c, long d, long e, long f)
{
    long r;
    const long six[2] = { nr, f };
    __asm__ volatile("push %%ebp; push (%[six]); mov 4(%[six]), %%ebp; pop %%eax; int $0x80; pop %%ebp"
                     : "=a"(r)
                     : [six] "a"(six), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
                     : "memory");
    return r;
}
#define CALL(nr, ...) CALL_(nr, __VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define CALL_(nr, a, b, c, d, e, f, ...) call6(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

static void quit(int code)
{
    for (;;)
        CALL(NR_EXIT, code);
}

static void copy(void *to, const void *from, unsigned n)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}

/* Loads flags and registers, jumps to the instruction; a jump behind it (or the signal handler) leads to native_exit. */
void native_enter(void);
void native_exit(void);
__asm__(".text\n"
        "native_enter:\n"
        "    pusha\n"
        "    mov %esp, 0x20000000+" CTX_AT(36) "\n"
        "    mov %ss, 0x20000000+" CTX_AT(40) "\n"
        "    push 0x20000000+" CTX_AT(32) "\n"
        "    popf\n"
        "    mov $0x17, %eax\n"
        "    mov %eax, %ds\n"
        "    mov %eax, %es\n"
        "    mov %eax, %ss\n"
        "    mov " CTX_AT(16) ", %esp\n"
        "    mov " CTX_AT(0) ", %eax\n"
        "    mov " CTX_AT(4) ", %ecx\n"
        "    mov " CTX_AT(8) ", %edx\n"
        "    mov " CTX_AT(12) ", %ebx\n"
        "    mov " CTX_AT(20) ", %ebp\n"
        "    mov " CTX_AT(24) ", %esi\n"
        "    mov " CTX_AT(28) ", %edi\n"
        "    ljmp *" CTX_AT(44) "\n"
        "native_exit:\n"
        "    mov %eax, " CTX_AT(0) "\n"
        "    mov %ecx, " CTX_AT(4) "\n"
        "    mov %edx, " CTX_AT(8) "\n"
        "    mov %ebx, " CTX_AT(12) "\n"
        "    mov %esp, " CTX_AT(16) "\n"
        "    mov %ebp, " CTX_AT(20) "\n"
        "    mov %esi, " CTX_AT(24) "\n"
        "    mov %edi, " CTX_AT(28) "\n"
        "    lss " CTX_AT(36) ", %esp\n"
        "    pushf\n"
        "    popl " CTX_AT(32) "\n"
        "    mov %ss, %eax\n"
        "    mov %eax, %ds\n"
        "    mov %eax, %es\n"
        "    cld\n"
        "    popa\n"
        "    ret\n"
        ".globl native_restorer\n"
        "native_restorer:\n"
        "    mov $173, %eax\n"
        "    int $0x80\n");
void native_restorer(void);

/* The kernel's i386 ucontext: flags, link, stack, then the registers. */
struct context {
    unsigned flags, link, stack[3];
    unsigned gs, fs, es, ds, edi, esi, ebp, esp, ebx, edx, ecx, eax, trapno, err, eip, cs, eflags;
};

static void on_signal(int sig, void *info, struct context *uc)
{
    (void)info;
    unsigned cs = uc->cs & 0xFFFF;
    if ((cs != LDT_CODE32 && cs != LDT_CODE16) || (!branch && (uc->eip < CODE || uc->eip >= CODE + CODE_LEN)))
        quit(4); /* a bug of this program */
    landing = uc->eip - (sig == 5) - CODE;
    sig_seen = branch && sig == 5 ? 0 : sig;
    uc->eflags &= ~0x10100u; /* RF, TF */
    uc->eip = CODE + CODE_EXIT;
}

static void run(struct native_case *k)
{
    unsigned char *p = region + CODE;
    unsigned exit = (unsigned)native_exit;
    unsigned short cs;
    for (unsigned i = 0; i < 8; i++)
        ctx->gpr[i] = (unsigned)k->gpr[i];
    ctx->flags = (unsigned)k->flags;
    ctx->far_off = CODE;
    ctx->far_sel = k->mode == 0 ? LDT_CODE16 : LDT_CODE32;
    copy(region + SCRATCH, k->scratch, SCRATCH_LEN);
    for (unsigned i = 0; i < CODE_LEN; i++)
        p[i] = k->branch ? 0xCC : 0x90;
    copy(p, k->bytes, k->len);
    p += CODE_EXIT;
    if (k->mode == 0)
        *p++ = 0x66;
    *p++ = 0xEA; /* jmp cs:native_exit */
    copy(p, &exit, 4);
    __asm__("mov %%cs, %0" : "=r"(cs));
    copy(p + 4, &cs, 2);
    sig_seen = 0;
    branch = (int)k->branch;
    native_enter();
    for (unsigned i = 0; i < 8; i++)
        k->gpr[i] = ctx->gpr[i];
    k->flags = ctx->flags;
    k->sig = (unsigned)sig_seen;
    k->branch = branch ? landing : 0;
    copy(k->scratch, region + SCRATCH, SCRATCH_LEN);
}

static int setup(void)
{
    const unsigned stack[3] = { (unsigned)signal_stack, 0, sizeof signal_stack };
    struct { void (*handler)(int, void *, struct context *); unsigned flags; void (*restorer)(void); unsigned mask[2]; } act = {
        on_signal, 0x4C000004 /* SIGINFO, ONSTACK, NODEFER, RESTORER */, native_restorer, { 0, 0 } };
    static const int signals[] = { 4, 5, 7, 8, 11 }; /* ILL TRAP BUS FPE SEGV */
    /* entry, base, limit; seg_32bit and contents and useable in the flag word: code 32, code 16, data 32 */
    static const unsigned flags[3] = { 1 | 2 << 1 | 1 << 6, 2 << 1 | 1 << 6, 1 | 1 << 6 };
    /* read, write, execute; private, anonymous, at this address */
    if (CALL(NR_MMAP2, REGION, SPAN, 7, 0x100022, -1, 0) != REGION)
        return 0;
    for (unsigned i = 0; i < 3; i++) {
        const unsigned d[4] = { i, REGION, SPAN - 1, flags[i] };
        if (CALL(NR_MODIFY_LDT, 1, d, sizeof d))
            return 0;
    }
    unsigned found = 0, sel = LDT_DATA;
    __asm__("lar %1, %0" : "+r"(found) : "r"(sel)); /* some kernels take the call and load no LDT */
    if (!found || CALL(NR_SIGALTSTACK, stack, 0))
        return 0;
    for (unsigned i = 0; i < sizeof signals / sizeof signals[0]; i++)
        if (CALL(NR_RT_SIGACTION, signals[i], &act, 0, 8))
            return 0;
    return 1;
}

void _start(void)
{
    char byte = 'R';
    struct native_batch *b = (struct native_batch *)CALL(NR_MMAP2, 0, sizeof(struct native_batch), 3, 1, NATIVE_FD, 0);
    if ((unsigned)b > 0xFFFFF000u || !setup())
        quit(3);
    while (CALL(NR_WRITE, 1, &byte, 1) == 1 && CALL(NR_READ, 0, &byte, 1) == 1)
        for (unsigned i = 0; i < b->cases && i < NATIVE_BATCH; i++)
            run(&b->c[i]);
    quit(0);
}
