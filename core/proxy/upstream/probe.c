/* SPDX-License-Identifier: MIT */
/*
 * A probe is a chain of small callbacks (resolve, connect, send, read, judge) that all end in
 * attempt_done. See probe.h.
 */
#include "proxy/upstream/probe.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/rand.h>

#include "base/log.h"
#include "net/conn.h"
#include "net/follow.h"
#include "net/proxy_header.h"
#include "proxy/plan/descriptors.h"
#include "proxy/plan/lifetime.h"
#include "proxy/pool/members.h"

/* Limits of what a module sends and gets to judge. */
#define PROBE_REQUEST_MAX 8192u
#define PROBE_ANSWER_MAX  16384u

/* The first probes of a few servers are spread over at most this time; those of many are this far
 * apart, within their interval. */
#define PROBE_SPREAD_NS (200 * NS_PER_MS)
#define PROBE_APART_NS  (100 * NS_PER_MS / 1000)

/* One probe connection. Holds its plan until it ends, for its module's instance. */
struct probing {
    const struct pool_plan *plan; /* its owner is referenced */
    struct weir_probe_target target;
    struct conn *conn;
    char *answer;
    size_t answer_len;
    uint64_t start_ns;
    bool active;
};

/* The prober's state of one server, from its first to its last plan. */
struct probe {
    struct list link;
    struct prober *prober;
    struct server *server;        /* referenced */
    const struct pool_plan *plan; /* of the prober's plan; NULL while a new one is adopted */
    struct probing attempt;
    struct timer timer; /* the next attempt, or this one's timeout */
    struct list turn;   /* in prober.waiting: due, but too many are running */
    int64_t good, bad;  /* in a row */
    bool timed_out;     /* all of `bad` */
};

struct prober {
    struct loop *loop;
    unsigned index;    /* of the loop */
    struct plan *plan; /* referenced on the control thread's loop; NULL: none yet */
    probe_changed_fn changed;
    void *arg;
    struct list probes;
    struct list waiting; /* struct probe.turn, the oldest first */
    size_t asking;       /* running attempts */
    size_t asking_most;
    struct task next; /* queued: attempts have ended and others may begin */
};

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

static struct loop *probe_loop(const struct probe *probe)
{
    return probe->prober->loop;
}

