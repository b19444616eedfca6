/* SPDX-License-Identifier: MIT */
/*
 * The live half of listeners: it outlives generations, counts connections, and has a part on each
 * loop.
 */
#ifndef PROXY_DOWNSTREAM_LISTENER_H
#define PROXY_DOWNSTREAM_LISTENER_H

#include "http/down_conn.h"
#include "proxy/downstream/address_count.h"
#include "proxy/downstream/greeting.h"
#include "net/acceptor.h"
#include "net/listener.h"
#include "proxy/plan/lifetime.h"
#include "proxy/plan/plan.h"
#include "proxy/plan/traffic.h"

/* What listeners and their connections need of a loop; its worker embeds one. */
struct down_home {
    struct down_owner owner; /* of its connections and their requests */
    void *user;              /* for the events */
    struct loop *loop;
    struct batch *batch;
    /* Descriptors from this number on are not for clients; 0: no bound. */
    int keep_reserve;
    bool draining;           /* no new connections; each may send one more request */
    const struct plan *plan; /* the loop's; NULL: none */
    struct list connections; /* struct downstream.link */
    size_t count;
    struct list leaving;      /* struct listener_local.leaving */
    struct timer leave_timer; /* for those, and for the end of the drain */
    /* The leaving listeners were checked; one that was removed may have ended. */
    void (*on_look)(struct down_home *home);
};

/* An acceptor and its listening socket. */
struct accepting {
    struct listen_socket *socket;
    struct acceptor *acceptor;
    struct lifetime *leaving; /* kept: its plan owns the socket; NULL: it stays */
};

/* One loop's half of a listener. See listening.c. */
struct listener_local {
    struct listener *listener;
    struct down_home *home;
    struct listener_plan *plan; /* for new connections; NULL: not on this loop */
    struct accepting *accepting;
    size_t accepting_count;
    struct greeter greeter;
    size_t count;        /* its connections */
    struct list leaving; /* in the home: it, or one of its sockets, is leaving */
    bool gone;           /* not in the loop's plan; `plan` is the last one that had it */
    bool full;           /* connection_limit is reached: nothing is accepted here */
    struct timer full_timer;
    uint64_t full_told_ns; /* when that was last logged */
    struct traffic traffic;
} __attribute__((aligned(64)));

/* A listener, by name. Control thread, except `locals` and where noted. */
struct listener {
    struct list link; /* runtime's */
    char *name;
    unsigned refs;
    unsigned loops;
    struct listener_local *locals;
    struct address_counts *addresses; /* any thread */

    /* Connections on all loops, including those being accepted; every loop writes it. */
    _Atomic uint32_t open __attribute__((aligned(64)));
};

struct listener *listener_new(struct weir_str name, unsigned loops);
void listener_unref(struct listener **listener);

/* ---- places: connection_limit ---- */

/* The gate of its acceptors; their argument is the local half. */
bool listener_place_take(struct acceptor *acceptor, void *local);
void listener_place_back(struct acceptor *acceptor, void *local);
/* A connection has ended. */
void listener_place_give(struct listener_local *local);
/* There may be places again: accepting resumes. */
void listener_places_look(struct listener_local *local);

/* Closes an accepted socket that never became a connection, and gives its place back. */
void listener_refuse(struct listener_local *local, int fd);

#endif
