/* SPDX-License-Identifier: MIT */
/*
 * Limits how many requests a client may send: token buckets by address, header or cookie, shared by
 * all workers; what is too much is answered with 429 and Retry-After.
 *
 * Buckets live in memory of fixed size that outlives the configuration: a reload that leaves the
 * filter's options as they are changes nothing for anybody.
 */
#include <weir/weir.h>

#include "buckets.h"
#include "key.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- options ---- */

struct conf {
    int64_t rate;
    uint64_t per;
    int64_t burst;
    int32_t key;
    struct weir_str name;
    int64_t ipv4_prefix, ipv6_prefix;
    bool per_route;
    bool fields;
    struct weir_str zone;
    int64_t entries;
    struct weir_list exempt; /* of struct weir_str */
};

enum { KEY_ADDRESS, KEY_HEADER, KEY_COOKIE, KEY_ALL };
static const char *const keys[] = {"address", "header", "cookie", "all", NULL};

#define EVERYWHERE \
    (WEIR_CONTEXT_MODULE | WEIR_CONTEXT_LISTENER | WEIR_CONTEXT_ROUTE | WEIR_CONTEXT_POOL)
#define HERE (WEIR_CONTEXT_LISTENER | WEIR_CONTEXT_ROUTE | WEIR_CONTEXT_POOL)

static const struct weir_option rows[] = {
    WEIR_OPTION_RANGE(
        struct conf, rate, INTEGER, "0", "0", "1000000000", EVERYWHERE, WEIR_OPTION_RELOADABLE,
        "Requests that a client may send in the time `per`, on and on. Must be set for "
        "each filter, there or in the module block."),
    WEIR_OPTION_RANGE(struct conf, per, DURATION, "1s", "1ms", "1d", EVERYWHERE,
                      WEIR_OPTION_RELOADABLE, "The time that `rate` is for."),
    WEIR_OPTION_RANGE(struct conf, burst, INTEGER, "0", "0", "1000000000", EVERYWHERE,
                      WEIR_OPTION_RELOADABLE,
                      "Requests that a client which was quiet may send at once. 0: as many as "
                      "`rate`."),
    WEIR_OPTION_ENUM(
        struct conf, key, keys, "address", EVERYWHERE, WEIR_OPTION_RELOADABLE,
        "What tells clients apart: their address, the value of a header or of a cookie "
        "(of the option `name`; without it, their address), or nothing: all have one "
        "bucket."),
    WEIR_OPTION(struct conf, name, STRING, NULL, EVERYWHERE,
                WEIR_OPTION_RELOADABLE | WEIR_OPTION_NOT_EMPTY, "The header or cookie."),
    WEIR_OPTION_RANGE(struct conf, ipv4_prefix, INTEGER, "32", "8", "32", EVERYWHERE,
                      WEIR_OPTION_RELOADABLE, "Bits of an IPv4 address that count."),
    WEIR_OPTION_RANGE(
        struct conf, ipv6_prefix, INTEGER, "64", "16", "128", EVERYWHERE, WEIR_OPTION_RELOADABLE,
        "Bits of an IPv6 address that count: a customer mostly has a whole /64, or more."),
    WEIR_OPTION(struct conf, per_route, BOOLEAN, "off", EVERYWHERE, WEIR_OPTION_RELOADABLE,
                "Gives a client a bucket for each route, in a filter of a pool."),
    WEIR_OPTION(struct conf, fields, BOOLEAN, "off", EVERYWHERE, WEIR_OPTION_RELOADABLE,
                "Tells clients how they stand, in the fields RateLimit and RateLimit-Policy."),
    WEIR_OPTION(struct conf, zone, STRING, NULL, HERE,
                WEIR_OPTION_RELOADABLE | WEIR_OPTION_NOT_EMPTY,
                "Filters of the same zone, with the same options, share their buckets. None: each "
                "has its own."),
    WEIR_OPTION_LIST(struct conf, exempt, STRING, NULL, EVERYWHERE, WEIR_OPTION_RELOADABLE,
                     "Networks whose clients are not limited: 10.0.0.0/8, 2001:db8::/32, unix."),
    WEIR_OPTION_RANGE(
        struct conf, entries, INTEGER, "65536", "64", "16777216", EVERYWHERE,
        WEIR_OPTION_RELOADABLE,
        "Clients that are remembered at once, 19 bytes each. When there are more, those "
        "that have used least are forgotten."),
};

