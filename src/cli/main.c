// SPDX-License-Identifier: MIT
/* svmemu: commands. */
#include "cli/cli.h"

#include <string.h>

static void print_missing(void *ctx, const char *name, const char *text)
{
    (void)ctx;
    printf("    %-20s %s\n", name ? name : "", text ? text : "");
}

static int list_cpus(int argc, char **argv)
{
    bool missing = argc > 1 && !strcmp(argv[1], "--missing");
    if (argc > 2 || (argc == 2 && !missing)) {
        fputs("svmemu: usage: svmemu cpus [--missing]\n", stderr);
        return EXIT_USAGE;
    }
    for (unsigned i = 0; svmemu_profile_name(i); i++) {
        printf("%-12s %s\n", svmemu_profile_name(i), svmemu_profile_text(i));
        if (missing)
            svmemu_profile_missing(i, print_missing, NULL);
    }
    return 0;
}

int main(int argc, char **argv)
{
    const char *cmd = argc > 1 ? argv[1] : "";
    struct options o;
    int status;
    if (!strcmp(cmd, "--help") || !strcmp(cmd, "-h") || !strcmp(cmd, "help")) {
        print_help(stdout);
        return 0;
    }
    if (!strcmp(cmd, "version") || !strcmp(cmd, "--version")) {
        puts("svmemu " SVMEMU_VERSION);
        return 0;
    }
    if (!strcmp(cmd, "cpus"))
        return list_cpus(argc - 1, argv + 1);
    if (strcmp(cmd, "run") != 0) {
        if (*cmd)
            fprintf(stderr, "svmemu: unknown command \"%s\"\n", cmd);
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (options_parse(&o, argc - 1, argv + 1, &status))
        status = run_guest(&o);
    options_free(&o);
    return status;
}
