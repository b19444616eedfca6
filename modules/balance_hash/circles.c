/* SPDX-License-Identifier: MIT */
/*
 * Weighted rendezvous hashing on circles. See circles.h.
 */
#include "circles.h"

#include <math.h>
#include <stdlib.h>

/* Members of similar weight have circles of their own: on each the search goes as far as its
 * heaviest member might win from, so one heavy server among light ones would make it long. A group
 * spans a factor of 16: weights of 1 to 15 are one. */
#define GROUP_BITS 4u
#define GROUPS     (32u / GROUP_BITS)

/* This many refusals, and all members are asked instead. */
#define REFUSALS_MAX 64u

struct point {
    uint32_t at; /* of 2^32 */
    uint32_t member;
};

struct member {
    uint64_t start; /* of its places; another one's is another */
    double weight;
};

/* Members of similar weight. */
struct group {
    uint32_t count;  /* of members */
    uint32_t points; /* of theirs on a circle */
    uint32_t shift;  /* a point's bucket is at >> shift */
    double heaviest;
    struct point *circles; /* of each its points in order, and an unused one */
    uint32_t *starts;      /* of each circle and bucket: its first point or the next one's */
};

struct circles {
    uint32_t count;
    struct group groups[GROUPS]; /* the lightest first; many have no members */
    struct member members[];
};

/* ---- hashing ---- */

/* The finaliser of splitmix64: every bit of `x` matters to every bit of the result. */
static inline uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

