/* SPDX-License-Identifier: MIT */
/*
 * Control: what an admin plane is made of, from both sides. A handler module that serves operators
 * calls operations of the command table, hears of events, and asks who somebody is; HTTP, sessions
 * and pages are its own. A module of the kind `control` adds operations to that table, keeps what
 * they change in the store, and may say who somebody is.
 *
 * Thread: the control thread's loop, where both live. Privilege, schema and state are checked in
 * the core, once, from the command table. Since ABI 1.2; the kind `control` since 1.4.
 */
#ifndef WEIR_CONTROL_H
#define WEIR_CONTROL_H

#include <string.h>

#include <weir/stats.h>

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
    /** When the user was added or got another password, in ms since 1970; 0: not known. A session
     * that was begun under another number is not this user's any more. */
    uint64_t since;
    /** Name of the user's token by which he came, which is no secret; empty: not by one. Since
     * 1.4. */
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

/* ---- the kind `control`, since 1.4 ---- */

enum weir_argument_type {
    WEIR_ARGUMENT_STRING = 0,
    WEIR_ARGUMENT_INTEGER = 1,
    WEIR_ARGUMENT_BOOLEAN = 2,
    WEIR_ARGUMENT_DURATION = 3, /**< "30s", as in configuration */
    WEIR_ARGUMENT_WORD = 4,     /**< one of `words` */
    WEIR_ARGUMENT_TEXTS = 5,    /**< an object of strings */
};

/** One member of a body, or one parameter of a query. Its layout does not change. */
struct weir_argument {
    const char *name; /**< NULL ends the list */
    enum weir_argument_type type;
    bool required;
    int64_t minimum, maximum; /**< of integers; of strings: the length; of durations: seconds */
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
    WEIR_OPERATION_IF_MATCH = 1 << 2, /**< heeds If-Match: see weir_operation_matches */
};

/** What an operation's function says when it returns. */
enum weir_operation_end {
    WEIR_ANSWERED = 0, /**< the answer is there, and goes out */
    WEIR_LATER = 1,    /**< it comes by weir_operation_change or weir_operation_finish */
};

/** A row of the command table. */
struct weir_operation {
    const char *name; /**< `user.patch`: of this one alone; stands in the journal */
    enum weir_role role;
    const char *method;               /**< GET, POST, PATCH, DELETE */
    const char *path;                 /**< below /api/v1; {name} takes one segment, at most twice */
    const struct weir_argument *body; /**< NULL: takes none */
    const struct weir_argument *query; /**< likewise */
    uint32_t status;                   /**< of success */
    uint32_t flags;                    /**< enum weir_operation_flag bits */
    const char *answer;                /**< name of its schema; NULL: no body */
    const char *document;              /**< one sentence */
    /** Does it, on the control thread. Role and arguments are checked already. */
    enum weir_operation_end (*run)(struct weir_context *ctx, void *instance,
                                   struct weir_control_operation *operation);
};

/** The schema of an answer, for the OpenAPI document. */
struct weir_schema {
    const char *name; /**< NULL ends the list */
    const char *json; /**< JSON in which ' stands for " */
};

/** What an operation is to change, and what the journal tells of it. The host copies all of it. */
struct weir_change {
    uint32_t size;
    struct weir_str target;        /**< what is changed, for people */
    struct weir_str before, after; /**< JSON for the journal, without secrets; empty: null */
    struct weir_str key;           /**< in the module's space; empty: nothing is kept, nor undone */
    struct weir_str value;         /**< what is kept there from now on; ptr NULL: the key goes */
    /** What of the key is changed: a later change of the same part is in the way of an undo, and
     * `all` is in the way of every part. Empty: all. */
    struct weir_str part;
};

/** A change of the module's that is to be taken back. All strings are valid for the hook. */
struct weir_undo {
    uint32_t size;
    struct weir_str key, part;
    struct weir_str before, after; /**< JSON, as the change gave it; empty: null */
    struct weir_str now;           /**< what is kept under the key; ptr NULL: nothing */
    struct weir_str
        gone; /**< what the change removed, by the removal of the key; ptr NULL: nothing */
};

