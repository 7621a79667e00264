// SPDX-License-Identifier: MIT
/* bits: 64 */
/* run: --cpu max */
/* also: k8 */
/* Translations stay in the TLB until something that covers them flushes them, and no longer: a hypervisor that forgets a flush sees the
 * old page, as on silicon. World switches flush nothing [APM2 15.16]. */
#include "vm.h"

/* Two pages of the guest, an ordinary and a global one, each seen by two ASIDs: four entries that a flush may or may not cover. */
enum { PLAIN_1 = 1, GLOBAL_1 = 2, PLAIN_2 = 4, GLOBAL_2 = 8, OF_1 = PLAIN_1 | GLOBAL_1, EVERY = 15, NONE = 0, BROADCAST = 16 /* needs INVLPGB */ };
enum { OLD = 0x01d01d, NEW = 0x2e32e3, MSR_MTRR_DEF_TYPE = 0x2ff, MSR_IORR_BASE0 = 0xc0010016 };
/* Guest code beside the accesses of vm.c: each ends in VMMCALL. */
enum { AT_NOTHING = 0x80, AT_CR3 = 0x90, AT_INVLPG = 0xa0, AT_PGE = 0xb0 };

static struct vm vm;
static u8 *old_page, *new_page;
static enum format nested;

static void set_up(void)
{
    vm_init(&vm, FMT_4, nested);
    old_page = pages_take();
    new_page = pages_take();
    *(u32 *)(void *)(old_page + DATA_OFFSET) = OLD;
    *(u32 *)(void *)(new_page + DATA_OFFSET) = NEW;
    vm.vmcb->cr4 |= CR4_PGE;
    vm.vmcb->tlb_control = TLB_FLUSH_ALL;
    memcpy(vm.code + AT_NOTHING, "\x0f\x01\xd9", 3);
    memcpy(vm.code + AT_CR3, "\x0f\x22\xd8\x0f\x01\xd9", 6);
    memcpy(vm.code + AT_INVLPG, "\x0f\x01\x38\x0f\x01\xd9", 6);
    /* mov rcx, cr4; btc rcx, 7; mov cr4, rcx; btc rcx, 7; mov cr4, rcx; vmmcall */
    memcpy(vm.code + AT_PGE, "\x0f\x20\xe1\x48\x0f\xba\xf9\x07\x0f\x22\xe1\x48\x0f\xba\xf9\x07\x0f\x22\xe1\x0f\x01\xd9", 22);
}

static u64 run_at(u32 asid, unsigned at, u64 rax)
{
    vm.vmcb->guest_asid = asid;
    vm.vmcb->rip = vm.code_va + at;
    vm.vmcb->rax = rax;
    svm_run(vm.vmcb, &vm.regs);
    vm.vmcb->tlb_control = TLB_KEEP;
    return vm.vmcb->exit_code;
}

static void run_flushing(u32 asid, u8 tlb_control)
{
    vm.vmcb->tlb_control = tlb_control;
    expect("VMRUN", run_at(asid, AT_NOTHING, 0), EXIT_VMMCALL);
}

static u64 page_va(bool global)
{
    return vm.data_va + (global ? PAGE_SIZE : 0);
}

static u32 sees(u32 asid, bool global)
{
    expect("read", run_at(asid, 0, page_va(global) + DATA_OFFSET), EXIT_VMMCALL);
    return (u32)vm.regs.rcx;
}

static void map_pages(const u8 *page)
{
    map(&vm.guest, page_va(false), phys(page) + vm.guest.offset, E_ALL, 1);
    map(&vm.guest, page_va(true), phys(page) + vm.guest.offset, E_ALL | E_G, 1);
}

/* All four entries loaded with the old page, the tables changed to the new one. */
static void prime(void)
{
    set_up();
    map_pages(old_page);
    for (unsigned i = 0; i < 4; i++)
        expect("before", sees(1 + i / 2, i & 1), OLD);
    map_pages(new_page);
}

static void expect_flushed(const char *what, unsigned covered)
{
    for (unsigned i = 0; i < 4; i++)
        expect(what, sees(1 + i / 2, i & 1), covered >> i & 1 ? NEW : OLD);
}

/* ---- what flushes, and what it covers ---- */

static void invlpga(u64 va, u32 asid)
{
    __asm__ volatile("invlpga" : : "a"(va), "c"(asid) : "memory");
}

