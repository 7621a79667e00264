// SPDX-License-Identifier: MIT
/* bits: 32 64 */
/* run: --cpu max */
/* also: barcelona */
/* Nested paging: every host mode times every guest mode, each way in which an entry of either level can refuse an access, with the
 * error code bit by bit, and who wins when both refuse [APM2 15.25.5, 15.25.6]. */
#include "vm.h"

/* Ways to spoil an entry: bits to clear, bits to set, the error code's bits P and RSV, and which accesses it refuses. */
enum { R = 1 << READ, W = 1 << WRITE, X = 1 << FETCH, ANY = R | W | X };
struct flaw {
    const char *what;
    u64 clear, set;
    u8 refuses, error;
};
static const struct flaw flaws[] = {
    { "not present", E_P, 0, ANY, 0 },
    { "read-only", E_W, 0, W, PF_P },
    { "supervisor", E_U, 0, ANY, PF_P }, /* of nested entries only: the guest runs at CPL 0 */
    { "no-execute", 0, E_NX, X, PF_P },
    { "reserved bit", 0, E_RESERVED, ANY, PF_P | PF_RSV },
};
enum { NOT_PRESENT, READ_ONLY, SUPERVISOR, NO_EXECUTE, RESERVED, FLAWS };

static struct vm vm;

/* Pointers of legacy PAE have no rights to take away; 32-bit entries have neither NX nor reserved bits. */
static bool flaw_exists(enum format f, unsigned level, unsigned flaw)
{
    if (flaw == NOT_PRESENT)
        return true;
    if (f == FMT_PAE && level == 3)
        return flaw == RESERVED;
    return flaw < NO_EXECUTE || format_has_nx(f);
}

static u64 spoil(struct tables *t, u64 va, unsigned level, unsigned flaw)
{
    u64 old = entry_get(t, va, level);
    entry_set(t, va, level, (old & ~flaws[flaw].clear) | flaws[flaw].set);
    return old;
}

static u64 kind_bits(enum access a, enum format f)
{
    return (a == WRITE ? PF_W : 0) | (a == FETCH && format_has_nx(f) ? PF_ID : 0); /* ID only where NX is on */
}

/* Nothing refuses: all accesses work, and A and D are set where they must be. A read sets no D in the final page's entries, but the tables
 * of the guest are data that the processor writes [APM2 15.25.5]. */
static void all_is_allowed(void)
{
    unsigned levels = format_levels(vm.format), leaf = vm.format == FMT_PSE ? 2 : 1;

    for (enum access a = READ; a < ACCESSES; a++) {
        u64 dirty = a == WRITE ? E_A | E_D : E_A;
        entry_set(&vm.nested, vm.data_gpa, 1, entry_get(&vm.nested, vm.data_gpa, 1) & ~(u64)(E_A | E_D));
        for (unsigned l = leaf; l <= levels; l++)
            entry_set(&vm.guest, vm.data_va, l, entry_get(&vm.guest, vm.data_va, l) & ~(u64)(E_A | E_D));
        probe_works(&vm, access_name[a], a);
        expect("A and D of the nested entry", entry_get(&vm.nested, vm.data_gpa, 1) & (E_A | E_D), dirty);
        for (unsigned l = leaf; l <= levels; l++) {
            bool pointer = vm.format == FMT_PAE && l == 3;
            u64 table = entry_at(&vm.guest, vm.data_va, l) + vm.guest.offset;
            expect("A and D of the guest's entry", entry_get(&vm.guest, vm.data_va, l) & (E_A | (l == leaf ? E_D : 0)),
                   pointer ? 0 : l == leaf ? dirty : E_A);
            expect("A and D of the nested entry of a guest table", entry_get(&vm.nested, table, 1) & (E_A | E_D), E_A | E_D);
        }
    }
}

/* The final page, refused at each nested level that is its own. */
static void final_page(void)
{
    unsigned top = vm.nested.format == FMT_32 ? 2 : vm.data_gpa >> 32 ? 4 : 3;

    for (unsigned level = 1; level <= top; level++) {
        for (unsigned f = 0; f < FLAWS; f++) {
            if (!flaw_exists(vm.nested.format, level, f))
                continue;
            u64 old = spoil(&vm.nested, vm.data_gpa, level, f);
            for (enum access a = READ; a < ACCESSES; a++) {
                if (flaws[f].refuses & 1 << a)
                    probe_npf(&vm, flaws[f].what, a, NPF_FINAL | PF_U | flaws[f].error | kind_bits(a, vm.nested.format), access_gpa(&vm, a));
                else
                    probe_works(&vm, flaws[f].what, a);
            }
            entry_set(&vm.nested, vm.data_gpa, level, old);
        }
    }
}

