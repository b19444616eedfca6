/* SPDX-License-Identifier: MIT */
/*
 * Weighted round robin, smooth: each server has a turn every 1/weight of virtual time, and the one
 * whose turn is due first is picked. Over any run of (sum of weights) picks each server gets exactly
 * its weight, and its picks lie as far apart as they can.
 *
 * A turn is a number of ticks, TICKS / weight, kept exact by carrying the remainder along; turns wrap
 * around and are compared by their difference. A binary heap finds the next turn in O(log n).
 */
#include <weir/weir.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Ticks between two turns of a server of weight 1/256; of weight 1: 2^32. */
#define TICKS (UINT64_C(1) << 40)

/* 2^32 divided by the golden ratio: multiples of it are spread evenly over the circle, however many
 * there are. */
#define GOLDEN UINT32_C(0x9E3779B9)

/* A server that cannot be picked keeps its place for so many picks (a retry avoids it, a limit is
 * reached for a moment), and loses one turn then: it would be looked at in vain for ever. */
#define KEEP_PLACE 3

/* So many unusable servers are passed over in order of their turns; then all are searched. */
#define MAX_PASSED 32

struct member {
    weir_server_id id;
    uint64_t due;   /* virtual time of the next turn */
    uint64_t ticks; /* between two turns: the whole part; never 0 */
    uint32_t part;  /* and the rest, part/weight */
    uint32_t weight;
    uint32_t carry; /* sum of the parts, below weight */
    uint32_t skips; /* how often it was passed over since it was last picked */
};

/* Entries of the heap carry the time, so that sifting touches no member. */
struct turn {
    uint64_t due;
    uint32_t index;
};

/* One worker's view of one pool. members[i] is candidate i. */
struct round_robin {
    struct member *members;
    struct turn *heap; /* count entries, the earliest turn first */
    uint32_t count;
    uint64_t now;     /* virtual time: the latest turn that was taken */
    uint32_t offset;  /* where this worker begins on the circle of turns */
    uint32_t arrived; /* how many members have come so far */
};

/* Whether turn a comes before turn b. Equal times go by index, so that the order repeats exactly. */
static bool turn_before(const struct turn *a, const struct turn *b)
{
    int64_t ahead = (int64_t)(a->due - b->due);
    return ahead < 0 || (ahead == 0 && a->index < b->index);
}

static void sift_down(struct turn *heap, uint32_t count, uint32_t at)
{
    struct turn moved = heap[at];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= count) {
            break;
        }
        if (child + 1 < count && turn_before(&heap[child + 1], &heap[child])) {
            child++;
        }
        if (!turn_before(&heap[child], &moved)) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

