/* SPDX-License-Identifier: MIT */
/* Log files: whole lines from many threads, rotation, disks that are full, bounds. */
#include "runner.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

#include "base/base.h"
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

START_TEST(lines_arrive_in_order)
{
    struct logfile *file = logfile_open(path, error, sizeof(error));
    char line[32];
    size_t size = 0;

    ck_assert_msg(file != NULL, "%s", error);
    ck_assert(logfile_start());
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
END_TEST

START_TEST(stopping_writes_what_waits)
{
    struct logfile *file = logfile_open(path, error, sizeof(error));

    ck_assert(logfile_start());
    write_line(file, "last words\n");
    logfile_stop();
    char *text = temporary_read(path, NULL);
    ck_assert_str_eq(text, "last words\n");
    free(text);
    logfile_close(file);
}
END_TEST

START_TEST(closing_without_a_thread_writes)
{
    struct logfile *file = logfile_open(path, error, sizeof(error));

    write_line(file, "early\n");
    logfile_close(file);
    char *text = temporary_read(path, NULL);
    ck_assert_str_eq(text, "early\n");
    free(text);
}
END_TEST

START_TEST(one_path_is_one_file)
{
    struct logfile *a = logfile_open(path, error, sizeof(error));
    struct logfile *b = logfile_open(path, error, sizeof(error));

    ck_assert_ptr_eq(a, b);
    ck_assert(logfile_start());
    logfile_close(a);
    write_line(b, "still open\n");
    wait_for_size(path, strlen("still open\n"));
    logfile_close(b);
    logfile_stop();
}
END_TEST

START_TEST(a_file_that_cannot_be_opened_is_named)
{
    ck_assert_ptr_null(logfile_open(temporary_path(folder, "no/folder/x"), error, sizeof(error)));
    ck_assert_ptr_nonnull(strstr(error, "no/folder/x"));
    ck_assert_ptr_nonnull(strstr(error, "No such file"));
}
END_TEST

START_TEST(rotation_loses_nothing)
{
    struct logfile *file = logfile_open(path, error, sizeof(error));
    const char *old = temporary_path(folder, "access.log.1");

    ck_assert(logfile_start());
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
END_TEST

/* A limit on the size of files stands for a full disk: a write is cut short, then fails. */
static void limit_file_size(rlim_t size)
{
    struct rlimit limit = {size, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(a_full_disk_is_waited_for)
{
    struct logfile *file = logfile_open(path, error, sizeof(error));

    ck_assert(logfile_start());
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
END_TEST

START_TEST(a_line_that_was_cut_is_not_continued_in_a_new_file)
{
    struct logfile *file = logfile_open(path, error, sizeof(error));
    const char *old = temporary_path(folder, "access.log.1");

    ck_assert(logfile_start());
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
END_TEST

START_TEST(what_waits_is_bounded_and_drops_are_counted)
{
    struct logfile *file = logfile_open(path, error, sizeof(error));
    static char line[65536];
    size_t taken = 0;
    uint64_t dropped = 0;

    memset(line, 'x', sizeof(line));
    line[sizeof(line) - 1] = '\n';
    /* No thread runs: nothing is written meanwhile. */
    for (int i = 0; i < 100; i++) {
        if (logfile_write(file, line, sizeof(line))) {
            taken += sizeof(line);
        } else {
            dropped++;
        }
    }
    ck_assert_uint_le(taken, LOGFILE_WAITING_MAX);
    ck_assert_uint_gt(taken, LOGFILE_WAITING_MAX - sizeof(line));
    ck_assert_uint_eq(logfile_dropped(), dropped);
    ck_assert(logfile_start());
    wait_for_size(path, taken);
    /* The bytes are in the file a moment before they stop counting as waiting. */
    while (!logfile_write(file, "room again\n", 11)) {
        pause_briefly();
    }
    wait_for_size(path, taken + 11);
    logfile_close(file);
    logfile_stop();
}
END_TEST

START_TEST(standard_output)
{
    int pipe_ends[2];
    char line[64];

    ck_assert_int_eq(pipe(pipe_ends), 0);
    ck_assert_int_ne(dup2(pipe_ends[1], STDOUT_FILENO), -1);
    struct logfile *file = logfile_open("-", error, sizeof(error));
    ck_assert(logfile_start());
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
END_TEST

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

START_TEST(lines_of_threads_stay_whole_through_rotations)
{
    struct logfile *file = logfile_open(path, error, sizeof(error));
    struct writer writers[2] = {{file, 'a'}, {file, 'b'}};
    pthread_t threads[2];
    void *failed;
    char old[64];
    size_t lines = 0;

    ck_assert(logfile_start());
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
END_TEST

static Suite *logfile_suite(void)
{
    Suite *suite = suite_create("base/logfile");
    TCase *tcase = tcase_create("logfile");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, lines_arrive_in_order);
    tcase_add_test(tcase, stopping_writes_what_waits);
    tcase_add_test(tcase, closing_without_a_thread_writes);
    tcase_add_test(tcase, one_path_is_one_file);
    tcase_add_test(tcase, a_file_that_cannot_be_opened_is_named);
    tcase_add_test(tcase, rotation_loses_nothing);
    tcase_add_test(tcase, a_full_disk_is_waited_for);
    tcase_add_test(tcase, a_line_that_was_cut_is_not_continued_in_a_new_file);
    tcase_add_test(tcase, what_waits_is_bounded_and_drops_are_counted);
    tcase_add_test(tcase, standard_output);
    tcase_add_test(tcase, lines_of_threads_stay_whole_through_rotations);
    suite_add_tcase(suite, tcase);
    return suite;
}
UNIT_SUITE(logfile_suite);
