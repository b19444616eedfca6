/* SPDX-License-Identifier: MIT */
/*
 * Sessions of browsers: a table of fixed size in shared memory, so that they outlive reloads and
 * their number is bounded. A token is 256 random bits; the table keeps only its keyed digest.
 * Control thread.
 */
#ifndef ADMIN_SESSION_H
#define ADMIN_SESSION_H

#include <weir/control.h>

#define SESSIONS_MAX   512
#define SESSION_NAME   128
#define SESSION_PROOF  32
#define SESSION_COOKIE "weir_admin"
#define SESSION_TOKEN  44 /* of the cookie: base64url of 32 bytes, NUL included */

/* Somebody whom the core has recognised, for weir_control_auth_again. */
struct known {
    char name[SESSION_NAME];
    char token[SESSION_PROOF]; /* name of the token used; empty: none */
    uint64_t since;
};

void known_set(struct known *known, const struct weir_caller *caller);

struct session {
    uint8_t digest[32];
    struct known who; /* without a name: the slot is free */
    char csrf[SESSION_TOKEN];
    uint64_t created_ns, seen_ns;
};

/* In shared memory: plain bytes. */
struct sessions {
    uint8_t key[32];
    bool keyed;
    struct session items[SESSIONS_MAX];
};

struct session_limits {
    uint64_t idle_ns, lifetime_ns;
};

/* Makes a session for `who`; `token` is what the cookie is to carry. The one that was idle for
 * longest makes place. Never fails. */
struct session *session_new(struct sessions *sessions, struct weir_context *ctx,
                            const struct session_limits *limits, const struct weir_caller *who,
                            char token[SESSION_TOKEN]);
/* The living session of a token, which has now been seen; NULL: there is none. */
struct session *session_find(struct sessions *sessions, struct weir_context *ctx,
                             const struct session_limits *limits, struct weir_str token);
/* The same, by a session's digest. */
struct session *session_by_digest(struct sessions *sessions, struct weir_context *ctx,
                                  const struct session_limits *limits, const uint8_t digest[32]);
void session_end(struct session *session);

#endif
