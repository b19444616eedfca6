/* SPDX-License-Identifier: MIT */
/* Log files: whole lines from many threads, rotation, disks that are full, bounds. */
#include "runner.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

#include "base/base.h"
#include "base/log.h"
#include "base/logfile.h"
#include "temporary.h"

static const char *folder;
static char path[512];
static char error[512];

static void set_up(void)
{
    folder = temporary_folder();
    snprintf(path, sizeof(path), "%s/access.log", folder);
}

static void tear_down(void)
{
    temporary_remove(folder);
}

static void pause_briefly(void)
{
    nanosleep(&(struct timespec){0, 2000000}, NULL);
}

static size_t size_of(const char *name)
{
    struct stat status;
    return stat(name, &status) == 0 ? (size_t)status.st_size : 0;
}

/* Until the file has as many bytes; check's own time limit ends the wait. */
static void wait_for_size(const char *name, size_t size)
{
    while (size_of(name) < size) {
        pause_briefly();
    }
}

static void write_line(struct logfile *file, const char *text)
{
    ck_assert(logfile_write(file, text, strlen(text)));
}

UNIT_TEST(lines_arrive_in_order)
{
    struct logfile *file = logfile_open(path, error, sizeof(error));
    char line[32];
    size_t size = 0;

    ck_assert_msg(file != NULL, "%s", error);
    for (int i = 0; i < 1000; i++) {
        size += (size_t)snprintf(line, sizeof(line), "line %d\n", i);
        write_line(file, line);
    }
    wait_for_size(path, size);
    char *text = temporary_read(path, NULL), *rest = text;
    for (int i = 0; i < 1000; i++) {
        snprintf(line, sizeof(line), "line %d", i);
        ck_assert_str_eq(strsep(&rest, "\n"), line);
    }
    free(text);
    struct stat status;
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 0137, 0); /* at most 0640 */
    logfile_close(file);
    logfile_stop();
}

UNIT_TEST(stopping_writes_what_waits)
{
    struct logfile *file = logfile_open(path, error, sizeof(error));

    write_line(file, "last words\n");
    logfile_stop();
    char *text = temporary_read(path, NULL);
    ck_assert_str_eq(text, "last words\n");
    free(text);
    logfile_close(file);
}

UNIT_TEST(closing_writes_what_waits)
{
    struct logfile *file = logfile_open(path, error, sizeof(error));

    write_line(file, "early\n");
    logfile_close(file);
    logfile_stop();
    char *text = temporary_read(path, NULL);
    ck_assert_str_eq(text, "early\n");
    free(text);
}

UNIT_TEST(one_path_is_one_file)
{
    struct logfile *a = logfile_open(path, error, sizeof(error));
    struct logfile *b = logfile_open(path, error, sizeof(error));

    ck_assert_ptr_eq(a, b);
    logfile_close(a);
    write_line(b, "still open\n");
    wait_for_size(path, strlen("still open\n"));
    logfile_close(b);
    logfile_stop();
}

UNIT_TEST(a_file_that_cannot_be_opened_is_named)
{
    ck_assert_ptr_null(logfile_open(temporary_path(folder, "no/folder/x"), error, sizeof(error)));
    ck_assert_ptr_nonnull(strstr(error, "no/folder/x"));
    ck_assert_ptr_nonnull(strstr(error, "No such file"));
}

UNIT_TEST(rotation_loses_nothing)
{
    struct logfile *file = logfile_open(path, error, sizeof(error));
    const char *old = temporary_path(folder, "access.log.1");

    write_line(file, "before\n");
    ck_assert_int_eq(rename(path, old), 0);
    logfile_reopen_all();
    while (access(path, F_OK) != 0) {
        pause_briefly();
    }
    write_line(file, "after\n");
    wait_for_size(path, 6);
    char *text = temporary_read(old, NULL);
    ck_assert_str_eq(text, "before\n");
    free(text);
    text = temporary_read(path, NULL);
    ck_assert_str_eq(text, "after\n");
    free(text);
    logfile_close(file);
    logfile_stop();
}

