/* SPDX-License-Identifier: MIT */
/*
 * A filter that expands: each byte of a response's body is written `times` times. For tests of the
 * chain of filters: it stops where its output waits, and fails after `fail_after` bytes.
 */
#include <weir/weir.h>

#include <stdlib.h>

struct conf {
    int64_t times;
    uint64_t fail_after;
};

static const struct weir_option rows[] = {
    WEIR_OPTION_RANGE(struct conf, times, INTEGER, "2", "1", "1000000", UINT32_MAX, 0,
                      "How often each byte is written."),
    WEIR_OPTION(struct conf, fail_after, SIZE, "0", UINT32_MAX, 0,
                "Bytes of input after which the hook fails; 0: never."),
};
static const struct weir_options options = WEIR_OPTIONS(struct conf, rows);

struct expand {
    uint64_t seen;
    int64_t left; /* of the running byte */
};

static enum weir_status create(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance)
{
    (void)ctx;
    (void)prepared;
    *instance = (void *)(uintptr_t)conf;
    return WEIR_OK;
}

static void on_response(struct weir_context *ctx, void *instance, struct weir_request *req,
                        struct weir_response *resp)
{
    struct expand *expand = calloc(1, sizeof(*expand));
    (void)ctx;
    (void)instance;
    (void)req;
    if (expand == NULL || weir_response_transform(resp, expand) != WEIR_OK) {
        free(expand);
    }
}

/* Writes what is left of one byte. false: the output waits. */
static bool write_byte(struct expand *expand, struct weir_transform *transform, char byte)
{
    char block[4096];
    memset(block, byte, sizeof(block));
    while (expand->left > 0) {
        size_t len = expand->left < (int64_t)sizeof(block) ? (size_t)expand->left : sizeof(block);
        expand->left -= (int64_t)len;
        if (weir_transform_write(transform, block, len) > 65536) {
            return false;
        }
    }
    return true;
}

static enum weir_status on_response_data(struct weir_context *ctx, void *instance, void *state,
                                         struct weir_transform *transform, const void *data,
                                         size_t len, enum weir_flow flow, size_t *used)
{
    const struct conf *conf = instance;
    struct expand *expand = state;
    (void)ctx;
    (void)flow;
    for (size_t i = 0; i < len; i++) {
        if (expand->left == 0) {
            expand->left = conf->times;
            expand->seen++;
        }
        if (conf->fail_after > 0 && expand->seen > conf->fail_after) {
            return WEIR_ERROR;
        }
        if (!write_byte(expand, transform, ((const char *)data)[i])) {
            *used = expand->left == 0 ? i + 1 : i;
            return WEIR_DECLINED;
        }
    }
    return WEIR_OK;
}

static void on_response_close(struct weir_context *ctx, void *instance, void *state)
{
    (void)ctx;
    (void)instance;
    free(state);
}

static const struct weir_filter filter = {
    .size = sizeof(filter),
    .create = create,
    .on_response = on_response,
    .on_response_data = on_response_data,
    .on_response_close = on_response_close,
};

WEIR_DEFINE_MODULE("expand", "1", "MIT", "Writes each byte of a body many times",
                   .options = &options, .filter = &filter);
