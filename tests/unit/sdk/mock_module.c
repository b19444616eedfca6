/* SPDX-License-Identifier: MIT */
/*
 * The mock module.
 */
#include "mock_module.h"

#include <check.h>
#include <stdio.h>

struct mock mock;

static const char *const modes[] = {"slow", "fast", NULL};

#define ANYWHERE (WEIR_CONTEXT_MODULE | WEIR_CONTEXT_POOL | WEIR_CONTEXT_LISTENER)

static const struct weir_option rule_rows[] = {
    WEIR_OPTION(struct mock_rule, pool, STRING, NULL, WEIR_CONTEXT_ROUTE, WEIR_OPTION_REQUIRED,
                "The pool."),
    WEIR_OPTION(struct mock_rule, strip, BOOLEAN, "on", WEIR_CONTEXT_ROUTE, 0, "A flag."),
    WEIR_OPTION_LIST(struct mock_rule, hosts, STRING, NULL, WEIR_CONTEXT_ROUTE, 0, "Hosts."),
};
static const struct weir_options rule_table =
    WEIR_OPTIONS_TITLED(struct mock_rule, rule_rows, title);

struct mock_inner {
    int64_t depth;
};
static const struct weir_option inner_rows[] = {
    WEIR_OPTION_RANGE(struct mock_inner, depth, INTEGER, "3", "1", "9", ANYWHERE, 0, "Depth."),
};
static const struct weir_options inner_table = WEIR_OPTIONS(struct mock_inner, inner_rows);

static const struct weir_option rows[] = {
    WEIR_OPTION(struct mock_conf, name, STRING, "weir session", ANYWHERE, 0, "A name."),
    WEIR_ROW_(struct mock_conf, ttl_ns, "ttl", WEIR_TYPE_DURATION, (enum weir_option_type)0, "1h",
              "1s", "1d", ANYWHERE, 0, NULL, NULL, "A time."),
    WEIR_OPTION_ENUM(struct mock_conf, mode, modes, "fast", WEIR_CONTEXT_POOL, 0, "A word."),
    WEIR_OPTION_LIST(struct mock_conf, codes, INTEGER, "{200, 204}", ANYWHERE, 0, "Numbers."),
    WEIR_OPTION_BLOCK(struct mock_conf, rules, "rule", &rule_table, ANYWHERE, 0, "Rules."),
    WEIR_OPTION_BLOCK(struct mock_conf, inner, "inner", &inner_table, ANYWHERE,
                      WEIR_OPTION_UNTITLED, "One."),
    WEIR_OPTION(struct mock_conf, key, STRING, NULL, WEIR_CONTEXT_LISTENER, WEIR_OPTION_REQUIRED,
                "A key."),
    WEIR_OPTION(struct mock_conf, secret, STRING, NULL, ANYWHERE, WEIR_OPTION_SECRET, "Secret."),
    WEIR_OPTION(struct mock_conf, log, STRING, NULL, ANYWHERE, WEIR_OPTION_PATH, "A file."),
};
static const struct weir_options table = WEIR_OPTIONS(struct mock_conf, rows);

static void trace(char letter)
{
    size_t len = strlen(mock.trace);
    if (len + 1 < sizeof(mock.trace)) {
        mock.trace[len] = letter;
    }
}

void mock_reset(void)
{
    memset(&mock, 0, sizeof(mock));
}

struct weir_test *mock_host(void)
{
    mock_reset();
    struct weir_test *host = weir_test_new(&mock_module);
    ck_assert_ptr_nonnull(host);
    return host;
}

struct weir_test_instance *mock_instance(struct weir_test *host, enum weir_test_kind kind)
{
    bool listener = kind == WEIR_TEST_HANDLER;
    struct weir_test_block *block = listener
                                        ? weir_test_conf_in(host, WEIR_CONTEXT_LISTENER, "key = k")
                                        : weir_test_conf_in(host, WEIR_CONTEXT_POOL, "");
    ck_assert_msg(block != NULL, "%s", weir_test_mistakes(host));
    struct weir_test_instance *instance = weir_test_create(host, kind, block);
    ck_assert_ptr_nonnull(instance);
    return instance;
}

static enum weir_status mock_load(struct weir_context *ctx)
{
    (void)ctx;
    mock.loads++;
    trace('l');
    return mock.load;
}

