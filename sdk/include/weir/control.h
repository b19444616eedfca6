/* SPDX-License-Identifier: MIT */
/*
 * Control: both sides of an admin plane. A handler module that serves operators calls operations of
 * the command table, subscribes to events and authenticates callers; HTTP, sessions and pages are
 * its own. A module of the kind `control` adds operations to that table, keeps what they change in
 * the store, and may authenticate callers.
 *
 * Thread: the control thread's loop, for both. Privilege, schema and state are checked in the core,
 * once, from the command table. Since ABI 1.2; the kind `control` since 1.4.
 */
#ifndef WEIR_CONTROL_H
#define WEIR_CONTROL_H

#include <string.h>

#include <weir/stats.h>

WEIR_BEGIN_DECLS

/** Roles; each includes those before it. */
enum weir_role {
    WEIR_ROLE_NONE = 0,
    WEIR_ROLE_VIEWER = 1,   /**< reads */
    WEIR_ROLE_OPERATOR = 2, /**< changes servers; undoes; explains */
    WEIR_ROLE_ADMIN = 3,    /**< configuration, users, modules */
};

/** An authenticated caller. */
struct weir_caller {
    uint32_t size;
    enum weir_role role;
    struct weir_str author; /**< as in the journal: a user's name, `uid:0 (root)` */
    /** When the user was added or the password changed, in ms since 1970; 0: unknown. A session
     * begun under another value is no longer valid. */
    uint64_t since;
    /** Name (not secret) of the token used; empty: none. Since 1.4. */
    struct weir_str token;
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

/** The result. All strings are valid for the callback. */
struct weir_control_answer {
    uint32_t size;
    uint32_t status;              /**< of HTTP */
    struct weir_str content_type; /**< application/json, application/problem+json; empty: no body */
    struct weir_str body;
    struct weir_str etag;     /**< with its quotes; empty: none */
    struct weir_str location; /**< of the new resource; empty: none */
    struct weir_str allow;    /**< with 405: the methods; empty: none */
    uint64_t journal;         /**< number of the change's journal entry; 0: nothing was changed */
};

typedef void (*weir_control_fn)(void *arg, const struct weir_control_answer *answer);

/** An event. All strings are valid for the callback. */
struct weir_event {
    uint32_t size;
    uint64_t id;          /**< ascending over restarts; 0: `statistics`, which are not kept */
    struct weir_str name; /**< statistics, change, server, reload */
    struct weir_str data; /**< JSON, one line */
};

struct weir_subscription;
typedef void (*weir_event_fn)(void *arg, const struct weir_event *event);

/** Result of a password check: `caller` NULL: wrong name or password. */
typedef void (*weir_auth_fn)(void *arg, const struct weir_caller *caller);

/* ---- the kind `control`, since 1.4 ---- */

enum weir_argument_type {
    WEIR_ARGUMENT_STRING = 0,
    WEIR_ARGUMENT_INTEGER = 1,
    WEIR_ARGUMENT_BOOLEAN = 2,
    WEIR_ARGUMENT_DURATION = 3, /**< "30s", as in configuration */
    WEIR_ARGUMENT_WORD = 4,     /**< one of `words` */
    WEIR_ARGUMENT_TEXTS = 5,    /**< an object of strings */
    WEIR_ARGUMENT_NUMBER = 6,   /**< with or without decimals; since 1.5 */
};

/** One member of a body, or one parameter of a query. Its layout does not change. */
struct weir_argument {
    const char *name; /**< NULL ends the list */
    enum weir_argument_type type;
    bool required;
    int64_t minimum,
        maximum; /**< of integers and numbers; of strings: the length; of durations: seconds */
    const char *const *words; /**< ended by NULL */
    const char *document;
};
#define WEIR_ARGUMENTS_END \
    {                      \
        .name = NULL       \
    }

enum weir_operation_flag {
    WEIR_OPERATION_WRITES = 1 << 0,   /**< goes through the queue of writes, one at a time */
    WEIR_OPERATION_CONFIRM = 1 << 1,  /**< can be undone, so that it may carry ?confirm */
    WEIR_OPERATION_IF_MATCH = 1 << 2, /**< supports If-Match: see weir_operation_matches */
};

/** What an operation's function returns. */
enum weir_operation_end {
    WEIR_ANSWERED = 0, /**< the answer is complete */
    WEIR_LATER = 1,    /**< the answer follows by weir_operation_change or weir_operation_finish */
};

/** A row of the command table. */
struct weir_operation {
    const char *name; /**< `user.patch`: unique; used in the journal */
    enum weir_role role;
    const char *method;               /**< GET, POST, PATCH, DELETE */
    const char *path;                 /**< below /api/v1; {name} takes one segment, at most twice */
    const struct weir_argument *body; /**< NULL: takes none */
    const struct weir_argument *query; /**< likewise */
    uint32_t status;                   /**< of success */
    uint32_t flags;                    /**< enum weir_operation_flag bits */
    const char *answer;                /**< name of its schema; NULL: no body */
    const char *document;              /**< one sentence */
    /** Runs it, on the control thread. Role and arguments are checked already. */
    enum weir_operation_end (*run)(struct weir_context *ctx, void *instance,
                                   struct weir_control_operation *operation);
};

/** The schema of an answer, for the OpenAPI document. */
struct weir_schema {
    const char *name; /**< NULL ends the list */
    const char *json; /**< JSON in which ' stands for " */
};

/** A change by an operation, and its journal entry. The host copies all of it. */
struct weir_change {
    uint32_t size;
    struct weir_str target;        /**< what is changed, for people */
    struct weir_str before, after; /**< JSON for the journal, without secrets; empty: null */
    struct weir_str key;           /**< in the module's space; empty: nothing is kept or undone */
    struct weir_str value;         /**< the new value; ptr NULL: removes the key */
    /** The part of the key that changes: a later change of the same part blocks an undo, and `all`
     * blocks every part. Empty: all. */
    struct weir_str part;
};

/** A change of the module to undo. All strings are valid for the hook. */
struct weir_undo {
    uint32_t size;
    struct weir_str key, part;
    struct weir_str before, after; /**< JSON, as the change gave it; empty: null */
    struct weir_str now;           /**< what is kept under the key; ptr NULL: nothing */
    struct weir_str gone; /**< the value that the change removed with the key; ptr NULL: none */
};

/** Recent traffic. */
struct weir_rates {
    uint32_t size;
    double requests, errors, bytes_in, bytes_out; /**< per second, over about the last five */
    double minute[3];   /**< p50, p95, p99 of the last minute, ms; NaN: nothing was measured */
    double recent[3];   /**< of the last five seconds or so */
    double error_share; /**< of the last minute's requests; NaN: there were none */
};

/**
 * A module's operations, the data that they keep, and hooks for the control plane. Enabled by the
 * module block; there is one instance, on the control thread, for as long as module and block stay
 * the same: it outlives reloads. With another block or copy of the module, a new instance is
 * created before the old one is destroyed, which finishes what it has begun.
 *
 * Data is text under keys in the module's own space; the host holds it in memory too, so it works
 * without a store. All members are optional (NULL).
 */
struct weir_control {
    uint32_t size;
    uint32_t operation_size; /**< sizeof(struct weir_operation): the stride of `operations` */
    const struct weir_operation *operations;
    size_t operation_count;
    const struct weir_schema *schemas; /**< of their answers, ended by a NULL name */
    const char *space;                 /**< NULL: nothing is kept */

