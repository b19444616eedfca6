/* SPDX-License-Identifier: MIT */
/*
 * h1_up.c: connections to servers as a state machine, between a server's socket and streams that
 * only take notes. Notes are `status{body|trailers}` for an answer, then `idle` or `closed` for what
 * becomes of the connection.
 */
#include "http/h1_parse.h"
#include "http/up_conn.h"
#include "notes.h"
#include "runner.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"

#define OK    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define ASKED "GET / HTTP/1.1\r\nHost: h\r\n\r\n"

static struct loop *loop;
static struct batch batch;
static struct end peer; /* the server's end */
static struct up_conn *client;
static struct notes *notes;
static struct exchange *exchange;
/* When the connection is idle again it serves this exchange at once, as one that had waited. */
static struct exchange *queued;
static bool stays; /* the stream does not let go at the response's end */

/* ---- streams ---- */

static void note_interim(struct exchange *of, struct http_response_head *head)
{
    ck_assert_ptr_eq(of, exchange);
    notes_add(notes, "%u ", head->status);
}

static void note_response(struct exchange *of)
{
    ck_assert_ptr_eq(of, exchange);
    notes_add(notes, "%u{", of->response.status);
}

static void note_data(struct exchange *of, const char *data, size_t len)
{
    ck_assert_ptr_eq(of, exchange);
    ck_assert_uint_gt(len, 0);
    notes_add_bytes(notes, data, len);
}

static void note_trailer(struct exchange *of, struct weir_str name, struct weir_str value)
{
    ck_assert_ptr_eq(of, exchange);
    notes_add(notes, "|%.*s: %.*s", STR_ARGS(name), STR_ARGS(value));
}

static void let_go(void)
{
    struct exchange *of = exchange; /* the next one may get the connection at once */
    if (of->up != NULL)
        of->up->ops->release(of->up);
    ck_assert_ptr_null(of->up);
}

static void note_response_end(struct exchange *of)
{
    ck_assert_ptr_eq(of, exchange);
    notes_add(notes, "} ");
    if (!stays)
        let_go();
}

static void note_flushed(struct exchange *of)
{
    ck_assert_ptr_eq(of, exchange);
    ck_assert_ptr_nonnull(of->up);
}

static void note_failed(struct exchange *of, enum up_failure why)
{
    static const char *const words[] = {"reset",  "stale", "malformed", "truncated",
                                        "unread", "stray", "overlong"};
    ck_assert_ptr_eq(of, exchange);
    ck_assert_ptr_null(of->up);
    notes_add(notes, "failed %s ", words[why]);
    if (why == UP_MALFORMED || why == UP_STRAY)
        notes_add(notes, "%s ", of->error.reason);
}

static const struct up_events events = {
    .on_interim = note_interim,
    .on_response = note_response,
    .on_data = note_data,
    .on_trailer = note_trailer,
    .on_response_end = note_response_end,
    .on_flushed = note_flushed,
    .on_drained = note_flushed,
    .on_failed = note_failed,
};

static void note_idle(struct up_conn *of)
{
    ck_assert_ptr_eq(of, client);
    notes_add(notes, "idle ");
    if (queued != NULL) {
        exchange = queued;
        queued = NULL;
        ck_assert(up_conn_use(client, exchange, false));
        ck_assert(exchange->up->ops->head(exchange->up, NULL, 0));
    }
}

static void note_closed(struct up_conn *of)
{
    ck_assert_ptr_eq(of, client);
    notes_add(notes, "closed ");
    client = NULL;
}

static const struct up_owner owner = {
    .events = &events,
    .on_room = note_idle,
    .on_closed = note_closed,
};

/* ---- the stage ---- */

static void parse_request(struct exchange *of, const char *raw)
{
    const struct http_limits limits = {.head = 2048, .fields = 20, .target = 512};
    struct h1_scan scan = {0};
    size_t used;
    arena_reset(&of->arena);
    ck_assert_int_eq(h1_parse_request(raw, strlen(raw), &limits, &scan, &of->arena, &of->request,
                                      &used, &of->error),
                     H1_DONE);
    fields_drop_hop_by_hop(&of->request.fields);
}

static struct exchange *exchange_new(void)
{
    struct exchange *made = base_zalloc(sizeof(*made));
    arena_init(&made->arena, NULL, 0);
    return made;
}

