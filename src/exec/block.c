// SPDX-License-Identifier: MIT
/* The block cache. A block belongs to the backing page its bytes come from and to a mode key, so it survives CR3 loads, world
 * switches and ASID changes; it is dropped when a byte it was decoded from is written. */
#define _GNU_SOURCE 1 /* mmap flags */
#include "exec/private.h"
#include "timing/cost.h"

#include <stdlib.h>
#include <sys/mman.h>

#define HASH_BITS 16
#define PAGE_HEADS (1u << 28) /* 1 TiB of RAM; reserved address space, touched where code is */

static void *lazy_alloc(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static void lazy_free(void *p, size_t bytes)
{
    if (p)
        munmap(p, bytes);
}

#define SLACK_OPS 1024

/* A write to an armed line disarms it and ends the wait for it [APM3 MONITOR, MWAIT]. The page stays flagged until nobody is armed on it. */
static void monitor_written(struct exec *e, u32 bpn, unsigned off, unsigned len)
{
    struct phys_page p;
    bool armed = false;
    for (unsigned i = 0; i < e->nvcpu; i++) {
        struct vcpu *c = e->vcpu[i];
        unsigned line = (unsigned)c->st.monitor_addr & PAGE_MASK;
        if (c->st.monitor_addr == ~0ull || !phys_lookup(&c->view, (struct spa){ c->st.monitor_addr }, &p) || p.bpn != bpn)
            continue;
        if (off + len <= line || line + MONITOR_LINE <= off) {
            armed = true;
            continue;
        }
        c->st.monitor_addr = ~0ull;
        if (c->st.activity == ACT_MWAIT)
            c->st.activity = ACT_RUN;
    }
    if (!armed)
        page_flags_clear(e->bus, bpn, PGF_MONITOR);
}

static void page_written(void *ctx, u32 bpn, unsigned off, unsigned len)
{
    struct exec *e = ctx;
    u8 flags = page_flags_get(e->bus, bpn);
    if (flags & PGF_CODE)
        block_drop_range(e, bpn, off, len);
    if (flags & PGF_MONITOR)
        monitor_written(e, bpn, off, len);
}

static void page_flagged(void *ctx, u32 bpn)
{
    struct exec *e = ctx;
    for (unsigned i = 0; i < e->nvcpu; i++)
        mmu_purge_writable(&e->vcpu[i]->mmu, bpn);
}

static void map_changed(void *ctx)
{
    struct exec *e = ctx;
    for (unsigned i = 0; i < e->nvcpu; i++) {
        mmu_purge_derived(&e->vcpu[i]->mmu);
        e->vcpu[i]->attn |= ATTN_MODE;
    }
}

struct exec *exec_create(struct bus *bus, struct clock *clock, const struct exec_config *cfg)
{
    struct exec *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->bus = bus;
    e->clock = clock;
    if (cfg)
        e->cfg = *cfg;
    e->cap_ops = e->cfg.arena_ops ? e->cfg.arena_ops : 1u << 18;
    e->cap_blocks = e->cap_ops / 4;
    e->ops = lazy_alloc((e->cap_ops + SLACK_OPS) * sizeof *e->ops);
    e->slots = lazy_alloc((e->cap_ops + SLACK_OPS) * sizeof *e->slots);
    e->link_next = lazy_alloc((e->cap_ops + SLACK_OPS) * sizeof *e->link_next);
    e->blocks = lazy_alloc(e->cap_blocks * sizeof *e->blocks);
    e->hash = lazy_alloc(sizeof(u32) << HASH_BITS);
    e->page_head = lazy_alloc((size_t)PAGE_HEADS * sizeof(u32));
    e->handler_use = lazy_alloc(HANDLER_USES * sizeof(u32));
    e->row_class = lower_classes();
    if (!e->row_class || !e->ops || !e->slots || !e->link_next || !e->blocks || !e->hash || !e->page_head || !e->handler_use) {
        exec_destroy(e);
        return NULL;
    }
    e->nblocks = 1; /* block 0 means none in the lists, so that fresh (zero) memory is an empty list */
    bus_set_hooks(bus, &(struct bus_hooks){ .ctx = e, .page_written = page_written, .page_flagged = page_flagged,
                                            .map_changed = map_changed });
    return e;
}

void exec_destroy(struct exec *e)
{
    if (!e)
        return;
    lazy_free(e->ops, (e->cap_ops + SLACK_OPS) * sizeof *e->ops);
    lazy_free(e->slots, (e->cap_ops + SLACK_OPS) * sizeof *e->slots);
    lazy_free(e->link_next, (e->cap_ops + SLACK_OPS) * sizeof *e->link_next);
    lazy_free(e->blocks, e->cap_blocks * sizeof *e->blocks);
    lazy_free(e->hash, sizeof(u32) << HASH_BITS);
    lazy_free(e->page_head, (size_t)PAGE_HEADS * sizeof(u32));
    lazy_free(e->handler_use, HANDLER_USES * sizeof(u32));
    for (unsigned i = 0; i < e->nvcpu; i++)
        free(e->vcpu[i]->exec);
    free(e->row_class);
    free(e);
}

bool exec_add_vcpu(struct exec *e, struct vcpu *c)
{
    if (e->nvcpu == ARRAY_LEN(e->vcpu))
        return false;
    c->exec = calloc(1, sizeof *c->exec);
    if (!c->exec)
        return false;
    c->exec->e = e;
    c->fold = exec_fold;
    c->cost = timing_table();
    e->vcpu[e->nvcpu++] = c;
    return true;
}

void exec_each_vcpu(struct vcpu *c, void (*f)(struct vcpu *c, const void *arg), const void *arg)
{
    if (!c->exec) {
        f(c, arg);
        return;
    }
    for (unsigned i = 0; i < c->exec->e->nvcpu; i++)
        f(c->exec->e->vcpu[i], arg);
}

static bool seg_flat(const struct seg *s, bool code)
{
    if (s->base || s->limit != 0xFFFFFFFF || !(s->attr & ATTR_P) || !(s->attr & ATTR_S))
        return false;
    unsigned t = s->attr & ATTR_TYPE;
    return code ? true : (t & 8) == 0 && (t & 2) && !(t & 4);
}

u32 exec_mode_key(const struct vcpu *c)
{
    enum dec_mode m = cpu_mode(c);
    u32 k = m;
    if (m == MODE_64) {
        if (!(c->st.efer & EFER_LMSLE))
            k |= MODEKEY_FLAT_CS | MODEKEY_FLAT_DATA;
    } else {
        if (seg_flat(&c->st.seg[SEG_CS], true))
            k |= MODEKEY_FLAT_CS;
        if (cpu_protected(c) && seg_flat(&c->st.seg[SEG_DS], false) && seg_flat(&c->st.seg[SEG_ES], false) &&
            seg_flat(&c->st.seg[SEG_SS], false) && (c->st.seg[SEG_SS].attr & ATTR_DB))
            k |= MODEKEY_FLAT_DATA;
    }
    if (mmu_looks(&c->mmu)) /* generic accessors only */
        k &= ~MODEKEY_FLAT_DATA;
    if (c->exec->tells_insns || (c->st.debugctl & DEBUGCTL_LBR) || (c->icpt[ICPT_BUSLOCK >> 5] >> (ICPT_BUSLOCK & 31) & 1))
        k |= MODEKEY_ALONE;
    return k;
}

/* Blocks of a page stay near each other: code that runs once would touch a host page for each block otherwise. */
static u32 hash_of(u32 bpn, unsigned off, u32 mode)
{
    u64 h = (u64)bpn * 0x9E3779B97F4A7C15ull ^ (u64)mode * 0xD6E8FEB86659FD93ull;
    return (u32)((h >> (64 - HASH_BITS)) + off) & ((1u << HASH_BITS) - 1);
}

unsigned lower_generic(const struct insn *in, struct op *out, bool last)
{
    (void)in;
    *out = (struct op){ .fn = last ? op_generic_last : op_generic };
    return 1;
}

static void unlink_into(struct exec *e, struct block *b)
{
    for (u32 s = b->link_head; s; s = e->link_next[s - 1]) {
        e->ops[s - 1].charge = CHARGE_UNLINKED;
        e->ops[s - 1].link = NULL;
    }
    b->link_head = 0;
}

/* Links out of a dropped block stay in the other block's list: the slot is dead code and is only reset once more. */
static void drop_block(struct exec *e, u32 id)
{
    struct block *b = &e->blocks[id];
    u32 *p = &e->hash[hash_of(b->bpn, b->off, b->mode)];
    while (*p && *p != id)
        p = &e->blocks[*p].hash_next;
    if (*p)
        *p = b->hash_next;
    unlink_into(e, b);
    e->ops[b->first].fn = op_dropped;
    b->live = false;
    e->st.block_drops++;
    for (unsigned i = 0; i < e->nvcpu; i++)
        e->vcpu[i]->attn |= ATTN_CODE;
}

void block_drop_range(struct exec *e, u32 bpn, unsigned off, unsigned len)
{
    u32 *p = &e->page_head[bpn];
    while (*p) {
        struct block *b = &e->blocks[*p];
        if (!b->live || (b->from < off + len && off < (unsigned)b->from + b->len)) {
            if (b->live)
                drop_block(e, *p);
            *p = b->page_next;
        } else {
            p = &b->page_next;
        }
    }
    if (!e->page_head[bpn])
        page_flags_clear(e->bus, bpn, PGF_CODE);
}

void exec_flush(struct exec *e)
{
    for (u32 i = 1; i < e->nblocks; i++) {
        u32 bpn = e->blocks[i].bpn;
        if (e->page_head[bpn]) {
            e->page_head[bpn] = 0;
            page_flags_clear(e->bus, bpn, PGF_CODE);
        }
    }
    memset(e->hash, 0, sizeof(u32) << HASH_BITS);
    memset(e->handler_use, 0, HANDLER_USES * sizeof(u32));
    e->nops = 0;
    e->nblocks = 1;
    e->st.flushes++;
    for (unsigned i = 0; i < e->nvcpu; i++) {
        struct vcpu *c = e->vcpu[i];
        c->attn |= ATTN_CODE;
        memset(c->exec->jump, 0, sizeof c->exec->jump);
    }
}

void exec_get_stats(const struct exec *e, struct exec_stats *out)
{
    *out = e->st;
    out->blocks = e->nblocks - 1;
    out->ops = e->nops;
}

static bool ends_block(const struct isa_row *r)
{
    return r->limits & (LIM_BRANCH | LIM_END | LIM_CALC);
}

/* Is it a direct jump within the page, so that the block can go on at its target? Nothing can fault or be seen in between. */
static bool jumps_near(const struct insn *in, u32 mode, unsigned off, unsigned *target)
{
    i64 to = (i64)off + in->len + (i64)in->imm;
    bool jmp = in->op[0].kind == OPK_REL && (in->opcode == 0xE9 || in->opcode == 0xEB);
    *target = (unsigned)to;
    return jmp && (mode & MODEKEY_FLAT_CS) && in->osz == ((mode & 3) == MODE_64 ? 8 : 4) && (mode & 3) != MODE_16 && to >= 0 && to < (i64)PAGE_SIZE;
}

static bool stands_in(const u16 *at, unsigned n, unsigned off)
{
    for (unsigned i = 0; i < n; i++)
        if (at[i] == off)
            return true;
    return false;
}

/* Decodes a block's instructions and where they stand in the page; at[n]: behind the last. A jump that is followed is never the last, nor
 * the first, which must have an op. */
static unsigned decode_run(const u8 *page, unsigned off, u32 mode, const struct vcpu *c, struct insn *out, u16 *at)
{
    unsigned n = 0, jumps = 0, target;
    at[0] = (u16)off;
    while (n < BLOCK_MAX_INSNS && off < PAGE_SIZE) {
        if (decode_insn(page + off, PAGE_SIZE - off, cpu_mode(c), c->features, &out[n]) != DEC_OK)
            break; /* also a page-crossing instruction: it runs by itself */
        const struct insn *in = &out[n];
        at[n++] = (u16)off;
        at[n] = (u16)(off + in->len);
        if (!ends_block(&isa_rows[in->row]))
            off += in->len;
        else if (n > 1 && jumps++ < BLOCK_MAX_JUMPS && jumps_near(in, mode, off, &target) && !stands_in(at, n, target))
            off = target;
        else
            break;
    }
    return n;
}

static u32 make_block(struct exec *e, struct vcpu *c, const struct mmu_xl *xl, unsigned off, u32 mode)
{
    struct insn run[BLOCK_MAX_INSNS];
    struct lower_plan plan[BLOCK_MAX_INSNS];
    u16 at[BLOCK_MAX_INSNS + 1];
    const u8 *page = xl->host - off;
    unsigned n = decode_run(page, off, mode, c, run, at);
    if (!n)
        return BLOCK_NONE;
    if (e->nops + 5 * n + 8 > e->cap_ops || e->nblocks == e->cap_blocks)
        exec_flush(e);
    lower_plan(e, run, n, mode, plan);

    u32 id = e->nblocks++;
    struct block *b = &e->blocks[id];
    *b = (struct block){ .first = e->nops, .bpn = xl->bpn, .mode = mode, .off = (u16)off, .ninsns = (u16)n, .live = true,
                         .quiet = plan[0].silent };
    unsigned from = off, end = off;
    i64 total = 0;
    for (unsigned i = 0; i < n; i++) {
        bool last = i + 1 == n && ends_block(&isa_rows[run[i].row]);
        struct op *o = &e->ops[e->nops];
        e->fuse_next = 0;
        unsigned k = e->cfg.generic_only
                         ? lower_generic(&run[i], o, last)
                         : lower_insn(e, &run[i], mode, o, last, &plan[i], at[i]);
        total += ((i64)timing_insn_ticks(&run[i]) << BUDGET_SHIFT) - 1;
        for (unsigned s = 0; s < k; s++)
            e->slots[e->nops + s] = (struct slot){ .in = run[i], .rest = total, .block = id, .page_off = at[i],
                                                   .back = (u8)s, .nslots = (u8)k,
                                                   .fuse = s + 1 == k ? e->fuse_next : 0 };
        e->nops += k;
        from = at[i] < from ? at[i] : from;
        end = at[i] + run[i].len > end ? at[i] + run[i].len : end;
    }
    if (!ends_block(&isa_rows[run[n - 1].row])) {
        e->ops[e->nops] = (struct op){ .fn = op_fall };
        e->ops[e->nops + 1] = (struct op){ .charge = CHARGE_UNLINKED, .disp = at[n] };
        for (unsigned k = 0; k < 2; k++)
            e->slots[e->nops++] = (struct slot){ .rest = total, .block = id, .page_off = at[n], .nslots = 1 };
    }
    e->slots[b->first].in = run[0]; /* its place and decoding are the block's, even if it was folded into the next */
    e->slots[b->first].page_off = (u16)off;
    for (u32 s = b->first; s < e->nops; s++)
        e->slots[s].rest = total - e->slots[s].rest;
    b->charge = total;
    b->from = (u16)from;
    b->len = (u16)(end - from);
    b->nops = (u16)(e->nops - b->first);
    u32 *h = &e->hash[hash_of(b->bpn, off, mode)];
    b->hash_next = *h;
    *h = id;
    b->page_next = e->page_head[b->bpn];
    e->page_head[b->bpn] = id;
    page_flags_set(e->bus, b->bpn, PGF_CODE);
    return id;
}

u32 block_find_or_make(struct exec *e, struct vcpu *c, const struct mmu_xl *xl, u64 rip)
{
    if (!xl->host || e->cfg.blocks_off || xl->bpn >= PAGE_HEADS)
        return BLOCK_NONE;
    unsigned off = cpu_code_lin(c, rip) & PAGE_MASK;
    u32 mode = c->exec->mode;
    u32 id = e->hash[hash_of(xl->bpn, off, mode)];
    while (id && !(e->blocks[id].bpn == xl->bpn && e->blocks[id].off == off && e->blocks[id].mode == mode))
        id = e->blocks[id].hash_next;
    if (!id)
        id = make_block(e, c, xl, off, mode);
    if (id == BLOCK_NONE)
        return id;
    const struct block *b = &e->blocks[id];
    if (!(mode & MODEKEY_FLAT_CS) && (u64)rip + b->len - 1 > c->st.seg[SEG_CS].limit)
        return BLOCK_NONE;
    if (cpu_mode(c) == MODE_16 && rip + b->len > 0xFFFF)
        return BLOCK_NONE;
    return id;
}
