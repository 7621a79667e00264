// SPDX-License-Identifier: MIT
/* A small bytecode interpreter in a loop: indirect jumps and short branchy handlers. */
#include "bench.h"

enum op { LOAD, ADD, SUB, MUL, XOR, SHR, JNZ, DEC, END };
struct code {
    u8 op, a, b;
    u8 imm;
};

/* r0: result, r1: inner counter, r2: outer counter. */
static const struct code program[] = {
    { LOAD, 3, 0, 7 },  { LOAD, 1, 0, 200 }, { ADD, 0, 3, 0 },  { XOR, 0, 1, 0 }, { MUL, 3, 3, 0 }, { ADD, 3, 1, 0 },
    { SHR, 3, 0, 3 },   { SUB, 0, 3, 0 },    { DEC, 1, 0, 0 },  { JNZ, 1, 0, 2 }, { DEC, 2, 0, 0 }, { JNZ, 2, 0, 1 },
    { END, 0, 0, 0 },
};

void guest_main(void)
{
    enum { OUTER = 30000 };
    u64 r[4] = { 0, 0, OUTER, 0 };
    u64 steps = 0;

    bench_begin("interp");
    for (const volatile struct code *pc = program;; steps++) {
        unsigned a = pc->a, b = pc->b, imm = pc->imm;
        switch (pc->op) {
        case LOAD: r[a] = imm; break;
        case ADD: r[a] += r[b]; break;
        case SUB: r[a] -= r[b]; break;
        case MUL: r[a] *= r[b]; break;
        case XOR: r[a] ^= r[b]; break;
        case SHR: r[a] >>= imm; break;
        case DEC: r[a]--; break;
        case JNZ:
            if (r[a]) {
                pc = program + imm;
                continue;
            }
            break;
        case END: goto end;
        }
        pc++;
    }
end:
    bench_end("interp", steps, "steps", r[0]);
}
