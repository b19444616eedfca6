/* SPDX-License-Identifier: MIT */
/*
 * Weighted least connections: the server with the fewest requests in flight for its weight, counted
 * over all workers. Where several are equal they take turns, each as often as its weight says.
 *
 * Up to SCAN_MAX servers every pick reads all of them, and is exact. Above, a heap keeps what was last
 * read of each. A pick reads its root anew until that has not changed, so that a server is never taken
 * for less loaded than it is. That another has become less loaded is heard at once from this worker's
 * own requests; what other workers' requests left is seen by re-reading REFRESH servers a pick, in
 * turn: at the latest count / REFRESH picks afterwards.
 */
#include <weir/weir.h>

#include <stdio.h>
#include <stdlib.h>

#define SCAN_MAX 64
#define REFRESH  4

/* How often a pick re-reads the root, whatever other workers do meanwhile. */
#define MAX_REREADS 64

/* So many unusable servers are passed over in order of load; then all are searched. */
#define MAX_PASSED 32

/* Turns among equals: virtual time, a server of weight w/256 has one every TICKS / w. */
#define TICKS (UINT64_C(1) << 40)

struct member {
    uint64_t due;       /* its next turn among equals */
    uint32_t weight;    /* at least 1 */
    uint32_t in_flight; /* as last read; current only in the moment of reading */
    uint32_t place;     /* in the heap, or PARKED */
};

/* The place of a server that was found at its limit: out of the heap until it is looked at again. */
#define PARKED UINT32_MAX

/* One worker's view of one pool. members[i] is candidate i. */
struct least_conn {
    struct weir_candidates candidates; /* the host's, since the last on_members */
    struct member *members;
    uint32_t *heap; /* heap_count indices, the least loaded first; unused while scanning */
    uint32_t count;
    uint32_t heap_count;
    uint32_t cursor; /* the next member to re-read, or to begin a scan with */
    uint64_t now;    /* virtual time: the latest turn taken */
};

/* in_flight/weight of a against b, exactly, by multiplying crosswise. */
static int compare_load(const struct member *a, const struct member *b)
{
    uint64_t left = (uint64_t)a->in_flight * b->weight;
    uint64_t right = (uint64_t)b->in_flight * a->weight;
    return (left > right) - (left < right);
}

/* Whether a is to be taken before b. */
static bool member_before(const struct member *a, const struct member *b)
{
    int load = compare_load(a, b);
    return load < 0 || (load == 0 && (int64_t)(a->due - b->due) < 0);
}

static bool heap_before(const struct least_conn *self, uint32_t a, uint32_t b)
{
    return member_before(&self->members[self->heap[a]], &self->members[self->heap[b]]);
}

static void heap_place(struct least_conn *self, uint32_t at, uint32_t index)
{
    self->heap[at] = index;
    self->members[index].place = at;
}

/* Moves the entry at `at` towards the root as far as it belongs. */
static void sift_up(struct least_conn *self, uint32_t at)
{
    uint32_t index = self->heap[at];
    const struct member *member = &self->members[index];
    while (at > 0 && member_before(member, &self->members[self->heap[(at - 1) / 2]])) {
        heap_place(self, at, self->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_place(self, at, index);
}

/* Moves the entry at `at` away from the root as far as it belongs; below it all is in order. */
static void sift_down(struct least_conn *self, uint32_t at)
{
    uint32_t index = self->heap[at];
    const struct member *member = &self->members[index];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= self->heap_count) {
            break;
        }
        if (child + 1 < self->heap_count && heap_before(self, child + 1, child)) {
            child++;
        }
        if (!member_before(&self->members[self->heap[child]], member)) {
            break;
        }
        heap_place(self, at, self->heap[child]);
        at = child;
    }
    heap_place(self, at, index);
}

/* Moves one entry that has changed to where it belongs; all others are in order. */
static void heap_fix(struct least_conn *self, uint32_t at)
{
    uint32_t index = self->heap[at];
    sift_up(self, at);
    sift_down(self, self->members[index].place);
}

