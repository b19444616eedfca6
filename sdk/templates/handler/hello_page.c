/* SPDX-License-Identifier: MIT */
/*
 * A handler: answers GET and HEAD with a text. It lives on the control thread.
 */
#include <weir/weir.h>

struct conf {
    struct weir_str text;
};

static const struct weir_option option_rows[] = {
    WEIR_OPTION(struct conf, text, STRING, "Hello.\n", WEIR_CONTEXT_MODULE | WEIR_CONTEXT_LISTENER,
                WEIR_OPTION_RELOADABLE, "What is answered."),
};
static const struct weir_options options = WEIR_OPTIONS(struct conf, option_rows);

/* The options outlive the instance, which needs nothing else. */
static enum weir_status create(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance)
{
    (void)ctx;
    (void)prepared;
    *instance = (void *)(uintptr_t)conf;
    return WEIR_OK;
}

static enum weir_status on_request(struct weir_context *ctx, void *instance,
                                   struct weir_request *req)
{
    static const struct weir_field allow = {WEIR_STR_INIT("Allow"), WEIR_STR_INIT("GET, HEAD")};
    const struct conf *conf = instance;
    struct weir_str method = weir_request_method(req);

    (void)ctx;
    if (!weir_str_is(method, "GET") && !weir_str_is(method, "HEAD")) {
        return weir_reply_error(req, 405, &allow, 1);
    }
    return weir_reply(req, 200, weir_str_of("text/plain; charset=utf-8"), conf->text);
}

static const struct weir_handler handler = {
    .size = sizeof(handler),
    .create = create,
    .on_request = on_request,
};
WEIR_DEFINE_MODULE("hello_page", "1.0", "MIT", "answers with a text", .options = &options,
                   .handler = &handler);
