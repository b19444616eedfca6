/* SPDX-License-Identifier: MIT */
/*
 * Ranking: beside a look at all, what a naive balancer would do; turns; what changes underneath;
 * draws; and what a pick costs.
 */
#include "proxy/pool/ranking.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner.h"

#define MAX 10000

struct stage {
    struct weir_pick pick;
    struct weir_candidates candidates;
    struct ranking *ranking;
    struct weir_candidate *list;
    double cost[MAX];
    uint32_t in_flight[MAX];
    bool usable[MAX];
    uint32_t counts[MAX];
    uint64_t questions, asked; /* of usable, of costs */
    uint32_t faults;
    bool heard_pick;
    uint64_t random;
};

static uint32_t draw(struct stage *s, uint32_t below)
{
    s->random = s->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((s->random >> 33) % below);
}

static bool usable(const struct weir_pick *pick, uint32_t index)
{
    struct stage *s = (struct stage *)(void *)(uintptr_t)pick; /* its first member */
    s->questions++;
    return s->usable[index];
}

static double cost(struct weir_context *ctx, void *instance, const struct weir_candidate *candidate,
                   const struct weir_pick *pick)
{
    struct stage *s = instance;
    (void)ctx;
    s->asked++;
    s->heard_pick = pick != NULL;
    return s->cost[candidate - s->list];
}

static void on_fault(void *arg)
{
    ((struct stage *)arg)->faults++;
}

static const struct ranking_policy turns = {.cost = NULL};

/* The list moves each time, as the host's does. */
static void set_members(struct stage *s, const uint32_t *weights, const uint64_t *ids,
                        uint32_t count)
{
    struct weir_candidate *old = s->list;
    s->list = calloc(count + 1, sizeof(*s->list));
    ck_assert_ptr_nonnull(s->list);
    for (uint32_t i = 0; i < count; i++) {
        s->list[i] = (struct weir_candidate){.id = ids != NULL ? ids[i] : i + 1,
                                             .weight = weights[i] * WEIR_WEIGHT_ONE,
                                             .in_flight = &s->in_flight[i]};
    }
    s->candidates = (struct weir_candidates){.size = sizeof(s->candidates),
                                             .candidate_size = sizeof(*s->list),
                                             .count = count,
                                             .first = s->list};
    ranking_set_members(s->ranking, &s->candidates);
    free(old);
}

static struct stage *begin(const struct ranking_policy *policy, const uint32_t *weights,
                           uint32_t count)
{
    struct stage *s = calloc(1, sizeof(*s));
    ck_assert_ptr_nonnull(s);
    struct ranking_policy own = policy != NULL ? *policy : (struct ranking_policy){.cost = cost};
    own.instance = own.arg = s;
    own.on_fault = on_fault;
    s->random = count;
    s->pick =
        (struct weir_pick){.size = sizeof(s->pick), .candidates = &s->candidates, .usable = usable};
    memset(s->usable, true, sizeof(s->usable));
    s->ranking = ranking_new(0, 1);
    ranking_set_policy(s->ranking, &own);
    set_members(s, weights, NULL, count);
    return s;
}

static struct stage *begin_even(const struct ranking_policy *policy, uint32_t max_weight,
                                uint32_t count)
{
    uint32_t *weights = calloc(count + 1, sizeof(*weights));
    ck_assert_ptr_nonnull(weights);
    for (uint32_t i = 0; i < count; i++) {
        weights[i] = 1 + i % max_weight;
    }
    struct stage *s = begin(policy, weights, count);
    free(weights);
    return s;
}

static void end(struct stage *s)
{
    ranking_free(&s->ranking);
    free(s->list);
    free(s);
}

static uint32_t pick(struct stage *s)
{
    return ranking_pick(s->ranking, &s->pick);
}

/* What a look at all gives: the lowest cost of a usable one; NAN: none is. */
static double least(const struct stage *s)
{
    double best = NAN;
    for (uint32_t i = 0; i < s->candidates.count; i++) {
        if (s->usable[i] && !(s->cost[i] >= best)) {
            best = s->cost[i];
        }
    }
    return best;
}

static void expect_least(struct stage *s, uint32_t picked)
{
    double best = least(s);
    if (isnan(best)) {
        ck_assert_uint_eq(picked, WEIR_PICK_NONE);
    } else if (picked >= s->candidates.count || !s->usable[picked] || s->cost[picked] != best) {
        ck_abort_msg("picked %u, where another one costs %g", picked, best);
    }
}

