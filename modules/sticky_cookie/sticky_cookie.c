/* SPDX-License-Identifier: MIT */
/*
 * Keeps a user on a server by a cookie of Weir's own, which only Weir can read or make.
 */
#include <weir/weir.h>

#include "check.h"
#include "cookie.h"
#include "token.h"

#include <stdio.h>
#include <stdlib.h>

/* name=value, and all attributes. */
#define SET_COOKIE_MAX (NAME_MAX_LEN + 1 + TOKEN_LEN + PATH_MAX_LEN + DOMAIN_MAX_LEN + 128)

/* So many values of our name are tried in one request; a browser sends one, or a few of several
 * paths. */
#define MAX_TRIES 4

/* Values that were opened before, by a hash of them: a visitor's next request costs no HMAC. */
#define SEEN_COUNT 256

/* ---- options ---- */

static const char *const same_site_names[] = {"lax", "strict", "none", NULL};
static const char *const secure_names[] = {"auto", "always", "never", NULL};

#define CONTEXTS (WEIR_CONTEXT_MODULE | WEIR_CONTEXT_POOL)

static const struct weir_option rows[] = {
    WEIR_OPTION(struct conf, name, STRING, "weir_session", CONTEXTS, WEIR_OPTION_RELOADABLE,
                "The cookie's name."),
    WEIR_OPTION_RANGE(
        struct conf, ttl, DURATION, "0", "0", "3650d", CONTEXTS, WEIR_OPTION_RELOADABLE,
        "How long a user who is away stays on the server; renewed once half of it has "
        "passed. 0: until the browser is closed."),
    WEIR_OPTION(struct conf, path, STRING, "/", CONTEXTS, WEIR_OPTION_RELOADABLE,
                "The path below which the browser sends the cookie."),
    WEIR_OPTION(struct conf, domain, STRING, NULL, CONTEXTS, WEIR_OPTION_RELOADABLE,
                "The domain whose hosts the browser sends the cookie to. None: the request's host "
                "alone."),
    WEIR_OPTION_ENUM(
        struct conf, same_site, same_site_names, "lax", CONTEXTS, WEIR_OPTION_RELOADABLE,
        "Whether the browser sends the cookie with requests that other sites cause: on "
        "following a link (lax), never (strict), always (none; over TLS alone)."),
    WEIR_OPTION_ENUM(
        struct conf, secure, secure_names, "auto", CONTEXTS, WEIR_OPTION_RELOADABLE,
        "Whether the browser sends the cookie over TLS alone: where it was got over TLS "
        "(auto), always, never."),
    WEIR_OPTION(struct conf, http_only, BOOLEAN, "on", CONTEXTS, WEIR_OPTION_RELOADABLE,
                "Whether the cookie is hidden from the page's scripts."),
    WEIR_OPTION(struct conf, hide, BOOLEAN, "off", CONTEXTS, WEIR_OPTION_RELOADABLE,
                "Whether the cookie is taken out of the requests that servers get."),
};

static const struct weir_options options = WEIR_OPTIONS(struct conf, rows);

/* ---- metrics ---- */

enum { KEPT, BEGUN, MOVED };

static const struct weir_metric metric_rows[] = {
    [KEPT] = {"kept", WEIR_COUNTER, "Responses of the server that the cookie named."},
    [BEGUN] = {"begun", WEIR_COUNTER, "Sessions that began: there was no cookie, or no valid one."},
    [MOVED] = {"moved", WEIR_COUNTER,
               "Sessions that another server took over: the cookie's could not take the request."},
};
static const struct weir_metrics metrics = WEIR_METRICS(metric_rows);

/* ---- prepared: one a pool ---- */

struct policy {
    struct weir_str name; /* in the configuration's memory */
    struct token_keys keys;
    uint64_t ttl_s; /* 0: a session cookie */
    bool hide;
    char attributes[2][SET_COOKIE_MAX]; /* for plain connections, and for TLS */
};

static const char *same_site_attribute(const struct conf *conf, bool secure)
{
    if (conf->same_site == SAME_SITE_STRICT) {
        return "; SameSite=Strict";
    }
    if (conf->same_site == SAME_SITE_LAX) {
        return "; SameSite=Lax";
    }
    return secure ? "; SameSite=None"
                  : ""; /* refused without Secure: better the browser's default */
}

