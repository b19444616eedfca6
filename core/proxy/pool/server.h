/* SPDX-License-Identifier: MIT */
/*
 * Servers: a backend address of a pool, with its live state. A server outlives generations: while
 * its pool, id and URL stay, a reload keeps its health, counters and idle connections.
 *
 * Owner: the plans that name it, by reference count. State is written by the control thread in
 * atomics and read by workers; `locals[i]` belongs to loop i.
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

/* One answer to a probe, for operators. */
struct probe_record {
    uint64_t at_ms; /* wall clock */
    uint32_t took_us;
    bool good;
    char reason[64];
};

/* The latest records are kept per probed server. */
#define PROBE_RECORDS 20

/* The most of something at once, in the last half minute or up to a whole one. */
struct peak {
    uint64_t since_ns;  /* beginning of this half minute */
    size_t now, before; /* in this one, in the one before */
};

/* What one loop counts of a server while its pool has a shadow. Relaxed: others read it. */
struct shadow_choices {
    uint64_t picked;        /* by the pool's balancer, when the shadow was asked as well */
    uint64_t chosen;        /* by the shadow */
    uint32_t first_byte_us; /* smoothed time to the first byte of good answers; 0: none yet */
};

enum server_health { HEALTH_UNKNOWN, HEALTH_UP, HEALTH_DOWN };
enum server_admin { ADMIN_READY, ADMIN_DRAIN, ADMIN_MAINTENANCE };

const char *server_health_word(enum server_health health);
const char *server_admin_word(enum server_admin admin);

/* One loop's view of a server. */
struct server_local {
    struct spares spares;
    size_t keep_limit;      /* idle connections to keep at most */
    uint64_t age_ns;        /* of a connection, until it takes no more requests; 0: any */
    struct peak in_use;     /* connections */
    size_t open;            /* connections */
    struct list connecting; /* struct connecting.link: connections being established */
    uint32_t latency_us;    /* smoothed total time; relaxed, since other threads read it */
    uint32_t candidate;     /* index among the pool's candidates on this loop; UINT32_MAX: none */
    void *slots[3]; /* balancers', of their slot_size, by arm.slot; NULL: none. See balancer.h */
    _Atomic bool adopted;   /* in this loop's plan: connections are kept. Read by others */
    uint32_t address_epoch; /* the server's, when the idle connections were last checked */
    uint32_t expected_room; /* of its last connection; 0: none yet */
    /* What this loop's plan wants of connections; `terms` changes with it, and connections that
     * were made on others are not kept. */
    uint32_t terms;
    int32_t protocol; /* enum up_protocol */
    struct http_limits limits;
    const SSL_CTX *tls;          /* of this loop's plan; connections of another are not kept */
    SSL_SESSION *tls_session;    /* the newest, for the next connection; owned; NULL: none */
    struct outcome_notes *notes; /* for health modules; NULL: none listens */
    struct session_marks *_Atomic sessions; /* NULL: no session yet. Read by other threads */
    struct server *server;
    struct pool_local *pool;      /* of this loop, while it is adopted */
    struct shadow_choices shadow; /* of the pool's shadow, see shadow.h */
    struct traffic traffic;
} __attribute__((aligned(64)));

struct server {
    struct table_link living; /* in the table of all servers; its lock */
    /* read on each request, changed rarely */
    weir_server_id id;
    char *pool_name;
    char *name;          /* its id in the configuration */
    struct weir_url url; /* of the server's own memory */
    char *dns_name;      /* the name that resolved to it; NULL: the URL has the host */
    char *tls_name;      /* SNI and host check; NULL: neither */
    char *authority;     /* host and port for a Host field: of probes, and of clients without one */
    unsigned loops;
    _Atomic unsigned refs;          /* any thread: a granted place holds a reference, see queue.h */
    struct probe *probe;            /* control thread; NULL: it is not probed */
    bool named;                     /* its URL has a host name, which DNS resolves */
    struct server_name *name_watch; /* control thread; NULL: its name is not followed */
    _Atomic uint32_t health;
    _Atomic uint32_t admin;
    _Atomic uint32_t weight;          /* as configured (or changed at run time) */
    _Atomic uint32_t effective;       /* weight times 256 times share (server_set_share) */
    _Atomic uint32_t max_connections; /* 0: no limit */
    _Atomic uint32_t backup;          /* serves only when no primary can */
    _Atomic uint32_t awaiting_probe; /* joined a running pool: no requests before its first probe */
    _Atomic uint32_t ejected;        /* out for a time, see recovery.h */
    _Atomic uint32_t no_address;     /* its host name has no known address */
    _Atomic uint32_t address_epoch;  /* changes of its address; older connections are not kept */
    struct server_local *locals;

