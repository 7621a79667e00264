// SPDX-License-Identifier: MIT
/* Options of `svmemu run`. */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void print_help(FILE *f)
{
    fputs("usage: svmemu run [options] GUEST [options] [-- guest arguments]\n"
          "       svmemu run [options] --firmware FILE [KERNEL [-- kernel arguments]]\n"
          "       svmemu cpus [--missing]\n"
          "       svmemu version | --help\n\n"
          "  -m, --memory SIZE        RAM, with K, M or G (128M)\n"
          "  -c, --vcpus N            processors, 1 to 512 (1); over 255 needs x2APIC\n"
          "      --cpu PROFILE        processor profile, see `svmemu cpus` (zen3)\n"
          "      --cmdline TEXT       kernel command line, also --append\n"
          "      --initrd FILE        first module\n"
          "      --module FILE[,ARGS] further module, repeatable\n"
          "      --entry NAME         start by multiboot, multiboot2, pvh, linux64, linux32, linux16 or elf (auto: the\n"
          "                           first that the guest has)\n"
          "      --setup-data TYPE,FILE  setup data for the Linux boot protocol, repeatable\n"
          "      --symbols FILE       ELF file whose symbols name addresses in messages, beside the guest's own, and whose unwind data\n"
          "                           makes back traces; repeatable\n"
          "      --max-insns N        stop after N instructions\n"
          "      --max-cycles N       stop after N cycles\n"
          "      --timeout SECONDS    stop after host seconds (not reproducible)\n"
          "      --seed N             of RDRAND and RDSEED\n"
          "      --trace              print each instruction and the registers it changed\n"
          "      --trace-exits        print a line for each VMRUN and #VMEXIT\n"
          "      --explain            print what each #VMEXIT means, and why a VMRUN was refused\n"
          "      --dump-vmcb[=WHEN]   print VMCBs by field: end, invalid (VMRUN refused), exit (what\n"
          "                           changed since VMRUN); a list with commas (invalid,end)\n"
          "      --stats[=text|json[:FILE]]  print counts at the end, to standard error or a file\n"
          "      --state-hash         print a hash of registers, memory and time at the end\n"
          "      --engine NAME        full, generic (no specialised handlers), step (no blocks) or walk (no fast\n"
          "                           translations): same results\n"
          "      --firmware FILE      start a firmware image at the reset vector\n"
          "      --firmware-debug     port 402h prints what firmware writes there\n"
          "      --fw-cfg NAME=FILE   a file for the guest in the fw_cfg device, repeatable\n"
          "      --smbios 2.1|3.0     entry point that a firmware is given (2.1)\n"
          "      --break-acpi TABLE   give an ACPI table a wrong checksum: RSDP, RSDT, XSDT, FACP, APIC, HPET, MCFG, DSDT\n"
          "      --serial TARGET      connects COM1, the next one COM2, to COM4: stdio, raw, null, none, file:PATH, unix:PATH,\n"
          "                           tcp:HOST:PORT; with ,input=FILE or ,script=FILE (COM1 is stdio)\n"
          "      --dump-screen[=FILE] print the VGA text page at the end\n"
          "      --test-device        QEMU's test device: F4h, E0h-E7h, 2000h-2017h, FF000000h (on for Multiboot guests)\n"
          "      --no-test-device     none, but the exit port F4h\n"
          "      --no-exit-port       neither\n"
          "      --no-reboot          end when the guest asks for a reset\n"
          "\nOn a terminal Ctrl-A x ends, Ctrl-A h lists the other keys. Exit statuses: see svmemu(1).\n",
          f);
}

__attribute__((format(printf, 1, 2))) static bool bad(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("svmemu: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    return false;
}

static bool number(const char *opt, const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 0);
    if (text[0] >= '0' && text[0] <= '9' && !*end && !errno && *out >= min && *out <= max)
        return true;
    return bad("--%s %s: a whole number from %" PRIu64 " to %" PRIu64 " is wanted", opt, text, min, max);
}

static bool size(const char *text, uint64_t *out)
{
    char *end;
    unsigned shift = 0;
    errno = 0;
    if (text[0] < '0' || text[0] > '9')
        return bad("--memory: \"%s\" is not a size", text);
    *out = strtoull(text, &end, 0);
    switch (*end) {
    case 'K': case 'k': shift = 10; end++; break;
    case 'M': case 'm': shift = 20; end++; break;
    case 'G': case 'g': shift = 30; end++; break;
    default: break;
    }
    if (*end || errno || !*out || *out > (1ull << 40) >> shift)
        return bad("--memory: \"%s\" is malformed or out of range (2M to 1024G)", text);
    *out <<= shift;
    if (*out < 2u << 20 || (*out & 4095))
        return bad("--memory: \"%s\" must be at least 2M and a multiple of 4K", text);
    return true;
}