static void exchange_free(struct exchange *of)
{
    arena_reset(&of->arena);
    free(of);
}

static void set_up(void)
{
    const struct http_limits limits = {.head = 2048, .fields = 20, .target = 1};
    int fds[2];
    loop = loop_new(0);
    ck_assert_ptr_nonnull(loop);
    batch = (struct batch){0};
    notes = base_zalloc(sizeof(*notes));
    exchange = exchange_new();
    queued = NULL;
    stays = false;
    tcp_pair(fds);
    peer = (struct end){0};
    peer.conn = conn_accept(loop, fds[0], NULL, &end_ops, &peer);
    struct conn *conn = conn_accept(loop, fds[1], NULL, NULL, NULL);
    client = up_conn_open(NULL, conn, &batch, &limits, &owner, NULL);
    ck_assert_ptr_nonnull(client);
}

static void tear_down(void)
{
    stays = false;
    if (exchange->up != NULL)
        let_go();
    if (client != NULL)
        up_conn_close(client);
    end_free(&peer);
    run_turns(loop, 2);
    loop_free(&loop);
    exchange_free(exchange);
    free(notes);
}

/* Sends a request; false: the connection turned out to be closed. */
static bool ask_with(const char *raw, bool probe)
{
    if (exchange->up != NULL)
        let_go();
    parse_request(exchange, raw);
    exchange->response = (struct http_response_head){0};
    if (!up_conn_use(client, exchange, probe))
        return false;
    ck_assert(exchange->up->ops->head(exchange->up, NULL, 0));
    batch_flush(&batch);
    return true;
}

static void ask(const char *raw)
{
    ck_assert(ask_with(raw, false));
}

static void say(const char *text)
{
    ck_assert(end_send(&peer, text));
}

static void peer_close(void)
{
    conn_shutdown(peer.conn);
}

static void peer_reset(void)
{
    conn_close(&peer.conn, true);
}

/* Reads no more either. */
static void peer_leave(void)
{
    conn_close(&peer.conn, false);
}

/* ---- answers ---- */

