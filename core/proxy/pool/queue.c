/* SPDX-License-Identifier: MIT */
/*
 * Waiting for a place at a server. See queue.h.
 */
#include "proxy/pool/queue.h"

#include "proxy/pool/attempt.h"
#include "proxy/pool/members.h"
#include "proxy/pool/pick.h"

static struct waiter *waiter_of(const struct list *link)
{
    return container_of(link, struct waiter, link);
}

/* No server has failed it: it may go wherever a new request may. */
static bool is_fresh(const struct waiter *waiter)
{
    return waiter->only == NULL && waiter->tried->count == 0;
}

/* ---- under the queue's lock ---- */

/* Before later ones: usually at the end. */
static void insert_by_ticket(struct list *list, struct waiter *waiter)
{
    struct list *at = list->prev;

    if (at != list && waiter_of(at)->ticket > waiter->ticket) {
        at = list; /* it has waited before: search from the oldest */
        while (waiter_of(at->next)->ticket < waiter->ticket) {
            at = at->next;
        }
    }
    list_insert_after(at, &waiter->link);
}

static void queue_insert(struct pool_queue *queue, struct waiter *waiter)
{
    waiter->ticket = waiter->ticket > 0 ? waiter->ticket : ++queue->tickets;
    waiter->state = WAIT_QUEUED;
    atomic_fetch_add(&queue->waiting, 1);
    if (waiter->only != NULL) {
        insert_by_ticket(&waiter->only->waiters, waiter);
        atomic_fetch_add(&waiter->only->waiting, 1);
        return;
    }
    insert_by_ticket(&queue->any, waiter);
    if (is_fresh(waiter)) {
        atomic_fetch_add(&queue->fresh, 1);
    }
}

static void queue_remove(struct pool_queue *queue, struct waiter *waiter)
{
    list_remove(&waiter->link);
    if (waiter->only != NULL) {
        atomic_fetch_sub(&waiter->only->waiting, 1);
    } else if (is_fresh(waiter)) {
        atomic_fetch_sub(&queue->fresh, 1);
    }
    atomic_fetch_sub(&queue->waiting, 1);
}

/* The server may serve those that wait for any. */
static bool takes_anybody(const struct pool_queue *queue, const struct server *server)
{
    const struct pool *pool = container_of(queue, struct pool, queue);
    return server_is_candidate(server) ||
           (pool->panic_all && server_is_wanted(server) && !server->awaiting_probe &&
            !server->backup && !server->no_address);
}

/* The oldest waiter that may have a place at the server; NULL: none. */
static struct waiter *queue_first(const struct pool_queue *queue, const struct server *server)
{
    struct waiter *first = NULL;

    if (!list_empty(&server->waiters)) {
        first = waiter_of(server->waiters.next);
    }
    if (!takes_anybody(queue, server)) {
        return first;
    }
    list_each(link, &queue->any)
    {
        struct waiter *waiter = waiter_of(link);
        if (server->locals[waiter->local->index].adopted && !tried_has(waiter->tried, server->id)) {
            return first != NULL && first->ticket < waiter->ticket ? first : waiter;
        }
    }
    return first;
}

/* Takes the server's place for the waiter and tells its loop. */
static void queue_grant(struct pool_queue *queue, struct waiter *waiter, struct server *server)
{
    struct pool_home *home = waiter->local->home;

    queue_remove(queue, waiter);
    waiter->state = WAIT_GRANTED;
    waiter->granted = server_ref(server);
    pthread_mutex_lock(&home->grants_lock);
    list_push_back(&home->grants, &waiter->link);
    bool post = !home->grants_posted;
    home->grants_posted = true;
    pthread_mutex_unlock(&home->grants_lock);
    if (post) {
        loop_post(home->loop, &home->grants_message);
    }
}

static void serve_locked(struct pool_queue *queue, struct server *server)
{
    struct waiter *next = NULL;
    while ((next = queue_first(queue, server)) != NULL && server_acquire(server)) {
        queue_grant(queue, next, server);
    }
}

/* Grants places at every server of the loop that has room. */
static void serve_all_locked(struct pool_local *local)
{
    struct pool_queue *queue = &local->pool->queue;

    const struct ranked *all[] = {&local->own.candidates, &local->reserves};

    for (size_t k = 0; k < ARRAY_COUNT(all); k++) {
        for (uint32_t i = 0; i < all[k]->list.count && queue->waiting > 0; i++) {
            if (server_has_place(all[k]->servers[i]->server)) {
                serve_locked(queue, all[k]->servers[i]->server);
            }
        }
    }
}

/* ---- for requests ---- */

