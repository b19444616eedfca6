/* SPDX-License-Identifier: MIT */
/*
 * Who a request is from. See who.h.
 */
#include "who.h"

#include "check.h"

static void set_caller(struct caller *caller, enum proof proof, const struct weir_caller *known)
{
    caller->proof = proof;
    caller->role = known->role;
    known_set(&caller->who, known);
}

/* The token of `Authorization: Bearer TOKEN`; empty: another scheme. */
static struct weir_str bearer_token(struct weir_str field)
{
    struct weir_str scheme = {field.ptr, 7};
    if (field.len < 8 || !weir_str_is_nocase(scheme, "bearer ")) {
        return (struct weir_str){NULL, 0};
    }
    return weir_str_trim((struct weir_str){field.ptr + 7, field.len - 7});
}

/* Whether the user is still the one who was authenticated: neither removed nor added again, with
 * the same password, and the token not revoked. */
static bool is_still(struct admin *admin, const struct known *who, struct weir_caller *now)
{
    struct weir_caller before = {
        .size = sizeof(before),
        .author = weir_str_of(who->name),
        .since = who->since,
        .token = weir_str_of(who->token),
    };
    return weir_control_auth_again(admin->ctx, &before, now) && now->role != WEIR_ROLE_NONE;
}

/* Ends a session whose user, password or token is gone; NULL: nobody. */
static void enter_session(struct admin *admin, struct session *session, struct caller *caller)
{
    struct weir_caller now = {.size = sizeof(now)};

    if (session == NULL) {
        return;
    }
    if (!is_still(admin, &session->who, &now)) {
        session_end(session);
        return;
    }
    set_caller(caller, PROOF_SESSION, &now);
    caller->session = session;
    memcpy(caller->digest, session->digest, sizeof(caller->digest));
}

void who_identify(struct admin *admin, const struct weir_request *req, struct caller *caller)
{
    struct weir_caller known = {.size = sizeof(known)};
    struct weir_str value;

    *caller = (struct caller){.proof = PROOF_NONE};
    if (weir_request_header(req, "Authorization", &value)) {
        struct weir_str token = bearer_token(value);
        if (token.len > 0 && weir_control_auth_token(admin->ctx, token, &known)) {
            set_caller(caller, PROOF_TOKEN, &known);
        }
        return;
    }
    if (weir_request_cookie(req, weir_str_of(SESSION_COOKIE), &value)) {
        enter_session(admin,
                      session_find(admin->prepared->sessions, admin->ctx, &admin->limits, value),
                      caller);
        if (caller->proof != PROOF_NONE) {
            return;
        }
    }
    /* A proxy on the socket may be root, but who it speaks for is not. */
    if (!check_is_forwarded(req) && weir_control_auth_peer(admin->ctx, req, &known)) {
        set_caller(caller, PROOF_PEER, &known);
    }
}

void who_unknown(struct weir_request *req)
{
    struct weir_str value;
    bool tried = weir_request_header(req, "Authorization", &value);
    reply_problem_with(
        req, 401, "WWW-Authenticate",
        tried ? "Bearer realm=\"weir\", error=\"invalid_token\"" : "Bearer realm=\"weir\"",
        tried ? "the token is not known, or has run out; weirctl user token makes one"
              : "log in, or send a token: Authorization: Bearer weir_...");
}

static bool is_write(struct weir_str method)
{
    return !weir_str_is(method, "GET") && !weir_str_is(method, "HEAD") &&
           !weir_str_is(method, "OPTIONS");
}

/* Browsers send cookies with any page's requests: only our own pages may use them. */
static bool check_page(struct exchange *exchange)
{
    struct weir_request *req = exchange->req;
    struct weir_str token = {NULL, 0};

    if (!check_origin(req)) {
        reply_problem(req, 403, "another site's page sent this request; the session is not for it");
        return false;
    }
    if (is_write(weir_request_method(req)) &&
        (!weir_request_header(req, "X-CSRF-Token", &token) ||
         !text_equal_secret(token, weir_str_of(exchange->caller.session->csrf)))) {
        reply_problem(req, 403, "X-CSRF-Token is %s; send the csrf that GET /api/v1/session gives",
                      token.len == 0 ? "missing" : "wrong");
        return false;
    }
    return true;
}

bool who_enter(struct exchange *exchange)
{
    struct admin *admin = exchange->admin;
    struct weir_request *req = exchange->req;
    struct caller *caller = &exchange->caller;

    who_identify(admin, req, caller);
    bool known = caller->proof != PROOF_NONE;
    struct weir_str bucket = known ? weir_str_of(caller->who.name) : weir_request_peer(req).address;
    if (!throttle_take(admin->prepared->throttle, admin->ctx, bucket,
                       (double)admin->conf->request_limit)) {
        reply_problem_with(
            req, 429, "Retry-After", "1",
            "more than %lld requests a second; wait a second, or raise request_limit",
            (long long)admin->conf->request_limit);
        return false;
    }
    if (!known) {
        who_unknown(req);
        return false;
    }
    return caller->proof != PROOF_SESSION || check_page(exchange);
}

bool who_stays(struct admin *admin, struct caller *caller)
{
    struct weir_caller now = {.size = sizeof(now)};
    struct caller before = *caller;

    if (before.proof == PROOF_PEER) {
        return true;
    }
    *caller = (struct caller){.proof = PROOF_NONE};
    if (before.proof == PROOF_SESSION) {
        enter_session(
            admin,
            session_by_digest(admin->prepared->sessions, admin->ctx, &admin->limits, before.digest),
            caller);
    } else if (before.proof == PROOF_TOKEN && is_still(admin, &before.who, &now)) {
        set_caller(caller, PROOF_TOKEN, &now);
    }
    return caller->proof != PROOF_NONE;
}

const char *who_role_word(enum weir_role role)
{
    switch (role) {
    case WEIR_ROLE_ADMIN: return "admin";
    case WEIR_ROLE_OPERATOR: return "operator";
    case WEIR_ROLE_VIEWER: return "viewer";
    default: return "none";
    }
}
