/* SPDX-License-Identifier: MIT */
/* The book of blame, by the files that it reads and writes. */
#include "module/blame.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "base/crash.h"
#include "runner.h"
#include "temporary.h"

static const char *folder;
static const uint8_t file_a[32] = {0xaa, 1}, file_b[32] = {0xbb, 2};
static const char hex_a[] = "aa01000000000000000000000000000000000000000000000000000000000000";
static const char hex_b[] = "bb02000000000000000000000000000000000000000000000000000000000000";

static void set_up(void)
{
    folder = temporary_folder();
}

static void tear_down(void)
{
    temporary_remove(folder);
}

static void write_crash(const char *text)
{
    temporary_write(temporary_path(folder, CRASH_FILE), text);
}

/* A record of SIGSEGV in `pick` at that time; `file` empty: it is not told. */
static void crash(const char *module, long long time_s, const char *file)
{
    char text[1024];

    snprintf(text, sizeof(text),
             "{\"kind\":\"signal\",\"time\":%lld,\"pid\":7,\"thread\":\"weir-0\",\"file\":\"%s\","
             "\"calls\":[{\"module\":\"%s\",\"hook\":\"pick\",\"place\":\"pool web balance 1\"},"
             "{\"module\":\"innocent\",\"hook\":\"on_request\",\"place\":\"\"}],"
             "\"signal\":\"SIGSEGV\",\"stack\":[]}\n",
             time_s, file, module);
    write_crash(text);
}

/* A start. */
static struct blame_book *begin(bool keep)
{
    struct blame_book *book = blame_book_new(folder);
    blame_begin(book, keep);
    return book;
}

/* Whether a start that finds what is there has the file in quarantine. */
static bool holds(const char *module, const uint8_t identity[32])
{
    struct blame_book *book = begin(true);
    bool held = blame_of(book, module, identity) != NULL;
    blame_book_free(&book);
    return held;
}

UNIT_TEST(nothing_has_happened)
{
    struct blame_book *book = begin(true);

    ck_assert_ptr_null(blame_death(book));
    ck_assert_ptr_null(blame_trouble(book));
    ck_assert_ptr_null(blame_held(book, "bad"));
    ck_assert_msg(access(temporary_path(folder, BLAME_FILE), F_OK) != 0, "and nothing is written");
    blame_book_free(&book);
}

UNIT_TEST(once_is_told_and_twice_is_quarantine)
{
    crash("bad", 1000000, hex_a);
    struct blame_book *book = begin(true);
    const struct blame_death *death = blame_death(book);
    ck_assert_ptr_nonnull(death);
    ck_assert_str_eq(death->module, "bad");
    ck_assert_str_eq(death->thread, "weir-0");
    ck_assert_str_eq(death->fault.what, "SIGSEGV");
    ck_assert_str_eq(death->fault.hook, "pick");
    ck_assert_ptr_null(blame_held(book, "bad"));
    blame_book_free(&book);

    crash("bad", 1000000 + BLAME_WINDOW_S, hex_a);
    book = begin(true);
    const struct blame *blame = blame_of(book, "bad", file_a);
    ck_assert_ptr_nonnull(blame);
    ck_assert_uint_eq(blame->count, 2);
    ck_assert_int_eq(blame->faults[0].time_s, 1000000 + BLAME_WINDOW_S);
    ck_assert_int_ge(blame->since_s, (int64_t)time(NULL) - 60);
    char text[640];
    blame_tell(blame, text, sizeof(text));
    ck_assert_str_eq(text, "SIGSEGV in pick (pool web balance 1) at 1970-01-12T13:46:40Z, "
                           "SIGSEGV in pick (pool web balance 1) at 1970-01-12T13:56:40Z");
    ck_assert_ptr_null(blame_of(book, "innocent", file_a));
    blame_book_free(&book);
    ck_assert_msg(holds("bad", file_a), "over all starts");
}