/** What traffic was lately. */
struct weir_rates {
    uint32_t size;
    double requests, errors, bytes_in, bytes_out; /**< a second, over the last five or so */
    double minute[3];   /**< p50, p95, p99 of the last minute, ms; NaN: nothing was measured */
    double recent[3];   /**< of the last five seconds or so */
    double error_share; /**< of the last minute's requests; NaN: there were none */
};

/**
 * Operations of a module, what they keep, and what the control plane asks of it. Enabled by the
 * module block; there is one instance, on the control thread, for as long as module and block are
 * the same: it outlives reloads. With another block, or another copy of the module, a new one is
 * made before the old one goes, which ends what it has begun.
 *
 * What is kept is text under keys, in a space of the module's own; the host holds it in memory too,
 * so that it is there without a store. Everything that is NULL is not offered.
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

    /** What is kept under a key is `value` now (ptr NULL: nothing): once for each key after
     * `create`, and whenever it has changed, durably, before the change is answered. */
    void (*take)(struct weir_context *ctx, void *instance, struct weir_str key,
                 struct weir_str value);
    /** Fills `key`... of a change that takes another one back; `key` and `part` are those of
     * `undo`. The strings are valid until the instance's next callback. NULL: it is filled; else
     * why it cannot be taken back (static, without a full stop). Asked more than once. NULL hook:
     * nothing can be undone. */
    const char *(*undo)(struct weir_context *ctx, void *instance, const struct weir_undo *undo,
                        struct weir_change *change);
    /** New files have come into force. */
    void (*on_reload)(struct weir_context *ctx, void *instance);
    /** Once a second, before `statistics` is told. `second` is a monotonic clock's. */
    void (*on_second)(struct weir_context *ctx, void *instance, uint64_t second, uint64_t wall_ms);

    /* Who somebody is: of all modules the first that has these is asked. See
     * weir_control_auth_token and so on; `out` has its size. */
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
    /** Rates of a listener, route, pool or server (with its pool), or of the process. false: not
     * known. */
    bool (*rates)(struct weir_context *ctx, void *instance, enum weir_stats_kind kind,
                  struct weir_str pool, struct weir_str name, struct weir_rates *out);
};

/* ---- services ---- */

/** Begins an operation. `fn` is called once, later, never inside this call: after a change it is
 * durable and in force when the answer comes. The handle is valid until then. NULL: no memory,
 * `fn` is not called. */
static inline struct weir_control_operation *weir_control_call(
    struct weir_context *ctx, const struct weir_control_request *call, weir_control_fn fn,
    void *arg)
{
    return ctx->host->control_call(ctx, call, fn, arg);
}

/** `fn` will not be called. The operation itself goes on: a change that was begun is finished. To
 * be done before the instance is destroyed. */
static inline void weir_control_cancel(struct weir_context *ctx,
                                       struct weir_control_operation *operation)
{
    ctx->host->control_cancel(operation);
}

/** Hears of events from now on, and first (on the next turn of the loop) of those that are kept
 * and newer than `last_id`; 0: of new ones alone. The last 256 are kept. `statistics` comes each
 * second. Owner: the caller, who ends it before the instance is destroyed; ending it inside `fn`
 * is legal. NULL: no memory. */
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

/** Whose token that is (`weir_...`, of a user or of state_dir/admin.token). false: nobody's, or
 * it has run out; `*out` is untouched but for its `size`, which who asks has set. `out->author`
 * is valid until the running callback returns. */
static inline bool weir_control_auth_token(struct weir_context *ctx, struct weir_str token,
                                           struct weir_caller *out)
{
    return ctx->host->control_auth_token(ctx, token, out);
}

/** Checks a password; it costs some 50 ms and 32 MiB of another thread, so throttle who asks.
 * `fn` is called later, once, never inside this call. A name that is not known takes as long.
 * NULL: too many are waiting, `fn` is not called. */
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

/** What that author may do now: for a session, with each request, since users go and change.
 * false: there is no such user any more. */
static inline bool weir_control_auth_user(struct weir_context *ctx, struct weir_str author,
                                          struct weir_caller *out)
{
    return ctx->host->control_auth_user(ctx, author, out);
}