    enum weir_status (*create)(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance);
    void (*destroy)(struct weir_context *ctx, void *instance);

    /** The value of a key is `value` now (ptr NULL: none): once for each key after `create`, and
     * after each durable change, before it is answered. */
    void (*take)(struct weir_context *ctx, void *instance, struct weir_str key,
                 struct weir_str value);
    /** Fills a change that undoes another one; `key` and `part` are those of `undo`. The strings
     * are valid until the instance's next callback. NULL: filled; else why it cannot be undone
     * (static, without a full stop). Called more than once. NULL hook: nothing can be undone. */
    const char *(*undo)(struct weir_context *ctx, void *instance, const struct weir_undo *undo,
                        struct weir_change *change);
    /** New files have come into force. */
    void (*on_reload)(struct weir_context *ctx, void *instance);
    /** Once a second, before the event `statistics`. `second` is of a monotonic clock. */
    void (*on_second)(struct weir_context *ctx, void *instance, uint64_t second, uint64_t wall_ms);

    /* Authentication, by the first module that has these. See weir_control_auth_token and so on;
     * `out` has its size. */
    bool (*auth_token)(struct weir_context *ctx, void *instance, struct weir_str token,
                       struct weir_caller *out);
    bool (*auth_link)(struct weir_context *ctx, void *instance, struct weir_str link,
                      struct weir_caller *out);
    bool (*auth_user)(struct weir_context *ctx, void *instance, struct weir_str author,
                      struct weir_caller *out);
    bool (*auth_again)(struct weir_context *ctx, void *instance, const struct weir_caller *before,
                       struct weir_caller *out);
    /** Answers by fn(arg, ...), once, later. false: too many are waiting. */
    bool (*auth_password)(struct weir_context *ctx, void *instance, struct weir_str name,
                          struct weir_str password, weir_auth_fn fn, void *arg);

