/* SPDX-License-Identifier: MIT */
/*
 * A router of ABI 1.2, from before routers told their rules: sends what begins with `prefix` to a
 * pool, fails at "/broken", and declines the rest.
 */
#include <weir/weir.h>

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct conf {
    struct weir_str prefix;
    struct weir_str pool;
};

static const struct weir_option rows[] = {
    WEIR_OPTION(struct conf, prefix, STRING, "/silent", WEIR_CONTEXT_MODULE, 0,
                "How its paths begin."),
    WEIR_OPTION(struct conf, pool, STRING, NULL, WEIR_CONTEXT_MODULE, WEIR_OPTION_REQUIRED,
                "Where they go."),
};
static const struct weir_options options = WEIR_OPTIONS(struct conf, rows);

struct silent {
    struct weir_str prefix;
    weir_pool_ref pool;
};

static enum weir_status conf_create(struct weir_context *ctx, struct weir_check *check,
                                    const void *data, void **prepared)
{
    const struct conf *conf = data;
    struct silent *silent = calloc(1, sizeof(*silent));
    if (silent == NULL) {
        return WEIR_NO_MEMORY;
    }
    silent->prefix = conf->prefix;
    silent->pool = weir_check_pool(ctx, check, &conf->pool);
    *prepared = silent;
    return WEIR_OK;
}

static void conf_free(struct weir_context *ctx, void *prepared)
{
    (void)ctx;
    free(prepared);
}

static bool begins(struct weir_str path, struct weir_str with)
{
    return path.len >= with.len && memcmp(path.ptr, with.ptr, with.len) == 0;
}

static enum weir_status route(struct weir_context *ctx, void *instance, struct weir_request *req,
                              struct weir_route_result *out)
{
    const struct silent *silent = instance;
    (void)ctx;
    if (begins(weir_request_path(req), (struct weir_str)WEIR_STR_INIT("/broken"))) {
        return WEIR_ERROR;
    }
    out->pool = silent->pool;
    return begins(weir_request_path(req), silent->prefix) ? WEIR_OK : WEIR_DECLINED;
}

static const struct weir_router router = {
    .size = offsetof(struct weir_router, explain),
    .route = route,
};

static const struct weir_module module = {
    .size = sizeof(struct weir_module),
    .abi_major = WEIR_ABI_MAJOR,
    .abi_minor = 2,
    .name = "route_silent",
    .version = "1.0",
    .license = "MIT",
    .summary = "Sends a prefix to a pool, and does not tell its rules",
    .options = &options,
    .conf_create = conf_create,
    .conf_free = conf_free,
    .router = &router,
};

WEIR_MODULE(module);