/* At both sides of the border between asking all and keeping a heap. */
static const uint32_t sizes[] = {1, 2, 3, 10, 64, 65, 100, 1000};
#define SIZES ((int)(sizeof(sizes) / sizeof(sizes[0])))

/* ---- the lowest cost ---- */

/* All that changes is told, and nobody is at a limit: then the heap is exact as well. */
UNIT_LOOP_TEST(picks_as_a_look_at_all, SIZES)
{
    struct stage *s = begin_even(NULL, 4, sizes[_i]);
    for (uint32_t turn = 0; turn < 3000; turn++) {
        uint32_t i = draw(s, s->candidates.count);
        s->cost[i] = draw(s, 20);
        ranking_changed(s->ranking, i);
        expect_least(s, pick(s));
    }
    end(s);
}

/* Others make servers dearer and tell nobody; what they make cheaper is seen a quarter of a
 * round later. */
UNIT_LOOP_TEST(sees_what_is_not_told, SIZES)
{
    struct stage *s = begin_even(NULL, 1, sizes[_i]);
    uint32_t patience = sizes[_i] <= RANKING_SCAN_MAX ? 0 : sizes[_i] / 4;
    for (uint32_t turn = 0; turn < 1000; turn++) {
        for (uint32_t i = 0; i < 3; i++) {
            s->cost[draw(s, s->candidates.count)] += 1;
        }
        expect_least(s, pick(s));
    }
    for (uint32_t turn = 0; turn < 20; turn++) {
        uint32_t cheap = draw(s, s->candidates.count);
        double before = s->cost[cheap];
        uint32_t picks = 0;
        s->cost[cheap] = -1;
        while (pick(s) != cheap) {
            ck_assert_uint_lt(picks++, patience);
        }
        s->cost[cheap] = before;
    }
    end(s);
}

/* Limits come and go: always a usable one, NONE where there is none, and of few the cheapest. */
UNIT_LOOP_TEST(passes_over_the_unusable, SIZES)
{
    struct stage *s = begin_even(NULL, 2, sizes[_i]);
    for (uint32_t turn = 0; turn < 2000; turn++) {
        uint32_t i = draw(s, s->candidates.count);
        s->usable[i] = !s->usable[i];
        s->cost[draw(s, s->candidates.count)] = draw(s, 5);
        s->pick.attempt = draw(s, 2);
        uint32_t picked = pick(s);
        if (s->candidates.count <= RANKING_SCAN_MAX || isnan(least(s))) {
            expect_least(s, picked);
        } else {
            ck_assert(picked < s->candidates.count && s->usable[picked]);
        }
    }
    end(s);
}

/* One of two or three fails each request that it gets, which then goes to another: it is first no
 * more often than its weight says, and the others share what it does not serve. */
UNIT_LOOP_TEST(who_fails_is_not_first_again, 4)
{
    uint32_t count = _i < 2 ? 2 : 3;
    struct stage *s = begin_even(_i % 2 == 0 ? NULL : &turns, 1, count);
    uint32_t failed = 0, served[3] = {0};
    for (uint32_t turn = 0; turn < 600; turn++) {
        s->pick.attempt = 0;
        uint32_t picked = pick(s);
        if (picked == 0) {
            failed++;
            s->usable[0] = false;
            s->pick.attempt = 1;
            picked = pick(s);
            s->usable[0] = true;
        }
        ck_assert_uint_ne(picked, 0);
        served[picked]++;
    }
    ck_assert_uint_le(failed, 600 / count + 2);
    ck_assert_uint_ge(failed, 600 / (count + 1));
    for (uint32_t i = 1; i < count; i++) {
        ck_assert_uint_ge(served[i], 600 / (count - 1) - 60);
    }
    end(s);
}

UNIT_LOOP_TEST(no_number_is_a_fault, SIZES)
{
    struct stage *s = begin_even(NULL, 1, sizes[_i]);
    uint32_t last = s->candidates.count - 1;
    struct weir_score score = {.size = sizeof(score)};
    for (uint32_t i = 0; i < last; i++) {
        s->cost[i] = i % 2 == 0 ? NAN : INFINITY;
        ranking_changed(s->ranking, i);
    }
    ck_assert_uint_eq(pick(s), last);
    ck_assert_uint_eq(s->faults > 0, last > 0);
    s->usable[last] = false;
    if (last > 0) { /* better such a one than none */
        ck_assert_uint_lt(pick(s), last);
        ck_assert(!ranking_score(s->ranking, &s->pick, 0, &score));
    }
    end(s);
}

