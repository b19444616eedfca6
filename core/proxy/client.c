/* SPDX-License-Identifier: MIT */
/*
 * Listeners on loops, and the connections of clients. See client.h.
 */
#include "proxy/client.h"

#include <stdlib.h>
#include <unistd.h>

#include "proxy/stream.h"

struct listener *listener_new(struct weir_str name, unsigned loops)
{
    struct listener *listener = base_zalloc(sizeof(*listener));
    listener->name = base_strndup(name.ptr, name.len);
    listener->refs = 1;
    listener->loops = loops;
    listener->locals = base_zalloc_lines(sizeof(*listener->locals) * loops);
    for (unsigned i = 0; i < loops; i++) {
        listener->locals[i].listener = listener;
        list_init(&listener->locals[i].clients);
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
        ASSERT(l->locals[i].accepting_count == 0 && list_empty(&l->locals[i].clients));
        free(l->locals[i].accepting);
    }
    list_remove(&l->link);
    free(l->locals);
    free(l->name);
    free(l);
}

struct weir_str client_tls_name(const struct client *client)
{
    SSL *ssl = client->http->conn->ssl;
    return ssl != NULL ? str_from(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name))
                       : (struct weir_str){NULL, 0};
}

/* ---- connections ---- */

static const struct h1_server_conf *client_conf(struct h1_server *server)
{
    const struct client *client = server->user;
    return client->local->plan != NULL ? &client->local->plan->http : NULL;
}

static void client_free(struct freed *freed)
{
    free(container_of(freed, struct client, freed));
}

static void client_closed(struct h1_server *server)
{
    struct client *client = server->user;
    struct worker *worker = client->worker;

    list_remove(&client->link);
    list_remove(&client->listener_link);
    worker->client_count--;
    generation_unref(client->pin, worker);
    loop_free_later(worker->loop, &client->freed, client_free);
    if (worker->draining && worker->client_count == 0 && worker->on_drained != NULL) {
        worker->on_drained(worker);
    }
}

static const struct h1_server_owner client_owner = {
    .events = &stream_down_events,
    .conf = client_conf,
    .on_closed = client_closed,
};

static bool address_trusted(const struct listener_plan *plan, const struct address *address)
{
    for (size_t i = 0; i < plan->trusted_count; i++) {
        if (network_contains(&plan->trusted[i], address)) {
            return true;
        }
    }
    return false;
}

static void client_accepted(struct acceptor *acceptor, int fd, const struct address *peer,
                            void *arg)
{
    struct listener_local *local = arg;
    struct worker *worker = local->worker;
    struct listener_plan *plan = local->plan;
    (void)acceptor;

    struct client *client = calloc(1, sizeof(*client));
    if (client == NULL) {
        close(fd);
        return;
    }
    client->local = local;
    client->worker = worker;
    client->peer = *peer;
    client->trusted = address_trusted(plan, peer);
    client->tls = plan->tls != NULL;
    client->peer_len = (uint16_t)address_text(peer, client->peer_text, sizeof(client->peer_text));
    client->bound.len = sizeof(client->bound.u);
    if (getsockname(fd, &client->bound.u.any, &client->bound.len) != 0) {
        client->bound.len = 0;
    }
    stat_add(&local->traffic.connections, 1);
    struct conn *conn = conn_accept(
        worker->loop, fd, plan->tls != NULL ? tls_listener_ctx(plan->tls) : NULL, NULL, NULL);
    client->http = conn != NULL ? h1_server_new(conn, &worker->batch, &client_owner, client) : NULL;
    if (client->http == NULL) {
        free(client);
        return;
    }
    client->pin = plan->generation; /* TLS callbacks may look into its certificates */
    generation_ref(client->pin, worker->index);
    list_push_back(&worker->clients, &client->link);
    list_push_back(&local->clients, &client->listener_link);
    worker->client_count++;
}

/* ---- accepting ---- */

static void accepting_stop(struct listener_local *local, const struct listener_plan *plan)
{
    size_t kept = 0;
    for (size_t i = 0; i < local->accepting_count; i++) {
        struct accepting *accepting = &local->accepting[i];
        bool stays = false;
        for (size_t k = 0; plan != NULL && k < plan->socket_count; k++) {
            stays = stays || plan->sockets[k] == accepting->socket;
        }
        if (stays) {
            local->accepting[kept++] = *accepting;
        } else {
            acceptor_free(&accepting->acceptor);
        }
    }
    local->accepting_count = kept;
}

static bool accepting_has(const struct listener_local *local, const struct listen_socket *socket)
{
    for (size_t i = 0; i < local->accepting_count; i++) {
        if (local->accepting[i].socket == socket) {
            return true;
        }
    }
    return false;
}

void listener_local_adopt(struct listener_local *local, struct worker *worker,
                          struct listener_plan *plan)
{
    bool control = plan != NULL && worker->index == plan->generation->runtime->workers;
    bool here = plan != NULL && control == (plan->handler != NULL) && !worker->draining;

    local->worker = worker;
    local->plan = plan;
    accepting_stop(local, here ? plan : NULL);
    if (here) {
        local->accepting =
            base_realloc(local->accepting, sizeof(*local->accepting) * (plan->socket_count + 1));
        for (size_t i = 0; i < plan->socket_count; i++) {
            struct listen_socket *socket = plan->sockets[i];
            if (!accepting_has(local, socket)) {
                int fd = socket->fds[socket->count > 1 ? worker->index : 0];
                local->accepting[local->accepting_count++] = (struct accepting){
                    socket, acceptor_new(worker->loop, fd, client_accepted, local)};
            }
        }
    }
    if (plan == NULL) {
        list_each(link, &local->clients)
        {
            h1_server_drain(container_of(link, struct client, listener_link)->http);
        }
    }
}
