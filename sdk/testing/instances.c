/* SPDX-License-Identifier: MIT */
/*
 * Instances: made and destroyed, and the calls of routers, sticky, filters and loggers.
 */
#include "fake.h"

#include <stdlib.h>

void fake_require_kind(const struct weir_test_instance *instance, enum weir_test_kind kind,
                       const char *function)
{
    if (instance == NULL || instance->kind != kind) {
        fake_abort(function, "the instance is NULL or of another kind");
    }
}

static bool worker_start(struct weir_test *host)
{
    for (const struct fake_worker *worker = host->workers; worker != NULL; worker = worker->next) {
        if (worker->ctx.worker_index == host->worker_index) {
            return true;
        }
    }
    struct fake_worker *worker = fake_alloc(sizeof(*worker));
    fake_context_init(&worker->ctx, host, "the worker", NULL);
    FAKE_HOOK("worker_start");
    if (host->module.worker_start != NULL &&
        host->module.worker_start(&worker->ctx.base, host->module_block->conf,
                                  host->module_block->prepared) != WEIR_OK) {
        fake_context_end(&worker->ctx);
        free(worker);
        return false;
    }
    worker->next = host->workers;
    host->workers = worker;
    return true;
}

struct weir_test_instance *weir_test_create(struct weir_test *host, enum weir_test_kind kind,
                                            struct weir_test_block *block)
{
    FAKE_REQUIRE(host != NULL && (unsigned)kind < FAKE_KIND_COUNT && host->kinds[kind].present,
                 "the module is not of this kind");
    FAKE_REQUIRE(block != NULL && block->host == host, "there is no block of this host");
    const struct fake_kind *ops = &host->kinds[kind];

    if (!fake_module_block_ensure(host) || !worker_start(host)) {
        return NULL;
    }
    struct weir_test_instance *instance =
        fake_lend(sizeof(*instance), "the context of an instance that is gone");
    instance->host = host;
    instance->kind = kind;
    instance->block = block;
    instance->data = block->prepared;
    fake_context_init(&instance->ctx, host, ops->name, block->ctx.pool_name);
    memcpy(instance->ctx.block_name, block->ctx.block_name, sizeof(instance->ctx.block_name));
    if (kind == WEIR_TEST_HEALTH || kind == WEIR_TEST_HANDLER || kind == WEIR_TEST_CONTROL) {
        /* These live on the control thread. */
        instance->ctx.worker_index = host->worker_count;
    }
    if (kind == WEIR_TEST_BALANCER) {
        fake_balancer_begin(instance);
    }
    if (ops->create != NULL) {
        FAKE_HOOK("create");
        instance->data = instance->memory;
        if (ops->create(&instance->ctx.base, block->conf, block->prepared, &instance->data) !=
            WEIR_OK) {
            fake_context_end(&instance->ctx);
            fake_balancer_free(instance);
            fake_take_back(instance);
            return NULL;
        }
    }
    if (kind == WEIR_TEST_BALANCER) {
        fake_balancer_made(instance);
    }
    block->instances++;
    instance->next = host->instances;
    host->instances = instance;
    return instance;
}

/* A handler's or filter's requests end before it goes, as they do when Weir drains a generation. */
static void end_requests(const struct weir_test_instance *instance)
{
    for (struct fake_request *req = instance->host->requests; req != NULL; req = req->next) {
        if (req->handler == instance) {
            fake_request_end(req, !req->reply.ended);
        }
        if (req->response != NULL && req->response->filter == instance) {
            fake_transform_end(req->response);
        }
    }
}

void fake_instance_destroy(struct weir_test_instance *instance)
{
    struct weir_test *host = instance->host;
    struct weir_test_instance **link = &host->instances;

    weir_test_run(host);
    end_requests(instance);
    fake_balancer_end(instance);
    if (host->kinds[instance->kind].destroy != NULL) {
        FAKE_HOOK("destroy");
        host->kinds[instance->kind].destroy(&instance->ctx.base, instance->data);
    }
    fake_context_end(&instance->ctx);
    while (*link != instance) {
        link = &(*link)->next;
    }
    *link = instance->next;
    instance->block->instances--;
    fake_balancer_free(instance);
    fake_buffer_free(&instance->probe);
    fake_take_back(instance);
}

void weir_test_destroy(struct weir_test_instance **instance)
{
    FAKE_REQUIRE(instance != NULL && *instance != NULL, "there is no instance");
    fake_instance_destroy(*instance);
    *instance = NULL;
}

void *weir_test_instance_data(const struct weir_test_instance *instance)
{
    return instance->data;
}

struct weir_context *weir_test_instance_context(struct weir_test_instance *instance)
{
    return &instance->ctx.base;
}

/* ---- router ---- */

static void check_route(struct weir_test *host, struct weir_request *req,
                        const struct weir_route_result *out)
{
    bool to_pool = out->status == 0;
    bool redirect = out->status == 301 || out->status == 302 || out->status == 303 ||
                    out->status == 307 || out->status == 308;
    const char *pool = weir_test_pool_name(host, out->pool);
    const char *route = weir_test_route_name(host, out->route);

    if (to_pool && pool == NULL) {
        fake_problem(host, "route gave neither a known pool nor a status");
    }
    if (redirect && out->location.len == 0) {
        fake_problem(host, "route redirects (%u) to nowhere", out->status);
    }
    if (!to_pool && !redirect && (out->status < 400 || out->status > 599)) {
        fake_problem(host, "route gave the status %u, which is none to answer with", out->status);
    }
    if (out->route != WEIR_NO_REF && route == NULL) {
        fake_problem(host, "route gave a route that was never made known");
    }
    weir_test_request_set_str(req, WEIR_REQUEST_POOL, to_pool && pool != NULL ? pool : "");
    weir_test_request_set_str(req, WEIR_REQUEST_ROUTE, route != NULL ? route : "");
}

