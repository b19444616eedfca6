/* SPDX-License-Identifier: MIT */
/*
 * Counting what shadows choose. See shadow.h.
 */
#include "proxy/pool/shadow.h"

#include <stdio.h>

#include "module/guard.h"
#include "proxy/plan/plan.h"
#include "proxy/pool/balancer.h"

static void set(uint64_t *counter, uint64_t value)
{
    __atomic_store_n(counter, value, __ATOMIC_RELAXED);
}

void shadow_forget(struct server_local *mine)
{
    set(&mine->shadow.picked, 0);
    set(&mine->shadow.chosen, 0);
    __atomic_store_n(&mine->shadow.first_byte_us, 0, __ATOMIC_RELAXED);
}

void shadow_begin(struct pool_local *local)
{
    struct shadow_counts *counts = &local->shadowed;
    uint64_t *all[] = {&counts->asked, &counts->agreed,  &counts->none,
                       &counts->waits, &counts->wait_us, &counts->predicted_us};

    for (size_t i = 0; i < ARRAY_COUNT(all); i++) {
        set(all[i], 0);
    }
    set(&counts->since_ms, loop_wall_ms());
    for (size_t i = 0; i < local->plan->server_count; i++) {
        shadow_forget(&local->plan->servers[i]->locals[local->index]);
    }
}

void shadow_note_state(struct pool_local *local)
{
    const struct balancer *balancer = local->shadow->balancer;
    bool cannot_begin = balancer->out && !guard_is_out(balancer->context.guard);

    set(&local->shadowed.failed, balancer->failed ? HOOK_ON_MEMBERS + 1
                                 : cannot_begin   ? HOOK_CREATE + 1
                                                  : 0);
}

/* ---- a pick ---- */

/* Both at once, or neither: else the two sums would not be of the same picks. */
static void count_waits(struct shadow_counts *counts, const struct server_local *real,
                        const struct server_local *choice)
{
    const struct server *server = choice->server;
    uint32_t here = __atomic_load_n(&server->in_flight, __ATOMIC_RELAXED) + (choice != real);
    uint32_t wait = real->shadow.first_byte_us, other = choice->shadow.first_byte_us;

    if (wait > 0 && other > 0) {
        double predicted = shadow_wait(other, shadow_in_flight(server), here);
        stat_add(&counts->waits, 1);
        stat_add(&counts->wait_us, wait);
        stat_add(&counts->predicted_us, (uint64_t)predicted);
    }
}

static void move(struct server *from, struct server *to)
{
    atomic_fetch_add_explicit(&to->shadowed, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&from->shadowed, 1, memory_order_relaxed);
}

void shadow_count(struct pool_local *local, struct attempt *attempt, struct server_local *real,
                  struct server_local *choice)
{
    struct shadow_counts *counts = &local->shadowed;

    stat_add(&counts->asked, 1);
    stat_add(&real->shadow.picked, 1);
    if (choice == NULL) {
        stat_add(&counts->none, 1);
        return;
    }
    stat_add(&choice->shadow.chosen, 1);
    if (choice == real) {
        stat_add(&counts->agreed, 1);
    } else {
        attempt->choice = choice;
        move(real->server, choice->server);
    }
    count_waits(counts, real, choice);
}

/* ---- the end ---- */

/* Only good answers: one that fails at once would look fast. */
static void note_wait(struct server_local *mine, uint64_t first_byte_ns)
{
    uint64_t us = first_byte_ns / 1000;
    uint32_t now = us == 0 ? 1 : us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
    uint32_t old = mine->shadow.first_byte_us;
    /* As the server's latency: about the last ten requests weigh. */
    int64_t smoothed = old == 0 ? now : old + ((int64_t)now - old) / 8;

    __atomic_store_n(&mine->shadow.first_byte_us, (uint32_t)smoothed, __ATOMIC_RELAXED);
}

