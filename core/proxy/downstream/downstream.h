/* SPDX-License-Identifier: MIT */
/*
 * Downstream connections: those of a listener's clients.
 */
#ifndef PROXY_DOWNSTREAM_DOWNSTREAM_H
#define PROXY_DOWNSTREAM_DOWNSTREAM_H

#include "proxy/downstream/listener.h"
#include "proxy/pool/spares.h"

/* What few of them need. */
struct downstream_rare {
    struct told_ends told; /* peer.len 0: by nobody, the socket's ends count */
    struct pin pin;        /* of connections to servers that are for this client alone */
};

/* One connection of a client. Lives on one loop. Most of them wait for a request most of the time,
 * so what can be told from elsewhere is not kept. The peer's address as text lies behind the
 * struct. */
struct downstream {
    union down_place place; /* the connection, with its codec's state */
    struct list link;       /* the home's */
    struct listener_local *local;
    struct lifetime *pin;          /* kept: what the listener was when it began; TLS refers to it */
    struct address_count *counted; /* NULL: this peer's connections are not counted */
    struct downstream_rare *rare;  /* owned; NULL: nothing of it */
    uint16_t peer_port, port;      /* the peer's, ours; 0: a Unix socket */
    uint8_t peer_len;              /* of its text */
    bool tls;
    bool trusted; /* the peer is in trusted_proxies */
};

static inline struct downstream *downstream_of(struct down_conn *c)
{
    return container_of(c, struct downstream, place.c);
}

/* Its socket; NULL: closed. */
static inline struct conn *downstream_conn(const struct downstream *downstream)
{
    return downstream->place.c.conn;
}

/* The peer's address without port. Valid as long as the connection. */
static inline struct weir_str downstream_peer_text(const struct downstream *downstream)
{
    return (struct weir_str){(const char *)(downstream + 1), downstream->peer_len};
}

/* Made now if need be; NULL: no memory. */
struct downstream_rare *downstream_rare(struct downstream *downstream);

/* A PROXY header has told who it is. */
static inline bool downstream_is_told(const struct downstream *downstream)
{
    return downstream->rare != NULL && downstream->rare->told.peer.len > 0;
}

/* The connection's ends, a PROXY header's if one came. `local->len` 0: not known any more. */
void downstream_ends(const struct downstream *downstream, struct address *peer,
                     struct address *local);

/* Whether the address is in the listener's trusted_proxies. */
bool downstream_trusts(const struct listener_plan *plan, const struct address *address);

/* The owner of a home's connections, whose requests become `events`. */
struct down_owner downstream_owner(const struct down_events *events);

/* Takes over an accepted socket, whose place in connection_limit is taken. `peer` is the socket's
 * other end, `port` the one that it came to (0: a Unix socket); `told` (or NULL) replaces both. */
void downstream_open(struct listener_local *local, int fd, const struct address *peer,
                     uint16_t port, const struct told_ends *told);

/* Name that the client asked for in TLS (SNI); empty: none, or plain. */
struct weir_str downstream_tls_name(const struct downstream *downstream);

#endif
