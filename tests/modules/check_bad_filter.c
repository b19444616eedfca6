/* SPDX-License-Identifier: MIT */
/*
 * A filter that keeps what it was lent, as the macro BAD_... says: for the tests of
 * weir-module-check, which build it. Without a macro it is good, and takes each body as it is.
 */
#include <weir/weir.h>

#include <stdlib.h>

struct instance {
    struct weir_request *request;
    struct weir_str path;
    const char *piece;
    uint64_t seen;
};

static enum weir_status create(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance)
{
    (void)ctx;
    (void)conf;
    (void)prepared;
    *instance = calloc(1, sizeof(struct instance));
    return *instance != NULL ? WEIR_OK : WEIR_NO_MEMORY;
}

static void destroy(struct weir_context *ctx, void *instance)
{
    (void)ctx;
    free(instance);
}

static enum weir_status on_request(struct weir_context *ctx, void *arg, struct weir_request *req)
{
    struct instance *instance = arg;
    (void)ctx;
#if defined(BAD_REQUEST)
    if (instance->request != NULL) {
        instance->seen += weir_request_str(instance->request, WEIR_REQUEST_PATH).len;
    }
#elif defined(BAD_STRING)
    if (instance->path.len > 0) {
        instance->seen += (unsigned char)instance->path.ptr[0];
    }
#elif defined(BAD_DONE)
    return WEIR_DONE;
#endif
    instance->request = req;
    instance->path = weir_request_str(req, WEIR_REQUEST_PATH);
#if defined(BAD_FIELD)
    instance->path = weir_request_field(req, 0).value;
#endif
    return WEIR_OK;
}

static void on_response(struct weir_context *ctx, void *arg, struct weir_request *req,
                        struct weir_response *resp)
{
    (void)ctx;
    (void)req;
#if defined(BAD_SLICE) || defined(BAD_FIELD)
    struct instance *instance = arg;
    if (instance->path.len > 0) {
        instance->seen += (unsigned char)instance->path.ptr[0];
    }
#endif
    (void)weir_response_transform(resp, arg);
}

static enum weir_status on_response_data(struct weir_context *ctx, void *arg, void *state,
                                         struct weir_transform *transform, const void *data,
                                         size_t len, enum weir_flow flow, size_t *used)
{
    struct instance *instance = state;
    (void)ctx;
    (void)arg;
    (void)flow;
    (void)used;
#if defined(BAD_PIECE)
    if (instance->piece != NULL) {
        instance->seen += (unsigned char)instance->piece[0];
    }
#endif
    instance->piece = len > 0 ? data : NULL;
    weir_transform_write(transform, data, len);
    return WEIR_OK;
}

static const struct weir_filter filter = {
    .size = sizeof(filter),
    .create = create,
    .destroy = destroy,
    .on_request = on_request,
    .on_response = on_response,
    .on_response_data = on_response_data,
};

WEIR_DEFINE_MODULE(NAME, "1.0", "MIT", "Keeps what it was lent", .filter = &filter);
