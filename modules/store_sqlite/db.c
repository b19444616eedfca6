/* SPDX-License-Identifier: MIT */
/*
 * The database on SQLite: opening with every check, setting aside what is damaged, migrations,
 * transactions.
 *
 * The connection holds the file's lock for as long as it is open (locking_mode EXCLUSIVE), so that
 * two Weirs never share one; SQLite then keeps the log's index in memory, and there is no -shm file
 * that could be damaged. synchronous FULL: a commit returns once it is on disk.
 */
#include "db.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "wal.h"

/* "Weir" in the file's header, so that no other program's database is taken for ours. */
#define APPLICATION_ID 0x57656972

enum statement { BEGIN, COMMIT, ROLLBACK, PUT, REMOVE, ASCEND, DESCEND, STATEMENT_COUNT };

static const char *const statement_texts[STATEMENT_COUNT] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [PUT] = "INSERT INTO entries (space, key, value) VALUES (?1, ?2, ?3)"
            " ON CONFLICT (space, key) DO UPDATE SET value = excluded.value",
    [REMOVE] = "DELETE FROM entries WHERE space = ?1 AND key = ?2",
    [ASCEND] = "SELECT key, value FROM entries WHERE space = ?1 AND (?2 IS NULL OR key >= ?2)"
               " ORDER BY key",
    [DESCEND] = "SELECT key, value FROM entries WHERE space = ?1 AND (?2 IS NULL OR key <= ?2)"
                " ORDER BY key DESC",
};

struct db {
    sqlite3 *handle;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    enum db_status failed; /* of the running transaction */
    char error[256];
};

/* Step i brings version i to i + 1. Each runs in one transaction with the change of
 * user_version. */
static const char *const migrations[DB_VERSION] = {
    "CREATE TABLE entries (space TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL,"
    " PRIMARY KEY (space, key)) WITHOUT ROWID",
};

/* ---- errors ---- */

/* What the system said to the last call. SQLite keeps it for some failures only, not for a
 * commit's; it is in errno then, which `run` and its like have cleared before. */
static int system_error(sqlite3 *handle)
{
    int kept = sqlite3_system_errno(handle);
    return kept != 0 ? kept : errno;
}

static enum db_status translate(int code, int error)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW: return DB_OK;
    case SQLITE_FULL: return DB_FULL;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return DB_LOCKED;
    case SQLITE_READONLY:
    case SQLITE_PERM: return DB_READ_ONLY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return DB_DAMAGED;
    case SQLITE_CANTOPEN:
        return error == EACCES || error == EROFS || error == EPERM ? DB_READ_ONLY : DB_FAILED;
    /* A limit on the size of files, or a quota, is a full disk by another name. */
    case SQLITE_IOERR:
        return error == ENOSPC || error == EFBIG || error == EDQUOT ? DB_FULL : DB_FAILED;
    default: return DB_FAILED;
    }
}

static enum db_status keep_error(struct db *db, int code)
{
    int primary = code & 0xff;
    int error =
        primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN ? system_error(db->handle) : 0;
    enum db_status status = translate(code, error);

    if (status != DB_OK) {
        snprintf(db->error, sizeof(db->error), "%s%s%s", sqlite3_errmsg(db->handle),
                 error != 0 ? ": " : "", error != 0 ? strerror(error) : "");
    }
    return status;
}

const char *db_error(const struct db *db)
{
    return db->error;
}

/* ---- statements ---- */

static enum db_status run_text(struct db *db, const char *text)
{
    errno = 0;
    return keep_error(db, sqlite3_exec(db->handle, text, NULL, NULL, NULL));
}

/* Runs a prepared statement that gives no rows. */
static enum db_status run(struct db *db, enum statement which)
{
    sqlite3_stmt *statement = db->statements[which];
    errno = 0;
    enum db_status status = keep_error(db, sqlite3_step(statement));

    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return status;
}

/* The first row's first column of a query, as text. */
static enum db_status query(struct db *db, const char *text, char *out, size_t size)
{
    sqlite3_stmt *statement = NULL;
    errno = 0;
    int code = sqlite3_prepare_v2(db->handle, text, -1, &statement, NULL);

    out[0] = '\0';
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
        const char *value =
            code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
        snprintf(out, size, "%s", value != NULL ? value : "");
    }
    enum db_status status = keep_error(db, code);
    sqlite3_finalize(statement);
    return status;
}

static enum db_status query_number(struct db *db, const char *text, int *out)
{
    char value[32];
    enum db_status status = query(db, text, value, sizeof(value));

