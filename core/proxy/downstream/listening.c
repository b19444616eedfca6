/* SPDX-License-Identifier: MIT */
/*
 * Listeners on loops: accepting begins, goes on, and ends. See listening.h.
 */
#include "proxy/downstream/listening.h"

#include <stdlib.h>

#include "base/log.h"
#include "proxy/downstream/greeting.h"

/* How often sockets that are to close are looked at; and gone listeners whose last clients are still here. */
#define LEAVE_TICK_NS (LOOP_TICK_MS * NS_PER_MS)
#define GONE_TICK_NS  (NS_PER_SECOND / 4)

static struct listener_local *local_of(const struct list *link)
{
    return container_of(link, struct listener_local, leaving);
}

static bool plan_has(const struct listener_plan *plan, const struct listen_socket *socket)
{
    for (size_t i = 0; plan != NULL && i < plan->socket_count; i++) {
        if (plan->sockets[i] == socket) {
            return true;
        }
    }
    return false;
}

static bool generation_has(const struct generation *generation, const struct listen_socket *socket)
{
    for (size_t i = 0; generation != NULL && i < generation->listener_count; i++) {
        if (plan_has(&generation->listeners[i], socket)) {
            return true;
        }
    }
    return false;
}

/* ---- accepting ---- */

static void accepting_begin(struct listener_local *local, struct listen_socket *socket)
{
    struct worker *worker = local->worker;
    int fd = listen_socket_enter(socket, worker->index);
    struct acceptor *acceptor = acceptor_new(worker->loop, fd, downstream_accepted, local);

    acceptor_set_gate(acceptor, downstream_place_take, downstream_place_back);
    if (!listener_plan_on_control(local->plan)) {
        acceptor_set_reserve(acceptor, worker->keep_reserve);
    }
    local->accepting[local->accepting_count++] = (struct accepting){socket, acceptor, NULL};
}

static bool accepting_has(const struct listener_local *local, const struct listen_socket *socket)
{
    for (size_t i = 0; i < local->accepting_count; i++) {
        if (local->accepting[i].socket == socket) {
            return true;
        }
    }
    return false;
}

/* The entry's end; its place in the array is the caller's to fill. */
static void accepting_end(struct listener_local *local, struct accepting *accepting)
{
    struct worker *worker = local->worker;

    acceptor_free(&accepting->acceptor);
    if (accepting->leaving == NULL) {
        listen_socket_pass(accepting->socket);
    } else {
        listen_socket_leave(accepting->socket, worker->index);
        generation_unkeep(accepting->leaving, worker);
    }
}

/* ---- leaving ---- */

static void begin_to_leave(struct listener_local *local)
{
    struct worker *worker = local->worker;

    if (!list_linked(&local->leaving)) {
        list_push_back(&worker->leaving, &local->leaving);
    }
    timer_set(worker->loop, &worker->leave_timer, LEAVE_TICK_NS);
}

/* Sockets that `plan` (NULL: nothing) does not have are on their way out, or another listener's now. `from`: a
 * generation that has them. */
static void accepting_leave(struct listener_local *local, const struct listener_plan *plan,
                            struct generation *from)
{
    struct worker *worker = local->worker;
    const struct generation *next = worker->draining ? NULL : worker->generation;
    size_t kept = 0;

    for (size_t i = 0; i < local->accepting_count; i++) {
        struct accepting *accepting = &local->accepting[i];
        if (accepting->leaving == NULL && !plan_has(plan, accepting->socket)) {
            if (generation_has(next, accepting->socket)) {
                accepting_end(local, accepting);
                continue;
            }
            accepting->leaving = from;
            generation_keep(from, worker->index);
            begin_to_leave(local);
        }
        local->accepting[kept++] = *accepting;
    }
    local->accepting_count = kept;
}

static void clients_drain(struct listener_local *local)
{
    list_each(link, &local->worker->clients)
    {
        struct downstream *client = container_of(link, struct downstream, link);
        if (client->local == local) {
            down_conn_drain(&client->place.c);
        }
    }
}

static void local_go(struct listener_local *local)
{
    if (local->plan == NULL || local->gone) {
        return; /* it never was here, or is on its way */
    }
    local->gone = true;
    accepting_leave(local, NULL, local->plan->generation);
    greeting_hurry_all(local);
    clients_drain(local);
    begin_to_leave(local);
}

void listener_local_adopt(struct listener_local *local, struct worker *worker,
                          struct listener_plan *plan)
{
    bool control = plan != NULL && worker->index == plan->generation->runtime->workers;

    local->worker = worker;
    if (plan == NULL || control != listener_plan_on_control(plan)) {
        local_go(local);
        return;
    }
    struct listener_plan *last = local->plan;
    local->plan = plan;
    local->gone = false;
    if (last != NULL) {
        accepting_leave(local, worker->draining ? NULL : plan, last->generation);
    }
    if (!worker->draining) {
        local->accepting =
            base_realloc(local->accepting, sizeof(*local->accepting) *
                                               (local->accepting_count + plan->socket_count + 1));
        for (size_t i = 0; i < plan->socket_count; i++) {
            if (!accepting_has(local, plan->sockets[i])) {
                accepting_begin(local, plan->sockets[i]);
            }
        }
    }
    downstream_places_look(local); /* the limit may be another one now */
}