UNIT_LOOP_TEST(a_cost_by_request_is_asked_for_it, SIZES)
{
    static const struct ranking_policy by_request = {.cost = cost, .by_request = true};
    struct stage *s = begin_even(&by_request, 1, sizes[_i]);
    struct stage *other = begin_even(NULL, 1, sizes[_i]);
    for (uint32_t turn = 0; turn < 200; turn++) {
        s->cost[draw(s, s->candidates.count)] = draw(s, 100); /* and nobody tells */
        expect_least(s, pick(s));
        ck_assert(s->heard_pick);
    }
    pick(other);
    ck_assert(!other->heard_pick);
    end(s);
    end(other);
}

/* ---- turns ---- */

/* In each run of as many picks as all weights together everybody has his weight. */
UNIT_LOOP_TEST(equals_have_their_weight_in_every_window, 2 * SIZES)
{
    struct stage *s = begin_even(_i % 2 == 0 ? NULL : &turns, 5, sizes[_i / 2]);
    uint32_t total = 0;
    for (uint32_t i = 0; i < s->candidates.count; i++) {
        total += 1 + i % 5;
    }
    uint32_t *picks = calloc(3 * total, sizeof(*picks));
    ck_assert_ptr_nonnull(picks);
    for (uint32_t turn = 0; turn < 3 * total; turn++) {
        picks[turn] = pick(s);
        s->counts[picks[turn]]++;
        if (turn >= total) {
            s->counts[picks[turn - total]]--;
        }
        if (turn + 1 >= total && s->counts[picks[turn]] != 1 + picks[turn] % 5) {
            ck_abort_msg("%u has had %u turns", picks[turn], s->counts[picks[turn]]);
        }
    }
    free(picks);
    end(s);
}

UNIT_LOOP_TEST(members_keep_their_turns, SIZES)
{
    uint32_t count = sizes[_i];
    uint64_t *ids = calloc(count, sizeof(*ids));
    uint32_t *weights = calloc(count, sizeof(*weights));
    ck_assert(ids != NULL && weights != NULL);
    struct stage *a = begin_even(&turns, 1, count);
    struct stage *b = begin_even(&turns, 1, count);
    for (uint32_t turn = 0; turn < 200; turn++) {
        uint32_t shift = draw(b, count); /* the order changes, and who they are does not */
        for (uint32_t i = 0; i < count; i++) {
            ids[i] = (i + shift) % count + 1;
            weights[i] = 1;
        }
        set_members(b, weights, ids, count);
        uint32_t expected = pick(a);
        uint32_t picked = pick(b);
        ck_assert_uint_eq(b->list[picked].id, a->list[expected].id);
    }
    free(ids);
    free(weights);
    end(a);
    end(b);
}

UNIT_TEST(who_was_dear_or_full_gets_no_burst)
{
    struct stage *s = begin_even(NULL, 1, 4);
    for (uint32_t round = 0; round < 2; round++) {
        s->cost[2] = round == 0 ? 1 : 0;
        s->usable[2] = round == 0;
        for (uint32_t i = 0; i < 3000; i++) {
            ck_assert_uint_ne(pick(s), 2);
        }
        s->cost[2] = 0;
        s->usable[2] = true;
        memset(s->counts, 0, sizeof(s->counts));
        for (uint32_t i = 0; i < 8; i++) {
            s->counts[pick(s)]++;
        }
        ck_assert(s->counts[2] >= 1 && s->counts[2] <= 3);
    }
    end(s);
}

/* Equals that are each dear now and then, and late when they are not, have the same shares: who is
 * in front in the list has no more. */
UNIT_TEST(who_is_late_waits_behind_those_before_it)
{
    enum { COUNT = 10, PICKS = 100000 };
    struct stage *s = begin_even(NULL, 1, COUNT);
    uint32_t held[COUNT], held_count = 0;
    for (uint32_t i = 0; i < PICKS; i++) {
        uint32_t picked = pick(s);
        s->counts[picked]++;
        s->cost[picked] += 1;
        held[held_count++] = picked;
        for (uint32_t most = 3 + draw(s, COUNT - 3); held_count > most;) {
            uint32_t which = draw(s, held_count);
            s->cost[held[which]] -= 1;
            held[which] = held[--held_count];
        }
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        ck_assert_uint_ge(s->counts[i], PICKS / COUNT * 98 / 100);
        ck_assert_uint_le(s->counts[i], PICKS / COUNT * 102 / 100);
    }
    end(s);
}

