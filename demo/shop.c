/* SPDX-License-Identifier: MIT */
/* The demo shop: a small e-commerce application behind which Weir stands. This file reads the
 * command line, listens, and stops. */
#include "shop.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event_struct.h>
#include <event2/listener.h>

enum {
    /* Longer than a proxy keeps an idle connection: the proxy closes first, so that no request
     * meets a connection that is being closed. */
    IDLE_SECONDS = 120,
    STOP_LIMIT_MS = 5000,
    NAME_LIMIT = 40,
};

static const char usage[] =
    "Usage: weir-shop --port PORT --name NAME --role api|web [OPTION]...\n"
    "A small shop over HTTP: /api/... as role api, pages as role web, /health on both.\n"
    "\n"
    "  --port PORT         listen on this port; 0 takes a free one and tells it\n"
    "  --name NAME         what X-Served-By says, such as api-1 (letters, digits, '-', '.', '_')\n"
    "  --role api|web      JSON or pages\n"
    "  --bind ADDRESS      listen here (default 127.0.0.1)\n"
    "  --files FOLDER      the catalogue and the pages (default: those of the sources)\n"
    "  --sessions N        keep at most N carts (default 10000)\n"
    "  --session-ttl TIME  forget a cart that was left alone so long (default 30m)\n"
    "  --slow TIME         wait before each answer: 200ms, 1.5s\n"
    "  --fail-rate SHARE   answer that share with 500: 10%\n"
    "  --drop-rate SHARE   close that share of connections without an answer\n"
    "  --help              this text\n"
    "\n"
    "While it runs, POST /_control?slow=200ms changes its faults; shop.c lists them.\n";

static bool read_name(const char *value, void *to)
{
    size_t len = strlen(value);
    *(const char **)to = value;
    return len > 0 && len <= NAME_LIMIT &&
           strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") ==
               len;
}

static bool read_role(const char *value, void *to)
{
    struct shop *shop = to;
    shop->web = strcmp(value, "web") == 0;
    shop->has_role = shop->web || strcmp(value, "api") == 0;
    return shop->has_role;
}

/* Stops accepting, and ends once what waits for its slow answer has it, or after five seconds;
 * at once when told twice. */
static void on_signal(evutil_socket_t number, short what, void *arg)
{
    struct shop *shop = arg;
    uint64_t ms = shop->faults.slow_ms < STOP_LIMIT_MS ? shop->faults.slow_ms + 50 : STOP_LIMIT_MS;
    struct timeval limit = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000};
    (void)number;
    (void)what;
    if (shop->stopping) {
        event_base_loopbreak(shop->base);
        return;
    }
    shop->stopping = true;
    evhttp_del_accept_socket(shop->http, shop->socket);
    event_base_loopexit(shop->base, &limit);
}

static void on_minute(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    session_expire(arg);
}

static bool read_catalogue(struct shop *shop)
{
    struct evbuffer *text = page_read(shop, "catalogue.json");
    if (text != NULL) {
        size_t len = evbuffer_get_length(text);
        shop->catalogue = cJSON_ParseWithLength((char *)evbuffer_pullup(text, -1), len);
        evbuffer_free(text);
    }
    int count = cJSON_GetArraySize(shop->catalogue);
    if (count == 0 || count > CATALOGUE_MAX) {
        fprintf(stderr, "weir-shop: %s/catalogue.json has no catalogue: %s\n", shop->files,
                strerror(errno));
        return false;
    }
    return true;
}

static bool shop_listen(struct shop *shop)
{
    shop->http = evhttp_new(shop->base);
    if (shop->http == NULL) {
        return false;
    }
    /* The body's limit is the shop's own, so that its 413 looks like its other answers; this one
     * only bounds memory. */
    evhttp_set_allowed_methods(shop->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD |
                                               EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
                                               EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PATCH);
    evhttp_set_max_headers_size(shop->http, 32 * 1024);
    evhttp_set_max_body_size(shop->http, 1024 * 1024);
    evhttp_set_timeout(shop->http, IDLE_SECONDS);
    evhttp_set_gencb(shop->http, shop_handle, shop);
    shop->socket = evhttp_bind_socket_with_handle(shop->http, shop->bind, (uint16_t)shop->port);
    if (shop->socket == NULL) {
        fprintf(stderr, "weir-shop: %s cannot listen on %s port %u: %s\n", shop->name, shop->bind,
                shop->port, strerror(errno));
        return false;
    }
    return true;
}

