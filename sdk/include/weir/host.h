/* SPDX-License-Identifier: MIT */
/*
 * The host's services: one size-tagged table of functions, reached through a context or a request.
 * Modules call the inline wrappers (weir_log, weir_now_ns, ...; for requests those of http.h); a
 * test hands in a table of its own. A module has no undefined symbol of the program.
 *
 * Threads: unless a comment says otherwise a service is called on the loop on which the context
 * lives.
 */
#ifndef WEIR_HOST_H
#define WEIR_HOST_H

#include <stdarg.h>

#include <weir/module.h>

WEIR_BEGIN_DECLS

enum weir_log_level {
    WEIR_LOG_ERROR = 0,
    WEIR_LOG_WARNING = 1,
    WEIR_LOG_NOTICE = 2,
    WEIR_LOG_INFO = 3,
    WEIR_LOG_DEBUG = 4,
};

/** References to named objects: numbers with the same meaning on all workers of one generation. */
typedef uint32_t weir_pool_ref;
typedef uint32_t weir_route_ref;
#define WEIR_NO_REF UINT32_MAX

struct weir_request;
struct weir_response;
struct weir_transform;
struct weir_timer;
struct weir_file;

/* control.h */
struct weir_auth;
struct weir_change;
struct weir_operation;
struct weir_schema;
struct weir_caller;
struct weir_control_answer;
struct weir_control_request;
struct weir_control_operation;
struct weir_event;
struct weir_subscription;
/* stats.h */
struct weir_stats_row;
struct weir_metric_row;
struct weir_module_row;

typedef void (*weir_timer_fn)(void *arg);
typedef void (*weir_post_fn)(void *arg);

/** One header field. Names compare without regard to case (RFC 9110 section 5.1). */
struct weir_field {
    struct weir_str name;
    struct weir_str value;
};

/** A client's or server's address. */
struct weir_peer {
    struct weir_str address; /**< text, without port: 192.0.2.1, 2001:db8::1, or "unix" */
    uint16_t port;           /**< 0 for a Unix socket */
};

/** What follows a piece of a body. */
enum weir_flow {
    WEIR_FLOW_MORE = 0,  /**< more comes at once: bytes may be held back */
    WEIR_FLOW_FLUSH = 1, /**< nothing more for now: what is held back has to go on */
    WEIR_FLOW_END = 2,   /**< nothing: it was the last */
};

/** One address of a listener. */
struct weir_bind {
    struct weir_str address; /**< as configured: 127.0.0.1:9000, [::]:443, *:80, unix:/path */
    bool unix_socket;
    bool loopback; /**< reachable from this machine alone; false for a Unix socket */
};

/** A listener as conf_create sees it. */
struct weir_listener {
    struct weir_str name;
    const struct weir_bind *binds;
    size_t bind_count;
    bool tls;
};

/** The peer of a Unix socket, from the kernel, when the connection was made. */
struct weir_credentials {
    uint32_t uid;
    uint32_t gid;
    int32_t pid;
};

/** Strings of a request, for the host's `request_str`. New ones are added at the end. */
enum weir_request_str {
    WEIR_REQUEST_METHOD = 0,
    WEIR_REQUEST_SCHEME = 1,    /**< http or https, the client's or a trusted proxy's */
    WEIR_REQUEST_HOST = 2,      /**< lower case, without port; empty: none was given (HTTP/1.0) */
    WEIR_REQUEST_AUTHORITY = 3, /**< host and port as given */
    WEIR_REQUEST_PATH = 4,      /**< normalised: dot segments gone, needless %XX decoded */
    WEIR_REQUEST_QUERY = 5,     /**< without the question mark; empty: none */
    WEIR_REQUEST_TARGET = 6,    /**< as the client sent it */
    WEIR_REQUEST_PROTOCOL = 7,  /**< HTTP/1.0, HTTP/1.1, HTTP/2; empty: not known */
    WEIR_REQUEST_LISTENER = 8,
    WEIR_REQUEST_POOL = 9,    /**< empty before routing, or where there is none */
    WEIR_REQUEST_ROUTE = 10,  /**< likewise */
    WEIR_REQUEST_SERVER = 11, /**< id within its pool; empty: none was chosen (yet) */
    WEIR_REQUEST_SERVER_URL = 12,
    WEIR_REQUEST_TLS_VERSION = 13, /**< TLSv1.3; empty: plain */
    WEIR_REQUEST_TLS_NAME = 14,    /**< SNI; empty: none */
    WEIR_REQUEST_ID = 15,          /**< the request id for servers and logs; empty: none */
};

