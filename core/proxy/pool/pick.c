/* SPDX-License-Identifier: MIT */
/*
 * Choosing a server for an attempt. See pick.h.
 *
 * A candidate is usable if the request has not tried it and it is under its limit. A balancer's
 * choice is checked: an invalid index, or none although one is usable, is counted as its fault and
 * replaced by the host's choice. That of a shadow is checked as well, and only counted.
 */
#include "proxy/pool/pick.h"

#include <math.h>

#include "base/log.h"
#include "proxy/plan/lifetime.h"
#include "proxy/plan/plan.h"
#include "proxy/plan/trial.h"
#include "proxy/pool/balancer.h"
#include "proxy/pool/members.h"
#include "proxy/pool/ranking.h"
#include "proxy/pool/shadow.h"

struct pick {
    struct weir_pick pub;
    const struct ranked *from;
    const struct tried *tried;
    bool *told;  /* set when a usable one was seen */
    bool shadow; /* the answer is a shadow's: nothing replaces it */
};

static bool pick_usable(const struct weir_pick *pub, uint32_t index)
{
    const struct pick *pick = container_of(pub, struct pick, pub);
    if (index >= pick->from->list.count) {
        return false;
    }
    const struct server *server = pick->from->servers[index]->server;
    if (tried_has(pick->tried, server->id) || !server_has_room(server)) {
        return false;
    }
    *pick->told = true;
    return true;
}

static uint32_t rank(const struct pick *pick)
{
    return pick->pub.dry_run ? ranking_peek(pick->from->ranking, &pick->pub)
                             : ranking_pick(pick->from->ranking, &pick->pub);
}

/* By the balancer's costs, if it has any. */
static uint32_t rank_by(struct balancer *balancer, const struct pick *pick)
{
    if (balancer->ops->cost == NULL || unlikely(balancer_is_passed_over(balancer))) {
        return rank(pick);
    }
    struct call *call = call_begin(&balancer->context, HOOK_COST);
    uint32_t index = rank(pick);
    call_end_of(call, call_units(pick->from->list.count, BALANCER_UNIT));
    return index;
}

/* If another loop has taken or released the last place meanwhile, it is not the balancer's
 * fault. */
static const char *fault_of(const struct pick *pick, uint32_t index, const struct server *own)
{
    if (index == WEIR_PICK_NONE) {
        bool plenty =
            own->max_connections == 0 ||
            __atomic_load_n(&own->in_flight, __ATOMIC_RELAXED) <= own->max_connections / 2;
        return *pick->told || plenty ? "nobody, where some are usable" : NULL;
    }
    if (index >= pick->from->list.count) {
        return "a candidate that is out of range";
    }
    return tried_has(pick->tried, pick->from->servers[index]->server->id)
               ? "a candidate that was tried already"
               : NULL;
}

static uint32_t pick_by_balancer(const struct pool_local *local, struct balancer *balancer,
                                 const struct pick *pick)
{
    if (likely(balancer->ops->pick == NULL) || unlikely(balancer_is_passed_over(balancer))) {
        return rank_by(balancer, pick);
    }
    *pick->told = false;
    struct call *call = call_begin(&balancer->context, HOOK_PICK);
    uint32_t index = balancer->ops->pick(&balancer->context.base, balancer->data, &pick->pub);
    call_end_of(call, call_units(pick->from->list.count, BALANCER_UNIT));
    if (likely(index != WEIR_PICK_NONE && pick_usable(&pick->pub, index))) {
        return index;
    }
    bool told = *pick->told;
    uint32_t own = rank(pick);
    if (own == WEIR_PICK_NONE) {
        return WEIR_PICK_NONE;
    }
    *pick->told = told;
    const char *fault = fault_of(pick, index, pick->from->servers[own]->server);
    if (fault != NULL) {
        static struct log_limit limits[2];
        call_strike(&balancer->context, HOOK_PICK,
                    index == WEIR_PICK_NONE ? STRIKE_NONE : STRIKE_ANSWER);
        log_limited(&limits[pick->shadow], WEIR_LOG_ERROR, local->pool->name,
                    "%s \"%s\" picked %s (%u of %u); %s%s", pick->shadow ? "shadow" : "balancer",
                    balancer->context.component, fault, index, pick->from->list.count,
                    pick->shadow ? "that changes nothing" : "the host chose ",
                    pick->shadow ? "" : pick->from->servers[own]->server->name);
    }
    return pick->shadow ? WEIR_PICK_NONE : own;
}

