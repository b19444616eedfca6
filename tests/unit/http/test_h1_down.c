/* SPDX-License-Identifier: MIT */
/*
 * h1_down.c: connections of clients as a state machine, between a client's socket and streams that
 * only take notes. Notes are `METHOD path{body|trailers}close` for an exchange that went well.
 */
#include "http/h1_down_parts.h"
#include "notes.h"
#include "runner.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"

#define H    "Host: h\r\n"
#define GET  "GET / HTTP/1.1\r\n" H "\r\n"
#define DONE "GET /{}close "
#define OK   "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define BYE  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"

/* A stream that takes notes. */
struct fake {
    struct exchange exchange;
    struct freed freed;
};

typedef void (*reaction)(struct fake *fake);

static struct loop *loop;
static struct batch batch;
static struct end client;
static union down_place *place;
static struct down_conn *server; /* NULL: closed */
static struct down_conf conf;
static struct notes *notes;
static struct fake *current;
static bool closed, conf_gone;
/* What a stream does when the head, and when the whole request is here; NULL: nothing. */
static reaction on_head, on_whole;

/* ---- streams ---- */

static struct fake *fake_of(struct exchange *exchange)
{
    return container_of(exchange, struct fake, exchange);
}

static struct exchange *note_open(struct down_conn *of, struct down *down)
{
    struct fake *fake = base_zalloc(sizeof(*fake));
    ck_assert_ptr_eq(of, server);
    ck_assert_ptr_null(current);
    current = fake;
    arena_init(&fake->exchange.arena, NULL, 0);
    fake->exchange.down = down;
    return &fake->exchange;
}

static void answer_as(struct fake *fake, unsigned status, enum http_body body, const char *text)
{
    struct exchange *exchange = &fake->exchange;
    struct http_response_head *head = &exchange->response;
    const struct down_ops *ops = exchange->down->ops;
    *head =
        (struct http_response_head){.status = (uint16_t)status, .version = HTTP_1_1, .body = body};
    head->content_length = strlen(text);
    head->has_content_length = body == BODY_LENGTH;
    if (exchange->request.method == METHOD_HEAD)
        head->body = BODY_NONE;
    ops->head(exchange->down, head, false);
    ops->data(exchange->down, text, strlen(text));
    ops->end(exchange->down);
}

static void answer(struct fake *fake)
{
    answer_as(fake, 200, BODY_LENGTH, "ok");
}

static void note_request(struct exchange *exchange)
{
    notes_add(notes, "%.*s %.*s{", STR_ARGS(exchange->request.method_name),
              STR_ARGS(exchange->request.path));
    if (on_head != NULL)
        on_head(fake_of(exchange));
}

static void note_refused(struct exchange *exchange)
{
    notes_add(notes, "refused %s ", exchange->error.reason);
    answer_as(fake_of(exchange), exchange->error.status, BODY_LENGTH, "");
}

static void note_data(struct exchange *exchange, const char *data, size_t len)
{
    (void)exchange;
    ck_assert_uint_gt(len, 0);
    notes_add_bytes(notes, data, len);
}

static void note_trailer(struct exchange *exchange, struct weir_str name, struct weir_str value)
{
    (void)exchange;
    notes_add(notes, "|%.*s: %.*s", STR_ARGS(name), STR_ARGS(value));
}

static void note_request_end(struct exchange *exchange)
{
    ck_assert(exchange->request_whole);
    notes_add(notes, "}");
    if (on_whole != NULL)
        on_whole(fake_of(exchange));
}

static void note_flushed(struct exchange *exchange)
{
    ck_assert_ptr_eq(exchange, &current->exchange);
}

static void note_gone(struct exchange *exchange, enum down_gone why)
{
    static const char *const words[] = {"closed", "timeout", "protocol"};
    notes_add(notes, "gone %s ", words[why]);
    if (why == DOWN_GONE_CLOSED)
        return;
    if (exchange->response_begun)
        exchange->down->ops->reset(exchange->down);
    else
        answer_as(fake_of(exchange), exchange->error.status, BODY_LENGTH, "");
}

static void fake_free(struct freed *freed)
{
    free(container_of(freed, struct fake, freed));
}

static void note_close(struct exchange *exchange, bool complete)
{
    struct fake *fake = fake_of(exchange);
    notes_add(notes, complete ? "close " : "cut ");
    ck_assert_ptr_eq(fake, current);
    current = NULL;
    arena_reset(&exchange->arena);
    loop_free_later(loop, &fake->freed, fake_free);
}

static const struct down_events events = {
    .on_open = note_open,
    .on_request = note_request,
    .on_refused = note_refused,
    .on_data = note_data,
    .on_trailer = note_trailer,
    .on_request_end = note_request_end,
    .on_flushed = note_flushed,
    .on_drained = note_flushed,
    .on_gone = note_gone,
    .on_close = note_close,
};

static const struct down_conf *note_conf(struct down_conn *of)
{
    (void)of;
    return conf_gone ? NULL : &conf;
}

static void note_closed(struct down_conn *of)
{
    ck_assert_ptr_eq(of, server);
    closed = true;
    server = NULL;
}

static void note_free(struct down_conn *of)
{
    ck_assert(closed);
    ck_assert_ptr_eq(of, &place->c);
    free(place);
}

static const struct down_owner owner = {
    .events = &events,
    .conf = note_conf,
    .on_closed = note_closed,
    .on_free = note_free,
};

/* ---- the stage ---- */