void shadow_leave(struct attempt *attempt, enum weir_outcome outcome)
{
    if (outcome == WEIR_OUTCOME_SUCCESS && attempt->first_byte_ns > 0) {
        note_wait(attempt->server, attempt->first_byte_ns);
    }
    if (attempt->choice != NULL) {
        move(attempt->choice->server, attempt->server->server);
        attempt->choice = NULL;
    }
}

/* ---- reading ---- */

static uint64_t get(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

struct shadow_counts shadow_sum(const struct pool *pool)
{
    struct shadow_counts sum = {0};

    for (unsigned i = 0; i < pool->loops; i++) {
        const struct shadow_counts *from = &pool->locals[i].shadowed;
        uint64_t since_ms = get(&from->since_ms);
        sum.since_ms = since_ms > sum.since_ms ? since_ms : sum.since_ms;
        uint64_t asked = get(&from->asked), agreed = get(&from->agreed), none = get(&from->none);
        /* The loop may have counted, or begun anew, between the three. */
        agreed = agreed < asked ? agreed : asked;
        none = none < asked - agreed ? none : asked - agreed;
        sum.asked += asked;
        sum.agreed += agreed;
        sum.none += none;
        sum.waits += get(&from->waits);
        sum.wait_us += get(&from->wait_us);
        sum.predicted_us += get(&from->predicted_us);
    }
    return sum;
}

/* Of the pool's workers, those where a hook of the shadow has failed: *hook, if there are any. */
static unsigned failed_on(const struct pool *pool, enum module_hook *hook)
{
    unsigned count = 0;

    for (unsigned i = 0; i < pool_workers(pool); i++) {
        uint64_t failed = get(&pool->locals[i].shadowed.failed);
        if (failed > 0) {
            *hook = (enum module_hook)(failed - 1);
            count++;
        }
    }
    return count;
}

struct shadow_out shadow_out(const struct pool_plan *plan)
{
    struct guard *guard = plan->shadow->guard;
    struct shadow_out out = {""};
    enum module_hook hook;
    unsigned failed = failed_on(plan->pool, &hook);

    if (guard->quarantined) {
        snprintf(out.reason, sizeof(out.reason), "its module is in quarantine");
    } else if (guard_is_out(guard)) {
        struct guard_fall fall = guard_why(guard);
        snprintf(out.reason, sizeof(out.reason), "%lld strikes within 10 s, the last one of %s: %s",
                 (long long)guard->conf.strikes, module_hook_name(fall.hook),
                 strike_name(fall.strike));
    } else if (failed > 0) {
        snprintf(out.reason, sizeof(out.reason), "%s failed on %u of %u workers",
                 module_hook_name(hook), failed, pool_workers(plan->pool));
    }
    return out;
}

struct shadow_choices shadow_sum_of(const struct server *server)
{
    struct shadow_choices sum = {0};
    uint64_t first_byte_us = 0;
    unsigned known = 0;

    for (unsigned i = 0; i < server->loops; i++) {
        const struct shadow_choices *from = &server->locals[i].shadow;
        uint32_t us = __atomic_load_n(&from->first_byte_us, __ATOMIC_RELAXED);
        sum.picked += get(&from->picked);
        sum.chosen += get(&from->chosen);
        first_byte_us += us;
        known += us > 0;
    }
    sum.first_byte_us = known > 0 ? (uint32_t)(first_byte_us / known) : 0;
    return sum;
}

double shadow_mean_ms(const struct shadow_counts *sum, bool real)
{
    double us = (double)(real ? sum->wait_us : sum->predicted_us);
    return sum->waits > 0 ? us / (double)sum->waits / 1000 : -1;
}

double shadow_wait_ms(const struct shadow_choices *sum)
{
    return sum->first_byte_us > 0 ? sum->first_byte_us / 1000.0 : -1;
}

double shadow_predicted_ms(const struct server *server, const struct shadow_choices *sum)
{
    uint32_t are = __atomic_load_n(&server->in_flight, __ATOMIC_RELAXED);
    return shadow_wait(shadow_wait_ms(sum), shadow_in_flight(server) + 1, are + 1);
}