bool queue_join(struct pool_local *local, struct waiter *waiter, struct server *only)
{
    struct pool_queue *queue = &local->pool->queue;

    pthread_mutex_lock(&queue->lock);
    if (queue->waiting >= (uint32_t)local->plan->settings->queue_limit) {
        pthread_mutex_unlock(&queue->lock);
        return false;
    }
    /* Behind another fresh waiter nothing can be free: whoever freed a place has seen that one. */
    bool alone = queue->fresh == 0 || waiter->tried->count > 0 || local->unlimited > 0;
    waiter->local = local;
    waiter->only = only != NULL ? server_ref(only) : NULL;
    queue_insert(queue, waiter);
    list_push_back(&local->waiters, &waiter->own);
    if (only != NULL) {
        serve_locked(queue, only);
    } else if (alone) {
        serve_all_locked(local);
    }
    pthread_mutex_unlock(&queue->lock);
    return true;
}

/* Ends the wait and drops what it holds of the queue. */
static struct server *waiter_end(struct waiter *waiter)
{
    struct server *granted = waiter->granted;

    list_remove(&waiter->own);
    waiter->granted = NULL;
    waiter->state = WAIT_NONE;
    if (waiter->only != NULL) {
        server_unref(&waiter->only);
    }
    return granted;
}

void queue_leave(struct waiter *waiter)
{
    if (!queue_waits(waiter)) {
        return;
    }
    struct pool_queue *queue = &waiter->local->pool->queue;
    struct pool_home *home = waiter->local->home;
    pthread_mutex_lock(&queue->lock);
    if (waiter->state == WAIT_QUEUED) {
        queue_remove(queue, waiter);
    } else {
        pthread_mutex_lock(&home->grants_lock);
        list_remove(&waiter->link);
        pthread_mutex_unlock(&home->grants_lock);
    }
    pthread_mutex_unlock(&queue->lock);
    struct server *server = waiter_end(waiter);
    if (server != NULL) {
        queue_release(queue, server);
        server_unref(&server);
    }
}

void queue_release(struct pool_queue *queue, struct server *server)
{
    server_release(server);
    if (unlikely(atomic_load(&queue->waiting) > 0)) {
        pthread_mutex_lock(&queue->lock);
        serve_locked(queue, server);
        pthread_mutex_unlock(&queue->lock);
    }
}

void queue_take_grants(struct message *message)
{
    struct pool_home *home = container_of(message, struct pool_home, grants_message);

    pthread_mutex_lock(&home->grants_lock);
    home->grants_posted = false;
    pthread_mutex_unlock(&home->grants_lock);
    for (;;) {
        pthread_mutex_lock(&home->grants_lock);
        struct list *link = list_pop_front(&home->grants);
        pthread_mutex_unlock(&home->grants_lock);
        if (link == NULL) {
            break;
        }
        struct waiter *waiter = waiter_of(link);
        bool session = waiter->only != NULL;
        struct server *server = waiter_end(waiter);
        waiter->events->granted(waiter, server, session);
        server_unref(&server);
    }
    home->after(home);
}

/* ---- servers change ---- */

/* It will never be served: its session's server accepts no sessions any more, or it has tried every
 * server. */
static bool is_hopeless(const struct pool_local *local, const struct waiter *waiter)
{
    const struct server *only = waiter->only;

    if (only != NULL) {
        return pool_plan_server(local->plan, only->id) != only ||
               !pool_local_takes_session(local, only);
    }
    return !pool_local_has_untried(local, waiter->tried);
}

void queue_reconsider(struct pool_local *local)
{
    struct pool_queue *queue = &local->pool->queue;
    struct list hopeless;

    if (likely(atomic_load(&queue->waiting) == 0)) {
        return;
    }
    list_init(&hopeless);
    pthread_mutex_lock(&queue->lock);
    if (local->plan != NULL) {
        serve_all_locked(local);
    }
    list_each(own, &local->waiters)
    {
        struct waiter *waiter = container_of(own, struct waiter, own);
        if (waiter->state == WAIT_QUEUED && (local->plan == NULL || is_hopeless(local, waiter))) {
            list_remove(own);
            list_push_back(&hopeless, own);
        }
    }
    pthread_mutex_unlock(&queue->lock);
    struct list *own = NULL;
    while ((own = list_pop_front(&hopeless)) != NULL) {
        struct waiter *waiter = container_of(own, struct waiter, own);
        queue_leave(waiter);
        waiter->events->hopeless(waiter);
    }
}

/* ---- life ---- */

void pool_queue_init(struct pool_queue *queue)
{
    pthread_mutex_init(&queue->lock, NULL);
    list_init(&queue->any);
}

void pool_queue_end(struct pool_queue *queue)
{
    ASSERT(queue->waiting == 0 && list_empty(&queue->any));
    pthread_mutex_destroy(&queue->lock);
}
