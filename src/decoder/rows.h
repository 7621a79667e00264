// SPDX-License-Identifier: MIT
/* Private to the decoder, the row generator and their tests: how a row's columns are coded. */
#ifndef SVMEMU_DECODER_ROWS_H
#define SVMEMU_DECODER_ROWS_H

/* isa_row.map */
enum { MAP_ONE, MAP_0F, MAP_0F38, MAP_0F3A, MAP_3DNOW, MAP_VEX1, MAP_VEX2, MAP_VEX3, MAP_COUNT };

/* isa_row.prefix. F3 and F2 (the last of them) come before 66 as a mandatory prefix. */
enum { MP_ANY, MP_NP, MP_66, MP_F3, MP_F2 };

/* isa_row.modrm: MRM_NONE..MRM_IGN, or MRM_DIGIT* | digit, or (from 0xC0) this very ModRM byte. */
enum {
    MRM_NONE, MRM_ANY, MRM_MEM, MRM_REG,
    MRM_IGN, /* ModRM.mod is ignored and taken as 3: MOV to and from CRn and DRn */
    MRM_DIGIT = 0x10, MRM_DIGIT_MEM = 0x20, MRM_DIGIT_REG = 0x30, MRM_EXACT = 0xC0,
};

/* Where an operand is found: AM_* of operand.def. */
enum opnd_am {
    AM_NONE, AM_E, AM_G, AM_M, AM_VSIB, AM_R, AM_I, AM_IZ, AM_IS, AM_J, AM_A, AM_O, AM_Z, AM_SREG, AM_CR, AM_DR,
    AM_FIX_A, AM_FIX_C, AM_FIX_D, AM_ONE, AM_X, AM_Y, AM_XLAT, AM_B,
    AM_FIX_ES, AM_FIX_CS, AM_FIX_SS, AM_FIX_DS, AM_FIX_FS, AM_FIX_GS,
    AM_ST0, AM_STI, AM_P, AM_Q, AM_N, AM_V, AM_W, AM_U, AM_H, AM_L,
};
enum opnd_size { SZ_0, SZ_b, SZ_w, SZ_d, SZ_q, SZ_t, SZ_o, SZ_y32, SZ_v, SZ_y, SZ_z, SZ_p, SZ_s, SZ_a, SZ_x, SZ_h, SZ_f, SZ_e };

/* isa_row.opnd: OPND_<id>. */
enum opnd_id {
#define OPND(id, text, am, size) OPND_##id,
#include "operand.def"
#undef OPND
    OPND_COUNT
};

#endif
