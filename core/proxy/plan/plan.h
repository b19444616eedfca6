/* SPDX-License-Identifier: MIT */
/*
 * A plan: the configuration, complete, checked and immutable, with the modules that it uses. It
 * opens no socket and creates no server; live objects are found or created by the rooms above,
 * which set the pointers to them (struct pool, struct server and so on, opaque here).
 *
 * A plan is *built* from files, or *derived*: the configuration of a built one, its base, with
 * other servers in its pools. Everything read from files belongs to the base (settings,
 * certificates, modules, what modules have prepared), so a change at run time neither reads nor
 * needs a file. A base is freed when neither it nor any plan derived from it is referenced.
 *
 * Thread: the control thread builds and frees it; loops read it while they hold it (lifetime.h).
 */
#ifndef PROXY_PLAN_PLAN_H
#define PROXY_PLAN_PLAN_H

#include "base/table.h"
#include "conf/conf.h"
#include "http/down_conn.h"
#include "net/address.h"
#include "net/tcp_watch.h"
#include "proxy/plan/settings.h"
#include "proxy/plan/use.h"

struct balancer;
struct followed;
struct lifetime;
struct listen_socket;
struct listener;
struct pool;
struct server;
struct traffic;
struct trial;

/* A pool as one plan has it. */
struct pool_plan {
    struct plan *owner;
    const struct pool_settings *settings;
    const struct probe_settings *probe; /* NULL: no health block */
    struct table_link by_name;          /* in the plan's pools_by_name */
    struct use *balance;
    struct use *canary;        /* the other balancer or copy, which is tried; NULL: none */
    struct trial *trial;       /* of the canary: its share, and what is counted; its home's */
    struct use *shadow;        /* a balancer that is asked and not obeyed; NULL: none */
    struct use *sticky;        /* NULL: none */
    struct use *health;        /* the probing one; NULL: none */
    struct use_list observers; /* health modules that listen to outcomes */
    double max_ejected;        /* the smallest of theirs */
    struct use_list filters;
    SSL_CTX *tls; /* for https:// servers */
    struct tcp_watch watch;
    struct http_limits limits;

    /* the live one; see pool/members.h */
    struct pool *pool;       /* referenced */
    struct server **servers; /* referenced, in the file's order */
    size_t server_count;
    struct server **by_id; /* open-addressed by id, by_id_mask + 1 slots */
    size_t by_id_mask;
    uint32_t *places; /* index in `servers`, by slot of `by_id` */
    /* One per loop: made or held by prepare, taken by commit; NULL: the pool's own goes on. */
    struct balancer **balancers;
    struct balancer **canaries;  /* likewise, of `canary` */
    struct balancer **shadows;   /* and of `shadow` */
    struct followed *probe_name; /* of its probes' address; owned by names.c; NULL: not a name */
};

/* A handler of a listener and its path. */
struct handler_plan {
    struct weir_str path; /* a prefix, on whole segments, without a slash at its end; empty: all */
    struct use *use;
};

/* A listener as one plan has it. */
struct listener_plan {
    struct plan *owner;
    const struct listener_settings *settings;
    struct tls_listener *tls; /* NULL: plain */
    struct down_conf http;
    struct tcp_watch watch;
    uint32_t connection_limit; /* over all loops */
    struct address *addresses; /* one per `bind`, in the file's order */
    unsigned socket_mode;      /* of Unix sockets */
    struct network *trusted;
    size_t trusted_count;
    struct use_list filters;
    struct handler_plan *handlers; /* longest path first; none: requests are routed */
    size_t handler_count;

    /* what lives */
    struct listener *listener;      /* referenced */
    struct listen_socket **sockets; /* referenced, one an address, in the file's order */
    size_t socket_count;
};

/* Listeners with handlers run on the control thread, others on all workers. */
static inline bool listener_plan_on_control(const struct listener_plan *plan)
{
    return plan->handler_count > 0;
}

/* The handler of a path; NULL: none has it. */
struct use *listener_plan_handler(const struct listener_plan *plan, struct weir_str path);

/* The place of its `bind` number `index`. */
struct place listener_plan_place(const struct listener_plan *plan, size_t index);

/* A route's live half, found by name: its statistics. */
struct route {
    char *name;
    unsigned refs;
    unsigned loops;
    struct table_link link;  /* in the registry */
    struct traffic *traffic; /* one per loop */
};

/* A route as one plan has it. */
struct route_plan {
    struct weir_str name;
    struct place place;
    const struct conf_node *block; /* NULL: not a block but a setting at `place` */
    struct use_list filters;
    struct table_link by_name; /* while the plan is built */
    struct route *route;       /* lives; referenced */
};

