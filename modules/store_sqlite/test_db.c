/* SPDX-License-Identifier: MIT */
/*
 * The database: what is committed stays, through damage, full disks, other processes and SIGKILL.
 */
#define _GNU_SOURCE
#include "test_store_sqlite.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include "db.h"

/* ---- a folder of the test's own ---- */

static char folder[256];
static char path_of[512];
static char found[1024];

const char *scratch_begin(const char *name)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof(folder), "%s/weir-store.XXXXXX", tmp != NULL ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path_of, sizeof(path_of), "%s/%s", folder, name);
    return path_of;
}

void scratch_end(void)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry = NULL;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char path[600];
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.') {
            unlink(path);
        }
    }
    closedir(dir);
    rmdir(folder);
}

const char *scratch_find(const char *part)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry = NULL;
    bool has = false;
    while (!has && dir != NULL && (entry = readdir(dir)) != NULL) {
        has = strstr(entry->d_name, part) != NULL;
        if (has) {
            snprintf(found, sizeof(found), "%s/%s", folder, entry->d_name);
        }
    }
    closedir(dir);
    return has ? found : NULL;
}

/* ---- short names ---- */

static struct db *open_db(const char *path)
{
    struct db_report report;
    enum db_status status = DB_OK;
    struct db *db = db_open(path, &status, &report);
    ck_assert_msg(db != NULL, "%s", report.error);
    ck_assert_msg(report.damage[0] == '\0', "set aside: %s", report.damage);
    return db;
}

static void put(struct db *db, const char *key, const char *value)
{
    db_put(db, "t", key, strlen(key), value, strlen(value));
}

static void put_one(struct db *db, const char *key, const char *value)
{
    db_begin(db);
    put(db, key, value);
    ck_assert_int_eq(db_commit(db), DB_OK);
}

static bool append(void *arg, const void *key, size_t key_len, const void *value, size_t value_len)
{
    char *out = arg;
    sprintf(out + strlen(out), "%.*s=%.*s ", (int)key_len, (const char *)key, (int)value_len,
            (const char *)value);
    return true;
}

static const char *all(struct db *db)
{
    static char text[65536];
    text[0] = '\0';
    ck_assert_int_eq(db_each(db, "t", NULL, 0, false, append, text), DB_OK);
    return text;
}

static void expect(const char *path, const char *content)
{
    struct db *db = open_db(path);
    ck_assert_str_eq(all(db), content);
    db_close(&db);
}

/* ---- what it is for ---- */

UNIT_TEST(what_is_committed_stays)
{
    const char *path = scratch_begin("weir.db");
    struct stat info;
    char text[200] = "";
    struct db *db = open_db(path);
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_int_eq(info.st_mode & 0777, 0600);
    db_begin(db);
    put(db, "b", "2");
    put(db, "a", "1");
    put(db, "c", "");
    db_put(db, "other", "x", 1, "y", 1);
    ck_assert_int_eq(db_commit(db), DB_OK);
    db_begin(db);
    put(db, "a", "9");
    db_remove(db, "t", "b", 1);
    db_rollback(db);
    ck_assert_str_eq(all(db), "a=1 b=2 c= ");
    db_begin(db);
    put(db, "a", "3");
    db_remove(db, "t", "c", 1);
    ck_assert_int_eq(db_commit(db), DB_OK);
    db_begin(db);
    put(db, "lost", "1");
    db_close(&db);
    ck_assert_ptr_null(db);
    expect(path, "a=3 b=2 ");
    db = open_db(path);
    db_each(db, "t", NULL, 0, true, append, text);
    ck_assert_str_eq(text, "b=2 a=3 ");
    text[0] = '\0';
    db_each(db, "t", "b", 1, true, append, text);
    ck_assert_str_eq(text, "b=2 a=3 ");
    text[0] = '\0';
    db_each(db, "t", "a0", 2, false, append, text);
    ck_assert_str_eq(text, "b=2 ");
    db_close(&db);
    scratch_end();
}

/* ---- damage ---- */