/* Brings any number of changed entries into order, in O(n). */
static void heap_sort_in(struct least_conn *self)
{
    for (uint32_t at = self->heap_count / 2; at-- > 0;) {
        sift_down(self, at);
    }
}

static void heap_add(struct least_conn *self, uint32_t index)
{
    heap_place(self, self->heap_count, index);
    sift_up(self, self->heap_count++);
}

/* Takes the root out. */
static uint32_t heap_pop(struct least_conn *self)
{
    uint32_t index = self->heap[0];
    self->members[index].place = PARKED;
    if (--self->heap_count > 0) {
        heap_place(self, 0, self->heap[self->heap_count]);
        sift_down(self, 0);
    }
    return index;
}

static uint32_t read_in_flight(const struct least_conn *self, uint32_t index)
{
    return weir_candidate_in_flight(weir_candidate_at(&self->candidates, index));
}

/* Reads a member's count anew and puts it in its place, into the heap if it was parked. Says whether
 * anything had changed. */
static bool reread(struct least_conn *self, uint32_t index)
{
    struct member *member = &self->members[index];
    uint32_t in_flight = read_in_flight(self, index);
    bool changed = in_flight != member->in_flight;

    member->in_flight = in_flight;
    if (member->place == PARKED) {
        heap_add(self, index);
    } else if (changed) {
        heap_fix(self, member->place);
    }
    return changed;
}

/* Gives the member its turn among equals: the next one is due 1/weight later. */
static void take_turn(struct least_conn *self, struct member *member)
{
    if ((int64_t)(member->due - self->now) > 0) {
        self->now = member->due;
    }
    /* From now, and not from its last turn: who was busy for long has no turns to make up for. */
    member->due = self->now + TICKS / member->weight;
}

/* Reads all; the least loaded usable one. Asks the host about those alone that would be taken. */
static uint32_t pick_by_scan(struct least_conn *self, const struct weir_pick *pick)
{
    uint32_t best = WEIR_PICK_NONE;
    for (uint32_t index = 0; index < self->count; index++) {
        struct member *member = &self->members[index];
        member->in_flight = read_in_flight(self, index);
        if ((best == WEIR_PICK_NONE || member_before(member, &self->members[best])) &&
            weir_pick_usable(pick, index)) {
            best = index;
        }
    }
    return best;
}

/* O(log n) a look; one look as a rule. A server at its limit is parked when it is met, and met again
 * once it was re-read: at most REFRESH a pick. Where nothing but unusable ones is met, all are read:
 * NONE is never said while one is usable. */
static uint32_t pick_by_heap(struct least_conn *self, const struct weir_pick *pick)
{
    uint32_t passed[MAX_PASSED];
    uint32_t passed_count = 0;
    uint32_t index = WEIR_PICK_NONE;
    bool retry = pick->attempt > 0;

    for (uint32_t i = 0; i < REFRESH; i++) {
        self->cursor = self->cursor + 1 < self->count ? self->cursor + 1 : 0;
        reread(self, self->cursor);
    }
    while (self->heap_count > 0 && passed_count < MAX_PASSED) {
        uint32_t rereads = 0;
        while (rereads < MAX_REREADS && reread(self, self->heap[0])) {
            rereads++;
        }
        if (weir_pick_usable(pick, self->heap[0])) {
            index = self->heap[0];
            break;
        }
        passed[passed_count++] = heap_pop(self);
    }
    if (index == WEIR_PICK_NONE) {
        index = pick_by_scan(self, pick);
        heap_sort_in(self);
    }
    /* On a retry it may be this request alone that cannot have them: they stay in the heap. */
    while (retry && passed_count > 0) {
        heap_add(self, passed[--passed_count]);
    }
    if (index != WEIR_PICK_NONE && self->members[index].place == PARKED) {
        heap_add(self, index);
    }
    return index;
}

