/* SPDX-License-Identifier: MIT */
/*
 * What a module is: strings, status codes, the descriptor, and the one symbol that a module
 * exports.
 *
 * ABI rule. A module is loaded when its major number equals the host's and its minor number is not
 * above the host's. Each struct that crosses the border begins with `uint32_t size`, set by the
 * side that fills it; the other side reads what is there and takes zero for the rest. Fields are
 * added at the end only, and no new hook is ever mandatory.
 *
 * History of the ABI:
 *   1.0  2026-11-24  first: router, balancer, sticky, health, filter, handler, logger
 *   1.1  2026-11-26  filters transform response bodies (weir_response_transform, on_response_data,
 *                    on_response_close) and may stand in a route's block (WEIR_OPTION_FILTERS);
 *                    weir_response_content_length, weir_request_set_path; WEIR_REQUEST_ID;
 *                    weir_check_listener, weir_shared, weir_request_credentials,
 *                    weir_block_name, weir_reply_error; handlers: on_drain
 *   1.2  2026-11-26  the kind `store`; control.h (operations, events, who somebody is) and stats.h;
 *                    health modules may listen to outcomes (on_outcomes, weir_health_eject);
 *                    weir_state_dir
 *   1.3  2026-11-26  routers tell their rules (explain), balancers how a candidate ranks (score),
 *                    sticky modules name sessions (weir_request_session); since (weir_caller),
 *                    sessions (weir_stats_row)
 *   1.4  2026-11-29  options that may not be empty (WEIR_OPTION_NOT_EMPTY); filters tell a dry
 *                    run what they would do (explain); weir_check_file; log_dropped and what
 *                    became of reloads (weir_stats_row); weir_control_auth_again, token
 *                    (weir_caller); balancers may leave the ranking to the host (cost, choices,
 *                    WEIR_BALANCER_TURNS), have slots for their servers (slot_size,
 *                    instance_size, on_sent), and pass on what they have learnt (save, restore);
 *                    dry_run (weir_pick); WEIR_DEFINE_MODULE; the kind `control`: operations of
 *                    modules, what they keep, who somebody is; weir_stats_counters; metrics of
 *                    a module's own (metric.h, weir_stats_metrics); probes over HTTP/2 (http in
 *                    weir_probe_target); grpc_status (weir_record); protocols, grpc, h2_*
 *                    (weir_traffic)
 *   1.5  2026-11-30  balancers hear when a server begins to answer (on_head), and how long it asks
 *                    to be left alone (retry_after_ns in weir_feedback); they know a server's
 *                    limit, and its weight without slow start (limit, full_weight in
 *                    weir_candidate); key.h: what tells requests apart; what modules cost
 *                    (weir_stats_modules); hooks without a status tell faults (weir_fault);
 *                    arguments that are numbers (WEIR_ARGUMENT_NUMBER); what is counted of
 *                    shadows (shadow in weir_stats_row)
 */
#ifndef WEIR_MODULE_H
#define WEIR_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define WEIR_BEGIN_DECLS extern "C" {
#define WEIR_END_DECLS   }
#define WEIR_C_SYMBOL    extern "C"
#else
#define WEIR_BEGIN_DECLS
#define WEIR_END_DECLS
#define WEIR_C_SYMBOL
#endif

WEIR_BEGIN_DECLS

#define WEIR_ABI_MAJOR 1
#define WEIR_ABI_MINOR 5

/** A string that is not ended by NUL. `ptr` may be NULL where `len` is 0. Valid for the callback
 * that it was given to, unless its declaration says otherwise. */
struct weir_str {
    const char *ptr;
    size_t len;
};

/** A weir_str initialiser from a string literal. */
#define WEIR_STR_INIT(literal)         \
    {                                  \
        (literal), sizeof(literal) - 1 \
    }

/** Status of a hook or a service. Zero is success. */
enum weir_status {
    WEIR_OK = 0,       /**< done; for filters: go on with the next */
    WEIR_DECLINED = 1, /**< not mine; for routers: ask the next router */
    WEIR_DONE = 2,     /**< for filters: I have answered the request, go no further */
    WEIR_INVALID = -1, /**< the caller's input is wrong */
    WEIR_NO_MEMORY = -2,
    WEIR_ERROR = -3, /**< any other failure; it was logged */
};

/** A stable identifier of a server: a hash of its pool's name and its own id, the same over
 * restarts, reloads and machines. Never 0. */
typedef uint64_t weir_server_id;
#define WEIR_NO_SERVER ((weir_server_id)0)

struct weir_host;
struct weir_options;
struct weir_check;
struct weir_router;
struct weir_balancer;
struct weir_sticky;
struct weir_health;
struct weir_filter;
struct weir_handler;
struct weir_logger;
struct weir_store;
struct weir_control;
struct weir_metrics;

/**
 * The context of one instance of a module: one use in the configuration (the module block itself,
 * or a `balance`, `sticky`, `health`, `filter`, `handler` block), and, for the hooks of a kind, one
 * loop. Owner: the host. Valid from the hook that gets it until the matching destroy, stop or free
 * hook has returned. Only `host` may be read; what follows it is private. Services take it as first
 * argument.
 */