/**
 * The table. Filled by the host; a module that needs a service added in minor N declares N and need
 * not ask. Functions are called through the wrappers below and in http.h, whose comments are the
 * contract.
 */
struct weir_host {
    uint32_t size;
    uint16_t abi_major;
    uint16_t abi_minor;

    /* instance */
    void (*log)(struct weir_context *ctx, enum weir_log_level level, const char *format,
                va_list args);
    uint64_t (*now_ns)(struct weir_context *ctx);
    uint64_t (*wall_ms)(struct weir_context *ctx);
    uint32_t (*worker_index)(struct weir_context *ctx);
    uint32_t (*worker_count)(struct weir_context *ctx);
    struct weir_str (*pool_name)(struct weir_context *ctx);
    void (*random)(struct weir_context *ctx, void *out, size_t len);
    void (*hmac_sha256)(struct weir_context *ctx, const void *key, size_t key_len, const void *data,
                        size_t len, uint8_t out[32]);
    enum weir_status (*secret)(struct weir_context *ctx, const char *purpose, uint8_t out[32]);
    struct weir_timer *(*timer_new)(struct weir_context *ctx, weir_timer_fn fn, void *arg);
    void (*timer_set)(struct weir_timer *timer, uint64_t delay_ns);
    void (*timer_cancel)(struct weir_timer *timer);
    void (*timer_free)(struct weir_timer *timer);
    enum weir_status (*post)(struct weir_context *ctx, weir_post_fn fn, void *arg);
    struct weir_file *(*file_open)(struct weir_context *ctx, struct weir_str path);
    bool (*file_write)(struct weir_file *file, const void *data, size_t len);
    void (*file_close)(struct weir_file *file);

    /* checking, in conf_create */
    void (*check_error)(struct weir_check *check, const void *field, const char *format,
                        va_list args);
    weir_pool_ref (*check_pool)(struct weir_check *check, const struct weir_str *name);
    weir_route_ref (*check_route)(struct weir_check *check, const void *field,
                                  struct weir_str name);

    /* requests and responses */
    struct weir_str (*request_str)(const struct weir_request *req, enum weir_request_str which);
    struct weir_peer (*request_peer)(const struct weir_request *req);
    bool (*request_tls)(const struct weir_request *req);
    bool (*request_header)(const struct weir_request *req, struct weir_str name,
                           struct weir_str *value);
    size_t (*request_field_count)(const struct weir_request *req);
    struct weir_field (*request_field)(const struct weir_request *req, size_t index);
    enum weir_status (*request_set_header)(struct weir_request *req, struct weir_str name,
                                           struct weir_str value);
    enum weir_status (*request_add_header)(struct weir_request *req, struct weir_str name,
                                           struct weir_str value);
    size_t (*request_remove_header)(struct weir_request *req, struct weir_str name);
    void *(*request_alloc)(struct weir_request *req, size_t len);
    void **(*request_slot)(struct weir_request *req, struct weir_context *ctx);
    uint32_t (*response_status)(const struct weir_response *resp);
    bool (*response_header)(const struct weir_response *resp, struct weir_str name,
                            struct weir_str *value);
    size_t (*response_field_count)(const struct weir_response *resp);
    struct weir_field (*response_field)(const struct weir_response *resp, size_t index);
    enum weir_status (*response_set_header)(struct weir_response *resp, struct weir_str name,
                                            struct weir_str value);
    enum weir_status (*response_add_header)(struct weir_response *resp, struct weir_str name,
                                            struct weir_str value);
    size_t (*response_remove_header)(struct weir_response *resp, struct weir_str name);

    /* answering a request oneself */
    enum weir_status (*reply_begin)(struct weir_request *req, uint32_t status,
                                    const struct weir_field *fields, size_t count,
                                    int64_t content_length);
    size_t (*reply_write)(struct weir_request *req, const void *data, size_t len);
    void (*reply_end)(struct weir_request *req);
    void (*reply_abort)(struct weir_request *req);