static const struct {
    const char *rule, *asked, *said, *noted;
    bool end; /* the server ends the connection behind it */
} answers[] = {
    {"a length", ASKED, OK, "200{ok} idle ", false},
    {"no body", ASKED, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200{} idle ", false},
    {"9112 7.1: chunks", ASKED,
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nok\r\n0\r\nA: b\r\nHost: "
     "x\r\n\r\n",
     "200{ok|A: b} idle ", false},
    {"9112 6.3: until the end", ASKED, "HTTP/1.1 200 OK\r\n\r\nok", "200{ok} closed ", true},
    {"9112 6.3: HTTP/1.0", ASKED, "HTTP/1.0 200 OK\r\n\r\nok", "200{ok} closed ", true},
    {"9112 9.3: HTTP/1.0 does not keep", ASKED, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
     "200{ok} closed ", false},
    {"9112 9.3: unless it says so", ASKED,
     "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok", "200{ok} idle ",
     false},
    {"9112 9.6: close", ASKED,
     "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "200{ok} closed ",
     false},
    {"9112 6.3: HEAD", "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "200{} idle ", false},
    {"9112 6.3: 204", ASKED, "HTTP/1.1 204 No Content\r\n\r\n", "204{} idle ", false},
    {"9112 6.3: 304", ASKED, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
     "304{} idle ", false},
    {"9110 15.2: interim ones before", ASKED,
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: l\r\n\r\n" OK,
     "100 103 200{ok} idle ", false},
    /* Surplus bytes reach nobody (RFC 9112 section 6.3, and 9.2: responses are paired by order). */
    {"9112 6.3: HEAD of a server that sends a body", "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", OK,
     "200{} closed ", false},
    {"surplus behind a length", ASKED, OK "x", "200{ok} closed ", false},
    {"a second answer", ASKED, OK OK, "200{ok} closed ", false},
    {"surplus behind no body", ASKED, "HTTP/1.1 204 No Content\r\n\r\nx", "204{} closed ", false},
    {"surplus behind chunks", ASKED,
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\r\n", "200{} closed ", false},
    /* Nonsense before a response. */
    {"no HTTP", ASKED, "hello\r\n\r\n", "closed failed malformed bad_version ", false},
    {"both lengths", ASKED,
     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     "closed failed malformed both_lengths ", false},
    {"9110 7.8: a switch that was not asked for", ASKED,
     "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
     "closed failed malformed upgrade_not_asked ", false},
    {"nonsense behind an interim one", ASKED, "HTTP/1.1 100 Continue\r\n\r\nx\r\n\r\n",
     "100 closed failed malformed bad_version ", false},
    /* Cut. */
    {"the end and no answer", ASKED, "", "closed failed reset ", true},
    {"the end in a head", ASKED, "HTTP/1.1 200 OK\r\nContent", "closed failed reset ", true},
    {"the end behind an interim one", ASKED, "HTTP/1.1 100 Continue\r\n\r\n",
     "100 closed failed reset ", true},
    {"9112 8: the end in a body", ASKED, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
     "200{okclosed failed truncated ", true},
    {"9112 8: the end between chunks", ASKED,
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
     "200{okclosed failed truncated ", true},
    {"9112 8: the end in trailers", ASKED,
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n",
     "200{ok|A: bclosed failed truncated ", true},
    {"9112 7.1: broken chunks", ASKED,
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokx",
     "200{okclosed failed malformed bad_chunk_end ", false},
};

START_TEST(answer)
{
    ask(answers[_i].asked);
    wait_data(loop, &peer, answers[_i].asked);
    if (answers[_i].said[0] != '\0')
        say(answers[_i].said);
    if (answers[_i].end)
        peer_close();
    wait_notes(loop, notes, answers[_i].noted);
}
END_TEST

/* The same in two pieces, cut anywhere. Surplus may come late: then the connection was idle. */
START_TEST(answer_in_pieces)
{
    size_t len = strlen(answers[_i].said);
    for (size_t cut = 1; cut < len; cut++) {
        char *first = base_strndup(answers[_i].said, cut);
        ask(answers[_i].asked);
        say(first);
        run_turns(loop, 5);
        if (peer.conn != NULL && client != NULL)
            end_send(&peer, answers[_i].said + cut);
        if (answers[_i].end)
            peer_close();
        wait_notes(loop, notes, answers[_i].noted);
        free(first);
        tear_down();
        set_up();
    }
}
END_TEST

START_TEST(one_connection_serves_many)
{
    for (int i = 0; i < 3; i++) {
        ask(ASKED);
        say(OK);
        run_turns(loop, 2);
        while (exchange->up != NULL)
            run_turns(loop, 2);
    }
    wait_notes(loop, notes, "200{ok} idle 200{ok} idle 200{ok} idle ");
    wait_data(loop, &peer, ASKED ASKED ASKED);
    ck_assert_uint_eq(client->served, 3);
}
END_TEST

/* Another request waits for the connection and gets it in the same turn; what the server sent too much
 * is not taken for its answer, and does not pull the connection from under it. */
START_TEST(surplus_is_no_answer_to_the_next)
{
    struct exchange *first = exchange;
    queued = exchange_new();
    parse_request(queued, ASKED);
    struct exchange *second = queued;
    ask(ASKED);
    say(_i == 0 ? OK : OK OK);
    if (_i == 0) {
        wait_notes(loop, notes, "200{ok} idle ");
        ck_assert_ptr_eq(exchange, second);
        say(OK);
        wait_notes(loop, notes, "200{ok} idle 200{ok} idle ");
        exchange_free(first);
    } else {
        wait_notes(loop, notes, "200{ok} closed ");
        ck_assert_ptr_eq(exchange, first);
        exchange_free(second);
    }
}
END_TEST

START_TEST(too_many_interim_answers)
{
    ask(ASKED);
    for (int i = 0; i < 200 && client != NULL; i++) {
        end_send(&peer, "HTTP/1.1 102 Processing\r\n\r\n");
        run_turns(loop, 3);
    }
    ck_assert_ptr_null(client);
    ck_assert_ptr_nonnull(strstr(notes->text, "failed malformed too_many_interim_responses "));
}
END_TEST

/* A read that fills its buffer to the byte leaves open whether more is there: that costs a look, and not the
 * connection, unless there is more. */
START_TEST(a_last_read_that_is_full)
{
    const char *head = "HTTP/1.1 200 OK\r\nContent-Length: ";
    char *said = NULL;
    size_t body = PACE_SMALL - strlen(head) - strlen("00000\r\n\r\n");
    char *bytes = pattern(body);
    said = base_printf("%s%05zu\r\n\r\n%s%s", head, body, bytes, _i == 0 ? "" : "x");
    ck_assert_uint_eq(strlen(said), PACE_SMALL + (size_t)_i);
    int size = 4 * PACE_SMALL;
    setsockopt(client->conn->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    ask(ASKED);
    wait_data(loop, &peer, ASKED);
    say(said);
    /* All of it is there before the first read: what is written first is read with it. */
    while (conn_waiting(peer.conn) > 0)
        run_turns(loop, 1);
    char *wanted = base_printf("200{%s} %s ", bytes, _i == 0 ? "idle" : "closed");
    wait_notes(loop, notes, wanted);
    free(wanted);
    free(said);
    free(bytes);
}
END_TEST

START_TEST(an_endless_head)
{
    ask(ASKED);
    say("HTTP/1.1 200 OK\r\nX: ");
    for (int i = 0; i < 100 && client != NULL; i++) {
        end_send(&peer, "01234567890123456789012345678901234567890123456789");
        run_turns(loop, 3);
    }
    wait_notes(loop, notes, "closed failed malformed head_too_long ");
}
END_TEST

/* ---- connections that end ---- */

START_TEST(a_reset_before_the_answer)
{
    ask(ASKED);
    wait_data(loop, &peer, ASKED);
    peer_reset();
    wait_notes(loop, notes, "closed failed reset ");
}
END_TEST

/* Idle connections end; whoever finds out by using one may try again without harm. */
START_TEST(a_connection_that_was_idle)
{
    ask(ASKED);
    say(OK);
    wait_notes(loop, notes, "200{ok} idle ");
    ask(ASKED);
    peer_close();
    wait_notes(loop, notes, "200{ok} idle closed failed stale ");
}
END_TEST

/* The server's FIN was on its way before the request came: whoever it was meant for, it was not read. */
START_TEST(a_request_that_nobody_can_have_read)
{
    ask(ASKED);
    say(OK);
    wait_notes(loop, notes, "200{ok} idle ");
    peer_leave();
    ask(ASKED);
    wait_notes(loop, notes, "200{ok} idle closed failed unread ");
}
END_TEST

/* The same on a new connection; and where the reset has overtaken what the kernel would take. */
START_TEST(a_request_that_was_never_sent)
{
    peer_leave();
    ask(ASKED);
    exchange->up->ops->data(exchange->up, "more", 4);
    batch_flush(&batch);
    exchange->up->ops->data(exchange->up, "more", 4);
    batch_flush(&batch);
    wait_notes(loop, notes, "closed failed unread ");
}
END_TEST

/* It was read, and then the server ended in good order: it may have acted. */
START_TEST(a_request_that_was_read)
{
    ask(ASKED);
    wait_data(loop, &peer, ASKED);
    peer_leave();
    wait_notes(loop, notes, "closed failed reset ");
}
END_TEST

/* A reset alone tells nothing: what it followed may have been read, and its acknowledgement be late. */
START_TEST(a_reset_tells_nothing)
{
    ask(ASKED);
    say(OK);
    wait_notes(loop, notes, "200{ok} idle ");
    ask(ASKED);
    peer_reset();
    wait_notes(loop, notes, "200{ok} idle closed failed stale ");
}
END_TEST

START_TEST(a_connection_that_was_idle_and_began_to_answer)
{
    ask(ASKED);
    say(OK);
    wait_notes(loop, notes, "200{ok} idle ");
    ask(ASKED);
    say("HTTP/1.1 2");
    run_turns(loop, 5);
    peer_close();
    wait_notes(loop, notes, "200{ok} idle closed failed reset ");
}
END_TEST

static void serve_once(void)
{
    ask(ASKED);
    say(OK);
    wait_notes(loop, notes, "200{ok} idle ");
}

/* What it says is not about this request: whoever was meant, another connection will tell. */
START_TEST(nonsense_on_a_connection_that_was_idle)
{
    static const struct {
        const char *said, *noted;
    } rows[] = {
        {"0\r\n\r\n", "closed failed stray bad_version "},
        {"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
         "closed failed stray upgrade_not_asked "},
        {"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
         "closed failed unread "},
        /* An answer is one. */
        {"HTTP/1.1 408 Request Timeout\r\nContent-Length: 2\r\n\r\nno", "408{no} idle "},
        {"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno",
         "400{no} closed "},
        {"HTTP/1.1 100 Continue\r\n\r\n0\r\n\r\n", "100 closed failed malformed bad_version "},
    };
    serve_once();
    ask(ASKED);
    say(rows[_i].said);
    char *wanted = base_printf("200{ok} idle %s", rows[_i].noted);
    wait_notes(loop, notes, wanted);
    free(wanted);
}
END_TEST

START_TEST(a_408_is_an_answer_on_a_new_connection)
{
    ask(ASKED);
    say("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    wait_notes(loop, notes, "408{} closed ");
}
END_TEST

/* Some servers close behind a head that they find too long, whoever sent it. */
START_TEST(a_long_head_that_gets_no_answer)
{
    size_t len = _i == 0 ? 3000 : 5000;
    char *value = base_alloc(len + 1);
    memset(value, 'v', len);
    value[len] = '\0';
    const struct http_extra extra = {STR("A"), {value, len}, false};
    parse_request(exchange, ASKED);
    ck_assert(up_conn_use(client, exchange, false));
    ck_assert(exchange->up->ops->head(exchange->up, &extra, 1));
    batch_flush(&batch);
    run_turns(loop, 5);
    peer_leave();
    wait_notes(loop, notes, _i == 0 ? "closed failed reset " : "closed failed overlong ");
    free(value);
}
END_TEST

START_TEST(an_idle_connection_ends)
{
    ask(ASKED);
    say(OK);
    wait_notes(loop, notes, "200{ok} idle ");
    if (_i == 0)
        peer_close();
    else if (_i == 1)
        peer_reset();
    else
        say("HTTP/1.1 408 Request Timeout\r\n\r\n");
    wait_notes(loop, notes, "200{ok} idle closed ");
}
END_TEST

/* Looked at before it is used: what has come since is found without a turn of the loop. */
START_TEST(a_dead_connection_is_found_by_looking)
{
    ask(ASKED);
    say(OK);
    wait_notes(loop, notes, "200{ok} idle ");
    ck_assert_int_eq(send(peer.conn->fd, "x", 1, MSG_NOSIGNAL), 1);
    ck_assert(!ask_with(ASKED, true));
    ck_assert_ptr_null(client);
    ck_assert_str_eq(notes->text, "200{ok} idle closed ");
}
END_TEST

/* Found by the loop in this turn, and not told yet: known all the same, and without a system call. */
static bool used_at_once;

static void use_at_once(struct conn *conn)
{
    char *data;
    size_t len;
    ck_assert_int_eq(conn_read(conn, &data, &len, 0), CONN_DATA);
    ck_assert_ptr_nonnull(client);
    used_at_once = true;
    ck_assert(!ask_with(ASKED, false));
    ck_assert_ptr_null(client);
}

START_TEST(bytes_that_wait_for_their_turn)
{
    const struct conn_ops ops = {.on_readable = use_at_once};
    int fds[2];
    serve_once();
    tcp_pair(fds);
    struct conn *other = conn_accept(loop, fds[0], NULL, &ops, NULL);
    run_turns(loop, 2);
    ck_assert_int_eq(send(fds[1], "x", 1, MSG_NOSIGNAL), 1);
    if (_i == 0)
        ck_assert_int_eq(send(peer.conn->fd, OK, strlen(OK), MSG_NOSIGNAL), (int)strlen(OK));
    else
        shutdown(peer.conn->fd, SHUT_WR);
    used_at_once = false;
    run_until_true(loop, &used_at_once);
    ck_assert_str_eq(notes->text, "200{ok} idle closed ");
    conn_close(&other, false);
    close(fds[1]);
}
END_TEST

/* What the server said before it ended is still an answer, although the request could not all go out. */
START_TEST(an_early_answer_and_a_reset)
{
    char *large = pattern(8u << 20);
    peer.deaf = true;
    ask("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 8388608\r\n\r\n");
    exchange->up->ops->data(exchange->up, large, 8u << 20);
    ck_assert_uint_gt(exchange->up->ops->waiting(exchange->up), 0);
    say("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    run_turns(loop, 1);
    wait_notes(loop, notes, "413{no} closed ");
    free(large);
}
END_TEST

/* ---- requests ---- */

START_TEST(bodies_of_requests)
{
    struct up *up;
    if (_i == 0) {
        ask("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n");
        up = exchange->up;
        up->ops->data(up, "he", 2);
        up->ops->data(up, "llo", 3);
    } else {
        ask("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
        up = exchange->up;
        up->ops->data(up, "hello world, ", 13);
        up->ops->data(up, "", 0); /* an empty chunk would be the last one */
        up->ops->data(up, "hello", 5);
        if (_i == 2) {
            up->ops->trailer(up, STR("A"), STR("b"));
            up->ops->trailer(up, STR("C"), STR(""));
        }
    }
    up->ops->end(up);
    batch_flush(&batch);
    wait_data(loop, &peer,
              _i == 0 ? "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
              : _i == 1
                  ? "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nd\r\nhello "
                    "world, \r\n5\r\nhello\r\n0\r\n\r\n"
                  : "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nd\r\nhello "
                    "world, \r\n5\r\nhello\r\n0\r\nA: b\r\nC: \r\n\r\n");
    say(OK);
    wait_notes(loop, notes, "200{ok} idle ");
}
END_TEST

/* The answer came first: what is still to be sent will not be, so that the connection is of no more use. */
START_TEST(an_answer_before_the_request_is_whole)
{
    ask("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n");
    exchange->up->ops->data(exchange->up, "he", 2);
    batch_flush(&batch);
    say(OK);
    wait_notes(loop, notes, "200{ok} closed ");
}
END_TEST

START_TEST(letting_go_early)
{
    ask(ASKED);
    say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
    wait_notes(loop, notes, "200{he");
    let_go();
    wait_notes(loop, notes, "200{heclosed ");
    wait_ended(loop, &peer, CONN_ERROR);
}
END_TEST

/* Whatever was put into the head: it cannot be two. */
START_TEST(a_head_that_must_not_go_out)
{
    parse_request(exchange, ASKED);
    ck_assert(up_conn_use(client, exchange, false));
    exchange->request.path = STR("/ HTTP/1.1\r\nX: y");
    ck_assert(!exchange->up->ops->head(exchange->up, NULL, 0));
    let_go();
    batch_flush(&batch);
    wait_ended(loop, &peer, CONN_ERROR);
    ck_assert_uint_eq(peer.len, 0);
}
END_TEST

START_TEST(a_head_that_is_larger_than_the_output)
{
    size_t len = 40000;
    char *value = base_alloc(len + 1);
    memset(value, 'v', len);
    value[len] = '\0';
    const struct http_extra extra = {STR("A"), {value, len}, false};
    parse_request(exchange, ASKED);
    ck_assert(up_conn_use(client, exchange, false));
    ck_assert(exchange->up->ops->head(exchange->up, &extra, 1));
    batch_flush(&batch);
    char *wanted = base_printf("GET / HTTP/1.1\r\nHost: h\r\nA: %s\r\n\r\n", value);
    wait_data(loop, &peer, wanted);
    free(wanted);
    free(value);
}
END_TEST

/* ---- flow and tunnels ---- */

START_TEST(paused_answers_wait)
{
    ask(ASKED);
    say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
    wait_notes(loop, notes, "200{he");
    exchange->up->ops->pause(exchange->up);
    say("llo");
    run_turns(loop, 10);
    ck_assert_str_eq(notes->text, "200{he");
    exchange->up->ops->resume(exchange->up);
    wait_notes(loop, notes, "200{hello} idle ");
}
END_TEST

#define UPGRADE "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
#define SWITCH \
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

START_TEST(tunnel)
{
    stays = true;
    ask(UPGRADE);
    wait_data(loop, &peer, UPGRADE);
    say(SWITCH "hi");
    wait_notes(loop, notes, "101{hi");
    struct up *up = exchange->up;
    up->ops->data(up, "hello", 5);
    batch_flush(&batch);
    wait_data(loop, &peer, UPGRADE "hello");
    if (_i == 0) { /* the server ends first */
        peer_close();
        wait_notes(loop, notes, "101{hi} ");
        up->ops->data(up, "bye", 3);
        up->ops->end(up);
    } else {
        up->ops->data(up, "bye", 3);
        up->ops->end(up);
        wait_ended(loop, &peer, CONN_EOF);
        say("more");
        peer_close();
        wait_notes(loop, notes, "101{himore} ");
    }
    let_go();
    wait_ended(loop, &peer, CONN_EOF);
    ck_assert_str_eq(peer.data, UPGRADE "hellobye");
    wait_notes(loop, notes, _i == 0 ? "101{hi} closed " : "101{himore} closed ");
}
END_TEST

/* The server has ended its side; what the client said last still reaches it. */
START_TEST(last_words_in_a_tunnel)
{
    size_t len = 8u << 20;
    char *large = pattern(len);
    stays = true;
    ask(UPGRADE);
    wait_data(loop, &peer, UPGRADE);
    say(SWITCH);
    wait_notes(loop, notes, "101{");
    peer_close();
    wait_notes(loop, notes, "101{} ");
    peer.deaf = true;
    exchange->up->ops->data(exchange->up, large, len);
    ck_assert_uint_gt(exchange->up->ops->waiting(exchange->up), 0);
    exchange->up->ops->end(exchange->up);
    let_go();
    peer.deaf = false;
    conn_resume_read(peer.conn);
    wait_ended(loop, &peer, CONN_EOF);
    ck_assert_uint_eq(peer.len, strlen(UPGRADE) + len);
    ck_assert_str_eq(peer.data + strlen(UPGRADE), large);
    free(large);
}
END_TEST

START_TEST(a_switch_is_declined)
{
    ask(UPGRADE);
    say("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno");
    wait_notes(loop, notes, "426{no} idle ");
}
END_TEST

static Suite *client_suite(void)
{
    Suite *suite = suite_create("h1_up");
    TCase *answered = tcase_create("answers");
    tcase_add_checked_fixture(answered, set_up, tear_down);
    tcase_set_timeout(answered, 30);
    tcase_add_loop_test(answered, answer, 0, ARRAY_COUNT(answers));
    tcase_add_loop_test(answered, answer_in_pieces, 0, 12);
    tcase_add_test(answered, one_connection_serves_many);
    tcase_add_loop_test(answered, surplus_is_no_answer_to_the_next, 0, 2);
    tcase_add_test(answered, too_many_interim_answers);
    tcase_add_loop_test(answered, a_last_read_that_is_full, 0, 2);
    tcase_add_test(answered, an_endless_head);
    suite_add_tcase(suite, answered);
    TCase *ends = tcase_create("ends");
    tcase_add_checked_fixture(ends, set_up, tear_down);
    tcase_set_timeout(ends, 30);
    tcase_add_test(ends, a_reset_before_the_answer);
    tcase_add_test(ends, a_connection_that_was_idle);
    tcase_add_test(ends, a_request_that_nobody_can_have_read);
    tcase_add_test(ends, a_request_that_was_never_sent);
    tcase_add_test(ends, a_request_that_was_read);
    tcase_add_test(ends, a_reset_tells_nothing);
    tcase_add_test(ends, a_connection_that_was_idle_and_began_to_answer);
    tcase_add_loop_test(ends, nonsense_on_a_connection_that_was_idle, 0, 6);
    tcase_add_test(ends, a_408_is_an_answer_on_a_new_connection);
    tcase_add_loop_test(ends, a_long_head_that_gets_no_answer, 0, 2);
    tcase_add_loop_test(ends, an_idle_connection_ends, 0, 3);
    tcase_add_test(ends, a_dead_connection_is_found_by_looking);
    tcase_add_loop_test(ends, bytes_that_wait_for_their_turn, 0, 2);
    tcase_add_test(ends, an_early_answer_and_a_reset);
    suite_add_tcase(suite, ends);
    TCase *requests = tcase_create("requests");
    tcase_add_checked_fixture(requests, set_up, tear_down);
    tcase_set_timeout(requests, 30);
    tcase_add_loop_test(requests, bodies_of_requests, 0, 3);
    tcase_add_test(requests, an_answer_before_the_request_is_whole);
    tcase_add_test(requests, letting_go_early);
    tcase_add_test(requests, a_head_that_must_not_go_out);
    tcase_add_test(requests, a_head_that_is_larger_than_the_output);
    suite_add_tcase(suite, requests);
    TCase *flow = tcase_create("flow");
    tcase_add_checked_fixture(flow, set_up, tear_down);
    tcase_set_timeout(flow, 30);
    tcase_add_test(flow, paused_answers_wait);
    tcase_add_loop_test(flow, tunnel, 0, 2);
    tcase_add_test(flow, last_words_in_a_tunnel);
    tcase_add_test(flow, a_switch_is_declined);
    suite_add_tcase(suite, flow);
    return suite;
}

UNIT_SUITE(client_suite);
