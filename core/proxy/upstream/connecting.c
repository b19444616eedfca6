/* SPDX-License-Identifier: MIT */
/*
 * Connecting to a server for one request or several. See connecting.h.
 */
#include "proxy/upstream/connecting.h"

#include <stdlib.h>

#include "net/tcp_watch.h"

struct connecting {
    struct list link; /* in the list of connections being established */
    struct list waiters;
    uint32_t waiting;
    uint32_t room, address_epoch, terms;
    int32_t protocol;
    struct conn *conn;
    struct http_limits limits;
    const struct up_codec *codec;
    const SSL_CTX *tls; /* NULL: plain. Lives as long as its connection */
    struct batch *batch;
    const struct up_owner *owner;
    void *user;
    struct pin *pin;
    struct loop_mark start;
    struct freed freed;
};

static void connecting_free(struct freed *freed)
{
    free(container_of(freed, struct connecting, freed));
}

static void add_waiter(struct connecting *connecting, struct connect_waiter *waiter)
{
    waiter->connecting = connecting;
    list_push_back(&connecting->waiters, &waiter->link);
    connecting->waiting++;
}

/* Removes and returns the oldest waiter; NULL: none. */
static struct connect_waiter *next_waiter(struct connecting *connecting)
{
    struct list *link = list_pop_front(&connecting->waiters);

    if (link == NULL) {
        return NULL;
    }
    struct connect_waiter *waiter = container_of(link, struct connect_waiter, link);
    waiter->connecting = NULL;
    return waiter;
}

static void fail_all(struct connecting *connecting, enum conn_error error)
{
    struct connect_waiter *waiter = NULL;

    while ((waiter = next_waiter(connecting)) != NULL) {
        waiter->events->failed(waiter, error);
    }
}

/* Serves waiters in order; one may end the connection. Then, or when it is full, the others must
 * find another one. Room left over is for later requests. */
static void serve_all(struct connecting *connecting, struct up_conn *c)
{
    struct connect_waiter *waiter = NULL;

    while ((waiter = next_waiter(connecting)) != NULL) {
        if (c->room > 0) {
            waiter->events->opened(waiter, c);
        } else {
            waiter->events->no_room(waiter);
        }
    }
    if (c->room > 0 && c->spares == NULL) {
        c->owner->on_room(c);
    }
}

static void connecting_opened(struct conn *conn, bool ok)
{
    struct connecting *connecting = conn->owner;
    struct batch *batch = connecting->batch;
    struct loop *loop = conn->loop;

    list_remove(&connecting->link);
    bool agreed = ok && up_protocol_agreed((enum up_protocol)connecting->protocol, conn);
    if (!agreed) {
        enum conn_error error = ok ? CONN_ALPN : (enum conn_error)conn->error;
        conn_close(&connecting->conn, true);
        fail_all(connecting, error);
    } else {
        struct up_conn *c = up_conn_open(connecting->codec, conn, batch, &connecting->limits,
                                         connecting->owner, connecting->user);
        if (c == NULL) {
            fail_all(connecting, CONN_NO_MEMORY);
        } else {
            c->pin = connecting->pin;
            c->address_epoch = connecting->address_epoch;
            c->terms = connecting->terms;
            c->expected = connecting->room;
            c->owner->on_open(c, loop_since(loop, &connecting->start));
            serve_all(connecting, c);
        }
    }
    loop_free_later(loop, &connecting->freed, connecting_free);
    batch_flush(batch);
}

static void connecting_quiet(struct conn *conn)
{
    (void)conn; /* nothing is read or queued before the connection is open */
}

static const struct conn_ops connecting_ops = {
    .on_readable = connecting_quiet,
    .on_drained = connecting_quiet,
    .on_open = connecting_opened,
};

bool connecting_join(struct list *under_way, struct loop *loop, const struct connect_to *to,
                     struct connect_waiter *waiter)
{
    if (likely(to->room < 2)) { /* each has a waiter, or it would be abandoned */
        return false;
    }
    list_each(link, under_way)
    {
        struct connecting *connecting = container_of(link, struct connecting, link);
        bool fresh = loop_since(loop, &connecting->start) < to->fresh_ns;
        bool same = connecting->tls == to->tls.ctx && connecting->terms == to->terms &&
                    connecting->address_epoch == to->address_epoch && connecting->pin == to->pin;
        if (fresh && same && connecting->waiting < connecting->room &&
            connecting->waiting < to->room) {
            add_waiter(connecting, waiter);
            return true;
        }
    }
    return false;
}

enum conn_error connecting_begin(struct list *under_way, struct loop *loop,
                                 const struct connect_to *to, struct connect_waiter *waiter)
{
    const struct address *address = to->address;
    enum conn_error error = CONN_OK;
    struct connecting *connecting = calloc(1, sizeof(*connecting));

    if (connecting == NULL) {
        return CONN_NO_MEMORY;
    }
    *connecting = (struct connecting){
        .room = to->room,
        .address_epoch = to->address_epoch,
        .terms = to->terms,
        .protocol = to->protocol,
        .limits = *to->limits,
        .codec = to->codec,
        .tls = to->tls.ctx,
        .batch = to->batch,
        .owner = to->owner,
        .user = to->user,
        .pin = to->pin,
        .start = loop_mark(loop),
    };
    list_init(&connecting->waiters);
    connecting->conn =
        conn_connect(loop, &address->u.any, address->len, to->tls.ctx != NULL ? &to->tls : NULL,
                     &connecting_ops, connecting, &error);
    if (connecting->conn == NULL) {
        free(connecting);
        return error;
    }
    if (to->preface_len > 0 && !conn_preface(connecting->conn, to->preface, to->preface_len)) {
        conn_close(&connecting->conn, true);
        free(connecting);
        return CONN_NO_MEMORY;
    }
    if (address->u.any.sa_family != AF_UNIX) {
        tcp_watch_set(connecting->conn->fd, to->watch);
    }
    list_push_back(under_way, &connecting->link);
    add_waiter(connecting, waiter);
    return CONN_OK;
}

void connecting_leave(struct connect_waiter *waiter)
{
    struct connecting *connecting = waiter->connecting;

    if (connecting == NULL) {
        return;
    }
    waiter->connecting = NULL;
    list_remove(&waiter->link);
    connecting->waiting--;
    if (list_empty(&connecting->waiters) && list_linked(&connecting->link)) {
        struct loop *loop = connecting->conn->loop;
        list_remove(&connecting->link);
        conn_close(&connecting->conn, true);
        loop_free_later(loop, &connecting->freed, connecting_free);
    }
}