static void nothing(void) { run_flushing(1, TLB_KEEP); }
static void flush_all(void) { run_flushing(1, TLB_FLUSH_ALL); }
static void flush_asid(void) { run_flushing(1, TLB_FLUSH_ASID); }
static void flush_nonglobal(void) { run_flushing(1, TLB_FLUSH_NONGLOBAL); }
static void refused(void)
{
    vm.vmcb->tlb_control = TLB_FLUSH_ALL;
    expect("VMRUN with ASID 0", run_at(0, AT_NOTHING, 0), EXIT_INVALID);
}
static void invlpga_plain(void) { invlpga(page_va(false) + 0xabc, 1); }
static void invlpga_global(void) { invlpga(page_va(true), 1); }
static void invlpga_host(void) { invlpga(page_va(false), 0); }
static void invlpga_beside(void) { invlpga(page_va(false) - PAGE_SIZE, 1); }
static void invlpga_no_such_asid(void) { invlpga(page_va(false), 0x70000001); }
static void invlpga_cut(void) /* EAX with an address-size prefix: not the page's address, which is above 4 GiB */
{
    __asm__ volatile("addr32 invlpga" : : "a"(page_va(false)), "c"(1) : "memory");
}
static void host_invlpg(void) { __asm__ volatile("invlpg (%0)" : : "r"(page_va(false)) : "memory"); }
static void host_cr3(void) { write_cr3(read_cr3()); }
static void host_pge(void)
{
    __asm__ volatile("mov %0, %%cr4; mov %1, %%cr4" : : "r"(read_cr4() ^ CR4_PGE), "r"(read_cr4()) : "memory");
}
static void host_mtrr(void) { wrmsr(MSR_MTRR_DEF_TYPE, rdmsr(MSR_MTRR_DEF_TYPE)); }
static void host_iorr(void) { wrmsr(MSR_IORR_BASE0, 0); }
/* INVLPGB of ASID 1 [APM3 INVLPGB]: address and ASID are valid, globals included; with nested translations, which no entry here is found by. */
enum { INVLPGB_VA = 1, INVLPGB_ASID = 4, INVLPGB_GLOBAL = 8, INVLPGB_NESTED = 32 };
static bool has_invlpgb(bool nested_too)
{
    u32 r[4];
    cpuid(0x80000008, 0, r);
    return (r[1] >> 3 & 1) && (!nested_too || (r[1] >> 21 & 1));
}
static void invlpgb(u64 rax, u32 asid)
{
    __asm__ volatile(".byte 0x0f, 0x01, 0xfe, 0x0f, 0x01, 0xff" : : "a"(rax), "c"(0), "d"(asid) : "memory"); /* invlpgb; tlbsync */
}
static void invlpgb_page(void) { invlpgb(page_va(true) | INVLPGB_VA | INVLPGB_ASID | INVLPGB_GLOBAL, 1); }
static void invlpgb_asid(void) { invlpgb(INVLPGB_ASID | INVLPGB_GLOBAL, 1); }
static void invlpgb_host(void) { invlpgb(INVLPGB_ASID | INVLPGB_GLOBAL, 0); }
static void invlpgb_all(void) { invlpgb(INVLPGB_GLOBAL, 0); }
static void invlpgb_nested(void) { invlpgb((phys(old_page) + GPA_OFFSET) | INVLPGB_VA | INVLPGB_ASID | INVLPGB_GLOBAL | INVLPGB_NESTED, 1); }
static void guest_cr3(void) { expect("MOV CR3", run_at(1, AT_CR3, vm.guest.root), EXIT_VMMCALL); }
static void guest_invlpg(void) { expect("INVLPG", run_at(1, AT_INVLPG, page_va(true)), EXIT_VMMCALL); }
static void guest_pge(void) { expect("CR4.PGE", run_at(1, AT_PGE, 0), EXIT_VMMCALL); }
static void intercepted(void)
{
    vm.vmcb->intercept_cr = 1u << (16 + 3);
    vm.vmcb->intercept_misc1 |= INTERCEPT_INVLPG;
    expect("MOV CR3", run_at(1, AT_CR3, vm.guest.root), EXIT_CR3_WRITE);
    expect("INVLPG", run_at(1, AT_INVLPG, page_va(true)), EXIT_INVLPG);
}

