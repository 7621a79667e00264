// SPDX-License-Identifier: MIT
/* Options of `svmemu run`. */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

void print_help(FILE *f)
{
    fputs("usage: svmemu run [options] GUEST [-- guest arguments]\n"
          "       svmemu run [options] --firmware FILE [KERNEL [-- kernel arguments]]\n"
          "       svmemu cpus [--missing]\n"
          "       svmemu version | --help\n\n"
          "  -m, --memory SIZE        RAM, with K, M or G (128M)\n"
          "  -c, --vcpus N            processors, 1 to 512 (1); over 255 needs x2APIC\n"
          "      --cpu PROFILE        processor profile, see `svmemu cpus` (zen3)\n"
          "      --cmdline TEXT       kernel command line\n"
          "      --initrd FILE        first module\n"
          "      --module FILE[,ARGS] further module, repeatable\n"
          "      --max-insns N        stop after N instructions\n"
          "      --max-cycles N       stop after N cycles\n"
          "      --timeout SECONDS    stop after host seconds (not reproducible)\n"
          "      --seed N             of RDRAND and RDSEED\n"
          "      --trace              print each instruction and the registers it changed\n"
          "      --trace-exits        print each VMRUN and #VMEXIT\n"
          "      --stats[=json]       print counts at the end, to standard error\n"
          "      --state-hash         print a hash of registers, memory and time at the end\n"
          "      --engine NAME        full, generic (no specialised handlers), step (no blocks) or walk (no fast\n"
          "                           translations): same results\n"
          "      --firmware FILE      start a firmware image at the reset vector\n"
          "      --firmware-debug     port 402h prints what firmware writes there\n"
          "      --fw-cfg NAME=FILE   a file for the guest in the fw_cfg device, repeatable\n"
          "      --smbios 2.1|3.0     entry point that a firmware is given (2.1)\n"
          "      --break-acpi TABLE   give an ACPI table a wrong checksum: RSDP, RSDT, XSDT, FACP, APIC, HPET, MCFG, DSDT\n"
          "      --no-exit-port       no test device at port F4h\n"
          "      --no-reboot          end when the guest asks for a reset\n"
          "\nOn a terminal Ctrl-A x ends, Ctrl-A h lists the other keys. Exit statuses: see svmemu(1).\n",
          f);
}

static bool bad(const char *fmt, const char *what)
{
    fputs("svmemu: ", stderr);
    fprintf(stderr, fmt, what);
    fputc('\n', stderr);
    return false;
}

static bool number(const char *opt, const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    char *end;
    errno = 0;
    if (text[0] < '0' || text[0] > '9')
        return bad("--%s needs a number", opt);
    *out = strtoull(text, &end, 0);
    if (*end || errno || *out < min || *out > max)
        return bad("the number given to --%s is malformed or out of range", opt);
    return true;
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

enum { OPT_CPU = 256, OPT_CMDLINE, OPT_INITRD, OPT_MODULE, OPT_INSNS, OPT_CYCLES, OPT_TIMEOUT, OPT_TRACE, OPT_EXITS, OPT_STATS, OPT_NOPORT,
       OPT_NOREBOOT, OPT_SEED, OPT_HASH, OPT_ENGINE, OPT_FIRMWARE, OPT_FWDEBUG,
       OPT_FWCFG, OPT_SMBIOS, OPT_BREAK };

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

static bool append(struct options *o, const char *text)
{
    size_t n = o->cmdline ? strlen(o->cmdline) + 1 : 0;
    char *p = realloc(o->cmdline, n + strlen(text) + 1);
    if (!p)
        return bad("no memory for %s", "the command line");
    if (n)
        p[n - 1] = ' ';
    strcpy(p + n, text);
    o->cmdline = p;
    return true;
}

static bool seconds(const char *text, double *out)
{
    char *end;
    *out = strtod(text, &end);
    return (*text && !*end && *out > 0 && *out < 1e9) || bad("--timeout: \"%s\" is not a number of seconds", text);
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
    case OPT_STATS:
        if (optarg && strcmp(optarg, "json") != 0 && strcmp(optarg, "text") != 0)
            return bad("--stats=%s: only text and json are known", optarg);
        o->stats = optarg && !strcmp(optarg, "json") ? STATS_JSON : STATS_TEXT;
        return true;
    case OPT_NOPORT: o->machine.flags &= ~(unsigned)SVMEMU_EXIT_PORT; return true;
    case OPT_FIRMWARE: o->firmware = optarg; return true;
    case OPT_FWDEBUG: o->machine.flags |= SVMEMU_FIRMWARE_DEBUG; return true;
    case OPT_FWCFG: return add_fw_file(o, optarg);
    case OPT_SMBIOS:
        o->machine.flags = (o->machine.flags & ~(unsigned)SVMEMU_SMBIOS_3) | (!strcmp(optarg, "3.0") ? SVMEMU_SMBIOS_3 : 0);
        return !strcmp(optarg, "2.1") || !strcmp(optarg, "3.0") || bad("--smbios %s: only 2.1 and 3.0 are known", optarg);
    case OPT_BREAK: o->machine.broken_acpi = optarg; return true;
    case OPT_NOREBOOT: o->no_reboot = true; return true;
    default: return false; /* getopt has printed why */
    }
}