/* The page of one of the guest's tables: always a user's data write, whatever the guest does. */
static void table_pages(void)
{
    unsigned top = format_levels(vm.format);

    for (unsigned level = vm.format == FMT_PSE ? 2 : 1; level <= top; level++) {
        u64 entry = entry_at(&vm.guest, level == top ? vm.code_va : vm.data_va, level) + vm.guest.offset;
        for (unsigned f = 0; f < FLAWS; f++) {
            if (!flaw_exists(vm.nested.format, 1, f))
                continue;
            u64 old = spoil(&vm.nested, entry, 1, f);
            for (enum access a = READ; a < ACCESSES; a++) {
                if (f == NO_EXECUTE)
                    probe_works(&vm, "tables in a no-execute page", a);
                else
                    probe_npf(&vm, flaws[f].what, a, NPF_WALK | PF_U | PF_W | flaws[f].error, entry);
            }
            entry_set(&vm.nested, entry, 1, old);
        }
    }
}

static bool spoils_for(unsigned flaw, enum access a)
{
    return flaw != SUPERVISOR && (flaws[flaw].refuses & 1 << a);
}

/* The guest's own entries; its final page and lower tables may be refused as well, which nobody learns. */
static void guest_entries(void)
{
    unsigned leaf = vm.format == FMT_PSE ? 2 : 1;

    for (unsigned level = leaf; level <= format_levels(vm.format); level++) {
        for (unsigned f = 0; f < FLAWS; f++) {
            if (!flaw_exists(vm.format, level, f))
                continue;
            u64 lower = level > leaf ? entry_at(&vm.guest, vm.data_va, level - 1) + vm.guest.offset : 0;
            u64 old = spoil(&vm.guest, vm.data_va, level, f);
            for (enum access a = READ; a < ACCESSES; a++) {
                u64 error = flaws[f].error | kind_bits(a, vm.format);
                if (!spoils_for(f, a)) {
                    probe_works(&vm, flaws[f].what, a);
                    continue;
                }
                probe_pf(&vm, flaws[f].what, a, error);
                u64 nested = spoil(&vm.nested, vm.data_gpa, 1, NOT_PRESENT);
                probe_pf(&vm, "the guest's fault comes before that of the final page", a, error);
                entry_set(&vm.nested, vm.data_gpa, 1, nested);
                if (!lower)
                    continue;
                nested = spoil(&vm.nested, lower, 1, NOT_PRESENT);
                if (f == NOT_PRESENT || f == RESERVED)
                    probe_pf(&vm, "and before that of a lower table", a, error);
                else /* rights are judged when the walk is complete */
                    probe_npf(&vm, "rights wait for the lower table", a, NPF_WALK | PF_U | PF_W, lower);
                entry_set(&vm.nested, lower, 1, nested);
            }
            entry_set(&vm.guest, vm.data_va, level, old);
        }
    }
    if (leaf == format_levels(vm.format))
        return;
    u64 table = entry_at(&vm.guest, vm.data_va, leaf) + vm.guest.offset;
    u64 old = spoil(&vm.guest, vm.data_va, leaf, NOT_PRESENT), nested = spoil(&vm.nested, table, 1, READ_ONLY);
    probe_npf(&vm, "a table's nested fault comes before the guest's faults in it", READ, NPF_WALK | PF_U | PF_W | PF_P, table);
    entry_set(&vm.guest, vm.data_va, leaf, old);
    entry_set(&vm.nested, table, 1, nested);
}

void guest_main(void)
{
    svm_enable();
    for (enum format host = FMT_32; host < FORMATS; host++) {
        if (!host_paging(host))
            continue;
        for (enum format guest = FMT_NONE; guest < FORMATS; guest++) {
            if (guest == FMT_5 && !cpu_has_la57())
                continue;
            section("host", format_name(host), "guest", format_name(guest));
            vm_init(&vm, guest, host);
            all_is_allowed();
            final_page();
            if (guest != FMT_NONE) {
                table_pages();
                guest_entries();
            }
            section_end();
        }
    }
}
