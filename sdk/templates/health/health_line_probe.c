/* SPDX-License-Identifier: MIT */
/*
 * Health by a line: sends one, and wants one that begins with another. Redis says +PONG to PING.
 */
#include <weir/weir.h>

#include <stdio.h>

struct conf {
    struct weir_str send;
    struct weir_str expect;
};

#define PLACES (WEIR_CONTEXT_MODULE | WEIR_CONTEXT_POOL)

static const struct weir_option option_rows[] = {
    WEIR_OPTION(struct conf, send, STRING, "PING", PLACES, WEIR_OPTION_RELOADABLE,
                "The line that is sent; empty: none."),
    WEIR_OPTION(struct conf, expect, STRING, "+PONG", PLACES,
                WEIR_OPTION_RELOADABLE | WEIR_OPTION_NOT_EMPTY,
                "What the first line of the answer begins with."),
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

static size_t request(struct weir_context *ctx, void *instance,
                      const struct weir_probe_target *target, char *out, size_t capacity)
{
    const struct conf *conf = instance;
    int len = conf->send.len > 0 ? snprintf(out, capacity, "%s\r\n", conf->send.ptr) : 0;

    (void)ctx;
    /* Over HTTP/2 there are no lines: above the capacity the probe fails. */
    return target->http == 2 || (size_t)len >= capacity ? capacity + 1 : (size_t)len;
}

static enum weir_verdict judge(struct weir_context *ctx, void *instance,
                               const struct weir_probe_target *target, const char *data, size_t len,
                               bool eof, char *reason, size_t reason_size)
{
    const struct conf *conf = instance;
    struct weir_str answer = {data, len};
    size_t shown = len < 40 ? len : 40;

    (void)ctx;
    (void)target;
    if (weir_str_starts(answer, conf->expect.ptr)) {
        snprintf(reason, reason_size, "answered %s", conf->expect.ptr);
        return WEIR_VERDICT_UP;
    }
    if (len < conf->expect.len && !eof && memcmp(data, conf->expect.ptr, len) == 0) {
        return WEIR_VERDICT_MORE;
    }
    /* Reasons are for people: what is not plain text is left out. */
    for (size_t i = 0; i < shown; i++) {
        shown = data[i] < ' ' || data[i] > '~' ? i : shown;
    }
    snprintf(reason, reason_size, "answered \"%.*s\", not %s", (int)shown, data, conf->expect.ptr);
    return WEIR_VERDICT_DOWN;
}

static const struct weir_health health = {
    .size = sizeof(health),
    .create = create,
    .request = request,
    .judge = judge,
};
WEIR_DEFINE_MODULE("health_line_probe", "1.0", "MIT", "probes by a line of text",
                   .options = &options, .health = &health);