static const struct {
    const char *what;
    void (*act)(void);
    unsigned covers;
} flushes[] = {
    { "a world switch", nothing, NONE },
    { "TLB_CONTROL 1", flush_all, EVERY },
    { "TLB_CONTROL 3", flush_asid, OF_1 },
    { "TLB_CONTROL 7", flush_nonglobal, PLAIN_1 },
    { "TLB_CONTROL of a VMRUN that fails", refused, NONE },
    { "INVLPGA", invlpga_plain, PLAIN_1 },
    { "INVLPGA of a global page", invlpga_global, GLOBAL_1 },
    { "INVLPGA of the host's ASID", invlpga_host, NONE },
    { "INVLPGA of another page", invlpga_beside, NONE },
    { "INVLPGA of an ASID that does not exist", invlpga_no_such_asid, NONE },
    { "INVLPGA of EAX", invlpga_cut, NONE },
    { "the host's INVLPG", host_invlpg, NONE },
    { "the host's MOV CR3", host_cr3, NONE },
    { "the host's CR4.PGE", host_pge, NONE },
    { "a write to an MTRR", host_mtrr, EVERY },
    { "a write to an IORR", host_iorr, EVERY },
    { "INVLPGB of a page of an ASID", invlpgb_page, GLOBAL_1 | BROADCAST },
    { "INVLPGB of an ASID", invlpgb_asid, OF_1 | BROADCAST },
    { "INVLPGB of the host's ASID", invlpgb_host, NONE | BROADCAST },
    { "INVLPGB of everything", invlpgb_all, EVERY | BROADCAST },
    { "INVLPGB of nested translations of an ASID", invlpgb_nested, OF_1 | BROADCAST },
    { "the guest's MOV CR3", guest_cr3, PLAIN_1 },
    { "the guest's INVLPG", guest_invlpg, GLOBAL_1 },
    { "the guest's CR4.PGE", guest_pge, OF_1 },
    { "MOV CR3 and INVLPG that are intercepted", intercepted, NONE },
};

static void each_flush(void)
{
    section("what flushes what", nested ? "nested" : "shadow", NULL, NULL);
    for (unsigned i = 0; i < sizeof(flushes) / sizeof(flushes[0]); i++) {
        if (flushes[i].act == flush_asid || flushes[i].act == flush_nonglobal) {
            if (!cpu_svm_feature(FEATURE_FLUSH_BY_ASID))
                continue; /* limits() has their values */
        }
        if ((flushes[i].covers & BROADCAST) && !has_invlpgb(flushes[i].act == invlpgb_nested))
            continue;
        prime();
        flushes[i].act();
        expect_flushed(flushes[i].what, flushes[i].covers);
    }
    section_end();
}

/* ---- mistakes of a hypervisor ---- */

/* Another guest under an ASID that was not flushed runs on the pages of the one before. */
static void reused_asid(void)
{
    section("an ASID used again", nested ? "nested" : "shadow", NULL, NULL);
    prime();
    struct tables other;
    tables_init(&other, FMT_4, vm.guest.offset);
    struct tables first = vm.guest;
    map(&other, vm.code_va, phys(vm.code) + vm.guest.offset, E_ALL, 1);
    map(&other, page_va(false), phys(new_page) + vm.guest.offset, E_ALL, 1);
    vm.vmcb->cr3 = other.root;
    expect("another CR3 in the VMCB", sees(1, false), OLD);
    expect("under a new ASID", sees(3, false), NEW);
    run_flushing(1, cpu_svm_feature(FEATURE_FLUSH_BY_ASID) ? TLB_FLUSH_ASID : TLB_FLUSH_ALL);
    expect("after the flush", sees(1, false), NEW);
    vm.vmcb->cr3 = first.root;
    expect("and back", sees(1, false), NEW);

    /* Control registers in the VMCB: entries stay, judged by today's bits. */
    prime();
    vm.vmcb->cr4 &= ~(u64)CR4_PGE;
    expect("CR4.PGE cleared in the VMCB, plain page", sees(1, false), OLD);
    expect("CR4.PGE cleared in the VMCB, global page", sees(1, true), OLD);
    prime();
    vm.vmcb->cr0 &= ~(u64)CR0_WP;
    vm.vmcb->efer &= ~(u64)EFER_NXE;
    expect("CR0.WP and EFER.NXE cleared in the VMCB", sees(1, false), OLD);
    section_end();
}

