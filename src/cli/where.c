// SPDX-License-Identifier: MIT
/* Where a stopped machine stands: registers, back trace by unwind data or frame pointers, the last #VMEXITs, names from the symbol tables. */
#include "cli/cli.h"
#include "cli/unwind.h"

#include <inttypes.h>
#include <string.h>

enum { MAX_FRAMES = 32, MAX_EXITS = 8, CODE_BYTES = 15 };
#define FRAME_MAX (1u << 20) /* bytes between two frames; more is not a stack */

/* The symbol of the call that returns to `address`; the offset is the address's. */
static const char *call_text(const struct svmemu *m, uint64_t address, char buf[SYMBOL_TEXT])
{
    uint64_t offset = 0;
    const char *name = svmemu_symbol(m, address - 1, &offset);
    buf[0] = 0;
    if (name)
        snprintf(buf, SYMBOL_TEXT, " <%.80s+%" PRIX64 "h>", name, offset + 1);
    return buf;
}

static uint64_t reg(struct svmemu *m, unsigned vcpu, const char *name)
{
    uint64_t v = 0;
    svmemu_reg_read(m, vcpu, name, &v);
    return v;
}

/* Memory only: a frame pointer that points at a device must not make it do something. */
static bool peek(struct svmemu *m, unsigned vcpu, uint64_t linear, unsigned width, uint64_t *value)
{
    struct svmemu_translation first, last;
    *value = 0;
    return svmemu_translate(m, vcpu, linear, &first) == SVMEMU_OK && !first.fault && first.memory &&
           svmemu_translate(m, vcpu, linear + width - 1, &last) == SVMEMU_OK && !last.fault && last.memory &&
           svmemu_virt_read(m, vcpu, linear, value, width) == SVMEMU_OK;
}

static unsigned code_bits(struct svmemu *m, unsigned vcpu)
{
    uint64_t attr = reg(m, vcpu, "cs.attr");
    if ((reg(m, vcpu, "efer") & 0x400) && (attr & 0x200))
        return 64;
    return attr & 0x400 ? 32 : 16;
}

uint64_t code_address(struct svmemu *m, unsigned vcpu, uint64_t rip)
{
    return code_bits(m, vcpu) == 64 ? rip : (uint32_t)(reg(m, vcpu, "cs.base") + rip);
}

