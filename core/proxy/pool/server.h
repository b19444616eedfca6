/* SPDX-License-Identifier: MIT */
/*
 * Servers: one backend address of a pool, with its live state. A server outlives generations: as long as
 * its pool, id and URL stay, a reload keeps its health, its counters and its idle connections.
 *
 * Owner: the generations that name it, by reference count. State is written by the
 * control thread in atomics and read by workers; `locals[i]` belongs to loop i.
 */
#ifndef PROXY_POOL_SERVER_H
#define PROXY_POOL_SERVER_H

#include <pthread.h>
#include <stdatomic.h>

#include <weir/balancer.h>
#include <weir/option.h>

#include <openssl/ssl.h>

#include "base/list.h"
#include "base/table.h"
#include "net/address.h"
#include "proxy/pool/sessions.h"
#include "proxy/plan/traffic.h"
#include "proxy/pool/spares.h"

struct outcome_notes;
struct pool_local;
struct probe;

/* One answer to a probe, for people. */
struct probe_record {
    uint64_t at_ms; /* wall clock */
    uint32_t took_us;
    bool good;
    char reason[64];
};

/* The last ones that are kept of each server that is probed. */
#define PROBE_RECORDS 20

enum server_health { HEALTH_UNKNOWN, HEALTH_UP, HEALTH_DOWN };
enum server_admin { ADMIN_READY, ADMIN_DRAIN, ADMIN_MAINTENANCE };

const char *server_health_word(enum server_health health);
const char *server_admin_word(enum server_admin admin);

/* One loop's view of a server. */
struct server_local {
    struct spares spares;
    size_t keep_limit;      /* connections that are kept while nothing runs on them */
    struct list connecting; /* struct connecting.link: connections that are being made */
    uint32_t latency_us;    /* smoothed total time */
    uint32_t candidate; /* index among the pool's candidates on this loop; UINT32_MAX: is none */
    void *slot;         /* the balancer's, of its slot_size; NULL: it has none. See balancer.h */
    _Atomic bool
        adopted;    /* in this loop's generation; else connections are not kept. Read by others */
    uint32_t moves; /* the server's, when the idle connections were last looked at */
    const SSL_CTX *tls; /* of this loop's generation; what was made with another is not kept */
    SSL_SESSION *tls_session;    /* its newest, for the next connection; owned; NULL: none */
    struct outcome_notes *notes; /* for health modules; NULL: nobody listens */
    struct session_marks *_Atomic sessions; /* NULL: none was here. Read by others */
    struct server *server;
    struct pool_local *pool; /* of this loop, while it is adopted */
    struct traffic traffic;
} __attribute__((aligned(64)));

struct server {
    struct table_link living; /* in the table of all that live; its lock */
    /* read on each request, changed rarely */
    weir_server_id id;
    char *pool_name;
    char *name;          /* its id in the configuration */
    struct weir_url url; /* of the server's own memory */
    char *called;        /* the host name in DNS that stands for it; NULL: its URL has its host */
    char *tls_name;      /* SNI and host check; NULL: neither */
    char *authority;     /* host and port for a Host field: of probes, and of clients without one */
    unsigned loops;
    _Atomic unsigned refs;          /* any thread: a place that is given on has one, see queue.h */
    struct probe *probe;            /* control thread; NULL: it is not probed */
    bool named;                     /* its URL has a host name: DNS says where it is */
    struct server_name *name_watch; /* control thread; NULL: nobody keeps up with its name */
    _Atomic uint32_t health;
    _Atomic uint32_t admin;
    _Atomic uint32_t weight;          /* as configured (or changed at run time) */
    _Atomic uint32_t effective;       /* times 256, and times its share (server_set_share) */
    _Atomic uint32_t max_connections; /* 0: no limit */
    _Atomic uint32_t backup;          /* serves only when no other can */
    _Atomic uint32_t held;            /* came while the pool ran, and waits for its first probe */
    _Atomic uint32_t ejected;         /* taken out for a time, see recovery.h */
    _Atomic uint32_t placeless;       /* its host name has no known address */
    _Atomic uint32_t moves;           /* changes of its address; older connections are not kept */
    struct server_local *locals;

    /* the one shared line that requests write */
    uint32_t in_flight __attribute__((aligned(64)));
    _Atomic uint32_t waiting; /* streams in `waiters` */
    struct list waiters; /* struct waiter.link: sessions that wait for a place; the queue's lock */

    /* control thread */
    uint32_t share __attribute__((aligned(64))); /* of its weight, of SERVER_SHARE_ONE */
    bool back;              /* it can serve again since the last recovery_look */
    uint64_t slow_since_ns; /* its slow start has begun; 0: none runs */
    uint64_t eject_end_ns;  /* 0: it is not ejected */

