/* SPDX-License-Identifier: MIT */
/*
 * A balancer that changes the requests it chooses for, as none should: it adds a field, sets one,
 * removes one, and takes the first usable candidate.
 */
#include <weir/weir.h>

static uint32_t pick(struct weir_context *ctx, void *instance, const struct weir_pick *pick)
{
    struct weir_request *req = pick->request;
    (void)ctx;
    (void)instance;

    if (req != NULL) {
        weir_request_add_header(req, weir_str_of("X-Added"), weir_str_of("marks"));
        weir_request_set_header(req, weir_str_of("X-Set"), weir_str_of("marks"));
        weir_request_remove_header(req, weir_str_of("X-Removed"));
        weir_request_session(req, 7);
    }
    for (uint32_t i = 0; i < pick->candidates->count; i++) {
        if (weir_pick_usable(pick, i)) {
            return i;
        }
    }
    return WEIR_PICK_NONE;
}

static const struct weir_balancer balancer = {
    .size = sizeof(balancer),
    .pick = pick,
};
WEIR_DEFINE_MODULE("balance_marks", "1.0", "MIT", "Marks the requests it chooses for",
                   .balancer = &balancer);
