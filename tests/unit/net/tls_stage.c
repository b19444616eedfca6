/* SPDX-License-Identifier: MIT */
/* See tls_stage.h. */
#include "tls_stage.h"

#include <check.h>

#include "base/log.h"
#include "net/acceptor.h"

struct listen_socket *listening;
static struct acceptor *acceptor;
struct tls_listener *listener;
static struct tls_certificate_conf pairs[2];
struct tls_listener_conf conf;
SSL_CTX *client_ctx;
struct end client, server;
const struct conn_ops *server_ops;

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

struct tls_listener *make_listener(void)
{
    struct mistakes mistakes = {0};
    struct tls_listener *made = tls_listener_new(&conf, &protocols, NULL, NULL, &mistakes);

    ck_assert_msg(made != NULL, "%s", mistakes.count > 0 ? mistakes.texts[0] : "?");
    return made;
}

SSL_CTX *make_client_ctx(bool verify, const char *ca)
{
    struct mistakes mistakes = {0};
    struct tls_server_conf server_conf = {.verify = verify, .ca = tls_path(ca)};
    SSL_CTX *ctx = tls_server_ctx_new(&server_conf, &protocols, NULL, NULL, &mistakes);

    ck_assert_msg(ctx != NULL, "%s", mistakes.count > 0 ? mistakes.texts[0] : "?");
    return ctx;
}

void tls_stage_set_up(void)
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

void drop_ends(void)
{
    end_free(&client);
    end_free(&server);
    run_turns(loop, 1);
}

void tls_stage_tear_down(void)
{
    drop_ends();
    acceptor_free(&acceptor);
    listen_socket_unref(&listening);
    loop_free(&loop);
    SSL_CTX_free(client_ctx);
    tls_listener_free(&listener);
    tls_folder_remove();
}

bool both_opened(void *arg)
{
    (void)arg;
    return client.opened && server.opened;
}

void begin(const char *name, SSL_SESSION *session)
{
    struct conn_tls_client tls = {.ctx = client_ctx, .name = name, .session = session};
    enum conn_error error;

    client.conn = conn_connect(loop, &listening->address.u.any, listening->address.len, &tls,
                               &end_ops, &client, &error);
    ck_assert_ptr_nonnull(client.conn);
}

void open_both(const char *name, SSL_SESSION *session)
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

void end_wait(struct end *end, size_t count)
{
    wanted = count;
    run_until(loop, has_wanted, end);
    ck_assert_uint_eq(end->len, count);
}

void set_version(int index)
{
    SSL_CTX_set_max_proto_version(client_ctx, index == 0 ? TLS1_2_VERSION : TLS1_3_VERSION);
}