UNIT_TEST(one_record_counts_once)
{
    crash("bad", 1000000, hex_a);
    for (unsigned i = 0; i < 3; i++) {
        struct blame_book *book = begin(true);
        ck_assert_msg((blame_death(book) != NULL) == (i == 0), "and is told once");
        ck_assert_ptr_null(blame_held(book, "bad"));
        blame_book_free(&book);
    }
}

UNIT_TEST(long_apart_is_no_quarantine)
{
    crash("bad", 1000000, hex_a);
    ck_assert(!holds("bad", file_a));
    crash("bad", 1000000 + BLAME_WINDOW_S + 1, hex_a);
    ck_assert(!holds("bad", file_a));
    crash("bad", 1000000 + BLAME_WINDOW_S + 2, hex_a);
    ck_assert_msg(holds("bad", file_a), "the last two count");
}

UNIT_TEST(a_clock_that_was_set_back)
{
    crash("bad", 1000000, hex_a);
    ck_assert(!holds("bad", file_a));
    crash("bad", 1000000 - 60, hex_a);
    ck_assert(holds("bad", file_a));
}

UNIT_TEST(two_modules_once_each)
{
    crash("bad", 1000000, hex_a);
    ck_assert(!holds("bad", file_a));
    crash("worse", 1000001, hex_b);
    ck_assert(!holds("worse", file_b) && !holds("bad", file_a));
    crash("bad", 1000002, hex_a);
    ck_assert(holds("bad", file_a) && !holds("worse", file_b));
}

UNIT_TEST(stalls_and_signals_add_up)
{
    crash("bad", 1000000, hex_a);
    ck_assert(!holds("bad", file_a));
    write_crash("{\"kind\":\"stall\",\"time\":1000009,\"thread\":\"weir-1\",\"calls\":[{\"module\":"
                "\"bad\",\"hook\":\"route\",\"place\":\"\"}],\"for_ms\":5000}\n");
    struct blame_book *book = begin(true);
    ck_assert_ptr_nonnull(blame_held(book, "bad"));
    ck_assert_str_eq(blame_held(book, "bad")->faults[0].what, "stall");
    blame_book_free(&book);
}

UNIT_TEST(another_file_answers_for_itself)
{
    crash("bad", 1000000, hex_a);
    ck_assert(!holds("bad", file_a));
    crash("bad", 1000001, hex_a);
    ck_assert(holds("bad", file_a));
    ck_assert_msg(!holds("bad", file_b), "a mended one");
    ck_assert_msg(holds("bad", file_a), "the old one again");
    crash("bad", 1000002, hex_b);
    ck_assert_msg(!holds("bad", file_b), "its first time");
    ck_assert_msg(holds("bad", file_a), "which acquits nobody else");
    crash("bad", 1000003, hex_b);
    ck_assert(holds("bad", file_b) && holds("bad", file_a));
    crash("bad", 1000004, "");
    ck_assert_msg(holds("bad", file_b) && holds("bad", file_a), "whosever it was");
}

UNIT_TEST(files_that_take_turns)
{
    crash("bad", 1000000, hex_a);
    ck_assert(!holds("bad", file_a));
    crash("bad", 1000001, hex_b);
    ck_assert(!holds("bad", file_a) && !holds("bad", file_b));
    crash("bad", 1000002, hex_a);
    ck_assert(holds("bad", file_a) && !holds("bad", file_b));
}

UNIT_TEST(a_release_is_of_all_files)
{
    char error[512];

    crash("bad", 1000000, hex_a);
    ck_assert(!holds("bad", file_a));
    crash("bad", 1000001, hex_b);
    ck_assert(!holds("bad", file_b));
    crash("bad", 1000002, hex_a);
    ck_assert(holds("bad", file_a));
    crash("bad", 1000003, hex_b);
    ck_assert(holds("bad", file_b));
    struct blame_book *book = begin(true);
    blame_pardon(book, "bad");
    ck_assert(blame_settle(book, true, error, sizeof(error)));
    blame_book_free(&book);
    ck_assert(!holds("bad", file_a) && !holds("bad", file_b));
}

