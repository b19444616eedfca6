/* SPDX-License-Identifier: MIT */
/*
 * The contract of kinds that see requests and responses: routers, filters, stickiness, handlers and
 * loggers. Each has several instances at a time, on several workers, of which some go early.
 */
#include "check.h"

#include <stdio.h>
#include <string.h>

#define INSTANCES 3u

struct crowd {
    struct life *life;
    struct weir_test_instance *instances[INSTANCES];
};

static void gather(struct crowd *crowd, struct life *life)
{
    *crowd = (struct crowd){.life = life};
    for (uint32_t i = 0; i < INSTANCES; i++) {
        weir_test_set_worker(life->host, i, INSTANCES);
        crowd->instances[i] = make_instance(life, life->block);
    }
}

/* One of them, which now and then is a new one; NULL: there is none. */
static struct weir_test_instance *one_of(struct crowd *crowd)
{
    struct life *life = crowd->life;
    uint32_t which = random_below(&life->random, INSTANCES);

    if (chance(&life->random, 4)) {
        if (crowd->instances[which] != NULL) {
            weir_test_destroy(&crowd->instances[which]);
        }
        weir_test_set_worker(life->host, which, INSTANCES);
        crowd->instances[which] = make_instance(life, life->block);
    }
    if (chance(&life->random, 20)) {
        weir_test_advance(life->host, random_next(&life->random) & ((UINT64_C(1) << 33) - 1));
    }
    maybe_fail(life);
    return crowd->instances[which];
}

static void disperse(struct crowd *crowd)
{
    for (uint32_t i = 0; i < INSTANCES; i++) {
        if (crowd->instances[i] != NULL) {
            weir_test_destroy(&crowd->instances[i]);
            weir_test_advance(crowd->life->host, UINT64_C(100000000));
        }
    }
}

/* A response as servers send them, with a body of a length that is known or not. */
static struct weir_response *random_response(struct life *life, struct weir_request *req)
{
    static const uint32_t statuses[] = {200, 200, 200, 201, 204, 206, 301, 304, 404, 429, 500, 503};
    static const struct {
        const char *name, *value;
    } fields[] = {
        {"Content-Type", "text/html; charset=utf-8"},
        {"Content-Type", "image/png"},
        {"Cache-Control", "no-transform"},
        {"ETag", "\"x\""},
        {"ETag", "broken"},
        {"Vary", "Accept-Encoding"},
        {"Content-Encoding", "gzip"},
        {"Set-Cookie", "a=b; Path=/"},
        {"Location", "/a"},
    };
    uint64_t *random = &life->random;
    struct weir_response *resp =
        weir_test_response(req, statuses[random_below(random, COUNT(statuses))]);

    for (uint32_t i = random_below(random, 4); i > 0; i--) {
        uint32_t which = random_below(random, COUNT(fields));
        weir_test_response_add(resp, fields[which].name, fields[which].value);
    }
    if (chance(random, 50)) {
        weir_test_response_set_length(resp, random_below(random, 20000));
    }
    return resp;
}

/* ---- router ---- */

void live_router(struct life *life)
{
    struct crowd crowd;
    struct weir_route_result result;

    gather(&crowd, life);
    for (uint32_t i = 0; i < life->steps; i++) {
        struct weir_test_instance *router = one_of(&crowd);
        struct weir_request *req = random_request(life);
        if (router != NULL && chance(&life->random, 70)) {
            weir_test_route(router, req, &result);
        } else if (router != NULL) {
            weir_test_explain(router, req, 1 + random_below(&life->random, 5));
        }
        weir_test_request_free(&req);
    }
    disperse(&crowd);
}

/* ---- filter ---- */

/* The body of a response that the filter transforms, to its end or not. */
static void body(struct life *life, struct weir_response *resp)
{
    static char bytes[20000];
    uint64_t *random = &life->random;

    for (uint32_t i = random_below(random, 8); i > 0; i--) {
        size_t len = random_below(random, chance(random, 10) ? sizeof(bytes) : 500);
        memset(bytes, (int)('a' + random_below(random, 26)), len);
        for (size_t k = 0; k < len; k += 1 + random_below(random, 97)) {
            bytes[k] = (char)random_below(random, 256);
        }
        if (chance(random, 20)) {
            weir_test_filter_hold(resp, true);
        }
        enum weir_flow flow = i == 1 && chance(random, 80) ? WEIR_FLOW_END
                              : chance(random, 20)         ? WEIR_FLOW_FLUSH
                                                           : WEIR_FLOW_MORE;
        enum weir_status status = weir_test_filter_data(resp, bytes, len, flow);
        bool goes_on = status == WEIR_OK || status == WEIR_DECLINED;
        if (goes_on && chance(random, 50)) {
            status = weir_test_filter_hold(resp, false);
            goes_on = status == WEIR_OK || status == WEIR_DECLINED;
        }
        if (!goes_on || flow == WEIR_FLOW_END) {
            break;
        }
    }
}