struct weir_context {
    const struct weir_host *host;
};

/**
 * The descriptor. `const`, in static storage. Mandatory: size, abi_major, abi_minor, name, version,
 * and at least one kind.
 */
struct weir_module {
    uint32_t size;      /**< sizeof(struct weir_module) */
    uint16_t abi_major; /**< WEIR_ABI_MAJOR */
    uint16_t abi_minor; /**< WEIR_ABI_MINOR */
    const char
        *name; /**< equals the file's name without `.so`: kind_rest, e.g. balance_least_conn */
    const char *version;
    const char *license; /**< SPDX identifier */
    const char *summary; /**< one line for `weir --options` and the module list */

    /** Options of all contexts in which the module may be named; NULL: it has none. One struct
     * holds them: the `module` block fills it first, and each `balance`, `sticky`, ... block
     * starts from a copy of what the module block said and overrides it. */
    const struct weir_options *options;

    /** Runs once after loading, on the control thread, before any other hook. No I/O. Not
     * WEIR_OK: the module is refused. Optional. */
    enum weir_status (*load)(struct weir_context *ctx);

    /**
     * Runs for each block that names the module in a new configuration (the module block too), at
     * the start and at each reload, on the control thread, before any worker sees it. The place to
     * read files: generations that only have other servers share what was prepared. `conf` is the
     * option struct, checked against the table. Checks what the table cannot, resolves names
     * (weir_check_pool, ...), and may prepare immutable data, returned by `*prepared` and shared by
     * all workers' instances. Reports mistakes by weir_check_error; one of those, or a status other
     * than WEIR_OK, refuses the generation, and the old one goes on. Optional.
     */
    enum weir_status (*conf_create)(struct weir_context *ctx, struct weir_check *check,
                                    const void *conf, void **prepared);

    /** Frees what conf_create prepared, on the control thread, when the last stream of the
     * configuration that may call the module has ended and all its instances are destroyed.
     * Optional. */
    void (*conf_free)(struct weir_context *ctx, void *prepared);

    /** Run once a worker (and once for the control thread) and generation, on that thread, before
     * the first and after the last of the kind's calls there. A failing start refuses the
     * generation. `conf` and `prepared` are those of the module block. Optional. */
    enum weir_status (*worker_start)(struct weir_context *ctx, const void *conf, void *prepared);
    void (*worker_stop)(struct weir_context *ctx);

    /* One vtable a kind; NULL: the module is not of this kind. */
    const struct weir_router *router;
    const struct weir_balancer *balancer;
    const struct weir_sticky *sticky;
    const struct weir_health *health;
    const struct weir_filter *filter;
    const struct weir_handler *handler;
    const struct weir_logger *logger;
    const struct weir_store *store;     /* since 1.2 */
    const struct weir_control *control; /* since 1.4 */

    /** Counters and gauges of its own, see metric.h; NULL: it has none. Since 1.4. */
    const struct weir_metrics *metrics;
};

/** The one symbol that a module exports. Owner of what it returns: the module. */
#define WEIR_MODULE_ENTRY "weir_module_entry"
typedef const struct weir_module *(*weir_module_entry_fn)(void);

#if defined(__GNUC__)
#define WEIR_EXPORT                  __attribute__((visibility("default")))
#define WEIR_PRINTF(string_, first_) __attribute__((format(printf, string_, first_)))
#else
#define WEIR_EXPORT
#define WEIR_PRINTF(string_, first_)
#endif

/** Defines the exported symbol; write it once, at the end of the module's main file. */
#define WEIR_MODULE(descriptor)                                                  \
    WEIR_C_SYMBOL WEIR_EXPORT const struct weir_module *weir_module_entry(void); \
    WEIR_C_SYMBOL WEIR_EXPORT const struct weir_module *weir_module_entry(void)  \
    {                                                                            \
        return &(descriptor);                                                    \
    }                                                                            \
    struct weir_module_semicolon_

/** Defines the descriptor and the exported symbol; write it once, at the end of the module's main
 * file. After the texts (see weir_module) come its other members, the kinds at least:
 *
 *     WEIR_DEFINE_MODULE("balance_idle", "1.0", "MIT", "Takes the idlest server",
 *                        .balancer = &balancer);
 */
#define WEIR_DEFINE_MODULE(name_, version_, license_, summary_, ...) \
    static const struct weir_module weir_module_ = {                 \
        .size = sizeof(struct weir_module),                          \
        .abi_major = WEIR_ABI_MAJOR,                                 \
        .abi_minor = WEIR_ABI_MINOR,                                 \
        .name = (name_),                                             \
        .version = (version_),                                       \
        .license = (license_),                                       \
        .summary = (summary_),                                       \
        __VA_ARGS__,                                                 \
    };                                                               \
    WEIR_MODULE(weir_module_)

WEIR_END_DECLS

#endif
