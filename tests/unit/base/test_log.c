/* SPDX-License-Identifier: MIT */
/* The log: form of a line, levels, targets, limits, readers that have gone, many threads. */
#include "runner.h"

#include <pthread.h>
#include <signal.h>

#include "base/base.h"
#include "base/log.h"
#include "temporary.h"

static const char *folder;
static char path[512];

static void set_up(void)
{
    char error[256];

    folder = temporary_folder();
    snprintf(path, sizeof(path), "%s/log", folder);
    ck_assert_msg(log_open(path, WEIR_LOG_INFO, error, sizeof(error)), "%s", error);
}

static void tear_down(void)
{
    char error[256];

    log_open("stderr", WEIR_LOG_INFO, error, sizeof(error));
    temporary_remove(folder);
}

/* What the log's file says, once all is written. For the caller to free. */
static char *logged(size_t *len)
{
    ck_assert(log_flush(30 * NS_PER_SECOND));
    return temporary_read(path, len);
}

static void empty_log(void)
{
    ck_assert(log_flush(30 * NS_PER_SECOND));
    ck_assert_int_eq(truncate(path, 0), 0);
}

/* Number of lines; each ends with a line break. */
static size_t count_lines(const char *text)
{
    size_t lines = 0;
    for (; *text != '\0'; text++) {
        lines += *text == '\n';
    }
    return lines;
}

/* `2026-11-24T10:00:00.123Z ` */
static void check_time(const char *line)
{
    static const char form[] = "0000-00-00T00:00:00.000Z ";
    for (size_t i = 0; form[i] != '\0'; i++) {
        bool fits = form[i] == '0' ? line[i] >= '0' && line[i] <= '9' : line[i] == form[i];
        ck_assert_msg(fits, "no time stamp: %s", line);
    }
}

UNIT_TEST(form_of_a_line)
{
    log_write(WEIR_LOG_WARNING, "pool api", "server %s is down: %d of %d", "a", 3, 3);
    char *text = logged(NULL);
    check_time(text);
    ck_assert_str_eq(text + 25, "warning pool api: server a is down: 3 of 3\n");
    free(text);
}

UNIT_TEST(levels)
{
    log_set_level(WEIR_LOG_NOTICE);
    ck_assert(log_enabled(WEIR_LOG_ERROR));
    ck_assert(log_enabled(WEIR_LOG_NOTICE));
    ck_assert(!log_enabled(WEIR_LOG_INFO));
    log_write(WEIR_LOG_INFO, "a", "not this");
    log_write(WEIR_LOG_NOTICE, "a", "this");
    char *text = logged(NULL);
    ck_assert_uint_eq(count_lines(text), 1);
    ck_assert_ptr_nonnull(strstr(text, "notice a: this\n"));
    free(text);
}

UNIT_TEST(what_a_peer_sends_cannot_forge_a_line)
{
    log_write(WEIR_LOG_INFO, "http", "bad header %s", "x\n2026-01-01 error weir: \x1b[31mred\x7f");
    char *text = logged(NULL);
    ck_assert_uint_eq(count_lines(text), 1);
    ck_assert_ptr_null(strchr(text, '\x1b'));
    ck_assert_ptr_null(strchr(text, '\x7f'));
    ck_assert_ptr_nonnull(strstr(text, "x 2026-01-01 error weir: ?[31mred?"));
    free(text);
}

UNIT_TEST(long_lines_are_cut)
{
    size_t len;
    char *longest = base_alloc(100000);

    memset(longest, 'y', 99999);
    longest[99999] = '\0';
    log_write(WEIR_LOG_INFO, "a", "%s", longest);
    char *text = logged(&len);
    ck_assert_uint_le(len, 4096);
    ck_assert_uint_eq(count_lines(text), 1);
    ck_assert_str_eq(text + len - 4, "...\n");
    free(text);

    /* Around the edge every length makes one whole line. */
    for (size_t edge = 3900; edge < 4200; edge++) {
        log_reopen();
        empty_log();
        log_write(WEIR_LOG_INFO, "a", "%.*s", (int)edge, longest);
        text = logged(&len);
        ck_assert_uint_eq(count_lines(text), 1);
        ck_assert_int_eq(text[len - 1], '\n');
        free(text);
    }
    free(longest);
}