    *out = atoi(value);
    return status;
}

/* ---- opening ---- */

static void close_handle(struct db *db)
{
    for (size_t i = 0; i < STATEMENT_COUNT; i++) {
        sqlite3_finalize(db->statements[i]);
        db->statements[i] = NULL;
    }
    sqlite3_close(db->handle);
    db->handle = NULL;
}

static enum db_status check_integrity(struct db *db)
{
    char result[200];
    enum db_status status = query(db, "PRAGMA integrity_check(1)", result, sizeof(result));

    if (status == DB_OK && strcmp(result, "ok") != 0) {
        snprintf(db->error, sizeof(db->error), "%s", result);
        status = DB_DAMAGED;
    }
    return status;
}

static enum db_status migrate(struct db *db, int from)
{
    enum db_status status = run_text(db, "BEGIN IMMEDIATE");

    for (int version = from; status == DB_OK && version < DB_VERSION; version++) {
        status = run_text(db, migrations[version]);
    }
    if (status == DB_OK) {
        char text[96];
        snprintf(text, sizeof(text), "PRAGMA user_version = %d; PRAGMA application_id = %d",
                 DB_VERSION, APPLICATION_ID);
        status = run_text(db, text);
    }
    if (status == DB_OK) {
        status = run_text(db, "COMMIT");
    }
    if (status != DB_OK) {
        char error[sizeof(db->error)];
        memcpy(error, db->error, sizeof(error));
        sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
        memcpy(db->error, error, sizeof(error));
    }
    return status;
}

/* Brings the schema up to date, and refuses what is not ours. */
static enum db_status check_schema(struct db *db, struct db_report *report)
{
    int version = 0;
    int application = 0;
    int tables = 0;
    enum db_status status = query_number(db, "PRAGMA user_version", &version);

    status = status == DB_OK ? query_number(db, "PRAGMA application_id", &application) : status;
    status =
        status == DB_OK ? query_number(db, "SELECT count(*) FROM sqlite_master", &tables) : status;
    if (status != DB_OK) {
        return status;
    }
    if ((tables > 0 || version > 0) && application != APPLICATION_ID) {
        snprintf(db->error, sizeof(db->error), "it is another program's database");
        return DB_FAILED;
    }
    if (version > DB_VERSION) {
        snprintf(db->error, sizeof(db->error),
                 "it was written by a newer Weir (schema %d, this one knows %d)", version,
                 DB_VERSION);
        return DB_NEWER;
    }
    if (version < DB_VERSION) {
        report->migrated_from = version > 0 ? version : -1;
        status = migrate(db, version);
    }
    return status;
}

static enum db_status prepare(struct db *db)
{
    enum db_status status = DB_OK;

    for (size_t i = 0; i < STATEMENT_COUNT && status == DB_OK; i++) {
        status =
            keep_error(db, sqlite3_prepare_v3(db->handle, statement_texts[i], -1,
                                              SQLITE_PREPARE_PERSISTENT, &db->statements[i], NULL));
    }
    return status;
}

static enum db_status keep_errno(struct db *db)
{
    int error = errno;

    snprintf(db->error, sizeof(db->error), "%s", strerror(error));
    return error == EACCES || error == EROFS || error == EPERM ? DB_READ_ONLY
           : error == ENOSPC || error == EDQUOT                ? DB_FULL
                                                               : DB_FAILED;
}

/* The file exists with mode 0600 before SQLite, which goes by the umask, would make it. One that is
 * there is not opened: closing it would drop the locks that this process may have on it (POSIX). */
static enum db_status make_file(struct db *db, const char *path)
{
    struct stat info;

    if (lstat(path, &info) == 0) {
        if (!S_ISREG(info.st_mode)) {
            snprintf(db->error, sizeof(db->error), "it is no plain file");
            return DB_FAILED;
        }
        if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) != 0) {
            return keep_errno(
                db); /* SQLite would fail later, with an obscure message about its log */
        }
        return (info.st_mode & 0077) != 0 && chmod(path, 0600) != 0 ? keep_errno(db) : DB_OK;
    }
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return keep_errno(db);
    }
    close(fd);
    return DB_OK;
}

/* file:PATH?immutable=1, PATH with what a URI means otherwise as %XX. */
static void make_uri(char *out, size_t size, const char *path)
{
    size_t at = (size_t)snprintf(out, size, "file:");

    for (; *path != '\0' && at + 32 < size; path++) {
        at += (size_t)snprintf(out + at, size - at, strchr("%?#", *path) != NULL ? "%%%02X" : "%c",
                               *path);
    }
    snprintf(out + at, size - at, "?immutable=1");
}