bool options_parse(struct options *o, int argc, char **argv, int *status)
{
    static const struct option longs[] = {
        { "memory", 1, NULL, 'm' }, { "vcpus", 1, NULL, 'c' }, { "cpu", 1, NULL, OPT_CPU }, { "cmdline", 1, NULL, OPT_CMDLINE },
        { "initrd", 1, NULL, OPT_INITRD }, { "module", 1, NULL, OPT_MODULE }, { "max-insns", 1, NULL, OPT_INSNS },
        { "max-cycles", 1, NULL, OPT_CYCLES }, { "timeout", 1, NULL, OPT_TIMEOUT }, { "trace", 0, NULL, OPT_TRACE },
        { "trace-exits", 0, NULL, OPT_EXITS }, { "stats", 2, NULL, OPT_STATS }, { "no-exit-port", 0, NULL, OPT_NOPORT },
        { "no-reboot", 0, NULL, OPT_NOREBOOT }, { "seed", 1, NULL, OPT_SEED },
        { "state-hash", 0, NULL, OPT_HASH }, { "engine", 1, NULL, OPT_ENGINE }, { "firmware", 1, NULL, OPT_FIRMWARE },
        { "firmware-debug", 0, NULL, OPT_FWDEBUG }, { "fw-cfg", 1, NULL, OPT_FWCFG }, { "smbios", 1, NULL, OPT_SMBIOS },
        { "break-acpi", 1, NULL, OPT_BREAK }, { "help", 0, NULL, 'h' }, { NULL, 0, NULL, 0 },
    };
    int c;
    *o = (struct options){ .max_insns = SVMEMU_NO_LIMIT, .max_cycles = SVMEMU_NO_LIMIT };
    o->machine.flags = SVMEMU_PC | SVMEMU_EXIT_PORT;
    *status = EXIT_USAGE;
    optind = 1;
    while ((c = getopt_long(argc, argv, "+m:c:h", longs, NULL)) != -1) {
        if (c == 'h') {
            print_help(stdout);
            *status = 0;
            return false;
        }
        if (!one(o, c))
            return false;
    }
    if (o->firmware && optind >= argc)
        return true;
    if (optind >= argc)
        return bad("%s", "no guest was given; see svmemu --help");
    o->guest = argv[optind++];
    if (optind < argc && strcmp(argv[optind], "--") != 0)
        return bad("unexpected argument \"%s\"; options stand before the guest, its arguments after --", argv[optind]);
    for (int i = optind + 1; i < argc; i++)
        if (!append(o, argv[i]))
            return false;
    o->load.cmdline = o->cmdline;
    o->load.modules = o->modules;
    return true;
}

void options_free(struct options *o)
{
    free(o->cmdline);
}
