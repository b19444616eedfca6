/* SPDX-License-Identifier: MIT */
/*
 * The admin plane over HTTP: pages, the REST API, server-sent events, logins.
 *
 * What it says and does is the control plane's, asked through the SDK; here is HTTP: who may come
 * in, what a request must look like, and how an answer goes out. Runs on the control thread, as all
 * handlers do; nothing of it is on the way of a proxied request.
 */
#include "admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api.h"
#include "check.h"
#include "control.h"
#include "events.h"
#include "login.h"
#include "pages.h"
#include "who.h"

#ifndef ADMIN_WEB_DIR
#define ADMIN_WEB_DIR "web"
#endif

/* ---- options ---- */

#define ANYWHERE (WEIR_CONTEXT_MODULE | WEIR_CONTEXT_LISTENER)
#define RELOAD   WEIR_OPTION_RELOADABLE

static const struct weir_option rows[] = {
    WEIR_OPTION(struct conf, web_dir, STRING, ADMIN_WEB_DIR, ANYWHERE, WEIR_OPTION_PATH | RELOAD,
                "The folder of the pages, read when the configuration is; \"\": no pages, the API "
                "alone."),
    WEIR_OPTION_LIST(
        struct conf, hosts, STRING, NULL, ANYWHERE, RELOAD,
        "Names by which this listener is reached over plain HTTP, beside addresses and "
        "localhost. A request for any other name is refused (DNS rebinding)."),
    WEIR_OPTION(
        struct conf, insecure, BOOLEAN, "off", ANYWHERE, RELOAD,
        "Lets the listener be reached from other machines without TLS: passwords and tokens "
        "pass in the clear."),
    WEIR_OPTION_RANGE(struct conf, session_idle_timeout, DURATION, "1h", "1s", "30d", ANYWHERE,
                      RELOAD, "Time without a request or an open page after which a login ends."),
    WEIR_OPTION_RANGE(struct conf, session_lifetime, DURATION, "12h", "1s", "365d", ANYWHERE,
                      RELOAD, "Time after which a login ends in any case."),
    WEIR_OPTION_RANGE(struct conf, request_limit, INTEGER, "100", "0", "100000", ANYWHERE, RELOAD,
                      "API requests a second of one caller, twice as many at once; 0: no limit."),
    WEIR_OPTION_RANGE(struct conf, event_clients, INTEGER, "100", "1", "10000", ANYWHERE, RELOAD,
                      "Clients that may listen to /api/v1/events at once."),
};

static const struct weir_options options = WEIR_OPTIONS(struct conf, rows);

/* ---- configuration ---- */

/* Whoever can reach the listener sees what passes: that is to be wanted, where it is not this
 * machine. */
static void check_reach(struct weir_context *ctx, struct weir_check *check, const struct conf *conf,
                        const struct weir_listener *listener)
{
    for (size_t i = 0; i < listener->bind_count && !listener->tls && !conf->insecure; i++) {
        const struct weir_bind *bind = &listener->binds[i];
        if (!bind->unix_socket && !bind->loopback) {
            weir_check_error(ctx, check, NULL,
                             "listener \"%.*s\" lets other machines reach the admin plane at %.*s "
                             "without TLS; give it a tls block, bind it to 127.0.0.1, or write "
                             "insecure = true",
                             (int)listener->name.len, listener->name.ptr, (int)bind->address.len,
                             bind->address.ptr);
            return;
        }
    }
}

static void check_names(struct weir_context *ctx, struct weir_check *check, const struct conf *conf)
{
    const struct weir_str *names = conf->hosts.items;

    for (size_t i = 0; i < conf->hosts.count; i++) {
        if (names[i].len == 0 ||
            strspn(names[i].ptr, "abcdefghijklmnopqrstuvwxyz"
                                 "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") != names[i].len) {
            weir_check_error(ctx, check, &conf->hosts,
                             "\"%.*s\" is no host name; write it without scheme, port and path: "
                             "\"weir.example\"",
                             (int)names[i].len, names[i].ptr);
        }
    }
}

/* Where the first start may tell people to log in: by TCP. */
static void note_way(struct admin_token_state *token, const struct weir_listener *listener)
{
    token->served = true;
    for (size_t i = 0; i < listener->bind_count && token->reached[0] == '\0'; i++) {
        const struct weir_bind *bind = &listener->binds[i];
        if (!bind->unix_socket) {
            snprintf(token->reached, sizeof(token->reached), "%s://%.*s",
                     listener->tls ? "https" : "http", (int)bind->address.len, bind->address.ptr);
        }
    }
}