/* What follows the value in Set-Cookie. */
static void write_attributes(const struct conf *conf, bool tls, char out[SET_COOKIE_MAX])
{
    bool secure = conf->secure == SECURE_ALWAYS || (conf->secure == SECURE_AUTO && tls);
    char max_age[48] = "";
    if (conf->ttl > 0) {
        snprintf(max_age, sizeof(max_age), "; Max-Age=%llu",
                 (unsigned long long)(conf->ttl / UINT64_C(1000000000)));
    }
    snprintf(out, SET_COOKIE_MAX, "; Path=%.*s%s%.*s%s%s%s%s", (int)conf->path.len, conf->path.ptr,
             conf->domain.len > 0 ? "; Domain=" : "", (int)conf->domain.len,
             conf->domain.len > 0 ? conf->domain.ptr : "", max_age,
             conf->http_only ? "; HttpOnly" : "", secure ? "; Secure" : "",
             same_site_attribute(conf, secure));
}

static enum weir_status conf_create(struct weir_context *ctx, struct weir_check *check,
                                    const void *conf_struct, void **prepared)
{
    const struct conf *conf = conf_struct;
    uint8_t secret[32];

    check_conf(ctx, check, conf);
    if (weir_pool_name(ctx).len == 0) {
        return WEIR_OK; /* the module block seals nothing itself */
    }
    enum weir_status status = weir_secret(ctx, "session", secret);
    if (status != WEIR_OK) {
        weir_check_error(ctx, check, NULL,
                         "the secret that cookies are sealed with cannot be had: look at the "
                         "rights of state_dir");
        return status;
    }
    struct policy *policy = calloc(1, sizeof(*policy));
    if (policy == NULL) {
        return WEIR_NO_MEMORY;
    }
    policy->name = conf->name;
    policy->ttl_s = conf->ttl / UINT64_C(1000000000);
    policy->hide = conf->hide;
    token_derive_keys(ctx, secret, weir_pool_name(ctx), &policy->keys);
    write_attributes(conf, false, policy->attributes[0]);
    write_attributes(conf, true, policy->attributes[1]);
    *prepared = policy;
    return WEIR_OK;
}

static void conf_free(struct weir_context *ctx, void *prepared)
{
    (void)ctx;
    free(prepared);
}

/* ---- requests ---- */

/* A value that was opened; server WEIR_NO_SERVER: the entry is free. */
struct seen {
    char text[TOKEN_LEN];
    struct token token;
};

/* One worker's instance of a pool. */
struct sticky {
    const struct policy *policy;
    struct seen seen[SEEN_COUNT];
};

static enum weir_status create(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance)
{
    struct sticky *self = calloc(1, sizeof(*self));
    (void)ctx;
    (void)conf;
    if (self == NULL) {
        return WEIR_NO_MEMORY;
    }
    self->policy = prepared;
    *instance = self;
    return WEIR_OK;
}

static void destroy(struct weir_context *ctx, void *instance)
{
    (void)ctx;
    free(instance);
}

static struct seen *seen_entry(struct sticky *self, const char text[TOKEN_LEN])
{
    uint64_t bits;
    memcpy(&bits, text + 4,
           sizeof(bits)); /* of the tag: as good as random in what we have sealed */
    return &self->seen[(bits * UINT64_C(0x9E3779B97F4A7C15)) >> 32 & (SEEN_COUNT - 1)];
}

/* Opens a value, or finds that it was opened before. Nothing that does not open is kept, so that no
 * client can drive others' values out but with real ones. */
static bool open_value(struct weir_context *ctx, struct sticky *self, const char text[TOKEN_LEN],
                       struct token *out)
{
    struct seen *seen = seen_entry(self, text);
    if (seen->token.server != WEIR_NO_SERVER &&
        weir_bytes_equal_secret(seen->text, text, TOKEN_LEN)) {
        *out = seen->token;
        return true;
    }
    if (!token_open(ctx, &self->policy->keys, text, out)) {
        return false;
    }
    memcpy(seen->text, text, TOKEN_LEN);
    seen->token = *out;
    return true;
}

