/* SPDX-License-Identifier: MIT */
/*
 * Peak EWMA: the server whose expected time to the first byte, times the requests that it has and
 * one more, is the least for its weight.
 *
 * What is expected of a server goes up at once with slow answers, nears the fast ones with time and
 * with each of them, and fades with time, also while nothing is sent there: so one that was slow
 * once is tried again. A slow answer counts as far as it is more than a hiccup. A server that
 * keeps requests waiting and answers none is as slow as its silence is long, so one that stands
 * still is noticed before its answers come. Failures tell nothing about time: they cost a penalty,
 * which fades more slowly.
 *
 * Times are of this worker's own requests; requests in flight are of all workers.
 */
#include <weir/weir.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "fading.h"

#define NS_PER_MS 1e6
#define NS_PER_S  1e9

/* What is expected where nothing is known of any server. */
#define UNKNOWN_NS NS_PER_MS

/* What is expected grows by so much of itself at most with each slow answer: one that comes late
 * once, because of a pause, hardly counts; where each one is slow, ten are ten times as much. */
#define GROWTH 0.25

/* The part of the way to a fast answer that each one counts for, however soon it comes: so one slow
 * answer in hundreds a second is forgotten by those that follow and not by time alone. */
#define APPROACH (1.0 / 512)

/* Of so many servers the median is what a newcomer is expected to take, looked for anew after as
 * many answers as there are servers, and so many at least; at first after each answer, then after
 * the third, and so on. */
#define SAMPLES      32u
#define MEDIAN_EVERY 64u

/* Answers that the part of failures looks back on. */
#define ANSWERS 16u

/* A server that asks to be left alone costs more than any other. */
#define LEFT_ALONE_NS 1e15

/* ---- options ---- */

struct conf {
    uint64_t half_life;
    uint64_t penalty;
    uint64_t penalty_half_life;
    int64_t choices;
};

#define POOL (WEIR_CONTEXT_MODULE | WEIR_CONTEXT_POOL)
static const struct weir_option rows[] = {
    WEIR_OPTION_RANGE(struct conf, half_life, DURATION, "15s", "10ms", "1h", POOL,
                      WEIR_OPTION_RELOADABLE,
                      "Time in which half of what is expected of a server fades."),
    WEIR_OPTION_RANGE(struct conf, penalty, DURATION, "5s", "0s", "1h", POOL,
                      WEIR_OPTION_RELOADABLE,
                      "What a server that fails each request is expected to take longer; one that "
                      "fails a part of them, that part squared of it."),
    WEIR_OPTION_RANGE(struct conf, penalty_half_life, DURATION, "10s", "10ms", "1h", POOL,
                      WEIR_OPTION_RELOADABLE, "Time in which half of the penalty fades."),
    WEIR_OPTION_RANGE(struct conf, choices, INTEGER, "0", "0", "16", POOL, WEIR_OPTION_RELOADABLE,
                      "Servers that are drawn at random, by weight, of which the best is taken; 0: "
                      "all are compared."),
};
static const struct weir_options options = WEIR_OPTIONS(struct conf, rows);

/* ---- state ---- */

/* What is known of a server: a cache line. */
struct slot {
    struct fading expected; /* ns; 0: nothing is known, of no server */
    uint64_t quiet_ns;      /* while requests wait: since when it has answered none */
    uint32_t waiting : 24;  /* requests without a first byte */
    uint32_t answers : 8;   /* that `failing` looks back on, up to ANSWERS */
    float failing;          /* part of the last answers that failed */
    struct fading penalty;  /* ns */
    uint64_t alone_ns;      /* it asks to be left alone until then */
    uint64_t answered_ns;   /* when it last answered well; 0: what is expected is a guess */
};
_Static_assert(sizeof(struct slot) == 64, "a cache line");

/* One loop's balancer of a pool. */
struct ewma {
    struct fading_clock expecting, forgiving;
    uint64_t now_ns; /* that the clocks are at */
    double penalty_ns;
    double usual_ns; /* the median of what is expected; 0: unknown */
    const struct weir_candidates *members;
    uint32_t sampled;      /* where the next samples begin */
    uint32_t heads, every; /* answers since the median was looked for, and until it is again */
};

