/* SPDX-License-Identifier: MIT */
/* h2_down.c: streams of a client, and how each of them and the connection may end. */
#include "h2_down_stage.h"

/* ---- streams ---- */

UNIT_TEST(an_answer)
{
    peer_head(&peer, 1, true, GET);
    expect("0:GET{ 0} 0. ");
    wait_peer(&peer, "ACK HEAD 1 200 DATA 1 ok. ");
    ck_assert(down_conn_idle(server));
}

/* Behind the end of the answer nobody waits for the rest. */
UNIT_TEST(an_early_answer)
{
    peer_head(&peer, 1, false, POST);
    expect("0:POST{ 0. ");
    wait_peer(&peer, "ACK HEAD 1 200 DATA 1 ok. RST 1 0 ");
    peer_data(&peer, 1, true, "late");
    peer_head(&peer, 3, true, GET);
    expect("0:POST{ 0. 1:GET{ 1} 1. ");
}

UNIT_TEST(a_request_waits_while_it_is_paused)
{
    answers = false;
    pauses = true;
    peer_head(&peer, 1, false, POST);
    peer_data(&peer, 1, false, "ab");
    peer_data(&peer, 1, false, "c");
    peer_head(&peer, 1, true, "x-a=1");
    expect("0:POST{ ");
    struct exchange *exchange = &fake_number(0)->exchange;
    exchange->down->ops->resume(exchange->down);
    expect("0:POST{ 0:abc 0|x-a=1 0} ");
    answer(exchange, 204, "");
    expect("0:POST{ 0:abc 0|x-a=1 0} 0. ");
}

/* The window (64 KiB) is given back only to who may need more of it: not to a request that says
 * that it is no longer, unless it is padded. */
static const struct {
    const char *length;
    uint8_t flags;
    bool given;
} bodies[] = {
    {" content-length=65536", 0, false},
    {" content-length=65537", 0, true},
    {"", 0, true},
    {" content-length=65536", NGHTTP2_FLAG_PADDED, true},
};

UNIT_LOOP_TEST(windows_of_bodies_that_fit, ARRAY_COUNT(bodies))
{
    static const char frame[16 << 10] = {9}; /* also the length of the padding, which is zero */
    char head[200];

    answers = false;
    snprintf(head, sizeof(head), "%s%s", POST, bodies[_i].length);
    peer_head(&peer, 1, false, head);
    for (unsigned i = 0; i < 3; i++) {
        peer_frame(&peer, NGHTTP2_DATA, bodies[_i].flags, 1, frame, sizeof(frame));
    }
    peer_frame(&peer, NGHTTP2_PING, 0, 0, "12345678", 8);
    wait_peer(&peer, "ACK PONG ");
    run_turns(loop, 2);
    peer_frame(&peer, NGHTTP2_PING, 0, 0, "12345678", 8);
    wait_peer(&peer, "ACK PONG PONG ");
    ck_assert_msg((peer.increment > 0) == bodies[_i].given, "%u", (unsigned)peer.increment);
}

/* What it has kept goes with it. */
UNIT_TEST(a_paused_request_that_ends)
{
    answers = false;
    pauses = true;
    peer_head(&peer, 1, false, POST);
    peer_data(&peer, 1, true, "abc");
    expect("0:POST{ ");
    struct exchange *exchange = &fake_number(0)->exchange;
    exchange->down->ops->resume(exchange->down);
    answer(exchange, 200, "ok"); /* before it is passed on */
    wait_peer(&peer, "ACK HEAD 1 200 DATA 1 ok. ");
    peer_head(&peer, 3, false, POST);
    peer_data(&peer, 3, false, "abc");
    run_turns(loop, 4);
    peer_rst(&peer, 3, NGHTTP2_CANCEL);
    run_turns(loop, 8);
    ck_assert(list_empty(&fakes));
}

UNIT_TEST(resets_by_the_client)
{
    answers = false;
    peer_head(&peer, 1, true, GET);
    peer_head(&peer, 3, false, POST);
    expect("0:GET{ 0} 1:POST{ ");
    peer_rst(&peer, 1, NGHTTP2_CANCEL);
    peer_rst(&peer, 3, NGHTTP2_CANCEL);
    expect("0:GET{ 0} 1:POST{ 0!closed 0- 1!closed 1- ");
    ck_assert(down_conn_idle(server));
}

