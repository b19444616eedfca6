/* SPDX-License-Identifier: MIT */
/*
 * Users and tokens. See users.h.
 */
#include "control/users.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "net/loop.h"

#define LINK_LIFE_MS (UINT64_C(15) * 60 * 1000)
#define SECRET_HEX   (2 * 32)

struct users {
    cJSON *all;                       /* by name */
    cJSON *gone;                      /* by name: as they were, with `gone` */
    char admin_token[SECRET_HEX + 8]; /* of the file; empty: there is none */
    char link[SECRET_HEX + 1];        /* empty: used, or none was made */
    uint64_t link_until_ms;
};

static const char *const role_words[] = {"none", "viewer", "operator", "admin"};

enum weir_role users_role(const char *word)
{
    for (unsigned i = WEIR_ROLE_VIEWER; word != NULL && i <= WEIR_ROLE_ADMIN; i++) {
        if (strcmp(role_words[i], word) == 0) {
            return (enum weir_role)i;
        }
    }
    return WEIR_ROLE_NONE;
}

struct users *users_new(void)
{
    struct users *users = base_zalloc(sizeof(*users));
    users->all = cJSON_CreateObject();
    users->gone = cJSON_CreateObject();
    return users;
}

void users_free(struct users **users)
{
    cJSON_Delete((*users)->all);
    cJSON_Delete((*users)->gone);
    OPENSSL_cleanse(*users, sizeof(**users));
    free(*users);
    *users = NULL;
}

const cJSON *users_find(const struct users *users, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(users->all, name);
}

void users_set(struct users *users, const char *name, cJSON *user)
{
    cJSON_DeleteItemFromObjectCaseSensitive(users->all, name);
    cJSON_DeleteItemFromObjectCaseSensitive(users->gone, name);
    if (user != NULL) {
        cJSON_AddItemToObject(cJSON_HasObjectItem(user, "gone") ? users->gone : users->all, name,
                              user);
    }
}

static uint64_t gone_by(const cJSON *user)
{
    return (uint64_t)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(user, "gone"));
}

const cJSON *users_gone(const struct users *users, const char *name, uint64_t entry)
{
    const cJSON *user = cJSON_GetObjectItemCaseSensitive(users->gone, name);
    return user != NULL && gone_by(user) == entry ? user : NULL;
}

static bool is_forgotten(const cJSON *user, uint64_t last, const char *except)
{
    return gone_by(user) <= last && (except == NULL || strcmp(user->string, except) != 0);
}

void users_forget_kept(const struct users *users, uint64_t last, const char *except,
                       struct store_batch *batch)
{
    const cJSON *user = NULL;

    cJSON_ArrayForEach(user, users->gone)
    {
        if (is_forgotten(user, last, except)) {
            store_put(batch, "users", user->string, NULL);
        }
    }
}

void users_forget(struct users *users, uint64_t last, const char *except)
{
    cJSON *user = users->gone->child;
    while (user != NULL) {
        cJSON *next = user->next;
        if (is_forgotten(user, last, except)) {
            cJSON_Delete(cJSON_DetachItemViaPointer(users->gone, user));
        }
        user = next;
    }
}

void users_load(struct users *users, const char *name, const char *value)
{
    cJSON *user = cJSON_Parse(value);
    if (!cJSON_IsObject(user)) {
        log_write(WEIR_LOG_WARNING, "weir", "the user \"%s\" cannot be read; left out", name);
        cJSON_Delete(user);
        return;
    }
    users_set(users, name, user);
}

/* ---- tokens ---- */

static void random_hex(char out[SECRET_HEX + 1])
{
    uint8_t bytes[SECRET_HEX / 2];
    ASSERT(RAND_bytes(bytes, sizeof(bytes)) == 1);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        sprintf(out + 2 * i, "%02x", bytes[i]);
    }
}

static void digest_hex(struct weir_str text, char out[SECRET_HEX + 1])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    ASSERT(EVP_Digest(text.ptr, text.len, digest, &len, EVP_sha256(), NULL) == 1 && len == 32);
    for (unsigned i = 0; i < len; i++) {
        sprintf(out + 2 * i, "%02x", digest[i]);
    }
}

