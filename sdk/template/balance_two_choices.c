/* SPDX-License-Identifier: MIT */
/*
 * Power of two choices: draws a few servers at random, by weight, and takes the one with the fewest
 * requests in flight for its weight. Nearly as even as least connections, and a pick costs the same
 * whether there are three servers or ten thousand.
 */
#include <weir/weir.h>

#include <stdio.h>
#include <stdlib.h>

struct conf {
    int64_t choices;
};

static const struct weir_option option_rows[] = {
    WEIR_OPTION_RANGE(struct conf, choices, INTEGER, "2", "1", "16",
                      WEIR_CONTEXT_MODULE | WEIR_CONTEXT_POOL, WEIR_OPTION_RELOADABLE,
                      "How many servers are drawn, of which the least loaded is taken."),
};
static const struct weir_options options = WEIR_OPTIONS(struct conf, option_rows);

/* One worker's view of one pool. */
struct two_choices {
    const struct conf *conf;
    uint64_t random_state;
    uint64_t *weight_ends; /* weight_ends[i]: the weights of candidates 0 to i added up */
};

/* xorshift64*: weir_random is for keys, and costs more. */
static uint64_t draw(struct two_choices *self, uint64_t below)
{
    self->random_state ^= self->random_state >> 12;
    self->random_state ^= self->random_state << 25;
    self->random_state ^= self->random_state >> 27;
    return (self->random_state * UINT64_C(0x2545f4914f6cdd1d) >> 11) % below;
}

/* A candidate, each as likely as its weight says: the first whose weight ends after the draw. */
static uint32_t draw_candidate(struct two_choices *self, uint32_t count)
{
    uint64_t point = draw(self, self->weight_ends[count - 1]);
    uint32_t low = 0, high = count - 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (self->weight_ends[middle] <= point) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Requests in flight for the weight of a are fewer than those of b, without dividing. */
static bool is_less_loaded(const struct weir_candidate *a, const struct weir_candidate *b)
{
    return (uint64_t)weir_candidate_in_flight(a) * b->weight <
           (uint64_t)weir_candidate_in_flight(b) * a->weight;
}

static uint32_t pick(struct weir_context *ctx, void *instance, const struct weir_pick *pick)
{
    struct two_choices *self = instance;
    const struct weir_candidates *all = pick->candidates;
    uint32_t best = WEIR_PICK_NONE;

    (void)ctx;
    for (int64_t i = 0; i < self->conf->choices && all->count > 0; i++) {
        uint32_t index = draw_candidate(self, all->count);
        if (weir_pick_usable(pick, index) &&
            (best == WEIR_PICK_NONE ||
             is_less_loaded(weir_candidate_at(all, index), weir_candidate_at(all, best)))) {
            best = index;
        }
    }
    /* All that were drawn are at their limit or tried already: the next one that is not. */
    uint32_t start =
        all->count > 0 && best == WEIR_PICK_NONE ? draw_candidate(self, all->count) : 0;
    for (uint32_t i = 0; i < all->count && best == WEIR_PICK_NONE; i++) {
        if (weir_pick_usable(pick, (start + i) % all->count)) {
            best = (start + i) % all->count;
        }
    }
    return best;
}

/* What is_less_loaded compares: for an operator who asks where a request would go. */
static enum weir_status score(struct weir_context *ctx, void *instance,
                              const struct weir_pick *pick, uint32_t index, struct weir_score *out)
{
    const struct weir_candidate *candidate = weir_candidate_at(pick->candidates, index);
    uint32_t in_flight = weir_candidate_in_flight(candidate);

    (void)ctx;
    (void)instance;
    out->value = (double)in_flight * WEIR_WEIGHT_ONE / candidate->weight;
    snprintf(out->text, sizeof(out->text), "%u in flight, if it is drawn", in_flight);
    return WEIR_OK;
}

static enum weir_status on_members(struct weir_context *ctx, void *instance,
                                   const struct weir_candidates *all)
{
    struct two_choices *self = instance;
    uint64_t sum = 0;
    uint64_t *ends = reallocarray(self->weight_ends, all->count + 1, sizeof(*ends));

    (void)ctx;
    if (ends == NULL) {
        return WEIR_NO_MEMORY;
    }
    self->weight_ends = ends;
    for (uint32_t i = 0; i < all->count; i++) {
        ends[i] = sum += weir_candidate_at(all, i)->weight;
    }
    return WEIR_OK;
}

static enum weir_status create(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance)
{
    struct two_choices *self = calloc(1, sizeof(*self));

    (void)prepared;
    if (self == NULL) {
        return WEIR_NO_MEMORY;
    }
    self->conf = conf;
    weir_random(ctx, &self->random_state, sizeof(self->random_state));
    self->random_state |= 1; /* never zero, which xorshift could not leave */
    *instance = self;
    return WEIR_OK;
}

static void destroy(struct weir_context *ctx, void *instance)
{
    struct two_choices *self = instance;

    (void)ctx;
    free(self->weight_ends);
    free(self);
}

static const struct weir_balancer balancer = {
    .size = sizeof(balancer),
    .create = create,
    .destroy = destroy,
    .on_members = on_members,
    .pick = pick,
    .score = score,
};

static const struct weir_module module = {
    .size = sizeof(module),
    .abi_major = WEIR_ABI_MAJOR,
    .abi_minor = WEIR_ABI_MINOR,
    .name = "balance_two_choices",
    .version = "1.0",
    .license = "MIT",
    .summary = "power of two choices, weighted",
    .options = &options,
    .balancer = &balancer,
};
WEIR_MODULE(module);