static const struct weir_options options = WEIR_OPTIONS(struct conf, rows);

/* ---- metrics ---- */

enum { ALLOWED, REFUSED, PUSHED_OUT };

static const struct weir_metric metric_rows[] = {
    [ALLOWED] = {"allowed", WEIR_COUNTER, "Requests within their limit."},
    [REFUSED] = {"refused", WEIR_COUNTER, "Requests above their limit, answered with 429."},
    [PUSHED_OUT] = {"pushed_out", WEIR_COUNTER,
                    "Clients that were forgotten for others while their limit counted; more "
                    "entries would keep them."},
};
static const struct weir_metrics metrics = WEIR_METRICS(metric_rows);

/* ---- prepared ---- */

/* Shared by all workers; immutable but for the buckets, which guard themselves. */
struct limit {
    const struct conf *conf;
    struct weir_key key;    /* the header or cookie; without a name: none */
    struct network *exempt; /* owned; conf->exempt.count of them */
    struct bucket_rate rate;
    struct buckets *buckets;
    char policy[112]; /* RateLimit-Policy */
};

/* Of the buckets' layout in shared memory. */
#define LAYOUT 1

/* What the buckets depend on: with another answer to any of it they are others. Names may be
 * long. */
static void shared_name(struct weir_context *ctx, const struct conf *conf,
                        const struct bucket_rate *rate, char *out, size_t size)
{
    struct weir_str place = conf->zone.len > 0 ? conf->zone : weir_block_name(ctx);
    uint8_t place_sum[32], name_sum[32];
    uint64_t place_id = 0, name_id = 0;

    weir_hmac_sha256(ctx, "place", 5, place.ptr, place.len, place_sum);
    weir_hmac_sha256(ctx, "name", 4, conf->name.ptr, conf->name.len, name_sum);
    memcpy(&place_id, place_sum, sizeof(place_id));
    memcpy(&name_id, name_sum, sizeof(name_id));
    snprintf(out, size, "buckets %d %llu %llu %d %llx %d %d %d %s %llx", LAYOUT,
             (unsigned long long)rate->interval_ns, (unsigned long long)rate->burst, conf->key,
             (unsigned long long)name_id, (int)conf->ipv4_prefix, (int)conf->ipv6_prefix,
             conf->per_route, conf->zone.len > 0 ? "zone" : "block", (unsigned long long)place_id);
}

/* The longest time to fill a bucket. */
#define FULL_MAX_NS (UINT64_C(10) * 365 * 86400 * 1000000000)

#define ZONE_MAX 40

/* false: a mistake was told. */
static bool check(struct weir_context *ctx, struct weir_check *check, const struct conf *conf)
{
    bool named = conf->key == KEY_HEADER || conf->key == KEY_COOKIE;

    if (conf->rate == 0) {
        weir_check_error(ctx, check, &conf->rate,
                         "rate is missing; write for example: rate = 100  per = 1m");
        return false;
    }
    if (named && !weir_is_token(conf->name)) {
        weir_check_error(ctx, check, conf->name.len > 0 ? (const void *)&conf->name : &conf->key,
                         "key = %s needs the name of one; write for example: name = \"%s\"",
                         keys[conf->key], conf->key == KEY_HEADER ? "X-Api-Key" : "session");
        return false;
    }
    if (!named && conf->name.len > 0) {
        weir_check_error(ctx, check, &conf->name,
                         "name is for key = header and key = cookie; take it away, or choose one");
        return false;
    }
    if (conf->zone.len > 0 && (!weir_is_token(conf->zone) || conf->zone.len > ZONE_MAX)) {
        weir_check_error(ctx, check, &conf->zone,
                         "zone: \"%.*s\" is no name of letters, digits and signs like - and _, at "
                         "most %d of them",
                         (int)conf->zone.len, conf->zone.ptr, ZONE_MAX);
        return false;
    }
    uint64_t interval_ns = conf->per / (uint64_t)conf->rate;
    if (interval_ns == 0) {
        weir_check_error(ctx, check, &conf->rate,
                         "rate: more than one request a nanosecond is no limit");
        return false;
    }
    if ((uint64_t)(conf->burst > 0 ? conf->burst : conf->rate) > FULL_MAX_NS / interval_ns) {
        weir_check_error(ctx, check, &conf->burst,
                         "burst: it would take more than ten years until it may be sent again");
        return false;
    }
    return true;
}