char *users_token_new(cJSON **kept, uint64_t ttl_ms)
{
    char secret[SECRET_HEX + 1], digest[SECRET_HEX + 1], id[9];
    uint64_t now = loop_wall_ms();

    random_hex(secret);
    char *token = base_printf("weir_%s", secret);
    digest_hex(str_from(token), digest);
    random_hex(secret);
    snprintf(id, sizeof(id), "%.8s", secret);
    *kept = cJSON_CreateObject();
    cJSON_AddStringToObject(*kept, "id", id);
    cJSON_AddStringToObject(*kept, "sha256", digest);
    cJSON_AddNumberToObject(*kept, "created_at", (double)now);
    if (ttl_ms > 0) {
        cJSON_AddNumberToObject(*kept, "expires_at", (double)(now + ttl_ms));
    } else {
        cJSON_AddNullToObject(*kept, "expires_at");
    }
    return token;
}

/* An older module's struct ends before `since`. */
bool caller_set(struct weir_caller *out, enum weir_role role, struct weir_str author,
                uint64_t since)
{
    out->role = role;
    out->author = author;
    if (out->size >= sizeof(*out)) {
        out->since = since;
    }
    return true;
}

static bool recognise(const cJSON *user, const char *name, struct weir_caller *out)
{
    enum weir_role role =
        users_role(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(user, "role")));
    if (role == WEIR_ROLE_NONE) {
        return false;
    }
    const cJSON *since = cJSON_GetObjectItemCaseSensitive(user, "since");
    return caller_set(out, role, str_from(name),
                      cJSON_IsNumber(since) ? (uint64_t)since->valuedouble : 0);
}

static bool token_fits(const cJSON *token, const char *digest, uint64_t now)
{
    const char *kept = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(token, "sha256"));
    const cJSON *expires = cJSON_GetObjectItemCaseSensitive(token, "expires_at");

    return kept != NULL && strlen(kept) == SECRET_HEX &&
           CRYPTO_memcmp(kept, digest, SECRET_HEX) == 0 &&
           (!cJSON_IsNumber(expires) || expires->valuedouble > (double)now);
}

bool users_by_token(struct users *users, struct weir_str token, struct weir_caller *out)
{
    char digest[SECRET_HEX + 1];
    uint64_t now = loop_wall_ms();
    const cJSON *user = NULL, *item = NULL;

    if (token.len == 0 || token.len > 256) {
        return false;
    }
    if (users->admin_token[0] != '\0' && token.len == strlen(users->admin_token) &&
        CRYPTO_memcmp(users->admin_token, token.ptr, token.len) == 0) {
        return caller_set(out, WEIR_ROLE_ADMIN, STR("admin.token"), 0);
    }
    digest_hex(token, digest);
    cJSON_ArrayForEach(user, users->all)
    {
        cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(user, "tokens"))
        {
            if (token_fits(item, digest, now)) {
                return recognise(user, user->string, out);
            }
        }
    }
    return false;
}

bool users_by_link(struct users *users, struct weir_str link, struct weir_caller *out)
{
    if (users->link[0] == '\0' || link.len != SECRET_HEX ||
        CRYPTO_memcmp(users->link, link.ptr, SECRET_HEX) != 0) {
        return false;
    }
    OPENSSL_cleanse(users->link, sizeof(users->link));
    if (loop_wall_ms() > users->link_until_ms) {
        return false;
    }
    return caller_set(out, WEIR_ROLE_ADMIN, STR("admin.token"), 0);
}

bool users_by_author(const struct users *users, struct weir_str author, struct weir_caller *out)
{
    if (str_equal(author, STR("admin.token"))) {
        if (users->admin_token[0] == '\0') {
            return false;
        }
        return caller_set(out, WEIR_ROLE_ADMIN, STR("admin.token"), 0);
    }
    char *name = base_strndup(author.ptr, author.len);
    const cJSON *user = users_find(users, name);
    free(name);
    return user != NULL && recognise(user, user->string, out);
}

/* ---- the first start ---- */

