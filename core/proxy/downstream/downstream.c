/* SPDX-License-Identifier: MIT */
/*
 * The connections of clients, and how many there may be. See client.h.
 */
#include "proxy/downstream/downstream.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "proxy/upstream/pinned.h"
#include "proxy/downstream/greeting.h"
#include "proxy/stream/stream.h"

/* How often a listener at its connection_limit looks whether a place is free again: those that other
 * loops give back are seen by this. */
#define FULL_LOOK_NS (LOOP_TICK_MS * NS_PER_MS)
/* How often that is told, by each loop, as long as it comes again and again. */
#define FULL_TELL_NS (10 * NS_PER_SECOND)

static void listener_look(struct timer *timer);

struct listener *listener_new(struct weir_str name, unsigned loops)
{
    struct listener *listener = base_zalloc_lines(sizeof(*listener));
    listener->name = base_strndup(name.ptr, name.len);
    listener->refs = 1;
    listener->addresses = address_counts_new();
    listener->loops = loops;
    listener->locals = base_zalloc_lines(sizeof(*listener->locals) * loops);
    for (unsigned i = 0; i < loops; i++) {
        listener->locals[i].listener = listener;
        list_init(&listener->locals[i].greetings);
        listener->locals[i].full_timer.fn = listener_look;
    }
    return listener;
}

void listener_unref(struct listener **listener)
{
    struct listener *l = *listener;
    *listener = NULL;
    ASSERT(l->refs > 0);
    if (--l->refs > 0) {
        return;
    }
    for (unsigned i = 0; i < l->loops; i++) {
        ASSERT(l->locals[i].accepting_count == 0 && !l->locals[i].full);
        free(l->locals[i].accepting);
    }
    ASSERT(l->open == 0);
    list_remove(&l->link);
    address_counts_free(&l->addresses);
    free(l->locals);
    free(l->name);
    free(l);
}

struct weir_str downstream_tls_name(const struct downstream *client)
{
    SSL *ssl = conn_ssl(downstream_conn(client));
    return ssl != NULL ? str_from(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name))
                       : (struct weir_str){NULL, 0};
}

/* ---- places: connection_limit ---- */

static void listener_pause(struct listener_local *local, bool pause)
{
    for (size_t i = 0; i < local->accepting_count; i++) {
        acceptor_pause(local->accepting[i].acceptor, pause);
    }
}

/* What is above the limit waits in the kernel's queue (backlog) until a place is free. */
static void listener_full(struct listener_local *local)
{
    uint64_t now_ns = loop_now_ns(local->worker->loop);

    if (local->full_told_ns == 0 || now_ns - local->full_told_ns > FULL_TELL_NS) {
        local->full_told_ns = now_ns;
        log_write(WEIR_LOG_WARNING, "listener",
                  "%s: connection_limit (%u) is reached; new connections wait",
                  local->listener->name, local->plan->connection_limit);
    }
    local->full = true;
    listener_pause(local, true);
    timer_set(local->worker->loop, &local->full_timer, FULL_LOOK_NS);
}

void downstream_places_look(struct listener_local *local)
{
    if (local->full) {
        local->full = false;
        timer_cancel(local->worker->loop, &local->full_timer);
        listener_pause(local, false);
    }
}

static void listener_look(struct timer *timer)
{
    struct listener_local *local = container_of(timer, struct listener_local, full_timer);

    if (local->plan == NULL || local->listener->open < local->plan->connection_limit) {
        downstream_places_look(local);
    } else {
        timer_set(local->worker->loop, timer, FULL_LOOK_NS);
    }
}

bool downstream_place_take(struct acceptor *acceptor, void *arg)
{
    struct listener_local *local = arg;
    (void)acceptor;

    if (atomic_fetch_add(&local->listener->open, 1) < local->plan->connection_limit) {
        return true;
    }
    atomic_fetch_sub(&local->listener->open, 1);
    listener_full(local);
    return false;
}

void downstream_place_back(struct acceptor *acceptor, void *arg)
{
    struct listener_local *local = arg;
    (void)acceptor;
    atomic_fetch_sub(&local->listener->open, 1);
}

static void place_give(struct listener_local *local)
{
    downstream_place_back(NULL, local);
    downstream_places_look(local);
}

void downstream_refuse(struct listener_local *local, int fd)
{
    close(fd);
    stat_add(&local->traffic.refused, 1);
    place_give(local);
}

/* connections_per_address. Trusted proxies, and who comes over a Unix socket, have as many as they like.
 * false: this one is too many. */
static bool client_count(struct downstream *client, const struct address *peer)
{
    static struct log_limit limit;
    const struct listener_plan *plan = client->local->plan;
    uint32_t most = (uint32_t)plan->settings->connections_per_address;

    if (most == 0 || client->trusted || peer->u.any.sa_family == AF_UNIX) {
        return true;
    }
    client->counted = address_counts_take(client->local->listener->addresses, peer, most);
    if (client->counted == NULL) {
        log_limited(&limit, WEIR_LOG_WARNING, "listener",
                    "%s: %.*s has %u connections already (connections_per_address); one more "
                    "refused",
                    client->local->listener->name, STR_ARGS(downstream_peer_text(client)), most);
    }
    return client->counted != NULL;
}

