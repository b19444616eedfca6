/* SPDX-License-Identifier: MIT */
/* h2_down.c: ends of streams and connections between the frames of one read. */
#include "h2_down_stage.h"
#include "http/h2.h"
#include "http/websocket.h"

/* A stream that has ended is told before the next one begins, for which nghttp2 stops at its first
 * field: here the last byte of what has come. */
UNIT_TEST(a_head_of_one_field_behind_a_reset)
{
    answers = false;
    peer_head(&peer, 1, false, POST);
    expect("0:POST{ ");
    wait_peer(&peer, "ACK ");
    peer_rst(&peer, 1, NGHTTP2_CANCEL);
    peer_head(&peer, 3, true, ":method=GET");
    wait_peer(&peer, "ACK RST 3 1 ");
    expect("0:POST{ 0!closed 0- 1!closed 1- ");
}

static bool goaway_has_come(void *unused)
{
    (void)unused;
    return strstr(peer_noted(&peer), "GOAWAY ") != NULL;
}

/* A client that has done much that is odd is served what came with it. What GOAWAY says is not
 * processed may be sent again, so none of it is. */
UNIT_TEST(requests_around_our_goaway)
{
    answers = false;
    conf.abuse_limit = 100;
    for (unsigned i = 0; i < 90; i++) {
        peer_frame(&peer, NGHTTP2_PING, 0, 0, "12345678", 8);
    }
    peer_head(&peer, 1, true, GET);
    run_until(loop, goaway_has_come, NULL);
    ck_assert_ptr_nonnull(strstr(peer_noted(&peer), "GOAWAY 1 0 "));
    peer_head(&peer, 3, false, POST);
    peer_data(&peer, 3, true, "abc");
    peer_frame(&peer, NGHTTP2_PING, 0, 0, "at last.", 8);
    run_turns(loop, 4);
    answer(&fake_number(0)->exchange, 200, "ok");
    run_until_true(loop, &peer.end.ended);
    ck_assert_str_eq(notes->text, "0:GET{ 0} 0. ");
    ck_assert_uint_eq(abuses, 1);
}

/* ---- CONTINUATION ---- */

static void say(const char *data, size_t len)
{
    struct iovec part = {(void *)(uintptr_t)data, len};

    ck_assert(conn_write(peer.end.conn, &part, 1));
    run_turns(loop, 4);
}

/* A block of an empty HEADERS frame and so many of CONTINUATION, with the fields in the last. */
static size_t put_block(char *at, unsigned frames)
{
    static const char fields[] = "\x82\x86\x84\x41\x01h";
    char *begin = at;

    for (unsigned i = 0; i <= frames; i++) {
        bool first = i == 0, last = i == frames;
        size_t len = last ? sizeof(fields) - 1 : 0;
        const char head[9] = {
            0,
            0,
            (char)len,
            first ? NGHTTP2_HEADERS : NGHTTP2_CONTINUATION,
            (char)((first ? NGHTTP2_FLAG_END_STREAM : 0) | (last ? NGHTTP2_FLAG_END_HEADERS : 0)),
            0,
            0,
            0,
            1};
        memcpy(at, head, sizeof(head));
        memcpy(at + sizeof(head), fields, len);
        at += sizeof(head) + len;
    }
    return (size_t)(at - begin);
}

/* Eight are no flood, however they are cut. */
UNIT_LOOP_TEST(continuations_in_pieces, 3)
{
    static const size_t sizes[] = {1, 9, 4096};
    char block[256];
    size_t len = put_block(block, 8);

    for (size_t at = 0; at < len; at += sizes[_i]) {
        say(block + at, len - at < sizes[_i] ? len - at : sizes[_i]);
    }
    expect("0:GET{ 0} 0. ");
    wait_peer(&peer, "ACK HEAD 1 200 DATA 1 ok. ");
    ck_assert_uint_eq(odd_points, 0);
}

/* One more is. */
UNIT_TEST(too_many_continuations)
{
    char block[256];

    conf.abuse_limit = 1000;
    say(block, put_block(block, 9));
    run_until_true(loop, &peer.end.ended);
    ck_assert_ptr_nonnull(strstr(peer_noted(&peer), "GOAWAY 1 11 "));
    ck_assert_uint_eq(odd_points, 1000);
    ck_assert_uint_eq(abuses, 1);
}

/* ---- what a turn does for one connection ---- */

static unsigned most_opened, most_odd; /* in a turn */

static bool count_turn(void *wanted)
{
    static unsigned opened_before, odd_before;

    if (opened < opened_before || odd_points < odd_before) { /* another test's */
        opened_before = odd_before = 0;
    }
    most_opened = opened - opened_before > most_opened ? opened - opened_before : most_opened;
    most_odd = odd_points - odd_before > most_odd ? odd_points - odd_before : most_odd;
    opened_before = opened;
    odd_before = odd_points;
    return opened + odd_points >= *(unsigned *)wanted;
}

