/* SPDX-License-Identifier: MIT */
/*
 * A filter and balancer that keeps a pointer of its own in each request, and logs an error where
 * another's lies in its place. Built under two names.
 */
#include <weir/weir.h>

static const char mark[] = SLOTS_NAME;

/* Puts the mark into the request's slot; a filter has done so before the balancer. */
static void look(struct weir_context *ctx, struct weir_request *req, bool first)
{
    void **slot = weir_request_slot(req, ctx);

    if (*slot != NULL && *slot != mark) {
        weir_log(ctx, WEIR_LOG_ERROR, "another's pointer is in the slot of %s", mark);
    } else if (*slot == NULL && !first) {
        weir_log(ctx, WEIR_LOG_NOTICE, "nothing is in the slot of %s", mark);
    }
    *slot = (void *)(uintptr_t)mark;
}

static enum weir_status on_request(struct weir_context *ctx, void *instance,
                                   struct weir_request *req)
{
    (void)instance;
    look(ctx, req, true);
    return WEIR_OK;
}

static void on_response(struct weir_context *ctx, void *instance, struct weir_request *req,
                        struct weir_response *resp)
{
    (void)instance;
    (void)resp;
    look(ctx, req, false);
}

static uint32_t pick(struct weir_context *ctx, void *instance, const struct weir_pick *pick)
{
    (void)instance;
    look(ctx, pick->request, false);
    for (uint32_t i = 0; i < pick->candidates->count; i++) {
        if (weir_pick_usable(pick, i)) {
            return i;
        }
    }
    return WEIR_PICK_NONE;
}

static const struct weir_filter filter = {
    .size = sizeof(filter),
    .on_request = on_request,
    .on_response = on_response,
};

static const struct weir_balancer balancer = {
    .size = sizeof(balancer),
    .pick = pick,
};

WEIR_DEFINE_MODULE(SLOTS_NAME, "1.0", "MIT", "Keeps a pointer in each request",
                   .balancer = &balancer, .filter = &filter);
