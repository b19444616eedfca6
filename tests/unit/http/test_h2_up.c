/* SPDX-License-Identifier: MIT */
/* h2_up.c: many exchanges on a connection to a server, and how each of them may end. */
#include "h2_peer.h"
#include "runner.h"

#include <stdlib.h>

#include "base/base.h"
#include "http/h1_parse.h"
#include "http/h2_up.h"

#define EXCHANGES 8u

static struct loop *loop;
static struct batch batch;
static struct h2_peer peer;
static struct up_conn *c;
static struct notes *notes; /* of events: the exchange's number, then what came */
static struct exchange *exchanges[EXCHANGES];
/* What a stream does when something comes: it lets go at this event of this exchange. */
static char leaves_at;
static unsigned leaver;
static bool closes_idle; /* the owner keeps no idle connection */
static bool again;       /* who fails begins anew on the same connection if it has room */
static unsigned odd_points, abuses;

static unsigned number_of(const struct exchange *exchange)
{
    unsigned i = 0;
    while (exchanges[i] != exchange) {
        i++;
        ck_assert_uint_lt(i, EXCHANGES);
    }
    return i;
}

static void let_go(unsigned number)
{
    struct exchange *exchange = exchanges[number];
    exchange->up->ops->release(exchange->up);
    ck_assert_ptr_null(exchange->up);
}

static void at(struct exchange *exchange, char event)
{
    ck_assert_ptr_nonnull(exchange->up);
    if (leaves_at == event && leaver == number_of(exchange)) {
        let_go(leaver);
        arena_reset(&exchange->arena); /* nobody refers to what was in it */
    }
}

static void on_interim(struct exchange *exchange, struct http_response_head *head)
{
    notes_add(notes, "%u:%u ", number_of(exchange), head->status);
    at(exchange, 'i');
}

static void on_response(struct exchange *exchange)
{
    notes_add(notes, "%u:%u{ ", number_of(exchange), exchange->response.status);
    at(exchange, 'h');
}

static void on_data(struct exchange *exchange, const char *data, size_t len)
{
    notes_add(notes, "%u:", number_of(exchange));
    notes_add_bytes(notes, data, len);
    notes_add(notes, " ");
    at(exchange, 'd');
}

static void on_trailer(struct exchange *exchange, struct weir_str name, struct weir_str value)
{
    notes_add(notes, "%u|%.*s=%.*s ", number_of(exchange), STR_ARGS(name), STR_ARGS(value));
    at(exchange, 't');
}

static void on_response_end(struct exchange *exchange)
{
    notes_add(notes, "%u} ", number_of(exchange));
    if (leaves_at != 'n') {
        let_go(number_of(exchange));
    }
}

static void on_flushed(struct exchange *exchange)
{
    at(exchange, 'f');
}

static void begin(unsigned number, const char *raw);

static void on_failed(struct exchange *exchange, enum up_failure why)
{
    static const char *const words[] = {"reset",  "stale",    "malformed", "truncated",
                                        "unread", "refused",  "left",      "foreign",
                                        "stray",  "overlong", "over"};
    ck_assert_ptr_null(exchange->up);
    notes_add(notes, "%u!%s ", number_of(exchange), words[why]);
    if (why == UP_MALFORMED) {
        notes_add(notes, "%s ", exchange->error.reason);
    }
    if (again && c != NULL && c->room > 0) {
        again = false;
        begin(number_of(exchange), "GET /again HTTP/1.1\r\nHost: h\r\n\r\n");
    }
}

static const struct up_events events = {
    .on_interim = on_interim,
    .on_response = on_response,
    .on_data = on_data,
    .on_trailer = on_trailer,
    .on_response_end = on_response_end,
    .on_flushed = on_flushed,
    .on_drained = on_flushed,
    .on_failed = on_failed,
};

static void on_room(struct up_conn *of)
{
    ck_assert_ptr_eq(of, c);
    if (c->running == 0 && (closes_idle || c->room == 0)) {
        up_conn_close(c);
    }
}

static void on_closed(struct up_conn *of)
{
    ck_assert_ptr_eq(of, c);
    notes_add(notes, "closed ");
    c = NULL;
}

static void on_odd(struct up_conn *of, unsigned points, const char *ends)
{
    ck_assert_ptr_eq(of, c);
    odd_points += points;
    abuses += ends != NULL;
}

static const struct up_owner owner = {
    .events = &events, .on_room = on_room, .on_odd = on_odd, .on_closed = on_closed};

