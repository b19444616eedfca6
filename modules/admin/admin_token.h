/* SPDX-License-Identifier: MIT */
/*
 * The administrator's token: a file of state_dir, made at the first start, with a link that logs in
 * once. The file rules: it is read at the start and at each reload, so that one that is taken away,
 * or replaced, is in force no longer. Operations make another token, or none. Control thread.
 */
#ifndef ADMIN_TOKEN_H
#define ADMIN_TOKEN_H

#include <weir/control.h>

/* The author of its calls, in the journal too. */
#define ADMIN_TOKEN_NAME "admin.token"

#define ADMIN_TOKEN_HEX  64u /* digits of a secret of 256 bits */
#define ADMIN_TOKEN_SIZE (ADMIN_TOKEN_HEX + 8)

/* Outlives instances, in shared memory. */
struct admin_token_state {
    bool started;                   /* the file was looked at */
    char text[ADMIN_TOKEN_SIZE];    /* empty: there is none */
    char link[ADMIN_TOKEN_HEX + 1]; /* empty: used, or none was made */
    uint64_t link_until_ms;
    uint64_t since_ms;
    /* Told by the handler blocks of the configuration: */
    bool served; /* there is one */
    char reached
        [160]; /* how browsers come to the first one with TCP: http://127.0.0.1:9000; empty: none */
};

struct admin_token {
    struct weir_context *ctx;
    struct admin_token_state *state;
    char path[4096], staged[4096 + 8];  /* the file, and one beside it */
    char staged_text[ADMIN_TOKEN_SIZE]; /* empty: none is to be */
};

/* Reads STATE_DIR/admin.token, or makes it where it is not there at the first start and an admin
 * plane is served. */
void admin_token_start(struct admin_token *token, struct weir_context *ctx,
                       struct admin_token_state *state, const char *state_dir);
/* Reads it again. The token is revoked if the file is gone, and stays if it cannot be read. */
void admin_token_reread(struct admin_token *token);

/* Whether there is a token, and `text` equals it. */
bool admin_token_is_set(const struct admin_token *token);
bool admin_token_is(const struct admin_token *token, struct weir_str text);
/* Consumes the link of the first start, once. */
bool admin_token_take_link(struct admin_token *token, struct weir_str link);
/* A new token's text, also of users. */
void admin_token_random(struct weir_context *ctx, char out[ADMIN_TOKEN_SIZE]);

/* POST and DELETE /admin-token. */
enum weir_operation_end admin_token_renew(struct weir_context *ctx, void *instance,
                                          struct weir_control_operation *operation);
enum weir_operation_end admin_token_revoke(struct weir_context *ctx, void *instance,
                                           struct weir_control_operation *operation);

#endif