/* false: no memory. */
static bool build_exempt(struct weir_context *ctx, struct weir_check *checking, struct limit *limit)
{
    const struct weir_list *list = &limit->conf->exempt;
    const struct weir_str *texts = list->items;

    limit->exempt = calloc(list->count > 0 ? list->count : 1, sizeof(*limit->exempt));
    if (limit->exempt == NULL) {
        return false;
    }
    for (size_t i = 0; i < list->count; i++) {
        if (!network_parse(texts[i], &limit->exempt[i])) {
            weir_check_error(ctx, checking, list,
                             "exempt: \"%.*s\" is no network; write for example 10.0.0.0/8, "
                             "2001:db8::/32 or unix",
                             (int)texts[i].len, texts[i].ptr);
        }
    }
    return true;
}

/* The filter's name in RateLimit fields. Options end with NUL. */
static const char *policy_name(const struct limit *limit)
{
    return limit->conf->zone.len > 0 ? limit->conf->zone.ptr : "default";
}

static enum weir_status conf_create(struct weir_context *ctx, struct weir_check *checking,
                                    const void *conf_ptr, void **prepared)
{
    const struct conf *conf = conf_ptr;
    uint8_t random[16];
    char name[512];

    if (weir_block_name(ctx).len == 0) { /* the module block: it only gives defaults */
        return WEIR_OK;
    }
    if (!check(ctx, checking, conf)) {
        return WEIR_OK;
    }
    struct limit *limit = calloc(1, sizeof(*limit));
    if (limit == NULL) {
        return WEIR_NO_MEMORY;
    }
    limit->conf = conf;
    limit->key =
        (struct weir_key){conf->key == KEY_COOKIE ? WEIR_KEY_COOKIE : WEIR_KEY_HEADER, conf->name};
    limit->rate = (struct bucket_rate){
        .interval_ns = conf->per / (uint64_t)conf->rate,
        .burst = (uint64_t)(conf->burst > 0 ? conf->burst : conf->rate),
    };
    if (!build_exempt(ctx, checking, limit)) {
        free(limit);
        return WEIR_NO_MEMORY;
    }
    shared_name(ctx, conf, &limit->rate, name, sizeof(name));
    weir_random(ctx, random, sizeof(random));
    limit->buckets = buckets_at(weir_shared(ctx, name, buckets_size((size_t)conf->entries)),
                                (size_t)conf->entries, random);
    snprintf(limit->policy, sizeof(limit->policy), "\"%s\";q=%llu;w=%llu", policy_name(limit),
             (unsigned long long)conf->rate,
             (unsigned long long)((conf->per + 999999999) / 1000000000));
    *prepared = limit;
    return WEIR_OK;
}

static void conf_free(struct weir_context *ctx, void *prepared)
{
    struct limit *limit = prepared;
    (void)ctx;
    if (limit != NULL) { /* the module block has none */
        free(limit->exempt);
        free(limit);
    }
}

/* ---- requests ---- */

/* The id of the request's bucket: a hash of the key, and of what kind it is. */
static uint64_t request_id(const struct limit *limit, const struct weir_request *req)
{
    const struct conf *conf = limit->conf;
    uint8_t address[KEY_ADDRESS_MAX];
    struct weir_str value = {NULL, 0};
    uint64_t ids[3] = {0, 0, 0};
    if (limit->key.name.len > 0 && weir_request_key(req, &limit->key, &value)) {
        ids[0] = 1;
        ids[1] = buckets_id(limit->buckets, value.ptr, value.len);
    } else if (conf->key != KEY_ALL) {
        size_t len = key_of_address(weir_request_peer(req).address, (unsigned)conf->ipv4_prefix,
                                    (unsigned)conf->ipv6_prefix, address);
        ids[0] = 2;
        ids[1] = buckets_id(limit->buckets, address, len);
    }
    if (conf->per_route) {
        struct weir_str route = weir_request_str(req, WEIR_REQUEST_ROUTE);
        ids[2] = buckets_id(limit->buckets, route.ptr, route.len);
    }
    return buckets_id(limit->buckets, ids, sizeof(ids));
}

static bool is_exempt(const struct limit *limit, const struct weir_request *req)
{
    uint8_t address[KEY_ADDRESS_MAX];
    size_t count = limit->conf->exempt.count;
    size_t len = count > 0 ? key_of_address(weir_request_peer(req).address, 32, 128, address) : 0;

    for (size_t i = 0; i < count; i++) {
        if (network_has(&limit->exempt[i], address, len)) {
            return true;
        }
    }
    return false;
}

