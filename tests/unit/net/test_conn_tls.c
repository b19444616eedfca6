/* SPDX-License-Identifier: MIT */
/* TLS connections, both ends in this process: handshakes, names, resumption, ends, records. */
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "net/conn_pool.h"
#include "net/acceptor.h"
#include "net/listener.h"
#include "net/tls.h"
#include "net_help.h"
#include "runner.h"
#include "tls_help.h"

static struct loop *loop;
static struct listen_socket *listening;
static struct acceptor *acceptor;
static struct tls_listener *listener;
static struct tls_certificate_conf pairs[2];
static struct tls_listener_conf conf;
static SSL_CTX *client_ctx;
static struct end client, server;
static const struct conn_ops *server_ops;

static void on_connection(struct acceptor *a, int fd, const struct address *peer, void *arg)
{
    (void)a;
    (void)peer;
    (void)arg;
    ck_assert_ptr_null(server.conn);
    server.conn = conn_accept(loop, fd, tls_listener_ctx(listener), server_ops, &server);
    ck_assert_ptr_nonnull(server.conn);
}

static const struct weir_str names[] = {WEIR_STR_INIT("http/1.1")};
static const struct weir_list protocols = {names, 1};

static struct tls_listener *make_listener(void)
{
    struct mistakes mistakes = {0};
    struct tls_listener *made = tls_listener_new(&conf, &protocols, NULL, NULL, &mistakes);

    ck_assert_msg(made != NULL, "%s", mistakes.count > 0 ? mistakes.texts[0] : "?");
    return made;
}

static SSL_CTX *make_client_ctx(bool verify, const char *ca)
{
    struct mistakes mistakes = {0};
    struct tls_server_conf server_conf = {.verify = verify, .ca = tls_path(ca)};
    SSL_CTX *ctx = tls_server_ctx_new(&server_conf, &protocols, NULL, NULL, &mistakes);

    ck_assert_msg(ctx != NULL, "%s", mistakes.count > 0 ? mistakes.texts[0] : "?");
    return ctx;
}

static void setup(void)
{
    char error[256];
    struct address address;

    log_set_level(WEIR_LOG_ERROR);
    tls_folder_make();
    tls_make("ca", NULL, NULL, 30);
    tls_make("other_ca", NULL, NULL, 30);
    tls_make("one", "DNS:one.example,IP:127.0.0.1", "ca", 30);
    tls_make("two", "DNS:two.example,DNS:*.two.example", "ca", 30);
    pairs[0] = tls_pair("one.crt", "one.key");
    pairs[1] = tls_pair("two.crt", "two.key");
    conf = tls_conf(pairs, 2);
    listener = make_listener();
    client_ctx = make_client_ctx(true, "ca.crt");
    loop = loop_new(0);
    ck_assert_ptr_nonnull(loop);
    ck_assert(address_parse(&address, STR("127.0.0.1:0"), error, sizeof(error)));
    listening = listen_socket_open(&address, 1, 8, 0, error, sizeof(error));
    ck_assert_msg(listening != NULL, "%s", error);
    acceptor = acceptor_new(loop, listening->fds[0], on_connection, NULL);
    client = server = (struct end){0};
    server_ops = &end_ops;
}

static void drop_ends(void)
{
    end_free(&client);
    end_free(&server);
    run_turns(loop, 1);
}

static void teardown(void)
{
    drop_ends();
    acceptor_free(&acceptor);
    listen_socket_unref(&listening);
    loop_free(&loop);
    SSL_CTX_free(client_ctx);
    tls_listener_free(&listener);
    tls_folder_remove();
}

static bool both_opened(void *arg)
{
    (void)arg;
    return client.opened && server.opened;
}

static void begin(const char *name, SSL_SESSION *session)
{
    struct conn_tls_client tls = {.ctx = client_ctx, .name = name, .session = session};
    enum conn_error error;

    client.conn = conn_connect(loop, &listening->address.u.any, listening->address.len, &tls,
                               &end_ops, &client, &error);
    ck_assert_ptr_nonnull(client.conn);
}

/* What an edge brought counts, not what the sweep found. */
static void put_sweep_off(void)
{
    timer_set(loop, &conn_pool_get(loop)->doubt_timer, 3600 * NS_PER_SECOND);
}

static void open_both(const char *name, SSL_SESSION *session)
{
    begin(name, session);
    run_until(loop, both_opened, NULL);
    ck_assert_msg(client.open_ok, "client: %s", conn_tls_error(client.conn));
    ck_assert_msg(server.open_ok, "server: %s", conn_tls_error(server.conn));
}

