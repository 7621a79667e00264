// SPDX-License-Identifier: MIT
/* bits: 64 */
/* run: --cpu max */
/* Nested paging beyond one refused entry: rights that both levels have (U/S, WP, SMEP, SMAP, NX) and whose register decides, pages of
 * every size in both levels, pointers of a legacy PAE guest, addresses and tables at odd places [APM2 15.25]. */
#include "vm.h"

extern u64 boot_pml4[];
static struct vm vm;
enum { RFLAGS_AC = 1 << 18 };

static inline void host_cr0(u64 v) { __asm__ volatile("mov %0, %%cr0" : : "r"(v) : "memory"); }
static inline void host_cr4(u64 v) { __asm__ volatile("mov %0, %%cr4" : : "r"(v) : "memory"); }

static void ring(unsigned cpl)
{
    vm.vmcb->cpl = (u8)cpl;
    vm.vmcb->cs.attrib = (u16)((vm.vmcb->cs.attrib & ~0x60) | cpl << 5);
    vm.vmcb->ss.attrib = (u16)((vm.vmcb->ss.attrib & ~0x60) | cpl << 5);
}

static void guest_leaf(u64 clear, u64 set)
{
    entry_set(&vm.guest, vm.data_va, 1, (vm.data_gpa | E_ALL | set) & ~clear);
}

static void nested_leaf(u64 clear, u64 set)
{
    entry_set(&vm.nested, vm.data_gpa, 1, (phys(vm.data) | E_ALL | set) & ~clear);
}

/* The guest's U/S counts in the guest's tables; a nested walk is a user's in every ring. */
static void users(void)
{
    section("user and supervisor", NULL, NULL, NULL);
    for (unsigned cpl = 0; cpl <= 3; cpl++) {
        vm_init(&vm, FMT_4, FMT_4);
        ring(cpl);
        probe_works(&vm, "read, U=1", READ);
        guest_leaf(E_U, 0);
        if (cpl == 3) {
            probe_pf(&vm, "read, guest U=0 at CPL 3", READ, PF_P | PF_U);
            probe_pf(&vm, "write, guest U=0 at CPL 3", WRITE, PF_P | PF_U | PF_W);
            probe_pf(&vm, "fetch, guest U=0 at CPL 3", FETCH, PF_P | PF_U | PF_ID);
        } else {
            probe_works(&vm, "read, guest U=0", READ);
            probe_works(&vm, "fetch, guest U=0", FETCH);
        }
        guest_leaf(0, 0);
        nested_leaf(E_U, 0);
        probe_npf(&vm, "nested U=0", READ, NPF_FINAL | PF_P | PF_U, access_gpa(&vm, READ));
        nested_leaf(E_P, 0);
        probe_npf(&vm, "nested P=0", READ, NPF_FINAL | PF_U, access_gpa(&vm, READ));
    }
    section_end();
}

/* CR0.WP of the guest relaxes the guest's entries only; the host's has no meaning here. */
static void write_protection(void)
{
    section("CR0.WP", NULL, NULL, NULL);
    for (unsigned host_wp = 0; host_wp < 2; host_wp++) {
        host_cr0(host_wp ? read_cr0() | CR0_WP : read_cr0() & ~(u64)CR0_WP);
        for (unsigned wp = 0; wp < 2; wp++) {
            vm_init(&vm, FMT_4, FMT_4);
            vm.vmcb->cr0 = (vm.vmcb->cr0 & ~(u64)CR0_WP) | (wp ? CR0_WP : 0);
            guest_leaf(E_W, 0);
            if (wp)
                probe_pf(&vm, "guest W=0, WP=1", WRITE, PF_P | PF_W);
            else
                probe_works(&vm, "guest W=0, WP=0", WRITE);
            guest_leaf(0, 0);
            nested_leaf(E_W, 0);
            probe_npf(&vm, "nested W=0", WRITE, NPF_FINAL | PF_P | PF_W | PF_U, access_gpa(&vm, WRITE));
            ring(3);
            nested_leaf(0, 0);
            guest_leaf(E_W, 0);
            probe_pf(&vm, "guest W=0 at CPL 3", WRITE, PF_P | PF_W | PF_U);
        }
    }
    host_cr0(read_cr0() | CR0_WP);
    section_end();
}

