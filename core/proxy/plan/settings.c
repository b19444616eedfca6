/* SPDX-License-Identifier: MIT */
/*
 * Option tables of the program, listeners, pools and servers. See settings.h.
 */
#include "proxy/plan/settings.h"

#include "base/log_target.h"
#include "http/message.h"
#include "net/loop.h"

#define GLOBAL   WEIR_CONTEXT_GLOBAL
#define LISTENER WEIR_CONTEXT_GLOBAL
#define POOL     WEIR_CONTEXT_GLOBAL
#define RELOAD   WEIR_OPTION_RELOADABLE

static const char *const log_levels[] = {"error", "warning", "notice", "info", "debug", NULL};

static const char *const log_targets[] = {LOG_TARGET_STDERR, LOG_TARGET_STDOUT, LOG_TARGET_JOURNAL,
                                          NULL};

static const struct weir_option global_rows[] = {
    WEIR_OPTION_RANGE(struct global_settings, workers, INTEGER, "0", "0", "256", GLOBAL, 0,
                      "Threads that carry traffic; 0: one for each CPU."),
    WEIR_OPTION(struct global_settings, state_dir, STRING, WEIR_STATEDIR, GLOBAL,
                WEIR_OPTION_PATH | WEIR_OPTION_NOT_EMPTY,
                "Folder for what Weir itself keeps: secrets, runtime changes."),
    WEIR_OPTION(struct global_settings, module_dir, STRING, WEIR_MODULEDIR, GLOBAL,
                WEIR_OPTION_PATH | RELOAD | WEIR_OPTION_NOT_EMPTY,
                "Folder that modules are loaded from."),
    WEIR_OPTION(struct global_settings, user, STRING, NULL, GLOBAL, WEIR_OPTION_NOT_EMPTY,
                "User that the process becomes once its sockets are bound, when started as root."),
    WEIR_OPTION(struct global_settings, group, STRING, NULL, GLOBAL, WEIR_OPTION_NOT_EMPTY,
                "Group that the process becomes; the user's own when not given."),
    WEIR_OPTION_ENUM(struct global_settings, log_level, log_levels, "info", GLOBAL, RELOAD,
                     "Least important level that is logged."),
    WEIR_ROW_(struct global_settings, log_target, "log_target", WEIR_TYPE_STRING,
              (enum weir_option_type)0, LOG_TARGET_STDERR, NULL, NULL, GLOBAL,
              WEIR_OPTION_PATH | RELOAD | WEIR_OPTION_NOT_EMPTY, log_targets, NULL,
              "Where the program's own log goes: stderr, journal, or the path of a file."),
    WEIR_OPTION_RANGE(struct global_settings, shutdown_timeout, DURATION, "30s", "0", "1d", GLOBAL,
                      RELOAD, "How long SIGTERM waits for running requests before it cuts them."),
    WEIR_OPTION_RANGE(
        struct global_settings, stall_limit, DURATION, "5s", "0", "1d", GLOBAL, RELOAD,
        "How long a worker may not come back, in a module that hangs most likely, before the "
        "program ends to be started anew; six times as long for a module on the control thread; "
        "0: for ever."),
    WEIR_OPTION_RANGE(
        struct global_settings, ticket_key_lifetime, DURATION, "12h", "1s", "7d", GLOBAL, RELOAD,
        "Time after which a new key seals TLS session tickets; the last two are still "
        "taken, then they are gone from memory."),
    WEIR_OPTION(struct global_settings, pid_file, STRING, NULL, GLOBAL,
                WEIR_OPTION_PATH | WEIR_OPTION_NOT_EMPTY,
                "File that the process id is written to."),
    WEIR_OPTION(
        struct global_settings, nameservers, STRING, NULL, GLOBAL, RELOAD,
        "Nameservers for servers that are named by host name, as ADDRESS[:PORT], separated by "
        "commas; none: those of /etc/resolv.conf."),
};
const struct weir_options global_options = WEIR_OPTIONS(struct global_settings, global_rows);

static const char *const proxy_protocols[] = {"off", "accept", "require", NULL};

