// SPDX-License-Identifier: MIT
/* svmemu: commands. */
#include "cli/cli.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* Files that are opened later must not become standard input, output or errors because the caller closed those. */
static void open_standard(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= 2);
    if (fd > 2)
        close(fd);
}

/* Output that is lost is no success. A pipe whose reader has gone had enough. */
static int close_output(int status)
{
    struct pollfd p = { .fd = 1 };
    bool lost = ferror(stdout);
    bool gone = poll(&p, 1, 0) > 0 && (p.revents & POLLERR);
    if (!fclose(stdout) && !lost)
        return status;
    if (gone)
        return status;
    fputs("svmemu: standard output: not all of it could be written\n", stderr);
    return EXIT_USAGE;
}

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

static int command(int argc, char **argv)
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

int main(int argc, char **argv)
{
    open_standard();
    return close_output(command(argc, argv));
}