static void set_up(void)
{
    const struct http_limits limits = {.head = 2048, .fields = 20, .target = 1};
    int fds[2];

    loop = loop_new(0);
    batch = (struct batch){0};
    notes = base_zalloc(sizeof(*notes));
    leaves_at = '\0';
    leaver = 0;
    closes_idle = again = false;
    odd_points = abuses = 0;
    for (unsigned i = 0; i < EXCHANGES; i++) {
        exchanges[i] = base_zalloc(sizeof(*exchanges[i]));
        arena_init(&exchanges[i]->arena, NULL, 0);
    }
    tcp_pair(fds);
    peer_begin(&peer, loop, fds[0], false);
    struct conn *conn = conn_accept(loop, fds[1], NULL, NULL, NULL);
    c = up_conn_open(&h2_up_codec, conn, &batch, &limits, &owner, NULL);
    ck_assert_ptr_nonnull(c);
}

static void tear_down(void)
{
    leaves_at = '\0';
    for (unsigned i = 0; i < EXCHANGES; i++) {
        if (exchanges[i]->up != NULL) {
            let_go(i);
        }
    }
    if (c != NULL) {
        up_conn_close(c);
    }
    peer_end(&peer);
    run_turns(loop, 2);
    loop_free(&loop);
    for (unsigned i = 0; i < EXCHANGES; i++) {
        arena_reset(&exchanges[i]->arena);
        free(exchanges[i]);
    }
    free(notes);
}

static void begin(unsigned number, const char *raw)
{
    const struct http_limits limits = {.head = 2048, .fields = 20, .target = 512};
    struct exchange *exchange = exchanges[number];
    struct h1_scan scan = {0};
    size_t used = 0;

    arena_reset(&exchange->arena);
    ck_assert_int_eq(h1_parse_request(raw, strlen(raw), &limits, &scan, &exchange->arena,
                                      &exchange->request, &used, &exchange->error),
                     H1_DONE);
    fields_drop_hop_by_hop(&exchange->request.fields);
    ck_assert(up_conn_use(c, exchange, false));
    ck_assert(exchange->up->ops->head(exchange->up, NULL, 0));
}

