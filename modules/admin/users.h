/* SPDX-License-Identifier: MIT */
/*
 * Users: names, roles, passwords, tokens, and who somebody is by them. Kept by the host in the
 * space `users`. Control thread; passwords are hashed on another one.
 *
 * A user is a JSON object: `role`, `password` (scrypt$N$r$p$salt$hash, in hexadecimal) or null,
 * `tokens`: [{id, sha256, created_at, expires_at}], `since` (see weir_caller).
 */
#ifndef ADMIN_USERS_H
#define ADMIN_USERS_H

#include <cjson/cJSON.h>
#include <weir/control.h>

#include "admin_token.h"

/* The instance of the kind `control` begins with it. */
struct users {
    struct weir_context *ctx;
    cJSON *all; /* by name */
    struct admin_token admin;
    char *told[3]; /* by users_undo: before, after, value; valid until the next callback */
};

void users_init(struct users *users, struct weir_context *ctx);
void users_end(struct users *users);

/* A user has changed, or (`value` without ptr) was removed. */
void users_take(struct users *users, struct weir_str name, struct weir_str value);
/* The user's object; NULL: there is none. */
cJSON *users_find(const struct users *users, const char *name);
/* Without secrets. */
cJSON *user_show(const cJSON *user);
/* A string member; NULL: absent, or not a string. */
const char *user_text(const cJSON *object, const char *name);

/* A new token, and what is kept of it; the caller owns both. */
char *users_token_new(struct weir_context *ctx, cJSON **kept, uint64_t ttl_ms);

/* See control.h. */
bool users_by_token(struct users *users, struct weir_str token, struct weir_caller *out);
bool users_by_link(struct users *users, struct weir_str link, struct weir_caller *out);
bool users_by_author(const struct users *users, struct weir_str author, struct weir_caller *out);
bool users_again(const struct users *users, const struct weir_caller *before,
                 struct weir_caller *out);
bool users_by_password(struct users *users, struct weir_str name, struct weir_str password,
                       weir_auth_fn fn, void *arg);

/* ---- user_changes.c ---- */

#define USER_OPERATION(name)                                               \
    enum weir_operation_end name(struct weir_context *ctx, void *instance, \
                                 struct weir_control_operation *operation)
USER_OPERATION(users_list);
USER_OPERATION(user_add);
USER_OPERATION(user_patch);
USER_OPERATION(user_remove);
USER_OPERATION(user_add_token);
USER_OPERATION(user_remove_token);
const char *users_undo(struct users *users, const struct weir_undo *undo,
                       struct weir_change *change);

/* ---- password.c ---- */

#define PASSWORD_HASH_SIZE 256u
/* Costs some 50 ms and 32 MiB. Any thread. */
bool password_hash(const char *password, char out[PASSWORD_HASH_SIZE]);
/* `hash` NULL: takes as long, and is false. Any thread. */
bool password_verify(const char *password, const char *hash);

#endif
