/* SPDX-License-Identifier: MIT */
/*
 * The fake host from the inside: its objects, and what its files ask of each other. Not installed.
 *
 * All objects belong to the host and stand in its lists; all is driven by one thread, but posts and
 * log lines, which `lock` guards.
 */
#ifndef FAKE_H
#define FAKE_H

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#include <weir/testing.h>

#include "guard.h"

/* Work of one turn that makes more work of the same turn, for ever, is stopped here. */
#define FAKE_SPIN_LIMIT 100000

/* ---- memory (memory.c): every allocation is one malloc, so that sanitizers see its bounds ---- */

struct fake_chunk;
struct fake_arena {
    struct fake_chunk *chunks;
};
void *fake_arena_alloc(struct fake_arena *arena, size_t len); /* zeroed */
void fake_arena_free(struct fake_arena *arena);

/* Text or bytes that grow; always ended by NUL, which `len` does not count. `data` NULL: empty. */
struct fake_buffer {
    char *data;
    size_t len;
    size_t capacity;
};
void fake_buffer_append(struct fake_buffer *buffer, const void *data, size_t len);
void fake_buffer_vprintf(struct fake_buffer *buffer, const char *format, va_list args);
void fake_buffer_printf(struct fake_buffer *buffer, const char *format, ...) WEIR_PRINTF(2, 3);
void fake_buffer_clear(struct fake_buffer *buffer);
void fake_buffer_free(struct fake_buffer *buffer);
const char *fake_buffer_text(const struct fake_buffer *buffer); /* never NULL */

/* These abort where memory runs out: a test program has nothing better to do. */
void *fake_alloc(size_t len); /* zeroed */
void *fake_grow(void *array, size_t count, size_t size);
char *fake_copy(const char *text, size_t len);
char *fake_str_copy(const char *text);

static inline struct weir_str fake_str(const char *text)
{
    return text != NULL ? (struct weir_str){text, strlen(text)} : (struct weir_str){"", 0};
}

/* ---- objects ---- */

/* Where a hook or service is. Stands in `host->contexts` as long as it is valid. */
struct fake_context {
    struct weir_context base;
    struct weir_test *host;
    const char *what; /* for problems: "the balancer instance" */
    char *pool_name;
    char block_name[96];
    uint32_t worker_index;
    uint32_t worker_count;
    bool checking; /* conf_create runs */
    size_t timers;
};

/* Memory that outlives blocks; the host keeps all until its own end. */
struct fake_shared {
    struct fake_shared *next;
    char *name;
    size_t size;
    void *bytes;
};

struct weir_timer {
    struct weir_timer *next;
    struct fake_context *ctx; /* NULL: freed; kept so that a use after the free is told */
    struct weir_test *host;
    weir_timer_fn fn;
    void *arg;
    bool set;
    uint64_t due_ns;
    uint64_t order; /* among timers that are due at one time */
};

struct fake_post {
    struct fake_post *next;
    struct fake_context *ctx;
    weir_post_fn fn;
    void *arg;
};

struct fake_log_line {
    enum weir_log_level level;
    char *text;
};

struct weir_file {
    struct weir_file *next;
    struct weir_test *host;
    char *path;
    size_t open_count;
    struct fake_buffer content;
};

struct weir_test_block {
    struct weir_test_block *next;
    struct weir_test *host;
    enum weir_option_context context;
    struct fake_reading *reading; /* what core/conf made of the text; conf.c's */
    void *conf;                   /* NULL: the module has no options */
    void *snapshot;               /* as it was before the module saw it */
    void *prepared;
    uint64_t number; /* 1 for the host's first block */
    bool created;    /* conf_create has succeeded: conf_free is due */
    struct fake_context ctx;
    size_t instances;
};

/* The check that conf_create gets. */
struct weir_check {
    struct weir_test *host;
    const struct weir_test_block *block;
    bool failed;
};

/* The hooks that all kinds have, and how messages call the kind. */
struct fake_kind {
    const char *name;
    enum weir_option_context context;
    bool present;
    enum weir_status (*create)(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance);
    void (*destroy)(struct weir_context *ctx, void *instance);
};
#define FAKE_KIND_COUNT (WEIR_TEST_CONTROL + 1)

