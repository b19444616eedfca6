/* SPDX-License-Identifier: MIT */
/*
 * Waiting for a place at a server. See queue.h.
 */
#include "proxy/pool/queue.h"

#include "proxy/stream/stream.h"

static struct stream *stream_of_waiter(const struct list *link)
{
    return container_of(container_of(link, struct waiter, link), struct stream, wait);
}

/* No server has failed it: new arrivals have no right that it has not. */
static bool is_fresh(const struct stream *stream)
{
    return stream->wait.only == NULL && stream->tried_count == 0;
}

/* ---- under the queue's lock ---- */

/* Before those that came later: as a rule at the end. */
static void insert_by_ticket(struct list *list, struct waiter *waiter)
{
    struct list *at = list->prev;

    if (at != list && container_of(at, struct waiter, link)->ticket > waiter->ticket) {
        at = list; /* it has waited before: it belongs to the oldest */
        while (container_of(at->next, struct waiter, link)->ticket < waiter->ticket) {
            at = at->next;
        }
    }
    list_insert_after(at, &waiter->link);
}

static void queue_insert(struct pool_queue *queue, struct stream *stream)
{
    struct waiter *waiter = &stream->wait;

    waiter->ticket = waiter->ticket > 0 ? waiter->ticket : ++queue->tickets;
    waiter->state = WAIT_QUEUED;
    atomic_fetch_add(&queue->waiting, 1);
    if (waiter->only != NULL) {
        insert_by_ticket(&waiter->only->waiters, waiter);
        atomic_fetch_add(&waiter->only->waiting, 1);
        return;
    }
    insert_by_ticket(&queue->any, waiter);
    if (is_fresh(stream)) {
        atomic_fetch_add(&queue->fresh, 1);
    }
}

static void queue_remove(struct pool_queue *queue, struct stream *stream)
{
    struct waiter *waiter = &stream->wait;

    list_remove(&waiter->link);
    if (waiter->only != NULL) {
        atomic_fetch_sub(&waiter->only->waiting, 1);
    } else if (is_fresh(stream)) {
        atomic_fetch_sub(&queue->fresh, 1);
    }
    atomic_fetch_sub(&queue->waiting, 1);
}

/* The server may have streams that wait for any. */
static bool takes_anybody(const struct pool_queue *queue, const struct server *server)
{
    const struct pool *pool = container_of(queue, struct pool, queue);
    return server_is_candidate(server) || (pool->panic_all && server_is_wanted(server) &&
                                           !server->held && !server->backup && !server->placeless);
}

/* The oldest one that may have a place at the server; NULL: none. */
static struct stream *queue_first(const struct pool_queue *queue, const struct server *server)
{
    struct stream *first = NULL;

    if (!list_empty(&server->waiters)) {
        first = stream_of_waiter(server->waiters.next);
    }
    if (!takes_anybody(queue, server)) {
        return first;
    }
    list_each(link, &queue->any)
    {
        struct stream *stream = stream_of_waiter(link);
        if (server->locals[stream->worker->index].adopted && !stream_tried(stream, server->id)) {
            return first != NULL && first->wait.ticket < stream->wait.ticket ? first : stream;
        }
    }
    return first;
}

/* The server's place is taken for the stream; its loop will hear of it. */
static void queue_grant(struct pool_queue *queue, struct stream *stream, struct server *server)
{
    struct waiter *waiter = &stream->wait;
    struct worker *worker = stream->worker;
    struct grants *grants = &worker->grants;

    queue_remove(queue, stream);
    waiter->state = WAIT_GRANTED;
    waiter->granted = server_ref(server);
    pthread_mutex_lock(&grants->lock);
    list_push_back(&grants->list, &waiter->link);
    bool post = !grants->posted;
    grants->posted = true;
    pthread_mutex_unlock(&grants->lock);
    if (post) {
        loop_post(worker->loop, &grants->message);
    }
}

static void serve_locked(struct pool_queue *queue, struct server *server)
{
    struct stream *next = NULL;
    while ((next = queue_first(queue, server)) != NULL && server_acquire(server)) {
        queue_grant(queue, next, server);
    }
}