static bool add_module(struct options *o, char *text, bool first)
{
    char *comma = first ? NULL : strchr(text, ',');
    if (o->load.module_count == MAX_MODULES)
        return bad("too many modules: %s", text);
    if (comma)
        *comma++ = 0;
    if (first) /* the initrd stands before all modules */
        memmove(o->modules + 1, o->modules, o->load.module_count * sizeof(o->modules[0]));
    o->modules[first ? 0 : o->load.module_count] = (struct svmemu_module){ .path = text, .args = comma };
    o->load.module_count++;
    return true;
}

enum { OPT_CPU = 256, OPT_CMDLINE, OPT_INITRD, OPT_MODULE, OPT_INSNS, OPT_CYCLES, OPT_TIMEOUT, OPT_TRACE, OPT_EXITS, OPT_EXPLAIN, OPT_DUMP, OPT_STATS, OPT_NOPORT,
       OPT_NOREBOOT, OPT_SEED, OPT_HASH, OPT_ENGINE, OPT_FIRMWARE, OPT_FWDEBUG,
       OPT_FWCFG, OPT_SMBIOS, OPT_BREAK, OPT_ENTRY, OPT_SETUP_DATA, OPT_TESTDEV, OPT_NOTESTDEV, OPT_SERIAL, OPT_SCREEN, OPT_SYMBOLS };

static bool add_fw_file(struct options *o, char *text)
{
    char *equals = strchr(text, '=');
    if (!equals || equals == text || !equals[1])
        return bad("--fw-cfg %s: NAME=FILE is wanted", text);
    if (o->fw_files == MAX_FW_FILES)
        return bad("too many fw_cfg files: %s", text);
    *equals = 0;
    o->fw_file[o->fw_files].name = text;
    o->fw_file[o->fw_files++].path = equals + 1;
    return true;
}

static bool is_console(const char *target) { return !strncmp(target, "stdio", 5) || !strncmp(target, "raw", 3); }

static bool add_serial(struct options *o, const char *target)
{
    if (o->serials == MAX_SERIAL)
        return bad("--serial %s: there are four ports", target);
    for (unsigned i = 0; i < o->serials; i++)
        if (is_console(target) && is_console(o->serial[i]))
            return bad("--serial %s: only one port can have the console", target);
    o->serial[o->serials++] = target;
    return true;
}

/* COM1 is the console unless told otherwise; ports that are not named do not exist. */
static void choose_serials(struct options *o)
{
    if (!o->serials)
        o->serial[o->serials++] = "stdio";
    for (unsigned i = 0; i < o->serials; i++)
        if (strcmp(o->serial[i], "none") != 0)
            o->machine.serial_ports |= 1u << i;
    if (!o->machine.serial_ports)
        o->machine.flags |= SVMEMU_NO_SERIAL;
}

static bool append(struct options *o, const char *text)
{
    size_t n = o->cmdline ? strlen(o->cmdline) + 1 : 0;
    char *p = realloc(o->cmdline, n + strlen(text) + 1);
    if (!p)
        return bad("no memory for the command line");
    if (n)
        p[n - 1] = ' ';
    strcpy(p + n, text);
    o->cmdline = p;
    return true;
}

static bool entry(const char *text, enum svmemu_entry *out)
{
    static const char *const names[] = { "auto", "multiboot", "multiboot2", "pvh", "linux64", "linux32", "linux16", "elf" };
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!strcmp(text, names[i])) {
            *out = (enum svmemu_entry)i;
            return true;
        }
    return bad("--entry %s: only auto, multiboot, multiboot2, pvh, linux64, linux32, linux16 and elf are known", text);
}

/* TYPE,FILE */
static bool setup_data(struct options *o, const char *text)
{
    char *end;
    struct svmemu_setup_data *sd = &o->setup_data[o->load.setup_data_count];
    unsigned char *p = NULL;
    errno = 0;
    unsigned long type = strtoul(text, &end, 0);
    if (text[0] < '0' || text[0] > '9' || *end != ',' || errno || type > UINT32_MAX)
        return bad("--setup-data %s: a number, a comma and a file are needed", text);
    if (o->load.setup_data_count == MAX_SETUP_DATA)
        return bad("too much setup data: %s", text);
    FILE *f = fopen(end + 1, "rb");
    size_t n = 0;
    if (f) {
        p = malloc(SETUP_DATA_LEN_MAX + 1);
        n = p ? fread(p, 1, SETUP_DATA_LEN_MAX + 1, f) : 0;
    }
    bool ok = f && p && !ferror(f) && n <= SETUP_DATA_LEN_MAX;
    if (f)
        fclose(f);
    if (!ok) {
        free(p);
        return bad("--setup-data: %s cannot be read or has more than 64 KiB", end + 1);
    }
    *sd = (struct svmemu_setup_data){ .type = (uint32_t)type, .data = p, .len = n };
    o->load.setup_data_count++;
    return true;
}

