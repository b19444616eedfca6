/* SPDX-License-Identifier: MIT */
/*
 * Upstream connections that belong to one client. See bound.h.
 *
 * They stand at the end of the server's list of idle connections, those of nobody before them: so one look
 * at the front tells whether there is one for everybody, and reloads and the clock find them all.
 */
#include "proxy/upstream/pinned.h"

#include "net/proxy_header.h"
#include "proxy/pool/server.h"

bool pinned_preface(const struct pool_settings *settings, struct conn *conn,
                    const struct downstream *client)
{
    char header[PROXY_HEADER_WRITE_MAX];

    if (likely(settings->send_proxy_protocol == SEND_PROXY_OFF)) {
        return true;
    }
    unsigned version = settings->send_proxy_protocol == SEND_PROXY_V1 ? 1 : 2;
    struct address peer, bound;
    if (client != NULL) {
        downstream_ends(client, &peer, &bound);
    }
    size_t len = proxy_header_write(header, version, client != NULL ? &peer : NULL,
                                    client != NULL ? &bound : NULL);
    return conn_preface(conn, header, len);
}

static struct up_conn *bound_up(const struct downstream *client)
{
    return client->rare != NULL ? client->rare->bound_up : NULL;
}

struct up_conn *pinned_take_idle(const struct pool_settings *settings, struct server_local *server,
                                 struct downstream *client)
{
    struct up_conn *up = NULL;

    if (unlikely(settings->send_proxy_protocol != SEND_PROXY_OFF)) {
        up = bound_up(client);
        up = up != NULL && up->user == server ? up : NULL;
        if (up != NULL) {
            client->rare->bound_up = NULL;
        }
    } else if (!list_empty(&server->idle)) {
        up = container_of(server->idle.next, struct up_conn, link);
        up = unlikely(up->pin != NULL) ? NULL : up;
    }
    if (up != NULL) {
        list_remove(&up->link);
        server->idle_count--;
    }
    return up;
}

void pinned_give_idle(struct up_conn *up, struct server_local *server)
{
    struct downstream *client = up->pin;

    server->idle_count++;
    if (likely(client == NULL)) {
        list_push_front(&server->idle, &up->link);
        return;
    }
    list_push_back(&server->idle, &up->link);
    if (downstream_rare(client) == NULL) {
        up_conn_close(up);
        return;
    }
    if (client->rare->bound_up != NULL) {
        up_conn_close(client->rare->bound_up);
    }
    client->rare->bound_up = up;
}

void pinned_forget(struct up_conn *up)
{
    struct downstream *client = up->pin;

    if (unlikely(client != NULL) && bound_up(client) == up) {
        client->rare->bound_up = NULL;
    }
}

void pinned_close(struct downstream *client)
{
    if (unlikely(bound_up(client) != NULL)) {
        up_conn_close(bound_up(client));
    }
}
