/* SPDX-License-Identifier: MIT */
/*
 * The administrator's token: a file of state_dir, made at the first start, with a link that logs in once. The
 * file rules: it is read at the start and at each reload, so that one that is taken away, or replaced, is in
 * force no longer. Commands make another token, or none. Control thread.
 */
#ifndef CONTROL_ADMIN_TOKEN_H
#define CONTROL_ADMIN_TOKEN_H

#include "base/base.h"
#include "proxy/runtime.h"

/* What the journal and callers' authors say for it. */
#define ADMIN_TOKEN_NAME "admin.token"

struct admin_token;

struct admin_token *admin_token_new(void);
void admin_token_free(struct admin_token **token);

/* Reads state_dir/admin.token, or makes it where it is not there and an admin plane is configured. */
void admin_token_start(struct admin_token *token, const char *state_dir,
                       const struct generation *g);
/* Reads it again. Not there: the token is revoked. It cannot be read: what was known stays. */
void admin_token_reread(struct admin_token *token);

/* Whether there is one, whether `text` is it, and since when (0: the start; see weir_caller). */
bool admin_token_is_set(const struct admin_token *token);
bool admin_token_is(const struct admin_token *token, struct weir_str text);
uint64_t admin_token_since(const struct admin_token *token);
/* Takes the link of the first start, once. */
bool admin_token_take_link(struct admin_token *token, struct weir_str link);

/*
 * A change in two steps, so that its journal can be kept in between. `stage` writes the file that is to be:
 * with a new token, or (revoke) one that says that there is none, at the next start neither. `enforce` puts it
 * in its place; `drop` takes it away. false: errno says why, and nothing has changed.
 */
bool admin_token_stage(struct admin_token *token, bool revoke);
bool admin_token_enforce(struct admin_token *token);
void admin_token_drop(struct admin_token *token);
/* The token; "": there is none. */
const char *admin_token_text(const struct admin_token *token);
const char *admin_token_path(const struct admin_token *token);

#endif