    /* since 1.1 */
    enum weir_status (*request_set_path)(struct weir_request *req, struct weir_str path);
    int64_t (*response_content_length)(const struct weir_response *resp);
    enum weir_status (*response_transform)(struct weir_response *resp, void *state);
    size_t (*transform_write)(struct weir_transform *transform, const void *data, size_t len);
    bool (*check_listener)(struct weir_check *check, struct weir_listener *out);
    void *(*shared)(struct weir_context *ctx, const char *name, size_t size);
    bool (*request_credentials)(const struct weir_request *req, struct weir_credentials *out);
    struct weir_str (*block_name)(struct weir_context *ctx);
    enum weir_status (*reply_error)(struct weir_request *req, uint32_t status,
                                    const struct weir_field *fields, size_t count);

    /* since 1.2: control.h and stats.h */
    struct weir_control_operation *(*control_call)(
        struct weir_context *ctx, const struct weir_control_request *call,
        void (*fn)(void *arg, const struct weir_control_answer *answer), void *arg);
    void (*control_cancel)(struct weir_control_operation *operation);
    struct weir_subscription *(*control_subscribe)(struct weir_context *ctx, uint64_t last_id,
                                                   void (*fn)(void *arg,
                                                              const struct weir_event *event),
                                                   void *arg);
    void (*control_unsubscribe)(struct weir_subscription *subscription);
    bool (*control_auth_token)(struct weir_context *ctx, struct weir_str token,
                               struct weir_caller *out);
    struct weir_auth *(*control_auth_password)(
        struct weir_context *ctx, struct weir_str name, struct weir_str password,
        void (*fn)(void *arg, const struct weir_caller *caller), void *arg);
    void (*control_auth_cancel)(struct weir_auth *auth);
    bool (*control_auth_link)(struct weir_context *ctx, struct weir_str link,
                              struct weir_caller *out);
    bool (*control_auth_user)(struct weir_context *ctx, struct weir_str author,
                              struct weir_caller *out);
    bool (*control_auth_peer)(struct weir_context *ctx, const struct weir_request *req,
                              struct weir_caller *out);
    struct weir_str (*control_openapi)(struct weir_context *ctx);
    enum weir_status (*stats_visit)(struct weir_context *ctx,
                                    bool (*fn)(void *arg, const struct weir_stats_row *row),
                                    void *arg);
    struct weir_str (*reason_name)(struct weir_context *ctx, uint32_t reason);
    enum weir_status (*health_eject)(struct weir_context *ctx, weir_server_id server,
                                     uint64_t duration_ns, const char *reason);
    struct weir_str (*state_dir)(struct weir_context *ctx);
    void (*request_session)(struct weir_request *req, uint64_t session);

    /* since 1.4 */
    bool (*check_file)(struct weir_check *check, const struct weir_str *path);
    bool (*control_auth_again)(struct weir_context *ctx, const struct weir_caller *before,
                               struct weir_caller *out);
    void (*operation_caller)(struct weir_control_operation *operation, struct weir_caller *out);
    struct weir_str (*operation_text)(struct weir_control_operation *operation, const char *name);
    int64_t (*operation_number)(struct weir_control_operation *operation, const char *name,
                                int64_t fallback);
    void (*operation_answer)(struct weir_control_operation *operation,
                             const struct weir_control_answer *answer);
    void (*operation_problem)(struct weir_control_operation *operation, uint32_t status,
                              const char *pointer, const char *format, va_list args);
    bool (*operation_matches)(struct weir_control_operation *operation, const char *etag);
    void (*operation_change)(struct weir_control_operation *operation,
                             const struct weir_change *change,
                             void (*done)(void *arg, struct weir_control_operation *operation,
                                          const char *error),
                             void *arg);
    void (*operation_finish)(struct weir_control_operation *operation);
    bool (*control_work)(struct weir_context *ctx, void (*work)(void *arg), void (*done)(void *arg),
                         void *arg);
    void (*control_event)(struct weir_context *ctx, const char *name, struct weir_str data);
    void (*control_operations)(struct weir_context *ctx,
                               void (*operation)(void *arg, const struct weir_operation *operation),
                               void (*schema)(void *arg, const struct weir_schema *schema),
                               void *arg);
    enum weir_status (*stats_counters)(struct weir_context *ctx, uint32_t times,
                                       bool (*fn)(void *arg, const struct weir_stats_row *row),
                                       void *arg);
    void (*metric_add)(struct weir_context *ctx, uint32_t metric, int64_t n);
    void (*stats_metrics)(struct weir_context *ctx,
                          bool (*fn)(void *arg, const struct weir_metric_row *row), void *arg);
    void (*stats_modules)(struct weir_context *ctx,
                          bool (*fn)(void *arg, const struct weir_module_row *row), void *arg);

