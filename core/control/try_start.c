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
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TIME_MS   10000
#define TEXT_SIZE 65536u

/* 0, or why there is no process. It reads nothing, and what it tells goes to `output`. */
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

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / NS_PER_MS;
}

/* What comes until the end, without what is too much. false: the end does not come. */
static bool read_text(int fd, char text[TEXT_SIZE])
{
    uint64_t end = now_ms() + TIME_MS;
    char more[4096];
    size_t len = 0;

    text[0] = '\0';
    for (;;) {
        struct pollfd asked = {.fd = fd, .events = POLLIN};
        uint64_t now = now_ms();
        if (now >= end) {
            return false;
        }
        if (poll(&asked, 1, (int)(end - now)) <= 0) {
            continue;
        }
        ssize_t got = read(fd, more, sizeof(more));
        if (got <= 0) {
            return got == 0;
        }
        size_t kept = TEXT_SIZE - 1 - len < (size_t)got ? TEXT_SIZE - 1 - len : (size_t)got;
        memcpy(text + len, more, kept);
        len += kept;
        text[len] = '\0';
    }
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

/* Its lines are the mistakes, warnings, and what modules log. */
static bool add_mistakes(char *text, struct mistakes *mistakes)
{
    static const char mark[] = "weir: ", warning[] = "warning: ";
    char *rest = text, *line;
    bool any = false;

    while ((line = strsep(&rest, "\n")) != NULL) {
        char *what = line + sizeof(mark) - 1;
        if (strncmp(line, mark, sizeof(mark) - 1) != 0 ||
            strncmp(what, warning, sizeof(warning) - 1) == 0) {
            continue;
        }
        any = true;
        if (!is_told(mistakes, what)) {
            mistakes_add(mistakes, (struct place){NULL, 0}, "%s", what);
        }
    }
    return any;
}

bool try_start(const char *path, struct mistakes *mistakes, char *error, size_t error_size)
{
    int ends[2], status = 0;
    pid_t pid = -1, waited;

    if (pipe2(ends, O_CLOEXEC) != 0) {
        snprintf(error, error_size, "weir -t cannot be run: %s", strerror(errno));
        return false;
    }
    int why = spawn(&pid, path, ends[1]);
    close(ends[1]);
    if (why != 0) {
        close(ends[0]);
        snprintf(error, error_size, "weir -t cannot be run: %s", strerror(why));
        return false;
    }
    char *text = base_alloc(TEXT_SIZE);
    bool ended = read_text(ends[0], text);
    close(ends[0]);
    if (!ended) {
        kill(pid, SIGKILL);
    }
    do {
        waited = waitpid(pid, &status, 0);
    } while (waited == -1 && errno == EINTR);
    bool right = ended && waited == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    bool told = right || (ended && add_mistakes(text, mistakes));
    if (!told) {
        snprintf(error, error_size, ended ? "weir -t failed" : "weir -t does not end");
    }
    free(text);
    return told;
}