/* A database with many pages, some of them in the log alone where `in_log`. */
static void make_file(const char *path, bool in_log)
{
    char value[400];
    struct db *db = open_db(path);
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    for (int i = 0; i < 60; i++) {
        char key[16];
        snprintf(key, sizeof(key), "%03d", i);
        put_one(db, key, value);
    }
    /* Only a process that is killed leaves a log behind. */
    if (in_log) {
        _exit(0);
    }
    db_close(&db);
}

static void make_file_with_log(const char *path)
{
    pid_t child = fork();
    if (child == 0) {
        make_file(path, true);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void overwrite(const char *path, off_t at, const char *bytes, size_t len)
{
    int fd = open(path, O_WRONLY);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, bytes, len, at), (ssize_t)len);
    close(fd);
}

/* Opens a damaged file: it is set aside, and a fresh one works. */
static void expect_set_aside(const char *path)
{
    struct db_report report;
    enum db_status status = DB_OK;
    struct db *db = db_open(path, &status, &report);
    ck_assert_msg(db != NULL, "%s", report.error);
    ck_assert_str_ne(report.damage, "");
    ck_assert_int_eq(access(report.set_aside, F_OK), 0);
    ck_assert_ptr_nonnull(strstr(report.set_aside, ".damaged-"));
    ck_assert_str_eq(all(db), "");
    put_one(db, "new", "1");
    db_close(&db);
    expect(path, "new=1 ");
}

UNIT_LOOP_TEST(damaged_files_are_set_aside, 6)
{
    static const char garbage[64] = "this is not what stood here, and nobody can read it any more";
    const char *path = scratch_begin("weir.db");
    make_file(path, false);
    switch (_i) {
    case 0: overwrite(path, 0, garbage, 64); break;           /* the header */
    case 1: overwrite(path, 4096, garbage, 64); break;        /* a page's head */
    case 2: ck_assert_int_eq(truncate(path, 5000), 0); break; /* cut */
    case 3: overwrite(path, 3 * 4096, garbage, 64); break;
    case 4: overwrite(path, 100, garbage, 64); break; /* the schema */
    default: ck_assert_int_eq(truncate(path, 10), 0); break;
    }
    expect_set_aside(path);
    scratch_end();
}

UNIT_LOOP_TEST(damaged_logs_are_set_aside, 3)
{
    static const char garbage[64] = "garbage";
    char wal[600];
    struct stat info;
    const char *path = scratch_begin("weir.db");
    make_file_with_log(path);
    snprintf(wal, sizeof(wal), "%s-wal", path);
    ck_assert_int_eq(stat(wal, &info), 0);
    ck_assert_int_gt(info.st_size, 40000);
    overwrite(wal, _i == 0 ? 0 : _i == 1 ? 5000 : info.st_size / 2, garbage, 64);
    expect_set_aside(path);
    ck_assert_ptr_nonnull(scratch_find(".damaged-"));
    scratch_end();
}

/* A log whose end was being written when the power went: what was acknowledged is there. */
UNIT_TEST(unfinished_logs_are_taken)
{
    char wal[600];
    const char *path = scratch_begin("weir.db");
    make_file_with_log(path);
    snprintf(wal, sizeof(wal), "%s-wal", path);
    struct stat info;
    ck_assert_int_eq(stat(wal, &info), 0);
    int fd = open(wal, O_WRONLY | O_APPEND);
    char torn[6000];
    memset(torn, 0x5a, sizeof(torn));
    ck_assert_int_eq(write(fd, torn, sizeof(torn)), (ssize_t)sizeof(torn));
    close(fd);
    struct db *db = open_db(path);
    ck_assert_ptr_nonnull(strstr(all(db), "000=v"));
    db_close(&db);
    ck_assert_ptr_null(scratch_find("damaged"));
    scratch_end();
}

UNIT_TEST(stray_shm_does_no_harm)
{
    char shm[600];
    const char *path = scratch_begin("weir.db");
    make_file_with_log(path);
    snprintf(shm, sizeof(shm), "%s-shm", path);
    int fd = open(shm, O_CREAT | O_WRONLY, 0600);
    ck_assert_int_eq(write(fd, path, 20), 20);
    close(fd);
    struct db *db = open_db(path);
    ck_assert_ptr_nonnull(strstr(all(db), "000=v"));
    db_close(&db);
    scratch_end();
}