static void sift_up(struct turn *heap, uint32_t at)
{
    struct turn moved = heap[at];
    while (at > 0 && turn_before(&moved, &heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = moved;
}

/* Moves a member on by one turn, exactly. */
static uint64_t member_advance(struct member *member)
{
    uint64_t carry = (uint64_t)member->carry + member->part;
    member->due += member->ticks;
    if (carry >= member->weight) {
        carry -= member->weight;
        member->due++;
    }
    member->carry = (uint32_t)carry;
    return member->due;
}

static void member_set_weight(struct member *member, uint32_t weight)
{
    /* 2^40 / weight in lowest terms, so that weights of 5 * 256 and 256 come out even after 5 turns. */
    uint64_t ticks = TICKS;
    weight = weight > 0 ? weight : 1;
    while (weight % 2 == 0) {
        weight /= 2;
        ticks /= 2;
    }
    member->ticks = ticks / weight;
    member->part = (uint32_t)(ticks % weight);
    member->weight = weight;
    member->carry = 0;
}

/* A newcomer's first turn lies within its own first interval from now: nobody gets a burst, and many
 * that come together do not come at once. */
static void member_join(struct round_robin *self, struct member *member)
{
    uint32_t phase = self->offset + ++self->arrived * GOLDEN;
    member->due = self->now + ((member->ticks * (phase >> 12)) >> 20);
}

/* A member that stays keeps the fraction of its turn that is still to come. */
static void member_stay(const struct round_robin *self, struct member *member,
                        const struct member *old)
{
    if (old->weight == member->weight && old->ticks == member->ticks) {
        *member = *old;
        return;
    }
    int64_t left = (int64_t)(old->due - self->now);
    uint64_t share = left > 0 ? ((uint64_t)left << 16) / old->ticks : 0; /* in 1/65536 of a turn */
    share = share < 65536 ? share : 65536;
    member->due = self->now + ((member->ticks * share) >> 16);
    member->skips = old->skips;
}

static int compare_ids(const void *a, const void *b)
{
    weir_server_id left = ((const struct member *)a)->id;
    weir_server_id right = ((const struct member *)b)->id;
    return (left > right) - (left < right);
}

static enum weir_status on_members(struct weir_context *ctx, void *instance,
                                   const struct weir_candidates *candidates)
{
    struct round_robin *self = instance;
    uint32_t count = candidates->count;
    struct member *members = calloc(count > 0 ? count : 1, sizeof(*members));
    struct turn *heap = calloc(count > 0 ? count : 1, sizeof(*heap));
    (void)ctx;

    if (members == NULL || heap == NULL) {
        free(members);
        free(heap);
        return WEIR_NO_MEMORY; /* pick sees that the count differs, or ranks as before */
    }
    if (self->count > 0) {
        qsort(self->members, self->count, sizeof(*self->members), compare_ids);
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct weir_candidate *candidate = weir_candidate_at(candidates, i);
        const struct member *old = NULL;
        members[i].id = candidate->id;
        member_set_weight(&members[i], candidate->weight);
        if (self->count > 0) {
            old = bsearch(&members[i], self->members, self->count, sizeof(*old), compare_ids);
        }
        if (old != NULL) {
            member_stay(self, &members[i], old);
        } else {
            member_join(self, &members[i]);
        }
        heap[i] = (struct turn){members[i].due, i};
    }
    for (uint32_t i = count / 2; i-- > 0;) {
        sift_down(heap, count, i);
    }
    free(self->members);
    free(self->heap);
    self->members = members;
    self->heap = heap;
    self->count = count;
    return WEIR_OK;
}

static void set_due(struct round_robin *self, uint32_t at, uint64_t due)
{
    bool later = (int64_t)(due - self->heap[at].due) > 0;
    self->heap[at].due = due;
    if (later) {
        sift_down(self->heap, self->count, at);
    } else {
        sift_up(self->heap, at);
    }
}

/* The usable member with the earliest turn: its place in the heap, or WEIR_PICK_NONE. */
static uint32_t search_all(const struct round_robin *self, const struct weir_pick *pick)
{
    uint32_t best = WEIR_PICK_NONE;
    for (uint32_t at = 0; at < self->count; at++) {
        bool sooner = best == WEIR_PICK_NONE || turn_before(&self->heap[at], &self->heap[best]);
        if (sooner && weir_pick_usable(pick, self->heap[at].index)) {
            best = at;
        }
    }
    return best;
}

/* Gives the turn at `at` of the heap to its member. */
static uint32_t take_turn(struct round_robin *self, uint32_t at)
{
    struct turn taken = self->heap[at];
    struct member *member = &self->members[taken.index];
    if ((int64_t)(taken.due - self->now) > 0) {
        self->now = taken.due;
    }
    member->skips = 0;
    set_due(self, at, member_advance(member));
    return taken.index;
}

/* Takes the first turn out of the heap. */
static struct turn pop_turn(struct round_robin *self)
{
    struct turn first = self->heap[0];
    self->heap[0] = self->heap[--self->count];
    if (self->count > 0) {
        sift_down(self->heap, self->count, 0);
    }
    return first;
}

static void push_turn(struct round_robin *self, struct turn turn)
{
    self->heap[self->count] = turn;
    sift_up(self->heap, self->count++);
}

/* Puts a passed turn back: in its place, or, when it was passed over again and again, a turn later. */
static void put_back(struct round_robin *self, struct turn passed, bool picked)
{
    struct member *member = &self->members[passed.index];
    if (picked && ++member->skips > KEEP_PLACE) {
        /* From now, not from its last turn: what it missed is not made up for in a burst. */
        member->due = (int64_t)(member->due - self->now) > 0 ? member->due : self->now;
        passed.due = member_advance(member);
    }
    push_turn(self, passed);
}

/* Cost: O(log n) a server looked at. One is looked at as a rule; each unusable one costs four looks at
 * first, and then one look every time its turn comes round. */
static uint32_t pick(struct weir_context *ctx, void *instance, const struct weir_pick *choice)
{
    struct round_robin *self = instance;
    struct turn passed[MAX_PASSED];
    uint32_t passed_count = 0;
    uint32_t index = WEIR_PICK_NONE;
    (void)ctx;

    if (self->count != choice->candidates->count) { /* on_members ran out of memory */
        for (uint32_t i = 0; i < choice->candidates->count; i++) {
            if (weir_pick_usable(choice, i)) {
                return i;
            }
        }
        return WEIR_PICK_NONE;
    }
    while (self->count > 0 && passed_count < MAX_PASSED) {
        if (weir_pick_usable(choice, self->heap[0].index)) {
            index = take_turn(self, 0);
            break;
        }
        passed[passed_count++] = pop_turn(self);
    }
    if (index == WEIR_PICK_NONE) {
        uint32_t at = search_all(self, choice);
        if (at != WEIR_PICK_NONE) {
            index = take_turn(self, at);
        }
    }
    while (passed_count > 0) {
        put_back(self, passed[--passed_count], index != WEIR_PICK_NONE);
    }
    return index;
}

/* How far ahead a member's turn lies, and how far apart its turns are; 1: those of a server of weight 1. */
static enum weir_status score(struct weir_context *ctx, void *instance,
                              const struct weir_pick *choice, uint32_t index,
                              struct weir_score *out)
{
    const double one = (double)(TICKS / WEIR_WEIGHT_ONE);
    const struct round_robin *self = instance;
    (void)ctx;

    if (self->count != choice->candidates->count) { /* on_members ran out of memory */
        return WEIR_DECLINED;
    }
    const struct member *member = &self->members[index];
    out->value = (double)(int64_t)(member->due - self->now) / one;
    snprintf(out->text, sizeof(out->text), "its turn %s %.2f, then one every %.2f",
             out->value < 0 ? "is overdue by" : "comes in", fabs(out->value),
             (double)member->ticks / one);
    return WEIR_OK;
}

static enum weir_status create(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance)
{
    struct round_robin *self = calloc(1, sizeof(*self));
    uint32_t workers = weir_worker_count(ctx);
    (void)conf;
    (void)prepared;

    if (self == NULL) {
        return WEIR_NO_MEMORY;
    }
    /* Workers begin as far apart as they can, or all would send their n-th request to one server. */
    if (workers > 0) {
        self->offset =
            (uint32_t)((((uint64_t)weir_worker_index(ctx) << 32) / workers) & UINT32_MAX);
    }
    *instance = self;
    return WEIR_OK;
}

static void destroy(struct weir_context *ctx, void *instance)
{
    struct round_robin *self = instance;
    (void)ctx;
    free(self->members);
    free(self->heap);
    free(self);
}

static const struct weir_balancer balancer = {
    .size = sizeof(struct weir_balancer),
    .create = create,
    .destroy = destroy,
    .on_members = on_members,
    .pick = pick,
    .score = score,
};

static const struct weir_module module = {
    .size = sizeof(struct weir_module),
    .abi_major = WEIR_ABI_MAJOR,
    .abi_minor = WEIR_ABI_MINOR,
    .name = "balance_round_robin",
    .version = "1.0",
    .license = "MIT",
    .summary = "Gives servers their turn, each as often as its weight says, evenly spread",
    .balancer = &balancer,
};

WEIR_MODULE(module);