/* Whole seconds, rounded up, at least one. */
static unsigned long long seconds(uint64_t ns)
{
    uint64_t whole = (ns + 999999999) / 1000000000;
    return whole > 0 ? whole : 1;
}

/* What was said to a request, for on_response; in its slot, one after the other for all filters. */
struct verdict {
    struct verdict *next;
    const struct limit *limit;
    struct bucket_answer answer;
};

static void remember(struct weir_context *ctx, const struct limit *limit, struct weir_request *req,
                     const struct bucket_answer *answer)
{
    void **slot = weir_request_slot(req, ctx);
    struct verdict *verdict = weir_request_alloc(req, sizeof(*verdict));

    if (verdict != NULL) { /* without memory the fields are left out */
        *verdict = (struct verdict){*slot, limit, *answer};
        *slot = verdict;
    }
}

static enum weir_status on_request(struct weir_context *ctx, void *instance,
                                   struct weir_request *req)
{
    const struct limit *limit = instance;

    if (is_exempt(limit, req)) {
        return WEIR_OK;
    }
    struct bucket_answer answer =
        buckets_take(limit->buckets, &limit->rate, request_id(limit, req), weir_now_ns(ctx));

    weir_count(ctx, answer.granted ? ALLOWED : REFUSED, 1);
    if (answer.pushed_out) {
        weir_count(ctx, PUSHED_OUT, 1);
    }
    if (limit->conf->fields) {
        remember(ctx, limit, req, &answer);
    }
    if (answer.granted) {
        return WEIR_OK;
    }
    char text[24];
    int len = snprintf(text, sizeof(text), "%llu", seconds(answer.wait_ns));
    struct weir_field retry = {WEIR_STR_INIT("Retry-After"), {text, (size_t)len}};
    enum weir_status status = weir_reply_error(req, 429, &retry, 1);
    return status == WEIR_OK ? WEIR_DONE : status;
}

static enum weir_status explain(struct weir_context *ctx, void *instance, struct weir_request *req,
                                struct weir_filter_verdict *verdict)
{
    const struct limit *limit = instance;

    if (is_exempt(limit, req)) {
        snprintf(verdict->why, sizeof(verdict->why), "exempt from the limit");
        return WEIR_OK;
    }
    struct bucket_answer answer =
        buckets_look(limit->buckets, &limit->rate, request_id(limit, req), weir_now_ns(ctx));
    if (answer.granted) {
        snprintf(verdict->why, sizeof(verdict->why), "within the limit, with %llu left after it",
                 (unsigned long long)answer.remaining);
    } else {
        verdict->status = 429;
        snprintf(verdict->why, sizeof(verdict->why), "over the limit for %llu s more",
                 seconds(answer.wait_ns));
    }
    return WEIR_OK;
}

static void on_response(struct weir_context *ctx, void *instance, struct weir_request *req,
                        struct weir_response *resp)
{
    const struct limit *limit = instance;
    const struct verdict *verdict = NULL;
    char text[112];

    if (!limit->conf->fields) {
        return;
    }
    for (verdict = *weir_request_slot(req, ctx); verdict != NULL && verdict->limit != limit;) {
        verdict = verdict->next;
    }
    if (verdict == NULL) {
        return;
    }
    int len =
        snprintf(text, sizeof(text), "\"%s\";r=%llu;t=%llu", policy_name(limit),
                 (unsigned long long)verdict->answer.remaining, seconds(verdict->answer.full_ns));
    weir_response_add_header(resp, (struct weir_str)WEIR_STR_INIT("RateLimit-Policy"),
                             (struct weir_str){limit->policy, strlen(limit->policy)});
    weir_response_add_header(resp, (struct weir_str)WEIR_STR_INIT("RateLimit"),
                             (struct weir_str){text, (size_t)len});
}

/* ---- descriptor ---- */

static const struct weir_filter filter_kind = {
    .size = sizeof(filter_kind),
    .on_request = on_request,
    .on_response = on_response,
    .explain = explain,
};

WEIR_DEFINE_MODULE("rate_limit", "1.0", "MIT", "Limits how many requests a client may send",
                   .options = &options, .conf_create = conf_create, .conf_free = conf_free,
                   .filter = &filter_kind, .metrics = &metrics);
