/* SPDX-License-Identifier: MIT */
/*
 * Choosing a server for a stream, and waiting for one. See pool.h.
 *
 * A candidate is usable for a stream when the stream has not tried it and it is under its limit. What a
 * balancer returns is checked; a wrong index is its fault, counted, and mended by a choice of our own.
 */
#include <stdlib.h>

#include "base/log.h"
#include "proxy/generation.h"
#include "proxy/stream.h"

struct pick {
    struct weir_pick pub;
    const struct pool_local *local;
    const struct stream *stream;
};

static bool stream_tried(const struct stream *stream, weir_server_id id)
{
    for (unsigned i = 0; i < stream->tried_count; i++) {
        if (stream->tried[i] == id) {
            return true;
        }
    }
    return false;
}

static bool pick_usable(const struct weir_pick *pub, uint32_t index)
{
    const struct pick *pick = container_of(pub, struct pick, pub);
    if (index >= pick->local->candidates.count) {
        return false;
    }
    const struct server *server = pick->local->servers[index]->server;
    return !stream_tried(pick->stream, server->id) && server_has_room(server);
}

/* The host's own choice: usable and least loaded. */
static uint32_t pick_least_loaded(const struct pick *pick)
{
    const struct pool_local *local = pick->local;
    uint32_t best = WEIR_PICK_NONE;
    uint32_t best_load = UINT32_MAX;

    for (uint32_t i = 0; i < local->candidates.count; i++) {
        uint32_t load = weir_candidate_in_flight(&local->items[i]);
        if (load < best_load && pick_usable(&pick->pub, i)) {
            best = i;
            best_load = load;
        }
    }
    return best;
}

static uint32_t pick_by_balancer(struct pool_local *local, const struct pick *pick)
{
    struct balancer *balancer = local->balancer;

    if (unlikely(balancer->failed)) {
        return pick_least_loaded(pick);
    }
    uint32_t index = balancer->ops->pick(&balancer->context.base, balancer->data, &pick->pub);
    if (likely(index != WEIR_PICK_NONE && pick_usable(&pick->pub, index))) {
        return index;
    }
    uint32_t own = pick_least_loaded(pick);
    if (index != WEIR_PICK_NONE && own != WEIR_PICK_NONE) {
        static struct log_limit limit;
        balancer->bad_picks++;
        log_limited(&limit, WEIR_LOG_ERROR, local->pool->name,
                    "balancer \"%s\" picked candidate %u of %u, which is %s; chose another",
                    balancer->context.component, index, local->candidates.count,
                    index < local->candidates.count ? "not usable" : "out of range");
    }
    return own;
}

/* The server is given to the stream: its place is already taken. */
static void pick_assign(struct pool_local *local, struct stream *stream, struct server_local *mine)
{
    struct balancer *balancer = local->balancer;

    stream->server = mine;
    stream->server_generation = local->plan->generation;
    generation_ref(stream->server_generation, local->worker->index);
    stream->balancer = balancer;
    balancer->refs++;
    stream->served_by = mine->server->id;
    if (balancer->ops->on_assign != NULL && !balancer->failed && mine->candidate != UINT32_MAX) {
        balancer->ops->on_assign(&balancer->context.base, balancer->data, mine->candidate);
        stream->told_balancer = true;
    }
}

static bool pick_sticky(struct pool_local *local, struct stream *stream)
{
    const struct use *use = local->plan->sticky;

    if (use == NULL || stream->tried_count > 0) {
        return false;
    }
    if (!stream->sticky_asked) {
        struct instance *instance = use_on(use, local->worker->index);
        const struct weir_sticky *ops = use->module->descriptor.sticky;
        stream->sticky_asked = true;
        stream->sticky_id =
            ops->lookup(&instance->context.base, instance->data, &stream->request_handle);
    }
    if (stream->sticky_id == WEIR_NO_SERVER) {
        return false;
    }
    struct server *server = pool_plan_server(local->plan, stream->sticky_id);
    return server != NULL && server_takes_sticky(server);
}

