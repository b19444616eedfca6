/* SPDX-License-Identifier: MIT */
/*
 * The book of blame. See blame.h. It looks so:
 *   {"last":"SHA-256 of the newest record","modules":{"balance_x":{"file":"SHA-256","since":0,
 *    "faults":[{"time":1764500000,"what":"SIGSEGV","hook":"pick","place":"pool web balance 1"}]}}}
 * Each file of a module has an entry; all but one have "module":"balance_x", and any name.
 */
#include "module/blame.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/file_open.h"

#define FILE_MOST    ((size_t)64 << 10)
#define MODULES_MOST 64u

struct blame_book {
    char *folder;          /* NULL: none */
    char last[65];         /* the record that was booked last; empty: none */
    struct blame *modules; /* MODULES_MOST */
    size_t count;
    char pardoned[64]; /* empty: nobody */
    struct blame_death death;
    bool died;   /* `death` is set */
    bool unkept; /* it could not be written, and the file is older */
    char trouble[512];
};

struct blame_book *blame_book_new(const char *folder)
{
    struct blame_book *book = base_zalloc(sizeof(*book));

    book->folder = folder != NULL ? base_strdup(folder) : NULL;
    book->modules = base_zalloc(MODULES_MOST * sizeof(*book->modules));
    return book;
}

void blame_book_free(struct blame_book **book)
{
    if (*book != NULL) {
        free((*book)->folder);
        free((*book)->modules);
        free(*book);
        *book = NULL;
    }
}

/* ---- what files say ---- */

static void take_text(const cJSON *object, const char *name, char *out, size_t size)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    size_t len = 0;

    for (; text != NULL && text[len] != '\0' && len + 1 < size; len++) {
        out[len] = text[len] >= 0x20 && text[len] < 0x7f ? text[len] : '?';
    }
    out[len] = '\0';
}

/* false: it is no time. */
static bool take_time(const cJSON *object, const char *name, int64_t *time_s)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble < 1e12)) {
        return false;
    }
    *time_s = (int64_t)item->valuedouble;
    return true;
}

