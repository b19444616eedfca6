/* SPDX-License-Identifier: MIT */
/*
 * Servers on their way back. See recovery.h.
 *
 * One timer serves all: it is set to the next event, a step of a slow start or the end of an
 * ejection, and then checks the servers. It is not set while no server is recovering.
 */
#include "proxy/pool/recovery.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "proxy/plan/lifetime.h"
#include "proxy/pool/members.h"
#include "proxy/pool/outcomes.h"

/* Steps of a slow start, the shortest of them, and the longest time between two. */
#define STEPS       20u
#define STEP_MIN_NS (50 * NS_PER_MS)

struct recovery {
    struct loop *loop;
    unsigned index; /* of the loop */
    struct recovery_owner owner;
    struct plan *plan; /* referenced; NULL: none yet */
    struct timer timer;
    /* While one report is handled nothing else changes a server, so its pool is counted once
     * (count_out). */
    bool reporting, counted;
    size_t out, wanted;
};

static uint64_t now_of(const struct recovery *recovery)
{
    return loop_now_ns(recovery->loop);
}

/* The pool is only compared: it may be freed. */
static const struct pool_plan *plan_of(const struct recovery *recovery, const struct pool *pool)
{
    const struct plan *plan = recovery->plan;
    for (size_t i = 0; plan != NULL && i < plan->pool_count; i++) {
        if (plan->pools[i].pool == pool) {
            return &plan->pools[i];
        }
    }
    return NULL;
}

/* ---- slow start ---- */

static uint64_t step_ns(const struct pool_plan *plan)
{
    uint64_t step = plan->settings->slow_start / STEPS;
    return step > STEP_MIN_NS ? step : STEP_MIN_NS;
}

static void slow_begin(const struct recovery *recovery, const struct pool_plan *plan,
                       struct server *server)
{
    server->back = false;
    if (plan->settings->slow_start > 0) {
        server->slow_since_ns = now_of(recovery);
        server_set_share(server, SERVER_SHARE_ONE / STEPS);
    }
}

/* One more step; true: the weight has changed. */
static bool slow_step(const struct recovery *recovery, const struct pool_plan *plan,
                      struct server *server)
{
    uint64_t whole = plan->settings->slow_start;
    uint64_t gone = now_of(recovery) - server->slow_since_ns;
    uint32_t step = gone < whole ? (uint32_t)(gone * STEPS / whole) + 1 : STEPS;

    if (step >= STEPS) {
        server->slow_since_ns = 0;
        step = STEPS;
    }
    return server_set_share(server, SERVER_SHARE_ONE * step / STEPS);
}

/* ---- ejections ---- */

/* Servers meant to serve, and how many of them do not, by probes or ejection. Those that an
 * operator has taken out or that await their first probe count as neither. */
static void count_out(struct recovery *recovery, const struct pool_plan *plan)
{
    if (recovery->counted) {
        return;
    }
    recovery->out = recovery->wanted = 0;
    for (size_t i = 0; i < plan->server_count; i++) {
        const struct server *server = plan->servers[i];
        if (server_is_wanted(server) && !server->awaiting_probe) {
            recovery->wanted++;
            recovery->out += !server_is_well(server);
        }
    }
    recovery->counted = recovery->reporting;
}

static void eject_end(struct recovery *recovery, struct server *server)
{
    server_set_ejected(server, 0, 0, "");
    server->back = true;
    log_write(WEIR_LOG_NOTICE, "health", "server %s/%s is back: its ejection has ended",
              server->pool_name, server->name);
    recovery->owner.changed(recovery->owner.arg, server);
}

enum weir_status recovery_eject(struct recovery *recovery, const struct pool_plan *plan,
                                weir_server_id id, uint64_t duration_ns, const char *reason)
{
    struct server *server = pool_plan_server(plan, id);
    char text[sizeof(server->eject_reason)];

    if (server == NULL || plan->owner != recovery->plan) {
        return WEIR_INVALID;
    }
    if (duration_ns == 0) {
        if (server->ejected) {
            recovery->counted = false;
            eject_end(recovery, server);
        }
        return WEIR_OK;
    }
    count_out(recovery, plan);
    size_t out = recovery->out + server_is_candidate(server);
    size_t limit = (size_t)(plan->max_ejected * (double)recovery->wanted + 1e-9);
    if (!server->ejected && out > limit) {
        static struct log_limit log;
        log_limited(&log, WEIR_LOG_WARNING, "health",
                    "server %s/%s stays, in spite of %s: no more than %zu of %zu servers may be "
                    "ejected or down (max_ejected = %.0f %%)",
                    server->pool_name, server->name, reason, limit, recovery->wanted,
                    plan->max_ejected * 100);
        return WEIR_DECLINED;
    }
    recovery->out = out;
    snprintf(text, sizeof(text), "ejected for %.6g s: %s",
             (double)(duration_ns / NS_PER_MS) / 1000.0, reason);
    server->slow_since_ns = 0;
    server_set_share(server, SERVER_SHARE_ONE);
    server_set_ejected(server, now_of(recovery) + duration_ns,
                       loop_wall_ms() + duration_ns / NS_PER_MS, text);
    log_write(WEIR_LOG_WARNING, "health", "server %s/%s is %s", server->pool_name, server->name,
              text);
    if (!timer_is_set(&recovery->timer) || recovery->timer.deadline_ns > server->eject_end_ns) {
        timer_set(recovery->loop, &recovery->timer, duration_ns);
    }
    recovery->owner.changed(recovery->owner.arg, server);
    return WEIR_OK;
}

