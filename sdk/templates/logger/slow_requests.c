/* SPDX-License-Identifier: MIT */
/*
 * A logger: a line in the program's log for each request that took long, and a counter of them.
 */
#include <weir/weir.h>

struct conf {
    uint64_t threshold; /* ns */
};

static const struct weir_option option_rows[] = {
    WEIR_OPTION_RANGE(struct conf, threshold, DURATION, "1s", "1ms", "1h", WEIR_CONTEXT_MODULE,
                      WEIR_OPTION_RELOADABLE, "How long a request takes that is told."),
};
static const struct weir_options options = WEIR_OPTIONS(struct conf, option_rows);

enum { SLOW };
static const struct weir_metric metric_rows[] = {
    [SLOW] = {"slow", WEIR_COUNTER, "Requests that took longer than the threshold."},
};
static const struct weir_metrics metrics = WEIR_METRICS(metric_rows);

/* The options outlive the instance, which needs nothing else. */
static enum weir_status create(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance)
{
    (void)ctx;
    (void)prepared;
    *instance = (void *)(uintptr_t)conf;
    return WEIR_OK;
}

static void log_request(struct weir_context *ctx, void *instance, struct weir_request *req,
                        struct weir_response *resp, const struct weir_record *record)
{
    const struct conf *conf = instance;
    char text[512];
    struct weir_buffer line = {text, 0, sizeof(text), true, false};

    (void)resp;
    if (record->total_ns < conf->threshold) {
        return;
    }
    weir_count(ctx, SLOW, 1);
    /* What clients send is escaped: a line of the log stays one. */
    weir_buffer_escaped(&line, weir_request_method(req), WEIR_ESCAPE_WORD, 32);
    weir_buffer_byte(&line, ' ');
    weir_buffer_escaped(&line, weir_request_path(req), WEIR_ESCAPE_WORD, 200);
    weir_buffer_text(&line, " of server ");
    weir_buffer_escaped(&line, weir_request_str(req, WEIR_REQUEST_SERVER), WEIR_ESCAPE_WORD, 100);
    weir_log(ctx, WEIR_LOG_NOTICE, "%.*s took %llu ms", (int)line.len, line.data,
             (unsigned long long)(record->total_ns / 1000000));
}

static const struct weir_logger logger = {
    .size = sizeof(logger),
    .create = create,
    .log = log_request,
};
WEIR_DEFINE_MODULE("slow_requests", "1.0", "MIT", "tells requests that took long",
                   .options = &options, .logger = &logger, .metrics = &metrics);
