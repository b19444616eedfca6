/* SPDX-License-Identifier: MIT */
/*
 * A module that ends the program where it is told to: in the hook `at`, while the file is there;
 * or, before it has options, where the environment says (WEIR_ENDS_AT). Several modules are built
 * of it.
 */
#include <weir/weir.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct conf {
    int32_t at;
    struct weir_str file;
};

enum at { NOWHERE, CONF_CREATE, CREATE, PICK, REQUEST, ROUTE, LOG };
static const char *const places[] = {"nowhere", "conf_create", "create", "pick",
                                     "request", "route",       "log",    NULL};

#define ANYWHERE (WEIR_CONTEXT_MODULE | WEIR_CONTEXT_POOL | WEIR_CONTEXT_LISTENER)
static const struct weir_option rows[] = {
    WEIR_OPTION_ENUM(struct conf, at, places, "nowhere", ANYWHERE, WEIR_OPTION_RELOADABLE,
                     "In which hook."),
    WEIR_OPTION(struct conf, file, STRING, NULL, ANYWHERE, WEIR_OPTION_RELOADABLE,
                "Only while it is there."),
};
static const struct weir_options options = WEIR_OPTIONS(struct conf, rows);

static void end(void)
{
    volatile int *volatile nowhere = NULL;
    *nowhere = 1;
}

static void maybe_end(const struct conf *conf, enum at at)
{
    if ((enum at)conf->at == at && conf->file.len > 0 && access(conf->file.ptr, F_OK) == 0) {
        end();
    }
}

static void maybe_end_early(const char *at)
{
    const char *wanted = getenv("WEIR_ENDS_AT");
    if (wanted != NULL && strcmp(wanted, at) == 0) {
        end();
    }
}

__attribute__((constructor)) static void on_open(void)
{
    maybe_end_early("constructor");
}

static enum weir_status load(struct weir_context *ctx)
{
    (void)ctx;
    maybe_end_early("load");
    return WEIR_OK;
}

static enum weir_status conf_create(struct weir_context *ctx, struct weir_check *check,
                                    const void *conf, void **prepared)
{
    (void)ctx;
    (void)check;
    (void)prepared;
    maybe_end(conf, CONF_CREATE);
    return WEIR_OK;
}

static enum weir_status create(struct weir_context *ctx, const void *conf, void *prepared,
                               void **out)
{
    (void)ctx;
    (void)prepared;
    maybe_end(conf, CREATE);
    *out = (void *)(uintptr_t)conf;
    return WEIR_OK;
}

static void destroy(struct weir_context *ctx, void *instance)
{
    (void)ctx;
    (void)instance;
}

#ifdef ENDS_BALANCER
/* All to the last one: whoever else is asked has chosen otherwise. */
static uint32_t pick(struct weir_context *ctx, void *instance, const struct weir_pick *pick)
{
    (void)ctx;
    maybe_end(instance, PICK);
    for (uint32_t i = pick->candidates->count; i > 0; i--) {
        if (weir_pick_usable(pick, i - 1)) {
            return i - 1;
        }
    }
    return WEIR_PICK_NONE;
}

static const struct weir_balancer balancer = {
    .size = sizeof(balancer),
    .create = create,
    .destroy = destroy,
    .pick = pick,
};

static enum weir_status on_request(struct weir_context *ctx, void *instance,
                                   struct weir_request *req)
{
    (void)ctx;
    (void)req;
    maybe_end(instance, REQUEST);
    return WEIR_OK;
}

static void on_response(struct weir_context *ctx, void *instance, struct weir_request *req,
                        struct weir_response *resp)
{
    static const char seen[] = "X-Filtered";
    (void)ctx;
    (void)instance;
    (void)req;
    weir_response_set_header(resp, (struct weir_str){seen, sizeof(seen) - 1},
                             (struct weir_str){"yes", 3});
}

static const struct weir_filter filter = {
    .size = sizeof(filter),
    .create = create,
    .destroy = destroy,
    .on_request = on_request,
    .on_response = on_response,
};
#define KINDS .balancer = &balancer, .filter = &filter
#endif

#ifdef ENDS_ROUTER
static enum weir_status route(struct weir_context *ctx, void *instance, struct weir_request *req,
                              struct weir_route_result *result)
{
    (void)ctx;
    (void)req;
    (void)result;
    maybe_end(instance, ROUTE);
    return WEIR_DECLINED;
}

static const struct weir_router router = {
    .size = sizeof(router),
    .create = create,
    .destroy = destroy,
    .route = route,
};
#define KINDS .router = &router
#endif

#ifdef ENDS_LOGGER
static void write_log(struct weir_context *ctx, void *instance, struct weir_request *req,
                      struct weir_response *resp, const struct weir_record *record)
{
    (void)ctx;
    (void)req;
    (void)resp;
    (void)record;
    maybe_end(instance, LOG);
}

static const struct weir_logger logger = {
    .size = sizeof(logger),
    .create = create,
    .destroy = destroy,
    .log = write_log,
};
#define KINDS .logger = &logger
#endif

WEIR_DEFINE_MODULE(ENDS_NAME, "1.0", "MIT", "Ends the program where it is told to",
                   .options = &options, .load = load, .conf_create = conf_create, KINDS);