/* A limit on the size of files stands for a full disk: a write is cut short, then fails. */
static void limit_file_size(rlim_t size)
{
    struct rlimit limit = {size, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

UNIT_TEST(a_full_disk_is_waited_for)
{
    struct logfile *file = logfile_open(path, error, sizeof(error));

    limit_file_size(10);
    write_line(file, "0123456789abcdef\n");
    write_line(file, "second\n");
    wait_for_size(path, 10);
    limit_file_size(RLIM_INFINITY);
    wait_for_size(path, 17 + 7); /* it is tried again by itself */
    char *text = temporary_read(path, NULL);
    ck_assert_str_eq(text, "0123456789abcdef\nsecond\n");
    free(text);
    ck_assert_uint_eq(logfile_dropped(), 0);
    logfile_close(file);
    logfile_stop();
}

UNIT_TEST(a_line_that_was_cut_is_not_continued_in_a_new_file)
{
    struct logfile *file = logfile_open(path, error, sizeof(error));
    const char *old = temporary_path(folder, "access.log.1");

    limit_file_size(10);
    write_line(file, "0123456789abcdef\n");
    write_line(file, "second\n");
    wait_for_size(path, 10);
    ck_assert_int_eq(rename(path, old), 0);
    logfile_reopen_all();
    wait_for_size(path, 7);
    char *text = temporary_read(path, NULL);
    ck_assert_str_eq(text, "second\n");
    free(text);
    ck_assert_uint_eq(logfile_dropped(), 1);
    logfile_close(file);
    logfile_stop();
}

/* ---- readers that stand, or are not there ---- */

/* Reads until `len` bytes are there. */
static size_t read_lines(int fd, char *out, size_t len)
{
    size_t used = 0;
    while (used < len) {
        ssize_t got = read(fd, out + used, len - used);
        ck_assert_int_ge(got, 0);
        used += (size_t)got;
        if (got == 0) {
            pause_briefly(); /* nobody has opened it to write, just now */
        }
    }
    return used;
}

UNIT_TEST(a_fifo_without_a_reader_keeps_lines_for_it)
{
    char got[12];

    ck_assert_int_eq(mkfifo(path, 0600), 0);
    struct logfile *file = logfile_open(path, error, sizeof(error));
    ck_assert_msg(file != NULL, "%s", error);
    write_line(file, "one\n");
    logfile_reopen_all();
    write_line(file, "two\n");
    int fd = open(path, O_RDONLY);
    ck_assert_uint_eq(read_lines(fd, got, 8), 8);
    ck_assert_mem_eq(got, "one\ntwo\n", 8);
    write_line(file, "three\n");
    ck_assert_uint_eq(read_lines(fd, got, 6), 6);
    ck_assert_mem_eq(got, "three\n", 6);
    ck_assert_uint_eq(logfile_dropped(), 0);
    logfile_close(file);
    logfile_stop();
    close(fd);
}

/* A line of 64 KiB, numbered. */
static bool write_large(struct logfile *file, unsigned number)
{
    static char line[65536];
    memset(line, 'x', sizeof(line));
    snprintf(line, sizeof(line), "%05u", number);
    line[5] = ' ';
    line[sizeof(line) - 1] = '\n';
    return logfile_write(file, line, sizeof(line));
}

UNIT_TEST(what_waits_is_bounded_and_drops_are_counted_and_told)
{
    const char *own = temporary_path(folder, "own.log");
    static char line[65536];
    unsigned kept = 0;

    ck_assert(log_open(own, WEIR_LOG_INFO, error, sizeof(error)));
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    struct logfile *file = logfile_open(path, error, sizeof(error));
    for (unsigned i = 0; i < 100; i++) {
        kept += write_large(file, i);
    }
    ck_assert_uint_le(kept * sizeof(line), LOG_WRITER_WAITING_MAX + 2 * sizeof(line));
    ck_assert_uint_gt(kept * sizeof(line), LOG_WRITER_WAITING_MAX / 2);
    ck_assert_uint_eq(logfile_dropped(), 100 - kept);
    int fd = open(path, O_RDONLY);
    for (unsigned i = 0, next = 0; i < kept; i++) {
        ck_assert_uint_eq(read_lines(fd, line, sizeof(line)), sizeof(line));
        ck_assert_uint_ge(strtoul(line, NULL, 10), next);
        next = (unsigned)strtoul(line, NULL, 10) + 1;
    }
    /* Whether it was seen to stand depends on when the thread came to look. */
    char *text = NULL;
    snprintf(line, sizeof(line), "%u were dropped", 100 - kept);
    snprintf(line + 100, 100, "%u lines were dropped", 100 - kept);
    do {
        free(text);
        pause_briefly();
        text = temporary_read(own, NULL);
    } while (strstr(text, line) == NULL && strstr(text, line + 100) == NULL);
    ck_assert_ptr_nonnull(strstr(text, "warning log: "));
    free(text);
    ck_assert(write_large(file, 0));
    ck_assert_uint_eq(read_lines(fd, line, sizeof(line)), sizeof(line));
    logfile_close(file);
    logfile_stop();
    close(fd);
}

/* The end comes, whatever stands; what is lost is counted. */
static void expect_bounded_end(const char *name)
{
    struct logfile *file = logfile_open(name, error, sizeof(error));
    struct timespec began, ended;

    ck_assert_msg(file != NULL, "%s", error);
    for (unsigned i = 0; i < 10; i++) {
        ck_assert(write_large(file, i));
    }
    logfile_reopen_all();
    clock_gettime(CLOCK_MONOTONIC, &began);
    logfile_stop();
    clock_gettime(CLOCK_MONOTONIC, &ended);
    ck_assert_int_lt(ended.tv_sec - began.tv_sec, 30); /* it takes a second on an idle machine */
    while (logfile_dropped() == 0) {                   /* a slow machine may not have come to it */
        pause_briefly();
    }
    ck_assert_uint_le(logfile_dropped(), 10);
    logfile_close(file);
}

UNIT_TEST(the_end_does_not_wait_for_a_fifo_without_a_reader)
{
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    expect_bounded_end(path);
}

UNIT_TEST(the_end_does_not_wait_for_a_reader_that_stands)
{
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    int fd = open(path, O_RDONLY | O_NONBLOCK);
    expect_bounded_end(path);
    close(fd);
}

UNIT_TEST(the_end_does_not_wait_for_a_full_device)
{
    expect_bounded_end("/dev/full");
}

UNIT_TEST(the_end_does_not_wait_for_standard_output)
{
    int ends[2];

    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_ne(dup2(ends[1], STDOUT_FILENO), -1);
    expect_bounded_end("-");
    close(ends[0]);
    close(ends[1]);
}

UNIT_TEST(a_file_that_is_closed_and_opened_again)
{
    char got[16];

    ck_assert_int_eq(mkfifo(path, 0600), 0);
    struct logfile *file = logfile_open(path, error, sizeof(error));
    write_line(file, "old\n");
    logfile_close(file);
    file = logfile_open(path, error, sizeof(error)); /* while the first still waits */
    ck_assert_ptr_nonnull(file);
    int fd = open(path, O_RDONLY);
    ck_assert_uint_eq(read_lines(fd, got, 4), 4);
    ck_assert_mem_eq(got, "old\n", 4);
    write_line(file, "new\n");
    ck_assert_uint_eq(read_lines(fd, got, 4), 4);
    ck_assert_mem_eq(got, "new\n", 4);
    logfile_close(file);
    logfile_stop();
    close(fd);
}

UNIT_TEST(standard_output)
{
    int pipe_ends[2];
    char line[64];

    ck_assert_int_eq(pipe(pipe_ends), 0);
    ck_assert_int_ne(dup2(pipe_ends[1], STDOUT_FILENO), -1);
    struct logfile *file = logfile_open("-", error, sizeof(error));
    logfile_reopen_all();
    write_line(file, "to a pipe\n");
    ck_assert_int_eq(read(pipe_ends[0], line, sizeof(line)), 10);
    ck_assert_int_eq(memcmp(line, "to a pipe\n", 10), 0);
    /* The reader goes: no signal, no end. */
    close(pipe_ends[0]);
    write_line(file, "to nobody\n");
    logfile_stop();
    logfile_close(file);
    close(pipe_ends[1]);
}

struct writer {
    struct logfile *file;
    char letter;
};

static void *write_many(void *arg)
{
    const struct writer *writer = arg;
    char line[101];

    memset(line, writer->letter, sizeof(line));
    line[100] = '\n';
    for (int i = 0; i < 5000; i++) {
        if (!logfile_write(writer->file, line, sizeof(line))) {
            return arg;
        }
    }
    return NULL;
}

UNIT_TEST(lines_of_threads_stay_whole_through_rotations)
{
    struct logfile *file = logfile_open(path, error, sizeof(error));
    struct writer writers[2] = {{file, 'a'}, {file, 'b'}};
    pthread_t threads[2];
    void *failed;
    char old[64];
    size_t lines = 0;

    for (size_t i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, write_many, &writers[i]);
    }
    for (int i = 0; i < 5; i++) {
        snprintf(old, sizeof(old), "access.log.%d", i);
        while (rename(path, temporary_path(folder, old)) != 0) {
            pause_briefly(); /* the last reopening is on its way */
        }
        logfile_reopen_all();
    }
    for (size_t i = 0; i < 2; i++) {
        pthread_join(threads[i], &failed);
        ck_assert_ptr_null(failed);
    }
    logfile_close(file);
    logfile_stop();
    for (int i = 0; i <= 5; i++) {
        size_t len;
        snprintf(old, sizeof(old), i < 5 ? "access.log.%d" : "access.log", i);
        char *text = temporary_read(temporary_path(folder, old), &len);
        ck_assert_uint_eq(len % 101, 0);
        for (size_t at = 0; at < len; at += 101, lines++) {
            ck_assert_uint_eq(strspn(text + at, text[at] == 'a' ? "a" : "b"), 100);
            ck_assert_int_eq(text[at + 100], '\n');
        }
        free(text);
    }
    ck_assert_uint_eq(lines, 10000);
}

UNIT_FIXTURE(set_up, tear_down);
UNIT_TIMEOUT(60);
