/* SPDX-License-Identifier: MIT */
/*
 * A filter: gives each response a field, and answers requests that lack a field with 400. It stands
 * in a listener, a route or a pool.
 */
#include <weir/weir.h>

#include <stdio.h>

struct conf {
    struct weir_str field;
    struct weir_str value;
    struct weir_str requires;
};

#define PLACES \
    (WEIR_CONTEXT_MODULE | WEIR_CONTEXT_LISTENER | WEIR_CONTEXT_ROUTE | WEIR_CONTEXT_POOL)

static const struct weir_option option_rows[] = {
    WEIR_OPTION(struct conf, field, STRING, "X-Stamp", PLACES,
                WEIR_OPTION_RELOADABLE | WEIR_OPTION_NOT_EMPTY,
                "Name of the field that each response gets."),
    WEIR_OPTION(struct conf, value, STRING, "weir", PLACES, WEIR_OPTION_RELOADABLE, "Its value."),
    WEIR_OPTION(struct conf, requires, STRING, NULL, PLACES, WEIR_OPTION_RELOADABLE,
                "Name of a field that requests must have; without one all requests go on."),
};
static const struct weir_options options = WEIR_OPTIONS(struct conf, option_rows);

/* What a table of options cannot say. */
static enum weir_status conf_create(struct weir_context *ctx, struct weir_check *check,
                                    const void *conf_ptr, void **prepared)
{
    const struct conf *conf = conf_ptr;

    (void)prepared;
    if (!weir_is_token(conf->field)) {
        weir_check_error(ctx, check, &conf->field, "\"%s\" is no name of a field", conf->field.ptr);
    }
    for (size_t i = 0; i < conf->value.len; i++) {
        unsigned char byte = (unsigned char)conf->value.ptr[i];
        if ((byte < ' ' && byte != '\t') || byte == 0x7f) {
            weir_check_error(ctx, check, &conf->value, "a field's value has no control characters");
            break;
        }
    }
    if (conf->requires.len > 0 && !weir_is_token(conf->requires)) {
        weir_check_error(ctx, check, &conf->requires, "\"%s\" is no name of a field",
                         conf->requires.ptr);
    }
    return WEIR_OK;
}

/* The options outlive the instance, which needs nothing else. */
static enum weir_status create(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance)
{
    (void)ctx;
    (void)prepared;
    *instance = (void *)(uintptr_t)conf;
    return WEIR_OK;
}

static bool is_refused(const struct conf *conf, const struct weir_request *req)
{
    struct weir_str value;
    return conf->requires.len > 0 && !weir_request_header(req, conf->requires.ptr, &value);
}

static enum weir_status on_request(struct weir_context *ctx, void *instance,
                                   struct weir_request *req)
{
    (void)ctx;
    if (!is_refused(instance, req)) {
        return WEIR_OK;
    }
    return weir_reply_error(req, 400, NULL, 0) == WEIR_OK ? WEIR_DONE : WEIR_ERROR;
}

static void on_response(struct weir_context *ctx, void *instance, struct weir_request *req,
                        struct weir_response *resp)
{
    const struct conf *conf = instance;

    (void)ctx;
    (void)req;
    weir_response_set_header(resp, conf->field, conf->value);
}

/* What on_request would do, for an operator who asks; it answers nothing. */
static enum weir_status explain(struct weir_context *ctx, void *instance, struct weir_request *req,
                                struct weir_filter_verdict *verdict)
{
    const struct conf *conf = instance;

    (void)ctx;
    if (is_refused(conf, req)) {
        verdict->status = 400;
        snprintf(verdict->why, sizeof(verdict->why), "it has no field %.100s", conf->requires.ptr);
    }
    return WEIR_OK;
}

static const struct weir_filter filter = {
    .size = sizeof(filter),
    .create = create,
    .on_request = on_request,
    .on_response = on_response,
    .explain = explain,
};
WEIR_DEFINE_MODULE("field_stamp", "1.0", "MIT", "gives responses a field", .options = &options,
                   .conf_create = conf_create, .filter = &filter);