struct weir_test_instance {
    struct weir_test_instance *next;
    struct weir_test *host;
    enum weir_test_kind kind;
    struct weir_test_block *block;
    struct fake_context ctx;
    void *data;
    /* balancer; see balancer.c */
    struct weir_test_pool *pool;
    struct weir_candidates *candidates;
    void *memory; /* of its instance_size */
    struct ranking *ranking;
    uint32_t choices;
    uint32_t *numbers;  /* by index: the server's number */
    uint32_t *indexes;  /* by number: WEIR_PICK_NONE: it is no candidate */
    void **slots;       /* by number: its slot; NULL: none */
    uint32_t *assigned; /* by number: requests that it has there */
    uint32_t *heads;    /* by number: how many of these the server has begun to answer */
    uint32_t assigned_count;
    uint64_t questions; /* usable */
    /* health */
    struct fake_buffer probe;
    char reason[512];
};

struct fake_worker {
    struct fake_worker *next;
    struct fake_context ctx;
};

struct fake_fields {
    struct weir_field *items; /* both strings owned, ended by NUL */
    size_t count;
};

/* A call that a handler has made (control.c), or an operation of the module that runs
 * (operations.c); kept to the end, for the test to look at. */
struct weir_control_operation {
    struct weir_control_operation *next; /* older */
    struct weir_test *host;
    struct weir_control_request call; /* strings owned */
    weir_control_fn fn;               /* NULL: cancelled or answered */
    void *arg;
    /* of one that runs */
    const char *const *arguments;
    bool over;
    struct weir_test_answer answer; /* strings owned */
    struct weir_change change;      /* on its way; strings owned */
    void (*done)(void *arg, struct weir_control_operation *operation, const char *error);
    void *done_arg;
};

struct fake_route {
    char *name;
    uint64_t block; /* number of the block that made it known */
};

/* What routers told of their rules (explain.c). Strings are owned. */
struct fake_rules {
    struct weir_test_rule *items;
    size_t count;
    uint32_t left_out;
};

struct weir_test {
    pthread_t thread; /* drives the host */
    bool elsewhere;   /* what runs has a thread of its own in Weir */
    /* the module, with zero for what an older one lacks */
    struct weir_module module;
    struct weir_router router;
    struct weir_balancer balancer;
    struct weir_sticky sticky;
    struct weir_health health;
    struct weir_filter filter;
    struct weir_handler handler;
    struct weir_logger logger;
    struct weir_store store;
    struct weir_control control_kind;
    struct fake_kind kinds[FAKE_KIND_COUNT];

    struct weir_test_ejection ejection; /* the last one */
    char ejection_reason[512];
    size_t ejection_count;
    bool refuse_ejections;

    struct fake_buffer problems;
    size_t problem_count;
    struct fake_buffer mistakes;

    struct fake_context load_ctx;
    struct weir_test_block *blocks; /* newest first */
    uint64_t block_count;           /* ever made */
    struct weir_test_block *module_block;
    struct weir_test_instance *instances; /* newest first */
    struct fake_worker *workers;
    struct weir_test_pool *server_pools;
    struct fake_request *requests;
    uint32_t worker_index;
    uint32_t worker_count;

    char **pools;
    size_t pool_count;
    struct fake_route *routes;
    size_t route_count;
    struct fake_rules rules;
    char *pool_name;
    char *state_dir;
    struct weir_listener listener; /* of blocks in a listener; its strings are owned */
    struct fake_shared *shared;

    uint64_t now_ns;
    uint64_t wall_ms;
    uint64_t wall_since_ns; /* when `wall_ms` was right */
    uint64_t random_state;
    struct weir_timer *timers;
    uint64_t timer_order;
    struct weir_file *files;
    bool fail_open;
    bool fail_write;
    bool fail_secret;
    bool fail_armed;
    size_t fail_skip;

    pthread_mutex_t lock;
    struct fake_post *posts;
    struct fake_post **posts_end;
    struct fake_log_line *log;
    size_t log_count;

    int64_t metrics[WEIR_METRICS_MAX]; /* atomic; by row of module.metrics */
    struct weir_metric_row *metric_rows;
    size_t metric_row_count;
    struct weir_module_row *module_rows; /* for weir_stats_modules */
    size_t module_row_count;

    struct fake_control *control;       /* control.c's; NULL: not used yet */
    struct fake_operations *operations; /* operations.c's; likewise */
};

struct fake_reply {
    uint32_t status;
    int64_t content_length;
    bool ended;
    bool aborted;
    bool held;
    size_t waiting;
    struct fake_fields fields;
    struct fake_buffer body;
};

#define FAKE_REQUEST_STRINGS (WEIR_REQUEST_ID + 1)