/* Opens what cannot be written. SQLite then cannot read a log either: what is only there is
 * missed, and so such a file is refused. */
static enum db_status open_for_reading(struct db *db, const char *path, struct db_report *report)
{
    char name[3 * 4200];
    struct stat info;

    snprintf(name, sizeof(name), "%s-wal", path);
    if (stat(name, &info) == 0 && info.st_size > 0) {
        size_t len = strlen(db->error); /* why it cannot be written */
        snprintf(db->error + len, sizeof(db->error) - len,
                 "; so its log, which a crash has left, cannot be taken over");
        return DB_READ_ONLY;
    }
    make_uri(name, sizeof(name), path);
    enum db_status status = keep_error(
        db, sqlite3_open_v2(name, &db->handle,
                            SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL));
    status = status == DB_OK ? check_integrity(db) : status;
    status = status == DB_OK ? check_schema(db, report) : status;
    return status == DB_OK ? prepare(db) : status;
}

static enum db_status open_file(struct db *db, const char *path, struct db_report *report)
{
    char mode[16];
    enum db_status status = make_file(db, path);

    if (status != DB_OK) {
        return status;
    }
    int code =
        sqlite3_open_v2(path, &db->handle,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, NULL);
    if (db->handle == NULL) {
        snprintf(db->error, sizeof(db->error), "no memory left");
        return DB_FAILED;
    }
    status = keep_error(db, code);
    /* Time for another Weir that is ending to release its lock. */
    sqlite3_busy_timeout(db->handle, 1000);
    sqlite3_limit(db->handle, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    if (status == DB_OK) {
        status = run_text(db, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA cell_size_check = ON");
    }
    if (status == DB_OK) {
        status = query(db, "PRAGMA journal_mode = WAL", mode, sizeof(mode));
    }
    if (status == DB_OK && strcmp(mode, "wal") != 0) {
        snprintf(db->error, sizeof(db->error), "it takes no write-ahead log (%s)", mode);
        status = DB_FAILED;
    }
    if (status == DB_OK) {
        status = run_text(db, "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 256");
    }
    status = status == DB_OK ? check_integrity(db) : status;
    status = status == DB_OK ? check_schema(db, report) : status;
    return status == DB_OK ? prepare(db) : status;
}

/* ---- setting aside ---- */

/* Makes renames in the file's folder durable. */
static void sync_folder(const char *path)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');

    snprintf(folder, sizeof(folder), "%.*s", slash != NULL ? (int)(slash - path) + 1 : 1,
             slash != NULL ? path : ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

/* Renames the file and its log to names that nothing has yet; the file last, so that a crash
 * between leaves no log beside a file that it does not belong to. */
static bool set_aside(const char *path, struct db_report *report, char *error, size_t size)
{
    static const char *const endings[] = {"-shm", "-wal", ""};
    char stamp[32];
    char from[4200];
    char to[4200];
    time_t now = time(NULL);
    struct tm parts;

    gmtime_r(&now, &parts);
    strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &parts);
    snprintf(report->set_aside, sizeof(report->set_aside), "%s.damaged-%s", path, stamp);
    for (int i = 1; access(report->set_aside, F_OK) == 0 && i < 1000; i++) {
        snprintf(report->set_aside, sizeof(report->set_aside), "%s.damaged-%s-%d", path, stamp, i);
    }
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        snprintf(from, sizeof(from), "%s%s", path, endings[i]);
        snprintf(to, sizeof(to), "%s%s", report->set_aside, endings[i]);
        if (rename(from, to) != 0 && errno != ENOENT) {
            snprintf(error, size, "it is damaged (%s), and could not be set aside: %s",
                     report->damage, strerror(errno));
            return false;
        }
    }
    sync_folder(path);
    return true;
}

/* Whether another process has the file open: a log that grows while it is read may look damaged. */
static bool is_locked(const char *path)
{
    /* SQLite's PENDING byte, and the shared ones behind it. */
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0x40000000, .l_len = 512};
    int fd = open(path, O_RDWR | O_CLOEXEC);
    bool locked = fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;

    if (fd >= 0) {
        close(fd);
    }
    return locked;
}

static bool log_is_damaged(const char *path, char *why, size_t size)
{
    char wal[4200];

    snprintf(wal, sizeof(wal), "%s-wal", path);
    return wal_is_damaged(wal, why, size) && !is_locked(path);
}

