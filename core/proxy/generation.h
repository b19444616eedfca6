/* SPDX-License-Identifier: MIT */
/*
 * Generations: one complete, checked, immutable configuration with its module instances.
 *
 * Life: the control thread builds it (reads, checks, loads modules, opens sockets); every loop prepares
 * its instances; when all could, every loop commits, and the generation before it is left by each loop
 * when its last stream there has ended; when all have left, the control thread frees it. A failure at any
 * step frees the new one and changes nothing.
 *
 * What outlives generations (pools, servers, listeners, routes) is found again by name and shared by
 * reference count; a generation holds plans that point to it.
 *
 * A generation is *built* from files, or *derived*: the configuration of a built one, its base, with other
 * servers in its pools. All that files said stays the base's (settings, certificates, modules, what modules
 * have prepared), so that a change at run time takes no new file into force, and needs none to be there. A
 * base goes when neither itself nor what was derived from it is left.
 */
#ifndef PROXY_GENERATION_H
#define PROXY_GENERATION_H

#include <stdatomic.h>

#include "base/table.h"
#include "conf/conf.h"
#include "http/down_conn.h"
#include "module/context.h"
#include "module/module.h"
#include "net/address.h"
#include "net/listener.h"
#include "proxy/pool/pool.h"
#include "proxy/pool/server.h"
#include "proxy/plan/settings.h"

struct generation;
struct listener_plan;
struct log_next;
struct logfile;
struct worker;

/* One use of a module in the configuration: its module block, or a `balance`, `sticky`, ... block. */
struct use {
    size_t index;          /* in generation.uses, the same in those that are derived */
    struct module *module; /* NULL: given back */
    enum module_kind kind; /* what it is used as */
    struct generation *generation;
    const struct conf_node *block;
    const struct use *base; /* the module block's use; itself there */
    void *conf;
    void *prepared;
    struct weir_str pool;                 /* whose block it stands in; empty: none */
    const struct listener_plan *listener; /* likewise; NULL: none */
    struct module_context context;        /* of conf_create and conf_free: the control thread */
    bool conf_created;
    struct instance *instances; /* one a loop, for routers, loggers, filters, sticky, handlers */
    /* Of a module block: loops that have not left the generation, or have balancers of the module. */
    _Atomic unsigned loops_kept;
    /* Of a module block of a base; control thread: */
    struct module *kept; /* the reference; NULL: nobody of these uses it any more */
    unsigned sharers; /* generations with the configuration that have not given the module back */
};

/* A use on one loop. */
struct instance {
    const struct use *use;
    struct module_context context;
    void *data;
    bool created;       /* the context is set up */
    bool alive;         /* the kind's create has run */
    bool started;       /* worker_start has run (module blocks) */
    uint32_t balancers; /* of a module block: of the module, that live on this loop */
};

struct use_list {
    struct use **items;
    size_t count;
    bool transforms; /* a filter among them may transform bodies */
};

/* A pool as this generation has it. */
struct pool_plan {
    struct generation *generation;
    const struct pool_settings *settings;
    const struct probe_settings *probe; /* NULL: no health block */
    struct followed *probe_name;        /* that its address has (names.c); NULL: it has none */
    bool probe_name_told;               /* that it has no address */
    struct pool *pool;                  /* referenced */
    struct table_link by_name;          /* in the generation's pools_by_name */
    struct server **servers;            /* referenced, in the file's order */
    size_t server_count;
    struct server **by_id; /* open-addressed by id, by_id_mask + 1 slots */
    size_t by_id_mask;
    uint32_t *places; /* of those of `by_id` in `servers`, by slot; NULL: not needed */
    struct use *balance;
    struct use *sticky;        /* NULL: none */
    struct use *health;        /* that probes; NULL: none */
    struct use_list observers; /* health modules that listen to outcomes */
    double max_ejected;        /* the smallest that they allow */
    struct use_list filters;
    SSL_CTX *tls;                 /* for https:// servers */
    const struct weir_list *alpn; /* what they are offered, best first (weir_str) */
    struct tcp_watch watch;
    struct http_limits limits;
    struct balancer *
        *balancers; /* one a loop: made by prepare, taken by commit; NULL: keep the old */
};

