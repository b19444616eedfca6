/* SPDX-License-Identifier: MIT */
/*
 * A handler that answers with `size` bytes of text, as fast as the client takes them and no faster.
 * For tests of answers that pass filters.
 */
#include <weir/weir.h>

#include <stdlib.h>

#define HIGH 65536

struct conf {
    uint64_t size;
};

static const struct weir_option rows[] = {
    WEIR_OPTION(struct conf, size, SIZE, "1k", UINT32_MAX, 0, "Bytes of an answer."),
};
static const struct weir_options options = WEIR_OPTIONS(struct conf, rows);

struct pour {
    uint64_t left;
};

static enum weir_status create(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance)
{
    (void)ctx;
    (void)prepared;
    *instance = (void *)(uintptr_t)conf;
    return WEIR_OK;
}

static void on_writable(struct weir_context *ctx, void *instance, struct weir_request *req)
{
    static const char text[] = "0123456789abcdef";
    struct pour *pour = *weir_request_slot(req, ctx);
    char block[4096];
    size_t waiting = 0;

    (void)instance;
    for (size_t i = 0; i < sizeof(block); i++) {
        block[i] = text[i % 16];
    }
    while (pour->left > 0 && waiting < HIGH) {
        size_t len = pour->left < sizeof(block) ? (size_t)pour->left : sizeof(block);
        waiting = weir_reply_write(req, block, len);
        pour->left -= len;
        if (pour->left == 0) {
            weir_reply_end(req);
        }
    }
}

static enum weir_status on_request(struct weir_context *ctx, void *instance,
                                   struct weir_request *req)
{
    static const struct weir_field type = {WEIR_STR_INIT("Content-Type"),
                                           WEIR_STR_INIT("text/plain")};
    const struct conf *conf = instance;
    struct pour *pour = weir_request_alloc(req, sizeof(*pour));

    if (pour == NULL) {
        return WEIR_NO_MEMORY;
    }
    pour->left = conf->size;
    *weir_request_slot(req, ctx) = pour;
    enum weir_status status = weir_reply_begin(req, 200, &type, 1, (int64_t)conf->size);
    if (status == WEIR_OK) {
        on_writable(ctx, instance, req);
    }
    return status;
}

static const struct weir_handler handler = {
    .size = sizeof(handler),
    .create = create,
    .on_request = on_request,
    .on_writable = on_writable,
};

WEIR_DEFINE_MODULE("pour", "1", "MIT", "Answers with many bytes", .options = &options,
                   .handler = &handler);
