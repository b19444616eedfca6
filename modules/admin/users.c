/* SPDX-License-Identifier: MIT */
/*
 * Users and tokens. See users.h.
 */
#include "users.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "text.h"

#define SECRET_HEX (2 * 32)

void users_init(struct users *users, struct weir_context *ctx)
{
    users->ctx = ctx;
    users->all = cJSON_CreateObject();
}

void users_end(struct users *users)
{
    cJSON_Delete(users->all);
    for (size_t i = 0; i < 3; i++) {
        cJSON_free(users->told[i]);
    }
}

cJSON *users_find(const struct users *users, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(users->all, name);
}

const char *user_text(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

void users_take(struct users *users, struct weir_str name, struct weir_str value)
{
    cJSON *user = value.ptr != NULL ? cJSON_ParseWithLength(value.ptr, value.len) : NULL;
    char *key = strndup(name.ptr, name.len);

    if (value.ptr != NULL && !cJSON_IsObject(user)) {
        weir_log(users->ctx, WEIR_LOG_WARNING, "the user \"%s\" cannot be read; left out", key);
    }
    cJSON_DeleteItemFromObjectCaseSensitive(users->all, key);
    /* An earlier Weir kept users who had been removed, with `gone`. */
    if (!cJSON_IsObject(user) || cJSON_HasObjectItem(user, "gone") ||
        !cJSON_AddItemToObject(users->all, key, user)) {
        cJSON_Delete(user);
    }
    free(key);
}

/* ---- tokens ---- */

static void digest_hex(struct weir_str text, char out[SECRET_HEX + 1])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    if (EVP_Digest(text.ptr, text.len, digest, &len, EVP_sha256(), NULL) != 1) {
        abort(); /* OpenSSL has no memory: whoever is let in by a digest is to be let in by the
                  * right one */
    }
    text_hex(digest, SECRET_HEX / 2, out);
}

char *users_token_new(struct weir_context *ctx, cJSON **kept, uint64_t ttl_ms)
{
    char digest[SECRET_HEX + 1], id[9];
    char *token = malloc(ADMIN_TOKEN_SIZE);
    uint64_t now = weir_wall_ms(ctx);
    uint8_t random[4];

    admin_token_random(ctx, token);
    digest_hex(weir_str_of(token), digest);
    weir_random(ctx, random, sizeof(random));
    text_hex(random, sizeof(random), id);
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

static bool has_expired(const struct users *users, const cJSON *token)
{
    const cJSON *expires = cJSON_GetObjectItemCaseSensitive(token, "expires_at");
    return cJSON_IsNumber(expires) && expires->valuedouble <= (double)weir_wall_ms(users->ctx);
}

static struct weir_str token_name(const cJSON *token)
{
    const char *id = user_text(token, "id");
    return weir_str_of(id != NULL ? id : "");
}

/* ---- who somebody is ---- */

static void set_caller(struct weir_caller *out, enum weir_role role, const char *author,
                       uint64_t since, struct weir_str token)
{
    *out = (struct weir_caller){sizeof(*out), role, weir_str_of(author), since, token};
}

static bool set_admin(const struct users *users, struct weir_caller *out)
{
    set_caller(out, WEIR_ROLE_ADMIN, ADMIN_TOKEN_NAME, users->admin.state->since_ms,
               weir_str_of(""));
    return true;
}

static bool recognise(const cJSON *user, struct weir_str token, struct weir_caller *out)
{
    static const char *const words[] = {"viewer", "operator", "admin"};
    const char *role = user_text(user, "role");
    const cJSON *since = cJSON_GetObjectItemCaseSensitive(user, "since");

    for (unsigned i = 0; role != NULL && i < 3; i++) {
        if (strcmp(words[i], role) == 0) {
            set_caller(out, (enum weir_role)(WEIR_ROLE_VIEWER + i), user->string,
                       cJSON_IsNumber(since) ? (uint64_t)since->valuedouble : 0, token);
            return true;
        }
    }
    return false;
}

bool users_by_token(struct users *users, struct weir_str token, struct weir_caller *out)
{
    char digest[SECRET_HEX + 1];
    const cJSON *user = NULL, *item = NULL;

    if (token.len == 0 || token.len > 256) {
        return false;
    }
    if (admin_token_is(&users->admin, token)) {
        return set_admin(users, out);
    }
    digest_hex(token, digest);
    cJSON_ArrayForEach(user, users->all)
    {
        cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(user, "tokens"))
        {
            const char *kept = user_text(item, "sha256");
            if (kept != NULL && strlen(kept) == SECRET_HEX &&
                CRYPTO_memcmp(kept, digest, SECRET_HEX) == 0 && !has_expired(users, item)) {
                return recognise(user, token_name(item), out);
            }
        }
    }
    return false;
}

