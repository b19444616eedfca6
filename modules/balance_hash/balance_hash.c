/* SPDX-License-Identifier: MIT */
/*
 * Consistent hashing: requests of one key go to one server, as long as it can take them and has not
 * more than its share to do; when servers come and go, only the keys that must move do.
 */
#include <weir/weir.h>

#include "circles.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- options ---- */

struct conf {
    struct weir_str key;
    double balance_factor;
};

#define CONTEXTS (WEIR_CONTEXT_MODULE | WEIR_CONTEXT_POOL)

static const struct weir_option rows[] = {
    WEIR_OPTION(struct conf, key, STRING, "address", CONTEXTS,
                WEIR_OPTION_RELOADABLE | WEIR_OPTION_NOT_EMPTY,
                "What of a request decides: address (the client's), path (without the query), "
                "header:NAME, cookie:NAME or query:NAME. A request without it goes to any server."),
    WEIR_OPTION_RANGE(
        struct conf, balance_factor, REAL, "1.25", "0", "1000", CONTEXTS, WEIR_OPTION_RELOADABLE,
        "A server that has this many times its share of the pool's requests in flight gets no "
        "more: their keys go on to the next server. From 1 on; 0: no bound."),
};
static const struct weir_options options = WEIR_OPTIONS(struct conf, rows);

/* Shared by all loops; immutable. */
struct prepared {
    struct weir_key key;
    double factor;
};

static enum weir_status conf_create(struct weir_context *ctx, struct weir_check *check,
                                    const void *conf_ptr, void **out)
{
    const struct conf *conf = conf_ptr;
    struct prepared *prepared = calloc(1, sizeof(*prepared));

    if (prepared == NULL) {
        return WEIR_NO_MEMORY;
    }
    if (!weir_key_parse(conf->key, &prepared->key)) {
        weir_check_error(ctx, check, &conf->key,
                         "key: \"%.*s\" is none of address, path, header:NAME, cookie:NAME and "
                         "query:NAME",
                         (int)conf->key.len, conf->key.ptr);
    }
    if (conf->balance_factor > 0 && conf->balance_factor < 1) {
        weir_check_error(ctx, check, &conf->balance_factor,
                         "balance_factor: below 1 there would be no room for all requests; write "
                         "1.25, or 0 for no bound");
    }
    prepared->factor = conf->balance_factor;
    *out = prepared;
    return WEIR_OK;
}

static void conf_free(struct weir_context *ctx, void *prepared)
{
    (void)ctx;
    free(prepared);
}

/* ---- instances ---- */

/* Up to so many servers each pick reads all counts of requests in flight. */
#define READ_ALL_MAX 64u
/* Above, this many in turn, and of this loop's own requests each. */
#define READ_IN_TURN 4u

/* One loop's, of one pool. */
struct hash {
    const struct prepared *prepared;
    const struct weir_candidates *members; /* the host's; NULL: there was no memory for them */
    struct circles *circles;
    double weight;  /* of all members */
    uint32_t *seen; /* of each member: requests in flight, as last read */
    uint64_t load;  /* the sum of `seen` */
    uint32_t cursor;
    uint64_t random; /* for requests without a key */
};

static enum weir_status create(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance)
{
    struct hash *hash = *instance;
    (void)conf;
    hash->prepared = prepared;
    weir_random(ctx, &hash->random, sizeof(hash->random));
    return WEIR_OK;
}

static void forget_members(struct hash *hash)
{
    circles_free(&hash->circles);
    free(hash->seen);
    hash->seen = NULL;
    hash->members = NULL;
}

static void destroy(struct weir_context *ctx, void *instance)
{
    (void)ctx;
    forget_members(instance);
}

static uint32_t read_load(struct hash *hash, uint32_t index)
{
    uint32_t now = weir_candidate_in_flight(weir_candidate_at(hash->members, index));
    hash->load = hash->load - hash->seen[index] + now;
    hash->seen[index] = now;
    return now;
}

static void read_all(struct hash *hash)
{
    for (uint32_t i = 0; i < hash->members->count; i++) {
        read_load(hash, i);
    }
}

static enum weir_status on_members(struct weir_context *ctx, void *instance,
                                   const struct weir_candidates *candidates)
{
    struct hash *hash = instance;
    (void)ctx;

    forget_members(hash);
    hash->circles = circles_new(candidates);
    hash->seen = calloc((size_t)candidates->count + 1, sizeof(*hash->seen));
    if (hash->circles == NULL || hash->seen == NULL) {
        forget_members(hash);
        return WEIR_NO_MEMORY;
    }
    hash->members = candidates;
    hash->load = 0;
    hash->cursor = 0;
    hash->weight = 0;
    for (uint32_t i = 0; i < candidates->count; i++) {
        hash->weight += weir_candidate_at(candidates, i)->weight;
    }
    read_all(hash);
    return WEIR_OK;
}

