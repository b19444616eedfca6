/* SPDX-License-Identifier: MIT */
/*
 * Ranking by an indexed heap, or by a look at all. See ranking.h.
 */
#include "proxy/pool/ranking.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/pool/turns.h"

/* How many costs each pick computes again, in turn. */
#define REFRESH 4u

/* How often a pick computes the root's cost again at most, whatever other loops do meanwhile. */
#define MAX_REREADS 64u

/* This many unusable candidates are passed over in order; then all are searched. */
#define MAX_PASSED 32u

/* So many members whose cost has changed are remembered, and looked at by the next pick. */
#define CHANGED_MAX 16u

/* The place of one that was at its limit: out of the heap until its cost is computed again. */
#define PARKED UINT32_MAX

/* What is compared. A heap's entries carry it, so that sifting touches no turn. */
struct entry {
    double cost;
    uint64_t due;
    uint32_t index;
};

struct ranking {
    struct ranking_policy policy;
    struct weir_candidates candidates;
    struct turns turns;
    struct entry *heap; /* heap_count entries, the best at the root */
    uint32_t *places;   /* of each member in the heap, or PARKED; NULL: there are turns alone */
    uint64_t *
        weight_ends; /* weight_ends[i]: the weights of 0 to i added up; only where some are drawn */
    uint32_t count, heap_count;
    uint32_t cursor; /* the last one that was computed again in turn */
    uint32_t changed[CHANGED_MAX], changed_count;
    uint64_t random;
};

