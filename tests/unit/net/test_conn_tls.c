/* SPDX-License-Identifier: MIT */
/* TLS connections that are open: data, records, ends, memory. */
#include <stdlib.h>

#include "runner.h"
#include "tls_stage.h"

/* What an edge brought counts, not what the sweep found. */
static void put_sweep_off(void)
{
    timer_set(loop, &conn_pool_get(loop)->doubt_timer, 3600 * NS_PER_SECOND);
}

/* ---- data ---- */

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
        end_wait(&server, 7 * (size_t)(i + 1));
        ck_assert(end_send(&server, "response"));
        end_wait(&client, 8 * (size_t)(i + 1));
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
    end_wait(&client, len);
    end_wait(&server, len);
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
    end_wait(&client, 1324);
    ck_assert_uint_eq(records, 1);
    ck_assert(conn_write(server.conn, large, 3));
    end_wait(&client, 1324 + 40302);
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
    end_wait(&client, 6);
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

/* ---- memory ---- */

static bool none_warm(void *arg)
{
    (void)arg;
    return conn_pool_get(loop)->warm == 0;
}

/* Neither end has anything of the ephemeral keys (TLS 1.2's server has dropped its own before). */
static void expect_no_keys(struct end *end)
{
    SSL *ssl = conn_ssl(end->conn);
    EVP_PKEY *keys[2] = {NULL, NULL};
    unsigned char raw[64];

    (void)SSL_get_tmp_key(ssl, &keys[0]);
    (void)SSL_get_peer_tmp_key(ssl, &keys[1]);
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        size_t len = sizeof(raw);
        ck_assert(keys[i] == NULL || EVP_PKEY_get_raw_public_key(keys[i], raw, &len) == 0);
        EVP_PKEY_free(keys[i]);
    }
}

UNIT_LOOP_TEST(test_quiet_connections_give_memory_back, 2)
{
    set_version(_i);
    open_both("one.example", NULL);
    ck_assert(end_send(&client, "request"));
    end_wait(&server, 7);
    ck_assert_uint_eq(conn_pool_get(loop)->warm, 2);
    run_until(loop, none_warm, NULL);
    expect_no_keys(&client);
    expect_no_keys(&server);
    for (size_t i = 1; i <= 2; i++) {
        ck_assert(end_send(&server, "response"));
        end_wait(&client, 8 * i);
        ck_assert(end_send(&client, "request"));
        end_wait(&server, 7 + 7 * i);
        ck_assert_uint_eq(conn_pool_get(loop)->warm, 2);
        run_until(loop, none_warm, NULL);
    }
    drop_ends();
    ck_assert_uint_eq(conn_pool_get(loop)->warm, 0);
}

UNIT_TEST(test_beyond_the_limit_buffers_are_not_kept)
{
    conn_pool_get(loop)->warm = TLS_WARM_MAX;
    open_both("one.example", NULL);
    for (size_t i = 1; i <= 3; i++) {
        ck_assert(end_send(&client, "request"));
        end_wait(&server, 7 * i);
    }
    ck_assert_uint_eq(conn_pool_get(loop)->warm, TLS_WARM_MAX);
    drop_ends();
    ck_assert_uint_eq(conn_pool_get(loop)->warm, TLS_WARM_MAX);
}

UNIT_FIXTURE(tls_stage_set_up, tls_stage_tear_down);
UNIT_TIMEOUT(60);
