/* SPDX-License-Identifier: MIT */
/*
 * A source under sanitizers: built as the manual says, with AddressSanitizer and UBSan, and then
 * checked by this program, which has the sanitizer's library loaded before all others.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define BUILT_SANITIZED true
#else
#define BUILT_SANITIZED false
#endif

static const char build[] =
    "set -e; cc=${CC:-cc}; flags=$(pkg-config --cflags weir-sdk); shared=; "
    "case $($cc --version) in *clang*) shared=-shared-libasan;; esac; "
    "exec $cc $flags -std=gnu11 -g -O1 ${CFLAGS-} -fPIC -fvisibility=hidden "
    "-fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined "
    "$shared ${LDFLAGS-} -shared -o \"$1\" \"$2\" ${LDLIBS-}";

static int run_shell(const char *script, const char *first, const char *second)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", script, "sh", first, second, (char *)NULL);
        _exit(127);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status)
                                                                           : 127;
}

/* The path of the sanitizer's library that the module names; empty: it names none. */
static void find_runtime(const char *module, char *path, size_t size)
{
    struct elf_file elf;
    char command[512] = "";

    path[0] = '\0';
    if (elf_read(&elf, module) == NULL) {
        for (size_t i = 0; i < elf.needed_count; i++) {
            if (strstr(elf.needed[i], "asan") != NULL && strcspn(elf.needed[i], "'") < 200) {
                snprintf(command, sizeof(command), "${CC:-cc} -print-file-name='%.200s'",
                         elf.needed[i]);
            }
        }
    }
    elf_free(&elf);
    FILE *out = command[0] != '\0' ? popen(command, "r") : NULL; /* NOLINT: the compiler is CC */
    if (out != NULL) {
        if (fgets(path, (int)size, out) == NULL) {
            path[0] = '\0';
        }
        path[strcspn(path, "\n")] = '\0';
        pclose(out);
    }
}

bool sanitized(void)
{
    return BUILT_SANITIZED || getenv(SANITIZED) != NULL;
}

static void run_checks(const struct command *command, const char *module)
{
    char seeds[32], seed[32], timeout[32], runtime[4096];
    const char *arguments[16] = {"weir-module-check", "--seeds", seeds, "--seed", seed,
                                 "--timeout",         timeout};
    size_t count = 7;

    snprintf(seeds, sizeof(seeds), "%llu", (unsigned long long)command->seeds);
    snprintf(seed, sizeof(seed), "%llu", (unsigned long long)command->seed);
    snprintf(timeout, sizeof(timeout), "%.3f", (double)command->timeout_ms / 1000);
    if (command->conf != NULL) {
        arguments[count++] = "--conf";
        arguments[count++] = command->conf;
    }
    if (command->json) {
        arguments[count++] = "--json";
    }
    arguments[count++] = module;
    find_runtime(module, runtime, sizeof(runtime));
    if (runtime[0] != '\0' && !BUILT_SANITIZED) {
        setenv("LD_PRELOAD", runtime, 1);
    }
    setenv(SANITIZED, command->source, 1);
    setenv("ASAN_OPTIONS",
           "detect_leaks=0:handle_segv=0:handle_sigbus=0:handle_abort=0:"
           "handle_sigfpe=0:handle_sigill=0:allocator_may_return_null=1",
           1);
    setenv("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1", 1);
    execv("/proc/self/exe", (char *const *)(uintptr_t)arguments);
    perror("weir-module-check");
    _exit(2);
}

int sanitize(struct command *command)
{
    const char *slash = strrchr(command->source, '/');
    const char *name = slash != NULL ? slash + 1 : command->source;
    char module[512];
    int status = 0;

    snprintf(module, sizeof(module), "%s/%.*s.so", command->folder, (int)strcspn(name, "."), name);
    if (run_shell(build, module, command->source) != 0) {
        fprintf(stderr,
                "weir-module-check: %s cannot be built (CC, CFLAGS and LDLIBS are taken from the "
                "environment, the SDK by pkg-config weir-sdk)\n",
                command->source);
        return 2;
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        run_checks(command, module);
    }
    if (pid == -1 || waitpid(pid, &status, 0) != pid) {
        perror("weir-module-check");
        return 2;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}