static const struct weir_option listener_rows[] = {
    WEIR_OPTION_LIST(struct listener_settings, bind, ADDRESS, NULL, LISTENER,
                     WEIR_OPTION_REQUIRED | RELOAD,
                     "Addresses to listen on: IPV4:PORT, [IPV6]:PORT or unix:PATH."),
    WEIR_OPTION_BLOCK(struct listener_settings, tls, "tls", &tls_listener_options, LISTENER,
                      WEIR_OPTION_UNTITLED | RELOAD, "TLS towards clients."),
    WEIR_OPTION_RANGE(struct listener_settings, header_timeout, DURATION, "10s", "1ms", "1h",
                      LISTENER, RELOAD, "Time for a whole request head, from its first byte."),
    WEIR_OPTION_RANGE(struct listener_settings, body_timeout, DURATION, "30s", "1ms", "1d",
                      LISTENER, RELOAD, "Time between two reads of a request's body."),
    WEIR_OPTION_RANGE(struct listener_settings, body_rate, SIZE, "100", "0", "1g", LISTENER, RELOAD,
                      "Bytes a second that a request's body must come with; 0: any."),
    WEIR_OPTION_RANGE(struct listener_settings, body_rate_period, DURATION, "30s", "10ms", "1d",
                      LISTENER, RELOAD, "Time over which body_rate is counted, again and again."),
    WEIR_OPTION_RANGE(struct listener_settings, request_timeout, DURATION, "0", "0", "30d",
                      LISTENER, RELOAD,
                      "Time for a whole request and its response, from its first byte on; 0: as "
                      "long as something moves, for downloads and streams of events."),
    WEIR_OPTION_RANGE(struct listener_settings, idle_timeout, DURATION, "60s", "1ms", "1d",
                      LISTENER, RELOAD,
                      "Time between two requests of a connection, and time that a client may take "
                      "nothing of what waits for it."),
    WEIR_OPTION_RANGE(
        struct listener_settings, lame_duck, DURATION, "1s", "0", "1h", LISTENER, RELOAD,
        "When Weir stops, or the listener goes: time that an idle connection has for one "
        "more request, whose answer says Connection: close. Who is new has at least a "
        "second."),
    WEIR_OPTION(
        struct listener_settings, abort_on_close, BOOLEAN, "off", LISTENER, RELOAD,
        "A client that ends its side while its request waits for a server, or for the "
        "response, has gone: the request is given up. Off: it may have ended its side alone "
        "(a half-close, which is legal), and gets its answer."),
    WEIR_OPTION(
        struct listener_settings, h2c, BOOLEAN, "off", LISTENER, RELOAD,
        "Takes HTTP/2 on plain connections whose client speaks it from the first byte on "
        "(prior knowledge), beside HTTP/1. Upgrade: h2c is refused as ever. Says nothing where "
        "there is TLS, whose clients choose by ALPN."),
    WEIR_OPTION_RANGE(struct listener_settings, h2_streams, INTEGER, "100", "1", "10000", LISTENER,
                      RELOAD, "Requests at once on a connection of HTTP/2."),
    WEIR_OPTION_RANGE(
        struct listener_settings, h2_window, SIZE, "64k", "16k", "16m", LISTENER, RELOAD,
        "Bytes of a request's body that a client of HTTP/2 may send before its server "
        "takes them: what a stream may hold."),
    WEIR_OPTION_RANGE(
        struct listener_settings, abuse_limit, INTEGER, "1000", "0", "1000000", LISTENER, RELOAD,
        "Points of odd frames after which a connection of HTTP/2 ends: a reset of one's own "
        "request, a PING, an empty frame count 1, what makes Weir reset a stream 10; 33 a second "
        "are forgiven. From three quarters on no more requests are taken. 0: no limit."),
    WEIR_OPTION_RANGE(
        struct listener_settings, tcp_keepalive, DURATION, "60s", "0", "9h", LISTENER, RELOAD,
        "Silence after which the kernel asks a client whether it is still there; three "
        "questions in vain, 10s apart at most, and it is gone. 0: never."),
    WEIR_OPTION_RANGE(struct listener_settings, tcp_user_timeout, DURATION, "0", "0", "1d",
                      LISTENER, RELOAD,
                      "Time in which a client's system must acknowledge what was sent to it (RFC "
                      "5482). 0: as the system has it, some 15 minutes."),
    WEIR_OPTION_RANGE(struct listener_settings, header_limit, SIZE, "16k", "256", "32k", LISTENER,
                      RELOAD, "Bytes of a request's head, first line included."),
    WEIR_OPTION_RANGE(struct listener_settings, header_count_limit, INTEGER, "100", "1", "1000",
                      LISTENER, RELOAD, "Number of header fields of a request."),
    WEIR_OPTION_RANGE(struct listener_settings, target_limit, SIZE, "8k", "16", "32k", LISTENER,
                      RELOAD, "Bytes of a request's target (path and query)."),
    WEIR_OPTION(struct listener_settings, body_limit, SIZE, "0", LISTENER, RELOAD,
                "Bytes of a request's body; 0: no limit."),
    WEIR_ROW_(struct listener_settings, trusted_proxies, "trusted_proxies", WEIR_TYPE_LIST,
              WEIR_TYPE_STRING, NULL, NULL, NULL, LISTENER, RELOAD, NULL, NULL,
              "Networks of proxies in front of Weir, whose X-Forwarded-* fields are believed. "
              "unix: all peers on Unix sockets."),
    WEIR_OPTION_ENUM(struct listener_settings, proxy_protocol, proxy_protocols, "off", LISTENER,
                     RELOAD,
                     "PROXY protocol header from trusted_proxies before anything else: off, accept "
                     "(with or without one), require (none is an error)."),
    WEIR_OPTION(struct listener_settings, forwarded, BOOLEAN, "off", LISTENER, RELOAD,
                "Adds Forwarded (RFC 7239) beside X-Forwarded-*, and believes that of "
                "trusted_proxies before theirs."),
    WEIR_OPTION(
        struct listener_settings, drop_identity_headers, BOOLEAN, "off", LISTENER, RELOAD,
        "Drops fields by which other products say who the client is (X-Real-IP, "
        "True-Client-IP, CF-Connecting-IP and their like, all of X-Forwarded-*), unless they "
        "come from trusted_proxies. docs/FORWARDING.md lists them."),
    WEIR_OPTION(struct listener_settings, request_id_header, STRING, "X-Request-Id", LISTENER,
                RELOAD,
                "Field that carries a request's id to the servers: that of trusted_proxies where "
                "it is well-formed, else 128 random bits. Empty: requests get no id."),
    WEIR_OPTION(struct listener_settings, request_id_response, BOOLEAN, "off", LISTENER, RELOAD,
                "Sends the request's id to the client as well."),
    WEIR_OPTION_RANGE(struct listener_settings, connection_limit, INTEGER, "0", "0", "10000000",
                      LISTENER, RELOAD,
                      "Connections at once, over all workers; more wait in the backlog. 0: half of "
                      "the descriptors that the process may have, the rest is for servers."),
    WEIR_OPTION_RANGE(struct listener_settings, connections_per_address, INTEGER, "0", "0",
                      "10000000", LISTENER, RELOAD,
                      "Connections at once of one client address (IPv6: of one /64), over all "
                      "workers; more are closed. Trusted proxies are not counted. 0: no limit."),
    WEIR_OPTION_RANGE(struct listener_settings, backlog, INTEGER, "4096", "1", "65535", LISTENER,
                      RELOAD, "Connections that may wait to be accepted, for each socket."),
    WEIR_OPTION(struct listener_settings, socket_mode, STRING, "0660", LISTENER, RELOAD,
                "File mode of Unix sockets, octal."),
};
const struct weir_options listener_options =
    WEIR_OPTIONS_TITLED(struct listener_settings, listener_rows, name);

