/* SPDX-License-Identifier: MIT */
/*
 * The connections of clients. See downstream.h.
 */
#include "proxy/downstream/downstream.h"

#include <stdlib.h>

#include "base/log.h"

struct weir_str downstream_tls_name(const struct downstream *downstream)
{
    SSL *ssl = conn_ssl(downstream_conn(downstream));
    return ssl != NULL ? str_from(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name))
                       : (struct weir_str){NULL, 0};
}

bool downstream_trusts(const struct listener_plan *plan, const struct address *address)
{
    for (size_t i = 0; i < plan->trusted_count; i++) {
        if (network_contains(&plan->trusted[i], address)) {
            return true;
        }
    }
    return false;
}

struct downstream_rare *downstream_rare(struct downstream *downstream)
{
    if (downstream->rare == NULL) {
        downstream->rare = calloc(1, sizeof(*downstream->rare));
    }
    return downstream->rare;
}

void downstream_ends(const struct downstream *downstream, struct address *peer,
                     struct address *local)
{
    const struct conn *conn = downstream_conn(downstream);

    if (downstream_is_told(downstream)) {
        *peer = downstream->rare->told.peer;
        *local = downstream->rare->told.local;
        return;
    }
    if (!address_from_host(peer, downstream_peer_text(downstream), downstream->peer_port)) {
        address_from_unix(peer, (struct weir_str){NULL, 0});
    }
    *local = (struct address){.len = sizeof(local->u)};
    if (conn == NULL || getsockname(conn->fd, &local->u.any, &local->len) != 0) {
        local->len = 0;
    }
}

/* ---- the codec's owner ---- */

static const struct down_conf *down_conf(struct down_conn *c)
{
    const struct downstream *downstream = downstream_of(c);
    return downstream->local->plan != NULL ? &downstream->local->plan->http : NULL;
}

static void down_free(struct down_conn *c)
{
    struct downstream *downstream = downstream_of(c);

    free(downstream->rare);
    free(downstream);
}

static void uncount(struct downstream *downstream)
{
    if (downstream->counted != NULL) {
        address_counts_give(downstream->local->listener->addresses, downstream->counted);
        downstream->counted = NULL;
    }
}

static void down_protocol(struct down_conn *c)
{
    struct traffic *traffic = &downstream_of(c)->local->traffic;

    if (c->codec->version == HTTP_2) {
        stat_add(&traffic->h2_connections, 1);
        stat_add(&traffic->h2_open, 1);
    }
}

static void down_odd(struct down_conn *c, unsigned points, const char *ends)
{
    static struct log_limit limit;
    const struct downstream *downstream = downstream_of(c);
    struct listener_local *local = downstream->local;

    stat_add(&local->traffic.odd_points, points);
    if (ends != NULL) {
        stat_add(&local->traffic.abusive, 1);
        log_limited(&limit, WEIR_LOG_WARNING, "listener",
                    "%s: a connection of %.*s ends for abuse: %s (abuse_limit)",
                    local->listener->name, STR_ARGS(downstream_peer_text(downstream)), ends);
    }
}

static void down_closed(struct down_conn *c)
{
    struct downstream *downstream = downstream_of(c);
    struct listener_local *local = downstream->local;
    struct down_home *home = local->home;

    list_remove(&downstream->link);
    if (unlikely(downstream->rare != NULL)) {
        pin_end(&downstream->rare->pin);
    }
    uncount(downstream);
    listener_place_give(local);
    if (c->codec->version == HTTP_2) {
        stat_remove(&local->traffic.h2_open, 1);
    }
    home->count--;
    local->count--;
    lifetime_unkeep(downstream->pin, home->loop->index);
}

struct down_owner downstream_owner(const struct down_events *events)
{
    return (struct down_owner){.events = events,
                               .conf = down_conf,
                               .on_protocol = down_protocol,
                               .on_odd = down_odd,
                               .on_closed = down_closed,
                               .on_free = down_free};
}

/* ---- the beginning ---- */

/* A client without its connection yet; NULL: out of memory. */
static struct downstream *downstream_new(struct listener_local *local, const struct address *peer,
                                         uint16_t port, const struct told_ends *told)
{
    char text[ADDRESS_TEXT_SIZE];
    size_t len = address_text(peer, text, sizeof(text));
    struct downstream *downstream = calloc(1, sizeof(*downstream) + len);

    if (downstream == NULL) {
        return NULL;
    }
    memcpy(downstream + 1, text, len);
    downstream->peer_len = (uint8_t)len;
    downstream->peer_port = address_port(peer);
    downstream->port = port;
    downstream->local = local;
    downstream->trusted = downstream_trusts(local->plan, peer);
    downstream->tls = local->plan->tls != NULL;
    if (told != NULL) {
        if (downstream_rare(downstream) == NULL) {
            free(downstream);
            return NULL;
        }
        downstream->rare->told = *told;
    }
    return downstream;
}

/* Applies connections_per_address; trusted proxies and Unix sockets are exempt. false: over the
 * limit. */
static bool count(struct downstream *downstream, const struct address *peer)
{
    static struct log_limit limit;
    const struct listener_local *local = downstream->local;
    uint32_t most = (uint32_t)local->plan->settings->connections_per_address;

    if (most == 0 || downstream->trusted || peer->u.any.sa_family == AF_UNIX) {
        return true;
    }
    downstream->counted = address_counts_take(local->listener->addresses, peer, most);
    if (downstream->counted == NULL) {
        log_limited(&limit, WEIR_LOG_WARNING, "listener",
                    "%s: %.*s has %u connections already (connections_per_address); one more "
                    "refused",
                    local->listener->name, STR_ARGS(downstream_peer_text(downstream)), most);
    }
    return downstream->counted != NULL;
}

void downstream_open(struct listener_local *local, int fd, const struct address *peer,
                     uint16_t port, const struct told_ends *told)
{
    struct down_home *home = local->home;
    struct listener_plan *plan = local->plan;

    if (told != NULL) {
        peer = &told->peer;
        port = address_port(&told->local);
    }
    struct downstream *downstream = downstream_new(local, peer, port, told);
    if (downstream == NULL || !count(downstream, peer)) {
        listener_refuse(local, fd);
        if (downstream != NULL) {
            down_free(&downstream->place.c);
        }
        return;
    }
    stat_add(&local->traffic.connections, 1);
    struct conn *conn = conn_accept(
        home->loop, fd, plan->tls != NULL ? tls_listener_ctx(plan->tls) : NULL, NULL, NULL);
    if (conn == NULL) {
        uncount(downstream);
        listener_place_give(local);
        down_free(&downstream->place.c);
        return;
    }
    downstream->pin = plan->owner->life;
    lifetime_keep(downstream->pin, home->loop->index);
    list_push_back(&home->connections, &downstream->link);
    home->count++;
    local->count++;
    down_conn_begin(&downstream->place.c, conn, home->batch, &home->owner);
    if (unlikely(home->draining || local->gone) && downstream_conn(downstream) != NULL) {
        down_conn_drain(&downstream->place.c);
    }
}
