/* SPDX-License-Identifier: MIT */
/*
 * A logger that logs nothing, and that cannot be made while a file is there: trips where it is told
 * to.
 */
#include <weir/weir.h>

#include <unistd.h>

struct conf {
    struct weir_str file;
    int32_t at;
};

enum place { CONF, WORKER, CREATE };
static const char *const places[] = {"conf", "worker", "create", NULL};

static const struct weir_option rows[] = {
    WEIR_OPTION(struct conf, file, STRING, NULL, WEIR_CONTEXT_MODULE, WEIR_OPTION_REQUIRED,
                "While it is there, the module fails."),
    WEIR_OPTION_ENUM(struct conf, at, places, "create", WEIR_CONTEXT_MODULE, 0, "Where it fails."),
};
static const struct weir_options options = WEIR_OPTIONS(struct conf, rows);

static enum weir_status trip(const struct conf *conf, enum place place)
{
    return conf->at == (int32_t)place && access(conf->file.ptr, F_OK) == 0 ? WEIR_ERROR : WEIR_OK;
}

static enum weir_status conf_create(struct weir_context *ctx, struct weir_check *check,
                                    const void *conf, void **prepared)
{
    (void)ctx;
    (void)check;
    (void)prepared;
    return trip(conf, CONF);
}

static enum weir_status worker_start(struct weir_context *ctx, const void *conf, void *prepared)
{
    (void)ctx;
    (void)prepared;
    return trip(conf, WORKER);
}

static enum weir_status create(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance)
{
    (void)ctx;
    (void)prepared;
    (void)instance;
    return trip(conf, CREATE);
}

static void nothing(struct weir_context *ctx, void *instance, struct weir_request *req,
                    struct weir_response *resp, const struct weir_record *record)
{
    (void)ctx;
    (void)instance;
    (void)req;
    (void)resp;
    (void)record;
}

static const struct weir_logger logger = {
    .size = sizeof(logger),
    .create = create,
    .log = nothing,
};

WEIR_DEFINE_MODULE("trip", "1.0", "MIT", "Fails while a file is there", .options = &options,
                   .conf_create = conf_create, .worker_start = worker_start, .logger = &logger);
