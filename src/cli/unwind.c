// SPDX-License-Identifier: MIT
/* elfutils' libdw, loaded when a stopped run is described and not with the program. It reads files that the user has named; of the
 * guest it sees registers and memory only. */
#define _GNU_SOURCE 1 /* POSIX in strict C17 */
#include "cli/unwind.h"

#ifndef SVMEMU_LIBDW
unsigned unwind(const char *const *files, unsigned count, const struct unwind_cpu *cpu, void (*f)(void *ctx, uint64_t back),
                unsigned most)
{
    (void)files, (void)count, (void)cpu, (void)f, (void)most;
    return 0;
}
#else
#include <dlfcn.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

#define FUNCTIONS(X) \
    X(dwfl_begin) X(dwfl_end) X(dwfl_report_begin) X(dwfl_report_end) X(dwfl_report_elf) X(dwfl_module_getelf) \
    X(dwfl_attach_state) X(dwfl_getthread_frames) X(dwfl_thread_state_registers) X(dwfl_frame_pc)

struct trace {
    void *lib;
#define MEMBER(name) __typeof__(name) *name;
    FUNCTIONS(MEMBER)
#undef MEMBER
    const struct unwind_cpu *cpu;
    void (*f)(void *ctx, uint64_t back);
    unsigned found, most;
    bool first;
};

static bool load(struct trace *t)
{
    bool all = true;
    t->lib = dlopen("libdw.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!t->lib)
        return false;
#define LOAD(name) all &= (t->name = (__typeof__(name) *)dlsym(t->lib, #name)) != NULL;
    FUNCTIONS(LOAD)
#undef LOAD
    return all;
}

/* Nothing but the named file is looked at: no search on this host, no network. */
static int no_elf(Dwfl_Module *mod, void **data, const char *name, Dwarf_Addr base, char **file, Elf **elf)
{
    (void)mod, (void)data, (void)name, (void)base, (void)file, (void)elf;
    return -1;
}

static int no_debuginfo(Dwfl_Module *mod, void **data, const char *name, Dwarf_Addr base, const char *file, const char *link,
                        GElf_Word crc, char **found)
{
    (void)mod, (void)data, (void)name, (void)base, (void)file, (void)link, (void)crc, (void)found;
    return -1;
}

static const Dwfl_Callbacks callbacks = { .find_elf = no_elf, .find_debuginfo = no_debuginfo };

static pid_t next_thread(Dwfl *dwfl, void *ctx, void **thread)
{
    (void)dwfl;
    if (*thread)
        return 0;
    *thread = ctx;
    return 1;
}

static bool read_word(Dwfl *dwfl, Dwarf_Addr at, Dwarf_Word *value, void *ctx)
{
    const struct trace *t = ctx;
    (void)dwfl;
    return t->cpu->peek(t->cpu->ctx, at, value);
}

/* In the order of DWARF's numbers [System V psABI, AMD64 and i386]; the last is the address. */
static bool first_registers(Dwfl_Thread *thread, void *ctx)
{
    static const char *const names64[] = { "rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8",
                                           "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip" };
    static const char *const names32[] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "rip" };
    const struct trace *t = ctx;
    const char *const *names = t->cpu->bits == 64 ? names64 : names32;
    unsigned n = t->cpu->bits == 64 ? 17 : 9;
    Dwarf_Word v[17];
    for (unsigned i = 0; i < n; i++)
        v[i] = t->cpu->reg(t->cpu->ctx, names[i]);
    return t->dwfl_thread_state_registers(thread, 0, n, v);
}

static const Dwfl_Thread_Callbacks thread_callbacks = { .next_thread = next_thread, .memory_read = read_word,
                                                        .set_initial_registers = first_registers };

static int frame(Dwfl_Frame *state, void *ctx)
{
    struct trace *t = ctx;
    Dwarf_Addr pc;
    if (!t->dwfl_frame_pc(state, &pc, NULL))
        return DWARF_CB_ABORT;
    if (t->first) { /* where it stands, not a caller */
        t->first = false;
        return DWARF_CB_OK;
    }
    t->f(t->cpu->ctx, pc);
    return ++t->found < t->most ? DWARF_CB_OK : DWARF_CB_ABORT;
}

/* Files of the other word size are of no use: their registers have other numbers. */
static Elf *report(struct trace *t, Dwfl *d, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    Dwfl_Module *mod = fd >= 0 ? t->dwfl_report_elf(d, path, path, fd, 0, true) : NULL;
    GElf_Addr bias;
    if (!mod && fd >= 0)
        close(fd);
    Elf *e = mod ? t->dwfl_module_getelf(mod, &bias) : NULL;
    return e && gelf_getclass(e) == (t->cpu->bits == 64 ? ELFCLASS64 : ELFCLASS32) ? e : NULL;
}

unsigned unwind(const char *const *files, unsigned count, const struct unwind_cpu *cpu, void (*f)(void *ctx, uint64_t back),
                unsigned most)
{
    struct trace t = { .cpu = cpu, .f = f, .most = most, .first = true };
    Dwfl *d = count && cpu->bits != 16 && load(&t) ? t.dwfl_begin(&callbacks) : NULL;
    if (d) {
        Elf *like = NULL;
        t.dwfl_report_begin(d);
        for (unsigned i = 0; i < count; i++) {
            Elf *e = report(&t, d, files[i]);
            like = like ? like : e;
        }
        if (!t.dwfl_report_end(d, NULL, NULL) && like && t.dwfl_attach_state(d, like, 1, &thread_callbacks, &t))
            t.dwfl_getthread_frames(d, 1, frame, &t);
        t.dwfl_end(d);
    }
    if (t.lib)
        dlclose(t.lib);
    return t.found;
}
#endif
