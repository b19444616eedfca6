/* SPDX-License-Identifier: MIT */
/*
 * Choosing a server for an attempt. See pick.h.
 *
 * A candidate is usable for a request that has not tried it, while it is under its limit. What a
 * balancer returns is checked; a wrong index is its fault, counted, and mended by a choice of our own. So is
 * none where there is one.
 */
#include "proxy/pool/pick.h"

#include <math.h>

#include "base/log.h"
#include "proxy/generation.h"
#include "proxy/pool/balancer.h"
#include "proxy/worker.h"

struct pick {
    struct weir_pick pub;
    const struct pool_local *local;
    const struct tried *tried;
    bool *told; /* set when the balancer has heard of one that is usable */
};

static bool is_usable(const struct tried *tried, const struct server *server)
{
    return !tried_has(tried, server->id) && server_has_room(server);
}

static bool pick_usable(const struct weir_pick *pub, uint32_t index)
{
    const struct pick *pick = container_of(pub, struct pick, pub);
    if (index >= pick->local->candidates.count) {
        return false;
    }
    if (!is_usable(pick->tried, pick->local->servers[index]->server)) {
        return false;
    }
    *pick->told = true;
    return true;
}

/* Requests at a server beside its weight, as a fraction that is compared exactly. */
struct load {
    uint64_t in_flight, weight;
};

static struct load load_of(const struct server *server)
{
    uint32_t weight = server->effective;
    return (struct load){__atomic_load_n(&server->in_flight, __ATOMIC_RELAXED),
                         weight > 0 ? weight : 1};
}

/* Below 0: a is the lighter one. */
static int load_compare(struct load a, struct load b)
{
    uint64_t left = a.in_flight * b.weight;
    uint64_t right = b.in_flight * a.weight;
    return (left > right) - (left < right);
}

/*
 * The host's own choice: usable, and least loaded for its weight. Those that are equal, as all are where
 * requests come one after the other, have turns in proportion to their weights: each gains its weight in
 * credit, and who is picked pays for all. NULL: none is usable.
 */
static struct server_local *pick_own(struct server_local *const *servers, uint32_t count,
                                     const struct tried *tried)
{
    struct server_local *best = NULL;
    struct load least = {UINT32_MAX, 1};
    int64_t sum = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (is_usable(tried, servers[i]->server)) {
            struct load load = load_of(servers[i]->server);
            least = load_compare(load, least) < 0 ? load : least;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        struct server_local *mine = servers[i];
        struct load load = load_of(mine->server);
        if (is_usable(tried, mine->server) && load_compare(load, least) <= 0) {
            mine->credit += (int64_t)load.weight;
            sum += (int64_t)load.weight;
            best = best == NULL || mine->credit > best->credit ? mine : best;
        }
    }
    if (best != NULL) {
        best->credit -= sum;
    }
    return best;
}

/* That another loop has taken the last place meanwhile, or given one back, is nobody's fault. */
static const char *fault_of(const struct pool_local *local, const struct pick *pick, uint32_t index,
                            const struct server *own)
{
    if (index == WEIR_PICK_NONE) {
        bool plenty =
            own->max_connections == 0 ||
            __atomic_load_n(&own->in_flight, __ATOMIC_RELAXED) <= own->max_connections / 2;
        return *pick->told || plenty ? "nobody, where some are usable" : NULL;
    }
    if (index >= local->candidates.count) {
        return "a candidate that is out of range";
    }
    return tried_has(pick->tried, local->servers[index]->server->id)
               ? "a candidate that was tried already"
               : NULL;
}

static uint32_t pick_by_balancer(struct pool_local *local, const struct pick *pick)
{
    struct balancer *balancer = local->balancer;

    if (unlikely(balancer->failed)) {
        const struct server_local *own =
            pick_own(local->servers, local->candidates.count, pick->tried);
        return own != NULL ? own->candidate : WEIR_PICK_NONE;
    }
    *pick->told = false;
    uint32_t index = balancer->ops->pick(&balancer->context.base, balancer->data, &pick->pub);
    if (likely(index != WEIR_PICK_NONE && pick_usable(&pick->pub, index))) {
        return index;
    }
    const struct server_local *own = pick_own(local->servers, local->candidates.count, pick->tried);
    if (own == NULL) {
        return WEIR_PICK_NONE;
    }
    const char *fault = fault_of(local, pick, index, own->server);
    if (fault != NULL) {
        static struct log_limit limit;
        module_fault(balancer->use->module);
        log_limited(&limit, WEIR_LOG_ERROR, local->pool->name,
                    "balancer \"%s\" picked %s (%u of %u); the host chose %s",
                    balancer->context.component, fault, index, local->candidates.count,
                    own->server->name);
    }
    return own->candidate;
}

/* Without a balancer: backups, when no candidate can serve. */
static struct server_local *pick_reserve(const struct pool_local *local, const struct tried *tried)
{
    return pick_own(local->reserves, local->reserve_count, tried);
}

void pool_assign(struct pool_local *local, struct attempt *attempt, struct server_local *mine)
{
    struct balancer *balancer = local->balancer;
    struct generation *before = attempt->generation;

    attempt->server = mine;
    attempt->generation = local->plan->generation;
    generation_ref(attempt->generation, local->index);
    if (before != NULL) {
        generation_unref(before, worker_of(local->home->loop));
    }
    attempt->balancer = balancer;
    balancer->refs++;
    attempt->served_by = mine->server->id;
    attempt->served = mine;
    if (balancer->ops->on_assign != NULL && !balancer->failed && mine->candidate != UINT32_MAX) {
        balancer->ops->on_assign(&balancer->context.base, balancer->data, mine->candidate);
        attempt->told_balancer = true;
    }
}

