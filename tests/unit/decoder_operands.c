// SPDX-License-Identifier: MIT
/* Operands against Zydis: for random bytes that both decode to the same length, the explicit memory operand's base, index, scale,
 * displacement, segment and address size, the immediates and the general-purpose registers and their sizes are the same. */
#include "decoder/insn.h"
#include "base/bits.h"
#include "base/ids.h"
#include "decoder/rows.h"

#include <Zydis/Zydis.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static u64 next_random(u64 *s) /* splitmix64 */
{
    u64 z = *s += 0x9E3779B97F4A7C15ull;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ z >> 27) * 0x94D049BB133111EBull;
    return z ^ z >> 31;
}

static unsigned gpr_of(ZydisRegister r)
{
    return r == ZYDIS_REGISTER_NONE || r == ZYDIS_REGISTER_RIP || r == ZYDIS_REGISTER_EIP ? GPR_NONE : (unsigned)(u8)ZydisRegisterGetId(r);
}

/* LAR and LSL read 16 bits of their source and UD1 none; Zydis gives them the operand size, and the NOPs of 0F 18..1F other operand
 * orders. Stores of selectors and of CR0 are 16 bits in memory, which their bodies know; cache-line rows name a byte of the line. Indirect
 * near branches with 66h are 16-bit on AMD; MOVSXD with 66h and the mask moves with REX.W are sized by convention only. */
static bool zydis_differs(const struct insn *in)
{
    static const char *const names[] = { "lar", "lsl", "ud1", "nop", "mov_from_sreg", "sldt", "str", "smsw", "clflush", "clflushopt",
                                         "clwb", "call", "jmp", "movsxd", "movmskps", "movmskpd", "pmovmskb", "pextrw" };
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(isa_rows[in->row].name, names[i]) == 0)
            return true;
    return false;
}

static const char *check_mem(const struct insn *in, unsigned i, const ZydisDecodedInstruction *zi, const ZydisDecodedOperand *o)
{
    unsigned size = in->op[i].size;
    if (size && o->size != size * 8u && !zydis_differs(in))
        return "memory size";
    bool rip = o->mem.base == ZYDIS_REGISTER_RIP || o->mem.base == ZYDIS_REGISTER_EIP;
    if (in->asz * 8 != zi->address_width)
        return "address size";
    if (gpr_of(o->mem.base) != in->base || rip != in->riprel)
        return "base";
    if (isa_rows[in->row].opnd[1] != OPND_Mvsib && gpr_of(o->mem.index) != in->index)
        return "index";
    if (o->mem.scale && in->index != GPR_NONE && o->mem.scale != 1u << in->scale)
        return "scale";
    if ((u64)o->mem.disp.value != (u64)in->disp && zext((u64)o->mem.disp.value, in->asz) != zext((u64)in->disp, in->asz))
        return "displacement";
    static const ZydisRegister segs[] = { ZYDIS_REGISTER_ES, ZYDIS_REGISTER_CS, ZYDIS_REGISTER_SS, ZYDIS_REGISTER_DS, ZYDIS_REGISTER_FS,
                                          ZYDIS_REGISTER_GS };
    return o->mem.type == ZYDIS_MEMOP_TYPE_MEM && o->mem.segment != segs[in->seg] ? "segment" : NULL;
}

static const char *check_gpr(const struct operand *op, const ZydisDecodedOperand *o)
{
    if (o->size != op->size * 8u)
        return "register size";
    unsigned id = (u8)ZydisRegisterGetId(o->reg.value);
    if (o->reg.value >= ZYDIS_REGISTER_AH && o->reg.value <= ZYDIS_REGISTER_BH)
        id = REG8_AH + (unsigned)(o->reg.value - ZYDIS_REGISTER_AH);
    else if (op->size == 1) /* Zydis counts AH..BH among the byte registers */
        id = o->reg.value >= ZYDIS_REGISTER_SPL ? (unsigned)(o->reg.value - ZYDIS_REGISTER_SPL) + 4 : (unsigned)(o->reg.value - ZYDIS_REGISTER_AL);
    return id != op->reg ? "register" : NULL;
}