static enum weir_status create(struct weir_context *ctx, const void *conf_struct, void *prepared,
                               void **instance)
{
    const struct conf *conf = conf_struct;
    struct ewma *self = *instance; /* zeroed */
    (void)prepared;

    self->now_ns = weir_now_ns(ctx);
    self->penalty_ns = (double)conf->penalty;
    fading_begin(&self->expecting, conf->half_life, self->now_ns);
    fading_begin(&self->forgiving, conf->penalty_half_life, self->now_ns);
    return WEIR_OK;
}

static uint32_t choices(struct weir_context *ctx, const void *conf)
{
    (void)ctx;
    return (uint32_t)((const struct conf *)conf)->choices;
}

static inline uint64_t at(struct weir_context *ctx, struct ewma *self)
{
    uint64_t now_ns = weir_now_ns(ctx);

    if (now_ns != self->now_ns) { /* once a turn of the loop */
        self->now_ns = now_ns;
        fading_tick(&self->expecting, now_ns);
        fading_tick(&self->forgiving, now_ns);
    }
    return now_ns;
}

/* ---- what is usual ---- */

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Newcomers are expected to be as usual. That fades as well, so that they are tried, however few
 * requests there are. */
static void guess(struct ewma *self)
{
    for (uint32_t i = 0; self->members != NULL && i < self->members->count; i++) {
        struct slot *slot = weir_candidate_at(self->members, i)->slot;
        if (slot->expected.value == 0) {
            fading_write(&self->expecting, &slot->expected, self->usual_ns);
        }
    }
}

/* Those that have not answered for long are left out: what is expected of them has faded. */
static void find_usual(struct ewma *self)
{
    uint32_t count = self->members != NULL ? self->members->count : 0;
    uint32_t looks = count < SAMPLES ? count : SAMPLES;
    uint32_t most = count > MEDIAN_EVERY ? count : MEDIAN_EVERY;
    double known[SAMPLES];
    size_t known_count = 0;

    for (uint32_t i = 0; i < looks; i++) {
        uint32_t index = (uint32_t)((self->sampled + (uint64_t)i * count / looks) % count);
        const struct slot *slot = weir_candidate_at(self->members, index)->slot;
        if (slot->answered_ns > 0 &&
            (double)(self->now_ns - slot->answered_ns) <= self->expecting.half_life_ns) {
            known[known_count++] = fading_read(&self->expecting, &slot->expected);
        }
    }
    self->sampled++;
    self->heads = 0;
    self->every = 2 * self->every + 1;
    self->every = self->every < most ? self->every : most;
    if (known_count > 0) {
        qsort(known, known_count, sizeof(known[0]), by_size);
        bool first = self->usual_ns == 0;
        self->usual_ns = known[known_count / 2];
        if (first) {
            guess(self);
        }
    }
}

static enum weir_status on_members(struct weir_context *ctx, void *instance,
                                   const struct weir_candidates *candidates)
{
    struct ewma *self = instance;

    at(ctx, self);
    self->members = candidates;
    find_usual(self);
    guess(self);
    return WEIR_OK;
}

/* ---- the cost ---- */

static inline double expected_of(const struct ewma *self, const struct slot *slot)
{
    if (__builtin_expect(slot->expected.value == 0, 0)) {
        return UNKNOWN_NS;
    }
    return fading_read(&self->expecting, &slot->expected);
}

/* The silence counts as soon as it is longer. In terms of the era's beginning, as the clock
 * `expecting` keeps what is expected. */
static inline double wait_of(const struct ewma *self, const struct slot *slot, uint64_t now_ns)
{
    double expected = __builtin_expect(slot->expected.value == 0, 0)
                          ? UNKNOWN_NS * self->expecting.inverse
                          : fading_kept(&self->expecting, &slot->expected);

    if (slot->waiting > 0) {
        double quiet = (double)(int64_t)(now_ns - slot->quiet_ns) * self->expecting.inverse;
        return quiet > expected ? quiet : expected;
    }
    return expected;
}

static inline double penalty_of(const struct ewma *self, const struct slot *slot)
{
    return slot->penalty.value > 0 ? fading_read(&self->forgiving, &slot->penalty) : 0;
}

/* In ns, in the same terms: they fade all alike, so that nothing changes in the host's heap while
 * nothing happens. */
