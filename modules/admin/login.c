/* SPDX-License-Identifier: MIT */
/*
 * Logging in and out. See login.h.
 *
 * A login counts as failed from its start until it has gone well, so that many at once gain
 * nothing.
 */
#include "login.h"

#include <stdio.h>

#include "api.h"
#include "check.h"
#include "events.h"
#include "who.h"

#define NS_PER_SECOND UINT64_C(1000000000)

/* ---- answers ---- */

static void send_session(struct weir_request *req, const struct caller *caller, const char *csrf,
                         const char *cookie)
{
    char body[1024];
    struct reply reply;
    size_t at = (size_t)snprintf(body, sizeof(body), "{\"author\":");

    at = text_put_json(body, at, sizeof(body), weir_str_of(caller->who.name));
    at += (size_t)snprintf(body + at, sizeof(body) - at,
                           ",\"role\":\"%s\",\"csrf\":", who_role_word(caller->role));
    if (csrf != NULL) {
        at = text_put_json(body, at, sizeof(body), weir_str_of(csrf));
    } else {
        at += (size_t)snprintf(body + at, sizeof(body) - at, "null");
    }
    at += (size_t)snprintf(body + at, sizeof(body) - at, "}\n");
    reply_begin(&reply, req);
    reply_add(&reply, "Content-Type", weir_str_of("application/json"));
    reply_add(&reply, "Cache-Control", weir_str_of("no-store"));
    if (cookie != NULL) {
        reply_add(&reply, "Set-Cookie", weir_str_of(cookie));
    }
    reply_send(&reply, 200, (struct weir_str){body, at});
}

static void write_cookie(const struct weir_request *req, const char *token, uint64_t seconds,
                         char *out, size_t size)
{
    snprintf(out, size, SESSION_COOKIE "=%s; Path=/; Max-Age=%llu; HttpOnly; SameSite=Strict%s",
             token, (unsigned long long)seconds, weir_request_tls(req) ? "; Secure" : "");
}

/* 429, with Retry-After. */
static void send_wait(struct weir_request *req, uint64_t wait_ns)
{
    char seconds[24];
    snprintf(seconds, sizeof(seconds), "%llu",
             (unsigned long long)((wait_ns + NS_PER_SECOND - 1) / NS_PER_SECOND));
    reply_problem_with(req, 429, "Retry-After", seconds,
                       "too many failed logins; the next is heard in %s second%s", seconds,
                       strcmp(seconds, "1") == 0 ? "" : "s");
}

static void send_refusal(struct weir_request *req, const char *detail)
{
    reply_problem_with(req, 401, "WWW-Authenticate", "Bearer realm=\"weir\"", "%s", detail);
}

/* ---- a login that has gone well ---- */

static void admit(struct exchange *exchange, const struct weir_caller *known, struct weir_str name)
{
    struct admin *admin = exchange->admin;
    struct weir_request *req = exchange->req;
    struct caller caller = {.proof = PROOF_SESSION, .role = known->role};
    char token[SESSION_TOKEN], cookie[256];
    struct weir_str old;

    weir_count(admin->ctx, METRIC_LOGINS, 1);
    throttle_login(admin->prepared->throttle, admin->ctx, weir_request_peer(req).address, name,
                   true);
    if (weir_request_cookie(req, weir_str_of(SESSION_COOKIE), &old)) {
        struct session *before =
            session_find(admin->prepared->sessions, admin->ctx, &admin->limits, old);
        if (before != NULL) {
            session_end(before);
            events_review(admin->events);
        }
    }
    struct session *session =
        session_new(admin->prepared->sessions, admin->ctx, &admin->limits, known, token);
    write_cookie(req, token, admin->limits.lifetime_ns / NS_PER_SECOND, cookie, sizeof(cookie));
    explicit_bzero(token, sizeof(token));
    caller.who = session->who;
    weir_log(admin->ctx, WEIR_LOG_NOTICE, "%s logged in as %s from %.*s", caller.who.name,
             who_role_word(caller.role), (int)weir_request_peer(req).address.len,
             weir_request_peer(req).address.ptr);
    send_session(req, &caller, session->csrf, cookie);
}

static void refuse(struct exchange *exchange, const char *detail)
{
    struct weir_str address = weir_request_peer(exchange->req).address;
    weir_count(exchange->admin->ctx, METRIC_LOGINS_FAILED, 1);
    weir_log(exchange->admin->ctx, WEIR_LOG_WARNING, "a login from %.*s failed", (int)address.len,
             address.ptr);
    send_refusal(exchange->req, detail);
}

/* ---- passwords, tokens, links ---- */

static void on_password(void *arg, const struct weir_caller *known)
{
    struct exchange *exchange = arg;

    exchange->auth = NULL;
    if (exchange->req == NULL) {
        exchange_free(exchange);
    } else if (known == NULL || known->role == WEIR_ROLE_NONE) {
        refuse(exchange, "name or password is wrong");
    } else {
        admit(exchange, known, known->author);
    }
}

