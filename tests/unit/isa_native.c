// SPDX-License-Identifier: MIT
/* Every user-mode integer row against the host processor. Random operands from a fixed seed; registers, flags (without the row's undefined
 * ones), memory and faults must agree.
 *
 * 64-bit code runs in this process: a stub loads flags and registers and jumps to the instruction; a jump behind it (or the signal handler)
 * leads to the exit stub that saves them. Around a branch stand INT3s, whose signal tells where it went. 32- and 16-bit code runs in the LDT segments of a 32-bit helper process (tests/native/legacy.c);
 * where the host's kernel runs no 32-bit code, or loads no LDT, qemu-i386 runs the helper: an oracle independent of ours, but no processor.
 * SVMEMU_NATIVE_REPORT names a file that gets a line on what each size was compared with. 64-bit code must be compared everywhere; without
 * the kernel's help and qemu-i386 the other sizes fail, or with SVMEMU_OFFLINE=1 are skipped (status 77). */
#define _GNU_SOURCE
#ifdef __x86_64__
#include <cpuid.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "../native/legacy.h"
#include "cpu_fixture.h"
#include "decoder/rows.h"
#include "exec/exec.h"

enum { ENTRY = 0xD000, EXIT = 0xD800 };
enum { RUNS = 200 };

/* At REGION + CTX; the stubs know the offsets. */
struct ctx {
    u64 gpr[16], flags, host_rsp;
    u32 far_off;
    u16 far_sel;
};
static struct ctx *const ctx = (struct ctx *)(u64)(REGION + CTX);
static u8 *const region = (u8 *)(u64)REGION;
static volatile sig_atomic_t sig_seen, branch;
static volatile u64 landing;
static u64 rng = 0x1234567;

static u64 rnd(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng * 0x2545F4914F6CDD1Dull;
}

/* Values that hit carries and edges often. */
static u64 rnd_value(void)
{
    static const u64 edge[] = { 0, 1, ~0ull, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1ull << 63, ~0ull >> 1 };
    u64 r = rnd();
    switch (r >> 60 & 3) {
    case 0: return edge[(r >> 8) % ARRAY_LEN(edge)];
    case 1: return r & 0xFF;
    default: return rnd();
    }
}

/* ---- the native side ---- */

static u8 *emit(u8 *p, const void *b, size_t n) { memcpy(p, b, n); return p + n; }

/* MOV between register r and [abs32] (op 8B load, 89 store). */
static u8 *emit_mov(u8 *p, u8 op, unsigned r, u64 addr)
{
    *p++ = (u8)(0x48 | (r >> 3) << 2);
    *p++ = op;
    *p++ = (u8)(4 | (r & 7) << 3);
    *p++ = 0x25;
    u32 a = (u32)addr;
    return emit(p, &a, 4);
}

static void make_stubs(void)
{
    static const u8 save[] = { 0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57, 0x9C };
    static const u8 restore[] = { 0x9D, 0x41, 0x5F, 0x41, 0x5E, 0x41, 0x5D, 0x41, 0x5C, 0x5D, 0x5B, 0xC3 };
    u64 c = REGION + CTX;
    u32 fl = (u32)(c + offsetof(struct ctx, flags)), far = (u32)(c + offsetof(struct ctx, far_off));
    u8 *p = emit(region + ENTRY, save, sizeof save);
    p = emit_mov(p, 0x89, RSP, c + offsetof(struct ctx, host_rsp));
    p = emit(p, "\xFF\x34\x25", 3); /* push [abs32]; popf */
    p = emit(p, &fl, 4);
    *p++ = 0x9D;
    for (unsigned r = 0; r < 16; r++)
        p = emit_mov(p, 0x8B, r, c + 8 * r);
    p = emit(p, "\xFF\x2C\x25", 3); /* jmp far [abs32] */
    emit(p, &far, 4);
    p = region + EXIT;
    for (unsigned r = 0; r < 16; r++)
        p = emit_mov(p, 0x89, r, c + 8 * r);
    p = emit_mov(p, 0x8B, RSP, c + offsetof(struct ctx, host_rsp));
    p = emit(p, "\x9C\x8F\x04\x25", 4); /* pushf; pop [abs32] */
    p = emit(p, &fl, 4);
    emit(p, restore, sizeof restore);
}

