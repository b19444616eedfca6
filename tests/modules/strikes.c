/* SPDX-License-Identifier: MIT */
/*
 * Breaks its contract where it is told to, from a call on, and (with `file`) while a file is there:
 * a balancer, filter, router or stickiness that takes 50 ms, answers wrong, or fails.
 */
#include <weir/weir.h>

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct conf {
    int32_t at;
    int64_t after;
    struct weir_str file;
};

enum place {
    NOWHERE,
    PICK_SLOW,
    PICK_RANGE,
    PICK_NONE,
    MEMBERS,
    ASSIGN_SLOW,
    COMPLETE_SLOW,
    REQUEST_FAILS,
    REQUEST_SLOW,
    RESPONSE_FAILS,
    ROUTE_FAILS,
    ROUTE_SLOW,
    LOOKUP_SLOW,
    STICKY_FAILS,
    DESTROY_SLOW,
};
static const char *const places[] = {
    "nowhere",      "pick_slow",      "pick_range",    "pick_none",
    "members",      "assign_slow",    "complete_slow", "request_fails",
    "request_slow", "response_fails", "route_fails",   "route_slow",
    "lookup_slow",  "sticky_fails",   "destroy_slow",  NULL};

static const struct weir_option rows[] = {
    WEIR_OPTION_ENUM(struct conf, at, places, "nowhere",
                     WEIR_CONTEXT_MODULE | WEIR_CONTEXT_POOL | WEIR_CONTEXT_LISTENER,
                     WEIR_OPTION_RELOADABLE, "Where it breaks its contract."),
    WEIR_OPTION(struct conf, after, INTEGER, "0",
                WEIR_CONTEXT_MODULE | WEIR_CONTEXT_POOL | WEIR_CONTEXT_LISTENER,
                WEIR_OPTION_RELOADABLE, "Calls that each instance does well first."),
    WEIR_OPTION(struct conf, file, STRING, NULL,
                WEIR_CONTEXT_MODULE | WEIR_CONTEXT_POOL | WEIR_CONTEXT_LISTENER,
                WEIR_OPTION_RELOADABLE, "Only while it is there."),
};
static const struct weir_options options = WEIR_OPTIONS(struct conf, rows);

struct instance {
    const struct conf *conf;
    int64_t calls;
};

static bool breaks(void *data, enum place place)
{
    struct instance *instance = data;
    const struct conf *conf = instance->conf;

    return conf->at == (int32_t)place && ++instance->calls > conf->after &&
           (conf->file.len == 0 || access(conf->file.ptr, F_OK) == 0);
}

static void maybe_slow(void *instance, enum place place)
{
    const struct timespec pause = {.tv_nsec = 50000000};

    if (breaks(instance, place)) {
        nanosleep(&pause, NULL);
    }
}

static enum weir_status create(struct weir_context *ctx, const void *conf, void *prepared,
                               void **out)
{
    struct instance *instance = calloc(1, sizeof(*instance));
    (void)ctx;
    (void)prepared;

    if (instance == NULL) {
        return WEIR_NO_MEMORY;
    }
    instance->conf = conf;
    *out = instance;
    return WEIR_OK;
}

/* On one loop, so that it alone is late. */
static void destroy(struct weir_context *ctx, void *instance)
{
    if (weir_worker_index(ctx) == 0) {
        maybe_slow(instance, DESTROY_SLOW);
    }
    free(instance);
}

/* ---- a balancer ---- */

static enum weir_status on_members(struct weir_context *ctx, void *instance,
                                   const struct weir_candidates *candidates)
{
    (void)ctx;
    (void)candidates;
    return breaks(instance, MEMBERS) ? WEIR_ERROR : WEIR_OK;
}

/* All to the last one: whoever else is asked has chosen otherwise. */
static uint32_t pick(struct weir_context *ctx, void *instance, const struct weir_pick *pick)
{
    (void)ctx;
    maybe_slow(instance, PICK_SLOW);
    if (breaks(instance, PICK_RANGE)) {
        return pick->candidates->count + 7;
    }
    if (breaks(instance, PICK_NONE)) {
        return WEIR_PICK_NONE;
    }
    for (uint32_t i = pick->candidates->count; i > 0; i--) {
        if (weir_pick_usable(pick, i - 1)) {
            return i - 1;
        }
    }
    return WEIR_PICK_NONE;
}

static void on_assign(struct weir_context *ctx, void *instance, uint32_t index)
{
    (void)ctx;
    (void)index;
    maybe_slow(instance, ASSIGN_SLOW);
}

static void on_complete(struct weir_context *ctx, void *instance,
                        const struct weir_feedback *feedback)
{
    (void)ctx;
    (void)feedback;
    maybe_slow(instance, COMPLETE_SLOW);
}

static const struct weir_balancer balancer = {
    .size = sizeof(balancer),
    .create = create,
    .destroy = destroy,
    .on_members = on_members,
    .pick = pick,
    .on_assign = on_assign,
    .on_complete = on_complete,
};

/* ---- a filter ---- */

static enum weir_status on_request(struct weir_context *ctx, void *instance,
                                   struct weir_request *req)
{
    (void)ctx;
    (void)req;
    maybe_slow(instance, REQUEST_SLOW);
    return breaks(instance, REQUEST_FAILS) ? WEIR_ERROR : WEIR_OK;
}

static void on_response(struct weir_context *ctx, void *instance, struct weir_request *req,
                        struct weir_response *resp)
{
    static const char seen[] = "X-Filtered";
    (void)ctx;

    if (breaks(instance, RESPONSE_FAILS)) {
        weir_reply_abort(req);
    } else {
        weir_response_set_header(resp, (struct weir_str){seen, sizeof(seen) - 1},
                                 (struct weir_str){"yes", 3});
    }
}

static const struct weir_filter filter = {
    .size = sizeof(filter),
    .create = create,
    .destroy = destroy,
    .on_request = on_request,
    .on_response = on_response,
};

/* ---- a router, that has no route ---- */

static enum weir_status route(struct weir_context *ctx, void *instance, struct weir_request *req,
                              struct weir_route_result *result)
{
    (void)ctx;
    (void)req;
    (void)result;
    maybe_slow(instance, ROUTE_SLOW);
    return breaks(instance, ROUTE_FAILS) ? WEIR_ERROR : WEIR_DECLINED;
}

static const struct weir_router router = {
    .size = sizeof(router),
    .create = create,
    .destroy = destroy,
    .route = route,
};

/* ---- stickiness, that knows nobody ---- */

static weir_server_id lookup(struct weir_context *ctx, void *instance, struct weir_request *req)
{
    (void)ctx;
    (void)req;
    maybe_slow(instance, LOOKUP_SLOW);
    return WEIR_NO_SERVER;
}

static void on_sticky_response(struct weir_context *ctx, void *instance, struct weir_request *req,
                               struct weir_response *resp, weir_server_id server, bool known)
{
    (void)ctx;
    (void)resp;
    (void)server;
    (void)known;
    if (breaks(instance, STICKY_FAILS)) {
        weir_reply_abort(req);
    }
}

static const struct weir_sticky sticky = {
    .size = sizeof(sticky),
    .create = create,
    .destroy = destroy,
    .lookup = lookup,
    .on_response = on_sticky_response,
};

WEIR_DEFINE_MODULE(STRIKES_NAME, "1.0", "MIT", "Breaks its contract where it is told to",
                   .options = &options, .balancer = &balancer, .filter = &filter, .router = &router,
                   .sticky = &sticky);
