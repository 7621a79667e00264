// SPDX-License-Identifier: MIT
/* Capstone, loaded when a trace asks for it and not with the program: its tables take more relocations than all the rest of
 * svmemu, a third of the time that starting takes. */
#include "cli/disasm.h"

#include <capstone/capstone.h>
#include <dlfcn.h>
#include <stdlib.h>

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

size_t disassemble(struct disasm *d, unsigned bits, const uint8_t *code, size_t n, uint64_t rip, struct disasm_text *out)
{
    cs_insn *in = NULL;
    size_t got = n ? d->disasm(d->cs[bits >> 5], code, n, rip, 1, &in) : 0, len = got ? in[0].size : 0;
    if (got) {
        snprintf(out->mnemonic, sizeof(out->mnemonic), "%s", in[0].mnemonic);
        snprintf(out->operands, sizeof(out->operands), "%s", in[0].op_str);
        d->free(in, got);
    }
    return len;
}