static const struct weir_option handler_rows[] = {
    WEIR_OPTION(struct handler_settings, path, STRING, "/", WEIR_CONTEXT_LISTENER, RELOAD,
                "Requests that it gets: of this path and all below it. Of several handlers of a "
                "listener the one with the longest path that fits gets a request."),
};
const struct weir_options handler_options = WEIR_OPTIONS(struct handler_settings, handler_rows);

static const char *const server_states[] = {"ready", "drain", "maintenance", NULL};

static const char *const resolves[] = {"first", "all", "srv", NULL};

static const struct weir_option server_rows[] = {
    WEIR_OPTION(struct server_settings, url, URL, NULL, WEIR_CONTEXT_GLOBAL | WEIR_CONTEXT_SERVER,
                WEIR_OPTION_REQUIRED | RELOAD,
                "Where the server is: http://HOST:PORT, https://HOST:PORT or unix:PATH."),
    WEIR_OPTION_RANGE(struct server_settings, weight, INTEGER, "1", "0", "1000",
                      WEIR_CONTEXT_GLOBAL | WEIR_CONTEXT_SERVER, RELOAD,
                      "Its share beside the others; 0: no new sessions."),
    WEIR_OPTION_RANGE(struct server_settings, max_connections, INTEGER, "0", "0", "1000000",
                      WEIR_CONTEXT_GLOBAL | WEIR_CONTEXT_SERVER, RELOAD,
                      "The earlier name of max_requests."),
    WEIR_OPTION_RANGE(struct server_settings, max_requests, INTEGER, "0", "0", "1000000",
                      WEIR_CONTEXT_GLOBAL | WEIR_CONTEXT_SERVER, RELOAD,
                      "Requests that it may have at once, over all workers; 0: no limit."),
    WEIR_OPTION(struct server_settings, backup, BOOLEAN, "off",
                WEIR_CONTEXT_GLOBAL | WEIR_CONTEXT_SERVER, RELOAD,
                "Serves only when none of the others can: all are down, busy, or tried in vain."),
    WEIR_OPTION_ENUM(struct server_settings, state, server_states, "ready",
                     WEIR_CONTEXT_GLOBAL | WEIR_CONTEXT_SERVER, RELOAD,
                     "ready, drain (no new sessions, those that are there stay) or maintenance "
                     "(none at all)."),
    WEIR_OPTION_ENUM(
        struct server_settings, resolve, resolves, "first",
        WEIR_CONTEXT_GLOBAL | WEIR_CONTEXT_SERVER, RELOAD,
        "What a host name in the URL stands for: first (one server, at the first of its "
        "addresses), all (a server at each address), srv (those of its SRV records, as "
        "_http._tcp.example; their priority and weight hold)."),
};
static const struct weir_options server_options =
    WEIR_OPTIONS_TITLED(struct server_settings, server_rows, id);