/* SMEP and SMAP: the guest's for the guest's pages; the host's forbid nothing, although every nested page is a user's. */
static void smep_smap(void)
{
    section("SMEP and SMAP", NULL, NULL, NULL);
    boot_pml4[0] &= ~(u64)E_U; /* the host's own pages */
    for (unsigned host = 0; host < 2; host++) {
        host_cr4((read_cr4() & ~(u64)(CR4_SMEP | CR4_SMAP)) | (host ? CR4_SMEP | CR4_SMAP : 0));
        vm_init(&vm, FMT_4, FMT_4);
        map(&vm.guest, vm.code_va, phys(vm.code) + GPA_OFFSET, E_P, 1); /* the guest's code is no user page */
        probe_works(&vm, "fetch without the guest's bits", FETCH);
        probe_works(&vm, "read without the guest's bits", READ);
        vm.vmcb->cr4 |= CR4_SMEP;
        probe_pf(&vm, "SMEP: fetch from a user page", FETCH, PF_P | PF_ID);
        vm.vmcb->efer &= ~(u64)EFER_NXE;
        probe_pf(&vm, "SMEP alone shows fetches", FETCH, PF_P | PF_ID);
        vm.vmcb->efer |= EFER_NXE;
        probe_works(&vm, "SMEP: read from a user page", READ);
        vm.vmcb->cr4 = (vm.vmcb->cr4 & ~(u64)CR4_SMEP) | CR4_SMAP;
        probe_pf(&vm, "SMAP: read from a user page", READ, PF_P);
        probe_pf(&vm, "SMAP: write to a user page", WRITE, PF_P | PF_W);
        probe_works(&vm, "SMAP: fetch from a user page", FETCH);
        vm.vmcb->rflags |= RFLAGS_AC;
        probe_works(&vm, "SMAP: read with AC set", READ);
        vm.vmcb->rflags &= ~(u64)RFLAGS_AC;
        guest_leaf(E_U, 0);
        probe_works(&vm, "SMAP: read from a supervisor page", READ);
        vm.vmcb->cr4 |= CR4_SMEP;
        probe_works(&vm, "SMEP: fetch from a supervisor page", FETCH);
    }
    host_cr4(read_cr4() & ~(u64)(CR4_SMEP | CR4_SMAP));
    section_end();
}

/* EFER.NXE of each side for its own entries; the I/D bit of a nested fault needs the host's NXE or SMEP. */
static void no_execute(void)
{
    section("NX", NULL, NULL, NULL);
    for (unsigned host_nx = 0; host_nx < 2; host_nx++) {
        u64 id = host_nx ? PF_ID : 0;
        wrmsr(MSR_EFER, (rdmsr(MSR_EFER) & ~(u64)EFER_NXE) | (host_nx ? EFER_NXE : 0));
        for (unsigned nx = 0; nx < 2; nx++) {
            vm_init(&vm, FMT_4, FMT_4);
            vm.vmcb->efer = (vm.vmcb->efer & ~(u64)EFER_NXE) | (nx ? EFER_NXE : 0);
            guest_leaf(0, E_NX);
            probe_pf(&vm, "guest NX", FETCH, nx ? PF_P | PF_ID : PF_P | PF_RSV);
            if (nx)
                probe_works(&vm, "guest NX, read", READ);
            else
                probe_pf(&vm, "NX bit without NXE, read", READ, PF_P | PF_RSV);
            guest_leaf(0, 0);
            nested_leaf(0, E_NX);
            probe_npf(&vm, "nested NX", FETCH, NPF_FINAL | PF_P | PF_U | (host_nx ? PF_ID : PF_RSV), access_gpa(&vm, FETCH));
            if (host_nx)
                probe_works(&vm, "nested NX, read", READ);
            else
                probe_npf(&vm, "nested NX bit without NXE, read", READ, NPF_FINAL | PF_P | PF_U | PF_RSV, access_gpa(&vm, READ));
            nested_leaf(E_P, 0);
            probe_npf(&vm, "not present", FETCH, NPF_FINAL | PF_U | id, access_gpa(&vm, FETCH));
        }
    }
    section_end();
}