struct fake_response {
    struct weir_response base;
    struct weir_test *host;
    uint32_t status;
    struct fake_fields fields;
    bool open; /* on_response runs: fields may change */
    int64_t content_length;
    /* what the filter makes of its body; see transform.c */
    struct weir_transform transform;
    struct weir_test_instance *filter; /* that saw it; NULL: none */
    void *state;
    bool transformed;
    bool in_data; /* on_response_data runs */
    bool ended;
    bool closed; /* on_response_close has run */
    bool held;
    bool blocked;
    size_t waiting;
    struct fake_buffer kept; /* what the filter declined */
    enum weir_flow kept_flow;
    struct fake_buffer output;
};

struct fake_request {
    struct weir_request base;
    struct fake_request *next;
    struct weir_test *host;
    char *strings[FAKE_REQUEST_STRINGS];
    char *peer_address;
    uint16_t peer_port;
    bool tls;
    bool has_credentials;
    struct weir_credentials credentials;
    bool sent;      /* to the server: fields do not change any more */
    bool filtering; /* a filter's on_request runs */
    struct fake_fields fields;
    struct fake_arena memory;
    void *slot;
    uint64_t session; /* 0: nobody has named it */
    struct fake_response *response;
    struct fake_reply reply;
    struct weir_test_instance *handler; /* on_end is due */
    bool over;
};

/* What stands behind a handle of the module's; without a look at the thread, or with one. */
static inline struct fake_context *fake_context_any(struct weir_context *ctx)
{
    return (struct fake_context *)(void *)ctx;
}

static inline struct fake_request *fake_request_any(const struct weir_request *req)
{
    return (struct fake_request *)(void *)(uintptr_t)req;
}

static inline struct fake_response *fake_response_any(const struct weir_response *resp)
{
    return (struct fake_response *)(void *)(uintptr_t)resp;
}

#define fake_context(ctx) \
    (fake_check_thread(fake_context_any(ctx)->host, __func__), fake_context_any(ctx))
#define fake_request(req) \
    (fake_check_thread(fake_request_any(req)->host, __func__), fake_request_any(req))
#define fake_response(resp) \
    (fake_check_thread(fake_response_any(resp)->host, __func__), fake_response_any(resp))

/* ---- host.c ---- */

/* The module broke its contract. */
void fake_problem(struct weir_test *host, const char *format, ...) WEIR_PRINTF(2, 3);

/* The test used the library wrongly. */
void fake_abort(const char *function, const char *what) __attribute__((noreturn));
#define FAKE_REQUIRE(condition, what) ((condition) ? (void)0 : fake_abort(__func__, (what)))

void fake_context_init(struct fake_context *ctx, struct weir_test *host, const char *what,
                       const char *pool_name);
/* Tells what is left behind under the context. */
void fake_context_end(struct fake_context *ctx);

/* Whether weir_test_fail_alloc wants this allocation to fail. */
bool fake_alloc_fails(struct weir_test *host);

/* ---- services.c ---- */
extern const struct weir_host fake_services;

/* ---- descriptor.c ---- */

/* Copies what a struct that begins with its size has into `size` zeroed bytes. */
void fake_copy_sized(void *to, size_t size, const void *from);
void fake_kinds_fill(struct weir_test *host);

/* ---- conf.c: instances.c wants a module block to be there ---- */
bool fake_module_block_ensure(struct weir_test *host);
void fake_block_destroy(struct weir_test_block *block);
void fake_check_error(struct weir_check *check, const void *field, const char *format,
                      va_list args);
bool fake_check_file(struct weir_check *check, const struct weir_str *path);
weir_pool_ref fake_check_pool(struct weir_check *check, const struct weir_str *name);
weir_route_ref fake_check_route(struct weir_check *check, const void *field, struct weir_str name);

/* ---- outside.c: what is around the block and outlives it ---- */
bool fake_check_listener(struct weir_check *check, struct weir_listener *out);
void *fake_shared(struct weir_context *ctx, const char *name, size_t size);
void fake_outside_free(struct weir_test *host);

/* ---- loop.c ---- */
struct weir_timer *fake_timer_new(struct weir_context *ctx, weir_timer_fn fn, void *arg);
void fake_timer_set(struct weir_timer *timer, uint64_t delay_ns);
void fake_timer_cancel(struct weir_timer *timer);
void fake_timer_free(struct weir_timer *timer);
enum weir_status fake_post(struct weir_context *ctx, weir_post_fn fn, void *arg);
/* The host's own: it never fails. */
void fake_post_always(struct weir_context *ctx, weir_post_fn fn, void *arg);
/* Drops what is posted to the context; says how much that was. */
size_t fake_posts_drop(struct weir_test *host, const struct fake_context *ctx);
void fake_timers_free(struct weir_test *host);

