/* SPDX-License-Identifier: MIT */
/*
 * Downstream connections: those of a listener's clients.
 */
#ifndef PROXY_DOWNSTREAM_DOWNSTREAM_H
#define PROXY_DOWNSTREAM_DOWNSTREAM_H

#include "proxy/downstream/listener.h"
#include "proxy/pool/spares.h"

/* State that few connections need. */
struct downstream_rare {
    struct told_ends told; /* peer.len 0: none, the socket's addresses count */
    struct pin pin;        /* connections to servers that are pinned to this client */
};

/* One connection of a client, on one loop. Most are idle most of the time, so nothing is stored
 * that can be derived. The peer's address as text follows the struct. */
struct downstream {
    union down_place place; /* the connection, with its codec's state */
    struct list link;       /* the home's */
    struct listener_local *local;
    struct lifetime *pin;          /* kept: the listener's plan when it began; TLS refers to it */
    struct address_count *counted; /* NULL: this peer's connections are not counted */
    struct downstream_rare *rare;  /* owned; NULL: none */
    uint16_t peer_port, port;      /* peer and local port; 0: a Unix socket */
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

/* Allocated on first use; NULL: out of memory. */
struct downstream_rare *downstream_rare(struct downstream *downstream);

/* A PROXY header has named the client. */
static inline bool downstream_is_told(const struct downstream *downstream)
{
    return downstream->rare != NULL && downstream->rare->told.peer.len > 0;
}

/* The connection's addresses, or those of its PROXY header. `local->len` 0: no longer known. */
void downstream_ends(const struct downstream *downstream, struct address *peer,
                     struct address *local);

/* Whether the address is in the listener's trusted_proxies. */
bool downstream_trusts(const struct listener_plan *plan, const struct address *address);

/* The owner of a home's connections, whose requests become `events`. */
struct down_owner downstream_owner(const struct down_events *events);

/* Takes over an accepted socket, already counted in connection_limit. `peer` is the remote address,
 * `port` the local port (0: a Unix socket); `told`, from a PROXY header, replaces both (NULL:
 * none). */
void downstream_open(struct listener_local *local, int fd, const struct address *peer,
                     uint16_t port, const struct told_ends *told);

/* The name that the client sent in SNI; empty: none, or plain. */
struct weir_str downstream_tls_name(const struct downstream *downstream);

#endif