bool pool_local_takes_session(const struct pool_local *local, const struct server *server)
{
    const struct pool *pool = local->pool;

    if (server->admin == ADMIN_MAINTENANCE || server->held ||
        (!server_is_well(server) && !pool->panic_all)) {
        return false;
    }
    /* A session that began at a backup goes back to the others as soon as they can serve. */
    return !server->backup || server->locals[local->index].candidate != UINT32_MAX;
}

bool pool_local_has_untried(const struct pool_local *local, const struct tried *tried)
{
    if (tried->count == 0) {
        return local->candidates.count + local->reserve_count + local->held > 0;
    }
    for (uint32_t i = 0; i < local->candidates.count; i++) {
        if (!tried_has(tried, local->items[i].id)) {
            return true;
        }
    }
    for (uint32_t i = 0; i < local->reserve_count; i++) {
        if (!tried_has(tried, local->reserves[i]->server->id)) {
            return true;
        }
    }
    return local->held > 0;
}

/* The server of the request's session, if it has one and that takes it. Who looks it up is of the request's own
 * generation, as who names it in the response: the two tell each other by the request. */
static struct server *pick_session(const struct pool_local *local, struct attempt *attempt)
{
    const struct use *use = attempt->sticky;

    if (use == NULL || attempt->tried.count > 0) {
        return NULL;
    }
    if (!attempt->sticky_asked) {
        struct instance *instance = use_on(use, local->index);
        const struct weir_sticky *ops = use->module->descriptor.sticky;
        attempt->sticky_asked = true;
        attempt->sticky_id = ops->lookup(&instance->context.base, instance->data, attempt->request);
    }
    if (attempt->sticky_id == WEIR_NO_SERVER) {
        return NULL;
    }
    struct server *server = pool_plan_server(local->plan, attempt->sticky_id);
    return server != NULL && pool_local_takes_session(local, server) ? server : NULL;
}

/* A place at the session's server, unless others have waited for one there, or anywhere, before. */
static bool acquire_session(const struct pool_local *local, struct server *server)
{
    if (server->max_connections > 0 && atomic_load(&local->pool->queue.waiting) > 0) {
        return false;
    }
    return server_acquire(server);
}

static struct pick make_pick(const struct pool_local *local, const struct attempt *attempt,
                             bool *told)
{
    return (struct pick){
        .pub = {.size = sizeof(struct weir_pick),
                .attempt = attempt->retries,
                .candidates = &local->candidates,
                .request = attempt->request,
                .usable = pick_usable},
        .local = local,
        .tried = &attempt->tried,
        .told = told,
    };
}

static struct server_local *pick_any(struct pool_local *local, struct attempt *attempt)
{
    bool told = false;
    struct pick pick = make_pick(local, attempt, &told);

    /* Another loop may take the last place between usable and acquire: then choose again. */
    for (unsigned i = 0; i < 8 && local->candidates.count > 0; i++) {
        uint32_t index = pick_by_balancer(local, &pick);
        if (index == WEIR_PICK_NONE) {
            break;
        }
        if (server_acquire(local->servers[index]->server)) {
            return local->servers[index];
        }
    }
    struct server_local *reserve = pick_reserve(local, &attempt->tried);
    return reserve != NULL && server_acquire(reserve->server) ? reserve : NULL;
}

enum pick_result pool_pick(struct pool_local *local, struct attempt *attempt, struct server **only)
{
    struct server *session = pick_session(local, attempt);

    *only = NULL;
    attempt->sticky_known = session != NULL;
    if (session != NULL) {
        if (!acquire_session(local, session)) {
            *only = session;
            return PICK_BUSY; /* the user's data are there: better to wait than to go elsewhere */
        }
        pool_assign(local, attempt, &session->locals[local->index]);
        return PICK_SERVER;
    }
    /* No overtaking: while somebody waits for any server, all are full. */
    if (local->unlimited > 0 || likely(atomic_load(&local->pool->queue.fresh) == 0)) {
        struct server_local *chosen = pick_any(local, attempt);
        if (chosen != NULL) {
            pool_assign(local, attempt, chosen);
            return PICK_SERVER;
        }
    }
    return pool_local_has_untried(local, &attempt->tried) ? PICK_BUSY : PICK_NONE;
}

struct server_local *pool_would_pick(struct pool_local *local, struct attempt *attempt,
                                     struct server **session)
{
    bool told = false;
    struct pick pick = make_pick(local, attempt, &told);
    struct server *mine = pick_session(local, attempt);

    *session = attempt->sticky_id != WEIR_NO_SERVER
                   ? pool_plan_server(local->plan, attempt->sticky_id)
                   : NULL;
    if (mine != NULL) {
        return &mine->locals[local->index];
    }
    uint32_t index = local->candidates.count > 0 ? pick_by_balancer(local, &pick) : WEIR_PICK_NONE;
    return index != WEIR_PICK_NONE ? local->servers[index] : pick_reserve(local, &attempt->tried);
}

bool pool_score(struct pool_local *local, struct attempt *attempt, const struct server *server,
                struct weir_score *score)
{
    struct balancer *balancer = local->balancer;
    bool told = false;
    struct pick pick = make_pick(local, attempt, &told);
    uint32_t index = server->locals[local->index].candidate;

    *score = (struct weir_score){.size = sizeof(*score)};
    if (balancer->failed || balancer->ops->score == NULL || index >= local->candidates.count ||
        balancer->ops->score(&balancer->context.base, balancer->data, &pick.pub, index, score) !=
            WEIR_OK) {
        return false;
    }
    score->text[sizeof(score->text) - 1] = '\0';
    return isfinite(score->value);
}