    /** The OpenAPI document, of weir_control_operations; valid until the instance's next
     * callback. */
    struct weir_str (*openapi)(struct weir_context *ctx, void *instance);
    /** Rates of a listener, route, pool or server (with its pool), or of the process. false:
     * unknown. */
    bool (*rates)(struct weir_context *ctx, void *instance, enum weir_stats_kind kind,
                  struct weir_str pool, struct weir_str name, struct weir_rates *out);
};

/* ---- services ---- */

/** Begins an operation. `fn` is called once, later, never inside this call; a change is durable and
 * in force by then. The handle is valid until then. NULL: no memory, `fn` is not called. */
static inline struct weir_control_operation *weir_control_call(
    struct weir_context *ctx, const struct weir_control_request *call, weir_control_fn fn,
    void *arg)
{
    return ctx->host->control_call(ctx, call, fn, arg);
}

/** `fn` will not be called. The operation itself continues: a change once begun is finished.
 * Required before the instance is destroyed. */
static inline void weir_control_cancel(struct weir_context *ctx,
                                       struct weir_control_operation *operation)
{
    ctx->host->control_cancel(operation);
}

/** Subscribes to events, and first replays (on the loop's next turn) the kept ones newer than
 * `last_id`; 0: none. The last 256 are kept. `statistics` comes each second. Owner: the caller,
 * which ends it before the instance is destroyed; ending it inside `fn` is legal. NULL: no
 * memory. */
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

/** Authenticates a token (`weir_...`, of a user or of state_dir/admin.token). false: unknown or
 * expired; `*out` is unchanged except its `size`, which the caller sets. `out->author` is valid
 * until the running callback returns. */
static inline bool weir_control_auth_token(struct weir_context *ctx, struct weir_str token,
                                           struct weir_caller *out)
{
    return ctx->host->control_auth_token(ctx, token, out);
}

/** Checks a password, which costs some 50 ms and 32 MiB on another thread: throttle attempts. `fn`
 * is called once, later, never inside this call. An unknown name takes as long. NULL: too many are
 * waiting, `fn` is not called. */
static inline struct weir_auth *weir_control_auth_password(struct weir_context *ctx,
                                                           struct weir_str name,
                                                           struct weir_str password,
                                                           weir_auth_fn fn, void *arg)
{
    return ctx->host->control_auth_password(ctx, name, password, fn, arg);
}

/** `fn` will not be called. Required before the instance is destroyed. */
static inline void weir_control_auth_cancel(struct weir_context *ctx, struct weir_auth *auth)
{
    ctx->host->control_auth_cancel(auth);
}

/** Uses up a one-time link (the text after `link=`). false: unknown, used or expired. */
static inline bool weir_control_auth_link(struct weir_context *ctx, struct weir_str link,
                                          struct weir_caller *out)
{
    return ctx->host->control_auth_link(ctx, link, out);
}

/** The author's current rights: for sessions, on each request, since users change. false: the user
 * no longer exists. */
static inline bool weir_control_auth_user(struct weir_context *ctx, struct weir_str author,
                                          struct weir_caller *out)
{
    return ctx->host->control_auth_user(ctx, author, out);
}

/** Whether an earlier authentication by token, password or link is still valid, and its current
 * rights: for sessions and streams. `author`, `since` and `token` of `before` count. false: the
 * user is gone, the password has changed, or the token is revoked or expired; `*out` is unchanged.
 * Since 1.4. */
static inline bool weir_control_auth_again(struct weir_context *ctx,
                                           const struct weir_caller *before,
                                           struct weir_caller *out)
{
    return ctx->host->control_auth_again(ctx, before, out);
}

/** Authenticates the peer of a Unix socket: root and the process's own user are admin. false:
 * another user, or not a Unix socket. `out->author` is valid until the running callback returns. */
static inline bool weir_control_auth_peer(struct weir_context *ctx, const struct weir_request *req,
                                          struct weir_caller *out)
{
    return ctx->host->control_auth_peer(ctx, req, out);
}

/** The OpenAPI 3.1 document of all operations, JSON, from the module that makes it; empty: none
 * does. Valid as long as the program runs. */
static inline struct weir_str weir_control_openapi(struct weir_context *ctx)
{
    return ctx->host->control_openapi(ctx);
}

/* ---- services of the kind `control`, since 1.4 ---- */

/** The caller of the operation: role and author. */
static inline struct weir_caller weir_operation_caller(struct weir_context *ctx,
                                                       struct weir_control_operation *operation)
{
    struct weir_caller caller;
    memset(&caller, 0, sizeof(caller));
    caller.size = sizeof(caller);
    ctx->host->operation_caller(operation, &caller);
    return caller;
}

/** A text argument of the path, the query or the body; valid until the answer. ptr NULL: not
 * given. */
static inline struct weir_str weir_operation_text(struct weir_context *ctx,
                                                  struct weir_control_operation *operation,
                                                  const char *name)
{
    return ctx->host->operation_text(operation, name);
}

/** A numeric argument: an integer, a boolean (0, 1), or a duration (milliseconds); `confirm` is the
 * time of ?confirm. `fallback` if it was not given. */
static inline int64_t weir_operation_number(struct weir_context *ctx,
                                            struct weir_control_operation *operation,
                                            const char *name, int64_t fallback)
{
    return ctx->host->operation_number(operation, name, fallback);
}

/** The answer: status, JSON (`body`; empty: none), `etag` with its quotes, `location`. Copied; it
 * replaces an earlier one. */
static inline void weir_operation_answer(struct weir_context *ctx,
                                         struct weir_control_operation *operation,
                                         const struct weir_control_answer *answer)
{
    ctx->host->operation_answer(operation, answer);
}

/** Answers with a problem document. `pointer` (status 422) names the argument: "/weight", "?limit";
 * several are collected. NULL: the whole request; replaces an earlier answer. */
static inline void weir_operation_problem(struct weir_context *ctx,
                                          struct weir_control_operation *operation, uint32_t status,
                                          const char *pointer, const char *format, ...)
    WEIR_PRINTF(5, 6);
static inline void weir_operation_problem(struct weir_context *ctx,
                                          struct weir_control_operation *operation, uint32_t status,
                                          const char *pointer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    ctx->host->operation_problem(operation, status, pointer, format, args);
    va_end(args);
}

/** Checks If-Match against the current tag (without quotes). false: 412 is the answer. */
static inline bool weir_operation_matches(struct weir_context *ctx,
                                          struct weir_control_operation *operation,
                                          const char *etag)
{
    return ctx->host->operation_matches(operation, etag);
}

/** Makes the change of a writing operation: it is in the journal and durable when `done` is called,
 * once, later. `done` answers, or (`error`: why nothing has changed) only cleans up, since an error
 * is answered already. The operation's function returns WEIR_LATER. */
static inline enum weir_operation_end weir_operation_change(
    struct weir_context *ctx, struct weir_control_operation *operation,
    const struct weir_change *change,
    void (*done)(void *arg, struct weir_control_operation *operation, const char *error), void *arg)
{
    ctx->host->operation_change(operation, change, done, arg);
    return WEIR_LATER;
}

/** Sends the answer of an operation whose function returned WEIR_LATER. Not inside that
 * function. */
static inline void weir_operation_finish(struct weir_context *ctx,
                                         struct weir_control_operation *operation)
{
    ctx->host->operation_finish(operation);
}

/** Runs `work` on another thread, then `done` on this one; the instance outlives it. false: too
 * many are queued. For slow work such as hashing a password. */
static inline bool weir_control_work(struct weir_context *ctx, void (*work)(void *arg),
                                     void (*done)(void *arg), void *arg)
{
    return ctx->host->control_work(ctx, work, done, arg);
}

/** Publishes an event: `data` is JSON. */
static inline void weir_control_event(struct weir_context *ctx, const char *name,
                                      struct weir_str data)
{
    ctx->host->control_event(ctx, name, data);
}

/** Visits all operations and the schemas of their answers. */
static inline void weir_control_operations(
    struct weir_context *ctx, void (*operation)(void *arg, const struct weir_operation *operation),
    void (*schema)(void *arg, const struct weir_schema *schema), void *arg)
{
    ctx->host->control_operations(ctx, operation, schema, arg);
}

WEIR_END_DECLS

#endif