struct server *pool_plan_server(const struct pool_plan *plan, weir_server_id id);
/* The server of a name and its place in `servers` and in the settings; NULL: there is none. */
struct server *pool_plan_named(const struct pool_plan *plan, struct weir_str name, size_t *index);
/* The name that a server's certificate is to have, also its SNI; NULL: none (plain HTTP). */
const char *pool_plan_tls_name(const struct pool_plan *plan, const struct server *server);

/* The generation's plan of a pool; NULL: it has none. Any thread, once it is built. */
struct pool_plan *generation_pool(const struct generation *generation, struct weir_str name);
struct pool_plan *generation_plan_of(const struct generation *generation, const struct pool *pool);

/* A handler of a listener, and the requests that it gets. */
struct handler_plan {
    struct weir_str path; /* a prefix, on whole segments, without a slash at its end; empty: all */
    struct use *use;
};

/* A listener as this generation has it. */
struct listener_plan {
    struct generation *generation;
    const struct listener_settings *settings;
    struct listener *listener; /* referenced */
    struct tls_listener *tls;  /* NULL: plain */
    struct down_conf http;
    struct tcp_watch watch;
    uint32_t connection_limit; /* over all loops */
    struct address *addresses; /* one a bind, in the file's order */
    unsigned socket_mode;      /* of Unix sockets */
    struct network *trusted;
    size_t trusted_count;
    struct use_list filters;
    struct handler_plan *handlers; /* longest path first; none: requests are routed */
    size_t handler_count;
    struct listen_socket **sockets; /* referenced, one an address, in the file's order */
    size_t socket_count;
};

/* Listeners with handlers live on the control thread, others on all workers. */
static inline bool listener_plan_on_control(const struct listener_plan *plan)
{
    return plan->handler_count > 0;
}

/* The handler of a path; NULL: none has it. */
struct use *listener_plan_handler(const struct listener_plan *plan, struct weir_str path);

/* A route, known for its numbers; lives over generations by name. */
struct route {
    char *name;
    unsigned refs;
    unsigned loops;
    struct table_link link; /* in runtime.routes */
    uint64_t listed_by;     /* the generation that listed it last, and where */
    size_t listed_at;
    struct traffic *traffic; /* see traffic_on */
};

struct generation_local {
    uint64_t refs; /* streams on this loop, and 1 while it is current there */
    uint64_t kept; /* balancers and clients on this loop, which go on under later generations */
    bool prepared;
};

struct generation {
    struct list link; /* the control thread's: all that are not freed */
    uint64_t id;
    struct arena arena;
    struct conf_tree tree;
    struct conf_places *places;
    struct global_settings global;
    const char **restart; /* settings of the files that wait for a restart, in words */
    size_t restart_count;
    struct use_list modules; /* module blocks, in the file's order */
    struct use_list routers; /* those of them that are routers */
    struct use_list loggers;
    struct use_list uses; /* all, module blocks and others */
    struct pool_plan *pools;
    size_t pool_count;
    struct table pools_by_name; /* struct pool_plan.by_name */
    struct listener_plan *listeners;
    size_t listener_count;
    struct route **routes;
    struct place *route_places;
    const struct conf_node **route_blocks; /* NULL: it is no block, but a setting at its place */
    struct use_list *route_filters;        /* by number, as routes */
    size_t route_count, route_capacity;
    unsigned loops;
    _Atomic unsigned loops_left; /* loops that have not left */
    _Atomic unsigned loops_kept; /* loops that have not left, or have balancers or clients of it */
    bool in_force;               /* it has been; control thread */
    bool retired;
    struct generation *base; /* whose configuration it has; itself: built from files */
    unsigned held;           /* of a base: generations with its configuration that are not freed */
    struct generation_local *locals;
    struct runtime *runtime;
    struct log_next *log;       /* the program's log, until the commit takes it */
    struct logfile **log_files; /* those that modules named, referenced: loops find them open */
    size_t log_file_count;
};

/* What became of reloads since the start. */
struct reloads {
    uint64_t done, refused;
    uint64_t done_wall_ms; /* when the last came into force; the start: none did */
    bool last_refused;
};

