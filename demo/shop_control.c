/* SPDX-License-Identifier: MIT */
/* Health, and the faults that the shop can be told to have.
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
#include "shop.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

static const uint64_t slow_limit_ms = 3600000;

bool shop_parse_duration(const char *text, uint64_t *ms)
{
    static const struct {
        const char *name;
        double ms;
    } units[] = {{"", 1}, {"ms", 1}, {"s", 1000}, {"m", 60000}};
    if (*text < '0' || *text > '9') {
        return false;
    }
    char *end;
    double value = strtod(text, &end);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(end, units[i].name) == 0) {
            value *= units[i].ms;
            if (!(value <= (double)slow_limit_ms)) {
                return false;
            }
            *ms = (uint64_t)(value + 0.5);
            return true;
        }
    }
    return false;
}

bool shop_parse_share(const char *text, double *share)
{
    if (*text < '0' || *text > '9') {
        return false;
    }
    char *end;
    double value = strtod(text, &end);
    if (*end == '%') {
        end++;
    }
    if (*end != '\0' || !(value <= 100)) {
        return false;
    }
    *share = value / 100;
    return true;
}

static bool is_loopback(struct shop_request *rq)
{
    char *peer = NULL;
    uint16_t port;
    evhttp_connection_get_peer(evhttp_request_get_connection(rq->http), &peer, &port);
    return peer != NULL && (strncmp(peer, "127.", 4) == 0 || strcmp(peer, "::1") == 0);
}

static bool came_through_proxy(struct shop_request *rq)
{
    static const char *const traces[] = {"Via", "Forwarded", "X-Forwarded-For", "X-Forwarded-Proto",
                                         "X-Forwarded-Host"};
    struct evkeyvalq *in = evhttp_request_get_input_headers(rq->http);
    for (size_t i = 0; i < sizeof traces / sizeof *traces; i++) {
        if (evhttp_find_header(in, traces[i]) != NULL) {
            return true;
        }
    }
    return false;
}

static void tell_state(struct shop_request *rq)
{
    struct shop *shop = rq->shop;
    struct evbuffer *body = shop_buffer();
    evbuffer_add_printf(
        body,
        "{\"name\":\"%s\",\"role\":\"%s\",\"instance\":\"%s\",\"requests\":%llu,"
        "\"sessions\":%zu,\"uptime_ms\":%llu,\"slow_ms\":%llu,\"fail\":%g,\"drop\":%g,"
        "\"health\":\"%s\"}\n",
        shop->name, shop->role == SHOP_API ? "api" : "web", shop->instance,
        (unsigned long long)shop->requests, session_count(shop->sessions),
        (unsigned long long)(shop_now_ms() - shop->started_ms),
        (unsigned long long)shop->faults.slow_ms, shop->faults.fail_share * 100,
        shop->faults.drop_share * 100, shop->faults.sick ? "down" : "up");
    shop_answer(rq, 200, "application/json", body);
}

/* Reads one setting into `faults`; false when it is not one. */
static bool read_setting(const struct evkeyval *setting, struct shop_faults *faults, bool *die)
{
    const char *value = setting->value;
    if (strcmp(setting->key, "slow") == 0) {
        return shop_parse_duration(value, &faults->slow_ms);
    } else if (strcmp(setting->key, "fail") == 0) {
        return shop_parse_share(value, &faults->fail_share);
    } else if (strcmp(setting->key, "drop") == 0) {
        return shop_parse_share(value, &faults->drop_share);
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
    if (!is_loopback(rq) || came_through_proxy(rq) || !shop_same_site(rq)) {
        shop_error(rq, 403, "Only a direct request from this machine may do this.");
        return;
    }
    if (rq->method == EVHTTP_REQ_GET && TAILQ_EMPTY(&rq->query)) {
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
    TAILQ_FOREACH (setting, &rq->query, next) {
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
    shop_answer(rq, well ? 200 : 503, "application/json", body);
}