void live_filter(struct life *life)
{
    struct crowd crowd;
    struct weir_filter_verdict verdict;

    gather(&crowd, life);
    for (uint32_t i = 0; i < life->steps; i++) {
        struct weir_test_instance *filter = one_of(&crowd);
        struct weir_request *req = random_request(life);
        if (filter != NULL && chance(&life->random, 10)) {
            weir_test_filter_explain(filter, req, &verdict);
        } else if (filter != NULL && weir_test_filter_request(filter, req) == WEIR_OK) {
            struct weir_response *resp = random_response(life, req);
            weir_test_filter_response(filter, req, resp);
            bool head = weir_str_is(weir_request_str(req, WEIR_REQUEST_METHOD), "HEAD");
            if (weir_test_transformed(resp) && !head) {
                body(life, resp);
            }
        }
        weir_test_request_free(&req);
    }
    disperse(&crowd);
}

/* ---- sticky ---- */

void live_sticky(struct life *life)
{
    struct crowd crowd;
    char cookie[4096] = "id=1";

    gather(&crowd, life);
    for (uint32_t i = 0; i < life->steps; i++) {
        struct weir_test_instance *sticky = one_of(&crowd);
        struct weir_request *req = random_request(life);
        if (chance(&life->random, 60)) { /* what a server was told to be called comes back */
            weir_test_request_add(req, "Cookie", cookie);
        }
        if (sticky != NULL) {
            weir_server_id known = weir_test_lookup(sticky, req);
            weir_server_id server = known != WEIR_NO_SERVER && chance(&life->random, 80)
                                        ? known
                                        : random_next(&life->random) | 1;
            struct weir_response *resp = random_response(life, req);
            weir_test_sticky_response(sticky, req, resp, server, server == known);
            const char *set = weir_test_response_header(resp, "Set-Cookie", 0);
            if (set != NULL) {
                snprintf(cookie, sizeof(cookie), "%.*s", (int)strcspn(set, ";"), set);
            }
        }
        weir_test_request_free(&req);
    }
    disperse(&crowd);
}

/* ---- handler ---- */

#define OPEN 4u

static void handle(struct crowd *crowd, struct weir_test_instance *handler,
                   struct weir_request **slot, struct weir_test_instance **owner)
{
    static const char piece[] = "{\"a\": [1, \"\\u0000\"]}";
    struct life *life = crowd->life;

    if (*slot == NULL) {
        *slot = random_request(life);
        *owner = handler;
        weir_test_reply_hold(*slot, chance(&life->random, 30));
        if (weir_test_handle_head(handler, *slot) != WEIR_OK) {
            weir_test_request_free(slot);
            return;
        }
        if (chance(&life->random, 50)) {
            weir_test_handle_data(handler, *slot, piece, sizeof(piece) - 1, false);
        }
        weir_test_handle_data(handler, *slot, NULL, 0, true);
        weir_test_run(life->host);
        return;
    }
    switch (random_below(&life->random, 3)) {
    case 0: weir_test_writable(*owner, *slot); break;
    case 1: weir_test_client_gone(*owner, *slot); break;
    default: weir_test_run(life->host); break;
    }
    if (weir_test_request_over(*slot)) {
        weir_test_request_free(slot);
    }
}

void live_handler(struct life *life)
{
    struct crowd crowd;
    struct weir_request *open[OPEN] = {NULL};
    struct weir_test_instance *owners[OPEN] = {NULL};

    gather(&crowd, life);
    for (uint32_t i = 0; i < life->steps; i++) {
        struct weir_test_instance *handler =
            crowd.instances[random_below(&life->random, INSTANCES)];
        uint32_t which = random_below(&life->random, OPEN);
        maybe_fail(life);
        if (handler != NULL) {
            handle(&crowd, handler, &open[which], &owners[which]);
        }
        if (chance(&life->random, 10)) {
            weir_test_event(life->host, i + 1, "change", "{\"id\":1}");
        }
        weir_test_advance(life->host, random_next(&life->random) & ((UINT64_C(1) << 32) - 1));
    }
    for (uint32_t i = 0; i < INSTANCES; i++) {
        if (crowd.instances[i] != NULL) {
            weir_test_drain(crowd.instances[i]);
        }
    }
    for (uint32_t i = 0; i < OPEN; i++) {
        if (open[i] != NULL) {
            weir_test_request_free(&open[i]);
        }
    }
    disperse(&crowd);
}

/* ---- logger ---- */

void live_logger(struct life *life)
{
    static const char *const reasons[] = {"", "no_route", "client_gone", "response_timeout"};
    struct crowd crowd;

    gather(&crowd, life);
    for (uint32_t i = 0; i < life->steps; i++) {
        struct weir_test_instance *logger = one_of(&crowd);
        struct weir_request *req = random_request(life);
        struct weir_record record = weir_test_record(life->host);
        bool answered = chance(&life->random, 80);
        const char *reason = reasons[random_below(&life->random, COUNT(reasons))];
        record.status = answered ? 200 : 0;
        record.retries = random_below(&life->random, 3);
        record.reason = (struct weir_str){reason, strlen(reason)};
        record.total_ns = random_next(&life->random) >> random_below(&life->random, 64);
        record.body_bytes = random_next(&life->random) >> random_below(&life->random, 64);
        weir_test_fail_files(life->host, life->failures && chance(&life->random, 20),
                             life->failures && chance(&life->random, 20));
        if (logger != NULL) {
            struct weir_response *resp = answered ? random_response(life, req) : NULL;
            weir_test_log_request(logger, req, resp, &record);
        }
        weir_test_request_free(&req);
    }
    weir_test_fail_files(life->host, false, false);
    disperse(&crowd);
}
