/* SPDX-License-Identifier: MIT */
/*
 * Running `weir -t`. See try_start.h.
 */
#include "control/try_start.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIME_MS 10000

/* A file in memory. NULL: see errno. */
static FILE *tmp_output(void)
{
    int fd = memfd_create("weir -t", MFD_CLOEXEC);
    return fd != -1 ? fdopen(fd, "r") : NULL;
}

/* 0 or an errno. The process reads nothing and writes standard error to `output`. */
static int spawn(pid_t *pid, const char *path, int output)
{
    static char program[] = "weir", check[] = "-t", config[] = "-c";
    char *file = base_strdup(path);
    char *const arguments[] = {program, check, config, file, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none;

    sigemptyset(&none);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&files, output, STDERR_FILENO);
    int why = posix_spawn(pid, "/proc/self/exe", &files, &attributes, arguments, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    free(file);
    return why;
}

/* false: it did not end in time. */
static bool await(pid_t pid)
{
    struct pollfd process = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
    int ready;

    do { /* a signal restarts the timeout, which is rare */
        ready = poll(&process, 1, TIME_MS);
    } while (ready == -1 && errno == EINTR);
    if (process.fd != -1) {
        close(process.fd);
    }
    return ready == 1;
}

static bool is_told(const struct mistakes *mistakes, const char *text)
{
    for (size_t i = 0; i < mistakes->count; i++) {
        if (strcmp(mistakes->texts[i], text) == 0) {
            return true;
        }
    }
    return false;
}

/* Its lines are mistakes, warnings, and what modules log. */
static bool add_mistakes(FILE *output, struct mistakes *mistakes)
{
    static const char mark[] = "weir: ", warning[] = "warning: ";
    char *line = NULL;
    size_t room = 0;
    bool any = false;

    rewind(output);
    while (getline(&line, &room, output) != -1) {
        char *what = line + sizeof(mark) - 1;
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, mark, sizeof(mark) - 1) != 0 ||
            strncmp(what, warning, sizeof(warning) - 1) == 0) {
            continue;
        }
        any = true;
        if (!is_told(mistakes, what)) {
            mistakes_add(mistakes, (struct place){NULL, 0}, "%s", what);
        }
    }
    free(line);
    return any;
}

bool try_start(const char *path, struct mistakes *mistakes, char *error, size_t error_size)
{
    FILE *output = tmp_output();
    int status = 0;
    pid_t pid = -1, waited;
    int why = output != NULL ? spawn(&pid, path, fileno(output)) : errno;

    if (why != 0) {
        snprintf(error, error_size, "weir -t cannot be run: %s", strerror(why));
        if (output != NULL) {
            fclose(output);
        }
        return false;
    }
    bool ended = await(pid);
    if (!ended) {
        kill(pid, SIGKILL);
    }
    do {
        waited = waitpid(pid, &status, 0);
    } while (waited == -1 && errno == EINTR);
    bool right = ended && waited == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    bool told = right || (ended && add_mistakes(output, mistakes));
    if (!told) {
        snprintf(error, error_size, ended ? "weir -t failed" : "weir -t does not end");
    }
    fclose(output);
    return told;
}