/* Without a balancer: the backups, when no candidate can serve. */
static struct server_local *pick_reserve(const struct pool_local *local, const struct pick *pick)
{
    struct pick other = *pick;

    other.from = &local->reserves;
    uint32_t index = rank(&other);
    return index != WEIR_PICK_NONE ? local->reserves.servers[index] : NULL;
}

/* The arm's balancer hears of the attempt from then on; it is told, if it ranks the server. */
static void tell_assigned(const struct arm *arm, struct attempt *attempt, struct hearer *hearer)
{
    struct balancer *balancer = arm->balancer;
    const struct weir_balancer *ops = balancer->ops;
    uint32_t index = attempt->server->candidate;

    hearer->balancer = balancer;
    balancer->refs++;
    if (index == UINT32_MAX || unlikely(balancer_is_passed_over(balancer))) {
        return;
    }
    if (ops->on_sent != NULL) {
        struct call *call = call_begin(&balancer->context, HOOK_ON_SENT);
        ops->on_sent(&balancer->context.base, balancer->data, &arm->candidates.items[index]);
        call_end(call);
    } else if (ops->on_assign != NULL) {
        struct call *call = call_begin(&balancer->context, HOOK_ON_ASSIGN);
        ops->on_assign(&balancer->context.base, balancer->data, index);
        call_end(call);
    }
    hearer->told = true;
    hearer->tells_head = ops->on_head != NULL;
    attempt->tells_head |= hearer->tells_head;
}

/* The arm's balancer has it from then on, whoever chose. */
static void assign(struct pool_local *local, struct attempt *attempt, struct server_local *mine,
                   const struct arm *arm)
{
    struct lifetime *before = attempt->life;

    attempt->server = mine;
    attempt->life = local->plan->owner->life;
    lifetime_ref(attempt->life, local->index);
    if (before != NULL) {
        lifetime_unref(before, local->index);
    }
    attempt->served_by = mine->server->id;
    attempt->served = mine;
    tell_assigned(arm, attempt, &attempt->chooser);
    if (unlikely(local->shadow != NULL)) {
        tell_assigned(local->shadow, attempt, &attempt->shadow);
    }
    if (likely(mine->candidate != UINT32_MAX)) {
        balancer_changed(local, mine->candidate);
    }
    attempt->assigned =
        loop_mark(local->home->loop); /* what the balancer took is not the server's */
}

void pool_assign(struct pool_local *local, struct attempt *attempt, struct server_local *mine)
{
    attempt->trial = NULL;
    assign(local, attempt, mine, &local->own);
}

bool pool_local_takes_session(const struct pool_local *local, const struct server *server)
{
    const struct pool *pool = local->pool;

    if (server->admin == ADMIN_MAINTENANCE || server->awaiting_probe ||
        (!server_is_well(server) && !pool->panic_all)) {
        return false;
    }
    /* A session that began at a backup returns to the primaries as soon as they can serve. */
    return !server->backup || server->locals[local->index].candidate != UINT32_MAX;
}

bool pool_local_has_untried(const struct pool_local *local, const struct tried *tried)
{
    const struct ranked *all[] = {&local->own.candidates, &local->reserves};

    for (size_t k = 0; k < ARRAY_COUNT(all); k++) {
        for (uint32_t i = 0; i < all[k]->list.count; i++) {
            if (!tried_has(tried, all[k]->items[i].id)) {
                return true;
            }
        }
    }
    return local->awaiting_probe > 0;
}

