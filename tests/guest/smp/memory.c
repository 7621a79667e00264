// SPDX-License-Identifier: MIT
/* Mappings that one CPU changes under the others. Between the barriers nobody enters the kernel of its own accord: what a CPU
 * sees then is what the interrupts of the TLB shoot-down left it. */
#include "smp.h"
#include <linux/fs.h>
#include <linux/membarrier.h>
#include <linux/mman.h>
#include <linux/signal.h>

enum { RW = PROT_READ | PROT_WRITE, ANONYMOUS = MAP_PRIVATE | MAP_ANONYMOUS, SLICE = 64 * PAGE };

static volatile u8 *page;
static volatile u32 changed;

static int fill(struct worker *w)
{
    for (u64 i = 0; i < SLICE; i += 8)
        *(volatile u64 *)(page + w->cpu * SLICE + i) = w->cpu << 24 | i;
    return 1;
}

static int compare_next(struct worker *w)
{
    u64 cpu = (w->cpu + 1) % cpus;

    for (u64 i = 0; i < SLICE; i += 8)
        if (!want(*(volatile u64 *)(page + cpu * SLICE + i) == (cpu << 24 | i), "another CPU's word", i))
            return 0;
    return 1;
}

static int slices(void)
{
    page = map(cpus * SLICE, RW, ANONYMOUS);
    int ok = page && each_cpu(fill) && each_cpu(compare_next) &&
        want(sys3(__NR_munmap, (u64)page, cpus * SLICE, 0) == 0, "munmap", 0);
    return ok && read_faults(page, SIGSEGV, SEGV_MAPERR);
}

/* In each turn one CPU changes the page, and the others look. */
static int turns(struct worker *w, int (*change)(struct worker *), int (*look)(struct worker *, u32 by),
                 void (*undo)(struct worker *))
{
    for (u32 by = 0; by < cpus; by++) {
        *(volatile u8 *)(page + w->cpu) = 0xaa; /* now this CPU has the page for writing */
        if (!spin_barrier())
            return 0;
        if (w->cpu == by) {
            if (!change(w))
                return 0;
            changed = by + 1;
        }
        if (!spin_until(&changed, by + 1) || !look(w, by) || !spin_barrier())
            return 0;
        if (w->cpu == by)
            undo(w);
        if (!spin_barrier())
            return 0;
    }
    return 1;
}

static int make_read_only(struct worker *w)
{
    return want(sys3(__NR_mprotect, (u64)page, PAGE, PROT_READ) == 0, "mprotect", w->cpu);
}

static void make_writable(struct worker *w)
{
    want(sys3(__NR_mprotect, (u64)page, PAGE, RW) == 0, "mprotect", w->cpu);
}

static int write_is_refused(struct worker *w, u32 by)
{
    return want(write_faults(page + w->cpu, 0x55, SIGSEGV, SEGV_ACCERR), "a write after mprotect by CPU", by) &&
        want(page[w->cpu] == 0xaa, "the byte behind it", page[w->cpu]);
}

static int protect(struct worker *w)
{
    return turns(w, make_read_only, write_is_refused, make_writable);
}

/* Another page at the same address, and pages that go back to zero. */
static int replace(struct worker *w)
{
    i64 at = sys6(__NR_mmap, (u64)page, PAGE, RW, ANONYMOUS | MAP_FIXED, ~0ul, 0);

    for (u32 i = 0; i < MAX_CPUS; i++)
        page[i] = (u8)(0x80 + w->cpu);
    return want(at == (i64)page, "mmap", (u64)at);
}

static int sees_new_page(struct worker *w, u32 by)
{
    return want(page[w->cpu] == 0x80 + by, "a byte of the new page", page[w->cpu]);
}

static int discard(struct worker *w)
{
    return want(sys3(__NR_madvise, (u64)page, PAGE, MADV_DONTNEED) == 0, "madvise", w->cpu);
}

static int sees_zero(struct worker *w, u32 by)
{
    return want(page[w->cpu] == 0, "a byte of a page given back by CPU", by);
}

static void nothing(struct worker *w)
{
    (void)w;
}

static int replace_in_turns(struct worker *w)
{
    return turns(w, replace, sees_new_page, nothing);
}

static int discard_in_turns(struct worker *w)
{
    return turns(w, discard, sees_zero, nothing);
}

