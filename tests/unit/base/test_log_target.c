/* SPDX-License-Identifier: MIT */
/* Where logs go: what can be opened and what not, that checking makes nothing, and that nobody's
 * terminal is changed. */
#include "runner.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/log_target.h"
#include "temporary.h"

static const char *folder;
static char error[512];
static struct log_target target;

static void set_up(void)
{
    folder = temporary_folder();
}

static void tear_down(void)
{
    temporary_remove(folder);
}

static void make_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    ck_assert_int_eq(bind(fd, (const void *)&address, sizeof(address)), 0);
    close(fd);
}

/* Check and open refuse it, for the same reason, and name it. */
static void expect_refused(const char *path, const char *why)
{
    ck_assert_msg(!log_target_check(path, false, error, sizeof(error)), "%s passes", path);
    ck_assert_msg(strstr(error, path) != NULL && strstr(error, why) != NULL, "%s", error);
    error[0] = '\0';
    ck_assert_msg(!log_target_open(&target, path, error, sizeof(error)), "%s opens", path);
    ck_assert_msg(strstr(error, path) != NULL && strstr(error, why) != NULL, "%s", error);
}

UNIT_TEST(what_cannot_be_opened)
{
    const char *socket_path = temporary_path(folder, "socket");
    const char *loop = temporary_path(folder, "loop");

    temporary_write(temporary_path(folder, "file"), "");
    make_socket(socket_path);
    ck_assert_int_eq(symlink(loop, loop), 0);
    expect_refused(socket_path, "it is a socket");
    expect_refused(loop, strerror(ELOOP));
    expect_refused(folder, strerror(EISDIR));
    expect_refused(temporary_path(folder, "no/such/log"), strerror(ENOENT));
    expect_refused(temporary_path(folder, "file/log"), strerror(ENOTDIR));
    expect_refused(temporary_path(folder, "new/"), strerror(EISDIR));
    if (geteuid() != 0) {
        ck_assert_int_eq(chmod(folder, 0500), 0);
        expect_refused(temporary_path(folder, "new"), strerror(EACCES));
        ck_assert_int_eq(chmod(temporary_path(folder, "file"), 0400), 0);
        expect_refused(temporary_path(folder, "file"), strerror(EACCES));
        /* What is open already is not given up for that. */
        ck_assert(log_target_check(temporary_path(folder, "file"), true, error, sizeof(error)));
        ck_assert_int_eq(chmod(folder, 0700), 0);
    }
}

UNIT_TEST(checking_makes_and_changes_nothing)
{
    const char *absent = temporary_path(folder, "absent");
    const char *there = temporary_path(folder, "there");
    const char *fifo = temporary_path(folder, "fifo");

    temporary_write(there, "old\n");
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    ck_assert(log_target_check(absent, false, error, sizeof(error)));
    ck_assert(log_target_check(there, false, error, sizeof(error)));
    ck_assert(log_target_check(fifo, false, error, sizeof(error)));
    ck_assert(log_target_check("/dev/full", false, error, sizeof(error)));
    ck_assert(log_target_check("stderr", false, error, sizeof(error)));
    ck_assert(log_target_check("-", false, error, sizeof(error)));
    ck_assert_int_eq(access(absent, F_OK), -1);
    char *text = temporary_read(there, NULL);
    ck_assert_str_eq(text, "old\n");
    free(text);
}