static void try_password(struct exchange *exchange, struct weir_str name, struct weir_str password)
{
    exchange->auth =
        weir_control_auth_password(exchange->admin->ctx, name, password, on_password, exchange);
    if (exchange->auth == NULL) {
        reply_problem_with(exchange->req, 503, "Retry-After", "1",
                           "too many logins at once; try again in a second");
    }
}

static void try_token(struct exchange *exchange, struct weir_str token, bool link)
{
    struct weir_caller known = {.size = sizeof(known)};
    struct weir_context *ctx = exchange->admin->ctx;
    bool good = link ? weir_control_auth_link(ctx, token, &known)
                     : weir_control_auth_token(ctx, token, &known);

    if (good && known.role != WEIR_ROLE_NONE) {
        admit(exchange, &known, (struct weir_str){NULL, 0});
    } else {
        refuse(exchange,
               link
                   ? "the link was used before, or is too old; log in with the token of admin.token"
                   : "the token is not known, or has run out");
    }
}

enum { NAME, PASSWORD, TOKEN, LINK, MEMBERS };

/* Exactly one of the three ways to log in. */
static bool is_one_way(const struct text_member *members)
{
    bool password = members[NAME].value.len > 0 && members[PASSWORD].value.ptr != NULL;
    bool token = members[TOKEN].value.len > 0, link = members[LINK].value.len > 0;
    bool partly =
        (members[NAME].value.ptr != NULL || members[PASSWORD].value.ptr != NULL) && !password;
    return !partly && (int)password + (int)token + (int)link == 1;
}

void login_run(struct exchange *exchange)
{
    struct admin *admin = exchange->admin;
    struct weir_request *req = exchange->req;
    struct text_member members[MEMBERS] = {
        [NAME] = {.name = "name"},
        [PASSWORD] = {.name = "password"},
        [TOKEN] = {.name = "token"},
        [LINK] = {.name = "link"},
    };
    const char *error = NULL;
    bool malformed = false;

    exchange->answered = true;
    if (!weir_str_is_utf8((struct weir_str){exchange->body, exchange->len})) {
        reply_problem(req, 400, "the body is not UTF-8, as JSON must be");
        return;
    }
    if (!text_read_object(exchange->body, exchange->len, members, MEMBERS, &error, &malformed)) {
        reply_problem(req, malformed ? 400 : 422, "%s", error);
        return;
    }
    if (!is_one_way(members)) {
        reply_problem(req, 422, "send {\"name\", \"password\"}, or {\"token\"}, or {\"link\"}");
        return;
    }
    struct weir_str address = weir_request_peer(req).address, name = members[NAME].value;
    uint64_t wait_ns = throttle_login_wait_ns(admin->prepared->throttle, admin->ctx, address, name);
    if (wait_ns > 0) {
        send_wait(req, wait_ns);
        return;
    }
    throttle_login(admin->prepared->throttle, admin->ctx, address, name, false);
    if (name.len > 0) {
        try_password(exchange, name, members[PASSWORD].value);
    } else if (members[TOKEN].value.len > 0) {
        try_token(exchange, members[TOKEN].value, false);
    } else {
        try_token(exchange, members[LINK].value, true);
    }
}

/* ---- requests ---- */

static void log_out(struct exchange *exchange)
{
    struct reply reply;
    char cookie[256];

    write_cookie(exchange->req, "", 0, cookie, sizeof(cookie));
    if (exchange->caller.session != NULL) {
        session_end(exchange->caller.session);
        events_review(exchange->admin->events);
    }
    reply_begin(&reply, exchange->req);
    reply_add(&reply, "Cache-Control", weir_str_of("no-store"));
    reply_add(&reply, "Set-Cookie", weir_str_of(cookie));
    reply_send(&reply, 204, (struct weir_str){NULL, 0});
}

void login_begin(struct exchange *exchange)
{
    struct weir_request *req = exchange->req;
    struct weir_str method = weir_request_method(req);

    if (weir_str_is(method, "POST")) {
        if (!check_origin(req)) {
            reply_problem(req, 403, "another site's page sent this login");
        } else if (api_check_body(exchange)) {
            exchange->task = TASK_LOGIN;
        }
    } else if (!weir_str_is(method, "GET") && !weir_str_is(method, "HEAD") &&
               !weir_str_is(method, "DELETE")) {
        reply_method(req, "GET, HEAD, POST, DELETE");
    } else if (who_enter(exchange)) {
        if (weir_str_is(method, "DELETE")) {
            log_out(exchange);
        } else {
            struct session *session = exchange->caller.session;
            send_session(req, &exchange->caller, session != NULL ? session->csrf : NULL, NULL);
        }
    }
}