bool users_by_link(struct users *users, struct weir_str link, struct weir_caller *out)
{
    return admin_token_take_link(&users->admin, link) && set_admin(users, out);
}

bool users_by_author(const struct users *users, struct weir_str author, struct weir_caller *out)
{
    if (weir_str_is(author, ADMIN_TOKEN_NAME)) {
        return admin_token_is_set(&users->admin) && set_admin(users, out);
    }
    char *name = strndup(author.len > 0 ? author.ptr : "", author.len);
    const cJSON *user = users_find(users, name);
    free(name);
    return user != NULL && recognise(user, weir_str_of(""), out);
}

/* Whether the user has a valid token of that name. */
static bool has_token(const struct users *users, const cJSON *user, struct weir_str name)
{
    const cJSON *item = NULL;

    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(user, "tokens"))
    {
        if (weir_str_equal(token_name(item), name)) {
            return !has_expired(users, item);
        }
    }
    return false;
}

bool users_again(const struct users *users, const struct weir_caller *before,
                 struct weir_caller *out)
{
    struct weir_caller now = {.size = sizeof(now)};

    if (!users_by_author(users, before->author, &now) || now.since != before->since ||
        (before->token.len > 0 &&
         !has_token(users, users_find(users, now.author.ptr), before->token))) {
        return false;
    }
    set_caller(out, now.role, now.author.ptr, now.since, before->token);
    return true;
}

/* ---- passwords ---- */

struct login {
    struct users *users;
    char *name, *password;
    char *hash; /* NULL: nobody has that name, or a password */
    bool good;
    weir_auth_fn fn;
    void *arg;
};

static void verify(void *arg)
{
    struct login *login = arg;
    login->good = password_verify(login->password, login->hash);
}

static void login_free(struct login *login)
{
    OPENSSL_cleanse(login->password, strlen(login->password));
    free(login->password);
    free(login->name);
    free(login->hash);
    free(login);
}

static void verified(void *arg)
{
    struct login *login = arg;
    struct weir_caller caller = {.size = sizeof(caller)};
    /* The password may have changed meanwhile. */
    const char *hash = user_text(users_find(login->users, login->name), "password");
    bool good = login->good && hash != NULL && strcmp(hash, login->hash) == 0 &&
                users_by_author(login->users, weir_str_of(login->name), &caller);

    login->fn(login->arg, good ? &caller : NULL);
    login_free(login);
}

bool users_by_password(struct users *users, struct weir_str name, struct weir_str password,
                       weir_auth_fn fn, void *arg)
{
    struct login *login = calloc(1, sizeof(*login));

    *login = (struct login){
        .users = users,
        .name = strndup(name.len > 0 ? name.ptr : "", name.len),
        .password = strndup(password.len > 0 ? password.ptr : "", password.len),
        .fn = fn,
        .arg = arg,
    };
    const char *hash = user_text(users_find(users, login->name), "password");
    login->hash = hash != NULL ? strdup(hash) : NULL;
    if (!weir_control_work(users->ctx, verify, verified, login)) {
        login_free(login);
        return false;
    }
    return true;
}

/* ---- showing ---- */

cJSON *user_show(const cJSON *user)
{
    cJSON *object = cJSON_CreateObject();
    const cJSON *item = NULL;

    cJSON_AddStringToObject(object, "name", user->string);
    cJSON_AddStringToObject(object, "role", user_text(user, "role"));
    cJSON_AddBoolToObject(object, "has_password", user_text(user, "password") != NULL);
    cJSON *tokens = cJSON_AddArrayToObject(object, "tokens");
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(user, "tokens"))
    {
        cJSON *copy = cJSON_Duplicate(item, true);
        cJSON_DeleteItemFromObjectCaseSensitive(copy, "sha256");
        cJSON_AddItemToArray(tokens, copy);
    }
    return object;
}
