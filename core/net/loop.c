/* SPDX-License-Identifier: MIT */
/*
 * The loop: turns of one libevent base, tasks and frees at their end, and messages from other
 * threads.
 *
 * A turn is one event_base_loop(EVLOOP_ONCE): poll, then all callbacks of what came. The base has
 * no locks: other threads reach it only through the queue below and its eventfd.
 */
#include "net/loop.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "net/timer.h"

/* Blocks of 4 KiB that a loop keeps for the arenas of its streams. */
#define BLOCKS_KEPT 1024

/* A stack that any thread pushes onto, and that the loop takes whole and turns round. */
struct loop_queue {
    _Atomic(struct message *) newest;
    int fd; /* eventfd: wakes the loop */
    struct event event;
};

static void wake(struct loop_queue *queue)
{
    uint64_t one = 1;
    /* It cannot be full: the counter would have to reach 2^64 unread. */
    while (write(queue->fd, &one, sizeof(one)) == -1 && errno == EINTR) {}
}

void loop_post(struct loop *loop, struct message *message)
{
    struct loop_queue *queue = loop->queue;
    struct message *newest = atomic_load_explicit(&queue->newest, memory_order_relaxed);

    do {
        message->next = newest;
    } while (!atomic_compare_exchange_weak_explicit(&queue->newest, &newest, message,
                                                    memory_order_release, memory_order_relaxed));
    /* Whoever finds it empty wakes the loop for all. */
    if (newest == NULL) {
        wake(queue);
    }
}

/* false: there was none. */
static bool take_messages(struct loop_queue *queue)
{
    struct message *message, *oldest = NULL;

    message = atomic_exchange_explicit(&queue->newest, NULL, memory_order_acquire);
    while (message != NULL) {
        struct message *next = message->next;
        message->next = oldest;
        oldest = message;
        message = next;
    }
    bool any = oldest != NULL;
    while ((message = oldest) != NULL) {
        oldest = message->next;
        message->fn(message);
    }
    return any;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    uint64_t count;
    (void)what;

    /* Read before taking: a message posted after the taking finds the queue empty and wakes
     * anew. */
    while (read(fd, &count, sizeof(count)) == -1 && errno == EINTR) {}
    take_messages(arg);
}

static struct loop_queue *queue_new(struct loop *loop)
{
    struct loop_queue *queue = calloc(1, sizeof(*queue));

    if (queue == NULL) {
        return NULL;
    }
    queue->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (queue->fd == -1) {
        free(queue);
        return NULL;
    }
    event_assign(&queue->event, loop->base, queue->fd, EV_READ | EV_PERSIST, on_wake, queue);
    if (event_add(&queue->event, NULL) != 0) {
        close(queue->fd);
        free(queue);
        return NULL;
    }
    return queue;
}

static void queue_free(struct loop_queue *queue)
{
    if (queue != NULL) {
        event_del(&queue->event);
        close(queue->fd);
        free(queue);
    }
}

static struct event_base *base_new(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;

    if (config != NULL && event_config_require_features(config, EV_FEATURE_ET | EV_FEATURE_O1 |
                                                                    EV_FEATURE_EARLY_CLOSE) == 0) {
        /* NO_CACHE_TIME: libevent would read its clock after each poll; only the wheel needs it. */
        event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_NO_CACHE_TIME |
                                          EVENT_BASE_FLAG_IGNORE_ENV);
        base = event_base_new_with_config(config);
    }
    if (config != NULL) {
        event_config_free(config);
    }
    return base;
}

struct loop *loop_new(unsigned index)
{
    struct loop *loop = calloc(1, sizeof(*loop));

    if (loop == NULL) {
        log_write(WEIR_LOG_ERROR, "loop", "cannot make loop %u: out of memory", index);
        return NULL;
    }
    loop->index = index;
    list_init(&loop->tasks);
    list_init(&loop->freed);
    arena_cache_init(&loop->blocks, BLOCKS_KEPT);
    loop->scratches = malloc(LOOP_SCRATCHES * LOOP_SCRATCH_SIZE);
    loop->scratch = loop->scratches;
    loop->output = malloc(LOOP_OUTPUT_SIZE);
    loop->base = base_new();
    if (loop->base != NULL) {
        loop->wheel = timer_wheel_new(loop);
        loop->queue = queue_new(loop);
    }
    if (loop->scratches == NULL || loop->output == NULL || loop->wheel == NULL ||
        loop->queue == NULL) {
        log_write(WEIR_LOG_ERROR, "loop", "cannot make loop %u: %s", index, strerror(errno));
        loop_free(&loop);
    }
    return loop;
}

