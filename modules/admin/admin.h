/* SPDX-License-Identifier: MIT */
/*
 * The admin plane from the inside: its options, what a generation prepares, its instance, and what
 * its files ask of each other. All of it runs on the control thread.
 */
#ifndef ADMIN_H
#define ADMIN_H

#include <weir/weir.h>

#include "admin_token.h"
#include "assets.h"
#include "reply.h"
#include "session.h"
#include "throttle.h"

struct conf {
    struct weir_str web_dir;
    struct weir_list hosts; /* struct weir_str */
    bool insecure;
    uint64_t session_idle_timeout, session_lifetime;
    int64_t request_limit; /* a second and caller */
    int64_t event_clients;
};

/* What outlives instances of the kind `control`, also another copy of the module. */
struct shared_history {
    struct history *history; /* NULL: `users` is 0 */
    unsigned users;          /* instances */
};

/* The module's own metrics. */
enum { METRIC_LOGINS, METRIC_LOGINS_FAILED };

/* Made by conf_create. */
struct prepared {
    struct admin_token_state *token; /* shared, as those below */
    struct shared_history *history;
    char state_dir[4096]; /* of the module block; the rest is of a handler block */
    struct assets assets;
    struct sessions *sessions; /* shared: outlives this generation */
    struct throttle *throttle;
};

struct admin {
    struct weir_context *ctx;
    const struct conf *conf;
    struct prepared *prepared;
    struct session_limits limits;
    struct events *events;
    struct exchange *exchanges; /* all that are open */
};

/* How a caller authenticated. */
enum proof { PROOF_NONE, PROOF_TOKEN, PROOF_SESSION, PROOF_PEER };

struct caller {
    enum proof proof;
    enum weir_role role;
    struct known who;
    struct session *session; /* PROOF_SESSION: valid until the running callback returns */
    uint8_t digest[32];      /* of that session, to check later whether it is still valid */
};

/* What a request is for. */
enum task { TASK_NONE, TASK_CALL, TASK_LOGIN, TASK_EVENTS };

/* A request that is not over. Owner: the instance; freed by on_end, or when the control plane
 * has answered if that comes later. */
struct exchange {
    struct admin *admin;
    struct weir_request *req; /* NULL: the client is gone */
    struct exchange *next;
    enum task task;
    struct caller caller;
    char *body;
    size_t len, room;
    bool answered;
    /* What the control plane is asked and has not answered: NULL, or one of the two. */
    struct weir_control_operation *operation;
    struct weir_auth *auth;
    struct event_client *events;
};

/* When it is neither a request's nor waited for any more. */
void exchange_free(struct exchange *exchange);

#endif