uint64_t circles_hash(const void *bytes, size_t len)
{
    const unsigned char *at = bytes;
    uint64_t hash = UINT64_C(0x9e3779b97f4a7c15) ^ len, last = 0;

    for (; len >= 8; at += 8, len -= 8) {
        uint64_t word = (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 |
                        (uint64_t)at[3] << 24 | (uint64_t)at[4] << 32 | (uint64_t)at[5] << 40 |
                        (uint64_t)at[6] << 48 | (uint64_t)at[7] << 56;
        hash = mix(hash ^ word) * UINT64_C(0xd6e8feb86659fd93);
    }
    for (size_t i = 0; i < len; i++) {
        last |= (uint64_t)at[i] << 8 * i;
    }
    return mix(hash ^ last);
}

/* Places `2 * pair` and `2 * pair + 1`, the halves of a number, of those that begin at `start`. */
static inline uint64_t places(uint64_t start, uint32_t pair)
{
    return mix(start + (pair + 1) * UINT64_C(0x9e3779b97f4a7c15));
}

/* Where a server's places begin, POINTS for one circle after the other. A key's, one for each
 * circle, begin at its hash. */
static inline uint64_t start_of(weir_server_id id)
{
    return ~mix(id);
}

static void places_of_key(uint64_t key, uint32_t out[CIRCLES])
{
    for (uint32_t pair = 0; pair < CIRCLES / 2; pair++) {
        uint64_t two = places(key, pair);
        out[2 * pair] = (uint32_t)two;
        out[2 * pair + 1] = (uint32_t)(two >> 32);
    }
}

/* ---- distances ---- */

static inline double part_of_circle(uint32_t gap)
{
    return (gap + 0.5) / 4294967296.0;
}

/* The least of n even draws is not quite exponential, -log(1 - draw) is: so shares are as the
 * weights say also among few. */
static inline double distance_of(uint32_t gap, double weight)
{
    return -log1p(-part_of_circle(gap)) / weight;
}

static double distance(const struct member *member, const uint32_t key[CIRCLES])
{
    uint32_t least = UINT32_MAX;

    for (uint32_t pair = 0; pair < CIRCLES * POINTS / 2; pair++) {
        uint64_t two = places(member->start, pair);
        uint32_t from = key[pair / (POINTS / 2)];
        uint32_t gap = (uint32_t)two - from, other = (uint32_t)(two >> 32) - from;
        gap = gap < other ? gap : other;
        least = gap < least ? gap : least;
    }
    return distance_of(least, member->weight);
}

double circles_distance(const struct circles *circles, uint64_t key, uint32_t index)
{
    uint32_t of_key[CIRCLES];

    places_of_key(key, of_key);
    return distance(&circles->members[index], of_key);
}

/* ---- building ---- */

static uint32_t group_of(uint32_t weight)
{
    uint32_t bits = 0;
    while (bits < 31 && weight >> (bits + 1) > 0) {
        bits++;
    }
    return bits / GROUP_BITS;
}

static inline uint32_t buckets_of(const struct group *group)
{
    return (UINT32_MAX >> group->shift) + 1;
}

static inline struct point *points_of(const struct group *group, uint32_t circle)
{
    return group->circles + (size_t)circle * (group->points + 1);
}

static inline uint32_t *starts_of(const struct group *group, uint32_t circle)
{
    return group->starts + (size_t)circle * (buckets_of(group) + 1);
}

/* Room for the group's points, and where buckets start: of one or two points each, since with many
 * members what fits into the caches counts. */
static bool group_alloc(struct group *group)
{
    group->points = group->count * POINTS;
    group->shift = 31;
    while (group->shift > 0 && buckets_of(group) < group->points / 2) {
        group->shift--;
    }
    group->circles = calloc((size_t)(group->points + 1) * CIRCLES, sizeof(*group->circles));
    group->starts = calloc((size_t)(buckets_of(group) + 1) * CIRCLES, sizeof(*group->starts));
    return group->circles != NULL && group->starts != NULL;
}

/* Puts the points of a circle in order, by bucket and then within each, which hardly has two.
 * `starts` are zeroed. */
static void sort_circle(const struct group *group, uint32_t circle, const struct point *unordered)
{
    struct point *points = points_of(group, circle);
    uint32_t *starts = starts_of(group, circle), buckets = buckets_of(group);

    for (uint32_t i = 0; i < group->points; i++) {
        starts[unordered[i].at >> group->shift]++;
    }
    for (uint32_t b = 0, sum = 0; b <= buckets; b++) { /* where each ends */
        sum += starts[b];
        starts[b] = sum;
    }
    for (uint32_t i = 0; i < group->points; i++) { /* and so where it starts */
        points[--starts[unordered[i].at >> group->shift]] = unordered[i];
    }
    for (uint32_t i = 1; i < group->points; i++) {
        struct point point = points[i];
        uint32_t at = i;
        for (; at > 0 && points[at - 1].at > point.at; at--) {
            points[at] = points[at - 1];
        }
        points[at] = point;
    }
}

/* `numbers` are the group's members, `scratch` has room for a circle. */
static bool group_build(struct circles *circles, struct group *group, const uint32_t *numbers,
                        struct point *scratch)
{
    if (!group_alloc(group)) {
        return false;
    }
    for (uint32_t i = 0; i < group->count; i++) {
        double weight = circles->members[numbers[i]].weight;
        group->heaviest = weight > group->heaviest ? weight : group->heaviest;
    }
    for (uint32_t c = 0; c < CIRCLES; c++) {
        struct point *point = scratch;
        for (uint32_t i = 0; i < group->count; i++) {
            for (uint32_t p = 0; p < POINTS / 2; p++) {
                uint64_t two = places(circles->members[numbers[i]].start, c * (POINTS / 2) + p);
                *point++ = (struct point){(uint32_t)two, numbers[i]};
                *point++ = (struct point){(uint32_t)(two >> 32), numbers[i]};
            }
        }
        sort_circle(group, c, scratch);
    }
    return true;
}

static bool build(struct circles *circles, const struct weir_candidates *members)
{
    struct point *scratch = malloc(((size_t)members->count * POINTS + 1) * sizeof(*scratch));
    uint32_t *numbers = malloc(((size_t)members->count + 1) * sizeof(*numbers));
    bool built = scratch != NULL && numbers != NULL;

    for (uint32_t g = 0; built && g < GROUPS; g++) {
        struct group *group = &circles->groups[g];
        for (uint32_t i = 0; i < members->count; i++) {
            if (group_of(weir_candidate_at(members, i)->weight) == g) {
                numbers[group->count++] = i;
            }
        }
        built = group->count == 0 || group_build(circles, group, numbers, scratch);
    }
    free(scratch);
    free(numbers);
    return built;
}

struct circles *circles_new(const struct weir_candidates *members)
{
    struct circles *circles =
        calloc(1, sizeof(*circles) + members->count * sizeof(circles->members[0]));

    if (circles == NULL) {
        return NULL;
    }
    circles->count = members->count;
    for (uint32_t i = 0; i < members->count; i++) {
        const struct weir_candidate *candidate = weir_candidate_at(members, i);
        circles->members[i] = (struct member){start_of(candidate->id), candidate->weight};
    }
    if (!build(circles, members)) {
        circles_free(&circles);
    }
    return circles;
}

void circles_free(struct circles **circles)
{
    for (uint32_t g = 0; *circles != NULL && g < GROUPS; g++) {
        free((*circles)->groups[g].circles);
        free((*circles)->groups[g].starts);
    }
    free(*circles);
    *circles = NULL;
}

/* ---- searching ---- */

struct search {
    const struct circles *circles;
    uint32_t key[CIRCLES];
    bool (*accept)(void *arg, uint32_t index);
    void *arg;
    uint32_t nearest, refused;
    double least;
};

/* Members that are equally far, which is next to never, go by what is theirs alone. */
static bool is_nearer(const struct search *search, uint32_t index, double far)
{
    const struct member *members = search->circles->members;
    return far < search->least ||
           (far == search->least && members[index].start < members[search->nearest].start);
}

static void consider(struct search *search, uint32_t index, double far)
{
    if (!is_nearer(search, index, far)) {
        return;
    }
    if (index != search->nearest && !search->accept(search->arg, index)) {
        search->refused++;
        return;
    }
    search->nearest = index;
    search->least = far;
}

/* The point that comes next on each circle. */
#define NO_MORE UINT32_MAX /* it went round once; also a gap, which next to no key has */
struct ahead {
    uint32_t gaps[CIRCLES]; /* from the key's point to it */
    uint32_t at[CIRCLES], first[CIRCLES];
};

/* Without branches but for the rare bucket with many points: which way they went would be a toss-up
 * each time. */
static void look_ahead(const struct group *group, const uint32_t key[CIRCLES], struct ahead *ahead)
{
    for (uint32_t c = 0; c < CIRCLES; c++) {
        const struct point *points = points_of(group, c);
        const uint32_t *starts = starts_of(group, c) + (key[c] >> group->shift);
        uint32_t at = starts[0], end = starts[1];
        at += (at < end) & (points[at].at < key[c]);
        at += (at < end) & (points[at].at < key[c]);
        while (__builtin_expect((at < end) & (points[at].at < key[c]), 0)) {
            at++;
        }
        at = at < group->points ? at : 0;
        ahead->at[c] = ahead->first[c] = at;
        ahead->gaps[c] = points[at].at - key[c];
    }
}

/* Points in the order of their gaps, up to where even the heaviest member would be further than
 * what was found. */
static void search_group(struct search *search, const struct group *group)
{
    struct ahead ahead;

    look_ahead(group, search->key, &ahead);
    while (search->refused < REFUSALS_MAX) {
        uint64_t least = UINT64_MAX; /* gap and circle in one: quick to compare */
        for (uint32_t c = 0; c < CIRCLES; c++) {
            uint64_t this = (uint64_t)ahead.gaps[c] << 32 | c;
            least = this < least ? this : least;
        }
        uint32_t gap = (uint32_t)(least >> 32), next = (uint32_t)least;
        double part = part_of_circle(gap); /* below -log1p(-part) */
        if (part > search->least * group->heaviest || gap == NO_MORE) {
            return;
        }
        const struct point *points = points_of(group, next);
        uint32_t index = points[ahead.at[next]].member;
        double weight = search->circles->members[index].weight;
        if (part <= search->least * weight) {
            consider(search, index, distance_of(gap, weight));
        }
        uint32_t then = ahead.at[next] + 1 < group->points ? ahead.at[next] + 1 : 0;
        ahead.at[next] = then;
        ahead.gaps[next] =
            then != ahead.first[next] ? points[then].at - search->key[next] : NO_MORE;
    }
}

/* Most of the near ones are refused: all that are not are compared. */
static void search_all(struct search *search)
{
    for (uint32_t i = 0; i < search->circles->count; i++) {
        if (search->accept(search->arg, i)) {
            double far = distance(&search->circles->members[i], search->key);
            if (is_nearer(search, i, far)) {
                search->nearest = i;
                search->least = far;
            }
        }
    }
}

uint32_t circles_nearest(const struct circles *circles, uint64_t key,
                         bool (*accept)(void *arg, uint32_t index), void *arg)
{
    struct search search = {.circles = circles,
                            .accept = accept,
                            .arg = arg,
                            .nearest = WEIR_PICK_NONE,
                            .least = INFINITY};

    places_of_key(key, search.key);
    for (uint32_t g = GROUPS; g-- > 0;) {
        const struct group *group = &circles->groups[g];
        if (group->count > 0) {
            search_group(&search, group);
        }
    }
    if (search.refused >= REFUSALS_MAX) {
        search.nearest = WEIR_PICK_NONE;
        search.least = INFINITY;
        search_all(&search);
    }
    return search.nearest;
}
