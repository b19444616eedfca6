/* SPDX-License-Identifier: MIT */
/*
 * Time, timers and posts. Time stands still but for weir_test_advance.
 *
 * A freed timer stays in the list until the end of the test, without its context, so that a second
 * use is told and not a crash.
 */
#include "fake.h"

#include <stdlib.h>

struct weir_timer *fake_timer_new(struct weir_context *ctx, weir_timer_fn fn, void *arg)
{
    struct weir_test *host = fake_context(ctx)->host;
    if (fn == NULL) {
        fake_problem(host, "a timer was made without a function");
        return NULL;
    }
    if (fake_alloc_fails(host)) {
        return NULL;
    }
    struct weir_timer *timer = fake_alloc(sizeof(*timer));
    *timer = (struct weir_timer){
        .next = host->timers, .ctx = fake_context(ctx), .host = host, .fn = fn, .arg = arg};
    host->timers = timer;
    timer->ctx->timers++;
    return timer;
}

static bool timer_lives(struct weir_timer *timer, const char *action, const char *function)
{
    fake_check_thread(timer->host, function);
    if (timer->ctx == NULL) {
        fake_problem(timer->host, "a timer was %s after it was freed", action);
        return false;
    }
    return true;
}

void fake_timer_set(struct weir_timer *timer, uint64_t delay_ns)
{
    if (timer_lives(timer, "set", __func__)) {
        timer->set = true;
        if (__builtin_add_overflow(timer->host->now_ns, delay_ns, &timer->due_ns)) {
            timer->due_ns = UINT64_MAX;
        }
        timer->order = timer->host->timer_order++;
    }
}

void fake_timer_cancel(struct weir_timer *timer)
{
    if (timer_lives(timer, "cancelled", __func__)) {
        timer->set = false;
    }
}

void fake_timer_free(struct weir_timer *timer)
{
    if (timer != NULL && timer_lives(timer, "freed", __func__)) {
        timer->ctx->timers--;
        timer->ctx = NULL;
        timer->set = false;
    }
}

void fake_timers_free(struct weir_test *host)
{
    while (host->timers != NULL) {
        struct weir_timer *timer = host->timers;
        host->timers = timer->next;
        free(timer);
    }
}

static void add_post(struct weir_context *ctx, weir_post_fn fn, void *arg)
{
    struct weir_test *host = fake_context_any(ctx)->host;
    struct fake_post *post = fake_alloc(sizeof(*post));

    *post = (struct fake_post){NULL, fake_context_any(ctx), fn, arg};
    *host->posts_end = post;
    host->posts_end = &post->next;
}

void fake_post_always(struct weir_context *ctx, weir_post_fn fn, void *arg)
{
    struct weir_test *host = fake_context_any(ctx)->host;

    pthread_mutex_lock(&host->lock);
    add_post(ctx, fn, arg);
    pthread_mutex_unlock(&host->lock);
}

enum weir_status fake_post(struct weir_context *ctx, weir_post_fn fn, void *arg)
{
    struct weir_test *host = fake_context_any(ctx)->host;

    pthread_mutex_lock(&host->lock);
    bool fails = fake_alloc_fails(host);
    if (!fails) {
        add_post(ctx, fn, arg);
    }
    pthread_mutex_unlock(&host->lock);
    return fails ? WEIR_NO_MEMORY : WEIR_OK;
}

size_t fake_posts_drop(struct weir_test *host, const struct fake_context *ctx)
{
    size_t dropped = 0;

    pthread_mutex_lock(&host->lock);
    struct fake_post **link = &host->posts;
    while (*link != NULL) {
        struct fake_post *post = *link;
        if (post->ctx == ctx) {
            *link = post->next;
            free(post);
            dropped++;
        } else {
            link = &post->next;
        }
    }
    host->posts_end = link;
    pthread_mutex_unlock(&host->lock);
    return dropped;
}

static bool run_post(struct weir_test *host)
{
    pthread_mutex_lock(&host->lock);
    struct fake_post *post = host->posts;
    if (post != NULL) {
        host->posts = post->next;
        if (host->posts == NULL) {
            host->posts_end = &host->posts;
        }
    }
    pthread_mutex_unlock(&host->lock);
    if (post == NULL) {
        return false;
    }
    FAKE_HOOK("a posted function");
    post->fn(post->arg);
    free(post);
    return true;
}

/* The timer that fires next, not later than `limit_ns`. */
static struct weir_timer *next_timer(struct weir_test *host, uint64_t limit_ns)
{
    struct weir_timer *next = NULL;
    for (struct weir_timer *timer = host->timers; timer != NULL; timer = timer->next) {
        if (timer->set && timer->due_ns <= limit_ns &&
            (next == NULL || timer->due_ns < next->due_ns ||
             (timer->due_ns == next->due_ns && timer->order < next->order))) {
            next = timer;
        }
    }
    return next;
}

static bool run_timer(struct weir_test *host)
{
    struct weir_timer *timer = next_timer(host, host->now_ns);
    if (timer == NULL) {
        return false;
    }
    timer->set = false;
    FAKE_HOOK("a timer's function");
    timer->fn(timer->arg);
    return true;
}

void weir_test_run(struct weir_test *host)
{
    size_t turns = 0;
    while (run_post(host) || fake_replies_finish(host) || run_timer(host)) {
        if (++turns > FAKE_SPIN_LIMIT) {
            fake_problem(host, "posts or timers make new ones at once, for ever");
            return;
        }
    }
}

void weir_test_advance(struct weir_test *host, uint64_t ns)
{
    uint64_t end_ns = host->now_ns + ns;
    struct weir_timer *timer;

    weir_test_run(host);
    while ((timer = next_timer(host, end_ns)) != NULL && timer->due_ns > host->now_ns) {
        host->now_ns = timer->due_ns;
        weir_test_run(host);
    }
    host->now_ns = end_ns;
}

uint64_t weir_test_now_ns(const struct weir_test *host)
{
    return host->now_ns;
}

void weir_test_set_wall_ms(struct weir_test *host, uint64_t wall_ms)
{
    host->wall_ms = wall_ms;
    host->wall_since_ns = host->now_ns;
}

static size_t count_timers(const struct weir_test *host, bool only_set)
{
    size_t count = 0;
    for (const struct weir_timer *timer = host->timers; timer != NULL; timer = timer->next) {
        count += timer->ctx != NULL && (timer->set || !only_set) ? 1 : 0;
    }
    return count;
}

size_t weir_test_timer_count(const struct weir_test *host)
{
    return count_timers(host, false);
}

size_t weir_test_timer_set_count(const struct weir_test *host)
{
    return count_timers(host, true);
}