/* ---- files.c ---- */
struct weir_file *fake_file_open(struct weir_context *ctx, struct weir_str path);
bool fake_file_write(struct weir_file *file, const void *data, size_t len);
void fake_file_close(struct weir_file *file);
void fake_files_free(struct weir_test *host);

/* ---- fields.c ---- */
bool fake_name_equals(struct weir_str a, struct weir_str b);
const struct weir_field *fake_fields_find(const struct fake_fields *fields, struct weir_str name,
                                          size_t nth);
void fake_fields_add(struct fake_fields *fields, struct weir_str name, struct weir_str value);
size_t fake_fields_remove(struct fake_fields *fields, struct weir_str name);
void fake_fields_set(struct fake_fields *fields, struct weir_str name, struct weir_str value);
void fake_fields_free(struct fake_fields *fields);
/* Whether a module may set the field. */
bool fake_field_is_legal(struct weir_str name, struct weir_str value);

/* ---- request.c ---- */
struct weir_str fake_request_str(const struct weir_request *req, enum weir_request_str which);
struct weir_peer fake_request_peer(const struct weir_request *req);
bool fake_request_tls(const struct weir_request *req);
bool fake_request_credentials(const struct weir_request *req, struct weir_credentials *out);
bool fake_request_header(const struct weir_request *req, struct weir_str name,
                         struct weir_str *value);
size_t fake_request_field_count(const struct weir_request *req);
struct weir_field fake_request_field(const struct weir_request *req, size_t index);
enum weir_status fake_request_set_header(struct weir_request *req, struct weir_str name,
                                         struct weir_str value);
enum weir_status fake_request_add_header(struct weir_request *req, struct weir_str name,
                                         struct weir_str value);
size_t fake_request_remove_header(struct weir_request *req, struct weir_str name);
enum weir_status fake_request_set_path(struct weir_request *req, struct weir_str path);
void fake_request_session(struct weir_request *req, uint64_t session);
void *fake_request_alloc(struct weir_request *req, size_t len);
void **fake_request_slot(struct weir_request *req, struct weir_context *ctx);
uint32_t fake_response_status(const struct weir_response *resp);
bool fake_response_header(const struct weir_response *resp, struct weir_str name,
                          struct weir_str *value);
size_t fake_response_field_count(const struct weir_response *resp);
struct weir_field fake_response_field(const struct weir_response *resp, size_t index);
enum weir_status fake_response_set_header(struct weir_response *resp, struct weir_str name,
                                          struct weir_str value);
enum weir_status fake_response_add_header(struct weir_response *resp, struct weir_str name,
                                          struct weir_str value);
size_t fake_response_remove_header(struct weir_response *resp, struct weir_str name);
void fake_requests_free(struct weir_test *host);

/* ---- transform.c ---- */
int64_t fake_response_content_length(const struct weir_response *resp);
enum weir_status fake_health_eject(struct weir_context *ctx, weir_server_id server,
                                   uint64_t duration_ns, const char *reason);
enum weir_status fake_response_transform(struct weir_response *resp, void *state);
size_t fake_transform_write(struct weir_transform *transform, const void *data, size_t len);
/* on_response_close, once, if the filter transforms the body. */
void fake_transform_end(struct fake_response *resp);

/* ---- reply.c ---- */
enum weir_status fake_reply_begin(struct weir_request *req, uint32_t status,
                                  const struct weir_field *fields, size_t count,
                                  int64_t content_length);
size_t fake_reply_write(struct weir_request *req, const void *data, size_t len);
void fake_reply_end(struct weir_request *req);
void fake_reply_abort(struct weir_request *req);
enum weir_status fake_reply_error(struct weir_request *req, uint32_t status,
                                  const struct weir_field *fields, size_t count);
/* Tells handlers of their requests that are answered; whether there was one. */
bool fake_replies_finish(struct weir_test *host);
/* Tells the handler that its request is over, once. */
void fake_request_end(struct fake_request *req, bool aborted);

/* ---- instances.c ---- */
void fake_instance_destroy(struct weir_test_instance *instance);
/* The instance, checked to be of that kind. */
void fake_require_kind(const struct weir_test_instance *instance, enum weir_test_kind kind,
                       const char *function);

/* ---- control.c ---- */
struct weir_control_operation *fake_control_call(struct weir_context *ctx,
                                                 const struct weir_control_request *call,
                                                 weir_control_fn fn, void *arg);