static bool is_module(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len < sizeof(((struct blame *)0)->module) &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

static bool take_fault(const cJSON *object, struct blame_fault *fault)
{
    *fault = (struct blame_fault){0};
    take_text(object, "what", fault->what, sizeof(fault->what));
    take_text(object, "hook", fault->hook, sizeof(fault->hook));
    take_text(object, "place", fault->place, sizeof(fault->place));
    return take_time(object, "time", &fault->time_s);
}

/* The file's text, for the caller to free; NULL: there is none, or (trouble) it is of no use. */
static char *read_file(struct blame_book *book, const char *name, size_t *len)
{
    const char *why = NULL;
    char *path = base_printf("%s/%s", book->folder, name);
    char *text = NULL;

    errno = 0;
    int fd = file_open(path, &why);

    if (fd != -1) {
        text = file_read(fd, FILE_MOST, len);
        why = text == NULL ? strerror(errno) : NULL;
        close(fd);
    } else if (errno == ENOENT) {
        why = NULL;
    }
    if (why != NULL) {
        snprintf(book->trouble, sizeof(book->trouble), "%s cannot be read: %s", path, why);
    }
    free(path);
    return text;
}

static void no_sense(struct blame_book *book, const char *name)
{
    snprintf(book->trouble, sizeof(book->trouble), "%s/%s makes no sense; it is passed over",
             book->folder, name);
}

/* ---- the book ---- */

/* The module's next one after `entry` (NULL: its first). */
static struct blame *entry_after(const struct blame_book *book, const char *module,
                                 const struct blame *entry)
{
    for (size_t i = entry != NULL ? (size_t)(entry - book->modules) + 1 : 0; i < book->count; i++) {
        if (strcmp(book->modules[i].module, module) == 0) {
            return &book->modules[i];
        }
    }
    return NULL;
}

/* The one of the file; else one where either is not told. */
static struct blame *entry_of(const struct blame_book *book, const char *module, const char *file)
{
    struct blame *any = NULL, *entry = NULL;

    while ((entry = entry_after(book, module, entry)) != NULL) {
        if (strcmp(entry->file, file) == 0) {
            return entry;
        }
        any = any == NULL && (entry->file[0] == '\0' || file[0] == '\0') ? entry : any;
    }
    return any;
}

static void drop(struct blame_book *book, struct blame *entry)
{
    *entry = book->modules[--book->count];
}

/* Where there are too many, the one goes that was quiet the longest. */
static struct blame *entry_new(struct blame_book *book, const char *module)
{
    if (book->count == MODULES_MOST) {
        struct blame *oldest = &book->modules[0];
        for (size_t i = 1; i < book->count; i++) {
            struct blame *other = &book->modules[i];
            if ((other->since_s > 0) < (oldest->since_s > 0) ||
                ((other->since_s > 0) == (oldest->since_s > 0) &&
                 other->faults[0].time_s < oldest->faults[0].time_s)) {
                oldest = other;
            }
        }
        drop(book, oldest);
    }
    struct blame *entry = &book->modules[book->count++];
    *entry = (struct blame){0};
    snprintf(entry->module, sizeof(entry->module), "%s", module);
    return entry;
}

static void read_entry(struct blame_book *book, const cJSON *object)
{
    char name[sizeof(((struct blame *)0)->module)], file[sizeof(((struct blame *)0)->file)];
    const cJSON *fault = NULL;

    take_text(object, "module", name, sizeof(name));
    take_text(object, "file", file, sizeof(file));
    const char *module = name[0] != '\0' ? name : object->string;
    if (!is_module(module) || book->count == MODULES_MOST || entry_of(book, module, file) != NULL) {
        return;
    }
    struct blame *entry = entry_new(book, module);
    memcpy(entry->file, file, sizeof(file));
    take_time(object, "since", &entry->since_s);
    cJSON_ArrayForEach(fault, cJSON_GetObjectItemCaseSensitive(object, "faults"))
    {
        if (entry->count < BLAME_FAULTS && take_fault(fault, &entry->faults[entry->count])) {
            entry->count++;
        }
    }
    if (entry->count == 0) {
        drop(book, entry);
    }
}

void blame_read_again(struct blame_book *book)
{
    const cJSON *object = NULL;
    size_t len = 0;

    if (book == NULL || book->folder == NULL || book->unkept) {
        return;
    }
    book->trouble[0] = '\0';
    char *text = read_file(book, BLAME_FILE, &len);
    if (text == NULL && book->trouble[0] != '\0') {
        return; /* what is known stays */
    }
    cJSON *json = text != NULL ? cJSON_ParseWithLength(text, len) : NULL;
    if (text != NULL && !cJSON_IsObject(json)) {
        no_sense(book, BLAME_FILE);
    }
    book->count = 0;
    take_text(json, "last", book->last, sizeof(book->last));
    cJSON_ArrayForEach(object, cJSON_GetObjectItemCaseSensitive(json, "modules"))
    {
        if (cJSON_IsObject(object) && object->string != NULL) {
            read_entry(book, object);
        }
    }
    cJSON_Delete(json);
    free(text);
}

static char *print_book(const struct blame_book *book)
{
    cJSON *json = cJSON_CreateObject();

    cJSON_AddStringToObject(json, "last", book->last);
    cJSON *modules = cJSON_AddObjectToObject(json, "modules");
    for (size_t i = 0; i < book->count; i++) {
        const struct blame *entry = &book->modules[i];
        bool first = entry_after(book, entry->module, NULL) == entry;
        char *name = first ? base_strdup(entry->module)
                           : base_printf("%s %.16s", entry->module, entry->file);
        cJSON *object = cJSON_AddObjectToObject(modules, name);
        free(name);
        if (!first) {
            cJSON_AddStringToObject(object, "module", entry->module);
        }
        cJSON_AddStringToObject(object, "file", entry->file);
        cJSON_AddNumberToObject(object, "since", (double)entry->since_s);
        cJSON *faults = cJSON_AddArrayToObject(object, "faults");
        for (unsigned k = 0; k < entry->count; k++) {
            cJSON *fault = cJSON_CreateObject();
            cJSON_AddNumberToObject(fault, "time", (double)entry->faults[k].time_s);
            cJSON_AddStringToObject(fault, "what", entry->faults[k].what);
            cJSON_AddStringToObject(fault, "hook", entry->faults[k].hook);
            cJSON_AddStringToObject(fault, "place", entry->faults[k].place);
            cJSON_AddItemToArray(faults, fault);
        }
    }
    char *text = cJSON_Print(json);
    cJSON_Delete(json);
    ASSERT(text != NULL);
    return text;
}

/* To the disk, under a name that nobody reads. Root writes for whoever has the folder. */
static bool write_durably(int folder, const char *name, const char *text)
{
    struct stat owner;
    size_t len = strlen(text), at = 0;
    ssize_t n = 0;
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);

    if (fd == -1) {
        return false;
    }
    while (at < len && (n = write(fd, text + at, len - at)) > 0) {
        at += (size_t)n;
    }
    bool ok = at == len && fsync(fd) == 0 &&
              (geteuid() != 0 ||
               (fstat(folder, &owner) == 0 && fchown(fd, owner.st_uid, owner.st_gid) == 0));
    int why = errno;
    close(fd);
    errno = why;
    return ok;
}

