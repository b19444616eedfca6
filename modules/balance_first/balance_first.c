/* SPDX-License-Identifier: MIT */
/*
 * Fills one server after the other, in the order of configuration: the first that is not full gets
 * the request. So few are busy where few are enough, and the last ones can be switched off.
 */
#include <weir/weir.h>

#include <math.h>
#include <stdio.h>

struct conf {
    int64_t fill;
};

static const struct weir_option rows[] = {
    WEIR_OPTION_RANGE(struct conf, fill, INTEGER, "0", "0", "1000000",
                      WEIR_CONTEXT_MODULE | WEIR_CONTEXT_POOL, WEIR_OPTION_RELOADABLE,
                      "Requests in flight, for each weight of a server, that make it full, where "
                      "its max_requests does not before. 0: only that does."),
};
static const struct weir_options options = WEIR_OPTIONS(struct conf, rows);

/* One loop's, of one pool. */
struct first {
    const struct weir_candidates *all; /* the host's */
    double fill;
};

static enum weir_status create(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance)
{
    struct first *first = *instance;
    (void)ctx;
    (void)prepared;
    first->fill = (double)((const struct conf *)conf)->fill;
    return WEIR_OK;
}

static enum weir_status on_members(struct weir_context *ctx, void *instance,
                                   const struct weir_candidates *candidates)
{
    struct first *first = instance;
    (void)ctx;
    first->all = candidates;
    return WEIR_OK;
}

/* Requests in flight with which the server is full: while it starts slowly, that part of them which
 * its weight has reached. */
static double room_of(const struct first *first, const struct weir_candidate *candidate)
{
    double room = first->fill > 0 ? first->fill * weir_candidate_weight(candidate) : INFINITY;

    if (candidate->limit > 0) {
        double started = (double)candidate->weight / candidate->full_weight;
        room = fmin(room, candidate->limit * started);
    }
    return room;
}

/* Candidates are in the order of configuration. */
static double place_of(const struct first *first, const struct weir_candidate *candidate)
{
    return (double)((const char *)candidate - (const char *)first->all->first) /
           first->all->candidate_size;
}

/* Its place; behind all of them where it is full, and then the least loaded comes first. */
static double cost(struct weir_context *ctx, void *instance, const struct weir_candidate *candidate,
                   const struct weir_pick *pick)
{
    const struct first *first = instance;
    (void)ctx;
    (void)pick;
    return weir_candidate_in_flight(candidate) < room_of(first, candidate)
               ? place_of(first, candidate)
               : first->all->count + weir_candidate_load(candidate);
}

/* The words for it. */
static enum weir_status score(struct weir_context *ctx, void *instance,
                              const struct weir_pick *pick, uint32_t index, struct weir_score *out)
{
    const struct first *first = instance;
    const struct weir_candidate *candidate = weir_candidate_at(pick->candidates, index);
    uint32_t in_flight = weir_candidate_in_flight(candidate);
    double room = room_of(first, candidate);
    (void)ctx;

    if (isinf(room)) {
        snprintf(out->text, sizeof(out->text), "number %u in order, never full", index + 1);
    } else {
        snprintf(out->text, sizeof(out->text), "number %u in order, %s with %u of %.0f in flight",
                 index + 1, in_flight < room ? "not full" : "full", in_flight, ceil(room));
    }
    return WEIR_OK;
}

static const struct weir_balancer balancer = {
    .size = sizeof(balancer),
    .create = create,
    .on_members = on_members,
    .cost = cost,
    .score = score,
    .instance_size = sizeof(struct first),
};
WEIR_DEFINE_MODULE("balance_first", "1.0", "MIT",
                   "Fills one server up to its limit, and then the next one", .options = &options,
                   .balancer = &balancer);