/* Each size of guest page on each size of nested page. */
static void page_sizes(void)
{
    section("page sizes", NULL, NULL, NULL);
    for (unsigned g = 1; g <= 3; g++) {
        for (unsigned n = 1; n <= 3; n++) {
            vm_init(&vm, FMT_4, FMT_4);
            u64 guest_mask = (1ull << (3 + 9 * g)) - 1, nested_mask = (1ull << (3 + 9 * n)) - 1;
            vm.data_gpa = 5ull << 30 | phys(vm.data);
            vm.data_va = 9ull << 30 | phys(vm.data);
            map(&vm.guest, vm.data_va & ~guest_mask, vm.data_gpa & ~guest_mask, E_ALL, g);
            map(&vm.nested, vm.data_gpa & ~nested_mask, phys(vm.data) & ~nested_mask, E_ALL, n);
            for (enum access a = READ; a < ACCESSES; a++)
                probe_works(&vm, access_name[a], a);
            expect("guest's A and D", entry_get(&vm.guest, vm.data_va, g) & (E_A | E_D), E_A | E_D);
            expect("nested A and D", entry_get(&vm.nested, vm.data_gpa, n) & (E_A | E_D), E_A | E_D);
            if (g > 1) {
                entry_set(&vm.guest, vm.data_va, g, entry_get(&vm.guest, vm.data_va, g) | (g == 2 ? 1ull << 13 : 1ull << 29));
                probe_pf(&vm, "guest page that is not aligned", READ, PF_P | PF_RSV);
                entry_set(&vm.guest, vm.data_va, g, entry_get(&vm.guest, vm.data_va, g) & ~(g == 2 ? 1ull << 13 : 1ull << 29));
            }
            if (n > 1) {
                entry_set(&vm.nested, vm.data_gpa, n, entry_get(&vm.nested, vm.data_gpa, n) | (n == 2 ? 1ull << 20 : 1ull << 13));
                probe_npf(&vm, "nested page that is not aligned", WRITE, NPF_FINAL | PF_P | PF_RSV | PF_U | PF_W, access_gpa(&vm, WRITE));
            }
        }
    }
    /* 4 MiB pages with address bits 39:32 in the entry's bits 20:13. */
    vm_init(&vm, FMT_PSE, FMT_4);
    vm.data_gpa += 0x12ull << 32;
    entry_set(&vm.guest, vm.data_va, 2, (vm.data_gpa & 0xffc00000) | 0x12 << 13 | E_PS | E_ALL);
    probe_npf(&vm, "PSE-36", READ, NPF_FINAL | PF_U, access_gpa(&vm, READ));
    map(&vm.nested, vm.data_gpa, phys(vm.data), E_ALL, 1);
    probe_works(&vm, "PSE-36", READ);
    section_end();
}

/* Four pointers of legacy PAE: with nested paging they are entries like others; without, VMRUN reads and checks them [APM2 15.25.10]. */
static void pae_pointers(void)
{
    section("pointers of a PAE guest", NULL, NULL, NULL);
    vm_init(&vm, FMT_PAE, FMT_4);
    u64 good = entry_get(&vm.guest, vm.data_va, 3);
    entry_set(&vm.guest, vm.data_va, 3, good | E_RESERVED);
    probe_pf(&vm, "a reserved bit is found at use, not by VMRUN", READ, PF_P | PF_RSV);
    entry_set(&vm.guest, vm.data_va, 3, good);
    probe_works(&vm, "the pointer is read again at each walk", READ);
    entry_set(&vm.guest, vm.data_va, 3, good & ~(u64)E_P);
    probe_pf(&vm, "so is its P bit", READ, 0);

    /* MOV CR3 finds nothing wrong either: mov cr3, rax; vmmcall, at the place of the read. */
    memcpy(vm.code, "\x0f\x22\xd8\x0f\x01\xd9", 6);
    vm.vmcb->rip = vm.code_va;
    vm.vmcb->rax = vm.guest.root;
    entry_set(&vm.guest, vm.data_va, 3, good | E_RESERVED);
    svm_run(vm.vmcb, &vm.regs);
    expect("MOV CR3 with a reserved bit, nested", vm.vmcb->exit_code, EXIT_VMMCALL);

    vm_init(&vm, FMT_PAE, FMT_NONE);
    good = entry_get(&vm.guest, vm.data_va, 3);
    probe_works(&vm, "without nested paging", READ);
    entry_set(&vm.guest, vm.data_va, 3, good | E_RESERVED);
    expect("a reserved bit makes VMRUN fail", probe(&vm, READ), EXIT_INVALID);
    entry_set(&vm.guest, vm.data_va, 3, E_RESERVED);
    probe_pf(&vm, "but not in one that is not present", READ, 0);
    memcpy(vm.code, "\x0f\x22\xd8\x0f\x01\xd9", 6);
    vm.vmcb->rip = vm.code_va;
    vm.vmcb->rax = vm.guest.root;
    *(u64 *)(uintptr_t)entry_at(&vm.guest, vm.data_va, 3) = 0;
    /* VMRUN has the four; MOV CR3 reads them again: bad ones by now, written by the guest itself. */
    memcpy(vm.code + 0x40, "\xc7\x07\x01\x00\x00\x00\xc7\x47\x04\x00\x00\x08\x00\x0f\x22\xd8", 16); /* mov [edi], 1; mov [edi+4], 80000h; mov cr3, eax */
    map(&vm.guest, 0x500000, entry_at(&vm.guest, vm.data_va, 3) & ~0xfffull, E_ALL, 1);
    vm.regs.rdi = 0x500000 | (entry_at(&vm.guest, vm.data_va, 3) & 0xfff);
    vm.vmcb->rip = vm.code_va + 0x40;
    svm_run(vm.vmcb, &vm.regs);
    expect("MOV CR3 with a reserved bit: #GP", vm.vmcb->exit_code, EXIT_EXCP0 + 13);
    section_end();
}