static void get(unsigned number)
{
    begin(number, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
}

static void post(unsigned number)
{
    begin(number, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
}

static void expect(const char *wanted)
{
    wait_notes(loop, notes, wanted);
}

/* ---- exchanges ---- */

UNIT_TEST(requests_share_a_connection)
{
    ck_assert_uint_eq(c->room, 100);
    get(0);
    get(1);
    ck_assert_uint_eq(c->room, 98);
    wait_peer(&peer, "HEAD 1 GET /. HEAD 3 GET /. ");
    peer_settings(&peer, 0, 0);
    peer_head(&peer, 3, false, ":status=200 content-length=2");
    peer_data(&peer, 3, true, "ok");
    expect("1:200{ 1:ok 1} ");
    peer_head(&peer, 1, true, ":status=204");
    expect("1:200{ 1:ok 1} 0:204{ 0} ");
    ck_assert_uint_eq(c->running, 0);
    ck_assert_uint_eq(c->served, 2);
}

UNIT_TEST(bodies_and_trailers)
{
    post(0);
    struct up *up = exchanges[0]->up;
    up->ops->data(up, "abc", 3);
    up->ops->trailer(up, STR("x-a"), STR("1"));
    up->ops->end(up);
    wait_peer(&peer, "HEAD 1 POST / DATA 1 abc TRAILERS 1 x-a=1. ");
    peer_settings(&peer, 0, 0);
    peer_head(&peer, 1, false, ":status=103");
    peer_head(&peer, 1, false, ":status=200");
    peer_data(&peer, 1, false, "d");
    peer_head(&peer, 1, true, "x-b=2 host=evil");
    expect("0:103 0:200{ 0:d 0|x-b=2 0} ");
}

UNIT_TEST(too_many_trailers)
{
    get(0);
    wait_peer(&peer, "HEAD 1 GET /. ");
    peer_settings(&peer, 0, 0);
    peer_head(&peer, 1, false, ":status=200");
    peer_head(
        &peer, 1, true,
        "a=1 b=1 c=1 d=1 e=1 f=1 g=1 h=1 i=1 j=1 k=1 l=1 m=1 n=1 o=1 p=1 q=1 r=1 s=1 t=1 u=1");
    expect("0:200{ 0!malformed trailers_too_long ");
}

/* Its limit may be lower than what runs. */
UNIT_TEST(the_room_is_what_the_server_says)
{
    get(0);
    get(1);
    peer_settings(&peer, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 3);
    wait_peer(&peer, "ACK HEAD 1 GET /. HEAD 3 GET /. ");
    ck_assert_uint_eq(c->room, 1);
    ck_assert_uint_eq(c->most, 3);
    peer_settings(&peer, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1);
    wait_peer(&peer, "ACK HEAD 1 GET /. HEAD 3 GET /. ACK ");
    ck_assert_uint_eq(c->room, 0);
    peer_head(&peer, 1, true, ":status=204");
    expect("0:204{ 0} ");
    ck_assert_uint_eq(c->room, 0);
    peer_head(&peer, 3, true, ":status=204");
    expect("0:204{ 0} 1:204{ 1} ");
    ck_assert_uint_eq(c->room, 1);
}

/* ---- who leaves early ---- */

static const char events_of[] = "ihdtf";

/* In each event, with another exchange beside it whose frames follow in the same read. */
UNIT_LOOP_TEST(a_stream_may_leave_in_any_event, sizeof(events_of) - 1)
{
    get(0);
    get(1);
    wait_peer(&peer, "HEAD 1 GET /. HEAD 3 GET /. ");
    leaves_at = events_of[_i];
    peer_settings(&peer, 0, 0);
    peer_head(&peer, 1, false, ":status=103");
    peer_head(&peer, 1, false, ":status=200");
    peer_data(&peer, 1, false, "d");
    peer_head(&peer, 3, true, ":status=204");
    if (leaves_at == 't') {
        peer_head(&peer, 1, true, "x-b=2 x-c=3");
        wait_peer(&peer, "HEAD 1 GET /. HEAD 3 GET /. ACK ");
    } else {
        peer_data(&peer, 1, false, "more");
        wait_peer(&peer, "HEAD 1 GET /. HEAD 3 GET /. ACK RST 1 8 ");
    }
    ck_assert_ptr_nonnull(strstr(notes->text, "1:204{ 1} "));
    ck_assert_ptr_null(exchanges[0]->up);
    ck_assert_uint_eq(c->running, 0);
}

/* The same where the connection is then closed at once, inside the read. */
UNIT_LOOP_TEST(the_connection_may_close_in_any_event, sizeof(events_of) - 1)
{
    get(0);
    wait_peer(&peer, "HEAD 1 GET /. ");
    leaves_at = events_of[_i];
    closes_idle = true;
    peer_settings(&peer, 0, 0);
    peer_head(&peer, 1, false, ":status=103");
    peer_head(&peer, 1, false, ":status=200");
    peer_data(&peer, 1, false, "d");
    peer_head(&peer, 1, true, "x-b=2 x-c=3");
    peer_frame(&peer, NGHTTP2_PING, 0, 0, "12345678", 8);
    run_until_true(loop, &peer.end.ended);
    ck_assert_ptr_null(c);
}

UNIT_TEST(a_request_that_never_went_out)
{
    get(0);
    post(1);
    exchanges[1]->up->ops->data(exchanges[1]->up, "abc", 3);
    let_go(0);
    let_go(1);
    arena_reset(&exchanges[0]->arena);
    arena_reset(&exchanges[1]->arena);
    get(2);
    wait_peer(&peer, "HEAD 5 GET /. ");
}

UNIT_TEST(a_request_that_is_half_sent)
{
    char *large = pattern(200000);
    post(0);
    exchanges[0]->up->ops->data(exchanges[0]->up, large, 200000);
    ck_assert_uint_gt(exchanges[0]->up->ops->waiting(exchanges[0]->up), 0);
    run_turns(loop, 4);
    let_go(0);
    arena_reset(&exchanges[0]->arena);
    peer_settings(&peer, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20);
    peer_update(&peer, 0, 1 << 20);
    run_turns(loop, 8);
    free(large);
}

/* ---- what servers do ---- */

UNIT_TEST(resets)
{
    for (unsigned i = 0; i < 4; i++) {
        get(i);
    }
    wait_peer(&peer, "HEAD 1 GET /. HEAD 3 GET /. HEAD 5 GET /. HEAD 7 GET /. ");
    peer_settings(&peer, 0, 0);
    peer_rst(&peer, 1, NGHTTP2_REFUSED_STREAM);
    peer_rst(&peer, 3, NGHTTP2_INTERNAL_ERROR);
    peer_head(&peer, 5, false, ":status=200");
    peer_rst(&peer, 5, NGHTTP2_NO_ERROR);
    peer_head(&peer, 7, false, ":status=200 content-length=1");
    peer_data(&peer, 7, true, "ab");
    expect("2:200{ 3:200{ 0!refused 1!reset 2!truncated 3!malformed bad_frames ");
    ck_assert_uint_eq(c->running, 0);
}

UNIT_TEST(goaway_refuses_what_is_above_its_last)
{
    get(0);
    get(1);
    wait_peer(&peer, "HEAD 1 GET /. HEAD 3 GET /. ");
    again = true; /* but not here */
    peer_settings(&peer, 0, 0);
    peer_goaway(&peer, 1, NGHTTP2_NO_ERROR);
    expect("1!left ");
    ck_assert_uint_eq(c->room, 0);
    ck_assert(again);
    peer_head(&peer, 1, true, ":status=204");
    expect("1!left 0:204{ 0} closed ");
}

/* A server that serves nothing on a connection refuses. */
UNIT_TEST(goaway_that_refuses_all)
{
    get(0);
    wait_peer(&peer, "HEAD 1 GET /. ");
    peer_settings(&peer, 0, 0);
    peer_goaway(&peer, 0, NGHTTP2_NO_ERROR);
    expect("closed 0!refused ");
}

/* Before its SETTINGS are here, more may be sent than it takes: our guess, not its refusal. */
UNIT_TEST(refused_as_more_came_than_it_takes)
{
    for (unsigned i = 0; i < 3; i++) {
        get(i);
    }
    wait_peer(&peer, "HEAD 1 GET /. HEAD 3 GET /. HEAD 5 GET /. ");
    peer_settings(&peer, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 2);
    peer_rst(&peer, 5, NGHTTP2_REFUSED_STREAM);
    expect("2!left ");
}

UNIT_TEST(a_server_that_speaks_http_1)
{
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    get(0);
    post(1);
    wait_peer(&peer, "HEAD 1 GET /. HEAD 3 POST / ");
    conn_write(peer.end.conn, &(struct iovec){(void *)(uintptr_t)answer, sizeof(answer) - 1}, 1);
    expect("0!foreign 1!foreign closed ");
}

/* What waits for a place there when GOAWAY comes cannot have been read. */
UNIT_TEST(goaway_before_a_request_goes_out)
{
    peer_settings(&peer, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 2);
    wait_peer(&peer, "ACK ");
    get(0);
    get(1);
    wait_peer(&peer, "ACK HEAD 1 GET /. HEAD 3 GET /. ");
    peer_settings(&peer, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 3);
    wait_peer(&peer, "ACK HEAD 1 GET /. HEAD 3 GET /. ACK ");
    peer_settings(&peer, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 2);
    peer_goaway(&peer, 3, NGHTTP2_NO_ERROR);
    get(2); /* before either is read */
    expect("2!left ");
    peer_head(&peer, 3, true, ":status=204");
    peer_head(&peer, 1, true, ":status=204");
    expect("2!left 1:204{ 1} 0:204{ 0} closed ");
}

/* All its exchanges hear of it, and nothing begins there meanwhile. */
UNIT_TEST(the_end_of_a_connection_with_exchanges)
{
    get(0);
    post(1);
    get(2);
    wait_peer(&peer, "HEAD 1 GET /. HEAD 3 POST / HEAD 5 GET /. ");
    peer_settings(&peer, 0, 0);
    peer_head(&peer, 5, false, ":status=200");
    expect("2:200{ ");
    again = true;
    conn_shutdown(peer.end.conn);
    expect("2:200{ 0!reset 1!reset 2!truncated closed ");
    ck_assert(again);
}

UNIT_TEST(the_end_of_an_idle_connection)
{
    peer_settings(&peer, 0, 0);
    get(0);
    wait_peer(&peer, "ACK HEAD 1 GET /. ");
    peer_head(&peer, 1, true, ":status=204");
    expect("0:204{ 0} ");
    get(1);
    conn_close(&peer.end.conn, false); /* nobody has read it */
    expect("0:204{ 0} 1!unread closed ");
}

/* For requests that cannot be sent twice: once a turn, however many they are. */
UNIT_TEST(the_kernel_is_asked_once_a_turn)
{
    peer_settings(&peer, 0, 0);
    get(0);
    wait_peer(&peer, "ACK HEAD 1 GET /. ");
    loop->now_fresh = false;
    ck_assert(up_conn_use(c, exchanges[1], true));
    conn_close(&peer.end.conn, false);
    ck_assert(up_conn_use(c, exchanges[2], true));
    let_go(1);
    let_go(2);
    loop->now_fresh = false; /* the next turn */
    ck_assert(!up_conn_use(c, exchanges[1], true));
    expect("0!reset closed ");
}

UNIT_TEST(what_breaks_the_protocol)
{
    get(0);
    wait_peer(&peer, "HEAD 1 GET /. ");
    peer_settings(&peer, 0, 0);
    peer_frame(&peer, NGHTTP2_DATA, 0, 0, "x", 1);
    expect("0!malformed bad_frames closed ");
}

UNIT_TEST(no_error_behind_a_whole_answer)
{
    post(0);
    wait_peer(&peer, "HEAD 1 POST / ");
    peer_settings(&peer, 0, 0);
    peer_head(&peer, 1, true, ":status=204");
    peer_rst(&peer, 1, NGHTTP2_NO_ERROR);
    expect("0:204{ 0} ");
    get(1);
    wait_peer(&peer, "HEAD 1 POST / ACK RST 1 8 HEAD 3 GET /. ");
}

/* ---- windows ---- */

UNIT_TEST(a_paused_stream_gives_no_window)
{
    char kib[1025];
    memset(kib, 'x', 1024);
    kib[1024] = '\0';
    get(0);
    wait_peer(&peer, "HEAD 1 GET /. ");
    exchanges[0]->up->ops->pause(exchanges[0]->up);
    peer_settings(&peer, 0, 0);
    peer_head(&peer, 1, false, ":status=200");
    for (unsigned i = 0; i < 160; i++) {
        peer_data(&peer, 1, false, kib);
    }
    wait_peer(&peer, "HEAD 1 GET /. ACK ");
    ck_assert_uint_eq(peer.increment, 0);
    exchanges[0]->up->ops->resume(exchanges[0]->up);
    wait_peer(&peer, "HEAD 1 GET /. ACK ");
    ck_assert_uint_eq(peer.increment, 160u << 10);
}

/* ---- WebSockets ---- */

#define UPGRADE                                                                      \
    "GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

UNIT_TEST(a_websocket_waits_for_settings)
{
    begin(0, UPGRADE);
    get(1);
    wait_peer(&peer, "HEAD 1 GET /. ");
    peer_settings(&peer, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1);
    wait_peer(&peer, "HEAD 1 GET /. ACK HEAD 3 CONNECT /chat ");
    peer_head(&peer, 3, false, ":status=200");
    expect("0:101{ ");
    const struct http_field *accept =
        fields_find_name(&exchanges[0]->response.fields, STR("Sec-WebSocket-Accept"));
    ck_assert_ptr_nonnull(accept);
    ck_assert(str_equal(accept->value, STR("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")));
    exchanges[0]->up->ops->data(exchanges[0]->up, "hi", 2);
    wait_peer(&peer, "HEAD 1 GET /. ACK HEAD 3 CONNECT /chat DATA 3 hi ");
    leaves_at = 'n'; /* a tunnel's other side goes on */
    peer_data(&peer, 3, true, "bye");
    expect("0:101{ 0:bye 0} ");
    peer_rst(&peer, 3, NGHTTP2_CANCEL);
    expect("0:101{ 0:bye 0} 0!over ");
}

UNIT_TEST(a_websocket_that_is_not_taken)
{
    begin(0, UPGRADE);
    begin(1, UPGRADE);
    let_go(1);
    peer_settings(&peer, 0, 0);
    expect("0!malformed websocket_not_taken ");
    begin(2, UPGRADE);
    expect("0!malformed websocket_not_taken 2!malformed websocket_not_taken ");
}

UNIT_TEST(a_websocket_that_waits_when_the_connection_ends)
{
    begin(0, UPGRADE);
    conn_shutdown(peer.end.conn);
    expect("0!unread closed ");
}

/* The server learns late that nobody waits any more; what it sends then is innocent, and more than
 * that is not. */
UNIT_TEST(frames_about_a_stream_that_is_over)
{
    get(0);
    wait_peer(&peer, "HEAD 1 GET /. ");
    peer_settings(&peer, 0, 0);
    let_go(0);
    wait_peer(&peer, "HEAD 1 GET /. ACK RST 1 8 ");
    peer_head(&peer, 1, false, ":status=200");
    peer_head(&peer, 1, true, "x=y");
    peer_rst(&peer, 1, NGHTTP2_CANCEL);
    run_turns(loop, 8);
    ck_assert_uint_eq(odd_points, 0);
    for (unsigned i = 0; i < 1000; i++) {
        peer_rst(&peer, 1, NGHTTP2_CANCEL);
    }
    run_until_true(loop, &peer.end.ended);
    ck_assert_uint_ge(odd_points, 750);
    ck_assert_uint_eq(abuses, 1);
}

UNIT_FIXTURE(set_up, tear_down);
UNIT_TIMEOUT(30);
