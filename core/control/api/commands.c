/* SPDX-License-Identifier: MIT */
/*
 * The command table. See command.h.
 */
#include "control/api/command.h"

#include "control/plane.h"

#define END WEIR_ARGUMENTS_END

static const char *const states[] = {"ready", "drain", "maintenance", NULL};
static const char *const roles[] = {"viewer", "operator", "admin", NULL};

static const struct weir_argument server_add[] = {
    {"url", WEIR_ARGUMENT_STRING, true, 1, 2048, NULL,
     "http://HOST:PORT, https://HOST:PORT or unix:/PATH of the server."},
    {"id", WEIR_ARGUMENT_STRING, false, 1, 64, NULL,
     "Its name in the pool; made of the URL's host and port where it is not given."},
    {"weight", WEIR_ARGUMENT_INTEGER, false, 0, 1000, NULL,
     "Its share beside the others; 0: no new sessions. 1 where it is not given."},
    {"max_connections", WEIR_ARGUMENT_INTEGER, false, 0, 1000000, NULL,
     "Requests that it may have at once; 0: no limit."},
    {"state", WEIR_ARGUMENT_WORD, false, 0, 0, states, "Administrative state; ready if not given."},
    {"backup", WEIR_ARGUMENT_BOOLEAN, false, 0, 0, NULL,
     "Serves only when none of the others can."},
    END,
};

static const struct weir_argument server_patch[] = {
    {"weight", WEIR_ARGUMENT_INTEGER, false, 0, 1000, NULL, "Its share beside the others."},
    {"max_connections", WEIR_ARGUMENT_INTEGER, false, 0, 1000000, NULL,
     "Requests that it may have at once; 0: no limit."},
    {"state", WEIR_ARGUMENT_WORD, false, 0, 0, states,
     "ready; drain (no new sessions, those that are there stay); maintenance (none at all)."},
    {"drain_timeout", WEIR_ARGUMENT_DURATION, false, 1, 604800, NULL,
     "With drain: time after which sessions that are there go elsewhere."},
    END,
};

static const struct weir_argument server_remove[] = {
    {"now", WEIR_ARGUMENT_BOOLEAN, false, 0, 0, NULL,
     "Removes it at once; requests that run there are finished."},
    {"timeout", WEIR_ARGUMENT_DURATION, false, 1, 604800, NULL,
     "Time to drain; 1h, or 5m in a pool with stickiness, where it is not given."},
    {"force", WEIR_ARGUMENT_BOOLEAN, false, 0, 0, NULL,
     "Also where it leaves the pool without a server that serves; otherwise that is a 409."},
    END,
};

static const struct weir_argument history_query[] = {
    {"series", WEIR_ARGUMENT_STRING, true, 1, 16384, NULL,
     "Comma-separated: total.METRIC, pool:NAME.METRIC, server:POOL/ID.METRIC with requests, rate, "
     "errors_rate, in_flight, p50, p95 or p99."},
    {"seconds", WEIR_ARGUMENT_INTEGER, false, 1, 3600, NULL,
     "How far back; up to 900 in steps of a second, beyond that of five. 300 if not given."},
    END,
};

static const struct weir_argument journal_query[] = {
    {"limit", WEIR_ARGUMENT_INTEGER, false, 1, 1000, NULL, "Entries to show; 50 if not given."},
    {"before", WEIR_ARGUMENT_INTEGER, false, 1, INT64_C(9007199254740991), NULL,
     "Only entries with a smaller id: the cursor of the page before."},
    END,
};

static const struct weir_argument export_query[] = {
    {"elsewhere", WEIR_ARGUMENT_BOOLEAN, false, 0, 0, NULL,
     "For another folder: paths that are taken from the folder of their file are written in full."},
    END,
};