enum pick_result pool_pick(struct pool_local *local, struct stream *stream,
                           struct server_local **chosen)
{
    struct pick pick = {
        .pub = {.size = sizeof(pick.pub),
                .attempt = stream->retries,
                .candidates = &local->candidates,
                .request = &stream->request_handle,
                .usable = pick_usable},
        .local = local,
        .stream = stream,
    };

    stream->sticky_known = false;
    if (pick_sticky(local, stream)) {
        struct server *server = pool_plan_server(local->plan, stream->sticky_id);
        if (!server_acquire(server)) {
            return PICK_BUSY; /* the user's data are there: better to wait than to go elsewhere */
        }
        stream->sticky_known = true;
        *chosen = &server->locals[local->worker->index];
        pick_assign(local, stream, *chosen);
        return PICK_SERVER;
    }
    if (local->candidates.count == 0) {
        return PICK_NONE;
    }
    /* Another loop may take the last place between usable and acquire: then choose again. */
    for (unsigned i = 0; i < 8; i++) {
        uint32_t index = pick_by_balancer(local, &pick);
        if (index == WEIR_PICK_NONE) {
            break;
        }
        struct server_local *mine = local->servers[index];
        if (server_acquire(mine->server)) {
            *chosen = mine;
            pick_assign(local, stream, mine);
            return PICK_SERVER;
        }
    }
    for (uint32_t i = 0; i < local->candidates.count; i++) {
        if (!stream_tried(stream, local->items[i].id)) {
            return PICK_BUSY;
        }
    }
    return PICK_NONE;
}

/* ---- waiting ---- */

bool pool_queue(struct pool_local *local, struct stream *stream)
{
    struct pool *pool = local->pool;
    uint32_t limit = (uint32_t)local->plan->settings->queue_limit;

    if (atomic_fetch_add(&pool->waiting, 1) >= limit) {
        atomic_fetch_sub(&pool->waiting, 1);
        return false;
    }
    atomic_fetch_add(&local->waiting, 1);
    list_push_back(&local->queue, &stream->queue_link);
    return true;
}

void pool_unqueue(struct pool_local *local, struct stream *stream)
{
    if (list_linked(&stream->queue_link)) {
        list_remove(&stream->queue_link);
        atomic_fetch_sub(&local->waiting, 1);
        atomic_fetch_sub(&local->pool->waiting, 1);
    }
}

/* Waiters that cannot be served (their own server is busy) and are passed over in one go. */
#define QUEUE_PASSED_MAX 16

/* Serves this loop's queue in order of arrival, as long as somebody gets a place. */
static void queue_serve(struct pool_local *local)
{
    unsigned passed = 0;
    list_each(link, &local->queue)
    {
        if (!stream_wake(container_of(link, struct stream, queue_link)) &&
            ++passed == QUEUE_PASSED_MAX) {
            return;
        }
    }
}

struct wake_message {
    struct message message;
    struct pool_local *local;
};

static void wake_received(struct message *message)
{
    struct wake_message *wake = container_of(message, struct wake_message, message);
    struct pool_local *local = wake->local;
    free(wake);
    queue_serve(local);
    batch_flush(&local->worker->batch);
}

void pool_wake(struct pool_local *local)
{
    struct pool *pool = local->pool;
    if (likely(atomic_load_explicit(&pool->waiting, memory_order_relaxed) == 0)) {
        return;
    }
    /* Loops take turns, beginning behind this one, so that no loop's queue starves. */
    for (unsigned i = 1; i <= pool->loops; i++) {
        struct pool_local *other = &pool->locals[(local->worker->index + i) % pool->loops];
        if (atomic_load(&other->waiting) == 0) {
            continue;
        }
        if (other == local) {
            task_queue(local->worker->loop, &local->serve);
            return;
        }
        struct wake_message *wake = base_zalloc(sizeof(*wake));
        wake->message.fn = wake_received;
        wake->local = other;
        loop_post(other->worker->loop, &wake->message);
        return;
    }
}

void pool_serve_task(struct task *task)
{
    struct pool_local *local = container_of(task, struct pool_local, serve);
    queue_serve(local);
    batch_flush(&local->worker->batch);
}
