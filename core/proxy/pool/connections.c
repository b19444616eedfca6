/* SPDX-License-Identifier: MIT */
/*
 * Connections to servers between exchanges. See connections.h.
 */
#include "proxy/pool/connections.h"

#include "base/log.h"
#include "proxy/plan/plan.h"

/* ---- idle connections end ---- */

/* What is idle for longer than connection_age is older than that as well. */
static uint64_t idle_most_ns(const struct pool_settings *settings)
{
    bool sooner =
        settings->connection_age > 0 && settings->connection_age < settings->keepalive_timeout;
    return sooner ? settings->connection_age : settings->keepalive_timeout;
}

/* Closes connections that were idle for too long and sets the timer for the next one, rounded up by
 * a sixteenth of the time so that connections in frequent use do not wake it all the time. */
static void idle_due(struct timer *timer)
{
    struct pool_local *local = container_of(timer, struct pool_local, idle_timer);
    const struct pool_plan *plan = local->plan;
    uint64_t now_ns = loop_now_ns(local->home->loop);
    uint64_t age = idle_most_ns(plan->settings);
    uint64_t oldest = UINT64_MAX;

    for (size_t i = 0; i < plan->server_count; i++) {
        struct spares *spares = &plan->servers[i]->locals[local->index].spares;
        if (spares->idle > 0) {
            uint64_t left = spares_expire(spares, now_ns > age ? now_ns - age : 0);
            oldest = left < oldest ? left : oldest;
        }
    }
    if (oldest != UINT64_MAX) {
        uint64_t left = oldest + age > now_ns ? oldest + age - now_ns : 0;
        timer_set(local->home->loop, timer, left > age / 16 ? left : age / 16 + 1);
    }
}

void connections_rule(struct pool_local *local)
{
    if (timer_is_set(&local->idle_timer)) {
        timer_cancel(local->home->loop, &local->idle_timer);
        idle_due(&local->idle_timer);
    }
}

/* ---- which are kept ---- */

/* So many idle ones are kept whatever was in use. */
#define KEEP_LEAST 64u
#define PEAK_NS    (30 * NS_PER_SECOND)

static size_t peak_with(struct peak *peak, uint64_t now_ns, size_t count)
{
    uint64_t past_ns = now_ns - peak->since_ns;

    if (unlikely(past_ns >= PEAK_NS)) {
        peak->before = past_ns < 2 * PEAK_NS ? peak->now : 0;
        peak->now = 0;
        peak->since_ns = now_ns;
    }
    peak->now = count > peak->now ? count : peak->now;
    return peak->now > peak->before ? peak->now : peak->before;
}

/* Whether there are enough idle ones without this. */
static bool enough(struct server_local *mine, const struct up_conn *c, uint64_t now_ns)
{
    size_t idle = mine->spares.idle - (c->spares != NULL && c->spare_idle);
    size_t peak = peak_with(&mine->in_use, now_ns, mine->open - idle);

    return idle >= mine->keep_limit || (idle >= KEEP_LEAST && mine->open > peak);
}

/* Those that were opened together do not end together. */
static bool too_old(const struct server_local *mine, const struct up_conn *c, uint64_t now_ns)
{
    uint64_t least_ns = mine->age_ns - mine->age_ns / 4;
    uint64_t age_ns = now_ns - c->opened_ns;

    return mine->age_ns > 0 && age_ns >= least_ns &&
           age_ns >= mine->age_ns - mine->age_ns / 4 * c->jitter / UINT8_MAX;
}

/* ---- what an owner does ---- */

/* HTTP/2's connections and what runs there, as far as it has changed. */
static void count_streams(struct up_conn *c)
{
    struct server_local *mine = c->user;

    if (c->codec->version == HTTP_2 && c->running != c->counted) {
        stat_add(&mine->traffic.h2_streams, (uint64_t)c->running - c->counted);
        c->counted = c->running;
    }
}

void connections_opened(struct up_conn *c, uint64_t took_ns)
{
    struct server_local *mine = c->user;

    histogram_add(&mine->traffic.connect, took_ns);
    stat_add(&mine->traffic.connections, 1);
    if (c->codec->version == HTTP_2) {
        stat_add(&mine->traffic.h2_connections, 1);
        stat_add(&mine->traffic.h2_open, 1);
    }
    mine->open++;
    c->opened_ns = loop_now_ns(c->conn->loop);
    c->jitter = (uint8_t)(((c->opened_ns + mine->open) * UINT64_C(0x9e3779b97f4a7c15)) >> 56);
    bool told = mine->expected_room > 1 && c->codec->room > 1; /* by the peer */
    if (!told && c->terms == mine->terms) {
        mine->expected_room = c->codec->room;
    }
}

void connections_odd(struct up_conn *c, unsigned points, const char *ends)
{
    static struct log_limit limit;
    struct server_local *mine = c->user;

    stat_add(&mine->traffic.odd_points, points);
    if (ends != NULL) {
        stat_add(&mine->traffic.abusive, 1);
        log_limited(&limit, WEIR_LOG_WARNING, "server", "%s/%s: a connection ends for abuse: %s",
                    mine->server->pool_name, mine->server->name, ends);
    }
}