UNIT_TEST(a_fifo_waits_for_a_reader)
{
    const char *fifo = temporary_path(folder, "fifo");
    char text[16];
    size_t written;

    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    ck_assert(log_target_open(&target, fifo, error, sizeof(error)));
    ck_assert_int_eq(log_target_write(&target, "one\n", 4, &written), LOG_FAILED);
    ck_assert_int_eq(errno, ENXIO);
    int reader = open(fifo, O_RDONLY | O_NONBLOCK);
    ck_assert_int_eq(log_target_write(&target, "one\n", 4, &written), LOG_WRITTEN);
    ck_assert_uint_eq(written, 4);
    /* The next reader gets what the last has left. */
    close(reader);
    signal(SIGPIPE, SIG_IGN);
    ck_assert_int_eq(log_target_write(&target, "two\n", 4, &written), LOG_FAILED);
    ck_assert_int_eq(errno, EPIPE);
    reader = open(fifo, O_RDONLY | O_NONBLOCK);
    ck_assert_int_eq(log_target_write(&target, "two\n", 4, &written), LOG_WRITTEN);
    ck_assert_int_ge(read(reader, text, sizeof(text)), 4);
    close(reader);
    log_target_close(&target);
}

/* Fills it; whole lines, as long as it says so. */
static size_t fill(size_t line_len)
{
    static char lines[1 << 16];
    size_t all = 0, written;

    for (size_t i = 0; i < sizeof(lines); i++) {
        lines[i] = i % line_len == line_len - 1 ? '\n' : 'x';
    }
    size_t len = sizeof(lines) / line_len * line_len;
    for (;;) {
        enum log_written result = log_target_write(&target, lines, len, &written);
        if (result == LOG_FULL) {
            return all;
        }
        ck_assert_int_eq(result, LOG_WRITTEN);
        ck_assert_uint_eq(written % line_len, 0);
        all += written;
    }
}