static enum weir_status mock_conf_create(struct weir_context *ctx, struct weir_check *check,
                                         const void *conf, void **prepared)
{
    mock.conf_creates++;
    trace('c');
    if (mock.check != NULL) {
        mock.check(ctx, check, conf);
    }
    if (mock.conf_create == WEIR_OK) {
        *prepared = &mock;
    }
    return mock.conf_create;
}

static void mock_conf_free(struct weir_context *ctx, void *prepared)
{
    (void)ctx;
    ck_assert_ptr_eq(prepared, &mock);
    mock.conf_frees++;
    trace('f');
}

static enum weir_status mock_worker_start(struct weir_context *ctx, const void *conf,
                                          void *prepared)
{
    ck_assert_ptr_nonnull(conf);
    ck_assert_ptr_eq(prepared, &mock);
    mock.worker_index = weir_worker_index(ctx);
    mock.worker_starts++;
    trace('w');
    return mock.worker_start;
}

static void mock_worker_stop(struct weir_context *ctx)
{
    (void)ctx;
    mock.worker_stops++;
    trace('W');
}

static enum weir_status mock_create(struct weir_context *ctx, const void *conf, void *prepared,
                                    void **instance)
{
    (void)ctx;
    ck_assert_ptr_nonnull(conf);
    *instance = prepared;
    mock.creates++;
    trace('i');
    return mock.create;
}

static void mock_destroy(struct weir_context *ctx, void *instance)
{
    (void)ctx;
    ck_assert_ptr_eq(instance, &mock);
    mock.destroys++;
    trace('d');
}

static void act(struct weir_context *ctx, struct weir_request *req)
{
    if (mock.act != NULL) {
        mock.act(ctx, req);
    }
}

static enum weir_status mock_route(struct weir_context *ctx, void *instance,
                                   struct weir_request *req, struct weir_route_result *out)
{
    (void)instance;
    act(ctx, req);
    uint32_t size = out->size;
    *out = mock.route_result;
    out->size = size;
    return mock.route;
}

static void mock_explain(struct weir_context *ctx, void *instance, struct weir_request *req,
                         const struct weir_rule_sink *sink)
{
    (void)ctx;
    (void)instance;
    (void)req;
    mock.explain(sink);
}

static enum weir_status mock_on_members(struct weir_context *ctx, void *instance,
                                        const struct weir_candidates *candidates)
{
    (void)ctx;
    (void)instance;
    mock.members++;
    mock.member_count = candidates->count;
    return WEIR_OK;
}

static uint32_t mock_pick(struct weir_context *ctx, void *instance, const struct weir_pick *pick)
{
    (void)ctx;
    (void)instance;
    return mock.pick(pick);
}

static enum weir_status mock_score(struct weir_context *ctx, void *instance,
                                   const struct weir_pick *pick, uint32_t index,
                                   struct weir_score *out)
{
    (void)ctx;
    (void)instance;
    return mock.score(pick, index, out);
}

static void mock_on_assign(struct weir_context *ctx, void *instance, uint32_t index)
{
    (void)ctx;
    (void)instance;
    (void)index;
    mock.assigns++;
}

static void mock_on_complete(struct weir_context *ctx, void *instance,
                             const struct weir_feedback *feedback)
{
    (void)ctx;
    (void)instance;
    mock.feedback = *feedback;
    mock.completes++;
}

static weir_server_id mock_lookup(struct weir_context *ctx, void *instance,
                                  struct weir_request *req)
{
    (void)instance;
    act(ctx, req);
    return 42;
}

static void mock_sticky_response(struct weir_context *ctx, void *instance, struct weir_request *req,
                                 struct weir_response *resp, weir_server_id server, bool known)
{
    (void)instance;
    (void)server;
    (void)known;
    act(ctx, req);
    if (mock.act_response != NULL) {
        mock.act_response(ctx, resp);
    }
}

static size_t mock_request(struct weir_context *ctx, void *instance,
                           const struct weir_probe_target *target, char *out, size_t capacity)
{
    (void)ctx;
    (void)instance;
    int len =
        snprintf(out, capacity, "PING %.*s", (int)target->authority.len, target->authority.ptr);
    return mock.verdict == WEIR_VERDICT_MORE ? capacity + 1 : (size_t)len;
}