/* Whether the next answers may change the server's health. */
static bool probe_undecided(const struct probe *probe)
{
    switch (probe->server->health) {
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

/* Modules say "probe: status 503"; the log line has that prefix already. */
static const char *without_prefix(const char *reason)
{
    return strncmp(reason, "probe: ", 7) == 0 ? reason + 7 : reason;
}

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

/* ---- one attempt ---- */

static void attempt_free(struct probe *probe)
{
    struct probing *attempt = &probe->attempt;
    if (!attempt->active) {
        return;
    }
    if (attempt->conn != NULL) {
        conn_close(&attempt->conn, false);
    }
    free(attempt->answer);
    struct lifetime *life = attempt->plan->owner->life;
    *attempt = (struct probing){0};
    lifetime_unref(life, probe->prober->index);
    probe->prober->asking--;
    if (!list_empty(&probe->prober->waiting)) {
        task_queue(probe_loop(probe), &probe->prober->next);
    }
}

/* The funnel: however an attempt ends, it ends here. */
static void attempt_done(struct probe *probe, bool good, bool timed_out, const char *reason)
{
    uint64_t took_ns = loop_now_ns(probe_loop(probe)) - probe->attempt.start_ns;

    timer_cancel(probe_loop(probe), &probe->timer);
    server_note_probe(probe->server, good, took_ns, without_prefix(reason));
    attempt_free(probe);
    probe_count(probe, good, timed_out, reason);
    probe_schedule(probe);
}

/* It failed for lack of Weir's own resources: no verdict. A server without one yet gets this as its
 * reason. */
static void attempt_void(struct probe *probe, const char *why, const char *advice)
{
    static struct log_limit limit;
    struct server *server = probe->server;

    log_limited(&limit, WEIR_LOG_WARNING, "health", "no verdict on server %s/%s: %s%s",
                server->pool_name, server->name, why, advice);
    if (server->health == HEALTH_UNKNOWN) {
        char text[sizeof(server->reason)];
        snprintf(text, sizeof(text), "no verdict yet: %s", why);
        server_set_health(server, HEALTH_UNKNOWN, text);
    }
    timer_cancel(probe_loop(probe), &probe->timer);
    attempt_free(probe);
    probe_schedule(probe);
}

static struct instance *attempt_instance(const struct probe *probe)
{
    return use_on(probe->attempt.plan->health, probe->prober->index);
}

static const struct weir_health *attempt_ops(const struct probe *probe)
{
    return probe->attempt.plan->health->module->descriptor.health;
}

/* false: the attempt has ended. */
static bool attempt_judge(struct probe *probe, bool eof)
{
    struct probing *attempt = &probe->attempt;
    struct instance *instance = attempt_instance(probe);
    char reason[160] = "";

    eof = eof || attempt->answer_len == PROBE_ANSWER_MAX;
    enum weir_verdict verdict = attempt_ops(probe)->judge(
        &instance->context.base, instance->data, &attempt->target, attempt->answer,
        attempt->answer_len, eof, reason, sizeof(reason));
    reason[sizeof(reason) - 1] = '\0';
    if (verdict == WEIR_VERDICT_MORE && !eof) {
        return true;
    }
    if (reason[0] == '\0') {
        snprintf(reason, sizeof(reason), "probe: %s",
                 verdict == WEIR_VERDICT_UP     ? "it answered"
                 : verdict == WEIR_VERDICT_DOWN ? "the answer is not as expected"
                                                : "the answer was cut short");
    }
    attempt_done(probe, verdict == WEIR_VERDICT_UP, false, reason);
    return false;
}

static void attempt_broken(struct probe *probe, const char *doing)
{
    const struct conn *conn = probe->attempt.conn;
    enum conn_error error = (enum conn_error)conn->error;
    char reason[160];

    if (conn_error_is_own(error)) {
        attempt_void(probe, conn_error_word(error), conn_error_advice(error));
        return;
    }
    snprintf(reason, sizeof(reason), "probe: %s%s%s%s", doing, conn_error_word(error),
             conn_tls_error(conn)[0] != '\0' ? ": " : "", conn_tls_error(conn));
    attempt_done(probe, false, error == CONN_TIMED_OUT, reason);
}

static void attempt_readable(struct conn *conn)
{
    struct probe *probe = conn->owner;
    struct probing *attempt = &probe->attempt;
    char *data = NULL;
    size_t len = 0;

    if (conn->opening || attempt->answer == NULL) {
        return;
    }
    for (;;) {
        switch (conn_read(conn, &data, &len, PROBE_ANSWER_MAX)) {
        case CONN_AGAIN: return;
        case CONN_EOF: attempt_judge(probe, true); return;
        case CONN_ERROR: attempt_broken(probe, "connection "); return;
        case CONN_DATA:
            if (len > PROBE_ANSWER_MAX - attempt->answer_len) {
                len = PROBE_ANSWER_MAX - attempt->answer_len;
            }
            memcpy(attempt->answer + attempt->answer_len, data, len);
            attempt->answer_len += len;
            if (!attempt_judge(probe, false)) {
                return;
            }
            break;
        }
    }
}

static void attempt_drained(struct conn *conn)
{
    (void)conn;
}

static void attempt_send(struct probe *probe)
{
    struct probing *attempt = &probe->attempt;
    struct instance *instance = attempt_instance(probe);
    const struct weir_health *ops = attempt_ops(probe);
    char request[PROBE_REQUEST_MAX];

    size_t len = ops->request(&instance->context.base, instance->data, &attempt->target, request,
                              sizeof(request));
    if (len > sizeof(request)) {
        attempt_done(probe, false, false, "probe: the module's request is longer than 8 KiB");
        return;
    }
    if (len > 0) {
        conn_write(attempt->conn, &(struct iovec){request, len}, 1);
    }
    if (ops->judge == NULL) {
        attempt_done(probe, true, false, "probe: it takes connections");
        return;
    }
    attempt->answer = base_alloc(PROBE_ANSWER_MAX);
    if (len == 0 && !attempt_judge(probe, false)) {
        return;
    }
    conn_resume_read(attempt->conn);
}

static void attempt_open(struct conn *conn, bool ok)
{
    struct probe *probe = conn->owner;
    if (ok) {
        attempt_send(probe);
    } else {
        attempt_broken(probe, "connection ");
    }
}

static const struct conn_ops attempt_conn_ops = {
    .on_readable = attempt_readable,
    .on_drained = attempt_drained,
    .on_open = attempt_open,
};

/* The address to probe; false: the host name is not resolved. */
static bool attempt_address(const struct probe *probe, struct address *address)
{
    const struct pool_plan *plan = probe->attempt.plan;
    const struct weir_str *text = &plan->probe->address;
    char error[160];
    if (plan->probe_name != NULL) {
        return followed_address(plan->probe_name, address);
    }
    if (text->len > 0) {
        return address_parse(address, *text, error, sizeof(error));
    }
    return server_get_address(probe->server, address);
}

/* The address is unknown, which says nothing about the server: no verdict, and requests do not wait
 * for one. */
static void probe_pass(struct probe *probe)
{
    if (server_end_wait(probe->server)) {
        probe->prober->changed(probe->prober->arg, probe->server);
    }
    probe_schedule(probe);
}

static void attempt_begin(struct probe *probe)
{
    struct probing *attempt = &probe->attempt;
    struct server *server = probe->server;
    const struct pool_plan *plan = probe->plan;
    struct address address;
    enum conn_error error = CONN_OK;

    if (plan->probe_name != NULL && !followed_address(plan->probe_name, &address)) {
        probe_pass(probe);
        return;
    }
    *attempt =
        (struct probing){.plan = plan, .start_ns = loop_now_ns(probe_loop(probe)), .active = true};
    attempt->target = (struct weir_probe_target){.size = sizeof(attempt->target),
                                                 .tls = server->url.tls,
                                                 .id = server->id,
                                                 .name = str_from(server->name),
                                                 .authority = str_from(probe->server->authority)};
    lifetime_ref(plan->owner->life, probe->prober->index);
    probe->prober->asking++;
    if (!attempt_address(probe, &address)) {
        attempt_done(probe, false, false, "probe: the host name has no known address");
        return;
    }
    struct conn_tls_client tls = {
        .ctx = plan->tls, .name = pool_plan_tls_name(plan, server), .http_1 = true};
    attempt->conn = conn_connect(probe_loop(probe), &address.u.any, address.len,
                                 server->url.tls ? &tls : NULL, &attempt_conn_ops, probe, &error);
    /* A separate probe address is a separate service, which need not support PROXY headers. */
    unsigned proxy = plan->probe->address.len == 0 ? plan->settings->send_proxy_protocol : 0;
    char header[PROXY_HEADER_WRITE_MAX];
    if (attempt->conn != NULL && proxy != SEND_PROXY_OFF &&
        !conn_preface(attempt->conn, header, proxy_header_write(header, proxy, NULL, NULL))) {
        conn_close(&attempt->conn, true);
        error = CONN_NO_MEMORY;
    }
    if (attempt->conn == NULL) {
        attempt_void(probe, conn_error_word(error), conn_error_advice(error));
        return;
    }
    timer_set(probe_loop(probe), &probe->timer, plan->probe->timeout);
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
    if (loop_now_ns(probe_loop(probe)) - probe->attempt.start_ns >
        2 * probe->attempt.plan->probe->timeout) {
        attempt_void(probe, "Weir itself stood still", "");
        return;
    }
    const char *reason = probe->attempt.conn->opening    ? "probe: connecting timed out"
                         : probe->attempt.answer_len > 0 ? "probe: the answer did not end in time"
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