static const struct weir_argument explain_body[] = {
    {"url", WEIR_ARGUMENT_STRING, true, 1, 8192, NULL, "Absolute URL of the request."},
    {"method", WEIR_ARGUMENT_STRING, false, 1, 32, NULL, "GET if not given."},
    {"headers", WEIR_ARGUMENT_TEXTS, false, 0, 0, NULL, "Its fields, by name."},
    {"client", WEIR_ARGUMENT_STRING, false, 1, 64, NULL,
     "The client's address; 127.0.0.1 if not given."},
    {"listener", WEIR_ARGUMENT_STRING, false, 1, 256, NULL,
     "Name of the listener; the first that fits the URL's scheme if not given."},
    END,
};

static const struct weir_argument user_add[] = {
    {"name", WEIR_ARGUMENT_STRING, true, 1, 64, NULL,
     "Name to log in with; stands in the journal."},
    {"role", WEIR_ARGUMENT_WORD, true, 0, 0, roles, "What the user may do."},
    {"password", WEIR_ARGUMENT_STRING, false, 8, 1024, NULL,
     "Where the user is to log in with one."},
    END,
};

static const struct weir_argument user_patch[] = {
    {"role", WEIR_ARGUMENT_WORD, false, 0, 0, roles, "What the user may do."},
    {"password", WEIR_ARGUMENT_STRING, false, 8, 1024, NULL, "A new password."},
    END,
};

static const struct weir_argument token_add[] = {
    {"ttl", WEIR_ARGUMENT_DURATION, false, 1, INT64_C(315360000), NULL,
     "How long it is valid; for ever if not given."},
    END,
};

#define ROW(name_, role_, method_, path_, body_, query_, status_, flags_, answer_, document_) \
    .row = {.name = (name_),                                                                  \
            .role = WEIR_ROLE_##role_,                                                        \
            .method = (method_),                                                              \
            .path = (path_),                                                                  \
            .body = (body_),                                                                  \
            .query = (query_),                                                                \
            .status = (status_),                                                              \
            .flags = (flags_),                                                                \
            .answer = (answer_),                                                              \
            .document = (document_)}

/* Reads, by GET for viewers; or, named in full, as another role or by POST. */
#define READ(name, path, query, answer, run, document) \
    READ_AS(name, VIEWER, "GET", path, NULL, query, answer, run, document)
#define READ_AS(name, role, method, path, body, query, answer, run, document)               \
    {                                                                                       \
        ROW(name, role, method, path, body, query, 200, 0, answer, document), .read = (run) \
    }
#define WRITE(name, role, method, path, body, query, status, flags, answer, run, document)  \
    {                                                                                       \
        ROW(name, role, method, path, body, query, status, WEIR_OPERATION_WRITES | (flags), \
            answer, document),                                                              \
            .write = (run)                                                                  \
    }
#define CONFIRM WEIR_OPERATION_CONFIRM
#define MATCHED (WEIR_OPERATION_CONFIRM | WEIR_OPERATION_IF_MATCH)