    /* since 1.5 */
    void (*fault)(struct weir_context *ctx, const char *what);
};

/* ---- services of an instance ---- */

/** Writes one line to the program's log, under the module's name. Any thread. Never blocks on the
 * disk. */
static inline void weir_log(struct weir_context *ctx, enum weir_log_level level, const char *format,
                            ...) WEIR_PRINTF(3, 4);
static inline void weir_log(struct weir_context *ctx, enum weir_log_level level, const char *format,
                            ...)
{
    va_list args;
    va_start(args, format);
    ctx->host->log(ctx, level, format, args);
    va_end(args);
}

/** The hook that runs has failed, and its type leaves it no way to say so (on_complete, log, a
 * timer's function): a strike, as a failing status is, and a line in the program's log. `what` says
 * what happened, in one line. Since 1.5. */
static inline void weir_fault(struct weir_context *ctx, const char *what)
{
    ctx->host->fault(ctx, what);
}

/** Monotonic time in nanoseconds, read once a loop turn. */
static inline uint64_t weir_now_ns(struct weir_context *ctx)
{
    return ctx->host->now_ns(ctx);
}

/** Wall-clock time in milliseconds since 1970-01-01T00:00:00Z; may jump. */
static inline uint64_t weir_wall_ms(struct weir_context *ctx)
{
    return ctx->host->wall_ms(ctx);
}

/** Number of the loop that this instance lives on: 0 .. count-1 for workers, count for the control
 * thread. */
static inline uint32_t weir_worker_index(struct weir_context *ctx)
{
    return ctx->host->worker_index(ctx);
}

/** Number of workers. */
static inline uint32_t weir_worker_count(struct weir_context *ctx)
{
    return ctx->host->worker_count(ctx);
}

/** The pool in whose block the module was named; empty: not in a pool. Valid as long as the
 * context. */
static inline struct weir_str weir_pool_name(struct weir_context *ctx)
{
    return ctx->host->pool_name(ctx);
}

/** Names the block in which the module stands, the same after a reload: `listener public filter
 * 2` is the second filter of this module there; empty for a module block. Fit for the names of
 * weir_shared. Valid as long as the context. */
static inline struct weir_str weir_block_name(struct weir_context *ctx)
{
    return ctx->host->block_name(ctx);
}

/** Fills `out` with `len` bytes fit for keys. Never fails. */
static inline void weir_random(struct weir_context *ctx, void *out, size_t len)
{
    ctx->host->random(ctx, out, len);
}

/** HMAC-SHA-256 (RFC 2104). Never fails. */
static inline void weir_hmac_sha256(struct weir_context *ctx, const void *key, size_t key_len,
                                    const void *data, size_t len, uint8_t out[32])
{
    ctx->host->hmac_sha256(ctx, key, key_len, data, len, out);
}

/** 32 secret bytes for `purpose` (of this module), the same after a restart: derived from the file
 * `secret` in state_dir. WEIR_ERROR: it could be neither read nor created; logged. Control thread
 * only (conf_create). */
static inline enum weir_status weir_secret(struct weir_context *ctx, const char *purpose,
                                           uint8_t out[32])
{
    return ctx->host->secret(ctx, purpose, out);
}

/** The folder state_dir, where a store keeps its file by default; ended by NUL. Empty: unknown (the
 * configuration is only checked). Control thread only (conf_create); valid until it returns. Since
 * 1.2. */
static inline struct weir_str weir_state_dir(struct weir_context *ctx)
{
    return ctx->host->state_dir(ctx);
}

/** A timer of this instance's loop, not yet set; NULL: no memory. Owner: the caller, who frees it
 * before the instance is destroyed; freeing it in its own callback is legal. Precision: about 16
 * ms. */
static inline struct weir_timer *weir_timer_new(struct weir_context *ctx, weir_timer_fn fn,
                                                void *arg)
{
    return ctx->host->timer_new(ctx, fn, arg);
}