/* The server of the request's session, if there is one that accepts it. Lookup and naming in the
 * response use the instance of the request's plan: the two share state through the request. */
static struct server *pick_session(const struct pool_local *local, struct attempt *attempt)
{
    const struct use *use = attempt->sticky;

    if (use == NULL || attempt->tried.count > 0 || unlikely(guard_is_out(use->guard))) {
        return NULL;
    }
    if (!attempt->sticky_asked) {
        struct instance *instance = use_on(use, local->index);
        const struct weir_sticky *ops = use->module->descriptor.sticky;
        attempt->sticky_asked = true;
        struct call *call = call_begin(&instance->context, HOOK_LOOKUP);
        attempt->sticky_id = ops->lookup(&instance->context.base, instance->data, attempt->request);
        call_end(call);
    }
    if (attempt->sticky_id == WEIR_NO_SERVER) {
        return NULL;
    }
    struct server *server = pool_plan_server(local->plan, attempt->sticky_id);
    return server != NULL && pool_local_takes_session(local, server) ? server : NULL;
}

/* A place at the session's server, unless earlier requests wait for one, there or anywhere. */
static bool acquire_session(const struct pool_local *local, struct server *server)
{
    if (server->max_connections > 0 && atomic_load(&local->pool->queue.waiting) > 0) {
        return false;
    }
    return server_acquire(server);
}

static struct pick make_pick(const struct arm *arm, const struct attempt *attempt, bool dry_run,
                             bool *told)
{
    return (struct pick){
        .pub = {.size = sizeof(struct weir_pick),
                .attempt = attempt->retries,
                .candidates = &arm->candidates.list,
                .request = attempt->request,
                .usable = pick_usable,
                .dry_run = dry_run},
        .from = &arm->candidates,
        .tried = &attempt->tried,
        .told = told,
    };
}

static struct server_local *pick_any(struct pool_local *local, const struct arm *arm,
                                     struct attempt *attempt)
{
    bool told = false;
    struct pick pick = make_pick(arm, attempt, false, &told);

    /* Another loop may take the last place after the check: then choose again. */
    for (unsigned i = 0; i < 8 && arm->candidates.list.count > 0; i++) {
        uint32_t index = pick_by_balancer(local, arm->balancer, &pick);
        if (index == WEIR_PICK_NONE) {
            break;
        }
        if (server_acquire(arm->candidates.servers[index]->server)) {
            return arm->candidates.servers[index];
        }
    }
    struct server_local *reserve = pick_reserve(local, &pick);
    return reserve != NULL && server_acquire(reserve->server) ? reserve : NULL;
}

/* What the shadow would choose; `*asked`: it was. As the pool's balancer is about to be asked, so
 * that both see the same. */
static struct server_local *ask_shadow(struct pool_local *local, struct attempt *attempt,
                                       bool dry_run, bool *asked)
{
    struct arm *arm = local->shadow;
    bool told = false;

    balancer_look(arm);
    *asked = arm->candidates.list.count > 0 && !balancer_is_passed_over(arm->balancer);
    if (!*asked) {
        return NULL;
    }
    struct pick pick = make_pick(arm, attempt, dry_run, &told);
    pick.shadow = true;
    attempt->asks_shadow = true;
    uint32_t index = pick_by_balancer(local, arm->balancer, &pick);
    attempt->asks_shadow = false;
    return index != WEIR_PICK_NONE ? arm->candidates.servers[index] : NULL;
}

/* A copy is tried: which of the two has this pick. */
static struct arm *next_arm(struct pool_local *local, struct attempt *attempt)
{
    struct trial *trial = local->plan->trial;
    const struct balancer *canary = local->canary->balancer;
    struct trial_local *mine = &trial->locals[local->index];
    bool turn = trial_turn(trial, mine) && !canary->failed && !guard_is_out(canary->context.guard);