/* What the process has: live objects by name, and what building needs. Control thread. */
struct runtime {
    struct module_registry *modules;
    const struct weir_host *host;
    unsigned workers; /* loops 0..workers-1; the control thread is loop number `workers` */
    struct table pools, routes; /* by name */
    struct list listeners;
    struct discovery *discovery;
    uint64_t start_wall_ms;                /* of the program, since 1970 */
    const struct global_settings *started; /* what the process began with; NULL: it has not yet */
    bool from_root;                        /* started by root, and not root any more */
    const char *const *given;              /* folders that a start as root gives to `user` */
    size_t given_count;
    uint64_t last_id;
    struct reloads reloads;
    struct generation *current; /* NULL before the first */
    struct recovery *recovery;  /* NULL before the start and after the end */
    struct worker **loops;      /* workers, then the control thread's */
    /* Lays what was changed at run time over a pool's settings (`servers`, in the arena); NULL: nothing. */
    void (*adjust)(void *arg, struct arena *arena, struct pool_settings *settings);
    void *adjust_arg;
    void *plane; /* the control plane's; services find it here */
    /* Adds what a start with `path` would refuse, where it would have other rights than this process. false:
     * `error` says why that is not known. NULL: nobody asks. */
    bool (*try_start)(const char *path, struct mistakes *mistakes, char *error, size_t error_size);
    /* Called on a loop (any) when the last one has left a generation, or has no balancer of a module of one any
     * more; posts to the control thread. The generation may be gone already. */
    void (*on_left)(struct runtime *runtime);
};

/* Reads and checks `path`. NULL: mistakes were added, nothing has changed. With `open_sockets` false
 * (weir -t) addresses and log files are checked but not opened. */
struct generation *generation_build(struct runtime *runtime, const char *path, bool open_sockets,
                                    struct mistakes *mistakes);

/* The configuration of `from` (which runs, or begins) once more, with the servers that runtime.adjust and names
 * say now: no file is read, no module asked. */
struct generation *generation_derive(struct runtime *runtime, const struct generation *from,
                                     struct mistakes *mistakes);

/*
 * The end of a generation comes in two steps, since clients and balancers whose options do not change go on
 * under later generations: reload after reload they may be all that is left of the one that made them.
 */

/* Control thread, when every loop has left it: gives back all but its listeners and those modules of which a
 * balancer goes on, so that modules and files that are not configured any more are closed. Again when such a
 * balancer has ended. */
void generation_retire(struct generation *generation);
/* Control thread, when no loop has anything of it, or none has prepared it. */
void generation_free(struct generation **generation);

/* On a loop: makes the instances there. false: a hook failed, `error` says which; then undo by
 * generation_abandon. */
bool generation_prepare(struct generation *generation, struct worker *worker, char *error,
                        size_t error_size);

static inline void generation_ref(struct generation *generation, unsigned loop)
{
    generation->locals[loop].refs++;
}

/* On a loop: a balancer or client of it begins and ends. */
static inline void generation_keep(struct generation *generation, unsigned loop)
{
    generation->locals[loop].kept++;
}
void generation_unkeep(struct generation *generation, struct worker *worker);
void generation_keep_balancer(const struct use *use, struct worker *worker);
void generation_unkeep_balancer(const struct use *use, struct worker *worker);

/* On a loop: tells its handlers that they get no more requests. */
void generation_drain_handlers(const struct generation *generation, struct worker *worker);

/* On a loop: undoes a prepare, also one that failed. */
void generation_abandon(struct generation *generation, struct worker *worker);

/* On a loop: the last reference there destroys the loop's instances and tells the control thread. */
void generation_unref(struct generation *generation, struct worker *worker);

/* Sets up a context for a use on a worker's loop. */
void use_context_init(struct module_context *context, const struct use *use, struct worker *worker);

/* Same module, same options: an instance of one can go on for the other. */
bool use_equal(const struct use *a, const struct use *b);

/* The instance of a use on a loop. */
static inline struct instance *use_on(const struct use *use, unsigned loop)
{
    return &use->instances[loop];
}

#endif