/* Zydis gives ST0 of a memory form as a hidden operand elsewhere: take its first memory operand. */
static const ZydisDecodedOperand *memory_operand(const ZydisDecodedInstruction *zi, const ZydisDecodedOperand *zo)
{
    for (unsigned i = 0; i < zi->operand_count; i++)
        if (zo[i].type == ZYDIS_OPERAND_TYPE_MEMORY)
            return &zo[i];
    return NULL;
}

static const char *check_operand(const struct insn *in, unsigned i, const ZydisDecodedInstruction *zi, const ZydisDecodedOperand *zo)
{
    const struct operand *op = &in->op[i];
    const ZydisDecodedOperand *o = op->kind == OPK_MEM ? memory_operand(zi, zo) : &zo[i];
    switch (op->kind) {
    case OPK_MEM: return o ? check_mem(in, i, zi, o) : "kind";
    case OPK_GPR:
        if (zydis_differs(in))
            return NULL;
        return o->type == ZYDIS_OPERAND_TYPE_REGISTER ? check_gpr(op, o) : "kind";
    case OPK_IMM:
        if (o->type != ZYDIS_OPERAND_TYPE_IMMEDIATE)
            return "kind";
        return zext(o->imm.value.u, op->size) != in->imm ? "immediate" : NULL;
    case OPK_REL: return o->type == ZYDIS_OPERAND_TYPE_IMMEDIATE && o->imm.value.u != in->imm ? "target" : NULL;
    default: return NULL;
    }
}

static void test_operands(void **state)
{
    (void)state;
    static const ZydisMachineMode machine[] = { ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_MACHINE_MODE_LONG_64 };
    static const ZydisStackWidth width[] = { ZYDIS_STACK_WIDTH_16, ZYDIS_STACK_WIDTH_32, ZYDIS_STACK_WIDTH_64 };
    const char *env = getenv("SVMEMU_DECODER_COUNT");
    unsigned long count = env ? strtoul(env, NULL, 0) : 500000;
    u64 seed = 1, features[FEAT_WORDS];
    unsigned bad = 0, compared = 0;
    ZydisDecoder zy[3];
    memset(features, 0xFF, sizeof(features));
    for (unsigned m = 0; m < 3; m++) {
        ZydisDecoderInit(&zy[m], machine[m], width[m]);
        ZydisDecoderEnableMode(&zy[m], ZYDIS_DECODER_MODE_AMD_BRANCHES, ZYAN_TRUE);
        ZydisDecoderEnableMode(&zy[m], ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
        ZydisDecoderEnableMode(&zy[m], ZYDIS_DECODER_MODE_KNC, ZYAN_FALSE);
    }
    for (unsigned long n = 0; n < count; n++) {
        u64 raw[3] = { next_random(&seed), next_random(&seed), next_random(&seed) };
        u8 *b = (u8 *)raw;
        if (b[23] < 70)
            b[b[23] % 2] = 0x0F;
        unsigned m = n % 3;
        struct insn in;
        ZydisDecodedInstruction zi;
        ZydisDecodedOperand zo[ZYDIS_MAX_OPERAND_COUNT];
        if (decode_insn(b, 24, (enum dec_mode)m, features, &in) != DEC_OK ||
            !ZYAN_SUCCESS(ZydisDecoderDecodeFull(&zy[m], b, 24, &zi, zo)) || zi.length != in.len || in.nops > zi.operand_count)
            continue;
        for (unsigned i = 0; i < in.nops; i++) {
            const char *why = check_operand(&in, i, &zi, zo);
            compared++;
            if (why && bad++ < 60) {
                printf("mode %u %s operand %u: %s:", m, isa_rows[in.row].name, i, why);
                for (unsigned j = 0; j < in.len; j++)
                    printf(" %02x", b[j]);
                putchar('\n');
            }
        }
    }
    printf("%u operands compared, %u differ\n", compared, bad);
    assert_int_equal(bad, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_operands) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