static bool stats(const char *arg, struct options *o)
{
    size_t form = strcspn(arg, ":");
    bool json = form == 4 && !strncmp(arg, "json", form), text = form == 4 && !strncmp(arg, "text", form);
    if ((!json && !text) || (arg[form] && !arg[form + 1]))
        return bad("--stats=%s: only text and json are known, each with :FILE or without", arg);
    o->stats = json ? STATS_JSON : STATS_TEXT;
    o->stats_file = arg[form] ? arg + form + 1 : NULL;
    return true;
}

static bool seconds(const char *text, double *out)
{
    char *end;
    *out = strtod(text, &end);
    return (*text && !*end && *out > 0 && *out < 1e9) || bad("--timeout: \"%s\" is not a number of seconds", text);
}

static bool dump_when(const char *text, unsigned *out)
{
    static const struct { const char *name; unsigned when; } list[] = { { "end", DUMP_END }, { "invalid", DUMP_INVALID }, { "exit", DUMP_EXIT } };
    for (const char *at = text;; at++) {
        size_t n = strcspn(at, ","), i = 0;
        while (i < 3 && (strlen(list[i].name) != n || strncmp(at, list[i].name, n) != 0))
            i++;
        if (i == 3)
            return bad("--dump-vmcb=%s: only end, invalid and exit are known", text);
        *out |= list[i].when;
        at += n;
        if (!*at)
            return true;
    }
}

static bool one(struct options *o, int c)
{
    uint64_t n = 0;
    switch (c) {
    case 'm': return size(optarg, &o->machine.memory);
    case 'c':
        if (!number("vcpus", optarg, 1, 512, &n))
            return false;
        o->machine.vcpus = (unsigned)n;
        return true;
    case OPT_CPU: o->machine.cpu = optarg; return true;
    case OPT_CMDLINE: return append(o, optarg);
    case OPT_ENTRY: return entry(optarg, &o->load.entry);
    case OPT_SYMBOLS:
        if (o->symbol_files == MAX_SYMBOL_FILES)
            return bad("too many symbol files: %s", optarg);
        o->symbols[o->symbol_files++] = optarg;
        return true;
    case OPT_SETUP_DATA: return setup_data(o, optarg);
    case OPT_INITRD: return add_module(o, optarg, true);
    case OPT_MODULE: return add_module(o, optarg, false);
    case OPT_INSNS: return number("max-insns", optarg, 1, UINT64_MAX, &o->max_insns);
    case OPT_CYCLES: return number("max-cycles", optarg, 1, UINT64_MAX, &o->max_cycles);
    case OPT_HASH: o->state_hash = true; return true;
    case OPT_ENGINE:
        o->machine.generic_only = !strcmp(optarg, "generic");
        o->machine.blocks_off = !strcmp(optarg, "step");
        o->machine.fast_off = !strcmp(optarg, "walk");
        return o->machine.generic_only || o->machine.blocks_off || o->machine.fast_off || !strcmp(optarg, "full") ||
               bad("--engine %s: only full, generic, step and walk are known", optarg);
    case OPT_SEED: return number("seed", optarg, 0, UINT64_MAX, &o->machine.seed);
    case OPT_TIMEOUT: return seconds(optarg, &o->timeout);
    case OPT_TRACE: o->trace = true; return true;
    case OPT_EXITS: o->trace_exits = true; return true;
    case OPT_EXPLAIN: o->explain = true; return true;
    case OPT_DUMP: return dump_when(optarg ? optarg : "invalid,end", &o->dump_vmcb);
    case OPT_STATS:
        return stats(optarg ? optarg : "text", o);
    case OPT_SERIAL: return add_serial(o, optarg);
    case OPT_SCREEN: o->screen = optarg ? optarg : ""; return true;
    case OPT_TESTDEV: o->machine.flags |= SVMEMU_TEST_DEVICE; return true;
    case OPT_NOPORT: o->machine.flags &= ~(unsigned)SVMEMU_EXIT_PORT; __attribute__((fallthrough));
    case OPT_NOTESTDEV: o->machine.flags &= ~(unsigned)(SVMEMU_TEST_DEVICE | SVMEMU_TEST_DEVICE_AUTO); return true;
    case OPT_FIRMWARE: o->firmware = optarg; return true;
    case OPT_FWDEBUG: o->machine.flags |= SVMEMU_FIRMWARE_DEBUG; return true;
    case OPT_FWCFG: return add_fw_file(o, optarg);
    case OPT_SMBIOS:
        o->machine.flags = (o->machine.flags & ~(unsigned)SVMEMU_SMBIOS_3) | (!strcmp(optarg, "3.0") ? SVMEMU_SMBIOS_3 : 0);
        return !strcmp(optarg, "2.1") || !strcmp(optarg, "3.0") || bad("--smbios %s: only 2.1 and 3.0 are known", optarg);
    case OPT_BREAK: o->machine.broken_acpi = optarg; return true;
    case OPT_NOREBOOT: o->no_reboot = true; return true;
    default: return bad("see svmemu --help"); /* getopt has printed why */
    }
}