static void tell_ready(const struct shop *shop)
{
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof addr;
    bool six = strchr(shop->bind, ':') != NULL;
    getsockname(evhttp_bound_socket_get_fd(shop->socket), (struct sockaddr *)&addr, &len);
    printf("weir-shop: %s ready on http://%s%s%s:%u\n", shop->name, six ? "[" : "", shop->bind,
           six ? "]" : "",
           ntohs(((struct sockaddr_in *)&addr)->sin_port)); /* IPv6 has it there too */
    fflush(stdout);
}

static int shop_run(struct shop *shop)
{
    static const struct timeval minute = {.tv_sec = 60};
    struct event interrupt, end, tick;
    evsignal_assign(&interrupt, shop->base, SIGINT, on_signal, shop);
    evsignal_assign(&end, shop->base, SIGTERM, on_signal, shop);
    event_assign(&tick, shop->base, -1, EV_PERSIST, on_minute, shop);
    bool well = event_add(&interrupt, NULL) == 0 && event_add(&end, NULL) == 0 &&
                event_add(&tick, &minute) == 0 && event_base_dispatch(shop->base) != -1;
    event_del(&interrupt);
    event_del(&end);
    event_del(&tick);
    return well ? 0 : 1;
}

/* Health, and the faults that the shop can be told to have:
 *
 *   GET  /_control                       how it stands, as JSON
 *   POST /_control?slow=200ms            each answer waits that long; 0 ends it
 *   POST /_control?fail=10%25            that share of requests is answered with 500
 *   POST /_control?drop=5%25             that share of connections is closed without an answer
 *   POST /_control?health=down           /health says 503 and all else works; "up" ends it
 *   POST /_control?reset=1               no fault is left
 *   POST /_control?die=1                 the process kills itself at once, as a crash would
 *
 * Several can be given in one request; either all of them are taken or none. Only loopback may do
 * it, and only directly: a request that came through a proxy is a stranger's. */

bool shop_read_duration(const char *text, void *ms)
{
    char *unit;
    double value = strtod(text, &unit);
    double factor = *unit == '\0' || strcmp(unit, "ms") == 0 ? 1
                    : strcmp(unit, "s") == 0                 ? 1000
                    : strcmp(unit, "m") == 0                 ? 60000
                                                             : -1;
    if (*text < '0' || *text > '9' || factor < 0 || !(value * factor <= 3600000)) {
        return false;
    }
    *(uint64_t *)ms = (uint64_t)(value * factor + 0.5);
    return true;
}

bool shop_read_share(const char *text, void *share)
{
    char *end;
    double value = strtod(text, &end);
    end += *end == '%';
    if (*text < '0' || *text > '9' || *end != '\0' || !(value <= 100)) {
        return false;
    }
    *(double *)share = value / 100;
    return true;
}

static bool is_direct(struct shop_request *rq)
{
    char *peer = NULL;
    uint16_t port;
    evhttp_connection_get_peer(evhttp_request_get_connection(rq->http), &peer, &port);
    return peer != NULL && (strncmp(peer, "127.", 4) == 0 || strcmp(peer, "::1") == 0) &&
           *shop_header(rq, "Via") == '\0' && *shop_header(rq, "Forwarded") == '\0' &&
           *shop_header(rq, "X-Forwarded-For") == '\0';
}

static void tell_state(struct shop_request *rq)
{
    const struct shop *shop = rq->shop;
    struct evbuffer *body = shop_buffer();
    evbuffer_add_printf(
        body,
        "{\"name\":\"%s\",\"role\":\"%s\",\"instance\":\"%s\",\"requests\":%llu,"
        "\"sessions\":%zu,\"uptime_ms\":%llu,\"slow_ms\":%llu,\"fail\":%g,\"drop\":%g,"
        "\"health\":\"%s\"}\n",
        shop->name, shop->web ? "web" : "api", shop->instance, (unsigned long long)shop->requests,
        shop->session_count, (unsigned long long)(now_ns() / 1000000 - shop->started_ms),
        (unsigned long long)shop->faults.slow_ms, shop->faults.fail_share * 100,
        shop->faults.drop_share * 100, shop->faults.sick ? "down" : "up");
    shop_send(rq, 200, "application/json", body);
}

/* Reads one setting into `faults`; false when it is not one. */
static bool read_setting(const struct evkeyval *setting, struct shop_faults *faults, bool *die)
{
    const char *value = setting->value;
    if (strcmp(setting->key, "slow") == 0) {
        return shop_read_duration(value, &faults->slow_ms);
    } else if (strcmp(setting->key, "fail") == 0) {
        return shop_read_share(value, &faults->fail_share);
    } else if (strcmp(setting->key, "drop") == 0) {
        return shop_read_share(value, &faults->drop_share);
    } else if (strcmp(setting->key, "health") == 0) {
        faults->sick = strcmp(value, "down") == 0;
        return faults->sick || strcmp(value, "up") == 0;
    } else if (strcmp(setting->key, "reset") == 0) {
        *faults = (struct shop_faults){0};
        return strcmp(value, "1") == 0;
    } else if (strcmp(setting->key, "die") == 0) {
        *die = strcmp(value, "1") == 0;
        return *die;
    }
    return false;
}

