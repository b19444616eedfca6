/* SPDX-License-Identifier: MIT */
/*
 * When servers are probed, and what the answers mean. See probe.h; probe_attempt.c asks.
 */
#include "proxy/upstream/probe_parts.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/rand.h>

#include "base/log.h"
#include "proxy/plan/descriptors.h"
#include "proxy/plan/lifetime.h"

/* The first probes of a few servers are spread over at most this time; those of many are this far
 * apart, within their interval. */
#define PROBE_SPREAD_NS (200 * NS_PER_MS)
#define PROBE_APART_NS  (100 * NS_PER_MS / 1000)

/* ---- clocks ---- */

/* Between 0 and 1. */
static double probe_random(void)
{
    uint32_t number = 0;
    if (RAND_bytes((unsigned char *)&number, sizeof(number)) != 1) {
        number = UINT32_MAX / 2;
    }
    return (double)number / (double)UINT32_MAX;
}

/* Whether the next answers may change the server's health. */
static bool probe_undecided(const struct probe *probe)
{
    uint32_t health = probe->server->health;

    switch (health) {
    case HEALTH_UP: return probe->bad > 0;
    case HEALTH_DOWN: return probe->good > 0;
    default: return true;
    }
}

/* Time between two of its attempts, from the end of one to the beginning of the next. */
static uint64_t probe_interval(const struct probe *probe)
{
    const struct probe_settings *settings = probe->plan->probe;

    return probe_undecided(probe) && settings->fast_interval < settings->interval
               ? settings->fast_interval
               : settings->interval;
}

/* A random point within the time. */
static void probe_set_within(struct probe *probe, uint64_t from_ns, uint64_t to_ns)
{
    timer_set(probe_loop(probe), &probe->timer,
              from_ns + (uint64_t)((double)(to_ns - from_ns) * probe_random()));
}

static void probe_schedule(struct probe *probe)
{
    uint64_t interval = probe_interval(probe);
    probe_set_within(probe, interval / 10 * 9, interval / 10 * 11);
}

/* A new plan does not delay what is due; a shorter interval applies at once. */
static void probe_go_on(struct probe *probe)
{
    uint64_t latest_ns = probe_interval(probe) / 10 * 11;

    if (!probe->attempt.active && !list_linked(&probe->turn) &&
        probe->timer.deadline_ns > loop_now_ns(probe_loop(probe)) + latest_ns) {
        probe_set_within(probe, 0, latest_ns);
    }
}

/* ---- what an answer means ---- */

static void probe_tell(struct probe *probe, enum server_health health, const char *reason)
{
    struct server *server = probe->server;
    enum server_health before = server->health;

    if (!server_set_health(server, health, reason)) {
        return;
    }
    /* A first good answer is not logged: there may be a thousand servers. */
    enum weir_log_level level = health == HEALTH_DOWN      ? WEIR_LOG_WARNING
                                : before == HEALTH_UNKNOWN ? WEIR_LOG_DEBUG
                                                           : WEIR_LOG_NOTICE;
    log_write(level, "health", "server %s/%s is %s: %s", server->pool_name, server->name,
              server_health_word(health), reason);
    probe->prober->changed(probe->prober->arg, server);
}

static void probe_count(struct probe *probe, bool good, bool timed_out, const char *reason)
{
    const struct probe_settings *settings = probe->plan->probe;
    enum server_health health = probe->server->health;
    char text[sizeof(probe->server->reason)];

    probe->timed_out = good ? true : probe->timed_out && timed_out;
    probe->good = good ? probe->good + 1 : 0;
    probe->bad = good ? 0 : probe->bad + 1;
    if (good && (health != HEALTH_DOWN || probe->good >= settings->rise)) {
        snprintf(text, sizeof(text), "probe: %s", without_prefix(reason));
        probe_tell(probe, HEALTH_UP, text);
    } else if (!good && (health == HEALTH_DOWN || probe->bad >= settings->fall)) {
        int64_t shown = probe->bad < settings->fall ? probe->bad : settings->fall;
        if (probe->timed_out) {
            snprintf(text, sizeof(text), "probe: %lld of %lld timed out", (long long)shown,
                     (long long)shown);
        } else {
            snprintf(text, sizeof(text), "probe: %lld of %lld failed, last: %s", (long long)shown,
                     (long long)shown, without_prefix(reason));
        }
        probe_tell(probe, HEALTH_DOWN, text);
    }
}

static void probe_ended(struct probe *probe, enum attempt_end how, const char *reason)
{
    if (how == ATTEMPT_UNKNOWN) {
        /* No verdict, and requests do not wait for one. */
        if (server_end_wait(probe->server)) {
            probe->prober->changed(probe->prober->arg, probe->server);
        }
    } else if (how != ATTEMPT_VOID) {
        probe_count(probe, how == ATTEMPT_GOOD, how == ATTEMPT_TIMED_OUT, reason);
    }
    probe_schedule(probe);
}