static enum weir_status conf_create(struct weir_context *ctx, struct weir_check *check,
                                    const void *conf_struct, void **prepared)
{
    const struct conf *conf = conf_struct;
    struct prepared *p = calloc(1, sizeof(*p));
    struct weir_listener listener;
    char error[600];

    if (p == NULL) {
        return WEIR_NO_MEMORY;
    }
    *prepared = p;
    p->token = weir_shared(ctx, "admin_token", sizeof(*p->token));
    p->history =
        weir_shared(ctx, "history 1", sizeof(*p->history)); /* 1: the layout of its series */
    if (!weir_check_listener(ctx, check, &listener)) {      /* the module block: see control.c */
        struct weir_str state_dir = weir_state_dir(ctx);
        snprintf(p->state_dir, sizeof(p->state_dir), "%.*s", (int)state_dir.len, state_dir.ptr);
        return WEIR_OK;
    }
    note_way(p->token, &listener);
    check_reach(ctx, check, conf, &listener);
    check_names(ctx, check, conf);
    if (conf->session_idle_timeout > conf->session_lifetime) {
        weir_check_error(ctx, check, &conf->session_idle_timeout,
                         "session_idle_timeout is longer than session_lifetime, and has no effect; "
                         "make it shorter");
    }
    p->sessions = weir_shared(ctx, "sessions", sizeof(*p->sessions));
    p->throttle = weir_shared(ctx, "throttle", sizeof(*p->throttle));
    bool by_default = weir_str_is(conf->web_dir, ADMIN_WEB_DIR);
    if (by_default && access(ADMIN_WEB_DIR, F_OK) != 0) {
        weir_log(ctx, WEIR_LOG_WARNING, "there are no pages, the API alone: %s is not installed",
                 ADMIN_WEB_DIR);
    } else if (conf->web_dir.len > 0 &&
               !assets_load(&p->assets, ctx, conf->web_dir.ptr, error, sizeof(error))) {
        weir_check_error(ctx, check, &conf->web_dir,
                         "the pages cannot be read: %s; install them, name their folder, or write "
                         "web_dir = \"\" for an API without pages",
                         error);
    }
    return WEIR_OK;
}

static void conf_free(struct weir_context *ctx, void *prepared)
{
    struct prepared *p = prepared;
    (void)ctx;
    if (p != NULL) {
        assets_free(&p->assets);
        free(p);
    }
}

/* ---- instance ---- */

static enum weir_status create(struct weir_context *ctx, const void *conf_struct, void *prepared,
                               void **instance)
{
    const struct conf *conf = conf_struct;
    struct admin *admin = calloc(1, sizeof(*admin));

    if (admin == NULL) {
        return WEIR_NO_MEMORY;
    }
    admin->ctx = ctx;
    admin->conf = conf;
    admin->prepared = prepared;
    admin->limits = (struct session_limits){conf->session_idle_timeout, conf->session_lifetime};
    admin->events = events_new(admin);
    if (admin->events == NULL) {
        free(admin);
        return WEIR_NO_MEMORY;
    }
    *instance = admin;
    return WEIR_OK;
}

static void destroy(struct weir_context *ctx, void *instance)
{
    struct admin *admin = instance;

    while (admin->exchanges != NULL) { /* their clients are gone; their answers are pending */
        struct exchange *exchange = admin->exchanges;
        if (exchange->operation != NULL) {
            weir_control_cancel(ctx, exchange->operation);
        }
        if (exchange->auth != NULL) {
            weir_control_auth_cancel(ctx, exchange->auth);
        }
        exchange_free(exchange);
    }
    events_free(&admin->events);
    free(admin);
}

static void on_drain(struct weir_context *ctx, void *instance)
{
    struct admin *admin = instance;
    (void)ctx;
    events_drain(admin->events);
}

/* ---- requests ---- */

static struct exchange *exchange_new(struct admin *admin, struct weir_request *req)
{
    struct exchange *exchange = calloc(1, sizeof(*exchange));
    if (exchange != NULL) {
        exchange->admin = admin;
        exchange->req = req;
        exchange->next = admin->exchanges;
        admin->exchanges = exchange;
        *weir_request_slot(req, admin->ctx) = exchange;
    }
    return exchange;
}

void exchange_free(struct exchange *exchange)
{
    struct exchange **link = &exchange->admin->exchanges;
    while (*link != exchange) {
        link = &(*link)->next;
    }
    *link = exchange->next;
    if (exchange->body != NULL) {
        explicit_bzero(exchange->body, exchange->room); /* it may hold a password */
        free(exchange->body);
    }
    free(exchange);
}

/* A page: behind the login, except the login page and its files. */
static void serve_page(struct exchange *exchange)
{
    struct admin *admin = exchange->admin;
    struct weir_request *req = exchange->req;
    struct weir_str path = weir_request_path(req);
    const struct asset *asset = assets_find(&admin->prepared->assets, path);

    if (asset == NULL && weir_str_is(path, "/favicon.ico")) {
        asset = assets_find(&admin->prepared->assets, weir_str_of("/web/favicon.ico"));
    }
    if (asset == NULL) {
        reply_problem(req, 404,
                      "there is nothing at %.*s; the control panel is at /, the API below "
                      "/api/v1",
                      (int)(path.len < 200 ? path.len : 200), path.ptr);
        return;
    }
    if (asset->page) {
        who_identify(admin, req, &exchange->caller);
        if (exchange->caller.proof == PROOF_NONE) {
            reply_redirect(req, "/login");
            return;
        }
    }
    pages_serve(req, asset);
}