static void on_signal(int sig, siginfo_t *si, void *uc)
{
    greg_t *g = ((ucontext_t *)uc)->uc_mcontext.gregs;
    (void)si;
    if (!branch && (g[REG_RIP] < REGION + CODE || g[REG_RIP] >= REGION + CODE + CODE_LEN))
        abort(); /* a bug of this test */
    landing = (u64)g[REG_RIP] - (sig == SIGTRAP) - REGION - CODE;
    sig_seen = branch && sig == SIGTRAP ? 0 : sig;
    g[REG_EFL] &= ~(greg_t)0x10100; /* RF, TF */
    g[REG_RIP] = REGION + CODE + CODE_EXIT;
}

static bool setup_native(void)
{
    void *m = mmap(region, SPAN, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (m != region)
        return false;
    static u8 stack[65536];
    stack_t ss = { .ss_sp = stack, .ss_size = sizeof stack };
    struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
    static const int sigs[] = { SIGFPE, SIGSEGV, SIGILL, SIGTRAP, SIGBUS };
    sigaltstack(&ss, NULL);
    for (unsigned i = 0; i < ARRAY_LEN(sigs); i++)
        sigaction(sigs[i], &sa, NULL);
    make_stubs();
    return true;
}

static void native64(struct native_case *k)
{
    const i32 back = EXIT - (CODE + CODE_EXIT + 5);
    u8 *p = region + CODE;
    memset(p, k->branch ? 0xCC : 0x90, CODE_LEN);
    memcpy(p, k->bytes, k->len);
    p[CODE_EXIT] = 0xE9; /* NOPs lead here */
    memcpy(p + CODE_EXIT + 1, &back, 4);
    memcpy(region + SCRATCH, k->scratch, SCRATCH_LEN);
    memcpy(ctx->gpr, k->gpr, sizeof ctx->gpr);
    ctx->flags = k->flags;
    ctx->far_off = REGION + CODE;
    ctx->far_sel = 0x33;
    sig_seen = 0;
    branch = k->branch != 0;
    ((void (*)(void))(u64)(REGION + ENTRY))();
    memcpy(k->gpr, ctx->gpr, sizeof ctx->gpr);
    k->flags = ctx->flags;
    k->sig = (unsigned)sig_seen;
    k->branch = branch ? (unsigned)landing : 0;
    memcpy(k->scratch, region + SCRATCH, SCRATCH_LEN);
}

/* ---- the 32-bit helper ---- */

struct helper {
    pid_t pid;
    int to, from; /* pipes */
    bool qemu;
};

static bool helper_start(struct helper *h, int shared, bool qemu)
{
    static const char path[] = SVMEMU_BINARY_DIR "/native_legacy";
    int in[2], out[2];
    char byte;
    if (pipe(in) || pipe(out))
        return false;
    *h = (struct helper){ .pid = fork(), .to = in[1], .from = out[0], .qemu = qemu };
    if (h->pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        close(out[0]);
        dup2(shared, NATIVE_FD);
        if (qemu)
            execlp("qemu-i386", "qemu-i386", "-cpu", "max", path, (char *)NULL);
        else
            execl(path, path, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    if (h->pid > 0 && read(h->from, &byte, 1) == 1)
        return true;
    close(h->to);
    close(h->from);
    if (h->pid > 0)
        waitpid(h->pid, NULL, 0);
    return false;
}

static bool helper_run(struct helper *h)
{
    char byte = 'G';
    return write(h->to, &byte, 1) == 1 && read(h->from, &byte, 1) == 1;
}

static void helper_end(struct helper *h)
{
    int status;
    close(h->to);
    assert_int_equal(waitpid(h->pid, &status, 0), h->pid);
    close(h->from);
    assert_int_equal(status, 0);
}

/* ---- one case ---- */

struct machine {
    struct fix f;
    u8 *ram; /* host memory of the emulated region */
    struct native_batch *batch;
    struct native_case in[NATIVE_BATCH]; /* the batch as it was before it ran */
    struct insn insn[NATIVE_BATCH];
    struct helper helper;
    u64 bad;
    struct { char mode[3], name[16]; u64 count; } excused[32]; /* where qemu-i386 is known to differ from processors */
};

static void load_excused(struct machine *m)
{
    FILE *f = fopen(SVMEMU_SOURCE_DIR "/tests/golden/qemu_differences.txt", "r");
    char line[256];
    unsigned n = 0;
    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        if (line[0] != '#') {
            assert_true(n < ARRAY_LEN(m->excused));
            assert_int_equal(sscanf(line, "%2s %15s", m->excused[n].mode, m->excused[n].name), 2);
            n++;
        }
    fclose(f);
}

static bool excused(struct machine *m, enum dec_mode mode, const char *name)
{
    if (mode == MODE_64 || !m->helper.qemu)
        return false;
    for (unsigned i = 0; i < ARRAY_LEN(m->excused); i++)
        if (!strcmp(m->excused[i].name, name) && (m->excused[i].mode[0] == '*' || atoi(m->excused[i].mode) == 16 << mode)) {
            m->excused[i].count++;
            return true;
        }
    return false;
}

static void emu_mode(struct machine *m, enum dec_mode mode)
{
    struct cpu_state *s = &m->f.c.st;
    bool l = mode == MODE_64;
    s->cr0 = CR0_PE | CR0_ET | CR0_NE;
    s->efer = l ? EFER_LME | EFER_LMA : 0;
    s->cpl = 3;
    for (unsigned i = 0; i < 6; i++)
        s->seg[i] = (struct seg){ .base = l ? 0 : REGION, .limit = 0xFFFF, .sel = LDT_DATA, .attr = 0xF3 | (mode == MODE_32 || i != SEG_CS ? ATTR_DB : 0) };
    s->seg[SEG_CS].attr = (u16)(0xFB | (l ? ATTR_L : mode == MODE_32 ? ATTR_DB : 0));
    cpu_update_mode(&m->f.c);
}

static bool named(const char *list, const char *name)
{
    char key[64];
    snprintf(key, sizeof key, " %s ", name);
    return strstr(list, key) != NULL;
}

static bool is_branch(const char *name)
{
    return named(" jcc loop loope loopne jrcxz jmp call ret ", name);
}

/* Where a branch may go: into the INT3s before the exit. */
static u64 branch_target(enum dec_mode mode, unsigned len)
{
    return (mode == MODE_64 ? REGION : 0) + CODE + len + rnd() % (CODE_EXIT - len);
}

/* Encodes one form of a row at random; false: this form does not exist. */
static unsigned encode(unsigned row, enum dec_mode mode, u8 *b, bool mem, const u64 *features, struct insn *in)
{
    const struct isa_row *r = &isa_rows[row];
    unsigned n = 0, esc = r->map;
    bool lea = !strcmp(r->name, "lea"); /* any address form, since nothing is accessed */
    u64 x = rnd();
    u8 modrm = (u8)(rnd() & 0x3F), rm = 0;
    bool w = (r->limits & LIM_W1) || (!(r->limits & LIM_W0) && (x & 1));
    u32 addr = (u32)((mode == MODE_64 ? REGION : 0) + SCRATCH + 0x400 + (rnd() & (x & 2 ? 0x7F0 : 0x7FF)));
    if (esc < MAP_VEX1) {
        /* In 64-bit code AMD's processors cut a near branch to 16 bits, others do not. */
        bool may66 = !(is_branch(r->name) && mode == MODE_64);
        if (r->prefix == MP_66 || (r->prefix == MP_ANY && may66 && (x & 12) == 0))
            b[n++] = 0x66;
        if (((r->limits & LIM_REP) || lea || named(" loop loope loopne jrcxz ", r->name)) && (x & 16))
            b[n++] = 0x67;
        if (r->prefix == MP_F3 || r->prefix == MP_F2)
            b[n++] = r->prefix == MP_F3 ? 0xF3 : 0xF2;
        else if ((r->limits & LIM_REP) && (x & 0x60))
            b[n++] = x & 0x20 ? 0xF3 : 0xF2;
        if (mode == MODE_64 && (w || (x & 0x100)))
            b[n++] = (u8)(0x40 | (w ? 8 : 0) | (x >> 9 & 5) | (x >> 9 & 3));
        if (mode == MODE_64 && n && mem && !lea && (b[n - 1] & 0xF0) == 0x40)
            b[n - 1] &= (u8)~3;
        if (esc >= MAP_0F)
            b[n++] = 0x0F;
        if (esc == MAP_0F38)
            b[n++] = 0x38;
    } else {
        static const u8 pp[] = { 0, 0, 1, 2, 3 };
        bool m64 = mode == MODE_64;
        b[n++] = 0xC4;
        b[n++] = (u8)((m64 ? x >> 8 & 0x80 : 0x80) | 0x40 | (mem || !m64 ? 0x20 : x >> 10 & 0x20) | (esc - MAP_VEX1 + 1));
        b[n++] = (u8)((w ? 0x80 : 0) | (m64 ? x >> 16 & 0x78 : 0x40 | (x >> 16 & 0x38)) | pp[r->prefix]);
    }
    b[n++] = (u8)(r->opcode | 0);
    for (unsigned i = 0; i < 16; i++)
        b[n + i] = (u8)rnd();
    unsigned op_at = n - 1;
    enum dec_status st = DEC_UD;
    for (unsigned t = 0; t < 200 && st != DEC_OK; t++) {
        if (lea) {
            b[n] = (u8)(modrm | rnd() % 3 << 6);
        } else if (mem) {
            rm = mode == MODE_16 ? 6 : mode == MODE_32 ? 5 : 4;
            b[n] = (u8)((modrm & 0x38) | rm);
            unsigned k = n + 1;
            if (mode == MODE_64)
                b[k++] = 0x25;
            memcpy(b + k, &addr, mode == MODE_16 ? 2 : 4);
        } else {
            b[n] = (u8)(0xC0 | modrm);
        }
        modrm = rnd() & 0x3F;
        st = decode_insn(b, 15, mode, features, in);
        if (st == DEC_OK && in->row == row)
            break;
        st = DEC_UD;
        if (t >= 150 && (r->opcode & 7) == 0)
            b[op_at] = (u8)(r->opcode | (rnd() & 7));
    }
    if (st != DEC_OK)
        return 0;
    bool has_mem = false;
    if (in->nops && in->op[0].kind == OPK_REL) {
        bool rel8 = esc == MAP_ONE && (r->opcode >> 4 == 7 || r->opcode >> 2 == 0xE0 >> 2 || r->opcode == 0xEB);
        u64 disp = rnd() % (CODE_EXIT - in->len);
        memcpy(b + in->len - (rel8 ? 1 : in->osz == 2 ? 2 : 4), &disp, rel8 ? 1 : in->osz == 2 ? 2 : 4);
    }
    for (unsigned i = 0; i < in->nops; i++) {
        has_mem |= in->op[i].kind == OPK_MEM;
        if (in->op[i].kind == OPK_MEM && r->modrm == MRM_NONE) { /* moffs. in->modrm is no test: LEA's may be 00 */
            u64 a = addr;
            memcpy(b + in->len - in->asz, &a, in->asz);
        }
    }
    if (mem && !has_mem)
        return 0;
    if (!strcmp(r->name, "enter")) {
        b[in->len - 2] = 0;
        b[in->len - 1] &= 0x27;
    }
    assert_int_equal(decode_insn(b, in->len, mode, features, in), DEC_OK);
    assert_int_equal(in->row, row); /* only an immediate, offset or displacement was changed */
    if (!strcmp(r->name, "call") && in->op[0].kind == OPK_GPR && in->op[0].reg == RSP) /* would push onto the code */
        return 0;
    return in->len;
}

static void operands(const struct insn *in, enum dec_mode mode, u64 gpr[16], u64 *flags, u8 *scratch)
{
    const char *name = isa_rows[in->row].name;
    u64 base = (mode == MODE_64 ? REGION : 0) + SCRATCH, keep = mode == MODE_64 ? ~0ull : 0xFFFFFFFF;
    for (unsigned i = 0; i < 16; i++)
        gpr[i] = rnd_value() & keep;
    for (unsigned i = 0; i < SCRATCH_LEN; i += 8) {
        u64 v = i & 0x18 ? rnd() : rnd_value();
        memcpy(scratch + i, &v, 8);
    }
    *flags = (rnd() & FL_ARITH) | 0x202;
    gpr[RSP] = base + 0x800 + (rnd() & 0xF8);
    if (!strcmp(name, "leave") || !strcmp(name, "enter"))
        gpr[RBP] = base + 0xA00 + (rnd() & 0xF8);
    if (!strcmp(name, "xlat"))
        gpr[RBX] = base + 0x100;
    if (isa_rows[in->row].limits & LIM_REP) {
        gpr[RSI] = base + 0x600 + (rnd() & 0xFF);
        gpr[RDI] = base + 0x600 + (rnd() & 0xFF);
        gpr[RCX] = rnd() % 40;
        *flags |= rnd() & FL_DF;
        if (rnd() & 1)
            memset(scratch + 0x400, 0x55, 0x700);
        if (rnd() & 1)
            gpr[RAX] = 0x5555555555555555 & keep;
    }
    if (name[0] == 'b' && name[1] == 't' && in->op[0].kind == OPK_MEM && in->op[1].kind == OPK_GPR)
        gpr[in->op[1].reg] = (u64)((i64)(rnd() << 52) >> 52) & keep;
    if (is_branch(name)) {
        u64 to = branch_target(mode, in->len);
        if (in->op[0].kind == OPK_MEM)
            memcpy(scratch + (op_ea(&(struct vcpu){ .st.rip = 0 }, in) - base), &to, 8);
        else if (in->op[0].kind == OPK_GPR)
            gpr[in->op[0].reg] = to;
        else if (!strcmp(name, "ret"))
            memcpy(scratch + gpr[RSP] - base, &to, 8);
    }
    if (!strcmp(name, "popf")) {
        u64 v = 0x202 | (rnd() & (FL_ARITH | FL_DF));
        memcpy(scratch + gpr[RSP] - base, &v, 8);
    }
    if ((!strcmp(name, "div") || !strcmp(name, "idiv")) && (rnd() & 3))
        gpr[RDX] = name[0] == 'i' && (gpr[RAX] >> 63) ? keep : rnd() & 3;
    if (!strncmp(name, "cmpxchg", 7) && (rnd() & 1) && in->op[0].kind == OPK_MEM) {
        const u8 *p = scratch + (op_ea(&(struct vcpu){ .st.rip = 0 }, in) - base);
        bool b8 = name[7] == '8';
        gpr[RAX] = load_le(p, b8 ? 4 : 8);
        gpr[RDX] = load_le(p + (b8 ? 4 : 8), b8 ? 4 : 8);
        gpr[RAX] &= keep;
    }
}

static bool fault_agrees(int sig, u8 vec)
{
    switch (vec) {
    case EXC_DE: return sig == SIGFPE;
    case EXC_UD: return sig == SIGILL;
    default: return sig == SIGSEGV || sig == SIGBUS;
    }
}

/* Flags that the manual leaves undefined: the row's, less what a shift or rotate defines by its count. By 0 it changes none, by 1 OF is defined. */
static u64 undefined_flags(const struct insn *in, const struct native_case *k)
{
    const struct isa_row *r = &isa_rows[in->row];
    if (getenv("SVMEMU_UNDEF"))
        return 0;
    if (!named(" shl shr sar rol ror rcl rcr shld shrd ", r->name))
        return r->fl_undef;
    const struct operand *last = &in->op[in->nops - 1];
    u64 count = last->kind == OPK_CONST ? 1 : last->kind == OPK_IMM ? in->imm : k->gpr[RCX];
    count &= in->osz == 8 && in->op[0].size == 8 ? 63 : 31;
    return count == 0 ? 0 : count == 1 ? r->fl_undef & ~(u64)FL_OF : r->fl_undef;
}

static void report(const struct native_case *in, const struct native_case *out, const struct vcpu *c, const u8 *ram, bool ok, u64 keep)
{
    print_message("%s mode %d bytes", isa_rows[c->cur->row].name, 16 << in->mode);
    for (unsigned i = 0; i < in->len; i++)
        print_message(" %02x", in->bytes[i]);
    print_message(": flags in %#llx native %#llx ours %#llx; signal %u fault %d; memory %s\n", (unsigned long long)in->flags,
                  (unsigned long long)out->flags, (unsigned long long)cpu_rflags(c), out->sig, ok ? -1 : c->ev.vec, memcmp(out->scratch, ram, SCRATCH_LEN) ? "differs" : "same");
    for (unsigned i = 0; i < 16; i++)
        if ((c->st.gpr[i] ^ out->gpr[i]) & keep)
            print_message("  r%u in %#llx native %#llx ours %#llx\n", i, (unsigned long long)in->gpr[i],
                          (unsigned long long)out->gpr[i], (unsigned long long)c->st.gpr[i]);
}

/* Runs what ran natively here too. */
static bool agrees(struct machine *m, const struct native_case *in, const struct native_case *out, const struct insn *insn)
{
    struct vcpu *c = &m->f.c;
    u64 keep = in->mode == MODE_64 ? ~0ull : 0xFFFFFFFF;
    memcpy(m->ram + SCRATCH, in->scratch, SCRATCH_LEN);
    memcpy(c->st.gpr, in->gpr, sizeof in->gpr);
    cpu_set_rflags(c, in->flags);
    c->st.rip = in->mode == MODE_64 ? REGION + CODE : CODE;
    bool ok;
    do {
        c->rep_unfinished = false;
        c->next_rip = c->st.rip + insn->len;
        c->budget = (i64)1 << 60;
        ok = exec_insn_generic(c, insn);
    } while (ok && c->rep_unfinished);
    u64 mask = (FL_ARITH | FL_DF) & ~(out->sig ? 0 : undefined_flags(insn, in));
    bool same = (!in->branch || out->branch == (u32)((ok ? c->next_rip : c->st.rip) - c->st.rip)) && ok == !out->sig && (ok || fault_agrees((int)out->sig, c->ev.vec)) && !((cpu_rflags(c) ^ out->flags) & mask) &&
                !memcmp(out->scratch, m->ram + SCRATCH, SCRATCH_LEN);
    for (unsigned i = 0; i < (in->mode == MODE_64 ? 16 : 8); i++)
        same &= !((c->st.gpr[i] ^ out->gpr[i]) & keep);
    if (!same && excused(m, in->mode, isa_rows[insn->row].name))
        return true;
    if (!same && m->bad < 20) {
        c->cur = insn;
        report(in, out, c, m->ram + SCRATCH, ok, keep);
        c->cur = NULL;
    }
    return same;
}

static void run_batch(struct machine *m, enum dec_mode mode)
{
    struct native_batch *b = m->batch;
    memcpy(m->in, b->c, b->cases * sizeof b->c[0]);
    if (mode == MODE_64)
        for (unsigned i = 0; i < b->cases; i++)
            native64(&b->c[i]);
    else
        assert_true(helper_run(&m->helper));
    for (unsigned i = 0; i < b->cases; i++)
        m->bad += !agrees(m, &m->in[i], &b->c[i], &m->insn[i]);
    b->cases = 0;
}

/* Names of the rows compared; others are system instructions, control transfers, or not for this test. */
static bool comparable(const char *name)
{
    static const char list[] =
        " add adc sub sbb cmp inc dec neg or and xor test not shl shr sar rol ror rcl rcr mov movnti movzx movsx movsxd lea cmovcc setcc "
        "bswap movbe xchg xadd cmpxchg cmpxchg8b cmpxchg16b cbw cwd xlat push pop pusha popa pushf popf enter leave bt bts btr btc bt_imm "
        "bts_imm btr_imm btc_imm bsf bsr popcnt lzcnt tzcnt shld shrd mul imul_wide imul div idiv movs stos lods cmps scas aaa aas daa das "
        "aam aad salc andn bextr blsr blsmsk blsi bzhi pdep pext mulx rorx sarx shlx shrx adcx adox crc32 nop pause ud0 ud1 ud2 sahf lahf "
        "cmc clc stc cld std bound prefetch prefetchw prefetchnta prefetcht0 prefetcht1 prefetcht2 lfence mfence sfence ";
    return is_branch(name) || named(list, name);
}

static bool host_has(unsigned feature)
{
    unsigned a, b = 0, c1 = 0, b7 = 0, c81 = 0, d;
    __get_cpuid(1, &a, &b, &c1, &d);
    __get_cpuid(0x80000001, &a, &b, &c81, &d);
    __get_cpuid_count(7, 0, &a, &b7, &b, &d);
    switch (feature) {
    case FEAT_BMI1: return b7 >> 3 & 1;
    case FEAT_BMI2: return b7 >> 8 & 1;
    case FEAT_ADX: return b7 >> 19 & 1;
    case FEAT_POPCNT: return c1 >> 23 & 1;
    case FEAT_MOVBE: return c1 >> 22 & 1;
    case FEAT_SSE42: return c1 >> 20 & 1;
    case FEAT_CX16: return c1 >> 13 & 1;
    case FEAT_LZCNT: return c81 >> 5 & 1;
    default: return true; /* every 64-bit processor has the rest */
    }
}

static void compare_mode(struct machine *m, enum dec_mode mode)
{
    u64 all[FEAT_WORDS], cases = 0, rows = 0, missing = 0;
    memset(all, 0xFF, sizeof all);
    m->bad = 0;
    emu_mode(m, mode);
    for (unsigned row = 0; row < isa_row_count; row++) {
        const struct isa_row *r = &isa_rows[row];
        if (r->kind == KIND_NONE || !comparable(r->name) || ((r->limits & LIM_NO64) && mode == MODE_64) || ((r->limits & LIM_O64) && mode != MODE_64))
            continue;
        if (!host_has(r->feature)) {
            print_message("host lacks the feature of %s\n", r->name);
            missing++;
            continue;
        }
        unsigned done = 0;
        for (unsigned i = 0; i < 2 * RUNS; i++) {
            u8 b[40];
            struct native_case *k = &m->batch->c[m->batch->cases];
            struct insn *in = &m->insn[m->batch->cases];
            if (!encode(row, mode, b, i & 1, all, in))
                continue;
            done++;
            k->mode = mode;
            k->branch = is_branch(r->name);
            k->len = in->len;
            memcpy(k->bytes, b, in->len);
            operands(in, mode, k->gpr, &k->flags, k->scratch);
            if (++m->batch->cases == NATIVE_BATCH)
                run_batch(m, mode);
        }
        if (!done)
            print_message("no form of %s (opcode %02x) in %d-bit code\n", r->name, r->opcode, 16 << mode);
        rows += done != 0;
        cases += done;
    }
    run_batch(m, mode);
    print_message("%d-bit code%s: %llu rows, %llu comparisons, %llu rows the host lacks, %llu differences\n", 16 << mode,
                  mode != MODE_64 && m->helper.qemu ? " (qemu-i386: this kernel runs no 32-bit code)" : "", (unsigned long long)rows,
                  (unsigned long long)cases, (unsigned long long)missing, (unsigned long long)m->bad);
    if (!getenv("SVMEMU_UNDEF")) /* a survey of undefined flags, not a test */
        assert_int_equal(m->bad, 0);
    assert_true(cases > 0);
}

/* ---- the rows that are not compared: tests/data/rows_not_native.txt, both ways ---- */

/* "unit.NAME" is tests/unit/NAME.c, and so on. */
static bool test_exists(const char *test)
{
    static const char *const endings[] = { "c", "sh" };
    const char *dot = strchr(test, '.');
    char path[512];
    for (unsigned i = 0; dot && i < ARRAY_LEN(endings); i++) {
        snprintf(path, sizeof path, SVMEMU_SOURCE_DIR "/tests/%.*s/%s.%s", (int)(dot - test), test, dot + 1, endings[i]);
        if (access(path, R_OK) == 0)
            return true;
    }
    return false;
}

/* Whether tests/data/system_cells.txt has a line of this instruction. */
static bool has_cell(const char *name)
{
    static char line[2048];
    size_t len = strlen(name);
    bool found = false;
    FILE *f = fopen(SVMEMU_SOURCE_DIR "/tests/data/system_cells.txt", "r");
    assert_non_null(f);
    while (!found && fgets(line, sizeof line, f))
        found = !strncmp(line, name, len) && !strncmp(line + len, " | ", 3);
    fclose(f);
    return found;
}

/* A line "name | tests"; returns how many rows have that name, 0 for a line that is wrong. */
static unsigned check_line(char *line, bool *covered)
{
    char *save = NULL, *name = strtok_r(line, " ", &save), *bar = strtok_r(NULL, " ", &save);
    unsigned rows = 0, tests = 0;
    if (!bar || strcmp(bar, "|") || comparable(name))
        return 0;
    for (char *t = strtok_r(NULL, " \n", &save); t; t = strtok_r(NULL, " \n", &save), tests++)
        if (!test_exists(t) || (!strcmp(t, "unit.isa_system") && !has_cell(name)))
            return 0;
    for (unsigned row = 0; tests && row < isa_row_count; row++)
        if (isa_rows[row].kind != KIND_NONE && !strcmp(isa_rows[row].name, name)) {
            rows += !covered[row];
            covered[row] = true;
        }
    return rows;
}

static void test_others(void **state)
{
    bool *covered = calloc(isa_row_count, sizeof *covered);
    unsigned lines = 0, rows = 0, bad = 0, native = 0;
    char line[256], copy[256];
    FILE *f = fopen(SVMEMU_SOURCE_DIR "/tests/data/rows_not_native.txt", "r");
    (void)state;
    assert_true(f && covered);
    while (fgets(line, sizeof line, f)) {
        if (line[0] == '#')
            continue;
        snprintf(copy, sizeof copy, "%s", line);
        unsigned n = check_line(copy, covered);
        if (!n)
            print_message("rows_not_native.txt: unused, twice there, or names a test that does not cover it: %s", line);
        bad += !n;
        rows += n;
        lines++;
    }
    fclose(f);
    for (unsigned row = 0; row < isa_row_count; row++) {
        const struct isa_row *r = &isa_rows[row];
        native += r->kind != KIND_NONE && comparable(r->name);
        if (r->kind == KIND_NONE || comparable(r->name) || covered[row])
            continue;
        print_message("%s (opcode %02x) is neither compared nor in rows_not_native.txt\n", r->name, r->opcode);
        bad++;
    }
    print_message("%u rows are compared natively, %u (%u instructions) are not: rows_not_native.txt names the tests of each\n", native, rows, lines);
    free(covered);
    assert_int_equal(bad, 0);
}

static bool legacy_skipped;

/* A line for who only reads the end of scripts/test.sh. */
static void tell(const char *mode, const char *text)
{
    const char *path = getenv("SVMEMU_NATIVE_REPORT");
    FILE *f = path ? fopen(path, mode) : NULL;
    print_message("%s\n", text);
    assert_true(f || !path);
    if (f) {
        fprintf(f, "%s\n", text);
        assert_int_equal(fclose(f), 0);
    }
}

static struct machine *machine_new(int *shared)
{
    struct machine *m = calloc(1, sizeof *m);
    assert_non_null(m);
    struct fix *f = fix_new("max");
    memcpy(&m->f, f, sizeof *f);
    free(f);
    m->f.c.view.bus = m->f.bus;
    m->f.c.mmu.view = &m->f.c.view;
    m->f.c.features = m->f.features;
    m->f.c.clock = &m->f.clock;
    assert_true(bus_add_ram(m->f.bus, REGION, SPAN, "region"));
    struct phys_page pg;
    assert_true(phys_lookup(&m->f.c.view, (struct spa){ REGION }, &pg));
    m->ram = pg.host;
    *shared = memfd_create("isa_native", 0);
    assert_true(*shared >= 0 && ftruncate(*shared, sizeof *m->batch) == 0);
    m->batch = mmap(NULL, sizeof *m->batch, PROT_READ | PROT_WRITE, MAP_SHARED, *shared, 0);
    assert_true(m->batch != MAP_FAILED);
    return m;
}

static void machine_free(struct machine *m, int shared)
{
    munmap(m->batch, sizeof *m->batch);
    close(shared);
    mmu_free(&m->f.c.mmu);
    bus_destroy(m->f.bus);
    free(m);
}

static void test_native64(void **state)
{
    (void)state;
    int shared;
    struct machine *m = machine_new(&shared);
    assert_true(setup_native());
    compare_mode(m, MODE_64);
    tell("w", "64-bit code was compared with this processor");
    machine_free(m, shared);
}

static void test_legacy(void **state)
{
    (void)state;
    int shared;
    struct machine *m = machine_new(&shared);
    if (!helper_start(&m->helper, shared, false) && !helper_start(&m->helper, shared, true)) {
        const char *off = getenv("SVMEMU_OFFLINE");
        print_message("neither this kernel nor qemu-i386 (package qemu-user) runs the 32-bit helper\n");
        assert_true(off && *off == '1');
        tell("a", "32- and 16-bit code was compared with nothing: SVMEMU_OFFLINE=1, and neither this kernel nor qemu-i386 runs it");
        legacy_skipped = true;
        machine_free(m, shared);
        return;
    }
    load_excused(m);
    compare_mode(m, MODE_32);
    compare_mode(m, MODE_16);
    for (unsigned i = 0; m->helper.qemu && i < ARRAY_LEN(m->excused) && m->excused[i].name[0]; i++) {
        print_message("excused: %s, %llu times\n", m->excused[i].name, (unsigned long long)m->excused[i].count);
        assert_true(m->excused[i].count > 0);
    }
    tell("a", m->helper.qemu ? "32- and 16-bit code was compared with qemu-i386, not with a processor: this kernel runs no 32-bit code or no LDT"
                             : "32- and 16-bit code was compared with this processor");
    helper_end(&m->helper);
    machine_free(m, shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_native64), cmocka_unit_test(test_legacy), cmocka_unit_test(test_others) };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed ? failed : legacy_skipped ? 77 : 0;
}
#else
int main(void)
{
    return 0; /* no host to compare with */
}
#endif
