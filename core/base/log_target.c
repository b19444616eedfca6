/* SPDX-License-Identifier: MIT */
/*
 * Opening and writing logs. See log_target.h.
 */
#include "base/log_target.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define FILE_MODE 0640

/* ---- standard error and output ---- */

/* systemd names device and inode of the stream that it reads. */
static bool is_journal_stream(const struct stat *status)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;

    return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
           status->st_dev == (dev_t)device && status->st_ino == (ino_t)inode;
}

static bool open_standard(struct log_target *target, int standard)
{
    struct stat status;
    char path[32];

    if (fstat(standard, &status) != 0) {
        return false;
    }
    target->standard = true;
    target->atomic_pieces = S_ISFIFO(status.st_mode);
    target->socket = S_ISSOCK(status.st_mode);
    if (standard == STDERR_FILENO && is_journal_stream(&status)) {
        target->style = LOG_STYLE_PRIORITY;
    }
    if (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode)) {
        snprintf(path, sizeof(path), "/proc/self/fd/%d", standard);
        target->fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
        if (target->fd != -1) {
            return true;
        }
        target->may_block = true; /* another user's terminal, or no /proc */
    }
    target->fd = fcntl(standard, F_DUPFD_CLOEXEC, 3);
    return target->fd != -1;
}

/* ---- files ---- */

/* Whether the last line is incomplete: the disk was full, or the machine stopped. */
static bool is_cut(int fd, off_t size)
{
    char path[32], last = '\n';

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int reader = open(path, O_RDONLY | O_CLOEXEC);
    if (reader != -1) {
        if (pread(reader, &last, 1, size - 1) != 1) {
            last = '\n';
        }
        close(reader);
    }
    return last != '\n';
}

/* errno if it cannot be opened; 0: opened, or a FIFO without a reader. */
static int open_path(struct log_target *target)
{
    int flags = O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
    struct stat status;
    int fd = open(target->name, flags);

    if (fd == -1 && errno == ENOENT) {
        fd = open(target->name, flags | O_CREAT, FILE_MODE);
    }
    if (fd == -1) {
        int why = errno;
        if (why == ENXIO && stat(target->name, &status) == 0 && S_ISFIFO(status.st_mode)) {
            target->atomic_pieces = true;
            return 0;
        }
        return why;
    }
    if (fstat(fd, &status) == 0) {
        target->atomic_pieces = S_ISFIFO(status.st_mode);
        target->device = status.st_dev;
        target->inode = status.st_ino;
        target->cut = S_ISREG(status.st_mode) && status.st_size > 0 && is_cut(fd, status.st_size);
    }
    target->fd = fd;
    return 0;
}

static bool is_file(const char *name)
{
    return strcmp(name, LOG_TARGET_STDERR) != 0 && strcmp(name, LOG_TARGET_STDOUT) != 0 &&
           strcmp(name, LOG_TARGET_JOURNAL) != 0;
}

static int standard_fd(const char *name)
{
    return strcmp(name, LOG_TARGET_STDERR) == 0 ? STDERR_FILENO : STDOUT_FILENO;
}

/* journald's socket for fields: systemd.io/JOURNAL_NATIVE_PROTOCOL. Not through its library, which
 * waits. */
static const struct sockaddr_un journal_address = {AF_UNIX, "/run/systemd/journal/socket"};

/* 0, or why no journal is there. */
static int open_journal(int *out)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int why = 0;

    if (fd == -1) {
        return errno;
    }
    if (connect(fd, (const void *)&journal_address, sizeof(journal_address)) != 0) {
        why = errno;
        close(fd);
    } else {
        *out = fd;
    }
    return why;
}

static bool no_journal(int why, char *error, size_t error_size)
{
    snprintf(error, error_size,
             "cannot log to the journal: %s: %s; use \"stderr\" or a file's path",
             journal_address.sun_path, strerror(why));
    return false;
}

static bool cannot(const char *name, int why, char *error, size_t error_size)
{
    if (why == ENXIO) {
        snprintf(error, error_size,
                 "cannot open the log file %s: it is a socket, or no device is "
                 "there",
                 name);
    } else {
        snprintf(error, error_size, "cannot open the log file %s: %s", name, strerror(why));
    }
    return false;
}

bool log_target_open(struct log_target *target, const char *name, char *error, size_t error_size)
{
    *target = (struct log_target){.fd = -1, .style = LOG_STYLE_STAMPED};
    target->name = base_strdup(name);
    bool ok = true;
    if (strcmp(name, LOG_TARGET_JOURNAL) == 0) {
        target->style = LOG_STYLE_JOURNAL;
        target->line_by_line = true;
        int why = open_journal(&target->fd);
        ok = why == 0 || no_journal(why, error, error_size);
    } else if (is_file(name)) {
        int why = open_path(target);
        ok = why == 0 || cannot(name, why, error, error_size);
    } else if (!open_standard(target, standard_fd(name))) {
        ok = cannot(name, errno, error, error_size);
    }
    if (!ok) {
        log_target_close(target);
    }
    return ok;
}

void log_target_close(struct log_target *target)
{
    if (target->fd != -1) {
        close(target->fd);
    }
    free(target->name);
    *target = (struct log_target){.fd = -1};
}

bool log_target_in_place(const struct log_target *target)
{
    struct stat status;

    return !is_file(target->name) ||
           (stat(target->name, &status) == 0 && status.st_dev == target->device &&
            status.st_ino == target->inode);
}

