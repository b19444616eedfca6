/* SPDX-License-Identifier: MIT */
/*
 * Checking a module's file: weir-module-check does it, in the place of this process. It has the
 * fake host and the module's code in it, which have no place in the program that holds the
 * operator's token; its exit status and output are the command's.
 */
#include "command.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM "weir-module-check"

/* Beside this program; else wherever the shell would find it. */
static void run_program(const char *const *arguments)
{
    char path[PATH_MAX + sizeof(PROGRAM)];
    ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - 1);
    char *const *list = (char *const *)(uintptr_t)arguments;

    path[len > 0 ? len : 0] = '\0';
    char *slash = strrchr(path, '/');
    if (slash != NULL) {
        memcpy(slash + 1, PROGRAM, sizeof(PROGRAM));
        execv(path, list);
    }
    execvp(PROGRAM, list);
}

enum outcome run_module_check(struct call *call)
{
    static const char *const passed[] = {"conf", "seeds", "seed", "timeout", "sanitize"};
    const char *arguments[2 * COUNT(passed) + 6] = {PROGRAM};
    struct text names[COUNT(passed)] = {{0}};
    size_t count = 1;

    for (size_t i = 0; i < COUNT(passed); i++) {
        const char *value = call_option(call, passed[i]);
        if (value != NULL) {
            text_printf(&names[i], "--%s", passed[i]);
            arguments[count++] = names[i].data;
            arguments[count++] = value;
        }
    }
    if (call->api.json) {
        arguments[count++] = "--json";
    }
    if (call->count > 0) {
        arguments[count++] = "--";
        arguments[count++] = call->words[0];
    } else if (call_option(call, "sanitize") == NULL) {
        return call_misused(call, "name a module's file, or its source by --sanitize");
    }
    fflush(stdout);
    run_program(arguments);
    complain("%s: %s: it is installed with the SDK", PROGRAM, strerror(errno));
    for (size_t i = 0; i < COUNT(passed); i++) {
        text_clear(&names[i]);
    }
    return REFUSED;
}
