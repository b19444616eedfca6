/* SPDX-License-Identifier: MIT */
/*
 * Control: what an admin plane is made of. A handler module that serves operators calls operations of the
 * core's command table, hears of events, and asks who somebody is; HTTP, sessions and pages are its own.
 *
 * Thread: the control thread's loop, where handlers live; the context of a handler instance. Privilege,
 * schema and state are checked in the core, once, from the command table. Since ABI 1.2.
 */
#ifndef WEIR_CONTROL_H
#define WEIR_CONTROL_H

#include <weir/host.h>

WEIR_BEGIN_DECLS

/** What somebody may do; each may all that those before it may. */
enum weir_role {
    WEIR_ROLE_NONE = 0,
    WEIR_ROLE_VIEWER = 1,   /**< reads */
    WEIR_ROLE_OPERATOR = 2, /**< changes servers; undoes; explains */
    WEIR_ROLE_ADMIN = 3,    /**< configuration, users, modules */
};

/** Somebody who has been recognised. */
struct weir_caller {
    uint32_t size;
    enum weir_role role;
    struct weir_str author; /**< stands in the journal: a user's name, `uid:0 (root)` */
    /** When the user was added or got another password, in ms since 1970; 0: not known. A session that was
     * begun under another number is not this user's any more. */
    uint64_t since;
};

/** One operation, as REST writes it. The host copies what it keeps. */
struct weir_control_request {
    uint32_t size;
    struct weir_str method;   /**< GET, POST, PATCH, DELETE */
    struct weir_str path;     /**< /api/v1/...; parts may be percent-encoded */
    struct weir_str query;    /**< without question mark; empty: none */
    struct weir_str body;     /**< JSON; empty: none. At most WEIR_CONTROL_BODY_MAX, else 413 */
    struct weir_str if_match; /**< the field's value; empty: none */
    struct weir_caller caller;
};
#define WEIR_CONTROL_BODY_MAX 65536u

/** What came out. All strings are valid for the callback. */
struct weir_control_answer {
    uint32_t size;
    uint32_t status;              /**< of HTTP */
    struct weir_str content_type; /**< application/json, application/problem+json; empty: no body */
    struct weir_str body;
    struct weir_str etag;     /**< with its quotes; empty: none */
    struct weir_str location; /**< of what was made; empty: none */
    struct weir_str allow;    /**< with 405: the methods; empty: none */
    uint64_t journal;         /**< number of the change's entry; 0: nothing was changed */
};

struct weir_control_operation;
typedef void (*weir_control_fn)(void *arg, const struct weir_control_answer *answer);

/** Something that happened. All strings are valid for the callback. */
struct weir_event {
    uint32_t size;
    uint64_t id;          /**< ascending over restarts; 0: `statistics`, which are not kept */
    struct weir_str name; /**< statistics, change, server, reload */
    struct weir_str data; /**< JSON, one line */
};

struct weir_subscription;
typedef void (*weir_event_fn)(void *arg, const struct weir_event *event);

/** Asked for a password: `caller` NULL: wrong name or password. */
typedef void (*weir_auth_fn)(void *arg, const struct weir_caller *caller);
struct weir_auth;

/** Begins an operation. `fn` is called once, later, never inside this call: after a change it is durable
 * and in force when the answer comes. The handle is valid until then. NULL: no memory, `fn` is not
 * called. */
static inline struct weir_control_operation *weir_control_call(
    struct weir_context *ctx, const struct weir_control_request *call, weir_control_fn fn,
    void *arg)
{
    return ctx->host->control_call(ctx, call, fn, arg);
}

/** `fn` will not be called. The operation itself goes on: a change that was begun is finished. To be done
 * before the instance is destroyed. */
static inline void weir_control_cancel(struct weir_context *ctx,
                                       struct weir_control_operation *operation)
{
    ctx->host->control_cancel(operation);
}

/** Hears of events from now on, and first (on the next turn of the loop) of those that are kept and newer
 * than `last_id`; 0: of new ones alone. The last 256 are kept. `statistics` comes each second. Owner: the
 * caller, who ends it before the instance is destroyed; ending it inside `fn` is legal. NULL: no memory. */
static inline struct weir_subscription *weir_control_subscribe(struct weir_context *ctx,
                                                               uint64_t last_id, weir_event_fn fn,
                                                               void *arg)
{
    return ctx->host->control_subscribe(ctx, last_id, fn, arg);
}

static inline void weir_control_unsubscribe(struct weir_context *ctx,
                                            struct weir_subscription *subscription)
{
    ctx->host->control_unsubscribe(subscription);
}

/** Whose token that is (`weir_...`, of a user or of state_dir/admin.token). false: nobody's, or it has
 * run out; `*out` is untouched but for its `size`, which who asks has set. `out->author` is valid until the running callback returns. */
static inline bool weir_control_auth_token(struct weir_context *ctx, struct weir_str token,
                                           struct weir_caller *out)
{
    return ctx->host->control_auth_token(ctx, token, out);
}

/** Checks a password; it costs some 50 ms and 32 MiB of another thread, so throttle who asks. `fn` is
 * called later, once, never inside this call. A name that is not known takes as long. NULL: too many are
 * waiting, `fn` is not called. */
static inline struct weir_auth *weir_control_auth_password(struct weir_context *ctx,
                                                           struct weir_str name,
                                                           struct weir_str password,
                                                           weir_auth_fn fn, void *arg)
{
    return ctx->host->control_auth_password(ctx, name, password, fn, arg);
}

/** `fn` will not be called. To be done before the instance is destroyed. */
static inline void weir_control_auth_cancel(struct weir_context *ctx, struct weir_auth *auth)
{
    ctx->host->control_auth_cancel(auth);
}

/** Uses up a one-time link (the text behind `link=`). false: not known, used before, or too old. */
static inline bool weir_control_auth_link(struct weir_context *ctx, struct weir_str link,
                                          struct weir_caller *out)
{
    return ctx->host->control_auth_link(ctx, link, out);
}

/** What that author may do now: for a session, with each request, since users go and change. false: there
 * is no such user any more. */
static inline bool weir_control_auth_user(struct weir_context *ctx, struct weir_str author,
                                          struct weir_caller *out)
{
    return ctx->host->control_auth_user(ctx, author, out);
}

/** Who is at the other end of a Unix socket: root and the process's own user are admin. false: somebody
 * else, or no Unix socket. `out->author` is valid until the running callback returns. */
static inline bool weir_control_auth_peer(struct weir_context *ctx, const struct weir_request *req,
                                          struct weir_caller *out)
{
    return ctx->host->control_auth_peer(ctx, req, out);
}

/** The OpenAPI 3.1 document of all operations, JSON. Valid as long as the program runs. */
static inline struct weir_str weir_control_openapi(struct weir_context *ctx)
{
    return ctx->host->control_openapi(ctx);
}

WEIR_END_DECLS

#endif