enum weir_status weir_test_route(struct weir_test_instance *router, struct weir_request *req,
                                 struct weir_route_result *out)
{
    fake_require_kind(router, WEIR_TEST_ROUTER, __func__);
    *out = (struct weir_route_result){
        .size = sizeof(*out), .pool = WEIR_NO_REF, .route = WEIR_NO_REF, .location = {"", 0}};
    FAKE_HOOK("route");
    enum weir_status status = router->host->router.route(&router->ctx.base, router->data, req, out);
    if (status == WEIR_OK) {
        check_route(router->host, req, out);
    }
    return status;
}

/* ---- sticky ---- */

weir_server_id weir_test_lookup(struct weir_test_instance *sticky, struct weir_request *req)
{
    fake_require_kind(sticky, WEIR_TEST_STICKY, __func__);
    FAKE_HOOK("lookup");
    return sticky->host->sticky.lookup(&sticky->ctx.base, sticky->data, req);
}

void weir_test_sticky_response(struct weir_test_instance *sticky, struct weir_request *req,
                               struct weir_response *resp, weir_server_id server, bool known)
{
    fake_require_kind(sticky, WEIR_TEST_STICKY, __func__);
    fake_request(req)->sent = true;
    if (sticky->host->sticky.on_response != NULL) {
        FAKE_HOOK("on_response");
        fake_response(resp)->open = true;
        sticky->host->sticky.on_response(&sticky->ctx.base, sticky->data, req, resp, server, known);
        fake_response(resp)->open = false;
    }
}

/* ---- filter ---- */

enum weir_status weir_test_filter_request(struct weir_test_instance *filter,
                                          struct weir_request *req)
{
    const struct fake_reply *reply = &fake_request(req)->reply;
    fake_require_kind(filter, WEIR_TEST_FILTER, __func__);
    if (filter->host->filter.on_request == NULL) {
        return WEIR_OK;
    }
    FAKE_HOOK("on_request");
    fake_request(req)->filtering = true;
    enum weir_status status = filter->host->filter.on_request(&filter->ctx.base, filter->data, req);
    fake_request(req)->filtering = false;
    if (status == WEIR_DONE && !reply->ended && !reply->aborted) {
        fake_problem(filter->host, "a filter said WEIR_DONE without a whole reply");
    }
    if (status != WEIR_DONE && reply->status != 0) {
        fake_problem(filter->host, "a filter began a reply, and did not say WEIR_DONE");
    }
    return status;
}

enum weir_status weir_test_filter_explain(struct weir_test_instance *filter,
                                          struct weir_request *req,
                                          struct weir_filter_verdict *verdict)
{
    fake_require_kind(filter, WEIR_TEST_FILTER, __func__);
    *verdict = (struct weir_filter_verdict){.size = sizeof(*verdict)};
    if (filter->host->filter.explain == NULL) {
        return WEIR_DECLINED;
    }
    FAKE_HOOK("explain");
    fake_request(req)->filtering = true;
    enum weir_status status =
        filter->host->filter.explain(&filter->ctx.base, filter->data, req, verdict);
    fake_request(req)->filtering = false;
    if (fake_request(req)->reply.status != 0) {
        fake_problem(filter->host, "a filter began a reply in a dry run");
    }
    if (memchr(verdict->why, '\0', sizeof(verdict->why)) == NULL) {
        fake_problem(filter->host, "a verdict's text is not ended");
    }
    return status;
}

void weir_test_filter_response(struct weir_test_instance *filter, struct weir_request *req,
                               struct weir_response *resp)
{
    fake_require_kind(filter, WEIR_TEST_FILTER, __func__);
    fake_request(req)->sent = true;
    FAKE_REQUIRE(fake_response(resp)->filter == NULL, "the response has been through a filter");
    if (filter->host->filter.on_response != NULL) {
        FAKE_HOOK("on_response");
        fake_response(resp)->filter = filter;
        fake_response(resp)->open = true;
        filter->host->filter.on_response(&filter->ctx.base, filter->data, req, resp);
        fake_response(resp)->open = false;
    }
}

/* ---- logger ---- */

struct weir_record weir_test_record(struct weir_test *host)
{
    return (struct weir_record){
        .size = sizeof(struct weir_record),
        .status = 200,
        .request_bytes = 100,
        .response_bytes = 1000,
        .body_bytes = 900,
        .start_wall_ms = host->wall_ms + (host->now_ns - host->wall_since_ns) / 1000000,
        .total_ns = 5000000,
        .first_byte_ns = 4000000,
        .outcome = WEIR_OUTCOME_SUCCESS,
        .reason = {"", 0},
        .grpc_status = -1,
    };
}

void weir_test_log_request(struct weir_test_instance *logger, struct weir_request *req,
                           struct weir_response *resp, const struct weir_record *record)
{
    fake_require_kind(logger, WEIR_TEST_LOGGER, __func__);
    FAKE_REQUIRE(record != NULL && record->size == sizeof(*record),
                 "begin a record with weir_test_record");
    fake_request(req)->sent = true;
    void *copy = fake_lend_copy(record, sizeof(*record), "a record of a call that is over");
    FAKE_HOOK("log");
    logger->host->logger.log(&logger->ctx.base, logger->data, req, resp, copy);
    fake_take_back(copy);
}