static size_t wanted;

static bool has_wanted(void *arg)
{
    return ((struct end *)arg)->len >= wanted;
}

static void wait_for_bytes(struct end *end, size_t count)
{
    wanted = count;
    run_until(loop, has_wanted, end);
    ck_assert_uint_eq(end->len, count);
}

/* ---- data ---- */

static void set_version(int index)
{
    SSL_CTX_set_max_proto_version(client_ctx, index == 0 ? TLS1_2_VERSION : TLS1_3_VERSION);
}

UNIT_LOOP_TEST(test_bytes_go_both_ways, 2)
{
    set_version(_i);
    put_sweep_off();
    open_both("one.example", NULL);
    ck_assert_str_eq(SSL_get_version(conn_ssl(server.conn)), _i == 0 ? "TLSv1.2" : "TLSv1.3");
    ck_assert_str_eq(SSL_get_servername(conn_ssl(server.conn), TLSEXT_NAMETYPE_host_name),
                     "one.example");
    for (int i = 0; i < 3; i++) {
        ck_assert(end_send(&client, "request"));
        wait_for_bytes(&server, 7 * (size_t)(i + 1));
        ck_assert(end_send(&server, "response"));
        wait_for_bytes(&client, 8 * (size_t)(i + 1));
    }
    ck_assert_str_eq(client.data, "responseresponseresponse");
    ck_assert(conn_is_idle_clean(client.conn));
    ck_assert(conn_is_idle_clean(server.conn));
    ck_assert_uint_eq(server.conn->sent, 24);
    ck_assert_uint_eq(server.conn->received, 21);
}

UNIT_LOOP_TEST(test_large_bodies_arrive_whole, 2)
{
    const size_t len = 5u << 20;
    char *data = pattern(len);
    struct iovec iov[] = {{data, 300}, {data + 300, 40000}, {data + 40300, len - 40300}};

    set_version(_i);
    open_both("one.example", NULL);
    client.max = 5000; /* odd pieces */
    ck_assert(conn_write(server.conn, iov, 3));
    ck_assert(conn_write(client.conn, iov, 3));
    wait_for_bytes(&client, len);
    wait_for_bytes(&server, len);
    ck_assert_mem_eq(client.data, data, len);
    ck_assert_mem_eq(server.data, data, len);
    ck_assert_uint_eq(conn_waiting(server.conn), 0);
    free(data);
}

static unsigned records;

static void count_records(int writing, int version, int type, const void *data, size_t len,
                          SSL *ssl, void *arg)
{
    (void)version;
    (void)data;
    (void)len;
    (void)ssl;
    (void)arg;
    if (writing == 0 && type == SSL3_RT_HEADER) {
        records++;
    }
}

UNIT_TEST(test_head_and_body_share_a_record)
{
    char *data = pattern(50000);
    struct iovec small[] = {{data, 300}, {data + 300, 0}, {data + 300, 1024}};
    struct iovec large[] = {{data, 300}, {data + 300, 40000}, {data + 40300, 2}};

    SSL_CTX_set_msg_callback(client_ctx, count_records);
    open_both("one.example", NULL);
    run_turns(loop, 5); /* the ticket */
    records = 0;
    ck_assert(conn_write(server.conn, small, 3));
    wait_for_bytes(&client, 1324);
    ck_assert_uint_eq(records, 1);
    ck_assert(conn_write(server.conn, large, 3));
    wait_for_bytes(&client, 1324 + 40302);
    ck_assert_uint_le(records, 1 + 4);
    free(data);
}

/* ---- ends ---- */

UNIT_LOOP_TEST(test_an_end_that_comes_with_the_data_is_seen_at_once, 2)
{
    set_version(_i);
    put_sweep_off();
    open_both("one.example", NULL);
    ck_assert(end_send(&client, "GET /"));
    conn_shutdown(client.conn);
    run_until_true(loop, &server.ended);
    ck_assert_str_eq(server.data, "GET /");
    ck_assert_int_eq(server.result, CONN_EOF);
    /* Half-closed, the answer still goes out. */
    ck_assert(end_send(&server, "answer"));
    conn_close(&server.conn, false); /* says close_notify */
    run_until_true(loop, &client.ended);
    ck_assert_str_eq(client.data, "answer");
    ck_assert_int_eq(client.result, CONN_EOF);
}