static void dispatch(struct exchange *exchange)
{
    struct weir_str path = weir_request_path(exchange->req);

    if (weir_str_is(path, "/api/v1/session")) {
        login_begin(exchange);
    } else if (weir_str_is(path, "/api/v1/events")) {
        events_begin(exchange);
    } else if (weir_str_is(path, "/api") || weir_str_starts(path, "/api/") ||
               weir_str_is(path, "/openapi.json")) {
        api_begin(exchange);
    } else {
        serve_page(exchange);
    }
}

static enum weir_status on_request(struct weir_context *ctx, void *instance,
                                   struct weir_request *req)
{
    struct admin *admin = instance;
    struct weir_credentials credentials;
    struct weir_str host = weir_request_host(req);
    struct exchange *exchange = exchange_new(admin, req);
    (void)ctx;

    if (exchange == NULL) {
        return WEIR_NO_MEMORY;
    }
    /* With TLS the certificate has settled the name; Unix sockets have none. */
    if (!weir_request_tls(req) && !weir_request_credentials(req, &credentials) &&
        !check_host(host, &admin->conf->hosts)) {
        reply_problem(
            req, 421,
            "this is no name of this admin plane: \"%.*s\"; use its address or localhost, "
            "or add the name to the option hosts of its handler block",
            (int)(host.len < 200 ? host.len : 200), host.ptr);
        return WEIR_OK;
    }
    dispatch(exchange);
    return WEIR_OK;
}

static struct exchange *exchange_of(struct weir_context *ctx, struct weir_request *req)
{
    return *weir_request_slot(req, ctx);
}

/* Bodies are small JSON, buffered whole. */
static void on_data(struct weir_context *ctx, void *instance, struct weir_request *req,
                    const void *data, size_t len, bool end)
{
    struct exchange *exchange = exchange_of(ctx, req);
    (void)instance;

    if ((exchange->task != TASK_CALL && exchange->task != TASK_LOGIN) || exchange->answered) {
        return;
    }
    if (exchange->len + len > WEIR_CONTROL_BODY_MAX) {
        exchange->answered = true;
        reply_problem(req, 413, "the body is larger than %u bytes", WEIR_CONTROL_BODY_MAX);
        return;
    }
    if (exchange->room - exchange->len < len + 1) {
        size_t room = exchange->room * 2 > exchange->len + len + 1 ? exchange->room * 2
                                                                   : exchange->len + len + 1;
        char *body = malloc(room);
        if (body == NULL) {
            exchange->answered = true;
            reply_problem(req, 503, "there is no memory for the request");
            return;
        }
        if (exchange->body != NULL) {
            memcpy(body, exchange->body, exchange->len);
            explicit_bzero(exchange->body, exchange->room);
            free(exchange->body);
        }
        exchange->body = body;
        exchange->room = room;
    }
    if (len > 0) {
        memcpy(exchange->body + exchange->len, data, len);
        exchange->len += len;
    }
    exchange->body[exchange->len] = '\0';
    if (end && exchange->task == TASK_CALL) {
        api_run(exchange);
    } else if (end) {
        login_run(exchange);
    }
}

static void on_writable(struct weir_context *ctx, void *instance, struct weir_request *req)
{
    struct exchange *exchange = exchange_of(ctx, req);
    (void)instance;
    if (exchange->events != NULL) {
        events_writable(exchange);
    }
}

static void on_end(struct weir_context *ctx, void *instance, struct weir_request *req, bool aborted)
{
    struct exchange *exchange = exchange_of(ctx, req);
    (void)instance;
    (void)aborted;

    exchange->req = NULL;
    if (exchange->events != NULL) {
        events_end(exchange);
    }
    if (exchange->operation == NULL && exchange->auth == NULL) {
        exchange_free(exchange);
    }
}

static const struct weir_handler handler = {
    .size = sizeof(struct weir_handler),
    .create = create,
    .destroy = destroy,
    .on_request = on_request,
    .on_data = on_data,
    .on_writable = on_writable,
    .on_end = on_end,
    .on_drain = on_drain,
};

static const struct weir_metric metric_rows[] = {
    [METRIC_LOGINS] = {"logins", WEIR_COUNTER, "Logins in a browser."},
    [METRIC_LOGINS_FAILED] = {"logins_failed", WEIR_COUNTER,
                              "Logins with a wrong name, password, token or link."},
};
static const struct weir_metrics metrics = WEIR_METRICS(metric_rows);

WEIR_DEFINE_MODULE("admin", "1.0", "MIT",
                   "The admin plane over HTTP: pages, REST API, events, logins",
                   .options = &options, .conf_create = conf_create, .conf_free = conf_free,
                   .handler = &handler, .control = &admin_control, .metrics = &metrics);
