/* SPDX-License-Identifier: MIT */
/*
 * The command line.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "control/control.h"
#include "net/tls.h"

#include <weir/module.h>

static void usage(FILE *to)
{
    fputs("Usage: weir [-c FILE] [-t] [-V] [--options [MODULE]] [--release-module MODULE]\n"
          "An L7 load balancer that runs in the foreground.\n\n"
          "  -c FILE             configuration (default: " WEIR_SYSCONFDIR "/weir.conf);\n"
          "                      conf.d/*.conf beside it is read as well\n"
          "  -t                  check the configuration and exit: 0 right, 1 wrong\n"
          "  -V                  print the version and exit\n"
          "  --options [MODULE]  print all options, the core's or a module's\n"
          "  --release-module MODULE\n"
          "                      end the quarantine of a module that Weir has died in, and exit;\n"
          "                      where Weir runs, weirctl module release MODULE does it\n"
          "  -h                  print this\n\n"
          "Signals: HUP reloads, TERM drains and ends, INT ends at once, USR1 opens log\n"
          "files again, USR2 logs statistics.\n",
          to);
}

/* A log on standard error must not end up in what was opened in its place. */
static void open_standard(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", O_RDWR) == -1) {
            exit(1);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"test", no_argument, NULL, 't'},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {"options", no_argument, NULL, 'o'},
        {"release-module", required_argument, NULL, 'r'},
        {NULL, 0, NULL, 0},
    };
    const char *path = WEIR_SYSCONFDIR "/weir.conf";
    const char *released = NULL;
    bool check = false;
    bool print_options = false;
    int c;

    open_standard();
    while ((c = getopt_long(argc, argv, "c:tVh", options, NULL)) != -1) {
        switch (c) {
        case 'c': path = optarg; break;
        case 't': check = true; break;
        case 'V':
            printf("weir %s (module ABI %d.%d)\n", PACKAGE_VERSION, WEIR_ABI_MAJOR, WEIR_ABI_MINOR);
            return 0;
        case 'h': usage(stdout); return 0;
        case 'o': print_options = true; break;
        case 'r': released = optarg; break;
        default: usage(stderr); return 2;
        }
    }
    if (print_options && argc - optind <= 1) {
        int result = control_print_options(path, argv[optind]);
        log_stop();
        return result;
    }
    if (optind < argc) {
        fprintf(stderr, "weir: \"%s\" is not expected here\n", argv[optind]);
        usage(stderr);
        return 2;
    }
    int code = released != NULL ? control_release_module(path, released)
               : check          ? control_check(path)
                                : control_run(path);
    log_stop();
    return code;
}
