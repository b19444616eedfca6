/* SPDX-License-Identifier: MIT */
/*
 * Clients: the connections of a listener, and the live half of listeners: sockets and acceptors that
 * outlive generations.
 */
#ifndef PROXY_DOWNSTREAM_DOWNSTREAM_H
#define PROXY_DOWNSTREAM_DOWNSTREAM_H

#include "http/down_conn.h"
#include "proxy/downstream/address_count.h"
#include "proxy/generation.h"
#include "proxy/worker.h"

/* An acceptor and the socket that it accepts on. */
struct accepting {
    struct listen_socket *socket;
    struct acceptor *acceptor;
    struct generation *leaving; /* kept: the socket is its; NULL: the socket stays */
};

/* One loop's half of a listener. See listening.c. */
struct listener_local {
    struct listener *listener;
    struct worker *worker;
    struct listener_plan *plan; /* for who comes next; NULL: not here */
    struct accepting *accepting;
    size_t accepting_count;
    struct list greetings; /* struct greeting.link */
    size_t client_count;
    struct list leaving; /* worker's: it, or one of its sockets, is on its way out */
    bool gone;           /* not in the loop's generation; `plan` is of the last one that had it */
    bool full;           /* connection_limit is reached: nothing is accepted here */
    struct timer full_timer;
    uint64_t full_told_ns; /* when that was logged last */
    struct traffic traffic;
} __attribute__((aligned(64)));

/* A listener, by name. Control thread, but for locals and what says otherwise. */
struct listener {
    struct list link; /* runtime's */
    char *name;
    unsigned refs;
    unsigned loops;
    struct listener_local *locals;
    struct address_counts *addresses; /* any thread */

    /* Connections on all loops, those that are being accepted too; written by each of them. */
    _Atomic uint32_t open __attribute__((aligned(64)));
};

struct listener *listener_new(struct weir_str name, unsigned loops);
void listener_unref(struct listener **listener);

/* Both ends of a connection, as a PROXY header told them. */
struct downstream_ends {
    struct address peer, bound;
};

/* What few clients need. */
struct downstream_rare {
    struct downstream_ends told; /* peer.len 0: by nobody, the socket's ends count */
    struct up_conn *bound_up;    /* idle, and for this client alone; see bound.h */
};

/* One connection of a client. Lives on one loop. Most of them wait for a request most of the time, so what
 * can be told from elsewhere is not kept. The peer's address as text lies behind the struct. */
struct downstream {
    union down_place place; /* the connection, with its codec's state */
    struct list link;       /* worker's */
    struct listener_local *local;
    struct generation
        *pin; /* in the TLS handshake, whose callbacks refer to it; NULL: over, or plain */
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
static inline struct conn *downstream_conn(const struct downstream *client)
{
    return client->place.c.conn;
}

/* The peer's address without port. Valid as long as the client. */
static inline struct weir_str downstream_peer_text(const struct downstream *client)
{
    return (struct weir_str){(const char *)(client + 1), client->peer_len};
}

/* The client's, made now if need be; NULL: no memory. */
struct downstream_rare *downstream_rare(struct downstream *client);

/* A PROXY header has told who it is. */
static inline bool downstream_is_told(const struct downstream *client)
{
    return client->rare != NULL && client->rare->told.peer.len > 0;
}

/* The ends of its connection, a PROXY header's if one came. `bound->len` 0: not known any more. */
void downstream_ends(const struct downstream *client, struct address *peer, struct address *bound);

/* Whether the address is in the listener's trusted_proxies. */
bool downstream_trusts(const struct listener_plan *plan, const struct address *address);

/* The acceptor's callback: a client, or a greeting before it. */
void downstream_accepted(struct acceptor *acceptor, int fd, const struct address *peer, void *arg);

/* The gate of acceptors: connection_limit. */
bool downstream_place_take(struct acceptor *acceptor, void *arg);
void downstream_place_back(struct acceptor *acceptor, void *arg);
/* There may be places again, or more of them: accepting goes on. */
void downstream_places_look(struct listener_local *local);

/* Takes over an accepted socket, whose place in connection_limit is taken. `peer` is the socket's other end,
 * `port` the one that it came to (0: a Unix socket); `told` (or NULL) replaces both. */
void downstream_open(struct listener_local *local, int fd, const struct address *peer,
                     uint16_t port, const struct downstream_ends *told);

/* Closes an accepted socket that becomes no client, and gives its place back. */
void downstream_refuse(struct listener_local *local, int fd);

/* Name that the client asked for in TLS (SNI); empty: none, or plain. */
struct weir_str downstream_tls_name(const struct downstream *client);

#endif