static double cost(struct weir_context *ctx, void *instance, const struct weir_candidate *candidate,
                   const struct weir_pick *pick)
{
    struct ewma *self = instance;
    const struct slot *slot = candidate->slot;
    uint64_t now_ns = at(ctx, self);
    double cost = wait_of(self, slot, now_ns) * (weir_candidate_in_flight(candidate) + 1.0);
    (void)pick;

    if (candidate->weight != WEIR_WEIGHT_ONE) {
        cost /= weir_candidate_weight(candidate);
    }
    if (slot->penalty.value > 0) {
        cost += penalty_of(self, slot) * self->expecting.inverse;
    }
    if (__builtin_expect(now_ns < slot->alone_ns, 0)) {
        cost += (LEFT_ALONE_NS + (double)(slot->alone_ns - now_ns)) * self->expecting.inverse;
    }
    return cost;
}

/* The cost at present, in ms, and the words for it. */
static enum weir_status score(struct weir_context *ctx, void *instance,
                              const struct weir_pick *pick, uint32_t index, struct weir_score *out)
{
    struct ewma *self = instance;
    const struct weir_candidate *candidate = weir_candidate_at(pick->candidates, index);
    const struct slot *slot = candidate->slot;
    uint64_t now_ns = at(ctx, self);
    double penalty = penalty_of(self, slot) / NS_PER_S, present = self->expecting.factor;
    int len =
        snprintf(out->text, sizeof(out->text), "%.3g ms expected, %u in flight over weight %.3g",
                 wait_of(self, slot, now_ns) * present / NS_PER_MS,
                 weir_candidate_in_flight(candidate), weir_candidate_weight(candidate));

    out->value = cost(ctx, self, candidate, pick) * present / NS_PER_MS;
    if (now_ns < slot->alone_ns) {
        snprintf(out->text + len, sizeof(out->text) - (size_t)len, ", left alone for %.3g s",
                 (double)(slot->alone_ns - now_ns) / NS_PER_S);
    } else if (penalty >= 0.001) {
        snprintf(out->text + len, sizeof(out->text) - (size_t)len, ", penalty %.3g s", penalty);
    }
    return WEIR_OK;
}

/* ---- what is heard ---- */

static void on_sent(struct weir_context *ctx, void *instance,
                    const struct weir_candidate *candidate)
{
    struct slot *slot = candidate->slot;

    if (slot->waiting++ == 0) {
        slot->quiet_ns = at(ctx, instance);
    }
}

/* How the last answers ended, the latest one counts for 1/ANSWERS of all. */
static void count_answer(struct ewma *self, struct slot *slot, bool failed)
{
    slot->answers += slot->answers < ANSWERS ? 1 : 0;
    slot->failing += ((failed ? 1 : 0) - slot->failing) / (float)slot->answers;
    if (failed) {
        double penalty = self->penalty_ns * slot->failing * slot->failing;
        double old = penalty_of(self, slot);
        fading_write(&self->forgiving, &slot->penalty, penalty > old ? penalty : old);
    }
}

/* Of what was known when the request was sent, a part had faded: so much of a slow answer counts in
 * full, and of the first ones of a server its share. One that was under way with others, as during
 * a pause, meets what they have told. */
static double after_slow(const struct ewma *self, const struct slot *slot, double expected,
                         double took_ns)
{
    if (slot->answered_ns == 0) {
        return took_ns;
    }
    double silent_ns = (double)(self->now_ns - slot->answered_ns) - took_ns;
    double faded = silent_ns > 0 ? fading_part(&self->expecting, (uint64_t)silent_ns) : 0;
    double share = slot->answers < ANSWERS ? 1.0 / slot->answers : 0;
    double news = faded > share ? faded : share;
    double most = expected * (1 + GROWTH) + took_ns * news;
    return took_ns < most ? took_ns : most;
}

/* It has faded since the last answer; so much more counts this one. */
static double after_fast(const struct ewma *self, const struct slot *slot, double expected,
                         double took_ns)
{
    if (slot->answered_ns == 0) {
        return (expected + took_ns) / 2;
    }
    expected += took_ns * fading_part(&self->expecting, self->now_ns - slot->answered_ns);
    return expected > took_ns ? expected - (expected - took_ns) * APPROACH : expected;
}

static void learn(struct ewma *self, struct slot *slot, double took_ns)
{
    double expected = expected_of(self, slot);

    expected = took_ns > expected ? after_slow(self, slot, expected, took_ns)
                                  : after_fast(self, slot, expected, took_ns);
    fading_write(&self->expecting, &slot->expected, expected);
    slot->answered_ns = self->now_ns;
}

