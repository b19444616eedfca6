/* SPDX-License-Identifier: MIT */
/*
 * Compresses response bodies with gzip or brotli, as the client's Accept-Encoding asks.
 *
 * A body is compressed as it passes, in bounded memory, and what the server sends is flushed to the
 * client when the server pauses. What must not be touched passes as it is: encoded bodies, parts,
 * bodies that are small or of other types, and what Cache-Control forbids.
 */
#include <weir/weir.h>

#include "accept.h"
#include "encoder.h"

#include <stdlib.h>
#include <strings.h>

/* ---- options ---- */

struct conf {
    struct weir_list encodings; /* of struct weir_str */
    struct weir_list types;     /* likewise */
    uint64_t minimum_size;
    int64_t gzip_level;
    int64_t brotli_level;
    uint64_t memory_limit;
};

#define EVERYWHERE \
    (WEIR_CONTEXT_MODULE | WEIR_CONTEXT_LISTENER | WEIR_CONTEXT_ROUTE | WEIR_CONTEXT_POOL)

static const struct weir_option rows[] = {
    WEIR_OPTION_LIST(struct conf, encodings, STRING, "{\"br\", \"gzip\"}", EVERYWHERE,
                     WEIR_OPTION_RELOADABLE | WEIR_OPTION_NOT_EMPTY,
                     "The codings that are used, \"br\" and \"gzip\"; of those that a client likes "
                     "equally, the first."),
    WEIR_OPTION_LIST(struct conf, types, STRING,
                     "{\"text/*\", \"+json\", \"+xml\", \"application/json\", "
                     "\"application/javascript\", \"application/xml\", \"application/wasm\", "
                     "\"application/vnd.ms-fontobject\", \"font/otf\", \"font/ttf\"}",
                     EVERYWHERE, WEIR_OPTION_RELOADABLE | WEIR_OPTION_NOT_EMPTY,
                     "Content types that are compressed: \"type/subtype\", \"type/*\", or the end "
                     "of a subtype, as in \"+json\"."),
    WEIR_OPTION(struct conf, minimum_size, SIZE, "1k", EVERYWHERE, WEIR_OPTION_RELOADABLE,
                "Bodies that are known to be shorter pass as they are."),
    WEIR_OPTION_RANGE(struct conf, gzip_level, INTEGER, "5", "1", "9", EVERYWHERE,
                      WEIR_OPTION_RELOADABLE, "1 is fast, 9 is small."),
    WEIR_OPTION_RANGE(struct conf, brotli_level, INTEGER, "4", "0", "11", EVERYWHERE,
                      WEIR_OPTION_RELOADABLE,
                      "0 is fast, 11 is small and a hundred times slower; above 6 only for what is "
                      "asked for seldom."),
    WEIR_OPTION_RANGE(
        struct conf, memory_limit, SIZE, "256m", "2m", NULL, EVERYWHERE, WEIR_OPTION_RELOADABLE,
        "Memory of all responses that are being compressed by this filter; what comes "
        "when it is used up passes as it is. A response takes some 270k with gzip and "
        "1.7m with brotli."),
};

static const struct weir_options options = WEIR_OPTIONS(struct conf, rows);

/* ---- metrics ---- */

enum { RESPONSES, INPUT, OUTPUT, SKIPPED, RUNNING };

static const struct weir_metric metric_rows[] = {
    [RESPONSES] = {"responses", WEIR_COUNTER, "Responses that were compressed."},
    [INPUT] = {"input_bytes", WEIR_COUNTER, "Bytes of their bodies, as servers sent them."},
    [OUTPUT] = {"output_bytes", WEIR_COUNTER, "Bytes of their bodies, as clients got them."},
    [SKIPPED] = {"skipped", WEIR_COUNTER,
                 "Responses that passed as they are because memory_limit was used up."},
    [RUNNING] = {"running", WEIR_GAUGE, "Responses that are being compressed now."},
};
static const struct weir_metrics metrics = WEIR_METRICS(metric_rows);

/* ---- prepared ---- */

/* Shared by all workers; immutable but for the budget. */
struct prepared {
    const struct conf *conf;
    enum encoding order[ENCODING_COUNT];
    size_t order_count;
    struct budget budget;
};

static void check_encodings(struct weir_context *ctx, struct weir_check *check,
                            const struct conf *conf, struct prepared *prepared)
{
    const struct weir_str *names = conf->encodings.items;

    for (size_t i = 0; i < conf->encodings.count; i++) {
        enum encoding encoding = weir_str_is_nocase(names[i], "gzip") ? ENCODING_GZIP
                                 : weir_str_is_nocase(names[i], "br") ? ENCODING_BROTLI
                                                                      : ENCODING_NONE;
        bool twice = false;
        for (size_t k = 0; k < prepared->order_count; k++) {
            twice = twice || prepared->order[k] == encoding;
        }
        if (encoding == ENCODING_NONE || twice) {
            weir_check_error(ctx, check, &conf->encodings,
                             "encodings: \"%.*s\" %s; \"br\" and \"gzip\" are there, each once",
                             (int)names[i].len, names[i].ptr,
                             twice ? "stands here twice" : "is no coding that can be made");
            continue;
        }
        prepared->order[prepared->order_count++] = encoding;
    }
}