void listener_local_leave(struct listener_local *local)
{
    if (local->plan != NULL) {
        accepting_leave(local, NULL, local->plan->generation);
        greeting_hurry_all(local);
        begin_to_leave(local);
    }
}

/* ---- the end ---- */

/* Takes who is left in the queues of sockets that are dry, and closes those. `cut`: all, and whoever is in
 * them is reset. */
static void accepting_close(struct listener_local *local, bool cut)
{
    size_t kept = 0;

    for (size_t i = 0; i < local->accepting_count; i++) {
        struct accepting *accepting = &local->accepting[i];
        bool over = accepting->leaving != NULL && atomic_load(&accepting->socket->dry) &&
                    acceptor_finish(accepting->acceptor);
        if (over || cut) {
            accepting_end(local, accepting);
        } else {
            local->accepting[kept++] = *accepting;
        }
    }
    local->accepting_count = kept;
}

static bool accepting_leaves(const struct listener_local *local)
{
    for (size_t i = 0; i < local->accepting_count; i++) {
        if (local->accepting[i].leaving != NULL) {
            return true;
        }
    }
    return false;
}

/* Whether a client of the listener may begin another request. */
static bool clients_may_ask(const struct listener_local *local)
{
    if (local->client_count == 0) {
        return false;
    }
    list_each(link, &local->worker->clients)
    {
        const struct downstream *client = container_of(link, struct downstream, link);
        if (client->local == local && !down_conn_is_last(&client->place.c)) {
            return true;
        }
    }
    return false;
}

static void bygone_end(struct worker *worker, struct generation *generation)
{
    worker_leave_pools(worker, generation);
    generation_unref(generation, worker);
}

static bool any_gone(const struct worker *worker)
{
    for (const struct list *link = worker->leaving.next; link != &worker->leaving;
         link = link->next) {
        if (local_of(link)->gone) {
            return true;
        }
    }
    return false;
}

/* Whether a listener that is gone serves under the generation, or a pool that it may use is as that one has
 * it. */
static bool is_needed(const struct worker *worker, const struct generation *generation)
{
    for (const struct list *link = worker->leaving.next; link != &worker->leaving;
         link = link->next) {
        if (local_of(link)->gone && local_of(link)->plan->generation == generation) {
            return true;
        }
    }
    for (size_t i = 0; i < generation->pool_count; i++) {
        if (generation->pools[i].pool->locals[worker->index].plan == &generation->pools[i]) {
            return true;
        }
    }
    return false;
}

/* The pools of generations that were kept, and the generations, once no gone listener is left. */
static void bygone_forget(struct worker *worker)
{
    while (worker->bygone_count > 0 && !any_gone(worker)) {
        bygone_end(worker, worker->bygone[--worker->bygone_count]);
    }
}

void listening_left(struct worker *worker, struct generation *generation)
{
    if (!any_gone(worker) || !is_needed(worker, generation)) {
        bygone_end(worker, generation);
        bygone_forget(worker);
        return;
    }
    worker->bygone =
        base_realloc(worker->bygone, sizeof(struct generation *) * (worker->bygone_count + 1));
    worker->bygone[worker->bygone_count++] = generation;
}

/* One listener's next step out; whether sockets of it are still on their way. With its last step, generations
 * that were kept go, and the listener may go with them. */
static bool local_step(struct listener_local *local)
{
    struct worker *worker = local->worker;

    accepting_close(local, false);
    bool sockets = accepting_leaves(local);
    if (sockets || !list_empty(&local->greetings)) {
        return sockets;
    }
    if (local->gone && clients_may_ask(local)) {
        return false;
    }
    list_remove(&local->leaving);
    if (local->gone) {
        downstream_places_look(local); /* its timer must not outlive it */
        local->gone = false;
        local->plan = NULL;
        bygone_forget(worker);
    }
    return false;
}

bool listening_is_over(const struct worker *worker)
{
    return list_empty(&worker->leaving);
}

void listening_tick(struct timer *timer)
{
    struct worker *worker = container_of(timer, struct worker, leave_timer);
    bool sockets = false;

    list_each(link, &worker->leaving)
    {
        sockets = local_step(local_of(link)) || sockets;
    }
    batch_flush(&worker->batch);
    if (worker->draining) {
        worker_look_drained(worker);
    } else if (!list_empty(&worker->leaving)) {
        timer_set(worker->loop, timer, sockets ? LEAVE_TICK_NS : GONE_TICK_NS);
    }
}

void listening_cut(struct worker *worker)
{
    list_each(link, &worker->leaving)
    {
        struct listener_local *local = local_of(link);
        accepting_close(local, true);
        greeting_close_all(local);
        local_step(local);
    }
    timer_cancel(worker->loop, &worker->leave_timer);
}