void shop_handle_control(struct shop_request *rq)
{
    if (!is_direct(rq) || !shop_same_site(rq)) {
        shop_error(rq, 403, "Only a direct request from this machine may do this.");
        return;
    }
    if (!shop_read_values(rq)) {
        return;
    }
    if (rq->method == EVHTTP_REQ_GET && TAILQ_EMPTY(&rq->values)) {
        tell_state(rq);
        return;
    }
    if (rq->method != EVHTTP_REQ_POST) {
        shop_add_header(rq, "Allow", "GET, HEAD, POST");
        shop_error(rq, 405, "GET without a query tells how it stands; POST changes it.");
        return;
    }
    struct shop_faults faults = rq->shop->faults;
    bool die = false;
    struct evkeyval *setting;
    TAILQ_FOREACH (setting, &rq->values, next) {
        if (!read_setting(setting, &faults, &die)) {
            shop_error(rq, 422,
                       "Wanted: slow=200ms, fail=10%25, drop=5%25, health=up or down, reset=1, "
                       "die=1.");
            return;
        }
    }
    if (die) {
        raise(SIGKILL);
    }
    rq->shop->faults = faults;
    tell_state(rq);
}

void shop_handle_health(struct shop_request *rq)
{
    bool well = !rq->shop->faults.sick && !rq->shop->stopping;
    struct evbuffer *body = shop_buffer();
    evbuffer_add_printf(body, "{\"status\":\"%s\",\"server\":\"%s\"}\n", well ? "up" : "down",
                        rq->shop->name);
    shop_add_header(rq, "Cache-Control", "no-store");
    shop_send(rq, well ? 200 : 503, "application/json", body);
}

int main(int argc, char **argv)
{
    struct shop shop = {.started_ms = now_ns() / 1000000,
                        .files = SHOP_FILES,
                        .bind = "127.0.0.1",
                        .port = UINT_MAX,
                        .session_limit = 10000,
                        .session_ttl_ms = 30 * 60 * 1000};
    const struct demo_option rows[] = {
        {"port", &shop.port, NULL, 0, 65535, "a number from 0 to 65535"},
        {"name", &shop.name, read_name, 0, 0, "1 to 40 letters, digits, '-', '.' or '_'"},
        {"role", &shop, read_role, 0, 0, "api or web"},
        {"bind", &shop.bind, option_text, 0, 0, NULL},
        {"files", &shop.files, option_text, 0, 0, NULL},
        {"sessions", &shop.session_limit, NULL, 1, 1000000, "a number from 1 to 1000000"},
        {"session-ttl", &shop.session_ttl_ms, shop_read_duration, 0, 0,
         "a time such as 30m, at most 60m"},
        {"slow", &shop.faults.slow_ms, shop_read_duration, 0, 0, "a time such as 200ms or 1.5s"},
        {"fail-rate", &shop.faults.fail_share, shop_read_share, 0, 0, "a share such as 10%"},
        {"drop-rate", &shop.faults.drop_share, shop_read_share, 0, 0, "a share such as 5%"},
        {NULL, NULL, NULL, 0, 0, NULL},
    };
    int status = 1;
    signal(SIGPIPE, SIG_IGN);
    options_read(argc, argv, usage, rows);
    if (shop.port == UINT_MAX || !shop.has_role || shop.name == NULL) {
        fputs("weir-shop: --port, --name and --role are needed; try --help\n", stderr);
        return 2;
    }
    TAILQ_INIT(&shop.ages);
    srand48((long)(shop.started_ms ^ (uint64_t)getpid() << 16));
    shop.base = event_base_new();
    if (shop.base == NULL || !session_random_hex(shop.instance, 16)) {
        fputs("weir-shop: not enough memory, or no randomness\n", stderr);
    } else if (read_catalogue(&shop) && shop_listen(&shop)) {
        tell_ready(&shop);
        status = shop_run(&shop);
    }
    shop_forget_waiting(&shop);
    if (shop.http != NULL) {
        evhttp_free(shop.http);
    }
    session_drop_all(&shop);
    cJSON_Delete(shop.catalogue);
    if (shop.base != NULL) {
        event_base_free(shop.base);
    }
    return status;
}