/* The first cookie of our name that opens and has not expired. */
static bool find_token(struct weir_context *ctx, struct sticky *self, struct weir_request *req,
                       uint64_t now_s, struct token *out)
{
    const struct weir_str name = self->policy->name;
    size_t count = weir_request_field_count(req);
    uint32_t tries = 0;
    struct cookie cookie;

    for (size_t i = 0; i < count; i++) {
        struct weir_field field = weir_request_field(req, i);
        while (weir_str_is_nocase(field.name, "Cookie") && cookie_next(&field.value, &cookie)) {
            if (cookie.value.len != TOKEN_LEN || !weir_str_equal(cookie.name, name)) {
                continue;
            }
            if (open_value(ctx, self, cookie.value.ptr, out) &&
                (out->expires_s == 0 || out->expires_s > now_s)) {
                return true;
            }
            if (++tries == MAX_TRIES) {
                return false;
            }
        }
    }
    return false;
}

/* Whether the browser is to get a new value for the same server: half of its time has passed, or
 * the option was changed since it was made. */
static bool is_due(const struct policy *policy, const struct token *token, uint64_t now_s)
{
    if (policy->ttl_s == 0 || token->expires_s == 0) {
        return (policy->ttl_s == 0) != (token->expires_s == 0);
    }
    uint64_t left_s = token->expires_s - now_s;
    return left_s > policy->ttl_s || left_s <= policy->ttl_s / 2;
}

/* What the cookie said, for on_response; in the request's slot. */
struct visit {
    uint64_t session;
    bool due; /* the browser is to get a new value */
};

static weir_server_id lookup(struct weir_context *ctx, void *instance, struct weir_request *req)
{
    struct sticky *self = instance;
    uint64_t now_s = weir_wall_ms(ctx) / 1000;
    struct token token = {WEIR_NO_SERVER, 0, 0};
    bool found = find_token(ctx, self, req, now_s, &token);

    if (found) {
        void **slot = weir_request_slot(req, ctx);
        struct visit *visit = slot != NULL ? weir_request_alloc(req, sizeof(*visit)) : NULL;
        weir_request_session(req, token.session);
        if (visit != NULL) {
            *visit = (struct visit){token.session, is_due(self->policy, &token, now_s)};
            *slot = visit;
        }
    }
    if (self->policy->hide) {
        cookie_remove(req, self->policy->name);
    }
    return found ? token.server : WEIR_NO_SERVER;
}

/* A session's number, never 0. */
static uint64_t new_session(struct weir_context *ctx)
{
    uint64_t number = 0;
    weir_random(ctx, &number, sizeof(number));
    return number >> 16 | 1;
}

static void on_response(struct weir_context *ctx, void *instance, struct weir_request *req,
                        struct weir_response *resp, weir_server_id server, bool known)
{
    static const struct weir_str field_name = WEIR_STR_INIT("Set-Cookie");
    struct sticky *self = instance;
    const struct policy *policy = self->policy;
    void **slot = weir_request_slot(req, ctx);
    const struct visit *visit = slot != NULL ? *slot : NULL;

    weir_count(ctx, known ? KEPT : visit != NULL ? MOVED : BEGUN, 1);
    if (known && (visit == NULL || !visit->due)) {
        return;
    }
    struct token token = {server, 0, 0};
    if (policy->ttl_s > 0) {
        token.expires_s = weir_wall_ms(ctx) / 1000 + policy->ttl_s;
    }
    token.session = known ? visit->session : new_session(ctx);
    weir_request_session(req, token.session);
    /* The scheme is what the client used, even where a proxy before us took the TLS off. */
    bool tls =
        weir_request_tls(req) || weir_str_is(weir_request_str(req, WEIR_REQUEST_SCHEME), "https");
    const char *attributes = policy->attributes[tls];
    size_t attributes_len = strlen(attributes);
    char text[2 * SET_COOKIE_MAX];
    size_t len = policy->name.len;

    memcpy(text, policy->name.ptr, len);
    text[len++] = '=';
    token_seal(ctx, &policy->keys, &token, text + len);
    len += TOKEN_LEN;
    memcpy(text + len, attributes, attributes_len);
    len += attributes_len;
    weir_response_add_header(resp, field_name, (struct weir_str){text, len});
}

static const struct weir_sticky sticky = {
    .size = sizeof(struct weir_sticky),
    .create = create,
    .destroy = destroy,
    .lookup = lookup,
    .on_response = on_response,
};

WEIR_DEFINE_MODULE("sticky_cookie", "1.0", "MIT", "Keeps a user on a server by a sealed cookie",
                   .options = &options, .conf_create = conf_create, .conf_free = conf_free,
                   .sticky = &sticky, .metrics = &metrics);