const struct command commands[] = {
    READ("pools.list", "/pools", NULL, "Pools", run_pools,
         "All pools with their servers, totals, rates and latency."),
    READ("pools.show", "/pools/{pool}", NULL, "Pool", run_pool, "One pool."),
    READ("servers.list", "/servers", NULL, "Servers", run_servers, "The servers of all pools."),
    READ("pool.servers", "/pools/{pool}/servers", NULL, "Servers", run_pool_servers,
         "The servers of one pool."),
    WRITE("server.add", OPERATOR, "POST", "/pools/{pool}/servers", server_add, NULL, 201, MATCHED,
          "Server", run_server_add,
          "Adds a server to a pool; one that drains to be removed stays."),
    READ("servers.show", "/pools/{pool}/servers/{server}", NULL, "Server", run_server,
         "One server."),
    WRITE("server.patch", OPERATOR, "PATCH", "/pools/{pool}/servers/{server}", server_patch, NULL,
          200, MATCHED, "Server", run_server_patch, "Changes a server's weight, limit or state."),
    WRITE("server.remove", OPERATOR, "DELETE", "/pools/{pool}/servers/{server}", NULL,
          server_remove, 202, MATCHED, "Server", run_server_remove,
          "Drains a server, then removes it; 204 where it is gone at once."),
    READ("routes.list", "/routes", NULL, "Routes", run_routes, "The routes, with their traffic."),
    READ("listeners.list", "/listeners", NULL, "Listeners", run_listeners,
         "The listeners, with their traffic."),
    READ("modules.list", "/modules", NULL, "Modules", run_modules, "The modules that are loaded."),
    READ("certificates.list", "/certificates", NULL, "Certificates", run_certificates,
         "The listeners' certificates, and when they end."),
    READ("status.show", "/status", NULL, "Status", run_status, "How the program itself is."),
    READ("stats.show", "/stats", NULL, "Stats", run_stats, "The numbers of this moment."),
    READ("stats.history", "/stats/history", history_query, "History", run_history,
         "Numbers of the last hour."),
    READ_AS("config.show", ADMIN, "GET", "/config", NULL, NULL, "Files", run_config,
            "The files as they were read, without their secrets."),
    READ_AS("config.export", ADMIN, "GET", "/config/export", NULL, export_query, "Files",
            run_export, "Files that equal the running state."),
    READ_AS("config.check", ADMIN, "POST", "/config/check", NULL, NULL, "Check", run_check,
            "Reads and checks the files; changes nothing."),
    WRITE("config.reload", ADMIN, "POST", "/config/reload", NULL, NULL, 200, 0, "Reload",
          run_reload, "Reads the files again, and takes them over if they are right."),
    READ("journal.list", "/journal", journal_query, "Journal", run_journal,
         "Runtime changes, the newest first."),
    WRITE("journal.undo", OPERATOR, "POST", "/journal/{id}/undo", NULL, NULL, 200, CONFIRM, "Entry",
          run_undo, "Takes a change back; with last as id the last one that can be."),
    WRITE("journal.confirm", OPERATOR, "POST", "/journal/{id}/confirm", NULL, NULL, 200, 0, "Entry",
          run_confirm, "Lets a change stay that would take itself back."),
    READ_AS("explain", OPERATOR, "POST", "/explain", explain_body, NULL, "Explanation", run_explain,
            "What would become of a request: route, pool, session, candidates, choice."),
    READ_AS("users.list", ADMIN, "GET", "/users", NULL, NULL, "Users", run_users,
            "Users, their roles and tokens."),
    WRITE("user.add", ADMIN, "POST", "/users", user_add, NULL, 201, CONFIRM, "User", run_user_add,
          "Adds a user."),
    WRITE("user.patch", ADMIN, "PATCH", "/users/{name}", user_patch, NULL, 200, CONFIRM, "User",
          run_user_patch, "Changes a user's role or password."),
    WRITE("user.remove", ADMIN, "DELETE", "/users/{name}", NULL, NULL, 204, CONFIRM, NULL,
          run_user_remove, "Removes a user."),
    WRITE("user.token", ADMIN, "POST", "/users/{name}/token", token_add, NULL, 201, 0, "Token",
          run_token_add, "Makes a token, which is shown once."),
    WRITE("user.token.remove", ADMIN, "DELETE", "/users/{name}/tokens/{id}", NULL, NULL, 204, 0,
          NULL, run_token_remove, "Removes a token."),
    WRITE("admin_token.renew", ADMIN, "POST", "/admin-token", NULL, NULL, 201, 0, "AdminToken",
          run_admin_token_renew,
          "Makes another administrator's token; the one before is good for nothing any more."),
    WRITE("admin_token.revoke", ADMIN, "DELETE", "/admin-token", NULL, NULL, 204, 0, NULL,
          run_admin_token_revoke,
          "Revokes the administrator's token; none is made at the next start."),
    READ("openapi", "/openapi.json", NULL, "OpenApi", run_openapi,
         "This document; also at /openapi.json."),
    {.row = {.name = NULL}},
};