    /* slow path */
    _Atomic uint64_t ejected_until_ms;                 /* wall clock; 0: it is not ejected */
    pthread_mutex_t lock __attribute__((aligned(64))); /* of what follows */
    struct address address;                            /* len 0: not resolved (yet) */
    char reason[160];                                  /* of the health, in words */
    char eject_reason[160];                            /* in words; empty: it is not ejected */
    uint64_t health_since_ms;                          /* wall clock */
    uint64_t admin_since_ms;
    struct probe_record *probes; /* PROBE_RECORDS, a ring; NULL: none yet */
    uint64_t probes_seen;
};

/* A hash of pool and server name: the same for ever. Never 0. */
weir_server_id server_id_of(struct weir_str pool, struct weir_str name);

struct server *server_new(struct weir_str pool, struct weir_str name, const struct weir_url *url,
                          unsigned loops);
/* The one that lives: while a generation has it, or a request runs there, though no configuration may have it
 * any more. So who is removed and comes back still knows of the requests that it has. `called` as in
 * server_set_called; empty: none. Referenced; NULL: none lives. Any thread. */
struct server *server_find(struct weir_str pool, struct weir_str name, const struct weir_url *url,
                           struct weir_str called);
struct server *server_ref(struct server *server);
/* The host name that the server was found by: for TLS and for probes, while its URL has the address. Before
 * it is used. */
void server_set_called(struct server *server, struct weir_str name);
/* The last one frees: no loop has connections to it any more (pool_local_leave saw to that). */
void server_unref(struct server **server);

/* The one place where health changes. `reason` is copied. true: it differs from before. A newcomer that was
 * held for its first verdict is so no more. Control thread. */
bool server_set_health(struct server *server, enum server_health health, const char *reason);
bool server_set_admin(struct server *server, enum server_admin admin);

/* A newcomer of a running pool waits for its first verdict no more, whatever it is. true: it had waited.
 * Control thread. */
bool server_end_hold(struct server *server);

/* Weight as configured; the share of it that slow start allows. What balancers see changes with the next
 * refresh of the pool. true: that is something else than before. Control thread. */
#define SERVER_SHARE_ONE 1000u
bool server_set_weight(struct server *server, uint32_t weight);
bool server_set_share(struct server *server, uint32_t share);

/* Out until `end_ns` (monotonic) or `until_ms` (wall clock), or, with 0, in again. Control thread; see
 * recovery_eject. */
void server_set_ejected(struct server *server, uint64_t end_ns, uint64_t until_ms,
                        const char *reason);

/* Why it is well or not, in words; the ejection's reason while there is one, and before it that
 * nobody knows where it is. Copies. Any thread. */
void server_reason(struct server *server, char *out, size_t size);

/* Keeps what a probe found out. Control thread. */
void server_note_probe(struct server *server, bool good, uint64_t took_ns, const char *reason);
/* Copies the last ones, oldest first; says how many. Any thread. */
size_t server_probes(struct server *server, struct probe_record records[PROBE_RECORDS]);

/* Where its host name leads; len 0: nowhere. true: it can be reached and could not, or the reverse; balancers
 * see that with the next refresh of the pool. Control thread. */
bool server_set_address(struct server *server, const struct address *address);
/* false: the name has no known address. Any thread. */
bool server_get_address(struct server *server, struct address *address);

/* Its administrator wants it to have new sessions. */
static inline bool server_is_wanted(const struct server *server)
{
    return server->admin == ADMIN_READY && server->effective > 0;
}

static inline bool server_is_well(const struct server *server)
{
    return server->health != HEALTH_DOWN && !server->ejected && !server->placeless;
}

/* May be picked for new sessions, as far as it is concerned itself. */
static inline bool server_is_candidate(const struct server *server)
{
    return server_is_wanted(server) && server_is_well(server) && !server->held;
}

/* Takes a place at the server; false: it is at its limit. Any loop. */
static inline bool server_acquire(struct server *server)
{
    uint32_t limit = server->max_connections;
    uint32_t before = __atomic_fetch_add(&server->in_flight, 1, __ATOMIC_SEQ_CST);
    if (limit > 0 && before >= limit) {
        __atomic_fetch_sub(&server->in_flight, 1, __ATOMIC_SEQ_CST);
        return false;
    }
    return true;
}

/* Sequentially consistent, as who waits looks at it (queue.h). */
static inline void server_release(struct server *server)
{
    __atomic_fetch_sub(&server->in_flight, 1, __ATOMIC_SEQ_CST);
}

/* It is under its limit. */
static inline bool server_has_place(const struct server *server)
{
    uint32_t limit = server->max_connections;
    return limit == 0 || __atomic_load_n(&server->in_flight, __ATOMIC_SEQ_CST) < limit;
}

/* The same for who has not waited: a place that others wait for is none. */
static inline bool server_has_room(const struct server *server)
{
    uint32_t limit = server->max_connections;
    return limit == 0 || (__atomic_load_n(&server->in_flight, __ATOMIC_RELAXED) < limit &&
                          atomic_load_explicit(&server->waiting, memory_order_relaxed) == 0);
}

#endif