static void *zalloc(size_t count, size_t size)
{
    void *memory = calloc(count > 0 ? count : 1, size);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

struct ranking *ranking_new(uint32_t phase, uint64_t seed)
{
    struct ranking *ranking = zalloc(1, sizeof(*ranking));
    ranking->turns.phase = phase;
    ranking->random = seed | 1; /* never 0, which xorshift could not leave */
    return ranking;
}

void ranking_free(struct ranking **ranking)
{
    if (*ranking != NULL) {
        free((*ranking)->turns.items);
        free((*ranking)->heap);
        free((*ranking)->places);
        free((*ranking)->weight_ends);
        free(*ranking);
        *ranking = NULL;
    }
}

void ranking_follow(struct ranking *ranking, const struct ranking *other)
{
    turns_follow(&ranking->turns, &other->turns);
}

void ranking_set_policy(struct ranking *ranking, const struct ranking_policy *policy)
{
    ranking->policy = *policy;
}

double ranking_load(struct weir_context *ctx, void *instance,
                    const struct weir_candidate *candidate, const struct weir_pick *pick)
{
    (void)ctx;
    (void)instance;
    (void)pick;
    return weir_candidate_load(candidate);
}

static bool uses_heap(const struct ranking *ranking)
{
    const struct ranking_policy *policy = &ranking->policy;
    return policy->choices == 0 &&
           (policy->cost == NULL || (ranking->count > RANKING_SCAN_MAX && !policy->by_request));
}

/* ---- costs and turns ---- */

static inline double cost_of(const struct ranking_policy *policy, const char *candidate,
                             const struct weir_pick *pick)
{
    double cost = policy->cost(policy->ctx, policy->instance,
                               (const struct weir_candidate *)(const void *)candidate, pick);

    if (__builtin_expect(isnan(cost), 0)) {
        policy->on_fault(policy->arg);
        return INFINITY;
    }
    return cost;
}

static double ask_cost(const struct ranking *ranking, uint32_t index, const struct weir_pick *pick)
{
    const void *candidate = weir_candidate_at(&ranking->candidates, index);
    return cost_of(&ranking->policy, candidate, ranking->policy.by_request ? pick : NULL);
}

static struct entry ask(const struct ranking *ranking, uint32_t index, const struct weir_pick *pick)
{
    double cost = ranking->policy.cost != NULL ? ask_cost(ranking, index, pick) : 0;
    return (struct entry){cost, ranking->turns.items[index].due, index};
}

/* Equals go by index, so that the order repeats exactly. */
static bool before(const struct entry *a, const struct entry *b)
{
    if (a->cost != b->cost) {
        return a->cost < b->cost;
    }
    int64_t ahead = (int64_t)(a->due - b->due);
    return ahead < 0 || (ahead == 0 && a->index < b->index);
}

/* ---- the heap ---- */

static void put(struct entry *heap, uint32_t *places, uint32_t at, const struct entry *entry)
{
    heap[at] = *entry;
    if (places != NULL) {
        places[entry->index] = at;
    }
}

/* Puts the entry at `at`, whose old entry is no more, or further towards the root. */
static void sift_up(struct ranking *ranking, uint32_t at, struct entry entry)
{
    struct entry *heap = ranking->heap;
    while (at > 0 && before(&entry, &heap[(at - 1) / 2])) {
        put(heap, ranking->places, at, &heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(heap, ranking->places, at, &entry);
}

/* The same away from the root; below `at` all is in order. */
static inline __attribute__((always_inline)) void sift_down(struct ranking *ranking, uint32_t at,
                                                            struct entry entry)
{
    struct entry *heap = ranking->heap;
    uint32_t *places = ranking->places, count = ranking->heap_count;

    for (uint32_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
        child += child + 1 < count && before(&heap[child + 1], &heap[child]);
        if (!before(&heap[child], &entry)) {
            break;
        }
        put(heap, places, at, &heap[child]);
        at = child;
    }
    put(heap, places, at, &entry);
}

/* Takes the root out. */
static struct entry pop(struct ranking *ranking)
{
    struct entry root = ranking->heap[0];
    if (ranking->places != NULL) {
        ranking->places[root.index] = PARKED;
    }
    if (--ranking->heap_count > 0) {
        sift_down(ranking, 0, ranking->heap[ranking->heap_count]);
    }
    return root;
}

/* Computes the costs of all in the heap, and restores the order. O(n). */
static void rebuild(struct ranking *ranking)
{
    for (uint32_t at = 0; at < ranking->heap_count; at++) {
        uint32_t index = ranking->heap[at].index;
        struct entry entry = ask(ranking, index, NULL);
        put(ranking->heap, ranking->places, at, &entry);
    }
    for (uint32_t at = ranking->heap_count / 2; at-- > 0;) {
        sift_down(ranking, at, ranking->heap[at]);
    }
}

/* Computes one member's cost and moves it to its place, into the heap if it was parked. Returns
 * whether its cost or turn has changed. */
static bool reread(struct ranking *ranking, uint32_t index)
{
    struct entry entry = ask(ranking, index, NULL);
    uint32_t at = ranking->places[index];

    if (at != PARKED && entry.cost == ranking->heap[at].cost &&
        entry.due == ranking->heap[at].due) {
        return false;
    }
    if (at == PARKED) {
        sift_up(ranking, ranking->heap_count++, entry);
    } else if (before(&entry, &ranking->heap[at])) {
        sift_up(ranking, at, entry);
    } else {
        sift_down(ranking, at, entry);
    }
    return true;
}

/* They may have room again: then they leave their parking places. */
static void reread_changed(struct ranking *ranking)
{
    for (uint32_t i = 0; i < ranking->changed_count; i++) {
        reread(ranking, ranking->changed[i]);
    }
    ranking->changed_count = 0;
}

bool ranking_keeps_costs(const struct ranking *ranking)
{
    return ranking->places != NULL;
}

void ranking_changed(struct ranking *ranking, uint32_t index)
{
    uint32_t count = ranking->changed_count;

    if (index >= ranking->count || ranking->places == NULL ||
        (count > 0 && ranking->changed[count - 1] == index)) {
        return;
    }
    if (count == CHANGED_MAX) {
        reread_changed(ranking);
    }
    ranking->changed[ranking->changed_count++] = index;
}

/* ---- members ---- */

void ranking_set_members(struct ranking *ranking, const struct weir_candidates *members)
{
    uint32_t count = members->count;
    uint64_t sum = 0;

    turns_set(&ranking->turns, members);
    free(ranking->heap);
    free(ranking->places);
    free(ranking->weight_ends);
    ranking->heap = NULL;
    ranking->places = NULL;
    ranking->weight_ends = NULL;
    ranking->candidates = *members;
    ranking->count = count;
    ranking->cursor = 0;
    ranking->changed_count = 0;
    if (uses_heap(ranking)) {
        ranking->heap = zalloc(count, sizeof(*ranking->heap));
        if (ranking->policy.cost != NULL) {
            ranking->places = zalloc(count, sizeof(*ranking->places));
        }
        ranking->heap_count = count;
        for (uint32_t i = 0; i < count; i++) {
            ranking->heap[i].index = i;
        }
        rebuild(ranking);
    }
    if (ranking->policy.choices > 0) {
        ranking->weight_ends = zalloc(count, sizeof(*ranking->weight_ends));
        for (uint32_t i = 0; i < count; i++) {
            ranking->weight_ends[i] = sum += weir_candidate_at(members, i)->weight;
        }
    }
}

/* ---- picking ---- */

/* Candidates that would have been picked but were not usable. */
struct passed {
    struct entry entries[RANKING_SCAN_MAX];
    uint32_t count;
};

/* The first of all in order, usable or not. There is one. Not inlined: the loop needs all the
 * registers. */
static __attribute__((noinline)) uint32_t first_of_all(const struct ranking *ranking,
                                                       const struct weir_pick *pick)
{
    const struct ranking_policy policy = ranking->policy;
    const struct weir_pick *asked = policy.by_request ? pick : NULL;
    const char *candidate = (const char *)ranking->candidates.first;
    const struct turn *turns = ranking->turns.items;
    size_t step = ranking->candidates.candidate_size;
    uint32_t best = 0;
    double least = cost_of(&policy, candidate, asked);

    for (uint32_t i = 1, count = ranking->count; i < count; i++) {
        double cost = cost_of(&policy, candidate += step, asked);
        if (cost < least || (cost == least && (int64_t)(turns[i].due - turns[best].due) < 0)) {
            least = cost;
            best = i;
        }
    }
    return best;
}

/* The first of all in order that is usable, or WEIR_PICK_NONE. The host checks only those that
 * would be picked; `passed` may be NULL. */
static struct entry scan(const struct ranking *ranking, const struct weir_pick *pick,
                         struct passed *passed)
{
    struct entry best = {0, 0, WEIR_PICK_NONE};

    for (uint32_t i = 0; i < ranking->count; i++) {
        struct entry entry = ask(ranking, i, pick);
        if (best.index != WEIR_PICK_NONE && !before(&entry, &best)) {
            continue;
        }
        if (weir_pick_usable(pick, i)) {
            best = entry;
        } else if (passed != NULL && passed->count < RANKING_SCAN_MAX) {
            passed->entries[passed->count++] = entry;
        }
    }
    return best;
}

/* The first in order is not usable. */
static uint32_t pick_usable(struct ranking *ranking, const struct weir_pick *pick)
{
    struct passed passed;
    passed.count = 0;
    struct entry best = scan(ranking, pick, &passed);

    if (best.index == WEIR_PICK_NONE) {
        return WEIR_PICK_NONE;
    }
    turns_take(&ranking->turns, best.index);
    for (uint32_t i = 0; i < passed.count; i++) {
        if (before(&passed.entries[i], &best)) {
            turns_skip(&ranking->turns, passed.entries[i].index);
        }
    }
    return best.index;
}

static uint32_t pick_by_scan(struct ranking *ranking, const struct weir_pick *pick)
{
    if (ranking->count == 0) {
        return WEIR_PICK_NONE;
    }
    uint32_t index = first_of_all(ranking, pick);
    if (!weir_pick_usable(pick, index)) {
        return pick_usable(ranking, pick);
    }
    turns_take(&ranking->turns, index);
    return index;
}

static uint32_t take_root(struct ranking *ranking)
{
    uint32_t index = ranking->heap[0].index;

    turns_take(&ranking->turns, index);
    if (ranking->places != NULL) {
        ranking_changed(ranking, index); /* its cost will, too: it moves once */
    } else {
        sift_down(ranking, 0,
                  (struct entry){ranking->heap[0].cost, ranking->turns.items[index].due, index});
    }
    return index;
}

static bool root_is_usable(struct ranking *ranking, const struct weir_pick *pick)
{
    for (uint32_t i = 0; ranking->places != NULL && i < MAX_REREADS; i++) {
        if (!reread(ranking, ranking->heap[0].index)) {
            break;
        }
    }
    return weir_pick_usable(pick, ranking->heap[0].index);
}

/* The root is not usable. A candidate at its limit is parked until its cost is computed again. On a
 * retry it may be unusable for this request alone, and without costs nothing brings it back: then
 * it keeps its place. If all the first ones are unusable, all are searched: NONE is never returned
 * while one is usable. */
static uint32_t pick_behind_root(struct ranking *ranking, const struct weir_pick *pick)
{
    const struct turn *turns = ranking->turns.items;
    struct entry passed[MAX_PASSED];
    uint32_t passed_count = 0, index = WEIR_PICK_NONE;
    bool found = false, parks = ranking->places != NULL && pick->attempt == 0;

    while (!found && ranking->heap_count > 0 && passed_count < MAX_PASSED) {
        passed[passed_count++] = pop(ranking);
        found = ranking->heap_count > 0 && root_is_usable(ranking, pick);
    }
    if (found) {
        index = take_root(ranking);
    } else {
        index = scan(ranking, pick, NULL).index;
    }
    if (!found && index != WEIR_PICK_NONE) {
        turns_take(&ranking->turns, index);
    }
    while (passed_count > 0) {
        struct entry other = passed[--passed_count];
        if (index != WEIR_PICK_NONE && index != other.index) {
            turns_skip(&ranking->turns, other.index);
        }
        if (!parks) {
            other.due = turns[other.index].due;
            sift_up(ranking, ranking->heap_count++, other);
        }
    }
    if (!found) {
        if (parks && index != WEIR_PICK_NONE && ranking->places[index] == PARKED) {
            sift_up(ranking, ranking->heap_count++, (struct entry){0, turns[index].due, index});
        }
        rebuild(ranking);
    }
    return index;
}

static uint32_t after(const struct ranking *ranking, uint32_t index)
{
    return index + 1 < ranking->count ? index + 1 : 0;
}

static void reread_in_turn(struct ranking *ranking)
{
    for (uint32_t i = 0; i < REFRESH; i++) {
        ranking->cursor = after(ranking, ranking->cursor);
        reread(ranking, ranking->cursor);
    }
    /* What the next pick reads comes from memory meanwhile. */
    for (uint32_t i = 0, next = ranking->cursor; i < REFRESH; i++) {
        next = after(ranking, next);
        const struct weir_candidate *candidate = weir_candidate_at(&ranking->candidates, next);
        __builtin_prefetch(candidate->in_flight);
        __builtin_prefetch(candidate->slot);
        if (ranking->places[next] != PARKED) {
            __builtin_prefetch(&ranking->heap[ranking->places[next]]);
        }
    }
}

/* O(log n) for each candidate looked at: usually one, and one more for each of the four computed
 * again that is at its limit. */
static uint32_t pick_by_heap(struct ranking *ranking, const struct weir_pick *pick)
{
    if (ranking->places != NULL) {
        reread_changed(ranking);
        reread_in_turn(ranking);
    }
    if (ranking->heap_count > 0 && root_is_usable(ranking, pick)) {
        return take_root(ranking);
    }
    return ranking->count > 0 ? pick_behind_root(ranking, pick) : WEIR_PICK_NONE;
}

/* xorshift64*: an even spread, and no secret. */
static uint64_t draw(uint64_t *random, uint64_t below)
{
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    return (*random * UINT64_C(0x2545f4914f6cdd1d) >> 11) % below;
}

/* A candidate, each as likely as its weight says: the first whose weight ends after the draw. */
static uint32_t draw_candidate(const struct ranking *ranking, uint64_t *random)
{
    uint32_t low = 0, high = ranking->count - 1;
    uint64_t point = draw(random, ranking->weight_ends[high]);

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (ranking->weight_ends[middle] <= point) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The cheapest usable one of those that are drawn; if there is none, the next usable one from
 * anywhere. */
static uint32_t pick_drawn(const struct ranking *ranking, const struct weir_pick *pick,
                           uint64_t *random)
{
    uint32_t best = WEIR_PICK_NONE;
    double least = 0;

    for (uint32_t i = 0; i < ranking->policy.choices && ranking->count > 0; i++) {
        uint32_t index = draw_candidate(ranking, random);
        if (index != best && weir_pick_usable(pick, index)) {
            double cost = ask(ranking, index, pick).cost;
            if (best == WEIR_PICK_NONE || cost < least) {
                best = index;
                least = cost;
            }
        }
    }
    uint32_t start =
        ranking->count > 0 && best == WEIR_PICK_NONE ? draw_candidate(ranking, random) : 0;
    for (uint32_t i = 0; i < ranking->count && best == WEIR_PICK_NONE; i++) {
        uint32_t index = (start + i) % ranking->count;
        best = weir_pick_usable(pick, index) ? index : WEIR_PICK_NONE;
    }
    return best;
}

/* A retry took its turn in the place of those that had failed the request: each pays its share of
 * that, or a dead one of a few would be first again for each request. */
static void pay_for_retry(struct ranking *ranking, const struct weir_pick *pick, uint32_t picked)
{
    for (uint32_t i = 0; i < ranking->count; i++) {
        if (i != picked && !weir_pick_usable(pick, i)) {
            ranking->turns.items[i].due += ranking->turns.items[i].ticks / (ranking->count - 1);
        }
    }
    if (uses_heap(ranking)) {
        rebuild(ranking);
    }
}

uint32_t ranking_pick(struct ranking *ranking, const struct weir_pick *pick)
{
    if (ranking->policy.choices > 0) {
        return pick_drawn(ranking, pick, &ranking->random);
    }
    uint32_t picked =
        uses_heap(ranking) ? pick_by_heap(ranking, pick) : pick_by_scan(ranking, pick);
    if (pick->attempt > 0 && picked != WEIR_PICK_NONE && ranking->count <= RANKING_SCAN_MAX) {
        pay_for_retry(ranking, pick, picked);
    }
    return picked;
}

uint32_t ranking_peek(const struct ranking *ranking, const struct weir_pick *pick)
{
    uint64_t random = ranking->random;

    if (ranking->policy.choices > 0) {
        return pick_drawn(ranking, pick, &random);
    }
    return scan(ranking, pick, NULL).index;
}

bool ranking_score(const struct ranking *ranking, const struct weir_pick *pick, uint32_t index,
                   struct weir_score *out)
{
    const double one = (double)(TURNS_TICKS / WEIR_WEIGHT_ONE);
    const struct turn *turn = &ranking->turns.items[index];

    if (ranking->policy.cost != NULL) {
        out->value = ask_cost(ranking, index, pick);
        snprintf(out->text, sizeof(out->text), "costs %.6g", out->value);
    } else {
        out->value = (double)(int64_t)(turn->due - ranking->turns.now) / one;
        snprintf(out->text, sizeof(out->text), "its turn %s %.2f, then one every %.2f",
                 out->value < 0 ? "is overdue by" : "comes in", fabs(out->value),
                 (double)turn->ticks / one);
    }
    return isfinite(out->value);
}