    attempt->trial = trial;
    attempt->trial_arm = turn ? ARM_NEW : ARM_OLD;
    stat_add(&mine->picks[attempt->trial_arm], 1);
    return turn ? local->canary : &local->own;
}

enum pick_result pool_pick(struct pool_local *local, struct attempt *attempt, struct server **only)
{
    balancer_look(&local->own);
    struct server *session = pick_session(local, attempt);

    *only = NULL;
    attempt->sticky_known = session != NULL;
    if (session != NULL) {
        if (!acquire_session(local, session)) {
            *only = session;
            return PICK_BUSY; /* its data is there: waiting beats another server */
        }
        pool_assign(local, attempt, &session->locals[local->index]);
        return PICK_SERVER;
    }
    /* No overtaking: while somebody waits for any server, all are full. */
    if (local->unlimited > 0 || likely(atomic_load(&local->pool->queue.fresh) == 0)) {
        struct server_local *shadowed = NULL;
        struct arm *arm = &local->own;
        bool asked = false;
        attempt->trial = NULL;
        if (unlikely(local->shadow != NULL)) {
            shadowed = ask_shadow(local, attempt, false, &asked);
        }
        if (unlikely(local->canary != NULL)) {
            arm = next_arm(local, attempt);
        }
        struct server_local *chosen = pick_any(local, arm, attempt);
        if (chosen != NULL) {
            if (unlikely(asked) && chosen->candidate != UINT32_MAX) { /* not a backup */
                shadow_count(local, attempt, chosen, shadowed);
            }
            assign(local, attempt, chosen, arm);
            return PICK_SERVER;
        }
    }
    return pool_local_has_untried(local, &attempt->tried) ? PICK_BUSY : PICK_NONE;
}

struct server_local *pool_would_pick(struct pool_local *local, struct attempt *attempt,
                                     struct server **session)
{
    bool told = false;
    balancer_look(&local->own);
    struct pick pick = make_pick(&local->own, attempt, true, &told);
    struct server *mine = pick_session(local, attempt);

    *session = attempt->sticky_id != WEIR_NO_SERVER
                   ? pool_plan_server(local->plan, attempt->sticky_id)
                   : NULL;
    if (mine != NULL) {
        return &mine->locals[local->index];
    }
    uint32_t index = local->own.candidates.list.count > 0
                         ? pick_by_balancer(local, local->own.balancer, &pick)
                         : WEIR_PICK_NONE;
    return index != WEIR_PICK_NONE ? local->own.candidates.servers[index]
                                   : pick_reserve(local, &pick);
}

struct server_local *pool_shadow_would_pick(struct pool_local *local, struct attempt *attempt)
{
    bool asked = false;
    return local->shadow != NULL ? ask_shadow(local, attempt, true, &asked) : NULL;
}

bool pool_score(struct pool_local *local, struct attempt *attempt, const struct server *server,
                struct weir_score *score)
{
    struct balancer *balancer = local->own.balancer;
    bool told = false;
    struct pick pick = make_pick(&local->own, attempt, true, &told);
    uint32_t index = server->locals[local->index].candidate;

    *score = (struct weir_score){.size = sizeof(*score)};
    if (index >= local->own.candidates.list.count) {
        return false;
    }
    bool passed_over = balancer_is_passed_over(balancer);
    bool ranked = passed_over || balancer->ops->pick == NULL;
    if (ranked && !ranking_score(local->own.candidates.ranking, &pick.pub, index, score)) {
        return false;
    }
    double value = score->value;
    if (balancer->ops->score != NULL && !passed_over) {
        struct call *call = call_begin(&balancer->context, HOOK_SCORE);
        enum weir_status status =
            balancer->ops->score(&balancer->context.base, balancer->data, &pick.pub, index, score);
        call_end(call);
        score->text[sizeof(score->text) - 1] = '\0';
        bool told_value = status == WEIR_OK && isfinite(score->value);
        if (!ranked) {
            return told_value;
        }
        score->value = told_value ? score->value : value;
    }
    return ranked;
}