/* What was reset in the read that brought it costs no server anything. */
UNIT_TEST(resets_that_come_with_the_request)
{
    answers = false;
    peer_head(&peer, 1, true, GET);
    peer_rst(&peer, 1, NGHTTP2_CANCEL);
    expect("0!closed 0- ");
    ck_assert(down_conn_idle(server));
}

UNIT_TEST(the_end_of_a_connection_with_streams)
{
    answers = false;
    peer_head(&peer, 1, true, GET);
    peer_head(&peer, 3, false, POST);
    expect("0:GET{ 0} 1:POST{ ");
    conn_shutdown(peer.end.conn);
    expect("0:GET{ 0} 1:POST{ 0!closed 0- 1!closed 1- ");
    ck_assert_ptr_null(server);
}

UNIT_TEST(a_response_that_is_cut)
{
    answers = false;
    peer_head(&peer, 1, true, GET);
    expect("0:GET{ 0} ");
    struct exchange *exchange = &fake_number(0)->exchange;
    exchange->response =
        (struct http_response_head){.status = 200, .body = BODY_LENGTH, .content_length = 5};
    exchange->down->ops->head(exchange->down, &exchange->response, false);
    exchange->down->ops->data(exchange->down, "abc", 3);
    exchange->down->ops->end(exchange->down);               /* less than it said */
    wait_peer(&peer, "ACK HEAD 1 200 DATA 1 abc RST 1 2 "); /* what came before goes out */
    expect("0:GET{ 0} 0!closed 0- ");
}

/* After a reset its stream may go on with large pieces: nothing comes from inside. */
UNIT_TEST(data_behind_a_reset)
{
    char *large = pattern(100000);
    answers = false;
    peer_head(&peer, 1, true, GET);
    expect("0:GET{ 0} ");
    struct exchange *exchange = &fake_number(0)->exchange;
    struct down *down = exchange->down;
    exchange->response = (struct http_response_head){.status = 200, .body = BODY_CHUNKED};
    down->ops->head(down, &exchange->response, false);
    down->ops->reset(down);
    down->ops->data(down, large, 100000);
    ck_assert_str_eq(notes->text, "0:GET{ 0} ");
    down->ops->data(down, large, 100000);
    free(large);
    expect("0:GET{ 0} 0!closed 0- ");
}

UNIT_TEST(windows_hold_back)
{
    char *large = pattern(100000);
    answers = false;
    peer_head(&peer, 1, true, GET);
    expect("0:GET{ 0} ");
    struct exchange *exchange = &fake_number(0)->exchange;
    struct down *down = exchange->down;
    exchange->response = (struct http_response_head){.status = 200, .body = BODY_CHUNKED};
    down->ops->head(down, &exchange->response, false);
    down->ops->data(down, large, 100000);
    free(large);
    ck_assert_uint_eq(down->ops->waiting(down), 100000 - 65535);
    down->ops->end(down);
    peer_update(&peer, 1, 100000);
    peer_update(&peer, 0, 100000);
    expect("0:GET{ 0} 0. ");
}

UNIT_TEST(bad_heads_are_refused)
{
    peer_head(&peer, 1, true, GET " host=other");
    expect("0?host_differs 0. ");
    wait_peer(&peer, "ACK HEAD 1 400. ");
    peer_head(&peer, 3, true, ":method=GET :scheme=http :path=/%zz :authority=h");
    wait_peer(&peer, "ACK HEAD 1 400. HEAD 3 400. ");
}

/* ---- WebSockets ---- */

#define UPGRADE ":method=CONNECT :protocol=websocket :scheme=http :path=/ :authority=h"

UNIT_TEST(a_websocket)
{
    answers = false;
    peer_head(&peer, 1, false, UPGRADE);
    expect("0:GET{ ");
    struct exchange *exchange = &fake_number(0)->exchange;
    ck_assert(exchange->request.upgrade_websocket && exchange->request_whole);
    exchange->response = (struct http_response_head){.status = 101, .body = BODY_TUNNEL};
    exchange->down->ops->head(exchange->down, &exchange->response, true);
    wait_peer(&peer, "ACK RST 1 2 "); /* the key was not answered */
    expect("0:GET{ 0!closed 0- ");
}

UNIT_TEST(data_before_the_switch)
{
    answers = false;
    peer_head(&peer, 1, false, UPGRADE);
    peer_data(&peer, 1, false, "GET");
    wait_peer(&peer, "ACK HEAD 1 400. RST 1 0 ");
    expect("0:GET{ 0!protocol 0. ");
}