/* What the answer's beginning tells, or its lack. 429 is as good as 503. */
static void take_answer(struct ewma *self, struct slot *slot, const struct weir_feedback *feedback)
{
    bool failed = feedback->outcome != WEIR_OUTCOME_SUCCESS || feedback->status == 429;

    if (feedback->retry_after_ns > 0) {
        slot->alone_ns = self->now_ns + feedback->retry_after_ns;
    }
    count_answer(self, slot, failed);
    if (!failed && feedback->first_byte_ns > 0) {
        learn(self, slot, (double)feedback->first_byte_ns);
        if (++self->heads >= self->every) {
            find_usual(self);
        }
    }
}

static void leave_waiting(struct slot *slot, uint64_t now_ns, bool answered)
{
    /* A slot is younger than the request if the server was away meanwhile. */
    slot->waiting -= slot->waiting > 0 ? 1 : 0;
    slot->quiet_ns = answered ? now_ns : slot->quiet_ns;
}

static void on_head(struct weir_context *ctx, void *instance, const struct weir_feedback *feedback)
{
    struct ewma *self = instance;
    struct slot *slot = feedback->slot;

    if (slot != NULL) {
        leave_waiting(slot, at(ctx, self), true);
        take_answer(self, slot, feedback);
    }
}

static void on_complete(struct weir_context *ctx, void *instance,
                        const struct weir_feedback *feedback)
{
    struct ewma *self = instance;
    struct slot *slot = feedback->slot;
    bool began = feedback->first_byte_ns > 0; /* on_head has told of it */
    bool broke =
        feedback->outcome == WEIR_OUTCOME_FAILED || feedback->outcome == WEIR_OUTCOME_TIMEOUT;

    if (slot == NULL) {
        return;
    }
    at(ctx, self);
    if (!began) {
        leave_waiting(slot, self->now_ns, broke && feedback->outcome != WEIR_OUTCOME_TIMEOUT);
    }
    if (feedback->outcome != WEIR_OUTCOME_CANCELED && (broke || !began)) {
        take_answer(self, slot, feedback);
    }
}

/* ---- for the copy that comes after ---- */

/* What was learnt of a server, in the present's terms: its clocks may be other ones. */
struct kept {
    double expected_ns, penalty_ns;
    uint64_t answered_ns, alone_ns;
    float failing;
    uint32_t answers;
};
#define KEPT_VERSION 1

static enum weir_status save(struct weir_context *ctx, void *instance, struct weir_state *state)
{
    struct ewma *self = instance;
    const struct slot *slot = state->slot;
    struct kept *kept = state->data;

    if (slot == NULL) {
        return WEIR_DECLINED; /* what is usual follows from the servers */
    }
    at(ctx, self);
    *kept = (struct kept){
        .expected_ns = fading_read(&self->expecting, &slot->expected),
        .penalty_ns = penalty_of(self, slot),
        .answered_ns = slot->answered_ns,
        .alone_ns = slot->alone_ns,
        .failing = slot->failing,
        .answers = slot->answers,
    };
    state->version = KEPT_VERSION;
    state->len = sizeof(*kept);
    return WEIR_OK;
}

static enum weir_status restore(struct weir_context *ctx, void *instance,
                                const struct weir_state *state)
{
    struct ewma *self = instance;
    const struct kept *kept = state->data;
    struct slot *slot = state->slot;

    if (state->version != KEPT_VERSION || state->len != sizeof(*kept) || slot == NULL) {
        return WEIR_DECLINED;
    }
    at(ctx, self);
    *slot = (struct slot){
        .answered_ns = kept->answered_ns,
        .alone_ns = kept->alone_ns,
        .failing = kept->failing,
        .answers = kept->answers < ANSWERS ? kept->answers : ANSWERS,
    };
    fading_write(&self->expecting, &slot->expected, kept->expected_ns);
    fading_write(&self->forgiving, &slot->penalty, kept->penalty_ns);
    return WEIR_OK;
}

static const struct weir_balancer balancer = {
    .size = sizeof(balancer),
    .create = create,
    .choices = choices,
    .on_members = on_members,
    .cost = cost,
    .score = score,
    .on_sent = on_sent,
    .on_head = on_head,
    .on_complete = on_complete,
    .save = save,
    .restore = restore,
    .instance_size = sizeof(struct ewma),
    .slot_size = sizeof(struct slot),
};
WEIR_DEFINE_MODULE("balance_ewma", "1.0", "MIT",
                   "Takes the server that is expected to answer soonest, by what it took lately",
                   .options = &options, .balancer = &balancer);