/* Runs what was queued up to now; what tasks queue waits for the next turn. */
static void run_tasks(struct loop *loop)
{
    struct list batch, *link;

    if (list_empty(&loop->tasks)) {
        return;
    }
    list_insert_after(loop->tasks.prev, &batch);
    list_remove(&loop->tasks);
    list_init(&loop->tasks);
    while ((link = list_pop_front(&batch)) != NULL) {
        struct task *task = container_of(link, struct task, link);
        task->fn(task);
    }
}

static void run_freed(struct loop *loop)
{
    struct list *link;

    while ((link = list_pop_front(&loop->freed)) != NULL) {
        struct freed *freed = container_of(link, struct freed, link);
        freed->fn(freed);
    }
}

void loop_free(struct loop **loop)
{
    struct loop *l = *loop;

    if (l == NULL) {
        return;
    }
    for (int i = LOOP_PARTS - 1; i >= 0; i--) {
        if (l->parts[i] != NULL) {
            l->parts[i]->end(l, l->parts[i]);
        }
    }
    run_freed(l);
    timer_wheel_free(&l->wheel);
    queue_free(l->queue);
    if (l->base != NULL) {
        event_base_free(l->base);
    }
    arena_cache_free(&l->blocks);
    free(l->scratches);
    free(l->output);
    free(l);
    *loop = NULL;
}

void loop_lose(struct loop *loop, uint64_t ns)
{
    struct loop_losses *losses = &loop->losses;
    unsigned slot = loop->turn % LOOP_LOSSES;

    losses->ns += ns;
    losses->turns[slot] = loop->turn;
    losses->ends[slot] = losses->ns;
    loop_now_refresh(loop);
}

uint64_t loop_since(struct loop *loop, const struct loop_mark *mark)
{
    const struct loop_losses *losses = &loop->losses;
    uint64_t gone_ns = loop_now_ns(loop) - mark->ns;

    if (likely(losses->ns == mark->lost_ns)) {
        return gone_ns;
    }
    unsigned slot = mark->turn % LOOP_LOSSES;
    uint64_t begun = losses->turns[slot] == mark->turn && losses->ends[slot] > mark->lost_ns
                         ? losses->ends[slot]
                         : mark->lost_ns; /* when it was on its way */
    uint64_t polled = losses->at_last > begun ? losses->at_last : begun;
    uint64_t lost = (begun - mark->lost_ns) + (losses->ns - polled);

    return gone_ns > lost ? gone_ns - lost : 0;
}

void loop_run(struct loop *loop)
{
    while (!atomic_load_explicit(&loop->stopping, memory_order_relaxed)) {
        int flags = list_empty(&loop->tasks) ? EVLOOP_ONCE : EVLOOP_ONCE | EVLOOP_NONBLOCK;
        loop->now_fresh = false;
        loop->turn++;
        loop->losses.at_last = loop->losses.at_turn;
        loop->losses.at_turn = loop->losses.ns;
        /* The queue's event is always there, so that the base never runs out of events. */
        int result = event_base_loop(loop->base, flags);
        ASSERT(result == 0);
        run_tasks(loop);
        run_freed(loop);
    }
    atomic_store_explicit(&loop->stopping, false, memory_order_relaxed);
}

bool loop_settle(struct loop *loop)
{
    loop->turn++; /* limits per turn start anew */
    bool any = take_messages(loop->queue);

    any = any || !list_empty(&loop->tasks) || !list_empty(&loop->freed);
    run_tasks(loop);
    run_freed(loop);
    return any;
}

void loop_stop(struct loop *loop)
{
    atomic_store_explicit(&loop->stopping, true, memory_order_release);
    wake(loop->queue);
}

uint64_t loop_wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / NS_PER_MS;
}

void task_queue(struct loop *loop, struct task *task)
{
    if (!list_linked(&task->link)) {
        list_push_back(&loop->tasks, &task->link);
    }
}

void task_cancel(struct task *task)
{
    list_remove(&task->link);
}

void loop_free_later(struct loop *loop, struct freed *freed, void (*fn)(struct freed *freed))
{
    freed->fn = fn;
    list_push_back(&loop->freed, &freed->link);
}