/* ---- the timer ---- */

static void sooner(uint64_t *next, uint64_t time_ns)
{
    *next = time_ns < *next ? time_ns : *next;
}

/* Does what is due in one pool; `*next`: the time of the next event. */
static void pool_due(struct recovery *recovery, const struct pool_plan *plan, uint64_t *next)
{
    uint64_t now = now_of(recovery);
    bool weights = false;

    for (size_t i = 0; i < plan->server_count; i++) {
        struct server *server = plan->servers[i];
        if (server->ejected && server->eject_end_ns <= now) {
            eject_end(recovery, server);
        } else if (server->ejected) {
            sooner(next, server->eject_end_ns);
        }
        if (server->slow_since_ns > 0) {
            weights = slow_step(recovery, plan, server) || weights;
            sooner(next, server->slow_since_ns > 0 ? now + step_ns(plan) : UINT64_MAX);
        }
    }
    if (weights) {
        recovery->owner.refresh(recovery->owner.arg, plan->pool);
    }
}

static void recovery_due(struct timer *timer)
{
    struct recovery *recovery = container_of(timer, struct recovery, timer);
    const struct plan *plan = recovery->plan;
    uint64_t next = UINT64_MAX;

    for (size_t i = 0; plan != NULL && i < plan->pool_count; i++) {
        pool_due(recovery, &plan->pools[i], &next);
    }
    if (next != UINT64_MAX) {
        uint64_t now = now_of(recovery);
        timer_set(recovery->loop, timer, next > now ? next - now : 1);
    }
}

void recovery_look(struct recovery *recovery, const struct pool_plan *plan, struct server *server)
{
    if (recovery == NULL || !server->back) {
        return;
    }
    slow_begin(recovery, plan, server);
    if (server->slow_since_ns > 0) {
        uint64_t delay = step_ns(plan);
        uint64_t now = now_of(recovery);
        if (!timer_is_set(&recovery->timer) || recovery->timer.deadline_ns > now + delay) {
            timer_set(recovery->loop, &recovery->timer, delay);
        }
    }
}

/* ---- reports ---- */

void recovery_report(struct recovery *recovery, const struct outcome_report *report)
{
    const struct pool_plan *plan = plan_of(recovery, report->pool);

    recovery->reporting = true;
    for (size_t i = 0; plan != NULL && i < report->count; i++) {
        const struct outcome_entry *entry = &report->entries[i];
        const struct server *server = pool_plan_server(plan, entry->id);
        for (size_t k = 0; server != NULL && k < plan->observers.count; k++) {
            const struct use *use = plan->observers.items[k];
            struct instance *instance = use_on(use, recovery->index);
            struct weir_outcomes outcomes = {.size = sizeof(outcomes),
                                             .worker = report->worker,
                                             .id = entry->id,
                                             .name = str_from(server->name),
                                             .run_count = entry->run_count,
                                             .runs = entry->runs};
            struct call *call = call_begin(&instance->context, HOOK_ON_OUTCOMES);
            use->module->descriptor.health->on_outcomes(&instance->context.base, instance->data,
                                                        &outcomes);
            call_end(call);
        }
    }
    recovery->reporting = recovery->counted = false;
}

/* ---- life ---- */

/* Ends ejections and slow starts that the plan does not configure any more. */
static bool adopt_pool(const struct pool_plan *plan)
{
    bool changed = false;

    for (size_t i = 0; i < plan->server_count; i++) {
        struct server *server = plan->servers[i];
        if (server->ejected && plan->observers.count == 0) {
            server_set_ejected(server, 0, 0, "");
            changed = true;
        }
        if (plan->settings->slow_start == 0) {
            server->slow_since_ns = 0;
            changed = server_set_share(server, SERVER_SHARE_ONE) || changed;
        }
    }
    return changed;
}

void recovery_adopt(struct recovery *recovery, struct plan *plan)
{
    struct plan *last = recovery->plan;

    lifetime_ref(plan->life, recovery->index);
    recovery->plan = plan;
    for (size_t i = 0; i < plan->pool_count; i++) {
        if (adopt_pool(&plan->pools[i])) {
            recovery->owner.refresh(recovery->owner.arg, plan->pools[i].pool);
        }
    }
    if (last != NULL) {
        lifetime_unref(last->life, recovery->index);
    }
    recovery_due(&recovery->timer);
}

struct recovery *recovery_new(struct loop *loop, unsigned index, const struct recovery_owner *owner)
{
    struct recovery *recovery = base_zalloc(sizeof(*recovery));
    recovery->loop = loop;
    recovery->index = index;
    recovery->owner = *owner;
    recovery->timer.fn = recovery_due;
    return recovery;
}

void recovery_free(struct recovery **recovery)
{
    struct recovery *r = *recovery;
    *recovery = NULL;
    timer_cancel(r->loop, &r->timer);
    if (r->plan != NULL) {
        lifetime_unref(r->plan->life, r->index);
    }
    free(r);
}