UNIT_TEST(a_pipe_that_nobody_reads_is_full_and_whole)
{
    int ends[2];

    ck_assert_int_eq(pipe(ends), 0);
    int saved = dup(STDOUT_FILENO);
    ck_assert_int_ne(dup2(ends[1], STDOUT_FILENO), -1);
    ck_assert(log_target_open(&target, "-", error, sizeof(error)));
    size_t all = fill(100);
    ck_assert_uint_gt(all, 30000);
    /* Who shares it still blocks, as it did: a shell's terminal is not changed. */
    ck_assert_int_eq(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
    ck_assert_int_eq(fcntl(STDOUT_FILENO, F_GETFL) & O_NONBLOCK, 0);
    log_target_close(&target);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    close(ends[0]);
    close(ends[1]);
}

UNIT_TEST(a_socket_that_nobody_reads_is_full)
{
    int ends[2];
    size_t written;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    int saved = dup(STDOUT_FILENO);
    ck_assert_int_ne(dup2(ends[1], STDOUT_FILENO), -1);
    ck_assert(log_target_open(&target, "-", error, sizeof(error)));
    ck_assert_uint_gt(fill(1), 1000);
    ck_assert_int_eq(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
    close(ends[0]);
    /* No signal either. */
    ck_assert_int_eq(log_target_write(&target, "x\n", 2, &written), LOG_GONE);
    log_target_close(&target);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    close(ends[1]);
}

UNIT_TEST(devices)
{
    size_t written;

    ck_assert(log_target_open(&target, "/dev/full", error, sizeof(error)));
    ck_assert_int_eq(log_target_write(&target, "x\n", 2, &written), LOG_FAILED);
    ck_assert_int_eq(errno, ENOSPC);
    log_target_close(&target);
    ck_assert(log_target_open(&target, "/dev/null", error, sizeof(error)));
    ck_assert_int_eq(log_target_write(&target, "x\n", 2, &written), LOG_WRITTEN);
    log_target_close(&target);
}

UNIT_TEST(a_line_without_an_end_is_not_continued)
{
    const char *path = temporary_path(folder, "log");
    size_t written;

    temporary_write(path, "whole\ncut");
    ck_assert(log_target_open(&target, path, error, sizeof(error)));
    ck_assert_int_eq(log_target_write(&target, "next\n", 5, &written), LOG_WRITTEN);
    log_target_close(&target);
    ck_assert(log_target_open(&target, path, error, sizeof(error)));
    ck_assert_int_eq(log_target_write(&target, "last\n", 5, &written), LOG_WRITTEN);
    log_target_close(&target);
    char *text = temporary_read(path, NULL);
    ck_assert_str_eq(text, "whole\ncut\nnext\nlast\n");
    free(text);
}

/* A journald of the test's own, where none runs. false: not here. */
static bool make_journal(int *out)
{
    struct sockaddr_un address = {AF_UNIX, "/run/systemd/journal/socket"};

    if (unshare(CLONE_NEWNS | (geteuid() != 0 ? CLONE_NEWUSER : 0)) != 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", "/run", "tmpfs", 0, NULL) != 0) {
        return false;
    }
    ck_assert(!log_target_check("journal", false, error, sizeof(error)));
    ck_assert_ptr_nonnull(strstr(error, strerror(ENOENT)));
    ck_assert(!log_target_open(&target, "journal", error, sizeof(error)));
    ck_assert_ptr_nonnull(strstr(error, "cannot log to the journal"));
    mkdir("/run/systemd", 0755);
    mkdir("/run/systemd/journal", 0755);
    *out = socket(AF_UNIX, SOCK_DGRAM, 0);
    ck_assert_int_eq(bind(*out, (const void *)&address, sizeof(address)), 0);
    return true;
}

UNIT_TEST(the_journal)
{
    static const char line[] = "<4>health\0health: server a is down\n<6>weir\0weir: more\n";
    char got[512];
    size_t written;
    int journal;

    if (!make_journal(&journal)) {
        return;
    }
    ck_assert(log_target_check("journal", false, error, sizeof(error)));
    ck_assert(log_target_open(&target, "journal", error, sizeof(error)));
    ck_assert_int_eq(target.style, LOG_STYLE_JOURNAL);
    ck_assert_int_eq(log_target_write(&target, line, sizeof(line) - 1, &written), LOG_WRITTEN);
    ck_assert_uint_eq(written, strlen("<4>health") + 1 + strlen("health: server a is down\n"));
    ssize_t len = recv(journal, got, sizeof(got) - 1, 0);
    ck_assert_int_gt(len, 0);
    got[len] = '\0';
    ck_assert_str_eq(got, "PRIORITY=4\nSYSLOG_IDENTIFIER=weir\nWEIR_COMPONENT=health\n"
                          "MESSAGE=health: server a is down\n");
    /* It stands: nobody waits. */
    while (log_target_write(&target, line, sizeof(line) - 1, &written) == LOG_WRITTEN) {}
    ck_assert_int_eq(log_target_write(&target, line, sizeof(line) - 1, &written), LOG_FULL);
    /* It is gone, and comes back. */
    close(journal);
    ck_assert_int_eq(log_target_write(&target, line, sizeof(line) - 1, &written), LOG_FAILED);
    unlink("/run/systemd/journal/socket");
    ck_assert_int_eq(log_target_write(&target, line, sizeof(line) - 1, &written), LOG_FAILED);
    struct sockaddr_un address = {AF_UNIX, "/run/systemd/journal/socket"};
    journal = socket(AF_UNIX, SOCK_DGRAM, 0);
    ck_assert_int_eq(bind(journal, (const void *)&address, sizeof(address)), 0);
    ck_assert_int_eq(log_target_write(&target, line, sizeof(line) - 1, &written), LOG_WRITTEN);
    log_target_close(&target);
    close(journal);
}

UNIT_TEST(a_file_that_was_moved_is_another)
{
    const char *path = temporary_path(folder, "log");

    ck_assert(log_target_open(&target, path, error, sizeof(error)));
    ck_assert(log_target_in_place(&target));
    ck_assert_int_eq(rename(path, temporary_path(folder, "log.1")), 0);
    ck_assert(!log_target_in_place(&target));
    temporary_write(path, "");
    ck_assert(!log_target_in_place(&target));
    log_target_close(&target);
}

UNIT_FIXTURE(set_up, tear_down);