UNIT_LOOP_TEST(a_peek_changes_nothing, 3 * SIZES)
{
    static const struct ranking_policy drawn = {.cost = cost, .choices = 2};
    static const struct ranking_policy *const policies[] = {NULL, &turns, &drawn};
    const struct ranking_policy *policy = policies[_i % 3];
    struct stage *a = begin_even(policy, 3, sizes[_i / 3]);
    struct stage *b = begin_even(policy, 3, sizes[_i / 3]);
    for (uint32_t turn = 0; turn < 500; turn++) {
        struct weir_score score = {.size = sizeof(score)};
        uint32_t i = draw(a, a->candidates.count);
        a->cost[i] = b->cost[i] = draw(a, 3);
        ranking_changed(a->ranking, i);
        ranking_changed(b->ranking, i);
        uint32_t seen = ranking_peek(a->ranking, &a->pick);
        ck_assert(ranking_score(a->ranking, &a->pick, i, &score));
        uint32_t picked = pick(a);
        ck_assert_uint_eq(picked, seen);
        ck_assert_uint_eq(picked, pick(b));
    }
    end(a);
    end(b);
}

/* ---- draws ---- */

UNIT_TEST(draws_go_by_weight)
{
    static const struct ranking_policy one = {.cost = cost, .choices = 1};
    static const uint32_t weights[] = {1, 2, 5};
    struct stage *s = begin(&one, weights, 3);
    for (uint32_t i = 0; i < 8000; i++) {
        s->counts[pick(s)]++;
    }
    ck_assert(s->counts[0] >= 850 && s->counts[0] <= 1150);
    ck_assert(s->counts[1] >= 1800 && s->counts[1] <= 2200);
    s->usable[0] = s->usable[2] = false;
    for (uint32_t i = 0; i < 100; i++) {
        ck_assert_uint_eq(pick(s), 1);
    }
    s->usable[1] = false;
    ck_assert_uint_eq(pick(s), WEIR_PICK_NONE);
    end(s);
}

/* ---- what a pick costs ---- */

/* Sends: each gets dearer by one; where it ends, cheaper again. */
static void send(struct stage *s, uint32_t times, bool ends)
{
    for (uint32_t i = 0; i < times; i++) {
        uint32_t index = pick(s);
        if (index >= MAX || !s->usable[index]) { /* a passing ck_assert costs a write() */
            ck_abort_msg("picked %u", index);
        }
        s->counts[index]++;
        s->cost[index]++;
        ranking_changed(s->ranking, index);
        if (ends) {
            s->cost[index]--;
            ranking_changed(s->ranking, index);
        }
    }
}

UNIT_TEST(ten_thousand_cost_one_question_a_pick)
{
    struct stage *s = begin_even(NULL, 1, MAX);
    s->asked = 0;
    send(s, 25 * MAX, true);
    send(s, 25 * MAX, false);
    ck_assert_uint_eq(s->questions, 50 * MAX);
    ck_assert_uint_le(s->asked,
                      7 * 50 * MAX); /* four in turn, the root, what got or lost a request */
    for (uint32_t i = 0; i < MAX; i++) {
        ck_assert(s->counts[i] == 50);
    }
    end(s);
}

UNIT_LOOP_TEST(full_ones_cost_little, 2)
{
    struct stage *s = begin_even(_i == 0 ? NULL : &turns, 1, MAX);
    for (uint32_t i = 0; i < MAX; i++) { /* the full ones are the cheapest: they get in the way */
        s->usable[i] = i % 2 == 1;
        s->cost[i] = s->usable[i] ? 5 : 1;
    }
    set_members(s, (uint32_t[MAX]){0}, NULL, MAX);
    send(s, 4 * MAX, false);
    memset(s->counts, 0, sizeof(s->counts));
    s->questions = 0;
    send(s, 10 * MAX, false);
    ck_assert_uint_le(s->questions, 5 * 10 * MAX);
    for (uint32_t i = 1; i < MAX; i += 2) {
        ck_assert(s->counts[i] >= 19 && s->counts[i] <= 21);
    }
    end(s);
}

UNIT_TIMEOUT(20);