static uint32_t pick(struct weir_context *ctx, void *instance, const struct weir_pick *choice)
{
    struct least_conn *self = instance;
    uint32_t index;
    (void)ctx;

    if (self->count != choice->candidates->count) { /* on_members ran out of memory */
        for (index = 0; index < choice->candidates->count; index++) {
            if (weir_pick_usable(choice, index)) {
                return index;
            }
        }
        return WEIR_PICK_NONE;
    }
    if (self->count <= SCAN_MAX) {
        index = pick_by_scan(self, choice);
    } else {
        index = pick_by_heap(self, choice);
    }
    if (index != WEIR_PICK_NONE) {
        take_turn(self, &self->members[index]);
        if (self->count > SCAN_MAX) {
            heap_fix(self, self->members[index].place);
        }
    }
    return index;
}

static void on_assign(struct weir_context *ctx, void *instance, uint32_t index)
{
    struct least_conn *self = instance;
    (void)ctx;
    if (self->count > SCAN_MAX && index < self->count && self->members[index].place != PARKED) {
        reread(self, index);
    }
}

static void on_complete(struct weir_context *ctx, void *instance,
                        const struct weir_feedback *feedback)
{
    struct least_conn *self = instance;
    (void)ctx;
    if (self->count > SCAN_MAX && feedback->index < self->count) {
        reread(self, feedback->index); /* it has room again: it leaves its parking place */
    }
}

/* What member_before compares; read anew, and kept nowhere. */
static enum weir_status score(struct weir_context *ctx, void *instance,
                              const struct weir_pick *choice, uint32_t index,
                              struct weir_score *out)
{
    const struct weir_candidate *candidate = weir_candidate_at(choice->candidates, index);
    uint32_t in_flight = weir_candidate_in_flight(candidate);
    double weight = (candidate->weight > 0 ? candidate->weight : 1) / (double)WEIR_WEIGHT_ONE;
    (void)ctx;
    (void)instance;
    out->value = in_flight / weight;
    snprintf(out->text, sizeof(out->text), "%u in flight over weight %.3g", in_flight, weight);
    return WEIR_OK;
}

/* All is built anew: the load is the host's, and the turns among equals begin at a random point, so
 * that frequent changes do not favour whoever comes first. */
static enum weir_status on_members(struct weir_context *ctx, void *instance,
                                   const struct weir_candidates *candidates)
{
    struct least_conn *self = instance;
    uint32_t count = candidates->count;
    struct member *members = calloc(count > 0 ? count : 1, sizeof(*members));
    uint32_t *heap = calloc(count > 0 ? count : 1, sizeof(*heap));
    uint32_t phase = 0;

    free(self->members);
    free(self->heap);
    self->members = members;
    self->heap = heap;
    self->candidates = *candidates;
    self->heap_count = 0;
    self->cursor = 0;
    self->count = members != NULL && heap != NULL ? count : 0;
    if (members == NULL || heap == NULL) {
        return WEIR_NO_MEMORY; /* pick sees that the count differs */
    }
    weir_random(ctx, &phase, sizeof(phase));
    for (uint32_t i = 0; i < count; i++) {
        struct member *member = &members[i];
        uint32_t weight = weir_candidate_at(candidates, i)->weight;
        member->weight = weight > 0 ? weight : 1;
        member->in_flight = read_in_flight(self, i);
        member->due = self->now + (((TICKS / member->weight) * (phase >> 12)) >> 20);
        phase += UINT32_MAX / count; /* evenly around the circle */
        heap_place(self, i, i);
    }
    self->heap_count = count;
    heap_sort_in(self);
    return WEIR_OK;
}

static enum weir_status create(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance)
{
    struct least_conn *self = calloc(1, sizeof(*self));
    (void)ctx;
    (void)conf;
    (void)prepared;
    *instance = self;
    return self != NULL ? WEIR_OK : WEIR_NO_MEMORY;
}

static void destroy(struct weir_context *ctx, void *instance)
{
    struct least_conn *self = instance;
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
    .on_assign = on_assign,
    .on_complete = on_complete,
    .score = score,
};

static const struct weir_module module = {
    .size = sizeof(struct weir_module),
    .abi_major = WEIR_ABI_MAJOR,
    .abi_minor = WEIR_ABI_MINOR,
    .name = "balance_least_conn",
    .version = "1.0",
    .license = "MIT",
    .summary = "Takes the server with the fewest requests in flight for its weight",
    .balancer = &balancer,
};

WEIR_MODULE(module);
