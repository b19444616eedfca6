/* SPDX-License-Identifier: MIT */
/*
 * Turns of the members of a ranking. See turns.h.
 */
#include "proxy/pool/turns.h"

#include <stdlib.h>
#include <string.h>

/* 2^32 divided by the golden ratio: multiples of it are spread evenly over the circle, however many
 * there are. */
#define GOLDEN UINT32_C(0x9E3779B9)

/* A member that is not usable keeps its place among equals for this many picks (a retry avoids it,
 * or it is at its limit for a moment); then it loses a turn, or it would be tried first forever. */
#define KEEP_PLACE 3u

/* ---- one turn after the other ---- */

/* Moves on by one turn, exactly. */
static void advance(struct turn *turn)
{
    uint64_t carry = (uint64_t)turn->carry + turn->part;
    turn->due += turn->ticks;
    if (carry >= turn->weight) {
        carry -= turn->weight;
        turn->due++;
    }
    turn->carry = (uint32_t)carry;
}

void turns_take(struct turns *turns, uint32_t index)
{
    struct turn *turn = &turns->items[index];

    if ((int64_t)(turn->due - turns->now) > 0) {
        turns->now = turn->due;
    }
    turn->skips = 0;
    advance(turn);
    if ((int64_t)(turn->due - turns->now) < 0) {
        /* Expensive for long: it does not catch up. Time passes, so that several of these keep the
         * order in which they were taken. */
        turn->due = ++turns->now + turn->ticks;
    }
}

void turns_skip(struct turns *turns, uint32_t index)
{
    struct turn *turn = &turns->items[index];

    if (++turn->skips > KEEP_PLACE) {
        if ((int64_t)(turn->due - turns->now) < 0) {
            turn->due = turns->now;
        }
        advance(turn);
    }
}

/* ---- over changes of the members ---- */

/* 2^40 / weight in lowest terms, so that weights of 5 * 256 and 256 come out even after 5 turns. */
static void set_weight(struct turn *turn, uint32_t weight)
{
    uint64_t ticks = TURNS_TICKS;
    weight = weight > 0 ? weight : 1;
    while (weight % 2 == 0) {
        weight /= 2;
        ticks /= 2;
    }
    turn->ticks = ticks / weight;
    turn->part = (uint32_t)(ticks % weight);
    turn->weight = weight;
    turn->carry = 0;
}

/* Somewhere in its own first interval from now: many that come together do not have their turns
 * together. The first ones begin in order, evenly spread (`step`); later ones lie between. */
static void join(struct turns *turns, struct turn *turn, uint32_t step)
{
    uint32_t phase = turns->phase + turns->arrived++ * (step > 0 ? step : GOLDEN);
    turn->due = turns->now + ((turn->ticks * (phase >> 12)) >> 20);
}

/* Keeps the remaining fraction of its interval. */
static void stay(const struct turns *turns, struct turn *turn, const struct turn *old)
{
    if (old->weight == turn->weight && old->ticks == turn->ticks) {
        turn->due = old->due;
        turn->carry = old->carry;
    } else {
        int64_t left = (int64_t)(old->due - turns->now);
        uint64_t share = left > 0 ? ((uint64_t)left << 16) / old->ticks : 0; /* of 65536 */
        share = share < 65536 ? share : 65536;
        turn->due = turns->now + ((turn->ticks * share) >> 16);
    }
    turn->skips = old->skips;
}

static int compare_ids(const void *a, const void *b)
{
    weir_server_id left = ((const struct turn *)a)->id;
    weir_server_id right = ((const struct turn *)b)->id;
    return (left > right) - (left < right);
}

/* The previous turns, by id: mostly in the same order as the new ones. */
struct old_turns {
    struct turn *items;
    uint32_t count, next;
    bool sorted;
};

static const struct turn *find_old(struct old_turns *old, const struct turn *turn)
{
    for (uint32_t i = 0; i < 2 && !old->sorted && old->next < old->count; i++) {
        if (old->items[old->next++].id == turn->id) {
            return &old->items[old->next - 1];
        }
    }
    if (!old->sorted && old->count > 0) {
        qsort(old->items, old->count, sizeof(*old->items), compare_ids);
        old->sorted = true;
    }
    return old->count > 0 ? bsearch(turn, old->items, old->count, sizeof(*turn), compare_ids)
                          : NULL;
}

void turns_set(struct turns *turns, const struct weir_candidates *members)
{
    uint32_t count = members->count;
    struct old_turns old = {turns->items, turns->count, 0, false};
    uint32_t step = old.count == 0 && count > 0 ? UINT32_MAX / count : 0;

    turns->arrived = step > 0 ? 0 : turns->arrived;
    turns->count = count;
    turns->items = calloc(count > 0 ? count : 1, sizeof(*turns->items));
    if (turns->items == NULL) {
        abort();
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct weir_candidate *candidate = weir_candidate_at(members, i);
        struct turn *turn = &turns->items[i];
        turn->id = candidate->id;
        set_weight(turn, candidate->weight);
        const struct turn *known = find_old(&old, turn);
        if (known != NULL) {
            stay(turns, turn, known);
        } else {
            join(turns, turn, step);
        }
    }
    free(old.items);
}

void turns_follow(struct turns *turns, const struct turns *other)
{
    struct turn *items = calloc(other->count > 0 ? other->count : 1, sizeof(*items));

    if (items == NULL) {
        abort();
    }
    if (other->count > 0) {
        memcpy(items, other->items, other->count * sizeof(*items));
    }
    free(turns->items);
    *turns = *other;
    turns->items = items;
}