/* Root of the nested tables anywhere in the physical address space. An address without memory reads as ones: reserved bits. */
static void odd_roots(void)
{
    u64 limit = 1ull << cpu_phys_bits(), top = 32ull << 20; /* memory as run_svm.sh gives it */
    const u64 holes[] = { top, 0xd0000000, limit - PAGE_SIZE };
    u64 entry, *last = (u64 *)(uintptr_t)(top - PAGE_SIZE);

    section("nested tables at odd places", NULL, NULL, NULL);
    for (unsigned i = 0; i < 3; i++) {
        vm_init(&vm, FMT_NONE, FMT_4);
        vm.vmcb->nested_cr3 = holes[i];
        expect("root without memory", probe(&vm, READ), EXIT_NPF);
        expect("EXITINFO1", vm.vmcb->exit_info1, NPF_FINAL | PF_P | PF_RSV | PF_U | PF_ID);
        expect("EXITINFO2", vm.vmcb->exit_info2, access_rip(&vm, READ));
        vm_init(&vm, FMT_4, FMT_4);
        vm.vmcb->nested_cr3 = holes[i];
        expect("root without memory", probe(&vm, READ), EXIT_NPF);
        expect("EXITINFO1", vm.vmcb->exit_info1, NPF_WALK | PF_P | PF_RSV | PF_U | PF_W);
        expect("EXITINFO2", vm.vmcb->exit_info2, entry_at(&vm.guest, vm.code_va, 4) + GPA_OFFSET);
    }
    vm_init(&vm, FMT_4, FMT_4);
    vm.vmcb->nested_cr3 = limit;
    expect("root beyond the physical addresses", probe(&vm, READ), EXIT_INVALID);

    vm_init(&vm, FMT_4, FMT_4);
    memcpy(last, (void *)(uintptr_t)vm.nested.root, PAGE_SIZE);
    vm.vmcb->nested_cr3 = top - PAGE_SIZE;
    probe_works(&vm, "root in the last page of memory", READ);
    vm.vmcb->nested_cr3 |= E_PWT | E_PCD;
    probe_works(&vm, "nCR3's PWT and PCD", READ);

    vm_init(&vm, FMT_4, FMT_4); /* a table in the hole, not the root */
    entry = entry_get(&vm.nested, vm.data_gpa, 3);
    entry_set(&vm.nested, vm.data_gpa, 3, 0xd0000000 | E_ALL);
    probe_npf(&vm, "a nested table without memory", WRITE, NPF_FINAL | PF_P | PF_RSV | PF_U | PF_W, access_gpa(&vm, WRITE));
    entry_set(&vm.nested, vm.data_gpa, 3, entry);
    entry_set(&vm.guest, vm.data_va, 2, 0xd0000000 | E_ALL);
    map(&vm.nested, 0xd0000000, 0xd0000000, E_ALL, 1);
    probe_pf(&vm, "a guest table without memory", WRITE, PF_P | PF_RSV | PF_W);

    vm_init(&vm, FMT_NONE, FMT_4); /* PCI configuration space begins with the even number 8086h: not present */
    vm.vmcb->nested_cr3 = 0xe0000000;
    expect("root in a device", probe(&vm, READ), EXIT_NPF);
    expect("EXITINFO1", vm.vmcb->exit_info1, NPF_FINAL | PF_U | PF_ID);
    vm.vmcb->nested_cr3 = 0xfee00000;
    expect("root in the local APIC", probe(&vm, READ), EXIT_NPF);

    vm_init(&vm, FMT_4, FMT_4); /* data, not tables */
    entry_set(&vm.nested, vm.data_gpa, 1, 0xd0000000 | E_ALL);
    expect("data without memory", probe(&vm, READ), EXIT_VMMCALL);
    expect("reads as ones", (u32)vm.regs.rcx, 0xffffffff);
    entry_set(&vm.nested, vm.data_gpa, 1, 0xfee00000 | E_ALL); /* the register at 128h: in-service bits 159:128 */
    expect("data in the local APIC", probe(&vm, READ), EXIT_VMMCALL);
    section_end();
}