/* The page goes elsewhere with what it holds; its old place is empty. */
static volatile u8 *elsewhere;

static int move_away(struct worker *w)
{
    i64 at = sys6(__NR_mremap, (u64)page, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, (u64)elsewhere, 0);

    return want(at == (i64)elsewhere, "mremap", w->cpu);
}

static int sees_it_moved(struct worker *w, u32 by)
{
    return want(elsewhere[w->cpu] == 0xaa, "a byte of the page moved by CPU", by) &&
        want(read_faults(page + w->cpu, SIGSEGV, SEGV_MAPERR), "the old place of the page moved by CPU", by);
}

static void move_back(struct worker *w)
{
    i64 at = sys6(__NR_mremap, (u64)elsewhere, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, (u64)page, 0);

    want(at == (i64)page, "mremap back", w->cpu);
}

static int move_in_turns(struct worker *w)
{
    return turns(w, move_away, sees_it_moved, move_back);
}

static int on_fresh_page(int (*body)(struct worker *))
{
    changed = 0;
    page = map(PAGE, RW, ANONYMOUS);
    elsewhere = map(PAGE, RW, ANONYMOUS);
    int ok = page && elsewhere && each_cpu(body);
    sys3(__NR_munmap, (u64)page, PAGE, 0);
    sys3(__NR_munmap, (u64)elsewhere, PAGE, 0);
    return ok;
}

/* MOV EAX, imm32; RET, called by everybody, whose number the CPU in turn patches. The page is never writable and executable at
 * once; the memory barrier of the kernel serialises all CPUs. */
static int patch(struct worker *w)
{
    int ok = want(sys3(__NR_mprotect, (u64)page, PAGE, RW) == 0, "mprotect", w->cpu);

    page[0] = 0xb8;
    *(volatile u32 *)(page + 1) = 1000 + w->cpu;
    page[5] = 0xc3;
    ok &= want(sys3(__NR_mprotect, (u64)page, PAGE, PROT_READ | PROT_EXEC) == 0, "mprotect", w->cpu);
    return ok && want(sys3(__NR_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0) == 0, "membarrier", w->cpu);
}

static int run_patched(struct worker *w)
{
    for (u32 by = 0; by < cpus; by++) {
        if (w->cpu == by) {
            if (!patch(w))
                return 0;
            changed = by + 1;
        }
        if (!spin_until(&changed, by + 1))
            return 0;
        u32 result = ((u32(*)(void))(u64)page)();
        if (!want(result == 1000 + by, "the patched code returned", result) || !spin_barrier())
            return 0;
    }
    return 1;
}

static int patching(void)
{
    return want(sys3(__NR_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0) == 0, "membarrier", 0) &&
        on_fresh_page(run_patched);
}

/* This program's file, mapped: what is written stays in the mapping. */
static int map_file(struct worker *w)
{
    i64 fd = sys3(__NR_open, (u64) "/proc/self/exe", 0, 0);
    i64 at = sys6(__NR_mmap, 0, PAGE, RW, MAP_PRIVATE, (u64)fd, 0);
    volatile u8 *file = (volatile u8 *)at;
    u8 byte = 0;

    if (!want(fd >= 0, "open", (u64)-fd) || !want(at > 0, "mmap of the file", (u64)-at))
        return 0;
    int ok = want(file[0] == 0x7f && file[1] == 'E', "the file begins with", file[0]);
    file[1] = (u8)w->cpu;
    ok &= want(sys6(__NR_pread64, (u64)fd, (u64)&byte, 1, 1, 0, 0) == 1 && byte == 'E', "the file kept", byte);
    ok &= want(file[1] == (u8)w->cpu, "the mapping kept", file[1]);
    sys3(__NR_close, (u64)fd, 0, 0);
    return ok & (sys3(__NR_munmap, (u64)at, PAGE, 0) == 0);
}

void check_memory(void)
{
    check(catch_faults(), "handlers of faults");
    check(slices(), "each CPU reads what another has written");
    check(on_fresh_page(protect), "a write after mprotect faults on each CPU");
    check(on_fresh_page(replace_in_turns), "each CPU sees another page at the address");
    check(on_fresh_page(discard_in_turns), "each CPU sees a page given back");
    check(on_fresh_page(move_in_turns), "each CPU sees a page moved");
    check(patching(), "each CPU runs code patched by another");
    check(each_cpu(map_file), "a file is mapped");
}