bool options_parse(struct options *o, int argc, char **argv, int *status)
{
    static const struct option longs[] = {
        { "memory", 1, NULL, 'm' }, { "vcpus", 1, NULL, 'c' }, { "cpu", 1, NULL, OPT_CPU }, { "cmdline", 1, NULL, OPT_CMDLINE },
        { "append", 1, NULL, OPT_CMDLINE }, { "entry", 1, NULL, OPT_ENTRY }, { "setup-data", 1, NULL, OPT_SETUP_DATA },
        { "symbols", 1, NULL, OPT_SYMBOLS },
        { "initrd", 1, NULL, OPT_INITRD }, { "module", 1, NULL, OPT_MODULE }, { "max-insns", 1, NULL, OPT_INSNS },
        { "max-cycles", 1, NULL, OPT_CYCLES }, { "timeout", 1, NULL, OPT_TIMEOUT }, { "trace", 0, NULL, OPT_TRACE },
        { "trace-exits", 0, NULL, OPT_EXITS }, { "explain", 0, NULL, OPT_EXPLAIN }, { "dump-vmcb", 2, NULL, OPT_DUMP }, { "stats", 2, NULL, OPT_STATS }, { "no-exit-port", 0, NULL, OPT_NOPORT },
        { "no-reboot", 0, NULL, OPT_NOREBOOT }, { "seed", 1, NULL, OPT_SEED },
        { "state-hash", 0, NULL, OPT_HASH }, { "engine", 1, NULL, OPT_ENGINE }, { "firmware", 1, NULL, OPT_FIRMWARE },
        { "firmware-debug", 0, NULL, OPT_FWDEBUG }, { "fw-cfg", 1, NULL, OPT_FWCFG }, { "smbios", 1, NULL, OPT_SMBIOS },
        { "break-acpi", 1, NULL, OPT_BREAK }, { "serial", 1, NULL, OPT_SERIAL }, { "dump-screen", 2, NULL, OPT_SCREEN },
        { "test-device", 0, NULL, OPT_TESTDEV }, { "no-test-device", 0, NULL, OPT_NOTESTDEV }, { "help", 0, NULL, 'h' }, { NULL, 0, NULL, 0 },
    };
    int c;
    *o = (struct options){ .max_insns = SVMEMU_NO_LIMIT, .max_cycles = SVMEMU_NO_LIMIT };
    o->machine.flags = SVMEMU_PC | SVMEMU_EXIT_PORT | SVMEMU_TEST_DEVICE_AUTO;
    *status = EXIT_USAGE;
    optind = 1;
    argv[0] = (char[]){ "svmemu" }; /* what getopt's messages begin with */
    while ((c = getopt_long(argc, argv, "-m:c:h", longs, NULL)) != -1) { /* "-": words that are no options arrive in order, as 1 */
        if (c == 'h') {
            print_help(stdout);
            *status = 0;
            return false;
        }
        if (c == 1 && o->guest)
            return bad("unexpected argument \"%s\"; the guest's arguments stand after --", optarg);
        if (c == 1)
            o->guest = optarg;
        else if (!one(o, c))
            return false;
    }
    choose_serials(o);
    if (!o->guest && optind < argc) { /* -- GUEST [-- arguments]: a name that begins with a dash */
        o->guest = argv[optind++];
        optind += optind < argc && !strcmp(argv[optind], "--");
    }
    if (!o->guest && o->firmware)
        return true;
    if (!o->guest)
        return bad("no guest was given; see svmemu --help");
    for (int i = optind; i < argc; i++)
        if (!append(o, argv[i]))
            return false;
    o->load.cmdline = o->cmdline;
    o->load.modules = o->modules;
    o->load.setup_data = o->setup_data;
    return true;
}

void options_free(struct options *o)
{
    free(o->cmdline);
    for (unsigned i = 0; i < o->load.setup_data_count; i++)
        free((void *)(uintptr_t)o->setup_data[i].data);
}