/* The folder that the file would be made in. */
static int check_folder(const char *name, bool permissions)
{
    const char *slash = strrchr(name, '/');
    char *folder = slash == NULL   ? base_strdup(".")
                   : slash == name ? base_strdup("/")
                                   : base_strndup(name, (size_t)(slash - name));
    struct stat status;
    int why = 0;

    if (stat(folder, &status) != 0) {
        why = errno;
    } else if (!S_ISDIR(status.st_mode)) {
        why = ENOTDIR;
    } else if (permissions && faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) != 0) {
        why = errno;
    }
    free(folder);
    return why;
}

static int check_path(const char *name, bool permissions)
{
    struct stat status;

    if (*name == '\0') {
        return ENOENT;
    }
    if (stat(name, &status) != 0) {
        return errno != ENOENT                 ? errno
               : name[strlen(name) - 1] == '/' ? EISDIR
                                               : check_folder(name, permissions);
    }
    if (S_ISDIR(status.st_mode)) {
        return EISDIR;
    }
    if (S_ISSOCK(status.st_mode)) {
        return ENXIO;
    }
    return permissions && faccessat(AT_FDCWD, name, W_OK, AT_EACCESS) != 0 ? errno : 0;
}

bool log_target_check(const char *name, bool open_already, char *error, size_t error_size)
{
    int why = 0, fd = -1;

    if (strcmp(name, LOG_TARGET_JOURNAL) == 0) {
        why = open_journal(&fd);
        if (fd != -1) {
            close(fd);
        }
        return why == 0 || open_already || no_journal(why, error, error_size);
    }
    if (is_file(name)) {
        why = check_path(name, !open_already);
    } else if (fcntl(standard_fd(name), F_GETFD) == -1) {
        why = errno;
    }
    return why == 0 || cannot(name, why, error, error_size);
}

/* ---- writing ---- */

/* One line, as the style has it: `<4>component`, NUL, the text. */
static bool send_to_journal(int fd, const char *line, size_t len)
{
    const char *component = line + 3;
    size_t component_len = strnlen(component, len - 3);
    const char *text = component + component_len + 1;
    char *fields =
        base_printf("PRIORITY=%c\nSYSLOG_IDENTIFIER=weir\nWEIR_COMPONENT=%.*s\n"
                    "MESSAGE=%.*s\n",
                    line[1], (int)component_len, component, (int)(line + len - text), text);
    bool ok = send(fd, fields, strlen(fields), MSG_NOSIGNAL) >= 0;
    int why = errno;
    free(fields);
    errno = why;
    return ok;
}

/* After a restart of journald its socket is another one. */
static enum log_written write_journal(struct log_target *target, const char *data, size_t len,
                                      size_t *written)
{
    const char *end = memchr(data, '\n', len);
    size_t line = end != NULL ? (size_t)(end - data) : len;

    if (target->fd == -1) {
        int why = open_journal(&target->fd);
        if (why != 0) {
            errno = why;
            return LOG_FAILED;
        }
    }
    if (line > 4 && !send_to_journal(target->fd, data, line)) {
        int why = errno;
        if (why == EAGAIN || why == ENOBUFS) {
            return LOG_FULL;
        }
        close(target->fd);
        target->fd = -1;
        errno = why;
        return LOG_FAILED;
    }
    *written = end != NULL ? line + 1 : line;
    return LOG_WRITTEN;
}

/* As many whole lines as a pipe takes in one piece; a longer one alone. */
static size_t piece(const char *data, size_t len)
{
    const char *end = memrchr(data, '\n', PIPE_BUF);
    if (end == NULL) {
        end = memchr(data, '\n', len);
    }
    return end != NULL ? (size_t)(end - data) + 1 : len;
}

static bool is_writable(int fd, int ms)
{
    struct pollfd asked = {.fd = fd, .events = POLLOUT};
    return poll(&asked, 1, ms) > 0;
}

enum log_written log_target_write(struct log_target *target, const char *data, size_t len,
                                  size_t *written)
{
    ssize_t result;

    *written = 0;
    if (target->line_by_line) {
        return write_journal(target, data, len, written);
    }
    if (target->fd == -1) {
        int why = open_path(target);
        if (target->fd == -1) {
            errno = why != 0 ? why : ENXIO; /* a FIFO still */
            return LOG_FAILED;
        }
    }
    if (target->atomic_pieces && len > PIPE_BUF) {
        len = piece(data, len);
    }
    if (target->may_block) {
        if (!is_writable(target->fd, 0)) {
            return LOG_FULL;
        }
        len = len < PIPE_BUF ? len : PIPE_BUF;
    }
    if (target->cut) {
        if (write(target->fd, "\n", 1) != 1) {
            return LOG_FAILED;
        }
        target->cut = false;
    }
    do {
        result = target->socket ? send(target->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL)
                                : write(target->fd, data, len);
    } while (result == -1 && errno == EINTR);
    if (result > 0) {
        *written = (size_t)result;
        return LOG_WRITTEN;
    }
    if (result == -1 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return LOG_FULL;
    }
    if (result == 0) {
        errno = ENOSPC;
    }
    return target->standard && (errno == EPIPE || errno == ECONNRESET) ? LOG_GONE : LOG_FAILED;
}

void log_target_wait(const struct log_target *target, unsigned ms)
{
    if (target->fd != -1) {
        is_writable(target->fd, (int)ms);
    } else {
        poll(NULL, 0, (int)ms);
    }
}
