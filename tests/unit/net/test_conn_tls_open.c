/* SPDX-License-Identifier: MIT */
/* TLS handshakes: names and trust, what goes wrong, resumption. */
#include <arpa/inet.h>
#include <unistd.h>

#include "runner.h"
#include "tls_stage.h"

/* ---- names and trust ---- */

static char *subject_seen(void)
{
    X509 *certificate = SSL_get0_peer_certificate(conn_ssl(client.conn));
    static char subject[128];

    ck_assert_ptr_nonnull(certificate);
    X509_NAME_oneline(X509_get_subject_name(certificate), subject, sizeof(subject));
    return subject;
}

UNIT_LOOP_TEST(test_the_name_chooses_the_certificate, 2)
{
    static const char *const rows[][2] = {
        {"one.example", "/CN=one"}, {"two.example", "/CN=two"}, {"a.two.example", "/CN=two"},
        {"TWO.Example", "/CN=two"}, {"127.0.0.1", "/CN=one"},
    };

    set_version(_i);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        open_both(rows[i][0], NULL); /* verified, the name too */
        ck_assert_str_eq(subject_seen(), rows[i][1]);
        drop_ends();
    }
    /* A name that none has, or no name: the first. */
    SSL_CTX_free(client_ctx);
    client_ctx = make_client_ctx(false, "ca.crt");
    set_version(_i);
    open_both("three.example", NULL);
    ck_assert_str_eq(subject_seen(), "/CN=one");
    drop_ends();
    open_both(NULL, NULL);
    ck_assert_str_eq(subject_seen(), "/CN=one");
}

static void expect_failure(enum conn_error client_error, const char *client_words,
                           const char *server_words)
{
    run_until(loop, both_opened, NULL);
    if (client_words != NULL) {
        ck_assert(!client.open_ok);
        ck_assert_int_eq(client.conn->error, client_error);
        ck_assert_msg(strstr(conn_tls_error(client.conn), client_words) != NULL, "%s",
                      conn_tls_error(client.conn));
    }
    ck_assert(!server.open_ok);
    ck_assert_int_eq(server.conn->error, CONN_TLS);
    ck_assert_msg(strstr(conn_tls_error(server.conn), server_words) != NULL, "%s",
                  conn_tls_error(server.conn));
}

UNIT_TEST(test_a_wrong_name_is_not_trusted)
{
    SSL_CTX_set_max_proto_version(client_ctx, TLS1_2_VERSION);
    begin("three.example", NULL);
    expect_failure(CONN_TLS_VERIFY, "hostname mismatch", "bad certificate");
    ck_assert_str_eq(conn_error_word(client.conn->error), "certificate not trusted");
}

UNIT_TEST(test_an_unknown_authority_is_not_trusted)
{
    SSL_CTX_free(client_ctx);
    client_ctx = make_client_ctx(true, "other_ca.crt");
    SSL_CTX_set_max_proto_version(client_ctx, TLS1_2_VERSION);
    begin("one.example", NULL);
    expect_failure(CONN_TLS_VERIFY, "unable to get local issuer certificate", "unknown ca");
}

UNIT_TEST(test_an_old_version_is_refused)
{
    tls_listener_free(&listener);
    conf.minimum_version = 1;
    listener = make_listener();
    SSL_CTX_set_max_proto_version(client_ctx, TLS1_2_VERSION);
    begin("one.example", NULL);
    expect_failure(CONN_TLS, "protocol version", "unsupported protocol");
}

UNIT_TEST(test_no_common_protocol_is_refused)
{
    SSL_CTX_set_alpn_protos(client_ctx, (const unsigned char *)"\x02h3", 3);
    begin("one.example", NULL);
    expect_failure(CONN_ALPN, "no application protocol", "no application protocol");
    drop_ends();
    /* Who offers none is served. */
    SSL_CTX_set_alpn_protos(client_ctx, NULL, 0);
    open_both("one.example", NULL);
}

/* ---- handshakes that go wrong ---- */

static int raw = -1;

static void open_raw(void)
{
    raw = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(raw, &listening->address.u.any, listening->address.len), 0);
}