/* Guest mode execute trap: nested U/S says who may execute, and no more [APM2 15.25.5]. */
static void gmet(void)
{
    if (!cpu_svm_feature(FEATURE_GMET)) {
        print("GMET: not in this processor\n");
        return;
    }
    section("GMET", NULL, NULL, NULL);
    vm_init(&vm, FMT_4, FMT_4);
    vm.vmcb->nested_ctl |= 1 << 3;
    nested_leaf(0, 0);
    entry_set(&vm.nested, phys(vm.code) + GPA_OFFSET, 1, phys(vm.code) | E_P | E_W);
    probe_npf(&vm, "supervisor, user page", FETCH, NPF_FINAL | PF_P | PF_ID, access_gpa(&vm, FETCH));
    probe_works(&vm, "data does not care", READ);
    nested_leaf(E_U, 0);
    probe_works(&vm, "supervisor, supervisor page", FETCH);
    probe_works(&vm, "data does not care", WRITE);
    ring(3);
    probe_works(&vm, "user, supervisor page", FETCH);
    nested_leaf(0, 0);
    probe_works(&vm, "user, user page", FETCH);
    vm.vmcb->tlb_control = TLB_KEEP; /* the rule is applied to what is in the TLB, too */
    ring(0);
    probe_npf(&vm, "supervisor, user page that a user has executed", FETCH, NPF_FINAL | PF_P | PF_ID, access_gpa(&vm, FETCH));
    ring(3);
    probe_works(&vm, "and the user again", FETCH);
    vm.vmcb->tlb_control = TLB_FLUSH_ALL;
    ring(3);
    nested_leaf(0, E_NX);
    probe_npf(&vm, "NX refuses both", FETCH, NPF_FINAL | PF_P | PF_ID | PF_U, access_gpa(&vm, FETCH));
    section_end();
}

/* Read-only guest page tables: the walk writes only where it must set A or D [APM2 15.25.5]. */
static void rogpt(void)
{
    if (!cpu_svm_feature(FEATURE_ROGPT)) {
        print("ROGPT: not in this processor\n");
        return;
    }
    section("ROGPT", NULL, NULL, NULL);
    vm_init(&vm, FMT_4, FMT_4);
    vm.vmcb->nested_ctl |= 1 << 6;
    probe_works(&vm, "sets A everywhere", READ);
    u64 table = entry_at(&vm.guest, vm.data_va, 1) + GPA_OFFSET;
    entry_set(&vm.nested, table, 1, entry_get(&vm.nested, table, 1) & ~(u64)E_W);
    probe_works(&vm, "nothing to set", READ);
    probe_npf(&vm, "D must be set", WRITE, NPF_WALK | PF_P | PF_W | PF_U, table);
    section_end();
}

void guest_main(void)
{
    svm_enable();
    users();
    write_protection();
    smep_smap();
    no_execute();
    page_sizes();
    pae_pointers();
    odd_roots();
    gmet();
    rogpt();
}