/** Whether somebody who was recognised by token, password or link still is who he was, and what
 * he may do now: for whatever lasts, sessions and streams. What counts of `before` is `author`,
 * `since` and `token`. false: he has gone or got another password, or the token was taken back
 * or has run out; `*out` is untouched. Since 1.4. */
static inline bool weir_control_auth_again(struct weir_context *ctx,
                                           const struct weir_caller *before,
                                           struct weir_caller *out)
{
    return ctx->host->control_auth_again(ctx, before, out);
}

/** Who is at the other end of a Unix socket: root and the process's own user are admin. false:
 * somebody else, or no Unix socket. `out->author` is valid until the running callback returns. */
static inline bool weir_control_auth_peer(struct weir_context *ctx, const struct weir_request *req,
                                          struct weir_caller *out)
{
    return ctx->host->control_auth_peer(ctx, req, out);
}

/** The OpenAPI 3.1 document of all operations, JSON, by the module that makes it; empty: none does.
 * Valid as long as the program runs. */
static inline struct weir_str weir_control_openapi(struct weir_context *ctx)
{
    return ctx->host->control_openapi(ctx);
}

/* ---- services of the kind `control`, since 1.4 ---- */

/** Who asks for the operation: role and author. */
static inline struct weir_caller weir_operation_caller(struct weir_context *ctx,
                                                       struct weir_control_operation *operation)
{
    struct weir_caller caller;
    memset(&caller, 0, sizeof(caller));
    caller.size = sizeof(caller);
    ctx->host->operation_caller(operation, &caller);
    return caller;
}

/** An argument that is text, of the path, the query or the body; valid until the answer. ptr NULL:
 * it was not given. */
static inline struct weir_str weir_operation_text(struct weir_context *ctx,
                                                  struct weir_control_operation *operation,
                                                  const char *name)
{
    return ctx->host->operation_text(operation, name);
}

/** An argument that is a number: an integer, a boolean (0, 1), or a duration (milliseconds);
 * `confirm` is how long ?confirm gives. `fallback` where it was not given. */
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

/** A problem document as answer. `pointer` (status 422) names what is wrong: "/weight", "?limit";
 * several are collected. NULL: it concerns the whole, and replaces an earlier answer. */
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

/** Checks If-Match against the present tag (without quotes). false: 412 is the answer. */
static inline bool weir_operation_matches(struct weir_context *ctx,
                                          struct weir_control_operation *operation,
                                          const char *etag)
{
    return ctx->host->operation_matches(operation, etag);
}

/** Makes a change of an operation that writes: in the journal, and durable before `done` is called,
 * once, later. It makes the answer, or (`error`: why nothing has changed) cleans up: that is
 * answered already. The operation's function returns WEIR_LATER. */
static inline enum weir_operation_end weir_operation_change(
    struct weir_context *ctx, struct weir_control_operation *operation,
    const struct weir_change *change,
    void (*done)(void *arg, struct weir_control_operation *operation, const char *error), void *arg)
{
    ctx->host->operation_change(operation, change, done, arg);
    return WEIR_LATER;
}

/** Sends the answer of an operation whose function has said WEIR_LATER. Not from within that
 * function. */
static inline void weir_operation_finish(struct weir_context *ctx,
                                         struct weir_control_operation *operation)
{
    ctx->host->operation_finish(operation);
}

/** Runs `work` on another thread, then `done` on this one; the instance waits for it. false: too
 * many wait already. For what takes long, as hashing a password does. */
static inline bool weir_control_work(struct weir_context *ctx, void (*work)(void *arg),
                                     void (*done)(void *arg), void *arg)
{
    return ctx->host->control_work(ctx, work, done, arg);
}

/** Tells who listens of something: `data` is JSON. */
static inline void weir_control_event(struct weir_context *ctx, const char *name,
                                      struct weir_str data)
{
    ctx->host->control_event(ctx, name, data);
}

/** Visits all operations that there are, and the schemas of their answers. */
static inline void weir_control_operations(
    struct weir_context *ctx, void (*operation)(void *arg, const struct weir_operation *operation),
    void (*schema)(void *arg, const struct weir_schema *schema), void *arg)
{
    ctx->host->control_operations(ctx, operation, schema, arg);
}

WEIR_END_DECLS

#endif
