/* SPDX-License-Identifier: MIT */
/*
 * admin: pages, REST, logins and events as requests see them.
 */
#include "../test_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "text.h"
#include "test_parts.h"

#define SECOND UINT64_C(1000000000)

static struct weir_test *host;
static struct weir_test_instance *admin;
static char folder[64];

static void write_file(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static void make_folder(void)
{
    char path[128], script[4000];
    strcpy(folder, "/tmp/weir-admin.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    memset(script, 'x', sizeof(script) - 1);
    script[sizeof(script) - 1] = '\0';
    write_file("index.html", "<p>panel");
    write_file("login.html", "<p>login");
    write_file("traffic.html", "<p>traffic");
    write_file("a.js", script);
    write_file(".hidden", "no");
    write_file("local.mk", "no");
    snprintf(path, sizeof(path), "%s/sub", folder);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    write_file("sub/b.css", "p{}");
}

static void remove_folder(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static void begin(const char *options)
{
    char conf[256];
    snprintf(conf, sizeof(conf), "web_dir = \"%s\" %s", folder, options);
    admin = weir_test_create(host, WEIR_TEST_HANDLER, test_conf(host, conf));
    ck_assert_ptr_nonnull(admin);
}

static void set_up(void)
{
    make_folder();
    host = test_begin();
    weir_test_person(host, "ann", WEIR_ROLE_OPERATOR, "weir_ann", "secret", "once");
}

static void tear_down(void)
{
    test_end(&host);
    remove_folder();
}

static struct weir_request *request(const char *method, const char *target)
{
    struct weir_request *req = weir_test_request(host, method, target);
    weir_test_request_set_str(req, WEIR_REQUEST_HOST, "localhost");
    weir_test_request_set_str(req, WEIR_REQUEST_AUTHORITY, "localhost:9000");
    return req;
}

static uint32_t send(struct weir_request *req, const char *body)
{
    if (body != NULL) {
        char length[24];
        snprintf(length, sizeof(length), "%zu", strlen(body));
        weir_test_request_add(req, "Content-Length", length);
        if (weir_test_request_header(req, "Content-Type") == NULL) {
            weir_test_request_add(req, "Content-Type", "application/json");
        }
    }
    ck_assert_int_eq(weir_test_handle(admin, req, body, body != NULL ? strlen(body) : 0), WEIR_OK);
    weir_test_run(host);
    return weir_test_reply_of(req).status;
}

static uint32_t get(const char *target)
{
    return send(request("GET", target), NULL);
}

static bool says(struct weir_request *req, const char *text)
{
    return strstr(weir_test_reply_of(req).body, text) != NULL;
}

/* ---- configuration ---- */

START_TEST(other_machines_want_tls)
{
    static const char *const open[] = {"127.0.0.1:1", "0.0.0.0:2", NULL};
    static const char *const local[] = {"127.0.0.1:1", "[::1]:2", "unix:/run/x", NULL};

    weir_test_set_listener(host, open, false);
    test_refused(host, "web_dir = \"\"", "insecure = true");
    ck_assert_ptr_nonnull(strstr(weir_test_mistakes(host), "0.0.0.0:2"));
    test_conf(host, "web_dir = \"\" insecure = true");
    weir_test_set_listener(host, open, true);
    test_conf(host, "web_dir = \"\"");
    weir_test_set_listener(host, local, false);
    test_conf(host, "web_dir = \"\"");
}
END_TEST

START_TEST(wrong_options_are_told)
{
    test_refused(host, "web_dir = \"/nowhere/at/all\"", "web_dir = \"\"");
    test_refused(host, "web_dir = \"\" session_idle_timeout = 2h session_lifetime = 1h",
                 "longer than session_lifetime");
    test_refused(host, "web_dir = \"\" hosts = {\"a.example\", \"http://b.example\"}",
                 "\"http://b.example\" is no host name");
    test_refused(host, "web_dir = \"\" hosts = {\"a.example:9000\"}", "is no host name");
}
END_TEST

/* ---- pages ---- */

START_TEST(pages_are_behind_the_login)
{
    begin("");
    struct weir_request *req = request("GET", "/");
    ck_assert_uint_eq(send(req, NULL), 303);
    ck_assert_str_eq(weir_test_reply_header(req, "Location"), "/login");
    ck_assert_uint_eq(get("/traffic"), 303);
    ck_assert_uint_eq(get("/login"), 200);
    ck_assert_uint_eq(get("/web/sub/b.css"), 200);
    ck_assert_uint_eq(get("/nothing"), 404);
    ck_assert_uint_eq(get("/web/.hidden"), 404);
    ck_assert_uint_eq(get("/web/local.mk"), 404);
    ck_assert_uint_eq(get("/web/../a.js"), 404);
    req = request("GET", "/");
    weir_test_request_add(req, "Authorization", "Bearer weir_ann");
    ck_assert_uint_eq(send(req, NULL), 200);
    ck_assert_str_eq(weir_test_reply_of(req).body, "<p>panel");
    ck_assert_ptr_nonnull(
        strstr(weir_test_reply_header(req, "Content-Security-Policy"), "default-src 'none'"));
    ck_assert_uint_eq(send(request("POST", "/web/a.js"), NULL), 405);
}
END_TEST

START_TEST(pages_have_tags_and_are_compressed)
{
    begin("");
    struct weir_request *req = request("GET", "/web/a.js");
    ck_assert_uint_eq(send(req, NULL), 200);
    ck_assert_uint_eq(weir_test_reply_of(req).body_len, 3999);
    ck_assert_ptr_null(weir_test_reply_header(req, "Content-Encoding"));
    const char *etag = weir_test_reply_header(req, "ETag");

    struct weir_request *again = request("GET", "/web/a.js");
    weir_test_request_add(again, "If-None-Match", etag);
    ck_assert_uint_eq(send(again, NULL), 304);
    ck_assert_str_eq(weir_test_reply_header(again, "ETag"), etag);
    struct weir_request *head = request("HEAD", "/web/a.js");
    ck_assert_uint_eq(send(head, NULL), 200);
    ck_assert_int_eq(weir_test_reply_of(head).content_length, 3999);
    ck_assert_uint_eq(weir_test_reply_of(head).body_len, 0);
#ifdef ADMIN_GZIP
    struct weir_request *small = request("GET", "/web/a.js");
    weir_test_request_add(small, "Accept-Encoding", "gzip");
    ck_assert_uint_eq(send(small, NULL), 200);
    ck_assert_str_eq(weir_test_reply_header(small, "Content-Encoding"), "gzip");
    ck_assert_str_eq(weir_test_reply_header(small, "Vary"), "Accept-Encoding");
    ck_assert_str_ne(weir_test_reply_header(small, "ETag"), etag);
    ck_assert_uint_lt(weir_test_reply_of(small).body_len, 100);
#endif
}
END_TEST

START_TEST(other_names_are_refused)
{
    begin("hosts = {\"weir.example\"}");
    struct weir_request *req = request("GET", "/login");
    weir_test_request_set_str(req, WEIR_REQUEST_HOST, "evil.example");
    ck_assert_uint_eq(send(req, NULL), 421);
    ck_assert(says(req, "the option hosts"));
    req = request("GET", "/login");
    weir_test_request_set_str(req, WEIR_REQUEST_HOST, "weir.example");
    ck_assert_uint_eq(send(req, NULL), 200);
    req = request("GET", "/login");
    weir_test_request_set_str(req, WEIR_REQUEST_HOST, "evil.example");
    weir_test_request_set_tls(req, true);
    ck_assert_uint_eq(send(req, NULL), 200);
}
END_TEST

/* ---- REST ---- */

static struct weir_request *with_token(const char *method, const char *target)
{
    struct weir_request *req = request(method, target);
    weir_test_request_add(req, "Authorization", "Bearer weir_ann");
    return req;
}

START_TEST(the_api_wants_to_know_who)
{
    begin("");
    struct weir_request *req = request("GET", "/api/v1/pools");
    ck_assert_uint_eq(send(req, NULL), 401);
    ck_assert_str_eq(weir_test_reply_header(req, "WWW-Authenticate"), "Bearer realm=\"weir\"");
    ck_assert_str_eq(weir_test_reply_header(req, "Content-Type"), "application/problem+json");
    req = request("GET", "/api/v1/pools");
    weir_test_request_add(req, "Authorization", "Bearer weir_wrong");
    ck_assert_uint_eq(send(req, NULL), 401);
    ck_assert_ptr_nonnull(strstr(weir_test_reply_header(req, "WWW-Authenticate"), "invalid_token"));
    req = request("GET", "/openapi.json");
    weir_test_request_add(req, "Authorization", "Basic YTpi");
    ck_assert_uint_eq(send(req, NULL), 401);
    ck_assert_uint_eq(weir_test_control_count(host), 0);
}
END_TEST

START_TEST(calls_and_answers_pass)
{
    static const struct weir_control_answer made = {
        .size = sizeof(made),
        .status = 201,
        .content_type = WEIR_STR_INIT("application/json"),
        .body = WEIR_STR_INIT("{\"id\":\"x\"}"),
        .etag = WEIR_STR_INIT("\"7\""),
        .location = WEIR_STR_INIT("/api/v1/pools/web/servers/x"),
        .journal = 12,
    };
    begin("");
    weir_test_script_answer(host, "POST", "/api/v1/pools/web/servers", &made);
    struct weir_request *req = with_token("POST", "/api/v1/pools/web/servers?confirm=60s");
    weir_test_request_add(req, "If-Match", "\"6\"");
    ck_assert_uint_eq(send(req, "{\"url\":\"http://a:1\"}"), 201);
    const struct weir_control_request *call = weir_test_control_call(host, 0);
    ck_assert(weir_str_is(call->method, "POST"));
    ck_assert(weir_str_is(call->path, "/api/v1/pools/web/servers"));
    ck_assert(weir_str_is(call->query, "confirm=60s"));
    ck_assert(weir_str_is(call->body, "{\"url\":\"http://a:1\"}"));
    ck_assert(weir_str_is(call->if_match, "\"6\""));
    ck_assert(weir_str_is(call->caller.author, "ann"));
    ck_assert_int_eq(call->caller.role, WEIR_ROLE_OPERATOR);
    ck_assert_str_eq(weir_test_reply_of(req).body, "{\"id\":\"x\"}");
    ck_assert_str_eq(weir_test_reply_header(req, "ETag"), "\"7\"");
    ck_assert_str_eq(weir_test_reply_header(req, "Location"), "/api/v1/pools/web/servers/x");
    ck_assert_str_eq(weir_test_reply_header(req, "Weir-Journal"), "12");
    ck_assert_str_eq(weir_test_reply_header(req, "Cache-Control"), "no-store");
}
END_TEST

START_TEST(bodies_are_small_json)
{
    begin("");
    struct weir_request *req = with_token("POST", "/api/v1/explain");
    weir_test_request_add(req, "Content-Type", "text/plain");
    ck_assert_uint_eq(send(req, "{}"), 415);
    req = with_token("POST", "/api/v1/explain");
    weir_test_request_add(req, "Content-Length", "65537");
    weir_test_request_add(req, "Content-Type", "application/json");
    ck_assert_int_eq(weir_test_handle_head(admin, req), WEIR_OK);
    ck_assert_uint_eq(weir_test_reply_of(req).status, 413);
    /* Of unknown length: as it comes. */
    req = with_token("POST", "/api/v1/explain");
    weir_test_request_add(req, "Transfer-Encoding", "chunked");
    weir_test_request_add(req, "Content-Type", "application/json; charset=utf-8");
    ck_assert_int_eq(weir_test_handle_head(admin, req), WEIR_OK);
    char piece[1024];
    memset(piece, ' ', sizeof(piece));
    for (int i = 0; i < 64; i++) {
        weir_test_handle_data(admin, req, piece, sizeof(piece), false);
        ck_assert_uint_eq(weir_test_reply_of(req).status, 0);
    }
    weir_test_handle_data(admin, req, piece, 1, false);
    ck_assert_uint_eq(weir_test_reply_of(req).status, 413);
    weir_test_handle_data(admin, req, piece, sizeof(piece), true);
    ck_assert_uint_eq(weir_test_control_count(host), 0);
}
END_TEST

START_TEST(clients_that_go_are_not_answered)
{
    begin("");
    weir_test_control_hold(host, true);
    struct weir_request *req = with_token("GET", "/api/v1/pools");
    ck_assert_uint_eq(send(req, NULL), 0);
    weir_test_client_gone(admin, req);
    struct weir_request *other = with_token("GET", "/api/v1/pools");
    send(other, NULL);
    weir_test_control_hold(host, false);
    weir_test_run(host);
    ck_assert_uint_eq(weir_test_reply_of(other).status, 404);
    /* The instance may go while an answer is on its way. */
    weir_test_control_hold(host, true);
    req = with_token("GET", "/api/v1/pools");
    send(req, NULL);
    weir_test_client_gone(admin, req);
    weir_test_destroy(&admin);
    weir_test_control_hold(host, false);
}
END_TEST

START_TEST(whoever_is_out_before_his_body_is_here_changes_nothing)
{
    begin("");
    struct weir_request *req = with_token("POST", "/api/v1/explain");
    weir_test_request_add(req, "Content-Length", "2");
    weir_test_request_add(req, "Content-Type", "application/json");
    ck_assert_int_eq(weir_test_handle_head(admin, req), WEIR_OK);
    weir_test_person_set_token(host, "ann", "weir_other");
    weir_test_handle_data(admin, req, "{}", 2, true);
    ck_assert_uint_eq(weir_test_reply_of(req).status, 401);
    ck_assert_uint_eq(weir_test_control_count(host), 0);
}
END_TEST

START_TEST(callers_are_limited)
{
    begin("request_limit = 5");
    for (int i = 0; i < 10; i++) {
        ck_assert_uint_eq(send(with_token("GET", "/api/v1/x"), NULL), 404);
    }
    struct weir_request *req = with_token("GET", "/api/v1/x");
    ck_assert_uint_eq(send(req, NULL), 429);
    ck_assert_str_eq(weir_test_reply_header(req, "Retry-After"), "1");
    weir_test_advance(host, SECOND);
    ck_assert_uint_eq(send(with_token("GET", "/api/v1/x"), NULL), 404);
}
END_TEST

START_TEST(peers_of_unix_sockets)
{
    struct weir_credentials root = {0, 0, 1};
    begin("");
    struct weir_request *req = request("GET", "/api/v1/pools");
    weir_test_request_set_credentials(req, &root);
    weir_test_request_set_str(req, WEIR_REQUEST_HOST, "whatever");
    ck_assert_uint_eq(send(req, NULL), 404);
    ck_assert_int_eq(weir_test_control_call(host, 0)->caller.role, WEIR_ROLE_ADMIN);
    req = request("GET", "/api/v1/pools");
    weir_test_request_set_credentials(req, &root);
    weir_test_request_add(req, "X-Forwarded-For", "192.0.2.9");
    ck_assert_uint_eq(send(req, NULL), 401);
}
END_TEST

/* ---- logins ---- */

static char cookie[256], csrf[64];

/* Keeps what a good login gives. */
static uint32_t log_in(const char *body)
{
    struct weir_request *req = request("POST", "/api/v1/session");
    uint32_t status = send(req, body);
    if (status == 200) {
        const char *set = weir_test_reply_header(req, "Set-Cookie");
        ck_assert_ptr_nonnull(set);
        snprintf(cookie, sizeof(cookie), "%.*s", (int)strcspn(set, ";"), set);
        ck_assert_ptr_nonnull(strstr(set, "; HttpOnly; SameSite=Strict"));
        ck_assert_ptr_nonnull(strstr(set, "; Path=/;"));
        ck_assert_ptr_null(strstr(set, "Secure"));
        const char *at = strstr(weir_test_reply_of(req).body, "\"csrf\":\"");
        ck_assert_ptr_nonnull(at);
        snprintf(csrf, sizeof(csrf), "%.43s", at + 8);
    }
    return status;
}

static struct weir_request *with_cookie(const char *method, const char *target)
{
    struct weir_request *req = request(method, target);
    weir_test_request_add(req, "Cookie", cookie);
    return req;
}

START_TEST(passwords_tokens_and_links_log_in)
{
    begin("");
    ck_assert_uint_eq(log_in("{\"name\":\"ann\",\"password\":\"wrong\"}"), 401);
    ck_assert_uint_eq(log_in("{\"name\":\"ann\",\"password\":\"secret\"}"), 200);
    struct weir_request *req = with_cookie("GET", "/api/v1/session");
    ck_assert_uint_eq(send(req, NULL), 200);
    ck_assert(says(req, "{\"author\":\"ann\",\"role\":\"operator\",\"csrf\":\""));
    ck_assert(says(req, csrf));
    ck_assert_uint_eq(send(with_cookie("GET", "/"), NULL), 200);
    ck_assert_uint_eq(log_in("{\"token\":\"weir_ann\"}"), 200);
    ck_assert_uint_eq(log_in("{\"link\":\"once\"}"), 200);
    ck_assert_uint_eq(log_in("{\"link\":\"once\"}"), 401);
    ck_assert_uint_eq(log_in("{\"link\":\"once\",\"token\":\"weir_ann\"}"), 422);
    ck_assert_uint_eq(log_in("{\"name\":\"ann\"}"), 422);
    ck_assert_uint_eq(log_in("{}"), 422);
    ck_assert_uint_eq(log_in("nonsense"), 400);
    ck_assert_uint_eq(send(request("PUT", "/api/v1/session"), NULL), 405);
    ck_assert_uint_eq(send(request("GET", "/api/v1/session"), NULL), 401);
}
END_TEST

START_TEST(writes_of_a_session_want_its_token)
{
    begin("");
    ck_assert_uint_eq(log_in("{\"token\":\"weir_ann\"}"), 200);
    ck_assert_uint_eq(send(with_cookie("DELETE", "/api/v1/x"), NULL), 403);
    struct weir_request *req = with_cookie("DELETE", "/api/v1/x");
    weir_test_request_add(req, "X-CSRF-Token", "0123456789012345678901234567890123456789012");
    ck_assert_uint_eq(send(req, NULL), 403);
    req = with_cookie("DELETE", "/api/v1/x");
    weir_test_request_add(req, "X-CSRF-Token", csrf);
    weir_test_request_add(req, "Origin", "http://evil.example");
    ck_assert_uint_eq(send(req, NULL), 403);
    req = with_cookie("GET", "/api/v1/x");
    weir_test_request_add(req, "Sec-Fetch-Site", "same-site");
    ck_assert_uint_eq(send(req, NULL), 403);
    ck_assert_uint_eq(weir_test_control_count(host), 0);
    req = with_cookie("DELETE", "/api/v1/x");
    weir_test_request_add(req, "X-CSRF-Token", csrf);
    weir_test_request_add(req, "Origin", "http://localhost:9000");
    ck_assert_uint_eq(send(req, NULL), 404);
    ck_assert_uint_eq(weir_test_control_count(host), 1);
    req = request("POST", "/api/v1/session");
    weir_test_request_add(req, "Sec-Fetch-Site", "cross-site");
    ck_assert_uint_eq(send(req, "{\"token\":\"weir_ann\"}"), 403);
}
END_TEST

START_TEST(sessions_outlive_reloads_and_end_with_users)
{
    begin("");
    ck_assert_uint_eq(log_in("{\"token\":\"weir_ann\"}"), 200);
    weir_test_destroy(&admin);
    begin("");
    ck_assert_uint_eq(send(with_cookie("GET", "/api/v1/session"), NULL), 200);
    weir_test_person_set_role(host, "ann", WEIR_ROLE_VIEWER);
    struct weir_request *req = with_cookie("GET", "/api/v1/session");
    ck_assert_uint_eq(send(req, NULL), 200);
    ck_assert(says(req, "\"role\":\"viewer\""));
    weir_test_person_set_role(host, "ann", WEIR_ROLE_NONE);
    ck_assert_uint_eq(send(with_cookie("GET", "/api/v1/session"), NULL), 401);
}
END_TEST

START_TEST(sessions_end_with_the_token_that_began_them)
{
    begin("");
    ck_assert_uint_eq(log_in("{\"token\":\"weir_ann\"}"), 200);
    weir_test_person_set_token(host, "ann", "weir_other");
    ck_assert_uint_eq(send(with_cookie("GET", "/api/v1/session"), NULL), 401);
    ck_assert_uint_eq(log_in("{\"name\":\"ann\",\"password\":\"secret\"}"), 200);
    weir_test_person_set_token(host, "ann", NULL);
    ck_assert_uint_eq(send(with_cookie("GET", "/api/v1/session"), NULL), 200);
}
END_TEST

START_TEST(logging_in_again_ends_the_streams_of_the_session_before)
{
    begin("");
    ck_assert_uint_eq(log_in("{\"token\":\"weir_ann\"}"), 200);
    struct weir_request *events = with_cookie("GET", "/api/v1/events");
    ck_assert_uint_eq(send(events, NULL), 200);
    struct weir_request *req = with_cookie("POST", "/api/v1/session");
    ck_assert_uint_eq(send(req, "{\"token\":\"weir_ann\"}"), 200);
    ck_assert(weir_test_reply_of(events).ended);
}
END_TEST

START_TEST(logging_out)
{
    begin("");
    ck_assert_uint_eq(log_in("{\"token\":\"weir_ann\"}"), 200);
    struct weir_request *events = with_cookie("GET", "/api/v1/events");
    ck_assert_uint_eq(send(events, NULL), 200);
    struct weir_request *req = with_cookie("DELETE", "/api/v1/session");
    weir_test_request_add(req, "X-CSRF-Token", csrf);
    ck_assert_uint_eq(send(req, NULL), 204);
    ck_assert(weir_test_reply_of(events).ended);
    ck_assert_ptr_nonnull(strstr(weir_test_reply_header(req, "Set-Cookie"), "Max-Age=0"));
    ck_assert_uint_eq(send(with_cookie("GET", "/api/v1/session"), NULL), 401);
}
END_TEST

START_TEST(failed_logins_are_slowed_down)
{
    begin("");
    for (int i = 0; i < 5; i++) {
        ck_assert_uint_eq(log_in("{\"name\":\"ann\",\"password\":\"wrong\"}"), 401);
    }
    struct weir_request *req = request("POST", "/api/v1/session");
    ck_assert_uint_eq(send(req, "{\"name\":\"ann\",\"password\":\"secret\"}"), 429);
    ck_assert_str_eq(weir_test_reply_header(req, "Retry-After"), "1");
    weir_test_advance(host, SECOND);
    ck_assert_uint_eq(log_in("{\"name\":\"ann\",\"password\":\"secret\"}"), 200);
    ck_assert_uint_eq(log_in("{\"name\":\"ann\",\"password\":\"wrong\"}"), 401);
}
END_TEST

/* ---- events ---- */

static struct weir_request *listen_to_events(const char *last_id)
{
    struct weir_request *req = with_token("GET", "/api/v1/events");
    if (last_id != NULL) {
        weir_test_request_add(req, "Last-Event-ID", last_id);
    }
    ck_assert_uint_eq(send(req, NULL), 200);
    ck_assert_str_eq(weir_test_reply_header(req, "Content-Type"), "text/event-stream");
    return req;
}

START_TEST(events_are_streamed)
{
    begin("");
    struct weir_request *req = listen_to_events("17");
    ck_assert_uint_eq(weir_test_subscription_last_id(host), 17);
    weir_test_event(host, 0, "statistics", "{\"a\":1}");
    weir_test_event(host, 18, "change", "{\"id\":3}");
    ck_assert_str_eq(weir_test_reply_of(req).body,
                     "retry: 1000\n\nevent: statistics\ndata: {\"a\":1}\n\n"
                     "id: 18\nevent: change\ndata: {\"id\":3}\n\n");
    weir_test_advance(host, 16 * SECOND);
    ck_assert(says(req, ": still here\n\n"));
    ck_assert_uint_eq(weir_test_subscription_count(host), 1);
    weir_test_client_gone(admin, req);
    ck_assert_uint_eq(weir_test_subscription_count(host), 0);
    ck_assert_uint_eq(send(with_token("POST", "/api/v1/events"), NULL), 405);
    ck_assert_uint_eq(get("/api/v1/events"), 401);
}
END_TEST

START_TEST(slow_listeners_are_cut_off)
{
    char *data = calloc(1, 40001);
    begin("");
    struct weir_request *req = listen_to_events(NULL);
    weir_test_reply_hold(req, true);
    memset(data, '1', 40000);
    for (int i = 0; i < 10; i++) {
        weir_test_event(host, 0, "statistics", data);
    }
    size_t len = weir_test_reply_of(req).body_len;
    ck_assert_uint_lt(len, 130000); /* statistics are left out */
    for (uint64_t i = 1; i < 40 && !weir_test_reply_of(req).aborted; i++) {
        weir_test_event(host, i, "change", data);
    }
    ck_assert(weir_test_reply_of(req).aborted);
    weir_test_run(host);
    ck_assert(weir_test_request_over(req));
    ck_assert_uint_eq(weir_test_subscription_count(host), 0);
    free(data);
}
END_TEST

START_TEST(streams_end_with_generation_session_and_user)
{
    begin("event_clients = 2");
    struct weir_request *first = listen_to_events(NULL);
    listen_to_events(NULL);
    ck_assert_uint_eq(send(with_token("GET", "/api/v1/events"), NULL), 503);
    weir_test_drain(admin);
    ck_assert(weir_test_reply_of(first).ended);
    ck_assert_uint_eq(weir_test_subscription_count(host), 0);
    weir_test_destroy(&admin);
    begin("session_idle_timeout = 100s");
    ck_assert_uint_eq(log_in("{\"token\":\"weir_ann\"}"), 200);
    struct weir_request *req = with_cookie("GET", "/api/v1/events");
    ck_assert_uint_eq(send(req, NULL), 200);
    weir_test_advance(host, 300 * SECOND); /* an open page is not idle */
    ck_assert(!weir_test_reply_of(req).ended);
    struct weir_request *by_token = listen_to_events(NULL);
    weir_test_person_set_role(host, "ann", WEIR_ROLE_NONE);
    weir_test_advance(host, 16 * SECOND);
    ck_assert(weir_test_reply_of(req).ended);
    ck_assert(weir_test_reply_of(by_token).ended);
}
END_TEST

START_TEST(whoever_is_out_hears_no_further_event)
{
    begin("");
    weir_test_person(host, "eve", WEIR_ROLE_VIEWER, "weir_eve", NULL, NULL);
    ck_assert_uint_eq(log_in("{\"token\":\"weir_ann\"}"), 200);
    struct weir_request *session = with_cookie("GET", "/api/v1/events");
    ck_assert_uint_eq(send(session, NULL), 200);
    struct weir_request *token = listen_to_events(NULL), *eve = request("GET", "/api/v1/events");
    weir_test_request_add(eve, "Authorization", "Bearer weir_eve");
    ck_assert_uint_eq(send(eve, NULL), 200);
    weir_test_event(host, 1, "change", "{\"id\":1}");
    weir_test_person_set_token(host, "ann", NULL);
    weir_test_event(host, 2, "change", "{\"id\":2}");
    ck_assert(weir_test_reply_of(session).ended && weir_test_reply_of(token).ended);
    ck_assert(says(session, "\"id\":1") && !says(session, "\"id\":2"));
    ck_assert(says(token, "\"id\":1") && !says(token, "\"id\":2"));
    ck_assert(says(eve, "\"id\":2") && !weir_test_reply_of(eve).ended);
    weir_test_client_gone(admin, eve);
    ck_assert_uint_eq(weir_test_subscription_count(host), 0);
}
END_TEST

Suite *module_suite(void)
{
    Suite *suite = suite_create("admin");
    TCase *tests = tcase_create("requests");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, other_machines_want_tls);
    tcase_add_test(tests, wrong_options_are_told);
    tcase_add_test(tests, pages_are_behind_the_login);
    tcase_add_test(tests, pages_have_tags_and_are_compressed);
    tcase_add_test(tests, other_names_are_refused);
    tcase_add_test(tests, the_api_wants_to_know_who);
    tcase_add_test(tests, calls_and_answers_pass);
    tcase_add_test(tests, bodies_are_small_json);
    tcase_add_test(tests, clients_that_go_are_not_answered);
    tcase_add_test(tests, whoever_is_out_before_his_body_is_here_changes_nothing);
    tcase_add_test(tests, callers_are_limited);
    tcase_add_test(tests, peers_of_unix_sockets);
    tcase_add_test(tests, passwords_tokens_and_links_log_in);
    tcase_add_test(tests, writes_of_a_session_want_its_token);
    tcase_add_test(tests, sessions_outlive_reloads_and_end_with_users);
    tcase_add_test(tests, sessions_end_with_the_token_that_began_them);
    tcase_add_test(tests, logging_in_again_ends_the_streams_of_the_session_before);
    tcase_add_test(tests, logging_out);
    tcase_add_test(tests, failed_logins_are_slowed_down);
    tcase_add_test(tests, events_are_streamed);
    tcase_add_test(tests, slow_listeners_are_cut_off);
    tcase_add_test(tests, streams_end_with_generation_session_and_user);
    tcase_add_test(tests, whoever_is_out_hears_no_further_event);
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, parts_tests());
    suite_add_tcase(suite, history_tests());
    suite_add_tcase(suite, users_tests());
    return suite;
}