static void check_types(struct weir_context *ctx, struct weir_check *check, const struct conf *conf)
{
    const struct weir_str *types = conf->types.items;

    for (size_t i = 0; i < conf->types.count; i++) {
        struct weir_str type = types[i];
        const char *slash = type.len > 0 ? memchr(type.ptr, '/', type.len) : NULL;
        bool suffix = type.len > 1 && type.ptr[0] == '+' && slash == NULL;
        bool whole = slash != NULL && slash != type.ptr && slash + 1 < type.ptr + type.len;
        if ((!suffix && !whole) || memchr(type.ptr, ' ', type.len) != NULL ||
            memchr(type.ptr, ';', type.len) != NULL) {
            weir_check_error(ctx, check, &conf->types,
                             "types: \"%.*s\" is no content type; write for example \"text/html\", "
                             "\"text/*\" or \"+json\"",
                             (int)type.len, type.ptr);
        }
    }
}

static enum weir_status conf_create(struct weir_context *ctx, struct weir_check *check,
                                    const void *conf_ptr, void **prepared_ptr)
{
    const struct conf *conf = conf_ptr;
    struct prepared *prepared = calloc(1, sizeof(*prepared));

    if (prepared == NULL) {
        return WEIR_NO_MEMORY;
    }
    prepared->conf = conf;
    prepared->budget.limit = (size_t)conf->memory_limit;
    atomic_init(&prepared->budget.used, 0);
    check_encodings(ctx, check, conf, prepared);
    check_types(ctx, check, conf);
    *prepared_ptr = prepared;
    return WEIR_OK;
}

static void conf_free(struct weir_context *ctx, void *prepared)
{
    (void)ctx;
    free(prepared);
}

/* ---- instance ---- */

struct filter {
    struct prepared *prepared;
    struct memory memory;
    uint64_t told_ns; /* when it was last logged that the memory is used up; 0: never */
};

static enum weir_status create(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance)
{
    struct filter *filter = calloc(1, sizeof(*filter));
    (void)ctx;
    (void)conf;
    if (filter == NULL) {
        return WEIR_NO_MEMORY;
    }
    filter->prepared = prepared;
    filter->memory.budget = &filter->prepared->budget;
    *instance = filter;
    return WEIR_OK;
}

static void destroy(struct weir_context *ctx, void *instance)
{
    struct filter *filter = instance;
    (void)ctx;
    memory_clear(&filter->memory);
    free(filter);
}

/* ---- what may be compressed ---- */

/* A type, as configured, against one without parameters. Options end with NUL. */
static bool type_matches(struct weir_str pattern, struct weir_str type)
{
    if (pattern.ptr[0] == '+') {
        return type.len >= pattern.len &&
               weir_str_is_nocase(weir_str_skip(type, type.len - pattern.len), pattern.ptr);
    }
    if (pattern.ptr[pattern.len - 1] == '*') {
        struct weir_str start = {pattern.ptr, pattern.len - 1};
        return type.len > start.len && memchr(type.ptr, '/', type.len) != NULL &&
               strncasecmp(type.ptr, start.ptr, start.len) == 0;
    }
    return weir_str_is_nocase(type, pattern.ptr);
}

static bool type_is_listed(const struct conf *conf, const struct weir_response *resp)
{
    const struct weir_str *types = conf->types.items;
    struct weir_str type;

    if (!weir_response_header(resp, "Content-Type", &type)) {
        return false;
    }
    type = weir_str_cut(&type, ';');
    for (size_t i = 0; i < conf->types.count; i++) {
        if (type_matches(types[i], type)) {
            return true;
        }
    }
    return false;
}

/* Whether any of a response's fields of that name lists the word. */
static bool response_lists(const struct weir_response *resp, const char *name, const char *word)
{
    size_t count = weir_response_field_count(resp);
    struct weir_str value;

    if (!weir_response_header(resp, name, &value)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct weir_field field = weir_response_field(resp, i);
        if (weir_str_is_nocase(field.name, name) && weir_list_has(field.value, word)) {
            return true;
        }
    }
    return false;
}

