// SPDX-License-Identifier: MIT
/* Capstone, loaded when a trace asks for it and not with the program: its tables take more relocations than all the rest of
 * svmemu, a third of the time that starting takes. */
#include "cli/disasm.h"

#include <capstone/capstone.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#define STRING(x) #x
#define SONAME(major) "libcapstone.so." STRING(major)

struct disasm {
    void *lib;
    csh cs[3]; /* 16, 32, 64 bits */
    __typeof__(cs_open) *open;
    __typeof__(cs_close) *close;
    __typeof__(cs_disasm) *disasm;
    __typeof__(cs_free) *free;
};

static bool load(struct disasm *d)
{
    d->lib = dlopen(SONAME(CS_API_MAJOR), RTLD_NOW | RTLD_LOCAL);
    if (!d->lib)
        return false;
    d->open = (__typeof__(cs_open) *)dlsym(d->lib, "cs_open");
    d->close = (__typeof__(cs_close) *)dlsym(d->lib, "cs_close");
    d->disasm = (__typeof__(cs_disasm) *)dlsym(d->lib, "cs_disasm");
    d->free = (__typeof__(cs_free) *)dlsym(d->lib, "cs_free");
    return d->open && d->close && d->disasm && d->free;
}

struct disasm *disasm_open(FILE *err)
{
    static const cs_mode modes[3] = { CS_MODE_16, CS_MODE_32, CS_MODE_64 };
    struct disasm *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    if (!load(d)) {
        const char *why = dlerror();
        fprintf(err, "svmemu: the disassembler (Capstone) cannot be loaded: %s\n", why ? why : SONAME(CS_API_MAJOR));
        disasm_close(d);
        return NULL;
    }
    for (unsigned i = 0; i < 3; i++) {
        if (d->open(CS_ARCH_X86, modes[i], &d->cs[i]) == CS_ERR_OK)
            continue;
        fputs("svmemu: this Capstone does not know x86\n", err);
        disasm_close(d);
        return NULL;
    }
    return d;
}

void disasm_close(struct disasm *d)
{
    if (!d)
        return;
    for (unsigned i = 0; i < 3; i++)
        if (d->cs[i])
            d->close(&d->cs[i]);
    if (d->lib)
        dlclose(d->lib);
    free(d);
}

/* What Capstone 4 calls by the name of another instruction, or what an older processor takes for one: the name that it is to have. */
static bool misnamed(const char *own, const char *theirs)
{
    static const char *const names[] = { "rdpid", "wbnoinvd", "vmgexit", "bsf", "bsr" };
    size_t len = strcspn(own, " ");
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strlen(names[i]) == len && !strncmp(own, names[i], len))
            return strcmp(names[i], theirs) != 0;
    return false;
}

size_t disassemble(struct disasm *d, const struct svmemu *m, unsigned bits, const uint8_t *code, size_t n, uint64_t rip,
                   struct disasm_text *out)
{
    cs_insn *in = NULL;
    char own[sizeof(out->text)];
    unsigned len = 0;
    size_t got = n ? d->disasm(d->cs[bits >> 5], code, n, rip, 1, &in) : 0, shown = got ? in[0].size : 0;
    svmemu_insn_text(m, bits, code, n, &len, own, sizeof(own));
    if (len && (shown != len || misnamed(own, in[0].mnemonic))) {
        snprintf(out->text, sizeof(out->text), "%s", own);
        shown = len;
    } else if (got) {
        snprintf(out->text, sizeof(out->text), "%s %s", in[0].mnemonic, in[0].op_str);
    } else {
        snprintf(out->text, sizeof(out->text), "%s", n ? "(no instruction)" : "(no page mapped)");
        shown = n < 4 ? n : 4;
    }
    if (got)
        d->free(in, got);
    return shown;
}