UNIT_TEST(reopening_follows_a_rotation)
{
    const char *old = temporary_path(folder, "log.1");

    log_write(WEIR_LOG_INFO, "a", "first");
    ck_assert_int_eq(rename(path, old), 0);
    log_write(WEIR_LOG_INFO, "a", "second");
    log_reopen();
    log_write(WEIR_LOG_INFO, "a", "third");
    ck_assert(log_flush(30 * NS_PER_SECOND));
    char *text = temporary_read(old, NULL);
    ck_assert_uint_eq(count_lines(text), 2);
    free(text);
    text = logged(NULL);
    ck_assert_uint_eq(count_lines(text), 1);
    ck_assert_ptr_nonnull(strstr(text, "third"));
    free(text);
}

UNIT_TEST(a_target_that_cannot_be_opened_changes_nothing)
{
    char error[256] = "";

    ck_assert(
        !log_open(temporary_path(folder, "no/such/folder"), WEIR_LOG_DEBUG, error, sizeof(error)));
    ck_assert_ptr_nonnull(strstr(error, "No such file"));
    ck_assert(!log_enabled(WEIR_LOG_DEBUG));
    log_write(WEIR_LOG_INFO, "a", "still here");
    char *text = logged(NULL);
    ck_assert_ptr_nonnull(strstr(text, "still here"));
    free(text);
}

UNIT_TEST(a_prepared_target_waits_for_the_switch)
{
    const char *other = temporary_path(folder, "other");
    char error[256];
    struct log_next *next = log_prepare(other, error, sizeof(error));

    ck_assert_ptr_nonnull(next);
    log_write(WEIR_LOG_INFO, "a", "before");
    free(logged(NULL));
    log_forget(&next);
    ck_assert_ptr_null(next);
    next = log_prepare(other, error, sizeof(error));
    log_switch(&next, WEIR_LOG_DEBUG);
    ck_assert_ptr_null(next);
    log_write(WEIR_LOG_DEBUG, "a", "after");
    char *text = logged(NULL);
    ck_assert_ptr_nonnull(strstr(text, "info a: before\n"));
    ck_assert_uint_eq(count_lines(text), 1);
    free(text);
    text = temporary_read(other, NULL);
    ck_assert_ptr_nonnull(strstr(text, "debug a: after\n"));
    ck_assert_uint_eq(count_lines(text), 1);
    free(text);
    ck_assert_str_eq(log_target_name(), other);
    /* The same again: nothing is opened, the level holds. */
    next = log_prepare(other, error, sizeof(error));
    ck_assert_ptr_nonnull(next);
    log_switch(&next, WEIR_LOG_ERROR);
    ck_assert(!log_enabled(WEIR_LOG_WARNING));
}

UNIT_TEST(nobody_waits_for_a_stuck_log)
{
    int ends[2];
    char error[256];
    static char line[200], got[1 << 16];
    unsigned long long told = 0;
    size_t lines = 0, kept = 0;
    char *all = NULL, *last;

    memset(line, 'x', sizeof(line) - 1);
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_ne(dup2(ends[1], STDERR_FILENO), -1);
    close(ends[1]);
    unsetenv("JOURNAL_STREAM");
    ck_assert(log_open("stderr", WEIR_LOG_INFO, error, sizeof(error)));
    while (log_state().dropped < 1000) {
        log_write(WEIR_LOG_INFO, "a", "%zu %s", lines++, line);
    }
    ck_assert(!log_flush(NS_PER_MS));
    log_last_words("not even these"); /* returns */
    /* The reader comes back: what was kept is in order, then the number of what was not. */
    while (told == 0) {
        ssize_t n = read(ends[0], got, sizeof(got));
        ck_assert_int_gt(n, 0);
        all = base_realloc(all, kept + (size_t)n + 1);
        memcpy(all + kept, got, (size_t)n);
        kept += (size_t)n;
        all[kept] = '\0';
        last = strstr(kept > 300 ? all + kept - 300 : all, " lines were dropped: stderr");
        if (last != NULL) {
            while (last > all && last[-1] != ' ') {
                last--;
            }
            told = strtoull(last, NULL, 10);
        }
    }
    ck_assert_uint_eq(told, log_state().dropped);
    ck_assert_uint_eq(count_lines(all), lines - told + 1);
    size_t next = 0;
    for (char *rest = all, *each; (each = strsep(&rest, "\n")) != NULL && next < lines - told;
         next++) {
        ck_assert_uint_eq(strtoull(strstr(each, "info a: ") + 8, NULL, 10), next);
    }
    free(all);
    close(ends[0]);
    close(STDERR_FILENO);
}

