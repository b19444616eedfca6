/* SPDX-License-Identifier: MIT */
/*
 * A pool's shadow: a balancer that is asked for each pick whom it would choose, and not obeyed. It
 * hears how all requests of the pool really went; what it says is counted, beside what the pool's
 * balancer chose.
 *
 * Where the two differ, the request counts as *shadowed* at both servers until it ends: one more
 * at the shadow's choice, one less where it runs. So a server's requests in flight and its
 * shadowed ones add up to what it would have if the shadow had been obeyed; requests that no
 * balancer chooses a server for (sessions, those that have waited, backups) count where they run.
 *
 * Thread: that of the loop; shadow_sum and the like: any.
 */
#ifndef PROXY_POOL_SHADOW_H
#define PROXY_POOL_SHADOW_H

#include <weir/http.h>

#include "proxy/pool/attempt.h"
#include "proxy/pool/pool.h"

/* A shadow begins on the loop: nothing is counted yet. The plan is set. */
void shadow_begin(struct pool_local *local);

/* The loop's candidates have been built anew: whether the shadow could take them. */
void shadow_note_state(struct pool_local *local);

/* The server has left the loop's plan. What runs counts until it ends. */
void shadow_forget(struct server_local *mine);

/* The pool's balancer has chosen `real` for the attempt, whose place is taken already, and the
 * shadow `choice`; NULL: nobody. */
void shadow_count(struct pool_local *local, struct attempt *attempt, struct server_local *real,
                  struct server_local *choice);

/* The attempt, which the shadow has heard of, leaves its server. */
void shadow_leave(struct attempt *attempt, enum weir_outcome outcome);

/* ---- reading ---- */

/* What all loops have counted. Loops count on meanwhile, and yet it agreed with no more picks than
 * it was asked for. */
struct shadow_counts shadow_sum(const struct pool *pool);

/* It is not asked for now, and why; empty: it is. */
struct shadow_out {
    char reason[128];
};
struct shadow_out shadow_out(const struct pool_plan *plan);

/* The same of a server; first_byte_us is the mean of the loops that know it. */
struct shadow_choices shadow_sum_of(const struct server *server);

/* How many requests would be at the server now if the shadow had been obeyed. */
static inline uint32_t shadow_in_flight(const struct server *server)
{
    int64_t sum = (int64_t)__atomic_load_n(&server->in_flight, __ATOMIC_RELAXED) +
                  atomic_load_explicit(&server->shadowed, memory_order_relaxed);
    return sum > 0 ? (uint32_t)sum : 0; /* a request may come or go between the two */
}

/* How long one would wait at a server where one waits `wait` with so many requests, the shadow's
 * own among them, instead of so many. Longer in proportion where they would be more, as at a
 * server that is busy; never shorter, as it may not be. */
static inline double shadow_wait(double wait, uint32_t would_be, uint32_t are)
{
    return would_be > are && are > 0 ? wait * would_be / are : wait;
}

/* The mean wait of what the shadow chose, or with `real` of what was chosen in its place,
 * milliseconds; negative: unknown. */
double shadow_mean_ms(const struct shadow_counts *sum, bool real);

/* How long one waits at the server, and would wait if the shadow were obeyed, now; milliseconds,
 * negative: unknown. */
double shadow_wait_ms(const struct shadow_choices *sum);
double shadow_predicted_ms(const struct server *server, const struct shadow_choices *sum);

#endif
