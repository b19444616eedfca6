/* SPDX-License-Identifier: MIT */
/*
 * The settings of the program, listeners, pools and servers: the structs that option tables fill,
 * and the tables. Immutable once checked.
 */
#ifndef PROXY_PLAN_SETTINGS_H
#define PROXY_PLAN_SETTINGS_H

#include <weir/option.h>

#include "base/arena.h"
#include "net/tls.h"

struct global_settings {
    int64_t workers; /* 0: one per CPU */
    struct weir_str state_dir;
    struct weir_str module_dir;
    struct weir_str user;
    struct weir_str group;
    int32_t log_level; /* enum weir_log_level */
    struct weir_str log_target;
    uint64_t shutdown_timeout;
    uint64_t stall_limit; /* 0: none */
    uint64_t ticket_key_lifetime;
    struct weir_str pid_file;
    struct weir_str nameservers;
};
extern const struct weir_options global_options;

/* A copy that lives as long as the arena. */
void global_settings_copy(struct global_settings *to, struct arena *arena,
                          const struct global_settings *from);

enum send_proxy_protocol { SEND_PROXY_OFF, SEND_PROXY_V1 = 1, SEND_PROXY_V2 = 2 };
enum proxy_protocol { PROXY_PROTOCOL_OFF, PROXY_PROTOCOL_ACCEPT, PROXY_PROTOCOL_REQUIRE };

struct listener_settings {
    struct weir_str name;
    struct weir_list bind; /* struct weir_str */
    struct weir_list tls;  /* struct tls_listener_conf, 0 or 1 */
    uint64_t header_timeout, body_timeout, idle_timeout, lame_duck;
    uint64_t tcp_keepalive, tcp_user_timeout; /* 0: off, the system's */
    bool abort_on_close;
    bool h2c;
    int64_t h2_streams, abuse_limit;
    uint64_t h2_window;
    uint64_t header_limit, target_limit, body_limit;
    int64_t header_count_limit;
    struct weir_list trusted_proxies; /* struct weir_str */
    int32_t proxy_protocol;           /* enum proxy_protocol */
    bool forwarded;
    bool drop_identity_headers;
    struct weir_str request_id_header; /* empty: no ids */
    bool request_id_response;
    uint64_t body_rate; /* bytes a second; 0: any */
    uint64_t body_rate_period;
    uint64_t request_timeout;        /* 0: none */
    int64_t connection_limit;        /* 0: half of the descriptors */
    int64_t connections_per_address; /* 0: no limit */
    int64_t backlog;
    struct weir_str socket_mode; /* octal, for Unix sockets */
};
extern const struct weir_options listener_options;

/* The host's own options of each `handler` block. */
struct handler_settings {
    struct weir_str path; /* prefix, on whole segments */
};
extern const struct weir_options handler_options;

/* What the host name in a server block's URL stands for. */
enum resolve { RESOLVE_FIRST, RESOLVE_ALL, RESOLVE_SRV };

struct server_settings {
    struct weir_str id;
    struct weir_url url;
    int64_t weight;
    int64_t max_connections; /* requests */
    int64_t max_requests;    /* its other name; build_pools.c makes them one */
    bool backup;
    int32_t state;   /* enum server_admin */
    int32_t resolve; /* enum resolve */
    /* not options: its origin, and what the files say of it (runtime.adjust may differ) */
    bool runtime;
    int64_t file_weight, file_max_connections;
    struct weir_str file_url; /* of the files' server that it replaces; empty: none */
    struct weir_str dns_name; /* that resolved to it; empty: none */
    uint64_t found_version;   /* of a block with `resolve`: its servers (names.c) */
};

enum panic_mode { PANIC_ALL, PANIC_NONE };

struct pool_settings {
    struct weir_str name;
    uint64_t connect_timeout, response_timeout, idle_timeout;
    int64_t retries;
    double retry_budget;
    uint64_t queue_timeout;
    int64_t queue_limit;
    uint64_t slow_start; /* 0: off */
    double panic;        /* share of servers; 0: off */
    int32_t panic_mode;  /* enum panic_mode */
    int64_t keepalive;   /* idle connections kept per server and worker, at most */
    uint64_t keepalive_timeout;
    uint64_t connection_age; /* 0: any */
    int64_t h2_streams;
    uint64_t h2_window;
    uint64_t tcp_keepalive, tcp_user_timeout; /* 0: off, the system's */
    uint64_t header_limit;
    int32_t protocol;            /* enum up_protocol */
    int32_t send_proxy_protocol; /* enum send_proxy_protocol */
    struct weir_list tls;        /* struct tls_server_conf, 0 or 1 */
    struct weir_list servers;    /* struct server_settings */
    struct weir_list blocks;     /* not an option: `servers` before names are resolved */
    struct weir_list configured; /* not an option: `servers` as the files say */
};
extern const struct weir_options pool_options;

/* enum up_protocol as the option `protocol` has it. */
const char *pool_protocol_word(int32_t protocol);

/* The host's own options of each `health` block. */
struct probe_settings {
    uint64_t interval, fast_interval, timeout;
    int64_t rise, fall;
    struct weir_str address; /* probe here instead */
    int32_t protocol;        /* 0: the pool's; else enum up_protocol + 1 */
};
extern const struct weir_options probe_options;

/* And of those blocks whose module listens to outcomes. */
struct passive_settings {
    double max_ejected; /* share of the pool */
};
extern const struct weir_options passive_options;

#endif