/* ---- versions ---- */

static void run_sql(const char *path, const char *sql)
{
    sqlite3 *handle = NULL;
    ck_assert_int_eq(sqlite3_open(path, &handle), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(handle);
}

static void expect_refused(const char *path, enum db_status wanted, const char *text)
{
    struct db_report report;
    enum db_status status = DB_OK;
    ck_assert_ptr_null(db_open(path, &status, &report));
    ck_assert_msg(status == wanted, "status %d: %s", (int)status, report.error);
    ck_assert_msg(strstr(report.error, text) != NULL, "%s", report.error);
}

UNIT_TEST(newer_and_foreign_files_are_left_alone)
{
    const char *path = scratch_begin("weir.db");
    make_file(path, false);
    run_sql(path, "PRAGMA user_version = 99");
    expect_refused(path, DB_NEWER, "newer Weir (schema 99");
    unlink(path);
    run_sql(path, "CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)");
    expect_refused(path, DB_FAILED, "another program's");
    ck_assert_ptr_null(scratch_find("damaged"));
    run_sql(path, "SELECT * FROM theirs");
    scratch_end();
}

/* ---- other processes ---- */

UNIT_TEST(another_process_is_told)
{
    const char *path = scratch_begin("weir.db");
    int ready[2];
    ck_assert_int_eq(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        struct db *db = open_db(path);
        put_one(db, "theirs", "1");
        ck_assert_int_eq(write(ready[1], "x", 1), 1);
        for (;;) {
            pause();
        }
    }
    char c = 0;
    ck_assert_int_eq(read(ready[0], &c, 1), 1);
    expect_refused(path, DB_LOCKED, "locked");
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    expect(path, "theirs=1 ");
    close(ready[0]);
    close(ready[1]);
    scratch_end();
}

/* On a file system that is mounted for reading, where root cannot write either: after a crash,
 * the log cannot be taken over, and the message is of that. */
UNIT_LOOP_TEST(read_only_file_systems_are_told, 2)
{
    const char *path = scratch_begin("weir.db");
    if (_i == 0) {
        make_file_with_log(path);
    } else {
        make_file(path, false);
    }
    pid_t child = fork();
    if (child == 0) {
        struct db_report report;
        enum db_status status = DB_OK;
        if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
            mount(folder, folder, NULL, MS_BIND, NULL) != 0 ||
            mount(NULL, folder, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) != 0) {
            _exit(0); /* not allowed here */
        }
        struct db *db = db_open(path, &status, &report);
        ck_assert_int_eq(db == NULL, _i == 0);
        ck_assert_int_eq(status, _i == 0 ? DB_READ_ONLY : DB_OK);
        ck_assert_ptr_nonnull(strstr(report.error, "Read-only file system"));
        ck_assert_int_eq(strstr(report.error, "its log") != NULL, _i == 0);
        db_close(&db);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
    scratch_end();
}

UNIT_LOOP_TEST(read_only_folders_are_told, 2)
{
    const char *path = scratch_begin("weir.db");
    make_file(path, false);
    if (getuid() == 0) {
        ck_assert_int_eq(chown(path, 65534, 65534), 0);
    }
    ck_assert_int_eq(chmod(folder, _i == 0 ? 0555 : 0755), 0);
    ck_assert_int_eq(chmod(path, _i == 0 ? 0600 : 0400), 0);
    if (_i == 1 && getuid() == 0) {
        ck_assert_int_eq(chown(path, 0, 0), 0);
        ck_assert_int_eq(chmod(path, 0444), 0);
    }
    pid_t child = fork();
    if (child == 0) {
        if (getuid() == 0 && setuid(65534) != 0) {
            _exit(2);
        }
        struct db_report report;
        enum db_status status = DB_OK;
        struct db *db = db_open(path, &status, &report);
        ck_assert_msg(db != NULL, "%s", report.error);
        ck_assert(report.reading_alone);
        ck_assert_ptr_nonnull(strstr(all(db), "000=v"));
        db_begin(db);
        put(db, "new", "1");
        ck_assert_int_eq(db_commit(db), DB_READ_ONLY);
        db_close(&db);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
    chmod(folder, 0755);
    scratch_end();
}

/* ---- full ---- */

/* Files may grow to `limit` bytes and no further, as on a full disk. */
static void limit_files(rlim_t limit)
{
    struct rlimit rlimit = {limit, RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &rlimit), 0);
}

UNIT_TEST(a_full_disk_loses_nothing_and_passes)
{
    char value[2000];
    char key[16];
    const char *path = scratch_begin("weir.db");
    signal(SIGXFSZ, SIG_IGN);
    memset(value, 'x', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    struct db *db = open_db(path);
    put_one(db, "000", "first");
    limit_files(200 * 1024);
    int good = 0;
    enum db_status status = DB_OK;
    for (int i = 1; status == DB_OK && i < 500; i++) {
        snprintf(key, sizeof(key), "%03d", i);
        db_begin(db);
        put(db, key, value);
        status = db_commit(db);
        good += status == DB_OK;
    }
    ck_assert_msg(status == DB_FULL, "%d: %s", (int)status, db_error(db));
    ck_assert_int_gt(good, 5);
    limit_files(RLIM_INFINITY);
    put_one(db, "after", "1");
    db_close(&db);
    struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
    setrlimit(RLIMIT_FSIZE, &none);
    db = open_db(path);
    static char text[600 * 2100];
    text[0] = '\0';
    ck_assert_int_eq(db_each(db, "t", NULL, 0, false, append, text), DB_OK);
    int count = 0;
    for (const char *at = text; (at = strchr(at, '=')) != NULL; at++) {
        count++;
    }
    ck_assert_int_eq(count, good + 2);
    db_close(&db);
    scratch_end();
}

/* ---- SIGKILL ---- */

/* Commits numbers, each a transaction of two entries, and tells each one once it is committed. */
static void commit_for_ever(const char *path, int out)
{
    struct db *db = open_db(path);
    for (uint32_t i = 1;; i++) {
        char number[16];
        snprintf(number, sizeof(number), "%06u", i);
        db_begin(db);
        put(db, number, "a");
        db_put(db, "second", number, strlen(number), "b", 1);
        if (db_commit(db) != DB_OK || write(out, &i, sizeof(i)) != sizeof(i)) {
            _exit(1);
        }
    }
}

static bool count_entries(void *arg, const void *key, size_t key_len, const void *value,
                          size_t value_len)
{
    uint32_t *count = arg;
    char number[16];
    (void)value;
    (void)value_len;
    snprintf(number, sizeof(number), "%06u", *count + 1);
    ck_assert_uint_eq(key_len, 6);
    ck_assert_mem_eq(key, number, 6);
    (*count)++;
    return true;
}

UNIT_LOOP_TEST(sigkill_loses_nothing_acknowledged, 12)
{
    const char *path = scratch_begin("weir.db");
    int told[2];
    uint32_t last = 0;
    uint32_t number = 0;
    uint32_t first = 0;
    uint32_t second = 0;
    ck_assert_int_eq(pipe(told), 0);
    pid_t child = fork();
    if (child == 0) {
        close(told[0]);
        commit_for_ever(path, told[1]);
    }
    close(told[1]);
    /* Wherever it is by then: in the middle of a commit, mostly. */
    for (int i = 0; i < 20 + _i * 13; i++) {
        ck_assert_int_eq(read(told[0], &last, sizeof(last)), (ssize_t)sizeof(last));
    }
    usleep((useconds_t)(_i * 137));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    while (read(told[0], &number, sizeof(number)) == (ssize_t)sizeof(number)) {
        last = number;
    }
    close(told[0]);
    struct db *db = open_db(path);
    db_each(db, "t", NULL, 0, false, count_entries, &first);
    db_each(db, "second", NULL, 0, false, count_entries, &second);
    ck_assert_uint_eq(first, second);
    /* The one that was running may be there or not. */
    ck_assert_msg(first == last || first == last + 1, "%u told, %u there", last, first);
    db_close(&db);
    scratch_end();
}

UNIT_TIMEOUT(60);
