/* SPDX-License-Identifier: MIT */
/*
 * The command table. See command.h.
 */
#include "control/api/command.h"

#include "control/plane.h"

#define END          \
    {                \
        .name = NULL \
    }

static const char *const states[] = {"ready", "drain", "maintenance", NULL};
static const char *const roles[] = {"viewer", "operator", "admin", NULL};

static const struct argument server_add[] = {
    {"url", ARGUMENT_STRING, true, 1, 2048, NULL,
     "http://HOST:PORT, https://HOST:PORT or unix:/PATH of the server."},
    {"id", ARGUMENT_STRING, false, 1, 64, NULL,
     "Its name in the pool; made of the URL's host and port where it is not given."},
    {"weight", ARGUMENT_INTEGER, false, 0, 1000, NULL,
     "Its share beside the others; 0: no new sessions. 1 where it is not given."},
    {"max_connections", ARGUMENT_INTEGER, false, 0, 1000000, NULL,
     "Requests that it may have at once; 0: no limit."},
    {"state", ARGUMENT_WORD, false, 0, 0, states, "Administrative state; ready if not given."},
    {"backup", ARGUMENT_BOOLEAN, false, 0, 0, NULL, "Serves only when none of the others can."},
    END,
};

static const struct argument server_patch[] = {
    {"weight", ARGUMENT_INTEGER, false, 0, 1000, NULL, "Its share beside the others."},
    {"max_connections", ARGUMENT_INTEGER, false, 0, 1000000, NULL,
     "Requests that it may have at once; 0: no limit."},
    {"state", ARGUMENT_WORD, false, 0, 0, states,
     "ready; drain (no new sessions, those that are there stay); maintenance (none at all)."},
    {"drain_timeout", ARGUMENT_DURATION, false, 1, 604800, NULL,
     "With drain: time after which sessions that are there go elsewhere."},
    END,
};

static const struct argument server_remove[] = {
    {"now", ARGUMENT_BOOLEAN, false, 0, 0, NULL,
     "Removes it at once; requests that run there are finished."},
    {"timeout", ARGUMENT_DURATION, false, 1, 604800, NULL,
     "Time to drain; 1h, or 5m in a pool with stickiness, where it is not given."},
    {"force", ARGUMENT_BOOLEAN, false, 0, 0, NULL,
     "Also where it leaves the pool without a server that serves; otherwise that is a 409."},
    END,
};

static const struct argument history_query[] = {
    {"series", ARGUMENT_STRING, true, 1, 16384, NULL,
     "Comma-separated: total.METRIC, pool:NAME.METRIC, server:POOL/ID.METRIC with requests, rate, "
     "errors_rate, in_flight, p50, p95 or p99."},
    {"seconds", ARGUMENT_INTEGER, false, 1, 3600, NULL,
     "How far back; up to 900 in steps of a second, beyond that of five. 300 if not given."},
    END,
};

static const struct argument journal_query[] = {
    {"limit", ARGUMENT_INTEGER, false, 1, 1000, NULL, "Entries to show; 50 if not given."},
    {"before", ARGUMENT_INTEGER, false, 1, INT64_C(9007199254740991), NULL,
     "Only entries with a smaller id: the cursor of the page before."},
    END,
};

static const struct argument export_query[] = {
    {"elsewhere", ARGUMENT_BOOLEAN, false, 0, 0, NULL,
     "For another folder: paths that are taken from the folder of their file are written in full."},
    END,
};

static const struct argument explain_body[] = {
    {"url", ARGUMENT_STRING, true, 1, 8192, NULL, "Absolute URL of the request."},
    {"method", ARGUMENT_STRING, false, 1, 32, NULL, "GET if not given."},
    {"headers", ARGUMENT_TEXTS, false, 0, 0, NULL, "Its fields, by name."},
    {"client", ARGUMENT_STRING, false, 1, 64, NULL,
     "The client's address; 127.0.0.1 if not given."},
    {"listener", ARGUMENT_STRING, false, 1, 256, NULL,
     "Name of the listener; the first that fits the URL's scheme if not given."},
    END,
};

static const struct argument user_add[] = {
    {"name", ARGUMENT_STRING, true, 1, 64, NULL, "Name to log in with; stands in the journal."},
    {"role", ARGUMENT_WORD, true, 0, 0, roles, "What the user may do."},
    {"password", ARGUMENT_STRING, false, 8, 1024, NULL, "Where the user is to log in with one."},
    END,
};

static const struct argument user_patch[] = {
    {"role", ARGUMENT_WORD, false, 0, 0, roles, "What the user may do."},
    {"password", ARGUMENT_STRING, false, 8, 1024, NULL, "A new password."},
    END,
};

static const struct argument token_add[] = {
    {"ttl", ARGUMENT_DURATION, false, 1, INT64_C(315360000), NULL,
     "How long it is valid; for ever if not given."},
    END,
};

#define READ(name_, path_, query_, answer_, run_, document_)                         \
    {                                                                                \
        .name = (name_), .role = WEIR_ROLE_VIEWER, .method = "GET", .path = (path_), \
        .query = (query_), .status = 200, .answer = (answer_), .read = (run_),       \
        .document = (document_)                                                      \
    }