void connections_room(struct up_conn *c)
{
    struct server_local *mine = c->user;
    uint64_t now_ns = loop_now_ns(c->conn->loop);
    bool wanted = c->room > 0 && mine->adopted && !too_old(mine, c, now_ns) &&
                  c->address_epoch == mine->server->address_epoch && c->terms == mine->terms;

    count_streams(c);
    if (c->most > 0 && c->terms == mine->terms) {
        mine->expected_room = c->most;
    }
    if (c->running == 0) {
        struct pool_local *local = mine->pool;
        int reserve = wanted ? local->home->keep_reserve : 0;
        bool scarce = reserve > 0 && c->conn->fd >= reserve; /* other loops may need it */
        if (enough(mine, c, now_ns) || !wanted || scarce) {
            up_conn_close(c);
            return;
        }
        if (unlikely(!timer_is_set(&local->idle_timer))) {
            local->idle_timer.fn = idle_due;
            timer_set(local->home->loop, &local->idle_timer, idle_most_ns(local->plan->settings));
        }
    }
    if (likely(wanted)) {
        spares_settle(&mine->spares, c);
    } else {
        spares_remove(&mine->spares, c);
    }
}

void connections_closed(struct up_conn *c)
{
    struct server_local *mine = c->user;

    mine->open--;
    if (c->codec->version == HTTP_2) {
        stat_remove(&mine->traffic.h2_open, 1);
        stat_remove(&mine->traffic.h2_streams, c->counted);
    }
    spares_remove(&mine->spares, c);
}

bool connections_begin(struct up_conn *c, struct exchange *exchange, bool probe)
{
    bool begun = up_conn_use(c, exchange, probe);

    if (likely(begun)) {
        stat_add(&((struct server_local *)c->user)->traffic.protocols[c->codec->version], 1);
        count_streams(c);
    }
    if (likely(begun) && c->spares != NULL) {
        spares_settle(c->spares, c);
    } else if (c->spares != NULL) {
        spares_remove(c->spares, c);
    }
    return begun;
}

struct up_conn *connections_use(struct server_local *mine, const struct pin *pin,
                                struct exchange *exchange, bool probe, uint64_t keep_ns)
{
    struct up_conn *c = NULL;

    if (unlikely(mine->address_epoch !=
                 mine->server->address_epoch)) { /* they lead to its previous address */
        mine->address_epoch = mine->server->address_epoch;
        spares_drop(&mine->spares);
    }
    while ((c = spares_find(&mine->spares, pin)) != NULL) {
        uint64_t now_ns = loop_now_ns(c->conn->loop);
        bool old = too_old(mine, c, now_ns);
        if (c->running == 0 && (old || now_ns - c->idle_since_ns >= keep_ns)) {
            up_conn_close(c); /* it has timed out, but the timer has not run yet */
        } else if (old) {
            spares_remove(c->spares, c); /* it ends with its last exchange */
        } else if (connections_begin(c, exchange, probe)) {
            return c;
        }
    }
    return NULL;
}

/* ---- sessions ---- */

void connections_keep_session(struct server_local *mine, struct conn *conn)
{
    const SSL *ssl = conn_ssl(conn);

    if (likely(ssl == NULL) || !mine->adopted || SSL_get_SSL_CTX(ssl) != mine->tls) {
        return;
    }
    SSL_SESSION *session = conn_tls_session(conn);
    if (session != NULL) {
        SSL_SESSION_free(mine->tls_session);
        mine->tls_session = session;
    }
}

SSL_SESSION *connections_session(struct server_local *mine, const SSL_CTX *tls)
{
    SSL_SESSION *session = tls == mine->tls ? mine->tls_session : NULL;

    if (session != NULL && SSL_SESSION_get_protocol_version(session) < TLS1_3_VERSION) {
        SSL_SESSION_up_ref(session);
    } else if (session != NULL) {
        mine->tls_session = NULL;
    }
    return session;
}

void connections_drop(struct server_local *mine)
{
    spares_drop(&mine->spares);
    SSL_SESSION_free(mine->tls_session);
    mine->tls_session = NULL;
    mine->expected_room = 0;
}

static bool same_limits(const struct http_limits *a, const struct http_limits *b)
{
    return a->head == b->head && a->fields == b->fields && a->target == b->target &&
           a->h2_streams == b->h2_streams && a->h2_window == b->h2_window;
}

void connections_adopt(struct server_local *mine, const struct pool_plan *plan)
{
    int32_t protocol = plan->settings->protocol;

    if (mine->tls != plan->tls || mine->protocol != protocol ||
        !same_limits(&mine->limits, &plan->limits)) {
        connections_drop(mine);
        mine->terms++;
        mine->tls = plan->tls;
        mine->protocol = protocol;
        mine->limits = plan->limits;
    }
    mine->keep_limit = (size_t)plan->settings->keepalive;
    while (mine->spares.idle > mine->keep_limit && spares_close_one(&mine->spares)) {
        continue;
    }
    mine->age_ns = plan->settings->connection_age;
}