static void client_uncount(struct downstream *client)
{
    if (client->counted != NULL) {
        address_counts_give(client->local->listener->addresses, client->counted);
        client->counted = NULL;
    }
}

/* ---- connections ---- */

static const struct down_conf *client_conf(struct down_conn *c)
{
    const struct downstream *client = downstream_of(c);
    return client->local->plan != NULL ? &client->local->plan->http : NULL;
}

static void client_free(struct down_conn *c)
{
    struct downstream *client = downstream_of(c);

    free(client->rare);
    free(client);
}

static void client_closed(struct down_conn *c)
{
    struct downstream *client = downstream_of(c);
    struct worker *worker = client->local->worker;

    list_remove(&client->link);
    pinned_close(client);
    client_uncount(client);
    place_give(client->local);
    worker->client_count--;
    client->local->client_count--;
    generation_unkeep(client->pin, worker);
}

static const struct down_owner client_owner = {
    .events = &stream_down_events,
    .conf = client_conf,
    .on_closed = client_closed,
    .on_free = client_free,
};

bool downstream_trusts(const struct listener_plan *plan, const struct address *address)
{
    for (size_t i = 0; i < plan->trusted_count; i++) {
        if (network_contains(&plan->trusted[i], address)) {
            return true;
        }
    }
    return false;
}

struct downstream_rare *downstream_rare(struct downstream *client)
{
    if (client->rare == NULL) {
        client->rare = calloc(1, sizeof(*client->rare));
    }
    return client->rare;
}

void downstream_ends(const struct downstream *client, struct address *peer, struct address *bound)
{
    if (downstream_is_told(client)) {
        *peer = client->rare->told.peer;
        *bound = client->rare->told.bound;
        return;
    }
    if (!address_from_host(peer, downstream_peer_text(client), client->peer_port)) {
        address_from_unix(peer, (struct weir_str){NULL, 0});
    }
    *bound = (struct address){.len = sizeof(bound->u)};
    if (downstream_conn(client) == NULL ||
        getsockname(downstream_conn(client)->fd, &bound->u.any, &bound->len) != 0) {
        bound->len = 0;
    }
}

/* A client whose connection is not made yet; NULL: no memory. */
static struct downstream *client_new(struct listener_local *local, const struct address *peer,
                                     uint16_t port, const struct downstream_ends *told)
{
    char text[ADDRESS_TEXT_SIZE];
    size_t len = address_text(peer, text, sizeof(text));
    struct downstream *client = calloc(1, sizeof(*client) + len);

    if (client == NULL) {
        return NULL;
    }
    memcpy(client + 1, text, len);
    client->peer_len = (uint8_t)len;
    client->peer_port = address_port(peer);
    client->port = port;
    client->local = local;
    client->trusted = downstream_trusts(local->plan, peer);
    client->tls = local->plan->tls != NULL;
    if (told != NULL) {
        if (downstream_rare(client) == NULL) {
            free(client);
            return NULL;
        }
        client->rare->told = *told;
    }
    return client;
}

void downstream_open(struct listener_local *local, int fd, const struct address *peer,
                     uint16_t port, const struct downstream_ends *told)
{
    struct worker *worker = local->worker;
    struct listener_plan *plan = local->plan;

    if (told != NULL) {
        peer = &told->peer;
        port = address_port(&told->bound);
    }
    struct downstream *client = client_new(local, peer, port, told);
    if (client == NULL || !client_count(client, peer)) {
        downstream_refuse(local, fd);
        if (client != NULL) {
            client_free(&client->place.c);
        }
        return;
    }
    stat_add(&local->traffic.connections, 1);
    struct conn *conn = conn_accept(
        worker->loop, fd, plan->tls != NULL ? tls_listener_ctx(plan->tls) : NULL, NULL, NULL);
    if (conn == NULL) {
        client_uncount(client);
        place_give(local);
        client_free(&client->place.c);
        return;
    }
    down_conn_begin(&client->place.c, conn, &worker->batch, &client_owner);
    client->pin = plan->generation;
    generation_keep(client->pin, worker->index);
    list_push_back(&worker->clients, &client->link);
    worker->client_count++;
    local->client_count++;
    if (unlikely(worker->draining || local->gone)) {
        down_conn_drain(&client->place.c);
    }
}

/* The port that the acceptor's socket is bound to, and so each connection that it gives. */
static uint16_t accepting_port(const struct listener_local *local, const struct acceptor *acceptor)
{
    for (size_t i = 0; i < local->accepting_count; i++) {
        if (local->accepting[i].acceptor == acceptor) {
            return address_port(&local->accepting[i].socket->address);
        }
    }
    return 0;
}

void downstream_accepted(struct acceptor *acceptor, int fd, const struct address *peer, void *arg)
{
    struct listener_local *local = arg;
    const struct listener_plan *plan = local->plan;
    uint16_t port = accepting_port(local, acceptor);

    if (likely(plan->settings->proxy_protocol == PROXY_PROTOCOL_OFF)) {
        downstream_open(local, fd, peer, port, NULL);
    } else if (greeting_wanted(plan, peer)) {
        greeting_begin(local, fd, peer, port);
    } else if (plan->settings->proxy_protocol == PROXY_PROTOCOL_ACCEPT) {
        downstream_open(local, fd, peer, port, NULL);
    } else {
        greeting_refuse(local, fd, peer);
    }
}