UNIT_TEST(one_place_writes_ten_lines_a_second)
{
    static struct log_limit limit;

    for (int i = 0; i < 1000; i++) {
        log_limited(&limit, WEIR_LOG_INFO, "a", "again");
    }
    char *text = logged(NULL);
    size_t lines = count_lines(text);
    /* The second may change meanwhile, and then tells what was left out. */
    ck_assert_uint_ge(lines, 10);
    ck_assert_uint_le(lines, 32);
    free(text);

    /* As if the next second had come. */
    limit.second--;
    empty_log();
    log_limited(&limit, WEIR_LOG_INFO, "a", "again");
    text = logged(NULL);
    ck_assert_uint_eq(count_lines(text), 2);
    ck_assert_ptr_nonnull(strstr(text, "more lines like the next were left out"));
    free(text);
}

static _Atomic unsigned signals;

static void on_pipe(int number)
{
    (void)number;
    signals++;
}

UNIT_TEST(a_reader_that_has_gone_is_no_signal)
{
    int pipe_ends[2];
    char error[256];

    ck_assert_int_eq(pipe(pipe_ends), 0);
    ck_assert_int_ne(dup2(pipe_ends[1], STDERR_FILENO), -1);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    unsetenv("JOURNAL_STREAM");
    ck_assert(log_open("stderr", WEIR_LOG_INFO, error, sizeof(error)));
    signal(SIGPIPE, on_pipe);
    errno = EXDEV;
    log_write(WEIR_LOG_INFO, "a", "into nothing");
    ck_assert_int_eq(errno, EXDEV);
    ck_assert(log_flush(30 * NS_PER_SECOND));
    ck_assert_uint_eq(log_state().dropped, 1);
    ck_assert_uint_eq(signals, 0);
    /* The thread's mask is as before, so that the signal still works. */
    raise(SIGPIPE);
    ck_assert_uint_eq(signals, 1);
}

UNIT_TEST(journald_gets_priorities_instead_of_times)
{
    int pipe_ends[2];
    char error[256], stream[64], line[256];
    struct stat status;

    ck_assert_int_eq(pipe(pipe_ends), 0);
    ck_assert_int_ne(dup2(pipe_ends[1], STDERR_FILENO), -1);
    ck_assert_int_eq(fstat(STDERR_FILENO, &status), 0);
    snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)status.st_dev,
             (unsigned long long)status.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    ck_assert(log_open("stderr", WEIR_LOG_INFO, error, sizeof(error)));
    log_write(WEIR_LOG_WARNING, "a", "text");
    ck_assert(log_flush(30 * NS_PER_SECOND));
    ssize_t got = read(pipe_ends[0], line, sizeof(line) - 1);
    ck_assert_int_gt(got, 0);
    line[got] = '\0';
    ck_assert_str_eq(line, "<4>a: text\n");
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

static void *write_many(void *arg)
{
    for (int i = 0; i < 500; i++) {
        log_write(WEIR_LOG_INFO, "thread", "%s %d end", (const char *)arg, i);
    }
    return NULL;
}

UNIT_TEST(threads_write_whole_lines)
{
    pthread_t threads[4];
    static char letters[4][200];

    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        memset(letters[i], (int)('a' + i), sizeof(letters[i]) - 1);
        pthread_create(&threads[i], NULL, write_many, letters[i]);
    }
    for (int i = 0; i < 50; i++) {
        log_reopen();
    }
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        pthread_join(threads[i], NULL);
    }
    char *text = logged(NULL);
    size_t lines = 0;
    for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL && *line != '\0'; lines++) {
        check_time(line);
        const char *words = strstr(line, "info thread: ");
        ck_assert_ptr_nonnull(words);
        words += strlen("info thread: ");
        ck_assert_uint_eq(strspn(words, (char[]){words[0], '\0'}), sizeof(letters[0]) - 1);
        ck_assert_str_eq(line + strlen(line) - 4, " end");
    }
    ck_assert_uint_eq(lines, 4 * 500);
    free(text);
}

UNIT_FIXTURE(set_up, tear_down);
UNIT_TIMEOUT(60);