UNIT_TEST(a_file_that_is_not_told_may_be_any)
{
    crash("bad", 1000000, "");
    ck_assert(!holds("bad", file_a));
    crash("bad", 1000001, "");
    ck_assert(holds("bad", file_a) && holds("bad", file_b));
}

static void quarantine(void)
{
    crash("bad", 1000000, hex_a);
    ck_assert(!holds("bad", file_a));
    crash("bad", 1000001, hex_a);
    ck_assert(holds("bad", file_a));
}

UNIT_TEST(a_release_is_for_good)
{
    char error[512];

    quarantine();
    struct blame_book *book = begin(true);
    blame_pardon(book, "bad");
    ck_assert_ptr_null(blame_of(book, "bad", file_a));
    ck_assert_msg(holds("bad", file_a), "not yet for others");
    ck_assert(blame_settle(book, true, error, sizeof(error)));
    ck_assert_ptr_null(blame_held(book, "bad"));
    blame_book_free(&book);
    ck_assert(!holds("bad", file_a));
    crash("bad", 1000002, hex_a);
    ck_assert_msg(!holds("bad", file_a), "and begins anew");
}

UNIT_TEST(a_release_that_is_refused_is_none)
{
    char error[512];

    quarantine();
    struct blame_book *book = begin(true);
    blame_pardon(book, "bad");
    blame_read_again(book);
    ck_assert_ptr_null(blame_of(book, "bad", file_a));
    ck_assert(blame_settle(book, false, error, sizeof(error)));
    ck_assert_ptr_nonnull(blame_of(book, "bad", file_a));
    blame_book_free(&book);
    ck_assert(holds("bad", file_a));
}

UNIT_TEST(another_program_may_release)
{
    char error[512];

    quarantine();
    struct blame_book *running = begin(true), *other = begin(true);
    blame_pardon(other, "bad");
    ck_assert(blame_settle(other, true, error, sizeof(error)));
    ck_assert_ptr_nonnull(blame_of(running, "bad", file_a));
    blame_read_again(running);
    ck_assert_ptr_null(blame_of(running, "bad", file_a));
    blame_book_free(&running);
    blame_book_free(&other);
}

UNIT_TEST(a_dry_run_keeps_nothing)
{
    crash("bad", 1000000, hex_a);
    ck_assert(!holds("bad", file_a));
    crash("bad", 1000001, hex_a);
    for (unsigned i = 0; i < 2; i++) {
        struct blame_book *dry = begin(false);
        ck_assert_msg(blame_of(dry, "bad", file_a) != NULL, "it says what a start would do");
        blame_book_free(&dry);
        char *kept = temporary_read(temporary_path(folder, BLAME_FILE), NULL);
        ck_assert_ptr_nonnull(strstr(kept, "\"since\":\t0"));
        free(kept);
    }
}

UNIT_TEST(nobody_is_to_blame)
{
    for (int i = 0; i < 3; i++) {
        char text[256];
        snprintf(text, sizeof(text),
                 "{\"kind\":\"signal\",\"time\":%d,\"thread\":\"weir\",\"calls\":[],\"signal\":"
                 "\"SIGBUS\"}",
                 1000 + i);
        write_crash(text);
        struct blame_book *book = begin(true);
        ck_assert_ptr_nonnull(blame_death(book));
        ck_assert_str_eq(blame_death(book)->module, "");
        blame_book_free(&book);
    }
}