UNIT_TEST(data_behind_another_answer)
{
    answers = false;
    peer_head(&peer, 1, false, UPGRADE);
    expect("0:GET{ ");
    struct exchange *exchange = &fake_number(0)->exchange;
    exchange->response =
        (struct http_response_head){.status = 403, .body = BODY_LENGTH, .content_length = 2};
    exchange->down->ops->head(exchange->down, &exchange->response, false);
    wait_peer(&peer, "ACK HEAD 1 403 ");
    peer_data(&peer, 1, true, "GET");
    run_turns(loop, 4);
    ck_assert_str_eq(notes->text, "0:GET{ ");
    exchange->down->ops->data(exchange->down, "no", 2);
    exchange->down->ops->end(exchange->down);
    expect("0:GET{ 0. ");
}

/* ---- the connection ---- */

UNIT_TEST(a_drain)
{
    answers = false;
    peer_head(&peer, 1, true, GET);
    expect("0:GET{ 0} ");
    down_conn_drain(server);
    wait_peer(&peer, "ACK GOAWAY 2147483647 0 GOAWAY 1 0 "); /* lame_duck is 0 */
    ck_assert(down_conn_is_last(server));
    answer(&fake_number(0)->exchange, 204, "");
    wait_peer(&peer, "ACK GOAWAY 2147483647 0 GOAWAY 1 0 HEAD 1 204. ");
    run_until_true(loop, &peer.end.ended);
    ck_assert_ptr_null(server);
}

UNIT_TEST(an_abort)
{
    answers = false;
    peer_head(&peer, 1, true, GET);
    expect("0:GET{ 0} ");
    down_conn_abort(server);
    ck_assert_str_eq(notes->text, "0:GET{ 0} 0!closed 0- ");
    ck_assert_ptr_null(server);
}

UNIT_TEST(a_listener_that_is_gone)
{
    answers = false;
    peer_head(&peer, 1, true, GET);
    expect("0:GET{ 0} ");
    conf_gone = true;
    answer(&fake_number(0)->exchange, 204, "");
    wait_peer(&peer, "ACK HEAD 1 204. GOAWAY 1 0 ");
    run_until_true(loop, &peer.end.ended);
}

UNIT_TEST(too_much_that_is_odd)
{
    conf.abuse_limit = 0;
    for (unsigned i = 0; i < 50; i++) {
        peer_frame(&peer, NGHTTP2_PING, 0, 0, "12345678", 8);
    }
    run_turns(loop, 8);
    ck_assert_ptr_nonnull(server);
    ck_assert_uint_eq(odd_points, 50);
    ck_assert_uint_eq(abuses, 0);
}

/* The places of streams that were reset in one read are free again within it; the third reset is
 * too much, and told once. */
UNIT_TEST(resets_in_one_read)
{
    answers = false;
    conf.h2_streams = 1;
    conf.abuse_limit = 4;
    for (int32_t id = 1; id <= 7; id += 2) {
        peer_head(&peer, id, true, GET);
        peer_frame(&peer, NGHTTP2_RST_STREAM, 0, id, "\0\0\0\x8", 4);
    }
    run_until_true(loop, &peer.end.ended);
    ck_assert_uint_eq(odd_points, 4);
    ck_assert_uint_eq(abuses, 1);
    ck_assert_ptr_null(strstr(peer_noted(&peer), "RST"));
}

/* A reset and updates may cross the end of a stream on the wire; more of them are odd. */
UNIT_TEST(frames_about_a_stream_that_is_over)
{
    peer_head(&peer, 1, true, GET);
    expect("0:GET{ 0} 0. ");
    peer_rst(&peer, 1, NGHTTP2_CANCEL);
    peer_update(&peer, 1, 1);
    peer_update(&peer, 1, 1);
    run_turns(loop, 8);
    ck_assert_uint_eq(odd_points, 0);
    for (unsigned i = 0; i < 20; i++) {
        peer_rst(&peer, 1, NGHTTP2_CANCEL);
        peer_update(&peer, 1, 1);
    }
    run_turns(loop, 8);
    ck_assert_uint_ge(odd_points, 30);
    ck_assert_uint_le(odd_points, 40);
}

