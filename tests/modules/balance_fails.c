/* SPDX-License-Identifier: MIT */
/*
 * A balancer and filter that fails where it is told to: at = {"create"}, say. What it does not fail
 * in, it does well enough: it takes the first usable candidate.
 */
#include <weir/weir.h>

struct conf {
    int32_t at;
};

enum place {
    NOWHERE,
    CONF,
    WORKER,
    CREATE,
    MEMBERS,
    LATER_MEMBERS,
    PICK_RANGE,
    PICK_BUSY,
    PICK_NONE,
    REQUEST,
    REPLY
};
static const char *const places[] = {"nowhere",   "conf",          "worker",     "create",
                                     "members",   "later_members", "pick_range", "pick_busy",
                                     "pick_none", "request",       "reply",      NULL};

static const struct weir_option rows[] = {
    WEIR_OPTION_ENUM(struct conf, at, places, "nowhere",
                     WEIR_CONTEXT_MODULE | WEIR_CONTEXT_POOL | WEIR_CONTEXT_LISTENER,
                     WEIR_OPTION_RELOADABLE, "Where it fails."),
};
static const struct weir_options options = WEIR_OPTIONS(struct conf, rows);

static enum weir_status fail_at(const void *conf, enum place place)
{
    return ((const struct conf *)conf)->at == (int32_t)place ? WEIR_ERROR : WEIR_OK;
}

static enum weir_status conf_create(struct weir_context *ctx, struct weir_check *check,
                                    const void *conf, void **prepared)
{
    (void)ctx;
    (void)check;
    (void)prepared;
    return fail_at(conf, CONF);
}

static enum weir_status worker_start(struct weir_context *ctx, const void *conf, void *prepared)
{
    (void)ctx;
    (void)prepared;
    return fail_at(conf, WORKER);
}

static enum weir_status create(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance)
{
    (void)ctx;
    (void)prepared;
    *instance = (void *)(uintptr_t)conf;
    return fail_at(conf, CREATE);
}

static enum weir_status on_members(struct weir_context *ctx, void *instance,
                                   const struct weir_candidates *candidates)
{
    static _Thread_local uint32_t known; /* of the one instance that fails later */
    const struct conf *conf = instance;

    if (conf->at == LATER_MEMBERS && known > 0) {
        weir_log(ctx, WEIR_LOG_NOTICE, "does not take %u members", candidates->count);
        return WEIR_ERROR;
    }
    known = conf->at == LATER_MEMBERS ? candidates->count : 0;
    return fail_at(instance, MEMBERS);
}

/* By its index it is one of the members that were taken over. */
static void on_complete(struct weir_context *ctx, void *instance,
                        const struct weir_feedback *feedback)
{
    const struct conf *conf = instance;

    if (conf->at == LATER_MEMBERS) {
        weir_log(ctx, WEIR_LOG_NOTICE, "complete: %s",
                 feedback->index == WEIR_PICK_NONE ? "no candidate" : "a candidate");
    }
}

static void on_assign(struct weir_context *ctx, void *instance, uint32_t index)
{
    (void)ctx;
    (void)instance;
    (void)index;
}

static uint32_t pick(struct weir_context *ctx, void *instance, const struct weir_pick *pick)
{
    const struct conf *conf = instance;
    (void)ctx;

    if (conf->at == PICK_RANGE) {
        return pick->candidates->count + 7;
    }
    if (conf->at == PICK_NONE) {
        return WEIR_PICK_NONE;
    }
    for (uint32_t i = 0; i < pick->candidates->count; i++) {
        if (weir_pick_usable(pick, i) != (conf->at == PICK_BUSY)) {
            return i;
        }
    }
    return conf->at == PICK_BUSY ? UINT32_MAX - 1 : WEIR_PICK_NONE;
}

static enum weir_status on_request(struct weir_context *ctx, void *instance,
                                   struct weir_request *req)
{
    (void)ctx;
    (void)req;
    if (((const struct conf *)instance)->at == REPLY) {
        return WEIR_DONE; /* and yet nothing was answered */
    }
    return fail_at(instance, REQUEST);
}

static const struct weir_balancer balancer = {
    .size = sizeof(balancer),
    .create = create,
    .on_members = on_members,
    .pick = pick,
    .on_assign = on_assign,
    .on_complete = on_complete,
};

static const struct weir_filter filter = {
    .size = sizeof(filter),
    .create = create,
    .on_request = on_request,
};

WEIR_DEFINE_MODULE("balance_fails", "1.0", "MIT", "Fails where it is told to", .options = &options,
                   .conf_create = conf_create, .worker_start = worker_start, .balancer = &balancer,
                   .filter = &filter);