void fake_control_cancel(struct weir_control_operation *operation);
struct weir_subscription *fake_control_subscribe(struct weir_context *ctx, uint64_t last_id,
                                                 weir_event_fn fn, void *arg);
void fake_control_unsubscribe(struct weir_subscription *subscription);
bool fake_control_auth_token(struct weir_context *ctx, struct weir_str token,
                             struct weir_caller *out);
bool fake_control_auth_user(struct weir_context *ctx, struct weir_str author,
                            struct weir_caller *out);
bool fake_control_auth_again(struct weir_context *ctx, const struct weir_caller *before,
                             struct weir_caller *out);
bool fake_control_auth_link(struct weir_context *ctx, struct weir_str link,
                            struct weir_caller *out);
bool fake_control_auth_peer(struct weir_context *ctx, const struct weir_request *req,
                            struct weir_caller *out);
struct weir_auth *fake_control_auth_password(struct weir_context *ctx, struct weir_str name,
                                             struct weir_str password, weir_auth_fn fn, void *arg);
void fake_control_auth_cancel(struct weir_auth *auth);
struct weir_str fake_control_openapi(struct weir_context *ctx);
enum weir_status fake_stats_visit(struct weir_context *ctx, weir_stats_fn fn, void *arg);
enum weir_status fake_stats_counters(struct weir_context *ctx, uint32_t times, weir_stats_fn fn,
                                     void *arg);
struct weir_str fake_reason_name(struct weir_context *ctx, uint32_t reason);
/* Also tells what is left behind. */
void fake_control_free(struct weir_test *host);

/* ---- operations.c ---- */
void fake_operation_caller(struct weir_control_operation *operation, struct weir_caller *out);
struct weir_str fake_operation_text(struct weir_control_operation *operation, const char *name);
int64_t fake_operation_number(struct weir_control_operation *operation, const char *name,
                              int64_t fallback);
void fake_operation_answer(struct weir_control_operation *operation,
                           const struct weir_control_answer *answer);
void fake_operation_problem(struct weir_control_operation *operation, uint32_t status,
                            const char *pointer, const char *format, va_list args);
bool fake_operation_matches(struct weir_control_operation *operation, const char *etag);
void fake_operation_change(struct weir_control_operation *operation,
                           const struct weir_change *change,
                           void (*done)(void *arg, struct weir_control_operation *operation,
                                        const char *error),
                           void *arg);
void fake_operation_finish(struct weir_control_operation *operation);
bool fake_control_work(struct weir_context *ctx, void (*work)(void *arg), void (*done)(void *arg),
                       void *arg);
void fake_control_event(struct weir_context *ctx, const char *name, struct weir_str data);
void fake_control_operations(struct weir_context *ctx,
                             void (*operation)(void *arg, const struct weir_operation *operation),
                             void (*schema)(void *arg, const struct weir_schema *schema),
                             void *arg);
void fake_operations_free(struct weir_test *host);

/* ---- explain.c ---- */
void fake_rules_free(struct fake_rules *rules);

/* ---- pool.c ---- */
struct fake_server {
    char *name;
    weir_server_id id;
    uint32_t weight, full_weight; /* times WEIR_WEIGHT_ONE */
    uint32_t limit;               /* 0: none */
    uint32_t in_flight;
    uint32_t latency_us;
    bool candidate;
    bool usable;
};

struct weir_test_pool {
    struct weir_test_pool *next;
    struct weir_test *host;
    char *name;
    struct fake_server **servers; /* each its own allocation: balancers point into it */
    uint32_t count;
};

struct fake_server *fake_server_at(const struct weir_test_pool *pool, uint32_t server);
size_t fake_names_size(const struct weir_test_pool *pool); /* with a NUL each */
void fake_server_pools_free(struct weir_test *host);

/* ---- balancer.c ---- */
/* Before create, after it, and after destroy. */
void fake_balancer_begin(struct weir_test_instance *instance);
void fake_balancer_made(struct weir_test_instance *instance);
void fake_balancer_free(struct weir_test_instance *instance);
/* Before destroy. */
void fake_balancer_end(struct weir_test_instance *instance);

/* ---- metrics.c ---- */
void fake_metric_add(struct weir_context *ctx, uint32_t metric, int64_t n);
void fake_stats_metrics(struct weir_context *ctx, weir_metric_fn fn, void *arg);
void fake_stats_modules(struct weir_context *ctx, weir_module_fn fn, void *arg);
/* Frees the rows, and tells which gauges were not taken back. */
void fake_metrics_end(struct weir_test *host);

#endif