/* What is no record: told as trouble, and nobody's fault. */
static const char *const hostile[] = {
    "",
    "{",
    "[]",
    "null",
    "7",
    "\"text\"",
    "{\"kind\":\"signal\",\"time\":1,\"calls\":[{\"module\":\"bad\"",
    "{\"kind\":\"signal\",\"time\":\"1\",\"signal\":\"SIGSEGV\",\"calls\":[{\"module\":\"bad\"}]}",
    "{\"kind\":\"signal\",\"time\":-1,\"signal\":\"SIGSEGV\",\"calls\":[{\"module\":\"bad\"}]}",
    "{\"kind\":\"signal\",\"time\":1e300,\"signal\":\"SIGSEGV\",\"calls\":[{\"module\":\"bad\"}]}",
    "{\"kind\":\"signal\",\"time\":1,\"calls\":[{\"module\":\"bad\"}]}",
    "{\"kind\":7,\"time\":1,\"signal\":\"SIGSEGV\",\"calls\":[{\"module\":\"bad\"}]}",
};

UNIT_LOOP_TEST(a_record_that_makes_no_sense, ARRAY_COUNT(hostile))
{
    crash("bad", 1000000, hex_a);
    ck_assert(!holds("bad", file_a));
    write_crash(hostile[_i]);
    struct blame_book *book = begin(true);
    ck_assert_ptr_null(blame_death(book));
    ck_assert_ptr_nonnull(blame_trouble(book));
    ck_assert_ptr_null(blame_held(book, "bad"));
    blame_book_free(&book);
    crash("bad", 1000001, hex_a);
    ck_assert_msg(holds("bad", file_a), "what was booked is still known");
}

/* Calls that name nobody. */
static const char *const strangers[] = {
    "7",
    "{}",
    "[7]",
    "[{\"module\":7}]",
    "[{\"module\":\"../../etc/passwd\"}]",
    "[{\"module\":\"\"}]",
    "[{\"module\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}]",
};

UNIT_LOOP_TEST(a_record_that_names_nobody, ARRAY_COUNT(strangers))
{
    char text[512];

    snprintf(text, sizeof(text),
             "{\"kind\":\"signal\",\"time\":9,\"signal\":\"SIG\\u0007\\nSEGV\",\"calls\":%s}",
             strangers[_i]);
    write_crash(text);
    struct blame_book *book = begin(true);
    ck_assert_ptr_nonnull(blame_death(book));
    ck_assert_str_eq(blame_death(book)->fault.what, "SIG??SEGV");
    ck_assert_str_eq(blame_death(book)->module, "");
    blame_book_free(&book);
}

static void fill(const char *name, char byte, size_t len)
{
    char *bytes = base_alloc(len);
    memset(bytes, byte, len);
    temporary_write_bytes(temporary_path(folder, name), bytes, len);
    free(bytes);
}

UNIT_TEST(files_that_are_too_long_or_no_files)
{
    fill(CRASH_FILE, '[', 60000);
    fill(BLAME_FILE, '[', 60000);
    struct blame_book *book = begin(true);
    ck_assert_ptr_nonnull(blame_trouble(book));
    blame_book_free(&book);
    fill(CRASH_FILE, ' ', (size_t)1 << 20);
    fill(BLAME_FILE, ' ', (size_t)1 << 20);
    book = begin(true);
    ck_assert_ptr_nonnull(blame_trouble(book));
    blame_book_free(&book);
    for (unsigned i = 0; i < 2; i++) {
        unlink(temporary_path(folder, CRASH_FILE));
        unlink(temporary_path(folder, BLAME_FILE));
        const char *paths[] = {temporary_path(folder, CRASH_FILE),
                               temporary_path(folder, BLAME_FILE)};
        for (unsigned k = 0; k < 2; k++) { /* a FIFO would keep the start waiting */
            ck_assert_int_eq(i == 0 ? mkfifo(paths[k], 0600) : mkdir(paths[k], 0700), 0);
        }
        book = begin(true);
        ck_assert_ptr_null(blame_death(book));
        ck_assert_ptr_nonnull(blame_trouble(book));
        blame_book_free(&book);
    }
}