/* Who is new begins little at once, who has been answered well more; nothing is lost. */
UNIT_TEST(requests_of_one_read)
{
    unsigned wanted = 9;
    int32_t id = 1;

    conf.h2_streams = 1000;
    most_opened = 0;
    for (; id < 2 * 9; id += 2) {
        peer_head(&peer, id, true, GET);
    }
    run_until(loop, count_turn, &wanted);
    ck_assert_uint_gt(most_opened, 0);
    ck_assert_uint_le(most_opened, 4);
    wanted += 100;
    for (; id < 2 * 109; id += 2) {
        peer_head(&peer, id, true, GET);
    }
    run_until(loop, count_turn, &wanted);
    ck_assert_uint_gt(most_opened, 4);
    ck_assert_uint_le(most_opened, 16);
    ck_assert_uint_eq(opened, wanted);
}

/* Small frames by the hundred wait for one another's turn. */
UNIT_TEST(a_flood_in_one_read)
{
    unsigned wanted = 400;

    most_odd = 0;
    for (unsigned i = 0; i < wanted; i++) {
        peer_update(&peer, 0, 1); /* not PING, of whose answers a hundred may wait */
    }
    run_until(loop, count_turn, &wanted);
    ck_assert_uint_eq(odd_points, wanted);
    ck_assert_uint_lt(most_odd, wanted);
    peer_head(&peer, 1, true, GET);
    expect("0:GET{ 0} 0. ");
}

/* What comes meanwhile does not get on top of what a turn has left, though that waits for a client
 * that takes nothing. */
UNIT_TEST(what_is_left_while_much_waits)
{
    char *large = pattern(16u << 20);

    answer_text = large;
    peer_settings(&peer, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, INT32_MAX);
    peer_update(&peer, 0, INT32_MAX - 65535);
    wait_peer(&peer, "ACK ACK ");
    peer.end.deaf = true;
    for (int32_t id = 1; id < 8; id += 2) {
        peer_head(&peer, id, true, GET);
    }
    while (opened == 0) {
        run_turns(loop, 1);
    }
    ck_assert_uint_ge(conn_waiting(server->conn), H2_WAITING_MOST);
    ck_assert_uint_gt(conn_kept(server->conn), 0);
    ck_assert(server->conn->offer_kept);
    free(large);
}

static void reset_next(struct fake *fake)
{
    struct fake *next = fake_number(fake->number + 1);

    if (next != NULL) {
        next->exchange.down->ops->reset(next->exchange.down);
    }
}

/* One stream's end may lead to another's reset while the connection ends: nothing goes out of
 * streams that are over. */
UNIT_TEST(a_reset_as_the_connection_ends)
{
    answers = false;
    peer_head(&peer, 1, true, GET);
    peer_head(&peer, 3, true, GET);
    peer_head(&peer, 5, true, GET);
    expect("0:GET{ 0} 1:GET{ 1} 2:GET{ 2} ");
    wait_peer(&peer, "ACK ");
    at_close = reset_next;
    for (unsigned i = 0; i < 3; i++) {
        answer(&fake_number(i)->exchange, 200, "ok");
    }
    down_conn_abort(server);
    expect("0:GET{ 0} 1:GET{ 1} 2:GET{ 2} 0!closed 0- 1!closed 1- 2!closed 2- ");
    ck_assert_str_eq(peer_noted(&peer), "ACK ");
}

/* Of trailers above the limits none is passed on, and they are no end of the request. */
UNIT_TEST(too_many_trailers)
{
    answers = false;
    peer_head(&peer, 1, false, POST);
    expect("0:POST{ ");
    peer_head(
        &peer, 1, true,
        "a=1 b=1 c=1 d=1 e=1 f=1 g=1 h=1 i=1 j=1 k=1 l=1 m=1 n=1 o=1 p=1 q=1 r=1 s=1 t=1 u=1");
    wait_peer(&peer, "ACK HEAD 1 431. ");
    expect("0:POST{ 0!protocol 0. ");
    ck_assert_uint_eq(odd_points, 50);
}

/* In a WebSocket there are none. */
UNIT_TEST(trailers_in_a_tunnel)
{
    answers = false;
    peer_head(&peer, 1, false,
              ":method=CONNECT :protocol=websocket :scheme=http :path=/ :authority=h");
    expect("0:GET{ ");
    struct exchange *exchange = &fake_number(0)->exchange;
    const struct http_field *key = fields_find_name(&exchange->request.fields, WEBSOCKET_KEY);
    exchange->response = (struct http_response_head){.status = 101, .body = BODY_TUNNEL};
    ck_assert(fields_add(&exchange->response.fields, &exchange->arena, WEBSOCKET_ACCEPT,
                         websocket_accept(key->value, &exchange->arena)));
    exchange->down->ops->head(exchange->down, &exchange->response, true);
    wait_peer(&peer, "ACK HEAD 1 200 ");
    peer_head(&peer, 1, true, "x=y");
    wait_peer(&peer, "ACK HEAD 1 200 RST 1 1 ");
    expect("0:GET{ 0!closed 0- ");
}