static const char *const send_proxy_protocols[] = {"off", "v1", "v2", NULL};

static const char *const panic_modes[] = {"all", "none", NULL};
static const char *const up_protocols[] = {"http/1.1", "h2", "auto", NULL};

const char *pool_protocol_word(int32_t protocol)
{
    return up_protocols[protocol];
}

static const struct weir_option pool_rows[] = {
    WEIR_OPTION_RANGE(struct pool_settings, connect_timeout, DURATION, "2s", "1ms", "1h", POOL,
                      RELOAD, "Time to connect to a server, TLS handshake included."),
    WEIR_OPTION_RANGE(struct pool_settings, response_timeout, DURATION, "30s", "1ms", "1d", POOL,
                      RELOAD, "Time from the whole request to the first byte of the response."),
    WEIR_OPTION_RANGE(struct pool_settings, idle_timeout, DURATION, "60s", "1ms", "1d", POOL,
                      RELOAD, "Time in which at least a byte of a running body must move."),
    WEIR_OPTION_RANGE(struct pool_settings, retries, INTEGER, "2", "0", "10", POOL, RELOAD,
                      "Other servers that a request may be tried on, where it is safe."),
    WEIR_OPTION_RANGE(
        struct pool_settings, retry_budget, PERCENTAGE, "20%", "0%", "100%", POOL, RELOAD,
        "Retries as a share of the requests of the last ten seconds, beyond one a second."),
    WEIR_OPTION_RANGE(struct pool_settings, queue_timeout, DURATION, "5s", "0", "1h", POOL, RELOAD,
                      "Time that a request waits for a server under its limit."),
    WEIR_OPTION_RANGE(struct pool_settings, queue_limit, INTEGER, "1000", "0", "1000000", POOL,
                      RELOAD,
                      "Requests that may wait for a server, over all workers; 0: none waits."),
    WEIR_OPTION_RANGE(struct pool_settings, slow_start, DURATION, "0", "0", "1d", POOL, RELOAD,
                      "Time in which the weight of a server that comes back grows to its whole."),
    WEIR_OPTION_RANGE(struct pool_settings, panic, PERCENTAGE, "0%", "0%", "100%", POOL, RELOAD,
                      "Below this share of servers that are well, panic_mode says who serves; 0%: "
                      "those that are well, however few."),
    WEIR_OPTION_ENUM(struct pool_settings, panic_mode, panic_modes, "all", POOL, RELOAD,
                     "In panic: all (well or not, the load is shared) or none (but backups)."),
    WEIR_OPTION_RANGE(
        struct pool_settings, keepalive, INTEGER, "1000", "0", "100000", POOL, RELOAD,
        "Idle connections that each worker keeps to each server at most; beyond 64 no more than "
        "make up, with those in use, what was in use at once in the last minute."),
    WEIR_OPTION_RANGE(
        struct pool_settings, keepalive_timeout, DURATION, "60s", "0", "1d", POOL, RELOAD,
        "Time after which an idle connection to a server is closed; 0: none is kept."),
    WEIR_OPTION_RANGE(
        struct pool_settings, connection_age, DURATION, "1h", "0", "30d", POOL, RELOAD,
        "Age at which a connection to a server takes no more requests, less up to a quarter at "
        "random; it is closed when its last one has ended. 0: any."),
    WEIR_OPTION_RANGE(
        struct pool_settings, tcp_keepalive, DURATION, "60s", "0", "9h", POOL, RELOAD,
        "Silence after which the kernel asks a server whether it is still there; three "
        "questions in vain, 10s apart at most, and it is gone. 0: never."),
    WEIR_OPTION_RANGE(struct pool_settings, tcp_user_timeout, DURATION, "0", "0", "1d", POOL,
                      RELOAD,
                      "Time in which a server's system must acknowledge what was sent to it (RFC "
                      "5482). 0: as the system has it, some 15 minutes."),
    WEIR_OPTION_RANGE(struct pool_settings, header_limit, SIZE, "64k", "256", "64k", POOL, RELOAD,
                      "Bytes of a response's head."),
    WEIR_OPTION_ENUM(struct pool_settings, protocol, up_protocols, "http/1.1", POOL, RELOAD,
                     "What is spoken to the servers: http/1.1; h2 (https: by ALPN, http: by prior "
                     "knowledge); or auto (https: the server chooses by ALPN, http: http/1.1). "
                     "Probes speak the same, unless their own protocol says otherwise."),
    WEIR_OPTION_RANGE(struct pool_settings, h2_streams, INTEGER, "1000", "1", "10000", POOL, RELOAD,
                      "Requests at once on a connection of HTTP/2, where the server allows them."),
    WEIR_OPTION_RANGE(struct pool_settings, h2_window, SIZE, "256k", "16k", "16m", POOL, RELOAD,
                      "Bytes of a response's body that a server of HTTP/2 may send before its "
                      "client takes them: what a stream may hold."),
    WEIR_OPTION_ENUM(struct pool_settings, send_proxy_protocol, send_proxy_protocols, "off", POOL,
                     RELOAD,
                     "PROXY protocol header that tells the servers whose connection it is: off, v1 "
                     "(text) or v2 (binary). Such connections are never shared between clients."),
    WEIR_OPTION_BLOCK(struct pool_settings, tls, "tls", &tls_server_options, POOL,
                      WEIR_OPTION_UNTITLED | RELOAD, "TLS towards https:// servers."),
    WEIR_OPTION_BLOCK(struct pool_settings, servers, "server", &server_options, POOL, RELOAD,
                      "A server of the pool; its title is its id."),
};
const struct weir_options pool_options = WEIR_OPTIONS_TITLED(struct pool_settings, pool_rows, name);