/* Every server of the loop's that has room. */
static void serve_all_locked(struct pool_local *local)
{
    struct pool_queue *queue = &local->pool->queue;

    for (uint32_t i = 0; i < local->candidates.count && queue->waiting > 0; i++) {
        if (server_has_place(local->servers[i]->server)) {
            serve_locked(queue, local->servers[i]->server);
        }
    }
    for (uint32_t i = 0; i < local->reserve_count && queue->waiting > 0; i++) {
        serve_locked(queue, local->reserves[i]->server);
    }
}

/* ---- for streams ---- */

bool queue_join(struct pool_local *local, struct stream *stream, struct server *only)
{
    struct pool_queue *queue = &local->pool->queue;

    pthread_mutex_lock(&queue->lock);
    if (queue->waiting >= (uint32_t)local->plan->settings->queue_limit) {
        pthread_mutex_unlock(&queue->lock);
        return false;
    }
    /* Behind another fresh one nothing can be free: who freed a place meanwhile has seen that one. */
    bool alone = queue->fresh == 0 || stream->tried_count > 0 || local->unlimited > 0;
    stream->wait.only = only != NULL ? server_ref(only) : NULL;
    queue_insert(queue, stream);
    list_push_back(&local->waiters, &stream->wait.own);
    if (only != NULL) {
        serve_locked(queue, only);
    } else if (alone) {
        serve_all_locked(local);
    }
    pthread_mutex_unlock(&queue->lock);
    return true;
}

/* It waits no more: what it held of the queue's goes. */
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

void queue_leave(struct stream *stream)
{
    struct waiter *waiter = &stream->wait;
    struct pool *pool = stream->pool->pool;
    struct grants *grants = &stream->worker->grants;

    if (!queue_waits(waiter)) {
        return;
    }
    pthread_mutex_lock(&pool->queue.lock);
    if (waiter->state == WAIT_QUEUED) {
        queue_remove(&pool->queue, stream);
    } else {
        pthread_mutex_lock(&grants->lock);
        list_remove(&waiter->link);
        pthread_mutex_unlock(&grants->lock);
    }
    pthread_mutex_unlock(&pool->queue.lock);
    struct server *server = waiter_end(waiter);
    if (server != NULL) {
        server_release(server);
        queue_place_free(&pool->queue, server);
        server_unref(&server);
    }
}

void queue_serve(struct pool_queue *queue, struct server *server)
{
    pthread_mutex_lock(&queue->lock);
    serve_locked(queue, server);
    pthread_mutex_unlock(&queue->lock);
}

/* On the loop: places have been given to streams of its own. */
static void grants_received(struct message *message)
{
    struct grants *grants = container_of(message, struct grants, message);
    struct worker *worker = container_of(grants, struct worker, grants);

    pthread_mutex_lock(&grants->lock);
    grants->posted = false;
    pthread_mutex_unlock(&grants->lock);
    for (;;) {
        pthread_mutex_lock(&grants->lock);
        struct list *link = list_pop_front(&grants->list);
        pthread_mutex_unlock(&grants->lock);
        if (link == NULL) {
            break;
        }
        struct stream *stream = stream_of_waiter(link);
        bool session = stream->wait.only != NULL;
        struct server *server = waiter_end(&stream->wait);
        stream_granted(stream, server, session);
        server_unref(&server);
    }
    batch_flush(&worker->batch);
}

/* ---- servers change ---- */

/* Nobody will ever call it: its session's server takes no sessions any more, or there is no server left
 * that it has not tried. */
static bool is_hopeless(const struct pool_local *local, const struct stream *stream)
{
    const struct server *only = stream->wait.only;

    if (only != NULL) {
        return pool_plan_server(local->plan, only->id) != only ||
               !pool_local_takes_session(local, only);
    }
    return !pool_local_has_untried(local, stream);
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
        struct stream *stream = container_of(own, struct stream, wait.own);
        if (stream->wait.state == WAIT_QUEUED &&
            (local->plan == NULL || is_hopeless(local, stream))) {
            list_remove(own);
            list_push_back(&hopeless, own);
        }
    }
    pthread_mutex_unlock(&queue->lock);
    struct list *own = NULL;
    while ((own = list_pop_front(&hopeless)) != NULL) {
        stream_reassign(container_of(own, struct stream, wait.own));
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

void grants_init(struct grants *grants)
{
    pthread_mutex_init(&grants->lock, NULL);
    list_init(&grants->list);
    grants->message.fn = grants_received;
}

void grants_end(struct grants *grants)
{
    pthread_mutex_destroy(&grants->lock);
}
