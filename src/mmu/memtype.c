// SPDX-License-Identifier: MIT
#include "mmu/memtype.h"

/* Reserved encodings cannot be written to PAT; should an embedder do so they act as UC. */
u8 pat_type(u64 pat, unsigned index)
{
    u8 t = (u8)(pat >> (8 * (index & 7)) & 7);
    return t == 2 || t == 3 ? MEMTYPE_UC : t;
}

enum { I_UC, I_UCM, I_WC, I_WP, I_WT, I_WB, I_WCP, I_COUNT };

static unsigned index_of(u8 t)
{
    switch (t) {
    case MEMTYPE_UCM: return I_UCM;
    case MEMTYPE_WC: return I_WC;
    case MEMTYPE_WP: return I_WP;
    case MEMTYPE_WT: return I_WT;
    case MEMTYPE_WB: return I_WB;
    case MEMTYPE_WCP: return I_WCP;
    default: return I_UC;
    }
}

#define UC MEMTYPE_UC
#define UM MEMTYPE_UCM
#define WC MEMTYPE_WC
#define WP MEMTYPE_WP
#define WT MEMTYPE_WT
#define WB MEMTYPE_WB
#define CD MEMTYPE_CD
#define W_ MEMTYPE_WCP

u8 memtype_nested(u8 guest, u8 host)
{
    /* columns: host UC UC- WC WP WT WB */
    static const u8 table[I_COUNT][6] = {
        [I_UC] = { UC, UC, UC, UC, UC, UC },
        [I_UCM] = { UC, UM, WC, UC, UC, UC },
        [I_WC] = { WC, WC, WC, W_, W_, W_ },
        [I_WP] = { UC, UC, UC, WP, UC, WP },
        [I_WT] = { UC, UC, UC, UC, WT, WT },
        [I_WB] = { UC, UC, WC, WP, WT, WB },
    };
    unsigned h = index_of(host);
    return table[index_of(guest)][h < 6 ? h : I_WC];
}

u8 memtype_mtrr(u8 pat, u8 mtrr)
{
    /* columns: MTRR UC UC- (none) WC WP WT WB */
    static const u8 table[I_COUNT][6] = {
        [I_UC] = { UC, UC, CD, CD, CD, CD },
        [I_UCM] = { UC, UC, WC, CD, CD, CD },
        [I_WC] = { WC, WC, WC, WC, WC, WC },
        [I_WCP] = { WC, WC, WC, W_, W_, W_ },
        [I_WP] = { UC, UC, CD, WP, CD, WP },
        [I_WT] = { UC, UC, CD, CD, WT, WT },
        [I_WB] = { UC, UC, WC, WP, WT, WB },
    };
    unsigned m = index_of(mtrr);
    return table[index_of(pat)][m < 6 ? m : I_UC];
}
