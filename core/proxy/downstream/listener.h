/* SPDX-License-Identifier: MIT */
/*
 * The live half of listeners: what outlives generations, how many connections there may be, and
 * what each loop has of them.
 */
#ifndef PROXY_DOWNSTREAM_LISTENER_H
#define PROXY_DOWNSTREAM_LISTENER_H

#include "http/down_conn.h"
#include "proxy/downstream/address_count.h"
#include "proxy/downstream/greeting.h"
#include "net/listener.h"
#include "proxy/plan/lifetime.h"
#include "proxy/plan/plan.h"
#include "proxy/plan/traffic.h"

/* A loop, as its listeners and their connections see it; its worker embeds one. */
struct down_home {
    struct down_owner owner; /* of its connections: what becomes of their requests, too */
    void *user;              /* the events' */
    struct loop *loop;
    struct batch *batch;
    /* Descriptors from this number on are not for clients; 0: all may be. */
    int keep_reserve;
    bool draining;           /* no new connections; each has one request more */
    const struct plan *plan; /* the loop's; NULL: none (yet, or any more) */
    struct list connections; /* struct downstream.link */
    size_t count;
    struct list leaving;      /* struct listener_local.leaving */
    struct timer leave_timer; /* for those, and for the end of a drain */
    /* Those on their way out have been looked at; a listener that was gone may have ended. */
    void (*on_look)(struct down_home *home);
};

/* An acceptor and the socket that it accepts on. */
struct accepting {
    struct listen_socket *socket;
    struct acceptor *acceptor;
    struct lifetime *leaving; /* kept: the socket is its; NULL: the socket stays */
};

/* One loop's half of a listener. See listening.c. */
struct listener_local {
    struct listener *listener;
    struct down_home *home;
    struct listener_plan *plan; /* for who comes next; NULL: not here */
    struct accepting *accepting;
    size_t accepting_count;
    struct greeter greeter;
    size_t count;        /* its connections */
    struct list leaving; /* the home's: it, or one of its sockets, is on its way out */
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

/* ---- places: connection_limit ---- */

/* The gate of its acceptors; their argument is the local half. */
bool listener_place_take(struct acceptor *acceptor, void *local);
void listener_place_back(struct acceptor *acceptor, void *local);
/* A connection is over. */
void listener_place_give(struct listener_local *local);
/* There may be places again, or more of them: accepting goes on. */
void listener_places_look(struct listener_local *local);

/* Closes an accepted socket that becomes no connection, and gives its place back. */
void listener_refuse(struct listener_local *local, int fd);

#endif