/* The head is not lost, whatever went out before it. */
UNIT_TEST(a_cut_answer_behind_an_interim_head)
{
    const struct http_response_head interim = {.status = 103};

    answers = false;
    peer_head(&peer, 1, true, GET);
    expect("0:GET{ 0} ");
    struct exchange *exchange = &fake_number(0)->exchange;
    exchange->down->ops->interim(exchange->down, &interim);
    wait_peer(&peer, "ACK HEAD 1 103 ");
    exchange->response = (struct http_response_head){.status = 200, .body = BODY_CHUNKED};
    exchange->down->ops->head(exchange->down, &exchange->response, false);
    exchange->down->ops->reset(exchange->down);
    wait_peer(&peer, "ACK HEAD 1 103 HEAD 1 200 RST 1 2 ");
    expect("0:GET{ 0} 0!closed 0- ");
}

/* ---- answers that nobody takes ---- */

/* An answer that was made at once is under the clock of a client that does not take it, too. */
UNIT_TEST(a_small_answer_and_no_window)
{
    conf.idle_timeout_ns = 40 * NS_PER_MS;
    peer_settings(&peer, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0);
    peer_head(&peer, 1, true, GET);
    wait_peer(&peer, "ACK ACK HEAD 1 200 RST 1 8 ");
    expect("0:GET{ 0} 0!closed 0- ");
}

/* Likewise where streams together have used up the connection's window. */
UNIT_TEST(small_answers_and_no_window_of_the_connection)
{
    char *large = pattern(65534);

    conf.idle_timeout_ns = 40 * NS_PER_MS;
    answers = false;
    peer_head(&peer, 1, true, GET);
    peer_head(&peer, 3, true, GET);
    expect("0:GET{ 0} 1:GET{ 1} ");
    answer(&fake_number(0)->exchange, 200, large);
    answer(&fake_number(1)->exchange, 200, "ok");
    free(large);
    expect("0:GET{ 0} 1:GET{ 1} 0. 1!closed 1- ");
}

/* Nor does a body that goes on keep it. */
UNIT_TEST(an_early_answer_and_no_window)
{
    conf.idle_timeout_ns = 40 * NS_PER_MS;
    peer_settings(&peer, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0);
    peer_head(&peer, 1, false, POST);
    expect("0:POST{ ");
    peer_data(&peer, 1, false, "a");
    wait_peer(&peer, "ACK ACK HEAD 1 200 RST 1 8 ");
    expect("0:POST{ 0:a 0!closed 0- ");
}

static void block_an_answer(void)
{
    struct exchange *exchange = &fake_number(0)->exchange;
    struct down *down = exchange->down;

    exchange->response = (struct http_response_head){.status = 200, .body = BODY_CHUNKED};
    down->ops->head(down, &exchange->response, false);
    down->ops->data(down, "abc", 3);
    ck_assert_uint_eq(down->ops->waiting(down), 3);
}

/* An answer that waits while the body's clock runs is watched when that stops. */
UNIT_LOOP_TEST(an_answer_that_waits_beside_a_body, 2)
{
    conf.idle_timeout_ns = conf.body_timeout_ns = 40 * NS_PER_MS;
    answers = false;
    peer_settings(&peer, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0);
    peer_head(&peer, 1, false, POST);
    expect("0:POST{ ");
    block_an_answer();
    if (_i == 0) {
        peer_data(&peer, 1, true, "a");
    } else {
        struct down *down = fake_number(0)->exchange.down;
        down->ops->pause(down);
    }
    wait_peer(&peer, "ACK ACK HEAD 1 200 RST 1 8 ");
    expect(_i == 0 ? "0:POST{ 0:a 0} 0!closed 0- " : "0:POST{ 0!closed 0- ");
}

/* And where it answers a body that does not come. */
UNIT_TEST(a_refusal_and_no_window)
{
    conf.idle_timeout_ns = conf.body_timeout_ns = 40 * NS_PER_MS;
    answers = false;
    gone_text = "too late";
    peer_settings(&peer, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0);
    peer_head(&peer, 1, false, POST);
    wait_peer(&peer, "ACK ACK HEAD 1 408 RST 1 8 ");
    expect("0:POST{ 0!timeout 0- ");
}

UNIT_FIXTURE(set_up, tear_down);
UNIT_TIMEOUT(30);