    /* the only shared line that requests write */
    uint32_t in_flight __attribute__((aligned(64)));
    _Atomic uint32_t waiting; /* number of `waiters` */
    /* So many more would be in flight, or fewer, if shadows had been obeyed. */
    _Atomic int32_t shadowed;
    struct list waiters; /* struct waiter.link: waiters for this server alone; the queue's lock */

    /* control thread */
    uint32_t share __attribute__((aligned(64))); /* of its weight, of SERVER_SHARE_ONE */
    bool back;              /* became able to serve since the last recovery_look */
    uint64_t slow_since_ns; /* start of its slow start; 0: none */
    uint64_t eject_end_ns;  /* 0: it is not ejected */

    /* slow path */
    _Atomic uint64_t ejected_until_ms;                 /* wall clock; 0: it is not ejected */
    pthread_mutex_t lock __attribute__((aligned(64))); /* of what follows */
    struct address address;                            /* len 0: not resolved (yet) */
    char reason[160];                                  /* of its health */
    char eject_reason[160];                            /* empty: it is not ejected */
    uint64_t health_since_ms;                          /* wall clock */
    uint64_t admin_since_ms;
    /* Of one that drains, in a pool with stickiness; control thread: */
    uint64_t quiet_requests, quiet_since_ns; /* since then no more have ended; 0: not watched yet */
    struct probe_record *probes;             /* PROBE_RECORDS, a ring; NULL: none yet */
    uint64_t probes_seen;
};

/* A stable hash of pool and server name. Never 0. */
weir_server_id server_id_of(struct weir_str pool, struct weir_str name);

struct server *server_new(struct weir_str pool, struct weir_str name, const struct weir_url *url,
                          unsigned loops);
/* Finds a live server: one in a plan, or with a request still running. So a server that is removed
 * and added again keeps its count of requests. `dns_name`: see server_set_dns_name; empty: none.
 * Referenced; NULL: there is none. Any thread. */
struct server *server_find(struct weir_str pool, struct weir_str name, const struct weir_url *url,
                           struct weir_str dns_name);
struct server *server_ref(struct server *server);
/* Sets the host name that resolved to this server, for TLS and probes; its URL has the address.
 * Before its first use. */
void server_set_dns_name(struct server *server, struct weir_str name);
/* The last reference frees it; no loop has connections to it then (pool_local_adopt). */
void server_unref(struct server **server);

/* The only place that changes health. `reason` is copied. true: it has changed. Ends the wait for
 * the first probe. Control thread. */
bool server_set_health(struct server *server, enum server_health health, const char *reason);
bool server_set_admin(struct server *server, enum server_admin admin);

/* Ends the wait for the first probe, whatever its result. true: it was waiting. Control thread. */
bool server_end_wait(struct server *server);

/* Sets the configured weight, and the share of it that slow start allows. Balancers see it at the
 * pool's next refresh. true: the effective weight has changed. Control thread. */
#define SERVER_SHARE_ONE 1000u
bool server_set_weight(struct server *server, uint32_t weight);
bool server_set_share(struct server *server, uint32_t share);

/* Ejects it until `end_ns` (monotonic; `until_ms` on the wall clock); 0 ends an ejection. Control
 * thread; see recovery_eject. */
void server_set_ejected(struct server *server, uint64_t end_ns, uint64_t until_ms,
                        const char *reason);

/* Copies the reason for its health: a missing address first, then an ejection. Any thread. */
void server_reason(struct server *server, char *out, size_t size);

/* Records a probe's result. Control thread. */
void server_note_probe(struct server *server, bool good, uint64_t took_ns, const char *reason);
/* Copies the latest records, oldest first, and returns their number. Any thread. */
size_t server_probes(struct server *server, struct probe_record records[PROBE_RECORDS]);

/* Sets the address of its host name; len 0: unknown. true: it became reachable or unreachable,
 * which balancers see at the pool's next refresh. Control thread. */
bool server_set_address(struct server *server, const struct address *address);
/* false: the name has no known address. Any thread. */
bool server_get_address(struct server *server, struct address *address);

/* The operator lets it have new sessions. */
static inline bool server_is_wanted(const struct server *server)
{
    return server->admin == ADMIN_READY && server->effective > 0;
}

static inline bool server_is_well(const struct server *server)
{
    return server->health != HEALTH_DOWN && !server->ejected && !server->no_address;
}

/* Its own state allows new sessions. */
static inline bool server_is_candidate(const struct server *server)
{
    return server_is_wanted(server) && server_is_well(server) && !server->awaiting_probe;
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

/* Sequentially consistent, for the queue (queue.h). */
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

/* The same for a request that has not waited: it must leave places to waiters. */
static inline bool server_has_room(const struct server *server)
{
    uint32_t limit = server->max_connections;
    return limit == 0 || (__atomic_load_n(&server->in_flight, __ATOMIC_RELAXED) < limit &&
                          atomic_load_explicit(&server->waiting, memory_order_relaxed) == 0);
}

#endif
