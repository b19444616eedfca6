/* SPDX-License-Identifier: MIT */
/*
 * Users and tokens. See users.h.
 */
#include "control/users.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/random_ids.h"
#include "net/loop.h"

#define SECRET_HEX (2 * 32)

struct users {
    cJSON *all;  /* by name */
    cJSON *gone; /* by name: as they were, with `gone` */
    struct admin_token *admin;
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
    users->admin = admin_token_new();
    return users;
}

void users_free(struct users **users)
{
    cJSON_Delete((*users)->all);
    cJSON_Delete((*users)->gone);
    admin_token_free(&(*users)->admin);
    free(*users);
    *users = NULL;
}

struct admin_token *users_admin_token(struct users *users)
{
    return users->admin;
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

    random_hex(secret, SECRET_HEX);
    char *token = base_printf("weir_%s", secret);
    digest_hex(str_from(token), digest);
    random_hex(secret, SECRET_HEX);
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

/* An older module's struct ends before `since`, or before `token`. */
bool caller_set(struct weir_caller *out, enum weir_role role, struct weir_str author,
                uint64_t since, struct weir_str token)
{
    out->role = role;
    out->author = author;
    if (out->size >= offsetof(struct weir_caller, token)) {
        out->since = since;
    }
    if (out->size >= sizeof(*out)) {
        out->token = token;
    }
    return true;
}

static bool recognise(const cJSON *user, struct weir_str token, struct weir_caller *out)
{
    enum weir_role role =
        users_role(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(user, "role")));
    if (role == WEIR_ROLE_NONE) {
        return false;
    }
    const cJSON *since = cJSON_GetObjectItemCaseSensitive(user, "since");
    return caller_set(out, role, str_from(user->string),
                      cJSON_IsNumber(since) ? (uint64_t)since->valuedouble : 0, token);
}

static bool has_expired(const cJSON *token, uint64_t now)
{
    const cJSON *expires = cJSON_GetObjectItemCaseSensitive(token, "expires_at");
    return cJSON_IsNumber(expires) && expires->valuedouble <= (double)now;
}

static bool token_fits(const cJSON *token, const char *digest, uint64_t now)
{
    const char *kept = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(token, "sha256"));

    return kept != NULL && strlen(kept) == SECRET_HEX &&
           CRYPTO_memcmp(kept, digest, SECRET_HEX) == 0 && !has_expired(token, now);
}

static struct weir_str token_name(const cJSON *token)
{
    const char *id = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(token, "id"));
    return str_from(id != NULL ? id : "");
}

static bool caller_set_admin(const struct users *users, struct weir_caller *out)
{
    return caller_set(out, WEIR_ROLE_ADMIN, STR(ADMIN_TOKEN_NAME), admin_token_since(users->admin),
                      STR(""));
}

bool users_by_token(struct users *users, struct weir_str token, struct weir_caller *out)
{
    char digest[SECRET_HEX + 1];
    uint64_t now = loop_wall_ms();
    const cJSON *user = NULL, *item = NULL;

    if (token.len == 0 || token.len > 256) {
        return false;
    }
    if (admin_token_is(users->admin, token)) {
        return caller_set_admin(users, out);
    }
    digest_hex(token, digest);
    cJSON_ArrayForEach(user, users->all)
    {
        cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(user, "tokens"))
        {
            if (token_fits(item, digest, now)) {
                return recognise(user, token_name(item), out);
            }
        }
    }
    return false;
}

bool users_by_link(struct users *users, struct weir_str link, struct weir_caller *out)
{
    return admin_token_take_link(users->admin, link) && caller_set_admin(users, out);
}

bool users_by_author(const struct users *users, struct weir_str author, struct weir_caller *out)
{
    if (str_equal(author, STR(ADMIN_TOKEN_NAME))) {
        return admin_token_is_set(users->admin) && caller_set_admin(users, out);
    }
    char *name = base_strndup(author.ptr, author.len);
    const cJSON *user = users_find(users, name);
    free(name);
    return user != NULL && recognise(user, STR(""), out);
}

/* Whether the user has a token of that name which has not run out. */
static bool has_token(const cJSON *user, struct weir_str name)
{
    uint64_t now = loop_wall_ms();
    const cJSON *item = NULL;

    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(user, "tokens"))
    {
        if (str_equal(token_name(item), name)) {
            return !has_expired(item, now);
        }
    }
    return false;
}

bool users_again(const struct users *users, const struct weir_caller *before,
                 struct weir_caller *out)
{
    struct weir_caller now = {.size = sizeof(now)};

    if (!users_by_author(users, before->author, &now) || now.since != before->since) {
        return false;
    }
    if (before->token.len > 0 && !has_token(users_find(users, now.author.ptr), before->token)) {
        return false;
    }
    return caller_set(out, now.role, now.author, now.since, before->token);
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