static enum weir_verdict mock_judge(struct weir_context *ctx, void *instance,
                                    const struct weir_probe_target *target, const char *data,
                                    size_t len, bool eof, char *reason, size_t reason_size)
{
    (void)ctx;
    (void)instance;
    (void)target;
    (void)data;
    if (len < mock.judge_at && !eof) {
        return WEIR_VERDICT_MORE;
    }
    if (mock.verdict == WEIR_VERDICT_UP) {
        snprintf(reason, reason_size, "%zu bytes%s", len, eof ? ", end" : "");
    }
    return mock.verdict;
}

static enum weir_status mock_on_request(struct weir_context *ctx, void *instance,
                                        struct weir_request *req)
{
    (void)instance;
    act(ctx, req);
    return mock.on_request;
}

static void mock_on_response(struct weir_context *ctx, void *instance, struct weir_request *req,
                             struct weir_response *resp)
{
    mock_sticky_response(ctx, instance, req, resp, 0, false);
}

static void mock_on_data(struct weir_context *ctx, void *instance, struct weir_request *req,
                         const void *data, size_t len, bool end)
{
    (void)ctx;
    (void)instance;
    (void)data;
    mock.data_calls++;
    if (end && weir_test_reply_of(req).status == 0) {
        weir_reply_begin(req, 200, NULL, 0, (int64_t)len);
        weir_reply_write(req, data, len);
        weir_reply_end(req);
    }
}

static void mock_on_writable(struct weir_context *ctx, void *instance, struct weir_request *req)
{
    (void)ctx;
    (void)instance;
    (void)req;
    mock.writables++;
}

static void mock_on_drain(struct weir_context *ctx, void *instance)
{
    (void)ctx;
    (void)instance;
    mock.drains++;
}

static void mock_on_end(struct weir_context *ctx, void *instance, struct weir_request *req,
                        bool aborted)
{
    (void)ctx;
    (void)instance;
    (void)req;
    mock.ends++;
    mock.aborted_ends += aborted ? 1 : 0;
}

static void mock_log(struct weir_context *ctx, void *instance, struct weir_request *req,
                     struct weir_response *resp, const struct weir_record *record)
{
    (void)instance;
    (void)resp;
    (void)record;
    act(ctx, req);
}

static const struct weir_router router = {.size = sizeof(router),
                                          .create = mock_create,
                                          .destroy = mock_destroy,
                                          .route = mock_route,
                                          .explain = mock_explain};
static const struct weir_balancer balancer = {.size = sizeof(balancer),
                                              .create = mock_create,
                                              .destroy = mock_destroy,
                                              .on_members = mock_on_members,
                                              .pick = mock_pick,
                                              .on_assign = mock_on_assign,
                                              .on_complete = mock_on_complete,
                                              .score = mock_score};
static const struct weir_sticky sticky = {.size = sizeof(sticky),
                                          .create = mock_create,
                                          .destroy = mock_destroy,
                                          .lookup = mock_lookup,
                                          .on_response = mock_sticky_response};
static const struct weir_health health = {.size = sizeof(health),
                                          .create = mock_create,
                                          .destroy = mock_destroy,
                                          .request = mock_request,
                                          .judge = mock_judge};
static const struct weir_filter filter = {.size = sizeof(filter),
                                          .create = mock_create,
                                          .destroy = mock_destroy,
                                          .on_request = mock_on_request,
                                          .on_response = mock_on_response};
static const struct weir_handler handler = {.size = sizeof(handler),
                                            .create = mock_create,
                                            .destroy = mock_destroy,
                                            .on_request = mock_on_request,
                                            .on_data = mock_on_data,
                                            .on_writable = mock_on_writable,
                                            .on_end = mock_on_end,
                                            .on_drain = mock_on_drain};
static const struct weir_logger logger = {
    .size = sizeof(logger), .create = mock_create, .destroy = mock_destroy, .log = mock_log};

const struct weir_module mock_module = {
    .size = sizeof(mock_module),
    .abi_major = WEIR_ABI_MAJOR,
    .abi_minor = WEIR_ABI_MINOR,
    .name = "mock",
    .version = "1",
    .license = "MIT",
    .summary = "does what the test says",
    .options = &table,
    .load = mock_load,
    .conf_create = mock_conf_create,
    .conf_free = mock_conf_free,
    .worker_start = mock_worker_start,
    .worker_stop = mock_worker_stop,
    .router = &router,
    .balancer = &balancer,
    .sticky = &sticky,
    .health = &health,
    .filter = &filter,
    .handler = &handler,
    .logger = &logger,
};