static void print_registers(struct svmemu *m, unsigned vcpu, FILE *f)
{
    static const char *const names[] = { "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                                         "r15", "cr0", "cr2", "cr3", "cr4", "efer", "rflags" };
    static const char *const segments[] = { "cs", "ss", "ds", "es", "fs", "gs" };
    char name[16];
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        fprintf(f, "%s%-6s %016" PRIx64 "%s", i % 4 ? "  " : "    ", names[i], reg(m, vcpu, names[i]), i % 4 == 3 ? "\n" : "");
    fputs("\n   ", f);
    for (unsigned i = 0; i < sizeof(segments) / sizeof(segments[0]); i++) {
        snprintf(name, sizeof(name), "%s.sel", segments[i]);
        fprintf(f, " %s %04" PRIx64, segments[i], reg(m, vcpu, name));
        snprintf(name, sizeof(name), "%s.base", segments[i]);
        if (reg(m, vcpu, name))
            fprintf(f, "(%" PRIx64 ")", reg(m, vcpu, name));
    }
    fprintf(f, " cpl %" PRIu64 "\n", reg(m, vcpu, "cpl"));
}

/* The bytes that stand at RIP, to see at which instruction it is. */
static void print_code(struct svmemu *m, unsigned vcpu, uint64_t linear, FILE *f)
{
    uint64_t byte;
    for (unsigned i = 0; i < CODE_BYTES && peek(m, vcpu, linear + i, 1, &byte); i++)
        fprintf(f, "%s%02" PRIx64, i ? " " : "    code   ", byte);
    if (peek(m, vcpu, linear, 1, &byte))
        fputs("\n", f);
}

/* A vCPU as the unwinder sees it. */
struct subject {
    struct svmemu *m;
    unsigned vcpu, width;
    uint64_t code_base, stack_base;
    FILE *f;
    unsigned printed;
};

static uint64_t subject_reg(void *ctx, const char *name)
{
    struct subject *s = ctx;
    return reg(s->m, s->vcpu, name);
}

static bool subject_peek(void *ctx, uint64_t linear, uint64_t *value)
{
    struct subject *s = ctx;
    return peek(s->m, s->vcpu, linear, s->width, value);
}

static void print_caller(struct subject *s, uint64_t back)
{
    char symbol[SYMBOL_TEXT];
    fprintf(s->f, "    %016" PRIx64 "%s\n", back, call_text(s->m, back, symbol)); /* of the call, not of what follows it */
}

static void unwound(void *ctx, uint64_t back)
{
    struct subject *s = ctx;
    if (!s->printed++)
        fputs("  called from, by unwind data:\n", s->f);
    print_caller(s, back);
}

/* Flat segments only: unwind data knows no others. */
static bool print_unwound(struct subject *s, const struct options *o)
{
    const struct unwind_cpu cpu = { s, s->width * 8, subject_reg, subject_peek };
    return !s->code_base && !s->stack_base && unwind(o->symbols, o->symbol_files, &cpu, unwound, MAX_FRAMES);
}

/* Each frame has the caller's frame pointer and above it the return address; frames go upwards. */
static void print_back_trace(struct svmemu *m, unsigned vcpu, const struct options *o, FILE *f)
{
    unsigned width = code_bits(m, vcpu) / 8;
    uint64_t mask = width == 8 ? UINT64_MAX : UINT32_MAX, bp = reg(m, vcpu, "rbp") & mask, next, back;
    uint64_t base = width == 8 ? 0 : reg(m, vcpu, "ss.base");
    struct subject s = { m, vcpu, width, width == 8 ? 0 : reg(m, vcpu, "cs.base"), base, f, 0 };
    if (width == 2 || print_unwound(&s, o))
        return; /* real mode knows no such habit */
    for (unsigned i = 0; i < MAX_FRAMES && bp; i++) {
        if (!peek(m, vcpu, (base + bp) & mask, width, &next) || !peek(m, vcpu, (base + bp + width) & mask, width, &back) || !back)
            break;
        if (!i)
            fputs("  called from, if rbp is a frame pointer:\n", f);
        print_caller(&s, back);
        if (next <= bp || next - bp > FRAME_MAX)
            break;
        bp = next;
    }
}

static void print_exits(struct svmemu *m, unsigned vcpu, FILE *f)
{
    struct svmemu_past_exit e;
    char symbol[SYMBOL_TEXT];
    for (unsigned i = 0; i < MAX_EXITS && svmemu_past_exit(m, vcpu, i, &e); i++) {
        const char *name = svmemu_exit_name(e.code);
        if (!i)
            fprintf(f, "  last #VMEXITs of vCPU %u, newest first:\n", vcpu);
        fprintf(f, "    %s (%" PRIX64 "h) info1 %" PRIx64 " info2 %" PRIx64 " at rip %" PRIx64 "%s\n", name ? name : "exit", e.code, e.info1,
                e.info2, e.rip, symbol_text(m, e.rip, symbol));
    }
}

static void print_others(struct svmemu *m, unsigned but, FILE *f)
{
    static const char *const activities[] = { "runs", "halted", "waits in MWAIT", "waits for a SIPI", "shut down" };
    uint64_t rip, activity;
    char symbol[SYMBOL_TEXT];
    for (unsigned i = 0; svmemu_reg_read(m, i, "rip", &rip) == SVMEMU_OK; i++) {
        if (i == but)
            continue;
        activity = reg(m, i, "activity");
        fprintf(f, "  vCPU %u at %04" PRIx64 ":%016" PRIx64 "%s, %s\n", i, reg(m, i, "cs.sel"), rip,
                symbol_text(m, code_address(m, i, rip), symbol),
                activity < sizeof(activities) / sizeof(activities[0]) ? activities[activity] : "stands");
        print_exits(m, i, f);
    }
}

void report_where(struct svmemu *m, const struct svmemu_stop *s, const struct options *o, FILE *f)
{
    unsigned vcpu = (unsigned)s->vcpu;
    char symbol[SYMBOL_TEXT];
    if (strcmp(s->text, o->said) != 0)
        fprintf(f, "svmemu: %s: %s\n", svmemu_stop_name(s->reason), s->text);
    fprintf(f, "svmemu: vCPU %u at %04" PRIx64 ":%016" PRIx64 "%s, %u-bit code, after %" PRIu64 " instructions, %" PRIu64 " cycles\n", vcpu,
            reg(m, vcpu, "cs.sel"), s->rip, symbol_text(m, code_address(m, vcpu, s->rip), symbol), code_bits(m, vcpu), s->insns,
            s->cycles);
    print_code(m, vcpu, code_address(m, vcpu, s->rip), f);
    print_registers(m, vcpu, f);
    print_back_trace(m, vcpu, o, f);
    print_exits(m, vcpu, f);
    print_others(m, vcpu, f);
}