/* Opens the file as it is; what is damaged is said, and left. */
static enum db_status look_and_open(struct db *db, const char *path, struct db_report *report)
{
    enum db_status status = DB_DAMAGED;

    if (!log_is_damaged(path, db->error, sizeof(db->error))) {
        status = open_file(db, path, report);
    }
    if (status == DB_READ_ONLY) {
        char error[sizeof(db->error)];
        memcpy(error, db->error, sizeof(error));
        close_handle(db);
        status = open_for_reading(db, path, report);
        report->reading_alone = status == DB_OK;
        if (status == DB_OK || status == DB_FAILED) {
            memcpy(db->error, error, sizeof(error));
            status = status == DB_OK ? DB_OK : DB_READ_ONLY;
        }
    }
    return status;
}

struct db *db_open(const char *path, enum db_status *status, struct db_report *report)
{
    struct db *db = calloc(1, sizeof(*db));

    memset(report, 0, sizeof(*report));
    report->migrated_from = -1;
    *status = DB_FAILED;
    if (db == NULL || strlen(path) > 4000) {
        snprintf(report->error, sizeof(report->error),
                 db == NULL ? "no memory left" : "the path is too long");
        free(db);
        return NULL;
    }
    *status = look_and_open(db, path, report);
    if (*status == DB_DAMAGED) {
        memcpy(report->damage, db->error, sizeof(report->damage));
        close_handle(db);
        if (set_aside(path, report, report->error, sizeof(report->error))) {
            *status = open_file(db, path, report);
        } else {
            free(db);
            return NULL;
        }
    }
    if (*status != DB_OK || report->reading_alone) {
        snprintf(report->error, sizeof(report->error), "%s", db->error);
    }
    if (*status != DB_OK) {
        db_close(&db);
    }
    return db;
}

void db_close(struct db **db)
{
    if (*db != NULL) {
        close_handle(*db);
        free(*db);
        *db = NULL;
    }
}

/* ---- transactions ---- */

void db_begin(struct db *db)
{
    db->failed = run(db, BEGIN);
}

static void bind_key(sqlite3_stmt *statement, const char *space, const void *key, size_t key_len)
{
    sqlite3_bind_text(statement, 1, space, -1, SQLITE_STATIC);
    /* A pointer that is NULL would bind NULL, which is no key. */
    sqlite3_bind_blob64(statement, 2, key_len > 0 ? key : "", key_len, SQLITE_STATIC);
}

void db_put(struct db *db, const char *space, const void *key, size_t key_len, const void *value,
            size_t value_len)
{
    if (db->failed != DB_OK) {
        return;
    }
    bind_key(db->statements[PUT], space, key, key_len);
    sqlite3_bind_blob64(db->statements[PUT], 3, value_len > 0 ? value : "", value_len,
                        SQLITE_STATIC);
    db->failed = run(db, PUT);
}

void db_remove(struct db *db, const char *space, const void *key, size_t key_len)
{
    if (db->failed == DB_OK) {
        bind_key(db->statements[REMOVE], space, key, key_len);
        db->failed = run(db, REMOVE);
    }
}

enum db_status db_commit(struct db *db)
{
    enum db_status status = db->failed;

    if (status == DB_OK) {
        status = run(db, COMMIT);
    }
    if (status != DB_OK) {
        db_rollback(db);
    }
    return status;
}

void db_rollback(struct db *db)
{
    char error[sizeof(db->error)];

    memcpy(error, db->error, sizeof(error));
    /* SQLite may have rolled it back by itself. */
    if (!sqlite3_get_autocommit(db->handle)) {
        run(db, ROLLBACK);
    }
    memcpy(db->error, error, sizeof(error));
    db->failed = DB_OK;
}

enum db_status db_each(struct db *db, const char *space, const void *from, size_t from_len,
                       bool descending, db_each_fn fn, void *arg)
{
    sqlite3_stmt *statement = db->statements[descending ? DESCEND : ASCEND];
    bool more = true;
    int code = SQLITE_ROW;

    sqlite3_bind_text(statement, 1, space, -1, SQLITE_STATIC);
    if (from != NULL) {
        sqlite3_bind_blob64(statement, 2, from, from_len, SQLITE_STATIC);
    }
    while (more && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        more =
            fn(arg, sqlite3_column_blob(statement, 0), (size_t)sqlite3_column_bytes(statement, 0),
               sqlite3_column_blob(statement, 1), (size_t)sqlite3_column_bytes(statement, 1));
    }
    enum db_status status = keep_error(db, code);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return status;
}