/* A log file that a module named in conf_create. */
struct wanted_file {
    struct wanted_file *next;
    const char *path;
    struct place place;
};

struct plan {
    struct arena arena;
    struct conf_tree tree;
    struct conf_places *places;
    struct global_settings global;
    const char **restart; /* settings that wait for a restart, as text */
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
    struct route_plan **routes; /* by number */
    size_t route_count;
    struct wanted_file *log_files;
    const struct weir_host *host;
    unsigned workers; /* loops 0..workers-1; the control thread is loop number `workers` */
    unsigned loops;
    struct plan *base; /* its base, referenced; itself: built from files */
    /* By module block: the plan that asked the module (conf_create), to which belongs what it has
     * prepared: the base, or the plan that swapped the module's copy. Referenced, but for
     * itself. NULL: itself for all. */
    struct plan **homes;
    bool has_canary; /* the last module block is for what is tried beside another */
    unsigned refs;
    struct lifetime *life; /* counts the loops' references; set before use */
};

/* Whether the guard is of one of the plan's blocks, and out. A block that has left the
 * configuration lasts as long as requests of it, and is nobody's worry. */
bool plan_has_out(const struct plan *plan, const struct guard *guard);

/* The plan of a pool; NULL: it has none. Any thread. */
struct pool_plan *plan_pool(const struct plan *plan, struct weir_str name);

/* On a loop: tells its handlers that no more requests will come. */
void plan_drain_handlers(const struct plan *plan, unsigned loop);

/* The swap of a module's copy, or of a pool's balancer, by a derived plan. */
enum swap_step {
    SWAP_TRY,  /* it gets a share of the picks: of each pool that the module balances, or of one */
    SWAP_TAKE, /* it is used in place of the one before, and nothing is tried any more */
    SWAP_DROP, /* nothing is tried any more */
};
struct plan_swap {
    enum swap_step step;
    size_t module;       /* number of its block; not of DROP */
    struct module *copy; /* likewise; the plan takes a reference of its own */
    double share;        /* of TRY: of the picks, 0 to 1 */
    /* That pool is balanced by the module, as that block says; empty, NULL: all blocks as before.
     * The copy is the module's own then. The block is copied. */
    struct weir_str pool;
    const struct conf_node *block;
};

/* What building needs to know of the program. */
struct plan_input {
    struct module_registry *modules;
    const struct plan *last; /* in force; NULL: none */
    const struct weir_host *host;
    unsigned workers;
    bool check_only; /* addresses and files are checked, not opened (weir -t) */
    bool running;    /* a configuration is in force: addresses are checked against other programs */
    const struct global_settings *started; /* what the process started with; NULL: not started */
    bool from_root;                        /* started as root, and root no longer */
    const char *const *given;              /* folders that a start as root gives to `user` */
    size_t given_count;
    /* Replaces names by their servers and applies run-time changes (`servers`, in the arena). NULL:
     * no changes. */
    void (*expand)(void *arg, struct arena *arena, struct pool_settings *settings);
    /* The `balance` block of the pool instead of the files' (in the arena); NULL: the files'. NULL:
     * no changes. */
    const struct conf_node *(*balance)(void *arg, struct arena *arena, struct weir_str pool);
    /* Whether this program already listens on the listener's address and can go on. NULL: it does
     * not. */
    bool (*listens)(void *arg, const struct listener_plan *plan, const struct address *address);
    const struct plan_swap *swap; /* of plan_derive; NULL: none */
    /* Adds the mistakes that a start with `path` would find with other rights than this process
     * has. false: it could not be tried, `error` says why. NULL: not tried. */
    bool (*try_start)(const char *path, struct mistakes *mistakes, char *error, size_t error_size);
    void *arg;
};

/* Reads and checks `path`. NULL: mistakes were added. Referenced. */
struct plan *plan_build(const struct plan_input *input, const char *path,
                        struct mistakes *mistakes);

/* The configuration of `from` again, with the servers that input.expand gives now, and with the
 * copy of input.swap: no file is read, and no module is asked but that copy. NULL: mistakes
 * were added. Referenced. */
struct plan *plan_derive(const struct plan_input *input, const struct plan *from,
                         struct mistakes *mistakes);

/* No instance of the plan uses the module block's module any more: the last plan of the
 * configuration frees what the module made of its blocks and unloads it. The second call does
 * nothing. */
void plan_leave_module(struct plan *plan, size_t module);

/* The last reference frees it, its modules first. Live objects must be detached already. */
void plan_unref(struct plan **plan);

#endif