/* Books; where they are of no use, all begins anew. */
static const char *const books[] = {
    "",
    "\x01\x02",
    "[]",
    "{\"modules\":7}",
    "{\"modules\":[{\"since\":1}]}",
    "{\"modules\":{\"bad\":7}}",
    "{\"modules\":{\"bad\":{\"since\":1,\"faults\":[]}}}",
    "{\"modules\":{\"bad\":{\"since\":1,\"faults\":[7,{\"time\":\"x\"}]}}}",
    "{\"modules\":{\"bad\":{\"since\":-5,\"faults\":[{\"time\":1}]}}}",
    "{\"modules\":{\"../bad\":{\"since\":1,\"faults\":[{\"time\":1}]}}}",
};

UNIT_LOOP_TEST(a_book_that_makes_no_sense, ARRAY_COUNT(books))
{
    temporary_write(temporary_path(folder, BLAME_FILE), books[_i]);
    ck_assert(!holds("bad", file_a));
    crash("other", 1000000, hex_a);
    ck_assert(!holds("other", file_a));
    crash("other", 1000001, hex_a);
    ck_assert_msg(holds("other", file_a), "it is written anew");
}

UNIT_TEST(more_modules_than_it_takes)
{
    quarantine();
    for (int i = 0; i < 200; i++) {
        char name[16];
        snprintf(name, sizeof(name), "m%d", i);
        crash(name, 1000010 + i, hex_b);
        ck_assert(!holds(name, file_b));
    }
    ck_assert_msg(holds("bad", file_a), "who is in quarantine stays");
    crash("m199", 1000400, hex_b);
    ck_assert(holds("m199", file_b));
}

UNIT_TEST(a_folder_that_cannot_be_written)
{
    crash("bad", 1000000, hex_a);
    ck_assert_int_eq(mkdir(temporary_path(folder, "." BLAME_FILE ".new"), 0700), 0);
    struct blame_book *book = begin(true);
    ck_assert_ptr_nonnull(blame_death(book));
    ck_assert_ptr_nonnull(strstr(blame_trouble(book), "cannot be written"));
    blame_read_again(book);
    blame_book_free(&book);
    rmdir(temporary_path(folder, "." BLAME_FILE ".new"));
    ck_assert_msg(!holds("bad", file_a), "it is the same record, and the first that is kept");
}

UNIT_TEST(a_quarantine_that_cannot_be_kept_is_in_force_for_this_run)
{
    crash("bad", 1000000, hex_a);
    ck_assert(!holds("bad", file_a));
    crash("bad", 1000001, hex_a);
    ck_assert_int_eq(mkdir(temporary_path(folder, "." BLAME_FILE ".new"), 0700), 0);
    struct blame_book *book = begin(true);
    ck_assert_ptr_nonnull(blame_of(book, "bad", file_a));
    blame_read_again(book);
    ck_assert_ptr_nonnull(blame_of(book, "bad", file_a));
    char error[512];
    blame_pardon(book, "bad");
    ck_assert(!blame_settle(book, true, error, sizeof(error)));
    ck_assert_ptr_nonnull(strstr(error, "cannot be written"));
    ck_assert_ptr_null(blame_of(book, "bad", file_a));
    blame_book_free(&book);
}

UNIT_TEST(no_folder)
{
    struct blame_book *book = blame_book_new(NULL);
    blame_begin(book, true);
    blame_read_again(book);
    ck_assert_ptr_null(blame_death(book));
    ck_assert_ptr_null(blame_of(book, "bad", file_a));
    blame_book_free(&book);
    blame_read_again(book);
    ck_assert_ptr_null(blame_death(book));
    ck_assert_ptr_null(blame_trouble(book));
    ck_assert_ptr_null(blame_of(book, "bad", file_a));
    ck_assert(blame_settle(book, true, NULL, 0));
    blame_book_free(&book);
}

UNIT_FIXTURE(set_up, tear_down);