const struct command commands[] = {
    READ("pools.list", "/pools", NULL, "Pools", run_pools,
         "All pools with their servers, totals, rates and latency."),
    READ("pools.show", "/pools/{pool}", NULL, "Pool", run_pool, "One pool."),
    READ("servers.list", "/servers", NULL, "Servers", run_servers, "The servers of all pools."),
    READ("pool.servers", "/pools/{pool}/servers", NULL, "Servers", run_pool_servers,
         "The servers of one pool."),
    {"server.add", WEIR_ROLE_OPERATOR, "POST", "/pools/{pool}/servers", server_add, NULL, 201,
     "Server", run_server_add, "Adds a server to a pool; one that drains to be removed stays.",
     NULL},
    READ("servers.show", "/pools/{pool}/servers/{server}", NULL, "Server", run_server,
         "One server."),
    {"server.patch", WEIR_ROLE_OPERATOR, "PATCH", "/pools/{pool}/servers/{server}", server_patch,
     NULL, 200, "Server", run_server_patch, "Changes a server's weight, limit or state.", NULL},
    {"server.remove", WEIR_ROLE_OPERATOR, "DELETE", "/pools/{pool}/servers/{server}", NULL,
     server_remove, 202, "Server", run_server_remove,
     "Drains a server, then removes it; 204 where it is gone at once.", NULL},
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
    {"config.show", WEIR_ROLE_ADMIN, "GET", "/config", NULL, NULL, 200, "Files", NULL,
     "The files as they were read, without their secrets.", run_config},
    {"config.export", WEIR_ROLE_ADMIN, "GET", "/config/export", NULL, export_query, 200, "Files",
     NULL, "Files that equal the running state.", run_export},
    {"config.check", WEIR_ROLE_ADMIN, "POST", "/config/check", NULL, NULL, 200, "Check", NULL,
     "Reads and checks the files; changes nothing.", run_check},
    {"config.reload", WEIR_ROLE_ADMIN, "POST", "/config/reload", NULL, NULL, 200, "Reload",
     run_reload, "Reads the files again, and takes them over if they are right.", NULL},
    READ("journal.list", "/journal", journal_query, "Journal", run_journal,
         "Runtime changes, the newest first."),
    {"journal.undo", WEIR_ROLE_OPERATOR, "POST", "/journal/{id}/undo", NULL, NULL, 200, "Entry",
     run_undo, "Takes a change back; with last as id the last one that can be.", NULL},
    {"journal.confirm", WEIR_ROLE_OPERATOR, "POST", "/journal/{id}/confirm", NULL, NULL, 200,
     "Entry", run_confirm, "Lets a change stay that would take itself back.", NULL},
    {"explain", WEIR_ROLE_OPERATOR, "POST", "/explain", explain_body, NULL, 200, "Explanation",
     NULL, "What would become of a request: route, pool, session, candidates, choice.",
     run_explain},
    {"users.list", WEIR_ROLE_ADMIN, "GET", "/users", NULL, NULL, 200, "Users", NULL,
     "Users, their roles and tokens.", run_users},
    {"user.add", WEIR_ROLE_ADMIN, "POST", "/users", user_add, NULL, 201, "User", run_user_add,
     "Adds a user.", NULL},
    {"user.patch", WEIR_ROLE_ADMIN, "PATCH", "/users/{name}", user_patch, NULL, 200, "User",
     run_user_patch, "Changes a user's role or password.", NULL},
    {"user.remove", WEIR_ROLE_ADMIN, "DELETE", "/users/{name}", NULL, NULL, 204, NULL,
     run_user_remove, "Removes a user.", NULL},
    {"user.token", WEIR_ROLE_ADMIN, "POST", "/users/{name}/token", token_add, NULL, 201, "Token",
     run_token_add, "Makes a token, which is shown once.", NULL},
    {"user.token.remove", WEIR_ROLE_ADMIN, "DELETE", "/users/{name}/tokens/{id}", NULL, NULL, 204,
     NULL, run_token_remove, "Removes a token.", NULL},
    {"admin_token.renew", WEIR_ROLE_ADMIN, "POST", "/admin-token", NULL, NULL, 201, "AdminToken",
     run_admin_token_renew,
     "Makes another administrator's token; the one before is good for nothing any more.", NULL},
    {"admin_token.revoke", WEIR_ROLE_ADMIN, "DELETE", "/admin-token", NULL, NULL, 204, NULL,
     run_admin_token_revoke, "Revokes the administrator's token; none is made at the next start.",
     NULL},
    READ("openapi", "/openapi.json", NULL, "OpenApi", run_openapi,
         "This document; also at /openapi.json."),
    {.name = NULL},
};

bool command_takes_confirm(const struct command *command)
{
    return command->write != NULL && command->write != run_reload &&
           command->write != run_confirm && command->write != run_token_add &&
           command->write != run_token_remove && command->write != run_admin_token_renew &&
           command->write != run_admin_token_revoke;
}