/* Nested tables that lose a right: the old one is used until a flush. What gains a right needs none [APM2 15.16]. */
static void nested_rights(void)
{
    u64 leaf, gpa;

    section("nested entries", NULL, NULL, NULL);
    for (unsigned by_page = 0; by_page < 2; by_page++) {
        prime();
        map_pages(old_page);
        gpa = phys(old_page) + GPA_OFFSET;
        leaf = entry_get(&vm.nested, gpa, 1);
        expect("write", run_at(1, 0x10, page_va(false) + DATA_OFFSET), EXIT_VMMCALL);
        entry_set(&vm.nested, gpa, 1, leaf & ~(u64)E_W);
        expect("write after W is gone", run_at(1, 0x10, page_va(false) + DATA_OFFSET), EXIT_VMMCALL);
        if (by_page)
            invlpga(page_va(false), 1);
        else
            run_flushing(1, TLB_FLUSH_ASID);
        expect("write after the flush", run_at(1, 0x10, page_va(false) + DATA_OFFSET), EXIT_NPF);
        expect("EXITINFO1", vm.vmcb->exit_info1, NPF_FINAL | PF_P | PF_W | PF_U);
        entry_set(&vm.nested, gpa, 1, leaf);
        expect("write after W is back", run_at(1, 0x10, page_va(false) + DATA_OFFSET), EXIT_VMMCALL);
        entry_set(&vm.nested, gpa, 1, phys(new_page) | E_ALL);
        *(u32 *)(void *)(old_page + DATA_OFFSET) = OLD;
        expect("another frame", sees(1, false), OLD);
        run_flushing(1, TLB_FLUSH_NONGLOBAL);
        expect("another frame after the flush", sees(1, false), NEW);
        entry_set(&vm.nested, gpa, 1, 0);
        expect("no frame", sees(1, false), NEW);
        run_flushing(2, TLB_FLUSH_ASID);
        expect("no frame, another ASID flushed", sees(1, false), NEW);
        run_flushing(1, TLB_FLUSH_ASID);
        expect("no frame after the flush", run_at(1, 0, page_va(false) + DATA_OFFSET), EXIT_NPF);
        entry_set(&vm.nested, gpa, 1, phys(new_page) | E_ALL);
        expect("a frame again", sees(1, false), NEW);
    }
    section_end();
}

/* A guest's 2 MiB page on nested pages of 4 KiB is one page to INVLPG and INVLPGA: all its parts go. */
static void fragments(void)
{
    section("a large page in parts", NULL, NULL, NULL);
    for (unsigned by_host = 0; by_host < 2; by_host++) {
        const u64 va = 9ull << 30, first = 5ull << 30, second = 6ull << 30;
        set_up();
        map(&vm.guest, va, first, E_ALL, 2);
        for (unsigned i = 0; i < 2; i++) {
            map(&vm.nested, first + i * PAGE_SIZE, phys(old_page), E_ALL, 1);
            map(&vm.nested, second + i * PAGE_SIZE, phys(new_page), E_ALL, 1);
            run_at(1, 0, va + i * PAGE_SIZE + DATA_OFFSET);
            expect("before", (u32)vm.regs.rcx, OLD);
        }
        map(&vm.guest, va, second, E_ALL, 2);
        run_at(1, 0, va + DATA_OFFSET);
        expect("no flush", (u32)vm.regs.rcx, OLD);
        if (by_host)
            invlpga(va + 0x100000, 1);
        else
            expect("INVLPG", run_at(1, AT_INVLPG, va + 0x1ff000), EXIT_VMMCALL);
        for (unsigned i = 0; i < 2; i++) {
            run_at(1, 0, va + i * PAGE_SIZE + DATA_OFFSET);
            expect("after INVLPG of a third part", (u32)vm.regs.rcx, NEW);
        }
    }
    section_end();
}