/* Replaces the file, durably, or leaves it. false: errno. */
static bool write_book(struct blame_book *book)
{
    static const char staged[] = "." BLAME_FILE ".new";

    if (book->folder == NULL) {
        errno = ENOENT;
        return false;
    }
    int folder = open(book->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder == -1) {
        return false;
    }
    char *text = print_book(book);
    bool ok = write_durably(folder, staged, text) &&
              renameat(folder, staged, folder, BLAME_FILE) == 0 &&
              (fsync(folder) == 0 || errno == EINVAL);
    int why = errno;
    book->unkept = !ok;
    free(text);
    close(folder);
    errno = why;
    return ok;
}

/* ---- the record ---- */

/* Who was to blame, and of which file; false: it is no record. */
static bool take_record(const cJSON *record, struct blame_death *death, char file[65])
{
    char kind[16];

    *death = (struct blame_death){0};
    take_text(record, "kind", kind, sizeof(kind));
    take_text(record, "thread", death->thread, sizeof(death->thread));
    if (strcmp(kind, "signal") == 0) {
        take_text(record, "signal", death->fault.what, sizeof(death->fault.what));
    } else if (strcmp(kind, "stall") == 0) {
        memcpy(death->fault.what, kind, sizeof(kind));
    }
    if (death->fault.what[0] == '\0' || !take_time(record, "time", &death->fault.time_s)) {
        return false;
    }
    const cJSON *call = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(record, "calls"), 0);
    take_text(record, "file", file, 65);
    const char *module = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(call, "module"));
    if (module != NULL && is_module(module)) {
        memcpy(death->module, module, strlen(module) + 1);
    }
    take_text(call, "hook", death->fault.hook, sizeof(death->fault.hook));
    take_text(call, "place", death->fault.place, sizeof(death->fault.place));
    return true;
}

/* Clocks may be set back. */
static bool is_within(int64_t a, int64_t b)
{
    return (a > b ? a - b : b - a) <= BLAME_WINDOW_S;
}

static void note(struct blame_book *book, const struct blame_death *death, const char *file)
{
    struct blame *entry = entry_of(book, death->module, file);

    if (entry == NULL) { /* another file answers for itself */
        entry = entry_new(book, death->module);
    }
    if (file[0] != '\0') {
        memcpy(entry->file, file, sizeof(entry->file));
    }
    memmove(&entry->faults[1], &entry->faults[0], (BLAME_FAULTS - 1) * sizeof(entry->faults[0]));
    entry->faults[0] = death->fault;
    entry->count += entry->count < BLAME_FAULTS;
    if (entry->since_s == 0 && entry->count == BLAME_FAULTS &&
        is_within(entry->faults[0].time_s, entry->faults[BLAME_FAULTS - 1].time_s)) {
        entry->since_s = (int64_t)time(NULL);
    }
}

