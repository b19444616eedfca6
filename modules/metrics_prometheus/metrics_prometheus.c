/* SPDX-License-Identifier: MIT */
/*
 * metrics_prometheus: answers scrapes with the numbers of everything that runs.
 */
#include <weir/weir.h>

#include <stdlib.h>
#include <string.h>

#include "accept.h"
#include "families.h"

/* Slow readers hold a copy of the numbers each. */
#define SCRAPE_LIMIT 8
/* A piece of output, and what may wait for the client before it gets more. */
#define PIECE   (16 * 1024)
#define WAITING (64 * 1024)

/* ---- options ---- */

struct conf {
    int64_t series_limit;
};

static const struct weir_option rows[] = {
    WEIR_OPTION_RANGE(
        struct conf, series_limit, INTEGER, "2000", "1", "100000",
        WEIR_CONTEXT_MODULE | WEIR_CONTEXT_LISTENER, WEIR_OPTION_RELOADABLE,
        "How many listeners, routes, pools and servers (of each) have series of their "
        "own; the rest is summed under \"other\"."),
};

static const struct weir_options options = WEIR_OPTIONS(struct conf, rows);

/* ---- a scrape ---- */

struct exporter {
    uint64_t limit;
    size_t running;
};

struct scrape {
    struct snapshot *snapshot; /* NULL: answered otherwise, or all written */
    enum format format;
    struct position position;
    bool ended; /* the reply is */
};

/* Writes as much as the client takes. The pieces' buffer lives for this call alone. */
static void pump(struct exporter *exporter, struct scrape *scrape, struct weir_request *req)
{
    struct weir_buffer out = {0};
    size_t waiting = 0;

    if (scrape->snapshot == NULL || scrape->ended) {
        return;
    }
    while (!scrape->position.done && !out.failed && waiting < WAITING) {
        out.len = 0;
        families_write(&out, scrape->snapshot, scrape->format, &scrape->position, PIECE);
        if (out.len > 0 && !out.failed) {
            waiting = weir_reply_write(req, out.data, out.len);
        }
    }
    if (scrape->position.done || out.failed) {
        snapshot_free(&scrape->snapshot);
        exporter->running--;
        scrape->ended = true;
        if (out.failed) {
            weir_reply_abort(req);
        } else {
            weir_reply_end(req);
        }
    }
    weir_buffer_free(&out);
}

static enum weir_status refuse(struct weir_request *req, uint32_t status, const char *text)
{
    static const struct weir_str type = WEIR_STR_INIT("text/plain; charset=utf-8");
    struct weir_field fields[] = {{WEIR_STR_INIT("Content-Type"), type},
                                  {WEIR_STR_INIT("Allow"), WEIR_STR_INIT("GET, HEAD")}};
    size_t len = strlen(text);

    if (weir_reply_begin(req, status, fields, status == 405 ? 2 : 1, (int64_t)len) == WEIR_OK) {
        weir_reply_write(req, text, len);
        weir_reply_end(req);
    }
    return WEIR_OK;
}

static enum format wanted_format(struct weir_request *req)
{
    struct weir_str accept = {NULL, 0};

    weir_request_header_list(req, "Accept", &accept);
    return accept_openmetrics(accept) ? FORMAT_OPENMETRICS : FORMAT_TEXT;
}

static enum weir_status begin_scrape(struct weir_context *ctx, struct exporter *exporter,
                                     struct weir_request *req)
{
    static const struct weir_str types[] = {
        [FORMAT_TEXT] = WEIR_STR_INIT("text/plain; version=0.0.4; charset=utf-8"),
        [FORMAT_OPENMETRICS] =
            WEIR_STR_INIT("application/openmetrics-text; version=1.0.0; charset=utf-8"),
    };
    struct scrape *scrape = weir_request_alloc(req, sizeof(*scrape));
    void **slot = weir_request_slot(req, ctx);

    if (scrape == NULL || slot == NULL) {
        return WEIR_NO_MEMORY;
    }
    memset(scrape, 0, sizeof(*scrape));
    scrape->format = wanted_format(req);
    struct weir_field fields[] = {
        {WEIR_STR_INIT("Content-Type"), types[scrape->format]},
        {WEIR_STR_INIT("Cache-Control"), WEIR_STR_INIT("no-store")},
        {WEIR_STR_INIT("Vary"), WEIR_STR_INIT("Accept")},
    };
    if (weir_str_is(weir_request_method(req), "HEAD")) {
        if (weir_reply_begin(req, 200, fields, 3, -1) == WEIR_OK) {
            weir_reply_end(req);
        }
        return WEIR_OK;
    }
    scrape->snapshot = snapshot_take(ctx, exporter->limit);
    if (scrape->snapshot == NULL) {
        return WEIR_NO_MEMORY;
    }
    exporter->running++;
    *slot = scrape;
    if (weir_reply_begin(req, 200, fields, 3, -1) == WEIR_OK) {
        pump(exporter, scrape, req);
    }
    return WEIR_OK;
}

/* ---- hooks ---- */

static enum weir_status create(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance)
{
    const struct conf *c = conf;
    struct exporter *exporter = calloc(1, sizeof(*exporter));

    (void)ctx;
    (void)prepared;
    if (exporter == NULL) {
        return WEIR_NO_MEMORY;
    }
    exporter->limit = (uint64_t)c->series_limit;
    *instance = exporter;
    return WEIR_OK;
}

static void destroy(struct weir_context *ctx, void *instance)
{
    (void)ctx;
    free(instance);
}

static enum weir_status on_request(struct weir_context *ctx, void *instance,
                                   struct weir_request *req)
{
    struct exporter *exporter = instance;

    if (!weir_str_ends(weir_request_path(req), "/metrics")) {
        return refuse(req, 404, "The metrics are at /metrics.\n");
    }
    if (!weir_str_is(weir_request_method(req), "GET") &&
        !weir_str_is(weir_request_method(req), "HEAD")) {
        return refuse(req, 405, "Metrics are read by GET.\n");
    }
    if (exporter->running >= SCRAPE_LIMIT) {
        return refuse(req, 503, "Too many scrapes at once.\n");
    }
    return begin_scrape(ctx, exporter, req);
}

static struct scrape *scrape_of(struct weir_context *ctx, struct weir_request *req)
{
    void **slot = weir_request_slot(req, ctx);
    return slot != NULL ? *slot : NULL;
}

static void on_writable(struct weir_context *ctx, void *instance, struct weir_request *req)
{
    struct scrape *scrape = scrape_of(ctx, req);

    if (scrape != NULL) {
        pump(instance, scrape, req);
    }
}

static void on_end(struct weir_context *ctx, void *instance, struct weir_request *req, bool aborted)
{
    struct exporter *exporter = instance;
    struct scrape *scrape = scrape_of(ctx, req);

    (void)aborted;
    if (scrape != NULL && scrape->snapshot != NULL) {
        snapshot_free(&scrape->snapshot);
        exporter->running--;
    }
}

/* ---- descriptor ---- */

static const struct weir_handler hooks = {
    .size = sizeof(struct weir_handler),
    .create = create,
    .destroy = destroy,
    .on_request = on_request,
    .on_writable = on_writable,
    .on_end = on_end,
};

WEIR_DEFINE_MODULE("metrics_prometheus", "1.0", "MIT", "Exports metrics to Prometheus",
                   .options = &options, .handler = &hooks);