static void on_assign(struct weir_context *ctx, void *instance, uint32_t index)
{
    (void)ctx;
    read_load(instance, index);
}

static void on_complete(struct weir_context *ctx, void *instance,
                        const struct weir_feedback *feedback)
{
    const struct hash *hash = instance;
    (void)ctx;
    if (hash->members != NULL && feedback->index != WEIR_PICK_NONE) {
        read_load(instance, feedback->index);
    }
}

/* ---- picking ---- */

/* The request's hash. Of one without a key: another one each time, `random` where it is given. */
static uint64_t key_of(const struct hash *hash, const struct weir_request *req, bool *known)
{
    struct weir_str key;

    *known = weir_request_key(req, &hash->prepared->key, &key);
    return *known ? circles_hash(key.ptr, key.len) : circles_hash(&hash->random, 8);
}

struct question {
    struct hash *hash;
    const struct weir_pick *pick;
    double room; /* requests in flight that a weight of 1 has room for; 0: any number */
};

/* What each weight may have in flight, this request counted, rounded up for each server. */
static double room_of(const struct hash *hash)
{
    return hash->prepared->factor * (double)(hash->load + 1) / hash->weight;
}

static bool is_full(struct hash *hash, uint32_t index, double room)
{
    return room > 0 &&
           read_load(hash, index) >= room * weir_candidate_at(hash->members, index)->weight;
}

static bool accept(void *arg, uint32_t index)
{
    struct question *question = arg;
    return !is_full(question->hash, index, question->room) &&
           weir_pick_usable(question->pick, index);
}

/* Reads what was sent and ended elsewhere. Of the control thread's instance all: nothing tells it
 * of requests. */
static void look_around(struct hash *hash, bool all)
{
    uint32_t count = hash->members->count;

    if (all || count <= READ_ALL_MAX) {
        read_all(hash);
        return;
    }
    for (uint32_t i = 0; i < READ_IN_TURN; i++) {
        hash->cursor = hash->cursor + 1 < count ? hash->cursor + 1 : 0;
        read_load(hash, hash->cursor);
    }
}

static uint32_t pick(struct weir_context *ctx, void *instance, const struct weir_pick *pick)
{
    struct hash *hash = instance;
    struct question question = {.hash = hash, .pick = pick};
    bool known;
    uint64_t key = key_of(hash, pick->request, &known);
    (void)ctx;

    if (hash->prepared->factor > 0) {
        look_around(hash, pick->dry_run);
        question.room = room_of(hash);
    }
    if (!known && !pick->dry_run) {
        hash->random++;
    }
    uint32_t index = circles_nearest(hash->circles, key, accept, &question);
    if (index == WEIR_PICK_NONE && question.room > 0) { /* those with room cannot have it */
        question.room = 0;
        index = circles_nearest(hash->circles, key, accept, &question);
    }
    return index;
}

/* Below 1 by the distance from the key, of which the nearest has about 0.5; from 1 on those that
 * are full. Candidates are asked for in order: the first reads all counts. */
static enum weir_status score(struct weir_context *ctx, void *instance,
                              const struct weir_pick *pick, uint32_t index, struct weir_score *out)
{
    struct hash *hash = instance;
    bool known;
    uint64_t key = key_of(hash, pick->request, &known);
    double far = circles_distance(hash->circles, key, index) * hash->weight * CIRCLES;
    (void)ctx;

    out->value = far / (1 + far);
    if (hash->prepared->factor > 0) {
        look_around(hash, index == 0);
    }
    if (hash->prepared->factor > 0 && is_full(hash, index, room_of(hash))) {
        out->value += 1;
        snprintf(out->text, sizeof(out->text), "%.3g from its key; full at %u in flight", far,
                 hash->seen[index]);
    } else {
        snprintf(out->text, sizeof(out->text), "%.3g from %s", far,
                 known ? "its key" : "a key at random, as the request has none");
    }
    return WEIR_OK;
}

/* ---- descriptor ---- */

static const struct weir_balancer balancer = {
    .size = sizeof(balancer),
    .create = create,
    .destroy = destroy,
    .on_members = on_members,
    .pick = pick,
    .on_assign = on_assign,
    .on_complete = on_complete,
    .score = score,
    .instance_size = sizeof(struct hash),
};
WEIR_DEFINE_MODULE("balance_hash", "1.0", "MIT",
                   "Sends requests of one key to one server, by consistent hashing",
                   .options = &options, .conf_create = conf_create, .conf_free = conf_free,
                   .balancer = &balancer);
