// SPDX-License-Identifier: MIT
/* The smallest program on the installed library: two instructions, then HLT, and what they left. */
#include <svmemu/svmemu.h>

#include <inttypes.h>
#include <stdio.h>

int main(void)
{
    static const uint8_t code[] = { 0xB8, 0x28, 0, 0, 0, 0x83, 0xC0, 0x02, 0xFA, 0xF4 }; /* mov eax, 40; add eax, 2; cli; hlt */
    const struct svmemu_config cfg = { .memory = 4 << 20 };
    struct svmemu *m;
    struct svmemu_stop stop;
    uint64_t rax = 0;
    enum svmemu_status s = svmemu_create(&cfg, &m);
    if (s != SVMEMU_OK) {
        fprintf(stderr, "create: %s\n", svmemu_status_text(s));
        return 1;
    }
    if (svmemu_mem_write(m, 0x100000, code, sizeof(code)) != SVMEMU_OK || svmemu_set_mode(m, 0, 32, 0) != SVMEMU_OK ||
        svmemu_reg_write(m, 0, "rip", 0x100000) != SVMEMU_OK || svmemu_run(m, 100, SVMEMU_NO_LIMIT, &stop) != SVMEMU_OK ||
        svmemu_reg_read(m, 0, "rax", &rax) != SVMEMU_OK) {
        fprintf(stderr, "run: %s\n", svmemu_last_error(m));
        svmemu_destroy(m);
        return 1;
    }
    printf("svmemu %s: rax %" PRIu64 " after %" PRIu64 " instructions, stop %s\n", SVMEMU_VERSION, rax, stop.insns,
           svmemu_stop_name(stop.reason));
    svmemu_destroy(m);
    return rax == 42 && stop.reason == SVMEMU_STOP_HALTED ? 0 : 1;
}