/* Our account decides, not nghttp2's, which would end it with INTERNAL_ERROR. */
UNIT_TEST(resets_without_a_limit)
{
    answers = false;
    conf.abuse_limit = 0;
    for (int32_t id = 1; id <= 4000; id += 2) {
        peer_head(&peer, id, true, GET);
        peer_rst(&peer, id, NGHTTP2_CANCEL);
        run_turns(loop, 1);
    }
    run_turns(loop, 8);
    ck_assert_ptr_nonnull(server);
    ck_assert_ptr_null(strstr(peer_noted(&peer), "GOAWAY"));
    ck_assert_uint_eq(abuses, 0);
}

/* What nghttp2 ends by itself is counted as well: a fault, or more settings than it takes. */
UNIT_TEST(ends_by_the_library)
{
    peer_update(&peer, 0, 0);
    run_until_true(loop, &peer.end.ended);
    ck_assert_ptr_nonnull(strstr(peer_noted(&peer), "GOAWAY 0 1 "));
    ck_assert_uint_eq(odd_points, 10);
    ck_assert_uint_eq(abuses, 0);
}

UNIT_TEST(too_many_settings)
{
    static const char settings[40 * 6];

    peer_frame(&peer, NGHTTP2_SETTINGS, 0, 0, settings, sizeof(settings));
    run_until_true(loop, &peer.end.ended);
    ck_assert_ptr_nonnull(strstr(peer_noted(&peer), "GOAWAY 0 11 "));
    ck_assert_uint_eq(abuses, 1);
}

/* An end of the connection is no reset of its requests. */
UNIT_TEST(a_connection_that_ends_is_not_odd)
{
    answers = false;
    conf.abuse_limit = 2;
    for (int32_t id = 1; id <= 9; id += 2) {
        peer_head(&peer, id, true, GET);
    }
    run_turns(loop, 8);
    conn_shutdown(peer.end.conn);
    run_until_true(loop, &peer.end.ended);
    ck_assert_uint_eq(odd_points, 0);
    ck_assert_uint_eq(abuses, 0);
}

/* nghttp2 has forgotten these streams. */
UNIT_TEST(frames_on_closed_streams)
{
    peer_head(&peer, 1, true, GET);
    expect("0:GET{ 0} 0. ");
    peer_data(&peer, 1, true, "late");
    wait_peer(&peer, "ACK HEAD 1 200 DATA 1 ok. GOAWAY 1 5 ");
    run_until_true(loop, &peer.end.ended);
}

UNIT_TEST(a_stream_that_was_passed_over)
{
    answers = false;
    wait_peer(&peer, "ACK ");
    peer_head(&peer, 5, true, GET);
    peer_head(&peer, 3, true, GET);
    expect("0:GET{ 0} 0!closed 0- ");
    wait_peer(&peer, "ACK GOAWAY 5 1 ");
    run_until_true(loop, &peer.end.ended);
}

static bool has_opened(void *count)
{
    return opened >= *(unsigned *)count;
}

/* Streams that were reset here may go on until their client knows, in any number; their messages
 * and trailers are innocent. */
UNIT_TEST(late_frames)
{
    conf.h2_streams = 1000;
    for (int32_t id = 1; id < 401; id += 2) {
        peer_head(&peer, id, false, POST);
    }
    run_until(loop, has_opened, &(unsigned){200});
    for (int32_t id = 1; id < 401; id += 2) {
        peer_data(&peer, id, false, "late");
        peer_head(&peer, id, true, "x=y");
    }
    peer_head(&peer, 401, true, GET);
    run_until(loop, has_opened, &(unsigned){201});
    ck_assert_ptr_null(strstr(peer.notes->text, "GOAWAY"));
    ck_assert_uint_eq(odd_points, 0);
}

/* A PRIORITY frame that arrives byte by byte. */
UNIT_TEST(a_stream_that_depends_on_itself)
{
    static const char frame[] = "\0\0\5\2\0\0\0\0\7\0\0\0\7\xff";
    peer_head(&peer, 1, true, GET);
    expect("0:GET{ 0} 0. ");
    for (size_t i = 0; i + 1 < sizeof(frame); i++) {
        struct iovec part = {(void *)(uintptr_t)(frame + i), 1};
        ck_assert(conn_write(peer.end.conn, &part, 1));
        run_turns(loop, 4);
    }
    wait_peer(&peer, "ACK HEAD 1 200 DATA 1 ok. GOAWAY 1 1 ");
    ck_assert_uint_eq(odd_points, 1 + 10);
}

UNIT_FIXTURE(set_up, tear_down);
UNIT_TIMEOUT(30);
