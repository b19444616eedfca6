/* SPDX-License-Identifier: MIT */
/*
 * Stickiness by a cookie that names the server: SERVER.SESSION, two numbers of 16 hexadecimal
 * digits. It is not signed, so that clients may choose their server; sticky_cookie, which comes
 * with Weir, signs.
 */
#include <weir/weir.h>

#include <inttypes.h>
#include <stdio.h>

struct conf {
    struct weir_str cookie;
};

static const struct weir_option option_rows[] = {
    WEIR_OPTION(struct conf, cookie, STRING, "server", WEIR_CONTEXT_MODULE | WEIR_CONTEXT_POOL,
                WEIR_OPTION_RELOADABLE | WEIR_OPTION_NOT_EMPTY, "Name of the cookie."),
};
static const struct weir_options options = WEIR_OPTIONS(struct conf, option_rows);

#define DIGITS 16u

static enum weir_status conf_create(struct weir_context *ctx, struct weir_check *check,
                                    const void *conf_ptr, void **prepared)
{
    const struct conf *conf = conf_ptr;

    (void)prepared;
    if (!weir_is_token(conf->cookie)) {
        weir_check_error(ctx, check, &conf->cookie, "\"%s\" is no name of a cookie",
                         conf->cookie.ptr);
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

/* The number that `text` is, all of it; false: it is none. */
static bool read_number(struct weir_str text, uint64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < text.len; i++) {
        int digit = weir_hex_digit(text.ptr[i]);
        if (digit < 0) {
            return false;
        }
        *number = *number << 4 | (unsigned)digit;
    }
    return text.len == DIGITS;
}

static weir_server_id lookup(struct weir_context *ctx, void *instance, struct weir_request *req)
{
    const struct conf *conf = instance;
    struct weir_str value;
    uint64_t server, session;

    (void)ctx;
    if (!weir_request_cookie(req, conf->cookie, &value) ||
        !read_number(weir_str_cut(&value, '.'), &server) || !read_number(value, &session)) {
        return WEIR_NO_SERVER;
    }
    if (session != 0) {
        weir_request_session(req, session); /* by it the host counts the sessions of a server */
    }
    return server;
}

static void on_response(struct weir_context *ctx, void *instance, struct weir_request *req,
                        struct weir_response *resp, weir_server_id server, bool known)
{
    const struct conf *conf = instance;
    char text[400];
    uint64_t session;

    if (known) {
        return; /* the cookie is right */
    }
    weir_random(ctx, &session, sizeof(session));
    session |= 1; /* 0 is no session */
    weir_request_session(req, session);
    int len = snprintf(text, sizeof(text),
                       "%.200s=%016" PRIx64 ".%016" PRIx64 "; Path=/; HttpOnly; SameSite=Lax",
                       conf->cookie.ptr, server, session);
    struct weir_str value = {text, (size_t)len};
    weir_response_add_header(resp, weir_str_of("Set-Cookie"), value);
}

static const struct weir_sticky sticky = {
    .size = sizeof(sticky),
    .create = create,
    .lookup = lookup,
    .on_response = on_response,
};
WEIR_DEFINE_MODULE("sticky_server_hint", "1.0", "MIT", "stickiness by the server's id in a cookie",
                   .options = &options, .conf_create = conf_create, .sticky = &sticky);