static void hex(const uint8_t digest[32], char out[65])
{
    for (size_t i = 0; i < 32; i++) {
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    }
}

void blame_begin(struct blame_book *book, bool keep)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    char name[65], file[65];
    size_t len = 0;

    blame_read_again(book);
    char *text = book->folder != NULL ? read_file(book, CRASH_FILE, &len) : NULL;
    if (text == NULL || EVP_Digest(text, len, digest, NULL, EVP_sha256(), NULL) != 1) {
        free(text);
        return;
    }
    hex(digest, name);
    cJSON *record = strcmp(name, book->last) != 0 ? cJSON_ParseWithLength(text, len) : NULL;
    book->died = record != NULL && take_record(record, &book->death, file);
    if (book->died && book->death.module[0] != '\0') {
        note(book, &book->death, file);
    } else if (!book->died && strcmp(name, book->last) != 0) {
        no_sense(book, CRASH_FILE);
    }
    if (strcmp(name, book->last) != 0) {
        memcpy(book->last, name, sizeof(name));
        if (keep && !write_book(book)) {
            snprintf(book->trouble, sizeof(book->trouble), "%s/%s cannot be written: %s",
                     book->folder, BLAME_FILE, strerror(errno));
        }
    }
    cJSON_Delete(record);
    free(text);
}

const struct blame_death *blame_death(const struct blame_book *book)
{
    return book != NULL && book->died ? &book->death : NULL;
}

const char *blame_trouble(const struct blame_book *book)
{
    return book != NULL && book->trouble[0] != '\0' ? book->trouble : NULL;
}

/* ---- quarantine ---- */

const struct blame *blame_held(const struct blame_book *book, const char *module)
{
    const struct blame *entry = NULL;

    while (book != NULL && (entry = entry_after(book, module, entry)) != NULL) {
        if (entry->since_s > 0) {
            return entry;
        }
    }
    return NULL;
}

const struct blame *blame_of(const struct blame_book *book, const char *module,
                             const uint8_t identity[32])
{
    char file[65];

    if (book == NULL || strcmp(book->pardoned, module) == 0) {
        return NULL;
    }
    hex(identity, file);
    const struct blame *entry = entry_of(book, module, file);
    return entry != NULL && entry->since_s > 0 ? entry : NULL;
}

void blame_pardon(struct blame_book *book, const char *module)
{
    snprintf(book->pardoned, sizeof(book->pardoned), "%s", module);
}

bool blame_settle(struct blame_book *book, bool released, char *error, size_t error_size)
{
    bool kept = true;

    if (book == NULL) {
        return true;
    }
    if (book->pardoned[0] != '\0' && released) {
        blame_read_again(book);
        struct blame *entry = NULL;
        while ((entry = entry_after(book, book->pardoned, NULL)) != NULL) {
            drop(book, entry);
        }
        kept = write_book(book);
        if (!kept) {
            snprintf(error, error_size, "%s/%s cannot be written: %s",
                     book->folder != NULL ? book->folder : "", BLAME_FILE, strerror(errno));
        }
    }
    book->pardoned[0] = '\0';
    return kept;
}

/* ---- for people ---- */

void blame_tell_fault(const struct blame_fault *fault, char *text, size_t size)
{
    char when[32] = "?";
    struct tm parts;
    time_t seconds = (time_t)fault->time_s;

    if (gmtime_r(&seconds, &parts) != NULL) {
        strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &parts);
    }
    snprintf(text, size, "%s%s%s%s%s%s at %s", fault->what, fault->hook[0] != '\0' ? " in " : "",
             fault->hook, fault->place[0] != '\0' ? " (" : "", fault->place,
             fault->place[0] != '\0' ? ")" : "", when);
}

void blame_tell(const struct blame *blame, char *text, size_t size)
{
    size_t at = 0;

    text[0] = '\0';
    for (unsigned i = blame->count; i > 0 && at < size; i--) {
        char one[320];
        blame_tell_fault(&blame->faults[i - 1], one, sizeof(one));
        int n = snprintf(text + at, size - at, "%s%s", at > 0 ? ", " : "", one);
        at += n > 0 ? (size_t)n : 0;
    }
}