static void probe_timer(struct timer *timer)
{
    struct probe *probe = container_of(timer, struct probe, timer);
    struct prober *prober = probe->prober;

    if (!probe->attempt.active) {
        if (prober->asking < prober->asking_most && list_empty(&prober->waiting)) {
            attempt_begin(probe);
        } else {
            list_push_back(&prober->waiting, &probe->turn);
        }
        return;
    }
    /* The loop did not run, so answers went unread: the machine slept, or the process was
     * stopped. */
    if (loop_now_ns(probe_loop(probe)) - probe->attempt.start.ns >
        2 * probe->attempt.plan->probe->timeout) {
        attempt_void(probe, "Weir itself stood still", "");
        return;
    }
    const struct probe_answer *answer = probe->attempt.answer; /* NULL: it connects */
    const char *reason = answer == NULL    ? "probe: connecting timed out"
                         : answer->len > 0 ? "probe: the answer did not end in time"
                                           : "probe: no answer in time";
    attempt_done(probe, false, true, reason);
}

/* Attempts have ended: begins queued ones while there is room, more if one ends at once or does not
 * run. */
static void probes_continue(struct task *task)
{
    struct prober *prober = container_of(task, struct prober, next);
    size_t room = prober->asking < prober->asking_most ? prober->asking_most - prober->asking : 0;
    struct list *link = NULL;

    while (room-- > 0 && (link = list_pop_front(&prober->waiting)) != NULL) {
        attempt_begin(container_of(link, struct probe, turn));
    }
    if (prober->asking < prober->asking_most && !list_empty(&prober->waiting)) {
        task_queue(prober->loop, &prober->next);
    }
}

/* ---- servers come and go ---- */

static void probe_new(struct prober *prober, struct server *server)
{
    struct probe *probe = base_zalloc(sizeof(*probe));
    probe->prober = prober;
    probe->server = server_ref(server);
    probe->timer.fn = probe_timer;
    probe->timed_out = true;
    server->probe = probe;
    list_push_back(&prober->probes, &probe->link);
}

static void probe_free(struct probe *probe)
{
    attempt_free(probe);
    timer_cancel(probe_loop(probe), &probe->timer);
    list_remove(&probe->turn);
    list_remove(&probe->link);
    probe->server->probe = NULL;
    server_unref(&probe->server);
    free(probe);
}

/* A server that is not probed any more does not stay down because of its last probe. */
static void probe_end(struct probe *probe)
{
    struct prober *prober = probe->prober;
    struct server *server = server_ref(probe->server);

    probe_free(probe);
    bool waited = server_end_wait(server);
    if (server->health != HEALTH_UNKNOWN) {
        server_set_health(server, HEALTH_UNKNOWN, "not probed");
    } else if (!waited) {
        server_unref(&server);
        return;
    }
    prober->changed(prober->arg, server);
    server_unref(&server);
}

/* The time over which `count` servers of the plan get their first probe. */
static uint64_t first_probes_ns(const struct pool_plan *plan, size_t count)
{
    const struct probe_settings *settings = plan->probe;
    uint64_t few =
        settings->fast_interval < PROBE_SPREAD_NS ? settings->fast_interval : PROBE_SPREAD_NS;
    uint64_t many = count * PROBE_APART_NS;

    if (count <= 8) {
        return 0;
    }
    many = many < settings->interval ? many : settings->interval;
    return many > few ? many : few;
}

static void adopt_pool(struct prober *prober, const struct pool_plan *plan)
{
    size_t new_count = 0;

    for (size_t i = 0; plan->health != NULL && i < plan->server_count; i++) {
        new_count += plan->servers[i]->probe == NULL;
    }
    for (size_t i = 0; plan->health != NULL && i < plan->server_count; i++) {
        struct server *server = plan->servers[i];
        bool begins = server->probe == NULL;
        if (begins) {
            probe_new(prober, server);
        }
        server->probe->plan = plan;
        if (begins) {
            probe_set_within(server->probe, 0, first_probes_ns(plan, new_count));
        } else {
            probe_go_on(server->probe);
        }
    }
}

void prober_adopt(struct prober *prober, struct plan *plan)
{
    struct plan *last = prober->plan;

    lifetime_ref(plan->life, prober->index);
    prober->plan = plan;
    list_each(link, &prober->probes)
    {
        container_of(link, struct probe, link)->plan = NULL;
    }
    for (size_t i = 0; i < plan->pool_count; i++) {
        adopt_pool(prober, &plan->pools[i]);
    }
    list_each(link2, &prober->probes)
    {
        struct probe *probe = container_of(link2, struct probe, link);
        if (probe->plan == NULL) {
            probe_end(probe);
        }
    }
    if (last != NULL) {
        lifetime_unref(last->life, prober->index);
    }
}

struct prober *prober_new(struct loop *loop, unsigned index, probe_changed_fn changed, void *arg)
{
    struct prober *prober = base_zalloc(sizeof(*prober));
    prober->loop = loop;
    prober->index = index;
    prober->ended = probe_ended;
    prober->changed = changed;
    prober->arg = arg;
    list_init(&prober->probes);
    list_init(&prober->waiting);
    prober->next.fn = probes_continue;
    prober->asking_most = (size_t)descriptors_for_probes();
    return prober;
}

void prober_free(struct prober **prober)
{
    struct prober *p = *prober;
    *prober = NULL;
    list_each(link, &p->probes)
    {
        probe_free(container_of(link, struct probe, link));
    }
    task_cancel(&p->next);
    if (p->plan != NULL) {
        lifetime_unref(p->plan->life, p->index);
    }
    free(p);
}