/* Whatever the client accepts: whether this response is one that would be compressed. */
static bool may_compress(const struct conf *conf, struct weir_request *req,
                         const struct weir_response *resp)
{
    uint32_t status = weir_response_status(resp);
    int64_t length = weir_response_content_length(resp);
    struct weir_str value;

    if (status < 200 || status == 204 || status == 205 || status == 206 || status == 304) {
        return false;
    }
    if (length >= 0 && ((uint64_t)length < conf->minimum_size || length == 0)) {
        return false;
    }
    return type_is_listed(conf, resp) && !weir_response_header(resp, "Content-Encoding", &value) &&
           !weir_response_header(resp, "Content-Range", &value) &&
           !response_lists(resp, "Cache-Control", "no-transform") &&
           !(weir_request_header_list(req, "Cache-Control", &value) &&
             weir_list_has(value, "no-transform"));
}

static enum encoding choose(const struct prepared *prepared, struct weir_request *req)
{
    struct accept accept;
    struct weir_str value;

    if (!weir_request_header_list(req, "Accept-Encoding", &value)) {
        return ENCODING_NONE;
    }
    accept_begin(&accept);
    accept_read(&accept, value);
    return accept_choose(&accept, prepared->order, prepared->order_count);
}

/* ---- responses ---- */

#define TELL_EVERY_NS UINT64_C(60000000000)

static void tell_spent(struct weir_context *ctx, struct filter *filter)
{
    uint64_t now = weir_now_ns(ctx);

    if (filter->told_ns == 0 || now - filter->told_ns >= TELL_EVERY_NS) {
        filter->told_ns = now;
        weir_log(ctx, WEIR_LOG_WARNING,
                 "memory_limit is used up: bodies pass as they are; raise it, or lower the levels");
    }
}

static void compress(struct weir_context *ctx, struct filter *filter, struct weir_request *req,
                     struct weir_response *resp, enum encoding encoding)
{
    const struct weir_str name = WEIR_STR_INIT("Content-Encoding");
    const struct conf *conf = filter->prepared->conf;
    int64_t level = encoding == ENCODING_GZIP ? conf->gzip_level : conf->brotli_level;
    struct encoder *encoder = NULL;

    if (!weir_str_is_nocase(weir_request_method(req),
                            "HEAD")) { /* whose answer has no body to encode */
        encoder =
            encoder_new(encoding, (int)level, weir_response_content_length(resp), &filter->memory);
        if (encoder == NULL) {
            weir_count(ctx, SKIPPED, 1);
            tell_spent(ctx, filter);
            return;
        }
    }
    /* The name first: without it the body must not be encoded. */
    if (weir_response_set_header(resp, name, encoding_name(encoding)) != WEIR_OK ||
        weir_response_transform(resp, encoder) != WEIR_OK) {
        weir_response_remove_header(resp, name);
        encoder_free(&encoder);
    } else if (encoder != NULL) {
        weir_count(ctx, RESPONSES, 1);
        weir_gauge_add(ctx, RUNNING, 1);
    }
}

static void on_response(struct weir_context *ctx, void *instance, struct weir_request *req,
                        struct weir_response *resp)
{
    struct filter *filter = instance;

    if (!may_compress(filter->prepared->conf, req, resp)) {
        return;
    }
    if (!response_lists(resp, "Vary", "Accept-Encoding") && !response_lists(resp, "Vary", "*")) {
        weir_response_add_header(resp, (struct weir_str)WEIR_STR_INIT("Vary"),
                                 (struct weir_str)WEIR_STR_INIT("Accept-Encoding"));
    }
    enum encoding encoding = choose(filter->prepared, req);
    if (encoding != ENCODING_NONE) {
        compress(ctx, filter, req, resp, encoding);
    }
}

static enum weir_status on_response_data(struct weir_context *ctx, void *instance, void *state,
                                         struct weir_transform *transform, const void *data,
                                         size_t len, enum weir_flow flow, size_t *used)
{
    struct encoder *encoder = state;
    size_t written = 0;
    (void)instance;
    (void)used;
    bool good = encoder_feed(encoder, transform, data, len, flow, &written);
    weir_count(ctx, INPUT, len);
    weir_count(ctx, OUTPUT, written);
    if (!good) {
        weir_log(ctx, WEIR_LOG_ERROR, "a body could not be compressed: no memory");
        return WEIR_ERROR;
    }
    return WEIR_OK;
}

static void on_response_close(struct weir_context *ctx, void *instance, void *state)
{
    struct encoder *encoder = state;
    (void)instance;
    if (encoder != NULL) {
        weir_gauge_add(ctx, RUNNING, -1);
        encoder_free(&encoder);
    }
}

/* ---- descriptor ---- */

static const struct weir_filter filter_kind = {
    .size = sizeof(filter_kind),
    .create = create,
    .destroy = destroy,
    .on_response = on_response,
    .on_response_data = on_response_data,
    .on_response_close = on_response_close,
};

WEIR_DEFINE_MODULE("compress", "1.0", "MIT", "Compresses response bodies with gzip or brotli",
                   .options = &options, .conf_create = conf_create, .conf_free = conf_free,
                   .filter = &filter_kind, .metrics = &metrics);