#define PROBE WEIR_CONTEXT_POOL
static const char *const probe_protocols[] = {"pool", "http/1.1", "h2", "auto", NULL};

static const struct weir_option probe_rows[] = {
    WEIR_OPTION_RANGE(struct probe_settings, interval, DURATION, "2s", "10ms", "1d", PROBE, RELOAD,
                      "Time between two probes of a server, less or more a tenth at random."),
    WEIR_OPTION_RANGE(struct probe_settings, fast_interval, DURATION, "500ms", "10ms", "1d", PROBE,
                      RELOAD, "The same while its health is changing or unknown."),
    WEIR_OPTION_RANGE(struct probe_settings, timeout, DURATION, "1s", "1ms", "1h", PROBE, RELOAD,
                      "Time for a whole probe."),
    WEIR_OPTION_RANGE(struct probe_settings, rise, INTEGER, "2", "1", "100", PROBE, RELOAD,
                      "Good probes in a row that bring a server back."),
    WEIR_OPTION_RANGE(struct probe_settings, fall, INTEGER, "3", "1", "100", PROBE, RELOAD,
                      "Bad probes in a row that take a server out."),
    WEIR_OPTION(struct probe_settings, address, ADDRESS, NULL, PROBE, RELOAD,
                "Probe this address (or name, and port) instead of the server's."),
    WEIR_OPTION_ENUM(struct probe_settings, protocol, probe_protocols, "pool", PROBE, RELOAD,
                     "What probes speak: pool (as the pool's protocol), http/1.1, h2 or auto."),
};
const struct weir_options probe_options = WEIR_OPTIONS(struct probe_settings, probe_rows);

static const struct weir_option passive_rows[] = {
    WEIR_OPTION_RANGE(struct passive_settings, max_ejected, PERCENTAGE, "50%", "0%", "100%", PROBE,
                      RELOAD,
                      "Share of the pool's servers that may be ejected at once, rounded down."),
};
const struct weir_options passive_options = WEIR_OPTIONS(struct passive_settings, passive_rows);