UNIT_TEST(test_plain_http_on_a_tls_port_fails)
{
    open_raw();
    ck_assert_int_eq(send(raw, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
    run_until_true(loop, &server.opened);
    ck_assert(!server.open_ok);
    ck_assert_int_eq(server.conn->error, CONN_TLS);
    ck_assert_str_eq(conn_tls_error(server.conn), "http request");
    close(raw);
}

UNIT_TEST(test_a_peer_that_goes_away_in_the_handshake)
{
    open_raw();
    ck_assert_int_eq(send(raw, "\x16\x03\x01", 3, 0), 3);
    run_turns(loop, 5);
    ck_assert(!server.opened);
    close(raw);
    run_until_true(loop, &server.opened);
    ck_assert(!server.open_ok);
    ck_assert_str_eq(conn_tls_error(server.conn),
                     "the peer closed the connection during the handshake");
}

static void close_at_once(struct conn *conn, bool ok)
{
    (void)ok;
    server.opened = true;
    conn_close(&server.conn, false);
    ck_assert_int_eq(conn->fd, -1);
}

static const struct conn_ops closing_ops = {.on_open = close_at_once};

UNIT_TEST(test_the_owner_may_close_when_it_opens)
{
    server_ops = &closing_ops;
    begin("one.example", NULL);
    run_until_true(loop, &server.opened);
    run_until_true(loop, &client.ended);
    ck_assert_int_eq(client.result, CONN_EOF);
}

UNIT_TEST(test_connections_outlive_their_listener)
{
    begin("two.example", NULL);
    while (server.conn == NULL) {
        run_turns(loop, 1);
    }
    /* In the middle of the handshake, as by a reload. */
    ck_assert(!server.opened);
    tls_listener_free(&listener);
    run_until(loop, both_opened, NULL);
    ck_assert(client.open_ok && server.open_ok);
    ck_assert_str_eq(subject_seen(), "/CN=two");
    ck_assert(end_send(&client, "x"));
    end_wait(&server, 1);
}

/* ---- resumption ---- */

/* Opens, lets the ticket come, and closes. */
static SSL_SESSION *session_of(const char *name, SSL_SESSION *session, bool *reused)
{
    open_both(name, session);
    ck_assert(end_send(&server, "x"));
    end_wait(&client, 1);
    *reused = SSL_session_reused(conn_ssl(client.conn)) == 1;
    ck_assert_int_eq(SSL_session_reused(conn_ssl(server.conn)), *reused);
    SSL_SESSION *next = conn_tls_session(client.conn);
    ck_assert_ptr_null(conn_tls_session(client.conn));
    drop_ends();
    return next;
}

UNIT_LOOP_TEST(test_sessions_are_resumed, 2)
{
    bool reused;

    set_version(_i);
    SSL_SESSION *first = session_of("one.example", NULL, &reused);
    ck_assert_ptr_nonnull(first);
    ck_assert(!reused);
    /* By a new listener, as after a reload; and when the keys have changed. */
    tls_listener_free(&listener);
    listener = make_listener();
    SSL_SESSION *second = session_of("one.example", first, &reused);
    ck_assert(reused);
    tls_tickets_rotate();
    SSL_SESSION *third = session_of("one.example", second != NULL ? second : first, &reused);
    ck_assert(reused);
    /* TLS 1.3 gives a new ticket each time, sealed with the new key. */
    ck_assert(_i == 0 || (second != NULL && third != NULL));
    /* But keys do not open tickets for ever. */
    for (int i = 0; i < 3; i++) {
        tls_tickets_rotate();
    }
    SSL_SESSION_free(session_of("one.example", third != NULL ? third : first, &reused));
    ck_assert(!reused);
    SSL_SESSION_free(first);
    SSL_SESSION_free(second);
    SSL_SESSION_free(third);
}

UNIT_LOOP_TEST(test_sessions_of_other_certificates_are_not_resumed, 2)
{
    bool reused;

    set_version(_i);
    SSL_SESSION *session = session_of("one.example", NULL, &reused);
    tls_listener_free(&listener);
    conf.certificates.count = 1;
    listener = make_listener();
    SSL_SESSION_free(session_of("one.example", session, &reused));
    ck_assert(!reused);
    SSL_SESSION_free(session);
}

UNIT_LOOP_TEST(test_without_tickets_nothing_is_resumed, 2)
{
    bool reused;

    set_version(_i);
    tls_listener_free(&listener);
    conf.session_tickets = false;
    listener = make_listener();
    SSL_SESSION *session = session_of("one.example", NULL, &reused);
    if (session != NULL) {
        SSL_SESSION_free(session_of("one.example", session, &reused));
        ck_assert(!reused);
    }
    SSL_SESSION_free(session);
}

UNIT_FIXTURE(tls_stage_set_up, tls_stage_tear_down);
UNIT_TIMEOUT(60);