static void set_up_with(void (*make_pair)(int fds[2]))
{
    int fds[2];
    loop = loop_new(0);
    ck_assert_ptr_nonnull(loop);
    batch = (struct batch){0};
    notes = base_zalloc(sizeof(*notes));
    conf = (struct down_conf){
        .limits = {.head = 2048, .fields = 20, .target = 512},
        .header_timeout_ns = 60 * NS_PER_SECOND,
        .body_timeout_ns = 60 * NS_PER_SECOND,
        .idle_timeout_ns = 60 * NS_PER_SECOND,
        .handshake_timeout_ns = 60 * NS_PER_SECOND,
    };
    closed = conf_gone = false;
    current = NULL;
    on_head = NULL;
    on_whole = answer;
    make_pair(fds);
    client = (struct end){0};
    client.conn = conn_accept(loop, fds[0], NULL, &end_ops, &client);
    struct conn *conn = conn_accept(loop, fds[1], NULL, NULL, NULL);
    place = base_zalloc(sizeof(*place));
    server = &place->c;
    down_conn_begin(server, conn, &batch, &owner);
}

static void set_up(void)
{
    set_up_with(tcp_pair);
}

/* Sockets that hold more than may be kept. */
static void large_pair(int fds[2])
{
    const int size = 1 << 20;
    unix_pair(fds);
    ck_assert_int_eq(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
}

static void set_up_large(void)
{
    set_up_with(large_pair);
}

static void tear_down(void)
{
    if (!closed)
        down_conn_abort(server);
    ck_assert(closed);
    end_free(&client);
    run_turns(loop, 2);
    loop_free(&loop);
    free(notes);
}

static void say(const char *text)
{
    ck_assert(end_send(&client, text));
}

/* The answer is made outside of a callback: what was gathered goes out as it would at its end. */
static void flush(void)
{
    batch_flush(&batch);
}

static void client_half_close(void)
{
    conn_shutdown(client.conn);
}

static void client_reset(void)
{
    conn_close(&client.conn, true);
}

/* ---- requests, one behind the other ---- */

START_TEST(keep_alive)
{
    say(GET);
    wait_notes(loop, notes, DONE);
    wait_data(loop, &client, OK);
    say(GET);
    wait_notes(loop, notes, DONE DONE);
    wait_data(loop, &client, OK OK);
    ck_assert(!closed);
    ck_assert(down_conn_idle(server));
}
END_TEST

static void answer_later(struct fake *fake)
{
    (void)fake;
}

START_TEST(pipelined_requests_wait_for_their_turn)
{
    on_whole = answer_later;
    say(GET "GET /b HTTP/1.1\r\n" H "\r\nPOST /c HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc");
    wait_notes(loop, notes, "GET /{}");
    answer(current);
    flush();
    wait_notes(loop, notes, "GET /{}close GET /b{}");
    answer(current);
    flush();
    wait_notes(loop, notes, "GET /{}close GET /b{}close POST /c{abc}");
    answer(current);
    flush();
    wait_data(loop, &client, OK OK OK);
}
END_TEST

START_TEST(pipelined_requests_answered_at_once)
{
    say(GET GET GET GET);
    wait_data(loop, &client, OK OK OK OK);
}
END_TEST

static const char pipeline[] = "\r\nPOST /a HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello"
                               "POST /b HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
                               "2\r\nhe\r\n3;x\r\nllo\r\n0\r\nA: b\r\n\r\n" GET;

/* Two pieces, cut anywhere: the second one is sent when the first has been looked at. */
START_TEST(requests_cut_at_every_position)
{
    char *text = base_strdup(pipeline);
    char first = text[_i];
    text[_i] = '\0';
    say(text);
    run_turns(loop, 6);
    text[_i] = first;
    say(text + _i);
    wait_notes(loop, notes, "POST /a{hello}close POST /b{hello|A: b}close " DONE);
    wait_data(loop, &client, OK OK OK);
    free(text);
}
END_TEST

START_TEST(requests_in_single_bytes)
{
    char one[2] = "";
    for (size_t i = 0; i < sizeof(pipeline) - 1; i++) {
        one[0] = pipeline[i];
        say(one);
        run_turns(loop, 3);
    }
    wait_notes(loop, notes, "POST /a{hello}close POST /b{hello|A: b}close " DONE);
    wait_data(loop, &client, OK OK OK);
}
END_TEST

/* A lot of requests behind a body that comes in two pieces: they are kept, as far as may be kept, and
 * the rest stays in the socket. */
START_TEST(a_long_pipeline_behind_a_body)
{
    const size_t count = 12000, len = strlen(GET);
    char *text = base_alloc(count * len);
    for (size_t i = 0; i < count; i++)
        memcpy(text + i * len, GET, len);
    on_whole = answer_later;
    say("POST /p HTTP/1.1\r\n" H);
    say(_i == 0 ? "Content-Length: 4\r\n\r\nab" : "Transfer-Encoding: chunked\r\n\r\n2\r\nab");
    wait_notes(loop, notes, "POST /p{ab");
    const char *rest = _i == 0 ? "cd" : "\r\n2\r\ncd\r\n0\r\n\r\n";
    struct iovec iov[] = {{(void *)(uintptr_t)rest, strlen(rest)}, {text, count * len}};
    ck_assert(conn_write(client.conn, iov, 2));
    wait_notes(loop, notes, "POST /p{abcd}");
    ck_assert_uint_le(conn_kept(server->conn), LOOP_SCRATCH_SIZE / 2);
    on_whole = answer;
    answer(current);
    flush();
    size_t wanted = (count + 1) * strlen(OK);
    while (client.len < wanted && !client.ended) {
        run_turns(loop, 4);
        notes->len = 0;
    }
    ck_assert_uint_eq(client.len, wanted);
    free(text);
}
END_TEST

/* RFC 9112 section 2.2: behind a body, say. By itself it begins no request, and no clock. */
START_TEST(empty_lines_between)
{
    say("POST /p HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello\r\n");
    wait_notes(loop, notes, "POST /p{hello}close ");
    ck_assert(down_conn_idle(server));
    say(GET "\r\n" GET);
    wait_notes(loop, notes, "POST /p{hello}close " DONE DONE);
    say("\r\n");
    run_turns(loop, 10);
    ck_assert(down_conn_idle(server));
    say(GET);
    wait_data(loop, &client, OK OK OK OK);
}
END_TEST

START_TEST(close_is_kept)
{
    say("GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n" GET);
    wait_data(loop, &client, BYE);
    wait_notes(loop, notes, DONE);
    wait_ended(loop, &client, CONN_EOF);
    ck_assert(closed);
}
END_TEST

/* A client that has promised to send nothing more, and did not, needs no lingering; any other does. */
static const struct {
    const char *request;
    bool lingers;
} last_requests[] = {
    {"GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n", false},
    {"GET / HTTP/1.0\r\n" H "\r\n", false},
    {"GET / HTTP/1.1\r\n" H "Connection: close\r\nContent-Length: 0\r\n\r\n", false},
    {"GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n" GET, true},
    {"GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n\r\n", true},
    {"GET / HTTP/1.1\r\n" H "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     true},
};

START_TEST(lingering_where_more_may_come)
{
    say(last_requests[_i].request);
    run_until_true(loop, &closed);
    ck_assert_uint_eq(conn_lingering(loop), last_requests[_i].lingers ? 1 : 0);
    wait_data(loop, &client, BYE);
    wait_notes(loop, notes, DONE);
    wait_ended(loop, &client, CONN_EOF);
}
END_TEST

/* What has come behind the request, and was not read, would turn the close into a reset. */
START_TEST(lingering_where_more_came)
{
    on_whole = answer_later;
    say("GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    wait_notes(loop, notes, "GET /{}");
    say("\r\n");
    if (_i == 0) { /* the loop has heard of it */
        run_turns(loop, 4);
    }
    answer(current);
    flush();
    run_until_true(loop, &closed);
    ck_assert_uint_eq(conn_lingering(loop), 1);
    wait_data(loop, &client, BYE);
    wait_ended(loop, &client, CONN_EOF);
}
END_TEST

/* ---- how bodies of responses go out ---- */

static void answer_chunked(struct fake *fake)
{
    answer_as(fake, 200, BODY_CHUNKED, "hello world 0123456789");
}

static void answer_until_close(struct fake *fake)
{
    answer_as(fake, 200, BODY_CLOSE, "hello");
}

START_TEST(chunked)
{
    on_whole = answer_chunked;
    say(GET);
    wait_data(
        loop, &client,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n16\r\nhello world 0123456789\r\n"
        "0\r\n\r\n");
    ck_assert(!closed);
}
END_TEST

START_TEST(chunked_where_the_server_meant_its_end)
{
    on_whole = answer_until_close;
    say(GET);
    wait_data(loop, &client,
              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    ck_assert(!closed);
}
END_TEST

/* RFC 9112 section 7.1: HTTP/1.0 has no chunks; its body ends with the connection. */
START_TEST(http_1_0_gets_no_chunks)
{
    on_whole = answer_chunked;
    say("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    wait_data(loop, &client, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello world 0123456789");
    wait_ended(loop, &client, CONN_EOF);
}
END_TEST

START_TEST(http_1_0_may_keep_its_connection)
{
    say("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n");
    wait_data(loop, &client,
              "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok" BYE);
    wait_ended(loop, &client, CONN_EOF);
}
END_TEST

START_TEST(head_has_no_body)
{
    say("HEAD / HTTP/1.1\r\n" H "\r\n" GET);
    wait_data(loop, &client, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" OK);
}
END_TEST

START_TEST(no_content_has_no_body)
{
    on_whole = answer_later;
    say(GET);
    wait_notes(loop, notes, "GET /{}");
    answer_as(current, 204, BODY_NONE, "not to be sent");
    flush();
    wait_data(loop, &client, "HTTP/1.1 204 No Content\r\n\r\n");
    ck_assert(!closed);
}
END_TEST

static void answer_with_trailers(struct fake *fake)
{
    struct down *down = fake->exchange.down;
    struct http_response_head head = {.status = 200, .version = HTTP_1_1, .body = BODY_CHUNKED};
    fake->exchange.response = head;
    down->ops->head(down, &fake->exchange.response, false);
    down->ops->data(down, "x", 1);
    down->ops->trailer(down, STR("A"), STR("b"));
    down->ops->trailer(down, STR("C"), STR(""));
    down->ops->end(down);
}

START_TEST(trailers)
{
    on_whole = answer_with_trailers;
    say(GET "GET / HTTP/1.0\r\n\r\n");
    wait_data(loop, &client,
              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\nC: \r\n"
              "\r\nHTTP/1.1 200 OK\r\nConnection: close\r\n\r\nx");
}
END_TEST

static void begin_answer(struct fake *fake)
{
    struct down *down = fake->exchange.down;
    fake->exchange.response = (struct http_response_head){
        .status = 200, .version = HTTP_1_1, .body = BODY_LENGTH, .content_length = 5};
    down->ops->head(down, &fake->exchange.response, false);
}

/* A body of another length than announced is broken visibly, and never longer. */
START_TEST(too_little_is_cut)
{
    on_whole = answer_later;
    say(GET);
    wait_notes(loop, notes, "GET /{}");
    begin_answer(current);
    current->exchange.down->ops->data(current->exchange.down, "abc", 3);
    current->exchange.down->ops->end(current->exchange.down);
    wait_notes(loop, notes, "GET /{}cut ");
    wait_ended(loop, &client, CONN_ERROR);
}
END_TEST

START_TEST(too_much_is_cut)
{
    on_whole = answer_later;
    say(GET);
    wait_notes(loop, notes, "GET /{}");
    begin_answer(current);
    current->exchange.down->ops->data(current->exchange.down, "abcdefg", 7);
    flush();
    wait_data(loop, &client, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde");
    current->exchange.down->ops->end(current->exchange.down);
    wait_notes(loop, notes, "GET /{}cut ");
    wait_ended(loop, &client, CONN_ERROR);
}
END_TEST

START_TEST(reset_is_seen)
{
    on_whole = answer_later;
    say(GET);
    wait_notes(loop, notes, "GET /{}");
    begin_answer(current);
    current->exchange.down->ops->data(current->exchange.down, "abc", 3);
    current->exchange.down->ops->reset(current->exchange.down);
    wait_notes(loop, notes, "GET /{}cut ");
    wait_ended(loop, &client, CONN_ERROR);
    ck_assert_str_eq(client.data, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc");
}
END_TEST

/* ---- 1xx and early answers ---- */

static void interim_then_answer(struct fake *fake)
{
    struct http_response_head head = {.status = 103, .version = HTTP_1_1};
    fields_add(&head.fields, &fake->exchange.arena, STR("Link"), STR("l"));
    fake->exchange.down->ops->interim(fake->exchange.down, &head);
    answer(fake);
}

START_TEST(interim_responses)
{
    on_whole = interim_then_answer;
    say(GET "GET / HTTP/1.0\r\n\r\n");
    wait_data(loop, &client, "HTTP/1.1 103 Early Hints\r\nLink: l\r\n\r\n" OK BYE);
}
END_TEST

static void say_continue(struct fake *fake)
{
    struct http_response_head head = {.status = 100, .version = HTTP_1_1};
    ck_assert(fake->exchange.request.expect_continue);
    fake->exchange.down->ops->interim(fake->exchange.down, &head);
}

START_TEST(continue_and_go_on)
{
    on_head = say_continue;
    say("POST /p HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    wait_data(loop, &client, "HTTP/1.1 100 Continue\r\n\r\n");
    on_head = NULL;
    say("hello" GET);
    wait_data(loop, &client, "HTTP/1.1 100 Continue\r\n\r\n" OK OK);
    wait_notes(loop, notes, "POST /p{hello}close " DONE);
}
END_TEST

static void refuse_body(struct fake *fake)
{
    answer_as(fake, 403, BODY_LENGTH, "no");
}

static const char *const bodies_to_come[] = {"Content-Length: 5\r\n\r\n",
                                             "Transfer-Encoding: chunked\r\n\r\n"};

/* A final answer before the body goes out at once; what comes then is no request. */
START_TEST(early_answer)
{
    on_head = refuse_body;
    say("POST /p HTTP/1.1\r\n" H);
    say(bodies_to_come[_i]);
    wait_data(loop, &client,
              "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    wait_notes(loop, notes, "POST /p{close ");
    say(GET);
    wait_ended(loop, &client, CONN_EOF);
    wait_notes(loop, notes, "POST /p{close ");
}
END_TEST

/* Whether a client that was not told to go on sends its body cannot be known: no more requests. */
START_TEST(early_answer_to_an_expectation)
{
    on_head = answer;
    say("POST /p HTTP/1.1\r\n" H "Expect: 100-continue\r\n");
    say(bodies_to_come[_i]);
    wait_data(loop, &client, BYE);
    say(GET);
    wait_ended(loop, &client, CONN_EOF);
    wait_notes(loop, notes, "POST /p{close ");
}
END_TEST

/* ---- requests that are refused ---- */

#define REFUSED(status_line) \
    "HTTP/1.1 " status_line "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

START_TEST(what_follows_a_refused_request_is_not_read)
{
    say("GET / HTTP/1.1\r\nHost : h\r\n\r\n" GET);
    wait_data(loop, &client, REFUSED("400 Bad Request"));
    wait_notes(loop, notes, "refused space_before_colon close ");
    say(GET);
    wait_ended(loop, &client, CONN_EOF);
    wait_notes(loop, notes, "refused space_before_colon close ");
}
END_TEST

START_TEST(what_follows_both_lengths_is_not_read)
{
    say("POST /p HTTP/1.1\r\n" H
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX" GET);
    wait_data(loop, &client, BYE);
    wait_ended(loop, &client, CONN_EOF);
    wait_notes(loop, notes, "POST /p{}close ");
}
END_TEST

START_TEST(broken_chunks)
{
    say("POST /p HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\nx");
    wait_data(loop, &client, REFUSED("400 Bad Request"));
    wait_notes(loop, notes, "POST /p{abgone protocol close ");
    wait_ended(loop, &client, CONN_EOF);
}
END_TEST

START_TEST(broken_chunks_when_the_answer_has_begun)
{
    on_head = begin_answer;
    say("POST /p HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\nx");
    wait_notes(loop, notes, "POST /p{abgone protocol cut ");
    wait_ended(loop, &client, CONN_ERROR);
}
END_TEST

START_TEST(announced_bodies_above_the_limit)
{
    conf.body_limit = 4;
    say("POST /p HTTP/1.1\r\n" H "Content-Length: 4\r\n\r\nabcd"
        "POST /q HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\n");
    wait_data(loop, &client, OK REFUSED("413 Content Too Large"));
    wait_notes(loop, notes, "POST /p{abcd}close refused body_too_large close ");
}
END_TEST

START_TEST(bodies_that_grow_above_the_limit)
{
    conf.body_limit = 4;
    say("POST /p HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n1\r\ne\r\n");
    wait_data(loop, &client, REFUSED("413 Content Too Large"));
    wait_notes(loop, notes, "POST /p{abcdgone protocol close ");
}
END_TEST

/* ---- clients that go away ---- */

START_TEST(a_half_closed_client_gets_its_answer)
{
    on_whole = answer_later;
    say(GET);
    wait_notes(loop, notes, "GET /{}");
    client_half_close();
    run_turns(loop, 10);
    answer(current);
    flush();
    wait_data(loop, &client, BYE);
    wait_notes(loop, notes, DONE);
    wait_ended(loop, &client, CONN_EOF);
}
END_TEST

START_TEST(a_half_closed_client_gets_all_its_answers)
{
    on_whole = _i == 0 ? answer : answer_later;
    say(GET GET GET);
    client_half_close();
    if (_i == 1) {
        wait_notes(loop, notes, "GET /{}");
        answer(current);
        flush();
        wait_notes(loop, notes, DONE "GET /{}");
        answer(current);
        flush();
        wait_notes(loop, notes, DONE DONE "GET /{}");
        answer(current);
        flush();
    }
    wait_notes(loop, notes, DONE DONE DONE);
    wait_ended(loop, &client, CONN_EOF);
    ck_assert_uint_ge(client.len, strlen(OK OK BYE) - strlen("Connection: close\r\n"));
}
END_TEST

/* The same where the end is known before the second request is looked at. */
START_TEST(a_half_closed_client_gets_its_answers_at_once)
{
    on_whole = answer_later;
    say(GET GET GET);
    wait_notes(loop, notes, "GET /{}");
    client_half_close();
    run_turns(loop, 10);
    on_whole = answer;
    answer(current);
    flush();
    wait_notes(loop, notes, DONE DONE DONE);
    wait_data(loop, &client, OK OK BYE);
    wait_ended(loop, &client, CONN_EOF);
}
END_TEST

START_TEST(an_idle_client_may_end)
{
    say(GET);
    wait_data(loop, &client, OK);
    client_half_close();
    wait_ended(loop, &client, CONN_EOF);
    ck_assert(closed);
    wait_notes(loop, notes, DONE);
}
END_TEST

START_TEST(a_client_that_ends_before_it_has_asked)
{
    client_half_close();
    wait_ended(loop, &client, CONN_EOF);
    ck_assert(closed);
    wait_notes(loop, notes, "");
}
END_TEST

START_TEST(a_cut_head_is_no_request)
{
    say("GET / HTTP/1.1\r\nHost: h\r\n");
    run_turns(loop, 6);
    client_half_close();
    wait_data(loop, &client, REFUSED("400 Bad Request"));
    wait_notes(loop, notes, "refused head_cut close ");
    wait_ended(loop, &client, CONN_EOF);
}
END_TEST

START_TEST(a_cut_body_is_no_request)
{
    say("POST /p HTTP/1.1\r\n" H);
    say(bodies_to_come[_i]);
    wait_notes(loop, notes, "POST /p{");
    client_half_close();
    wait_data(loop, &client, REFUSED("400 Bad Request"));
    wait_notes(loop, notes, "POST /p{gone protocol close ");
    wait_ended(loop, &client, CONN_EOF);
}
END_TEST

/* Nobody waits for the answer any more, whatever else was sent. */
START_TEST(a_reset_is_heard_while_the_answer_is_made)
{
    on_whole = answer_later;
    say(_i == 0 ? GET : GET GET);
    wait_notes(loop, notes, "GET /{}");
    client_reset();
    wait_notes(loop, notes, "GET /{}gone closed cut ");
    ck_assert(closed);
}
END_TEST

START_TEST(a_reset_is_heard_in_a_body)
{
    say("POST /p HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nab");
    wait_notes(loop, notes, "POST /p{ab");
    client_reset();
    wait_notes(loop, notes, "POST /p{abgone closed cut ");
    ck_assert(closed);
}
END_TEST

/* ---- time ---- */

#define SHORT_NS (30 * NS_PER_MS)

START_TEST(idle_connections_are_closed)
{
    conf.idle_timeout_ns = SHORT_NS;
    say(GET);
    wait_data(loop, &client, OK);
    wait_ended(loop, &client, CONN_EOF);
    ck_assert_str_eq(client.data, OK);
}
END_TEST

START_TEST(slow_heads)
{
    conf.header_timeout_ns = SHORT_NS;
    say("GET / HT");
    wait_data(loop, &client, REFUSED("408 Request Timeout"));
    wait_notes(loop, notes, "refused header_timeout close ");
    wait_ended(loop, &client, CONN_EOF);
}
END_TEST

START_TEST(slow_bodies)
{
    conf.body_timeout_ns = SHORT_NS;
    say("POST /p HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nab");
    wait_data(loop, &client, REFUSED("408 Request Timeout"));
    wait_notes(loop, notes, "POST /p{abgone timeout close ");
    wait_ended(loop, &client, CONN_EOF);
}
END_TEST

/* A response that no socket holds, to a client that does not read. */
static char *answer_large(void)
{
    const int size = 64 * 1024;
    char *large = pattern(8u << 20);
    setsockopt(server->conn->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    setsockopt(client.conn->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    on_whole = answer_later;
    say(GET);
    wait_notes(loop, notes, "GET /{}");
    client.deaf = true;
    answer_as(current, 200, BODY_LENGTH, large);
    flush();
    run_turns(loop, 1);
    ck_assert_uint_gt(conn_waiting(server->conn), 0);
    return large;
}

/* What the client takes by itself, past its connection. */
static size_t take(size_t most)
{
    static char sink[64 * 1024];
    ssize_t n = recv(client.conn->fd, sink, most < sizeof(sink) ? most : sizeof(sink), 0);
    return n > 0 ? (size_t)n : 0;
}

/* The turn's time, as if so much had passed. */
static void pass_time(uint64_t ns)
{
    (void)loop_now_ns(loop);
    loop->now_ns_ += ns;
}

static void look_at_the_clock(void)
{
    server->timer.fn(&server->timer);
}

START_TEST(clients_that_do_not_read)
{
    char *large = answer_large();
    look_at_the_clock(); /* of the head, say: it is not the response's */
    ck_assert(!closed);
    pass_time(conf.idle_timeout_ns / 2);
    look_at_the_clock();
    ck_assert(!closed);
    pass_time(conf.idle_timeout_ns / 2);
    look_at_the_clock();
    wait_notes(loop, notes, "GET /{}cut ");
    ck_assert(closed);
    free(large);
}
END_TEST

/* All of the response has been handed over; some of it goes from time to time. What counts is what the
 * client's kernel has acknowledged, which may come a little later than the client takes something. */
START_TEST(clients_that_read_slowly)
{
    char *large = answer_large();
    for (int i = 0; i < 5; i++) {
        while (conn_taken_mark(server->conn) ==
               ((const struct h1_serving *)current->exchange.serving)->stall_mark) {
            take(SIZE_MAX);
            run_turns(loop, 2);
        }
        ck_assert_uint_gt(conn_waiting(server->conn), 0);
        pass_time(2 * conf.idle_timeout_ns);
        look_at_the_clock();
        ck_assert(!closed);
    }
    free(large);
}
END_TEST

/* Nothing waits for the client: no clock of what came before is one of the response's. */
START_TEST(clocks_of_before)
{
    on_whole = answer_later;
    say(GET);
    wait_notes(loop, notes, "GET /{}");
    for (int i = 0; i < 3; i++) {
        pass_time(2 * conf.idle_timeout_ns);
        look_at_the_clock();
    }
    ck_assert(!closed);
    answer(current);
    flush();
    wait_data(loop, &client, OK);
}
END_TEST

/* The kernel holds what it can: the answer to a refused request has to wait, and not for ever. */
START_TEST(refused_clients_that_do_not_read)
{
    char *large = answer_large();
    conf.header_timeout_ns = conf.idle_timeout_ns = SHORT_NS;
    while (strcmp(notes->text, DONE) != 0) {
        take(4096);
        run_turns(loop, 2);
    }
    say("GET / HT");
    run_until_true(loop, &closed);
    free(large);
}
END_TEST

/* ---- drain and abort ---- */

/* A time for one more request, and then the end. */
START_TEST(draining_when_idle)
{
    conf.lame_duck_ns = SHORT_NS;
    say(GET);
    wait_data(loop, &client, OK);
    down_conn_drain(server);
    ck_assert(!closed);
    wait_ended(loop, &client, CONN_EOF);
    ck_assert_str_eq(client.data, OK);
}
END_TEST

START_TEST(draining_serves_one_more)
{
    conf.lame_duck_ns = 60 * NS_PER_SECOND;
    say(GET);
    wait_data(loop, &client, OK);
    down_conn_drain(server);
    say(GET);
    wait_data(loop, &client, OK BYE);
    wait_ended(loop, &client, CONN_EOF);
}
END_TEST

/* The time is over, and a request lies in the socket of which no turn has heard: of who drains, and of who
 * was idle for long. */
START_TEST(idle_connections_are_read_once_more)
{
    say(GET);
    wait_data(loop, &client, OK);
    if (_i == 1) {
        down_conn_drain(server);
    }
    say(GET);
    look_at_the_clock();
    wait_data(loop, &client, _i == 1 ? OK BYE : OK OK);
}
END_TEST

/* Who has only just come has a second for the first byte, also without a lame duck's time. */
START_TEST(draining_when_new)
{
    down_conn_drain(server);
    ck_assert(!closed);
    ck_assert_uint_ge(server->timer.deadline_ns, loop_now_ns(loop) + NS_PER_SECOND / 2);
    say(GET);
    wait_data(loop, &client, BYE);
    wait_ended(loop, &client, CONN_EOF);
}
END_TEST

START_TEST(draining_serves_what_is_here)
{
    on_whole = answer_later;
    say(GET GET);
    wait_notes(loop, notes, "GET /{}");
    down_conn_drain(server);
    answer(current);
    flush();
    wait_notes(loop, notes, "GET /{}close GET /{}");
    answer(current);
    flush();
    wait_data(loop, &client, OK BYE);
    wait_ended(loop, &client, CONN_EOF);
}
END_TEST

START_TEST(draining_when_busy)
{
    on_whole = answer_later;
    say(GET);
    wait_notes(loop, notes, "GET /{}");
    down_conn_drain(server);
    ck_assert(!closed);
    answer(current);
    flush();
    wait_data(loop, &client, BYE);
    wait_ended(loop, &client, CONN_EOF);
}
END_TEST

/* Its end comes with the request, or behind it; off, it is half a close. */
START_TEST(ends_before_the_answer)
{
    conf.abort_on_close = _i >= 2;
    on_whole = answer_later;
    say(GET);
    if (_i % 2 == 0) {
        wait_notes(loop, notes, "GET /{}");
    }
    client_half_close();
    if (_i >= 2) {
        wait_notes(loop, notes, "GET /{}gone closed cut ");
        ck_assert(closed);
        return;
    }
    wait_notes(loop, notes, "GET /{}");
    run_turns(loop, 3);
    answer(current);
    flush();
    wait_ended(loop, &client, CONN_EOF);
    ck_assert_int_eq(strncmp(client.data, "HTTP/1.1 200 OK", 15), 0);
}
END_TEST

/* Before a request goes on after a wait: no turn has heard of the client's end yet. */
START_TEST(a_look_at_the_client)
{
    conf.abort_on_close = _i == 1;
    on_whole = answer_later;
    say(GET);
    wait_notes(loop, notes, "GET /{}");
    ck_assert(current->exchange.down->ops->look(current->exchange.down));
    if (_i == 0) {
        client_reset();
    } else {
        client_half_close();
    }
    ck_assert(current->exchange.down->ops->look(current->exchange.down) == (_i == 2));
    ck_assert_str_eq(notes->text, _i == 2 ? "GET /{}" : "GET /{}gone closed ");
}
END_TEST

START_TEST(a_listener_that_is_gone)
{
    on_whole = answer_later;
    say(GET);
    wait_notes(loop, notes, "GET /{}");
    conf_gone = true;
    answer(current);
    flush();
    wait_data(loop, &client, BYE);
    wait_ended(loop, &client, CONN_EOF);
}
END_TEST

START_TEST(aborting)
{
    on_whole = answer_later;
    say(GET);
    wait_notes(loop, notes, "GET /{}");
    down_conn_abort(server);
    ck_assert(closed);
    wait_notes(loop, notes, "GET /{}gone closed cut ");
}
END_TEST

/* ---- flow ---- */

static void pause_body(struct fake *fake)
{
    fake->exchange.down->ops->pause(fake->exchange.down);
}

START_TEST(paused_bodies_wait)
{
    on_head = pause_body;
    say("POST /p HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nab");
    wait_notes(loop, notes, "POST /p{");
    say("cde");
    run_turns(loop, 10);
    ck_assert_str_eq(notes->text, "POST /p{");
    on_head = NULL;
    current->exchange.down->ops->resume(current->exchange.down);
    wait_notes(loop, notes, "POST /p{abcde}close ");
    wait_data(loop, &client, OK);
    say(GET);
    wait_data(loop, &client, OK OK);
}
END_TEST

START_TEST(what_waits_is_sent_when_the_client_reads)
{
    size_t len = 8u << 20;
    char *large = pattern(len);
    on_whole = answer_later;
    say(GET);
    wait_notes(loop, notes, "GET /{}");
    client.deaf = true;
    answer_as(current, 200, BODY_LENGTH, large);
    flush();
    run_turns(loop, 10);
    ck_assert_str_eq(notes->text, "GET /{}");
    client.deaf = false;
    conn_resume_read(client.conn);
    wait_notes(loop, notes, DONE);
    while (client.len < len)
        run_turns(loop, 2);
    ck_assert_str_eq(client.data + client.len - len, large);
    free(large);
}
END_TEST

/* ---- tunnels ---- */

static void switch_over(struct fake *fake)
{
    struct down *down = fake->exchange.down;
    fake->exchange.response =
        (struct http_response_head){.status = 101, .version = HTTP_1_1, .body = BODY_TUNNEL};
    ck_assert(fake->exchange.request.upgrade_websocket);
    down->ops->head(down, &fake->exchange.response, true);
}

#define UPGRADE "GET /w HTTP/1.1\r\n" H "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
#define SWITCHED \
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

START_TEST(tunnel)
{
    on_whole = switch_over;
    say(UPGRADE "early ");
    wait_data(loop, &client, SWITCHED);
    wait_notes(loop, notes, "GET /w{}early ");
    say(GET);
    wait_notes(loop, notes, "GET /w{}early " GET);
    struct down *down = current->exchange.down;
    down->ops->data(down, "\x81\x02hi", 4);
    flush();
    wait_data(loop, &client, SWITCHED "\x81\x02hi");

    on_whole = NULL;
    if (_i == 0) { /* the client ends first */
        client_half_close();
        wait_notes(loop, notes, "GET /w{}early " GET "}");
        down->ops->data(down, "bye", 3);
        down->ops->end(down);
    } else {
        down->ops->data(down, "bye", 3);
        down->ops->end(down);
        wait_ended(loop, &client, CONN_EOF);
        ck_assert(!closed);
        say("more");
        client_half_close();
    }
    wait_notes(loop, notes,
               _i == 0 ? "GET /w{}early " GET "}close " : "GET /w{}early " GET "more}close ");
    ck_assert_str_eq(client.data, SWITCHED "\x81\x02hibye");
    wait_ended(loop, &client, CONN_EOF);
    ck_assert(closed);
}
END_TEST

START_TEST(tunnel_that_the_client_breaks)
{
    on_whole = switch_over;
    say(UPGRADE);
    wait_data(loop, &client, SWITCHED);
    client_reset();
    wait_notes(loop, notes, "GET /w{}gone closed cut ");
    ck_assert(closed);
}
END_TEST

static TCase *group(Suite *suite, const char *name, void (*begin)(void))
{
    TCase *tcase = tcase_create(name);
    tcase_add_checked_fixture(tcase, begin, tear_down);
    tcase_set_timeout(tcase, 30);
    suite_add_tcase(suite, tcase);
    return tcase;
}

static Suite *server_suite(void)
{
    Suite *suite = suite_create("h1_down");
    TCase *requests = group(suite, "requests", set_up);
    tcase_add_test(requests, keep_alive);
    tcase_add_test(requests, pipelined_requests_wait_for_their_turn);
    tcase_add_test(requests, pipelined_requests_answered_at_once);
    tcase_add_loop_test(requests, requests_cut_at_every_position, 1, sizeof(pipeline) - 1);
    tcase_add_test(requests, requests_in_single_bytes);
    tcase_add_test(requests, empty_lines_between);
    tcase_add_test(requests, close_is_kept);
    tcase_add_loop_test(requests, lingering_where_more_may_come, 0, ARRAY_COUNT(last_requests));
    tcase_add_loop_test(requests, lingering_where_more_came, 0, 2);
    TCase *large = group(suite, "large", set_up_large);
    tcase_add_loop_test(large, a_long_pipeline_behind_a_body, 0, 2);
    TCase *responses = group(suite, "responses", set_up);
    tcase_add_test(responses, chunked);
    tcase_add_test(responses, chunked_where_the_server_meant_its_end);
    tcase_add_test(responses, http_1_0_gets_no_chunks);
    tcase_add_test(responses, http_1_0_may_keep_its_connection);
    tcase_add_test(responses, head_has_no_body);
    tcase_add_test(responses, no_content_has_no_body);
    tcase_add_test(responses, trailers);
    tcase_add_test(responses, too_little_is_cut);
    tcase_add_test(responses, too_much_is_cut);
    tcase_add_test(responses, reset_is_seen);
    tcase_add_test(responses, interim_responses);
    tcase_add_test(responses, continue_and_go_on);
    tcase_add_loop_test(responses, early_answer, 0, 2);
    tcase_add_loop_test(responses, early_answer_to_an_expectation, 0, 2);
    TCase *refused = group(suite, "refused", set_up);
    tcase_add_test(refused, what_follows_a_refused_request_is_not_read);
    tcase_add_test(refused, what_follows_both_lengths_is_not_read);
    tcase_add_test(refused, broken_chunks);
    tcase_add_test(refused, broken_chunks_when_the_answer_has_begun);
    tcase_add_test(refused, announced_bodies_above_the_limit);
    tcase_add_test(refused, bodies_that_grow_above_the_limit);
    TCase *gone = group(suite, "gone", set_up);
    tcase_add_test(gone, a_half_closed_client_gets_its_answer);
    tcase_add_loop_test(gone, a_half_closed_client_gets_all_its_answers, 0, 2);
    tcase_add_test(gone, a_half_closed_client_gets_its_answers_at_once);
    tcase_add_test(gone, an_idle_client_may_end);
    tcase_add_test(gone, a_client_that_ends_before_it_has_asked);
    tcase_add_test(gone, a_cut_head_is_no_request);
    tcase_add_loop_test(gone, a_cut_body_is_no_request, 0, 2);
    tcase_add_loop_test(gone, a_reset_is_heard_while_the_answer_is_made, 0, 2);
    tcase_add_test(gone, a_reset_is_heard_in_a_body);
    TCase *time = group(suite, "time", set_up);
    tcase_add_test(time, idle_connections_are_closed);
    tcase_add_test(time, slow_heads);
    tcase_add_test(time, slow_bodies);
    tcase_add_test(time, clients_that_do_not_read);
    tcase_add_test(time, clients_that_read_slowly);
    tcase_add_test(time, clocks_of_before);
    tcase_add_test(time, refused_clients_that_do_not_read);
    tcase_add_test(time, draining_when_idle);
    tcase_add_test(time, draining_serves_one_more);
    tcase_add_loop_test(time, idle_connections_are_read_once_more, 0, 2);
    tcase_add_test(time, draining_when_new);
    tcase_add_test(time, draining_serves_what_is_here);
    tcase_add_test(time, draining_when_busy);
    tcase_add_loop_test(time, ends_before_the_answer, 0, 4);
    tcase_add_loop_test(time, a_look_at_the_client, 0, 3);
    tcase_add_test(time, a_listener_that_is_gone);
    tcase_add_test(time, aborting);
    TCase *flow = group(suite, "flow", set_up);
    tcase_add_test(flow, paused_bodies_wait);
    tcase_add_test(flow, what_waits_is_sent_when_the_client_reads);
    tcase_add_loop_test(flow, tunnel, 0, 2);
    tcase_add_test(flow, tunnel_that_the_client_breaks);
    return suite;
}

UNIT_SUITE(server_suite);