/* Whole and durable, or not at all. */
static bool write_token(const char *path, const char *token)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    size_t len = strlen(token);

    if (fd == -1) {
        return false;
    }
    bool good = write(fd, token, len) == (ssize_t)len && write(fd, "\n", 1) == 1 && fsync(fd) == 0;
    int error = errno;
    close(fd);
    if (!good) {
        unlink(path);
        errno = error;
    }
    return good;
}

static bool read_token(struct users *users, const char *path)
{
    char text[sizeof(users->admin_token) + 8] = "";
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd == -1) {
        return false;
    }
    ssize_t got = read(fd, text, sizeof(text) - 1);
    if (fstat(fd, &status) == 0 && (status.st_mode & 077) != 0) {
        log_write(WEIR_LOG_WARNING, "weir",
                  "%s can be read by others (mode %04o); 0600 would be right", path,
                  (unsigned)status.st_mode & 07777);
    }
    close(fd);
    text[strcspn(text, "\r\n")] = '\0';
    if (got > 0 && strlen(text) >= 32 && strlen(text) < sizeof(users->admin_token)) {
        memcpy(users->admin_token, text, strlen(text) + 1);
    } else {
        log_write(WEIR_LOG_ERROR, "weir",
                  "%s holds no token (32 to 70 characters); remove it to have one made at the next "
                  "start",
                  path);
    }
    return true;
}

/* A listener by which the pages can be reached with TCP; where there is none, no link is worth printing. */
static void print_link(const struct users *users, const struct generation *g, const char *path)
{
    for (size_t i = 0; i < g->listener_count; i++) {
        const struct listener_plan *plan = &g->listeners[i];
        for (size_t k = 0; plan->handler_count > 0 && k < plan->socket_count; k++) {
            const char *text = plan->sockets[k]->text;
            if (strncmp(text, "unix:", 5) != 0) {
                log_write(WEIR_LOG_NOTICE, "weir",
                          "first start: the administrator's token is in %s; or log in once, within "
                          "15 minutes, at %s://%s/login?link=%s",
                          path, plan->tls != NULL ? "https" : "http", text, users->link);
                return;
            }
        }
    }
}

void users_first_start(struct users *users, const char *state_dir, const struct generation *g)
{
    char *path = base_printf("%s/admin.token", state_dir);
    bool handled = false;

    for (size_t i = 0; i < g->listener_count; i++) {
        handled |= g->listeners[i].handler_count > 0;
    }
    if (!read_token(users, path) && errno == ENOENT && handled) {
        char secret[SECRET_HEX + 1];
        random_hex(secret);
        snprintf(users->admin_token, sizeof(users->admin_token), "weir_%s", secret);
        mkdir(state_dir, 0750);
        if (write_token(path, users->admin_token)) {
            random_hex(users->link);
            users->link_until_ms = loop_wall_ms() + LINK_LIFE_MS;
            print_link(users, g, path);
        } else {
            log_write(WEIR_LOG_WARNING, "weir",
                      "cannot make %s: %s; who logs in needs the Unix socket, or a user's token",
                      path, strerror(errno));
            users->admin_token[0] = '\0';
        }
    }
    free(path);
}

/* ---- showing ---- */

cJSON *user_show(const cJSON *user)
{
    cJSON *object = cJSON_CreateObject();
    const cJSON *item = NULL;

    cJSON_AddStringToObject(object, "name", user->string);
    cJSON_AddStringToObject(object, "role",
                            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(user, "role")));
    cJSON_AddBoolToObject(object, "has_password",
                          cJSON_IsString(cJSON_GetObjectItemCaseSensitive(user, "password")));
    cJSON *tokens = cJSON_AddArrayToObject(object, "tokens");
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(user, "tokens"))
    {
        cJSON *copy = cJSON_Duplicate(item, true);
        cJSON_DeleteItemFromObjectCaseSensitive(copy, "sha256");
        cJSON_AddItemToArray(tokens, copy);
    }
    return object;
}

cJSON *users_show(const struct users *users)
{
    cJSON *answer = cJSON_CreateObject();
    cJSON *entries = cJSON_AddArrayToObject(answer, "entries");
    const cJSON *user = NULL;

    cJSON_ArrayForEach(user, users->all)
    {
        cJSON_AddItemToArray(entries, user_show(user));
    }
    return answer;
}