/** Calls fn(arg) once, in `delay_ns` from now at the earliest; replaces an earlier setting. */
static inline void weir_timer_set(struct weir_context *ctx, struct weir_timer *timer,
                                  uint64_t delay_ns)
{
    ctx->host->timer_set(timer, delay_ns);
}

static inline void weir_timer_cancel(struct weir_context *ctx, struct weir_timer *timer)
{
    ctx->host->timer_cancel(timer);
}

static inline void weir_timer_free(struct weir_context *ctx, struct weir_timer *timer)
{
    ctx->host->timer_free(timer);
}

/** Calls fn(arg) on this instance's loop, soon. The one service that any thread may call, as long
 * as the instance lives. WEIR_NO_MEMORY: it will not be called. */
static inline enum weir_status weir_post(struct weir_context *ctx, weir_post_fn fn, void *arg)
{
    return ctx->host->post(ctx, fn, arg);
}

/** Opens a file for appending (made with mode 0640; "-": standard output; a FIFO may be without a
 * reader). The host reopens it by its path on SIGUSR1, for log rotation. NULL: could not;
 * logged. Opening the same path again gives the same file. A module whose conf_create has asked
 * weir_check_file for the path gets it at once. */
static inline struct weir_file *weir_file_open(struct weir_context *ctx, struct weir_str path)
{
    return ctx->host->file_open(ctx, path);
}

/** Appends `len` bytes, whole or not at all, by a thread of the host's: never blocks. Any thread.
 * false: too much is waiting (disk full or slow, a stalled reader); it was dropped and counted,
 * which the host logs. */
static inline bool weir_file_write(struct weir_context *ctx, struct weir_file *file,
                                   const void *data, size_t len)
{
    return ctx->host->file_write(file, data, len);
}

static inline void weir_file_close(struct weir_context *ctx, struct weir_file *file)
{
    ctx->host->file_close(file);
}

/* ---- services of conf_create ---- */

/** Reports a mistake in the configuration; the generation will be refused. `field` is the address
 * of the wrong field of the option struct (or of a block's struct): the host finds its file and
 * line. NULL: the block itself. The text says what is wrong and what to write, without a full
 * stop. */
static inline void weir_check_error(struct weir_context *ctx, struct weir_check *check,
                                    const void *field, const char *format, ...) WEIR_PRINTF(4, 5);
static inline void weir_check_error(struct weir_context *ctx, struct weir_check *check,
                                    const void *field, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    ctx->host->check_error(check, field, format, args);
    va_end(args);
}

/** The pool of that name. `name` is the option's own field, so that a mistake can be placed.
 * WEIR_NO_REF: there is none, and the mistake is reported. */
static inline weir_pool_ref weir_check_pool(struct weir_context *ctx, struct weir_check *check,
                                            const struct weir_str *name)
{
    return ctx->host->check_pool(check, name);
}

/** Makes a route known under `name`, for statistics and explanations; `field` places a mistake (two
 * routes of one name). WEIR_NO_REF: the mistake is reported. */
static inline weir_route_ref weir_check_route(struct weir_context *ctx, struct weir_check *check,
                                              const void *field, struct weir_str name)
{
    return ctx->host->check_route(check, field, name);
}

/** The listener in whose `handler` or `filter` block the module is named; what it points to lives
 * as long as the configuration's generation. false: the block stands elsewhere, and `*out` is
 * untouched. */
static inline bool weir_check_listener(struct weir_context *ctx, struct weir_check *check,
                                       struct weir_listener *out)
{
    return ctx->host->check_listener(check, out);
}

/** Checks a file that an instance will open with weir_file_open. When the configuration is only
 * checked, the file is neither created nor opened. `path` is the option's own field, so that a
 * mistake can be placed. false: the mistake is reported. Since 1.4. */
static inline bool weir_check_file(struct weir_context *ctx, struct weir_check *check,
                                   const struct weir_str *path)
{
    return ctx->host->check_file(check, path);
}

/** `size` bytes that outlive the generation: zeroed when first asked for, and found again by the
 * same module (also a newer copy of it) that asks for the same name and size in a later
 * generation's conf_create. They are freed with the last generation that asked for them. Control
 * thread; the module synchronises access from other threads. Never fails. They may outlive the
 * module's code: no pointers to functions or static data in them. */
static inline void *weir_shared(struct weir_context *ctx, const char *name, size_t size)
{
    return ctx->host->shared(ctx, name, size);
}

WEIR_END_DECLS

#endif