UNIT_LOOP_TEST(test_an_end_without_close_notify_is_an_error, 2)
{
    set_version(_i);
    put_sweep_off();
    open_both("one.example", NULL);
    ck_assert(end_send(&client, "half"));
    ck_assert_int_eq(shutdown(client.conn->fd, SHUT_WR), 0);
    run_until_true(loop, &server.ended);
    ck_assert_str_eq(server.data, "half");
    ck_assert_int_eq(server.result, CONN_ERROR);
    ck_assert_int_eq(server.conn->error, CONN_TRUNCATED);
    /* The other direction is whole: an answer can be written, where that makes sense. */
    ck_assert(end_send(&server, "answer"));
    wait_for_bytes(&client, 6);
}

UNIT_TEST(test_a_reset_is_an_error)
{
    open_both("one.example", NULL);
    conn_close(&server.conn, true);
    run_until_true(loop, &client.ended);
    ck_assert_int_eq(client.result, CONN_ERROR);
    ck_assert_int_eq(client.conn->error, CONN_RESET);
}

UNIT_TEST(test_shutdown_goes_behind_what_waits)
{
    const size_t len = 6u << 20;
    char *data = pattern(len);
    struct iovec iov = {data, len};

    open_both("one.example", NULL);
    client.deaf = true;
    ck_assert(conn_write(server.conn, &iov, 1));
    ck_assert_uint_gt(conn_waiting(server.conn), 0);
    conn_shutdown(server.conn);
    run_turns(loop, 3);
    client.deaf = false;
    conn_resume_read(client.conn);
    run_until_true(loop, &client.ended);
    ck_assert_int_eq(client.result, CONN_EOF);
    ck_assert_uint_eq(client.len, len);
    ck_assert_mem_eq(client.data, data, len);
    free(data);
}

static bool none_lingers(void *arg)
{
    (void)arg;
    return list_empty(&conn_pool_get(loop)->lingering);
}

UNIT_TEST(test_a_lingering_close_saves_the_answer)
{
    char *data = pattern(400000);
    struct iovec iov = {data, 400000};

    open_both("one.example", NULL);
    server.deaf = true;
    ck_assert(conn_write(client.conn, &iov, 1));
    run_turns(loop, 5);
    ck_assert(end_send(&server, "413 too large"));
    conn_close_lingering(&server.conn);
    run_until_true(loop, &client.ended);
    ck_assert_int_eq(client.result, CONN_EOF);
    ck_assert_str_eq(client.data, "413 too large");
    conn_close(&client.conn, false);
    run_until(loop, none_lingers, NULL);
    free(data);
}

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
    expect_failure(CONN_TLS, "no application protocol", "no application protocol");
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
    wait_for_bytes(&server, 1);
}

/* ---- resumption ---- */

/* Opens, lets the ticket come, and closes. */
static SSL_SESSION *session_of(const char *name, SSL_SESSION *session, bool *reused)
{
    open_both(name, session);
    ck_assert(end_send(&server, "x"));
    wait_for_bytes(&client, 1);
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

/* ---- memory ---- */

static bool none_warm(void *arg)
{
    (void)arg;
    return conn_pool_get(loop)->warm == 0;
}

UNIT_TEST(test_quiet_connections_give_their_buffers_back)
{
    open_both("one.example", NULL);
    ck_assert(end_send(&client, "request"));
    wait_for_bytes(&server, 7);
    ck_assert_uint_eq(conn_pool_get(loop)->warm, 2);
    run_until(loop, none_warm, NULL);
    ck_assert(end_send(&server, "response"));
    wait_for_bytes(&client, 8);
    ck_assert_uint_eq(conn_pool_get(loop)->warm, 2);
    drop_ends();
    ck_assert_uint_eq(conn_pool_get(loop)->warm, 0);
}

UNIT_TEST(test_beyond_the_limit_buffers_are_not_kept)
{
    conn_pool_get(loop)->warm = TLS_WARM_MAX;
    open_both("one.example", NULL);
    for (size_t i = 1; i <= 3; i++) {
        ck_assert(end_send(&client, "request"));
        wait_for_bytes(&server, 7 * i);
    }
    ck_assert_uint_eq(conn_pool_get(loop)->warm, TLS_WARM_MAX);
    drop_ends();
    ck_assert_uint_eq(conn_pool_get(loop)->warm, TLS_WARM_MAX);
}

UNIT_FIXTURE(setup, teardown);
UNIT_TIMEOUT(60);