/* Process-context identifiers of the guest: tags beside the ASID, which TLB_CONTROL 7 covers all. */
static void pcids(void)
{
    enum { CR4_PCIDE = 1 << 17 };

    section("PCIDs of a guest", NULL, NULL, NULL);
    for (unsigned i = 0; i < 5; i++) {
        prime();
        map_pages(old_page);
        vm.vmcb->cr4 |= CR4_PCIDE;
        for (u64 pcid = 1; pcid <= 2; pcid++) {
            vm.vmcb->cr3 = vm.guest.root | pcid;
            run_flushing(1, pcid == 1 ? TLB_FLUSH_ASID : TLB_KEEP);
            expect("plain, before", sees(1, false), OLD);
        }
        expect("global, before", sees(1, true), OLD);
        map_pages(new_page);
        expect("no flush", sees(1, false), OLD);
        vm.vmcb->cr3 = vm.guest.root | 3;
        expect("a PCID without entries", sees(1, false), NEW);
        expect("the global page of all", sees(1, true), OLD);
        vm.vmcb->cr3 = vm.guest.root | 2;
        switch (i) {
        case 0: run_flushing(1, TLB_FLUSH_NONGLOBAL); break;
        case 1: run_flushing(1, TLB_FLUSH_ASID); break;
        case 2: expect("MOV CR3", run_at(1, AT_CR3, vm.guest.root | 1), EXIT_VMMCALL); break;
        case 3: expect("MOV CR3, no flush", run_at(1, AT_CR3, 1ull << 63 | vm.guest.root | 1), EXIT_VMMCALL); break;
        case 4: invlpga(page_va(false), 1); break;
        }
        static const struct {
            const char *what;
            u32 one, two, global;
        } after[] = {
            { "TLB_CONTROL 7", NEW, NEW, OLD },     { "TLB_CONTROL 3", NEW, NEW, NEW },        { "MOV CR3 to PCID 1", NEW, OLD, OLD },
            { "MOV CR3 without flush", OLD, OLD, OLD }, { "INVLPGA of any PCID", NEW, NEW, OLD },
        };
        vm.vmcb->cr3 = vm.guest.root | 1;
        expect(after[i].what, sees(1, false), after[i].one);
        vm.vmcb->cr3 = vm.guest.root | 2;
        expect(after[i].what, sees(1, false), after[i].two);
        expect(after[i].what, sees(1, true), after[i].global);
    }
    section_end();
}

/* ---- numbers ---- */

static void limits(void)
{
    u32 r[4];
    static const u8 reserved[] = { 2, 4, 5, 6, 8, 0x80, 0xff };

    section("ASID numbers and TLB_CONTROL values", NULL, NULL, NULL);
    cpuid(0x8000000a, 0, r);
    prime();
    expect("the last ASID has entries of its own", sees(r[1] - 1, false), NEW);
    map_pages(old_page);
    expect("and keeps them", sees(r[1] - 1, false), NEW);
    run_flushing(r[1] - 1, cpu_svm_feature(FEATURE_FLUSH_BY_ASID) ? TLB_FLUSH_ASID : TLB_FLUSH_ALL);
    expect("until its own flush", sees(r[1] - 1, false), OLD);
    for (unsigned i = 0; i < sizeof(reserved); i++) {
        vm.vmcb->tlb_control = reserved[i];
        expect("reserved TLB_CONTROL", run_at(1, AT_NOTHING, 0), EXIT_INVALID);
    }
    if (!cpu_svm_feature(FEATURE_FLUSH_BY_ASID)) {
        vm.vmcb->tlb_control = TLB_FLUSH_ASID;
        expect("TLB_CONTROL 3 without FlushByAsid", run_at(1, AT_NOTHING, 0), EXIT_INVALID);
        vm.vmcb->tlb_control = TLB_FLUSH_NONGLOBAL;
        expect("TLB_CONTROL 7 without FlushByAsid", run_at(1, AT_NOTHING, 0), EXIT_INVALID);
        section_end();
        return;
    }
    /* Numbers beyond the last one are accepted and cut to 16 bits, by a flush as by a look-up. */
    map_pages(old_page);
    expect("an ASID of 17 bits", sees(0x10005, false), OLD);
    map_pages(new_page);
    expect("is one of 16", sees(5, false), OLD);
    run_flushing(0x10005, TLB_FLUSH_ASID);
    expect("to a flush too", sees(5, false), NEW);
    vm.vmcb->tlb_control = TLB_FLUSH_ALL;
    run_at(1, AT_NOTHING, 0);
    vm.vmcb->tlb_control = TLB_FLUSH_ASID;
    svm_run(vm.vmcb, &vm.regs);
    expect("#VMEXIT leaves TLB_CONTROL alone", vm.vmcb->tlb_control, TLB_FLUSH_ASID);
    section_end();
}

void guest_main(void)
{
    svm_enable();
    for (unsigned i = 0; i < 2; i++) {
        nested = i ? FMT_4 : FMT_NONE;
        if (nested && !cpu_svm_feature(FEATURE_NP))
            continue;
        each_flush();
        reused_asid();
    }
    if (nested && cpu_svm_feature(FEATURE_NP)) {
        nested_rights();
        fragments();
        pcids();
    } else {
        nested = FMT_NONE;
    }
    limits();
}
