/* SPDX-License-Identifier: MIT */
/*
 * A balancer without preferences that counts what it hears of requests, and what it should not
 * hear: an answer that begins twice, or not at all though it is said to have begun.
 */
#include <weir/weir.h>

enum { HEADS, ERRORS, HEAD_ASKED, COMPLETED, ASKED, ODD };

static const struct weir_metric rows[] = {
    [HEADS] = {"heads", WEIR_COUNTER, "Answers that have begun."},
    [ERRORS] = {"errors", WEIR_COUNTER, "Of these, errors."},
    [HEAD_ASKED] = {"head_asked_ms", WEIR_COUNTER, "Their Retry-After, added up."},
    [COMPLETED] = {"completed", WEIR_COUNTER, "Requests that have ended."},
    [ASKED] = {"asked_ms", WEIR_COUNTER, "Their Retry-After, added up."},
    [ODD] = {"odd", WEIR_COUNTER, "What breaks the order."},
};
static const struct weir_metrics metrics = WEIR_METRICS(rows);

struct slot {
    uint32_t sent, begun;
};

static double cost(struct weir_context *ctx, void *instance, const struct weir_candidate *candidate,
                   const struct weir_pick *pick)
{
    (void)ctx;
    (void)instance;
    (void)candidate;
    (void)pick;
    return 0;
}

static void on_sent(struct weir_context *ctx, void *instance,
                    const struct weir_candidate *candidate)
{
    (void)ctx;
    (void)instance;
    ((struct slot *)candidate->slot)->sent++;
}

static void on_head(struct weir_context *ctx, void *instance, const struct weir_feedback *feedback)
{
    struct slot *slot = feedback->slot;
    (void)instance;
    weir_count(ctx, HEADS, 1);
    weir_count(ctx, ERRORS, feedback->outcome == WEIR_OUTCOME_ERROR ? 1 : 0);
    weir_count(ctx, HEAD_ASKED, feedback->retry_after_ns / 1000000);
    bool odd = feedback->first_byte_ns == 0 || feedback->total_ns != 0 ||
               (feedback->outcome == WEIR_OUTCOME_ERROR) != (feedback->status >= 500) ||
               (slot != NULL && ++slot->begun > slot->sent);
    weir_count(ctx, ODD, odd ? 1 : 0);
}

static void on_complete(struct weir_context *ctx, void *instance,
                        const struct weir_feedback *feedback)
{
    struct slot *slot = feedback->slot;
    (void)instance;
    weir_count(ctx, COMPLETED, 1);
    weir_count(ctx, ASKED, feedback->retry_after_ns / 1000000);
    if (slot == NULL) {
        return; /* the pool has another instance by now, or the server has gone */
    }
    slot->sent--;
    if (feedback->first_byte_ns > 0) {
        weir_count(ctx, ODD, slot->begun == 0 ? 1 : 0);
        slot->begun--;
    }
}

static const struct weir_balancer balancer = {
    .size = sizeof(balancer),
    .cost = cost,
    .on_sent = on_sent,
    .on_head = on_head,
    .on_complete = on_complete,
    .slot_size = sizeof(struct slot),
};
WEIR_DEFINE_MODULE("balance_hears", "1.0", "MIT", "Counts what it hears", .balancer = &balancer,
                   .metrics = &metrics);
