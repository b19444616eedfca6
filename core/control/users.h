/* SPDX-License-Identifier: MIT */
/*
 * Users: names, roles, passwords, tokens. Kept in the store. Control thread; passwords are hashed on the
 * store's second thread.
 *
 * A user is a JSON object: `role`, `password` (scrypt$N$r$p$salt$hash, in hexadecimal) or null, `tokens`:
 * [{id, sha256, created_at, expires_at}], `since` (see weir_caller). One who was removed is kept as he was,
 * with `gone` (number of the journal's entry), for as long as the journal has that: it may be undone.
 */
#ifndef CONTROL_USERS_H
#define CONTROL_USERS_H

#include <cjson/cJSON.h>
#include <weir/control.h>

#include "control/admin_token.h"
#include "control/change/store.h"

struct users;

struct users *users_new(void);
void users_free(struct users **users);

/* From the store. */
void users_load(struct users *users, const char *name, const char *value);
/* The administrator's token, which logs in beside them. */
struct admin_token *users_admin_token(struct users *users);

/* The user's object; NULL: there is none. */
const cJSON *users_find(const struct users *users, const char *name);
/* Takes the object over; one with `gone` is a user no more. NULL: nothing is kept of him. */
void users_set(struct users *users, const char *name, cJSON *user);
/* One who was removed by that entry; NULL: there is none. */
const cJSON *users_gone(const struct users *users, const char *name, uint64_t entry);
/* Those who were removed by the entries up to `last` go for good: with the batch, and here once that is
 * kept; but not `except` (NULL: all), of whom the batch says something else. */
void users_forget_kept(const struct users *users, uint64_t last, const char *except,
                       struct store_batch *batch);
void users_forget(struct users *users, uint64_t last, const char *except);
/* {"entries": [{name, role, has_password, tokens: [{id, created_at, expires_at}]}]} */
cJSON *users_show(const struct users *users);
cJSON *user_show(const cJSON *user);
enum weir_role users_role(const char *word);

/* A new token and what is kept of it; both the caller's. */
char *users_token_new(cJSON **kept, uint64_t ttl_ms);

/* See control.h. */
bool caller_set(struct weir_caller *out, enum weir_role role, struct weir_str author,
                uint64_t since, struct weir_str token); /* true */
bool users_by_token(struct users *users, struct weir_str token, struct weir_caller *out);
bool users_by_link(struct users *users, struct weir_str link, struct weir_caller *out);
bool users_by_author(const struct users *users, struct weir_str author, struct weir_caller *out);
bool users_again(const struct users *users, const struct weir_caller *before,
                 struct weir_caller *out);

/* ---- password.c ---- */

#define PASSWORD_HASH_SIZE 256u
/* Costs some 50 ms and 32 MiB. Any thread. */
bool password_hash(const char *password, char out[PASSWORD_HASH_SIZE]);
/* `hash` NULL: takes as long, and is false. Any thread. */
bool password_verify(const char *password, const char *hash);

#endif
